"""The net: skorch's training with an epoch loop of its own.

skorch provides the life cycle, callbacks and history; tensor batches, fused optimiser
steps of one player or several, and history written once an epoch take the place of its
per-row and per-batch work. Callbacks on batches are served by the same loop.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sknets._engine._skorch import (
    EarlyStopping,
    EpochLoss,
    EpochScoring,
    History,
    LRScheduler,
    last_row,
    mean_over_batches,
    predefined_split,
)
from sknets._engine.averages import Averages
from sknets._engine.collect import halved, parts_of
from sknets._engine.data import Batches, Samples
from sknets._engine.device import (
    Streams,
    at_once,
    deterministic,
    to_numpy,
    to_torch,
)
from sknets._engine.epochs import Epochs
from sknets._engine.optim import OPTIMIZERS, Recipe
from sknets._engine.players import Phase, Terms, Turn, one_phase
from sknets._engine.processes import part_of_a_fit


class StopTraining(Exception):
    """Raised by a callback: training ends here, as after the last epoch."""


class StopPhase(StopTraining):
    """Raised by a callback: the phase ends here, and the next one begins."""


class DivergenceError(FloatingPointError):
    """The training loss is no longer a finite number."""


class Net(Epochs):
    """A module and those who train it, phase by phase.

    Parameters
    ----------
    module : nn.Module
        ``module(x)`` is what predictions are made from. If it has ``loss(x, y)``, that
        gives a loss a sample, (B,), one for the batch, or a dict of named parts, which
        are added.
    criterion : nn.Module or None
        Of a module without ``loss``: ``criterion(output, y, weight)``, the mean.
    recipe : Recipe
    streams : Streams
        Where shuffling and noise come from.
    device : torch.device
    phases : callable
        ``phases(net)`` gives them; all train parts of the one module.
    score : callable or None
        ``score()`` gives an object with ``update(output, y, weight)`` a batch and
        ``compute()``, for the validation set, once an epoch.
    terms : Terms or None
        What outputs and targets are to the user: skorch's scorers see these.
    augment : callable or None
        ``augment(x, y)`` changes the batches of training; of so many epochs as the
        attribute ``share`` says, if it has one, and in the others its ``late(x, y)``.
    callbacks : list of skorch callbacks
    verbose : int
        1 prints skorch's table, a line an epoch.
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: nn.Module | None,
        recipe: Recipe,
        streams: Streams,
        device: torch.device,
        phases: Callable[[Any], Sequence[Phase]] | None = None,
        score: Callable[[], Any] | None = None,
        terms: Terms | None = None,
        augment: Any = None,
        callbacks: Any = None,
        verbose: int = 0,
    ):
        super().__init__(
            module,
            nn.Identity() if criterion is None else criterion,
            optimizer=OPTIMIZERS[recipe.optimizer],
            lr=recipe.lr,
            max_epochs=recipe.max_epochs,
            batch_size=recipe.batch_size,
            train_split=None,
            callbacks=callbacks,
            verbose=verbose,
            device=str(device),
        )
        self._recipe, self._streams, self._device = recipe, streams, device
        self._make_phases, self._score = phases or one_phase, score
        self._augmented = getattr(augment, "share", 1.0)
        self._late = getattr(augment, "late", None)
        if isinstance(augment, nn.Module):  # skorch would take it for a module to fit
            streams.bind(augment)
            augment = augment.forward
        self._terms, self._augment = terms, augment
        self._buffers: dict[Any, Any] = {}
        self._recorded: Any = None
        self._losses: dict[str, list[float]] = {}
        self._averages = Averages(recipe.ema_decay)
        self._piece = at_once(recipe.predict_batch_size, device)

    # -- life cycle ----------------------------------------------------------------

    @property
    def _default_callbacks(self):
        callbacks = dict(super()._default_callbacks)
        callbacks["train_loss"] = EpochLoss("train_loss", on_train=True)
        callbacks["valid_loss"] = EpochLoss("valid_loss")
        # Composing the line costs a millisecond an epoch even where none is printed.
        return [
            (n, c) for n, c in callbacks.items() if n != "print_log" or self.verbose
        ]

    def initialize_module(self):
        super().initialize_module()
        self._streams.bind(self.module_)
        # The dtype of the weights is that of a batch.
        self.dtype = next(self.module_.parameters()).dtype
        return self

    def _set_training(self, training: bool = True) -> None:
        super()._set_training(training)
        self._averages.show(self.module_, not training)

    def initialize_optimizer(self, triggered_directly=None):
        self._phases = list(self._make_phases(self))
        self._enter(0)
        return self

    def _enter(self, number: int, epochs: int = 0) -> None:
        """Be in a phase, of which so many epochs are done."""
        self._at, self._done, self._recorded = number, epochs, None
        self._turns = [Turn(player) for player in self._phases[number].players()]
        self.optimizer_ = self._turns[0].optimizer

    def adapt(self, batch_size: int, weight_decay: float) -> None:
        """Go on with more data than there seemed to be, of which nobody knows the end:
        at a constant rate.
        """
        self.batch_size = batch_size
        self._recipe = replace(
            self._recipe,
            batch_size=batch_size,
            weight_decay=weight_decay,
            lr_schedule=None,
        )
        for turn in self._turns:
            turn.adapt(weight_decay)

    def train(
        self,
        samples: Samples,
        valid: Samples | None = None,
        epochs: int | None = None,
        callbacks: Any = None,
        resumed: bool = False,
    ) -> None:
        """Train for so many counted epochs more, through all phases on the way.

        A real Ctrl-C propagates, unlike in skorch. ``resumed`` says that a fit goes on
        which was killed, with the samples that it had.
        """
        if not self.initialized_:
            self.initialize()
        self._part = part_of_a_fit()
        if self._part is not None:
            self._part.begin(self, samples)
        if callbacks is not None:
            self.callbacks = callbacks
            self.initialize_callbacks()
        left = self.max_epochs if epochs is None else epochs
        self.notify("on_train_begin", X=samples, y=None)
        try:
            with contextlib.suppress(StopTraining), deterministic(self._device):
                while left > 0:
                    left -= self._train_phase(samples, valid, left, resumed)
        except torch.OutOfMemoryError as error:
            half = max(1, self.batch_size // 2)
            raise torch.OutOfMemoryError(
                f"{self._device} has not the memory for a step of training with "
                f"batch_size={self.batch_size}: try batch_size={half}"
            ) from error
        finally:
            self.notify("on_train_end", X=samples, y=None)
            self._set_training(False)
            self.train_split, self._buffers, self._recorded = None, {}, None
            self._part = None
            for row in self.history:
                row.pop("batches", None)

    def _train_phase(
        self, samples: Samples, valid: Samples | None, left: int, resumed: bool
    ) -> int:
        """Go on in the phase that there is; how many counted epochs that takes."""
        phase = self._phases[self._at]
        last = self._at == len(self._phases) - 1
        epochs = phase.epochs - self._done
        if phase.counted:
            epochs = left if last else min(left, epochs)
        if phase.begin is not None and (resumed or not self._done):
            samples, valid = phase.begin(samples, valid, bool(self._done))
        steps = len(Batches(samples, self.batch_size))
        scheduled = not any(isinstance(c, LRScheduler) for _, c in self.callbacks_)
        for turn in self._turns:
            turn.plan(phase.epochs, steps, scheduled)
        self._tell("on_phase_begin", phase)
        stopped = False
        try:
            if phase.counted:
                self.train_split = None if valid is None else predefined_split(valid)
                self.fit_loop(samples, None, epochs=epochs)
            else:
                self._train_uncounted(phase, samples, epochs)
        except StopPhase:
            stopped = True
        finally:
            self._tell("on_phase_end", phase)
        if not last and (stopped or self._done >= phase.epochs):
            self._enter(self._at + 1)
        elif stopped:
            raise StopTraining
        return epochs if phase.counted else 0

    def _train_uncounted(self, phase: Phase, samples: Samples, epochs: int) -> None:
        batches = self.get_iterator(samples, training=True)
        for _ in range(epochs):
            losses, _ = self._train_epoch(batches)
            loss = float(np.average(losses, weights=batches.sizes))
            if not math.isfinite(loss):
                raise DivergenceError(
                    f"The loss became {loss} in epoch {self._done + 1} of {phase.name}:"
                    " lower pretraining_lr, or scale X."
                )
            self._losses.setdefault(phase.name, []).append(loss)
            self._end_epoch(loss)
            self._tell("on_uncounted_epoch", phase)

    def _end_epoch(self, loss: float) -> None:
        self._done += 1
        for turn in self._turns:
            turn.end_epoch(loss)

    def losses_of(self, phase: str) -> list[float]:
        """The training losses of a phase that is not counted, an item an epoch."""
        return self._losses.get(phase, [])

    def _tell(self, hook: str, phase: Phase) -> None:
        """Call a hook that skorch does not know, of those callbacks that have it."""
        for _, callback in self.callbacks_:
            getattr(callback, hook, lambda *_: None)(self, phase)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """As skorch's, telling its EarlyStopping signal from a real Ctrl-C."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            told = cb_kwargs
            if method_name == "on_epoch_end" and isinstance(callback, EpochScoring):
                told = self._with_truth(callback, cb_kwargs)
            try:
                getattr(callback, method_name)(self, **told)
            except KeyboardInterrupt:
                if isinstance(callback, EarlyStopping) and (
                    callback.misses_ == callback.patience
                ):
                    raise StopTraining from None
                raise

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        rows = last_row(self.history)["batches"]
        loss = sum(row.get("train_loss", 0.0) for row in rows)
        if not math.isfinite(loss):
            raise DivergenceError(
                f"The training loss became {loss} in epoch {len(self.history)}: lower "
                "lr, set gradient_clip, or scale X."
            )
        prefix = "train" if dataset_valid is None else "valid"
        self._end_epoch(float(mean_over_batches(rows, prefix)))

    # -- prediction ----------------------------------------------------------------

    def batches(
        self,
        x: Any,
        function: Callable[[Any], Any] | None = None,
        size: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the rows of each batch of a container and what the module gives for it.

        ``function`` takes the module's place. In inference mode and without writing
        anything: threads may share a fitted net. What a device has not the memory for
        is done in halves.
        """
        run = function or self.module_
        x = x.to(self._device, self.dtype)
        left = [*parts_of(x, size or self._piece)][::-1]
        while left:
            rows = left.pop()
            try:
                with (
                    torch.inference_mode(),
                    self._autocast(),
                    deterministic(self._device),
                ):
                    output = run(x.batch(rows))
            except torch.OutOfMemoryError:
                halves = halved(rows)
                if len(halves) == 1:
                    raise
                left += halves[::-1]
                continue
            yield rows, output

    # -- state ---------------------------------------------------------------------

    @property
    def learned(self) -> set[nn.Parameter]:
        """What the counted phases adjust."""
        counted = (phase for phase in self._phases if phase.counted)
        players = (player for phase in counted for player in phase.players())
        return {p for player in players for p in player.parameters}

    @property
    def n_parameters(self) -> int:
        """How many numbers the counted phases adjust."""
        return sum(p.numel() for p in self.learned)

    def state(self) -> dict[str, Any]:
        """Everything that training changes, as numpy arrays, numbers and strings."""
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "weights": to_numpy(self.module_.state_dict()),
            "phase": (self._at, self._done),
            "players": {turn.name: to_numpy(turn.state()) for turn in self._turns},
            "losses": {name: list(each) for name, each in self._losses.items()},
            "averages": self._averages.state(),
            "streams": self._streams.state(),
            "history": [_without_batches(row) for row in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of this net, or take over that of an equal one."""
        self.module_.load_state_dict(to_torch(state["weights"]), strict=True)
        at, done = state["phase"]
        if at != self._at:
            self._enter(at)
        self._done = done
        for turn in self._turns:
            turn.restore(to_torch(state["players"][turn.name]))
        self._recorded = None  # the optimiser's memory is another now
        self._losses = {name: list(each) for name, each in state["losses"].items()}
        self._averages.restore(state["averages"])
        self._streams.restore(state["streams"])
        self.history_ = History(dict(row) for row in state["history"])
        self._set_training(False)


def _without_batches(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the history; that of an epoch that is over changes no more."""
    if "batches" not in row:
        return row
    return {name: value for name, value in row.items() if name != "batches"}


__all__ = ["DivergenceError", "Net", "Recipe", "StopPhase", "StopTraining"]
