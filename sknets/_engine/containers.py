"""Containers: samples of one kind, from which batches are cut.

X, y and weights are containers alike: ``len``, ``batch(index)``, ``to(device, dtype)``,
``lengths``, ``row_bytes``, ``pieces(weight)``. Whatever a kind of data is, the engine
knows no more of it.
"""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from sknets._engine.moments import Moments

Index = slice | Tensor


class Container:
    """Samples of one kind, from which batches are cut.

    A subclass gives ``__len__``, ``batch(index)`` (index a slice or a tensor of row
    numbers) and, if its numbers are to be standardised, ``pieces(weight)``.

    Attributes
    ----------
    dtype, device
        What batches come as.
    lengths : int64 tensor of shape (n_samples,) or None
        By which the engine makes batches of like lengths; None where all are equal.
    row_bytes : int or None
        Of a sample, if a batch is one tensor; None if it is anything else.
    """

    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")
    lengths: Tensor | None = None
    row_bytes: int | None = None
    # Attributes that move to an accelerator, if they fit there twice.
    _moved: ClassVar[tuple[str, ...]] = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def batch(self, index: Index) -> Any:
        raise NotImplementedError

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same samples, whose batches come as this dtype on this device.

        On the CPU their memory stays that of X.
        """
        if dtype == self.dtype and device == self.device:
            return self
        other = copy.copy(self)
        other.device, other.dtype = device, dtype
        if device.type != "cpu":
            for name in self._moved:
                setattr(other, name, _moved(getattr(self, name), device, dtype))
        return other

    def pieces(self, weight: np.ndarray | None) -> Iterable[tuple[Tensor, Any]]:
        """Yield (rows, columns) in double precision and the rows' weights, or None."""
        raise NotImplementedError

    def moments(self, weight: np.ndarray | None = None) -> Moments:
        """The (weighted) mean and standard deviation of each column."""
        return Moments.of(lambda: self.pieces(weight))


