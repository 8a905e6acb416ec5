"""Tables made ready for estimators: what each column is, and how models get it.

`column_roles` looks once at a table (never at y) and says what each column is;
`table_preparation` turns that into a scikit-learn pipeline. Whatever is *learned*
from values (medians, scales, categories, vocabularies) is learned in `fit`, so
nothing leaks from one fold of a cross-validation into another.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

MISSING = "(missing)"
OTHER = "(other)"
USED_ROLES = ("number", "category", "date", "text")
# Histogram boosting accepts at most 255 categories a column.
MAX_CATEGORIES = 250
# What a column of text becomes for models that need dense input.
TEXT_COLUMNS = 30

_DATE = re.compile(
    r"^\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})"
    r"|\d{1,2}[ -][A-Za-z]{3,9}[ -,]+\d{4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"([ T]\d{1,2}:\d{2}.*)?\s*$"
)
_DAY_FIRST = re.compile(r"^\s*(1[3-9]|2\d|3[01])[-/.]\d{1,2}[-/.]\d")
_ID_NAME = re.compile(r"^(id|uuid|guid|index|row|row_?id|unnamed: ?\d+|.*_id)$", re.I)


def is_sparse(X: Any) -> bool:
    """Say whether X is a scipy sparse matrix or array."""
    return sparse.issparse(X)


def is_frame(X: Any) -> bool:
    """Say whether X is a pandas or polars DataFrame."""
    return hasattr(X, "columns") and hasattr(X, "__getitem__") and hasattr(X, "shape")


def to_frame(X: Any) -> pd.DataFrame:
    """Return any two-dimensional table as a pandas DataFrame with string names."""
    if isinstance(X, pd.DataFrame):
        frame = X.copy(deep=False)
    elif is_frame(X):
        frame = pd.DataFrame({name: _from_polars(X[name]) for name in X.columns})
    else:
        frame = pd.DataFrame(X)
        frame.columns = [f"x{i}" if i == c else c for i, c in enumerate(frame.columns)]
        frame = frame.infer_objects()
    frame.columns = [str(name) for name in frame.columns]
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(
            f"the table has more than one column named {twice[0]!r}: rename one of them"
        )
    return frame


def _from_polars(series: Any) -> Any:
    # pl.DataFrame.to_pandas would need pyarrow.
    kind = str(series.dtype).partition("(")[0]
    if kind in ("Categorical", "Enum"):
        return pd.Categorical(series.to_list())
    if series.dtype.is_numeric() or kind in ("Date", "Datetime", "Duration"):
        return series.to_numpy()
    return pd.Series(series.to_list(), dtype=object).infer_objects()


def _strings(column: pd.Series) -> pd.Series:
    """Values as plain Python strings, missing ones as None."""
    values = column.astype(object)
    return values.map(str).where(values.notna().to_numpy(), None)


def _numbers(column: pd.Series) -> pd.Series:
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return column.dt.total_seconds()
    if column.dtype == object or pd.api.types.is_string_dtype(column.dtype):
        column = pd.to_numeric(column.astype(object), errors="coerce")
    return pd.to_numeric(column, errors="coerce").astype("float64")


def _day_first(column: pd.Series) -> bool:
    """Say whether dates are written day first: some first part is above 12."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return False
    return bool(column.dropna().astype(str).str.match(_DAY_FIRST).any())


def _dates(column: pd.Series, day_first: bool) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        with warnings.catch_warnings():  # about dayfirst, which was decided in fit
            warnings.simplefilter("ignore", UserWarning)
            column = pd.to_datetime(
                column.astype(object),
                errors="coerce",
                format="mixed",
                dayfirst=day_first,
                utc=True,
            )
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.astype("datetime64[us]")


def column_roles(frame: pd.DataFrame) -> dict[str, str]:
    """Say what each column of a table is.

    Returns
    -------
    dict
        Column name to "number", "category", "date", "text" (used), or "constant",
        "identifier" (left out: the first says nothing, the second only names rows).

    Raises
    ------
    ValueError
        If a column holds infinities, complex numbers or containers.
    """
    return {str(name): _role(frame[name], str(name)) for name in frame.columns}


