"""What a forecaster learns from forecasting its own past: choices and intervals.

Everything here is seen by a model that was trained on what came before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, astuple, dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from sknets._engine.net import DivergenceError
from sknets._inputs.series import KnownSeries
from sknets._inputs.windows import Treatment

# Origins of the held-out part that are forecast from: more say hardly more.
_ORIGINS = 64
_WINDOW = 24
_AGAIN, _ROUNDS = 4, 3  # so many of the best are tried so often
# What errs so much more than the best in its first trials is not tried again.
_HOPELESS = (1.3, 1.15)
_MARGIN = 0.8  # of the error without a transform: less may be luck
# Longer training hardly changes which treatment is better.
_STEPS = 300
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
    units : ndarray of shape (n_origins, 1, n_channels)
        What the errors of different series are compared in.
    """

    error: float
    transformed: np.ndarray
    units: np.ndarray


def select(
    treatments: list[Treatment],
    trial: Callable[[Treatment, int], Trial | None],
    n_best: int = 1,
) -> tuple[list[Treatment], dict[Treatment, list[Trial | None]]]:
    """The best treatments, by nothing but what ``trial`` says of them.

    Parameters
    ----------
    treatments : list of Treatment
        All there is to choose from. Their transformation is looked for last, starting
        from the last one's.
    trial : callable
        ``trial(treatment, number)``, None where there is nothing to learn.
    n_best : int
        How many are wanted.

    Returns
    -------
    used : list of Treatment
        The best first; more than one only as far as they were found to be of use.
    tried : dict
        All trials of each treatment.
    """
    tried: dict[Treatment, list[Trial | None]] = {}

    def error(treatment: Treatment, rounds: int = _ROUNDS) -> float:
        done = tried.setdefault(treatment, [])
        done += [trial(treatment, i) for i in range(len(done), rounds)]
        return mean_error(done)

    # How the series is differenced decides most; the transform is looked for last. The
    # best ones are tried again: one fit of a small net is luck.
    transforms = list(dict.fromkeys(each.transformation for each in treatments))
    ranked = [each for each in treatments if each.transformation == transforms[-1]]
    if len(ranked) > 1:
        for rounds, factor in enumerate(_HOPELESS, 1):
            ranked.sort(key=lambda each: error(each, rounds))
            limit = factor * error(ranked[0], rounds)
            hopeful = sum(error(each, rounds) <= limit for each in ranked)
            ranked = ranked[: min(_AGAIN, max(n_best, hopeful))]
        ranked.sort(key=error)
    for transform in transforms[:-1]:
        best, other = ranked[0], replace(ranked[0], transformation=transform)
        if error(other, 1) < error(best, 1) and error(other) < _MARGIN * error(best):
            ranked = [replace(each, transformation=transform) for each in ranked]
    others = [each for each in ranked[1:n_best] if math.isfinite(error(each))]
    return [ranked[0], *others], tried


def choose(
    estimator: Any, history: KnownSeries
) -> tuple[list[Treatment], list[dict[str, Any]], np.ndarray | None]:
    """How the series is treated, by forecasts of its own last part.

    Returns
    -------
    used : list of Treatment
        Those that forecast together, the best first.
    selection : list of dict
        What was tried, the best first.
    held_out_errors : ndarray or None
        For intervals.
    """
    treatments = _treatments(estimator, history)
    owner = type(estimator).__name__
    several = [c for c in _CHOICES if len({getattr(t, c) for t in treatments}) > 1]
    errors = None
    with tqdm(
        desc=f"{owner}: trials", disable=not estimator.verbose, unit="fit"
    ) as bar:

        def trial(treatment: Treatment, number: int) -> Trial | None:
            bar.set_postfix_str(" ".join(filter(None, astuple(treatment)[:3])))
            done = _trial(estimator, treatment, history, number)
            bar.update()
            return done

        used, tried = select(treatments, trial, estimator.n_ensemble)
        if several and not math.isfinite(mean_error(tried[used[0]])):
            _refuse(estimator, history, f"choosing {' and '.join(several)}")
        if estimator.intervals and constant(history):
            errors = np.zeros((1, estimator.horizon, estimator.n_channels_))
        elif estimator.intervals:
            if not several:
                tried[used[0]] = [trial(used[0], 0)]
            found = _of_the_mean([tried[each] for each in used])
            if not found:
                _refuse(estimator, history, "intervals")
            errors = np.concatenate(found)
    selection = [
        {
            **{name: getattr(treatment, name) for name in _CHOICES},
            "error": mean_error(done),
            "fits": len(done),
            "used": treatment in used,
        }
        for treatment, done in tried.items()
    ]
    return used, sorted(selection, key=lambda row: row["error"]), errors


