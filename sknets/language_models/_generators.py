"""Language models: recurrent networks and GPT-2."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal

from torch import nn

from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._inputs import ReadsSubwords, ReadsText, Subwords, Text
from sknets._params import param
from sknets.language_models._generation import LanguageModel
from sknets.language_models._generator_nets import GPT2, RecurrentGenerator
from sknets.language_models._stored import Stored


class RNNGenerator(ReadsText, LanguageModel):
    """Recurrent language model that tells the next word and writes on [1]_ [2]_.

    A cell reads a text token by token, and of its state a softmax says what comes next:
    ``softmax(V s_t)``.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory, gated recurrent units, or Elman's plain cell
        ``s_t = tanh(U x_t + W s_(t-1) + b)`` [1]_.
    hidden_size : int, default=256
        Numbers in a state.
    n_layers : int, default=1
        Cells one on top of the other.
    embedding_size : int, default=128
        Numbers in the vector of a token, by which it is also told [3]_: ``V`` is the
        table of these vectors, times a matrix where ``hidden_size`` is another.
    dropout : float, default=0.3
        The share of numbers switched off in training, of vectors and of states.
    context_size : int, default=128
        Texts are cut into pieces of so many tokens for training. Whoever is asked
        remembers a text of any length.
    tokenizer : {"words", "characters", "bpe"}, default="words"
        What a string is cut into: words and punctuation marks, characters, or byte
        pairs, sub-words that spell any word (needs the package tokenizers). Lists of
        tokens are taken as they are.
    lowercase : bool, default=True
        Whether strings are turned to lower case first.
    vocabulary_size : int, default=20000
        The most frequent tokens that are learned. All others are one unknown token,
        which is told like any other but never written.
    min_frequency : int, default=2
        How often a token must occur in `fit` to be learned.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        See `sknets._estimator.Estimator`.
    max_epochs : int or "auto", default="auto"
        How often training goes through the texts. "auto" are 10 epochs, or as many as
        make 500 steps.
    batch_size : int or "auto", default="auto"
        Pieces of texts a step; "auto" are 16, of fewer than 128 an eighth, but four or
        more.
    lr : float, default=0.005
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    tokens_ : ndarray of str objects of shape (n_tokens,)
        How each token is written; the first two are the unknown one and the end.
    vocabulary_, bpe_
        The number of each token, and the byte-pair tokenizer's JSON.
    batch_size_ : int
        The batch size that was used.

    Notes
    -----
    X are texts: a list, an array or a column of strings, or of lists of words.
    `sknets.GPT2Generator` has the same verbs.

    Departures from [1]_: errors go back through all steps of a piece, not through one;
    the table of vectors serves twice.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``checkpoint`` and the rest, and for
    ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] J. L. Elman. Finding Structure in Time. Cognitive Science 14, 1990.
    .. [2] T. Mikolov et al. Recurrent neural network based language model. Interspeech
       2010.
    .. [3] O. Press, L. Wolf. Using the Output Embedding to Improve Language Models.
       EACL 2017.

    Examples
    --------
    >>> from sknets import RNNGenerator
    >>> X = ["the cat sat on the mat", "the dog sat on the rug"] * 20
    >>> model = RNNGenerator(hidden_size=32, max_epochs=20, random_state=0).fit(X)
    >>> model.complete("the c", n_completions=1)
    ['at sat on the mat']
    >>> model.generate("the dog", temperature=0)[0]
    'the dog sat on the rug'
    >>> bool(model.perplexity(X) < 2)
    True
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Text,)

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=256, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    embedding_size: int = param(default=128, at_least=1)
    dropout: float = param(default=0.3, at_least=0, below=1)
    min_frequency: int = param(default=2, at_least=1)
    lr: float = param(default=5e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    @property
    def _budget(self) -> Budget:
        return Budget(epochs=10, steps=500)

    def _build(self) -> nn.Module:
        return RecurrentGenerator(
            len(self.reader_.names),
            self.embedding_size,
            self.cell,
            self.hidden_size,
            self.n_layers,
            self.dropout,
        )


class GPT2Generator(ReadsSubwords, LanguageModel):
    """GPT-2 that writes on, pretrained or learned from the texts [1]_.

    Blocks of attention to all tokens before, and a softmax over the vectors of all
    tokens. While it writes it keeps the keys and values of what is written: a token
    costs a step of one token.

    Parameters
    ----------
    pretrained : str, path-like or None, default=None
        A local folder with ``config.json``, ``tokenizer.json`` and
        ``model.safetensors`` of a GPT-2, or the name of a model on the Hugging Face
        hub, which is fetched once; what is learned begins there. None: all is learned
        from the texts.
    embedding_size : int, default=128
        Numbers in the vector of a token; like all sizes that of the model where one is
        pretrained.
    n_heads : int, default=4
        Attentions side by side in a block; they must divide ``embedding_size``.
    n_layers : int, default=4
        Blocks one on top of the other.
    dropout : float, default=0.1
        The share of numbers switched off in training: after the embedding and of what
        each block adds.
    context_size : int, default=128
        How many tokens are seen at once, a learned position each. Texts are cut into
        pieces of so many for training; longer ones are scored piece by piece, each
        token after half a context or more.
    lowercase : bool, default=False
        Whether strings are turned to lower case first.
    vocabulary_size : int, default=8000
        Byte pairs that are learned at most; they spell any text.
    min_frequency : int, default=2
        How often a byte pair must occur to be learned.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.1
        How much of a weight matrix decays: with "adamw" the share ``lr * weight_decay``
        a step.
    max_epochs : int or "auto", default="auto"
        How often training goes through the texts. "auto" are 10 epochs, or as many as
        make 500 steps; 1 for a pretrained model.
    batch_size : int or "auto", default="auto"
        Pieces of texts a step; "auto" are 16, of fewer than 128 an eighth, but four or
        more.
    lr : float or "auto", default="auto"
        The highest learning rate of the schedule: "auto" is 0.00005 for a pretrained
        model, else 0.002.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    tokens_ : ndarray of str objects of shape (n_tokens,)
        How each token is written, a space before it as "Ġ".
    tokenizer_ : str
        The tokenizer, as the JSON of the package tokenizers.
    vocabulary_ : dict of str to int
        The number of each token.
    config_ : dict
        The sizes of the network, as its ``config.json`` has them.
    batch_size_ : int
        The batch size that was used.

    Raises
    ------
    FileNotFoundError
        When there is no such folder, or a file in it is missing.
    OSError
        When the hub cannot be reached, or has no such model.
    ValueError
        When the model is none of GPT-2's kind; for None or NaN among the texts.
    ImportError
        Without the package tokenizers: ``pip install 'sknets[text]'``.

    Notes
    -----
    X are texts: a list, an array or a column of strings, or of lists of words.
    `sknets.RNNGenerator` has the same verbs. The logits are those of `transformers`
    with equal weights.

    Departures from [1]_: attention weights are not dropped.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``checkpoint`` and the rest, and for
    ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever. Language
       Models are Unsupervised Multitask Learners. 2019.

    Examples
    --------
    >>> from sknets import GPT2Generator
    >>> X = ["The cat sat on the mat.", "The dog sat on the rug."] * 20
    >>> model = GPT2Generator(n_layers=1, embedding_size=32, max_epochs=20)
    >>> model = model.set_params(random_state=0).fit(X)
    >>> model.generate("The dog", temperature=0)[0]
    'The dog sat on the rug.'
    >>> bool(model.perplexity(X) < 2)
    True
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Subwords,)

    pretrained: str | os.PathLike[str] | None = param(default=None)
    embedding_size: int = param(default=128, at_least=1)
    n_heads: int = param(default=4, at_least=1)
    n_layers: int = param(default=4, at_least=1)
    dropout: float = param(default=0.1, at_least=0, below=1)
    lowercase: bool = param(default=False)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=0.1, at_least=0)
    lr: float | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", above=0
    )
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    @property
    def _budget(self) -> Budget:
        pretrained = self.pretrained is not None
        return Budget(1, 1) if pretrained else Budget(epochs=10, steps=500)

    def _check_params(self) -> None:
        super()._check_params()
        if self.embedding_size % self.n_heads:
            rule = f"n_heads must divide embedding_size={self.embedding_size}"
            raise ValueError(self._refusal("n_heads", rule))

    def _make_reader(self, kind: Any) -> Any:
        if self.pretrained is None:
            return kind.of(self, cut="bytes")
        stored = Stored(self, self.pretrained)
        self.config_ = stored.config("gpt2")
        longest = self.config_["n_positions"]
        if self.context_size > longest:
            rule = f"the pretrained model knows {longest} positions"
            raise ValueError(self._refusal("context_size", rule))
        return kind.of(self, cut="bytes", stored=stored.tokenizer())

    def _learn_statistics(self, samples: Samples) -> None:
        if self.pretrained is None and self.chunks_.n == 1:
            self.config_ = {
                "vocab_size": len(self.vocabulary_),
                "n_embd": self.embedding_size,
                "n_layer": self.n_layers,
                "n_head": self.n_heads,
                "n_positions": self.context_size,
                "layer_norm_epsilon": 1e-5,
            }

    def _learning_rate(self) -> float:
        if self.lr != "auto":
            return self.lr
        return 2e-3 if self.pretrained is None else 5e-5

    def _build(self) -> nn.Module:
        return GPT2(self.config_, self.dropout)

    def _load_pretrained(self, module: nn.Module) -> None:
        if self.pretrained is not None:
            Stored(self, self.pretrained).load(module, "transformer.")


__all__ = ["GPT2Generator", "RNNGenerator"]
