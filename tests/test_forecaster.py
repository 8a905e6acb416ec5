"""RNNForecaster: against closed forms and its own past; every kind of series."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

import sknets
from sknets import RNNForecaster
from sknets._inputs.windows import Differencing, cut_windows

torch.set_num_threads(1)

FIXED = {"strategy": "direct", "transformation": None, "difference": "first"}
MONTHS = pd.date_range("2015-01-01", periods=90, freq="MS")


def quick(**parameters):
    given = {"horizon": 4, "max_epochs": 2, "season": 12, "random_state": 0, **FIXED}
    return RNNForecaster(**{**given, **parameters})


def wave(n=90, noise=0.1, seed=0):
    t = np.arange(n)
    random = np.random.default_rng(seed)
    return 10 + 3 * np.sin(2 * np.pi * t / 12) + random.normal(0, noise, n)


# -- what is cut and differenced -----------------------------------------------------


@pytest.mark.parametrize("lags", [(), (1,), (12,), (1, 12)])
def test_differences_lead_back(lags):
    z = np.random.default_rng(0).normal(size=(3, 40, 2))
    differencing = Differencing(lags)
    expected = z
    for lag in lags:
        expected = expected[:, lag:] - expected[:, :-lag]
    d = differencing(z)
    np.testing.assert_allclose(d, expected)
    found = differencing.integrate(z[:, :30], d[:, -10:])
    np.testing.assert_allclose(found, z[:, 30:], atol=1e-10)
    levels = differencing.levels(d[:, -10:])
    np.testing.assert_allclose(differencing.of_levels(levels), d[:, -10:], atol=1e-10)


def test_windows_are_those_of_a_loop():
    series = [np.arange(20.0)[:, None], 100 + np.arange(9.0)[:, None]]
    for one_step in (True, False):
        windows = cut_windows(series, None, 4, 3, one_step, Differencing(()), 0.0)
        samples = windows.samples(torch.device("cpu"), torch.float64)
        x = samples.x.batch(samples.rows)[:, :, 0].numpy()
        y = samples.targets.numpy()
        loop_x, loop_y = [], []
        for d in (s[:, 0] for s in series):
            for p in range(len(d) - 4 + one_step):
                loop_x.append(d[p : p + 4])
                ahead = d[p + 1 : p + 5] if one_step else d[p + 4 : p + 7]
                full = 4 if one_step else 3
                loop_y.append(
                    np.pad(ahead, (0, full - len(ahead)), constant_values=np.nan)
                )
        np.testing.assert_array_equal(x, loop_x)
        np.testing.assert_array_equal(y, loop_y)


def test_the_validation_set_is_the_end():
    series = [np.arange(40.0)[:, None]]
    windows = cut_windows(series, None, 5, 3, False, Differencing(()), 0.25)
    cpu, double = torch.device("cpu"), torch.float64
    early, late = (windows.samples(cpu, double, part) for part in (False, True))
    assert np.nanmax(early.targets) == 29 and np.nanmin(late.targets) == 30
    rnn = quick(early_stopping=True, max_epochs=5).fit(wave())
    assert len(rnn.validation_loss_curve_) == rnn.n_iter_


# -- forecasts -----------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_season_is_learned(strategy, cell):
    y = wave(130)
    rnn = quick(strategy=strategy, cell=cell, difference=None, horizon=6, max_epochs=30)
    forecast = rnn.set_params(intervals=False, n_layers=2).fit(y[:118]).predict(12)
    assert np.abs(forecast - y[118:]).mean() < 0.9  # the mean would be wrong by 1.9


def test_recursion_carries_the_state():
    """As reading everything again from the beginning of the window would."""
    rnn = quick(strategy="recursive", difference=None, intervals=False).fit(wave())
    module, x = rnn.net_.module_, torch.randn(3, rnn.window_, 1)
    with torch.inference_mode():
        rolled = module.roll(x, 5)
        for step in range(5):
            states, _ = module.read(x.transpose(0, 1))
            following = module.head(states[-1])
            torch.testing.assert_close(rolled[:, step], following)
            x = torch.cat([x, following[:, None]], 1)


def test_direct_goes_on_block_by_block():
    y = wave()
    rnn = quick(intervals=False).fit(y)
    first = rnn.predict(4)
    found = rnn.predict(10)
    np.testing.assert_array_equal(found[:4], first)
    longer = np.concatenate([y, first])
    np.testing.assert_allclose(found[4:8], rnn.predict(4, y=longer), rtol=1e-5)
    np.testing.assert_array_equal(rnn.predict([2, 7]), found[[1, 6]])


def test_the_past_is_the_same_series_given_again():
    y = wave()
    rnn = quick().fit(y)
    np.testing.assert_array_equal(rnn.predict(), rnn.predict(y=y))
    assert not np.array_equal(rnn.predict(), rnn.predict(y=y[:-1]))


def test_differencing_is_chosen_by_the_past():
    t = np.arange(110)
    y = np.exp(0.02 * t + 0.3 * np.sin(2 * np.pi * t / 12))
    rnn = RNNForecaster(strategy="direct", horizon=12, max_epochs=5, random_state=0)
    rnn.set_params(n_combined=1).fit(y[:98])
    assert rnn.season_ == 12 and rnn.difference_ == "seasonal"
    assert rnn.members_ == []
    rows = rnn.selection_
    assert [r["error"] for r in rows] == sorted(r["error"] for r in rows)
    assert {r["transformation"] for r in rows} == {None, "log"}
    assert rows[0]["fits"] == 3 and len(rows) == 3 + 1
    assert np.abs(rnn.predict() - y[98:]).mean() < np.abs(y[86:98] - y[98:]).mean() / 2


def combining(**settings):
    defaults = {"horizon": 4, "window": 6, "max_epochs": 3, "random_state": 0}
    return RNNForecaster(**{**defaults, "season": None, **settings})


def test_the_best_ways_forecast_together():
    y = wave(90)
    rnn = combining().fit(y)
    (other,) = rnn.members_
    used = [row for row in rnn.selection_ if row["used"]]
    assert len(used) == 2 and used[0] is rnn.selection_[0]
    ways = {(row["strategy"], row["difference"]) for row in used}
    assert ways == {(m.strategy_, m.difference_) for m in (rnn, other)}
    alone = other.predict()
    np.testing.assert_allclose(rnn.predict(), (_alone(rnn) + alone) / 2, rtol=1e-6)
    np.testing.assert_allclose(rnn.predict(), rnn.predict(y=y), rtol=1e-6)
    lower, upper = rnn.predict_interval(coverage=0.5)
    np.testing.assert_allclose((lower + upper) / 2, rnn.predict(), rtol=1e-6)
    assert len(combining(n_combined=8).fit(y).members_) == 3
    assert combining(strategy="direct", difference=None).fit(y).members_ == []


def test_a_series_too_short_for_a_season_rules_it_out():
    y = [wave(), wave(13, seed=1)]
    for given in ({}, {"strategy": "direct"}):
        rnn = combining(horizon=2, window="auto", season=12, **given).fit(y)
        assert {row["difference"] for row in rnn.selection_} == {None, "first"}
        assert [len(forecast) for forecast in rnn.predict()] == [2, 2]


def _alone(rnn):
    """What the forecaster's own network says."""
    twin = copy.copy(rnn)
    twin.members_ = []
    return twin.predict()


