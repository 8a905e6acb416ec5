"""Classical models of boxes: what stands out of the background, and a forest on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier

from sknets._inputs import ImageList, UnequalImages
from sknets._inputs.boxes import Boxes
from sknets.metrics import box_iou

_SIDE = 12  # pixels of the patches that are classified
_LEAST = 9  # pixels of what stands out


class DummyDetector(BaseEstimator):
    """Finds the mean box of the most frequent label in each image."""

    is_baseline = True

    def fit(self, X: Any, y: Any) -> DummyDetector:
        rows = np.concatenate(Boxes.of(self).learn(y))
        labels = np.concatenate([np.asarray(each["labels"]) for each in y])
        names, counts = np.unique(labels, return_counts=True)
        self.label_ = names[counts.argmax()]
        self.box_ = rows[labels == self.label_, :4].mean(0)
        return self

    def predict(self, X: Any) -> np.ndarray:
        found = np.empty(len(X), dtype=object)
        for i in range(len(X)):
            found[i] = _record(self.box_[None], np.array([self.label_]), np.ones(1))
        return found


class BlobForest(BaseEstimator):
    """A random forest on what stands out of an image, brighter or darker, as a box.

    What is apart by Otsu's threshold of an image, smoothed or not, is a candidate: its
    patch, size and place are classified, as one of the labels or background.

    Parameters
    ----------
    n_estimators : int, default=100
        Trees.
    random_state : int, RandomState or None, default=None
    """

    def __init__(self, n_estimators: int = 100, random_state: Any = None):
        self.n_estimators, self.random_state = n_estimators, random_state

    def fit(self, X: Any, y: Any) -> BlobForest:
        self.reader_ = UnequalImages.of(self)
        x, reader = self.reader_.learn(X), Boxes.of(self)
        rows = reader.learn(y)
        self.classes_, n = reader.classes_, len(reader.classes_)
        features, codes = [], []
        for i, own in enumerate(rows):
            boxes, values = blobs(x, i)
            # Boxes themselves are examples too: a forest sees each label.
            boxes = np.concatenate([boxes, own[:, :4]])
            iou = box_iou(boxes, own[:, :4]) if len(own) else np.zeros((len(boxes), 1))
            best = own[iou.argmax(1), 4] if len(own) else np.full(len(boxes), n)
            codes.append(np.where(iou.max(1) >= 0.5, best, n))
            features.append(patches(values, boxes))
        forest = RandomForestClassifier(
            self.n_estimators, min_samples_leaf=2, random_state=self.random_state
        )
        self.forest_ = forest.fit(np.concatenate(features), np.concatenate(codes))
        return self

    def predict(self, X: Any) -> np.ndarray:
        x, n = self.reader_.read(X), len(self.classes_)
        found = np.empty(len(x), dtype=object)
        for i in range(len(x)):
            boxes, values = blobs(x, i)
            p = np.zeros((len(boxes), n + 1))
            if len(boxes):
                known = self.forest_.classes_.astype(int)
                p[:, known] = self.forest_.predict_proba(patches(values, boxes))
            best = p[:, :n].argmax(1)
            scores = p[np.arange(len(boxes)), best]
            kept = without_doubles(boxes, scores)
            found[i] = _record(boxes[kept], self.classes_[best[kept]], scores[kept])
        return found


def blobs(x: ImageList, i: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes (k, 4) of what stands out of an image, and its channels (C, h, w)."""
    values = x.numbers([x.window(i, (0, 0), x.sizes[i])])[0].double().numpy()
    grey, boxes = values.mean(0), []
    for scale in (0.0, 1.0, 2.0):
        smooth = ndimage.gaussian_filter(grey, scale) if scale else grey
        level = otsu(smooth)
        for there in (smooth > level, smooth <= level):
            places, _ = ndimage.label(there)
            sizes = np.bincount(places.ravel())[1:]
            for slices, size in zip(ndimage.find_objects(places), sizes):
                if size >= _LEAST and size < 0.9 * grey.size:
                    rows, columns = slices
                    boxes.append((columns.start, rows.start, columns.stop, rows.stop))
    found = np.unique(np.array(boxes, float).reshape(-1, 4), axis=0)
    return found, values


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two groups that are most unlike."""
    counts, edges = np.histogram(values, 64)
    middles = (edges[1:] + edges[:-1]) / 2
    below = counts.cumsum()
    above = counts.sum() - below
    sums = (counts * middles).cumsum()
    low = sums / np.maximum(below, 1)
    high = (sums[-1] - sums) / np.maximum(above, 1)
    return float(edges[1 + (below * above * (low - high) ** 2).argmax()])


def patches(values: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(k, features): what is in each box, as a small picture, and its size."""
    rows = []
    for left, top, right, bottom in boxes:
        steps = (np.arange(_SIDE) + 0.5) / _SIDE
        down, across = top + (bottom - top) * steps - 0.5, left + (right - left) * steps
        grid = np.stack(np.meshgrid(down, across - 0.5, indexing="ij"))
        picture = [
            ndimage.map_coordinates(channel, grid, order=1, mode="nearest")
            for channel in values
        ]
        size = [right - left, bottom - top]
        rows.append(np.concatenate([np.ravel(picture), size]))
    return np.array(rows).reshape(len(boxes), -1)


def without_doubles(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The numbers of the best boxes of those that share more than half, best first."""
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if not kept or box_iou(boxes[k], boxes[kept]).max() <= 0.5:
            kept.append(int(k))
    return np.array(kept, int)


def _record(boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> dict:
    return {"boxes": boxes, "labels": labels, "scores": scores}


__all__ = ["BlobForest", "DummyDetector", "blobs", "otsu", "patches", "without_doubles"]
