"""Scenes of overlapping shapes, for segmentation."""

from __future__ import annotations

import numpy as np

from sknets.datasets._common import (
    Images,
    as_bytes,
    background,
    between,
    checked,
    contrasting,
    sizes,
)

_SHAPES = ("disc", "square", "triangle", "bar")


def make_scenes(
    n_samples: int = 100,
    *,
    size: int | tuple[int, int] = 64,
    n_objects: tuple[int, int] = (2, 5),
    classes: tuple[str, ...] = _SHAPES,
    unequal: bool = False,
    noise: float = 0.1,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Images, Images]:
    """Scenes of overlapping shapes with the class of each pixel.

    Sizes, turns and colours are random, and the background has gradients, ripples and
    patches of any colour, too: only its shape tells what an object is. Bars are two to
    four pixels wide, so that a mask without fine detail misses them.

    Parameters
    ----------
    n_samples : int, default=100
        How many images; at least 1.
    size : int or tuple of (height, width), default=64
        Size of the images in pixels; at least 24.
    n_objects : tuple of (int, int), default=(2, 5)
        The least and the most objects of an image. Later ones cover earlier ones.
    classes : tuple of str, default=("disc", "square", "triangle", "bar")
        Which shapes there are; the k-th of them, counted from 1, is k in the masks.
    unequal : bool, default=False
        Whether each image has a size of its own, each side between two thirds and four
        thirds of `size`.
    noise : float, default=0.1
        Standard deviation of the noise of each pixel and channel, as a share of the
        range of a byte; at least 0.
    random_state : int, RandomState or None, default=None
        Seed of everything that is random: the same number, the same bits.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width, 3), uint8
        Or a list of arrays of shape (height, width, 3) where they are unequal.
    masks : ndarray of shape (n_samples, height, width), uint8
        0 is background. Or a list of arrays of shape (height, width).

    Raises
    ------
    ValueError
        If an argument is of a wrong type or out of bounds.

    Examples
    --------
    >>> from sknets.datasets import make_scenes
    >>> images, masks = make_scenes(8, classes=("disc", "bar"), random_state=0)
    >>> images.shape, masks.shape, int(masks.max())
    ((8, 64, 64, 3), (8, 64, 64), 2)
    """
    random = checked(
        "make_scenes",
        ("n_samples", n_samples, int, {"at least": 1}),
        ("size", size, int | tuple[int, ...], {"at least": 24}),
        ("n_objects", n_objects, tuple[int, ...], {"at least": 0}),
        ("classes", classes, tuple[str, ...], {}),
        ("unequal", unequal, bool, {}),
        ("noise", noise, float, {"at least": 0}),
        random_state=random_state,
    )
    if not classes or len({*classes} & {*_SHAPES}) < len(classes):
        raise ValueError(
            f"make_scenes(classes={classes!r}): classes must be different ones of "
            f"{', '.join(_SHAPES)}"
        )
    images, masks = [], []
    for height, width in sizes(n_samples, size, unequal, random):
        image = background(height, width, random)
        mask = np.zeros((height, width), np.uint8)
        for _ in range(between(n_objects, random)):
            label = int(random.randint(len(classes)))
            tries = [
                _shape(classes[label], mask.shape, np.min(size), random)
                for _ in range(3)
            ]
            # Where it leaves most of the earlier objects to be seen.
            inside, across = min(tries, key=lambda shape: (mask[shape[0]] > 0).mean())
            color = contrasting(image[inside], random)
            light = 1 + random.uniform(-0.25, 0.25) * across[inside, None]
            image[inside] = color * light
            mask[inside] = label + 1
        images.append(as_bytes(image, 255 * noise, random))
        masks.append(mask)
    return (images, masks) if unequal else (np.stack(images), np.stack(masks))


def _shape(
    kind: str, size: tuple[int, int], side: float, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Where the shape is, and how far along it each pixel lies, from -1 to 1."""
    radius = random.uniform(0.14, 0.24) * side
    angle = random.uniform(0, 2 * np.pi)
    middle = [random.uniform(0.8 * radius, n - 0.8 * radius) for n in size]
    row, column = np.ogrid[: size[0], : size[1]]
    row, column = row - middle[0], column - middle[1]
    along = np.cos(angle) * column + np.sin(angle) * row
    across = np.cos(angle) * row - np.sin(angle) * column
    if kind == "disc":
        inside = along**2 + across**2 <= radius**2
    elif kind == "square":
        inside = np.maximum(abs(along), abs(across)) <= 0.85 * radius
    elif kind == "triangle":  # the three sides of an equilateral one
        height = 0.6 * radius
        inside = np.maximum(along, abs(across) * 0.75**0.5 - along / 2) <= height
    else:
        width = random.uniform(2, 4)
        inside = (abs(along) <= 1.4 * radius) & (abs(across) <= width / 2)
    return inside, along / radius
