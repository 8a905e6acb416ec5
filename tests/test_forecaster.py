"""RNNForecaster: against closed forms and its own past; every kind of series."""

import copy
import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

import sknets
from sknets import RNNForecaster
from sknets._engine._skorch import Callback
from sknets._inputs.timelines import index_at, steps_after, timeline
from sknets._inputs.windows import Differencing, Treatment, cut_windows
from sknets._rolling import Trial, select

torch.set_num_threads(1)

FIXED = {"strategy": "direct", "transformation": None, "difference": "first"}
MONTHS = pd.date_range("2015-01-01", periods=90, freq="MS")


LATE = pd.to_timedelta(np.arange(90) * 7 % 20, "D")


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
        strategy = "recursive" if one_step else "direct"
        treatment = Treatment(strategy, None, None, None, 4)
        windows = cut_windows(treatment, series, None, 3, 0.0)
        samples = windows.samples(torch.device("cpu"), torch.float64)
        x = samples.x.batch(samples.rows).values[:, :, 0].numpy()
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
    treatment = Treatment("direct", None, None, None, 5)
    windows = cut_windows(treatment, series, None, 3, 0.25)
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
    rnn = quick(strategy=strategy, cell=cell, difference=None, horizon=6, max_epochs=12)
    rnn.set_params(intervals=False, n_layers=2, window=13, lr=0.02)
    forecast = rnn.fit(y[:118]).predict(12)
    assert np.abs(forecast - y[118:]).mean() < 0.9  # the mean would be wrong by 1.9


def test_a_plain_cell_has_biases():
    """The next value is an even function of the last: without them it cannot be."""
    y = np.full(220, 0.3)
    for t in range(219):
        y[t + 1] = 1 - 1.7 * abs(y[t])
    settings = {"horizon": 1, "window": 3, "max_epochs": 30, "intervals": False}
    rnn = quick(cell="rnn", strategy="recursive", difference=None, **settings)
    rnn.fit(y[:200])
    errors = [abs(rnn.predict(y=y[:k])[0] - y[k]) for k in range(200, 220)]
    assert np.mean(errors) < 0.3 * np.abs(y - y.mean()).mean()


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
    rnn.set_params(n_ensemble=1).fit(y[:98])
    assert rnn.treatment_ == Treatment(
        *(rnn.strategy_, rnn.transformation_, rnn.difference_, rnn.season_, rnn.window_)
    )
    assert rnn.season_ == 12 and rnn.difference_ == "seasonal"
    assert rnn.members_ == []
    rows = rnn.selection_
    assert [r["error"] for r in rows] == sorted(r["error"] for r in rows)
    assert {r["transformation"] for r in rows} == {None, "log"}
    assert rows[0]["fits"] == 3 and len(rows) == 3 + 1
    assert rows[-1]["fits"] == 1  # the worst is not tried again
    assert np.abs(rnn.predict() - y[98:]).mean() < np.abs(y[86:98] - y[98:]).mean() / 2


