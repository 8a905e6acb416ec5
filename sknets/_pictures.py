"""Images side by side, for the displays of what is found in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def pyplot() -> Any:
    """matplotlib's pyplot; raises ImportError with what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plotting needs matplotlib, which is not installed: pip install "
            '"sknets[plot]"'
        ) from None
    return plt


def axes_for(n: int, ax: Any, who: str) -> np.ndarray:
    """n axes without frames: those that are given, or of a new figure, four a row."""
    plt = pyplot()
    if ax is None:
        columns = max(1, min(n, 4))
        rows = max(1, math.ceil(n / columns))
        size = 3 * columns, 3 * rows
        figure, ax = plt.subplots(rows, columns, figsize=size, squeeze=False)
        figure.tight_layout(pad=0.3)
    axes = np.ravel(ax)
    if len(axes) < n:
        raise ValueError(f"{who}: {n} images need as many axes as ax")
    for each in axes:
        each.set_axis_off()
    return axes[:n]


def as_rgb(image: Any) -> np.ndarray:
    """(height, width, 3) of floats within [0, 1]."""
    image = np.asarray(image)
    shown = image.astype(float)
    if image.dtype == np.uint8:
        shown /= 255
    elif shown.size and (shown.min() < 0 or shown.max() > 1):
        low, high = shown.min(), shown.max()
        shown = (shown - low) / ((high - low) or 1)
    if shown.ndim == 2:
        shown = shown[..., None]
    if shown.shape[-1] not in (3, 4):
        shown = shown[..., :1].repeat(3, -1)
    return shown[..., :3].copy()


def channels_last(images: Any, channel_axis: int | None) -> list[np.ndarray]:
    """Images with their channels, if they have some, in the last axis."""
    arrays = [np.asarray(image) for image in images]
    if channel_axis != 0:
        return arrays
    return [np.moveaxis(image, 0, -1) for image in arrays]


__all__ = ["as_rgb", "axes_for", "channels_last", "pyplot"]
