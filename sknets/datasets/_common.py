"""What the generators of pictures share: arguments, sizes, backgrounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.utils import check_random_state

from sknets._params import _broken_rule

Images = np.ndarray | list[np.ndarray]


def checked(
    function: str, *arguments: tuple[str, Any, Any, Any], random_state: Any
) -> np.random.RandomState:
    """The stream of random numbers; ValueError for the first argument that is wrong."""
    kinds = int | np.random.RandomState | None
    seed = ("random_state", random_state, kinds, {"at least": 0})
    for name, value, kind, bounds in (*arguments, seed):
        broken = _broken_rule(value, kind, bounds)
        if not broken and name != "classes" and isinstance(value, tuple | list):
            if name == "size" and len(value) != 2:
                broken = "must be one integer, or (height, width)"
            elif len(value) != 2 or (name != "size" and value[0] > value[1]):
                broken = "must be (the least, the most)"
        if broken:
            raise ValueError(f"{function}({name}={value!r}): {name} {broken}")
    # Numpy's global stream would be moved by a seed of None.
    return check_random_state(
        np.random.RandomState() if random_state is None else random_state
    )


def sizes(
    n_samples: int, size: Any, unequal: bool, random: np.random.RandomState
) -> Iterable[tuple[int, int]]:
    height, width = np.broadcast_to(size, 2).tolist()
    for _ in range(n_samples):
        if unequal:
            yield (
                random.randint(math.ceil(height * 2 / 3), height * 4 // 3 + 1),
                random.randint(math.ceil(width * 2 / 3), width * 4 // 3 + 1),
            )
        else:
            yield height, width


def between(bounds: tuple[int, int], random: np.random.RandomState) -> int:
    return int(random.randint(bounds[0], bounds[1] + 1))


def as_bytes(
    image: np.ndarray, noise: float, random: np.random.RandomState
) -> np.ndarray:
    noisy = image + noise * random.standard_normal(image.shape)
    return np.rint(noisy.clip(0, 255)).astype(np.uint8)


def _field(height: int, width: int, random: np.random.RandomState) -> np.ndarray:
    """A smooth random surface of about unit variance."""
    coarse = random.standard_normal((5, 5))
    return ndimage.zoom(coarse, (height / 5, width / 5), order=1)


def background(height: int, width: int, random: np.random.RandomState) -> np.ndarray:
    """Gradients, ripples and patches of the colours that objects have, too."""
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = random.uniform(0, 2 * np.pi, 2)
    first, second = random.uniform(0, 255, (2, 3))
    share = 0.5 + 0.35 * (np.cos(angle[0]) * row + np.sin(angle[0]) * column)
    image = first + (second - first) * share[..., None]
    wave = np.cos(angle[1]) * row + np.sin(angle[1]) * column
    image *= 1 + 0.1 * np.sin(random.uniform(10, 40) * wave)[..., None]
    for _ in range(3):  # soft edges: a patch is no object
        strength = _field(height, width, random)[..., None].clip(0, 1)
        image += strength * (random.uniform(0, 255, 3) - image)
    return image


def contrasting(beneath: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """A random colour that can be told from what it will cover."""
    colors = random.uniform(0, 255, (6, 3))
    distances = np.linalg.norm(colors[:, None] - beneath[::3], axis=-1)
    distance = np.quantile(distances, 0.1, axis=1)
    return colors[np.argmax(np.minimum(distance, 100))]
