"""What detection and localisation share: images on a canvas, boxes as y."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from sknets._backbones import check_backbone, imagenet_statistics, load_weights
from sknets._engine.collect import parts_of
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._in_images import InImages
from sknets._inputs import ImageList, rounded
from sknets._inputs.boxes import Boxes, padded_boxes, refuse_beyond
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._targets import given_target
from sknets._trunk import make_trunk
from sknets.detection._anchors import usual_scales
from sknets.detection._augment import AUGMENTATIONS, DetectionAugment
from sknets.detection._canvas import fitted

# "auto": the longer side of the canvas, as small as it may be where the smallest usual
# objects have so many pixels there.
_SIDE, _OBJECT = (256, 416), 48
_SEEN = 650_000_000  # pixels that a fit looks at where there are few images, at most
_STRIDE = 32  # of the coarsest map of any of the networks


class BoxTask(InImages):
    """Base of tasks whose y is boxes, and what is in them."""

    _targets: ClassVar[tuple[Any, ...]] = (Boxes,)
    _augmentations: ClassVar[tuple[str, ...]] = AUGMENTATIONS
    _beside: ClassVar[str] = "boxes"
    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 16, 2**18

    # The least score of what `plot` draws.
    _drawn: ClassVar[float] = 0.5

    classes_ = Learned("target_reader_")

    width: int = param(default=16, at_least=1)
    depth: int = param(default=1, at_least=0)
    backbone: str | None = param(default=None)
    weights: str | None = param(default=None)
    freeze_backbone: bool = param(default=False)
    image_size: int | tuple[int, ...] | Literal["auto"] = param(
        default="auto", at_least=32
    )
    augment: Any = param(default=("flip", "scale", "shift", "mosaic", "brightness"))
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=5e-4, at_least=0)
    gradient_clip: float | None = param(default=5.0, above=0)
    ema_decay: float | None = param(default=None, above=0, below=1)
    _full_budget: ClassVar[Budget] = Budget(epochs=40, steps=1500)

    def plot(self, image: Any, prediction: Any = None, *, ax: Any = None) -> Any:
        """Draw boxes over an image.

        Parameters
        ----------
        image : array-like of shape (height, width[, channels])
        prediction : dict, default=None
            As `predict` gives it; None: what is found in the image.
        ax : matplotlib Axes, default=None

        Returns
        -------
        display : DetectionDisplay
        """
        from sknets.detection._display import DetectionDisplay

        options = {"threshold": self._drawn, "ax": ax}
        if prediction is None:
            return DetectionDisplay.from_estimator(self, [image], **options)
        return DetectionDisplay.from_predictions([image], [prediction], **options)

    @staticmethod
    def to_frame(predictions: Any) -> Any:
        """Return predictions as a table, a row a box.

        Parameters
        ----------
        predictions : list of dict
            As `predict` gives them, or as the y of `fit`.

        Returns
        -------
        frame : DataFrame
            Columns image (its position), label, score (if there are some), left, top,
            right, bottom.
        """
        import pandas as pd

        rows = []
        for i, each in enumerate(predictions):
            own = pd.DataFrame(
                np.asarray(each["boxes"], float).reshape(-1, 4),
                columns=["left", "top", "right", "bottom"],
            )
            if "scores" in each:
                own.insert(0, "score", np.asarray(each["scores"], float))
            own.insert(0, "label", np.asarray(each["labels"]).tolist())
            own.insert(0, "image", i)
            rows.append(own)
        filled = [own for own in rows if len(own)] or rows[:1]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()

    # -- for the engine ----------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        check_backbone(self)

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, spatial_dims=2)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if not reset:
            return padded_boxes(self.target_reader_.read(y))
        reader = self._make_target_reader(classes)
        found = reader.learn(y, None if weight is None else weight > 0)
        self.target_reader_ = reader
        return padded_boxes(found)

    def _make_target_reader(self, classes: Any) -> Boxes:
        return Boxes.of(self, announced=classes)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        values = samples.y.values.cpu().numpy()
        there = [own[own[:, 4] >= 0] for own in values]
        refuse_beyond(type(self).__name__, samples.x.sizes, there)
        if reset:
            self.canvas_size_ = self._canvas(samples.x.largest, learned_boxes(samples))
        samples.x, scales = fitted(samples.x, self.canvas_size_)
        samples.y.values[..., :4] *= torch.from_numpy(scales)[:, None, None].to(
            samples.y.values
        )
        if reset:
            self._learn_boxes(learned_boxes(samples), len(samples))
        samples.x = self._with_regions(samples.x)
        return samples

    def _with_regions(self, x: ImageList) -> ImageList:
        """Images on the canvas, with what else of them the network needs."""
        return x

    def _in_pieces(
        self, x: ImageList, function: Any = None
    ) -> Iterator[tuple[np.ndarray, Any, np.ndarray]]:
        """Of each batch which images it has, what is found, and their scales.

        They are made smaller a batch at a time: all of them may be larger than memory.
        """
        for part in parts_of(x, self._predict_batch_size):
            piece, scales = fitted(x.batch(part), self.canvas_size_)
            images = np.arange(len(x))[part]
            for rows, found in self.net_.batches(self._with_regions(piece), function):
                yield images[rows], found, scales[rows]

    def _learn_boxes(self, rows: np.ndarray, n_images: int) -> None:
        """What there is to know of the boxes (n, 5) of so many images on the canvas."""
        sizes = rows[:, 2:4] - rows[:, :2]
        self.object_size_ = float(np.median(np.sqrt(sizes.prod(1))))

    def _canvas(self, largest: tuple[int, ...], rows: np.ndarray) -> tuple[int, ...]:
        """The images that are trained on, of those with such boxes (n, 5)."""
        if not len(rows):
            raise ValueError(f"{type(self).__name__}: y has no box to learn from")
        if self.image_size == "auto":
            least, most = (side / max(largest) for side in _SIDE)
            scale = min(1.0, max(least, min(most, _OBJECT / usual_scales(rows)[0])))
            return rounded([max(1, round(scale * side)) for side in largest], _STRIDE)
        given = self.image_size
        size = (given, given) if isinstance(given, int) else tuple(given)
        if len(size) != 2 or any(side % _STRIDE for side in size):
            sentence = (
                "image_size must be a number, or a height and a width, that are "
                f"multiples of {_STRIDE}, such as {rounded(size[:2], _STRIDE)}"
            )
            raise ValueError(self._refusal("image_size", sentence))
        return size

    @property
    def _budget(self) -> Budget:
        step = self._batch_size() * int(np.prod(self.canvas_size_))
        epochs, steps = self._full_budget
        return Budget(epochs, steps=max(500, min(steps, _SEEN // step)))

    def _trained_size(self) -> tuple[int, ...]:
        return self.canvas_size_

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.weights is not None:
            self.x_mean_, self.x_scale_ = imagenet_statistics(self.n_channels_)

    def _load_pretrained(self, module: Any) -> None:
        if self.weights is not None:
            load_weights(self, module.trunk)

    def _parts(self, strides: tuple[int, ...]) -> tuple[nn.Module, nn.Module, Any, Any]:
        """Trunk, preparation, canvas and filling of a network."""
        trunk = make_trunk(
            self.backbone,
            self.n_channels_,
            self.width,
            self.depth,
            strides,
            self.freeze_backbone,
        )
        return trunk, self._standardize(), self.canvas_size_, self.x_mean_

    def _augmentation(self) -> DetectionAugment:
        unit = self.pixel_unit_ != "raw"
        return DetectionAugment(
            self.canvas_size_, self._kinds(), self.x_mean_, self.x_scale_, unit
        )


def learned_boxes(samples: Samples) -> np.ndarray:
    """(n, 5): the boxes of the images to learn from, and their classes."""
    seen = slice(None) if samples.rows is None else samples.rows
    boxes = samples.y.values[seen].flatten(0, 1).cpu().double().numpy()
    return boxes[np.isfinite(boxes).all(1)]


__all__ = ["BoxTask", "learned_boxes"]
