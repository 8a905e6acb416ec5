"""The task of finding what is where in images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._inputs.boxes import refuse_beyond
from sknets._params import param
from sknets._targets import given_target
from sknets.detection._base import BoxTask
from sknets.detection._boxes import Found, suppressed
from sknets.metrics import (
    average_precision_by_class,
    mean_average_precision,
    mean_of,
    weights_of,
)


class Detector(BoxTask):
    """Task of finding boxes, and what is in them."""

    _task: ClassVar[str] = "object detection"

    score_threshold: float = param(default=0.05, at_least=0, below=1)
    nms: Literal["vote", "class", "soft"] = param(default="vote")
    nms_threshold: float = param(default=0.5, above=0, at_most=1)
    max_detections: int = param(default=100, at_least=1)

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
            or strings. An image may have no box. Or tables with the columns left, top,
            right, bottom and label.
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
            For a parameter out of bounds, for boxes beyond their image, whose right is
            left of their left or that are shares of their image, for labels that are
            both numbers and strings, for labels and boxes of unequal number, for a y
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

        See `sknets.metrics.mean_average_precision`. Images with labels alone, as YOLO
        9000 learns from, do not count.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        true, found, weight = self._both(X, y, sample_weight)
        return mean_average_precision(true, found, sample_weight=weight)

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
        true, found, weight = self._both(X, y, sample_weight)
        each = average_precision_by_class(true, found, sample_weight=weight)
        names = "average_precision", "ap50", "ap75"
        by_class = {
            label: dict(zip(names, map(float, (levels.mean(), levels[0], levels[5]))))
            for label, levels in each.items()
        }
        of = {name: [own[name] for own in by_class.values()] for name in names}
        figures = {name: mean_of(np.array(own)) for name, own in of.items()}
        return {**figures, "by_class": by_class}

    # -- predicting ------------------------------------------------------------------

    def _found(self, x: Any) -> np.ndarray:
        """Of each image, in its own pixels."""
        records = np.empty(len(x), dtype=object)
        for rows, found, scales in self._in_pieces(x, self._run()):
            for i, each, scale in zip(rows, found, scales):
                records[i] = self._record(each, scale, x.sizes[i])
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

    def _both(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[list[dict], np.ndarray, np.ndarray]:
        """The truth, what is found, and what each image weighs."""
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        rows = self.target_reader_.read(given_target(y, type(self).__name__, len(x)))
        refuse_beyond(type(self).__name__, x.sizes, rows)
        weight = weights_of(sample_weight, len(x)) * with_places(rows)
        return records_of(rows, self.classes_), self._found(x), weight

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
        own = np.ones(len(y)) if weight is None else weight.cpu().numpy()
        self.weight += (own * with_places(rows)).tolist()

    def compute(self) -> float:
        return mean_average_precision(self.true, self.found, sample_weight=self.weight)


def with_places(rows: Any) -> np.ndarray:
    """Which images count in a score: not those with labels whose boxes are unknown."""
    return np.array([not np.isnan(own[:, :4]).any() for own in rows])


def records_of(rows: Any, classes: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [
        {"boxes": own[:, :4], "labels": classes[own[:, 4].astype(int)]} for own in rows
    ]


__all__ = ["Detector", "records_of"]
