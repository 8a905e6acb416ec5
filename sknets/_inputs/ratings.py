"""Ratings cut into batches: of users with all their ratings, or of pairs to predict."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sknets._engine.containers import Container
from sknets._engine.device import as_tensor


class RatingBatch:
    """A batch of users, each with as many ratings as there are, and pairs to predict.

    One object with a length, because skorch refuses tuples of unequal lengths.

    Attributes
    ----------
    n_users : int
    rows, items, codes : tensors of shape (n_ratings,)
        Whose rating it is (a number of this batch), of which item, at which level.
    pair_rows, pair_items : tensors of shape (n_pairs,) or None
        Users of this batch and items to predict; an item of -1 is unknown.
    pair_codes : tensor of shape (n_pairs,) or None
        The rating of the pair itself, which is to be left out.
    """

    def __init__(self, n_users, rows, items, codes, *pairs):
        self.n_users, self.rows, self.items, self.codes = n_users, rows, items, codes
        self.pair_rows, self.pair_items, self.pair_codes = pairs or (None, None, None)

    def __len__(self) -> int:
        return self.n_users if self.pair_rows is None else len(self.pair_rows)


class Ratings(Container):
    """The canonical container, a sample a user; of ratings sorted by user.

    Parameters
    ----------
    starts : tensor of shape (n_users + 1,)
        Where each user's ratings begin.
    items, codes : tensors of shape (n_ratings,)
    """

    def __init__(self, starts: Tensor, items: Tensor, codes: Tensor):
        self.starts, self.items, self.codes = starts, items, codes

    @classmethod
    def of(cls, table: np.ndarray, n_users: int) -> Ratings:
        """From rows of (user, item, level), sorted by user."""
        counts = np.bincount(table[:, 0], minlength=n_users)
        starts = np.concatenate([[0], np.cumsum(counts)])
        items, codes = np.ascontiguousarray(table[:, 1:].T)
        return cls(as_tensor(starts), as_tensor(items), as_tensor(codes))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def users(self) -> Tensor:
        """The user of each rating."""
        return torch.repeat_interleave(self.starts.diff())

    def batch(self, index: slice | Tensor) -> RatingBatch:
        if isinstance(index, slice):
            index = torch.arange(len(self))[index]
        return RatingBatch(*self.of_users(index))

    def of_users(self, users: Tensor) -> tuple[int, Tensor, Tensor, Tensor]:
        """Number, rows, items and codes of these users; -1 is one without ratings."""
        known = users.clamp_min(0)
        first, lengths = self.starts[known], self.starts.diff()[known]
        lengths = lengths * (users >= 0)
        rows = torch.repeat_interleave(lengths)
        shift = first - (lengths.cumsum(0) - lengths)
        at = torch.arange(len(rows)) + shift[rows]
        items, codes = self.items[at].to(self.device), self.codes[at].to(self.device)
        return len(users), rows.to(self.device), items, codes

    def of_some(self, users: Tensor) -> Ratings:
        """The ratings of some users, in this order."""
        n, rows, items, codes = self.of_users(users)
        counts = torch.bincount(rows, minlength=n)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return Ratings(starts, items, codes).to(self.device, self.dtype)

    def only(self, chosen: Tensor) -> Ratings:
        """The ratings chosen by a mask, of the same users."""
        counts = torch.bincount(self.users()[chosen], minlength=len(self))
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rest = Ratings(starts, self.items[chosen], self.codes[chosen])
        return rest.to(self.device, self.dtype)


class Queries(Container):
    """Pairs of user and item, beside the ratings that are known of the users.

    Parameters
    ----------
    known : Ratings
    users, items : tensors of shape (n_pairs,)
        Positions, -1 for unknown ones.
    codes : tensor of shape (n_pairs,) or None
        Levels of these pairs among ``known``, which predictions shall not see.
    """

    def __init__(
        self, known: Ratings, users: Tensor, items: Tensor, codes: Tensor | None = None
    ):
        self.known, self.users, self.items, self.codes = known, users, items, codes
        self.dtype, self.device = known.dtype, known.device

    def __len__(self) -> int:
        return len(self.users)

    def batch(self, index: slice | Tensor) -> RatingBatch:
        users, rows = self.users[index].unique(return_inverse=True)
        codes = None if self.codes is None else self.codes[index].to(self.device)
        pairs = rows.to(self.device), self.items[index].to(self.device), codes
        return RatingBatch(*self.known.of_users(users), *pairs)

    def to(self, device: torch.device, dtype: torch.dtype) -> Queries:
        known = self.known.to(device, dtype)
        return Queries(known, self.users, self.items, self.codes)


__all__ = ["Queries", "RatingBatch", "Ratings"]
