"""`compare` of a series: rolling origins, right errors, forecasts beside ours."""

import importlib.util
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_score

from sknets import RNNForecaster, compare
from sknets._comparison.forecasters import Autoregression, ExponentialSmoothing
from sknets._comparison.measuring import Deadline, TimeUp

NAIVE = ["Naive", "Mean", "Drift", "SeasonalNaive"]
MONTHS = pd.date_range("2010-01-01", periods=120, freq="MS")


def waves(n=120, seed=0):
    t, noise = np.arange(n), np.random.default_rng(seed).normal(size=n)
    return 50 + 0.2 * t + 8 * np.sin(2 * np.pi * t / 12) + noise


def run(X, **given):
    defaults = {"models": NAIVE, "horizon": 6, "verbose": 0, "random_state": 0}
    return compare(X, **{**defaults, **given})


def quick(**given):
    fixed = {"strategy": "direct", "transformation": None, "difference": "seasonal"}
    fixed |= {"horizon": 6, "season": 12, "max_epochs": 2, "intervals": False}
    return RNNForecaster(**{**fixed, "random_state": 0, **given})


class Spy(BaseEstimator):
    """A forecaster from elsewhere: the last value, and what it was given."""

    seen: list = []  # noqa: RUF012
    now = 0.0

    def fit(self, y):
        Spy.now += 1
        self.seen.append(y)
        self.last_ = np.asarray(y)[-1]
        return self

    def predict(self, n_steps):
        return np.full(n_steps, self.last_)


# -- the errors ----------------------------------------------------------------------


def test_errors_are_those_of_a_loop():
    y, h, origins = waves(), 6, [90, 96, 102, 108, 114]
    result = run(pd.Series(y, MONTHS))
    for i, o in enumerate(origins):
        past, future, ahead = y[:o], y[o : o + h], np.arange(1, h + 1)
        drift = (past[-1] - past[0]) / (o - 1)
        forecasts = {
            "Naive": np.full(h, past[-1]),
            "Mean": np.full(h, past.mean()),
            "Drift": past[-1] + ahead * drift,
            "SeasonalNaive": past[-12 : -12 + h],
        }
        for name, forecast in forecasts.items():
            error = np.abs(forecast - future)
            figures = {
                "mase": error.mean() / np.abs(np.diff(past)).mean(),
                "rmse": np.sqrt((error**2).mean()),
                "mae": error.mean(),
                "smape": 200 * (error / (np.abs(forecast) + np.abs(future))).mean(),
            }
            found = result.scores.loc[(name, i)]
            np.testing.assert_allclose(found[list(figures)], list(figures.values()))
    np.testing.assert_array_equal(
        result.table["mase"], np.sort(result.scores["mase"].groupby("model").mean())
    )
    assert "5 origins, 6 steps ahead; ranked by mase, lower is better" in result.summary


def test_our_own_score_is_the_leaderboards():
    y, splits = waves(), TimeSeriesSplit(2, test_size=6)
    result = run(y, models=[quick()], cv=splits)
    expected = -cross_val_score(quick(), y, cv=splits)
    np.testing.assert_allclose(result.scores["mase"], expected, rtol=1e-6)
    table = quick().backtest(y, n_origins=2).table
    found = run(y, models=["Naive"], cv=2).scores["mae"]
    last = [y[o] for o in table["origin"].unique()]
    np.testing.assert_allclose(
        found, np.abs(table["y"].to_numpy().reshape(2, 6).T - last).mean(0)
    )


def test_of_several_series_errors_are_the_mean():
    long, short = waves(), 5 * waves(80, seed=1)
    both = run({"a": long, "b": short}, data="series", season=12)
    each = [run(y, cv=both_splits(y, 50), season=12) for y in (long, short)]
    mean = (each[0].scores["mase"] + each[1].scores["mase"]) / 2
    np.testing.assert_allclose(both.scores["mase"], mean)
    assert "2 series of 80 to 120 values" in both.summary
    frame = pd.concat(
        {"a": pd.Series(long, MONTHS), "b": pd.Series(short, MONTHS[:80])}
    )
    for panel in ([long, short], frame):
        found = run(panel, data="series", season=12).scores["mase"]
        np.testing.assert_allclose(found, mean)
    channels = pd.DataFrame({"a": long, "b": long[::-1]}, MONTHS)
    stacked = np.stack([long, long[::-1]])[:, :, None]
    found = run(channels, season=12)
    assert found.scores.shape == both.scores.shape
    np.testing.assert_allclose(
        found.scores["mae"], run(stacked, data="series", season=12).scores["mae"]
    )
    assert list(found.predict(2).columns) == ["a", "b"]


