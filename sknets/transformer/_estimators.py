"""Transformers that tell classes or numbers of tables, sequences, text and images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._attention import SinusoidalPositions
from sknets._engine.collect import items
from sknets._engine.containers import Ragged
from sknets._engine.data import Samples, rows_a_step
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Images, ReadsImages, ReadsText, Sequences, Table, Text
from sknets._inputs.kinds import KINDS, refusal
from sknets._inputs.reader import Learned
from sknets._inputs.sequences import axes_of
from sknets._inputs.table import cardinalities, categorical_columns
from sknets._layers import Standardize, Stem, standardize_channels
from sknets._params import param
from sknets._per_step import PerStep
from sknets._tasks import Classifier, Regressor
from sknets.transformer._nets import (
    ColumnTokens,
    LearnedPositions,
    PatchTokens,
    ScaledEmbedding,
    TransformerNet,
)


class _Transformer(
    ReadsImages, ReadsText, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """The network of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Table, Sequences, Text, Images)
    categorical_columns_ = Learned()
    categories_ = Learned()
    sequence_length_ = Learned()
    _predict_batch_size: ClassVar[int] = 128
    # Of wider tables `compare` tries it only when asked.
    _most_columns: ClassVar[int] = 200
    spatial_dims: ClassVar[int] = 2  # what `Images` reads
    _cpu_numbers: ClassVar[int] = 0  # each of which is a vector here

    n_heads: int = param(default=4, at_least=1)
    n_layers: int = param(default=2, at_least=1)
    feedforward_size: int = param(default=128, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    positional_encoding: Literal["sinusoidal", "learned"] | None = param(
        default="sinusoidal"
    )
    pooling: Literal["auto", "cls", "mean", "max"] = param(default="auto")
    categorical_features: Literal["from_dtype"] | list[Any] | None = param(
        default="from_dtype"
    )
    patch_size: int | tuple[int, ...] | Literal["auto"] | None = param(
        default=None, at_least=1
    )
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=0
    )
    _short_budget: ClassVar[Budget] = Budget(epochs=15, steps=100)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr: float = param(default=3e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    def _check_params(self) -> None:
        super()._check_params()
        if self.embedding_size % self.n_heads:
            raise ValueError(
                self._refusal(
                    "n_heads",
                    f"n_heads must divide embedding_size={self.embedding_size}",
                )
            )
        if isinstance(self.patch_size, tuple | list) and len(self.patch_size) != 2:
            raise ValueError(
                self._refusal(
                    "patch_size", "patch_size must be one side, or height and width"
                )
            )

    # -- what X is -------------------------------------------------------------------

    def _choose_kind(self, X: Any) -> Any:
        super()._choose_kind(X)  # refuses what is of no kind of this estimator
        is_table = len(getattr(X, "shape", ())) == 2
        if is_table and len(categorical_columns(Table.of(self), X)):
            return Table
        if KINDS["text"].recognises(X) is not False:
            return Text
        axes = axes_of(X)
        if axes > 4:
            raise ValueError(refusal(type(self).__name__, self._task, self._inputs, X))
        if axes <= 2 and self.patch_size is not None and self.image_shape is None:
            raise ValueError(
                self._refusal(
                    "patch_size",
                    "X has flat rows: say with image_shape which images they hold",
                )
            )
        pixels = self.patch_size is not None or self.image_shape is not None
        if axes == 4 or (axes < 4 and pixels):
            return Images
        return Table if axes <= 2 else Sequences

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        steps = isinstance(x, Ragged)
        if reset and self.per_step and not steps:
            raise ValueError(
                self._refusal(
                    "per_step",
                    "per_step needs sequences or text, and X is "
                    + _NOUN[self.input_kind_],
                )
            )
        if steps:
            longest = int(x.counts.max())
            if reset:
                self.n_positions_ = longest
            elif self.positional_encoding == "learned" and longest > self.n_positions_:
                raise ValueError(
                    self._refusal(
                        "positional_encoding",
                        f"X has a sequence of {longest} steps, and positions were "
                        f"learned up to {self.n_positions_}: cut it, or fit with "
                        "positional_encoding='sinusoidal'",
                    )
                )
        return x

    def _learn_statistics(self, samples: Samples) -> None:
        if self.input_kind_ == "text":
            return
        mean, scale = self._mean_and_scale(samples)
        codes = getattr(self, "categorical_columns_", [])
        mean[codes], scale[codes] = 0, 1
        self.x_mean_, self.x_scale_ = mean, scale

    # -- the network -----------------------------------------------------------------

    def _batch_size(self) -> int:
        self.batch_size_ = rows_a_step(self.batch_size, self.n_samples_seen_)
        return self.batch_size_

    def _build(self) -> nn.Module:
        return TransformerNet(
            self._tokens(),
            self._positions(),
            self.embedding_size,
            self._n_outputs,
            self.n_heads,
            self.n_layers,
            self.feedforward_size,
            self.dropout,
            self._pooling,
            self.per_step,
            self._stem(),
        )

    def _stem(self) -> nn.Module | None:
        if self.stride_ == 1:
            return None
        standardize = Standardize(self.x_mean_, self.x_scale_)
        return Stem(standardize, self.n_channels_, self.embedding_size, self.stride_)

    @property
    def _pooling(self) -> str:
        if self.pooling != "auto":
            return self.pooling
        if self.stride_ > 1:
            return "max"
        return "mean" if self.input_kind_ == "text" else "cls"

    def _weight_decay(self) -> float:
        if self.weight_decay != "auto":
            return self.weight_decay
        # More would undo the vectors of rare tokens from step to step.
        return 0.01 if self.input_kind_ == "text" else 1.0

    def _tokens(self) -> nn.Module:
        width = self.embedding_size
        if self.input_kind_ == "text":
            return ScaledEmbedding(self._n_tokens, width)
        if self.input_kind_ == "images":
            standardize = standardize_channels(
                self.x_mean_, self.x_scale_, self.image_size_
            )
            return PatchTokens(self.n_channels_, self._patch, width, standardize)
        standardize = Standardize(self.x_mean_, self.x_scale_)
        if self.stride_ > 1:
            return nn.Linear(width, width)
        if self.input_kind_ == "sequences":
            return nn.Sequential(standardize, nn.Linear(self.n_channels_, width))
        categories = getattr(self, "categories_", [])
        columns = getattr(self, "categorical_columns_", np.array([], int)).tolist()
        return ColumnTokens(width, standardize, columns, cardinalities(categories))

    def _positions(self) -> nn.Module | None:
        # A column is known by its own bias.
        if self.positional_encoding is None or self.input_kind_ == "table":
            return None
        if self.input_kind_ == "images":
            lengths = [-(-n // p) for n, p in zip(self.image_size_, self._patch)]
        else:
            lengths = [-(-self.n_positions_ // self.stride_)]
        if self.positional_encoding == "sinusoidal":
            return SinusoidalPositions(self.embedding_size, *lengths)
        return LearnedPositions(self.embedding_size, int(np.prod(lengths)))

    @property
    def _patch(self) -> tuple[int, int]:
        size = self.patch_size
        if size is None or isinstance(size, str):
            size = max(2, -(-min(self.image_size_) // 8))
        high, wide = size if isinstance(size, tuple | list) else (size, size)
        return int(high), int(wide)

    # -- verbs -----------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Return the pooled features: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        features : ndarray of shape (n_samples, embedding_size)
            The state of [CLS], or the mean over all tokens.
        """
        return self._outputs(X, features=True)

    def attention_maps(self, X: Any) -> np.ndarray:
        """Return how much each token looks at each other one, block by block.

        The tokens are, after [CLS] if there is one, the columns, steps, tokens of the
        text or patches (row by row).

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        maps : ndarray of shape (n_samples, n_layers, n_heads, n_tokens, n_tokens)
            Row i is what token i looks at and sums to 1. Of a list or of text an array
            of arrays, as large as each sample has tokens.
        """
        check_is_fitted(self)
        net, module = self.net_, self.net_.module_
        x = self._check_input(X, reset=False)
        if not getattr(x, "listed", False):
            return self._collect(x, module.attention)
        return items(net.batches(x, module.attention, size=1), len(x))

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_NOUN = {"table": "a table", "images": "images"}


class TransformerClassifier(_Transformer, PerStep, Classifier):
    """Transformer that tells classes of tables, sequences, text or images [1]_ [2]_.

    Parameters
    ----------
    embedding_size : int, default=64
        Numbers in the vector of a token, the model's width (d_model).
    n_heads : int, default=4
        How many attentions a block has side by side; they share ``embedding_size``,
        which they must divide.
    n_layers : int, default=2
        Blocks of attention and feedforward net, one on top of the other.
    feedforward_size : int, default=128
        Hidden units of each block's feedforward net.
    dropout : float, default=0.0
        The share of numbers switched off in training: of the tokens, of the hidden
        units and of what each block adds (not of the attention, see Notes).
    positional_encoding : {"sinusoidal", "learned"} or None, default="sinusoidal"
        How a token tells where it stands: waves [1]_ (of patches half for the row, half
        for the column) for sequences of any length, or a learned vector for each
        position up to the longest of `fit`. None: order does not matter. Columns of a
        table are told apart by their own vectors and need none.
    pooling : {"auto", "cls", "mean", "max"}, default="auto"
        What the output layer sees: the state of a learned token [CLS] [4]_ before the
        others, or the mean or the largest value over all tokens. "auto" is "mean" for
        text, "max" for sequences read in strides, else "cls".
    stride : int or "auto", default="auto"
        Every how many steps a sequence has a token. Beyond 1 two convolutions make the
        tokens, each of ``2 stride + 1`` steps, in the scale of all samples and in that
        of the sequence itself [6]_; they are normalised a batch at a time, so that a
        weight of two is not quite the same as a sequence given twice. 1: a token for
        each step. "auto" is 1 where the longest sequence of `fit` has up to 32 steps
        (and with ``per_step``), beyond that 2 or as many as leave at most 64 tokens.
    categorical_features : list, "from_dtype" or None, default="from_dtype"
        Names or positions (or a mask) of a table's columns whose values are categories:
        each category has a learned vector. "from_dtype" takes a DataFrame's columns of
        dtype category. Unknown categories in `predict` count as none; missing ones are
        a category of their own if `fit` saw any.
    patch_size : int, tuple of int or "auto", default=None
        Side, or height and width, of the patches that images are cut into; setting it
        also says that X of three axes holds grey images, not sequences. Images that
        it does not divide are continued by their mean. "auto", and None for X of four
        axes: an eighth of the shorter side, at least 2.
    image_shape : tuple of int, default=None
        What X of flat rows holds: (height, width), or with channels. None: a table.
    resize : int or tuple of int, default=None
        Bring all images to this size. None: as they are; a list of unequal images is
        brought to its median size.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image holds the channels. "auto": the last if it is at most 4
        long, else the first if that is.
    per_step : bool, default=False
        Whether y has a label for each step of a sequence or token of a text instead
        of one for the whole: a list of arrays as long as each, or an array
        ``(n_samples, steps)``. There is no [CLS] then, `transform` gives the mean.
    tokenizer : {"words", "characters", "bpe"}, default="words"
        What a string is cut into: words and punctuation marks, characters, or byte
        pairs [5]_, sub-words that spell any word (needs the package tokenizers). Lists
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
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    optimizer : {"adam", "adamw", "sgd"}, default="adamw"
        See `sknets._estimator.Estimator`.
    weight_decay : float or "auto", default="auto"
        How much of a weight matrix decays: with "adamw" the share ``lr * weight_decay``
        a step. "auto" is 1, and 0.01 for text, whose rare tokens would be forgotten.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 15 epochs, or as many as
        make 100 steps, 400 where sequences are read in strides.
    batch_size : int or "auto", default="auto"
        Samples a step of training; "auto" are 32, of fewer than 256 an eighth (a net
        that takes few steps learns nothing), but up to 32 samples are one batch.
    lr : float, default=0.003
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`; attention wants a slow start.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    input_kind_ : str
        "table", "sequences", "text" or "images", as the X of `fit` was.
    batch_size_ : int
        The batch size that was used.
    stride_ : int
        The stride that was used.
    n_positions_ : int
        Steps of the longest sequence, or tokens of the longest text, of `fit`.
    x_mean_, x_scale_ : ndarray of shape (n_channels,) or (n_features_in_,)
        What each channel or column is centred and scaled by: its (weighted) mean and
        standard deviation.
    n_channels_ : int
        Numbers a step, or channels of images.
    sequence_length_ : int or None
        Steps of the sequences of `fit`, None if they differed.
    categorical_columns_, categories_
        Positions of a table's categorical columns and their categories, if any.
    vocabulary_, bpe_
        The number of each token and the byte-pair tokenizer's JSON, if X was text.
    sample_shape_, image_size_, spatial_dims_, channel_axis_, pixel_unit_
        As of `sknets.CNNClassifier`, if X was images.

    Notes
    -----
    What X is decides what the tokens are:

    - a table (arrays and DataFrames of two axes, lists of equal rows, CSR): a token for
      each column [3]_, computed in the dtype of X. Time and memory grow with the square
      of the number of columns;
    - sequences (``(n_samples, steps, channels)``, lists of arrays ``(steps, channels)``
      or ``(steps,)``): a token for each step, of long ones for each ``stride``. A
      plain row as a sequence is ``X[:, :, None]``;
    - text (a list or column of strings, or of lists of tokens);
    - images (four axes, or three with ``patch_size``, or flat rows with
      ``image_shape``): a token for each patch [2]_.

    All but tables is computed in float32. Blocks normalise first. Sequences of unequal
    length are trained in batches of like lengths. Padding, the order of samples and the
    size of batches never change a prediction. Attention is
    `torch.nn.functional.scaled_dot_product_attention`, with results equal to
    `torch.nn.TransformerEncoderLayer`'s from equal weights; dropping attention weights
    too would take twice its time. With [CLS] the last block computes its row alone.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] A. Vaswani et al. Attention Is All You Need. NeurIPS 2017. Here the encoder,
       normalised before each part, not after it, with "gelu" for "relu".
    .. [2] A. Dosovitskiy et al. An Image is Worth 16x16 Words. ICLR 2021.
    .. [3] Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko. Revisiting Deep Learning
       Models for Tabular Data. NeurIPS 2021. Here with "gelu" for gated units.
    .. [4] J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. BERT. NAACL 2019.
    .. [5] R. Sennrich, B. Haddow, A. Birch. Neural Machine Translation of Rare Words
       with Subword Units. ACL 2016.
    .. [6] Y. Nie, N. H. Nguyen, P. Sinthong, J. Kalagnanam. A Time Series is Worth 64
       Words. ICLR 2023. Here with all channels in one token, and convolutions that
       overlap [T. Xiao et al. Early Convolutions Help Transformers See Better. NeurIPS
       2021] for one linear layer.

    Examples
    --------
    Columns of a table are tokens:

    >>> from sklearn.datasets import load_digits, load_wine
    >>> from sklearn.model_selection import cross_val_score
    >>> from sknets import TransformerClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> net = TransformerClassifier(max_epochs=6, random_state=0)
    >>> bool(cross_val_score(net, X, y, cv=2).mean() > 0.9)
    True

    So are patches of images:

    >>> digits = load_digits(n_class=3)
    >>> vit = TransformerClassifier(patch_size=2, max_epochs=1, random_state=0)
    >>> X = digits.images / 16
    >>> vit.fit(X, digits.target).attention_maps(X[:3]).shape
    (3, 2, 4, 17, 17)
    """


class TransformerRegressor(_Transformer, PerStep, Regressor):
    """Transformer that predicts numbers from tables, sequences, text or images.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.TransformerClassifier`; without classes there is no ``class_weight``.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    Parameters
    ----------
    per_step : bool, default=False
        Whether y has a number for each step of a sequence or token of a text instead
        of one for the whole: a list of arrays as long as each, or an array
        ``(n_samples, steps)``. There is no [CLS] then, `transform` gives the mean.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknets import TransformerRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = TransformerRegressor(max_epochs=8, random_state=0).fit(X[:300], y[:300])
    >>> bool(net.score(X[300:], y[300:]) > 0.4)
    True
    """
