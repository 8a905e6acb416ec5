"""Classical models that say something: what was said of the nearest; word by word."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknets._comparison.images import FlatPixels
from sknets._comparison.sequences import SoundThirds

_WORDS = re.compile(r"\w+|[^\w\s]")
_ROUNDS = 6
MAX_TEXTS = 100


def words_of(text: Any) -> list[str]:
    """Words and marks of a string; a list of tokens stays as it is."""
    return _WORDS.findall(text) if isinstance(text, str) else list(text)


class _Nearest(BaseEstimator):
    """Says what was said of the sample that is most like one."""

    is_baseline = True

    def fit(self, X: Any, y: Any) -> Any:
        self.rows_ = self._rows()
        rows = self.rows_.fit_transform(X)
        self.nearest_ = NearestNeighbors(n_neighbors=1, metric="cosine").fit(rows)
        self.said_ = list(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        rows = self.rows_.transform(X)
        found = self.nearest_.kneighbors(rows, return_distance=False)[:, 0]
        texts = np.empty(len(found), dtype=object)
        texts[:] = [self.said_[i] for i in found]
        return texts


class NearestSentence(_Nearest):
    """Of texts, by TF-IDF."""

    def _rows(self) -> Any:
        return TfidfVectorizer(analyzer=words_of, sublinear_tf=True)


class NearestImage(_Nearest):
    """Of images, by the pixels of small ones."""

    def _rows(self) -> Any:
        return FlatPixels()


class NearestSound(_Nearest):
    """Of waveforms, or frames, by their bands in thirds."""

    def _rows(self) -> Any:
        return make_pipeline(SoundThirds(), StandardScaler())


def many_texts(X: Any, y: Any, settings: Any) -> str:
    """Why a classifier of whole texts would not do."""
    n = len(set(map(str, y)))
    return f"{n:,} different texts are too many for classes" if n > MAX_TEXTS else ""


class WordByWord(BaseEstimator):
    """Each word by the one that it is likeliest to become: IBM's first model [1]_.

    Unknown words stay as they are.

    References
    ----------
    .. [1] P. F. Brown et al. The Mathematics of Statistical Machine Translation.
       Computational Linguistics 19, 1993.
    """

    def fit(self, X: Any, y: Any) -> WordByWord:
        (read, self.words_), (written, self.said_) = map(_numbered, (X, y))
        # Each word beside each that it may have become, text by text.
        pairs = [
            np.stack([np.repeat(one, len(other)), np.tile(other, len(one))])
            for one, other in zip(read, written)
        ]
        word, other = np.concatenate(pairs, 1)
        places = np.concatenate(
            [
                start + np.tile(np.arange(len(pair)), len(one))
                for one, pair, start in zip(read, written, _starts(written))
            ]
        )
        shape = len(self.words_), len(self.said_)
        key, index = np.unique(word * shape[1] + other, return_inverse=True)
        chance = np.ones(len(key))
        for _ in range(_ROUNDS):
            share = chance[index]
            share /= np.bincount(places, share)[places]
            count = np.bincount(index, share)
            chance = count / np.bincount(key // shape[1], count)[key // shape[1]]
        table = sparse.csr_array((chance, (key // shape[1], key % shape[1])), shape)
        best = np.asarray(table.argmax(axis=1)).ravel()
        names = list(self.said_)
        self.becomes_ = {w: names[best[i]] for w, i in self.words_.items()}
        self.listed_ = not isinstance(y[0], str)
        return self

    def predict(self, X: Any) -> np.ndarray:
        texts = np.empty(len(X), dtype=object)
        for i, text in enumerate(X):
            words = [self.becomes_.get(word, word) for word in words_of(text)]
            texts[i] = words if self.listed_ else " ".join(words)
        return texts


def _numbered(texts: Any) -> tuple[list[np.ndarray], dict[str, int]]:
    """Texts as numbers of words, and these numbers."""
    numbers: dict[str, int] = {}
    coded = [
        np.array([numbers.setdefault(w, len(numbers)) for w in words_of(text)], int)
        for text in texts
    ]
    return coded, numbers


def _starts(texts: list[np.ndarray]) -> np.ndarray:
    lengths = np.array([*map(len, texts)])
    return lengths.cumsum() - lengths


__all__ = [
    "NearestImage",
    "NearestSentence",
    "NearestSound",
    "WordByWord",
    "many_texts",
    "words_of",
]
