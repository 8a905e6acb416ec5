"""How data is cut into batches: whole tensors at a time, never row by row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset

_BLOCK_BYTES = 2**17  # stays in the cache
# Sequences of like lengths are sought among so many batches: enough for batches with
# hardly any padding, few enough that they differ from epoch to epoch.
_SORTED_TOGETHER = 64


class Ragged:
    """Targets or weights of unequal number a sample: those of a batch are joined.

    Parameters
    ----------
    values : tensor of shape (n_values, ...)
        One sample after the other.
    lengths : int64 tensor of shape (n_samples,)
    """

    def __init__(self, values: torch.Tensor, lengths: torch.Tensor):
        self.values, self.lengths = values, lengths
        self.ends = lengths.cumsum(0)

    def take(self, index: slice | torch.Tensor) -> torch.Tensor:
        if isinstance(index, slice) and index == slice(None):
            return self.values
        first, lengths = (self.ends - self.lengths)[index], self.lengths[index]
        shift = first - (lengths.cumsum(0) - lengths)
        rows = torch.arange(int(lengths.sum())) + shift.repeat_interleave(lengths)
        return self.values.index_select(0, rows.to(self.values.device))


class Samples(Dataset):
    """The rows of X (a container of `_inputs`), their targets and their weights.

    Parameters
    ----------
    x : container
        With ``__len__`` and ``batch(index)``, index a slice or a tensor of row numbers.
    y : tensor of shape (n_samples, ...), Ragged or None
    weight : tensor of shape (n_samples,), Ragged or None
    rows : tensor of int64 or None
        The rows that belong to this set; None means all. A validation split is two
        such views of one container: X is never copied.
    total_weight : float or None
        What the weights summed to before they were scaled to a mean of 1; None stands
        for the number of rows.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        weight: Any = None,
        rows: torch.Tensor | None = None,
        total_weight: float | None = None,
    ):
        self.x, self.y, self.weight, self.rows = x, y, weight, rows
        self.total_weight = len(self) if total_weight is None else total_weight

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)

    def view(self, rows: torch.Tensor) -> Samples:
        """The same samples, of these rows only."""
        share = self.total_weight * len(rows) / len(self)
        rows = rows if self.rows is None else self.rows[rows]
        return Samples(self.x, self.y, self.weight, rows, share)

    @property
    def lengths(self) -> torch.Tensor | None:
        """The lengths of these rows where they are sequences of unequal lengths."""
        lengths = getattr(self.x, "lengths", None)
        return lengths if self.rows is None or lengths is None else lengths[self.rows]

    def __getitem__(self, index: slice | torch.Tensor) -> tuple[Any, Any]:
        """A batch: X and its target, with the weights beside it if there are any."""
        if self.rows is not None:
            index = self.rows[index]
        target = _take(self.y, index)
        if self.weight is not None:
            target = target, _take(self.weight, index)
        return self.x.batch(index), target

    @property
    def targets(self) -> torch.Tensor | None:
        """The targets of these rows, in order."""
        return _take(self.y, slice(None) if self.rows is None else self.rows)

    @property
    def weights(self) -> torch.Tensor | None:
        """The weights of these rows, in order."""
        return _take(self.weight, slice(None) if self.rows is None else self.rows)


def rows_a_step(batch_size: int | str, n_samples: int) -> int:
    """The batch size: "auto" are 32, fewer where they would be but a few steps."""
    if batch_size != "auto":
        return int(batch_size)
    # In one batch a weight of two is the same as a row given twice.
    return 32 if n_samples <= 32 else max(4, min(32, n_samples // 8))


def _take(tensor: Any, index: slice | torch.Tensor):
    if tensor is None:
        return None
    if isinstance(tensor, Ragged):
        return tensor.take(index)
    if isinstance(index, slice):
        return tensor[index]
    return tensor.index_select(0, index.to(tensor.device))


class Batches:
    """Iterate over samples in batches, shuffled by a given generator or in order.

    A last batch of a single row is joined to the one before: batch normalisation
    cannot normalise one row. Shuffled sequences of unequal lengths meet others of like
    lengths, and the batches come in any order: each epoch sets ``sizes``.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        generator: torch.Generator | None = None,
    ):
        self.samples, self.generator = samples, generator
        n = len(samples)
        self.starts = list(range(0, n, batch_size))
        if len(self.starts) > 1 and n - self.starts[-1] == 1:
            self.starts.pop()
        self.sizes = [b - a for a, b in zip(self.starts, [*self.starts[1:], n])]

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.generator is None:
            for start, size in zip(self.starts, self.sizes):
                yield self.samples[start : start + size]
            return
        order = torch.randperm(len(self.samples), generator=self.generator)
        lengths = self.samples.lengths
        if lengths is not None:
            batches = self._of_like_lengths(order, lengths)
            self.sizes = [len(rows) for rows in batches]
            yield from (self.samples[rows] for rows in batches)
            return
        # Small rows are taken for several batches at a time, which are views then.
        row = getattr(self.samples.x, "row_bytes", _BLOCK_BYTES)
        if isinstance(self.samples.y, Ragged):
            row = _BLOCK_BYTES
        together = max(1, _BLOCK_BYTES // (row * self.sizes[0]))
        for first in range(0, len(self), together):
            start, sizes = self.starts[first], self.sizes[first : first + together]
            block = self.samples[order[start : start + sum(sizes)]]
            if together == 1:
                yield block
            else:
                yield from _cut(block, sizes)

    def _of_like_lengths(
        self, order: torch.Tensor, lengths: torch.Tensor
    ) -> list[torch.Tensor]:
        """Rows of each batch: sorted within large random chunks, cut, and shuffled."""
        chunk = _SORTED_TOGETHER * self.sizes[0]
        order = torch.cat(
            [part[lengths[part].argsort(stable=True)] for part in order.split(chunk)]
        )
        batches = order.split_with_sizes(
            [b - a for a, b in zip(self.starts, [*self.starts[1:], len(order)])]
        )
        return [
            batches[i] for i in torch.randperm(len(batches), generator=self.generator)
        ]


def _cut(tree: Any, sizes: list[int]) -> Any:
    """An iterator over the batches of a tensor, of None or of tuples of these."""
    if isinstance(tree, tuple):
        return zip(*(_cut(part, sizes) for part in tree))
    return (
        itertools.repeat(None) if tree is None else iter(tree.split_with_sizes(sizes))
    )


def target_and_weight(y: Any, x: Any) -> tuple[Any, Any]:
    """A batch's target and weight; without targets the batch is its own."""
    target, weight = y if isinstance(y, tuple) else (y, None)
    return (x if target is None else target), weight
