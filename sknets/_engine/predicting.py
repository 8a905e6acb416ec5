"""What a network gives for a whole container, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sknets._engine.batching import Ragged


def outputs_for(
    x: Any, run: Callable[[Any], Tensor], size: int, by_step: bool = False
) -> Tensor:
    """What ``run`` gives for a container ``x``, on the CPU, in batches of a size.

    ``by_step`` says that it gives a row for each step of a sequence, not for each
    sequence: sequences stay joined. In inference mode and without writing anything:
    threads may share a fitted net.
    """
    n, lengths = len(x), getattr(x, "lengths", None)
    if lengths is None:
        parts = [slice(i, min(i + size, n)) for i in range(0, n, size)]
    else:  # like lengths together: hardly any padding to compute
        parts = lengths.argsort().split(size)
    if by_step:
        n, lengths = int(x.n_steps().sum()), x.n_steps()
        steps = Ragged(torch.arange(n), lengths)

    def batch(rows: Any) -> Tensor:
        output = run(x.batch(rows))
        # numpy knows no bfloat16
        return (output.float() if output.dtype == torch.bfloat16 else output).cpu()

    with torch.inference_mode():
        first = batch(parts[0])
        if n <= size and lengths is None:
            return first
        # Kept parts of the output between the activations would split the heap:
        # each batch would take new memory, in the end as much as X.
        outputs = first.new_empty((n, *first.shape[1:]))
        for i, rows in enumerate(parts):
            outputs[steps.take(rows) if by_step else rows] = batch(rows) if i else first
        return outputs


__all__ = ["outputs_for"]
