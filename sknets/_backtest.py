"""Forecasting the past: rolling origins, and how good the forecasts were."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm.auto import tqdm

from sknets._inputs.series import KnownSeries, read_exogenous
from sknets._rolling import check_share
from sknets._warn import warn


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
    reader = clone(estimator)
    history = reader._check_input(y, reset=True)
    read_exogenous(reader.reader_, X, history, reset=True)
    h = estimator.horizon if horizon is None else horizon
    lengths = np.array([len(v) for v in history.values])
    call, n = f"{owner}.backtest", int(lengths.min())
    back = origins(call, n, h, n_origins, step, initial)
    if n - back[0] < (2 * h if refit else n / 2):
        warn(
            f"{call}: the first origin has only {n - back[0]} of {n} values before it: "
            "give initial, fewer origins, a smaller step, "
            + ("or a smaller horizon" if refit else "or refit=True"),
        )
    names = [history.index(i) for i in range(len(history))]
    rows, levels = list(range(len(history))), [0.0]
    if coverage is not None:
        check_share(f"{owner}.backtest", "coverage", coverage)
        levels += [-coverage, coverage]
    frames: list[pd.DataFrame] = []
    model: Any = None
    naive: Any = None
    bar = tqdm(back, f"{owner}.backtest", disable=not estimator.verbose, unit="origin")
    for distance in bar:
        ends = (lengths - distance).tolist()
        past = history.only(rows, ends)
        if model is None or refit:
            model = clone(estimator).fit(past)
            naive = model.naive_error_ if naive is None else naive
        past, future = model._start(past, None), history.after(rows, ends, h)
        found = model._bands(past, future, np.arange(1, h + 1), levels)
        columns = dict(zip(("prediction", "lower", "upper"), found))
        frames += _rows(columns, history, ends, h, names)
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


def origins(
    call: str, n: int, h: Any, n_origins: Any, step: Any = None, initial: Any = None
) -> list[int]:
    """How many values before the end each origin is, the first one first.

    Parameters
    ----------
    call : str
        What errors begin with.
    n, h : int
        Values there are, and steps to forecast.
    n_origins, step, initial
        As in `Forecaster.backtest`.
    """
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
        if step is None:  # the first origin has half of the series before it
            step = max(1, min(h, (n // 2 - h) // max(1, n_origins - 1)))
        first = h + (n_origins - 1) * step
        room = n - first - 1
    if room < 0:
        raise ValueError(
            f"{call}: {n} values are too few for {n_origins} origins with {h} steps "
            "after each: ask for fewer, or a smaller horizon"
        )
    return [first - i * step for i in range(n_origins) if first - i * step >= h]


def _rows(
    found: dict[str, Any],
    history: KnownSeries,
    ends: list[int],
    h: int,
    names: list[Any],
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


__all__ = ["Backtest", "backtest", "origins"]
