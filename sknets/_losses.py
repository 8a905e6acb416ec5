"""The losses that tasks train by, each with its derivative written out.

``loss(output, target, weight)`` is the mean of a batch, ``loss.each(output, target)`` a
loss a sample; ``losses_and_gradient`` takes and gives a column a sample, for training
without autograd.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._engine.device import scalar


def losses_of_members(each: Any, outputs: Tensor, y: Tensor) -> Tensor:
    """What each of several nets loses by each sample: outputs (B, M, ...) -> (B, M)."""
    losses = each(outputs.flatten(0, 1), y.repeat_interleave(outputs.shape[1], 0))
    return losses.unflatten(0, outputs.shape[:2])


class CrossEntropy(nn.Module):
    """Softmax cross-entropy; output (B, C), target (B,) of class numbers."""

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        if weight is None:
            return F.cross_entropy(output, target)
        return (self.each(output, target) * weight).mean()

    def each(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target, reduction="none")

    def losses_and_gradient(self, output, target, weight=None):
        """Each sample's loss, and the softmax less one at the class; output (C, B)."""
        log_p, target = torch.log_softmax(output, 0), target.unsqueeze(0)
        losses = log_p.gather(0, target).neg_()  # (1, B)
        error = log_p.exp_().scatter_(0, target, -1.0, reduce="add")
        if weight is not None:
            losses, error = losses.mul_(weight), error.mul_(weight)
        return losses, error.mul_(scalar(1 / output.shape[1], output.dtype))


class _SmoothedCrossEntropy(torch.autograd.Function):
    """The gradient of logits is made with the losses, in the logits' own memory.

    Products are of the dtype ``kind``, all else is of the weights'.
    """

    rows = 256  # at a time: they stay in the cache

    @staticmethod
    def forward(ctx, states, weight, bias, target, smoothing, kind):  # type: ignore[override]
        n, n_classes = len(states), len(weight)
        low = weight.to(kind)
        gradient = states.to(kind) @ low.t()
        losses = torch.empty(n, dtype=weight.dtype, device=weight.device)
        for start in range(0, n, _SmoothedCrossEntropy.rows):
            rows = slice(start, start + _SmoothedCrossEntropy.rows)
            part, own = gradient[rows].to(weight.dtype), target[rows, None]
            part += bias
            part -= part.amax(1, keepdim=True)
            wished = (1 - smoothing) * part.gather(1, own)[:, 0]
            wished += smoothing * part.mean(1)
            total = part.exp_().sum(1, keepdim=True)
            losses[rows] = total.log()[:, 0] - wished
            part.div_(total).sub_(smoothing / n_classes)
            part.scatter_add_(1, own, part.new_full(own.shape, smoothing - 1))
            if kind != weight.dtype:
                gradient[rows] = part
        ctx.save_for_backward(states, low, gradient)
        ctx.dtype = weight.dtype
        return losses

    @staticmethod
    def backward(ctx, grad):  # type: ignore[override]
        states, low, gradient = ctx.saved_tensors
        column, kind, dtype = grad[:, None], low.dtype, ctx.dtype
        of_weight = gradient.t() @ (states * column).to(kind)
        of_states = (gradient @ low).to(dtype) * column
        of_bias = grad.to(kind) @ gradient
        return of_states, of_weight.to(dtype), of_bias.to(dtype), None, None, None


def smoothed_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
) -> Tensor:
    """(N,): cross-entropy of the logits ``states @ weight.T + bias``, (N, C).

    Of many classes in a fraction of the memory and time of logits that are given:
    ``smoothing`` is the share of a target's probability that all classes have in equal
    parts [Szegedy et al. 2016].
    """
    device, kind = states.device.type, weight.dtype
    if torch.is_autocast_enabled(device):
        kind = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        states = states.to(weight.dtype)
        return _SmoothedCrossEntropy.apply(
            states, weight, bias, target, smoothing, kind
        )


class CrossEntropies(nn.Module):
    """Several softmaxes side by side, the sum of their cross-entropies.

    Minus the log-likelihood of all labels of a sample: a penalty weighs as much as
    beside one softmax. Output (B, C) in blocks of these sizes, target (B, K) of class
    numbers.
    """

    def __init__(self, sizes: list[int]):
        super().__init__()
        self.sizes, self.one = sizes, CrossEntropy()

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        each = self.each(output, target)
        return (each if weight is None else each * weight).mean()

    def each(self, output: Tensor, target: Tensor) -> Tensor:
        blocks = zip(output.split(self.sizes, 1), target.t())
        return torch.stack([self.one.each(*both) for both in blocks]).sum(0)

    def losses_and_gradient(self, output, target, weight=None):
        """Each sample's loss, and each softmax less one at its class; output (C, B)."""
        blocks = zip(output.split(self.sizes), target.t())
        parts = [self.one.losses_and_gradient(*both, weight) for both in blocks]
        losses, errors = (torch.cat(each) for each in zip(*parts))
        return losses.sum(0, keepdim=True), errors  # (1, B), (C, B)


