"""Inputs that once went wrong, by kind of fault, and their right outcomes."""

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import get_scorer, log_loss, r2_score, roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Callback, EpochScoring, Freezer, LRScheduler, Unfreezer

from sknets import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CNNClassifier,
    ConvolutionalAutoencoderTransformer,
    DBNClassifier,
    FeedforwardClassifier,
    FeedforwardRegressor,
    GNNClassifier,
    KnowledgeGraphEmbedder,
    LinkPredictor,
    PretrainedClassifier,
    RBMFeatures,
    RBMRecommender,
    RecursiveClassifier,
    RNNClassifier,
    RNNForecaster,
    RNNRegressor,
    TransformerClassifier,
    VAETransformer,
    VideoClassifier,
    gradient_check,
    graph_nodes,
    load,
)

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0}


# -- silently wrong --------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_cell_without_memory_tells_large_from_small(cell):
    """Without biases the output is odd in x, so that |x| cannot be told."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(300, 3, 1))
    y = np.abs(X[:, -1, 0]) > 0.5
    assert RNNClassifier(cell=cell, random_state=0).fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("constant", [285, 300])
def test_equal_rows_are_equally_usual_one_by_one(constant, dtype):
    """Their codes have no covariance, and their score is the threshold itself."""
    X = np.random.default_rng(0).poisson(3, size=(300, 4)).astype(dtype)
    X[:constant] = 0
    finder = AutoencoderOutlierDetector(max_epochs=10, random_state=0).fit(X)
    labels = finder.predict(X)
    assert (labels[:constant] == 1).all() and (labels[constant:] == -1).all()
    alone = [finder.predict(X[i : i + 1])[0] for i in (0, 100, 284, 285, 299)]
    assert alone == labels[[0, 100, 284, 285, 299]].tolist()
    np.testing.assert_array_equal(finder.labels_ == 1, labels == -1)
    np.testing.assert_allclose(finder.decision_scores_, -finder.score_samples(X))
    assert finder.threshold_ == -finder.offset_
    above = finder.threshold_ - finder.decision_scores_
    np.testing.assert_allclose(finder.decision_function(X), above, rtol=1e-4, atol=1e-6)


def test_one_row_has_no_covariance_to_warn_of():
    finder = AutoencoderOutlierDetector(**QUICK).fit([[1.0, 2.0]])
    assert finder.predict([[1.0, 2.0]]) == 1


# -- raw errors ------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_pretraining_takes_labels_of_all_rows(early_stopping, class_weight):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0.3).astype(int)
    classifier = PretrainedClassifier(
        hidden_layer_sizes=8,
        early_stopping=early_stopping,
        class_weight=class_weight,
        max_epochs=3,
        pretraining_epochs=1,
        random_state=0,
    )
    assert classifier.fit(X, y).predict(X).shape == (60,)


# -- values outside [0, 1] -------------------------------------------------------------

UNIT = {
    "rbm": lambda: RBMFeatures(n_components=4, max_epochs=2, random_state=0),
    "autoencoder": lambda: AutoencoderTransformer(
        loss="cross_entropy", max_epochs=2, random_state=0
    ),
    "vae": lambda: VAETransformer(likelihood="bernoulli", max_epochs=2, random_state=0),
}


@pytest.mark.parametrize("name", UNIT)
def test_values_a_little_outside_the_unit_interval_are_clipped_with_a_word(name):
    X = np.random.default_rng(0).uniform(size=(40, 3))
    coder, later = UNIT[name]().fit(X), X.copy()
    later[0, 0], later[1, 2] = 1.25, -0.125
    told = "2 of 120 values of X are outside the .0, 1. of fit, from -0.125 to 1.25"
    expected = coder.transform(later.clip(0, 1))
    for given in (later, sparse.csr_matrix(later)):
        with pytest.warns(UserWarning, match=told):
            np.testing.assert_allclose(coder.transform(given), expected, rtol=1e-9)
    assert later.max() == 1.25  # what was given stays as it is
    if name == "rbm":
        coder.visible_units = "bernoulli"
    with pytest.raises(ValueError, match="MinMaxScaler"):
        coder.fit(later)


@pytest.mark.parametrize("name", UNIT)
def test_rounding_of_a_scaler_is_not_outside(name):
    X = np.random.default_rng(0).uniform(size=(40, 3))
    X[3, 1], X[4, 0] = 1 + 2.3e-16, -1e-17
    coder = UNIT[name]().fit(X)
    assert getattr(coder, "visible_units_", "bernoulli") == "bernoulli"
    np.testing.assert_array_equal(coder.transform(X), coder.transform(X.clip(0, 1)))


def test_rounding_of_a_scaler_leaves_images_in_their_unit():
    X = np.random.default_rng(0).uniform(size=(8, 6, 6))
    X[0, 0, 0], X[1, 1, 1] = 1 + 2.3e-16, -1e-17
    assert CNNClassifier(**QUICK).fit(X, np.arange(8) % 2).pixel_unit_ == "unit"


@pytest.mark.filterwarnings("ignore:RBMFeatures")
def test_binary_units_go_behind_a_scaler_in_cross_validation():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = make_pipeline(MinMaxScaler(), UNIT["rbm"]())
    assert np.isfinite(cross_val_score(model, X, error_score="raise")).all()


# -- values that are finite, but no more when squared ----------------------------------

HUGE = [
    (TransformerClassifier(**QUICK), 2),
    (TransformerClassifier(**QUICK), 3),
    (RNNClassifier(**QUICK), 3),
    (RNNClassifier(cell="rnn", **QUICK), 2),
    (CNNClassifier(**QUICK), 3),
    (FeedforwardClassifier(**QUICK), 2),
    (FeedforwardClassifier(normalization="layer", **QUICK), 2),
    (FeedforwardRegressor(normalization="batch", **QUICK), 2),
    (AutoencoderTransformer(standardize="global", **QUICK), 2),
    (AutoencoderOutlierDetector(**QUICK), 2),
    (VAETransformer(**QUICK), 2),
    (RBMFeatures(visible_units="gaussian", **QUICK), 2),
    (
        DBNClassifier(
            hidden_layer_sizes=5,
            visible_units="gaussian",
            **QUICK,
            pretraining_epochs=2,
        ),
        2,
    ),
    (PretrainedClassifier(hidden_layer_sizes=5, pretraining_epochs=2, **QUICK), 2),
]
VERBS = ("predict_proba", "predict", "transform", "score_samples", "decision_function")


@pytest.mark.filterwarnings("ignore:CNNClassifier. X holds float images")
@pytest.mark.parametrize(("model", "n_axes"), HUGE)
def test_one_huge_value_makes_nothing_nan(model, n_axes):
    plain = np.random.default_rng(0).normal(size=(40, 6, 3)[:n_axes])
    y = np.arange(40) % 2
    for dtype, largest in ((np.float32, 3e38), (np.float64, 1.7e308)):
        X = plain.astype(dtype)
        model.fit(X, y)
        for value in (1e20, -largest):
            Z = X.copy()
            Z[3].flat[2] = value
            for verb in VERBS:
                if hasattr(model, verb):
                    found = getattr(model, verb)(Z)
                    assert np.isfinite(found).all(), (verb, value)
        if dtype == np.float64 and n_axes == 3:
            with pytest.raises(ValueError, match=r"infinite in float32.*scale X"):
                model.fit(Z, y)
        else:
            assert np.isfinite(model.fit(Z, y).loss_curve_).all()
            assert (model.x_scale_ > 1e36).any()


def test_a_sparse_table_has_the_statistics_of_a_dense_one_with_class_weights():
    X = sparse.random(60, 5, 0.4, format="csr", random_state=0)
    y = np.arange(60) % 3 == 0
    settings = {"precision": "float32", "class_weight": "balanced", **QUICK}
    thin = FeedforwardClassifier(**settings).fit(X, y)
    dense = FeedforwardClassifier(**settings).fit(X.toarray(), y)
    np.testing.assert_allclose(thin.x_scale_, dense.x_scale_, rtol=1e-5)
    assert (thin.x_mean_ == 0).all()


# -- tables ----------------------------------------------------------------------------

ROWS = [
    FeedforwardClassifier(**QUICK),
    RNNClassifier(**QUICK),
    TransformerClassifier(**QUICK),
    CNNClassifier(**QUICK),
    AutoencoderTransformer(**QUICK),
]
DAYS = pd.date_range("2020-01-01", periods=12)
TIMES = {
    "datetime": DAYS,
    "zoned": DAYS.tz_localize("UTC"),
    "period": DAYS.to_period("D"),
    "timedelta": DAYS - DAYS[0],
    "objects": pd.Series(list(DAYS.date), dtype=object),
}


def frame(**columns):
    return pd.DataFrame({"a": np.arange(12.0), **columns})


@pytest.mark.parametrize("model", ROWS, ids=lambda model: type(model).__name__)
def test_a_column_that_cannot_be_read_is_named(model):
    y = np.arange(12) % 2
    twice = pd.DataFrame(np.zeros((12, 3)), columns=list("aba"))
    name = type(model).__name__
    cases = [
        (twice, f"{name}: X has several columns named 'a': give each a name"),
        (frame()[[]], f"{name}: X has 0 feature"),
        (frame(z=[1j] * 12), f"{name}: column 'z' of X .* Complex data not supp"),
        (np.array([DAYS, DAYS]).T, f"{name}: X holds datetime64.* make numbers of it"),
    ]
    cases += [
        (frame(when=column), f"{name}: column 'when' of X holds .* make numbers of it")
        for column in TIMES.values()
    ]
    for X, sentence in cases:
        with pytest.raises(ValueError, match=sentence) as caught:
            model.fit(X, y)
        assert "\n" not in str(caught.value)


def test_days_may_be_categories():
    net = FeedforwardClassifier(categorical_features=["when"], **QUICK)
    X = frame(when=DAYS)
    assert net.fit(X, np.arange(12) % 2).predict(X).shape == (12,)


RATED = pd.DataFrame(
    {"user": [0, 0, 1, 1], "item": [0, 1, 0, 1], "rating": [1, 2, 3, 1]}
)
MATRIX = pd.DataFrame([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]], columns=["a", "b"])
FACTS = pd.DataFrame([["a", "r", "b"]] * 3, columns=["head", "relation", "tail"])
EDGES = pd.DataFrame({"source": [0, 1], "target": [1, 2], "weight": [1.0, 2.0]})
LINKED = np.ones((3, 3)) - np.eye(3)


def named(frame, *names):
    return frame.set_axis(list(names), axis=1)


def rates(X):
    return RBMRecommender(max_epochs=1).fit(X)


def rates_matrix(X):
    return RBMRecommender(max_epochs=1, ratings="matrix").fit(X)


@pytest.mark.parametrize(
    ("read", "X", "sentence"),
    [
        (rates, named(RATED, "a", "a", "r"), "several columns named 'a'"),
        (rates, RATED.assign(rating=DAYS[:4]), "ratings holds datetime64"),
        (rates, RATED.assign(rating=1j), "Complex data not supported"),
        (rates_matrix, named(MATRIX, "a", "a"), "several columns named 'a'"),
        (rates_matrix, MATRIX.set_axis([7, 7, 8]), "several rows of user 7"),
        (
            KnowledgeGraphEmbedder(max_epochs=1).fit,
            named(FACTS, "h", "h", "t"),
            "several columns named 'h'",
        ),
        (
            graph_nodes,
            named(EDGES, "source", "target", "source"),
            "table of edges has several columns named 'source'",
        ),
        (graph_nodes, (LINKED * 1j, LINKED), "adjacency .* Complex data not supported"),
        (graph_nodes, (LINKED, LINKED * 1j), "features .* Complex data not supported"),
        (
            graph_nodes,
            (LINKED, pd.DataFrame({"when": DAYS[:3]})),
            "column 'when' of features holds datetime64",
        ),
        (
            graph_nodes,
            (LINKED, MATRIX.set_axis([7, 7, 8])),
            "two rows of node 7.*reset_index",
        ),
        (
            graph_nodes,
            (LINKED, LINKED * 1e300),
            "NaN or infinity, at node 0 .beyond",
        ),
    ],
)
def test_ratings_facts_and_graphs_name_what_they_cannot_read(read, X, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read(X)
    assert "\n" not in str(caught.value)


def test_a_weight_of_an_edge_that_is_no_number():
    networkx = pytest.importorskip("networkx")
    graph = networkx.Graph([(0, 1, {"weight": 2}), (1, 2, {"weight": "x"})])
    with pytest.raises(ValueError, match="weights must be finite numbers, got 'x'"):
        graph_nodes(graph)


def test_trees_may_be_a_column():
    X, y = ["(1 (0 a) (1 b))", "(0 (0 c) (0 d))"] * 4, np.arange(8) % 2
    expected = RecursiveClassifier(**QUICK).fit(X, y).predict(X)
    for given in (pd.DataFrame({"tree": X}), np.array(X)[:, None]):
        reader = RecursiveClassifier(**QUICK).fit(given, y)
        np.testing.assert_array_equal(reader.predict(given), expected)


# -- texts -----------------------------------------------------------------------------

WORDS = ["she sings", "he hums", "a b c", "no way"] * 3
TEXTS = {
    "array": np.array(WORDS),
    "column of an array": np.array(WORDS)[:, None],
    "column of objects": np.array(WORDS, dtype=object)[:, None],
    "numpy's strings": np.array(WORDS, dtype=np.dtypes.StringDType())[:, None],
    "pandas' strings": pd.Series(WORDS, dtype="string"),
    "frame": pd.DataFrame({"text": WORDS}),
    "frame of strings": pd.DataFrame({"text": pd.Series(WORDS, dtype="string")}),
    "frame of objects": pd.DataFrame({"text": pd.Series(WORDS, dtype=object)}),
}
READERS = [RNNClassifier, TransformerClassifier]


@pytest.mark.parametrize("cls", READERS)
def test_one_column_of_strings_is_text(cls):
    y = np.arange(12) % 2
    expected = cls(**QUICK).fit(WORDS, y).predict_proba(WORDS)
    for name, X in TEXTS.items():
        reader = cls(**QUICK).fit(X, y)
        assert reader.input_kind_ == "text", name
        np.testing.assert_array_equal(reader.predict_proba(X), expected, name)


def test_a_polars_column_is_text():
    polars = pytest.importorskip("polars")
    for X in (polars.Series(WORDS), polars.DataFrame({"text": WORDS})):
        assert RNNClassifier(**QUICK).fit(X, WORDS).input_kind_ == "text"


def test_one_column_of_categories_is_a_table():
    X = pd.DataFrame({"word": pd.Series(WORDS, dtype="category")})
    reader = TransformerClassifier(**QUICK).fit(X, WORDS)
    assert reader.input_kind_ == "table"
    X = np.array(WORDS)[:, None]
    reader = TransformerClassifier(categorical_features=[0], **QUICK).fit(X, WORDS)
    assert reader.input_kind_ == "table"


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("cls", READERS)
def test_a_missing_text_is_named(cls, missing):
    for at in (0, 5):
        X = list(WORDS)
        X[at] = missing
        for given in (X, pd.DataFrame({"text": X}), pd.Series(X, dtype="string")):
            with pytest.raises(ValueError, match=rf"X\[{at}\] must be .*make it ''"):
                cls(**QUICK).fit(given, WORDS)


@pytest.mark.parametrize("cls", READERS)
def test_bytes_are_to_be_decoded(cls):
    X = [text.encode() for text in WORDS]
    for given in (X, np.array(X), np.array(X)[:, None]):
        with pytest.raises(ValueError, match=r"X\[0\] must be .* X\[0\].decode\(\)"):
            cls(**QUICK).fit(given, WORDS)


def test_half_a_character_is_text():
    """A lone surrogate, as broken JSON leaves it."""
    pytest.importorskip("tokenizers")
    reader = RNNClassifier(tokenizer="bpe", **QUICK)
    X = ["a \ud83d b", "a \ud83d\ude00 b"] * 6
    reader.fit(X, np.arange(12) % 2)
    whole = reader.predict_proba(["a \ufffd b", "a \N{GRINNING FACE} b"])
    np.testing.assert_array_equal(reader.predict_proba(X[:2]), whole)


def zeros(*shape):
    return np.zeros(shape, dtype=np.uint8)


# -- sequences and videos --------------------------------------------------------------

WALKS = [np.ones((3, 2)) for _ in range(8)]
CLIPS = [zeros(2, 8, 8) for _ in range(8)]


@pytest.mark.parametrize(
    ("model", "items"),
    [
        (RNNClassifier(**QUICK), WALKS),
        (TransformerClassifier(**QUICK), WALKS),
        (VideoClassifier(**QUICK), CLIPS),
    ],
)
def test_what_is_no_sequence_or_video_is_named(model, items):
    y = np.arange(8) % 2
    cases = [
        ([None, *items[1:]], r"X\[0\] must be an array of numbers, got None"),
        ([*items[:7], items[7] * 1j], r"X\[7\] must be an array of numbers, got array"),
        ([*items[:7], b"x"], r"X\[7\] must be an array of numbers, got b'x'"),
        ([*items[:7], items[7][:0]], r"X\[7\] is an empty"),
        (np.array(items).astype("M8[D]"), "X holds datetime64"),
        (np.array(items) * 1j, "Complex data not supported"),
    ]
    for X, sentence in cases:
        with pytest.raises(ValueError, match=sentence) as caught:
            model.fit(X, y)
        assert "\n" not in str(caught.value)


# -- images ----------------------------------------------------------------------------


PICTURES = [zeros(6, 6) for _ in range(8)]
NO_IMAGES = {
    "no height": (zeros(8, 0, 6), r"X\[0\] is an empty image, of shape \(0, 6\)"),
    "no channel": (zeros(8, 6, 6, 0), r"X\[0\] is an empty image, of shape \(6, 6, 0"),
    "one of a list": ([*PICTURES[:7], zeros(6, 0)], r"X\[7\] is an empty image"),
    "the first": ([None, *PICTURES[1:]], r"X\[0\] must be an array of .* got None"),
    "bytes": ([*PICTURES[:7], b"x"], r"X\[7\] must be an array of .* got b'x'"),
    "ragged": ([*PICTURES[:7], [[1], [1, 2]]], r"X\[7\] must be an array of numbers"),
    "days": (np.array(PICTURES).astype("M8[D]"), "X holds datetime64"),
}
SEERS = [
    CNNClassifier(**QUICK),
    ConvolutionalAutoencoderTransformer(**QUICK),
    TransformerClassifier(patch_size=2, **QUICK),
]


@pytest.mark.parametrize("name", NO_IMAGES)
@pytest.mark.parametrize("model", SEERS, ids=lambda model: type(model).__name__)
def test_what_is_no_image_is_named(model, name):
    X, sentence = NO_IMAGES[name]
    with pytest.raises(ValueError, match=f"{type(model).__name__}: {sentence}"):
        model.fit(X, np.arange(8) % 2)


# -- batches of one --------------------------------------------------------------------

TINY = np.random.default_rng(0).normal(size=(7, 4))
NORMED = {
    "rows": (FeedforwardRegressor(normalization="batch", batch_size=1, **QUICK), TINY),
    "one row": (FeedforwardRegressor(normalization="batch", **QUICK), TINY[:1]),
    "images": (CNNClassifier(batch_size=1, **QUICK), zeros(7, 1, 1)),
    "a backbone": (
        CNNClassifier(backbone="resnet18", batch_size=1, max_epochs=1, random_state=0),
        zeros(2, 32, 32),
    ),
    "an autoencoder": (
        ConvolutionalAutoencoderTransformer(batch_size=1, batch_norm=True, **QUICK),
        zeros(7, 1, 1),
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", NORMED)
def test_batch_normalisation_takes_a_batch_of_one(name):
    model, X = NORMED[name]
    model.fit(X, np.arange(len(X)) % 2)
    verb = model.predict if hasattr(model, "predict") else model.transform
    assert np.isfinite(verb(X)).all() and np.isfinite(model.loss_curve_).all()


def test_a_batch_of_one_leaves_the_running_statistics():
    from sknets._layers import BatchNorm1d

    layer = BatchNorm1d(4)
    layer(torch.randn(8, 4))
    kept, x = {k: v.clone() for k, v in layer.state_dict().items()}, torch.randn(1, 4)
    trained = layer(x)
    for key, value in layer.state_dict().items():
        assert torch.equal(value, kept[key])
    torch.testing.assert_close(trained, layer.eval()(x))


# -- waiting without a word ------------------------------------------------------------


def test_a_gradient_check_of_many_images_takes_few_of_them():
    """300 of them took 90 s."""
    X, y = load_digits(return_X_y=True)
    X = X[:300].reshape(-1, 8, 8).astype(np.uint8)
    check = gradient_check(CNNClassifier(random_state=0), X, y[:300], n_parameters=2)
    assert check.passed and check.n_samples == 32
    assert (check.table["checked"] > 0).all()


# -- chunks ----------------------------------------------------------------------------


def test_small_chunks_are_learned_as_well_as_the_whole():
    """The penalty is that of all rows seen, not that of a chunk of 20."""
    X = np.random.default_rng(0).normal(size=(1200, 10))
    y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.3 * X[:, 2:].sum(1) > 0
    X, y, new, truth = X[:400], y[:400], X[400:], y[400:]
    settings = {"batch_size": 20, "alpha": 20.0, "random_state": 0}
    whole = FeedforwardClassifier(max_epochs=9, **settings).fit(X, y)
    parts = FeedforwardClassifier(**settings)
    for start in list(range(0, 400, 20)) * 9:
        chunk = slice(start, start + 20)
        parts.partial_fit(X[chunk], y[chunk], classes=[False, True])
    assert parts.n_samples_seen_ == whole.n_samples_seen_ == 400
    assert parts.score(new, truth) > whole.score(new, truth) - 0.02
    decays = [
        net.net_.optimizer_.param_groups[0]["weight_decay"]
        for net in (whole, parts, pickle.loads(pickle.dumps(parts)))
    ]
    assert decays == [20 / 400] * 3


@pytest.mark.parametrize("size", [1, 4, 25])
def test_chunks_are_scaled_by_all_of_them(size, tmp_path):
    """A first chunk of few rows has scales that are far from those of the data."""
    X = 300 + 50 * np.random.default_rng(0).normal(size=(100, 4))
    y = 1e4 + 20 * X[:, 0]
    weight = np.where(np.arange(100) % 3, 1.0, 2.0)
    net = FeedforwardRegressor(random_state=0)
    for start in range(0, 100, size):
        rows = slice(start, start + size)
        net.partial_fit(X[rows], y[rows], sample_weight=weight[rows])
    whole = FeedforwardRegressor(max_epochs=1).fit(X, y, sample_weight=weight)
    for name in ("x_mean_", "x_scale_", "y_mean_", "y_scale_", "n_samples_seen_"):
        np.testing.assert_allclose(getattr(net, name), getattr(whole, name))
    before = net.predict(X)
    net.save(tmp_path / "net.safetensors")
    for twin in (
        pickle.loads(pickle.dumps(net)),
        load(tmp_path / "net.safetensors"),
    ):
        np.testing.assert_array_equal(twin.predict(X), before)
        np.testing.assert_array_equal(
            twin.partial_fit(X[:size], y[:size]).predict(X),
            clone_fitted(net).partial_fit(X[:size], y[:size]).predict(X),
        )
    with pytest.raises(ValueError, match="NaN"):
        net.partial_fit(np.full((2, 4), np.nan), [0.0, 1.0])
    np.testing.assert_array_equal(net.predict(X), before)


def clone_fitted(net):
    return pickle.loads(pickle.dumps(net))


def test_in_chunks_the_rate_and_the_batches_are_not_those_of_the_first():
    """One chunk's cycle of rates had ended long before the data did."""
    X = np.random.default_rng(0).normal(size=(320, 3, 1))
    y = X.sum((1, 2)) > 0
    net = RNNClassifier(max_epochs=2, random_state=0)
    for start in range(0, 320, 40):
        net.partial_fit(X[start : start + 40], y[start : start + 40], [False, True])
        if start == 0:
            assert net.batch_size_ == 5
            assert net.net_.optimizer_.param_groups[0]["lr"] != net.lr
    assert net.batch_size_ == net.net_.batch_size == 32
    for one in (net, pickle.loads(pickle.dumps(net))):
        assert one.n_samples_seen_ == 320
        assert one.net_.optimizer_.param_groups[0]["lr"] == net.lr
        one.partial_fit(X[:40], y[:40])  # a second pass
        assert one.n_samples_seen_ == 320
        one.partial_fit(X[-20:], y[-20:])
        assert one.n_samples_seen_ == 320


