"""Recurrent networks for sequences of equal and of unequal lengths."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._engine.batching import Samples
from sknets._estimator import Estimator
from sknets._inputs import Sequences
from sknets._inputs.sequences import Padded
from sknets._layers import Dropout, Standardize
from sknets._params import param
from sknets._tasks import Classifier, Regressor

CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


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
        prepare: nn.Module,
    ):
        super().__init__()
        # s_t = f(U x_t + W s_(t-1)), o = softmax(V s): Elman's figure has no biases.
        bias = cell != "rnn"
        self.n_features = hidden_size * (2 if bidirectional else 1)
        widths = [n_channels] + [self.n_features] * (n_layers - 1)

        def stack() -> nn.ModuleList:
            return nn.ModuleList(CELLS[cell](w, hidden_size, bias=bias) for w in widths)

        self.prepare = prepare
        self.onward = stack()
        self.backward_ = stack() if bidirectional else None
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.n_features, n_outputs, bias=bias)
        self.hidden_size, self.pooling = hidden_size, pooling

    def features(self, x: Tensor | Padded) -> Tensor:  # (B, T, C) -> (B, n_features)
        lengths = None
        if isinstance(x, Padded):
            x, lengths = x.values, x.lengths
        x = self.prepare(x).transpose(0, 1)  # (T, B, C): a step's rows are together
        around = None if self.backward_ is None else _Reversal(x, lengths)
        for i, layer in enumerate(self.onward):
            x = self.dropout(x) if i else x
            states = layer(x)[0]
            if around is not None and self.backward_ is not None:
                back = around(self.backward_[i](around(x))[0])
                states = torch.cat([states, back], 2)
            x = states
        return self._pool(x, lengths)

    def _pool(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        if self.pooling == "last":
            h = self.hidden_size
            last = states[-1] if lengths is None else _at(states, lengths - 1)
            # Whoever reads backwards is done at the first step.
            return torch.cat([last[:, :h], states[0, :, h:]], 1)
        if lengths is None:
            return states.mean(0) if self.pooling == "mean" else states.amax(0)
        padding = torch.arange(len(states), device=states.device)[:, None] >= lengths
        if self.pooling == "mean":
            total = states.masked_fill(padding[:, :, None], 0).sum(0)
            return total / lengths[:, None]
        return states.masked_fill(padding[:, :, None], -torch.inf).amax(0)

    def forward(self, x: Tensor | Padded) -> Tensor:  # (B, T, C) -> (B, K)
        return self.head(self.dropout(self.features(x)))


def _at(states: Tensor, steps: Tensor) -> Tensor:
    """Each sequence's state at its own step: (T, B, H) -> (B, H)."""
    size = states.shape[1]
    rows = steps * size + torch.arange(size, device=steps.device)
    return states.flatten(0, 1).index_select(0, rows)


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


class _Recurrent(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Sequences,)
    _predict_batch_size: ClassVar[int] = 128

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=64, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    bidirectional: bool = param(default=False)
    dropout: float = param(default=0.0, at_least=0, below=1)
    pooling: Literal["last", "mean", "max"] = param(default="last")
    max_epochs: int = param(default=20, at_least=1)
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    def _learn_statistics(self, samples: Samples) -> None:
        weight = samples.weight
        self.x_mean_, self.x_scale_ = samples.x.mean_and_scale(
            None if weight is None else weight.cpu().numpy()
        )

    def _build(self) -> nn.Module:
        return RecurrentNet(
            self.n_channels_,
            self._n_outputs,
            self.cell,
            self.hidden_size,
            self.n_layers,
            self.bidirectional,
            self.dropout,
            self.pooling,
            Standardize(self.x_mean_, self.x_scale_),
        )

    def transform(self, X):
        """Return the final states: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, steps, channels), list of arrays, or rows

        Returns
        -------
        states : ndarray of shape (n_samples, n_features_out)
            The top layer's states after the last step (backwards: the first), or their
            ``pooling`` over all steps.
        """
        return self._outputs(X, features=True).numpy()

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class RNNClassifier(_Recurrent, Classifier):
    """Recurrent network."""


class RNNRegressor(_Recurrent, Regressor):
    """Recurrent network."""
