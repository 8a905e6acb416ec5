"""Training steps that are recorded once and replayed: a card waits for no Python.

A step of a small net is hundreds of launches, each of which takes the host longer than
the card. Recorded in a CUDA graph they are one launch. The steps before the recording
are steps of the training as all others, on a stream of their own as torch asks for; the
recording computes nothing. Whatever changes from step to step is in tensors: the batch
is copied into the graph's, the learning rate is a tensor of the optimiser's kernel.

What cannot be recorded is done as ever: a batch that is not a few tensors, a step that
asks the host for a number, a graph more than there may be, a recording that fails.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sknets._engine.containers import Ragged
from sknets._engine.data import Batch
from sknets._engine.device import records

_BEFORE = 3  # steps of a shape before its recording
_MOST = 4  # graphs of a phase: each keeps the memory of its step
_WORTH = 20  # steps of a phase; of fewer the recording would take as long

# Two recordings at once would draw each other's noise.
_RECORDING = threading.Lock()


class CudaGraphs:
    """How a CUDA device records.

    Parameters
    ----------
    device : torch.device
    generator : torch.Generator
        The noise of the steps; each replay draws on.
    """

    def __init__(self, device: torch.device, generator: torch.Generator):
        self.device, self.generator = device, generator
        self.side = torch.cuda.Stream(device)

    def aside(self, step: Callable[[], Any]) -> Any:
        """Do a step on the stream beside."""
        current = torch.cuda.current_stream(self.device)
        self.side.wait_stream(current)
        with torch.cuda.stream(self.side):
            found = step()
        current.wait_stream(self.side)
        return found

    def asking(self, step: Callable[[], Any]) -> tuple[Any, bool]:
        """Do a step; also, whether it waited for a number of the device."""
        mode = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                found = self.aside(step)
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        return found, any("synchronizing CUDA" in str(each.message) for each in told)

    def record(self, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """What replays a step, and the tensors that it leaves its results in."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        before = self.generator.get_state()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                left = step()
        finally:  # also of a recording that fails, after which training goes on
            self.generator.set_state(before)
        return graph.replay, left


class RecordedSteps:
    """Does steps, and from the fourth of a shape on replays its graph.

    Parameters
    ----------
    step : callable
        ``step(batch, moving)`` moves the parameters of some; what it returns is
        tensors, in tuples and dicts.
    device : torch.device
    generator : torch.Generator
        Where the noise of the steps comes from.
    """

    def __init__(
        self,
        step: Callable[[Batch, Any], Any],
        device: torch.device,
        generator: torch.Generator,
    ):
        self.step = step
        self.backend = CudaGraphs(device, generator)
        self.seen: dict[Any, int] = {}
        self.graphs: dict[Any, tuple[Batch, Callable[[], None], Any]] = {}
        self.refused = False

    def __call__(self, batch: Batch, moving: Any) -> Any:
        shape = _shape(batch, moving)
        if shape in self.graphs:
            room, replay, left = self.graphs[shape]
            _copy(batch, room)
            replay()
            return _map(left, Tensor.clone)
        if self.refused or shape is None or len(self.graphs) == _MOST:
            return self.step(batch, moving)
        seen = self.seen[shape] = self.seen.get(shape, 0) + 1
        with _RECORDING:
            if seen < _BEFORE:
                return self.backend.aside(lambda: self.step(batch, moving))
            found, asks = self.backend.asking(lambda: self.step(batch, moving))
            self.refused = asks
            if not asks:
                self._record(shape, batch, moving)
        return found

    def _record(self, shape: Any, batch: Batch, moving: Any) -> None:
        room = Batch(*(_map(each, Tensor.clone) for each in _parts(batch)))
        try:
            recorded = self.backend.record(lambda: self.step(room, moving))
        except RuntimeError:  # also of memory: the steps go on without
            self.refused = True
        else:
            self.graphs[shape] = room, *recorded


def may_record(device: torch.device, steps: int) -> bool:
    """Whether a device records at all, and so many steps are worth it."""
    return records(device) and steps >= _WORTH


def _parts(batch: Batch) -> tuple[Any, Any, Any]:
    return batch.x, batch.y, batch.weight


def _map(tree: Any, change: Callable[[Tensor], Any]) -> Any:
    """Tensors, also in tuples, dicts and Ragged of equal lengths, each changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, Ragged):
        return Ragged(change(tree.values), whole=tree.whole, listed=tree.listed)
    if isinstance(tree, dict):
        return {name: _map(each, change) for name, each in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_map(each, change) for each in tree)
    return tree


def _shape(batch: Batch, moving: Any) -> Any:
    """By which a graph is known; None of a batch that is not a few tensors."""
    known: list[Any] = [moving]
    for part in _parts(batch):
        for each in part if isinstance(part, tuple) else (part,):
            if isinstance(each, Ragged) and each.lengths is None:
                each = each.values
            elif each is not None and type(each) is not Tensor:
                return None
            known.append(None if each is None else (each.shape, each.dtype))
    return tuple(known)


def _copy(batch: Batch, room: Batch) -> None:
    for source, target in zip(_parts(batch), _parts(room)):
        several = isinstance(source, tuple)
        for one, other in zip(*((source, target) if several else ([source], [target]))):
            if one is not None:
                own = isinstance(one, Ragged)
                (other.values if own else other).copy_(one.values if own else one)


__all__ = ["CudaGraphs", "RecordedSteps", "may_record"]
