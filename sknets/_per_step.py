"""Labels or numbers for each step of a sequence: tasks of `_tasks`, many-to-many."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._engine.collect import steps
from sknets._engine.containers import Ragged
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._layers import stride_of
from sknets._losses import OfSteps
from sknets._params import param
from sknets._targets import given_target


class PerStep(Estimator):
    """Stands left of the task; changes nothing unless ``per_step``.

    The network's output for a batch is then a `Ragged` of steps, and so are targets and
    weights: the task itself sees steps as its samples.
    """

    # Of sequences that are not read in strides, and of all else.
    _short_budget: ClassVar[Budget]

    per_step: bool = param(default=False)
    stride: int | Literal["auto"] = param(default="auto", at_least=1)

    def _check_params(self) -> None:
        super()._check_params()
        if self.per_step and self.stride not in ("auto", 1):
            raise ValueError(
                self._refusal("stride", "with per_step each step has a label: leave it")
            )

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        x = super()._check_input(X, reset=reset, seen=seen)
        if reset:
            steps = self.input_kind_ == "sequences" and not self.per_step
            self.stride_ = stride_of(self.stride, int(x.counts.max())) if steps else 1
        return x

    @property
    def _budget(self) -> Budget:
        short = self._short_budget
        return short if self.stride_ == 1 else Budget(short.epochs, steps=400)

    def _read(self, X, y, sample_weight, *, reset, classes=None) -> Samples:
        samples = super()._read(X, y, sample_weight, reset=reset, classes=classes)
        if not self.per_step:
            return samples
        lengths, n_steps = samples.y.counts, samples.x.counts
        differs = (lengths != n_steps).nonzero()
        if len(differs):
            i = int(differs[0])
            raise ValueError(
                f"{type(self).__name__}: y[{i}] has {lengths[i]} values, one for each "
                f"step, but X[{i}] has {_steps(int(n_steps[i]))}"
            )
        weight = samples.weight
        if weight is not None:
            weight = weight.values.repeat_interleave(lengths.to(weight.device))
        known = None if weight is None else weight.cpu().double().numpy()
        codes = samples.y.values.cpu().numpy()
        by_class = super()._class_weights(codes, known)
        if by_class is not None:
            there = slice(None) if known is None else known > 0
            scaled = torch.from_numpy(by_class / by_class[there].mean())
            scaled = scaled.to(samples.x.device, samples.x.dtype)
            weight = scaled if weight is None else weight * scaled
        if weight is not None:
            samples.weight = Ragged(weight, lengths)
        return samples

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if self.per_step:
            y = given_target(y, type(self).__name__, n_samples)
            y, lengths = self._joined(y)
            n_samples = len(y)
            weight = None if weight is None else np.repeat(weight, lengths)
        target = super()._encode_target(
            y, n_samples, weight, reset=reset, classes=classes
        )
        if not self.per_step:
            return target
        values = as_tensor(target)
        whole = not values.is_floating_point()
        return Ragged(values, torch.tensor(lengths), whole=whole)

    def _criterion(self) -> nn.Module | None:
        loss = super()._criterion()
        return OfSteps(loss) if self.per_step and loss is not None else loss

    def _class_weights(self, target, weight):
        return None if self.per_step else super()._class_weights(target, weight)

    def _stratify_by(self, samples):
        return None if self.per_step else super()._stratify_by(samples)

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

    def _outputs(self, X, then=None, *, features=False):
        if features or not self.per_step:
            return super()._outputs(X, then, features=features)
        check_is_fitted(self)
        module = self.net_.module_

        def run(batch: Ragged) -> Ragged:
            output = module(batch)
            return output if then is None else output.like(then(output.join()))

        x = self._check_input(X, reset=False)
        return steps(self.net_.batches(x, run), len(x), x.listed)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
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


def _steps(n: int) -> str:
    return f"{n} step" if n == 1 else f"{n} steps"


__all__ = ["PerStep"]
