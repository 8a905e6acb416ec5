"""What starting costs: imports and the first fit, each in a fresh interpreter.

CPU and wall time of whole processes, interleaved; medians, of three rounds where
seconds are measured. `import sknets` is judged by the median over rounds of its
difference to a bare interpreter.

    python benchmarks/import_time.py [--repeats 9] [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

import _measure
from _measure import Figure, report

HEAVY = ("torch", "sklearn", "pandas", "numpy", "skorch")
DATA = "import numpy as np; X = np.random.default_rng(0).random((1797, 64))\n"
DATA += "y = np.arange(1797) % 10\n"
PROGRAMS = {
    "bare Python": "pass",
    "import sknets": "import sknets",
    "from sknets import FeedforwardClassifier": (
        "from sknets import FeedforwardClassifier"
    ),
    "import sklearn.neural_network": "import sklearn.neural_network",
    "import torch": "import torch",
    "import skorch": "import skorch",
    "sknets: import and fit": (
        "from sknets import FeedforwardClassifier\n"
        f"{DATA}FeedforwardClassifier(max_epochs=1).fit(X, y)"
    ),
    "scikit-learn: import and fit": (
        "from sklearn.neural_network import MLPClassifier\n"
        f"{DATA}MLPClassifier(max_iter=1).fit(X, y)"
    ),
    "skorch: import and fit": (
        f"from skorch import NeuralNetClassifier; import torch\n{DATA}"
        "net = torch.nn.Sequential(torch.nn.Linear(64, 100), torch.nn.ReLU(),"
        " torch.nn.Linear(100, 10))\n"
        "NeuralNetClassifier(net, criterion=torch.nn.CrossEntropyLoss, max_epochs=1,"
        " optimizer=torch.optim.Adam, verbose=0).fit(X.astype('float32'), y)"
    ),
}
FITS = f"""
import time
from sknets import FeedforwardClassifier
{DATA}
net = FeedforwardClassifier(max_epochs=1)
for _ in range(3):
    start = time.process_time()
    net.fit(X, y)
    print(time.process_time() - start)
"""


def run(code: str) -> tuple[float, float]:
    """CPU and wall seconds of an interpreter that runs the code."""
    one = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    before, start = children_cpu(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **one})
    wall = time.perf_counter() - start
    return children_cpu() - before, wall


def children_cpu() -> float:
    """CPU seconds of the processes that have ended; wall time where none is known."""
    try:
        import resource
    except ImportError:
        return time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def output(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def main():
    options = _measure.options(__doc__, repeats=9)
    seconds = {name: [] for name in PROGRAMS}
    for repeat in range(options.repeats + 1):
        for name, code in PROGRAMS.items():
            # The claim is a few milliseconds: it needs the rounds. Seconds do not.
            if repeat > 3 and name not in ("bare Python", "import sknets"):
                continue
            measured = run(code)
            if repeat:  # the first round reads the files from the disk
                seconds[name].append(measured)
    bare = [cpu for cpu, _ in seconds["bare Python"]]
    figures = []
    for name, pairs in seconds.items():
        over = median(cpu - b for (cpu, _), b in zip(pairs, bare))
        figures.append(
            Figure(
                f"start: {name}, CPU time over bare Python",
                name,
                over,
                unit="s",
                at_most=0.05 if name == "import sknets" else None,
                details={"wall s": median(wall for _, wall in pairs)},
            )
        )
    loaded = "import sys, sknets; print(*(m for m in %r if m in sys.modules))"
    found = output(loaded % (HEAVY,)).split()
    print(f"import sknets loads of {', '.join(HEAVY)}: {' '.join(found) or 'none'}")
    figures.append(
        Figure(
            "start: heavy packages that `import sknets` loads",
            "import sknets",
            len(found),
            unit="",
            at_most=0,
        )
    )
    fits = [[float(s) for s in output(FITS).split()] for _ in range(2)]
    figures.append(
        Figure(
            "start: first fit of a process, CPU time over a later fit",
            "1797 × 64, one epoch",
            median(first - last for first, _, last in fits),
            unit="s",
        )
    )
    report("import_time", figures, keep=not options.quick)


if __name__ == "__main__":
    main()
