"""Fit time of the feedforward estimators against scikit-learn's MLP.

Both train the same layers on the same rows in the same dtype, with Adam, the same batch
size, learning rate and number of epochs, without standardisation or weight decay. CPU
time with one thread, interleaved; the medians of the ratios are printed. Each round has
its own seed, and the scores on the held-out quarter are means over rounds.

    python benchmarks/feedforward_vs_sklearn.py [--repeats 5] [--quick]
"""

from __future__ import annotations

from statistics import mean

import _measure
import numpy as np
from _measure import Figure, interleaved, one_thread, ratio, report
from sklearn.datasets import load_digits, make_classification, make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sknets import FeedforwardClassifier, FeedforwardRegressor

CASES = {  # name: (rows, columns, classes, hidden, batch, epochs)
    "digits, batch 32": (1797, 64, 10, (100,), 32, 20),
    "digits, batch 200": (1797, 64, 10, (100,), 200, 50),
    "784 columns, batch 128": (5_000, 784, 10, (256, 128), 128, 2),
    "54 columns, batch 256": (30_000, 54, 7, (128, 64), 256, 3),
    "54 columns, batch 1024": (30_000, 54, 7, (128, 64), 1024, 4),
    "regression, 10 columns, batch 32": (2_000, 10, 0, (100,), 32, 15),
    "regression, 54 columns, batch 256": (30_000, 54, 0, (128, 64), 256, 3),
}


def data(name):
    rows, columns, classes, *_ = CASES[name]
    if name.startswith("digits"):
        X, y = load_digits(return_X_y=True)
        X = X / 16
    elif classes:
        X, y = make_classification(
            rows,
            columns,
            n_informative=columns // 4,
            n_redundant=0,
            n_classes=classes,
            class_sep=1.5,
            random_state=0,
        )
    else:
        X, y = make_friedman1(rows, columns, noise=1.0, random_state=0)
        # scikit-learn's regressor does not scale y, ours does.
        y = (y - y.mean()) / y.std()
    return train_test_split(X, y, random_state=0)


def contenders(name, dtype, scores):
    """Fits of both; each leaves its score on the held-out rows."""
    _, _, classes, hidden, batch, epochs = CASES[name]
    X, X_test, y, y_test = data(name)
    X, X_test = X.astype(dtype), X_test.astype(dtype)
    y = y if classes else y.astype(dtype)
    Ours = FeedforwardClassifier if classes else FeedforwardRegressor
    Peer = MLPClassifier if classes else MLPRegressor
    shared = {"hidden_layer_sizes": hidden, "batch_size": batch}
    makers = {
        "ours": lambda seed: Ours(
            max_epochs=epochs,
            alpha=0.0,
            standardize=False,
            numeric_encoding="linear",
            random_state=seed,
            **shared,
        ),
        "ours, defaults": lambda seed: Ours(
            max_epochs=epochs, random_state=seed, **shared
        ),
        "scikit-learn": lambda seed: Peer(
            max_iter=epochs,
            learning_rate_init=1e-3,
            alpha=0.0,
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=seed,
            **shared,
        ),
    }
    models = {key: [] for key in makers}

    def fit(key):
        seed = len(models[key])
        models[key].append(makers[key](seed).fit(X, y))

    def score():
        for key, fitted in models.items():
            scores[key] = [model.score(X_test, y_test) for model in fitted]

    return {key: lambda key=key: fit(key) for key in makers}, score


def main():
    options = _measure.options(__doc__, repeats=5)
    one_thread()
    figures = []
    for name in list(CASES)[: 2 if options.quick else None]:
        for dtype in (np.float32, np.float64):
            scores: dict[str, list[float]] = {}
            fits, score = contenders(name, dtype, scores)
            seconds = interleaved(fits, options.repeats)
            score()
            figure = ratio(
                f"{name}, {dtype.__name__}",
                "ours",
                "scikit-learn",
                seconds,
                at_most=0.5,
                claim="fit: sknets / scikit-learn's MLP, same dtype",
            )
            by_default = ratio(
                figure.case,
                "ours, defaults",
                "scikit-learn",
                seconds,
                at_most=0.5,
                claim="fit: sknets with its trial of encodings / scikit-learn's MLP",
            )
            metric = "accuracy" if CASES[name][2] else "R²"
            differences = np.subtract(scores["ours"], scores["scikit-learn"])
            figures += [
                figure,
                by_default,
                Figure(
                    "fit: held-out score, sknets - scikit-learn's MLP, equal settings",
                    figure.case,
                    float(differences.mean()),
                    unit="",
                    details={
                        "metric": metric,
                        "ours": mean(scores["ours"]),
                        "scikit-learn": mean(scores["scikit-learn"]),
                        "standard error": float(
                            differences.std(ddof=1) / len(differences) ** 0.5
                        ),
                    },
                ),
            ]
    report("feedforward_vs_sklearn", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
