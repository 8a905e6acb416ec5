"""Gradients checked against finite differences and closed forms, and their norms."""

import functools
import pickle
import random
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from torch import nn

import sknets
from sknets import (
    FeedforwardClassifier,
    FeedforwardRegressor,
    _differences,
    gradient_check,
    gradient_norms,
)
from sknets._engine import dense
from sknets._estimator import Estimator
from sknets._layers import Standardize
from sknets.display import GradientNormsDisplay

pytestmark = pytest.mark.at_most_epochs(2)  # pretraining's too

X, y = make_classification(60, 6, n_informative=4, n_classes=3, random_state=0)
_, numbers = make_regression(60, 6, n_targets=2, random_state=0)
WEIGHT = np.random.RandomState(0).rand(60)
WEIGHT[:5] = 0

# What each task is checked on, for every estimator of the library that takes a table.
CASES = {
    "classification": (X, np.array(["no", "perhaps", "yes"])[y]),
    "regression": (X, numbers[:, 0]),
    "pose lifting": (X, numbers[:, 0]),
    "transformation": (X, None),
    "outlier detection": (X, None),
}
ESTIMATORS = [
    value
    for value in (getattr(sknets, name) for name in sknets.__all__)
    if isinstance(value, type)
    and issubclass(value, Estimator)
    and get_tags(value()).input_tags.two_d_array
    and value._has_loss
]
# A forward pass for each number: the largest nets are made smaller.
SMALLER = {"embedding_size": 16, "n_layers": 1, "feedforward_size": 16}
small = {"hidden_layer_sizes": (8, 5), "max_epochs": 2, "random_state": 0}


def smaller(cls):
    if cls is sknets.PoseLifter:
        return {"width": 16, "n_blocks": 1}
    return SMALLER if hasattr(cls(), "n_heads") else {}


@functools.cache
def every_state(cls):
    """Not fitted, fitted, and fitted in float32."""
    X, y = CASES[cls._task]
    given = {"random_state": 0, **smaller(cls)}
    return [
        cls(**given),
        cls(max_epochs=2, **given).fit(X, y),
        cls(max_epochs=2, precision="float32", **given).fit(X, y),
    ]


# -- every estimator -------------------------------------------------------------------


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_gradients_of_every_estimator_are_right(cls):
    for estimator in every_state(cls):
        check = gradient_check(estimator, *CASES[cls._task], n_parameters=2)
        assert check.passed, check
        assert 0 <= check.max_relative_error < check.tolerance == 1e-6
        assert check.table["checked"].min() > 0


def _some_gradients(estimator, X, y):
    gradient_check(estimator, X, y, n_parameters=1)


@pytest.mark.parametrize("measure", [_some_gradients, gradient_norms])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_an_estimator_is_left_as_it_was(cls, measure):
    def globals_():
        return [
            torch.get_rng_state().numpy().tobytes(),
            pickle.dumps(np.random.get_state()),
            pickle.dumps(random.getstate()),
        ]

    X, y = CASES[cls._task]
    random_, stopped = cls(**smaller(cls)), cls(early_stopping=True, **smaller(cls))
    for estimator in [*every_state(cls), random_, stopped]:
        state, before = pickle.dumps(estimator), globals_()
        net = getattr(estimator, "net_", None)
        grads = net and [p.grad for p in net.module_.parameters()]
        measure(estimator, X, y)
        assert pickle.dumps(estimator) == state and globals_() == before
        if net is not None:
            assert estimator.net_ is net and not net.module_.training
            for p, grad in zip(net.module_.parameters(), grads):
                assert p.grad is grad


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_layers_of_every_estimator_have_finite_norms(cls):
    for estimator in every_state(cls):
        norms = gradient_norms(estimator, *CASES[cls._task])
        assert np.isfinite(norms.loss) and norms.name == cls.__name__
        table = norms.table
        assert table.index.is_unique and (table["gradient_norm"] > 0).all()
        ratio = table["gradient_norm"] / table["weight_norm"]
        ratio = ratio.where(table["weight_norm"] > 0)
        np.testing.assert_allclose(table["ratio"], ratio)
        rms = table["gradient_norm"] / np.sqrt(table["parameters"])
        np.testing.assert_allclose(table["gradient_rms"], rms)
        if hasattr(estimator, "n_parameters_"):
            assert table["parameters"].sum() == estimator.n_parameters_


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_an_unfitted_estimator_has_the_weights_that_fit_begins_with(cls):
    still = {"optimizer": "sgd", "lr": 1e-30, "max_epochs": 1}
    if hasattr(cls, "pretraining_epochs"):
        still["pretraining_epochs"] = 0
    X, y = CASES[cls._task]
    for seed in (0, np.random.RandomState(3)):
        estimator = cls(random_state=seed, **still)
        before = gradient_norms(estimator, X, y).table
        after = gradient_norms(estimator.fit(X, y), X, y).table
        moved = ["ratio", "weight_norm"]  # from zero, by 1e-30
        pd.testing.assert_frame_equal(
            before.drop(columns=moved), after.drop(columns=moved), rtol=1e-12
        )


