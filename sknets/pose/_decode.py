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

from sknets.pose._net import STRIDE, Maps, cells

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
        if not self.several:
            return self._single(heat, offsets, depth)
        peaks = (heat == F.max_pool2d(heat, 3, 1, 1)) & (heat >= self.threshold)
        each = [part.cpu().double().numpy() for part in (heat, offsets, steps, depth)]
        return [People(self, *own).poses() for own in zip(peaks.cpu().numpy(), *each)]

    def _single(self, heat: Tensor, offsets: Tensor, depth: Tensor) -> Poses:
        """For each joint the most probable cell and what that adds."""
        h, w = heat.shape[2:]
        confidence, place = heat.flatten(2).max(2)
        index = place[:, :, None, None].expand(-1, -1, 2, 1)
        offset = offsets.flatten(3).gather(3, index)[..., 0] * self.maps.radius
        parts = [
            cells(w, heat)[place % w] + offset[..., 0],
            cells(h, heat)[place // w] + offset[..., 1],
            confidence,
        ]
        if self.maps.depth is not None:
            mean, scale = self.maps.depth
            z = depth.flatten(2).gather(2, place[..., None])[..., 0]
            parts.insert(2, z * scale + mean)
        found = torch.stack(parts, 2).cpu().double().numpy()
        return [
            {"keypoints": each[None], "scores": each[None, :, -1].mean(1)}
            for each in found
        ]


class People:
    """The people of one image.

    The most probable joints are the first of a person each, unless they are near one
    that a person has. From it the others follow along the skeleton.
    """

    def __init__(self, decoder: Decoder, peaks: Any, heat: Any, *maps: np.ndarray):
        self.decoder, self.peaks, self.heat = decoder, peaks, heat
        self.offsets, self.steps, self.depth = maps
        self.edges = decoder.maps.edges.tolist()

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
                break
            row, column = self.cell(place)
            offset = self.offsets[j, :, row, column] * self.decoder.maps.radius
            place = middle_of(row, column) + offset
        return place

    def grown(self, j: int, place: np.ndarray) -> np.ndarray:
        """A person around a joint, (joints, columns), the surest branches first."""
        maps = self.decoder.maps
        person = np.full((maps.n_joints, 3 + (maps.depth is not None)), np.nan)
        person[:, -1] = 0
        branches, pushed = [(-self.confidence(j, place), 0, j, place)], 0
        while branches:
            sure, _, j, place = heapq.heappop(branches)
            if not np.isnan(person[j, 0]):
                continue
            row, column = self.cell(place)
            person[j, :2], person[j, -1] = place, -sure
            if maps.depth is not None:
                mean, scale = maps.depth
                person[j, 2] = self.depth[j, row, column] * scale + mean
            for e, (start, end) in enumerate(self.edges):
                if start == j and np.isnan(person[end, 0]):
                    step = self.steps[e, :, row, column] * maps.lengths[e]
                    there = self.refined(end, middle_of(row, column) + step)
                    pushed += 1
                    sure = -self.confidence(end, there)
                    heapq.heappush(branches, (sure, pushed, end, there))
        return person

    def ranked(self, people: list[np.ndarray]) -> dict[str, np.ndarray]:
        """The best people: a joint counts only for the surest one who has it there."""
        decoder, maps = self.decoder, self.decoder.maps
        kept: list[np.ndarray] = []
        scores: list[float] = []
        for person in sorted(people, key=lambda person: -person[:, -1].sum()):
            own = np.ones(len(person), bool)
            for other in kept:
                apart = np.linalg.norm(person[:, :2] - other[:, :2], axis=1)
                own &= ~(apart <= decoder.nms_radius)
            if (person[own, -1] >= decoder.threshold).any():
                kept.append(person)
                scores.append((person[:, -1] * own).sum() / maps.n_joints)
        order = np.argsort(-np.array(scores), kind="stable")[: decoder.max_people]
        columns = 3 + (maps.depth is not None)
        found = np.array(kept).reshape(-1, maps.n_joints, columns)
        return {"keypoints": found[order], "scores": np.array(scores)[order]}


def middle_of(row: int, column: int) -> np.ndarray:
    return np.array([column, row]) * STRIDE + (STRIDE - 1) / 2


def near(one: np.ndarray, other: np.ndarray, radius: float) -> bool:
    return bool(((one - other) ** 2).sum() <= radius**2)


__all__ = ["Decoder", "Poses"]
