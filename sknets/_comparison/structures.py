"""Lists of graphs for `compare`: what they are, and a table of simple statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, TransformerMixin

from sknets._inputs import GraphLists, ReadsGraphs
from sknets._inputs.graph_lists import GraphSamples

# A column for each number of neighbours up to this, the last for more.
_DEGREES = 8


class GraphStatistics(TransformerMixin, ReadsGraphs, BaseEstimator):
    """A row a graph, for models of tables.

    The number of nodes, of edges (an undirected one counts twice) and of components,
    the share of pairs with an edge, how many nodes have 0, 1, ... neighbours, and the
    sums and the means of the features of nodes.
    """

    def fit(self, X: Any, y: Any = None) -> GraphStatistics:
        """Learn the width of the features and the kinds of nodes."""
        GraphLists.check(self, X, reset=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return (n_graphs, 13 + 2 * n_node_features) numbers."""
        samples = GraphLists.check(self, X, reset=False)
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


def read_graphs(X: Any) -> tuple[list[str], list[str]]:
    """Return the facts and the notes about graphs.

    Raises
    ------
    ValueError
        When they cannot be read; the sentence is ``compare``'s.
    """
    reader = GraphStatistics()
    try:
        samples: GraphSamples = GraphLists.check(reader, X, reset=True)
    except ValueError as error:
        why = str(error).removeprefix("GraphStatistics").lstrip(": ")
        raise ValueError(f"compare(X=...): {why}") from error
    sizes, n = np.diff(samples.starts), reader.n_node_features_
    least, most = int(sizes.min()), int(sizes.max())
    nodes = f"{least} nodes" if least == most else f"{least} to {most} nodes"
    traits = f"{n} features a node" if n else "no node features"
    notes = ["classical models see counts of nodes and edges and sums of node features"]
    return [f"{len(samples):,} graphs of {nodes}, {traits}"], notes


__all__ = ["GraphStatistics", "read_graphs"]
