"""What `compare` is asked: the kind of data, the task, the splits, the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.utils.validation import _num_samples

from sknets._catalogue import listed
from sknets._comparison.candidates import CANDIDATES, guess_kind, near_names
from sknets._comparison.forecasters import HORIZON, NaiveForecaster
from sknets._comparison.preparation import is_sparse
from sknets._comparison.series import (
    FORECAST_SCORES,
    SeriesRows,
    check_splits,
    describe_series,
    forecast_times,
    rolling_splits,
    season_of,
)
from sknets._comparison.structured import (
    STRUCTURED,
    read_structured,
    structured_scorer,
    structured_task,
)
from sknets._comparison.table import read_table
from sknets._comparison.target import read_target, refuse_ambiguous, refuse_swapped
from sknets._inputs.kinds import kind_of
from sknets._targets import kind_of_labels
from sknets._warn import warn

TASKS = ("classification", "regression", "forecasting", "sampling", *STRUCTURED)
# One class with a larger share makes accuracy look good for a useless model.
IMBALANCED = 0.8

Scorers = dict[str, tuple[Callable[..., float], int]]
# Column of the table: (scikit-learn's scorer, sign that gives natural units).
METRICS: dict[str, dict[str, tuple[str, int]]] = {
    "binary": {
        "accuracy": ("accuracy", 1),
        "balanced_accuracy": ("balanced_accuracy", 1),
        "f1_macro": ("f1_macro", 1),
        "roc_auc": ("roc_auc", 1),
        "log_loss": ("neg_log_loss", -1),
    },
    "multiclass": {
        "accuracy": ("accuracy", 1),
        "balanced_accuracy": ("balanced_accuracy", 1),
        "f1_macro": ("f1_macro", 1),
        "roc_auc_ovr": ("roc_auc_ovr", 1),
        "log_loss": ("neg_log_loss", -1),
    },
    "multilabel": {
        "f1_micro": ("f1_micro", 1),
        "f1_macro": ("f1_macro", 1),
        "exact_match": ("accuracy", 1),
    },
    "regression": {
        "r2": ("r2", 1),
        "rmse": ("neg_root_mean_squared_error", -1),
        "mae": ("neg_mean_absolute_error", -1),
    },
    "forecasting": {name: (name, -1) for name in FORECAST_SCORES},
}


@dataclass
class Problem:
    """X and y understood: all that the choice and the run of models depend on.

    Attributes
    ----------
    X, y : the data as they are cut into folds; of series there is no y.
    kind, task : what they are.
    roles : dict or None
        Column roles of a table that has to be prepared; None for plain numbers.
    has_missing, is_sparse : bool
        What plain numbers hold.
    splits : list of (train, test) index arrays, the same for every model.
    scorers : dict
        Metric name to (scorer, sign); the first is the main score.
    settings : dict
        Parameters of all models.
    ask : callable or None
        How a model is asked for predictions, ``ask(model, method, X)``.
    sampled : bool
        Whether the models make rows, by which a classifier learns.
    facts, notes : list of str
        What was found and guessed (one line together), and what to know besides.
    """

    X: Any
    y: Any
    kind: str
    task: str
    roles: dict[str, str] | None
    has_missing: bool
    is_sparse: bool
    seed: int
    device: str
    splits: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    scorers: Scorers = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    ask: Callable[..., Any] | None = None
    sampled: bool = False

    @property
    def asked(self) -> str:
        """The task that models are chosen by."""
        return "sampling" if self.sampled else self.task

    @property
    def sign(self) -> int:
        """Return -1 where a lower main score is better, else 1."""
        return next(iter(self.scorers.values()))[1]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return _num_samples(self.X)

    @property
    def n_targets(self) -> int:
        """Number of columns of y."""
        return 1 if self.y is None or self.y.ndim == 1 else self.y.shape[1]

    @property
    def test_over_train(self) -> float:
        """Mean number of test rows for each training row."""
        return float(np.mean([len(test) / len(train) for train, test in self.splits]))


def define_problem(
    X: Any,
    y: Any,
    *,
    data: str,
    task: str,
    cv: Any,
    scoring: Any,
    groups: Any,
    seed: int,
    device: str,
    horizon: int | None = None,
    season: Any = "auto",
    exogenous: Any = None,
) -> Problem:
    """Check what the user gave and turn it into a `Problem`, before any work."""
    if task not in ("auto", *TASKS):
        raise ValueError(
            f"compare(task={task!r}): task must be "
            f"{listed(map(repr, ('auto', *TASKS)))}"
        )
    if data not in ("auto", *CANDIDATES):
        legal = ", ".join(map(repr, ("auto", *CANDIDATES)))
        raise ValueError(f"compare(data={data!r}): data must be one of {legal}")
    refuse_swapped(X, y)
    settings = {"horizon": horizon, "season": season, "exogenous": exogenous}
    series = y is None and (task == "forecasting" or kind_of(X, ("series",)))
    kind = data
    if data == "auto":
        kind = "series" if series else guess_kind(X)
    if task == "sampling":
        _refuse_unsampled(kind, y)
    refuse_ambiguous(X, kind, task, y, settings)
    if kind == "series":
        return _define_series(X, cv, scoring, groups, settings, seed, device)
    describe = CANDIDATES[kind].describe
    if describe is not None:
        (facts, notes), roles, missing = describe(X), None, False
        X = X if hasattr(X, "shape") else list(X)
    else:
        X, roles, missing, facts, notes = read_table(X)
    sampled = task == "sampling"
    task = "classification" if sampled else task
    structured = structured_task(X, y, kind, task)
    if structured:
        task, (values, said) = structured, read_structured(y, structured)
        # Those of texts and sequences are about what classifiers see of them.
        notes = [] if kind in ("text", "sequences") else notes
    else:
        values, task, said = read_target(y, task)
    n_rows = _num_samples(X)
    if n_rows != len(values):
        raise ValueError(
            "compare(X, y): X and y must have equal lengths, got "
            f"{n_rows:,} and {len(values):,}"
        )
    problem = Problem(X, values, kind, task, roles, missing, is_sparse(X), seed, device)
    problem.facts, problem.notes = [*facts, said], notes
    problem.sampled = sampled
    if sampled and problem.n_targets > 1:
        raise ValueError(
            "compare(task='sampling'): rows are made of one class each, and y has "
            f"{problem.n_targets} columns"
        )
    if sampled:
        problem.facts.append("a forest learns of made rows and is scored on real ones")
    problem.splits = make_splits(problem, cv, groups)
    problem.scorers = make_scorers(problem, scoring)
    problem.facts.append(f"{len(problem.splits)} folds")
    problem.facts.append(f"ranked by {next(iter(problem.scorers))}")
    return problem


def _refuse_unsampled(kind: str, y: Any) -> None:
    told, fault = "a forest learns classes by made rows", ""
    if kind != "table":
        told, fault = "rows of tables alone are compared", f"X is of the kind {kind!r}"
    elif y is None:
        fault = "y is missing: give the class of each row"
    elif np.ndim(y) == 1 and kind_of_labels(y) == "continuous":
        fault = "y holds fractional numbers: bin them (pandas.qcut)"
    if fault:
        raise ValueError(f"compare(task='sampling'): {told}, and {fault}")


def _define_series(
    X: Any,
    cv: Any,
    scoring: Any,
    groups: Any,
    settings: dict[str, Any],
    seed: int,
    device: str,
) -> Problem:
    if groups is not None:
        raise ValueError("compare(groups=...): the values of a series have no groups")
    if settings["horizon"] is None:
        settings["horizon"] = HORIZON
    try:  # one of the forecasters checks what all of them are given
        NaiveForecaster(**settings)._check_params()
    except ValueError as error:
        why = str(error).removeprefix("NaiveForecaster")
        raise ValueError(f"compare{why}") from None
    facts, notes = describe_series(X)
    rows = SeriesRows(X)
    if settings["exogenous"]:
        rows.history.split(settings["exogenous"], "compare")
        notes.append("exogenous columns count for RNNForecaster and Autoregression")
    problem = Problem(
        rows, None, "series", "forecasting", None, False, False, seed, device
    )
    problem.settings, problem.ask = settings, forecast_times
    problem.facts, problem.notes = facts, notes
    h = settings["horizon"]
    if (season := season_of(rows.history, settings["season"])) is not None:
        seen = "seen" if settings["season"] == "auto" else "given"
        problem.facts.append(f"a season of {season} steps {seen}")
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        problem.splits = rolling_splits(rows, int(cv), h, problem.notes)
    else:
        problem.splits = make_splits(problem, cv, None)
        check_splits(problem.splits, cv)
    problem.scorers = make_scorers(problem, scoring)
    n = len(problem.splits)
    steps = " or ".join(sorted({f"{len(test)}" for _, test in problem.splits}))
    problem.facts.append(f"{n} origin{'s'[: n > 1]}, {steps} steps ahead")
    lower = ", lower is better" if problem.sign < 0 else ""
    problem.facts.append(f"ranked by {next(iter(problem.scorers))}{lower}")
    return problem


def make_splits(
    problem: Problem, cv: Any, groups: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the train and test rows of each fold, the same for every model."""
    X, y, n_rows = problem.X, problem.y, problem.n_rows
    if groups is not None and len(groups) != n_rows:
        raise ValueError(
            "compare(groups=...): groups must hold one value a row, got "
            f"{len(groups):,} for {n_rows:,} rows"
        )
    stratify = problem.task == "classification" and problem.n_targets == 1
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        cv = _fold_maker(problem, int(cv), groups, stratify)
    elif not (hasattr(cv, "split") or isinstance(cv, Iterable)) or isinstance(cv, str):
        raise ValueError(
            f"compare(cv={cv!r}): cv must be a number of folds, a splitter, or "
            "(train, test) pairs"
        )
    splits = list(check_cv(cv, y, classifier=stratify).split(X, y, groups))
    if not splits:
        raise ValueError("compare(cv=...): cv must give at least one split")
    return splits


