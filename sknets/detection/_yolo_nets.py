"""YOLO's networks: what each cell of a grid says about objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._trunk import Residual, convolution
from sknets.detection._boxes import paired_giou, paired_iou
from sknets.detection._edges import Edges
from sknets.detection._nets import DetectionNet, places
from sknets.detection._words import Classes

_BOX, _OBJECT, _CLASS = 2.5, 0.5, 1.0  # what the parts of the loss weigh
_EDGES = 0.5  # what edges weigh beside the intersection over union
_PLACES = 0.5  # what it weighs there how likely the places of edges are
ALIKE = 0.25  # anchors that share as much with an object learn it
N_CELLS = 3  # that of its middle, and the nearest in either direction
_IGNORED = 0.5  # of an intersection over union, above which a box is no background
_LABELLED = 0.3  # the least certainty where a label without a box is seen
# Of the numbers of a cell: whether there is an object, what it is, where its edges are.
_SURE, _TOLD, _PLACED = 0, slice(1, -Edges.n), slice(-Edges.n, None)
_STEP = 32  # of the sizes of multi-scale training


class YOLONet(DetectionNet):
    """YOLO 2, 3 and 9000: anchors at the cells of one map or of three.

    Parameters
    ----------
    parts : as of `DetectionNet`
    strides : sequence of int
        Of the maps that boxes are read from, the finest first.
    anchors : ndarray of shape (len(strides), A, 2)
        Widths and heights in pixels.
    classes : Classes
        How classes are told.
    context : sequence of int
        Strides of coarser maps that these are joined by.
    passthrough : bool
        Whether the one map is joined by a finer one, whose cells become channels.
    multi_scale : bool
        Whether each step of training sees images of another size.
    unit : float
        By which the sums of losses over an image are divided: so many cells of an image
        learn an object. A number, as an image with few objects is not to weigh as much
        as one with many.
    """

    anchors: Tensor

    def __init__(
        self,
        parts: Sequence[Any],
        strides: Sequence[int],
        anchors: np.ndarray,
        classes: Classes,
        context: Sequence[int] = (),
        passthrough: bool = False,
        multi_scale: bool = False,
        unit: float = 1.0,
    ):
        super().__init__(*parts)
        self.unit = unit
        self.strides, self.classes = tuple(strides), classes
        self.multi_scale = multi_scale
        self.generator: torch.Generator | None = None
        table = torch.as_tensor(np.asarray(anchors), dtype=torch.float32)
        self.register_buffer("anchors", table, persistent=False)
        widths = self.widths
        n_outputs = table.shape[1] * (1 + classes.n_scores + Edges.n)
        self.edges = Edges()
        self.fine: nn.Module | None = None
        self.across = nn.ModuleList()
        self.necks, self.heads = nn.ModuleList(), nn.ModuleList()
        self.downwards = (*self.strides, *context)[::-1]  # the coarsest first
        above = 0
        for stride in self.downwards:
            width = widths[stride]
            if above:
                self.across.append(convolution(above, width, 1))
            n_in = width * (2 if above else 1)
            if passthrough and stride in self.strides:
                finer = max(1, widths[stride // 2] // 4)
                self.fine = convolution(widths[stride // 2], finer, 1)
                n_in += 4 * finer
            above, neck = width, convolution(n_in, width)
            self.necks.append(neck)
            if stride not in self.strides:
                continue
            neck.append(Residual(width))
            head = nn.Conv2d(width, n_outputs, 1)
            nn.init.normal_(head.weight, std=1e-2)
            assert head.bias is not None
            nn.init.zeros_(head.bias)
            with torch.no_grad():  # hardly any cell has an object
                head.bias.view(table.shape[1], -1)[:, _SURE] = -4
            self.heads.append(head)
        self.to(memory_format=torch.channels_last)

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        output, classes = self.heads_of(images), classes or self.classes
        boxes = torch.cat([each.flatten(1, 3) for each in self.boxes(output)], 1)
        raw = torch.cat([each.flatten(1, 3) for each in output], 1)
        return boxes, raw[..., _SURE].sigmoid(), classes(raw[..., _TOLD])

    def heads_of(self, x: Tensor) -> list[Tensor]:
        """(B, A, h, w, 1 + K + n) of each stride: object, classes, edges."""
        maps, outputs, above = self.trunk(x), [], None
        heads = iter(self.heads)
        for i, (stride, neck) in enumerate(zip(self.downwards, self.necks)):
            own = maps[stride]
            if above is not None:
                up = F.interpolate(self.across[i - 1](above), scale_factor=2.0)
                own = torch.cat([own, up], 1)
            if self.fine is not None and stride in self.strides:
                finer = F.pixel_unshuffle(self.fine(maps[stride // 2]), 2)
                own = torch.cat([own, finer], 1)
            above = neck(own)
            if stride not in self.strides:
                continue
            raw = next(heads)(above)
            b, _, h, w = raw.shape
            shape = b, self.anchors.shape[1], -1, h, w
            outputs.append(raw.float().reshape(shape).permute(0, 1, 3, 4, 2))
        return outputs[::-1]

    def boxes(self, output: list[Tensor]) -> list[Tensor]:
        """(B, A, h, w, 4) of each stride, in pixels."""
        found = []
        for raw, stride, anchors in zip(output, self.strides, self.anchors):
            h, w = raw.shape[2:4]
            middle = (places((h * stride, w * stride), stride, raw) + 0.5) * stride
            shapes = anchors.to(raw)[:, None, None]
            found.append(self.edges.boxes(raw[..., _PLACED], middle, shapes))
        return found

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        images = self.images(x)
        if self.multi_scale and self.training:
            images, y = self._resized(images, y)
        return self.losses(self.heads_of(images), y)

    def _resized(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Images of another size, between two thirds and four thirds of theirs."""
        draw = torch.rand((), generator=self.generator, device=x.device)
        factor = float(2 / 3 + 2 / 3 * draw)
        size = [max(1, round(factor * side / _STEP)) * _STEP for side in x.shape[2:]]
        if size == [*x.shape[2:]]:
            return x, y
        ratio = y.new_tensor([n / side for n, side in zip(size, x.shape[2:])][::-1])
        y = torch.cat([y[..., :4] * ratio.repeat(2), y[..., 4:]], -1)
        return F.interpolate(x, size, mode="bilinear"), y

    def losses(self, output: list[Tensor], y: Tensor) -> dict[str, Tensor]:
        """Of each image: of its boxes, of where objects are, and of what they are.

        Each is a sum over the image, by ``unit``.
        """
        y = y.to(output[0])
        n = len(y)
        placed = (y[..., 4] >= 0) & ~y[..., 0].isnan()
        bare = ((y[..., 4] >= 0) & ~placed).any(1)
        image, which = placed.nonzero(as_tuple=True)
        true, labels = y[image, which, :4], y[image, which, 4].long()
        shape = true[:, 2:] - true[:, :2]
        both = torch.minimum(shape[:, None, None], self.anchors.to(y)).prod(-1)
        areas = shape.prod(-1)[:, None, None] + self.anchors.to(y).prod(-1) - both
        alike = both / areas  # (objects, strides, A)
        best = alike.flatten(1).argmax(1)
        use = alike > ALIKE
        use.flatten(1)[torch.arange(len(best)), best] = True
        sums: dict[str, Any] = {name: y.new_zeros(n) for name in ("box", "class")}
        objects = y.new_zeros(n)
        with torch.no_grad():
            found = self.boxes(output)
            every = torch.cat([boxes.flatten(1, 3) for boxes in found], 1)
            counts = [boxes[0, ..., 0].numel() for boxes in found]
            shared = best_iou(every, y, placed).split(counts, 1)
        for i, raw in enumerate(output):
            stride, (h, w) = self.strides[i], raw.shape[2:4]
            row, anchor = use[:, i].nonzero(as_tuple=True)
            middle = (true[row, :2] + true[row, 2:]) / 2 / stride
            row, anchor, column, line = neighbours(row, anchor, middle, w, h)
            at = image[row], anchor, line, column
            own = raw[at]
            cells = (torch.stack([column, line], 1) + 0.5) * stride
            given = own[:, _PLACED], cells, self.anchors[i].to(own)[anchor]
            boxes = self.edges.boxes(*given)
            off = misplaced(boxes, true[row])
            off = off + _PLACES * self.edges.losses(*given, true[row])
            sums["box"] = sums["box"].index_add(0, at[0], off)
            told = self.classes.losses(own[:, _TOLD], labels[row])
            sums["class"] = sums["class"].index_add(0, at[0], told)
            # As sure as the box is right; no background where it nearly is.
            sure = paired_iou(boxes, true[row]).detach().clamp(min=0.1)
            target = raw.new_zeros(raw.shape[:-1])
            place = at[0]
            for axis, index in enumerate(at[1:], 1):
                place = place * target.shape[axis] + index
            # Of objects that share a cell that counts which is seen best.
            target.view(-1).scatter_reduce_(0, place, sure, "amax")
            entropy = F.binary_cross_entropy_with_logits(
                raw[..., _SURE], target, reduction="none"
            )
            free, near = target == 0, shared[i].reshape(target.shape)
            # Where there are labels alone nobody knows what is background.
            unknown = (free & (near > _IGNORED)) | bare[:, None, None, None]
            objects = objects + entropy.masked_fill(unknown, 0).flatten(1).sum(1)
        if bare.any():
            self._learn_labels(output, y, bare, sums, objects)
        return {
            "box": _BOX * sums["box"] / self.unit,
            "object": _OBJECT * objects / self.unit,
            "class": _CLASS * sums["class"] / self.unit,
        }

    def _learn_labels(
        self, output: list[Tensor], y: Tensor, bare: Tensor, sums: Any, objects: Tensor
    ) -> None:
        """Where a label is the likeliest it is learned, and that something is there."""
        raw = torch.cat([each.flatten(1, 3) for each in output], 1)
        for i in bare.nonzero().flatten().tolist():
            own = raw[i]
            for label in y[i, y[i, :, 4] >= 0, 4].long().unique():
                with torch.no_grad():
                    told = -self.classes.losses(own[:, _TOLD], label.expand(len(own)))
                    best = (told + F.logsigmoid(own[:, _SURE])).argmax()
                losses = self.classes.losses(own[best, None, _TOLD], label[None])
                sums["class"][i] += losses[0]
                if own[best, _SURE].sigmoid() < _LABELLED:
                    wish = own.new_tensor(_LABELLED)
                    objects[i] += F.binary_cross_entropy_with_logits(
                        own[best, _SURE], wish
                    )


