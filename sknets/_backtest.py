"""Forecasting the past: rolling origins, and how good the forecasts were."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sknets._inputs.series import History, read_series


@dataclass(repr=False)
class Backtest:
    """Forecasts from rolling origins beside what came.

    Attributes
    ----------
    table : DataFrame
        A row for each origin and step (and series and channel, if there are several):
        "origin" (the last time known), "time", "step", "y", "prediction", and "lower"
        and "upper" of intervals.
    metrics : Series
        "MAE", "RMSE", "MASE" (the MAE divided by that of taking each value before the
        first origin for the next), and of intervals their "coverage" and mean "width".
    by_step : DataFrame
        The same, a row a step.
    """

    table: pd.DataFrame
    metrics: pd.Series
    by_step: pd.DataFrame

    def __repr__(self) -> str:
        n = self.table["origin"].nunique()
        return f"{n} origins\n{self.metrics.to_string(float_format='{:.4g}'.format)}"


def backtest(
    estimator: Any,
    y: Any,
    X: Any,
    horizon: int | None,
    n_origins: int,
    step: int | None,
    initial: int | None,
    refit: bool,
    coverage: float | None,
) -> Backtest:
    """`Forecaster.backtest`."""
    owner = type(estimator).__name__
    estimator._check_params()
    history = read_series(y, owner, "y")
    if X is not None:
        history.exogenous = read_series(X, owner, "X").values
    h = estimator.horizon if horizon is None else horizon
    lengths = np.array([len(v) for v in history.values])
    back = _origins(f"{owner}.backtest", lengths.min(), h, n_origins, step, initial)
    names = [_times(y, i, history) for i in range(len(history))]
    rows = list(range(len(history)))
    frames: list[pd.DataFrame] = []
    model: Any = None
    for distance in back:
        ends = (lengths - distance).tolist()
        past = history.only(rows, ends)
        if model is None or refit:
            model = clone(estimator).fit(past)
        if model is not None and len(frames) == 0:
            naive = model.naive_error_
        after = history.after(rows, ends, h)
        found = {"prediction": model.predict(h, after, y=past)}
        if coverage is not None:
            bounds = model.predict_interval(h, after, coverage=coverage, y=past)
            found |= dict(zip(("lower", "upper"), bounds))
        frames += _rows(found, history, ends, h, names)
    table = pd.concat(frames, ignore_index=True)
    if not history.panel:
        table = table.drop(columns="series")
    scale = naive[table["channel"]]
    if history.values[0].shape[1] == 1:
        table = table.drop(columns="channel")
    elif history.columns is not None:
        table["channel"] = np.array(history.columns, dtype=object)[table["channel"]]
    metrics = _metrics(table, scale)
    groups = table.groupby("step").groups.items()
    parts = {k: _metrics(table.loc[i], scale[i]) for k, i in groups}
    by_step = pd.DataFrame(parts).T.rename_axis("step")
    return Backtest(table, metrics, by_step)


def _origins(
    call: str, n: int, h: Any, n_origins: Any, step: Any, initial: Any
) -> list[int]:
    """How many values before the end each origin is, the first one first."""
    given = {"horizon": h, "n_origins": n_origins, "step": step, "initial": initial}
    for name, value in given.items():
        if value is not None and (not isinstance(value, Integral) or value < 1):
            raise ValueError(f"{call}({name}={value!r}): must be an integer above 0")
    if initial is not None:
        room = n - h - initial
        if step is None:
            step = max(1, room // max(1, n_origins - 1))
        else:
            n_origins = room // step + 1
        first = n - initial
    else:
        step = h if step is None else step
        first = h + (n_origins - 1) * step
        room = n - first - 1
    if room < 0:
        raise ValueError(
            f"{call}: {n} values are too few for {n_origins} origins with {h} steps "
            "after each: ask for fewer, or a smaller horizon"
        )
    return [first - i * step for i in range(n_origins) if first - i * step >= h]


def _times(y: Any, i: int, history: History) -> Any:
    """The index of one series, or positions."""
    line, n = history.timelines[i], len(history.values[i])
    if line["kind"] == "":
        return np.arange(n)
    if history.panel == "frame":
        return y.loc[history.keys[i]].index
    return (y if not history.panel else y[history.keys[i]]).index


def _rows(
    found: dict[str, Any], history: History, ends: list[int], h: int, names: list[Any]
) -> list[pd.DataFrame]:
    """A frame a series."""
    frames = []
    for i, end in enumerate(ends):
        n_channels = history.values[i].shape[1]
        columns = {
            "series": history.keys[i],
            "origin": names[i][end - 1],
            "time": np.repeat(np.asarray(names[i][end : end + h]), n_channels),
            "step": np.repeat(np.arange(1, h + 1), n_channels),
            "channel": np.tile(np.arange(n_channels), h),
            "y": history.values[i][end : end + h].ravel(),
        }
        for name, values in found.items():
            one = values[i] if history.panel else values
            columns[name] = np.asarray(one).ravel()
        frames.append(pd.DataFrame(columns))
    return frames


def _metrics(table: pd.DataFrame, naive: np.ndarray) -> pd.Series:
    error = table["y"] - table["prediction"]
    found = {
        "MAE": error.abs().mean(),
        "RMSE": np.sqrt((error**2).mean()),
        "MASE": (error.abs() / naive).mean(),
    }
    if "lower" in table:
        inside = table["y"].between(table["lower"], table["upper"])
        found["coverage"] = inside.mean()
        found["width"] = (table["upper"] - table["lower"]).mean()
    return pd.Series(found)


__all__ = ["Backtest", "backtest"]
