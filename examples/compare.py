"""Which model for my data? Digits (images) and cars (text, dates, missing values).

Prints two leaderboards and saves their pictures beside you: compare_digits.png,
compare_cars.png. `--quick` runs a small part in seconds.
"""

import argparse
from pathlib import Path

import matplotlib
from sklearn.datasets import load_digits
from vega_datasets import data

from sknets import CNNClassifier, FeedforwardRegressor, compare

matplotlib.use("agg")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few rows, folds, models")
parser.add_argument("--output", type=Path, default=Path(), help="folder")
options = parser.parse_args()

settings = {"random_state": 0, "n_jobs": 2}
if options.quick:
    models = ["dummy", "svc", CNNClassifier(max_epochs=5)]
    settings = {"random_state": 0, "cv": 3, "models": models}

# 1. Handwritten digits: images of 8 x 8 pixels, ten classes.
digits = load_digits()
images, labels = digits.images / 16, digits.target
if options.quick:
    images, labels = images[:200], labels[:200]
comparison = compare(images, labels, **settings)
print(comparison)
picture = options.output / "compare_digits.png"
comparison.plot().figure_.savefig(picture, dpi=150)
print(f"\nPicture: {picture.resolve()}")

# 2. Cars of 1970-82: a free-text name, a date, a country, missing horsepowers.
cars = data.cars().dropna(subset=["Miles_per_Gallon"])
if options.quick:
    cars = cars[:120]
    settings["models"] = ["dummy", "ridgecv", FeedforwardRegressor(max_epochs=20)]
comparison = compare(
    cars.drop(columns="Miles_per_Gallon"), cars["Miles_per_Gallon"], **settings
)
print(f"\n{comparison}")
picture = options.output / "compare_cars.png"
comparison.plot().figure_.savefig(picture, dpi=150)
print(f"\nPicture: {picture.resolve()}")

# The best model is a scikit-learn pipeline, refitted on all the rows.
print(f"\n{comparison.best_name_} for the last three cars:")
print(comparison.predict(cars.tail(3)).round(1), "miles per gallon; truth:")
print(cars["Miles_per_Gallon"].tail(3).to_numpy())
