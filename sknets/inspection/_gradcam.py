"""Grad-CAM, and the filters of the first layer."""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._inputs import Images
from sknets._inputs.videos import is_list
from sknets.convolutional._video import ClipConvolution
from sknets.inspection._reading import columns_of, gathered, slices, takes_clips

# A coarser map than this along its longest side does not tell where.
_FINE = 6
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Steps of the integral over features that are weaker than those of the clip.
_PATH = 8
_IN_STACKS = (*_CONVOLUTIONS, ClipConvolution)


def grad_cam(
    estimator: Any,
    X: Any,
    target: Any = None,
    *,
    layer: str | None = None,
    elementwise: bool | None = None,
) -> np.ndarray:
    """Which parts of an image or clip speak for a class: Grad-CAM [1]_ of a network.

    The feature maps of one layer are summed, each weighted by the mean gradient of the
    target's logit with respect to it (or, ``elementwise``, by the gradient at each
    place [2]_); what is negative is cut off. For a regressor the maps show what raises
    the prediction. Of a clip each frame has a map: the gradient goes back from the
    output through the memory, or through the mean over time, to all of them. It is the
    mean of those at eight shares of the features of all frames, from none to all
    (Integrated Grad-CAM [3]_): the frames that decide saturate a memory, so that the
    gradient at the clip itself would leave out just these.

    Parameters
    ----------
    estimator : fitted estimator of this library that takes images or videos
        Such as `CNNClassifier` or `VideoClassifier`, with its own stack or a backbone.
    X : array-like of shape (n_samples, ...)
        Images, signals, volumes or clips (also a list of unequal ones), as for
        ``estimator.predict``.
    target : label, int or array-like of shape (n_samples,), default=None
        What is explained, for all samples or for each: a class label; for multilabel y
        and for regressors the number of a column. None: the most probable class or
        label; the first column of a regressor.
    layer : str, default=None
        A module of ``estimator.net_.module_`` by its name, such as "convolutions.3" or
        "body.layer4", of videos "frames.convolutions.3" or "frames.body.layer4". None:
        the last of these maps that is at least 6 long along its longest side, since
        coarser ones do not tell where (the finest if there is none). Of a stack: what
        its second, third, ... convolution is given, which is normalised and rectified.
        Its raw convolutions are not centred, and what the dense layers are given has
        weights that change from place to place, which the mean cancels. Of a backbone:
        all but poolings; at 224 x 224 pixels the "layer4" of a ResNet, and the last
        rectified convolution of a VGG, as in the paper.
    elementwise : bool, default=None
        Weigh each place of a map by its own gradient (HiResCAM [2]_) instead of all by
        the mean. None: for stacks, whose dense layers give the same feature another
        meaning at another place, so that the mean cancels and many maps would be empty;
        not for backbones, which average over the places themselves. Means are those of
        an image, and of each frame of a clip.

    Returns
    -------
    maps : float32 ndarray of shape (n_samples, \\*image_size)
        From 0 to 1, each map divided by its own maximum, so that maps do not compare
        between images; all zero where nothing speaks for the target. Of the size that
        the network sees (``estimator.image_size_``), interpolated linearly. Of clips
        (n_samples, frames, height, width), frames of a clip do compare; of a list of
        clips an object array that has one (frames, height, width) for each.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        For an estimator that is not a convolutional network of this library.
    ValueError
        For an unknown class or layer, for a layer without feature maps, and whatever
        ``estimator.predict`` raises for X.

    References
    ----------
    .. [1] R. R. Selvaraju et al. Grad-CAM: Visual Explanations from Deep Networks via
       Gradient-Based Localization. ICCV 2017.
    .. [2] R. L. Draelos, L. Carin. Use HiResCAM instead of Grad-CAM for Faithful
       Explanations of Convolutional Neural Networks. 2020.
    .. [3] S. Sattarzadeh et al. Integrated Grad-CAM: Sensitivity-Aware Visual
       Explanation of Deep Convolutional Networks via Integrated Gradient-Based Scoring.
       ICASSP 2021. Here by all frames' features at once.

    Examples
    --------
    Every image has a bright spot, in its left or right half.

    >>> import numpy as np
    >>> from sknets import CNNClassifier, grad_cam
    >>> X = np.zeros((60, 12, 16))
    >>> right = np.arange(60) % 2
    >>> for i in range(60):
    ...     X[i, i % 9 : i % 9 + 3, 8 * right[i] + i % 5 :][:, :3] = 1
    >>> cnn = CNNClassifier(max_epochs=5, random_state=0).fit(X, right)
    >>> maps = grad_cam(cnn, X)
    >>> maps.shape
    (60, 12, 16)
    >>> bool(maps[right == 0, :, :8].mean() > 2 * maps[right == 0, :, 8:].mean())
    True
    """
    module, clips = _network(estimator, "grad_cam"), takes_clips(estimator)
    if elementwise is None:
        elementwise = hasattr(_images_net(module), "convolutions")
    pixels = estimator._check_input(X, reset=False)
    parameter = next(module.parameters())
    pixels = pixels.to(parameter.device, parameter.dtype)
    n, size = len(pixels), tuple(estimator.image_size_)
    classes = is_classifier(estimator)
    n_columns = len(estimator.classes_) if classes else estimator._n_outputs
    columns = columns_of("grad_cam", estimator, target, n, n_columns)
    maps: list[Any] = []
    # The caller may be in inference mode, whose tensors have no gradients; and cuDNN's
    # recurrent cells have none outside training.
    with torch.inference_mode(False), torch.enable_grad(), _without_cudnn(module):
        if layer is None:
            layer = _default_layer(module, pixels.batch(slice(0, 1)))
        for rows in slices(n, estimator._predict_batch_size):
            x = pixels.batch(rows)
            output, activation = _run(module, x, layer)
            if columns is None:
                chosen = _by_column(output, n_columns).argmax(1)
            else:
                chosen = torch.tensor(columns[rows], device=output.device)

            def gradient(
                output: Tensor, activation: Tensor, chosen: Tensor = chosen[:, None]
            ) -> Tensor:
                score = _by_column(output, n_columns).gather(1, chosen).sum()
                return torch.autograd.grad(score, activation)[0]

            if clips:
                path = (np.arange(_PATH) + 0.5) / _PATH
                parts = [gradient(*_run(module, x, layer, share)) for share in path]
                weight = torch.stack(parts).mean(0)
            else:
                weight = gradient(output, activation)
            found = _class_activation(activation, weight, elementwise)
            found = _enlarged(found, size).cpu()
            maps += found.split(x.counts.tolist()) if clips else found
    return gathered([_scaled(each).numpy() for each in maps], clips and is_list(X))


