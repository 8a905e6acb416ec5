"""The network of this chapter: cells that read sequences step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._cells import RecurrentStack
from sknets._engine.containers import Ragged
from sknets._layers import Dropout


class RecurrentNet(nn.Module):
    """Layers of cells that read forwards (and backwards), pooling, then the output."""

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        cell: str,
        hidden_size: int,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
        pooling: str,
        per_step: bool,
        prepare: nn.Module,
        stem: nn.Module | None = None,
    ):
        super().__init__()
        self.stem, self.prepare = stem, prepare
        self.stack = RecurrentStack(
            n_channels, cell, hidden_size, n_layers, bidirectional, dropout
        )
        self.n_features = self.stack.n_features
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.n_features, n_outputs)
        self.pooling, self.per_step = pooling, per_step

    def states(self, x: Ragged) -> Tensor:  # (B, T, C) -> (B, T, n_features)
        steps = self.prepare(x.padded()).transpose(0, 1)
        return self.stack(steps, x.lengths).transpose(0, 1)

    def features(self, x: Ragged) -> Tensor:  # (B, T, C) -> (B, n_features)
        x = x if self.stem is None else self.stem(x)
        states = self.states(x)
        if self.pooling == "last":
            h = self.stack.hidden_size
            # Whoever reads backwards is done at the first step.
            return torch.cat([x.last(states)[:, :h], states[:, 0, h:]], 1)
        return x.mean(states) if self.pooling == "mean" else x.max(states)

    def forward(self, x: Ragged) -> Any:  # (B, T, C) -> (B, K), or of each step
        if not self.per_step:
            return self.head(self.dropout(self.features(x)))
        return x.like(self.head(self.dropout(x.real(self.states(x)))))


__all__ = ["RecurrentNet"]
