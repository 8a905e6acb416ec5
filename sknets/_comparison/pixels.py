"""Classical models of masks: a class for each pixel by what is around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state

from sknets._inputs import ImageList, UnequalImages
from sknets._inputs.masks import Masks

SCALES = (1, 2, 4, 8, 16)  # pixels


class DummySegmenter(BaseEstimator):
    """Takes each pixel for the most frequent class."""

    is_baseline = True

    def fit(self, X: Any, y: Any) -> DummySegmenter:
        _, codes = _read(self, X, y)
        n = len(self.classes_)
        counts = [np.bincount(each.numpy().ravel(), minlength=n) for each in codes]
        self.most_ = self.classes_[np.sum(counts, 0).argmax()]
        return self

    def predict(self, X: Any) -> np.ndarray:
        return _masks(
            [np.full(size, self.most_) for size in self.reader_.read(X).sizes]
        )


class PixelForest(BaseEstimator):
    """A random forest on what each pixel is and has around it, at five scales.

    At each scale, of each channel: the smoothed value, the length of the gradient, the
    largest and the smallest curvature, and the local deviation.

    Parameters
    ----------
    n_estimators : int, default=50
        Trees.
    max_pixels : int, default=50,000
        How many pixels, drawn at random from all masks, are learned from.
    random_state : int, RandomState or None, default=None
    """

    def __init__(
        self,
        n_estimators: int = 50,
        max_pixels: int = 50_000,
        random_state: Any = None,
    ):
        self.n_estimators, self.max_pixels = n_estimators, max_pixels
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> PixelForest:
        random = check_random_state(self.random_state)
        x, codes = _read(self, X, y)
        total = sum(each.numel() for each in codes)
        share = min(1.0, self.max_pixels / total)
        rows, labels = [], []
        for i, code in enumerate(codes):
            kept = random.random_sample(code.numel()) < share
            rows.append(surroundings(x, i)[kept])
            labels.append(code.numpy().ravel()[kept])
        forest = RandomForestClassifier(
            self.n_estimators, min_samples_leaf=5, random_state=random
        )
        self.forest_ = forest.fit(np.concatenate(rows), np.concatenate(labels))
        return self

    def predict(self, X: Any) -> np.ndarray:
        x = self.reader_.read(X)
        found = (self.forest_.predict(surroundings(x, i)) for i in range(len(x)))
        return _masks([self.classes_[c].reshape(s) for c, s in zip(found, x.sizes)])


def surroundings(x: ImageList, i: int) -> np.ndarray:
    """(pixels, 25 channels): what is around each pixel of an image."""
    size = x.sizes[i]
    image = x.numbers([x.window(i, [0] * len(size), size)])[0].numpy()
    columns = []
    for channel in image:
        for scale in SCALES:
            smooth = ndimage.gaussian_filter(channel, scale)
            slopes = np.gradient(smooth) if min(size) > 1 else [smooth] * len(size)
            curves = [np.gradient(s) if min(size) > 1 else slopes for s in slopes]
            hessian = np.stack([np.stack(c, -1) for c in curves], -1)
            curvatures = np.linalg.eigvalsh(hessian)
            square = ndimage.gaussian_filter(channel**2, scale) - smooth**2
            columns += [
                smooth,
                np.sqrt(sum(slope**2 for slope in slopes)),
                curvatures[..., -1],
                curvatures[..., 0],
                np.sqrt(square.clip(min=0)),
            ]
    return np.stack([column.ravel() for column in columns], 1)


def _read(estimator: Any, X: Any, y: Any) -> tuple[ImageList, list[Any]]:
    """Images and the numbers of the classes of their pixels; learns both readers."""
    estimator.reader_ = UnequalImages.of(estimator)
    x = estimator.reader_.learn(X)
    masks = Masks.of(estimator, spatial_dims=estimator.reader_.spatial_dims_)
    codes = masks.learn(y)
    estimator.classes_ = masks.classes_
    return x, codes.images


def _masks(found: list[np.ndarray]) -> np.ndarray:
    masks = np.empty(len(found), dtype=object)
    for i, mask in enumerate(found):
        masks[i] = mask
    return masks


__all__ = ["DummySegmenter", "PixelForest", "surroundings"]
