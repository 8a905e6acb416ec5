"""What X looks like: a recogniser for each kind, by its types and shapes alone.

A recogniser returns True for an X that looks like its kind, None for one that can be
read as it, False for one that cannot. Several may say True: the order of
`sknets._inputs.kinds.KINDS` decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from torch import Tensor

from sknets._inputs.graph_lists import is_graph, items_of
from sknets._inputs.links import LinkView
from sknets._inputs.nodes import NodeView
from sknets._inputs.sequences import column_of, is_missing
from sknets._inputs.series import KnownSeries
from sknets._inputs.tree_data import TreeData
from sknets._inputs.triples import COLUMNS

# Of a table without types so many rows tell what it holds.
_FEW_ROWS = 20
# Of files that hold sounds, pictures and numbers.
_ENDS = {".wav", ".flac", ".mp3", ".ogg", ".png", ".jpg", ".jpeg", ".tif", ".npy"}


# -- what an X is made of --------------------------------------------------------------


def plain(X: Any) -> Any:
    """Return an array for what is made one by numpy alone, as pictures of PIL are."""
    made = hasattr(X, "__array__") or hasattr(X, "__array_interface__")
    return np.asarray(X) if made and not hasattr(X, "shape") else X


def n_axes(X: Any) -> int:
    """Return how many axes an array, frame or sparse matrix has, 0 for what is none."""
    if isinstance(X, NodeView | LinkView):
        return 0
    return len(getattr(X, "shape", ()))


def _items(X: Any) -> Sequence[Any] | None:
    """The samples of a list, or of an array or a Series of objects."""
    if isinstance(X, list | tuple):
        return X
    is_objects = getattr(X, "dtype", None) == np.object_ and n_axes(X) == 1
    return list(X) if is_objects else None


def _is_scalar(value: Any) -> bool:
    return np.isscalar(value) or value is None or getattr(value, "ndim", 1) == 0


def _is_number(value: Any) -> bool:
    if isinstance(value, Number | np.bool_):
        return True
    return getattr(value, "ndim", 1) == 0 and not isinstance(value, str)


def _leaf(item: Any) -> Any:
    """The first thing in nested lists that is no list."""
    while isinstance(item, list | tuple) and len(item):
        item = item[0]
    return item


def holds_numbers(X: Any) -> bool:
    """Whether an array or a frame holds no text and no dates, by its first rows."""
    kind = getattr(getattr(X, "dtype", None), "kind", "O")
    if kind in "biufc" or sp.issparse(X) or isinstance(X, Tensor):
        return True
    first = _first_rows(X)
    if first.dtype.kind != "O":
        return first.dtype.kind in "biufc"
    return not any(isinstance(v, str | datetime) for v in first.ravel())


def _holds_text(X: Any) -> bool:
    """Whether it holds text: no numbers, and no times, which readers refuse."""
    first = np.empty(0) if holds_numbers(X) else _first_rows(X)
    if first.dtype.kind != "O":
        return first.dtype.kind not in "biufcmM"
    return any(isinstance(v, str) for v in first.ravel())


def _first_rows(X: Any) -> np.ndarray:
    rows = getattr(X, "iloc", X)
    return np.asarray(rows[:_FEW_ROWS] if hasattr(rows, "__getitem__") else rows)


def _width(X: Any) -> int | None:
    """How many columns a list of flat rows of one length has."""
    if not isinstance(X, list | tuple) or not len(X):
        return None
    if not all(isinstance(row, list | tuple) for row in X):
        return None
    lengths = {len(row) for row in X}
    flat = len(lengths) == 1 and all(_is_scalar(value) for value in X[0])
    return lengths.pop() if flat else None


def _shape(item: Any) -> tuple[int, ...] | None:
    """The shape of an array, or of nested lists, of numbers; None for anything else."""
    item = plain(item)
    if hasattr(item, "shape"):
        return tuple(item.shape) if n_axes(item) and holds_numbers(item) else None
    if not isinstance(item, list | tuple) or not _is_number(_leaf(item)):
        return None
    lengths: list[int] = []
    while isinstance(item, list | tuple) and len(item):
        lengths.append(len(item))
        item = item[0]
    return (*lengths, *getattr(item, "shape", ()))


def _shapes(X: Any) -> list[tuple[int, ...]]:
    """The shapes of the arrays of a list, empty where the first thing in it is none.

    What is no array among others is for the reader to name.
    """
    items = _items(X) or []
    first = next((item for item in items if item is not None), None)
    if _shape(first) is None:
        return []
    return [shape for item in items if (shape := _shape(item)) is not None]


def names_files(X: Any) -> bool:
    """Whether the first of a list is the name of a file, as far as its end tells."""
    first = next(iter(_items(X) or ()), None)
    end = Path(first).suffix.lower() if isinstance(first, str | Path) else ""
    return isinstance(first, Path) or end in _ENDS


def is_empty(X: Any) -> bool:
    return isinstance(X, list | tuple) and not len(X)


def column_of_arrays(X: Any) -> Any:
    """The first column of a frame whose first value is an array, or a list, of numbers.

    None for a frame without one and for what is no frame.
    """
    for label, kind in X.dtypes.items() if isinstance(X, pd.DataFrame) else ():
        values = X[label].dropna() if kind == np.object_ else X[label][:0]
        if len(values) and _shape(values.iloc[0]) is not None:
            return label
    return None


def _is_thin(n_steps: Any, n_channels: int) -> bool:
    """Whether an axis is so short beside the steps that it must be channels."""
    return 0 < n_channels <= 16 and 4 * n_channels <= n_steps


# -- the recognisers -------------------------------------------------------------------


def nodes(X: Any) -> bool | None:
    if isinstance(X, NodeView):
        return True
    if sp.issparse(X) or n_axes(X) == 2:
        edges = {"source", "target"} <= set(getattr(X, "columns", ()))
        return None if edges or X.shape[0] == X.shape[1] else False
    if isinstance(X, LinkView) or not is_graph(X):
        return False
    return True if items_of(X) is None else None


def links(X: Any) -> bool | None:
    if isinstance(X, LinkView):
        return True
    pairs = (n_axes(X) == 2 and X.shape[1] == 2) or _width(X) == 2
    return None if pairs or nodes(X) is not False else False


def graphs(X: Any) -> bool | None:
    items = items_of(X)
    if items is None:
        view = isinstance(X, NodeView | LinkView)
        return None if not view and is_graph(X) else False
    if len(items) and all(is_graph(item) for item in items):
        return True
    return None if not items or any(_may_be_graph(item) for item in items) else False


def _may_be_graph(item: Any) -> bool:
    square = n_axes(item) == 2 and item.shape[0] == item.shape[1]
    return is_graph(item) or (square and holds_numbers(item))


def trees(X: Any) -> bool | None:
    X = column_of(X)
    if isinstance(X, TreeData) or is_empty(X):
        return True if isinstance(X, TreeData) else None
    if isinstance(X, str) or _is_labelled(X):
        return None if _may_be_tree(X) else False
    items = _items(X)
    if items is None and n_axes(X) == 1 and not holds_numbers(X):
        items = list(X)  # an array or a column of strings
    if items is None or not len(items):
        return False
    nested, first = any(map(_is_nested, items)), items[0]
    if all(map(_may_be_tree, items)):
        whole = all(not isinstance(item, str) or "(" in item for item in items)
        return True if whole and nested else None
    # The reader names what is no tree among trees.
    some = _may_be_tree(first) and not isinstance(first, str)
    return None if nested or some else False


def _is_labelled(item: Any) -> bool:
    """Whether it looks like nltk's trees."""
    return callable(getattr(item, "label", None)) and hasattr(item, "__iter__")


