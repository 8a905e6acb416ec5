"""What the library takes from skorch, imported without what it does not need."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from typing import Any


@contextlib.contextmanager
def _without_torch_geometric():
    """skorch imports torch_geometric when installed, 2.5 s that only graphs need."""
    absent = "torch_geometric" not in sys.modules
    if absent:
        sys.modules["torch_geometric"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch_geometric"]


with _without_torch_geometric():
    import skorch.utils
    from skorch import NeuralNet
    from skorch.callbacks import (
        Callback,
        EarlyStopping,
        EpochScoring,
        LRScheduler,
        PassthroughScoring,
        PrintLog,
    )
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split
    from skorch.history import History

# What skorch would have found; where it is used it imports the package itself.
skorch.utils.TORCH_GEOMETRIC_INSTALLED = (
    importlib.util.find_spec("torch_geometric") is not None
)


def mean_over_batches(rows: list[dict], prefix: str) -> Any:
    """The mean over an epoch's batches, None if they have no such loss."""
    loss, size = f"{prefix}_loss", f"{prefix}_batch_size"
    n = sum(row[size] for row in rows if loss in row)
    return sum(row[loss] * row[size] for row in rows if loss in row) / n if n else None


def last_row(history: History) -> dict[str, Any]:
    """``history[-1]``, for which skorch copies the whole history."""
    return next(reversed(history))


def overrides(callback: Callback, hook: str) -> bool:
    """Whether a callback does something on this occasion."""
    return getattr(type(callback), hook, None) is not getattr(Callback, hook) or (
        hook in vars(callback)
    )


class EpochLoss(PassthroughScoring):
    """skorch's, which looks four times through the history, looking once."""

    def on_epoch_end(self, net, **kwargs):
        row = last_row(net.history)
        loss = mean_over_batches(row["batches"], self.name.partition("_")[0])
        if loss is None:
            return
        best = bool(self._is_best_score(loss))
        if best:
            self.best_score_ = loss
        row[self.name], row[f"{self.name}_best"] = loss, best


__all__ = [
    "Callback",
    "Dataset",
    "EarlyStopping",
    "EpochLoss",
    "EpochScoring",
    "History",
    "LRScheduler",
    "NeuralNet",
    "PrintLog",
    "last_row",
    "mean_over_batches",
    "overrides",
    "predefined_split",
]
