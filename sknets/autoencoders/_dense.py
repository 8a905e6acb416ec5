"""Autoencoders of rows: features by compression, outliers by what is not restored."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
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
from sknets._unsupervised import Encoder, OutlierDetector
from sknets._warn import warn
from sknets.autoencoders._nets import Autoencoder, Corrupt

# Of what is restored exactly, relative to a column's scale: rounding is no outlier.
_LEAST_VARIANCE = 1e-3
# Added to the covariance of codes, relative to their mean square: that of codes which
# are all the same has no inverse.
_LEAST_SPREAD = 1e-6
# How often the samples that seem to be outliers are left out of mean and variances.
_TRIMMINGS = 4
# How many columns `correct` tries for each value, and how often it restores them.
_COLUMNS_TRIED, _FILL_STEPS = 10, 10
_ACTIVATION = Literal[
    "relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu", "silu"
]


class Scaled(Estimator):
    """What the estimators of rows in this chapter share: the scale of columns."""

    standardize: bool | Literal["auto", "global", "robust"] = param(default="auto")

    def _learn_scale(self, samples: Samples) -> None:
        how = self.standardize
        if how is False:
            return
        # Also of rows that only pretraining sees, those without a label.
        mean, scale = self._mean_and_scale(samples, by_class=False)
        if how == "robust":
            mean, scale = self._robust(samples.x, mean, scale)
        elif how == "global" or (how == "auto" and self._have_one_range(samples)):
            # Of a scale that is large already the square is infinite.
            largest = scale.max()
            one = largest * math.sqrt(np.square(scale / largest).mean())
            scale = np.full_like(scale, one)
        self.x_mean_, self.x_scale_ = mean, scale

    def _have_one_range(self, samples: Samples) -> bool:
        """Whether most columns have one range already, as pixels do."""
        rows, counts = samples.x, samples.counts
        values = rows.values if counts is None else rows.values[counts > 0]
        if rows.is_sparse:
            low, high = values.min(0).toarray()[0], values.max(0).toarray()[0]
        else:
            low, high = (each.cpu().numpy() for each in values.aminmax(dim=0))
        if self.chunks_.n > 1:
            before = self.x_range_
            low, high = np.minimum(low, before[0]), np.maximum(high, before[1])
        self.x_range_: np.ndarray = np.stack([low, high])
        width = high - low
        width = width[width > 0]
        return bool(len(width) and np.median(width) >= 0.5 * width.max())

    def _robust(self, rows: Any, mean: np.ndarray, scale: np.ndarray) -> tuple:
        """Median and interquartile range, by the deviation where that is small."""

        def take(some: slice) -> tuple[np.ndarray, np.ndarray]:
            chosen = torch.arange(some.start, some.stop, some.step)
            return rows.batch(chosen).cpu().double().numpy(), np.ones(len(chosen))

        sample, _ = self.chunks_.keep("x", rows.values.shape, take)
        if self.chunks_.n == 1:
            sample, _ = take(slice(0, len(rows), 1 + len(rows) // 10_000))
        low, middle, high = np.percentile(sample, (25, 50, 75), axis=0)
        # 1.349: of a normal column
        spread = np.maximum((high - low) / 1.349, 0.3 * scale)
        return (mean if rows.is_sparse else middle), spread

    def _standardizer(self) -> Standardize | None:
        if self.standardize is False:
            return None
        return Standardize(self.x_mean_, self.x_scale_)


class Codes(Estimator):
    """What the estimators of this chapter share that have a code: its size."""

    n_components: int | None = param(default=None, at_least=1)

    def _choose_components(self, n_inputs: int) -> None:
        """16, or half of the columns where these are fewer than 32."""
        n = self.n_components
        self.n_components_ = max(1, min(16, n_inputs // 2)) if n is None else n
        long = self.n_components_ > n_inputs and self.chunks_.n == 1
        if long and not self._is_regularized():
            warn(
                f"{type(self).__name__}(n_components={n}): X has only {n_inputs} "
                "columns, so that nothing has to be compressed: lower n_components, or "
                "ask for noise or sparsity",
            )

    def _is_regularized(self) -> bool:
        """Whether more is asked of the code than to be short."""
        return False

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _read_codes(self, Z: Any, verb: str) -> Rows:
        """Codes given to `inverse_transform`, checked."""
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"{type(self).__name__}.{verb}: Z must have the {self.n_components_} "
                f"columns of a code, got {Z.shape[1]}"
            )
        return Rows(as_tensor(Z))


class _Dense(Codes, Scaled):
    """An autoencoder of rows, whatever it is for."""

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)

    hidden_layer_sizes: int | tuple[int, ...] = param(default=(128,), at_least=1)
    activation: _ACTIVATION = param(default="relu")  # type: ignore[valid-type]
    noise: Literal["gaussian", "masking"] | None = param(default=None)
    noise_level: float = param(default=0.3, at_least=0)

    def _check_params(self) -> None:
        super()._check_params()
        if self.noise == "masking" and self.noise_level >= 1:
            sentence = 'noise_level is a share below 1 with noise="masking"'
            raise ValueError(self._refusal("noise_level", sentence))

    def _is_regularized(self) -> bool:
        return self.noise is not None

    def _learn_statistics(self, samples: Samples) -> None:
        self._choose_components(self.n_features_in_)
        self._learn_scale(samples)

    def _build(self) -> nn.Module:
        return self._autoencoder()

    def _autoencoder(self, **more: Any) -> nn.Module:
        sizes = self.hidden_layer_sizes
        return Autoencoder(
            self.n_features_in_,
            tuple(sizes) if isinstance(sizes, tuple | list) else (int(sizes),),
            self.n_components_,
            self.activation,
            standardize=self._standardizer(),
            corrupt=Corrupt(self.noise, self.noise_level) if self.noise else None,
            **more,
        )


class AutoencoderTransformer(_Dense, Encoder):
    """Autoencoder: a short code from which each sample can be restored [1]_.

    Undercomplete (fewer components than columns), denoising, sparse or contractive, or
    several of these at once.

    Parameters
    ----------
    n_components : int, default=None
        Numbers in the code. None: 16, or half of the columns if these are fewer than
        32.
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of the layers between the columns and the code; those from the code back
        mirror them. ``()`` is the linear autoencoder: the subspace of PCA.
    activation : str, default="relu"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity", "leaky_relu",
        "elu", "gelu" or "silu".
    code_activation : str, default=None
        Of the code. None: "identity", and "sigmoid" for ``sparsity="kl"``.
    loss : {"squared_error", "cross_entropy"}, default="squared_error"
        Of the reconstruction, a mean over columns. "cross_entropy" takes every column
        for a probability: the X of `fit` must lie within [0, 1], later values are
        clipped with a warning, and nothing is standardised.
    standardize : bool, "auto", "global" or "robust", default="auto"
        True: columns are centred and scaled by their standard deviation, so that all
        count the same; "global": centred, and scaled by one number, so that they count
        by their variance, as for PCA; "auto": "global" where most columns have one
        range already, as pixels do, else True; "robust": by median and interquartile
        range; False: X as it is.
    tied_weights : bool, default=False
        Whether the decoder multiplies by the transposed weights of the encoder.
    noise : {"gaussian", "masking"}, default=None
        Noise on the input in training, while the clean input is to be restored: the
        denoising autoencoder [2]_.
    noise_level : float, default=0.3
        Standard deviation of the noise, in units of the standardised columns; or the
        share of numbers that are masked (set to 0, the mean where standardised).
    sparsity : {"l1", "kl"}, default=None
        Penalty of active units of the code: the sum of their sizes, or how far each
        one's mean over a batch is from ``sparsity_target``, as Kullback-Leibler
        divergence [3]_.
    sparsity_weight : float, default=0.001
        Weight of that penalty.
    sparsity_target : float, default=0.05
        Mean activation that "kl" asks for.
    contraction : float, default=0.0
        Weight of the squared Frobenius norm of the code's derivative by the input: the
        contractive autoencoder [4]_. The time of a step grows with ``n_components``.

    Attributes
    ----------
    n_components_ : int
        Numbers in the code.
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
        Training loss, an item an epoch; see `sknets._estimator.Estimator` for what else
        a fit leaves.

    See Also
    --------
    VAETransformer : a code with a distribution, to draw samples from.
    ConvolutionalAutoencoderTransformer : for images.

    Notes
    -----
    The further parameters (``max_epochs``, ``batch_size``, ``lr``, ``early_stopping``,
    ``device``, ``random_state``, ``checkpoint``, ...) are those of all estimators, see
    `sknets._estimator.Estimator`.

    Departures: the reconstruction error is a mean over columns, not their sum, so that
    ``contraction`` and ``sparsity_weight`` are the papers' divided by the number of
    columns. Trained with Adam instead of layer by layer.

    References
    ----------
    .. [1] G. E. Hinton, R. R. Salakhutdinov. Reducing the Dimensionality of Data with
       Neural Networks. Science 313, 2006.
    .. [2] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol. Extracting and
       Composing Robust Features with Denoising Autoencoders. ICML 2008.
    .. [3] A. Ng. Sparse autoencoder. CS294A lecture notes, Stanford 2011.
    .. [4] S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio. Contractive
       Auto-Encoders: Explicit Invariance During Feature Extraction. ICML 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import AutoencoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> coder = AutoencoderTransformer(n_components=8, max_epochs=20, random_state=0)
    >>> coder.fit_transform(X).shape
    (1797, 8)
    >>> coder.reconstruct(X[:5]).shape
    (5, 64)
    """

    code_activation: _ACTIVATION | None = param(default=None)  # type: ignore[valid-type]
    loss: Literal["squared_error", "cross_entropy"] = param(default="squared_error")
    tied_weights: bool = param(default=False)
    sparsity: Literal["l1", "kl"] | None = param(default=None)
    sparsity_weight: float = param(default=1e-3, at_least=0)
    sparsity_target: float = param(default=0.05, above=0, below=1)
    contraction: float = param(default=0.0, at_least=0)

    def _check_params(self) -> None:
        super()._check_params()
        if self.sparsity == "kl" and self.code_activation not in (None, "sigmoid"):
            sentence = 'sparsity="kl" compares probabilities: code_activation="sigmoid"'
            raise ValueError(self._refusal("code_activation", sentence))

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        rows = super()._check_input(X, reset=reset, seen=seen)
        if self.loss == "cross_entropy":
            return as_probabilities(self, "loss", rows, reset)
        return rows

    def _is_regularized(self) -> bool:
        return bool(super()._is_regularized() or self.sparsity or self.contraction)

    def _standardizer(self) -> Standardize | None:
        return None if self.loss == "cross_entropy" else super()._standardizer()

    def _build(self) -> nn.Module:
        code = self.code_activation
        if code is None:
            code = "sigmoid" if self.sparsity == "kl" else "identity"
        return self._autoencoder(
            code_activation=code,
            tied=self.tied_weights,
            sparsity=self.sparsity,
            sparsity_weight=self.sparsity_weight,
            sparsity_target=self.sparsity_target,
            contraction=self.contraction,
            cross_entropy=self.loss == "cross_entropy",
        )

    def _restored(self, output: Tensor) -> Tensor:
        """The network's output in the units of X."""
        if self.loss == "cross_entropy":
            return output.sigmoid()
        standardize = self.net_.module_.standardize
        return output if standardize is None else standardize.inverse(output)

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of samples.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
        """
        return self._outputs(X, features=True)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Return the samples that codes stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the X that was learned.
        """
        codes = self._read_codes(Z, "inverse_transform")
        decode = self.net_.module_.decode
        return self._collect(codes, lambda z: self._restored(decode(z)))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return what is left of samples after compression.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        return self._outputs(X, self._restored)

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean squared error of the reconstruction.

        In the units of X, whatever ``loss`` and ``standardize`` are, so that a search
        may tune both, and any model with an ``inverse_transform`` compares.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        module = self.net_.module_

        def error(x: Tensor) -> Tensor:
            return (self._restored(module(x)) - x).square().mean(1)

        rows = self._check_input(X, reset=False)
        return -float(self._collect(rows, error).mean(dtype=np.float64))


