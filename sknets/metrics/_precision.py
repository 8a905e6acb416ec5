"""Precision at each recall."""

from __future__ import annotations

import numpy as np


class Precision:
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


__all__ = ["Precision"]
