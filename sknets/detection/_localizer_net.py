"""The network of localisation: cells vote on where the one object is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._trunk import convolution
from sknets.detection._boxes import cornered, paired_giou
from sknets.detection._nets import CanvasNet

_GIOU, _FAR = 1.0, 1.0  # what the parts of the loss of boxes weigh


class LocalizerNet(CanvasNet):
    """The box and the class of an image: means over the cells of a map.

    Each cell says where the box is from there, what is in it and how much its vote
    weighs; weights are a softmax over the map (a spatial soft-argmax).

    Parameters
    ----------
    parts : as of `CanvasNet`
    strides : sequence of int
        Of the map that is read first, and of coarser ones which join it.
    size : float
        Of the usual object, in pixels.
    n_classes : int
    """

    def __init__(
        self, parts: Sequence[Any], strides: Sequence[int], size: float, n_classes: int
    ):
        super().__init__(*parts)
        self.strides, self.size = tuple(strides), size
        width = self.widths[self.strides[0]]
        self.across = nn.ModuleList(
            convolution(self.widths[stride], width, 1) for stride in self.strides[1:]
        )
        self.neck = convolution(width * len(self.strides), width)
        self.head = nn.Conv2d(width, 5 + n_classes, 1)
        nn.init.normal_(self.head.weight, std=1e-2)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)

    def said(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of each image the box (B, 4), in pixels, and scores of classes (B, K)."""
        maps = self.trunk(images)
        x = maps[self.strides[0]]
        coarse = [
            F.interpolate(layer(maps[stride]), x.shape[2:])
            for stride, layer in zip(self.strides[1:], self.across)
        ]
        raw = self.head(self.neck(torch.cat([x, *coarse], 1))).float()
        return votes(raw, self.strides[0], self.size)

    def forward(self, x: Any) -> Tensor:
        """(B, 4 + K): the box and the probability of each class."""
        boxes, scores = self.said(self.images(x))
        return torch.cat([boxes, scores.softmax(1)], 1)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        return self.losses(*self.said(self.images(x)), y)

    def losses(self, boxes: Tensor, scores: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Of each image, 0 where augmentation has moved the object out of it."""
        own = y[:, 0].to(boxes)
        there = own[:, 4] >= 0
        true = torch.where(there[:, None], own[:, :4], boxes.detach())
        size = (true[:, 2:] - true[:, :2]).repeat(1, 2).clamp(min=1)
        far = F.smooth_l1_loss(boxes / size, true / size, reduction="none").sum(1)
        box = _GIOU * (1 - paired_giou(boxes, true)) + _FAR * far
        told = F.cross_entropy(scores, own[:, 4].long().clamp(min=0), reduction="none")
        return {"box": box * there, "class": told * there}


def votes(raw: Tensor, stride: int, size: float) -> tuple[Tensor, Tensor]:
    """Of maps (B, 5 + K, h, w) the mean box (B, 4) and the mean scores (B, K)."""
    h, w = raw.shape[2:]
    rows = (torch.arange(h, device=raw.device) + 0.5) * stride
    columns = (torch.arange(w, device=raw.device) + 0.5) * stride
    cells = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1)
    each = raw.flatten(2).transpose(1, 2)  # (B, cells, 5 + K)
    weight = each[..., :1].softmax(1)
    middle = cells.view(-1, 2).to(raw) + each[..., 1:3] * size
    extent = size * each[..., 3:5].clamp(max=4).exp()
    boxes = cornered(torch.cat([middle, extent], -1))
    return (weight * boxes).sum(1), (weight * each[..., 5:]).sum(1)


__all__ = ["LocalizerNet", "votes"]
