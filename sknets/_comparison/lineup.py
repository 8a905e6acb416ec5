"""The models that run: chosen by name or given, prepared for X, seeded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler

import sknets
from sknets import _catalogue
from sknets._comparison.candidates import CANDIDATES, ON_FEATURES, near_names
from sknets._comparison.classical import (
    DENSE_CELLS,
    LARGE,
    TABLE_CLASSIFIERS,
    TABLE_REGRESSORS,
    Candidate,
)
from sknets._comparison.graphs import GraphStatistics, NodeStatistics
from sknets._comparison.images import FlatPixels
from sknets._comparison.preparation import TEXT_COLUMNS, table_preparation
from sknets._comparison.problem import Problem
from sknets._comparison.samplers import of_samples
from sknets._comparison.sequences import SequenceStatistics, tfidf
from sknets._comparison.trees import LeafText
from sknets._comparison.videos import ClipStatistics
from sknets._comparison.warping import MiniRocket
from sknets.embeddings import Word2VecVectorizer


@dataclass
class Entry:
    """One row of the leaderboard to come: the model as it will run, and remarks."""

    model: Any
    note: str = ""

    @property
    def family(self) -> str:
        """Return "baseline", "deep" (a neural network) or "classical"."""
        inner = innermost(self.model)
        dummy = type(inner).__module__.startswith("sklearn.dummy")
        if dummy or getattr(inner, "is_baseline", False):
            return "baseline"
        return "deep" if _has_network(self.model) else "classical"


def _has_network(model: Any) -> bool:
    """Whether a network is the model, or gives its features."""
    if isinstance(model, Pipeline):
        return any(_has_network(step) for _, step in model.steps)
    home = type(innermost(model)).__module__
    nets = ("sknets.", "skorch.", "sklearn.neural_network")
    return home.startswith(nets) and not home.startswith("sknets._comparison.")


def innermost(model: Any) -> Any:
    """Return the model inside pipelines and scikit-learn's wrappers."""
    while True:
        if isinstance(model, Pipeline):
            model = model.steps[-1][1]
            continue
        inner = [
            value
            for name in ("estimator", "regressor", "classifier")
            if hasattr(value := getattr(model, name, None), "fit")
        ]
        if not inner:
            return model
        model = inner[0]


def choose_models(models: Any, problem: Problem) -> dict[str, Entry]:
    """Return the rows to run, by name, in the order in which they run.

    Parameters
    ----------
    models : "auto", str, list or dict
        As in `sknets.compare`.
    problem : Problem
        What is known of X and y.
    """
    auto = {row.name: row for row in CANDIDATES[problem.kind].classical[problem.asked]}
    deep = {
        name: getattr(sknets, name)
        for name in _catalogue.names(task=problem.asked)
        if _takes_part(name, problem) and not problem.sampled
    }
    if problem.asked in ON_FEATURES:
        for name in CANDIDATES[problem.kind].features:
            deep[f"{name} + {_on_features(auto, problem)}"] = getattr(sknets, name)
    if isinstance(models, str) and models != "auto":
        models = [models]
    if isinstance(models, dict):
        wanted = list(models.items())
    elif isinstance(models, (list, tuple)):
        wanted = [("", item) for item in models]
    elif isinstance(models, str):
        wanted = [("", models)]
    else:
        raise ValueError(
            "compare(models=...): models must be 'auto', a list of names and "
            f"estimators, or a dict of them, got {type(models).__name__}"
        )
    if not wanted:
        raise ValueError(f"compare(models={models!r}): models must name at least one")
    chosen: dict[str, Entry] = {}
    for label, item in wanted:
        if isinstance(item, str) and item == "auto":
            for name in _running_order(auto, deep, CANDIDATES[problem.kind].n_slow):
                if why := _left_out(auto.get(name), deep.get(name), problem):
                    problem.notes.append(f"left out {name}: {why}")
                    continue
                chosen[name] = _entry(name, auto, deep, problem)
        elif isinstance(item, str):
            name = _find(item, [*auto, *deep])
            chosen[_unused(label or name, chosen)] = _entry(name, auto, deep, problem)
        else:
            if problem.sampled and hasattr(item, "sample"):
                item = of_samples(item)
            _check_given(item, problem)
            name = label or type(innermost(item)).__name__
            chosen[_unused(name, chosen)] = Entry(_prepare_given(item, problem))
    return chosen


