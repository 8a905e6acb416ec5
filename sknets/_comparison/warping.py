"""What sequences are classified by: random kernels, and the nearest by warped time."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sknets._inputs import Sequences
from sknets._params import Declared, param

_KERNEL, _DILATIONS = 9, 32
# All kernels of nine weights, three of them 2 and the others -1.
_PLACES = list(combinations(range(_KERNEL), 3))
# So many numbers are worked on at once.
_CHUNK = 2**22
# So many steps matched take about a minute.
_MOST_CELLS = 4e10


class _EqualSteps(Declared, BaseEstimator):
    """Sequences as an array (n_samples, n_channels, n_steps), of the fit's length.

    Those of another length are interpolated to it.
    """

    def _learn(self, X: Any) -> torch.Tensor:
        self.reader_ = Sequences.of(self)
        steps = self.reader_.learn(X)
        self.n_steps_ = max(_KERNEL, int(steps.counts.max()))
        x = self._equal(steps)
        self.mean_ = x.mean((0, 2), keepdim=True)
        scale = x.std((0, 2), keepdim=True, correction=0)
        self.scale_ = torch.where(scale > 0, scale, 1.0)
        return (x - self.mean_) / self.scale_

    def _read(self, X: Any) -> torch.Tensor:
        check_is_fitted(self, "reader_")
        return (self._equal(self.reader_.read(X)) - self.mean_) / self.scale_

    def _equal(self, steps: Any) -> torch.Tensor:
        values = steps.values.double().flatten(0, -2)
        parts = values.split(steps.counts.tolist())
        n = self.n_steps_
        same = [
            p.T
            if len(p) == n
            else F.interpolate(p.T[None], n, mode="linear", align_corners=True)[0]
            for p in parts
        ]
        return torch.stack(same).float()


class MiniRocket(TransformerMixin, _EqualSteps):
    """Shares of positive outputs of 84 dilated kernels, at about 10,000 thresholds.

    Of several channels each kernel sees some, drawn at random. See A. Dempster, D. F.
    Schmidt and G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform
    for Time Series Classification", KDD 2021. Departures: channels are scaled, and
    sequences of unequal length interpolated to the longest.
    """

    n_features: int = param(default=10_000, at_least=84)
    random_state: Any = param(default=None)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw thresholds from outputs for some of the sequences."""
        x, random = self._learn(X), check_random_state(self.random_state)
        n, n_channels, n_steps = x.shape
        each = self.n_features // len(_PLACES)
        most = min(each, _DILATIONS)
        exponents = np.linspace(0, math.log2((n_steps - 1) / (_KERNEL - 1)), most)
        dilations, counts = np.unique((2**exponents).astype(int), return_counts=True)
        counts = (counts * (each / most)).astype(int)
        counts[: each - counts.sum()] += 1
        golden = np.arange(1, len(_PLACES) * each + 1) * (1 + math.sqrt(5)) / 2 % 1
        weights = torch.full((len(_PLACES), 1, _KERNEL), -1.0)
        for kernel, places in zip(weights, _PLACES):
            kernel[0, list(places)] = 2.0
        self.layers_ = []
        for dilation, count in zip(dilations.tolist(), counts.tolist()):
            seen = torch.from_numpy(_some_channels(n_channels, random)).float()
            kernels = weights * seen[:, :, None]
            chosen = x[random.randint(n, size=len(_PLACES))]
            # Each kernel's output for a sequence of its own.
            out = F.conv1d(
                chosen.flatten(0, 1)[None],
                kernels,
                padding=4 * dilation,
                dilation=dilation,
                groups=len(_PLACES),
            )[0]
            at, golden = np.split(golden, [len(_PLACES) * count])
            thresholds = [
                np.quantile(o, q) for o, q in zip(out.numpy(), at.reshape(-1, count))
            ]
            biases = torch.from_numpy(np.array(thresholds)).float()
            self.layers_.append((dilation, kernels, biases))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (n_samples, about n_features) shares."""
        x = self._read(X)
        size = max(1, _CHUNK // (len(_PLACES) * x.shape[2]))
        return torch.cat([self._shares(part) for part in x.split(size)]).numpy()

    def _shares(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for i, (dilation, kernels, biases) in enumerate(self.layers_):
            pad = 4 * dilation
            out = F.conv1d(x, kernels, padding=pad, dilation=dilation)
            # Every second kernel sees nothing but whole windows.
            for parity, part in ((0, out), (1, out[:, :, pad:-pad])):
                own = slice((parity - i) % 2, None, 2)
                outputs = part[:, own]
                shares = [
                    (outputs > bias[:, None]).float().mean(2) for bias in biases[own].T
                ]
                found.append(torch.cat(shares, 1))
        return torch.cat(found, 1)


def _some_channels(n_channels: int, random: Any) -> np.ndarray:
    """Which channels each kernel sees, (n_kernels, n_channels)."""
    seen = np.zeros((len(_PLACES), n_channels))
    most = math.log2(min(n_channels, _KERNEL) + 1)
    for row in seen:
        n = max(1, int(2 ** random.uniform(0, most)))
        row[random.permutation(n_channels)[:n]] = 1
    return seen


class _NearestWarped(_EqualSteps):
    """The nearest known sequence by dynamic time warping within a band.

    Parameters
    ----------
    band : float
        How far a step may be matched, as a share of the length.
    """

    band: float = param(default=0.1, at_least=0, at_most=1)

    def fit(self, X: Any, y: Any) -> Self:
        """Keep the sequences."""
        self.known_, self.y_ = self._learn(X), np.asarray(y)
        if isinstance(self, ClassifierMixin):
            self.classes_ = np.unique(self.y_)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return what belongs to the nearest."""
        x, known = self._read(X), self.known_
        reach = int(self.band * self.n_steps_)
        size = max(1, _CHUNK // 4 // (len(known) * self.n_steps_))
        parts = [warped(part, known, reach).argmin(1) for part in x.split(size)]
        return self.y_[torch.cat(parts).numpy()]


def warped(x: torch.Tensor, y: torch.Tensor, reach: int) -> torch.Tensor:
    """Squared distances (n, m) of sequences (n, C, T) and (m, C, T) by warping.

    Parameters
    ----------
    x, y : tensors
    reach : int
        How many steps apart what is matched may be.
    """
    length = x.shape[2]
    x, y = x.permute(1, 2, 0)[..., None], y.permute(1, 2, 0)[:, :, None]
    # Costs of paths that end on an antidiagonal, by 1 + the step of x.
    shape = (length + 1, x.shape[2], y.shape[3])
    before, last, now = (torch.full(shape, math.inf) for _ in range(3))
    before[0] = 0.0
    for diagonal in range(2 * length - 1):
        low = max(0, diagonal - length + 1, math.ceil((diagonal - reach) / 2))
        high = min(length - 1, diagonal, (diagonal + reach) // 2)
        i, here = slice(low, high + 1), slice(low + 1, high + 2)
        j = torch.arange(diagonal - low, diagonal - high - 1, -1)
        best = torch.minimum(before[i], last[i])
        best = torch.minimum(best, last[here], out=best)
        for a, b in zip(x, y[:, j]):
            best += (a[i] - b).square_()
        now[here] = best
        # What the next two look at beside it.
        now[low] = math.inf
        now[high + 2 : high + 3] = math.inf
        before, last, now = last, now, before
    return last[length]


def warping_takes_long(X: Any, y: Any, settings: dict[str, Any]) -> str:
    """Say why a cross-validation of the nearest by warping takes minutes."""
    length = max(map(len, X))
    cells = len(X) ** 2 * length * (2 * length // 10 + 1)
    if cells <= _MOST_CELLS:
        return ""
    return (
        f"{len(X):,} sequences of {length:,} steps would be compared with each other; "
        "name it to run it"
    )


class NearestWarpedClassifier(ClassifierMixin, _NearestWarped):
    """The class of the nearest sequence by dynamic time warping."""


class NearestWarpedRegressor(RegressorMixin, _NearestWarped):
    """The number of the nearest sequence by dynamic time warping."""


__all__ = [
    "MiniRocket",
    "NearestWarpedClassifier",
    "NearestWarpedRegressor",
    "warped",
    "warping_takes_long",
]
