"""Series: values in the order of time, one series or a panel of several."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from torch import Tensor


@dataclass
class History:
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
        Names of the channels.
    """

    values: list[np.ndarray]
    timelines: list[dict[str, Any]]
    panel: str = ""
    keys: list[Any] = field(default_factory=list)
    flat: bool = True
    columns: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def only(self, chosen: list[int], ends: list[int]) -> History:
        """Some of the series, as they were when they had so many values."""
        values = [self.values[i][:end] for i, end in zip(chosen, ends)]
        keys = [self.keys[i] for i in chosen] if self.keys else []
        lines: list[dict[str, Any]] = [{"kind": ""}] * len(chosen)
        panel = "list" if self.panel else ""
        return History(values, lines, panel, keys, self.flat, self.columns)

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
    index = index_after(line, steps)
    if flat:
        return pd.Series(values, index, name=line["name"])
    return pd.DataFrame(values, index, columns=columns)


# -- the index ---------------------------------------------------------------------


def timeline(index: Any, what: str, name: Any = None) -> dict[str, Any]:
    """How an index ends and goes on, in numbers and strings.

    Raises
    ------
    ValueError
        For an index that goes back, repeats itself or has gaps.
    """
    if index is None:
        return {"kind": ""}
    line: dict[str, Any] = {"name": name, "index_name": index.name}
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ValueError(f"{what} has {twice} twice in its index: keep one row of each")
    if not index.is_monotonic_increasing:
        raise ValueError(f"{what} is not in the order of time: call sort_index() first")
    if isinstance(index, pd.PeriodIndex):
        gaps = np.diff(index.asi8) != 1
        line |= {"kind": "periods", "last": str(index[-1]), "freq": index.freqstr}
    elif isinstance(index, pd.DatetimeIndex):
        freq = index.freqstr or _inferred(index)
        gaps = np.array([freq is None])
        line |= {"kind": "dates", "last": index[-1].isoformat(), "freq": freq}
        line["tz"] = None if index.tz is None else str(index.tz)
    elif pd.api.types.is_numeric_dtype(index.dtype):
        steps = np.diff(index.to_numpy())
        step = steps[0] if len(steps) else np.int64(1)
        gaps = ~np.isclose(steps, step)
        line |= {"kind": "numbers", "last": index.to_numpy()[-1].item()}
        line["freq"] = step.item()
    else:
        raise ValueError(
            f"{what} must be indexed by dates, periods or numbers, got {index.dtype}"
        )
    if gaps.any():
        where = f" after {index[gaps.argmax()]}" if line["kind"] != "dates" else ""
        raise ValueError(
            f"{what} has no regular frequency{where}: give each step a row, such as by "
            "y.asfreq(...) or y.resample(...)"
        )
    return line


def _inferred(index: pd.DatetimeIndex) -> str | None:
    if len(index) > 2:
        # infer_freq announces that it will return something else.
        return pd.DatetimeIndex(index, freq="infer").freqstr
    if len(index) == 2:
        return pd.tseries.frequencies.to_offset(index[1] - index[0]).freqstr
    return "D"


def index_after(line: dict[str, Any], steps: np.ndarray) -> pd.Index:
    """The index of the steps 1, 2, ... after a series has ended."""
    n, last = int(max(steps)) + 1, line["last"]
    index: pd.Index
    if line["kind"] == "periods":
        index = pd.period_range(pd.Period(last, line["freq"]), periods=n)
    elif line["kind"] == "dates":
        start = pd.Timestamp(last)
        if line["tz"] is not None:
            start = start.tz_convert(line["tz"])
        index = pd.date_range(start, periods=n, freq=line["freq"])
    elif isinstance(last, int) and isinstance(line["freq"], int):
        index = pd.RangeIndex(last, last + n * line["freq"], line["freq"])
    else:
        index = pd.Index(last + np.arange(n) * line["freq"])
    whole = np.array_equal(steps, np.arange(1, n))
    chosen = index[1:] if whole else index[np.asarray(steps)]
    return chosen.rename(line["index_name"])


def steps_after(line: dict[str, Any], index: pd.Index) -> np.ndarray | None:
    """Which steps after the end of a series the rows of an index are, None if none."""
    n = 2 * len(index) + 64
    while True:
        ahead = index_after(line, np.arange(1, n))
        try:
            at = ahead.get_indexer(index)
        except TypeError:
            return None
        if (at >= 0).all():
            return at + 1
        if not len(ahead) or ahead[-1] > index[-1] or n > 10**7:
            return None
        n *= 4


# -- reading -----------------------------------------------------------------------


class Series:
    """A series ``(n_times,)`` or ``(n_times, n_channels)``, or a panel of series.

    Learned when ``reset``:

    n_channels_ : int
    channel_names_ : list or None
    """

    name: ClassVar[str] = "series"

    @staticmethod
    def check(estimator: Any, X: Any, *, reset: bool) -> History:
        owner = type(estimator).__name__
        history = read_series(X, owner, "y")
        n = history.values[0].shape[1]
        if reset:
            estimator.n_channels_ = n
            estimator.channel_names_ = history.columns
        elif n != estimator.n_channels_:
            raise ValueError(
                f"{owner}: y has {n} channels, but fit had {estimator.n_channels_}"
            )
        names = history.columns, estimator.channel_names_
        if None not in names and names[0] != names[1]:
            raise ValueError(
                f"{owner}: y has the columns {names[0]}, but fit had {names[1]}"
            )
        return history


