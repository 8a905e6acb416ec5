"""Feedforward networks: the multilayer perceptron for classes and for numbers."""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._engine.chunks import Chunks
from sknets._engine.data import Batches, Samples
from sknets._engine.net import DivergenceError
from sknets._estimator import Estimator
from sknets._inputs import Table
from sknets._inputs.reader import Learned
from sknets._inputs.table import cardinalities
from sknets._layers import (
    ACTIVATIONS,
    BatchNorm1d,
    ColumnEmbedding,
    Dropout,
    MembersLinear,
    Missing,
    NumericEncoding,
    Standardize,
)
from sknets._losses import losses_of_members
from sknets._params import param
from sknets._tasks import Classifier, Regressor

# Stretches between the knots of a column, fewer of a wide table.
_MOST_PIECES, _FEWEST_PIECES, _MOST_INPUTS = 16, 4, 320
# Knots are quantiles of at most so many rows.
_KNOT_ROWS = 20_000
# What "auto" asks of a fit before it tries "piecewise", and how it tries.
_FEWEST_ROWS, _FEWEST_STEPS, _TRIED_ROWS, _TRIED_STEPS = 200, 500, 2000, 100


class FeedforwardNet(nn.Module):
    """Prepare the columns, then layers of ``activation(W x + b)``.

    Several members are as many nets side by side: see `MembersNet`.
    """

    def __init__(
        self,
        prepare: list[nn.Module],
        n_inputs: int,
        hidden: tuple[int, ...],
        n_outputs: int,
        activation: str = "relu",
        dropout: float = 0.0,
        normalization: str | None = None,
        n_members: int = 1,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        width = n_inputs
        for n_units in hidden:
            layers.append(_linear(n_members, width, n_units, not layers))
            if normalization == "batch":
                layers.append(BatchNorm1d(n_members * n_units))
            elif normalization == "layer":
                layers.append(
                    nn.LayerNorm(n_units)
                    if n_members == 1
                    else nn.GroupNorm(n_members, n_members * n_units)
                )
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(Dropout(dropout))
            width = n_units
        layers.append(_linear(n_members, width, n_outputs, not layers))
        self.layers = nn.Sequential(*prepare, *layers)

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
        fixed = isinstance(layers[0], Standardize | NumericEncoding)
        prepare = layers.pop(0) if fixed else None
        linear, activations = layers[::2], layers[1::2]
        if not all(isinstance(layer, nn.Linear) for layer in linear):
            return None
        return prepare, linear, activations


def _linear(n_members: int, n_inputs: int, n_outputs: int, first: bool) -> nn.Module:
    """The first layer is one product for all members, later ones are their own."""
    if first or n_members == 1:
        return nn.Linear(n_inputs, n_members * n_outputs)
    return MembersLinear(n_members, n_inputs, n_outputs)


class MembersNet(FeedforwardNet):
    """Nets side by side, each trained by its own loss; the mean of their outputs."""

    def __init__(self, loss: Any, n_members: int, *options: Any):
        super().__init__(*options)
        self.n_members, self.each_loss = n_members, loss.each

    def outputs(self, x: Tensor) -> Tensor:  # (B, F) -> (B, M, K)
        return self.layers(x).unflatten(1, (self.n_members, -1))

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, K)
        return self.outputs(x).mean(1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:  # -> (B,)
        if not self.training:
            return self.each_loss(self(x), y)
        # The sum: each learns as it would alone, its penalty beside its own loss.
        return losses_of_members(self.each_loss, self.outputs(x), y).sum(1)

    def plain_layers(self) -> None:
        return None


def _n_pieces(n_columns: int) -> int:
    return min(_MOST_PIECES, _MOST_INPUTS // max(1, n_columns))


def _knots(samples: Samples, skipped: Any) -> list[np.ndarray]:
    """Quantiles of each column, none of those with fewer than three values."""
    batch = samples[slice(None, None, -(-len(samples) // _KNOT_ROWS))]
    x = batch.x.double().cpu().numpy()
    weight = np.ones(len(x)) if batch.weight is None else batch.weight.cpu().numpy()
    n_pieces = max(_FEWEST_PIECES, _n_pieces(x.shape[1] - len(skipped)))
    levels, knots = np.linspace(0, 1, n_pieces + 1), []
    for column, values in enumerate(x.T):
        known = np.flatnonzero(~np.isnan(values))
        ends = np.array([])
        if column not in skipped and len(known):
            order = known[values[known].argsort(kind="stable")]
            # A weight of two is a row given twice, whatever is rounded.
            shares = weight[order].cumsum() * (1 + 1e-9)
            found = np.searchsorted(shares, levels * shares[-1] / (1 + 1e-9))
            ends = np.unique(values[order[found]])
        knots.append(ends if len(ends) > 2 else ends[:0])
    return knots


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
    numeric_encoding: Literal["auto", "linear", "piecewise", "periodic"] = param(
        default="auto"
    )
    n_members: int = param(default=1, at_least=1)
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
        head, module = self.net_.module_.head, self.net_.module_
        if isinstance(head, MembersLinear):
            return module.n_members * head.weight.shape[1]
        return head.in_features

    def _weight_decay(self) -> float:
        return self.weight_decay + self.alpha / self.n_samples_seen_

    def _learn_statistics(self, samples: Samples) -> None:
        codes = getattr(self, "categorical_columns_", [])
        if self.standardize or len(self.missing_columns_):
            mean, scale = self._mean_and_scale(samples)
            known = self.chunks_.moments["x"]
            # The mean square of zeros and ones is their mean. A rare one would become
            # large; so they deviate as those do of which one half are ones.
            p, variance = known.mean.clip(0, 1), known.deviation.clip(0, 1) ** 2
            binary = (p > 0) & (p < 1) & np.isclose(variance, p * (1 - p), 1e-6, 0)
            scale[binary] = 0.5
            mean[codes], scale[codes] = 0, 1
            self.x_mean_, self.x_scale_ = mean, scale
        if self.chunks_.n == 1:
            encoding: str = self.numeric_encoding
            if samples.x.is_sparse and encoding in ("piecewise", "periodic"):
                sentence = "of a sparse X columns are mostly zeros; take 'linear'"
                raise ValueError(self._refusal("numeric_encoding", sentence))
            if encoding == "auto":
                encoding = self._chosen_encoding(samples)
            self.numeric_encoding_ = encoding
            if encoding != "linear":
                self.knots_ = _knots(samples, codes)

    def _chosen_encoding(self, samples: Samples) -> str:
        """ "piecewise" where that is clearly better for rows left out, or "linear"."""
        n = min(len(samples), _TRIED_ROWS)
        steps = self._epochs(self.max_epochs, self._budget, samples)
        steps *= len(Batches(samples, self._batch_size()))
        n_columns = self.n_features_in_ - len(getattr(self, "categorical_columns_", []))
        wide = _n_pieces(n_columns) < _FEWEST_PIECES or samples.x.is_sparse
        if wide or n < _FEWEST_ROWS or steps < _FEWEST_STEPS or not self._hidden:
            return "linear"
        rows = np.random.RandomState(0).permutation(len(samples))[:n]
        parts = rows[: n * 3 // 4], rows[n * 3 // 4 :]
        train, valid = (samples.view(torch.from_numpy(np.sort(p))) for p in parts)
        linear, pieces = (self._tried(e, train, valid) for e in ("linear", "piecewise"))
        gain = linear - pieces
        clear = gain.mean() > 3 * gain.std(ddof=1) / math.sqrt(len(gain))
        return "piecewise" if clear else "linear"

    def _tried(self, encoding: str, train: Samples, valid: Samples) -> np.ndarray:
        """The loss of each row left out, after a short training."""
        twin: Any = copy.copy(self)
        twin.numeric_encoding, twin.n_members = encoding, 1
        # As good as three times the steps, and no faster learner is preferred.
        twin.lr, twin.lr_schedule, twin.verbose = 3 * self.lr, None, 0
        twin.chunks_ = Chunks("", total=float(train.total_weight))
        net = twin._make_net(train, 0)
        batch = valid[slice(None)]
        with contextlib.suppress(DivergenceError):
            net.train(
                train, None, -(-_TRIED_STEPS // len(Batches(train, net.batch_size)))
            )
        with torch.inference_mode():
            losses = net.criterion_.each(net.module_(batch.x), batch.y)
        losses = losses if batch.weight is None else losses * batch.weight
        return losses.double().cpu().numpy()

    def _restate(self, module: Any) -> None:
        super()._restate(module)
        if len(self.missing_columns_):
            module.layers[0].learn(self.x_mean_)

    def _build(self) -> nn.Module:
        columns = self.missing_columns_
        prepare: list[nn.Module] = []
        standardize = None
        width = self.n_features_in_ + len(columns)
        if len(columns):
            prepare.append(Missing(self.x_mean_, columns))
        if self.standardize:
            told = np.zeros(len(columns))
            mean, scale = np.r_[self.x_mean_, told], np.r_[self.x_scale_, told + 1]
            standardize = Standardize(mean, scale)
        if self.numeric_encoding_ != "linear":
            encode = getattr(NumericEncoding, self.numeric_encoding_)
            prepare.append(encode(standardize, self.knots_))
            width += prepare[-1].n_more
        elif standardize is not None:
            prepare.append(standardize)
        if hasattr(self, "categories_"):
            positions = self.categorical_columns_.tolist()
            embed = ColumnEmbedding(width, positions, cardinalities(self.categories_))
            prepare.append(embed)
            width = embed.n_outputs
        options = (
            prepare,
            width,
            self._hidden,
            self._n_outputs,
            self.activation,
            self.dropout,
            self.normalization,
        )
        if self.n_members > 1 and self._hidden:
            loss = self._criterion()
            return MembersNet(loss, self.n_members, *options, self.n_members)
        return FeedforwardNet(*options)

    @property
    def _hidden(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),)

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
    numeric_encoding : str, default="auto"
        What the network sees of a column of numbers. "linear": the number alone.
        "piecewise": an input more for each of 16 stretches between its quantiles (of
        more than 20 columns fewer: 320 in all, at least 4 each), rising from 0 to 1
        along it [6]_, so that thresholds and bends are learned easily. "periodic":
        cosines of 1 to 16 half periods from the smallest to the largest value. "auto"
        trains two nets for 100 steps each, at three times ``lr``, on three quarters of
        the rows (of 2,000 at most) and takes "piecewise" if the loss of the others is
        lower by three standard errors, else "linear"; "linear" without a trial of fewer
        than 200 rows, of more than 80 columns or a sparse X, without hidden layers and
        where training is shorter than 500 steps. The choice does not depend on
        ``random_state``.
    n_members : int, default=1
        So many nets of ``hidden_layer_sizes`` are trained side by side, each by its own
        loss, and the mean of their outputs (logits) predicts. Their first layers are
        one product. `transform` gives the units of all; ``loss_curve_`` is their sum.
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
        What X was centred and scaled by, if ``standardize``. The scale of a column of
        zeros and ones is 0.5, however rare the ones.
    numeric_encoding_ : str
        What ``numeric_encoding`` came to: with the first chunk of `partial_fit`.
    knots_ : list of ndarray
        The ends of the stretches of each column, none where there are fewer than three
        values; not of "linear".
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
    .. [6] Y. Gorishniy, I. Rubachev, A. Babenko. On Embeddings for Numerical Features
       in Tabular Deep Learning. NeurIPS 2022. Here beside the standardised column.

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
