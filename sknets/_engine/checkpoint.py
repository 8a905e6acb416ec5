"""Fits that survive: the state of a fit in a file, written after every epoch.

The file holds what `Net.state` gives, so whatever a chapter trains is resumed as long
as its net's `state` and `restore` are complete; of the fitted attributes those that
training itself sets; and the fit's identity, so that no other fit takes it for its own.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from sknets import _state
from sknets._attempt import fitted_attributes
from sknets._engine._skorch import Callback
from sknets._engine.callbacks import Resumable
from sknets._engine.digest import digest
from sknets._engine.processes import leads
from sknets._warn import warn

FORMAT = "sknets-checkpoint-1"

# Parameters that leave the result as it is, or (the last two) count in another way.
_WITHOUT_EFFECT = {
    *("callbacks", "checkpoint", "device", "verbose"),
    *("random_state", "warm_start"),
}


class Checkpoint(Callback):
    """The checkpoint of one fit: first `open`, then `train`.

    Parameters
    ----------
    estimator : Estimator
        Its parameter ``checkpoint`` is the file, or a folder for a file a fit.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written to.
    ValueError
        When the path is something else than a readable file or a folder.
    """

    def __init__(self, estimator: Any):
        self.estimator: Any = estimator
        self.identity: dict[str, Any] = {}
        self.saved: dict[str, Any] | None = None
        self.gathered: dict[str, Any] | None = None
        self.random: dict[str, Any] | None = None
        self.last: int | None = None
        self.warned = False
        given = os.fsdecode(estimator.checkpoint)
        self.path = Path(given)
        self.is_folder = os.path.isdir(given) or given.endswith((os.sep, "/"))
        folder = self.path if self.is_folder else self.path.parent
        needed = self.path.parent
        if not os.path.isdir(needed):
            raise FileNotFoundError(
                self._sentence(f"there is no folder {needed}; make it first")
            )
        readable = os.path.isfile(given) and os.access(given, os.R_OK)
        if not self.is_folder and os.path.exists(given) and not readable:
            reason = "it is neither a file that can be read nor a folder"
            raise ValueError(self._sentence(reason))
        try:
            if self.is_folder:
                folder.mkdir(exist_ok=True)
            prefix = "" if self.is_folder else f"{self.path.name}."
            with tempfile.NamedTemporaryFile(prefix=prefix, suffix=".tmp", dir=folder):
                pass
        except OSError as error:
            reason = f"no file can be written there ({error.strerror})"
            raise type(error)(self._sentence(reason)) from error

    def open(
        self, samples: Any, random: Any, net: Any = None, held_out: Any = None
    ) -> np.random.RandomState:
        """Find what is kept of this fit, and the random state that it began with.

        Parameters
        ----------
        samples : Samples
            All of them, before the validation split.
        random : RandomState
            Nothing drawn from it yet.
        net : Net or None
            The net that a warm start goes on with.
        held_out : tuple or None
            What the user brings to validate by.

        Raises
        ------
        ValueError
            When the file is of another fit, or no checkpoint.
        """
        self.identity = _identity(self.estimator, samples, net, held_out)
        if self.is_folder:
            name = f"{self.identity['class']}-{digest(self.identity)[:16]}.safetensors"
            self.path = self.path / name
        self.previous = self._beside(".previous")
        for left in glob.glob(f"{glob.escape(str(self.path))}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        self.mark = self._mark()
        self.saved = self._find()
        if self.estimator.random_state is None:
            if self.saved is not None:
                random = np.random.RandomState()
                random.set_state(self.saved["random"])
            self.random = random.get_state(legacy=False)
        return random

    def train(
        self, net: Any, samples: Any, valid: Any, epochs: int, callbacks: list[Any]
    ) -> None:
        """Train the net for the epochs that are not done yet, keeping each."""
        self.start, self.epochs = len(net.history), epochs
        self.before = dict(vars(self.estimator))
        named = [item for item in callbacks if isinstance(item, tuple)]
        self.kept = {n: c for n, c in named if isinstance(c, Resumable)}
        try:
            resumed = self.saved is not None
            if not self._restore(net):
                left, own = epochs - self._done(net), ("checkpoint", self)
                net.train(samples, valid, left, [*callbacks, own], resumed)
                self._write(net, finished=True)
        finally:
            # The net outlives the fit and holds its callbacks.
            self.estimator, self.before, self.kept = None, {}, {}

    # -- what skorch calls -----------------------------------------------------------

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        if self.gathered is None:
            self._write(net)

    def on_phase_begin(self, net, phase):
        # Last of all callbacks: the others have just begun anew.
        gathered, self.gathered = self.gathered, None
        for name, state in (gathered or {}).items():
            self.kept[name].restore(state)

    def on_uncounted_epoch(self, net, phase):
        self._write(net)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        # The last epoch is written when training has ended, with the best weights. An
        # epoch that stops training early does not get here: it is repeated then.
        if self._done(net) < self.epochs:
            self._write(net)

    # -- reading ---------------------------------------------------------------------

    def _find(self) -> dict[str, Any] | None:
        """The state in the file, or in the one before it if the file is damaged."""
        if not self.path.exists():
            return None
        with contextlib.suppress(_state.ModelFileError):
            return self._read(self.path)
        found = None
        with contextlib.suppress(_state.ModelFileError, FileNotFoundError):
            found = self._read(self.previous)
        aside = self._beside(".damaged")
        _state.second_name(self.path, aside)
        then = "training starts anew"
        if found is not None:
            os.replace(self.previous, self.path)
            then = f"training resumes from the file before it, epoch {found['done']}"
        reason = f"{self.path} is damaged and set aside as {aside.name}; {then}"
        warn(self._sentence(reason), RuntimeWarning)
        self.mark = self._mark()
        return found

    def _read(self, path: Path) -> dict[str, Any]:
        """The state in a file of this very fit."""
        try:
            _, state = _state.read(path, FORMAT)
        except _state.OtherFormatError as error:
            reason = f"{path} is no checkpoint of this version; give another path"
            raise ValueError(self._sentence(reason)) from error
        difference = _difference(state["identity"], self.identity)
        if difference:
            raise ValueError(
                self._sentence(
                    f"{path} is of another fit, {difference}; delete it, give another "
                    "path, or give a folder, in which each fit has a file of its own"
                )
            )
        return state

    def _restore(self, net: Any) -> bool:
        """Bring back what was found, if anything; whether that fit had finished."""
        saved, self.saved = self.saved, None
        if saved is None:
            return False
        net.restore({**saved["net"], "history": _rows(saved["net"]["history"])})
        vars(self.estimator).update(saved["fitted"])
        self.last, self.gathered = saved["done"], saved["callbacks"]
        if self.estimator.callbacks and not saved["finished"]:
            reason = (
                f"training resumes after epoch {self.last}, but a checkpoint holds "
                "nothing of the skorch callbacks in callbacks: they begin anew"
            )
            warn(self._sentence(reason), RuntimeWarning)
        return bool(saved["finished"])

    # -- writing ---------------------------------------------------------------------

    def _write(self, net: Any, finished: bool = False) -> None:
        if not leads():
            return
        done = self._done(net)
        net_state = net.state()
        state = {
            "identity": self.identity,
            "finished": finished,
            "done": done,
            "random": self.random,
            "net": {**net_state, "history": _columns(net_state["history"])},
            "callbacks": {name: each.state() for name, each in self.kept.items()},
            "fitted": {
                name: value
                for name, value in _fitted(self.estimator).items()
                if name not in self.estimator._part_names({name: value})
                and self.before.get(name) is not value
            },
        }
        name = self.identity["class"]
        try:
            if self._mark() != self.mark:
                # Another fit may have begun with the same file since: nothing of it
                # is overwritten.
                with contextlib.suppress(_state.ModelFileError, FileNotFoundError):
                    self._read(self.path)
            _state.write(self.path, name, state, FORMAT, self.previous)
            self.last, self.mark = done, self._mark()
        except OSError as error:
            self._warn_of(error, done)

    def _warn_of(self, error: OSError, done: int) -> None:
        if self.warned:
            return
        self.warned = True
        kept = "none is kept yet"
        if self.last is not None and self.path.exists():
            kept = f"the state after epoch {self.last} is kept"
        reason = (
            f"the state after epoch {done} could not be written to {self.path} "
            f"({error.strerror or error}); {kept}, training goes on and tries again "
            "after each epoch: make room on the disk, or bring back the folder"
        )
        warn(self._sentence(reason), RuntimeWarning)

    def _done(self, net: Any) -> int:
        return len(net.history) - self.start

    def _mark(self) -> Any:
        """What changes when anybody writes the file."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            return status.st_ino, status.st_mtime_ns, status.st_size
        return None

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _sentence(self, reason: str) -> str:
        return self.estimator._refusal("checkpoint", reason)


