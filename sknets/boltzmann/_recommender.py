"""Collaborative filtering by a restricted Boltzmann machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor, compute_dtype, resolve_device
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import RatingRows
from sknets._inputs.rating_rows import known_ratings, learn_ratings, users_of_matrix
from sknets._inputs.ratings import Queries, Ratings
from sknets._inputs.reader import Learned
from sknets._params import param
from sknets._scores import R2
from sknets.boltzmann._ratings import RatingsRBM


@dataclass(frozen=True)
class Explanation:
    """What the users most like a user say of an item.

    Attributes
    ----------
    user, item : object
        Their names.
    share : float
        The share of the neighbours who rated the item.
    score : float
        Explainability [1]_: the sum of the neighbours' ratings of the item, divided by
        the number of neighbours and the highest level.
    mean_rating : float
        The mean of these ratings, NaN if there are none.
    n_neighbors : int
        How many neighbours were asked.
    ratings : DataFrame
        Columns "user", "similarity" and "rating": the neighbours who rated the item,
        most similar first.

    References
    ----------
    .. [1] B. Abdollahi, O. Nasraoui. Explainable Restricted Boltzmann Machines for
       Collaborative Filtering. ICML WHI 2016.
    """

    user: Any
    item: Any
    share: float
    score: float
    mean_rating: float
    n_neighbors: int
    ratings: pd.DataFrame

    def __str__(self) -> str:
        n = len(self.ratings)
        mean = f", {self.mean_rating:.2f} on average" if n else ""
        asked = f"{n} of the {self.n_neighbors} users most like {self.user}"
        return f"{asked} rated {self.item}{mean}"


class RBMRecommender(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, Estimator
):
    """Recommendations by a restricted Boltzmann machine of ratings [1]_.

    A user is a sample: the items that the user rated have a softmax visible unit each,
    all others are not there. The hidden units are what users' tastes are made of;
    expected ratings are read off them. Learned by contrastive divergence, without
    autograd.

    Parameters
    ----------
    n_components : int, default=100
        Hidden units.
    n_gibbs_steps : int, default=1
        Gibbs steps of contrastive divergence, the k of CD-k.
    ordinal : bool, default=True
        Whether an item has one weight a hidden unit, times the (centred and scaled)
        level. False: a weight a level, as in the paper, which has as many times more
        to learn and needs more data.
    conditional : bool, default=True
        Whether which items a user rated moves the hidden units, whatever the ratings
        (the paper's conditional machine; of the items rated in `fit`, not of those to
        predict).
    user_bias : bool, default=True
        Whether a user's offset, how far above the items' means the ratings are, moves
        all levels; see the notes.
    shrinkage : float, default=10.0
        Offsets of users and items, and the items' shares of levels, count as if there
        were so many average ratings besides: those of few ratings are close to all's.
    levels : tuple of float, default=None
        All ratings that there can be, in ascending order, such as
        ``(1, 2, 3, 4, 5)``. None: those that the first fit saw.
    ratings : {"auto", "rows", "matrix"}, default="auto"
        What X holds. "auto": a dense X of two or three columns has rows, anything else
        is a matrix.
    max_epochs : int or "auto", default="auto"
        How often training goes through the users. "auto" are 30 epochs, or as many as
        make 500 steps.
    batch_size : int, default=32
        Users a step.
    lr : float, default=0.004
        The learning rate, at the start of ``lr_schedule``.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="cosine"
        See `sknets._estimator.Estimator`.
    weight_decay : float, default=0.02
        L2 penalty of the weights; biases are left alone.

    Attributes
    ----------
    users_, items_ : ndarray
        Their names: of rows in ascending order; of a matrix the index and the columns
        of a DataFrame, else the numbers of rows and columns.
    levels_ : ndarray of shape (n_levels,)
        The ratings that there are.
    ratings_ : ndarray of int of shape (n_ratings, 3)
        What is known: position of the user, of the item, of the level.
    level_mean_, level_scale_ : float
        What levels are centred and scaled by.
    level_shares_ : ndarray of shape (n_levels,)
        The share of each level among all ratings.
    item_shares_ : ndarray of shape (n_items, n_levels)
        The same of each item, drawn to ``level_shares_``.
    item_offsets_ : ndarray of shape (n_items,)
        How far above the mean each item is rated, in units of ``level_scale_``.
    offset_gain_ : float
        How much of a user's offset counts: 1 / variance of what offsets leave
        unexplained, 0 without ``user_bias``.

    Notes
    -----
    X is one of: rows of (user, item), with the ratings as y, as `cross_val_score` and
    `GridSearchCV` need them; rows of (user, item, rating) without y; a matrix users x
    items without y, sparse (what is stored is a rating, explicit zeros too: call
    ``eliminate_zeros()`` first if they are none) or dense with NaN for what is not
    rated. Names of users and items may be anything hashable. In `predict` either form
    does, whatever `fit` had. A row of a matrix is a user by its own ratings, so new
    users need no training; of a DataFrame the columns are matched by name. `explain`
    asks the users of like ratings, as in [2]_.

    Two ratings of one item by one user are refused unless they are equal. Users and
    items without any rating are legal and learn nothing.

    Of a user without ratings, or unknown to `fit`, the expected rating is the item's
    mean, drawn to that of all. Of an unknown item it is the mean of all ratings, moved
    by the user's offset. Predictions lie within the levels.

    Departures from the paper: ``ordinal`` weights, the users' offsets (energy
    ``-gain * offset * level`` for each rating), Adam, rates that fall along half a
    cosine, biases that begin with the shares of the levels, and expected ratings with
    the hidden units at their means. ``loss_curve_`` is the cross-entropy of the
    reconstructed ratings, which is not what contrastive divergence descends.

    With ``early_stopping`` a share of the ratings, not of the users, is held out, and
    predicted from the rest.

    The default parameters were chosen among some forty settings on two folds of
    MovieLens-100k. Few users make few steps: with a hundred or so take more epochs and
    a higher rate, as in the example. Training is computed in float32; its other
    parameters and attributes are those of `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] R. Salakhutdinov, A. Mnih, G. E. Hinton. Restricted Boltzmann Machines for
       Collaborative Filtering. ICML 2007.
    .. [2] B. Abdollahi, O. Nasraoui. Explainable Restricted Boltzmann Machines for
       Collaborative Filtering. ICML WHI 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from sknets import RBMRecommender
    >>> random = np.random.RandomState(0)
    >>> taste, theme = random.randn(80, 2), random.randn(40, 2)
    >>> stars = np.clip(np.rint(3 + taste @ theme.T), 1, 5)  # 80 users, 40 items
    >>> users, items = np.nonzero(random.rand(80, 40) < 0.5)  # half of it is known
    >>> X, y = np.column_stack([users, items]), stars[users, items]
    >>> rbm = RBMRecommender(lr=0.02, max_epochs=60, random_state=0)
    >>> folds = KFold(2, shuffle=True, random_state=0)
    >>> bool(cross_val_score(rbm, X, y, cv=folds).mean() > 0.5)  # R²
    True
    >>> rbm.fit(X, y).predict([[0, 3], [0, 7]]).shape
    (2,)
    >>> rbm.recommend([0, 1], k=3).shape
    (6, 3)
    >>> print(rbm.explain(0, 3))
    22 of the 50 users most like 0 rated 3, 2.82 on average
    """

    _inputs: ClassVar[tuple[Any, ...]] = (RatingRows,)
    users_ = Learned()
    items_ = Learned()
    levels_ = Learned()
    ratings_ = Learned()
    _has_loss: ClassVar[bool] = False
    _task: ClassVar[str] = "regression"
    _predict_batch_size: ClassVar[int] = 8192

    n_components: int = param(default=100, at_least=1)
    n_gibbs_steps: int = param(default=1, at_least=1)
    ordinal: bool = param(default=True)
    conditional: bool = param(default=True)
    user_bias: bool = param(default=True)
    shrinkage: float = param(default=10.0, at_least=0)
    levels: tuple[float, ...] | None = param(default=None)
    ratings: Literal["auto", "rows", "matrix"] = param(default="auto")
    _budget = Budget(epochs=30, steps=500)
    batch_size: int = param(default=32, at_least=1)
    lr: float = param(default=0.004, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="cosine"
    )
    weight_decay: float = param(default=0.02, at_least=0)

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        X : rows of (user, item) or of (user, item, rating), or a matrix users x items
            See the notes of the class.
        y : array-like of shape (n_samples,), default=None
            The ratings, where X has rows of (user, item).

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for ratings that are missing, no numbers, or
            twice for the same user and item, for rows without user or item.
        """
        return self._fit(X, y)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        The items, the levels and the biases to begin with are those of the first call.
        New users may come, and a user may rate an item anew: the last rating counts.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y)

    def predict(self, X: Any) -> np.ndarray:
        """Return expected ratings.

        Parameters
        ----------
        X : rows of (user, item), or a matrix users x items
            A third column of rows is not looked at. In a matrix each row is a user by
            its own ratings, known to `fit` or not.

        Returns
        -------
        y : float64 ndarray of shape (n_samples,) or (n_users, n_items)
            Of each row, or of all items (in the order of ``items_``) by each user.
        """
        x = self._container(X)
        return self._expected(x) if isinstance(x, Queries) else self._completed(x)

    def transform(self, X: Any) -> np.ndarray:
        """Return how probable it is that each hidden unit is on.

        Parameters
        ----------
        X : rows of (user, item), or a matrix users x items

        Returns
        -------
        features : ndarray of shape (n_samples, n_components)
            Of each row's user.
        """
        x = self._container(X)
        return self._collect(x, self.net_.module_.features)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R² of the expected ratings.

        Parameters
        ----------
        X : rows of (user, item) or of (user, item, rating), or a matrix users x items
            Each rating in a matrix is predicted by the user's other ones, as if it were
            not there.
        y : array-like of shape (n_samples,), default=None
            The ratings of rows of (user, item).
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            For the root of the mean squared error in a search or cross-validation set
            ``scoring="neg_root_mean_squared_error"``, given rows and y.
        """
        x = self._container(X)
        if isinstance(x, Ratings):
            everything = x.users(), x.items, x.codes
            found = self._expected(Queries(x, *everything))
            y = self.levels_[x.codes.numpy()]
        else:
            found = self._expected(x)
            y = self._third_column(X) if y is None else y
        return float(r2_score(y, found, sample_weight=sample_weight))

    def recommend(self, users: Any, k: int = 10) -> pd.DataFrame:
        """Return the best items that a user has not rated.

        Parameters
        ----------
        users : name, list of names, or matrix users x items
            Users that `fit` knows, or ratings of any users.
        k : int, default=10
            How many items a user; fewer where fewer are left.

        Returns
        -------
        recommended : DataFrame
            Columns "user", "item" and "rating" (the expected one), best first.

        Raises
        ------
        ValueError
            For an unknown user, or k below 1.

        Examples
        --------
        >>> from sknets import RBMRecommender
        >>> rows = [("ann", "x", 5), ("ann", "y", 1), ("bob", "x", 4), ("bob", "z", 5)]
        >>> RBMRecommender(max_epochs=1).fit(rows).recommend("bob")[["user", "item"]]
          user item
        0  bob    y
        """
        check_is_fitted(self)
        owner = type(self).__name__
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"{owner}.recommend(k={k!r}): k must be at least 1")
        if sp.issparse(users) or np.ndim(users) == 2:
            x = users_of_matrix(self.reader_, users)
            framed = isinstance(users, pd.DataFrame)
            names = list(users.index) if framed else list(range(len(x)))
        else:
            names = [users] if np.ndim(users) == 0 else list(users)
            if not names:
                raise ValueError(f"{owner}.recommend(users=[]): name one user or more")
            at = [self._position("user", name, "recommend") for name in names]
            x = known_ratings(self.reader_).of_some(torch.tensor(at))
        found = self._completed(x)
        found[x.users().numpy(), x.items.numpy()] = -np.inf
        frames = []
        for name, expected in zip(names, found):
            best = np.argsort(-expected, kind="stable")[:k]
            best = best[np.isfinite(expected[best])]
            columns = {"item": self.items_[best], "rating": expected[best]}
            frames.append(pd.DataFrame({"user": [name] * len(best), **columns}))
        return pd.concat(frames, ignore_index=True)

    def explain(self, user: Any, item: Any, n_neighbors: int = 50) -> Explanation:
        """Return what the users who rate most alike say of an item.

        Parameters
        ----------
        user, item : names
            As `fit` knows them.
        n_neighbors : int, default=50
            How many users to ask: those with the most similar ratings, by the cosine of
            their rows of the ratings matrix with zeros for what is not rated. Users
            who have no item in common are not asked.

        Returns
        -------
        explanation : Explanation
            With ``share``, ``score``, ``mean_rating`` and ``ratings``; as text a
            sentence.

        Raises
        ------
        ValueError
            For an unknown user or item, or n_neighbors below 1.
        """
        check_is_fitted(self)
        owner = type(self).__name__
        if not isinstance(n_neighbors, Integral) or n_neighbors < 1:
            raise ValueError(
                f"{owner}.explain(n_neighbors={n_neighbors!r}): n_neighbors must be at "
                "least 1"
            )
        own = self._position("user", user, "explain")
        column = self._position("item", item, "explain")
        users, items, codes = self.ratings_.T
        shape = len(self.users_), len(self.items_)
        matrix = sp.csr_matrix((self.levels_[codes], (users, items)), shape)
        unit = normalize(matrix)
        similarity = (unit @ unit[own].T).toarray().ravel()
        similarity[own] = 0
        nearest = np.argsort(-similarity, kind="stable")[:n_neighbors]
        nearest = nearest[similarity[nearest] > 0]
        of_item = items == column
        rated = dict(zip(users[of_item], self.levels_[codes[of_item]]))
        who = [i for i in nearest if i in rated]
        values = np.array([rated[i] for i in who])
        n = len(nearest)
        return Explanation(
            user,
            item,
            len(who) / n if n else 0.0,
            float(values.sum() / (n * self.levels_[-1])) if n else 0.0,
            float(values.mean()) if len(who) else math.nan,
            n,
            pd.DataFrame(
                {
                    "user": self.users_[who],
                    "similarity": similarity[who],
                    "rating": values,
                }
            ),
        )

    # -- for the engine --------------------------------------------------------------

    def _completed(self, x: Ratings) -> np.ndarray:
        """The expected rating of every item by every user."""
        levels = as_tensor(self.levels_).to(self.net_.device)
        return self._collect(x, lambda b: self.net_.module_.complete(b, levels))

    def _read(self, X, y, sample_weight, *, reset, classes=None):
        device = resolve_device(self.device, type(self).__name__)
        reader = self._make_reader(RatingRows) if reset else self.reader_
        x = learn_ratings(reader, X, y, reset=reset)
        self._meet(reset, x)
        self.reader_ = reader
        dtype = compute_dtype(self.precision, x.dtype, device)
        return Samples(x.to(device, dtype if reset else self.net_.dtype))

    def _split(self, samples, random):
        """Held out are ratings, not users: what is learned of a user predicts them."""
        seed = int(random.randint(np.iinfo(np.int32).max))
        if not self.early_stopping:
            return samples, None, seed
        x = samples.x
        n = len(x.items)
        n_valid = math.ceil(n * self.validation_fraction)
        if n - n_valid < 1:
            sentence = f"a validation set needs more than n_ratings={n}"
            raise ValueError(self._refusal("early_stopping", sentence))
        _, chosen = train_test_split(
            np.arange(n), test_size=n_valid, random_state=random
        )
        mask = torch.zeros(n, dtype=torch.bool)
        mask[chosen] = True
        rest = x.only(~mask)
        valid = Queries(rest, x.users()[mask], x.items[mask])
        return Samples(rest), Samples(valid, x.codes[mask].to(x.device)), seed

    def _learn_statistics(self, samples):
        x = samples.x
        users, items, codes = (part.numpy() for part in (x.users(), x.items, x.codes))
        n_items, n_levels = len(self.items_), len(self.levels_)
        values, shrinkage = self.levels_[codes], self.shrinkage
        self.level_mean_ = float(values.mean())
        self.level_scale_ = float(values.std()) or 1.0
        counts = np.zeros((n_items, n_levels))
        np.add.at(counts, (items, codes), 1)
        shares = counts.sum(0) + 1
        self.level_shares_ = shares / shares.sum()
        counts += (shrinkage or 1e-3) * self.level_shares_
        self.item_shares_ = counts / counts.sum(1, keepdims=True)

        # Biases of users and items by turns, each a ridge regression.
        above = (values - self.level_mean_) / self.level_scale_
        of_users, of_items = np.zeros(len(x)), np.zeros(n_items)
        for _ in range(_ROUNDS):
            of_items = _shrunk(above - of_users[users], items, n_items, shrinkage)
            of_users = _shrunk(above - of_items[items], users, len(x), shrinkage)
        self.item_offsets_ = of_items
        left = above - of_items[items] - of_users[users]
        # The mean of a softmax moves by its variance for each unit of the input.
        self.offset_gain_ = float(1 / max(left.var(), 0.1)) if self.user_bias else 0.0

    def _build(self) -> nn.Module:
        levels = (self.levels_ - self.level_mean_) / self.level_scale_
        return RatingsRBM(
            len(self.items_),
            self.n_components,
            torch.as_tensor(levels),
            self.ordinal,
            self.conditional,
            self.n_gibbs_steps,
            torch.as_tensor(self.item_offsets_),
            torch.as_tensor(np.log(self.item_shares_)),
            torch.as_tensor(np.log(self.level_shares_)),
            self.shrinkage,
            self.offset_gain_,
        )

    def _load_pretrained(self, module):
        with torch.no_grad():
            module.visible_bias.copy_(module.item_shares.reshape(-1))

    def _decode(self, output: Tensor) -> Tensor:
        return output.double().softmax(1) @ torch.from_numpy(self.levels_)

    def _score(self) -> Any:
        return _OfLevels(self._decode, torch.from_numpy(self.levels_))

    def _container(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._check_input(X, reset=False)

    def _expected(self, x: Queries) -> np.ndarray:
        """Expected ratings; user by user, so that each is computed about once."""
        order = x.users.argsort(stable=True)
        codes = None if x.codes is None else x.codes[order]
        x = Queries(x.known, x.users[order], x.items[order], codes)
        module = self.net_.module_
        found = self._collect(x, lambda b: self._decode(module(b).cpu()))
        return found[order.argsort().numpy()]

    def _third_column(self, X: Any) -> np.ndarray:
        if np.shape(X)[1] != 3:
            raise ValueError(
                f"{type(self).__name__}.score: rows of (user, item) need their "
                "ratings, as y or as a third column"
            )
        third = X[X.columns[2]] if hasattr(X, "columns") else [row[2] for row in X]
        return np.asarray(third, dtype=np.float64)

    def _position(self, what: str, name: Any, verb: str) -> int:
        known = getattr(self, f"{what}s_")
        found = np.flatnonzero(known == name)
        if len(found) != 1:
            raise ValueError(
                f"{type(self).__name__}.{verb}({what}={name!r}): fit had no such {what}"
            )
        return int(found[0])

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class _OfLevels(R2):
    """R² of expected ratings."""

    def __init__(self, decode: Any, levels: Tensor):
        super().__init__()
        self.expected, self.levels = decode, levels

    def update(self, output: Any, y: Any, weight: Any) -> None:
        expected, true = self.expected(output.cpu()), self.levels[y.cpu()]
        super().update(expected[:, None], true[:, None], weight)


_ROUNDS = 10


def _shrunk(values: np.ndarray, groups: np.ndarray, n: int, shrinkage: float):
    """The mean of each group, drawn to 0."""
    sums = np.bincount(groups, values, minlength=n)
    return sums / np.maximum(np.bincount(groups, minlength=n) + shrinkage, 1e-9)


__all__ = ["Explanation", "RBMRecommender"]
