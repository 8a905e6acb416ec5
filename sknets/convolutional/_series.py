"""Networks for time series: wide kernels, no pooling on the way, all steps at the end.

A series is an image of height 1, since the kernels of images are the fast ones. Long
series are read in strides by the first convolution, so that no more than `LONGEST`
steps are left: the time of a fit is then that of short ones.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import BatchNorm2d, Dropout, OwnScale
from sknets._losses import losses_of_members

LONGEST = 192
# Nets whose mean predicts: one alone is a matter of luck on a few dozen series.
N_MEMBERS = 2
# Filters of the residual net's first block: half of the papers', a third of the time.
WIDTH = 32


def convolution(n_inputs: int, n_outputs: int, kernel: int, stride: int = 1):
    """An odd kernel over the steps, normalised; as many steps come out as go in.

    In strides it is wide enough to see each step twice on its way.
    """
    kernel = kernel if stride == 1 else max(kernel, 2 * stride + 1)
    size, strides, padding = (1, kernel), (1, stride), (0, kernel // 2)
    return nn.Sequential(
        nn.Conv2d(n_inputs, n_outputs, size, strides, padding, bias=False),
        BatchNorm2d(n_outputs),
    )


class FCN(nn.Sequential):
    """Three convolutions [Wang, Yan & Oates 2017]."""

    width: ClassVar[int] = 2 * WIDTH

    def __init__(self, n_channels: int, stride: int):
        super().__init__(
            convolution(n_channels, self.width, 7, stride),
            nn.ReLU(inplace=True),
            convolution(self.width, 2 * self.width, 5),
            nn.ReLU(inplace=True),
            convolution(2 * self.width, self.width, 3),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Three convolutions and a way around them."""

    def __init__(self, n_inputs: int, width: int, stride: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            convolution(n_inputs, width, 7, stride),
            nn.ReLU(inplace=True),
            convolution(width, width, 5),
            nn.ReLU(inplace=True),
            convolution(width, width, 3),
        )
        self.around = (
            BatchNorm2d(width)
            if n_inputs == width
            else convolution(n_inputs, width, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, width, 1, T')
        return F.relu(self.convolutions(x) + self.around(x), inplace=True)


class ResNet(nn.Sequential):
    """Three residual blocks [Wang, Yan & Oates 2017]."""

    width: ClassVar[int] = 2 * WIDTH

    def __init__(self, n_channels: int, stride: int):
        super().__init__(
            ResidualBlock(n_channels, WIDTH, stride),
            ResidualBlock(WIDTH, self.width, 1),
            ResidualBlock(self.width, self.width, 1),
        )


class InceptionModule(nn.Module):
    """Kernels of several lengths side by side, and a pooling."""

    def __init__(self, n_inputs: int, width: int):
        super().__init__()
        n_squeezed = width if n_inputs > width else n_inputs
        self.squeeze = (
            nn.Conv2d(n_inputs, width, 1, bias=False)
            if n_inputs > width
            else nn.Identity()
        )
        self.kernels = nn.ModuleList(
            nn.Conv2d(n_squeezed, width, (1, k), padding=(0, k // 2), bias=False)
            for k in (39, 19, 9)
        )
        self.pool = nn.Sequential(
            nn.MaxPool2d((1, 3), 1, (0, 1)), nn.Conv2d(n_inputs, width, 1, bias=False)
        )
        self.norm = BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, 4 width, 1, T)
        squeezed = self.squeeze(x)
        parts = [kernel(squeezed) for kernel in self.kernels]
        return self.norm(torch.cat([*parts, self.pool(x)], 1))


class Inception(nn.Module):
    """Six inception modules, a way around each three [Ismail Fawaz et al. 2020]."""

    width: ClassVar[int] = 2 * WIDTH

    def __init__(self, n_channels: int, stride: int):
        super().__init__()
        width = WIDTH // 2
        self.stem: nn.Module = nn.Identity()
        if stride > 1:
            stem = convolution(n_channels, width, 1, stride)
            self.stem = nn.Sequential(stem, nn.ReLU(inplace=True))
            n_channels = width
        inputs = [n_channels] + [self.width] * 5
        self.modules_ = nn.ModuleList(InceptionModule(n, width) for n in inputs)
        self.around = nn.ModuleList(
            convolution(n, self.width, 1) for n in (n_channels, self.width)
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, width, 1, T')
        x = before = self.stem(x)
        for i, module in enumerate(self.modules_):
            x = module(x)
            if i % 3 == 2:
                x = x + self.around[i // 3](before)
            x = F.relu(x, inplace=True)
            if i % 3 == 2:
                before = x
        return x


ARCHITECTURES: dict[str, type[FCN | ResNet | Inception]] = {
    "fcn": FCN,
    "resnet": ResNet,
    "inception": Inception,
}


class SeriesNet(nn.Module):
    """A series beside its own shape, convolutions, the mean over the steps.

    So `N_MEMBERS` times, each trained by its own loss; the mean of their outputs
    predicts [Ismail Fawaz et al. 2020].
    """

    def __init__(
        self,
        architecture: str,
        n_channels: int,
        n_steps: int,
        n_outputs: int,
        dropout: float,
        prepare: list[nn.Module],
        loss: Any,
    ):
        super().__init__()
        self.prepare = nn.Sequential(*prepare, OwnScale())
        net, stride = ARCHITECTURES[architecture], -(-n_steps // LONGEST)
        self.members = nn.ModuleList(
            net(2 * n_channels, stride) for _ in range(N_MEMBERS)
        )
        self.dropout = Dropout(dropout)
        self.heads = nn.ModuleList(
            nn.Linear(net.width, n_outputs) for _ in range(N_MEMBERS)
        )
        self.n_features, self.each_loss = N_MEMBERS * net.width, loss.each
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, n_features)
        x = self.prepare(x.contiguous(memory_format=torch.channels_last))
        return torch.cat([member(x).mean((2, 3)) for member in self.members], 1)

    def outputs(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, N_MEMBERS, K)
        parts = self.dropout(self.features(x)).chunk(N_MEMBERS, 1)
        return torch.stack([head(part) for head, part in zip(self.heads, parts)], 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, 1, T) -> (B, K)
        return self.outputs(x).mean(1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:  # -> (B,)
        if not self.training:
            return self.each_loss(self(x), y)
        return losses_of_members(self.each_loss, self.outputs(x), y).mean(1)


__all__ = ["ARCHITECTURES", "LONGEST", "SeriesNet"]
