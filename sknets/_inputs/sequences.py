"""Sequences: an array of steps a sample, all of one length or of unequal lengths."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_array
from torch import Tensor

from sknets._engine.containers import Ragged
from sknets._engine.device import as_tensor
from sknets._engine.moments import PIECE_BYTES
from sknets._inputs.columns import refuse_columns
from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._inputs.table import read_numbers

# What torch can take rows of; the rest (float16, unsigned words) becomes float32.
_KEPT = {np.dtype(t) for t in ("f4", "f8", "u1", "i1", "i2", "i4", "i8")}
_TEXT = "X holds text where numbers belong (texts are a list or one column of strings)"


class SequenceData(Ragged):
    """The canonical container, which shares the memory of an array X.

    A batch is a `Ragged` of its steps: values (B, T, C) of sequences of one length,
    otherwise (n_steps, C), one sequence after the other. Numbers of tokens are
    ``whole``.
    """

    def __init__(self, values: Tensor, *others: Any, **more: Any):
        super().__init__(values, *others, **more)
        self.dtype = torch.float32  # whatever X is; but see rows of a table

    @classmethod
    def of(cls, items: list[np.ndarray], whole: bool = False) -> SequenceData:
        """From arrays (steps, channels)."""
        lengths = torch.tensor([len(item) for item in items])
        values = as_tensor(_numbers(np.concatenate(items)))
        if (lengths == lengths[0]).all():
            values = values.view(len(items), len(items[0]), -1)
            return cls(values, whole=whole, listed=True)
        return cls(values, lengths, whole, listed=True)

    def pieces(self, weight: np.ndarray | None):
        """(steps, channels) and the weight of each step, a cache at a time.

        Weights are those of sequences, or of their steps.
        """
        each = self.values[0].numel() // self.values.shape[-1]  # steps of an item
        if weight is not None and len(weight) == len(self):
            weight = np.repeat(weight, self.counts.numpy())
        step = max(1, PIECE_BYTES // (8 * self.values[0].numel()))
        for start in range(0, len(self.values), step):
            piece = self.values[start : start + step].cpu().double().flatten(0, -2)
            w = None
            if weight is not None:
                w = torch.from_numpy(weight[start * each : (start + step) * each])
            yield piece, w


class Sequences(Reader):
    """Arrays (n, steps, channels), lists of arrays (steps, channels) or (steps,), rows.

    A plain row is a sequence of one channel. Learned:

    n_channels_ : int
    sequence_length_ : int or None
        Steps of a sequence, None where they differ. Any length may come later, but of
        plain rows, which are a table.
    """

    name: ClassVar[str] = "sequences"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> SequenceData:
        owner = self.who
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        items = items_of(X)
        rows = items is None and _axes(X) <= 2
        if rows:
            array = read_numbers(self, X, reset=reset)[:, :, None]
            # Tables are computed in their own dtype, as scikit-learn does.
            double = array.dtype == np.float64
            steps = SequenceData(as_tensor(array))
            steps.dtype = torch.float64 if double else torch.float32
        elif items is None:
            steps = SequenceData(as_tensor(_read(owner, X)))
        else:
            known: Any = None if reset else vars(self)["n_channels_"]
            steps = SequenceData.of(read_items(owner, items, known))
        n_channels = steps.values.shape[-1]
        if reset:
            self.n_channels_: int = n_channels
            equal = steps.lengths is None
            self.sequence_length_ = steps.values.shape[1] if equal else None
        elif n_channels != self.n_channels_:
            why = ""
            if rows:
                why = ", a row being a sequence of single numbers (of one sequence "
                why += "make a list, [X])"
            raise ValueError(
                f"{owner}: X has {_channels(n_channels)}{why}, but fit had "
                f"{_channels(self.n_channels_)}"
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


def is_missing(value: Any) -> bool:
    """Whether it is one of the ways to say that nothing is known."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _channels(n: int) -> str:
    return f"{n} channel" if n == 1 else f"{n} channels"


def items_of(X: Any) -> list[Any] | None:
    """The samples of a list of arrays, None for what is one array or a table."""
    if getattr(X, "ndim", 0) == 1 and getattr(X, "dtype", None) == np.object_:
        X = list(X)
    if not isinstance(X, list | tuple):
        return None
    if _is_single(next((item for item in X if item is not None), None)):
        return None
    if all(isinstance(item, list | tuple) for item in X):
        flat = len(X[0]) > 0 and all(map(_is_single, X[0]))
        if flat and len({len(item) for item in X}) == 1:
            return None
    return list(X)


def _is_single(value: Any) -> bool:
    return np.isscalar(value) or value is None or getattr(value, "ndim", 1) == 0


def _axes(X: Any) -> int:
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def axes_of(X: Any) -> int:
    """How many axes X has; a list of samples has those of its first one and its own."""
    items = items_of(X)
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


def read_items(
    owner: str, items: list[Any], n_channels: int | None, called: str = "X"
) -> list[np.ndarray]:
    """Arrays (steps, channels), naming the first that is none or that differs."""
    read = []
    source = "fit"
    for i, item in enumerate(items):
        says = f"{owner}: {called}[{i}]"
        try:
            item = np.asarray(item)
        except ValueError:
            item = np.empty(0, dtype=object)
        if item.dtype.kind not in "biuf":
            raise ValueError(
                f"{says} must be an array of numbers, got {on_one_line(items[i])}"
            )
        if item.ndim not in (1, 2):
            raise ValueError(
                f"{says} must be one sequence, of shape (steps, channels) or "
                f"(steps,), got shape {item.shape}"
            )
        if not item.size:
            raise ValueError(
                f"{says} is an empty sequence, of shape {item.shape}; it must "
                "have at least one step"
            )
        if item.dtype.kind == "f" and not _is_finite(item):
            raise ValueError(f"{says} contains NaN or infinity")
        item = item.reshape(len(item), -1)
        if n_channels is None:
            n_channels, source = item.shape[1], f"{called}[0]"
        if item.shape[1] != n_channels:
            raise ValueError(
                f"{says} has {_channels(item.shape[1])}, but {source} had "
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
    "SequenceData",
    "Sequences",
    "axes_of",
    "column_of",
    "is_missing",
    "items_of",
    "read_items",
]
