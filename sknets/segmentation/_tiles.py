"""Networks of pixels, and how they read images of any size: whole, or by tiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknets._inputs import ImageList, rounded


class PixelNet(nn.Module):
    """A network from images (B, C, *size) to scores (B, K, *size) of each pixel.

    Attributes
    ----------
    stride : int
        Extents are to be multiples of it; others are mirrored at their far edges.
    reach : int
        How far a pixel of the output sees, in pixels.
    """

    stride: int
    reach: int

    def forward(self, x: Any) -> Tensor:
        if isinstance(x, ImageList):
            x = x.stacked(rounded(x.largest, self.stride))
        return self.scores(x)

    def scores(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def maps(
        self, x: ImageList, read: Callable[[Tensor], Tensor], tile_size: int
    ) -> list[np.ndarray]:
        """What ``read`` makes of each image, a map as large as it.

        Larger ones than ``tile_size`` squared pixels are cut into tiles.
        """
        largest, maps = tile_size**2, []
        for rows, whole in x.alike(self.stride, largest):
            if math.prod(whole) > largest:
                maps.append(self._by_tiles(x, rows.start, whole, read, tile_size))
                continue
            part = x.batch(rows)
            found = read(part.stacked(whole)).cpu().numpy()
            inside = tuple(slice(0, side) for side in part.sizes[0])
            maps.extend(each[(..., *inside)] for each in found)
        return maps

    def averaged(self, x: Tensor, turns: int, flips: int) -> Tensor:
        """Logarithms of mean probabilities over mirrored and turned images."""
        views = [(turn, flip) for turn in range(turns) for flip in range(flips)]
        total: Any = 0.0
        for turn, flip in views:
            seen = (x.flip(-1) if flip else x).rot90(turn, (-2, -1))
            p = self.scores(seen).float().softmax(1).rot90(-turn, (-2, -1))
            total = total + (p.flip(-1) if flip else p)
        return (total / len(views)).log()

    def _by_tiles(
        self, x: ImageList, i: int, whole: Any, read: Any, tile_size: int
    ) -> np.ndarray:
        size = x.sizes[i]
        side = round(tile_size ** (2 / len(size)))
        tile, margin = rounded((side, self.reach), self.stride)
        table: Any = None
        for start, extent, inner, outer in tiles(whole, tile, margin):
            window = x.numbers([x.window(i, start, extent)])
            found = read(window)[0].cpu().numpy()
            if table is None:
                table = np.empty((*found.shape[: -len(size)], *size), found.dtype)
            # Of what was mirrored beyond the image nothing is kept.
            inside = tuple(slice(s.start, min(s.stop, n)) for s, n in zip(outer, size))
            kept = found[(..., *inner)]
            there = tuple(slice(0, s.stop - s.start) for s in inside)
            table[(..., *inside)] = kept[(..., *there)]
        return table


def reach_of(module: nn.Module, image: Tensor) -> int:
    """How far a pixel of the output sees, in pixels: an upper bound.

    A layer whose input is a j-th of the image's size sees j times its kernel.
    """
    seen, side = [0.0], image.shape[-1]

    def add(layer: Any, inputs: Any, output: Any) -> None:
        kernel, dilation = np.max(layer.kernel_size), np.max(layer.dilation)
        coarse = min(inputs[0].shape[-1], output.shape[-1])
        seen[0] += side / coarse * dilation * (kernel - 1)

    layers = [each for each in module.modules() if hasattr(each, "kernel_size")]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    training = module.training
    module.eval()
    with torch.inference_mode():
        module(image)
    module.train(training)
    for hook in hooks:
        hook.remove()
    return math.ceil(seen[0] / 2)


def tiles(
    size: Sequence[int], tile: int, margin: int
) -> Iterator[tuple[list[int], list[int], tuple[slice, ...], tuple[slice, ...]]]:
    """Cut an extent into tiles that see their surroundings.

    Parameters
    ----------
    size : sequence of int
    tile : int
        The side of what each tile decides.
    margin : int
        What it sees around that, a multiple of the network's stride as ``tile`` is.

    Yields
    ------
    start, extent : list of int
        What the tile sees.
    inner : tuple of slice
        What it decides, within what it sees.
    outer : tuple of slice
        The same within the whole.
    """
    for corner in itertools.product(*(range(0, side, tile) for side in size)):
        ends = [min(first + tile, side) for first, side in zip(corner, size)]
        start = [max(0, first - margin) for first in corner]
        stop = [min(side, end + margin) for end, side in zip(ends, size)]
        outer = tuple(map(slice, corner, ends))
        inner = tuple(
            slice(first - s, end - s) for first, end, s in zip(corner, ends, start)
        )
        yield start, [b - a for a, b in zip(start, stop)], inner, outer


__all__ = ["PixelNet", "reach_of", "tiles"]
