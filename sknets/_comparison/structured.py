"""Targets with a structure, for `compare`: masks, poses and boxes; texts of texts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sknets import metrics
from sknets._comparison.target import MAX_LABELS
from sknets._inputs.boxes import Boxes
from sknets._inputs.keypoints import Keypoints
from sknets._inputs.sentences import Sentences
from sknets.sequence_to_sequence._scores import error_rates, text_scores


def _heard(name: str, true: Any, found: Any) -> float:
    figures = error_rates(true, found)
    return figures[name] if name == "exact" else 1 - figures[name]


def _text_score(name: str, true: Any, found: Any) -> float:
    return text_scores(true, found)[name]


_TEXT_SCORES: Any = {
    name: partial(_text_score, name) for name in ("bleu", "chrf", "exact")
}


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
    "captioning": _TEXT_SCORES,
    "translation": _TEXT_SCORES,
    "speech recognition": {
        "word_accuracy": partial(_heard, "wer"),
        "character_accuracy": partial(_heard, "cer"),
        "exact": partial(_heard, "exact"),
    },
}
_WISH = {
    "segmentation": "images and y a mask for each, with as many rows and columns",
    "object detection": 'images and y records {"boxes": (k, 4), "labels": (k,)}',
    "pose estimation": 'images and y records {"keypoints": (people, joints, 3)}',
    "captioning": "images and y a text for each",
    "translation": "texts and y a text for each",
    "speech recognition": "waveforms and y a text for each",
}


# What is written of each kind of X.
_WRITTEN = {
    "images": "captioning",
    "text": "translation",
    "sequences": "speech recognition",
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
    found = ""
    if kind in _WRITTEN and _are_texts(y, certain=task == "auto"):
        found = _WRITTEN[kind]
    elif kind == "images" and y is not None:
        found = _guess(X, y)
    if task in STRUCTURED and found != task:
        raise ValueError(f"compare(task={task!r}): X must be {_WISH[task]}")
    return found


def _are_texts(y: Any, certain: bool) -> bool:
    """Whether y is a text a sample; if it has to be certain, no names of classes."""
    values = [*y] if y is not None else []
    if not values or not all(isinstance(value, str | list | tuple) for value in values):
        return False
    distinct = len(
        {value if isinstance(value, str) else tuple(value) for value in values}
    )
    return not certain or distinct > max(MAX_LABELS, len(values) // 2)


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
    if task in _WRITTEN.values():
        sentences = Sentences.of(_Compare())
        sentences.refuse_empty(y)
        values[:] = sentences.texts(y)
        return values, f"{task}, a text for each"
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
