"""A wrong input gets one clear sentence before any work starts."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score

from sknets import CNNClassifier, FeedforwardClassifier, FeedforwardRegressor

X, y = load_iris(return_X_y=True)
GUESS = [0, 1] * 3


def refused(match, call, *args, error=ValueError, **kwargs):
    with pytest.raises(error, match=match) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("max_epochs", 0, "max_epochs must be at least 1"),
        ("max_epochs", 2.5, "max_epochs must be an integer"),
        ("max_epochs", True, "max_epochs must be an integer"),
        ("batch_size", "all", "batch_size must be an integer"),
        ("lr", 0, "lr must be above 0"),
        ("lr", float("nan"), "lr must be finite"),
        ("lr", "fast", "lr must be a number"),
        ("dropout", 1, "dropout must be below 1"),
        ("validation_fraction", 1.5, "validation_fraction must be below 1"),
        (
            "optimizer",
            "adan",
            "optimizer must be 'adam' or 'adamw' or 'sgd'; did you mean 'adam'?",
        ),
        (
            "hidden_layer_sizes",
            (10, 0),
            "hidden_layer_sizes must be everywhere at least 1",
        ),
        ("hidden_layer_sizes", "10", "must be an integer or a tuple of integers"),
        ("early_stopping", "yes", "early_stopping must be True or False"),
        ("gradient_clip", -1, "gradient_clip must be above 0"),
        (
            "random_state",
            "zero",
            "random_state must be an integer or a numpy RandomState",
        ),
        ("random_state", -1, "random_state must be at least 0"),
        ("device", "gpu", "device must be 'cpu', 'auto' or an accelerator"),
        (
            "class_weight",
            "even",
            "class_weight must be a dict or a list of items or 'balanced' or None",
        ),
        ("callbacks", 3, "callbacks must be a list of items or None"),
        ("precision", "half", "precision must be 'auto' or 'float32'"),
        ("activation", "rely", "did you mean 'relu'?"),
        ("categorical_features", ["a"], "X has no column 'a'"),
        ("categorical_features", [9], "X has no column 9"),
    ],
)
def test_parameters(name, value, sentence):
    net = FeedforwardClassifier(**{name: value})
    message = refused(".", net.fit, X, y)
    assert message.startswith(f"FeedforwardClassifier({name}={value!r}): ")
    assert sentence in message and "\n" not in message
    assert not vars(net).keys() - net.get_params().keys(), "something was left behind"


def test_numpy_numbers_are_numbers():
    FeedforwardClassifier(
        max_epochs=np.int64(2),
        lr=np.float32(0.1),
        early_stopping=np.bool_(True),
        hidden_layer_sizes=np.int32(3),
    ).fit(X, y)


def test_misspelt_parameters():
    message = refused(".", FeedforwardClassifier, hiden_layer_sizes=3, error=TypeError)
    assert message == (
        "FeedforwardClassifier(hiden_layer_sizes=3): there is no parameter "
        "hiden_layer_sizes; did you mean hidden_layer_sizes?"
    )
    refused("takes its parameters by name", FeedforwardClassifier, 10, error=TypeError)
    refused("did you mean dropout", FeedforwardClassifier().set_params, drop_out=0.1)


def with_one(value):
    changed = X.copy()
    changed[7, 2] = value
    return changed


@pytest.mark.parametrize("cls", [FeedforwardClassifier, FeedforwardRegressor])
def test_values_and_shapes_of_X(cls):
    net = cls(max_epochs=2)
    refused(
        "NaN, and a sparse X may have none", net.fit, sp.csr_matrix(with_one(np.nan)), y
    )
    refused("Input X contains infinity", net.fit, with_one(np.inf), y)
    refused(r"takes a table, not a series of shape \(150,\)", net.fit, X[:, 0], y)
    refused(r"takes a table, not sequences of shape \(1, 150, 4\)", net.fit, X[None], y)
    refused("Found array with 0 sample", net.fit, X[:0], y[:0])
    refused("0 feature", net.fit, X[:, :0], y)
    refused("X has 150, y has 149", net.fit, X, y[:-1])
    refused("requires y to be passed", net.fit, X, None)
    refused("Complex data not supported", net.fit, X.astype(complex), y)
    net.fit(X, y)
    refused("X has 3 features, but .* is expecting 4", net.predict, X[:, :3])
    frame = pd.DataFrame(X, columns=list("abcd"))
    net.fit(frame, y)
    refused("feature names", net.predict, frame[list("dcba")])


@pytest.mark.parametrize("cls", [FeedforwardClassifier, FeedforwardRegressor])
def test_text_where_numbers_belong(cls):
    frame = pd.DataFrame({"a": X[:, 0], "town": ["Rome"] * 150})
    message = refused(".", cls().fit, frame, y)
    assert message.startswith(
        f"{cls.__name__}: column 'town' of X holds text such as 'Rome' where numbers "
        "belong; name it in categorical_features=['town'], or encode it first"
    )
    array = np.array([["1.5", "x"]] * 150, dtype=object)
    refused(r"column 1 of X holds text such as 'x'", cls().fit, array, y)
    mixed = frame.assign(kind=pd.Categorical(["k"] * 150))
    refused("column 'town' of X holds text", cls().fit, mixed, y)
    refused(
        "categories cannot be read from a sparse X",
        cls(categorical_features=[0]).fit,
        sp.csr_matrix(X),
        y,
    )


def test_targets_of_a_classifier():
    net = FeedforwardClassifier(max_epochs=2)
    refused("at least 2 classes .* got 1 class: .1", net.fit, X, np.ones(150, int))
    refused("Unknown label type: continuous", net.fit, X, y + 0.5)
    refused("Input y contains NaN", net.fit, X, np.where(y == 0, np.nan, y))
    one_left = np.where(y == 1, 1.0, 0.0)
    refused("got 1 class", net.fit, X, y, sample_weight=one_left)


def test_targets_of_a_regressor():
    net = FeedforwardRegressor(max_epochs=2)
    refused("Input y contains NaN", net.fit, X, np.where(y == 0, np.nan, y))
    refused("Input y contains infinity", net.fit, X, np.where(y == 0, np.inf, y))
    refused("could not convert string", net.fit, X, np.array(["a"] * 150))
    with pytest.warns(UserWarning, match=r"y is constant, \[3.0\] in all 150 samples"):
        net.fit(X, np.full(150, 3))
    np.testing.assert_allclose(net.predict(X), 3, atol=2)


@pytest.mark.parametrize("cls", [FeedforwardClassifier, FeedforwardRegressor])
def test_weights(cls):
    net = cls(max_epochs=2)
    refused("Negative values", net.fit, X, y, sample_weight=-np.ones(150))
    refused("weights .*zero", net.fit, X, y, sample_weight=np.zeros(150))
    refused("shape", net.fit, X, y, sample_weight=np.ones(149))
    refused("NaN", net.fit, X, y, sample_weight=np.full(150, np.nan))


def test_partial_fit():
    net = FeedforwardClassifier()
    refused("classes must be passed on the first call", net.partial_fit, X, y)
    assert not hasattr(net, "classes_")
    net.partial_fit(X[:50], y[:50], classes=[0, 1, 2])
    expected = net.predict_proba(X)
    refused(
        r"labels \[7\] that are not among the classes", net.partial_fit, X, y * 0 + 7
    )
    refused(r"classes=\[0, 1\] differ", net.partial_fit, X, y % 2, classes=[0, 1])
    refused("X has 3 features", net.partial_fit, X[:, :3], y)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    net.partial_fit(X, y)
    early = FeedforwardClassifier(early_stopping=True)
    why = "partial_fit sees one epoch at a time"
    refused(why, getattr, early, "partial_fit", error=AttributeError)
    balanced = FeedforwardClassifier(class_weight="balanced")
    why = "give a dict of weights"
    refused(why, getattr, balanced, "partial_fit", error=AttributeError)
    reg = FeedforwardRegressor().partial_fit(X, y)
    refused("y has shape", reg.partial_fit, X, np.c_[y, y])


def test_early_stopping_on_few_rows():
    for n in (2, 3, 5):
        net = FeedforwardClassifier(early_stopping=True, max_epochs=2, random_state=0)
        net.fit(X[[0, 60, 120, 1, 61][:n]], ["a", "b", "c", "a", "b"][:n])
    one = FeedforwardRegressor(early_stopping=True)
    refused("a validation set needs more than n_samples=1", one.fit, X[:1], y[:1])


def test_a_missing_device_warns_once_per_call():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.warns(
        RuntimeWarning, match="no such device, the CPU is used"
    ) as caught:
        FeedforwardClassifier(device="cuda", max_epochs=1).fit(X, y)
    assert len(caught) == 1


def test_arrays_that_skip_scikit_learns_checks_are_those_that_would_pass():
    """Predicting takes a short way for plain arrays: nothing wrong may use it."""
    net = FeedforwardRegressor(max_epochs=2, random_state=0).fit(X, y)
    expected = net.predict(X)
    for good in (X.copy(order="F"), X[::-1][::-1], X.tolist(), pd.DataFrame(X).values):
        np.testing.assert_allclose(net.predict(good), expected)
    np.testing.assert_allclose(net.predict(X.astype(np.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(net.predict(X.astype(">f8")), expected)
    # A sum that overflows is not an infinite value.
    assert np.isfinite(net.predict(np.full((2, 4), 1e38, dtype=np.float32))).all()
    refused("Input X contains NaN, and fit had none", net.predict, with_one(np.nan))
    refused("Input X contains infinity", net.predict, with_one(-np.inf))
    refused("0 sample", net.predict, X[:0])
    refused("takes a table, not a series of shape .* Reshape", net.predict, X[0])
    net.fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        net.predict(X)


@pytest.mark.parametrize(
    "call",
    [
        lambda: CNNClassifier(max_epochs=1).fit(np.full((6, 8, 8), 16.0), GUESS),
        lambda: FeedforwardClassifier(max_epochs=1).partial_fit(
            pd.DataFrame(np.eye(6)), pd.Series(GUESS)[::-1], classes=[0, 1]
        ),
        lambda: FeedforwardRegressor(max_epochs=1).fit(np.eye(6), np.eye(6)[:, :1]),
        lambda: FeedforwardClassifier(max_epochs=1, device="xpu").fit(np.eye(6), GUESS),
        lambda: cross_val_score(
            FeedforwardRegressor(max_epochs=1), np.eye(6), np.eye(6)[:, :1], cv=2
        ),
    ],
)
def test_warnings_point_at_the_users_line(call):
    with pytest.warns(Warning) as warned:
        call()
    assert {each.filename for each in warned} == {__file__}
