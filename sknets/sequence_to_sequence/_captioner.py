"""From images to texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._attention import SinusoidalPositions
from sknets._augment import Augment, augmentations, check_augment
from sknets._backbones import (
    check_backbone,
    check_images,
    imagenet_statistics,
    load_weights,
)
from sknets._engine.data import Samples
from sknets._engine.optim import Budget
from sknets._inputs import Images
from sknets._inputs.images import ReadsImages
from sknets._layers import standardize_channels
from sknets._params import param
from sknets._targets import given_target
from sknets._trunk import make_trunk
from sknets.sequence_to_sequence._memory import Memory
from sknets.sequence_to_sequence._recurrent import RecurrentDecoder
from sknets.sequence_to_sequence._writer import Writer
from sknets.sequence_to_sequence._writing_net import Embedding, WritingNet

# Cells of a map that a decoder looks at, at most, where a coarser one is to be had.
_CELLS = 256


class ImageReading(nn.Module):
    """The cells of a map of an image, each with the place where it is."""

    def __init__(self, prepare: nn.Module, trunk: Any, width: int, size: list[int]):
        super().__init__()
        self.prepare, self.trunk = prepare, trunk
        (self.stride,) = trunk.strides
        self.project = nn.Conv2d(trunk.widths[self.stride], width, 1)
        self.positions = SinusoidalPositions(width, *size)

    def forward(self, x: Tensor) -> Memory:  # (B, C, H, W)
        cells = self.project(self.trunk(self.prepare(x))[self.stride])
        return Memory(self.positions(cells.flatten(2).mT), None)


class ImageCaptioner(ReadsImages, Writer):
    """Network that says what is in images [1]_ [2]_.

    A convolutional network reads an image; recurrent cells write the text word by word,
    each by those before it and by the parts of the image that they look at.

    Parameters
    ----------
    cell : {"lstm", "gru"}, default="lstm"
        What writes.
    hidden_size : int, default=128
        Numbers of a word and of a state, even.
    n_layers : int, default=1
        Layers of cells.
    width : int, default=24
        Channels of the first map of the network that reads; each halving of its sides
        doubles them, up to eight times.
    depth : int, default=1
        Residual blocks after each halving but the first.
    backbone : str or None, default=None
        A network of torchvision that reads instead, such as "resnet18".
    weights : str, path-like or None, default=None
        Its weights: a file, or "DEFAULT", which are downloaded; None: trained from
        scratch.
    freeze_backbone : bool, default=False
        Whether it stays as it is.
    augment : str, callable or list, default=None
        "shift", "crop", "flip" or functions of an image, see `sknets.CNNClassifier`:
        mind that a mirrored image may need another text.
    image_shape : tuple of int, default=None
        Shape of an image of X, where X has rows of pixels.
    resize : int or tuple of int, default=None
        The size that images are read in, where it is not that of those of `fit`.
    channel_order : {"auto", "first", "last"}, default="auto"
        Where channels are in an image.
    tokenizer : {"words", "characters", "bpe"}, default="words"
        What a text is cut into: see `sknets.Seq2SeqTranslator`.
    lowercase : bool, default=True
        Whether texts are turned to lower case first.
    max_epochs : int or "auto", default="auto"
        How often training goes through the pairs. "auto" are 20 epochs, or as many as
        make 1,500 steps.
    batch_size : int or "auto", default="auto"
        Images a step; "auto" are 128, of fewer than 6,400 a fiftieth, but 8 at least.

    Attributes
    ----------
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by.
    image_size_ : tuple of int
        Height and width of what the network sees.
    sample_shape_ : tuple or None
        Shape of an image as given; None where they may differ in size.
    n_channels_, spatial_dims_, channel_axis_ : int
        See `sknets.CNNClassifier`.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8, floats within [0, 1], or other numbers.

    Notes
    -----
    All other parameters, attributes and verbs are as in `sknets.Seq2SeqTranslator`. X
    is an array or a list of images of any sizes, which are made as large as those of
    `fit`. The decoder looks at the cells of one map, of 8 pixels, or of 16 or 32 where
    there would be more than 256.

    References
    ----------
    .. [1] O. Vinyals, A. Toshev, S. Bengio, D. Erhan. Show and Tell: A Neural Image
       Caption Generator. CVPR 2015.
    .. [2] K. Xu et al. Show, Attend and Tell: Neural Image Caption Generation with
       Visual Attention. ICML 2015. Here the attention is a product, after the cells,
       cells of the map have sinusoids of their places, and the network that reads is
       learned along.

    Examples
    --------
    >>> from sknets import ImageCaptioner
    >>> from sknets.datasets import make_captioned_scenes
    >>> images, captions = make_captioned_scenes(40, size=32, random_state=0)
    >>> net = ImageCaptioner(max_epochs=2, random_state=0).fit(images, captions)
    >>> net.predict(images[:3]).shape
    (3,)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Images,)
    _task: ClassVar[str] = "captioning"

    cell: Literal["lstm", "gru"] = param(default="lstm")
    hidden_size: int = param(default=128, at_least=2)
    n_layers: int = param(default=1, at_least=1)
    width: int = param(default=24, at_least=1)
    depth: int = param(default=1, at_least=0)
    backbone: str | None = param(default=None)
    weights: str | Path | None = param(default=None)
    freeze_backbone: bool = param(default=False)
    augment: str | Callable | list | None = param(default=None)
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    tokenizer: Literal["words", "characters", "bpe"] = param(default="words")
    lowercase: bool = param(default=True)

    @property
    def _budget(self) -> Budget:
        return Budget(epochs=20, steps=1500)

    def _check_params(self) -> None:
        super()._check_params()
        check_augment(self)
        check_backbone(self)
        if self.hidden_size % 2:
            raise ValueError(self._refusal("hidden_size", "hidden_size must be even"))

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, spatial_dims=2)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        pixels = super()._check_input(X, reset=reset, seen=seen)
        if reset and self.backbone is not None:
            check_images(self, self.n_channels_, self.image_size_)
        return pixels

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        y = given_target(y, type(self).__name__, n_samples)
        if reset:
            self.target_reader_ = self._targets[0].of(self)
            self.target_reader_.learn(y, None if weight is None else weight > 0)
            self._refuse_several(y)
        return super()._encode_target(y, n_samples, weight, reset=reset)

    def _refuse_several(self, y: Any) -> None:
        """Several texts of an image would be taken for its tokens."""
        for i, text in enumerate(y):
            listed = [] if isinstance(text, str) else text
            if any(" " in each[1:-1] for each in listed):
                raise ValueError(
                    f"{type(self).__name__}: y[{i}] has {len(text)} texts, as "
                    f"{text[0]!r:.40}, and an image has one: give the image once for "
                    "each, np.repeat(X, n, axis=0)"
                )

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.weights is not None and self.pixel_unit_ != "raw":
            self.x_mean_, self.x_scale_ = imagenet_statistics(self.n_channels_)
        else:
            self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _load_pretrained(self, module: Any) -> None:
        if self.weights is not None:
            load_weights(self, module.read.trunk)

    def _augmentation(self) -> Any:
        kinds = augmentations(self.augment)
        return Augment(kinds) if kinds else None

    def _build(self) -> nn.Module:
        size = self.image_size_
        stride = 8
        while np.prod([-(-side // stride) for side in size]) > _CELLS and stride < 32:
            stride *= 2
        map_size = [-(-side // stride) for side in size]
        trunk = make_trunk(
            self.backbone,
            self.n_channels_,
            self.width,
            self.depth,
            (stride,),
            self.freeze_backbone,
            fine=False,
        )
        prepare = standardize_channels(self.x_mean_, self.x_scale_, size)
        read = ImageReading(prepare, trunk, self.hidden_size, map_size)
        options = self.cell, self.hidden_size, self.n_layers, self.dropout
        tokens = Embedding(self._n_target_tokens, self.hidden_size)
        smoothing, unit = self.label_smoothing, self.target_length_
        return WritingNet(read, RecurrentDecoder(*options), tokens, smoothing, unit)

    def attention_maps(self, X: Any, y: Any = None) -> list[np.ndarray]:
        """Return where each word that is written is seen in the image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels])
        y : list of str, or list of lists of tokens, default=None
            What is written; None: what `predict` gives.

        Returns
        -------
        maps : list of ndarray of shape (n_written, rows, columns)
            A map for each token and for the mark that ends the text, of cells that each
            stand for a part of the image; each sums to 1.
        """
        check_is_fitted(self)
        written = self.predict(X) if y is None else self.target_reader_.texts(y)
        maps = []
        for i, text in enumerate(written):
            told = self._looks(_safe_indexing(X, [i]), text)
            stride = self.net_.module_.read.stride
            rows = -(-self.image_size_[0] // stride)
            maps.append(told.reshape(len(told), rows, -1))
        return maps


__all__ = ["ImageCaptioner"]
