"""YOLO's networks: what each cell of a grid says about objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import Dropout
from sknets._trunk import Residual, convolution
from sknets.detection._boxes import areas, cornered, paired_giou, paired_iou
from sknets.detection._nets import DetectionNet, places
from sknets.detection._words import Classes

_BOX, _OBJECT, _CLASS = 2.5, 0.5, 1.0  # what the parts of the loss weigh
_EDGES = 0.5  # what edges weigh beside the intersection over union
ALIKE = 0.25  # anchors that share as much with an object learn it
N_CELLS = 3  # that of its middle, and the nearest in either direction
_IGNORED = 0.5  # of an intersection over union, above which a box is no background
_LABELLED = 0.3  # the least certainty where a label without a box is seen
_COORDINATES, _EMPTY = 5.0, 0.5  # the lambdas of YOLO 1
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
        n_outputs = table.shape[1] * (5 + classes.n_scores)
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
                head.bias.view(-1, 5 + classes.n_scores)[:, 4] = -4
            self.heads.append(head)
        self.to(memory_format=torch.channels_last)

    def every(
        self, images: Tensor, classes: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        output, classes = self.heads_of(images), classes or self.classes
        boxes = torch.cat([each.flatten(1, 3) for each in self.boxes(output)], 1)
        raw = torch.cat([each.flatten(1, 3) for each in output], 1)
        return boxes, raw[..., 4].sigmoid(), classes(raw[..., 5:])

    def heads_of(self, x: Tensor) -> list[Tensor]:
        """(B, A, h, w, 5 + K) of each stride: middle, size, object, classes."""
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
            cells = places((h * stride, w * stride), stride, raw)
            # A cell reaches half a cell beyond its edges, an anchor from 0 to 4 times.
            middle = (2 * raw[..., :2].sigmoid() - 0.5 + cells) * stride
            size = (2 * raw[..., 2:4].sigmoid()).square()
            size = size * anchors.to(raw)[:, None, None]
            found.append(cornered(torch.cat([middle, size], -1)))
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
        objects, found = y.new_zeros(n), self.boxes(output)
        with torch.no_grad():
            every = torch.cat([boxes.flatten(1, 3) for boxes in found], 1)
            counts = [boxes[0, ..., 0].numel() for boxes in found]
            shared = best_iou(every, y, placed).split(counts, 1)
        for i, (raw, boxes) in enumerate(zip(output, found)):
            stride, (h, w) = self.strides[i], raw.shape[2:4]
            row, anchor = use[:, i].nonzero(as_tuple=True)
            middle = (true[row, :2] + true[row, 2:]) / 2 / stride
            row, anchor, column, line = neighbours(row, anchor, middle, w, h)
            at = image[row], anchor, line, column
            off = misplaced(boxes[at], true[row])
            sums["box"] = sums["box"].index_add(0, at[0], off)
            told = self.classes.losses(raw[at][:, 5:], labels[row])
            sums["class"] = sums["class"].index_add(0, at[0], told)
            # As sure as the box is right; no background where it nearly is.
            sure = paired_iou(boxes[at], true[row]).detach().clamp(min=0.1)
            target = raw.new_zeros(raw.shape[:-1])
            place = at[0]
            for axis, own in enumerate(at[1:], 1):
                place = place * target.shape[axis] + own
            # Of objects that share a cell that counts which is seen best.
            target.view(-1).scatter_reduce_(0, place, sure, "amax")
            entropy = F.binary_cross_entropy_with_logits(
                raw[..., 4], target, reduction="none"
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
                    told = -self.classes.losses(own[:, 5:], label.expand(len(own)))
                    best = (told + F.logsigmoid(own[:, 4])).argmax()
                losses = self.classes.losses(own[best, None, 5:], label[None])
                sums["class"][i] += losses[0]
                if own[best, 4].sigmoid() < _LABELLED:
                    wish = own.new_tensor(_LABELLED)
                    objects[i] += F.binary_cross_entropy_with_logits(own[best, 4], wish)


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
    "YOLO1Net",
    "YOLONet",
    "misplaced",
    "neighbours",
]
