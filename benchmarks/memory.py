"""Peak memory of fit and predict over the size of X, and files larger than memory.

Each measurement is a fresh process that is watched from outside: its anonymous memory
(resident minus shared, so that a memory-mapped file does not count) is sampled every
millisecond. "X included" adds the growth during the call to the size of X itself; for
CSR the size is that of its three arrays. A small fit before it keeps the libraries' own
first-use memory out.

The last case maps a file and forbids the process (on Linux, by RLIMIT_DATA) to allocate
more than a third of its size.

    python benchmarks/memory.py [--quick]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import _measure
import psutil
from _measure import Figure, report

COLUMNS = 100
CONSTANT = 64  # MB that fit may take besides 2 X: buffers, activations, the net
CASES = {  # name: how X is made, what is called and with which options
    "float64": {},
    "float32": {"dtype": "float32"},
    "float64, standardize=False": {"params": {"standardize": False}},
    "float64, early stopping": {"params": {"early_stopping": True}},
    "float32, early stopping": {"dtype": "float32", "params": {"early_stopping": True}},
    "float64, sample_weight": {"weight": "positive"},
    "float64, sample_weight with zeros": {"weight": "zeros"},
    "float64, Fortran order": {"order": "F"},
    "float32, Fortran order": {"dtype": "float32", "order": "F"},
    "CSR float64, 10 % filled": {"order": "CSR"},
    "DataFrame float64": {"order": "DataFrame"},
    "float64, precision='float32'": {"params": {"precision": "float32"}},
    "predict, float64": {"verb": "predict"},
    "predict, float32": {"dtype": "float32", "verb": "predict"},
    "predict, float64, Fortran order": {"order": "F", "verb": "predict"},
    "predict_proba, float64": {"verb": "predict_proba"},
}


def make_X(case, megabytes):
    """X of so many megabytes, its size in bytes and the number of its rows."""
    import numpy as np

    dtype = np.dtype(case.get("dtype", "float64"))
    if "file" in case:
        X = np.memmap(case["file"], dtype, "r").reshape(-1, COLUMNS)
        return X, X.nbytes
    n = int(megabytes * 1e6 / dtype.itemsize / COLUMNS)
    random = np.random.default_rng(0)
    order = case.get("order", "C")
    if order == "CSR":
        import scipy.sparse as sp

        # A filled entry takes a value of 8 bytes and an index of 4.
        n = int(megabytes * 1e6 / (0.1 * COLUMNS * 12 + 4))
        X = sp.random(n, COLUMNS, 0.1, "csr", dtype, random)
        return X, X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    shape = (COLUMNS, n) if order == "F" else (n, COLUMNS)
    X = random.random(shape, dtype=dtype)
    X = X.T if order == "F" else X
    if order == "DataFrame":
        import pandas as pd

        X = pd.DataFrame(X, columns=[f"c{j}" for j in range(COLUMNS)], copy=False)
    return X, n * COLUMNS * dtype.itemsize


def child(case, megabytes):
    """In the fresh process: prepare, wait for a line, make the one call, say so."""
    import numpy as np

    from sknets import FeedforwardClassifier

    _measure.one_thread()
    settings = {"max_epochs": 1, "batch_size": 1024, "random_state": 0}
    settings |= case.get("params", {})
    verb = case.get("verb", "fit")
    X, size = make_X(case, megabytes)
    n = X.shape[0]
    y = np.arange(n) % 2
    weight = None
    if "weight" in case:
        weight = np.ones(n)
        weight[: n // 100 if case["weight"] == "zeros" else 0] = 0
    net = FeedforwardClassifier(**settings)
    small = X[:1000] if not hasattr(X, "iloc") else X.iloc[:1000]
    small_weight = None if weight is None else weight[:1000] + 1
    net.fit(small, y[:1000], sample_weight=small_weight)
    net.predict(small)
    limit = case.get("limit")
    if limit and sys.platform == "linux":
        import resource

        lines = Path("/proc/self/status").read_text().splitlines()
        now = next(int(x.split()[1]) for x in lines if x.startswith("VmData")) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (now + limit,) * 2)
    print(json.dumps({"size": size, "rows": n}), flush=True)
    input()
    start = time.perf_counter()
    if verb == "fit":
        net.fit(X, y, sample_weight=weight)
    else:
        getattr(net, verb)(X)
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


def anonymous(process: psutil.Process) -> int:
    info = process.memory_info()
    return info.rss - getattr(info, "shared", 0)


def measure(case, megabytes):
    """Bytes of X, bytes that the call took at its peak, and its seconds."""
    command = [sys.executable, __file__, "--child", json.dumps([case, megabytes])]
    one = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=one) as run:
        ready = json.loads(run.stdout.readline())
        process = psutil.Process(run.pid)
        before = peak = anonymous(process)
        answer: list[str] = []
        reader = threading.Thread(target=lambda: answer.append(run.stdout.readline()))
        reader.start()
        run.stdin.write("\n")
        run.stdin.flush()
        while reader.is_alive():
            try:
                peak = max(peak, anonymous(process))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.001)
        reader.join()
    if not answer[0]:
        raise MemoryError(f"the process of {case} died")
    return ready["size"], peak - before, json.loads(answer[0])["seconds"]


def write_file(path: str, size: int) -> None:
    """A file of random float32 rows, one block over and over: quick to write."""
    import numpy as np

    block = np.random.default_rng(0).random((160_000, COLUMNS), dtype="float32")
    with open(path, "wb") as file:
        for _ in range(size // block.nbytes):
            block.tofile(file)


def larger_than_memory(size: int) -> list[Figure]:
    folder = tempfile.mkdtemp()
    free = shutil.disk_usage(folder).free
    size = min(size, free // 4)
    limit = size // 3
    figures = []
    try:
        path = os.path.join(folder, "X.float32")
        write_file(path, size)
        for verb in ("fit", "predict"):
            case = {"file": path, "dtype": "float32", "limit": limit, "verb": verb}
            case["params"] = {"batch_size": 8192}
            gigabytes = f"{size / 1e9:.1f} GB file, limit {limit / 1e9:.1f} GB, {verb}"
            try:
                real, taken, seconds = measure(case, 0)
            except (MemoryError, json.JSONDecodeError):
                real, taken, seconds = size, float("inf"), float("nan")
            figures.append(
                Figure(
                    "memory: a memory-mapped file streams, anonymous memory / limit",
                    gigabytes,
                    taken / limit,
                    at_most=1.0,
                    details={
                        "taken MB": taken / 1e6,
                        "of X": taken / real,
                        "s": seconds,
                    },
                )
            )
    finally:
        shutil.rmtree(folder)
    return figures


def main():
    options = _measure.options(__doc__, repeats=1)
    megabytes = 100 if options.quick else 400
    figures = []
    for name, case in CASES.items():
        size, taken, seconds = measure(case, megabytes)
        verb = case.get("verb", "fit").partition("_")[0]
        over = max(0, taken - CONSTANT * 1e6)
        figures.append(
            Figure(
                f"memory: peak of {verb} / size of X, X included, less {CONSTANT} MB",
                name,
                (size + over) / size,
                at_most=2.0,
                details={"X MB": size / 1e6, "taken MB": taken / 1e6, "s": seconds},
            )
        )
    figures += larger_than_memory(300_000_000 if options.quick else 3_000_000_000)
    report("memory", figures, keep=not options.quick)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*json.loads(sys.argv[-1]))
    else:
        main()
