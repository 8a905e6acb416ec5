"""Images of any size each, as given: what maps of pixels are made of."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sknets._engine.containers import Container, Index, take
from sknets._engine.device import as_tensor
from sknets._engine.moments import PIECE_BYTES
from sknets._inputs.images import Images, divisor_of, items_of, read_array, unit_of
from sknets._inputs.layout import Layout, learn_layout
from sknets._inputs.resizing import refuse_unlike


class ImageList(Container):
    """Images, or masks, of any size each. A batch of them is one of these again.

    Integers stay integers until numbers are asked for, and a memory-mapped array is
    streamed.

    Parameters
    ----------
    images : tensor (n, *sample) or list of tensors
    layout : Layout
    divisor : float or None
        What brings integers to their unit.
    whole : bool
        Whether the values are numbers of classes, which no dtype changes.
    """

    _moved = ("images",)

    def __init__(
        self,
        images: Any,
        layout: Layout,
        divisor: float | None = None,
        whole: bool = False,
    ):
        self.images, self.layout = images, layout
        self.divisor, self.whole = divisor, whole
        self.sizes = [layout.size(tuple(image.shape)) for image in images]
        if len(set(self.sizes)) > 1:
            self.lengths = torch.tensor([math.prod(size) for size in self.sizes])

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Index) -> Self:
        other = copy.copy(self)
        rows: Sequence[int]
        rows = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        if isinstance(self.images, Tensor):
            other.images = take(self.images, index)
        else:
            other.images = [self.images[i] for i in rows]
        other.sizes = [self.sizes[i] for i in rows]
        if self.lengths is not None:
            other.lengths = self.lengths[list(rows)]
        return other

    @property
    def largest(self) -> tuple[int, ...]:
        """The largest extent of each axis."""
        return tuple(map(max, zip(*self.sizes)))

    def alike(self, stride: int, pixels: int) -> Iterator[tuple[slice, tuple]]:
        """Images that may share a batch, and the size that a network of a stride takes.

        Only neighbours of one size do, of together so many pixels at most, so that what
        is found in an image does not depend on the others.
        """
        i = 0
        while i < len(self):
            whole, end = rounded(self.sizes[i], stride), i + 1
            most = min(len(self), i + pixels // math.prod(whole))
            while end < most and self.sizes[end] == self.sizes[i]:
                end += 1
            yield slice(i, end), whole
            i = end

    def window(self, i: int, start: Sequence[int], size: Sequence[int]) -> Tensor:
        """(C, *size) of an image, as it was given; beyond its edges it is mirrored."""
        image = self.layout.grid(self.images[i][None])[0]
        for axis, (first, n) in enumerate(zip(start, size), 1):
            side = image.shape[axis]
            if first >= 0 and first + n <= side:
                image = image.narrow(axis, first, n)
                continue
            place = torch.arange(first, first + n, device=image.device) % (2 * side)
            place = torch.minimum(place, 2 * side - 1 - place)
            image = image.index_select(axis, place)
        return image

    def numbers(self, windows: list[Tensor]) -> Tensor:
        """(B, C, *size) of windows of one size, in their unit, on the device."""
        dtype = torch.int64 if self.whole else self.dtype
        stacked = torch.stack(windows).to(self.device, dtype)
        return stacked if self.divisor is None else stacked.div_(self.divisor)

    def stacked(self, size: Sequence[int], fill: float | None = None) -> Tensor:
        """(B, C, *size): mirrored beyond each one's far edges, or filled there."""
        if fill is None:
            zeros = (0,) * len(size)
            return self.numbers([self.window(i, zeros, size) for i in range(len(self))])
        windows = []
        for image, own in zip(self.images, self.sizes):
            grid = self.layout.grid(image[None])[0]
            beyond = [m for n, o in zip(size, own) for m in (n - o, 0)][::-1]
            windows.append(F.pad(grid, beyond, value=fill) if any(beyond) else grid)
        return self.numbers(windows)

    def pieces(self, weight: np.ndarray | None):
        """(pixels, channels) and the weight of each pixel, that of its image."""
        for i in range(len(self)):
            grid = self.layout.grid(self.images[i][None])[0].movedim(0, -1)
            rows = max(1, PIECE_BYTES // (8 * max(1, grid[0].numel())))
            for part in grid.split(rows):
                piece = part.flatten(0, -2).cpu().to(torch.float64, copy=True)
                if self.divisor is not None:
                    piece.div_(self.divisor)
                w = None
                if weight is not None:
                    w = piece.new_full((len(piece),), float(weight[i]))
                yield piece, w


class UnequalImages(Images):
    """Arrays of 3 to 5 axes, or a list of arrays of any size: each keeps its own.

    Learned:

    n_channels_, spatial_dims_, channel_axis_ : int
    pixel_unit_ : {"byte", "unit", "raw"}
        uint8, floats within [0, 1], or any other numbers.
    """

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Any:
        owner = self.who
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        items = items_of(owner, X)
        arrays = [read_array(self, X)] if items is None else items
        first = arrays[0].shape[1:] if items is None else arrays[0].shape
        if reset:
            layout = learn_layout(self, first, plain=False)
            self.spatial_dims_, self.channel_axis_ = layout
            self.n_channels_ = layout.channels(first)
        layout = Layout(self.spatial_dims_, self.channel_axis_)
        samples = list(arrays[0][:1]) if items is None else items
        refuse_unlike(self, samples, layout, self.n_channels_, reset)
        if reset:
            self.pixel_unit_ = unit_of(owner, arrays, layout)
        divisor = divisor_of(self, arrays)
        tensors = [as_tensor(each) for each in arrays]
        return ImageList(tensors[0] if items is None else tensors, layout, divisor)


def rounded(size: Sequence[int], stride: int) -> tuple[int, ...]:
    """The next size that a network of a stride takes."""
    return tuple(-(-side // stride) * stride for side in size)


__all__ = ["ImageList", "UnequalImages", "rounded"]