def _identity(estimator: Any, samples: Any, net: Any, held_out: Any) -> dict[str, Any]:
    """Everything that the result of a fit depends on, as texts and digests."""
    texts = {}
    for name, value in estimator.get_params(deep=False).items():
        if name not in _WITHOUT_EFFECT:
            try:
                texts[name] = _text(value)
            except pickle.PicklingError as error:
                reason = "a checkpoint cannot tell it from others, give it a name (def)"
                raise ValueError(estimator._refusal(name, reason)) from error
    seed = estimator.random_state
    if isinstance(seed, np.random.RandomState):
        seed = digest(seed.get_state(legacy=False))
    start = None
    if net is not None:
        # Without the history, which knows how long each epoch took.
        state = {k: v for k, v in net.state().items() if k != "history"}
        start = digest(state, len(net.history))
    weight = samples.weight
    total = None if weight is None else samples.total_weight
    return {
        "class": type(estimator).__name__,
        "parameters": {**texts, "random_state": _text(seed)},
        "start": start,
        "data": {
            "X": digest(samples.x),
            "y": digest(samples.y),
            "sample_weight": digest(weight, samples.rows, total),
            **({} if held_out is None else {"X_val": digest(*held_out)}),
            **{name: digest(value) for name, value in _fitted(estimator).items()},
        },
    }


