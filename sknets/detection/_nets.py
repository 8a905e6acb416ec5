"""What the networks of detection share: images on a canvas, and maps of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknets._backbones import FeatureMaps
from sknets._inputs import ImageList
from sknets._layers import BatchNorm2d
from sknets.detection._boxes import Found, candidates
from sknets.detection._canvas import on_canvas


class CanvasNet(nn.Module):
    """A network that sees images on a canvas.

    ``loss(x, y)`` gives named parts, (B,) each, for y as `padded_boxes` has it.

    Parameters
    ----------
    trunk : Trunk or FeatureMaps
    prepare : nn.Module
        Standardises the channels.
    canvas : tuple of int
    fill : ndarray of shape (C,)
        What is beyond an image.
    """

    fill: Tensor

    def __init__(
        self,
        trunk: Trunk | FeatureMaps,
        prepare: nn.Module,
        canvas: tuple[int, ...],
        fill: np.ndarray,
    ):
        super().__init__()
        self.trunk, self.prepare, self.canvas = trunk, prepare, tuple(canvas)
        table = torch.as_tensor(np.asarray(fill), dtype=torch.float32)
        self.register_buffer("fill", table, persistent=False)
        self.widths = trunk.widths

    def images(self, x: Any) -> Tensor:
        """(B, C, *canvas), standardised."""
        if isinstance(x, ImageList):
            x = on_canvas(x, self.canvas, self.fill)
        x = x.to(next(self.parameters()).dtype)
        return self.prepare(x).contiguous(memory_format=torch.channels_last)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError


class DetectionNet(CanvasNet):
    """One that finds boxes: ``forward(x)`` gives all of an image, whatever overlaps."""

    def forward(self, x: Any, classes: Any = None) -> list[Found]:
        every = self.every(self.images(x), classes)
        return [candidates(*own) for own in zip(*every)]

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What each cell finds: boxes (B, n, 4), how sure it is that there is one (B,
        n), and, if so, of each class (B, n, K).

        ``classes`` may tell these in another way than the network's own.
        """
        raise NotImplementedError


def convolution(
    n_in: int, n_out: int, kernel: int = 3, stride: int = 1
) -> nn.Sequential:
    """Convolved, normalised, rectified with a leak, as in the Darknets."""
    layer = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    return nn.Sequential(layer, BatchNorm2d(n_out), nn.LeakyReLU(0.1, inplace=True))


class Residual(nn.Module):
    """``x + f(g(x))``: to half of the channels by 1 x 1, back by 3 x 3."""

    def __init__(self, width: int):
        super().__init__()
        half = max(1, width // 2)
        self.layers = nn.Sequential(
            convolution(width, half, 1), convolution(half, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Trunk(nn.Module):
    """Maps of an image of strides 2, 4, ...: a small Darknet-53 [Redmon 2018].

    Parameters
    ----------
    n_channels, width : int
        Channels of the image, and of the map of stride 2; each halving doubles them up
        to eight times the width.
    depth : int
        Residual blocks after each halving but the first.
    strides : sequence of int
        The maps that are wanted.

    Attributes
    ----------
    widths : dict of int
        The channels of the map of each stride.
    """

    def __init__(self, n_channels: int, width: int, depth: int, strides: Sequence[int]):
        super().__init__()
        self.strides, self.widths = tuple(strides), {}
        stages, n_in = [], n_channels
        for i in range(int(math.log2(max(strides)))):
            n_out = width * min(2**i, 8)
            blocks = [Residual(n_out) for _ in range(depth if i else 0)]
            stages.append(nn.Sequential(convolution(n_in, n_out, 3, 2), *blocks))
            self.widths[2 ** (i + 1)] = n_in = n_out
        self.stages = nn.ModuleList(stages)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        maps = {}
        for i, stage in enumerate(self.stages):
            x = stage(x)
            maps[2 ** (i + 1)] = x
        return {stride: maps[stride] for stride in self.strides}


def make_trunk(
    backbone: str | None,
    n_channels: int,
    width: int,
    depth: int,
    strides: Sequence[int],
    freeze: bool,
) -> Trunk | FeatureMaps:
    """Our own trunk, or the maps of a network of torchvision."""
    if backbone is None:
        return Trunk(n_channels, width, depth, strides)
    return FeatureMaps(backbone, n_channels, tuple(strides), freeze)


def places(size: Sequence[int], stride: int, like: Tensor) -> Tensor:
    """(h, w, 2): column and row of each cell of a map, x and y."""
    rows, columns = (
        torch.arange(side // stride, device=like.device, dtype=like.dtype)
        for side in size
    )
    grid = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack(grid[::-1], -1)


__all__ = [
    "CanvasNet",
    "DetectionNet",
    "Residual",
    "Trunk",
    "convolution",
    "make_trunk",
    "places",
]
