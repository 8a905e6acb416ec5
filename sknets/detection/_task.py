"""The task of finding what is where in images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._backbones import check_backbone, imagenet_statistics, load_weights
from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import items
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._in_images import InImages
from sknets._inputs import rounded
from sknets._inputs.boxes import Boxes, padded_boxes, refuse_beyond
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._targets import given_target
from sknets.detection._augment import AUGMENTATIONS, DetectionAugment
from sknets.detection._boxes import Found, suppressed
from sknets.detection._canvas import fitted
from sknets.detection._nets import make_trunk
from sknets.metrics import average_precision_by_class, mean_average_precision, mean_of

_LARGEST = 416  # "auto": the longer side of the canvas, at most
_STRIDE = 32  # of the coarsest map of any of the networks


class Detector(InImages):
    """Task of finding boxes, and what is in them."""

    _targets: ClassVar[tuple[Any, ...]] = (Boxes,)
    _task: ClassVar[str] = "object detection"
    _augmentations: ClassVar[tuple[str, ...]] = AUGMENTATIONS
    _beside: ClassVar[str] = "boxes"
    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 16, 2**18

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
    score_threshold: float = param(default=0.05, at_least=0, below=1)
    nms: Literal["class", "soft"] = param(default="class")
    nms_threshold: float = param(default=0.5, above=0, at_most=1)
    max_detections: int = param(default=100, at_least=1)
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=5e-4, at_least=0)
    gradient_clip: float | None = param(default=5.0, above=0)
    ema_decay: float | None = param(default=None, above=0, below=1)
    _budget = Budget(epochs=40, steps=1500)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on images and the boxes of what is in them.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            uint8, or floats; of a list each image may have a size of its own.
        y : list of dict
            For each image ``{"boxes": (k, 4), "labels": (k,)}``: left, top, right and
            bottom in pixels, (0, 0) being the corner of the image; labels are numbers
            or strings. An image may have no box.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; a weight of 0 is an absent image.
        X_val, y_val : array-like, default=None
            Images to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for boxes beyond their image or whose right
            is left of their left, for labels and boxes of unequal number, for a y
            without any box. Boxes without a width or a height are left out, with a
            warning.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The canvas and the usual sizes of objects are those of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All the labels that will come; None: those of the first call.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return what is found in each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            Images of any size.

        Returns
        -------
        found : object ndarray of dict
            ``{"boxes": (k, 4), "labels": (k,), "scores": (k,)}``, the best score first:
            all that have at least ``score_threshold``, a low one, as the average
            precision wants them. For a look, take those above 0.5.
        """
        check_is_fitted(self)
        return self._found(self._check_input(X, reset=False))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return COCO's mean average precision.

        See `sknets.metrics.mean_average_precision`.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        true, found = self._both(X, y)
        return mean_average_precision(true, found, sample_weight=sample_weight)

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return what can be said of predictions beside the truth.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        figures : dict
            ``average_precision``, the mean over thresholds 0.5, 0.55, ..., 0.95 of the
            intersection over union, ``ap50`` and ``ap75``, at one of them, and
            ``by_class``, a dict of a dict of these three for each label in y.
        """
        true, found = self._both(X, y)
        each = average_precision_by_class(true, found, sample_weight=sample_weight)
        names = "average_precision", "ap50", "ap75"
        by_class = {
            label: dict(zip(names, map(float, (levels.mean(), levels[0], levels[5]))))
            for label, levels in each.items()
        }
        of = {name: [own[name] for own in by_class.values()] for name in names}
        figures = {name: mean_of(np.array(own)) for name, own in of.items()}
        return {**figures, "by_class": by_class}

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

        if prediction is None:
            return DetectionDisplay.from_estimator(self, [image], ax=ax)
        return DetectionDisplay.from_predictions([image], [prediction], ax=ax)

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

    # -- predicting ------------------------------------------------------------------

    def _found(self, x: Any) -> np.ndarray:
        """Of each image, in its own pixels."""
        smaller, scales = fitted(x, self.canvas_size_)
        found = items(self.net_.batches(smaller, self._run()), len(x))
        records = np.empty(len(x), dtype=object)
        for i, (each, scale, size) in enumerate(zip(found, scales, x.sizes)):
            records[i] = self._record(each, scale, size)
        return records

    def _run(self) -> Any:
        """What is asked of the network; None is its forward."""
        return None

    def _record(self, found: Found, scale: float, size: tuple[int, ...]) -> dict:
        """What is found on the canvas, without doubles, in an image's own pixels."""
        least, most = self.score_threshold, self.max_detections
        kept = suppressed(found, self.nms, self.nms_threshold, least, most)
        boxes = kept.boxes.cpu().double().numpy() / scale
        return {
            "boxes": boxes.clip(0, [*size[::-1]] * 2),
            "labels": self.classes_[kept.classes.cpu().numpy()],
            "scores": kept.scores.cpu().double().numpy(),
        }

    def _both(self, X: Any, y: Any) -> tuple[list[dict], np.ndarray]:
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        rows = self.target_reader_.read(given_target(y, type(self).__name__, len(x)))
        refuse_beyond(type(self).__name__, x.sizes, rows)
        return records_of(rows, self.classes_), self._found(x)

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
            self.canvas_size_ = self._canvas(samples.x.largest)
        samples.x, scales = fitted(samples.x, self.canvas_size_)
        samples.y.values[..., :4] *= torch.from_numpy(scales)[:, None, None].to(
            samples.y.values
        )
        if reset:
            seen = slice(None) if samples.rows is None else samples.rows
            boxes = samples.y.values[seen].flatten(0, 1).cpu().double().numpy()
            self._learn_boxes(boxes[np.isfinite(boxes).all(1)])
        return samples

    def _learn_boxes(self, rows: np.ndarray) -> None:
        """What there is to know of boxes (n, 5) on the canvas."""
        if not len(rows):
            raise ValueError(f"{type(self).__name__}: y has no box to learn from")
        sizes = rows[:, 2:4] - rows[:, :2]
        self.object_size_ = float(np.median(np.sqrt(sizes.prod(1))))

    def _canvas(self, largest: tuple[int, ...]) -> tuple[int, ...]:
        """The images that are trained on."""
        if self.image_size == "auto":
            scale = min(1.0, _LARGEST / max(largest))
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

    def _score(self) -> Any:
        return BoxScore(self)


class BoxScore:
    """The mean average precision of a validation set, batch by batch."""

    def __init__(self, detector: Any):
        self.detector = detector
        self.true: list[Any] = []
        self.found: list[Any] = []
        self.weight: list[float] = []

    def update(self, output: Any, y: Tensor, weight: Tensor | None) -> None:
        detector = self.detector
        size = detector.canvas_size_
        self.found += [detector._record(each, 1.0, size) for each in output]
        rows = [own[own[:, 4] >= 0] for own in y.double().cpu().numpy()]
        self.true += records_of(rows, detector.classes_)
        self.weight += [1.0] * len(y) if weight is None else weight.tolist()

    def compute(self) -> float:
        return mean_average_precision(self.true, self.found, sample_weight=self.weight)


def records_of(rows: Any, classes: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [
        {"boxes": own[:, :4], "labels": classes[own[:, 4].astype(int)]} for own in rows
    ]


__all__ = ["Detector", "records_of"]
