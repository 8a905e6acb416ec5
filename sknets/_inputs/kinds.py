"""The one table of kinds: what X may be, for `fit`, `compare` and the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from sknets._catalogue import listed, takers
from sknets._inputs import recognising as like
from sknets._inputs.graph_lists import GraphLists
from sknets._inputs.images import Images
from sknets._inputs.links import Links
from sknets._inputs.nodes import Nodes
from sknets._inputs.rating_rows import RatingRows
from sknets._inputs.sequences import Sequences
from sknets._inputs.series import Series
from sknets._inputs.table import Table
from sknets._inputs.text import Text
from sknets._inputs.trees import Trees
from sknets._inputs.triples import Triples
from sknets._inputs.videos import Videos

# So many estimators are named to who has the wrong one.
_MOST_NAMES = 3
_ROWS = np.zeros((1, 5))


@dataclass(frozen=True)
class Kind:
    """One kind of X.

    Attributes
    ----------
    name : str
    noun : str
        What such an X is, in a sentence.
    form : str
        How it is written.
    recognises : callable
        True for an X that looks like this kind, None for one that can be read as it,
        False for one that cannot. Of the kinds that X looks like, the first counts.
    Reader : class
        What reads it.
    """

    name: str
    noun: str
    form: str
    recognises: Callable[[Any], bool | None]
    Reader: Any


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("nodes", "nodes of a graph", "graph_nodes(graph)", like.nodes, Nodes),
        Kind("links", "links of a graph", "graph_links(nodes)", like.links, Links),
        # Before all that ask for the shape of an item.
        Kind("graphs", "graphs", "a list of them", like.graphs, GraphLists),
        Kind("trees", "trees", "brackets or nested tuples of words", like.trees, Trees),
        Kind("triples", "triples", "head, relation, tail", like.triples, Triples),
        Kind("ratings", "ratings", "user, item, rating", like.ratings, RatingRows),
        Kind("text", "text", "a list of strings", like.text, Text),
        Kind("table", "a table", "rows and columns", like.table, Table),
        Kind("series", "a series", "numbers by time", like.series, Series),
        Kind("sequences", "sequences", "a list of arrays", like.sequences, Sequences),
        # Before images, which may have as many axes.
        Kind("videos", "videos", "a list of arrays of frames", like.videos, Videos),
        Kind("images", "images", "an array of 3 to 5 axes", like.images, Images),
    )
}


def kind_of(X: Any, among: Any = KINDS) -> Kind | None:
    """Return the kind that X looks like, None if it looks like none of these."""
    X = like.plain(X)
    for name, kind in KINDS.items():
        if name in among and kind.recognises(X):
            return kind
    return None


def choose_reader(
    owner: str, task: str, readers: Sequence[Any], X: Any, *, fitted: bool = False
) -> Any:
    """Return the reader whose kind X looks like, else the first that can read it.

    Parameters
    ----------
    owner, task : str
        Who asks.
    readers : classes of `sknets._inputs`
    X : the data
    fitted : bool
        Whether these are the readers of a fit that was, not all that there may be.

    Raises
    ------
    ValueError
        If none can: the sentence says what X is, and which estimators take that.
    """
    X, possible = like.plain(X), None
    _refuse_held_arrays(owner, X)
    for reader in readers:
        answer = KINDS[reader.name].recognises(X)
        if answer:
            return reader
        if answer is None and possible is None:
            possible = reader
    if possible is not None:
        return possible
    raise ValueError(refusal(owner, task, readers, X, fitted=fitted))


def _refuse_held_arrays(owner: str, X: Any) -> None:
    """Name a column of a frame that has an array, a waveform or a picture, a row."""
    label = like.column_of_arrays(X)
    if label is not None:
        raise ValueError(
            f"{owner}: column {label!r} of X holds an array a row, and a table has "
            f"numbers or words: give that column alone, X[{label!r}]"
        )


def refusal(
    owner: str, task: str, readers: Sequence[Any], X: Any, *, fitted: bool = False
) -> str:
    """Say what X is and which estimators take that, for who cannot read it."""
    nouns = listed(KINDS[reader.name].noun for reader in readers)
    takes = f"was fitted on {nouns}" if fitted else f"takes {nouns}"
    found = kind_of(X)
    if found is None:
        return f"{owner} {takes}, got {describe(X)}{_advice(X, readers)}"
    size = f" of shape {tuple(X.shape)}" if like.n_axes(X) else ""
    others = [name for name in takers(found.name, task) if name != owner]
    fix = f": use {listed(others[:_MOST_NAMES])}" if others else ""
    return f"{owner} {takes}, not {_noun(found, X)}{size}{fix}{_advice(X, readers)}"


def _noun(found: Kind, X: Any) -> str:
    """What X is, with what distinguishes it from its like."""
    if sp.issparse(X):
        return "a sparse table"
    if found.name == "table" and like.n_axes(X) and not like.holds_numbers(X):
        return "a table with text"
    return "volumes" if like.n_axes(X) == 5 and found.name == "images" else found.noun


def _advice(X: Any, readers: Sequence[Any]) -> str:
    """What makes rows of an array of other axes, and arrays of files."""
    if like.names_files(X):
        return "; read files first, with scipy.io.wavfile or imageio for example"
    takes_rows = any(KINDS[r.name].recognises(_ROWS) is not False for r in readers)
    if takes_rows and like.n_axes(X) == 1:
        return (
            ". Reshape your data if it is none: np.reshape(X, (-1, 1)) is one column, "
            "np.reshape(X, (1, -1)) one row"
        )
    if takes_rows and like.n_axes(X) > 2:
        return "; X.reshape(len(X), -1) makes a table of it"
    return ""


def refuse_other_kinds(estimator: Any, X: Any, y: Any) -> None:
    """Refuse an X of a wrong kind before anything else of it is looked at."""
    try:
        estimator._choose_kind(X)
    except ValueError as error:
        if not seem_swapped(X, y):
            raise
        raise ValueError(
            f"{type(estimator).__name__}: X and y seem to be swapped, as X has one "
            "value a row and y has columns"
        ) from error


def seem_swapped(X: Any, y: Any) -> bool:
    """Whether X has one value a row, as targets have, and y has columns."""
    rows = isinstance(y, list | tuple) and len(y) and isinstance(y[0], list | tuple)
    shape: tuple[int, ...] = tuple(getattr(y, "shape", ()))
    width = len(y[0]) if rows else shape[1] if len(shape) == 2 else 1
    found = kind_of(X, ("series", "text"))
    if width < 2 or found is None:
        return False
    # Texts that are few words again and again are classes.
    return found.name == "series" or len(set(map(str, X))) <= min(20, len(X) // 2)


def describe(X: Any) -> str:
    """What X is, where it is no kind of data."""
    if isinstance(X, str):
        return f"one string, {X!r:.40}"
    if X is None or isinstance(X, int | float):
        return repr(X)
    if like.n_axes(X) or hasattr(X, "shape"):
        return f"an array of shape {tuple(X.shape)}"
    if like.is_empty(X):
        return f"an empty {type(X).__name__}"
    inside = f" of {type(X[0]).__name__}" if isinstance(X, list) else ""
    return f"a {type(X).__name__}{inside}"


__all__ = [
    "KINDS",
    "Kind",
    "choose_reader",
    "describe",
    "kind_of",
    "refusal",
    "refuse_other_kinds",
    "seem_swapped",
]
