"""How good the outputs for a validation set are, batch by batch.

Each has the protocol of torchmetrics, ``update(output, y, weight)`` and ``compute()``,
so that no output is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sknets._engine.containers import Ragged


class Accuracy:
    """The share of samples told right (of several labels: all of them)."""

    def __init__(self, decode: Callable[[Tensor], Tensor]):
        self.decode, self.right, self.total = decode, 0.0, 0.0

    def update(self, output: Any, y: Any, weight: Any) -> None:
        output, y, weight = (_joined(each) for each in (output, y, weight))
        n = len(output)
        right = self.decode(output).reshape(n, -1) == y.reshape(n, -1)
        right = right.all(1).double()
        self.right += float(right.sum() if weight is None else right @ weight.double())
        self.total += float(n if weight is None else weight.sum())

    def compute(self) -> float:
        return self.right / self.total


class R2:
    """The coefficient of determination, a mean over outputs."""

    def __init__(self, decode: Callable[[Tensor], Tensor] = lambda output: output):
        self.decode = decode
        self.total: Any = 0.0
        self.sums: Any = 0.0
        self.squares: Any = 0.0
        self.error: Any = 0.0

    def update(self, output: Any, y: Any, weight: Any) -> None:
        output, y, weight = (_joined(each) for each in (output, y, weight))
        y, output = y.double(), self.decode(output.double())
        weight = y.new_ones(len(y)) if weight is None else weight.double()
        self.total += weight.sum()
        self.sums = self.sums + weight @ y
        self.squares = self.squares + weight @ y.square()
        self.error = self.error + weight @ (y - output).square()

    def compute(self) -> float:
        spread = self.squares - self.sums.square() / self.total
        # Of one row, or of equal ones, there is nothing to be told: as scikit-learn's.
        told = torch.where(spread > 1e-12 * self.squares, 1 - self.error / spread, 0.0)
        return float(torch.where(self.error == 0, 1.0, told).mean())


class KnownR2(R2):
    """R² of the targets that are known, those that are not NaN."""

    def update(self, output: Any, y: Any, weight: Any) -> None:
        known = ~y.isnan()
        super().update(output[known][:, None], y[known][:, None], None)


class Whole:
    """A figure that only all outputs together have, such as the area under a curve."""

    def __init__(self, score: Callable[[Tensor, Tensor], float]):
        self.score = score
        self.seen: list[tuple[Tensor, Tensor]] = []

    def update(self, output: Tensor, y: Tensor, weight: Any) -> None:
        self.seen.append((output.float().cpu(), y.cpu()))

    def compute(self) -> float:
        return self.score(*(torch.cat(each) for each in zip(*self.seen)))


def _joined(values: Any) -> Any:
    return values.join() if isinstance(values, Ragged) else values


__all__ = ["R2", "Accuracy", "KnownR2", "Whole"]
