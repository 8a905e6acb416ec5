"""Graph networks that tell classes or numbers of nodes."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import is_classifier
from torch import nn

from sknets._engine.callbacks import with_callbacks
from sknets._engine.containers import Cache
from sknets._engine.data import Samples
from sknets._engine.moments import Moments
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Nodes
from sknets._inputs.graph_store import Graph, positions
from sknets._inputs.nodes import NodeSamples, NodeView, view_of
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._targets import given_target
from sknets._tasks import Classifier, Regressor
from sknets.graph._labels import by_name, split_labels, without_gaps
from sknets.graph._nets import N_DEGREE_COLUMNS, GraphNet, Inputs

# Up to so many nodes and edges a step takes the whole graph.
_LARGE = 1_000_000
_BATCH = 1024


class NodeEstimator(Estimator):
    """What the estimators of nodes share: their input."""

    _inputs: ClassVar[tuple[Any, ...]] = (Nodes,)
    # A small graph is one batch, whatever its size.
    _budget = Budget(epochs=100, steps=0)
    n_node_features_ = Learned()
    # What is shared by neighbours is computed once for all.
    _predict_batch_size: ClassVar[int] = sys.maxsize

    node_features: Literal["auto", "given", "degree", "embedding"] = param(
        default="auto"
    )
    standardize: bool | Literal["auto", "rows"] = param(default="auto")
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    n_neighbors: int | tuple[int, ...] | None = param(default=10, at_least=1)

    @property
    def _n_layers(self) -> int:
        raise NotImplementedError

    def _check_params(self) -> None:
        super()._check_params()
        k = self.n_neighbors
        if isinstance(k, tuple | list) and len(k) != self._n_layers:
            sentence = f"give a number for each of the {self._n_layers} layers, or one"
            raise ValueError(self._refusal("n_neighbors", sentence))

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> NodeSamples:
        samples = super()._check_input(X, reset=reset, seen=seen)
        graph = samples.graph
        if reset:
            self._learn_inputs(graph)
        elif self.node_features_ == "embedding":
            samples.places = self._known_places(graph)
        return samples

    def _learn_inputs(self, graph: Graph) -> None:
        """Fitted attributes that tell what the first layer sees."""
        kind = self.node_features
        if kind == "auto":
            kind = "embedding" if graph.features is None else "given"
        if kind == "given" and graph.features is None:
            sentence = "the graph has no features; give some, or take 'degree'"
            raise ValueError(self._refusal("node_features", sentence))
        self.node_features_ = kind
        self.feature_scale_ = "none"
        if kind == "embedding":
            self.node_ids_ = graph.ids
        if kind == "given":
            self._learn_scale(graph.features)

    def _learn_scale(self, features: Any) -> None:
        how = self.standardize
        sparse = sp.issparse(features)
        if how == "auto":
            counts = sparse and features.data.min(initial=0) >= 0
            how = "rows" if counts else True
        self.feature_scale_ = "rows" if how == "rows" else "columns" if how else "none"

    def _restate(self, module: nn.Module) -> None:
        super()._restate(module)
        for part in module.modules():  # scaled features are kept there
            if isinstance(part, GraphNet):
                part.cache = Cache()

    def _learn_columns(self, features: Any) -> None:
        sparse = sp.issparse(features)
        if sparse:
            mean = np.asarray(features.mean(0)).ravel()
            squares = np.asarray(features.multiply(features).mean(0)).ravel()
            variance = np.maximum(squares - mean**2, 0)
        else:
            mean = features.mean(0, dtype=np.float64)
            variance = features.var(0, dtype=np.float64)
        n = features.shape[0]
        deviation = np.sqrt(variance.astype(np.float64))
        own = Moments(mean.astype(np.float64), deviation, float(n), n)
        known = self.chunks_.add("x", own)
        self.x_mean_ = known.mean * (not sparse)
        varies = known.deviation > 1e-9 * (1 + np.abs(self.x_mean_))
        self.x_scale_ = np.where(varies, known.deviation, 1.0)

    def _known_places(self, graph: Graph) -> np.ndarray | None:
        """Which of the nodes of `fit` each node is, None if they are the same."""
        owner = type(self).__name__
        known = self.node_ids_
        if graph.ids is known or np.array_equal(graph.ids, known):
            return None
        try:
            return positions(known, graph.ids, f"{owner}: the graph of fit")
        except ValueError as error:
            raise ValueError(
                f"{error}, and without features a node is known by name alone: give "
                "the graphs features, or set node_features='degree'"
            ) from None

    def _learn_statistics(self, samples: Samples) -> None:
        graph = samples.x.graph
        if getattr(self, "feature_scale_", "none") == "columns":
            self._learn_columns(graph.features)
        self.batch_size_ = self.batch_size
        small = graph.n_nodes + graph.n_edges <= _LARGE
        if self.batch_size == "auto":
            self.batch_size_ = max(graph.n_nodes, len(samples)) if small else _BATCH
        if self.chunks_.n > 1:
            return
        k, self.n_neighbors_ = self.n_neighbors, None
        if k is not None and not (small and self.batch_size == "auto"):
            given = k if isinstance(k, tuple | list) else (k,) * self._n_layers
            self.n_neighbors_ = tuple(int(one) for one in given)

    def _batch_size(self) -> int:
        return int(self.batch_size_)

    def _first_layer(self, size: int) -> tuple[Inputs, int]:
        """What the first layer sees, and how wide it is."""
        kind = self.node_features_
        if kind == "degree":
            return Inputs(kind, "none"), N_DEGREE_COLUMNS
        if kind == "embedding":
            n = len(self.node_ids_)
            return Inputs(kind, "none", n_nodes=n, size=size), size
        columns = self.feature_scale_ == "columns"
        scales = (self.x_mean_, self.x_scale_) if columns else ()
        return Inputs(kind, self.feature_scale_, *scales), self.n_node_features_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


class _NodeTask(NodeEstimator):
    """Networks with an output for each node."""

    conv: Literal["gcn", "sage", "gat", "gatv2", "gin"] = param(default="gcn")
    n_layers: int = param(default=2, at_least=1)
    hidden_size: int = param(default=64, at_least=1)
    n_heads: int = param(default=8, at_least=1)
    dropout: float = param(default=0.5, at_least=0, below=1)
    residual: bool = param(default=False)
    _budget = Budget(epochs=200, steps=0)
    lr: float = param(default=0.005, above=0)
    weight_decay: float = param(default=5e-4, at_least=0)
    n_iter_no_change: int = param(default=50, at_least=1)

    @property
    def _n_layers(self) -> int:
        return self.n_layers

    def _check_params(self) -> None:
        super()._check_params()
        attends = self.conv in ("gat", "gatv2")
        if attends and self.hidden_size % self.n_heads:
            sentence = f"n_heads={self.n_heads} must divide hidden_size"
            raise ValueError(self._refusal("hidden_size", sentence))

    def _learn_inputs(self, graph: Graph) -> None:
        refuse_negative_weights(self, graph, "conv", self.conv)
        super()._learn_inputs(graph)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on labelled nodes; messages come from the whole graph.

        Parameters
        ----------
        X : NodeView of shape (n_samples,), or a graph
            A graph, in any form that `sknets.graph_nodes` reads, stands for all of its
            nodes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            None and NaN mark nodes without a label, and so does -1 where all labels
            are integers. A Series (or DataFrame) whose index holds the names of the
            nodes in another order is matched by name; one that counts 0, 1, 2, ... is
            in the order of the nodes.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; a weight of 0 is a node without a label.
        X_val : NodeView or graph, default=None
            Nodes to validate by, with ``early_stopping``, instead of a share of X.
        y_val : array-like, default=None
            Their labels.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for a y of another length, without a
            labelled node, for a single class, for negative edge weights that the layer
            cannot take.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or R², on the labelled ones of the nodes.

        Parameters
        ----------
        X : NodeView of shape (n_samples,), or a graph
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Nodes without a label, as in `fit`, do not count.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        X, y, sample_weight = self._labelled(X, y, sample_weight)
        return super().score(X, y, sample_weight)

    def _labelled(self, X: Any, y: Any, weight: Any) -> tuple[NodeView, Any, Any]:
        """The nodes that have labels."""
        owner = type(self).__name__
        X = view_of(X, owner)
        y = by_name(X.ids, given_target(y, owner, len(X)))
        weight = by_name(X.ids, weight)
        if not len(X):
            return X, y, weight
        known, values = split_labels(y)
        if known.all():
            return X, y, weight
        if not known.any():
            raise ValueError(
                f"{owner}: y has no label, only None, NaN or -1, which mark nodes "
                "without one"
            )
        if weight is not None and np.ndim(weight) and len(weight) == len(known):
            weight = np.asarray(weight)[known]
        values = without_gaps(values, known)
        hidden = [label is not pd.NA and label == -1 for label in np.asarray(y)[~known]]
        if is_classifier(self) and all(hidden) and np.all(values == 1):
            raise ValueError(
                f"{owner}: y has no class but 1, as -1 marks nodes without a label: "
                "give the classes -1 and 1 other names"
            )
        return X[known], values, weight

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        X, y, sample_weight = self._labelled(X, y, sample_weight)
        return super()._read(X, y, sample_weight, reset=reset, classes=classes)

    def _build(self) -> nn.Module:
        inputs, width = self._first_layer(self.hidden_size)
        hidden = [self.hidden_size] * (self.n_layers - 1)
        return GraphNet(
            inputs,
            self.conv,
            [width, *hidden, self._n_outputs],
            self.n_heads,
            self.dropout,
            self.residual,
            self.n_neighbors_,
        )


def refuse_negative_weights(estimator: Any, graph: Graph, name: str, conv: str) -> None:
    """For what divides by sums of weights; ``name`` is the parameter that says so."""
    if conv not in ("gcn", "sage") or graph.weights is None:
        return
    least = graph.weights.min(initial=0)
    if least < 0:
        sentence = f"it needs edge weights that are not negative, got {least!s}"
        raise ValueError(estimator._refusal(name, sentence))


class GNNClassifier(_NodeTask, Classifier):
    """Graph network that tells classes of nodes [1]_ [2]_ [3]_ [4]_ [5]_.

    Parameters
    ----------
    conv : {"gcn", "sage", "gat", "gatv2", "gin"}, default="gcn"
        The layer: graph convolution [1]_, GraphSAGE with means [2]_, graph attention
        [3]_, its second form, in which the order of neighbours by their scores depends
        on the node [4]_, or graph isomorphism [5]_, sums and two dense layers.
    n_layers : int, default=2
        Layers on top of each other: so many steps away a node hears from.
    hidden_size : int, default=64
        Numbers a node in the hidden layers, of all heads together.
    n_heads : int, default=8
        Heads of the hidden layers of "gat" and "gatv2"; the last layer has one.
    dropout : float, default=0.5
        The share of numbers switched off in training before each layer, and of the
        attention paid to neighbours.
    residual : bool, default=False
        Whether each hidden layer but the first adds to the one below.
    node_features : {"auto", "given", "degree", "embedding"}, default="auto"
        What the first layer sees of a node: its features; its number of neighbours
        (the logarithm, and a column for each number up to 16); or a learned vector of
        its own, which no node has that `fit` has not seen. "auto": its features, or a
        learned vector if the graph has none.
    standardize : bool, "auto" or "rows", default="auto"
        True: feature columns are centred and scaled by their standard deviation over
        the graph (sparse ones are scaled only); "rows": the features of each node are
        divided by the sum of their sizes; "auto": "rows" for features that are sparse
        and not negative, such as words, else True.
    batch_size : int or "auto", default="auto"
        Labelled nodes a step. "auto": all of them, or 1,024 if the graph has more than
        a million nodes and neighbours.
    n_neighbors : int, tuple of int or None, default=10
        How many neighbours of a node are drawn for a layer in training [2]_, anew at
        each step, where steps do not take the whole graph; a tuple has a number for
        each layer, the first layer first. None takes all.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often training goes through the labelled nodes.
        "auto" are 200 epochs.
    lr : float, default=0.005
        The learning rate, at the start of ``lr_schedule``.
    weight_decay : float, default=0.0005
        L2 penalty of the weight matrices; biases are left alone.
    n_iter_no_change : int, default=50
        Epochs without improvement after which ``early_stopping`` stops.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    node_features_ : str
        "given", "degree" or "embedding".
    feature_scale_ : str
        How features are scaled: "columns", "rows" or "none".
    x_mean_, x_scale_ : ndarray of shape (n_node_features_,)
        What columns are centred and scaled by, where they are.
    n_node_features_ : int
        Columns of the features, 0 without.
    node_ids_ : ndarray
        The nodes that have a learned vector, where they have one.
    batch_size_ : int
        Labelled nodes a step.
    n_neighbors_ : tuple of int or None
        Neighbours drawn for each layer in training, None where all are taken.

    See Also
    --------
    graph_nodes : nodes of a networkx graph, a matrix, edges or points.
    GNNEmbedder : vectors of nodes learned without labels.

    Notes
    -----
    X are nodes that carry their graph, from `sknets.graph_nodes`, or a graph in any
    form that it reads, for all of its nodes. Training knows the labels of the nodes in
    X alone but takes messages from the whole graph: cross-validation splits nodes, and
    the graph is not copied. A graph that `fit` has not seen is predicted as well, if
    its nodes have features of the same width (or ``node_features="degree"``).

    Edge weights count for "gcn", for the means of "sage" and for the sums of "gin";
    attention finds its own. In a directed graph a node hears from those with an edge to
    it. "gcn" is ``D^-1/2 (A + I) D^-1/2 X W``, a self-loop of the graph adding to that
    of the formula, and D being the sums of the rows of ``A + I``.

    The layers are those of PyTorch Geometric, with equal results from equal weights.
    Only what the labelled nodes hear from is computed, layer by layer. Predictions take
    all neighbours of a node, one layer after the other: no sampling, whatever training
    did. Sums over neighbours that were drawn are scaled so that they are right on
    average, which PyTorch Geometric's are not.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] T. N. Kipf, M. Welling. Semi-Supervised Classification with Graph
       Convolutional Networks. ICLR 2017. Here the penalty is on all layers.
    .. [2] W. L. Hamilton, R. Ying, J. Leskovec. Inductive Representation Learning on
       Large Graphs. NeurIPS 2017.
    .. [3] P. Veličković et al. Graph Attention Networks. ICLR 2018.
    .. [4] S. Brody, U. Alon, E. Yahav. How Attentive are Graph Attention Networks?
       ICLR 2022.
    .. [5] K. Xu, W. Hu, J. Leskovec, S. Jegelka. How Powerful are Graph Neural
       Networks? ICLR 2019. Here without batch normalisation.

    Examples
    --------
    Two friendly groups, one label each:

    >>> import numpy as np
    >>> from sknets import GNNClassifier, graph_nodes
    >>> random = np.random.default_rng(0)
    >>> group = np.arange(40) // 20
    >>> likely = np.where(group[:, None] == group, 0.3, 0.02)
    >>> friends = np.triu(random.random((40, 40)) < likely, 1)
    >>> nodes = graph_nodes(friends | friends.T)
    >>> net = GNNClassifier(max_epochs=60, random_state=0)
    >>> net = net.fit(nodes[[0, 20]], ["left", "right"])
    >>> truth = np.array(["left", "right"])[group]
    >>> bool(net.score(nodes, truth) > 0.9)
    True

    Nodes are split like rows:

    >>> from sklearn.model_selection import cross_val_score
    >>> scores = cross_val_score(net, nodes, truth, cv=2)
    >>> bool(scores.mean() > 0.9)
    True
    """

    _takes_several: ClassVar[bool] = False


class GNNRegressor(_NodeTask, Regressor):
    """Graph network that predicts numbers of nodes.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.GNNClassifier`; without classes there is no ``class_weight``.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Parameters
    ----------
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer, and of the
        attention paid to neighbours. Numbers blurred by noise are learned less well.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    See Also
    --------
    graph_nodes : nodes of a networkx graph, a matrix, edges or points.

    Examples
    --------
    A smooth function of points in the plane, known at every second one:

    >>> import numpy as np
    >>> from sknets import GNNRegressor, graph_nodes
    >>> points = np.random.default_rng(0).random((400, 2))
    >>> y = np.sin(4 * points[:, 0]) + points[:, 1]
    >>> nodes = graph_nodes(points, k_neighbors=6)
    >>> net = GNNRegressor(conv="sage", random_state=0).fit(nodes[::2], y[::2])
    >>> bool(net.score(nodes[1::2], y[1::2]) > 0.9)
    True
    """

    # Numbers that are blurred by noise are learned less well.
    dropout: float = param(default=0.0, at_least=0, below=1)


__all__ = ["GNNClassifier", "GNNRegressor", "NodeEstimator"]
