"""Deep learning as scikit-learn estimators: one ``fit`` away, in any Pipeline.

``import sknets`` loads neither torch nor scikit-learn: names are loaded on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

# The one table of public names: name -> module that defines it.
_HOME = {
    # Which algorithm for which case
    "compare": "comparison",
    "Comparison": "comparison",
    "all_estimators": "comparison",
    # Tools over estimators
    "load": "persistence",
    "grad_cam": "inspection",
    "occlusion_map": "inspection",
    "first_layer_filters": "inspection",
    "SaliencyDisplay": "inspection",
    "FiltersDisplay": "inspection",
    # 1. Feedforward networks
    "FeedforwardClassifier": "feedforward",
    "FeedforwardRegressor": "feedforward",
    # 2. Convolutional networks
    "CNNClassifier": "convolutional",
    "CNNRegressor": "convolutional",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'sknets' has no attribute {name!r}")
    value = getattr(import_module(f"sknets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
