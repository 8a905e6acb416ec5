"""Methods that an estimator has with some parameters and not with others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any


class available_unless:
    """Hide a method while another, ``reason``, gives a sentence that says why not.

    ``hasattr`` is False then, as with scikit-learn's ``available_if``, whose own
    AttributeError says no more than that there is no such attribute.
    """

    def __init__(self, reason: str):
        self.reason = reason

    def __call__(self, method: Callable[..., Any]) -> Any:
        self.method = method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]
        return self

    def __get__(self, estimator: Any, owner: Any = None) -> Any:
        if estimator is None:
            return self.method
        sentence = getattr(estimator, self.reason)()
        if sentence:
            raise AttributeError(sentence)
        return MethodType(self.method, estimator)


__all__ = ["available_unless"]