def read_series(X: Any, owner: str, what: str) -> History:
    """One series or a panel as arrays; ``what`` is its name in errors."""
    if isinstance(X, History):
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
    elif _holds_series(X):
        panel, items = "list", [*X]
    if panel in ("array", "list"):
        keys = list(range(len(items)))
    if not items:
        raise ValueError(f"{owner}: {what} holds no series")
    values, lines, flats, columns = [], [], set(), None
    for key, item in zip(keys, items):
        name = f"{what}[{key!r}]" if panel else what
        array = _numbers(item, owner, name)
        index = item.index if isinstance(item, pd.Series | pd.DataFrame) else None
        lines.append(timeline(index, f"{owner}: {name}", getattr(item, "name", None)))
        flats.add(array.ndim == 1)
        if isinstance(item, pd.DataFrame):
            columns = list(item.columns)
        values.append(array.reshape(len(array), -1))
        if values[-1].shape[1] != values[0].shape[1]:
            raise ValueError(
                f"{owner}: {name} has {values[-1].shape[1]} channels, but the series "
                f"before have {values[0].shape[1]}"
            )
    return History(values, lines, panel, keys, flats == {True}, columns)


def read_exogenous(
    estimator: Any, X: Any, history: History, *, reset: bool
) -> list[np.ndarray] | None:
    """Exogenous columns at the times of ``history``, an array a series."""
    owner = type(estimator).__name__
    if reset:
        estimator.n_exogenous_ = 0
    if X is None:
        if not reset and estimator.n_exogenous_:
            raise ValueError(
                f"{owner}: fit had {estimator.n_exogenous_} exogenous columns: give X, "
                "those at the times of y"
            )
        return None
    given = read_series(X, owner, "X")
    if reset:
        estimator.n_exogenous_ = given.values[0].shape[1]
    return _aligned(estimator, given, "X", history, [len(v) for v in history.values])


def read_future(
    estimator: Any, X_future: Any, n_steps: int, history: History
) -> list[np.ndarray] | None:
    """Exogenous columns of the steps to forecast, an array a series."""
    owner, n = type(estimator).__name__, estimator.n_exogenous_
    if X_future is None:
        if n:
            raise ValueError(
                f"{owner}: fit had {n} exogenous columns: give X_future, their "
                f"{n_steps} rows after the end of y"
            )
        return None
    given = read_series(X_future, owner, "X_future")
    lengths = [n_steps] * len(history)
    return _aligned(estimator, given, "X_future", history, lengths)


def _aligned(
    estimator: Any, given: History, what: str, history: History, lengths: list[int]
) -> list[np.ndarray]:
    owner, n = type(estimator).__name__, estimator.n_exogenous_
    if not n:
        raise ValueError(f"{owner}: {what} is given, but fit had no exogenous columns")
    if len(given) != len(history):
        raise ValueError(
            f"{owner}: {what} is of {len(given)} series, but y of {len(history)}"
        )
    if given.values[0].shape[1] != n:
        raise ValueError(
            f"{owner}: {what} has {given.values[0].shape[1]} columns, but fit had {n}"
        )
    for i, (values, length) in enumerate(zip(given.values, lengths)):
        if len(values) != length:
            raise ValueError(
                f"{owner}: {what} has {len(values)} rows, but "
                + (f"y has {length}" if what == "X" else f"{length} steps are asked")
            )
        line, end = history.timelines[i], given.timelines[i].get("last")
        if line["kind"] and end is not None:
            due = line["last"]
            if what == "X_future":
                due = timeline(index_after(line, np.array([length])), what)["last"]
            if end != due:
                raise ValueError(
                    f"{owner}: {what} ends at {end}, but its last row must be of {due}"
                )
    return given.values


def read_steps(estimator: Any, horizon: Any) -> np.ndarray:
    """Which steps after the end are asked for, 1 being the first."""
    call = f"{type(estimator).__name__}(horizon={horizon!r:.40})"
    if horizon is None:
        horizon = estimator.horizon_
    if isinstance(horizon, Integral) and not isinstance(horizon, bool):
        if horizon < 1:
            raise ValueError(f"{call}: horizon must be at least 1")
        return np.arange(1, int(horizon) + 1)
    steps = np.asarray(horizon)
    if steps.ndim != 1 or not len(steps) or steps.dtype.kind not in "iu":
        raise ValueError(
            f"{call}: horizon must be a number of steps or a list of steps; to go on "
            "from another series, call predict(y=series)"
        )
    if steps.min() < 1:
        raise ValueError(
            f"{call}: each step must be at least 1, the first after the end"
        )
    return steps.astype(np.int64)


def _holds_series(X: Any) -> bool:
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
    return array


def _what_is(item: Any) -> str:
    shape = getattr(item, "shape", None)
    return f"{item!r:.60}" if shape is None else f"shape {shape}, dtype {_dtype(item)}"


def _dtype(item: Any) -> Any:
    return getattr(item, "dtype", "mixed")


__all__ = [
    "History",
    "Series",
    "index_after",
    "read_exogenous",
    "read_future",
    "read_series",
    "read_steps",
    "steps_after",
]
