"""U-Net: down to what is there, up to where it is, and the same resolution beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sknets._engine.containers import Together
from sknets._inputs import ImageList
from sknets._inputs.layout import Layout
from sknets._layers import BatchNorm2d, BatchNorm3d, Dropout
from sknets._params import param
from sknets.segmentation._loss import border_weights
from sknets.segmentation._task import Segmenter
from sknets.segmentation._tiles import PixelNet, reach_of


class UNet(PixelNet):
    """Figure 1 of the paper, with padded convolutions."""

    def __init__(
        self,
        n_channels: int,
        n_classes: int,
        width: int,
        depth: int,
        batch_norm: bool,
        dropout: float,
        prepare: nn.Module,
        dims: int,
    ):
        super().__init__()
        self.stride = 2**depth
        volume = dims == 3
        Conv: Any = nn.Conv3d if volume else nn.Conv2d
        Norm: Any = BatchNorm3d if volume else BatchNorm2d
        Up: Any = nn.ConvTranspose3d if volume else nn.ConvTranspose2d

        def twice(n_in: int, n_out: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for n in (n_in, n_out):
                layers.append(Conv(n, n_out, 3, padding=1, bias=not batch_norm))
                layers += [Norm(n_out)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
            return nn.Sequential(*layers)

        widths = [width * 2**level for level in range(depth + 1)]
        self.prepare: nn.Module = nn.Identity()
        pairs = list(zip([n_channels, *widths], widths))
        self.down = nn.ModuleList(twice(*pair) for pair in pairs)
        self.pool: Any = (nn.MaxPool3d if volume else nn.MaxPool2d)(2)
        self.dropout = Dropout(dropout)
        upward = list(zip(widths[::-1], widths[-2::-1]))
        self.up = nn.ModuleList(Up(n, m, 2, stride=2) for n, m in upward)
        self.join = nn.ModuleList(twice(2 * m, m) for _, m in upward)
        self.head = Conv(width, n_classes, 1)
        for layer in self.modules():
            if isinstance(layer, Conv):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.memory_format = torch.channels_last_3d if volume else torch.channels_last
        self.to(memory_format=self.memory_format)
        self.reach = reach_of(self, torch.zeros(1, n_channels, *[self.stride] * dims))
        self.prepare = prepare

    def scores(self, x: Tensor) -> Tensor:  # (B, C, *size) -> (B, K, *size)
        x = self.prepare(x.contiguous(memory_format=self.memory_format))
        beside: list[Tensor] = []
        for level, block in enumerate(self.down):
            if level:
                x = self.pool(x)
            x = block(x)
            beside.append(x)
        x = self.dropout(beside.pop())
        for up, block in zip(self.up, self.join):
            x = block(torch.cat([beside.pop(), up(x)], 1))
        return self.head(x)


class UNetSegmenter(Segmenter):
    """U-Net: a class for each pixel of images, or voxel of volumes [1]_.

    Parameters
    ----------
    width : int, default=16
        Channels of the first level; each further one has twice as many.
    depth : int, default=3
        How often the image is halved.
    batch_norm : bool, default=True
        Batch normalisation after each convolution.
    dropout : float, default=0.0
        The share of numbers switched off in training at the coarsest level.
    border_weight : float, default=0.0
        How much more than others the pixels count that lie between two objects, so
        that objects that touch are told apart (10 in the paper). Objects are the
        connected parts of each class but the first of ``classes_``, the background.
    border_sigma : float, default=5.0
        How fast that falls with the distances to both objects, in pixels.
    loss : {"cross_entropy", "dice", "focal", "cross_entropy_dice"}, \