def _takes_part(name: str, problem: Problem) -> bool:
    kind = CANDIDATES[problem.kind]
    _, takes = _catalogue.ESTIMATORS[name]
    native = takes[0]
    if native == problem.kind or (kind.table_style and native == "table"):
        return True
    if name in kind.on_arrays:
        return hasattr(problem.X, "ndim") and problem.X.ndim > 2
    return not kind.only_native and problem.kind in takes


def _left_out(row: Candidate | None, cls: Any, problem: Problem) -> str:
    """Say why a model is not run unless it is named."""
    if row is not None and row.left_out is not None:
        return row.left_out(problem.X, problem.y, problem.settings)
    if row is not None and row.needs and find_spec(row.needs) is None:
        return _missing(row)
    why = _too_wide(cls, problem) or getattr(cls, "_lacks", str)()
    return why and f"{why}; name it to run it"


def _on_features(auto: dict[str, Candidate], problem: Problem) -> str:
    """The classical model that learns by the features of a network."""
    return next(name for name in ON_FEATURES[problem.task] if name in auto)


def _missing(row: Candidate) -> str:
    return (
        f"it needs {row.needs}, which is not installed: pip install "
        '"sknets[forecasting]"'
    )


def _too_wide(cls: Any, problem: Problem) -> str:
    """Say why a network whose time grows with the columns' square takes hours."""
    most = getattr(cls, "_most_columns", None)
    if most is None or problem.kind not in ("table", "videos"):
        return ""
    if problem.kind == "videos":
        return "a clip is a row of four numbers a pixel"
    if problem.is_sparse:
        return "it would make a sparse table dense"
    texts = list((problem.roles or {}).values()).count("text")
    width = np.shape(problem.X)[1] + TEXT_COLUMNS * texts
    return f"{width:,} columns are more than {most}" if width > most else ""


def _running_order(
    auto: dict[str, Candidate], deep: dict[str, Any], n_slow: int
) -> list[str]:
    # Ours run before the slowest classical models, the net and the kernel machine.
    names = list(auto)
    fast = max(1, len(names) - n_slow)
    return [*names[:fast], *deep, *names[fast:]]


def _find(name: str, names: list[str]) -> str:
    def short(text: str) -> str:
        return re.sub(r"[ _-]|(classifier|regressor)$", "", text.lower())

    found = [n for n in names if short(name) in (short(n), short(n.split("+")[0]))]
    if not found:
        raise ValueError(
            f"compare(models={name!r}): there is no such model for this task; "
            + near_names(name, names)
        )
    return found[0]


def _unused(name: str, taken: dict[str, Entry]) -> str:
    number = 2
    fresh = name
    while fresh in taken:
        fresh, number = f"{name} {number}", number + 1
    return fresh


def _check_given(item: Any, problem: Problem) -> None:
    if isinstance(item, type) or not (
        hasattr(item, "fit") and hasattr(item, "predict")
    ):
        what = f"the class {item.__name__}" if isinstance(item, type) else repr(item)
        fix = f": pass an instance, {item.__name__}()" if isinstance(item, type) else ""
        raise ValueError(
            "compare(models=...): each model must be a name or an estimator with fit "
            f"and predict, got {what}{fix}"
        )
    wrong = {
        "classification": [is_regressor],
        "regression": [is_classifier],
    }
    others = wrong.get(problem.task, [is_classifier, is_regressor])
    if any(is_other(item) for is_other in others):
        raise ValueError(
            f"compare(models=...): {type(item).__name__} is not for {problem.task}; "
            "the task can be set with task="
        )


def _entry(
    name: str, auto: dict[str, Candidate], deep: dict[str, Any], problem: Problem
) -> Entry:
    if name in deep:
        model = deep[name]()
        legal = model.get_params(deep=False)
        if "device" in legal:
            model.set_params(device=problem.device)
        model.set_params(**problem.settings)
        if "patch_size" in legal and problem.kind == "images":
            model.set_params(patch_size="auto")
        if "standardize" in legal and "text" in (problem.roles or {}).values():
            # The preparation scales all but the text's columns: at unit variance
            # these many weak ones would drown the others.
            model.set_params(standardize=False)
        if not hasattr(model, "predict"):
            top, _ = _classical(auto[_on_features(auto, problem)], problem)
            model = make_pipeline(model, StandardScaler(), top)
        style = _style_for(deep[name], problem)
        return Entry(_prepare(model, Candidate(name, deep[name], style), problem))
    model, note = _classical(auto[name], problem)
    return Entry(_prepare(model, auto[name], problem), note)


