"""Regions of an image: which objects they have, and what a network says of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._trunk import convolution
from sknets.detection._boxes import LEAST, MOST, Found, decoded, encoded, paired_iou

# What differences of boxes are divided by, so that they vary by about one.
_UNIT = 0.1, 0.1, 0.2, 0.2
_SIDE = 7  # of the map of a region
# Pixels of the usual object, below which the map of stride 4, or of 8, is read.
_TINY, _SMALL = 32.0, 64.0


def stride_of(object_size: float) -> int:
    """Of the map that has enough cells for objects of this size."""
    return 4 if object_size < _TINY else 8 if object_size < _SMALL else 16


def matched(boxes: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Intersections over union of boxes with objects, and which objects there are.

    Parameters
    ----------
    boxes : tensor of shape (B, N, 4), or (N, 4) for all images
    y : tensor of shape (B, M, 5)
        As `padded_boxes` has it.

    Returns
    -------
    iou : tensor of shape (B, N, M)
        -1 where there is no object.
    there : bool tensor of shape (B, M)
    """
    there = y[..., 4] >= 0
    boxes = boxes.expand(len(y), -1, -1)[:, :, None]
    objects = y[:, None, :, :4].nan_to_num().to(boxes)
    iou = paired_iou(boxes, objects)
    return iou.masked_fill(~there[:, None], -1), there


