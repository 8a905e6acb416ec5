"""From maps to people: the greedy decoding of PersonLab, and that of one person."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sknets.pose._net import STRIDE, Maps

Poses = list[dict[str, np.ndarray]]
_SURE = 0.1  # offsets are worth something where a joint is this probable
_ROUNDS = 2  # of refinement by offsets


@dataclass(frozen=True)
class Decoder:
    """Reads the poses out of a network's output.

    Parameters
    ----------
    maps : Maps
    several : bool
        Whether an image may have any number of people, not one.
    threshold : float
        The least probability of a joint from which a person is made.
    nms_radius : float
        Within so many pixels two joints of a kind are the same.
    max_people : int
    """

    maps: Maps
    several: bool = False
    threshold: float = 0.3
    nms_radius: float = 8.0
    max_people: int = 20

    def __call__(self, output: Tensor, size: Sequence[int] | None = None) -> Poses:
        """The poses of each image of a batch, of this size (height, width)."""
        output = output.float() if output.dtype == torch.bfloat16 else output
        if size is not None:  # what is beyond the image is nobody's
            h, w = (-(-side // STRIDE) for side in size)
            output = output[:, :, :h, :w]
        heat, offsets, steps, depth = self.maps.split(output)
        heat = heat.sigmoid()
        peaks = (heat == F.max_pool2d(heat, 3, 1, 1)) & (heat >= self.threshold)
        each = [part.cpu().double().numpy() for part in (heat, offsets, steps, depth)]
        images = [People(self, *own) for own in zip(peaks.cpu().numpy(), *each)]
        return [own.poses() if self.several else own.single() for own in images]


class People:
    """The people of one image.

    The most probable joints are the first of a person each, unless they are near one
    that a person has. From it the others follow along the skeleton.
    """

    def __init__(
        self,
        decoder: Decoder,
        peaks: np.ndarray,
        heat: np.ndarray,
        offsets: np.ndarray,
        steps: np.ndarray,
        depth: np.ndarray,
    ):
        maps = decoder.maps
        self.decoder, self.peaks, self.heat = decoder, peaks, heat
        self.edges, self.depth = maps.edges.tolist(), None
        if maps.depth is not None:
            mean, scale = maps.depth
            self.depth = depth * scale + mean
        # Where each cell says that its joint is, and those at the ends of edges.
        rows, columns = np.mgrid[: heat.shape[1], : heat.shape[2]]
        here = middle_of(rows, columns)
        self.votes = here + offsets * maps.radius
        self.goals = here + steps * maps.lengths[:, None, None, None]

    def single(self) -> dict[str, np.ndarray]:
        """One person, each joint where it is most probable."""
        person = self.nobody()
        for j, heat in enumerate(self.heat):
            row, column = np.unravel_index(heat.argmax(), heat.shape)
            place = self.votes[j, :, row, column]
            self.put(person, j, self.agreed(j, place, self.votes[j]), (row, column))
        return {"keypoints": person[None], "scores": person[None, :, -1].mean(1)}

    def poses(self) -> dict[str, np.ndarray]:
        people: list[np.ndarray] = []
        joints, rows, columns = self.peaks.nonzero()
        order = np.argsort(-self.heat[joints, rows, columns], kind="stable")
        for j, row, column in zip(joints[order], rows[order], columns[order]):
            place = self.refined(j, middle_of(row, column))
            known = (person[j, :2] for person in people)
            if not any(near(place, own, self.decoder.nms_radius) for own in known):
                people.append(self.grown(j, place))
        return self.ranked(people)

    def nobody(self) -> np.ndarray:
        person = np.full((len(self.heat), 3 + (self.depth is not None)), np.nan)
        person[:, -1] = 0
        return person

    def put(self, person: np.ndarray, j: int, place: np.ndarray, cell: Any) -> None:
        """Write down a joint of a person, read at a cell."""
        person[j, :2], person[j, -1] = place, self.heat[(j, *cell)]
        if self.depth is not None:
            person[j, 2] = self.depth[(j, *cell)]

    def cell(self, place: np.ndarray) -> tuple[int, int]:
        h, w = self.heat.shape[1:]
        column, row = np.rint((place - (STRIDE - 1) / 2) / STRIDE).astype(int)
        return min(max(row, 0), h - 1), min(max(column, 0), w - 1)

    def confidence(self, j: int, place: np.ndarray) -> float:
        """The probability where a joint was found, 0 outside the image."""
        row, column = self.cell(place)
        inside = near(place, middle_of(row, column), STRIDE)
        return float(self.heat[j, row, column]) if inside else 0.0

    def refined(self, j: int, place: np.ndarray) -> np.ndarray:
        """A joint's place by the offsets around it, where it is probable there."""
        for _ in range(_ROUNDS):
            if self.confidence(j, place) < _SURE:
                return place
            place = self.votes[(j, slice(None), *self.cell(place))]
        return self.agreed(j, place, self.votes[j])

    def agreed(self, j: int, place: np.ndarray, said: np.ndarray) -> np.ndarray:
        """The mean of what the cells around a joint say, (2, h, w), by their weight.

        Cells that mean the joint of somebody else, further away, are not heard.
        """
        row, column = self.cell(place)
        around = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
        apart = ((self.votes[(j, slice(None), *around)].T - place) ** 2).sum(-1).T
        weight = self.heat[(j, *around)] * (apart <= STRIDE**2)
        total = weight.sum()
        if total == 0:
            return said[:, row, column]
        return (said[(slice(None), *around)] * weight).sum((1, 2)) / total

    def grown(self, j: int, place: np.ndarray) -> np.ndarray:
        """A person around a joint, (joints, columns), the surest branches first."""
        person = self.nobody()
        branches, pushed = [(-self.confidence(j, place), 0, j, place)], 0
        while branches:
            sure, _, j, place = heapq.heappop(branches)
            if not np.isnan(person[j, 0]):
                continue
            self.put(person, j, place, self.cell(place))
            person[j, -1] = -sure
            for e, (start, end) in enumerate(self.edges):
                if start == j and np.isnan(person[end, 0]):
                    goal = self.agreed(j, place, self.goals[e])
                    there = self.refined(end, goal)
                    pushed += 1
                    sure = -self.confidence(end, there)
                    heapq.heappush(branches, (sure, pushed, end, there))
        return person

    def ranked(self, people: list[np.ndarray]) -> dict[str, np.ndarray]:
        """The best people: a joint counts only for the surest one who has it there."""
        decoder = self.decoder
        kept: list[np.ndarray] = []
        scores: list[float] = []
        for person in sorted(people, key=lambda person: -person[:, -1].sum()):
            own = np.ones(len(person), bool)
            for other in kept:
                apart = np.linalg.norm(person[:, :2] - other[:, :2], axis=1)
                own &= ~(apart <= decoder.nms_radius)
            if (person[own, -1] >= decoder.threshold).any():
                kept.append(person)
                scores.append(float((person[:, -1] * own).mean()))
        order = np.argsort(-np.array(scores), kind="stable")[: decoder.max_people]
        found = np.array(kept).reshape(-1, *self.nobody().shape)
        return {"keypoints": found[order], "scores": np.array(scores)[order]}


def middle_of(row: Any, column: Any) -> np.ndarray:
    return np.array([column, row]) * STRIDE + (STRIDE - 1) / 2


def near(one: np.ndarray, other: np.ndarray, radius: float) -> bool:
    return bool(((one - other) ** 2).sum() <= radius**2)


__all__ = ["Decoder", "Poses"]
