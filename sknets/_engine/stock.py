"""What the library takes from skorch, imported without what it does not need."""

from __future__ import annotations

import contextlib
import importlib.util
import sys


@contextlib.contextmanager
def _without_torch_geometric():
    """skorch imports torch_geometric when installed, 2.5 s that only graphs need."""
    absent = "torch_geometric" not in sys.modules
    if absent:
        sys.modules["torch_geometric"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch_geometric"]


with _without_torch_geometric():
    import skorch.utils
    from skorch import NeuralNet
    from skorch.callbacks import Callback, EarlyStopping, EpochScoring
    from skorch.helper import predefined_split
    from skorch.history import History

# What skorch would have found; where it is used it imports the package itself.
skorch.utils.TORCH_GEOMETRIC_INSTALLED = (
    importlib.util.find_spec("torch_geometric") is not None
)

__all__ = [
    "Callback",
    "EarlyStopping",
    "EpochScoring",
    "History",
    "NeuralNet",
    "predefined_split",
]
