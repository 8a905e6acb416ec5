"""Blocks of attention: heads, blocks of an encoder and of a decoder, positions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._layers import Dropout

_MOST = 512  # keys whose scores are held


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """``softmax(Q K^T / sqrt(d)) V`` of (B, n_heads, T, d) and (B, n_heads, S, d).

    A mask (B, 1, 1, S) tells the real keys; ``causal`` hides what is to come. The
    scores of all queries are never held, except where torch's derivatives in bfloat16
    take eight times as long on a CPU.
    """
    held = query.requires_grad and query.dtype == torch.bfloat16
    if not held or query.device.type != "cpu" or key.shape[2] > _MOST:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal
        )
    shape = query.shape
    query, key, value = (each.flatten(0, 1) for each in (query, key, value))
    if causal:
        mask = torch.ones(shape[2], key.shape[1], dtype=torch.bool).tril()
    bias = query.new_zeros(1)
    if mask is not None:
        bias = query.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
        bias = bias.expand(*shape[:3], key.shape[1]).flatten(0, 1)
    scores = torch.baddbmm(bias, query, key.mT, alpha=shape[3] ** -0.5)
    return (scores.softmax(2) @ value).view(shape)


class SelfAttention(nn.Module):
    """``softmax(Q K^T / sqrt(d)) V`` in several heads [Vaswani et al. 2017].

    A mask (B, T) tells the real tokens, None that all are. ``first_only`` asks for the
    first token's row alone.
    """

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.projections = nn.Linear(width, 3 * width)  # of queries, keys, values
        self.out = nn.Linear(width, width)
        self.n_heads = n_heads

    def forward(
        self, x: Tensor, mask: Tensor | None, first_only: bool = False
    ) -> Tensor:  # (B, T, d) -> (B, T or 1, d)
        query, key, value = self._heads(x, first_only)
        mask = None if mask is None else mask[:, None, None, :]
        found = attend(query, key, value, mask)
        return self.out(found.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor) -> Tensor:  # (B, T, d) -> (B, n_heads, T, T)
        query, key, _ = self._heads(x, False)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        return scores.softmax(3)

    def _heads(self, x: Tensor, first_only: bool) -> list[Tensor]:
        """Queries, keys and values, each (B, n_heads, T, d / n_heads)."""
        if first_only:
            width, w, b = x.shape[2], self.projections.weight, self.projections.bias
            queries = F.linear(x[:, :1], w[:width], b[:width])
            keys, values = F.linear(x, w[width:], b[width:]).chunk(2, 2)
        else:
            queries, keys, values = self.projections(x).chunk(3, 2)
        return [
            each.unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for each in (queries, keys, values)
        ]


class EncoderBlock(nn.Module):
    """Attention, then a small net for each token; each normalised first and added."""

    def __init__(self, width: int, n_heads: int, hidden: int, dropout: float):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, n_heads)
        self.feedforward = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(hidden, width),
        )
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, first_only: bool = False
    ) -> Tensor:  # (B, T, d) -> (B, T or 1, d)
        found = self.attention(self.norm1(x), mask, first_only)
        x = (x[:, :1] if first_only else x) + self.dropout(found)
        return x + self.dropout(self.feedforward(self.norm2(x)))


class SinusoidalPositions(nn.Module):
    """Adds waves of many lengths; along two axes half of the numbers for each."""

    table: Tensor

    def __init__(self, width: int, *lengths: int):
        super().__init__()
        self.grid = len(lengths) > 1
        if self.grid:
            rows = sinusoids(lengths[0], width - width // 2)[:, None]
            columns = sinusoids(lengths[1], width // 2)
            shape = (*lengths, -1)
            table = torch.cat([rows.expand(shape), columns.expand(shape)], 2)
            table = table.flatten(0, 1)
        else:
            table = sinusoids(lengths[0], width)
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, d)
        if x.shape[1] > len(self.table):  # longer than any of fit
            return x + sinusoids(x.shape[1], x.shape[2]).to(x.device, x.dtype)
        return x + self.table[: x.shape[1]]


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): sine and cosine in turns, of wavelengths from 2 pi on."""
    numbers = torch.arange(width, dtype=torch.float64)
    rates = 10_000.0 ** (-(numbers // 2) * 2 / width)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.where(numbers % 2 == 0, angles.sin(), angles.cos())


__all__ = [
    "EncoderBlock",
    "SelfAttention",
    "SinusoidalPositions",
    "attend",
    "sinusoids",
]
