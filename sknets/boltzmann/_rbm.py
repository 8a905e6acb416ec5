"""The restricted Boltzmann machine as a transformer, a density and a generator."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor, nn

from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Table
from sknets._inputs.table import Rows
from sknets._layers import Standardize
from sknets._params import param
from sknets._unsupervised import Encoder, Sampler
from sknets._warn import warn
from sknets.boltzmann._likelihood import (
    MOST_UNITS,
    anneal,
    hyvarinen_score,
    log_partition_ais,
    log_partition_exact,
    pseudo_likelihood,
)
from sknets.boltzmann._machine import RBM, LabelledRBM


class BoltzmannUnits(Estimator):
    """What the estimators of this chapter share: the units that X is, how they learn.

    A subclass that has no visible units of its own leaves the rest alone.
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)
    _has_loss: ClassVar[bool] = False

    visible_units: Literal["auto", "bernoulli", "gaussian"] = param(default="auto")
    n_gibbs_steps: int = param(default=1, at_least=1)
    persistent: bool = param(default=False)
    sparsity_target: float | None = param(default=None, above=0, below=1)
    sparsity_cost: float = param(default=0.1, at_least=0)
    n_sampling_steps: int = param(default=1000, at_least=1)

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        rows = super()._check_input(X, reset=reset, seen=seen)
        if reset:
            # Weights of another number are refused where they are read.
            some = seen is not None and len(seen) == len(rows)
            known = Rows(rows.values[seen]) if some else rows
            inside = known.is_unit()
            units: str = self.visible_units
            if units == "auto":
                units = "bernoulli" if inside else "gaussian"
            self.visible_units_ = units
            if not inside and units == "bernoulli":
                low, high = known.extremes()
                raise ValueError(
                    f"{type(self).__name__}: binary units take values in [0, 1] and X "
                    f"has some in [{low:.4g}, {high:.4g}]: scale it with "
                    "MinMaxScaler, or set visible_units='gaussian'"
                )
        binary = self.visible_units_ == "bernoulli"
        return rows.clipped(type(self).__name__) if binary else rows

    def _learn_statistics(self, samples: Samples) -> None:
        mean, scale = self._mean_and_scale(samples, by_class=False)
        if self.visible_units_ == "gaussian":
            self.x_mean_, self.x_scale_ = mean, scale
        else:  # nothing is centred, also of a sparse X
            self.x_mean_ = self.chunks_.moments["x"].mean
        if self.chunks_.n == 1:
            self.n_chains_ = min(self.batch_size, int(self._n_seen()))

    def _restate(self, module: nn.Module) -> None:
        super()._restate(module)
        if self.visible_units_ == "bernoulli":
            first = next(part for part in module.modules() if isinstance(part, RBM))
            first.base.copy_(self._base())

    def _n_seen(self) -> float:
        """What rows count, or how many there are where their weights are shares."""
        known = self.chunks_.moments["x"]
        return max(float(known.weight), known.n)

    def _base(self) -> Tensor:
        """The visible biases of a machine without hidden units."""
        # A unit that was never on may yet be: as if of two more samples one was.
        n = self._n_seen()
        return torch.logit(torch.from_numpy((self.x_mean_ * n + 1) / (n + 2)))

    def _machine(
        self, n_visible: int, n_hidden: int, first: bool, **labels: Any
    ) -> RBM:
        """A machine on X (``first``) or on the hidden units of another."""
        sparsity = None
        if self.sparsity_target is not None:
            sparsity = self.sparsity_target, self.sparsity_cost
        base = standardize = None
        gaussian = first and self.visible_units_ == "gaussian"
        if gaussian:
            standardize = Standardize(self.x_mean_, self.x_scale_)
        elif first:
            base = self._base()
        kind = LabelledRBM if labels else RBM
        return kind(
            n_visible,
            n_hidden=n_hidden,
            gaussian=gaussian,
            n_steps=self.n_gibbs_steps,
            n_chains=self.n_chains_ if self.persistent else 0,
            sparsity=sparsity,
            base=base,
            standardize=standardize,
            spread=self._spread(n_visible, n_hidden),
            **labels,
        )

    def _spread(self, n_visible: int, n_hidden: int) -> float:
        """Standard deviation of a machine's first weights."""
        return 0.01

    def _on_batches(self, X: Any, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        check_is_fitted(self)
        return self._collect(self._check_input(X, reset=False), function)

    def _hidden(self, H: Any, n_columns: int) -> Tensor:
        """Checked hidden units, as the network computes."""
        check_is_fitted(self)
        H = check_array(H, dtype=[np.float64, np.float32], input_name="H")
        if H.shape[1] != n_columns:
            raise ValueError(
                f"{type(self).__name__}.inverse_transform: H has {H.shape[1]} columns, "
                f"one for each of the {n_columns} components is expected"
            )
        return as_tensor(H).to(self.net_.device, self.net_.dtype)

    def _annealed(
        self,
        rbm: RBM,
        n: int,
        generator: torch.Generator,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Visible units drawn from a machine, beside given labels if it has any.

        Half of the steps go from the machine without hidden units to the trained one,
        so that chains spread over the modes; the others are Gibbs steps there.
        """
        steps = self.n_sampling_steps
        betas = torch.ones(steps, dtype=torch.float64)
        warm = steps // 2
        betas[:warm] = torch.linspace(0, 1, warm + 1, dtype=torch.float64)[1:]
        v, _, _ = anneal(rbm, n, betas, generator, labels)
        return v.to(rbm.weight.dtype)

    def _generator_like(self, generator: torch.Generator) -> torch.Generator:
        """The generator, or one of its seed on the accelerator of the network."""
        device = torch.device(self.net_.device)
        if device.type == "cpu":
            return generator
        return torch.Generator(device).manual_seed(generator.initial_seed())


class RBMFeatures(BoltzmannUnits, Sampler, Encoder):
    """Restricted Boltzmann machine: features, a density and samples [1]_ [2]_.

    Parameters
    ----------
    n_components : int, default=256
        Hidden units: the features.
    visible_units : {"auto", "bernoulli", "gaussian"}, default="auto"
        "bernoulli" takes values in [0, 1] as probabilities of binary units; `fit`
        refuses others, which later are clipped with a warning; "gaussian" standardises
        the columns of X and takes them as normal with unit variance. "auto" is
        "bernoulli" if all of X lies in [0, 1], else "gaussian".
    n_gibbs_steps : int, default=1
        Gibbs steps of the negative phase: the k of CD-k.
    persistent : bool, default=False
        Whether the chains of the negative phase go on from step to step (persistent
        contrastive divergence [3]_), as many as a batch has samples, instead of
        beginning at the data.
    sparsity_target : float, default=None
        The share of samples for which each hidden unit shall be on [4]_.
    sparsity_cost : float, default=0.1
        How strongly hidden units are drawn to ``sparsity_target``.
    n_sampling_steps : int, default=1000
        Gibbs steps behind each sample of `sample`, the first half annealed.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 20 epochs, or as many as
        make 500 steps.
    lr : float, default=0.05
        The learning rate, at the start of ``lr_schedule``.
    optimizer : {"adam", "adamw", "sgd"}, default="sgd"
        What follows the gradients, with ``momentum`` and ``weight_decay``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features_in_)
        The weights of each hidden unit.
    intercept_hidden_ : ndarray of shape (n_components,)
        Biases of the hidden units.
    intercept_visible_ : ndarray of shape (n_features_in_,)
        Biases of the visible units.
    visible_units_ : str
        "bernoulli" or "gaussian".
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        Means of the columns; "gaussian" standardises by both.
    n_chains_ : int
        Persistent chains, if there are any.
    n_seen_ : int
        Samples that the means were taken of.

    Notes
    -----
    The visible biases begin at the logits of the columns' means, as [2]_ advises, the
    weights at normal numbers of standard deviation 0.01. The last reconstruction of CD
    is left as probabilities. Gradients are written out, not found by autograd; a skorch
    callback on batches gets the same ones from autograd.

    ``loss_curve_`` and the loss that ``early_stopping`` watches are the mean squared
    reconstruction error: easy to compute, but not what training lowers. To choose
    parameters use `score`.

    The reconstruction of Gaussian units is linear in all the hidden units, so that a
    step which suits one would diverge for many: their gradients are multiplied by ``8 /
    max(n_components, n_features)``, if that is less than 1.

    There is no ``sample_weight``: the noise of a row cannot be weighted.

    For ``max_epochs``, ``lr_schedule``, ``early_stopping``, ``precision``, ``device``,
    ``random_state`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] G. E. Hinton. Training Products of Experts by Minimizing Contrastive
       Divergence. Neural Computation 14, 2002.
    .. [2] G. E. Hinton. A Practical Guide to Training Restricted Boltzmann Machines.
       2010.
    .. [3] T. Tieleman. Training Restricted Boltzmann Machines using Approximations to
       the Likelihood Gradient. ICML 2008.
    .. [4] V. Nair, G. E. Hinton. 3D Object Recognition with Deep Belief Nets. NIPS
       2009. The mean activity is that of a batch, not a running one.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknets import RBMFeatures
    >>> X, y = load_digits(return_X_y=True)
    >>> rbm = RBMFeatures(n_components=64, max_epochs=5, random_state=0)
    >>> model = make_pipeline(rbm, LogisticRegression(max_iter=1000)).fit(X / 16, y)
    >>> bool(model.score(X / 16, y) > 0.9)
    True
    >>> model[0].sample(3, random_state=0).shape
    (3, 64)
    """

    n_components: int = param(default=256, at_least=1)
    _budget = Budget(epochs=20, steps=500)
    lr: float = param(default=0.05, above=0)
    optimizer: Literal["adam", "adamw", "sgd"] = param(default="sgd")

    def transform(self, X: Any) -> np.ndarray:
        """Return the probability of each hidden unit to be on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)

        Warns
        -----
        UserWarning
            When the visible units are binary and values outside [0, 1] are clipped.
        """
        return self._outputs(X)

    def inverse_transform(self, H: Any) -> np.ndarray:
        """Return the expected X for given hidden units.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_components)
            States or probabilities.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            Probabilities for binary units, else means in the units of X.
        """
        H = self._hidden(H, self.n_components)
        rbm = self.net_.module_
        with torch.inference_mode():
            return rbm.data(rbm.visible_mean(H)).cpu().numpy()

    def gibbs(
        self,
        X: Any,
        n_steps: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Return where Gibbs chains are that began at X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)
        n_steps : int, default=1
            A step draws the hidden units and then the visible ones.
        random_state : int, RandomState or None, default=None
            An int gives the same chains at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            0 and 1 for binary units, else numbers in the units of X.
        """
        check_is_fitted(self)
        if not isinstance(n_steps, Integral) or n_steps < 1:
            raise ValueError(
                f"RBMFeatures.gibbs(n_steps={n_steps!r}): must be at least 1"
            )
        rbm, generator = self.net_.module_, self._generator(random_state)

        def run(x: Tensor) -> Tensor:
            v = rbm.visible(x)
            for _ in range(n_steps):
                h = rbm.draw_hidden(rbm.hidden_mean(v), generator=generator)
                v = rbm.draw_visible(rbm.visible_mean(h), generator=generator)
            return rbm.data(v)

        return self._on_batches(X, run)

    def free_energy(self, X: Any) -> np.ndarray:
        """Return minus the logarithm of each row's unnormalised probability.

        Less `log_partition_function` with its sign turned it is the log-likelihood:
        ``-free_energy(X) - log_partition_function()``, for Gaussian units that of the
        standardised columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)

        Returns
        -------
        energy : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        rbm = self.net_.module_
        return self._on_batches(X, lambda x: rbm.free_energy(rbm.visible(x)))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return how well the machine knows each row; the higher, the better.

        Binary units: the pseudo-likelihood ``Σ_i log p(v_i | all others)``, exact and
        for all i (`BernoulliRBM` draws one i). Gaussian units, whose conditionals have
        no closed form: Hyvärinen's score [1]_ of the standardised columns, a proper
        scoring rule that like the pseudo-likelihood needs no partition function.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)

        Returns
        -------
        scores : float64 ndarray of shape (n_samples,)

        References
        ----------
        .. [1] A. Hyvärinen. Estimation of Non-Normalized Statistical Models by Score
           Matching. JMLR 6, 2005.
        """
        check_is_fitted(self)
        rbm = self.net_.module_
        kind = pseudo_likelihood
        if self.visible_units_ == "gaussian":
            kind = hyvarinen_score
        return self._on_batches(X, lambda x: kind(rbm, rbm.visible(x)))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`, so that a search can tune by it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_in_)
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        return float(self.score_samples(X).mean())

    def log_partition_function(
        self,
        method: Literal["auto", "exact", "ais"] = "auto",
        n_chains: int = 100,
        n_steps: int = 1000,
        random_state: int | np.random.RandomState | None = None,
    ) -> float:
        """Return log Z, which turns free energies into log-likelihoods.

        Parameters
        ----------
        method : {"auto", "exact", "ais"}, default="auto"
            "exact" enumerates the states of the smaller layer, up to 20 units (the
            hidden layer alone if the visible units are Gaussian); "ais" estimates by
            annealed importance sampling [1]_ from the machine without hidden units;
            "auto" is exact where that is possible.
        n_chains, n_steps : int, default=100, 1000
            Chains and intermediate distributions of "ais": more are more exact.
        random_state : int, RandomState or None, default=None

        Returns
        -------
        log_z : float

        Raises
        ------
        ValueError
            For "exact" when both layers are too large.

        References
        ----------
        .. [1] R. Salakhutdinov, I. Murray. On the Quantitative Analysis of Deep Belief
           Networks. ICML 2008.
        """
        check_is_fitted(self)
        call = "RBMFeatures.log_partition_function"
        if method not in ("auto", "exact", "ais"):
            legal = "must be 'auto', 'exact' or 'ais'"
            raise ValueError(f"{call}(method={method!r}): {legal}")
        for name, value in (("n_chains", n_chains), ("n_steps", n_steps)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{call}({name}={value!r}): must be at least 1")
        rbm = self.net_.module_
        with torch.inference_mode():
            exact = None if method == "ais" else log_partition_exact(rbm)
            if exact is not None:
                return exact
            if method == "exact":
                raise ValueError(
                    f"{call}(method='exact'): {len(rbm.hidden_bias)} hidden and "
                    f"{len(rbm.visible_bias)} visible units have too many states, at "
                    f"most {MOST_UNITS} are enumerated; use 'ais'"
                )
            generator = self._generator(random_state)
            return log_partition_ais(rbm, n_chains, n_steps, generator)

    @property
    def components_(self) -> np.ndarray:
        return self._weights("weight")

    @property
    def intercept_hidden_(self) -> np.ndarray:
        return self._weights("hidden_bias")

    @property
    def intercept_visible_(self) -> np.ndarray:
        return self._weights("visible_bias")

    def _weights(self, name: str) -> np.ndarray:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"RBMFeatures has no {name} before fit")
        return getattr(self.net_.module_, name).detach().cpu().numpy().copy()

    # -- for the engine --------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def _generator(self, random_state: Any) -> torch.Generator:
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        return self._generator_like(torch.Generator().manual_seed(seed))

    def _draw(self, n: int, condition: Any, generator: torch.Generator) -> Tensor:
        rbm = self.net_.module_
        return rbm.data(self._annealed(rbm, n, self._generator_like(generator)))

    def _learn_statistics(self, samples: Samples) -> None:
        super()._learn_statistics(samples)
        n_features = self.n_features_in_
        binary = self.visible_units_ == "bernoulli"
        few = binary and n_features < 16 and self.chunks_.n == 1
        if few and self.n_components > 2**n_features:
            warn(
                f"RBMFeatures(n_components={self.n_components}): more hidden units "
                f"than {n_features} binary columns have states, {2**n_features}; fewer "
                "do the same",
            )

    def _build(self) -> nn.Module:
        return self._machine(self.n_features_in_, self.n_components, first=True)
