"""Boxes: left, top, right, bottom, and what is done with many of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# No more than so many candidates of an image are looked at, the best first.
MOST = 1000
LEAST = 1e-3  # of the scores
_NEAR = 0.1  # the breadth of the bell by which boxes near another say where it is


class Found(NamedTuple):
    """What a network finds in an image, best or not: boxes (n, 4), scores and classes
    (n,).
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def best(self, most: int) -> Found:
        order = self.scores.argsort(descending=True, stable=True)[:most]
        return Found(*(each[order] for each in self))


def candidates(boxes: Tensor, sure: Tensor, classes: Tensor) -> Found:
    """Boxes (n, 4), each with all classes (n, K) for which it is at all sure."""
    scores = sure[:, None] * classes
    box, label = (scores >= LEAST).nonzero(as_tuple=True)
    return Found(boxes[box], scores[box, label], label).best(MOST)


def areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def centered(boxes: Tensor) -> Tensor:
    """x and y of the middle, width and height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def cornered(boxes: Tensor) -> Tensor:
    """`centered` undone."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


def encoded(boxes: Tensor, anchors: Tensor) -> Tensor:
    """How boxes differ from anchors: middles in the anchors' sizes, logarithms of
    sizes (R-CNN's targets).
    """
    own, of = centered(boxes), centered(anchors)
    middle = (own[..., :2] - of[..., :2]) / of[..., 2:]
    return torch.cat([middle, (own[..., 2:] / of[..., 2:]).log()], -1)


def decoded(deltas: Tensor, anchors: Tensor) -> Tensor:
    """`encoded` undone; no box is more than e^4 times as large as its anchor."""
    of = centered(anchors)
    middle = of[..., :2] + deltas[..., :2] * of[..., 2:]
    size = of[..., 2:] * deltas[..., 2:].clamp(max=4).exp()
    return cornered(torch.cat([middle, size], -1))


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each box with the other of its row."""
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    return both / (areas(boxes) + areas(others) - both).clamp(min=1e-9)


def paired_giou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised intersection over union: below 0 for boxes that are apart."""
    low = torch.maximum(boxes[..., :2], others[..., :2])
    high = torch.minimum(boxes[..., 2:], others[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    union = (areas(boxes) + areas(others) - both).clamp(min=1e-9)
    low = torch.minimum(boxes[..., :2], others[..., :2])
    high = torch.maximum(boxes[..., 2:], others[..., 2:])
    hull = (high - low).clamp(min=0).prod(-1).clamp(min=1e-9)
    return both / union - (hull - union) / hull


def suppressed(
    found: Found, kind: str, threshold: float, least: float, most: int
) -> Found:
    """Of boxes of a class that share much with each other the best, best first.

    Parameters
    ----------
    kind : {"vote", "class", "soft"}
        "vote": the best one is where all of them say, each by its score times
        ``exp(-(1 - iou)² / 0.1)`` [He et al. 2019]. "soft": what shares
        something with a better one is only less sure: its score times ``exp(-iou² /
        threshold)`` [Bodla et al. 2017].
    threshold : float
        Of the intersection over union.
    least : float
        The least score.
    most : int
    """
    from torchvision.ops import batched_nms

    found = Found(*(each[found.scores >= least] for each in found)).best(MOST)
    if kind != "soft":
        kept = batched_nms(*found, threshold)[:most]
        boxes = found.boxes[kept]
        if kind == "vote":
            boxes = _voted(found, kept, threshold)
        return Found(boxes, found.scores[kept], found.classes[kept])
    boxes, scores, classes = found[0], found[1].clone(), found[2]
    left = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    order: list[Tensor] = []
    while len(order) < most and bool(left.any()):
        best = torch.where(left, scores, -1).argmax()
        if scores[best] < least:
            break
        order.append(best)
        left[best] = False
        iou = paired_iou(boxes, boxes[best].expand_as(boxes))
        decay = (-iou.square() / threshold).exp()
        near = left & (classes == classes[best])
        scores = torch.where(near, scores * decay, scores)
    kept = torch.stack(order) if order else torch.zeros(0, dtype=torch.int64)
    return Found(boxes[kept], scores[kept], classes[kept])


def _voted(found: Found, kept: Tensor, threshold: float) -> Tensor:
    """Where each box that is kept is: the mean of those of its class that share more
    than the threshold with it.
    """
    boxes = found.boxes
    iou = paired_iou(boxes[kept, None], boxes[None])
    own = (iou > threshold) & (found.classes[kept, None] == found.classes)
    own[torch.arange(len(kept), device=kept.device), kept] = True
    weights = found.scores * (-(1 - iou).square() / _NEAR).exp()
    weights = weights.masked_fill(~own, 0)
    return weights @ boxes / weights.sum(1, keepdim=True)


__all__ = [
    "Found",
    "areas",
    "candidates",
    "centered",
    "cornered",
    "decoded",
    "encoded",
    "paired_giou",
    "paired_iou",
    "suppressed",
]
