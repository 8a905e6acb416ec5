"""Reading saved estimators without running code."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

import sknets
from sknets._estimator import Estimator
from sknets._state import ModelFileError, read


def load(path: Any) -> Any:
    """Return the fitted estimator that ``estimator.save(path)`` wrote.

    Safe for files from anywhere: the class is looked up among the library's own, only
    parameters and fitted attributes are read, shapes are compared with the file's
    before memory is taken, and nothing in the file is ever run. (A pickle or joblib
    file, in contrast, can run any code: load those only if you trust their source.)

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator : Estimator

    Raises
    ------
    FileNotFoundError
        Without such a file.
    ModelFileError
        A ValueError, when the file is not a saved model or is damaged.

    Examples
    --------
    >>> import os, tempfile
    >>> import sknets
    >>> X, y = [[0.0], [1.0]] * 20, [0, 1] * 20
    >>> net = sknets.FeedforwardClassifier(max_epochs=5).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> net.save(path)
    >>> bool((sknets.load(path).predict(X) == net.predict(X)).all())
    True
    """
    name, state = read(path)
    cls = getattr(sknets, name, None) if name in sknets.__all__ else None
    if not (isinstance(cls, type) and issubclass(cls, Estimator)):
        raise ModelFileError(
            f"sknets.load({str(path)!r}): {name!r} is not an estimator of sknets "
            f"{sknets.__version__}"
        )
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    strange = [k for k in state if k not in names and not _is_fitted_attribute(k, cls)]
    if strange:
        raise ModelFileError(
            f"sknets.load({str(path)!r}): {strange[0]!r} is neither a parameter nor a "
            f"fitted attribute of {name}"
        )
    estimator: Any = cls()
    net_state = state.pop("net_state_", None)
    try:
        parts = {name: state.pop(name) for name in estimator._part_names(state)}
        estimator.__dict__.update(state)
        estimator._restore_parts(parts)
        estimator._check_params()
        _compare_shapes(estimator, net_state)
        estimator._restore(net_state)
    except Exception as error:
        raise ModelFileError(
            f"sknets.load({str(path)!r}): the file does not describe a working {name} "
            f"({error})"
        ) from error
    return estimator


def _is_fitted_attribute(name: str, cls: type) -> bool:
    return name.endswith("_") and not name.startswith("_") and not hasattr(cls, name)


def _compare_shapes(estimator: Any, net_state: Any) -> None:
    """Build on the meta device, which takes no memory, and compare with the file."""
    with torch.device("meta"):
        expected = estimator._build().state_dict()
    found = net_state["weights"]
    if expected.keys() != found.keys():
        raise ValueError("other weights than its parameters need")
    for name, tensor in expected.items():
        if tuple(tensor.shape) != found[name].shape:
            raise ValueError(
                f"{name} has shape {found[name].shape} instead of {tuple(tensor.shape)}"
            )


__all__ = ["ModelFileError", "load"]