def misplaced(boxes: Tensor, true: Tensor) -> Tensor:
    """How wrong each box is: by its generalised intersection over union, and by how
    far each edge is off, as a share of the object's side, at most all of it.
    """
    sides = (true[:, 2:] - true[:, :2]).repeat(1, 2)
    edges = ((boxes - true).abs() / sides).clamp(max=1).sum(1)
    return 1 - paired_giou(boxes, true) + _EDGES * edges


def neighbours(
    row: Tensor, anchor: Tensor, middle: Tensor, w: int, h: int
) -> tuple[Tensor, ...]:
    """The cell of each middle, and the nearest beside it and above or below it."""
    cell = middle.floor()
    part = middle - cell
    step = torch.where(part < 0.5, -1.0, 1.0).to(middle)
    zero = torch.zeros_like(step[:, 0])
    moves = [
        torch.stack([zero, zero], 1),
        torch.stack([step[:, 0], zero], 1),
        torch.stack([zero, step[:, 1]], 1),
    ]
    cells = torch.cat([cell + move for move in moves]).long()
    row, anchor = row.repeat(N_CELLS), anchor.repeat(N_CELLS)
    column, line = cells.T
    there = (column >= 0) & (column < w) & (line >= 0) & (line < h)
    return row[there], anchor[there], column[there], line[there]


def best_iou(boxes: Tensor, y: Tensor, placed: Tensor) -> Tensor:
    """(B, n): the most that each box shares with an object of its image."""
    from torchvision.ops import box_iou

    best = boxes.new_zeros(boxes.shape[:2])
    for i, there in enumerate(placed):
        if there.any():
            best[i] = box_iou(y[i, there, :4].to(boxes), boxes[i]).amax(0)
    return best


__all__ = [
    "ALIKE",
    "N_CELLS",
    "YOLONet",
    "misplaced",
    "neighbours",
]
