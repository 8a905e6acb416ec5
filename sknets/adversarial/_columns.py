"""A table's columns as a game sees them: numbers of about unit size, and choices.

Rows (n, F) are numbers, codes of categories from 1, and NaN where a value is missing.
To the game they are (n, E): a number each for columns of numbers, then a unit vector
for each choice: of a category, of a mode [1]_, of whether a value is missing.

References
----------
.. [1] L. Xu, M. Skoularidou, A. Cuesta-Infante, K. Veeramachaneni. Modeling Tabular
   Data Using Conditional GAN. NeurIPS 2019.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

Column = dict[str, Any]

_MOST_KNOTS, _MOST_ROWS, _MOST_MODES = 1000, 5000, 10


def learn_columns(
    rows: np.ndarray, n_categories: dict[int, int], style: str
) -> list[Column]:
    """What each column is, of rows (n, F).

    Parameters
    ----------
    rows : float64 ndarray of shape (n_samples, n_features)
    n_categories : dict of int to int
        How many categories the columns have that are no numbers.
    style : {"standard", "normal", "modes"}
        How numbers become numbers of unit size.
    """
    columns: list[Column] = []
    for j in range(rows.shape[1]):
        if j in n_categories:
            columns.append({"kind": "category", "n": n_categories[j]})
            continue
        missing = np.isnan(rows[:, j])
        known = rows[~missing, j]
        column: Column = {"kind": style, "gaps": bool(missing.any())}
        if not len(known) or known.min() == known.max():
            column |= {
                "kind": "constant",
                "value": float(known[0]) if len(known) else 0,
            }
        else:
            column["range"] = known.min(), known.max()
            column |= _LEARN[style](known)
        columns.append(column)
    return columns


def _standard(known: np.ndarray) -> Column:
    return {"mean": float(known.mean()), "scale": float(known.std())}


def _normal(known: np.ndarray) -> Column:
    """Values and what share of all is below them; one that is repeated has a stretch of
    shares of its own.
    """
    places = np.linspace(0, len(known) - 1, min(len(known), _MOST_KNOTS))
    known = np.sort(known)[np.rint(places).astype(int)]
    values, first, counts = np.unique(known, return_index=True, return_counts=True)
    ends = np.stack([first + 0.5, first + counts - 0.5], 1) / len(known)
    return {"values": values, "shares": ends}


def _modes(known: np.ndarray) -> Column:
    """Means and deviations of the modes of a mixture that are there at all."""
    step = -(-len(known) // _MOST_ROWS)
    few = np.sort(known)[::step, None]
    center, unit = few.mean(), few.std()
    mixture = BayesianGaussianMixture(
        n_components=min(_MOST_MODES, len(np.unique(few))),
        weight_concentration_prior=1e-3,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit((few - center) / unit)
    there = mixture.weights_ > 0.005
    deviations = np.sqrt(mixture.covariances_.ravel()[there])
    return {
        "means": mixture.means_[there, 0] * unit + center,
        "deviations": deviations * unit,
    }


_LEARN = {"standard": _standard, "normal": _normal, "modes": _modes}


def sizes_of(columns: list[Column]) -> tuple[int, list[int]]:
    """How many numbers there are, and among how many each choice is."""
    numbers = sum(c["kind"] in _LEARN for c in columns)
    choices = []
    for column in columns:
        if column["kind"] == "category":
            choices.append(column["n"])
        if column["kind"] == "modes":
            choices.append(len(column["means"]))
        if column.get("gaps"):
            choices.append(2)
    return numbers, choices


def encode(columns: list[Column], rows: np.ndarray, random: Any = None) -> np.ndarray:
    """Rows (n, F) as (n, E).

    Repeated values of a column that shall be normal are spread over their stretch at
    ``random``; without it they are in its middle.
    """
    numbers, choices = [], []
    for column, x in zip(columns, rows.T):
        kind = column["kind"]
        if kind == "category":
            choices.append(np.arange(1, column["n"] + 1) == x[:, None])
            continue
        gaps = np.isnan(x)
        if kind != "constant":
            x = np.where(gaps, column["range"][0], x)
        if kind == "standard":
            z = (x - column["mean"]) / column["scale"]
        elif kind == "normal":
            low, high = (np.interp(x, column["values"], s) for s in column["shares"].T)
            share = 0.5 if random is None else random.random_sample(len(x))
            z = ndtri(low + share * (high - low))
        elif kind == "modes":
            z = (x[:, None] - column["means"]) / column["deviations"]
            nearest = (z**2 / 2 + np.log(column["deviations"])).argmin(1)
            z = z[np.arange(len(z)), nearest].clip(-4, 4) / 4
            choices.append(np.arange(len(column["means"])) == nearest[:, None])
        if kind != "constant":
            numbers.append(np.where(gaps, 0, z)[:, None])
        if column["gaps"]:
            choices.append(np.stack([~gaps, gaps], 1))
    return np.concatenate([*numbers, *choices], 1, dtype=np.float32)


def decode(columns: list[Column], made: np.ndarray) -> np.ndarray:
    """Rows (n, F) of (n, E); no value is beyond those that were learned."""
    at, own = sizes_of(columns)
    numbers = iter(made[:, :at].T.astype(np.float64))
    ends = np.cumsum([at, *own])
    choices = (made[:, a:b].argmax(1) for a, b in itertools.pairwise(ends))
    rows = np.empty((len(made), len(columns)))
    for j, column in enumerate(columns):
        kind = column["kind"]
        if kind == "category":
            rows[:, j] = next(choices) + 1
            continue
        if kind == "constant":
            x: Any = column["value"]
        elif kind == "standard":
            x = next(numbers) * column["scale"] + column["mean"]
        elif kind == "normal":
            values = np.repeat(column["values"], 2)
            x = np.interp(ndtr(next(numbers)), column["shares"].ravel(), values)
        else:
            mode = next(choices)
            x = 4 * next(numbers) * column["deviations"][mode] + column["means"][mode]
        rows[:, j] = x if kind == "constant" else np.clip(x, *column["range"])
        if column["gaps"]:
            rows[next(choices) == 1, j] = np.nan
    return rows


__all__ = ["Column", "decode", "encode", "learn_columns", "sizes_of"]
