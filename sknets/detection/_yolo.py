"""You only look once: all boxes of an image at once."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from torch import nn

from sknets._engine.optim import Budget
from sknets._inputs.boxes import Boxes
from sknets._params import param
from sknets.detection._anchors import anchors_of, shape_iou, usual_scales
from sknets.detection._export import Exportable
from sknets.detection._task import Detector
from sknets.detection._words import EachOnItsOwn, OneOfMany, WordTree, words_of
from sknets.detection._yolo_nets import ALIKE, N_CELLS, YOLONet
from sknets.detection._yolo_one import YOLO1Net

# Pixels of the usual object, below which one map has a stride of 8, not 16; and of
# the smallest usual ones, below which three begin with one of 4, not 8.
_SMALL, _TINY = 32.0, 16.0


class YOLODetector(Exportable, Detector):
    """You only look once: a network says at each cell of a grid what is there.

    Parameters
    ----------
    version : {1, 2, 3, "9000"}, default=3
        1 [1]_: dense layers fill the grid; a cell has ``n_anchors`` boxes and one
        class. 2 [2]_: boxes are told relative to anchors, clusters of the sizes of the
        boxes of `fit`, at the cells of one map, which finer and coarser ones join. 3
        [3]_: three maps, the coarser ones joining the finer ones, and classes that do
        not exclude each other.
        "9000" [2]_: as 2, with a tree of labels.
    n_anchors : int or "auto", default="auto"
        Anchors of each map; of version 1 the boxes of a cell. "auto" are the papers': 2
        of version 1, 5 of versions 2 and "9000", 3 of version 3.
    multi_scale : bool, default=False
        Whether each step of training sees its images at another size, from two thirds
        to four thirds of theirs, as the paper's of versions 2 and "9000" does, for
        which these are. It takes longer to learn, and "scale" does much of it.
    hierarchy : nested dict, or list of pairs, default=None
        Of version "9000": which label is a kind of which. A dict as ``{"animal":
        {"dog": {}, "cat": {}}}``, or pairs of a label and the one above it (None of the
        first ones). Labels of any level may be in y, also without boxes:
        ``{"labels": ["dog"]}`` teaches what a dog is from an image that has one
        somewhere. None: labels are not kinds of each other.
    hierarchy_threshold : float, default=0.5
        A box has the label furthest down that is so probable.
    level : int, default=None
        Of version "9000": how far down labels are told, 1 being the first ones,
        however probable; may be set after `fit`.
    n_units : int, default=512
        Of the dense layer of version 1.
    dropout : float, default=0.5
        The share of them that is switched off in training.
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
default=("flip", "scale", "shift", "mosaic", "brightness")
        Changes of the images of training, new ones each epoch; in the last fifth of
        them those alone that leave pixels whole: "flip", "brightness" and a "shift" by
        up to a tenth. "flip" mirrors half of the images; "scale" by 0.75 to 1.33;
        "shift" puts them elsewhere on the canvas; "mosaic" makes each image of half of
        the batches of four, and boxes of which less than 0.3 is seen are left out;
        "crop" takes SSD's windows, which share enough with an object, instead of these;
        "brightness" changes contrast and light by up to a fifth; "color" hue and
        saturation, too. Leave out "flip" where a mirror image is something else. A
        function is given an image and ``{"boxes": ..., "labels": ...}``, as
        torchvision's v2 transforms are, and returns both; labels are the positions in
        ``classes_``.
    channel_order : {"auto", "first", "last"}, default="auto"
        Where the channels of images are.
    score_threshold : float, default=0.05
        The least score of what `predict` returns.
    nms : {"vote", "class", "soft"}, default="vote"
        Of boxes of one class that share more than ``nms_threshold`` only the best one
        is kept; "vote" puts it where all of them say, by their scores and by how much
        they share with it [5]_; "soft" lowers the scores of the others instead [6]_.
    nms_threshold : float, default=0.5
        Of the intersection over union; of "soft" the breadth of its bell.
    max_detections : int, default=100
        Boxes of an image, at most.
    batch_size : int or "auto", default="auto"
        Images a step; "auto": 4, or 5 of fewer than 52,000 pixels each.
    lr : float, default=3e-3
        The learning rate, at its highest.
    lr_schedule : str, default="one_cycle"
        How it changes.
    optimizer : str, default="adamw"
        What makes steps of gradients.
    weight_decay : float, default=5e-4
        L2 penalty of weight matrices.
    gradient_clip : float, default=15.0
        Largest norm of a step's gradient.
    ema_decay : float, default=None
        If it is given, say 0.998, predictions are those of running means of the
        weights, of which so much is kept in each step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of y, or of the tree.
    anchors_ : ndarray of shape (n_maps, n_anchors, 2)
        Widths and heights in pixels, those of the finest map first. Not of version 1.
    strides_ : tuple of int
        Of the maps that boxes are read from: 8, 16 and 32, or half of that where the
        smallest usual objects are below 16 pixels; of one map 16, or 8 where the usual
        object is below 32, or the smallest usual ones below 16.
    cells_per_image_ : float
        How many cells learn the objects of an image, on average. Not of version 1.
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
    Training is the same for all estimators: for ``max_epochs`` (40, or more where these
    would be fewer than 3,000 steps and see fewer than 650 million pixels),
    ``early_stopping``, ``warm_start``, ``precision``, ``device``,
    ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are those of `score`, and
    ``net_.history`` has the loss of each of its parts: ``train_box``, ``train_object``,
    ``train_class``.

    References
    ----------
    .. [1] J. Redmon et al. You Only Look Once: Unified, Real-Time Object Detection.
       CVPR 2016. Here a small network of residual blocks with batch normalisation,
       cells of 8 or 16 pixels instead of 64, and one dense layer less; of several
       objects in a cell the largest is learned.
    .. [2] J. Redmon, A. Farhadi. YOLO9000: Better, Faster, Stronger. CVPR 2017. Here
       cells of 8 or 16 pixels instead of 32, and the map of these, made larger, joins.
    .. [3] J. Redmon, A. Farhadi. YOLOv3: An Incremental Improvement. 2018. Here, as in
       [2]_, an edge is the mean of 20 places, which the network says how likely they
       are [4]_, instead of one number; boxes are learned by that, by their generalised
       intersection over union and by how far their edges are off, instead of squares,
       by the cells around their middle, too, and by every anchor that is alike; how
       sure a cell is is learned from how right it is; each class weighs the same in
       clusters; maps are as fine as objects are small, and a head has three
       convolutions instead of six.
    .. [4] X. Li et al. Generalized Focal Loss: Learning Qualified and Distributed
       Bounding Boxes for Dense Object Detection. NeurIPS 2020.
    .. [5] Y. He et al. Bounding Box Regression with Uncertainty for Accurate Object
       Detection. CVPR 2019. Here all boxes are as sure of their edges.
    .. [6] N. Bodla et al. Soft-NMS: Improving Object Detection With One Line of Code.
       ICCV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import YOLODetector
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(30, 48, 48), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 24, size=(30, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append({"boxes": [[x, top, x + 24, top + 20]], "labels": ["sheet"]})
    >>> net = YOLODetector(max_epochs=8, width=16, random_state=0).fit(X[:20], y[:20])
    >>> net.evaluate(X[20:], y[20:])["ap50"] > 0.8
    True
    >>> found = net.predict(X[20:21])[0]
    >>> found["boxes"].shape[1], found["labels"][0]
    (4, np.str_('sheet'))
    """

    version: Literal[1, 2, 3, "9000"] = param(default=3)
    n_anchors: int | Literal["auto"] = param(default="auto", at_least=1)
    multi_scale: bool = param(default=False)
    hierarchy: dict | list | tuple | None = param(default=None)
    hierarchy_threshold: float = param(default=0.5, at_least=0, at_most=1)
    level: int | None = param(default=None, at_least=1)
    n_units: int = param(default=512, at_least=1)
    dropout: float = param(default=0.5, at_least=0, below=1)
    gradient_clip: float | None = param(default=15.0, above=0)
    _full_budget = Budget(epochs=40, steps=3000)
    # Few images are learned sooner by many small steps, many ones as well.
    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 5, 2**18

    def _check_params(self) -> None:
        super()._check_params()
        if self.hierarchy is not None and self.version != "9000":
            sentence = 'a hierarchy of labels is for version="9000"'
            raise ValueError(self._refusal("hierarchy", sentence))

    def _words(self) -> Any:
        try:
            return words_of(self.hierarchy)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _make_target_reader(self, classes: Any) -> Boxes:
        alone = self.version == "9000"
        known = None if self.hierarchy is None else self._words()[0]
        return Boxes.of(self, announced=classes, places_optional=alone, known=known)

    def _learn_boxes(self, rows: np.ndarray, n_images: int) -> None:
        super()._learn_boxes(rows, n_images)
        fine = usual_scales(rows)[0] < _TINY
        strides: tuple[int, ...] = (8,) if fine or self.object_size_ < _SMALL else (16,)
        if self.version == 3:
            strides = (4, 8, 16) if fine else (8, 16, 32)
        self.strides_ = strides
        if self.version == 1:
            return
        shape = len(self.strides_), self._n_anchors()
        sizes, random = rows[:, 2:4] - rows[:, :2], np.random.RandomState(0)
        found = anchors_of(sizes, rows[:, 4], int(np.prod(shape)), random)
        self.anchors_ = found.reshape(*shape, 2)
        learned = (shape_iou(sizes, found) > ALIKE).sum(1).clip(min=1).mean()
        self.cells_per_image_ = float(N_CELLS * learned * len(rows) / n_images)

    def _n_anchors(self) -> int:
        usual: dict[Any, int] = {1: 2, 3: 3}
        auto = usual.get(self.version, 5)
        return auto if self.n_anchors == "auto" else int(self.n_anchors)

    def _classes(self) -> Any:
        n = len(self.classes_)
        if self.version == 3:
            return EachOnItsOwn(n)
        if self.version == 2:
            return OneOfMany(n)
        flat = np.full(n, -1)
        parents = flat if self.hierarchy is None else self._words()[1]
        return WordTree(parents, self.hierarchy_threshold, self.level)

    def _run(self) -> Any:
        # How far down labels are told may be set after the fit.
        tree = self.version == "9000"
        return partial(self.net_.module_, classes=self._classes()) if tree else None

    def _build(self) -> nn.Module:
        strides, n = self.strides_, len(self.classes_)
        if self.version == 1:
            options = self._n_anchors(), n, self.n_units, self.dropout
            return YOLO1Net(self._parts(strides), strides[0], *options)
        single = len(strides) == 1
        finer = (strides[0] // 2,) if single else ()
        coarser = tuple(s for s in (16, 32) if single and s > strides[0])
        return YOLONet(
            self._parts((*finer, *strides, *coarser)),
            strides,
            self.anchors_,
            self._classes(),
            context=coarser,
            passthrough=single,
            multi_scale=self.multi_scale and single,
            unit=self.cells_per_image_,
        )


__all__ = ["YOLODetector"]
