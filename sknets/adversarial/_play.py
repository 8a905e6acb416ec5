"""The two networks of a game as one module, and what each of them lowers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets.adversarial._games import GAMES, mixed, slope_penalty


class Adversaries(nn.Module):
    """A generator ``make`` and a discriminator ``judge`` of what it makes.

    Parameters
    ----------
    make : nn.Module
        ``make(z, y)`` of noise (B, Z) and conditions (B, K) or None; ``draw(z, y,
        generator)`` as it is asked of a fitted one.
    judge : nn.Module
        ``judge(x, y)`` gives (B,), ``with_slope(x, y, rows)`` also the gradient by x of
        some rows.
    game : str
    penalty : float
        Weight of the penalty of slopes; 0 without.
    noise_size : int
    smoothing : float
        Deviation of noise on the numbers of real rows.
    n_numbers : int
        How many of the columns of rows these are.
    n_classes : int
        Of labels that are the condition; 0 where that is none, or a vector.
    n_conditions : int
        Columns of the condition.
    """

    def __init__(
        self,
        make: Any,
        judge: Any,
        game: str,
        penalty: float,
        noise_size: int,
        smoothing: float,
        n_numbers: int,
        n_classes: int,
        n_conditions: int,
    ):
        super().__init__()
        self.make, self.judge = make, judge
        self.game, self.penalty, self.noise_size = GAMES[game], penalty, noise_size
        self.smoothing, self.n_numbers = smoothing, n_numbers
        self.n_classes, self.n_conditions = n_classes, n_conditions
        self.generator: torch.Generator | None = None
        self._made: Tensor | None = None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:  # -> (B,)
        """How real samples look, of whatever class (or of the mean condition)."""
        if y is not None or not self.n_conditions:
            return self.judge(x, y)
        if not self.n_classes:
            return self.judge(x, x.new_zeros(len(x), self.n_conditions))
        each = torch.eye(self.n_classes, dtype=x.dtype, device=x.device)
        scores = [self.judge(x, one.expand(len(x), -1)) for one in each]
        return torch.stack(scores).amax(0)

    def made(self, x: Tensor, y: Tensor | None) -> Tensor:
        """As many samples of the same conditions."""
        z = x.new_empty(len(x), self.noise_size).normal_(generator=self.generator)
        return self.make(z, y)

    def discriminator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        if not self.training:
            return x.new_zeros(())
        # The generator has not moved when its turn comes: one way through it is enough.
        self._made = self.made(x, y)
        made = self._made.detach()
        if self.smoothing:
            x = self.smoothed(x)
        parts, n, between = [x, made], len(x), self.game.between
        if not self.penalty:
            scores = self.judge(torch.cat(parts), _repeated(y, 2))
            return self.game.discriminator(scores[:n], scores[n:])
        if between:
            parts.append(mixed(x, made, self.generator))
        rows = slice(2 * n, 3 * n) if between else slice(n)
        scores, slopes = self.judge.with_slope(
            torch.cat(parts), _repeated(y, len(parts)), rows
        )
        loss = self.game.discriminator(scores[:n], scores[n : 2 * n])
        return loss + self.penalty * slope_penalty(slopes, between)

    def smoothed(self, x: Tensor) -> Tensor:
        """Real rows, each anywhere in a kernel around it."""
        noise = x.new_zeros(x.shape)
        noise[:, : self.n_numbers].normal_(0, self.smoothing, generator=self.generator)
        return x + noise

    def generator_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        made, self._made = self._made, None
        if made is None:
            made = self.made(x, y)
        if self.training:
            return self.game.generator(self.judge(made, y))
        return energy_distance(_flat(x, y), _flat(made, y))


def energy_distance(x: Tensor, other: Tensor) -> Tensor:
    """Of two sets of rows, 0 where they are distributed alike [Székely 2003].

    What players lower in training tells nothing of how good they are; this does, for
    samples that are held out.
    """
    far = torch.cdist(x, other).mean()
    return 2 * far - _mean_distance(x) - _mean_distance(other)


def _mean_distance(x: Tensor) -> Tensor:
    n = len(x)
    return torch.cdist(x, x).sum() / (n * max(1, n - 1))


def _flat(x: Tensor, y: Tensor | None) -> Tensor:
    x = x.flatten(1)
    return x if y is None else torch.cat([x, y], 1)


def _repeated(y: Tensor | None, times: int) -> Any:
    return None if y is None else y.repeat(times, 1)


__all__ = ["Adversaries", "energy_distance"]