# -- closed forms ----------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_gradient_of_linear_regression(weight):
    net = FeedforwardRegressor(hidden_layer_sizes=(), max_epochs=2, random_state=0)
    target = numbers[:, 0]
    net.fit(X, target, sample_weight=weight)
    norms = gradient_norms(net, X, target, sample_weight=weight)

    Z = np.column_stack([(X - net.x_mean_) / net.x_scale_, np.ones(60)])
    error = (net.predict(X) - target) / net.y_scale_
    w = np.ones(60) if weight is None else weight
    w = w / w.sum()
    gradient = 2 * Z.T @ (w * error)
    (row,) = norms.table.itertuples()
    assert row.Index == "layers.1 Linear 6->1"
    np.testing.assert_allclose(row.gradient_norm, np.linalg.norm(gradient), rtol=1e-10)
    np.testing.assert_allclose(norms.loss, (w * error**2).sum(), rtol=1e-10)
    assert gradient_check(net, X, target, sample_weight=weight).passed


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_gradient_of_logistic_regression(weight):
    net = FeedforwardClassifier(hidden_layer_sizes=(), standardize=False, max_epochs=2)
    net.fit(X, y > 0, sample_weight=weight)
    norms = gradient_norms(net, X, y > 0, sample_weight=weight)

    w = np.ones(60) if weight is None else weight
    error = (w / w.sum()) * (net.predict_proba(X)[:, 1] - (y > 0))
    gradient = np.column_stack([X, np.ones(60)]).T @ error
    found = norms.table["gradient_norm"].item()
    np.testing.assert_allclose(found, np.linalg.norm(gradient), rtol=1e-10)
    assert gradient_check(net, X, y > 0, sample_weight=weight).passed


def test_the_gradient_of_softmax_regression_by_class():
    net = FeedforwardClassifier(hidden_layer_sizes=(), max_epochs=2).fit(X, y)
    norms = gradient_norms(net, X, y)
    Z = np.column_stack([(X - net.x_mean_) / net.x_scale_, np.ones(60)])
    gradient = Z.T @ (net.predict_proba(X) - np.eye(3)[y]) / 60
    found = norms.table["gradient_norm"].item()
    np.testing.assert_allclose(found, np.linalg.norm(gradient), rtol=1e-10)


# -- right gradients pass --------------------------------------------------------------

ACTIVATIONS = ["relu", "tanh", "sigmoid", "identity", "leaky_relu"]
ACTIVATIONS += ["elu", "gelu", "silu"]
TARGETS = {
    "classes": (FeedforwardClassifier, y),
    "two classes": (FeedforwardClassifier, y > 0),
    "labels": (FeedforwardClassifier, np.eye(3, dtype=int)[y]),
    "number": (FeedforwardRegressor, numbers[:, 0]),
    "numbers": (FeedforwardRegressor, numbers),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_activation_and_loss(target, activation):
    cls, y = TARGETS[target]
    net = cls(activation=activation, **small)
    by_hand = activation in ("relu", "tanh", "sigmoid", "identity")
    for weight in (None, WEIGHT):
        check = gradient_check(net, X, y, sample_weight=weight, n_parameters=5)
        assert check.passed, check
        assert ("by_hand" in check.table) == by_hand
    check = gradient_check(net.fit(X, y), X, y, n_parameters=5)
    assert check.passed, check


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"normalization": "batch"},
        {"normalization": "layer"},
        {"normalization": "batch", "dropout": 0.3, "activation": "elu"},
        {"standardize": False},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0}},
        {"early_stopping": True},
        {"weight_decay": 0.1, "gradient_clip": 1e-3},
        {"precision": "bfloat16"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (4,) * 10, "activation": "sigmoid"},
    ],
)
def test_whatever_the_network(options):
    net = FeedforwardClassifier(**{**small, **options})
    for estimator in (net, net.fit(X, y)):
        check = gradient_check(estimator, X, y, n_parameters=5)
        assert check.passed, check
        assert check.table["kinks"].sum() <= 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_steps_fit_the_scale_of_the_data(scale):
    for activation in ("relu", "tanh"):
        net = FeedforwardRegressor(
            activation=activation, standardize=False, hidden_layer_sizes=20
        )
        check = gradient_check(net.set_params(random_state=0), X * scale, numbers)
        assert check.passed, check
        assert check.table["checked"].sum() > 50


