"""Which axes of an array are extents and which one holds the channels."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

NOUN = {1: "signal", 2: "image", 3: "volume"}
# Grey with alpha, RGB, RGBA: more than four is more likely an extent than channels.
_FEW = 4


class Layout(NamedTuple):
    """How one sample of an array is to be read.

    Attributes
    ----------
    spatial_dims : int
        1 signals, 2 images, 3 volumes.
    channel_axis : int or None
        -1 or 0 of a sample's axes; None where a sample has no axis of channels.
    """

    spatial_dims: int
    channel_axis: int | None

    def channels(self, shape: tuple[int, ...]) -> int:
        return 1 if self.channel_axis is None else shape[self.channel_axis]

    def size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The extent of a sample without its channels."""
        if self.channel_axis is None:
            return shape
        return shape[1:] if self.channel_axis == 0 else shape[:-1]

    def grid(self, samples: Tensor) -> Tensor:
        """(B, *sample) as (B, C, *size), a view; a signal is an image of height 1."""
        if self.channel_axis is None:
            samples = samples.unsqueeze(1)
        elif self.channel_axis == -1:
            samples = samples.movedim(-1, 1)
        return samples.unsqueeze(2) if self.spatial_dims == 1 else samples

    def samples(self, grid: Tensor) -> Tensor:
        """(B, C, *size) as (B, *sample), a view: `grid` undone."""
        grid = grid.squeeze(2) if self.spatial_dims == 1 else grid
        if self.channel_axis is None:
            return grid.squeeze(1)
        return grid.movedim(1, -1) if self.channel_axis == -1 else grid


def learn_layout(reader: Any, shape: tuple[int, ...], *, plain: bool) -> Layout:
    """How samples of this shape are to be read.

    ``plain`` says that they are rows of a table without ``image_shape``.
    """
    dims, order = reader.spatial_dims, reader.channel_order
    if plain and dims not in (None, 1):
        raise ValueError(
            reader._refusal(
                "spatial_dims",
                f"X has flat rows of {shape[0]} columns: say with image_shape which "
                f"{NOUN[dims]} they hold",
            )
        )
    if plain:
        layout = Layout(1, None)
    elif dims is not None and len(shape) == dims:
        layout = Layout(dims, None)
    elif dims is not None and len(shape) != dims + 1:
        raise ValueError(
            reader._refusal(
                "spatial_dims",
                f"samples must have {dims} axes, or {dims + 1} with channels, and X "
                f"has samples of shape {shape}",
            )
        )
    elif dims is None and order == "auto" and len(shape) == 2 and not _thin(shape):
        layout = Layout(2, None)
    else:
        axis = _channel_axis(reader, shape, order)
        layout = Layout(len(shape) - 1, axis)
    return layout


def _thin(shape: tuple[int, ...]) -> bool:
    """Whether one axis is so short beside the other that it must be channels."""
    return min(shape) <= 16 and 4 * min(shape) <= max(shape)


def _channel_axis(reader: Any, shape: tuple[int, ...], order: str) -> int:
    if order != "auto":
        return {"first": 0, "last": -1}[order]
    if len(shape) == 2:
        return -1 if shape[1] <= shape[0] else 0
    if shape[-1] <= _FEW or shape[0] <= _FEW:
        return -1 if shape[-1] <= _FEW else 0
    volumes = (
        "" if len(shape) == 4 else ", or spatial_dims=3 for volumes without channels"
    )
    raise ValueError(
        f"{reader.who}: samples of shape {shape} do not tell which axis "
        f"holds the channels: set channel_order='first' or 'last'{volumes}"
    )


__all__ = ["NOUN", "Layout", "learn_layout"]