def _may_be_tree(item: Any) -> bool:
    if isinstance(item, str):
        words = item.split(None, 1)
        return len(words) == 1 or item.lstrip().startswith("(")
    if _is_labelled(item):
        return True
    if not isinstance(item, list | tuple) or not isinstance(_leaf(item), str):
        return False
    return all(isinstance(_leaf(child), str) for child in item)


def _is_nested(item: Any) -> bool:
    """Whether it is a tree and can be no row, and its first leaf is a word."""
    if isinstance(item, str):
        return item.lstrip().startswith("(")
    if _is_labelled(item) or not isinstance(item, list | tuple):
        return _is_labelled(item)
    inner = any(isinstance(child, list | tuple) for child in item)
    return inner and isinstance(_leaf(item), str)


def triples(X: Any) -> bool | None:
    if n_axes(X) == 2:
        if X.shape[1] != 3 and holds_numbers(X):
            return False
        return True if set(COLUMNS) <= set(getattr(X, "columns", ())) else None
    if _width(X) == 3:
        return True if all(isinstance(name, str) for name in X[0]) else None
    first = X[0] if isinstance(X, list | tuple) and len(X) else None
    if not isinstance(first, list | tuple) or len(first) != 3:
        return False
    # Names may be tuples, but no lists.
    return False if any(isinstance(name, list) for name in first) else None


