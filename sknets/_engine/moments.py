"""Weighted means and standard deviations of data that is read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

# What fits the cache beside its copy in double precision.
PIECE_BYTES = 2**20
# The square of the largest number is infinite, unless it is this much smaller.
_SHRINK = 2.0**-560

Pieces = Iterable[tuple[torch.Tensor, torch.Tensor | None]]


def mean_and_scale(
    pieces: Callable[[], Pieces], dtype: torch.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of each column, which is 1 of a constant one.

    A piece is a double tensor of shape (rows, columns) and the weights of its rows, or
    None. Also a memory-mapped X is so read once and never held at once; a second time
    only if squares of its values are infinite.

    Parameters
    ----------
    pieces : callable
        An iterator over the pieces, a new one at each call.
    dtype : torch.dtype
        Of the values themselves.

    Raises
    ------
    ValueError
        When a standard deviation is infinite in that dtype.
    """
    mean, variance, n = moments(pieces())
    scale = scale_of(mean, variance, n, dtype)
    large = ~np.isfinite(scale)
    if large.any():
        shrunk = ((piece * _SHRINK, weight) for piece, weight in pieces())
        small = moments(shrunk)
        mean = np.where(large, small[0] / _SHRINK, mean)
        scale = np.where(large, scale_of(*small, dtype) / _SHRINK, scale)
    if scale.max(initial=0) > torch.finfo(dtype).max:
        raise ValueError(
            "X holds numbers that are infinite in float32, in which the network "
            f"computes: a standard deviation is {scale.max():.3g}; scale X, or set "
            "precision='float64'"
        )
    return mean, scale


def moments(pieces: Pieces) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean, variance and rows, merged of pieces [Chan, Golub, LeVeque 1979]."""
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
    return mean.numpy(), (squares / total).numpy(), n


def known_moments(
    columns: torch.Tensor, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales of the values that are not NaN; 0 and 1 where there are none."""
    values = columns.cpu().double().numpy()
    w = np.where(np.isnan(values), 0.0, 1.0 if weight is None else weight[:, None])
    total, values = np.maximum(w.sum(0), np.finfo(float).tiny), np.nan_to_num(values)
    mean = (w * values).sum(0) / total
    variance = (w * (values - mean) ** 2).sum(0) / total
    return mean, scale_of(mean, variance, len(values), columns.dtype)


def merged(
    old: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and variance of two sets, of which the new one is that share."""
    delta = new[0] - old[0]
    between = delta**2 * share * (1 - share)
    return old[0] + share * delta, old[1] + share * (new[1] - old[1]) + between


def scale_of(
    mean: np.ndarray, variance: np.ndarray, n: int, dtype: torch.dtype
) -> np.ndarray:
    """The standard deviation, 1 where it is nothing but rounding.

    scikit-learn's rule: a variance within the error of its own computation.
    """
    eps = np.finfo(np.float64 if dtype == torch.float64 else np.float32).eps
    with np.errstate(over="ignore", invalid="ignore"):
        constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    constant &= np.isfinite(variance)
    return np.where(constant, 1.0, np.sqrt(variance))
