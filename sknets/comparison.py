"""Which algorithm for which case: deep and classical models on the same folds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Literal

import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state

from sknets import _catalogue
from sknets._comparison.lineup import choose_models
from sknets._comparison.problem import define_problem
from sknets._comparison.run import Run
from sknets.display import LeaderboardDisplay, leaderboard_html, leaderboard_text


def all_estimators(
    data: str | None = None, task: str | None = None
) -> list[tuple[str, type]]:
    """List the estimators of this library, by kind of data and task.

    Parameters
    ----------
    data : str, default=None
        Kind of X: "table", "images", ...; None for any. An estimator that takes
        several kinds is listed under each.
    task : str, default=None
        "classification", "regression", ...; None for any.

    Returns
    -------
    list of (name, class), sorted by name

    Raises
    ------
    ValueError
        If no estimator has such data or task; the sentence lists those there are.

    Examples
    --------
    >>> from sknets import all_estimators
    >>> [name for name, _ in all_estimators(data="table", task="regression")]
    ['FeedforwardRegressor'...]
    """
    import sknets

    return [(name, getattr(sknets, name)) for name in _catalogue.names(data, task)]


def compare(
    X: Any,
    y: Any = None,
    *,
    models: Any = "auto",
    data: str = "auto",
    task: str = "auto",
    cv: Any = 5,
    scoring: Any = None,
    n_jobs: int | None = None,
    time_limit: float | None = None,
    random_state: Any = None,
    groups: Any = None,
    device: str = "cpu",
    verbose: int = 1,
    horizon: int | None = None,
    season: int | Literal["auto"] | None = "auto",
    exogenous: list[Any] | None = None,
) -> Comparison:
    """Cross-validate deep and classical models on the same folds and rank them.

    The kind of data and the task are guessed (and said), X is prepared for each model
    inside its own pipeline, and every model goes through scikit-learn's
    `cross_validate` on the same splits. A model that fails gets a row that says why.

    Parameters
    ----------
    X : table, text, trees, sequences, images, videos, graphs, nodes or series
        Table: pandas or polars DataFrame, array, sparse matrix or list of rows. Columns
        may hold numbers, strings, dates, free text and missing values; columns that are
        constant or only name the rows (ids) are left out, and `notes` says which.
        Images (or signals, or volumes): an array of 3 to 5 axes or a list of arrays, of
        unequal size too, as `CNNClassifier` takes them. Models of tables get them as
        flat rows of pixels, shrunk to 32 pixels a side where they are larger.
        Text: a list or Series of strings, or a list of lists of tokens; classical
        models get TF-IDF weights. Sequences: a list of arrays (steps,) or (steps,
        channels), or an array (n_samples, steps, channels), with at most 16 channels
        and at least four times as many steps (what has more is taken for images);
        classical models get statistics of each channel, MiniRocket and 1-NN DTW the
        steps. Trees: as `RecursiveClassifier`
        takes them; classical models get TF-IDF of the leaves. Videos: as
        `VideoClassifier` takes them; classical models get means and deviations of
        pixels. Graphs: a list of them as
        `GraphClassifier` takes it (but not of plain arrays); classical models get
        counts of nodes and edges, degrees, and sums of the features of nodes. Nodes of
        one graph: what `graph_nodes` returns; classical models get the features of a
        node and the mean of its neighbours'. Series, to be forecast from their own
        past: numbers in the order of time as `RNNForecaster` takes them; without y, one
        axis of numbers or a DataFrame indexed by dates is one, other arrays and panels
        are by ``data="series"``. Forecasts are from rolling origins, see ``cv``.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Classes, numbers, several numbers, or 0/1 columns (multilabel). No missing
        values. Of images also masks, a class for each pixel, as `UNetSegmenter` takes
        them, or keypoints, as `PoseEstimator` does. None of series.
    models : "auto", list or dict, default="auto"
        "auto": the networks made for this kind of data and their classical peers. A
        list of names and estimators ("auto" may be among them), or a dict of name to
        estimator. A given estimator is used as it is when X holds plain numbers;
        otherwise X is prepared for it as for ours. One that contains a `Pipeline` or
        a `ColumnTransformer` is always used as it is. Of series it may be anything
        that has ``fit(series)`` and ``predict(n_steps)``; one that has a parameter
        ``exogenous`` is given ``predict(n_steps, X_future)`` where there are such
        columns.
    data : str, default="auto"
        What X is, where it could be taken for something else: "table", "text", "trees",
        "sequences", "images", "videos", "graphs", "nodes" or "series".
    task : {"auto", "classification", "regression", "forecasting", "sampling", \
"segmentation", "object detection", "pose estimation", "captioning", "translation", \
"speech recognition"}, default="auto"
        "auto" takes strings, bools and at most 20 distinct whole numbers for classes,
        masks as large as their images for segmentation, records of boxes for detection,
        and of keypoints for poses; more than 20 texts most of which differ, where X are
        texts, images or sequences, for what is to be written of these (of waveforms of
        8,000 samples a second, or what ``models`` says). "sampling" asks which model
        makes the best rows of each class: a random forest learns of 1,000 rows or more
        that it has made, and is scored as a classifier of real ones; ``models`` then
        are anything with ``fit`` and ``sample``.
    cv : int, splitter or iterable of (train, test), default=5
        A number of folds is shuffled and, for classes, stratified. Of series it is the
        number of origins, those of `RNNForecaster.backtest`: every model learns from
        all that came before each and forecasts what followed. Pairs and splitters, such
        as `TimeSeriesSplit`, must give values and those that follow them.
    scoring : str, callable, list or dict, default=None
        Scores as in scikit-learn, the first being the main one. None: accuracy
        (balanced accuracy if one class holds over 80 % of the rows), balanced accuracy,
        macro F1, ROC AUC and log loss; micro F1, macro F1 and exact match for
        multilabel; R², RMSE and MAE for regression; of masks "mean_iou", "mean_dice"
        and "pixel_accuracy", of poses "average_precision" and "pck", of texts "bleu",
        "chrf" and "exact", of those that are heard "word_accuracy" (1 less the share
        of words that are wrong), "character_accuracy" and "exact"; of forecasts
        "mase" (the mean absolute error in units of that of taking each value learned
        from for the next), "rmse", "mae" and "smape" (0 to 200), means over steps,
        channels and series, of which the lower is the better. A callable gets the
        series that followed.
    n_jobs : int, default=None
        Folds run at once, in processes. Scores do not depend on it.
    time_limit : float, default=None
        Seconds for everything. Cheap models run first. A network of this library stops
        at the end of the epoch when time is up; another model's fold that has begun is
        finished, but none begins that would not be done in time by the folds before.
        What is not done says so in its row, and is never the best while another is.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of every model whose own `random_state` is None.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are never on both sides of a split.
    device : str, default="cpu"
        Where this library's networks train.
    verbose : int, default=1
        0 is silent; 1 shows what was guessed and live progress.
    horizon : int, default=None
        Of series, the steps to forecast from each origin; None is 12.
    season : int, "auto" or None, default="auto"
        Of series, the steps of a season, for all models that are named. "auto" lets
        each see it in what it learns from; None rules it out.
    exogenous : list, default=None
        Names (of arrays, positions) of columns of a series that are not forecast but
        known ahead, as for `RNNForecaster`. `Autoregression` and ours use them.

    Returns
    -------
    Comparison
        With `table`, `plot()`, `best_`, ... After Ctrl-C too, with what is finished,
        unless nothing is.

    Raises
    ------
    ValueError
        If X, y or a parameter is wrong, before any work starts.

    Notes
    -----
    `p_value` is that of Nadeau and Bengio's corrected resampled t-test of a model's
    main score against the best one's: a small one says that the gap is more than the
    noise of the splits. It is not corrected for the number of models. Of rolling
    origins it is an approximation, as their errors follow each other.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine
    Learning 52, 239-281, 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> names = ["DummyClassifier", "LogisticRegression"]
    >>> result = compare(X, y, models=names, random_state=0, verbose=0)
    >>> result.best_name_
    'LogisticRegression'
    >>> result.best_.predict(X[:3])
    array([0, 0, 0])

    A series is forecast:

    >>> import numpy as np
    >>> t = np.arange(120)
    >>> y = t / 10 + 5 * np.sin(2 * np.pi * t / 12)
    >>> names = ["Naive", "SeasonalNaive"]
    >>> result = compare(y, horizon=6, models=names, verbose=0)
    >>> result.best_name_, result.predict(24).shape
    ('SeasonalNaive', (24,))
    """
    begin = time.monotonic()
    _check_run(n_jobs, time_limit)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    problem = define_problem(
        X,
        y,
        data=data,
        task=task,
        cv=cv,
        scoring=scoring,
        groups=groups,
        seed=seed,
        device=device,
        horizon=horizon,
        season=season,
        exogenous=exogenous,
    )
    entries = choose_models(models, problem)
    deadline = None if time_limit is None else begin + time_limit
    run = Run(problem, entries, n_jobs, deadline, verbose)
    run.go()
    if run.interrupted and not any(run.folds.values()):
        raise KeyboardInterrupt
    return Comparison(
        scores=run.scores(),
        table=run.table(),
        models={name: entry.model for name, entry in entries.items()},
        kind=problem.kind,
        task=problem.asked,
        summary="; ".join(problem.facts),
        notes=problem.notes,
        interrupted=run.interrupted,
        lower_is_better=problem.sign < 0,
        _X=X,
        _y=problem.y,
    )


def _check_run(n_jobs: Any, time_limit: Any) -> None:
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ValueError(
            f"compare(n_jobs={n_jobs!r}): n_jobs must be None or a whole number, not 0"
        )
    if time_limit is not None and not (
        isinstance(time_limit, Real) and float(time_limit) > 0
    ):
        raise ValueError(
            f"compare(time_limit={time_limit!r}): time_limit must be above 0 seconds"
        )


@dataclass(repr=False, eq=False)
class Comparison:
    """What `compare` found: a leaderboard, every fold's scores, the best model.

    Attributes
    ----------
    table : DataFrame
        One row a model, best first; rows that are not complete come last. Columns: the
        main score's mean over the folds, its standard deviation, the p-value against
        the best model, the other scores, `fit_seconds` and `predict_seconds` (of one
        fold, median, preparation included), `parameters` (learned coefficients, missing
        where there are none to count), `memory_mb` (largest rise of the process's
        memory in a fit), `family` ("deep", "classical", "baseline"), `verdict` and
        `note` (such as why a row is not complete). A verdict is "best", "tied" or
        "worse" by the test of `p_value`, "untested" where a single fold allows none,
        "unfinished" where folds are missing.
    scores : DataFrame
        Figures of each model (first index level) and fold (second).
    models : dict
        Name to the unfitted estimator or pipeline that was run.
    kind, task : str
        What X and y were taken for.
    summary : str
        What was found and guessed, in one line.
    notes : list of str
        What was done to the data and to the folds.
    interrupted : bool
        Whether Ctrl-C stopped it.
    lower_is_better : bool
        Whether the main score is an error.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknets import compare
    >>> X, y = load_diabetes(return_X_y=True)
    >>> result = compare(X, y, models=["RidgeCV"], task="regression", verbose=0)
    >>> result.predict(X).shape
    (442,)
    """

    scores: pd.DataFrame
    table: pd.DataFrame
    models: dict[str, Any]
    kind: str
    task: str
    summary: str
    notes: list[str]
    interrupted: bool
    lower_is_better: bool
    _X: Any = field(repr=False)
    _y: Any = field(repr=False)

    @property
    def main_score(self) -> str:
        """Name of the score that ranks the models."""
        return str(self.table.columns[0])

    @property
    def best_name_(self) -> str:
        """Name of the best model that is finished.

        If none is, the best on the folds that all of them have.

        Raises
        ------
        ValueError
            If no model has a score.
        """
        if self.table[self.main_score].isna().all():
            raise ValueError(
                "this comparison has no best model, because none was finished: the "
                "column 'note' of its table says why"
            )
        return str(self.table.index[0])

    @cached_property
    def best_(self) -> Any:
        """The best model, refitted on all the data on first use."""
        given = (self._X,) if self._y is None else (self._X, self._y)
        return clone(self.models[self.best_name_]).fit(*given)

    def predict(self, X: Any) -> Any:
        """Predict with the best model, refitted on all the data on first use.

        Parameters
        ----------
        X : table, text, trees, sequences, images, videos, graphs or nodes
            As given to `compare`. Of series instead what `RNNForecaster.predict` is
            asked for: how many steps, which ones, or dates (with exogenous columns,
            ask ``best_``).

        Returns
        -------
        ndarray, or of series what they came in
        """
        return self.best_.predict(X)

    def plot(self, ax: Any = None) -> LeaderboardDisplay:
        """Draw the leaderboard: every fold's score, means, ties with the best, time.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LeaderboardDisplay
            With `figure_` and `ax_`.
        """
        return LeaderboardDisplay.from_comparison(self).plot(ax=ax)

    def __repr__(self) -> str:
        return leaderboard_text(self.table, self.summary, self.notes)

    def _repr_html_(self) -> str:
        return leaderboard_html(self.table, self.summary, self.notes)


__all__ = ["Comparison", "all_estimators", "compare"]
