"""What encoders leave for decoders, and how these look at it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sknets._attention import attend
from sknets._engine.containers import Ragged


class Memory(NamedTuple):
    """A batch of what was read.

    Attributes
    ----------
    states : tensor of shape (B, S, d)
    mask : bool tensor of shape (B, S) or None
        Which of them are real; None where all are.
    """

    states: Tensor
    mask: Tensor | None

    def mean(self) -> Tensor:
        """(B, d): of the real states."""
        if self.mask is None:
            return self.states.mean(1)
        real = self.mask[:, :, None]
        return self.states.masked_fill(~real, 0).sum(1) / real.sum(1)

    @classmethod
    def of(cls, x: Ragged, states: Tensor) -> Memory:
        return cls(states, x.mask)


class Glance(nn.Module):
    """Queries that look at a memory: ``softmax(q K^T / sqrt(d)) V`` in several heads.

    Keys and values are worked out once for all the queries that come:
    ``glance(x, glance.shelf(memory))``.
    """

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * width)  # and values
        self.out = nn.Linear(width, width)
        self.n_heads = n_heads

    def shelf(self, memory: Memory) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values (B, heads, S, d / heads), and the mask (B, 1, 1, S)."""
        keys, values = map(self._heads, self.keys(memory.states).chunk(2, 2))
        mask = memory.mask
        return keys, values, None if mask is None else mask[:, None, None]

    def forward(self, x: Tensor, shelf: Any, told: list[Tensor] | None = None):
        """(B, T, d) -> (B, T, d); ``told`` is given the weights (B, T, S)."""
        keys, values, mask = shelf
        query = self._heads(self.query(x))
        if told is not None:
            scores = query @ keys.mT / math.sqrt(keys.shape[-1])
            scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
            told.append(scores.softmax(-1).mean(1))
        found = attend(query, keys, values, mask)
        return self.out(found.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


__all__ = ["Glance", "Memory"]
