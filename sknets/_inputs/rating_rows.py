"""Ratings of items by users, as rows or as a matrix with gaps."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sp

from sknets._engine.device import as_tensor
from sknets._inputs.columns import refuse_repeated_names, refuse_type
from sknets._inputs.naming import holds, index_of, names_of, sorted_names
from sknets._inputs.ratings import Queries, Ratings
from sknets._inputs.reader import Reader
from sknets._params import param
from sknets._warn import warn

# A softmax unit a level: more of them means that ratings are numbers, not levels.
_MOST_LEVELS = 100


class RatingRows(Reader):
    """Ratings: rows of (user, item, rating), rows and y, or a matrix users x items.

    Learned, and grown by later ratings:

    users_, items_ : ndarray
        Their names: of rows in ascending order; of a matrix the index and the columns
        of a DataFrame, or the numbers of rows and columns.
    levels_ : ndarray
        The ratings that there are, ascending.
    ratings_ : ndarray of shape (n_ratings, 3)
        All that is known: position of the user, of the item, of the level.
    """

    name: ClassVar[str] = "ratings"

    ratings: Literal["auto", "rows", "matrix"] = param(default="auto")
    levels: tuple[float, ...] | None = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Ratings | Queries:
        """Pairs to predict, or the ratings of users by which to predict all others."""
        if reset:
            return learn_ratings(self, X, None, reset=True)
        X = _as_table(self, X)
        if is_rows(self, X):
            users = _positions(self, "user", _column(self, X, 0))
            items = _positions(self, "item", _column(self, X, 1))
            return Queries(known_ratings(self), as_tensor(users), as_tensor(items))
        return users_of_matrix(self, X)


def users_of_matrix(reader: Any, X: Any) -> Ratings:
    """The users, known or not, whose ratings are the rows of a matrix."""
    X = _as_table(reader, X)
    _, _, users, items, values = _of_matrix(reader, X, reset=False)
    table = np.column_stack([users, items, _level_codes(reader, values)])
    return Ratings.of(_unique(reader, table), X.shape[0])


def known_ratings(reader: Any) -> Ratings:
    """The ratings of all users that a reader knows."""
    return Ratings.of(reader.ratings_, len(reader.users_))


def learn_ratings(reader: Any, X: Any, y: Any, *, reset: bool) -> Ratings:
    """The ratings to train on, a sample a user; sets what `RatingRows` names."""
    owner = reader.who
    X = _as_table(reader, X)
    if is_rows(reader, X, y):
        width = X.shape[1]
        if y is None and width == 2:
            raise ValueError(
                f"{owner}: X has rows of (user, item) without ratings: give them as y "
                "or as a third column (or, if X is a matrix of two items, "
                "ratings='matrix')"
            )
        if y is not None and width != 2:
            raise ValueError(
                f"{owner}: X must have two columns, user and item, where y has the "
                f"ratings, got {width}: leave the third column away, or y"
            )
        values = _numbers(reader, _column(reader, X, 2) if y is None else y)
        if values.ndim != 1:
            raise ValueError(
                f"{owner}: y must have one rating a row, got shape {values.shape}"
            )
        if len(values) != X.shape[0]:
            raise ValueError(
                f"{owner}: Found input variables with inconsistent numbers of samples: "
                f"X has {X.shape[0]}, y has {len(values)}"
            )
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            raise ValueError(
                f"{owner}: row {missing[0]} has no rating, it is NaN: drop such rows, "
                "or set ratings='matrix' if X is a matrix of users x items"
            )
        named = [_column(reader, X, 0), _column(reader, X, 1)]
        if reset:
            reader.users_, reader.items_ = (sorted_names(ids) for ids in named)
        users, items = _grown(reader, named[0]), named[1]
        items = _positions(reader, "item", items)
    else:
        names, columns, users, items, values = _of_matrix(reader, X, reset, y)
        if reset:
            reader.users_, reader.items_ = names, columns
        users = _grown(reader, names)[users]
    if reset:
        reader.owner.n_features_in_ = X.shape[1]
        reader.levels_ = _levels(reader, values)
    strange = np.flatnonzero(items < 0)
    if len(strange):
        raise ValueError(
            f"{owner}: row {strange[0]} rates an item that the first fit did not have: "
            "its items are those of which there are weights, fit anew for others"
        )
    table = np.column_stack([users, items, _level_codes(reader, values)])
    table = _unique(reader, table)
    before = table[:0] if reset else reader.ratings_
    reader.ratings_ = _merged(np.concatenate([before, table]))
    present, table[:, 0] = np.unique(table[:, 0], return_inverse=True)
    return Ratings.of(table, len(present))


# -- reading ---------------------------------------------------------------------------


def _as_table(reader: Any, X: Any) -> Any:
    """A DataFrame or sparse matrix as it is, anything else as an array of two axes."""
    owner = reader.who
    if not sp.issparse(X) and not hasattr(X, "columns"):
        # A list of ('anna', 7, 4.5) would else become text altogether.
        X = np.asarray(X, dtype=object if isinstance(X, list | tuple) else None)
    if X.ndim != 2 if hasattr(X, "ndim") else len(X.shape) != 2:
        raise ValueError(
            f"{owner}: X must be rows of (user, item, rating) or a matrix users x "
            f"items, with two axes, got shape {X.shape}. Reshape your data"
        )
    if 0 in X.shape:
        raise ValueError(
            f"Found array with {X.shape[0]} sample(s) (shape={X.shape}) while a "
            f"minimum of 1 is required by {owner}."
        )
    if hasattr(X, "columns"):
        refuse_repeated_names(owner, X)
    return X


def is_rows(reader: Any, X: Any, y: Any = None) -> bool:
    """Whether X has rows of user and item, rather than a row a user."""
    if reader.ratings != "auto":
        rows = reader.ratings == "rows"
        if rows and (sp.issparse(X) or X.shape[1] not in (2, 3)):
            sentence = "rows have two or three columns (user, item, rating), X has "
            what = "sparse rows" if sp.issparse(X) else f"{X.shape[1]}"
            raise ValueError(reader._refusal("ratings", sentence + what))
        return rows
    return not sp.issparse(X) and (X.shape[1] in (2, 3) or y is not None)


def _column(reader: Any, X: Any, j: int) -> np.ndarray:
    """The names of users or items, or ratings, of rows."""
    framed = hasattr(X, "columns")
    values = X[X.columns[j]].to_numpy() if framed else X[:, j]
    if j == 2:
        return values
    missing = pd.isna(values)
    if missing.any():
        what = ("user", "item")[j]
        raise ValueError(
            f"{reader.who}: row {int(missing.argmax())} of X has no "
            f"{what}, it is NaN or None: drop such rows"
        )
    try:
        return names_of(values)
    except TypeError:
        what = ("users", "items")[j]
        raise TypeError(
            f"{reader.who}: {what} must be named by what can be a key of "
            f"a dict, such as numbers, strings or tuples, got {values[0]!r:.60}"
        ) from None


def _numbers(reader: Any, values: Any) -> np.ndarray:
    owner = reader.who
    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.to_numpy(dtype=None, na_value=np.nan)
    refuse_type(f"{owner}: the array of ratings", getattr(values, "dtype", None))
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        sentence = f"{owner}: ratings must be numbers ({str(error).splitlines()[0]})"
        raise ValueError(sentence) from error
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if numbers.ndim > 2 or np.isinf(numbers).any():
        raise ValueError(f"{owner}: ratings must be finite numbers, got infinity")
    return numbers


def _of_matrix(reader: Any, X: Any, reset: bool, y: Any = None) -> tuple:
    """Names of users and items; row, item and value of each rating of a matrix."""
    owner = reader.who
    if y is not None:
        raise ValueError(
            f"{owner}: y must be None where X is a matrix users x items, whose entries "
            "are the ratings"
        )
    framed = isinstance(X, pd.DataFrame)
    if framed and not X.index.is_unique:
        twice = X.index[X.index.duplicated()].tolist()[0]
        raise ValueError(
            f"{owner}: X has several rows of user {twice!r}: give each a name of its "
            "own"
        )
    users = names_of(X.index) if framed else np.arange(X.shape[0])
    named = hasattr(X, "columns")
    columns = names_of(list(X.columns)) if named else np.arange(X.shape[1])
    if sp.issparse(X):
        entries = X.tocoo()
        rows, items = (c.astype(np.int64) for c in (entries.row, entries.col))
        values = _numbers(reader, entries.data)
        if np.isnan(values).any():
            raise ValueError(
                f"{owner}: the sparse X stores NaN; what is not rated is not stored"
            )
    else:
        dense = _numbers(reader, X)
        rows, items = np.nonzero(~np.isnan(dense))
        values = dense[rows, items]
    if not len(values) and reset:
        raise ValueError(f"{owner}: X holds no rating at all")
    if not reset and named:
        items = _positions(reader, "item", columns)[items]
        if (items < 0).any():
            raise ValueError(f"{owner}: X has ratings in columns that fit did not have")
    elif not reset and X.shape[1] != len(reader.items_):
        raise ValueError(
            f"X has {X.shape[1]} features, but {owner} is expecting "
            f"{len(reader.items_)} features as input: a column an item of the fit"
        )
    return users, columns, rows, items, values


# -- positions and levels --------------------------------------------------------------


def _positions(reader: Any, what: str, names: np.ndarray) -> np.ndarray:
    """Where names are among those known, -1 for unknown ones."""
    known = getattr(reader, f"{what}s_")
    numeric = known.dtype.kind != "O"
    if numeric != (names.dtype.kind != "O") and holds(known) != holds(names):
        raise ValueError(
            f"{reader.who}: the {what}s of X are {holds(names)} such as "
            f"{names[0]!r}, but those of fit are {holds(known)} such as "
            f"{known.tolist()[0]!r}"
        )
    return index_of(known).get_indexer(index_of(names)).astype(np.int64)


def _grown(reader: Any, names: np.ndarray) -> np.ndarray:
    """Positions of users, to whom new ones are added."""
    found = _positions(reader, "user", names)
    if (found < 0).any():
        new = sorted_names(names[found < 0])
        reader.users_ = np.concatenate([reader.users_, new])
        found = _positions(reader, "user", names)
    return found


def _levels(reader: Any, values: np.ndarray) -> np.ndarray:
    if reader.levels is not None:
        levels = np.array(reader.levels, dtype=np.float64)
        if len(levels) < 2 or (np.diff(levels) <= 0).any():
            sentence = "levels must be two or more numbers in ascending order"
            raise ValueError(reader._refusal("levels", sentence))
        return levels
    levels = np.unique(values)
    if len(levels) == 1 and len(values) > 1:
        warn(
            f"{reader.who}: all {len(values)} ratings are {levels[0]:g}, "
            "so that is all there is to learn",
        )
    if len(levels) > _MOST_LEVELS:
        raise ValueError(
            reader._refusal(
                "levels",
                f"there are {len(levels)} different ratings, and each level has a unit "
                f"of its own: round them to {_MOST_LEVELS} levels or fewer",
            )
        )
    return levels


def _level_codes(reader: Any, values: np.ndarray) -> np.ndarray:
    levels = reader.levels_
    middle = (levels[1:] + levels[:-1]) / 2
    codes = np.searchsorted(middle, values)
    strange = ~np.isclose(levels[codes], values, rtol=1e-6, atol=1e-9)
    if strange.any():
        found = values[strange][0]
        fix = "" if reader.levels is not None else ", or name all in levels=(...)"
        raise ValueError(
            f"{reader.who}: the rating {found:g} is not among the levels "
            f"{_short(levels)}: correct it{fix}"
        )
    return codes


def _short(levels: np.ndarray) -> str:
    words = [f"{level:g}" for level in levels]
    return ", ".join(words if len(words) < 13 else [*words[:6], "...", *words[-3:]])


def _unique(reader: Any, table: np.ndarray) -> np.ndarray:
    """Rows sorted by user and item, each pair once; refuses two ratings of a pair."""
    table = np.unique(table, axis=0) if not _is_sorted(table) else table
    same = (np.diff(table[:, :2], axis=0) == 0).all(1)
    if same.any():
        _refuse_twice(reader, table[same.argmax() :][:2])
    return table


def _is_sorted(table: np.ndarray) -> bool:
    by_user, by_item = np.diff(table[:, 0]), np.diff(table[:, 1])
    return bool(((by_user > 0) | ((by_user == 0) & (by_item > 0))).all())


def _refuse_twice(reader: Any, two: np.ndarray) -> NoReturn:
    (user, item, _), codes = two[0], two[:, 2]
    first, second = reader.levels_[codes]
    users = reader.users_
    who = users[user] if user < len(users) else user
    raise ValueError(
        f"{reader.who}: user {who!s} rates item "
        f"{reader.items_[item]!s} twice, {first:g} and {second:g}: keep one of them"
    )


def _merged(table: np.ndarray) -> np.ndarray:
    """Sorted by user and item; of two ratings of a pair the later one."""
    order = np.lexsort((table[:, 1], table[:, 0]))
    table = table[order]
    last = np.append((np.diff(table[:, :2], axis=0) != 0).any(1), True)
    return table[last]


__all__ = ["RatingRows", "known_ratings", "learn_ratings", "users_of_matrix"]
