"""Targets with a structure, for `compare`: masks of images, poses and boxes in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sknets import metrics
from sknets._inputs.boxes import Boxes
from sknets._inputs.keypoints import Keypoints

# By task: what y is called, and what tells how good predictions are.
STRUCTURED: dict[str, dict[str, Callable[..., float]]] = {
    "segmentation": {
        "mean_iou": metrics.mean_iou,
        "mean_dice": metrics.mean_dice,
        "pixel_accuracy": metrics.pixel_accuracy,
    },
    "object detection": {
        "average_precision": metrics.mean_average_precision,
        "ap50": partial(metrics.mean_average_precision, thresholds=[0.5]),
    },
    "pose estimation": {
        "average_precision": metrics.keypoint_average_precision,
        "pck": metrics.pck,
    },
}
_WISH = {
    "segmentation": "y a mask for each, with as many rows and columns as its image",
    "object detection": 'y for each a record {"boxes": (k, 4), "labels": (k,)}',
    "pose estimation": 'y for each a record {"keypoints": (people, joints, 3)}',
}


class _Compare:
    """Who reads: errors name it."""


_Compare.__name__ = "compare"


def structured_task(X: Any, y: Any, kind: str, task: str) -> str:
    """Return the task that such a y is for; empty if it is one value or row a sample.

    Raises
    ------
    ValueError
        If a structured task is asked for and y, or X, is not of it.
    """
    if task not in ("auto", *STRUCTURED):
        return ""
    found = _guess(X, y) if kind == "images" and y is not None else ""
    if task in STRUCTURED and found != task:
        raise ValueError(f"compare(task={task!r}): X must be images and {_WISH[task]}")
    return found


def _guess(X: Any, y: Any) -> str:
    first: Any = y[0] if len(y) and not hasattr(y, "iloc") else None
    if isinstance(first, dict):
        for name, task in (
            ("keypoints", "pose estimation"),
            ("boxes", "object detection"),
        ):
            if name in first:
                return task
        return ""
    if first is None:
        return ""
    image, one = np.shape(X[0]), np.shape(first)
    channels_first = image[1:]
    if len(one) >= 2 and one in (image[: len(one)], channels_first):
        return "segmentation"
    return "pose estimation" if len(one) == 2 and 2 <= one[1] <= 4 else ""


def read_structured(y: Any, task: str) -> tuple[np.ndarray, str]:
    """Return y as an array of objects, one a sample, and what was found."""
    values = np.empty(len(y), dtype=object)
    if task == "pose estimation":
        reader = Keypoints.of(_Compare())
        people = reader.learn(y)
        for i, own in enumerate(people):
            values[i] = {"keypoints": own}
        most = f"up to {reader.most_} an image" if reader.most_ > 1 else "one an image"
        return values, f"pose estimation, {reader.n_joints_} joints, {most}"
    if task == "object detection":
        boxes = Boxes.of(_Compare())
        for i, (own, given) in enumerate(zip(boxes.learn(y), y)):
            values[i] = {"boxes": own[:, :4], "labels": np.asarray(given["labels"])}
        n, many = len(boxes.classes_), max(len(each["labels"]) for each in values)
        return values, f"object detection, {n} classes, up to {many} boxes an image"
    for i, item in enumerate(y):
        values[i] = np.asarray(item)
    classes = np.unique(np.concatenate([np.unique(mask) for mask in values]))
    return values, f"segmentation, masks of {len(classes)} classes"


def structured_scorer(score: Callable[..., float]) -> Callable[..., float]:
    """A scorer of predictions, by a function of the truth and them."""

    def scorer(measured: Any, X: Any, y: Any) -> float:
        return score(y, measured.predict(X))

    return scorer


__all__ = ["STRUCTURED", "read_structured", "structured_scorer", "structured_task"]
