"""`partial_fit` on chunks: what is known is that of all rows, each counted once."""

import inspect
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sknets import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CNNClassifier,
    CNNRegressor,
    ConvolutionalAutoencoderTransformer,
    DBNFeatures,
    FeedforwardClassifier,
    FeedforwardRegressor,
    GNNRegressor,
    GraphClassifier,
    PretrainedClassifier,
    RBMFeatures,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    TransformerClassifier,
    TransformerRegressor,
    VAETransformer,
    VideoClassifier,
    graph_nodes,
    load,
)
from sknets._engine.chunks import Chunks
from sknets._engine.moments import Moments

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:.*X holds float images")

random = np.random.default_rng(0)
N = 120
ROWS = 30 + 5 * random.normal(size=(N, 4)) * [1, 10, 0.1, 2]
ROWS = ROWS[ROWS[:, 1].argsort()]  # the first chunk is like no other
UNIT = (ROWS - ROWS.min(0)) / np.ptp(ROWS, axis=0)
NUMBERS = 1e3 + 7 * ROWS[:, 1] + ROWS[:, 0]
LABELS = np.where(ROWS[:, 0] > 30, "high", "low")
WEIGHT = random.integers(1, 4, N).astype(float)
STEPS = ROWS[:, :, None] * [1.0, -2.0]
IMAGES = np.abs(ROWS[:, :, None, None] + random.normal(size=(N, 4, 6, 3)))
CLIPS = np.repeat(IMAGES[:, None], 3, axis=1)
GAPS = np.where(random.random(ROWS.shape) < 0.2, np.nan, ROWS)
QUICK = {"max_epochs": 1, "random_state": 0}

CASES = {
    "dense": (FeedforwardRegressor(), ROWS, NUMBERS, WEIGHT),
    "dense, sparse": (FeedforwardClassifier(), sp.csr_matrix(ROWS), LABELS, None),
    "dense, NaN": (FeedforwardClassifier(), GAPS, LABELS, WEIGHT),
    "absolute error": (
        FeedforwardRegressor(loss="absolute_error"),
        ROWS,
        NUMBERS,
        WEIGHT,
    ),
    "poisson": (FeedforwardRegressor(loss="poisson"), ROWS, NUMBERS, None),
    "transformer": (TransformerRegressor(n_layers=1), ROWS, NUMBERS, WEIGHT),
    "transformer, steps": (TransformerClassifier(n_layers=1), STEPS, LABELS, WEIGHT),
    "recurrent": (RNNRegressor(loss="quantile"), STEPS, NUMBERS, WEIGHT),
    "images": (CNNRegressor(channels=4), IMAGES, NUMBERS, WEIGHT),
    "video": (VideoClassifier(channels=4), CLIPS, LABELS, None),
    "autoencoder": (AutoencoderTransformer(), ROWS, None, None),
    "outliers": (AutoencoderOutlierDetector(), ROWS, None, None),
    "convolutional": (
        ConvolutionalAutoencoderTransformer(channels=4),
        IMAGES,
        None,
        None,
    ),
    "variational": (VAETransformer(conditional=True), ROWS, LABELS, None),
    "pretrained": (PretrainedClassifier(pretraining_epochs=1), ROWS, LABELS, None),
    "machine": (RBMFeatures(n_components=3), ROWS, None, None),
    "binary machine": (RBMFeatures(n_components=3), UNIT, None, None),
    "deep machine": (DBNFeatures(hidden_layer_sizes=3), UNIT, None, None),
}
STATISTICS = [
    "x_mean_",
    "x_scale_",
    "y_mean_",
    "y_scale_",
    "class_prior_",
    "n_samples_seen_",
]


def chunks(X, y=None, weight=None, size=20):
    for start in range(0, len(y) if y is not None else len(X), size):
        rows = slice(start, start + size)
        more = {} if weight is None else {"sample_weight": weight[rows]}
        yield X[rows], None if y is None else y[rows], more


def part_fit(model, *data, size=20, passes=1):
    """Train on one chunk after the other."""
    classes = None if data[1] is None or data[1].dtype.kind == "f" else set(data[1])
    announced = {} if classes is None else {"classes": sorted(classes)}
    if "classes" not in inspect.signature(model.partial_fit).parameters:
        announced = {}
    for _ in range(passes):
        for X, y, more in chunks(*data, size=size):
            model.partial_fit(X, y, **more, **announced)
    return model


@pytest.mark.parametrize("name", CASES)
def test_statistics_are_those_of_all_rows(name, tmp_path):
    model, *data = CASES[name]
    X, y, weight = data
    more = {} if weight is None else {"sample_weight": weight}
    whole = clone(model).set_params(**QUICK).fit(X, y, **more)
    model = part_fit(clone(model).set_params(**QUICK), *data)
    known = [each for each in STATISTICS if hasattr(whole, each)]
    assert "n_samples_seen_" in known and len(known) > 1
    for each in known:
        np.testing.assert_allclose(
            getattr(model, each), getattr(whole, each), rtol=1e-6, atol=1e-9
        )
    before = pickle.dumps(model.chunks_.state()["moments"])
    part_fit(model, *data)  # a second time: nothing is added
    assert pickle.dumps(model.chunks_.state()["moments"]) == before
    assert model.n_samples_seen_ == whole.n_samples_seen_
    verb = "predict" if hasattr(model, "predict") else "transform"
    expected = getattr(model, verb)(X)
    model.save(tmp_path / "model")
    for twin in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model")):
        np.testing.assert_array_equal(getattr(twin, verb)(X), expected)
        assert twin.chunks_.n == model.chunks_.n == 6