def _difference(found: dict[str, Any], own: dict[str, Any]) -> str:
    """How the fit of a file differs from this one, in words; empty if it does not."""
    if found["class"] != own["class"]:
        return f"of {found['class']} instead of {own['class']}"
    for name, text in own["parameters"].items():
        other = found["parameters"].get(name)
        if other != text:
            return f"with {name}={other} instead of {text}"
    if found["start"] != own["start"]:
        return "which starts from another net (warm_start)"
    names = [k for k in own["data"] if found["data"].get(k) != own["data"][k]]
    return f"with other data ({', '.join(names)})" if names else ""


def _text(value: Any) -> str:
    """A parameter's value, the same text wherever it is equal."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_text(k)}: {_text(v)}' for k, v in value.items())}}}"
    return f"<{type(value).__name__} {digest(value)[:16]}>"


def _fitted(estimator: Any) -> dict[str, Any]:
    """What a fit has set but its net, and what is counted of the samples themselves."""
    found = fitted_attributes(estimator)
    found = {k: v for k, v in found.items() if k not in ("net_", "chunks_")}
    parts = {name: found[name].state() for name in estimator._part_names(found)}
    return {**found, **parts}


def _columns(rows: list[dict[str, Any]]) -> Any:
    """A history by columns, so that writing it is cheap after a thousand epochs too."""
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        return rows
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for values in columns.values():
        kinds = {float if isinstance(value, float) else type(value) for value in values}
        if kinds not in ({bool}, {int}, {float}):
            return rows
    return {name: np.array(values) for name, values in columns.items()}


def _rows(history: Any) -> list[dict[str, Any]]:
    if isinstance(history, list):
        return history
    lists = [column.tolist() for column in history.values()]
    return [dict(zip(history, values)) for values in zip(*lists)]


__all__ = ["Checkpoint"]
