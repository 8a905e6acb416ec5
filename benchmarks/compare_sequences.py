"""What `compare` places beside networks of sequences: is it what was published?

The standard splits of the UCR archive, a fit a seed: MiniRocket with floors about a
hundredth below what its authors published, the nearest neighbour by warping without a
band (exact, so it must be the archive's own accuracy), and, for comparison, our
recurrent network with default parameters. CPU seconds of one thread.

    python benchmarks/compare_sequences.py [--repeats 3] [--quick] [--data DIR]

The number of seeds is --repeats. The sequences come with aeon (or NAME_TRAIN.ts and
NAME_TEST.ts are in --data DIR or SKNETS_DATA); without them a set is skipped, and it
says so. --quick runs ItalyPowerDemand alone.

References
----------
H. A. Dau et al., The UCR Time Series Classification Archive, 2018 (column DTW, w=100).
"""

from __future__ import annotations

import time

import _measure
import numpy as np
from _measure import Figure, one_thread, report

from sknets import compare
from sknets._comparison.warping import NearestWarpedClassifier

# Floors of MiniRocket, and the archive's accuracy of warping without a band.
SETS = {
    "ItalyPowerDemand": (0.95, 0.9504),
    "ArrowHead": (0.85, 0.7029),
    "GunPoint": (0.98, 0.9067),
}


def read(path):
    """Sequences of one channel and their classes, of a file in the format ts."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    start = next(i for i, line in enumerate(lines) if line.lower() == "@data")
    rows = [line.split(":") for line in lines[start + 1 :] if line]
    values = np.array([[float(v) for v in row[0].split(",")] for row in rows])
    return values[:, :, None], np.array([row[1] for row in rows])


def main():
    options = _measure.options(__doc__, repeats=3, data=True)
    one_thread()
    figures = []
    for name, (floor, archive) in list(SETS.items())[: 1 if options.quick else None]:
        inside = f"aeon/datasets/data/{name}"
        files = [
            _measure.find_data(options.data, f"{name}_{part}.ts", "aeon", inside)
            for part in ("TRAIN", "TEST")
        ]
        if None in files:
            print(f"{name} skipped: no data (pip install aeon, or --data DIR)")
            continue
        (X, y), (X_test, y_test) = map(read, files)
        exact = NearestWarpedClassifier(band=1.0).fit(X, y).score(X_test, y_test)
        figures.append(
            Figure(
                "warping without a band: distance from the archive's accuracy",
                name,
                abs(round(exact, 4) - archive),
                unit="",
                at_most=0.0001,
                details={"accuracy": exact},
            )
        )
        split = [(np.arange(len(X)), np.arange(len(X), len(X) + len(X_test)))]
        both = np.concatenate([X, X_test]), np.concatenate([y, y_test])
        found, begin = [], time.process_time()
        for seed in range(options.repeats):
            given = {"models": ["MiniRocket", "1-NN DTW", "RNNClassifier"], "cv": split}
            result = compare(
                *both, data="sequences", random_state=seed, verbose=0, **given
            )
            found.append(result.scores["accuracy"].droplevel("fold"))
        mean = sum(found) / len(found)
        figures.append(
            Figure(
                "accuracy: MiniRocket, standard splits",
                name,
                mean["MiniRocket"],
                unit="",
                at_least=floor,
                details={
                    "1-NN DTW, band 0.1": mean["1-NN DTW"],
                    "RNNClassifier": mean["RNNClassifier"],
                    "all s": (time.process_time() - begin) / len(found),
                },
            )
        )
    report("compare_sequences", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
