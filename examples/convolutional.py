"""Images: fit a convolutional network, score it, see where it looks, use its features.

Handwritten digits of 8 x 8 pixels. Saves convolutional_grad_cam.png,
convolutional_occlusion.png and convolutional_filters.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sknets import CNNClassifier, FiltersDisplay, SaliencyDisplay

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few images and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Images as an array (n, height, width) of bytes.
digits = load_digits()
images = (digits.images * 15).astype(np.uint8)
X, X_test, y, y_test = train_test_split(
    images, digits.target, train_size=100 if options.quick else 0.75, random_state=0
)

# 2. Fit and score, as with any classifier.
epochs = 2 if options.quick else 15
cnn = CNNClassifier(augment="shift", max_epochs=epochs, random_state=0).fit(X, y)
print(f"Accuracy on {len(X_test)} new images: {cnn.score(X_test, y_test):.3f}")

# 3. Where does it look? First the ones that it gets wrong.
wrong = np.flatnonzero(cnn.predict(X_test) != y_test)[:4]
shown = np.concatenate([wrong, np.arange(12 - len(wrong))])
for method in ("grad_cam", "occlusion"):
    display = SaliencyDisplay.from_estimator(
        cnn, X_test[shown], y_test[shown], method=method
    )
    picture = options.output / f"convolutional_{method}.png"
    display.figure_.savefig(picture, dpi=150)
    print(f"Picture: {picture.resolve()}")

# 4. What does it look for first?
picture = options.output / "convolutional_filters.png"
FiltersDisplay.from_estimator(cnn).figure_.savefig(picture, dpi=150)
print(f"Picture: {picture.resolve()}")

# 5. Its penultimate features make a classical model of images.
pipeline = make_pipeline(cnn, SVC()).fit(X, y)
print(f"A support vector machine on its features: {pipeline.score(X_test, y_test):.3f}")
