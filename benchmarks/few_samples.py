"""Budgets on few samples: epochs alone, beside ``max_epochs="auto"``.

Small training sets of each chapter, scored on what was left out of them, over several
seeds: the score after as many epochs as the class takes on large data, after those of
"auto" (as many, but never fewer than its least number of steps), and the CPU seconds of
both fits. The least numbers of steps were chosen among four on the sets marked so, the
others are fresh. Nodes of a graph and links are not here: a graph is one batch.

    python benchmarks/few_samples.py [--repeats 3] [--quick] [--only CNN]

The number of seeds is --repeats.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _measure import Figure, one_thread, report
from recursive import formulas
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_friedman2,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from video import moving

import sknets


def of(load, n, image=False):
    """n rows of one of scikit-learn's sets, by class; the rest is scored."""

    def split(seed):
        data = load()
        X = data.images / 16 if image else data.data
        y = data.target
        strata = y if len(np.unique(y)) < 20 else None
        X, X_test, y, y_test = train_test_split(
            X, y, train_size=n, stratify=strata, random_state=seed
        )
        return X, y, X_test[:1000], y_test[:1000]

    return split


def friedman(n, make=make_friedman1):
    def split(seed):
        X, y = make(n + 500, noise=0.5, random_state=seed)
        return X[:n], y[:n], X[n:], y[n:]

    return split


def bars(n):
    """Bars of a random angle in noise; the angle is to be told."""

    def split(seed):
        random = np.random.default_rng(seed)
        angle = random.uniform(0, np.pi / 2, n + 300)
        i, j = np.mgrid[-1:1:12j, -1:1:12j]
        across = np.sin(angle)[:, None, None] * j - np.cos(angle)[:, None, None] * i
        X = np.exp(-20 * across**2) + 0.3 * random.normal(size=across.shape)
        return X[:n], angle[:n], X[n:], angle[n:]

    return split


def clips(n):
    def split(seed):
        X, y = moving(n + 160, seed)
        return X[:n], y[:n], X[n:], y[n:]

    return split


def reviews(n):
    """Sentences of filler in which two words of a class stand."""

    def split(seed):
        random = np.random.default_rng(seed)
        y = random.integers(0, 2, n + 300)
        filler = [f"word{i}" for i in range(200)]
        telling = [f"{kind}{i}" for kind in ("bad", "good") for i in range(12)]
        X = []
        for label in y:
            words = list(random.choice(filler, 12))
            told = random.choice(telling[12 * label : 12 * label + 12], 2)
            for word in told:
                words.insert(random.integers(len(words)), word)
            X.append(" ".join(words))
        return X[:n], y[:n], X[n:], y[n:]

    return split


def waves(n):
    """Series of 40 steps: two frequencies, any phase, in noise."""

    def split(seed):
        random = np.random.default_rng(seed)
        y = random.integers(0, 3, n + 300)
        phase = random.uniform(0, 2 * np.pi, (len(y), 1))
        t = np.arange(40)[None]
        X = np.sin(phase + t * (0.3 + 0.1 * y[:, None]))
        X = (X + 0.3 * random.normal(size=X.shape))[..., None]
        return X[:n], y[:n], X[n:], y[n:]

    return split


def trees(n):
    def split(seed):
        X, y = formulas(n + 300, (1, 3), seed)
        return X[:n], y[:n], X[n:], y[n:]

    return split


def ratings(n):
    def split(seed):
        random = np.random.default_rng(seed)
        users, items = random.normal(size=(n, 2)), random.normal(size=(40, 2))
        stars = np.clip(np.rint(3 + users @ items.T), 1, 5)
        pairs = np.argwhere(random.random(stars.shape) < 0.5)
        random.shuffle(pairs)
        y = stars[tuple(pairs.T)]
        m = len(pairs) * 4 // 5
        return pairs[:m], y[:m], pairs[m:], y[m:]

    return split


def molecules(n):
    """Rings and chains of like sizes, as edge lists."""

    def split(seed):
        import networkx as nx

        random = np.random.default_rng(seed)
        y = random.integers(0, 2, n + 200)
        X = []
        for ring in y:
            size = int(random.integers(5, 10))
            graph = nx.cycle_graph(size) if ring else nx.path_graph(size)
            for tail in range(3):
                graph.add_edge(int(random.integers(size)), size + tail)
            X.append(graph)
        return X[:n], y[:n], X[n:], y[n:]

    return split


