"""Nodes of a graph: an array-like that carries the graph by reference."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sknets._engine.containers import Container
from sknets._inputs.graph_reading import read_graph
from sknets._inputs.graph_store import Graph
from sknets._inputs.reader import Reader


class NodeView:
    """Nodes of one graph, to be split, shuffled and chosen from like an array.

    Made by `sknets.graph_nodes`. The graph itself is shared by all views and never
    copied.

    Parameters
    ----------
    graph : Graph
    index : int ndarray of shape (n,)
        Positions of the nodes in the graph.

    Attributes
    ----------
    shape : tuple
        ``(n,)``.
    ids : ndarray of shape (n,)
        What the nodes are called.
    """

    ndim = 1

    def __init__(self, graph: Graph, index: np.ndarray):
        self.graph, self.index = graph, index

    @property
    def shape(self) -> tuple[int]:
        return (len(self.index),)

    @property
    def ids(self) -> np.ndarray:
        return self.graph.ids[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> NodeView:
        """The view of the nodes chosen by a position, positions, a mask or a slice."""
        return NodeView(self.graph, np.atleast_1d(self.index[key]))

    def with_ids(self, ids: Any) -> NodeView:
        """Return the view of the nodes with these names.

        Parameters
        ----------
        ids : list or array of names

        Returns
        -------
        nodes : NodeView

        Raises
        ------
        ValueError
            For a name that is not in the graph.
        """
        return NodeView(self.graph, self.graph.positions(ids, "with_ids"))

    def __repr__(self) -> str:
        return f"NodeView({len(self)} of the nodes of {self.graph!r})"


def graph_nodes(
    graph: Any,
    *,
    features: Any = None,
    edge_weight: str | None = "weight",
    directed: bool | None = None,
    k_neighbors: int | None = None,
    radius: float | None = None,
) -> NodeView:
    """Return the nodes of a graph as an X for estimators and for model selection.

    Parameters
    ----------
    graph : networkx graph, adjacency, (adjacency, features), edges, PyG Data, points
        - a networkx graph, with node ids of any hashable kind;
        - a square adjacency matrix, SciPy sparse or an array: entry (i, j) is the
          weight of the edge from i to j, stored zeros are no edges;
        - a tuple of such a matrix and the features;
        - a DataFrame of edges with the columns "source" and "target" and, if it has
          one, ``edge_weight``;
        - a `torch_geometric.data.Data`, of which ``x``, ``edge_index`` and
          ``edge_weight`` (or an ``edge_attr`` of one column) are read;
        - points in space, an array of shape (n_points, n_dimensions), with
          ``k_neighbors`` or ``radius``.
    features : array, sparse matrix, DataFrame or names, default=None
        Numbers of each node, of shape (n_nodes, n_features): a DataFrame's index names
        the nodes, and those of edges must be among them; of networkx, a list of names
        of node attributes. Points are their own features by default.
    edge_weight : str or None, default="weight"
        The edge attribute of networkx, or column of edges, with the weights, if there
        is one; None ignores weights.
    directed : bool, default=None
        Whether edges lead one way only. None: as networkx says; not for edges in a
        DataFrame; a matrix or PyG Data is directed if it is not symmetric. False makes
        every edge lead both ways.
    k_neighbors : int, default=None
        Points are linked to so many nearest ones, in both directions.
    radius : float, default=None
        Points are linked to all within this distance.

    Returns
    -------
    nodes : NodeView
        All nodes, in the order of the graph; ``nodes.ids`` has their names.

    Raises
    ------
    ValueError
        For a matrix that is not square, features that do not fit the nodes or are no
        finite numbers, an edge to a node without features, a graph without nodes.

    Notes
    -----
    Isolated nodes and self-loops are legal. An edge that is listed several times is one
    edge; its weights are added, unless all edges are listed both ways. A graph without
    edges is legal: each node stands for itself. A graph is read once and is immutable:
    views, copies and threads share it, and so do the tasks of one worker process.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknets import graph_nodes
    >>> edges = pd.DataFrame({"source": ["ann", "bob"], "target": ["bob", "cid"]})
    >>> nodes = graph_nodes(edges)
    >>> len(nodes), nodes[[0, 2]].ids.tolist()
    (3, ['ann', 'cid'])
    """
    store = read_graph(
        graph,
        features=features,
        edge_weight=edge_weight,
        directed=directed,
        k_neighbors=k_neighbors,
        radius=radius,
    )
    return NodeView(store, np.arange(store.n_nodes))


def view_of(X: Any, owner: str) -> NodeView:
    """A view as it is, of a graph all nodes; ``owner`` begins an error's sentence."""
    if isinstance(X, NodeView):
        return X
    graph = read_graph(X, owner=owner)
    return NodeView(graph, np.arange(graph.n_nodes))


class NodeBatch:
    """Some nodes beside their graph.

    Attributes
    ----------
    of : NodeSamples
    nodes : int64 tensor of shape (n,)
        Positions in the graph.
    """

    def __init__(self, of: NodeSamples, nodes: Tensor):
        self.of, self.nodes = of, nodes

    def __len__(self) -> int:
        return len(self.nodes)


class NodeSamples(Container):
    """The canonical container, a sample a node.

    Parameters
    ----------
    graph : Graph
    nodes : int64 tensor of shape (n,)
    places : int ndarray of shape (n_nodes,) or None
        Which of the nodes that `fit` knows each node of the graph is, if that matters.
    """

    def __init__(self, graph: Graph, nodes: Tensor, places: np.ndarray | None = None):
        self.graph, self.nodes, self.places = graph, nodes, places

    def __len__(self) -> int:
        return len(self.nodes)

    def batch(self, index: slice | Tensor) -> NodeBatch:
        return NodeBatch(self, self.nodes[index])


class Nodes(Reader):
    """Views of nodes, or a graph for all its nodes.

    Learned:

    n_node_features_ : int
        Columns of the features, 0 without.
    """

    name: ClassVar[str] = "nodes"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> NodeSamples:
        owner = self.who
        X = view_of(X, owner)
        graph = X.graph
        if not len(X):
            raise ValueError(f"{owner}: X has 0 nodes, at least 1 is needed")
        if reset:
            self.n_node_features_ = graph.n_features
        elif graph.n_features != self.n_node_features_:
            had = self.n_node_features_
            raise ValueError(
                f"{owner}: the nodes have {graph.n_features or 'no'} features, but "
                f"those of fit had {had or 'none'}"
            )
        return NodeSamples(graph, torch.from_numpy(X.index.astype(np.int64)))


__all__ = ["NodeBatch", "NodeSamples", "NodeView", "Nodes", "graph_nodes", "view_of"]
