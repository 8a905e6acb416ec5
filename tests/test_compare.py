"""`compare`: the same folds for all, nothing leaks, nothing stops it, wrong input."""

import math
import pickle
import sys
import time
import warnings
from importlib.util import find_spec
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse, stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_iris, make_classification, make_regression
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sknets import FeedforwardClassifier, all_estimators, compare, graph_nodes
from sknets._comparison.candidates import guess_kind
from sknets._comparison.graphs import GraphStatistics, NodeStatistics
from sknets._comparison.lineup import choose_models
from sknets._comparison.measuring import (
    Measured,
    MemoryMeter,
    corrected_t_test,
    count_parameters,
)
from sknets._comparison.preparation import column_roles, table_preparation, to_frame
from sknets._comparison.problem import define_problem
from sknets._comparison.sequences import SequenceStatistics
from sknets._comparison.target import read_target
from sknets._comparison.videos import ClipStatistics

# How data and models meet is the same after two epochs; who asks how well is learned
# has a mark of its own.
pytestmark = pytest.mark.at_most_epochs(2)

FAST = ["dummy", "logisticregression"]


def problem_of(X, y, task="auto", cv=2, seed=0):
    given = {"data": "auto", "scoring": None, "groups": None, "device": "cpu"}
    return define_problem(X, y, task=task, cv=cv, seed=seed, **given)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def mixed_table(n=90):
    """A number, a category, a date, a text, an id, a constant; holes; and y."""
    rng = np.random.default_rng(0)
    city = rng.choice(["Paris", "Oslo", "Rome"], n).astype(object)
    x = rng.normal(size=n)
    days = rng.integers(0, 700, n)
    words = np.array(["red", "green", "blue", "old", "new", "big", "small"])
    frame = pd.DataFrame(
        {
            "client_id": np.arange(n) + 1000,
            "size": x,
            "city": city,
            "sold": (pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D")).astype(
                str
            ),
            "story": [" ".join(rng.choice(words, 4)) + f" {i}" for i in range(n)],
            "member": rng.random(n) < 0.5,
            "currency": "EUR",
        }
    )
    y = 2 * x + 3 * (city == "Oslo") + days / 300 + rng.normal(scale=0.1, size=n)
    frame.loc[::9, "size"] = np.nan
    frame.loc[::7, "city"] = None
    frame.loc[::11, "sold"] = None
    frame.loc[3, "city"] = "Reykjavik"  # in one fold only
    return frame, y


class Spy(ClassifierMixin, BaseEstimator):
    """Notes which rows it was fitted on (X has one column: the row's number)."""

    seen: dict = {}  # noqa: RUF012

    def __init__(self, name="a"):
        self.name = name

    def fit(self, X, y):
        self.seen.setdefault(self.name, []).append(np.asarray(X)[:, 0].tolist())
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Raises(Spy):
    def __init__(self, error=None, name="r"):
        self.error = error or ValueError("too hot\nto handle")
        self.name = name

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y):
        raise self.error


class Slow(Spy):
    """Takes a second by the clock of the test, whatever the machine is doing."""

    now = 0.0

    def __init__(self, name="a", right=False):
        super().__init__(name)
        self.right = right

    def fit(self, X, y):
        Slow.now += 1
        self.known_ = dict(zip(np.asarray(X)[:, 0], y))
        self.often_ = np.bincount(y).argmax()
        return super().fit(X, y)

    def predict(self, X):
        if not self.right:
            return super().predict(X)
        return [self.known_.get(x, self.often_) for x in np.asarray(X)[:, 0]]


# The statistics


def test_every_model_sees_the_same_folds():
    Spy.seen.clear()
    X, y = np.arange(40.0)[:, None], np.tile([0, 1], 20)
    models = {"one": Spy("one"), "two": Spy("two")}
    compare(X, y, models=models, cv=4, random_state=3, verbose=0)
    assert len(Spy.seen["one"]) == 4
    assert Spy.seen["one"] == Spy.seen["two"]
    tested = [set(range(40)) - set(rows) for rows in Spy.seen["one"]]
    assert sorted(set().union(*tested)) == list(range(40))
    assert all(y[sorted(rows)].mean() == 0.5 for rows in tested)  # stratified
    assert tested[0] != set(range(10))  # shuffled


def test_scores_are_scikit_learns_own(iris):
    X, y = iris
    cv = KFold(4, shuffle=True, random_state=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    result = compare(X, y, models=["logisticregression"], cv=cv, verbose=0)
    expected = cross_val_score(model, X, y, cv=cv)
    np.testing.assert_allclose(result.scores["accuracy"], expected)
    row = result.table.loc["LogisticRegression"]
    assert row["accuracy"] == pytest.approx(expected.mean())
    assert row["accuracy_std"] == pytest.approx(expected.std(ddof=1))
    log_loss = -cross_val_score(model, X, y, cv=cv, scoring="neg_log_loss")
    assert row["log_loss"] == pytest.approx(log_loss.mean())
    assert result.table.columns[0] == result.main_score == "accuracy"


def test_corrected_t_test_is_the_papers():
    d = [0.02, -0.01, 0.03, 0.02, 0.05]
    mean = math.fsum(d) / 5
    variance = math.fsum((x - mean) ** 2 for x in d) / 4
    t = mean / math.sqrt((1 / 5 + 1 / 4) * variance)
    expected = 2 * (1 - stats.t(4).cdf(t))
    assert corrected_t_test(np.array(d), 0.25) == pytest.approx(expected, rel=1e-9)
    # Without the correction it is the plain paired test.
    plain = stats.ttest_1samp(d, 0).pvalue
    assert corrected_t_test(np.array(d), 0.0) == pytest.approx(plain)
    assert corrected_t_test(np.array(d), 0.25) > plain
    assert corrected_t_test(np.zeros(5), 0.25) == 1.0
    assert corrected_t_test(np.full(5, 0.1), 0.25) == 0.0
    assert math.isnan(corrected_t_test(np.array([0.1]), 0.25))


def test_corrected_t_test_keeps_its_level():
    # Two equal models: overlapping training sets make fold differences correlate
    # by about n_test / n_train; the corrected test may err in some 5 % of cases.
    rng = np.random.default_rng(0)
    rho = 0.2
    shared, own = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 5))
    folds = math.sqrt(rho) * shared + math.sqrt(1 - rho) * own
    errors = np.mean([corrected_t_test(d, 0.25) < 0.05 for d in folds])
    plain = np.mean(stats.ttest_1samp(folds, 0, axis=1).pvalue < 0.05)
    assert errors < 0.07 < plain


