"""Fast R-CNN: one map of an image, of which each proposed region is a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sknets._engine.optim import Budget
from sknets._params import param
from sknets.detection._boxes import Found
from sknets.detection._nets import CanvasNet
from sknets.detection._proposals import ByProposals, ProposedBatch
from sknets.detection._regions import Neck, RegionHead, drawn, padded, stride_of

_REGIONS, _QUARTER = 64, 0.25  # regions of an image that learn, objects at most
_IS_OBJECT = 0.5  # the intersection over union of a region that learns an object


class FastRCNNNet(CanvasNet):
    """A trunk, and a head for given regions of its map.

    Parameters
    ----------
    parts : as of `CanvasNet`
    stride : int
        Of the map, which a coarser one joins.
    n_classes, n_units : int
    """

    def __init__(self, parts: Sequence[Any], stride: int, n_classes: int, n_units: int):
        super().__init__(*parts)
        self.generator: torch.Generator | None = None
        self.neck = Neck(self.widths, stride)
        self.head = RegionHead(self.neck.width, n_units, n_classes, stride, align=False)
        self.to(memory_format=torch.channels_last)

    def maps(self, x: Any) -> Tensor:
        images = x.images if isinstance(x, ProposedBatch) else x
        return self.neck(self.trunk(self.images(images)))

    def forward(self, x: Any) -> list[Found]:
        maps = self.maps(x)
        regions = [own.to(maps) for own in x.proposals]
        return self.head.found(maps, regions, self.canvas)

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        maps = self.maps(x)
        # Objects themselves are regions, too.
        true = [own[own[:, 4] >= 0, :4].to(maps) for own in y]
        regions = [torch.cat([a.to(maps), b]) for a, b in zip(x.proposals, true)]
        boxes, there = padded(regions)
        return self.head.losses(maps, y, boxes, there, self._drawn)

    def _drawn(self, iou: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        positive = there & (iou >= _IS_OBJECT)
        negative = there & (iou < _IS_OBJECT)
        return drawn(positive, negative, _REGIONS, _QUARTER, self.generator)


class FastRCNNDetector(ByProposals):
    """Fast R-CNN: proposed regions are parts of one map of the image [1]_.

    Selective search [2]_ proposes regions, and the network sees an image once. Each
    region of its map is pooled to 7 x 7 cells, of which two dense layers say what it is
    and where exactly.

    Parameters
    ----------
    selective_search : {"single", "fast", "quality"}, default="fast"
        How many ways of joining segments are tried: the more, the more regions, and
        the longer it takes (about 1 to 7 to 27).
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

    Raises
    ------
    ImportError
        Where OpenCV's further modules are not installed, the extra "vision".

    Notes
    -----
    The other parameters and attributes that it has are as in
    `sknets.YOLODetector`.

    Regions are looked for once for each image, in `fit` and in prediction, which takes
    longer than the network does. They follow the changes of ``augment``; a function
    that is given there gets them, too, as boxes with the label ``len(classes_)``.
    Images are enlarged for the search, up to 3 times, where the usual object is smaller
    than 48 pixels; where it finds fewer than 16 regions, windows of the size of the
    usual object are added; of more than 2,000 as many are drawn.
    ``net_.history`` has the parts of the loss: ``train_class`` and ``train_box``.

    References
    ----------
    .. [1] R. Girshick. Fast R-CNN. ICCV 2015. Departures: a small network of residual
       blocks, whose map of stride 4, 8 or 16 (objects are below 32 or 64 pixels, or
       not) a coarser one joins; 64 regions an image learn, a quarter of them objects,
       and the background is drawn of all that share less than half with one; objects
       themselves are among the regions that learn.
    .. [2] J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders. Selective Search for
       Object Recognition. IJCV 104, 2013. That of OpenCV.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import FastRCNNDetector
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(30, 48, 48), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 24, size=(30, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append({"boxes": [[x, top, x + 24, top + 20]], "labels": ["sheet"]})
    >>> net = FastRCNNDetector(max_epochs=4, width=8, random_state=0)
    >>> net.fit(X[:20], y[:20]).evaluate(X[20:], y[20:])["ap50"] > 0.8
    True
    """

    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 8, 2**18

    n_units: int = param(default=256, at_least=1)
    lr: float = param(default=1.5e-3, above=0)
    _full_budget = Budget(epochs=12, steps=1600)

    def _build(self) -> nn.Module:
        stride = stride_of(self.object_size_)
        parts = self._parts((stride, 2 * stride))
        return FastRCNNNet(parts, stride, len(self.classes_), self.n_units)


__all__ = ["FastRCNNDetector"]
