"""How data is cut into batches: whole tensors at a time, never row by row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sknets._engine.containers import Index, Ragged, Values
from sknets._engine.processes import Part

_BLOCK_BYTES = 2**17  # stays in the cache
_BLOCK_ON_CARDS = 2**26  # each block waits for the numbers of its rows
# Sequences of like lengths are sought among so many batches: enough for batches with
# hardly any padding, few enough that they differ from epoch to epoch.
_SORTED_TOGETHER = 64


class Batch:
    """What a step is made of; unpacks as ``x, y``, as skorch's callbacks expect."""

    __slots__ = ("weight", "x", "y")

    def __init__(self, x: Any, y: Any = None, weight: Any = None):
        self.x, self.y, self.weight = x, y, weight

    def __iter__(self) -> Iterator[Any]:
        return iter((self.x, self.y))

    def __getitem__(self, i: int) -> Any:
        return (self.x, self.y)[i]


class Samples(Dataset):
    """The rows of X, their targets and their weights, each a container.

    Parameters
    ----------
    x : Container
    y, weight : Container, tensor or None
    rows : tensor of int64 or None
        The rows that belong to this set; None means all. A validation split is two
        such views of one container: X is never copied.
    total_weight : float or None
        What the weights summed to before they were scaled to a mean of 1; None stands
        for the number of rows.
    counts : ndarray or None
        What each value of the container counts whatever its class; None is 1.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        weight: Any = None,
        rows: Tensor | None = None,
        total_weight: float | None = None,
        counts: np.ndarray | None = None,
    ):
        self.x, self.rows, self.counts = x, rows, counts
        self.y: Any = Values(y) if isinstance(y, Tensor) else y
        self.weight: Any = Values(weight) if isinstance(weight, Tensor) else weight
        self.total_weight = len(self) if total_weight is None else total_weight

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)

    def view(self, rows: Tensor) -> Samples:
        """The same samples, of these rows only."""
        share = self.total_weight * len(rows) / len(self)
        rows = rows if self.rows is None else self.rows[rows]
        return Samples(self.x, self.y, self.weight, rows, share, self.counts)

    def distinct(self, rows: Tensor | None, by_target: bool) -> Samples:
        """One of all that are equal for each, in an order that is theirs alone.

        Each is weighed by what all its equals count. Noise that is drawn for it is the
        same then for a row of weight 2 as for one given twice, wherever they stand.

        Parameters
        ----------
        rows : tensor of int64 or None
            Of the container; None are all.
        by_target : bool
            Whether rows of unequal targets differ.
        """
        rows = torch.arange(len(self.x)) if rows is None else rows
        known = self.x.sketch()[rows.numpy()]
        if by_target:
            y = self.y.batch(rows).reshape(len(rows), -1).cpu().double().numpy()
            known = np.hstack([known, y])
        _, first, equal = np.unique(
            known, axis=0, return_index=True, return_inverse=True
        )
        counts = None if self.counts is None else self.counts[rows.numpy()]
        counts = np.bincount(equal.reshape(-1), counts)
        weight = None
        if (counts != counts[0]).any():
            each = np.zeros(len(self.x))
            each[rows.numpy()[first]] = counts / counts.mean()
            weight = torch.from_numpy(each).to(self.x.device, self.x.dtype)
        return Samples(self.x, self.y, weight, rows[torch.from_numpy(first)])

    @property
    def lengths(self) -> Tensor | None:
        """The lengths of these rows where they are of unequal lengths.

        Of y too, if it has any: both are padded.
        """
        lengths, of_y = self.x.lengths, None if self.y is None else self.y.lengths
        if lengths is not None and of_y is not None:
            lengths = torch.maximum(lengths, of_y.to(lengths.device))
        return lengths if self.rows is None or lengths is None else lengths[self.rows]

    def __getitem__(self, index: Index) -> Batch:
        if self.rows is not None:
            index = self.rows[index]
        return Batch(self.x.batch(index), *self._others(index))

    def _others(self, index: Index) -> tuple[Any, Any]:
        y, weight = self.y, self.weight
        return (
            None if y is None else y.batch(index),
            None if weight is None else weight.batch(index),
        )

    @property
    def targets(self) -> Any:
        """The targets of these rows, in order."""
        return self._others(slice(None) if self.rows is None else self.rows)[0]

    @property
    def weights(self) -> Any:
        """The weights of these rows, in order."""
        return self._others(slice(None) if self.rows is None else self.rows)[1]

    def unscaled_weight(self) -> np.ndarray | None:
        """`weight_of_all`, before it was scaled to a mean of 1."""
        weight = self.weight_of_all()
        return None if weight is None else weight * (self.total_weight / len(self))

    def weight_of_all(self) -> np.ndarray | None:
        """A weight for each value of the container (not of the rows alone), or None."""
        if self.weight is None:
            return None
        values = self.weight.batch(slice(None))
        return (values.join() if isinstance(values, Ragged) else values).cpu().numpy()


class Batches:
    """Iterate over samples in batches, shuffled by a given generator or in order.

    A last batch of a single row is joined to the one before: batch normalisation
    cannot normalise one row. Shuffled samples of unequal lengths meet others of like
    lengths, and the batches come in any order: each epoch sets ``sizes``. Of a fit that
    is shared come the rows that are this process's ``part``.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        generator: torch.Generator | None = None,
        part: Part | None = None,
    ):
        self.samples, self.generator, self.part = samples, generator, part
        self.batch_size = batch_size
        n = len(samples)
        self.starts = list(range(0, n, batch_size))
        if len(self.starts) > 1 and n - self.starts[-1] == 1:
            self.starts.pop()
        self.sizes = [b - a for a, b in zip(self.starts, [*self.starts[1:], n])]

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Batch]:
        samples, part = self.samples, self.part
        if self.generator is None and part is None:
            for start, size in zip(self.starts, self.sizes):
                yield samples[start : start + size]
            return
        if self.generator is None:
            order, lengths = torch.arange(len(samples)), None
        else:
            order = torch.randperm(len(samples), generator=self.generator)
            lengths = samples.lengths
        if lengths is not None or part is not None:
            batches = [*order.split_with_sizes(self.sizes)]
            if lengths is not None:
                batches = self._of_like_lengths(order, lengths)
                self.sizes = [len(rows) for rows in batches]
            own = batches if part is None else map(part.of, batches)
            yield from (samples[rows] for rows in own)
            return
        # Small rows are taken for several batches at a time, which are views then.
        parts = [each for each in (samples.y, samples.weight) if each is not None]
        row, room = samples.x.row_bytes, _BLOCK_BYTES
        if samples.x.device.type != "cpu":
            room = _BLOCK_ON_CARDS
        if row is None or any(each.row_bytes is None for each in parts):
            row = room
        together = max(1, room // (row * min(self.batch_size, len(samples))))
        for first in range(0, len(self), together):
            start, sizes = self.starts[first], self.sizes[first : first + together]
            block = samples[order[start : start + sum(sizes)]]
            if together == 1:
                yield block
            else:
                cut = (_cut(each, sizes) for each in (block.x, block.y, block.weight))
                yield from map(Batch, *cut)

    def _of_like_lengths(self, order: Tensor, lengths: Tensor) -> list[Tensor]:
        """Rows of each batch: sorted within large random chunks, cut, and shuffled."""
        chunk = _SORTED_TOGETHER * self.batch_size
        order = torch.cat(
            [part[lengths[part].argsort(stable=True)] for part in order.split(chunk)]
        )
        batches = order.split_with_sizes(
            [b - a for a, b in zip(self.starts, [*self.starts[1:], len(order)])]
        )
        return [
            batches[i] for i in torch.randperm(len(batches), generator=self.generator)
        ]


def _cut(whole: Any, sizes: list[int]) -> Iterator[Any]:
    """The parts of a tensor or of a Ragged of equal lengths; nothing for nothing."""
    if whole is None:
        return itertools.repeat(None)
    if isinstance(whole, Ragged):
        return map(Ragged, whole.values.split_with_sizes(sizes))
    return iter(whole.split_with_sizes(sizes))


def rows_a_step(batch_size: int | str, n_samples: float) -> int:
    """The batch size: "auto" are 32, fewer where they would be but a few steps."""
    if batch_size != "auto":
        return int(batch_size)
    # In one batch a weight of two is the same as a row given twice.
    return 32 if n_samples <= 32 else max(4, min(32, int(n_samples // 8)))


__all__ = ["Batch", "Batches", "Samples", "rows_a_step"]
