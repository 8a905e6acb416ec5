"""Recursive networks that tell classes or numbers of trees and of all their nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import Tensor, nn

from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import steps
from sknets._engine.containers import Ragged
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs.reader import Learned
from sknets._inputs.tree_data import TreeData
from sknets._inputs.trees import Trees
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets.recursive._nets import RecursiveNet


class _Recursive(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Trees,)
    vocabulary_ = Learned()
    _predict_batch_size: ClassVar[int] = 128

    cell: Literal["tree_lstm", "child_sum", "rntn", "rnn"] = param(default="tree_lstm")
    hidden_size: int = param(default=128, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    node_labels: bool | Literal["auto"] = param(default="auto")
    min_frequency: int = param(default=2, at_least=1)
    lowercase: bool = param(default=True)
    _budget = Budget(epochs=8, steps=500)
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1.0, at_least=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=5.0, above=0)

    def transform(self, X: Any) -> np.ndarray:
        """Return the states of the roots: what the trees as a whole are told by.

        Parameters
        ----------
        X : list of trees

        Returns
        -------
        states : ndarray of shape (n_trees, hidden_size)
        """
        return self._outputs(X, features=True)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return how right the predictions at the roots are: accuracy, or R².

        Parameters
        ----------
        X : list of trees
        y : array-like of shape (n_trees,), default=None
            None stands for the labels that the roots have.
        sample_weight : array-like of shape (n_trees,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        forest = self._check_input(X, reset=False)
        if y is None:
            y, _ = self._labels(forest, None)
        return super().score(forest, y, sample_weight)

    def _of_nodes(self, X: Any, then: Callable[[Tensor], Tensor]) -> np.ndarray:
        """What ``then`` makes of the network's output at each node, an array a tree."""
        check_is_fitted(self)
        module = self.net_.module_
        x = self._check_input(X, reset=False)
        outputs = self.net_.batches(x, lambda t: t.by_tree(then(module.nodes(t))))
        trees = steps(outputs, len(x))
        if x.written is not None:
            written = x.written.split(x.starts.diff().tolist())
            for i, real in enumerate(written):
                trees[i] = trees[i][real.numpy()]
        return trees

    # -- for the engine --------------------------------------------------------------

    def _make_reader(self, kind: Any) -> Any:
        return kind.of(self, binary=self.cell != "child_sum")

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        forest = self._check_input(X, reset=reset)
        y, labels = self._labels(forest, y)
        if reset:
            self.node_labels_ = labels is not None
        if labels is None:
            return super()._read(forest, y, sample_weight, reset=reset, classes=classes)
        known = np.flatnonzero([label is not None for label in forest.labels])
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, np.empty((len(forest), 1)), ensure_non_negative=True
            )
            weight = np.repeat(weight, forest.written_starts.diff().numpy())[known]
        if reset and classes is None:
            # Those of inner nodes may be none of the roots'.
            classes = np.unique(labels if weight is None else labels[weight > 0])
        samples = super()._read(forest, y, sample_weight, reset=reset, classes=classes)
        targets = self._encode_target(labels, len(labels), None, reset=False)
        by_class = self._class_weights(targets, weight)
        if by_class is not None:
            weight = by_class if weight is None else weight * by_class
        x, rows, counts = samples.x, torch.from_numpy(known), samples.x.starts.diff()
        values = x.of_written(as_tensor(targets), rows)
        whole = not values.is_floating_point()
        samples.y = Ragged(values, counts, whole).to(x.device, x.dtype)
        if weight is not None or len(known) < len(x.words):
            # A node without a label is an absent one.
            own = np.ones(len(known)) if weight is None else weight
            every = x.of_written(as_tensor(own), rows)
            every = every / every[x.nodes_of(_all_of(samples))[0]].mean()
            samples.weight = Ragged(every, counts).to(x.device, x.dtype)
        return samples

    def _labels(self, forest: TreeData, y: Any) -> tuple[Any, np.ndarray | None]:
        """y, and the labels of all nodes that have one; None if the roots are all."""
        wish, problem = self.node_labels, ""
        if wish is False or (y is not None and np.shape(y) != (len(forest),)):
            return y, None
        found = forest.labels
        roots = found[forest.written_starts[:-1].numpy()]
        if any(label is None for label in roots):
            tree = [label is None for label in roots].index(True)
            problem = f"the root of X[{tree}] has no label"
        else:
            labels = self._typed(found[[label is not None for label in found]], y)
            of_roots = None if labels is None else self._typed(roots, labels)
            if of_roots is None:
                problem = "some labels in X are not of the type of y"
            else:
                if y is None:
                    return of_roots, labels
                if np.array_equal(of_roots, y):
                    return y, labels
                tree = int(np.argmax(of_roots != np.asarray(y)))
                problem = (
                    f"the root of X[{tree}] has the label {roots[tree]!r}, not y's"
                )
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed unless the roots have "
                f"their labels: y is None, and {problem}"
            )
        if wish is True:
            raise ValueError(self._refusal("node_labels", problem))
        return y, None

    def _typed(self, labels: np.ndarray, y: Any) -> np.ndarray | None:
        """Labels in trees in the type of y; None if they are not all of it."""
        kind: Any = np.float64
        if self._task == "classification":
            like = getattr(self, "classes_", None) if y is None else np.asarray(y)
            kind = np.int64 if like is None else like.dtype
        try:
            if np.dtype(kind).kind in "iuf":
                return labels.astype(kind)
        except ValueError:
            return labels.astype(str) if y is None and kind is np.int64 else None
        return labels == "True" if np.dtype(kind).kind == "b" else labels.astype(kind)

    def _learn_statistics(self, samples: Samples) -> None:
        if self.chunks_.n == 1:
            self.reader_.learn_words(samples.x, samples.rows)

    def _build(self) -> nn.Module:
        return RecursiveNet(
            len(self.vocabulary_) + 1,
            self._n_outputs,
            self.cell,
            self.hidden_size,
            self.dropout,
            super()._criterion(),
        )

    def _criterion(self) -> nn.Module | None:
        return None

    def _stratify_by(self, samples):
        if isinstance(samples.y, Ragged):
            samples = Samples(samples.x, samples.targets.first())
        return super()._stratify_by(samples)

    def _score(self) -> Any:
        return OfRoots(super()._score())

    def _terms(self) -> Any:
        """Those of the roots, which are what is predicted."""
        terms: Any = super()._terms()
        truth = terms.truth
        return replace(
            terms, truth=lambda y: truth(y.first() if isinstance(y, Ragged) else y)
        )

    @property
    def _n_features_out(self) -> int:
        return self.hidden_size

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class OfRoots:
    """A score of the roots alone, the first nodes of their trees."""

    def __init__(self, score: Any):
        self.score, self.compute = score, score.compute

    def update(self, output: Any, y: Any, weight: Any) -> None:
        first = [e.first() if isinstance(e, Ragged) else e for e in (y, weight)]
        self.score.update(output, *first)


