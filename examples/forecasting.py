"""Forecasts: fit a series, see what was chosen, forecast with a band, backtest.

Twelve years of a generated monthly series. Saves forecasting.png; `--quick` is short.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sknets import RNNForecaster

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few epochs")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

# 1. A trend and a season that grow together; the last two years are the test.
t, random = np.arange(144), np.random.default_rng(0)
season = 0.25 * np.sin(2 * np.pi * t / 12) + 0.1 * np.cos(4 * np.pi * t / 12)
values = 100 * np.exp(0.01 * t + season + random.normal(0, 0.05, len(t)))
y = pd.Series(values, pd.date_range("2013-01-01", periods=len(t), freq="MS"))
train, test = y[:120], y[120:]

# 2. Fit: how the series is treated is chosen by forecasting its own past.
epochs = 4 if options.quick else 40
rnn = RNNForecaster(horizon=24, max_epochs=epochs, random_state=0).fit(train)
tried = pd.DataFrame(rnn.selection_).fillna("none")
print(tried.to_string(index=False, float_format="{:.2f}".format))

# 3. Score: the mean absolute error, beside that of the year before.
forecast = rnn.predict()
lower, upper = rnn.predict_interval(coverage=0.9)
naive = np.tile(train[-12:], 2)
print(f"MAE: {np.abs(forecast - test).mean():.1f}", end=", ")
print(f"of the year before: {np.abs(naive - test).mean():.1f}")
print(f"within the band: {test.between(lower, upper).mean():.0%}")
rnn.set_params(**asdict(rnn.treatment_))
print(rnn.backtest(y, horizon=12, n_origins=3, coverage=0.9))

# 4. The picture.
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.plot(train[-60:], color="0.3", label="fitted")
ax.plot(test, color="0.3", ls=":", label="what came")
ax.plot(forecast, color="C0", label="forecast")
ax.fill_between(forecast.index, lower, upper, color="C0", alpha=0.2, label="90 %")
ax.set(title="Two years ahead", ylabel="value")
ax.legend(loc="upper left", frameon=False)
figure.savefig(options.output / "forecasting.png", dpi=150)
