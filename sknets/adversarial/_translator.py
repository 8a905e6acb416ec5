"""ImageTranslator: images made of other images, by pairs of both (pix2pix)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.net import Net
from sknets._engine.optim import Budget
from sknets._engine.players import Phase, Player
from sknets._estimator import Estimator
from sknets._inputs import Images, ReadsImages
from sknets._inputs.layout import Layout
from sknets._layers import standardize_channels
from sknets._params import param
from sknets._targets import given_target
from sknets.adversarial._games import LOSS, LR_SCHEDULE
from sknets.adversarial._translation_nets import DrawingNet, PatchJudge, Translation

_HALF = 0.5  # pixels from 0 to 1 become numbers from -1 to 1


class Drawn(Images):
    """The images of y."""

    @property
    def who(self) -> str:
        return f"{super().who} (y)"


class ImageTranslator(ReadsImages, Estimator):
    """Images made of other images, learned of pairs of both: pix2pix [1]_.

    A U-Net [2]_ draws; it lowers the error of pixels, and what a discriminator, which
    sees patches of both images, makes of its drawings.

    Parameters
    ----------
    loss : {"original", "non_saturating", "least_squares", "wasserstein", "hinge"}, \
default="non_saturating"
        The game; see `GANSampler`.
    l1_weight : float, default=100.0
        Weight of the mean absolute error of pixels.
    adversarial_weight : float, default=1.0
        Weight of the discriminator's opinion; 0 leaves it out, and drawings are the
        medians of what is possible.
    gradient_penalty : float, default=0.0
        How strongly slopes of the discriminator are held; see `GANSampler`.
    width : int, default=32
        Channels of the first level; each further one has twice as many, at most eight
        times as many.
    depth : int or "auto", default="auto"
        How often images are halved. "auto": until the shorter side is below 8, at least
        once and at most 4 times.
    dropout : float, default=0.0
        The share of numbers switched off in training on the way up.
    ema_decay : float, default=0.999
        Drawings are by a mean of the networks so far, of which each step keeps that
        much; None: by the last one.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image holds the channels; see `CNNClassifier`. Several frames
        are channels.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 10 epochs, or as many as
        make 1,500 steps.
    batch_size : int, default=16
        Pairs a step.
    lr : float, default=0.001
        The learning rate of both, at the start of ``lr_schedule``.
    lr_schedule : {"linear", "step", "cosine", "one_cycle", "plateau"}, default="linear"
        "linear" keeps the rate for half of the epochs and then lets it fall to zero;
        for the others see `sknets._estimator.Estimator`.

    Attributes
    ----------
    target_reader_ : Reader
        What reads y.
    x_mean_, x_scale_, y_mean_, y_scale_ : ndarray of shape (n_channels,)
        Means and deviations of the channels; what is neither uint8 nor within [0, 1] is
        standardised by them.
    sample_shape_, image_size_ : tuple
        Shape of an image of X as given, and its extent without channels.
    n_channels_, spatial_dims_ : int
    channel_axis_ : int or None
        0 or -1 of an image's axes, None where there is none.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8, floats within [0, 1], or other numbers.

    See Also
    --------
    UNetSegmenter : a class for each pixel.

    Notes
    -----
    X and y are arrays of images of equal size, which may differ in their channels and
    units: grey to colour, outlines to filled images, frames to the next one. Sides that
    cannot be halved are continued by their last pixels, and what is drawn there is cut
    off. With ``early_stopping`` the error of held-out pixels is watched. ``train_l1``,
    ``train_adversarial`` and ``train_discriminator`` are in the history.

    For ``optimizer``, ``random_state``, ``checkpoint`` and the rest and for the other
    attributes of training see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros. Image-to-Image Translation with
       Conditional Adversarial Networks. CVPR 2017. Here narrower and less deep by
       default, patches are 18 pixels wide, there is no noise in prediction, the image
       itself is beside the last layer, and a mean of weights draws.
    .. [2] O. Ronneberger, P. Fischer, T. Brox. U-Net: Convolutional Networks for
       Biomedical Image Segmentation. MICCAI 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import ImageTranslator
    >>> digits = load_digits().images[:200] / 16
    >>> net = ImageTranslator(max_epochs=5, random_state=0).fit(1 - digits, digits)
    >>> net.predict(1 - digits[:3]).shape
    (3, 8, 8)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Images,)
    _targets: ClassVar[tuple[Any, ...]] = (Drawn,)
    _task: ClassVar[str] = "image translation"
    _has_loss: ClassVar[bool] = False
    _predict_batch_size: ClassVar[int] = 64

    loss: LOSS = param(default="non_saturating")  # type: ignore[valid-type]
    l1_weight: float = param(default=100.0, at_least=0)
    adversarial_weight: float = param(default=1.0, at_least=0)
    gradient_penalty: float = param(default=0.0, at_least=0)
    width: int = param(default=32, at_least=1)
    depth: int | Literal["auto"] = param(default="auto", at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    ema_decay: float | None = param(default=0.999, at_least=0, below=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    batch_size: int = param(default=16, at_least=1)
    lr: float = param(default=1e-3, above=0)
    lr_schedule: LR_SCHEDULE = param(  # type: ignore[valid-type,assignment]
        default="linear"
    )
    _budget = Budget(epochs=10, steps=1500)

    @with_callbacks
    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn to draw y for X.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels])
        y : array-like of shape (n_samples, height, width[, channels])
            What each image of X shall become, pixel on pixel; other channels may be.
        X_val, y_val : array-like, default=None
            Pairs to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for pairs of unequal size.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, None, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y)

    # -- for the engine --------------------------------------------------------------

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, spatial_dims=2)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        owner = type(self).__name__
        y = given_target(y, owner, n_samples)
        reader = self.target_reader_ if not reset else self._make_reader(Drawn)
        try:
            pixels = reader.learn(y) if reset else reader.read(y)
        except ValueError as error:  # a reader calls what it reads X
            raise ValueError(str(error).replace("(y): X", "(y): y")) from None
        if reset:
            self.target_reader_ = reader
        sizes = self.image_size_, reader.image_size_
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"{owner}: the images of X are {_by(sizes[0])} pixels and those of y "
                f"{_by(sizes[1])}: a pair must be of equal size, resize one of them"
            )
        if reset:
            self._learn_target(pixels)
        return pixels

    def _learn_target(self, pixels: Any) -> None:
        moments = self.chunks_.add("y", pixels.moments())
        self.y_mean_, self.y_scale_ = moments.mean, moments.scale(torch.float32)

    def _learn_statistics(self, samples: Samples) -> None:
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _build(self) -> nn.Module:
        target = self.target_reader_
        n, m = self.n_channels_, target.n_channels_
        fitting = max(1, math.floor(math.log2(min(self.image_size_))) - 2)
        depth = min(4, fitting) if self.depth == "auto" else int(self.depth)
        bounded = target.pixel_unit_ != "raw"
        draw = DrawingNet(n, m, self.width, depth, self.dropout, bounded)
        read = _unit(self.pixel_unit_, self.x_mean_, self.x_scale_)
        return Translation(
            draw,
            PatchJudge(n + m, self.width),
            read,
            _unit(target.pixel_unit_, self.y_mean_, self.y_scale_),
            self.loss,
            self.gradient_penalty,
            self.l1_weight,
            self.adversarial_weight,
        )

    def _phases(self, net: Net) -> list[Phase]:
        module, recipe = net.module_, replace(net._recipe, betas=(0.5, 0.999))
        judge, draw = list(module.judge.parameters()), list(module.draw.parameters())

        def players() -> list[Player]:
            drawing = Player("generator", draw, recipe, module.generator_loss)
            if not self.adversarial_weight:
                return [drawing]
            judging = Player("discriminator", judge, recipe, module.discriminator_loss)
            return [judging, drawing]

        return [Phase("game", self.max_epochs_, players)]

    # -- verbs -----------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Draw what each image becomes.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels])

        Returns
        -------
        y : ndarray of shape (n_samples, height, width[, channels])
            Laid out as the y of `fit` and in its unit, uint8 if that was.
        """
        check_is_fitted(self)
        module, target = self.net_.module_, self.target_reader_
        drawn = self._outputs(X, module.read_target.inverse)
        layout = Layout(target.spatial_dims_, target.channel_axis_)
        images = layout.samples(as_tensor(drawn))
        if target.pixel_unit_ == "byte":
            images = images.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        return images.contiguous().numpy()

    def score(self, X: Any, y: Any) -> float:
        """Return minus the mean absolute error of what is drawn, a number a pixel.

        In the units of y, bytes taken as numbers from 0 to 1.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        score : float
        """
        drawn = np.asarray(self.predict(X), np.float64)
        unit = 255 if self.target_reader_.pixel_unit_ == "byte" else 1
        true = np.asarray(y, np.float64)
        if true.shape != drawn.shape:
            raise ValueError(
                f"{type(self).__name__}.score: y must be of shape {drawn.shape}, got "
                f"{true.shape}"
            )
        return -float(np.abs(drawn - true).mean() / unit)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _unit(unit: str, mean: np.ndarray, scale: np.ndarray) -> nn.Module:
    if unit != "raw":
        mean, scale = np.full_like(mean, _HALF), np.full_like(scale, _HALF)
    return standardize_channels(mean, scale, (1, 1))


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


__all__ = ["ImageTranslator"]