# -- weights of 0 ----------------------------------------------------------------------

PRETRAINED = QUICK | {"pretraining_epochs": 2, "class_weight": "balanced"}
WEIGHED = {
    "dense": (FeedforwardClassifier(class_weight="balanced", **QUICK), 2),
    "sequences": (RNNClassifier(class_weight="balanced", **QUICK), 3),
    "images": (CNNClassifier(class_weight="balanced", **QUICK), 3),
    "rows": (TransformerClassifier(class_weight="balanced", **QUICK), 2),
    "belief": (DBNClassifier(**PRETRAINED), 2),
    "pretrained": (PretrainedClassifier(**PRETRAINED), 2),
}


@pytest.mark.filterwarnings("ignore:CNNClassifier. X holds float images")
@pytest.mark.parametrize("name", WEIGHED)
def test_balance_is_that_of_the_rows_that_count(name):
    model, n_axes = WEIGHED[name]
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 5, 4)[:n_axes]), np.arange(40) % 3
    kept = (y != 2) | (np.arange(40) < 20)
    few = model.fit(X[kept], y[kept]).predict_proba(X)
    weighted = model.fit(X, y, sample_weight=kept.astype(float)).predict_proba(X)
    np.testing.assert_allclose(weighted, few, rtol=1e-4, atol=1e-6)
    if name == "dense":  # a weight of two is a row given twice
        twice = np.where(y == 0, 2.0, 1.0)
        again = model._class_weights(y, twice)
        np.testing.assert_allclose(np.bincount(y, again * twice), twice.sum() / 3)
        labels = np.c_[y == 0, y == 1].astype(float)
        few = model.fit(X[kept], labels[kept]).predict_proba(X)
        weighted = model.fit(X, labels, sample_weight=kept * 1.0).predict_proba(X)
        np.testing.assert_allclose(weighted, few, rtol=1e-6)