def both_splits(y, first):
    """The origins of five forecasts of the shorter series, from the end."""
    back = 80 - np.arange(first, 75, 6)
    return [
        (np.arange(len(y) - b), np.arange(len(y) - b, len(y) - b + 6)) for b in back
    ]


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2010-01-01", periods=123, freq="MS"),
        pd.bdate_range("2020-01-01", periods=123),
        pd.period_range("2010-01", periods=123, freq="M"),
        None,
    ],
)
def test_nothing_looks_ahead_and_the_container_stays(index):
    y = waves()
    if index is not None:
        dated = isinstance(index, pd.DatetimeIndex)
        own = pd.DatetimeIndex(index[:120], freq=None) if dated else index[:120]
        y = pd.Series(y, own, name="load")
    Spy.seen.clear()
    result = run(y, models=[Spy(), "SeasonalNaive"], horizon=3)
    assert [len(part) for part in Spy.seen] == [105, 108, 111, 114, 117]
    for part in Spy.seen:
        assert type(part) is type(y)
        np.testing.assert_array_equal(part, y[: len(part)])
    forecast = result.predict([1, 3])
    np.testing.assert_array_equal(forecast, waves()[[-12, -10]])
    if index is not None:
        assert forecast.index.equals(index[[120, 122]]) and forecast.name == "load"


# -- what is found -------------------------------------------------------------------


def test_a_season_is_found_and_the_naive_is_worse():
    result = run(waves(), models=[*NAIVE, "Autoregression"], cv=6)
    assert result.best_name_ == "Autoregression"
    assert (result.table.loc[NAIVE, "verdict"] == "worse").all()
    assert "a season of 12 steps seen" in result.summary
    assert result.table.loc["Naive", "family"] == "baseline"
    assert result.table.loc["Autoregression", "family"] == "classical"
    ax = result.plot().ax_
    assert ax.get_xlabel() == "mase (lower is better)"
    assert ax.get_yticklabels()[0].get_text() == "Autoregression"
    mean = f"{result.table.loc['Mean', 'mase']:.3g}"
    assert f"{mean} ▸" in [text.get_text() for text in ax.texts]
    assert ax.get_xlim()[1] < float(mean)


def test_of_a_random_walk_nothing_is_better_than_the_last_value():
    for seed in range(6):
        y = np.random.default_rng(seed).normal(size=120).cumsum()
        result = run(
            y, models=["Naive", "Mean", "Drift", "Autoregression"], season=None
        )
        assert result.table.loc["Naive", "verdict"] in ("best", "tied")


def test_exogenous_columns_are_known_ahead():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(120, 2))
    y = known @ [5.0, -2.0] + rng.normal(size=120, scale=0.1)
    columns = {"wind": known[:, 0], "load": y, "temp": known[:, 1]}
    frame = pd.DataFrame(columns, MONTHS)
    models = ["Mean", "Autoregression", quick(difference=None)]
    given = {"exogenous": ["wind", "temp"], "models": models, "season": None}
    result = run(frame, **given)
    table = result.table
    assert table["note"].eq("").all() and len(table) == 3
    assert table.loc["Autoregression", "mase"] < 0.1 * table.loc["Mean", "mase"]
    assert any("exogenous" in note for note in result.notes)
    future = pd.DataFrame({"wind": [1.0, 0], "temp": [0.0, 1]})
    future.index = pd.date_range("2020-01-01", periods=2, freq="MS")
    forecast = result.best_.predict(2, future)
    np.testing.assert_allclose(forecast["load"], [5, -2], atol=0.3)
    given["exogenous"] = [0, 2]
    found = run(frame.to_numpy(), data="series", **given).scores["mase"]
    np.testing.assert_allclose(found, result.scores["mase"])
    twice = {"a": frame, "b": frame}
    found = run(twice, data="series", **{**given, "exogenous": ["wind", "temp"]})
    expected = result.scores.loc["Autoregression", "mase"]
    np.testing.assert_allclose(found.scores.loc["Autoregression", "mase"], expected)


