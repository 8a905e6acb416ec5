"""The networks of a game about rows: layers of units, with the condition beside x."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normed

_SLOPE = 0.2  # of leaky units


def beside(x: Tensor, y: Tensor | None) -> Tensor:
    """Rows with their conditions."""
    return x if y is None else torch.cat([x, y], 1)


class RowGenerator(nn.Module):
    """Noise (B, Z) and conditions (B, K) to rows (B, E).

    The first columns are numbers; groups of further ones are choices, of which softmax
    makes a vector near a corner [Jang et al. 2017], and `draw` a corner.
    """

    def __init__(self, sizes: list[int], choices: list[int], temperature: float = 0.2):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in itertools.pairwise(sizes)
        )
        self.choices, self.temperature = choices, temperature
        self.generator: torch.Generator | None = None

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.finish(self.numbers(z, y), self.generator)

    def draw(self, z: Tensor, y: Tensor | None, generator: torch.Generator) -> Tensor:
        return self.finish(self.numbers(z, y), generator, hard=True)

    def numbers(self, z: Tensor, y: Tensor | None) -> Tensor:
        x = beside(z, y)
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x).relu()
        return last(x)

    def finish(
        self, x: Tensor, generator: torch.Generator | None, hard: bool = False
    ) -> Tensor:
        """Choices of the numbers that stand for them, by Gumbel's noise."""
        if not self.choices:
            return x
        n = x.shape[1] - sum(self.choices)
        numbers, *groups = x.split([n, *self.choices], 1)
        logits = torch.cat(groups, 1)
        noise = torch.empty_like(logits).exponential_(generator=generator)
        logits = logits - noise.clamp_min_(torch.finfo(x.dtype).tiny).log_()
        groups = logits.split(self.choices, 1)
        if hard:
            chosen = [F.one_hot(g.argmax(1), g.shape[1]).to(x) for g in groups]
        else:
            chosen = [(g / self.temperature).softmax(1) for g in groups]
        return torch.cat([numbers, *chosen], 1)


class RowDiscriminator(nn.Module):
    """Rows (B, E) and conditions (B, K) to a number each, the higher the more real."""

    def __init__(self, sizes: list[int], n_columns: int, normed: bool):
        super().__init__()
        layers: list[Any] = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        if normed:
            layers = [spectrally_normed(layer) for layer in layers]
        self.layers, self.n_columns = nn.ModuleList(layers), n_columns

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:  # -> (B,)
        x = beside(x, y)
        *hidden, last = self.layers
        for layer in hidden:
            x = F.leaky_relu(layer(x), _SLOPE)
        return last(x)[:, 0]

    def with_slope(
        self, x: Tensor, y: Tensor | None, rows: slice
    ) -> tuple[Tensor, Tensor]:
        """The numbers, and the gradient by x of those of some rows, (B', E).

        Units are straight but for their kinks, so that this is their chain of
        derivatives, written forwards: half the time of differentiating twice.
        """
        x = beside(x, y)
        weights: list[Any] = [(layer.weight, layer.bias) for layer in self.layers]
        *hidden, (last, bias) = weights
        slopes = []
        for weight, own in hidden:
            x = F.linear(x, weight, own)
            slope = torch.where(x.detach() > 0, 1.0, _SLOPE).to(x.dtype)
            slopes.append(slope[rows])
            x = x * slope
        gradient = last
        for (weight, _), slope in zip(hidden[::-1], slopes[::-1]):
            gradient = (gradient * slope) @ weight
        return F.linear(x, last, bias)[:, 0], gradient[:, : self.n_columns]


__all__ = ["RowDiscriminator", "RowGenerator", "beside"]
