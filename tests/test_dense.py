"""Backpropagation by hand gives autograd's numbers in every combination."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification, make_regression

from sknets import FeedforwardClassifier, FeedforwardRegressor
from sknets._engine import epochs
from sknets._engine import net as engine
from sknets._engine._skorch import Callback
from sknets._engine.dense import derived_by_hand
from sknets._losses import CrossEntropy, LogisticLoss, SquaredError

X, y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
_, numbers = make_regression(90, 6, n_targets=2, random_state=0)
TARGETS = {
    "classes": (FeedforwardClassifier, y),
    "two classes": (FeedforwardClassifier, y > 0),
    "labels": (FeedforwardClassifier, np.eye(3, dtype=int)[y]),
    "number": (FeedforwardRegressor, numbers[:, 0]),
    "numbers": (FeedforwardRegressor, numbers),
}


@pytest.fixture
def used(monkeypatch):
    """Whether the last epoch went by hand."""
    calls = []

    def watched(*args):
        calls.append(derived_by_hand(*args))
        return calls[-1]

    monkeypatch.setattr(epochs, "derived_by_hand", watched)
    return calls


def weights(net):
    return [p.detach().numpy().copy() for p in net.net_.module_.parameters()]


def both_ways(net, X, y, monkeypatch, **fit):
    """The weights after a fit by hand and after one by autograd."""
    by_hand = weights(net.fit(X, y, **fit))
    losses = net.loss_curve_
    recipe = engine.Recipe
    with monkeypatch.context() as patch:
        patch.setattr(
            "sknets._estimator.Recipe",
            lambda **options: recipe(**options, manual_gradients=False),
        )
        autograd = weights(net.fit(X, y, **fit))
    np.testing.assert_allclose(losses, net.loss_curve_, rtol=1e-12)
    return by_hand, autograd


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
@pytest.mark.parametrize("target", TARGETS)
def test_the_same_numbers_as_autograd(target, activation, optimizer, used, monkeypatch):
    cls, y = TARGETS[target]
    net = cls(
        hidden_layer_sizes=(8, 5),
        activation=activation,
        optimizer=optimizer,
        batch_size=32,
        max_epochs=2,
        random_state=0,
    )
    w = np.random.RandomState(0).rand(90)
    for fit in ({}, {"sample_weight": w}):
        by_hand, autograd = both_ways(net, X, y, monkeypatch, **fit)
        for one, other in zip(by_hand, autograd, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert used and all(plan is not None for plan in used)


@pytest.mark.parametrize(
    "options",
    [
        {"lr_schedule": "one_cycle"},
        {"lr_schedule": "cosine"},
        {"gradient_clip": 0.05},
        {"early_stopping": True},
        {"standardize": False},
        {"hidden_layer_sizes": ()},
        {"weight_decay": 0.1, "alpha": 0},
        {"optimizer": "sgd", "momentum": 0.0},
    ],
)
def test_whatever_surrounds_it(options, used, monkeypatch):
    net = FeedforwardClassifier(max_epochs=3, batch_size=32, random_state=0, **options)
    for one, other in zip(*both_ways(net, X, y, monkeypatch), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert used and all(plan is not None for plan in used)


@pytest.mark.parametrize(
    "options", [{"dropout": 0.1}, {"normalization": "layer"}, {"activation": "gelu"}]
)
def test_anything_more_goes_to_autograd(options, used):
    FeedforwardClassifier(max_epochs=1, **options).fit(X, y)
    assert used == [None]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_nothing_of_inference_mode_is_left(optimizer, used):
    """Autograd, and torch's own step, go on where backpropagation by hand ended."""
    net = FeedforwardClassifier(max_epochs=2, optimizer=optimizer, random_state=0)
    net.fit(X, y)
    assert used[-1] is not None
    inner = net.net_
    state = inner.optimizer_.state.values()
    kept = [t for s in state for t in s.values() if isinstance(t, torch.Tensor)]
    parameters = list(inner.module_.parameters())
    assert len(kept) == len(parameters) * (3 if optimizer == "adam" else 1)
    assert not any(t.is_inference() for t in [*kept, *(p.grad for p in parameters)])
    before = weights(net)
    steps = [float(s["step"]) for s in state if "step" in s]
    inner.optimizer_.zero_grad()
    inner.module_(torch.from_numpy(X)).square().sum().backward()
    inner.optimizer_.step()
    assert [float(s["step"]) for s in state if "step" in s] == [n + 1 for n in steps]
    assert all((a != b).any() for a, b in zip(before, weights(net), strict=True))


def test_observers_see_gradients_and_ordinary_tensors(used):
    class Check(Callback):
        def on_grad_computed(self, net, named_parameters=None, batch=None, **kwargs):
            x, y = batch
            loss = net.criterion_(net.module_(x), y)
            parameters = [p for _, p in named_parameters]
            expected = torch.autograd.grad(loss, parameters)
            for parameter, gradient in zip(parameters, expected, strict=True):
                torch.testing.assert_close(parameter.grad, gradient)
            checked.append(len(x))

    checked = []
    FeedforwardClassifier(max_epochs=2, batch_size=40, callbacks=[Check()]).fit(X, y)
    assert used[-1] is not None and checked == [40, 40, 10] * 2


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [CrossEntropy(), LogisticLoss(), SquaredError()])
def test_derivatives_of_the_losses(loss, weighted):
    torch.manual_seed(0)
    output = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(7, 4).double()
    if isinstance(loss, CrossEntropy):
        target = target.argmax(1)
    weight = torch.rand(7).double() if weighted else None
    expected = loss(output, target, weight)
    expected.backward()
    columns = output.detach().t().contiguous()
    losses, gradient = loss.losses_and_gradient(columns, target, weight)
    torch.testing.assert_close(losses.mean(), expected.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient.t(), output.grad, rtol=1e-13, atol=1e-15)


def test_float32_learns_as_well():
    net = FeedforwardClassifier(max_epochs=60, lr=0.01, alpha=0, random_state=0)
    assert net.fit(X.astype(np.float32), y).score(X, y) > 0.95
    assert engine.Recipe(1, 1, 0.1).manual_gradients
