"""ELMo's network: characters to words, and two language models that meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Container, Index, Ragged
from sknets._layers import Dropout

# Bytes of UTF-8 are 1 to 256; a word begins and ends with a sign, and so does a piece.
BEGIN, END, EDGE = 257, 258, 259
N_SIGNS = 260
# Bytes of a word that are read, from its beginning.
_LONGEST = 24
# Classes of the output: what the vocabulary lacks, the ends of a piece, then its words.
UNKNOWN_WORD, EDGE_WORD, FIRST_WORD = 0, 1, 2
# Filters by their width.
_FILTERS = {1: 16, 2: 32, 3: 64, 4: 64, 5: 64}
# More classes than this are told by an adaptive softmax.
_MANY = 2000


class Spelled(Container):
    """Pieces of documents, whose words are spelled once each.

    Parameters
    ----------
    tokens : int64 tensor (N,)
        The kinds of all words, one piece after the other.
    lengths : int64 tensor (n_pieces,)
    spelling : int64 tensor (n_kinds, C)
    classes : int64 tensor (n_kinds,)
        What each kind of word is to the output.
    """

    def __init__(
        self, tokens: Tensor, lengths: Tensor, spelling: Tensor, classes: Tensor
    ):
        self.words = Ragged(tokens, lengths, whole=True)
        self.lengths = lengths
        self.spelling, self.classes = spelling, classes

    @classmethod
    def of(
        cls, documents: Any, vocabulary: dict[str, int], longest: int
    ) -> tuple[Spelled, np.ndarray]:
        """The pieces of documents, and how many each has; kind 0 is their edge."""
        kinds: dict[str, int] = {}
        tokens, lengths, counts = [], [], []
        for words in documents:
            numbers = [kinds.setdefault(w, 1 + len(kinds)) for w in words]
            starts = range(0, len(numbers), longest)
            counts.append(len(starts))
            for start in starts:
                piece = numbers[start : start + longest]
                tokens.append(np.array([0, *piece, 0], np.int64))
                lengths.append(len(piece) + 2)
        spelled = [[EDGE]] + [
            [BEGIN, *(b + 1 for b in w.encode("utf-8", "replace")[:_LONGEST]), END]
            for w in kinds
        ]
        width = max(map(len, spelled))
        spelling = torch.zeros(len(spelled), width, dtype=torch.int64)
        for row, signs in zip(spelling, spelled):
            row[: len(signs)] = torch.tensor(signs)
        classes = [vocabulary.get(w, UNKNOWN_WORD - FIRST_WORD) for w in kinds]
        made = cls(
            torch.from_numpy(np.concatenate([*tokens, np.empty(0, np.int64)])),
            torch.tensor(lengths, dtype=torch.int64),
            spelling,
            torch.tensor([EDGE_WORD - FIRST_WORD, *classes]) + FIRST_WORD,
        )
        return made, np.array(counts)

    def __len__(self) -> int:
        return len(self.words)

    def batch(self, index: Index) -> SpelledBatch:
        words = self.words.batch(index)
        kinds, own = words.join().unique(return_inverse=True)
        spelling = self.spelling[kinds]
        spelling = spelling[:, : int((spelling > 0).sum(1).max())]
        classes = self.classes[words.join()]
        return SpelledBatch(
            Ragged(
                words.like(own).values.to(self.device), _to(words.lengths, self.device)
            ),
            spelling.to(self.device),
            words.like(classes.to(self.device)),
        )


def _to(lengths: Tensor | None, device: torch.device) -> Tensor | None:
    return None if lengths is None else lengths.to(device)


class SpelledBatch:
    """Words of pieces as numbers among those spelled, one object for skorch."""

    def __init__(self, words: Ragged, spelling: Tensor, classes: Ragged):
        self.words, self.spelling, self.classes = words, spelling, classes

    def __len__(self) -> int:
        return len(self.words)


class CharacterCNN(nn.Module):
    """A vector a spelling: filters of several widths, a highway, a projection."""

    def __init__(self, size: int):
        super().__init__()
        self.signs = nn.Embedding(N_SIGNS, 16, padding_idx=0)
        self.filters = nn.ModuleList(nn.Conv1d(16, n, w) for w, n in _FILTERS.items())
        n = sum(_FILTERS.values())
        self.highway = nn.Linear(n, 2 * n)
        with torch.no_grad():  # at first all is carried on
            self.highway.bias[n:].fill_(1.0)
        self.project = nn.Linear(n, size)

    def forward(self, spelling: Tensor) -> Tensor:  # (U, C) -> (U, size)
        short = max(_FILTERS) - spelling.shape[1]
        signs = self.signs(F.pad(spelling, (0, max(0, short)))).transpose(1, 2)
        # A window beyond a word's end is none of its own.
        last = (spelling > 0).sum(1)[:, None]
        found = []
        for width, filters in zip(_FILTERS, self.filters):
            seen = filters(signs)
            starts = torch.arange(seen.shape[2], device=seen.device)
            beyond = starts > (last - width).clamp(min=0)
            found.append(seen.masked_fill(beyond[:, None], -torch.inf).amax(2))
        x = torch.cat(found, 1).relu()
        new, carry = self.highway(x).chunk(2, 1)
        carry = carry.sigmoid()
        return self.project(carry * x + (1 - carry) * new.relu())


class BidirectionalLM(nn.Module):
    """Two LSTMs of two layers, of which one tells the next word and one the last."""

    def __init__(self, n_words: int, size: int, dropout: float):
        super().__init__()
        self.characters = CharacterCNN(size)
        self.directions = nn.ModuleList(
            nn.ModuleList(nn.LSTM(size, size, batch_first=True) for _ in range(2))
            for _ in range(2)
        )
        self.dropout = Dropout(dropout)
        n = n_words + FIRST_WORD
        self.output: Any = nn.Linear(size, n)
        if n > _MANY:
            cutoffs = [_MANY // 2, *([5 * _MANY] if n > 6 * _MANY else [])]
            self.output = nn.AdaptiveLogSoftmaxWithLoss(size, n, cutoffs)

    def states(self, x: SpelledBatch) -> list[list[Tensor]]:
        """Of each direction the words' vectors and both layers', (B, T, size)."""
        vectors = self.characters(x.spelling)[x.words.join()]
        padded, found = x.words.padded(vectors), []
        for i, layers in enumerate(self.directions):
            turn = x.words.turned if i else _as_it_is
            states = [turn(padded)]
            stack: Any = layers
            for j, layer in enumerate(stack):
                new = layer(self.dropout(states[-1]))[0]
                states.append(new + states[-1] if j else new)
            found.append([turn(each) for each in states])
        return found

    def forward(self, x: SpelledBatch) -> Ragged:
        """Of each word of each piece (edges left out) (3, 2 size): layer by layer."""
        forwards, backwards = self.states(x)
        layers = [torch.cat(pair, 2) for pair in zip(forwards, backwards)]
        joined = x.words.real(torch.stack(layers, 2))
        inner = x.classes.join() != EDGE_WORD
        counts = x.words.counts.to(inner.device) - 2
        return Ragged(joined[inner], counts)

    def loss(self, x: SpelledBatch, y: Any) -> Tensor:
        """The mean of -log p of a piece's words, given those before, and after."""
        classes = x.classes.padded()
        total = torch.zeros(len(classes), device=classes.device)
        mask = x.words.mask
        if mask is None:
            mask = torch.ones_like(classes, dtype=torch.bool)
        known = mask[:, 1:].to(classes.device)
        (*_, forwards), (*_, backwards) = self.states(x)
        for states, told in (
            (forwards[:, :-1], classes[:, 1:]),
            (backwards[:, 1:], classes[:, :-1]),
        ):
            inputs, truth = self.dropout(states[known]), told[known]
            if isinstance(self.output, nn.Linear):
                losses = F.cross_entropy(self.output(inputs), truth, reduction="none")
            else:
                losses = -self.output(inputs, truth).output
            rows = known.nonzero()[:, 0]
            zeros = losses.new_zeros(len(known))
            total = total + zeros.index_add(0, rows, losses) / known.sum(1)
        return total / 2


def _as_it_is(x: Tensor) -> Tensor:
    return x


__all__ = ["BidirectionalLM", "Spelled"]
