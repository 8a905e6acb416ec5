"""Derivatives by finite differences, compared with those of an algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.random import sample_without_replacement
from torch import Tensor

# The first step is wide, as extrapolated differences lose little by it and rounding
# weighs less; each further one is a quarter of the one before.
FIRST_STEP, SHRINK = 4e-3, 4
_LAST_STEP = FIRST_STEP / SHRINK**9
# Sampled noise of the loss to what is surely beyond it.
_SURE = 10.0


def derivative(
    step: Any,
    parameter: Tensor,
    place: Any,
    noise: float,
    tolerance: float,
    first: float = FIRST_STEP,
) -> tuple[float, float, float] | None:
    """The derivative, what rounding may leave in it and the step; None at a kink.

    ``step()`` is the function, of a number of ``parameter``, and ``step.value`` what it
    is where that number now stands.
    """
    at = parameter[place].item()
    unit = max(1.0, abs(at))

    def f(value: float) -> float:
        with torch.no_grad():
            parameter[place] = value
            return step().item()

    def differences(h: float) -> tuple[float, float]:
        """The central slope, and the right slope less the left one."""
        above, below = f(at + h), f(at - h)
        return (above - below) / (2 * h), (above - 2 * step.value + below) / h

    h = first * unit
    slope, bend = differences(h)
    found, best = None, np.inf
    while h > 1.5 * _LAST_STEP * unit:
        h /= SHRINK
        wide, wide_bend = slope, bend
        slope, bend = differences(h)
        # Errors of order h² leave the slope; curvature, of order h, leaves the bend.
        before, best = best, (SHRINK**2 * slope - wide) / (SHRINK**2 - 1)
        kink = abs(SHRINK * bend - wide_bend) / (SHRINK - 1)
        rounding = _SURE * noise / h
        # A kink at a fifth of the step bends nothing; but no two steps agree on it.
        if max(kink, abs(best - before)) <= max(rounding, 0.1 * tolerance * abs(best)):
            found = best, rounding, h / unit
            break
    with torch.no_grad():
        parameter[place] = at
    return found


def relative_error(
    analytic: float, numeric: tuple[float, float, float] | None, tolerance: float
) -> float | None:
    """How far an analytic derivative is from a numeric one; None at a kink."""
    if not np.isfinite(analytic):
        return np.inf
    if numeric is None:
        return None
    slope, rounding, _ = numeric
    size = max(abs(analytic) + abs(slope), rounding / tolerance)
    return abs(analytic - slope) / max(size, np.finfo(np.float64).tiny)


def choose(
    gradient: np.ndarray, n: int | None, untrained: slice | None, random: Any
) -> np.ndarray:
    """The positions to check: all, or so many, half of them where something moves."""
    size = len(gradient)
    skipped = range(size)[untrained] if untrained is not None else range(0)
    n = size if n is None else min(n, size)
    if n == size:
        chosen = np.arange(size)
    else:
        moved = np.flatnonzero(gradient)
        half = sample_without_replacement(
            len(moved), min(n // 2, len(moved)), random_state=random
        )
        spare = min(n + len(skipped), size)
        others = sample_without_replacement(size, spare, random_state=random)
        chosen = pd.unique(np.concatenate([moved[half], others]))
    return chosen[~np.isin(chosen, skipped)][:n]


__all__ = ["FIRST_STEP", "SHRINK", "choose", "derivative", "relative_error"]
