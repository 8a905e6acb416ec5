"""Videos: clips of frames of one size, of equal or of unequal length."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils.validation import check_array
from torch import Tensor

from sknets._engine.containers import Container, Ragged
from sknets._engine.device import as_tensor
from sknets._engine.moments import PIECE_BYTES
from sknets._inputs.columns import refuse_columns
from sknets._inputs.images import (
    bytes_or_floats,
    divisor_of,
    holds_strings,
    unit_of,
)
from sknets._inputs.layout import Layout
from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._inputs.resizing import resize_to, target_size
from sknets._params import param

# As of images: more than four is more likely an extent than channels.
_FEW = 4
_WANTED = (
    "an array (n_samples, frames, height, width), with channels as a fifth axis or "
    "without, or a list of such clips"
)


class Clips(Container):
    """The canonical container, which shares the memory of X and keeps its dtype.

    A batch is a `Ragged` of frames (N, C, H, W), or of features (N, F): those of the
    first clip, then those of the second, ...: no padding.

    Parameters
    ----------
    clips : list of tensors (T, *frame)
        Views of an array X, or the items of a list.
    """

    _moved = ("clips",)

    def __init__(
        self, clips: list[Tensor], layout: Layout, divisor: float | None = None
    ):
        self.clips, self.layout, self.divisor = clips, layout, divisor
        self.counts = torch.tensor([len(clip) for clip in clips])
        equal = bool((self.counts == self.counts[0]).all())
        self.lengths = None if equal else self.counts

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, index: slice | Tensor) -> Ragged:
        if isinstance(index, slice):
            chosen = self.clips[index]
        else:
            chosen = [self.clips[i] for i in index.tolist()]
        frames = torch.cat(chosen).to(self.device, self.dtype)
        return Ragged(self._grid(frames), self.counts[index].to(self.device))

    def _grid(self, frames: Tensor) -> Tensor:
        if self.divisor is not None:  # of integers, so this is a copy already
            frames = frames.div_(self.divisor)
        return frames if frames.ndim == 2 else self.layout.grid(frames)

    def pieces(self, weight: np.ndarray | None):
        """(pixels, channels) and the weight of each pixel, that of its clip."""
        step = max(1, PIECE_BYTES // (8 * self.clips[0][0].numel()))
        for i, clip in enumerate(self.clips):
            for part in clip.split(step):
                grid = self._grid(part.cpu().to(torch.float64, copy=True))
                piece = grid.movedim(1, -1).flatten(0, -2)
                w = None
                if weight is not None:
                    w = torch.full((len(piece),), float(weight[i])).double()
                yield piece, w


class Videos(Reader):
    """Arrays (n, frames, height, width[, channels]) or lists of clips of any length.

    Learned:

    image_size_ : tuple
        Height and width of the frames that the network sees.
    n_channels_ : int
    channel_axis_ : int or None
        0 or -1 of a frame's axes, None for grey frames without such an axis.
    pixel_unit_ : {"byte", "unit", "raw"}
        uint8, floats within [0, 1], or any other numbers.
    """

    name: ClassVar[str] = "videos"

    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Clips:
        owner = self.who
        X = X.detach().cpu().numpy() if isinstance(X, Tensor) else X
        clips = _read_items(owner, X) if is_list(X) else _read(owner, X)
        if reset:
            self.channel_axis_ = _channel_axis(self, clips[0].shape)
        layout = Layout(2, self.channel_axis_)
        if reset:
            self.n_channels_ = layout.channels(clips[0].shape[1:])
            size = layout.size(clips[0].shape[1:])
            resize = self.resize is not None
            self.image_size_ = target_size(self, layout) if resize else size
        clips = _of_one_size(self, clips, layout, reset)
        if reset:
            self.pixel_unit_ = unit_of(owner, clips, layout)
        divisor = divisor_of(self, clips)
        return Clips([as_tensor(clip) for clip in clips], layout, divisor)


def is_list(X: Any) -> bool:
    listed = isinstance(X, list | tuple) or getattr(X, "dtype", None) == np.object_
    return listed and not hasattr(X, "columns")


def _read(owner: str, X: Any) -> list[np.ndarray]:
    """The clips of one array, as views of it."""
    shape = getattr(X, "shape", None)
    if len(shape or ()) == 3:
        raise ValueError(
            f"{owner}: X of shape {shape} holds images (n_samples, height, width), "
            f"which CNNClassifier takes; X must be clips, {_WANTED} (of one clip make "
            "a list, [X])"
        )
    if hasattr(X, "columns") or sp.issparse(X) or len(shape or ()) not in (4, 5):
        got = f"shape {shape}" if shape else f"{X!r:.60}"
        raise ValueError(f"{owner}: X must be clips, {_WANTED}, got {got}")
    refuse_columns(owner, X)
    try:
        array = check_array(X, allow_nd=True, ensure_all_finite=False)
    except (ValueError, TypeError) as error:
        why = str(error).strip().splitlines()[0].rstrip(":")
        raise type(error)(f"{owner}: {why}") from error
    if not array.size:
        raise _empty(owner, 0, array.shape[1:])
    if not _is_finite(array):
        bad = next(i for i, clip in enumerate(array) if not _is_finite(clip))
        raise ValueError(f"{owner}: X[{bad}] contains NaN or infinity")
    return list(bytes_or_floats(array))


def _read_items(owner: str, X: Any) -> list[np.ndarray]:
    """The clips of a list, naming the first that is none."""
    if not len(X):
        raise ValueError(f"{owner}: X is empty; it must be clips, {_WANTED}")
    if holds_strings(list(X)):
        raise ValueError(
            f"{owner}: X must be clips, {_WANTED}, got {X[0]!r:.60}: read files first, "
            "with torchvision.io or imageio for example"
        )
    clips: list[np.ndarray] = []
    for i, item in enumerate(X):
        try:
            clip = np.asarray(item)
        except ValueError:
            clip = np.empty(0, dtype=object)
        if clip.dtype.kind not in "biuf":
            raise ValueError(
                f"{owner}: X[{i}] must be an array of numbers, got {on_one_line(item)}"
            )
        if clip.ndim == 2:
            raise ValueError(
                f"{owner}: X[{i}] of shape {clip.shape} is an image, which "
                f"CNNClassifier takes; X must be clips, {_WANTED}"
            )
        if clip.ndim not in (3, 4):
            raise ValueError(
                f"{owner}: X[{i}] must be one clip, (frames, height, width) or with "
                f"channels as a fourth axis, got shape {clip.shape}"
            )
        if not clip.size:
            raise _empty(owner, i, clip.shape)
        if not _is_finite(clip):
            raise ValueError(f"{owner}: X[{i}] contains NaN or infinity")
        clip = bytes_or_floats(clip)
        if clips and clip.dtype.kind != clips[0].dtype.kind:
            raise ValueError(
                f"{owner}: X[{i}] is {clip.dtype} and X[0] is {clips[0].dtype}: "
                "convert all clips to one dtype"
            )
        clips.append(clip)
    return clips


def _empty(owner: str, i: int, shape: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"{owner}: X[{i}] is an empty clip, of shape {shape}; it must have at least "
        "one frame and one pixel"
    )


def _is_finite(array: np.ndarray) -> bool:
    # The sum reads a memory map once and makes no copy of it.
    return array.dtype.kind != "f" or (
        math.isfinite(array.sum(dtype=np.float64)) or bool(np.isfinite(array).all())
    )


def _channel_axis(reader: Any, shape: tuple[int, ...]) -> int | None:
    """Which axis of a frame holds the channels, for clips of this shape."""
    order = reader.channel_order
    if len(shape) == 3:
        if order != "auto":
            raise ValueError(
                reader._refusal(
                    "channel_order",
                    f"clips with channels have 4 axes, and X has clips of shape "
                    f"{shape}",
                )
            )
        if shape[-1] <= _FEW:
            raise ValueError(
                f"{reader.who}: X has samples of shape {shape}, which "
                f"are images with {shape[-1]} channels: CNNClassifier takes those; of "
                "one clip make a list, [X], and to grey clips so narrow add an axis, "
                "X[..., None]"
            )
        return None
    if order != "auto":
        return {"first": 0, "last": -1}[order]
    if shape[-1] <= _FEW or shape[1] <= _FEW:
        return -1 if shape[-1] <= _FEW else 0
    raise ValueError(
        f"{reader.who}: clips of shape {shape} do not tell which axis of "
        "a frame holds the channels: set channel_order='first' or 'last'"
    )


def _of_one_size(
    reader: Any, clips: list[np.ndarray], layout: Layout, reset: bool
) -> list[np.ndarray]:
    """The clips with frames of the size that the network sees."""
    owner, known = reader.who, reader.n_channels_
    axes = 3 + (layout.channel_axis is not None)
    size, source = reader.image_size_, "X[0]" if reset else "fit"
    fitting = []
    for i, clip in enumerate(clips):
        frame = clip.shape[1:]
        if clip.ndim != axes:
            raise ValueError(
                f"{owner}: X[{i}] has shape {clip.shape}, but {source} had clips of "
                f"{axes} axes; of one clip make a list, [X]"
            )
        if layout.channels(frame) != known:
            raise ValueError(
                f"{owner}: X[{i}] has {_channels(layout.channels(frame))}, but "
                f"{source} had {_channels(known)}"
            )
        if layout.size(frame) != size:
            if reader.resize is None:
                found = layout.size(frame)
                raise ValueError(
                    f"{owner}: X[{i}] has frames of {found[0]} x {found[1]} pixels, "
                    f"but {source} had {size[0]} x {size[1]}: set resize={size} to "
                    "bring all to one size"
                )
            clip = resize_to(clip, layout, size)
        fitting.append(clip)
    return fitting


def _channels(n: int) -> str:
    return f"{n} channel" if n == 1 else f"{n} channels"


__all__ = ["Clips", "Videos", "is_list"]
