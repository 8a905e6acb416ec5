"""What X, the scores and the target of an explanation are, for any estimator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknets._inputs import Images, Videos
from sknets._inputs.layout import Layout, learn_layout


class ImageGrid(NamedTuple):
    """X as (n_samples, *size, n_channels), and the way back to what it was.

    Of clips the grid is a list of (frames, height, width, n_channels).
    """

    grid: Any
    mean: np.ndarray  # by channel, in the unit of X
    as_given: Callable[[Any], Any]


def read(caller: str, estimator: Any, X: Any, image_shape: Any) -> ImageGrid:
    check_is_fitted(estimator)
    reader = getattr(estimator, "best_estimator_", estimator)
    reader = reader[0] if isinstance(reader, Pipeline) else reader
    if takes_clips(reader):
        return _read_clips(reader, X)
    knows = Images in getattr(reader, "_inputs", ())
    columns = None
    if knows:
        # Of one size and as images already, which it takes as well as X.
        pixels = reader._check_input(X, reset=False)
        values, layout = pixels.values.numpy(), pixels.layout
        shape = values.shape[1:]
    else:
        values, columns = np.asarray(X), getattr(X, "columns", None)
        if values.ndim < 2 or values.dtype.kind not in "biuf":
            raise ValueError(
                f"{caller}: X must be an array of images of one size, got dtype "
                f"{values.dtype} and shape {values.shape}"
            )
        values = values.astype(np.float32) if values.dtype.kind == "b" else values
        shape = values.shape[1:]
        if image_shape is not None:
            if math.prod(image_shape) != math.prod(shape):
                raise ValueError(
                    f"{caller}(image_shape={image_shape!r}): it has "
                    f"{math.prod(image_shape)} pixels, but samples of X have "
                    f"{math.prod(shape)}"
                )
            values = values.reshape(-1, *image_shape)
        layout = _guess_layout(caller, values.shape[1:])
    axis = {None: None, 0: 1, -1: -1}[layout.channel_axis]

    def as_given(grid: np.ndarray) -> Any:
        array = grid[..., 0] if axis is None else np.moveaxis(grid, -1, axis)
        array = array.reshape(-1, *shape)
        return array if columns is None else pd.DataFrame(array, columns=columns)

    grid = values[..., None] if axis is None else np.moveaxis(values, axis, -1)
    if knows:
        mean = reader.x_mean_ * (pixels.divisor or 1.0)
    else:
        mean = grid.mean(tuple(range(grid.ndim - 1)), dtype=np.float64)
    return ImageGrid(grid, mean, as_given)


def takes_clips(estimator: Any) -> bool:
    return Videos in getattr(estimator, "_inputs", ())


def _read_clips(reader: Any, X: Any) -> ImageGrid:
    clips = reader._check_input(X, reset=False)
    axis = {None: None, 0: 1, -1: -1}[clips.layout.channel_axis]

    def as_given(grid: Any) -> list[np.ndarray]:
        if axis is None:
            return [clip[..., 0] for clip in grid]
        return [np.moveaxis(clip, -1, axis) for clip in grid]

    arrays = [clip.numpy() for clip in clips.clips]
    grid = [a[..., None] if axis is None else np.moveaxis(a, axis, -1) for a in arrays]
    return ImageGrid(grid, reader.x_mean_ * (clips.divisor or 1.0), as_given)


def gathered(maps: list[np.ndarray], listed: bool) -> np.ndarray:
    """One array of the maps, or an object array of them where X is a list of clips."""
    if not listed:
        return np.stack(maps)
    found = np.empty(len(maps), dtype=object)
    for i, each in enumerate(maps):
        found[i] = each
    return found


def _guess_layout(caller: str, shape: tuple[int, ...]) -> Layout:
    try:
        return learn_layout(Images.of(None), shape, plain=len(shape) == 1)
    except ValueError:
        raise ValueError(
            f"{caller}: samples of shape {shape} do not tell which axis holds the "
            "channels: give images with at most 4 channels, first or last"
        ) from None


def scores_of(estimator: Any, X: Any) -> np.ndarray:
    """(n_samples, n_columns): a column a class, a label or an output."""
    classes = is_classifier(estimator)
    verbs = ["decision_function", "predict"]
    verbs = ["predict_proba", *verbs] if classes else verbs
    verb = next((v for v in verbs if hasattr(estimator, v)), None)
    if verb is None:
        raise TypeError(
            "occlusion_map: estimator must have predict_proba, decision_function or "
            f"predict, and {type(estimator).__name__} has none of them"
        )
    found = getattr(estimator, verb)(X)
    if isinstance(found, list):  # scikit-learn's trees: an array a label
        return np.stack([label[:, -1] for label in found], 1)
    found = np.asarray(found)
    if classes and verb == "predict" and found.ndim == 1:
        return (found[:, None] == estimator.classes_).astype(np.float64)
    found = found.astype(np.float64)
    if found.ndim == 1:
        binary = classes and verb == "decision_function"
        found = np.stack([-found, found], 1) if binary else found[:, None]
    return found


def slices(n: int, step: int) -> Iterator[slice]:
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


def explained(
    caller: str, estimator: Any, target: Any, scores: np.ndarray
) -> np.ndarray:
    """The column of each sample's target, by default that of the highest score."""
    columns = columns_of(caller, estimator, target, *scores.shape)
    return scores.argmax(1) if columns is None else columns


def columns_of(
    caller: str, estimator: Any, target: Any, n: int, n_columns: int
) -> np.ndarray | None:
    """The number of each sample's column, None for the most probable ones."""
    if target is None:
        return None if is_classifier(estimator) else np.zeros(n, np.int64)
    given = np.asarray(target)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != n):
        raise ValueError(
            f"{caller}: target must be one value or one for each of the {n} samples, "
            f"got shape {given.shape}"
        )
    options: list[Any] = list(range(n_columns))
    kind = "columns"
    if is_classifier(estimator):
        classes = np.asarray(estimator.classes_)
        if classes.ndim == 1 and len(classes) == n_columns:
            options, kind = classes.tolist(), "classes"
    number = {option: i for i, option in enumerate(options)}
    labels = np.atleast_1d(given).tolist()
    strange = [label for label in labels if label not in number]
    if strange:
        some = ", ".join(map(repr, options[:10])) + ", ..." * (len(options) > 10)
        raise ValueError(f"{caller}(target={strange[0]!r}): the {kind} are {some}")
    return np.broadcast_to([number[label] for label in labels], n)
