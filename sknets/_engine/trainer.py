"""Training by epochs that another library makes, or a rule of its own: no gradients."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from sknets._engine._skorch import History, PrintLog
from sknets._engine.data import Samples
from sknets._engine.device import to_numpy
from sknets._engine.net import DivergenceError, StopTraining


class EpochTrainer:
    """A `Trainer` whose epochs are the subclass's: callbacks and history are skorch's.

    A subclass gives ``_epoch(samples)``, which trains for an epoch and returns its
    loss; ``_begin(samples)`` and ``_settle()``, what comes before the first and what
    the module needs after training to predict; and ``_own_state()``, whatever training
    changes beside the module's weights, with ``_take(state)``.

    Parameters
    ----------
    module : nn.Module
    verbose : int
        1 prints a line an epoch.
    """

    device = "cpu"
    dtype = torch.float32

    def __init__(self, module: nn.Module, verbose: int = 0):
        self.module_, self.verbose = module, verbose
        self.history: Any = History()
        self.callbacks_: list[tuple[str, Any]] = []

    def train(
        self,
        samples: Samples,
        valid: Samples | None = None,
        epochs: int | None = None,
        callbacks: Any = None,
        resumed: bool = False,
    ) -> None:
        """Train for so many epochs more. A Ctrl-C propagates."""
        given = [*(callbacks or []), *([PrintLog()] if self.verbose else [])]
        pairs = [c if isinstance(c, tuple) else (type(c).__name__, c) for c in given]
        self.callbacks_ = [(name, each.initialize()) for name, each in pairs]
        data = {"dataset_train": samples, "dataset_valid": None}
        self.notify("on_train_begin", X=samples, y=None)
        try:
            self._begin(samples)
            with contextlib.suppress(StopTraining):
                for _ in range(epochs or 0):
                    self.notify("on_epoch_begin", **data)
                    self._train_epoch(samples)
                    self.notify("on_epoch_end", **data)
        finally:
            self._settle()
            self.notify("on_train_end", X=samples, y=None)

    def _train_epoch(self, samples: Samples) -> None:
        start, number = time.perf_counter(), len(self.history) + 1
        loss = float(self._epoch(samples))
        if not math.isfinite(loss):
            raise DivergenceError(
                f"The training loss became {loss} in epoch {number}: lower lr."
            )
        best = all(loss < row["train_loss"] for row in self.history)
        self.history.new_epoch()
        row = {"epoch": number, "train_loss": loss, "train_loss_best": best}
        for name, value in {**row, "dur": time.perf_counter() - start}.items():
            self.history.record(name, value)

    def notify(self, hook: str, **told: Any) -> None:
        for _, callback in self.callbacks_:
            getattr(callback, hook)(self, **told)

    def _set_training(self, training: bool = True) -> None:
        if not training:
            self._settle()

    def _begin(self, samples: Samples) -> None:
        """Before the first epoch of a fit, or of its continuation."""

    def _epoch(self, samples: Samples) -> float:
        raise NotImplementedError

    def _settle(self) -> None:
        """Let the module predict by what has been learned so far."""

    def _own_state(self) -> dict[str, Any]:
        return {}

    def _take(self, state: dict[str, Any]) -> None:
        """Go back to what `_own_state` gave; the module has its weights again."""

    def losses_of(self, phase: str) -> list[float]:
        return []

    @property
    def n_parameters(self) -> int:
        """How many numbers are adjusted."""
        return sum(p.numel() for p in self.module_.parameters())

    def batches(
        self, x: Any, function: Callable[[Any], Any] | None = None, size: int = 1024
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the rows of each batch of a container and what is made of it."""
        run = function or self.module_
        for rows, batch in x.batches(size):
            yield rows, run(batch)

    def state(self) -> dict[str, Any]:
        """Everything that training changes, as numpy arrays, numbers and strings."""
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "weights": to_numpy(self.module_.state_dict()),
            "own": self._own_state(),
            "history": [
                {k: v for k, v in row.items() if k != "batches"} for row in self.history
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of this trainer, or take over that of an equal one."""
        # New memory: threads of an interrupted fit may still write into the old one.
        weights = {k: torch.tensor(v) for k, v in state["weights"].items()}
        self.module_.load_state_dict(weights, strict=True, assign=True)
        self._take(state["own"])
        self.history = History(dict(row) for row in state["history"])


__all__ = ["EpochTrainer"]
