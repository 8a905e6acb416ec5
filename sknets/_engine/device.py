"""Where and how numbers are computed: devices, precision, private random streams."""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sknets._warn import warn

_FAMILIES = ("cpu", "cuda", "mps", "xpu")


def resolve_device(name: str, owner: str) -> torch.device:
    """Return the torch device of that name, or the CPU where it is missing.

    Parameters
    ----------
    name : str
        "cpu", "cuda", "cuda:1", "mps", ... or "auto": the first accelerator present.
    owner : str
        The class named in the error and in the warning.

    Raises
    ------
    ValueError
        When no such kind of device exists.

    Warns
    -----
    RuntimeWarning
        When this machine lacks the device and the CPU is used instead.
    """
    if name == "auto":
        present = torch.accelerator.current_accelerator() if _accelerator() else None
        return present or torch.device("cpu")
    family = name.partition(":")[0]
    try:
        if family not in _FAMILIES:
            raise RuntimeError
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(
            f"{owner}(device={name!r}): device must be 'cpu', 'auto' or an accelerator "
            "such as 'cuda', 'cuda:1' or 'mps'"
        ) from None
    if family != "cpu" and not _present(device):
        warn(
            f"{owner}(device={name!r}): this machine has no such device, the CPU is "
            "used instead",
            RuntimeWarning,
        )
        return torch.device("cpu")
    return device


def records(device: torch.device) -> bool:
    """Whether steps on it are recorded and replayed (`sknets._engine.graphs`)."""
    return device.type == "cuda"


def at_once(rows: int, device: torch.device) -> int:
    """Rows of a piece that is predicted, where a processor's cache holds so many.

    A card waits for each piece to be launched and for its result to be copied.
    """
    return rows if device.type == "cpu" else 64 * rows


class _Deterministic:
    """Inside the block CUDA gives the same bits twice; the flags are torch's own again
    when the last of several blocks, of any threads, is left.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0

    @contextlib.contextmanager
    def __call__(self, device: torch.device) -> Iterator[None]:
        if device.type != "cuda":
            yield
            return
        fill: Any = torch.utils.deterministic  # a slow help to find faults
        with self.lock:
            if not self.inside:
                self.before = (
                    torch.are_deterministic_algorithms_enabled(),
                    torch.is_deterministic_algorithms_warn_only_enabled(),
                    torch.backends.cudnn.deterministic,
                    fill.fill_uninitialized_memory,
                )
                # An algorithm that has no other way stays as it is.
                torch.use_deterministic_algorithms(True, warn_only=True)
                torch.backends.cudnn.deterministic = True
                fill.fill_uninitialized_memory = False
            self.inside += 1
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*deterministic")
                yield
        finally:
            with self.lock:
                self.inside -= 1
                if not self.inside:
                    on, warn_only, cudnn, filled = self.before
                    torch.use_deterministic_algorithms(on, warn_only=warn_only)
                    torch.backends.cudnn.deterministic = cudnn
                    fill.fill_uninitialized_memory = filled


deterministic = _Deterministic()


def _accelerator() -> bool:
    return torch.accelerator.is_available()


def _present(device: torch.device) -> bool:
    module = getattr(torch, device.type)
    if not module.is_available():
        return False
    return (device.index or 0) < module.device_count()


def compute_dtype(
    precision: str, data: torch.dtype, device: torch.device
) -> torch.dtype:
    """The dtype of the weights: on the CPU "auto" follows the table, as scikit-learn.

    bfloat16 is a compute precision only: its weights are kept in float32.
    """
    if precision == "float64" and device.type != "mps":
        return torch.float64
    if precision == "auto" and device.type == "cpu" and data == torch.float64:
        return torch.float64
    return torch.float32


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether the CPU has units that multiply matrices in bfloat16, AMX."""
    known: Any = getattr(torch.cpu, "get_capabilities", dict)
    return bool(known().get("amx_bf16"))


@functools.lru_cache(maxsize=256)
def scalar(value: float, dtype: torch.dtype) -> torch.Tensor:
    """A number as a tensor: to make it one would cost an operation more than its work.

    Ordinary even if first asked for in inference mode.
    """
    with torch.inference_mode(False):
        return torch.tensor(value, dtype=dtype)


