"""Feedforward networks against closed forms and other libraries."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from sknets import FeedforwardClassifier, FeedforwardRegressor

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 8)
xor = np.array(["same", "differ", "differ", "same"] * 8)
LINEAR = {"hidden_layer_sizes": (), "batch_size": 1000, "lr": 0.1, "max_epochs": 700}


def test_xor_needs_a_hidden_layer():
    one = FeedforwardClassifier(hidden_layer_sizes=(), lr=0.05, random_state=0)
    two = FeedforwardClassifier(hidden_layer_sizes=(8,), lr=0.05, random_state=0)
    assert one.fit(XOR, xor).score(XOR, xor) <= 0.75
    assert two.fit(XOR, xor).score(XOR, xor) == 1.0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_hidden_layers_it_is_logistic_regression(n_classes):
    X, y = make_classification(
        300, 5, n_informative=4, n_redundant=0, n_classes=n_classes, random_state=0
    )
    X = X * [1, 10, 100, 1e-3, 1] + [0, 5, -1e3, 0, 7]
    net = FeedforwardClassifier(
        **LINEAR, alpha=0, lr_schedule="cosine", random_state=0
    ).fit(X, y)
    exact = LogisticRegression(C=1e9, max_iter=10_000)
    exact.fit(StandardScaler().fit_transform(X), y)
    expected = exact.predict_proba(StandardScaler().fit_transform(X))
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=2e-3)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_without_hidden_layers_it_is_linear_regression(n_targets):
    X, y = make_regression(200, 4, n_targets=n_targets, noise=5, random_state=0)
    y = y * 1e3 + 7
    net = FeedforwardRegressor(
        **LINEAR, alpha=0, lr_schedule="cosine", random_state=0
    ).fit(X, y)
    expected = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-3, atol=1e-3 * y.std())
    assert net.predict(X).dtype == np.float64 and net.predict(X).shape == y.shape


def test_multilabel():
    X, Y = make_multilabel_classification(200, 10, n_classes=4, random_state=0)
    net = FeedforwardClassifier(alpha=0, lr=0.03, max_epochs=100, random_state=0).fit(
        X, Y
    )
    p = net.predict_proba(X)
    assert p.shape == Y.shape and ((p > 0.5) == net.predict(X)).all()
    np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), p, rtol=1e-6)
    assert net.score(X, Y) > 0.9
    sparse = FeedforwardClassifier(alpha=0, lr=0.03, max_epochs=100, random_state=0)
    np.testing.assert_array_equal(
        sparse.fit(X, sp.csr_matrix(Y)).predict_proba(X), net.predict_proba(X)
    )
    # One label is a label, not two classes.
    single = FeedforwardClassifier(max_epochs=2).fit(X, Y[:, :1].repeat(2, axis=1))
    assert single.predict(X).shape == (200, 2)


def test_probabilities_of_two_and_more_classes():
    X, y = load_iris(return_X_y=True)
    for labels in (y, y % 2, y == 0, np.array(["a", "b", "c"])[y]):
        net = FeedforwardClassifier(max_epochs=5, random_state=0).fit(X, labels)
        p = net.predict_proba(X)
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)
        np.testing.assert_array_equal(net.classes_[p.argmax(1)], net.predict(X))
        np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), p, rtol=1e-6)
        assert net.predict(X).dtype == np.asarray(labels).dtype


def test_weights_are_repetitions_and_zero_is_absence():
    X, y = make_classification(60, 4, random_state=0)
    w = np.random.RandomState(0).randint(0, 3, 60)
    options = {"batch_size": 1000, "max_epochs": 20, "random_state": 0}
    for cls in (FeedforwardClassifier, FeedforwardRegressor):
        weighted = cls(**options).fit(X, y, sample_weight=w)
        repeated = cls(**options).fit(X.repeat(w, axis=0), y.repeat(w))
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


def test_class_weight():
    X, y = make_classification(200, 5, weights=[0.9], flip_y=0.1, random_state=0)
    options = {"max_epochs": 10, "random_state": 0}
    balanced = FeedforwardClassifier(class_weight="balanced", **options).fit(X, y)
    plain = FeedforwardClassifier(**options).fit(X, y)
    by_hand = FeedforwardClassifier(**options).fit(
        X, y, sample_weight=compute_sample_weight("balanced", y)
    )
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X))
    assert balanced.predict(X).sum() > plain.predict(X).sum()
    doubled = FeedforwardClassifier(class_weight={0: 2}, **options).fit(X, y)
    by_hand = plain.fit(X, y, sample_weight=np.where(y == 0, 2.0, 1.0))
    np.testing.assert_allclose(doubled.predict_proba(X), by_hand.predict_proba(X))
    with pytest.raises(ValueError, match=r"class_weight=\{5: 2\}\): 5 is not one of"):
        FeedforwardClassifier(class_weight={5: 2}).fit(X, y)


def test_sparse_equals_dense_scaled_without_centring():
    X, y = make_classification(100, 6, random_state=0)
    X[np.abs(X) < 0.7] = 0
    net = FeedforwardClassifier(max_epochs=5, random_state=0)
    scaled = X / X.std(0)
    expected = (
        FeedforwardClassifier(max_epochs=5, random_state=0, standardize=False)
        .fit(scaled, y)
        .predict_proba(scaled)
    )
    for kind in (sp.csr_matrix, sp.csr_array, sp.coo_matrix, sp.csc_matrix):
        found = net.fit(kind(X), y).predict_proba(kind(X))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_raw_tables_work_because_columns_are_standardised():
    X, y = load_breast_cancer(return_X_y=True)
    net = FeedforwardClassifier(max_epochs=50, random_state=0)
    assert cross_val_score(net, X, y, cv=3).mean() > 0.96
    net.fit(X, y)
    np.testing.assert_allclose(net.x_mean_, X.mean(0))
    np.testing.assert_allclose(net.x_scale_, X.std(0))
    assert cross_val_score(net.set_params(standardize=False), X, y, cv=3).mean() < 0.96


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_every_combination_learns(optimizer, normalization, dropout):
    X, y = load_iris(return_X_y=True)
    net = FeedforwardClassifier(
        hidden_layer_sizes=[16, 8],
        optimizer=optimizer,
        lr=0.05 if optimizer == "sgd" else 0.01,
        normalization=normalization,
        dropout=dropout,
        max_epochs=40,
        batch_size=30,
        random_state=0,
    )
    assert net.fit(X, y).score(X, y) > 0.93


@pytest.mark.parametrize(
    "activation",
    ["relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu", "silu"],
)
def test_every_activation_learns(activation):
    X, y = load_diabetes(return_X_y=True)
    net = FeedforwardRegressor(activation=activation, max_epochs=20, random_state=0)
    assert net.fit(X, y).score(X, y) > 0.4


def test_n_parameters():
    X, y = load_iris(return_X_y=True)
    net = FeedforwardClassifier(hidden_layer_sizes=7, max_epochs=1).fit(X, y)
    assert net.n_parameters_ == 4 * 7 + 7 + 7 * 3 + 3
    assert [tuple(p.shape) for p in net.net_.module_.parameters()] == [
        (7, 4),
        (7,),
        (3, 7),
        (3,),
    ]


# -- categories ------------------------------------------------------------------------

rng = np.random.RandomState(0)
city = rng.choice(["Oslo", "Rome", "Lima", "Cairo"], 240)
size = rng.randn(240)
price = np.where(np.isin(city, ["Oslo", "Lima"]), 1.0, -1.0) * 3 + size
FRAME = pd.DataFrame(
    {"size": size, "city": pd.Categorical(city), "rooms": [2, 3] * 120}
)


def regressor(**options):
    return FeedforwardRegressor(lr=0.01, max_epochs=40, random_state=0, **options)


def test_categories_of_a_frame_are_embedded():
    net = regressor().fit(FRAME, price)
    assert net.score(FRAME, price) > 0.95
    assert net.categorical_columns_.tolist() == [1]
    assert net.categories_[0].tolist() == ["Cairo", "Lima", "Oslo", "Rome"]
    embedding = net.net_.module_.layers[1].embeddings[0]
    assert embedding.weight.shape == (5, 3)
    assert net.x_scale_[1] == 1 and net.x_mean_[1] == 0


@pytest.mark.parametrize("named", [["city"], [1], [False, True, False], "from_dtype"])
def test_ways_to_name_the_categories(named):
    frame = FRAME if named == "from_dtype" else FRAME.assign(city=city)
    found = regressor(categorical_features=named).fit(frame, price).predict(frame)
    np.testing.assert_array_equal(found, regressor().fit(FRAME, price).predict(FRAME))


def test_polars_and_arrays_give_the_same():
    expected = regressor().fit(FRAME, price).predict(FRAME)
    frame = pl.DataFrame(
        {
            "size": size,
            "city": pl.Series(city, dtype=pl.Categorical),
            "rooms": [2, 3] * 120,
        }
    )
    found = regressor().fit(frame, price).predict(frame)
    np.testing.assert_allclose(found, expected)
    array = np.column_stack([size, city, [2, 3] * 120]).astype(object)
    array[:, 0], array[:, 2] = size, [2, 3] * 120
    named = regressor(categorical_features=[1]).fit(array, price)
    np.testing.assert_allclose(named.predict(array), expected)


def test_unknown_and_missing_categories():
    net = regressor().fit(FRAME, price)
    strange = FRAME.assign(city=pd.Categorical(["Atlantis"] * 240))
    missing = FRAME.assign(city=pd.Categorical([None] * 240))
    unknown = net.predict(strange)
    assert np.isfinite(unknown).all()
    np.testing.assert_array_equal(unknown, net.predict(missing))
    # Missing in fit: a category of its own, with its own effect.
    gaps = np.where(city == "Rome", None, city)
    frame = FRAME.assign(city=pd.Categorical(gaps))
    net.fit(frame, price)
    assert net.categories_[0].tolist() == ["Cairo", "Lima", "Oslo", None]
    assert net.score(frame, price) > 0.95


def test_frame_without_numbers_and_with_numeric_categories():
    frame = pd.DataFrame({"a": pd.Categorical([3, 7, 7, 3] * 10)})
    target = np.array([0, 1, 1, 0] * 10)
    net = FeedforwardClassifier(lr=0.05, max_epochs=40, random_state=0)
    assert net.fit(frame, target).score(frame, target) == 1.0


def test_saving_keeps_categories(tmp_path):
    import sknets

    net = regressor().fit(FRAME, price)
    net.save(tmp_path / "net")
    twin = sknets.load(tmp_path / "net")
    np.testing.assert_array_equal(twin.predict(FRAME), net.predict(FRAME))


def test_the_penalty_fades_with_the_number_of_samples():
    X, y = make_classification(50, 4, random_state=0)
    options = {"batch_size": 1000, "random_state": 0, "max_epochs": 30}
    by_hand = FeedforwardClassifier(alpha=0, weight_decay=4 / 50, **options).fit(X, y)
    found = FeedforwardClassifier(alpha=4, **options).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), by_hand.predict_proba(X))
    # Every row ten times, or with ten times the weight, is ten times the evidence.
    tenth = FeedforwardClassifier(alpha=0, weight_decay=4 / 500, **options).fit(X, y)
    heavy = FeedforwardClassifier(alpha=4, **options)
    heavy.fit(X, y, sample_weight=np.full(50, 10.0))
    np.testing.assert_allclose(heavy.predict_proba(X), tenth.predict_proba(X))


def with_gaps(X, share=0.2, columns=slice(None)):
    gaps = np.random.RandomState(0).rand(*X.shape) < share
    mask = np.zeros_like(gaps)
    mask[:, columns] = True
    return np.where(gaps & mask, np.nan, X)


def test_missing_values_are_means_with_an_input_more():
    """As the imputer of scikit-learn before a net that standardises nothing."""
    X, y = make_classification(200, 5, random_state=0)
    gaps = with_gaps(X, columns=[1, 3])
    net = FeedforwardClassifier(random_state=0, max_epochs=10, standardize=False)
    imputer = SimpleImputer(add_indicator=True).fit(gaps)
    found = clone(net).fit(gaps, y)
    expected = clone(net).fit(imputer.transform(gaps), y)
    assert found.missing_columns_.tolist() == [1, 3]
    np.testing.assert_allclose(found.x_mean_, np.nanmean(gaps, 0))
    new = with_gaps(X, 0.5)  # in other columns too
    filled = np.where(np.isnan(new), found.x_mean_, new)
    filled = np.c_[filled, np.isnan(new[:, [1, 3]])]
    np.testing.assert_allclose(
        found.predict_proba(new), expected.predict_proba(filled), rtol=1e-6
    )


@pytest.mark.parametrize("standardize", [True, False])
def test_that_a_value_is_missing_may_tell(standardize, tmp_path):
    import sknets

    y = np.random.RandomState(0).randint(2, size=200)
    X = np.c_[np.where(y, np.nan, 5.0), np.zeros(200), np.full(200, np.nan)]
    settings = {"max_epochs": 40, "lr": 0.01, "random_state": 0}
    net = FeedforwardClassifier(standardize=standardize, **settings)
    assert net.fit(X, y).score(X, y) == 1
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
    net.save(tmp_path / "net")
    twin = sknets.load(tmp_path / "net")
    np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))


def test_missing_values_in_frames_and_in_rows_that_do_not_count():
    gaps = FRAME.copy()
    numbers = gaps.select_dtypes("number").columns
    gaps[numbers] = with_gaps(gaps[numbers].to_numpy(float))
    assert len(regressor().fit(gaps, price).missing_columns_) == len(numbers)
    X, y = make_classification(100, 4, random_state=0)
    weight = (np.arange(100) % 4 > 0).astype(float)
    one = FeedforwardClassifier(random_state=0, max_epochs=5)
    one.fit(np.where(weight[:, None], X, np.nan), y, weight)
    assert one.missing_columns_.tolist() == []
    other = clone(one).fit(X[weight > 0], y[weight > 0])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-6)
    with pytest.raises(ValueError, match="contains NaN"):
        one.predict(np.full((1, 4), np.nan))
