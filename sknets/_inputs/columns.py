"""Columns of frames and arrays: which of them hold no numbers, and words for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

# What the types of pandas, polars and numpy that hold times begin with.
_TIMES = ("date", "timedelta", "duration", "period", "time")
_TIME_SENTENCE = (
    "where numbers belong: make numbers of it, such as days since a first date, the "
    "month or the day of the week"
)


def is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "shape")


def columns_of(X: Any):
    """Yield (position, label, values) of the columns of an array or a frame."""
    if is_frame(X):
        for j, label in enumerate(X.columns):
            yield j, label, _values(X[label])
    else:
        X = np.asarray(X)
        for j in range(X.shape[1]):
            yield j, j, X[:, j]


def _values(column: Any) -> np.ndarray:
    """A column's values; pandas and polars both know ``to_numpy``."""
    return np.asarray(column.to_numpy(), dtype=object)


def refuse_columns(
    owner: str, X: Any, spared: Sequence[int] = (), what: str = "X"
) -> None:
    """Say which columns cannot be read as numbers, by their names and types alone.

    ``spared`` are the positions of those that hold categories.
    """
    if not is_frame(X):
        refuse_type(f"{owner}: {what}", getattr(X, "dtype", None))
        return
    refuse_repeated_names(owner, X, what)
    if X.shape[1] == 0:
        raise ValueError(
            f"{owner}: {what} has 0 feature(s) (shape={tuple(X.shape)}) while a "
            "minimum of 1 is required: it has no column"
        )
    for j, (label, kind) in enumerate(zip(X.columns, getattr(X, "dtypes", []))):
        if j not in spared:
            refuse_type(f"{owner}: column {label!r} of {what}", kind)


def refuse_type(where: str, kind: Any) -> None:
    """Say that times and complex numbers are no numbers."""
    word = str(kind).lower()
    if word.startswith(_TIMES):
        raise ValueError(f"{where} holds {kind}, {_TIME_SENTENCE}")
    if word.startswith("complex"):
        raise ValueError(
            f"{where} holds {kind}. Complex data not supported: give real and "
            "imaginary part a column or channel each"
        )


def refuse_repeated_names(owner: str, X: Any, what: str = "X") -> None:
    """Say that columns of a frame cannot be told apart."""
    twice = [label for label, n in Counter(X.columns).items() if n > 1]
    if twice:
        raise ValueError(
            f"{owner}: {what} has several columns named {twice[0]!r}: give each a name "
            "of its own"
        )


def odd_value(reader: Any, X: Any, why: Exception) -> Exception:
    """Which column holds something else than numbers, an example and what to do."""
    owner = reader.who
    hint = ""
    if hasattr(reader.owner, "tokenizer"):
        hint = " (texts are a list or one column of strings)"
    columns = columns_of(X) if np.ndim(X) == 2 else ()
    for _, column, values in columns:
        for value in values:
            try:
                float(value)
            except (TypeError, ValueError):
                break
        else:
            continue
        where = f"{owner}: column {column!r} of X holds"
        if isinstance(value, date | time | timedelta | pd.Period):
            return ValueError(f"{where} times such as {value}, {_TIME_SENTENCE}")
        if not isinstance(value, str | bytes):
            return TypeError(f"{where} {value!r:.60}: {why}")
        known = hasattr(reader.owner, "categorical_features")
        fix = f"name it in categorical_features=[{column!r}], or " if known else ""
        value = value.item() if isinstance(value, np.generic) else value
        return ValueError(
            f"{where} text such as {value!r:.60} where numbers belong{hint}; {fix}"
            "encode it first, with scikit-learn's OneHotEncoder for example"
        )
    return ValueError(f"{owner}: X holds text where numbers belong{hint}")


__all__ = [
    "columns_of",
    "is_frame",
    "odd_value",
    "refuse_columns",
    "refuse_repeated_names",
    "refuse_type",
]
