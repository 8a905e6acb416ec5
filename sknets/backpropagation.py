"""Backpropagation examined: are the gradients right, and do they reach every layer?

Backpropagation itself, derived by hand for plain dense networks, is to be read in
`sknets._engine.dense`; every other network is differentiated by autograd.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement
from torch import Tensor, nn
from tqdm.auto import tqdm

from sknets._differences import FIRST_STEP, SHRINK, choose, derivative, relative_error
from sknets._engine.data import Samples
from sknets._engine.dense import derived_by_hand
from sknets._engine.device import GeneratorMode, Streams
from sknets._engine.players import loss_of
from sknets._estimator import Estimator
from sknets._params import _broken_rule

_CPU = torch.device("cpu")
_EPS = float(np.finfo(np.float64).eps)


@dataclass(repr=False)
class GradientCheck:
    """What `gradient_check` found.

    Attributes
    ----------
    table : DataFrame
        A row for each parameter tensor, by name: its ``shape``, how many of its numbers
        were ``checked``, how many more were left out because the loss has a kink there
        (``kinks``), and the largest relative error of each gradient: "autograd", and
        "by_hand" if the estimator trains by hand-derived gradients.
    tolerance : float
        The relative error that counts as right.
    name : str
        Class of the estimator.
    n_samples : int
        How many of the given samples the loss was of.
    """

    table: pd.DataFrame
    tolerance: float
    name: str
    n_samples: int

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of all; NaN where nothing could be checked."""
        return float(self._errors().max(axis=None))

    @property
    def passed(self) -> bool:
        """Whether every tensor has checked numbers and all are within tolerance."""
        checked = bool((self.table["checked"] > 0).all())
        return checked and self.max_relative_error < self.tolerance

    def _errors(self) -> pd.DataFrame:
        return self.table[[c for c in ("by_hand", "autograd") if c in self.table]]

    def __repr__(self) -> str:
        errors = self._errors()
        table = self.table.astype({"shape": str})
        for way in errors:
            table[way] = [f"{error:.1e}" for error in errors[way]]
        total = sum(int(np.prod(shape)) for shape in self.table["shape"])
        return (
            f"Gradient check of {self.name}: {'passed' if self.passed else 'FAILED'}\n"
            f"Largest relative error {self.max_relative_error:.1e} (tolerance "
            f"{self.tolerance:g}), {self.table['checked'].sum():,} of {total:,} "
            f"parameters checked, {self.table['kinks'].sum():,} left out at kinks; the "
            f"loss of {self.n_samples:,} samples\n\n"
            f"{table.to_string()}"
        )


@dataclass(repr=False)
class GradientNorms:
    """What `gradient_norms` found.

    Attributes
    ----------
    table : DataFrame
        A row for each layer with parameters, in the order of the forward pass: its
        ``kind``, the number of its ``parameters``, the Euclidean ``gradient_norm`` and
        ``weight_norm`` over all of them, their ``ratio`` gradient / weight, and the
        root mean square of the gradient, ``gradient_rms``.
    loss : float
        The loss whose gradient it is.
    name : str
        Class of the estimator.
    """

    table: pd.DataFrame
    loss: float
    name: str

    def __repr__(self) -> str:
        table = self.table.to_string(float_format="{:.2e}".format)
        return f"Gradient norms of {self.name} at a loss of {self.loss:.4g}\n\n{table}"


