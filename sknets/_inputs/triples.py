"""Triples: facts of a knowledge graph, as rows of (head, relation, tail)."""

from __future__ import annotations

import difflib
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from sknets._engine.containers import Values
from sknets._engine.device import as_tensor
from sknets._inputs.columns import refuse_repeated_names
from sknets._inputs.naming import index_of, names_of, sorted_names
from sknets._inputs.reader import Reader

COLUMNS = ("head", "relation", "tail")


class TripleData(Values):
    """The canonical container: codes of head, relation and tail, a row a fact.

    -1 stands for what `fit` did not have.
    """


class Triples(Reader):
    """Rows of (head, relation, tail), each named by anything hashable.

    Learned; later triples must be of these entities and relations:

    entities_, relations_ : ndarray
        Their names in ascending order.
    triples_ : ndarray of int of shape (n_triples, 3)
        All that is known, each once: positions of head, relation and tail. Grown by
        later triples.
    """

    name: ClassVar[str] = "triples"

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> TripleData:
        """Triples of which everything is known."""
        columns = _columns(self, X)
        if reset:
            learn_names(self, columns)
        return TripleData(as_tensor(_codes(self, columns, strict=True)))


def learn_names(reader: Any, columns: list[np.ndarray]) -> None:
    """Set ``entities_``, ``relations_`` and what else a first fit learns of names."""
    head, relation, tail = columns
    if head.dtype != tail.dtype:
        head, tail = head.astype(object), tail.astype(object)
    reader.entities_ = sorted_names(names_of(np.concatenate([head, tail])))
    reader.relations_ = sorted_names(relation)
    reader.triples_ = np.empty((0, 3), dtype=np.int64)
    reader.owner.n_features_in_ = 3


def add_facts(reader: Any, codes: np.ndarray) -> None:
    """Let a reader know these triples, too."""
    together = np.concatenate([reader.triples_, codes])
    reader.triples_ = np.unique(together, axis=0)


def codes_with_gaps(reader: Any, X: Any) -> np.ndarray:
    """Positions of head, relation and tail, -1 for those that `fit` did not have."""
    return _codes(reader, _columns(reader, X), strict=False)


def positions(reader: Any, what: str, names: Any, call: str) -> np.ndarray:
    """Where entities or relations ("entities", "relations") are; refuses others."""
    known = getattr(reader, f"{what}_")
    names = names_of(_one_axis(names))
    found = _lookup(known, names)
    if (found < 0).any():
        name = names[found < 0].tolist()[0]
        hint = _nearest(known, name)
        one = {"entities": "entity", "relations": "relation"}[what]
        raise ValueError(
            f"{reader.who}{call}: the first fit had no {one} {name!r}{hint}"
        )
    return found


# -- reading ---------------------------------------------------------------------------


def _columns(reader: Any, X: Any) -> list[np.ndarray]:
    """The names in each of three columns."""
    owner = reader.who
    if not hasattr(X, "columns"):
        X = _as_array(X)
    shape = tuple(X.shape)
    if len(shape) != 2 or shape[1] != 3:
        raise ValueError(
            f"{owner}: X must have rows of (head, relation, tail), three columns, got "
            f"shape {shape}. Reshape your data"
        )
    if not shape[0]:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is "
            f"required by {owner}."
        )
    columns = []
    framed = hasattr(X, "columns")
    if framed:
        refuse_repeated_names(owner, X)
    for j, what in enumerate(COLUMNS):
        values = X[X.columns[j]].to_numpy() if framed else X[:, j]
        missing = pd.isna(values)
        if missing.any():
            raise ValueError(
                f"{owner}: row {int(missing.argmax())} of X has no {what}, it is NaN "
                "or None: drop such rows"
            )
        _refuse_unhashable(owner, what, values)
        columns.append(names_of(values))
    return columns


def _refuse_unhashable(owner: str, what: str, values: np.ndarray) -> None:
    for name in values if values.dtype.kind == "O" else ():
        try:
            hash(name)
        except TypeError:
            raise TypeError(
                f"{owner}: entities and relations must be named by what can be a key "
                f"of a dict, such as strings, numbers or tuples, got a {what} "
                f"{name!r:.60}"
            ) from None


def _as_array(X: Any) -> np.ndarray:
    if not isinstance(X, list | tuple):
        return np.asarray(X)
    # A list of ("anna", "knows", 7) would else become text altogether.
    array = np.asarray([None, *X], dtype=object)[1:] if len(X) else np.empty((0, 3))
    if array.ndim == 1 and all(isinstance(r, list | tuple | np.ndarray) for r in array):
        lengths = {len(row) for row in array}
        if len(lengths) == 1:
            rows = np.empty((len(array), lengths.pop()), dtype=object)
            for i, row in enumerate(array):
                for j, name in enumerate(row):
                    rows[i, j] = name
            return rows
    return array


def _one_axis(names: Any) -> np.ndarray:
    if isinstance(names, np.ndarray):
        return names
    array = np.empty(len(names), dtype=object)
    for i, name in enumerate(names):
        array[i] = name
    return array


def _codes(reader: Any, columns: list[np.ndarray], strict: bool) -> np.ndarray:
    found = []
    for names, what in zip(columns, ("entities", "relations", "entities")):
        if strict:
            found.append(positions(reader, what, names, ""))
        else:
            found.append(_lookup(getattr(reader, f"{what}_"), names))
    return np.column_stack(found)


def _lookup(known: np.ndarray, names: np.ndarray) -> np.ndarray:
    if known.dtype != names.dtype:
        known, names = known.astype(object), names.astype(object)
    return index_of(known).get_indexer(index_of(names)).astype(np.int64)


def _nearest(known: np.ndarray, name: Any) -> str:
    texts = [other for other in known.tolist() if isinstance(other, str)]
    near = difflib.get_close_matches(name, texts, n=1) if isinstance(name, str) else []
    if near:
        return f"; did you mean {near[0]!r}?"
    return f": it had {len(known)}, such as {known.tolist()[0]!r}"


__all__ = [
    "COLUMNS",
    "TripleData",
    "Triples",
    "add_facts",
    "codes_with_gaps",
    "positions",
]
