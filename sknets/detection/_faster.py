"""Faster R-CNN: a network that proposes regions shares its maps with one for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.optim import Budget
from sknets._params import param
from sknets.detection._anchors import anchors_of
from sknets.detection._boxes import Found, cornered, decoded, encoded
from sknets.detection._nets import CanvasNet, places
from sknets.detection._regions import (
    Neck,
    RegionHead,
    clipped,
    drawn,
    matched,
    mean_of_each,
    padded,
    smooth,
    stride_of,
)
from sknets.detection._task import Detector

_OBJECT, _BACKGROUND = 0.7, 0.3  # intersections over union of anchors
_ALIKE = 0.7  # proposals that share more are one
_IS_OBJECT = 0.5  # the intersection over union of a region that learns an object
_BETA = 1 / 9  # where the loss of an anchor's box becomes linear
_DRAWN, _HALF = 128, 0.5  # anchors of an image that learn, objects at most
_REGIONS, _QUARTER = 64, 0.25  # regions of an image that learn, objects at most
_BEFORE, _AFTER = (400, 600), (150, 200)  # proposals in prediction and training


class RegionProposals(nn.Module):
    """The region proposal network: where on a map there may be an object.

    Parameters
    ----------
    n_channels : int
        Of the map.
    stride : int
    anchors : ndarray of shape (A, 2)
        Widths and heights in pixels.
    """

    anchors: Tensor

    def __init__(self, n_channels: int, stride: int, anchors: np.ndarray):
        super().__init__()
        self.stride = stride
        self.generator: torch.Generator | None = None
        table = torch.as_tensor(np.asarray(anchors), dtype=torch.float32)
        self.register_buffer("anchors", table, persistent=False)
        self.shared = nn.Conv2d(n_channels, n_channels, 3, padding=1)
        self.object = nn.Conv2d(n_channels, len(table), 1)
        self.box = nn.Conv2d(n_channels, 4 * len(table), 1)
        for layer in (self.object, self.box):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """How sure (B, N) and where (B, N, 4), relative to the anchors, objects are."""
        x = F.relu(self.shared(maps))
        sure = self.object(x).float().permute(0, 2, 3, 1).flatten(1)
        deltas = self.box(x).float().permute(0, 2, 3, 1)
        return sure, deltas.reshape(len(deltas), -1, 4)

    def grid(self, maps: Tensor) -> Tensor:
        """(N, 4): the anchors about the middle of each cell, a cell's together."""
        size = [side * self.stride for side in maps.shape[2:]]
        middle = (places(size, self.stride, self.anchors) + 0.5) * self.stride
        middle = middle[:, :, None].expand(-1, -1, len(self.anchors), -1)
        shape = self.anchors.expand_as(middle)
        return cornered(torch.cat([middle, shape], -1)).flatten(0, 2)

    def proposals(
        self, said: tuple[Tensor, Tensor], anchors: Tensor, size: tuple[int, ...]
    ) -> list[Tensor]:
        """Of each image the boxes (n, 4) likeliest to be objects, without doubles."""
        from torchvision.ops import batched_nms

        sure, deltas = (each.detach() for each in said)
        before, after = (each[self.training] for each in (_BEFORE, _AFTER))
        sure, best = sure.topk(min(before, sure.shape[1]))
        rows = best[..., None].expand(-1, -1, 4)
        boxes = clipped(decoded(deltas.gather(1, rows), anchors[best]), size)
        n = torch.arange(len(boxes), device=boxes.device)
        image = n[:, None].expand_as(sure).flatten()
        large = ((boxes[..., 2:] - boxes[..., :2]) >= 1).all(-1).flatten()
        flat = boxes.flatten(0, 1)[large], sure.flatten()[large], image[large]
        kept = batched_nms(*flat, _ALIKE)
        boxes, image = flat[0][kept], flat[2][kept]
        return [boxes[image == i][:after] for i in n.tolist()]

    def targets(self, anchors: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which anchors are objects, which are background (B, N), and which object
        each has most in common with.

        An object has all anchors above 0.7 and those that share most with it.
        """
        iou, there = matched(anchors, y)
        best, which = iou.max(2)
        most = iou.max(1, keepdim=True).values.clamp(min=1e-3)
        likest = ((iou >= most) & there[:, None]).any(2)
        positive = (best >= _OBJECT) | likest
        return positive, (best < _BACKGROUND) & ~positive, which

    def losses(
        self, said: tuple[Tensor, Tensor], anchors: Tensor, y: Tensor
    ) -> dict[str, Tensor]:
        """Of each image: of where objects are, and of their boxes."""
        sure, deltas = said
        positive, negative, which = self.targets(anchors, y)
        chosen = drawn(positive, negative, _DRAWN, _HALF, self.generator)
        positive, learn = chosen[0], chosen[0] | chosen[1]
        counts = learn.sum(1)
        told = F.binary_cross_entropy_with_logits(
            sure, positive.to(sure), reduction="none"
        )
        told = (told * learn).sum(1) / counts.clamp(min=1)
        image, place = positive.nonzero(as_tuple=True)
        own = anchors[place]
        wish = encoded(y[image, which[image, place], :4].to(own), own)
        boxes = smooth(deltas[image, place] - wish, _BETA)
        return {
            "proposal_object": told,
            "proposal_box": mean_of_each(boxes, image, counts),
        }


class FasterRCNNNet(CanvasNet):
    """A trunk, a network that proposes regions of its map, and a head for these.

    Parameters
    ----------
    parts : as of `CanvasNet`
    stride : int
        Of the map, which a coarser one joins.
    anchors : ndarray of shape (A, 2)
    n_classes, n_units : int
    """

    def __init__(
        self,
        parts: Sequence[Any],
        stride: int,
        anchors: np.ndarray,
        n_classes: int,
        n_units: int,
    ):
        super().__init__(*parts)
        self.generator: torch.Generator | None = None
        self.neck = Neck(self.widths, stride)
        width = self.neck.width
        self.proposer = RegionProposals(width, stride, anchors)
        self.head = RegionHead(width, n_units, n_classes, stride, align=True)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Any) -> list[Found]:
        maps = self.neck(self.trunk(self.images(x)))
        anchors = self.proposer.grid(maps).to(maps)
        regions = self.proposer.proposals(self.proposer(maps), anchors, self.canvas)
        return self.head.found(maps, regions, self.canvas)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        maps = self.neck(self.trunk(self.images(x)))
        anchors = self.proposer.grid(maps).to(maps)
        said = self.proposer(maps)
        regions = self.proposer.proposals(said, anchors, self.canvas)
        # Objects themselves are regions, too: at first none is proposed.
        true = [own[own[:, 4] >= 0, :4].to(maps) for own in y]
        boxes, there = padded([torch.cat(pair) for pair in zip(regions, true)])
        return {
            **self.proposer.losses(said, anchors, y),
            **self.head.losses(maps, y, boxes, there, self._drawn),
        }

    def _drawn(self, iou: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        positive = there & (iou >= _IS_OBJECT)
        negative = there & (iou < _IS_OBJECT)
        return drawn(positive, negative, _REGIONS, _QUARTER, self.generator)


class FasterRCNNDetector(Detector):
    """Faster R-CNN: one network proposes regions and says what is in them [1]_.

    At each cell of a map anchors of several sizes and shapes are rated, whether they
    are objects, and moved towards them (the region proposal network); the best of
    these regions, without those that share much with a better one, are cut out of the
    same map, and two dense layers say of each what it is and where exactly.

    Parameters
    ----------
    n_scales : int, default=3
        Sizes of anchors: clusters of the roots of the areas of the boxes of `fit`.
    aspect_ratios : tuple of float, default=(0.5, 1.0, 2.0)
        Height by width of anchors: each size has all of them.
    n_units : int, default=256
        Of each of the two dense layers.
    max_epochs : int or "auto", default="auto"
        How often training goes through the images. "auto" are 12 epochs, or as many as
        make 1,600 steps, or see 650 million pixels if these are fewer.
    batch_size : int or "auto", default="auto"
        Images a step; "auto": about 260,000 pixels, 4 to 8 images.
    lr : float, default=1.5e-3
        The learning rate, at its highest.
    gradient_clip : float, default=5.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    anchors_ : ndarray of shape (n_scales * n_ratios, 2)
        Widths and heights in pixels.

    Notes
    -----
    All other parameters and attributes are as in `sknets.YOLODetector`.
    ``net_.history`` has the four parts of the loss: ``train_proposal_object`` and
    ``train_proposal_box`` of the anchors, ``train_class`` and ``train_box`` of the
    regions. An image may have no object: then all that learns is background.

    References
    ----------
    .. [1] S. Ren, K. He, R. Girshick, J. Sun. Faster R-CNN: Towards Real-Time Object
       Detection with Region Proposal Networks. NIPS 2015. Proposals and regions are
       trained together, the paper's approximate joint training, as here. Departures: a
       small network of residual blocks, whose map of stride 4, 8 or 16 (objects are
       below 32 or 64 pixels, or not) a coarser one joins; sizes of anchors are
       learned; anchors that reach beyond the image learn, too; regions are read
       between cells [2]_; 128 anchors and 64 regions an image learn, of the 200 best of
       600, in prediction 150 of 400; objects themselves are among the regions that
       learn.
    .. [2] K. He, G. Gkioxari, P. Dollár, R. Girshick. Mask R-CNN. ICCV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import FasterRCNNDetector
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(30, 48, 48), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 24, size=(30, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append({"boxes": [[x, top, x + 24, top + 20]], "labels": ["sheet"]})
    >>> net = FasterRCNNDetector(max_epochs=9, width=8, random_state=0)
    >>> net.fit(X[:20], y[:20]).evaluate(X[20:], y[20:])["ap50"] > 0.8
    True
    """

    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 8, 2**18

    n_scales: int = param(default=3, at_least=1)
    aspect_ratios: tuple[float, ...] | list = param(default=(0.5, 1.0, 2.0))
    n_units: int = param(default=256, at_least=1)
    lr: float = param(default=1.5e-3, above=0)
    _full_budget = Budget(epochs=12, steps=1600)

    def _learn_boxes(self, rows: np.ndarray, n_images: int) -> None:
        super()._learn_boxes(rows, n_images)
        sizes = np.sqrt((rows[:, 2:4] - rows[:, :2]).prod(1, keepdims=True))
        squares = sizes.repeat(2, 1)
        random = np.random.RandomState(0)
        scales = anchors_of(squares, rows[:, 4], self.n_scales, random)
        ratios = np.sqrt(np.asarray(self.aspect_ratios, dtype=np.float64))
        shapes = np.stack([1 / ratios, ratios], 1)
        self.anchors_ = (scales[:, None] * shapes).reshape(-1, 2)

    def _build(self) -> nn.Module:
        stride = stride_of(self.object_size_)
        return FasterRCNNNet(
            self._parts((stride, 2 * stride)),
            stride,
            self.anchors_,
            len(self.classes_),
            self.n_units,
        )


__all__ = ["FasterRCNNDetector"]
