"""The network of poses: an image in, maps of joints a quarter as large out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._inputs import ImageList, rounded
from sknets._layers import BatchNorm2d

STRIDE = 4  # of the maps


@dataclass(frozen=True)
class Maps:
    """What the channels of the output are, and in which units.

    Parameters
    ----------
    n_joints : int
    edges : int64 ndarray of shape (n, 2)
        From a joint to another, both ways of each edge of the skeleton.
    lengths : ndarray of shape (n,)
        The mean length of each, the unit of its displacements.
    radius : float
        Of the discs around joints, and the unit of offsets, in pixels.
    depth : tuple of (float, float) or None
        The mean and the standard deviation of depths.
    """

    n_joints: int
    edges: np.ndarray
    lengths: np.ndarray
    radius: float
    depth: tuple[float, float] | None = None

    @property
    def sizes(self) -> list[int]:
        """Channels of heat, offsets, displacements and depths."""
        n = self.n_joints
        return [n, 2 * n, 2 * len(self.edges), n * (self.depth is not None)]

    def split(self, output: Tensor) -> list[Tensor]:
        """Of (B, C, h, w): logits (B, J, h, w), offsets (B, J, 2, h, w), displacements
        (B, n, 2, h, w) and depths (B, J, h, w), in their units.
        """
        heat, offsets, steps, depth = output.split(self.sizes, 1)
        return [heat, _pairs(offsets), _pairs(steps), depth]


def _pairs(maps: Tensor) -> Tensor:
    b, n, h, w = maps.shape
    return maps.reshape(b, n // 2, 2, h, w)


def cells(n: int, like: Tensor) -> Tensor:
    """Where the middles of n cells of the maps are, in pixels."""
    places = torch.arange(n, device=like.device, dtype=like.dtype)
    return places * STRIDE + (STRIDE - 1) / 2


def block(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
        BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class PoseNet(nn.Module):
    """From images (B, C, H, W) to maps (B, K, H / 4, W / 4).

    Two strided convolutions, then ``depth`` halvings and as many doublings, whose maps
    are added to those of the same size on the way down.
    """

    def __init__(
        self, n_channels: int, width: int, depth: int, maps: Maps, prepare: nn.Module
    ):
        super().__init__()
        self.stride, self.prepare = STRIDE * 2**depth, prepare
        half = max(1, width // 2)
        self.stem = nn.Sequential(
            block(n_channels, half, 2), block(half, width, 2), block(width, width)
        )
        widths = [width * (i + 1) for i in range(depth + 1)]
        steps = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(
            nn.Sequential(block(a, b, 2), block(b, b)) for a, b in steps
        )
        self.across = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps[::-1])
        self.up = nn.ModuleList(block(a, a) for a, _ in steps[::-1])
        self.last = block(width, 2 * width)
        self.head = nn.Conv2d(2 * width, sum(maps.sizes), 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=1e-2)
        # Hardly any cell is near a joint.
        assert self.head.bias is not None
        self.head.bias.data[: maps.n_joints] = -4
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Any) -> Tensor:
        if isinstance(x, ImageList):
            x = on_canvas(x, rounded(x.largest, self.stride))
        x = self.stem(self.prepare(x).contiguous(memory_format=torch.channels_last))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for across, up, skip in zip(self.across, self.up, skips[::-1]):
            x = up(skip + F.interpolate(across(x), scale_factor=2.0))
        return self.head(self.last(x))


def on_canvas(x: ImageList, size: Sequence[int]) -> Tensor:
    """(B, C, *size): beyond the far edges of an image its last pixels are repeated.

    Mirrored they would show people without keypoints.
    """
    windows = []
    for i, own in enumerate(x.sizes):
        window = x.window(i, (0, 0), own)
        for axis, (side, n) in enumerate(zip(own, size), 1):
            if side != n:
                place = torch.arange(n, device=window.device).clamp(max=side - 1)
                window = window.index_select(axis, place)
        windows.append(window)
    return x.numbers(windows)


__all__ = ["STRIDE", "Maps", "PoseNet", "cells", "on_canvas"]
