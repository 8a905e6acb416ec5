"""Masks: a class for each pixel of an image."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sknets._inputs.layout import Layout
from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._inputs.unequal import ImageList
from sknets._params import param


class Masks(Reader):
    """Arrays of whole numbers, or a list of them, one a pixel.

    What does not count has, as a class, the number after the last one.

    Learned:

    classes_ : ndarray of shape (n_classes,)
        The values that masks have, but for ``ignore_index``.
    """

    name: ClassVar[str] = "masks"

    spatial_dims: int = param(default=2)
    ignore_index: int | None = param(default=None)
    # What `partial_fit` announced.
    announced: Any = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> ImageList:
        masks = self.items(X)
        counted = masks if seen is None else [m for m, k in zip(masks, seen) if k]
        if reset:
            values = self.announced
            if values is None:
                values = np.concatenate([np.unique(mask) for mask in counted])
            found = np.unique(values)
            self.classes_ = found[found != self.ignore_index]
            if len(self.classes_) < 2:
                raise ValueError(
                    f"{self.who} needs at least 2 classes of pixels, got "
                    f"{self.classes_.tolist()}"
                )
        return self.encoded(masks, seen)

    def encoded(self, masks: list[np.ndarray], seen: Any = None) -> ImageList:
        """The numbers of the classes; an unknown value is refused."""
        classes, n = self.classes_, len(self.classes_)
        dtype, layout = np.uint8 if n < 256 else np.int32, Layout(self.spatial_dims, 0)
        codes = []
        for i, mask in enumerate(masks):
            places = np.searchsorted(classes, mask).clip(max=n - 1)
            known = classes[places] == mask
            if self.ignore_index is not None:
                known |= mask == self.ignore_index
                places = np.where(mask == self.ignore_index, n, places)
            if not known.all() and (seen is None or seen[i]):
                strange = np.unique(mask[~known]).tolist()
                raise ValueError(
                    f"{self.who}: y[{i}] has pixels of {on_one_line(strange)}, which "
                    f"are not among the classes of fit, {classes.tolist()}"
                    + ("" if self.ignore_index is not None else _IGNORE)
                )
            codes.append(torch.from_numpy(places.astype(dtype)[None]))
        return ImageList(codes, layout, whole=True)

    def items(self, y: Any) -> list[np.ndarray]:
        """The masks, each with as many axes as an image has without channels."""
        if y is None:
            raise ValueError(
                f"{self.who} requires y to be passed, but the target y is None: give "
                "a mask an image"
            )
        y = y.detach().cpu().numpy() if isinstance(y, Tensor) else y
        dims, masks = self.spatial_dims, []
        for i, given in enumerate(y):
            try:
                mask = np.asarray(given)
            except ValueError:
                mask = np.empty(0, dtype=object)
            if mask.dtype.kind not in "biuf":
                raise ValueError(
                    f"{self.who}: y[{i}] must be a mask of whole numbers, got "
                    f"{on_one_line(given)}"
                )
            for axis in (0, -1):
                if mask.ndim == dims + 1 and mask.shape[axis] == 1:
                    mask = mask.squeeze(axis)
            if mask.ndim != dims or not mask.size:
                raise ValueError(
                    f"{self.who}: y[{i}] must be a mask of {dims} axes, a class for "
                    f"each pixel of X[{i}], got shape {np.shape(given)}"
                )
            if mask.dtype.kind == "f":
                whole = np.isfinite(mask) & (mask == np.floor(mask))
                if not whole.all():
                    raise ValueError(
                        f"{self.who}: y[{i}] holds {mask[~whole][0]}, and masks are "
                        "whole numbers, a class for each pixel"
                    )
                mask = mask.astype(np.int64)
            masks.append(mask)
        return masks


_IGNORE = "; set ignore_index to a value that is to count for nothing"

__all__ = ["Masks"]
