"""Which nodes are linked?"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples
from sknets._inputs.graph_store import Graph, positions
from sknets._inputs.links import LinkBatch, Links, LinkView, graph_of
from sknets._inputs.nodes import NodeBatch, NodeSamples, view_of
from sknets._params import param
from sknets._scores import Whole
from sknets._targets import given_target
from sknets.graph._nets import GraphNet
from sknets.graph._nodes import NodeEstimator, refuse_negative_weights
from sknets.graph._walks import unlinked_targets


class LinkNet(nn.Module):
    """Products of the vectors of both ends, and of as many random pairs in training.

    Parameters
    ----------
    encoder : GraphNet
    n_negatives : int
    """

    def __init__(self, encoder: GraphNet, n_negatives: int):
        super().__init__()
        self.encoder, self.n_negatives = encoder, n_negatives
        self.generator: torch.Generator | None = None
        # The graph that messages go along; no part of the state.
        self.of: NodeSamples | None = None

    def forward(self, batch: LinkBatch) -> Tensor:
        return self.scores(batch.of, batch.pairs.numpy())

    def loss(self, batch: LinkBatch, y: Tensor) -> Tensor:
        """Of the given pairs and, in training, of others that are drawn beside them."""
        pairs, of = batch.pairs.numpy(), batch.of
        if self.training:
            again = np.repeat(pairs[:, 0], self.n_negatives)
            strange = unlinked_targets(of.graph, again, self.generator)
            found = strange >= 0
            pairs = np.concatenate([pairs, np.stack([again[found], strange[found]], 1)])
        output = self.scores(of, pairs)
        given, drawn = output[: len(y)], output[len(y) :]
        losses = F.binary_cross_entropy_with_logits(given, y, reduction="none")
        # Linked and other pairs weigh the same, whatever their numbers.
        near = (losses * y).sum() / y.sum().clamp_min(1)
        far = torch.cat([losses[y == 0], F.softplus(drawn)])
        return near + far.sum() / max(len(far), 1)

    def scores(self, of: NodeSamples, pairs: np.ndarray) -> Tensor:
        """The products of the vectors of pairs of nodes."""
        n = of.graph.n_nodes
        used, places = np.unique(pairs, return_inverse=True)
        places = places.reshape(-1, 2)
        if self.encoder.n_neighbors is None and 2 * len(used) > n:
            # The whole graph is prepared once, parts of it at each step.
            used, places = np.arange(n), pairs
        states = self.encoder.states(*self.encoder.prepared(of, used))
        sources, targets = torch.from_numpy(places).to(states.device).unbind(1)
        return (states[sources] * states[targets]).sum(1)

    def vectors(self) -> np.ndarray:
        """Of all nodes."""
        assert self.of is not None
        everything = torch.arange(self.of.graph.n_nodes)
        with torch.inference_mode():
            states = self.encoder(NodeBatch(self.of, everything))
        return states.float().cpu().numpy()


class LinkPredictor(ClassifierMixin, NodeEstimator):
    """Graph network that tells which nodes are linked: a graph autoencoder [1]_.

    The product of two nodes' vectors says how likely they are linked; graph layers make
    the vectors.

    Parameters
    ----------
    conv : {"gcn", "sage", "gat", "gatv2", "gin"}, default="gcn"
        The layer, as in `GNNClassifier`.
    n_layers : int, default=2
        Layers on top of each other.
    hidden_size : int, default=64
        Numbers a node in the hidden layers.
    n_components : int, default=32
        Numbers in a vector.
    n_heads : int, default=8
        Heads of the hidden layers of "gat" and "gatv2".
    dropout : float, default=0.5
        The share of numbers switched off in training before each layer.
    n_negatives : int, default=1
        Pairs drawn for each given one in training, anew at each step: never those that
        `fit` was told to be linked.
    node_features : {"auto", "given", "degree", "embedding"}, default="auto"
        What the first layer sees of a node, as in `GNNClassifier`.
    standardize : bool, "auto" or "rows", default="auto"
        How features are scaled, as in `GNNClassifier`.
    batch_size : int or "auto", default="auto"
        Pairs a step. "auto": all of them, or 1,024 if the graph has more than a million
        nodes and neighbours.
    n_neighbors : int, tuple of int or None, default=10
        How many neighbours are drawn for a layer in training where steps do not take
        the whole graph, as in `GNNClassifier`.
    max_epochs : int or "auto", default="auto"
        How often training goes through the pairs. "auto" are 100 epochs.
    lr : float, default=0.01
        The learning rate, at the start of ``lr_schedule``.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        0 and 1, a link.
    node_ids_ : ndarray of shape (n_nodes,)
        What the nodes are called.
    vectors_ : float32 ndarray of shape (n_nodes, n_components)
        The vectors of the nodes, by the messages along the links of `fit`.
    node_features_, n_node_features_, feature_scale_, x_mean_, x_scale_, batch_size_, \