def test_all_members_are_kept_and_go_on_learning(tmp_path):
    y, x = wave(90), np.sin(np.arange(94.0))
    rnn = combining(intervals=False).fit(y, x[:90])
    found = rnn.predict(4, x[90:])
    rnn.save(tmp_path / "rnn")
    for twin in (sknets.load(tmp_path / "rnn"), pickle.loads(pickle.dumps(rnn))):
        np.testing.assert_array_equal(twin.predict(4, x[90:]), found)
    stepwise = combining(intervals=False)
    for _ in range(3):
        stepwise.partial_fit(y, x[:90])
    np.testing.assert_allclose(stepwise.predict(4, x[90:]), found, rtol=1e-6)
    before = rnn.members_[0]
    rnn.set_params(warm_start=True, max_epochs=2).fit(y, x[:90])
    assert rnn.n_iter_ == rnn.members_[0].n_iter_ == 5
    assert before.n_iter_ == 3
    with pytest.raises(ValueError, match="NaN"):
        rnn.fit(np.append(y, np.nan), x[:91])
    assert rnn.n_iter_ == 5


def test_a_known_future_is_used():
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 2))
    y = 5 * x[:, 0] + random.normal(0, 0.1, 120)
    for strategy in ("direct", "recursive"):
        rnn = quick(strategy=strategy, difference=None, max_epochs=40, lr=0.02)
        rnn.set_params(window=6)
        rnn.fit(y[:110], x[:110])
        error = np.abs(rnn.predict(10, x[110:]) - y[110:]).mean()
        assert error < 0.5 * np.abs(y[110:]).mean()
        again = rnn.predict(10, x[110:], y=y[:110], X=x[:110])
        np.testing.assert_array_equal(again, rnn.predict(10, x[110:]))
        splits = TimeSeriesSplit(2, test_size=10)
        rnn.set_params(max_epochs=2)
        assert np.isfinite(cross_val_score(rnn, y, x, cv=splits)).all()


