"""The task of forecasting: what a series is made of, and what comes after it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.callback import with_callbacks
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._attempt import AllOrNothing
from sknets._backtest import Backtest, backtest
from sknets._engine.device import as_tensor, compute_dtype, resolve_device
from sknets._estimator import Estimator
from sknets._inputs.sequences import SequenceData
from sknets._inputs.series import (
    History,
    Series,
    read_exogenous,
    read_future,
    read_steps,
    steps_after,
)
from sknets._inputs.windows import TRANSFORMS, Differencing, Windows, cut_windows
from sknets._params import param
from sknets._rolling import choose, interval_widths
from sknets._scores import R2

# What a member does not share with the one it belongs to.
_OF_MEMBERS = (
    *("strategy", "transformation", "difference", "season", "window", "n_combined"),
    *("intervals", "callbacks", "checkpoint", "verbose", "random_state"),
)


class Forecaster(Estimator):
    """Task of forecasting a series, or several, from their own past.

    A subclass gives ``_build()``: a module that maps windows (B, steps, n_inputs) to
    (B, horizon * n_channels), levels, where ``strategy_`` is "direct"; where it is
    "recursive" to (B, window * n_channels), the next value after each step, and that
    has ``roll(x, n_steps)``, (B, n_steps, n_channels), each step from those before.
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Series,)
    _task: ClassVar[str] = "forecasting"

    horizon: int = param(default=12, at_least=1)
    window: int | Literal["auto"] = param(default="auto", at_least=1)
    strategy: Literal["auto", "direct", "recursive"] = param(default="auto")
    transformation: Literal["auto", "log", "sqrt"] | None = param(default="auto")
    difference: Literal["auto", "first", "seasonal", "both"] | None = param(
        default="auto"
    )
    season: int | Literal["auto"] | None = param(default="auto", at_least=2)
    n_combined: int = param(default=2, at_least=1)
    intervals: bool = param(default=True)

    @with_callbacks
    def fit(self, y, X=None):
        """Learn to forecast a series.

        Parameters
        ----------
        y : array-like of shape (n_times,) or (n_times, n_channels), or a panel
            The values in the order of time. See the notes of the class.
        X : array-like of shape (n_times, n_exogenous), or a panel, default=None
            Exogenous columns, known in the future too, at the same times.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN, for too short a series, for an index
            that is not in the order of time or has gaps.
        DivergenceError
            When the training loss is no longer finite.
        """
        with AllOrNothing(self) as attempt:
            if self.warm_start and self.__sklearn_is_fitted__():
                attempt.snapshot()
            self._fit(y, X)
            self._train_members("_fit", y, X)
        return self

    def partial_fit(self, y, X=None):
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The choices, the scales and the intervals are those of the first call. Forecasts
        start from the end of the last series given.

        Parameters
        ----------
        y, X
            As in `fit`.

        Returns
        -------
        self : object
        """
        with AllOrNothing(self) as attempt:
            if self.__sklearn_is_fitted__():
                attempt.snapshot()
            self._partial_fit(y, X)
            self._train_members("_partial_fit", y, X)
        return self

    def predict(self, horizon=None, X_future=None, *, y=None, X=None):
        """Forecast what follows.

        Parameters
        ----------
        horizon : int or list of int, default=None
            How many steps, or which ones (1 is the first after the end); None stands
            for the parameter ``horizon``. Beyond it, "direct" goes on block by block,
            each from the forecasts before.
        X_future : array-like of shape (n_steps, n_exogenous), default=None
            The exogenous columns of all steps up to the last one asked for; if `fit`
            had some.
        y : like that of `fit`, default=None
            The series to go on from, without learning from it; None stands for that of
            `fit`.
        X : like that of `fit`, default=None
            The exogenous columns of ``y``.

        Returns
        -------
        forecast : like y
            An array or, with the index continued, a Series or DataFrame; of a panel an
            object array, a dict or a frame of these, as it came.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a horizon below 1, for exogenous columns that are missing or of the
            wrong length, for a series too short to read.
        """
        check_is_fitted(self)
        history, past = self._start(y, X)
        steps = read_steps(self, horizon)
        future = read_future(self, X_future, int(steps.max()), history)
        found = self._forecast(history, past, future, int(steps.max()))
        return history.wrap([self._back(z)[steps - 1] for z in found], steps)

    def predict_interval(
        self, horizon=None, X_future=None, *, coverage=0.9, y=None, X=None
    ):
        """Forecast between which values the future will be, so often.

        Parameters
        ----------
        horizon, X_future, y, X
            As in `predict`; no step beyond the parameter ``horizon``.
        coverage : float, default=0.9
            The share of future values that shall be in between, step by step.

        Returns
        -------
        lower, upper : like y
            As `predict` returns them.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `predict`; for a step beyond ``horizon``; after a fit without
            ``intervals``.
        """
        check_is_fitted(self)
        history, past = self._start(y, X)
        steps = read_steps(self, horizon)
        widths = interval_widths(self, steps, coverage)
        future = read_future(self, X_future, int(steps.max()), history)
        found = self._forecast(history, past, future, int(steps.max()))
        bounds = []
        for sign in (-1, 1):
            each = [
                self._back(z[steps - 1] + sign * widths * s)
                for z, s in zip(found, self._scales(history))
            ]
            bounds.append(history.wrap(each, steps))
        return tuple(bounds)

    def score(self, y, X=None):
        """Return how good forecasts of the values after the fitted series are.

        Parameters
        ----------
        y : like that of `fit`
            What followed: forecast from the end of the fitted series. With dates, what
            follows after a gap counts as such. Of a panel instead whole series, known
            to `fit` or not: the last ``horizon`` values of each are forecast from those
            before.
        X : like that of `fit`, default=None
            The exogenous columns at the same times.

        Returns
        -------
        score : float
            The negative mean absolute scaled error: the mean absolute error divided by
            that of taking each value of the fitted series for the next, a mean over
            channels. 0 is perfect, and the higher the better, as searches need it.
        """
        check_is_fitted(self)
        owner = type(self).__name__
        history = self._check_input(y, reset=False)
        if history.panel:
            return self._score_panel(history, X)
        if self.panel_:
            raise ValueError(f"{owner}.score: y is one series, but fit had a panel")
        steps = np.arange(1, len(history.values[0]) + 1)
        line = self.history_["timelines"][0]
        if line["kind"] and hasattr(y, "index"):
            found = steps_after(line, y.index)
            if found is None:
                raise ValueError(
                    f"{owner}.score: y begins at {y.index[0]}, but it must follow the "
                    f"fitted series, which ends at {line['last']}: split in the order "
                    "of time, as TimeSeriesSplit does"
                )
            steps = found
        forecast = np.asarray(self.predict(steps, X)).reshape(len(steps), -1)
        error = np.abs(forecast - history.values[0]).mean(0)
        return -float((error / self.naive_error_).mean())

    def _score_panel(self, history: History, X: Any) -> float:
        exogenous = read_exogenous(self, X, history, reset=False)
        h, n = self.horizon_, range(len(history))
        ends = [len(v) - h for v in history.values]
        past = history.only(list(n), ends)
        before = after = None
        if exogenous is not None:
            before = [e[:end] for e, end in zip(exogenous, ends)]
            after = [e[end:] for e, end in zip(exogenous, ends)]
        self._check_length(past)
        found = self._forecast(past, before, after, h)
        scores = []
        for z, values, end in zip(found, history.values, ends):
            naive = np.abs(np.diff(values[:end], axis=0)).mean(0)
            error = np.abs(self._back(z) - values[end:]).mean(0)
            scores.append((error / np.where(naive > 0, naive, 1)).mean())
        return -float(np.mean(scores))

    def backtest(
        self,
        y,
        X=None,
        *,
        horizon=None,
        n_origins=5,
        step=None,
        initial=None,
        refit=False,
        coverage=None,
    ):
        """Forecast the past, from one origin after the other, never looking ahead.

        The estimator itself stays as it is, fitted or not: clones of it learn.

        Parameters
        ----------
        y, X
            As in `fit`.
        horizon : int, default=None
            Steps from each origin; None stands for the parameter ``horizon``.
        n_origins : int, default=5
            How many origins; the last one is ``horizon`` steps before the end.
        step : int, default=None
            Steps from one origin to the next; None stands for ``horizon``, or for what
            ``initial`` and ``n_origins`` leave.
        initial : int, default=None
            How many values the first origin has before it; with ``step`` it decides how
            many origins there are.
        refit : bool, default=False
            Whether a clone learns anew at each origin; else one learns at the first and
            forecasts from all of them.
        coverage : float, default=None
            Of intervals to forecast and count too.

        Returns
        -------
        result : Backtest
            ``result.table`` is a DataFrame with a row for each origin and step,
            ``result.metrics`` and ``result.by_step`` say how good they are.
        """
        return backtest(
            self,
            *(y, X, horizon, n_origins, step, initial, refit, coverage),
        )

    # -- for the engine ------------------------------------------------------------

    def _train_members(self, how: str, y: Any, X: Any) -> None:
        """Train the other members as this one was, on copies: a failure leaves them."""
        members = deepcopy(self.members_)
        for member in members:
            own = {name: getattr(member, name) for name in _OF_MEMBERS}
            member.set_params(**{**self.get_params(deep=False), **own})
            getattr(member, how)(y, X)
        self.members_: list[Any] = members

    @property
    def _direct(self) -> bool:
        return self.strategy_ == "direct"

    @property
    def _differencing(self) -> Differencing:
        lags = {None: (), "first": (1,), "seasonal": (self.season_,)}
        return Differencing(lags.get(self.difference_, (1, self.season_)))

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        device = resolve_device(self.device, type(self).__name__)
        history = self._check_input(X, reset=reset)
        exogenous = read_exogenous(self, y, history, reset=reset)
        if reset:
            self.horizon_, self.panel_ = self.horizon, bool(history.panel)
            choose(self, history, exogenous)
        self._check_length(history, training=True)
        windows = self._windows(history, exogenous, reset)
        self._remember(history, exogenous)
        dtype = compute_dtype(self.precision, torch.float32, device)
        samples = windows.samples(device, dtype if reset else self.net_.dtype)
        samples.windows = windows
        return samples

    def _check_length(self, history: History, training: bool = False) -> None:
        need = self.window_ + self._differencing.reach + int(training)
        for i, values in enumerate(history.values):
            if len(values) < need:
                name = f"y[{history.keys[i]!r}]" if history.panel else "y"
                raise ValueError(
                    f"{type(self).__name__}: {name} has {len(values)} values, but a "
                    f"window of {self.window_} with difference={self.difference_!r} "
                    f"needs at least {need}: give more of it or a smaller window"
                )

    def _there(self, values: np.ndarray) -> np.ndarray:
        function, _, holds = TRANSFORMS[self.transformation_]
        if not holds(values).all():
            raise ValueError(
                f"{type(self).__name__}: y has values as low as {values.min():g}, of "
                f"which there is no {self.transformation_}: set transformation=None"
            )
        return function(values)

    def _back(self, z: np.ndarray) -> np.ndarray:
        return TRANSFORMS[self.transformation_][1](z)

    def _windows(self, history: History, exogenous: Any, reset: bool) -> Windows:
        differencing = self._differencing
        differences = [differencing(self._there(v)) for v in history.values]
        if reset:
            joined = np.concatenate(differences)
            self.y_mean_, self.y_scale_ = joined.mean(0), _scale(joined)
            naive = [np.abs(np.diff(v, axis=0)) for v in history.values]
            error = np.concatenate(naive).mean(0)
            self.naive_error_ = np.where(error > 0, error, 1.0)
            if exogenous is not None:
                joined = np.concatenate([differencing(e) for e in exogenous])
                self.x_mean_, self.x_scale_ = joined.mean(0), _scale(joined)
        if exogenous is not None:
            exogenous = [self._exogenous(e) for e in exogenous]
        windows = cut_windows(
            [
                (d - m) / s
                for d, (m, s) in zip(differences, map(self._own, differences))
            ],
            exogenous,
            self.window_,
            self.horizon_,
            not self._direct,
            differencing,
            self.validation_fraction if self.early_stopping else 0.0,
        )
        if reset:
            size = np.sqrt(np.nanmean(np.square(windows.y.numpy()), axis=(0, 1)))
            self.target_scale_ = np.where(size > 0, size, 1.0)
        windows.y = windows.y / as_tensor(self.target_scale_)
        return windows

    def _exogenous(self, e: np.ndarray) -> np.ndarray:
        return (self._differencing(e) - self.x_mean_) / self.x_scale_

    def _own(self, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a series is centred and scaled by: in a panel, its own past."""
        if self.panel_:
            return d.mean(0), _scale(d)
        return self.y_mean_, self.y_scale_

    def _scales(self, history: History) -> list[np.ndarray]:
        differencing = self._differencing
        if history.values is self.history_["values"]:
            return [s for _, s in self.statistics_]
        return [self._own(differencing(self._there(v)))[1] for v in history.values]

    def _remember(self, history: History, exogenous: Any) -> None:
        """The ends of the series, from which forecasts go on."""
        differencing = self._differencing
        differences = [differencing(self._there(v)) for v in history.values]
        self.statistics_ = [self._own(d) for d in differences]
        n = self.window_ + differencing.reach
        self.history_ = {**vars(history), "values": [v[-n:] for v in history.values]}
        self.past_exogenous_ = None
        if exogenous is not None:
            self.past_exogenous_ = [e[-n:] for e in exogenous]

    def _start(self, y: Any, X: Any) -> tuple[History, Any]:
        """The series to go on from."""
        if y is None:
            if X is not None:
                raise ValueError(
                    f"{type(self).__name__}: X belongs to a y to go on from; of the "
                    "future it is X_future"
                )
            return History(**self.history_), self.past_exogenous_
        history = self._check_input(y, reset=False)
        if bool(history.panel) != self.panel_:
            kinds = "a panel", "one series"
            given, had = kinds if history.panel else kinds[::-1]
            raise ValueError(f"{type(self).__name__}: y is {given}, but fit had {had}")
        for each in (self, *self.members_):
            each._check_length(history)
        return history, read_exogenous(self, X, history, reset=False)

    def _forecast(
        self, history: History, past: Any, future: Any, n_steps: int
    ) -> np.ndarray:
        """Transformed forecasts (n_series, n_steps, n_channels): the members' mean."""
        found = [self._forecast_alone(history, past, future, n_steps)]
        for member in self.members_:
            given = history, past
            if history.values is self.history_["values"]:
                given = member._start(None, None)
            found.append(member._forecast_alone(*given, future, n_steps))
        return np.mean(found, axis=0)

    def _forecast_alone(
        self, history: History, past: Any, future: Any, n_steps: int
    ) -> np.ndarray:
        differencing = self._differencing
        n = self.window_ + differencing.reach
        z = [self._there(v) for v in history.values]
        if history.values is self.history_["values"]:
            statistics = self.statistics_
        else:
            statistics = [self._own(differencing(each)) for each in z]
        exogenous = None
        if past is not None:
            both = [np.concatenate([p[-n:], f]) for p, f in zip(past, future)]
            exogenous = np.stack([self._exogenous(e) for e in both])
        mean, scale = (np.stack(each)[:, None] for each in zip(*statistics))
        return self._paths(
            np.stack([each[-n:] for each in z]), exogenous, mean, scale, n_steps
        )

    def _paths(
        self,
        z: np.ndarray,
        exogenous: np.ndarray | None,
        mean: np.ndarray,
        scale: np.ndarray,
        n_steps: int,
    ) -> np.ndarray:
        """What follows z (B, window + reach, C), as (B, n_steps, C)."""
        differencing, module = self._differencing, self.net_.module_
        start, window = z.shape[1], self.window_
        block = self.horizon_ if self._direct else n_steps
        while (done := z.shape[1] - start) < n_steps:
            x = (differencing(z[:, z.shape[1] - start :]) - mean) / scale
            ahead = block - 1 if exogenous is not None else 0
            if exogenous is not None:
                x = np.pad(x, ((0, 0), (0, ahead), (0, 0)))
                e = exogenous[:, done + 1 : done + 1 + window + ahead]
                e = np.pad(e, ((0, 0), (0, window + ahead - e.shape[1]), (0, 0)))
                x = np.concatenate([x, e], 2)
            steps = SequenceData(as_tensor(x))
            if self._direct:
                out = self._collect(steps, module).reshape(len(z), block, -1)
                d = out.astype(np.float64) * self.target_scale_
                d = differencing.of_levels(d)
            else:
                out = self._collect(steps, lambda b: module.roll(b.values, n_steps))
                d = out.astype(np.float64) * self.target_scale_
            z = np.concatenate([z, differencing.integrate(z, d * scale + mean)], 1)
        return z[:, start : start + n_steps]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "members_" in state:
            state["members_"] = [each.__getstate__() for each in self.members_]
        return state

    def _restore(self, net_state: dict[str, Any]) -> None:
        members = [type(self)() for _ in self.members_]
        for member, state in zip(members, self.members_):
            member.__setstate__(state)
        self.members_ = members
        super()._restore(net_state)

    def _split(self, samples, random):
        """Held out is the end of each series, never random windows."""
        seed = int(random.randint(np.iinfo(np.int32).max))
        windows = samples.__dict__.pop("windows")
        if not self.early_stopping:
            return samples, None, seed
        device, dtype = samples.x.device, samples.x.dtype
        parts = [windows.samples(device, dtype, late) for late in (False, True)]
        if not len(parts[0]):
            sentence = "the series leave no window before the validation part"
            raise ValueError(self._refusal("early_stopping", sentence))
        return *parts, seed

    def _criterion(self) -> nn.Module | None:
        return KnownSquaredError()

    def _score(self) -> Any:
        return KnownR2()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        return tags


class KnownSquaredError(nn.Module):
    """Mean squared error of the targets that are known, those that are not NaN."""

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        known = ~target.isnan()
        error = (output - target.nan_to_num()).square() * known
        return error.sum() / known.sum()


class KnownR2(R2):
    """R² of the scaled targets that are known."""

    def update(self, output: Any, y: Any, weight: Any) -> None:
        known = ~y.isnan()
        super().update(output[known][:, None], y[known][:, None], None)


def _scale(values: np.ndarray) -> np.ndarray:
    scale = values.std(0)
    return np.where(scale > 1e-9 * np.abs(values).max(0, initial=0), scale, 1.0)


__all__ = ["Backtest", "Forecaster"]
