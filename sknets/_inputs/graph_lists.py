"""Lists of graphs of unequal size, joined into one graph of separate parts."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from sknets._engine.containers import Container
from sknets._inputs.graph_reading import read_graph
from sknets._inputs.graph_store import Graph
from sknets._inputs.reader import Learned, Reader
from sknets._params import Declared, param

# A single column of whole numbers with more different ones is not a kind of node.
_MOST_KINDS = 64


class GraphParameters(Declared):
    """How lists of graphs are read."""

    node_attributes: str | tuple[str, ...] | None = param(default=None)
    categorical_features: bool | Literal["auto"] = param(default="auto")
    edge_weight: str | None = param(default="weight")


class ReadsGraphs(GraphParameters):
    """The parameters and attributes of every estimator that reads lists of graphs."""

    n_node_features_ = Learned()
    node_categories_ = Learned()


class GraphBatch:
    """Some graphs of a list.

    Attributes
    ----------
    of : GraphSamples
    graphs : int64 tensor of shape (n,)
        Positions in the list.
    """

    def __init__(self, of: GraphSamples, graphs: Tensor):
        self.of, self.graphs = of, graphs

    def __len__(self) -> int:
        return len(self.graphs)


class GraphSamples(Container):
    """The canonical container: nodes and edges of all graphs, one after the other.

    Parameters
    ----------
    graph : Graph
        All graphs as one; its features are None, or float32 and dense.
    starts : int64 ndarray of shape (n_graphs + 1,)
        Where the nodes of each graph begin.
    """

    def __init__(self, graph: Graph, starts: np.ndarray):
        self.graph, self.starts = graph, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, index: slice | Tensor) -> GraphBatch:
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)))
        return GraphBatch(self, index)


class GraphLists(Reader, GraphParameters):
    """Lists of graphs, each in a form that `sknets.graph_nodes` reads.

    Learned:

    n_node_features_ : int
        Columns of the features as the network sees them, 0 without.
    node_categories_ : list
        Of each column of the features: the different values of one that is made a
        column for each, or None for numbers.
    """

    name: ClassVar[str] = "graphs"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> GraphSamples:
        owner = self.who
        items = items_of(X)
        if items is None:
            raise ValueError(
                f"{owner}: X must be a list of graphs, got {type(X).__name__}"
                + (" (of one graph make a list, [X])" if is_graph(X) else "")
            )
        if not items:
            raise ValueError(f"{owner}: X has 0 graphs, at least 1 is needed")
        graphs: list[Graph] = []
        rows: list[Any] = []
        for i, item in enumerate(items):
            graph, own = _read(item, self, f"{owner}: X[{i}]")
            graphs.append(graph)
            rows.append(own)
        starts = np.cumsum([0] + [graph.n_nodes for graph in graphs])
        _check_widths(owner, rows, None if reset else self)
        features = None
        if rows[0] is not None:
            table: np.ndarray = np.concatenate(rows)
            if reset:
                self.node_categories_ = _learned_categories(self, table)
            features = _numbers(owner, table, self.node_categories_, starts)
        elif reset:
            self.node_categories_ = []
        if reset:
            self.n_node_features_ = 0 if features is None else features.shape[1]
        return GraphSamples(_joined(graphs, features), starts)


def items_of(X: Any) -> list[Any] | None:
    """The graphs of a list, an object array, a Series or a stack of matrices."""
    if isinstance(X, list | tuple):
        pair = isinstance(X, tuple) and len(X) == 2 and _is_matrix(X[0])
        return None if pair and not _is_square(X[1]) else list(X)
    ndim = getattr(X, "ndim", 0)
    if ndim == 3 or (ndim == 1 and getattr(X, "dtype", None) == np.object_):
        return list(X)
    return None


def _is_matrix(item: Any) -> bool:
    return sp.issparse(item) or (getattr(item, "ndim", 0) == 2)


def _is_square(item: Any) -> bool:
    return _is_matrix(item) and item.shape[0] == item.shape[1]


def is_graph(item: Any) -> bool:
    """Whether it looks like a graph; a plain array alone could be anything."""
    if isinstance(item, tuple):
        return len(item) == 2 and _is_square(item[0])
    store = getattr(item, "graph", item)
    networkx = hasattr(item, "adj") and hasattr(item, "is_directed")
    known = isinstance(store, Graph) or hasattr(item, "edge_index") or networkx
    return known or (sp.issparse(item) and _is_square(item))


def _read(item: Any, reader: Any, owner: str) -> tuple[Graph, np.ndarray | None]:
    """A graph, and a row of features for each of its nodes as they were given."""
    names = reader.node_attributes
    features: Any = None
    if isinstance(item, tuple) and len(item) == 2:
        item, features = item
    elif hasattr(item, "edge_index"):
        features = getattr(item, "x", None)
    elif names is not None and hasattr(item, "adj") and hasattr(item, "nodes"):
        names = (names,) if isinstance(names, str) else names
        features = _attributes(item, names, owner)
    graph = read_graph(item, edge_weight=reader.edge_weight, owner=owner)
    if features is None:
        features = graph.features
    if features is None:
        return graph, None
    if isinstance(features, Tensor):
        features = features.detach().cpu()
        features = (features.to_dense() if features.is_sparse else features).numpy()
    features = features.toarray() if sp.issparse(features) else np.asarray(features)
    if len(np.atleast_1d(features)) != graph.n_nodes or not features.size:
        raise ValueError(
            f"{owner}: the features must have a row for each of the {graph.n_nodes} "
            f"nodes and at least one column, got shape {features.shape}"
        )
    return graph, features.reshape(len(features), -1)


def _attributes(graph: Any, names: Any, owner: str) -> np.ndarray:
    """The attributes of networkx nodes, side by side."""
    rows: list[list[Any]] = []
    for node, attributes in graph.nodes(data=True):
        row: list[Any] = []
        for name in names:
            value = attributes.get(name)
            if value is None:
                raise ValueError(f"{owner}: node {node!r} has no attribute {name!r}")
            row.extend([value] if np.isscalar(value) else np.ravel(value))
        if rows and len(row) != len(rows[0]):
            raise ValueError(
                f"{owner}: node {node!r} has {len(row)} features, but others have "
                f"{len(rows[0])}"
            )
        rows.append(row)
    texts = any(isinstance(value, str) for row in rows for value in row)
    return np.array(rows, dtype=object if texts else None)


def _check_widths(owner: str, rows: list[Any], fitted: Any) -> None:
    """All graphs have as many features a node as the first, or as those of fit."""
    widths = [0 if row is None else row.shape[1] for row in rows]
    expected, source = widths[0], "X[0] has"
    if fitted is not None:
        expected, source = len(fitted.node_categories_), "those of fit had"
    for i, width in enumerate(widths):
        if width != expected:
            raise ValueError(
                f"{owner}: X[{i}] has {width or 'no'} features a node, but {source} "
                f"{expected or 'none'}"
            )


def _learned_categories(reader: Any, table: np.ndarray) -> list[Any]:
    """The different values of each column that holds kinds, not numbers."""
    found: list[Any] = []
    for column in table.T:
        whole = column.dtype.kind in "iu" and table.shape[1] == 1
        texts = column.dtype.kind in "USO" and any(isinstance(v, str) for v in column)
        kinds = reader.categorical_features
        if kinds == "auto":
            kinds = texts or (whole and len(np.unique(column)) <= _MOST_KINDS)
        values = column.astype(str) if texts else column
        found.append(np.unique(values) if kinds else None)
    return found


def _numbers(
    owner: str, table: np.ndarray, categories: list[Any], starts: np.ndarray
) -> np.ndarray:
    """The columns of numbers, and one for each value of those of kinds."""
    columns: list[np.ndarray] = []
    for column, known in zip(table.T, categories):
        if known is None or known.dtype.kind != "U":
            try:
                column = column.astype(np.float32)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{owner}: the features of nodes must be numbers ({error})"
                ) from error
            finite = np.isfinite(column)
            if not finite.all():
                node = int(finite.argmin())
                i = int(np.searchsorted(starts, node, side="right")) - 1
                raise ValueError(
                    f"{owner}: X[{i}] has NaN or infinity in the features of its node "
                    f"{node - starts[i]}"
                )
        else:
            column = column.astype(str)
        one_hot = known is not None
        columns.append(column[:, None] == known if one_hot else column[:, None])
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _joined(graphs: list[Graph], features: np.ndarray | None) -> Graph:
    """One graph of which the given ones are parts without links between them."""
    first_node = np.cumsum([0] + [graph.n_nodes for graph in graphs])
    first_edge = np.cumsum([0] + [graph.n_edges for graph in graphs])
    kind = np.int32 if max(first_node[-1], first_edge[-1]) < 2**31 else np.int64
    starts = [graph.starts[:-1] + first for graph, first in zip(graphs, first_edge)]
    neighbors = [graph.neighbors + first for graph, first in zip(graphs, first_node)]
    weights = None
    if any(graph.weights is not None for graph in graphs):
        weights = np.concatenate(
            [
                np.ones(g.n_edges, np.float32) if g.weights is None else g.weights
                for g in graphs
            ]
        )
    return Graph(
        np.concatenate([*starts, first_edge[-1:]]).astype(kind),
        np.concatenate(neighbors).astype(kind),
        weights,
        features,
        np.arange(first_node[-1]),
        any(graph.directed for graph in graphs),
    )


__all__ = [
    "GraphBatch",
    "GraphLists",
    "GraphSamples",
    "ReadsGraphs",
    "is_graph",
    "items_of",
]
