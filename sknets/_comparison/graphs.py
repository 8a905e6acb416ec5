"""Graphs and their nodes for `compare`: what they are, and tables of statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, TransformerMixin

from sknets._inputs import GraphLists, GraphParameters, Nodes
from sknets._inputs.graph_lists import GraphSamples
from sknets._inputs.nodes import NodeView

# A column for each number of neighbours up to this, the last for more.
_DEGREES = 8


class GraphStatistics(TransformerMixin, GraphParameters, BaseEstimator):
    """A row a graph, for models of tables.

    The number of nodes, of edges (an undirected one counts twice) and of components,
    the share of pairs with an edge, how many nodes have 0, 1, ... neighbours, and the
    sums and the means of the features of nodes.
    """

    def fit(self, X: Any, y: Any = None) -> GraphStatistics:
        """Learn the width of the features and the kinds of nodes."""
        self.reader_ = GraphLists.of(self)
        self.reader_.learn(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (n_graphs, 13 + 2 * n_node_features) numbers."""
        samples = self.reader_.read(X)
        graph, sizes = samples.graph, np.diff(samples.starts)
        of = np.repeat(np.arange(len(samples)), sizes)
        degrees = graph.degrees()
        histogram = np.zeros((len(samples), _DEGREES + 1))
        np.add.at(histogram, (of, np.minimum(degrees, _DEGREES)), 1)
        edges = np.bincount(of, degrees, minlength=len(samples))
        _, parts = connected_components(graph.adjacency(), directed=False)
        _, first = np.unique(parts, return_index=True)
        pieces = np.bincount(of[first], minlength=len(samples))
        columns = [sizes, edges, pieces, edges / sizes**2]
        table = [np.stack(columns, axis=1), histogram]
        if graph.features is not None:
            sums = np.add.reduceat(graph.features, samples.starts[:-1], dtype=float)
            table += [sums, sums / sizes[:, None]]
        return np.concatenate(table, axis=1)


class NodeStatistics(TransformerMixin, BaseEstimator):
    """A row a node, for models of tables.

    The features of a node and their mean over its neighbours, its number of neighbours
    and the mean of theirs. Sparse if the features are.
    """

    def fit(self, X: Any, y: Any = None) -> NodeStatistics:
        """Learn the width of the features."""
        self.reader_ = Nodes.of(self)
        self.reader_.learn(X)
        return self

    def transform(self, X: Any) -> Any:
        """Return (n_nodes, 2 + 2 * n_node_features) numbers."""
        samples = self.reader_.read(X)
        graph, rows = samples.graph, samples.nodes.numpy()
        degrees = graph.degrees().astype(float)
        links = graph.adjacency()
        links.data = np.ones(len(links.data))
        mean = sp.diags_array(1 / np.maximum(degrees, 1)) @ links
        columns = np.stack([degrees, mean @ degrees], axis=1)
        if graph.features is None:
            return columns[rows]
        tables = [graph.features[rows], (mean @ graph.features)[rows], columns[rows]]
        return (sp.hstack if sp.issparse(graph.features) else np.hstack)(tables)


def describe_nodes(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about nodes of a graph.

    Raises
    ------
    ValueError
        When they are none.
    """
    if not isinstance(X, NodeView):
        raise ValueError(
            "compare(data='nodes'): X must be nodes of a graph, as graph_nodes(graph) "
            f"gives them, got {type(X).__name__}"
        )
    graph = X.graph
    traits = f"{graph.n_features} features" if graph.n_features else "no features"
    fact = f"{len(X):,} nodes with {traits} of a graph of {graph.n_nodes:,}"
    notes = [
        "all models see the whole graph, but of the nodes that are learned from alone "
        "the y; classical models see a node's features and the mean of its neighbours'"
    ]
    n_links = graph.n_edges
    if not graph.directed:  # both ways, but a node to itself once
        n_links = (n_links + int(np.count_nonzero(graph.adjacency().diagonal()))) // 2
    return [f"{fact} and {n_links:,} links"], notes


def describe_graphs(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about graphs.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    reader = GraphLists.of(GraphStatistics())
    try:
        samples: GraphSamples = reader.learn(X)
    except ValueError as error:
        why = str(error).removeprefix("GraphStatistics").lstrip(": ")
        raise ValueError(f"compare(X=...): {why}") from error
    sizes, n = np.diff(samples.starts), reader.n_node_features_
    least, most = int(sizes.min()), int(sizes.max())
    nodes = f"{least} nodes" if least == most else f"{least} to {most} nodes"
    traits = f"{n} features a node" if n else "no node features"
    notes = ["classical models see counts of nodes and edges and sums of node features"]
    return [f"{len(samples):,} graphs of {nodes}, {traits}"], notes


__all__ = ["GraphStatistics", "NodeStatistics", "describe_graphs", "describe_nodes"]
