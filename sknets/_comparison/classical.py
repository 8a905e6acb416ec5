"""The classical models that practitioners try on each kind of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
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
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifierCV, RidgeCV
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    KNeighborsRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from sknets._comparison.blobs import BlobForest, DummyDetector
from sknets._comparison.forecasters import (
    Autoregression,
    ExponentialSmoothing,
    NaiveForecaster,
)
from sknets._comparison.pixels import DummySegmenter, PixelForest
from sknets._comparison.poses import DummyPose, PixelRidge, not_one_person
from sknets._comparison.samplers import RealRows, of_samples
from sknets._comparison.sentences import (
    NearestImage,
    NearestSentence,
    NearestSound,
    WordByWord,
    many_texts,
)
from sknets._comparison.sequences import SoundThirds
from sknets._comparison.series import season_missing
from sknets._comparison.warping import (
    NearestWarpedClassifier,
    NearestWarpedRegressor,
    warping_takes_long,
)
from sknets.adversarial import GANSampler
from sknets.autoencoders import VAETransformer
from sknets.boltzmann import DBNClassifier

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
    needs : str
        A library of the extra "forecasting" that it is made of.
    left_out : callable or None
        Says of X, y and the settings why it is not run unless it is named, or nothing.
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
    needs: str = ""
    left_out: Callable[[Any, Any, dict[str, Any]], str] | None = None


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
SEGMENTERS = (
    Candidate("DummySegmenter", DummySegmenter, style=""),
    Candidate("PixelForest", PixelForest, style=""),
)
DETECTORS = (
    Candidate("DummyDetector", DummyDetector, style=""),
    Candidate("BlobForest", BlobForest, style=""),
)
POSE_FINDERS = (
    Candidate("DummyPose", DummyPose, style=""),
    Candidate("PixelRidge", PixelRidge, style="", left_out=not_one_person),
)
CAPTIONERS = (Candidate("NearestImage", NearestImage, style=""),)
TRANSLATORS = (
    Candidate("NearestSentence", NearestSentence, style=""),
    Candidate("WordByWord", WordByWord, style=""),
)
RECOGNIZERS = (
    Candidate("NearestSound", NearestSound, style=""),
    Candidate(
        "SVC",
        lambda: make_pipeline(SoundThirds(), StandardScaler(), SVC(C=10)),
        style="",
        left_out=many_texts,
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
# On thousands of shares of kernels a linear model is regularised more or less.
_ALPHAS = tuple(np.logspace(-3, 3, 10))
SEQUENCE_CLASSIFIERS = (
    *_for_rows_of(
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
    ),
    Candidate(
        "MiniRocket", partial(RidgeClassifierCV, alphas=_ALPHAS), style="kernels"
    ),
    Candidate(
        "1-NN DTW", NearestWarpedClassifier, style="", left_out=warping_takes_long
    ),
)
SEQUENCE_REGRESSORS = (
    *_for_rows_of(
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
    ),
    Candidate("MiniRocket", partial(RidgeCV, alphas=_ALPHAS), style="kernels"),
    Candidate(
        "1-NN DTW", NearestWarpedRegressor, style="", left_out=warping_takes_long
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
    Candidate(
        "Word2Vec + LogisticRegression",
        partial(LogisticRegression, max_iter=2000),
        style="words",
        multi=False,
    ),
)
TEXT_REGRESSORS = (
    Candidate("DummyRegressor", DummyRegressor, style=""),
    Candidate("Ridge", Ridge, style="tfidf"),
    Candidate("KNeighborsRegressor", KNeighborsRegressor, style="tfidf"),
    Candidate("LinearSVR", LinearSVR, style="tfidf", multi=False, scaled_target=True),
    Candidate("Word2Vec + Ridge", Ridge, style="words"),
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

FORECASTERS = (
    Candidate("Naive", NaiveForecaster, style=""),
    Candidate("Mean", partial(NaiveForecaster, method="mean"), style=""),
    Candidate("Drift", partial(NaiveForecaster, method="drift"), style=""),
    Candidate(
        "SeasonalNaive",
        partial(NaiveForecaster, method="season"),
        style="",
        left_out=season_missing,
    ),
    Candidate("Autoregression", Autoregression, style=""),
    Candidate(
        "ExponentialSmoothing", ExponentialSmoothing, style="", needs="statsmodels"
    ),
)


def _forest(make: Callable[[], Any]) -> Any:
    return of_samples(make())


# Networks among them, as each is asked through a forest.
SAMPLERS = tuple(
    Candidate(name, partial(_forest, make), scaled=True, multi=False)
    for name, make in (
        ("RealRows", RealRows),
        ("KernelDensity", partial(KernelDensity, bandwidth=0.3)),
        ("GaussianMixture", partial(GaussianMixture, 2, reg_covar=1e-3)),
        ("DBNClassifier", DBNClassifier),
        ("VAETransformer", partial(VAETransformer, conditional=True)),
        ("GANSampler", GANSampler),
    )
)
