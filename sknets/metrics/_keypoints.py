"""Scores of poses."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknets.metrics._precision import Precision
from sknets.metrics._weights import weights_of

# Pixels: the side of people of one visible joint, where nobody has more of them.
_LONE_JOINT = 32.0


def object_keypoint_similarity(
    y_true: Any, y_pred: Any, *, sigmas: Any = None, areas: Any = None
) -> np.ndarray:
    """Return how near the joints of poses are to those of people, as COCO measures.

    ``exp(-d² / (2 area k²))``, with k twice the sigma of the joint, averaged over the
    joints that are visible in the truth.

    Parameters
    ----------
    y_true : array-like of shape (people, joints, 3 or 4)
        x, y, (z,) visible; joints with 0, or NaN, do not count. Depths do not, either.
    y_pred : array-like of shape (poses, joints, >= 2)
        x and y first; a joint that is NaN is infinitely far away.
    sigmas : float or array-like of shape (joints,), default=None
        How far from another annotators put a joint, in square roots of the area; None:
        0.067 for all, the mean of COCO's.
    areas : array-like of shape (people,), default=None
        In square pixels; None: of the box of the visible joints, whose shorter side
        counts as at least half of the longer one. COCO takes the area of the outline,
        about half as much. A person of one visible joint counts as 32 pixels high.

    Returns
    -------
    similarity : ndarray of shape (people, poses)
        From 0 to 1; NaN of people without a visible joint.

    Examples
    --------
    >>> from sknets.metrics import object_keypoint_similarity
    >>> true, found = [[[0, 0, 1], [9, 20, 1]]], [[[0, 0], [9, 21]]]
    >>> object_keypoint_similarity(true, found).round(2)
    array([[0.94]])
    """
    true, found = np.asarray(y_true, float), np.asarray(y_pred, float)
    visible = visible_of(true)
    if areas is None:
        areas = _areas(true, visible)
    k2 = np.square(2 * np.asarray(0.067 if sigmas is None else sigmas, float))
    square = np.square(true[:, None, :, :2] - found[None, :, :, :2]).sum(-1)
    square = np.where(np.isnan(square), np.inf, square)
    unit = 2 * np.asarray(areas, float)[:, None, None] * k2
    near = np.exp(-square / np.maximum(unit, np.finfo(float).tiny))
    n = visible.sum(1)[:, None]
    sums = (near * visible[:, None]).sum(2)
    return np.divide(sums, n, out=np.full(sums.shape, np.nan), where=n > 0)


def visible_of(people: np.ndarray) -> np.ndarray:
    """Return which joints (people, joints) of x, y, (z,) visible count."""
    return (people[..., -1] > 0) & np.isfinite(people[..., :2]).all(-1)


def _sides(people: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(people, 2): width and height of the boxes of the visible joints, 0 of none."""
    places, there = people[..., :2], visible[..., None]
    high = np.where(there, places, -np.inf).max(1, initial=-np.inf)
    low = np.where(there, places, np.inf).min(1, initial=np.inf)
    return np.where(high >= low, high - low, 0)


def _longer(people: np.ndarray, visible: np.ndarray, lone: float) -> np.ndarray:
    """The longer sides of the boxes, ``lone`` of a box that is but a point."""
    longer = _sides(people, visible).max(1, initial=0)
    return np.where(longer > 0, np.maximum(longer, 1), lone)


def _areas(
    people: np.ndarray, visible: np.ndarray, lone: float = _LONE_JOINT
) -> np.ndarray:
    longer = _longer(people, visible, lone)
    shorter = np.minimum(_sides(people, visible).min(1, initial=np.inf), longer)
    return longer * np.maximum(shorter, longer / 2)


def _usual_side(y_true: Any) -> float:
    """Of all people with two visible joints or more: what others count as."""
    every = [_poses(true) for true in y_true]
    sides = [_sides(people, visible_of(people)).max(1, initial=0) for people in every]
    known = np.concatenate(sides) if sides else np.empty(0)
    return float(np.median(known[known > 0])) if (known > 0).any() else _LONE_JOINT


def keypoint_average_precision(
    y_true: Any,
    y_pred: Any,
    *,
    sigmas: Any = None,
    thresholds: Any = None,
    sample_weight: Any = None,
) -> float:
    """Return COCO's average precision of poses, by the similarity of keypoints.

    In each image the poses, best score first, take the free person to whom they are
    most similar, if that is at least a threshold; precision, never rising with recall,
    is averaged at 101 recalls, and that over the thresholds. At most 20 poses an image
    count.

    Parameters
    ----------
    y_true : list of dict
        For each image ``{"keypoints": (people, joints, 3 or 4)}`` and, if it is known,
        ``"area"`` of shape (people,). People without a visible joint do not count;
        those of one, whose area is unknown, are as high as others usually are, or 32
        pixels where nobody has more joints.
    y_pred : list of dict
        ``{"keypoints": (poses, joints, >= 2), "scores": (poses,)}``.
    sigmas : float or array-like of shape (joints,), default=None
        As of `object_keypoint_similarity`.
    thresholds : array-like, default=None
        None: 0.5, 0.55, ..., 0.95.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for the people and poses of each image.

    Returns
    -------
    score : float
        NaN where there is nobody.

    Examples
    --------
    >>> from sknets.metrics import keypoint_average_precision
    >>> person = [[5.0, 5.0, 1], [20.0, 30.0, 1]]
    >>> found = {"keypoints": [person], "scores": [0.9]}
    >>> keypoint_average_precision([{"keypoints": [person]}], [found])
    1.0
    """
    refuse_unequal(y_true, y_pred)
    levels = np.linspace(0.5, 0.95, 10) if thresholds is None else thresholds
    levels = np.atleast_1d(np.asarray(levels, float))
    weight = weights_of(sample_weight, len(y_true))
    curve, lone = Precision(levels), _usual_side(y_true)
    for true, found, w in zip(y_true, y_pred, weight):
        people, poses = _poses(true), _poses(found)
        counted = visible_of(people).any(1)
        areas = true.get("area")
        people = people[counted]
        score = np.asarray(found["scores"], float)
        order = np.argsort(-score, kind="stable")[:20]
        similar = np.zeros((len(people), len(order)))
        if similar.size:
            if areas is None:
                areas = _areas(people, visible_of(people), lone)
            else:
                areas = np.asarray(areas, float)[counted]
            similar = object_keypoint_similarity(
                people, poses[order], sigmas=sigmas, areas=areas
            )
        curve.add(similar, score[order], w)
    return float(np.mean(curve.averages()))


