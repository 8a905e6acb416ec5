"""Weighted means and standard deviations of data that is read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

# What fits the cache beside its copy in double precision.
PIECE_BYTES = 2**20
# The square of the largest number is infinite, unless it is this much smaller.
_SHRINK = 2.0**-560

Pieces = Iterable[tuple[torch.Tensor, torch.Tensor | None]]


@dataclass(frozen=True)
class Moments:
    """The mean and the standard deviation of each column of some rows.

    Parameters
    ----------
    mean, deviation : float64 ndarray of shape (n_columns,)
    weight : float or ndarray of shape (n_columns,)
        What the rows weigh, by which other rows are merged.
    n : int
        How many rows.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: Any
    n: int

    @classmethod
    def of(cls, pieces: Callable[[], Pieces]) -> Self:
        """Those of all pieces.

        A piece is a double tensor of shape (rows, columns) and the weights of its rows,
        or None. Also a memory-mapped X is so read once and never held at once; a second
        time only if squares of its values are infinite.

        Parameters
        ----------
        pieces : callable
            An iterator over the pieces, a new one at each call.
        """
        mean, variance, weight, n = _moments(pieces())
        deviation = np.sqrt(variance)
        large = ~np.isfinite(deviation)
        if large.any():
            small = _moments((piece * _SHRINK, w) for piece, w in pieces())
            mean = np.where(large, small[0] / _SHRINK, mean)
            deviation = np.where(large, np.sqrt(small[1]) / _SHRINK, deviation)
        return cls(mean, deviation, weight, n)

    @classmethod
    def of_known(cls, columns: torch.Tensor, weight: np.ndarray | None) -> Self:
        """Those of the values that are not NaN; where there are none, 0 and 0."""
        values = columns.cpu().double().numpy()
        w = np.where(np.isnan(values), 0.0, 1.0 if weight is None else weight[:, None])
        total, values = w.sum(0), np.nan_to_num(values)
        some = np.maximum(total, np.finfo(float).tiny)
        mean = (w * values).sum(0) / some
        variance = (w * (values - mean) ** 2).sum(0) / some
        return cls(mean, np.sqrt(variance), total, len(values))

    def merged(self, other: Moments) -> Moments:
        """Those of both sets of rows; of equal ones the same bits."""
        total = self.weight + other.weight
        share = other.weight / np.maximum(total, np.finfo(float).tiny)
        delta = other.mean - self.mean
        # Squares of numbers that are very large, or small, would not be finite.
        unit = np.maximum(np.maximum(self.deviation, other.deviation), np.abs(delta))
        unit = np.where(unit > 0, unit, 1.0)
        old, new = (self.deviation / unit) ** 2, (other.deviation / unit) ** 2
        variance = old + share * (new - old)
        variance += share * (1 - share) * (delta / unit) ** 2
        deviation = np.sqrt(np.maximum(variance, 0)) * unit
        return Moments(self.mean + share * delta, deviation, total, self.n + other.n)

    def is_constant(self, dtype: torch.dtype) -> np.ndarray:
        """Where the deviation is nothing but rounding of numbers of that dtype.

        scikit-learn's rule: a variance within the error of its own computation.
        """
        eps = np.finfo(np.float64 if dtype == torch.float64 else np.float32).eps
        # Squares of numbers that are very large, or small, would not be finite.
        unit = np.maximum(self.deviation, np.abs(self.mean))
        unit = np.where(unit > 0, unit, 1.0)
        variance = (self.deviation / unit) ** 2
        error = self.n * eps * variance + (self.n * self.mean / unit * eps) ** 2
        return variance <= error

    def scale(self, dtype: torch.dtype) -> np.ndarray:
        """The standard deviation, 1 of a constant column.

        Raises
        ------
        ValueError
            When it is infinite in that dtype.
        """
        scale = np.where(self.is_constant(dtype), 1.0, self.deviation)
        largest = np.nanmax(scale, initial=0)
        if largest > torch.finfo(dtype).max:
            raise ValueError(
                "X holds numbers that are infinite in float32, in which the network "
                f"computes: a standard deviation is {largest:.3g}; scale X, or set "
                "precision='float64'"
            )
        return scale


def _moments(pieces: Pieces) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Mean, variance, weight and rows [Chan, Golub, LeVeque 1979]."""
    total, n, mean, squares = 0.0, 0, torch.zeros(1).double(), torch.zeros(1).double()
    for piece, w in pieces:
        n += len(piece)
        if w is None:
            size = float(len(piece))
            center = piece.mean(0)
            spread = (piece - center).square_().sum(0)
        else:
            size = float(w.sum())
            if size == 0:
                continue
            center = (w.double() @ piece) / size
            spread = w.double() @ (piece - center).square_()
        delta, total = center - mean, total + size
        mean = mean + delta * (size / total)
        squares = squares + spread + delta.square() * (size * (total - size) / total)
    return mean.numpy(), (squares / total).numpy(), total, n
