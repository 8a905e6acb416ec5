"""Boltzmann machines: fit one, use its features, look at its weights, let it dream.

Handwritten digits of 8 x 8 pixels. Saves boltzmann.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sknets import DBNClassifier, RBMFeatures

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Pixels between 0 and 1: probabilities of binary units.
X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)

# 2. Learn without labels; the features make a linear model better than pixels do.
epochs = 2 if options.quick else 60
rbm = RBMFeatures(n_components=128, max_epochs=epochs, random_state=0).fit(X)
linear = LogisticRegression(max_iter=2000)
print(f"Logistic regression, pixels: {linear.fit(X, y).score(X_test, y_test):.3f}")
score = linear.fit(rbm.transform(X), y).score(rbm.transform(X_test), y_test)
print(f"Logistic regression, features: {score:.3f}")
print(f"Pseudo-likelihood of new digits: {rbm.score(X_test):.1f}")

# 3. A deep belief network classifies, and draws the digit that it is asked for.
dbn = DBNClassifier(pretraining_epochs=epochs, n_gibbs_steps=5, random_state=0)
dbn.set_params(hidden_layer_sizes=(128, 128)).fit(X, y)
print(f"Deep belief network: {dbn.score(X_test, y_test):.3f}")
asked = np.tile(np.arange(10), 5)
drawn = dbn.sample(y=asked, random_state=0)  # zeros and ones
drawn = rbm.inverse_transform(rbm.transform(drawn))  # their grey values

# 4. The picture.
figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
for ax, rows, title in (
    (axes[0], rbm.components_[:50], "Weights of 50 hidden units"),
    (axes[1], drawn, "Digits drawn by the deep belief network, 0 to 9"),
):
    tiles = np.pad(rows.reshape(5, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    ax.imshow(tiles.transpose(0, 2, 1, 3).reshape(50, 100), cmap="gray")
    ax.set(title=title, xticks=[], yticks=[])
axes[2].plot(np.arange(1, epochs + 1), rbm.loss_curve_)
axes[2].set(title="Learning curve", xlabel="epoch", ylabel="reconstruction error")
figure.savefig(options.output / "boltzmann.png", dpi=150)