def test_p_values_of_the_table_follow_from_the_folds(iris):
    X, y = iris
    result = compare(X, y, models=[*FAST, "gaussiannb"], random_state=0, verbose=0)
    wide = result.scores["accuracy"].unstack("model")
    best, second, last = result.table.index
    assert math.isnan(result.table.loc[best, "p_value"])
    for name in (second, last):
        expected = corrected_t_test((wide[name] - wide[best]).to_numpy(), 30 / 120)
        assert result.table.loc[name, "p_value"] == pytest.approx(expected)
    assert last == "DummyClassifier"
    assert result.table.loc[last, "p_value"] < 0.001


# Nothing stops it


def test_a_failing_model_has_a_row_that_says_why(iris):
    X, y = iris
    models = {"bad": Raises(), "good": "logisticregression"}
    result = compare(X, y, models=models, verbose=0)
    assert list(result.table.index) == ["good", "bad"]
    assert result.table.loc["bad", "note"] == "failed: ValueError: too hot"
    assert result.table.loc["bad"].drop(["family", "note"]).isna().all()
    assert result.table.loc["good", "note"] == ""
    assert "bad: failed: ValueError: too hot" in repr(result)


def test_all_failing_leaves_no_best_model(iris):
    result = compare(*iris, models=[Raises()], verbose=0)
    with pytest.raises(ValueError, match="column 'note' of its table says why"):
        _ = result.best_
    with pytest.raises(ValueError, match="nothing to plot"):
        result.plot()
    assert "too hot" in repr(result)


def test_time_limit_keeps_what_is_finished(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: Slow.now)
    for module in ("sknets.comparison", "sknets._comparison.run"):
        monkeypatch.setattr(f"{module}.time", clock)
    X, y = np.arange(40.0)[:, None], np.tile([0, 1], 20)
    models = {"quick": Spy(), "slow": Slow(), "late": Slow(), "never": Spy()}
    result = compare(X, y, models=models, cv=10, time_limit=2.5, verbose=0)
    assert list(result.table.index) == ["quick", "slow", "late", "never"]
    assert list(result.table["note"]) == [
        "",
        "time limit: 2 of 10 folds",  # a third would not have been done in time
        "time limit: 1 of 10 folds",  # of which nothing told how long it takes
        "not run: time limit",
    ]
    verdicts = ["best", "unfinished", "unfinished", ""]
    assert result.table["verdict"].fillna("").tolist() == verdicts
    assert len(result.scores.loc["slow"]) == 2
    assert not result.interrupted


def test_what_is_unfinished_has_no_verdict_and_is_no_winner(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: Slow.now)
    for module in ("sknets.comparison", "sknets._comparison.run"):
        monkeypatch.setattr(f"{module}.time", clock)
    X, y = np.arange(60.0)[:, None], np.tile([0, 1, 1], 20)
    models = {"poor": Spy(), "good": Slow(right=True)}
    result = compare(X, y, models=models, cv=5, time_limit=2.5, verbose=0)
    assert result.best_name_ == "poor"
    table = result.table
    assert table.loc["good", "accuracy"] > table.loc["poor", "accuracy"]
    assert table["verdict"].tolist() == ["best", "unfinished"]
    assert table["p_value"].isna().all()
    ax = result.plot().ax_
    shapes = [line.get_marker() for line in ax.lines if line.get_marker() in "D>"]
    assert shapes == ["D", ">"]
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert "folds missing" in labels and not any("worse" in each for each in labels)
    assert "▷" in result._repr_html_() and "◇" not in result._repr_html_()


def test_of_unfinished_models_the_folds_in_common_count(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: Slow.now)
    for module in ("sknets.comparison", "sknets._comparison.run"):
        monkeypatch.setattr(f"{module}.time", clock)
    # Where the first test rows are the hard ones, two folds flatter who has them both.
    X, y = np.arange(40.0)[:, None], np.repeat([1, 0], [10, 30])
    splits = [(np.arange(40), np.arange(10)), (np.arange(40), np.arange(10, 40))]
    models = {"zeros": Slow(), "right": Slow(right=True)}
    splits += [splits[1]]
    result = compare(X, y, models=models, cv=splits, time_limit=2.5, verbose=0)
    assert [len(result.scores.loc[name]) for name in models] == [2, 1]
    assert result.table["verdict"].tolist() == ["unfinished"] * 2
    assert result.best_name_ == "right"


def test_a_single_split_is_no_test(iris):
    split = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    result = compare(*iris, models=FAST, cv=split, verbose=0)
    assert result.table["verdict"].tolist() == ["best", "untested"]
    faces = [
        line.get_markerfacecolor()
        for line in result.plot().ax_.lines
        if line.get_marker() == "D"
    ]
    assert len(faces) == 1 or faces[1] == "0.8"


def test_a_network_stops_when_time_is_up(iris):
    slow = FeedforwardClassifier(max_epochs=10**6)
    models = {"dummy": "dummy", "net": slow, "features": make_pipeline(slow)}
    begin = time.monotonic()
    result = compare(*iris, models=models, cv=2, time_limit=1.0, verbose=0)
    assert time.monotonic() - begin < 3
    assert result.best_name_ == "dummy"
    assert result.table.loc["net", "note"] == "time limit: 0 of 2 folds"
    assert result.table.loc["features", "note"] == "not run: time limit"
    assert slow.callbacks is None


def test_interrupt_keeps_what_is_finished(iris):
    models = {"first": "dummy", "second": Raises(KeyboardInterrupt()), "third": Spy()}
    result = compare(*iris, models=models, verbose=0)
    assert result.interrupted
    assert result.best_name_ == "first"
    assert len(result.scores.loc["first"]) == 5
    assert result.table.loc["third", "note"] == "not run: interrupted"
    assert "second, third: not run: interrupted" in repr(result)
    with pytest.raises(KeyboardInterrupt):
        compare(*iris, models=[Raises(KeyboardInterrupt())], verbose=0)


def test_a_metric_that_a_model_cannot_give_is_missing(iris):
    result = compare(*iris, models=["svc"], verbose=0)
    row = result.table.loc["SVC"]
    assert math.isnan(row["log_loss"])
    assert row["accuracy"] > 0.9


