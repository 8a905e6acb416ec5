"""Images on one canvas: larger ones are made smaller, smaller ones filled up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sknets._inputs import ImageList


def fitted(x: ImageList, size: Sequence[int]) -> tuple[ImageList, np.ndarray]:
    """Images none of which is larger than a canvas, and how much smaller they became.

    Their sides keep their proportion. The same container if all are small enough.
    """
    scales = np.array(
        [min(1.0, *(n / own for n, own in zip(size, sides))) for sides in x.sizes]
    )
    if (scales == 1).all():
        return x, scales
    from torchvision.transforms.v2 import functional

    images = []
    for i, (scale, own) in enumerate(zip(scales, x.sizes)):
        image = x.images[i]
        if scale < 1:
            grid = x.layout.grid(image[None])[0]
            sides = [max(1, round(scale * side)) for side in own]
            smaller = functional.resize(grid, sides, antialias=True)
            image = x.layout.samples(smaller[None])[0]
        images.append(image)
    smaller = ImageList(images, x.layout, x.divisor)
    smaller.device, smaller.dtype = x.device, x.dtype
    return smaller, scales


def on_canvas(x: ImageList, size: Sequence[int], fill: Tensor) -> Tensor:
    """(B, C, *size): each image from the top left on, ``fill`` (C,) beyond it."""
    windows = [x.window(i, (0, 0), own) for i, own in enumerate(x.sizes)]
    if all(own == tuple(size) for own in x.sizes):
        return x.numbers(windows)
    canvas = fill.to(x.device, x.dtype).view(1, -1, 1, 1).repeat(len(x), 1, *size)
    for own, window, (height, width) in zip(canvas, windows, x.sizes):
        own[:, :height, :width] = x.numbers([window])[0]
    return canvas


__all__ = ["fitted", "on_canvas"]
