"""YOLO 1's network: dense layers fill a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import Dropout
from sknets._trunk import convolution
from sknets.detection._boxes import areas, cornered, paired_iou
from sknets.detection._nets import DetectionNet, places

_COORDINATES, _EMPTY = 5.0, 0.5  # the paper's lambdas


class YOLO1Net(DetectionNet):
    """YOLO 1: dense layers, which see all of the image, fill a grid.

    A cell says where each of its boxes is and how sure it is of it, and what is in the
    cell: once, for all of its boxes.

    Parameters
    ----------
    parts : as of `DetectionNet`
    stride : int
        The side of a cell, in pixels.
    n_boxes : int
        Boxes a cell.
    n_classes : int
    n_units : int
        Of the dense layer.
    dropout : float
    """

    def __init__(
        self,
        parts: Sequence[Any],
        stride: int,
        n_boxes: int,
        n_classes: int,
        n_units: int,
        dropout: float,
    ):
        super().__init__(*parts)
        self.stride, self.n_boxes = stride, n_boxes
        self.size = [side // stride for side in self.canvas]
        width = self.widths[stride]
        narrow, n_cells = max(1, width // 2), int(np.prod(self.size))
        self.dense = nn.Sequential(
            convolution(width, narrow),
            nn.Flatten(),
            nn.Linear(narrow * n_cells, n_units),
            nn.LeakyReLU(0.1),
            Dropout(dropout),
            nn.Linear(n_units, n_cells * (5 * n_boxes + n_classes)),
        )
        self.to(memory_format=torch.channels_last)

    def cells_of(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, h, w, boxes, 5): middle within the cell, roots of the sizes as shares of
        the image, and how sure; and classes (B, h, w, K).
        """
        raw = self.dense(self.trunk(images)[self.stride]).float()
        raw = raw.unflatten(1, (*self.size, -1))
        boxes, classes = raw.split(
            [5 * self.n_boxes, raw.shape[-1] - 5 * self.n_boxes], 3
        )
        return boxes.unflatten(3, (self.n_boxes, 5)), classes

    def boxes(self, said: Tensor) -> Tensor:
        cells = places(self.canvas, self.stride, said)[:, :, None]
        middle = (said[..., :2] + cells) * self.stride
        canvas = said.new_tensor(self.canvas[::-1])
        return cornered(torch.cat([middle, said[..., 2:4].square() * canvas], -1))

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        said, told = self.cells_of(images)
        sure = said[..., 4].flatten(1).clamp(0, 1)
        told = told[:, :, :, None].expand(*said.shape[:4], -1)
        return self.boxes(said).flatten(1, 3), sure, told.flatten(1, 3).clamp(0, 1)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        said, classes = self.cells_of(self.images(x))
        return self.losses(said, classes, y)

    def losses(self, said: Tensor, classes: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Of each image, sums of squares over its cells, as in the paper."""
        y = y.to(said)
        # Of several objects in a cell the largest is learned.
        order = areas(y[..., :4]).nan_to_num(nan=-1).argsort(dim=1, stable=True)
        y = y.gather(1, order[..., None].expand_as(y))
        image, which = (y[..., 4] >= 0).nonzero(as_tuple=True)
        true = y[image, which]
        place = (true[:, :2] + true[:, 2:4]) / 2 / self.stride
        h, w = self.size
        column = place[:, 0].long().clamp(0, w - 1)
        line = place[:, 1].long().clamp(0, h - 1)
        owner = torch.full((len(y), h, w), -1, device=y.device)
        for k in range(len(true)):
            owner[image[k], line[k], column[k]] = k
        image, line, column = (owner >= 0).nonzero(as_tuple=True)
        own = owner[image, line, column]
        true, place = true[own], place[own]
        at = said[image, line, column]
        iou = paired_iou(
            self.boxes(said)[image, line, column],
            true[:, None, :4].expand(-1, at.shape[1], -1),
        ).detach()
        # That of a cell's boxes learns which has most in common with the object.
        iou, best = iou.max(1)
        at = at[torch.arange(len(at)), best]
        cell = torch.stack([column, line], 1)
        canvas = at.new_tensor(self.canvas[::-1])
        roots = ((true[:, 2:4] - true[:, :2]) / canvas).sqrt()
        square = (at[:, :2] - (place - cell)).square() + (at[:, 2:4] - roots).square()
        sums = {name: said.new_zeros(len(said)) for name in ("box", "object", "class")}
        box = sums["box"].index_add(0, image, _COORDINATES * square.sum(1))
        sure = (at[:, 4] - iou).square() - _EMPTY * at[:, 4].square()
        objects = _EMPTY * said[..., 4].square().flatten(1).sum(1)
        true_class = F.one_hot(true[:, 4].long(), classes.shape[-1]).to(said)
        told = (classes[image, line, column] - true_class).square().sum(1)
        return {
            "box": box,
            "object": objects.index_add(0, image, sure),
            "class": sums["class"].index_add(0, image, told),
        }


__all__ = ["YOLO1Net"]
