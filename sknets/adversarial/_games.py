"""What the two players of a game lower, and the penalty that keeps it smooth.

A discriminator gives a number a sample, the higher the more real; r of real samples and
f of made ones are such numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# What games may be played by: also "linear", the rate at first, then down to zero.
LR_SCHEDULE = Literal["linear", "step", "cosine", "one_cycle", "plateau"] | None
LOSS = Literal["original", "non_saturating", "least_squares", "wasserstein", "hinge"]


class Game(NamedTuple):
    """The losses of the discriminator, of r and f, and of the generator, of f."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    # Where the penalty is taken: of the slope between real and made samples, which
    # shall be 1, or of that at real ones, which shall be 0.
    between: bool = False


def _cross_entropy(r: Tensor, f: Tensor) -> Tensor:
    return F.softplus(-r).mean() + F.softplus(f).mean()


GAMES: dict[str, Game] = {
    # Sigmoid and logarithm of the paper, in one.
    "original": Game(_cross_entropy, lambda f: -F.softplus(f).mean()),
    "non_saturating": Game(_cross_entropy, lambda f: F.softplus(-f).mean()),
    "least_squares": Game(
        lambda r, f: ((r - 1).square().mean() + f.square().mean()) / 2,
        lambda f: (f - 1).square().mean() / 2,
    ),
    "wasserstein": Game(
        lambda r, f: f.mean() - r.mean(), lambda f: -f.mean(), between=True
    ),
    "hinge": Game(
        lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda f: -f.mean()
    ),
}


def slope_penalty(gradient: Tensor, between: bool) -> Tensor:
    """The mean penalty of gradients (B, ...) of the discriminator, a row a sample."""
    squares = gradient.flatten(1).square().sum(1)
    if between:
        # The root has no derivative at 0, where a fresh discriminator may be.
        return ((squares + 1e-12).sqrt() - 1).square().mean()
    return squares.mean() / 2


def mixed(real: Tensor, made: Tensor, generator: torch.Generator | None) -> Tensor:
    """Samples between real and made ones, at random places."""
    shape = len(real), *[1] * (real.ndim - 1)
    share = torch.empty(shape, dtype=real.dtype, device=real.device)
    return made + share.uniform_(generator=generator) * (real - made)


__all__ = ["GAMES", "LOSS", "LR_SCHEDULE", "Game", "mixed", "slope_penalty"]
