"""Who trains, by which loss and how long: players within a step, phases of a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._engine.data import Batch, Samples
from sknets._engine.dense import ManualGradient
from sknets._engine.optim import (
    FusedStep,
    Recipe,
    Schedule,
    make_optimizer,
    optimizer_state,
    rate_tensors,
    restore_optimizer,
)

Loss = Callable[[Any, Any], Any]
_CHANGING = "params", "lr", "initial_lr", "max_lr", "min_lr"


@dataclass
class Player:
    """Some parameters, their optimiser's settings and the loss that they lower.

    Parameters
    ----------
    name : str
    parameters : list of Parameter
    recipe : Recipe
        Of it the optimiser, its rate, schedule, decay and clipping.
    loss : callable or None
        ``loss(x, y)`` as that of a module; None is the module's own.
    manual : callable or None
        ``manual(buffers)`` gives a `ManualGradient` in autograd's place.
    every : int
        The player takes part in each so many-th step, the first included.
    updates : int
        How often it moves within a step.
    """

    name: str
    parameters: list[nn.Parameter]
    recipe: Recipe
    loss: Loss | None = None
    manual: Callable[[dict[Any, Any]], ManualGradient | None] | None = None
    every: int = 1
    updates: int = 1


@dataclass
class Phase:
    """Epochs in which the same players train: pretraining, a layer, fine-tuning.

    Parameters
    ----------
    name : str
    epochs : int
        How many; of the last phase more may follow.
    players : callable
        ``players()`` gives them when the phase begins.
    begin : callable or None
        ``begin(samples, valid, resumed)`` gives the samples to train on. Called before
        the phase's first epoch and, with ``resumed``, where a fit that was killed goes
        on within the phase: what it learns is in the module or in fitted attributes.
    counted : bool
        Whether its epochs are the fit's: history, validation and callbacks see them.
    """

    name: str
    epochs: int
    players: Callable[[], Sequence[Player]]
    begin: Callable[[Samples, Samples | None, bool], tuple[Any, Any]] | None = None
    counted: bool = True


class Turn:
    """A player at work: its optimiser and schedule."""

    def __init__(self, player: Player):
        self.player, self.name = player, player.name
        self.recipe, self.parameters = player.recipe, player.parameters
        self.optimizer = make_optimizer(player.recipe, player.parameters)
        self.schedule: Schedule | None = None
        self._saved_schedule: dict[str, Any] | None = None
        self._step: FusedStep | None = None
        self._rates = rate_tensors(self.optimizer)

    def plan(self, epochs: int, steps: int, scheduled: bool) -> None:
        """Make the schedule of a phase, unless there is one or a callback has its."""
        name = self.recipe.lr_schedule
        if name is None or not scheduled:
            self.schedule = None
        elif self.schedule is None:
            saved = self._saved_schedule
            self.schedule = Schedule(name, self.optimizer, epochs, steps, saved)

    def adapt(self, weight_decay: float) -> None:
        """Take on another decay, and the recipe's rate without a schedule."""
        for group in self.optimizer.param_groups:
            if group["weight_decay"]:
                group["weight_decay"] = weight_decay
            if self.recipe.lr_schedule is not None:
                group["lr"] = self.recipe.lr
        self.recipe = replace(self.recipe, lr_schedule=None)
        self.schedule = self._saved_schedule = None

    def begin_epoch(self) -> None:
        # Callbacks may have frozen or replaced something since the last one.
        self._step = FusedStep(self.optimizer, self._rates)
        self.write_rates()
        # It calls the optimiser's kernel, not the wrapped `step` that torch's warning
        # about the order of an optimiser's and a scheduler's steps looks at.
        self.optimizer._opt_called = True  # type: ignore[attr-defined]

    def update(self) -> None:
        """Move along the gradients that the parameters hold, and the rate on."""
        self.move()
        if self.schedule is not None:
            self.advance()

    def move(self) -> None:
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
        self._step()  # type: ignore[misc]

    def advance(self) -> None:
        if self.schedule is not None and self.schedule.every_step:
            self.schedule.advance()
            self.write_rates()

    def write_rates(self) -> None:
        """Where the kernel reads its rates on the device: write those of now."""
        if self._rates is not None:
            for group, rate in zip(self.optimizer.param_groups, self._rates):
                rate.fill_(group["lr"])

    @property
    def recordable(self) -> bool:
        """Whether a kernel does its updates, and one rate is for those of a step."""
        changing = self.schedule is not None and self.schedule.every_step
        once = self.player.updates == 1 or not changing
        return once and FusedStep.serves(self.optimizer)

    def signature(self) -> list[Any]:
        """What a recording of steps depends on."""
        groups = self.optimizer.param_groups
        options = [{k: v for k, v in g.items() if k not in _CHANGING} for g in groups]
        learned = [(p.data_ptr(), p.requires_grad) for g in groups for p in g["params"]]
        return [self.recipe.gradient_clip, options, learned]

    def end_epoch(self, loss: float) -> None:
        if self.schedule is not None and not self.schedule.every_step:
            self.schedule.advance(loss)

    def state(self) -> dict[str, Any]:
        schedule = self.schedule.state() if self.schedule else self._saved_schedule
        return {"optimizer": optimizer_state(self.optimizer), "schedule": schedule}

    def restore(self, state: dict[str, Any]) -> None:
        restore_optimizer(self.optimizer, state["optimizer"])
        self._saved_schedule = state["schedule"]
        if self.schedule is not None and self._saved_schedule is not None:
            self.schedule.restore(self._saved_schedule)


