"""Targets with a structure, for `compare`: masks and poses of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknets import metrics

# By task: what y is called, and what tells how good predictions are.
STRUCTURED: dict[str, dict[str, Callable[..., float]]] = {
    "segmentation": {
        "mean_iou": metrics.mean_iou,
        "mean_dice": metrics.mean_dice,
        "pixel_accuracy": metrics.pixel_accuracy,
    },
}


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
        raise ValueError(
            f"compare(task={task!r}): X must be images and y a mask for each, with as "
            "many rows and columns as its image"
        )
    return found


def _guess(X: Any, y: Any) -> str:
    first: Any = y[0] if len(y) and not hasattr(y, "iloc") else None
    if first is None or isinstance(first, dict):
        return ""
    image, mask = np.shape(X[0]), np.shape(first)
    channels_first = image[1:]
    sides = len(mask) >= 2 and mask in (image[: len(mask)], channels_first)
    return "segmentation" if sides else ""


def read_structured(y: Any, task: str) -> tuple[np.ndarray, str]:
    """Return y as an array of objects, one a sample, and what was found."""
    values = np.empty(len(y), dtype=object)
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