# Reproducible


def test_scores_do_not_depend_on_n_jobs():
    X, y = mixed_table()
    models = ["dummy", "ridgecv", RandomForestRegressor(10)]
    settings = {"models": models, "cv": 3, "random_state": 7, "verbose": 0}
    alone = compare(X, y, **settings)
    both = compare(X, y, **settings, n_jobs=2)
    metrics = ["r2", "rmse", "mae"]
    pd.testing.assert_frame_equal(alone.scores[metrics], both.scores[metrics])
    other = compare(X, y, **{**settings, "random_state": 8, "models": ["ridgecv"]})
    assert (
        other.scores["r2"].loc["RidgeCV"] != alone.scores["r2"].loc["RidgeCV"]
    ).any()


def test_every_unset_random_state_is_the_seed(iris):
    given = {
        "mine": RandomForestClassifier(),
        "kept": DecisionTreeClassifier(random_state=5),
    }
    problem = problem_of(*iris, cv=3, seed=42)
    entries = choose_models({"a": "feedforward", "b": "mlp", **given}, problem)
    found = {n: e.model.get_params() for n, e in entries.items()}
    assert found["a"]["random_state"] == found["mine"]["random_state"] == 42
    assert found["b"]["mlpclassifier__random_state"] == 42
    assert found["kept"]["random_state"] == 5
    assert given["mine"].random_state is None  # the user's own is not touched


def test_best_is_the_winner_refitted_on_all_rows():
    X, y = mixed_table()
    result = compare(X, y, models=["dummy", "ridgecv"], random_state=0, verbose=0)
    manual = clone(result.models["RidgeCV"]).fit(X, y)
    assert result.best_name_ == "RidgeCV"
    np.testing.assert_array_equal(result.predict(X), manual.predict(X))
    assert result.best_ is result.best_
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.predict(X), manual.predict(X))


# Kinds of tables


@pytest.fixture(scope="module")
def on_mixed_table():
    X, y = mixed_table()
    models = list(choose_models("auto", problem_of(X, y)))
    models.remove("TransformerRegressor")  # the slowest has fewer rows below
    return X, y, compare(X, y, models=models, cv=2, random_state=0, verbose=0)


def test_every_model_takes_a_mixed_table(on_mixed_table):
    _, _, result = on_mixed_table
    assert (result.table["note"].str.contains("failed").sum()) == 0
    table = result.table.drop("DummyRegressor")
    assert (table["r2"] > 0).all(), table["r2"]
    assert result.table.index[-1] == "DummyRegressor"
    assert "left out 'currency': one value only" in result.notes
    assert "left out 'client_id': names rows" in result.notes
    assert "regression guessed" in result.summary
    assert set(result.table["family"]) == {"deep", "classical", "baseline"}
    assert result.table.loc["FeedforwardRegressor", "parameters"] > 1000
    assert pd.isna(result.table.loc["RandomForestRegressor", "parameters"])


def test_what_is_left_out_of_auto_is_noted():
    X, y = mixed_table(40)
    result = compare(X, y, models=["transformer"], cv=2, random_state=0, verbose=0)
    assert np.isfinite(result.table["r2"]).all()  # of a text, 30 columns
    wide = np.random.default_rng(0).normal(size=(20, 201))
    problem = problem_of(wide, wide[:, 0])
    assert "TransformerRegressor" not in choose_models("auto", problem)
    assert problem.notes == [
        "left out TransformerRegressor: 201 columns are more than 200; name it to run "
        "it"
    ]
    assert "TransformerRegressor" in choose_models(["transformer"], problem)


def test_unseen_categories_dates_and_holes_at_predict(on_mixed_table):
    X, y, result = on_mixed_table
    new = X[:4].copy()
    new["city"] = ["Atlantis", None, "Oslo", "Paris"]
    new["sold"] = ["2031-05-01", "not a date", None, "2020-02-02"]
    new["story"] = [None, "words never seen", "", "red"]
    for name, model in result.models.items():
        fitted = clone(model).fit(X[:40], y[:40])
        assert np.isfinite(fitted.predict(new)).all(), name
    with pytest.raises(ValueError, match="the table has no column 'city'"):
        result.best_.predict(new.drop(columns="city"))


@pytest.mark.at_most_epochs(20)
def test_polars_gives_the_scores_of_pandas():
    X, y = mixed_table()
    names = ["ridgecv", "feedforward"]
    settings = {"models": names, "cv": 2, "random_state": 0, "verbose": 0}
    theirs = compare(X, y, **settings)
    frame = pl.from_dict({c: X[c].replace({np.nan: None}).tolist() for c in X})
    ours = compare(frame, pl.Series("y", y), **settings)
    assert "'y'" in ours.summary
    np.testing.assert_allclose(ours.scores["r2"], theirs.scores["r2"], rtol=1e-6)
    np.testing.assert_allclose(ours.predict(frame), theirs.predict(X), rtol=1e-6)


@pytest.mark.at_most_epochs(20)
def test_sparse_X_stays_sparse_where_it_can():
    X, y = make_classification(80, 12, n_informative=6, class_sep=3, random_state=0)
    X[np.abs(X) < 0.8] = 0
    names = ["gaussiannb", "logisticregression", "histgradientboosting", "feedforward"]
    given = {"models": names, "cv": 3, "random_state": 0, "verbose": 0}
    result = compare(sparse.csr_array(X), y, **given)
    assert not result.table["note"].str.contains("failed").any(), result.table["note"]
    assert result.table["accuracy"].min() > 0.6
    assert result.summary.startswith("sparse table of 80 rows")


def test_missing_numbers_in_an_array_are_imputed_inside_the_folds():
    X, y = make_classification(80, 5, random_state=0)
    X[::5, 0] = np.nan
    result = compare(X, y, models=["logisticregression", SVC()], cv=3, verbose=0)
    assert not result.table["note"].any()
    for model in result.models.values():
        assert isinstance(model[0], SimpleImputer)