def test_many_samples_have_kinks_close_to_every_weight():
    X, y = make_classification(5000, 6, random_state=0)
    net = FeedforwardClassifier(hidden_layer_sizes=(30, 30), random_state=0)
    check = gradient_check(net, X, y, n_samples=None)
    assert check.passed, check
    assert check.n_samples == 5000 and "the loss of 5,000 samples" in repr(check)
    assert check.table["kinks"].sum() <= 2


def test_sparse_rows():
    net = FeedforwardClassifier(**small).fit(sp.csr_matrix(X), y)
    assert gradient_check(net, sp.csr_matrix(X), y).passed


def test_embeddings_move_only_the_categories_that_are_there():
    frame = pd.DataFrame({"n": X[:, 0], "c": pd.Categorical(list("abcde") * 12)})
    net = FeedforwardClassifier(**small).fit(frame, y)
    known = frame[frame["c"].isin(["a", "b"])]
    check = gradient_check(net, known, y[known.index], n_parameters=None)
    assert check.passed, check
    table, name = check.table, "layers.1.embeddings.0.weight"
    n_codes, width = table["shape"][name]
    # All but the vector of unknown categories, the untouched ones with a zero gradient.
    assert table["checked"][name] == (n_codes - 1) * width >= 10

    # That vector stays zero, though another value would change the loss.
    unknown = known.assign(c="z")
    check = gradient_check(net, unknown, y[known.index], n_parameters=None)
    assert check.passed, check
    norms = gradient_norms(net, unknown, y[known.index]).table
    kinds = norms.set_index("kind")["gradient_norm"]
    assert kinds["Embedding"] == 0 and (kinds["Linear"] > 0).all()
    assert norms.index[0].startswith("layers.1.embeddings.0 Embedding")


def test_the_loss_is_of_some_samples_of_many():
    net, few = FeedforwardClassifier(**small), np.arange(len(X)) < 20
    assert gradient_check(net, X, y).n_samples == 32
    assert gradient_check(net, X, y, n_samples=None).n_samples == len(X)
    assert gradient_check(net, X[few], y[few]).n_samples == 20
    # A weight of 0 is an absent sample.
    assert gradient_check(net, X, y, sample_weight=few.astype(float)).n_samples == 20


def test_so_many_numbers_are_checked_as_asked():
    net = FeedforwardClassifier(**small)
    for n in (1, 7, None):
        table = gradient_check(net, X, y, n_parameters=n).table
        sizes = table["shape"].map(np.prod)
        found = table["checked"] + table["kinks"]
        assert list(found) == list(sizes if n is None else sizes.clip(upper=n))


# -- wrong gradients fail --------------------------------------------------------------


class Bent(torch.autograd.Function):
    """tanh with a derivative that is wrong by a given share."""

    @staticmethod
    def forward(ctx, x, share):
        ctx.save_for_backward(x)
        ctx.share = share
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, error):
        (x,) = ctx.saved_tensors
        return error * (1 - torch.tanh(x) ** 2) * (1 + ctx.share), None


class BentTanh(nn.Module):
    share = 1e-5

    def forward(self, x):
        return Bent.apply(x, self.share)


class Wrong(FeedforwardClassifier):
    def _build(self):
        module = super()._build()
        module.layers[2] = BentTanh()
        return module


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("share", [-2.0, 0.1, 1e-5])
def test_a_wrong_backward_is_found_where_it_is(share, fitted, monkeypatch):
    monkeypatch.setattr(BentTanh, "share", share)
    net = Wrong(activation="tanh", **small)
    check = gradient_check(net.fit(X, y) if fitted else net, X, y)
    assert not check.passed and check.max_relative_error > 1e-6
    wrong = check.table["autograd"] > 1e-6
    assert list(wrong) == [True, True, False, False, False, False]
    monkeypatch.setattr(BentTanh, "share", 0.0)
    assert gradient_check(net, X, y).passed


