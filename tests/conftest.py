"""One thread a process: PyTorch's threads spin and stall on a busy machine."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy: no array API check is skipped
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "agg")
