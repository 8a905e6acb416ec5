"""Recurrent networks: digits read row by row; when does the network know?

Saves recurrent.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknets import RNNClassifier

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few rows and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

digits = load_digits()
every, epochs = (4, 2) if options.quick else (1, "auto")
X, X_test, y, y_test = train_test_split(
    digits.images[::every], digits.target[::every], random_state=0
)

# 1. An image is a sequence of 8 rows: one label for the whole of it.
for cell in ("lstm", "gru", "rnn"):
    rnn = RNNClassifier(cell=cell, max_epochs=epochs, random_state=0).fit(X, y)
    print(f"{cell}: accuracy {rnn.score(X_test, y_test):.3f}")

# 2. A label for each step: the network says after each row what it takes it for.
labels = np.repeat(y[:, None], 8, axis=1)
reader = RNNClassifier(per_step=True, max_epochs=4 if options.quick else 40)
reader.set_params(random_state=0).fit(X, labels)
right = reader.predict(X_test) == y_test[:, None]
print("accuracy after each row:", right.mean(0).round(2))

shown = [int(np.flatnonzero(y_test == digit)[0]) for digit in range(10)]
chances = reader.predict_proba(X_test[shown])  # (10, rows, classes)
figure, axes = plt.subplots(2, 10, figsize=(11, 2.6), layout="constrained")
for digit, (image, chance) in enumerate(zip(X_test[shown], chances)):
    axes[0, digit].imshow(image, cmap="gray_r")
    axes[1, digit].imshow(chance, vmin=0, vmax=1, cmap="viridis")
    axes[0, digit].set(xticks=[], yticks=[])
    axes[1, digit].set(xticks=range(0, 10, 3), yticks=[])
axes[0, 0].set_ylabel("row by row")
axes[1, 0].set_ylabel("chance of\neach class")
figure.savefig(options.output / "recurrent.png", dpi=150)
