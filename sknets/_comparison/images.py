"""Images, signals and volumes for `compare`: what they are, and flat rows of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknets._inputs import Images
from sknets._inputs.images import PixelUnitWarning
from sknets._inputs.layout import NOUN
from sknets._params import Declared, param

# Classical models see larger images at this size: their cost grows with each pixel,
# and what they use of an image is coarse.
LARGEST_SIDE = 32


class FlatPixels(TransformerMixin, Declared, BaseEstimator):
    """Images as flat rows of pixels, for models of tables.

    Images with a side above ``largest_side`` are shrunk to it, unequal ones brought to
    their median size first.
    """

    image_shape: tuple[int, ...] | None = param(default=None)
    resize: int | tuple[int, ...] | None = param(default=None)
    channel_order: str = param(default="auto")
    spatial_dims: int | None = param(default=None)
    largest_side: int = param(default=LARGEST_SIDE, at_least=1)

    def fit(self, X: Any, y: Any = None) -> FlatPixels:
        """Learn the size."""
        self.reader_ = Images.of(self)
        quietly(self.reader_.learn, X)
        size: tuple[int, ...] = self.reader_.image_size_
        if max(size) > self.largest_side and len(size) > 1:
            shrink = self.largest_side / max(size)
            size = tuple(max(1, round(side * shrink)) for side in size)
        self.reader_.image_size_ = size
        self.reader_.sample_shape_ = None
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return rows of floats, bytes divided by 255."""
        check_is_fitted(self, "reader_")
        pixels = quietly(self.reader_.read, X)
        return pixels.batch(slice(None)).reshape(len(pixels), -1).numpy()


def quietly(read: Any, X: Any) -> Any:
    """What a reader makes of X; what to say of its units is said once, by `noted`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PixelUnitWarning)
        return read(X)


def noted(kind: Any, row: Any, X: Any) -> tuple[Any, Any, list[str]]:
    """The reader of what a row of the lineup would read, what it reads, and notes."""
    reader = kind.of(row)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PixelUnitWarning)
            found = reader.learn(X)
    except ValueError as error:
        why = str(error).removeprefix(type(row).__name__).lstrip(": ")
        raise ValueError(f"compare(X=...): {why}") from error
    return reader, found, [str(w.message).partition(": ")[2] for w in caught]


def describe_images(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about images.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    reader, pixels, warned = noted(Images, FlatPixels(), X)
    size, n = reader.image_size_, reader.n_channels_
    extent = " x ".join(map(str, size))
    unequal = reader.sample_shape_ is None and len({np.shape(x) for x in X}) > 1
    facts = [
        f"{len(pixels):,} {NOUN[len(size)]}s of "
        + (f"unequal size (median {extent})" if unequal else extent)
        + f", {n} channel{'' if n == 1 else 's'}"
    ]
    notes = []
    if max(size) > LARGEST_SIDE and len(size) > 1:
        notes.append(
            f"classical models see the {NOUN[len(size)]}s at {LARGEST_SIDE} pixels for "
            "the longest side"
        )
    return facts, notes + warned
