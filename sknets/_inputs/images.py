"""Images, signals and volumes: arrays of pixels on a grid, one array a sample."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_array
from torch import Tensor

from sknets._engine.containers import Container, take
from sknets._engine.device import as_tensor
from sknets._engine.moments import PIECE_BYTES
from sknets._inputs.columns import refuse_columns
from sknets._inputs.layout import Layout, learn_layout
from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Learned, Reader
from sknets._inputs.resizing import resized_array, resized_list
from sknets._inputs.table import ROUNDING, read_numbers
from sknets._params import param
from sknets._warn import warn


class PixelUnitWarning(UserWarning):
    """The unit of float images had to be assumed."""


class Pixels(Container):
    """The canonical container: samples as given, cut into batches (B, C, *size).

    Integers stay integers until a batch is made of them, and a memory-mapped array is
    streamed.
    """

    _moved = ("values",)

    def __init__(
        self,
        values: Tensor,
        layout: Layout,
        divisor: float | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.values, self.layout, self.divisor = values, layout, divisor
        self.dtype = dtype

    def __len__(self) -> int:
        return self.values.shape[0]

    def batch(self, index: slice | Tensor) -> Tensor:
        samples = take(self.values, index).to(self.device, self.dtype)
        if self.divisor is not None:  # of integers, so this is a copy already
            samples = samples.div_(self.divisor)
        return self.layout.grid(samples)

    def pieces(self, weight: np.ndarray | None):
        """(pixels, channels) and the weight of each pixel, a cache at a time."""
        step = max(1, PIECE_BYTES // (8 * self.values[0].numel()))
        for start in range(0, len(self), step):
            piece = self.values[start : start + step].cpu().double()
            grid = self.layout.grid(piece.div_(self.divisor) if self.divisor else piece)
            w = None
            if weight is not None:
                w = torch.from_numpy(weight[start : start + step])
                w = w.repeat_interleave(grid[0, 0].numel())
            yield grid.movedim(1, -1).flatten(0, -2), w


class ReadsImages:
    """The attributes of every estimator that reads images."""

    sample_shape_ = Learned()
    image_size_ = Learned()
    n_channels_ = Learned()
    spatial_dims_ = Learned()
    channel_axis_ = Learned()
    pixel_unit_ = Learned()


class Images(Reader):
    """Arrays of 2 to 5 axes, or a list of arrays of unequal size.

    Learned:

    sample_shape_ : tuple or None
        Shape of a sample as given; None where samples may differ in size.
    image_size_ : tuple
        Extent of what the network sees, without channels.
    n_channels_, spatial_dims_, channel_axis_ : int
    pixel_unit_ : {"byte", "unit", "raw"}
        uint8, floats within [0, 1], or any other numbers.
    """

    name: ClassVar[str] = "images"

    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    spatial_dims: int | None = param(default=None, at_least=1, at_most=3)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Any:
        owner = self.who
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        items = items_of(owner, X)
        rows = items is None and _axes(X) == 2
        if items is None:
            refuse_files(owner, X)
        if reset and not rows and self.image_shape is not None:
            raise ValueError(
                self._refusal(
                    "image_shape",
                    "image_shape is for X of flat rows (n_samples, n_pixels), and X "
                    f"has samples of shape {_shape_of(items, X)} already",
                )
            )
        if items is None:
            array = _read_rows(self, X, reset) if rows else read_array(self, X, 2)
        first = tuple(array.shape[1:]) if items is None else items[0].shape
        if reset:
            layout = learn_layout(self, first, plain=rows and len(first) == 1)
            self.spatial_dims_, self.channel_axis_ = layout
            any_size = items is not None or self.resize is not None
            self.sample_shape_ = None if any_size else first
        layout = Layout(self.spatial_dims_, self.channel_axis_)
        if items is None:
            array = resized_array(self, array, layout, reset)
        else:
            array = resized_list(self, items, layout, reset)
        if reset:
            self.n_channels_ = layout.channels(array.shape[1:])
            self.image_size_ = layout.size(array.shape[1:])
            self.pixel_unit_ = unit_of(owner, [array], layout)
        divisor = divisor_of(self, [array])
        # Tables are computed in their own dtype, as scikit-learn does.
        table = array.ndim == 2 and array.dtype == np.float64
        dtype = torch.float64 if table else torch.float32
        return Pixels(as_tensor(array), layout, divisor, dtype)


def items_of(owner: str, X: Any) -> list[np.ndarray] | None:
    """The samples of a list of images, None for what is one array."""
    listed = isinstance(X, list | tuple) or getattr(X, "dtype", None) == np.object_
    if not listed or hasattr(X, "columns"):
        return None
    if not len(X):
        raise ValueError(f"{owner}: X has 0 samples; it must have at least one image")
    first = next((item for item in X if item is not None), None)
    if first is not None and _axes(first) < 2:
        return None
    items = []
    for i, given in enumerate(X):
        if getattr(given, "mode", None) == "P":  # of PIL: its numbers are no colours
            given = given.convert("RGB")
        try:
            item = np.asarray(given)
        except ValueError:
            item = np.empty(0, dtype=object)
        if item.dtype.kind not in "biuf":
            raise ValueError(
                f"{owner}: X[{i}] must be an array of numbers, got {on_one_line(given)}"
            )
        if not 2 <= item.ndim <= 4:
            raise ValueError(
                f"{owner}: X[{i}] must be one image, with 2 to 4 axes, got shape "
                f"{item.shape}"
            )
        if not item.size:
            raise ValueError(_empty(owner, i, item.shape))
        if item.dtype.kind == "f" and not np.isfinite(item).all():
            raise ValueError(f"{owner}: X[{i}] contains NaN or infinity")
        items.append(bytes_or_floats(item))
    return items


def refuse_files(owner: str, X: Any) -> None:
    """Refuse the names of pictures, and nothing at all."""
    if X is None or holds_strings([X]) or holds_strings(X):
        raise ValueError(
            f"{owner}: X must be an array of images or a list of arrays, got "
            f"{X!r:.60}: read files first, with PIL or imageio for example"
        )


def _empty(owner: str, i: int, shape: tuple[int, ...]) -> str:
    return (
        f"{owner}: X[{i}] is an empty image, of shape {shape}; every side must be at "
        "least 1"
    )


def bytes_or_floats(array: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 255 as bytes, whatever type they came in."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if array.dtype == np.uint8 or (kind == "f" and size in (4, 8)):
        return array
    small = kind in "iu" and array.size and array.min() >= 0 and array.max() <= 255
    return array.astype(np.uint8 if small else np.float32)


def holds_strings(X: Any) -> bool:
    return isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], str | Path)


def _axes(X: Any) -> int:
    """How many axes an array or nested list has, without converting it."""
    if isinstance(X, list | tuple):
        return 1 + _axes(X[0]) if len(X) else 1
    if hasattr(X, "ndim"):
        return X.ndim
    return np.asarray(X).ndim


def _shape_of(items: list[np.ndarray] | None, X: Any) -> tuple[int, ...]:
    return items[0].shape if items is not None else np.shape(X)[1:]


def read_array(reader: Any, X: Any, least: int = 3) -> np.ndarray:
    """X of three to five axes, where ``least`` would be understood."""
    owner = reader.who
    refuse_files(owner, X)
    refuse_columns(owner, X)
    try:
        array = check_array(X, allow_nd=True, ensure_all_finite=False)
    except (ValueError, TypeError) as error:
        why = str(error).strip().splitlines()[0].rstrip(":")
        if "Reshape your data" in str(error):
            why += ". Reshape your data, or of one sample make a list, [X]"
        raise type(error)(f"{owner}: {why}") from error
    if not 3 <= array.ndim <= 5:
        raise ValueError(
            f"{owner}: X must have {least} to 5 axes (samples, extents, channels), "
            f"got shape {array.shape}"
        )
    if not array.size:
        raise ValueError(_empty(owner, 0, array.shape[1:]))
    if array.dtype.kind == "f" and not math.isfinite(array.sum(dtype=np.float64)):
        raise ValueError(f"{owner}: X contains NaN or infinity")
    return bytes_or_floats(array)


def _read_rows(reader: Any, X: Any, reset: bool) -> np.ndarray:
    """Two-dimensional X: flat images, or every row a signal of one channel."""
    shape = reader.image_shape
    dtypes = [np.float64, np.float32] if shape is None else "numeric"
    array = read_numbers(reader, X, reset=reset, dtype=dtypes)
    if shape is None:
        return array
    array = bytes_or_floats(array)
    if math.prod(shape) != array.shape[1]:
        raise ValueError(
            reader._refusal(
                "image_shape",
                f"image_shape has {math.prod(shape)} pixels, but the rows of X have "
                f"{array.shape[1]} columns",
            )
        )
    return array.reshape(len(array), *shape)


def unit_of(owner: str, arrays: list[np.ndarray], layout: Layout) -> str:
    if arrays[0].dtype == np.uint8:
        return "byte"
    if layout.spatial_dims != 2:
        return "raw"
    low = min(float(array.min()) for array in arrays)
    high = max(float(array.max()) for array in arrays)
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return "unit"
    warn(
        f"{owner}: X holds float images with values from {low:.4g} to {high:.4g}, "
        "outside [0, 1]: they are taken as they are, every channel centred and scaled "
        "by its own mean and standard deviation",
        PixelUnitWarning,
    )
    return "raw"


def divisor_of(reader: Any, arrays: list[np.ndarray]) -> float | None:
    """What brings pixels to the unit of the first fit, refusing what cannot be it."""
    unit, owner = reader.pixel_unit_, reader.who
    if arrays[0].dtype == np.uint8:
        return None if unit == "raw" else 255.0
    if unit == "raw":
        return None
    high = max(float(array.max()) for array in arrays)
    # Interpolation and noise overshoot a little.
    if high > 2:
        was = "uint8" if unit == "byte" else "floats within [0, 1]"
        raise ValueError(
            f"{owner}: X holds floats up to {high:.4g}, but fit had {was}: "
            "divide X by 255, or give uint8"
        )
    return None


__all__ = [
    "Images",
    "PixelUnitWarning",
    "Pixels",
    "ReadsImages",
    "bytes_or_floats",
    "divisor_of",
    "holds_strings",
    "items_of",
    "read_array",
    "unit_of",
]