def test_what_is_selected_depends_on_trials_alone():
    names = [None, "first", "seasonal"]
    every = [
        Treatment(strategy, transform, difference, 12, 24)
        for transform in ("log", None)
        for strategy in ("direct", "recursive")
        for difference in names
    ]

    def trial(treatment, number, factor):
        if treatment.difference is None:
            return None  # diverged
        error = {"direct": 0, "recursive": 0.01}[treatment.strategy]
        error += names.index(treatment.difference) + 0.02 * number
        error *= factor if treatment.transformation else 1
        return Trial(error, np.zeros(0), np.zeros(0))

    for factor, transform in ((0.85, None), (0.7, "log")):
        tries = partial(trial, factor=factor)
        used, tried = select(every, tries, 2)
        expected = [(s, transform, "first") for s in ("direct", "recursive")]
        found = [(t.strategy, t.transformation, t.difference) for t in used]
        assert found == expected
        assert [len(tried[each]) for each in used] == [3, 3]
        seasonal = [done for t, done in tried.items() if t.difference == "seasonal"]
        assert [len(done) for done in seasonal] == [1, 1]  # twice the error of the best
        again = select(every, tries, 2)
        assert again[0] == used and again[1].keys() == tried.keys()


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
    found = [each.treatment_ for each in (rnn, other)]
    assert ways == {(each.strategy, each.difference) for each in found}
    alone = other.predict()
    np.testing.assert_allclose(rnn.predict(), (_alone(rnn) + alone) / 2, rtol=1e-6)
    np.testing.assert_allclose(rnn.predict(), rnn.predict(y=y), rtol=1e-6)
    lower, upper = rnn.predict_interval(coverage=0.5)
    np.testing.assert_allclose((lower + upper) / 2, rnn.predict(), rtol=1e-6)
    assert len(combining(n_ensemble=8).fit(y).members_) == 3
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
    y, x = wave(90), np.sin(np.arange(94.0))[:, None]
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
        rnn.set_params(window=6, intervals=False)
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
    rnn = quick(difference=None, window=8, max_epochs=8).fit(list(y[:, :130]))
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
    result = rnn.backtest(y, n_origins=2, coverage=0.8)
    assert result.table["origin"].unique().tolist() == [81, 85]
    changed = y.copy()
    changed[86:] = 1000.0
    again = rnn.backtest(changed, n_origins=2, coverage=0.8)
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
        (pd.Series(wave(), MONTHS.strftime("%Y-%m-%d")), r"by pd.to_datetime\(index\)"),
        (pd.Series(wave(), MONTHS.to_period("M")).drop("2018-05"), "pd.period_range"),
        (pd.Series(wave()).drop(40), r"after 39: .* reindex\(range"),
        (pd.Series(wave(), MONTHS + LATE), r"give it the index y.index.to_period\('M'"),
        (wave() * 1e160, "y has values as large as 1.3.*e.161.*larger units"),
        ([5.0], "y has 1 value, but at least 2 are needed"),
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
        ({"horizon": 2.5}, "a number of steps, a list of steps or of dates"),
        ({"fh": 0}, r"\(fh=0\): fh must be at least 1"),
        ({"horizon": 3, "fh": [1, 2]}, r"horizon=3, fh=\[1, 2\]\): .* give one"),
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
    with pytest.raises(ValueError, match="X_future has no row of 2022-07"):
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
    with pytest.raises(ValueError, match="too few for 90 origins"):
        rnn.backtest(wave(), n_origins=90)


# -- exogenous columns by name and date ----------------------------------------------


def weather(index=MONTHS):
    values = np.random.default_rng(5).normal(size=(len(index), 2))
    return pd.DataFrame(values, index, columns=["temp", "holiday"])


@pytest.fixture(scope="module")
def dated():
    """A forecaster of 80 months with two exogenous columns, and all 90 of these."""
    known = weather()
    y = pd.Series(wave() + known["temp"].to_numpy(), MONTHS, name="load")
    return quick().fit(y[:80], known[:80]), y, known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e[["holiday", "temp"]], "they are in another order"),
        (
            lambda e: e.rename(columns={"temp": "t"}),
            r"\['t'\], now missing: \['temp'\]",
        ),
        (lambda e: e[["temp"]], r"now missing: \['holiday'\]"),
        (lambda e: e.assign(wind=1.0), r"unseen at fit time: \['wind'\]"),
        (lambda e: e[:83], "no row of 2021-12-01"),
        (lambda e: e.set_axis(["temp", "temp"], axis=1), "column 'temp' twice"),
    ],
)
def test_the_columns_of_the_future_are_those_of_fit(dated, change, message):
    rnn, y, known = dated
    with pytest.raises(ValueError, match=message):
        rnn.predict(4, change(known))
    if "row" not in message:
        with pytest.raises(ValueError, match=message):
            rnn.predict(4, known, y=y[:80], X=change(known[:80]))


