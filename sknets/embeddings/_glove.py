"""GloVe: vectors whose products are the logarithms of how often words meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from torch import nn

from sknets._engine.trainer import EpochTrainer
from sknets._params import param
from sknets.embeddings._cooccurrence import Cooccurrences
from sknets.embeddings._words import WordTable, WordVectorizer

# Blocks that the words are cut into, at least: so often a word's vectors move in an
# epoch.
_FEWEST_BLOCKS = 16
# Where AdaGrad's sums of squares begin.
_FIRST_SQUARES = 0.01


class Settings(NamedTuple):
    """What training asks of an estimator."""

    vocabulary: dict[str, int]
    window: int
    x_max: float
    alpha: float
    batch_size: int
    lr: float

    @classmethod
    def of(cls, owner: Any) -> Settings:
        names = cls._fields[1:]
        return cls(owner.vocabulary_, *(getattr(owner, name) for name in names))


class GloVeTrainer(EpochTrainer):
    """AdaGrad on the pairs of two blocks of words at a time.

    A row of the table "words" is a word's vector, its vector as a context, and both of
    their biases. Words are cut into blocks at random, anew in each epoch: the pairs of
    two blocks are a batch, drawn at random, whose gradients are products of a sparse
    matrix with rows that lie together in the cache.

    Parameters
    ----------
    module : WordTable
    seed : int
    settings : Settings
    verbose : int
    """

    module_: WordTable
    constant = False
    seen: Any = None

    def __init__(self, module: WordTable, seed: int, settings: Settings, verbose: int):
        super().__init__(module, verbose)
        self.settings, self._random = settings, np.random.RandomState(seed)
        self._squares: np.ndarray | None = None
        self._found: Cooccurrences | None = None

    def _begin(self, samples: Any) -> None:
        words = self.module_.table("words")
        if self._squares is None:
            size = words.shape[1] // 2 - 1
            draw = (self._random.random_sample(words.shape) - 0.5) / size
            self.module_.set("words", draw.astype(np.float32))
            self._squares = np.full(words.shape, _FIRST_SQUARES, np.float32)
        self._found = self.count(samples.x)

    def count(self, documents: Any) -> Cooccurrences:
        find = self.settings.vocabulary
        known = (
            np.array([find[word] for word in words if word in find], np.int64)
            for words in documents
        )
        return Cooccurrences(len(find), self.settings.window).count(known)

    def _epoch(self, samples: Any) -> float:
        total = n_terms = 0.0
        assert self._found is not None
        parts = self._found.parts()
        for number in self._random.permutation(len(parts)):
            sum_, n = self._train_part(parts[number])
            total, n_terms = total + sum_, n_terms + n
        return total / max(1.0, n_terms)

    def _train_part(self, pairs: Any) -> tuple[float, float]:
        words, squares = self.module_.table("words"), self._squares
        assert squares is not None
        blocks = Blocks(pairs, len(words), self.settings, self._random)
        table, squares_ = words[blocks.order], squares[blocks.order]
        total, lr = 0.0, np.float32(self.settings.lr)
        for one, other, batch in blocks:
            loss, *gradients = batch.gradients(table[one], table[other])
            total += loss
            for rows, gradient in zip((one, other), gradients):
                if gradient is not None:
                    squares_[rows] += gradient * gradient
                    table[rows] -= lr * gradient / np.sqrt(squares_[rows])
        words[blocks.order], squares[blocks.order] = table, squares_
        return total, blocks.n_terms

    def loss(self, documents: Any) -> float:
        """The mean of the terms of GloVe's sum over the pairs of documents."""
        words, total, n_terms = self.module_.table("words"), 0.0, 0.0
        found = self.count(documents)
        for pairs in found.parts():
            blocks = Blocks(pairs, len(words), self.settings, np.random.RandomState(0))
            table, n_terms = words[blocks.order], n_terms + blocks.n_terms
            for one, other, batch in blocks:
                total += batch.gradients(table[one], table[other], only_loss=True)[0]
        found.close()
        return total / max(1.0, n_terms)

    def _settle(self) -> None:
        words = self.module_.table("words")
        size = words.shape[1] // 2 - 1
        self.module_.set("vectors", words[:, :size] + words[:, size : 2 * size])
        if self._found is not None:
            self._found.close()
        self._found = None

    def _own_state(self) -> dict[str, Any]:
        squares = None if self._squares is None else self._squares.copy()
        return {"squares": squares, "random": self._random.get_state(legacy=False)}

    def _take(self, state: dict[str, Any]) -> None:
        squares = state["squares"]
        self._squares = None if squares is None else np.array(squares)
        self._random.set_state(state["random"])


