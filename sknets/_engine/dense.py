"""Backpropagation by hand, for plain dense networks: to be read, and twice as fast.

The algorithm of Rumelhart, Hinton and Williams [1]_: a forward pass that keeps each
layer's activations, then the error of the output passed back from layer to layer. It
takes the place of `module(x)`, the loss and `loss.backward()` in a training step;
the optimiser, the history and the callbacks see the same gradients.

References
----------
.. [1] D. E. Rumelhart, G. E. Hinton, R. J. Williams. Learning representations by
   back-propagating errors. Nature 323, 1986.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from sknets._engine.data import Batch, Batches

aten = torch.ops.aten
_relu_backward = aten.threshold_backward.grad_input
_tanh_backward = aten.tanh_backward.grad_input
_sigmoid_backward = aten.sigmoid_backward.grad_input

# Activation, and the error before it from the error after it and its own output; both
# in place, so that a step takes little new memory.
FORWARD: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.Tanh: torch.tanh_,
    nn.Sigmoid: torch.sigmoid_,
    nn.Identity: lambda z: z,
}
BACKWARD: dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]] = {
    nn.ReLU: lambda error, a: _relu_backward(error, a, 0, grad_input=error),
    nn.Tanh: lambda error, a: _tanh_backward(error, a, grad_input=error),
    nn.Sigmoid: lambda error, a: _sigmoid_backward(error, a, grad_input=error),
    nn.Identity: lambda error, a: error,
}


class ManualGradient:
    """Losses and gradients of a batch that a network derives itself, without autograd.

    Called with ``(x, target, weight)`` it leaves the gradients in the parameters and
    returns the losses, with a column a sample; the losses' mean is that of the batch.
    """

    def __call__(self, x: Any, target: Any, weight: Tensor | None) -> Tensor:
        raise NotImplementedError

    def epoch(
        self, batches: Batches, step: Callable[[Batch], Tensor], watched: bool
    ) -> list[float]:
        """Go through the batches once and return the loss of each.

        ``step(batch)`` calls this for a batch, follows the gradients and returns the
        losses. If it shows them to others (``watched``), these get ordinary tensors,
        not those of inference mode.
        """
        losses = []
        with contextlib.nullcontext() if watched else torch.inference_mode():
            for batch in batches:
                terms = step(batch)  # (out, B) or (1, B)
                losses.append(terms if terms.shape[0] == 1 else terms.mean(0, True))
        # All at once: a mean a batch would be a tenth of a small net's step.
        rows = torch.cat(losses, 1)[0].cpu().double().numpy()
        return (np.add.reduceat(rows, batches.starts) / batches.sizes).tolist()


class Backpropagation(ManualGradient):
    """Losses and gradients of one batch, without autograd.

    Parameters
    ----------
    prepare : nn.Module or None
        What has no parameters and comes before the first layer (`Standardize`).
    layers : list of nn.Linear
    activations : list of nn.Module
        One less than layers: the output is linear.
    loss : callable
        ``loss(output, target, weight)`` gives the losses whose mean is the loss of the
        batch, and the gradient of that mean by the output; each has a column a sample.
    buffers : dict
        Memory by size of batch, which all epochs share.
    """

    def __init__(
        self,
        prepare: nn.Module | None,
        layers: list[nn.Linear],
        activations: list[nn.Module],
        loss: Callable[[Tensor, Any, Tensor | None], tuple[Tensor, Tensor]],
        buffers: dict[int, tuple],
    ):
        self.prepare, self.loss, self.buffers = prepare, loss, buffers
        parameters = [(layer.weight, layer.bias) for layer in layers]
        for p in itertools.chain(*parameters):
            if p.grad is None:
                p.grad = torch.empty_like(p)
        self.weights = [W.detach() for W, _ in parameters]  # (out, in)
        self.transposed = [W.t() for W in self.weights]  # (in, out)
        self.biases = [b.detach() for _, b in parameters]  # (out,)
        self.gradients = [(W.grad, b.grad) for W, b in parameters]
        self.forwards = [FORWARD[type(f)] for f in activations]
        self.backwards = [BACKWARD[type(f)] for f in activations]

    @classmethod
    def of(
        cls,
        prepare: nn.Module | None,
        layers: list[nn.Linear],
        activations: list[nn.Module],
        *others: Any,
    ) -> Self | None:
        """One of these, None if an activation is unknown or a layer is frozen."""
        if any(type(activation) not in FORWARD for activation in activations):
            return None
        parameters = (p for layer in layers for p in (layer.weight, layer.bias))
        if not all(p.requires_grad for p in parameters):
            return None
        return cls(prepare, layers, activations, *others)

    def _buffer(self, n: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Memory for n samples: the same at every step, so that it is in the cache."""
        if n not in self.buffers:
            hidden = [b.new_empty(n, len(b)) for b in self.biases[:-1]]
            errors = [torch.empty_like(a) for a in hidden]
            self.buffers[n] = self.biases[0].new_ones(n), hidden, errors
        return self.buffers[n]

    def __call__(self, x: Tensor, target: Any, weight: Tensor | None) -> Tensor:
        """Leave the gradients of a batch in the parameters and return its losses."""
        # Products and sums as BLAS does them: `addmm` would first copy the bias into
        # every row, `sum` is slower than to multiply by ones.
        a = x if self.prepare is None else self.prepare(x)  # a row a sample: (B, in)
        ones, hidden, errors = self._buffer(a.shape[0])
        inputs = [a]
        for W, b, activate, out in zip(
            self.transposed, self.biases, self.forwards, hidden
        ):
            a = activate(torch.mm(a, W, out=out).add_(b))  # (B, out)
            inputs.append(a)
        # The output has a column a sample: a softmax over few rows is far faster.
        output = self.weights[-1].mm(a.t()).add_(self.biases[-1].unsqueeze(1))

        losses, error = self.loss(output, target, weight)  # (out, B)
        for layer in range(len(inputs) - 1, -1, -1):
            a, (dW, db) = inputs[layer], self.gradients[layer]
            torch.mm(error, a, out=dW)  # (out, in)
            torch.mv(error, ones, out=db)  # (out,)
            if layer:
                W, out = self.weights[layer], errors[layer - 1]
                passed = torch.mm(error.t(), W, out=out)  # (B, in)
                error = self.backwards[layer - 1](passed, a).t()
        return losses


def derived_by_hand(
    module: nn.Module, criterion: nn.Module, buffers: dict[int, tuple]
) -> ManualGradient | None:
    """Return what takes the place of autograd for a net, None if nothing does.

    A module may bring it along: ``manual_gradient(buffers)``. Else `Backpropagation`
    serves a module that has ``plain_layers()``, giving what comes before the first
    layer, the layers and the activations (or None, if it is more than plain and dense),
    beside a criterion with known derivative, ``losses_and_gradient``.
    """
    own = getattr(module, "manual_gradient", None)
    if own is not None:
        return own(buffers)
    plain = getattr(module, "plain_layers", lambda: None)()
    derivative = getattr(criterion, "losses_and_gradient", None)
    if plain is None or derivative is None:
        return None
    return Backpropagation.of(*plain, derivative, buffers)
