"""Recurrent networks for sequences of equal and of unequal lengths."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._engine.batching import Samples
from sknets._estimator import Estimator
from sknets._inputs import Sequences
from sknets._inputs.sequences import Padded
from sknets._layers import Dropout, Standardize
from sknets._params import param
from sknets._tasks import Classifier, Regressor

CELLS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class RecurrentNet(nn.Module):
    """Layers of cells that read forwards (and backwards), pooling, then the output."""

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        cell: str,
        hidden_size: int,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
        pooling: str,
        prepare: nn.Module,
    ):
        super().__init__()
        # s_t = f(U x_t + W s_(t-1)), o = softmax(V s): Elman's figure has no biases.
        bias = cell != "rnn"
        self.n_features = hidden_size * (2 if bidirectional else 1)
        widths = [n_channels] + [self.n_features] * (n_layers - 1)

        def stack() -> nn.ModuleList:
            return nn.ModuleList(CELLS[cell](w, hidden_size, bias=bias) for w in widths)

        self.prepare = prepare
        self.forwards = stack()
        self.backwards = stack() if bidirectional else None
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.n_features, n_outputs, bias=bias)
        self.hidden_size, self.pooling = hidden_size, pooling

    def features(self, x: Tensor | Padded) -> Tensor:  # (B, T, C) -> (B, n_features)
        lengths = x.lengths if isinstance(x, Padded) else None
        values = x.values if isinstance(x, Padded) else x
        # (T, B, C): the cells want the rows of a step together.
        states = self.prepare(values).transpose(0, 1)
        turn = _Reversal(states, lengths)
        for i, layer in enumerate(self.forwards):
            inputs = self.dropout(states) if i else states
            states = layer(inputs)[0]
            if self.backwards is not None:
                back = turn(self.backwards[i](turn(inputs))[0])
                states = torch.cat([states, back], 2)
        return self._pool(states, lengths)

    def _pool(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        if self.pooling == "last":
            h = self.hidden_size
            last = states[-1] if lengths is None else _at(states, lengths - 1)
            # Whoever reads backwards is done at the first step.
            return torch.cat([last[:, :h], states[0, :, h:]], 1)
        if lengths is None:
            return states.mean(0) if self.pooling == "mean" else states.amax(0)
        padding = torch.arange(len(states), device=states.device)[:, None] >= lengths
        if self.pooling == "mean":
            total = states.masked_fill(padding[:, :, None], 0).sum(0)
            return total / lengths[:, None]
        return states.masked_fill(padding[:, :, None], -torch.inf).amax(0)

    def forward(self, x: Tensor | Padded) -> Tensor:  # (B, T, C) -> (B, K)
        return self.head(self.dropout(self.features(x)))


def _at(states: Tensor, steps: Tensor) -> Tensor:
    """Each sequence's state at its own step: (T, B, H) -> (B, H)."""
    size = states.shape[1]
    rows = steps * size + torch.arange(size, device=steps.device)
    return states.flatten(0, 1).index_select(0, rows)


class _Reversal:
    """Turns each sequence around by its own length, and its padding not at all.

    Packed sequences would do the same in three times the time.
    """

    def __init__(self, x: Tensor, lengths: Tensor | None):
        self.rows: Tensor | None = None
        if lengths is not None:
            n_steps, size = x.shape[:2]
            steps = torch.arange(n_steps, device=x.device)[:, None]
            steps = torch.where(steps < lengths, lengths - 1 - steps, steps)
            own = torch.arange(size, device=x.device)
            self.rows = (steps * size + own).flatten()

    def __call__(self, x: Tensor) -> Tensor:
        if self.rows is None:
            return x.flip(0)
        return x.flatten(0, 1).index_select(0, self.rows).view(x.shape)


