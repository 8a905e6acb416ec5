"""Tables of which rows are made anew: with the types, names and categories of X."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from sknets._inputs.columns import is_frame
from sknets._inputs.table import Rows, Table

_DAY = 86_400e9  # nanoseconds


class Records(Table):
    """A `Table` that can be written, as `frame` does, as well as read.

    Times are read as days since the first one. Rows are computed with in float32,
    unless the estimator's ``precision`` says otherwise.

    Learned, beside what a table learns: ``row_type_``, "array", "pandas" or "polars";
    of a frame ``labels_``, the names of its columns, ``dtypes_``, those of their types
    (``polars_types_``, where polars has others), ``levels_``, all categories of each
    column that has some, and ``starts_``, of each of times the first one, in
    nanoseconds, and whether all are whole days apart.
    """

    def _read(self, X: Any, reset: bool, seen: np.ndarray | None) -> Rows:
        types: list[str] = []
        kind = "pandas" if isinstance(X, pd.DataFrame) else "array"
        if is_frame(X) and kind == "array":
            kind, types = "polars", [str(dtype) for dtype in X.dtypes]
            X = _of_polars(X)
        if reset:
            self.row_type_, self.dtypes_, self.polars_types_ = kind, [], types
            self.levels_: dict[str, Any] = {}
            self.starts_: dict[str, list[int]] = {}
            self.labels_ = [] if kind == "array" else X.columns.tolist()
            if kind == "array":
                dtype = getattr(X, "dtype", None)
                self.dtypes_ = ["float32" if dtype == np.float32 else "float64"]
        if kind != "array" and X.columns.is_unique:
            X = self._plain(X, reset)
        rows = super()._read(X, reset, seen)
        if rows.is_sparse:  # new rows are dense
            rows = Rows(torch.from_numpy(rows.values.toarray()))
        if rows.dtype == torch.float64:
            rows.dtype = torch.float32
        return rows

    def _plain(self, X: pd.DataFrame, reset: bool) -> pd.DataFrame:
        """Times as numbers and truth values as categories, which alone are rows."""
        X = X.copy(deep=False)
        for j, (label, dtype) in enumerate(zip(X.columns, X.dtypes)):
            key = str(j)
            if reset:
                self.dtypes_.append(str(dtype))
                if isinstance(dtype, pd.CategoricalDtype):
                    levels = dtype.categories
                    own = str(levels.dtype), bool(dtype.ordered)
                    self.levels_[key] = (levels.to_numpy(object), *own)
            if pd.api.types.is_datetime64_any_dtype(dtype):
                times = X[label]
                if times.dt.tz is not None:  # hours that clocks skip are none to make
                    times = times.dt.tz_convert("UTC").dt.tz_localize(None)
                values = times.to_numpy("datetime64[ns]")
                known = ~np.isnat(values)
                if reset:
                    start = values[known].min() if known.any() else np.int64(0)
                    self.starts_[key] = [int(start.astype(np.int64)), 0]
                first = self.starts_.get(key, [0])[0]
                days = (values - np.datetime64(first, "ns")).astype(np.float64) / _DAY
                if reset:
                    self.starts_[key][1] = int((days[known] % 1 == 0).all())
                X[label] = np.where(known, days, np.nan)
            elif pd.api.types.is_bool_dtype(dtype):
                X[label] = X[label].astype("category")
        return X

    def write(self, values: np.ndarray) -> Any:
        """Rows as X had them, of numbers and codes as `read` gives them.

        Parameters
        ----------
        values : float64 ndarray of shape (n_samples, n_features)
            Codes of categories from 1, days, NaN where a value is missing.
        """
        categories = dict(zip(self._categorical(), getattr(self, "categories_", [])))
        if self.row_type_ == "array" and not categories:
            return values.astype(self.dtypes_[0])
        columns = {}
        for j in range(values.shape[1]):
            column = values[:, j]
            if j in categories:
                column = categories[j][column.astype(int) - 1]
            if self.row_type_ != "array":
                column = self._typed(j, column)
            columns[j] = column
        frame = pd.DataFrame(columns)
        if self.row_type_ == "array":
            return frame.to_numpy(object)
        frame.columns = self.labels_
        if self.row_type_ == "polars":
            return _as_polars(frame, self.polars_types_)
        return frame

    def _categorical(self) -> list[int]:
        return np.asarray(getattr(self, "categorical_columns_", ()), int).tolist()

    def _typed(self, j: int, column: np.ndarray) -> Any:
        """A column of a frame with the type that it had."""
        key, name = str(j), self.dtypes_[j]
        if key in self.levels_:
            levels, own, ordered = self.levels_[key]
            dtype = pd.CategoricalDtype(pd.Index(levels).astype(own), ordered)
            return pd.Series(pd.Categorical(column, dtype=dtype))
        if key in self.starts_:
            first, whole = self.starts_[key]
            known = ~np.isnan(column)
            days = np.where(known, column.round() if whole else column, 0) * _DAY
            times = np.datetime64(first, "ns") + days.astype("timedelta64[ns]")
            series = pd.Series(np.where(known, times, np.datetime64("NaT", "ns")))
            zone = name.partition(", ")[2].rstrip("]")
            if zone:
                series = series.dt.tz_localize("UTC").dt.tz_convert(zone)
            return series.astype(name)
        if name.lower().startswith(("int", "uint")):
            return pd.Series(column).round().astype(name)
        if name.startswith("Sparse["):  # pandas does not read what it writes
            own, _, fill = name[7:-1].partition(", ")
            kind = pd.SparseDtype(own, float(fill or "nan"))
            return pd.Series(column).astype(kind)
        return pd.Series(column).astype(name)

    def n_categories(self) -> dict[int, int]:
        """How many categories there are, by the positions of their columns."""
        categories = getattr(self, "categories_", [])
        return dict(zip(self._categorical(), map(len, categories)))

    def is_mixed(self) -> bool:
        """Whether there is anything but numbers."""
        missing = getattr(self, "missing_columns_", ())
        return bool(self._categorical() or self.starts_ or len(missing))


def _of_polars(X: Any) -> pd.DataFrame:
    """A frame of polars, without what its own way to pandas needs."""
    columns: dict[str, Any] = {}
    for label in X.columns:
        column = X[label]
        if str(column.dtype).startswith(("Categorical", "Enum")):
            own: Any = getattr(column.dtype, "categories", None)  # of an Enum
            levels = own.to_list() if hasattr(own, "to_list") else None
            columns[label] = pd.Categorical(column.to_list(), levels)
        else:
            columns[label] = column.to_numpy()
    return pd.DataFrame(columns)


def _as_polars(frame: pd.DataFrame, types: list[str]) -> Any:
    import polars  # X was one of its frames

    columns = []
    for (label, column), name in zip(frame.items(), types):
        kind = getattr(polars, name.partition("(")[0])
        if isinstance(column.dtype, pd.CategoricalDtype):
            if kind is polars.Enum:
                kind = polars.Enum(column.cat.categories.to_list())
            values: Any = column.astype(object).where(column.notna(), None).to_list()
            columns.append(polars.Series(label, values, kind))
            continue
        is_time = column.dtype.kind == "M"
        values = column.to_numpy("datetime64[us]" if is_time else None)
        series = polars.Series(label, values)
        gaps = series.dtype.is_float()
        columns.append((series.fill_nan(None) if gaps else series).cast(kind))
    return polars.DataFrame(columns)


__all__ = ["Records"]
