"""What regressors may lower instead of the squared error."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import PoissonRegressor, QuantileRegressor
from sklearn.metrics import d2_pinball_score, mean_poisson_deviance, r2_score

import sknets
from sknets import (
    CNNRegressor,
    FeedforwardRegressor,
    RecursiveRegressor,
    RNNRegressor,
    TransformerRegressor,
)
from sknets._losses import AbsoluteError, HuberLoss, PinballLoss, PoissonLoss

LOSSES = ["absolute_error", "huber", "poisson", "quantile"]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 3))
RATE = np.exp(1.5 + 0.5 * X[:, 0])
COUNTS = RANDOM.poisson(RATE)
LINEAR = {"hidden_layer_sizes": (), "alpha": 0.0, "random_state": 0, "max_epochs": 60}


def linear(loss, **more):
    return FeedforwardRegressor(loss=loss, lr=0.02, **{**LINEAR, **more})


@pytest.mark.parametrize(
    "loss", [AbsoluteError(), HuberLoss(), PinballLoss(0.8), PoissonLoss()]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives_are_those_of_autograd(loss, weighted):
    output = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    target = torch.rand(7, 2, dtype=torch.float64) * 4
    weight = torch.rand(7, dtype=torch.float64) if weighted else None
    mean = loss(output, target, weight)
    mean.backward()
    with torch.no_grad():
        losses, gradient = loss.losses_and_gradient(output.t(), target, weight)
    torch.testing.assert_close(gradient.t(), output.grad)
    torch.testing.assert_close(losses.mean(), mean.detach())
    each = loss.each(output, target)
    torch.testing.assert_close((each if weight is None else each * weight).mean(), mean)


def test_known_values():
    output, target = torch.tensor([[0.0]]), torch.tensor([[3.0]])
    assert AbsoluteError()(output, target) == 3
    assert PinballLoss(0.9)(output, target).item() == pytest.approx(2.7)
    assert PinballLoss(0.9)(target, output).item() == pytest.approx(0.3)
    huber = torch.nn.HuberLoss(delta=1.35)
    assert HuberLoss()(output, target).item() == pytest.approx(huber(output, target))
    nll = torch.nn.PoissonNLLLoss()
    assert PoissonLoss()(output, target).item() == pytest.approx(nll(output, target))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantiles_are_those_of_a_linear_program(q):
    y = 100 + 20 * X[:, 0] + RANDOM.exponential(5, size=400)
    net = linear("quantile", quantile=q, lr_schedule="cosine").fit(X, y)
    exact = QuantileRegressor(quantile=q, alpha=0).fit(X, y)
    found = d2_pinball_score(y, net.predict(X), alpha=q)
    assert found > d2_pinball_score(y, exact.predict(X), alpha=q) - 0.02
    assert np.mean(y < net.predict(X)) == pytest.approx(q, abs=0.04)
    if q == 0.5:
        median = linear("absolute_error", lr_schedule="cosine").fit(X, y)
        np.testing.assert_allclose(median.predict(X), net.predict(X), rtol=0.02)


def test_counts_are_those_of_a_generalised_linear_model():
    net = linear("poisson", lr_schedule="cosine").fit(X, COUNTS)
    exact = PoissonRegressor(alpha=0).fit(X, COUNTS)
    np.testing.assert_allclose(net.predict(X), exact.predict(X), rtol=0.03)
    assert net.y_mean_ == 0 and net.y_scale_ == pytest.approx(COUNTS.mean())
    assert (net.predict(1e3 * X) >= 0).all()
    squared = linear("squared_error").fit(X, COUNTS).predict(X).clip(1e-3)
    deviance = mean_poisson_deviance(COUNTS, net.predict(X))
    assert deviance < mean_poisson_deviance(COUNTS, squared)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
def test_outliers_do_not_move_what_is_robust(loss):
    y = 5 + 2 * X[:, 0] + RANDOM.normal(0, 0.1, 400)
    dirty = y.copy()
    dirty[::10] += 1e4
    robust = linear(loss).fit(X, dirty)
    assert r2_score(y, robust.predict(X)) > 0.95
    assert robust.y_scale_ < 10
    assert r2_score(y, linear("squared_error").fit(X, dirty).predict(X)) < 0


@pytest.mark.parametrize("loss", LOSSES)
def test_dense_nets_keep_their_gradients_by_hand(loss):
    """Dropout of nothing is autograd's work."""
    y = np.c_[COUNTS, COUNTS[::-1]]
    settings = {
        "max_epochs": 2,
        "random_state": 0,
        "loss": loss,
        "hidden_layer_sizes": 8,
    }
    by_hand = FeedforwardRegressor(**settings).fit(X, y, sample_weight=RATE)
    net = by_hand.net_
    assert net._derived(net._turns[0]) is not None
    other = FeedforwardRegressor(**settings)
    other._augmentation = lambda: lambda x, y: (x, y)
    by_autograd = other.fit(X, y, sample_weight=RATE)
    np.testing.assert_allclose(by_hand.predict(X), by_autograd.predict(X), rtol=1e-9)
    np.testing.assert_allclose(by_hand.loss_curve_, by_autograd.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_score_of_validation_is_that_of_predictions(loss, tmp_path):
    net = FeedforwardRegressor(
        loss=loss, early_stopping=True, max_epochs=4, random_state=0
    )
    net.fit(X, COUNTS, X_val=X[:50], y_val=COUNTS[:50])
    best = net.validation_scores_[int(np.argmin(net.validation_loss_curve_))]
    assert net.score(X[:50], COUNTS[:50]) == pytest.approx(best, rel=1e-4)
    net.save(tmp_path / "net.safetensors")
    twin = sknets.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))


TREES = [f"({i % 4} (1 a{i % 4}) (2 b))" for i in range(20)]
OTHERS = {
    "images": (CNNRegressor, X[:20, :1, None] * np.ones((20, 6, 6))),
    "sequences": (RNNRegressor, X[:20, :, None]),
    "rows": (TransformerRegressor, X[:20]),
    "trees": (RecursiveRegressor, TREES),
}


@pytest.mark.filterwarnings("ignore:CNNRegressor. X holds float images")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", OTHERS)
def test_every_regressor_has_them(name, loss):
    cls, rows = OTHERS[name]
    y = np.arange(20) % 4
    net = cls(loss=loss, max_epochs=2, random_state=0).fit(rows, y)
    found = net.predict(rows)
    assert np.isfinite(found).all() and np.isfinite(net.loss_curve_).all()
    if loss == "poisson":
        assert (found > 0).all()
        if name == "trees":
            roots = [values[0] for values in net.predict_nodes(rows)]
            np.testing.assert_allclose(roots, found, rtol=1e-5)


def test_steps_may_be_counts():
    steps = RANDOM.poisson(3, size=(20, 3))
    net = RNNRegressor(per_step=True, loss="poisson", max_epochs=2, random_state=0)
    assert (
        np.array(list(net.fit(X[:20, :, None], steps).predict(X[:20, :, None]))) > 0
    ).all()


def test_what_is_no_count_is_refused():
    for y, told in (
        (COUNTS - 1.5, r"loss='poisson'.*must not be negative, got -.* at y\["),
        (COUNTS * 0, "must have a number above 0"),
    ):
        with pytest.raises(ValueError, match=told):
            linear("poisson").fit(X, y)
    with pytest.raises(ValueError, match="must not be negative"):
        net = linear("poisson").partial_fit(X, COUNTS)
        net.partial_fit(X, COUNTS - 10)
    with pytest.raises(ValueError, match="quantile must be below 1"):
        linear("quantile", quantile=1.0).fit(X, COUNTS)
