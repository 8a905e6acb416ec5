"""Sequences: an array of steps a sample, all of one length or of unequal lengths."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_array
from torch import Tensor

from sknets._engine.device import as_tensor
from sknets._inputs.columns import refuse_columns
from sknets._inputs.moments import PIECE_BYTES, mean_and_scale
from sknets._inputs.naming import on_one_line
from sknets._inputs.table import read_numbers

# What torch can take rows of; the rest (float16, unsigned words) becomes float32.
_KEPT = {np.dtype(t) for t in ("f4", "f8", "u1", "i1", "i2", "i4", "i8")}
_TEXT = "X holds text where numbers belong (texts are a list or one column of strings)"


class Padded:
    """A batch of sequences of unequal length, one object with a length for skorch.

    Attributes
    ----------
    values : tensor of shape (B, T, C)
        T steps as of the longest; the others repeat their last step.
    lengths : int64 tensor of shape (B,)
    """

    def __init__(self, values: Tensor, lengths: Tensor):
        self.values, self.lengths = values, lengths

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mask(self) -> Tensor:
        """(B, T): which steps are real."""
        steps = torch.arange(self.values.shape[1], device=self.lengths.device)
        return steps < self.lengths[:, None]

    def to(self, device: torch.device | str) -> Padded:
        return Padded(self.values.to(device), self.lengths.to(device))

    def convert_to_tensors(self, kind: str) -> Padded:
        """What skorch asks of a batch that is no tensor: it holds some already."""
        return self


class Steps:
    """The canonical container, which shares the memory of an array X.

    A batch is a tensor (B, T, C) where its sequences have one length, else `Padded`.

    Parameters
    ----------
    values : tensor
        (n, T, C) of sequences of one length; without ``starts`` only. Otherwise
        (n_steps, C), one sequence after the other.
    starts : int64 tensor of shape (n + 1,) or None
        Where each sequence begins.
    whole : bool
        Whether the values are numbers of tokens, which no dtype changes.

    Attributes
    ----------
    lengths : tensor of shape (n,) or None
        By which the engine makes batches of like lengths; None where all are equal.
    listed : bool
        Whether X was a list of sequences, not one array.
    """

    def __init__(
        self,
        values: Tensor,
        starts: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
        whole: bool = False,
    ):
        self.values, self.starts, self.whole = values, starts, whole
        self.lengths = None if starts is None else starts.diff()
        self.dtype, self.device, self.listed = dtype, device, False
        if starts is None:
            width = values.itemsize if whole else dtype.itemsize
            self.row_bytes = values.shape[1] * values.shape[2] * width

    @classmethod
    def of(cls, items: list[np.ndarray], whole: bool = False) -> Steps:
        """From arrays (steps, channels)."""
        lengths = torch.tensor([len(item) for item in items])
        values = as_tensor(_numbers(np.concatenate(items)))
        if (lengths == lengths[0]).all():
            steps = cls(values.view(len(items), len(items[0]), -1), whole=whole)
        else:
            starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
            steps = cls(values, starts, whole=whole)
        steps.listed = True
        return steps

    def __len__(self) -> int:
        return len(self.values if self.lengths is None else self.lengths)

    def n_steps(self) -> Tensor:
        """The length of each sequence."""
        if self.lengths is not None:
            return self.lengths
        return torch.full((len(self.values),), self.values.shape[1])

    def batch(self, index: slice | Tensor) -> Tensor | Padded:
        if self.starts is None or self.lengths is None:
            if isinstance(index, slice):
                chosen = self.values[index]
            else:
                chosen = self.values.index_select(0, index.to(self.values.device))
            return self._moved(chosen)
        first, lengths = self.starts[:-1][index], self.lengths[index]
        longest = int(lengths.max())
        steps = torch.minimum(torch.arange(longest), lengths[:, None] - 1)
        rows = (first[:, None] + steps).flatten().to(self.values.device)
        values = self._moved(self.values.index_select(0, rows))
        values = values.view(len(lengths), longest, -1)
        if int(lengths.min()) == longest:
            return values
        return Padded(values, lengths.to(self.device))

    def _moved(self, values: Tensor) -> Tensor:
        return values.to(self.device, values.dtype if self.whole else self.dtype)

    def to(self, device: torch.device, dtype: torch.dtype) -> Steps:
        """The same sequences, whose batches come as this dtype on this device.

        They move to an accelerator at once, if they fit there twice.
        """
        values = self.values
        if device.type != "cpu":
            size = values.numel() * dtype.itemsize
            if device.type != "cuda" or 2 * size < torch.cuda.mem_get_info(device)[0]:
                values = values.to(device, values.dtype if self.whole else dtype)
        return Steps(values, self.starts, dtype, device, self.whole)

    def mean_and_scale(
        self, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over all steps, as float64.

        A step weighs what its sequence does, unless there is a weight for each step.
        """
        n_channels = self.values.shape[-1]
        n_steps = self.values.numel() // n_channels
        pieces = partial(self._pieces, weight)
        return mean_and_scale(pieces, n_channels, n_steps, self.dtype)

    def _pieces(self, weight: np.ndarray | None):
        """(steps, channels) and the weight of each step, a cache at a time."""
        each = self.values[0].numel() // self.values.shape[-1]  # steps of an item
        if weight is not None and len(weight) == len(self):
            weight = np.repeat(weight, self.n_steps().numpy())
        step = max(1, PIECE_BYTES // (8 * self.values[0].numel()))
        for start in range(0, len(self.values), step):
            piece = self.values[start : start + step].cpu().double().flatten(0, -2)
            w = None
            if weight is not None:
                w = torch.from_numpy(weight[start * each : (start + step) * each])
            yield piece, w


class Sequences:
    """Arrays (n, steps, channels), lists of arrays (steps, channels) or (steps,), rows.

    A plain row is a sequence of one channel. Learned when ``reset``:

    n_channels_ : int
    sequence_length_ : int or None
        Steps of a sequence, None where they differ. Any length may come later, but of
        plain rows, which are a table.
    """

    name: ClassVar[str] = "sequences"

    @staticmethod
    def accepts(X: Any) -> bool:
        if is_text(column_of(X)):
            return False
        return isinstance(X, list | tuple) or 1 <= getattr(X, "ndim", 2) <= 3

    @staticmethod
    def check(estimator: Any, X: Any, *, reset: bool) -> Steps:
        owner = type(estimator).__name__
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        items = _items(X)
        rows = items is None and _axes(X) <= 2
        if rows:
            array = read_numbers(estimator, X, reset=reset)[:, :, None]
            # Tables are computed in their own dtype, as scikit-learn does.
            double = array.dtype == np.float64
            steps = Steps(
                as_tensor(array), dtype=torch.float64 if double else torch.float32
            )
        elif items is None:
            steps = Steps(as_tensor(_read(owner, X)))
        else:
            known = None if reset else estimator.n_channels_
            steps = Steps.of(_read_items(owner, items, known))
        n_channels = steps.values.shape[-1]
        if reset:
            estimator.n_channels_ = n_channels
            equal = steps.lengths is None
            estimator.sequence_length_ = steps.values.shape[1] if equal else None
        elif n_channels != estimator.n_channels_:
            why = ""
            if rows:
                why = ", a row being a sequence of single numbers (of one sequence "
                why += "make a list, [X])"
            raise ValueError(
                f"{owner}: X has {_channels(n_channels)}{why}, but fit had "
                f"{_channels(estimator.n_channels_)}"
            )
        return steps


def column_of(X: Any) -> Any:
    """The one column of a table (a frame, or an array of objects), else X itself."""
    if len(getattr(X, "shape", ())) != 2 or X.shape[1] != 1:
        return X
    if hasattr(X, "columns"):
        return X[X.columns[0]]
    is_plain = isinstance(X, np.ndarray) and X.dtype.kind not in "biufc"
    return X[:, 0] if is_plain else X


def is_text(X: Any) -> bool:
    """Whether X is a string, or the first of its items that tells is one or a list.

    Bytes are told apart from numbers here, to be refused as text.
    """
    if isinstance(X, str):
        return True
    if getattr(X, "ndim", 1) != 1 or not hasattr(X, "__len__"):
        return False
    for item in X:
        if is_missing(item):
            continue
        if not isinstance(item, list | tuple):
            return isinstance(item, str | bytes)
        if len(item):
            return isinstance(item[0], str | bytes)
    return False


def is_missing(value: Any) -> bool:
    """Whether it is one of the ways to say that nothing is known."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _channels(n: int) -> str:
    return f"{n} channel" if n == 1 else f"{n} channels"


def _items(X: Any) -> list[Any] | None:
    """The samples of a list of arrays, None for what is one array or a table."""
    if getattr(X, "ndim", 0) == 1 and getattr(X, "dtype", None) == np.object_:
        X = list(X)
    if not isinstance(X, list | tuple):
        return None
    if _is_single(next((item for item in X if item is not None), None)):
        return None
    if all(isinstance(item, list | tuple) for item in X):
        flat = len(X[0]) > 0 and _is_single(X[0][0])
        if flat and len({len(item) for item in X}) == 1:
            return None
    return list(X)


def _is_single(value: Any) -> bool:
    return np.isscalar(value) or value is None or getattr(value, "ndim", 1) == 0


def _axes(X: Any) -> int:
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def axes_of(X: Any) -> int:
    """How many axes X has; a list of samples has those of its first one and its own."""
    items = _items(X)
    if items is None:
        return _axes(X)
    try:
        first = next(item for item in items if item is not None)
        return max(3, 1 + np.ndim(first))  # also of steps with one number each
    except ValueError:  # that one is ragged
        return 3


def _numbers(array: np.ndarray) -> np.ndarray:
    return array if array.dtype in _KEPT else array.astype(np.float32)


def _is_finite(array: np.ndarray) -> bool:
    # The sum reads a memory map once and makes no copy of it.
    finite = math.isfinite(array.sum(dtype=np.float64))
    return finite or bool(np.isfinite(array).all())


def _read_items(
    owner: str, items: list[Any], n_channels: int | None
) -> list[np.ndarray]:
    """Arrays (steps, channels), naming the first that is none or that differs."""
    read = []
    source = "fit"
    for i, item in enumerate(items):
        try:
            item = np.asarray(item)
        except ValueError:
            item = np.empty(0, dtype=object)
        if item.dtype.kind not in "biuf":
            raise ValueError(
                f"{owner}: X[{i}] must be an array of numbers, got "
                f"{on_one_line(items[i])}"
            )
        if item.ndim not in (1, 2):
            raise ValueError(
                f"{owner}: X[{i}] must be one sequence, of shape (steps, channels) or "
                f"(steps,), got shape {item.shape}"
            )
        if not item.size:
            raise ValueError(
                f"{owner}: X[{i}] is an empty sequence, of shape {item.shape}; it must "
                "have at least one step"
            )
        if item.dtype.kind == "f" and not _is_finite(item):
            raise ValueError(f"{owner}: X[{i}] contains NaN or infinity")
        item = item.reshape(len(item), -1)
        if n_channels is None:
            n_channels, source = item.shape[1], "X[0]"
        if item.shape[1] != n_channels:
            raise ValueError(
                f"{owner}: X[{i}] has {_channels(item.shape[1])}, but {source} had "
                f"{_channels(n_channels)}"
            )
        read.append(item)
    return read


def _read(owner: str, X: Any) -> np.ndarray:
    """X of three axes."""
    refuse_columns(owner, X)
    try:
        array = check_array(X, allow_nd=True, ensure_all_finite=False)
    except (ValueError, TypeError) as error:
        why = str(error).strip().splitlines()[0].rstrip(":")
        why = _TEXT if "string" in why else why
        raise type(error)(f"{owner}: {why}") from error
    if array.ndim != 3:
        raise ValueError(
            f"{owner}: X must have the shape (n_samples, steps, channels), got "
            f"{array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(
            f"{owner}: X holds empty sequences, of shape {array.shape[1:]}; they must "
            "have at least one step and one channel"
        )
    if array.dtype.kind == "f" and not _is_finite(array):
        bad = ~np.isfinite(array).all(axis=(1, 2))
        raise ValueError(f"{owner}: X[{bad.argmax()}] contains NaN or infinity")
    return _numbers(array)


__all__ = [
    "Padded",
    "Sequences",
    "Steps",
    "axes_of",
    "column_of",
    "is_missing",
    "is_text",
]
