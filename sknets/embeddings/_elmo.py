"""ELMo: vectors of words in their context."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from torch import nn

from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import steps
from sknets._engine.optim import Budget
from sknets._inputs import Corpus
from sknets._inputs.corpus import CorpusParameters, Documents, is_streamed
from sknets._inputs.reader import Learned
from sknets._inputs.sequences import is_missing
from sknets._params import param
from sknets._unsupervised import Encoder
from sknets.embeddings._asking import AsksWords
from sknets.embeddings._elmo_nets import BidirectionalLM, Spelled
from sknets.embeddings._pooling import Pooling, common_direction, pool

_DOCUMENTS = 256  # are read at a time


class ELMoVectorizer(AsksWords, CorpusParameters, Encoder):
    """Vectors of words in their context, by two language models of the corpus [1]_.

    A word is read by its characters; one network of two LSTM layers tells each word
    from those before it, another from those after it. The vector of a word where it
    stands is a mixture of the layers of both: the same word in another sense has
    another vector. X, its documents and what can be asked of words (``pooling``,
    ``min_count``, ``vocabulary_`` and the rest) are as in `sknets.Word2VecVectorizer`;
    what belongs to its network (``method``, ``window``, ``loss``, ``n_negatives``,
    ``negative_exponent``, ``subsample``, ``n_jobs``) is not here.

    Parameters
    ----------
    embedding_size : int, default=128
        Numbers in the states of a direction; a vector has twice as many.
    layers : {"mix", "all"} or int, default="mix"
        "mix": the sum of the three layers (characters, first and second LSTM), weighted
        by ``layer_weights_`` and ``layer_scale_``. "all": the three side by side, so
        that a model which is fitted to them weighs them itself. 0, 1 or 2: one layer.
    dropout : float, default=0.1
        The share of numbers switched off in training before each layer.
    max_length : int, default=100
        Words of a piece: longer documents are read in pieces of so many.
    batch_size : int, default=16
        Pieces a step.
    max_epochs : int or "auto", default="auto"
        How often training goes through the corpus. "auto" is 5, or as many as make 500
        steps.
    lr : float, default=0.003
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    layer_weights_ : float32 ndarray of shape (3,)
        Shares of the layers in a mixture: equal ones, or what y of `fit` made of them.
    layer_scale_ : float
        What the mixture is multiplied by.
    vectors_ : float32 ndarray of shape (n_words, n_features_out)
        The vector of each word where it stands alone, in the order of ``vocabulary_``.

    Notes
    -----
    The mixture is learned by a task, as in the paper: `fit` with y (classes or numbers,
    one a document) trains the language models without it, then a linear model of y on
    the mean vectors of documents, in which the weights of the layers (a softmax) and
    their scale are parameters; these are kept. In a Pipeline before a classifier y is
    passed on.

    Departures: filters, layers and the corpus are smaller; no projection between LSTM
    layers; more than 2,000 words are told by an adaptive softmax [2]_ instead of a
    sampled one. A path and a function are read twice before training; the words are
    kept as numbers, in eight bytes each. `load_word2vec_format` is not here.

    References
    ----------
    .. [1] M. E. Peters et al. Deep Contextualized Word Representations. NAACL 2018.
    .. [2] E. Grave, A. Joulin, M. Cissé, D. Grangier, H. Jégou. Efficient Softmax
       Approximation for GPUs. ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import ELMoVectorizer
    >>> texts = ["the bank lends money", "a boat near the bank of the river"] * 20
    >>> words = ELMoVectorizer(embedding_size=16, max_epochs=10, random_state=0)
    >>> money, river = words.fit(texts).transform_tokens(texts[:2])
    >>> bool(np.allclose(money[1], river[4], atol=0.01))  # "bank" twice
    False
    >>> words.transform(texts).shape
    (40, 32)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Corpus,)
    vocabulary_ = Learned()
    word_counts_ = Learned()
    document_counts_ = Learned()
    n_documents_ = Learned()
    n_tokens_ = Learned()
    _predict_batch_size: ClassVar[int] = 64
    # The corpus and y of the fit that is under way.
    _seen: ClassVar[Any] = None
    _told: ClassVar[Any] = None

    embedding_size: int = param(default=128, at_least=1)
    layers: Literal["mix", "all", 0, 1, 2] = param(default="mix")
    dropout: float = param(default=0.1, at_least=0, below=1)
    max_length: int = param(default=100, at_least=1)
    pooling: Literal["mean", "tfidf", "sif", "max"] = param(default="mean")
    _budget = Budget(epochs=5, steps=500)
    batch_size: int = param(default=16, at_least=1)
    lr: float = param(default=3e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the language models of a corpus, and by y the mixture of their layers.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function
        y : array-like of shape (n_samples,), default=None
            Classes or numbers. The language models do not see them.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for items that are no text, a vocabulary
            without a word, or a y of another length or form.
        """
        told = None
        if y is not None:
            owner = type(self).__name__
            try:
                y = column_or_1d(y, warn=False)
                if not is_streamed(X):
                    check_consistent_length(X, y)
            except ValueError as error:
                raise ValueError(f"{owner}: {error} (of y)") from None
            missing = next((i for i, v in enumerate(y) if is_missing(v)), None)
            if missing is not None:
                raise ValueError(
                    f"{owner}: y contains NaN: y[{missing}] is {y[missing]}, and each "
                    "sample needs a label or a number"
                )
            if type_of_target(y).startswith("unknown"):
                y = np.asarray(list(y), dtype=object).astype(str)
            if y.dtype.kind == "f" and not np.isfinite(y).all():
                raise ValueError(f"{owner}: y contains infinity")
            told = y
        self.__dict__["_told"] = told
        try:
            return self._fit(X)
        finally:
            self.__dict__.pop("_told", None)

    def _fit(self, *given: Any, **more: Any) -> Any:
        try:
            return super()._fit(*given, **more)
        finally:
            self.__dict__.pop("_seen", None)

    def _partial_fit(self, *given: Any, **more: Any) -> Any:
        try:
            return super()._partial_fit(*given, **more)
        finally:
            self.__dict__.pop("_seen", None)

    # -- for the engine --------------------------------------------------------------

    def _choose_kind(self, X: Any) -> Any:
        return Corpus if is_streamed(X) else super()._choose_kind(X)

    def _documents(self, X: Any) -> Documents:
        if is_streamed(X):
            found: Documents = self.reader_.read(X)
            return found
        return super()._check_input(X, reset=False)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        if reset:
            documents = super()._check_input(X, reset=True, seen=seen)
        else:
            documents = self._documents(X)
        self.__dict__["_seen"] = documents
        return self._spelled(documents)[0]

    def _spelled(self, documents: Any) -> tuple[Spelled, np.ndarray]:
        return Spelled.of(documents, self.vocabulary_, self.max_length)

    def _build(self) -> nn.Module:
        return BidirectionalLM(len(self.vocabulary_), self.embedding_size, self.dropout)

    def _finish(self, net: Any) -> None:
        super()._finish(net)
        documents, y = self._seen, self._told
        weights, scale = np.full(3, 1 / 3, np.float32), 1.0
        self.layer_weights_, self.layer_scale_ = weights, scale
        self.common_direction_ = None
        if y is not None:
            self.layer_weights_, self.layer_scale_ = self._learn_mixture(documents, y)
        if self.pooling == "sif":
            self.common_direction_ = common_direction(self, documents)

    def _learn_mixture(self, documents: Any, y: np.ndarray) -> tuple[np.ndarray, float]:
        """By a linear model of y, of the mean of each layer over a document."""
        if len(y) != len(documents):
            raise ValueError(
                f"{type(self).__name__}: y has {len(y)} values, X {len(documents)} "
                "documents"
            )
        means = np.concatenate(
            [
                np.stack([v.mean(0) if len(v) else np.zeros(v.shape[1:]) for v in part])
                for part in self._layers(documents)
            ]
        )
        x = torch.from_numpy(means.astype(np.float32))  # (n, 3, 2 size)
        # One scale for all, so that a layer's own counts.
        x = (x - x.mean(0)) / x.std().clamp(min=1e-6)
        if np.issubdtype(y.dtype, np.floating):
            truth = torch.from_numpy((y - y.mean()) / max(y.std(), 1e-12)).float()
            n_outputs = 1
        else:
            classes, numbers = np.unique(y, return_inverse=True)
            truth, n_outputs = torch.from_numpy(numbers), len(classes)
        shares = torch.zeros(3, requires_grad=True)
        scale = torch.ones(1, requires_grad=True)
        table = torch.zeros(x.shape[2], n_outputs, requires_grad=True)
        bias = torch.zeros(n_outputs, requires_grad=True)
        learned = [shares, scale, table, bias]
        optimizer = torch.optim.Adam(learned, lr=0.02)
        for _ in range(200):
            mixed = scale * torch.einsum("k,nkd->nd", shares.softmax(0), x)
            out = mixed @ table + bias
            loss = (
                F.mse_loss(out[:, 0], truth)
                if n_outputs == 1
                else F.cross_entropy(out, truth)
            )
            loss = loss + 1e-3 * (table**2).sum() + 1e-3 * (shares**2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return shares.softmax(0).detach().numpy(), scale.item()

    # -- vectors ---------------------------------------------------------------------

    def _layers(self, documents: Any) -> Iterator[list[np.ndarray]]:
        """Of some documents at a time, each one's words' (n_words, 3, 2 size)."""
        for _, part in documents.batches(_DOCUMENTS):
            pieces, counts = self._spelled(part)
            found: Any = []
            if len(pieces):
                found = steps(self.net_.batches(pieces), len(pieces))
            empty = np.empty((0, 3, 2 * self.embedding_size), np.float32)
            ends = counts.cumsum()
            yield [
                np.concatenate([empty, *found[end - count : end]])
                for end, count in zip(ends, counts)
            ]

    def _mixed(self, vectors: np.ndarray) -> np.ndarray:
        """(n_words, n_features_out) of those of the three layers."""
        if self.layers == "all":
            return vectors.reshape(len(vectors), -1)
        if self.layers != "mix":
            return vectors[:, int(self.layers)]
        return self.layer_scale_ * np.einsum("k,nkd->nd", self.layer_weights_, vectors)

    def transform_tokens(self, X: Any) -> np.ndarray:
        """Return the vectors of each document's words, where they stand.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function

        Returns
        -------
        vectors : object ndarray of shape (n_samples,)
            Of each document an array (n_words, n_features_out).

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        documents = self._documents(X)
        found, at = np.empty(len(documents), dtype=object), 0
        for part in self._layers(documents):
            for vectors in part:
                found[at] = self._mixed(vectors)
                at += 1
        return found

    def transform(self, X: Any) -> np.ndarray:
        """Return a vector a document, made of those of its words.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function

        Returns
        -------
        vectors : float32 ndarray of shape (n_samples, n_features_out)

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For items that are no text, or a ``pooling`` that needs what `fit` with
            another one has not learned.
        """
        check_is_fitted(self)
        pooling, documents = Pooling.of(self), self._documents(X)
        parts = documents.batches(_DOCUMENTS)
        return np.concatenate([self._pool(pooling, part) for _, part in parts])

    def _pool(self, pooling: Pooling, documents: list[list[str]]) -> np.ndarray:
        (layers,) = self._layers(_Few(documents))
        vectors = [self._mixed(each) for each in layers]
        find = self.vocabulary_.get
        words = [np.array([find(w, -1) for w in each], np.int64) for each in documents]
        starts = np.append(0, np.cumsum([len(each) for each in vectors]))
        rows = [np.arange(a, b) for a, b in itertools.pairwise(starts)]
        return pool(pooling, np.concatenate(vectors), rows, words)

    @property
    def vectors_(self) -> np.ndarray:  # type: ignore[override]
        """The vector of each word where it stands alone."""
        if "net_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no vectors_ before fit")
        alone = _Few([[word] for word in self.vocabulary_])
        return np.concatenate(
            [self._mixed(vectors) for part in self._layers(alone) for vectors in part]
        )

    def _known(self, word: str) -> np.ndarray:
        (part,) = self._layers(_Few([[word]]))
        return self._mixed(part[0])[0]

    _made = _known  # it is read by its characters

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the language models tell the words of documents.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function
        y : None
            Ignored.

        Returns
        -------
        score : float
            Minus the mean loss of pieces; the perplexity is ``exp(-score)``.
        """
        check_is_fitted(self)
        pieces, _ = self._spelled(self._documents(X))
        module, total = self.net_.module_, 0.0
        for _, losses in self.net_.batches(pieces, lambda x: module.loss(x, None)):
            total += float(losses.sum())
        return -total / max(1, len(pieces))

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        return 2 * self.embedding_size * (3 if self.layers == "all" else 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.sparse = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class _Few:
    """Documents that are at hand."""

    def __init__(self, documents: list[list[str]]):
        self.documents = documents

    def batches(self, size: int) -> Iterator[tuple[slice, list[list[str]]]]:
        yield slice(0, len(self.documents)), self.documents


__all__ = ["ELMoVectorizer"]
