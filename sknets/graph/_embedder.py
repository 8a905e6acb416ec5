"""Vectors of nodes, learned without labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import nn

from sknets._engine.data import Samples
from sknets._params import param
from sknets._unsupervised import Encoder
from sknets.graph._embedding_nets import Infomax, PairEncoder, WalkVectors
from sknets.graph._nets import GraphNet
from sknets.graph._nodes import NodeEstimator, refuse_negative_weights

# Nodes a step that walks begin at.
_WALKERS = 128


class GNNEmbedder(NodeEstimator, Encoder):
    """Vectors of nodes for any other model, learned from the graph alone.

    Parameters
    ----------
    method : {"node2vec", "gae", "vgae", "dgi", "graphsage"}, default="gae"
        - "node2vec" [1]_: a vector a node, alike for nodes that meet on random walks;
          for nodes of the graph of `fit` alone;
        - "gae", "vgae" [2]_: the (variational) graph autoencoder, graph layers whose
          outputs tell linked from other pairs of nodes by their products;
        - "dgi" [3]_: deep graph infomax, outputs that tell the graph from one with
          shuffled features;
        - "graphsage" [4]_: graph layers whose outputs are alike for nodes that meet on
          short random walks.
    n_components : int, default=64
        Numbers in a vector.
    conv : {"auto", "gcn", "sage", "gat", "gatv2", "gin"}, default="auto"
        The layer, as in `GNNClassifier`; "auto": "sage" for "graphsage", else "gcn".
        Not for "node2vec", like all parameters of layers.
    n_layers : int, default=2
        Layers on top of each other.
    hidden_size : int, default=64
        Numbers a node in the hidden layers.
    n_heads : int, default=8
        Heads of the hidden layers of "gat" and "gatv2".
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer.
    walk_length : int or None, default=None
        Steps of a random walk. None: 20, or 4 for "graphsage".
    window : int, default=10
        How many steps apart nodes of a walk are a pair, for "node2vec".
    n_walks : int, default=1
        Walks from each node in an epoch, for "node2vec".
    n_negatives : int, default=1
        Random nodes for each pair.
    p : float, default=1.0
        Of "node2vec": the larger, the more rarely a walk goes back at once.
    q : float, default=1.0
        Of "node2vec": the larger, the more a walk stays near where it was.
    node_features : {"auto", "given", "degree", "embedding"}, default="auto"
        What the first layer sees of a node, as in `GNNClassifier`.
    standardize : bool, "auto" or "rows", default="auto"
        How features are scaled, as in `GNNClassifier`.
    batch_size : int or "auto", default="auto"
        Nodes a step. "auto": 128 for "node2vec", else all of them, or 1,024 if the
        graph has more than a million nodes and neighbours.
    n_neighbors : int, tuple of int or None, default=10
        How many neighbours are drawn for a layer in training where steps do not take
        the whole graph, as in `GNNClassifier`.
    lr : float, default=0.01
        The learning rate, at the start of ``lr_schedule``.

    Attributes
    ----------
    node_features_ : str
        "given", "degree" or "embedding".
    node_ids_ : ndarray
        The nodes that have a learned vector, where they have one.
    n_node_features_ : int
        Columns of the features, 0 without.
    feature_scale_, x_mean_, x_scale_, batch_size_, n_neighbors_
        As in `GNNClassifier`.

    Notes
    -----
    X are nodes that carry their graph, from `sknets.graph_nodes`, or a graph. All
    methods but "node2vec" embed the nodes of graphs that `fit` has not seen, if these
    have features of the same width (or ``node_features="degree"``).

    Departures: one table of vectors serves both ends of a pair in "node2vec", and steps
    are Adam's. The pairs of "gae" and "vgae" are all edges of the nodes of a step, and
    as many other pairs, drawn anew each time and never linked. The mean of "dgi" is
    over the nodes of a step.

    Training is the same for all estimators: see `sknets._estimator.Estimator` for the
    other parameters and for the attributes of training.

    References
    ----------
    .. [1] A. Grover, J. Leskovec. node2vec: Scalable Feature Learning for Networks. KDD
       2016.
    .. [2] T. N. Kipf, M. Welling. Variational Graph Auto-Encoders. 2016.
    .. [3] P. Veličković et al. Deep Graph Infomax. ICLR 2019.
    .. [4] W. L. Hamilton, R. Ying, J. Leskovec. Inductive Representation Learning on
       Large Graphs. NeurIPS 2017.

    Examples
    --------
    Clusters of a graph of two groups:

    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknets import GNNEmbedder, graph_nodes
    >>> random = np.random.default_rng(0)
    >>> group = np.arange(40) // 20
    >>> likely = np.where(group[:, None] == group, 0.4, 0.02)
    >>> friends = np.triu(random.random((40, 40)) < likely, 1)
    >>> nodes = graph_nodes(friends | friends.T)
    >>> embedder = GNNEmbedder(
    ...     method="node2vec", n_components=8, random_state=0
    ... )
    >>> clusters = make_pipeline(embedder, KMeans(2, random_state=0)).fit_predict(nodes)
    >>> bool(adjusted_rand_score(group, clusters) > 0.9)
    True
    """

    method: Literal["node2vec", "gae", "vgae", "dgi", "graphsage"] = param(
        default="gae"
    )
    n_components: int = param(default=64, at_least=1)
    conv: Literal["auto", "gcn", "sage", "gat", "gatv2", "gin"] = param(default="auto")
    n_layers: int = param(default=2, at_least=1)
    hidden_size: int = param(default=64, at_least=1)
    n_heads: int = param(default=8, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    walk_length: int | None = param(default=None, at_least=1)
    window: int = param(default=10, at_least=1)
    n_walks: int = param(default=1, at_least=1)
    n_negatives: int = param(default=1, at_least=1)
    p: float = param(default=1.0, above=0)
    q: float = param(default=1.0, above=0)
    lr: float = param(default=0.01, above=0)

    @property
    def _n_layers(self) -> int:
        return self.n_layers

    @property
    def _conv(self) -> str:
        if self.conv != "auto":
            return self.conv
        return "sage" if self.method == "graphsage" else "gcn"

    def _check_params(self) -> None:
        super()._check_params()
        if self._conv in ("gat", "gatv2") and self.hidden_size % self.n_heads:
            sentence = f"n_heads={self.n_heads} must divide hidden_size"
            raise ValueError(self._refusal("hidden_size", sentence))

    def _learn_inputs(self, graph):
        if self.method == "node2vec":
            refuse_negative_weights(self, graph, "method", "sage")
            self.node_features_, self.node_ids_ = "embedding", graph.ids
            return
        refuse_negative_weights(self, graph, "conv", self._conv)
        super()._learn_inputs(graph)

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.method == "node2vec" and self.batch_size == "auto":
            self.batch_size_ = _WALKERS

    def _build(self) -> nn.Module:
        if self.method == "node2vec":
            return WalkVectors(
                len(self.node_ids_),
                self.n_components,
                self.walk_length or 20,
                self.window,
                self.n_walks,
                self.n_negatives,
                self.p,
                self.q,
            )
        inputs, width = self._first_layer(self.hidden_size)
        twice = 2 if self.method == "vgae" else 1
        hidden = [self.hidden_size] * (self.n_layers - 1)
        encoder = GraphNet(
            inputs,
            self._conv,
            [width, *hidden, twice * self.n_components],
            self.n_heads,
            self.dropout,
            False,
            self.n_neighbors_,
        )
        if self.method == "dgi":
            return Infomax(encoder, self.n_components)
        return PairEncoder(
            encoder,
            self.method == "vgae",
            self.method == "graphsage",
            self.walk_length or 4,
            self.n_negatives,
        )

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors of nodes.

        Parameters
        ----------
        X : NodeView of shape (n_samples,), or a graph
            Of the graph of `fit` or, except for "node2vec", of another.

        Returns
        -------
        vectors : ndarray of shape (n_samples, n_components)

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For nodes without a learned vector, where it needs one; for features of
            another width.
        """
        return self._outputs(X)

    @property
    def _n_features_out(self) -> int:
        return self.n_components


__all__ = ["GNNEmbedder"]