def test_a_wrong_hand_derived_gradient_is_found(monkeypatch):
    monkeypatch.setitem(dense.BACKWARD, nn.Tanh, lambda error, a: error * (1 - a))
    net = FeedforwardClassifier(activation="tanh", **small)
    check = gradient_check(net, X, y)
    assert not check.passed and "FAILED" in repr(check)
    assert check.table["by_hand"].max() > 1e-2 > 1e-6 > check.table["autograd"].max()
    assert (check.table["by_hand"].tail(2) < 1e-6).all()  # after the wrong layers


def test_a_wrong_gradient_of_the_loss_is_found(monkeypatch):
    right = sknets._losses.SquaredError.losses_and_gradient

    def without_the_two(self, *args):
        value, gradient = right(self, *args)
        return value, gradient / 2

    monkeypatch.setattr(
        sknets._losses.SquaredError, "losses_and_gradient", without_the_two
    )
    check = gradient_check(FeedforwardRegressor(**small), X, numbers)
    np.testing.assert_allclose(check.table["by_hand"], 1 / 3, rtol=1e-5)
    assert not check.passed


def test_a_gradient_that_is_not_finite_is_found(monkeypatch):
    monkeypatch.setattr(BentTanh, "share", float("nan"))
    check = gradient_check(Wrong(activation="tanh", **small), X, y)
    assert not check.passed and check.max_relative_error == np.inf


def test_a_rare_wrong_gradient_is_found():
    """One column in hundreds is not zero: chance alone would seldom meet it."""

    class Identity(nn.Linear):
        def forward(self, x):
            return Scaled.apply(x @ self.weight.t()) + self.bias

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, error):
            return error * 1.01

    class Rare(FeedforwardClassifier):
        def _build(self):
            module = super()._build()
            module.layers[0] = Identity(400, 3)
            return module

    wide = np.zeros((60, 400))
    wide[:, 17] = X[:, 0]
    net = Rare(standardize=False, hidden_layer_sizes=3, random_state=0)
    for seed in range(3):
        table = gradient_check(net, wide, y, n_parameters=6, random_state=seed).table
        assert list(table["autograd"] > 1e-6) == [True, False, False, False]


# -- kinks -----------------------------------------------------------------------------


def test_a_kink_is_left_out_and_counted():
    net = FeedforwardRegressor(standardize=False, **small).fit(X, numbers)
    first = net.net_.module_.layers[0]
    with torch.no_grad():
        first.bias[:3] = 0
    zeros = np.zeros_like(X)  # the ReLU of three units is exactly at its kink
    check = gradient_check(net, zeros, numbers)
    assert check.passed, check
    moving = (net.net_.module_.layers[2].weight[:, :3].abs().sum(0) > 0).sum()
    assert check.table["kinks"]["layers.0.bias"] == moving == 3
    assert check.table["kinks"].sum() == 3
    assert "3 left out at kinks" in repr(check)


class Bend:
    """A line of slope 1 with curvature and a kink of a given size at a given place."""

    def __init__(self, place, size):
        self.weight = torch.zeros(1, dtype=torch.float64)
        self.place, self.size, self.value = place, size, 0.0
        self.value = self().item()

    def __call__(self):
        w = self.weight[0]
        kink = (w - self.place).clamp_min(0) - max(-self.place, 0)
        return 0.3 + w + 2 * w**2 - 5 * w**3 + self.size * kink


def test_a_kink_anywhere_within_a_step_does_no_harm():
    random = np.random.RandomState(0)
    steps = _differences.FIRST_STEP / 4.0 ** np.arange(6)
    places = [*(steps / 5), *(0.99 * steps), *10 ** random.uniform(-6, -1, 100)]
    for place in np.concatenate([places, np.negative(places)]):
        bend = Bend(place, 10 ** random.uniform(-6, 0))
        # On the left of the kink the slope is 1, on the right more.
        truth = 1 + bend.size * (place < 0)
        found = _differences.derivative(bend, bend.weight, 0, 1e-16, 1e-6)
        assert bend.weight[0] == 0
        assert found is not None, place
        assert abs(found[0] - truth) < 1e-6 + found[1], place
    for size in (1e-3, 1.0):
        kinked = Bend(0.0, size)
        assert _differences.derivative(kinked, kinked.weight, 0, 1e-16, 1e-6) is None


def test_nothing_passes_unchecked():
    net = FeedforwardRegressor(standardize=False, **small).fit(X, numbers)
    with torch.no_grad():
        net.net_.module_.layers[0].bias[:] = 0
    check = gradient_check(net, np.zeros_like(X), numbers)
    assert check.table["kinks"]["layers.0.bias"] == 8 and not check.passed


