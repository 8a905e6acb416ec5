"""One thread a process: PyTorch's threads spin and stall on a busy machine."""

import os

import pytest

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy: no array API check is skipped
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "agg")

pytest_plugins = ["recorder"]


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        'at_most_epochs(n): what "auto" leaves to the data comes to at most so many '
        "epochs, in this process; None is no limit.",
    )


@pytest.fixture(autouse=True)
def limited_epochs(request, monkeypatch):
    """A test's own mark counts before its file's."""
    mark = request.node.get_closest_marker("at_most_epochs")
    if mark and mark.args[0]:
        from sknets._estimator import Estimator

        of_data = Estimator._epochs

        def limited(self, given, budget, samples):
            n_epochs = of_data(self, given, budget, samples)
            return min(n_epochs, mark.args[0]) if given == "auto" else n_epochs

        monkeypatch.setattr(Estimator, "_epochs", limited)
