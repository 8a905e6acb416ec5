"""One fit by several processes: each computes its part of every batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from sklearn.utils import check_random_state
from torch import Tensor, nn


class Part:
    """What this process does of a fit that all processes of torch's group share.

    Attributes
    ----------
    rank : int
        Of this process; 0 is the one that writes and prints.
    n : int
        How many processes there are.
    share : float
        This process's part of the batch at hand.
    """

    def __init__(self) -> None:
        self.rank, self.n = dist.get_rank(), dist.get_world_size()
        self.share = 1.0

    def of(self, rows: Tensor) -> Tensor:
        """The rows of a batch that are this process's."""
        own = rows[self.rank :: self.n]
        self.share = len(own) / len(rows)
        return own if len(own) else rows[:1]  # of fewer rows than processes

    def begin(self, net: Any, samples: Any) -> None:
        """Begin with the first process's weights, and draw noise of its own."""
        each: list[Any] = [None] * self.n
        dist.all_gather_object(each, (len(samples), net.n_parameters))
        if len(set(each)) > 1:
            told = " and ".join(f"{n} rows and {p} weights" for n, p in each)
            raise ValueError(
                f"data_parallel: all processes must fit the same X and y, got {told}"
            )
        streams = net._streams
        seed = int(torch.randint(2**62, (), generator=streams.initial)) + self.rank
        streams.noise = torch.Generator(streams.noise.device).manual_seed(seed)
        # The order of rows is drawn by another generator, alike for all processes.
        for part in (net.module_, getattr(net._augment, "__self__", None)):
            if isinstance(part, nn.Module):
                streams.bind(part)
        with torch.no_grad():
            for values in (*net.module_.parameters(), *net.module_.buffers()):
                dist.broadcast(values, 0)

    def average(
        self, parameters: Sequence[nn.Parameter], figures: Sequence[Tensor]
    ) -> list[Tensor]:
        """Make the gradients those of the whole batch; return such figures, losses."""
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients: list[Any] = [parameter.grad for parameter in parameters]
        every = [*figures, *gradients]
        flat = torch.cat([each.detach().reshape(-1) for each in every]) * self.share
        dist.all_reduce(flat)
        whole = flat.split([each.numel() for each in every])
        for gradient, new in zip(gradients, whole[len(figures) :]):
            gradient.copy_(new.view_as(gradient))
        return [each.reshape(()) for each in whole[: len(figures)]]

    def agree(self, module: nn.Module) -> None:
        """Take the mean of the moments that batch normalisation has of each part."""
        for name, values in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                dist.all_reduce(values)
                values /= self.n


_part: ContextVar[Part | None] = ContextVar("part", default=None)


def part_of_a_fit() -> Part | None:
    """None where a process fits alone."""
    return _part.get()


def leads() -> bool:
    """Whether this process is the one that writes and prints."""
    part = _part.get()
    return part is None or not part.rank


def random_of_a_fit(given: Any) -> np.random.RandomState:
    """scikit-learn's `check_random_state`; of None all processes draw the same."""
    if given is None and _part.get() is not None:
        seeds = [np.random.randint(2**31 - 1)]
        dist.broadcast_object_list(seeds)
        given = seeds[0]
    return check_random_state(given)


@contextlib.contextmanager
def shared_fits(part: Part) -> Iterator[None]:
    """Fits of this thread within the block are so shared."""
    token = _part.set(part)
    try:
        yield
    finally:
        _part.reset(token)


__all__ = ["Part", "leads", "part_of_a_fit", "random_of_a_fit", "shared_fits"]
