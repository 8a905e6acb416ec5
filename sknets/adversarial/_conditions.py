"""What samples are conditioned on: labels, vectors of numbers, or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, column_or_1d
from torch import Tensor

from sknets._engine.data import Samples
from sknets._engine.moments import Moments
from sknets._estimator import Estimator
from sknets._targets import given_target, kind_of_labels, refuse_missing

_LABELS = ("binary", "multiclass")


class Conditions(Estimator):
    """The y of a sampler, as the networks see it: (B, K) numbers, or None.

    Attributes
    ----------
    condition_ : {"none", "labels", "vectors"}
        What y was.
    classes_ : ndarray of shape (n_classes,)
        The labels; only of labels.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares; only of labels.
    y_mean_, y_scale_ : ndarray of shape (n_conditions,)
        What vectors are centred and scaled by; only of these.
    conditions_ : ndarray of shape (n_kept, n_conditions)
        Vectors that were seen, of which `sample` draws where none are given.
    """

    @property
    def _n_classes(self) -> int:
        return len(self.classes_) if self.condition_ == "labels" else 0

    @property
    def _n_conditions(self) -> int:
        if self.condition_ == "vectors":
            return len(self.y_mean_)
        return self._n_classes

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if n_samples < 2 and reset:
            raise ValueError(
                f"{type(self).__name__}: a distribution cannot be learned of n_samples="
                f"{n_samples}: give at least 2"
            )
        owner = type(self).__name__
        if reset and y is None:
            self.condition_ = "none"
        elif reset:
            self.condition_ = ""  # what it is, y tells
        if self.condition_ == "none":
            return None
        y = given_target(y, owner, n_samples)
        refuse_missing(y, owner, "label or vector")
        if reset:
            self.condition_ = self._kind_of(y)
        grows = reset or (reset is None and self.chunks_.grows)
        if self.condition_ == "labels":
            return self._encode_labels(y, grows, reset)
        vectors = self._vectors(y, "fit")
        if grows:
            self._learn_vectors(vectors)
        return ((vectors - self.y_mean_) / self.y_scale_).astype(np.float32)

    def _kind_of(self, y: Any) -> str:
        return "labels" if kind_of_labels(y) in _LABELS else "vectors"

    def _encode_labels(self, y: Any, grows: bool, reset: bool | None) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        if reset:
            self.classes_ = np.unique(y)
        corners = self._corners(y, "fit")
        if grows:
            shares = Moments.of(lambda: [(torch.from_numpy(corners).double(), None)])
            self.class_prior_ = self.chunks_.add("classes", shares).mean
        return corners

    def _corners(self, y: np.ndarray, verb: str) -> np.ndarray:
        """Labels as unit vectors."""
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(
                f"{type(self).__name__}.{verb}: y has {strange.tolist()}, not among "
                f"the labels {self.classes_.tolist()} of fit"
            )
        return (y[:, None] == self.classes_).astype(np.float32)

    def _vectors(self, y: Any, verb: str) -> np.ndarray:
        where = f"{type(self).__name__}.{verb}: y"
        if hasattr(y, "toarray"):
            y = y.toarray()
        y = np.asarray(y, dtype=np.float64)
        y = check_array(y[:, None] if y.ndim == 1 else y, input_name="y")
        known = getattr(self, "y_mean_", None)
        if known is not None and y.shape[1] != len(known):
            raise ValueError(
                f"{where} has {y.shape[1]} columns, and the conditions of fit had "
                f"{len(known)}"
            )
        return y

    def _learn_vectors(self, vectors: np.ndarray) -> None:
        new = Moments.of(lambda: [(torch.from_numpy(vectors), None)])
        moments = self.chunks_.add("conditions", new)
        self.y_mean_, self.y_scale_ = moments.mean, moments.scale(torch.float64)
        kept, _ = self.chunks_.keep(
            "conditions",
            vectors.shape,
            lambda at: (vectors[at], np.ones(len(vectors[at]))),
        )
        self.conditions_ = kept

    def _stratify_by(self, samples: Samples) -> np.ndarray | None:
        if self.condition_ != "labels":
            return None
        return samples.targets.argmax(1).cpu().numpy()

    # -- of samples that are asked for -------------------------------------------------

    def _encode_condition(self, y: np.ndarray, verb: str = "sample") -> np.ndarray:
        owner = type(self).__name__
        if self.condition_ == "none":
            raise ValueError(f"{owner}.{verb}(y=...): {owner} has learned X without y")
        if self.condition_ == "labels":
            return self._corners(column_or_1d(y), verb)
        vectors = self._vectors(y, verb)
        return ((vectors - self.y_mean_) / self.y_scale_).astype(np.float32)

    def _drawn_condition(self, n: int, generator: torch.Generator) -> Tensor | None:
        """Conditions as often as they were seen."""
        if self.condition_ == "none":
            return None
        if self.condition_ == "labels":
            prior = torch.from_numpy(self.class_prior_)
            codes = prior.multinomial(n, replacement=True, generator=generator)
            return torch.eye(self._n_classes)[codes]
        rows = torch.randint(len(self.conditions_), (n,), generator=generator).numpy()
        vectors = (self.conditions_[rows] - self.y_mean_) / self.y_scale_
        return torch.from_numpy(vectors.astype(np.float32))


__all__ = ["Conditions"]
