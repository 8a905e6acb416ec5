"""A linear model of TF-IDF: what a network on top of it need not learn."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold

from sknets._inputs.text import word

_FOLDS = 5
# liblinear draws from one stream of the process, which each of its fits begins anew.
_LIBLINEAR = threading.Lock()


class WordModel:
    """Logistic or ridge regression of words and pairs of words.

    Attributes
    ----------
    words : dict of str to int
    idf : ndarray of shape (n_words,)
    coef, intercept : ndarray of shape (n_words, n_outputs), (n_outputs,)
    """

    words: dict[str, int]
    idf: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray

    def __init__(self, lowercase: bool, state: dict[str, Any] | None = None):
        self.lowercase = lowercase
        vars(self).update(state or {})

    @property
    def state(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "lowercase"}

    def _vectorizer(self, **more: Any) -> TfidfVectorizer:
        return TfidfVectorizer(
            preprocessor=None if self.lowercase else str,
            lowercase=self.lowercase,
            token_pattern=rf"{word()}|[!?]",
            ngram_range=(1, 2),
            sublinear_tf=True,
            dtype=np.float32,
            **more,
        )

    def fit(
        self, texts: list[Any], y: np.ndarray, weight: Any, classify: bool
    ) -> np.ndarray:
        """Learn from all texts; of each say what those of other folds tell of it.

        What a model says of the texts that it has learned is more certain than what it
        will say of others: a network on top would have nothing left to learn.

        Parameters
        ----------
        texts : list of str or list of str
        y : ndarray of shape (n,), of numbers of classes, or (n, n_outputs)
        weight : ndarray of shape (n,) or None
        classify : bool

        Returns
        -------
        outputs : float32 ndarray of shape (n, n_outputs)
        """
        n, strings = len(texts), _strings(texts)
        rows = np.arange(n) if weight is None else np.flatnonzero(weight)
        vectorizer = self._vectorizer(min_df=2 if n > 20 else 1)
        try:
            x = vectorizer.fit_transform(strings)
        except ValueError:  # there is no word, or none occurs twice
            vectorizer = self._vectorizer(vocabulary=[" "])
            x = vectorizer.fit_transform(strings)
        self.words = {word: int(i) for word, i in vectorizer.vocabulary_.items()}
        self.idf = vectorizer.idf_.astype(np.float32)
        learn = _logits if classify else _ridge
        n_outputs = int(y.max()) + 1 if y.ndim == 1 else y.shape[1]

        def learned(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return learn(
                x[rows], y[rows], n_outputs, None if weight is None else weight[rows]
            )

        self.coef, self.intercept = learned(rows)
        outputs = self._outputs(x)
        for train, test in _folds(y[rows], classify):
            coef, intercept = learned(rows[train])
            outputs[rows[test]] = x[rows[test]] @ coef + intercept
        return outputs

    def __call__(self, texts: list[Any]) -> np.ndarray:
        """The outputs for texts, float32 of shape (n, n_outputs)."""
        vectorizer = self._vectorizer(vocabulary=self.words)
        vectorizer.idf_ = self.idf.astype(np.float64)
        return self._outputs(vectorizer.transform(_strings(texts)))

    def _outputs(self, x: sp.csr_matrix) -> np.ndarray:
        return np.asarray(x @ self.coef + self.intercept, dtype=np.float32)


def _strings(texts: list[Any]) -> list[str]:
    return [text if isinstance(text, str) else " ".join(text) for text in texts]


def _folds(y: np.ndarray, classify: bool) -> Any:
    """By classes, where each has samples enough."""
    n, classes = len(y), y.reshape(len(y), -1)
    if classify and classes.shape[1] == 1:
        rarest = int(np.unique(classes, return_counts=True)[1].min())
        if rarest > 1:
            folds = StratifiedKFold(min(_FOLDS, rarest), shuffle=True, random_state=0)
            return folds.split(classes, classes[:, 0])
    folds = KFold(min(_FOLDS, n), shuffle=True, random_state=0)
    return folds.split(classes) if n > 1 else []


def _logits(
    x: Any, y: np.ndarray, n_outputs: int, weight: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Of each class against all others, or of each column of 0 and 1.

    One by one, by coordinates of the dual, twenty classes of long texts take a tenth of
    the time that all at once do, and are told as well.
    """
    coef = np.zeros((x.shape[1], n_outputs), np.float32)
    intercept = np.zeros(n_outputs, np.float32)
    for j in range(n_outputs):
        labels = y[:, j] > 0 if y.ndim == 2 else y == j
        if labels.all() or not labels.any():
            intercept[j] = 2 if labels[0] else -2
            continue
        model = LogisticRegression(
            C=10, solver="liblinear", dual=True, tol=0.1, random_state=0
        )
        with _LIBLINEAR, warnings.catch_warnings():
            # The network goes on from wherever it has come to.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, labels, weight)
        coef[:, j], intercept[j] = model.coef_[0], model.intercept_[0]
    return coef, intercept


def _ridge(
    x: Any, y: np.ndarray, n_outputs: int, weight: Any
) -> tuple[np.ndarray, np.ndarray]:
    model = Ridge(solver="sparse_cg", random_state=0)
    model.fit(x, y.reshape(len(y), n_outputs), weight)
    coef = np.asarray(model.coef_, np.float32).reshape(n_outputs, -1)
    return coef.T, np.asarray(model.intercept_, np.float32)


__all__ = ["WordModel"]
