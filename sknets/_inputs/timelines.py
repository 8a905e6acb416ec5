"""The index of a series: how it ends, how it goes on, and which steps dates are."""

from __future__ import annotations

import contextlib
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

_PERIODS = ("Y", "Q", "M", "W", "D", "h", "min", "s")


def timeline(index: Any, what: str, name: Any = None) -> dict[str, Any]:
    """How an index ends and goes on, in numbers and strings.

    Raises
    ------
    ValueError
        For an index that goes back, repeats itself, has gaps, or holds text.
    """
    if index is None:
        return {"kind": ""}
    line: dict[str, Any] = {"name": name, "index_name": index.name}
    dated = isinstance(index, pd.PeriodIndex | pd.DatetimeIndex)
    if not dated and not pd.api.types.is_numeric_dtype(index.dtype):
        raise ValueError(
            f"{what} must be indexed by dates, periods or numbers, got {index.dtype} "
            f"such as {index[0]!r}: make dates of it first, by pd.to_datetime(index)"
        )
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ValueError(f"{what} has {twice} twice in its index: keep one row of each")
    if not index.is_monotonic_increasing:
        raise ValueError(f"{what} is not in the order of time: call sort_index() first")
    if isinstance(index, pd.PeriodIndex):
        gaps = np.diff(index.asi8) != 1
        line |= {"kind": "periods", "last": str(index[-1]), "freq": index.freqstr}
        advice = "reindex(pd.period_range(first, last, freq=index.freq))"
    elif isinstance(index, pd.DatetimeIndex):
        freq = index.freqstr or _inferred(index)
        steps = np.diff(index.asi8)
        gaps = (steps > 1.5 * np.median(steps)) if freq is None else np.zeros(1, bool)
        line |= {"kind": "dates", "last": index[-1].isoformat(), "freq": freq}
        line["tz"] = None if index.tz is None else str(index.tz)
        advice = "asfreq(...) or resample(...)"
        if freq is None and (period := _period_of(index)):
            raise ValueError(
                f"{what} has one date in each period of {period!r} but no regular "
                f"frequency: give it the index y.index.to_period({period!r})"
            )
    else:
        steps = np.diff(index.to_numpy())
        step = steps[0] if len(steps) else np.int64(1)
        gaps = ~np.isclose(steps, step)
        line |= {"kind": "numbers", "last": index.to_numpy()[-1].item()}
        line["freq"] = step.item()
        advice = "reindex(range(first, last + step, step))"
    if gaps.any() or line["freq"] is None:
        where = f" after {index[gaps.argmax()]}" if gaps.any() else ""
        raise ValueError(
            f"{what} has no regular frequency{where}: give each step a row, such as by "
            f"{advice}"
        )
    return line


def _inferred(index: pd.DatetimeIndex) -> str | None:
    if len(index) > 2:
        # infer_freq announces that it will return something else.
        return pd.DatetimeIndex(index, freq="infer").freqstr
    if len(index) == 2:
        return pd.tseries.frequencies.to_offset(index[1] - index[0]).freqstr
    return "D"


def _period_of(index: pd.DatetimeIndex) -> str | None:
    """The periods of which these dates have one each, if there are such."""
    for freq in _PERIODS:
        if (np.diff(index.tz_localize(None).to_period(freq).asi8) == 1).all():
            return freq
    return None


def index_at(line: dict[str, Any], steps: np.ndarray) -> pd.Index:
    """The index of steps: 1 is the first after a series has ended, 0 its last."""
    steps = np.asarray(steps)
    low = min(0, int(steps.min()))
    n, last, freq = max(0, int(steps.max())) - low + 1, line["last"], line["freq"]
    index: pd.Index
    if line["kind"] == "periods":
        index = pd.period_range(pd.Period(last, freq) + low, periods=n)
    elif line["kind"] == "dates":
        start = pd.Timestamp(last)
        if line["tz"] is not None:
            start = start.tz_convert(line["tz"])
        if low:
            start = pd.date_range(end=start, periods=1 - low, freq=freq)[0]
        index = pd.date_range(start, periods=n, freq=freq)
    elif isinstance(last, int) and isinstance(freq, int):
        index = pd.RangeIndex(last + low * freq, last + (low + n) * freq, freq)
    else:
        index = pd.Index(last + np.arange(low, low + n) * freq)
    at = steps - low
    whole = np.array_equal(at, np.arange(at[0], at[0] + len(at)))
    chosen = index[at[0] : at[0] + len(at)] if whole else index[at]
    return chosen.rename(line["index_name"])


def steps_after(line: dict[str, Any], index: pd.Index) -> np.ndarray | None:
    """Which steps after the end of a series the rows of an index are, None if none."""
    n = 2 * len(index) + 64
    while True:
        ahead = index_at(line, np.arange(1, n))
        try:
            at = ahead.get_indexer(index)
            beyond = ahead[-1] > index.max()
        except (TypeError, ValueError):  # another kind of index
            return None
        if (at >= 0).all():
            return at + 1
        if beyond or n > 10**7:
            return None
        n *= 4


def read_steps(
    owner: str, horizon: Any, lines: list[dict[str, Any]], fh: Any = None
) -> np.ndarray:
    """Which steps after the end are asked for, 1 being the first.

    Parameters
    ----------
    owner : str
        The class named in errors.
    horizon : int, list of int, or dates
    lines : list of dict
        How the series end.
    fh : like horizon
        Another name of it: one of both is given.
    """
    if horizon is not None and fh is not None:
        raise ValueError(
            f"{owner}(horizon={horizon!r:.60}, fh={fh!r:.60}): these are two names of "
            "the same: give one"
        )
    name, horizon = ("horizon", horizon) if fh is None else ("fh", fh)
    call = f"{owner}({name}={horizon!r:.60})"
    if isinstance(horizon, Integral) and not isinstance(horizon, bool):
        if horizon < 1:
            raise ValueError(f"{call}: {name} must be at least 1")
        return np.arange(1, int(horizon) + 1)
    asked: Any = None
    with contextlib.suppress(TypeError, ValueError):
        asked = pd.Index(horizon)
    if asked is None or not len(asked) or asked.dtype.kind in "fcb":
        raise ValueError(
            f"{call}: {name} must be a number of steps, a list of steps or of dates; "
            "to go on from another series, call predict(y=series)"
        )
    if asked.dtype.kind not in "iu":
        return _steps_of_dates(call, asked, lines)
    if asked.min() < 1:
        raise ValueError(
            f"{call}: each step must be at least 1, the first after the end"
        )
    return asked.to_numpy().astype(np.int64)


def _steps_of_dates(call: str, asked: Any, lines: list[dict[str, Any]]) -> np.ndarray:
    line = lines[0]
    if any(each.get("last") != line.get("last") for each in lines):
        raise ValueError(
            f"{call}: the series do not end at the same time, so that dates are other "
            "steps of each: ask for steps"
        )
    steps = None
    if line["kind"] in ("dates", "periods"):
        with contextlib.suppress(TypeError, ValueError):
            if not isinstance(asked, pd.PeriodIndex):
                asked = pd.DatetimeIndex(asked)
                if line["kind"] == "periods":
                    asked = asked.to_period(line["freq"])
            steps = steps_after(line, asked)
    if steps is None:
        ends = "y has no index"
        if line["kind"]:
            ends = f"the {line['kind']} of y end at {line['last']}"
        raise ValueError(
            f"{call}: must be steps, or dates or periods that follow those of y; {ends}"
        )
    return steps


__all__ = ["index_at", "read_steps", "steps_after", "timeline"]