def _classical(row: Candidate, problem: Problem) -> tuple[Any, str]:
    """A classical model that takes the size and the target of the problem; a note."""
    if row.needs and find_spec(row.needs) is None:
        raise ImportError(f"compare(models={row.name!r}): {_missing(row)}")
    note, model = "", row.make().set_params(**problem.settings)
    if row.large is not None and problem.n_rows > LARGE:
        model = row.large()
        note = (
            f"kernel approximated (Nystroem, 300 components): {problem.n_rows:,} rows"
        )
    if row.scaled_target:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    if problem.n_targets > 1 and not row.multi:
        several = {
            "classification": MultiOutputClassifier,
            "regression": MultiOutputRegressor,
        }
        model = several[problem.task](model)
    return model, note


def _prepare_given(item: Any, problem: Problem) -> Any:
    parts = [item, *item.get_params(deep=False).values()]
    if any(isinstance(part, (Pipeline, ColumnTransformer)) for part in parts):
        return _seeded(item, problem.seed)
    kind = type(innermost(item))
    if problem.kind == "series":
        item = clone(item)
        # Else they would be forecast themselves.
        if getattr(item, "exogenous", ()) is None:
            item.set_params(exogenous=problem.settings["exogenous"])
        return _seeded(item, problem.seed)
    if problem.kind != "table":
        row = Candidate("", kind, _style_for(kind, problem))
        return _prepare(clone(item), row, problem)
    if problem.roles is None and not problem.has_missing:
        return _seeded(item, problem.seed)
    style = {
        type(row.make()): row.style for row in (*TABLE_CLASSIFIERS, *TABLE_REGRESSORS)
    }
    own = _style_for(kind, problem) if kind.__module__.startswith("sknets.") else ""
    row = Candidate("", kind, own or style.get(kind, "dense"))
    return _prepare(clone(item), row, problem)


def _style_for(cls: Any, problem: Problem) -> str:
    """How X is prepared for an estimator: as it is, if it is made for such data."""
    kind = CANDIDATES[problem.kind]
    takes = {kind.name for kind in getattr(cls, "_inputs", ())}
    if problem.kind not in takes:
        return kind.table_style or kind.given_style
    if kind.deep_style == "embedded" and not hasattr(cls, "categorical_features"):
        return "dense"  # it learns no vectors of categories
    return kind.deep_style


def _prepare(model: Any, row: Candidate, problem: Problem) -> Any:
    """Put before a model what it needs to take this table."""
    steps: list[Any] = []
    if not row.style:
        pass
    elif row.style == "pixels":
        steps = [FlatPixels()]
    elif row.style == "tfidf":
        steps = [tfidf(problem.X)]
    elif row.style == "words":
        steps = [Word2VecVectorizer(min_count=2, pooling="tfidf"), StandardScaler()]
    elif row.style == "statistics":
        steps = [SequenceStatistics(), StandardScaler()]
    elif row.style == "kernels":
        steps = [MiniRocket(), StandardScaler(with_mean=False)]
    elif row.style == "clips":
        steps = [ClipStatistics()]
    elif row.style == "leaves":
        steps = [LeafText(), TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2))]
    elif row.style == "structure":
        if problem.kind == "nodes":
            steps = [NodeStatistics(), MaxAbsScaler()]
        else:
            steps = [GraphStatistics(), StandardScaler()]
    elif problem.roles is not None:
        steps = [table_preparation(problem.roles, row.style, problem.seed)]
    elif problem.is_sparse:
        if row.scaled:
            steps = [MaxAbsScaler()]
        if row.dense:
            steps = [FunctionTransformer(_to_dense, accept_sparse=True)]
    else:
        if problem.has_missing and row.finite:
            steps.append(SimpleImputer(strategy="median", add_indicator=True))
        if row.scaled:
            steps.append(StandardScaler())
    return _seeded(make_pipeline(*steps, model) if steps else model, problem.seed)


def _to_dense(X: Any) -> np.ndarray:
    if X.shape[0] * X.shape[1] > DENSE_CELLS:
        raise ValueError(
            f"it needs dense input, and {X.shape[0]:,} x {X.shape[1]:,} cells are too "
            "many"
        )
    return X.toarray()


def _seeded(model: Any, seed: int) -> Any:
    """Return a copy whose unset random states are all the same seed."""
    model = clone(model)
    unset = {
        name: seed
        for name, value in model.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return model.set_params(**unset) if unset else model