def _all_of(samples: Samples) -> Tensor:
    every = torch.arange(len(samples.x))
    return every if samples.rows is None else samples.rows


class RecursiveClassifier(_Recursive, Classifier):
    """Recursive network that tells classes of trees and of their nodes [1]_ [2]_ [3]_.

    Parameters
    ----------
    cell : {"tree_lstm", "child_sum", "rntn", "rnn"}, default="tree_lstm"
        How a node is composed of its children: the binary Tree-LSTM [1]_, the child-sum
        Tree-LSTM for any number of children in any order [1]_, the recursive neural
        tensor network [2]_, or the plain recursive net ``h = tanh(W [a b] + v)`` [3]_.
        Memory cells carry a word through many levels, the last two forget it.
    hidden_size : int, default=128
        Numbers in the state of a node, and in the vector of a word. The tensor network
        has ``4 * hidden_size ** 3`` weights: 32 are plenty for it.
    dropout : float, default=0.0
        The share of numbers switched off in training, of the vectors of words and
        before the output layer; never from node to node.
    node_labels : bool or "auto", default="auto"
        Whether every node that has a label in its tree is learned, not the roots alone.
        "auto": if the labels of the roots are y, or y is None. True: anything else is
        an error. False: labels in trees are passed over.
    min_frequency : int, default=2
        Words that are fewer times in the training data are all the same unknown word,
        as are words that come up later.
    lowercase : bool, default=True
        Whether words are put into lower case.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum. It
        weighs nodes where nodes are learned.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 8 epochs, or as many as
        make 500 steps.
    lr : float, default=0.003
        The highest learning rate of the schedule.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=1.0
        Of ``optimizer="adamw"``: each step takes ``lr * weight_decay`` of each weight
        away. So much keeps thousands of words from being learned by heart; set it to 0
        for few words or exact rules, and far lower for another optimiser.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=5.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, those of inner nodes included where nodes are learned; for
        multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    node_labels_ : bool
        Whether the labels of all nodes were learned.
    vocabulary_ : dict
        Number of each known word; 0 is the unknown one.

    Notes
    -----
    X is a list of trees, each one of

    - nested tuples or lists, ``(("not", "good"), "at", "all")``: strings are words;
    - a bracketed string, ``"(1 (1 (2 not) (3 good)) (2 (2 at) (2 all)))"``: what
      follows an opening bracket is the label of its node;
    - an ``nltk.Tree``, with labels.

    Nodes may have any number of children. One word in brackets is a leaf, ``(2 not)``
    one with a label. For the binary cells a node of three children or more is composed
    from left to right, as ``((a b) c)``, by nodes that nobody hears of; an only child
    is the first of two, the other's state being zero.

    All nodes of one height in all trees of a batch are composed in one step; time and
    memory grow with the number of nodes, also in trees of ten thousand levels. The
    order of trees and the size of batches never change a prediction.

    ``sample_weight`` weighs a tree with all its nodes, ``class_weight`` a node.
    ``early_stopping`` watches the loss of all that is learned; ``validation_scores_``
    are those of the roots.

    Training is the same for all estimators: for ``early_stopping``, ``warm_start``,
    ``precision``, ``device``, ``random_state``, ``verbose``, ``callbacks`` and the
    rest, and for ``net_``, ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] K. S. Tai, R. Socher, C. D. Manning. Improved Semantic Representations From
       Tree-Structured Long Short-Term Memory Networks. ACL 2015. Its N-ary cell with
       N = 2; inner nodes have no input of their own.
    .. [2] R. Socher et al. Recursive Deep Models for Semantic Compositionality Over a
       Sentiment Treebank. EMNLP 2013.
    .. [3] R. Socher, C. C. Lin, A. Y. Ng, C. D. Manning. Parsing Natural Scenes and
       Natural Language with Recursive Neural Networks. ICML 2011. Begins at
       ``W = [I I] / 2``, the mean of the children, as [2]_ does.

    Examples
    --------
    What is good and what is bad, of sentences and of all their parts:

    >>> from sknets import RecursiveClassifier
    >>> X = ["(good (- so) (good good))", "(bad (- not) (good (- so) (good good)))"]
    >>> X += ["(bad (- so) (bad bad))", "(good (- not) (bad bad))"]
    >>> net = RecursiveClassifier(max_epochs=60, lr=0.01, random_state=0)
    >>> net.fit(X * 10).predict([("not", ("so", "good")), ("so", "good")])
    array(['bad', 'good'], dtype='<U4')

    Nodes in the order of writing: the whole, "not", "bad".

    >>> net.predict_nodes([("not", "bad")])[0]
    array(['good', '-', 'bad'], dtype='<U4')
    """

    _takes_several: ClassVar[bool] = False

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on labelled trees.

        Parameters
        ----------
        X : list of trees
            Nested tuples, bracketed strings or ``nltk.Tree``: see the class.
        y : array-like of shape (n_trees,) or (n_trees, n_labels), default=None
            Labels of any type, or a 0/1 matrix of several labels a tree. None if every
            node has its label in the tree: integers if all are, else strings.
        sample_weight : array-like of shape (n_trees,), default=None
            Not negative; a weight of 0 is an absent tree.
        X_val, y_val : array-like, default=None
            Samples to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for a malformed tree, naming it, for labels
            that are missing, for a single class.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def predict_nodes(self, X: Any) -> np.ndarray:
        """Return the most probable class of each node.

        Parameters
        ----------
        X : list of trees

        Returns
        -------
        y : object ndarray of shape (n_trees,)
            Of each tree an ndarray of shape (n_nodes,): the root, then its first child
            with all below, and so on, as the nodes are written.
        """
        found = self._of_nodes(X, self._decode)
        if not self.multilabel_:
            found[:] = [self.classes_[codes] for codes in found]
        return found

    def predict_nodes_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class at each node.

        Parameters
        ----------
        X : list of trees

        Returns
        -------
        p : object ndarray of shape (n_trees,)
            Of each tree an ndarray of shape (n_nodes, n_classes), nodes as they are
            written.
        """
        return self._of_nodes(X, self._probabilities)


class RecursiveRegressor(_Recursive, Regressor):
    """Recursive network that tells numbers of trees and of their nodes.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.RecursiveClassifier`, the labels of nodes being numbers; without
    classes there is no ``class_weight``.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    Examples
    --------
    How many words a tree has:

    >>> from sknets import RecursiveRegressor
    >>> X = ["a", ("a", "a"), (("a", "a"), "a"), (("a", "a"), ("a", "a"))] * 20
    >>> net = RecursiveRegressor(max_epochs=20, random_state=0)
    >>> bool(net.fit(X, [1, 2, 3, 4] * 20).score(X, [1, 2, 3, 4] * 20) > 0.9)
    True
    """

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on trees with known values.

        Parameters
        ----------
        X : list of trees
            Nested tuples, bracketed strings or ``nltk.Tree``: see the class.
        y : array-like of shape (n_trees,) or (n_trees, n_outputs), default=None
            None if every node has its value as its label in the tree.
        sample_weight : array-like of shape (n_trees,), default=None
            Not negative; a weight of 0 is an absent tree.
        X_val, y_val : array-like, default=None
            Samples to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for a malformed tree, naming it, for values
            that are missing, NaN or infinite.
        DivergenceError
            When the training loss is no longer finite.

        Warns
        -----
        UserWarning
            When y is constant.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def predict_nodes(self, X: Any) -> np.ndarray:
        """Return the expected value of each node.

        Parameters
        ----------
        X : list of trees

        Returns
        -------
        y : object ndarray of shape (n_trees,)
            Of each tree a float64 ndarray of shape (n_nodes,) or (n_nodes, n_outputs):
            the root, then its first child with all below, and so on, as the nodes are
            written.
        """
        found = self._of_nodes(X, lambda output: self._decode(output.double()))
        for i, values in enumerate(found):
            values = values * self.y_scale_ + self.y_mean_
            found[i] = values[:, 0] if self.y_ndim_ == 1 else values
        return found


__all__ = ["RecursiveClassifier", "RecursiveRegressor"]
