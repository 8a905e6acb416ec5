"""Sequence to sequence: dates as people write them become dates as machines do.

Saves sequence_to_sequence.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from sknets import AttentionDisplay, Seq2SeqTranslator
from sknets.datasets import make_dates

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few dates and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

n, epochs = (200, 2) if options.quick else (3000, "auto")
X, y = make_dates(n + 200, random_state=0)

# 1. Character by character; in which order days, months and years come is learned.
net = Seq2SeqTranslator(
    architecture="lstm",
    tokenizer="characters",
    width=64,
    n_layers=1,
    metric="exact",
    max_epochs=epochs,
    random_state=0,
)
net.fit(X[:n], y[:n])
print(f"exactly right: {net.score(X[n:], y[n:]):.3f}")

# 2. How sure is it? The logarithm of the probability of all that it writes.
asked = ["the 1st of January 2024", "Jan 31, 2024", "31.1.2024", "next Tuesday"]
for text, found, log_p in zip(asked, *net.predict_with_scores(asked)):
    print(f"{text:24} {found:12} {log_p:7.2f}")

# 3. What each character is written by: the rows are written, the columns are read.
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for axis, text in zip(axes, asked):
    AttentionDisplay.from_estimator(net, text, ax=axis)
figure.savefig(options.output / "sequence_to_sequence.png", dpi=120)
