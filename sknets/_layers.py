"""Blocks that several chapters build their networks from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place: neither a linear layer nor a normalisation needs its output afterwards.
    "relu": partial(nn.ReLU, inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Dropout(nn.Module):
    """Dropout whose noise comes from the estimator's own generator.

    torch's own draws from the global stream of the process: two fits in two threads
    would disturb each other.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = float(p)
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep)


class Standardize(nn.Module):
    """``(x - mean) / scale`` column by column, as the first layer of a net.

    Done per batch, so that raw tables work and no standardised copy of X is kept.
    The statistics are fitted attributes of the estimator, hence not saved twice.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, mean: np.ndarray, scale: np.ndarray):
        super().__init__()
        factor = torch.as_tensor(1 / np.asarray(scale, dtype=np.float64))
        shift = torch.as_tensor(np.asarray(mean, dtype=np.float64)) * -factor
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.factor)


class ColumnEmbedding(nn.Module):
    """Entity embeddings: a learned vector a category, beside the numeric columns.

    A category code of 0 means unknown and is the zero vector, which moves a row
    neither way.
    """

    numeric: Tensor

    def __init__(self, n_columns: int, columns: list[int], cardinalities: list[int]):
        super().__init__()
        numeric = [j for j in range(n_columns) if j not in set(columns)]
        self.columns = list(columns)
        positions = torch.tensor(numeric, dtype=torch.long)
        self.register_buffer("numeric", positions, persistent=False)
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, embedding_size(size), padding_idx=0)
            for size in cardinalities
        )
        widths = [embedding_size(size) for size in cardinalities]
        self.n_outputs = len(numeric) + sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        vectors = [
            embed(x[:, column].long())
            for column, embed in zip(self.columns, self.embeddings)
        ]
        return torch.cat([x.index_select(1, self.numeric), *vectors], dim=1)


def embedding_size(n_categories: int) -> int:
    """Half as many dimensions as categories, at most 50."""
    return min(50, (n_categories + 1) // 2)
