"""Regions that may be objects, by selective search, and images that carry theirs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from sknets._engine.containers import Index
from sknets._inputs import ImageList
from sknets._params import param
from sknets.detection._augment import DetectionAugment, tabled
from sknets.detection._task import Detector

_USUAL = 48.0  # pixels of an object: smaller ones are enlarged for the search
_LARGEST = 3.0  # times
_FEWEST = 16  # regions an image, below which windows are added
_MOST = 2000
_THINNEST = 3.0  # pixels
_SCALE = 100  # of the search: the larger the fewer regions
# What was found in so many images, as folds, searches of parameters and epochs of
# `partial_fit` ask for the same ones again.
_KNOWN = 4096
_FOUND: dict[bytes, np.ndarray] = {}
_LOCK = threading.Lock()


class ProposedImages(ImageList):
    """Images and their regions: a tensor (n, 4) each, in pixels."""

    proposals: list[Tensor]

    @classmethod
    def of(cls, x: ImageList, proposals: list[Tensor]) -> Self:
        other = cls.__new__(cls)
        other.__dict__.update(vars(x))
        other.proposals = proposals
        return other

    def batch(self, index: Index) -> Self:
        other = super().batch(index)
        chosen = torch.arange(len(self))[index].tolist()
        other.proposals = [self.proposals[i] for i in chosen]
        return other


@dataclass
class ProposedBatch:
    """Changed images on the canvas, (B, C, h, w), and their regions."""

    images: Tensor
    proposals: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)


class ProposedAugment(DetectionAugment):
    """Changes of images that their regions follow, too: as boxes of a class more."""

    def __init__(self, *args: Any, n_classes: int):
        super().__init__(*args)
        self.n_classes = n_classes

    def forward(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        return self._followed(super().forward, x, y)

    def late(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        return self._followed(super().late, x, y)

    def _followed(self, change: Callable, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        rows = [
            torch.cat([own.to(y), own.new_full((len(own), 1), self.n_classes).to(y)], 1)
            for own in x.proposals
        ]
        objects = [own[own[:, 4] >= 0] for own in y]
        both = [torch.cat(pair) for pair in zip(objects, rows)]
        images, y = change(x, tabled(both, y))
        regions = [own[own[:, 4] == self.n_classes, :4] for own in y]
        there = [own[(own[:, 4] >= 0) & (own[:, 4] < self.n_classes)] for own in y]
        return ProposedBatch(images, regions), tabled(there, y)


class ByProposals(Detector):
    """Base of detectors that look at regions which selective search proposes."""

    selective_search: Literal["single", "fast", "quality"] = param(default="fast")

    def _check_params(self) -> None:
        super()._check_params()
        opencv(type(self).__name__)

    def _with_regions(self, x: ImageList) -> ProposedImages:
        search = opencv(type(self).__name__)
        factor = min(_LARGEST, max(1.0, _USUAL / self.object_size_))
        proposals = []
        for i, size in enumerate(x.sizes):
            image = as_bytes(x, i, self.pixel_unit_ == "raw")
            boxes = searched(search, image, self.selective_search, factor)
            if len(boxes) < _FEWEST:
                boxes = np.concatenate([boxes, windows(size, self.object_size_)])
            proposals.append(torch.tensor(boxes, dtype=torch.float32))
        return ProposedImages.of(x, proposals)

    def _augmentation(self) -> Any:
        return self._augmentation_as(ProposedAugment)

    def _augmentation_as(self, cls: type[ProposedAugment]) -> ProposedAugment | None:
        if not self._kinds():
            return None
        plain = super()._augmentation()
        return cls(
            plain.size,
            plain.kinds,
            self.x_mean_,
            self.x_scale_,
            self.pixel_unit_ != "raw",
            n_classes=len(self.classes_),
        )


def opencv(who: str) -> Any:
    """OpenCV, with its further modules."""
    try:
        import cv2

        if hasattr(cv2, "ximgproc"):
            return cv2
    except ImportError:
        pass
    raise ImportError(
        f"{who} looks for regions by OpenCV's selective search, which is not "
        'installed: pip install "sknets[vision]"'
    )


def as_bytes(x: ImageList, i: int, stretched: bool) -> np.ndarray:
    """(h, w, 3) of an image, as OpenCV has colours; no colours are grey.

    ``stretched``: from the least to the largest of its numbers, whose unit is unknown.
    """
    image = x.numbers([x.window(i, (0, 0), x.sizes[i])])[0].cpu().float()
    if stretched:
        low, high = image.min(), image.max()
        image = (image - low) / (high - low).clamp(min=1e-12)
    image = (255 * image).round().clamp(0, 255).to(torch.uint8)
    if len(image) != 3:
        image = image.float().mean(0, keepdim=True).to(torch.uint8).expand(3, -1, -1)
    return np.ascontiguousarray(image.flip(0).permute(1, 2, 0).numpy())


def searched(cv2: Any, image: np.ndarray, kind: str, factor: float) -> np.ndarray:
    """Selective search in an enlarged image: boxes (n, 4), sorted.

    Segments of the image are joined, the most alike first, by their colours, textures,
    sizes and how well they fill their box; a region is what was joined.
    """
    height, width = image.shape[:2]
    if factor > 1:
        sides = round(factor * width), round(factor * height)
        image = cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR)
    about = repr((image.shape, kind, factor)).encode()
    known = hashlib.sha256(about + image.tobytes()).digest()
    with _LOCK:
        if known in _FOUND:
            return _FOUND[known]
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(image)
    if kind == "single":
        search.switchToSingleStrategy(_SCALE, 0.8)
    elif kind == "fast":
        search.switchToSelectiveSearchFast(_SCALE, _SCALE, 0.8)
    else:
        search.switchToSelectiveSearchQuality(_SCALE, _SCALE, 0.8)
    # Which they are is certain; their order comes of the random numbers of C.
    found = np.unique(np.asarray(search.process()).reshape(-1, 4), axis=0)
    low, size = found[:, :2].astype(float), found[:, 2:].astype(float)
    ratio = np.array([width / image.shape[1], height / image.shape[0]])
    boxes = np.concatenate([low * ratio, (low + size) * ratio], 1)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) >= _THINNEST).all(1)]
    if len(boxes) > _MOST:
        rows = np.random.RandomState(0).permutation(len(boxes))[:_MOST]
        boxes = boxes[np.sort(rows)]
    boxes.setflags(write=False)
    with _LOCK:
        if len(_FOUND) >= _KNOWN:
            del _FOUND[next(iter(_FOUND))]
        _FOUND[known] = boxes
    return boxes


def windows(size: Sequence[int], side: float) -> np.ndarray:
    """Squares of a side, wide and high boxes of its area, half over each other."""
    found = []
    for ratio in (0.5, 1.0, 2.0):
        shape = np.array([side / np.sqrt(ratio), side * np.sqrt(ratio)])
        whole = np.array(size[::-1], dtype=float)
        shape = np.minimum(shape, whole)
        counts = np.ceil(2 * (whole - shape) / shape).astype(int) + 1
        axes = map(np.linspace, (0, 0), whole - shape, counts)
        low = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
        found.append(np.concatenate([low, low + shape], 1))
    return np.concatenate(found)


__all__ = [
    "ByProposals",
    "ProposedAugment",
    "ProposedBatch",
    "ProposedImages",
    "as_bytes",
    "opencv",
    "searched",
    "windows",
]
