"""What tasks share whose answers are places in images: masks, joints, boxes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.data import Samples
from sknets._engine.device import GeneratorMode
from sknets._estimator import Estimator
from sknets._inputs import ImageList, UnequalImages
from sknets._inputs.reader import Learned
from sknets._layers import standardize_channels
from sknets._params import param


class InImages(Estimator):
    """Base of such tasks: images as given, y that follows them when they are changed.

    A task names what `augment` may be, in words, and calls what a function that is
    given there gets beside an image.
    """

    _inputs: ClassVar[tuple[Any, ...]] = (UnequalImages,)
    _predict_batch_size: ClassVar[int] = 64
    _augmentations: ClassVar[tuple[str, ...]]
    _beside: ClassVar[str]
    # Least and most images, or windows of them, of a step, and about its pixels.
    _auto_batch: ClassVar[tuple[int, int, int]]

    n_channels_ = Learned()
    spatial_dims_ = Learned()
    channel_axis_ = Learned()
    pixel_unit_ = Learned()

    augment: str | Callable | list | tuple | None = param(default=("flip",))
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )

    def _check_params(self) -> None:
        super()._check_params()
        for kind in self._kinds():
            if not (callable(kind) or kind in self._augmentations):
                names = ", ".join(map(repr, self._augmentations))
                sentence = f"{kind!r} is not one of {names} or a function of an image "
                raise ValueError(
                    self._refusal("augment", f"{sentence}and its {self._beside}")
                )

    def _kinds(self) -> list[Any]:
        """The changes of images, one by one."""
        given = self.augment
        if given is None:
            return []
        return list(given) if isinstance(given, list | tuple) else [given]

    def _trained_size(self) -> tuple[int, ...]:
        """Of the images, or windows of them, that a step trains on."""
        raise NotImplementedError

    def _batch_size(self) -> int:
        least, most, pixels = self._auto_batch
        auto = max(least, min(most, pixels // int(np.prod(self._trained_size()))))
        self.batch_size_ = auto if self.batch_size == "auto" else int(self.batch_size)
        return self.batch_size_

    def _learn_statistics(self, samples: Samples) -> None:
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _standardize(self) -> nn.Module:
        ones = (1,) * self.spatial_dims_
        return standardize_channels(self.x_mean_, self.x_scale_, ones)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


class ImageAugment(nn.Module):
    """Base of changes of images that something in them follows.

    Parameters
    ----------
    kinds : list of str and callables
    scale : ndarray of shape (C,)
        The standard deviations of the channels.
    """

    def __init__(self, kinds: list[Any], scale: np.ndarray):
        super().__init__()
        self.kinds = kinds
        self.scale = torch.from_numpy(np.asarray(scale, np.float32))
        self.generator: torch.Generator | None = None

    def uniform(self, *shape: int) -> Tensor:
        generator = self.generator
        device = "cpu" if generator is None else generator.device
        return torch.rand(*shape, generator=generator, device=device)

    def brightness(self, x: Tensor) -> Tensor:
        """Contrast by up to a fifth, brightness by up to a fifth of a deviation."""
        draw = 0.4 * self.uniform(2, len(x)).to(x) - 0.2
        shape = -1, *[1] * (x.ndim - 1)
        scale = self.scale.to(x).view(1, -1, *[1] * (x.ndim - 2))
        middle = x.mean(tuple(range(2, x.ndim)), keepdim=True)
        contrast, light = 1 + draw[0].view(shape), draw[1].view(shape)
        return middle + (x - middle) * contrast + light * scale

    @contextlib.contextmanager
    def drawing_on_cpu(self) -> Iterator[None]:
        """Within, functions that draw of torch's global generators draw of ours."""
        generator = self.generator or torch.default_generator
        if generator.device.type != "cpu":
            device = generator.device
            seed = torch.randint(2**31, (), generator=generator, device=device)
            generator = torch.Generator().manual_seed(int(seed))
        with GeneratorMode(generator):
            yield


def warped(
    x: ImageList,
    i: int,
    size: Sequence[int],
    turn: Tensor,
    middle: Tensor,
    shift: Tensor,
    fill: Tensor | None = None,
) -> Tensor:
    """(1, C, *size) of an image: a point comes to ``turn @ (point - middle) + shift``.

    Points are (x, y), the middle of the first pixel being (0, 0). Beyond its edges its
    last pixels are repeated, or is ``fill``, (C,).
    """
    own = x.sizes[i]
    image = x.numbers([x.window(i, (0, 0), own)])
    inverse = torch.linalg.inv(turn)
    # In units of half an image, as torch has it.
    half = torch.tensor([own[1] / 2, own[0] / 2], dtype=torch.float64)
    linear = inverse / half[:, None]
    start = (middle + 0.5 - inverse @ (shift + 0.5)) / half - 1
    rows, columns = (torch.arange(side, dtype=torch.float64) + 0.5 for side in size)
    grid = (
        columns[None, :, None] * linear[:, 0]
        + rows[:, None, None] * linear[:, 1]
        + start
    )[None].to(image)
    if fill is None:
        return F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    fill = fill.to(image).view(1, -1, 1, 1)
    return F.grid_sample(image - fill, grid, align_corners=False) + fill


__all__ = ["ImageAugment", "InImages", "warped"]
