"""Files of fitted estimators: arrays in safetensors, the rest as JSON, never code."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = "sknets-1"


class ModelFileError(ValueError):
    """The file is not a model that sknets wrote, or it is damaged."""


def write(path: Any, class_name: str, state: dict[str, Any]) -> None:
    """Write a state of numpy arrays, numbers, strings and containers of them."""
    arrays: dict[str, np.ndarray] = {}
    described = {key: _describe(value, key, arrays) for key, value in state.items()}
    text = json.dumps({"format": FORMAT, "class": class_name, "state": described})
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"save({str(path)!r}): there is no folder {path.parent}"
        )
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    os.close(handle)
    try:
        save_file(arrays, temporary, metadata={"sknets": text})
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path: Any) -> tuple[str, dict[str, Any]]:
    """Return the class name and the state in a file.

    Raises
    ------
    FileNotFoundError
        Without such a file.
    ModelFileError
        For any other file than `write` makes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"sknets.load({str(path)!r}): there is no such file")
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {})["sknets"]
            header = json.loads(text)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise ModelFileError(
                f"sknets.load({str(path)!r}): the file has format "
                f"{header['format']!r}, this version reads {FORMAT!r}"
            )
        state = {k: _recall(v, arrays) for k, v in header["state"].items()}
        return str(header["class"]), state
    except ModelFileError:
        raise
    except (
        SafetensorError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise ModelFileError(
            f"sknets.load({str(path)!r}): not a model that sknets saved, or damaged "
            f"({error})"
        ) from error


def _describe(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON for a value; arrays of numbers go to ``arrays`` under a name."""

    def each(values: Any) -> list[Any]:
        return [_describe(v, f"{key}.{i}", arrays) for i, v in enumerate(values)]

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        name = f"{key}#{len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        # safetensors keeps no zero-dimensional shape apart from this.
        return {"array": name, "shape": list(value.shape)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        kind = "object" if value.dtype.kind == "O" else "str"
        return {"items": each(value.ravel().tolist()), "shape": value.shape, "of": kind}
    if isinstance(value, tuple):
        return {"tuple": each(value)}
    if isinstance(value, list):
        return each(value)
    if isinstance(value, dict):
        return {"dict": [each(pair) for pair in value.items()]}
    raise ValueError(
        f"save cannot write {key}={value!r}, which only Python can hold: set it to "
        "None, or use joblib.dump (and load only files that you trust)"
    )


_CONTAINERS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "dict": dict}


def _recall(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_recall(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]].reshape(value["shape"])
    if "items" in value:
        items = _recall(value["items"], arrays)
        array = np.empty(len(items), dtype=object)
        array[:] = items
        array = array if value["of"] == "object" else np.array(items, dtype=str)
        return array.reshape(value["shape"])
    ((tag, items),) = value.items()
    return _CONTAINERS[tag](_recall(items, arrays))