def constant(history: KnownSeries) -> bool:
    """Whether no series ever changes."""
    return all((values == values[0]).all() for values in history.values)


def mean_error(done: list[Trial | None]) -> float:
    return float(np.mean([math.inf if one is None else one.error for one in done]))


def _of_the_mean(trials: list[list[Trial | None]]) -> list[np.ndarray]:
    """Scaled errors of the mean of several forecasts, for each round."""
    found = []
    for one_round in zip(*trials):
        done = [trial for trial in one_round if trial is not None]
        if len(done) == len(one_round):
            errors = np.mean([trial.transformed for trial in done], axis=0)
            found.append(errors / done[0].units)
    return found


def _refuse(estimator: Any, history: KnownSeries, what: str) -> None:
    shortest = min(map(len, history.values))
    raise ValueError(
        f"{type(estimator).__name__}: y has {shortest} values, too few for {what} by "
        "forecasts of its last part: give more of it, a smaller window or horizon, or "
        "set strategy, transformation, difference and intervals=False"
    )


# -- what there is to choose from -----------------------------------------------------


def _treatments(estimator: Any, history: KnownSeries) -> list[Treatment]:
    """Every treatment that the parameters leave open."""
    if (season := estimator.season) == "auto":
        season = find_season(history)
    shortest = min(map(len, history.values))
    if (window := estimator.window) == "auto":
        window = max(1, min(max(_WINDOW, 2 * (season or 0)), shortest // 5))
    transforms: list[str | None] = [estimator.transformation]
    if estimator.transformation == "auto":
        positive = all((values > 0).all() for values in history.values)
        transforms = ["log", None] if positive else [None]
    differences = [estimator.difference]
    if estimator.difference == "auto":
        differences = [None, "first"]
        if season is not None and shortest > window + season:
            # Not "both": what is differenced twice is mostly noise.
            differences.append("seasonal")
    elif estimator.difference in ("seasonal", "both") and season is None:
        sentence = "the series has no season to be seen: give season"
        raise ValueError(estimator._refusal("difference", sentence))
    strategies = [estimator.strategy]
    if estimator.strategy == "auto":
        strategies = ["direct", "recursive"] if estimator.horizon > 1 else ["recursive"]
    if constant(history):  # all do the same
        transforms, differences = transforms[-1:], differences[:1]
        strategies = strategies[:1]
    return [
        Treatment(strategy, transform, difference, season, window)
        for transform in transforms
        for strategy in strategies
        for difference in differences
    ]


def find_season(history: KnownSeries) -> int | None:
    """The lag of the highest peak of the autocorrelation of the differenced series.

    Only a proposal: whether it is made use of, the held-out part decides.
    """
    longest = max(history.values, key=len)
    d = np.diff(longest, axis=0)
    d = d - d.mean(0)
    # Squares of tiny values are 0.
    d /= np.maximum(np.abs(d).max(0), np.finfo(np.float64).tiny)
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


def _trial(
    estimator: Any, treatment: Treatment, history: KnownSeries, number: int
) -> Trial | None:
    """Train on what came before the last part of each series, and forecast that.

    Each number has a seed of its own and a longer last part.
    """
    middle = int(np.median([len(values) for values in history.values]))
    n_held_out = (estimator.horizon + middle // 8) * (4 + number) // 4
    n_held_out = max(1, min(n_held_out, middle // 2))
    need = treatment.length + 4 + n_held_out
    rows = [i for i, values in enumerate(history.values) if len(values) >= need]
    if not rows:
        return None
    part = history.only(rows, [len(history.values[i]) - n_held_out for i in rows])
    model = twin(estimator, treatment, number)
    epochs = math.ceil(_STEPS * model.batch_size / sum(map(len, part.values)))
    if model.max_epochs != "auto":  # which is longer
        epochs = min(epochs, model.max_epochs)
    try:
        model.set_params(max_epochs=epochs)._fit(part)
    except DivergenceError:
        return None
    return _errors(model, history, n_held_out)


def twin(estimator: Any, treatment: Treatment, number: int) -> Any:
    """The estimator with everything chosen, and a seed of its own.

    Of its callbacks it keeps those that have ``for_trials``, such as a time limit.
    """
    kept = [each for each in estimator.callbacks or () if _is_for_trials(each)]
    twin = type(estimator)(**estimator.get_params(deep=False))
    return twin.set_params(
        **asdict(treatment),
        n_ensemble=1,
        intervals=False,
        callbacks=kept or None,
        checkpoint=None,
        verbose=0,
        random_state=_seed(estimator.random_state) + number,
    )


def _is_for_trials(callback: Any) -> bool:
    return bool(getattr(callback, "for_trials", False))


def _seed(random_state: Any) -> int:
    # A resumed fit must choose as the first did: without a seed there is a fixed one.
    if random_state is None:
        return 0
    seed = check_random_state(deepcopy(random_state)).randint(2**30)
    return int(seed)


def _errors(model: Any, history: KnownSeries, n_held_out: int) -> Trial | None:
    """Errors of forecasts from rolling origins in the last part of each series."""
    h, treatment = model.horizon_, model.treatment_
    n = min(_ORIGINS, n_held_out, max(1, 4 * _ORIGINS // len(history)))
    # A series may begin too late for this way of differencing; it keeps its rows.
    rows: list[int] = []
    ends: list[int] = []
    places: list[int] = []
    for i, values in enumerate(history.values):
        first = len(values) - n_held_out
        if first >= treatment.length:
            chosen = np.linspace(first, len(values) - 1, n).round().astype(int)
            rows += [i] * n
            ends += chosen.tolist()
            places += range(i * n, (i + 1) * n)
    past = history.only(rows, ends)
    found = model._forecast(past, history.after(rows, ends, h), h)
    true = np.full_like(found, np.nan)
    for k, (i, end) in enumerate(zip(rows, ends)):
        following = history.values[i][end : end + h]
        true[k, : len(following)] = following
    known = np.isfinite(true)
    z = np.where(known, treatment.transform(np.where(known, true, 1.0)), np.nan)
    transformed = np.full((n * len(history), *found.shape[1:]), np.nan)
    transformed[places] = z - found
    units = np.ones((n * len(history), 1, found.shape[2]))
    units[places] = model._units(past)
    errors = np.abs(true - treatment.inverse(found)).swapaxes(0, 1)
    by_step = [e[np.isfinite(e).all(1)] for e in errors]
    error = np.mean([e.mean(0) / model.naive_error_ for e in by_step if len(e)])
    return Trial(float(error), transformed, units) if np.isfinite(error) else None


# -- intervals -------------------------------------------------------------------------


def check_share(call: str, name: str, share: Any) -> None:
    if not isinstance(share, Real) or not 0 < float(share) < 1:
        raise ValueError(f"{call}({name}={share!r}): must be between 0 and 1")


def interval_widths(model: Any, steps: np.ndarray, level: float) -> np.ndarray | float:
    """How far from the forecast of each step this share of the values is at most.

    (n_steps, n_channels), transformed, in `_units`; negative where the level is.
    """
    owner = type(model).__name__
    if level == 0:
        return 0.0
    if model.held_out_errors_ is None:
        raise ValueError(f"{owner}.predict_interval: fit had intervals=False")
    if steps.max() > model.horizon_:
        raise ValueError(
            f"{owner}.predict_interval: intervals reach to step {model.horizon_}, not "
            f"to {steps.max()}: fit with a larger horizon"
        )
    widths = _quantiles(model.held_out_errors_, abs(level))[steps - 1]
    return np.copysign(widths, level)


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


__all__ = [
    "Trial",
    "check_share",
    "choose",
    "find_season",
    "interval_widths",
    "select",
    "twin",
]
