"""What estimators give, and whether it is the same: for `sknets.testing`."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from sknets._forecasting import Forecaster

VERBS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")


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


__all__ = ["VERBS", "assert_close", "assert_same", "outputs"]