def test_balance_is_that_of_the_steps_and_nodes_that_count():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(30, 4, 2)), random.integers(0, 3, (30, 4))
    kept = np.arange(30) % 3 > 0
    y[~kept] = 1
    model = RNNClassifier(per_step=True, class_weight="balanced", **QUICK)
    few = model.fit(X[kept], y[kept]).predict_proba(X)
    weighted = model.fit(X, y, sample_weight=kept * 1.0).predict_proba(X)
    np.testing.assert_allclose(weighted, few, rtol=1e-4, atol=1e-6)
    trees = [f"({i % 3} ({i % 2} a) ({2 - i % 2} b))" for i in range(30)]
    model = RecursiveClassifier(class_weight="balanced", **QUICK)
    some = [tree for tree, there in zip(trees, kept) if there]
    few = model.fit(some, (np.arange(30) % 3)[kept]).predict_proba(trees)
    weighted = model.fit(trees, np.arange(30) % 3, sample_weight=kept * 1.0)
    np.testing.assert_allclose(weighted.predict_proba(trees), few, rtol=1e-4, atol=1e-6)


def test_rows_without_a_label_are_of_no_class():
    X = np.random.default_rng(0).normal(size=(40, 4))
    y = (np.arange(40) % 4 == 0).astype(int)
    known = np.arange(40) < 30
    settings = {"hidden_layer_sizes": 5, "pretraining_epochs": 0, **QUICK}
    model = PretrainedClassifier(
        class_weight="balanced", spread_labels=False, noise_level=0.0, **settings
    )
    model.fit(X, np.where(known, y, -1))
    given = model._class_weights(y, known * 1.0)
    np.testing.assert_allclose(np.bincount(y[known], given[known]), 15)


