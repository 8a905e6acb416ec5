"""Series: values in the order of time, one series or a panel of several."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from torch import Tensor

from sknets._inputs.reader import Reader
from sknets._inputs.timelines import index_at, timeline
from sknets._params import param
from sknets._warn import warn

_LARGEST = 1e150  # whose square is finite
_NAMED = ("dict", "frame")  # panels whose series are found by their keys


@dataclass
class KnownSeries:
    """Series as arrays, and what is needed to give forecasts in the kind that came.

    Parameters
    ----------
    values : list of float64 arrays (n_times, n_channels)
        One array of a single series.
    timelines : list of dict
        Of each series when it ends and how its index goes on (`timeline`).
    panel : {"", "list", "dict", "array", "frame"}
        How several series came; empty for a single one.
    keys : list
        Names of the series of a panel.
    flat : bool
        Whether a series came without an axis of channels.
    columns : list or None
        Names of the channels, or of exogenous columns.
    exogenous : list of float64 arrays (n_times, n_exogenous) or None
        Of the same times as the values.
    """

    values: list[np.ndarray]
    timelines: list[dict[str, Any]]
    panel: str = ""
    keys: list[Any] = field(default_factory=list)
    flat: bool = True
    columns: list[Any] | None = None
    exogenous: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def only(self, chosen: list[int], ends: list[int]) -> KnownSeries:
        """Some of the series, as they were when they had so many values."""
        values = [self.values[i][:end] for i, end in zip(chosen, ends)]
        keys = [self.keys[i] for i in chosen] if self.keys else []
        lines: list[dict[str, Any]] = [{"kind": ""}] * len(chosen)
        known = self.exogenous
        if known is not None:
            known = [known[i][:end] for i, end in zip(chosen, ends)]
        panel = "list" if self.panel else ""
        return KnownSeries(values, lines, panel, keys, self.flat, self.columns, known)

    def after(self, chosen: list[int], ends: list[int], n: int) -> Any:
        """The exogenous values of n steps after those ends, 0 where unknown."""
        if self.exogenous is None:
            return None
        parts = [self.exogenous[i][end : end + n] for i, end in zip(chosen, ends)]
        return [np.pad(part, ((0, n - len(part)), (0, 0))) for part in parts]

    def last(self, n: int) -> KnownSeries:
        """The ends of the series."""
        known = self.exogenous
        known = None if known is None else [each[-n:] for each in known]
        values = [each[-n:] for each in self.values]
        return replace(self, values=values, exogenous=known)

    def name(self, i: int) -> str:
        """What a series is called in errors."""
        return f"y[{self.keys[i]!r}]" if self.panel else "y"

    def index(self, i: int) -> pd.Index:
        """The times of one series, or positions."""
        n = len(self.values[i])
        if not self.timelines[i]["kind"]:
            return pd.RangeIndex(n)
        return index_at(self.timelines[i], np.arange(1 - n, 1))

    def split(self, names: list[Any], owner: str) -> KnownSeries:
        """The columns of these names (of an array, positions) as exogenous ones."""
        columns = self.columns or list(range(self.values[0].shape[1]))
        call = f"{owner}(exogenous={names!r:.60})"
        for name in names:
            if columns.count(name) != 1:
                raise ValueError(
                    f"{call}: the series has no column {name!r}, it has {columns}"
                )
        at = [columns.index(name) for name in names]
        rest = [i for i in range(len(columns)) if i not in at]
        if not rest:
            raise ValueError(
                f"{call}: the series has no other column that could be forecast"
            )
        return replace(
            self,
            values=[each[:, rest] for each in self.values],
            columns=self.columns and [columns[i] for i in rest],
            exogenous=[each[:, at] for each in self.values],
        )

    def wrap(self, forecasts: list[np.ndarray], steps: np.ndarray) -> Any:
        """Forecasts (n_steps, n_channels) in the containers that the series came in."""
        each = [
            _framed(f, line, steps, self.flat, self.columns)
            for f, line in zip(forecasts, self.timelines)
        ]
        if not self.panel:
            return each[0]
        if self.panel == "dict":
            return dict(zip(self.keys, each))
        if self.panel == "frame":
            return pd.concat(dict(zip(self.keys, each)))
        if self.panel == "array":
            return np.stack(each)
        out = np.empty(len(each), dtype=object)
        for i, item in enumerate(each):
            out[i] = item
        return out


def _framed(
    values: np.ndarray,
    line: dict[str, Any],
    steps: np.ndarray,
    flat: bool,
    columns: Any,
) -> Any:
    values = values[:, 0] if flat else values
    if line["kind"] == "":
        return values
    index = index_at(line, steps)
    if flat:
        return pd.Series(values, index, name=line["name"])
    return pd.DataFrame(values, index, columns=columns)


# -- reading -----------------------------------------------------------------------


class Series(Reader):
    """A series ``(n_times,)`` or ``(n_times, n_channels)``, or a panel of series.

    Learned:

    n_channels_ : int
    channel_names_ : list or None
    """

    name: ClassVar[str] = "series"

    exogenous: list[Any] | tuple[Any, ...] | None = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> KnownSeries:
        owner = self.who
        history = read_series(X, owner, "y")
        for i, values in enumerate(history.values):
            if reset and len(values) < 2:
                sentence = "has 1 value, but at least 2 are needed to learn from"
                raise ValueError(f"{owner}: {history.name(i)} {sentence}")
        if self.exogenous and history is not X:
            history = history.split(list(self.exogenous), owner)
        n = history.values[0].shape[1]
        if reset:
            self.n_channels_ = n
            self.channel_names_ = history.columns
        elif n != self.n_channels_:
            raise ValueError(
                f"{owner}: y has {n} channels, but fit had {self.n_channels_}"
            )
        _compare_names(owner, "y", history.columns, self.channel_names_)
        return history


def _compare_names(owner: str, what: str, names: Any, fitted: Any) -> None:
    """As scikit-learn does for tables: the same names in the same order."""
    if names == fitted:
        return
    if names is None or fitted is None:
        if len(names or fitted) > 1:
            had, has = ("had", "has none") if names is None else ("had none", "has")
            sentence = f"{owner}: fit {had} names of columns, but {what} {has}"
            warn(sentence)
        return
    unseen = [name for name in names if name not in fitted]
    missing = [name for name in fitted if name not in names]
    facts = ["they are in another order"]
    if unseen or missing:
        facts = [f"unseen at fit time: {unseen}"] if unseen else []
        facts += [f"now missing: {missing}"] if missing else []
    raise ValueError(
        f"{owner}: the columns of {what} should match those that were passed during "
        f"fit, {', '.join(facts)}; got {names}, fit had {fitted}"
    )


def read_series(X: Any, owner: str, what: str) -> KnownSeries:
    """One series or a panel as arrays; ``what`` is its name in errors."""
    if isinstance(X, KnownSeries):
        return X
    X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
    panel, items = "", [X]
    keys: list[Any] = [""]
    if isinstance(X, dict):
        panel, keys, items = "dict", list(X), list(X.values())
    elif isinstance(getattr(X, "index", None), pd.MultiIndex):
        if X.index.nlevels != 2:
            raise ValueError(f"{owner}: {what} must have two levels: series and time")
        groups = [(k, g.droplevel(0)) for k, g in X.groupby(level=0, sort=False)]
        panel, keys, items = "frame", [k for k, _ in groups], [g for _, g in groups]
    elif isinstance(X, np.ndarray) and X.ndim == 3:
        panel, items = "array", list(X)
    elif holds_series(X):
        panel, items = "list", [*X]
    if panel in ("array", "list"):
        keys = list(range(len(items)))
    if not items:
        raise ValueError(f"{owner}: {what} holds no series")
    values: list[np.ndarray] = []
    lines, flats, columns = [], set(), None
    for key, item in zip(keys, items):
        name = f"{what}[{key!r}]" if panel else what
        array = _numbers(item, owner, name)
        index = item.index if isinstance(item, pd.Series | pd.DataFrame) else None
        lines.append(timeline(index, f"{owner}: {name}", getattr(item, "name", None)))
        flats.add(array.ndim == 1)
        if isinstance(item, pd.DataFrame):
            names = _names(item, f"{owner}: {name}")
            if values and names != columns:
                raise ValueError(
                    f"{owner}: {name} has the columns {names}, but the series before "
                    f"have {columns}"
                )
            columns = names
        values.append(array.reshape(len(array), -1))
        if values[-1].shape[1] != values[0].shape[1]:
            raise ValueError(
                f"{owner}: {name} has {values[-1].shape[1]} channels, but the series "
                f"before have {values[0].shape[1]}"
            )
    return KnownSeries(values, lines, panel, keys, flats == {True}, columns)


def _names(frame: pd.DataFrame, what: str) -> list[Any] | None:
    """The names of columns, None where nobody gave them any."""
    if frame.columns.equals(pd.RangeIndex(frame.shape[1])):
        return None
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{what} has the column {twice!r} twice")
    return list(frame.columns)


def read_exogenous(reader: Any, X: Any, history: KnownSeries, *, reset: bool) -> None:
    """Put the exogenous columns at the times of ``history`` beside its values."""
    owner = reader.who
    if X is not None:
        if reader.exogenous:
            raise ValueError(f"{owner}: X is given, but exogenous names columns of y")
        given = read_series(X, owner, "X")
        if given.flat or not history.flat:
            raise ValueError(
                f"{owner}: y must have one axis and X two, the series comes first; got "
                f"y {_shape(history)} and X {_shape(given)}: give exogenous columns of "
                "several channels, and in cross-validation, as columns of y that "
                "exogenous=[...] names"
            )
        if reset:
            reader.n_exogenous_ = given.values[0].shape[1]
            reader.exogenous_names_ = given.columns
        history.exogenous = _aligned(reader, given, "X", history, None)
    elif reset:
        known = history.exogenous
        reader.n_exogenous_ = 0 if known is None else known[0].shape[1]
        named = reader.exogenous and history.columns is not None
        reader.exogenous_names_ = list(reader.exogenous) if named else None
    elif reader.n_exogenous_ and history.exogenous is None:
        raise ValueError(
            f"{owner}: fit had {reader.n_exogenous_} exogenous columns: give X, "
            "those at the times of y"
        )


def read_future(
    reader: Any, X_future: Any, n_steps: int, history: KnownSeries
) -> list[np.ndarray] | None:
    """Exogenous columns of the steps to forecast, an array a series."""
    owner, n = reader.who, reader.n_exogenous_
    if X_future is None:
        if n:
            raise ValueError(
                f"{owner}: fit had {n} exogenous columns: give X_future, their "
                f"{n_steps} rows after the end of y"
            )
        return None
    given = read_series(X_future, owner, "X_future")
    return _aligned(reader, given, "X_future", history, n_steps)


def _aligned(
    reader: Any,
    given: KnownSeries,
    what: str,
    history: KnownSeries,
    n_steps: int | None,
) -> list[np.ndarray]:
    """The rows at the times of ``history`` or of n steps after it, by index if any."""
    owner, n = reader.who, reader.n_exogenous_
    if not n:
        raise ValueError(f"{owner}: {what} is given, but fit had no exogenous columns")
    order = list(range(len(given)))
    if given.panel in _NAMED and history.panel in _NAMED:
        for key in history.keys:
            if key not in given.keys:
                raise ValueError(f"{owner}: {what} has no series {key!r}, but y has")
        order = [given.keys.index(key) for key in history.keys]
    if len(order) != len(history):
        raise ValueError(
            f"{owner}: {what} is of {len(given)} series, but y of {len(history)}"
        )
    if given.values[0].shape[1] != n and given.columns is None:
        raise ValueError(
            f"{owner}: {what} has {given.values[0].shape[1]} columns, but fit had {n}"
        )
    _compare_names(owner, what, given.columns, reader.exogenous_names_)
    found = []
    for i, j in enumerate(order):
        values, line = given.values[j], history.timelines[i]
        length = len(history.values[i]) if n_steps is None else n_steps
        if line["kind"] and given.timelines[j]["kind"]:
            first = 1 - length if n_steps is None else 1
            due = index_at(line, np.arange(first, first + length))
            at = given.index(j).get_indexer(due)
            if (at < 0).any():
                raise ValueError(
                    f"{owner}: {what} has no row of {due[(at < 0).argmax()]}, y "
                    + ("has" if n_steps is None else f"ends at {line['last']}")
                )
            values = values[at]
        elif len(values) != length:
            raise ValueError(
                f"{owner}: {what} has {len(values)} rows, but "
                + (
                    f"y has {length}"
                    if n_steps is None
                    else f"{length} steps are asked"
                )
            )
        found.append(values)
    return found


def holds_series(X: Any) -> bool:
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and len(X) > 0 and np.ndim(X[0]) > 0
    if not isinstance(X, list | tuple) or not len(X):
        return isinstance(X, list | tuple)
    return np.ndim(X[0]) > 0


def _numbers(item: Any, owner: str, name: str) -> np.ndarray:
    array: np.ndarray | None = None
    with contextlib.suppress(TypeError, ValueError):
        given = np.asarray(item)
        if given.dtype.kind in "biufO":
            array = given.astype(np.float64)
    if array is None or array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(
            f"{owner}: {name} must be numbers of shape (n_times,) or (n_times, "
            f"n_channels), got {_what_is(item)}"
        )
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(1)
    if bad.any():
        at = int(bad.argmax())
        when = f" ({item.index[at]})" if hasattr(item, "iloc") else ""
        raise ValueError(
            f"{owner}: {name} contains NaN or infinity at position {at}{when}: fill "
            "the gaps first, such as by y.interpolate()"
        )
    if (largest := np.abs(array).max()) > _LARGEST:
        raise ValueError(
            f"{owner}: {name} has values as large as {largest:g}, above {_LARGEST:g}: "
            "give it in larger units"
        )
    return array


def _shape(history: KnownSeries) -> tuple[int, ...]:
    return history.values[0].shape[: 1 if history.flat else 2]


def _what_is(item: Any) -> str:
    shape = getattr(item, "shape", None)
    return f"{item!r:.60}" if shape is None else f"shape {shape}, dtype {_dtype(item)}"


def _dtype(item: Any) -> Any:
    return getattr(item, "dtype", "mixed")


__all__ = [
    "KnownSeries",
    "Series",
    "holds_series",
    "read_exogenous",
    "read_future",
    "read_series",
]
