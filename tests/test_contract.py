"""Every estimator of the library keeps scikit-learn's contract and our own."""

import functools
import inspect
import logging
import os
import pickle
import re
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

import sknets
from sknets._estimator import Estimator
from sknets._sameness import Case, assert_close, assert_same, outputs
from sknets.testing import check_estimator_on, checks_of

torch.set_num_threads(1)

X, y_numbers = make_regression(60, 4, n_informative=4, noise=1.0, random_state=0)
labels = np.array(["no", "perhaps", "yes"])
y_classes = labels[np.digitize(y_numbers, np.quantile(y_numbers, [1 / 3, 2 / 3]))]

# What our own checks fit each task on: few epochs, a learnable X.
CASES = {
    "classification": (X, y_classes),
    "regression": (X, y_numbers),
    "pose lifting": (X, y_numbers),
    "transformation": (X, None),
    "outlier detection": (X, None),
    "sampling": (X, y_classes),
    "over-sampling": (X, y_classes),
}

ESTIMATORS = [
    value
    for value in (getattr(sknets, name) for name in sknets.__all__)
    if isinstance(value, type) and issubclass(value, Estimator)
]
TABULAR = [cls for cls in ESTIMATORS if get_tags(cls()).input_tags.two_d_array]

# Each kind of input besides tables, for the estimators that take it.
bars = np.zeros((24, 6, 8, 3), dtype=np.uint8)
widths = np.arange(24) % 4 + 2
bars[np.arange(8) < widths[:, None, None] * np.ones((6, 1))] = (200, 100, 50)
bars += np.random.default_rng(0).integers(0, 30, bars.shape, dtype=np.uint8)
tastes = np.random.default_rng(0).normal(size=(2, 20, 12))
stars = np.clip(np.rint(3 + tastes[0, :, :1] + tastes[1, :1]), 1, 5)
stars[np.random.default_rng(1).random(stars.shape) < 0.4] = np.nan
seen = np.argwhere(~np.isnan(stars))
named = np.array([(f"user {u}", i) for u, i in seen], dtype=object)
waves = np.sin(np.arange(14) * widths[:, None] / 4)[:, :, None] * [1.0, 2.0]
waves += np.random.default_rng(2).normal(0, 0.1, waves.shape)
waves += widths[:, None, None]  # a mean tells; frequencies take more than eight steps
reviews = [
    " ".join([*["so"] * (i % 3), ["poor", "dull", "fair", "great"][width - 2]])
    for i, width in enumerate(widths)
]
# Grey clips of five frames, in which a square goes left or right or stays.
clips = np.zeros((48, 5, 6, 8), dtype=np.uint8)
for clip, move, start in zip(clips, np.arange(48) % 3 - 1, np.arange(48) % 8):
    for step, frame in enumerate(clip):
        frame[2:4, (start + step * move + np.arange(2)) % 8] = 200
