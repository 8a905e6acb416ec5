"""Maps of images of several strides: a small Darknet, or a backbone of torchvision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sknets._backbones import FeatureMaps
from sknets._layers import BatchNorm2d


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
        Residual blocks after each halving, but for the first of a trunk not so fine.
    strides : sequence of int
        The maps that are wanted.
    fine : bool
        Whether the first halving makes channels of the pixels of each square of two by
        two before a convolution looks at them, and residual blocks follow it, too:
        edges are seen to less than a pixel, as by the paper's convolution at full
        resolution, which takes longer.

    Attributes
    ----------
    widths : dict of int
        The channels of the map of each stride.
    """

    def __init__(
        self,
        n_channels: int,
        width: int,
        depth: int,
        strides: Sequence[int],
        fine: bool = True,
    ):
        super().__init__()
        self.strides, self.widths = tuple(strides), {}
        stages, n_in = [], n_channels
        for i in range(int(math.log2(max(strides)))):
            n_out = width * min(2**i, 8)
            halved: list[nn.Module] = [convolution(n_in, n_out, 3, 2)]
            if fine and i == 0:
                halved = [nn.PixelUnshuffle(2), convolution(4 * n_in, n_out)]
            blocks = [Residual(n_out) for _ in range(depth if i or fine else 0)]
            stages.append(nn.Sequential(*halved, *blocks))
            self.widths[2 ** (i + 1)] = n_in = n_out
        self.stages = nn.ModuleList(stages)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        maps = {}
        for i, stage in enumerate(self.stages, 1):
            x = maps[2**i] = stage(x)
        return {stride: maps[stride] for stride in self.strides}


def make_trunk(
    backbone: str | None,
    n_channels: int,
    width: int,
    depth: int,
    strides: Sequence[int],
    freeze: bool,
    fine: bool = True,
) -> Trunk | FeatureMaps:
    """Our own trunk, or the maps of a network of torchvision."""
    if backbone is None:
        return Trunk(n_channels, width, depth, strides, fine)
    return FeatureMaps(backbone, n_channels, tuple(strides), freeze)


__all__ = ["Residual", "Trunk", "convolution", "make_trunk"]
