"""What estimators give, in one fit for many checks, and whether it is the same."""

from __future__ import annotations

import copy
import pickle
import random
from functools import cached_property
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import clone

from sknets._forecasting import Forecaster

VERBS = (
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "score_samples",
    "discriminator_score",
)


def outputs(estimator: Any, X: Any) -> dict[str, Any]:
    """What every verb of a fitted estimator gives for X."""
    if isinstance(estimator, Forecaster):  # X is the past, not what is asked for
        lower, upper = estimator.predict_interval(y=X)
        forecast = estimator.predict(), estimator.predict(y=X)
        return {"predict": forecast, "lower": lower, "upper": upper}
    return {
        verb: getattr(estimator, verb)(X) for verb in VERBS if hasattr(estimator, verb)
    }


def assert_same(found: Any, expected: Any) -> None:
    """Equal to the bit, whatever the containers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif sp.issparse(expected):
        assert_same(found.toarray(), expected.toarray())
    elif isinstance(expected, list | tuple) or getattr(
        expected, "dtype", None
    ) == np.dtype(object):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


def assert_close(found: Any, expected: Any, computed_in: Any) -> None:
    """Equal but for rounding in the dtype that was computed in."""
    if getattr(expected, "dtype", None) is not None and expected.dtype.kind == "f":
        tolerance = 1e-10 if computed_in == torch.float64 else 1e-5
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, own in expected.items():
            assert_close(found[name], own, computed_in)
    elif getattr(expected, "dtype", None) == np.dtype(object) and len(expected):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_close(one, other, computed_in)
    else:
        assert_same(found, expected)


class Case:
    """An estimator, an X and a y, and the one fit of them that the checks read.

    A check that changes something takes a `new` estimator or a `copy` of the fit.
    """

    def __init__(self, estimator: Any, X: Any, y: Any):
        self.estimator = clone(estimator).set_params(random_state=0)
        self.X, self.y = X, y

    def new(self, **params: Any) -> Any:
        """An unfitted estimator."""
        return clone(self.estimator).set_params(**params)

    def fit(self, estimator: Any) -> Any:
        return estimator.fit(self.X, self.y)

    def of(self, estimator: Any) -> dict[str, Any]:
        """What the verbs of a fitted estimator give."""
        return outputs(estimator, self.X)

    @cached_property
    def fitted(self) -> Any:
        """Fitted under watch: what there was before and after is kept beside it."""
        estimator = self.new()
        self.params = copy.deepcopy(estimator.get_params(deep=False))
        self.data = joblib.hash((self.X, self.y))
        torch.manual_seed(1)
        np.random.seed(1)
        self.streams = [_global_streams()]
        self.returned = self.fit(estimator)
        self.streams.append(_global_streams())
        self.attributes = dict(vars(estimator))
        self.state = pickle.dumps(estimator.__getstate__())
        return estimator

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """The first that the fitted estimator gives."""
        estimator = self.fitted
        streams = _global_streams()
        found = self.of(estimator)
        self.streams += [streams, _global_streams()]
        return found

    def copy(self) -> Any:
        """The fitted estimator as it was before it gave anything."""
        twin = copy.copy(self.fitted)
        vars(twin).clear()
        twin.__setstate__(pickle.loads(self.state))
        return twin


def _global_streams() -> list[bytes]:
    return [
        torch.get_rng_state().numpy().tobytes(),
        pickle.dumps(np.random.get_state()),
        pickle.dumps(random.getstate()),
    ]


__all__ = ["VERBS", "Case", "assert_close", "assert_same", "outputs"]
