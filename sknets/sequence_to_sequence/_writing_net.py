"""A network that writes: it reads something, and says it token by token."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Ragged
from sknets._inputs.text import EMPTY, UNKNOWN
from sknets._losses import smoothed_cross_entropy
from sknets.sequence_to_sequence._memory import Memory


class Embedding(nn.Embedding):
    """Vectors times the root of their width; they are the output layer's, too.

    That of an unknown token is zero: it says nothing, and is never written.
    """

    def __init__(self, n_tokens: int, width: int):
        super().__init__(n_tokens, width, padding_idx=UNKNOWN)
        with torch.no_grad():
            self.weight.mul_(width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) * math.sqrt(self.embedding_dim)


class WritingNet(nn.Module):
    """``module(x)`` is what was read, ``module.step`` writes on.

    Parameters
    ----------
    read : callable
        ``read(x)`` gives a `Memory`; if it is a module it is trained.
    decoder : nn.Module
        ``decoder(vectors, memory)``, ``begin(memory)`` and ``step(vectors, cache)``.
    tokens : Embedding
    smoothing : float
        The share of a token's weight that all tokens have in equal parts.
    unit : float
        By which the sum of a text's losses is divided: so many tokens a text has.
    """

    def __init__(
        self,
        read: Callable[[Any], Memory],
        decoder: Any,
        tokens: Embedding,
        smoothing: float,
        unit: float,
    ):
        super().__init__()
        self.read, self.decoder, self.tokens = read, decoder, tokens
        self.bias = nn.Parameter(torch.zeros(tokens.num_embeddings))
        self.smoothing, self.unit = smoothing, unit

    def forward(self, x: Any) -> Memory:
        return self.read(x)

    def loss(self, x: Any, y: Ragged) -> Tensor:  # (B,)
        tokens = y.padded()[..., 0].long()  # between marks of the beginning and the end
        states = self.decoder(self.tokens(tokens[:, :-1]), self.read(x))
        place = (tokens[:, 1:] != UNKNOWN).flatten().nonzero().flatten()
        states = states.flatten(0, 1).index_select(0, place)
        wish = tokens[:, 1:].flatten().index_select(0, place)
        losses = smoothed_cross_entropy(
            states, self.tokens.weight, self.bias, wish, self.smoothing
        )
        text = torch.div(place, tokens.shape[1] - 1, rounding_mode="floor")
        return losses.new_zeros(len(y)).index_add(0, text, losses) / self.unit

    def begin(self, memory: Memory) -> tuple[Any, Tensor]:
        """The cache, and the mark that begins each text."""
        first = torch.full((len(memory.states),), EMPTY, device=memory.states.device)
        return self.decoder.begin(memory), first

    def step(self, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
        states, cache = self.decoder.step(self.tokens(tokens), cache)
        return F.linear(states, self.tokens.weight, self.bias), cache

    def attention(self, x: Any, y: Ragged) -> Tensor:
        """(B, T, S): what each token of a text is written by."""
        told: list[Tensor] = []
        tokens = y.padded()[..., 0].long()[:, :-1]
        self.decoder(self.tokens(tokens), self.read(x), told)
        return told[0]


__all__ = ["Embedding", "WritingNet"]
