"""Which nodes have labels."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd


def split_labels(y: Any) -> tuple[np.ndarray, Any]:
    """A mask of the nodes with a label, and y as an array that may hold gaps.

    None and NaN are no labels, and neither is -1 where all labels are integers. A row
    of several labels or numbers is none if nothing of it is there.
    """
    if not hasattr(y, "dtype"):
        items = list(y)
        y = np.empty(len(items), dtype=object)
        if items and np.ndim(items[0]):
            y = np.asarray(items)
        else:
            y[:] = items
    missing = np.array(pd.isna(y))
    values = np.asarray(y)
    if values.ndim == 1:
        there = values[~missing]
        whole = values.dtype.kind == "i" or (
            values.dtype == object
            and all(isinstance(one, Integral) for one in there.tolist())
        )
        if whole:
            missing[~missing] = there.astype(np.int64) == -1
    there = np.logical_not(missing.reshape(len(values), -1).all(1))
    return np.asarray(there), values


def by_name(ids: np.ndarray, y: Any) -> Any:
    """y in the order of the nodes, if its index holds their names in another one."""
    if not isinstance(y, pd.Series | pd.DataFrame) or len(y) != len(ids):
        return y
    index = y.index
    if isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(ids))):
        return y  # nothing but positions
    if not index.is_unique:
        return y
    found = index.get_indexer(pd.Index(ids, tupleize_cols=False))
    if (found < 0).any() or len(np.unique(found)) < len(found):
        return y
    return y.iloc[found]


def without_gaps(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The chosen labels, in an array of their own type."""
    values = values[chosen]
    return np.array(values.tolist()) if values.dtype == object else values


__all__ = ["by_name", "split_labels", "without_gaps"]
