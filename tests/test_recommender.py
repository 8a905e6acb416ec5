"""The recommender: its machine, the forms of ratings, what it recommends."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

import sknets
from sknets import RBMRecommender
from sknets._engine._skorch import Callback
from sknets._engine.dense import derived_by_hand
from sknets._inputs.rating_rows import RatingRows, known_ratings, learn_ratings

torch.set_num_threads(1)


def low_rank(n_users=90, n_items=40, known=0.5, seed=0):
    """Stars of two tastes, and which of them are known."""
    random = np.random.RandomState(seed)
    taste, theme = random.randn(n_users, 2), random.randn(n_items, 2)
    bias = 0.5 * random.randn(n_users, 1)
    stars = np.clip(np.rint(3 + bias + taste @ theme.T), 1, 5)
    return stars, random.rand(n_users, n_items) < known


STARS, KNOWN = low_rank()
X = np.argwhere(KNOWN)
y = STARS[KNOWN]
MATRIX = np.where(KNOWN, STARS, np.nan)
SMALL = {"max_epochs": 2, "n_components": 5, "random_state": 0}


def bias_model(X, y, X_test, shrinkage=5, rounds=20):
    """Mean plus offsets of user and item, by alternating ridge regressions."""
    n_users, n_items = X.max(0) + 1
    mean = y.mean()
    of_users, of_items = np.zeros(n_users), np.zeros(n_items)

    def shrunk(values, groups, n):
        sums = np.bincount(groups, values, minlength=n)
        return sums / (np.bincount(groups, minlength=n) + shrinkage)

    for _ in range(rounds):
        of_items = shrunk(y - mean - of_users[X[:, 0]], X[:, 1], n_items)
        of_users = shrunk(y - mean - of_items[X[:, 1]], X[:, 0], n_users)
    return mean + of_users[X_test[:, 0]] + of_items[X_test[:, 1]]


def rmse(found, expected):
    return float(np.sqrt(np.mean((found - expected) ** 2)))


# -- the machine itself ----------------------------------------------------------------


def tiny(**params):
    """A module in float64 with large weights, and a batch of two users."""
    rows = [("a", 0, 1), ("a", 1, 3), ("a", 2, 2), ("b", 0, 3), ("b", 2, 1)]
    est = RBMRecommender(
        n_components=3, precision="float64", max_epochs=1, random_state=0, **params
    ).fit(rows)
    module = est.net_.module_
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=random, dtype=p.dtype))
    module.generator = torch.Generator().manual_seed(1)
    return est, module, known_ratings(est.reader_).batch(slice(0, 2))


@torch.no_grad()
def energy(module, items, codes, h, offset):
    """By the sums of the formula, unit by unit."""
    n_levels = len(module.levels)
    bias = module.visible_bias.view(-1, n_levels)
    total = -float(module.hidden_bias @ h)
    for i, k in zip(items, codes):
        weight = module.weight[i, 0] * module.levels[k]
        if not module.ordinal:
            weight = module.weight[i, k]
        total -= float(bias[i, k] + weight @ h)
        total -= float(module.gain * offset * module.levels[k])
        if module.condition is not None:
            total -= float(module.condition[i] @ h)
    return total


MACHINES = [
    {"ordinal": ordinal, "conditional": conditional}
    for ordinal in (True, False)
    for conditional in (True, False)
]


@pytest.mark.parametrize("params", MACHINES)
def test_conditionals_and_free_energy_are_those_of_the_energy(params):
    _, module, batch = tiny(**params)
    units = [
        torch.tensor(h, dtype=torch.float64)
        for h in itertools.product((0, 1), repeat=3)
    ]
    offsets = module.offsets(batch)
    with torch.no_grad():
        p = module.hidden(batch)
        v = module.observed(batch.codes)
        free = module.free_energy(batch, v, batch.codes)
        logits = module.logits(
            batch.items,
            units[5].expand(5, 3),
            offsets[batch.rows],
            module.weight[batch.items],
        )
    for user in range(2):
        own = batch.rows == user
        items, codes = batch.items[own].tolist(), batch.codes[own].tolist()
        offset = offsets[user]
        minus = np.array([-energy(module, items, codes, h, offset) for h in units])
        share = np.exp(minus - np.logaddexp.reduce(minus))
        means = sum(s * h for s, h in zip(share, units))
        np.testing.assert_allclose(p[user], means, rtol=1e-12)
        tilt = float(module.gain * offset * module.levels[batch.codes[own]].sum())
        np.testing.assert_allclose(free[user] - tilt, -np.logaddexp.reduce(minus))
        first = int(own.nonzero()[0])
        scores = np.array(
            [
                -energy(module, items, [k, *codes[1:]], units[5], offset)
                for k in range(3)
            ]
        )
        np.testing.assert_allclose(
            logits[first].softmax(0), np.exp(scores - np.logaddexp.reduce(scores))
        )


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("params", MACHINES)
def test_gradients_by_hand_are_those_of_autograd(params, n_steps):
    _, module, batch = tiny(**params, n_gibbs_steps=n_steps)
    module.train()
    state = module.generator.get_state()
    by_hand = derived_by_hand(module, None, {})
    losses = by_hand(batch, batch, None)
    found = [p.grad.clone() for p in module.parameters()]
    module.generator.set_state(state)
    output = module.loss(batch, None)
    np.testing.assert_array_equal(output.detach(), losses[0])
    expected = torch.autograd.grad(output.mean(), module.parameters())
    for one, other in zip(found, expected):
        assert other.abs().max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def test_many_gibbs_steps_follow_the_gradient_of_the_likelihood():
    """With long chains the mean update is that of log p(v), by enumeration."""
    _, module, batch = tiny(user_bias=False, conditional=False, n_gibbs_steps=12)
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(0.5)
    by_hand = derived_by_hand(module, None, {})
    mean = torch.zeros_like(module.weight)
    n = 400
    for _ in range(n):
        by_hand(batch, batch, None)
        mean += module.weight.grad / n

    loss = torch.zeros((), dtype=torch.float64)
    for user in range(2):
        own = batch.rows == user
        items = batch.items[own]
        one = type(batch)(1, torch.zeros(len(items), dtype=torch.int64), items, None)
        terms = []
        for codes in itertools.product(range(3), repeat=len(items)):
            codes = torch.tensor(codes)
            terms.append(-module.free_energy(one, module.observed(codes), codes))
        codes = batch.codes[own]
        data = -module.free_energy(one, module.observed(codes), codes)
        loss = loss - (data - torch.cat(terms).logsumexp(0))[0] / 2
    (exact,) = torch.autograd.grad(loss, [module.weight])
    assert exact.abs().max() > 0.1
    np.testing.assert_allclose(mean, exact, atol=0.05)


class _OnBatch(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


def test_skorchs_own_loop_trains_the_same():
    lean = RBMRecommender(**SMALL).fit(X, y)
    loop = RBMRecommender(**SMALL, callbacks=[_OnBatch()]).fit(X, y)
    np.testing.assert_allclose(lean.predict(X), loop.predict(X), rtol=1e-4)
    np.testing.assert_allclose(lean.loss_curve_, loop.loss_curve_, rtol=1e-4)


# -- it learns -------------------------------------------------------------------------


def test_beats_the_bias_model_on_ratings_of_low_rank():
    folds = KFold(3, shuffle=True, random_state=0)
    rbm = RBMRecommender(random_state=0, max_epochs=100)
    found = cross_val_predict(rbm, X, y, cv=folds)
    peer = np.empty(len(y))
    for train, test in folds.split(X):
        peer[test] = bias_model(X[train], y[train], X[test])
    assert found.dtype == np.float64 and found.min() >= 1 and found.max() <= 5
    assert rmse(found, y) < 0.75 * rmse(peer, y)
    # Users that training never saw: their other ratings tell their taste.
    assert rbm.fit(MATRIX[:60]).score(MATRIX[60:]) > 0.5
    filled = rbm.predict(MATRIX[60:])
    hidden = ~KNOWN[60:]
    assert rmse(filled[hidden], STARS[60:][hidden]) < 0.75 * STARS.std()


def test_the_score_of_a_matrix_leaves_each_rating_out():
    rbm = RBMRecommender(**SMALL).fit(MATRIX)
    few = MATRIX[:4].copy()
    expected, values = [], []
    for user, item in np.argwhere(~np.isnan(few)):
        without = few.copy()
        without[user, item] = np.nan
        expected.append(rbm.predict(without)[user, item])
        values.append(few[user, item])
    error = np.square(np.array(expected) - values).sum()
    spread = np.square(values - np.mean(values)).sum()
    assert rbm.score(few) == pytest.approx(1 - error / spread, abs=1e-5)


def test_score_is_r2_of_rows_in_either_form():
    rbm = RBMRecommender(**SMALL).fit(X, y)
    residual = np.square(rbm.predict(X) - y).sum() / np.square(y - y.mean()).sum()
    assert rbm.score(X, y) == pytest.approx(1 - residual)
    assert rbm.score(np.column_stack([X, y])) == rbm.score(X, y)


def test_a_search_tunes_by_rmse():
    search = GridSearchCV(
        RBMRecommender(max_epochs=40, n_components=20, random_state=0),
        {"lr": [1e-4, 0.02]},
        scoring="neg_root_mean_squared_error",
        cv=KFold(2, shuffle=True, random_state=0),
    ).fit(X, y)
    assert search.best_params_ == {"lr": 0.02}


def test_early_stopping_holds_ratings_out():
    rbm = RBMRecommender(
        early_stopping=True, max_epochs=50, n_components=20, lr=0.02, random_state=0
    ).fit(X, y)
    assert len(rbm.validation_loss_curve_) == rbm.n_iter_
    assert rbm.validation_scores_[-1] > 0.5
    assert len(rbm.ratings_) == len(y)  # all of them are known in predict
    assert min(rbm.validation_loss_curve_) < 0.9 * rbm.validation_loss_curve_[0]


# -- forms of input --------------------------------------------------------------------


def test_every_form_of_the_same_ratings_gives_the_same_fit():
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "stars": y})
    sparse = sp.csr_matrix((y, X.T), MATRIX.shape)
    order = np.random.RandomState(0).permutation(len(y))
    forms = [
        (X, y),
        (X[order], y[order]),
        (frame[["user", "item"]], frame["stars"]),
        (np.column_stack([X, y]), None),
        (frame, None),
        (frame.astype({"user": "Int64"}), None),
        (MATRIX, None),
        (pd.DataFrame(MATRIX), None),
        (sparse, None),
        (sp.coo_array(sparse), None),
    ]
    expected = RBMRecommender(**SMALL).fit(X, y)
    for values, target in forms:
        found = RBMRecommender(**SMALL).fit(values, target)
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))
        filled = found.predict(MATRIX)
        assert filled.shape == MATRIX.shape and filled.dtype == np.float64
        np.testing.assert_array_equal(found.predict(sparse), filled)
        np.testing.assert_array_equal(found.predict(pd.DataFrame(MATRIX)), filled)
        np.testing.assert_allclose(filled[KNOWN], found.predict(X), rtol=1e-5)
        np.testing.assert_array_equal(found.predict(X.astype(float)), found.predict(X))


def test_names_may_be_anything():
    users = np.array([f"user {i:02d}" for i in range(90)], dtype=object)[X[:, 0]]
    items = pd.to_datetime("2020-01-01") + pd.to_timedelta(X[:, 1], "D")
    rows = pd.DataFrame({"user": users, "item": items, "stars": y})
    rbm = RBMRecommender(**SMALL).fit(rows)
    expected = RBMRecommender(**SMALL).fit(X, y).predict(X)
    np.testing.assert_array_equal(rbm.predict(rows[["user", "item"]]), expected)
    assert set(rbm.recommend("user 07", 3)["item"]) <= set(items)
    twin = RBMRecommender(**SMALL).fit([("a", 1, 5), ("b", (2, 3), 1)])
    assert twin.predict([("a", (2, 3))]).shape == (1,)


def test_a_frames_columns_are_matched_by_name():
    names = [f"film {i:02d}" for i in range(40)]
    frame = pd.DataFrame(MATRIX, columns=names, index=[f"u{i}" for i in range(90)])
    rbm = RBMRecommender(**SMALL).fit(frame)
    assert rbm.users_[3] == "u3" and rbm.items_.tolist() == names
    expected = rbm.predict(frame)
    np.testing.assert_allclose(rbm.predict(frame[names[::-1]]), expected, rtol=1e-5)
    # Columns that are not there are not rated.
    without = frame.assign(**{names[0]: np.nan})
    np.testing.assert_allclose(rbm.predict(frame[names[1:]]), rbm.predict(without))
    found = rbm.predict([("u3", "film 05")])
    assert found[0] == pytest.approx(expected[3, 5], rel=1e-5)


def test_a_matrix_of_two_or_three_items_is_asked_for():
    three = MATRIX[:, :3]
    rbm = RBMRecommender(**SMALL, ratings="matrix").fit(three)
    assert rbm.predict(three).shape == three.shape
    assert RBMRecommender(**SMALL).fit(sp.csr_matrix(np.nan_to_num(three))).predict(
        sp.csr_matrix((90, 3))
    ).shape == (90, 3)
    with pytest.raises(ValueError, match="ratings='matrix'"):
        RBMRecommender().fit(MATRIX[:, :2])


def test_unknown_users_get_the_items_mean_and_unknown_items_the_users():
    rbm = RBMRecommender(max_epochs=30, random_state=0).fit(X, y)
    means = rbm.item_shares_ @ rbm.levels_
    found = rbm.predict([(-1, 3), (1000, 7)])
    np.testing.assert_allclose(found, means[[3, 7]], rtol=1e-5)
    nobody = np.full((1, 40), np.nan)
    np.testing.assert_allclose(rbm.predict(nobody)[0], means, rtol=1e-5)
    assert rbm.predict([(-1, -1)])[0] == pytest.approx(
        rbm.level_shares_ @ rbm.levels_, rel=1e-5
    )
    order = np.argsort([STARS[u, KNOWN[u]].mean() for u in range(90)])
    low, high = rbm.predict([(order[0], -1), (order[-1], -1)])
    assert low < rbm.level_mean_ < high


def test_users_and_items_without_ratings_are_legal():
    gaps = MATRIX.copy()
    gaps[4], gaps[:, 6] = np.nan, np.nan
    rbm = RBMRecommender(**SMALL).fit(gaps)
    found = rbm.predict(gaps)
    assert found.shape == gaps.shape and np.isfinite(found).all()
    np.testing.assert_allclose(found[4], rbm.item_shares_ @ rbm.levels_, rtol=1e-5)


def test_partial_fit_takes_new_users_and_new_ratings():
    rbm = RBMRecommender(**SMALL).partial_fit(X, y)
    stranger = rbm.predict([(500, 7)])[0]
    rbm.partial_fit([(500, 5), (500, 6)], [5, 5])
    assert rbm.users_[-1] == 500 and len(rbm.ratings_) == len(y) + 2
    assert rbm.predict([(500, 7)])[0] > stranger
    rated = X[0]
    other = 6 - y[0] if y[0] != 3 else 1.0
    rbm.partial_fit([rated], [other])
    assert len(rbm.ratings_) == len(y) + 2
    (code,) = rbm.ratings_[(rbm.ratings_[:, :2] == rated).all(1), 2]
    assert rbm.levels_[code] == other
    with pytest.raises(ValueError, match="first fit did not have"):
        rbm.partial_fit([(1, 77)], [3])
    with pytest.raises(ValueError, match="levels 1, 2, 3, 4, 5"):
        rbm.partial_fit([(1, 7)], [2.5])
    assert len(rbm.ratings_) == len(y) + 2  # a call that fails changes nothing


def test_levels_may_be_named_and_halves():
    half = RBMRecommender(**SMALL).fit(X, y / 2)
    assert half.levels_.tolist() == [0.5, 1, 1.5, 2, 2.5]
    named = RBMRecommender(**SMALL, levels=(0, 1, 2, 3, 4, 5)).fit(X, y)
    assert named.levels_.tolist() == [0, 1, 2, 3, 4, 5]
    named.partial_fit([(0, 0)], [0])
    zeros = sp.csr_matrix(([0.0, 5, 4], ([0, 0, 1], [0, 1, 1])), (2, 4))
    assert RBMRecommender(**SMALL).fit(zeros).levels_.tolist() == [0, 4, 5]


# -- recommending ----------------------------------------------------------------------


def test_recommend_gives_the_best_of_what_is_not_rated():
    rbm = RBMRecommender(max_epochs=60, random_state=0).fit(X, y)
    found = rbm.recommend([3, 8], k=5)
    assert found.columns.tolist() == ["user", "item", "rating"]
    filled = rbm.predict(MATRIX)
    for user, own in found.groupby("user"):
        unseen = np.flatnonzero(~KNOWN[user])
        best = unseen[np.argsort(-filled[user, unseen])][:5]
        assert own["item"].tolist() == best.tolist()
        np.testing.assert_allclose(own["rating"], filled[user, best], rtol=1e-5)
    everything = rbm.recommend(list(range(90)), k=1000)
    assert len(everything) == (~KNOWN).sum()
    assert not KNOWN[everything["user"], everything["item"]].any()
    top = rbm.recommend(list(range(90)), k=3)
    assert STARS[top["user"], top["item"]].mean() > STARS[~KNOWN].mean() + 0.8
    of_matrix = rbm.recommend(MATRIX[[3, 8]], k=5)
    assert of_matrix["item"].tolist() == found["item"].tolist()
    assert of_matrix["user"].unique().tolist() == [0, 1]
    assert rbm.recommend(3, 5)["item"].tolist() == found["item"].tolist()[:5]


def test_explain_counts_the_neighbours():
    rows = [
        *[("ann", "x", 5), ("ann", "y", 4)],
        *[("bob", "x", 5), ("bob", "y", 4), ("bob", "z", 2)],
        *[("cat", "x", 4), ("cat", "z", 4)],
        *[("dan", "y", 1), ("dan", "w", 5)],
        *[("eve", "w", 3)],
    ]
    rbm = RBMRecommender(**SMALL).fit(rows)
    why = rbm.explain("ann", "z")
    # eve shares no item with ann; cosines with (5, 4) by hand.
    length = np.sqrt(41)
    expected = {
        "bob": 41 / (length * np.sqrt(45)),
        "cat": 20 / (length * np.sqrt(32)),
    }
    assert why.n_neighbors == 3 and why.share == pytest.approx(2 / 3)
    assert why.score == pytest.approx((2 + 4) / (3 * 5)) and why.mean_rating == 3
    assert why.ratings["user"].tolist() == ["bob", "cat"]
    np.testing.assert_allclose(why.ratings["similarity"], list(expected.values()))
    assert why.ratings["rating"].tolist() == [2, 4]
    assert str(why) == "2 of the 3 users most like ann rated z, 3.00 on average"
    closest = rbm.explain("ann", "z", n_neighbors=1)
    assert closest.share == 1 and closest.score == pytest.approx(2 / 5)
    nobody = rbm.explain("eve", "z", n_neighbors=1)
    assert nobody.share == 0 and np.isnan(nobody.mean_rating)
    assert str(nobody) == "0 of the 1 users most like eve rated z"


def test_transform_tells_tastes_apart():
    rbm = RBMRecommender(max_epochs=60, n_components=8, random_state=0).fit(MATRIX)
    features = rbm.transform(MATRIX)
    assert features.shape == (90, 8) and features.min() >= 0 and features.max() <= 1
    np.testing.assert_allclose(rbm.transform([[7, 0]]), features[[7]], rtol=1e-4)
    assert rbm.get_feature_names_out()[0] == "rbmrecommender0"


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "target", "words"),
    [
        ([(1, 2)], None, "give them as y"),
        ([(1, 2, 3)], [3], "two columns"),
        ([(1, 2, 3, 4)], [3], "two columns"),
        ([(1, 2), (1, 3)], [3, np.nan], "row 1 has no rating"),
        ([(1, 2), (1, 3)], [3, np.inf], "finite"),
        ([(1, 2), (1, 3)], [(3, 1), (4, 1)], "one rating a row"),
        ([(1, 2), (1, 3)], ["good", "bad"], "must be numbers"),
        ([(1, 2), (1, 3)], [3], "inconsistent numbers of samples: X has 2, y has 1"),
        ([(1, 2), (None, 3)], [3, 4], "row 1 of X has no user"),
        ([(1, 2), (1, np.nan)], [3, 4], "row 1 of X has no item"),
        ([(1, 2), (1, 2)], [3, 4], "user 1 rates item 2 twice, 3 and 4"),
        (np.full((3, 5), np.nan), None, "no rating at all"),
        (np.zeros((0, 2)), [], "0 sample"),
        (np.zeros(5), None, "takes ratings, not a series of shape"),
        (np.argwhere(np.ones((20, 20))), np.arange(400.0), "400 different ratings"),
        (sp.csr_matrix([[1.0, np.nan, 2, 3]]), None, "stores NaN"),
        (sp.csr_matrix(np.eye(5)), [1, 2, 3, 4, 5], "y must be None"),
    ],
)
def test_bad_ratings_are_refused(rows, target, words):
    rbm = RBMRecommender(**SMALL)
    with pytest.raises(ValueError, match=words):
        rbm.fit(rows, target)
    assert not hasattr(rbm, "users_")


def test_bad_parameters_are_refused():
    for levels in ((5, 4, 3), (1,), (1, 1, 2)):
        with pytest.raises(ValueError, match="ascending order"):
            RBMRecommender(levels=levels).fit(X, y)
    with pytest.raises(
        ValueError, match="the rating 5 is not among the levels 1, 2, 3"
    ):
        RBMRecommender(levels=(1, 2, 3, 4)).fit(X, y)
    with pytest.raises(ValueError, match="two or three columns"):
        RBMRecommender(ratings="rows").fit(MATRIX)


def test_bad_questions_are_refused():
    with pytest.raises(NotFittedError):
        RBMRecommender().recommend([1])
    rbm = RBMRecommender(**SMALL).fit(X, y)
    questions = [
        (lambda: rbm.recommend(["ann"]), "no such user"),
        (lambda: rbm.recommend([]), "one user or more"),
        (lambda: rbm.recommend(3, k=0), "k must be at least 1"),
        (lambda: rbm.explain(3, 99), r"explain\(item=99\)"),
        (lambda: rbm.explain(3, 9, n_neighbors=0), "n_neighbors must be at least 1"),
        (lambda: rbm.predict([("ann", 3)]), "users of X are strings .* numbers"),
        (lambda: rbm.predict(MATRIX[:, :30]), "30 features"),
        (lambda: rbm.predict(MATRIX + 0.5), "not among the levels"),
        (lambda: rbm.score(X), "third column"),
    ]
    for ask, words in questions:
        with pytest.raises(ValueError, match=words):
            ask()


def test_equal_ratings_throughout_are_said():
    with pytest.warns(UserWarning, match="all 3 ratings are 4"):
        rbm = RBMRecommender(**SMALL).fit([(1, 2), (1, 3), (2, 2)], [4, 4, 4])
    assert rbm.predict([(2, 3)]) == 4


def test_two_equal_ratings_of_a_pair_count_once():
    twice = RBMRecommender(**SMALL).fit(np.vstack([X, X[:9]]), np.append(y, y[:9]))
    once = RBMRecommender(**SMALL).fit(X, y)
    np.testing.assert_array_equal(twice.predict(X), once.predict(X))


def test_files_and_pickles_hold_names_of_any_kind(tmp_path):
    rbm = RBMRecommender(**SMALL).fit([("a", 1, 5), ("b", "x", 1), ("b", 1, 4)])
    rbm.save(tmp_path / "rbm.safetensors")
    for twin in (
        sknets.load(tmp_path / "rbm.safetensors"),
        pickle.loads(pickle.dumps(rbm)),
    ):
        assert twin.items_.tolist() == rbm.items_.tolist()
        rows = [("b", "x"), ("a", "x")]
        np.testing.assert_array_equal(twin.predict(rows), rbm.predict(rows))
        assert twin.recommend("a")["item"].tolist() == ["x"]


def test_learning_reads_no_more_than_it_says():
    reader = RatingRows.of(clone(RBMRecommender()))
    learn_ratings(reader, X, y, reset=True)
    assert {name for name in vars(reader) if name.endswith("_")} == {
        *("users_", "items_", "levels_", "ratings_")
    }
