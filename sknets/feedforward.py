"""Feedforward networks: the multilayer perceptron for classes and for numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._engine.data import Samples
from sknets._estimator import Estimator
from sknets._inputs import Table
from sknets._inputs.reader import Learned
from sknets._inputs.table import cardinalities
from sknets._layers import (
    ACTIVATIONS,
    BatchNorm1d,
    ColumnEmbedding,
    Dropout,
    Missing,
    Standardize,
)
from sknets._params import param
from sknets._tasks import Classifier, Regressor


class FeedforwardNet(nn.Module):
    """Standardise, embed categories, then layers of ``activation(W x + b)``."""

    def __init__(
        self,
        n_inputs: int,
        hidden: tuple[int, ...],
        n_outputs: int,
        activation: str = "relu",
        dropout: float = 0.0,
        normalization: str | None = None,
        standardize: Standardize | None = None,
        embed: ColumnEmbedding | None = None,
        missing: Missing | None = None,
    ):
        super().__init__()
        first = [each for each in (missing, standardize, embed) if each is not None]
        layers: list[nn.Module] = []
        width = n_inputs if embed is None else embed.n_outputs
        for n_units in hidden:
            layers.append(nn.Linear(width, n_units))
            if normalization is not None:
                norms = {"batch": BatchNorm1d, "layer": nn.LayerNorm}
                layers.append(norms[normalization](n_units))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(Dropout(dropout))
            width = n_units
        layers.append(nn.Linear(width, n_outputs))
        self.layers = nn.Sequential(*first, *layers)

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, K)
        return self.layers(x)

    def features(self, x: Tensor) -> Tensor:  # (B, F) -> (B, H)
        return self.layers[:-1](x)

    @property
    def head(self) -> nn.Module:
        return self.layers[-1]

    def plain_layers(self) -> tuple[Any, list[Any], list[Any]] | None:
        """The parts of a net of linear layers and activations alone, else None."""
        layers = list(self.layers)
        prepare = layers.pop(0) if isinstance(layers[0], Standardize) else None
        linear, activations = layers[::2], layers[1::2]
        if not all(isinstance(layer, nn.Linear) for layer in linear):
            return None
        return prepare, linear, activations


class _Feedforward(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The network of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)
    _predict_batch_size: ClassVar[int] = 2048
    _takes_missing: ClassVar[bool] = True
    categorical_columns_ = Learned()
    categories_ = Learned()
    missing_columns_ = Learned()

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(100,), at_least=1)
    activation: Literal[
        "relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu", "silu"
    ] = param(default="relu")
    dropout: float = param(default=0.0, at_least=0, below=1)
    normalization: Literal["batch", "layer"] | None = param(default=None)
    standardize: bool = param(default=True)
    categorical_features: Literal["from_dtype"] | list[Any] | None = param(
        default="from_dtype"
    )
    alpha: float = param(default=5.0, at_least=0)
    batch_size: int = param(default=100, at_least=1)

    def transform(self, X: Any) -> np.ndarray:
        """Return what the last layer decides by: the last hidden layer's values.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)

        Returns
        -------
        features : ndarray of shape (n_samples, n_units)
            Without hidden layers the columns themselves, as the network takes them.
        """
        return self._outputs(X, features=True)

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.layers[-1].in_features

    def _weight_decay(self) -> float:
        return self.weight_decay + self.alpha / self.n_samples_seen_

    def _learn_statistics(self, samples: Samples) -> None:
        if not self.standardize and len(self.missing_columns_) == 0:
            return
        mean, scale = self._mean_and_scale(samples)
        codes = getattr(self, "categorical_columns_", [])
        mean[codes], scale[codes] = 0, 1
        self.x_mean_, self.x_scale_ = mean, scale

    def _restate(self, module: Any) -> None:
        super()._restate(module)
        if len(self.missing_columns_):
            module.layers[0].learn(self.x_mean_)

    def _build(self) -> nn.Module:
        sizes, columns = self.hidden_layer_sizes, self.missing_columns_
        embed = missing = standardize = None
        n_features = self.n_features_in_ + len(columns)
        if len(columns):
            missing = Missing(self.x_mean_, columns)
        if self.standardize:
            told = np.zeros(len(columns))
            mean, scale = np.r_[self.x_mean_, told], np.r_[self.x_scale_, told + 1]
            standardize = Standardize(mean, scale)
        if hasattr(self, "categories_"):
            embed = ColumnEmbedding(
                n_features,
                self.categorical_columns_.tolist(),
                cardinalities(self.categories_),
            )
        return FeedforwardNet(
            n_features,
            tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),),
            self._n_outputs,
            self.activation,
            self.dropout,
            self.normalization,
            standardize,
            embed,
            missing,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class FeedforwardClassifier(_Feedforward, Classifier):
    """Multilayer perceptron that predicts classes, trained by backpropagation [1]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(100,)
        Units of each hidden layer. ``()`` is the single-layer perceptron: a linear
        (logistic) model.
    activation : str, default="relu"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity", "leaky_relu",
        "elu", "gelu" or "silu".
    dropout : float, default=0.0
        The share of hidden units switched off at each step of training [2]_.
    normalization : {"batch", "layer"}, default=None
        Batch [3]_ or layer [4]_ normalisation before each activation. A batch of one
        row has no variance: it is normalised as in prediction.
    standardize : bool, default=True
        Centre and scale the columns of X by their (weighted) mean and standard
        deviation in `fit`, so that raw tables work; a sparse X is only scaled.
    categorical_features : list, "from_dtype" or None, default="from_dtype"
        Names or positions (or a mask) of the columns whose values are categories: each
        category gets a learned vector (entity embeddings [5]_). "from_dtype" takes a
        DataFrame's columns of dtype category. Unknown categories in `predict` count as
        none; missing ones are a category of their own if `fit` saw any.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    alpha : float, default=5.0
        L2 penalty of the weight matrices, divided by the number of samples (the sum of
        their weights): like a prior, it matters less the more data there are. It adds
        to ``weight_decay``, which does not depend on the number of samples.
    batch_size : int, default=100
        Samples a step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        What X was centred and scaled by, if ``standardize``.
    missing_columns_ : ndarray of int
        Positions of the columns of X in which there was NaN. In these columns, or any
        if there are some, NaN becomes the column's mean, ``x_mean_``, and the network
        has an input more for each of them, 1 where a value is missing. A fit without
        NaN refuses it later; so does a sparse X.
    categorical_columns_ : ndarray of int
        Positions of the categorical columns, if there are any.
    categories_ : list of ndarray
        The categories of each of them, the last None if some were missing.

    Notes
    -----
    Training is the same for all estimators: for ``max_epochs``, ``lr``, ``optimizer``,
    ``lr_schedule``, ``early_stopping``, ``warm_start``, ``precision``, ``device``,
    ``random_state``, ``verbose``, ``callbacks`` and the rest, and for ``net_``,
    ``loss_curve_`` and the other attributes of training, see
    `sknets._estimator.Estimator`.

    A net of linear layers and "relu", "tanh", "sigmoid" or "identity" alone is trained
    by gradients derived by hand (`sknets._engine.dense`), all others by autograd.

    Two classes share one logit and the logistic loss, more classes use softmax and
    cross-entropy, several labels a logit and a logistic loss each.

    References
    ----------
    .. [1] D. E. Rumelhart, G. E. Hinton, R. J. Williams. Learning representations by
       back-propagating errors. Nature 323, 1986. Trained here in mini-batches by Adam
       instead of by full-batch gradient descent.
    .. [2] N. Srivastava et al. Dropout: A Simple Way to Prevent Neural Networks from
       Overfitting. JMLR 15, 2014. Scaled in training, not in prediction.
    .. [3] S. Ioffe, C. Szegedy. Batch Normalization. ICML 2015.
    .. [4] J. L. Ba, J. R. Kiros, G. E. Hinton. Layer Normalization. 2016.
    .. [5] C. Guo, F. Berkhahn. Entity Embeddings of Categorical Variables. 2016. Half
       as many dimensions as categories, at most 50.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknets import FeedforwardClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> net = FeedforwardClassifier(max_epochs=20, random_state=0)
    >>> bool(cross_val_score(net, X, y, cv=3).mean() > 0.95)
    True
    """


class FeedforwardRegressor(_Feedforward, Regressor):
    """Multilayer perceptron that predicts numbers, trained by backpropagation.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.FeedforwardClassifier`; without classes there is no ``class_weight``.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(100,)
        Units of each hidden layer; ``()`` is linear regression.
    loss : str, default="squared_error"
        What training lowers: "squared_error" (`predict` is the mean), "absolute_error"
        (the median), "huber" (squared up to 1.35 ``y_scale_``, a line beyond, so that
        outliers count less), "poisson" (of counts: their mean, always above 0, as the
        network gives its logarithm) or "quantile" (the ``quantile``).
    quantile : float, default=0.5
        Which quantile `predict` is, if ``loss`` is "quantile": 0.9 is what nine of ten
        values stay below.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`. The mean and
        the standard deviation; the median and 1.4826 times the median absolute
        deviation where ``loss`` is "absolute_error", "huber" or "quantile"; 0 and the
        mean where it is "poisson".
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    Notes
    -----
    The loss is that of y, centred and scaled; several outputs share all hidden layers.
    ``score`` is R², whatever ``loss``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import GridSearchCV, cross_val_score
    >>> from sknets import FeedforwardRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = FeedforwardRegressor(max_epochs=50, random_state=0)
    >>> bool(cross_val_score(net, X, y, cv=3).mean() > 0.4)
    True

    Noisy data want a stronger penalty; a small search finds it.

    >>> search = GridSearchCV(net, {"alpha": [10, 20, 40]}, cv=3).fit(X, y)
    >>> search.best_params_["alpha"] >= 10
    True
    """


__all__ = ["FeedforwardClassifier", "FeedforwardRegressor"]
