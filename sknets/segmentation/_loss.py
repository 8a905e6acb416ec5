"""The losses of a class for each pixel, and what weighs pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from sknets._inputs import ImageList

GAMMA = 2.0  # of the focal loss, as in its paper


class PixelLoss(nn.Module):
    """A loss of scores (B, K, *size) for masks, a mean over the pixels of each image.

    Parameters
    ----------
    kind : str
        See `sknets.UNetSegmenter`.
    class_weight : ndarray of shape (K,) or None
    """

    class_weight: Tensor | None

    def __init__(self, kind: str, n_classes: int, class_weight: np.ndarray | None):
        super().__init__()
        self.kind, self.n_classes = kind, n_classes
        weight = None if class_weight is None else torch.from_numpy(class_weight)
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(self, output: Tensor, y: Any, weight: Tensor | None = None) -> Tensor:
        losses = self.each(output, y)
        return (losses if weight is None else losses * weight).mean()

    def each(self, output: Tensor, y: Any) -> Tensor:  # (B,)
        """Of each image; 0 of one without a pixel that counts."""
        codes, borders = masks_of(y, output.shape[2:], self.n_classes)
        output = output.float() if output.dtype == torch.bfloat16 else output
        there = codes < self.n_classes
        weights = there.to(output.dtype)
        if self.class_weight is not None:
            by_class = self.class_weight.to(output.device, output.dtype)
            weights = weights * F.pad(by_class, (0, 1))[codes]
        if borders is not None:
            weights = weights + there * borders.to(output.dtype)
        total: Any = 0.0
        if self.kind != "dice":
            # Pixels that do not count may be of any class.
            losses = F.cross_entropy(output, codes * there, reduction="none")
            if self.kind == "focal":
                losses = losses * (1 - (-losses).exp()) ** GAMMA
            sums = weights.flatten(1).sum(1)
            mean = (losses * weights).flatten(1).sum(1) / sums.clamp(min=1e-8)
            total = total + mean
        if "dice" in self.kind:
            total = total + self._dice(output.softmax(1), codes, weights)
        return total

    def _dice(self, p: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
        """One less the mean over the classes of an image, of soft counts."""
        truth = F.one_hot(codes, self.n_classes + 1)[..., :-1].movedim(-1, 1)
        p = p * weights[:, None]
        truth = truth * weights[:, None]
        both, sums = (p * truth).flatten(2).sum(2), (p + truth).flatten(2).sum(2)
        known = truth.flatten(2).sum(2) > 0
        dice = torch.where(known, 2 * both / sums.clamp(min=1e-8), 0.0)
        n = known.sum(1)
        return torch.where(n > 0, 1 - dice.sum(1) / n.clamp(min=1), 0.0)


def class_weights(
    refusal: Callable[[str, str], str],
    given: dict[Any, float] | str | None,
    names: list[Any],
    masks: ImageList,
    weights: np.ndarray | None,
) -> np.ndarray | None:
    """A weight for the pixels of each class, None for equal ones.

    "balanced" is as in scikit-learn, of pixels weighed by their images.
    """
    if given is None:
        return None
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                sentence = f"{name!r} is not one of the classes {names}"
                raise ValueError(refusal("class_weight", sentence))
        return np.array([float(given.get(name, 1.0)) for name in names])
    counts = np.zeros(len(names) + 1)
    weights = np.ones(len(masks)) if weights is None else weights
    for mask, w in zip(masks.images, weights):
        counts += w * np.bincount(mask.numpy().ravel(), minlength=len(counts))
    counts = counts[:-1]
    return counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1))


def masks_of(y: Any, size: Any, n_classes: int) -> tuple[Tensor, Tensor | None]:
    """(B, *size) of classes, and of weights if there are any.

    What is no pixel, or is not to count, has the number of no class, ``n_classes``.
    """
    parts = y if isinstance(y, tuple) else (y,)
    codes, *borders = (
        part.stacked(size, fill) if isinstance(part, ImageList) else part
        for part, fill in zip(parts, (n_classes, 0))
    )
    return codes[:, 0], borders[0][:, 0] if borders else None


def border_weights(codes: np.ndarray, background: int, sigma: float) -> np.ndarray:
    """How near each background pixel is to two objects: equation 2 of U-Net's paper.

    ``exp(-(d1 + d2)² / (2 sigma²))``, where d1 and d2 are the distances to the nearest
    object and the second nearest. Objects are the connected parts of each class.

    Parameters
    ----------
    codes : ndarray of int
        The classes of the pixels; those above all classes do not count.
    background : int
    sigma : float
        In pixels.

    Returns
    -------
    weights : float32 ndarray of the shape of codes
    """
    objects, n = np.zeros(codes.shape, np.int32), 0
    for value in np.unique(codes):
        if value != background:
            found, count = ndimage.label(codes == value)
            objects[found > 0] = found[found > 0] + n
            n += count
    weights = np.zeros(codes.shape, np.float32)
    if n < 2:
        return weights
    options: Any = {"return_indices": True}
    nearest, places = ndimage.distance_transform_edt(objects == 0, **options)
    owner = objects[tuple(places)]
    reach = int(np.ceil(4 * sigma))  # beyond it the weight is below 0.001
    for i, box in enumerate(ndimage.find_objects(owner), 1):
        wide = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in box)
        mine, others = owner[wide] == i, objects[wide]
        others = (others > 0) & (others != i)
        if others.any():
            second = ndimage.distance_transform_edt(~others)
            power = -((nearest[wide] + second) ** 2) / (2 * sigma**2)
            there = mine & (codes[wide] == background)
            weights[wide][there] = np.exp(power[there])
    return weights


__all__ = ["PixelLoss", "border_weights", "masks_of"]
