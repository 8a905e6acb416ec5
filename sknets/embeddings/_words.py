"""Vectors of words, whoever learns them: documents, neighbours, analogies, files."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._engine.collect import items
from sknets._engine.optim import Budget
from sknets._engine.trainer import EpochTrainer
from sknets._inputs import Corpus
from sknets._inputs.corpus import CorpusParameters, Documents, is_streamed
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._unsupervised import Encoder
from sknets.embeddings._asking import AsksWords
from sknets.embeddings._files import read_vectors
from sknets.embeddings._pooling import Pooling, common_direction, pool

# Words that "auto" epochs come to, and how many epochs at most.
_ENOUGH_WORDS, _MOST_EPOCHS = 1_000_000, 100


class WordTable(nn.Module):
    """Tables of numbers a word, by name.

    "vectors" are those that are asked for; where they are not ``learned`` themselves,
    they are made of what is.
    """

    def __init__(self, shape: tuple[int, int], **learned: tuple[int, ...]):
        super().__init__()
        if "words" not in learned:
            learned["vectors"] = shape
        for name, each in learned.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(each), False))
        if "vectors" not in learned:
            self.register_buffer("vectors", torch.zeros(shape))

    def table(self, name: str) -> np.ndarray:
        """The numbers themselves, in the memory that they have."""
        return getattr(self, name).detach().numpy()

    def set(self, name: str, table: np.ndarray) -> None:
        """Let this memory be a table's."""
        getattr(self, name).data = torch.from_numpy(table)


