"""How far two sets of rows are apart."""

from __future__ import annotations

from typing import Any

import numpy as np


def frechet_distance(X: Any, other: Any) -> float:
    """Measure how far two sets of rows are apart, as the normal laws of both are [1]_.

    ``|m - m'|² + tr(C + C' - 2 (C C')^½)`` of their means and covariances. Rows are
    features: numbers of like size, standardised columns for example.

    Parameters
    ----------
    X, other : array-like of shape (n_samples, n_features)
        At least two rows each.

    Returns
    -------
    distance : float
        0 for equal means and covariances.

    Raises
    ------
    ValueError
        If the columns of both are not as many.

    References
    ----------
    .. [1] M. Heusel et al. GANs Trained by a Two Time-Scale Update Rule Converge to a
       Local Nash Equilibrium. NIPS 2017.

    Examples
    --------
    >>> from sknets.metrics import frechet_distance
    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    one, two = (np.asarray(rows, dtype=np.float64) for rows in (X, other))
    if one.ndim != 2 or one.shape[1:] != two.shape[1:]:
        shapes = f"as many columns, got shapes {one.shape} and {two.shape}"
        raise ValueError(f"frechet_distance: both must be rows of {shapes}")
    means = [rows.mean(0) for rows in (one, two)]
    covariances = [np.atleast_2d(np.cov(rows.T, bias=True)) for rows in (one, two)]
    # The root's trace by a symmetric matrix of the same eigenvalues.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ covariances[1] @ root)
    traces = np.trace(covariances[0]) + np.trace(covariances[1])
    traces = traces - 2 * np.sqrt(inner.clip(0)).sum()
    return max(0.0, float(((means[0] - means[1]) ** 2).sum() + traces))


__all__ = ["frechet_distance"]
