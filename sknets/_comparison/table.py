"""Tables for `compare`: what they are, and what their columns are for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from sknets._comparison.preparation import column_roles, is_frame, is_sparse, to_frame


def read_table(
    X: Any,
) -> tuple[Any, dict[str, str] | None, bool, list[str], list[str]]:
    """Return X, its column roles (None for plain numbers), missing?, facts, notes."""
    if not is_sparse(X) and not is_frame(X):
        plain = np.asarray(X) if not _holds_dicts(X) else np.empty(0, dtype=object)
        X = plain if plain.dtype.kind in "biuf" else to_frame(X)
    rows, width = X.shape
    if not rows or not width:
        raise ValueError(f"compare(X=...): X is empty, its shape is {(rows, width)}")
    size = f"table of {rows:,} rows and {width:,} columns"
    if is_sparse(X):
        if not np.isfinite(X.data).all():
            raise ValueError("compare(X=...): sparse X must be finite, without NaN")
        return X.tocsr(), None, False, [f"sparse {size}"], []
    if isinstance(X, np.ndarray):
        if np.isinf(X).any():
            raise ValueError(
                f"compare(X=...): X holds {np.isinf(X).sum():,} infinite values: "
                "replace them by NaN (then imputed) or by numbers"
            )
        missing = bool(np.isnan(X).any())
        notes = ["missing values: imputed by the median, with an indicator"] * missing
        return X, None, missing, [size], notes
    try:
        frame = to_frame(X)
        roles = column_roles(frame)
    except ValueError as error:
        raise ValueError(f"compare(X=...): {error}") from None
    counts = Counter(role for role in roles.values())
    many = [
        _count(counts[r], r)
        for r in ("number", "category", "date", "text")
        if counts[r]
    ]
    facts = [f"{size} ({', '.join(many)})"]
    notes = []
    for role, why in (("constant", "one value only"), ("identifier", "names rows")):
        names = [repr(c) for c, r in roles.items() if r == role]
        if names:
            notes.append(f"left out {', '.join(names)}: {why}")
    if not many:
        raise ValueError(f"compare(X=...): no column is usable; {'; '.join(notes)}")
    if frame.isna().any().any():
        notes.append(
            "missing values: imputed by the median with an indicator, or a "
            "category of their own"
        )
    elif set(roles.values()) == {"number"} and not _object_columns(frame):
        return X, None, False, facts, notes
    return X, roles, False, facts, notes


def _holds_dicts(X: Any) -> bool:
    return isinstance(X, (list, tuple)) and isinstance(X[0], dict)


def _object_columns(frame: pd.DataFrame) -> bool:
    return any(dtype.kind not in "biuf" for dtype in frame.dtypes)


def _count(n: int, word: str) -> str:
    plural = {"category": "categories"}.get(word, f"{word}s")
    return f"{n} {word if n == 1 else plural}"


__all__ = ["read_table"]