@pytest.mark.parametrize("kind", ["multilabel", "numbers"])
def test_several_targets(kind):
    X, numbers = make_regression(60, 6, n_targets=2, random_state=0)
    if kind == "numbers":
        names = ["dummy", "ridgecv", "kneighbors", "histgradientboosting"]
        names += ["randomforest", "svr", "feedforward"]
        result = compare(X, numbers, models=names, cv=3, random_state=0, verbose=0)
        assert result.table["r2"].iloc[0] > 0.9
    else:
        names = ["dummy", "gaussiannb", "logisticregression", "kneighbors", "svc"]
        names += ["histgradientboosting", "randomforest", "feedforward"]
        y = (numbers > 0).astype(int)
        result = compare(X, y, models=names, cv=3, random_state=0, verbose=0)
        assert result.table["f1_micro"].iloc[0] > 0.85
        assert "multilabel" in result.summary
    assert not result.table["note"].str.contains("failed").any(), result.table["note"]
    assert result.predict(X).shape == (60, 2)


def test_column_roles():
    n = 40
    frame = pd.DataFrame(
        {
            "number": np.linspace(0, 1, n),
            "price": [f"{i}.5" for i in range(n - 1)] + ["?"],
            "zip": [f"0{i % 30 + 10}" for i in range(n)],
            "grade": [str(i % 3) for i in range(n)],
            "flag": [True, False] * 20,
            "when": pd.date_range("2020-01-01", periods=n, tz="Europe/Paris"),
            "day_first": [f"{i % 28 + 1:02}/03/2020" for i in range(n)],
            "kind": pd.Categorical(["a", "b"] * 20),
            "text": [f"some words {i}" for i in range(n)],
            "code": [f"K{i}" for i in range(n)],
            "user_id": range(n),
            "empty": [None] * n,
            "took": pd.to_timedelta(range(n), "h"),
        }
    )
    assert column_roles(frame) == {
        "number": "number",
        "price": "number",
        "zip": "category",
        "grade": "category",
        "flag": "number",
        "when": "date",
        "day_first": "date",
        "kind": "category",
        "text": "text",
        "code": "identifier",
        "user_id": "identifier",
        "empty": "constant",
        "took": "number",
    }
    read = table_preparation(column_roles(frame), "dense")[0].fit(frame)
    days = read.transform(frame)["day_first"]
    assert days.dt.month.eq(3).all()
    one = read.transform(frame.assign(day_first="04/05/2020")[:1])["day_first"]
    assert one.iloc[0] == pd.Timestamp(2020, 5, 4)  # as the column was in fit


def test_nothing_is_learned_from_the_test_rows():
    X, _ = mixed_table()
    model = table_preparation(column_roles(to_frame(X)), "dense", 0).fit(X[:60])
    outlier = X.copy()
    outlier.loc[60:, "size"] = 1e6
    np.testing.assert_array_equal(
        model.transform(X)[:60], model.transform(outlier)[:60]
    )
    np.testing.assert_array_equal(
        clone(model).fit(outlier[:60]).transform(X[:60]), model.transform(X[:60])
    )


# Guesses and choices


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b"] * 10, "classification"),
        ([True, False] * 10, "classification"),
        ([0, 1, 2, 3] * 5, "classification"),
        ([0.0, 1.0] * 10, "classification"),
        (list(range(30)), "regression"),
        (list(range(10)), "regression"),
        ([0.5, 1.5] * 10, "regression"),
        (pd.Series(["x", "y"] * 9, dtype="category"), "classification"),
        (pd.Series([1, 2] * 9, dtype="Int64"), "classification"),
        (pl.Series([1.5, 2.25] * 9), "regression"),
        (np.eye(4, dtype=int), "classification"),
        (np.random.default_rng(0).normal(size=(9, 2)), "regression"),
    ],
)
def test_the_task_is_guessed(y, task):
    _, found, said = read_target(y, "auto")
    assert found == task
    assert "guessed" in said


def test_the_task_can_be_said(iris):
    X, y = iris
    result = compare(X, y, task="regression", models=["ridgecv"], verbose=0)
    assert result.task == "regression"
    assert "guessed" not in result.summary
    assert result.table["r2"].iloc[0] > 0.9


def test_imbalanced_classes_are_ranked_by_balanced_accuracy():
    X, y = make_classification(200, weights=[0.9], flip_y=0, random_state=0)
    result = compare(X, y, models=FAST, verbose=0)
    assert result.main_score == "balanced_accuracy"
    assert any("ranked by balanced accuracy" in note for note in result.notes)


def test_rare_classes_reduce_the_folds(iris):
    X, y = iris
    with pytest.warns(UserWarning, match="class 2 has 3 rows, so 3 folds are used"):
        result = compare(X[:103], y[:103], models=FAST, verbose=0)
    assert len(result.scores.loc["DummyClassifier"]) == 3


def test_groups_stay_together():
    Spy.seen.clear()
    X, y = np.arange(40.0)[:, None], np.tile([0, 1], 20)
    groups = np.arange(40) // 4
    compare(X, y, models={"spy": Spy("g")}, groups=groups, cv=5, verbose=0)
    for rows in Spy.seen["g"]:
        train = set(groups[np.asarray(rows, int)])
        assert len(train) == 8 and len(rows) == 32


def test_given_estimators_are_prepared_only_where_X_needs_it(iris):
    plain = compare(*iris, models=[SVC()], verbose=0, random_state=0)
    assert isinstance(plain.models["SVC"], SVC)
    X, y = mixed_table()
    y = y > 1
    own = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"])),
        LogisticRegression(),
    )
    search = GridSearchCV(own, {"logisticregression__C": [1.0]}, cv=2)
    models = [SVC(), own, search, HistGradientBoostingClassifier(max_iter=5), "dummy"]
    result = compare(X, y, models=models, cv=3, verbose=0)
    assert not result.table["note"].any(), result.table["note"]
    assert list(result.models) == [
        "SVC",
        "LogisticRegression",
        "LogisticRegression 2",
        "HistGradientBoostingClassifier",
        "DummyClassifier",
    ]
    assert isinstance(result.models["SVC"][0][1], ColumnTransformer)
    assert isinstance(result.models["LogisticRegression"][0], ColumnTransformer)
    assert isinstance(result.models["LogisticRegression 2"], GridSearchCV)


def test_a_large_table_gets_an_approximate_kernel_machine(monkeypatch):
    monkeypatch.setattr("sknets._comparison.lineup.LARGE", 500)
    X, y = make_classification(501, class_sep=3, flip_y=0, random_state=0)
    result = compare(X, y, models=["svc"], cv=3, verbose=0, random_state=0)
    assert "Nystroem" in result.table.loc["SVC", "note"]
    assert result.table.loc["SVC", "accuracy"] > 0.9


