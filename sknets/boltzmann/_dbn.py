"""Deep belief networks: restricted Boltzmann machines on top of one another."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.data import Samples
from sknets._engine.net import Net
from sknets._engine.optim import Budget, Recipe
from sknets._engine.players import Phase, Player
from sknets._params import param
from sknets._tasks import Classifier
from sknets._unsupervised import Encoder, Sampler
from sknets.boltzmann._machine import RBM, ContrastiveDivergence
from sknets.boltzmann._rbm import BoltzmannUnits


class Stack(nn.Module):
    """Machines, each on the hidden units of the one below; one learns at a time."""

    def __init__(self, machines: list[RBM]):
        super().__init__()
        self.machines: Any = nn.ModuleList(machines)

    def up(self, x: Tensor, n_layers: int | None = None) -> Tensor:
        """Means of the hidden units of the first layers for rows of X."""
        v = self.machines[0].visible(x)
        for machine in self.machines[:n_layers]:
            v = machine.hidden_mean(v)
        return v

    def down(self, v: Tensor, n_layers: int, generator: Any = None) -> Tensor:
        """Rows of X for hidden units of the n-th layer: drawn, or means without one."""
        for machine in reversed(self.machines[:n_layers]):
            v = machine.visible_mean(v)
            if generator is not None:
                v = machine.draw_visible(v, generator=generator)
        return self.machines[0].data(v)

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, H)
        return self.up(x)

    def player(self, layer: int, recipe: Recipe, more: Any = None) -> Player:
        """A layer that learns by itself, from what those below it make of the data.

        ``more(y)`` are visible units beside them.
        """
        machine = self.machines[layer]

        def below(x: Tensor, y: Any) -> Tensor:
            with torch.no_grad():
                v = self.up(x, layer)
            return v if more is None else torch.cat([v, more(y)], 1)

        return Player(
            f"layer {layer + 1}",
            list(machine.parameters()),
            recipe,
            lambda x, y: machine.losses(below(x, y)),
            lambda buffers: ContrastiveDivergence(machine, buffers, below),
        )


class DBNFeatures(BoltzmannUnits, Sampler, Encoder):
    """Deep belief network: features of features, learned layer by layer [1]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(256, 256)
        Hidden units of each restricted Boltzmann machine, from X upwards.
    visible_units : {"auto", "bernoulli", "gaussian"}, default="auto"
        Of the first machine: "bernoulli" takes values in [0, 1] as probabilities of
        binary units; `fit` refuses others, which later are clipped with a warning;
        "gaussian" standardises the columns of X and takes them as normal with unit
        variance. "auto" is "bernoulli" if all of X lies in [0, 1], else "gaussian".
    n_gibbs_steps : int, default=1
        Gibbs steps of the negative phase: the k of CD-k.
    persistent : bool, default=False
        Whether the chains of the negative phase go on from step to step (persistent
        contrastive divergence) instead of beginning at the data.
    sparsity_target : float, default=None
        The share of samples for which each hidden unit shall be on.
    sparsity_cost : float, default=0.1
        How strongly hidden units are drawn to ``sparsity_target``.
    n_sampling_steps : int, default=1000
        Gibbs steps of the top machine behind each sample, the first half annealed.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data: each layer in its turn gets an equal
        share of these epochs. "auto" are 40 epochs, or as many as make 1,000 steps.
    lr : float, default=0.05
        The learning rate.
    optimizer : {"adam", "adamw", "sgd"}, default="sgd"
        What follows the gradients, with ``momentum`` and ``weight_decay``.

    Attributes
    ----------
    visible_units_ : str
        "bernoulli" or "gaussian".
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        Means of the columns; "gaussian" standardises by both.
    n_chains_ : int
        Persistent chains of each machine, if there are any.
    n_seen_ : int
        Samples that the means were taken of.

    Notes
    -----
    ``net_.module_.machines`` are the machines. A layer's input are the probabilities of
    the units below, computed batch by batch. Each layer is a phase of the fit, with an
    ``lr_schedule`` and an early stopping of its own; epochs after ``max_epochs``
    (`partial_fit`, ``warm_start``) train the last layer. ``loss_curve_`` is the
    reconstruction error of the layer that learned. There is no ``sample_weight``. For
    samples set ``n_gibbs_steps`` to 5 or more: after CD-1 long chains stray from the
    data.

    For the other parameters and attributes of training see
    `sknets._estimator.Estimator`, for the machines `RBMFeatures`.

    References
    ----------
    .. [1] G. E. Hinton, S. Osindero, Y. W. Teh. A Fast Learning Algorithm for Deep
       Belief Nets. Neural Computation 18, 2006. Without the wake-sleep algorithm that
       fine-tunes all layers together at the end.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import DBNFeatures
    >>> X = load_digits().data / 16
    >>> dbn = DBNFeatures(hidden_layer_sizes=(64, 32), max_epochs=4, random_state=0)
    >>> dbn.fit_transform(X).shape
    (1797, 32)
    """

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(256, 256), at_least=1)
    _budget = Budget(epochs=40, steps=1000)
    lr: float = param(default=0.05, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="sgd")

    def transform(self, X: Any) -> np.ndarray:
        """Return the probability of each unit of the last layer to be on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)

        Returns
        -------
        H : ndarray of shape (n_samples, hidden_layer_sizes[-1])

        Warns
        -----
        UserWarning
            When the visible units are binary and values outside [0, 1] are clipped.
        """
        return self._outputs(X)

    def inverse_transform(self, H: Any) -> np.ndarray:
        """Return the expected X, layer by layer, for given units of the last layer.

        Parameters
        ----------
        H : array-like of shape (n_samples, hidden_layer_sizes[-1])
            States or probabilities.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Probabilities for binary units, else means in the units of X.
        """
        H = self._hidden(H, self._n_features_out)
        with torch.inference_mode():
            stack = self.net_.module_
            return stack.down(H, len(stack.machines)).cpu().numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean squared error of X restored from the last layer.

        In the units of X, as `AutoencoderTransformer.score`; a search may tune by it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        stack = self.net_.module_

        def error(x: Tensor) -> Tensor:
            restored = stack.down(stack.up(x), len(stack.machines))
            return (restored - x).square().mean(1)

        return -float(self._on_batches(X, error).mean(dtype=np.float64))

    # -- for the engine --------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return _sizes(self)[-1]

    def _check_params(self) -> None:
        super()._check_params()
        sizes = _sizes(self)
        if not sizes:
            sentence = "a deep belief network needs at least one layer"
            raise ValueError(self._refusal("hidden_layer_sizes", sentence))
        if self.max_epochs != "auto" and self.max_epochs < len(sizes):
            sentence = f"each of the {len(sizes)} layers needs at least one epoch"
            raise ValueError(self._refusal("max_epochs", sentence))

    def _build(self) -> nn.Module:
        return Stack(_machines(self, _sizes(self)))

    def _phases(self, net: Net) -> list[Phase]:
        """A layer after the other, each for its share of ``max_epochs_``."""
        n = len(_sizes(self))
        shares = np.bincount(np.arange(self.max_epochs_) * n // self.max_epochs_)
        return [
            Phase(f"layer {i + 1}", epochs, partial(_alone, net, i))
            for i, epochs in enumerate(shares.tolist())
        ]

    def _draw(self, n: int, condition: Any, generator: torch.Generator) -> Tensor:
        stack, generator = self.net_.module_, self._generator_like(generator)
        v = self._annealed(stack.machines[-1], n, generator)
        return stack.down(v, len(stack.machines) - 1, generator)


class PretrainedNet(nn.Module):
    """The layers that classify, beside the stack that they were made of."""

    def __init__(self, stack: Stack, n_outputs: int):
        super().__init__()
        self.stack = stack
        prepare = stack.machines[0].prepare
        parts: list[nn.Module] = [] if prepare is None else [prepare]
        for machine in stack.machines:
            n_hidden, n_visible = machine.weight.shape
            n_visible -= getattr(machine, "n_labels", 0)
            parts += [nn.Linear(n_visible, n_hidden), nn.Sigmoid()]
        parts.append(nn.Linear(n_hidden, n_outputs))
        self.layers = nn.Sequential(*parts)
        self.register_buffer("prior", torch.zeros(stack.machines[-1].n_labels))

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, K)
        return self.layers(x)

    def plain_layers(self) -> tuple[Any, list[Any], list[Any]]:
        prepare = self.stack.machines[0].prepare
        layers = list(self.layers)[prepare is not None :]
        return prepare, layers[::2], layers[1::2]

    def label_units(self, target: Tensor) -> Tensor:
        """Targets as the task encodes them to a unit a class."""
        top = self.stack.machines[-1]
        if top.several:
            return target
        if target.ndim == 2:
            return torch.cat([1 - target, target], 1)
        return F.one_hot(target, top.n_labels).to(top.weight.dtype)

    @torch.no_grad()
    def take_over(self) -> None:
        """Begin the layers with the weights of the machines."""
        _, layers, _ = self.plain_layers()
        machines = self.stack.machines
        for layer, machine in zip(layers, machines):
            layer.weight.copy_(machine.weight[:, : layer.in_features])
            layer.bias.copy_(machine.hidden_bias)
        _, U = machines[-1].parts(machines[-1].weight)  # (H, K)
        d = machines[-1].visible_bias[-machines[-1].n_labels :]
        # What labels that are not known yet add: those that are usual.
        layers[-2].bias.add_(U @ self.prior)
        if layers[-1].out_features == len(d):
            layers[-1].weight.copy_(U.t())
            layers[-1].bias.copy_(d)
        else:  # one logit for two classes
            layers[-1].weight.copy_((U[:, 1] - U[:, 0])[None])
            layers[-1].bias.copy_(d[1:] - d[:1])


class DBNClassifier(BoltzmannUnits, Sampler, Classifier):
    """Deep belief network for classes: pretrained, then fine-tuned [1]_ [2]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(256, 256)
        Hidden units of each restricted Boltzmann machine, from X upwards. The last
        machine learns the labels beside the units below it.
    pretraining_epochs : int or "auto", default="auto"
        Epochs of contrastive divergence for each layer; 0 leaves random weights, "auto"
        are 20, or as many as make 250 steps.
    pretraining_lr : float, default=0.05
        The learning rate of pretraining, which is by "sgd" with ``momentum``.
    visible_units : {"auto", "bernoulli", "gaussian"}, default="auto"
        Of the first machine: "bernoulli" takes values in [0, 1] as probabilities of
        binary units; `fit` refuses others, which later are clipped with a warning;
        "gaussian" standardises the columns of X and takes them as normal with unit
        variance. "auto" is "bernoulli" if all of X lies in [0, 1], else "gaussian".
    n_gibbs_steps : int, default=5
        Gibbs steps of the negative phase: the k of CD-k.
    persistent : bool, default=False
        Whether the chains of the negative phase go on from step to step (persistent
        contrastive divergence) instead of beginning at the data.
    sparsity_target : float, default=None
        The share of samples for which each hidden unit shall be on.
    sparsity_cost : float, default=0.1
        How strongly hidden units are drawn to ``sparsity_target``.
    n_sampling_steps : int, default=1000
        Gibbs steps of the top machine behind each sample, the first half annealed.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in fine-tuning; "balanced" makes all classes weigh the
        same in sum.
    max_epochs : int or "auto", default="auto"
        Epochs of fine-tuning by backpropagation. "auto" are 30 epochs, or as many as
        make 500 steps.
    lr : float, default=0.005
        The learning rate of fine-tuning, at the start of ``lr_schedule``.

    Attributes
    ----------
    pretraining_epochs_ : int
        What ``pretraining_epochs`` came to.
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel y the numbers of its columns.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    visible_units_ : str
        "bernoulli" or "gaussian".
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        Means of the columns; "gaussian" standardises by both.
    n_chains_ : int
        Persistent chains of each machine, if there are any.
    n_seen_ : int
        Samples that the means were taken of.

    Notes
    -----
    Weights begin at Glorot's normal numbers for sigmoid layers. The first call of `fit`
    or `partial_fit` pretrains: each machine on the
    probabilities of the units below, the last on these and on the labels, as in [1]_.
    Fine-tuning then begins a network of sigmoid layers with these weights, the output
    layer with those between labels and hidden units, and leaves the machines as they
    are. `sample` uses the machines: labels are clamped, the last machine runs, and its
    visible units are sent down layer by layer. Without y labels are drawn as often as
    they were seen (several labels each on its own). One Gibbs step learns features
    as well in less time, but leaves a machine whose long chains stray from the data; of
    the samples that 5 of them draw of a class of digits two thirds can be read as such.

    Pretraining sees rows that are equal once, each weighed by what all of them count,
    so that a row of weight 2 is one given twice.

    For ``optimizer``, ``early_stopping``, ``random_state`` and the rest, which are
    those of fine-tuning, and for the other attributes of training see
    `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] G. E. Hinton, S. Osindero, Y. W. Teh. A Fast Learning Algorithm for Deep
       Belief Nets. Neural Computation 18, 2006. Without its wake-sleep fine-tuning.
    .. [2] Y. Bengio et al. Greedy Layer-Wise Training of Deep Networks. NIPS 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import DBNClassifier
    >>> X, y = load_digits(n_class=5, return_X_y=True)
    >>> dbn = DBNClassifier(hidden_layer_sizes=64, max_epochs=5, random_state=0)
    >>> bool(dbn.fit(X / 16, y).score(X / 16, y) > 0.95)
    True
    >>> dbn.sample(2, y=3, random_state=0).shape
    (2, 64)
    """

    _takes_several: ClassVar[bool] = False

    _has_loss: ClassVar[bool] = True  # in fine-tuning

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(256, 256), at_least=1)
    n_gibbs_steps: int = param(default=5, at_least=1)
    pretraining_epochs: int | Literal["auto"] = param(default="auto", at_least=0)
    pretraining_lr: float = param(default=0.05, above=0)
    _budget = Budget(epochs=30, steps=500)
    lr: float = param(default=0.005, above=0)

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Pretrain on the samples, then train on their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any type, or a 0/1 matrix of several labels a sample.
        sample_weight : array-like of shape (n_samples,), default=None
            0 leaves a row out, 2 counts as two.
        X_val, y_val : array-like, default=None
            Samples to validate by, with ``early_stopping``, instead of a share of X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN or infinity, for shapes that do not
            fit, for a single class, for weights that are negative or all 0.
        DivergenceError
            When the loss is no longer finite.
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_unless("_fits_whole")
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch, after pretraining at the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All the classes that will come; required at the first call, optional then.

        Returns
        -------
        self : object
        """
        return super().partial_fit(X, y, classes, sample_weight)

    # -- for the engine --------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        if not _sizes(self):
            sentence = "a deep belief network needs at least one layer"
            raise ValueError(self._refusal("hidden_layer_sizes", sentence))

    def _build(self) -> nn.Module:
        labels = {"n_labels": len(self.classes_), "several": self.multilabel_}
        stack = Stack(_machines(self, _sizes(self), **labels))
        return PretrainedNet(stack, self._n_outputs)

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        if self.chunks_.n == 1:
            budget = Budget(epochs=20, steps=250)
            self.pretraining_epochs_ = self._epochs(
                self.pretraining_epochs, budget, samples
            )

    def _phases(self, net: Net) -> list[Phase]:
        """Each layer for ``pretraining_epochs_``, the last with labels; then all."""
        module, top = net.module_, len(_sizes(self)) - 1
        recipe = replace(
            net._recipe,
            optimizer="sgd",
            lr=self.pretraining_lr,
            lr_schedule=None,
            gradient_clip=None,
        )

        def learn(layer: int) -> list[Player]:
            more = module.label_units if layer == top else None
            return [module.stack.player(layer, recipe, more)]

        def each_once(samples: Samples, *others: Any) -> tuple[Any, None]:
            return samples.distinct(samples.rows, by_target=True), None

        def begin(samples: Samples, valid: Any, resumed: bool) -> tuple[Any, Any]:
            if not resumed:
                of_each = samples.distinct(samples.rows, by_target=True)
                labels = module.label_units(of_each.targets)
                if of_each.weight is not None:
                    labels = labels * of_each.weights.unsqueeze(1)
                module.prior.copy_(labels.mean(0))
                if self.pretraining_epochs_:
                    module.take_over()
            return samples, valid

        def fine_tune() -> list[Player]:
            return [Player("classifier", list(module.layers.parameters()), net._recipe)]

        phases = [
            Phase(
                f"pretraining of layer {i + 1}",
                self.pretraining_epochs_,
                partial(learn, i),
                each_once,
                counted=False,
            )
            for i in range(top + 1)
            if self.pretraining_epochs_
        ]
        return [*phases, Phase("fine-tuning", self.max_epochs_, fine_tune, begin)]

    def _spread(self, n_visible: int, n_hidden: int) -> float:
        # Glorot's for sigmoid layers: where few samples hardly pretrain them, tiny
        # weights would hardly be trained by backpropagation either.
        return 4 * math.sqrt(2 / (n_visible + n_hidden))

    def _encode_condition(self, y: np.ndarray) -> Tensor:
        owner, n_labels = type(self).__name__, len(self.classes_)
        if self.multilabel_:
            if y.ndim != 2 or y.shape[1] != n_labels or not np.isin(y, (0, 1)).all():
                raise ValueError(
                    f"{owner}.sample: y must be a 0/1 matrix of {n_labels} columns, as "
                    f"in fit, got shape {y.shape}"
                )
            return torch.as_tensor(y, dtype=self.net_.dtype)
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(
                f"{owner}.sample: y has labels {strange.tolist()} that are not among "
                f"the classes of fit, {self.classes_.tolist()}"
            )
        codes = torch.as_tensor(np.searchsorted(self.classes_, y))
        return F.one_hot(codes, n_labels).to(self.net_.dtype)

    def _draw(self, n: int, condition: Any, generator: torch.Generator) -> Tensor:
        module, generator = self.net_.module_, self._generator_like(generator)
        stack, top = module.stack, module.stack.machines[-1]
        if condition is None and self.multilabel_:
            condition = module.prior.expand(n, -1).bernoulli(generator=generator)
        elif condition is None:
            codes = torch.multinomial(module.prior, n, True, generator=generator)
            condition = F.one_hot(codes, top.n_labels)
        v = self._annealed(top, n, generator, condition.to(top.weight))
        return stack.down(v, len(stack.machines) - 1, generator)


def _alone(net: Net, layer: int) -> list[Player]:
    return [net.module_.player(layer, net._recipe)]


def _sizes(estimator: Any) -> tuple[int, ...]:
    sizes = estimator.hidden_layer_sizes
    return tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),)


def _machines(
    estimator: BoltzmannUnits, sizes: tuple[int, ...], **labels: Any
) -> list[RBM]:
    """A machine a layer, the last one with labels if there are any."""
    widths = [estimator.n_features_in_, *sizes]
    last = len(sizes) - 1
    return [
        estimator._machine(*pair, first=i == 0, **(labels if i == last else {}))
        for i, pair in enumerate(zip(widths, sizes))
    ]


__all__ = ["DBNClassifier", "DBNFeatures"]
