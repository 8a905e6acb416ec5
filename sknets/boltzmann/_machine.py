"""The restricted Boltzmann machine and how it learns: contrastive divergence.

Symbols follow Hinton [1]_: v visible units (B, F), h hidden units (B, H), weight W
(H, F), visible bias b (F,), hidden bias c (H,). Binary visible units have the energy
``-b·v - c·h - h·Wv``, Gaussian ones ``|v - b|²/2 - c·h - h·Wv``.

References
----------
.. [1] G. E. Hinton. A Practical Guide to Training Restricted Boltzmann Machines. 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.dense import ManualGradient
from sknets._layers import Standardize

PACE = 8.0


class RBM(nn.Module):
    """Two layers of units, each independent given the other.

    ``module(x)`` gives the reconstruction error of each sample. In training its
    gradient is that of contrastive divergence, so that autograd finds what
    `ContrastiveDivergence` derives by hand.

    Parameters
    ----------
    n_visible, n_hidden : int
    gaussian : bool
        Whether the visible units are Gaussian with unit variance.
    n_steps : int
        Gibbs steps of the negative phase.
    n_chains : int
        Chains that go on from step to step (persistent); 0 starts at the data.
    sparsity : (float, float) or None
        The mean activity that hidden units are drawn to, and how strongly.
    base : tensor of shape (n_visible,) or None
        The visible bias to begin with: that of a machine without hidden units.
    standardize : Standardize or None
        What turns X into visible units.
    spread : float
        Standard deviation of the first weights.
    """

    base: Tensor
    chains: Tensor

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        gaussian: bool = False,
        n_steps: int = 1,
        n_chains: int = 0,
        sparsity: tuple[float, float] | None = None,
        base: Tensor | None = None,
        standardize: Standardize | None = None,
        spread: float = 0.01,
    ):
        super().__init__()
        self.gaussian, self.n_steps, self.sparsity = gaussian, n_steps, sparsity
        self.persistent = n_chains > 0
        # The reconstruction of Gaussian units is linear in all the hidden ones, and
        # their inputs in it: what is a small step for one would diverge for all.
        self.pace = min(1.0, PACE / max(n_hidden, n_visible)) if gaussian else 1.0
        self.generator: torch.Generator | None = None
        self.prepare = standardize
        base = torch.zeros(n_visible) if base is None else base
        self.register_buffer("base", base, persistent=False)
        self.weight = nn.Parameter(torch.randn(n_hidden, n_visible) * spread)
        self.visible_bias = nn.Parameter(base.clone().to(self.weight))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        if self.persistent:
            self.register_buffer("chains", torch.zeros(n_chains, n_hidden))

    # -- the two conditional distributions -------------------------------------------

    def visible(self, x: Tensor) -> Tensor:
        """Visible units for rows of X."""
        return x if self.prepare is None else self.prepare(x)

    def data(self, v: Tensor) -> Tensor:
        """Rows of X for visible units."""
        return v if self.prepare is None else self.prepare.inverse(v)

    def hidden_mean(self, v: Tensor, out: Tensor | None = None) -> Tensor:
        """p(h = 1 | v)."""
        return torch.mm(v, self.weight.t(), out=out).add_(self.hidden_bias).sigmoid_()

    def visible_mean(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        """E[v | h]."""
        mean = torch.mm(h, self.weight, out=out).add_(self.visible_bias)
        return mean if self.gaussian else mean.sigmoid_()

    def draw_visible(self, mean: Tensor, out: Tensor | None = None, generator=None):
        """Visible units with these means."""
        if not self.gaussian:
            return draw(mean, out, generator or self.generator)
        out = torch.empty_like(mean) if out is None else out
        return out.normal_(generator=generator or self.generator).add_(mean)

    def draw_hidden(self, mean: Tensor, out: Tensor | None = None, generator=None):
        """Hidden units with these means."""
        return draw(mean, out, generator or self.generator)

    # -- energies --------------------------------------------------------------------

    def free_energy(self, v: Tensor) -> Tensor:
        """``-log Σ_h exp(-energy(v, h))`` of each row."""
        hidden = F.softplus(F.linear(v, self.weight, self.hidden_bias)).sum(1)
        if self.gaussian:
            return (v - self.visible_bias).square().sum(1) / 2 - hidden
        return -(v @ self.visible_bias) - hidden

    # -- learning --------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, H)
        return self.hidden_mean(self.visible(x))

    def loss(self, x: Tensor, y: Any = None) -> Tensor:  # (B, F) -> (B,)
        return self.losses(self.visible(x))

    def losses(self, v: Tensor) -> Tensor:
        """The reconstruction error of visible units; trains as the class says."""
        # Chances to draw from in 16 bits would be coarse.
        with torch.autocast(v.device.type, enabled=False):
            return self._losses(v.to(self.weight.dtype))

    def _losses(self, v: Tensor) -> Tensor:
        with torch.no_grad():
            p = self.hidden_mean(v)
            if not self.training:
                return squared_error(v, self.visible_mean(p))
            end, _ = self.negative_phase(p)
            losses = self.errors(v, p, end)
        at_end = self.free_energy(end)
        contrast = self.free_energy(v) - (at_end.mean() if self.persistent else at_end)
        if self.sparsity is not None:
            inputs = F.linear(v, self.weight, self.hidden_bias)
            contrast = contrast + inputs @ self.excess(p)
        return losses + (contrast - contrast.detach()) * self.pace

    def negative_phase(
        self, p: Tensor, room: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The visible units at the end of the Gibbs chains, and p(h = 1 | v) there.

        Chains start at hidden units drawn for the data, with means ``p``, or go on
        from where they were. The last visible units of a chain that is not kept are
        left as means, which halves the noise [1]_. Hidden state, visible units, means
        and noise are computed in ``room``, if given.
        """
        state, v, mean, noise = room or (None, None, None, None)
        h = self.chains if self.persistent else self.draw_hidden(p, state)
        for step in range(self.n_steps):
            if self.persistent or step < self.n_steps - 1:
                v = self.draw_visible(self.visible_mean(h, noise), v)
                mean = self.hidden_mean(v, mean)
                h = self.draw_hidden(mean, h)
            else:
                v = self.visible_mean(h, v)
                mean = self.hidden_mean(v, mean)
        return v, mean  # type: ignore[return-value]

    def errors(
        self, v: Tensor, p: Tensor, end: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """The reconstruction error of each row, for the learning curve.

        Where the negative phase does not give it by the way, an eighth of the rows
        stand for all: it would be a fifth of the products of a step.
        """
        if self.n_steps == 1 and not self.persistent:
            return squared_error(v, end, out)
        n = max(1, len(v) // 8)
        out = None if out is None else out[:n]
        errors = squared_error(v[:n], self.visible_mean(p[:n], out), out)
        return errors.mean().expand(len(v))

    def excess(self, p: Tensor) -> Tensor:
        """How far each hidden unit's mean activity is above its target, times cost."""
        target, cost = self.sparsity  # type: ignore[misc]
        return (p.mean(0) - target).mul_(cost)

    def manual_gradient(self, buffers: dict) -> ContrastiveDivergence:
        return ContrastiveDivergence(self, buffers)


class LabelledRBM(RBM):
    """A machine whose last visible units are labels, for p(v, y).

    One of ``n_labels`` units is on (softmax), or each on its own (``several``).
    """

    def __init__(
        self,
        n_visible: int,
        n_labels: int,
        several: bool,
        base: Tensor | None,
        **others: Any,
    ):
        base = torch.zeros(n_visible) if base is None else base
        base = torch.cat([base, base.new_zeros(n_labels)])
        super().__init__(len(base), base=base, **others)
        self.base = self.base[:n_visible]
        self.n_labels, self.several = n_labels, several

    def visible_mean(self, h: Tensor, out: Tensor | None = None) -> Tensor:
        mean = torch.mm(h, self.weight, out=out).add_(self.visible_bias)
        v, y = self.parts(mean)
        if not self.gaussian:
            v.sigmoid_()
        y.copy_(torch.sigmoid(y) if self.several else torch.softmax(y, 1))
        return mean

    def draw_visible(self, mean: Tensor, out: Tensor | None = None, generator=None):
        generator = generator or self.generator
        out = torch.empty_like(mean) if out is None else out
        v, y = self.parts(out)
        v_mean, y_mean = self.parts(mean)
        v.copy_(super().draw_visible(v_mean.contiguous(), generator=generator))
        if self.several:
            y.copy_(draw(y_mean.contiguous(), None, generator))
        else:
            chosen = torch.multinomial(y_mean, 1, generator=generator)
            y.zero_().scatter_(1, chosen, 1)
        return out

    def parts(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of the visible units proper, and those of the labels."""
        return units[:, : -self.n_labels], units[:, -self.n_labels :]


class ContrastiveDivergence(ManualGradient):
    """Gradients of the free energy at the data less that at the end of the chains.

    Both phases are one matrix product: their rows are stacked, the second with a
    negative sign.

    Parameters
    ----------
    rbm : RBM
    buffers : dict
        Memory by size of batch, which all epochs share.
    below : callable or None
        What turns X and its target into the visible units, for a machine on top of
        others.
    """

    def __init__(
        self,
        rbm: RBM,
        buffers: dict,
        below: Callable[[Tensor, Any], Tensor] | None = None,
    ):
        self.rbm, self.buffers = rbm, buffers
        self.below = below or (lambda x, target: rbm.visible(x))
        for p in (rbm.weight, rbm.visible_bias, rbm.hidden_bias):
            if p.grad is None:
                p.grad = torch.empty_like(p)

    def _buffer(self, n: int) -> tuple[Any, ...]:
        rbm = self.rbm
        n_hidden, n_visible = rbm.weight.shape
        key = n, n_hidden, n_visible
        if key not in self.buffers:
            n_chains = len(rbm.chains) if rbm.persistent else n
            new = rbm.weight.new_empty
            V, P = new(n + n_chains, n_visible), new(n + n_chains, n_hidden)
            noise = new(n, n_visible), new(n_chains, n_visible), new(n_chains, n_hidden)
            signs, scales = new(n + n_chains), new(n + n_chains).fill_(-rbm.pace / n)
            signs[:n], signs[n:] = -rbm.pace / n, rbm.pace / n_chains
            self.buffers[key] = V, P, noise, signs, scales
        return self.buffers[key]

    def __call__(self, x: Tensor, target: Any, weight: Tensor | None) -> Tensor:
        """Leave the gradients of a batch in the parameters and return its losses."""
        rbm, n = self.rbm, len(x)
        V, P, (guess, noise, state), signs, scales = self._buffer(n)
        with torch.no_grad():
            v = V[:n].copy_(self.below(x, target))
            p = rbm.hidden_mean(v, P[:n])
            room = state, V[n:], P[n:], noise
            end, p_end = rbm.negative_phase(p, room)
            losses = rbm.errors(v, p, end, guess)
            if rbm.sparsity is not None:
                p.sub_(rbm.excess(p))
            p_end.mul_(-n / len(p_end))
            if weight is not None:
                each = weight.unsqueeze(1)
                p.mul_(each)
                at_end = each.mean().expand(len(p_end), 1) if rbm.persistent else each
                p_end.mul_(at_end)
                signs = signs * torch.cat([each, at_end]).squeeze(1)
                losses = losses * weight
            W, b, c = rbm.weight.grad, rbm.visible_bias.grad, rbm.hidden_bias.grad
            torch.addmm(W, P.t(), V, beta=0, alpha=-rbm.pace / n, out=W)  # type: ignore[call-overload, arg-type]
            torch.mv(P.t(), scales, out=c)
            torch.mv(V.t(), signs, out=b)
        return losses.unsqueeze(0)


def draw(mean: Tensor, out: Tensor | None, generator: Any) -> Tensor:
    """Units that are 1 with these probabilities, else 0.

    Four units share a random number of 64 bits: a third of the time, and probabilities
    are off by 2⁻¹⁷ at most.
    """
    noise = torch.empty_like(mean) if out is None else out
    n = noise.numel()
    bits = torch.empty((n + 3) // 4, dtype=torch.int64, device=noise.device)
    bits.random_(-(2**63), None, generator=generator)
    noise.copy_(bits.view(torch.int16)[:n].view_as(noise))
    noise.mul_(2.0**-16).add_(0.5 + 2.0**-17)  # -2¹⁵ ... 2¹⁵-1 to between 0 and 1
    return torch.lt(noise, mean, out=noise)


def squared_error(v: Tensor, other: Tensor, out: Tensor | None = None) -> Tensor:
    """The mean squared difference of each row; ``out`` holds the differences."""
    error = torch.sub(v, other, out=out)
    return torch.linalg.vector_norm(error, dim=1).square_().div_(v.shape[1])


__all__ = ["RBM", "ContrastiveDivergence", "LabelledRBM"]