def first_layer_filters(estimator: Any) -> np.ndarray:
    """Return the filters of the first convolution, what the network looks for first.

    Parameters
    ----------
    estimator : fitted estimator of this library that takes images or videos
        With its own stack or a backbone.

    Returns
    -------
    filters : ndarray of shape (n_filters, \\*kernel, n_channels)
        The weights, channels last: (n_filters, height, width, n_channels) for images
        and frames, (n_filters, frames, height, width, n_channels) of "conv3d",
        (n_filters, length, n_channels) for signals. Networks made for series have
        twice the channels: in the scale of all series, then in each one's own.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        For an estimator that is not a convolutional network of this library.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import CNNClassifier, first_layer_filters
    >>> digits = load_digits()
    >>> cnn = CNNClassifier(max_epochs=1).fit(digits.images / 16, digits.target)
    >>> first_layer_filters(cnn).shape
    (24, 3, 3, 1)
    """
    module = _network(estimator, "first_layer_filters")
    first = next(m for m in module.modules() if isinstance(m, _CONVOLUTIONS))
    weight = first.weight.detach().movedim(1, -1)
    if getattr(estimator, "spatial_dims_", 2) == 1:  # an image of height 1
        weight = weight[:, 0]
    return weight.cpu().numpy().copy()


def _network(estimator: Any, caller: str) -> nn.Module:
    """The trained module of an estimator of images or videos."""
    if Images not in getattr(estimator, "_inputs", ()) and not takes_clips(estimator):
        raise TypeError(
            f"{caller}: estimator must be a convolutional network of this library, "
            f"such as CNNClassifier, got {type(estimator).__name__}"
            f"{'' if caller != 'grad_cam' else '; occlusion_map takes any estimator'}"
        )
    check_is_fitted(estimator)
    return estimator.net_.module_


def _images_net(module: Any) -> Any:
    """What sees images, or each frame of a clip."""
    return getattr(module, "frames", module)


def _n_axes(x: Any) -> int:
    """Of a batch, and so of its feature maps: those of all frames are in a row."""
    return (x.join() if isinstance(x, Ragged) else x).ndim


