"""Occlusion: what a prediction loses when a window is hidden."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

from sknets._inputs.videos import is_list
from sknets.inspection._reading import explained, gathered, read, scores_of, slices

# What a batch of occluded images may take as float64.
_BATCH_BYTES = 2**27


def occlusion_map(
    estimator: Any,
    X: Any,
    target: Any = None,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    frames: int | None = None,
    fill: Any = None,
    image_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Which parts of an image or clip a prediction needs: its fall without them [1]_.

    A window slides over the image and hides what is below it. For any estimator,
    scikit-learn's and pipelines too: X itself is changed, in its own layout and dtype,
    and predicted again. Of the clips of `VideoClassifier` and `VideoRegressor` a window
    hides the same place in several frames, and slides over time too: some 300
    predictions a clip, unless ``window``, ``stride`` or ``frames`` are larger.

    Parameters
    ----------
    estimator : fitted estimator
        With ``predict_proba``, ``decision_function`` or ``predict``, of which the first
        is taken that it has.
    X : array-like of shape (n_samples, ...)
        Images, signals or volumes; flat rows, see ``image_shape``. Or clips,
        (n_samples, frames, height, width[, channels]) or a list of unequal ones.
    target : label, int or array-like of shape (n_samples,), default=None
        What is explained, for all samples or for each: a class label; for multilabel y
        and for regressors the number of a column. None: the most probable class or
        label of the whole image; the first column of a regressor.
    window : int or tuple of int, default=None
        Extent of what is hidden, in pixels. None: a quarter of each side, rounded up.
        Of clips that of their frames.
    stride : int or tuple of int, default=None
        From one window to the next, at most ``window``. None: half of ``window``.
    frames : int, default=None
        In how many frames of a clip one after the other a window hides its place; in
        all of a shorter clip. The next window begins half as many later. None: a
        quarter of each clip, rounded up. Only of clips.
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
        hidden: a mean over the windows that hide it. Negative where hiding helps. Of
        clips (n_samples, frames, height, width); of a list of clips an object array
        that has one (frames, height, width) for each.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        For an estimator that predicts nothing.
    ValueError
        For an unknown class, for a window larger than the image, for a stride that
        leaves gaps, for ``frames`` of what are no clips, for X of which the layout
        cannot be told.

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
    clips = isinstance(images.grid, list)
    _check_frames(frames, clips)
    filling = _in_dtype(images.mean if fill is None else fill, images.grid[0])
    whole = scores_of(estimator, images.as_given(images.grid))
    columns = explained("occlusion_map", estimator, target, whole)

    def falls(grid: np.ndarray, rows: slice) -> np.ndarray:
        size = grid.shape[1:-1]
        places = _places(size, window, stride, frames, clips)
        counts, chosen = [len(along) for along in places], columns[rows]
        n_windows = math.prod(counts)
        hidden = np.empty(len(grid) * n_windows)
        for pairs in slices(len(hidden), max(1, _BATCH_BYTES // (8 * grid[0].size))):
            i, j = np.divmod(np.arange(pairs.start, pairs.stop), n_windows)
            mask = _masks(places, np.unravel_index(j, counts))
            batch = images.as_given(np.where(mask[..., None], filling, grid[i]))
            hidden[pairs] = scores_of(estimator, batch)[np.arange(len(i)), chosen[i]]
        drop = whole[rows][np.arange(len(grid)), chosen][:, None]
        drop = (drop - hidden.reshape(len(grid), -1)).reshape(-1, *counts)
        # The mean over the windows that hide a pixel, along one axis after the other.
        for along in places:
            drop = np.tensordot(drop, along / along.sum(0), (1, 0))
        return drop

    if not clips:
        return falls(images.grid, slice(None))
    each = [falls(clip[None], slice(i, i + 1))[0] for i, clip in enumerate(images.grid)]
    return gathered(each, is_list(X))


def _check_frames(frames: Any, clips: bool) -> None:
    if frames is None:
        return
    if not clips:
        raise ValueError(
            f"occlusion_map(frames={frames!r}): frames is for clips, of which the "
            "estimator takes none: leave it out"
        )
    if not isinstance(frames, Integral) or frames < 1:
        raise ValueError(
            f"occlusion_map(frames={frames!r}): frames must be an integer of at least 1"
        )


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


def _places(
    size: tuple[int, ...], window: Any, stride: Any, frames: Any, clips: bool
) -> list[np.ndarray]:
    """What windows hide along each axis, (n_starts, side); the last end at the border.

    Each of the windows is one start along every axis.
    """
    sides = size[1:] if clips else size
    extents = _per_axis("window", window, sides, [-(-side // 4) for side in sides])
    steps = _per_axis("stride", stride, sides, [max(1, w // 2) for w in extents])
    for name, given, values, bounds, why in (
        ("window", window, extents, sides, "it must fit into the image"),
        ("stride", stride, steps, extents, "more than the window would leave gaps"),
    ):
        if any(not 1 <= v <= bound for v, bound in zip(values, bounds)):
            most = " x ".join(map(str, bounds))
            raise ValueError(
                f"occlusion_map({name}={given!r}): {name} must be from 1 to {most}, "
                f"{why}"
            )
    if clips:
        extent = min(size[0], -(-size[0] // 4) if frames is None else frames)
        extents, steps = [extent, *extents], [max(1, extent // 2), *steps]
    places = []
    for side, extent, step in zip(size, extents, steps):
        first = np.unique([*range(0, side - extent + 1, step), side - extent])
        offset = np.arange(side) - first[:, None]
        places.append((offset >= 0) & (offset < extent))
    return places


def _masks(places: list[np.ndarray], starts: Any) -> np.ndarray:
    """The windows of these starts along each axis, (n, *size)."""
    mask = np.ones((len(starts[0]), *[1] * len(places)), bool)
    for axis, (along, at) in enumerate(zip(places, starts), 1):
        shape = [len(at), *[1] * len(places)]
        shape[axis] = along.shape[1]
        mask = mask & along[at].reshape(shape)
    return mask


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
