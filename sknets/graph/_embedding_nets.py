"""Networks that learn vectors of nodes without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sknets._engine.containers import Cache
from sknets._inputs.nodes import NodeBatch, NodeSamples
from sknets.graph._messages import SampledEdges, SparseMatrix, all_edges, operator_of
from sknets.graph._nets import GraphNet
from sknets.graph._walks import Walker, pairs_of, uniform, unlinked_targets

# Neighbours of a node to be told from others, where a step is not of the whole graph.
_EDGES_A_NODE = 10


class _Unsupervised(nn.Module):
    """Gives losses to train by; ``features`` gives the vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self.generator: torch.Generator | None = None

    @property
    def _stream(self) -> torch.Generator | None:
        """Where random numbers come from: the same ones at every validation."""
        return self.generator if self.training else torch.Generator().manual_seed(0)


class WalkVectors(_Unsupervised):
    """A vector a node, by which nodes of one walk are told from others.

    Parameters
    ----------
    n_nodes, size : int
    walk_length, window, n_walks, n_negatives : int
    p, q : float
    """

    def __init__(self, n_nodes, size, walk_length, window, n_walks, n_negatives, p, q):
        super().__init__()
        self.embedding = nn.Embedding(n_nodes, size)
        nn.init.uniform_(self.embedding.weight, -0.5 / size, 0.5 / size)
        self.walk_length, self.window = walk_length, window
        self.n_walks, self.n_negatives = n_walks, n_negatives
        self.p, self.q = p, q

    def _places(self, of: NodeSamples, nodes: np.ndarray) -> Tensor:
        places = nodes if of.places is None else of.places[nodes]
        return torch.from_numpy(np.asarray(places)).long().to(of.device)

    def forward(self, batch: NodeBatch) -> Tensor:
        return self.embedding(self._places(batch.of, batch.nodes.numpy()))

    def loss(self, batch: NodeBatch, y: Any = None) -> Tensor:
        of, stream = batch.of, self._stream
        walker = self.cache(of, "walker", lambda: Walker(of.graph, self.p, self.q))
        begin = np.repeat(batch.nodes.numpy(), self.n_walks)
        walks = walker.walk(begin, self.walk_length, stream)
        one, other = pairs_of(walks, self.window)
        n = of.graph.n_nodes
        k = self.n_negatives
        strange = (uniform(stream, len(one) * k) * n).astype(np.int64)
        vectors = self.embedding(self._places(of, one))
        near = self.embedding(self._places(of, other))
        far = self.embedding(self._places(of, strange))
        far = far.view(len(one), k, vectors.shape[1])
        losses = F.softplus(-(vectors * near).sum(1))
        losses = losses + F.softplus(torch.einsum("nd,nkd->nk", vectors, far)).sum(1)
        # Nodes without neighbours have no walks: nothing is asked of them.
        return losses if len(losses) else 0 * self.embedding.weight[:1].sum(1)


class PairEncoder(_Unsupervised):
    """Vectors by graph layers, by which linked pairs are told from others.

    Parameters
    ----------
    encoder : GraphNet
    variational : bool
        Whether the encoder gives means and logarithms of deviations.
    by_walks : bool
        Whether pairs are of nodes on one short walk, not of neighbours.
    walk_length, n_negatives : int
    """

    def __init__(self, encoder, variational, by_walks, walk_length, n_negatives):
        super().__init__()
        self.encoder, self.variational, self.by_walks = encoder, variational, by_walks
        self.walk_length, self.n_negatives = walk_length, n_negatives

    def forward(self, batch: NodeBatch) -> Tensor:
        states = self.encoder(batch)
        return states.chunk(2, 1)[0] if self.variational else states

    def _pairs(self, of: NodeSamples, nodes: np.ndarray, stream: Any) -> np.ndarray:
        if self.by_walks:
            walker = self.cache(of, "walker", lambda: Walker(of.graph))
            return pairs_of(walker.walk(nodes, self.walk_length, stream), 2**31)
        plain = np.dtype(np.float32)
        edges = self.cache(of, "edges", lambda: operator_of("gin", of.graph, plain))
        whole = self.encoder.n_neighbors is None
        choice = all_edges if whole else SampledEdges(_EDGES_A_NODE, stream)
        at, counts, _ = choice(edges, nodes)
        return np.stack([edges.columns[at].astype(np.int64), np.repeat(nodes, counts)])

    def loss(self, batch: NodeBatch, y: Any = None) -> Tensor:
        of, stream = batch.of, self._stream
        nodes = np.unique(batch.nodes.numpy())
        one, other = self._pairs(of, nodes, stream)
        again = np.tile(one, self.n_negatives)
        strange = unlinked_targets(of.graph, again, stream)
        again, strange = again[strange >= 0], strange[strange >= 0]
        ends = np.concatenate([one, other, again, strange])
        ends = np.concatenate([nodes, ends])
        used, place = np.unique(ends, return_inverse=True)
        n = of.graph.n_nodes
        if self.encoder.n_neighbors is None and 2 * len(used) > n:
            # The whole graph is prepared once, parts of it at each step.
            used, place = np.arange(n), ends
        states = self.encoder.states(*self.encoder.prepared(of, used))
        extra = states.new_zeros(())
        if self.variational:
            mean, log_spread = states.chunk(2, 1)
            log_spread = log_spread.clamp(max=10)
            noise = torch.empty_like(mean)
            noise.normal_(generator=stream if noise.is_cpu else self.generator)
            states = mean + noise * log_spread.exp() if self.training else mean
            spent = 1 + 2 * log_spread - mean.square() - (2 * log_spread).exp()
            extra = -0.5 * spent.sum(1).mean() / n
        at = torch.from_numpy(place[len(nodes) :]).to(states.device)
        cuts = [len(one), len(other), len(again), len(strange)]
        a, b, c, d = (states[each] for each in at.split(cuts))
        near, far = F.softplus(-(a * b).sum(1)), F.softplus((c * d).sum(1))
        if not len(near) or not len(far):
            return near.sum() + far.sum() + extra + 0 * states.sum()
        # Both kinds of pairs weigh the same, whatever their numbers.
        return near.mean() + far.mean() + extra


class Infomax(_Unsupervised):
    """Vectors that are told from those of shuffled features by their mean [DGI].

    Parameters
    ----------
    encoder : GraphNet
    size : int
        Numbers in a vector.
    """

    def __init__(self, encoder: GraphNet, size: int):
        super().__init__()
        self.encoder, self.activation = encoder, nn.PReLU()
        self.weight = nn.Parameter(torch.empty(size, size))
        nn.init.uniform_(self.weight, -(size**-0.5), size**-0.5)

    def forward(self, batch: NodeBatch) -> Tensor:
        return self.activation(self.encoder(batch))

    def loss(self, batch: NodeBatch, y: Any = None) -> Tensor:
        nodes = np.unique(batch.nodes.numpy())
        x, near = self.encoder.prepared(batch.of, nodes)
        order = np.argsort(uniform(self._stream, len(near[0].nodes)))
        wrong = x.rows(order) if isinstance(x, SparseMatrix) else x[order]
        true, false = (
            self.activation(self.encoder.states(each, near)) for each in (x, wrong)
        )
        direction = self.weight @ torch.sigmoid(true.mean(0))
        losses = F.softplus(-(true @ direction)) + F.softplus(false @ direction)
        return losses


__all__ = ["Infomax", "PairEncoder", "WalkVectors"]
