"""The network of this chapter: cells that read sequences step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._layers import Dropout


class ElmanRNN(nn.RNN):
    """torch's plain cell, whose input weights begin by the number of inputs.

    torch scales them by the number of states: a few inputs then stay where tanh is a
    straight line, and training does not find that -x and x may mean the same.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        bound = self.input_size**-0.5
        for name, weights in self.named_parameters():
            if "_ih_" in name:
                nn.init.uniform_(weights, -bound, bound)


CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": ElmanRNN}


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
        self.n_features = hidden_size * (2 if bidirectional else 1)
        widths = [n_channels] + [self.n_features] * (n_layers - 1)

        def stack() -> nn.ModuleList:
            return nn.ModuleList(CELLS[cell](w, hidden_size) for w in widths)

        self.stem, self.prepare = stem, prepare
        self.forwards = stack()
        self.backwards = stack() if bidirectional else None
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.n_features, n_outputs)
        self.hidden_size, self.pooling = hidden_size, pooling
        self.per_step = per_step

    def states(self, x: Ragged) -> Tensor:  # (B, T, C) -> (B, T, n_features)
        # (T, B, C): the cells want the rows of a step together.
        states = self.prepare(x.padded()).transpose(0, 1)
        turn = _Reversal(states, x.lengths)
        for i, layer in enumerate(self.forwards):
            inputs = self.dropout(states) if i else states
            states = layer(inputs)[0]
            if self.backwards is not None:
                back = turn(self.backwards[i](turn(inputs))[0])
                states = torch.cat([states, back], 2)
        return states.transpose(0, 1)

    def features(self, x: Ragged) -> Tensor:  # (B, T, C) -> (B, n_features)
        x = x if self.stem is None else self.stem(x)
        states = self.states(x)
        if self.pooling == "last":
            h = self.hidden_size
            # Whoever reads backwards is done at the first step.
            return torch.cat([x.last(states)[:, :h], states[:, 0, h:]], 1)
        return x.mean(states) if self.pooling == "mean" else x.max(states)

    def forward(self, x: Ragged) -> Any:  # (B, T, C) -> (B, K), or of each step
        if not self.per_step:
            return self.head(self.dropout(self.features(x)))
        return x.like(self.head(self.dropout(x.real(self.states(x)))))


class _Reversal:
    """Turns each sequence around by its own length, and its padding not at all.

    Packed sequences would do the same in three times the time.
    """

    def __init__(self, x: Tensor, lengths: Tensor | None):
        self.rows: Tensor | None = None
        if lengths is not None:
            n_steps, size = x.shape[:2]
            steps = torch.arange(n_steps, device=x.device)[:, None]
            steps = torch.where(steps < lengths, lengths - 1 - steps, steps)
            own = torch.arange(size, device=x.device)
            self.rows = (steps * size + own).flatten()

    def __call__(self, x: Tensor) -> Tensor:
        if self.rows is None:
            return x.flip(0)
        return x.flatten(0, 1).index_select(0, self.rows).view(x.shape)


__all__ = ["CELLS", "RecurrentNet"]
