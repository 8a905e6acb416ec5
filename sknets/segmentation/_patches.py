"""Windows of images and masks: random ones to train on, tiles to predict by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sknets._engine.device import GeneratorMode
from sknets._inputs import ImageList

AUGMENTATIONS = ("flip", "turn", "brightness")


class PatchAugment(nn.Module):
    """A random window of each image and its mask, both changed in one way.

    Parameters
    ----------
    size : tuple of int
        Of the windows; smaller images, and their masks, are mirrored at their edges.
    kinds : list of str and callables
        See `sknets.UNetSegmenter`.
    scale : ndarray of shape (C,)
        The standard deviations of the channels.
    """

    def __init__(self, size: tuple[int, ...], kinds: list[Any], scale: np.ndarray):
        super().__init__()
        self.size, self.kinds = size, kinds
        self.scale = torch.from_numpy(np.asarray(scale, np.float32))
        self.generator: torch.Generator | None = None

    def forward(self, x: ImageList, y: Any) -> tuple[Tensor, Any]:
        several = isinstance(y, tuple)
        parts = (x, *(y if several else (y,)))
        draws = self._uniform(len(x), 3 + len(self.size)).cpu()
        windows: list[list[Tensor]] = [[] for _ in parts]
        for i, (own, draw) in enumerate(zip(x.sizes, draws.tolist())):
            room = [max(0, side - n) for side, n in zip(own, self.size)]
            start = [int(u * (free + 1)) for u, free in zip(draw, room)]
            change = self._moves(draw[len(self.size) :])
            for part, found in zip(parts, windows):
                found.append(change(part.window(i, start, self.size)))
        grids = [part.numbers(found) for part, found in zip(parts, windows)]
        if "brightness" in self.kinds:
            grids[0] = self._brightness(grids[0])
        for kind in self.kinds:
            if callable(kind):
                grids = self._each(kind, grids)
        image, *masks = grids
        return image, tuple(masks) if several else masks[0]

    def _uniform(self, *shape: int) -> Tensor:
        generator = self.generator
        device = "cpu" if generator is None else generator.device
        return torch.rand(*shape, generator=generator, device=device)

    def _moves(self, draw: Sequence[float]) -> Callable[[Tensor], Tensor]:
        """The flips and quarter turns of a window, as numbers within [0, 1) say."""
        square = self.size[-1] == self.size[-2]
        turns = int(4 * draw[0]) if square else 2 * int(2 * draw[0])
        flips = [-1] * (draw[1] < 0.5) * ("flip" in self.kinds)
        if len(self.size) == 3 and "turn" in self.kinds:  # a volume has no upside
            flips += [-3] * (draw[2] < 0.5)

        def change(window: Tensor) -> Tensor:
            if turns and "turn" in self.kinds:
                window = window.rot90(turns, (-2, -1))
            return window.flip(flips) if flips else window

        return change

    def _brightness(self, x: Tensor) -> Tensor:
        """Contrast by up to a fifth, brightness by up to a fifth of a deviation."""
        draw = 0.4 * self._uniform(2, len(x)).to(x) - 0.2
        shape = -1, *[1] * (x.ndim - 1)
        scale = self.scale.to(x).view(1, -1, *[1] * (x.ndim - 2))
        middle = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        contrast, light = 1 + draw[0].view(shape), draw[1].view(shape)
        return middle + (x - middle) * contrast + light * scale

    def _each(self, function: Any, grids: list[Tensor]) -> list[Tensor]:
        """A function of one image and its mask, such as torchvision's v2 transforms."""
        from torchvision import tv_tensors

        device, image, *masks = grids[0].device, *grids
        generator = self.generator or torch.default_generator
        if generator.device.type != "cpu":
            generator = torch.Generator().manual_seed(
                int(torch.randint(2**31, (), generator=generator, device=device))
            )
        rows = []
        with GeneratorMode(generator):
            for i in range(len(image)):
                mask = torch.cat([part[i].cpu() for part in masks])
                own = tv_tensors.Image(image[i].cpu()), tv_tensors.Mask(mask)
                found, moved = function(*own)
                if found.shape != own[0].shape or moved.shape != own[1].shape:
                    raise ValueError(
                        f"augment={function!r:.60} must return an image and a mask of "
                        f"the shapes that it is given, {tuple(own[0].shape)} and "
                        f"{tuple(own[1].shape)}, and returned {tuple(found.shape)} and "
                        f"{tuple(moved.shape)}"
                    )
                rows.append((torch.as_tensor(found), torch.as_tensor(moved)))
        images, moved = (torch.stack(each).to(device) for each in zip(*rows))
        cut = moved.split(1, 1)
        return [images, *(part.to(own) for part, own in zip(cut, masks))]


def reach_of(module: nn.Module, image: Tensor) -> int:
    """How far a pixel of the output sees, in pixels: an upper bound.

    A layer whose input is a j-th of the image's size sees j times its kernel.
    """
    seen, side = [0.0], image.shape[-1]

    def add(layer: Any, inputs: Any, output: Any) -> None:
        kernel, dilation = np.max(layer.kernel_size), np.max(layer.dilation)
        coarse = min(inputs[0].shape[-1], output.shape[-1])
        seen[0] += side / coarse * dilation * (kernel - 1)

    layers = [each for each in module.modules() if hasattr(each, "kernel_size")]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    training = module.training
    module.eval()
    with torch.inference_mode():
        module(image)
    module.train(training)
    for hook in hooks:
        hook.remove()
    return math.ceil(seen[0] / 2)


def rounded(size: Sequence[int], stride: int) -> tuple[int, ...]:
    """The next extents that a network of a stride takes."""
    return tuple(-(-side // stride) * stride for side in size)


def tiles(
    size: Sequence[int], tile: int, margin: int
) -> Iterator[tuple[list[int], list[int], tuple[slice, ...], tuple[slice, ...]]]:
    """Cut an extent into tiles that see their surroundings.

    Parameters
    ----------
    size : sequence of int
    tile : int
        The side of what each tile decides.
    margin : int
        What it sees around that, a multiple of the network's stride as ``tile`` is.

    Yields
    ------
    start, extent : list of int
        What the tile sees.
    inner : tuple of slice
        What it decides, within what it sees.
    outer : tuple of slice
        The same within the whole.
    """
    for corner in itertools.product(*(range(0, side, tile) for side in size)):
        ends = [min(first + tile, side) for first, side in zip(corner, size)]
        start = [max(0, first - margin) for first in corner]
        stop = [min(side, end + margin) for end, side in zip(ends, size)]
        outer = tuple(map(slice, corner, ends))
        inner = tuple(
            slice(first - s, end - s) for first, end, s in zip(corner, ends, start)
        )
        yield start, [b - a for a, b in zip(start, stop)], inner, outer


__all__ = ["AUGMENTATIONS", "PatchAugment", "reach_of", "rounded", "tiles"]
