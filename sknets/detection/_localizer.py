"""Localisation: where the one object of an image is, and what it is."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._inputs import ImageList
from sknets._inputs.boxes import Boxes, OneBox, refuse_beyond
from sknets._params import param
from sknets._targets import given_target
from sknets.detection._augment import AUGMENTATIONS
from sknets.detection._base import BoxTask
from sknets.detection._boxes import paired_iou
from sknets.detection._localizer_net import LocalizerNet
from sknets.metrics import weights_of

_CELLS = 4  # of the map, that the usual object covers at most


class ObjectLocalizer(BoxTask):
    """Where the one object of an image is, and what it is [1]_.

    A convolutional network makes a map of the image. Each cell of it says where the box
    is, what is in it, and how much its vote weighs; the answer is the mean of all, by a
    softmax over the map [3]_.

    Parameters
    ----------
    width : int, default=16
        Channels of the map of stride 2; each halving doubles them, up to eight times.
    depth : int, default=1
        Residual blocks after each halving.
    backbone : str, default=None
        A convolutional classifier of torchvision by name, such as "resnet18" or
        "mobilenet_v3_small", instead.
    weights : str, default=None
        Its pretrained weights: "DEFAULT" downloads torchvision's best, a path names a
        file of them. None: random ones.
    freeze_backbone : bool, default=False
        Train the rest only.
    image_size : int, (int, int) or "auto", default="auto"
        Height and width of the images that the network sees, multiples of 32. Larger
        ones are made smaller, with their proportions, smaller ones are filled up with
        the mean colour (letterboxing). "auto": the largest height and width in `fit`,
        their longer side at most 416, or down to 256 where the smallest usual objects
        keep 48 pixels.
    augment : str, callable, list or None, \
