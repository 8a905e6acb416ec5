"""Names of users, items, entities, ...: whatever can be the key of a dict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def names_of(values: Any) -> np.ndarray:
    """Names as integers where they are whole numbers, else as they are."""
    values = np.asarray(values)
    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind in ("integer", "floating", "boolean", "mixed-integer-float"):
        numbers = values.astype(np.float64)
        if kind in ("integer", "boolean") or (numbers == np.rint(numbers)).all():
            return values.astype(np.int64)
        return numbers
    return values.astype(object)


def sorted_names(names: np.ndarray) -> np.ndarray:
    """Each name once, ascending where they can be compared."""
    found = pd.unique(names)
    try:
        return np.sort(found)
    except TypeError:
        order = sorted(range(len(found)), key=lambda i: (str(type(found[i])), i))
        return found[order]


def index_of(names: np.ndarray) -> pd.Index:
    """Names to be looked up, tuples among them."""
    return pd.Index(names, dtype=names.dtype, tupleize_cols=False)


def holds(names: np.ndarray) -> str:
    """What names are, in a word."""
    if names.dtype.kind != "O":
        return "numbers"
    is_text = pd.api.types.infer_dtype(names, skipna=False) == "string"
    return "strings" if is_text else "objects"


def on_one_line(value: Any) -> str:
    """The beginning of what Python writes for a value, for a sentence."""
    return " ".join(repr(value).split())[:60]


__all__ = ["holds", "index_of", "names_of", "on_one_line", "sorted_names"]