class WordVectorizer(AsksWords, CorpusParameters, Encoder):
    """Base of what learns a vector a word from a corpus."""

    _inputs: ClassVar[tuple[Any, ...]] = (Corpus,)
    vocabulary_ = Learned()
    word_counts_ = Learned()
    document_counts_ = Learned()
    n_documents_ = Learned()
    n_tokens_ = Learned()

    embedding_size: int = param(default=100, at_least=1)
    window: int = param(default=5, at_least=1)
    pooling: Literal["mean", "tfidf", "sif", "max"] = param(default="mean")
    batch_size: int = param(default=10_000, at_least=1)

    # What belongs to training by gradients of batches is no parameter here.
    optimizer: ClassVar[Any] = "sgd"  # type: ignore[misc]
    momentum: ClassVar[float] = 0.0  # type: ignore[misc]
    nesterov: ClassVar[bool] = False  # type: ignore[misc]
    weight_decay: ClassVar[float] = 0.0  # type: ignore[misc]
    lr_schedule: ClassVar[Any] = None  # type: ignore[misc]
    gradient_clip: ClassVar[Any] = None  # type: ignore[misc]
    early_stopping: ClassVar[bool] = False  # type: ignore[misc]
    validation_fraction: ClassVar[float] = 0.1  # type: ignore[misc]
    n_iter_no_change: ClassVar[Any] = "auto"  # type: ignore[misc]
    tol: ClassVar[float] = 0.0  # type: ignore[misc]
    shuffle: ClassVar[bool] = False  # type: ignore[misc]
    precision: ClassVar[Any] = "float32"  # type: ignore[misc]

    _fewest_epochs: ClassVar[int] = 5

    # -- training --------------------------------------------------------------------

    def _trainer(self, module: nn.Module, seed: int) -> EpochTrainer:
        """Who trains the module; with a seed in a fit, and 0 when it is restored."""
        raise NotImplementedError

    @property
    def _budget(self) -> Budget:
        epochs = -(-_ENOUGH_WORDS // max(1, self.n_tokens_))
        return Budget(min(_MOST_EPOCHS, max(self._fewest_epochs, epochs)), steps=1)

    def _choose_kind(self, X: Any) -> Any:
        return Corpus if is_streamed(X) else super()._choose_kind(X)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        if not reset and is_streamed(X):
            return self.reader_.read(X)
        return super()._check_input(X, reset=reset, seen=seen)

    def _make_net(self, samples: Any, seed: int, dtype: Any = None) -> Any:
        if samples is not None:
            self.max_epochs_ = self._epochs(self.max_epochs, self._budget, samples)
            if isinstance(self.random_state, int | np.integer):
                seed = int(self.random_state)
        return self._trainer(self._build(), seed)

    def _prepare(self, net: Any, *sets: Any) -> None:
        net.constant, net.seen = self.chunks_.n > 1, sets[0].x

    def _finish(self, net: Any) -> None:
        super()._finish(net)
        self.common_direction_ = None
        if self.pooling == "sif":
            self.common_direction_ = common_direction(self, net.seen)
        net.seen = None

    def _fits_whole(self) -> str:
        if self.__sklearn_is_fitted__() and not hasattr(self, "chunks_"):
            return (
                f"{type(self).__name__}: vectors from a file are not trained on, as it "
                "holds nothing else of the network: there is no partial_fit"
            )
        return super()._fits_whole()

    # -- documents -------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Return a vector a document, made of those of its words.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function
            As in `fit`.

        Returns
        -------
        vectors : float32 ndarray of shape (n_samples, embedding_size)
            Zeros for a document without a known word.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For items that are no text, a ``pooling`` that needs what `fit` with another
            one has not learned, a file that is missing or not UTF-8.
        """
        check_is_fitted(self)
        pooling = Pooling.of(self)
        documents = self._check_input(X, reset=False)
        return self._collect(documents, partial(self._pool, pooling))

    def transform_tokens(self, X: Any) -> np.ndarray:
        """Return the vectors of each document's words.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function

        Returns
        -------
        vectors : object ndarray of shape (n_samples,)
            Of each document an array (n_words, embedding_size); unknown words are rows
            of zeros.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        documents: Documents = self._check_input(X, reset=False)
        return items(self.net_.batches(documents, self._each), len(documents))

    def _pool(self, pooling: Pooling, documents: list[list[str]]) -> Tensor:
        numbers, more = self._numbered(documents)
        table = np.concatenate([self.vectors_, more]) if len(more) else self.vectors_
        return torch.from_numpy(pool(pooling, table, numbers, numbers))

    def _each(self, documents: list[list[str]]) -> list[np.ndarray]:
        numbers, more = self._numbered(documents)
        zero = np.zeros((1, self._n_features_out), np.float32)
        table = np.concatenate([more, zero])
        n, vectors = len(self.vectors_), []
        for row in numbers:
            own = self.vectors_[np.clip(row, 0, n - 1)]
            other = (row < 0) | (row >= n)
            own[other] = table[np.where(row < 0, -1, row - n)[other]]
            vectors.append(own)
        return vectors

    def _numbered(
        self, documents: list[list[str]]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The numbers of words, -1 for unknown ones; and the vectors of such words that
        have one all the same, whose numbers follow those of the vocabulary.
        """
        find = self.vocabulary_.get
        rows = [np.array([find(w, -1) for w in words], np.int64) for words in documents]
        return rows, np.empty((0, self._n_features_out), np.float32)

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        return self.vectors_.shape[1]

    @property
    def vectors_(self) -> np.ndarray:
        """The vector of each word, in the order of ``vocabulary_``."""
        if "net_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no vectors_ before fit")
        return self.net_.module_.table("vectors")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.sparse = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def score(self, X: Any, y: Any = None) -> float:
        """Return how well the network tells the words of documents, for a search.

        Parameters
        ----------
        X : list of texts or of lists of words, path or function
        y : None
            Ignored.

        Returns
        -------
        score : float
            Minus the loss that `fit` lowers, as in ``loss_curve_``, of these documents.
            Comparable where ``window`` and the parameters of the loss are equal.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Of vectors from a file, which holds nothing else of the network.
        """
        check_is_fitted(self)
        if not hasattr(self, "chunks_"):
            raise ValueError(
                f"{type(self).__name__}.score: vectors from a file are not all of a "
                "network: fit anew"
            )
        return -self.net_.loss(self._check_input(X, reset=False))

    # -- files ---------------------------------------------------------------------

    def load_word2vec_format(self, path: Any, binary: bool = False) -> Self:
        """Take words and vectors from a file, in the place of `fit`.

        Parameters
        ----------
        path : str or path-like
            As the word2vec tool or `save_word2vec_format` write it, or text without its
            first line, as GloVe does. Files that end with .gz are unpacked.
        binary : bool, default=False
            Whether numbers are bytes.

        Returns
        -------
        self : object
            Fitted, with the ``embedding_size`` of the file. ``pooling`` may be "mean"
            or "max": counts of words are not in the file. There is no `partial_fit`.

        Raises
        ------
        ValueError
            When the file is not such a one, or not UTF-8.
        """
        self._check_params()
        words, vectors = read_vectors(type(self).__name__, path, binary)
        for name in [n for n in vars(self) if n[-1] == "_" and n[0] != "_"]:
            delattr(self, name)
        reader = Corpus.of(self)
        reader.vocabulary_ = {word: i for i, word in enumerate(words)}
        self.reader_, self.embedding_size = reader, vectors.shape[1]
        self.max_epochs_ = self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        self.common_direction_ = None
        net: Any = self._trainer(self._build(), 0)
        net.module_.set("vectors", vectors)
        self.net_, self.n_parameters_ = net, vectors.size
        return self


__all__ = ["WordTable", "WordVectorizer"]
