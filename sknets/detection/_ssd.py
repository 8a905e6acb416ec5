"""Single shot detection: default boxes of several maps."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import nn

from sknets._params import param
from sknets.detection._anchors import usual_scales
from sknets.detection._export import Exportable
from sknets.detection._ssd_nets import COARSEST, SSDNet, default_shapes
from sknets.detection._task import Detector

_FINEST, _FINER = 8, 4  # strides of the first map, the other where objects are small
_COARSE = 2.5  # strides of the last map's cells that the largest objects have, at least


class SSDDetector(Exportable, Detector):
    """Single shot detection: each box of a fixed set says what is in it [1]_.

    Around each cell of several maps, finer ones for smaller objects, are default boxes
    of several shapes; a network says of each what it has, or that it has nothing, and
    how the object's box differs from it.

    Parameters
    ----------
    scales : "auto" or (float, float), default="auto"
        Sizes of default boxes, the roots of their areas, on the first and on the last
        map. Two shares of the canvas, such as the paper's (0.2, 0.9): between them in
        equal steps, on maps of strides 8, 16, 32, ... down to a single cell. "auto":
        those of the boxes of `fit`, between them in equal ratios, on as many maps as
        there are objects for: from stride 4 where the smallest usual ones are below 16
        pixels, to that of which the largest are 2.5 cells at least.
    aspect_ratios : tuple of float, default=(1, 2, 3)
        Of width to height; each with its inverse. A further square of each map is
        between its size and that of the next.
    top_down : bool, default=True
        Whether each map is joined by what the next coarser one sees [2]_, which the
        paper's are not.
    width : int, default=16
        Channels of the map of stride 2; each halving doubles them, up to eight times.
    depth : int, default=2
        Residual blocks after each halving up to stride 32.
    backbone : str, default=None
        A convolutional classifier of torchvision by name, such as "vgg16" or
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
default=("flip", "scale", "shift", "mosaic", "brightness")
        As of `sknets.YOLODetector`. "crop" is the paper's, with "color".
    channel_order : {"auto", "first", "last"}, default="auto"
        Where the channels of images are.
    score_threshold : float, default=0.05
        The least score of what `predict` returns.
    nms : {"vote", "class", "soft"}, default="vote"
        Of boxes of one class that share more than ``nms_threshold`` only the best one
        is kept; "vote" puts it where all of them say, by their scores and by how much
        they share with it; "soft" lowers the scores of the others instead.
    nms_threshold : float, default=0.5
        Of the intersection over union; of "soft" the breadth of its bell.
    max_detections : int, default=100
        Boxes of an image, at most.
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
        The labels of y.
    strides_ : tuple of int
        Of the maps that boxes are read from, in pixels.
    scales_ : ndarray of shape (n_maps + 1,)
        The size of default boxes on each map, in pixels, and that after the last.
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
    A default box learns the object with which it shares most, if that is more than a
    half of their union, and each object is learned by the box that shares most with it.
    Of the boxes that learn the background only those count that are furthest from it,
    three for each that learns an object (hard negative mining); in an image without
    objects three.

    Training is the same for all estimators: for ``max_epochs`` (40, or more where these
    would be fewer than 1,500 steps and see fewer than 650 million pixels),
    ``early_stopping``, ``warm_start``, ``precision``, ``device``,
    ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are those of `score`, and
    ``net_.history`` has the loss of each of its parts: ``train_box``, ``train_class``.

    References
    ----------
    .. [1] W. Liu et al. SSD: Single Shot MultiBox Detector. ECCV 2016. Here a small
       network of residual blocks with batch normalisation (VGG-16: ``backbone``),
       whose maps need no scaling of their norm; default boxes of sizes that `fit` has
       seen; six of them at each cell of every map; the loss is a mean over images, each
       by its own number of boxes that learn an object; where one default box is the
       best of two objects it learns that with which it shares more, and the other
       object is learned only by those with which it shares half.
    .. [2] T.-Y. Lin et al. Feature Pyramid Networks for Object Detection. CVPR 2017.
       Here each map keeps its own number of channels, and is put beside the coarser
       one instead of being added.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import SSDDetector
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(30, 48, 48), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 24, size=(30, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append({"boxes": [[x, top, x + 24, top + 20]], "labels": ["sheet"]})
    >>> net = SSDDetector(max_epochs=12, width=16, random_state=0).fit(X[:20], y[:20])
    >>> net.evaluate(X[20:], y[20:])["ap50"] > 0.8
    True
    >>> found = net.predict(X[20:21])[0]
    >>> found["boxes"].shape[1], found["labels"][0]
    (4, np.str_('sheet'))
    """

    scales: tuple[float, ...] | list[float] | Literal["auto"] = param(
        default="auto", above=0, at_most=1
    )
    aspect_ratios: tuple[float, ...] | list[float] = param(default=(1, 2, 3), above=0)
    top_down: bool = param(default=True)
    depth: int = param(default=2, at_least=0)

    def _check_params(self) -> None:
        super()._check_params()
        pair = self.scales
        if pair != "auto" and (len(pair) != 2 or pair[0] >= pair[1]):
            sentence = "scales must be a smaller share of the canvas and a larger one"
            raise ValueError(self._refusal("scales", sentence))

    def _learn_boxes(self, rows: np.ndarray, n_images: int) -> None:
        super()._learn_boxes(rows, n_images)
        if self.scales == "auto":
            small, large = usual_scales(rows)
            self.strides_ = self._strides(small, large)
            ratio = (large / small) ** (1 / max(1, len(self.strides_) - 1))
            self.scales_ = small * ratio ** np.arange(len(self.strides_) + 1)
        else:
            self.strides_, (first, last) = self._strides(), self.scales
            step = (last - first) / (len(self.strides_) - 1)
            shares = first + step * np.arange(len(self.strides_) + 1)
            self.scales_ = shares * np.sqrt(np.prod(self.canvas_size_))

    def _strides(self, small: float = np.inf, large: float = np.inf) -> tuple[int, ...]:
        """Of the maps, to the one that has a single cell, or enough of the largest."""
        stride = _FINER if small < 2 * _FINEST else _FINEST
        found = [stride]
        while stride < max(self.canvas_size_) and 2 * stride * _COARSE <= large:
            stride *= 2
            found.append(stride)
        return tuple(found)

    def _build(self) -> nn.Module:
        trunk = tuple(stride for stride in self.strides_ if stride <= COARSEST)
        shapes = default_shapes(self.scales_, self.aspect_ratios)
        options = self.strides_, shapes, len(self.classes_), self.top_down
        return SSDNet(self._parts(trunk), *options)


__all__ = ["SSDDetector"]
