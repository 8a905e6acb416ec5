"""What all scores share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight


def weights_of(sample_weight: Any, n: int) -> np.ndarray:
    """Return a weight for each of n images, those given or ones.

    Raises
    ------
    ValueError
        If there are not n of them, if one is negative or not finite, if all are 0.
    """
    if sample_weight is None:
        return np.ones(n)
    return _check_sample_weight(
        sample_weight, np.empty((n, 1)), dtype=np.float64, ensure_non_negative=True
    )


def mean_of(figures: np.ndarray) -> float:
    """Return the mean of those that are no NaN, NaN if there are none."""
    there = figures[~np.isnan(figures)]
    return float(there.mean()) if len(there) else float("nan")


__all__ = ["mean_of", "weights_of"]
