"""How good samples are: by a forest that learns of them, by distance, by modes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from torch import nn

from sknets._engine.device import GeneratorMode
from sknets._warn import warn

_MOST_ROWS, _MOST_MODES = 2000, 20
# A mode that is made less than a fifth as often as it was seen is one that is lost.
_SHARE, _ENOUGH = 0.2, 0.75


class ModeCollapseWarning(UserWarning):
    """The generator makes some kinds of samples only."""


def modes_found(real: np.ndarray, made: np.ndarray) -> tuple[int, int]:
    """Of how many modes of real samples there are made ones, and how many there are.

    The modes are clusters by k-means.

    Parameters
    ----------
    real, made : ndarray of shape (n_samples, n_features)
    """
    n = min(_MOST_MODES, max(1, len(real) // 10))
    means = KMeans(n, n_init=1, random_state=0).fit(real)
    shares = [
        np.bincount(labels, minlength=n) / len(labels)
        for labels in (means.labels_, means.predict(made))
    ]
    return int((shares[1] >= _SHARE * shares[0]).sum()), n


def warn_of_collapse(owner: str, found: int, n: int) -> None:
    if found < _ENOUGH * n:
        warn(
            f"{owner}: mode collapse: only {found} of {n} clusters of X have their "
            "share among the samples that are made: train longer, lower lr, or take "
            "another loss",
            ModeCollapseWarning,
        )


def thinned(rows: Any) -> Any:
    """Every so many-th row, so that they are few."""
    return rows[:: -(-len(rows) // _MOST_ROWS)]


def forest_score(made: np.ndarray, made_y: Any, real: np.ndarray, y: Any) -> float:
    """The accuracy of labels (R² of (n, K) numbers) on real rows of a forest that has
    learned of made ones.
    """
    if made_y.ndim == 1:
        forest: Any = RandomForestClassifier(random_state=0)
    else:
        forest = RandomForestRegressor(random_state=0)
        if made_y.shape[1] == 1:
            made_y, y = made_y[:, 0], y[:, 0]
    return float(forest.fit(made, made_y).score(real, y))


class _FixedFeatures(nn.Module):
    """Convolutions of fixed random weights; the mean of each channel of each layer."""

    def __init__(self, n_channels: int, dims: int):
        super().__init__()
        Conv: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        widths = [n_channels, 16, 32, 64]
        layers = [Conv(n, m, 3, 2, 1) for n, m in itertools.pairwise(widths)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            nn.init.orthogonal_(layer.weight, 2**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, *size) -> (B, 112)
        found = []
        for layer in self.layers:
            x = layer(x).relu()
            found.append(x.flatten(2).mean(2))
        return torch.cat(found, 1)


def image_features(images: np.ndarray) -> np.ndarray:
    """(n, C, *size) as rows of the same features for all who ask."""
    with GeneratorMode(torch.Generator().manual_seed(0)):
        net = _FixedFeatures(images.shape[1], images.ndim - 2)
    with torch.inference_mode():
        parts = torch.from_numpy(images.astype(np.float32)).split(256)
        return torch.cat([net(part) for part in parts]).double().numpy()


__all__ = [
    "ModeCollapseWarning",
    "forest_score",
    "image_features",
    "modes_found",
    "thinned",
    "warn_of_collapse",
]
