"""Samples brought to one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F

from sknets._engine.device import as_tensor
from sknets._inputs.layout import NOUN, Layout


def resized_list(
    reader: Any, items: list[np.ndarray], layout: Layout, reset: bool
) -> np.ndarray:
    """The items as one array of one size, that of the first fit."""
    known = layout.channels(items[0].shape) if reset else reader.n_channels_
    refuse_unlike(reader, items, layout, known, reset)
    unequal = len({item.shape for item in items}) > 1
    if reset and reader.resize is None:
        sizes = np.array([layout.size(item.shape) for item in items])
        size = tuple(np.median(sizes, axis=0).round().astype(int).tolist())
    else:
        size = target_size(reader, layout)
    if unequal or layout.size(items[0].shape) != size:
        items = [resize_to(item[None], layout, size)[0] for item in items]
    return np.stack(items)


def refuse_unlike(
    reader: Any, items: list[np.ndarray], layout: Layout, known: int, reset: bool
) -> None:
    """Name the first item of other axes, channels or dtype than the others."""
    owner = reader.who
    axes = layout.spatial_dims + (layout.channel_axis is not None)
    for i, item in enumerate(items):
        found = layout.channels(item.shape) if item.ndim == axes else None
        if found != known:
            got = f"{found} channels" if found else f"shape {item.shape}"
            raise ValueError(
                f"{owner}: X[{i}] has {got}, but {'X[0]' if reset else 'fit'} had "
                f"{_channels(known)}, {axes} axes a sample: convert all images to one "
                "kind"
            )
        # A list may mix bytes and floats only by mistake.
        if item.dtype.kind != items[0].dtype.kind:
            raise ValueError(
                f"{owner}: X[{i}] is {item.dtype} and X[0] is {items[0].dtype}: "
                "convert all images to one dtype"
            )


def resized_array(
    reader: Any, array: np.ndarray, layout: Layout, reset: bool
) -> np.ndarray:
    """An array as it is, or resized where ``resize`` says so or fit saw a list."""
    owner = reader.who
    shape = tuple(array.shape[1:])
    if not reset:
        axes = layout.spatial_dims + (layout.channel_axis is not None)
        found = layout.channels(shape) if len(shape) == axes else None
        if found is not None and found != reader.n_channels_:
            raise ValueError(
                f"{owner}: X has {_channels(found)}, but fit had "
                f"{_channels(reader.n_channels_)}"
            )
        fixed = reader.sample_shape_
        if found is None or (fixed is not None and shape != fixed):
            known = f"samples of shape {fixed}" if fixed else f"samples of {axes} axes"
            fix = ""
            if fixed is not None and array.shape == fixed:
                fix = "; of one image make a list, [X]"
            elif fixed is not None and found is not None:
                fix = f"; set resize={layout.size(fixed)} to take any size"
            raise ValueError(
                f"{owner}: X has samples of shape {shape}, but fit had {known}{fix}"
            )
        if fixed is not None:
            return array
    elif reader.resize is None:
        return array
    size = target_size(reader, layout)
    if layout.size(shape) == size:
        return array
    parts = [
        resize_to(array[i : i + 64], layout, size) for i in range(0, len(array), 64)
    ]
    return np.concatenate(parts)


def target_size(reader: Any, layout: Layout) -> tuple[int, ...]:
    if reader.resize is None:
        return tuple(reader.image_size_)
    size = reader.resize
    size = (int(size),) * layout.spatial_dims if np.ndim(size) == 0 else tuple(size)
    if len(size) != layout.spatial_dims:
        raise ValueError(
            reader._refusal(
                "resize",
                f"resize must be a number or {layout.spatial_dims} numbers for "
                f"{NOUN[layout.spatial_dims]}s",
            )
        )
    return size


def resize_to(samples: np.ndarray, layout: Layout, size: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation, smoothed where it shrinks (but for volumes)."""
    grid = layout.grid(as_tensor(np.ascontiguousarray(samples)))
    if layout.spatial_dims == 3:
        resized = F.interpolate(grid.float(), size, mode="trilinear")
        resized = (
            resized.round().to(grid.dtype) if samples.dtype == np.uint8 else resized
        )
    else:
        # Its first import takes a second.
        from torchvision.transforms.v2 import functional as operators

        target = [1, *size] if layout.spatial_dims == 1 else list(size)
        resized = operators.resize(grid, target, antialias=True)
    resized = resized.squeeze(2) if layout.spatial_dims == 1 else resized
    if layout.channel_axis is None:
        return resized.squeeze(1).numpy()
    return resized.movedim(1, -1 if layout.channel_axis == -1 else 1).numpy()


def _channels(n: int) -> str:
    return f"{n} channel{'' if n == 1 else 's'}"


__all__ = ["refuse_unlike", "resize_to", "resized_array", "resized_list", "target_size"]