# -- skorch's callbacks ----------------------------------------------------------------

ROWS_60 = np.random.default_rng(0).normal(size=(60, 5))
THREE = np.array(["a", "b", "c"])[np.digitize(ROWS_60[:, 0], [-0.4, 0.4])]
MANY = (ROWS_60[:, :3] > 0).astype(int)
EUROS = 1000 + 500 * ROWS_60[:, 0]
SCORED = [
    (FeedforwardClassifier(), ROWS_60, THREE, "accuracy"),
    (FeedforwardClassifier(), ROWS_60, THREE, "roc_auc_ovr"),
    (FeedforwardClassifier(), ROWS_60, THREE == "a", "neg_log_loss"),
    (FeedforwardClassifier(), ROWS_60, MANY, "roc_auc"),
    (PretrainedClassifier(pretraining_epochs=1), ROWS_60, THREE, "neg_log_loss"),
    (RNNClassifier(), ROWS_60[:, :, None], THREE, "neg_log_loss"),
    (FeedforwardRegressor(), ROWS_60, EUROS, "neg_mean_absolute_error"),
    (FeedforwardRegressor(), ROWS_60, np.c_[EUROS, -EUROS], "neg_mean_absolute_error"),
    (RNNClassifier(per_step=True), ROWS_60[:, :, None], ROWS_60 > 0, "neg_log_loss"),
    (RNNRegressor(per_step=True), ROWS_60[:, :, None], EUROS[:, None] * ROWS_60, "r2"),
]


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize(("model", "X", "y", "scoring"), SCORED)
def test_skorch_scores_what_predict_returns(model, X, y, scoring, caching):
    """Of the validation rows, which a callback of ours looks up."""
    seen = {}

    class Rows(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            seen["rows"] = dataset_valid.rows.numpy()

    scores = [
        EpochScoring(scoring, name=name, use_caching=caching, on_train=name == "train")
        for name in ("valid", "train")
    ]
    settings = {"early_stopping": True, "validation_fraction": 0.4, "max_epochs": 1}
    model = clone(model).set_params(
        callbacks=[*scores, Rows()], random_state=0, **settings
    )
    model.fit(X, y)
    last, rows = model.net_.history[-1], seen["rows"]
    others = np.setdiff1d(np.arange(60), rows)
    for name, part in {"valid": rows, "train": others}.items():
        if name == "train" and caching:  # skorch's cache is of nets not yet trained
            assert np.isfinite(last["train"])
            continue
        if getattr(model, "per_step", False):
            truth = np.concatenate(list(y[part]))
            verb = "predict_proba" if scoring == "neg_log_loss" else "predict"
            found = np.concatenate(list(getattr(model, verb)(X[part])))
            measure = {"r2": r2_score, "neg_log_loss": log_loss}[scoring]
            expected = measure(truth, found) * (1 if scoring == "r2" else -1)
        else:
            expected = get_scorer(scoring)(model, X[part], y[part])
        np.testing.assert_allclose(last[name], expected, rtol=1e-5)


@pytest.mark.parametrize("caching", [True, False])
def test_skorch_scores_trees_and_nodes_by_what_predict_returns(caching):
    trees = [f"({i % 3} ({i % 2} a) ({2 - i % 2} b))" for i in range(60)]
    y = np.arange(60) % 3
    links = graph_nodes((np.roll(np.eye(60), 1, 1), ROWS_60))
    for model, X in ((RecursiveClassifier(), trees), (GNNClassifier(), links)):
        score = EpochScoring("neg_log_loss", name="score", use_caching=caching)
        model.set_params(early_stopping=True, callbacks=[score], **QUICK)
        model.set_params(max_epochs=1)
        model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        expected = -log_loss(y[40:], model.predict_proba(X[40:]))
        assert model.net_.history[-1]["score"] == pytest.approx(expected, rel=1e-5)


def test_a_schedule_of_skorch_replaces_ours():
    """Their rates used to be multiplied."""
    X, y = np.random.default_rng(0).uniform(size=(64, 6, 6)), np.arange(64) % 2
    rates = []

    class Rates(Callback):
        def on_batch_end(self, net, training=None, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler("StepLR", step_size=1, gamma=0.5)
    settings = {"lr": 0.01, "max_epochs": 3, "batch_size": 32, "random_state": 0}
    CNNClassifier(callbacks=[schedule, Rates()], **settings).fit(X, y)
    np.testing.assert_allclose(rates, np.repeat([0.01, 0.005, 0.0025], 2))
    rates.clear()
    CNNClassifier(callbacks=[Rates()], **settings).fit(X, y)
    assert len(set(rates)) == 5  # a rate a step, the last one kept


def test_who_looks_at_batches_changes_nothing():
    class Look(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

        def on_grad_computed(self, net, named_parameters, **kwargs):
            assert all(value.grad is not None for _, value in named_parameters)

    X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    model = TransformerClassifier(gradient_clip=0.1, **QUICK)
    expected = model.fit(X, THREE).net_.module_.state_dict()
    model.set_params(callbacks=[Look()])
    found = model.fit(X, THREE).net_.module_.state_dict()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


# -- 16 bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("y", [THREE, THREE == "a", MANY], ids=["3", "2", "labels"])
def test_probabilities_of_16_bits_are_probabilities(y):
    X = np.random.default_rng(0).normal(size=(60, 5))
    for cls in (FeedforwardClassifier, TransformerClassifier):
        model = cls(precision="bfloat16", **QUICK).fit(X, y)
        p, scores = model.predict_proba(X), model.decision_function(X)
        if y is MANY:
            np.testing.assert_array_equal(model.predict(X), p > 0.5)
            np.testing.assert_allclose(p, 1 / (1 + np.exp(-scores)), rtol=1e-5)
        else:
            np.testing.assert_allclose(p.sum(1), 1, atol=3e-7)
            np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(1)])
            assert np.isfinite(
                roc_auc_score(y, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr")
            )
        log_p = model.predict_log_proba(X)
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-5)
        assert p.dtype == scores.dtype == np.float32


# -- labels with names -----------------------------------------------------------------


def test_labels_of_nodes_are_matched_by_name():
    random = np.random.default_rng(0)
    names = np.array([f"node {i}" for i in range(30)])
    y = pd.Series(np.arange(30) % 2, index=names)
    features = pd.DataFrame(random.normal(size=(30, 3)) + y.to_numpy()[:, None])
    nodes = graph_nodes(
        pd.DataFrame({"source": names, "target": np.roll(names, 2)}),
        features=features.set_axis(names),
    )
    order = random.permutation(30)
    expected = GNNClassifier(**QUICK).fit(nodes, y.loc[nodes.ids])
    weight = pd.Series(random.uniform(1, 2, 30), index=names)
    for chosen in (nodes, nodes[random.permutation(30)[:20]]):
        own = y.loc[chosen.ids]
        expected = GNNClassifier(**QUICK).fit(
            chosen, own.to_numpy(), weight.loc[chosen.ids].to_numpy()
        )
        shuffled = own.sample(frac=1, random_state=0)
        found = GNNClassifier(**QUICK).fit(
            chosen, shuffled, weight.loc[own.index].sample(frac=1, random_state=1)
        )
        np.testing.assert_array_equal(
            found.predict_proba(nodes), expected.predict_proba(nodes)
        )
        assert found.score(chosen, shuffled) == expected.score(chosen, own)
    # An index that only counts is in the order of the nodes.
    numbered = graph_nodes(np.roll(np.eye(30), 1, 1))[order]
    plain = GNNClassifier(**QUICK).fit(numbered, y.to_numpy()).predict_proba(numbered)
    counted = GNNClassifier(**QUICK).fit(numbered, y.reset_index(drop=True))
    np.testing.assert_array_equal(counted.predict_proba(numbered), plain)


@pytest.mark.parametrize("cls", [FeedforwardClassifier, RNNClassifier])
def test_an_index_in_another_order_is_told(cls):
    y = pd.Series(np.arange(12) % 2)
    X = frame() if cls is FeedforwardClassifier else pd.Series(WORDS)
    told = f"{cls.__name__}: the indices of X and y hold the same labels in another"
    with pytest.warns(UserWarning, match=told):
        cls(**QUICK).fit(X, y[::-1])
    with pytest.warns(UserWarning, match=told):
        cls(**QUICK).partial_fit(X, y[::-1], classes=[0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls(**QUICK).fit(X, y)
        cls(**QUICK).fit(X, y[::-1].reset_index(drop=True))
        cls(**QUICK).fit(X, y.set_axis(range(5, 17)))


# -- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_layers_may_be_frozen_for_a_while(optimizer):
    kept = []

    class Look(Callback):
        def on_epoch_end(self, net, **kwargs):
            kept.append(net.module_.layers[1].weight.detach().clone())

    pattern = "layers.1.*"
    callbacks = [Freezer(pattern), Unfreezer(pattern, at=3), Look()]
    FeedforwardClassifier(
        optimizer=optimizer, callbacks=callbacks, max_epochs=4, random_state=0
    ).fit(ROWS_60, THREE)
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[1], kept[2]) and not torch.equal(kept[2], kept[3])


MISSING = {"None": None, "NaN": np.nan, "NA": pd.NA}
LABELS = {
    "list": list,
    "objects": lambda y: pd.Series(y, dtype=object),
    "strings": lambda y: pd.Series(y, dtype="string"),
    "categories": lambda y: pd.Series(y, dtype="category"),
}


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("form", LABELS)
def test_a_missing_label_is_named(form, missing):
    y = THREE.tolist()
    y[7] = y[9] = MISSING[missing]
    told = r"FeedforwardClassifier: Input y contains NaN: y\[7\] is .*needs a label"
    with pytest.raises(ValueError, match=told):
        FeedforwardClassifier(**QUICK).fit(ROWS_60, LABELS[form](y))
    values = np.arange(60.0).tolist()
    values[7] = MISSING[missing]
    for given in (values, pd.Series(values, dtype="Int64")):
        with pytest.raises(ValueError, match=r"y\[7\] is .*needs a value"):
            FeedforwardRegressor(**QUICK).fit(ROWS_60, given)


@pytest.mark.parametrize("unit", [1e160, 1e300, 1e-200])
def test_numbers_of_any_size_are_learned(unit):
    y = 3 + ROWS_60[:, 0]
    usual = FeedforwardRegressor(**QUICK).fit(ROWS_60, y).predict(ROWS_60)
    found = FeedforwardRegressor(**QUICK).fit(ROWS_60, y * unit).predict(ROWS_60)
    np.testing.assert_allclose(found / unit, usual, rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda X, y: FeedforwardClassifier().fit(y, X), "seem to be swapped"),
        (lambda X, y: CNNClassifier().fit(y, X), "seem to be swapped"),
        (
            lambda X, y: FeedforwardRegressor().fit(X, THREE),
            "FeedforwardRegressor: y must be numbers, labels are for a classifier",
        ),
        (
            lambda X, y: FeedforwardClassifier(callbacks=["x"]).fit(X, y),
            r"callbacks\[0\] must be a skorch callback, .* not 'x'",
        ),
        (
            lambda X, y: RBMFeatures(callbacks=[EpochScoring]).fit(X),
            r"callbacks\[0\] must be .*make it: EpochScoring\(\)",
        ),
        (
            lambda X, y: FeedforwardClassifier(random_state=2**40).fit(X, y),
            "random_state must be at most 4294967295",
        ),
    ],
)
def test_arguments_that_cannot_be_are_refused(make, told):
    with pytest.raises(ValueError, match=told) as caught:
        make(ROWS_60, np.arange(60) % 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("learning_rate", "lr"),
        ("n_epochs", "max_epochs"),
        ("epochs", "max_epochs"),
        ("max_iter", "max_epochs"),
        ("batchsize", "batch_size"),
        ("hidden_sizes", "hidden_layer_sizes"),
        ("seed", "random_state"),
        ("patience", "n_iter_no_change"),
    ],
)
def test_names_of_other_libraries_are_known(given, meant):
    for call in (FeedforwardClassifier, FeedforwardClassifier().set_params):
        with pytest.raises((TypeError, ValueError), match=f"did you mean {meant}."):
            call(**{given: 1})


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_may_be_a_truth(verbose, capsys):
    FeedforwardClassifier(verbose=verbose, **QUICK).fit(ROWS_60, THREE)
    assert ("epoch" in capsys.readouterr().err) == verbose