def test_auto_is_ours_beside_all_others():
    result = run(waves(60), models="auto", horizon=3, cv=2, time_limit=1e-3)
    names = {*NAIVE, "Autoregression", "RNNForecaster"}
    with_smoothing = importlib.util.find_spec("statsmodels") is not None
    names |= {"ExponentialSmoothing"} if with_smoothing else set()
    assert set(result.table.index) == names and result.kind == "series"
    model = result.models["RNNForecaster"]
    assert (model.horizon, model.season, model.exogenous) == (3, "auto", None)
    assert list(result.models)[-1] == "RNNForecaster"


def test_without_a_season_and_without_statsmodels_it_says_so(monkeypatch):
    y = np.random.default_rng(0).normal(size=60).cumsum()
    monkeypatch.setattr("sknets._comparison.lineup.find_spec", lambda name: None)
    result = run(y, models="auto", time_limit=1e-3, season=None)
    assert "SeasonalNaive" not in result.table.index
    season, smoothing = (
        next(note for note in result.notes if name in note)
        for name in ("SeasonalNaive", "ExponentialSmoothing")
    )
    assert "no season is seen" in season
    assert smoothing.endswith('not installed: pip install "sknets[forecasting]"')
    with pytest.raises(
        ImportError, match=r"needs statsmodels, .* \"sknets\[forecasting\]"
    ):
        run(y, models=["ExponentialSmoothing"])


# -- the forecasters -----------------------------------------------------------------


def test_an_autoregression_continues_what_it_has_understood():
    t = np.arange(132)
    y = 20 + np.sin(2 * np.pi * t / 12) + 0.5 * np.cos(2 * np.pi * t / 5)
    for unit in (1e-6, 1.0, 1e6):
        forecast = Autoregression().fit(unit * y[:120]).predict(12)
        np.testing.assert_allclose(forecast, unit * y[120:], rtol=0.01)
    walk = np.random.default_rng(0).normal(size=400).cumsum()
    steps = np.diff(Autoregression().fit(walk).predict(40)[20:])
    assert np.abs(steps).max() < 0.2


def test_smoothing_is_statsmodels():
    holtwinters = pytest.importorskip("statsmodels.tsa.holtwinters")
    y = waves()
    forecast = ExponentialSmoothing(season=12).fit(1000 * y).predict(6)
    peer = min(
        (
            holtwinters.ExponentialSmoothing(
                y, trend="add", damped_trend=True, seasonal=way, seasonal_periods=12
            ).fit()
            for way in ("add", "mul")
        ),
        key=lambda fit: fit.sse,
    )
    np.testing.assert_allclose(forecast / 1000, peer.forecast(6), rtol=0.005)
    result = run(waves(), models=["ExponentialSmoothing", "Naive"])
    assert result.best_name_ == "ExponentialSmoothing"
    short = ExponentialSmoothing(season=12).fit(y[:20]).predict(2)
    assert np.isfinite(short).all()


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-9])
def test_a_constant_is_forecast_by_all(value):
    models = [*NAIVE, "Autoregression"]
    if importlib.util.find_spec("statsmodels"):
        models.append("ExponentialSmoothing")
    result = run(np.full(60, value), models=models)
    assert (result.table["mase"] < 1e-9).all()
    assert set(result.table["verdict"]) == {"best", "tied"}


def test_a_short_series_has_what_can_be():
    result = run(
        waves(20), horizon=2, cv=2, models=[*NAIVE, "Autoregression"], season=12
    )
    assert result.table["note"].eq("").all()
    result = run(waves(20), horizon=4, cv=3, season=12)
    failed = result.table.loc["SeasonalNaive", "note"]
    assert "NaiveForecaster: y has 10 values, but at least 12 are needed" in failed
    assert result.table["mase"].notna().sum() == 3
    (apart,) = result.notes
    assert "the origins are 3 steps apart, less than the horizon" in apart
    few, _ = run(waves(20), horizon=7, cv=2).notes
    assert "the first origin has only 10 of 20 values before it" in few


# -- what goes wrong -----------------------------------------------------------------


class Fails(Spy):
    def fit(self, y):
        raise RuntimeError("out of luck")


class TooShort(Spy):
    def predict(self, n_steps):
        return np.zeros(n_steps - 1)


