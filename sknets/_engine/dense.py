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

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

aten = torch.ops.aten

# Activation, and the error before it from the error after it and its own output.
FORWARD: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.Tanh: torch.tanh_,
    nn.Sigmoid: torch.sigmoid_,
    nn.Identity: lambda z: z,
}
BACKWARD: dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]] = {
    nn.ReLU: lambda error, a: aten.threshold_backward(error, a, 0),
    nn.Tanh: aten.tanh_backward,
    nn.Sigmoid: aten.sigmoid_backward,
    nn.Identity: lambda error, a: error,
}


class Backpropagation:
    """Loss and gradients of one batch, without autograd.

    Parameters
    ----------
    prepare : nn.Module or None
        What has no parameters and comes before the first layer (`Standardize`).
    layers : list of nn.Linear
    activations : list of nn.Module
        One less than layers: the output is linear.
    loss : callable
        ``loss(output, target, weight)`` gives the loss and its gradient by the output.
    """

    def __init__(
        self,
        prepare: nn.Module | None,
        layers: list[nn.Linear],
        activations: list[nn.Module],
        loss: Callable[[Tensor, Any, Tensor | None], tuple[Tensor, Tensor]],
    ):
        self.prepare, self.loss = prepare, loss
        self.layers = layers
        self.weights = [layer.weight.detach() for layer in layers]
        self.transposed = [weight.t() for weight in self.weights]
        self.biases = [layer.bias.detach() for layer in layers]
        self.forwards = [FORWARD[type(activation)] for activation in activations]
        self.backwards = [BACKWARD[type(activation)] for activation in activations]
        for layer in layers:
            layer.weight.grad = torch.empty_like(layer.weight)
            layer.bias.grad = torch.empty_like(layer.bias)

    def __call__(self, x: Tensor, target: Any, weight: Tensor | None) -> Tensor:
        """Leave the gradients of a batch in the parameters and return its loss."""
        with torch.inference_mode():
            a = x if self.prepare is None else self.prepare(x)
            activations = [a]
            for W, b, activate in zip(self.transposed, self.biases, self.forwards):
                a = activate(torch.addmm(b, a, W))  # (B, out)
                activations.append(a)
            output = torch.addmm(self.biases[-1], a, self.transposed[-1])

            loss, error = self.loss(output, target, weight)
            for layer in range(len(self.layers) - 1, -1, -1):
                linear, a = self.layers[layer], activations[layer]
                torch.mm(error.t(), a, out=linear.weight.grad)  # (out, in)
                torch.sum(error, 0, out=linear.bias.grad)
                if layer:
                    error = error.mm(self.weights[layer])  # (B, in)
                    error = self.backwards[layer - 1](error, a)
            return loss


def backpropagation_for(module: nn.Module, criterion: nn.Module) -> Any:
    """Return the `Backpropagation` of a net, None if it is more than plain and dense.

    A module that may be plain has ``plain_layers()``, giving what comes before the
    first layer, the layers and the activations, or None; a criterion with known
    derivative has ``value_and_gradient``.
    """
    plain = getattr(module, "plain_layers", lambda: None)()
    derivative = getattr(criterion, "value_and_gradient", None)
    if plain is None or derivative is None:
        return None
    prepare, layers, activations = plain
    if any(type(activation) not in FORWARD for activation in activations):
        return None
    if not all(p.requires_grad for p in module.parameters()):
        return None
    return Backpropagation(prepare, layers, activations, derivative)
