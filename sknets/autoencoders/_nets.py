"""The networks of autoencoders: encoder, code, decoder, and what the code must be."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.dense import Backpropagation
from sknets._layers import ACTIVATIONS, Standardize, kept
from sknets._losses import LogisticLoss, SquaredError


class Corrupt(nn.Module):
    """Noise on the input, in training only: what a denoising autoencoder undoes.

    "gaussian" adds noise of standard deviation ``level``; "masking" sets a share
    ``level`` of the numbers to zero, which is the mean where X is standardised.
    """

    def __init__(self, kind: str, level: float):
        super().__init__()
        self.kind, self.level = kind, float(level)
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.level == 0:
            return x
        if self.kind == "gaussian":
            noise = torch.empty_like(x)
            return noise.normal_(0, self.level, generator=self.generator).add_(x)
        return x * kept(x, self.level, self.generator)


class TiedLinear(nn.Module):
    """A layer that multiplies by the transposed weights of another, with own biases."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self._layer = [layer]  # in a list, or its weights would be saved twice
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self._layer[0].weight.t(), self.bias)


def chain(sizes: tuple[int, ...], activation: str) -> list[nn.Module]:
    """Linear layers from size to size, activations between them, none at the end."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), ACTIVATIONS[activation]()]
    return layers[:-1]


class Autoencoder(nn.Module):
    """From rows to a code of few numbers and back, by linear layers.

    The output is in the units of the loss: standardised, or logits.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden: tuple[int, ...],
        n_components: int,
        activation: str,
        code_activation: str = "identity",
        standardize: Standardize | None = None,
        corrupt: nn.Module | None = None,
        tied: bool = False,
        sparsity: str | None = None,
        sparsity_weight: float = 0.0,
        sparsity_target: float = 0.05,
        contraction: float = 0.0,
        cross_entropy: bool = False,
    ):
        super().__init__()
        self.standardize = standardize
        self.criterion: Any = LogisticLoss() if cross_entropy else SquaredError()
        sizes = (n_inputs, *hidden, n_components)
        self.prepare = nn.Sequential(
            *[layer for layer in (standardize, corrupt) if layer is not None]
        )
        encoder = chain(sizes, activation)
        decoder = chain(sizes[::-1], activation)
        if tied:
            forwards = [layer for layer in encoder if isinstance(layer, nn.Linear)]
            decoder[::2] = [TiedLinear(layer) for layer in reversed(forwards)]
        self.encoder = nn.Sequential(*encoder, ACTIVATIONS[code_activation]())
        self.decoder = nn.Sequential(*decoder)
        self.tied, self.sparsity, self.contraction = tied, sparsity, contraction
        self.sparsity_weight, self.sparsity_target = sparsity_weight, sparsity_target

    def features(self, x: Tensor) -> Tensor:  # (B, F) -> (B, C)
        return self.encoder(self.prepare(x))

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, F), standardised
        return self.decoder(self.features(x))

    def loss(self, x: Tensor, y: Any = None) -> Tensor:  # (B, F) -> (B,)
        target = self.target(x)
        x = self.prepare(x)
        if not self.training or not (self.sparsity or self.contraction):
            return self.criterion.each(self.decoder(self.encoder(x)), target)
        with torch.enable_grad():  # its derivative is part of a contractive loss
            if self.contraction:
                x = x.detach().requires_grad_()
            code = self.encoder(x)
            penalty = self._sparsity(code)
            if self.contraction:
                penalty = penalty + self.contraction * _squared_jacobian(code, x)
        return self.criterion.each(self.decoder(code), target) + penalty

    def target(self, x: Tensor) -> Tensor:
        """What shall be restored."""
        return x if self.standardize is None else self.standardize(x)

    def _sparsity(self, code: Tensor) -> Tensor:  # (B, C) -> (B,)
        if self.sparsity == "l1":
            return self.sparsity_weight * code.abs().sum(1)
        if self.sparsity == "kl":
            # How far each unit's mean over the batch is from a rarely active one's.
            wanted = torch.full_like(code[0], self.sparsity_target)
            active = code.mean(0).clamp(1e-6, 1 - 1e-6)
            unlike = wanted * (wanted / active).log()
            unlike = unlike + (1 - wanted) * ((1 - wanted) / (1 - active)).log()
            return (self.sparsity_weight * unlike.sum()).expand(len(code))
        return code.new_zeros(len(code))

    def decode(self, code: Tensor) -> Tensor:
        """Standardised rows, or logits, of codes."""
        return self.decoder(code)

    def manual_gradient(self, buffers: dict) -> Backpropagation | None:
        """Backpropagation by hand, unless there are ties or penalties."""
        if self.tied or self.sparsity or self.contraction:
            return None

        def derivative(output: Tensor, x: Tensor, weight: Any) -> tuple[Tensor, Tensor]:
            return self.criterion.losses_and_gradient(output, self.target(x), weight)

        layers = [*self.encoder, *self.decoder]
        prepare = self.prepare if len(self.prepare) else None
        return Restoration.of(prepare, layers[::2], layers[1::2], derivative, buffers)


class Restoration(Backpropagation):
    """Backpropagation of a network whose target is its input."""

    def __call__(self, x: Tensor, target: Any, weight: Tensor | None) -> Tensor:
        return super().__call__(x, x, weight)


def _squared_jacobian(code: Tensor, x: Tensor) -> Tensor:
    """The squared Frobenius norm of each sample's d code / d x: (B, C), (B, F) -> (B,).

    All components at once: a backward pass whose gradients are batched.
    """
    n_samples, n_components = code.shape
    each = torch.eye(n_components, dtype=code.dtype, device=code.device)
    each = each.unsqueeze(1).expand(-1, n_samples, -1)
    (jacobian,) = torch.autograd.grad(
        code, x, each, is_grads_batched=True, create_graph=True
    )
    return jacobian.square().sum(tuple(i for i in range(jacobian.ndim) if i != 1))
