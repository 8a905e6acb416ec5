"""Networks that tell the next token: GPT-2, and cells that read step by step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._attention import attend
from sknets._cells import CELLS
from sknets._engine.containers import Ragged
from sknets._layers import Dropout
from sknets._losses import smoothed_cross_entropy

# So many steps of cells are computed at once where texts are scored.
_STEPS = 256
# Numbers in a table of log-probabilities; of 50,000 tokens it would not fit otherwise.
_LOGITS = 2**23


def with_ends(x: Ragged, boundary: int, both: bool = True) -> Ragged:
    """Texts with the boundary before each of them, and after it; (B, T, 1)."""
    tokens, counts = x.join().cpu(), x.counts
    empty = (counts == 1) & (tokens[x.starts, 0] == boundary)
    lengths = torch.where(empty, 0, counts) + 1 + both
    ends = lengths.cumsum(0)
    inner = torch.ones(int(ends[-1]), dtype=torch.bool)
    inner[ends - lengths] = False
    if both:
        inner[ends - 1] = False
    found = tokens.new_full((len(inner), 1), boundary)
    found[inner] = tokens[~empty.repeat_interleave(counts)]
    return Ragged(found, lengths, whole=True, listed=True)


def pieces(x: Ragged, size: int) -> Ragged:
    """Texts cut after each ``size`` predictions; a piece begins where one ended."""
    n = (x.counts - 2 + size) // size
    owner = torch.arange(len(n)).repeat_interleave(n)
    number = torch.arange(len(owner)) - (n.cumsum(0) - n)[owner]
    lengths = (x.counts[owner] - number * size).clamp(max=size + 1)
    begin = lengths.cumsum(0) - lengths
    source = (x.starts[owner] + number * size - begin).repeat_interleave(lengths)
    tokens = x.join()[torch.arange(int(lengths.sum())) + source]
    return Ragged(tokens, lengths, whole=True, listed=True)


class LanguageNet(nn.Module):
    """What a network of either kind is asked.

    A subclass gives ``states(tokens, state)``, the states (B, T, d) after tokens (B, T)
    and what is to be remembered of them; ``vectors``, those of all tokens; ``bias``,
    theirs or None; ``project``, of states to the width of vectors; ``context``, how
    many tokens it reads at most, None for any number; and ``begin``.
    """

    context: int | None = None
    vectors: nn.Parameter
    bias: nn.Parameter | None
    project: nn.Module

    def states(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def begin(self, tokens: Tensor, lengths: Tensor) -> Any:
        """What is remembered before the last tokens of prompts (B, T)."""
        raise NotImplementedError

    def logits(self, states: Tensor) -> Tensor:  # (..., d) -> (..., V)
        return F.linear(self.project(states), self.vectors, self.bias)

    def forward(self, x: Ragged) -> Tensor:  # (B, T, 1) -> (B, V)
        """Log-probabilities of the token after each text."""
        tokens = x.padded()[..., 0].long()
        lengths = x.counts.to(tokens.device)
        last = tokens.gather(1, lengths[:, None] - 1)[:, 0]
        found, _ = self.step(last, self.begin(tokens, lengths))
        return torch.log_softmax(found, 1)

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """As `sknets._decoding` asks: tokens (N,) -> logits (N, V)."""
        states, state = self.states(tokens[:, None], state)
        return self.logits(states[:, 0]), state

    def loss(self, x: Ragged, y: Any = None) -> Tensor:
        """Cross-entropy of each token but the first, by those before it."""
        tokens = x.padded()[..., 0].long()
        states, targets = self.states(tokens[:, :-1])[0], tokens[:, 1:]
        if x.mask is not None:
            real = x.mask[:, 1:]
            states, targets = states[real], targets[real]
        states = self.project(states).flatten(0, -2)
        bias = self.vectors.new_zeros(()) if self.bias is None else self.bias
        bias = bias.expand(len(self.vectors))
        told = smoothed_cross_entropy(states, self.vectors, bias, targets.flatten(), 0)
        return told.mean()

    def log_likelihoods(self, x: Ragged) -> Tensor:  # (B, T, 1) -> (B,), float64
        """Of each text, token by token; of long ones by at least half a context."""
        tokens = x.padded()[..., 0].long()
        real = tokens.new_ones(tokens.shape).bool() if x.mask is None else x.mask
        exact = torch.float32 if tokens.device.type == "mps" else torch.float64
        total = torch.zeros(len(tokens), dtype=exact, device=tokens.device)
        n, done, state = tokens.shape[1] - 1, 0, None
        while done < n:
            begin, size = done, _STEPS
            if self.context is not None:
                begin, size, state = (
                    max(0, done - self.context // 2),
                    self.context,
                    None,
                )
            states, state = self.states(tokens[:, begin : min(begin + size, n)], state)
            states = states[:, done - begin :]
            targets = tokens[:, done + 1 : done + 1 + states.shape[1]]
            there = real[:, done + 1 : done + 1 + states.shape[1]]
            gains = self._log_p(states[there], targets[there])
            table = torch.zeros(there.shape, dtype=exact, device=tokens.device)
            table[there] = gains.to(exact)
            total += table.sum(1)
            done += states.shape[1]
        return total

    def _log_p(self, states: Tensor, targets: Tensor) -> Tensor:  # (N, d), (N,) -> (N,)
        size = max(1, _LOGITS // len(self.vectors))
        found = [
            -F.cross_entropy(self.logits(some), true, reduction="none")
            for some, true in zip(states.split(size), targets.split(size))
        ]
        return torch.cat(found)


# -- cells -----------------------------------------------------------------------------


class RecurrentGenerator(LanguageNet):
    """Layers of cells; what is remembered is the state of each, (B, hidden) tensors."""

    def __init__(
        self,
        n_tokens: int,
        width: int,
        cell: str,
        hidden: int,
        n_layers: int,
        dropout: float,
    ):
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(n_tokens, width).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(n_tokens))
        sizes = [width, *[hidden] * (n_layers - 1)]
        self.cells = nn.ModuleList(
            CELLS[cell](size, hidden, batch_first=True) for size in sizes
        )
        self.project = nn.Identity()
        if hidden != width:
            self.project = nn.Linear(hidden, width, bias=False)
        self.dropout, self.hidden = Dropout(dropout), hidden

    def states(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x, after = self.dropout(F.embedding(tokens, self.vectors)), []
        for i, cell in enumerate(self.cells):
            before = None if state is None else tuple(s[None] for s in state[i])
            if before is not None and not isinstance(cell, nn.LSTM):
                before = before[0]
            x, ended = cell(x, before)
            ended = ended if isinstance(ended, tuple) else (ended,)
            after.append(tuple(s[0] for s in ended))
            x = self.dropout(x)
        return x, after

    def begin(self, tokens: Tensor, lengths: Tensor) -> Any:
        parts = 2 if isinstance(self.cells[0], nn.LSTM) else 1
        zeros = self.vectors.new_zeros(len(tokens), self.hidden)
        state: Any = [(zeros,) * parts for _ in self.cells]
        shortest = int(lengths.min()) - 1
        if shortest:
            _, state = self.states(tokens[:, :shortest], state)
        for step in range(shortest, tokens.shape[1] - 1):
            _, after = self.states(tokens[:, step : step + 1], state)
            reads = (step < lengths - 1)[:, None]
            state = [
                tuple(torch.where(reads, new, old) for new, old in zip(*both))
                for both in zip(after, state)
            ]
        return state


# -- GPT-2 -----------------------------------------------------------------------------


class Affine(nn.Module):
    """A linear layer whose weight is (in, out), as GPT-2's files have it."""

    def __init__(self, n_inputs: int, n_outputs: int, scale: float = 1.0):
        super().__init__()
        weight = torch.empty(n_inputs, n_outputs).normal_(0, 0.02 * scale)
        self.weight, self.bias = (
            nn.Parameter(weight),
            nn.Parameter(torch.zeros(n_outputs)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    """Each token looks at those before it, and at itself."""

    def __init__(self, width: int, n_heads: int, scale: float, dropout: float):
        super().__init__()
        self.c_attn, self.c_proj = Affine(width, 3 * width), Affine(width, width, scale)
        self.n_heads, self.dropout = n_heads, Dropout(dropout)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        query, key, value = (
            each.unflatten(2, (self.n_heads, -1)).transpose(1, 2)  # (B, heads, T, d)
            for each in self.c_attn(x).chunk(3, 2)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        mask = None if mask is None else mask[:, None, None]
        found = attend(query, key, value, mask, causal=past is None)
        found = self.c_proj(found.transpose(1, 2).flatten(2))
        return self.dropout(found), (key, value)


class Feedforward(nn.Module):
    def __init__(self, width: int, scale: float, dropout: float):
        super().__init__()
        self.c_fc = Affine(width, 4 * width)
        self.c_proj = Affine(4 * width, width, scale)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    def __init__(
        self, width: int, n_heads: int, scale: float, dropout: float, eps: float
    ):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attn = Attention(width, n_heads, scale, dropout)
        self.mlp = Feedforward(width, scale, dropout)

    def forward(
        self, x: Tensor, past: Any, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        found, now = self.attn(self.ln_1(x), past, mask)
        x = x + found
        return x + self.mlp(self.ln_2(x)), now


class GPT2(LanguageNet):
    """GPT-2 [Radford et al. 2019], its parts named as in its files.

    What is remembered are the keys and values of each layer, which of them are real,
    and the next position of each row.
    """

    def __init__(self, config: dict[str, Any], dropout: float):
        super().__init__()
        width, n_layers = config["n_embd"], config["n_layer"]
        self.context, self.n_heads = config["n_positions"], config["n_head"]
        self.wte = nn.Embedding(config["vocab_size"], width)
        self.wpe = nn.Embedding(config["n_positions"], width)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, 0, 0.02)
        # What each block adds is scaled down, so that the sum is not.
        scale, eps = 1 / math.sqrt(2 * n_layers), config["layer_norm_epsilon"]
        self.h = nn.ModuleList(
            Block(width, self.n_heads, scale, dropout, eps) for _ in range(n_layers)
        )
        self.ln_f = nn.LayerNorm(width, eps)
        self.dropout, self.project, self.bias = Dropout(dropout), nn.Identity(), None

    @property
    def vectors(self) -> Any:  # type: ignore[override]
        return self.wte.weight

    def states(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if state is None:
            places, mask = torch.arange(tokens.shape[1], device=tokens.device), None
            past: Any = [None] * len(self.h)
        else:
            places, past = state["place"][:, None], state["layers"]
            mask = torch.cat([state["mask"], state["mask"].new_ones(len(tokens), 1)], 1)
            if not past[0][0].shape[2]:
                past = [None] * len(self.h)
        x = self.dropout(self.wte(tokens) + self.wpe(places))
        layers = []
        for block, before in zip(self.h, past):
            x, now = block(x, before, mask if before is not None else None)
            layers.append(now)
        after: dict[str, Any] = {"layers": layers}
        if state is not None:
            after |= {"mask": mask, "place": state["place"] + 1}
        return self.ln_f(x), after

    def begin(self, tokens: Tensor, lengths: Tensor) -> Any:
        steps = torch.arange(tokens.shape[1] - 1, device=tokens.device)
        mask = steps < (lengths - 1)[:, None]
        if not len(steps):
            size = self.wte.embedding_dim // self.n_heads
            shape = (len(tokens), self.n_heads, 0, size)
            nothing = self.wte.weight.new_empty(shape)
            layers = [(nothing, nothing) for _ in self.h]
        else:
            layers = self.states(tokens[:, :-1])[1]["layers"]
        return {"layers": layers, "mask": mask, "place": lengths - 1}


__all__ = ["GPT2", "RecurrentGenerator", "pieces", "with_ends"]