def test_a_frame_is_aligned_by_its_dates(dated):
    rnn, y, known = dated
    expected = rnn.predict(4, known[80:84])
    pd.testing.assert_series_equal(rnn.predict(4, known), expected)
    pd.testing.assert_series_equal(rnn.predict(4, known, y=y[:80], X=known), expected)
    again = quick().fit(y[:80], known)
    pd.testing.assert_series_equal(again.predict(4, known), expected)
    with pytest.warns(UserWarning, match="fit had names of columns, but X_future has"):
        np.testing.assert_array_equal(rnn.predict(4, known[80:84].to_numpy()), expected)


def test_the_series_of_a_panel_are_found_by_their_names():
    known = weather()
    y = {"a": pd.Series(wave()), "b": pd.Series(wave(seed=1) * 9)}
    x = {key: weather(range(90)) * (i + 1) for i, key in enumerate("ab")}
    rnn = quick(intervals=False).fit(y, x)
    future = {key: x[key].set_axis(range(90, 180)) for key in "ba"}
    found = rnn.predict(4, future)
    again = quick(intervals=False).fit(y, {key: x[key] for key in "ba"})
    for key, values in again.predict(4, dict(reversed(future.items()))).items():
        np.testing.assert_array_equal(values, found[key])
    with pytest.raises(ValueError, match="X_future has no series 'b', but y has"):
        rnn.predict(4, {"a": future["a"], "c": future["b"]})
    with pytest.raises(ValueError, match=r"y\[1\] has the columns \['holiday', 'temp'"):
        quick().fit([known, known[["holiday", "temp"]]])


def test_channels_keep_their_order():
    both = pd.DataFrame({"a": wave(), "b": -wave(seed=1)}, MONTHS)
    rnn = quick().fit(both)
    with pytest.raises(ValueError, match=r"columns of y .* they are in another order"):
        rnn.predict(y=both[["b", "a"]])
    with pytest.warns(UserWarning, match="fit had names of columns, but y has none"):
        rnn.predict(y=both.to_numpy())


def test_exogenous_columns_in_cross_validation(dated):
    rnn, y, known = dated
    splits = TimeSeriesSplit(2, test_size=6)
    message = r"the series comes first; got y \(78, 2\) and X \(78,\).* exogenous=\["
    with pytest.raises(ValueError, match=message):
        cross_val_score(quick(), known, y, cv=splits, error_score="raise")
    frame = known.assign(load=y)
    scores = cross_val_score(quick(exogenous=["temp", "holiday"]), frame, cv=splits)
    expected = cross_val_score(quick(), y, known, cv=splits)
    np.testing.assert_array_equal(scores, expected)
    inside = quick(exogenous=["temp", "holiday"]).fit(frame[:80])
    expected = rnn.predict(4, known)
    pd.testing.assert_frame_equal(inside.predict(4, known), expected.to_frame())
    assert inside.score(frame[80:]) == rnn.score(y[80:], known[80:])
    with pytest.raises(ValueError, match="y begins 3 steps after the end"):
        inside.score(frame[82:])
    by_number = quick(exogenous=[0, 1]).fit(frame.to_numpy()[:80])
    found = by_number.predict(4, known[80:84].to_numpy())
    np.testing.assert_array_equal(found[:, 0], expected)
    result = quick(exogenous=["temp", "holiday"]).backtest(frame, n_origins=2)
    alone = quick().backtest(y, known, n_origins=2)
    pd.testing.assert_frame_equal(result.table, alone.table)
    for names, sentence in (
        (["temq"], "the series has no column 'temq', it has"),
        (["temp", "holiday", "load"], "no other column that could be forecast"),
    ):
        with pytest.raises(ValueError, match=sentence):
            quick(exogenous=names).fit(frame)
    with pytest.raises(ValueError, match="X is given, but exogenous names columns"):
        quick(exogenous=["temp"]).fit(frame, known)


# -- when and how much ---------------------------------------------------------------


