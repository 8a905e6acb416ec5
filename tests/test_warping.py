"""MiniRocket and warped distances against loops, and what they see in sequences."""

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier, is_regressor

from sknets import compare
from sknets._comparison.warping import (
    MiniRocket,
    NearestWarpedClassifier,
    NearestWarpedRegressor,
    warped,
    warping_takes_long,
)


def warped_by_a_loop(x, y, reach):
    """Sakoe and Chiba's recursion for (T, C) arrays."""
    n = len(x)
    cost = np.full((n + 1, n + 1), np.inf)
    cost[0, 0] = 0
    for i in range(n):
        for j in range(max(0, i - reach), min(n, i + reach + 1)):
            best = min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
            cost[i + 1, j + 1] = ((x[i] - y[j]) ** 2).sum() + best
    return cost[n, n]


@pytest.mark.parametrize("reach", [0, 1, 2, 5, 11])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_warped_distances_are_those_of_a_loop(reach, n_channels):
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 11, n_channels))
    y = random.normal(size=(4, 11, n_channels))
    expected = [[warped_by_a_loop(a, b, reach) for b in y] for a in x]
    tensors = (torch.from_numpy(each).float().transpose(1, 2) for each in (x, y))
    np.testing.assert_allclose(warped(*tensors, reach), expected, rtol=1e-5)


def test_shares_of_kernels_are_those_of_a_loop():
    random = np.random.default_rng(0)
    X = random.normal(size=(6, 30))
    rocket = MiniRocket(n_features=84 * 5, random_state=0).fit(list(X))
    z = (X - X.mean()) / X.std()
    found = rocket.transform(list(X))
    assert [(d, b.shape[1]) for d, _, b in rocket.layers_] == [(1, 3), (2, 1), (3, 1)]
    column = 0
    for number, (dilation, kernels, biases) in enumerate(rocket.layers_):
        pad = 4 * dilation
        for whole in (False, True):
            for bias in biases.T.numpy():
                for k in range(84):
                    if (number + k) % 2 != whole:
                        continue
                    weights = kernels[k, 0].numpy()
                    assert sorted(weights) == [-1] * 6 + [2] * 3
                    steps = range(pad, 30 - pad) if whole else range(30)
                    for row in (0, 5):
                        padded = np.pad(z[row], pad)
                        out = [
                            weights @ padded[t : t + 2 * pad + 1 : dilation]
                            for t in steps
                        ]
                        # A threshold is an output: rounding may move one step.
                        share = np.mean(np.array(out) > bias[k])
                        assert found[row, column] == pytest.approx(share, abs=0.04)
                    column += 1
    assert column == found.shape[1] == 84 * 5


def beats(n, n_channels=1, seed=0):
    """A bump up and one down in either order, anywhere: statistics are alike."""
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(n, 60, n_channels), scale=0.1), np.arange(n) % 2
    for row, label in zip(X, y):
        at = random.integers(2, 30)
        row[at : at + 8, 0] += 1 - 2 * label
        row[at + 12 : at + 20, 0] -= 1 - 2 * label
    return X, y


@pytest.mark.parametrize("n_channels", [1, 2])
def test_the_order_of_what_happens_is_seen(n_channels):
    X, y = beats(60, n_channels)
    models = ["LogisticRegression", "MiniRocket", "1-NN DTW"]
    given = {"models": models, "random_state": 0, "verbose": 0}
    table = compare(X, y, cv=2, **given).table
    assert table["note"].eq("").all() and table["family"].eq("classical").all()
    assert table.loc["MiniRocket", "accuracy"] > 0.95
    assert table.loc["1-NN DTW", "accuracy"] > 0.9
    again = compare(X, y, cv=2, **given | {"models": ["MiniRocket"]})
    assert (
        again.table.loc["MiniRocket"]["accuracy"] == table.loc["MiniRocket", "accuracy"]
    )
    where = X[:, :, 0].argmax(1) / 10
    table = compare(X, where, task="regression", cv=2, **given | {"models": models[1:]})
    assert (table.table["r2"] > 0.5).all()


def test_lengths_may_differ():
    X, y = beats(60)
    unequal = [row[: 60 - i % 7] for i, row in enumerate(X)]
    rocket = MiniRocket(n_features=840, random_state=0).fit(unequal)
    assert rocket.n_steps_ == 60 and rocket.transform(unequal[1:4]).shape == (3, 840)
    np.testing.assert_allclose(
        rocket.transform(unequal)[7], rocket.transform([X[7]])[0]
    )
    nearest = NearestWarpedClassifier().fit(unequal, y)
    assert (nearest.predict(unequal) == y).all()
    assert MiniRocket().fit([[1.0, 2.0], [3.0]]).n_steps_ == 9


def test_a_nearest_neighbour_is_of_its_task():
    assert is_classifier(NearestWarpedClassifier()) and is_regressor(
        NearestWarpedRegressor()
    )


def test_what_would_take_minutes_is_left_out(monkeypatch):
    X, y = beats(40)
    assert warping_takes_long(X, None, {}) == ""
    monkeypatch.setattr("sknets._comparison.warping._MOST_CELLS", 1000)
    given = {"cv": 2, "random_state": 0, "verbose": 0, "time_limit": 1e-3}
    result = compare(X, y, **given)
    assert "1-NN DTW" not in result.table.index and "MiniRocket" in result.table.index
    assert any("left out 1-NN DTW: 40 sequences of 60" in note for note in result.notes)
    assert "1-NN DTW" in compare(X, y, models=["1-NN DTW"], cv=2, verbose=0).table.index