def as_probabilities(estimator: Any, name: str, rows: Rows, reset: bool) -> Rows:
    """Rows within [0, 1]: others are refused by `fit` and clipped, with a word, later.

    As a scaler that was fitted to other rows leaves some a little outside.
    """
    if reset and not rows.is_unit():
        low, high = rows.extremes()
        raise ValueError(
            estimator._refusal(
                name,
                f"X must lie within [0, 1], got values from {low:.4g} to {high:.4g}: "
                "scale it with sklearn.preprocessing.MinMaxScaler first",
            )
        )
    return rows.clipped(type(estimator).__name__)


class AutoencoderOutlierDetector(_Dense, OutlierDetector):
    """Outliers by what an autoencoder does not restore, or codes as no other [1]_ [2]_.

    The score has two parts of equal weight: the error of each column, and how far the
    code is from the others (its Mahalanobis distance). The error alone misses what is
    far out along the way the data goes, which is restored well.

    Parameters
    ----------
    n_components : int, default=2
        Numbers in the code; the more, the better outliers are restored as well. None:
        16, or half of the columns if these are fewer than 32.
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of the layers between the columns and the code, and mirrored back.
    activation : str, default="tanh"
        Of the hidden layers: "relu", "tanh", "sigmoid", "identity", "leaky_relu",
        "elu", "gelu" or "silu".
    standardize : bool, "auto", "global" or "robust", default="robust"
        "robust": columns are centred by their median and scaled by their interquartile
        range (at least three tenths of the standard deviation), which outliers do not
        widen; True: by mean and standard deviation; "global": by one number for all;
        "auto": "global" where most columns have one range already, as pixels do, else
        True; False: X as it is.
    noise : {"gaussian", "masking"}, default=None
        Noise on the input in training, while the clean input is to be restored.
    noise_level : float, default=0.3
        Standard deviation of the noise, or share of numbers that are masked.
    contamination : float, default=0.1
        The share of outliers in the training data, which sets the threshold.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 50 epochs, or as many as
        make 100 steps.

    Attributes
    ----------
    offset_ : float
        The threshold: samples whose `score_samples` is below it are outliers, and
        `decision_function` is ``score_samples(X) - offset_``. It is the quantile
        ``contamination`` of the training data's scores, lowered by what may be
        rounding: samples with the very score of the threshold are usual.
    decision_scores_ : ndarray of shape (n_samples,)
        How unusual each sample of `fit` was, by the names and signs of pyod: minus its
        `score_samples`.
    threshold_ : float
        ``-offset_``: samples whose ``decision_scores_`` are above it are outliers.
    labels_ : ndarray of int of shape (n_samples,)
        1 for the outliers among the samples of `fit`, 0 for the others, where `predict`
        says -1 and 1.
    code_mean_ : ndarray of shape (n_components_,)
    code_precision_ : ndarray of shape (n_components_, n_components_)
        Mean and inverse covariance (Ledoit-Wolf, with a little added to its diagonal so
        that it has an inverse) of the codes of the training data, without the share
        ``contamination`` that is farthest out.
    error_variance_ : ndarray of shape (n_features_in_,)
        Mean squared error of each standardised column, over the same samples.
    n_components_ : int
        Numbers in the code.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        What columns are centred and scaled by, with ``standardize``.
    net_ : Net
        The trained skorch net; ``net_.module_`` is the torch module and
        ``net_.history`` has a row an epoch.
    n_iter_ : int
        Epochs trained so far.
    loss_curve_ : list of float
        Training loss, an item an epoch; see `sknets._estimator.Estimator` for what else
        a fit leaves.

    Notes
    -----
    The further parameters (``max_epochs``, ``batch_size``, ``lr``, ``early_stopping``,
    ``device``, ``random_state``, ``checkpoint``, ...) are those of all estimators, see
    `sknets._estimator.Estimator`.

    Departures: the replicator network has step-wise activations and scores by its
    error alone; the distance of the code is that of [2]_, here of all data and not
    class by class, with the error of each column weighed by its variance.

    References
    ----------
    .. [1] S. Hawkins, H. He, G. Williams, R. Baxter. Outlier Detection Using Replicator
       Neural Networks. DaWaK 2002.
    .. [2] T. Denouden et al. Improving Reconstruction Autoencoder Out-of-distribution
       Detection with Mahalanobis Distance. 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import AutoencoderOutlierDetector
    >>> angle = np.linspace(0, 6, 200)
    >>> X = np.column_stack([np.cos(angle), np.sin(angle), angle])
    >>> X[7] = [3, -3, 0]
    >>> finder = AutoencoderOutlierDetector(contamination=0.005, random_state=0)
    >>> int(finder.fit_predict(X).argmin())
    7
    """

    standardize: bool | Literal["auto", "global", "robust"] = param(default="robust")
    n_components: int | None = param(default=2, at_least=1)
    activation: _ACTIVATION = param(default="tanh")  # type: ignore[valid-type]
    _budget = Budget(epochs=50, steps=100)

    @property
    def threshold_(self) -> float:
        if not hasattr(self, "offset_"):
            raise AttributeError(f"{type(self).__name__} has no threshold_ before fit")
        return -self.offset_

    def _learn_threshold(self, X: Any) -> None:
        code, error = self._code_and_error(self._rows(X))
        usual = np.ones(len(code), dtype=bool)
        least = _LEAST_SPREAD * (float(np.square(code).mean()) or 1.0)
        for _ in range(_TRIMMINGS):
            normal = code[usual]
            several = len(normal) > 1
            covariance = LedoitWolf().fit(normal).covariance_ if several else 0.0
            self.code_mean_ = normal.mean(0)
            self.code_precision_ = np.linalg.inv(
                covariance + least * np.eye(code.shape[1])
            )
            self.error_variance_ = np.square(error[usual]).mean(0) + _LEAST_VARIANCE
            scores = self._scores(code, error)
            offset = float(np.percentile(scores, 100 * self.contamination))
            usual = scores >= offset
        # Many rows may have the very score of the threshold, and the rounding of a
        # score depends on how many rows are computed together.
        rounding = math.sqrt(torch.finfo(self.net_.dtype).eps)
        self.offset_ = offset - rounding * max(1.0, abs(offset))
        self.decision_scores_ = -scores
        self.labels_ = (scores < self.offset_).astype(int)

    def _rows(self, X: Any) -> Rows:
        check_is_fitted(self)
        return self._check_input(X, reset=False)

    def _code_and_error(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Codes, and what is restored less what was given; float64."""
        module = self.net_.module_

        def both(x: Tensor) -> Tensor:
            given = module.prepare(x)
            code = module.encoder(given)
            return torch.cat([code, module.decoder(code) - given], 1)

        output = self._collect(rows, both).astype(np.float64)
        return output[:, : self.n_components_], output[:, self.n_components_ :]

    def score_samples(self, X: Any) -> np.ndarray:
        """Return how usual each sample is; the lower, the more of an outlier.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)

        Returns
        -------
        scores : float64 ndarray of shape (n_samples,)
            Minus the squared Mahalanobis distance of the code, divided by its numbers,
            and minus the mean over columns of the squared errors, each divided by its
            variance. Ordinary samples have about -2.
        """
        return self._scores(*self._code_and_error(self._rows(X)))

    def _scores(self, code: np.ndarray, error: np.ndarray) -> np.ndarray:
        code = code - self.code_mean_
        # Not a matrix product: a sample's figure must not depend on its neighbours.
        distance = np.einsum("ij,jk,ik->i", code, self.code_precision_, code)
        error = (np.square(error) / self.error_variance_).mean(1)
        return -distance / code.shape[1] - error

    def correct(self, X: Any, max_iter: int = 10) -> np.ndarray:
        """Replace the outlying values of outlying samples by what is restored.

        One value after another: the one without which the sample is most usual, until
        the sample is no outlier any more or nothing improves it. What takes its place
        is what the autoencoder restores from the others.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features)
        max_iter : int, default=10
            The most values that are replaced in a sample.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy; samples that are no outliers are as they were.
        """
        values = self._rows(X).values
        values = values.toarray() if hasattr(values, "toarray") else values.numpy()
        fixed, replaced = values.copy(), np.zeros(values.shape, dtype=bool)
        score = self._scores(*self._code_and_error(_as_rows(values)))
        rows = np.flatnonzero(score < self.offset_)
        n_tried = min(_COLUMNS_TRIED, values.shape[1])
        for _ in range(max_iter):
            if not len(rows):
                break
            error = np.square(self._code_and_error(_as_rows(fixed[rows]))[1])
            error = np.where(replaced[rows], -1, error / self.error_variance_)
            tried = np.argsort(-error, axis=1)[:, :n_tried]
            trials = np.repeat(fixed[rows], n_tried, axis=0)
            cells = np.repeat(replaced[rows], n_tried, axis=0)
            cells[np.arange(len(cells)), tried.ravel()] = True
            trials = self._fill(trials, cells)
            scores = self._scores(*self._code_and_error(_as_rows(trials)))
            scores = scores.reshape(-1, n_tried)
            best = scores.argmax(1)
            better = scores.max(1) > score[rows]
            chosen = (np.arange(len(rows)) * n_tried + best)[better]
            rows = rows[better]
            fixed[rows], replaced[rows] = trials[chosen], cells[chosen]
            score[rows] = scores[better].max(1) if len(rows) else 0
            rows = rows[score[rows] < self.offset_]
        return fixed

    def _fill(self, rows: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Restore these cells from the others, again and again until they settle."""
        module = self.net_.module_

        def restored(x: Tensor) -> Tensor:
            output = module(x)
            scaled = module.standardize is not None
            return module.standardize.inverse(output) if scaled else output

        center = 0.0 if self.standardize is False else self.x_mean_
        rows = np.where(cells, center, rows).astype(rows.dtype)
        for _ in range(_FILL_STEPS):
            found = self._collect(_as_rows(rows), restored)
            rows = np.where(cells, found, rows)
        return rows


def _as_rows(values: np.ndarray) -> Rows:
    """Rows made of rows that were checked."""
    return Rows(as_tensor(values))
