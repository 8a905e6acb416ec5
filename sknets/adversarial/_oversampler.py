"""GANOverSampler: rare classes made as frequent as the others, by new rows of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples
from sknets._inputs import Records
from sknets._params import param
from sknets.adversarial._sampler import GANSampler


class GANOverSampler(OneToOneFeatureMixin, GANSampler):
    """Over-sampler for imbalanced-learn: new rows of rare classes [1]_.

    One game about all classes, which it sees equally often: what rows of rare classes
    have in common with others need not be learned of these few.

    Parameters
    ----------
    sampling_strategy : str, float, dict or callable, default="auto"
        As in imbalanced-learn: "auto" makes all classes as frequent as the most
        frequent one; "minority", "not minority", "not majority", "all", the share of
        the smaller of two classes to the larger, or how many rows each class shall
        have.

    Attributes
    ----------
    sampling_strategy_ : dict
        How many rows `fit_resample` has made of each class.

    See Also
    --------
    GANSampler : for anything else than balancing classes.

    Notes
    -----
    It is a step of imbalanced-learn's ``Pipeline``, where it changes what is fitted on
    and nothing else; `fit_resample` needs ``pip install "sknets[imbalanced]"``. X is a
    table as `GANSampler` takes it, and comes back in its own container, new rows behind
    the others. The other parameters and attributes are as in `sknets.GANSampler`.

    References
    ----------
    .. [1] J. Engelmann, S. Lessmann. Conditional Wasserstein GAN-based Oversampling of
       Tabular Data for Imbalanced Learning. Expert Systems with Applications 174, 2021.
       The idea; here with the game of `GANSampler`, about all classes in equal shares.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sknets import GANOverSampler
    >>> X, y = make_classification(200, weights=[0.9], random_state=0)
    >>> sampler = GANOverSampler(max_epochs=10, random_state=0)
    >>> sampler.fit(X, y).sample(3, y=1, random_state=0).shape
    (3, 20)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Records,)
    _task: ClassVar[str] = "over-sampling"
    _has_loss: ClassVar[bool] = False
    _sampling_type: ClassVar[str] = "over-sampling"
    _estimator_type: ClassVar[str] = "sampler"

    sampling_strategy: (
        Literal["auto", "minority", "not minority", "not majority", "all"]
        | float
        | dict[Any, int]
        | Callable
    ) = param(default="auto")

    @with_callbacks
    def fit(self, X: Any, y: Any) -> Self:  # type: ignore[override]
        """Learn how the rows of each class are distributed.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes. They are seen equally often, however rare.

        Returns
        -------
        self : object
        """
        return super().fit(X, y)

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Learn, and add new rows of the classes that ``sampling_strategy`` names.

        Parameters
        ----------
        X : array-like, DataFrame or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes, or a column for each class.

        Returns
        -------
        X : array-like, DataFrame or CSR of shape (n_samples_new, n_features)
            All rows of X, and behind them the new ones, in the container that X was.
        y : array-like of shape (n_samples_new,)

        Raises
        ------
        ImportError
            Without imbalanced-learn.
        ValueError
            As `fit`; for a single class, for a strategy that asks for fewer rows than
            there are.
        """
        imblearn = _imbalanced_learn(type(self).__name__)
        check_classification_targets(y)
        containers = imblearn.ArraysTransformer(X, y)
        labels, by_columns = imblearn.check_target_type(y, indicate_one_vs_all=True)
        wanted = imblearn.check_sampling_strategy(
            self.sampling_strategy, labels, self._sampling_type
        )
        self.fit(X, labels)
        self.sampling_strategy_ = wanted
        more = np.repeat([*wanted], [*wanted.values()]).astype(labels.dtype)
        labels = np.concatenate([labels, more])
        if by_columns:
            labels = (labels[:, None] == self.classes_).astype(int)
        rows: Any = X
        if len(more):
            seed = check_random_state(self.random_state)
            rows = _joined(X, self.sample(y=more, random_state=seed))
        elif isinstance(X, list):
            rows = np.asarray(X)
        return containers.transform(rows, labels)

    # -- for the engine --------------------------------------------------------------

    def _kind_of(self, y: Any) -> str:
        check_classification_targets(y)
        column_or_1d(y)
        return "labels"

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None: give the classes of the rows"
            )
        return super()._encode_target(y, n_samples, weight, reset=reset)

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        """Let each class be seen as often as the most frequent one."""
        super()._prepare(net, *sets)
        samples = sets[0]
        assert samples is not None
        codes = samples.targets.argmax(1)
        rows = torch.arange(len(samples)) if samples.rows is None else samples.rows
        most = int(codes.bincount().max())
        parts = []
        for code in codes.unique():
            own = rows[codes == code]
            parts.append(own.repeat(-(-most // len(own)))[:most])
        samples.rows = torch.cat(parts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = False
        if "imblearn" not in sys.modules:
            return tags
        from imblearn.utils import _tags as imblearn

        own = {name: getattr(tags.input_tags, name) for name in _names(tags.input_tags)}
        inputs = imblearn.InputTags(**own, dataframe=True)
        given = {name: getattr(tags, name) for name in _names(tags)}
        given |= {"estimator_type": "sampler", "input_tags": inputs}
        return imblearn.Tags(**given, sampler_tags=imblearn.SamplerTags())


def _names(tags: Any) -> list[str]:
    return list(type(tags).__dataclass_fields__)


def _imbalanced_learn(owner: str) -> Any:
    try:
        from imblearn.utils import _validation
    except ImportError:
        raise ImportError(
            f"{owner}.fit_resample counts by imbalanced-learn's strategies, and that "
            'is not installed: pip install "sknets[imbalanced]"'
        ) from None
    return _validation


def _joined(X: Any, new: Any) -> Any:
    """Rows and new ones behind them."""
    if isinstance(X, pd.DataFrame):
        return pd.concat([X, new], ignore_index=True)
    if sp.issparse(X):
        return type(X)(sp.vstack([X, type(X)(new)]))
    X = np.asarray(X)
    return np.concatenate([X, new.astype(X.dtype)])


__all__ = ["GANOverSampler"]