def test_the_horizon_may_be_dates():
    y = pd.Series(wave(), MONTHS)
    rnn, months = quick().fit(y[:80]), MONTHS.to_period("M")
    expected = rnn.predict([1, 4])
    for asked in (MONTHS[[80, 83]], list(MONTHS[[80, 83]]), ["2021-09-01", "2021-12"]):
        pd.testing.assert_series_equal(rnn.predict(asked), expected)
    by_period = quick().fit(y.set_axis(months)[:80])
    for asked in (months[[80, 83]], MONTHS[[80, 83]], ["2021-09", "2021-12"]):
        found = by_period.predict(asked)
        assert found.index.equals(months[[80, 83]])
        np.testing.assert_array_equal(found, expected)
    lower, upper = rnn.predict_interval(MONTHS[[80, 83]])
    assert lower.index.equals(upper.index) and lower.index.equals(expected.index)
    for fh in (2, [1, 4], np.array([4]), MONTHS[[80, 83]]):
        pd.testing.assert_series_equal(rnn.predict(fh=fh), rnn.predict(fh))
    lower, upper = rnn.predict_interval(fh=[1, 4], coverage=0.8)
    assert (lower < expected).all() and (expected < upper).all()
    (middle,) = rnn.predict_quantiles(fh=[1, 4], quantiles=[0.5]).values()
    pd.testing.assert_series_equal(middle, expected)
    for asked in (MONTHS[[79, 80]], ["2021-09-17"], months[[80]]):
        with pytest.raises(ValueError, match="the dates of y end at 2021-08-01"):
            rnn.predict(asked)
    with pytest.raises(ValueError, match="y has no index"):
        quick().fit(wave()).predict(MONTHS[:2])
    with pytest.raises(ValueError, match="do not end at the same time"):
        quick().fit({"a": y[:80], "b": y[:79]}).predict(MONTHS[80:82])


@pytest.mark.parametrize("zone", [None, "Europe/Madrid"])
@pytest.mark.parametrize("freq", ["15min", "h", "D", "2D", "B", "W-SUN", "ME", "QE"])
def test_an_index_is_known_from_its_end(freq, zone):
    index = pd.date_range("2020-01-31", periods=60, freq=freq).tz_localize(zone)
    given = pd.DatetimeIndex(index[:50], freq=None)
    line = timeline(given, "y")
    for steps in (np.arange(-49, 11), np.arange(1, 11), np.array([3, -4, 10])):
        assert index_at(line, steps).equals(index[49 + steps])
    assert steps_after(line, index[[52, 59]]).tolist() == [3, 10]
    assert steps_after(line, index[[49, 50]]) is None


def test_several_intervals_and_quantiles():
    rnn = quick(horizon=6).fit(wave())
    found = rnn.predict_interval(coverage=[0.5, 0.9])
    for coverage, bounds in found.items():
        np.testing.assert_array_equal(bounds, rnn.predict_interval(coverage=coverage))
    by_share = rnn.predict_quantiles(quantiles=[0.25, 0.5, 0.75])
    np.testing.assert_array_equal(by_share[0.5], rnn.predict())
    alone = rnn.predict_quantiles(quantiles=0.25)
    np.testing.assert_array_equal(by_share[0.25], alone)
    np.testing.assert_array_equal([by_share[0.25], by_share[0.75]], found[0.5])
    values = np.stack(list(rnn.predict_quantiles().values()))
    assert (np.diff(values, axis=0) >= 0).all()
    with pytest.raises(ValueError, match=r"quantiles=1.5\): must be between 0 and 1"):
        rnn.predict_quantiles(quantiles=[0.5, 1.5])


