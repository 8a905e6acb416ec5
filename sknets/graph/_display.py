"""Pictures of graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from sknets._inputs.graph_store import Graph
from sknets._inputs.nodes import NodeView, view_of

# More nodes are a black cloud, and take minutes to lay out.
_MOST_NODES = 3000
_ROUNDS = 150
# Okabe and Ito's palette, as in `sknets.display`.
_COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


@dataclass(repr=False)
class GraphDisplay:
    """A graph, its nodes coloured by a prediction.

    Nodes attract those that they are linked to and repel all others [1]_, from the same
    start each time. Nodes with a known label have a black edge; of classes, those
    predicted wrongly are squares.

    Parameters
    ----------
    graph : Graph
    values : ndarray of shape (n_nodes,)
        Labels, or numbers, which get a scale of colours.
    positions : ndarray of shape (n_nodes, 2)
    known : bool ndarray of shape (n_nodes,)
        Which nodes have a black edge.
    wrong : bool ndarray of shape (n_nodes,)
        Which nodes are squares.
    numbers : bool, default=False
        Whether values are numbers on a scale.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    References
    ----------
    .. [1] T. Fruchterman, E. Reingold. Graph Drawing by Force-Directed Placement.
       Software: Practice and Experience 21, 1991.

    Examples
    --------
    >>> import networkx as nx
    >>> from sknets import GNNClassifier, GraphDisplay, graph_nodes
    >>> nodes = graph_nodes(nx.karate_club_graph())
    >>> net = GNNClassifier(max_epochs=20).fit(nodes[[0, 33]], ["Hi", "Officer"])
    >>> display = GraphDisplay.from_estimator(net, nodes, known=[0, 33])
    >>> display.figure_.savefig("club.png")  # doctest: +SKIP
    """

    graph: Graph
    values: np.ndarray
    positions: np.ndarray
    known: np.ndarray
    wrong: np.ndarray
    numbers: bool = False

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        known: Any = None,
        positions: Any = None,
        ax: Any = None,
    ) -> GraphDisplay:
        """Predict all nodes of a graph and draw them.

        Parameters
        ----------
        estimator : fitted estimator with ``predict``
        X : NodeView, or a graph in any form that `sknets.graph_nodes` reads
            All nodes of its graph are drawn.
        y : array-like of shape (n_nodes,), default=None
            True labels of all nodes, to show what is wrong.
        known : positions or mask of nodes, default=None
            The nodes that `fit` had labels of.
        positions : array-like of shape (n_nodes, 2), default=None
            Where nodes are drawn.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        GraphDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            For a graph of more than 3,000 nodes without positions.
        """
        graph = view_of(X, "GraphDisplay").graph
        values = np.asarray(
            estimator.predict(NodeView(graph, np.arange(graph.n_nodes)))
        )
        marked = np.zeros(graph.n_nodes, dtype=bool)
        if known is not None:
            marked[np.asarray(known)] = True
        classes = is_classifier(estimator)
        wrong = np.zeros(graph.n_nodes, dtype=bool)
        if y is not None and classes:
            wrong = values != np.asarray(y)
        places = spring_layout(graph) if positions is None else np.asarray(positions)
        return cls(graph, values, places, marked, wrong, not classes).plot(ax)

    def plot(self, ax: Any = None) -> GraphDisplay:
        """Draw on a figure of its own, or on ``ax``.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        GraphDisplay
            Itself, with `ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
            from matplotlib.collections import LineCollection
        except ImportError:
            raise ImportError(
                "plotting needs matplotlib, which is not installed: pip install "
                '"sknets[plot]"'
            ) from None
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 5), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        graph, at = self.graph, self.positions
        targets = np.repeat(np.arange(graph.n_nodes), np.diff(graph.starts))
        lines = np.stack([at[graph.neighbors], at[targets]], 1)
        ax.add_collection(LineCollection(list(lines), colors="0.75", linewidths=0.7))
        size = float(np.clip(6000 / graph.n_nodes, 12, 110))
        edges = np.where(self.known, "black", "white")
        widths = np.where(self.known, 2.0, 0.6)
        if self.numbers:
            shade = {"vmin": self.values.min(), "vmax": self.values.max()}
            dots = ax.scatter(
                *at.T, size, self.values, edgecolors=edges, linewidths=widths, **shade
            )
            self.figure_.colorbar(dots, ax=ax)
        else:
            for i, label in enumerate(np.unique(self.values)):
                for shape, chosen in (("o", ~self.wrong), ("s", self.wrong)):
                    rows = (self.values == label) & chosen
                    ax.scatter(
                        *at[rows].T,
                        size,
                        color=_COLORS[i % len(_COLORS)],
                        marker=shape,
                        edgecolors=edges[rows],
                        linewidths=widths[rows],
                        zorder=3,
                    )
                ax.plot([], [], "o", color=_COLORS[i % len(_COLORS)], label=str(label))
            if self.wrong.any():
                ax.plot([], [], "s", color="0.6", label="wrong")
            ax.legend(fontsize=9, frameon=False)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.margins(0.06)
        for side in ax.spines.values():
            side.set_visible(False)
        return self


def spring_layout(graph: Graph) -> np.ndarray:
    """Positions (n_nodes, 2) by forces, always the same."""
    n = graph.n_nodes
    if n > _MOST_NODES:
        raise ValueError(
            f"GraphDisplay: {n} nodes are too many to lay out, at most {_MOST_NODES}; "
            "give positions, or draw a part of the graph"
        )
    links = graph.adjacency()
    links = (links + links.T).tocoo()
    sources, targets = links.coords
    at = np.random.RandomState(0).uniform(-1, 1, (n, 2))
    ideal = 2 / np.sqrt(n)
    for round_ in range(_ROUNDS):
        apart = at[:, None] - at
        square = np.maximum((apart**2).sum(2), 1e-6)
        force = (apart * (ideal**2 / square)[:, :, None]).sum(1)
        pull = at[sources] - at[targets]
        pull *= np.sqrt((pull**2).sum(1, keepdims=True)) / ideal
        np.subtract.at(force, sources, pull)
        # Parts that nothing holds together do not fly away.
        force -= 0.3 * at
        length = np.sqrt((force**2).sum(1, keepdims=True))
        step = 0.2 * (1 - round_ / _ROUNDS)
        at += force / np.maximum(length, 1e-9) * np.minimum(length, step)
    return at


__all__ = ["GraphDisplay", "spring_layout"]
