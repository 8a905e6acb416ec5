"""Transformers: columns, words and patches as tokens, and what they look at.

Wine as a table, generated reviews, handwritten digits. Saves
transformer_table.png, transformer_text.png and transformer_image.png; `--quick` takes
seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import cross_val_score, train_test_split

from sknets import AttentionDisplay, TransformerClassifier

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few samples and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
epochs = 2 if options.quick else "auto"


def save(display, name):
    picture = options.output / f"transformer_{name}.png"
    display.figure_.savefig(picture, dpi=150)
    print(f"Picture: {picture.resolve()}")


# 1. A table: a token for each column.
wine = load_wine(as_frame=True)
net = TransformerClassifier(max_epochs=epochs, random_state=0)
scores = cross_val_score(net, wine.data, wine.target, cv=2 if options.quick else 5)
print(f"Accuracy on wine, cross-validated: {scores.mean():.3f}")
net.fit(wine.data, wine.target)
save(AttentionDisplay.from_estimator(net, wine.data.iloc[0]), "table")

# 2. Text: a token for each word. Here the word before the last decides.
random = np.random.default_rng(0)
words = [random.choice(["a", "film", "plot", "good", "bad"], 9) for _ in range(600)]
y = np.array([text[-2] == "good" for text in words])
X = [" ".join(text) for text in words]
net = TransformerClassifier(max_epochs=epochs, random_state=0).fit(X[:500], y[:500])
print(f"Accuracy on 100 new texts: {net.score(X[500:], y[500:]):.3f}")
save(AttentionDisplay.from_estimator(net, X[500]), "text")

# 3. Images: a token for each patch of 2 x 2 pixels.
digits = load_digits(n_class=3 if options.quick else 10)
X, X_test, y, y_test = train_test_split(
    digits.images / 16, digits.target, random_state=0
)
net = TransformerClassifier(patch_size=2, max_epochs=epochs, random_state=0).fit(X, y)
print(f"Accuracy on {len(X_test)} new images: {net.score(X_test, y_test):.3f}")
save(AttentionDisplay.from_estimator(net, X_test[0]), "image")