def test_a_panel_is_scale_free():
    panel = [wave(60 + i, seed=i) * 10.0**i for i in range(4)]
    rnn = quick(difference="seasonal", window=10).fit(panel)
    found = rnn.predict()
    assert found.dtype == object and len(found) == 4
    doubled = rnn.predict(y=[p * 1000 for p in panel])
    for one, other in zip(found, doubled):
        np.testing.assert_allclose(other, one * 1000, rtol=1e-5)
    assert np.isfinite(rnn.score(panel))
    unknown = rnn.predict(2, y=[wave(40, seed=9)])
    assert unknown[0].shape == (2,)


# -- containers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        MONTHS,
        pd.DatetimeIndex(MONTHS.to_numpy()),  # a frequency to be inferred
        pd.date_range("2020-03-01", periods=90, freq="D", tz="Europe/Madrid"),
        pd.period_range("2015-01", periods=90, freq="Q"),
        pd.RangeIndex(10, 190, 2),
        pd.Index(1700.0 + np.arange(90)),
    ],
)
def test_the_index_goes_on(index):
    y = pd.Series(wave(), index, name="flow")
    rnn = quick().fit(y[:86])
    found = rnn.predict()
    assert found.index.equals(y.index[86:]) and found.index.name == y.index.name
    assert found.name == "flow"
    np.testing.assert_array_equal(found, quick().fit(wave()[:86]).predict())
    lower, upper = rnn.predict_interval([1, 3], coverage=0.5)
    pd.testing.assert_index_equal(lower.index, y.index[[86, 88]])
    assert (lower < upper).all()
    assert np.isfinite(rnn.score(y[86:]))
    assert rnn.score(y[87:]) == -np.abs(found[1:] - y[87:]).mean() / rnn.naive_error_[0]
    with pytest.raises(ValueError, match="it must follow the fitted series"):
        rnn.score(y[80:84])


def test_channels_and_panels_come_back_as_they_came():
    both = pd.DataFrame({"a": wave(), "b": -wave(seed=1)}, MONTHS)
    found = quick().fit(both).predict()
    assert list(found.columns) == ["a", "b"] and len(found) == 4
    assert quick().fit(both.to_numpy()).predict(3).shape == (3, 2)
    by_name = {"x": both["a"], "y": both["b"][:80]}
    rnn = quick().fit(by_name)
    found = rnn.predict(2)
    assert found["y"].index[0] == MONTHS[80]
    framed = quick().fit(pd.concat(by_name)).predict(2)
    np.testing.assert_array_equal(framed.loc["y"], found["y"])
    stacked = quick().fit(np.stack([both.to_numpy(), both.to_numpy() * 2]))
    assert stacked.predict(5).shape == (2, 5, 2)
    assert quick().fit(both[["a"]]).predict().shape == (4, 1)


def test_saved_forecasters_remember_the_index(tmp_path):
    rnn = quick().fit(pd.Series(wave(), MONTHS))
    rnn.save(tmp_path / "rnn.safetensors")
    twin = sknets.load(tmp_path / "rnn.safetensors")
    pd.testing.assert_series_equal(twin.predict(), rnn.predict())


# -- intervals, backtests, searches --------------------------------------------------


def test_intervals_cover_what_they_say():
    noise = np.random.default_rng(1).normal(size=(16, 200))
    y = noise.copy()
    for t in range(1, 200):
        y[:, t] += 0.7 * y[:, t - 1]
    rnn = quick(difference=None, max_epochs=8).fit(list(y[:, :130]))
    inside = {0.6: [], 0.9: []}
    for origin in range(130, 196, 4):
        for coverage, found in inside.items():
            past = list(y[:, :origin])
            lower, upper = map(list, rnn.predict_interval(coverage=coverage, y=past))
            came = y[:, origin : origin + 4]
            found.append((lower <= came) & (came <= upper))
    for coverage, found in inside.items():
        assert abs(np.mean(found) - coverage) < 0.06


def test_a_backtest_never_looks_ahead():
    y = wave()
    rnn = RNNForecaster(
        horizon=4, max_epochs=1, strategy="direct", window=6, random_state=0
    )
    result = rnn.backtest(y, n_origins=3, coverage=0.8)
    assert result.table["origin"].unique().tolist() == [77, 81, 85]
    changed = y.copy()
    changed[86:] = 1000.0
    again = rnn.backtest(changed, n_origins=3, coverage=0.8)
    columns = ["origin", "step", "prediction", "lower", "upper"]
    pd.testing.assert_frame_equal(result.table[columns], again.table[columns])
    refitted = rnn.set_params(**FIXED).backtest(changed, n_origins=2, refit=True)
    alone = clone(rnn).fit(y[:86]).predict()
    np.testing.assert_array_equal(refitted.table["prediction"][4:], alone)
    assert not hasattr(rnn, "net_")


