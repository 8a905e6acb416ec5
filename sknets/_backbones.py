"""torchvision's convolutional classifiers as feature extractors, by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, nn

from sknets._layers import BatchNorm2d, Dropout, StochasticDepth

# What all of torchvision's pretrained classifiers were trained with.
IMAGENET_MEAN, IMAGENET_SCALE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Five halvings: a smaller image is less than one pixel of the last feature map.
STRIDE = 32
# Attention instead of convolutions, or not to be built without memory (`load`).
_OTHERS = ("vit", "swin", "maxvit", "regnet")


def backbone_names() -> list[str]:
    """The names that ``backbone=`` takes."""
    from torchvision import models

    return [n for n in models.list_models(module=models) if not n.startswith(_OTHERS)]


class Backbone(nn.Module):
    """A classifier of torchvision without its last layer, and a new last layer.

    Grey images are given to all three input channels; other numbers of channels get a
    first convolution of their own.
    """

    def __init__(
        self,
        name: str,
        n_channels: int,
        n_outputs: int,
        prepare: list[nn.Module],
        freeze: bool = False,
    ):
        super().__init__()
        self.prepare = nn.Sequential(*prepare)
        self.body = _classifier(name)
        last = _ends(self.body)[1]
        layer = self.body.get_submodule(last)
        self.n_features = getattr(layer, "in_features", None) or layer.in_channels
        self.body.set_submodule(last, nn.Identity())
        if n_channels not in (1, 3):
            _take_channels(self.body, n_channels)
        _replace_layers(self.body)
        self.head = nn.Linear(self.n_features, n_outputs)
        self.frozen = freeze
        if freeze:
            self.body.requires_grad_(False).eval()
        self.expand = n_channels == 1
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Backbone:
        """As usual, but a frozen body stays as it was trained, its statistics too."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def features(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, n_features)
        x = self.prepare(x.contiguous(memory_format=torch.channels_last))
        if self.expand:
            x = x.expand(-1, 3, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K)
        # Of a frozen body the features may come instead of the images.
        return self.head(x if x.ndim == 2 else self.features(x))