# -- norms -----------------------------------------------------------------------------


def ten_layers(activation, scale=1.0, width=30):
    net = FeedforwardClassifier(
        hidden_layer_sizes=(width,) * 10,
        activation=activation,
        optimizer="sgd",
        lr=1e-30,
        max_epochs=1,
        random_state=0,
    ).fit(X, y)
    with torch.no_grad():
        for p in net.net_.module_.parameters():
            p *= scale
    return net


def reach(net):
    """The share of the last layer's gradient that the first one sees."""
    norms = gradient_norms(net, X, y).table["gradient_norm"]
    assert len(norms) == 11
    return norms.iloc[0] / norms.iloc[-1]


def test_gradients_vanish_and_explode():
    assert reach(ten_layers("sigmoid")) < 1e-6
    assert reach(ten_layers("tanh")) > 1e-2
    assert 0.1 < reach(ten_layers("relu", 6**0.5)) < 10  # He's initial weights
    assert reach(ten_layers("tanh", 20)) > 1e2


def test_layers_come_in_the_order_of_the_forward_pass():
    class Net(nn.Module):
        def __init__(self, standardize):
            super().__init__()
            self.standardize = standardize
            self.last = nn.Linear(5, 3)
            self.first = nn.Linear(6, 5)
            self.used = nn.Linear(5, 5)  # by its weights, never called
            self.frozen = nn.Linear(5, 5).requires_grad_(False)
            self.tied = nn.Linear(6, 5)
            self.tied.weight = self.first.weight
            self.gain = nn.Parameter(torch.ones(()))

        def forward(self, x):
            x = self.standardize(x)
            h = self.first(x) + self.tied(x)
            h = nn.functional.linear(self.frozen(h), self.used.weight, self.used.bias)
            return self.last(torch.tanh(h)) * self.gain

    class Custom(FeedforwardClassifier):
        def _build(self):
            return Net(Standardize(self.x_mean_, self.x_scale_))

    net = Custom(max_epochs=1, random_state=0)
    table = gradient_norms(net, X, y).table
    assert list(table.index) == [
        "Net",
        "first Linear 6->5",
        "used Linear 5->5",
        "tied Linear 6->5",
        "last Linear 5->3",
    ]
    assert list(table["parameters"]) == [1, 35, 30, 5, 18]
    check = gradient_check(net, X, y, n_parameters=None)
    assert check.passed, check
    assert "frozen.weight" not in check.table.index
    assert check.table["checked"].sum() == 35 + 30 + 5 + 18 + 1


def test_norms_are_readable():
    norms = gradient_norms(FeedforwardClassifier(**small), X, y)
    assert repr(norms).startswith("Gradient norms of FeedforwardClassifier at a loss")
    assert "layers.3 Linear 8->5" in repr(norms)
    check = gradient_check(FeedforwardClassifier(**small), X, y)
    assert repr(check).startswith("Gradient check of FeedforwardClassifier: passed\n")
    assert "layers.3.weight" in repr(check) and "of 119 parameters" in repr(check)


# -- the picture -----------------------------------------------------------------------


@pytest.fixture
def close_figures():
    yield
    plt.close("all")


@pytest.mark.usefixtures("close_figures")
def test_display_draws_several_estimators():
    sigmoid = FeedforwardClassifier(activation="sigmoid", **small)
    norms = gradient_norms(sigmoid, X, y)
    first = GradientNormsDisplay.from_norms(norms)
    assert first.figure_ is first.ax_.figure and first.ax_.get_yscale() == "log"
    np.testing.assert_array_equal(first.line_.get_ydata(), norms.table["gradient_norm"])
    names = [text.get_text() for text in first.ax_.get_xticklabels()]
    assert names == [name.replace("->", "→") for name in norms.table.index]

    relu = FeedforwardClassifier(**small).fit(X, y)
    second = GradientNormsDisplay.from_estimator(
        relu, X, y, ax=first.ax_, name="relu", linestyle="--"
    )
    assert second.ax_ is first.ax_ and second.line_.get_linestyle() == "--"
    assert second.line_.get_color() != first.line_.get_color()
    legend = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert legend == ["FeedforwardClassifier", "relu"]
    assert [text.get_text() for text in first.ax_.get_xticklabels()] == names

    # Layers of another net have other names: numbers take their place.
    other = FeedforwardRegressor(hidden_layer_sizes=3)
    GradientNormsDisplay.from_estimator(other, X, numbers, ax=first.ax_)
    first.figure_.canvas.draw()
    labels = [text.get_text() for text in first.ax_.get_xticklabels()]
    assert not set(labels) & set(names)
    assert first.ax_.get_xlabel() == "layer, from the first to the last"


