"""SSD's network: default boxes at the cells of several maps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._trunk import convolution
from sknets.detection._boxes import areas, cornered, decoded, encoded
from sknets.detection._nets import DetectionNet

COARSEST = 32  # the stride of the trunk's last map
_MATCHED = 0.5  # of an intersection over union: such default boxes learn an object
_NEGATIVES = 3  # default boxes that learn the background, for each that does not
_VARIANCES = 0.1, 0.1, 0.2, 0.2  # what offsets are divided by


class SSDNet(DetectionNet):
    """Maps, each coarser than the one before, and what each default box finds.

    Parameters
    ----------
    parts : as of `DetectionNet`
    strides : sequence of int
        Of the maps, the finest first; beyond the trunk's coarsest each map is made of
        the one before.
    shapes : ndarray of shape (len(strides), A, 2)
        Widths and heights of default boxes, in pixels.
    n_classes : int
        Without the background, which is the first of what is told apart.
    top_down : bool
        Whether coarser maps join finer ones.
    """

    defaults: Tensor
    variances: Tensor

    def __init__(
        self,
        parts: Sequence[Any],
        strides: Sequence[int],
        shapes: np.ndarray,
        n_classes: int,
        top_down: bool = False,
    ):
        super().__init__(*parts)
        self.strides, self.n_classes = tuple(strides), n_classes
        self.further, self.heads = nn.ModuleList(), nn.ModuleList()
        widths = [self.widths[stride] for stride in self.trunk.strides]
        for _ in range(len(self.strides) - len(widths)):
            half = max(1, widths[-1] // 2)
            layers = (
                convolution(widths[-1], half, 1),
                convolution(half, widths[-1], 3, 2),
            )
            self.further.append(nn.Sequential(*layers))
            widths.append(widths[-1])
        self.across, self.necks = nn.ModuleList(), nn.ModuleList()
        for own, above in itertools.pairwise(widths if top_down else []):
            self.across.append(convolution(above, own, 1))
            self.necks.append(convolution(2 * own, own))
        n_outputs = shapes.shape[1] * (5 + n_classes)
        for width in widths:
            head = nn.Conv2d(width, n_outputs, 3, padding=1)
            nn.init.normal_(head.weight, std=1e-2)
            assert head.bias is not None
            nn.init.zeros_(head.bias)
            self.heads.append(head)
        boxes = default_boxes(self.canvas, self.strides, shapes)
        self.register_buffer("defaults", boxes, persistent=False)
        table = torch.tensor(_VARIANCES)
        self.register_buffer("variances", table, persistent=False)
        self.to(memory_format=torch.channels_last)

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets of each default box, (B, n, 4), and its classes, (B, n, 1 + K)."""
        maps, found = list(self.trunk(images).values()), []
        for layer in self.further:
            maps.append(layer(maps[-1]))
        for i in reversed(range(len(self.necks))):
            up = F.interpolate(self.across[i](maps[i + 1]), maps[i].shape[2:])
            maps[i] = self.necks[i](torch.cat([maps[i], up], 1))
        for x, head in zip(maps, self.heads):
            own = head(x).permute(0, 2, 3, 1)  # as it lies in memory
            found.append(own.flatten(1).unflatten(1, (-1, 5 + self.n_classes)))
        raw = torch.cat(found, 1).float()
        return raw[..., :4], raw[..., 4:]

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        offsets, scores = self.outputs(images)
        boxes = decoded(offsets * self.variances, self.defaults)
        p = scores.softmax(-1)
        return boxes, torch.ones_like(p[..., 0]), p[..., 1:]

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        return self.losses(*self.outputs(self.images(x)), y)

    def losses(self, offsets: Tensor, classes: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Of each image: of its boxes and of what they are, as in the paper.

        Each is a sum over the image, by the number of boxes that learn an object.
        """
        y = y.to(offsets)
        image, which = (y[..., 4] >= 0).nonzero(as_tuple=True)
        true = y[image, which]
        counts = torch.bincount(image, minlength=len(y)).tolist()
        own = matched(true[:, :4], counts, self.defaults)  # (B, n)
        image, at = (own >= 0).nonzero(as_tuple=True)
        learned = true[own[image, at]]
        label = torch.zeros_like(own)
        label[image, at] = learned[:, 4].long() + 1
        entropy = F.cross_entropy(classes.transpose(1, 2), label, reduction="none")
        number = (own >= 0).sum(1)
        sure = hardest(entropy.masked_fill(own >= 0, 0), number)
        wish = encoded(learned[:, :4], self.defaults[at]) / self.variances
        far = F.smooth_l1_loss(offsets[image, at], wish, reduction="none").sum(1)
        none, unit = y.new_zeros(len(y)), number.clamp(min=1)
        told = entropy.masked_fill(own < 0, 0).sum(1) + sure
        return {"box": none.index_add(0, image, far) / unit, "class": told / unit}


def matched(true: Tensor, counts: Sequence[int], defaults: Tensor) -> Tensor:
    """(B, n): which object each default box of an image learns, -1 for none.

    That which it shares most with, if that is more than a half; and each object is
    learned by the one that shares most with it, whatever else that shares.

    Parameters
    ----------
    true : tensor of shape (objects, 4)
        Those of the first image first.
    counts : sequence of int
        Objects of each image.
    defaults : tensor of shape (n, 4)
    """
    iou = shared(true, defaults)
    best = iou.argmax(1, keepdim=True)
    # Beyond all others; of two objects with the same box, that which has more of it.
    iou = iou.scatter_add(1, best, torch.full_like(best, 2, dtype=iou.dtype))
    own = torch.full((len(counts), len(defaults)), -1, device=true.device)
    before = 0
    for i, part in enumerate(iou.split(list(counts))):
        if len(part):
            value, index = part.max(0)
            own[i] = torch.where(value > _MATCHED, index + before, -1)
        before += len(part)
    return own


def shared(boxes: Tensor, others: Tensor) -> Tensor:
    """(n, m): intersection over union of each with each."""
    low = [torch.maximum(boxes[:, None, k], others[:, k]) for k in (0, 1)]
    high = [torch.minimum(boxes[:, None, k], others[:, k]) for k in (2, 3)]
    sides = [(end - start).clamp_(min=0) for start, end in zip(low, high)]
    both = sides[0].mul_(sides[1])
    return both / (areas(boxes)[:, None] + areas(others) - both)


def hardest(losses: Tensor, number: Tensor) -> Tensor:
    """(B,): the sum of the largest losses of each image, three times as many as a
    number (B,), and three at least.
    """
    most = _NEGATIVES * number.clamp(min=1)
    n = min(int(most.max()), losses.shape[1])
    top = losses.topk(n, 1).values
    return top.masked_fill(torch.arange(n, device=top.device) >= most[:, None], 0).sum(
        1
    )


def default_boxes(
    canvas: Sequence[int], strides: Sequence[int], shapes: np.ndarray
) -> Tensor:
    """(n, 4): boxes of each shape about the middle of each cell of each map."""
    found = []
    for stride, own in zip(strides, torch.as_tensor(shapes, dtype=torch.float32)):
        h, w = (-(-side // stride) for side in canvas)
        rows = (torch.arange(h) + 0.5) * (canvas[0] / h)
        columns = (torch.arange(w) + 0.5) * (canvas[1] / w)
        grid = torch.meshgrid(rows, columns, indexing="ij")
        middle = torch.stack(grid[::-1], -1)[:, :, None].expand(h, w, len(own), 2)
        found.append(torch.cat([middle, own.expand(h, w, -1, 2)], -1).view(-1, 4))
    return cornered(torch.cat(found))


def default_shapes(scales: np.ndarray, ratios: Sequence[float]) -> np.ndarray:
    """(len(scales) - 1, A, 2): widths and heights of each map's default boxes.

    Of each ratio of width to height, and of its inverse, one of that scale (the root of
    the area), and a square between it and the next map's.
    """
    both = [r for ratio in ratios for r in dict.fromkeys((ratio, 1 / ratio))]
    roots = np.sqrt(both)
    shapes = np.stack([np.append(roots, 1), np.append(1 / roots, 1)], 1)
    own = np.repeat(scales[:-1, None], len(shapes), 1)
    own[:, -1] = np.sqrt(scales[:-1] * scales[1:])
    return own[..., None] * shapes


__all__ = [
    "COARSEST",
    "SSDNet",
    "default_boxes",
    "default_shapes",
    "hardest",
    "matched",
    "shared",
]