def facts(n):
    """Who is older than whom, a part of it left out."""

    def split(seed):
        random = np.random.default_rng(seed)
        pairs = [(a, b) for a in range(n) for b in range(n) if a != b]
        triples = np.array(
            [(f"p{a}", "<" if a < b else ">", f"p{b}") for a, b in pairs]
        )
        random.shuffle(triples)
        m = len(triples) * 3 // 4
        return triples[:m], None, triples[m:], None

    return split


def own(model, X, y):
    return model.score(X, y)


def by_codes(n_labels):
    """How well a linear model classifies by the codes of unseen rows."""

    def score(model, X, y):
        codes = model.transform(X)
        linear = LogisticRegression(max_iter=500).fit(codes[:n_labels], y[:n_labels])
        return linear.score(codes[n_labels:], y[n_labels:])

    return score


def by_outliers(model, X, y):
    return roc_auc_score(y == 0, -model.score_samples(X))


def healthy(n):
    """Benign tumours to learn; malignant ones are the outliers."""

    def split(seed):
        X, y, X_test, y_test = of(load_breast_cancer, 2 * n)(seed)
        return X[y == 1][:n], None, X_test, y_test

    return split


def odd_digits(n):
    def split(seed):
        X, y, X_test, y_test = of(load_digits, 10 * n)(seed)
        return X[y != 0][:n], None, X_test, (y_test != 0).astype(int)

    return split


def few_labels(load, n, n_labels):
    def split(seed):
        X, y, X_test, y_test = of(load, n)(seed)
        y = y.copy()
        y[n_labels:] = -1
        return X, y, X_test, y_test

    return split


def unit(split):
    """Digits between 0 and 1, for binary units."""

    def scaled(seed):
        X, y, X_test, y_test = split(seed)
        return X / 16, y, X_test / 16, y_test

    return scaled


def steep(n):
    """Bars, and whether they are steep: classes, also of codes."""

    def split(seed):
        X, angle, X_test, angle_test = bars(n)(seed)
        return X, (angle > 0.785).astype(int), X_test, (angle_test > 0.785).astype(int)

    return split