class Blocks:
    """Pairs in batches: those of two blocks of words each, in random order.

    Attributes
    ----------
    order : ndarray of shape (n_words,)
        The words in the order in which blocks follow one another.
    n_terms : int
        Both directions of each pair; a word with itself has one.
    """

    def __init__(self, pairs: Any, n_words: int, settings: Settings, random: Any):
        self.random, self.n_words = random, n_words
        share = settings.batch_size * n_words**2 / (2.0 * max(1, len(pairs)))
        self.size = max(1, min(int(share**0.5), -(-n_words // _FEWEST_BLOCKS)))
        self.n_blocks = -(-n_words // self.size)
        self.order = random.permutation(n_words)
        place = np.empty(n_words, np.int64)
        place[self.order] = np.arange(n_words)
        rows, columns = place[pairs["row"]], place[pairs["column"]]
        self.n_terms = 2 * len(rows) - int((rows == columns).sum())
        rows, columns = np.minimum(rows, columns), np.maximum(rows, columns)
        key = rows // self.size * self.n_blocks + columns // self.size
        if self.n_blocks**2 < 2**16:
            key = key.astype(np.uint16)  # sorted by its digits
        by_block = np.argsort(key, kind="stable")
        self.key = key[by_block].astype(np.int64)
        self.rows, self.columns = rows[by_block], columns[by_block]
        counts = pairs["count"][by_block]
        self.logs = np.log(counts)
        weights = np.minimum(1.0, counts / settings.x_max) ** settings.alpha
        self.weights = weights.astype(np.float32)

    def __iter__(self) -> Iterator[tuple[slice, slice, Batch]]:
        starts = np.flatnonzero(np.diff(self.key, prepend=-1))
        ends = np.append(starts, len(self.key))[1:]
        for at in self.random.permutation(len(starts)):
            own = slice(starts[at], ends[at])
            first, second = divmod(int(self.key[own.start]), self.n_blocks)
            one, other = (
                slice(b * self.size, min((b + 1) * self.size, self.n_words))
                for b in (first, second)
            )
            rows, columns = self.rows[own] - one.start, self.columns[own] - other.start
            yield (
                one,
                other,
                Batch(
                    rows, columns, self.weights[own], self.logs[own], first == second
                ),
            )


class Batch:
    """Pairs of two blocks of words."""

    def __init__(self, rows, columns, weights, logs, within: bool):
        self.rows, self.columns = rows, columns
        self.weights, self.logs, self.within = weights, logs, within

    def gradients(
        self, one: np.ndarray, other: np.ndarray, only_loss: bool = False
    ) -> tuple[float, Any, Any]:
        """The sum of ``f(X) (w w' + b + b' - log X)²``, and half its gradient by the
        rows of both blocks; of one block with itself once.
        """
        size = one.shape[1] // 2 - 1
        word, context = slice(0, size), slice(size, 2 * size)
        left, right = one[self.rows], other[self.columns]
        n, m = len(one), len(other)
        grads = np.zeros_like(one), np.zeros_like(other)
        loss = 0.0
        # The first word with the second as its context, and the other way round.
        for a, b, bias, other_bias in (
            (word, context, -2, -1),
            (context, word, -1, -2),
        ):
            error = np.einsum("nd,nd->n", left[:, a], right[:, b])
            error += left[:, bias] + right[:, other_bias] - self.logs
            pull = self.weights * error
            if self.within and a is context:
                pull[self.rows == self.columns] = 0
            loss += float(pull @ error)
            if only_loss:
                continue
            matrix = sp.csr_array((pull, (self.rows, self.columns)), (n, m))
            grads[0][:, a] += matrix @ other[:, b]
            grads[1][:, b] += matrix.T @ one[:, a]
            grads[0][:, bias] += np.bincount(self.rows, pull, n)
            grads[1][:, other_bias] += np.bincount(self.columns, pull, m)
        if self.within:
            return loss, grads[0] + grads[1], None
        return loss, *grads


class GloVeVectorizer(WordVectorizer):
    """Vectors of words by GloVe [1]_: their products tell how often words meet.

    It lowers the sum over all pairs of words that meet of ``f(X) (w·w' + b + b' - log
    X)²``, where X is how often a word occurs near another, each time by the reciprocal
    of their distance, w the vector of the one, w' that of the other as its context, and
    ``f(X) = min(1, X / x_max)^alpha``. X, its documents and all parameters and
    attributes but those below are as in `sknets.Word2VecVectorizer`; what belongs to
    its network (``method``, ``loss``, ``n_negatives``, ``negative_exponent``,
    ``subsample``, ``n_jobs``) is not here.

    Parameters
    ----------
    window : int, default=10
        How many words before and after one are near it.
    x_max : float, default=10.0
        Pairs that meet as often count in full. The paper has 100, for corpora of
        billions of words.
    alpha : float, default=0.75
        The power by which rarer ones count less.
    batch_size : int, default=8192
        Pairs of a step, about: those of two blocks of words, which are cut anew at
        random in each epoch.
    lr : float, default=0.05
        The learning rate of AdaGrad.
    max_epochs : int or "auto", default="auto"
        How often training goes through the pairs. "auto" is 25, or as many as make a
        million words, up to 100.

    Notes
    -----
    The vector of a word is the sum w + w'. Words are counted once, in memory that does
    not grow with the corpus: pairs that do not fit lie in temporary files. Pairs are
    within a document, and unknown words are left out before distances are counted, as
    the authors' tool does. ``loss_curve_`` is the mean of the terms of the sum over an
    epoch. Departures: AdaGrad [2]_ takes a step for the pairs of two blocks of words,
    not for each pair, and its sums of squares begin at 0.01 instead of 1, in which
    words of small corpora would hardly move.

    References
    ----------
    .. [1] J. Pennington, R. Socher, C. D. Manning. GloVe: Global Vectors for Word
       Representation. EMNLP 2014.
    .. [2] J. Duchi, E. Hazan, Y. Singer. Adaptive Subgradient Methods for Online
       Learning and Stochastic Optimization. JMLR 12, 2011.

    Examples
    --------
    >>> from sknets import GloVeVectorizer
    >>> pets = ["the cat drinks milk", "the dog drinks water", "a dog chases a cat"]
    >>> cars = ["the car needs fuel", "a truck needs oil", "the truck is a big car"]
    >>> words = GloVeVectorizer(embedding_size=16, max_epochs=20, random_state=0)
    >>> words.fit((pets + cars) * 5).transform(["a dog", "the car"]).shape
    (2, 16)
    >>> words.similarity("cat", "milk") > words.similarity("cat", "fuel")
    True
    """

    window: int = param(default=10, at_least=1)
    x_max: float = param(default=10.0, above=0)
    alpha: float = param(default=0.75, at_least=0)
    batch_size: int = param(default=8192, at_least=1)
    lr: float = param(default=0.05, above=0)

    _fewest_epochs: ClassVar[int] = 25

    def _build(self) -> nn.Module:
        n, size = len(self.vocabulary_), self.embedding_size
        return WordTable((n, size), words=(n, 2 * size + 2))

    def _trainer(self, module: nn.Module, seed: int) -> EpochTrainer:
        verbose = int(self.verbose >= 2)
        return GloVeTrainer(module, seed, Settings.of(self), verbose)  # type: ignore[arg-type]

    def _prepare(self, net: Any, *sets: Any) -> None:
        super()._prepare(net, *sets)
        net.settings = Settings.of(self)


__all__ = ["GloVeVectorizer"]