@pytest.mark.parametrize("value", [-3e-6, 0.0, 0.1, 1e120])
def test_a_constant_is_forecast_as_itself(value):
    y = np.full(60, value)
    rnn = RNNForecaster(horizon=14, max_epochs=2).fit(y)
    assert rnn.selection_ == [] and rnn.members_ == []
    np.testing.assert_array_equal(rnn.predict(), y[:14])
    np.testing.assert_array_equal(rnn.predict_interval(), [y[:14]] * 2)
    assert rnn.score(y[:5]) == 0
    beside = quick(difference=None).fit(np.stack([y, wave(60)], 1))
    np.testing.assert_array_equal(beside.predict()[:, 0], y[:4])
    panel = quick(window=5).fit([wave(60), y])
    np.testing.assert_array_equal(panel.predict()[1], y[:4])


@pytest.mark.parametrize("unit", [1e-200, 1e140])
def test_units_do_not_matter(unit):
    t = np.arange(60)
    for y in (wave(60), wave(60) - 10 + 0.1 * t):
        settings = {"difference": "auto", "max_epochs": 1, "transformation": "auto"}
        rnn, other = (quick(**settings, season="auto").fit(v) for v in (y, y * unit))
        assert rnn.treatment_ == other.treatment_
        np.testing.assert_allclose(other.predict(), rnn.predict() * unit, rtol=1e-5)
        found = other.predict_interval()
        np.testing.assert_allclose(found, np.stack(rnn.predict_interval()) * unit, 1e-5)
        ratio = other.score(y[:4] * unit) / rnn.score(y[:4])
        np.testing.assert_allclose(ratio, 1, rtol=1e-5)


def test_a_backtest_has_something_to_learn_from():
    y = wave(144)
    result = quick(horizon=24, intervals=False).backtest(y, n_origins=5)
    assert result.table["origin"].unique().tolist() == [71, 83, 95, 107, 119]
    last = quick(horizon=24, intervals=False).fit(y[:120]).predict()
    np.testing.assert_array_equal(result.table["prediction"][-24:], last)
    with pytest.warns(UserWarning, match="the first origin has only 60 of 144 values"):
        quick(horizon=24, intervals=False).backtest(y, initial=60, refit=False)


@pytest.mark.parametrize("difference", ["auto", None, "both"])
def test_short_series_work_or_are_refused_in_one_sentence(difference):
    for n in (1, 2, 3, 5, 8, 20):
        rnn = RNNForecaster(difference=difference, max_epochs=1, horizon=3, season=3)
        fits = 0
        for intervals in (True, False):
            try:
                rnn.set_params(intervals=intervals).fit(wave(n))
            except ValueError as refused:
                assert re.match(rf"RNNForecaster: y has {n} value", str(refused))
            else:
                fits += 1
                assert np.isfinite(rnn.predict()).all()
    assert fits == 2


def test_a_bar_covers_the_trials(capsys):
    y = wave(40)
    combining(verbose=1, max_epochs=1, window=3).fit(y)
    assert re.search(r"RNNForecaster: trials: \d+fit", capsys.readouterr().err)
    rnn = combining(max_epochs=1, window=3).fit(y)
    assert capsys.readouterr() == ("", "")
    rnn.set_params(verbose=1, **FIXED).backtest(y, n_origins=2)
    assert "RNNForecaster.backtest: 100%" in capsys.readouterr().err


def test_saved_forecasters_remember_exogenous_columns(dated, tmp_path):
    _, y, known = dated
    frame = known.assign(load=y)
    rnn = quick(exogenous=["temp", "holiday"]).fit(frame[:80])
    rnn.save(tmp_path / "rnn")
    twin = sknets.load(tmp_path / "rnn")
    pd.testing.assert_frame_equal(twin.predict(4, known), rnn.predict(4, known))
    assert twin.exogenous_names_ == ["temp", "holiday"]


def test_a_small_network_trains_in_one_thread():
    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            threads.append(torch.get_num_threads())

    torch.set_num_threads(2)
    try:
        for hidden_size, expected in ((8, 1), (200, 2)):
            threads = []
            rnn = quick(hidden_size=hidden_size, callbacks=[Watch()], max_epochs=1)
            rnn.set_params(intervals=False, window=2).fit(wave(40))
            assert threads == [expected]
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
