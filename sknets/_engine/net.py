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
from torch import Tensor, nn

from sknets._engine.collect import parts_of
from sknets._engine.containers import Ragged
from sknets._engine.data import Batch, Batches, Samples
from sknets._engine.dense import derived_by_hand
from sknets._engine.device import Streams, to_numpy, to_torch
from sknets._engine.optim import OPTIMIZERS, Recipe
from sknets._engine.players import Phase, Terms, Turn, loss_of, one_phase
from sknets._engine.stock import (
    Callback,
    Dataset,
    EarlyStopping,
    EpochLoss,
    EpochScoring,
    History,
    LRScheduler,
    NeuralNet,
    last_row,
    mean_over_batches,
    overrides,
    predefined_split,
)


class StopTraining(Exception):
    """Raised by a callback: training ends here, as after the last epoch."""


class StopPhase(StopTraining):
    """Raised by a callback: the phase ends here, and the next one begins."""


class DivergenceError(FloatingPointError):
    """The training loss is no longer a finite number."""


class Net(NeuralNet):
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
        ``augment(x, y)`` changes the batches of training.
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
        if isinstance(augment, nn.Module):  # skorch would take it for a module to fit
            streams.bind(augment)
            augment = augment.forward
        self._terms, self._augment = terms, augment
        self._buffers: dict[Any, Any] = {}
        self._losses: dict[str, list[float]] = {}

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

    def initialize_optimizer(self, triggered_directly=None):
        self._phases = list(self._make_phases(self))
        self._enter(0)
        return self

    def _enter(self, number: int, epochs: int = 0) -> None:
        """Be in a phase, of which so many epochs are done."""
        self._at, self._done = number, epochs
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
        if callbacks is not None:
            self.callbacks = callbacks
            self.initialize_callbacks()
        left = self.max_epochs if epochs is None else epochs
        self.notify("on_train_begin", X=samples, y=None)
        try:
            with contextlib.suppress(StopTraining):
                while left > 0:
                    left -= self._train_phase(samples, valid, left, resumed)
        finally:
            self.notify("on_train_end", X=samples, y=None)
            self._set_training(False)
            self.train_split, self._buffers = None, {}
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

    def _with_truth(self, callback: EpochScoring, told: dict) -> dict:
        """The data of an epoch for a scorer that has cached nothing of it."""
        name = "dataset_train" if callback.on_train else "dataset_valid"
        samples = told[name]
        if samples is None or self._terms is None or self._caches(callback):
            return told
        truth = self._terms.truth(samples.targets)
        return {**told, name: Dataset(samples, truth, length=len(samples))}

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

    # -- epochs --------------------------------------------------------------------

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, Samples):
            return super().get_iterator(dataset, training=training)
        if training:
            generator = self._streams.loop if self._recipe.shuffle else None
            return Batches(dataset, self.batch_size, generator)
        return Batches(dataset, self._recipe.predict_batch_size)

    def _autocast(self):
        if not self._recipe.bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """An epoch of training or validation, and its rows of the history."""
        if iterator is None:
            return
        run = self._train_epoch if training else self._validate_epoch
        losses, parts = run(iterator, prefix)
        row, sizes = last_row(self.history), iterator.sizes
        loss_key, size_key = f"{prefix}_loss", f"{prefix}_batch_size"
        if not row["batches"] or size_key not in row["batches"][-1]:
            row["batches"].extend(
                {loss_key: loss, size_key: size} for loss, size in zip(losses, sizes)
            )
        row[f"{prefix}_batch_count"] = len(losses)
        for name, values in parts.items():
            row[f"{prefix}_{name}"] = float(np.mean(values))

    def _train_epoch(
        self, batches: Batches, prefix: str = "train"
    ) -> tuple[list[float], dict[str, list[float]]]:
        """Train on each batch once; the losses, in sum and by their parts."""
        turns, augment = self._turns, self._augment
        for turn in turns:
            turn.begin_epoch()
        watchers = self._watchers(training=True)
        observers = self._overriding("on_grad_computed")
        if len(turns) == 1 and not (self._recipe.bfloat16 or watchers or augment):
            derived = self._derived(turns[0])
            if derived is not None:
                if not self.module_.training:
                    self._set_training(True)
                update = self._observed(turns[0], observers)
                return derived.epoch(batches, update, watched=bool(observers)), {}
        self._set_training(True)
        losses: list[Tensor] = []
        parts: dict[str, list[Tensor]] = {}
        updates = [self._observed(turn, observers) for turn in turns]
        for step, batch in enumerate(batches):
            self._watched("on_batch_begin", watchers, batch, training=True)
            if augment is not None:
                x, y = augment(batch.x, batch.y)
                batch = Batch(x, y, batch.weight)
            total: Any = 0.0
            for turn, update in zip(turns, updates):
                if step % turn.player.every:
                    continue
                for _ in range(turn.player.updates):
                    with self._autocast():
                        output, loss, named = loss_of(
                            self.module_, self.criterion_, batch, turn.player.loss
                        )
                    for parameter in turn.parameters:
                        parameter.grad = None
                    if len(turns) == 1:
                        loss.backward()
                    else:  # the other players' parameters are left alone
                        loss.backward(inputs=turn.parameters)
                        named = {turn.name: loss, **named}
                    update(batch)
                    for name, part in named.items():
                        parts.setdefault(name, []).append(part.detach())
                total = total + loss.detach()
            losses.append(total)
            if watchers:
                self._record_batch(prefix, watchers, batch, output, total)
        found = {name: torch.stack(each).tolist() for name, each in parts.items()}
        return torch.stack(losses).tolist(), found

    def _derived(self, turn: Turn) -> Any:
        """What takes autograd's place for a player, None if nothing does."""
        if not self._recipe.manual_gradients:
            return None
        if turn.player.manual is not None:
            return turn.player.manual(self._buffers)
        if turn.player.loss is not None:
            return None
        return derived_by_hand(self.module_, self.criterion_, self._buffers)

    def _observed(self, turn: Turn, observers: list[Callback]) -> Any:
        """``turn.update`` for a batch, after those who want to see the gradients."""

        def update(batch: Batch) -> None:
            for callback in observers:
                named = list(self.get_all_learnable_params())
                callback.on_grad_computed(
                    self, named_parameters=named, batch=batch, training=True
                )
            turn.update()

        return update

    def _validate_epoch(
        self, batches: Batches, prefix: str = "valid"
    ) -> tuple[list[float], dict[str, list[float]]]:
        self._set_training(False)
        watchers = self._watchers(training=False)
        score = None if self._score is None else self._score()
        losses: list[Tensor] = []
        parts: dict[str, list[float]] = {}
        for batch in batches:
            self._watched("on_batch_begin", watchers, batch, training=False)
            with torch.inference_mode(), self._autocast():
                output, loss, named = self._validation_loss(batch)
                if output is None and (score is not None or watchers):
                    output = self.module_(batch.x)
                if score is not None:
                    score.update(output, batch.y, batch.weight)
            losses.append(loss)
            for name, part in named.items():
                parts.setdefault(name, []).append(part.item())
            if watchers:
                self._record_batch(prefix, watchers, batch, output, loss)
        self.history.record("valid_score", None if score is None else score.compute())
        return torch.stack(losses).tolist(), parts

    def _validation_loss(self, batch: Batch) -> tuple[Any, Tensor, dict[str, Tensor]]:
        """As in training; of several players, the sum."""
        each = [
            loss_of(self.module_, self.criterion_, batch, turn.player.loss)
            for turn in self._turns
        ]
        if len(each) == 1:
            return each[0]
        named = {turn.name: loss for turn, (_, loss, _) in zip(self._turns, each)}
        return None, torch.stack(list(named.values())).sum(), named

    # -- callbacks on batches --------------------------------------------------------

    def _overriding(self, hook: str) -> list[Callback]:
        seen = self._callbacks_of_epochs()
        return [each for _, each in seen if overrides(each, hook)]

    def _callbacks_of_epochs(self) -> list[tuple[str, Callback]]:
        """The history has no row for an epoch that is not counted."""
        return self.callbacks_ if self._phases[self._at].counted else []

    def _watchers(self, training: bool) -> list[Callback]:
        """Those who want to see each batch."""
        found: list[Callback] = []
        for _, callback in self._callbacks_of_epochs():
            ends = overrides(callback, "on_batch_end")
            if ends and type(callback).on_batch_end is EpochScoring.on_batch_end:
                ends = self._caches(callback) and callback.on_train == training
            if ends or overrides(callback, "on_batch_begin"):
                found.append(callback)
        return found

    def _caches(self, callback: EpochScoring) -> bool:
        given = self.use_caching
        return callback.use_caching if given == "auto" else given

    def _watched(self, hook: str, watchers: list[Callback], batch: Any, **more: Any):
        if watchers and hook == "on_batch_begin":
            self.history.new_batch()
        for callback in watchers:
            seen = batch
            if self._terms is not None and isinstance(callback, EpochScoring):
                seen = batch.x, self._terms.truth(batch.y)
                more = {**more, "y_pred": _joined(more.get("y_pred"))}
            getattr(callback, hook)(self, batch=seen, **more)

    def _record_batch(
        self, prefix: str, watchers: list[Callback], batch: Any, output: Any, loss: Any
    ) -> None:
        training = prefix == "train"
        if output is None:  # the module keeps it to itself in training
            with torch.no_grad(), self._autocast():
                self._set_training(False)
                output = self.module_(batch.x)
                self._set_training(training)
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(batch.x))
        if isinstance(output, Ragged):
            output = output.like(output.join().detach())
        elif isinstance(output, Tensor):
            output = output.detach()
        self._watched(
            "on_batch_end", watchers, batch, y_pred=output, loss=loss, training=training
        )

    # -- prediction ----------------------------------------------------------------

    def batches(
        self,
        x: Any,
        function: Callable[[Any], Any] | None = None,
        size: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the rows of each batch of a container and what the module gives for it.

        ``function`` takes the module's place. In inference mode and without writing
        anything: threads may share a fitted net.
        """
        run = function or self.module_
        x = x.to(self._device, self.dtype)
        for rows in parts_of(x, size or self._recipe.predict_batch_size):
            with torch.inference_mode(), self._autocast():
                output = run(x.batch(rows))
            yield rows, output

    def evaluation_step(self, batch, training=False):
        self._set_training(training)
        with torch.inference_mode(), self._autocast():
            return _joined(self.module_(batch.x))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self._terms is not None:
            tags.estimator_type = self._terms.kind
        return tags

    @property
    def classes_(self):
        """The labels that `predict` gives, if there are any."""
        if self._terms is None or self._terms.classes is None:
            raise AttributeError("there are no classes")
        return self._terms.classes

    def predict(self, X):
        """Labels or values of a dataset, for skorch's scoring callbacks."""
        return self._in_terms(X, None if self._terms is None else self._terms.predict)

    def predict_proba(self, X):
        """Probabilities for a dataset, for skorch's scoring callbacks."""
        terms = self._terms
        return self._in_terms(X, None if terms is None else terms.probabilities)

    def _in_terms(self, X: Any, translate: Any) -> np.ndarray:
        joined = torch.cat(list(self.forward_iter(X)))
        return joined.numpy() if translate is None else np.asarray(translate(joined))

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
            "streams": self._streams.state(),
            "history": [
                {k: v for k, v in row.items() if k != "batches"} for row in self.history
            ],
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
        self._losses = {name: list(each) for name, each in state["losses"].items()}
        self._streams.restore(state["streams"])
        self.history_ = History(dict(row) for row in state["history"])
        self._set_training(False)


def _joined(output: Any) -> Any:
    return output.join() if isinstance(output, Ragged) else output


__all__ = ["DivergenceError", "Net", "Recipe", "StopPhase", "StopTraining"]
