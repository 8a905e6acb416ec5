"""A ring of Gaussians, a table, digits. Saves adversarial.png; `--quick`: seconds."""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sknets import GANSampler, ImageTranslator

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()
few = {"max_epochs": 3} if options.quick else {}
random = np.random.default_rng(0)

# 1. Rows: eight Gaussians on a circle, and which of them is asked for.
part = random.integers(8, size=2000)
circle = np.stack([np.cos(part * np.pi / 4), np.sin(part * np.pi / 4)], 1)
ring = GANSampler(random_state=0, **few)
ring.fit(circle + random.normal(0, 0.05, circle.shape), part)
print(f"Clusters of the ring that are made: {ring.modes_found_} of {ring.n_modes_}")
asked = np.tile(np.arange(8), 100)
rows = ring.sample(y=asked, random_state=0)

# 2. A table: numbers, whole numbers, categories and days come back as they were.
town = pd.Categorical(random.choice(["Rome", "Oslo"], 600, p=[0.7, 0.3]))
warmth = np.where(town == "Rome", 25, 12) + random.normal(0, 3, 600)
days = pd.Timestamp("2024-06-01") + pd.to_timedelta(random.integers(90, size=600), "D")
frame = pd.DataFrame({"town": town, "warmth": warmth, "day": days})
made = GANSampler(random_state=0, **few).fit(frame).sample(600, random_state=0)
print(made.head(), made.groupby("town", observed=True)["warmth"].mean(), sep="\n")

# 3. Images: digits that are asked for, and digits of their outlines.
images, y = load_digits().images / 16, load_digits().target
drawn = GANSampler(random_state=0, width=16, **few).fit(images, y)
digits = drawn.sample(y=np.tile(np.arange(10), 5), random_state=0)
outlines = np.abs(np.diff(images, axis=2, prepend=0))
translator = ImageTranslator(random_state=0, width=16, **few)
filled = translator.fit(outlines[:-10], images[:-10]).predict(outlines[-10:])
pairs = np.concatenate([outlines[-10:], filled, images[-10:]])

# 4. The picture.
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
axes[0].scatter(*rows.T, c=asked, cmap="tab10", s=4)
axes[0].set(title="800 rows, the colour that was asked for", aspect="equal")
for ax, tiles, title in (
    (axes[1], digits, "Digits drawn, 0 to 9"),
    (axes[2], pairs, "Edges, digits drawn of them, true ones"),
):
    tiles = np.pad(tiles.reshape(-1, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    ax.imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, 100), cmap="gray")
    ax.set(title=title, xticks=[], yticks=[])
figure.savefig(options.output / "adversarial.png", dpi=150)
