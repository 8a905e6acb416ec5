"""Classes from few labels: a classifier that learns from unlabelled rows first."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.collect import stacked
from sknets._engine.data import Samples
from sknets._engine.net import Net
from sknets._engine.optim import Budget
from sknets._engine.players import Phase, Player, Trainer
from sknets._inputs import Table
from sknets._layers import Dropout
from sknets._params import param
from sknets._tasks import Classifier
from sknets.autoencoders._dense import _ACTIVATION, Scaled
from sknets.autoencoders._nets import Autoencoder

# From here on the neighbours of all rows take minutes and gigabytes.
_MOST_ROWS = 20_000


class PretrainedNet(nn.Module):
    """The hidden layers of an autoencoder, and an output layer on top of them."""

    def __init__(self, coder: Autoencoder, width: int, n_outputs: int, dropout: float):
        super().__init__()
        self.coder, self.dropout = coder, Dropout(dropout)
        self.head = nn.Linear(width, n_outputs)

    def features(self, x: Tensor) -> Tensor:  # (B, F) -> (B, hidden[-1])
        return self.coder.encoder(self.coder.target(x))

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, K)
        return self.head(self.dropout(self.features(x)))

    def plain_layers(self) -> tuple[Any, list[Any], list[Any]] | None:
        """The parts of a net of linear layers and activations alone, else None."""
        if self.dropout.p:
            return None
        layers = [*self.coder.encoder, self.head]
        return self.coder.standardize, layers[::2], layers[1::2]


class PretrainedClassifier(Scaled, Classifier):
    """Classifier for few labels, pretrained as a denoising autoencoder [1]_.

    `fit` takes labelled and unlabelled rows together, as `sklearn.semi_supervised`
    does: -1 in y means unlabelled. The hidden layers first learn to restore all rows
    from a part of their columns; then labels spread to the rows whose codes are near
    [2]_, and the whole network is trained on them by backpropagation.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(500,)
        Units of each hidden layer, one or more.
    activation : str, default="relu"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity", "leaky_relu",
        "elu", "gelu" or "silu".
    dropout : float, default=0.0
        The share of the last hidden layer's units switched off in the second training.
    standardize : bool, "auto" or "global", default="auto"
        True: columns are centred and scaled by their standard deviation; "global":
        centred, and scaled by one number; "auto": "global" where most columns have one
        range already, as pixels do, else True; False: X as it is.
    noise_level : float, default=0.7
        Share of the columns that are hidden from the autoencoder, other ones in each
        row and step; what is left is scaled up.
    pretraining_epochs : int or "auto", default="auto"
        How often the first training goes through all rows. 0 leaves it out, "auto" are
        15 epochs, or as many as make 500 steps.
    pretraining_lr : float, default=0.001
        The learning rate of the first training.
    spread_labels : bool, default=True
        Whether the second training uses the unlabelled rows too, with the class that
        label spreading over the ``n_neighbors`` nearest codes gives them, each weighed
        by how certain it is [3]_. Not done from 20,000 rows on, as time and memory grow
        with their square.
    n_neighbors : int, default=7
        Neighbours that labels spread to.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, among the labelled rows; "balanced" makes all classes
        weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often the second training goes through its rows.
        "auto" are 30 epochs, or as many as make 150 steps.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, without that of unlabelled rows.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    pretraining_epochs_ : int
        What ``pretraining_epochs`` came to.
    pretraining_loss_curve_ : list of float
        Loss of the autoencoder, an item an epoch.
    transduction_ : ndarray of shape (n_samples,)
        The class of every row that `fit` saw: as given, or as the labels spread; only
        if they did.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        What columns are centred and scaled by, if they are: of all rows.
    x_range_ : ndarray of shape (2, n_features_in_)
        The smallest and the largest value of each column, by which
        ``standardize="auto"`` decides.
    net_ : Net
        The trained skorch net; ``net_.module_`` is the torch module and
        ``net_.history`` has a row an epoch.
    n_iter_ : int
        Epochs of the second training.
    loss_curve_ : list of float
        Its loss, an item an epoch; see `sknets._estimator.Estimator` for what else a
        fit leaves.

    Notes
    -----
    The further parameters (``batch_size``, ``lr``, ``early_stopping``, ``device``,
    ``random_state``, ``checkpoint``, ...) are those of all estimators, see
    `sknets._estimator.Estimator`. A fit that resumes from its ``checkpoint`` pretrains
    anew.

    Unlabelled are -1, None, NaN and, in an array of strings, "-1". Where 1 is the only
    other label, -1 and 1 are two classes.

    The first training sees rows that are equal once, each weighed by what all of them
    count, so that a row of weight 2 is one given twice; the spreading of labels takes
    no weights. Departures: the layers are pretrained together instead of one after the
    other, and label spreading is that of scikit-learn.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol. Stacked
       Denoising Autoencoders. JMLR 11, 2010.
    .. [2] D. Zhou, O. Bousquet, T. N. Lal, J. Weston, B. Schoelkopf. Learning with
       Local and Global Consistency. NIPS 2003.
    .. [3] A. Iscen, G. Tolias, Y. Avrithis, O. Chum. Label Propagation for Deep
       Semi-supervised Learning. CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sknets import PretrainedClassifier
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 50, y, -1)
    >>> classifier = PretrainedClassifier(random_state=0).fit(X, few)
    >>> bool(classifier.score(X[50:], y[50:]) > 0.85)
    True
    """

    _takes_several: ClassVar[bool] = False

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(500,), at_least=1)
    activation: _ACTIVATION = param(default="relu")  # type: ignore[valid-type]
    dropout: float = param(default=0.0, at_least=0, below=1)
    noise_level: float = param(default=0.7, at_least=0, below=1)
    pretraining_epochs: int | Literal["auto"] = param(default="auto", at_least=0)
    pretraining_lr: float = param(default=1e-3, above=0)
    spread_labels: bool = param(default=True)
    n_neighbors: int = param(default=7, at_least=1)
    _budget = Budget(epochs=30, steps=150)

    def _check_params(self) -> None:
        super()._check_params()
        if not self._hidden():
            sentence = "a hidden layer is what is pretrained: give at least one"
            raise ValueError(self._refusal("hidden_layer_sizes", sentence))

    def _hidden(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Learn from all rows, and from the labels of some.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, -1 for unlabelled rows; or an indicator matrix of several
            labels a sample, all of them known.
        sample_weight : array-like of shape (n_samples,), default=None
            0 leaves a row out, 2 counts as two.
        X_val, y_val : array-like, default=None
            Samples to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN or infinity in X, for fewer than two
            classes among the labels, for weights that are negative or all 0.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch; the first call pretrains.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. Calls after the first use the labelled rows only.
        classes : array-like of shape (n_classes,), default=None
            All labels; needed on the first call.

        Returns
        -------
        self : object
        """
        return super().partial_fit(X, y, classes, sample_weight)

    # -- for the engine --------------------------------------------------------------

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        """Unlabelled rows as rows of weight 0, which only the pretraining sees."""
        unlabelled, counts = _unlabelled(y), sample_weight
        if unlabelled is not None and unlabelled.any():
            labels = np.asarray(y)
            if unlabelled.all():
                raise ValueError(
                    f"{type(self).__name__}: y has no labelled row, all {len(labels)} "
                    "are -1"
                )
            y = labels.copy()
            y[unlabelled] = labels[~unlabelled][0]
            if y.dtype == object:
                y = np.array(y.tolist())
            if counts is not None:
                counts = _check_sample_weight(
                    counts, np.empty((len(y), 1)), ensure_non_negative=True
                )
            sample_weight = ~unlabelled * (1.0 if counts is None else counts)
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        if counts is not sample_weight:
            samples.counts = counts
        return samples

    def _learn_statistics(self, samples: Samples) -> None:
        self._learn_scale(samples)
        if self.chunks_.n == 1:
            budget = Budget(epochs=15, steps=500)
            counts = samples.counts
            rows = samples.x if counts is None else np.flatnonzero(counts)
            self.pretraining_epochs_ = self._epochs(
                self.pretraining_epochs, budget, rows
            )

    def _build(self) -> nn.Module:
        hidden = self._hidden()
        coder = Autoencoder(
            self.n_features_in_,
            hidden[:-1],
            hidden[-1],
            self.activation,
            code_activation=self.activation,
            standardize=self._standardizer(),
            corrupt=Dropout(self.noise_level) if self.noise_level else None,
        )
        return PretrainedNet(coder, hidden[-1], self._n_outputs, self.dropout)

    def _phases(self, net: Net) -> list[Phase]:
        """The autoencoder on all rows, then the classifier on those with a label."""
        module = net.module_
        recipe = replace(net._recipe, lr=self.pretraining_lr, lr_schedule=None)

        def restore() -> list[Player]:
            coder = module.coder
            manual = coder.manual_gradient
            learned = list(coder.parameters())
            return [Player("autoencoder", learned, recipe, coder.loss, manual)]

        def classify() -> list[Player]:
            learned = [*module.coder.encoder.parameters(), *module.head.parameters()]
            return [Player("classifier", learned, net._recipe)]

        phases = [
            Phase("fine-tuning", self.max_epochs_, classify, partial(self._spread, net))
        ]
        if self.pretraining_epochs_:
            every = Phase(
                "pretraining", self.pretraining_epochs_, restore, _each_once, False
            )
            phases.insert(0, every)
        return phases

    def _finish(self, net: Trainer) -> None:
        super()._finish(net)
        self.pretraining_loss_curve_ = net.losses_of("pretraining")

    def _spread(
        self, net: Net, samples: Samples, valid: Samples | None, resumed: bool
    ) -> tuple[Samples, Samples | None]:
        """The samples, and the unlabelled rows by the class that reaches them."""
        n = len(samples.x)
        if not self.spread_labels or self.multilabel_ or n >= _MOST_ROWS:
            return samples, valid
        counts = np.ones(n) if samples.counts is None else samples.counts
        free = counts > 0  # neither learned nor held out to stop by
        for each in (samples, valid):
            if each is not None and each.x is samples.x:
                free[slice(None) if each.rows is None else each.rows.numpy()] = False
        if not free.any():
            return samples, valid
        known = np.zeros(n, dtype=bool)
        known[samples.rows.numpy()] = True  # type: ignore[union-attr]
        if not resumed:
            codes = stacked(net.batches(samples.x, net.module_.features), n).numpy()
            given = samples.y.values.reshape(-1).cpu().long().numpy().copy()
            near, certain = counts > 0, np.zeros(n)
            part = codes[near], given[near], known[near]
            given[near], certain[near] = _spread_over(*part, self.n_neighbors)
            self.transduction_ = self.classes_[given]
            self.label_certainty_ = np.where(known, 1.0, certain)
        certain = self.label_certainty_
        rows = np.flatnonzero(known | (free & (certain > 0)))
        own: Any = samples.weight_of_all()
        weight = np.where(known, own, certain * counts / counts[known].mean())
        weight = weight / weight[rows].mean()
        y = samples.y.values
        codes = np.searchsorted(self.classes_, self.transduction_)
        target = torch.from_numpy(codes).to(y).reshape(y.shape)
        spread = torch.from_numpy(weight).to(samples.weight.values)
        return Samples(samples.x, target, spread, torch.from_numpy(rows)), valid


