"""Scores of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from sknets.metrics._weights import mean_of, weights_of


def pixel_confusion(
    y_true: Any,
    y_pred: Any,
    *,
    classes: Any = None,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels of each true class that were taken for each class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, ...) or list of arrays
        Masks, a class a pixel; those of one image have one shape.
    classes : array-like of shape (n_classes,), default=None
        The classes to count, in order; None: those of the pixels that count, in
        either. Pixels of other true classes do not count.
    ignore_index : int, default=None
        True pixels of this value do not count.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for the pixels of each image.

    Returns
    -------
    counts : ndarray of shape (n_classes, n_classes)
        Rows are true classes, columns predicted ones.
    classes : ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If there are not as many masks of both, or weights; if two masks are not of one
        shape; if a class is predicted that is not among ``classes``.

    Examples
    --------
    >>> from sknets.metrics import pixel_confusion
    >>> pixel_confusion([[[0, 1], [1, 1]]], [[[0, 1], [1, 0]]])[0]
    array([[1., 0.],
           [1., 2.]])
    """
    n = len(y_true)
    if len(y_pred) != n:
        raise ValueError(f"y_true has {n} masks and y_pred has {len(y_pred)}")
    true = [np.asarray(mask) for mask in y_true]
    found = [np.asarray(mask) for mask in y_pred]
    for i, (one, other) in enumerate(zip(true, found)):
        if one.shape != other.shape:
            raise ValueError(
                f"y_true[{i}] has shape {one.shape} and y_pred[{i}] {other.shape}"
            )
    weight = weights_of(sample_weight, n)
    kept = [np.ones(mask.shape, bool) for mask in true]
    if ignore_index is not None:
        kept = [mask != ignore_index for mask in true]
    if classes is not None:
        kept = [own & np.isin(mask, classes) for own, mask in zip(kept, true)]
    pairs = [(t[own], f[own]) for t, f, own in zip(true, found, kept)]
    present = [np.unique(pixels) for pair in pairs for pixels in pair]
    values = np.unique(np.concatenate(present)) if present else np.empty(0, int)
    if classes is not None:
        strange = np.setdiff1d(values, classes)
        if len(strange):
            raise ValueError(
                f"y_pred has pixels of {strange.tolist()}, which are not among "
                f"classes={np.asarray(classes).tolist()}"
            )
        values = np.asarray(classes)
    counts = np.zeros((len(values), len(values)))
    for pair, w in zip(pairs, weight):
        if pair[0].size:
            counts += w * confusion_matrix(*pair, labels=values)
    return counts, values


def iou_of(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class, NaN of one that never occurs.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        Of `pixel_confusion`.

    Returns
    -------
    iou : ndarray of shape (n_classes,)
    """
    both = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - both
    return np.divide(both, union, out=np.full(len(both), np.nan), where=union > 0)


def dice_of(counts: np.ndarray) -> np.ndarray:
    """Return twice the intersection over the sum of both areas, a class each.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        Of `pixel_confusion`.

    Returns
    -------
    dice : ndarray of shape (n_classes,)
        NaN of a class that never occurs.
    """
    iou = iou_of(counts)
    return 2 * iou / (1 + iou)


def accuracy_of(counts: np.ndarray) -> float:
    """Return the share of pixels that were told right, NaN where none counts.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        Of `pixel_confusion`.

    Returns
    -------
    accuracy : float
    """
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def _counts(y_true: Any, y_pred: Any, ignore_index: Any, weight: Any) -> np.ndarray:
    return pixel_confusion(
        y_true, y_pred, ignore_index=ignore_index, sample_weight=weight
    )[0]


def mean_iou(
    y_true: Any,
    y_pred: Any,
    *,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> float:
    """Return the mean over classes of intersection over union, of all pixels together.

    Classes that are in neither do not count. It is
    ``sklearn.metrics.jaccard_score(..., average="macro")`` of the pixels.

    Parameters
    ----------
    y_true, y_pred, ignore_index, sample_weight
        As of `pixel_confusion`.

    Returns
    -------
    score : float
        NaN where no pixel counts.

    Examples
    --------
    >>> from sknets.metrics import mean_iou
    >>> round(mean_iou([[[0, 1], [1, 1]]], [[[0, 1], [1, 0]]]), 4)
    0.5833
    """
    return mean_of(iou_of(_counts(y_true, y_pred, ignore_index, sample_weight)))


def mean_dice(
    y_true: Any,
    y_pred: Any,
    *,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> float:
    """Return the mean over classes of the Dice coefficient (F1) of all pixels together.

    Parameters
    ----------
    y_true, y_pred, ignore_index, sample_weight
        As of `pixel_confusion`.

    Returns
    -------
    score : float
        NaN where no pixel counts.
    """
    return mean_of(dice_of(_counts(y_true, y_pred, ignore_index, sample_weight)))


def pixel_accuracy(
    y_true: Any,
    y_pred: Any,
    *,
    ignore_index: int | None = None,
    sample_weight: Any = None,
) -> float:
    """Return the share of all pixels that were told right.

    Parameters
    ----------
    y_true, y_pred, ignore_index, sample_weight
        As of `pixel_confusion`.

    Returns
    -------
    score : float
        NaN where no pixel counts.
    """
    return accuracy_of(_counts(y_true, y_pred, ignore_index, sample_weight))


__all__ = [
    "accuracy_of",
    "dice_of",
    "iou_of",
    "mean_dice",
    "mean_iou",
    "pixel_accuracy",
    "pixel_confusion",
]
