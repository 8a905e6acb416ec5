"""Errors of the recommender on MovieLens-100k beside those of classical models.

100,000 ratings of 1,682 films by 943 users, five shuffled folds over the ratings (one
seed of folds and weights a round), default parameters. Peers, from the same folds: the
user and item bias model; matrix factorisation with biases, by alternating ridge
regressions; scikit-learn's TruncatedSVD of what the bias model leaves. One thread.

    python benchmarks/recommender.py [--repeats 3] [--quick] [--data DIR]

The number of seeds is --repeats. The ratings come with the package recbole
(dataset_example/ml-100k/ml-100k.inter), or are in --data DIR or SKNETS_DATA; without
them the benchmark is skipped and says so.
"""

from __future__ import annotations

import time

import _measure
import numpy as np
import scipy.sparse as sp
from _measure import Figure, one_thread, report
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import KFold

from sknets import RBMRecommender

NAME, INSIDE = "ml-100k.inter", "recbole/dataset_example/ml-100k"
SECONDS = 30
CLOSE = 0.02


class Biases:
    """Mean of all, offset of the user, offset of the item; ridge by turns."""

    of_users, of_items, rounds = 5.0, 3.0, 20

    def fit(self, X, y, shape):
        self.mean_ = y.mean()
        left = y - self.mean_
        self.user_, self.item_ = np.zeros(shape[0]), np.zeros(shape[1])
        for _ in range(self.rounds):
            residual = left - self.user_[X[:, 0]]
            self.item_ = self._shrunk(residual, X[:, 1], shape[1], self.of_items)
            residual = left - self.item_[X[:, 1]]
            self.user_ = self._shrunk(residual, X[:, 0], shape[0], self.of_users)
        return self

    @staticmethod
    def _shrunk(values, groups, n, shrinkage):
        sums = np.bincount(groups, values, minlength=n)
        return sums / (np.bincount(groups, minlength=n) + shrinkage)

    def predict(self, X):
        return self.mean_ + self.user_[X[:, 0]] + self.item_[X[:, 1]]


class Factorization:
    """mean + b_u + b_i + p_u q_i, regularised least squares by turns."""

    def __init__(self, n_factors=20, penalty=0.08, constant=3.0, sweeps=12):
        self.n_factors, self.penalty = n_factors, penalty
        self.constant, self.sweeps = constant, sweeps

    def fit(self, X, y, shape):
        biases = Biases().fit(X, y, shape)
        random = np.random.RandomState(0)
        # Columns: factors, bias.
        P = random.normal(0, 0.1, (shape[0], self.n_factors + 1))
        Q = random.normal(0, 0.1, (shape[1], self.n_factors + 1))
        self.mean_, P[:, -1], Q[:, -1] = biases.mean_, biases.user_, biases.item_
        by_user = sp.csr_matrix((y - self.mean_, X.T), shape)
        by_item = by_user.T.tocsr()
        for _ in range(self.sweeps):
            self._regress(by_item, Q, P)
            self._regress(by_user, P, Q)
        self.P_, self.Q_ = P, Q
        return self

    def _regress(self, ratings, own, others):
        """Ridge regression of each row on the others' factors."""
        for i in range(len(own)):
            part = slice(ratings.indptr[i], ratings.indptr[i + 1])
            if part.start == part.stop:
                own[i] = 0
                continue
            factors = others[ratings.indices[part]].copy()
            target = ratings.data[part] - factors[:, -1]
            factors[:, -1] = 1
            gram = factors.T @ factors
            penalty = self.constant + self.penalty * len(target)
            gram[np.diag_indices_from(gram)] += penalty
            own[i] = np.linalg.solve(gram, factors.T @ target)

    def predict(self, X):
        P, Q = self.P_[X[:, 0]], self.Q_[X[:, 1]]
        factors = (P[:, :-1] * Q[:, :-1]).sum(1)
        return np.clip(self.mean_ + P[:, -1] + Q[:, -1] + factors, 1, 5)


class Truncated:
    """TruncatedSVD of the bias model's residuals, zero where there is no rating."""

    def __init__(self, n_components=12):
        self.n_components = n_components

    def fit(self, X, y, shape):
        self.biases_ = Biases().fit(X, y, shape)
        residual = sp.csr_matrix((y - self.biases_.predict(X), X.T), shape)
        svd = TruncatedSVD(self.n_components, random_state=0)
        self.P_ = svd.fit_transform(residual)
        self.Q_ = svd.components_.T
        return self

    def predict(self, X):
        found = self.biases_.predict(X)
        found += (self.P_[X[:, 0]] * self.Q_[X[:, 1]]).sum(1)
        return np.clip(found, 1, 5)


class Ours:
    def __init__(self, seed, **params):
        self.net = RBMRecommender(random_state=seed, **params)

    def fit(self, X, y, shape):
        self.net.fit(X, y)
        return self

    def predict(self, X):
        return self.net.predict(X)


def error(make, X, y, seed, shape):
    """Root mean squared error over five folds, the longest fit's CPU seconds."""
    squares, seconds = [], []
    for train, test in KFold(5, shuffle=True, random_state=seed).split(X):
        begin = time.process_time()
        model = make(seed).fit(X[train], y[train], shape)
        seconds.append(time.process_time() - begin)
        squares.append(np.mean((model.predict(X[test]) - y[test]) ** 2))
    return float(np.mean(np.sqrt(squares))), max(seconds)


PEERS = {
    "biases": lambda seed: Biases(),
    "factorization": lambda seed: Factorization(),
    "TruncatedSVD": lambda seed: Truncated(),
}


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    path = _measure.find_data(options.data, NAME, "recbole", INSIDE)
    if path is None:
        print(f"skipped: no {NAME} (pip install recbole, or --data DIR)")
        return
    table = np.loadtxt(path, skiprows=1, usecols=(0, 1, 2))
    users, items = (np.unique(table[:, j], return_inverse=True)[1] for j in (0, 1))
    X, y = np.column_stack([users, items]), table[:, 2]
    shape = tuple(X.max(0) + 1)
    seeds = range(1 if options.quick else options.repeats)
    found = {name: [] for name in ("RBMRecommender", *PEERS)}
    slowest = {}
    for seed in seeds:
        for name, make in {"RBMRecommender": Ours, **PEERS}.items():
            rmse, seconds = error(make, X, y, seed, shape)
            found[name].append(rmse)
            slowest[name] = max(slowest.get(name, 0), seconds)
            print(f"seed {seed}: {name} {rmse:.4f}, fit {seconds:.1f} s", flush=True)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    ours = found["RBMRecommender"]
    details = {**means, "lowest": min(ours), "highest": max(ours)}
    mine = means["RBMRecommender"]
    case = f"MovieLens-100k, 5 folds, {len(seeds)} seeds"

    def figure(claim, peer, bound):
        return Figure(
            claim, case, mine - means[peer], unit="", at_most=bound, details=details
        )

    figures = [
        figure("RMSE: recommender - user and item biases", "biases", 0.0),
        figure("RMSE: recommender - matrix factorisation", "factorization", CLOSE),
        figure("RMSE: recommender - TruncatedSVD of residuals", "TruncatedSVD", CLOSE),
        Figure(
            "fit: MovieLens-100k, seconds of CPU time",
            "80,000 ratings",
            slowest["RBMRecommender"],
            unit="s",
            at_most=SECONDS,
            details={f"{name} s": slowest[name] for name in PEERS},
        ),
    ]
    report("recommender", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