def test_one_row_to_validate_by_has_a_score():
    settings = {"early_stopping": True, "validation_fraction": 0.01, **QUICK}
    net = FeedforwardRegressor(**settings).fit(ROWS_60, ROWS_60[:, 0])
    assert net.validation_scores_ == [0.0, 0.0]


# -- validation data of one's own ------------------------------------------------------

OWN = [
    (FeedforwardClassifier(), ROWS_60, THREE),
    (FeedforwardRegressor(), ROWS_60, EUROS),
    (RNNClassifier(per_step=True), ROWS_60[:, :, None], (ROWS_60 > 0).astype(int)),
    (
        RecursiveClassifier(),
        [f"({i % 2} ({i % 2} a{i % 7}) ({i % 3 % 2} b{i % 5}))" for i in range(60)],
        None,
    ),
    (PretrainedClassifier(pretraining_epochs=1), ROWS_60, np.where(MANY[:, 0], 1, 2)),
    (DBNClassifier(pretraining_epochs=1, hidden_layer_sizes=5), abs(MANY), THREE),
]


@pytest.mark.parametrize(("model", "X", "y"), OWN, ids=lambda x: type(x).__name__)
def test_early_stopping_by_data_of_ones_own(model, X, y):
    rest, held = slice(0, 40), slice(40, 60)
    data = (X[rest], None if y is None else y[rest])
    more = {"X_val": X[held], "y_val": None if y is None else y[held]}
    settings = {"max_epochs": 3, "random_state": 0, "n_iter_no_change": 9}
    model = clone(model).set_params(early_stopping=True, lr=0.05, **settings)
    model.fit(*data, **more)
    assert len(model.validation_loss_curve_) == 3
    assert model.n_samples_seen_ == 40
    best = model.validation_scores_[int(np.argmin(model.validation_loss_curve_))]
    if y is None:
        return
    assert model.score(X[held], y[held]) == pytest.approx(best)
    with pytest.raises(ValueError, match="X_val and y_val come together"):
        model.fit(*data, X_val=X[held])
    with pytest.raises(ValueError, match=r"early_stopping=False.*set early_stop"):
        clone(model).set_params(early_stopping=False).fit(*data, **more)
    before = model.predict(X)
    with pytest.raises(ValueError, match=r"\(of X_val and y_val\)"):
        model.fit(*data, X_val=X[held], y_val=y[held][:5])
    np.testing.assert_array_equal(model.predict(X), before)


