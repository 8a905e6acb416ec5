"""Anchors: the usual widths and heights of boxes."""

from __future__ import annotations

import numpy as np


def shape_iou(sizes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m): intersection over union of boxes about one middle, by their sizes."""
    both = np.minimum(sizes[:, None], others[None]).prod(-1)
    areas = sizes.prod(-1)[:, None] + others.prod(-1)[None]
    return both / (areas - both)


def anchors_of(
    sizes: np.ndarray,
    classes: np.ndarray,
    n: int,
    random: np.random.RandomState,
    n_rounds: int = 100,
) -> np.ndarray:
    """Cluster widths and heights by their intersection over union: YOLOv2's k-means.

    Parameters
    ----------
    sizes : ndarray of shape (n_boxes, 2)
    classes : ndarray of shape (n_boxes,)
        Each class weighs the same, so that anchors for a rare one are found, too.
    n : int

    Returns
    -------
    anchors : ndarray of shape (n, 2)
        The smallest first. Where there are fewer different sizes some are repeated.
    """
    _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    weight = 1.0 / counts[codes]
    # Far ones are likelier to begin a cluster (k-means++).
    anchors = sizes[random.choice(len(sizes), 1, p=weight / weight.sum())]
    while len(anchors) < n:
        far = weight * (1 - shape_iou(sizes, anchors).max(1)) ** 2
        p = far / far.sum() if far.sum() > 0 else weight / weight.sum()
        anchors = np.append(anchors, sizes[random.choice(len(sizes), 1, p=p)], axis=0)
    own = None
    for _ in range(n_rounds):
        nearest = shape_iou(sizes, anchors).argmax(1)
        if own is not None and (nearest == own).all():
            break
        own = nearest
        for k in np.unique(own):
            of = own == k
            anchors[k] = np.average(sizes[of], axis=0, weights=weight[of])
    return anchors[np.argsort(anchors.prod(1), kind="stable")]


def usual_scales(rows: np.ndarray) -> tuple[float, float]:
    """Of boxes (n, 5) the smallest and the largest usual ones' roots of areas, those of
    the class with the smallest and of that with the largest.
    """
    sides = np.sqrt((rows[:, 2:4] - rows[:, :2]).prod(1))
    each = [np.quantile(sides[rows[:, 4] == k], [0.1, 0.9]) for k in set(rows[:, 4])]
    small, large = min(own[0] for own in each), max(own[1] for own in each)
    return float(small), float(max(large, 1.5 * small))


__all__ = ["anchors_of", "shape_iou", "usual_scales"]
