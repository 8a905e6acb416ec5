"""A recurrent network that forecasts series."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sknets._forecasting import Forecaster
from sknets._layers import Dropout
from sknets._params import param
from sknets.recurrent._nets import CELLS


class ForecastNet(nn.Module):
    """Layers of cells that read a window, and an output layer at its end.

    A batch is (B, steps, n_channels + n_exogenous): a step holds its values and the
    exogenous ones of the step after it; after ``window`` steps only the latter count.

    Parameters
    ----------
    n_channels, n_exogenous, window : int
    horizon : int or None
        Steps to forecast at once from the last state; None gives the next step after
        each one.
    """

    def __init__(
        self,
        n_channels: int,
        n_exogenous: int,
        window: int,
        horizon: int | None,
        cell: str,
        hidden_size: int,
        n_layers: int,
        dropout: float,
    ):
        super().__init__()
        bias = cell != "rnn"  # Elman's figure has none
        widths = [n_channels + n_exogenous] + [hidden_size] * (n_layers - 1)
        self.layers = nn.ModuleList(
            CELLS[cell](width, hidden_size, bias=bias) for width in widths
        )
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(hidden_size, n_channels * (horizon or 1))
        self.ahead: nn.Module | None = None
        if horizon is not None and n_exogenous:
            self.ahead = nn.Sequential(
                nn.Linear(n_exogenous, hidden_size),
                nn.Tanh(),
                nn.Linear(hidden_size, n_channels),
            )
        self.n_channels, self.window, self.horizon = n_channels, window, horizon

    def read(self, x: Tensor, carried: list | None = None) -> tuple[Tensor, list]:
        """The top states (T, B, H) for x (T, B, K), and what each layer ends with."""
        ends = []
        for i, layer in enumerate(self.layers):
            x = self.dropout(x) if i else x
            x, end = layer(x, None if carried is None else carried[i])
            ends.append(end)
        return self.dropout(x), ends

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.read(x[:, : self.window].transpose(0, 1))
        if self.horizon is None:
            return self.head(states).transpose(0, 1).flatten(1)
        output = self.head(states[-1])
        if self.ahead is not None:
            known = x[:, self.window - 1 :, self.n_channels :]
            output = output + self.ahead(known).flatten(1)
        return output

    def roll(self, x: Tensor, n_steps: int) -> Tensor:
        """Forecasts (B, n_steps, C), each read as the next value; the state goes on."""
        states, carried = self.read(x[:, : self.window].transpose(0, 1))
        found = [self.head(states[-1])]
        for step in range(1, n_steps):
            at = self.window + step - 1  # beyond x without exogenous columns
            known = x.new_empty(len(x), 1, 0)
            if x.shape[2] > self.n_channels:
                known = x[:, at : at + 1, self.n_channels :]
            inputs = torch.cat([found[-1][:, None], known], 2).transpose(0, 1)
            states, carried = self.read(inputs, carried)
            found.append(self.head(states[-1]))
        return torch.stack(found, 1)


class RNNForecaster(Forecaster):
    """Recurrent network that forecasts series."""

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=32, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    max_epochs: int = param(default=40, at_least=1)
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)
    weight_decay: float = param(default=1e-3, at_least=0)

    def _build(self) -> nn.Module:
        return ForecastNet(
            self.n_channels_,
            self.n_exogenous_,
            self.window_,
            self.horizon_ if self._direct else None,
            self.cell,
            self.hidden_size,
            self.n_layers,
            self.dropout,
        )


__all__ = ["ForecastNet", "RNNForecaster"]
