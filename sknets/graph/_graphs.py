"""Graph networks that tell classes or numbers of whole graphs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import nn

from sknets._engine.data import Samples
from sknets._engine.moments import Moments
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import GraphLists, ReadsGraphs
from sknets._inputs.graph_lists import GraphSamples
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets.graph._nets import N_DEGREE_COLUMNS
from sknets.graph._nodes import refuse_negative_weights
from sknets.graph._pooled import PooledNet


class _OnGraphs(
    ReadsGraphs, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """The networks of whole graphs, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (GraphLists,)
    _predict_batch_size: ClassVar[int] = 128

    conv: Literal["gin", "gcn", "sage", "gat", "gatv2"] = param(default="gin")
    n_layers: int = param(default=3, at_least=1)
    hidden_size: int = param(default=32, at_least=1)
    n_heads: int = param(default=4, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    norm: Literal["layer", "batch"] | None = param(default="batch")
    pooling: Literal["sum", "mean", "max"] = param(default="sum")
    jumping_knowledge: bool = param(default=True)
    node_features: Literal["auto", "given", "degree", "constant"] = param(
        default="auto"
    )
    standardize: bool = param(default=True)
    _budget = Budget(epochs=50, steps=250)
    lr: float = param(default=0.01, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    weight_decay: float = param(default=0.0001, at_least=0)

    def _check_params(self) -> None:
        super()._check_params()
        attends = self.conv in ("gat", "gatv2")
        if attends and self.hidden_size % self.n_heads:
            sentence = f"n_heads={self.n_heads} must divide hidden_size"
            raise ValueError(self._refusal("hidden_size", sentence))

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> GraphSamples:
        samples = super()._check_input(X, reset=reset, seen=seen)
        refuse_negative_weights(self, samples.graph, "conv", self.conv)
        if reset:
            bare = samples.graph.features is None
            kind = self.node_features
            if kind == "auto":
                kind = "degree" if bare else "given"
            if kind == "given" and bare:
                sentence = "the graphs have no features; give some, or take 'degree'"
                raise ValueError(self._refusal("node_features", sentence))
            self.node_features_ = kind
        return samples

    def _learn_statistics(self, samples: Samples) -> None:
        sizes, weight = np.diff(samples.x.starts), samples.weight_of_all()
        counts = None if weight is None else np.repeat(weight, sizes)
        unit = 1.0 if weight is None else samples.total_weight / len(samples)

        def known(name: str, columns: np.ndarray, w: np.ndarray | None) -> Moments:
            own = None if w is None else torch.from_numpy(w * unit)
            values = torch.from_numpy(columns.astype(np.float64))
            return self.chunks_.add(name, Moments.of(lambda: [(values, own)]))

        self.mean_size_ = float(known("sizes", sizes[:, None], weight).mean[0])
        self.x_mean_ = self.x_scale_ = None
        if self.node_features_ != "given" or not self.standardize:
            return
        table = samples.x.graph.features
        plain = known("not binary", (table != 0) & (table != 1), None).mean == 0
        x = known("x", table, counts)
        varies = ~plain & (x.deviation > 1e-6 * (1 + np.abs(x.mean)))
        self.x_mean_ = np.where(varies, x.mean, 0.0)
        self.x_scale_ = np.where(varies, x.deviation, 1.0)

    def _restate(self, module: Any) -> None:
        super()._restate(module)
        module.set_mean_size(self.mean_size_)

    def _build(self) -> nn.Module:
        widths = {"degree": N_DEGREE_COLUMNS, "constant": 1}
        return PooledNet(
            self.node_features_,
            self.x_mean_,
            self.x_scale_,
            self.conv,
            widths.get(self.node_features_, self.n_node_features_),
            self.hidden_size,
            self.n_layers,
            self._n_outputs,
            self.n_heads,
            self.dropout,
            self.norm,
            self.pooling,
            self.jumping_knowledge,
            self.mean_size_,
        )

    def transform(self, X: Any) -> np.ndarray:
        """Return the vectors that graphs are pooled to: what the output is made from.

        Parameters
        ----------
        X : list of graphs

        Returns
        -------
        vectors : ndarray of shape (n_samples, n_features_out)
        """
        return self._outputs(X, features=True)

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


class GraphClassifier(_OnGraphs, Classifier):
    """Graph network that tells classes of whole graphs [1]_ [2]_.

    Parameters
    ----------
    conv : {"gin", "gcn", "sage", "gat", "gatv2"}, default="gin"
        The layer: graph isomorphism [1]_, sums over neighbours and two dense layers;
        graph convolution; GraphSAGE with means; graph attention and its second form.
    n_layers : int, default=3
        Layers on top of each other: so many steps away a node hears from.
    hidden_size : int, default=32
        Numbers a node in each layer, of all heads together.
    n_heads : int, default=4
        Heads of "gat" and "gatv2".
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer but the first,
        and before the output.
    norm : {"layer", "batch"} or None, default="batch"
        Normalisation after each layer, of each node alone or over the nodes of a batch.
        The latter predicts by running means over steps, which are unreliable where data
        is small or nodes are alike.
    pooling : {"sum", "mean", "max"}, default="sum"
        What is made of the states of all nodes: sums tell sizes and counts [1]_, means
        shares, the largest values whether there is such a node at all.
    jumping_knowledge : bool, default=True
        Whether the vector of a graph joins what all layers, the input included, are
        pooled to [2]_; otherwise it is that of the last layer.
    node_features : {"auto", "given", "degree", "constant"}, default="auto"
        What the first layer sees of a node: its features; its number of neighbours (the
        logarithm, and a column for each number up to 16); or a 1. "auto": its features,
        or its number of neighbours if the graphs have none.
    node_attributes : str or tuple of str, default=None
        Names of the node attributes of networkx graphs that are their features:
        numbers, arrays or strings.
    categorical_features : bool or "auto", default="auto"
        Whether each column of the features holds kinds of nodes and becomes a column of
        0 and 1 for each of them. "auto": columns of strings, and a single column of
        integers with at most 64 different ones. A kind that `fit` has not seen is 0 in
        all of these columns.
    edge_weight : str or None, default="weight"
        The attribute of networkx edges with the weights, if there is one; None ignores
        it.
    standardize : bool, default=True
        Whether features are centred and scaled by their standard deviation over all
        nodes; columns of nothing but 0 and 1 are left as they are.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often training goes through the graphs. "auto" are 50 epochs, or as many as
        make 250 steps.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.0001
        L2 penalty of weight matrices; biases are left alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    n_node_features_ : int
        Columns of the features, those made of kinds of nodes included; 0 without.
    node_categories_ : list
        Of each column of the features as they were given the kinds that have a column
        each, or None if it holds numbers.
    node_features_ : str
        "given", "degree" or "constant".
    x_mean_, x_scale_ : ndarray of shape (n_node_features_,)
        What features are centred and scaled by, where they are.
    mean_size_ : float
        Nodes of a graph on average, by which sums are divided above the pooled vectors.

    See Also
    --------
    GNNClassifier : classes of the nodes of one graph.

    Notes
    -----
    X is a list (or an object array, or a Series) of graphs of unequal size, each one in
    a form that `sknets.graph_nodes` reads: networkx, PyTorch Geometric's ``Data``, an
    adjacency matrix, sparse or an array, or a tuple ``(adjacency, features)``. Graphs
    without edges and isolated nodes are legal, graphs without nodes are not. Edge
    weights count for "gin", "gcn" and "sage"; other features of edges are not read. In
    a directed graph a node hears from those with an edge to it.

    The order of nodes, of graphs and the size of batches never change a prediction
    beyond rounding. The layers are those of PyTorch Geometric, with equal results from
    equal weights. All graphs are read once and joined into flat arrays, of which a
    batch is gathered without a loop over graphs.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] K. Xu, W. Hu, J. Leskovec, S. Jegelka. How Powerful are Graph Neural
       Networks? ICLR 2019. Here with a dense hidden layer above the pooled vectors, and
       with normalisation after each layer but not within.
    .. [2] K. Xu et al. Representation Learning on Graphs with Jumping Knowledge
       Networks. ICML 2018. Here of whole graphs, as in [1]_.

    Examples
    --------
    Rings, beside chains of as many nodes:

    >>> import networkx as nx
    >>> from sknets import GraphClassifier
    >>> sizes = range(4, 24, 2)
    >>> X = [make(n) for n in sizes for make in (nx.cycle_graph, nx.path_graph)]
    >>> y = ["ring", "chain"] * 10
    >>> net = GraphClassifier(max_epochs=30, random_state=0).fit(X, y)
    >>> net.predict([nx.cycle_graph(15), nx.path_graph(15)]).tolist()
    ['ring', 'chain']

    Kinds of nodes are read from an attribute:

    >>> for graph in X:
    ...     for node in graph:
    ...         graph.nodes[node]["symbol"] = "C" if node % 5 else "O"
    >>> net = GraphClassifier(node_attributes="symbol", max_epochs=5, random_state=0)
    >>> net.fit(X, y).transform(X).shape
    (20, 98)
    """


class GraphRegressor(_OnGraphs, Regressor):
    """Graph network that predicts numbers of whole graphs.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.GraphClassifier`; without classes there is no ``class_weight``.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    See Also
    --------
    GNNRegressor : numbers of the nodes of one graph.

    Examples
    --------
    The number of triangles:

    >>> import networkx as nx
    >>> from sknets import GraphRegressor
    >>> X = [nx.gnp_random_graph(8 + i % 8, 0.3, seed=i) for i in range(200)]
    >>> y = [sum(nx.triangles(graph).values()) / 3 for graph in X]
    >>> net = GraphRegressor(max_epochs=20, random_state=0).fit(X[:150], y[:150])
    >>> bool(net.score(X[150:], y[150:]) > 0.7)
    True
    """


__all__ = ["GraphClassifier", "GraphRegressor"]
