"""Files of fitted estimators: arrays in safetensors, the rest as JSON, never code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = "sknets-1"


class ModelFileError(ValueError):
    """The file is not a model that sknets wrote, or it is damaged."""


class OtherFormatError(ModelFileError):
    """The file is whole, but of another kind or version."""


def write(
    path: Any,
    class_name: str,
    state: dict[str, Any],
    form: str = FORMAT,
    previous: Path | None = None,
) -> None:
    """Write a state of numpy arrays, numbers, strings and containers of them.

    The file is replaced in one step, by one that has reached the disk.

    Parameters
    ----------
    path : str or path-like
    class_name : str
    state : dict
    form : str
        The kind and version of the file.
    previous : Path or None
        Where the file that is replaced is kept.

    Raises
    ------
    OSError
        When it cannot be written, for a full disk above all; the file is as it was.
    ValueError
        For anything else in the state.
    """
    arrays: dict[str, np.ndarray] = {}
    described = {key: _describe(value, key, arrays) for key, value in state.items()}
    text = json.dumps({"format": form, "class": class_name, "state": described})
    metadata = {"sknets": text, "checksum": _checksum(text, arrays)}
    path = Path(path)
    # A folder of our own, because safetensors leaves a file of its own when killed.
    with tempfile.TemporaryDirectory(".tmp", f"{path.name}.", path.parent) as folder:
        temporary = Path(folder, "state")
        try:
            save_file(arrays, temporary, metadata=metadata)
        except SafetensorError as error:
            raise _as_os_error(error, path) from error
        _sync(temporary)
        if previous is not None and path.exists():
            second_name(path, previous)
        os.replace(temporary, path)
    if previous is None:
        # Without it a power cut may bring back the file before, as good to resume from.
        with contextlib.suppress(OSError):  # not every system can
            _sync(path.parent)


def _as_os_error(error: SafetensorError, path: Path) -> OSError:
    """The operating system's own error, which safetensors only quotes."""
    code = re.search(r"os error (\d+)", str(error))
    if code is None:
        return OSError(f"{path}: {error}")
    return OSError(int(code[1]), os.strerror(int(code[1])), str(path))


def second_name(path: Path, name: Path) -> None:
    """Let a file have another name too, whatever was there; it keeps its own."""
    name.unlink(missing_ok=True)
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        shutil.copyfile(path, name)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(f"{name} {arrays[name].dtype}".encode(), value)
        value = zlib.crc32(arrays[name].data, value)
    return f"{value:08x}"


def read(path: Any, form: str = FORMAT) -> tuple[str, dict[str, Any]]:
    """Return the class name and the state in a file.

    Raises
    ------
    FileNotFoundError
        Without such a file.
    OtherFormatError
        For a file of another ``form``.
    ModelFileError
        For any other file than `write` makes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"sknets.load({str(path)!r}): there is no such file")
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            text = metadata["sknets"]
            header = json.loads(text)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("checksum", sum_ := _checksum(text, arrays)) != sum_:
            raise ValueError("its checksum is wrong")
        if header["format"] != form:
            raise OtherFormatError(
                f"sknets.load({str(path)!r}): the file has format "
                f"{header['format']!r}, this version reads {form!r}"
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
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
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
        f"cannot save {key}={value!r}, which only Python can hold: set it to "
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