def ratings(X: Any) -> bool | None:
    if n_axes(X) == 2:
        frame = hasattr(X, "columns")
        if frame and {"user", "item"} <= set(X.columns):
            return True
        if X.shape[1] == 3 and not sp.issparse(X):
            return (
                None if holds_numbers(X[X.columns[2]] if frame else X[:, 2]) else False
            )
        return None if X.shape[1] == 2 or holds_numbers(X) else False
    width = _width(X)
    if not width:  # names may be tuples, and rows arrays
        return None if _are_rows(X) and trees(X) is not True else False
    if width == 3 and any(isinstance(name, str) for name in X[0][:2]):
        return _is_number(X[0][2])
    return None if width == 2 or _is_number(X[0][0]) or X[0][0] is None else False


def _are_rows(X: Any) -> bool:
    """Whether all items of a list are two or three names or numbers each."""
    rows: Any = X if isinstance(X, list | tuple) and len(X) else [None]
    sized = isinstance(rows[0], list | tuple) or n_axes(rows[0]) == 1
    if not sized or {len(row) for row in rows} not in ({2}, {3}):
        return False
    return not any(n_axes(name) or isinstance(name, list) for name in rows[0])


def text(X: Any) -> bool | None:
    if isinstance(X, str) or is_empty(X):
        return None
    if n_axes(X) == 2:
        return None if is_text_column(X) else False
    if not (isinstance(X, list | tuple) or n_axes(X) == 1):
        return False
    if all(item is None or (isinstance(item, list | tuple) and not item) for item in X):
        return None  # texts without a token, or none: the reader names it
    if not _begins_with_text(X):
        nothing = isinstance(X, list | tuple) and all(map(is_missing, X))
        return None if nothing else False  # its reader says what belongs there
    listed = [item for item in X if isinstance(item, list | tuple)]
    kinds = set(map(type, itertools.chain.from_iterable(listed)))
    if any(issubclass(kind, list | tuple) for kind in kinds):
        return False
    if listed and any(isinstance(word, int | float) for word in listed[0]):
        return False
    # Lists of tokens that are all of one length are more likely a table.
    equal = len(listed) == len(X) and len({len(item) for item in listed}) == 1
    return None if equal else True


def _begins_with_text(X: Any) -> bool:
    """Whether the first item that tells is a string, or a list of them."""
    for item in X:
        if not isinstance(item, list | tuple):
            if not is_missing(item):
                # Bytes are no numbers: the reader refuses them as text.
                return isinstance(item, str | bytes)
        elif len(item):
            return isinstance(item[0], str | bytes)
    return False


