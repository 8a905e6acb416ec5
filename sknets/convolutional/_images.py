"""Convolutional networks for images, signals and volumes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._augment import Augment, augmentations, check_augment
from sknets._backbones import (
    Backbone,
    check_backbone,
    check_images,
    imagenet_statistics,
    load_weights,
)
from sknets._engine.collect import stacked
from sknets._engine.containers import Values
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Images, ReadsImages
from sknets._inputs.layout import NOUN
from sknets._layers import (
    ACTIVATIONS,
    BatchNorm2d,
    BatchNorm3d,
    Dropout,
    standardize_channels,
)
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets.convolutional._series import ARCHITECTURES, SeriesNet


class ConvNet(nn.Module):
    """Convolutions, each normalised and pooled, then dense layers, then the output."""

    def __init__(
        self,
        n_channels: int,
        size: tuple[int, ...],
        n_outputs: int,
        channels: tuple[int, ...],
        kernel_size: int,
        pooling: str | None,
        batch_norm: bool,
        activation: str,
        hidden: tuple[int, ...],
        dropout: float,
        prepare: list[nn.Module],
    ):
        super().__init__()
        # A signal is an image of height 1: the kernels of images are the fast ones.
        flat = len(size) == 1
        size = (1, *size) if flat else size
        volume = len(size) == 3
        Convolution: Any = nn.Conv3d if volume else nn.Conv2d
        Norm: Any = BatchNorm3d if volume else BatchNorm2d
        pools: dict[str, Any] = {
            "max": nn.MaxPool3d if volume else nn.MaxPool2d,
            "average": nn.AvgPool3d if volume else nn.AvgPool2d,
        }
        kernel = [1 if flat and i == 0 else kernel_size for i in range(len(size))]
        padding = [k // 2 for k in kernel]
        layers: list[nn.Module] = []
        for width in channels:
            layers.append(
                Convolution(
                    n_channels, width, kernel, padding=padding, bias=not batch_norm
                )
            )
            size = tuple(s + 2 * p - k + 1 for s, p, k in zip(size, padding, kernel))
            # A side below 4 is left as it is, so that any size of image goes through.
            pool = [2 if side >= 4 else 1 for side in size]
            if pooling is not None and max(pool) > 1:
                # First of all: normalisation and activation then have a quarter of
                # the numbers to work on.
                layers.append(pools[pooling](pool))
                size = tuple(side // p for side, p in zip(size, pool))
            if batch_norm:
                layers.append(Norm(width))
            layers.append(ACTIVATIONS[activation]())
            n_channels = width
        self.prepare = nn.Sequential(*prepare)
        self.convolutions = nn.Sequential(*layers)
        width = n_channels * math.prod(size)
        dense: list[nn.Module] = [nn.Flatten()]
        for n_units in hidden:
            dense += [Dropout(dropout)] if dropout else []
            dense += [nn.Linear(width, n_units), ACTIVATIONS[activation]()]
            width = n_units
        self.dense = nn.Sequential(*dense)
        drop = [Dropout(dropout)] if dropout else []
        self.head = nn.Sequential(*drop, nn.Linear(width, n_outputs))
        self.n_features = width
        self.memory_format = torch.channels_last_3d if volume else torch.channels_last
        self.to(memory_format=self.memory_format)

    def features(self, x: Tensor) -> Tensor:  # (B, C, *size) -> (B, n_features)
        x = self.prepare(x.contiguous(memory_format=self.memory_format))
        return self.dense(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, *size) -> (B, K)
        return self.head(self.features(x))


class _Convolutional(
    ReadsImages, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Images,)
    # Larger batches leave the cache: half as fast.
    _predict_batch_size: ClassVar[int] = 128

    architecture: Literal["auto", "plain", "fcn", "resnet", "inception"] = param(
        default="auto"
    )
    channels: int | tuple[int, ...] = param(default=(24, 48, 96), at_least=1)
    kernel_size: int = param(default=3, at_least=1)
    pooling: Literal["max", "average"] | None = param(default="max")
    batch_norm: bool | Literal["auto"] = param(default="auto")
    activation: Literal[*ACTIVATIONS] = param(default="relu")  # type: ignore[valid-type]
    hidden_layer_sizes: int | tuple[int, ...] = param(default=(128,), at_least=1)
    dropout: float | Literal["auto"] = param(default="auto", at_least=0, below=1)
    backbone: str | None = param(default=None)
    weights: str | Path | None = param(default=None)
    freeze_backbone: bool = param(default=False)
    augment: str | Callable | list | None = param(default=None)
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    spatial_dims: int | None = param(default=None, at_least=1, at_most=3)
    _picture_dropout: ClassVar[float] = 0.4
    _picture_budget: ClassVar[Budget] = Budget(epochs=7, steps=440)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr: float = param(default=3e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )

    def _check_params(self) -> None:
        super()._check_params()
        check_augment(self)
        check_backbone(self)
        changed = self._changed_stack()
        if self.architecture in ARCHITECTURES and changed:
            raise ValueError(
                self._refusal(
                    changed[0],
                    f"architecture={self.architecture!r} is a whole network, of which "
                    f"{changed[0]} is no part: leave it out, or set "
                    "architecture='plain'",
                )
            )

    def _changed_stack(self) -> list[str]:
        """The parameters of the plain stack, and what replaces it, that were set."""
        fields = dataclasses.fields(type(self))  # type: ignore[arg-type]
        defaults = {field.name: field.default for field in fields}
        return [n for n in _STACK if _plain(getattr(self, n)) != _plain(defaults[n])]

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        pixels = super()._check_input(X, reset=reset, seen=seen)
        if reset and self.backbone is not None:
            check_images(self, self.n_channels_, self.image_size_)
        if reset and self.architecture in ARCHITECTURES and self.spatial_dims_ > 1:
            raise ValueError(
                self._refusal(
                    "architecture",
                    f"this network is for series, and X holds "
                    f"{NOUN[self.spatial_dims_]}s: leave it 'auto', or say with "
                    "spatial_dims=1 that X (n_samples, steps, channels) holds series",
                )
            )
        return pixels

    @property
    def _architecture(self) -> str:
        """What "auto" is for the X of `fit`."""
        if self.architecture != "auto":
            return self.architecture
        short = self.channel_axis_ is None and self.image_size_[0] <= _ROW
        if self.spatial_dims_ > 1 or short or self._changed_stack():
            return "plain"
        return "resnet"

    @property
    def _budget(self) -> Budget:
        if self._architecture == "plain":
            return self._picture_budget
        return Budget(self._picture_budget.epochs, steps=800)

    def _batch_size(self) -> int:
        auto = 64 if self._architecture == "plain" else 16
        self.batch_size_ = auto if self.batch_size == "auto" else int(self.batch_size)
        return self.batch_size_

    def _learn_statistics(self, samples: Samples) -> None:
        if self.weights is not None and self.pixel_unit_ != "raw":
            self.x_mean_, self.x_scale_ = imagenet_statistics(self.n_channels_)
            return
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _build(self) -> nn.Module:
        standardize = standardize_channels(
            self.x_mean_, self.x_scale_, self.image_size_
        )
        prepare: list[nn.Module] = [standardize]
        if self.backbone is not None:
            return Backbone(
                self.backbone,
                self.n_channels_,
                self._n_outputs,
                prepare,
                self.freeze_backbone,
            )
        dropout = self.dropout
        if dropout == "auto":
            dropout = self._picture_dropout if self.spatial_dims_ == 2 else 0.0
        architecture = self._architecture
        if architecture != "plain":
            (n_steps,) = self.image_size_
            sizes = self.n_channels_, n_steps, self._n_outputs
            loss = self._criterion()
            return SeriesNet(architecture, *sizes, dropout, prepare, loss)
        norm = self.batch_norm
        if norm == "auto":
            # The statistics of a batch depend on its rows: with them a weighted fit of
            # a table would not be the fit of repeated rows.
            norm = self.spatial_dims_ > 1 or self.channel_axis_ is not None
        return ConvNet(
            self.n_channels_,
            self.image_size_,
            self._n_outputs,
            as_tuple(self.channels),
            self.kernel_size,
            self.pooling,
            bool(norm),
            self.activation,
            as_tuple(self.hidden_layer_sizes),
            dropout,
            prepare,
        )

    def _augmentation(self) -> Any:
        kinds = augmentations(self.augment)
        return Augment(kinds) if kinds else None

    def _load_pretrained(self, module: Any) -> None:
        if self.weights is not None:
            load_weights(self, module)

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        """Let a frozen backbone see each image once, not once an epoch."""
        images = sets[0].x if sets[0] is not None else None
        if images is None or not self.freeze_backbone or augmentations(self.augment):
            return
        features = stacked(net.batches(images, net.module_.features), len(images))
        table = Values(features.clone()).to(images.device, images.dtype)
        for samples in sets:
            if samples is not None:
                samples.x = table

    def transform(self, X: Any) -> np.ndarray:
        """Return the penultimate features: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
        """
        return self._outputs(X, features=True)

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# Of the plain stack alone.
_STACK = (
    "channels",
    "kernel_size",
    "pooling",
    "batch_norm",
    "activation",
    "hidden_layer_sizes",
    "backbone",
)
# Rows of up to so many numbers are a table's, not series.
_ROW = 32


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def as_tuple(sizes: Any) -> tuple[int, ...]:
    return tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),)


class CNNClassifier(_Convolutional, Classifier):
    """Convolutional network that tells classes of images, signals or volumes [1]_.

    Parameters
    ----------
    architecture : {"auto", "plain", "fcn", "resnet", "inception"}, default="auto"
        "plain" is the stack of convolutions and dense layers that the next six
        parameters describe. Networks made for series (signals), which have wide kernels
        and the mean over all steps at the end: "fcn" [4]_, fully convolutional,
        "resnet" [4]_, residual, and "inception" [5]_, each twice, the mean of two nets
        being the output; of the others they take
        ``dropout`` and ``augment``, and the six parameters of the stack, or a
        ``backbone``, are an error. "auto": "resnet" for series, if none of these is
        set to anything but its default; "plain" for images, volumes and rows of up to
        32 numbers, which are a table's; ``X[:, :, None]`` makes series of them.
    channels : int or tuple of int, default=(24, 48, 96)
        Filters of each convolution. One after the other: convolution, pooling,
        normalisation, activation.
    kernel_size : int, default=3
        Side of the filters; borders are padded with zeros.
    pooling : {"max", "average"} or None, default="max"
        How each convolution's output is halved; sides below 4 are left as they are.
    batch_norm : bool or "auto", default="auto"
        Batch normalisation [2]_. "auto": for all but plain rows.
    activation : str, default="relu"
        "relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu" or "silu".
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of the dense layers between the last convolution and the output; the last
        of them gives the features of `transform`. ``()``: none.
    dropout : float or "auto", default="auto"
        The share of units switched off before each dense layer in training [3]_.
        "auto" is 0.4 for classes of pictures, else 0.
    backbone : str, default=None
        A convolutional classifier of torchvision by name, such as "resnet18", "vgg11",
        "alexnet" or "mobilenet_v3_small", instead of the stack above. Its last layer
        is replaced. Images need 32 pixels a side or more (see ``resize``).
    weights : str, path or None, default=None
        Pretrained weights of the backbone: "DEFAULT" downloads torchvision's best; a
        path names a file of them (``torch.save`` of a state dict, or safetensors).
        None: random ones.
    freeze_backbone : bool, default=False
        Train the new last layer only. Without ``augment`` the backbone then sees each
        image once, not once an epoch.
    augment : str, callable, list or None, default=None
        Random changes of the images in training but for its last quarter, which sees
        them as predictions do: "flip" (left to right), "shift" (by up to a tenth of a
        side, to whole pixels, zeros move in), "crop" (a window of four fifths of each
        side or more, stretched), a function of one image tensor (channels, ...) such as
        torchvision's v2 transforms, or a list of these.
    image_shape : tuple of int, default=None
        What X of flat rows holds: (height, width), or with channels; None: rows are
        signals of one channel.
    resize : int or tuple of int, default=None
        Bring all samples to this size. None: as they are; a list of unequal images is
        brought to its median size.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of a sample holds the channels. "auto": the last if it is at most 4
        long, else the first if that is; of a signal the shorter one. Setting it also
        says that there is such an axis.
    spatial_dims : int, default=None
        1 for signals, 2 for images, 3 for volumes. None tells by the axes of X: rows
        are signals, (n, a, b) are grey images unless one axis is at most 16 and a
        quarter of the other, (n, a, b, c) images, (n, a, b, c, d) volumes.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 7 epochs, or as many as
        make 440 steps, 800 of a network for series.
    batch_size : int or "auto", default="auto"
        Samples a step. "auto" is 64, and 16 of a network for series.
    lr : float, default=0.003
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        A few epochs are enough with "one_cycle"; see `sknets._estimator.Estimator`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    sample_shape_ : tuple or None
        Shape of a sample as given; None where samples may differ in size.
    image_size_ : tuple of int
        Extent of what the network sees, without channels.
    n_channels_ : int
    spatial_dims_ : int
        1, 2 or 3.
    channel_axis_ : int or None
        0 or -1 of a sample's axes, None if it has none for channels.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8 (divided by 255), floats within [0, 1], or other numbers.
    batch_size_ : int
        The batch size that was used.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its own (weighted) mean and standard
        deviation, or those of ImageNet for pretrained weights.

    Notes
    -----
    X is one of: images ``(n, height, width)``, ``(n, height, width, channels)`` or
    ``(n, channels, height, width)``; a list of images of unequal size; series
    ``(n, length, channels)``, a list of unequal ones being brought to one length;
    volumes ``(n, depth, height, width, channels)``; flat rows with ``image_shape``;
    plain rows. uint8 or float, computed in float32 (plain
    rows in their own dtype).

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.
    ``precision="bfloat16"`` takes about two thirds of the time on images of 28 x 28
    pixels or more, where the processor has instructions for it; on smaller ones and on
    volumes it is slower.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-Based Learning Applied
       to Document Recognition. Proc. IEEE 86, 1998. Here with rectified units, max
       pooling and Adam; pooling comes before normalisation and activation, which then
       have a quarter of the work.
    .. [2] S. Ioffe, C. Szegedy. Batch Normalization. ICML 2015.
    .. [3] N. Srivastava et al. Dropout: A Simple Way to Prevent Neural Networks from
       Overfitting. JMLR 15, 2014. Scaled in training, not in prediction.
    .. [4] Z. Wang, W. Yan, T. Oates. Time Series Classification from Scratch with Deep
       Neural Networks: A Strong Baseline. IJCNN 2017. Here, as in [5]_: each channel
       also as its own shape (centred and scaled along each series) beside the scale of
       all series; series of more than 192 steps are read in strides by the first
       kernel, which is then twice as wide as these; kernels of 7 for 8, which have a
       middle; half the filters; hundreds of steps of one cycle for thousands of epochs.
    .. [5] H. Ismail Fawaz et al. InceptionTime: Finding AlexNet for Time Series
       Classification. Data Mining and Knowledge Discovery 34, 2020. Here two networks,
       not five, with half the filters and odd kernels of 39, 19 and 9.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknets import CNNClassifier
    >>> digits = load_digits()
    >>> images = (digits.images * 15).astype("uint8")  # (1797, 8, 8)
    >>> X, X_test, y, y_test = train_test_split(images, digits.target, random_state=0)
    >>> cnn = CNNClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> bool(cnn.score(X_test, y_test) > 0.97)
    True
    >>> cnn.transform(X_test).shape
    (450, 128)

    Series, one a row: a wave goes up or down first, anywhere in noise.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> X, y = random.normal(0, 0.3, (120, 60)), np.arange(120) % 2
    >>> wave = 2 * np.sin(np.linspace(0, 2 * np.pi, 16))
    >>> for x, label, start in zip(X, y, random.integers(0, 44, 120)):
    ...     x[start : start + 16] += wave if label else -wave
    >>> cnn = CNNClassifier(max_epochs=5, random_state=0).fit(X[:60], y[:60])
    >>> bool(cnn.score(X[60:], y[60:]) > 0.95)
    True
    """


class CNNRegressor(_Convolutional, Regressor):
    """Convolutional network that predicts numbers from images, signals or volumes.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.CNNClassifier`; without classes there is no ``class_weight``.

    Parameters
    ----------
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 10 epochs, or as many as
        make 440 steps, 800 of a network for series.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    Examples
    --------
    How wide is the bar?

    >>> import numpy as np
    >>> from sknets import CNNRegressor
    >>> width = np.random.default_rng(0).integers(1, 12, 200)
    >>> X = np.arange(12) < width[:, None, None] * np.ones((12, 1))
    >>> X.shape
    (200, 12, 12)
    >>> cnn = CNNRegressor(max_epochs=20, random_state=0).fit(X[:150], width[:150])
    >>> bool(cnn.score(X[150:], width[150:]) > 0.9)
    True
    """

    # Numbers take more steps than classes on a small X, and no noise.
    _picture_dropout = 0.0
    _picture_budget = Budget(epochs=10, steps=440)
