"""Forecasts beside Holt-Winters and AR(9), and how often intervals hold what they say.

Airline passengers (24 months ahead) and sunspots (40 years ahead), default parameters:
mean absolute error at the last origin and over several, mean and standard deviation
over seeds, beside Holt-Winters (additive trend, multiplicative season), AR(9) and the
season before (12 months, 11 years) in the same run. Coverage on generated series: the
first 200 of 300 values are fitted, 12 steps are forecast from every fourth later origin
without learning anew. CPU seconds of one thread.

    python benchmarks/forecasting.py [--repeats 3] [--quick] [--data DIR]

The number of seeds is --repeats. Peers and sunspots come with statsmodels, the
passengers with aeon (or Airline.csv is in --data DIR or SKNETS_DATA); without them a
part is skipped and says so.
"""

from __future__ import annotations

import time

import _measure
import numpy as np
from _measure import Figure, one_thread, report

from sknets import RNNForecaster

NAME = "Airline.csv"
FLOORS = {"airline": 29.0, "sunspots": 27.0}
N_SERIES = 12


def data_sets(folder):
    """Name, values, horizon, origins (the last first), season."""
    path = _measure.find_data(folder, NAME, "aeon", "aeon/datasets/data/Airline")
    if path is None:
        print("airline skipped: no data (pip install aeon, or --data DIR)")
    else:
        y = np.loadtxt(path, skiprows=1, delimiter=",", usecols=1)
        yield "airline", y, 24, [120, 108, 96], 12
    from statsmodels.datasets import sunspots

    y = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    yield "sunspots", y, 40, [269, 229, 189], 11


def holt_winters(y, h):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    model = ExponentialSmoothing(
        y, trend="add", seasonal="mul", seasonal_periods=12
    ).fit()
    return model.forecast(h)


def autoregression(y, h):
    from statsmodels.tsa.ar_model import AutoReg

    return AutoReg(y, 9).fit().forecast(h)


PEERS = {
    "airline": ("Holt-Winters", holt_winters),
    "sunspots": ("AR(9)", autoregression),
}


def mae(forecast, y, origin):
    return float(np.abs(forecast - y[origin : origin + len(forecast)]).mean())


def accuracies(folder, seeds, quick):
    for name, y, h, origins, season in data_sets(folder):
        origins = origins[:1] if quick else origins
        peer, forecast = PEERS[name]
        of_peer = [mae(forecast(y[:o], h), y, o) for o in origins]
        naive = [mae(np.resize(y[o - season : o], h), y, o) for o in origins]
        errors = np.empty((len(origins), seeds))
        seconds = 0.0
        for i, origin in enumerate(origins):
            for seed in range(seeds):
                begin = time.process_time()
                rnn = RNNForecaster(horizon=h, random_state=seed).fit(y[:origin])
                seconds = max(seconds, time.process_time() - begin)
                errors[i, seed] = mae(rnn.predict(), y, origin)
                chosen = rnn.strategy_, rnn.transformation_, rnn.difference_
                print(name, origin, seed, f"{errors[i, seed]:.1f}", chosen, flush=True)
        claim = f"mean absolute error, {name}, {h} steps ahead"
        places = [
            (f"origin {o}", errors[i], of_peer[i], naive[i])
            for i, o in enumerate(origins)
        ]
        mean = errors.mean(0), np.mean(of_peer), np.mean(naive)
        for case, ours, theirs, last in [*places, ("mean of origins", *mean)]:
            bound = FLOORS[name] if case in (places[0][0], "mean of origins") else None
            yield Figure(
                claim,
                case,
                float(ours.mean()),
                unit="",
                at_most=bound,
                details={
                    "spread of seeds": float(ours.std()),
                    peer: float(theirs),
                    "season before": float(last),
                    "slowest fit s": seconds,
                },
            )


def generated(kind, seed, n=300):
    random = np.random.default_rng(seed)
    noise, t = random.normal(size=n + 50), np.arange(n + 50)
    y = np.zeros(n + 50)
    for i in range(2, n + 50):
        past = 1.2 * y[i - 1] - 0.5 * y[i - 2] if kind == "AR(2)" else 0.6 * y[i - 1]
        y[i] = past + noise[i]
    if kind == "seasonal":
        y += 0.05 * t + 5 * np.sin(2 * np.pi * t / 12)
    return y[50:]


def coverages(n_series):
    for kind in ("AR(2)", "seasonal"):
        inside = {0.8: [], 0.9: []}
        for seed in range(100, 100 + n_series):
            y = generated(kind, seed)
            rnn = RNNForecaster(max_epochs=20, random_state=seed).fit(y[:200])
            for origin in range(200, len(y) - 11, 4):
                for coverage, found in inside.items():
                    given = {"coverage": coverage, "y": y[:origin]}
                    lower, upper = rnn.predict_interval(**given)
                    came = y[origin : origin + 12]
                    found.append((lower <= came) & (came <= upper))
        for coverage, found in inside.items():
            yield Figure(
                f"distance of the measured coverage from {coverage:g}",
                kind,
                abs(float(np.mean(found)) - coverage),
                unit="",
                at_most=0.05,
                details={
                    "coverage": float(np.mean(found)),
                    "at step 1": float(np.mean(found, 0)[0]),
                    "at step 12": float(np.mean(found, 0)[-1]),
                },
            )


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    try:
        import statsmodels  # noqa: F401
    except ImportError:
        print("accuracy skipped: no peers (pip install statsmodels)")
        figures = []
    else:
        seeds = 1 if options.quick else options.repeats
        figures = [*accuracies(options.data, seeds, options.quick)]
    figures += coverages(1 if options.quick else N_SERIES)
    report("forecasting", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
