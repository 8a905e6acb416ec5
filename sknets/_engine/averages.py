"""Running means of weights, which stand for them wherever a network is asked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._engine.device import to_numpy, to_torch


class Averages:
    """Exponential moving averages of a module's numbers, step by step.

    While the module trains it has its own numbers, else their means: `show` exchanges
    them.

    Parameters
    ----------
    decay : float or None
        How much of a mean is kept in each step, less in the first ones; None: there are
        no means.
    """

    def __init__(self, decay: float | None):
        self.decay, self.steps, self.shown = decay, 0, False
        self.others: dict[str, Tensor] = {}

    def follow(self, module: nn.Module) -> None:
        """After a step."""
        if self.decay is None:
            return
        own = _numbers(module)
        if not self.others:
            self.others = {name: value.clone() for name, value in own.items()}
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        means = [self.others[name] for name in own]
        torch._foreach_lerp_(means, [*own.values()], 1 - keep)

    def show(self, module: nn.Module, shown: bool) -> None:
        if not self.others or shown == self.shown:
            return
        for name, value in _numbers(module).items():
            other = self.others[name]
            mean = other.clone()
            other.copy_(value)
            value.copy_(mean)
        self.shown = shown

    def state(self) -> dict[str, Any]:
        others = to_numpy(self.others)
        return {"steps": self.steps, "shown": self.shown, "others": others}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps, self.shown = state["steps"], state["shown"]
        self.others = to_torch(state["others"])


def _numbers(module: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics; what counts steps is no number to average."""
    state = module.state_dict()
    return {name: each for name, each in state.items() if each.is_floating_point()}


__all__ = ["Averages"]
