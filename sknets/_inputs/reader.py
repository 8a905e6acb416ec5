"""What reads X, or a structured y: its parameters, and what it learned of a fit."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import _num_samples

from sknets._params import Declared


class Reader(Declared):
    """Base of the readers, one a kind of data.

    Its fields are parameters; those of an estimator that have the same names are taken
    by `of`. What it learns has a name that ends with an underscore. Two of a kind can
    live in one estimator. A subclass gives ``_read(X, reset, seen)``.

    Attributes
    ----------
    name : str
        Of the kind.
    owner : object
        Who reads: named in errors, and scikit-learn's checks of rows are its own; the
        name of a function that reads.
    """

    name: ClassVar[str]
    owner: ClassVar[Any]

    @classmethod
    def of(cls, owner: Any, **given: Any) -> Self:
        """A reader with the parameters of an estimator, but for those given."""
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        own = {name: getattr(owner, name) for name in names if hasattr(owner, name)}
        reader = cls(**{**own, **given})
        vars(reader)["owner"] = owner
        return reader

    @property
    def who(self) -> str:
        """The class, or function, that errors name."""
        owner = self.owner
        return owner if isinstance(owner, str) else type(owner).__name__

    def _refusal(self, name: str, sentence: str) -> str:
        return f"{self.who}({name}={getattr(self, name)!r}): {sentence}"

    def learn(self, X: Any, seen: np.ndarray | None = None) -> Any:
        """The container of a fit's X; of its rows only those ``seen`` are learned of.

        Parameters
        ----------
        X : data of this kind
        seen : bool ndarray of shape (n_samples,) or None
            None, or as many as X has not, stands for all.
        """
        if seen is not None and _num_samples(X) != len(seen):
            seen = None  # what is wrong is said where weights are checked
        return self._read(X, True, seen)

    def read(self, X: Any) -> Any:
        """The container of an X like that of the fit."""
        return self._read(X, False, None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Any:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Parameters and what was learned, as arrays, numbers, strings, containers."""
        own = {name: value for name, value in vars(self).items() if name != "owner"}
        return {"kind": self.name, **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over the state of a reader of this kind.

        Raises
        ------
        ValueError
            For a name that no reader of the kind has.
        """
        fields = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        for name, value in state.items():
            if name == "kind":
                continue
            if name not in fields and (name.startswith("_") or name[-1:] != "_"):
                raise ValueError(f"{name!r} is nothing that {self.name} are read by")
            setattr(self, name, value)


class Learned:
    """A fitted attribute of an estimator that is its reader's."""

    def __init__(self, reader: str = "reader_"):
        self.reader = reader

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, estimator: Any, owner: Any = None) -> Any:
        return self if estimator is None else self.of(estimator, self.reader, self.name)

    @staticmethod
    def of(estimator: Any, reader: str, name: str) -> Any:
        """What a reader of an estimator has learned under a name.

        Raises
        ------
        AttributeError
            If it has not.
        """
        found = vars(estimator).get(reader)
        if found is None or not hasattr(found, name):
            owner = type(estimator).__name__
            raise AttributeError(f"{owner} has no {name}: fit has not learned it")
        return getattr(found, name)


__all__ = ["Learned", "Reader"]