class FeatureMaps(nn.Module):
    """The maps of a classifier of torchvision, by their strides.

    Attributes
    ----------
    strides : tuple of int
    widths : dict of int
        The channels of the last map of each stride.
    """

    def __init__(
        self, name: str, n_channels: int, strides: tuple[int, ...], freeze: bool
    ):
        super().__init__()
        from torchvision.models import feature_extraction as extraction

        body = _classifier(name)
        if n_channels not in (1, 3):
            _take_channels(body, n_channels)
        _replace_layers(body)
        # What draws from a stream of ours is taken as a whole.
        own = {"leaf_modules": [BatchNorm2d, Dropout, StochasticDepth]}
        side = 4 * STRIDE
        image = torch.zeros(1, 3 if n_channels == 1 else n_channels, side, side)
        names = extraction.get_graph_node_names(body, own)[1]
        every = extraction.create_feature_extractor(body, names, tracer_kwargs=own)
        with torch.inference_mode():
            found = every.eval()(image)
        taken, self.widths = {}, {}
        for node, value in found.items():
            shape = [*value.shape] if isinstance(value, Tensor) else []
            for stride in strides:
                if shape[2:] == [side // stride] * 2:
                    taken[stride], self.widths[stride] = node, shape[1]
        missing = [stride for stride in strides if stride not in taken]
        if missing:
            raise ValueError(
                f"backbone={name!r} has no map of stride {missing[0]}: take another, "
                "such as 'vgg16' or 'resnet18'"
            )
        nodes = {node: str(stride) for stride, node in taken.items()}
        self.strides = strides
        self.body = extraction.create_feature_extractor(body, nodes, tracer_kwargs=own)
        self.expand, self.frozen = n_channels == 1, freeze
        if freeze:
            self.body.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FeatureMaps:
        """As usual, but a frozen body stays as it was trained, its statistics too."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def forward(self, x: Tensor) -> dict[int, Tensor]:  # (B, C, H, W) -> maps
        maps = self.body(x.expand(-1, 3, -1, -1) if self.expand else x)
        return {stride: maps[str(stride)] for stride in self.strides}


def _classifier(name: str) -> Any:
    from torchvision import models

    # Their second outputs are for a training of their own.
    plain: dict[str, Any] = {"aux_logits": False, "init_weights": False}
    extra = plain if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, **extra)


def _ends(body: nn.Module) -> tuple[str, str]:
    """The names of the first and the last layer."""
    kinds = (nn.Linear, nn.Conv2d)
    names = [name for name, layer in body.named_modules() if isinstance(layer, kinds)]
    return names[0], names[-1]


def _take_channels(body: Any, n_channels: int) -> None:
    name = _ends(body)[0]
    old = body.get_submodule(name)
    body.set_submodule(
        name,
        nn.Conv2d(
            n_channels,
            old.out_channels,
            old.kernel_size,
            old.stride,
            old.padding,
            bias=old.bias is not None,
        ),
    )


def _replace_layers(body: Any) -> None:
    """Replace those that draw from torch's global stream, or need several images."""
    from torchvision.ops import StochasticDepth as Theirs

    for name, layer in list(body.named_modules()):
        if isinstance(layer, nn.Dropout):
            body.set_submodule(name, Dropout(layer.p))
        elif isinstance(layer, Theirs):
            body.set_submodule(name, StochasticDepth(layer.p, layer.mode))
        elif type(layer) is nn.BatchNorm2d:
            norm = BatchNorm2d(layer.num_features, layer.eps, layer.momentum)
            body.set_submodule(name, norm)


def check_backbone(estimator: Any) -> None:
    """Refuse an unknown backbone and what goes with none.

    Raises
    ------
    ValueError
        For ``backbone``, ``weights`` or ``freeze_backbone``.
    """
    name, weights = estimator.backbone, estimator.weights
    refuse = estimator._refusal
    if name is None:
        for unused in ("weights", "freeze_backbone"):
            if getattr(estimator, unused):
                raise ValueError(refuse(unused, f"{unused} is for a named backbone"))
        return
    names = backbone_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
        known = ", ".join(near) if near else "resnet18, mobilenet_v3_small, vgg11, ..."
        raise ValueError(
            refuse("backbone", f"torchvision has no such network; near are {known}")
        )
    if estimator.freeze_backbone and weights is None:
        raise ValueError(
            refuse(
                "freeze_backbone",
                "a frozen backbone needs weights: 'DEFAULT' or a file of them",
            )
        )


def check_images(estimator: Any, n_channels: int, size: tuple[int, ...]) -> None:
    """Refuse images that the backbone cannot take, and weights that are not there.

    Raises
    ------
    FileNotFoundError
        When ``weights`` is a path at which there is no file.
    ValueError
        For signals and volumes, for too small images, for a number of channels that
        the pretrained first layer does not have.
    """
    from torchvision import models

    weights = estimator.weights
    if weights not in (None, "DEFAULT") and not Path(weights).is_file():
        raise FileNotFoundError(
            estimator._refusal(
                "weights", "weights must be None, 'DEFAULT' or a file; no such file"
            )
        )
    if len(size) != 2:
        raise ValueError(
            estimator._refusal("backbone", f"it takes images, and X has extents {size}")
        )
    meta = models.get_model_weights(estimator.backbone).DEFAULT.meta
    least = max(STRIDE, *meta["min_size"])
    if min(size) < least:
        raise ValueError(
            estimator._refusal(
                "backbone",
                f"images must have at least {least} pixels a side, its stride, and X "
                f"has {size[0]} x {size[1]}: set resize={least} or more, or leave "
                "backbone=None",
            )
        )
    if weights is not None and n_channels not in (1, 3):
        raise ValueError(
            estimator._refusal(
                "weights",
                f"pretrained weights are for grey and RGB images, and X has "
                f"{n_channels} channels",
            )
        )


def load_weights(estimator: Any, module: Backbone | FeatureMaps) -> None:
    """Give a fresh network its pretrained weights; new layers keep their own.

    Raises
    ------
    ValueError
        When the weights are not those of this architecture.
    OSError
        When "DEFAULT" cannot be downloaded.
    """
    name = estimator.backbone
    if estimator.weights == "DEFAULT":
        state = _download(estimator, name)
    else:
        state = _read(estimator)
    with torch.device("meta"):
        whole = _classifier(name)
    last, known = _ends(whole)[1], whole.state_dict()
    given = {k: v for k, v in state.items() if not k.startswith(f"{last}.")}
    given = {k: v for k, v in given.items() if not k.startswith(("aux", "AuxLogits"))}
    own = module.body.state_dict()
    wrong = ""
    missing = [k for k in own if k not in given and "num_batches" not in k]
    strange = [k for k in given if k not in known]
    shapes = [k for k in own if k in given and own[k].shape != given[k].shape]
    if missing:
        wrong = f"there is no {missing[0]} in them"
    elif strange:
        wrong = f"{strange[0]} is not a part of it"
    elif shapes:
        key = shapes[0]
        wrong = (
            f"{key} has shape {tuple(given[key].shape)}, not {tuple(own[key].shape)}"
        )
    if wrong:
        raise ValueError(
            estimator._refusal("weights", f"they are not weights of {name}: {wrong}")
        )
    module.body.load_state_dict({k: given[k] for k in given if k in own}, strict=False)


def _download(estimator: Any, name: str) -> dict[str, Any]:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    try:
        return dict(weights.get_state_dict(progress=estimator.verbose > 0))
    except (URLError, OSError) as error:
        raise OSError(
            estimator._refusal(
                "weights",
                f"they could not be downloaded from {weights.url} ({error}); on a "
                "machine with network access get that file, and give its path instead",
            )
        ) from error


def _read(estimator: Any) -> dict[str, Any]:
    path = estimator.weights
    try:
        if str(path).endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    except Exception as error:
        why = str(error).strip().splitlines()[0]
        raise ValueError(
            estimator._refusal(
                "weights", f"the file cannot be read as a dict of tensors ({why})"
            )
        ) from error
    return tensors


def imagenet_statistics(n_channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each channel that pretrained weights expect."""
    mean, scale = np.array(IMAGENET_MEAN), np.array(IMAGENET_SCALE)
    if n_channels == 1:
        return mean.mean(keepdims=True), scale.mean(keepdims=True)
    return mean, scale


__all__ = [
    "Backbone",
    "FeatureMaps",
    "backbone_names",
    "check_backbone",
    "check_images",
    "imagenet_statistics",
    "load_weights",
]
