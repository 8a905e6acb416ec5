"""Drawn people with the places of their joints, for pose estimation."""

from __future__ import annotations

import math

import numpy as np

from sknets.datasets._common import (
    as_bytes,
    background,
    between,
    checked,
    contrasting,
    sizes,
)

FIGURE_PAIRS = tuple(
    (f"left_{part}", f"right_{part}")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
FIGURE_JOINTS = ("head", *(joint for pair in FIGURE_PAIRS for joint in pair))
FIGURE_SKELETON = (
    ("head", "left_shoulder"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)


def make_figures(
    n_samples: int = 100,
    *,
    size: int | tuple[int, int] = 96,
    n_people: tuple[int, int] = (1, 1),
    occlusion: float = 0.0,
    three_d: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Drawn people in random poses, with the place of each of their 13 joints.

    All have the same proportions; size, pose and colours are random. They face the
    viewer, turned by up to 45 degrees to a side, 15 forwards or backwards and 30 within
    the image; one in five may be cut by an edge of the image. Elbows and knees bend one
    way only, and what is further away is darker, so that an image says something about
    depth. Limbs of the left are lighter than those of the right.

    The names of the joints are `sknets.datasets.FIGURE_JOINTS`; `FIGURE_SKELETON` has
    the edges of a tree over all of them, whose lengths in three dimensions are in
    the same proportions in all figures; `FIGURE_PAIRS` the left and the right of each
    kind, which a mirror image swaps.

    Parameters
    ----------
    n_samples : int, default=100
        How many images; at least 1.
    size : int or tuple of (height, width), default=96
        Size of the images in pixels; at least 32.
    n_people : tuple of (int, int), default=(1, 1)
        The least and the most figures of an image. Later ones cover earlier ones.
    occlusion : float, default=0.0
        Probability that a figure is partly covered by a block; from 0 to 1.
    three_d : bool, default=False
        Whether the keypoints have a depth, too.
    random_state : int, RandomState or None, default=None
        Seed of everything that is random: the same number, the same bits.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width, 3), uint8
    records : list of dict
        For each image ``{"keypoints": array}``, float64 of shape (people, 13, 3): x to
        the right and y downwards in pixels, the centre of the top left pixel being
        (0, 0), and 1 if the joint is visible or 0 if another figure, or a block, is
        before it. A joint outside the image is (NaN, NaN, 0). With `three_d` the shape
        is (people, 13, 4): x, y, z, visible. z is in pixels, too, in orthographic
        projection: positive away from the viewer, 0 midway between the hips.

    Raises
    ------
    ValueError
        If an argument is of a wrong type or out of bounds.

    Examples
    --------
    >>> from sknets.datasets import FIGURE_JOINTS, make_figures
    >>> images, records = make_figures(8, n_people=(2, 2), random_state=0)
    >>> images.shape, records[0]["keypoints"].shape, FIGURE_JOINTS[0]
    ((8, 96, 96, 3), (2, 13, 3), 'head')
    """
    random = checked(
        "make_figures",
        ("n_samples", n_samples, int, {"at least": 1}),
        ("size", size, int | tuple[int, ...], {"at least": 32}),
        ("n_people", n_people, tuple[int, ...], {"at least": 0}),
        ("occlusion", occlusion, float, {"at least": 0, "at most": 1}),
        ("three_d", three_d, bool, {}),
        random_state=random_state,
    )
    images, records = [], []
    for height, width in sizes(n_samples, size, False, random):
        image = background(height, width, random)
        owner = np.zeros((height, width), int)  # whose each pixel is; 0: nobody's
        people = between(n_people, random)
        joints = np.empty((people, len(FIGURE_JOINTS), 3))
        for person in range(people):
            joints[person], scale = _placed_figure(height, width, people, random)
            _draw_figure(image, owner, person + 1, joints[person], scale, random)
        column, row = np.moveaxis(np.rint(joints[..., :2]).astype(int), -1, 0)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        for person in range(people):
            if random.uniform() < occlusion:
                target = random.choice(np.flatnonzero(inside[person]))
                extent = np.ptp(joints[person, :, 1])
                _draw_block(image, owner, joints[person, target], extent, random)
        seen = owner[row.clip(0, height - 1), column.clip(0, width - 1)]
        seen = inside & (seen == 1 + np.arange(people)[:, None])
        joints[~inside] = np.nan
        places = joints if three_d else joints[..., :2]
        images.append(as_bytes(image, 6, random))
        records.append({"keypoints": np.concatenate([places, seen[..., None]], 2)})
    return np.stack(images), records


# A body stands upright, faces the viewer and is one unit high, its origin
# midway between the hips: x to the right of the image, which is the left of the body,
# y down, z away from the viewer.

_HEAD_RADIUS, _NECK = 0.085, (0.0, -0.3, 0.0)
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 0.17, 0.16, 0.24, 0.23
_INDEX = {joint: i for i, joint in enumerate(FIGURE_JOINTS)}


def _turn(axis: int, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.eye(3)
    i, j = (k for k in range(3) if k != axis)
    turn[[i, j], [i, j]] = c
    turn[i, j], turn[j, i] = (-s, s)
    return turn


def _limb(
    start: np.ndarray, turn: np.ndarray, bend: float, upper: float, lower: float
) -> tuple[np.ndarray, np.ndarray]:
    """The middle and the end of a limb that hangs from start but for turn and bend."""
    middle = start + upper * turn[:, 1]
    return middle, middle + lower * (turn @ _turn(0, bend))[:, 1]


def _pose(random: np.random.RandomState) -> np.ndarray:
    """A body's joints, (13, 3); a turn about x by less than 0 swings forwards."""
    body = np.empty((13, 3))
    nod = _turn(0, random.uniform(-25, 25))
    body[0] = _NECK + nod @ (0, -0.14, -0.05)  # the face is before the neck
    for first, sign in ((1, 1), (2, -1)):  # of the pairs of joints, left and right
        shoulder, hip = np.array([sign * 0.14, -0.3, 0]), np.array([sign * 0.08, 0, 0])
        arm = _turn(0, random.uniform(-80, 40))
        arm = arm @ _turn(2, -sign * (8 + 120 * random.beta(1, 2)))
        arm = arm @ _turn(1, random.uniform(-50, 50))
        bend = -130 * random.beta(1, 1.5)
        elbow, wrist = _limb(shoulder, arm, bend, _UPPER_ARM, _FOREARM)
        swing = random.triangular(-75, 0, 30)
        leg = _turn(0, swing) @ _turn(2, -sign * random.uniform(0, 35))
        leg = leg @ _turn(1, random.uniform(-20, 20))
        bend = random.uniform(0, 40) + max(-swing, 0) * random.uniform(0, 1)
        knee, ankle = _limb(hip, leg, bend, _THIGH, _SHIN)
        body[first::2] = shoulder, elbow, wrist, hip, knee, ankle
    whole = _turn(2, random.uniform(-30, 30)) @ _turn(0, random.uniform(-15, 15))
    return body @ (whole @ _turn(1, random.uniform(-45, 45))).T


def _placed_figure(
    height: int, width: int, people: int, random: np.random.RandomState
) -> tuple[np.ndarray, float]:
    """Joints in pixels, (13, 3), and the height of the body in pixels."""
    scale = random.uniform(0.6, 0.95) * min(height, width) / max(people, 1) ** 0.3
    joints = scale * _pose(random)
    room = scale * (0.2 if random.uniform() < 0.2 else -_HEAD_RADIUS)
    for axis, side in ((0, width), (1, height)):
        low, high = joints[:, axis].min(), joints[:, axis].max()
        places = sorted((-low - room, side - 1 - high + room))
        joints[:, axis] += random.uniform(*places)
    return joints, scale


def _draw_figure(
    image: np.ndarray,
    owner: np.ndarray,
    number: int,
    joints: np.ndarray,
    scale: float,
    random: np.random.RandomState,
) -> None:
    """Draw a figure part by part, the furthest first, and mark whose its pixels are."""
    height, width = owner.shape
    column, row = joints[:, :2].astype(int).T
    beneath = image[row.clip(0, height - 1), column.clip(0, width - 1)]
    shirt, trousers = contrasting(beneath, random), contrasting(beneath, random)
    skin = np.array([90.0, 60, 45]) + random.uniform() * np.array([150, 140, 125])
    at = {joint: joints[i] for joint, i in _INDEX.items()}
    left, right = at["left_shoulder"], at["right_shoulder"]
    trunk = [
        (left + t * (right - left), at["left_hip"] * (1 - t) + at["right_hip"] * t)
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    # Each part: its segments, its radius, its colour, how much it is put behind others.
    parts = [
        (trunk, 0.045, shirt, 0.04),
        ([(at["head"], (left + right) / 2)], 0.03, skin, 0.06),
        ([(at["head"], at["head"])], _HEAD_RADIUS, skin, 0.0),
    ]
    for side, light in (("left", 255), ("right", 0)):
        for start, end, radius, color in (
            ("shoulder", "elbow", 0.042, shirt),
            ("elbow", "wrist", 0.036, skin),
            ("hip", "knee", 0.052, trousers),
            ("knee", "ankle", 0.044, trousers),
        ):
            line = (at[f"{side}_{start}"], at[f"{side}_{end}"])
            parts.append(([line], radius, 0.55 * color + 0.45 * light, 0.0))
    margin = _HEAD_RADIUS * scale + 1
    x, y = (joints[:, :2].min(0) - margin).astype(int).clip(0)
    x_end, y_end = (joints[:, :2].max(0) + margin).astype(int).clip(0, (width, height))
    image, owner = image[y:y_end, x:x_end], owner[y:y_end, x:x_end]
    rows, columns = np.ogrid[y:y_end, x:x_end]

    def depth(part: tuple) -> float:
        return float(np.mean([point[2] for line in part[0] for point in line])) / scale

    for part in sorted(parts, key=lambda part: -depth(part) - part[3]):
        lines, radius, color, _ = part
        distance = np.min([_distance(rows, columns, *line) for line in lines], axis=0)
        # The pixel of a joint is up to 0.71 away from it, and always drawn.
        distance /= max(radius * scale, 0.75) ** 2
        inside = distance <= 1
        shade = (1 - 0.4 * distance[inside]) * (1 - 0.5 * depth(part))
        image[inside] = shade[:, None] * color
        owner[inside] = number


def _distance(
    row: np.ndarray, column: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Squared distance in pixels of each pixel from the line between two points."""
    (x, y), (dx, dy) = start[:2], (end - start)[:2]
    along = ((column - x) * dx + (row - y) * dy) / max(dx**2 + dy**2, 1e-9)
    along = along.clip(0, 1)
    return (column - x - along * dx) ** 2 + (row - y - along * dy) ** 2


def _draw_block(
    image: np.ndarray,
    owner: np.ndarray,
    target: np.ndarray,
    extent: float,
    random: np.random.RandomState,
) -> None:
    """Cover the pixel of a joint, and what is around it, by a plain block."""
    half = random.uniform(0.1, 0.22, 2) * extent
    middle = target[:2] + random.uniform(-0.7, 0.7, 2) * half
    left, top = np.floor(middle - half).astype(int).clip(0)
    right, bottom = np.ceil(middle + half).astype(int) + 1
    image[top:bottom, left:right] = random.uniform(0, 255, 3)
    owner[top:bottom, left:right] = 0