def _each_once(samples: Samples, valid: Any, resumed: bool) -> tuple[Samples, None]:
    """All rows that count, with a label or without."""
    counts = samples.counts
    rows = None if counts is None else torch.from_numpy(np.flatnonzero(counts))
    return samples.distinct(rows, by_target=False), None


def _spread_over(
    codes: np.ndarray, given: np.ndarray, known: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's class, and from 0 to 1 how certain it is; the given ones stay."""
    near = min(n_neighbors, len(codes))
    spread = LabelSpreading(kernel="knn", n_neighbors=near, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that no label reaches: certainty 0
        spread.fit(codes, np.where(known, given, -1))
    shares = np.nan_to_num(spread.label_distributions_)
    uneven = -(shares * np.log(shares.clip(1e-12))).sum(1) / np.log(shares.shape[1])
    reached = shares.sum(1) > 0
    classes = np.where(known, given, spread.classes_[shares.argmax(1)])
    return classes, np.where(reached, 1 - uneven, 0).clip(0, 1)


def _unlabelled(y: Any) -> np.ndarray | None:
    """Which rows have no label; None where y is not a list of labels."""
    labels = np.asarray(y)
    if y is None or labels.ndim != 1 or not len(labels):
        return None
    if labels.dtype.kind in "biu":
        missing = labels == -1
    elif labels.dtype.kind == "f":
        missing = np.isnan(labels) | (labels == -1)
    elif labels.dtype.kind == "U":
        missing = labels == "-1"
    elif labels.dtype == object:
        missing = np.array([v is None or v != v or v == -1 for v in labels], dtype=bool)
    else:
        return None
    # Two classes named -1 and 1 are common; one labelled class is nothing to learn.
    return None if set(labels[~missing].tolist()) == {1} else missing


__all__ = ["PretrainedClassifier"]
