"""Random changes of images in training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.device import GeneratorMode

AUGMENTATIONS = ("flip", "shift", "crop")


class Augment(nn.Module):
    """Random changes of the training images (B, C, *size), drawn for each anew.

    ``augment(x, y)`` gives both; y stays as it is.

    Parameters
    ----------
    kinds : list of str and callables
        "flip": mirrored left to right, every second one; "shift": moved by up to a
        tenth of each side, to whole pixels, the edge filled with zeros; "crop": a
        window of at least four fifths of each side, stretched to the whole; or a
        function of one image (C, *size) that returns another of that shape.
    """

    # The last quarter of training learns what predictions will see.
    share = 0.75

    def __init__(self, kinds: list[Any]):
        super().__init__()
        self.kinds = kinds
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        for kind in self.kinds:
            x = getattr(self, kind)(x) if isinstance(kind, str) else self._each(kind, x)
        return x, y

    def _uniform(self, x: Tensor, *shape: int) -> Tensor:
        return torch.rand(len(x), *shape, generator=self.generator, device=x.device)

    def flip(self, x: Tensor) -> Tensor:
        chosen = self._uniform(x) < 0.5
        return torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)

    def shift(self, x: Tensor) -> Tensor:
        rows = torch.arange(len(x), device=x.device)
        x = x.movedim(1, -1)  # gathering whole pixels is faster, and channels last
        for axis in range(1, x.ndim - 1):
            side = x.shape[axis]
            if side <= 5:
                continue
            moves = ((2 * self._uniform(x) - 1) * side / 10).round().long()
            source = torch.arange(side, device=x.device) + moves[:, None]
            inside = (source >= 0) & (source < side)
            x = x.movedim(axis, 1)
            x = x[rows[:, None], source.clamp_(0, side - 1)]
            x = x * inside.view(*inside.shape, *[1] * (x.ndim - 2))
            x = x.movedim(1, axis)
        return x.movedim(-1, 1)

    def crop(self, x: Tensor) -> Tensor:
        dims = x.ndim - 2
        extent = 1 - 0.2 * self._uniform(x, dims)
        center = (1 - extent) * (2 * self._uniform(x, dims) - 1)
        # affine_grid counts axes from the last one.
        matrix = torch.cat(
            [torch.diag_embed(extent.flip(1)), center.flip(1)[..., None]], 2
        )
        grid = F.affine_grid(matrix.to(x.dtype), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def _each(self, function: Any, x: Tensor) -> Tensor:
        # torchvision's transforms draw from the global stream of the CPU, once for a
        # whole batch.
        generator = self.generator or torch.default_generator
        if generator.device.type != "cpu":
            seed = torch.randint(2**31, (), generator=generator, device=x.device)
            generator = torch.Generator().manual_seed(int(seed))
        with GeneratorMode(generator):
            images = torch.stack([function(image) for image in x.cpu()])
        if images.shape != x.shape:
            raise ValueError(
                f"augment={function!r:.60} must return images of the shape that it is "
                f"given, {tuple(x.shape[1:])}, and returned {tuple(images.shape[1:])}"
            )
        return images.to(x.device)


def augmentations(augment: Any) -> list[Any]:
    if augment is None:
        return []
    return list(augment) if isinstance(augment, list | tuple) else [augment]


def check_augment(estimator: Any) -> None:
    for kind in augmentations(estimator.augment):
        if not (callable(kind) or kind in AUGMENTATIONS):
            raise ValueError(
                estimator._refusal(
                    "augment",
                    f"{kind!r} is not one of {', '.join(map(repr, AUGMENTATIONS))} "
                    "or a function of an image",
                )
            )


__all__ = ["Augment", "augmentations", "check_augment"]