def test_scoring(iris):
    result = compare(*iris, models=FAST, scoring=["f1_macro", "accuracy"], verbose=0)
    assert list(result.scores.columns[:2]) == ["f1_macro", "accuracy"]
    assert result.main_score == "f1_macro"

    def slopes(estimator, X, y):
        return np.size(estimator.coef_)

    models = [LogisticRegression(max_iter=2000)]
    result = compare(*iris, models=models, scoring=slopes, verbose=0)
    assert result.table["slopes"].tolist() == [12]
    assert result.table["predict_seconds"].iloc[0] > 0


def test_progress_names_the_model_and_the_best(iris, capfd):
    compare(*iris, models=FAST, random_state=0)
    out, err = capfd.readouterr()
    assert "LogisticRegression: 100%" in err and "best LogisticRegression" in err
    assert "classification guessed, 3 distinct whole numbers" in err
    compare(*iris, models=FAST, verbose=0)
    assert capfd.readouterr() == ("", "") and out == ""


def test_all_estimators():
    names = [name for name, _ in all_estimators(data="table", task="classification")]
    assert "FeedforwardClassifier" in names and "FeedforwardRegressor" not in names
    assert names == sorted(names)
    assert set(names) < {name for name, _ in all_estimators()}
    with pytest.raises(ValueError, match=r"data must be one of .*'table'"):
        all_estimators(data="tables")
    with pytest.raises(ValueError, match=r"task must be one of .*'classification'"):
        all_estimators(task="guessing")


# Measured


def test_memory_is_seen():
    with MemoryMeter() as meter:
        block = np.ones(8_000_000)
        time.sleep(0.02)
        del block
    assert 55 < meter.mb < 75


def test_predictions_are_made_once_for_all_metrics(iris):
    X, y = iris
    model = Measured(LogisticRegression(max_iter=500)).fit(X, y)
    assert model.predict(X) is model.predict(X)
    other = X[:5].copy()
    assert len(model.predict(other)) == 5
    assert model.predict_seconds_ > 0


def test_parameters_are_counted(iris):
    X, y = iris
    linear = LogisticRegression(max_iter=500).fit(X, y)
    assert count_parameters(linear) == 3 * 4 + 3
    assert count_parameters(make_pipeline(StandardScaler(), linear)) == 15
    assert math.isnan(count_parameters(SVC().fit(X, y)))
    assert count_parameters(SVC(kernel="linear").fit(X, y)) == 3 * 4 + 3
    assert math.isnan(count_parameters(RandomForestClassifier(3).fit(X, y)))


# Shown


def test_html_is_escaped(iris):
    X, y = pd.DataFrame(iris[0]), pd.Series(iris[1], name="<script>y")
    models = {"<b>x</b>": "dummy", "bad": Raises(ValueError("<img src=x>"))}
    html = compare(X, y, models=models, verbose=0)._repr_html_()
    assert "<b>x" not in html and "&lt;b&gt;x" in html
    assert "<script>" not in html and "&lt;script&gt;y" in html
    assert "<img" not in html and "&lt;img" in html


def test_plot_shows_every_fold_the_best_and_the_ties(iris):
    result = compare(*iris, models=[*FAST, "gaussiannb"], random_state=0, verbose=0)
    display = result.plot()
    ax = display.ax_
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == list(result.table.index) and labels[-1] == "DummyClassifier"
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    best = result.scores["accuracy"].loc[result.best_name_]
    np.testing.assert_allclose(dots[0].get_xdata(), best)
    # The dummy is far off: it does not stretch the axis, and is named at its edge.
    assert len(dots) == 2
    assert ax.get_xlim()[0] > result.table.loc["DummyClassifier", "accuracy"]
    assert "◂ 0.333" in [text.get_text() for text in ax.texts]
    markers = [line for line in ax.lines if line.get_marker() == "D"]
    filled = [line.get_markerfacecolor() != "white" for line in markers]
    p_values = result.table["p_value"].fillna(1)[:2]
    assert filled == list(p_values > 0.05)
    display.figure_.canvas.draw()
    assert result.plot(ax=ax).ax_ is ax