def gradient_check(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    n_parameters: int | None = 20,
    n_samples: int | None = 32,
    tolerance: float = 1e-6,
    random_state: Any = 0,
) -> GradientCheck:
    """Check the gradients that an estimator trains with against finite differences.

    The loss of ``n_samples`` of the given samples as one batch is differentiated as in
    training, by the hand-derived backpropagation where the network has one and by
    autograd, and compared, weight by weight, with central differences of the loss [1]_.
    Everything is computed in float64 on the CPU, on a copy, whatever the estimator's
    precision and device; the estimator, fitted or not, stays as it is. What takes more
    than a few seconds shows a bar.

    Parameters
    ----------
    estimator : Estimator
        Of this library. Fitted: checked at its present weights, X and y as for its
        ``predict`` and ``score``. Unfitted: at the weights that ``fit`` would begin
        with, given its ``random_state``.
    X : array-like of shape (n_samples, ...)
        The kinds of input that the estimator takes. All of it counts for whatever `fit`
        learns before training, such as the scale of columns.
    y : array-like or None, default=None
        As for the estimator's ``fit``.
    sample_weight : array-like of shape (n_samples,), default=None
        As for the estimator's ``fit``.
    n_parameters : int or None, default=20
        How many numbers of each parameter tensor are checked, at random: half of them
        where the gradient is not zero, as far as there are such. None checks all.
    n_samples : int or None, default=32
        How many samples the loss is of, at random, if there are more: a gradient is
        right for a few dozen or for none, and the time grows with their number. None
        takes all.
    tolerance : float, default=1e-6
        The largest relative error that counts as right.
    random_state : int, RandomState or None, default=0
        Which numbers are checked, of which samples; None chooses others at each call.

    Returns
    -------
    GradientCheck
        With ``passed``, ``max_relative_error`` and ``table``.

    Raises
    ------
    TypeError
        When the estimator is not one of this library, or not trained by
        backpropagation.
    ValueError
        For whatever the estimator's ``fit`` refuses, for a loss that is not finite and
        for ``n_parameters``, ``n_samples`` or ``tolerance`` out of bounds.
    RuntimeError
        When the loss is not the same twice.

    Notes
    -----
    *The loss* is that of one step of training: batch normalisation takes the statistics
    of the batch, and the noise of dropout is drawn once and held fixed. The L2 penalty
    is not part of it, as the optimiser adds it. Nothing is held out for
    ``early_stopping``. The zero vector of unknown categories (``padding_idx`` of an
    embedding) is not trained and not checked.

    *The difference quotient* D(h) = (f(w + h) - f(w - h)) / 2h is extrapolated from two
    steps to an error of order h⁴ [2]_, (16 D(h/4) - D(h)) / 15. h begins at 0.004 (or
    0.004 \\|w\\|), less where the number before needed less, and is quartered until two
    of these in turn agree and the one-sided slopes differ by no more than curvature
    explains: until no kink (of ReLU, of max-pooling) is within the step. Closer than
    2e-7 to one, the number is left out and counted as a kink.

    *The relative error* of an analytic a and a numeric n is \\|a - n\\| /
    max(\\|a\\| + \\|n\\|, floor) [3]_. The floor, there a constant, is ten times the
    rounding noise of the loss (measured, at weights a few ulps away) over step and
    tolerance: zero gradients divide by no zero, and what float64 cannot resolve is no
    error. So gradients below the floor, some 1e-5 of the loss where no kink is
    near, are checked less sharply.

    References
    ----------
    .. [1] C. M. Bishop. Pattern Recognition and Machine Learning, section 5.3.3.
       Springer 2006.
    .. [2] L. F. Richardson. The Approximate Arithmetical Solution by Finite Differences
       of Physical Problems. Phil. Trans. Royal Society A 210, 1911.
    .. [3] F.-F. Li, A. Karpathy, J. Johnson. CS231n: Convolutional Neural Networks for
       Visual Recognition, assignments (``rel_error``) and the notes on gradient
       checks. Stanford 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import FeedforwardClassifier, gradient_check
    >>> X, y = load_iris(return_X_y=True)
    >>> check = gradient_check(FeedforwardClassifier(random_state=0), X, y)
    >>> check.passed
    True
    >>> check.table[["shape", "checked", "kinks"]]
                          shape  checked  kinks
    layers.1.weight    (100, 4)       20      0
    layers.1.bias        (100,)       20      0
    layers.3.weight    (3, 100)       20      0
    layers.3.bias          (3,)        3      0
    """
    for option, value, kind, bounds in (
        ("n_parameters", n_parameters, int | None, {"at least": 1}),
        ("n_samples", n_samples, int | None, {"at least": 1}),
        ("tolerance", tolerance, float, {"above": 0}),
    ):
        if broken := _broken_rule(value, kind, bounds):
            raise ValueError(f"gradient_check({option}={value!r}): {option} {broken}")
    random = np.random.RandomState() if random_state is None else random_state
    random = check_random_state(random)
    step = _Step(estimator, X, y, sample_weight, "gradient_check", n_samples, random)
    gradients = step.gradients()
    noise = step.noise()
    analytic = {
        name: {way: g[name].numpy().ravel() for way, g in gradients.items()}
        for name in step.parameters
    }
    chosen = {
        name: choose(each["autograd"], n_parameters, step.untrained.get(name), random)
        for name, each in analytic.items()
    }
    rows = []
    total = sum(map(len, chosen.values()))
    with tqdm(total=total, desc="gradient_check", delay=2, leave=False) as bar:
        for name, parameter in step.parameters.items():
            errors: dict[str, list[float]] = {way: [] for way in gradients}
            first = FIRST_STEP
            for position in chosen[name]:
                place = np.unravel_index(position, parameter.shape)
                numeric = derivative(step, parameter, place, noise, tolerance, first)
                if numeric is not None:
                    # What was narrow enough for one number is so for the next ones.
                    first = min(FIRST_STEP, numeric[2] * SHRINK**3)
                for way, gradient in analytic[name].items():
                    error = relative_error(gradient[position], numeric, tolerance)
                    if error is not None:
                        errors[way].append(error)
                bar.update()
            checked = len(errors["autograd"])
            worst = {way: max(found, default=np.nan) for way, found in errors.items()}
            kinks = len(chosen[name]) - checked
            rows.append((tuple(parameter.shape), checked, kinks, *worst.values()))
    table = pd.DataFrame(
        rows,
        index=list(step.parameters),
        columns=["shape", "checked", "kinks", *gradients],
    )
    name = type(estimator).__name__
    return GradientCheck(table, float(tolerance), name, step.n_samples)


