"""The variational autoencoder: a code with a distribution, to draw new samples from."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import logsumexp
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from torch import Tensor, nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.containers import Together, Values
from sknets._engine.data import Samples
from sknets._engine.moments import Moments
from sknets._inputs import Table
from sknets._layers import Standardize
from sknets._params import param
from sknets._unsupervised import Encoder, Sampler
from sknets.autoencoders._dense import _ACTIVATION, Codes, Scaled, as_probabilities
from sknets.autoencoders._nets import chain

_LOG_TWO_PI = math.log(2 * math.pi)
# A column that the code tells exactly would have infinite density.
_LEAST_LOG_VARIANCE = -10.0


class VAENet(nn.Module):
    """q(z | x) and p(x | z, y), as nets of linear layers.

    The output is each sample's loss: minus the evidence lower bound, in nats a column.
    """

    def __init__(
        self,
        n_inputs: int,
        n_classes: int,
        hidden: tuple[int, ...],
        n_components: int,
        activation: str,
        likelihood: str,
        beta: float,
        standardize: Standardize | None,
    ):
        super().__init__()
        self.n_inputs, self.n_classes, self.beta = n_inputs, n_classes, beta
        self.standardize, self.likelihood = standardize, likelihood
        # Mean and log-variance of the code, one behind the other.
        self.encoder = nn.Sequential(
            *chain((n_inputs, *hidden, 2 * n_components), activation)
        )
        sizes = (n_components + n_classes, *hidden[::-1], n_inputs)
        self.decoder = nn.Sequential(*chain(sizes, activation))
        self.log_variance = None
        if likelihood == "gaussian":
            self.log_variance = nn.Parameter(torch.zeros(n_inputs))
        self.generator: torch.Generator | None = None

    def prepare(self, x: Tensor) -> Tensor:
        return x if self.standardize is None else self.standardize(x)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, F) -> 2 x (B, C)
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-20.0, 20.0)

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, C)
        return self.encode(self.prepare(x))[0]

    def loss(self, x: Tensor, y: Tensor | None) -> Tensor:  # (B, F) -> (B,)
        x = self.prepare(x)
        mean, log_variance = self.encode(x)
        z = mean
        if self.training:
            noise = torch.empty_like(mean).normal_(generator=self.generator)
            z = mean + noise * (0.5 * log_variance).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return (self.beta * kl - self.log_likelihood(x, z, y)) / self.n_inputs

    def with_classes(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Codes as the decoder sees them: beside their classes, if there are any."""
        if y is None:
            return z
        return torch.cat([z, F.one_hot(y.to(z.device), self.n_classes).to(z)], 1)

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor | None) -> Tensor:  # (B,)
        """log p(x | z, y), of prepared x."""
        output = self.decoder(self.with_classes(z, y))
        if self.log_variance is None:
            losses = F.binary_cross_entropy_with_logits(output, x, reduction="none")
            return -losses.sum(1)
        log_variance = self.log_variance.clamp_min(_LEAST_LOG_VARIANCE)
        error = (x - output).square() * (-log_variance).exp()
        return -0.5 * (error + log_variance + _LOG_TWO_PI).sum(1)

    def decode(self, z: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """The mean of p(x | z, y) in the units of X, or a draw; y stands behind z."""
        output = self.decoder(z)
        if self.log_variance is None:
            output = output.sigmoid()
            return output if noise is None else output.bernoulli(generator=noise)
        if noise is not None:
            spread = (0.5 * self.log_variance.clamp_min(_LEAST_LOG_VARIANCE)).exp()
            grain = torch.randn(output.shape, generator=noise).to(output)
            output = output + spread * grain
        return output if self.standardize is None else self.standardize.inverse(output)

    def importance_weighted(self, x: Tensor, y: Tensor | None, noise: Tensor) -> Tensor:
        """log 1/K sum p(x, z_k | y) / q(z_k | x) [Burda 2016]; (B, F) -> (B,).

        ``noise`` (K, C) is the same for every sample, so that no sample's figure
        depends on the others.
        """
        x = self.prepare(x)
        mean, log_variance = self.encode(x)
        spread = (0.5 * log_variance).exp()
        total = x.new_full((len(x),), -math.inf)
        for each in noise:  # one at a time, or K batches would be in memory at once
            z = mean + spread * each
            # The constants of both Gaussian densities cancel.
            prior = -0.5 * z.square().sum(1)
            posterior = -0.5 * (each.square() + log_variance).sum(1)
            weight = self.log_likelihood(x, z, y) + prior - posterior
            total = torch.logaddexp(total, weight)
        total = total - math.log(len(noise))
        if self.standardize is None:
            return total
        return total + self.standardize.factor.log().sum()  # a density of X as given


class VAETransformer(Sampler, Codes, Scaled, Encoder):
    """Variational autoencoder: codes with a distribution, and new samples [1]_.

    Parameters
    ----------
    n_components : int, default=None
        Numbers in the code. None: 16, or half of the columns if these are fewer than
        32.
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of the layers between the columns and the code, and mirrored back.
    activation : str, default="relu"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity", "leaky_relu",
        "elu", "gelu" or "silu".
    likelihood : {"gaussian", "bernoulli"}, default="gaussian"
        How X is distributed given the code. "gaussian" learns the variance of every
        column [2]_; "bernoulli" takes X for probabilities within [0, 1]: `fit` refuses
        others, which later are clipped with a warning.
    standardize : bool, "auto", "global" or "robust", default="auto"
        Centre and scale columns, see `AutoencoderTransformer`; not done with
        "bernoulli".
    beta : float, default=1.0
        Weight of the Kullback-Leibler term [3]_; above 1 the code is simpler.
    conditional : bool, default=False
        Whether to learn with y, so that samples of a class can be drawn [4]_. `fit`
        then needs y; without it y is ignored, as a Pipeline gives it to every step.
    n_importance_samples : int, default=50
        Draws of the code in `score_samples` [5]_.

    Attributes
    ----------
    n_components_ : int
        Numbers in the code.
    classes_ : ndarray of shape (n_classes,)
        Labels in y; only if ``conditional``.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares; only if ``conditional``.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        What columns are centred and scaled by, with ``standardize``.
    x_range_ : ndarray of shape (2, n_features_in_)
        The smallest and the largest value of each column, by which
        ``standardize="auto"`` decides.
    net_ : Net
        The trained skorch net; ``net_.module_`` is the torch module and
        ``net_.history`` has a row an epoch.
    n_iter_ : int
        Epochs trained so far.
    loss_curve_ : list of float
        Training loss, in nats a column, an item an epoch; see
        `sknets._estimator.Estimator` for what else a fit leaves.

    See Also
    --------
    AutoencoderTransformer : restores better, cannot draw.

    Notes
    -----
    The further parameters (``max_epochs``, ``batch_size``, ``lr``, ``early_stopping``,
    ``device``, ``random_state``, ``checkpoint``, ...) are those of all estimators, see
    `sknets._estimator.Estimator`.

    Departures: the variances of a Gaussian likelihood are one learned number a column,
    not a function of the code. Of the conditional model only the decoder sees y: codes
    then hold what the class does not tell, and `transform` needs no y.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling. Auto-Encoding Variational Bayes. ICLR 2014.
    .. [2] O. Rybkin, K. Daniilidis, S. Levine. Simple and Effective VAE Training with
       Calibrated Decoders. ICML 2021.
    .. [3] I. Higgins et al. beta-VAE: Learning Basic Visual Concepts with a Constrained
       Variational Framework. ICLR 2017.
    .. [4] K. Sohn, H. Lee, X. Yan. Learning Structured Output Representation using Deep
       Conditional Generative Models. NIPS 2015.
    .. [5] Y. Burda, R. Grosse, R. Salakhutdinov. Importance Weighted Autoencoders.
       ICLR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import VAETransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> vae = VAETransformer(conditional=True, max_epochs=3, random_state=0).fit(X, y)
    >>> vae.sample(y=[3, 8], random_state=0).shape
    (2, 64)
    >>> bool(vae.score_samples(X[:9]).mean() > vae.score_samples(16 - X[:9]).mean())
    True
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(128,), at_least=1)
    activation: _ACTIVATION = param(default="relu")  # type: ignore[valid-type]
    likelihood: Literal["gaussian", "bernoulli"] = param(default="gaussian")
    beta: float = param(default=1.0, at_least=0)
    conditional: bool = param(default=False)
    n_importance_samples: int = param(default=50, at_least=1)

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the distribution of samples.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Class labels; used, and needed, if ``conditional``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for NaN or infinity, for values outside
            [0, 1] with "bernoulli", for a missing y if ``conditional``.
        DivergenceError
            When the training loss is no longer finite.
        """
        return self._fit(X, y)

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            If ``conditional``; the first call must have all classes.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y)

    # -- for the engine --------------------------------------------------------------

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        rows = super()._check_input(X, reset=reset, seen=seen)
        if self.likelihood == "bernoulli":
            return as_probabilities(self, "likelihood", rows, reset)
        return rows

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        if not self.conditional:
            return None
        owner = type(self).__name__
        if y is None:
            raise ValueError(
                self._refusal("conditional", "fit requires y to be passed, it is None")
            )
        check_classification_targets(y)
        y = column_or_1d(y)
        if len(y) != n_samples:
            raise ValueError(
                f"{owner}: Found input variables with inconsistent numbers of samples: "
                f"X has {n_samples}, y has {len(y)}"
            )
        if reset:
            self.classes_ = np.unique(y)
        codes = self._codes_of(y, "fit")
        if reset or (reset is None and self.chunks_.grows):
            is_one = torch.from_numpy(codes[:, None] == np.arange(len(self.classes_)))
            shares = Moments.of(lambda: [(is_one.double(), None)])
            self.class_prior_ = self.chunks_.add("classes", shares).mean
        return codes

    def _codes_of(self, y: Any, verb: str) -> np.ndarray:
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(
                f"{type(self).__name__}.{verb}: y has {strange.tolist()}, not among "
                f"the classes {self.classes_.tolist()}"
            )
        return np.searchsorted(self.classes_, y)

    def _learn_statistics(self, samples: Samples) -> None:
        self._choose_components(self.n_features_in_)
        if self.likelihood == "gaussian":
            self._learn_scale(samples)

    def _standardizer(self) -> Standardize | None:
        return super()._standardizer() if self.likelihood == "gaussian" else None

    def _build(self) -> nn.Module:
        sizes = self.hidden_layer_sizes
        return VAENet(
            self.n_features_in_,
            len(self.classes_) if self.conditional else 0,
            tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),),
            self.n_components_,
            self.activation,
            self.likelihood,
            self.beta,
            self._standardizer(),
        )

    # -- verbs -----------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Return the mean of each sample's code.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
        """
        return self._outputs(X)

    def inverse_transform(self, Z: Any, y: Any = None) -> np.ndarray:
        """Return the mean of the samples that codes stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
        y : scalar or array-like of shape (n_samples,), default=None
            The class of each; needed if ``conditional``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        codes, module = self._read_codes(Z, "inverse_transform"), self.net_.module_
        if self.conditional:
            if y is None:
                sentence = "inverse_transform requires y to be passed, it is None"
                raise ValueError(self._refusal("conditional", sentence))
            y = np.repeat(y, len(codes)) if np.ndim(y) == 0 else column_or_1d(y)
            check_consistent_length(Z, y)
            labels = torch.from_numpy(self._codes_of(y, "inverse_transform"))
            pairs = Together(codes, Values(labels))
            return self._collect(
                pairs, lambda p: module.decode(module.with_classes(*p))
            )
        return self._collect(codes, module.decode)

    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        random_state: int | np.random.RandomState | None = None,
        noise: bool = False,
    ) -> np.ndarray:
        """Draw new samples: codes from the standard normal distribution, decoded.

        Parameters
        ----------
        n_samples : int, default=1
        y : scalar or array-like of shape (n_samples,), default=None
            The class of each, or of all, if ``conditional``; None draws classes by
            ``class_prior_``.
        random_state : int, RandomState or None, default=None
            An int gives the same samples at every call.
        noise : bool, default=False
            Draw from the likelihood as well: the whole model, as `score_samples` sees
            it. Without it each sample is the mean of those its code may stand for,
            which shows less grain.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        return self._sampled(n_samples, y, random_state, noise=noise)

    def _draw(self, n, condition, generator, noise=False):
        module = self.net_.module_
        dtype, device = self.net_.dtype, self.net_._device
        z = torch.randn(n, self.n_components_, generator=generator, dtype=dtype)
        z = z.to(device)
        if self.conditional:
            if condition is None:
                prior = torch.from_numpy(self.class_prior_)
                condition = prior.multinomial(n, replacement=True, generator=generator)
            z = module.with_classes(z, torch.as_tensor(condition))
        return module.decode(z, generator if noise else None)

    def _encode_condition(self, y):
        if not self.conditional:
            return super()._encode_condition(y)
        return self._codes_of(y, "sample")

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Return a lower bound of each sample's log-density, nearly tight [5]_.

        The same ``n_importance_samples`` draws for every sample and call. The density
        is of X in its own units, comparable with `sklearn.mixture.GaussianMixture`.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            If ``conditional``: log p(x | y); None gives log p(x), all classes weighed
            by ``class_prior_``. Ignored otherwise.

        Returns
        -------
        scores : float64 ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        module = self.net_.module_
        shape = (self.n_importance_samples, self.n_components_)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        noise = noise.to(next(module.parameters()))
        rows = self._check_input(X, reset=False)

        def bound(labels: Any) -> np.ndarray:
            def of(x: Tensor, y: Tensor | None = None) -> Tensor:
                return module.importance_weighted(x, y, noise)

            if labels is None:
                return self._collect(rows, of).astype(np.float64)
            pairs = Together(rows, Values(torch.as_tensor(labels)))
            return self._collect(pairs, lambda pair: of(*pair)).astype(np.float64)

        if not self.conditional:
            return bound(None)
        if y is not None:
            check_consistent_length(X, y)
            return bound(self._codes_of(column_or_1d(y), "score_samples"))
        classes = range(len(self.classes_))
        each = [bound(np.full(len(rows), label)) for label in classes]
        return logsumexp(np.stack(each, 1) + np.log(self.class_prior_), axis=1)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`, for a search to tune by.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            If ``conditional``: the score is of X given y.

        Returns
        -------
        score : float
        """
        y = y if self.conditional else None
        return float(self.score_samples(X, y).mean())
