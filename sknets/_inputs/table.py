"""Tables: arrays, DataFrames and CSR matrices, one row a sample."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import check_array, validate_data

from sknets._engine.containers import Container, take
from sknets._engine.device import as_tensor
from sknets._engine.moments import PIECE_BYTES, Moments
from sknets._inputs.columns import (
    columns_of,
    is_frame,
    odd_value,
    refuse_columns,
    refuse_repeated_names,
)
from sknets._inputs.reader import Reader
from sknets._params import param
from sknets._warn import warn

_FLOATS = [np.float64, np.float32]
# What MinMaxScaler leaves outside [0, 1] by rounding alone.
ROUNDING = 1e-6


class Rows(Container):
    """The canonical container of a table; a batch of it is a dense tensor.

    A dense table shares the memory of X, so a memory-mapped file is streamed; a CSR
    matrix stays sparse and is made dense one batch at a time.
    """

    _moved = ("values",)

    def __init__(self, values: torch.Tensor | sp.csr_matrix):
        self.values: Any = values
        self.is_sparse = not isinstance(values, torch.Tensor)
        single = values.dtype in (torch.float32, np.float32)
        self.dtype = torch.float32 if single else torch.float64

    @property
    def row_bytes(self) -> int:  # type: ignore[override]
        """Of a dense row."""
        return max(1, self.values.shape[1]) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.values.shape[0]

    def batch(self, index: slice | torch.Tensor) -> torch.Tensor:
        if self.is_sparse:
            chosen = index if isinstance(index, slice) else index.numpy()
            rows = torch.from_numpy(self.values[chosen].toarray())
        else:
            rows = take(self.values, index)
        return rows.to(self.device, self.dtype)

    def moments(self, weight: np.ndarray | None = None) -> Moments:
        """As of all containers, of the values that are not NaN."""
        if not self.is_sparse:
            known = super().moments(weight)
            gaps = np.isnan(known.mean)
            if not gaps.any():
                return known
            mean, deviation = known.mean.copy(), known.deviation.copy()
            weights = np.full(len(mean), known.weight)
            part = Moments.of_known(self.values[:, gaps], weight)
            mean[gaps], deviation[gaps] = part.mean, part.deviation
            weights[gaps] = part.weight
            return Moments(mean, deviation, weights, known.n)
        # It takes weights of the very dtype of the values.
        values = self.values.astype(np.float64, copy=False)
        weight = None if weight is None else weight.astype(np.float64)
        mean, variance = mean_variance_axis(values, axis=0, weights=weight)
        total = float(len(self)) if weight is None else float(weight.sum())
        return Moments(mean, np.sqrt(variance), total, len(self))

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        if self.is_sparse:
            return float(self.values.min()), float(self.values.max())
        low, high = torch.aminmax(self.values)
        return float(low), float(high)

    def is_unit(self) -> bool:
        """Whether all values lie within [0, 1], but for rounding."""
        low, high = self.extremes()
        return low >= -ROUNDING and high <= 1 + ROUNDING

    def clipped(self, owner: str) -> Rows:
        """The same rows within [0, 1], with a warning if that is not rounding."""
        low, high = self.extremes()
        if low >= 0 and high <= 1:
            return self
        values = self.values.copy() if self.is_sparse else self.values.clone()
        stored = torch.from_numpy(values.data) if self.is_sparse else values
        if not self.is_unit():
            n = int(((stored < 0) | (stored > 1)).sum())
            warn(
                f"{owner}: {n:,} of {math.prod(values.shape):,} values of X are "
                f"outside the [0, 1] of fit, from {low:.4g} to {high:.4g}, and are "
                "clipped; MinMaxScaler(clip=True) does that without a word",
            )
        stored.clamp_(0, 1)
        other = copy.copy(self)
        other.values = values
        return other

    def sketch(self) -> np.ndarray:  # (n, 2)
        """Two numbers for each row, which equal rows have in common and no others."""
        random = np.random.RandomState(0).normal(size=(self.values.shape[1], 2))
        if self.is_sparse:
            return self.values @ random
        # A product of matrices would round by where a row is.
        each = (np.einsum("ij,jk->ik", x.numpy(), random) for x, _ in self.pieces(None))
        return np.concatenate([*each])

    def pieces(self, weight: np.ndarray | None):
        step = max(1, PIECE_BYTES // (8 * self.values.shape[1]))
        for start in range(0, len(self), step):
            w = weight if weight is None else weight[start : start + step]
            piece = self.values[start : start + step].cpu().double()
            yield piece, None if w is None else torch.from_numpy(w)


class Table(Reader):
    """Two-dimensional X: ``(n_samples, n_features)``, dense, DataFrame or CSR.

    Learned: the owner's ``n_features_in_`` and ``feature_names_in_`` and, where there
    are categories, ``categorical_columns_`` and ``categories_``; where the owner takes
    NaN, ``missing_columns_``, in which there is any.
    """

    name: ClassVar[str] = "table"

    categorical_features: Literal["from_dtype"] | list[Any] | None = param(default=None)

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Rows:
        if not reset and (rows := _plain_rows(self, X)) is not None:
            return rows
        if reset:
            categorical = categorical_columns(self, X)
        else:
            categorical = getattr(self, "categorical_columns_", np.array([], int))
        finite = self._finite(X, reset)
        if len(categorical) == 0:
            X = read_numbers(self, X, reset=reset, sparse=True, finite=finite)
            rows = Rows(X.tocsr() if sp.issparse(X) else as_tensor(X))
        else:
            rows = Rows(as_tensor(_encode(self, X, categorical, reset, seen, finite)))
        if reset and self.owner._takes_missing:
            self.missing_columns_: np.ndarray = _with_gaps(rows, seen)
        return rows

    def _finite(self, X: Any, reset: bool) -> bool | str:
        """What scikit-learn shall let pass: NaN, but for a fit that had none."""
        missing = getattr(self, "missing_columns_", ())
        taken = self.owner._takes_missing if reset else len(missing) > 0
        return "allow-nan" if taken and not sp.issparse(X) else True


def _with_gaps(rows: Rows, seen: np.ndarray | None) -> np.ndarray:
    """The positions of the columns with NaN."""
    values = rows.values
    if rows.is_sparse or not (gaps := values.sum(0).isnan()).any():
        return np.array([], dtype=int)
    values = values if seen is None else values[torch.from_numpy(seen)]
    gaps = values.isnan().any(0)
    return gaps.nonzero().flatten().numpy()


def _plain_rows(reader: Any, X: Any) -> Rows | None:
    """The rows of an array in which scikit-learn's checks would find nothing.

    They take longer than a small network; whatever is not plainly right goes to them.
    """
    if type(X) is not np.ndarray or X.dtype not in _FLOATS or X.ndim != 2:
        return None
    if not len(X) or X.shape[1] != reader.owner.n_features_in_:
        return None
    if hasattr(reader.owner, "feature_names_in_") or hasattr(reader, "categories_"):
        return None
    values = as_tensor(X)
    return Rows(values) if math.isfinite(values.sum()) else None


def read_numbers(
    reader: Any,
    X: Any,
    *,
    reset: bool,
    dtype: Any = _FLOATS,
    sparse: bool = False,
    finite: bool | str = True,
) -> Any:
    """Two-dimensional X, checked as scikit-learn does; a wrong column is named."""
    refuse_columns(reader.who, X)
    accepted = "csr" if sparse else False
    try:
        return validate_data(
            reader.owner,
            X,
            reset=reset,
            accept_sparse=accepted,
            dtype=dtype,
            ensure_all_finite=finite,
        )
    except (ValueError, TypeError) as error:
        refuse_gaps(reader, X, error)
        if not any(hint in str(error) for hint in ("could not convert", "float()")):
            raise
        raise odd_value(reader, X, error) from error


def refuse_gaps(reader: Any, X: Any, error: Exception) -> None:
    """Say why an owner that takes NaN does not take this one."""
    if "contains NaN" in str(error) and getattr(reader.owner, "_takes_missing", False):
        reason = "a sparse X may have none" if sp.issparse(X) else "fit had none"
        raise ValueError(
            f"{reader.who}: Input X contains NaN, and {reason}: fill it, for instance "
            "by scikit-learn's SimpleImputer"
        ) from None


def categorical_columns(reader: Any, X: Any) -> np.ndarray:
    """The positions of the columns that ``categorical_features`` names, sorted.

    Raises
    ------
    ValueError
        For a name or position that X does not have, or for a sparse X.
    """
    named = reader.categorical_features
    if named is None or isinstance(named, str):
        if named is None or not is_frame(X):
            return np.array([], dtype=int)
        refuse_repeated_names(reader.who, X)
        categorical = ("category", "Categorical", "Enum")
        kinds = [str(X[label].dtype) for label in X.columns]
        return np.flatnonzero([kind.startswith(categorical) for kind in kinds])
    if sp.issparse(X):
        raise ValueError(
            reader._refusal(
                "categorical_features", "categories cannot be read from a sparse X"
            )
        )
    labels = list(X.columns) if is_frame(X) else list(range(np.shape(X)[1]))
    if len(named) == len(labels) and all(isinstance(n, bool | np.bool_) for n in named):
        return np.flatnonzero(named)
    found = set()
    for name in named:
        if name in labels:
            found.add(labels.index(name))
        elif isinstance(name, int | np.integer) and 0 <= name < len(labels):
            found.add(int(name))
        else:
            raise ValueError(
                reader._refusal("categorical_features", f"X has no column {name!r}")
            )
    return np.array(sorted(found), dtype=int)


def _encode(
    reader: Any,
    X: Any,
    categorical: np.ndarray,
    reset: bool,
    seen: np.ndarray | None,
    finite: bool | str,
) -> np.ndarray:
    """Numbers as they are, categories as codes: 0 unknown, known ones, missing."""
    if not is_frame(X):
        X = check_array(X, dtype=None, estimator=reader.owner, ensure_all_finite=False)
    refuse_columns(reader.who, X, categorical.tolist())
    # Names and number of columns, without a conversion to numbers.
    validate_data(reader.owner, X, reset=reset, skip_check_array=True)
    if len(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is "
            f"required by {reader.who}."
        )
    chosen = set(categorical.tolist())
    numbers: dict[int, np.ndarray] = {}
    codes: dict[int, np.ndarray] = {}
    learned: list[np.ndarray] = []
    for j, _, values in columns_of(X):
        if j not in chosen:
            numbers[j] = values
            continue
        missing = pd.isna(values)
        if reset:
            there = np.ones(len(values), bool) if seen is None else seen
            known = values[~missing & there]
            learned.append(_categories(known, bool((missing & there).any())))
            known = learned[-1]
        else:
            known = reader.categories_[len(codes)]
        codes[j] = _codes(values, missing, known)
    if reset:
        reader.categorical_columns_, reader.categories_ = categorical, learned
    dtype = np.result_type(*[_float_type(X, j) for j in numbers], np.float32)
    encoded = np.empty((len(X), X.shape[1]), dtype=dtype)
    if numbers:
        block = np.column_stack(list(numbers.values()))
        try:
            encoded[:, list(numbers)] = check_array(
                block,
                dtype=dtype,
                estimator=reader.owner,
                input_name="X",
                ensure_all_finite=finite,
            )
        except ValueError as error:
            refuse_gaps(reader, X, error)
            if "could not convert string" not in str(error):
                raise
            frame = X[[X.columns[j] for j in numbers]] if is_frame(X) else block
            raise odd_value(reader, frame, error) from error
    for j, column in codes.items():
        encoded[:, j] = column
    return encoded


def _float_type(X, j: int) -> Any:
    kind = X[X.columns[j]].dtype if is_frame(X) else X.dtype
    return np.float32 if str(kind).lower() == "float32" else np.float64


def _categories(values: np.ndarray, missing: bool) -> np.ndarray:
    known = pd.unique(values)
    try:
        known = np.sort(known)
    except TypeError:
        known = np.array(sorted(known, key=lambda v: (type(v).__name__, v)), object)
    return np.array([*known, *([None] if missing else [])], dtype=object)


def _codes(values: np.ndarray, missing: np.ndarray, known: np.ndarray) -> np.ndarray:
    has_missing = len(known) > 0 and known[-1] is None
    names = pd.Index(known[:-1] if has_missing else known, dtype=object)
    codes = names.get_indexer(pd.Index(values, dtype=object)) + 1
    codes[missing] = len(known) if has_missing else 0
    return codes


def cardinalities(categories: Sequence[np.ndarray]) -> list[int]:
    """How many codes each categorical column has, the unknown included."""
    return [len(known) + 1 for known in categories]


__all__ = [
    "ROUNDING",
    "Rows",
    "Table",
    "cardinalities",
    "categorical_columns",
    "read_numbers",
]