default="cross_entropy"
        Of an image, a mean over its pixels. "dice": one less the mean over the classes
        in the mask of the soft Dice coefficient [2]_, for classes that are rare;
        "focal": cross-entropy times ``(1 - p)²`` [3]_; "cross_entropy_dice": the sum of
        the two.
    class_weight : dict, "balanced" or None, default=None
        Weight of the pixels of each class; "balanced" makes all classes weigh the same
        in sum.
    ignore_index : int, default=None
        Pixels of this value in a mask count for nothing, in training and in scores.
    patch_size : int, tuple of int or "auto", default="auto"
        The windows of images that are trained on, a random one of each image a step;
        a multiple of ``2**depth``. Smaller images are mirrored at their edges, with
        their masks. "auto": whole images up to 256 pixels a side (volumes: 64), else
        windows of that.
    tile_size : int, default=512
        Images of more pixels than its square are predicted tile by tile, in memory that
        does not grow with the image. A tile sees around it all that the network can
        see: the result is that of the whole image, up to rounding.
    test_time_augmentation : bool, default=False
        Whether predictions are a mean over the mirror images and quarter turns that
        ``augment`` names, as in the paper: up to eight times as long.
    augment : str, callable, list or None, default=("flip", "turn", "brightness")
        Random changes of images and masks together, in training: "flip" (left to
        right), "turn" (quarter turns; of volumes in the plane of their last two axes,
        and upside down), "brightness" (contrast by up to a fifth, brightness by up to a
        fifth of a standard deviation), a function of an image and its mask, tensors
        (channels, *size) and (1, *size), that returns both, such as torchvision's v2
        transforms, or a list of these. Where pictures have an up and down, leave out
        "turn".
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image holds the channels. "auto": the last if it is at most 4
        long, else the first if that is.
    spatial_dims : int, default=None
        2 for images, 3 for volumes. None: by the axes of X; volumes without channels
        need it.
    max_epochs : int or "auto", default="auto"
        How often training goes through the images. "auto" are 30 epochs, or as many as
        make 134 million pixels, between 600 and 3,000 steps.
    batch_size : int or "auto", default="auto"
        Windows a step. "auto": as many as have 131,072 pixels, at least 2 and at most
        8.
    lr : float, default=0.003
        The highest learning rate of the schedule.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.0001
        L2 penalty of weight matrices; biases and normalisations are left alone.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The values that masks had, without ``ignore_index``.
    patch_size_ : tuple of int
        What ``patch_size`` came to.
    batch_size_ : int
        What ``batch_size`` came to.
    pixel_weights_ : ndarray of shape (n_classes,) or None
        What ``class_weight`` came to.
    n_channels_, spatial_dims_ : int
    channel_axis_ : int or None
        0 or -1 of an image's axes, None where there is none.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8 (divided by 255), floats within [0, 1], or other numbers.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by.

    Notes
    -----
    X is one of: an array ``(n_samples, height, width[, channels])`` or ``(n_samples,
    channels, height, width)``, volumes with one more extent, or a list of images of
    unequal size. An image whose sides are no multiples of ``2**depth`` is mirrored at
    its far edges, and what is found there is cut off. Images of one size share a batch
    of prediction: what is found in an image never depends on the others.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`. ``validation_scores_`` are mean IoUs.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer, T. Brox. U-Net: Convolutional Networks for
       Biomedical Image Segmentation. MICCAI 2015. Here convolutions are padded, so that
       masks are as large as images; normalised; a quarter as wide and one level less
       deep by default; dropout and borders are weighed only where asked for; changes
       are flips, turns and light, not elastic. Volumes as in Ö. Çiçek et al. 3D U-Net.
       MICCAI 2016.
    .. [2] F. Milletari, N. Navab, S.-A. Ahmadi. V-Net. 3DV 2016. Here with plain
       denominators, a mean over classes.
    .. [3] T.-Y. Lin et al. Focal Loss for Dense Object Detection. ICCV 2017.

    Examples
    --------
    Bright discs on noise; masks may have any whole numbers.

    >>> import numpy as np
    >>> from sknets import UNetSegmenter
    >>> random = np.random.default_rng(0)
    >>> X = random.integers(0, 100, (40, 32, 32), dtype="uint8")
    >>> row, column = np.mgrid[:32, :32]
    >>> y = np.zeros((40, 32, 32), dtype="uint8")
    >>> for image, mask, (i, j) in zip(X, y, random.integers(8, 24, size=(40, 2))):
    ...     mask[(row - i) ** 2 + (column - j) ** 2 < 40] = 255
    ...     image += mask // 2
    >>> net = UNetSegmenter(width=8, depth=2, max_epochs=15, random_state=0)
    >>> bool(net.fit(X[:30], y[:30]).score(X[30:], y[30:]) > 0.9)
    True
    >>> net.predict(X[30:]).shape, net.predict_proba(X[30:]).shape
    ((10, 32, 32), (10, 2, 32, 32))
    """

    _takes_dims: ClassVar[tuple[int, ...]] = (2, 3)

    width: int = param(default=16, at_least=1)
    depth: int = param(default=3, at_least=1)
    batch_norm: bool = param(default=True)
    dropout: float = param(default=0.0, at_least=0, below=1)
    border_weight: float = param(default=0.0, at_least=0)
    border_sigma: float = param(default=5.0, above=0)
    spatial_dims: int | None = param(default=None, at_least=2, at_most=3)
    augment: str | Callable | list | tuple | None = param(
        default=("flip", "turn", "brightness")
    )
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1e-4, at_least=0)

    @property
    def _stride(self) -> int:
        return 2**self.depth

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        if self.border_weight:
            maps = [self._borders(codes.cpu().numpy()) for codes in samples.y.images]
            borders = ImageList(maps, Layout(self.spatial_dims_, 0))
            borders = borders.to(samples.x.device, samples.x.dtype)
            samples.y = Together(samples.y, borders)
        return samples

    def _borders(self, codes: np.ndarray) -> Tensor:
        weights = border_weights(codes[0], 0, self.border_sigma)
        return torch.from_numpy(self.border_weight * weights[None]).half()

    def _build(self) -> nn.Module:
        return UNet(
            self.n_channels_,
            len(self.classes_),
            self.width,
            self.depth,
            self.batch_norm,
            self.dropout,
            self._standardize(),
            self.spatial_dims_,
        )


__all__ = ["UNetSegmenter"]