def drawn(
    positive: Tensor,
    negative: Tensor,
    n: int,
    share: float,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Draw ``n`` of each row at random, at most a share of them positive.

    Returns
    -------
    positive, negative : bool tensors of shape (B, N)
        Those that are drawn.
    """
    keys = torch.rand(positive.shape, generator=generator, device=positive.device)
    left = torch.full((len(keys),), round(n * share), device=keys.device)
    chosen = []
    for mask in (positive, negative):
        order = keys.masked_fill(~mask, -1).argsort(dim=1, descending=True, stable=True)
        rank = torch.empty_like(order)
        places = torch.arange(keys.shape[1], device=keys.device).expand_as(order)
        rank.scatter_(1, order, places)
        own = mask & (rank < left[:, None])
        chosen.append(own)
        left = n - own.sum(1)
    return chosen[0], chosen[1]


def smooth(difference: Tensor, beta: float = 1.0) -> Tensor:
    """Fast R-CNN's robust loss of each row: a square of what is below ``beta``, of what
    is above the size.
    """
    zero = torch.zeros_like(difference)
    return F.smooth_l1_loss(difference, zero, reduction="none", beta=beta).sum(-1)


def mean_of_each(losses: Tensor, image: Tensor, counts: Tensor) -> Tensor:
    """(B,): the sum of what belongs to each image, by how much there is of it."""
    sums = losses.new_zeros(len(counts)).index_add(0, image, losses)
    return sums / counts.clamp(min=1)


def differences(boxes: Tensor, anchors: Tensor) -> Tensor:
    """`encoded`, in units in which they vary by about one."""
    return encoded(boxes, anchors) / boxes.new_tensor(_UNIT)


def moved(deltas: Tensor, anchors: Tensor) -> Tensor:
    """`differences` undone."""
    return decoded(deltas * deltas.new_tensor(_UNIT), anchors)


class Neck(nn.Module):
    """A map that a coarser one, twice its stride, joins: it sees further."""

    def __init__(self, widths: dict[int, int], stride: int):
        super().__init__()
        self.stride, self.width = stride, widths[2 * stride]
        self.across = convolution(widths[2 * stride], widths[stride], 1)
        self.join = convolution(2 * widths[stride], self.width)

    def forward(self, maps: dict[int, Tensor]) -> Tensor:
        up = F.interpolate(self.across(maps[2 * self.stride]), scale_factor=2.0)
        return self.join(torch.cat([maps[self.stride], up], 1))


class RegionHead(nn.Module):
    """What is in regions of a map, and where: two dense layers, and two sisters.

    Parameters
    ----------
    n_channels : int
        Of the map.
    n_units : int
        Of the dense layers.
    n_classes : int
    stride : int
        Of the map.
    align : bool
        Whether regions are read between the cells of the map (Mask R-CNN's RoIAlign),
        or the largest value of the cells of each part is taken (Fast R-CNN's pooling).
    """

    def __init__(
        self, n_channels: int, n_units: int, n_classes: int, stride: int, align: bool
    ):
        super().__init__()
        self.stride, self.align, self.n_classes = stride, align, n_classes
        self.dense = nn.Sequential(
            nn.Linear(n_channels * _SIDE**2, n_units),
            nn.ReLU(inplace=True),
            nn.Linear(n_units, n_units),
            nn.ReLU(inplace=True),
        )
        self.classes = nn.Linear(n_units, n_classes + 1)  # the last is background
        self.boxes = nn.Linear(n_units, 4 * n_classes)
        for layer, std in ((self.classes, 0.01), (self.boxes, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def pooled(self, maps: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """(R, 7, 7, C): the map of each region, boxes (r, 4) of each image."""
        rows = [own.to(maps) / self.stride for own in boxes]
        if self.align:
            return torch.cat([aligned(*pair, _SIDE) for pair in zip(maps, rows)])
        from torchvision.ops import roi_pool

        return roi_pool(maps.contiguous(), rows, _SIDE).permute(0, 2, 3, 1)

    def forward(self, maps: Tensor, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Scores of classes and background (R, K + 1), and differences (R, K, 4)."""
        x = self.dense(self.pooled(maps, boxes).flatten(1))
        return self.classes(x).float(), self.boxes(x).float().unflatten(1, (-1, 4))

    def losses(
        self, maps: Tensor, y: Tensor, boxes: Tensor, own: Tensor, drawn_of: Any
    ) -> dict[str, Tensor]:
        """Of each image: of the classes of regions, and of the places of objects.

        Parameters
        ----------
        maps : tensor of shape (B, C, h, w)
        y : tensor of shape (B, M, 5)
        boxes : tensor of shape (B, P, 4)
        own : bool tensor of shape (B, P)
            Which of them there are.
        drawn_of : callable
            ``drawn_of(iou, own)`` says which of them learn, as `drawn`.
        """
        iou, which = matched(boxes, y)[0].max(2)
        positive, negative = drawn_of(iou, own)
        image, place = (positive | negative).nonzero(as_tuple=True)
        regions, objects = boxes[image, place], y[image, which[image, place]]
        is_object = positive[image, place]
        labels = objects[:, 4].long().masked_fill(~is_object, self.n_classes)
        counts = (positive | negative).sum(1)
        scores, deltas = self(maps, regions.split(counts.tolist()))
        told = F.cross_entropy(scores, labels, reduction="none")
        rows = is_object.nonzero().flatten()
        wish = differences(objects[rows, :4].to(regions), regions[rows])
        told_boxes = smooth(deltas[rows, labels[rows]] - wish)
        return {
            "class": mean_of_each(told, image, counts),
            "box": mean_of_each(told_boxes, image[rows], counts),
        }

    def found(
        self, maps: Tensor, boxes: list[Tensor], size: tuple[int, ...]
    ) -> list[Found]:
        """Of each image, what its regions have, at all sizes of scores."""
        found = []
        for i, own in enumerate(boxes):  # one image's regions fit into the cache
            scores, deltas = self(maps[i : i + 1], [own])
            found.append(best_of(own, scores.softmax(1)[:, :-1], deltas, size))
        return found


def aligned(maps: Tensor, boxes: Tensor, n: int) -> Tensor:
    """(R, n, n, C): RoIAlign of boxes (R, 4), in cells of a map (C, h, w).

    Each of n x n parts is the mean of the map at 2 x 2 points between cells. Along
    each axis that is a matrix, and products of these are far faster, also backwards,
    than torchvision's loop over points.
    """
    h, w = maps.shape[1:]
    across = _at_points(boxes[:, 0], boxes[:, 2], n, w)
    down = _at_points(boxes[:, 1], boxes[:, 3], n, h)
    cells = maps.permute(1, 2, 0)  # as a map is in memory
    rows = down.flatten(0, 1) @ cells.reshape(h, -1)  # (R n, w C)
    return across[:, None] @ rows.view(len(boxes), n, w, -1)


def _at_points(low: Tensor, high: Tensor, n: int, size: int) -> Tensor:
    """(R, n, size): what each cell adds to each of n parts of a stretch."""
    points = (torch.arange(2 * n, device=low.device) + 0.5).to(low) / (2 * n)
    points = low[:, None] + (high - low)[:, None] * points - 0.5
    cells = torch.arange(size, device=low.device).to(low)
    shares = 1 - (points.clamp(0, size - 1)[..., None] - cells).abs()
    return shares.clamp(min=0).unflatten(1, (n, 2)).mean(2)


def best_of(
    regions: Tensor, scores: Tensor, deltas: Tensor, size: tuple[int, ...]
) -> Found:
    """Regions (R, 4) moved for each class (R, K, 4) for which they have a score."""
    row, label = (scores >= LEAST).nonzero(as_tuple=True)
    boxes = clipped(moved(deltas[row, label], regions[row].to(deltas)), size)
    return Found(boxes, scores[row, label], label).best(MOST)


def clipped(boxes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Boxes as far as they are within an image, (height, width)."""
    high = boxes.new_tensor(size[::-1]).repeat(2)
    return boxes.clamp(min=0).minimum(high)


def padded(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(B, most, 4), zeros where there are no more, and which there are (B, most)."""
    table = nn.utils.rnn.pad_sequence(boxes, batch_first=True)
    counts = torch.tensor([len(own) for own in boxes], device=table.device)
    return table, torch.arange(table.shape[1], device=table.device) < counts[:, None]


__all__ = [
    "Neck",
    "RegionHead",
    "aligned",
    "best_of",
    "clipped",
    "differences",
    "drawn",
    "matched",
    "mean_of_each",
    "moved",
    "padded",
    "smooth",
    "stride_of",
]
