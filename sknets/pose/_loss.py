"""The loss of maps of joints, given where the joints are."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets.pose._net import STRIDE, Maps, cells

_BETA = 0.1  # where smooth L1 turns from a parabola into a line, in the maps' units


class PoseLoss(nn.Module):
    """Cross-entropy of discs around joints, and smooth L1 within them.

    Around a hidden joint, if its place is known, cells learn the rest all the same: a
    person is found by following edges, and some lead through what is hidden.

    Each is summed over the cells of an image and divided by the number of cells of a
    disc and of joints, so that what a person adds does not depend on the others.
    """

    def __init__(self, maps: Maps):
        super().__init__()
        self.maps = maps
        self.disc = math.pi * maps.radius**2 / STRIDE**2

    def forward(self, output: Tensor, y: Tensor, weight: Any = None) -> Tensor:
        losses = torch.stack(list(self.parts(output, y).values())).sum(0)
        return (losses if weight is None else losses * weight).mean()

    def parts(self, output: Tensor, y: Tensor) -> dict[str, Tensor]:
        """By name, each of shape (B,)."""
        maps = self.maps
        heat, short, middle, depth = maps.split(
            output.float() if output.dtype == torch.bfloat16 else output
        )
        y = y.to(heat.dtype)
        near, owner, unsure = discs(y, heat.shape[2:], maps.radius)
        known = ~y[..., 0].isnan()
        entropy = F.binary_cross_entropy_with_logits(
            heat, near.to(heat.dtype), reduction="none"
        )
        unit = self.disc * maps.n_joints
        found = {"heat": entropy.masked_fill(unsure, 0).flatten(1).sum(1) / unit}
        b, j, row, column = (near | unsure).nonzero(as_tuple=True)
        person = owner[b, j, row, column]
        cell = torch.stack(
            [cells(heat.shape[3], heat)[column], cells(heat.shape[2], heat)[row]], 1
        )

        def apart(there: Tensor, target: Tensor, rows: Tensor) -> Tensor:
            losses = F.smooth_l1_loss(there, target, reduction="none", beta=_BETA)
            losses = losses.flatten(1).sum(1) if losses.ndim > 1 else losses
            return heat.new_zeros(len(heat)).index_add(0, rows, losses) / unit

        target = (y[b, person, j, :2] - cell) / maps.radius
        found["offsets"] = apart(short[b, j, :, row, column], target, b)
        if len(maps.edges):
            total = heat.new_zeros(len(heat))
            for e, (start, end) in enumerate(maps.edges.tolist()):
                own = (j == start).nonzero().flatten()
                own = own[known[b[own], person[own], end]]
                rows, at = b[own], (row[own], column[own])
                target = y[rows, person[own], end, :2] - cell[own]
                target = target / float(maps.lengths[e])
                total = total + apart(middle[rows, e, :, at[0], at[1]], target, rows)
            found["displacements"] = total * (maps.n_joints / len(maps.edges))
        if maps.depth is not None:
            mean, scale = maps.depth
            target = (y[b, person, j, 2] - mean) / scale
            found["depths"] = apart(depth[b, j, row, column], target, b)
        return found


def discs(y: Tensor, size: torch.Size, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells are near a joint of whom.

    Parameters
    ----------
    y : Tensor of shape (B, people, joints, dims + 1)
    size : (h, w)

    Returns
    -------
    near : bool Tensor of shape (B, joints, h, w)
        Cells within the radius of a visible joint.
    owner : int64 Tensor of shape (B, joints, h, w)
        Whose joint is the nearest, of those that are visible if ``near``.
    unsure : bool Tensor of shape (B, joints, h, w)
        Cells within the radius of none that is visible, but of one that is hidden and
        whose place is known.
    """
    dx = y[..., 0, None] - cells(size[1], y)  # (B, people, joints, w)
    dy = y[..., 1, None] - cells(size[0], y)
    far = y.new_full((len(y), y.shape[2], *size), torch.inf)
    best, hidden, owner = far, far, torch.zeros_like(far, dtype=torch.int64)
    behind = owner
    for person in range(y.shape[1]):
        square = dx[:, person, :, None] ** 2 + dy[:, person, :, :, None] ** 2
        square = square.nan_to_num(nan=torch.inf)
        visible = (y[:, person, :, -1] > 0)[:, :, None, None]
        seen = square.masked_fill(~visible, torch.inf)
        owner = owner.masked_fill(seen < best, person)
        behind = behind.masked_fill(square < hidden, person)
        best = torch.minimum(best, seen)
        hidden = torch.minimum(hidden, square)
    near = best <= radius**2
    return near, torch.where(near, owner, behind), (hidden <= radius**2) & ~near


__all__ = ["PoseLoss", "discs"]