def gradient_norms(
    estimator: Any, X: Any, y: Any = None, *, sample_weight: Any = None
) -> GradientNorms:
    """Measure the gradient of the loss in each layer, from the first to the last.

    Where it falls from the last layer to the first by orders of magnitude, gradients
    vanish and the first layers hardly learn; where it grows, they explode [1]_ [2]_.

    Parameters
    ----------
    estimator : Estimator
        Of this library. Fitted: at its present weights. Unfitted: at the weights that
        ``fit`` would begin with, given its ``random_state``. It stays as it is.
    X : array-like of shape (n_samples, ...)
        The kinds of input that the estimator takes; all samples are one batch.
    y : array-like or None, default=None
        As for the estimator's ``fit``.
    sample_weight : array-like of shape (n_samples,), default=None
        As for the estimator's ``fit``.

    Returns
    -------
    GradientNorms
        With ``table``, a row for each layer; `sknets.display.GradientNormsDisplay`
        draws it.

    Raises
    ------
    TypeError
        When the estimator is not one of this library, or not trained by
        backpropagation.
    ValueError
        For whatever the estimator's ``fit`` refuses, and for a loss that is not finite.
    RuntimeError
        When the loss is not the same twice.

    Notes
    -----
    The loss is that of `gradient_check`: of one step of training, in float64, without
    the L2 penalty. A parameter that several layers share counts in the first of them.

    References
    ----------
    .. [1] S. Hochreiter. Untersuchungen zu dynamischen neuronalen Netzen. Diploma
       thesis, TU München 1991.
    .. [2] X. Glorot, Y. Bengio. Understanding the difficulty of training deep
       feedforward neural networks. AISTATS 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import FeedforwardClassifier, gradient_norms
    >>> X, y = load_iris(return_X_y=True)
    >>> deep = FeedforwardClassifier(
    ...     hidden_layer_sizes=(20,) * 10, activation="sigmoid", random_state=0
    ... )
    >>> norms = gradient_norms(deep, X, y).table["gradient_norm"]
    >>> norms.index[0], norms.index[-1]
    ('layers.1 Linear 4->20', 'layers.21 Linear 20->3')
    >>> bool(norms.iloc[0] < 1e-6 * norms.iloc[-1])  # vanishing
    True
    """
    step = _Step(estimator, X, y, sample_weight, "gradient_norms")
    gradient, names = step.gradients()["autograd"], step.names()
    rows, index, seen = [], [], set()
    for path, layer in step.layers():
        own = [p for p in layer.parameters(recurse=False) if id(p) in names]
        own = [p for p in own if id(p) not in seen]
        if not own:
            continue
        seen |= {id(p) for p in own}
        kind, size = type(layer).__name__, sum(p.numel() for p in own)
        slope = _norm([gradient[names[id(p)]] for p in own])
        weight = _norm(own)
        ratio = slope / weight if weight else np.nan
        rows.append((kind, size, slope, weight, ratio, slope / np.sqrt(size)))
        index.append(" ".join(filter(None, [path, kind, _size(layer, own)])))
    columns = ["kind", "parameters", "gradient_norm", "weight_norm", "ratio"]
    table = pd.DataFrame(rows, index=index, columns=[*columns, "gradient_rms"])
    return GradientNorms(table, step.value, type(estimator).__name__)


