"""Fully convolutional networks: coarse scores of what, finer ones of where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._backbones import (
    FeatureMaps,
    check_backbone,
    check_images,
    imagenet_statistics,
    load_weights,
)
from sknets._engine.data import Samples
from sknets._layers import BatchNorm2d, Dropout
from sknets._params import param
from sknets.segmentation._task import Segmenter
from sknets.segmentation._tiles import PixelNet, reach_of

# The strides of the maps that each variant scores, the coarsest first.
STRIDES = {"32s": (32,), "16s": (32, 16), "8s": (32, 16, 8)}


class Stack(nn.Module):
    """Stages of two convolutions and a pooling, as VGG's: maps by their strides."""

    def __init__(self, n_channels: int, widths: tuple[int, ...], batch_norm: bool):
        super().__init__()
        self.stages = nn.ModuleList()
        for width in widths:
            layers: list[nn.Module] = []
            for n_in in (n_channels, width):
                layers.append(nn.Conv2d(n_in, width, 3, padding=1, bias=not batch_norm))
                layers += [BatchNorm2d(width)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
            self.stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
            n_channels = width
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.widths = {2 ** (i + 1): width for i, width in enumerate(widths)}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        maps, stride = {}, 1
        for stage in self.stages:
            x, stride = stage(x), 2 * stride
            maps[stride] = x
        return maps


class FCN(PixelNet):
    """Scores of each stride, the coarser ones doubled and added to the finer ones."""

    def __init__(
        self,
        body: Any,
        n_channels: int,
        n_classes: int,
        strides: tuple[int, ...],
        dropout: float,
        prepare: nn.Module,
    ):
        super().__init__()
        self.stride, self.strides = max(strides), strides
        self.body, self.dropout = body, Dropout(dropout)
        widths = [body.widths[stride] for stride in strides]
        score = [nn.Conv2d(n, n_classes, 1) for n in widths]
        for layer in score[1:]:  # as in the paper, a skip begins with nothing to say
            nn.init.zeros_(layer.weight)
        doubling = [
            nn.ConvTranspose2d(n_classes, n_classes, 4, 2, 1, bias=False)
            for _ in strides[1:]
        ]
        for upward in doubling:
            upward.weight.data.copy_(bilinear(n_classes))
        self.score, self.doubling = nn.ModuleList(score), nn.ModuleList(doubling)
        self.prepare: nn.Module = nn.Identity()
        self.to(memory_format=torch.channels_last)
        side = 2 * self.stride
        # The last enlargement sees one more number of what it enlarges.
        seen = reach_of(self, torch.zeros(1, n_channels, side, side))
        self.reach = seen + strides[-1]
        self.prepare = prepare

    def scores(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K, H, W)
        size = x.shape[2:]
        maps = self.body(self.prepare(x.contiguous(memory_format=torch.channels_last)))
        coarse, *finer = (maps[stride] for stride in self.strides)
        first, *others = self.score
        scores = first(self.dropout(coarse))
        for double, score, finer_map in zip(self.doubling, others, finer):
            scores = double(scores) + score(finer_map)
        return F.interpolate(scores, size, mode="bilinear", align_corners=False)


def bilinear(n: int) -> Tensor:
    """The kernels (n, n, 4, 4) of a deconvolution that doubles each of n maps."""
    side = torch.tensor([0.25, 0.75, 0.75, 0.25])
    return torch.eye(n)[:, :, None, None] * torch.outer(side, side)


class FCNSegmenter(Segmenter):
    """Fully convolutional network: a class for each pixel of images [1]_.

    Parameters
    ----------
    variant : {"32s", "16s", "8s"}, default="8s"
        The stride of the finest scores: "32s" enlarges those of the coarsest map;
        "16s" doubles these and adds scores of the map of stride 16, "8s" goes on to
        stride 8.
    channels : tuple of int, default=(16, 32, 64, 96, 128)
        Of each of the five stages of two convolutions and a pooling.
    batch_norm : bool, default=True
        Batch normalisation after each convolution of the stages.
    dropout : float, default=0.0
        The share of numbers of the coarsest map switched off in training.
    backbone : str, default=None
        A convolutional classifier of torchvision by name, such as "vgg16", "resnet18"
        or "mobilenet_v3_small", instead of the stages above: its last maps of strides
        8, 16 and 32 are scored.
    weights : str, path or None, default=None
        Pretrained weights of the backbone: "DEFAULT" downloads torchvision's best; a
        path names a file of them (``torch.save`` of a state dict, or safetensors).
        None: random ones.
    freeze_backbone : bool, default=False
        Train the scores only.
    augment : str, callable, list or None, default=("flip",)
        As of `sknets.UNetSegmenter`.
    patch_size : int, tuple of int or "auto", default="auto"
        The windows of images that are trained on, a random one of each image a step;
        a multiple of 32. Smaller images are mirrored at their edges, with their masks.
        "auto": whole images up to 256 pixels a side, else windows of that.

    Attributes
    ----------
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its own mean and standard deviation,
        or those of ImageNet for pretrained weights.

    Notes
    -----
    Images of any size, ``loss``, ``class_weight``, ``ignore_index``, ``tile_size``,
    ``test_time_augmentation`` and all other parameters and attributes are as in
    `sknets.UNetSegmenter`, images only. A backbone with squeeze and excitation sees the
    whole image everywhere: predicted by tiles, it sees the tile.

    References
    ----------
    .. [1] J. Long, E. Shelhamer, T. Darrell. Fully Convolutional Networks for Semantic
       Segmentation. CVPR 2015. Here the coarsest map is scored directly, without VGG's
       two dense layers as convolutions; maps are normalised; all scores are trained at
       once; instead of padding by 100 pixels images are mirrored to a multiple of 32.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import FCNSegmenter
    >>> random = np.random.default_rng(0)
    >>> X = random.random((30, 48, 48), dtype="float32")
    >>> y = np.zeros((30, 48, 48), dtype=int)
    >>> for image, mask, (i, j) in zip(X, y, random.integers(0, 24, size=(30, 2))):
    ...     mask[i : i + 24, j : j + 24] = 1
    ...     image[mask == 1] /= 2
    >>> net = FCNSegmenter(max_epochs=10, random_state=0).fit(X[:20], y[:20])
    >>> bool(net.score(X[20:], y[20:]) > 0.7)
    True
    """

    variant: Literal["32s", "16s", "8s"] = param(default="8s")
    channels: tuple[int, ...] = param(default=(16, 32, 64, 96, 128), at_least=1)
    batch_norm: bool = param(default=True)
    dropout: float = param(default=0.0, at_least=0, below=1)
    backbone: str | None = param(default=None)
    weights: str | Path | None = param(default=None)
    freeze_backbone: bool = param(default=False)
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1e-4, at_least=0)
    _stride = 32

    def _check_params(self) -> None:
        super()._check_params()
        check_backbone(self)
        if len(self.channels) != 5:
            raise ValueError(
                self._refusal("channels", "there must be five, each halves the image")
            )

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, spatial_dims=2)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        if reset and self.backbone is not None:
            check_images(self, self.n_channels_, self._patch(x))
        return x

    def _learn_statistics(self, samples: Samples) -> None:
        if self.weights is not None and self.pixel_unit_ != "raw":
            self.x_mean_, self.x_scale_ = imagenet_statistics(self.n_channels_)
            return
        super()._learn_statistics(samples)

    def _build(self) -> nn.Module:
        body: Any
        if self.backbone is None:
            body = Stack(self.n_channels_, tuple(self.channels), self.batch_norm)
        else:
            body = FeatureMaps(
                self.backbone, self.n_channels_, STRIDES["8s"], self.freeze_backbone
            )
        return FCN(
            body,
            self.n_channels_,
            len(self.classes_),
            STRIDES[self.variant],
            self.dropout,
            self._standardize(),
        )

    def _load_pretrained(self, module: Any) -> None:
        if self.weights is not None:
            load_weights(self, module.body)


__all__ = ["FCNSegmenter"]
