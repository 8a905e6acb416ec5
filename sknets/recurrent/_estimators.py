"""Recurrent networks that tell classes or numbers of whole sequences."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import nn

from sknets._engine.data import Samples, rows_a_step
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Sequences, StartsFromWords, Text
from sknets._inputs.reader import Learned
from sknets._layers import (
    Dropout,
    Standardize,
    Stem,
    TokenEmbedding,
)
from sknets._params import param
from sknets._per_step import PerStep
from sknets._tasks import Classifier, Regressor
from sknets.recurrent._nets import RecurrentNet


class _Recurrent(
    StartsFromWords, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """The networks of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Sequences, Text)
    n_channels_ = Learned()
    sequence_length_ = Learned()
    _predict_batch_size: ClassVar[int] = 128

    cell: Literal["lstm", "gru", "rnn"] = param(default="lstm")
    hidden_size: int = param(default=64, at_least=1)
    n_layers: int = param(default=1, at_least=1)
    bidirectional: bool | Literal["auto"] = param(default="auto")
    dropout: float = param(default=0.0, at_least=0, below=1)
    pooling: Literal["auto", "last", "mean", "max"] = param(default="auto")
    _short_budget: ClassVar[Budget] = Budget(epochs=20, steps=100)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)
    weight_decay: float = param(default=1e-4, at_least=0)

    def _learn_statistics(self, samples: Samples) -> None:
        if self.input_kind_ == "text":
            return
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _batch_size(self) -> int:
        self.batch_size_ = rows_a_step(self.batch_size, self.n_samples_seen_)
        return self.batch_size_

    def _build(self) -> nn.Module:
        prepare: nn.Module
        stem, pooling = None, "last"
        if self.input_kind_ == "text":
            prepare = nn.Sequential(
                TokenEmbedding(self._n_tokens, self._word_size),
                Dropout(self.dropout),
            )
            n_channels, pooling = self._word_size, "max"
        else:
            prepare = Standardize(self.x_mean_, self.x_scale_)
            n_channels = self.n_channels_
            if self.stride_ > 1:
                stem = Stem(prepare, n_channels, self.hidden_size, self.stride_)
                prepare = nn.Identity()
                n_channels, pooling = self.hidden_size, "max"
        auto = stem is not None
        return RecurrentNet(
            n_channels,
            self._n_outputs,
            self.cell,
            self.hidden_size,
            self.n_layers,
            auto if self.bidirectional == "auto" else self.bidirectional,
            self.dropout,
            pooling if self.pooling == "auto" else self.pooling,
            self.per_step,
            prepare,
            stem,
        )

    def transform(self, X: Any) -> np.ndarray:
        """Return the final states: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, steps, channels), list of arrays, rows, text

        Returns
        -------
        states : ndarray of shape (n_samples, n_features_out)
            The top layer's states after the last step (backwards: the first), or what
            ``pooling`` makes of the states of all steps.
        """
        return self._outputs(X, features=True)

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class RNNClassifier(_Recurrent, PerStep, Classifier):
    """Recurrent network that tells classes of sequences [1]_ [2]_ [3]_.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}, default="lstm"
        Long short-term memory [1]_, gated recurrent units [2]_, or Elman's plain cell
        [3]_, ``s_t = tanh(U x_t + W s_(t-1) + b)`` and ``o = V s + c``. Gates
        carry a memory over a hundred steps, the plain cell does not.
    hidden_size : int, default=64
        Numbers in the state of a layer, for each direction.
    n_layers : int, default=1
        Layers on top of each other; each reads the states of the one below.
    bidirectional : bool or "auto", default="auto"
        Whether each layer also reads from the end to the beginning [4]_; "auto" does
        where sequences are read in strides.
    dropout : float, default=0.0
        The share of numbers switched off in training before each layer but the first,
        the output layer included, and before the first one too, where X is text; never
        from step to step [5]_. Text asks for much of it.
    pooling : {"auto", "last", "mean", "max"}, default="auto"
        What the output layer sees of the top layer's states: the final ones, or their
        mean or largest value over all steps. "auto" is "last" for numbers, and "max"
        for text and for sequences read in strides, any part of which may tell.
    stride : int or "auto", default="auto"
        Every how many steps of a sequence of numbers the network takes one. Beyond 1
        two convolutions make these steps, each of ``2 stride + 1`` of X, in the scale
        of all samples and in that of the sequence itself; they are normalised a batch
        at a time, so that a weight of two is not quite the same as a sequence given
        twice. 1: the steps as they are. "auto" is 1 where the longest sequence of `fit`
        has up to 32 steps (and with ``per_step``), beyond that 2 or as many as leave at
        most 64.
    per_step : bool, default=False
        Whether y has a label for each step (many to many) instead of one for the
        sequence: a list of arrays as long as each sequence, or an array ``(n_samples,
        steps)``. Scores and losses then count steps; ``pooling`` is for `transform`.
    tokenizer : {"words", "characters", "bpe"}, default="words"
        What a string is cut into: words and punctuation marks, characters, or byte
        pairs [7]_, sub-words that spell any word (needs the package tokenizers). Lists
        of tokens are taken as they are.
    lowercase : bool, default=True
        Whether strings are turned to lower case first.
    vocabulary_size : int, default=20000
        The most frequent tokens that are learned a vector for. All others, and those
        that `fit` has not seen, are one unknown token, the zero vector.
    min_frequency : int, default=1
        How often a token must occur in `fit` to be learned.
    max_length : int or None, default=None
        How many tokens of a text are read, from its beginning; None means all.
    embedding_size : int, default=64
        Numbers in the vector of a token, unless ``embedding`` has others.
    embedding : vectorizer of words or None, default=None
        Where the vectors of tokens start: a `sknets.Word2VecVectorizer` or one of its
        kind, which `fit` first fits to its texts (a copy, with this ``random_state`` if
        it has none). One that is fitted is taken as it is, with all words that it
        knows; scikit-learn's ``FrozenEstimator`` keeps it so in cross-validation, which
        copies unfitted. A file of `save` does not hold it.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 20 epochs, or as many as
        make 100 steps, 400 where sequences are read in strides.
    batch_size : int or "auto", default="auto"
        Samples a step of training; "auto" are 32, of fewer than 256 an eighth (a net
        that takes few steps learns nothing), but up to 32 samples are one batch.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient; through many steps it may explode [6]_.
    weight_decay : float, default=0.0001
        L2 penalty of weight matrices; biases are left alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    input_kind_ : str
        "sequences" or "text", as the X of `fit` was.
    n_channels_ : int
        Numbers a step, unless X was text.
    batch_size_ : int
        The batch size that was used.
    stride_ : int
        The stride that was used.
    sequence_length_ : int or None
        Steps of the sequences of `fit`, None if they differed.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its (weighted) mean and standard
        deviation over all steps.
    vocabulary_ : dict of str to int
        The number of each token, if X was text.
    bpe_ : str
        The byte-pair tokenizer as the JSON of `tokenizers`, if there is one.
    word_size_ : int
        Numbers in the vectors of ``embedding``, if there was one.

    Notes
    -----
    X is one of: an array ``(n_samples, steps, channels)``; a list of arrays
    ``(steps, channels)``, or ``(steps,)`` of one channel, of unequal lengths; plain
    rows, each a sequence of one channel; text, as a list or column of strings (which
    may be empty) or a list of lists of tokens. Data in the order ``(n_samples,
    channels, steps)`` is turned by ``X.transpose(0, 2, 1)``. Computed in float32, plain
    rows in their own dtype. Sequences to predict may have any length, except plain
    rows.

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
    .. [7] R. Sennrich, B. Haddow, A. Birch. Neural Machine Translation of Rare Words
       with Subword Units. ACL 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknets import RNNClassifier
    >>> digits = load_digits()  # images of 8 rows: 8 steps of 8 channels
    >>> X, X_test, y, y_test = train_test_split(
    ...     digits.images, digits.target, random_state=0
    ... )
    >>> rnn = RNNClassifier(max_epochs=4, random_state=0).fit(X, y)
    >>> bool(rnn.score(X_test, y_test) > 0.9)
    True

    Sequences of unequal length are a list of arrays:

    >>> rnn.predict([X_test[0], X_test[1][:5]]).shape
    (2,)
    >>> rnn.transform(X_test).shape
    (450, 64)

    Text is a list of strings; a label for each word needs ``per_step``:

    >>> X = ["she sings", "he sings", "she hums", "he hums"] * 10
    >>> y = [[word in ("sings", "hums") for word in text.split()] for text in X]
    >>> tagger = RNNClassifier(per_step=True, max_epochs=5, random_state=0).fit(X, y)
    >>> tagger.predict(["she hums"])[0].tolist()
    [False, True]
    """


class RNNRegressor(_Recurrent, PerStep, Regressor):
    """Recurrent network that predicts numbers from sequences.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.RNNClassifier`; without classes there is no ``class_weight``.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Parameters
    ----------
    per_step : bool, default=False
        Whether y has a number for each step (many to many) instead of one for the
        sequence: a list of arrays as long as each sequence, or an array ``(n_samples,
        steps)``. Scores and losses then count steps; ``pooling`` is for `transform`.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 40 epochs, or as many as
        make 100 steps, 400 where sequences are read in strides.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

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
    _short_budget = Budget(epochs=40, steps=100)
