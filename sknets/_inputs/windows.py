"""Series as a network reads them: transformed, differenced, cut into windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._inputs.sequences import SequenceData

Function = Callable[[np.ndarray], np.ndarray]

# Name: function, inverse, and what values may be.
TRANSFORMS: dict[str | None, tuple[Function, Function, Function]] = {
    None: (lambda y: y, lambda z: z, lambda y: np.isfinite(y)),
    "sqrt": (np.sqrt, lambda z: np.square(np.maximum(z, 0)), lambda y: y >= 0),
    "log": (np.log, np.exp, lambda y: y > 0),
}


class Differencing:
    """``(1 - B^a)(1 - B^b)... z`` for lags a, b, ..., and the way back.

    Parameters
    ----------
    lags : sequence of int
        Empty leaves the values as they are.

    Attributes
    ----------
    coefficients : ndarray of shape (reach + 1,)
        ``d_t`` is the sum of ``coefficients[j] z_(t-j)``.
    reach : int
        How many values before it a difference needs.
    """

    def __init__(self, lags: tuple[int, ...] | list[int]):
        self.coefficients = np.ones(1)
        for lag in lags:
            factor = np.zeros(lag + 1)
            factor[0], factor[-1] = 1, -1
            self.coefficients = np.convolve(self.coefficients, factor)
        self.reach = len(self.coefficients) - 1

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """(..., T, C) to (..., T - reach, C)."""
        n = z.shape[-2] - self.reach
        parts = [
            c * z[..., self.reach - j : self.reach - j + n, :]
            for j, c in enumerate(self.coefficients)
            if c
        ]
        return sum(parts[1:], parts[0])

    def integrate(self, past: np.ndarray, d: np.ndarray) -> np.ndarray:
        """The values (..., H, C) whose differences after ``past`` are d."""
        z = np.concatenate([past[..., past.shape[-2] - self.reach :, :], d], axis=-2)
        used = [(j, c) for j, c in enumerate(self.coefficients) if c and j]
        for t in range(self.reach, z.shape[-2]):
            for j, c in used:
                z[..., t, :] -= c * z[..., t - j, :]
        return z[..., self.reach :, :]

    def levels(self, d: np.ndarray) -> np.ndarray:
        """How far d (..., H, C) has led from where no difference would have."""
        nothing = np.zeros((*d.shape[:-2], self.reach, d.shape[-1]))
        return self.integrate(nothing, d)

    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        """The differences that lead to levels."""
        nothing = np.zeros((*levels.shape[:-2], self.reach, levels.shape[-1]))
        return self(np.concatenate([nothing, levels], axis=-2))


@dataclass(frozen=True)
class Treatment:
    """How a series is read and forecast; the fields are named as the parameters are.

    Parameters
    ----------
    strategy : {"direct", "recursive"}
    transformation : {"log", "sqrt"} or None
    difference : {"first", "seasonal", "both"} or None
    season : int or None
    window : int

    Attributes
    ----------
    differencing : Differencing
    length : int
        How many values before it a forecast needs.
    """

    strategy: str
    transformation: str | None
    difference: str | None
    season: int | None
    window: int

    @cached_property
    def differencing(self) -> Differencing:
        seasonal = () if self.season is None else (self.season,)
        lags = {None: (), "first": (1,), "seasonal": seasonal, "both": (1, *seasonal)}
        return Differencing(lags[self.difference])

    @property
    def length(self) -> int:
        return self.window + self.differencing.reach

    def transform(self, values: np.ndarray) -> np.ndarray:
        return TRANSFORMS[self.transformation][0](values)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return TRANSFORMS[self.transformation][1](z)

    def differences(self, values: np.ndarray) -> np.ndarray:
        """Of the transformed values (n_times, n_channels): what the network sees."""
        return self.differencing(self.transform(values))

    def rescaling(
        self, old: Sequence[np.ndarray], new: Sequence[np.ndarray], horizon: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Factor and shift, (steps, C), of outputs that say in new units the same.

        Units are the mean and scale of differences, and the scale of targets.
        """
        direct = self.strategy == "direct"
        unit = np.where(new[1] > 0, new[1], 1.0) * new[2]
        each = old[1] * old[2] / unit, (old[0] - new[0]) / unit
        factor, shift = (np.tile(one, (horizon if direct else 1, 1)) for one in each)
        return factor, self.differencing.levels(shift[None])[0] if direct else shift


def check_values(owner: str, history: Any, transformation: str | None) -> None:
    """Refuse values of a `KnownSeries` that cannot be transformed."""
    for i, values in enumerate(history.values):
        if not TRANSFORMS[transformation][2](values).all():
            raise ValueError(
                f"{owner}: {history.name(i)} has values as low as {values.min():g}, of "
                f"which there is no {transformation}: set transformation=None"
            )