@pytest.mark.usefixtures("close_figures")
def test_display_shows_a_norm_of_zero():
    table = gradient_norms(FeedforwardClassifier(**small), X, y).table
    table.loc[table.index[0], "gradient_norm"] = 0.0
    display = GradientNormsDisplay(table).plot()
    assert np.isnan(display.line_.get_ydata()[0])
    (marks,) = display.ax_.collections
    np.testing.assert_array_equal(marks.get_offsets(), [[1, 0]])
    ratio = GradientNormsDisplay(table).plot(column="ratio")
    assert ratio.ax_.get_ylabel() == "ratio"
    np.testing.assert_array_equal(ratio.line_.get_ydata(), table["ratio"])


def test_display_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "sknets\[plot\]"'):
        GradientNormsDisplay.from_estimator(FeedforwardClassifier(**small), X, y)


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [gradient_check, gradient_norms])
def test_only_estimators_of_the_library(measure):
    pipeline = make_pipeline(FeedforwardClassifier())
    cases = {
        "a LogisticRegression": LogisticRegression(),
        "a Pipeline; of a pipeline give the last step": pipeline,
        "the class FeedforwardClassifier": FeedforwardClassifier,
    }
    for sentence, value in cases.items():
        with pytest.raises(TypeError) as caught:
            measure(value, X, y)
        assert f"{measure.__name__} needs an estimator of sknets" in str(caught.value)
        assert f"got {sentence}" in str(caught.value)


@pytest.mark.parametrize("measure", [gradient_check, gradient_norms])
def test_what_fit_refuses_is_refused(measure):
    fitted = FeedforwardClassifier(**small).fit(X, y)
    for net in (FeedforwardClassifier(**small), fitted):
        with pytest.raises(ValueError, match="requires y to be passed"):
            measure(net, X)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            measure(net, X, y[:-1])
        with pytest.raises(ValueError, match="infinity"):
            measure(net, np.where(X > 2, np.inf, X), y)
    with pytest.raises(ValueError, match="expecting 6 features"):
        measure(fitted, X[:, :3], y)
    with pytest.raises(ValueError, match="not among the classes"):
        measure(fitted, X, y + 1)
    with pytest.raises(ValueError, match="lr must be above 0"):
        measure(FeedforwardClassifier(lr=-1), X, y)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("n_parameters", 0, "at least 1"),
        ("n_parameters", 2.5, "an integer or None"),
        ("n_parameters", "all", "an integer or None"),
        ("n_samples", 0, "at least 1"),
        ("tolerance", 0, "above 0"),
        ("tolerance", "small", "a number"),
    ],
)
def test_options_out_of_bounds(name, value, rule):
    with pytest.raises(ValueError) as caught:
        gradient_check(FeedforwardClassifier(), X, y, **{name: value})
    assert (
        str(caught.value) == f"gradient_check({name}={value!r}): {name} must be {rule}"
    )


def test_a_loss_without_gradient_is_said():
    net = FeedforwardRegressor(**small).fit(X, numbers)
    with torch.no_grad():
        net.net_.module_.layers[1].weight[0, 0] = np.nan
    with pytest.raises(ValueError, match="is nan, which has no gradient"):
        gradient_check(net, X, numbers)


def test_a_loss_that_moves_by_itself_is_said():
    class Counts(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x + self.calls

    class Restless(FeedforwardClassifier):
        def _build(self):
            module = super()._build()
            module.layers[2] = Counts()
            return module

    with pytest.raises(RuntimeError, match="Restless is not the same twice"):
        gradient_check(Restless(**small), X, y)


def test_which_numbers_are_checked_is_seeded():
    net = Wrong(activation="tanh", **small)
    first = gradient_check(net, X, y, n_parameters=2).table
    again = gradient_check(net, X, y, n_parameters=2).table
    other = gradient_check(net, X, y, n_parameters=3, random_state=1).table
    pd.testing.assert_frame_equal(first, again)
    assert not first["autograd"].equals(other["autograd"])
    generator = np.random.RandomState(0)
    drawn = [
        gradient_check(net, X, y, n_parameters=3, random_state=generator).table
        for _ in range(2)
    ]
    assert not drawn[0]["autograd"].equals(drawn[1]["autograd"])
    gradient_check(net, X, y, n_parameters=3, random_state=None)