def _role(column: pd.Series, name: str) -> str:
    known = column.dropna()
    dtype = column.dtype
    if dtype.kind == "c":
        raise ValueError(f"column {name!r} holds complex numbers: split it in two")
    if len(known) and isinstance(known.iloc[0], (list, dict, set, tuple, np.ndarray)):
        kind = type(known.iloc[0]).__name__
        raise ValueError(
            f"column {name!r} holds a {kind} in each cell: expand or drop it"
        )
    if (known.nunique() <= 1 and not column.isna().any()) or not len(known):
        return "constant"
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if dtype.kind in "Mm" or isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        return "number" if dtype.kind == "m" else "date"
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        values = known.to_numpy(dtype="float64", na_value=np.nan)
        if np.isinf(values).any():
            raise ValueError(
                f"column {name!r} holds infinite values: replace them by NaN "
                "(then imputed) or by a number"
            )
        names_rows = _ID_NAME.match(name) and (values == np.rint(values)).all()
        return "identifier" if names_rows and known.is_unique else "number"
    if all(isinstance(value, (bool, np.bool_)) for value in known.head(50)):
        return "number"
    return _role_of_strings(known.astype(str), name)


def _role_of_strings(known: pd.Series, name: str) -> str:
    n, distinct = len(known), known.nunique()
    if known.str.match(_DATE).mean() >= 0.9 and _readable(known) >= 0.9:
        return "date"
    numbers = pd.to_numeric(known, errors="coerce")
    # "02139" is a code, not a number; few digits-only labels are categories too.
    codes = known.str.match(r"^0\d").any() or (
        numbers.notna().all() and (numbers % 1 == 0).all() and distinct <= 20
    )
    if numbers.notna().mean() >= 0.9 and not codes and distinct > 2:
        return "number"
    words = known.str.split().str.len().mean()
    if words >= 1.5 and distinct > max(10, 0.1 * n):
        return "text"
    if distinct > max(20, 0.9 * n) or (_ID_NAME.match(name) and distinct == n):
        return "identifier"
    return "category"


def _readable(known: pd.Series) -> float:
    return float(_dates(known, _day_first(known)).notna().mean())


