"""A graph as arrays that nobody changes, so that nothing ever copies it."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from sknets._engine.digest import digest


class Graph:
    """Nodes, their neighbours and their features; read-only and shared.

    Row i of the neighbours holds the nodes that node i hears from: all that it is
    linked to, or, in a directed graph, those with an edge to it. Each neighbour occurs
    once, in rising order.

    Attributes
    ----------
    starts : int ndarray of shape (n_nodes + 1,)
        Where the neighbours of each node begin.
    neighbors : int ndarray of shape (n_edges,)
        Positions of nodes; an undirected edge counts twice, a self-loop once.
    weights : float32 ndarray of shape (n_edges,) or None
        None where all are 1.
    features : float32 ndarray or CSR of shape (n_nodes, n_features), or None
    ids : ndarray of shape (n_nodes,)
        What the nodes are called.
    directed : bool
        Whether the edges have a direction.
    """

    def __init__(self, starts, neighbors, weights, features, ids, directed):
        self.starts, self.neighbors, self.weights = starts, neighbors, weights
        self.features, self.ids, self.directed = features, ids, directed
        parts = [starts, neighbors, weights, ids]
        if sp.issparse(features):
            parts += [features.indptr, features.indices, features.data]
        else:
            parts.append(features)
        for part in parts:
            if part is not None and part.flags.writeable:
                part.flags.writeable = False

    @property
    def n_nodes(self) -> int:
        return len(self.starts) - 1

    @property
    def n_edges(self) -> int:
        """How many pairs of a node and a neighbour there are."""
        return len(self.neighbors)

    @property
    def n_features(self) -> int:
        return 0 if self.features is None else self.features.shape[1]

    def adjacency(self) -> sp.csr_array:
        """Row i, column j: the weight of the edge by which i hears from j."""
        weights = self.weights
        if weights is None:
            weights = np.ones(self.n_edges, dtype=np.float32)
        shape = (self.n_nodes, self.n_nodes)
        return sp.csr_array((weights, self.neighbors, self.starts), shape=shape)

    def degrees(self) -> np.ndarray:
        """How many neighbours each node has."""
        return np.diff(self.starts).astype(np.int64)

    def positions(self, ids: Any, owner: str) -> np.ndarray:
        """Where nodes of these names are; an unknown one is named."""
        return positions(self.ids, ids, f"{owner}: the graph")

    @property
    def key(self) -> str:
        """What tells this graph from others, the same in every process."""
        with _LOCK:
            if self not in _KEYS:
                _KEYS[self] = digest(self)
            return _KEYS[self]

    def __deepcopy__(self, memo: Any) -> Graph:
        return self

    def __copy__(self) -> Graph:
        return self

    def __reduce__(self) -> Any:
        # A process that has the graph already takes no second one.
        return _recall, (self.key, *vars(self).values())

    def __repr__(self) -> str:
        kind = "directed " if self.directed else ""
        return f"<{kind}graph of {self.n_nodes} nodes, {self.n_features} features>"


_LOCK = threading.RLock()
_KEYS: weakref.WeakKeyDictionary[Graph, str] = weakref.WeakKeyDictionary()
_KNOWN: weakref.WeakValueDictionary[str, Graph] = weakref.WeakValueDictionary()
# A worker has no hold of its own on a graph between two tasks.
_latest: list[Graph] = []


def _recall(key: str, *parts: Any) -> Graph:
    """The graph of this key, which a process holds once."""
    with _LOCK:
        graph = _KNOWN.get(key)
        if graph is None:
            graph = Graph(*parts)
            _KNOWN[key], _KEYS[graph] = graph, key
        _latest[:] = [graph]
        return graph


def positions(known: np.ndarray, ids: Any, owner: str) -> np.ndarray:
    """Where names are among known ones; ``owner`` has no node of an unknown one."""
    ids = as_ids(ids)
    index = pd.Index(known, tupleize_cols=False)
    found = index.get_indexer(pd.Index(ids, tupleize_cols=False))
    if (found < 0).any():
        unknown = ids[np.argmax(found < 0)]
        shown = unknown.item() if isinstance(unknown, np.generic) else unknown
        raise ValueError(f"{owner} has no node {shown!r}")
    return found


def as_ids(ids: Any) -> np.ndarray:
    """Names of any hashable kind as an array of one axis."""
    if isinstance(ids, (pd.Index, pd.Series)):
        ids = ids.to_numpy()
    if isinstance(ids, np.ndarray) and ids.ndim == 1:
        return ids
    listed = list(ids)
    kinds = {type(one) for one in listed}
    if kinds in ({int}, {str}):
        return np.array(listed)
    array = np.empty(len(listed), dtype=object)
    for i, one in enumerate(listed):
        array[i] = one
    return array


__all__ = ["Graph", "as_ids", "positions"]