def test_plot_without_matplotlib_says_what_to_install(on_mixed_table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "sknets\[plot\]"'):
        on_mixed_table[2].plot()


# Images

BARS = np.zeros((60, 10, 12, 3), dtype=np.uint8)
BAR_WIDTHS = np.arange(60) % 3 + 3
BARS[np.arange(12) < BAR_WIDTHS[:, None, None] * np.ones((10, 1))] = 200


def test_images_meet_networks_made_for_them_and_flat_classical_models():
    half, widths = BARS[::2], BAR_WIDTHS[::2]
    result = compare(
        half, widths, task="classification", cv=2, random_state=0, verbose=0
    )
    assert result.kind == "images"
    assert "30 images of 10 x 12, 3 channels" in result.summary
    assert {"CNNClassifier", "FeedforwardClassifier", "SVC"} <= set(result.table.index)
    assert result.table["note"].eq("").all()
    assert result.table.loc["SVC", "accuracy"] > 0.9
    assert result.predict(BARS[:3]).tolist() == [3, 4, 5]
    features = "ConvolutionalAutoencoderTransformer + LogisticRegression"
    assert result.table.loc[features, "family"] == "deep"
    on_pixels = result.table.loc["RBMFeatures + LogisticRegression"]
    assert on_pixels["family"] == "deep" and on_pixels["parameters"] > 256 * 360
    numbers = choose_models("auto", problem_of(BARS, BAR_WIDTHS * 1.0, "regression"))
    assert {"CNNRegressor", "RBMFeatures + RidgeCV"} <= set(numbers)
    models = ["cnn", "ridgecv"]
    numbers = compare(half, widths * 1.5, models=models, cv=2, verbose=0)
    assert numbers.table["r2"].notna().all()


@pytest.mark.at_most_epochs(20)
def test_classical_models_learn_by_the_features_of_networks(iris):
    name = "AutoencoderTransformer + LogisticRegression"
    result = compare(
        *iris, models=["autoencodertransformer", name], cv=2, random_state=0, verbose=0
    )
    assert list(result.table.index) == [name, f"{name} 2"]
    assert (result.table["family"] == "deep").all()
    assert result.table["accuracy"].min() > 0.8
    best = result.best_
    assert [step for step, _ in best.steps] == [
        "autoencodertransformer",
        "standardscaler",
        "logisticregression",
    ]


@pytest.mark.at_most_epochs(20)
def test_unequal_images_of_a_list_are_brought_to_one_size_for_each_model():
    images = [image[: 8 + i % 3] for i, image in enumerate(BARS)]
    models = ["svc", "cnn", RandomForestClassifier(n_estimators=10)]
    result = compare(
        images, BAR_WIDTHS > 3, models=models, cv=2, random_state=0, verbose=0
    )
    assert "images of unequal size (median 9 x 12)" in result.summary
    assert result.table["accuracy"].min() > 0.9
    assert result.predict(images[:3]).tolist() == [False, True, True]


def test_large_images_are_shrunk_for_classical_models_alone():
    large = np.kron(BARS[::3], np.ones((1, 5, 5, 1), np.uint8))
    result = compare(
        large, np.arange(20) % 2, models=["logisticregression", "cnn"], cv=2, verbose=0
    )
    assert "classical models see the images at 32 pixels" in result.notes[0]
    assert result.models["LogisticRegression"][0].fit_transform(large).shape[1] == (
        27 * 32 * 3
    )


def test_float_images_outside_the_unit_interval_are_noted_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(
            BARS * 1.0, BAR_WIDTHS > 3, models=["cnn", "svc"], cv=2, verbose=0
        )
    assert [n for n in result.notes if "from 0 to 200, outside [0, 1]" in n]


# Sequences and text

TELLING = ["dull", "fair", "good"]
TEXTS = [f"{'so ' * (i % 4)}{TELLING[i % 3]} film" for i in range(60)]


@pytest.mark.at_most_epochs(10)
def test_texts_meet_recurrent_networks_and_tfidf():
    result = compare(
        TEXTS, np.arange(60) % 3, task="classification", cv=2, random_state=0, verbose=0
    )
    assert result.kind == "text" and "60 texts (median 4 words)" in result.summary
    assert {"RNNClassifier", "LinearSVC", "MultinomialNB"} <= set(result.table.index)
    assert result.table.loc["Word2Vec + LogisticRegression", "accuracy"] == 1
    if find_spec("transformers"):
        assert result.table.loc["BERTClassifier", "accuracy"] == 1
    vectors = "BERTVectorizer + LogisticRegression"
    if not find_spec("all_minilm_l6_v2"):
        assert vectors not in result.table.index
        told = f"left out {vectors}: there is no pretrained model: pip install"
        assert [note for note in result.notes if note.startswith(told)]
    assert "FeedforwardClassifier" not in result.table.index
    assert result.table["note"].eq("").all()
    assert result.table.loc["LinearSVC", "accuracy"] == 1
    assert result.predict(["so good", "a dull film"]).tolist() == [2, 0]
    tokens = [text.split() for text in TEXTS]
    same = compare(tokens, np.arange(60) % 3, models=["linearsvc"], cv=2, verbose=0)
    assert same.table.loc["LinearSVC", "accuracy"] == 1
    many = choose_models("auto", problem_of(TEXTS, np.arange(60) % 3 * 1.5))
    assert "BERTRegressor" in many or not find_spec("transformers")
    named = ["BERTVectorizer"]
    many = choose_models(named, problem_of(TEXTS, np.arange(60) % 3 * 1.5))
    assert list(many) == ["BERTVectorizer + Ridge"]
    numbers = compare(TEXTS, np.arange(60) % 3 * 1.5, models=["ridge"], verbose=0)
    assert numbers.table.loc["Ridge", "r2"] > 0.5


def test_sequences_meet_recurrent_networks_and_their_statistics():
    pace = np.arange(60) % 3
    waves = [np.sin(np.arange(20 + i % 9) * (1 + k)) for i, k in enumerate(pace)]
    result = compare(
        waves, pace, task="classification", cv=2, random_state=0, verbose=0
    )
    assert result.kind == "sequences"
    assert "60 sequences of 20 to 28 steps, 1 channel" in result.summary
    peers = {"RandomForestClassifier", "MiniRocket", "1-NN DTW"}
    assert peers | {"RNNClassifier"} <= set(result.table.index)
    assert "CNNClassifier" not in result.table.index
    assert result.table["note"].eq("").all()
    assert result.table.loc["RandomForestClassifier", "accuracy"] > 0.9
    equal = np.array([wave[:20] for wave in waves])[:, :, None]
    assert {"CNNRegressor", "RNNRegressor", "RidgeCV", "MiniRocket"} <= set(
        choose_models("auto", problem_of(equal, pace * 1.5))
    )
    models = ["cnn", "ridgecv", "minirocket", "1-nn dtw"]
    numbers = compare(equal, pace * 1.5, models=models, cv=2, verbose=0)
    assert numbers.table["r2"].notna().all()


def test_statistics_of_a_sequence():
    x = np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    found = SequenceStatistics().fit_transform([x, x[:1]])
    expected = [2, 5, np.std(x[:, 0]), 0, 1, 5, 2, 5, 3, 5, 1, 5, 2, 5, 1.5, 0, 3]
    np.testing.assert_allclose(found[0], expected)
    np.testing.assert_allclose(found[1], [1, 5, 0, 0, *[1, 5] * 5, 0, 0, 1])


@pytest.mark.at_most_epochs(50)
def test_graphs_meet_graph_networks_and_their_statistics():
    kinds = np.arange(60) % 3
    make = (nx.path_graph, nx.cycle_graph, nx.complete_graph)
    graphs = [make[k](4 + i % 5) for i, k in enumerate(kinds)]
    result = compare(
        graphs, kinds, task="classification", cv=2, random_state=0, verbose=0
    )
    assert result.kind == "graphs"
    assert "60 graphs of 4 to 8 nodes, no node features" in result.summary
    models = {"DummyClassifier", "GraphClassifier", "LogisticRegression"}
    assert set(result.table.index) == models | {"RandomForestClassifier", "SVC"}
    assert result.table["note"].eq("").all()
    assert result.table.loc["RandomForestClassifier", "accuracy"] == 1
    assert result.table.loc["GraphClassifier", "accuracy"] > 0.9
    rows = [(nx.to_numpy_array(g), np.ones((len(g), 2)) * len(g)) for g in graphs]
    problem = problem_of(rows, kinds * 1.5)
    assert "GraphRegressor" in choose_models("auto", problem)
    numbers = compare(rows, kinds * 1.5, models=["ridgecv"], cv=2, verbose=0)
    assert "2 features a node" in numbers.summary
    with pytest.raises(
        ValueError, match=r"compare\(X=...\): X\[60\]: the graph has no"
    ):
        compare([*graphs, nx.empty_graph(0)], [*kinds, 0], verbose=0)


@pytest.mark.at_most_epochs(None)
def test_nodes_meet_graph_networks_and_their_features():
    club = nx.karate_club_graph()
    nodes = graph_nodes(club)
    sides = [club.nodes[node]["club"] for node in club]
    result = compare(nodes, sides, cv=2, random_state=0, verbose=0)
    assert result.kind == "nodes"
    assert "34 nodes with no features of a graph of 34 and 78 links" in result.summary
    deep = {"GNNClassifier", "GNNEmbedder + LogisticRegression"}
    classical = {"LogisticRegression", "RandomForestClassifier", "SVC"}
    assert set(result.table.index) == deep | classical | {"DummyClassifier"}
    assert result.table["note"].eq("").all()
    assert result.table.loc["GNNClassifier", "accuracy"] > 0.8
    ages = np.arange(34) / 2.5
    assert "GNNRegressor" in choose_models("auto", problem_of(nodes, ages))
    numbers = compare(nodes, ages, models=["ridgecv"], cv=2, verbose=0)
    assert numbers.table["r2"].notna().all()
    assert numbers.predict(nodes[[0, 33]]).shape == (2,)
    with pytest.raises(ValueError, match="equal lengths, got 5 and 34"):
        compare(nodes[:5], sides, verbose=0)
    with pytest.raises(
        ValueError, match=r"graph_nodes\(graph\) gives them, got ndarray"
    ):
        compare(np.eye(34), sides, data="nodes", verbose=0)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_statistics_of_a_node(kind):
    links = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    features = kind(np.array([[1.0], [2.0], [4.0], [8.0]]))
    nodes = graph_nodes((links * 7.0, features))
    found = NodeStatistics().fit(nodes).transform(nodes[[3, 0, 2]])
    assert sparse.issparse(found) == sparse.issparse(features)
    found = found.toarray() if sparse.issparse(found) else found
    expected = [[8, 0, 0, 0], [1, 3, 2, 1], [4, 1, 1, 2]]
    np.testing.assert_allclose(found, expected)
    bare = NodeStatistics().fit_transform(graph_nodes(links))
    np.testing.assert_allclose(bare, [[2, 1], [1, 2], [1, 2], [0, 0]])


def test_statistics_of_a_graph():
    pair = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    lone = np.zeros((1, 1))
    X = [(pair, np.array([[1.0], [2.0], [4.5]])), (lone, np.array([[3.0]]))]
    found = GraphStatistics().fit_transform(X)
    expected = [[3, 2, 2, 2 / 9, 1, 2, *[0] * 7, 7.5, 2.5], [1, 0, 1, 0, 1, *[0] * 8]]
    np.testing.assert_allclose(found[0], expected[0])
    np.testing.assert_allclose(found[1], [*expected[1], 3, 3])


def test_what_X_is_can_be_said():
    pictures = np.zeros((12, 20, 4))
    pictures[:, 2] = (np.arange(12) % 2)[:, None]
    for data in ("images", "sequences"):
        result = compare(
            pictures, np.arange(12) % 2, data=data, models=["dummy"], cv=2, verbose=0
        )
        assert result.kind == data


# Videos


def clips_of_squares(n, channels=()):
    """A square goes left or right, from anywhere and through the edges."""
    random, y = np.random.default_rng(0), np.arange(n) % 2
    X = [np.zeros((5 + i % 3, 8, 8, *channels), np.uint8) for i in range(n)]
    for clip, move, start in zip(X, 2 * y - 1, random.integers(0, 8, n)):
        for step, frame in enumerate(clip):
            frame[2:5, (start + step * move + np.arange(3)) % 8] = 200
    return X, np.array(["left", "right"])[y]


@pytest.mark.at_most_epochs(40)
def test_videos_meet_networks_that_see_motion_and_models_of_what_changes():
    X, y = clips_of_squares(60)
    result = compare(X, y, models=["auto", SVC()], cv=2, random_state=0, verbose=0)
    assert result.kind == "videos"
    assert "60 videos of 5 to 7 frames of 8 x 8, 1 channel" in result.summary
    assert result.table["note"].eq("").all()
    assert {"VideoClassifier", "RandomForestClassifier"} <= set(result.table.index)
    assert result.table.loc["VideoClassifier", "accuracy"] > 0.9
    assert "CNNClassifier" not in result.table.index
    assert result.predict(X[:3]).tolist() == ["left", "right", "left"]


@pytest.mark.at_most_epochs(20)
def test_numbers_of_videos_meet_the_same_models():
    X, y = clips_of_squares(60)
    steps = np.where(y == "right", 1.0, -1.0)
    result = compare(X, steps, task="regression", cv=2, random_state=0, verbose=0)
    assert {"RidgeCV", "RandomForestRegressor", "SVR"} <= set(result.table.index)
    assert result.table["note"].eq("").all()
    assert result.best_name_ == "VideoRegressor"
    assert result.table.loc["VideoRegressor", "r2"] > 0.8


def test_clips_images_and_volumes_are_told_apart():
    grey, colour = clips_of_squares(6)[0], clips_of_squares(6, (3,))[0]
    arrays = [np.stack([clip[:5] for clip in X]) for X in (grey, colour)]
    for X in (grey, colour, *arrays, arrays[1].swapaxes(2, 4)):
        assert guess_kind(X) == "videos"
    for X in (BARS, list(BARS), BARS.transpose(0, 3, 1, 2), arrays[1][..., :1]):
        assert guess_kind(X) == "images"
    one = ClipStatistics().fit(grey).transform([clip[:1] for clip in grey])
    assert one.shape == (6, 4 * 64) and not one[:, 64:].any()


def test_videos_that_cannot_be_read_are_refused_in_one_sentence():
    X, y = clips_of_squares(8)
    with pytest.raises(ValueError, match=r"^compare\(X=...\): X\[3\] is an empty clip"):
        compare([*X[:3], X[3][:0], *X[4:]], y, verbose=0)


def test_trees_meet_recursive_networks_and_models_of_their_leaves():
    random = np.random.default_rng(0)
    leaves = random.choice(["good", "bad", "so"], (60, 3))
    trees = [
        ((a, b), c) if i % 2 else f"({a} {b} {c})" for i, (a, b, c) in enumerate(leaves)
    ]
    moods = np.where((leaves[:, 1:] == "good").any(1), "yes", "no")
    result = compare(trees, moods, cv=2, random_state=0, verbose=0)
    assert result.kind == "trees" and "60 trees of 3 to 5 nodes" in result.summary
    assert set(result.table.index) == {
        "DummyClassifier",
        "LogisticRegression",
        "LinearSVC",
        "RecursiveClassifier",
    }
    assert result.table["note"].eq("").all()
    assert result.table.loc["LinearSVC", "accuracy"] > 0.8
    assert set(result.predict(trees[:3])) <= {"yes", "no"}
    counts = (leaves == "good").sum(1) * 1.5
    models = ["auto", KNeighborsRegressor()]
    numbers = compare(trees, counts, models=models, cv=2, random_state=0, verbose=0)
    rows = {"Ridge", "LinearSVR", "RecursiveRegressor", "KNeighborsRegressor"}
    assert rows <= set(numbers.table.index)
    assert numbers.table["note"].eq("").all()
    with pytest.raises(
        ValueError, match=r"compare\(X=\.\.\.\): X\[1\] has a '\(' that is"
    ):
        compare(["(1 a)", "(1 (2 a)"], [0, 1])
    assert guess_kind([["a", "b"], ["c", "d"]]) == "table"


# Wrong input: one sentence, before any work

X3, Y3 = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)
WRONG = [
    ({"y": [0, 1]}, r"equal lengths, got 6 and 2"),
    ({"y": [1] * 6}, r"one class only, 1"),
    ({"y": [2.5] * 6}, r"one value only, 2.5"),
    ({"y": [0, 1, None, 0, 1, 0]}, r"y has 1 missing value: drop these rows"),
    ({"y": [0, 1, "a", 0, 1, 0]}, r"strings or bools of one type, got int, str"),
    (
        {"y": ["a"] * 5 + ["b"]},
        r"class b has one row, and each class needs at least two",
    ),
    ({"y": [0.5, 1, 2, 3, 4, np.inf]}, r"y holds infinite values"),
    ({"y": pd.date_range("2020", periods=6)}, r"y holds dates"),
    ({"y": [0.1, 0.2] * 3, "task": "classification"}, r"2 fractional numbers, not"),
    ({"y": list("ababab"), "task": "regression"}, r"strings such as 'a'"),
    ({"y": [], "X": np.empty((0, 2))}, r"X is empty, its shape is \(0, 2\)"),
    ({"X": np.ones((6, 2, 2, 2, 2, 2))}, r"shape \(6, 2, 2, 2, 2, 2\); X.reshape"),
    ({"X": np.full((6, 4, 4), np.nan)}, r"X contains NaN or infinity"),
    (
        {"X": np.ones((6, 9, 8, 7)), "data": "images"},
        r"do not tell which axis holds the channels",
    ),
    ({"X": [*np.ones((5, 4, 4)), np.ones((4, 4, 3))]}, r"X\[5\] has shape"),
    ({"X": [1] * 6}, r"X is a series, numbers by time, and y is given: leave y out"),
    ({"X": [{1}] * 6}, r"X must be .*, a table .*, got a list of set"),
    ({"X": ["a", *"bcde", None]}, r"X\[5\] must be a text .*, got None; make it ''"),
    ({"X": [*np.ones((5, 9)), np.ones(0)]}, r"X\[5\] is an empty sequence"),
    ({"data": "pictures"}, r"data must be one of 'auto', 'trees', 'text', 'table'"),
    ({"X": np.full((6, 2), np.inf)}, r"X holds 12 infinite values"),
    ({"X": pd.DataFrame({"a": [[1]] * 6})}, r"column 'a' holds a list in each cell"),
    ({"X": pd.DataFrame({"a": ["x"] * 6})}, r"no column is usable; left out 'a'"),
    ({"X": pd.DataFrame(X3, columns=["a", "a"])}, r"more than one column named 'a'"),
    ({"X": Y3, "y": X3}, r"seem to be swapped, .* y has columns: the table"),
    ({"X": list("ababab"), "y": X3.tolist()}, r"seem to be swapped, as X has one"),
    ({"X": pd.Series(Y3 * 2.5), "y": pd.DataFrame(X3)}, r"seem to be swapped"),
    (
        {"X": pd.DataFrame({"a": [1, 2] * 3, "b": 0.5}), "y": "a"},
        r"give X.drop\(columns='a'\) and X\['a'\]",
    ),
    ({"y": "price"}, r"y must hold the values to predict$"),
    ({"X": nx.path_graph(6)}, r"graph_nodes\(graph\) gives them, got Graph"),
    ({"cv": 1}, r"cv must be at least 2"),
    ({"cv": 7}, r"at most the number of rows, 6"),
    ({"cv": "five"}, r"cv must be a number of folds, a splitter, or"),
    ({"task": "guess"}, r"task must be 'auto', 'classification', 'regression', "),
    ({"models": ["RandomForst"]}, r"no such model .* did you mean RandomForest"),
    ({"models": []}, r"models must name at least one"),
    ({"models": 3}, r"models must be 'auto', a list of names and estimators"),
    ({"models": [SVC]}, r"the class SVC: pass an instance, SVC\(\)"),
    ({"models": [Ridge()]}, r"Ridge is not for classification"),
    ({"scoring": "acuracy"}, r"there is no such score; did you mean accuracy"),
    ({"scoring": 3}, r"scoring must be a scorer's name"),
    ({"time_limit": 0}, r"time_limit must be above 0 seconds"),
    ({"n_jobs": 0}, r"n_jobs must be None or a whole number, not 0"),
    ({"groups": [1, 2]}, r"one value a row, got 2 for 6 rows"),
    ({"groups": [1, 2] * 3}, r"at most the number of groups, 2"),
]


RIGHT = {"X": X3, "y": Y3, "cv": 3, "models": FAST, "verbose": 0}


def test_all_else_in_the_wrong_calls_is_right():
    assert not compare(**RIGHT).table["note"].any()


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_wrong_input_gives_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        compare(**{**RIGHT, **wrong})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("compare(")