def test_validation_data_by_routing_and_in_a_checkpoint(tmp_path):
    X, y, settings = ROWS_60, THREE, {"early_stopping": True, **QUICK}
    expected = FeedforwardClassifier(**settings).fit(X, y, X_val=X[:9], y_val=y[:9])
    with config_context(enable_metadata_routing=True):
        net = FeedforwardClassifier(**settings).set_fit_request(X_val=True, y_val=True)
        piped = make_pipeline(net).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert piped[-1].validation_loss_curve_ == expected.validation_loss_curve_
    kept = FeedforwardClassifier(checkpoint=tmp_path / "fit.safetensors", **settings)
    kept.fit(X, y, X_val=X[:9], y_val=y[:9])
    assert kept.validation_loss_curve_ == expected.validation_loss_curve_
    with pytest.raises(ValueError, match="checkpoint"):
        kept.fit(X, y, X_val=X[:8], y_val=y[:8])


# -- methods that are not there --------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (FeedforwardClassifier(early_stopping=True), "early_stopping=True.*one epoch"),
        (FeedforwardRegressor(checkpoint="x"), "checkpoint='x'.*no state in files"),
        (RNNClassifier(class_weight="balanced"), "class_weight='balanced'.*a dict"),
        (AutoencoderTransformer(early_stopping=True), "early_stopping=True"),
        (AutoencoderOutlierDetector(early_stopping=True), "early_stopping=True"),
        (VAETransformer(early_stopping=True), "early_stopping=True"),
        (PretrainedClassifier(early_stopping=True), "early_stopping=True"),
        (DBNClassifier(checkpoint="x"), "checkpoint='x'"),
        (RBMRecommender(early_stopping=True), "early_stopping=True"),
        (RNNForecaster(checkpoint="x"), "checkpoint='x'"),
        (LinkPredictor(early_stopping=True), "early_stopping=True"),
    ],
)
def test_partial_fit_is_not_there_where_it_would_refuse(model, told):
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match=rf"{type(model).__name__}\({told}"):
        model.partial_fit(ROWS_60, THREE)
    assert hasattr(type(model), "partial_fit")
    model = clone(model).set_params(early_stopping=False, checkpoint=None)
    if hasattr(model, "class_weight"):
        model.set_params(class_weight=None)
    assert "Train for one epoch" in model.partial_fit.__doc__


