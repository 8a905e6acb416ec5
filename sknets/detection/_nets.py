"""What the networks of detection share: images on a canvas, and maps of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknets._backbones import FeatureMaps
from sknets._inputs import ImageList
from sknets._trunk import Trunk
from sknets.detection._boxes import Found, candidates
from sknets.detection._canvas import on_canvas


class CanvasNet(nn.Module):
    """A network that sees images on a canvas.

    ``loss(x, y)`` gives named parts, (B,) each, for y as `padded_boxes` has it.

    Parameters
    ----------
    trunk : Trunk or FeatureMaps
    prepare : nn.Module
        Standardises the channels.
    canvas : tuple of int
    fill : ndarray of shape (C,)
        What is beyond an image.
    """

    fill: Tensor

    def __init__(
        self,
        trunk: Trunk | FeatureMaps,
        prepare: nn.Module,
        canvas: tuple[int, ...],
        fill: np.ndarray,
    ):
        super().__init__()
        self.trunk, self.prepare, self.canvas = trunk, prepare, tuple(canvas)
        table = torch.as_tensor(np.asarray(fill), dtype=torch.float32)
        self.register_buffer("fill", table, persistent=False)
        self.widths = trunk.widths

    def images(self, x: Any) -> Tensor:
        """(B, C, *canvas), standardised."""
        if isinstance(x, ImageList):
            x = on_canvas(x, self.canvas, self.fill)
        x = x.to(next(self.parameters()).dtype)
        return self.prepare(x).contiguous(memory_format=torch.channels_last)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError


class DetectionNet(CanvasNet):
    """One that finds boxes: ``forward(x)`` gives all of an image, whatever overlaps."""

    def forward(self, x: Any, classes: Any = None) -> list[Found]:
        every = self.every(self.images(x), classes)
        return [candidates(*own) for own in zip(*every)]

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What each cell finds: boxes (B, n, 4), how sure it is that there is one (B,
        n), and, if so, of each class (B, n, K).

        ``classes`` may tell these in another way than the network's own.
        """
        raise NotImplementedError


def places(size: Sequence[int], stride: int, like: Tensor) -> Tensor:
    """(h, w, 2): column and row of each cell of a map, x and y."""
    rows, columns = (
        torch.arange(side // stride, device=like.device, dtype=like.dtype)
        for side in size
    )
    grid = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack(grid[::-1], -1)


__all__ = [
    "CanvasNet",
    "DetectionNet",
    "places",
]
