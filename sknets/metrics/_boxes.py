"""Scores of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknets.metrics._keypoints import refuse_unequal
from sknets.metrics._precision import Precision
from sknets.metrics._weights import weights_of


def box_iou(boxes: Any, others: Any) -> np.ndarray:
    """Return the intersection over union of each box with each other.

    Parameters
    ----------
    boxes : array-like of shape (n, 4)
    others : array-like of shape (m, 4)
        Left, top, right, bottom.

    Returns
    -------
    iou : ndarray of shape (n, m)
        From 0 to 1.

    Examples
    --------
    >>> from sknets.metrics import box_iou
    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(2)
    array([[0.33, 0.  ]])
    """
    one = np.asarray(boxes, float).reshape(-1, 1, 4)
    other = np.asarray(others, float).reshape(1, -1, 4)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    both = (high - low).clip(0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).clip(0).prod(-1) for each in (one, other)]
    union = areas[0] + areas[1] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def average_precision_by_class(
    y_true: Any,
    y_pred: Any,
    *,
    thresholds: Any = None,
    sample_weight: Any = None,
) -> dict[Any, np.ndarray]:
    """Return COCO's average precision of boxes for each class and threshold.

    In each image the found boxes of a class, best score first and at most 100, take the
    free object with which they share most, if their intersection over union is at least
    a threshold; precision, never rising with recall, is averaged at 101 recalls.

    Parameters
    ----------
    y_true : list of dict
        For each image ``{"boxes": (k, 4), "labels": (k,)}``.
    y_pred : list of dict
        The same with ``"scores"``, (k,).
    thresholds : array-like, default=None
        None: 0.5, 0.55, ..., 0.95.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for the objects and boxes of each image.

    Returns
    -------
    precision : dict
        An ndarray (thresholds,) for each class of ``y_true``.

    Examples
    --------
    >>> from sknets.metrics import average_precision_by_class
    >>> true = [{"boxes": [[0, 0, 8, 8]], "labels": ["cat"]}]
    >>> found = [{"boxes": [[0, 0, 8, 7]], "labels": ["cat"], "scores": [0.9]}]
    >>> average_precision_by_class(true, found, thresholds=[0.5, 0.9])
    {'cat': array([1., 0.])}
    """
    refuse_unequal(y_true, y_pred)
    levels = np.linspace(0.5, 0.95, 10) if thresholds is None else thresholds
    levels = np.atleast_1d(np.asarray(levels, float))
    weight = weights_of(sample_weight, len(y_true))
    known = [np.asarray(each["labels"]) for each in y_true]
    some = [each for each in known if len(each)]
    classes = np.unique(np.concatenate(some)) if some else np.empty(0)
    curves = [Precision(levels) for _ in classes]
    for true, labels, found, w in zip(y_true, known, y_pred, weight):
        boxes = np.asarray(true["boxes"], float).reshape(-1, 4)
        others = np.asarray(found["boxes"], float).reshape(-1, 4)
        scores = np.asarray(found["scores"], float)
        best = np.argsort(-scores, kind="stable")
        taken = np.asarray(found["labels"])[best]
        for name, curve in zip(classes, curves):
            own = best[taken == name][:100]
            similar = box_iou(boxes[labels == name], others[own])
            curve.add(similar, scores[own], w)
    names = classes.tolist()
    return {name: curve.averages() for name, curve in zip(names, curves)}


def mean_average_precision(
    y_true: Any,
    y_pred: Any,
    *,
    thresholds: Any = None,
    sample_weight: Any = None,
) -> float:
    """Return COCO's mean average precision of boxes, over classes and thresholds.

    Parameters
    ----------
    y_true, y_pred, thresholds, sample_weight
        As of `average_precision_by_class`.

    Returns
    -------
    score : float
        Of the classes of ``y_true``; NaN if there is no object.

    Examples
    --------
    >>> from sknets.metrics import mean_average_precision
    >>> true = [{"boxes": [[0, 0, 8, 8]], "labels": ["cat"]}]
    >>> found = [{"boxes": [[0, 0, 8, 7]], "labels": ["cat"], "scores": [0.9]}]
    >>> mean_average_precision(true, found, thresholds=[0.5, 0.9])
    0.5
    """
    each = average_precision_by_class(
        y_true, y_pred, thresholds=thresholds, sample_weight=sample_weight
    )
    known = [values for values in each.values() if not np.isnan(values).any()]
    return float(np.mean(known)) if known else float("nan")


__all__ = ["average_precision_by_class", "box_iou", "mean_average_precision"]
