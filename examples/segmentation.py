"""Semantic segmentation: a class for each pixel, scored and drawn.

Scenes of discs, squares, triangles and thin bars on textured ground: colour does not
tell them, shape does. Saves segmentation.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
from sklearn.model_selection import train_test_split

from sknets import FCNSegmenter, SegmentationDisplay, UNetSegmenter
from sknets.datasets import make_scenes

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few scenes and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Images and masks; masks hold 0 for the ground and 1, 2, ... for the shapes.
n, size = (30, 32) if options.quick else (300, 64)
images, masks = make_scenes(n, size=size, random_state=0)
X, X_test, y, y_test = train_test_split(images, masks, random_state=0)
shapes = ["ground", "disc", "square", "triangle", "bar"]

# 2. Fit and score: the mean over the classes of intersection over union.
epochs = 2 if options.quick else "auto"
net = UNetSegmenter(max_epochs=epochs, random_state=0).fit(X, y)
found = net.evaluate(X_test, y_test)
print(f"Mean IoU on {len(X_test)} new scenes: {found['mean_iou']:.3f}")
for shape, iou in zip(shapes, found["iou"].values()):
    print(f"  {shape:9}{iou:.3f}")
coarse = FCNSegmenter(variant="32s", max_epochs=epochs, random_state=0).fit(X, y)
print(f"Scores of every 32nd pixel, enlarged: {coarse.score(X_test, y_test):.3f}")

# 3. A larger image is predicted by tiles, in memory that does not grow with it.
(large,), (truth,) = make_scenes(1, size=(300, 500), n_objects=(40, 40), random_state=1)
print(f"Mean IoU on a large scene: {net.score([large], [truth]):.3f}")

# 4. Look at them.
display = SegmentationDisplay.from_estimator(net, X_test[:6], y_test[:6])
display.figure_.savefig(options.output / "segmentation.png", dpi=150)
print(f"Picture: {(options.output / 'segmentation.png').resolve()}")
