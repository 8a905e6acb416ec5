"""Recurrent cells, layer upon layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

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


class RecurrentStack(nn.Module):
    """Layers of cells that read forwards, and backwards if they are to.

    ``module(x, lengths)`` for x (T, B, C), the rows of a step together as the cells
    want them, gives (T, B, n_features); padding is read by nobody before the real
    steps.
    """

    def __init__(
        self,
        n_channels: int,
        cell: str,
        hidden_size: int,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.n_features = hidden_size * (2 if bidirectional else 1)
        widths = [n_channels] + [self.n_features] * (n_layers - 1)

        def stack() -> nn.ModuleList:
            return nn.ModuleList(CELLS[cell](w, hidden_size) for w in widths)

        self.forwards = stack()
        self.backwards = stack() if bidirectional else None
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        turn = _Reversal(states, lengths)
        for i, layer in enumerate(self.forwards):
            inputs = self.dropout(states) if i else states
            states = layer(inputs)[0]
            if self.backwards is not None:
                back = turn(self.backwards[i](turn(inputs))[0])
                states = torch.cat([states, back], 2)
        return states


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


__all__ = ["CELLS", "RecurrentStack"]
