"""Autoencoders: compress and restore digits, map them, draw new ones, find odd ones.

Saves autoencoders.png and autoencoders_map.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

import sknets

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few rows and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
epochs = 3 if options.quick else 100

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)

# 1. Eight numbers for 64 pixels: what is left of the images?
coder = sknets.AutoencoderTransformer(n_components=8, max_epochs=epochs).fit(X)
pca = PCA(8).fit(X)
restored = pca.inverse_transform(pca.transform(X_test))
error = np.mean((restored - X_test) ** 2)
print(f"Error: {-coder.score(X_test):.4f}, of PCA {error:.4f}")

# 2. A variational one draws new digits, each of the class that is asked for.
vae = sknets.VAETransformer(likelihood="bernoulli", conditional=True, max_epochs=epochs)
drawn = vae.fit(X, y).sample(y=np.arange(10), random_state=0)

# 3. Which images are unlike all others?
finder = sknets.AutoencoderOutlierDetector(max_epochs=epochs, random_state=0).fit(X)
odd = X_test[finder.score_samples(X_test).argsort()[:10]]

rows = [X_test[:10], coder.reconstruct(X_test[:10]), restored[:10], drawn, odd]
names = ["given", "restored", "PCA", "drawn", "odd"]
figure, axes = plt.subplots(5, 10, figsize=(8, 4.4), layout="constrained")
for name, images, line in zip(names, rows, axes):
    for ax, image in zip(line, images):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
figure.savefig(options.output / "autoencoders.png", dpi=150)

# 4. Two numbers an image make a map.
mapper = sknets.AutoencoderTransformer(n_components=2, max_epochs=epochs).fit(X)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
points = left.scatter(*mapper.transform(X_test).T, c=y_test, cmap="tab10", s=12)
figure.colorbar(points, ax=left)
right.loglog(mapper.loss_curve_, label="2 components")
right.loglog(coder.loss_curve_, label="8 components")
right.set(xlabel="epoch", ylabel="loss")
right.legend()
figure.savefig(options.output / "autoencoders_map.png", dpi=150)
