"""What is known of samples that come in chunks: all of them count, each once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sknets._engine.moments import Moments

# Of medians so many rows are kept; of very long rows fewer.
_KEPT_ROWS, _KEPT_NUMBERS = 1000, 2**18


@dataclass
class Chunks:
    """The samples of a fit, and the chunks that `partial_fit` has seen after them.

    Parameters
    ----------
    first : str
        A digest of the first chunk.
    n : int
        How many chunks differ.
    complete : bool
        Whether the first has come again, so that all have been seen.
    grows : bool
        Whether the last one added to those before it.
    total : float
        What the samples weigh.
    moments : dict of str to Moments
        Of X, of y and of what else is scaled, by names.
    kept : dict of str to tuple
        Where medians are asked for, every so many-th row, its weight, how many rows
        apart they are and how many there were.
    """

    first: str
    n: int = 1
    complete: bool = False
    grows: bool = True
    total: float = 0.0
    moments: dict[str, Moments] = field(default_factory=dict)
    kept: dict[str, tuple[np.ndarray, np.ndarray, int, int]] = field(
        default_factory=dict
    )

    def met(self, digest: str) -> Chunks:
        """Another chunk later: it adds until the first one comes again."""
        complete = self.complete or digest == self.first
        return dataclasses.replace(
            self,
            n=self.n + (not complete),
            complete=complete,
            grows=not complete,
            moments=dict(self.moments),
            kept=dict(self.kept),
        )

    def add(self, name: str, new: Moments) -> Moments:
        """Merge the moments of these samples; return those of all."""
        old = self.moments.get(name)
        self.moments[name] = new if old is None else old.merged(new)
        return self.moments[name]

    def keep(
        self,
        name: str,
        shape: tuple[int, int],
        take: Callable[[slice], tuple[np.ndarray, np.ndarray]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keep some rows of a chunk of that shape; those of all, and their weights.

        ``take(index)`` gives rows and their weights.
        """
        n, n_columns = shape
        most = min(_KEPT_ROWS, max(16, _KEPT_NUMBERS // max(1, n_columns)))
        empty = np.empty((0, n_columns)), np.empty(0), 1, 0
        values, weights, step, seen = self.kept.get(name, empty)
        while len(range(0, seen + n, step)) > most:
            values, weights, step = values[::2], weights[::2], 2 * step
        rows, own = take(slice(-seen % step, n, step))
        values, weights = np.concatenate([values, rows]), np.concatenate([weights, own])
        self.kept[name] = values, weights, step, seen + n
        return values, weights

    def state(self) -> dict[str, Any]:
        """Arrays, numbers and containers of them, for `restored`."""
        moments = {k: dataclasses.astuple(each) for k, each in self.moments.items()}
        return {**vars(self), "moments": moments}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Chunks:
        moments = {name: Moments(*each) for name, each in state["moments"].items()}
        return cls(**{**state, "moments": moments})


__all__ = ["Chunks"]