def refuse_unequal(y_true: Any, y_pred: Any) -> None:
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} images and y_pred has {len(y_pred)}"
        )


def _poses(record: Any) -> np.ndarray:
    """(people, joints, columns), of nobody too."""
    array = np.asarray(record["keypoints"], float)
    return array if array.ndim == 3 else array.reshape(0, 0, 3)


def pck(
    y_true: Any, y_pred: Any, *, alpha: float = 0.1, sample_weight: Any = None
) -> float:
    """Return the share of visible joints that were found, of all images together.

    Found is a joint within ``alpha`` times the larger side of the box of the person's
    visible joints, or of that of others where only one is visible (of 32 pixels where
    nobody has more). Of several people each is compared with the pose that is most
    similar to it, the best score first; joints of those without one are not found.

    Parameters
    ----------
    y_true, y_pred : list of dict
        As of `keypoint_average_precision`.
    alpha : float, default=0.1
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    score : float
        NaN where no joint is visible.
    """
    errors, sides, weights = matched_errors(y_true, y_pred, sample_weight)
    found = errors <= alpha * sides[:, None]
    weight = weights[:, None] * ~np.isnan(errors)
    total = weight.sum()
    return float((found * weight).sum() / total) if total else float("nan")


def matched_errors(
    y_true: Any, y_pred: Any, sample_weight: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the errors (people, joints) of all people in pixels, as of `pck`.

    NaN for joints that are not visible, infinite for those that were not found; with
    the larger sides of their boxes, and the weights of their images.
    """
    refuse_unequal(y_true, y_pred)
    weight = weights_of(sample_weight, len(y_true))
    errors, sides, weights = [], [], []
    lone = _usual_side(y_true)
    for true, found, w in zip(y_true, y_pred, weight):
        people, poses = _poses(true), _poses(found)
        visible = visible_of(people)
        people, visible = people[visible.any(1)], visible[visible.any(1)]
        error = np.where(visible, np.inf, np.nan)
        for person, pose in _pairs(people, poses, found["scores"]):
            apart = people[person, :, :2] - poses[pose, :, :2]
            apart = np.linalg.norm(np.nan_to_num(apart, nan=np.inf), axis=1)
            error[person] = np.where(visible[person], apart, np.nan)
        errors.append(error)
        sides.append(_longer(people, visible, lone))
        weights.append(np.full(len(people), float(w)))
    n = max((each.shape[1] for each in errors), default=0)
    errors = [each.reshape(-1, n) for each in errors if each.size]
    return (
        np.concatenate(errors) if errors else np.empty((0, n)),
        np.concatenate(sides) if sides else np.empty(0),
        np.concatenate(weights) if weights else np.empty(0),
    )


def _pairs(people: np.ndarray, poses: np.ndarray, scores: Any) -> Any:
    """Numbers of people and of the poses most similar to them, the best score first."""
    if len(people) == len(poses) == 1:  # however far apart
        yield 0, 0
    elif len(people) and len(poses):
        similar = object_keypoint_similarity(people, poses)
        free = np.ones(len(people), bool)
        for pose in np.argsort(-np.asarray(scores, float), kind="stable"):
            nearest = np.where(free, similar[:, pose], -1).argmax()
            if free[nearest] and similar[nearest, pose] > 0:
                free[nearest] = False
                yield nearest, pose


def nearest_poses(y_true: Any, y_pred: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return all people who have a pose, and that pose, as of `pck`."""
    pairs = []
    for true, found in zip(y_true, y_pred):
        people, poses = _poses(true), _poses(found)
        people = people[visible_of(people).any(1)]
        for person, pose in _pairs(people, poses, found["scores"]):
            pairs.append((people[person], poses[pose]))
    return pairs


def mean_joint_error(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Return the mean distance of joints from where they are.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, joints, 2 or 3)
        Places of one person a sample; true joints that are NaN do not count.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    error : float
        In the unit of y; NaN where no joint counts.

    Examples
    --------
    >>> from sknets.metrics import mean_joint_error
    >>> mean_joint_error([[[0, 0, 0], [1, 1, 1]]], [[[0, 3, 4], [1, 1, 1]]])
    2.5
    """
    true, found = np.asarray(y_true, float), np.asarray(y_pred, float)
    if true.shape != found.shape or true.ndim != 3:
        raise ValueError(
            f"y_true has shape {true.shape} and y_pred {found.shape}: both must be "
            "(n_samples, joints, 2 or 3)"
        )
    known = ~np.isnan(true).any(2)
    weight = weights_of(sample_weight, len(true))[:, None] * known
    errors = np.linalg.norm(np.where(known[..., None], true - found, 0), axis=2)
    total = weight.sum()
    return float((errors * weight).sum() / total) if total else float("nan")


__all__ = [
    "keypoint_average_precision",
    "matched_errors",
    "mean_joint_error",
    "nearest_poses",
    "object_keypoint_similarity",
    "pck",
    "refuse_unequal",
    "visible_of",
]
