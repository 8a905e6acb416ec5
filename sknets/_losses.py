"""The losses that tasks train by, each with its derivative written out.

``loss(output, target, weight)`` is the mean of a batch, ``loss.each(output, target)`` a
loss a sample; ``losses_and_gradient`` takes and gives a column a sample, for training
without autograd.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._engine.device import scalar


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


class OfSteps(nn.Module):
    """A loss for each step of sequences: output, target and weight are `Ragged`."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, output: Ragged, target: Ragged, weight: Ragged | None = None):
        weight_of_steps = None if weight is None else weight.join()
        return self.loss(output.join(), target.join(), weight_of_steps)


__all__ = ["CrossEntropy", "LogisticLoss", "OfSteps", "SquaredError"]
