"""The state of an estimator: pickles, copies and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sknets import _state
from sknets._engine.chunks import Chunks


class Persistent(BaseEstimator):
    """What an estimator is made of when it is not in memory: no torch, no code."""

    # Parameters that a file does without.
    _only_for_fit: ClassVar[tuple[str, ...]] = ()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        net = state.pop("net_", None)
        if net is not None:
            state["net_state_"] = net.state()
        for name in self._part_names(state):
            state[name] = state[name].state()
        return state

    @staticmethod
    def _part_names(state: Any) -> list[str]:
        """Fitted attributes with a state of their own."""
        names = "reader_", "target_reader_", "chunks_"
        return [name for name in names if name in state]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        net_state = state.pop("net_state_", None)
        parts = {name: state.pop(name) for name in self._part_names(state)}
        super().__setstate__(state)
        self._restore_parts(parts)
        if net_state is not None:
            self._restore(net_state)

    def __copy__(self) -> Any:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def _restore_parts(self, states: dict[str, Any]) -> None:
        for name, state in states.items():
            if name == "chunks_":
                self.chunks_ = Chunks.restored(state)
                continue
            kinds = self._inputs if name == "reader_" else self._targets
            kind = next(k for k in kinds if k.name == state["kind"])
            reader = kind.of(self)
            reader.restore(state)
            setattr(self, name, reader)

    def _restore(self, net_state: dict[str, Any]) -> None:
        """Rebuild the trained net from its state."""
        net = self._make_net(None, seed=0, dtype=getattr(torch, net_state["dtype"]))
        net.restore(net_state)
        self.net_ = net

    def save(self, path: Any) -> None:
        """Write the fitted estimator to one safetensors file, for `sknets.load`.

        Unlike a pickle, such a file cannot run code when it is read.

        Parameters
        ----------
        path : str or path-like
            The file; it is replaced in one step.

        Raises
        ------
        NotFittedError
            Before `fit`.
        FileNotFoundError
            When the folder does not exist.
        OSError
            When the disk is full or the file may not be written; it is as it was.
        ValueError
            When a parameter is something that only Python can hold, such as a
            callback.
        """
        check_is_fitted(self)
        folder = Path(path).parent
        if not folder.is_dir():
            sentence = f"save({str(path)!r}): there is no folder {folder}"
            raise FileNotFoundError(sentence)
        state = self.__getstate__()
        state = {k: v for k, v in state.items() if not k.startswith("_")}
        state.update(dict.fromkeys(self._only_for_fit))
        _state.write(path, type(self).__name__, state)


__all__ = ["Persistent"]
