"""Records steps on the CPU, in the place of `sknets._engine.graphs.CudaGraphs`.

It writes down the operators of a step, takes back what they did, and does them again at
each replay: as on a card, whatever a step leaves in Python is not done again.
"""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sknets._engine import graphs, optim


def tensors(tree):
    return [each for each in tree_leaves(tree) if isinstance(each, torch.Tensor)]


class Notes(TorchDispatchMode):
    """The operators that run, and the memory that they change as it was before."""

    def __init__(self):
        super().__init__()
        self.calls: list[Any] = []
        self.before: dict[int, Any] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = func._schema.arguments
        named = {argument.name: value for argument, value in zip(given, args)} | kwargs
        for argument in given:
            # Batch normalisation does not say that it changes its statistics.
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written or argument.name in ("running_mean", "running_var"):
                for each in tensors(named.get(argument.name)):
                    storage = each.untyped_storage()
                    self.before.setdefault(
                        storage.data_ptr(), (storage, storage.clone())
                    )
        found = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, found))
        return found

    def take_back(self):
        for storage, values in self.before.values():
            storage.copy_(values)

    def again(self):
        with torch.no_grad():
            for func, args, kwargs, found in self.calls:
                own = {each.untyped_storage().data_ptr() for each in tensors(args)}
                own |= {each.untyped_storage().data_ptr() for each in tensors(kwargs)}
                anew = func(*args, **kwargs)
                for old, new in zip(tensors(found), tensors(anew)):
                    if old.untyped_storage().data_ptr() not in own:
                        old.detach().copy_(new)


class Recorder:
    """In the place of `CudaGraphs`."""

    known: list[Any] = []  # noqa: RUF012 (emptied by the fixture)
    fails = False

    def __init__(self, device, generator):
        self.generator, self.aside_ = generator, 0
        self.recorded = self.replayed = 0
        self.known.append(self)

    def aside(self, step):
        self.aside_ += 1
        return step()

    def asking(self, step):
        with Notes() as notes:
            found = self.aside(step)
        asked = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero
        return found, any(call[0] in asked for call in notes.calls)

    def record(self, step):
        if self.fails:
            raise torch.OutOfMemoryError("CUDA out of memory")
        before = self.generator.get_state()
        with Notes() as notes:
            left = step()
        notes.take_back()
        self.generator.set_state(before)
        self.recorded += 1

        def replay():
            self.replayed += 1
            notes.again()

        return replay, left


@pytest.fixture
def recorder(monkeypatch):
    for module in (graphs, optim):
        monkeypatch.setattr(module, "records", lambda device: True)
    monkeypatch.setattr(graphs, "CudaGraphs", Recorder)
    monkeypatch.setattr(Recorder, "known", [])
    return Recorder