def test_one_that_fails_does_not_lose_the_others():
    models = {"bad": Fails(), "short": TooShort(), "good": "Naive"}
    table = run(waves(), models=models).table
    assert table.loc["good", "verdict"] == "best"
    assert table.loc["bad", "note"] == "failed: RuntimeError: out of luck"
    assert "its forecast has shape (5, 1), but (6, 1)" in table.loc["short", "note"]


def test_time_limit_keeps_what_is_finished(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: Spy.now)
    for module in ("sknets.comparison", "sknets._comparison.run"):
        monkeypatch.setattr(f"{module}.time", clock)
    models = {"good": "SeasonalNaive", "slow": Spy(), "never": "Naive"}
    result = run(waves(), models=models, time_limit=2.5)
    notes = result.table["note"]
    assert notes["slow"] == "time limit: 2 of 5 folds" and notes["good"] == ""
    assert result.best_name_ == "good"


def test_trials_of_ours_keep_a_time_limit(monkeypatch):
    def never(*args):
        raise AssertionError("a trial was finished after the time limit")

    monkeypatch.setattr("sknets._rolling._errors", never)
    rnn = RNNForecaster(horizon=3, callbacks=[Deadline(time.monotonic())])
    with pytest.raises(TimeUp):
        rnn.fit(waves(60))


def test_scores_do_not_depend_on_n_jobs():
    panel = {"a": waves(), "b": waves(90)}
    with parallel_config("threading"):
        both = [run(panel, data="series", cv=4, n_jobs=n) for n in (1, 2)]
    pd.testing.assert_series_equal(*(each.scores["mase"] for each in both))


def test_other_scores():
    y = waves()
    result = run(y, scoring=["smape", "mae"])
    assert list(result.table.columns[[0, 3]]) == ["smape", "mae"]
    assert result.table["smape"].is_monotonic_increasing and result.lower_is_better

    def worst(model, came, _):
        return -np.abs(model.predict(len(came)) - came).max()

    result = run(y, scoring=worst)
    assert result.table["worst"].is_monotonic_decreasing and not result.lower_is_better
    past, future = y[:114], y[114:]
    expected = -np.abs(past[-1] - future).max()
    assert result.scores.loc[("Naive", 4), "worst"] == pytest.approx(expected)


Y = waves(40)
WRONG = [
    ({"y": Y}, r"X is a series, .* leave y out to forecast X"),
    ({"y": np.c_[Y, Y]}, r"seem to be swapped, .* columns of it, named by exogenous"),
    ({"X": np.c_[Y, Y]}, r"y is missing: .* or, to forecast X, .* data='series'"),
    ({"X": ["a", "b"] * 9}, r"y is missing: give the values to predict$"),
    (
        {"X": np.c_[Y, Y], "y": Y},
        r"\(horizon=6\): horizon is for series, and X is none",
    ),
    ({"X": [*Y, np.nan]}, r"X contains NaN or infinity at position 40"),
    ({"X": pd.Series(Y, MONTHS[:40][::-1])}, r"not in the order of time"),
    ({"X": np.c_[Y, Y], "y": Y, "task": "forecasting"}, r"series alone are forecast"),
    ({"task": "regression"}, r"X is a series: it is forecast"),
    ({"exogenous": [3]}, r"\(exogenous=\[3\]\): the series has no column 3"),
    ({"horizon": 0}, r"\(horizon=0\): horizon must be at least 1"),
    ({"season": 1}, r"\(season=1\): season must be at least 2"),
    ({"horizon": 38}, r"40 values are too few for 5 origins with 38 steps"),
    ({"cv": 0}, r"cv must be at least 1 origin"),
    ({"cv": KFold(4)}, r"some of its values and those that follow them"),
    ({"cv": TimeSeriesSplit(2, gap=1)}, r"some of its values and those that follow"),
    ({"cv": "many"}, r"cv must be a number of folds, a splitter, or"),
    ({"groups": Y}, r"the values of a series have no groups"),
    ({"scoring": "mas"}, r"no such score; did you mean mase"),
    ({"scoring": {"a": "r2"}}, r"no such score; the names are mase, rmse"),
    ({"models": ["Naivety"]}, r"no such model for this task; did you mean Naive"),
    ({"models": [Ridge()]}, r"Ridge is not for forecasting"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_wrong_input_gives_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        run(**{"X": Y, **wrong})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("compare(")
