"""Changes of images that boxes follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sknets._in_images import ImageAugment, warped
from sknets._inputs import ImageList
from sknets.detection._boxes import areas
from sknets.detection._canvas import on_canvas

AUGMENTATIONS = ("flip", "scale", "shift", "mosaic", "crop", "brightness", "color")
_MOVES = {"flip", "scale", "shift"}
_SCALES = 0.75, 4 / 3
_BEYOND = 0.1  # of the canvas, as far as a shift may move an image beyond its edges
_LEAST = 0.3  # of a box has to be seen, or it is no longer an object
_COLORS = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.4, "hue": 0.03}


class DetectionAugment(ImageAugment):
    """Images on one canvas and their boxes, each pair changed at random.

    Parameters
    ----------
    size : tuple of int
        Of the canvas: (height, width).
    kinds : list of str and callables
        See `sknets.YOLODetector`.
    mean, scale : ndarray of shape (C,)
        Of the channels; the mean is beyond an image.
    unit : bool
        Whether images are numbers within [0, 1], whose colours can be changed.
    """

    # The last epochs see each pixel as it is.
    share = 0.8

    def __init__(
        self,
        size: tuple[int, ...],
        kinds: list[Any],
        mean: np.ndarray,
        scale: np.ndarray,
        unit: bool,
    ):
        super().__init__(kinds, scale)
        self.size, self.colored = size, unit and len(mean) == 3
        self.mean = torch.from_numpy(np.asarray(mean, np.float32))
        self.brightens = "brightness" in kinds or "color" in kinds

    def forward(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        kinds = {kind for kind in self.kinds if isinstance(kind, str)}
        # Half of the batches, as all images of one need the others'.
        if "mosaic" in kinds and self.uniform(1).item() < 0.5:
            images, y = self._mosaic(x, y)
        elif "crop" in kinds:
            images, y = self._cropped(x, y)
        elif kinds & _MOVES:
            size = torch.tensor(self.size[::-1], dtype=torch.float64)
            pairs = [
                self._moved(x, i, y[i], draw, size)
                for i, draw in enumerate(self.uniform(len(x), 4).double().cpu())
            ]
            images, y = _joined(pairs, y)
        else:
            images = on_canvas(x, self.size, self.mean)
        if "color" in kinds and self.colored:
            images = self._recolored(images)
        elif self.brightens:
            images = self.brightness(images)
        for kind in self.kinds:
            if callable(kind):
                images, y = self._each(kind, images, y)
        return images, y

    def late(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        """Changes that leave pixels whole, so that edges are seen where they are."""
        images = on_canvas(x, self.size, self.mean)
        if self.brightens:
            images = self.brightness(images)
        fill = self.mean.to(images).view(-1, 1, 1)
        size = torch.tensor(self.size[::-1], dtype=torch.float64)
        pairs = []
        for image, own, draw in zip(images, y, self.uniform(len(x), 3).double().cpu()):
            signs, step = torch.ones_like(size), torch.zeros_like(size)
            if "flip" in self.kinds and draw[0] < 0.5:
                image, signs[0] = image.flip(-1), -1
            if "shift" in self.kinds:
                step = ((2 * draw[1:] - 1) * _BEYOND * size).round()
                right, down = step.int().tolist()
                image = F.pad(image - fill, (right, -right, down, -down)) + fill
            middle = (size - 1) / 2
            rows = moved_boxes(own, signs, middle, middle + step, size)
            pairs.append((image[None], rows))
        return _joined(pairs, y)

    def _moved(
        self, x: ImageList, i: int, y: Tensor, draw: Tensor, size: Tensor
    ) -> tuple[Tensor, Tensor]:
        """An image and its boxes, scaled, mirrored and put elsewhere."""
        side = torch.tensor(x.sizes[i][::-1], dtype=torch.float64)
        middle, factor = (side - 1) / 2, torch.ones((), dtype=torch.float64)
        if "scale" in self.kinds:
            least, most = map(math.log, _SCALES)
            factor = torch.exp(least + (most - least) * draw[0])
        signs = torch.tensor([1.0, 1.0], dtype=torch.float64)
        if "flip" in self.kinds and draw[1] < 0.5:
            signs[0] = -1
        # About its own middle, or anywhere it fits (or fills) the canvas, nearly.
        shift = middle
        if "shift" in self.kinds:
            ends = torch.stack([torch.zeros(2, dtype=size.dtype), size - factor * side])
            low, high = ends.amin(0) - _BEYOND * size, ends.amax(0) + _BEYOND * size
            shift = low + (high - low) * draw[2:] + factor * side / 2 - 0.5
        turn = torch.diag(signs * factor)
        image = warped(x, i, self.size, turn, middle, shift, self.mean)
        return image, moved_boxes(y, signs * factor, middle, shift, size)

    def _mosaic(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        """Four images about a point, each a quarter of it and with a scale."""
        n = len(x)
        size = torch.tensor(self.size[::-1], dtype=torch.float64)
        others = torch.stack([torch.arange(n)] + [self._order(n) for _ in range(3)], 1)
        draws = self.uniform(n, 2 + 4 * 2).double().cpu()
        pairs = []
        for own, draw in zip(others.tolist(), draws):
            point = (size * (0.3 + 0.4 * draw[:2])).round()
            canvas = on_canvas(x.batch(slice(own[0], own[0] + 1)), self.size, self.mean)
            boxes = []
            for quarter, i in enumerate(own):
                right, down = quarter % 2, quarter // 2
                side = torch.tensor(x.sizes[i][::-1], dtype=torch.float64)
                middle, u = (side - 1) / 2, draw[2 + 2 * quarter : 4 + 2 * quarter]
                factor = 0.6 + 0.6 * u[0]
                signs = torch.tensor([1.0, 1.0], dtype=torch.float64)
                if "flip" in self.kinds and u[1] < 0.5:
                    signs[0] = -1
                # A corner of the image touches the point.
                way = torch.tensor([2.0 * right - 1, 2.0 * down - 1]).double()
                shift = point - 0.5 + way * factor * side / 2
                scale = signs * factor
                low = torch.stack([point[0] * right, point[1] * down])
                high = torch.where(torch.tensor([right, down]) > 0, size, point)
                (left, top), (end, bottom) = low.int().tolist(), high.int().tolist()
                part, turn = (bottom - top, end - left), torch.diag(scale)
                image = warped(x, i, part, turn, middle, shift - low, self.mean)
                canvas[..., top:bottom, left:end] = image
                boxes.append(moved_boxes(y[i], scale, middle, shift, high, low))
            pairs.append((canvas, torch.cat(boxes)))
        return _joined(pairs, y)

    def _order(self, n: int) -> Tensor:
        return self.uniform(n).argsort().cpu()

    def _cropped(self, x: ImageList, y: Tensor) -> tuple[Tensor, Tensor]:
        """SSD's windows, which share enough with an object, as large as the canvas."""
        from torchvision.transforms import v2

        crop, flip = v2.RandomIoUCrop(), v2.RandomHorizontalFlip()
        changes = [crop, v2.Resize(list(self.size), antialias=True)]
        changes += [flip] * ("flip" in self.kinds)
        whole = on_canvas(x, self.size, self.mean)
        return self._each(v2.Compose(changes), whole, y)

    def _recolored(self, x: Tensor) -> Tensor:
        from torchvision.transforms import v2

        change = v2.ColorJitter(**_COLORS)
        with self.drawing_on_cpu():
            return torch.stack([change(image) for image in x.clamp(0, 1)])

    def _each(self, function: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A function of an image and its objects, such as those of torchvision.v2."""
        from torchvision import tv_tensors

        size, pairs = tuple(x.shape[2:]), []
        with self.drawing_on_cpu():
            for image, own in zip(x.cpu(), y.cpu()):
                there = own[own[:, 4] >= 0]
                boxes = tv_tensors.BoundingBoxes(
                    there[:, :4], format="XYXY", canvas_size=size
                )
                target = {"boxes": boxes, "labels": there[:, 4].long()}
                found, objects = function(tv_tensors.Image(image), target)
                boxes, labels = objects["boxes"], objects["labels"]
                if found.shape != image.shape or boxes.shape != (len(labels), 4):
                    raise ValueError(
                        f"augment={function!r:.60} must return an image of the shape "
                        f'that it is given, {tuple(image.shape)}, and {{"boxes": (k, '
                        f'4), "labels": (k,)}}; it returned {tuple(found.shape)}, '
                        f"{tuple(boxes.shape)} and {tuple(labels.shape)}"
                    )
                rows = torch.cat([torch.as_tensor(boxes), labels[:, None]], 1)
                rows = rows[areas(rows[:, :4]) > 0].to(y.dtype)
                pairs.append((torch.as_tensor(found)[None], rows))
        images, y = _joined(pairs, y)
        return images.to(x), y


def moved_boxes(
    y: Tensor, scale: Tensor, middle: Tensor, shift: Tensor, high: Any, low: Any = None
) -> Tensor:
    """The rows (k, 5) whose boxes are seen within a window, cut off at its edges.

    Boxes are in edges of pixels, `warped`'s points in their middles.
    """
    # By numpy, which is quicker than torch where numbers are few.
    rows = y.to("cpu", torch.float64).numpy()
    rows = rows[rows[:, 4] >= 0]
    by, about, to, end = (each.numpy() for each in (scale, middle, shift, high))
    corners = (rows[:, :4].reshape(-1, 2, 2) - 0.5 - about) * by + to + 0.5
    corners.sort(1)
    start = np.zeros(2) if low is None else low.numpy()
    cut = corners.clip(start, end)
    area = (cut[:, 1] - cut[:, 0]).prod(1)
    seen = area >= _LEAST * (corners[:, 1] - corners[:, 0]).prod(1)
    # What has labels alone has no place to be seen at, and keeps them.
    kept = (seen & (area > 1)) | np.isnan(rows[:, 0])
    rows[:, :4] = cut.reshape(-1, 4)
    return torch.from_numpy(rows[kept])


def _joined(pairs: list[tuple[Tensor, Tensor]], y: Tensor) -> tuple[Tensor, Tensor]:
    """A batch of images and of their rows."""
    return torch.cat([image for image, _ in pairs]), tabled([r for _, r in pairs], y)


def tabled(rows: list[Tensor], y: Tensor) -> Tensor:
    """Rows (k, 5) of each image as `padded_boxes` has them."""
    most = max(1, *map(len, rows))
    table = y.new_full((len(rows), most, 5), torch.nan)
    table[..., 4] = -1
    for of_image, own in zip(table, rows):
        of_image[: len(own)] = own.to(y)
    return table


__all__ = ["AUGMENTATIONS", "DetectionAugment", "moved_boxes", "tabled"]