def _fold_maker(problem: Problem, cv: int, groups: Any, stratify: bool) -> Any:
    if not 2 <= cv <= problem.n_rows:
        raise ValueError(
            f"compare(cv={cv}): cv must be at least 2 and at most the number of rows, "
            f"{problem.n_rows:,}"
        )
    seed = problem.seed
    if groups is not None:
        kinds = len(pd.unique(np.asarray(groups)))
        if kinds < cv:
            raise ValueError(
                f"compare(cv={cv}): cv must be at most the number of groups, {kinds}"
            )
        make = StratifiedGroupKFold if stratify else GroupKFold
        return make(cv, shuffle=True, random_state=seed)
    if not stratify:
        return KFold(cv, shuffle=True, random_state=seed)
    classes, counts = np.unique(problem.y, return_counts=True)
    rare, least = classes[counts.argmin()], int(counts.min())
    if least < 2:
        raise ValueError(
            f"compare(y=...): class {rare!s} has one row, and each class needs at "
            "least two (one to learn from, one to test): drop it, or merge it with "
            "another"
        )
    if least < cv:
        warn(
            f"compare(cv={cv}): class {rare!s} has {least} rows, so {least} folds are "
            "used",
        )
        problem.notes.append(
            f"{least} folds, not {cv}: class {rare!s} has {least} rows"
        )
    return StratifiedKFold(min(cv, least), shuffle=True, random_state=seed)