class LogisticLoss(nn.Module):
    """Binary cross-entropy of logits, a mean over labels; output and target (B, L)."""

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        if weight is not None:
            weight = weight[:, None]
        return F.binary_cross_entropy_with_logits(output, target, weight)

    def each(self, output: Tensor, target: Tensor) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        return losses.mean(1)

    def losses_and_gradient(self, output, target, weight=None):
        """Each label's loss, and its probability less itself; output (L, B)."""
        target = target.t()
        losses = F.binary_cross_entropy_with_logits(
            output, target, weight, reduction="none"
        )
        error = torch.sigmoid(output).sub_(target)
        if weight is not None:
            error.mul_(weight)
        return losses, error.mul_(scalar(1 / output.numel(), output.dtype))


class SquaredError(nn.Module):
    """Mean squared error over outputs; output and target (B, T)."""

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        if weight is None:
            return F.mse_loss(output, target)
        return (self.each(output, target) * weight).mean()

    def each(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean(1)

    def losses_and_gradient(self, output, target, weight=None):
        """Each output's squared error, and twice the error; output (T, B)."""
        error = output - target.t()
        losses = error.square()
        if weight is not None:
            losses, error = losses.mul_(weight), error.mul_(weight)
        return losses, error.mul_(scalar(2 / output.numel(), output.dtype))


class _OfNumbers(nn.Module):
    """A loss of numbers, a mean over outputs; output and target (B, T).

    A subclass gives ``losses`` and their derivatives by the output, ``slopes``, number
    by number.
    """

    def losses(self, output: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def slopes(self, output: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        each = self.each(output, target)
        return (each if weight is None else each * weight).mean()

    def each(self, output: Tensor, target: Tensor) -> Tensor:
        return self.losses(output, target).mean(1)

    def losses_and_gradient(self, output, target, weight=None):
        """Each output's loss, and its slope; output (T, B)."""
        target = target.t()
        losses, error = self.losses(output, target), self.slopes(output, target)
        if weight is not None:
            losses, error = losses.mul_(weight), error.mul_(weight)
        return losses, error.mul_(scalar(1 / output.numel(), output.dtype))


class PinballLoss(_OfNumbers):
    """What a quantile minimises: q of what is above it, 1 - q of what is below."""

    def __init__(self, q: float):
        super().__init__()
        self.q = q

    def losses(self, output: Tensor, target: Tensor) -> Tensor:
        error = target - output
        return torch.maximum(self.q * error, (self.q - 1) * error)

    def slopes(self, output: Tensor, target: Tensor) -> Tensor:
        above = (target > output).to(output.dtype)
        return (target < output).to(output.dtype) * (1 - self.q) - above * self.q


class AbsoluteError(_OfNumbers):
    """Mean absolute error, which the median minimises."""

    def losses(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs()

    def slopes(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).sign()


class HuberLoss(_OfNumbers):
    """Half the square of errors up to ``most``, a line beyond."""

    def __init__(self, most: float = 1.35):
        super().__init__()
        self.most = most

    def losses(self, output: Tensor, target: Tensor) -> Tensor:
        error = (output - target).abs()
        near = error.clamp(max=self.most)
        return near * (error - near / 2)

    def slopes(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).clamp(-self.most, self.most)


class PoissonLoss(_OfNumbers):
    """Minus the log-likelihood of counts; output is the logarithm of their mean."""

    def losses(self, output: Tensor, target: Tensor) -> Tensor:
        return output.exp() - target * output

    def slopes(self, output: Tensor, target: Tensor) -> Tensor:
        return output.exp() - target


class KnownSquaredError(nn.Module):
    """Mean squared error of the targets that are known, those that are not NaN."""

    def forward(self, output: Tensor, target: Tensor, weight: Tensor | None = None):
        known = ~target.isnan()
        error = (output - target.nan_to_num()).square() * known
        return error.sum() / known.sum()


class OfSteps(nn.Module):
    """A loss for each step of sequences: output, target and weight are `Ragged`."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, output: Ragged, target: Ragged, weight: Ragged | None = None):
        weight_of_steps = None if weight is None else weight.join()
        return self.loss(output.join(), target.join(), weight_of_steps)


__all__ = [
    "AbsoluteError",
    "CrossEntropies",
    "CrossEntropy",
    "HuberLoss",
    "KnownSquaredError",
    "LogisticLoss",
    "OfSteps",
    "PinballLoss",
    "PoissonLoss",
    "SquaredError",
    "smoothed_cross_entropy",
]
