"""Prediction time against scikit-learn's MLP and against a loop by hand.

All nets have the same layers and dtype and get the same C-contiguous array; small
inputs are timed over many calls. CPU time with one thread, interleaved; the medians of
the ratios are printed.

    python benchmarks/predict_latency.py [--repeats 5] [--quick]
"""

from __future__ import annotations

import _measure
import numpy as np
import torch
from _measure import interleaved, one_thread, ratio, report
from sklearn.datasets import make_classification, make_regression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknets import FeedforwardClassifier, FeedforwardRegressor

HIDDEN = (100,)
COLUMNS = 32
ROWS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
TASKS = {  # name: number of classes, 0 for regression
    "10 classes": 10,
    "2 classes": 2,
    "regression": 0,
}


def data(n_classes):
    """A thousand rows to fit; those to predict are drawn afterwards."""
    if n_classes:
        return make_classification(
            1_000, COLUMNS, n_informative=12, n_classes=n_classes, random_state=0
        )
    return make_regression(1_000, COLUMNS, n_informative=12, random_state=0)


def fitted(n_classes, dtype):
    """Ours, scikit-learn's, both with standardisation, and a plain torch net."""
    X, y = data(n_classes)
    X = X.astype(dtype)
    Ours = FeedforwardClassifier if n_classes else FeedforwardRegressor
    Peer = MLPClassifier if n_classes else MLPRegressor
    ours = {"hidden_layer_sizes": HIDDEN, "max_epochs": 2, "random_state": 0}
    peer = {"hidden_layer_sizes": HIDDEN, "max_iter": 2, "random_state": 0}
    n_outputs = n_classes if n_classes > 2 else 1
    net = nn.Sequential(
        nn.Linear(COLUMNS, *HIDDEN), nn.ReLU(), nn.Linear(*HIDDEN, n_outputs)
    )
    return (
        Ours(standardize=False, **ours).fit(X, y),
        Peer(**peer).fit(X, y),
        Ours(**ours).fit(X, y),
        make_pipeline(StandardScaler(), Peer(**peer)).fit(X, y),
        net.to(torch.from_numpy(X).dtype).eval(),
    )


def by_hand(net, X, finish):
    """The loop an expert writes: no checks, batches of 1024, straight to the answer."""
    X = torch.from_numpy(X)
    with torch.inference_mode():
        return torch.cat(
            [finish(net(X[i : i + 1024])) for i in range(0, len(X), 1024)]
        ).numpy()


FINISH = {  # what the loop by hand makes of the output
    ("10 classes", "predict"): lambda output: output.argmax(1),
    ("10 classes", "predict_proba"): lambda output: output.softmax(1),
    ("2 classes", "predict"): lambda output: (output[:, 0] > 0).long(),
    ("2 classes", "predict_proba"): lambda output: torch.cat(
        [1 - (p := output.sigmoid()), p], 1
    ),
    ("regression", "predict"): lambda output: output[:, 0],
}


def contenders(nets, task, verb, X):
    """What is timed: calls without arguments."""
    ours, peer, ours_scaled, peer_scaled, net = nets
    finish = FINISH[task, verb]
    timed = {
        "ours": lambda: getattr(ours, verb)(X),
        "scikit-learn": lambda: getattr(peer, verb)(X),
    }
    if len(X) >= 10_000:
        timed["by hand"] = lambda: by_hand(net, X, finish)
    if len(X) in (1, 1_000):
        timed["ours, scaled"] = lambda: getattr(ours_scaled, verb)(X)
        timed["pipeline"] = lambda: getattr(peer_scaled, verb)(X)
    return timed


CLAIMS = [  # claim, ours, peer, target
    ("sknets / scikit-learn's MLP, same dtype", "ours", "scikit-learn", 1.0),
    ("sknets / loop by hand, from 10,000 rows on", "ours", "by hand", 1.1),
    (
        "sknets / StandardScaler + MLP, 1 and 1,000 rows",
        "ours, scaled",
        "pipeline",
        None,
    ),
]


def main():
    options = _measure.options(__doc__, repeats=5)
    one_thread()
    random = np.random.default_rng(0)
    figures = []
    for dtype in ("float32", "float64"):
        nets = {task: fitted(n, dtype) for task, n in TASKS.items()}
        for rows in ROWS[: 5 if options.quick else None]:
            X = random.standard_normal((rows, COLUMNS), dtype=dtype)
            for task, verb in FINISH:
                timed = contenders(nets[task], task, verb, X)
                repeats = options.repeats if rows < 10**6 else min(options.repeats, 2)
                calls = max(1, 10_000 // (100 + rows))
                seconds = interleaved(timed, repeats, calls=calls)
                case = f"{task}, {verb}, {dtype}, {rows:,} rows"
                for claim, ours, peer, at_most in CLAIMS:
                    if peer in timed:
                        claim = f"predict: {claim}"
                        figures.append(ratio(case, ours, peer, seconds, at_most, claim))
    report("predict_latency", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