def make_scorers(problem: Problem, scoring: Any) -> Scorers:
    """Return the metrics by name, the main one first."""
    if scoring is None and problem.task in STRUCTURED:
        named = STRUCTURED[problem.task].items()
        return {name: (structured_scorer(score), 1) for name, score in named}
    if scoring is None:
        chosen = dict(METRICS[_metric_kind(problem)])
        if "accuracy" in chosen:
            share = float(np.unique(problem.y, return_counts=True)[1].max())
            share /= problem.n_rows
            if share > IMBALANCED:
                problem.notes.append(
                    f"one class holds {share:.0%} of the rows: ranked by balanced "
                    "accuracy"
                )
                chosen = {"balanced_accuracy": chosen["balanced_accuracy"], **chosen}
        elif "r2" in chosen and min(len(test) for _, test in problem.splits) < 2:
            raise ValueError(
                "compare(cv=...): R² needs at least 2 test rows in each fold: use "
                "fewer folds or scoring='neg_mean_absolute_error'"
            )
        return {
            name: (_scorer(problem, scorer), sign)
            for name, (scorer, sign) in chosen.items()
        }
    if isinstance(scoring, str):
        scoring = {scoring: scoring}
    elif callable(scoring):
        scoring = {getattr(scoring, "__name__", "score"): scoring}
    elif isinstance(scoring, (list, tuple)) and all(
        isinstance(s, str) for s in scoring
    ):
        scoring = {name: name for name in scoring}
    elif not isinstance(scoring, dict):
        raise ValueError(
            f"compare(scoring={scoring!r}): scoring must be a scorer's name, a "
            "callable scorer(estimator, X, y), a list of names, or a dict of them"
        )
    if not scoring:
        raise ValueError("compare(scoring=...): scoring must name at least one score")
    # Named errors of forecasts are shown as they are.
    return {
        str(name): (
            _scorer(problem, s),
            -1 if s in METRICS["forecasting"] and problem.y is None else 1,
        )
        for name, s in scoring.items()
    }


def _metric_kind(problem: Problem) -> str:
    if problem.task != "classification":
        return problem.task
    if problem.n_targets > 1:
        return "multilabel"
    return "binary" if len(np.unique(problem.y)) == 2 else "multiclass"


def _scorer(problem: Problem, scoring: Any) -> Callable[..., float]:
    dummy = DummyRegressor() if problem.task == "regression" else DummyClassifier()
    forecasts = problem.task == "forecasting"
    own = STRUCTURED.get(problem.task, {})
    legal = FORECAST_SCORES if forecasts else own or get_scorer_names()
    if isinstance(scoring, str) and scoring in own:
        return structured_scorer(own[scoring])
    if isinstance(scoring, str) and scoring not in legal:
        raise ValueError(
            f"compare(scoring={scoring!r}): there is no such score; "
            + near_names(scoring, legal)
        )
    if isinstance(scoring, str) and forecasts:
        return FORECAST_SCORES[scoring]
    try:
        scorer = check_scoring(dummy, scoring=scoring)
    except (ValueError, TypeError) as error:
        raise ValueError(f"compare(scoring={scoring!r}): {error}") from None
    return scorer if isinstance(scoring, str) else partial(score_model, scorer)


def score_model(scorer: Callable[..., float], measured: Any, X: Any, y: Any) -> float:
    """Call a user's scorer with the fitted model itself, not with its meter."""
    return scorer(measured.model_, X, y)
