"""Transformers that tell classes or numbers of tables, sequences, text and images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._engine.batching import Ragged, Samples
from sknets._estimator import Estimator
from sknets._inputs import Images, ReadsText, Sequences, Table, Text
from sknets._inputs.sequences import Steps, axes_of, is_text
from sknets._inputs.table import cardinalities
from sknets._layers import Standardize, TokenEmbedding, standardize_channels
from sknets._params import param
from sknets._per_step import PerStep, PerStepClassifier
from sknets._tasks import Classifier, Regressor
from sknets.transformer._nets import (
    ColumnTokens,
    LearnedPositions,
    PatchTokens,
    SinusoidalPositions,
    TransformerNet,
)


class _Transformer(
    ReadsText, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """The network of this chapter, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Table, Sequences, Text, Images)
    _predict_batch_size: ClassVar[int] = 128
    spatial_dims: ClassVar[int] = 2  # what `Images` reads

    n_heads: int = param(default=4, at_least=1)
    n_layers: int = param(default=2, at_least=1)
    feedforward_size: int = param(default=128, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    positional_encoding: Literal["sinusoidal", "learned"] | None = param(
        default="sinusoidal"
    )
    pooling: Literal["cls", "mean"] = param(default="cls")
    categorical_features: Literal["from_dtype"] | list[Any] | None = param(
        default="from_dtype"
    )
    patch_size: int | tuple[int, ...] | None = param(default=None, at_least=1)
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    max_epochs: int = param(default=20, at_least=1)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adamw")
    weight_decay: float = param(default=1e-2, at_least=0)
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
        if is_text(X):
            return Text
        axes = axes_of(X)
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

    def _check_input(self, X: Any, *, reset: bool) -> Any:
        x = super()._check_input(X, reset=reset)
        steps = isinstance(x, Steps)
        if reset and self.per_step and not steps:
            raise ValueError(
                self._refusal(
                    "per_step",
                    f"per_step needs sequences or text, and X is {_NOUN[self.input_kind_]}",
                )
            )
        if steps:
            longest = int(x.n_steps().max())
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
        weight = samples.weight
        weight = weight.values if isinstance(weight, Ragged) else weight
        mean, scale = samples.x.mean_and_scale(
            None if weight is None else weight.cpu().numpy()
        )
        codes = getattr(self, "categorical_columns_", [])
        mean[codes], scale[codes] = 0, 1
        self.x_mean_, self.x_scale_ = mean, scale

    # -- the network -----------------------------------------------------------------

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
            self.pooling,
            self.per_step,
        )

    def _tokens(self) -> nn.Module:
        width = self.embedding_size
        if self.input_kind_ == "text":
            return TokenEmbedding(self._n_tokens, width)
        if self.input_kind_ == "images":
            standardize = standardize_channels(
                self.x_mean_, self.x_scale_, self.image_size_
            )
            return PatchTokens(self.n_channels_, self._patch, width, standardize)
        standardize = Standardize(self.x_mean_, self.x_scale_)
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
            lengths = [self.n_positions_]
        if self.positional_encoding == "sinusoidal":
            return SinusoidalPositions(self.embedding_size, *lengths)
        return LearnedPositions(self.embedding_size, int(np.prod(lengths)))

    @property
    def _patch(self) -> tuple[int, int]:
        size = self.patch_size
        if size is None:
            size = max(2, -(-min(self.image_size_) // 8))
        high, wide = size if isinstance(size, tuple | list) else (size, size)
        return int(high), int(wide)

    # -- verbs -----------------------------------------------------------------------

    def transform(self, X):
        """Return the pooled features: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        features : ndarray of shape (n_samples, embedding_size)
            The state of [CLS], or the mean over all tokens.
        """
        return self._outputs(X, features=True).numpy()

    def attention_maps(self, X):
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
            return net.outputs(x, module.attention).numpy()
        x = x.to(torch.device(net.device), net.dtype)
        maps = np.empty(len(x), dtype=object)
        with torch.inference_mode():
            for i in range(len(x)):
                maps[i] = module.attention(x.batch(slice(i, i + 1)))[0].cpu().numpy()
        return maps

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_NOUN = {"table": "a table", "images": "images"}


class TransformerClassifier(_Transformer, PerStepClassifier, Classifier):
    """TODO."""


class TransformerRegressor(_Transformer, PerStep, Regressor):
    """TODO."""

    max_epochs: int = param(default=40, at_least=1)
