"""How long is trained where nobody says: enough on few samples, no more on many."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine

import sknets
from sknets import CNNClassifier, FeedforwardClassifier, RBMFeatures
from sknets._engine.optim import Budget

X, y = load_wine(return_X_y=True)
DIGITS = load_digits()
AUTO = [
    cls
    for cls in map(sknets.__dict__.get, sknets.__all__)
    if isinstance(cls, type) and hasattr(cls, "max_epochs")
]


class Short(FeedforwardClassifier):
    _budget = Budget(epochs=3, steps=20)


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs"),
    [(30, 100, 20), (30, 10, 7), (150, 10, 3), (30, 7, 4), (31, 10, 7)],
)
def test_so_many_epochs_and_never_fewer_steps(n, batch_size, epochs):
    rows = np.random.RandomState(0).permutation(len(X))[:n]
    net = Short(batch_size=batch_size, random_state=0).fit(X[rows], y[rows])
    assert net.n_iter_ == net.max_epochs_ == epochs  # a batch of one joins another


def test_numbers_mean_what_they_say():
    net = Short(max_epochs=2).fit(X, y)
    assert net.n_iter_ == net.max_epochs_ == 2
    assert net.set_params(warm_start=True, max_epochs=3).fit(X, y).n_iter_ == 5


def test_as_many_calls_as_epochs_are_a_fit():
    whole = Short(random_state=0, lr_schedule="one_cycle").fit(X, y)
    parts = clone(whole)
    for _ in range(whole.n_iter_):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(whole.predict_proba(X), parts.predict_proba(X))


@pytest.mark.parametrize(("max_epochs", "patience"), [(30, 10), (300, 30)])
def test_patience_grows_with_the_epochs(max_epochs, patience):
    net = FeedforwardClassifier(
        max_epochs=max_epochs, early_stopping=True, tol=1e9, random_state=0
    )
    assert net.fit(X, y).n_iter_ == patience + 1
    assert net.set_params(n_iter_no_change=3).fit(X, y).n_iter_ == 4


@pytest.mark.parametrize("cls", AUTO, ids=lambda cls: cls.__name__)
def test_every_estimator_leaves_it_to_the_data(cls):
    assert cls().max_epochs == "auto"


def test_sixty_pictures_are_enough():
    pictures, digits = DIGITS.images / 16, DIGITS.target
    net = CNNClassifier(random_state=0).fit(pictures[:60], digits[:60])
    few = clone(net).set_params(max_epochs=7).fit(pictures[:60], digits[:60])
    assert net.score(pictures[60:560], digits[60:560]) > 0.77
    assert few.score(pictures[60:560], digits[60:560]) < 0.7


def test_features_of_sixty_rows_are_learned():
    rows = DIGITS.data[:60] / 16
    machine = RBMFeatures(n_components=32, random_state=0).fit(rows)
    few = clone(machine).set_params(max_epochs=20).fit(rows)
    assert machine.score(DIGITS.data[60:] / 16) > few.score(DIGITS.data[60:] / 16)
