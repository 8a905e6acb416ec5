"""Hyperparameters: declared once as annotated fields, checked by one function."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, Self, dataclass_transform

import numpy as np


def param(
    *,
    default: Any,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """Declare a hyperparameter: its default and its bounds (of each item if a tuple).

    The name and the type are those of the annotated field, so that
    ``lr: float = param(default=1e-3, above=0)`` says everything on one line (type
    checkers see the default only under its name).
    """
    bounds = {
        "at least": at_least,
        "above": above,
        "at most": at_most,
        "below": below,
    }
    return dataclasses.field(
        default=default,
        metadata={k: v for k, v in bounds.items() if v is not None},
    )


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "at least": lambda value, bound: value >= bound,
    "above": lambda value, bound: value > bound,
    "at most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(param,))
class Declared:
    """Base of classes whose annotated fields are their hyperparameters.

    The fields become a keyword-only ``__init__`` that stores and does nothing else, so
    that scikit-learn's ``get_params``, ``clone`` and ``repr`` work on its signature.
    A chapter's network stands left of the task among the bases: dataclasses let the
    leftmost base decide, so that a default which the chapter redeclares is its own.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)
        generated = cls.__init__
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]

        # Python's own TypeError names neither the rule nor the nearest parameter.
        @functools.wraps(generated)
        def __init__(self: Any, *args: Any, **given: Any) -> None:
            if args:
                raise TypeError(
                    f"{cls.__name__} takes its parameters by name, such as "
                    f"{names[0]}=..., not by position: got {args[0]!r}"
                )
            for name in given:
                if name not in names:
                    raise TypeError(
                        unknown_name(cls.__name__, name, given[name], names)
                    )
            generated(self, **given)

        __init__.__signature__ = inspect.signature(generated)  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as in scikit-learn; return the estimator."""
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        for name, value in params.items():
            if name.partition("__")[0] not in names:
                raise ValueError(unknown_name(type(self).__name__, name, value, names))
        return super().set_params(**params)  # type: ignore[misc]

    def _check_params(self) -> None:
        """Raise ValueError for the first parameter of a wrong type or out of bounds."""
        for name, kind, bounds in _declarations(type(self)):  # type: ignore[arg-type]
            value = getattr(self, name)
            broken = _broken_rule(value, kind, bounds)
            if broken:
                raise ValueError(self._refusal(name, f"{name} {broken}"))

    def _refusal(self, name: str, sentence: str) -> str:
        """The library's one form of an error about a parameter."""
        return f"{type(self).__name__}({name}={getattr(self, name)!r}): {sentence}"


# What other libraries call our parameters.
_UNITS = ("hidden_layer_sizes", "hidden_size", "n_components")
_SYNONYMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("learning_rate", "learning_rate_init", "eta", "eta0"), ("lr",)),
    **dict.fromkeys(("max_iter", "n_iter", "nb_epoch", "iterations"), ("max_epochs",)),
    **dict.fromkeys(("hidden_sizes", "n_hidden", "units", "hidden", "layers"), _UNITS),
    **dict.fromkeys(("l2", "reg", "l2_reg", "alpha"), ("alpha", "weight_decay")),
    **dict.fromkeys(("clip", "clipnorm", "max_grad_norm"), ("gradient_clip",)),
    "seed": ("random_state",),
    "vector_size": ("embedding_size",),
    "workers": ("n_jobs",),
    "negative": ("n_negatives",),
    "sample": ("subsample",),
    "sg": ("method",),
    "hs": ("loss",),
    "solver": ("optimizer",),
    "patience": ("n_iter_no_change",),
    "scheduler": ("lr_schedule",),
    "objective": ("loss",),
    "criterion": ("loss",),
}


def unknown_name(owner: str, name: str, value: Any, names: Iterable[str]) -> str:
    """The sentence for a misspelt parameter, with the nearest known name."""
    names = list(names)
    near = [known for known in _SYNONYMS.get(name, ()) if known in names]
    near = near or difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(names))}"
    return f"{owner}({name}={value!r}): there is no parameter {name}; {hint}"


@functools.cache
def _declarations(cls: type) -> list[tuple[str, Any, Mapping[str, Any]]]:
    kinds = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    return [(field.name, kinds[field.name], field.metadata) for field in fields]


def _broken_rule(value: Any, kind: Any, bounds: Mapping[str, Any]) -> str:
    if not _is(value, kind):
        near: list[str] = []
        if isinstance(value, str):
            near = difflib.get_close_matches(value, _options(kind), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"must be {_describe(kind)}{hint}"
    items = value if isinstance(value, tuple | list) else [value]
    for item in items:
        if isinstance(item, Real) and not isinstance(item, bool | np.bool_):
            if math.isnan(item) or (bounds and math.isinf(item)):
                return "must be finite"
            for rule, bound in bounds.items():
                if not _HOLDS[rule](item, bound):
                    every = "" if items is not value else "everywhere "
                    return f"must be {every}{rule} {bound}"
    return ""


def _is(value: Any, kind: Any) -> bool:
    """Whether value is of the annotated kind; numpy's numbers count, bools do not."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, option) for option in args)
    if origin is Literal:
        scalar = isinstance(value, str | Integral) and not isinstance(value, bool)
        return scalar and value in args
    if origin in (tuple, list):
        return isinstance(value, tuple | list) and all(_is(v, args[0]) for v in value)
    if origin is not None:
        return isinstance(value, origin)
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if isinstance(value, bool | np.bool_):
        return False
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real)
    return isinstance(value, kind)


def _options(kind: Any) -> list[str]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [name for option in typing.get_args(kind) for name in _options(option)]


_NAMES: dict[Any, str] = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "a string",
    dict: "a dict",
    type(None): "None",
    np.random.RandomState: "a numpy RandomState",
    os.PathLike: "a path",
}


def _describe(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(option) for option in args)
    if origin is Literal:
        return " or ".join(repr(option) for option in args)
    if origin in (tuple, list):
        plural = {int: "integers", float: "numbers", str: "strings"}
        return f"a {origin.__name__} of {plural.get(args[0], 'items')}"
    return _NAMES.get(origin or kind, f"a {getattr(kind, '__name__', kind)}")
