"""One fit by two processes: each computes half of every batch.

Start it by `torchrun --nproc_per_node=2 many_machines.py` or, on cards, by `accelerate
launch`; alone it starts two processes of its own on the CPU and compares them with one.
Saves many_machines.png; `--quick` takes seconds.
"""

import argparse
import os
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from accelerate import debug_launcher
from sklearn.datasets import load_digits

from sknets import RNNClassifier, data_parallel

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few images and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
digits = load_digits()
n, epochs = (200, 3) if options.quick else (1500, 15)
X, y = digits.images, digits.target  # the rows of an image are steps


def fit():
    """The same in every process: the same rows, the same estimator."""
    with data_parallel() as rank:
        start = time.perf_counter()
        rnn = RNNClassifier(batch_size=64, max_epochs=epochs, random_state=0)
        rnn.fit(X[:n], y[:n])
        if rank == 0:
            joblib.dump(rnn, options.output / "many_machines.joblib")
            print(f"{time.perf_counter() - start:.1f} s", rnn.score(X[n:], y[n:]))
    return rnn


if "WORLD_SIZE" in os.environ:  # a launcher has started this script
    fit()
    raise SystemExit

# 1. Two processes, then one alone.
debug_launcher(fit, num_processes=2)
two, one = joblib.load(options.output / "many_machines.joblib"), fit()

# 2. Their losses are equal but for rounding.
print("largest difference", np.abs(np.subtract(one.loss_curve_, two.loss_curve_)).max())
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for rnn, label, style in ((one, "one process", "-"), (two, "two processes", "o")):
    ax.plot(range(1, epochs + 1), rnn.loss_curve_, style, label=label)
ax.set(xlabel="epoch", ylabel="training loss", title="One fit, shared")
ax.legend()
figure.savefig(options.output / "many_machines.png", dpi=150)
