"""The net: skorch's training with a lean epoch loop.

skorch provides the life cycle, callbacks and history; tensor batches, one fused
optimiser step and history written once an epoch take the place of its per-row and
per-batch work. As soon as something asks for more (a callback on batches, an overridden
step), skorch's own loop runs instead: same bits, more time.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sknets._engine.batching import Batches, Samples, target_and_weight
from sknets._engine.dense import derived_by_hand
from sknets._engine.device import Streams, to_numpy, to_torch
from sknets._engine.optim import (
    OPTIMIZERS,
    FusedStep,
    Recipe,
    Schedule,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
)
from sknets._engine.predicting import outputs_for
from sknets._engine.stock import (
    Callback,
    EarlyStopping,
    EpochLoss,
    EpochScoring,
    History,
    NeuralNet,
    last_row,
    mean_loss,
    overrides,
    predefined_split,
)


class StopTraining(Exception):
    """Raised by a callback: training ends here, as after the last epoch."""


class DivergenceError(FloatingPointError):
    """The training loss is no longer a finite number."""


class Net(NeuralNet):
    """One module, its loss and its optimiser, trained by skorch.

    Parameters
    ----------
    module : nn.Module
        ``module(x)`` gives the output for a batch.
    criterion : nn.Module
        ``criterion(output, target, weight)`` gives the scalar loss of a batch; without
        targets in the samples ``target`` is the batch itself.
    recipe : Recipe
    streams : Streams
        Where shuffling and noise come from.
    device : torch.device
    score : callable or None
        ``score(output, target, weight)`` of the whole validation set, once an epoch.
    decode : callable or None
        Output to encoded labels or values: what `predict` gives to skorch's scorers.
    callbacks : list of skorch callbacks
    verbose : int
        1 prints skorch's table, a line an epoch.
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: nn.Module,
        recipe: Recipe,
        streams: Streams,
        device: torch.device,
        score: Callable[[Tensor, Tensor, Tensor | None], float | None] | None = None,
        decode: Callable[[Tensor], Tensor] | None = None,
        callbacks: Any = None,
        verbose: int = 0,
    ):
        super().__init__(
            module,
            criterion,
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
        self._score, self._decode = score, decode
        self._schedule: Schedule | None = None
        self._saved_schedule: dict[str, Any] | None = None
        self._valid_outputs: list[Tensor] = []
        self._rooms: dict[int, tuple] = {}

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
        parameters = [p for _, p in self.get_all_learnable_params() if p.requires_grad]
        self.optimizer_ = make_optimizer(self._recipe, parameters)
        return self

    def train(
        self,
        samples: Samples,
        valid: Samples | None = None,
        epochs: int | None = None,
        callbacks: Any = None,
    ) -> None:
        """Train for so many epochs more; a real Ctrl-C propagates, unlike in skorch."""
        if not self.initialized_:
            self.initialize()
        if callbacks is not None:
            self.callbacks = callbacks
            self.initialize_callbacks()
        self.train_split = None if valid is None else predefined_split(valid)
        self._plan_schedule(len(Batches(samples, self.batch_size)))
        self.notify("on_train_begin", X=samples, y=None)
        try:
            with contextlib.suppress(StopTraining):
                self.fit_loop(samples, None, epochs=epochs)
        finally:
            self.notify("on_train_end", X=samples, y=None)
            self._set_training(False)
            self.train_split, self._rooms = None, {}
            for row in self.history:
                row.pop("batches", None)

    def _plan_schedule(self, steps: int) -> None:
        name = self._recipe.lr_schedule
        if name is None or self._schedule is not None:
            return
        epochs, saved = self._recipe.max_epochs, self._saved_schedule
        self._schedule = Schedule(name, self.optimizer_, epochs, steps, saved)

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """As skorch's, telling its EarlyStopping signal from a real Ctrl-C."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if isinstance(callback, EarlyStopping) and (
                    callback.misses_ == callback.patience
                ):
                    raise StopTraining from None
                raise

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self._guard()
        if self._schedule is not None and not self._schedule.every_step:
            self._schedule.advance(
                self._epoch_loss("valid" if dataset_valid else "train")
            )

    def _epoch_loss(self, prefix: str) -> float:
        return float(mean_loss(last_row(self.history)["batches"], prefix))

    def _guard(self) -> None:
        rows = last_row(self.history)["batches"]
        loss = sum(row.get("train_loss", 0.0) for row in rows)
        if not math.isfinite(loss):
            raise DivergenceError(
                f"The training loss became {loss} in epoch {len(self.history)}: lower "
                "lr, set gradient_clip, or scale X."
            )

    # -- batches and steps ---------------------------------------------------------

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, Samples):
            return super().get_iterator(dataset, training=training)
        if training:
            generator = self._streams.loop if self._recipe.shuffle else None
            return Batches(dataset, self.batch_size, generator)
        return Batches(dataset, self._recipe.predict_batch_size)

    def infer(self, x, **fit_params):
        with self._autocast():
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        target, weight = target_and_weight(y_true, X)
        with self._autocast():
            return self.criterion_(y_pred, target, weight)

    def _autocast(self):
        if not self._recipe.bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)

    def train_step(self, batch, **fit_params):
        step = super().train_step(batch, **fit_params)
        if self._schedule is not None and self._schedule.every_step:
            self._schedule.advance()
        return step

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        self._clip([p for _, p in self.get_all_learnable_params()])
        return step

    def validation_step(self, batch, **fit_params):
        step = super().validation_step(batch, **fit_params)
        self._valid_outputs.append(step["y_pred"])
        return step

    def _clip(self, parameters: list[nn.Parameter]) -> None:
        if self._recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(parameters, self._recipe.gradient_clip)

    # -- epochs --------------------------------------------------------------------

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        self._valid_outputs = []
        if not isinstance(iterator, Batches) or not self._is_lean(training):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        elif training:
            self._record(prefix, iterator, self._train_lean(iterator))
        else:
            self._record(prefix, iterator, self._validate_lean(iterator))
        if not training and self._score is not None:
            samples = iterator.samples
            self.history.record(
                "valid_score",
                self._score(
                    torch.cat(self._valid_outputs), samples.targets, samples.weights
                ),
            )

    def _is_lean(self, training: bool) -> bool:
        """Whether nobody asks to see each batch."""
        if self.compile or not _has_plain_steps(type(self)):  # type: ignore[arg-type]
            return False
        return not any(
            overrides(callback, "on_batch_begin")
            or (
                overrides(callback, "on_batch_end")
                and not self._only_collects(callback, training)
            )
            for _, callback in self.callbacks_
        )

    def _only_collects(self, callback: Callback, training: bool) -> bool:
        """EpochScoring's batch hook keeps references: the lean loop can serve it."""
        if type(callback).on_batch_end is not EpochScoring.on_batch_end:
            return False
        caching = (
            callback.use_caching if self.use_caching == "auto" else self.use_caching
        )
        return bool(caching) or callback.on_train != training

    def _train_lean(self, batches: Batches) -> list[float]:
        module, criterion, autocast = self.module_, self.criterion_, self._autocast
        amp = self._recipe.bfloat16
        optimizer = self.optimizer_
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        step = FusedStep(optimizer)
        clip = self._recipe.gradient_clip is not None
        schedule = self._schedule
        if schedule is not None and not schedule.every_step:
            schedule = None
        collectors = self._overriding("on_batch_end")
        observers = self._overriding("on_grad_computed")

        def update(x: Any, y: Any) -> None:
            if clip:
                self._clip(parameters)
            for callback in observers:
                named = list(self.get_all_learnable_params())
                callback.on_grad_computed(
                    self, named_parameters=named, batch=(x, y), training=True
                )
            step()
            if schedule is not None:
                schedule.advance()

        if not (amp or collectors) and self._recipe.backpropagate_by_hand:
            derived = derived_by_hand(module, criterion, self._rooms)
            if derived is not None:
                if not module.training:
                    self._set_training(True)
                return derived.epoch(batches, update, watched=bool(observers))
        self._set_training(True)
        losses = []
        for x, y in batches:
            target, weight = target_and_weight(y, x)
            if amp:
                with autocast():
                    output = module(x)
                    loss = criterion(output, target, weight)
            else:
                output = module(x)
                loss = criterion(output, target, weight)
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            update(x, y)
            losses.append(loss.detach())
            for callback in collectors:
                callback.on_batch_end(
                    self, batch=(x, y), y_pred=output.detach(), loss=loss, training=True
                )
        return torch.stack(losses).tolist()

    def _validate_lean(self, batches: Batches) -> list[float]:
        self._set_training(False)
        collectors = self._overriding("on_batch_end")
        losses = []
        with torch.inference_mode(), self._autocast():
            for x, y in batches:
                output = self.module_(x)
                loss = self.criterion_(output, *target_and_weight(y, x))
                losses.append(loss)
                self._valid_outputs.append(output)
                for callback in collectors:
                    callback.on_batch_end(
                        self, batch=(x, y), y_pred=output, loss=loss, training=False
                    )
        return torch.stack(losses).tolist()

    def _overriding(self, hook: str) -> list[Callback]:
        return [each for _, each in self.callbacks_ if overrides(each, hook)]

    def _record(self, prefix: str, batches: Batches, losses: list[float]) -> None:
        """Write an epoch's history at once: the very rows that skorch would write."""
        loss_key, size_key = f"{prefix}_loss", f"{prefix}_batch_size"
        row = last_row(self.history)
        row["batches"].extend(
            {loss_key: loss, size_key: size}
            for loss, size in zip(losses, batches.sizes)
        )
        row[f"{prefix}_batch_count"] = len(losses)

    # -- prediction ----------------------------------------------------------------

    def outputs(
        self,
        x: Any,
        function: Callable[[Any], Tensor] | None = None,
        by_step: bool = False,
    ) -> Tensor:
        """What the module (or a function of it) gives for a container, on the CPU."""
        run = function or self.module_
        x = x.to(self._device, self.dtype)
        with self._autocast():
            return outputs_for(x, run, self._recipe.predict_batch_size, by_step)

    def predict(self, X):
        """Encoded labels or values of a dataset, for skorch's scoring callbacks."""
        output = self.forward(X)
        return (output if self._decode is None else self._decode(output)).numpy()

    # -- state ---------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that training changes, as numpy arrays, numbers and strings."""
        schedule = self._schedule.state() if self._schedule else self._saved_schedule
        return {
            "dtype": str(self.dtype).removeprefix("torch."),
            "weights": to_numpy(self.module_.state_dict()),
            "optimizer": to_numpy(optimizer_state(self.optimizer_)),
            "schedule": schedule,
            "streams": self._streams.state(),
            "history": [
                {k: v for k, v in row.items() if k != "batches"} for row in self.history
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of this net, or take over that of an equal one."""
        self.module_.load_state_dict(to_torch(state["weights"]), strict=True)
        restore_optimizer(self.optimizer_, to_torch(state["optimizer"]))
        self._saved_schedule = state["schedule"]
        if self._schedule is not None and self._saved_schedule is not None:
            self._schedule.restore(self._saved_schedule)
        self._streams.restore(state["streams"])
        self.history_ = History(dict(row) for row in state["history"])
        self._set_training(False)


@functools.cache
def _has_plain_steps(kind: type[Net]) -> bool:
    steps = ("train_step", "train_step_single", "validation_step", "infer", "get_loss")
    hooks = ("on_batch_begin", "on_batch_end", "on_grad_computed")
    return all(getattr(kind, own) is getattr(Net, own) for own in (*steps, *hooks))


__all__ = ["DivergenceError", "Net", "Recipe", "StopTraining"]
