"""The restricted Boltzmann machine of ratings, and its contrastive divergence.

Symbols follow the paper [1]_: a user has rated the items i of a set R_u; v_ik says that
item i has rating k, h_j are the hidden units. The energy of a user's ratings is

    E(v, h) = - Σ_i Σ_k v_ik (b_ik + a_k g u + Σ_j W_ijk h_j) - Σ_j h_j (c_j + Σ_i D_ij)

with i in R_u, ``a_k`` the level of rating k, ``u`` the user's offset and g its gain.

References
----------
.. [1] R. Salakhutdinov, A. Mnih, G. E. Hinton. Restricted Boltzmann Machines for
   Collaborative Filtering. ICML 2007.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.dense import ManualGradient
from sknets._inputs.ratings import RatingBatch


class RatingsRBM(nn.Module):
    """Softmax visible units for the items that a user rated, binary hidden units.

    Parameters
    ----------
    n_items, n_hidden : int
    levels : tensor of shape (n_levels,)
        What ratings count as, centred and scaled.
    ordinal : bool
        ``W_ijk = W_ij a_k``; else every level has weights of its own.
    conditional : bool
        Whether which items are rated moves the hidden units (D).
    n_steps : int
        Gibbs steps of the negative phase.
    item_offsets : tensor of shape (n_items,)
        The mean level of each item, by which the user's offset is told.
    item_shares : tensor of shape (n_items, n_levels)
        Logarithms of the shares of the levels: what is said to users without ratings.
    prior : tensor of shape (n_levels,)
        The same of all items, for unknown ones.
    shrinkage, gain : float
        How much a user's offset is drawn to 0, and g.
    """

    levels: Tensor
    item_offsets: Tensor
    item_shares: Tensor
    prior: Tensor

    def __init__(
        self,
        n_items: int,
        n_hidden: int,
        levels: Tensor,
        ordinal: bool,
        conditional: bool,
        n_steps: int,
        item_offsets: Tensor,
        item_shares: Tensor,
        prior: Tensor,
        shrinkage: float,
        gain: float,
    ):
        super().__init__()
        n_levels = len(levels)
        self.ordinal, self.n_steps = ordinal, n_steps
        self.shrinkage, self.gain = shrinkage, gain
        self.generator: torch.Generator | None = None
        for name, value in [
            ("levels", levels),
            ("item_offsets", item_offsets),
            ("item_shares", item_shares),
            ("prior", prior),
        ]:
            self.register_buffer(name, value, persistent=False)
        n_weights = 1 if ordinal else n_levels
        # (n_items, n_weights, n_hidden); biases are flat, so that they do not decay.
        self.weight = nn.Parameter(torch.randn(n_items, n_weights, n_hidden) * 0.01)
        self.visible_bias = nn.Parameter(torch.zeros(n_items * n_levels))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.condition = None
        if conditional:
            self.condition = nn.Parameter(torch.zeros(n_items, n_hidden))

    # -- the two conditional distributions -------------------------------------------

    def observed(self, codes: Tensor) -> Tensor:
        """Visible units as they meet the weights: (n_ratings, n_weights)."""
        if self.ordinal:
            return take(self.levels, codes).unsqueeze(1)
        return F.one_hot(codes, len(self.levels)).to(self.weight.dtype)

    def offsets(self, x: RatingBatch) -> Tensor:
        """How far above the items' means each user rates, drawn to 0: (n_users,)."""
        above = take(self.levels, x.codes) - take(self.item_offsets, x.items)
        counts = self._n_rated(x) + self.shrinkage
        return self._by_user(x, above) / counts.clamp_min(1e-9)

    def inputs(self, x: RatingBatch, v: Tensor, W: Tensor) -> Tensor:
        """What the hidden units get from ratings ``v``: (n_users, n_hidden)."""
        parts = (v.unsqueeze(2) * W).sum(1) if v.shape[1] > 1 else v * W.squeeze(1)
        if self.condition is not None:
            parts = parts + take(self.condition, x.items)
        return self._by_user(x, parts) + self.hidden_bias

    def logits(self, items: Tensor, h: Tensor, offsets: Tensor, W: Tensor) -> Tensor:
        """Of the levels, for one row of ``h`` and one item each: (n, n_levels)."""
        a = (W * h.unsqueeze(1)).sum(2)
        return self._with_biases(a, offsets, take(self._visible_bias(), items))

    def _with_biases(self, a: Tensor, offsets: Tensor, bias: Tensor) -> Tensor:
        along = self.gain * offsets.unsqueeze(-1)
        if self.ordinal:
            return bias + (a + along) * self.levels
        return bias + a + along * self.levels

    def _visible_bias(self) -> Tensor:
        return self.visible_bias.view(len(self.item_offsets), -1)

    def _by_user(self, x: RatingBatch, values: Tensor) -> Tensor:
        sums = values.new_zeros(x.n_users, *values.shape[1:])
        return sums.index_add_(0, x.rows, values)

    # -- learning --------------------------------------------------------------------

    def forward(self, x: RatingBatch) -> Tensor:
        """Logits of the pairs to predict, (n_pairs, levels); without, `features`."""
        return self.features(x) if x.pair_rows is None else self.pair_logits(x)

    def loss(self, x: RatingBatch, y: Tensor | None) -> Tensor:
        """Cross-entropy of known pairs; without, of the users' first reconstruction.

        The latter's gradient is the contrastive divergence.
        """
        if y is not None:
            return F.cross_entropy(self.pair_logits(x), y, reduction="none")
        with torch.no_grad():
            losses, _, end, _ = self.phases(x)
        contrast = self.free_energy(x, self.observed(x.codes), x.codes)
        contrast = (contrast - self.free_energy(x, *end)).mean()
        return losses + (contrast - contrast.detach())

    def phases(self, x: RatingBatch) -> tuple:
        """The loss of each user; both ends of the Gibbs chains.

        What is drawn is one rating of each item; q are the probabilities it was drawn
        by, which the biases learn from.
        """
        W, offsets = take(self.weight, x.items), take(self.offsets(x), x.rows)
        v = self.observed(x.codes)
        first = p = torch.sigmoid(self.inputs(x, v, W))
        for step in range(self.n_steps):
            noise = torch.rand(p.shape, generator=self.generator, device=p.device)
            h = (noise < p).to(p.dtype)
            logits = self.logits(x.items, take(h, x.rows), offsets, W)
            q = logits.softmax(1)
            if step == 0:
                surprise = F.cross_entropy(logits, x.codes, reduction="none")
                losses = self._by_user(x, surprise) / self._n_rated(x).clamp_min(1)
            end = self.observed(self._draw(q))
            p = torch.sigmoid(self.inputs(x, end, W))
        return losses, (v, first), (end, q), p

    def _draw(self, q: Tensor) -> Tensor:
        noise = torch.rand(len(q), 1, generator=self.generator, device=q.device)
        return (q.cumsum(1)[:, :-1] < noise).sum(1)

    def free_energy(self, x: RatingBatch, v: Tensor, q: Tensor) -> Tensor:
        """``-log Σ_h exp(-E(v, h))`` of each user, without the offsets.

        ``q`` are the codes of the ratings, or probabilities of the levels.
        """
        bias = take(self._visible_bias(), x.items)
        if q.ndim == 1:
            own = bias.gather(1, q.unsqueeze(1)).squeeze(1)
        else:
            own = (bias * q).sum(1)
        hidden = F.softplus(self.inputs(x, v, take(self.weight, x.items))).sum(1)
        return -self._by_user(x, own) - hidden

    def manual_gradient(self, buffers: dict) -> ContrastiveDivergence:
        return ContrastiveDivergence(self)

    # -- predicting ------------------------------------------------------------------

    def features(self, x: RatingBatch) -> Tensor:
        """p(h = 1 | v) of the users, or of each pair's user."""
        h = self.hidden(x)
        return h if x.pair_rows is None else h[x.pair_rows]

    def hidden(self, x: RatingBatch) -> Tensor:
        v = self.observed(x.codes)
        return torch.sigmoid(self.inputs(x, v, take(self.weight, x.items)))

    def pair_logits(self, x: RatingBatch) -> Tensor:
        """Of each pair's levels, the user's hidden units being at their means."""
        known = x.pair_items.clamp_min(0)
        W, n_rated = take(self.weight, known), self._n_rated(x)[x.pair_rows]
        if x.pair_codes is None:
            h, offsets = self.hidden(x)[x.pair_rows], self.offsets(x)[x.pair_rows]
        else:
            h, offsets = self._left_out(x, W)
            n_rated = n_rated - 1
        logits = self.logits(known, h, offsets, W)
        empty = (n_rated == 0).unsqueeze(1)
        logits = torch.where(empty, self.item_shares[known], logits)
        unknown = self._with_biases(logits.new_zeros(1, 1), offsets, self.prior)
        return torch.where((x.pair_items < 0).unsqueeze(1), unknown, logits)

    def _n_rated(self, x: RatingBatch) -> Tensor:
        return torch.bincount(x.rows, minlength=x.n_users)

    def _left_out(self, x: RatingBatch, W: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden units and offsets by all ratings of the user but the pair's own."""
        rows, v = x.pair_rows, self.observed(x.pair_codes)
        own = self.observed(x.codes)
        inputs = take(self.inputs(x, own, take(self.weight, x.items)), rows)
        inputs = inputs - (v.unsqueeze(2) * W).sum(1)
        if self.condition is not None:
            inputs = inputs - self.condition[x.pair_items]
        counts = self._n_rated(x)[rows] + self.shrinkage
        above = self.levels[x.pair_codes] - self.item_offsets[x.pair_items]
        sums = self.offsets(x)[rows] * counts - above
        return torch.sigmoid(inputs), sums / (counts - 1).clamp_min(1e-9)

    def complete(self, x: RatingBatch, levels: Tensor) -> Tensor:
        """The expected rating of every item by every user: (n_users, n_items)."""
        h, offsets, n_rated = self.hidden(x), self.offsets(x), self._n_rated(x)
        bias, W = self._visible_bias(), self.weight
        found = h.new_empty(len(h), len(bias), dtype=levels.dtype)
        for user in range(len(h)):
            logits = self.item_shares
            if n_rated[user]:
                logits = self._with_biases(W @ h[user], offsets[user], bias)
            found[user] = logits.to(levels.dtype).softmax(1) @ levels
        return found


class ContrastiveDivergence(ManualGradient):
    """Gradients of the free energy at the ratings less that at the end of the chains.

    Parameters
    ----------
    rbm : RatingsRBM
    """

    def __init__(self, rbm: RatingsRBM):
        self.rbm = rbm
        self.gradients: dict[str, Tensor] = {}
        for name, p in rbm.named_parameters():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
            self.gradients[name] = p.grad

    def __call__(self, x: RatingBatch, target: Any, weight: Tensor | None) -> Tensor:
        """Leave the gradients of a batch in the parameters and return its losses."""
        with torch.no_grad():
            losses, (v, p), (end, q), p_end = self.rbm.phases(x)
            both = end.unsqueeze(2) * take(p_end, x.rows).unsqueeze(1)
            both -= v.unsqueeze(2) * take(p, x.rows).unsqueeze(1)
            self._sum("weight", x.items, both.div_(x.n_users))
            q -= F.one_hot(x.codes, q.shape[1])
            self._sum("visible_bias", x.items, q.div_(x.n_users))
            change = (p_end - p).div_(x.n_users)
            self.gradients["hidden_bias"].copy_(change.sum(0))
            if self.rbm.condition is not None:
                self._sum("condition", x.items, take(change, x.rows))
        return losses.unsqueeze(0)

    def _sum(self, name: str, items: Tensor, values: Tensor) -> None:
        """The gradient of each item's numbers, from those of its ratings."""
        gradient = self.gradients[name].zero_()
        gradient.view(-1, *values.shape[1:]).index_add_(0, items, values)


def take(values: Tensor, rows: Tensor) -> Tensor:
    """``values[rows]``, in half its time."""
    return values.index_select(0, rows)


__all__ = ["ContrastiveDivergence", "RatingsRBM"]
