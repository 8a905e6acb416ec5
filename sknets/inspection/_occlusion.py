"""Occlusion: what a prediction loses when a window is hidden."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from sknets.inspection._reading import explained, read, scores_of, slices

# What a batch of occluded images may take as float64.
_BATCH_BYTES = 2**27


def occlusion_map(
    estimator: Any,
    X: Any,
    target: Any = None,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    fill: Any = None,
    image_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Which parts of an image a prediction needs: how far it falls without them [1]_.

    A window slides over the image and hides what is below it. For any estimator,
    scikit-learn's and pipelines too: X itself is changed, in its own layout and dtype,
    and predicted again.

    Parameters
    ----------
    estimator : fitted estimator
        With ``predict_proba``, ``decision_function`` or ``predict``, of which the first
        is taken that it has.
    X : array-like of shape (n_samples, ...)
        Images, signals or volumes; flat rows, see ``image_shape``.
    target : label, int or array-like of shape (n_samples,), default=None
        What is explained, for all samples or for each: a class label; for multilabel y
        and for regressors the number of a column. None: the most probable class or
        label of the whole image; the first column of a regressor.
    window : int or tuple of int, default=None
        Extent of what is hidden, in pixels. None: a quarter of each side, rounded up.
    stride : int or tuple of int, default=None
        From one window to the next, at most ``window``. None: half of ``window``.
    fill : float or array-like of shape (n_channels,), default=None
        What hidden pixels become, in the unit of X. None: the mean of the training
        images by channel, which an image estimator knows (zero after its
        standardisation); of another estimator the mean of this X.
    image_shape : tuple of int, default=None
        What flat rows hold, (height, width) or with channels, where the estimator does
        not say. None: rows are signals.

    Returns
    -------
    drop : float64 ndarray of shape (n_samples, \\*image_size)
        By how much the probability of the target falls (the decision function without
        probabilities, the prediction of a regressor in units of y) when a pixel is
        hidden: a mean over the windows that hide it. Negative where hiding helps.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        For an estimator that predicts nothing.
    ValueError
        For an unknown class, for a window larger than the image, for a stride that
        leaves gaps, for X of which the layout cannot be told.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus. Visualizing and Understanding Convolutional
       Networks. ECCV 2014, section 4.2.

    Examples
    --------
    Which pixels does a linear model of the digits need?

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sknets import occlusion_map
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LogisticRegression(max_iter=200).fit(X / 16, y)
    >>> drop = occlusion_map(model, X[:5] / 16, image_shape=(8, 8))
    >>> drop.shape
    (5, 8, 8)
    """
    images = read("occlusion_map", estimator, X, image_shape)
    grid, n, size = images.grid, len(images.grid), images.grid.shape[1:-1]
    masks = _windows(size, window, stride)
    filling = _in_dtype(images.mean if fill is None else fill, grid)
    whole = scores_of(estimator, images.as_given(grid))
    columns = explained("occlusion_map", estimator, target, whole)
    n_windows = len(masks)
    hidden = np.empty(n * n_windows)
    for pairs in slices(len(hidden), max(1, _BATCH_BYTES // (8 * grid[0].size))):
        i, j = np.divmod(np.arange(pairs.start, pairs.stop), n_windows)
        batch = np.where(masks[j][..., None], filling, grid[i])
        hidden[pairs] = scores_of(estimator, images.as_given(batch))[
            np.arange(len(i)), columns[i]
        ]
    drop = whole[np.arange(n), columns][:, None] - hidden.reshape(n, n_windows)
    cover = masks.reshape(n_windows, -1).astype(np.float64)
    return (drop @ (cover / cover.sum(0))).reshape(n, *size)


def _in_dtype(fill: Any, grid: np.ndarray) -> np.ndarray:
    values = np.asarray(fill, np.float64)
    if values.shape not in ((), (1,), grid.shape[-1:]) or not np.isfinite(values).all():
        raise ValueError(
            f"occlusion_map(fill={fill!r}): fill must be a finite number, or one for "
            f"each of {grid.shape[-1]} channels"
        )
    if grid.dtype.kind in "iu":
        bounds = np.iinfo(grid.dtype)
        values = values.round().clip(bounds.min, bounds.max)
    return values.astype(grid.dtype)


def _windows(size: tuple[int, ...], window: Any, stride: Any) -> np.ndarray:
    """The masks of all windows, (n_windows, *size); the last ones end at the border."""
    extents = _per_axis("window", window, size, [-(-side // 4) for side in size])
    steps = _per_axis("stride", stride, size, [max(1, w // 2) for w in extents])
    for name, given, values, bounds, why in (
        ("window", window, extents, size, "it must fit into the image"),
        ("stride", stride, steps, extents, "more than the window would leave gaps"),
    ):
        if any(not 1 <= v <= bound for v, bound in zip(values, bounds)):
            most = " x ".join(map(str, bounds))
            raise ValueError(
                f"occlusion_map({name}={given!r}): {name} must be from 1 to {most}, "
                f"{why}"
            )
    masks = np.ones((1,) * (len(size) + 1), bool)
    for axis, (side, extent, step) in enumerate(zip(size, extents, steps)):
        first = np.unique([*range(0, side - extent + 1, step), side - extent])
        offset = np.arange(side) - first[:, None]
        along = (offset >= 0) & (offset < extent)  # (n_starts, side)
        shape = [1] * len(size)
        shape[axis] = side
        masks = masks[:, None] & along.reshape(len(first), *shape)
        masks = masks.reshape(-1, *masks.shape[2:])
    return masks


def _per_axis(name: str, given: Any, size: tuple[int, ...], default: list[int]):
    if given is None:
        return default
    values = [given] * len(size) if np.ndim(given) == 0 else list(given)
    if len(values) != len(size) or any(not isinstance(v, Integral) for v in values):
        raise ValueError(
            f"occlusion_map({name}={given!r}): {name} must be an integer or "
            f"{len(size)} of them, one for each side of the image"
        )
    return values