def check_lengths(owner: str, history: Any, treatment: Treatment, more: int) -> None:
    """Refuse series that a treatment cannot go on from, with ``more`` values after."""
    check_values(owner, history, treatment.transformation)
    need = treatment.length + more
    for i, values in enumerate(history.values):
        if len(values) < need:
            raise ValueError(
                f"{owner}: {history.name(i)} has {len(values)} values, but a window of "
                f"{treatment.window} with difference={treatment.difference!r} needs at "
                f"least {need}: give more of it or a smaller window"
            )


def moments(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale; where all is the same but for rounding, that and 0."""
    largest = np.abs(d).max(0)
    unit = np.where(largest > 0, largest, 1.0)  # squares of tiny values are 0
    scale = (d / unit).std(0) * unit
    scale = np.where(scale > 1e-12 * largest, scale, 0.0)
    return np.where(scale > 0, d.mean(0), d[-1]), scale


def scaled(d: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """0 where nothing ever changed, and so nothing could be learned."""
    return np.where(scale > 0, (d - mean) / np.where(scale > 0, scale, 1.0), 0.0)


def naive_error(series: list[np.ndarray]) -> np.ndarray:
    """The mean change to the next value, or what there is where nothing changes."""
    steps = [np.abs(np.diff(values, axis=0)) for values in series]
    error = np.concatenate(steps).mean(0)
    size = np.abs(np.concatenate(series)).mean(0)
    return np.where(error > 0, error, np.where(size > 0, size, 1.0))


@dataclass
class Windows:
    """All windows of series, as views of one tensor.

    Parameters
    ----------
    x : tensor of shape (n, steps, n_inputs)
        ``window`` steps, and those after them where the network looks ahead at
        exogenous columns.
    y : tensor of shape (n, n_targets, n_channels)
        NaN where there is nothing to learn.
    late : bool tensor of shape (n, n_targets)
        Which targets are in the last part of their series.
    """

    x: Tensor
    y: Tensor
    late: Tensor

    def samples(self, device, dtype, late: bool | None = None) -> Samples:
        """Those with a target: all, or those before or in the last part."""
        y = self.y
        if late is not None:
            y = y.masked_fill((self.late != late)[:, :, None], torch.nan)
        rows = torch.from_numpy(np.flatnonzero(~y.isnan().flatten(1).all(1).numpy()))
        targets = y.flatten(1).to(device, dtype)
        return Samples(SequenceData(self.x).to(device, dtype), targets, None, rows)


def cut_windows(
    treatment: Treatment,
    differences: list[np.ndarray],
    exogenous: list[np.ndarray] | None,
    horizon: int,
    last_share: float,
) -> Windows:
    """Windows of all series.

    The target of each step of a "recursive" window is the next one, that of a "direct"
    one is the levels of ``horizon`` steps after it.

    Parameters
    ----------
    treatment : Treatment
    differences : list of arrays (n_times, n_channels)
        Centred and scaled.
    exogenous : list of arrays (n_times, n_exogenous) or None
        Of the same times.
    horizon : int
    last_share : float
        The share of each series that counts as its last part.
    """
    window, one_step = treatment.window, treatment.strategy == "recursive"
    n_channels = differences[0].shape[1]
    gap = np.full((horizon, n_channels), np.nan)
    values = np.concatenate([part for d in differences for part in (d, gap)])
    late = np.concatenate(
        [
            np.arange(len(d) + horizon) >= len(d) - np.ceil(len(d) * last_share)
            for d in differences
        ]
    )
    inputs = np.nan_to_num(values)
    ahead = 0
    if exogenous is not None:
        # What is known ahead: each step reads the exogenous values of the next.
        shifted = [np.pad(e[1:], ((0, horizon + 1), (0, 0))) for e in exogenous]
        inputs = np.concatenate([inputs, np.concatenate(shifted)], 1)
        ahead = 0 if one_step else horizon - 1
    first, n_targets = (1, window) if one_step else (window, horizon)
    n = len(values) - window - horizon + 1
    x = as_tensor(inputs).unfold(0, window + ahead, 1)[:n].transpose(1, 2)
    y = as_tensor(values)[first:].unfold(0, n_targets, 1)[:n].transpose(1, 2)
    is_late = torch.from_numpy(late)[first:].unfold(0, n_targets, 1)[:n]
    # A window across a gap reads another series: it is no window.
    across = as_tensor(values)[:, 0].isnan().unfold(0, window, 1)[:n].any(1)
    if not one_step:
        y = as_tensor(treatment.differencing.levels(y.numpy()))
    y = y.masked_fill(across[:, None, None], torch.nan)
    return Windows(x, y, is_late)


__all__ = [
    "TRANSFORMS",
    "Differencing",
    "Treatment",
    "Windows",
    "check_lengths",
    "check_values",
    "cut_windows",
    "moments",
    "naive_error",
    "scaled",
]