# -- one step of training, as a function of the weights --------------------------------


class _Step:
    """The loss of one batch, in float64 on the CPU, on copies.

    Of all the samples, or of so many of them, as ``random`` chooses.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        caller: str,
        n_samples: int | None = None,
        random: Any = None,
    ):
        if not isinstance(estimator, Estimator):
            raise TypeError(
                f"{caller} needs an estimator of sknets, such as "
                f"FeedforwardClassifier(), got {_short(estimator)}; of a pipeline give "
                "the last step, and the X that reaches it"
            )
        if not estimator._has_loss:
            raise TypeError(
                f"{caller}: {type(estimator).__name__} is not trained by "
                "backpropagation of one loss: contrastive divergence is the gradient "
                "of no loss, and players of a game have each their own"
            )
        module, criterion, samples, learned = _problem(estimator, X, y, sample_weight)
        self.module, self.criterion = module.train(), criterion
        if n_samples is not None and n_samples < len(samples):
            rows = sample_without_replacement(
                len(samples), n_samples, random_state=random
            )
            samples = samples.view(torch.from_numpy(np.sort(rows)).long())
        self.n_samples = len(samples)
        self.batch = samples[: len(samples)]
        self.streams = Streams(0, _CPU)
        self.streams.bind(module)
        self.parameters = {
            name: p
            for name, p in module.named_parameters()
            if p.requires_grad and p.numel() and name in learned
        }
        # Where embeddings keep a vector that training never moves: tensor -> its place.
        self.untrained = {
            f"{name}.weight".lstrip("."): slice(
                layer.padding_idx * layer.embedding_dim,
                (layer.padding_idx + 1) * layer.embedding_dim,
            )
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Embedding | nn.EmbeddingBag)
            and layer.padding_idx is not None
        }
        self.draws = True
        self.value = self().item()
        state = self.streams.noise.get_state()
        self.draws = not state.equal(self.streams.noise.manual_seed(0).get_state())
        if not np.isfinite(self.value):
            raise ValueError(
                f"{caller}: the loss of {type(estimator).__name__} on these samples is "
                f"{self.value}, which has no gradient"
            )
        if self().item() != self.value:
            raise RuntimeError(
                f"{caller}: the loss of {type(estimator).__name__} is not the same "
                "twice: a layer keeps something from one forward pass to the next"
            )

    def __call__(self) -> Tensor:
        """The loss, with the same noise at each call, wherever a layer draws it."""
        if not self.draws:
            return loss_of(self.module, self.criterion, self.batch)[1]
        noise = self.streams.noise.manual_seed(0)
        with GeneratorMode(noise):
            return loss_of(self.module, self.criterion, self.batch)[1]

    def names(self) -> dict[int, str]:
        return {id(p): name for name, p in self.parameters.items()}

    def gradients(self) -> dict[str, dict[str, Tensor]]:
        """The gradient of each parameter tensor, in each way the library has."""
        ways: dict[str, dict[str, Tensor]] = {}
        by_hand = derived_by_hand(self.module, self.criterion, {})
        if by_hand is not None:
            self.streams.noise.manual_seed(0)
            with torch.inference_mode():
                by_hand(self.batch.x, self.batch.y, self.batch.weight)
            ways["by_hand"] = {
                name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
                for name, p in self.parameters.items()
            }
        found = torch.autograd.grad(
            self(), list(self.parameters.values()), materialize_grads=True
        )
        dense = [g.to_dense() if g.is_sparse else g for g in found]
        ways["autograd"] = dict(zip(self.parameters, dense))
        return ways

    def noise(self) -> float:
        """How far rounding alone moves the loss: its spread a few ulps around."""
        parameters = list(self.parameters.values())
        kept = [p.detach().clone() for p in parameters]
        values = [self.value]
        with torch.no_grad():
            for ulps in range(1, 6):
                for p, weights in zip(parameters, kept):
                    p.copy_(weights * (1 + ulps * _EPS))
                values.append(self().item())
            for p, weights in zip(parameters, kept):
                p.copy_(weights)
        return max(float(np.ptp(values)), _EPS * abs(self.value))

    def layers(self) -> list[tuple[str, nn.Module]]:
        """Modules with parameters of their own, in the order of the forward pass.

        One whose weights are used without calling it stands behind its predecessor.
        """
        modules = list(self.module.named_modules())
        order: dict[str, int] = {}

        def note(name: str) -> Any:
            def hook(*_: Any) -> None:
                order.setdefault(name, len(order))

            return hook

        hooks = [m.register_forward_pre_hook(note(name)) for name, m in modules]
        self()
        for hook in hooks:
            hook.remove()
        last = -1
        for name, _ in modules:
            last = order.setdefault(name, last)
        return sorted(modules, key=lambda item: order[item[0]])


def _problem(
    estimator: Estimator, X: Any, y: Any, sample_weight: Any
) -> tuple[nn.Module, nn.Module, Samples, set[str]]:
    """Module, loss and samples of a step of training, in float64 on the CPU.

    And the names of the parameters that training adjusts.
    """
    estimator._check_params()
    twin = copy.copy(estimator)
    # No generator is drawn from, neither the estimator's own nor numpy's global one.
    random = copy.deepcopy(check_random_state(estimator.random_state))
    twin.device, twin.early_stopping = "cpu", False
    fresh = not estimator.__sklearn_is_fitted__()
    if fresh:
        twin.precision = "float64"
    samples = twin._read(X, y, sample_weight, reset=fresh)
    if fresh:
        samples, _, seed = twin._split(samples, random)
        twin.chunks_.total = float(samples.total_weight)
        net: Any = twin._make_net(samples, seed)
        twin._prepare(net, samples)
    else:
        net = estimator.net_
    module, criterion = copy.deepcopy((net.module_, net.criterion_))
    x, y, weight = (
        None if part is None else part.to(_CPU, torch.float64)
        for part in (samples.x, samples.y, samples.weight)
    )
    samples = Samples(x, y, weight, samples.rows, samples.total_weight)
    learned = {name for name, p in net.module_.named_parameters() if p in net.learned}
    module, criterion = (m.to(_CPU, torch.float64) for m in (module, criterion))
    return module, criterion, samples, learned


# -- words -----------------------------------------------------------------------------


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.cat([t.detach().reshape(-1) for t in tensors]).norm())


_ENDS = [
    ("in_features", "out_features"),
    ("in_channels", "out_channels"),
    ("num_embeddings", "embedding_dim"),
    ("input_size", "hidden_size"),
]


def _size(layer: nn.Module, parameters: Sequence[Tensor]) -> str:
    """What goes into a layer and what comes out, else the shape of its weights."""
    for before, after in _ENDS:
        if hasattr(layer, before) and hasattr(layer, after):
            return f"{getattr(layer, before)}->{getattr(layer, after)}"
    return "x".join(map(str, max(parameters, key=Tensor.numel).shape))


def _short(value: Any) -> str:
    what = value.__name__ if isinstance(value, type) else type(value).__name__
    return f"the class {what}" if isinstance(value, type) else f"a {what}"


__all__ = ["GradientCheck", "GradientNorms", "gradient_check", "gradient_norms"]
