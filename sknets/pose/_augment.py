"""Changes of images that keypoints follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknets._in_images import ImageAugment, warped
from sknets._inputs import ImageList
from sknets.pose._net import on_canvas

AUGMENTATIONS = ("flip", "rotate", "scale", "shift", "brightness")
_MOVES = {"flip", "rotate", "scale", "shift"}
_SCALES = 0.75, 4 / 3


class PoseAugment(ImageAugment):
    """Images on one canvas and their keypoints, each pair changed at random.

    Parameters
    ----------
    size : tuple of int
        Of the canvas: (height, width).
    kinds : list of str and callables
        See `sknets.PoseEstimator`.
    swap : int64 ndarray of shape (joints,)
        The joint that each becomes in a mirror image.
    scale : ndarray of shape (C,)
        The standard deviations of the channels.
    """

    def __init__(
        self, size: tuple[int, ...], kinds: list[Any], swap: Any, scale: np.ndarray
    ):
        super().__init__(kinds, scale)
        self.size, self.swap = size, torch.as_tensor(swap)

    def forward(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        if _MOVES & {kind for kind in self.kinds if isinstance(kind, str)}:
            images, y = self._moved(x, y)
        else:
            images = on_canvas(x, self.size)
        if "brightness" in self.kinds:
            images = self.brightness(images)
        for kind in self.kinds:
            if callable(kind):
                images, y = self._each(kind, images, y)
        return images, y

    def _moved(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        """Turned about the middle of the people, and put elsewhere with them."""
        draws, kinds = self.uniform(len(x), 5).double().cpu(), self.kinds
        size = torch.tensor(self.size[::-1], dtype=torch.float64)  # width, height
        images, targets = [], []
        for i, draw in enumerate(draws):
            side = torch.tensor(x.sizes[i][::-1], dtype=torch.float64)
            known = y[i].to("cpu", torch.float64)
            places = known[..., :2][known[..., -1] > 0]
            middle = (side - 1) / 2
            if len(places) and "shift" in kinds:
                middle = (places.amin(0) + places.amax(0)) / 2
            angle = 2 * math.pi * draw[0] if "rotate" in kinds else draw[0] * 0
            low, high = map(math.log, _SCALES)
            factor = torch.exp(low + (high - low) * draw[1] * ("scale" in kinds))
            factor = factor if "scale" in kinds else draw[0] * 0 + 1
            flip = "flip" in kinds and bool(draw[2] < 0.5)
            sine, cosine = angle.sin(), angle.cos()
            turn = torch.stack([cosine, -sine, sine, cosine]).view(2, 2) * factor
            if flip:
                turn = turn * torch.tensor([-1.0, 1.0], dtype=torch.float64)
            shift = self._shift((places - middle) @ turn.T, middle, size, draw[3:])
            images.append(warped(x, i, self.size, turn, middle, shift))
            moved = known.clone()
            moved[..., :2] = (known[..., :2] - middle) @ turn.T + shift
            if known.shape[-1] == 4:  # a larger person is deeper, too
                moved[..., 2] *= factor
            if flip:
                moved = moved[:, self.swap]
            place = moved[..., :2]
            inside = ((place >= -0.5) & (place <= size - 0.5)).all(-1)
            moved[~inside] = torch.nan
            moved[..., -1] = torch.where(inside, moved[..., -1], 0.0)
            targets.append(moved)
        return torch.cat(images), torch.stack(targets).to(y)

    def _shift(
        self, places: Tensor, middle: Tensor, size: Tensor, draw: Tensor
    ) -> Tensor:
        """Where the middle comes to be: with people, anywhere that keeps them whole."""
        if "shift" not in self.kinds:
            return (size - 1) / 2
        if not len(places):
            return (size - 1) / 2 + (draw - 0.5) * size / 2
        ends = torch.stack([-places.amin(0), size - 1 - places.amax(0)])
        low, high = ends.amin(0), ends.amax(0)
        return low + (high - low) * draw

    def _each(self, function: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A function of one image (C, H, W) and its keypoints (people, joints, ...)."""
        images, targets = [], []
        with self.drawing_on_cpu():
            for image, keypoints in zip(x.cpu(), y.cpu()):
                found = function(image, keypoints)
                if not (
                    isinstance(found, tuple | list)
                    and [np.shape(part) for part in found]
                    == [tuple(image.shape), tuple(keypoints.shape)]
                ):
                    raise ValueError(
                        f"augment={function!r:.60} must return an image and keypoints "
                        f"of the shapes that it is given, {tuple(image.shape)} and "
                        f"{tuple(keypoints.shape)}"
                    )
                images.append(torch.as_tensor(found[0]))
                targets.append(torch.as_tensor(found[1]))
        return torch.stack(images).to(x), torch.stack(targets).to(y)


__all__ = ["AUGMENTATIONS", "PoseAugment"]
