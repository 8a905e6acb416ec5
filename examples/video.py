"""Videos: fit a network that sees motion, score it, draw where it goes wrong.

A square moves clockwise or anticlockwise around the middle, from anywhere: of a single
frame nobody can tell. Saves video.png and video_saliency.png; `--quick` takes seconds.
"""

import argparse
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from sknets import CNNClassifier, SaliencyDisplay, VideoClassifier

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few clips and epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. Clips of unequal length are a list of arrays (frames, height, width) of bytes.
random = np.random.default_rng(0)
n = 40 if options.quick else 600
clips, turns = [], random.choice(["anticlockwise", "clockwise"], n)
for turn in turns:
    steps = np.arange(random.integers(6, 13))
    angle = random.uniform(0, 2 * np.pi) + 0.5 * steps * (1 if turn[0] == "c" else -1)
    clip = random.integers(0, 90, (len(steps), 16, 16), dtype=np.uint8)
    for frame, a in zip(clip, angle):
        row, column = np.rint(6.5 + 5 * np.array([np.sin(a), np.cos(a)])).astype(int)
        frame[row : row + 3, column : column + 3] += 120
    clips.append(clip)
X, X_test, y, y_test = train_test_split(clips, turns, random_state=0)

# 2. Fit and score, as with any classifier; beside it one that sees a single frame.
epochs = 2 if options.quick else 20
net = VideoClassifier(max_epochs=epochs, random_state=0).fit(X, y)
print(f"Accuracy on {len(X_test)} new clips: {net.score(X_test, y_test):.3f}")
first, first_test = [clip[0] for clip in X], [clip[0] for clip in X_test]
single = CNNClassifier(max_epochs=epochs, random_state=0).fit(first, y)
score = single.score(first_test, y_test)
print(f"A convolutional network on the first frame: {score:.3f}")

# 3. How sure is it after one frame, after two, ...?
figure, (strip, sure, table) = plt.subplots(1, 3, figsize=(11, 3.2), layout="tight")
strip.imshow(np.vstack([np.hstack(X_test[0][i : i + 3]) for i in (0, 3)]), cmap="gray")
strip.set(title=f"six frames: {y_test[0]}", xticks=[], yticks=[])
seen = range(1, 7)
scores = [net.score([clip[:t] for clip in X_test], y_test) for t in seen]
sure.plot(seen, scores, marker="o")
sure.set(xlabel="frames seen", ylabel="accuracy", ylim=(0.4, 1.02))
ConfusionMatrixDisplay.from_estimator(net, X_test, y_test, ax=table, colorbar=False)
figure.savefig(options.output / "video.png", dpi=150)
saliency = SaliencyDisplay.from_estimator(net, X_test[:3], y_test[:3])
saliency.figure_.savefig(options.output / "video_saliency.png", dpi=150)
print(f"Picture: {(options.output / 'video.png').resolve()}")