def test_a_backtest_is_easy_to_read():
    frame = pd.DataFrame({"a": wave(), "b": wave(seed=1) * 100}, MONTHS)
    result = quick().backtest(frame, initial=60, step=10, coverage=0.8)
    table = result.table
    assert table["origin"].unique().tolist() == [MONTHS[59], MONTHS[69], MONTHS[79]]
    assert set(table["channel"]) == {"a", "b"}
    for _, row in table.iterrows():
        assert row["y"] == frame.loc[row["time"], row["channel"]]
    error = (table["y"] - table["prediction"]).abs()
    assert result.metrics["MAE"] == pytest.approx(error.mean())
    assert list(result.by_step.index) == [1, 2, 3, 4]
    assert "MASE" in repr(result)
    panel = quick().backtest([wave(), wave(70)], n_origins=2)
    assert set(panel.table["series"]) == {0, 1}


def test_searches_cut_the_series_in_time():
    y = pd.Series(wave(), MONTHS)
    search = GridSearchCV(
        quick(intervals=False),
        {"difference": [None, "first"]},
        cv=TimeSeriesSplit(2, test_size=6),
        error_score="raise",
    )
    search.fit(y)
    assert search.best_score_ <= 0 and len(search.predict(6)) == 6
    scores = cross_val_score(quick(), y, cv=TimeSeriesSplit(3, test_size=6))
    assert np.isfinite(scores).all()


# -- wrong input ---------------------------------------------------------------------


def with_gap():
    y = pd.Series(wave(), MONTHS)
    return y.drop(MONTHS[40])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan, 2.0], "NaN or infinity at position 1: fill the gaps"),
        (wave(20), r"y has 20 values, .* needs at least 26"),
        (pd.Series(wave(), MONTHS[::-1]), "not in the order of time"),
        (pd.Series(wave(), [*MONTHS[:89], MONTHS[0]]), "twice in its index"),
        (with_gap(), "no regular frequency"),
        (["a", "b"], "takes a series, not text: use"),
        ([], "holds no series"),
        ([wave(), np.ones((90, 2))], r"y\[1\] has 2 channels"),
    ],
)
def test_a_wrong_series_is_one_sentence(y, message):
    with pytest.raises(ValueError, match=message) as raised:
        quick(window=24, intervals=False).fit(y)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"horizon": [0, 1]}, "each step must be at least 1"),
        ({"horizon": 2.5}, "a number of steps or a list"),
        ({"X_future": np.ones((4, 1))}, "fit had no exogenous columns"),
        ({"y": wave(5)}, "y has 5 values"),
        ({"y": np.ones((90, 2))}, "y has 2 channels, but fit had 1"),
        ({"y": [wave(), wave()]}, "y is a panel, but fit had one series"),
    ],
)
def test_a_wrong_question_is_one_sentence(arguments, message):
    rnn = quick(intervals=False).fit(wave())
    with pytest.raises(ValueError, match=message):
        rnn.predict(**arguments)


def test_exogenous_columns_must_fit():
    y, x = wave(), np.ones((94, 2))
    with pytest.raises(ValueError, match="X has 94 rows, but y has 90"):
        quick().fit(y, x)
    rnn = quick(intervals=False).fit(y, x[:90])
    with pytest.raises(ValueError, match="give X_future, their 4 rows"):
        rnn.predict()
    with pytest.raises(ValueError, match="X_future has 3 rows, but 4 steps"):
        rnn.predict(4, x[:3])
    with pytest.raises(ValueError, match="X_future has 1 columns, but fit had 2"):
        rnn.predict(4, x[:4, :1])
    with pytest.raises(ValueError, match="give X, those at the times of y"):
        rnn.predict(4, x[:4], y=y)
    dated = pd.Series(y, MONTHS)
    rnn.fit(dated, x[:90])
    late = pd.DataFrame(x[:4], pd.date_range("2030-01-01", periods=4, freq="MS"))
    with pytest.raises(ValueError, match="X_future ends at 2030"):
        rnn.predict(4, late)


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="there is no log: set transformation=None"):
        quick(transformation="log").fit(wave() - 10)
    with pytest.raises(ValueError, match="no season to be seen: give season"):
        quick(difference="seasonal", season=None).fit(wave())
    with pytest.raises(ValueError, match="too few for"):
        RNNForecaster(horizon=4).fit(wave(7))
    rnn = quick(intervals=False).fit(wave())
    with pytest.raises(ValueError, match="fit had intervals=False"):
        rnn.predict_interval()
    rnn = quick().fit(wave())
    with pytest.raises(ValueError, match="intervals reach to step 4, not to 5"):
        rnn.predict_interval(5)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        rnn.predict_interval(coverage=90)
    with pytest.raises(ValueError, match="too few for 40 origins"):
        rnn.backtest(wave(), n_origins=40)
