"""Recursive networks that tell classes or numbers of trees and of all their nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import Tensor, nn

from sknets._engine.batching import Samples
from sknets._engine.device import as_tensor
from sknets._estimator import Estimator
from sknets._inputs.trees import Forest, Trees
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets.recursive._nets import NodeLoss, RecursiveNet


class _Recursive(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Trees,)
    _predict_batch_size: ClassVar[int] = 128

    cell: Literal["tree_lstm", "child_sum", "rntn", "rnn"] = param(default="tree_lstm")
    hidden_size: int = param(default=128, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    node_labels: bool | Literal["auto"] = param(default="auto")
    min_frequency: int = param(default=2, at_least=1)
    lowercase: bool = param(default=False)
    max_epochs: int = param(default=5, at_least=1)
    lr: float = param(default=3e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1e-3, at_least=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=5.0, above=0)

    def transform(self, X):
        """Return the states of the roots: what the trees as a whole are told by.

        Parameters
        ----------
        X : list of trees

        Returns
        -------
        states : ndarray of shape (n_trees, hidden_size)
        """
        return self._outputs(X, features=True).numpy()

    def score(self, X, y=None, sample_weight=None):
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
            y, _ = self._targets(forest, None)
        return super().score(forest, y, sample_weight)

    def _of_nodes(self, X: Any, then: Callable[[Tensor], Tensor]) -> np.ndarray:
        """What ``then`` makes of the network's output at each node, an array a tree."""
        check_is_fitted(self)
        net = self.net_
        forest = self._check_input(X, reset=False).to(net._device, net.dtype)
        parts, nodes = [], []
        with torch.inference_mode(), net._autocast():
            for rows in torch.arange(len(forest)).split(self._predict_batch_size):
                grove = forest.batch(rows)
                parts.append(then(net.module_.nodes(grove)).cpu())
                nodes.append(grove.nodes.cpu())
        found = torch.cat(parts)
        found = torch.empty_like(found).index_copy_(0, torch.cat(nodes), found)
        found = found if forest.written is None else found[forest.written]
        trees = np.empty(len(forest), dtype=object)
        for i, each in enumerate(found.split(forest.written_starts.diff().tolist())):
            trees[i] = each.numpy()
        return trees

    # -- for the engine --------------------------------------------------------------

    @property
    def _binary(self) -> bool:
        return self.cell != "child_sum"

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        forest = self._check_input(X, reset=reset)
        y, of_nodes = self._targets(forest, y)
        if of_nodes is None:
            return super()._read(forest, y, sample_weight, reset=reset, classes=classes)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, np.empty((len(forest), 1)), ensure_non_negative=True
            )
            weight = np.repeat(weight, forest.written_starts.diff().numpy())
        if reset and classes is None:
            # Those of inner nodes may be none of the roots'.
            classes = np.unique(of_nodes if weight is None else of_nodes[weight > 0])
        samples = super()._read(forest, y, sample_weight, reset=reset, classes=classes)
        codes = self._encode_target(of_nodes, len(of_nodes), None, reset=False)
        by_class = self._class_weights(codes)
        if by_class is not None:
            weight = by_class if weight is None else weight * by_class
        x = samples.x
        x.targets = x.of_written(as_tensor(codes))
        if x.targets.is_floating_point():
            x.targets = x.targets.to(x.dtype)
        if weight is not None:
            weight = weight / weight[weight > 0].mean()
            x.weights = x.of_written(as_tensor(weight)).to(x.dtype)
        return samples

    def _targets(self, forest: Forest, y: Any) -> tuple[Any, np.ndarray | None]:
        """What roots shall give and, if the labels in the trees count, all nodes."""
        wish = self.node_labels
        if wish is False or (y is not None and np.shape(y) != (len(forest),)):
            return y, None
        labels, starts = forest.written_labels(), forest.written_starts.numpy()
        of_nodes, problem = self._read_labels(labels, y), ""
        if of_nodes is None:
            missing = np.array([label is None for label in labels])
            node = int(missing.argmax())
            tree = int(np.searchsorted(starts, node, "right")) - 1
            problem = f"X[{tree}] has a node without a label"
            if not missing.any():
                kind = "numbers" if self._task == "regression" else "of the type of y"
                problem = f"the labels in X are not {kind}"
        elif y is None:
            return of_nodes[starts[:-1]], of_nodes
        elif not np.array_equal(of_nodes[starts[:-1]], y):
            tree = int((of_nodes[starts[:-1]] != np.asarray(y)).argmax())
            root = labels[starts[tree]]
            problem = f"the root of X[{tree}] has the label {root!r}, not that of y"
        if not problem:
            return y, of_nodes
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed unless the trees have "
                f"their labels: y is None, and {problem}"
            )
        if wish is True:
            raise ValueError(self._refusal("node_labels", problem))
        return y, None

    def _read_labels(self, labels: np.ndarray, y: Any) -> np.ndarray | None:
        """Labels in trees in the type of y; None if they are not all of it."""
        kind = np.dtype(np.float64)
        if self._task != "regression":
            classes = getattr(self, "classes_", None) if y is None else np.asarray(y)
            kind = np.dtype(np.int64) if classes is None else classes.dtype
        if any(label is None for label in labels):
            return None
        try:
            if kind.kind in "iuf":
                return labels.astype(kind)
        except ValueError:
            return labels.astype(str) if y is None and kind.kind != "f" else None
        return labels == "True" if kind.kind == "b" else labels.astype(kind)

    def _learn_statistics(self, samples: Samples) -> None:
        forest = samples.x
        counts = forest.word_counts(samples.rows)
        often = np.flatnonzero(counts >= self.min_frequency).tolist()
        texts = forest.texts
        self.vocabulary_ = {texts[i]: number + 1 for number, i in enumerate(often)}
        forest.encode(self.vocabulary_)

    def _build(self) -> nn.Module:
        return RecursiveNet(
            len(self.vocabulary_) + 1,
            self._n_outputs,
            self.cell,
            self.hidden_size,
            self.dropout,
        )

    def _criterion(self) -> nn.Module:
        return NodeLoss(super()._criterion())

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


class RecursiveClassifier(_Recursive, Classifier):
    """x"""
    def predict_nodes(self, X):
        def then(output):
            return self._decode(output)
        return self._node_outputs(X, then)


class RecursiveRegressor(_Recursive, Regressor):
    """x"""
