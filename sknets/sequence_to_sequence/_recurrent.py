"""Encoder and decoder of recurrent cells, with attention between them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sknets._cells import CELLS, RecurrentStack
from sknets._engine.containers import Ragged
from sknets._layers import Dropout
from sknets.sequence_to_sequence._memory import Memory


class RecurrentEncoder(nn.Module):
    """Layers that read in both directions, half of the numbers each."""

    def __init__(self, cell: str, width: int, n_layers: int, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.stack = RecurrentStack(width, cell, width // 2, n_layers, True, dropout)

    def forward(self, x: Tensor, batch: Ragged) -> Memory:  # x (B, S, d)
        steps = self.dropout(x).transpose(0, 1)
        return Memory.of(batch, self.stack(steps, batch.lengths).transpose(0, 1))


class RecurrentDecoder(nn.Module):
    """Layers of cells, and of their last state a look at the memory [Luong 2015].

    They begin with what a linear layer makes of the mean of the memory.
    """

    def __init__(self, cell: str, width: int, n_layers: int, dropout: float):
        super().__init__()
        self.cells = CELLS[cell](width, width, n_layers, batch_first=True)
        self.bridge = nn.Linear(width, n_layers * width)
        self.query = nn.Linear(width, width, bias=False)
        self.join = nn.Linear(2 * width, width)
        self.dropout = Dropout(dropout)
        self.shape = n_layers, width

    def begin(self, memory: Memory) -> Any:
        """The cache before the first token: the cells' states, rows first; memory."""
        state = self.bridge(memory.mean()).tanh().unflatten(1, self.shape)
        zero = torch.zeros_like(state)
        lstm = isinstance(self.cells, nn.LSTM)
        return ((state, zero) if lstm else (state,)), memory

    def forward(self, x: Tensor, memory: Memory, told: Any = None) -> Tensor:
        return self._run(x, self.begin(memory), told)[0]

    def step(self, x: Tensor, cache: Any) -> tuple[Tensor, Any]:  # (B, d) -> (B, d)
        states, cache = self._run(x[:, None], cache)
        return states[:, 0], cache

    def _run(self, x: Tensor, cache: Any, told: Any = None) -> tuple[Tensor, Any]:
        state, memory = cache
        given = tuple(each.transpose(0, 1).contiguous() for each in state)
        lstm = len(given) == 2
        states, kept = self.cells(self.dropout(x), given if lstm else given[0])
        scores = self.query(states) @ memory.states.mT / math.sqrt(self.shape[1])
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask[:, None], -torch.inf)
        weights = scores.softmax(2)
        if told is not None:
            told.append(weights)
        both = torch.cat([states, weights @ memory.states], 2)
        kept = tuple(each.transpose(0, 1) for each in (kept if lstm else (kept,)))
        return self.dropout(self.join(both).tanh()), (kept, memory)


__all__ = ["RecurrentDecoder", "RecurrentEncoder"]
