"""The task of forecasting: what a series is made of, and what comes after it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._attempt import AtomicFit
from sknets._available import available_unless
from sknets._backtest import Backtest, backtest
from sknets._engine.callbacks import with_callbacks
from sknets._engine.device import (
    as_tensor,
    compute_dtype,
    limited_threads,
    resolve_device,
)
from sknets._engine.moments import Moments
from sknets._estimator import Estimator
from sknets._inputs.reader import Learned
from sknets._inputs.sequences import SequenceData
from sknets._inputs.series import KnownSeries, Series, read_exogenous, read_future
from sknets._inputs.timelines import read_steps, steps_after
from sknets._inputs.windows import (
    Treatment,
    Windows,
    check_lengths,
    check_values,
    cut_windows,
    moments,
    naive_error,
    scaled,
)
from sknets._losses import KnownSquaredError
from sknets._params import param
from sknets._rolling import check_share, choose, interval_widths, twin
from sknets._scores import KnownR2

# What a member does not share with the one it belongs to.
_OF_MEMBERS = (
    *(field.name for field in fields(Treatment)),
    *("n_ensemble", "intervals", "callbacks", "checkpoint", "verbose", "random_state"),
)


class Forecaster(Estimator):
    """Task of forecasting a series, or several, from their own past.

    A subclass gives ``_build()``: a module that maps windows (B, steps, n_inputs) to
    (B, horizon * n_channels), levels, where ``strategy_`` is "direct"; where it is
    "recursive" to (B, window * n_channels), the next value after each step, and that
    has ``roll(x, n_steps)``, (B, n_steps, n_channels), each step from those before.
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Series,)
    n_channels_ = Learned()
    channel_names_ = Learned()
    n_exogenous_ = Learned()
    exogenous_names_ = Learned()
    _task: ClassVar[str] = "forecasting"

    horizon: int = param(default=12, at_least=1)
    window: int | Literal["auto"] = param(default="auto", at_least=1)
    strategy: Literal["auto", "direct", "recursive"] = param(default="auto")
    transformation: Literal["auto", "log", "sqrt"] | None = param(default="auto")
    difference: Literal["auto", "first", "seasonal", "both"] | None = param(
        default="auto"
    )
    season: int | Literal["auto"] | None = param(default="auto", at_least=2)
    n_ensemble: int = param(default=2, at_least=1)
    intervals: bool = param(default=True)
    exogenous: list[Any] | None = param(default=None)

    @with_callbacks
    def fit(self, y: Any, X: Any = None) -> Self:
        """Learn to forecast a series.

        Parameters
        ----------
        y : array-like of shape (n_times,) or (n_times, n_channels), or a panel
            The values in the order of time. See the notes of the class.
        X : array-like of shape (n_times, n_exogenous), or a panel, default=None
            Exogenous columns of y (n_times,), known in the future too: at the times of
            y, by the index if both have one. Columns of y itself are named by the
            parameter ``exogenous``, as several channels and cross-validation need it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN, for too short a series, for an index
            that is not in the order of time or has gaps, for an X with one axis or
            beside a y with two.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._train_all("_fit", y, X, goes_on=self.warm_start)

    @available_unless("_fits_whole")
    def partial_fit(self, y: Any, X: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The choices and the intervals are those of the first call; scales are those of
        all series given, until the first comes again (in a panel, each series' own).
        Forecasts start from the end of the last series given.

        Parameters
        ----------
        y, X
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._train_all("_partial_fit", y, X, goes_on=True)

    def predict(
        self,
        horizon: Any = None,
        X_future: Any = None,
        *,
        fh: Any = None,
        y: Any = None,
        X: Any = None,
    ) -> Any:
        """Forecast what follows.

        Parameters
        ----------
        horizon : int, list of int or dates, default=None
            How many steps, or which ones (1 is the first after the end), or the dates
            of these (a DatetimeIndex, a PeriodIndex, a list of timestamps or strings);
            None stands for the parameter ``horizon``. Beyond it, "direct" goes on block
            by block, each from the forecasts before.
        X_future : array-like of shape (n_steps, n_exogenous), default=None
            The exogenous columns of all steps up to the last one asked for, if `fit`
            had some. By its index a frame may be longer.
        fh : default=None
            Another name of ``horizon``, the one that sktime has; a whole number is how
            many steps, not that step alone.
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
            For a horizon below 1 or dates that are no steps, for both ``horizon`` and
            ``fh``, for exogenous columns that are missing, of other names or order, or
            lack a row, for a series too short to read.
        """
        return self._bands(*self._ask(horizon, X_future, fh, y, X), [0.0])[0]

    def predict_interval(
        self,
        horizon: Any = None,
        X_future: Any = None,
        *,
        coverage: Any = 0.9,
        fh: Any = None,
        y: Any = None,
        X: Any = None,
    ) -> Any:
        """Forecast between which values the future will be, so often.

        Parameters
        ----------
        horizon, X_future, fh, y, X
            As in `predict`; no step beyond the parameter ``horizon``.
        coverage : float or sequence of float, default=0.9
            The share of future values that shall be in between, step by step.

        Returns
        -------
        lower, upper : like y
            As `predict` returns them; of several shares a dict of such pairs.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `predict`; for a step beyond ``horizon``; after a fit without
            ``intervals``.
        """
        asked = self._ask(horizon, X_future, fh, y, X)
        found = {}
        for share in [coverage] if np.ndim(coverage) == 0 else coverage:
            check_share(f"{type(self).__name__}.predict_interval", "coverage", share)
            found[share] = tuple(self._bands(*asked, [-share, share]))
        return found if np.ndim(coverage) else found[coverage]

    def predict_quantiles(
        self,
        horizon: Any = None,
        X_future: Any = None,
        *,
        quantiles: Any = (0.1, 0.5, 0.9),
        fh: Any = None,
        y: Any = None,
        X: Any = None,
    ) -> Any:
        """Forecast the values below which the future will be, so often.

        Parameters
        ----------
        horizon, X_future, fh, y, X
            As in `predict_interval`.
        quantiles : float or sequence of float, default=(0.1, 0.5, 0.9)
            0.5 is the forecast itself, two that add up to 1 are the ends of an
            interval: errors above and below it are taken to be alike.

        Returns
        -------
        forecasts : dict
            For each quantile what `predict` would return; that alone of a single one.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `predict_interval`.
        """
        asked = self._ask(horizon, X_future, fh, y, X)
        shares = [quantiles] if np.ndim(quantiles) == 0 else list(quantiles)
        for share in shares:
            check_share(f"{type(self).__name__}.predict_quantiles", "quantiles", share)
        bands = self._bands(*asked, [2 * share - 1 for share in shares])
        return dict(zip(shares, bands)) if np.ndim(quantiles) else bands[0]

    def score(self, y: Any, X: Any = None) -> float:
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
        read_exogenous(self.reader_, X, history, reset=False)
        if history.panel:
            return self._score_panel(history)
        if self.panel_:
            raise ValueError(f"{owner}.score: y is one series, but fit had a panel")
        steps = np.arange(1, len(history.values[0]) + 1)
        line = self.history_.timelines[0]
        if line["kind"] and history.timelines[0]["kind"]:
            index = history.index(0)
            found = steps_after(line, index)
            if found is None:
                raise ValueError(
                    f"{owner}.score: y begins at {index[0]}, but it must follow the "
                    f"fitted series, which ends at {line['last']}: split in the order "
                    "of time, as TimeSeriesSplit does"
                )
            steps = found
        if history.exogenous is not None and steps[0] > 1:
            raise ValueError(
                f"{owner}.score: y begins {steps[0]} steps after the end of the fitted "
                "series, but exogenous columns are needed from the first step on"
            )
        z = self._forecast(self.history_, history.exogenous, int(steps.max()))[0]
        forecast = self.treatment_.inverse(z)[steps - 1]
        error = np.abs(forecast - history.values[0]).mean(0)
        return -float((error / self.naive_error_).mean())

    def _score_panel(self, history: KnownSeries) -> float:
        rows, h = list(range(len(history))), self.horizon_
        ends = [len(values) - h for values in history.values]
        past = history.only(rows, ends)
        self._check_history(past)
        found = self._forecast(past, history.after(rows, ends, h), h)
        scores = []
        for z, values, end in zip(found, history.values, ends):
            error = np.abs(self.treatment_.inverse(z) - values[end:]).mean(0)
            scores.append((error / naive_error([values[:end]])).mean())
        return -float(np.mean(scores))

    def backtest(
        self,
        y: Any,
        X: Any = None,
        *,
        horizon: int | None = None,
        n_origins: int = 5,
        step: int | None = None,
        initial: int | None = None,
        refit: bool = True,
        coverage: float | None = None,
    ) -> Backtest:
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
            Steps from one origin to the next; None stands for what ``initial`` and
            ``n_origins`` leave, without ``initial`` for ``horizon`` or as many as leave
            half of the series before the first origin.
        initial : int, default=None
            How many values the first origin has before it; with ``step`` it decides how
            many origins there are.
        refit : bool, default=True
            Whether a clone learns anew at each origin, its choices included; else one
            learns at the first and forecasts from all of them, in a fraction of the
            time.
        coverage : float, default=None
            Of intervals to forecast and count too.

        Returns
        -------
        result : Backtest
            ``result.table`` is a DataFrame with a row for each origin and step,
            ``result.metrics`` and ``result.by_step`` say how good they are.

        Warns
        -----
        UserWarning
            Where the first origin has little before it: less than two horizons, or
            without ``refit`` less than half of the series.
        """
        asked = horizon, n_origins, step, initial, refit, coverage
        return backtest(self, y, X, *asked)

    # -- for the engine ------------------------------------------------------------

    @property
    def _n_threads(self) -> int | None:
        """How many threads train; None leaves it to torch."""
        return None

    @property
    def treatment_(self) -> Treatment:
        """How the series is treated by ``net_``."""
        names = [f"{field.name}_" for field in fields(Treatment)]
        return Treatment(*(getattr(self, name) for name in names))

    def _train_all(self, how: str, y: Any, X: Any, goes_on: bool) -> Any:
        with limited_threads(self._n_threads), AtomicFit(self) as attempt:
            if goes_on and self.__sklearn_is_fitted__():
                attempt.snapshot()
            getattr(self, how)(y, X)
            # On copies: a failure leaves the members as they were.
            members = deepcopy(self.members_)
            for member in members:
                own = {name: getattr(member, name) for name in _OF_MEMBERS}
                member.set_params(**{**self.get_params(deep=False), **own})
                getattr(member, how)(y, X)
            self.members_: list[Any] = members
        return self

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        device = resolve_device(self.device, type(self).__name__)
        history = self._check_input(X, reset=bool(reset))
        read_exogenous(self.reader_, y, history, reset=bool(reset))
        self._meet(reset, history.values, history.exogenous)
        if reset:
            self.horizon_, self.panel_ = self.horizon, bool(history.panel)
            if self.transformation != "auto":
                check_values(type(self).__name__, history, self.transformation)
            used, self.selection_, self.held_out_errors_ = choose(self, history)
            for name, value in asdict(used[0]).items():
                setattr(self, f"{name}_", value)
            self.members_ = [twin(self, each, i) for i, each in enumerate(used[1:], 1)]
        self._check_history(history, more=1)
        windows = self._windows(history, reset)
        dtype = compute_dtype(self.precision, torch.float32, device)
        samples = windows.samples(device, dtype if reset else self.net_.dtype)
        samples.windows = windows
        return samples

    def _check_history(self, history: KnownSeries, more: int = 0) -> None:
        """Refuse what this treatment cannot go on from; ``more`` is there to learn."""
        check_lengths(type(self).__name__, history, self.treatment_, more)

    def _windows(self, history: KnownSeries, reset: bool | None) -> Windows:
        treatment, exogenous = self.treatment_, history.exogenous
        differences = [treatment.differences(values) for values in history.values]
        adds = reset or (reset is None and self.chunks_.grows)
        if self.panel_:
            self.moments_ = [*map(moments, differences)]
        elif adds:
            self.moments_ = [self._of_all("differences", *differences)]
        if reset:
            self.naive_error_ = naive_error(history.values)
        if adds and exogenous is not None:
            joined = np.concatenate([*map(treatment.differencing, exogenous)])
            self.x_mean_, self.x_scale_ = self._of_all("x", joined)
        windows = cut_windows(
            treatment,
            [scaled(d, *own) for d, own in zip(differences, self.moments_)],
            None if exogenous is None else [*map(self._exogenous, exogenous)],
            self.horizon_,
            self.validation_fraction if self.early_stopping else 0.0,
        )
        if adds:
            size = np.sqrt(np.nanmean(np.square(windows.y.numpy()), axis=(0, 1)))
            own = Moments(0 * size, size, len(windows.y), len(windows.y))
            size = self.chunks_.add("y", own).deviation
            self.target_scale_ = np.where(size > 0, size, 1.0)
        windows.y = windows.y / as_tensor(self.target_scale_)
        self.history_ = history.last(treatment.length)
        return windows

    def _of_all(self, name: str, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of these rows and those of the chunks before."""
        known = self.chunks_.add(name, Moments(*moments(d), len(d), len(d)))
        return known.mean, known.deviation

    def _rescale(self, module: Any, before: dict[str, Any]) -> None:
        old = *before["moments_"][0], before["target_scale_"]
        new = *self.moments_[0], self.target_scale_
        if not self.panel_:
            module.rescale(*self.treatment_.rescaling(old, new, self.horizon_))

    def _exogenous(self, e: np.ndarray) -> np.ndarray:
        return scaled(self.treatment_.differencing(e), self.x_mean_, self.x_scale_)

    def _moments(self, history: KnownSeries) -> list[tuple[np.ndarray, np.ndarray]]:
        """What differences are centred and scaled by: in a panel, each's own past."""
        if not self.panel_ or history is self.history_:
            return self.moments_
        return [moments(self.treatment_.differences(v)) for v in history.values]

    def _units(self, history: KnownSeries) -> Any:
        """What errors of different series are compared in: (n_series, 1, C)."""
        if not self.panel_:
            return np.ones((1, 1, self.n_channels_))
        scales = np.stack([scale for _, scale in self._moments(history)])[:, None]
        return np.where(scales > 0, scales, 1.0)

    def _start(self, y: Any, X: Any) -> KnownSeries:
        """The series to go on from."""
        if y is None:
            if X is not None:
                raise ValueError(
                    f"{type(self).__name__}: X belongs to a y to go on from; of the "
                    "future it is X_future"
                )
            return self.history_
        history = self._check_input(y, reset=False)
        if bool(history.panel) != self.panel_:
            kinds = "a panel", "one series"
            given, had = kinds if history.panel else kinds[::-1]
            raise ValueError(f"{type(self).__name__}: y is {given}, but fit had {had}")
        for each in (self, *self.members_):
            each._check_history(history)
        read_exogenous(self.reader_, X, history, reset=False)
        return history

    def _ask(
        self, horizon: Any, X_future: Any, fh: Any, y: Any, X: Any
    ) -> tuple[Any, Any, Any]:
        """The series to go on from, the exogenous values to come, and the steps."""
        check_is_fitted(self)
        history = self._start(y, X)
        if horizon is None and fh is None:
            horizon = self.horizon_
        steps = read_steps(type(self).__name__, horizon, history.timelines, fh)
        future = read_future(self.reader_, X_future, int(steps.max()), history)
        return history, future, steps

    def _bands(
        self, history: KnownSeries, future: Any, steps: np.ndarray, levels: list[float]
    ) -> list[Any]:
        """Forecasts, each so far off that this share of errors is smaller.

        Below the forecast where a level is negative; of 0 it is the forecast itself.
        """
        widths = [interval_widths(self, steps, level) for level in levels]
        found = self._forecast(history, future, int(steps.max()))[:, steps - 1]
        units = self._units(history)
        each = [self.treatment_.inverse(found + width * units) for width in widths]
        return [history.wrap(list(one), steps) for one in each]

    def _forecast(self, history: KnownSeries, future: Any, n_steps: int) -> np.ndarray:
        """Transformed forecasts (n_series, n_steps, n_channels): the members' mean."""
        own = history is self.history_
        found = [
            each._paths(each.history_ if own else history, future, n_steps)
            for each in (self, *self.members_)
        ]
        return np.mean(found, axis=0)

    def _paths(self, history: KnownSeries, future: Any, n_steps: int) -> np.ndarray:
        """What this network alone forecasts."""
        treatment, module = self.treatment_, self.net_.module_
        window, differencing = treatment.window, treatment.differencing
        both = zip(*self._moments(history))
        mean, scale = (np.stack(each)[:, None] for each in both)
        z = np.stack(
            [treatment.transform(v[-treatment.length :]) for v in history.values]
        )
        known = None
        if future is not None:
            past = [e[-treatment.length :] for e in history.exogenous or []]
            joined = [np.concatenate(both) for both in zip(past, future)]
            known = np.stack([*map(self._exogenous, joined)])
        start, direct = z.shape[1], treatment.strategy == "direct"
        block = self.horizon_ if direct else n_steps
        while (done := z.shape[1] - start) < n_steps:
            x = scaled(differencing(z[:, -start:]), mean, scale)
            if known is not None:
                n = window + block - 1
                x = np.pad(x, ((0, 0), (0, block - 1), (0, 0)))
                e = known[:, done + 1 : done + 1 + n]
                e = np.pad(e, ((0, 0), (0, n - e.shape[1]), (0, 0)))
                x = np.concatenate([x, e], 2)
            run = module if direct else lambda b: module.roll(b.values, n_steps)
            out = self._collect(SequenceData(as_tensor(x)), run)
            d = out.reshape(len(z), block, -1).astype(np.float64) * self.target_scale_
            d = differencing.of_levels(d) if direct else d
            z = np.concatenate([z, differencing.integrate(z, d * scale + mean)], 1)
        return z[:, start : start + n_steps]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "net_state_" in state:
            state["members_"] = [each.__getstate__() for each in self.members_]
            state["history_"] = dict(vars(self.history_))
        return state

    def _restore(self, net_state: dict[str, Any]) -> None:
        members = [type(self)() for _ in self.members_]
        for member, state in zip(members, self.members_):
            member.__setstate__(state)
        self.members_, self.history_ = members, KnownSeries(**vars(self)["history_"])
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
            reason = "the series leave no window before the validation part"
            raise ValueError(self._refusal("early_stopping", reason))
        return *parts, seed

    def _criterion(self) -> nn.Module | None:
        return KnownSquaredError()

    def _score(self) -> Any:
        return KnownR2()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.target_tags.required = False
        return tags


__all__ = ["Backtest", "Forecaster"]
