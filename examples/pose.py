"""Pose estimation: where the joints are, of one figure and of several.

Articulated figures on textured ground, some partly hidden. Saves pose.png; `--quick`
takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib

from sknets import PoseDisplay, PoseEstimator
from sknets.datasets import FIGURE_JOINTS, FIGURE_SKELETON, make_figures

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few figures and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Images, and for each a dict of the keypoints (people, joints, 3): x, y, visible.
n = 20 if options.quick else 2000
X, y = make_figures(n, n_people=(1, 3), occlusion=0.3, random_state=0)
X_test, y_test = make_figures(20, n_people=(1, 3), occlusion=0.3, random_state=1)
print(f"{n} images, {sum(len(each['keypoints']) for each in y)} figures")

# 2. The skeleton joins the joints that are found to figures.
net = PoseEstimator(
    joints=list(FIGURE_JOINTS),
    skeleton=list(FIGURE_SKELETON),
    augment=("scale", "shift", "brightness"),  # they stand: no "rotate"
    max_epochs=2 if options.quick else "auto",
    random_state=0,
).fit(X, y)

# 3. Score: the average precision of poses, as COCO measures it; and joint by joint.
found = net.evaluate(X_test, y_test)
print(f"Average precision: {found['average_precision']:.3f}, PCK: {found['pck']:.3f}")

# 4. Look at them.
display = PoseDisplay.from_estimator(net, X_test[:6])
display.figure_.savefig(options.output / "pose.png", dpi=150)
print(f"Picture: {(options.output / 'pose.png').resolve()}")