default=("flip", "scale", "shift", "brightness")
        As of `sknets.YOLODetector`, without "mosaic" and "crop", after which an image
        may have several objects or none.
    channel_order : {"auto", "first", "last"}, default="auto"
        Where the channels of images are.
    batch_size : int or "auto", default="auto"
        Images a step; "auto": about 260,000 pixels, 4 to 16 images.
    lr : float, default=3e-3
        The learning rate, at its highest.
    lr_schedule : str, default="one_cycle"
        How it changes.
    optimizer : str, default="adamw"
        What makes steps of gradients.
    weight_decay : float, default=5e-4
        L2 penalty of weight matrices.
    gradient_clip : float, default=5.0
        Largest norm of a step's gradient.
    ema_decay : float, default=None
        If it is given, say 0.998, predictions are those of running means of the
        weights, of which so much is kept in each step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of y; 0 alone where y is an array.
    object_size_ : float
        The median of the square roots of the areas of boxes, in pixels.
    canvas_size_ : tuple of int
        What ``image_size`` came to.
    batch_size_ : int
    n_channels_, spatial_dims_ : int
    channel_axis_ : int or None
        0 or -1 of an image's axes, None where there is none.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8 (divided by 255), floats within [0, 1], or other numbers.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by.

    Notes
    -----
    For images with several objects, or with none, take a detector, such as
    `sknets.SSDDetector`.

    Training is the same for all estimators: for ``max_epochs`` (40, or more where these
    would be fewer than 1,500 steps and see fewer than 650 million pixels),
    ``early_stopping``, ``warm_start``, ``precision``, ``device``,
    ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are those of `score`, and
    ``net_.history`` has the loss of each of its parts: ``train_box``, the generalised
    intersection over union [2]_ and how far the sides are, and ``train_class``.

    References
    ----------
    .. [1] P. Sermanet et al. OverFeat: Integrated Recognition, Localization and
       Detection using Convolutional Networks. ICLR 2014. Here the boxes of all places
       are averaged by weights that are learned with them, instead of merged, and one
       box serves all classes.
    .. [2] H. Rezatofighi et al. Generalized Intersection over Union. CVPR 2019.
    .. [3] S. Levine, C. Finn, T. Darrell, P. Abbeel. End-to-End Training of Deep
       Visuomotor Policies. JMLR 2016. The softmax over places.

    Examples
    --------
    Boxes alone are an array, and so are predictions then.

    >>> import numpy as np
    >>> from sknets import ObjectLocalizer
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(40, 64, 64), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 40, size=(40, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append([x, top, x + 24, top + 20])
    >>> net = ObjectLocalizer(max_epochs=15, width=16, random_state=0)
    >>> net.fit(X[:30], y[:30]).score(X[30:], y[30:]) > 0.6
    True
    >>> net.predict(X[30:]).shape
    (10, 4)
    """

    _targets: ClassVar[tuple[Any, ...]] = (OneBox,)
    _task: ClassVar[str] = "object localization"
    _augmentations: ClassVar[tuple[str, ...]] = tuple(
        kind for kind in AUGMENTATIONS if kind not in ("mosaic", "crop")
    )

    _drawn: ClassVar[float] = 0.0

    augment: Any = param(default=("flip", "scale", "shift", "brightness"))

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on images and the box of what is in each.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            uint8, or floats; of a list each image may have a size of its own.
        y : list of dict, or array-like of shape (n_samples, 4)
            For each image ``{"boxes": (1, 4), "labels": (1,)}``: left, top, right and
            bottom in pixels, (0, 0) being the corner of the image; a label is a number
            or a string. Of one class an array of boxes will do.
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
            For a parameter out of bounds, for boxes beyond their image or without an
            extent, for an image with several boxes or none.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The canvas and the usual size of objects are those of the first call.

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
        """Return the box in each image, and what is in it.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
            Images of any size.

        Returns
        -------
        found : object ndarray of dict, or ndarray of shape (n_samples, 4)
            ``{"boxes": (1, 4), "labels": (1,), "scores": (1,)}``, the score being the
            probability of the label; boxes alone if the y of `fit` was an array.
        """
        check_is_fitted(self)
        boxes, codes, sure = self._found(self._check_input(X, reset=False))
        if not self.target_reader_.listed_:
            return boxes
        records = np.empty(len(boxes), dtype=object)
        for i, label in enumerate(self.classes_[codes]):
            one = slice(i, i + 1)
            records[i] = {
                "boxes": boxes[one],
                "labels": np.array([label]),
                "scores": sure[one],
            }
        return records

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean intersection over union, a wrong label counting as 0.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        return self.evaluate(X, y, sample_weight)["mean_iou"]

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Return what can be said of predictions beside the truth.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        figures : dict
            ``mean_iou``, as `score`; ``box_iou``, the same whatever the labels;
            ``accuracy``, the share of right labels;
            ``localized``, that of images with the right label and an intersection over
            union of 0.5 or more.
        """
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        rows = self.target_reader_.read(given_target(y, type(self).__name__, len(x)))
        refuse_beyond(type(self).__name__, x.sizes, rows)
        boxes, codes, _ = self._found(x)
        figures = figures_of(np.concatenate(rows), boxes, codes)
        weight = weights_of(sample_weight, len(x))
        return {
            name: float(np.average(each, weights=weight))
            for name, each in figures.items()
        }

    # -- for the engine ----------------------------------------------------------------

    def _found(self, x: ImageList) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each image the box in its own pixels, the class and how sure that is."""
        output = np.empty((len(x), 4 + len(self.classes_)))
        for rows, found, scales in self._in_pieces(x):
            output[rows] = found.float().cpu().numpy()
            output[rows, :4] /= scales[:, None]
        high = np.array([[*size[::-1]] * 2 for size in x.sizes])
        boxes = output[:, :4].clip(0, high)
        return boxes, output[:, 4:].argmax(1), output[:, 4:].max(1)

    def _make_target_reader(self, classes: Any) -> Boxes:
        return OneBox.of(self, announced=classes)

    def _strides(self) -> tuple[int, ...]:
        """That of the map, and of the coarser ones that join it."""
        return tuple(
            s for s in (8, 16, 32) if s == 32 or _CELLS * 2 * s > self.object_size_
        )

    def _build(self) -> nn.Module:
        strides = self._strides()
        sizes = self.object_size_, len(self.classes_)
        return LocalizerNet(self._parts(strides), strides, *sizes)

    def _score(self) -> Any:
        return LocalizationScore()


class LocalizationScore:
    """The mean intersection over union of a validation set, batch by batch."""

    def __init__(self):
        self.sums = np.zeros(2)

    def update(self, output: Tensor, y: Tensor, weight: Tensor | None) -> None:
        codes = output[:, 4:].argmax(1).cpu().numpy()
        rows = y[:, 0].double().cpu().numpy()
        boxes = output[:, :4].double().cpu().numpy()
        own = np.ones(len(y)) if weight is None else weight.cpu().numpy()
        iou = figures_of(rows, boxes, codes)["mean_iou"]
        self.sums += iou @ own, own.sum()

    def compute(self) -> float:
        return float(self.sums[0] / self.sums[1])


def figures_of(
    rows: np.ndarray, boxes: np.ndarray, codes: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each image, (n,), beside the truth (n, 5)."""
    right = rows[:, 4] == codes
    both = torch.from_numpy(boxes), torch.from_numpy(rows[:, :4])
    box_iou = paired_iou(*both).numpy()
    iou = box_iou * right
    return {
        "mean_iou": iou,
        "box_iou": box_iou,
        "accuracy": right,
        "localized": iou >= 0.5,
    }


__all__ = ["ObjectLocalizer"]
