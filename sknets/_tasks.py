"""What comes out: what each task takes as y, the loss it trains by, what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import (
    ClassifierMixin,
    RegressorMixin,
)
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
)
from sklearn.utils.validation import (
    assert_all_finite,
    check_array,
    column_or_1d,
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
    CrossEntropy,
    HuberLoss,
    LogisticLoss,
    PinballLoss,
    PoissonLoss,
    SquaredError,
)
from sknets._params import param
from sknets._scores import R2, Accuracy
from sknets._targets import balanced, given_target, refuse_missing, scale_of_y
from sknets._warn import warn


class Classifier(ClassifierMixin, Estimator):
    """Task of predicting a class, or several labels, for each sample.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, multiplied with ``sample_weight``; "balanced" makes all
        classes weigh the same in sum.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    """

    _task: ClassVar[str] = "classification"

    class_weight: dict[Any, float] | Literal["balanced"] | None = param(default=None)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on labelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The kinds of input that the class names.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any type, or a 0/1 matrix of several labels a sample.
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
            fit, for a single class.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The data may come in chunks: until the first of them comes again, each adds to
        ``n_samples_seen_``, on which penalties and batch sizes depend, and to the
        statistics that X is scaled by, and the rate is ``lr``, whatever
        ``lr_schedule``. Words and categories are those of the first call. There is no
        such method with ``early_stopping``, a ``checkpoint`` or
        ``class_weight="balanced"``.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All the classes that will come; required at the first call, optional then.
            For multilabel y the columns are the classes.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `fit`; without ``classes`` at the first call; for a label that is not
            among them.
        """
        if classes is None and not _has_columns(y) and not self.__sklearn_is_fitted__():
            raise ValueError(
                f"{type(self).__name__}: classes must be passed on the first call to "
                "partial_fit"
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return each(self._outputs(X, self._decode), self._labels_of)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Rows sum to 1, except for multilabel y: the probability of each label.
        """
        return self._outputs(X, self._probabilities)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, exact for tiny probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        return self._outputs(X, self._log_probabilities)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the network's raw scores (logits).

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,) if binary, else (n_samples, n_classes)
        """
        scores = self._outputs(X)
        if self._n_outputs > 1 or self.multilabel_:
            return scores
        return each(scores, lambda logits: logits[..., 0])

    # -- for the engine --------------------------------------------------------------

    @property
    def _n_outputs(self) -> int:
        """One logit decides between two classes."""
        n = len(self.classes_)
        return n if self.multilabel_ or n > 2 else 1

    def _labels_of(self, encoded: np.ndarray) -> np.ndarray:
        return encoded if self.multilabel_ else self.classes_[encoded]

    def _probabilities(self, output: Tensor) -> Tensor:
        output = _widened(output)
        if self.multilabel_:
            return torch.sigmoid(output)
        if output.shape[1] == 1:
            return torch.sigmoid(torch.cat([-output, output], 1))
        # torch.softmax over a few columns is not vectorised: four times as slow.
        powers = (output - output.amax(1, keepdim=True)).exp_()
        return powers.div_(powers.sum(1, keepdim=True))

    def _log_probabilities(self, output: Tensor) -> Tensor:
        output = _widened(output)
        if self.multilabel_:
            return F.logsigmoid(output)
        if output.shape[1] == 1:
            return F.logsigmoid(torch.cat([-output, output], 1))
        return torch.log_softmax(output, 1)

    def _criterion(self) -> nn.Module | None:
        one_of_many = self._n_outputs > 1 and not self.multilabel_
        return CrossEntropy() if one_of_many else LogisticLoss()

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        owner = type(self).__name__
        y = given_target(y, owner, n_samples)
        refuse_missing(y, owner, "label")
        if getattr(getattr(y, "dtype", None), "kind", "") == "f":
            assert_all_finite(y, estimator_name=owner, input_name="y")
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return self._encode_labels(y, reset)
        if kind not in ("binary", "multiclass"):
            check_classification_targets(y)  # finds out the type again
        y = column_or_1d(y, warn=True)
        present = np.unique(y if weight is None else y[weight > 0])
        announced = None if classes is None else np.unique(classes)
        if reset:
            found = present if announced is None else announced
            if len(found) < 2:
                raise ValueError(
                    f"{owner} needs at least 2 classes with positive weight, got "
                    f"{len(found)} class: {found.tolist()}"
                )
            self.classes_, self.multilabel_ = found, False
        elif announced is not None and not np.array_equal(announced, self.classes_):
            raise ValueError(
                f"{owner}: classes={announced.tolist()} differ from those of the first "
                f"call, {self.classes_.tolist()}"
            )
        strange = present[:0]
        if present is not self.classes_:
            strange = np.setdiff1d(present, self.classes_)
        if len(strange) or self.multilabel_:
            raise ValueError(
                f"{owner}: y has labels {strange.tolist()} that are not among the "
                f"classes of the first fit, {self.classes_.tolist()}"
            )
        # Labels of absent rows (weight 0) may be unknown: any number will do.
        encoded = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if len(self.classes_) == 2:
            return encoded[:, None].astype(np.float64)
        return encoded.astype(np.int64)

    def _encode_labels(self, y, reset):
        y = check_array(y, accept_sparse=True, dtype=np.float64, input_name="y")
        y = y if isinstance(y, np.ndarray) else y.toarray()
        if reset:
            self.classes_, self.multilabel_ = np.arange(y.shape[1]), True
        elif not self.multilabel_ or y.shape[1] != len(self.classes_):
            raise ValueError(
                f"{type(self).__name__}: y has {y.shape[1]} columns of labels, not the "
                f"{len(self.classes_)} classes of the first fit"
            )
        return y

    def _fits_whole(self) -> str:
        if self.class_weight == "balanced":
            return self._refusal(
                "class_weight",
                "partial_fit cannot know how frequent the classes are, give a dict of "
                "weights: there is no partial_fit",
            )
        return super()._fits_whole()

    def _class_weights(self, target, weight):
        if self.class_weight is None:
            return None
        if self.class_weight == "balanced":
            columns = target.reshape(len(target), -1).T
            return np.prod([balanced(column, weight) for column in columns], axis=0)
        if self.multilabel_:
            return compute_sample_weight(self.class_weight, target)
        codes = target.reshape(-1).astype(np.int64)
        classes = self.classes_
        known = dict.fromkeys(classes.tolist())
        for name in self.class_weight:
            if name not in known:
                raise ValueError(
                    self._refusal(
                        "class_weight",
                        f"{name!r} is not one of the classes {classes.tolist()}",
                    )
                )
        weights = [self.class_weight.get(label, 1.0) for label in classes.tolist()]
        return np.array(weights, dtype=np.float64)[codes]

    def _stratify_by(self, samples):
        if self.multilabel_:
            return None
        return samples.targets.reshape(-1).long().cpu().numpy()

    def _decode(self, output: Tensor) -> Tensor:
        if self._n_outputs == 1 and not self.multilabel_:
            return (output[:, 0] > 0).long()
        return (output > 0).long() if self.multilabel_ else output.argmax(1)

    def _score(self) -> Any:
        return Accuracy(self._decode)

    def _terms(self) -> Terms:
        def truth(y: Any) -> np.ndarray:
            codes = (y.join() if isinstance(y, Ragged) else y).cpu().long().numpy()
            return self._labels_of(codes if self.multilabel_ else codes.reshape(-1))

        return Terms(
            lambda output: self._labels_of(self._decode(output).cpu().numpy()),
            truth,
            lambda output: self._probabilities(output).cpu().numpy(),
            self.classes_,
            "classifier",
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


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


def _has_columns(y: Any) -> bool:
    try:
        return np.ndim(y) == 2
    except ValueError:  # a ragged list
        return False


def each(found: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of an array, or of each array in an object array."""
    if found.dtype != object:
        return function(found)
    changed = np.empty(len(found), dtype=object)
    for i, part in enumerate(found):
        changed[i] = function(part)
    return changed


def _widened(output: Tensor) -> Tensor:
    """16 bits are not enough for probabilities that sum to 1."""
    return output.float() if output.dtype == torch.bfloat16 else output


__all__ = [
    "Classifier",
    "Regressor",
]
