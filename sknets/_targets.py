"""What tasks ask of y: that it is there, and how it is weighed and scaled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.stats import _weighted_percentile
from sklearn.utils.validation import _num_samples

from sknets._engine.chunks import Chunks
from sknets._engine.moments import Moments


def given_target(y: Any, owner: str, n_samples: int) -> Any:
    """y, if there is one with as many items as X."""
    if y is None:
        raise ValueError(
            f"{owner} requires y to be passed, but the target y is None: give the "
            "labels or values to learn"
        )
    refuse_iterator(y, owner)
    n = _num_samples(y)
    if n != n_samples:
        raise ValueError(
            f"{owner}: Found input variables with inconsistent numbers of samples: X "
            f"has {n_samples}, y has {n}"
        )
    return y


def refuse_iterator(y: Any, owner: str) -> None:
    """y is read more than once."""
    if hasattr(y, "__next__"):
        raise ValueError(
            f"{owner}: y is a {type(y).__name__}, which can be read once: give list(y)"
        )


def refuse_missing(y: Any, owner: str, what: str) -> None:
    """Name the first row without a label or value."""
    if hasattr(y, "tocsr"):
        return
    try:
        values = np.asarray(y)
        of_numbers = values.dtype.kind in "iubf"
        if of_numbers and not (values.dtype.kind == "f" and np.isnan(values).any()):
            return
        values = np.asarray(y, dtype=object)
    except ValueError:  # ragged, which has a sentence of its own
        return
    for i, row in enumerate(values):
        for value in row if isinstance(row, np.ndarray) else (row,):
            if value is None or is_scalar_nan(value) or is_pandas_na(value):
                raise ValueError(
                    f"{owner}: Input y contains NaN: y[{i}] is {value!r}, and each "
                    f"sample needs a {what}; leave out the samples without one"
                )


def kind_of_labels(y: Any) -> str:
    """scikit-learn's `type_of_target`, also of frames with columns of several types."""
    columns = label_columns(y)
    if len(columns) > 1 and any(column.dtype.kind in "OUS" for column in columns):
        for column in columns:
            check_classification_targets(column)
        return "multiclass-multioutput"
    return type_of_target(y, input_name="y")


def label_columns(y: Any) -> list[np.ndarray]:
    """The columns of y as arrays; none of what has not two axes."""
    if len(getattr(y, "shape", ())) != 2 and not isinstance(y, list | tuple):
        return []
    if hasattr(y, "iloc"):
        return [y.iloc[:, j].to_numpy() for j in range(y.shape[1])]
    try:
        array = np.asarray(y)
    except ValueError:  # a ragged list
        return []
    return list(array.T) if array.ndim == 2 else []


def encode_classes(
    owner: str,
    y: np.ndarray,
    weight: np.ndarray | None,
    announced: Any,
    known: np.ndarray | None,
    least: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and the number of each label among them.

    Parameters
    ----------
    owner : str
        Who is named in errors.
    y, weight : ndarray of shape (n_samples,)
        Labels of weight 0 may be unknown: they are given any number.
    announced : array-like or None
        All classes that will come.
    known : ndarray or None
        The classes of a fit before.
    least : int
        How many classes there must be.
    """
    present = np.unique(y if weight is None else y[weight > 0])
    announced = None if announced is None else np.unique(announced)
    classes = known
    if classes is None:
        classes = present if announced is None else announced
        if len(classes) < least:
            raise ValueError(
                f"{owner} needs at least {least} classes with positive weight, got "
                f"{len(classes)} class: {classes.tolist()}"
            )
    elif announced is not None and not np.array_equal(announced, classes):
        raise ValueError(
            f"{owner}: classes={announced.tolist()} differ from those of the first "
            f"call, {classes.tolist()}"
        )
    strange = np.setdiff1d(present, classes) if present is not classes else present[:0]
    if len(strange):
        raise ValueError(
            f"{owner}: y has labels {strange.tolist()} that are not among the "
            f"classes of the first fit, {classes.tolist()}"
        )
    return classes, np.searchsorted(classes, y).clip(max=len(classes) - 1)


def balanced(codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """What makes all classes that are there weigh the same in sum."""
    present, codes = np.unique(codes, return_inverse=True)
    sums = np.bincount(codes, weight, len(present)).astype(np.float64)
    there = sums > 0
    return sums.sum() / (there.sum() * np.where(there, sums, 1))[codes]


def scale_of_y(
    chunks: Chunks, columns: np.ndarray, weight: np.ndarray | None, loss: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """What numbers are centred and scaled by for a loss, and whether all are constant.

    By these rows and those of the chunks before.
    """
    # Squares of numbers that are very large, or small, would not be finite.
    largest = np.abs(columns).max(0)
    usual = (largest == 0) | ((largest > 1e-100) & (largest < 1e100))
    unit = np.where(usual, 1.0, largest)
    w = None if weight is None else torch.from_numpy(weight).double()
    own = Moments.of(lambda: [(torch.from_numpy(columns / unit), w)])
    own = replace(own, mean=own.mean * unit, deviation=own.deviation * unit)
    known = chunks.add("y", own)
    mean, scale = known.mean, known.scale(torch.float64)
    if loss == "poisson":
        mean, scale = np.zeros_like(mean), mean
    elif loss != "squared_error":
        both = columns, np.ones(len(columns)) if weight is None else weight
        shape = columns.shape[0], columns.shape[1]
        kept = chunks.keep("y", shape, lambda some: (both[0][some], both[1][some]))
        rows, weights = both if chunks.n == 1 else kept
        centre, apart = robust_scale(rows / unit, weights, scale / unit)
        mean, scale = centre * unit, apart * unit
    return mean, scale, bool(known.is_constant(torch.float64).all())


def robust_scale(
    columns: np.ndarray, weight: np.ndarray | None, otherwise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The (weighted) median, and the scale that a normal distribution of the same
    median absolute deviation has; where that is 0, another scale.
    """
    weight = np.ones(len(columns)) if weight is None else weight
    centre = _weighted_percentile(columns, weight, 50, average=True)
    apart = _weighted_percentile(abs(columns - centre), weight, 50, average=True)
    return centre, np.where(apart > 0, 1.4826 * apart, otherwise)


def each(found: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of an array, or of each array in an object array."""
    if found.dtype != object:
        return function(found)
    changed = np.empty(len(found), dtype=object)
    for i, part in enumerate(found):
        changed[i] = function(part)
    return changed


__all__ = [
    "balanced",
    "each",
    "encode_classes",
    "given_target",
    "kind_of_labels",
    "label_columns",
    "refuse_missing",
    "robust_scale",
    "scale_of_y",
]
