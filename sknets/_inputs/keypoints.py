"""Keypoints: the places of the joints of the people, or animals, in an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from sknets._inputs.naming import on_one_line
from sknets._inputs.reader import Reader
from sknets._params import param

_RECORD = '{"keypoints": array of shape (people, joints, 3 or 4)}'


class Keypoints(Reader):
    """A list of records, or an array of one person an image.

    Learned:

    n_joints_ : int
    n_dims_ : int
        2, or 3 where joints have a depth.
    listed_ : bool
        Whether y was a list of records.
    most_ : int
        People of the image that has most of them.
    """

    name: ClassVar[str] = "keypoints"

    joints: list | tuple | None = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> list[np.ndarray]:
        listed, people = self.people(X)
        counted = [i for i in range(len(people)) if seen is None or seen[i]]
        counted = [i for i in counted if people[i].size]
        if reset:
            if not any((people[i][..., -1] > 0).any() for i in counted):
                raise ValueError(f"{self.who}: y has no visible joint to learn from")
            first = people[counted[0]]
            self.n_joints_, self.n_dims_ = first.shape[1], first.shape[2] - 1
            self.listed_ = listed
            self.most_ = max(len(people[i]) for i in counted)
        shape = self.n_joints_, self.n_dims_ + 1
        for i in counted:
            if people[i].shape[1:] != shape:
                n, m = people[i].shape[1:]
                raise ValueError(
                    f"{self.who}: y[{i}] has {n} joints in {m - 1} dimensions, and "
                    + (f"y[{counted[0]}]" if reset else "the y of fit")
                    + f" has {shape[0]} in {shape[1] - 1}"
                )
        names = self.joints
        if names is not None and len({*names}) != self.n_joints_:
            raise ValueError(
                self._refusal(
                    "joints",
                    f"y has {self.n_joints_} joints, give as many different names",
                )
            )
        return [
            each if each.shape[1:] == shape else np.empty((0, *shape))
            for each in people
        ]

    def people(self, y: Any) -> tuple[bool, list[np.ndarray]]:
        """Whether these are records, and the (people, joints, dims + 1) of each image.

        The last column says whether a joint is visible: 1 or 0.
        """
        if y is None:
            raise ValueError(
                f"{self.who} requires y to be passed, but the target y is None: give "
                "each image its keypoints"
            )
        y = y.detach().cpu().numpy() if isinstance(y, Tensor) else y
        listed = any(isinstance(each, dict) for each in y)
        return listed, [self._record(each, i, listed) for i, each in enumerate(y)]

    def _record(self, given: Any, i: int, listed: bool) -> np.ndarray:
        what = given
        if listed:
            if not isinstance(given, dict) or "keypoints" not in given:
                raise ValueError(
                    f'{self.who}: y[{i}] has no "keypoints", got '
                    f"{on_one_line(given)}: give each image {_RECORD}"
                )
            what = given["keypoints"]
        try:
            array = np.array(what, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty((0, 0))
        if listed and array.shape[0:1] == (0,) and array.ndim != 2:
            return np.empty((0, 0, 0))  # nobody
        n_axes = 3 if listed else 2
        if array.ndim != n_axes or not n_axes <= array.shape[-1] <= 4:
            wish = _RECORD if listed else f"an array (joints, 2 to 4), or {_RECORD}"
            raise ValueError(
                f"{self.who}: y[{i}] must be {wish}, got "
                + (f"shape {array.shape}" if array.size else on_one_line(what))
            )
        if array.shape[-1] == 2:
            array = np.concatenate([array, np.ones((len(array), 1))], 1)
        array = array if listed else array[None]
        unknown = ~np.isfinite(array).all(-1)
        array[..., -1] = np.where(unknown, 0, array[..., -1] > 0)
        array[unknown, :-1] = np.nan
        return array


def refuse_outside(who: str, sizes: Sequence[tuple[int, ...]], people: Any) -> None:
    """Raise if a visible joint is not within its image, (height, width)."""
    for i, (size, own) in enumerate(zip(sizes, people)):
        places = own[own[..., -1] > 0][:, :2]
        # Of some the corner of the first pixel is (0, 0), of others its middle.
        outside = ((places < -1) | (places > np.array(size[::-1]))).any(1)
        if outside.any():
            place = places[outside][0].round(2).tolist()
            raise ValueError(
                f"{who}: y[{i}] has a visible joint at x, y = {place}, outside X[{i}], "
                f"which is {size[1]} wide and {size[0]} high: give it as not visible"
            )


def padded(people: list[np.ndarray]) -> np.ndarray:
    """(n, people, joints, dims + 1): nobody is NaN, and not visible."""
    most = max(1, *map(len, people))
    table = np.full((len(people), most, *people[0].shape[1:]), np.nan)
    table[..., -1] = 0
    for row, own in zip(table, people):
        row[: len(own)] = own
    return table


__all__ = ["Keypoints", "padded", "refuse_outside"]
