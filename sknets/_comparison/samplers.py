"""Samplers for `compare`: each by a forest that learns of its samples alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state

# A forest of fewer rows tells as much of these few as of who made them.
LEAST_ROWS = 1000


class SampledForest(ClassifierMixin, BaseEstimator):
    """A random forest that has learned of new rows of a sampler, not of real ones.

    Parameters
    ----------
    estimator : estimator
        Has ``fit(X, y)`` and ``sample(y=..., random_state=...)``.
    random_state : int, RandomState or None, default=None
    """

    def __init__(self, estimator: Any, random_state: Any = None) -> None:
        self.estimator, self.random_state = estimator, random_state

    def fit(self, X: Any, y: Any) -> SampledForest:
        random = check_random_state(self.random_state)
        self.sampler_ = clone(self.estimator).fit(X, y)
        labels = np.tile(y, -(-LEAST_ROWS // len(y)))
        new = self.sampler_.sample(y=labels, random_state=random.randint(2**31 - 1))
        forest = RandomForestClassifier(random_state=random.randint(2**31 - 1))
        self.forest_ = forest.fit(new, labels)
        self.classes_ = self.forest_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.forest_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.forest_.predict_proba(X)

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None
    ) -> Any:
        """Draw rows as the sampler does: in the units of what it was given."""
        return self.sampler_.sample(n_samples, y=y, random_state=random_state)

    @property
    def n_parameters_(self) -> float:
        """Of the sampler, where these can be counted."""
        return getattr(self.sampler_, "n_parameters_", float("nan"))


def of_samples(sampler: Any) -> Any:
    """The forest of a sampler, which may know no classes."""
    if isinstance(sampler, SampledForest):
        return sampler
    knows = "y" in inspect.signature(sampler.sample).parameters
    return SampledForest(sampler if knows else ClassSampler(sampler))


class ClassSampler(BaseEstimator):
    """A sampler of rows of each class, of one without classes (a mixture, kernels)."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: Any) -> ClassSampler:
        X, y = np.asarray(X), np.asarray(y)
        self.samplers_ = {
            label: self._one(len(rows)).fit(rows)
            for label in np.unique(y).tolist()
            for rows in (X[y == label],)
        }
        self.labels_ = y
        return self

    def _one(self, n_rows: int) -> Any:
        one = clone(self.estimator)
        # A mixture has at most as many parts as there are rows.
        parts = one.get_params().get("n_components")
        return one if parts is None else one.set_params(n_components=min(parts, n_rows))

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None
    ) -> np.ndarray:
        random = check_random_state(random_state)
        if y is None:
            y = random.choice(self.labels_, n_samples)
        y = np.repeat(y, n_samples) if np.ndim(y) == 0 else np.asarray(y)
        made: Any = None
        for label, sampler in self.samplers_.items():
            own = y == label
            if not own.any():
                continue
            if hasattr(sampler, "random_state"):  # of a mixture, which has no argument
                sampler.random_state = random.randint(2**31 - 1)
                rows, _ = sampler.sample(int(own.sum()))
                rows = random.permutation(rows)  # they come part by part
            else:
                seed = random.randint(2**31 - 1)
                rows = sampler.sample(int(own.sum()), random_state=seed)
            made = np.empty((len(y), rows.shape[1])) if made is None else made
            made[own] = rows
        return made


class RealRows(BaseEstimator):
    """What samplers are measured by: it gives the rows that it was given."""

    is_baseline = True

    def fit(self, X: Any, y: Any) -> RealRows:
        self.rows_, self.labels_ = np.asarray(X), np.asarray(y)
        return self

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None
    ) -> np.ndarray:
        random = check_random_state(random_state)
        if y is None:
            y = random.choice(self.labels_, n_samples)
        y = np.repeat(y, n_samples) if np.ndim(y) == 0 else np.asarray(y)
        rows = np.empty((len(y), self.rows_.shape[1]))
        for label in np.unique(y):
            own, wanted = self.rows_[self.labels_ == label], np.flatnonzero(y == label)
            order = random.permutation(len(own))
            rows[wanted] = own[np.resize(order, len(wanted))]
        return rows


__all__ = ["ClassSampler", "RealRows", "SampledForest", "of_samples"]