# -- the last hidden layer -------------------------------------------------------------


@pytest.mark.parametrize("normalization", [None, "layer"])
@pytest.mark.parametrize(
    ("cls", "y"), [(FeedforwardClassifier, THREE), (FeedforwardRegressor, EUROS)]
)
def test_the_last_hidden_layer_is_what_a_dense_net_decides_by(cls, y, normalization):
    net = cls(hidden_layer_sizes=(9, 7), normalization=normalization, **QUICK)
    features = net.fit(ROWS_60, y).transform(ROWS_60)
    assert features.shape == (60, 7) and features.dtype == np.float64
    last = net.net_.module_.layers[-1]
    W, b = (p.detach().numpy() for p in (last.weight, last.bias))
    found = features @ W.T + b
    if cls is FeedforwardRegressor:
        found = (found * net.y_scale_ + net.y_mean_)[:, 0]
        np.testing.assert_allclose(found, net.predict(ROWS_60))
    else:
        np.testing.assert_allclose(found, net.decision_function(ROWS_60))
    name = cls.__name__.lower()
    assert net.get_feature_names_out()[-1] == f"{name}6"
    frame = clone(net).set_output(transform="pandas").fit_transform(ROWS_60, y)
    np.testing.assert_array_equal(frame, features)
    linear = clone(net).set_params(hidden_layer_sizes=()).fit(ROWS_60, y)
    scaled = (ROWS_60 - linear.x_mean_) / linear.x_scale_
    np.testing.assert_allclose(linear.transform(ROWS_60), scaled)