months = np.arange(90)
series = 10 + np.sin(months * np.pi / 6) + np.random.default_rng(3).normal(0, 0.1, 90)
leaves = np.random.default_rng(3).choice(["good", "bad", "so"], (24, 4))
trees = [
    ((a, b), (c, d)) if i % 2 else (a, b, (c, d))
    for i, (a, b, c, d) in enumerate(leaves)
]
moods = (leaves == "good").sum(1) - (leaves == "bad").sum(1)
marks = {"good": 1, "bad": -1, "so": 0}
brackets = [
    f"({m} " + " ".join(f"({marks[word]} {word})" for word in words) + ")"
    for m, words in zip(np.sign(moods), leaves)
]
# Nodes of like widths are friends more often; the second graph has no features.
friends = np.random.default_rng(3).random((24, 24))
friends = np.triu(friends < np.where(widths[:, None] // 2 == widths // 2, 0.3, 0.05), 1)
traits = widths[:, None] + np.random.default_rng(4).normal(0, 1, (24, 3))
nodes = sknets.graph_nodes((friends | friends.T, traits))
bare_nodes = sknets.graph_nodes(friends | friends.T)
links, are_linked = sknets.graph_links(nodes, random_state=0)
# A graph a width, all its nodes linked, with traits or without.
tangles = [1 - np.eye(width + 1) for width in widths]
molecules = [
    (tangle, np.random.default_rng(i).normal(width, 1, (len(tangle), 2)))
    for i, (tangle, width) in enumerate(zip(tangles, widths))
]
# A ring of people: who is next, and who is before.
ring = [f"person {i}" for i in range(12)]
kin = [(ring[i], "next", ring[(i + 1) % 12]) for i in range(12)]
kin = np.array([*kin, *((b, "before", a) for a, _, b in kin)], dtype=object)
# A bright spot and a dimmer one beside it are a person; one an image, or up to three.
spots = np.random.default_rng(5).integers(2, 16, (24, 3, 1, 2))
spots = np.concatenate([spots, spots + np.array([5, 3])], 2)
couples = [spots[:, :1], [own[: i % 4] for i, own in enumerate(spots)]]
dots = np.random.default_rng(6).integers(0, 30, (2, 24, 24, 24), dtype=np.uint8)
for image, own in zip(dots.reshape(48, 24, 24), [*couples[0], *couples[1]]):
    for bright, (x, y) in zip([250, 120] * 3, own.reshape(-1, 2)):
        image[y - 1 : y + 2, x - 1 : x + 2] = bright
crowds = [{"keypoints": np.insert(own, 2, 1, axis=2)} for own in couples[1]]
# Bright squares or wide bars, up to two an image.
canvases = np.random.default_rng(7).integers(0, 60, (12, 32, 32), dtype=np.uint8)
objects = []
for i, image in enumerate(canvases):
    boxes = [[2, 3 + i % 4, 12, 13 + i % 4], [15, 15 + i % 5, 31, 23 + i % 5]]
    boxes = boxes[i % 4 // 2 :] if i % 7 else []
    for x, top, right, bottom in boxes:
        image[top:bottom, x:right] = 220
    kinds = [("square", "bar")[box[0] > 9] for box in boxes]
    objects.append({"boxes": boxes, "labels": kinds})
# One of them an image.
lone = np.random.default_rng(8).integers(0, 60, (12, 32, 32), dtype=np.uint8)
sole = [
    [[15, 15 + i % 5, 31, 23 + i % 5], [2, 3 + i % 4, 12, 13 + i % 4]][i % 2]
    for i in range(12)
]
for image, (x, top, right, bottom) in zip(lone, sole):
    image[top:bottom, x:right] = 220
# Up to two tones and the name of each.
tones = np.sin(np.arange(150) * np.array([0.3, 1.0])[:, None]), ("a", "b", "ab", "ba")
sounds = [
    np.concatenate([np.zeros(40 + i % 9), *(tones[0]["ab".index(t)] for t in text)])
    for i, text in enumerate(tones[1] * 3)
]
KINDS = {
    "images": {
        "object detection": (
            [image[: 30 + i % 3] for i, image in enumerate(canvases)],
            objects,
        ),
        "object localization": (
            lone,
            [{"boxes": [b], "labels": ["bar" if b[0] > 9 else "square"]} for b in sole],
        ),
        "pose estimation": (dots[0], couples[0][:, 0] * 1.0),
        "classification": (bars, labels[widths // 2 - 1]),
        "regression": (bars, widths * 1.0),
        "segmentation": (bars, bars[..., 0] > 100),
        "sampling": (bars, labels[widths // 2 - 1]),
        "image translation": (bars, 255 - bars[..., 0]),
        "captioning": (bars, [f"a bar {width} wide" for width in widths]),
    },
    "images of unequal size": {
        "object localization": (
            [image[: 30 + i % 3] for i, image in enumerate(lone)],
            np.array(sole),
        ),
        "pose estimation": (
            [image[: 22 + i % 3] for i, image in enumerate(dots[1])],
            crowds,
        ),
        "segmentation": (
            [image[: 4 + i % 3] for i, image in enumerate(bars)],
            [9 * (image[: 4 + i % 3, :, 0] > 100) for i, image in enumerate(bars)],
        ),
        "classification": (
            [image[: 4 + i % 3] for i, image in enumerate(bars)],
            labels[widths // 2 - 1],
        ),
    },
    "sequences": {
        "classification": (waves, labels[widths // 2 - 1]),
        "regression": (waves, widths * 1.0),
        "speech recognition": (waves, ["abcd"[width - 2 :] for width in widths]),
    },
    "sequences of unequal length": {
        "classification": (
            [wave[: 8 + i % 7] for i, wave in enumerate(waves)],
            labels[widths // 2 - 1],
        ),
        "regression": (
            [wave[: 8 + i % 7] for i, wave in enumerate(waves)],
            widths * 1.0,
        ),
        "speech recognition": (sounds, list(tones[1]) * 3),
    },
    "text": {
        "classification": (reviews, labels[widths // 2 - 1]),
        "regression": (reviews, widths * 1.0),
        "translation": (reviews, [f"{text[::-1]} it is" for text in reviews]),
        "speech synthesis": (
            reviews[:12],
            [sounds[len(text) % 12] for text in reviews[:12]],
        ),
        "transformation": (reviews, None),
        "language modelling": (reviews, None),
    },
    "videos": {
        "classification": (clips, labels[np.arange(48) % 3]),
        "regression": (clips, np.arange(48) % 3 - 1.0),
    },
    "videos of unequal length": {
        "classification": (
            [clip[: 3 + i % 5 % 3] for i, clip in enumerate(clips)],
            labels[np.arange(48) % 3],
        ),
        "regression": (
            [clip[: 3 + i % 5 % 3] for i, clip in enumerate(clips)],
            np.arange(48) % 3 - 1.0,
        ),
    },
    "trees": {
        "classification": (trees, labels[np.sign(moods) + 1]),
        "regression": (trees, moods * 1.0),
    },
    "trees with labels at all nodes": {
        "classification": (brackets, np.sign(moods)),
        "regression": (brackets, np.sign(moods) * 1.0),
    },
    "nodes": {
        "classification": (nodes, labels[widths // 2 - 1]),
        "regression": (nodes, widths * 1.0),
        "transformation": (nodes, None),
    },
    "nodes without features": {
        "classification": (bare_nodes, labels[widths // 2 - 1]),
        "transformation": (bare_nodes, None),
    },
    "links": {"link prediction": (links, are_linked)},
    "graphs": {
        "classification": (molecules, labels[widths // 2 - 1]),
        "regression": (molecules, widths * 1.0),
    },
    "graphs without features": {"classification": (tangles, labels[widths // 2 - 1])},
    "triples": {"transformation": (kin, None)},
    "ratings": {"regression": (named, stars[tuple(seen.T)])},
    "ratings of a matrix": {"regression": (stars, None)},
    "series": {"forecasting": (series, None)},
    "series of a panel": {
        "forecasting": ([series[i : 70 + i % 3] * (i + 1) for i in range(12)], None)
    },
}
# What would take long to find out, and is the same whatever is chosen.
CHOSEN = {
    "classification": {"batch_size": 8},
    "regression": {"batch_size": 8},
    "forecasting": {
        "horizon": 4,
        "strategy": "direct",
        "transformation": None,
        "season": 12,
        "difference": "first",
    },
    "segmentation": {"batch_size": 8},
    "object detection": {
        "width": 8,
        "batch_size": 4,
        "score_threshold": 1e-3,
        "n_units": 16,
        "selective_search": "single",
    },
    "object localization": {"width": 8, "batch_size": 4},
    "translation": {"width": 16, "n_layers": 1, "batch_size": 8, "n_beams": 2},
    "captioning": {"width": 8, "hidden_size": 16, "batch_size": 8, "n_beams": 2},
    "speech synthesis": {"width": 16, "batch_size": 8, "sample_rate": 2000},
    "speech recognition": {
        "width": 16,
        "hidden_size": 16,
        "batch_size": 8,
        "n_beams": 2,
        "sample_rate": 2000,
    },
    "pose estimation": {
        "width": 8,
        "depth": 1,
        "batch_size": 2,
        "radius": 5,
        "threshold": 0.05,
    },
}
# But for how well is learned all is the same whatever the size, too.
SMALL = {
    "batch_size": 16,
    "embedding_size": 16,
    "feedforward_size": 16,
    "hidden_layer_sizes": (16,),
    "hidden_size": 16,
    "n_heads": 2,
    "n_units": 16,
    "width": 4,
}
SMALL_OF = {
    "FCNSegmenter": {"channels": (4, 4, 8, 8, 8)},
    "LinkPredictor": {"batch_size": 64},
    "RNNForecaster": {"batch_size": 32},
}


# All is the same after two epochs but what depends on how long is trained: how well is
# learned, and whether rounding adds up; for both these are enough.
MOST_EPOCHS = {
    "check_class_weight_classifiers": 6,
    "check_classifiers_train": 6,
    "check_regressors_train": 16,
    "check_sample_weight_equivalence_on_dense_data": 15,
    "check_sample_weight_equivalence_on_sparse_data": 15,
}
# What learns in so few is a small network at a high rate.
LEARNS = SMALL | {"batch_size": 20, "hidden_size": 48, "n_layers": 1, "lr": 0.04}
WHOLE = "WHOLE" in os.environ  # `WHOLE=1 make test`: all of it with default parameters


def scikit_learn_checks():
    for cls in TABULAR:
        for estimator, check in estimator_checks_generator(cls()):
            name = getattr(check, "func", check).__name__
            most = None if WHOLE else MOST_EPOCHS.get(name, 2)
            if name in MOST_EPOCHS and "sample_weight" not in name and not WHOLE:
                own = estimator.get_params().keys() & LEARNS
                small = {each: LEARNS[each] for each in own}
                estimator = clone(estimator).set_params(**small)
            marks = pytest.mark.at_most_epochs(most)
            yield pytest.param(
                estimator, check, marks=marks, id=f"{cls.__name__}-{name}"
            )


def chosen(cls, small):
    """Those of the above that the class has."""
    own = cls().get_params()
    given = {"pretrained": None} | CHOSEN.get(cls._task, {})
    if small:
        given = given | SMALL | SMALL_OF.get(cls.__name__, {})
    return {name: value for name, value in given.items() if name in own}


def epochs(cls, number):
    """Parameters for so many epochs, in pretraining too."""
    return {name: number for name in cls().get_params() if name.endswith("_epochs")}


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks provoke warnings
@pytest.mark.parametrize(("estimator", "check"), list(scikit_learn_checks()))
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")


# What is the same whatever the kind of X is asked once a class.
OF_A_CLASS = {
    "a_misspelt_parameter_names_the_right_one",
    "a_missing_device_falls_back_to_the_cpu",
    "an_interrupted_fit_is_unfitted",
    "parameters_are_stored_and_cloned",
    "scikit_learn_callbacks_see_every_epoch",
    "skorch_callbacks_are_cloned_and_called",
    "wrong_parameters_lose_nothing",
}
# And this once a kind, which may come in several forms ("images of unequal size").
OF_A_KIND = {"threads_do_not_disturb_each_other"}


def cases_of(cls):
    """An X and y of each kind that an estimator takes."""
    cases = {"table": CASES[cls._task]} if cls in TABULAR else {}
    for kind, given in KINDS.items():
        takes = kind.partition(" ")[0] in {kind.name for kind in cls._inputs}
        if takes and cls._task in given:
            cases[kind] = given[cls._task]
    return cases


@functools.cache
def own_case(cls, kind, small=True):
    """What is fitted once in a process, whatever is asked of it."""
    given = epochs(cls, 2 if small else 8) | chosen(cls, small)
    return Case(cls(lr=1e-2, **given), *cases_of(cls)[kind])


def own_checks():
    for cls in ESTIMATORS:
        cases = cases_of(cls)
        for kind in cases:
            checks = checks_of(own_case(cls, kind))
            learns = "learns_more_than_a_dummy"
            checks[learns] = checks_of(own_case(cls, kind, small=False))[learns]
            for name, check in checks.items():
                asked_before = (kind != next(iter(cases)) and name in OF_A_CLASS) or (
                    " " in kind and name in OF_A_KIND
                )
                if not asked_before:
                    yield pytest.param(check, id=f"{cls.__name__}-{kind}-{name}")


@pytest.mark.parametrize("check", list(own_checks()))
def test_own_check(check):
    check()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_cuda_gives_the_same_bits_and_copies_them(cls):
    before = torch.are_deterministic_algorithms_enabled()
    for kind in cases_of(cls):
        case = own_case(cls, kind)
        first, second = (case.fit(case.new(device="cuda")) for _ in range(2))
        assert first.net_.device.startswith("cuda")
        assert_same(case.of(second), case.of(first))
        twin = pickle.loads(pickle.dumps(first))
        for verb, output in case.of(twin).items():
            assert_close(output, case.of(first)[verb], first.net_.dtype)
    assert torch.are_deterministic_algorithms_enabled() == before


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_attribute_is_documented(cls):
    own = inspect.getdoc(cls)
    twins = re.findall(r"as in\s+`sknets\.(\w+)`", own)
    pages = [own, *(inspect.getdoc(getattr(sknets, twin)) for twin in twins)]
    docs = "\n".join([*pages, inspect.getdoc(Estimator)])
    lines = re.findall(r"^(\w+_(?:, \w+_)*)(?: : .+)?$", docs, re.MULTILINE)
    documented = {name for line in lines for name in line.split(", ")}
    for kind in cases_of(cls):
        fitted = own_case(cls, kind).fitted
        names = [n for n in dir(fitted) if n[0] != "_" and n[-1] == "_"]
        found = {name for name in names if hasattr(fitted, name)}
        assert found <= documented, found - documented


def test_every_tabular_estimator_takes_scikit_learns_whole_list():
    for cls in TABULAR:
        assert len(list(estimator_checks_generator(cls()))) >= 40


def test_check_estimator_on_finds_a_broken_estimator():
    class Forgetful(sknets.FeedforwardClassifier):
        def predict(self, X):
            return np.random.permutation(super().predict(X))

    with pytest.raises(AssertionError, match="bits"):
        check_estimator_on(Forgetful(max_epochs=2), *CASES["classification"])


@pytest.mark.parametrize("cls", TABULAR)
def test_skops_holds_a_fitted_estimator(cls):
    skops = pytest.importorskip("skops.io")
    fitted = own_case(cls, "table").fitted
    data = skops.dumps(fitted)
    trusted = skops.get_untrusted_types(data=data)
    assert trusted == [f"{cls.__module__}.{cls.__name__}"]
    twin = skops.loads(data, trusted=trusted)
    assert_same(outputs(twin, X), outputs(fitted, X))


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
@pytest.mark.timeout(240)
def test_other_workers_compute_the_same_bits(backend):
    X, y = make_classification(80, 5, random_state=0)
    nets = [sknets.FeedforwardClassifier(max_epochs=3, random_state=s) for s in (0, 1)]
    expected = [clone(net).fit(X, y).predict_proba(X) for net in nets]
    gnn, friends_of = sknets.GNNClassifier(max_epochs=2, random_state=0), widths // 2
    scores = cross_val_score(gnn, nodes, friends_of, cv=3)

    if backend == "dask":
        distributed = pytest.importorskip("dask.distributed")
        with (
            distributed.LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            futures = [client.submit(net.fit, X, y, pure=False) for net in nets]
            found = [future.result(timeout=120) for future in futures]
            with joblib.parallel_backend("dask", client=client):
                there = cross_val_score(gnn, nodes, friends_of, cv=3)
            np.testing.assert_array_equal(there, scores)
    else:
        with joblib.parallel_backend(backend, n_jobs=2):
            found = joblib.Parallel()(joblib.delayed(net.fit)(X, y) for net in nets)
    for fitted, other in zip(found, expected):
        np.testing.assert_array_equal(fitted.predict_proba(X), other)


def test_scikit_learns_progress_bar_reaches_from_the_search_to_the_epochs(capsys):
    pytest.importorskip("rich")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), sknets.FeedforwardClassifier(max_epochs=3)),
        {"feedforwardclassifier__lr": [1e-3, 1e-2]},
        cv=2,
    )
    monitor = ScoringMonitor(scoring="accuracy")
    search.estimator.steps[-1][1].set_callbacks(monitor)
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(*CASES["classification"])
    assert "Pipeline - fit-final-estimator | Feedforward" in capsys.readouterr().out
    tasks = [row["task_name"] for row in monitor.get_logs().data]
    assert tasks.count("epoch") == 3 * 5  # four candidates' splits and the refit
