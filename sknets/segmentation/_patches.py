"""Windows of images and masks: random ones to train on, tiles to predict by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknets._in_images import ImageAugment
from sknets._inputs import ImageList

AUGMENTATIONS = ("flip", "turn", "brightness")


class PatchAugment(ImageAugment):
    """A random window of each image and its mask, both changed in one way.

    Parameters
    ----------
    size : tuple of int
        Of the windows; smaller images, and their masks, are mirrored at their edges.
    kinds : list of str and callables
        See `sknets.UNetSegmenter`.
    scale : ndarray of shape (C,)
        The standard deviations of the channels.
    """

    def __init__(self, size: tuple[int, ...], kinds: list[Any], scale: np.ndarray):
        super().__init__(kinds, scale)
        self.size = size

    def forward(self, x: ImageList, y: Any) -> tuple[Tensor, Any]:
        several = isinstance(y, tuple)
        parts = (x, *(y if several else (y,)))
        draws = self.uniform(len(x), 3 + len(self.size)).cpu()
        windows: list[list[Tensor]] = [[] for _ in parts]
        for i, (own, draw) in enumerate(zip(x.sizes, draws.tolist())):
            room = [max(0, side - n) for side, n in zip(own, self.size)]
            start = [int(u * (free + 1)) for u, free in zip(draw, room)]
            change = self._moves(draw[len(self.size) :])
            for part, found in zip(parts, windows):
                found.append(change(part.window(i, start, self.size)))
        grids = [part.numbers(found) for part, found in zip(parts, windows)]
        if "brightness" in self.kinds:
            grids[0] = self.brightness(grids[0])
        for kind in self.kinds:
            if callable(kind):
                grids = self._each(kind, grids)
        image, *masks = grids
        return image, tuple(masks) if several else masks[0]

    def _moves(self, draw: Sequence[float]) -> Callable[[Tensor], Tensor]:
        """The flips and quarter turns of a window, as numbers within [0, 1) say."""
        square = self.size[-1] == self.size[-2]
        turns = int(4 * draw[0]) if square else 2 * int(2 * draw[0])
        flips = [-1] * (draw[1] < 0.5) * ("flip" in self.kinds)
        if len(self.size) == 3 and "turn" in self.kinds:  # a volume has no upside
            flips += [-3] * (draw[2] < 0.5)

        def change(window: Tensor) -> Tensor:
            if turns and "turn" in self.kinds:
                window = window.rot90(turns, (-2, -1))
            return window.flip(flips) if flips else window

        return change

    def _each(self, function: Any, grids: list[Tensor]) -> list[Tensor]:
        """A function of one image and its mask, such as torchvision's v2 transforms."""
        from torchvision import tv_tensors

        device, image, *masks = grids[0].device, *grids
        rows = []
        with self.drawing_on_cpu():
            for i in range(len(image)):
                mask = torch.cat([part[i].cpu() for part in masks])
                own = tv_tensors.Image(image[i].cpu()), tv_tensors.Mask(mask)
                found, moved = function(*own)
                if found.shape != own[0].shape or moved.shape != own[1].shape:
                    raise ValueError(
                        f"augment={function!r:.60} must return an image and a mask of "
                        f"the shapes that it is given, {tuple(own[0].shape)} and "
                        f"{tuple(own[1].shape)}, and returned {tuple(found.shape)} and "
                        f"{tuple(moved.shape)}"
                    )
                rows.append((torch.as_tensor(found), torch.as_tensor(moved)))
        images, moved = (torch.stack(each).to(device) for each in zip(*rows))
        cut = moved.split(1, 1)
        return [images, *(part.to(own) for part, own in zip(cut, masks))]


__all__ = ["AUGMENTATIONS", "PatchAugment"]
