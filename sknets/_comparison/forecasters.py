"""What forecasts are compared with: naive ones, smoothing, an autoregression.

All have the protocol of this library's own forecasters, ``fit(y)`` and
``predict(horizon, X_future)``, for one series or several.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknets._inputs.series import Series, read_exogenous, read_future
from sknets._inputs.timelines import read_steps
from sknets._params import Declared, param
from sknets._rolling import find_season
from sknets._warn import warn

HORIZON = 12
# An autoregression reads so many values, or more where a season is longer.
_LAGS = 12
# Smoothing learns the first season's values only where they are few.
_MOST_LEARNED = 24


class ChannelForecaster(Declared, BaseEstimator):
    """Base of forecasters that learn each channel of each series on its own.

    A subclass gives ``_learn(y, known)``, which returns a function of the number of
    steps and the exogenous columns to come.
    """

    horizon: int = param(default=HORIZON, at_least=1)
    season: int | Literal["auto"] | None = param(default="auto", at_least=2)
    exogenous: list[Any] | None = param(default=None)

    def fit(self, y: Any, X: None = None) -> Self:
        """Learn from the series."""
        self._check_params()
        self.reader_ = Series.of(self)
        history = self.history_ = self.reader_.learn(y)
        read_exogenous(self.reader_, None, history, reset=True)
        season = find_season(history) if self.season == "auto" else self.season
        self.season_ = season
        known: Any = history.exogenous or [None] * len(history)
        self.forecasts_ = [
            [self._learn(column, e) for column in values.T]
            for values, e in zip(history.values, known)
        ]
        return self

    def predict(self, horizon: Any = None, X_future: Any = None) -> Any:
        """Forecast, in the kind of container that came."""
        history, asked = self.history_, self.horizon if horizon is None else horizon
        steps = read_steps(type(self).__name__, asked, history.timelines)
        n = int(steps.max())
        known: Any = read_future(self.reader_, X_future, n, history)
        found = [
            np.stack([forecast(n, e) for forecast in each], 1)[steps - 1]
            for each, e in zip(self.forecasts_, known or [None] * len(history))
        ]
        return history.wrap(found, steps)

    def _learn(self, y: np.ndarray, known: np.ndarray | None) -> Any:
        raise NotImplementedError

    def _refuse_short(self, y: np.ndarray, need: int) -> None:
        if len(y) < need:
            raise ValueError(
                f"{type(self).__name__}: y has {len(y)} values, but at least {need} "
                "are needed"
            )


class NaiveForecaster(ChannelForecaster):
    """The last value, the mean, the last value and the mean change, or a season ago."""

    is_baseline: ClassVar[bool] = True

    method: Literal["last", "mean", "drift", "season"] = param(default="last")

    def _learn(self, y: np.ndarray, known: np.ndarray | None) -> Any:
        change = 0.0
        if self.method == "mean":
            y = y.mean(keepdims=True)
        elif self.method == "drift":
            change = (y[-1] - y[0]) / (len(y) - 1)
        again = (self.season_ or 1) if self.method == "season" else 1
        self._refuse_short(y, again)
        y = y[-again:]
        return lambda n, e: np.resize(y, n) + change * np.arange(1, n + 1)


class ExponentialSmoothing(ChannelForecaster):
    """Holt and Winters' smoothing with a damped trend, by statsmodels.

    With a season that was seen twice, added or, of positive values, multiplied: that
    which fits better.
    """

    def _learn(self, y: np.ndarray, known: np.ndarray | None) -> Any:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing as Smoothing

        if (y == y[0]).all():
            return lambda n, e: np.full(n, y[0])
        unit, season = np.abs(y).max(), self.season_
        ways: list[str | None] = ["add", "mul"] if (y > 0).all() else ["add"]
        if season is None or len(y) < 2 * season:
            ways, season = [None], None
        few = (season or 0) <= _MOST_LEARNED
        start = "estimated" if few else "heuristic"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = [
                Smoothing(
                    y / unit,
                    trend="add",
                    damped_trend=True,
                    seasonal=way,
                    seasonal_periods=season,
                    initialization_method=start,
                ).fit()
                for way in ways
            ]
        best = min(fits, key=lambda fit: fit.sse)
        if not best.mle_retvals.success:
            warn("ExponentialSmoothing did not converge", ConvergenceWarning)
        return lambda n, e: unit * best.forecast(n)


class Autoregression(ChannelForecaster):
    """Ridge regression of a value's change on how the values before it differed.

    Shrunk to nothing it is a random walk with drift. Exogenous columns count at the
    time of the value and of the one before.
    """

    def _learn(self, y: np.ndarray, known: np.ndarray | None) -> Any:
        lags = min(max(_LAGS, (self.season_ or 0) + 1), len(y) // 3)
        lags = max(2, lags)
        self._refuse_short(y, lags + 2)
        unit = np.abs(y).max() or 1.0
        past = np.lib.stride_tricks.sliding_window_view(y / unit, lags + 1)
        x = past[:, :-2] - past[:, -2:-1]
        if known is not None:
            x = np.hstack([x, known[lags:], known[lags - 1 : -1]])
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
        ridge.fit(x, past[:, -1] - past[:, -2])

        def forecast(n: int, ahead: np.ndarray | None) -> np.ndarray:
            values = list(y[-lags:] / unit)
            if known is not None and ahead is not None:
                ahead = np.concatenate([known[-1:], ahead])
            for i in range(n):
                row = np.array(values[-lags:-1]) - values[-1]
                if ahead is not None:
                    row = np.concatenate([row, ahead[i + 1], ahead[i]])
                values.append(values[-1] + ridge.predict(row[None])[0])
            return unit * np.array(values[lags:])

        return forecast


__all__ = [
    "HORIZON",
    "Autoregression",
    "ChannelForecaster",
    "ExponentialSmoothing",
    "NaiveForecaster",
]
