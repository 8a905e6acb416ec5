"""Random walks, pairs of nodes that are linked and pairs that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from sknets._inputs.graph_store import Graph

# A step of a walk is proposed and refused at most so often.
_TRIES = 64


def uniform(generator: torch.Generator | None, *shape: int) -> np.ndarray:
    """Numbers in [0, 1), the same for the same generator wherever it lives."""
    generator = generator or torch.default_generator
    if generator.device.type != "cpu":
        device = generator.device
        seed = torch.randint(2**31, (), generator=generator, device=device)
        generator = torch.Generator().manual_seed(int(seed))
    return torch.rand(shape, generator=generator, dtype=torch.float64).numpy()


def whole(generator: torch.Generator | None, below: Any, *shape: int) -> np.ndarray:
    """Whole numbers from 0, each below its bound."""
    return (uniform(generator, *shape) * below).astype(np.int64)


def linked(graph: Graph, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Whether there is an edge from each source to its target."""
    low = graph.starts[:-1][targets].astype(np.int64)
    end = graph.starts[1:][targets].astype(np.int64)
    high = end.copy()
    last = len(graph.neighbors) - 1
    if last < 0:
        return np.zeros(len(sources), dtype=bool)
    while (low < high).any():  # by halves, in all rows at once
        middle = (low + high) // 2
        less = (low < high) & (graph.neighbors[np.minimum(middle, last)] < sources)
        high = np.where(less | (low >= high), high, middle)
        low = np.where(less, middle + 1, low)
    return (low < end) & (graph.neighbors[np.minimum(low, last)] == sources)


def unlinked_targets(
    graph: Graph, sources: np.ndarray, generator: torch.Generator | None
) -> np.ndarray:
    """A node for each source, none of its own targets nor itself; -1 if it is hopeless.

    All nodes that are left are alike.
    """
    n = graph.n_nodes
    targets = whole(generator, n, len(sources))
    wrong = np.flatnonzero(linked(graph, sources, targets) | (sources == targets))
    for _ in range(_TRIES):
        if not len(wrong):
            break
        targets[wrong] = whole(generator, n, len(wrong))
        some, others = sources[wrong], targets[wrong]
        wrong = wrong[linked(graph, some, others) | (some == others)]
    targets[wrong] = -1
    return targets


class Walker:
    """Second-order random walks along the edges of a graph.

    Parameters
    ----------
    graph : Graph
    p, q : float
        1 / p is the weight of going back to where the walk was before, 1 / q that of
        going where it could not have gone from there.
    """

    def __init__(self, graph: Graph, p: float = 1.0, q: float = 1.0):
        self.graph, self.p, self.q = graph, p, q
        starts, ends, weights = graph.starts, graph.neighbors, graph.weights
        if graph.directed:  # rows hold where edges come from, walks go the other way
            turned = sp.csr_array(graph.adjacency().T)
            starts, ends = turned.indptr, turned.indices
            weights = None if weights is None else turned.data
        self.starts, self.ends = starts, ends
        self.degrees = np.diff(starts).astype(np.int64)
        self.sums = None
        if weights is not None:
            self.sums = np.concatenate([[0], np.cumsum(weights, dtype=np.float64)])

    def _propose(self, nodes: np.ndarray, generator: Any) -> np.ndarray:
        """A neighbour of each node, by the weights of the edges."""
        share = uniform(generator, len(nodes))
        first = self.starts[:-1][nodes].astype(np.int64)
        if self.sums is None:
            at = first + (share * self.degrees[nodes]).astype(np.int64)
        else:
            last = first + self.degrees[nodes]
            below, above = self.sums[first], self.sums[last]
            at = np.searchsorted(self.sums, below + share * (above - below), "right")
            at = np.clip(at - 1, first, np.maximum(last - 1, first))
        return self.ends[at].astype(np.int64)

    def walk(self, nodes: np.ndarray, length: int, generator: Any) -> np.ndarray:
        """Walks (n, length + 1) from these nodes; -1 where one could go no further."""
        walks = np.full((len(nodes), length + 1), -1, dtype=np.int64)
        walks[:, 0] = nodes
        for i in range(length):
            going = np.flatnonzero(walks[:, i] >= 0)
            going = going[self.degrees[walks[going, i]] > 0]
            if not len(going):
                break
            here = walks[going, i]
            step = self._propose(here, generator)
            if i and (self.p != 1 or self.q != 1):
                self._reconsider(walks[going, i - 1], here, step, generator)
            walks[going, i + 1] = step
        return walks

    def _reconsider(self, before, here, step, generator) -> None:
        """Refuse steps at random until all have the weights that p and q give them."""
        back, far = 1 / self.p, 1 / self.q
        highest = max(back, 1.0, far)
        open_ = np.arange(len(step))
        for _ in range(_TRIES):
            one, other = before[open_], step[open_]
            near = linked(self.graph, one, other)
            weight = np.where(one == other, back, np.where(near, 1.0, far))
            refused = uniform(generator, len(open_)) * highest > weight
            open_ = open_[refused]
            if not len(open_):
                return
            step[open_] = self._propose(here[open_], generator)


def pairs_of(walks: np.ndarray, window: int) -> np.ndarray:
    """Pairs (2, n_pairs) of nodes at most ``window`` steps apart."""
    pairs = []
    for gap in range(1, min(window, walks.shape[1] - 1) + 1):
        pair = np.stack([walks[:, :-gap].ravel(), walks[:, gap:].ravel()])
        pairs.append(pair[:, (pair >= 0).all(0)])
    return np.concatenate(pairs, 1)


__all__ = ["Walker", "linked", "pairs_of", "uniform", "unlinked_targets", "whole"]
