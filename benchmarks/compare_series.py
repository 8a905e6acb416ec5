"""Leaderboards of `compare` on series: our forecaster beside what it must be worth.

Default parameters, five origins, all series that come with statsmodels and are long
enough, and the airline passengers: mean absolute scaled error of ours over that of the
best of the others (chosen after the fact, which favours them), of exponential smoothing
and of the last value. CPU seconds of one thread.

    python benchmarks/compare_series.py [--quick] [--data DIR]

The passengers come with aeon (or Airline.csv is in --data DIR or SKNETS_DATA), all
others with statsmodels; without them a series is skipped and it says so. --quick runs
the passengers alone.
"""

from __future__ import annotations

import time

import _measure
import numpy as np
import pandas as pd
from _measure import Figure, one_thread, report

from sknets import compare

NAME = "Airline.csv"


def series(folder, quick):
    """Name, values and horizon."""
    path = _measure.find_data(folder, NAME, "aeon", "aeon/datasets/data/Airline")
    if path is None:
        print("airline skipped: no data (pip install aeon, or --data DIR)")
    else:
        y = pd.read_csv(path).iloc[:, 1].astype(float)
        months = pd.period_range("1949-01", periods=len(y), freq="M")
        yield "airline", y.set_axis(months), 12
    if quick:
        return
    from statsmodels.datasets import co2, elec_equip, macrodata, nile, sunspots

    carbon = co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    yield "carbon dioxide", carbon, 12
    yield "electrical equipment", elec_equip.load_pandas().data.iloc[:, 0], 12
    yield "consumption", macrodata.load_pandas().data["realcons"].to_numpy(), 8
    yield "Nile", nile.load_pandas().data["volume"].to_numpy(), 8
    yield "sunspots", sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(), 11


def main():
    options = _measure.options(__doc__, repeats=1, data=True)
    one_thread()
    figures = []
    for name, y, horizon in series(options.data, options.quick):
        begin = time.process_time()
        result = compare(y, horizon=horizon, random_state=0, verbose=0)
        print(f"\n{name}: {result}", flush=True)
        errors = result.table["mase"]
        ours, others = errors["RNNForecaster"], errors.drop("RNNForecaster")
        figures.append(
            Figure(
                "error: RNNForecaster / best of the others, rolling origins",
                name,
                ours / others.min(),
                at_most=1.0,
                details={
                    "RNNForecaster": ours,
                    "best other": others.idxmin(),
                    "its error": others.min(),
                    "ExponentialSmoothing": others.get("ExponentialSmoothing", np.nan),
                    "Naive": others["Naive"],
                    "verdict of ours": result.table.loc["RNNForecaster", "verdict"],
                    "all s": time.process_time() - begin,
                },
            )
        )
    report("compare_series", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
