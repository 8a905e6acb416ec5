"""What is made of a network's outputs, which come batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sknets._engine.containers import Ragged

Outputs = Iterable[tuple[Any, Any]]  # rows of a container, and their output


def parts_of(x: Any, size: int) -> Sequence[Any]:
    """The rows of each batch of a container, those of like lengths together."""
    if x.lengths is not None:  # hardly any padding to compute
        return x.lengths.argsort(stable=True).split(size)
    n = len(x)
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def halved(rows: Any) -> list[Any]:
    """The two halves of the rows of a batch; of one row itself."""
    if not isinstance(rows, slice):
        return [*rows.split(-(-len(rows) // 2))]
    middle = -(-(rows.start + rows.stop) // 2)
    if middle == rows.stop:
        return [rows]
    return [slice(rows.start, middle), slice(middle, rows.stop)]


def stacked(outputs: Outputs, n: int) -> Tensor:
    """One tensor (n, ...) on the CPU, a row a sample."""
    table: Tensor | None = None
    for rows, output in outputs:
        output = _on_cpu(output)
        if table is None:
            if isinstance(rows, slice) and len(output) == n:
                return output
            # Kept parts of the output between the activations would split the heap:
            # each batch would take new memory, in the end as much as X.
            table = output.new_empty((n, *output.shape[1:]))
        table[rows] = output
    assert table is not None
    return table


def steps(outputs: Outputs, n: int, listed: bool = True) -> np.ndarray:
    """An object array of arrays; (n, T, ...) of samples that are not ``listed``."""
    found = items(((rows, _cut(output)) for rows, output in outputs), n)
    return found if listed else np.stack(list(found))


def _cut(output: Ragged) -> list[np.ndarray]:
    parts = _on_cpu(output.join()).split(output.counts.tolist())
    return [part.numpy() for part in parts]


def items(outputs: Outputs, n: int) -> np.ndarray:
    """An object array (n,): of each sample whatever there is."""
    found = np.empty(n, dtype=object)
    for rows, output in outputs:
        output = _on_cpu(output).numpy() if isinstance(output, Tensor) else output
        places = range(n)[rows] if isinstance(rows, slice) else rows.tolist()
        for i, item in zip(places, output, strict=True):
            found[i] = item
    return found


def _on_cpu(output: Tensor) -> Tensor:
    # numpy knows no bfloat16
    return (output.float() if output.dtype == torch.bfloat16 else output).cpu()


__all__ = ["Outputs", "halved", "items", "parts_of", "stacked", "steps"]
