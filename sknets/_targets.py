"""What tasks ask of y: that it is there, and how it is weighed and scaled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.stats import _weighted_percentile
from sklearn.utils.validation import _num_samples

from sknets._engine.chunks import Chunks
from sknets._engine.moments import Moments


def given_target(y: Any, owner: str, n_samples: int) -> Any:
    """y, if there is one with as many items as X."""
    if y is None:
        raise ValueError(
            f"{owner} requires y to be passed, but the target y is None: give the "
            "labels or values to learn"
        )
    n = _num_samples(y)
    if n != n_samples:
        raise ValueError(
            f"{owner}: Found input variables with inconsistent numbers of samples: X "
            f"has {n_samples}, y has {n}"
        )
    return y


def refuse_missing(y: Any, owner: str, what: str) -> None:
    """Name the first row without a label or value."""
    if hasattr(y, "tocsr"):
        return
    try:
        values = np.asarray(y)
        of_numbers = values.dtype.kind in "iubf"
        if of_numbers and not (values.dtype.kind == "f" and np.isnan(values).any()):
            return
        values = np.asarray(y, dtype=object)
    except ValueError:  # ragged, which has a sentence of its own
        return
    for i, row in enumerate(values):
        for value in row if isinstance(row, np.ndarray) else (row,):
            if value is None or is_scalar_nan(value) or is_pandas_na(value):
                raise ValueError(
                    f"{owner}: Input y contains NaN: y[{i}] is {value!r}, and each "
                    f"sample needs a {what}; leave out the samples without one"
                )


def balanced(codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """What makes all classes that are there weigh the same in sum."""
    present, codes = np.unique(codes, return_inverse=True)
    sums = np.bincount(codes, weight, len(present)).astype(np.float64)
    there = sums > 0
    return sums.sum() / (there.sum() * np.where(there, sums, 1))[codes]


def scale_of_y(
    chunks: Chunks, columns: np.ndarray, weight: np.ndarray | None, loss: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """What numbers are centred and scaled by for a loss, and whether all are constant.

    By these rows and those of the chunks before.
    """
    # Squares of numbers that are very large, or small, would not be finite.
    largest = np.abs(columns).max(0)
    usual = (largest == 0) | ((largest > 1e-100) & (largest < 1e100))
    unit = np.where(usual, 1.0, largest)
    w = None if weight is None else torch.from_numpy(weight).double()
    own = Moments.of(lambda: [(torch.from_numpy(columns / unit), w)])
    own = replace(own, mean=own.mean * unit, deviation=own.deviation * unit)
    known = chunks.add("y", own)
    mean, scale = known.mean, known.scale(torch.float64)
    if loss == "poisson":
        mean, scale = np.zeros_like(mean), mean
    elif loss != "squared_error":
        both = columns, np.ones(len(columns)) if weight is None else weight
        shape = columns.shape[0], columns.shape[1]
        kept = chunks.keep("y", shape, lambda some: (both[0][some], both[1][some]))
        rows, weights = both if chunks.n == 1 else kept
        centre, apart = robust_scale(rows / unit, weights, scale / unit)
        mean, scale = centre * unit, apart * unit
    return mean, scale, bool(known.is_constant(torch.float64).all())


def robust_scale(
    columns: np.ndarray, weight: np.ndarray | None, otherwise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The (weighted) median, and the scale that a normal distribution of the same
    median absolute deviation has; where that is 0, another scale.
    """
    weight = np.ones(len(columns)) if weight is None else weight
    centre = _weighted_percentile(columns, weight, 50, average=True)
    apart = _weighted_percentile(abs(columns - centre), weight, 50, average=True)
    return centre, np.where(apart > 0, 1.4826 * apart, otherwise)


__all__ = ["balanced", "given_target", "refuse_missing", "robust_scale", "scale_of_y"]
