"""What an estimator is: parameters, checked data, a module, a net that trains it."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._attempt import AtomicFit
from sknets._engine._skorch import Callback
from sknets._engine.callbacks import BestWeights, Progress, ScikitLearnCallbacks
from sknets._engine.checkpoint import Checkpoint
from sknets._engine.collect import stacked
from sknets._engine.containers import Container
from sknets._engine.data import Batches, Samples
from sknets._engine.device import GeneratorMode, Streams, resolve_device
from sknets._engine.net import Net
from sknets._engine.optim import Budget, Recipe
from sknets._engine.players import Phase, Terms, Trainer, one_phase
from sknets._engine.processes import leads, random_of_a_fit
from sknets._inputs import Table
from sknets._inputs.kinds import refuse_other_kinds
from sknets._layers import Standardize
from sknets._params import Declared, param
from sknets._persistent import Persistent
from sknets._reading import Reading, compare_index


class Estimator(Reading, Persistent, Declared, CallbackSupportMixin, BaseEstimator):
    """Base of every estimator: the training that all of them share.

    A subclass names the kinds of X it takes (`_inputs`), has a task as its base
    (`_tasks`) and builds its network (`_build`).

    Parameters
    ----------
    max_epochs : int or "auto", default="auto"
        How often training goes through the data (at most, if ``early_stopping``).
        "auto" is enough on large and on small data: 100 epochs (or as many as the class
        says), or more where these would be fewer than 500 steps.
    batch_size : int, default=32
        Samples a step. Below 27 samples of a weighted fit may end elsewhere than
        those of a fit with repeated rows, which scikit-learn asks to be equal.
    lr : float, default=1e-3
        The learning rate, at the start of ``lr_schedule``.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        Adam [1]_, AdamW [2]_ (decoupled weight decay) or stochastic gradient descent.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterov : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.
    weight_decay : float, default=0.0
        L2 penalty of weight matrices; biases and normalisations are left alone.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default=None
        None keeps ``lr``. "step": a tenth after each third of ``max_epochs``; "cosine":
        to zero along half a cosine [3]_; "one_cycle": up to ``lr`` over the first
        three tenths, then down to nearly zero, step by step [4]_; "plateau": halved
        after 5 epochs without a lower loss. Epochs past ``max_epochs`` (`partial_fit`,
        ``warm_start``) keep the rate that the schedule ended with; where `partial_fit`
        is given the data in chunks, the rate is ``lr``.
    gradient_clip : float, default=None
        Largest norm of a step's gradient.
    early_stopping : bool, default=False
        Hold out a validation set (or take ``X_val`` and ``y_val`` of `fit`), stop when
        its loss no longer falls and keep the best weights.
    validation_fraction : float, default=0.1
        The share of the data held out by ``early_stopping``, stratified by class.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement after which ``early_stopping`` stops. "auto" is a
        tenth of ``max_epochs_``, at least 10.
    tol : float, default=1e-4
        The fall in validation loss that counts as an improvement.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit instead of starting anew, with the
        network, the optimiser and the batch size that it has.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    precision : {"auto", "float32", "float64", "bfloat16"}, default="auto"
        "auto" computes a table in the dtype of X on the CPU, as scikit-learn does, and
        everything else in float32. "bfloat16" multiplies in 16 bits and keeps float32
        weights.
    device : str, default="cpu"
        "cpu", "cuda", "cuda:1", "mps", ... or "auto": an accelerator if there is one,
        but for tables of fewer than 262,144 numbers, of which dense networks learn
        sooner on the CPU. A device that this machine lacks falls back to the CPU with a
        warning.
    random_state : int, RandomState or None, default=None
        Seeds the initial weights, the validation split, the shuffling and the noise.
        An int gives the same bits at every fit, whatever the global random state.
    verbose : int or bool, default=0
        1 (or True) shows a progress bar, 2 a table with a line an epoch.
    callbacks : list, default=None
        skorch callbacks; they are cloned, so yours are left as they are. scikit-learn's
        own callbacks are set with ``set_callbacks``.
    checkpoint : str or path-like, default=None
        A file that keeps the whole state of `fit` after every epoch (and, with the
        suffix ``.previous``, that of the epoch before). A fit that was killed or
        interrupted resumes from it when it is run again with equal parameters and data,
        and ends with the same bits; a finished one returns at once. In a folder (one
        that exists, or a path that ends with a slash) each fit has a file of its own,
        as cross-validation and searches need. A file of another fit is an error. The
        skorch callbacks in ``callbacks`` begin anew when a fit resumes. `partial_fit`
        keeps no such file.

    Attributes
    ----------
    net_ : Net
        The trained skorch net; ``net_.module_`` is the torch module and
        ``net_.history`` has a row an epoch.
    n_iter_ : int
        Epochs trained so far.
    max_epochs_ : int
        What ``max_epochs`` came to.
    loss_curve_ : list of float
        Training loss, an item an epoch.
    validation_loss_curve_ : list of float
        Validation loss, an item an epoch; only with ``early_stopping``.
    validation_scores_ : list of float
        Accuracy or R² on the validation set, an item an epoch; only with
        ``early_stopping``.
    n_parameters_ : int
        How many numbers training adjusts.
    reader_ : Reader
        What reads X, with what it learned of the X of `fit`.
    target_reader_ : Reader
        What reads y, where that is structured: masks, for example.
    input_kind_ : str
        The kind that the X of `fit` was.
    chunks_ : Chunks
        What is known of the chunks that `partial_fit` has seen, the samples of `fit`
        the first of them: how many there are, and their merged statistics.
    n_samples_seen_ : float
        How many samples there are to learn from (the sum of their weights): those of
        `fit`, or of all chunks that `partial_fit` has seen until the first came again.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X was a DataFrame with string names.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba. Adam: A Method for Stochastic Optimization. ICLR 2015.
    .. [2] I. Loshchilov, F. Hutter. Decoupled Weight Decay Regularization. ICLR 2019.
    .. [3] I. Loshchilov, F. Hutter. SGDR: Stochastic Gradient Descent with Warm
       Restarts. ICLR 2017. Here one descent, without restarts.
    .. [4] L. N. Smith, N. Topin. Super-Convergence. 2018. Here without the cycle of
       momentum.
    """

    # The readers of X and, where y is structured, of y.
    _inputs: ClassVar[tuple[Any, ...]] = (Table,)
    _targets: ClassVar[tuple[Any, ...]] = ()
    _task: ClassVar[str] = ""
    _predict_batch_size: ClassVar[int] = 1024
    # Whether a table may have NaN: `missing_columns_` of the reader says where.
    _takes_missing: ClassVar[bool] = False
    # False where training follows a direction that is the gradient of no loss.
    _has_loss: ClassVar[bool] = True

    max_epochs: int | Literal["auto"] = param(default="auto", at_least=1)
    batch_size: int = param(default=32, at_least=1)
    lr: float = param(default=1e-3, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="adam")
    momentum: float = param(default=0.9, at_least=0, below=1)
    nesterov: bool = param(default=True)
    weight_decay: float = param(default=0.0, at_least=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default=None
    )
    gradient_clip: float | None = param(default=None, above=0)
    early_stopping: bool = param(default=False)
    validation_fraction: float = param(default=0.1, above=0, below=1)
    n_iter_no_change: int | Literal["auto"] = param(default="auto", at_least=1)
    tol: float = param(default=1e-4, at_least=0)
    warm_start: bool = param(default=False)
    shuffle: bool = param(default=True)
    precision: Literal["auto", "float32", "float64", "bfloat16"] = param(default="auto")
    device: str = param(default="cpu")
    random_state: int | np.random.RandomState | None = param(
        default=None, at_least=0, at_most=2**32 - 1
    )
    verbose: bool | int = param(default=0, at_least=0)
    callbacks: list[Any] | None = param(default=None)
    checkpoint: str | os.PathLike[str] | None = param(default=None)

    # -- what a task or a chapter supplies -----------------------------------------

    @property
    def _budget(self) -> Budget:
        """How long is trained, where ``max_epochs`` leaves it to the data."""
        return Budget(epochs=100, steps=500)

    def _build(self) -> nn.Module:
        """The network, from parameters and fitted attributes alone.

        Never from X: a saved model is rebuilt by this.
        """
        raise NotImplementedError

    def _criterion(self) -> nn.Module | None:
        """The loss of a module that has no ``loss(x, y)`` of its own.

        ``criterion(output, y, weight=None)`` is the mean of a batch.
        """
        return None

    def _encode_target(
        self,
        y: Any,
        n_samples: int,
        weight: np.ndarray | None,
        *,
        reset: bool | None,
        classes: Any = None,
    ) -> np.ndarray | Container | None:
        """y as the loss wants it; learns classes or scales when ``reset``, and scales
        of all chunks where that is None and `chunks_` grows.

        ``classes`` are those that `partial_fit` announced, if the task has classes.
        """
        return None

    def _class_weights(
        self, target: Any, weight: np.ndarray | None
    ) -> np.ndarray | None:
        """A factor of each sample's weight from its class, None for equal ones."""
        return None

    def _learn_statistics(self, samples: Samples) -> None:
        """Fitted attributes that `_build` needs and only X tells.

        Also of chunks that `partial_fit` sees after the first: what `chunks_` has
        merged is of all samples so far.
        """

    def _restate(self, module: nn.Module) -> None:
        """Let a module go on by the statistics that there are now."""
        for part in module.modules():
            if isinstance(part, Standardize):
                part.learn(self.x_mean_, self.x_scale_)

    def _rescale(self, module: nn.Module, before: dict[str, Any]) -> None:
        """Let a module say in the units that there are now what it said before."""

    def _load_pretrained(self, module: nn.Module) -> None:
        """Give a fresh network weights from elsewhere, if there are any."""

    def _augmentation(self) -> Any:
        """``augment(x, y)`` of the batches of training, None without; its noise is the
        fit's if it is a module with a ``generator``.
        """
        return None

    def _phases(self, net: Net) -> list[Phase]:
        """Who trains the net, and how long: all its parameters for ``max_epochs_``."""
        return one_phase(net)

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        """Change the samples of a fit by what the network does to them for good."""

    def _weight_decay(self) -> float:
        """The L2 penalty, of all the samples that there are to learn from."""
        return self.weight_decay

    def _batch_size(self) -> int:
        """The batch size, where ``batch_size`` leaves it to the data."""
        return self.batch_size

    def _learning_rate(self) -> float:
        """The learning rate, where ``lr`` leaves it to what is trained."""
        return self.lr

    def _decode(self, output: Tensor) -> Tensor:
        """Encoded labels or values for the network's output."""
        return output

    def _score(self) -> Any:
        """What tells how good the outputs for a validation set are: see `_scores`."""
        return None

    def _terms(self) -> Terms | None:
        """Outputs and targets in the user's terms, if they can be had."""
        return None

    def _stratify_by(self, samples: Samples) -> np.ndarray | None:
        """What the validation split is stratified by."""
        return None

    # -- fitting ---------------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        for i, given in enumerate(self.callbacks or []):
            named = isinstance(given, tuple | list) and len(given) == 2
            callback = given[1] if named else given
            if not isinstance(callback, Callback):
                made = isinstance(callback, type) and issubclass(callback, Callback)
                fix = f"; make it: {callback.__name__}()" if made else ""
                sentence = (
                    f"callbacks[{i}] must be a skorch callback, or a pair of its name "
                    f"and itself, not {given!r:.60}{fix}"
                )
                raise ValueError(f"{type(self).__name__}: {sentence}")

    def _fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Any:
        """Train for ``max_epochs``, from the start unless ``warm_start``."""
        with AtomicFit(self) as attempt:
            self._check_params()
            given = self._validates_by(y, X_val, y_val)
            fresh = not (self.warm_start and self.__sklearn_is_fitted__())
            if fresh:
                attempt.forget()
            else:
                self._go_on(attempt)
            checkpoint = None if self.checkpoint is None else Checkpoint(self)
            refuse_other_kinds(self, X, y)
            compare_index(type(self).__name__, X, y)
            samples = self._read(X, y, sample_weight, reset=fresh)
            random = random_of_a_fit(self.random_state)
            if checkpoint is not None:
                start = None if fresh else self.net_
                held_out = (X_val, y_val) if given else None
                random = checkpoint.open(samples, random, start, held_out)
            if given:
                valid, seed = None, int(random.randint(np.iinfo(np.int32).max))
            else:
                samples, valid, seed = self._split(samples, random)
            if fresh:
                self.chunks_.total = float(samples.total_weight)
            net = self._make_net(samples, seed) if fresh else self.net_
            self.max_epochs_ = self._epochs(self.max_epochs, self._budget, samples)
            if given:
                self.net_: Any = net
                valid = self._read_valid(X_val, y_val)
            self._prepare(net, samples, valid)
            context, data = self._root_task(X, y, sample_weight)
            callbacks = self._callbacks(net, valid, context, data)
            if checkpoint is None:
                net.train(samples, valid, self.max_epochs_, callbacks)
            else:
                checkpoint.train(net, samples, valid, self.max_epochs_, callbacks)
            self._finish(net)
            if context is not None:
                context.call_on_fit_task_end(
                    estimator=self, reconstruction_attributes=dict, **data
                )
        return self

    def _fits_whole(self) -> str:
        """Why there is no `partial_fit` with these parameters; empty if there is."""
        sentences = {
            "early_stopping": "partial_fit sees one epoch at a time and cannot stop "
            "early",
            "checkpoint": "partial_fit keeps no state in files, use save after it",
        }
        for name, sentence in sentences.items():
            if getattr(self, name):
                return self._refusal(name, f"{sentence}: there is no partial_fit")
        return ""

    def _partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, classes: Any = None
    ) -> Any:
        """Train for one epoch; as many calls as ``max_epochs`` are one `fit`."""
        with AtomicFit(self) as attempt:
            self._check_params()
            refuse_other_kinds(self, X, y)
            compare_index(type(self).__name__, X, y)
            fresh = not self.__sklearn_is_fitted__()
            if not fresh:
                self._go_on(attempt)
            reset = True if fresh else None
            samples = self._read(X, y, sample_weight, reset=reset, classes=classes)
            random = random_of_a_fit(self.random_state)
            if self.chunks_.grows:
                self.chunks_.total += float(samples.total_weight)
            samples, _, seed = self._split(samples, random)
            net = self._make_net(samples, seed) if fresh else self.net_
            if not fresh and self.chunks_.grows and isinstance(net, Net):
                self._learn_statistics(samples)
                self._restate(net.module_)
                self._rescale(net.module_, attempt.before)
                net.adapt(self._batch_size(), self._weight_decay())
            self._prepare(net, samples)
            net.train(samples, None, 1, self._callbacks(net, None, None, {}))
            self._finish(net)
        return self

    def _epochs(self, given: int | str, budget: Budget, samples: Any) -> int:
        """The epochs that a parameter asks for, where the samples are these."""
        if given != "auto":
            return int(given)
        steps = len(Batches(samples, self._batch_size()))
        return max(budget.epochs, -(-budget.steps // steps))

    def _go_on(self, attempt: AtomicFit) -> None:
        """Keep what training in place changes; readers may learn more by it."""
        attempt.snapshot()
        for name in self._part_names(vars(self)):
            setattr(self, name, copy.copy(getattr(self, name)))

    @property
    def n_samples_seen_(self) -> float:
        """What all samples so far weigh."""
        return self.chunks_.total

    def _mean_and_scale(
        self, samples: Samples, by_class: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of the columns of all X so far; 0 and a scale of a sparse X, which centring
        would fill. Without ``by_class`` only the weights that the user gave count.
        """
        weight = samples.unscaled_weight() if by_class else samples.counts
        known = self.chunks_.add("x", samples.x.moments(weight))
        centered = not getattr(samples.x, "is_sparse", False)
        return known.mean * centered, known.scale(samples.x.dtype)

    def _finish(self, net: Trainer) -> None:
        self.net_ = net
        self.n_iter_ = len(net.history)
        self.loss_curve_ = [row["train_loss"] for row in net.history]
        rows = [row for row in net.history if "valid_loss" in row]
        if rows:
            self.validation_loss_curve_ = [row["valid_loss"] for row in rows]
            self.validation_scores_ = [row["valid_score"] for row in rows]
        self.n_parameters_ = net.n_parameters

    def _split(
        self, samples: Samples, random: np.random.RandomState
    ) -> tuple[Samples, Samples | None, int]:
        """Training and validation samples, and the seed of the net's streams."""
        seed = int(random.randint(np.iinfo(np.int32).max))
        if not self.early_stopping:
            return samples, None, seed
        n = len(samples)
        n_valid = math.ceil(n * self.validation_fraction)
        if n - n_valid < 1:
            raise ValueError(
                self._refusal(
                    "early_stopping",
                    f"a validation set needs more than n_samples={n}",
                )
            )
        strata = self._stratify_by(samples)
        if strata is not None:
            counts = np.bincount(strata)
            counts = counts[counts > 0]
            if counts.min() < 2 or min(n_valid, n - n_valid) < len(counts):
                strata = None
        train, valid = train_test_split(
            np.arange(n), test_size=n_valid, random_state=random, stratify=strata
        )
        views = [samples.view(torch.from_numpy(rows)) for rows in (train, valid)]
        return views[0], views[1], seed

    def _make_net(self, samples: Samples | None, seed: int, dtype: Any = None) -> Net:
        """The only place that knows how a net is put together."""
        if samples is None:
            device = resolve_device(self.device, type(self).__name__)
        else:
            self._learn_statistics(samples)
            self.max_epochs_ = self._epochs(self.max_epochs, self._budget, samples)
            device, dtype = samples.x.device, samples.x.dtype
        streams = Streams(seed, device)
        with GeneratorMode(streams.initial):
            module = self._build().to(dtype)
        if samples is not None:
            self._load_pretrained(module)
        recipe = Recipe(
            max_epochs=self.max_epochs_,
            batch_size=self._batch_size(),
            lr=self._learning_rate(),
            optimizer=self.optimizer,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self._weight_decay(),
            lr_schedule=self.lr_schedule if self.chunks_.n == 1 else None,
            gradient_clip=self.gradient_clip,
            shuffle=self.shuffle,
            bfloat16=self._bfloat16(device),
            predict_batch_size=self._predict_batch_size,
            ema_decay=getattr(self, "ema_decay", None),
        )
        return Net(
            module,
            self._criterion(),
            recipe,
            streams,
            device,
            phases=self._phases,
            score=None if self._score() is None else self._score,
            terms=self._terms(),
            augment=self._augmentation(),
            verbose=int(self.verbose >= 2 and leads()),
        ).initialize()

    def _callbacks(self, net: Any, valid: Any, context: Any, data: dict) -> list[Any]:
        callbacks = [clone(callback, safe=False) for callback in self.callbacks or []]
        if valid is not None:
            given, tenth = self.n_iter_no_change, self.max_epochs_ // 10
            patience = max(10, tenth) if given == "auto" else int(given)
            callbacks.append(("best", BestWeights(patience, self.tol)))
        if self.verbose == 1 and leads():
            bar = Progress(type(self).__name__, self.max_epochs_, len(net.history))
            callbacks.append(("progress", bar))
        if context is not None:
            bridge = ScikitLearnCallbacks(self, context, data, lambda: {"net_": net})
            callbacks.append(("scikit_learn", bridge))
        return callbacks

    def _root_task(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, dict]:
        """Open the fit for scikit-learn's callbacks, if any are set."""
        if not hasattr(self, "_skl_callbacks"):
            return None, {}
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        data = {"X": X, "y": y, "metadata": metadata}
        context = self._init_callback_context(max_subtasks=self.max_epochs_)
        context.call_on_fit_task_begin(estimator=self, **data)
        return context, data

    # -- predicting ------------------------------------------------------------------

    def _outputs(
        self,
        X: Any,
        then: Callable[[Tensor], Tensor] | None = None,
        *,
        features: bool = False,
    ) -> np.ndarray:
        """What the network (or its part before the last layer) gives for X.

        ``then`` turns the output of a batch into what is wanted of it, while it is in
        the cache.
        """
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; asking it first would cost as much as a net
        module = self.net_.module_
        run = module.features if features else module
        function = run if then is None else lambda x: then(run(x))
        return self._collect(self._check_input(X, reset=False), function)

    def _collect(self, x: Any, function: Callable[[Any], Tensor]) -> np.ndarray:
        """A function of the batches of a container, in one array."""
        return stacked(self.net_.batches(x, function), len(x)).numpy()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = Table in self._inputs
        tags.input_tags.allow_nan = self._takes_missing
        return tags
