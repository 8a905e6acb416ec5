"""One model's cross-validation, measured: scores, seconds, megabytes, parameters."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
from scipy import stats
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if

from sknets._comparison.lineup import innermost
from sknets._engine._skorch import Callback
from sknets._estimator import Estimator
from sknets._inputs.images import PixelUnitWarning

# What is measured beside the metrics, by column of `Comparison.scores`.
MEASURES = (
    "fit_seconds",
    "predict_seconds",
    "parameters",
    "memory_mb",
    "not_converged",
)


def corrected_t_test(difference: np.ndarray, test_over_train: float) -> float:
    """Return the p-value of Nadeau and Bengio's corrected resampled t-test.

    The folds of a cross-validation share most of their training rows, so their
    scores are not independent and the plain paired t-test sees differences that are
    not there. The correction enlarges the variance of the mean from ``1/k`` to
    ``1/k + n_test/n_train``.

    Parameters
    ----------
    difference : ndarray of shape (k,)
        Differences of two models' scores on the same k splits.
    test_over_train : float
        Test rows for each training row, ``1 / (k - 1)`` in a k-fold split.

    Returns
    -------
    float
        Two-sided p-value with k - 1 degrees of freedom; NaN for fewer than 2 splits.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine
    Learning 52, 239-281, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets._comparison.measuring import corrected_t_test
    >>> round(corrected_t_test(np.array([0.02, 0.01, 0.03, 0.02, 0.02]), 0.25), 3)
    0.014
    """
    k = len(difference)
    if k < 2 or not np.isfinite(difference).all():
        return float("nan")
    mean = float(np.mean(difference))
    variance = float(np.var(difference, ddof=1)) * (1 / k + test_over_train)
    # Rounding noise of equal differences is no variance.
    if variance <= (1e-12 * max(abs(mean), 1e-12)) ** 2:
        return 1.0 if abs(mean) < 1e-12 else 0.0
    return float(2 * stats.t.sf(abs(mean) / np.sqrt(variance), df=k - 1))


class TimeUp(Exception):
    """The time limit of a comparison, reached within a fit."""


class Deadline(Callback):
    """Callback that stops the training of a network when time is up.

    Parameters
    ----------
    at : float
        By `time.monotonic`.
    """

    for_trials = True  # of a forecaster, too

    def __init__(self, at: float) -> None:
        self.at = at

    def on_epoch_end(self, net: Any, **data: Any) -> None:
        """Look at the clock."""
        if time.monotonic() >= self.at:
            raise TimeUp


def stop_at(model: Any, at: float) -> None:
    """Let the networks of this library that are in a model keep a time limit."""
    for part in (model, *model.get_params(deep=True).values()):
        if isinstance(part, Estimator):
            part.set_params(callbacks=[*(part.callbacks or ()), Deadline(at)])


class MemoryMeter:
    """Context manager: how far this process's memory rose above where it began.

    Attributes
    ----------
    mb : float
        Peak of the resident set above its value at entry, in megabytes, sampled
        every 5 ms. Memory that the process had already and uses again is not seen.
    """

    def __enter__(self) -> MemoryMeter:
        self._process = psutil.Process()
        self._start = self._peak = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._done.wait(0.005):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self._peak = max(self._peak, self._process.memory_info().rss)
        self.mb = (self._peak - self._start) / 2**20


def _has(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(self.estimator, method)


def ask_for(model: Any, method: str, X: Any) -> Any:
    """Ask a fitted model for what it says of X."""
    return getattr(model, method)(X)


class Measured(MetaEstimatorMixin, BaseEstimator):
    """A model inside `cross_validate`: fits, answers each question once, keeps time.

    Several scorers ask for the same predictions; they are computed for the first
    and remembered, so `predict_seconds_` is the time of one call. What is not asked as
    `ask_for` does it has an ``ask`` of its own.
    """

    def __init__(
        self, estimator: Any, deadline: float | None = None, ask: Any = None
    ) -> None:
        self.estimator, self.deadline, self.ask = estimator, deadline, ask

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def fit(self, X: Any, y: Any = None) -> Measured:
        """Fit a clone, recording seconds, memory and failures to converge."""
        self.model_ = clone(self.estimator)
        if self.deadline is not None:
            stop_at(self.model_, self.deadline)
        given = (X,) if y is None else (X, y)
        self.seen_ = X
        _load_libraries(self.estimator, *given)
        self._answers: dict[str, Any] = {}
        self._asked: Any = None
        with warnings.catch_warnings(record=True) as caught, MemoryMeter() as memory:
            warnings.simplefilter("always", ConvergenceWarning)
            # Said once, in the notes of the problem.
            warnings.simplefilter("ignore", PixelUnitWarning)
            begin = time.perf_counter()
            self.model_.fit(*given)
            self.fit_seconds_ = time.perf_counter() - begin
        slow = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
        for other in caught:
            if other not in slow:
                warnings.warn_explicit(
                    other.message, other.category, other.filename, other.lineno
                )
        self.not_converged_, self.memory_mb_ = float(bool(slow)), memory.mb
        self.predict_seconds_ = float("nan")
        return self

    @property
    def classes_(self) -> np.ndarray:
        """Class labels of the fitted model."""
        return self.model_.classes_

    def _answer(self, method: str, X: Any) -> Any:
        if X is not self._asked:
            self._answers, self._asked = {}, X
        if method not in self._answers:
            begin = time.perf_counter()
            ask = self.ask or ask_for
            self._answers[method] = ask(self.model_, method, X)
            seconds = time.perf_counter() - begin
            if method == "predict" or np.isnan(self.predict_seconds_):
                self.predict_seconds_ = seconds
        return self._answers[method]

    @available_if(_has("predict"))
    def predict(self, X: Any) -> Any:
        """Predict, once for each X."""
        return self._answer("predict", X)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return probabilities, computed once for each X."""
        return self._answer("predict_proba", X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return decision values, computed once for each X."""
        return self._answer("decision_function", X)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the model's own score."""
        return self.model_.score(X, y)


class Scoring:
    """All metrics of one fold, and what was measured, as one scorer.

    A metric after the first that a model cannot give (a log loss without
    probabilities) is NaN; a failure of the first is the model's failure.

    Parameters
    ----------
    scorers : dict
        Name to ``(scorer, sign)``: the figure reported is ``sign * scorer(...)``.
    """

    def __init__(self, scorers: dict[str, tuple[Callable[..., float], int]]) -> None:
        self.scorers = scorers

    def __call__(self, estimator: Measured, X: Any, y: Any = None) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, (scorer, sign) in self.scorers.items():
            try:
                with warnings.catch_warnings():
                    # A fold without a rare class: the metric is NaN, and shown so.
                    warnings.simplefilter("ignore")
                    found[name] = sign * float(scorer(estimator, X, y))
            except Exception:
                if not found:
                    raise
                found[name] = float("nan")
        if np.isnan(estimator.predict_seconds_):  # no scorer asked the meter
            estimator.predict(X)
        for name in ("fit_seconds", "predict_seconds", "memory_mb", "not_converged"):
            found[name] = getattr(estimator, f"{name}_")
        found["parameters"] = count_parameters(estimator.model_)
        return found


def count_parameters(model: Any) -> float:
    """Count the learned coefficients of a fitted model.

    Returns
    -------
    float
        `n_parameters_` of a network of this library, or the sizes of scikit-learn's
        coefficients; NaN where a model has none to count (trees, neighbours).
    """
    if hasattr(model, "n_parameters_"):
        return float(model.n_parameters_)
    if hasattr(model, "steps"):
        *before, last = [count_parameters(step) for _, step in model.steps]
        return float(np.nansum(before) + last)
    for name in ("best_estimator_", "regressor_", "classifier_"):
        if hasattr(model, name):
            return count_parameters(getattr(model, name))
    for slopes, offsets in (
        ("coef_", "intercept_"),
        ("coefs_", "intercepts_"),
        ("theta_", "var_"),
    ):
        if hasattr(model, slopes):
            parts = [getattr(model, slopes), getattr(model, offsets, ())]
            arrays = [a for p in parts for a in (p if isinstance(p, list) else [p])]
            return float(sum(np.size(a) for a in arrays))
    inner = getattr(model, "estimators_", None)
    if isinstance(inner, list) and inner:  # one model for each target, or a forest
        return float(np.sum([count_parameters(m) for m in inner]))
    return float("nan")


def _load_libraries(model: Any, X: Any, y: Any = None) -> None:
    """Fit a network on a few rows, once in a process.

    The first fit in a process also loads libraries, which is no cost of the model.
    """
    net = innermost(model)
    kind = type(net)
    if kind in _LOADED or not kind.__module__.startswith(("sknets.", "skorch.")):
        return
    _LOADED.add(kind)
    few = clone(model)
    path = next(
        (n for n in few.get_params(deep=True) if n.endswith("max_epochs")), None
    )
    if path is not None:
        few.set_params(**{path: 1})
    given: tuple[Any, ...] = (X,)
    if y is not None:
        plain = not any(hasattr(row, "__len__") for row in y[:1].ravel())
        firsts = np.unique(y, axis=0, return_index=True)[1][:20] if plain else [0]
        rows = np.union1d(firsts, np.arange(min(20, len(y))))
        given = (_safe_indexing(X, rows), y[rows])
    # Whatever fails here fails in the real fit as well, and is reported there.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        few.fit(*given)


_LOADED: set[type] = set()


def run_folds(
    estimator: Any,
    X: Any,
    y: Any,
    splits: list[tuple[np.ndarray, np.ndarray]],
    scorers: dict[str, tuple[Callable[..., float], int]],
    n_jobs: int | None,
    deadline: float | None = None,
    ask: Callable[..., Any] | None = None,
) -> list[dict[str, float]]:
    """Cross-validate one model on the given splits; one dict of figures a fold.

    Raises
    ------
    TimeUp
        When a network trains past the deadline, in seconds of `time.monotonic`.
    """
    found = cross_validate(
        Measured(estimator, deadline, ask),
        X,
        y,
        cv=splits,
        scoring=Scoring(scorers),
        n_jobs=n_jobs,
        error_score="raise",
    )
    names = [*scorers, *MEASURES]
    return [
        {name: float(found[f"test_{name}"][i]) for name in names}
        for i in range(len(splits))
    ]
