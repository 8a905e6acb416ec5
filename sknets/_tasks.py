"""What comes out: what each task takes as y, the loss it trains by, what it returns."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import (
    ClassifierMixin,
)
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
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
from sknets._losses import (
    CrossEntropies,
    CrossEntropy,
    LogisticLoss,
)
from sknets._params import param
from sknets._regressor import Regressor
from sknets._scores import Accuracy
from sknets._targets import (
    balanced,
    each,
    encode_classes,
    given_target,
    kind_of_labels,
    label_columns,
    refuse_missing,
)


class Classifier(ClassifierMixin, Estimator):
    """Task of predicting a class, or several labels, for each sample.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class, multiplied with ``sample_weight``; "balanced" makes all
        classes weigh the same in sum. Of several columns a list, whose weights are
        multiplied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    """

    _task: ClassVar[str] = "classification"
    # Whether y may have several columns of classes.
    _takes_several: ClassVar[bool] = True

    class_weight: dict[Any, float] | list[Any] | Literal["balanced"] | None = param(
        default=None
    )

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
        y : array-like of shape (n_samples,) or (n_samples, n_columns)
            Labels of any type, a 0/1 matrix of several labels a sample, or columns of
            classes that are learned side by side.
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
        classes : array-like of shape (n_classes,) or list of them, default=None
            All the classes that will come; required at the first call, optional then.
            For multilabel y the columns are the classes; for columns of classes a list
            of those of each.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `fit`; without ``classes`` at the first call; for a label that is not
            among them.
        """
        columns = _has_columns(y) and kind_of_labels(y) != "multiclass-multioutput"
        if classes is None and not columns and not self.__sklearn_is_fitted__():
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
        y : ndarray of shape (n_samples,) or (n_samples, n_columns)
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
            Rows sum to 1, except for multilabel y: the probability of each label. A
            list of such arrays where y had columns of classes.
        """
        return self._by_output(self._outputs(X, self._probabilities))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, exact for tiny probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
        """
        return self._by_output(self._outputs(X, self._log_probabilities))

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
            return self._by_output(scores)
        return each(scores, lambda logits: logits[..., 0])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of samples told right, of several columns: in all of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_columns)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        if not (self.__sklearn_is_fitted__() and self._several):
            return super().score(X, y, sample_weight)
        columns = label_columns(y)
        found = self.predict(X).T
        if len(columns) != len(found):
            owner, n = type(self).__name__, len(found)
            raise ValueError(f"{owner}.score: y must have {n} columns, as in fit")
        right = np.all([own == true for own, true in zip(found, columns)], axis=0)
        return float(np.average(right, weights=sample_weight))

    # -- for the engine --------------------------------------------------------------

    @property
    def _several(self) -> bool:
        """Whether it had."""
        return isinstance(self.classes_, list)

    def _sizes(self) -> list[int]:
        """The logits of each output, if there are several."""
        return [len(classes) for classes in self.classes_]

    @property
    def _n_outputs(self) -> int:
        """One logit decides between two classes, if they are all there is."""
        if self._several:
            return sum(self._sizes())
        n = len(self.classes_)
        return n if self.multilabel_ or n > 2 else 1

    def _by_output(self, columns: np.ndarray) -> Any:
        """An array for each output, if there are several."""
        if not self._several:
            return columns
        return np.split(columns, np.cumsum(self._sizes())[:-1], axis=1)

    def _labels_of(self, encoded: np.ndarray) -> np.ndarray:
        if not self._several:
            return encoded if self.multilabel_ else self.classes_[encoded]
        found = [known[codes] for known, codes in zip(self.classes_, encoded.T)]
        one_kind = len({each.dtype.kind for each in found}) == 1
        found = found if one_kind else [each.astype(object) for each in found]
        return np.stack(found, 1)

    def _probabilities(self, output: Tensor) -> Tensor:
        output = _widened(output)
        if self._several:
            return torch.cat([*map(_softmax, output.split(self._sizes(), 1))], 1)
        if self.multilabel_:
            return torch.sigmoid(output)
        if output.shape[1] == 1:
            return torch.sigmoid(torch.cat([-output, output], 1))
        return _softmax(output)

    def _log_probabilities(self, output: Tensor) -> Tensor:
        output = _widened(output)
        if self._several:
            blocks = output.split(self._sizes(), 1)
            return torch.cat([torch.log_softmax(block, 1) for block in blocks], 1)
        if self.multilabel_:
            return F.logsigmoid(output)
        if output.shape[1] == 1:
            return F.logsigmoid(torch.cat([-output, output], 1))
        return torch.log_softmax(output, 1)

    def _criterion(self) -> nn.Module | None:
        if self._several:
            return CrossEntropies(self._sizes())
        one_of_many = self._n_outputs > 1 and not self.multilabel_
        return CrossEntropy() if one_of_many else LogisticLoss()

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        owner = type(self).__name__
        y = given_target(y, owner, n_samples)
        refuse_missing(y, owner, "label")
        if getattr(getattr(y, "dtype", None), "kind", "") == "f":
            assert_all_finite(y, estimator_name=owner, input_name="y")
        several = self._several if not reset else _are_several(classes)
        kind = "multiclass-multioutput" if several else kind_of_labels(y)
        if kind == "multilabel-indicator":
            return self._encode_labels(y, reset)
        if kind == "multiclass-multioutput":
            return self._encode_outputs(label_columns(y), weight, classes, reset)
        if kind not in ("binary", "multiclass"):
            if kind == "unknown":
                first = next(iter(y)) if np.ndim(y) == 1 else y
                raise ValueError(
                    f"{owner}: Unknown label type: y holds objects that are not text, "
                    f"such as {first!r:.60}; labels of one kind, by y.astype(int) or "
                    "y.astype(str), can be learned"
                )
            try:
                check_classification_targets(y)  # finds out the type again
            except ValueError as error:
                raise ValueError(f"{owner}: {error}") from None
        y = column_or_1d(y, warn=True)
        if not reset and self.multilabel_:
            raise ValueError(
                f"{owner}: y has a label a sample, and in the first fit it had "
                f"{len(self.classes_)} columns of labels"
            )
        known = None if reset else self.classes_
        found, codes = encode_classes(owner, y, weight, classes, known)
        self.classes_, self.multilabel_ = found, False
        if len(self.classes_) == 2:
            return codes[:, None].astype(np.float64)
        return codes.astype(np.int64)

    def _encode_outputs(self, columns, weight, classes, reset):
        owner, n = type(self).__name__, len(columns)
        if not self._takes_several or getattr(self, "per_step", False):
            raise ValueError(
                f"{owner} learns one label a sample, and y has {n} columns of classes "
                "that are not 0 and 1: take scikit-learn's MultiOutputClassifier"
            )
        if not reset and not (self._several and n == len(self.classes_)):
            was = f"{len(self.classes_)} columns" if self._several else "other labels"
            raise ValueError(f"{owner}: y has {n} columns, and the first fit had {was}")
        announced = [None] * n if classes is None else list(classes)
        if len(announced) != n:
            raise ValueError(
                f"{owner}: y has {n} columns, give classes of each, not of "
                f"{len(announced)}"
            )
        known = [None] * n if reset else self.classes_
        both = [
            encode_classes(f"{owner} (column {j} of y)", y, weight, *of, least=1)
            for j, (y, *of) in enumerate(zip(columns, announced, known))
        ]
        self.classes_, self.multilabel_ = [found for found, _ in both], False
        return np.stack([codes for _, codes in both], 1).astype(np.int64)

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
        given = self.class_weight
        if self.multilabel_:
            return compute_sample_weight(given, target)
        several = self._several
        n = len(self.classes_) if several else 0
        if isinstance(given, list) != several or (several and len(given) != n):
            wish = f"a list of a dict for each of {n} columns" if several else "a dict"
            raise ValueError(self._refusal("class_weight", f"y asks for {wish}"))
        if not several:
            return self._weights_of(given, self.classes_, target.reshape(-1))
        each = [*map(self._weights_of, given, self.classes_, target.T)]
        return np.prod(each, axis=0)

    def _weights_of(self, given: Any, classes: np.ndarray, codes: Any) -> np.ndarray:
        """A weight for each code, of a dict of them by classes."""
        known = dict.fromkeys(classes.tolist())
        for name in given:
            if name not in known:
                raise ValueError(
                    self._refusal(
                        "class_weight",
                        f"{name!r} is not one of the classes {classes.tolist()}",
                    )
                )
        weights = [given.get(label, 1.0) for label in classes.tolist()]
        return np.array(weights, dtype=np.float64)[codes.astype(np.int64)]

    def _stratify_by(self, samples):
        if self.multilabel_ or self._several:
            return None
        return samples.targets.reshape(-1).long().cpu().numpy()

    def _decode(self, output: Tensor) -> Tensor:
        if self._several:
            blocks = output.split(self._sizes(), 1)
            return torch.stack([block.argmax(1) for block in blocks], 1)
        if self._n_outputs == 1 and not self.multilabel_:
            return (output[:, 0] > 0).long()
        return (output > 0).long() if self.multilabel_ else output.argmax(1)

    def _score(self) -> Any:
        return Accuracy(self._decode)

    def _terms(self) -> Terms:
        def truth(y: Any) -> np.ndarray:
            codes = (y.join() if isinstance(y, Ragged) else y).cpu().long().numpy()
            columns = self.multilabel_ or self._several
            return self._labels_of(codes if columns else codes.reshape(-1))

        return Terms(
            lambda output: self._labels_of(self._decode(output).cpu().numpy()),
            truth,
            lambda y: self._by_output(self._probabilities(y).cpu().numpy()),
            self.classes_,
            "classifier",
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = self._takes_several
        return tags


def _has_columns(y: Any) -> bool:
    try:
        return np.ndim(y) == 2
    except ValueError:  # a ragged list
        return False


def _softmax(output: Tensor) -> Tensor:
    # torch.softmax over a few columns is not vectorised: four times as slow.
    powers = (output - output.amax(1, keepdim=True)).exp_()
    return powers.div_(powers.sum(1, keepdim=True))


def _are_several(classes: Any) -> bool:
    """Whether `partial_fit` is told the classes of several outputs."""
    return isinstance(classes, list | tuple) and any(np.ndim(of) for of in classes)


def _widened(output: Tensor) -> Tensor:
    """16 bits are not enough for probabilities that sum to 1."""
    return output.float() if output.dtype == torch.bfloat16 else output


__all__ = [
    "Classifier",
    "Regressor",
]
