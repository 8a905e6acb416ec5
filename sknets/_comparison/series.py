"""Series for `compare`: what they are, rolling origins as splits, errors of forecasts.

The rows of a series are its times. A split is what came before an origin and what
followed, so that scikit-learn's cross-validation runs as it does on a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sknets._backtest import origins
from sknets._inputs.series import KnownSeries, holds_series, read_series
from sknets._inputs.windows import naive_error
from sknets._rolling import find_season

WHO = "compare(X=...)"


class SeriesRows:
    """Series whose rows are times, to be split like an array.

    What is chosen from it is a part of each series, in the kind of container that came.
    Rows of several series are counted by the shortest, the ends of all being one row.

    Parameters
    ----------
    data : what `Forecaster.fit` takes
    """

    ndim = 1

    def __init__(self, data: Any):
        history = read_series(data, WHO, "X")
        if not history.panel and not hasattr(data, "shape"):
            data = np.asarray(data, dtype=float)
        self.data, self.history = _each(data, _with_frequency), history
        self.shape = (min(map(len, history.values)),)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """The part of each series from the first of the chosen rows to the last."""
        rows = np.arange(len(self))[key]

        def part(item: Any) -> Any:
            more = len(item) - len(self)
            first = 0 if rows[0] == 0 else rows[0] + more
            return getattr(item, "iloc", item)[first : rows[-1] + more + 1]

        return _each(self.data, part)


def _each(data: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to each series, in the container that they came in."""
    if isinstance(data, dict):
        return {key: function(item) for key, item in data.items()}
    if isinstance(getattr(data, "index", None), pd.MultiIndex):
        parts = [function(part) for _, part in data.groupby(level=0, sort=False)]
        return pd.concat(parts)
    if isinstance(data, np.ndarray) and data.ndim == 3:
        return np.stack([function(item) for item in data])
    if holds_series(data):
        return [function(item) for item in data]
    return function(data)


def _with_frequency(item: Any) -> Any:
    """Dates that say how they go on, which a few of them may not show."""
    index = getattr(item, "index", None)
    if not isinstance(index, pd.DatetimeIndex) or index.freq is not None:
        return item
    return item.set_axis(pd.DatetimeIndex(index, freq="infer"))


def columns_of(data: Any, names: list[Any]) -> Any:
    """Some of the columns of each series, by name or, in arrays, by position."""
    at = list(names)
    return _each(data, lambda x: x[at] if hasattr(x, "columns") else x[:, at])


def describe_series(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about series.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    history = read_series(X, WHO, "X")
    lengths = [len(values) for values in history.values]
    least, most = min(lengths), max(lengths)
    size = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    fact = f"{len(history):,} series of {size} values" if history.panel else ""
    return [fact or f"series of {size} values"], []


def season_missing(rows: SeriesRows, y: Any, settings: dict[str, Any]) -> str:
    """Say why a seasonal forecast is that of another model."""
    seen = season_of(rows.history, settings["season"])
    return "" if seen else "no season is seen; season=... gives one"


def season_of(history: KnownSeries, season: Any) -> int | None:
    """The season that is given, or that is seen in the whole series."""
    return find_season(history) if season == "auto" else season


def rolling_splits(
    rows: SeriesRows, cv: int, horizon: int, notes: list[str]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits at the origins of `Forecaster.backtest`."""
    n = len(rows)
    if cv < 1:
        raise ValueError(f"compare(cv={cv}): cv must be at least 1 origin")
    back = origins(f"compare(cv={cv}, horizon={horizon})", n, horizon, cv)
    if (first := n - back[0]) < 2 * horizon:
        notes.append(
            f"the first origin has only {first} of {n} values before it: a smaller "
            "horizon or cv leaves more"
        )
    if len(back) > 1 and back[0] - back[1] < horizon:
        notes.append(
            f"the origins are {back[0] - back[1]} steps apart, less than the horizon: "
            "the same values are forecast more than once"
        )
    at = [n - distance for distance in back]
    return [(np.arange(o), np.arange(o, o + horizon)) for o in at]


def check_splits(splits: list[tuple[np.ndarray, np.ndarray]], cv: Any) -> None:
    """Refuse splits that are no past and what follows it."""
    for past, future in splits:
        joined = np.concatenate([past, future])
        if not len(past) or not len(future) or (np.diff(joined) != 1).any():
            raise ValueError(
                f"compare(cv={cv!r:.60}): each split of a series must be some of its "
                "values and those that follow them: give a number of origins, or "
                "TimeSeriesSplit"
            )


def forecast_times(model: Any, method: str, X: Any) -> Any:
    """Ask a forecaster for the times that a part of a series holds."""
    n = min(map(len, read_series(X, WHO, "X").values))
    names = getattr(model, "exogenous", None)
    ask = getattr(model, method)
    return ask(n, columns_of(X, names)) if names else ask(n)


@dataclass(frozen=True)
class ForecastScore:
    """A mean error of forecasts as a scorer: its negative.

    Parameters
    ----------
    of : callable
        ``of(true, forecast, before)`` of one series, arrays (n_steps, n_channels), and
        (n_times, n_channels) of what was learned from.
    """

    of: Callable[[np.ndarray, np.ndarray, np.ndarray], float]

    def __call__(self, measured: Any, X: Any, y: Any = None) -> float:
        names = getattr(measured.model_, "exogenous", None)

        def values(data: Any) -> list[np.ndarray]:
            history = read_series(data, WHO, "X")
            return (history.split(list(names), WHO) if names else history).values

        truths, seen = values(X), values(measured.seen_)
        given = measured.predict(X)
        forecasts = read_series(given, "its forecast", "it").values
        shapes = [[each.shape for each in found] for found in (forecasts, truths)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"its forecast has shape {shapes[0][0]}, but {shapes[1][0]} is asked"
            )
        each = zip(truths, forecasts, seen)
        return -float(np.mean([self.of(*parts) for parts in each]))


def _mase(true: np.ndarray, forecast: np.ndarray, before: np.ndarray) -> float:
    return float((np.abs(true - forecast).mean(0) / naive_error([before])).mean())


def _mae(true: np.ndarray, forecast: np.ndarray, before: np.ndarray) -> float:
    return float(np.abs(true - forecast).mean())


def _rmse(true: np.ndarray, forecast: np.ndarray, before: np.ndarray) -> float:
    return float(np.sqrt(np.square(true - forecast).mean()))


def _smape(true: np.ndarray, forecast: np.ndarray, before: np.ndarray) -> float:
    size, error = np.abs(true) + np.abs(forecast), np.abs(true - forecast)
    return float(200 * (error / np.where(size > 0, size, 1.0)).mean())


# The first is the main one.
FORECAST_SCORES = {
    "mase": ForecastScore(_mase),
    "rmse": ForecastScore(_rmse),
    "mae": ForecastScore(_mae),
    "smape": ForecastScore(_smape),
}

__all__ = [
    "FORECAST_SCORES",
    "ForecastScore",
    "SeriesRows",
    "check_splits",
    "columns_of",
    "describe_series",
    "forecast_times",
    "rolling_splits",
    "season_missing",
    "season_of",
]
