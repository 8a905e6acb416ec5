"""Which models `compare` runs for which kind of data, as a table to be read.

A kind of data is one `Kind` in `KINDS`: how to recognise it, the classical models
that practitioners try on it, and how X is prepared for each. The deep models of a
kind need no row: they are found through `sknets.__all__` by their own `_inputs`
(the first kind an estimator names is the one it is meant for).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from sknets._comparison.clips import are_videos
from sknets._comparison.preparation import is_frame, is_sparse
from sknets._comparison.sequential import are_sequences, are_texts
from sknets._comparison.trees import are_trees
from sknets._inputs import GraphLists, Nodes

# From here on a kernel machine (quadratic in rows) is approximated.
LARGE = 10_000
# Where a model needs dense input, sparse X is densified up to this many cells.
DENSE_CELLS = 50_000_000


@dataclass(frozen=True)
class Candidate:
    """A classical model of the table: how it is made and what it needs.

    Attributes
    ----------
    name : str
        Row of the leaderboard.
    make : callable
        Makes the estimator.
    style : str
        How X is prepared for it, as `preparation.table_preparation` says; empty: not
        at all.
    scaled : bool
        Whether it needs columns on one scale even when X is a plain array.
    dense, finite : bool
        Whether it refuses sparse X, and NaN.
    multi : bool
        Whether it takes several targets itself; else one model is fitted for each.
    scaled_target : bool
        Whether a regression target has to be on a unit scale.
    large : callable or None
        What is made instead above `LARGE` rows.
    """

    name: str
    make: Callable[[], Any]
    style: str = "dense"
    scaled: bool = False
    dense: bool = False
    finite: bool = True
    multi: bool = True
    scaled_target: bool = False
    large: Callable[[], Any] | None = None


def _kernel_machine(linear: Callable[..., Any]) -> Pipeline:
    return make_pipeline(Nystroem(n_components=300), linear(dual="auto"))


# Cheap models first: under a time limit these are the ones that finish.
TABLE_CLASSIFIERS = (
    Candidate("DummyClassifier", DummyClassifier, style="", finite=False),
    Candidate("GaussianNB", GaussianNB, dense=True, multi=False),
    Candidate(
        "LogisticRegression",
        partial(LogisticRegression, max_iter=2000),
        style="linear",
        scaled=True,
        multi=False,
    ),
    Candidate("KNeighborsClassifier", KNeighborsClassifier, scaled=True),
    Candidate(
        "HistGradientBoostingClassifier",
        partial(HistGradientBoostingClassifier, categorical_features="from_dtype"),
        style="category",
        dense=True,
        finite=False,
        multi=False,
    ),
    Candidate(
        "RandomForestClassifier", RandomForestClassifier, style="ordinal", finite=False
    ),
    Candidate("MLPClassifier", partial(MLPClassifier, max_iter=500), scaled=True),
    Candidate(
        "SVC",
        SVC,
        scaled=True,
        multi=False,
        large=partial(_kernel_machine, LinearSVC),
    ),
)
TABLE_REGRESSORS = (
    Candidate("DummyRegressor", DummyRegressor, style="", finite=False),
    Candidate(
        "RidgeCV",
        partial(RidgeCV, alphas=tuple(np.logspace(-2, 4, 13))),
        style="linear",
        scaled=True,
    ),
    Candidate("KNeighborsRegressor", KNeighborsRegressor, scaled=True),
    Candidate(
        "HistGradientBoostingRegressor",
        partial(HistGradientBoostingRegressor, categorical_features="from_dtype"),
        style="category",
        dense=True,
        finite=False,
        multi=False,
    ),
    Candidate(
        "RandomForestRegressor", RandomForestRegressor, style="ordinal", finite=False
    ),
    Candidate(
        "MLPRegressor",
        partial(MLPRegressor, max_iter=500),
        scaled=True,
        scaled_target=True,
    ),
    Candidate(
        "SVR",
        SVR,
        scaled=True,
        multi=False,
        scaled_target=True,
        large=partial(_kernel_machine, LinearSVR),
    ),
)


def _for_rows_of(
    style: str, rows: Iterable[Candidate], names: Iterable[str]
) -> tuple[Candidate, ...]:
    """Models of tables for rows made of something else, all on one scale already."""
    return tuple(
        replace(row, style=style if row.style else "", scaled=False)
        for row in rows
        if row.name in names
    )


# Not the boosted trees: hundreds of pixels take them minutes.
IMAGE_CLASSIFIERS = _for_rows_of(
    "pixels",
    TABLE_CLASSIFIERS,
    (
        "DummyClassifier",
        "LogisticRegression",
        "KNeighborsClassifier",
        "RandomForestClassifier",
        "MLPClassifier",
        "SVC",
    ),
)
IMAGE_REGRESSORS = _for_rows_of(
    "pixels",
    TABLE_REGRESSORS,
    (
        "DummyRegressor",
        "RidgeCV",
        "KNeighborsRegressor",
        "RandomForestRegressor",
        "MLPRegressor",
        "SVR",
    ),
)
VIDEO_CLASSIFIERS = _for_rows_of(
    "clips",
    TABLE_CLASSIFIERS,
    ("DummyClassifier", "LogisticRegression", "RandomForestClassifier", "SVC"),
)
VIDEO_REGRESSORS = _for_rows_of(
    "clips",
    TABLE_REGRESSORS,
    ("DummyRegressor", "RidgeCV", "RandomForestRegressor", "SVR"),
)
SEQUENCE_CLASSIFIERS = _for_rows_of(
    "statistics",
    TABLE_CLASSIFIERS,
    (
        "DummyClassifier",
        "LogisticRegression",
        "KNeighborsClassifier",
        "HistGradientBoostingClassifier",
        "RandomForestClassifier",
        "SVC",
    ),
)
SEQUENCE_REGRESSORS = _for_rows_of(
    "statistics",
    TABLE_REGRESSORS,
    (
        "DummyRegressor",
        "RidgeCV",
        "KNeighborsRegressor",
        "HistGradientBoostingRegressor",
        "RandomForestRegressor",
        "SVR",
    ),
)
GRAPH_CLASSIFIERS = _for_rows_of(
    "structure",
    TABLE_CLASSIFIERS,
    ("DummyClassifier", "LogisticRegression", "RandomForestClassifier", "SVC"),
)
GRAPH_REGRESSORS = _for_rows_of(
    "structure",
    TABLE_REGRESSORS,
    ("DummyRegressor", "RidgeCV", "RandomForestRegressor", "SVR"),
)

TEXT_CLASSIFIERS = (
    Candidate("DummyClassifier", DummyClassifier, style=""),
    Candidate("MultinomialNB", MultinomialNB, style="tfidf", multi=False),
    Candidate("KNeighborsClassifier", KNeighborsClassifier, style="tfidf"),
    Candidate("LinearSVC", LinearSVC, style="tfidf", multi=False),
    Candidate(
        "LogisticRegression",
        partial(LogisticRegression, max_iter=2000),
        style="tfidf",
        multi=False,
    ),
)
TEXT_REGRESSORS = (
    Candidate("DummyRegressor", DummyRegressor, style=""),
    Candidate("Ridge", Ridge, style="tfidf"),
    Candidate("KNeighborsRegressor", KNeighborsRegressor, style="tfidf"),
    Candidate("LinearSVR", LinearSVR, style="tfidf", multi=False, scaled_target=True),
)

# By TF-IDF of the leaves.
TREE_CLASSIFIERS = (
    Candidate("DummyClassifier", DummyClassifier, style="leaves"),
    Candidate(
        "LogisticRegression",
        partial(LogisticRegression, max_iter=2000),
        style="leaves",
        multi=False,
    ),
    Candidate("LinearSVC", LinearSVC, style="leaves", multi=False),
)
TREE_REGRESSORS = (
    Candidate("DummyRegressor", DummyRegressor, style="leaves"),
    Candidate("Ridge", Ridge, style="leaves"),
    Candidate("LinearSVR", LinearSVR, style="leaves", multi=False, scaled_target=True),
)


@dataclass(frozen=True)
class Kind:
    """One kind of data: how it is recognised and its models.

    Attributes
    ----------
    accepts : callable
        Whether X is of this kind.
    classical : dict
        Classical models by task.
    deep_style : str
        How X is prepared for the networks made for it.
    table_style : str
        How X is made a table for the networks of tables; empty: they are left out.
    given_style : str
        How X is prepared for models from elsewhere that are not pipelines.
    features : tuple of str
        Networks that learn features without y, for the classical model in `ON_FEATURES`
        to learn by.
    on_arrays : tuple of str
        Networks made for another kind that take arrays of this one too.
    only_native : bool
        Whether networks that are made for another kind in the first place, and take
        this one too, are left out.
    """

    accepts: Callable[[Any], bool]
    classical: dict[str, tuple[Candidate, ...]] = field(default_factory=dict)
    deep_style: str = "dense"
    table_style: str = ""
    given_style: str = ""
    features: tuple[str, ...] = ()
    on_arrays: tuple[str, ...] = ()
    only_native: bool = True


# What learns by the features of a network, by task.
ON_FEATURES = {"classification": "LogisticRegression", "regression": "RidgeCV"}


def _is_table(X: Any) -> bool:
    if is_sparse(X) or is_frame(X):
        return True
    if isinstance(X, np.ndarray) or hasattr(X, "__array__"):
        return getattr(X, "ndim", np.ndim(X)) == 2
    rows = X[0] if isinstance(X, (list, tuple)) and len(X) else None
    if isinstance(rows, dict):
        return all(np.isscalar(v) or v is None for v in rows.values())
    return isinstance(rows, (list, tuple)) and all(
        np.isscalar(v) or v is None for v in rows
    )


def _are_images(X: Any) -> bool:
    axes = getattr(X, "ndim", None)
    if axes is not None and axes > 1:
        return 3 <= axes <= 5
    items = isinstance(X, (list, tuple)) or getattr(X, "dtype", None) == np.object_
    return items and len(X) > 0 and 2 <= getattr(np.asarray(X[0]), "ndim", 0) <= 4


KINDS: dict[str, Kind] = {
    "trees": Kind(
        are_trees,
        {"classification": TREE_CLASSIFIERS, "regression": TREE_REGRESSORS},
        deep_style="",
        given_style="leaves",
    ),
    "text": Kind(
        are_texts,
        {"classification": TEXT_CLASSIFIERS, "regression": TEXT_REGRESSORS},
        deep_style="",
        given_style="tfidf",
        only_native=False,
    ),
    "table": Kind(
        _is_table,
        {"classification": TABLE_CLASSIFIERS, "regression": TABLE_REGRESSORS},
        deep_style="embedded",
        features=("AutoencoderTransformer", "RBMFeatures"),
    ),
    "nodes": Kind(
        Nodes.accepts,
        {"classification": GRAPH_CLASSIFIERS, "regression": GRAPH_REGRESSORS},
        deep_style="",
        given_style="structure",
        features=("GNNEmbedder",),
    ),
    # Before all that asks for the shape of an item.
    "graphs": Kind(
        GraphLists.accepts,
        {"classification": GRAPH_CLASSIFIERS, "regression": GRAPH_REGRESSORS},
        deep_style="",
        given_style="structure",
    ),
    "sequences": Kind(
        are_sequences,
        {"classification": SEQUENCE_CLASSIFIERS, "regression": SEQUENCE_REGRESSORS},
        deep_style="",
        given_style="statistics",
        on_arrays=("CNNClassifier", "CNNRegressor"),
        only_native=False,
    ),
    # Before images, which may have as many axes.
    "videos": Kind(
        are_videos,
        {"classification": VIDEO_CLASSIFIERS, "regression": VIDEO_REGRESSORS},
        deep_style="",
        table_style="clips",
    ),
    "images": Kind(
        _are_images,
        {"classification": IMAGE_CLASSIFIERS, "regression": IMAGE_REGRESSORS},
        deep_style="",
        table_style="pixels",
        features=("ConvolutionalAutoencoderTransformer", "RBMFeatures"),
    ),
}


def guess_kind(X: Any) -> str:
    """Return the name of the first kind of data that accepts X.

    Raises
    ------
    ValueError
        If none does: the sentence names the kinds and what X looks like.
    """
    for name, kind in KINDS.items():
        if kind.accepts(X):
            return name
    shape = getattr(X, "shape", None)
    seen = f"an array of shape {shape}" if shape is not None else f"{_describe(X)}"
    hint = "; X.reshape(len(X), -1) makes a table of it" if shape and shape[1:] else ""
    raise ValueError(
        "compare(X=...): X must be a table (rows and columns), texts (a list of "
        "strings), trees (bracketed strings, nested tuples of words), sequences, "
        "images or videos (an array of 3 to 5 axes, or a list of arrays), a list of "
        f"graphs, or graph_nodes(graph), got {seen}{hint}"
    )


def _describe(X: Any) -> str:
    inside = f" of {type(X[0]).__name__}" if isinstance(X, list) and X else ""
    empty = "an empty" if isinstance(X, list) and not X else "a"
    return f"{empty} {type(X).__name__}{inside}"


def deep_estimators() -> list[tuple[str, Any]]:
    """Return every public estimator of this library as (name, class), sorted."""
    import sknets
    from sknets._estimator import Estimator

    found = ((name, getattr(sknets, name)) for name in sorted(sknets.__all__))
    return [
        (name, item)
        for name, item in found
        if isinstance(item, type) and issubclass(item, Estimator)
    ]


def near_names(name: str, names: Iterable[str]) -> str:
    """Return "did you mean ...?", or the legal names when none is near."""
    legal = list(names)
    folded = {n.lower(): n for n in legal}
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(folded[n] for n in near)}?"
    return f"the names are {', '.join(legal)}"
