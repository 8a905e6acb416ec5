"""How good samples are: distances, forests that learn of them, searches, compare."""

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.datasets import load_iris, make_blobs
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sknets import GANSampler, compare
from sknets._comparison.lineup import choose_models
from sknets._comparison.problem import define_problem
from sknets.adversarial._play import energy_distance
from sknets.metrics import frechet_distance

X, y = make_blobs(120, 3, centers=3, cluster_std=0.3, random_state=0)
QUICK = {"random_state": 0, "hidden_layer_sizes": (16,), "batch_size": 32}


@pytest.mark.parametrize("labels", [y, None])
def test_a_search_tunes_it(labels):
    net = GANSampler(random_state=0, batch_size=30, max_epochs=40)
    grid = {"lr": [1e-7, 1e-2]}
    cv = ShuffleSplit(1, random_state=0)
    search = GridSearchCV(net, grid, cv=cv, error_score="raise", refit=False)
    search.fit(X, labels)
    assert search.best_params_["lr"] == 1e-2
    assert (search.best_score_ < 0) == (labels is None)


def test_frechet_distance_is_that_of_normal_laws():
    random = np.random.default_rng(0)
    one, two = random.normal(size=(50, 4)), random.normal(1, 2, (70, 4))
    covariances = [np.cov(rows.T, bias=True) for rows in (one, two)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.trace(sum(covariances) - 2 * root)
    expected += ((one.mean(0) - two.mean(0)) ** 2).sum()
    assert frechet_distance(one, two) == pytest.approx(expected)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"as many columns, got shapes \(50, 4\)"):
        frechet_distance(one, two[:, :3])


def test_energy_distance_is_least_for_the_same_law():
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 400, 3, generator=generator)
    assert abs(energy_distance(one, two)) < 0.02
    assert energy_distance(one, two + 1) > 0.3
    assert energy_distance(one, 2 * two) > 0.1


def define(X, y):
    given = {"data": "auto", "cv": 2, "scoring": None, "groups": None}
    return define_problem(X, y, task="sampling", seed=0, device="cpu", **given)


def test_compare_ranks_samplers():
    net = GANSampler(**QUICK, max_epochs=2)
    models = {n: n for n in ("RealRows", "GaussianMixture")} | {"net": net}
    result = compare(
        *load_iris(return_X_y=True),
        task="sampling",
        models=models,
        cv=2,
        random_state=0,
        verbose=0,
    )
    assert result.task == "sampling" and result.main_score == "accuracy"
    assert set(result.table.index) == set(models)
    assert result.table.loc["RealRows", "family"] == "baseline"
    assert result.table.loc["net", "family"] == "deep"
    assert result.table.loc["net", "parameters"] > 0
    assert result.table.loc["GaussianMixture", "accuracy"] > 0.85
    assert result.best_.predict(np.ones((2, 4))).shape == (2,)
    auto = choose_models("auto", define(*load_iris(return_X_y=True)))
    assert {"KernelDensity", "DBNClassifier", "VAETransformer"} < set(auto)
    assert "GANSampler" in auto and "FeedforwardClassifier" not in auto
    images = np.zeros((9, 8, 8))
    for given, of, sentence in [
        (images, np.arange(9) % 2, "rows of tables alone are compared, and X is of"),
        (X, None, "made rows, and y is missing: give the class of each row"),
        (X, X[:, 0], r"made rows, and y holds fractional numbers: bin them \(pandas"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            compare(given, of, task="sampling", verbose=0)
