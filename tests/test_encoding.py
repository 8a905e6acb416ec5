"""How dense nets see numbers: pieces, waves, ones that are rare; several members."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import make_friedman1, make_regression
from sklearn.model_selection import cross_val_score

import sknets
from sknets import FeedforwardClassifier, FeedforwardRegressor
from sknets._layers import MembersLinear, NumericEncoding, Standardize
from sknets.backpropagation import gradient_check

random = np.random.RandomState(0)
WAVES = random.rand(600, 4)
waves = np.sin(15 * WAVES[:, 0]) + WAVES[:, 1] + 0.1 * random.randn(600)


def small(kind=FeedforwardRegressor, **params):
    given = {"random_state": 0, "max_epochs": 3, "hidden_layer_sizes": (8,)}
    return kind(**{**given, **params})


def test_an_input_rises_along_its_stretch_and_is_flat_outside():
    knots = [np.array([0.0, 1.0, 3.0, 4.0]), np.array([]), np.array([-1.0, 0.0, 1.0])]
    scaled = Standardize(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    encode = NumericEncoding.piecewise(scaled, knots).double().eval()
    x = np.random.RandomState(0).uniform(-2, 6, (50, 3))
    found = encode(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found[:, :3], (x - [1, 2, 3]) / 2)
    expected = []
    for column in (0, 2):
        ends = knots[column]
        for i in range(3):
            if i + 1 < len(ends):
                rise = np.interp(x[:, column], ends[i : i + 2], [0, 1])
                expected.append(rise - (1 - (i + 0.5) / (len(ends) - 1)))
            else:
                expected.append(np.zeros(50))
    np.testing.assert_allclose(found[:, 3:], np.transpose(expected), atol=1e-12)


def test_waves_are_cosines_of_half_periods():
    encode = NumericEncoding.periodic(None, [np.array([1.0, 2.0, 5.0])]).double()
    x = np.array([[0.0], [1.0], [2.0], [5.0], [9.0]])
    u = np.pi * np.clip((x[:, 0] - 1) / 4, 0, 1)
    expected = np.c_[x[:, 0], np.cos(u), np.cos(2 * u)]
    np.testing.assert_allclose(encode(torch.from_numpy(x)).numpy(), expected)


def test_what_a_line_cannot_follow_gets_pieces():
    net = FeedforwardRegressor(random_state=0)
    assert net.fit(WAVES, waves).numeric_encoding_ == "piecewise"
    linear = clone(net).set_params(numeric_encoding="linear")
    assert cross_val_score(net, WAVES, waves, cv=2).mean() > 0.85
    assert cross_val_score(linear, WAVES, waves, cv=2).mean() < 0.75


def test_what_a_line_follows_stays_linear():
    X, y = make_regression(400, 5, noise=10, random_state=0)
    net = FeedforwardRegressor(random_state=0, max_epochs=100).fit(X, y)
    assert net.numeric_encoding_ == "linear" and not hasattr(net, "knots_")
    explicit = clone(net).set_params(numeric_encoding="linear").fit(X, y)
    np.testing.assert_array_equal(net.predict(X), explicit.predict(X))


@pytest.mark.parametrize(
    "params", [{"hidden_layer_sizes": ()}, {"max_epochs": 2}, {"batch_size": 600}]
)
def test_there_is_no_trial_of_short_trainings_and_of_linear_models(params):
    net = FeedforwardRegressor(**{"max_epochs": 499, "random_state": 0, **params})
    if "batch_size" not in params:
        net.set_params(max_epochs=min(net.max_epochs, 5))
    assert net.fit(WAVES, waves).numeric_encoding_ == "linear"


def test_the_choice_does_not_depend_on_the_seed_and_is_kept(tmp_path):
    nets = [FeedforwardRegressor(random_state=seed, max_epochs=84) for seed in (0, 1)]
    for net in nets:
        assert net.fit(WAVES, waves).numeric_encoding_ == "piecewise"
    np.testing.assert_array_equal(nets[0].knots_, nets[1].knots_)
    nets[0].save(tmp_path / "net")
    twin = sknets.load(tmp_path / "net")
    np.testing.assert_array_equal(twin.predict(WAVES), nets[0].predict(WAVES))
    went_on = clone(nets[0])
    for _ in range(84):
        went_on.partial_fit(WAVES, waves)
    np.testing.assert_array_equal(went_on.predict(WAVES), nets[0].predict(WAVES))


@pytest.mark.parametrize("encoding", ["piecewise", "periodic"])
def test_gradients_behind_an_encoding_are_right(encoding):
    net = small(numeric_encoding=encoding, activation="tanh")
    assert gradient_check(net, WAVES[:20], waves[:20]).passed


def test_a_weight_of_two_is_a_row_twice_for_knots():
    weight = np.repeat([1.0, 2.0], 300)
    net = small(numeric_encoding="piecewise")
    one = net.fit(WAVES, waves, weight).knots_
    two = clone(net).fit(np.r_[WAVES, WAVES[300:]], np.r_[waves, waves[300:]]).knots_
    np.testing.assert_array_equal(one, two)


def test_pieces_beside_gaps_and_categories():
    X = np.where(random.rand(600, 4) < 0.1, np.nan, WAVES)
    X[:, 3] = random.randint(3, size=600)
    net = small(numeric_encoding="piecewise", categorical_features=[3])
    net.fit(X, waves)
    assert [len(ends) for ends in net.knots_] == [17, 17, 17, 0]
    assert np.isfinite(net.predict(X)).all()


def test_a_sparse_table_has_no_pieces():
    X = sp.csr_array(np.where(WAVES > 0.5, WAVES, 0))
    assert small(max_epochs=100).fit(X, waves).numeric_encoding_ == "linear"
    with pytest.raises(ValueError, match=r"numeric_encoding='piecewise'.*'linear'"):
        small(numeric_encoding="piecewise").fit(X, waves)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_rare_ones_are_not_made_large(make):
    X = np.zeros((200, 3))
    X[:2, 0] = 1  # a standard deviation of .1
    X[:, 1] = random.rand(200)
    net = small().fit(make(X), random.rand(200))
    np.testing.assert_allclose(net.x_scale_, [0.5, X[:, 1].std(), 1])


def test_members_learn_each_by_its_own_loss():
    X, y = make_friedman1(100, 5, random_state=0)
    net = small(n_members=3, hidden_layer_sizes=(6, 5)).fit(X, y)
    module = net.net_.module_.train()
    x, target = torch.from_numpy(X[:10]), torch.zeros(10, 1).double()

    def gradient_of_first():
        module.zero_grad()
        module.loss(x, target).mean().backward()
        return module.layers[1].weight.grad[:6].clone()

    before = gradient_of_first()
    assert before.abs().max() > 0
    others = [m for m in module.layers if isinstance(m, MembersLinear)]
    with torch.no_grad():
        for layer in others:
            layer.weight[1:] += 1
    torch.testing.assert_close(gradient_of_first(), before)


def test_gradients_of_members_are_right():
    net = small(n_members=2, activation="tanh", hidden_layer_sizes=(4, 3))
    assert gradient_check(net, WAVES[:20], waves[:20]).passed


@pytest.mark.parametrize("normalization", [None, "layer", "batch"])
def test_members_predict_the_mean_of_their_outputs(normalization):
    X, y = make_friedman1(100, 5, random_state=0)
    net = small(n_members=3, normalization=normalization).fit(X, y)
    module = net.net_.module_
    layers = list(module.layers)
    with torch.no_grad():
        h = torch.nn.Sequential(*layers[:-1])(torch.from_numpy(X))
        head = layers[-1]
        each = [
            h[:, 8 * m : 8 * m + 8] @ head.weight[m] + head.bias[m] for m in range(3)
        ]
    expected = torch.stack(each).mean(0).numpy()[:, 0] * net.y_scale_ + net.y_mean_
    np.testing.assert_allclose(net.predict(X), expected)
    assert (
        net.transform(X).shape == (100, 24) == (100, len(net.get_feature_names_out()))
    )


def test_a_mean_of_members_is_better_than_one():
    X, y = make_friedman1(260, 8, noise=2.0, random_state=0)
    params = {"alpha": 0.0, "max_epochs": 150, "lr": 0.01, "numeric_encoding": "linear"}
    one, four = (
        FeedforwardRegressor(random_state=0, n_members=m, **params).fit(
            X[:130], y[:130]
        )
        for m in (1, 4)
    )
    assert four.score(X[130:], y[130:]) > one.score(X[130:], y[130:]) + 0.02


def test_classes_of_members():
    X = random.randn(120, 3)
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    net = FeedforwardClassifier(n_members=2, random_state=0, lr=0.03, max_epochs=90)
    net.set_params(early_stopping=True).fit(X, y)
    assert net.score(X, y) > 0.75
    np.testing.assert_allclose(net.predict_proba(X).sum(1), 1)