n_neighbors_
        As in `GNNClassifier`.

    Notes
    -----
    X and y come from `sknets.graph_links` or `sknets.link_split`: pairs of nodes that
    carry their graph, and whether they are linked. Of that graph only the nodes with
    their features and the links among the rows of X with y = 1 are used. What is held
    out by a split, cross-validation, search or ``early_stopping`` is therefore no part
    of the message passing. A graph alone is learned from all its links.

    Predictions are for pairs of nodes that `fit` has seen, and symmetric: of a directed
    graph they do not tell which way a link leads. As the product is unbounded on both
    sides without an offset, probabilities rank pairs and are not calibrated.

    Training is the same for all estimators: see `sknets._estimator.Estimator` for the
    other parameters and for the attributes of training.

    References
    ----------
    .. [1] T. N. Kipf, M. Welling. Variational Graph Auto-Encoders. 2016. Here not
       variational; pairs without a link are drawn, not all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import LinkPredictor, link_split
    >>> random = np.random.default_rng(0)
    >>> points = random.random((150, 2))
    >>> near = np.linalg.norm(points[:, None] - points, axis=2) < 0.15
    >>> train, test, y_train, y_test = link_split((near, points), random_state=0)
    >>> model = LinkPredictor(random_state=0).fit(train, y_train)
    >>> bool(model.score(test, y_test) > 0.85)
    True
    >>> model.predict_proba([(0, 1), (2, 3)]).shape
    (2, 2)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Links,)
    _task: ClassVar[str] = "link prediction"

    conv: Literal["gcn", "sage", "gat", "gatv2", "gin"] = param(default="gcn")
    n_layers: int = param(default=2, at_least=1)
    hidden_size: int = param(default=64, at_least=1)
    n_components: int = param(default=32, at_least=1)
    n_heads: int = param(default=8, at_least=1)
    dropout: float = param(default=0.5, at_least=0, below=1)
    n_negatives: int = param(default=1, at_least=1)
    lr: float = param(default=0.01, above=0)

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from pairs of nodes, or from all links of a graph.

        Parameters
        ----------
        X : LinkView of shape (n_pairs, 2), or a graph
        y : array-like of shape (n_pairs,), default=None
            1 for a link, 0 for none; for a graph None.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for a y of another length or with other
            values, for pairs without a graph, without any link.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the products of the vectors of both nodes; above 0 is a link.

        Parameters
        ----------
        X : LinkView, or array-like of names, of shape (n_pairs, 2)

        Returns
        -------
        scores : ndarray of shape (n_pairs,)

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a node that `fit` has not seen, which is named.
        """
        sources, targets = self._positions(X).T
        # During a fit, for scikit-learn's callbacks, there are none yet.
        vectors = getattr(self, "vectors_", None)
        if vectors is None:
            vectors = self.net_.module_.vectors()
        return (vectors[sources] * vectors[targets]).sum(1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of no link and of a link.

        Parameters
        ----------
        X : LinkView, or array-like of names, of shape (n_pairs, 2)

        Returns
        -------
        p : ndarray of shape (n_pairs, 2)
        """
        scores = torch.from_numpy(self.decision_function(X))
        return torch.sigmoid(torch.stack([-scores, scores], 1)).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for pairs that are more likely linked than not, else 0.

        Parameters
        ----------
        X : LinkView, or array-like of names, of shape (n_pairs, 2)

        Returns
        -------
        y : ndarray of int of shape (n_pairs,)
        """
        return (self.decision_function(X) > 0).astype(np.int64)

    def score(self, X: Any, y: Any) -> float:
        """Return the area under the ROC curve.

        Parameters
        ----------
        X : LinkView, or array-like of names, of shape (n_pairs, 2)
        y : array-like of shape (n_pairs,)
            1 for a link, 0 for none.

        Returns
        -------
        auc : float
        """
        return float(roc_auc_score(y, self.decision_function(X)))

    # -- for the engine --------------------------------------------------------------

    @property
    def _n_layers(self) -> int:
        return self.n_layers

    def _check_params(self) -> None:
        super()._check_params()
        if self.conv in ("gat", "gatv2") and self.hidden_size % self.n_heads:
            sentence = f"n_heads={self.n_heads} must divide hidden_size"
            raise ValueError(self._refusal("hidden_size", sentence))

    def _learn_inputs(self, graph: Graph) -> None:
        refuse_negative_weights(self, graph, "conv", self.conv)
        super()._learn_inputs(graph)
        self.node_ids_ = graph.ids

    def _check_input(self, X, *, reset, seen=None):
        samples = super()._check_input(X, reset=reset, seen=seen)
        if not reset and not np.array_equal(samples.graph.ids, self.node_ids_):
            raise ValueError(
                f"{type(self).__name__}: training goes on with the nodes of the first "
                "fit only, and these are others"
            )
        return samples

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        vars(self).pop("vectors_", None)
        owner = type(self).__name__
        if not isinstance(X, LinkView):
            X, y = self._all_links(X, y)
        y = given_target(y, owner, len(X))
        values = np.asarray(y)
        if values.dtype == object or not np.isin(values, (0, 1)).all():
            raise ValueError(f"{owner}: y must be 1 for a link and 0 for none")
        if not values.any():
            raise ValueError(f"{owner}: y has no link, there is nothing to learn from")
        self.classes_ = np.array([0, 1])
        samples = super()._read(X, values, sample_weight, reset=reset)
        return self._with_links_of(samples, samples)

    def _all_links(self, X: Any, y: Any) -> tuple[LinkView, Any]:
        """The links of a graph, for those who bring no pairs."""
        owner = type(self).__name__
        if y is not None:
            raise ValueError(
                f"{owner}: pairs with labels must carry their graph: make X and y by "
                "graph_links or link_split"
            )
        graph = view_of(X, owner).graph
        targets = np.repeat(np.arange(graph.n_nodes), np.diff(graph.starts))
        sources = graph.neighbors
        once = sources != targets if graph.directed else sources < targets
        pairs = np.stack([sources[once], targets[once]], 1)
        return LinkView(graph, pairs), np.ones(len(pairs), dtype=np.int64)

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        return np.asarray(y, dtype=np.float64)

    def _with_links_of(self, samples: Samples, chosen: Samples) -> Samples:
        """The samples, with messages along the links among the chosen ones."""
        x, target = samples.x, chosen.targets
        assert target is not None
        rows = slice(None) if chosen.rows is None else chosen.rows
        pairs = x.pairs[rows][target.cpu() > 0].numpy()
        of = NodeSamples(graph_of(x.graph, pairs), x.of.nodes, x.of.places)
        replaced = type(x)(of.to(x.device, x.dtype), x.pairs)
        return Samples(replaced, samples.y, samples.weight, samples.rows)

    def _split(self, samples, random):
        train, valid, seed = super()._split(samples, random)
        if valid is not None:
            valid = self._with_links_of(valid, train)
            train = Samples(valid.x, train.y, train.weight, train.rows)
        return train, valid, seed

    def _stratify_by(self, samples):
        return samples.targets.long().cpu().numpy()

    def _score(self) -> Any:
        return Whole(_area_under_curve)

    def _prepare(self, net, *sets):
        net.module_.of = sets[0].x.of

    def _finish(self, net):
        super()._finish(net)
        self.vectors_ = net.module_.vectors()

    def _build(self) -> nn.Module:
        inputs, width = self._first_layer(self.hidden_size)
        hidden = [self.hidden_size] * (self.n_layers - 1)
        encoder = GraphNet(
            inputs,
            self.conv,
            [width, *hidden, self.n_components],
            self.n_heads,
            self.dropout,
            False,
            self.n_neighbors_,
        )
        return LinkNet(encoder, self.n_negatives)

    def _decode(self, output: Tensor) -> Tensor:
        return (output > 0).long()

    def _positions(self, X: Any) -> np.ndarray:
        """Where the nodes of pairs are among those of `fit`."""
        check_is_fitted(self)
        owner = type(self).__name__
        if isinstance(X, LinkView):
            known = self.node_ids_
            if X.graph.ids is known or np.array_equal(X.graph.ids, known):
                return X.index
            ids = list(X.pairs.ravel())
        else:
            table = len(getattr(X, "shape", ())) == 2
            pairs = np.asarray(X).tolist() if table else X
            listed = isinstance(pairs, list | tuple) and len(pairs) > 0
            if not listed or not all(
                isinstance(pair, list | tuple | np.ndarray)
                and len(pair) == 2
                and all(isinstance(name, Hashable) for name in pair)
                for pair in pairs
            ):
                raise ValueError(f"{owner}: X must be pairs of names of nodes")
            ids = [name for pair in pairs for name in pair]
        found = positions(self.node_ids_, ids, f"{owner}: the graph of fit")
        return found.reshape(-1, 2)


def _area_under_curve(output: Tensor, target: Tensor) -> float:
    if len(target.unique()) < 2:
        return float("nan")
    return float(roc_auc_score(target.numpy(), output.numpy()))


__all__ = ["LinkPredictor"]
