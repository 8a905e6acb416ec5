"""Object detection: which digits are where on a cluttered canvas, scored and drawn.

A detector beside one of what stands out of the background. Saves detection.png;
`--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib

from sknets import DetectionDisplay, YOLODetector, compare
from sknets.datasets import make_cluttered_digits

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few images and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Images, and for each a dict of boxes (left, top, right, bottom) and labels.
n = 16 if options.quick else 800
X, y = make_cluttered_digits(n, random_state=0)
X_test, y_test = make_cluttered_digits(n // 4, random_state=1)
print(f"{n} images, {sum(len(each['labels']) for each in y)} digits")

# 2. A mirrored digit is something else: no flips.
net = YOLODetector(
    version=2,
    augment=("scale", "shift", "mosaic", "brightness"),
    max_epochs=2 if options.quick else "auto",
    random_state=0,
).fit(X, y)

# 3. Score: COCO's average precision, and label by label; a table of all boxes.
found = net.evaluate(X_test, y_test)
print(
    f"Average precision: {found['average_precision']:.3f}, at 0.5 {found['ap50']:.3f}"
)
worst = min(found["by_class"].items(), key=lambda pair: pair[1]["ap50"])
print(f"Hardest: {worst[0]}, average precision at 0.5 {worst[1]['ap50']:.3f}")
print(net.to_frame(net.predict(X_test[:2])).query("score > 0.5").head())

# 4. Beside a classical way, in folds.
board = compare(X, y, models=["DummyDetector", "BlobForest"], cv=2, verbose=0)
print(board.table[["average_precision", "ap50"]].round(3))

# 5. Look at them.
display = DetectionDisplay.from_estimator(net, X_test[:8], y_test[:8])
display.figure_.savefig(options.output / "detection.png", dpi=150)
print(f"Picture: {(options.output / 'detection.png').resolve()}")
