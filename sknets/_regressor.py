"""The task of predicting numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import (
    RegressorMixin,
)
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import (
    check_array,
)
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.containers import Ragged
from sknets._engine.players import Terms
from sknets._estimator import Estimator
from sknets._layers import rescale
from sknets._losses import (
    AbsoluteError,
    HuberLoss,
    PinballLoss,
    PoissonLoss,
    SquaredError,
)
from sknets._params import param
from sknets._scores import R2
from sknets._targets import (
    each,
    given_target,
    refuse_missing,
    scale_of_y,
)
from sknets._warn import warn


class Regressor(RegressorMixin, Estimator):
    """Task of predicting one or several numbers for each sample.

    y is centred and scaled for training and predictions are scaled back, always as
    float64: by its (weighted) mean and standard deviation; by its median and its median
    absolute deviation where ``loss`` is "absolute_error", "huber" or "quantile"; for
    "poisson" y is divided by its mean.

    Parameters
    ----------
    loss : str, default="squared_error"
        What training lowers: "squared_error", "absolute_error", "huber", "poisson" or
        "quantile".
    quantile : float, default=0.5
        Which quantile is predicted if ``loss`` is "quantile".

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by.
    """

    _task: ClassVar[str] = "regression"

    loss: Literal["squared_error", "absolute_error", "huber", "poisson", "quantile"] = (
        param(default="squared_error")
    )
    quantile: float = param(default=0.5, above=0, below=1)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on samples with known values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The kinds of input that the class names.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative; a weight of 0 is an absent sample.
        X_val, y_val : array-like, default=None
            Samples to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN or infinity, for shapes that do not
            fit.
        DivergenceError
            When the training loss is no longer finite.

        Warns
        -----
        UserWarning
            When y is constant.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The data may come in chunks: until the first of them comes again, each adds to
        ``n_samples_seen_``, on which penalties and batch sizes depend, and to the
        statistics that X and y are scaled by, and the rate is ``lr``, whatever
        ``lr_schedule``. Medians are those of every so many-th row, of at most 1,000
        that are kept. Words and categories are those of the first call. There is no
        such method with ``early_stopping`` or a ``checkpoint``.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the expected value of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        y : float64 ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return each(self._outputs(X, self._decode), self._unscaled)

    def _unscaled(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64) * self.y_scale_ + self.y_mean_
        return values[..., 0] if self.y_ndim_ == 1 else values

    # -- for the engine --------------------------------------------------------------

    @property
    def _n_outputs(self) -> int:
        return len(self.y_mean_)

    def _criterion(self) -> nn.Module | None:
        if self.loss == "quantile":
            return PinballLoss(self.quantile)
        losses = {
            "squared_error": SquaredError,
            "absolute_error": AbsoluteError,
            "huber": HuberLoss,
            "poisson": PoissonLoss,
        }
        return losses[self.loss]()

    def _decode(self, output: Tensor) -> Tensor:
        """Of counts the network gives the logarithm of the mean."""
        return output.exp() if self.loss == "poisson" else output

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        owner = type(self).__name__
        y = given_target(y, owner, n_samples)
        refuse_missing(y, owner, "value")
        try:
            y = check_array(
                y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self
            )
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            sentence = f"{owner}: y must be numbers, labels are for a classifier"
            raise ValueError(f"{sentence}; {error}") from None
        if y.ndim == 2 and y.shape[1] == 1:
            warn(
                f"{owner}: a column-vector y was passed when a 1d array was expected; "
                "use y.ravel()",
                DataConversionWarning,
            )
            y = y[:, 0]
        columns = y.reshape(n_samples, -1)
        if self.loss == "poisson":
            self._check_counts(columns)
        if reset:
            self.y_ndim_ = y.ndim
        elif y.ndim != self.y_ndim_ or columns.shape[1] != len(self.y_mean_):
            raise ValueError(
                f"{owner}: y has shape {y.shape}, but {len(self.y_mean_)} outputs were "
                "fitted before"
            )
        if reset or (reset is None and self.chunks_.grows):
            self._learn_scale_of_y(columns, weight)
        return (columns - self.y_mean_) / self.y_scale_

    def _learn_scale_of_y(self, columns: np.ndarray, weight: np.ndarray | None) -> None:
        """By this chunk and those before it."""
        mean, scale, constant = scale_of_y(self.chunks_, columns, weight, self.loss)
        if (scale == 0).any():  # of counts it is the mean
            sentence = "y must have a number above 0, all of a column are 0"
            raise ValueError(self._refusal("loss", sentence))
        self.y_mean_, self.y_scale_ = mean, scale
        if constant and len(columns) > 1 and self.chunks_.n == 1:
            warn(
                f"{type(self).__name__}: y is constant, {columns[0].tolist()} in all "
                f"{len(columns)} samples, so that is all there is to learn",
            )

    def _rescale(self, module: nn.Module, before: dict[str, Any]) -> None:
        old_mean, old_scale = before["y_mean_"], before["y_scale_"]
        factor = old_scale / self.y_scale_
        shift = (old_mean - self.y_mean_) / self.y_scale_
        if self.loss == "poisson":  # the output is a logarithm
            factor, shift = np.ones_like(factor), np.log(factor)
        rescale(getattr(module, "head", None), factor, shift)

    def _score(self) -> Any:
        return R2(self._decode)

    def _check_counts(self, columns: np.ndarray) -> None:
        if (columns < 0).any():
            row = int(np.argmax((columns < 0).any(1)))
            sentence = f"y must not be negative, got {columns[row].min()} at y[{row}]"
            raise ValueError(self._refusal("loss", sentence))

    def _terms(self) -> Terms:
        def values(encoded: Any) -> np.ndarray:
            joined = encoded.join() if isinstance(encoded, Ragged) else encoded
            return self._unscaled(joined.float().cpu().numpy())

        return Terms(
            lambda output: values(self._decode(output)), values, kind="regressor"
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


__all__ = ["Regressor"]
