"""The four scores of triples as one network, its loss, and which triples are known."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TripleNet(nn.Module):
    """Vectors of entities and relations, by which triples are scored.

    All four methods turn a relation and one entity into a query, which the other
    entity's vector is compared with: one product scores all candidates at once.

    Parameters
    ----------
    method : {"transe", "distmult", "complex", "rotate"}
    n_entities, n_relations : int
    size : int
        Dimensions, complex ones for "complex" and "rotate": real parts, then imaginary.
    n_negatives : int or None
        Candidates drawn for each batch; None compares with all entities.
    filtered : bool
        Whether known triples are no negatives.
    regularization : float
        Weight of the cubes of the moduli.
    """

    def __init__(
        self,
        method: str,
        n_entities: int,
        n_relations: int,
        size: int,
        n_negatives: int | None,
        filtered: bool,
        regularization: float,
    ):
        super().__init__()
        self.method, self.n_negatives, self.filtered = method, n_negatives, filtered
        self.regularization = regularization
        self.is_complex = method in ("complex", "rotate")
        self.is_distance = method in ("transe", "rotate")
        width = size * (1 + self.is_complex)
        self.entities = nn.Parameter(torch.randn(n_entities, width))
        if method == "rotate":
            self.relations = nn.Parameter(torch.rand(n_relations, size) * 2 * math.pi)
        else:
            self.relations = nn.Parameter(torch.randn(n_relations, width))
        with torch.no_grad():
            self.entities.mul_(_SPREAD[method])
            if method != "rotate":
                self.relations.mul_(_SPREAD[method])
        # Distances say little of how sure a softmax of them shall be.
        self.log_scale = nn.Parameter(torch.ones(1)) if self.is_distance else None
        self.known: Known | None = None
        self.generator: torch.Generator | None = None

    # -- vectors and scores --------------------------------------------------------

    def entity_vectors(self, entities: Tensor | None = None) -> Tensor:
        """A row an entity (all, or those of these numbers), of unit norm in TransE."""
        vectors: Tensor = self.entities
        if entities is not None:
            vectors = F.embedding(entities, vectors)
        return F.normalize(vectors, dim=1) if self.method == "transe" else vectors

    def relation_vectors(self, relations: Tensor | None = None) -> Tensor:
        """A row a relation, as wide as those of entities."""
        vectors: Tensor = self.relations
        if relations is not None:
            vectors = F.embedding(relations, vectors)
        if self.method == "rotate":
            return torch.cat([vectors.cos(), vectors.sin()], 1)
        return vectors

    def inverse(self, relation: Tensor) -> Tensor:
        """The vector that asks a tail for its head, as the relation's asks the head."""
        if self.method == "transe":
            return -relation
        if self.method == "distmult":
            return relation
        re, im = relation.chunk(2, 1)
        return torch.cat([re, -im], 1)

    def queries(self, given: Tensor, relation: Tensor) -> Tensor:
        """What the answers' vectors are compared with."""
        if self.method == "transe":
            return given + relation
        if self.method == "distmult":
            return given * relation
        re, im = given.chunk(2, 1)
        a, b = relation.chunk(2, 1)
        return torch.cat([re * a - im * b, re * b + im * a], 1)

    def compare(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Scores (B, C) of each of C candidates for each of B queries."""
        if self.method == "transe":
            return -torch.cdist(queries, vectors, p=1)
        products = queries @ vectors.t()
        if self.method != "rotate":
            return products
        squares = queries.square().sum(1, keepdim=True) + vectors.square().sum(1)
        return -(squares - 2 * products).clamp_min(_TINY).sqrt()

    def compare_own(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """The score (B,) of one candidate for each query."""
        if self.method == "transe":
            return -(queries - vectors).abs().sum(1)
        if self.method == "rotate":
            return -(queries - vectors).square().sum(1).clamp_min(_TINY).sqrt()
        return (queries * vectors).sum(1)

    def features(self, triples: Tensor) -> Tensor:
        """The vectors of each triple's head, relation and tail, side by side."""
        head, relation, tail = triples.unbind(1)
        ends = self.entity_vectors(head), self.entity_vectors(tail)
        return torch.cat([ends[0], self.relation_vectors(relation), ends[1]], 1)

    def forward(self, triples: Tensor) -> Tensor:
        """How plausible triples are, the formula of each paper."""
        head, relation, tail = self.features(triples).chunk(3, 1)
        return self.compare_own(self.queries(head, relation), tail)

    def answers(self, given: Tensor, relation: Tensor, tails: bool) -> Tensor:
        """Scores of all entities as ``tails`` or as heads, a row a question."""
        moves = self.relation_vectors(relation)
        moves = moves if tails else self.inverse(moves)
        queries = self.queries(self.entity_vectors(given), moves)
        return self.compare(queries, self.entity_vectors())

    def answers_both(self, triples: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of all entities in the place of the heads, and of the tails."""
        head, relation, tail = triples.unbind(1)
        heads = self.answers(tail, relation, False)
        return heads, self.answers(head, relation, True)

    # -- the loss ------------------------------------------------------------------

    def loss(self, triples: Tensor, y: Any = None) -> Tensor:
        """Losses (B,): how surprising each tail and each head is among candidates."""
        head, relation, tail = triples.unbind(1)
        given, truth = torch.cat([head, tail]), torch.cat([tail, head])
        moves = self.relation_vectors(relation)
        both = torch.cat([moves, self.inverse(moves)])
        scale: Any = 1.0 if self.log_scale is None else self.log_scale.exp()
        n, drawn = len(self.entities), self.n_negatives
        if drawn is None or not self.training:
            ends = self.entity_vectors(given)
            queries = self.queries(ends, both)
            scores = self.compare(queries, self.entity_vectors()) * scale
            if self.filtered and self.known is not None:
                rows, answers = self.known.both(triples)
                wrong = answers != truth[rows]
                known = torch.zeros_like(scores, dtype=torch.bool)
                known[rows[wrong], answers[wrong]] = True
                scores = scores.masked_fill(known, -math.inf)
            losses = F.cross_entropy(scores, truth, reduction="none")
        else:
            chosen = torch.randint(
                n, (drawn,), generator=self.generator, device=given.device
            )
            vectors = self.entity_vectors(torch.cat([given, chosen]))
            ends, others = vectors.split([len(given), drawn])
            queries = self.queries(ends, both)
            known = chosen == truth[:, None]
            if self.filtered and self.known is not None:
                rows, answers = self.known.both(triples)
                own = torch.arange(len(truth), device=rows.device)[:, None] * n
                known |= torch.isin(own + chosen, rows * n + answers)
            scores = (self.compare(queries, others) * scale).masked_fill(
                known, -math.inf
            )
            right = self.compare_own(queries, ends.roll(len(head), 0)) * scale
            everything = torch.cat([right[:, None], scores], 1)
            losses = everything.logsumexp(1) - right
        losses = losses.view(2, -1).mean(0)
        if self.regularization and self.training:
            cubes = self._cubes(ends).view(2, -1).sum(0)
            if self.method != "rotate":
                cubes = cubes + self._cubes(moves)
            losses = losses + self.regularization * cubes
        return losses

    def _cubes(self, vectors: Tensor) -> Tensor:
        """The sum (B,) of the cubes of the moduli."""
        squares = vectors.square()
        if not self.is_complex:
            return (squares * vectors.abs()).sum(1)
        re, im = squares.chunk(2, 1)
        squares = re + im
        return (squares * (squares + _TINY).sqrt()).sum(1)


class Known:
    """Which tails each head and relation have, and which heads each tail and relation.

    Parameters
    ----------
    triples : int64 tensor of shape (n_triples, 3)
        Without repetitions.
    n_relations : int
    """

    def __init__(self, triples: Tensor, n_relations: int):
        self.n_relations = n_relations
        head, relation, tail = triples.unbind(1)
        self._of_tails = _grouped(head * n_relations + relation, tail)
        self._of_heads = _grouped(tail * n_relations + relation, head)

    def answers(self, given: Tensor, relation: Tensor, tails: bool):
        """The number of the question and the entity, of each known answer."""
        keys, answers = self._of_tails if tails else self._of_heads
        wanted = given * self.n_relations + relation
        first = torch.searchsorted(keys, wanted)
        counts = torch.searchsorted(keys, wanted, right=True) - first
        rows = torch.repeat_interleave(counts)
        shift = first - (counts.cumsum(0) - counts)
        at = torch.arange(len(rows), device=rows.device) + shift[rows]
        return rows, answers[at]

    def both(self, triples: Tensor) -> tuple[Tensor, Tensor]:
        """`answers` for the tails of a batch, then for its heads."""
        head, relation, tail = triples.unbind(1)
        rows, tails = self.answers(head, relation, True)
        more, heads = self.answers(tail, relation, False)
        return torch.cat([rows, more + len(triples)]), torch.cat([tails, heads])


def _grouped(keys: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    keys, order = keys.sort(stable=True)
    return keys, answers[order]


_TINY = 1e-12
# Of the first vectors, chosen such that scores neither vanish nor saturate.
_SPREAD = {"transe": 0.1, "distmult": 0.1, "complex": 0.1, "rotate": 0.5}

__all__ = ["Known", "TripleNet"]
