"""Encoder and decoder of gated convolutions [Gehring et al. 2017]."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._layers import Dropout
from sknets.sequence_to_sequence._memory import Memory
from sknets.sequence_to_sequence._transformer import Positions

_KERNEL = 3
_HALF = math.sqrt(0.5)  # of a sum of two: its variance is that of one


class Gated(nn.Module):
    """A convolution whose one half of the channels opens the other."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.conv = nn.Conv1d(width, 2 * width, _KERNEL)
        self.dropout = Dropout(dropout)
        nn.init.normal_(
            self.conv.weight, std=math.sqrt(4 * (1 - dropout) / (_KERNEL * width))
        )
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, before: int) -> Tensor:  # (B, T, d) -> (B, T, d)
        """With so many zeros before the first step, the rest after the last."""
        x = F.pad(self.dropout(x), (0, 0, before, _KERNEL - 1 - before))
        return F.glu(self.conv(x.mT).mT, 2)

    def step(self, window: Tensor) -> Tensor:  # (B, kernel, d) -> (B, 1, d)
        return F.glu(self.conv(window.mT).mT, 2)


class ConvolutionalEncoder(nn.Module):
    """What a state tells is joined by the token itself."""

    def __init__(self, width: int, n_layers: int, dropout: float):
        super().__init__()
        self.positions = Positions(dropout)
        self.blocks = nn.ModuleList(Gated(width, dropout) for _ in range(n_layers))

    def forward(self, x: Tensor, batch: Ragged) -> Memory:  # x (B, S, d)
        mask = None if batch.mask is None else batch.mask[:, :, None]
        first = x = self.positions(x)
        for block in self.blocks:
            x = x if mask is None else x * mask
            x = (x + block(x, _KERNEL // 2)) * _HALF
        return Memory.of(batch, (x + first) * _HALF)


class ConvolutionalDecoder(nn.Module):
    """Each layer sees the tokens just written, and looks at the memory."""

    def __init__(self, width: int, n_layers: int, dropout: float):
        super().__init__()
        self.positions = Positions(dropout)
        self.blocks = nn.ModuleList(Gated(width, dropout) for _ in range(n_layers))
        self.queries = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        self.outs = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        # The token that is read is in the states, and is not to be written again.
        self.last = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Memory, told: Any = None) -> Tensor:
        first = x = self.positions(x)
        for i, block in enumerate(self.blocks):
            last = told if i == len(self.blocks) - 1 else None
            x = self._joined(i, x, block(x, _KERNEL - 1), first, memory, last)
        return self.last(x)

    def begin(self, memory: Memory) -> Any:
        """The cache before the first token: of each layer the inputs just before."""
        n, _, width = memory.states.shape
        zeros = memory.states.new_zeros(n, _KERNEL - 1, width)
        return 0, [zeros] * len(self.blocks), memory

    def step(self, x: Tensor, cache: Any) -> tuple[Tensor, Any]:  # (B, d) -> (B, d)
        place, pasts, memory = cache
        first = x = self.positions(x[:, None], place)
        kept = []
        block: Any
        for i, (block, past) in enumerate(zip(self.blocks, pasts)):
            window = torch.cat([past, x], 1)
            kept.append(window[:, 1:])
            x = self._joined(i, x, block.step(window), first, memory)
        return self.last(x[:, 0]), (place + 1, kept, memory)

    def _joined(
        self, i: int, x: Tensor, found: Tensor, first: Tensor, memory: Memory, told=None
    ) -> Tensor:
        """A layer's input and output, and what it looks for in the memory."""
        query = (self.queries[i](found) + first) * _HALF
        scores = query @ memory.states.mT / math.sqrt(query.shape[2])
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask[:, None], -torch.inf)
        weights = scores.softmax(2)
        if told is not None:
            told.append(weights)
        found = (found + self.outs[i](weights @ memory.states)) * _HALF
        return (x + found) * _HALF


__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder"]