def _without_cudnn(module: nn.Module) -> Any:
    recurrent = any(isinstance(each, nn.RNNBase) for each in module.modules())
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()


def _by_column(output: Tensor, n_columns: int) -> Tensor:
    """A logit a class, also where one decides between two."""
    return output if output.shape[1] == n_columns else torch.cat([-output, output], 1)


def _run(
    module: nn.Module, x: Any, layer: str, share: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The output for a batch, and the maps of a layer that gradients are wanted of.

    Both as they are when the layer gives only this share of each feature.
    """
    names = dict(module.named_modules())
    if not layer or layer not in names:
        near = difflib.get_close_matches(str(layer), filter(None, names), 3, 0.3)
        raise ValueError(
            f"grad_cam(layer={layer!r}): the network has no such module; near are "
            f"{', '.join(near or list(names)[1:4])}"
        )
    found: list[Any] = []
    thread = threading.get_ident()

    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        if threading.get_ident() != thread:  # someone else predicts meanwhile
            return None
        if not isinstance(output, Tensor):
            return None
        # A leaf, so that nothing before the layer is kept for the gradients; the rest
        # of the network gets a copy, which it may change in place.
        found.append((output.detach() * share).requires_grad_())
        return found[-1].clone()

    handle = names[layer].register_forward_hook(hook)
    try:
        output = module(x)
    finally:
        handle.remove()
    if not found or found[-1].ndim != _n_axes(x):
        shape = f"an output of shape {tuple(found[-1].shape)}" if found else "no output"
        raise ValueError(
            f"grad_cam(layer={layer!r}): that module has no feature maps but {shape}; "
            "take a convolution or what follows it"
        )
    return output, found[-1]


def _class_activation(activation: Tensor, weight: Tensor, elementwise: bool) -> Tensor:
    """The formulas of the papers: (B, K, *map) to (B, 1, *map)."""
    if not elementwise:
        weight = weight.mean(tuple(range(2, weight.ndim)), keepdim=True)
    return (weight * activation.detach()).sum(1, keepdim=True).relu()


def _enlarged(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(B, 1, *map) as (B, *size)."""
    mode = "trilinear" if maps.ndim == 5 else "bilinear"
    extents = (1, *size) if len(size) == 1 else size
    maps = F.interpolate(maps.float(), extents, mode=mode)
    return maps.reshape(len(maps), *size)


def _scaled(saliency: Tensor) -> Tensor:
    return saliency / saliency.amax().clamp_min(torch.finfo(torch.float32).tiny)


def _default_layer(module: nn.Module, x: Any) -> str:
    """The last layer that is fine enough, by name; else the finest."""
    shapes = _map_shapes(module, x)
    net = _images_net(module)
    stack = getattr(net, "convolutions", None)
    if stack is not None:
        found = [i for i, m in enumerate(stack) if isinstance(m, _IN_STACKS)]
        inputs = [i - 1 for i in found[1:]] or [len(stack) - 1]
        stem = "convolutions" if net is module else "frames.convolutions"
        shapes = {name: shapes[name] for name in (f"{stem}.{i}" for i in inputs)}
    fine = [name for name, shape in shapes.items() if max(shape) >= _FINE]
    return fine[-1] if fine else max(shapes, key=lambda name: math.prod(shapes[name]))


def _map_shapes(module: nn.Module, x: Any) -> dict[str, tuple[int, ...]]:
    """The modules with feature maps in the order in which they end, poolings aside."""
    shapes: dict[str, tuple[int, ...]] = {}
    pooled: list[Tensor] = []
    n_axes = _n_axes(x)
    thread = threading.get_ident()

    def note(name: str) -> Callable:
        def hook(layer: nn.Module, given: Any, output: Any) -> None:
            if threading.get_ident() != thread or not isinstance(output, Tensor):
                return
            # A container that ends in a pooling is one; what has no parts may give the
            # tensor back that it was given.
            parts = any(True for _ in layer.children())
            ends = parts and any(output is other for other in pooled)
            if "Pool" in type(layer).__name__ or ends:
                pooled.append(output)
            elif output.ndim == n_axes:
                shapes.pop(name, None)  # used again: its last place counts
                shapes[name] = tuple(output.shape[2:])

        return hook

    prepare = ("prepare", "frames.prepare")
    handles = [
        layer.register_forward_hook(note(name))
        for name, layer in module.named_modules()
        if not name.startswith(prepare)
    ]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
