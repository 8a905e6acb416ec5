"""A digest of what a fit starts from: equal bits give equal digests, in any process."""

from __future__ import annotations

import hashlib
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
import torch

from sknets._engine.containers import Container

_CHUNK_BYTES = 2**22


def digest(*values: Any) -> str:
    """Return the SHA-256 of values as hexadecimal digits.

    Tensors and arrays are read in pieces and never copied whole, so X may be a memory
    map; of a container every attribute counts but dtype and device.
    """
    hasher = hashlib.sha256()
    for value in values:
        _feed(hasher, value)
    return hasher.hexdigest()


def _feed(hasher: Any, value: Any) -> None:
    def tag(*words: Any) -> None:
        hasher.update((repr(words) + "\n").encode())

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.Tensor):
        tag("tensor", str(value.dtype), tuple(value.shape))
        for piece in _pieces(value.detach(), value.element_size()):
            # A copy: a single number counts as contiguous, whatever its stride.
            flat = piece.cpu().reshape(-1).clone(memory_format=torch.contiguous_format)
            hasher.update(flat.view(torch.uint8).numpy())
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        tag("array", value.dtype.str, value.shape)
        for piece in _pieces(value, value.itemsize):
            hasher.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8))
    elif sp.issparse(value):
        csr = value.tocsr()
        tag("sparse", csr.shape)
        for part in (csr.indptr, csr.indices, csr.data):
            _feed(hasher, part)
    elif isinstance(value, list | tuple | np.ndarray):
        tag("items", np.shape(value) if isinstance(value, np.ndarray) else len(value))
        for item in np.ravel(value) if isinstance(value, np.ndarray) else value:
            _feed(hasher, item)
    elif isinstance(value, dict):
        tag("dict")
        _feed(hasher, list(value.items()))
    elif value is None or isinstance(value, bool | int | float | str | torch.dtype):
        tag(type(value).__name__, str(value))
    elif hasattr(value, "get_params") and hasattr(value, "__getstate__"):
        tag(type(value).__name__)  # an estimator, which may be a parameter of another
        _feed(hasher, value.__getstate__())
    elif isinstance(value, Container) or type(value).__module__.startswith("sknets."):
        tag(type(value).__name__)
        # What batches come as is no part of the data, nor what a fit makes of them.
        of_batches = ("dtype", "device", *getattr(value, "_derived", ()))
        _feed(hasher, {k: v for k, v in vars(value).items() if k not in of_batches})
    elif not isinstance(value, torch.device):
        tag(joblib.hash(value))


def _pieces(values: Any, item_bytes: int):
    """Slices along the first axis, about as large as a cache."""
    values = values.reshape(-1) if values.ndim == 0 else values
    row_bytes = item_bytes * int(np.prod(values.shape[1:]))
    step = max(1, _CHUNK_BYTES // max(1, row_bytes))
    for start in range(0, len(values), step):
        yield values[start : start + step]
