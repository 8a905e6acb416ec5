"""Pairs of nodes, linked or not: an array-like that carries the graph by reference."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from torch import Tensor

from sknets._engine.containers import Container
from sknets._inputs.graph_reading import read_graph
from sknets._inputs.graph_store import Graph
from sknets._inputs.nodes import NodeSamples
from sknets._inputs.reader import Reader

# Pairs that are not linked are listed, not guessed, among so many at most.
_LISTED = 4_000_000


class LinkView:
    """Pairs of nodes of one graph, to be split and chosen from like rows.

    Made by `sknets.graph_links` and `sknets.link_split`. The graph is shared by all
    views and never copied.

    Parameters
    ----------
    graph : Graph
    index : int ndarray of shape (n, 2)
        Positions of source and target.

    Attributes
    ----------
    shape : tuple
        ``(n, 2)``.
    pairs : ndarray of shape (n, 2)
        What the nodes are called.
    """

    ndim = 2

    def __init__(self, graph: Graph, index: np.ndarray):
        self.graph, self.index = graph, index

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.index), 2

    @property
    def pairs(self) -> np.ndarray:
        return self.graph.ids[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> LinkView:
        """The view of the pairs chosen by a position, positions, a mask or a slice."""
        return LinkView(self.graph, self.index[key].reshape(-1, 2))

    def __repr__(self) -> str:
        return f"LinkView({len(self)} pairs of nodes of {self.graph!r})"


def graph_links(
    graph: Any, *, n_negatives: float = 1.0, random_state: Any = None
) -> tuple[LinkView, np.ndarray]:
    """Return the links of a graph, and pairs that are none, as X and y.

    Parameters
    ----------
    graph : NodeView, or a graph in any form that `sknets.graph_nodes` reads
    n_negatives : float, default=1.0
        Pairs without a link for each link: drawn at random, all different, never
        linked, never a node with itself. Fewer if there are no more.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    links : LinkView of shape (n_pairs, 2)
        Each link once, self-loops left out, and the pairs without, in random order.
    y : ndarray of int of shape (n_pairs,)
        1 for a link.

    Raises
    ------
    ValueError
        For a graph without links, or one in which all pairs are linked.

    Notes
    -----
    Cross-validation of `LinkPredictor` on these has no leak: messages go along the
    links that `fit` is given, never along those that are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import graph_links
    >>> ring = np.roll(np.eye(6), 1, axis=1)
    >>> links, y = graph_links(ring + ring.T, random_state=0)
    >>> len(links), int(y.sum())
    (12, 6)
    """
    store = read_graph(graph, owner="graph_links")
    targets = np.repeat(np.arange(store.n_nodes), np.diff(store.starts))
    sources = store.neighbors.astype(np.int64)
    once = sources != targets if store.directed else sources < targets
    links = np.stack([sources[once], targets[once]], 1)
    if not len(links):
        raise ValueError("graph_links: the graph has no links between two nodes")
    wanted = int(np.ceil(n_negatives * len(links)))
    random = check_random_state(random_state)
    others = _unlinked(store.n_nodes, links, store.directed, wanted, random)
    if not len(others):
        raise ValueError(
            "graph_links: all pairs of nodes are linked, there are none to tell links "
            "from"
        )
    y = np.repeat([1, 0], [len(links), len(others)])
    # In the order of the graph, folds of cross-validation would be those of nodes.
    order = random.permutation(len(y))
    return LinkView(store, np.concatenate([links, others])[order]), y[order]


def _unlinked(n, links, directed, wanted, random):
    """Different pairs without a link; as many as there are, if these are few."""
    taken = np.sort(links[:, 0] * n + links[:, 1])
    there = n * (n - 1) if directed else n * (n - 1) // 2
    if there <= max(4 * (wanted + len(links)), 0) and n * n <= _LISTED:
        sources, targets = np.nonzero(~np.eye(n, dtype=bool))
        if not directed:
            sources, targets = (side[sources < targets] for side in (sources, targets))
        keys = np.setdiff1d(sources * n + targets, taken)
        keys = random.permutation(keys)[:wanted]
        return np.stack(np.divmod(keys, n), 1)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < min(wanted, there - len(links)):
        pairs = random.randint(0, n, (2 * (wanted - len(keys)) + 16, 2))
        pairs = pairs if directed else np.sort(pairs, axis=1)
        fresh = pairs[pairs[:, 0] != pairs[:, 1]] @ np.array([n, 1])
        fresh = fresh[~np.isin(fresh, taken)]
        keys = np.concatenate([keys, fresh])
        _, first = np.unique(keys, return_index=True)
        keys = keys[np.sort(first)][:wanted]
    return np.stack(np.divmod(keys, n), 1)


def link_split(
    graph: Any,
    *,
    test_size: float = 0.1,
    n_negatives: float = 1.0,
    random_state: Any = None,
) -> tuple[LinkView, LinkView, np.ndarray, np.ndarray]:
    """Split the links of a graph, and as many pairs that are none, without a leak.

    `graph_links` and scikit-learn's ``train_test_split``, stratified: a `LinkPredictor`
    fitted on the first part hears nothing of the links in the second.

    Parameters
    ----------
    graph : NodeView, or a graph in any form that `sknets.graph_nodes` reads
    test_size : float, default=0.1
        The share of the links, and of the other pairs, that is held out.
    n_negatives : float, default=1.0
        Pairs without a link for each link.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    links_train, links_test : LinkView
    y_train, y_test : ndarray of int
        1 for a link.

    Raises
    ------
    ValueError
        As `graph_links`, and as ``train_test_split``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import link_split
    >>> ring = np.roll(np.eye(30), 1, axis=1)
    >>> train, test, y_train, y_test = link_split(ring + ring.T, random_state=0)
    >>> len(train), len(test), int(y_test.sum())
    (54, 6, 3)
    """
    random = check_random_state(random_state)
    links, y = graph_links(graph, n_negatives=n_negatives, random_state=random)
    train, test, y_train, y_test = train_test_split(
        links, y, test_size=test_size, stratify=y, random_state=random
    )
    return train, test, y_train, y_test


def graph_of(graph: Graph, links: np.ndarray) -> Graph:
    """The graph with these links only; they weigh what they did."""
    n = graph.n_nodes
    sources, targets = links.T
    if not graph.directed:
        sources, targets = np.concatenate([links, links[:, ::-1]]).T
    values = np.ones(len(sources), dtype=np.float32)
    if graph.weights is not None and len(values):
        found = np.asarray(graph.adjacency()[targets, sources]).ravel()
        values = np.where(found == 0, 1, found).astype(np.float32)
    rows = sp.csr_array((values, (targets, sources)), shape=(n, n))
    rows.sum_duplicates()
    return Graph(
        rows.indptr,
        rows.indices,
        None if graph.weights is None else rows.data,
        graph.features,
        graph.ids,
        graph.directed,
    )


class LinkBatch:
    """Some pairs beside their graph.

    Attributes
    ----------
    of : NodeSamples
        The graph that messages go along.
    pairs : int64 tensor of shape (n, 2)
    """

    def __init__(self, of: NodeSamples, pairs: Tensor):
        self.of, self.pairs = of, pairs

    def __len__(self) -> int:
        return len(self.pairs)


class LinkSamples(Container):
    """The canonical container, a sample a pair.

    Parameters
    ----------
    of : NodeSamples
    pairs : int64 tensor of shape (n, 2)
    """

    def __init__(self, of: NodeSamples, pairs: Tensor):
        self.of, self.pairs = of, pairs
        self.dtype, self.device = of.dtype, of.device

    @property
    def graph(self) -> Graph:
        return self.of.graph

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, index: slice | Tensor) -> LinkBatch:
        return LinkBatch(self.of, self.pairs[index])

    def to(self, device: torch.device, dtype: torch.dtype) -> LinkSamples:
        return LinkSamples(self.of.to(device, dtype), self.pairs)


class Links(Reader):
    """Views of pairs of nodes; a graph, for all its links.

    Learned:

    n_node_features_ : int
        Columns of the features of nodes, 0 without.
    """

    name: ClassVar[str] = "links"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> LinkSamples:
        owner = self.who
        if not len(X):
            raise ValueError(f"{owner}: X has 0 pairs, at least 1 is needed")
        graph = X.graph
        if reset:
            self.n_node_features_ = graph.n_features
        elif graph.n_features != self.n_node_features_:
            raise ValueError(
                f"{owner}: the nodes have {graph.n_features} features, but those of "
                f"fit had {self.n_node_features_}"
            )
        everything = torch.arange(graph.n_nodes)
        pairs = torch.from_numpy(X.index.astype(np.int64))
        return LinkSamples(NodeSamples(graph, everything), pairs)


__all__ = [
    "LinkBatch",
    "LinkSamples",
    "LinkView",
    "Links",
    "graph_links",
    "graph_of",
    "link_split",
]
