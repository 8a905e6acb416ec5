"""Classical models of poses: the mean pose, and a linear one of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV

from sknets._comparison.images import FlatPixels

_ALPHAS = tuple(np.logspace(-1, 5, 13))


class DummyPose(BaseEstimator):
    """Finds one person in each image: the mean of all people."""

    is_baseline = True

    def fit(self, X: Any, y: Any) -> DummyPose:
        found = [each["keypoints"] for each in y if len(each["keypoints"])]
        people = np.concatenate(found)
        seen = people[..., -1:] > 0
        total = np.where(seen, people[..., :-1], 0).sum(0)
        self.mean_ = total / np.maximum(seen.sum(0), 1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return as_records(np.repeat(self.mean_[None], len(X), axis=0))


class PixelRidge(BaseEstimator):
    """A ridge regression of the joints of one person on the pixels of a small image."""

    def fit(self, X: Any, y: Any) -> PixelRidge:
        if why := not_one_person(X, y, {}):
            raise ValueError(why)
        self.dummy_ = DummyPose().fit(X, y)
        people = np.stack([each["keypoints"][0] for each in y])
        places = np.where(people[..., -1:] > 0, people[..., :-1], self.dummy_.mean_)
        self.pixels_ = FlatPixels().fit(X)
        rows = self.pixels_.transform(X)
        self.ridge_ = RidgeCV(_ALPHAS).fit(rows, places.reshape(len(places), -1))
        return self

    def predict(self, X: Any) -> np.ndarray:
        found = self.ridge_.predict(self.pixels_.transform(X))
        return as_records(found.reshape(len(found), *self.dummy_.mean_.shape))


def not_one_person(X: Any, y: Any, settings: dict[str, Any]) -> str:
    """Say why a model of one person has nothing to learn from."""
    if all(len(each["keypoints"]) == 1 for each in y):
        return ""
    return "it finds one person an image, and some have not one"


def as_records(places: np.ndarray) -> np.ndarray:
    """Records of one sure pose (joints, dims) an image."""
    records = np.empty(len(places), dtype=object)
    for i, pose in enumerate(places):
        sure = np.insert(pose, pose.shape[1], 1.0, axis=1)
        records[i] = {"keypoints": sure[None], "scores": np.ones(1)}
    return records


__all__ = ["DummyPose", "PixelRidge", "not_one_person"]