# Class, small training set, how the fit is scored, whether it had a say in the choice.
CODES = "ConvolutionalAutoencoderTransformer"
CASES = [
    ("FeedforwardClassifier", "wine 30", of(load_wine, 30), own, True),
    ("FeedforwardClassifier", "digits 100", of(load_digits, 100), own, True),
    ("FeedforwardClassifier", "tumours 40", of(load_breast_cancer, 40), own, True),
    ("FeedforwardClassifier", "iris 30", of(load_iris, 30), own, False),
    ("FeedforwardRegressor", "diabetes 60", of(load_diabetes, 60), own, True),
    ("FeedforwardRegressor", "Friedman 1, 60", friedman(60), own, True),
    (
        "FeedforwardRegressor",
        "Friedman 2, 60",
        friedman(60, make_friedman2),
        own,
        False,
    ),
    ("CNNClassifier", "digits 60", of(load_digits, 60, True), own, True),
    ("CNNClassifier", "digits 300", of(load_digits, 300, True), own, True),
    ("CNNClassifier", "steep 40", steep(40), own, False),
    ("CNNRegressor", "bars 60", bars(60), own, True),
    ("CNNRegressor", "bars 200", bars(200), own, True),
    ("VideoClassifier", "directions 40", clips(40), own, True),
    ("VideoClassifier", "directions 120", clips(120), own, True),
    ("RNNClassifier", "reviews 60", reviews(60), own, True),
    ("RNNClassifier", "reviews 200", reviews(200), own, False),
    ("RNNClassifier", "waves 60", waves(60), own, True),
    ("TransformerClassifier", "wine 30", of(load_wine, 30), own, True),
    ("TransformerClassifier", "iris 40", of(load_iris, 40), own, True),
    ("TransformerClassifier", "tumours 40", of(load_breast_cancer, 40), own, False),
    ("TransformerClassifier", "reviews 60", reviews(60), own, True),
    ("TransformerRegressor", "diabetes 60", of(load_diabetes, 60), own, True),
    ("TransformerRegressor", "Friedman 1, 60", friedman(60), own, True),
    ("RecursiveClassifier", "formulas 60", trees(60), own, True),
    ("RecursiveClassifier", "formulas 200", trees(200), own, True),
    ("AutoencoderTransformer", "digits 50", of(load_digits, 50), by_codes(300), True),
    ("AutoencoderTransformer", "wine 40", of(load_wine, 40), by_codes(60), True),
    ("VAETransformer", "digits 50", of(load_digits, 50), by_codes(300), True),
    ("VAETransformer", "wine 40", of(load_wine, 40), by_codes(60), True),
    (CODES, "digits 50", of(load_digits, 50, True), by_codes(300), True),
    (CODES, "steep 60", steep(60), by_codes(150), True),
    ("AutoencoderOutlierDetector", "tumours 40", healthy(40), by_outliers, True),
    ("AutoencoderOutlierDetector", "digits 60", odd_digits(60), by_outliers, True),
    ("PretrainedClassifier", "digits 100", few_labels(load_digits, 100, 50), own, True),
    ("PretrainedClassifier", "wine 60", few_labels(load_wine, 60, 15), own, True),
    ("RBMFeatures", "digits 60", unit(of(load_digits, 60)), by_codes(300), True),
    ("RBMFeatures", "digits 200", unit(of(load_digits, 200)), by_codes(300), True),
    ("RBMFeatures", "wine 40", of(load_wine, 40), by_codes(60), False),
    ("DBNFeatures", "digits 60", unit(of(load_digits, 60)), by_codes(300), True),
    ("DBNFeatures", "digits 200", unit(of(load_digits, 200)), by_codes(300), True),
    ("DBNClassifier", "digits 60", unit(of(load_digits, 60)), own, True),
    ("DBNClassifier", "digits 200", unit(of(load_digits, 200)), own, True),
    ("RBMRecommender", "ratings 40", ratings(40), own, True),
    ("RBMRecommender", "ratings 120", ratings(120), own, True),
    ("GraphClassifier", "rings 40", molecules(40), own, True),
    ("GraphClassifier", "rings 120", molecules(120), own, True),
    ("KnowledgeGraphEmbedder", "older 12", facts(12), own, True),
    ("KnowledgeGraphEmbedder", "older 25", facts(25), own, True),
]


def measured(model, split, score, seeds):
    """The mean score over seeds, the mean seconds of a fit, and the last net."""
    scores, seconds = [], []
    for seed in range(seeds):
        X, y, X_test, y_test = split(seed)
        net = clone(model).set_params(random_state=seed)
        start = time.process_time()
        net.fit(X, y) if y is not None else net.fit(X)
        seconds.append(time.process_time() - start)
        scores.append(score(net, X_test, y_test))
    return float(np.mean(scores)), float(np.mean(seconds)), net


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    one_thread()
    figures = []
    for name, case, split, score, chosen in CASES[:: 8 if given.quick else 1]:
        if given.only not in name:
            continue
        model = getattr(sknets, name)()
        found, seconds, net = measured(model, split, score, given.repeats)
        alone = model.set_params(max_epochs=net._budget.epochs)
        before, its_seconds, _ = measured(alone, split, score, given.repeats)
        mark = "chosen" if chosen else "fresh"
        print(
            f"{name:36s} {case:14s} {mark:6s} "
            f"{before:6.3f} ({alone.max_epochs:3d} epochs, {its_seconds:5.2f} s)  "
            f"{found:6.3f} ({net.n_iter_:4d} epochs, {seconds:5.2f} s)",
            flush=True,
        )
        claim = 'score on few samples: "auto" - epochs alone'
        details = {"auto": found, "epochs alone": before, "set": mark}
        gain = Figure(claim, f"{name}, {case}", found - before, "", at_least=-0.01)
        gain.details = details
        figures.append(gain)
    report("few_samples", figures, keep=not (given.quick or given.only))


if __name__ == "__main__":
    main()
