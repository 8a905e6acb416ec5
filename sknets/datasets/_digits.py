"""Handwritten digits in clutter, for detection."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits

from sknets.datasets._common import Images, as_bytes, between, checked, sizes

_FAINTEST = 0.3  # of full ink; what is fainter is left out, so that boxes are tight


def make_cluttered_digits(
    n_samples: int = 100,
    *,
    size: int | tuple[int, int] = 96,
    n_digits: tuple[int, int] = (1, 4),
    clutter: int = 8,
    unequal: bool = False,
    max_overlap: float = 0.3,
    digits: tuple[np.ndarray, np.ndarray] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Images, list[dict[str, np.ndarray]]]:
    """Handwritten digits strewn over a grey canvas, with a box around each.

    They are those of `sklearn.datasets.load_digits`, scaled so that the longer side of
    their ink is 14 to 32 pixels, among fragments of other digits that have no box.

    Parameters
    ----------
    n_samples : int, default=100
        How many images; at least 1.
    size : int or tuple of (height, width), default=96
        Size of the images in pixels; at least 48.
    n_digits : tuple of (int, int), default=(1, 4)
        The least and the most digits of an image; 0 makes images without any.
    clutter : int, default=8
        How many fragments of 5 x 5 pixels each image has.
    unequal : bool, default=False
        Whether each image has a size of its own, each side between two thirds and four
        thirds of `size`.
    max_overlap : float, default=0.3
        The largest intersection over union of two boxes; from 0 to 1. Of unequal boxes
        the smaller one shares no more of itself than two equal ones may.
    digits : (ndarray of shape (n, height, width), ndarray of shape (n,)), default=None
        Pictures, bright ink on black, and their labels, to strew instead of
        scikit-learn's digits: those of MNIST, for example.
    random_state : int, RandomState or None, default=None
        Seed of everything that is random: the same number, the same bits.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width), uint8
        Or a list of arrays of shape (height, width) where they are unequal.
    targets : list of dict
        For each image ``"boxes"``, float64 of shape (digits, 4): left, top, right and
        bottom edge of the ink in pixels, (0, 0) being the corner of the image, so that
        the width is the right edge less the left one; and ``"labels"``, of shape
        (digits,).

    Raises
    ------
    ValueError
        If an argument is of a wrong type or out of bounds, or if no place for so many
        digits is found.

    Examples
    --------
    >>> from sknets.datasets import make_cluttered_digits
    >>> images, targets = make_cluttered_digits(8, n_digits=(2, 2), random_state=0)
    >>> images.shape, targets[0]["boxes"].shape, targets[0]["labels"].shape
    ((8, 96, 96), (2, 4), (2,))
    """
    random = checked(
        "make_cluttered_digits",
        ("n_samples", n_samples, int, {"at least": 1}),
        ("size", size, int | tuple[int, ...], {"at least": 48}),
        ("n_digits", n_digits, tuple[int, ...], {"at least": 0}),
        ("clutter", clutter, int, {"at least": 0}),
        ("unequal", unequal, bool, {}),
        ("max_overlap", max_overlap, float, {"at least": 0, "at most": 1}),
        random_state=random_state,
    )
    inks, labels = _pool(digits)
    images, targets = [], []
    for height, width in sizes(n_samples, size, unequal, random):
        ink = np.zeros((height, width))
        for _ in range(clutter):
            piece = _scaled_ink(inks[random.randint(len(inks))], random)
            piece, _ = _cut(piece, (5, 5), random)
            view, _ = _cut(ink, piece.shape, random)
            np.maximum(view, piece, out=view)
        n = between(n_digits, random)
        boxes = np.empty((n, 4))
        chosen = random.randint(len(inks), size=n)
        for k, digit in enumerate(chosen):
            for _ in range(200):
                piece = _scaled_ink(inks[digit], random)
                view, boxes[k] = _cut(ink, piece.shape, random)
                if (_overlap(boxes[k], boxes[:k]) <= max_overlap).all():
                    break
            else:
                raise ValueError(
                    f"make_cluttered_digits(n_digits={n_digits!r}): n_digits must be "
                    f"so few that each finds a place, unlike {n} on {height} x {width} "
                    f"pixels with max_overlap={max_overlap!r}"
                )
            np.maximum(view, piece, out=view)
        grey = random.uniform(16, 64)
        image = grey + ink * random.uniform(0.7, 1) * (255 - grey)
        images.append(as_bytes(image, 4, random))
        targets.append({"boxes": boxes, "labels": labels[chosen]})
    return (images if unequal else np.stack(images)), targets


def _pool(digits: Any) -> tuple[np.ndarray, np.ndarray]:
    """Inks from 0 to 1 and their labels."""
    if digits is None:
        inks, labels = load_digits(return_X_y=True)
        return inks.reshape(-1, 8, 8) / 16, labels.astype(np.int64)
    pair = digits if isinstance(digits, tuple | list) and len(digits) == 2 else ((), ())
    inks, labels = np.asarray(pair[0], float), np.asarray(pair[1])
    if inks.ndim != 3 or labels.shape != inks.shape[:1] or not len(labels):
        raise ValueError(
            "make_cluttered_digits(digits=...): digits must be a pair of pictures, "
            "(n, height, width), and as many labels, (n,), got shapes "
            f"{inks.shape} and {labels.shape}"
        )
    brightest = inks.max((1, 2))
    if not (brightest > 0).all():
        raise ValueError(
            f"make_cluttered_digits(digits=...): the picture {brightest.argmin()} of "
            "digits has no ink: it must have numbers above 0"
        )
    return inks / brightest[:, None, None], labels


def _scaled_ink(digit: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A digit's ink from 0 to 1, cut to its box, whose longer side is 14 to 32."""
    digit = _inked(digit)
    return _inked(
        ndimage.zoom(digit, random.randint(14, 33) / max(digit.shape), order=1)
    )


def _inked(digit: np.ndarray) -> np.ndarray:
    ink = np.where(digit >= _FAINTEST, digit, 0)
    row, column = np.nonzero(ink)
    return ink[row.min() : row.max() + 1, column.min() : column.max() + 1]


def _cut(
    canvas: np.ndarray, shape: tuple[int, ...], random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """A view of that shape, or of less where the canvas is smaller, and its box."""
    height, width = np.minimum(shape, canvas.shape)
    top = random.randint(canvas.shape[0] - height + 1)
    left = random.randint(canvas.shape[1] - width + 1)
    view = canvas[top : top + height, left : left + width]
    return view, np.array([left, top, left + width, top + height], float)


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much a box overlaps with others, (others,): at least as their IoU.

    It is the IoU if the larger box were as small as the smaller one, so that a small
    digit does not vanish in a large one.
    """
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    return shared / (2 * np.minimum(areas, (box[2:] - box[:2]).prod()) - shared)
