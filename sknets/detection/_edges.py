"""Where edges are, told by how likely each of several places is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# From a middle outwards, in sides of an anchor: finer where most edges are.
_PLACES = (-1.0, *(k / 8 for k in range(-4, 13)), 2.0, 3.0)


class Edges(nn.Module):
    """Boxes of ``n`` numbers: of each edge how likely it is at each of some places.

    An edge is where it is on average [Li et al. 2020]: a faint edge and a strong one
    come to the same place, as they do not where one number says how far it is.
    """

    places: Tensor
    n = 4 * len(_PLACES)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor(_PLACES), persistent=False)

    def boxes(self, raw: Tensor, middles: Tensor, anchors: Tensor) -> Tensor:
        """(..., 4) of numbers (..., n), of anchors (..., 2) about middles (..., 2)."""
        away = raw.unflatten(-1, (4, -1)).softmax(-1) @ self.places.to(raw)
        low, high = away[..., :2] * anchors, away[..., 2:] * anchors
        return torch.cat([middles - low, middles + high], -1)

    def losses(
        self, raw: Tensor, middles: Tensor, anchors: Tensor, true: Tensor
    ) -> Tensor:
        """(B,): how unlikely the two places nearest to each edge are, on average.

        Each counts by how near it is (the distribution focal loss).
        """
        places = self.places.to(raw)
        low, high = middles - true[:, :2], true[:, 2:] - middles
        away = torch.cat([low, high], 1) / anchors.repeat(1, 2)
        away = away.clamp(places[0], places[-1])
        after = torch.searchsorted(places, away).clamp(min=1)
        share = (away - places[after - 1]) / (places[after] - places[after - 1])
        told = -raw.unflatten(-1, (4, -1)).log_softmax(-1)
        before, behind = (
            told.gather(2, k[..., None]).squeeze(2) for k in (after - 1, after)
        )
        return torch.lerp(before, behind, share).mean(1)


__all__ = ["Edges"]