def test_statistics_of_graphs_are_those_of_all():
    model, whole = GNNRegressor(**QUICK), GNNRegressor(**QUICK)
    for X, y, _ in chunks(ROWS, NUMBERS):
        model.partial_fit(graph_nodes((np.eye(len(X)), X)), y)
    whole.fit(graph_nodes((np.eye(N), ROWS)), NUMBERS)
    sizes = [2 + i % 3 for i in range(25)]
    graphs = [(np.ones((n, n)), ROWS[4 * i :][:n]) for i, n in enumerate(sizes)]
    few = GraphClassifier(**QUICK).fit(graphs[:10], LABELS[:10])
    few.partial_fit(graphs[10:], LABELS[10:25])
    every = GraphClassifier(**QUICK).fit(graphs, LABELS[:25])
    assert few.mean_size_ == pytest.approx(every.mean_size_)
    assert few.net_.module_.share == pytest.approx(every.net_.module_.share)
    for one, other in ((model, whole), (few, every)):
        for name in ("x_mean_", "x_scale_", "y_mean_", "y_scale_"):
            if hasattr(one, name):
                np.testing.assert_allclose(getattr(one, name), getattr(other, name))


def test_a_forecaster_scales_by_all_it_was_given():
    series = 50 + 10 * np.sin(np.arange(160) / 3) + np.arange(160.0)
    settings = {"horizon": 3, "window": 6, "strategy": "direct", "difference": None}
    model = RNNForecaster(transformation=None, intervals=False, **settings, **QUICK)
    model.partial_fit(series[:80]).partial_fit(series[80:])
    (mean, scale), *_ = model.moments_
    np.testing.assert_allclose([mean[0], scale[0]], [series.mean(), series.std()])
    # What it says does not change with its units.
    with torch.no_grad():
        model.net_.module_.head.weight.zero_()
    expected, before = model.predict(), dict(vars(model))
    model.moments_ = [(mean + 3, scale * 2)]
    model.target_scale_ = model.target_scale_ * 3
    model._rescale(model.net_.module_, before)
    np.testing.assert_allclose(model.predict(), expected, rtol=1e-5)


STREAMED = {
    "transformer": (TransformerClassifier(n_layers=1, embedding_size=32), (6,)),
    "recurrent": (RNNClassifier(hidden_size=16), (3, 2)),
    "images": (CNNClassifier(channels=8, dropout=0.0), (1, 2, 3)),
}


@pytest.mark.parametrize("name", STREAMED)
def test_an_odd_first_chunk_does_no_harm(name):
    """Its 20 rows are all but equal, and far from all others."""
    model, shape = STREAMED[name]
    random = np.random.default_rng(1)
    X = random.normal(size=(620, 6))
    y = X[:, 1] + X[:, 2] > X[:, 3]
    X = 1e3 * X
    X[:20] = 5e3 + X[:20] / 1e4
    X = X.reshape(620, *shape)
    train, new = np.arange(620) < 420, np.arange(620) >= 420
    whole = clone(model).set_params(max_epochs=10, random_state=0)
    whole.fit(X[train], y[train])
    chunked = clone(model).set_params(random_state=0)
    part_fit(chunked, X[train], y[train], None, passes=10)
    assert whole.score(X[new], y[new]) > 0.9
    assert chunked.score(X[new], y[new]) > whole.score(X[new], y[new]) - 0.03


@pytest.mark.parametrize("name", ["dense", "transformer", "absolute error", "poisson"])
def test_new_units_change_nothing_that_was_said(name):
    model, X, y, _ = CASES[name]
    model = clone(model).set_params(**QUICK).fit(X, y)
    expected, before = model.predict(X), dict(vars(model))
    model.y_scale_ = model.y_scale_ * 3
    model.y_mean_ = model.y_mean_ - 5 * (name != "poisson")
    model._rescale(model.net_.module_, before)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)


def test_a_chunk_that_fails_leaves_all_as_it_was():
    model = part_fit(FeedforwardRegressor(lr=0.01, **QUICK), ROWS, NUMBERS, None)
    expected, state = model.predict(ROWS), pickle.dumps(model.chunks_)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[Interrupt()]).partial_fit(ROWS * 9, NUMBERS * 9)
    np.testing.assert_array_equal(model.predict(ROWS), expected)
    assert pickle.dumps(model.chunks_) == state


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_kept_rows_are_a_bounded_and_even_sample():
    known, values = Chunks("first"), np.arange(30_000.0)[:, None]
    for start in range(0, 30_000, 7):
        part = values[start : start + 7]
        rows, weight = known.keep(
            "y",
            part.shape,
            lambda some, part=part: (part[some], np.ones(len(part))[some]),
        )
    assert 500 <= len(rows) <= 1000 and len(weight) == len(rows)
    assert len(set(np.diff(rows[:, 0]))) == 1


def test_merged_moments_are_those_of_all_rows():
    X = random.normal(size=(50, 3)) * [1e-200, 1, 1e180] + [0, 1e8, 0]
    parts = [
        Moments.of(lambda x=x: [(torch.from_numpy(x), None)])
        for x in np.split(X, [1, 9])
    ]
    found = parts[0].merged(parts[1]).merged(parts[2])
    unit = [1e-200, 1, 1e180]
    np.testing.assert_allclose(found.mean, (X / unit).mean(0) * unit)
    np.testing.assert_allclose(found.deviation[1:], ((X / unit).std(0) * unit)[1:])
    again = found.merged(found)
    np.testing.assert_array_equal(again.mean, found.mean)
    np.testing.assert_array_equal(again.deviation, found.deviation)
