"""A fit that fails loses nothing."""

from __future__ import annotations

from typing import Any

import torch


def fitted_attributes(estimator: Any) -> dict[str, Any]:
    """What `fit` has set: attributes that end, but do not begin, with an underscore."""
    attributes = vars(estimator).items()
    return {k: v for k, v in attributes if k.endswith("_") and not k.startswith("_")}


class AtomicFit:
    """A fit that fails leaves the estimator as it was, never half new.

    After Ctrl-C in a fit from the start it is unfitted: nobody wants to mistake the
    old model for the new one.
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator
        self.before = fitted_attributes(estimator)
        self.net_state: dict[str, Any] | None = None

    def forget(self) -> None:
        for name in fitted_attributes(self.estimator):
            delattr(self.estimator, name)

    def snapshot(self) -> None:
        """Training goes on in place: keep what it changes."""
        self.net_state = self.estimator.net_.state()

    def __enter__(self) -> AtomicFit:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if kind is None:
            return
        if isinstance(error, FloatingPointError | torch.OutOfMemoryError):
            # The engine does not know for whom it trains.
            error.args = (f"{type(self.estimator).__name__}: {error}",)
        self.forget()
        if self.net_state is not None:
            self.before["net_"].restore(self.net_state)
        elif issubclass(kind, KeyboardInterrupt):
            return
        self.estimator.__dict__.update(self.before)
        if self.net_state is not None:
            self.estimator._restate(self.before["net_"].module_)


__all__ = ["AtomicFit", "fitted_attributes"]
