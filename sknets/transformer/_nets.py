"""The network of this chapter: tokens that attend to one another."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._attention import EncoderBlock
from sknets._engine.containers import Ragged
from sknets._layers import Dropout, Standardize, TokenEmbedding


class TransformerNet(nn.Module):
    """Tokens, their positions, [CLS] before them, blocks, pooling, then the output."""

    def __init__(
        self,
        tokens: nn.Module,
        positions: nn.Module | None,
        width: int,
        n_outputs: int,
        n_heads: int,
        n_layers: int,
        hidden: int,
        dropout: float,
        pooling: str,
        per_step: bool,
        stem: nn.Module | None = None,
    ):
        super().__init__()
        self.stem, self.pooling = stem, pooling
        self.tokens, self.positions, self.per_step = tokens, positions, per_step
        self.cls = None
        if pooling == "cls" and not per_step:
            self.cls = nn.Parameter(_uniform(width))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, n_heads, hidden, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_outputs)
        # Near ViT's zero: the first steps do not have to undo a guess.
        with torch.no_grad():
            self.head.weight.mul_(0.1)
        nn.init.zeros_(self.head.bias)
        self.n_features = width

    def read(self, x: Any) -> Any:
        """What each token is made from: of long sequences several steps."""
        return x if self.stem is None else self.stem(x)

    def embed(self, x: Any) -> tuple[Tensor, Tensor | None]:
        """The tokens (B, T, d), [CLS] included, and which are real."""
        mask = None
        if isinstance(x, Ragged):
            x, mask = x.padded(), x.mask
        states = self.tokens(x)
        if self.positions is not None:
            states = self.positions(states)
        if self.cls is not None:
            first = self.cls.expand(len(states), 1, -1)
            states = torch.cat([first, states], 1)
            mask = mask if mask is None else F.pad(mask, (1, 0), value=True)
        return self.dropout(states), mask

    def states(self, x: Any) -> Tensor:  # -> (B, T, d); of [CLS] (B, 1, d)
        states, mask = self.embed(x)
        last = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            # Nobody looks at what the last block makes of the others.
            states = block(states, mask, i == last and self.cls is not None)
        return self.norm(states)

    def features(self, x: Any) -> Tensor:  # -> (B, d)
        x = self.read(x)
        states = self.states(x)
        if self.cls is not None:
            return states[:, 0]
        if self.pooling == "max":
            return x.max(states) if isinstance(x, Ragged) else states.amax(1)
        return x.mean(states) if isinstance(x, Ragged) else states.mean(1)

    def forward(self, x: Any) -> Any:  # -> (B, K), or of each step
        if not self.per_step:
            return self.head(self.features(x))
        return x.like(self.head(x.real(self.states(x))))

    def attention(self, x: Any) -> Tensor:  # -> (B, n_layers, n_heads, T, T)
        """Of samples of one length."""
        states, _ = self.embed(self.read(x))
        maps = []
        block: Any
        for block in self.blocks:
            maps.append(block.attention.weights(block.norm1(states)))
            states = block(states)
        return torch.stack(maps, 1)


class ColumnTokens(nn.Module):
    """A token for each column of a table [Gorishniy et al. 2021].

    A number scales a vector of its column, a category has a vector of its own, an
    unknown one none; to each the column's bias is added.
    """

    numeric: Tensor
    order: Tensor

    def __init__(
        self,
        width: int,
        standardize: Standardize,
        columns: list[int],
        cardinalities: list[int],
    ):
        super().__init__()
        n_columns = len(standardize.factor)
        numeric = [j for j in range(n_columns) if j not in set(columns)]
        order = torch.tensor([*numeric, *columns]).argsort()
        self.register_buffer("numeric", torch.tensor(numeric).long(), persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.standardize, self.columns = standardize, columns
        self.weight = nn.Parameter(_uniform(width, len(numeric)))
        self.bias = nn.Parameter(_uniform(width, n_columns))
        self.categories = nn.ModuleList(
            nn.Embedding(size, width, padding_idx=0) for size in cardinalities
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, F, d)
        x = self.standardize(x)
        if not self.columns:
            return torch.addcmul(self.bias, x[:, :, None], self.weight)
        numbers = x.index_select(1, self.numeric)[:, :, None] * self.weight
        vectors = [
            embed(x[:, column].long())[:, None]
            for column, embed in zip(self.columns, self.categories)
        ]
        tokens = torch.cat([numbers, *vectors], 1)
        return tokens.index_select(1, self.order) + self.bias


class ScaledEmbedding(TokenEmbedding):
    """Vectors times the root of their width [Vaswani et al. 2017].

    The positions that are added would drown them otherwise.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * math.sqrt(self.embedding.embedding_dim)


class PatchTokens(nn.Module):
    """A token for each patch of an image [Dosovitskiy et al. 2021].

    Where the patches do not fill the image it is continued, to the right and below, by
    its channels' means.
    """

    def __init__(
        self, n_channels: int, patch: tuple[int, int], width: int, standardize: Any
    ):
        super().__init__()
        self.standardize, self.patch = standardize, patch
        self.project = nn.Linear(n_channels * patch[0] * patch[1], width)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, N, d)
        x = self.standardize(x)
        high, wide = self.patch
        below, right = -x.shape[2] % high, -x.shape[3] % wide
        if below or right:
            x = F.pad(x, (0, right, 0, below))
        x = x.unflatten(3, (-1, wide)).unflatten(2, (-1, high))
        return self.project(x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))


class LearnedPositions(nn.Module):
    """Adds a learned vector for each position."""

    def __init__(self, width: int, length: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d)
        return x + self.table[: x.shape[1]]


def _uniform(width: int, *rows: int) -> Tensor:
    bound = 1 / math.sqrt(width)
    return torch.empty(*rows, width).uniform_(-bound, bound)


__all__ = [
    "ColumnTokens",
    "LearnedPositions",
    "PatchTokens",
    "ScaledEmbedding",
    "TransformerNet",
]
