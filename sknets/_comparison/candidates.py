"""Which models `compare` runs for which kind of data, as a table to be read.

A kind of data (`sknets._inputs.kinds`) has one row in `CANDIDATES`: the classical
models that practitioners try on it, and how X is prepared for each. The deep models of
a kind need no row: they are those that `sknets._catalogue` lists for it (the first kind
of an estimator is the one it is meant for).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sknets._catalogue import listed
from sknets._comparison.classical import (
    CAPTIONERS,
    DETECTORS,
    FORECASTERS,
    GRAPH_CLASSIFIERS,
    GRAPH_REGRESSORS,
    IMAGE_CLASSIFIERS,
    IMAGE_REGRESSORS,
    POSE_FINDERS,
    RECOGNIZERS,
    SAMPLERS,
    SEGMENTERS,
    SEQUENCE_CLASSIFIERS,
    SEQUENCE_REGRESSORS,
    TABLE_CLASSIFIERS,
    TABLE_REGRESSORS,
    TEXT_CLASSIFIERS,
    TEXT_REGRESSORS,
    TRANSLATORS,
    TREE_CLASSIFIERS,
    TREE_REGRESSORS,
    VIDEO_CLASSIFIERS,
    VIDEO_REGRESSORS,
    Candidate,
)
from sknets._comparison.graphs import describe_graphs, describe_nodes
from sknets._comparison.images import describe_images
from sknets._comparison.sequences import describe_sequences, describe_texts
from sknets._comparison.series import describe_series
from sknets._comparison.trees import describe_trees
from sknets._comparison.videos import describe_videos
from sknets._inputs.kinds import KINDS, describe, kind_of


@dataclass(frozen=True)
class Candidates:
    """The models of one kind of data.

    Attributes
    ----------
    classical : dict
        Classical models by task.
    describe : callable or None
        Returns the facts and the notes about X; None for tables, which are more than
        read.
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
    n_slow : int
        How many classical models, the last ones, run after the networks.
    """

    classical: dict[str, tuple[Candidate, ...]]
    describe: Callable[[Any], tuple[list[str], list[str]]] | None
    deep_style: str = ""
    table_style: str = ""
    given_style: str = ""
    features: tuple[str, ...] = ()
    on_arrays: tuple[str, ...] = ()
    only_native: bool = True
    n_slow: int = 2


# What learns by the features of a network, by task: the first that there is.
ON_FEATURES = {
    "classification": ("LogisticRegression",),
    "regression": ("RidgeCV", "Ridge"),
}


# By the names of `sknets._inputs.kinds.KINDS`.
CANDIDATES: dict[str, Candidates] = {
    "trees": Candidates(
        {"classification": TREE_CLASSIFIERS, "regression": TREE_REGRESSORS},
        describe_trees,
        given_style="leaves",
    ),
    "text": Candidates(
        {
            "classification": TEXT_CLASSIFIERS,
            "regression": TEXT_REGRESSORS,
            "translation": TRANSLATORS,
        },
        describe_texts,
        given_style="tfidf",
        features=("BERTVectorizer",),
        only_native=False,
    ),
    "table": Candidates(
        {
            "classification": TABLE_CLASSIFIERS,
            "regression": TABLE_REGRESSORS,
            "sampling": SAMPLERS,
        },
        None,
        deep_style="embedded",
        features=("AutoencoderTransformer", "RBMFeatures"),
    ),
    "nodes": Candidates(
        {"classification": GRAPH_CLASSIFIERS, "regression": GRAPH_REGRESSORS},
        describe_nodes,
        given_style="structure",
        features=("GNNEmbedder",),
    ),
    "graphs": Candidates(
        {"classification": GRAPH_CLASSIFIERS, "regression": GRAPH_REGRESSORS},
        describe_graphs,
        given_style="structure",
    ),
    "series": Candidates({"forecasting": FORECASTERS}, describe_series, n_slow=0),
    "sequences": Candidates(
        {
            "classification": SEQUENCE_CLASSIFIERS,
            "regression": SEQUENCE_REGRESSORS,
            "speech recognition": RECOGNIZERS,
        },
        describe_sequences,
        given_style="statistics",
        on_arrays=("CNNClassifier", "CNNRegressor"),
        only_native=False,
        n_slow=1,
    ),
    "videos": Candidates(
        {"classification": VIDEO_CLASSIFIERS, "regression": VIDEO_REGRESSORS},
        describe_videos,
        table_style="clips",
    ),
    "images": Candidates(
        {
            "classification": IMAGE_CLASSIFIERS,
            "regression": IMAGE_REGRESSORS,
            "segmentation": SEGMENTERS,
            "object detection": DETECTORS,
            "pose estimation": POSE_FINDERS,
            "captioning": CAPTIONERS,
        },
        describe_images,
        table_style="pixels",
        features=("ConvolutionalAutoencoderTransformer", "RBMFeatures"),
    ),
}


def guess_kind(X: Any) -> str:
    """Return the name of the kind of data that X looks like.

    Raises
    ------
    ValueError
        If it looks like none: the sentence names the kinds and what X is.
    """
    found = kind_of(X, CANDIDATES)
    if found is not None:
        return found.name
    legal = listed(f"{KINDS[name].noun} ({KINDS[name].form})" for name in CANDIDATES)
    shape = getattr(X, "shape", None)
    hint = "; X.reshape(len(X), -1) makes a table of it" if shape and shape[1:] else ""
    raise ValueError(f"compare(X=...): X must be {legal}, got {describe(X)}{hint}")


def near_names(name: str, names: Iterable[str]) -> str:
    """Return "did you mean ...?", or the legal names when none is near."""
    legal = list(names)
    folded = {n.lower(): n for n in legal}
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(folded[n] for n in near)}?"
    return f"the names are {', '.join(legal)}"
