"""The networks of a game about images, of signals and volumes too: DCGAN's.

Radford, Metz, Chintala 2016, with the condition beside the generator's noise and in
the biases of the discriminator.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normed

from sknets._layers import BatchNorm1d, BatchNorm2d, BatchNorm3d
from sknets.adversarial._nets import beside

_UP: dict[int, Any] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_DOWN: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, Any] = {1: BatchNorm1d, 2: BatchNorm2d, 3: BatchNorm3d}
_SLOPE = 0.2


def n_halvings(size: tuple[int, ...]) -> int:
    """How often sides are halved, so that the shortest is left with 4 to 7."""
    return max(1, min(4, math.floor(math.log2(max(1, min(size) / 4)))))


class ImageGenerator(nn.Module):
    """Noise (B, Z) and conditions (B, K) to images (B, C, *size)."""

    def __init__(
        self,
        n_inputs: int,
        n_channels: int,
        size: tuple[int, ...],
        width: int,
        bounded: bool,
    ):
        super().__init__()
        dims, times = len(size), n_halvings(size)
        first = [-(-side // 2**times) for side in size]
        widths = [width * 2**i for i in range(times)][::-1]
        self.start = nn.Linear(n_inputs, widths[0] * math.prod(first), bias=False)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (widths[0], *first)),
            _NORM[dims](widths[0]),
            nn.ReLU(inplace=True),
        ]
        for n, m in itertools.pairwise(widths):
            layers += [_UP[dims](n, m, 4, 2, 1, bias=False), _NORM[dims](m)]
            layers.append(nn.ReLU(inplace=True))
        layers.append(_UP[dims](widths[-1], n_channels, 4, 2, 1))
        self.layers = nn.Sequential(*layers)
        self.size, self.bounded = size, bounded

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.layers(self.start(beside(z, y)))
        for axis, side in enumerate(self.size, start=2):  # what is too much at the end
            x = x.narrow(axis, 0, side)
        return x.tanh() if self.bounded else x

    def draw(self, z: Tensor, y: Tensor | None, generator: torch.Generator) -> Tensor:
        return self(z, y)


class ImageDiscriminator(nn.Module):
    """Images (B, C, *size) and conditions (B, K) to a number each."""

    def __init__(
        self,
        n_conditions: int,
        n_channels: int,
        size: tuple[int, ...],
        width: int,
        normed: bool,
    ):
        super().__init__()
        dims, times = len(size), n_halvings(size)
        norm: Any = spectrally_normed if normed else nn.Identity()
        widths = [n_channels, *(width * 2**i for i in range(times))]
        pairs = list(itertools.pairwise(widths))
        self.layers = nn.ModuleList(norm(_DOWN[dims](*p, 4, 2, 1)) for p in pairs)
        self.given = nn.ModuleList(
            nn.Linear(n_conditions, m, bias=False) for m in widths[1:] if n_conditions
        )
        self.out = norm(
            nn.Linear(widths[-1] * math.prod(side // 2**times for side in size), 1)
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:  # -> (B,)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if y is not None:
                bias = self.given[i](y)
                x = x + bias.view(*bias.shape, *[1] * (x.ndim - 2))
            x = F.leaky_relu_(x, _SLOPE)
        return self.out(x.flatten(1))[:, 0]

    def with_slope(
        self, x: Tensor, y: Tensor | None, rows: slice
    ) -> tuple[Tensor, Tensor]:
        """The numbers, and the gradient by x of those of some rows."""
        with torch.enable_grad():
            part = x[rows].detach().requires_grad_()
            x = torch.cat([x[: rows.start or 0], part, x[rows.stop :]])
            scores = self(x, y)
            (slopes,) = torch.autograd.grad(scores[rows].sum(), part, create_graph=True)
        return scores, slopes


__all__ = ["ImageDiscriminator", "ImageGenerator", "n_halvings"]