def test_every_classifier_has_probabilities_of_16_bits():
    X, images = ROWS_60, np.abs(ROWS_60[:, :, None] * np.ones(5))
    trees = [f"({i % 3} ({i % 2} a) ({2 - i % 2} b))" for i in range(60)]
    links = graph_nodes((np.roll(np.eye(60), 1, 1), X))
    deep: dict[str, Any] = {"hidden_layer_sizes": (5, 4), "pretraining_epochs": 1}
    for model, rows in (
        (DBNClassifier(**deep), abs(X) / 9),
        (PretrainedClassifier(**deep), X),
        (CNNClassifier(), images.astype(np.uint8)),
        (RNNClassifier(), images),
        (RecursiveClassifier(node_labels=False), trees),
        (GNNClassifier(), links),
    ):
        model.set_params(precision="bfloat16", **QUICK).set_params(max_epochs=1)
        p = model.fit(rows, THREE).predict_proba(rows)
        np.testing.assert_allclose(p.sum(1), 1, atol=3e-7)
        np.testing.assert_array_equal(model.predict(rows), model.classes_[p.argmax(1)])


def test_labels_that_are_objects_are_told_how_to_become_labels():
    labels = np.array([0, 1] * 5, dtype=object)
    with pytest.raises(ValueError, match="such as 0; labels of one kind"):
        FeedforwardClassifier().fit(np.zeros((10, 2)), labels)
