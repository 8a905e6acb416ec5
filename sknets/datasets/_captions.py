"""Scenes of a few shapes, and a sentence that says what is where in each."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sknets.datasets._common import as_bytes, checked

_COLORS = {
    "red": (210, 40, 40),
    "green": (40, 160, 60),
    "blue": (50, 80, 220),
    "yellow": (230, 210, 50),
    "white": (245, 245, 245),
}
_SHAPES = ("disc", "square", "triangle")
_RADII = {"small": (0.06, 0.09), "large": (0.13, 0.17)}  # as shares of the side
_BETWEEN = {"left of": (0, 1), "above": (1, 0)}


def make_captioned_scenes(
    n_samples: int = 100,
    *,
    size: int = 64,
    noise: float = 0.04,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Scenes of one shape or two on dull ground, and a sentence about each.

    A sentence tells sizes, colours, shapes and how two of them lie, the left or the
    upper one first: "a small red disc left of a large blue square". So there is one
    right sentence.

    Parameters
    ----------
    n_samples : int, default=100
        How many scenes; at least 1.
    size : int, default=64
        Height and width of the images in pixels; at least 32.
    noise : float, default=0.04
        Standard deviation of the noise of each pixel and channel, as a share of the
        range of a byte; at least 0.
    random_state : int, RandomState or None, default=None
        Seed of everything that is random: the same number, the same bits.

    Returns
    -------
    images : ndarray of shape (n_samples, size, size, 3), uint8
    captions : list of str

    Raises
    ------
    ValueError
        For an argument out of bounds.

    Examples
    --------
    >>> from sknets.datasets import make_captioned_scenes
    >>> images, captions = make_captioned_scenes(2, random_state=0)
    >>> images.shape, captions[1].split()[0]
    ((2, 64, 64, 3), 'a')
    """
    random = checked(
        "make_captioned_scenes",
        ("n_samples", n_samples, int, {"at least": 1}),
        ("size", size, int, {"at least": 32}),
        ("noise", noise, float, {"at least": 0}),
        random_state=random_state,
    )
    images, captions = [], []
    for _ in range(n_samples):
        coarse = random.uniform(60, 150, (3, 3))
        ground = ndimage.zoom(coarse, size / 3, order=1)[:size, :size, None]
        image = ground + random.uniform(-12, 12, 3)
        named = [
            (
                str(random.choice([*_RADII])),
                str(random.choice([*_COLORS])),
                str(random.choice(_SHAPES)),
            )
            for _ in range(1 + (random.uniform() < 0.75))
        ]
        phrases = [f"a {big} {color} {shape}" for big, color, shape in named]
        if len(named) == 1:
            middles = [random.uniform(0.25, 0.75, 2)]
        else:
            relation = str(random.choice([*_BETWEEN]))
            phrases.insert(1, relation)
            middles = _middles(np.array(_BETWEEN[relation]), random)
        for (big, color, shape), middle in zip(named, middles):
            radius = random.uniform(*_RADII[big]) * size
            inside = _inside(shape, size, middle * size, radius)
            image[inside] = _COLORS[color] * random.uniform(0.85, 1.0, 1)
        images.append(as_bytes(image, 255 * noise, random))
        captions.append(" ".join(phrases))
    return np.stack(images), captions


def _middles(way: np.ndarray, random: np.random.RandomState) -> list[np.ndarray]:
    """Two places, rows and columns as shares: the second is that way from the first."""
    middle = 0.5 + random.uniform(-0.06, 0.06, 2)
    apart = random.uniform(0.21, 0.27)
    aside = random.uniform(-0.1, 0.1, 2) * (way == 0)
    return [middle - apart * way + aside, middle + apart * way - aside]


def _inside(shape: str, size: int, middle: np.ndarray, radius: float) -> np.ndarray:
    row, column = np.ogrid[:size, :size]
    row, column = row - middle[0], column - middle[1]
    if shape == "disc":
        return row**2 + column**2 <= radius**2
    if shape == "square":
        return np.maximum(abs(row), abs(column)) <= 0.85 * radius
    return (row <= 0.8 * radius) & (row >= 2 * abs(column) - 1.1 * radius)


__all__ = ["make_captioned_scenes"]
