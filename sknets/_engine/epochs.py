"""An epoch: steps of those who train, the loss on held-out data, what callbacks see."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknets._engine._skorch import (
    Callback,
    Dataset,
    EpochScoring,
    NeuralNet,
    last_row,
    overrides,
)
from sknets._engine.containers import Ragged
from sknets._engine.data import Batch, Batches, Samples
from sknets._engine.dense import derived_by_hand
from sknets._engine.graphs import RecordedSteps, may_record
from sknets._engine.players import Turn, loss_of
from sknets._engine.processes import Part


class Epochs(NeuralNet):
    """skorch's net with an epoch of its own; `sknets._engine.net` tells when it runs.

    skorch collates rows and looks up its callbacks at every batch, which takes longer
    than the arithmetic of a small net.
    """

    _recorded: Any
    _piece: int
    _part: Part | None = None

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, Samples):
            return super().get_iterator(dataset, training=training)
        if training:
            generator = self._streams.loop if self._recipe.shuffle else None
            return Batches(dataset, self.batch_size, generator, self._part)
        return Batches(dataset, self._piece)

    def _autocast(self, training: bool = False):
        when = self._recipe.bfloat16
        if when == "never" or (when == "training" and not training):
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
        row.update({f"{prefix}_{name}": mean for name, mean in parts.items()})

    def _train_epoch(
        self, batches: Batches, prefix: str = "train"
    ) -> tuple[list[float], dict[str, float]]:
        """Train on each batch once; their losses, and the mean of each named part."""
        turns, augment = self._turns, self._augment
        epochs = self._phases[self._at].epochs
        if self._augmented * epochs <= self._done < epochs:
            augment = self._late
        for turn in turns:
            turn.begin_epoch()
        watchers = self._watchers(training=True)
        seen = watchers or self._overriding("on_grad_computed")
        rough = self._recipe.bfloat16 != "never"
        alone = self._part is None
        if alone and len(turns) == 1 and not (rough or watchers or augment):
            derived = self._derived(turns[0])
            if derived is not None:
                if not self.module_.training:
                    self._set_training(True)
                by_hand = partial(_by_hand, derived, bool(seen))
                run, moving = self._runner(by_hand, seen, len(batches)), tuple(turns)
                losses = derived.epoch(
                    batches, lambda batch: run(batch, moving), watched=bool(seen)
                )
                return losses, {}
        self._set_training(True)
        every: list[Tensor] = []
        parts: dict[str, list[tuple[Tensor, int]]] = {}
        outputs: list[Any] | None = [None] if watchers else None
        run = self._runner(partial(self._play, outputs), seen, len(batches))
        for number, batch in enumerate(batches):
            self._watched("on_batch_begin", watchers, batch, training=True)
            if augment is not None:
                x, y = augment(batch.x, batch.y)
                batch = Batch(x, y, batch.weight)
            moving = tuple(turn for turn in turns if number % turn.player.every == 0)
            total, named = run(batch, moving)
            for name, each in named.items():
                sized = ((part, batches.sizes[number]) for part in each)
                parts.setdefault(name, []).extend(sized)
            self._averages.follow(self.module_)
            every.append(total)
            if outputs:
                self._record_batch(prefix, watchers, batch, outputs[0], total)
        if self._part is not None:
            self._part.agree(self.module_)
        return torch.stack(every).tolist(), _means(parts)

    def _play(
        self, outputs: list[Any] | None, batch: Batch, moving: Any, update: Any
    ) -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:
        """A step of the players that move in it: the loss, and its named parts.

        ``outputs`` takes that of the module, if somebody wants it.
        """
        total: Any = 0.0
        parts: dict[str, tuple[Tensor, ...]] = {}
        for turn in moving:
            for _ in range(turn.player.updates):
                with self._autocast(training=True):
                    output, loss, named = loss_of(
                        self.module_, self.criterion_, batch, turn.player.loss
                    )
                for parameter in turn.parameters:
                    parameter.grad = None
                if len(self._turns) == 1:
                    loss.backward()
                else:  # the other players' parameters are left alone
                    loss.backward(inputs=turn.parameters)
                    named = {turn.name: loss, **named}
                if self._part is not None:
                    figures = self._part.average(
                        turn.parameters, [loss, *named.values()]
                    )
                    loss, named = figures[0], dict(zip(named, figures[1:]))
                update(turn, batch)
                for name, part in named.items():
                    parts[name] = (*parts.get(name, ()), part.detach())
            total = total + loss.detach()
        if outputs is not None:
            outputs[0] = output
        return total, parts

    def _runner(self, step: Any, seen: Any, n_steps: int) -> Any:
        """``run(batch, moving)`` does ``step(batch, moving, update)``: from a recording
        where the device makes them and nobody looks on.
        """
        steps = n_steps * self._phases[self._at].epochs
        turns, device = self._turns, self._device
        usual = self._part is None and all(turn.recordable for turn in turns)
        if seen or not usual or not may_record(device, steps):
            update = self._observed(seen)
            return lambda batch, moving: step(batch, moving, update)
        # Callbacks may have frozen or replaced something since the last epoch.
        module, parts = self.module_, [turn.signature() for turn in turns]
        signature = [*parts, [part.training for part in module.modules()]]
        if self._recorded is None or self._recorded[0] != signature:
            record = RecordedSteps(
                partial(step, update=lambda turn, batch: turn.move()),
                device,
                self._streams.noise,
            )
            self._recorded = signature, record
        record = self._recorded[1]

        def run(batch: Batch, moving: tuple[Turn, ...]) -> Any:
            for turn in moving:
                turn.write_rates()
            found = record(batch, moving)
            for turn in moving:
                turn.advance()
            return found

        return run

    def _derived(self, turn: Turn) -> Any:
        """What takes autograd's place for a player, None if nothing does."""
        if not self._recipe.manual_gradients or self._recipe.ema_decay is not None:
            return None
        if turn.player.manual is not None:
            return turn.player.manual(self._buffers)
        if turn.player.loss is not None:
            return None
        return derived_by_hand(self.module_, self.criterion_, self._buffers)

    def _observed(self, seen: Any) -> Any:
        """``turn.update`` for a batch, after those who want to see the gradients."""
        observers = self._overriding("on_grad_computed") if seen else []
        if not observers:
            return lambda turn, batch: turn.update()

        def update(turn: Turn, batch: Batch) -> None:
            for callback in observers:
                named = list(self.get_all_learnable_params())
                callback.on_grad_computed(
                    self, named_parameters=named, batch=batch, training=True
                )
            turn.update()

        return update

    def _validate_epoch(
        self, batches: Batches, prefix: str = "valid"
    ) -> tuple[list[float], dict[str, float]]:
        self._set_training(False)
        watchers = self._watchers(training=False)
        score = None if self._score is None else self._score()
        losses: list[Tensor] = []
        parts: dict[str, list[tuple[Tensor, int]]] = {}
        for size, batch in zip(batches.sizes, batches):
            self._watched("on_batch_begin", watchers, batch, training=False)
            with torch.inference_mode(), self._autocast():
                output, loss, named = self._validation_loss(batch)
                if output is None and (score is not None or watchers):
                    output = self.module_(batch.x)
                if score is not None:
                    score.update(output, batch.y, batch.weight)
            losses.append(loss)
            for name, part in named.items():
                parts.setdefault(name, []).append((part, size))
            if watchers:
                self._record_batch(prefix, watchers, batch, output, loss)
        self.history.record("valid_score", None if score is None else score.compute())
        return torch.stack(losses).tolist(), _means(parts)

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

    def _with_truth(self, callback: EpochScoring, told: dict) -> dict:
        """The data of an epoch for a scorer that has cached nothing of it."""
        name = "dataset_train" if callback.on_train else "dataset_valid"
        samples = told[name]
        if samples is None or self._terms is None or self._caches(callback):
            return told
        truth = self._terms.truth(samples.targets)
        return {**told, name: Dataset(samples, truth, length=len(samples))}

    # -- what skorch's scorers ask for -------------------------------------------------

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


def _by_hand(
    derived: Any, seen: bool, batch: Batch, moving: Any, update: Any
) -> Tensor:
    """A step whose gradients autograd does not find, of the one player.

    Those who look on (``seen``) get ordinary tensors, not those of inference mode.
    """
    if seen:
        with torch.inference_mode():
            losses = derived(batch.x, batch.y, batch.weight)
    else:
        losses = derived(batch.x, batch.y, batch.weight)
    update(moving[0], batch)
    return losses


def _means(parts: dict[str, list[tuple[Tensor, int]]]) -> dict[str, float]:
    """The means of figures of batches of these sizes."""
    found = {}
    for name, pairs in parts.items():
        figures, sizes = zip(*pairs)
        found[name] = float(np.average(torch.stack(figures).tolist(), weights=sizes))
    return found


def _joined(output: Any) -> Any:
    return output.join() if isinstance(output, Ragged) else output


__all__ = ["Epochs"]