def is_text_column(X: Any) -> bool:
    """Whether it is a table of one column of strings that are no categories."""
    if sp.issparse(X) or X.shape[1] != 1:
        return False
    types = [str(dtype) for dtype in getattr(X, "dtypes", ())]
    if any(name.startswith(("category", "Categorical", "Enum")) for name in types):
        return False
    return any(isinstance(v, str | bytes) for v in _first_rows(X).ravel())


def table(X: Any) -> bool | None:
    if n_axes(X):
        return n_axes(X) == 2
    if _width(X) is not None:
        return True
    if is_empty(X) or not isinstance(X, list | tuple):
        return False
    if isinstance(X[0], dict):
        return all(_is_scalar(value) for value in X[0].values())
    shapes = _shapes(X)
    equal = len(shapes) == len(X) and len(set(shapes)) == 1
    return None if equal and len(shapes[0]) == 1 else False


def series(X: Any) -> bool | None:
    if isinstance(X, KnownSeries):
        return True
    if isinstance(X, dict):
        return None if _are_series(list(X.values())) else False
    axes = n_axes(X)
    if sp.issparse(X) or axes > 3:
        return False
    items = _items(X)
    if (axes and items is None) or axes == 2:
        if not holds_numbers(X):
            return False
        times = pd.DatetimeIndex | pd.PeriodIndex
        dated = isinstance(getattr(X, "index", None), times)
        return True if axes == 1 or dated else None
    if items is None:
        return False
    known = [item for item in items if item is not None]
    if known and all(map(_is_number, known)):
        return True
    return None if is_empty(X) or _are_series(items) else False


def _are_series(items: Sequence[Any]) -> bool:
    axes = {len(shape) for shape in _shapes(items)}
    return bool(axes) and axes <= {1, 2}


def sequences(X: Any) -> bool | None:
    if n_axes(X) == 3:
        return True if _is_thin(X.shape[1], X.shape[2]) else None
    if n_axes(X) == 2:
        # Of a table with text the reader names the column.
        return None if not (sp.issparse(X) or is_text_column(X)) else False
    shapes = _shapes(X)
    axes = {len(shape) for shape in shapes}
    if axes == {1}:
        return True
    widths = {shape[-1] for shape in shapes if len(shape) == 2}
    if axes == {2} and len(widths) == 1:
        length = float(np.mean([shape[0] for shape in shapes]))
        return True if _is_thin(length, *widths) else None
    return None if axes & {1, 2} else False


def videos(X: Any) -> bool | None:
    shapes = [tuple(X.shape[1:])] if n_axes(X) > 1 else _shapes(X)
    axes = {len(shape) for shape in shapes}
    if axes == {4}:
        rgb = all(3 in (shape[-1], shape[1]) for shape in shapes)
        return True if rgb else None
    if axes == {3}:
        widths, counts = [s[-1] for s in shapes], [s[0] for s in shapes]
        return True if min(widths) > 4 and max(counts) > 4 else None
    return None if axes & {2, 3, 4} or is_empty(X) or _are_files(X) else False


def images(X: Any) -> bool | None:
    axes = n_axes(X)
    if axes > 1:
        if axes == 2:
            return None if not (sp.issparse(X) or _holds_text(X)) else False
        if axes > 5 or _holds_text(X):
            return False
        return True if holds_numbers(X) else None
    if _are_files(X):
        return None  # for the reader to say that files are to be read first
    shapes = _shapes(X)
    if not shapes:
        return False
    if len(shapes[0]) == 1:
        return None if len(set(shapes)) == 1 else False
    return 2 <= len(shapes[0]) <= 4


def _are_files(X: Any) -> bool:
    """Whether it is the names of pictures, and not the pictures."""
    if isinstance(X, str | Path):
        return True
    first = next(iter(_items(X) or ()), None)
    if isinstance(first, str):
        return bool(Path(first).suffix) and " " not in first
    return isinstance(first, Path)
