"""y understood: its values as one array, and the task it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sknets._inputs.kinds import KINDS, seem_swapped

# Whole numbers with more distinct values than this are quantities, not labels.
MAX_LABELS = 20


def read_target(y: Any, task: str) -> tuple[np.ndarray, str, str]:
    """Return y as an array, the task, and a phrase that says what was guessed."""
    values = y.toarray() if sparse.issparse(y) else _as_array(y)
    name = getattr(y, "name", None)
    of = f" of {name!r}" if isinstance(name, str) and name else ""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if not values.size or values.ndim > 2 or values.ndim == 0:
        raise ValueError(
            f"compare(y=...): y must hold one value or row for each row of X, got "
            f"shape {values.shape}"
        )
    lost = int(pd.isna(values).sum())
    if lost:
        raise ValueError(
            f"compare(y=...): y has {lost:,} missing value{'s'[: lost > 1]}: drop "
            "these rows of X and y"
        )
    if values.dtype == object:
        values = _plain_objects(values)
    if values.dtype.kind in "Mm":
        raise ValueError(
            "compare(y=...): y holds dates: make numbers (days since a day) or classes"
        )
    if values.dtype.kind == "c":
        raise ValueError("compare(y=...): y holds complex numbers")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("compare(y=...): y holds infinite values")
    guess, why = _guess_task(values)
    if task == "auto":
        task, said = guess, f"{guess}{of} guessed, {why}"
    else:
        said = f"{task}{of}"
    return _check_task(values, task), task, said


def refuse_swapped(X: Any, y: Any) -> None:
    """Refuse an X that can only be y: a value a row, where y has columns."""
    if isinstance(y, str):
        columns = [str(name) for name in getattr(X, "columns", ())]
        fix = f": give X.drop(columns={y!r}) and X[{y!r}]" if y in columns else ""
        raise ValueError(f"compare(y={y!r}): y must hold the values to predict{fix}")
    if seem_swapped(X, y):
        raise ValueError(
            "compare(X, y): they seem to be swapped, as X has one value a row and y "
            "has columns: the table comes first; exogenous columns of a series are "
            "columns of it, named by exogenous=[...]"
        )


def refuse_ambiguous(
    X: Any, kind: str, task: str, y: Any, settings: dict[str, Any]
) -> None:
    """Refuse what could be a series or a table, before anything is made of it."""
    if kind == "series":
        if task not in ("auto", "forecasting"):
            raise ValueError(f"compare(task={task!r}): X is a series: it is forecast")
        if y is not None:
            raise ValueError(
                "compare(X, y): X is a series, numbers by time, and y is given: leave "
                "y out to forecast X (exogenous columns are columns of X, named by "
                "exogenous=[...]), or make it a table, np.reshape(X, (-1, 1))"
            )
        return
    if task == "forecasting":
        raise ValueError(
            "compare(task='forecasting'): series alone are forecast: leave y out"
        )
    if y is None:
        fix = "give the values to predict"
        if KINDS["series"].recognises(X) is not False:
            fix += ", or, to forecast X, numbers in the order of time, data='series'"
        raise ValueError(f"compare(X): y is missing: {fix}")
    for name, unset in (("horizon", None), ("season", "auto"), ("exogenous", None)):
        if settings[name] != unset:
            raise ValueError(
                f"compare({name}={settings[name]!r:.60}): {name} is for series, and X "
                "is none: leave y out to forecast X"
            )


def _as_array(y: Any) -> np.ndarray:
    try:
        values = np.asarray(y)
        # numpy would make strings of [0, "a"].
        return np.array(y, object) if values.dtype.kind in "US" else values
    except ValueError:
        raise ValueError("compare(y=...): its rows have unequal lengths") from None


def _plain_objects(values: np.ndarray) -> np.ndarray:
    """Give an object array of one kind of thing that kind's dtype."""
    kinds = {type(value) for value in values.ravel()}
    if all(issubclass(k, (bool, np.bool_)) for k in kinds):
        return values.astype(bool)
    if all(issubclass(k, (int, float, np.number)) for k in kinds):
        numbers = values.astype("float64")
        return numbers.astype("int64") if (numbers % 1 == 0).all() else numbers
    if all(issubclass(k, str) for k in kinds):
        return values
    names = ", ".join(sorted(k.__name__ for k in kinds))
    raise ValueError(
        "compare(y=...): y must hold numbers, strings or bools of one type, got "
        + names
    )


def _guess_task(values: np.ndarray) -> tuple[str, str]:
    """Say which task y is for, and why."""
    distinct = len(np.unique(values))
    if values.ndim == 2:
        if values.dtype.kind in "bui" and set(np.unique(values)) <= {0, 1}:
            return (
                "classification",
                f"{values.shape[1]} columns of 0 and 1 (multilabel)",
            )
        if values.dtype.kind in "OUS":
            return "classification", f"{values.shape[1]} columns of strings"
        return "regression", f"{values.shape[1]} columns of numbers"
    if values.dtype.kind in "OUSb":
        what = "bools" if values.dtype.kind == "b" else "strings"
        return "classification", f"{distinct:,} distinct {what}"
    if values.dtype.kind == "f" and (values % 1 != 0).any():
        return "regression", f"{distinct:,} distinct fractional numbers"
    # As many values as rows are no classes, however few the rows.
    if distinct <= min(MAX_LABELS, max(2, len(values) // 2)):
        return "classification", f"{distinct:,} distinct whole numbers"
    return "regression", f"{distinct:,} distinct whole numbers"


def _check_task(values: np.ndarray, task: str) -> np.ndarray:
    kind, distinct = values.dtype.kind, np.unique(values)
    if task == "regression":
        if kind in "OUS":
            try:
                values = values.astype("float64")
            except ValueError:
                raise ValueError(
                    "compare(task='regression'): y must hold numbers, got strings such "
                    f"as {str(values.ravel()[0])!r}"
                ) from None
        if len(distinct) == 1:
            raise ValueError(
                f"compare(y=...): y holds one value only, {distinct[0]!s}: there is "
                "nothing to predict"
            )
        return values.astype("float64")
    if values.ndim == 2:
        if set(distinct.tolist()) - {0, 1}:
            raise ValueError(
                "compare(task='classification'): y with several columns must hold 0 "
                "and 1 only (multilabel); compare each column on its own"
            )
        return values.astype("int64")
    if kind == "f" and (values % 1 != 0).any():
        raise ValueError(
            f"compare(task='classification'): y holds {len(distinct):,} fractional "
            "numbers, not classes: bin them (pandas.qcut) or use task='regression'"
        )
    if len(distinct) == 1:
        raise ValueError(
            f"compare(y=...): y holds one class only, {distinct[0]!s}: classification "
            "needs at least two"
        )
    return values
