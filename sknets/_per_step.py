"""Labels or numbers for each step of a sequence: tasks of `_tasks`, many-to-many."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score

from sknets._engine.batching import Ragged, Samples
from sknets._estimator import Estimator
from sknets._inputs.sequences import Steps
from sknets._params import param
from sknets._tasks import given_target


class PerStep(Estimator):
    """Stands left of the task; changes nothing unless ``per_step``.

    The network then gives a row for each real step of a batch, one sequence after the
    other, and so do the targets: the task itself sees steps as its samples.
    """

    per_step: bool = param(default=False)

    @property
    def _outputs_by_step(self) -> bool:
        return self.per_step

    def _check_input(self, X: Any, *, reset: bool) -> Any:
        if isinstance(X, Steps):  # `_by_step` has checked it
            return X
        return super()._check_input(X, reset=reset)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        if not self.per_step:
            return samples
        lengths, steps = torch.tensor([len(each) for each in y]), samples.x.n_steps()
        differs = (lengths != steps).nonzero()
        if len(differs):
            i = int(differs[0])
            raise ValueError(
                f"{type(self).__name__}: y[{i}] has {lengths[i]} values, one for each "
                f"step, but X[{i}] has {_steps(int(steps[i]))}"
            )
        weight = samples.weight
        if weight is not None:
            weight = weight.repeat_interleave(lengths.to(weight.device))
        by_class = super()._class_weights(samples.y.cpu().numpy())
        if by_class is not None:
            scaled = torch.from_numpy(by_class / by_class.mean())
            scaled = scaled.to(samples.x.device, samples.x.dtype)
            weight = scaled if weight is None else weight * scaled
        if weight is not None:
            samples.weight = Ragged(weight, lengths)
        samples.y = Ragged(samples.y, lengths)
        return samples

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if self.per_step:
            y = given_target(y, type(self).__name__, n_samples)
            y, lengths = self._joined(y)
            n_samples = len(y)
            weight = None if weight is None else np.repeat(weight, lengths)
        return super()._encode_target(
            y, n_samples, weight, reset=reset, classes=classes
        )

    def _class_weights(self, target):
        return None if self.per_step else super()._class_weights(target)

    def _strata(self, samples):
        return None if self.per_step else super()._strata(samples)

    def _joined(self, y: Any) -> tuple[np.ndarray, list[int]]:
        """All values in one array, and how many each sequence has."""
        parts = []
        for i, each in enumerate(y):
            part = None if isinstance(each, str) else np.asarray(each)
            if part is None or part.ndim == 0:
                raise ValueError(
                    self._refusal(
                        "per_step",
                        f"y[{i}] must hold a value for each step of X[{i}], got "
                        f"{each!r:.60}",
                    )
                )
            parts.append(part)
        return np.concatenate(parts), [len(part) for part in parts]

    # -- verbs -----------------------------------------------------------------------

    def _by_step(self, X: Any, verb: Any) -> Any:
        """What a verb of the task gives for all steps, cut into sequences."""
        if not self.per_step or not self.__sklearn_is_fitted__():
            return verb(X)
        x = self._check_input(X, reset=False)
        found = verb(x)
        lengths = x.n_steps()
        if not x.listed:
            return found.reshape(len(x), -1, *found.shape[1:])
        cut = np.empty(len(x), dtype=object)
        ends = lengths.cumsum(0).tolist()
        for i, (end, length) in enumerate(zip(ends, lengths.tolist())):
            cut[i] = found[end - length : end]
        return cut

    def predict(self, X):
        """Return the most probable class or the expected value of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        y : ndarray of shape (n_samples,), or with columns as y had
            If ``per_step``, (n_samples, steps), or of a list of sequences an array of
            arrays, as long as each sequence.
        """
        return self._by_step(X, super().predict)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy or R²; over all steps if ``per_step``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or, if ``per_step``, list of arrays
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        if not self.per_step:
            return super().score(X, y, sample_weight)
        found = self._joined(self.predict(X))[0]
        expected, lengths = self._joined(y)
        if sample_weight is not None:
            sample_weight = np.repeat(sample_weight, lengths)
        metric = accuracy_score if self._task == "classification" else r2_score
        return metric(expected, found, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.per_step:
            # Splitters and scorers take the y of a classifier for one label a sample.
            tags.estimator_type = None
        return tags


class PerStepClassifier(PerStep):
    """`PerStep` for classifiers: their further verbs."""

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Rows sum to 1, except for multilabel y: the probability of each label. If
            ``per_step``, (n_samples, steps, n_classes), or of a list an array of
            arrays (steps, n_classes).
        """
        return self._by_step(X, super().predict_proba)

    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`, exact for tiny probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        log_p : as `predict_proba`
        """
        return self._by_step(X, super().predict_log_proba)

    def decision_function(self, X):
        """Return the network's raw scores (logits).

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,) if binary, else (n_samples, n_classes)
            If ``per_step``, such scores for each step, arranged as in `predict`.
        """
        return self._by_step(X, super().decision_function)


def _steps(n: int) -> str:
    return f"{n} step" if n == 1 else f"{n} steps"


__all__ = ["PerStep", "PerStepClassifier"]