class _Alias:
    """An array's memory under the buffer protocol, without its read-only flag."""

    def __init__(self, array: np.ndarray):
        self.owner = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """Return a tensor that shares the array's memory, which is only ever read.

    Read-only arrays (memory maps, joblib's shared inputs) are shared as well: torch
    would warn and copying would double the memory, or fail for a file larger than it.
    """
    if not array.flags.writeable:
        array = np.asarray(_Alias(array))
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = np.array(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def to_numpy(tree: Any) -> Any:
    """Containers of tensors as containers of arrays of their own."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().numpy().copy()
    if isinstance(tree, dict):
        return {key: to_numpy(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_numpy(value) for value in tree)
    return tree


def to_torch(tree: Any) -> Any:
    """Containers of arrays as containers of tensors of their own."""
    if isinstance(tree, np.ndarray):
        return as_tensor(tree).clone()
    if isinstance(tree, dict):
        return {key: to_torch(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_torch(value) for value in tree)
    return tree


def _with_generator(func: Any) -> Any:
    """The operator's overload with ``generator``, None if it is not random."""
    names = [argument.name for argument in func._schema.arguments]
    if "generator" in names:
        return func
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return None
    packet = func.overloadpacket
    for overload in packet.overloads():
        candidate = getattr(packet, overload)
        others = [argument.name for argument in candidate._schema.arguments]
        if "generator" in others and [n for n in others if n != "generator"] == names:
            return candidate
    raise RuntimeError(f"{func} draws random numbers but takes no generator")


def _drops_nothing(func: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether the operator is random only by a dropout that is 0: attention."""
    names = [argument.name for argument in func._schema.arguments]
    if "dropout_p" not in names:
        return False
    at = names.index("dropout_p")
    return (args[at] if len(args) > at else kwargs.get("dropout_p", 0)) == 0


class GeneratorMode(TorchDispatchMode):
    """Inside the block every random draw of this thread comes from one generator.

    ``fork_rng`` with ``manual_seed`` is not thread-safe and touches global state; this
    is and does not, so the same ``random_state`` gives the same bits in any worker.
    """

    _overloads: dict[Any, Any] = {}  # noqa: RUF012 (a cache, shared on purpose)

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self._generator = generator

    @classmethod
    def _should_skip_dynamo(cls):
        """False: to be skipped by torch's compiler would import it, over a second."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if _drops_nothing(func, args, kwargs):
            return func(*args, **kwargs)
        if func not in self._overloads:
            self._overloads[func] = _with_generator(func)
        seeded = self._overloads[func]
        if seeded is not None and kwargs.get("generator") is None:
            return seeded(*args, **{**kwargs, "generator": self._generator})
        return func(*args, **kwargs)


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def limited_threads(most: int | None) -> Any:
    """Return a context in which torch computes in at most so many threads."""
    torch.get_num_threads()  # else torch's first operation would lift the limit
    return _controller().limit(limits=most, user_api="openmp")


class Streams:
    """The two random streams of a fit: one to initialise, one to shuffle and for noise.

    Noise on an accelerator needs a generator there: a third stream, same seed.
    """

    def __init__(self, seed: int, device: torch.device):
        self.initial = torch.Generator().manual_seed(seed)
        self.loop = torch.Generator().manual_seed(seed + 1)
        self.noise = self.loop
        if device.type != "cpu":
            self.noise = torch.Generator(device).manual_seed(seed + 1)

    def bind(self, module: nn.Module) -> None:
        """Give the noise stream to every layer that draws (`_layers.Dropout`, ...)."""
        for layer in module.modules():
            if hasattr(layer, "generator"):
                layer.generator = self.noise  # type: ignore[assignment]

    def state(self) -> dict[str, np.ndarray]:
        return {
            "loop": self.loop.get_state().numpy().copy(),
            "noise": self.noise.get_state().cpu().numpy().copy(),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.loop.set_state(torch.from_numpy(np.array(state["loop"])))
        # The states of a CPU and a CUDA generator differ: after a move between the
        # two the noise stream starts afresh from its seed.
        if self.noise is not self.loop and len(state["noise"]) != len(state["loop"]):
            self.noise.set_state(torch.from_numpy(np.array(state["noise"])))