def _moved(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Tensors on a device, floats as dtype; as they are where they do not fit twice."""
    tensors = value if isinstance(value, list) else [value]
    if not all(isinstance(each, Tensor) for each in tensors):
        return value
    if device.type == "cuda":
        needed = sum(each.numel() * each.element_size() for each in tensors)
        if 2 * needed >= torch.cuda.mem_get_info(device)[0]:
            return value
    moved = [
        each.to(device, dtype if each.is_floating_point() else None) for each in tensors
    ]
    return moved if isinstance(value, list) else moved[0]


class Values(Container):
    """Rows of one tensor: targets, weights, features that a network has made."""

    def __init__(self, values: Tensor):
        self.values, self.device = values, values.device
        if values.is_floating_point():
            self.dtype = values.dtype
        self.row_bytes = max(1, values[:1].numel()) * values.itemsize

    def __len__(self) -> int:
        return self.values.shape[0]

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """The same rows; floats as this dtype, at once."""
        other, values = copy.copy(self), self.values
        other.values = values.to(device, dtype if values.is_floating_point() else None)
        other.device, other.dtype = device, dtype
        return other

    def batch(self, index: Index) -> Tensor:
        return take(self.values, index)


def take(tensor: Tensor, index: Index) -> Tensor:
    """Rows of a tensor, a view of it if they follow one another."""
    if isinstance(index, slice):
        return tensor[index]
    return tensor.index_select(0, index.to(tensor.device))


class Ragged(Container):
    """Unequal things: so many values a sample. A batch of them is one of these again.

    Parameters
    ----------
    values : tensor
        (N, ...), one sample after the other; without ``lengths`` (B, T, ...).
    lengths : int64 tensor of shape (B,) or None
        How many values each sample has; None where all have as many.
    whole : bool
        Whether the values are numbers of tokens or classes, which no dtype changes.
    listed : bool
        Whether X was a list of samples, not one array.
    """

    _moved = ("values",)

    def __init__(
        self,
        values: Tensor,
        lengths: Tensor | None = None,
        whole: bool = False,
        listed: bool = False,
    ):
        self.values, self.lengths = values, lengths
        self.whole, self.listed = whole, listed
        if values.is_floating_point():
            self.dtype = values.dtype
        self.device = values.device

    def __len__(self) -> int:
        return len(self.values if self.lengths is None else self.lengths)

    @property
    def row_bytes(self) -> int | None:  # type: ignore[override]
        """Of a sample, where all are equal."""
        if self.lengths is not None:
            return None
        return max(1, self.values[:1].numel()) * self.values.itemsize

    @property
    def counts(self) -> Tensor:
        """How many values each sample has, also where all have as many."""
        if self.lengths is not None:
            return self.lengths
        return torch.full((len(self.values),), self.values.shape[1])

    @functools.cached_property
    def starts(self) -> Tensor:
        """Where each sample begins among the joined values."""
        counts = self.counts
        return counts.cumsum(0) - counts

    def batch(self, index: Index) -> Ragged:
        if self.lengths is None:
            return Ragged(self._cast(take(self.values, index)))
        lengths = self.lengths[index]
        values = self._cast(take(self.values, self.rows(index)))
        if (lengths == lengths[0]).all():
            return Ragged(values.unflatten(0, (len(lengths), -1)))
        return Ragged(values, lengths.to(values.device))

    def rows(self, index: Index) -> Index:
        """Where the values of these samples are among the joined ones."""
        if isinstance(index, slice) and index == slice(None):
            return index
        counts = self.counts[index]
        shift = self.starts[index] - (counts.cumsum(0) - counts)
        return torch.arange(int(counts.sum())) + shift.repeat_interleave(counts)

    def _cast(self, values: Tensor) -> Tensor:
        return values.to(self.device, None if self.whole else self.dtype)

    # -- a batch, as networks use it ---------------------------------------------------

    def join(self) -> Tensor:
        """(N, ...): the values of one sample after the other."""
        return self.values.flatten(0, 1) if self.lengths is None else self.values

    def like(self, joined: Tensor) -> Ragged:
        """Other values (N, ...) of the same samples."""
        if self.lengths is None:
            return Ragged(joined.unflatten(0, self.values.shape[:2]))
        return Ragged(joined, self.lengths)

    @functools.cached_property
    def mask(self) -> Tensor | None:
        """(B, T): which values of a padded batch are real; None where all are."""
        if self.lengths is None:
            return None
        steps = torch.arange(int(self.lengths.max()), device=self.lengths.device)
        return steps < self.lengths[:, None]

    @functools.cached_property
    def _places(self) -> Tensor:
        """The places of the joined values in a padded batch."""
        assert self.mask is not None
        return self.mask.flatten().nonzero().flatten()

    def padded(self, joined: Tensor | None = None) -> Tensor:
        """(B, T, ...): as long as the longest sample, zeros after the others' ends."""
        if self.lengths is None:
            return self.values if joined is None else self.like(joined).values
        joined = self.values if joined is None else joined
        shape = (len(self.lengths), int(self.lengths.max()), *joined.shape[1:])
        if shape[0] * shape[1] == len(joined):
            return joined.reshape(shape)
        table = joined.new_zeros(shape[0] * shape[1], *shape[2:])
        return table.index_copy(0, self._places, joined).view(shape)

    def real(self, padded: Tensor) -> Tensor:
        """(N, ...) of (B, T, ...): `padded` undone."""
        values = padded.flatten(0, 1)
        if self.lengths is None or len(values) == len(self.values):
            return values
        return values.index_select(0, self._places)

    def first(self) -> Tensor:
        """(B, ...): each sample's first value."""
        if self.lengths is None:
            return self.values[:, 0]
        return self.values.index_select(0, self.starts)

    def last(self, padded: Tensor) -> Tensor:
        """(B, ...) of (B, T, ...): what is at each sample's last value."""
        if self.lengths is None:
            return padded[:, -1]
        samples = torch.arange(len(padded), device=padded.device)
        return padded[samples, self.lengths - 1]

    def turned(self, padded: Tensor) -> Tensor:
        """(B, T, ...): each sample from its end to its beginning, padding as it is."""
        if self.lengths is None:
            return padded.flip(1)
        steps = torch.arange(padded.shape[1], device=padded.device)
        back = self.lengths[:, None] - 1 - steps
        samples = torch.arange(len(padded), device=padded.device)
        return padded[samples[:, None], torch.where(back < 0, steps, back)]

    def mean(self, padded: Tensor) -> Tensor:
        """(B, H) of (B, T, H): the mean over the real values."""
        if self.mask is None or self.lengths is None:
            return padded.mean(1)
        total = padded.masked_fill(~self.mask[:, :, None], 0).sum(1)
        return total / self.lengths[:, None]

    def max(self, padded: Tensor) -> Tensor:
        """(B, H) of (B, T, H): the largest of the real values."""
        if self.mask is not None:
            padded = padded.masked_fill(~self.mask[:, :, None], -torch.inf)
        return padded.amax(1)


class Together(Container):
    """Containers of equal length; a batch is the tuple of theirs."""

    def __init__(self, *parts: Container):
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts[0])

    def batch(self, index: Index) -> tuple[Any, ...]:
        return tuple(part.batch(index) for part in self.parts)

    def to(self, device: torch.device, dtype: torch.dtype) -> Together:
        return Together(*(part.to(device, dtype) for part in self.parts))


class Cache:
    """What a network worked out of a container and needs again, while that lives."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, dict] = weakref.WeakKeyDictionary()

    def __call__(self, container: Any, name: Any, make: Callable[[], Any]) -> Any:
        """What is known by this name, made if need be."""
        known = self.of(container)
        if name not in known:
            with torch.inference_mode(False), torch.no_grad():
                known[name] = make()
        return known[name]

    def of(self, container: Any) -> dict[Any, Any]:
        return self._known.setdefault(container, {})

    def __deepcopy__(self, memo: Any) -> Cache:
        return Cache()


__all__ = ["Cache", "Container", "Index", "Ragged", "Together", "Values", "take"]
