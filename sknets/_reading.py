"""What goes in: X, y and the weights of a fit, checked, as the engine takes them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight

from sknets._engine.chunks import Chunks
from sknets._engine.containers import Values
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor, compute_dtype, resolve_device
from sknets._engine.digest import digest
from sknets._inputs.kinds import choose_reader
from sknets._inputs.reader import Learned
from sknets._inputs.table import Rows
from sknets._targets import refuse_iterator
from sknets._warn import warn


class Reading(BaseEstimator):
    """How an estimator reads its data, by its readers and those of its task."""

    chunks_: Chunks
    # Of a table of fewer numbers the CPU learns sooner than a card: of the 1,797 digits
    # in 0.45 of the time that an H100 takes.
    _cpu_numbers: ClassVar[int] = 2**18

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        reset: bool | None,
        classes: Any = None,
    ) -> Samples:
        """Checked X, encoded y and effective weights, as the engine takes them.

        What they tell is learned anew if ``reset``; where it is None they may add to
        what is known, as `_meet` finds out.
        """
        device = resolve_device(self.device, type(self).__name__)
        x = self._check_input(X, reset=bool(reset), seen=_counted(sample_weight))
        if self.device == "auto":
            device = self._choose_device(device, x, bool(reset))
        n = len(x)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, np.empty((n, 1)), ensure_non_negative=True
            )
        counts = weight
        refuse_iterator(y, type(self).__name__)
        self._meet(reset, x, y, weight)
        target = self._encode_target(y, n, weight, reset=reset, classes=classes)
        by_class = self._class_weights(target, weight)
        if by_class is not None:
            weight = by_class if weight is None else weight * by_class
        rows = total = None
        if weight is not None:
            kept = weight > 0
            if not kept.any():
                raise ValueError(
                    f"{type(self).__name__}: every sample weight is zero, at least one "
                    "must be non-zero"
                )
            # A weight of 0 is an absent row, and the learning rate keeps its meaning.
            rows = None if kept.all() else torch.from_numpy(np.flatnonzero(kept))
            total = float(weight.sum())
            weight = weight / weight[kept].mean()
        precision = self.precision
        dtype = compute_dtype(precision, x.dtype, device) if reset else self.net_.dtype
        return Samples(
            x.to(device, dtype),
            as_container(target, device, dtype),
            as_container(weight, device, dtype),
            rows,
            total,
            counts,
        )

    def _choose_device(self, present: Any, x: Any, fresh: bool) -> Any:
        """What "auto" is: a step of little is done before a card has begun it."""
        if not fresh:
            return torch.device(self.net_.device)
        small = isinstance(x, Rows) and len(x) * x.values.shape[1] < self._cpu_numbers
        return torch.device("cpu") if small else present

    def _bfloat16(self, device: Any) -> Literal["never", "training", "always"]:
        """When products are of 16 bits."""
        return "always" if self.precision == "bfloat16" else "never"

    def _meet(self, reset: bool | None, *data: Any) -> None:
        """Count samples among the chunks, unless they are only read (reset=False)."""
        if reset is False:
            return
        known = (np.asarray(d) if hasattr(d, "iloc") else d for d in data)
        found = digest(*known)
        self.chunks_ = Chunks(found) if reset else self.chunks_.met(found)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        """X as the container of its kind; the kind is chosen in fit and remembered.

        ``seen`` are the rows that count, None for all.
        """
        if reset:
            reader = self._make_reader(self._choose_kind(X))
            x = reader.learn(X, seen)
            self.reader_ = reader
            return x
        owner, reader = type(self).__name__, self.reader_
        several = len(self._inputs) > 1
        choose_reader(owner, self._task, [type(reader)], X, fitted=several)
        return reader.read(X)

    def _choose_kind(self, X: Any) -> Any:
        """The reader of X; what is of no kind that the estimator takes is refused."""
        return choose_reader(type(self).__name__, self._task, self._inputs, X)

    def _make_reader(self, kind: Any) -> Any:
        """A reader of X, with the estimator's parameters."""
        return kind.of(self)

    @property
    def input_kind_(self) -> str:
        """The kind that the X of `fit` was."""
        return Learned.of(self, "reader_", "name")

    def _validates_by(self, y: Any, X_val: Any, y_val: Any) -> bool:
        """Whether the user brings the samples that ``early_stopping`` looks at."""
        if X_val is None and y_val is None:
            return False
        if X_val is None or (y_val is None and y is not None):
            owner = type(self).__name__
            raise ValueError(f"{owner}: X_val and y_val come together, one is missing")
        if not self.early_stopping:
            sentence = "X_val is there to stop early by: set early_stopping=True"
            raise ValueError(self._refusal("early_stopping", sentence))
        return True

    def _read_valid(self, X_val: Any, y_val: Any) -> Samples:
        try:
            return self._read(X_val, y_val, None, reset=False)
        except ValueError as error:
            raise ValueError(f"{error} (of X_val and y_val)") from None


def _counted(sample_weight: Any) -> np.ndarray | None:
    """The rows whose weight is not 0, None for all (or for what is no weight)."""
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if weight is None or weight.ndim != 1 or weight.dtype.kind not in "biuf":
        return None
    return weight > 0 if (weight > 0).any() else None


def compare_index(owner: str, X: Any, y: Any) -> None:
    """Warn of rows of pandas that have the same names in another order."""
    names: Any = getattr(X, "index", None)
    others: Any = getattr(y, "index", None)
    if not (hasattr(names, "equals") and hasattr(others, "equals")):
        return  # of lists `index` is a method
    if names.equals(others) or len(names) != len(others) or not names.is_unique:
        return
    if names.isin(others).all() and others.isin(names).all():
        warn(
            f"{owner}: the indices of X and y hold the same labels in another order; "
            "rows are matched by position: give y.loc[X.index] to match them by label",
        )


def as_container(values: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Arrays, one item a sample, as a container; floats as this dtype."""
    if isinstance(values, np.ndarray):
        values = Values(as_tensor(values))
    return None if values is None else values.to(device, dtype)


__all__ = ["Reading", "as_container", "compare_index"]