class TableReader(TransformerMixin, BaseEstimator):
    """Read any table (pandas, polars, arrays, lists) into one canonical frame.

    Parameters
    ----------
    roles : dict
        Column name to role, from `column_roles`. Numbers come out as float64 with
        NaN, categories and texts as strings or None, dates as datetime64; columns
        in any other role are left out, as are columns not named here.
    """

    def __init__(self, roles: dict[str, str]) -> None:
        self.roles = roles

    def fit(self, X: Any, y: Any = None) -> TableReader:
        """Remember the columns that are read, and which dates begin with the day."""
        self.columns_ = [c for c, role in self.roles.items() if role in USED_ROLES]
        frame = to_frame(X)
        dates = [name for name in self.columns_ if self.roles[name] == "date"]
        self.day_first_ = {name: _day_first(frame[name]) for name in dates}
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """Return the canonical frame."""
        check_is_fitted(self)
        frame = to_frame(X)
        absent = [name for name in self.columns_ if name not in frame.columns]
        if absent:
            raise ValueError(
                f"the table has no column {absent[0]!r}, which the model was fitted on"
            )
        read = {
            "number": _numbers,
            "category": _strings,
            "text": lambda column: _strings(column).fillna(""),
            "date": lambda column: _dates(column, self.day_first_[column.name]),
        }
        return pd.DataFrame(
            {name: read[self.roles[name]](frame[name]) for name in self.columns_},
            index=frame.index,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that are kept."""
        return np.asarray(self.columns_, dtype=object)


class DateParts(TransformerMixin, BaseEstimator):
    """Turn dates into numbers: days since 1970, and the parts that vary in `fit`."""

    PARTS = ("year", "month", "day", "day_of_week", "day_of_year", "hour", "minute")

    def fit(self, X: pd.DataFrame, y: Any = None) -> DateParts:
        """Keep the parts that take more than one value."""
        self.parts_ = [
            (name, part)
            for name in X.columns
            for part in self.PARTS
            if getattr(X[name].dt, part).nunique() > 1
        ]
        self.columns_ = list(X.columns)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return one float column for each part; a missing date gives NaN."""
        day = pd.Timedelta(days=1)
        out = {f"{c}_days": (X[c] - pd.Timestamp(0)) / day for c in self.columns_}
        for name, part in self.parts_:
            out[f"{name}_{part}"] = getattr(X[name].dt, part).astype("float64")
        return pd.DataFrame(out, index=X.index).astype("float64")

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the numbers."""
        parts = [f"{name}_{part}" for name, part in self.parts_]
        return np.asarray([f"{c}_days" for c in self.columns_] + parts, dtype=object)


class TextVectors(TransformerMixin, BaseEstimator):
    """TF-IDF of one text column, reduced to a few dense columns (LSA).

    Unlike `TfidfVectorizer` followed by `TruncatedSVD`, a vocabulary smaller than
    `n_components` is no error: then the dense TF-IDF itself is returned.
    """

    def __init__(
        self, n_components: int = TEXT_COLUMNS, random_state: Any = None
    ) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: pd.Series, y: Any = None) -> TextVectors:
        """Learn the vocabulary and the directions."""
        self.vectorizer_ = _tfidf()
        words = self.vectorizer_.fit_transform(X)
        self.name_, self.svd_ = X.name, None
        if min(words.shape) > self.n_components:
            self.svd_ = TruncatedSVD(self.n_components, random_state=self.random_state)
            self.svd_.fit(words)
        self.n_columns_ = words.shape[1] if self.svd_ is None else self.n_components
        return self

    def transform(self, X: pd.Series) -> pd.DataFrame:
        """Return the dense columns."""
        words = self.vectorizer_.transform(X)
        values = words.toarray() if self.svd_ is None else self.svd_.transform(words)
        return pd.DataFrame(values, index=X.index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the column's name with a number for each direction."""
        names = [f"{self.name_}_{i}" for i in range(self.n_columns_)]
        return np.asarray(names, dtype=object)


def _tfidf() -> TfidfVectorizer:
    # The pattern keeps one-letter words and digits: "model t", "route 66".
    return TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|\S")


class Categories(TransformerMixin, BaseEstimator):
    """Give string columns pandas' `category` dtype, with categories learned in `fit`.

    Missing values are a category of their own. Beyond `MAX_CATEGORIES` the rarest
    are merged into one; a category never seen in `fit` joins these, or else becomes
    missing.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Categories:
        """Learn the categories of each column, most frequent first."""
        self.categories_: dict[str, list[str]] = {}
        for name in X.columns:
            counts = X[name].fillna(MISSING).value_counts()
            kept = sorted(counts.index[: MAX_CATEGORIES - 2])
            rest = [OTHER] if len(counts) > len(kept) else []
            self.categories_[name] = kept + rest
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the columns as `category` dtype."""
        out = {}
        for name, categories in self.categories_.items():
            values = X[name].fillna(MISSING)
            known = values.isin(categories)
            spare = next((c for c in (OTHER, MISSING) if c in categories), None)
            values = values.where(known.to_numpy(), spare)
            out[name] = pd.Categorical(values, categories=categories)
        return pd.DataFrame(out, index=X.index)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the columns' names."""
        return np.asarray(list(self.categories_), dtype=object)


def table_preparation(
    roles: dict[str, str], style: str, random_state: Any = None
) -> Pipeline:
    """Return the pipeline steps that feed a table to one style of model.

    Parameters
    ----------
    roles : dict
        From `column_roles`.
    style : {"linear", "dense", "ordinal", "category", "embedded"}
        "linear": imputed, scaled, one-hot, TF-IDF; "dense": the same with TF-IDF
        reduced to a few columns; "ordinal": numbers and codes, NaN kept (forests);
        "category": a frame with `category` columns, NaN kept (histogram boosting);
        "embedded": the same with numbers imputed and scaled (networks that learn
        vectors of categories).
    random_state : int or None
        Seed of the text reduction.
    """
    columns = {r: [c for c, role in roles.items() if role == r] for r in USED_ROLES}
    imputed: list[Any] = [
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    ]
    if style in ("linear", "dense", "embedded"):
        imputed.append(StandardScaler())
    if style in ("linear", "dense"):
        codes: Any = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=MAX_CATEGORIES,
            sparse_output=style == "linear",
        )
    elif style == "ordinal":
        imputed = []
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
            max_categories=MAX_CATEGORIES,
        )
    else:
        codes = Categories()
        if style == "category":
            imputed = []
    numbers = make_pipeline(*imputed) if imputed else "passthrough"
    steps: list[tuple[str, Any, Any]] = []
    if columns["number"]:
        steps.append(("numbers", numbers, columns["number"]))
    if columns["date"]:
        steps.append(("dates", make_pipeline(DateParts(), *imputed), columns["date"]))
    if columns["category"]:
        steps.append(("categories", codes, columns["category"]))
    for name in columns["text"]:
        text = _tfidf() if style == "linear" else TextVectors(random_state=random_state)
        steps.append((f"text {name}".replace("__", "_"), text, name))
    table = ColumnTransformer(steps, verbose_feature_names_out=False)
    if style in ("category", "embedded"):
        table.set_output(transform="pandas")
    return Pipeline([("reader", TableReader(roles)), ("columns", table)])
