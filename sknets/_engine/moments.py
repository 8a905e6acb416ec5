"""Weighted means and variances of data that is read once, in pieces."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

# What fits the cache beside its copy in double precision.
PIECE_BYTES = 2**20


def mean_and_variance(
    pieces: Iterable[tuple[torch.Tensor, torch.Tensor | None]],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Merge the moments of pieces of rows [Chan, Golub, LeVeque 1979]; count the rows.

    A piece is a double tensor of shape (rows, columns) and the weights of its rows, or
    None. Also a memory-mapped X is so read once and never held at once.
    """
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


def scale_of(
    mean: np.ndarray, variance: np.ndarray, n: int, dtype: torch.dtype
) -> np.ndarray:
    """The standard deviation, 1 where it is nothing but rounding.

    scikit-learn's rule: a variance within the error of its own computation.
    """
    eps = np.finfo(np.float64 if dtype == torch.float64 else np.float32).eps
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    return np.where(constant, 1.0, np.sqrt(variance))
