"""R-CNN: a region is an image of its own, told by linear machines of its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Container, Index
from sknets._engine.data import Samples
from sknets._engine.net import Net
from sknets._engine.optim import Budget
from sknets._engine.players import Phase, Player, Trainer
from sknets._params import param
from sknets.detection._boxes import Found
from sknets.detection._nets import CanvasNet
from sknets.detection._proposals import ByProposals, ProposedAugment, ProposedBatch
from sknets.detection._regions import (
    aligned,
    best_of,
    differences,
    drawn,
    matched,
    mean_of_each,
    padded,
)

_STRIDE = 8  # of the map of a crop that features are made of
_CONTEXT = 227 / 195  # how much more than its region a crop shows along each axis
_REGIONS, _QUARTER = 32, 0.25  # regions of an image in fine-tuning, objects at most
_IS_OBJECT = 0.5  # intersection over union: in fine-tuning
_BACKGROUND = 0.3  # below which a region is a negative one of a class's machine
_NEAR = 0.6  # from which a region tells how far it is from its object
_HARD = 64  # negatives of an image, the hardest ones
_RIDGE = 10.0
_STEEP = 4.0  # of the score of a margin: at -1 it is 0.02
_TOGETHER = 8  # images whose features are made at a time


@dataclass
class FeatureBatch:
    """Regions (n, 4) and features (n, D) of each image of a batch."""

    proposals: list[Tensor]
    features: list[Tensor]

    def __len__(self) -> int:
        return len(self.features)


class RegionFeatures(Container):
    """Images of which only regions and their features are left."""

    def __init__(self, proposals: list[Tensor], features: list[Tensor]):
        self.proposals, self.features = proposals, features
        self.device, self.dtype = features[0].device, features[0].dtype

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, index: Index) -> FeatureBatch:
        rows = torch.arange(len(self))[index].tolist()
        return FeatureBatch(
            [self.proposals[i] for i in rows], [self.features[i] for i in rows]
        )


class RCNNAugment(ProposedAugment):
    """Changes of images and regions; features stay as they are."""

    def _followed(self, change: Callable, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        if isinstance(x, FeatureBatch):
            return x, y
        return super()._followed(change, x, y)


class RCNNNet(CanvasNet):
    """A network for crops of regions, a linear machine a class, and a ridge regression.

    Parameters
    ----------
    parts : as of `CanvasNet`
    crop : int
        The side of a crop in pixels.
    n_classes, n_units : int
    """

    mean: Tensor
    deviation: Tensor
    ridge: Tensor

    def __init__(self, parts: Sequence[Any], crop: int, n_classes: int, n_units: int):
        super().__init__(*parts)
        self.generator: torch.Generator | None = None
        self.crop, self.n_classes = crop, n_classes
        n_values = self.widths[_STRIDE] * (crop // _STRIDE) ** 2
        self.dense = nn.Sequential(nn.Linear(n_values, n_units), nn.ReLU(inplace=True))
        self.classes = nn.Linear(n_units, n_classes + 1)  # the last is background
        self.svms = nn.Linear(n_units, n_classes)
        nn.init.zeros_(self.svms.weight)
        nn.init.constant_(self.svms.bias, -1)
        self.register_buffer("mean", torch.zeros(n_units))
        self.register_buffer("deviation", torch.ones(n_units))
        self.register_buffer("ridge", torch.zeros(n_classes, n_units + 1, 4))
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor, regions: Sequence[Tensor]) -> Tensor:
        """(R, D) of all regions, boxes (r, 4) of each image."""
        crops = []
        for image, own in zip(images, regions):
            middle, half = (own[:, :2] + own[:, 2:]) / 2, (own[:, 2:] - own[:, :2]) / 2
            context = torch.cat([middle - _CONTEXT * half, middle + _CONTEXT * half], 1)
            crops.append(aligned(image, context.to(image), self.crop))
        x = torch.cat(crops).permute(0, 3, 1, 2)
        return self.dense(self.trunk(x)[_STRIDE].flatten(1))

    def standard(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.deviation).float()

    def regions(self, x: Any, y: Tensor) -> list[Tensor]:
        """What is proposed, and the objects themselves."""
        true = [own[own[:, 4] >= 0, :4] for own in y]
        return [torch.cat([a.to(b), b]) for a, b in zip(x.proposals, true)]

    def images_of(self, x: Any) -> Tensor:
        return self.images(x.images if isinstance(x, ProposedBatch) else x)

    def forward(self, x: Any) -> list[Found]:
        counts = [len(own) for own in x.proposals]
        images = self.images(x)
        features = self.standard(self.features(images, x.proposals))
        sure = (_STEEP * self.svms(features.to(images)).float()).sigmoid()
        pairs = zip(x.proposals, features.split(counts), sure.split(counts))
        return [
            best_of(own.to(each), score, self.moves(each), self.canvas)
            for own, each, score in pairs
        ]

    def moves(self, features: Tensor) -> Tensor:
        """(R, K, 4): how far a region is from an object of each class."""
        ridge = self.ridge.to(features)
        return torch.einsum("rd,kdo->rko", features, ridge[:, :-1]) + ridge[:, -1]

    def tuning_loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        """Of each image: of the classes of crops, as in any classifier."""
        boxes, there = padded(self.regions(x, y))
        iou, which = matched(boxes, y)[0].max(2)
        positive, negative = drawn(
            there & (iou >= _IS_OBJECT),
            there & (iou < _IS_OBJECT),
            _REGIONS,
            _QUARTER,
            self.generator,
        )
        image, place = (positive | negative).nonzero(as_tuple=True)
        labels = y[image, which[image, place], 4].long()
        labels = labels.masked_fill(~positive[image, place], self.n_classes)
        counts = (positive | negative).sum(1)
        regions = boxes[image, place].split(counts.tolist())
        scores = self.classes(self.features(self.images_of(x), regions)).float()
        told = F.cross_entropy(scores, labels, reduction="none")
        return {"class": mean_of_each(told, image, counts)}

    def loss(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        """Of each image, of its objects and its hardest other regions for each class.

        Those are the regions of an intersection over union below 0.3 with its objects
        whose scores are highest, and the loss of a margin m is max(0, 1 - m)².
        """
        if isinstance(x, FeatureBatch):
            regions, features = x.proposals, torch.cat(x.features)
        else:
            regions = self.regions(x, y)
            with torch.no_grad():
                features = self.features(self.images_of(x), regions)
        scores = self.svms(self.standard(features).to(features)).float()
        losses = []
        for own, each, rows in zip(y, regions, scores.split([*map(len, regions)])):
            losses.append(self.margins(rows, *self.sides(each, own)))
        return {"margin": torch.stack(losses)}

    def sides(self, regions: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Which regions are objects of a class (n, K), and which are none of it."""
        iou = matched(regions, y[None])[0][0]
        labels = y[:, 4].long()
        most = iou.new_zeros(len(iou), self.n_classes)
        for k in labels[labels >= 0].unique():
            most[:, k] = iou[:, labels == k].amax(1)
        return most > 1 - 1e-4, most < _BACKGROUND

    def margins(self, scores: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of an image, from the scores (n, K) of its regions."""
        hinge = (1 - scores).clamp(min=0).square()
        missed = (1 + scores).clamp(min=0).square().masked_fill(~negative, 0)
        hard = missed.topk(min(_HARD, len(missed)), 0).values
        return (hinge * positive).sum() + hard.sum() / _HARD

    @torch.no_grad()
    def regress(self, samples: RegionFeatures, y: Tensor, weight: Any) -> None:
        """Learn features' mean and deviation, and how they tell where objects are."""
        every = torch.cat(samples.features).double()
        self.mean.copy_(every.mean(0))
        self.deviation.copy_(every.std(0, correction=0).clamp(min=1e-3))
        n_units = every.shape[1]
        square = every.new_zeros(self.n_classes, n_units + 1, n_units + 1)
        wish = every.new_zeros(self.n_classes, n_units + 1, 4)
        for i, (regions, features) in enumerate(
            zip(samples.proposals, samples.features)
        ):
            own = y[i][y[i, :, 4] >= 0].double()
            if not len(own):
                continue
            iou, which = matched(regions.double(), own[None])[0][0].max(1)
            near = iou >= _NEAR
            labels, share = own[which, 4].long(), 1.0 if weight is None else weight[i]
            rows = self.standard(features).double()
            rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
            target = differences(own[which, :4], regions.double())
            for k in labels[near].unique():
                a = rows[near & (labels == k)]
                square[k] += share * a.T @ a
                wish[k] += share * a.T @ target[near & (labels == k)]
        penalty = torch.full((n_units + 1,), _RIDGE, dtype=torch.float64)
        penalty[-1] = 1e-6  # of the constant
        self.ridge.copy_(torch.linalg.solve(square + penalty.to(every).diag(), wish))


class RCNNDetector(ByProposals):
    """R-CNN: regions of selective search, each seen by a network as an image [1]_.

    Each region that selective search proposes [2]_ is warped, with some context, to a
    square. A network learns to classify such crops, background among the classes
    (fine-tuning); then its last hidden layer's values are features of all regions, of
    which a linear support vector machine a class tells whether that is in a region, and
    a ridge regression a class how far the object is from it.

    Parameters
    ----------
    crop_size : int, default=32
        The side of a crop in pixels, a multiple of 8.
    n_units : int, default=256
        Features of a region.
    fine_tuning_epochs : int or "auto", default="auto"
        How often the network sees all images. "auto" are 20 epochs, or as many as make
        1,000 steps.
    fine_tuning_lr : float, default=1.5e-3
        The learning rate of these epochs, at its highest.
    selective_search : {"single", "fast", "quality"}, default="fast"
        How many ways of joining segments are tried: the more, the more regions, and
        the longer it takes (about 1 to 7 to 27).
    max_epochs : int or "auto", default="auto"
        How often the machines go through the regions of all images. "auto" are 40
        epochs, or as many as make 1,500 steps.
    batch_size : int or "auto", default="auto"
        Images a step; "auto": about 260,000 pixels, 4 to 8 images.
    lr : float, default=3e-3
        Their learning rate, at its highest.
    gradient_clip : float, default=5.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    fine_tuning_epochs_ : int
        What ``fine_tuning_epochs`` came to.
    fine_tuning_loss_curve_ : list of float
        Loss of the network that classifies crops, an item an epoch.
    loss_curve_ : list of float
        Loss of the support vector machines, an item an epoch.
    n_parameters_ : int
        Numbers of the network, the machines and the classifier of crops.

    Raises
    ------
    ImportError
        Where OpenCV's further modules are not installed, the extra "vision".

    Notes
    -----
    All other parameters and attributes are as in `sknets.YOLODetector`; ``augment`` is
    for fine-tuning, and ``ema_decay`` is refused.

    Regions are looked for once for each image, in `fit` and in prediction, which takes
    longer than the network does. They follow the changes of ``augment``; a function
    that is given there gets them, too, as boxes with the label ``len(classes_)``.
    Images are enlarged for the search, up to 3 times, where the usual object is smaller
    than 48 pixels; where it finds fewer than 16 regions, windows of the size of the
    usual object are added; of more than 2,000 as many are drawn.
    A score is the logistic function of four times a machine's margin: 0.5 at its
    boundary.

    References
    ----------
    .. [1] R. Girshick, J. Donahue, T. Darrell, J. Malik. Rich Feature Hierarchies for
       Accurate Object Detection and Semantic Segmentation. CVPR 2014. As there, objects
       themselves are positive for a machine and regions that share less than 0.3 with
       any of its class negative, of which the hardest 64 of an image count.
       Departures: a small network of residual blocks and crops of 32 instead of 227
       pixels, trained on these images from scratch (or see ``backbone``); beyond an
       image its edge is repeated; machines learn step by step, by the squares of what
       margins lack; machines and regressions, of regions that share 0.6 with an object,
       see the same features.
    .. [2] J. Uijlings, K. van de Sande, T. Gevers, A. Smeulders. Selective Search for
       Object Recognition. IJCV 104, 2013. That of OpenCV.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import RCNNDetector
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 60, size=(30, 48, 48), dtype="uint8")
    >>> y = []
    >>> for image, (x, top) in zip(X, random.integers(0, 24, size=(30, 2))):
    ...     image[top : top + 20, x : x + 24] = 200
    ...     y.append({"boxes": [[x, top, x + 24, top + 20]], "labels": ["sheet"]})
    >>> net = RCNNDetector(fine_tuning_epochs=5, max_epochs=9, width=16, random_state=0)
    >>> net.fit(X[:20], y[:20]).evaluate(X[20:], y[20:])["ap50"] > 0.8
    True
    """

    _auto_batch: ClassVar[tuple[int, int, int]] = 4, 8, 2**18

    crop_size: int = param(default=32, at_least=16)
    n_units: int = param(default=256, at_least=1)
    fine_tuning_epochs: int | Literal["auto"] = param(default="auto", at_least=1)
    fine_tuning_lr: float = param(default=1.5e-3, above=0)

    def _check_params(self) -> None:
        super()._check_params()
        if self.crop_size % _STRIDE:
            sentence = f"crop_size must be a multiple of {_STRIDE}"
            raise ValueError(self._refusal("crop_size", sentence))
        if self.ema_decay is not None:
            sentence = "features are those of the last weights, not of running means"
            raise ValueError(self._refusal("ema_decay", sentence))

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.chunks_.n == 1:
            budget = Budget(epochs=20, steps=1000)
            given = self.fine_tuning_epochs
            self.fine_tuning_epochs_ = self._epochs(given, budget, samples)

    def _augmentation(self) -> Any:
        return self._augmentation_as(RCNNAugment)

    def _build(self) -> nn.Module:
        parts = self._parts((_STRIDE,))
        return RCNNNet(parts, self.crop_size, len(self.classes_), self.n_units)

    def _phases(self, net: Net) -> list[Phase]:
        """The classifier of crops, then a linear machine a class."""
        module: Any = net.module_
        recipe = replace(net._recipe, lr=self.fine_tuning_lr)

        def tune() -> list[Player]:
            own = [module.trunk, module.dense, module.classes]
            learned = [p for part in own for p in part.parameters() if p.requires_grad]
            return [Player("classifier", learned, recipe, module.tuning_loss)]

        def separate() -> list[Player]:
            return [Player("svms", [*module.svms.parameters()], net._recipe)]

        epochs = self.fine_tuning_epochs_
        return [
            Phase("fine-tuning", epochs, tune, counted=False),
            Phase("svms", self.max_epochs_, separate, partial(self._begin, net)),
        ]

    def _begin(
        self, net: Net, samples: Samples, valid: Any, resumed: bool
    ) -> tuple[Samples, Any]:
        """The features of all regions, once; of them the ridge regressions."""
        found = self._with_features(net, samples)
        if not resumed:
            module: Any = net.module_
            weight = None if found.weight is None else found.weight.values
            module.regress(found.x, found.y.values, weight)
        return found, valid

    def _with_features(self, net: Net, samples: Samples) -> Samples:
        module: Any = net.module_
        module.eval()
        proposals, features = [], []
        for start in range(0, len(samples), _TOGETHER):
            batch = samples[start : start + _TOGETHER]
            with torch.no_grad():
                regions = module.regions(batch.x, batch.y)
                found = module.features(module.images(batch.x), regions)
            proposals += regions
            features += found.split([*map(len, regions)])
        x = RegionFeatures(proposals, features)
        total = samples.total_weight
        return Samples(x, samples.targets, samples.weights, total_weight=total)

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        """Where the machines are at work already they go on with features."""
        samples = sets[0]
        if samples is not None and net._at:
            found = self._with_features(net, samples)
            samples.x, samples.y, samples.weight = found.x, found.y, found.weight
            samples.rows = None

    def _finish(self, net: Trainer) -> None:
        super()._finish(net)
        self.fine_tuning_loss_curve_ = net.losses_of("fine-tuning")
        self.n_parameters_ = sum(p.numel() for p in net.module_.parameters())


__all__ = ["RCNNDetector"]
