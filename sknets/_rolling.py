"""What a forecaster learns from forecasting its own past: choices and intervals.

Everything here is seen by a model that was trained on what came before.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sknets._engine.net import DivergenceError
from sknets._inputs.series import History
from sknets._inputs.windows import TRANSFORMS

# Origins of the held-out part that are forecast from: more say hardly more.
_ORIGINS = 64
_WINDOW = 24
_AGAIN, _ROUNDS = 4, 3  # so many of the best are tried so often
_MARGIN = 0.8  # of the error without a transform: less may be luck
_CHOICES = ("strategy", "transformation", "difference")


@dataclass
class Trial:
    """What forecasts of the last part of a series were worth.

    Attributes
    ----------
    error : float
        The mean absolute error in units of that of taking each value for the next.
    transformed : ndarray of shape (n_origins, horizon, n_channels)
        Errors of the transformed values, NaN where there is no forecast or no value.
    scales : ndarray of shape (n_origins, 1, n_channels)
        What the differences of each origin's series are scaled by.
    """

    error: float
    transformed: np.ndarray
    scales: np.ndarray


def choose(estimator: Any, history: History, exogenous: Any) -> None:
    """Set how the series is treated, by forecasts of its own last part.

    Learned: ``season_``, ``window_``, ``strategy_``, ``transformation_``,
    ``difference_``, ``members_`` (the next best, not yet trained), ``selection_`` (what
    was tried) and ``held_out_errors_`` (for intervals).
    """
    options = _options(estimator, history)
    tried: dict[tuple, list[Trial | None]] = {}

    def attempts(candidate: dict[str, Any], rounds: int) -> list[Trial | None]:
        done = tried.setdefault(_key(candidate), [])
        while len(done) < rounds:
            cut = _held_out(estimator, history, len(done))
            trial = _trial(estimator, candidate, history, exogenous, cut, len(done))
            done.append(_errors(trial, history, exogenous, cut))
        return done

    def error(candidate: dict[str, Any], rounds: int = 1) -> float:
        return _mean(attempts(candidate, rounds))

    def handicapped(candidate: dict[str, Any]) -> float:
        margin = 1 if candidate["transformation"] is None else _MARGIN
        return error(candidate, _ROUNDS) / margin

    # How the series is differenced decides most; the transform is looked for last. The
    # best ones are tried again: one fit of a small net is luck.
    transforms = options["transformation"]
    ranked = [
        {"strategy": strategy, "transformation": transforms[-1], "difference": each}
        for strategy in options["strategy"]
        for each in options["difference"]
    ]
    if len(ranked) > 1:
        ranked = sorted(ranked, key=error)[:_AGAIN]
        ranked.sort(key=lambda candidate: error(candidate, _ROUNDS))
    if len(transforms) > 1:
        grid = [{**ranked[0], "transformation": each} for each in transforms]
        best = min(grid, key=handicapped)
        ranked = [{**each, "transformation": best["transformation"]} for each in ranked]
    several = [name for name in _CHOICES if len(options[name]) > 1]
    if several and not math.isfinite(error(ranked[0])):
        _refuse(estimator, history, f"choosing {' and '.join(several)}")
    others = ranked[1 : estimator.n_combined]
    used = [*ranked[:1], *(c for c in others if math.isfinite(error(c, _ROUNDS)))]
    for name in _CHOICES:
        setattr(estimator, f"{name}_", used[0][name])
    estimator.members_ = [_twin(estimator, c, i) for i, c in enumerate(used[1:], 1)]
    keys = [_key(candidate) for candidate in used]
    estimator.held_out_errors_ = None
    if estimator.intervals:
        attempts(used[0], 1)
        found = _of_the_mean([tried[key] for key in keys])
        if not found:
            _refuse(estimator, history, "intervals")
        estimator.held_out_errors_ = np.concatenate(found)
    rows = [
        {
            **dict(zip(_CHOICES, key)),
            "error": _mean(done),
            "fits": len(done),
            "used": key in keys,
        }
        for key, done in tried.items()
    ]
    estimator.selection_ = sorted(rows, key=lambda row: row["error"])


def _key(candidate: dict[str, Any]) -> tuple:
    return tuple(candidate[name] for name in _CHOICES)


def _mean(done: list[Trial | None]) -> float:
    return float(np.mean([math.inf if one is None else one.error for one in done]))


def _of_the_mean(trials: list[list[Trial | None]]) -> list[np.ndarray]:
    """Scaled errors of the mean of several forecasts, for each round."""
    found = []
    for one_round in zip(*trials):
        done = [trial for trial in one_round if trial is not None]
        if len(done) == len(one_round):
            errors = np.mean([trial.transformed for trial in done], axis=0)
            found.append(errors / done[0].scales)
    return found


def _refuse(estimator: Any, history: History, what: str) -> None:
    shortest = min(map(len, history.values))
    raise ValueError(
        f"{type(estimator).__name__}: y has {shortest} values, too few for {what} by "
        "forecasts of its last part: give more of it, a smaller window or horizon, or "
        "set strategy, transformation, difference and intervals=False"
    )


# -- what there is to choose from -----------------------------------------------------


def _options(estimator: Any, history: History) -> dict[str, list[Any]]:
    season = estimator.season
    estimator.season_ = _season(history) if season == "auto" else season
    shortest = min(map(len, history.values))
    window = estimator.window
    if window == "auto":
        window = max(1, min(max(_WINDOW, 2 * (estimator.season_ or 0)), shortest // 5))
    estimator.window_ = window
    transforms: list[str | None] = [estimator.transformation]
    if estimator.transformation == "auto":
        *_, holds = TRANSFORMS["log"]
        positive = all(holds(values).all() for values in history.values)
        transforms = ["log", None] if positive else [None]
    differences = [estimator.difference]
    if estimator.difference == "auto":
        differences = [None, "first"]
        if estimator.season_ is not None and shortest > window + estimator.season_:
            # Not "both": what is differenced twice is mostly noise.
            differences.append("seasonal")
    elif estimator.difference in ("seasonal", "both") and estimator.season_ is None:
        raise ValueError(
            estimator._refusal(
                "difference", "the series has no season to be seen: give season"
            )
        )
    strategies = [estimator.strategy]
    if estimator.strategy == "auto":
        strategies = ["direct", "recursive"]
        if estimator.horizon == 1:
            strategies = ["recursive"]
    return {
        "strategy": strategies,
        "transformation": transforms,
        "difference": differences,
    }


def _season(history: History) -> int | None:
    """The lag of the highest peak of the autocorrelation of the differenced series.

    Only a proposal: whether it is made use of, the held-out part decides.
    """
    longest = max(history.values, key=len)
    d = np.diff(longest, axis=0)
    d = d - d.mean(0)
    n = len(d)
    most = min(n // 3, 400)
    power = np.abs(np.fft.rfft(d, 2 * n, axis=0)) ** 2
    products = np.fft.irfft(power, axis=0)[: most + 1].real
    total = products[0]
    if most < 2 or not (total > 0).any():
        return None
    acf = (products[:, total > 0] / total[total > 0]).mean(1)
    inner = acf[1:-1]
    peaks = np.flatnonzero((inner > acf[:-2]) & (inner >= acf[2:])) + 1
    peaks = peaks[(peaks > 1) & (acf[peaks] > 2 / math.sqrt(n))]
    return int(peaks[acf[peaks].argmax()]) if len(peaks) else None


# -- trials ----------------------------------------------------------------------------


def _held_out(estimator: Any, history: History, attempt: int) -> int:
    """How many values at the end of each series are held out; each time more."""
    middle = int(np.median([len(v) for v in history.values]))
    n = (estimator.horizon + middle // 8) * (4 + attempt) // 4
    return max(1, min(n, middle // 2))


def _trial(
    estimator: Any,
    candidate: dict[str, Any],
    history: History,
    exogenous: Any,
    n_held_out: int,
    attempt: int,
) -> Any:
    """The estimator with these choices, trained on what came before the end.

    Each ``attempt`` has a seed of its own.
    """
    trial = _twin(estimator, candidate, attempt)
    reach = {None: 0, "first": 1, "seasonal": estimator.season_ or 0}
    need = reach.get(candidate["difference"], 1 + (estimator.season_ or 0))
    need += estimator.window_ + 4 + n_held_out
    rows = [i for i, values in enumerate(history.values) if len(values) >= need]
    if not rows:
        return None
    part = history.only(rows, [len(history.values[i]) - n_held_out for i in rows])
    if exogenous is not None:
        exogenous = [exogenous[i][: len(v)] for i, v in zip(rows, part.values)]
        exogenous = History(exogenous, part.timelines, part.panel, part.keys)
    try:
        return trial._fit(part, exogenous)
    except DivergenceError:
        return None


def _twin(estimator: Any, candidate: dict[str, Any], number: int) -> Any:
    """The estimator with everything chosen, and a seed of its own."""
    twin = type(estimator)(**estimator.get_params(deep=False))
    return twin.set_params(
        **candidate,
        season=estimator.season_,
        window=estimator.window_,
        n_combined=1,
        intervals=False,
        callbacks=None,
        checkpoint=None,
        verbose=0,
        random_state=_seed(estimator.random_state) + number,
    )


def _seed(random_state: Any) -> int:
    # A resumed fit must choose as the first did: without a seed there is a fixed one.
    if random_state is None:
        return 0
    seed = check_random_state(deepcopy(random_state)).randint(2**30)
    return int(seed)


def _errors(
    trial: Any, history: History, exogenous: Any, n_held_out: int
) -> Trial | None:
    """Errors of forecasts from rolling origins in the last part of each series."""
    if trial is None:
        return None
    h = trial.horizon_
    per_series = max(1, 4 * _ORIGINS // len(history))
    n = min(_ORIGINS, n_held_out, per_series)
    # A series may begin too late for this way of differencing; it keeps its rows.
    least = trial.window_ + trial._differencing.reach + n_held_out
    rows: list[int] = []
    ends: list[int] = []
    places: list[int] = []
    for i, values in enumerate(history.values):
        if len(values) >= least:
            first = len(values) - n_held_out
            chosen = np.linspace(first, len(values) - 1, n).round().astype(int)
            rows += [i] * n
            ends += chosen.tolist()
            places += range(i * n, (i + 1) * n)
    past = history.only(rows, ends)
    before = after = None
    if exogenous is not None:
        before = [exogenous[i][:end] for i, end in zip(rows, ends)]
        after = [exogenous[i][end : end + h] for i, end in zip(rows, ends)]
        after = [np.pad(e, ((0, h - len(e)), (0, 0))) for e in after]
    found = trial._forecast(past, before, after, h)
    true = np.full_like(found, np.nan)
    for k, (i, end) in enumerate(zip(rows, ends)):
        following = history.values[i][end : end + h]
        true[k, : len(following)] = following
    known = np.isfinite(true)
    z = np.where(known, trial._there(np.where(known, true, 1.0)), np.nan)
    transformed = np.full((n * len(history), *found.shape[1:]), np.nan)
    transformed[places] = z - found
    scales = np.ones((n * len(history), 1, found.shape[2]))
    scales[places] = np.stack(trial._scales(past))[:, None]
    errors = np.abs(true - trial._back(found)).swapaxes(0, 1)
    by_step = [e[np.isfinite(e).all(1)] for e in errors]
    error = np.mean([e.mean(0) / trial.naive_error_ for e in by_step if len(e)])
    return Trial(float(error), transformed, scales) if np.isfinite(error) else None


# -- intervals -------------------------------------------------------------------------


def interval_widths(estimator: Any, steps: np.ndarray, coverage: float) -> np.ndarray:
    """Half the width of the interval of each step, (n_steps, n_channels).

    In units of what a series is scaled by, after the transform.
    """
    owner = f"{type(estimator).__name__}.predict_interval"
    if not 0 < coverage < 1:
        raise ValueError(f"{owner}(coverage={coverage!r}): must be between 0 and 1")
    if estimator.held_out_errors_ is None:
        raise ValueError(f"{owner}: fit had intervals=False")
    if steps.max() > estimator.horizon_:
        raise ValueError(
            f"{owner}: intervals reach to step {estimator.horizon_}, not to "
            f"{steps.max()}: fit with a larger horizon"
        )
    return _quantiles(estimator.held_out_errors_, coverage)[steps - 1]


def _quantiles(errors: np.ndarray, coverage: float) -> np.ndarray:
    """Conformal quantiles of absolute errors, step by step, never falling."""
    widths = np.full(errors.shape[1:], np.nan)
    for k in range(errors.shape[1]):
        found = np.abs(errors[:, k])
        found = np.sort(found[np.isfinite(found).all(1)], axis=0)
        if len(found):
            rank = min(math.ceil((len(found) + 1) * coverage), len(found))
            widths[k] = found[rank - 1]
    # Later steps without an error of their own are at least as uncertain.
    widths = pd.DataFrame(widths).ffill().bfill().to_numpy()
    return np.maximum.accumulate(widths, axis=0)


__all__ = ["choose", "interval_widths"]
