"""Encoder and decoder of attention alone [Vaswani et al. 2017]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sknets._attention import EncoderBlock, SelfAttention, attend, sinusoids
from sknets._engine.containers import Ragged
from sknets._layers import Dropout
from sknets.sequence_to_sequence._memory import Glance, Memory


class Positions(nn.Module):
    """Adds the waves of each place, from ``first`` on, and drops some numbers."""

    def __init__(self, dropout: float):
        super().__init__()
        self.dropout = Dropout(dropout)
        self.table: Tensor | None = None

    def forward(self, x: Tensor, first: int = 0) -> Tensor:  # (B, T, d)
        end = first + x.shape[1]
        known = self.table
        if known is None or len(known) < end or known.device != x.device:
            # A power of two, so that it is hardly ever made anew.
            known = sinusoids(1 << max(6, end.bit_length()), x.shape[2]).to(x.device)
            self.table = known = known.float()
        return self.dropout(x + known[first:end].to(x.dtype))


class TransformerEncoder(nn.Module):
    def __init__(self, width: int, n_layers: int, n_heads: int, dropout: float):
        super().__init__()
        self.positions = Positions(dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, n_heads, 2 * width, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, batch: Ragged) -> Memory:  # x (B, S, d)
        x = self.positions(x)
        for block in self.blocks:
            x = block(x, batch.mask)
        return Memory.of(batch, self.norm(x))


class CausalAttention(SelfAttention):
    """Tokens that attend to themselves and to those before them."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        query, key, value = self._heads(x, False)
        found = attend(query, key, value, causal=True)
        return self.out(found.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, past: Any) -> tuple[Tensor, Any]:
        """The next token (B, 1, d), and the keys and values of all so far."""
        query, key, value = self._heads(x, False)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        found = attend(query, key, value)
        return self.out(found.transpose(1, 2).flatten(2)), (key, value)


class DecoderBlock(nn.Module):
    """Attention to what is written, to what was read, then a small net."""

    def __init__(self, width: int, n_heads: int, hidden: int, dropout: float):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = CausalAttention(width, n_heads)
        self.glance = Glance(width, n_heads)
        self.feedforward = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(hidden, width),
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, shelf: Any, told: Any = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norms[0](x)))
        return self._rest(x, shelf, told)

    def step(self, x: Tensor, past: Any, shelf: Any) -> tuple[Tensor, Any]:
        found, past = self.attention.step(self.norms[0](x), past)
        return self._rest(x + found, shelf), past

    def _rest(self, x: Tensor, shelf: Any, told: Any = None) -> Tensor:
        x = x + self.dropout(self.glance(self.norms[1](x), shelf, told))
        return x + self.dropout(self.feedforward(self.norms[2](x)))


class TransformerDecoder(nn.Module):
    def __init__(self, width: int, n_layers: int, n_heads: int, dropout: float):
        super().__init__()
        self.positions = Positions(dropout)
        self.blocks = nn.ModuleList(
            DecoderBlock(width, n_heads, 2 * width, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Memory, told: Any = None) -> Tensor:
        """(B, T, d) of (B, T, d): each token knows those before it.

        ``told``, a list, gets what each looks at in the memory, (B, T, S).
        """
        x = self.positions(x)
        block: Any
        last = self.blocks[-1]
        for block in self.blocks:
            x = block(x, block.glance.shelf(memory), told if block is last else None)
        return self.norm(x)

    def begin(self, memory: Memory) -> Any:
        """The cache before the first token."""
        blocks: Any = self.blocks
        shelves = [block.glance.shelf(memory) for block in blocks]
        return 0, [None] * len(blocks), shelves

    def step(self, x: Tensor, cache: Any) -> tuple[Tensor, Any]:  # (B, d) -> (B, d)
        place, pasts, shelves = cache
        x, kept = self.positions(x[:, None], place), []
        block: Any
        for block, past, shelf in zip(self.blocks, pasts, shelves):
            x, past = block.step(x, past, shelf)
            kept.append(past)
        return self.norm(x)[:, 0], (place + 1, kept, shelves)


__all__ = ["Positions", "TransformerDecoder", "TransformerEncoder"]
