"""Documents as one vector: what is made of those of their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

# The weight a / (a + p) of a word of probability p, as Arora et al. found it best.
_SIF = 1e-3


@dataclass
class Pooling:
    """How word vectors become a document's.

    Attributes
    ----------
    name : str
    weight : ndarray of shape (n_words + 1,) or None
        Of each word, and of what the vocabulary lacks; None for 1.
    direction : ndarray or None
        What all documents have in common, to be left out.
    """

    name: str
    weight: np.ndarray | None = None
    direction: np.ndarray | None = None

    @classmethod
    def of(cls, estimator: Any) -> Pooling:
        """That of a fitted estimator."""
        name = estimator.pooling
        if name in ("mean", "max"):
            return cls(name)
        if not hasattr(estimator.reader_, "word_counts_"):
            why = "a file of vectors tells nothing of how frequent words are"
            raise ValueError(estimator._refusal("pooling", f"{why}: take 'mean'"))
        if name == "tfidf":
            n, within = estimator.n_documents_, estimator.document_counts_
            return cls(name, np.log((1 + n) / (1 + np.append(within, 0))) + 1)
        direction = getattr(estimator, "common_direction_", None)
        if direction is None:
            why = "fit learns what 'sif' leaves out only with this pooling: fit anew"
            raise ValueError(estimator._refusal("pooling", why))
        return cls(name, _smooth(estimator), direction)


def _smooth(estimator: Any) -> np.ndarray:
    share = np.append(estimator.word_counts_, 0) / estimator.n_tokens_
    return _SIF / (_SIF + share)


def pool(
    how: Pooling, table: np.ndarray, rows: list[np.ndarray], words: list[np.ndarray]
) -> np.ndarray:
    """(n_documents, d) of the rows of a table that each one has, -1 for none.

    ``words`` are their numbers in the vocabulary, or others for what it lacks.
    """
    joined, numbers = (
        np.concatenate([*each, np.empty(0, np.int64)]) for each in (rows, words)
    )
    whose = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    known = joined >= 0
    joined, numbers, whose = joined[known], numbers[known], whose[known]
    counts = np.bincount(whose, minlength=len(rows))
    found = np.zeros((len(rows), table.shape[1]), np.float32)
    if not len(joined):
        return found
    ends = np.append(0, counts.cumsum())
    if how.name == "max":
        full = counts > 0
        found[full] = np.maximum.reduceat(table[joined], ends[:-1][full])
        return found
    weight = np.ones(len(joined))
    total = counts.astype(float)
    if how.weight is not None:
        n = len(how.weight) - 1
        weight = how.weight[np.where((numbers < 0) | (numbers > n), n, numbers)]
        if how.name == "tfidf":
            total = np.bincount(whose, weight, len(rows))
    shape = (len(rows), len(table))
    # In single precision, so that a document alone is the same as among others.
    sums = sp.csr_array((weight.astype(np.float32), joined, ends), shape) @ table
    found = sums / np.maximum(total, 1e-12)[:, None].astype(np.float32)
    if how.direction is not None:
        found -= np.outer((found * how.direction).sum(1), how.direction)
    return found


def common_direction(estimator: Any, documents: Any) -> np.ndarray:
    """The first singular vector of documents' weighted means [1]_, in bounded memory.

    References
    ----------
    .. [1] S. Arora, Y. Liang, T. Ma. A Simple but Tough-to-Beat Baseline for Sentence
       Embeddings. ICLR 2017.
    """
    how = Pooling("sif", _smooth(estimator))
    width = estimator._n_features_out
    squares = np.zeros((width, width))
    for _, part in documents.batches(1024):
        found = np.asarray(estimator._pool(how, part), dtype=float)
        squares += found.T @ found
    direction = np.linalg.eigh(squares)[1][:, -1]
    direction *= np.sign(direction[np.abs(direction).argmax()])
    return direction.astype(np.float32)


__all__ = ["Pooling", "common_direction", "pool"]