class _Recurrent(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Sequences,)
    _predict_batch_size: ClassVar[int] = 128

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=64, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    bidirectional: bool = param(default=False)
    dropout: float = param(default=0.0, at_least=0, below=1)
    pooling: Literal["last", "mean", "max"] = param(default="last")
    max_epochs: int = param(default=20, at_least=1)
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    def _learn_statistics(self, samples: Samples) -> None:
        weight = samples.weight
        self.x_mean_, self.x_scale_ = samples.x.mean_and_scale(
            None if weight is None else weight.cpu().numpy()
        )

    def _build(self) -> nn.Module:
        return RecurrentNet(
            self.n_channels_,
            self._n_outputs,
            self.cell,
            self.hidden_size,
            self.n_layers,
            self.bidirectional,
            self.dropout,
            self.pooling,
            Standardize(self.x_mean_, self.x_scale_),
        )

    def transform(self, X):
        """Return the final states: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, steps, channels), list of arrays, or rows

        Returns
        -------
        states : ndarray of shape (n_samples, n_features_out)
            The top layer's states after the last step (backwards: the first), or their
            ``pooling`` over all steps.
        """
        return self._outputs(X, features=True).numpy()

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class RNNClassifier(_Recurrent, Classifier):
    """Recurrent network that tells classes of sequences [1]_ [2]_ [3]_.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory [1]_, gated recurrent units [2]_, or Elman's plain cell
        [3]_, exactly ``s_t = tanh(U x_t + W s_(t-1))`` and ``o = V s``, without biases.
        Gates carry a memory over a hundred steps, the plain cell does not.
    hidden_size : int, default=64
        Numbers in the state of a layer, for each direction.
    n_layers : int, default=1
        Layers on top of each other; each reads the states of the one below.
    bidirectional : bool, default=False
        Whether each layer also reads from the end to the beginning [4]_.
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer but the first,
        the output layer included; never from step to step [5]_.
    pooling : {"last", "mean", "max"}, default="last"
        What the output layer sees of the top layer's states: the final ones, or their
        mean or largest value over all steps.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int, default=20
        How often training goes through the data.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient; through many steps it may explode [6]_.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    n_channels_ : int
        Numbers a step.
    sequence_length_ : int or None
        Steps of the sequences of `fit`, None if they differed.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its (weighted) mean and standard
        deviation over all steps.

    Notes
    -----
    X is one of: an array ``(n_samples, steps, channels)``; a list of arrays
    ``(steps, channels)``, or ``(steps,)`` of one channel, of unequal lengths; plain
    rows, each a sequence of one channel. Data in the order ``(n_samples, channels,
    steps)`` is turned by ``X.transpose(0, 2, 1)``. Computed in float32, plain rows in
    their own dtype. Sequences to predict may have any length, except plain rows.

    Sequences of unequal length are trained in batches of like lengths. Padding,
    the order of samples and the size of batches never change a prediction. The cells
    are those of `torch.nn`, with equal results from equal weights.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber. Long Short-Term Memory. Neural Computation 9,
       1997. Here with the forget gate of Gers et al. 2000.
    .. [2] K. Cho et al. Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation. EMNLP 2014. As in torch, the reset gate acts
       after the recurrent product.
    .. [3] J. L. Elman. Finding Structure in Time. Cognitive Science 14, 1990.
    .. [4] M. Schuster, K. K. Paliwal. Bidirectional Recurrent Neural Networks. IEEE
       Trans. Signal Processing 45, 1997.
    .. [5] W. Zaremba, I. Sutskever, O. Vinyals. Recurrent Neural Network
       Regularization. 2014.
    .. [6] R. Pascanu, T. Mikolov, Y. Bengio. On the Difficulty of Training Recurrent
       Neural Networks. ICML 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknets import RNNClassifier
    >>> digits = load_digits()  # images of 8 rows: 8 steps of 8 channels
    >>> X, X_test, y, y_test = train_test_split(
    ...     digits.images, digits.target, random_state=0
    ... )
    >>> rnn = RNNClassifier(max_epochs=10, random_state=0).fit(X, y)
    >>> bool(rnn.score(X_test, y_test) > 0.95)
    True

    Sequences of unequal length are a list of arrays:

    >>> rnn.predict([X_test[0], X_test[1][:5]]).shape
    (2,)
    >>> rnn.transform(X_test).shape
    (450, 64)
    """


class RNNRegressor(_Recurrent, Regressor):
    """Recurrent network that predicts numbers from sequences [1]_ [2]_ [3]_.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory [1]_, gated recurrent units [2]_, or Elman's plain cell
        [3]_, exactly ``s_t = tanh(U x_t + W s_(t-1))`` and ``o = V s``, without biases.
        Gates carry a memory over a hundred steps, the plain cell does not.
    hidden_size : int, default=64
        Numbers in the state of a layer, for each direction.
    n_layers : int, default=1
        Layers on top of each other; each reads the states of the one below.
    bidirectional : bool, default=False
        Whether each layer also reads from the end to the beginning [4]_.
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer but the first,
        the output layer included; never from step to step [5]_.
    pooling : {"last", "mean", "max"}, default="last"
        What the output layer sees of the top layer's states: the final ones, or their
        mean or largest value over all steps.
    max_epochs : int, default=40
        How often training goes through the data.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient; through many steps it may explode [6]_.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.
    n_channels_ : int
        Numbers a step.
    sequence_length_ : int or None
        Steps of the sequences of `fit`, None if they differed.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its (weighted) mean and standard
        deviation over all steps.

    Notes
    -----
    X is one of: an array ``(n_samples, steps, channels)``; a list of arrays
    ``(steps, channels)``, or ``(steps,)`` of one channel, of unequal lengths; plain
    rows, each a sequence of one channel. Data in the order ``(n_samples, channels,
    steps)`` is turned by ``X.transpose(0, 2, 1)``. Computed in float32, plain rows in
    their own dtype. Sequences to predict may have any length, except plain rows.

    Sequences of unequal length are trained in batches of like lengths. Padding,
    the order of samples and the size of batches never change a prediction. The cells
    are those of `torch.nn`, with equal results from equal weights.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber. Long Short-Term Memory. Neural Computation 9,
       1997. Here with the forget gate of Gers et al. 2000.
    .. [2] K. Cho et al. Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation. EMNLP 2014. As in torch, the reset gate acts
       after the recurrent product.
    .. [3] J. L. Elman. Finding Structure in Time. Cognitive Science 14, 1990.
    .. [4] M. Schuster, K. K. Paliwal. Bidirectional Recurrent Neural Networks. IEEE
       Trans. Signal Processing 45, 1997.
    .. [5] W. Zaremba, I. Sutskever, O. Vinyals. Recurrent Neural Network
       Regularization. 2014.
    .. [6] R. Pascanu, T. Mikolov, Y. Bengio. On the Difficulty of Training Recurrent
       Neural Networks. ICML 2013.

    Examples
    --------
    The sum of up to twenty steps:

    >>> import numpy as np
    >>> from sknets import RNNRegressor
    >>> random = np.random.default_rng(0)
    >>> X = [random.normal(size=random.integers(1, 21)) for _ in range(400)]
    >>> y = [np.sum(x) for x in X]
    >>> rnn = RNNRegressor(max_epochs=10, random_state=0).fit(X[:300], y[:300])
    >>> bool(rnn.score(X[300:], y[300:]) > 0.9)
    True
    """

    # Numbers take more steps than classes on a small X.
    max_epochs: int = param(default=40, at_least=1)
