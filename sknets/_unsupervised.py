"""Tasks without y: features, new samples, outliers."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._estimator import Estimator
from sknets._params import param


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Task of turning samples into features, learned without y.

    A subclass gives ``transform`` and the number of columns ``_n_features_out``.
    """

    _task: ClassVar[str] = "transformation"

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from unlabelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The kinds of input that the class names.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        return self._fit(X)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class Sampler:
    """Task of drawing new samples, beside the estimator's other task.

    A subclass gives ``_draw(n, condition, generator)``: a tensor of samples, and, where
    samples can be asked for by y, ``_encode_condition(y)``.
    """

    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw new samples from what was learned.

        Parameters
        ----------
        n_samples : int, default=1
        y : scalar or array-like of shape (n_samples,), default=None
            What each sample shall be; a scalar counts for all. Only after a fit that
            learned to tell samples apart by y.
        random_state : int, RandomState or None, default=None
            An int gives the same samples at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            In the units of the X that was learned.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            When n_samples is below 1, or y is not what was learned.
        """
        return self._sampled(n_samples, y, random_state)

    def _sampled(self, n_samples: Any, y: Any, random_state: Any, **more: Any) -> Any:
        """`sample`, checked; ``more`` goes to ``_draw``."""
        check_is_fitted(self)
        call = f"{type(self).__name__}.sample"
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"{call}(n_samples={n_samples!r}): must be at least 1")
        condition = None
        if y is not None:
            labels = np.repeat(y, int(n_samples)) if np.ndim(y) == 0 else np.asarray(y)
            if np.ndim(y) and n_samples not in (1, len(labels)):
                raise ValueError(
                    f"{call}(n_samples={n_samples}): y asks for {len(labels)} samples"
                )
            condition, n_samples = self._encode_condition(labels), len(labels)
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            drawn = self._draw(int(n_samples), condition, generator, **more)
        return drawn.cpu().numpy()

    def _draw(self, *args: Any, **more: Any) -> Tensor:
        raise NotImplementedError

    def _encode_condition(self, y: np.ndarray) -> Any:
        owner = type(self).__name__
        raise ValueError(f"{owner}.sample(y=...): {owner} has learned X without y")


class OutlierDetector(OutlierMixin, Estimator):
    """Task of telling samples that are unlike the others.

    A subclass gives `score_samples`, the lower the less usual.

    Parameters
    ----------
    contamination : float, default=0.1
        The share of outliers in the training data, which sets the threshold.

    Attributes
    ----------
    offset_ : float
        The threshold: samples that score below it are outliers.
    """

    _task: ClassVar[str] = "outlier detection"

    contamination: float = param(default=0.1, above=0, at_most=0.5)

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what samples usually are like.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The kinds of input that the class names. A share ``contamination`` of the
            samples may be outliers.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN or infinity.
        DivergenceError
            When the training loss is no longer finite.
        """
        self._fit(X)
        self._learn_threshold(X)
        return self

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The threshold is set anew, by these samples.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        self._partial_fit(X)
        self._learn_threshold(X)
        return self

    def _learn_threshold(self, X: Any) -> None:
        scores = self.score_samples(X)
        self.offset_ = float(np.percentile(scores, 100 * self.contamination))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return how usual each sample is; the lower, the more of an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        scores : float64 ndarray of shape (n_samples,)
        """
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores above the threshold; negative ones are outliers'.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        scores : float64 ndarray of shape (n_samples,)
        """
        scores = self.score_samples(X)
        return scores - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for outliers and 1 for all others.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of int of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)


__all__ = ["Encoder", "OutlierDetector", "Sampler"]
