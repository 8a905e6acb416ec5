"""How probable rows are under a restricted Boltzmann machine; all in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sknets.boltzmann._machine import RBM

# Numbers computed at once: they stay in the cache.
_BLOCK = 2**16
# Products of at most this size leave room below the largest float64, exp(709).
_LARGEST_LOG = 300.0
# As many units are enumerated: a million states.
MOST_UNITS = 20


def parameters(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    """W, b and c in float64."""
    W, b, c = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    return W.detach().double(), b.detach().double(), c.detach().double()


def pseudo_likelihood(rbm: RBM, v: Tensor) -> Tensor:
    """``Σ_i log p(v_i | all others)`` of each row of binary units.

    For values between 0 and 1 the mean over units that are on so often. With
    ``s = p(h = 1 | v)`` the odds of a unit need no sum over the others again: moving
    ``v_i`` by d multiplies the unnormalised probability by ``Π_h (1 - s_h + s_h
    exp(d W_hi))``. Logarithms are taken of products of many factors.
    """
    W, b, c = parameters(rbm)
    v = v.double()
    rows = max(1, _BLOCK // v.shape[1])
    return torch.cat([_pseudo_likelihood(part, W, b, c) for part in v.split(rows)])


def _pseudo_likelihood(v: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    inputs = v @ W.t() + c
    on, off = torch.sigmoid(inputs), torch.sigmoid(-inputs)  # (B, H)
    rise, fall = W.exp(), W.neg().exp()  # (H, F)
    binary = bool(((v == 0) | (v == 1)).all())
    largest = max(float(W.abs().max()), 1e-9)
    group = max(1, int(_LARGEST_LOG / largest))
    # What Π_h becomes when a unit goes up and when it goes down, for binary units
    # from the other value, else from v to 1 and from v to 0.
    up, down = torch.zeros_like(v), torch.zeros_like(v)
    above, below = torch.ones_like(v), torch.ones_like(v)
    room = torch.empty_like(v)
    n_hidden = len(W)
    for h in range(n_hidden):
        s, q = on[:, h, None], off[:, h, None]
        if binary:
            above.mul_(torch.addcmul(q, s, rise[h], out=room))
            below.mul_(torch.addcmul(q, s, fall[h], out=room))
        else:
            without = torch.mul(v, W[h], out=room).neg_().exp_().mul_(s)
            below.mul_(without + q)
            above.mul_(without.mul_(rise[h]).add_(q))
        if (h + 1) % group == 0 or h + 1 == n_hidden:
            up.add_(above.log_())
            down.add_(below.log_())
            above.fill_(1)
            below.fill_(1)
    odds = b + (torch.where(v == 1, -down, up) if binary else up - down)
    return (v * F.logsigmoid(odds) + (1 - v) * F.logsigmoid(-odds)).sum(1)


def hyvarinen_score(rbm: RBM, v: Tensor) -> Tensor:
    """``-Σ_i (½ ψ_i² + ∂ψ_i/∂v_i)``, ψ the gradient of log p, for Gaussian units."""
    W, b, c = parameters(rbm)
    v = v.double()
    s = torch.sigmoid(v @ W.t() + c)
    gradient = b - v + s @ W
    curvature = (s * (1 - s)) @ W.square().sum(1) - v.shape[1]
    return -(gradient.square().sum(1) / 2 + curvature)


def log_partition_exact(rbm: RBM) -> float | None:
    """log Z by enumerating the smaller layer, None if both are too large."""
    W, b, c = parameters(rbm)
    n_hidden, n_visible = W.shape
    totals = []
    if n_hidden <= MOST_UNITS and (rbm.gaussian or n_hidden <= n_visible):
        for h in _states(n_hidden, W):
            field = h @ W
            if rbm.gaussian:
                spread = (field.square() / 2 + b * field).sum(1)
                spread += n_visible / 2 * math.log(2 * math.pi)
            else:
                spread = F.softplus(field + b).sum(1)
            totals.append(torch.logsumexp(h @ c + spread, 0))
    elif n_visible <= MOST_UNITS and not rbm.gaussian:
        for v in _states(n_visible, W):
            inner = F.softplus(v @ W.t() + c).sum(1)
            totals.append(torch.logsumexp(v @ b + inner, 0))
    return float(torch.logsumexp(torch.stack(totals), 0)) if totals else None


def _states(n_units: int, like: Tensor) -> Iterator[Tensor]:
    """All the states of binary units, block by block."""
    bits = torch.arange(n_units, device=like.device)
    for block in torch.arange(2**n_units, device=like.device).split(2**12):
        yield ((block[:, None] >> bits) & 1).to(like)


def anneal(
    rbm: RBM,
    n: int,
    betas: Tensor,
    generator: torch.Generator,
    labels: Tensor | None = None,
) -> tuple[Tensor, Tensor, float]:
    """Annealed importance sampling: visible units, log weights and log Z at the start.

    From the machine without hidden units, whose visible bias is ``rbm.base``, along
    ``p_β(v) ∝ exp(-(1-β) E_base(v)) exp(-β E_b(v)) Π_h (1 + exp(β (Wv + c)_h))``.
    Given ``labels`` of shape (n, n_labels) are but a bias of the hidden units.
    """
    W, b, c = parameters(rbm)
    if labels is not None:
        W, U = W.split([W.shape[1] - labels.shape[1], labels.shape[1]], 1)
        b, c = b[: W.shape[1]], c + labels.double() @ U.t()
    base = rbm.base.double()
    n_hidden, n_visible = W.shape

    def bias(beta):
        return base + beta * (b - base)

    def visible(mean):
        noise = torch.empty_like(mean)
        if rbm.gaussian:
            return noise.normal_(generator=generator).add_(mean)
        noise.uniform_(generator=generator)
        return (noise < mean.sigmoid_()).to(mean)

    if rbm.gaussian:
        log_z = n_visible / 2 * math.log(2 * math.pi)
    else:
        log_z = float(F.softplus(base).sum())
    log_z += n_hidden * math.log(2)
    v = visible(base.expand(n, -1).clone())
    log_weights = v.new_zeros(n)
    previous = 0.0
    for beta in betas.tolist():
        inputs = v @ W.t() + c
        gain = F.softplus(beta * inputs) - F.softplus(previous * inputs)
        log_weights += gain.sum(1)
        if rbm.gaussian:
            energies = [(v - bias(t)).square().sum(1) / 2 for t in (previous, beta)]
            log_weights += energies[0] - energies[1]
        else:
            log_weights += v @ (bias(beta) - bias(previous))
        p = torch.sigmoid(beta * inputs)
        h = (torch.empty_like(p).uniform_(generator=generator) < p).to(p)
        v = visible(bias(beta) + beta * (h @ W))
        previous = beta
    return v, log_weights, log_z


def log_partition_ais(
    rbm: RBM, n_chains: int, n_steps: int, generator: torch.Generator
) -> float:
    """log Z by annealed importance sampling."""
    betas = torch.linspace(0, 1, n_steps + 1, dtype=torch.float64)[1:]
    _, log_weights, log_z = anneal(rbm, n_chains, betas, generator)
    return log_z + float(torch.logsumexp(log_weights, 0)) - math.log(n_chains)
