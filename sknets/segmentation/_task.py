"""The task of telling a class for each pixel."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import items
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._in_images import InImages
from sknets._inputs import ImageList, rounded
from sknets._inputs.layout import NOUN
from sknets._inputs.masks import Masks
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._targets import given_target
from sknets.metrics import accuracy_of, dice_of, iou_of, mean_of, pixel_confusion
from sknets.segmentation._loss import PixelLoss, class_weights, masks_of
from sknets.segmentation._patches import AUGMENTATIONS, PatchAugment

# "auto": whole images up to this side, else windows of it, by the axes of an image.
_PATCH = {2: 256, 3: 64}
_SEEN = 2**27  # pixels that training sees at least, unless these are many small steps


class Segmenter(InImages):
    """Task of telling a class for each pixel of an image."""

    _targets: ClassVar[tuple[Any, ...]] = (Masks,)
    _task: ClassVar[str] = "segmentation"
    _augmentations: ClassVar[tuple[str, ...]] = AUGMENTATIONS
    _beside: ClassVar[str] = "mask"
    _auto_batch: ClassVar[tuple[int, int, int]] = 2, 8, 2 * 256**2
    # Axes of the images, without channels.
    _takes_dims: ClassVar[tuple[int, ...]] = (2,)

    classes_ = Learned("target_reader_")

    loss: Literal["cross_entropy", "dice", "focal", "cross_entropy_dice"] = param(
        default="cross_entropy"
    )
    class_weight: dict[Any, float] | Literal["balanced"] | None = param(default=None)
    ignore_index: int | None = param(default=None)
    patch_size: int | tuple[int, ...] | Literal["auto"] = param(
        default="auto", at_least=1
    )
    tile_size: int = param(default=512, at_least=16)
    test_time_augmentation: bool = param(default=False)

    # -- verbs -----------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on images and their masks.

        Parameters
        ----------
        X : array-like of shape (n_samples, *size[, n_channels]) or list of arrays
            uint8, or floats; of a list each image may have a size of its own.
        y : array-like of shape (n_samples, *size) or list of arrays
            A class for each pixel, as whole numbers of any values.
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
            For a parameter out of bounds, for a mask that has not the size of its
            image, for values that are no classes, for a single class.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All the classes that will come; None: those of the first call.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `fit`; for a class that is not among them.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each pixel.

        Parameters
        ----------
        X : array-like of shape (n_samples, *size[, n_channels]) or list of arrays

        Returns
        -------
        masks : ndarray of shape (n_samples, *size) or object ndarray of arrays
            Of a list the masks are objects, each of the size of its image. Their dtype
            is that of the masks of `fit`.
        """

        def classes(scores: Tensor) -> Tensor:
            few = len(self.classes_) < 256
            return scores.argmax(1).to(torch.uint8 if few else torch.int32)

        return self._maps(X, classes, lambda codes: self.classes_[codes])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class at each pixel.

        Parameters
        ----------
        X : array-like of shape (n_samples, *size[, n_channels]) or list of arrays

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes, *size) or object ndarray of arrays
            Of a list the maps are objects, each of the size of its image.
        """
        return self._maps(X, lambda scores: scores.float().softmax(1))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean intersection over union, see `sknets.metrics.mean_iou`.

        Parameters
        ----------
        X : array-like of shape (n_samples, *size[, n_channels]) or list of arrays
        y : array-like of shape (n_samples, *size) or list of arrays
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            For masks that have not the size of their image, or classes that `fit` had
            not.
        """
        return self.evaluate(X, y, sample_weight)["mean_iou"]

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return what can be said of predictions beside the truth.

        Parameters
        ----------
        X, y, sample_weight
            As in `score`.

        Returns
        -------
        figures : dict
            ``mean_iou``, ``mean_dice`` and ``pixel_accuracy``, each a number, ``iou``
            and ``dice``, each a dict of a number a class, NaN for one that is neither
            in y nor found, and ``confusion``, an ndarray (n_classes, n_classes) of
            pixels of true classes (rows) and predicted ones.
        """
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        masks = self.target_reader_.items(given_target(y, type(self).__name__, len(x)))
        self._refuse_other_sizes(x, self.target_reader_.encoded(masks))
        counts, _ = pixel_confusion(
            masks,
            self.predict(X),
            classes=self.classes_,
            ignore_index=self.ignore_index,
            sample_weight=sample_weight,
        )
        iou, dice, names = iou_of(counts), dice_of(counts), self.classes_.tolist()
        return {
            "mean_iou": mean_of(iou),
            "mean_dice": mean_of(dice),
            "pixel_accuracy": accuracy_of(counts),
            "iou": dict(zip(names, iou.tolist())),
            "dice": dict(zip(names, dice.tolist())),
            "confusion": counts,
        }

    def _maps(self, X: Any, then: Any, write: Any = None) -> np.ndarray:
        """A map of each image, in one array if X is one."""
        check_is_fitted(self)
        x = self._check_input(X, reset=False)
        module, average = self.net_.module_, self.test_time_augmentation
        turns = 4 if average and "turn" in self._kinds() else 1
        flips = 2 if average and "flip" in self._kinds() else 1

        def read(part: Tensor) -> Tensor:
            if turns * flips > 1:
                return then(module.averaged(part, turns, flips))
            return then(module.scores(part))

        def run(images: ImageList) -> list[np.ndarray]:
            maps = module.maps(images, read, self.tile_size)
            return maps if write is None else [write(each) for each in maps]

        found = items(self.net_.batches(x, run), len(x))
        return np.stack(list(found)) if isinstance(x.images, Tensor) else found

    # -- for the engine ----------------------------------------------------------------

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        dims = self.spatial_dims_
        if reset and dims not in self._takes_dims:
            fix = (
                "for a label a step take RNNClassifier(per_step=True)"
                if dims == 1
                else "volumes are for UNetSegmenter"
            )
            raise ValueError(
                f"{type(self).__name__}: X holds {NOUN[dims]}s and must hold images; "
                f"{fix}"
            )
        return x

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if reset:
            reader = Masks.of(self, spatial_dims=self.spatial_dims_, announced=classes)
            seen = None if weight is None else weight > 0
            codes = reader.learn(y, seen)
            self.target_reader_ = reader
            return codes
        known = self.classes_
        if classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(
                f"{type(self).__name__}: classes={np.unique(classes).tolist()} differ "
                f"from those of the first call, {known.tolist()}"
            )
        return self.target_reader_.read(y)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        self._refuse_other_sizes(samples.x, samples.y)
        if reset:
            self.pixel_weights_ = class_weights(
                self._refusal,
                self.class_weight,
                self.classes_.tolist(),
                samples.y,
                samples.weight_of_all(),
            )
            self.patch_size_ = self._patch(samples.x)
        return samples

    def _refuse_other_sizes(self, x: ImageList, y: ImageList) -> None:
        for i, (own, size) in enumerate(zip(x.sizes, y.sizes)):
            if own != size:
                raise ValueError(
                    f"{type(self).__name__}: y[{i}] has {by(size)} pixels and X[{i}] "
                    f"{by(own)}: a mask has the size of its image"
                )

    def _fits_whole(self) -> str:
        if self.class_weight == "balanced":
            return self._refusal(
                "class_weight",
                "partial_fit cannot know how frequent the classes are, give a dict of "
                "weights: there is no partial_fit",
            )
        return super()._fits_whole()

    def _patch(self, x: ImageList) -> tuple[int, ...]:
        """The size of the windows that are trained on."""
        dims, stride = self.spatial_dims_, self._stride
        if self.patch_size == "auto":
            most = rounded((_PATCH[dims],), stride)[0]
            return tuple(min(most, side) for side in rounded(x.largest, stride))
        given = self.patch_size
        size = (given,) * dims if isinstance(given, int) else tuple(given)
        if len(size) != dims or any(side % stride for side in size):
            raise ValueError(
                self._refusal(
                    "patch_size",
                    f"patch_size must be a number, or {dims} of them, that this "
                    f"network can halve: multiples of {stride}, such as "
                    f"{rounded(size, stride)[0]}",
                )
            )
        return size

    @property
    def _stride(self) -> int:
        """By how much the network's coarsest map is smaller than an image."""
        raise NotImplementedError

    @property
    def _budget(self) -> Budget:
        step = self._batch_size() * int(np.prod(self.patch_size_))
        return Budget(epochs=30, steps=max(600, min(3000, _SEEN // step)))

    def _trained_size(self) -> tuple[int, ...]:
        return self.patch_size_

    def _augmentation(self) -> PatchAugment:
        return PatchAugment(self.patch_size_, self._kinds(), self.x_scale_)

    def _criterion(self) -> nn.Module:
        return PixelLoss(self.loss, len(self.classes_), self.pixel_weights_)

    def _score(self) -> Any:
        return MeanIoU(len(self.classes_))


class MeanIoU:
    """Mean intersection over union of a validation set, added up batch by batch."""

    def __init__(self, n_classes: int):
        self.n_classes = n_classes
        self.counts = np.zeros((n_classes, n_classes))

    def update(self, output: Tensor, y: Any, weight: Tensor | None) -> None:
        n = self.n_classes
        codes, _ = masks_of(y, output.shape[2:], n)
        pairs = (codes * n + output.argmax(1)).flatten(1)
        weights = [1.0] * len(pairs) if weight is None else weight.tolist()
        for row, true, w in zip(pairs, codes.flatten(1), weights):
            counts = torch.bincount(row[true < n], minlength=n * n)
            self.counts += w * counts.view(n, n).cpu().numpy()

    def compute(self) -> float:
        return mean_of(iou_of(self.counts))


def by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


__all__ = ["Segmenter"]
