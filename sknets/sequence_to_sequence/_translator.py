"""From text to text: translation, summaries, spelling, whatever pairs tell."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from torch import nn

from sknets._engine.containers import Ragged
from sknets._engine.data import Samples
from sknets._engine.device import multiplies_bfloat16
from sknets._engine.optim import Budget
from sknets._inputs.reader import Learned
from sknets._inputs.sentences import Source
from sknets._inputs.text import N_RESERVED
from sknets._params import param
from sknets._reading import _counted
from sknets._targets import given_target
from sknets.sequence_to_sequence._convolutional import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
)
from sknets.sequence_to_sequence._memory import Memory
from sknets.sequence_to_sequence._recurrent import RecurrentDecoder, RecurrentEncoder
from sknets.sequence_to_sequence._transformer import (
    TransformerDecoder,
    TransformerEncoder,
)
from sknets.sequence_to_sequence._writer import Writer
from sknets.sequence_to_sequence._writing_net import Embedding, WritingNet

_MANY = 10_000  # pairs, of which a wider network learns more
_SENTENCE = 15  # tokens to write
_WIDE = 256  # numbers, of which products in bfloat16 take half of the time


class TextReading(nn.Module):
    """Tokens as vectors, and what an encoder makes of them."""

    def __init__(self, tokens: Embedding, encoder: nn.Module):
        super().__init__()
        self.tokens, self.encoder = tokens, encoder

    def forward(self, x: Ragged) -> Memory:
        return self.encoder(self.tokens(x.padded()[..., 0].long()), x)


class Seq2SeqTranslator(Writer):
    """Networks that read one text and write another [1]_ [2]_ [3]_ [4]_.

    Translation, summaries, spelling to sound, dates to a standard: whatever pairs of
    texts tell. An encoder reads a text; a decoder writes the other token by token, each
    by those before it and by what it looks at in what was read.

    Parameters
    ----------
    architecture : {"transformer", "lstm", "gru", "convolutional"}, \
            default="transformer"
        Attention alone [3]_, recurrent cells that read in both directions and write
        with attention [2]_, or gated convolutions [4]_.
    width : int or "auto", default="auto"
        Numbers of a token and of a state, even; with "transformer" a multiple of
        ``n_heads``. "auto" are 128, of 10,000 pairs and more 256.
    n_layers : int, default=3
        Layers of the encoder, and of the decoder.
    n_heads : int, default=4
        Of attention, with "transformer".
    tokenizer : {"bpe", "words", "characters"}, default="bpe"
        What a string is cut into: byte pairs [5]_, sub-words that spell any word (needs
        the package tokenizers), words and punctuation marks, or characters. Lists of
        tokens are taken as they are, and lists of tokens are written then.
    lowercase : bool, default=False
        Whether strings are turned to lower case first.
    vocabulary_size : int, default=6000
        The most frequent tokens that are learned, of each side or of both together.
        What is not among them is unknown, and never written.
    min_frequency : int, default=1
        How often a token must occur in `fit` to be learned.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    shared_vocabulary : bool or "auto", default="auto"
        Whether both sides have the same tokens, and the same vectors of them. "auto" is
        whether ``tokenizer="bpe"``: languages share names, numbers and stems.
    dropout : float, default=0.1
        The share of numbers switched off in training in each layer.
    label_smoothing : float, default=0.1
        The share of a token's probability that all tokens are to have in equal parts.
    n_beams : int, default=4
        How many beginnings of a text are followed at a time, until as many texts have
        ended; 1 takes the most probable token each time, in a third of the time. May be
        set after `fit`.
    length_penalty : float, default=1.0
        Beams are ranked by ``log_p / ((5 + length) / 6) ** length_penalty``: the more,
        the longer the texts.
    max_output_length : int or "auto", default="auto"
        Tokens of a text that is written, at most; "auto" are half as many again as the
        longest of `fit` has, and ten.
    metric : {"bleu", "chrf", "exact"}, default="bleu"
        What `score` is: BLEU [6]_ or chrF by sacrebleu, or the share of texts exactly
        right.
    max_epochs : int or "auto", default="auto"
        How often training goes through the pairs. "auto" are 10 epochs, or as many as
        make 2,000 steps; of 10,000 pairs and more 6, or as many as make 1,500, twice as
        many where texts are words of letters: of fewer than 15 tokens in proportion.
    batch_size : int or "auto", default="auto"
        Pairs a step, those of like lengths together; "auto" are 128, of fewer than
        6,400 a fiftieth, but 8 at least.
    lr : float, default=1.5e-3
        The learning rate, at its highest.
    lr_schedule : str, default="one_cycle"
        How it changes.
    optimizer : str, default="adamw"
        What makes steps of gradients.
    weight_decay : float, default=1e-4
        L2 penalty of weight matrices.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.
    ema_decay : float, default=0.998
        Predictions are those of running means of the weights, of which so much is kept
        in each step; None: of the last weights.

    Attributes
    ----------
    width_ : int
        What ``width`` came to.
    vocabulary_, target_vocabulary_ : dict of str to int
        The number of each token that is read, and that is written.
    target_length_ : float
        The mean number of tokens of the texts that are written, their end counted.
    longest_ : int
        The number of tokens of the longest of them.
    batch_size_ : int

    Notes
    -----
    X and y are lists, arrays or columns of strings, or lists of lists of tokens; an
    empty text cannot be learned of, and is refused. The order of samples and the size
    of batches never change a prediction, and decoding keeps what it has worked out of a
    beginning: the time is linear in the length.

    A "transformer" of 256 numbers and more trains by products in bfloat16 where the
    processor has units for them (AMX), in about 3/4 of the time, unless ``precision``
    says otherwise; what it says is computed in float32.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are those of ``metric``, of
    texts found greedily.

    References
    ----------
    .. [1] I. Sutskever, O. Vinyals, Q. V. Le. Sequence to Sequence Learning with Neural
       Networks. NeurIPS 2014. Here with attention, and the source is not reversed.
    .. [2] D. Bahdanau, K. Cho, Y. Bengio. Neural Machine Translation by Jointly
       Learning to Align and Translate. ICLR 2015. Here the attention is the product of
       M.-T. Luong et al. 2015, after the cells, without feeding it back to them; they
       begin with the mean of the encoder's states.
    .. [3] A. Vaswani et al. Attention Is All You Need. NeurIPS 2017. Here normalised
       before each part instead of after it, the hidden layers twice as wide as a token
       instead of four times, and a cycle of the learning rate.
    .. [4] J. Gehring et al. Convolutional Sequence to Sequence Learning. ICML 2017.
       Here with sinusoidal positions and without normalised weights; keys have the
       tokens' own vectors in them, as values do.
    .. [5] R. Sennrich, B. Haddow, A. Birch. Neural Machine Translation of Rare Words
       with Subword Units. ACL 2016. Here of bytes.
    .. [6] M. Post. A Call for Clarity in Reporting BLEU Scores. WMT 2018.

    Examples
    --------
    >>> from sknets import Seq2SeqTranslator
    >>> numbers = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}
    >>> X = [f"{a} and {b}" for a in numbers for b in numbers]
    >>> y = [f"{numbers[a]} und {numbers[b]}" for a in numbers for b in numbers]
    >>> net = Seq2SeqTranslator(
    ...     tokenizer="words", width=32, n_layers=1, lr=5e-3, max_epochs=100,
    ...     random_state=0,
    ... )
    >>> net.fit(X, y).predict(["three and one"])[0]
    'drei und eins'
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Source,)
    _task: ClassVar[str] = "translation"

    vocabulary_ = Learned()

    architecture: Literal["lstm", "gru", "transformer", "convolutional"] = param(
        default="transformer"
    )
    width: int | Literal["auto"] = param(default="auto", at_least=2)
    n_layers: int = param(default=3, at_least=1)
    n_heads: int = param(default=4, at_least=1)
    shared_vocabulary: bool | Literal["auto"] = param(default="auto")

    @property
    def _budget(self) -> Budget:
        if self.n_samples_seen_ < _MANY:
            return super()._budget
        # Spelling takes as many tokens to learn as sentences do, and has fewer a step.
        short = min(2.0, max(1.0, _SENTENCE / self.target_length_))
        return Budget(epochs=6, steps=round(1500 * short))

    def _check_params(self) -> None:
        super()._check_params()
        if self.width == "auto":
            return
        heads = self.n_heads if self.architecture == "transformer" else 1
        if self.width % 2 or self.width % heads:
            sentence = f"width must be even, and a multiple of n_heads={self.n_heads}"
            raise ValueError(self._refusal("width", sentence))

    @property
    def target_vocabulary_(self) -> dict[str, int]:
        """The number of each token that is written."""
        return Learned.of(self, "target_reader_", "vocabulary_")

    # -- two readers -------------------------------------------------------------------

    @property
    def _shares(self) -> bool:
        given = self.shared_vocabulary
        return self.tokenizer == "bpe" if given == "auto" else bool(given)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        if reset:
            self._learn_tokens(X, y, _counted(sample_weight))
        return super()._read(X, y, sample_weight, reset=reset, classes=classes)

    def _learn_tokens(self, X: Any, y: Any, seen: np.ndarray | None) -> None:
        reader, target = self._inputs[0].of(self), self._targets[0].of(self)
        y = given_target(y, type(self).__name__, len(reader.texts(X)))
        if seen is not None and len(seen) != len(y):
            seen = None  # what is wrong is said where weights are checked
        target.learn(y, seen)
        if self._shares:
            both = [*reader.texts(X), *target.texts(y)]
            keep = np.ones(len(both), bool) if seen is None else np.tile(seen, 2)
            reader.learn_tokens([text for text, kept in zip(both, keep) if kept])
            target.take_tokens(reader)
        else:
            reader.learn(X, seen)
        self.reader_, self.target_reader_ = reader, target

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=False)
        if reset:
            self.reader_.refuse_empty(X)
        return x

    # -- for the engine ----------------------------------------------------------------

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        auto = 256 if self.n_samples_seen_ >= _MANY else 128
        if self.chunks_.n == 1:
            self.width_ = auto if self.width == "auto" else int(self.width)

    def _build(self) -> nn.Module:
        target = Embedding(self._n_target_tokens, self.width_)
        source = target
        if not self._shares:
            source = Embedding(N_RESERVED + len(self.reader_.vocabulary_), self.width_)
        encoder, decoder = self._sides()
        read = TextReading(source, encoder)
        return WritingNet(
            read, decoder, target, self.label_smoothing, self.target_length_
        )

    def _bfloat16(self, device: Any) -> Any:
        wide = self.architecture == "transformer" and self.width_ >= _WIDE
        if self.precision == "auto" and wide and device.type == "cpu":
            return "training" if multiplies_bfloat16() else "never"
        return super()._bfloat16(device)

    def _sides(self) -> tuple[nn.Module, nn.Module]:
        sizes, kind = (self.width_, self.n_layers), self.architecture
        if kind == "transformer":
            sides: Any = TransformerEncoder, TransformerDecoder
            options: Any = (*sizes, self.n_heads, self.dropout)
        elif kind == "convolutional":
            sides = ConvolutionalEncoder, ConvolutionalDecoder
            options = (*sizes, self.dropout)
        else:
            sides = RecurrentEncoder, RecurrentDecoder
            options = (kind, *sizes, self.dropout)
        return sides[0](*options), sides[1](*options)

    def attention_maps(self, X: Any, y: Any = None) -> list[np.ndarray]:
        """Return what each token that is written looks at in the text that is read.

        Parameters
        ----------
        X : list of str, or list of lists of tokens
        y : list of str, or list of lists of tokens, default=None
            What is written; None: what `predict` gives.

        Returns
        -------
        maps : list of ndarray of shape (n_written, n_read)
            Of the last layer, a mean over heads; rows sum to 1. Both sides with the
            mark that ends a text.
        """
        read = self.reader_.texts(X)
        written = self.predict(read) if y is None else self.target_reader_.texts(y)
        return [self._looks([one], text) for one, text in zip(read, written)]


__all__ = ["Seq2SeqTranslator"]
