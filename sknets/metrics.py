"""What the scores of structured outputs are made of, ready for `make_scorer`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix
from sklearn.utils.validation import _check_sample_weight


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


def weights_of(sample_weight: Any, n: int) -> np.ndarray:
    """Return a weight for each of n images, those given or ones.

    Raises
    ------
    ValueError
        If there are not n of them, if one is negative or not finite, if all are 0.
    """
    if sample_weight is None:
        return np.ones(n)
    return _check_sample_weight(
        sample_weight, np.empty((n, 1)), dtype=np.float64, ensure_non_negative=True
    )


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
        about half as much.

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


def _areas(people: np.ndarray, visible: np.ndarray) -> np.ndarray:
    sides = _sides(people, visible)
    longer = sides.max(1, initial=0)
    shorter = np.maximum(sides.min(1, initial=np.inf), longer / 2)
    return np.maximum(longer * shorter, 1)


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
        ``"area"`` of shape (people,). People without a visible joint do not count.
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
    _as_many(y_true, y_pred)
    levels = np.linspace(0.5, 0.95, 10) if thresholds is None else thresholds
    levels = np.atleast_1d(np.asarray(levels, float))
    weight = weights_of(sample_weight, len(y_true))
    curve = _Precision(levels)
    for true, found, w in zip(y_true, y_pred, weight):
        people, poses = _poses(true), _poses(found)
        counted = visible_of(people).any(1)
        areas = true.get("area")
        people = people[counted]
        score = np.asarray(found["scores"], float)
        order = np.argsort(-score, kind="stable")[:20]
        similar = np.zeros((len(people), len(order)))
        if similar.size:
            areas = None if areas is None else np.asarray(areas, float)[counted]
            similar = object_keypoint_similarity(
                people, poses[order], sigmas=sigmas, areas=areas
            )
        curve.add(similar, score[order], w)
    return float(np.mean(curve.averages()))


def _as_many(y_true: Any, y_pred: Any) -> None:
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} images and y_pred has {len(y_pred)}"
        )


def _poses(record: Any) -> np.ndarray:
    """(people, joints, columns), of nobody too."""
    array = np.asarray(record["keypoints"], float)
    return array if array.ndim == 3 else array.reshape(0, 0, 3)


class _Precision:
    """Average precisions at levels of similarity, of images one by one."""

    def __init__(self, levels: np.ndarray):
        self.levels, self.total = levels, 0.0
        self.scores: list[np.ndarray] = []
        self.hits: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []

    def add(self, similar: np.ndarray, scores: np.ndarray, weight: float) -> None:
        """Of an image: (objects, found), the best first, and the scores of those."""
        self.total += weight * len(similar)
        self.scores.append(scores)
        self.hits.append(np.stack([_taken(similar, level) for level in self.levels]))
        self.weights.append(np.full(len(scores), float(weight)))

    def averages(self) -> np.ndarray:
        """(levels,), NaN where there was no object."""
        if not self.total:
            return np.full(len(self.levels), np.nan)
        order = np.argsort(-np.concatenate(self.scores), kind="stable")
        each = np.concatenate(self.weights)[order]
        hits = np.hstack(self.hits)[:, order]
        return np.array([_precision(hit, each, self.total) for hit in hits])


def _taken(similar: np.ndarray, level: float) -> np.ndarray:
    """Which poses, the best first, find a person that is still free."""
    free, hit = np.ones(len(similar), bool), np.zeros(similar.shape[1], bool)
    for pose in range(len(hit) if len(free) else 0):
        nearest = np.where(free, similar[:, pose], -1).argmax()
        if free[nearest] and similar[nearest, pose] >= level:
            free[nearest], hit[pose] = False, True
    return hit


def _precision(hit: np.ndarray, weight: np.ndarray, total: float) -> float:
    """The mean precision at 101 recalls, of poses from the best to the worst."""
    found, wrong = np.cumsum(hit * weight), np.cumsum(~hit * weight)
    recall = found / total
    share = found / np.maximum(found + wrong, np.finfo(float).tiny)
    share = np.maximum.accumulate(share[::-1])[::-1]
    place = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(share, 0)[place].mean())


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
    _as_many(y_true, y_pred)
    levels = np.linspace(0.5, 0.95, 10) if thresholds is None else thresholds
    levels = np.atleast_1d(np.asarray(levels, float))
    weight = weights_of(sample_weight, len(y_true))
    known = [np.asarray(each["labels"]) for each in y_true]
    some = [each for each in known if len(each)]
    classes = np.unique(np.concatenate(some)) if some else np.empty(0)
    curves = [_Precision(levels) for _ in classes]
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


def pck(
    y_true: Any, y_pred: Any, *, alpha: float = 0.1, sample_weight: Any = None
) -> float:
    """Return the share of visible joints that were found, of all images together.

    Found is a joint within ``alpha`` times the larger side of the box of the person's
    visible joints. Of several people each is compared with the pose that is most
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
    # A person of one joint has a box of one pixel.
    found = errors <= alpha * np.maximum(sides, 1)[:, None]
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
    _as_many(y_true, y_pred)
    weight = weights_of(sample_weight, len(y_true))
    errors, sides, weights = [], [], []
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
        sides.append(_sides(people, visible).max(1, initial=0))
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


def frechet_distance(X: Any, other: Any) -> float:
    """Measure how far two sets of rows are apart, as the normal laws of both are [1]_.

    ``|m - m'|² + tr(C + C' - 2 (C C')^½)`` of their means and covariances. Rows are
    features: numbers of like size, standardised columns for example.

    Parameters
    ----------
    X, other : array-like of shape (n_samples, n_features)
        At least two rows each.

    Returns
    -------
    distance : float
        0 for equal means and covariances.

    Raises
    ------
    ValueError
        If the columns of both are not as many.

    References
    ----------
    .. [1] M. Heusel et al. GANs Trained by a Two Time-Scale Update Rule Converge to a
       Local Nash Equilibrium. NIPS 2017.

    Examples
    --------
    >>> from sknets.metrics import frechet_distance
    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    one, two = (np.asarray(rows, dtype=np.float64) for rows in (X, other))
    if one.ndim != 2 or one.shape[1:] != two.shape[1:]:
        shapes = f"as many columns, got shapes {one.shape} and {two.shape}"
        raise ValueError(f"frechet_distance: both must be rows of {shapes}")
    means = [rows.mean(0) for rows in (one, two)]
    covariances = [np.atleast_2d(np.cov(rows.T, bias=True)) for rows in (one, two)]
    # The root's trace by a symmetric matrix of the same eigenvalues.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ covariances[1] @ root)
    traces = np.trace(covariances[0]) + np.trace(covariances[1])
    traces = traces - 2 * np.sqrt(inner.clip(0)).sum()
    return max(0.0, float(((means[0] - means[1]) ** 2).sum() + traces))


def mean_of(figures: np.ndarray) -> float:
    """Return the mean of those that are no NaN, NaN if there are none."""
    there = figures[~np.isnan(figures)]
    return float(there.mean()) if len(there) else float("nan")


__all__ = [
    "accuracy_of",
    "average_precision_by_class",
    "box_iou",
    "dice_of",
    "frechet_distance",
    "iou_of",
    "keypoint_average_precision",
    "matched_errors",
    "mean_average_precision",
    "mean_dice",
    "mean_iou",
    "mean_joint_error",
    "nearest_poses",
    "object_keypoint_similarity",
    "pck",
    "pixel_accuracy",
    "pixel_confusion",
]