@dataclass
class Terms:
    """A network's outputs and targets in the user's terms, for skorch's callbacks.

    Attributes
    ----------
    predict, truth : callable
        Output or encoded target to labels or values.
    probabilities : callable or None
        Output to probabilities.
    classes : ndarray or None
    kind : str or None
        "classifier" or "regressor", if it is one to scikit-learn's scorers.
    """

    predict: Callable[[Any], Any]
    truth: Callable[[Any], Any]
    probabilities: Callable[[Any], Any] | None = None
    classes: Any = None
    kind: str | None = None


class Trainer(Protocol):
    """What an estimator asks of whatever trains its module: a `Net`, another library.

    ``train`` goes on for so many epochs more; ``state`` is everything that it changes,
    as numpy arrays, numbers and strings, and ``restore`` goes back to it; ``history``
    has a dict an epoch with its ``train_loss``; ``outputs`` is what the module (or a
    function of it) gives for a container, batch by batch.
    """

    module_: Any
    history: Any
    dtype: torch.dtype
    device: Any
    n_parameters: int

    def train(
        self,
        samples: Samples,
        valid: Samples | None = None,
        epochs: int | None = None,
        callbacks: Any = None,
        resumed: bool = False,
    ) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...

    def losses_of(self, phase: str) -> list[float]: ...

    def batches(self, x: Any, function: Any = None, size: int | None = None) -> Any: ...


def mean_loss(losses: Any, weight: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The (weighted) mean of losses a sample, and that of each of their named parts."""
    if isinstance(losses, dict):
        parts = {name: mean_loss(part, weight)[0] for name, part in losses.items()}
        return sum(parts.values()), parts  # type: ignore[return-value]
    if losses.ndim and weight is not None:
        losses = losses * (weight.join() if isinstance(weight, Ragged) else weight)
    return (losses.mean() if losses.ndim else losses), {}


def loss_of(
    module: Any, criterion: Any, batch: Batch, loss: Loss | None = None
) -> tuple[Any, Tensor, dict[str, Tensor]]:
    """The output of a module that leaves its loss to the criterion (else None), the
    loss of a batch, and its named parts.
    """
    own = loss or getattr(module, "loss", None)
    if own is None:
        output = module(batch.x)
        return output, criterion(output, batch.y, batch.weight), {}
    return (None, *mean_loss(own(batch.x, batch.y), batch.weight))


def one_phase(net: Any) -> list[Phase]:
    """All parameters, trained together for the recipe's epochs."""

    def players() -> list[Player]:
        learned = [p for p in net.module_.parameters() if p.requires_grad]
        return [Player("module", learned, net._recipe)]

    return [Phase("training", net._recipe.max_epochs, players)]


__all__ = [
    "Phase",
    "Player",
    "Terms",
    "Trainer",
    "Turn",
    "loss_of",
    "mean_loss",
    "one_phase",
]
