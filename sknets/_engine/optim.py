"""Optimisers, learning-rate schedules and the optimiser step without its wrapper."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch.optim import lr_scheduler

from sknets._engine.device import records, scalar

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


class Budget(NamedTuple):
    """How long to train: so many epochs, and at least so many steps."""

    epochs: int
    steps: int


@dataclass(frozen=True)
class Recipe:
    """How a net is trained: the shared parameters that the engine reads."""

    max_epochs: int
    batch_size: int
    lr: float
    optimizer: str = "adam"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    lr_schedule: str | None = None
    gradient_clip: float | None = None
    shuffle: bool = True
    bfloat16: Literal["never", "training", "always"] = "never"
    predict_batch_size: int = 1024
    ema_decay: float | None = None
    manual_gradients: bool = True
    betas: tuple[float, float] | None = None


def make_optimizer(
    recipe: Recipe, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser, with torch's fused kernel where it has one."""
    options: dict[str, Any] = {"lr": recipe.lr}
    if recipe.optimizer == "sgd":
        momentum = recipe.momentum
        options |= {"momentum": momentum, "nesterov": recipe.nesterov and momentum > 0}
    elif recipe.betas is not None:
        options["betas"] = recipe.betas
    decay = recipe.weight_decay
    parameters = list(parameters)
    # Decay pulls weights to zero; biases and norms have no reason to be small.
    decayed = [p for p in parameters if decay and p.ndim > 1]
    others = [p for p in parameters if not (decay and p.ndim > 1)]
    groups = [
        {"params": decayed, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    with _without_compiler():
        return OPTIMIZERS[recipe.optimizer](
            [group for group in groups if group["params"]],
            fused=fused or None,
            **options,
        )


@contextlib.contextmanager
def _without_compiler():
    """torch's optimisers import its compiler, over a second, only to be skipped by it.

    Inside the block their methods look as if they had been; where torch changes the
    mark, the import is back and nothing else.
    """
    marked = []
    if "torch._dynamo" not in sys.modules:
        for method in vars(torch.optim.Optimizer).values():
            inner = getattr(method, "__wrapped__", None)
            if inner is not None and not hasattr(inner, "__dynamo_disable"):
                vars(inner)["__dynamo_disable"] = inner
                marked.append(inner)
    try:
        yield
    finally:
        for inner in marked:
            vars(inner).pop("__dynamo_disable", None)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return ``optimizer.state_dict()``."""
    with _without_compiler():
        return optimizer.state_dict()


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Do ``optimizer.load_state_dict(state)``.

    The moments are laid out in memory as their weights are, which fused steps need.
    """
    with _without_compiler():
        optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(value)


def make_schedule(
    name: str, optimizer: torch.optim.Optimizer, epochs: int, steps: int
) -> Any:
    """Return torch's scheduler of that name over a fit of so many epochs and steps.

    "one_cycle" moves every step, the others once an epoch (`Schedule.advance`).
    """
    lr = optimizer.param_groups[0]["lr"]
    if name == "step":
        return lr_scheduler.StepLR(optimizer, max(1, -(-epochs // 3)), 0.1)
    if name == "linear":
        second = epochs - epochs // 2  # epochs, in which it falls

        def share(epoch: int) -> float:
            return max(0.0, min(1.0, (epochs - epoch) / second))

        return lr_scheduler.LambdaLR(optimizer, share)
    if name == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    if name == "one_cycle":
        # Momentum stays as given: cycling it would make beta1 a hidden parameter.
        return lr_scheduler.OneCycleLR(
            optimizer, lr, total_steps=max(2, epochs * steps), cycle_momentum=False
        )
    return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)


class Schedule:
    """A learning-rate schedule that can be saved, and stays at its end when it ends."""

    def __init__(
        self,
        name: str,
        optimizer: torch.optim.Optimizer,
        epochs: int,
        steps: int,
        saved: dict[str, Any] | None = None,
    ):
        groups = [dict(group) for group in optimizer.param_groups]
        self.scheduler = make_schedule(name, optimizer, epochs, steps)
        if saved is not None:
            self.restore(saved)
            # To make a scheduler starts it: the rates go back to where they were.
            for group, kept in zip(optimizer.param_groups, groups):
                group.update(kept)
        self.every_step = name == "one_cycle"
        self.on_plateau = name == "plateau"

    def advance(self, loss: float | None = None) -> None:
        """Move on by a step or an epoch; ``loss`` is what "plateau" watches."""
        if self.on_plateau:
            self.scheduler.step(loss)
        elif not self._ended():
            self.scheduler.step()

    def _ended(self) -> bool:
        total = getattr(self.scheduler, "total_steps", None)
        if total is not None:
            return self.scheduler.last_epoch + 1 >= total
        # A cosine would rise again.
        return self.scheduler.last_epoch >= getattr(self.scheduler, "T_max", 2**62)

    def state(self) -> dict[str, Any]:
        plain = (bool, int, float, str, list, dict, type(None))
        found = self.scheduler.state_dict()
        return {k: v for k, v in found.items() if isinstance(v, plain)}

    def restore(self, state: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state)


def rate_tensors(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    """A learning rate a group that a recorded step reads; None on the CPU."""
    groups = optimizer.param_groups
    device = groups[0]["params"][0].device
    if not records(device):
        return None
    with torch.inference_mode(False):
        return [torch.zeros((), device=device) for _ in groups]


class FusedStep:
    """``optimizer.step()`` by calling its fused kernel directly.

    The wrapper around the kernel costs more than the kernel for a small net. It works
    on the optimiser's own state tensors, so saving, loading and schedules see every
    step. Anything unusual (hooks, other optimisers, several dtypes, a torch without
    the kernel) goes to ``optimizer.step()``.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        rates: list[torch.Tensor] | None = None,
    ):
        self.optimizer, self.rates = optimizer, rates
        self._steps: list[Callable[[], None]] | None = self._prepare()

    def __call__(self) -> None:
        if self._steps is None:
            # State made here outlives this fit: it must not be of inference mode.
            with torch.inference_mode(False), torch.no_grad():
                self._make_state()
                self._steps = self._prepare()
                if self._steps is None:
                    self.optimizer.step()
                    self._steps = self._prepare()
                    return
        # To switch gradients off costs half as much as the kernel.
        on = torch.is_grad_enabled()
        with torch.no_grad() if on else contextlib.nullcontext():
            for step in self._steps:
                step()

    def _make_state(self) -> None:
        """The state of the parameters that have none yet.

        Adam's own first `step` would import torch's compiler, and that of SGD fails
        where some parameters were frozen until now.
        """
        optimizer: Any = self.optimizer
        if type(optimizer) in (torch.optim.Adam, torch.optim.AdamW):
            with contextlib.suppress(AttributeError, TypeError):
                for group in optimizer.param_groups if not optimizer.state else ():
                    optimizer._init_group(group, [], [], [], [], [], [])
        if type(optimizer) is torch.optim.SGD:
            for group in optimizer.param_groups:
                for p in group["params"] if group["momentum"] else ():
                    if p.requires_grad and not optimizer.state[p]:
                        optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)

    @staticmethod
    def serves(optimizer: torch.optim.Optimizer) -> bool:
        """Whether there is a kernel for all that this optimiser does."""
        hooks = (
            optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
        )
        if type(optimizer) not in _KERNELS or hooks:
            return False
        for group in optimizer.param_groups:
            learned = {(p.device, p.dtype) for p in group["params"] if p.requires_grad}
            tensor_rate = isinstance(group["lr"], torch.Tensor)
            unusual = group.get("differentiable") or group.get("amsgrad") or tensor_rate
            if len(learned) != 1 or not group.get("fused") or unusual:
                return False
        return True

    def _prepare(self) -> list[Callable[[], None]] | None:
        optimizer = self.optimizer
        if not self.serves(optimizer):
            return None
        steps = []
        groups = optimizer.param_groups
        rates: list[Any] = self.rates or [None] * len(groups)
        for group, rate in zip(groups, rates):
            parameters = [p for p in group["params"] if p.requires_grad]
            states = [optimizer.state.get(p, {}) for p in parameters]
            step = _KERNELS[type(optimizer)](group, rate, parameters, states)
            if step is None:
                return None
            steps.append(step)
        return steps


def _adam(kernel_name: str):
    def make(group, rate, parameters, states):
        kernel = getattr(torch, kernel_name, None)
        if kernel is None or not all(states):
            return None
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        # Views of one tensor: a step counts for all of them at once.
        counts = [state["step"] for state in states]
        count = counts[0]._base
        shared = all(own._base is count for own in counts)
        if count is None or not shared or len(count) != len(counts):
            count = torch.stack(counts)
            counts = list(count.unbind())
            for state, own in zip(states, counts):
                state["step"] = own
        one = scalar(1.0, count.dtype)  # a number would be made a tensor at each step
        beta1, beta2 = group["betas"]

        def step():
            count.add_(one)
            kernel(
                parameters,
                [p.grad for p in parameters],  # None only where a net has dead parts
                means,
                squares,
                [],
                counts,
                amsgrad=False,
                lr=group["lr"] if rate is None else rate,
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
            )

        return step

    return make


def _sgd(group, rate, parameters, states):
    kernel = getattr(torch, "_fused_sgd_", None)
    if kernel is None:
        return None
    momentum = group["momentum"]
    buffers = [state.get("momentum_buffer") for state in states] if momentum else []
    if any(buffer is None for buffer in buffers):
        return None

    def step():
        kernel(
            parameters,
            [p.grad for p in parameters],
            buffers,
            weight_decay=group["weight_decay"],
            momentum=momentum,
            lr=group["lr"] if rate is None else rate,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=False,
        )

    return step


_KERNELS = {
    torch.optim.Adam: _adam("_fused_adam_"),
    torch.optim.AdamW: _adam("_fused_adamw_"),
    torch.optim.SGD: _sgd,
}
