"""GANSampler: new rows or images like those that were seen, of labels or conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknets._available import available_unless
from sknets._engine.callbacks import with_callbacks
from sknets._engine.containers import Together, Values
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.net import Net
from sknets._engine.optim import Budget
from sknets._engine.players import Phase, Player
from sknets._inputs import Images, ReadsImages, Records
from sknets._inputs.layout import Layout
from sknets._params import param
from sknets._unsupervised import Sampler
from sknets.adversarial._columns import decode, encode, learn_columns, sizes_of
from sknets.adversarial._conditions import Conditions
from sknets.adversarial._games import LOSS, LR_SCHEDULE
from sknets.adversarial._image_nets import ImageDiscriminator, ImageGenerator
from sknets.adversarial._nets import RowDiscriminator, RowGenerator
from sknets.adversarial._play import Adversaries
from sknets.adversarial._quality import (
    forest_score,
    image_features,
    modes_found,
    thinned,
    warn_of_collapse,
)
from sknets.metrics import frechet_distance

# Of Adam, in games.
BETAS = 0.5, 0.9
# A forest of fewer rows tells as much of these few as of who made them.
_LEAST = 1000
# A fit of fewer steps is too short for its samples to be judged.
_JUDGED = 500


class GANSampler(ReadsImages, Conditions, Sampler):
    """Generative adversarial network: new rows or images like those seen [1]_.

    A generator makes samples of noise, a discriminator tells them from real ones, and
    each learns of the other.

    Parameters
    ----------
    loss : {"original", "non_saturating", "least_squares", "wasserstein", "hinge"}, \
default="non_saturating"
        What both lower: the cross-entropy of the paper, that with the generator's
        gradient as it stands there for practice, squares [2]_, the Wasserstein
        distance [3]_, or hinges.
    gradient_penalty : float or "auto", default="auto"
        How strongly slopes of the discriminator are held: of "wasserstein" at 1 between
        real and made samples [3]_, else at 0 at real ones [4]_. "auto":
        ``30 n ** (-4 / (d + 4))`` for n rows of d columns; 10 with "wasserstein"; 0
        of images.
    smoothing : float or "auto", default="auto"
        Deviation of the noise on numbers of real rows, in units of a column's own: what
        is learned is the distribution smoothed by such a kernel. "auto":
        ``0.8 n ** (-4 / (d + 4))``; images have none.
    spectral_norm : bool, default=False
        Whether the layers of the discriminator are divided by their largest singular
        value [5]_.
    discriminator_steps : int, default=1
        Steps of the discriminator to one of the generator, on the same rows.
    ema_decay : float, default=0.999
        Samples are drawn by a mean of the generators so far, of which each step keeps
        that much; None: by the last one.
    noise_size : int or "auto", default="auto"
        Numbers of noise behind a sample. "auto": 16, of images 64.
    hidden_layer_sizes : int or tuple of int, default=(128, 128)
        Units of the layers of both networks of rows.
    numbers : {"auto", "standard", "normal", "modes"}, default="auto"
        How networks see columns of numbers: centred and scaled; made normal by the
        share of values below each, repeated values being spread over theirs; or as a
        mode of a mixture and the place in it [6]_. "auto": "standard" where all columns
        are numbers and none is missing, else "normal".
    categorical_features : list, "from_dtype" or None, default="from_dtype"
        The columns that hold categories, by name or position; "from_dtype" takes those
        that a DataFrame says are categories. These are made by a softmax with Gumbel's
        noise [7]_.
    width : int, default=32
        Of images, the channels of the outermost layer of both networks; each further
        one has twice as many [8]_.
    image_shape : tuple of int, default=None
        What X of flat rows holds, if these are images: (height, width), or with
        channels.
    resize : int or tuple of int, default=None
        Bring all images to this size; see `CNNClassifier`.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of an image holds the channels; see `CNNClassifier`.
    spatial_dims : int, default=None
        1 for signals, 2 for images, 3 for volumes. None tells by the axes of X.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 20 epochs, or as many as
        make 4,000 steps, of images 3,000.
    batch_size : int or "auto", default="auto"
        Samples a step. "auto": a sixteenth of the rows, at least 64 and at most 256; 64
        images.
    lr : float or "auto", default="auto"
        The learning rate of both, at the start of ``lr_schedule``. "auto":
        0.002, of images 0.001.
    lr_schedule : {"linear", "step", "cosine", "one_cycle", "plateau"}, default="linear"
        "linear" keeps the rate for half of the epochs and then lets it fall to zero, so
        that the game comes to rest; for the others see `sknets._estimator.Estimator`.

    Attributes
    ----------
    condition_ : {"none", "labels", "vectors"}
        What y was.
    classes_ : ndarray of shape (n_classes,)
        The labels; only of these.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares; only of labels.
    y_mean_, y_scale_ : ndarray of shape (n_conditions,)
        What vectors are centred and scaled by; only of these.
    conditions_ : ndarray of shape (n_kept, n_conditions)
        Vectors that were seen, at most 1,000, of which `sample` draws where none are
        given.
    columns_ : list of dict
        How networks see each column; only of tables.
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,) or (n_channels_,)
        Means and deviations of columns, or of channels.
    batch_size_, gradient_penalty_, smoothing_
        What these parameters came to.
    modes_found_, n_modes_ : int
        Of how many clusters of X, by k-means, there are samples, of those that there
        are: what tells of mode collapse.
    discriminator_loss_curve_, generator_loss_curve_ : list of float
        What each player's loss was, an item an epoch; ``loss_curve_`` is their sum.
    sample_shape_, image_size_ : tuple
        Shape of an image as given, and its extent without channels.
    n_channels_, spatial_dims_ : int
    channel_axis_ : int or None
        0 or -1 of an image's axes, None where there is none.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8, floats within [0, 1], or other numbers.

    See Also
    --------
    VAETransformer : trains without a game, and gives densities.

    Notes
    -----
    X is a table (an array, a CSR matrix, a DataFrame with numbers, categories, truth
    values, times and gaps) or images (signals, volumes) as `CNNClassifier` takes them.
    y, if it is given, is what samples can be asked for by: labels, or a vector of
    numbers for each, such as that of a text.

    The losses that training lowers tell nothing of how good samples are. So `score`,
    which searches ask, and with ``early_stopping`` the validation loss are of other
    kinds: the latter is the energy distance between held-out samples and new ones.

    Parts of the data that are very narrow beside the whole (a hundredth of its
    deviation) come out narrower still, by about a half.

    There is no ``sample_weight``: the noise of a row cannot be weighted. X is encoded
    once, in memory, and computed with in float32 unless ``precision`` is "float64".

    For ``optimizer``, ``early_stopping``, ``random_state``, ``checkpoint`` and the rest
    and for the other attributes of training see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] I. Goodfellow et al. Generative Adversarial Nets. NIPS 2014.
    .. [2] X. Mao et al. Least Squares Generative Adversarial Networks. ICCV 2017.
    .. [3] I. Gulrajani et al. Improved Training of Wasserstein GANs. NIPS 2017. Here
       the discriminator moves ``discriminator_steps`` times on the same rows.
    .. [4] L. Mescheder, A. Geiger, S. Nowozin. Which Training Methods for GANs do
       Actually Converge? ICML 2018.
    .. [5] T. Miyato et al. Spectral Normalization for Generative Adversarial Networks.
       ICLR 2018.
    .. [6] L. Xu et al. Modeling Tabular Data Using Conditional GAN. NeurIPS 2019. Here
       a value's mode is the likeliest one, not a draw; rare categories are not seen
       more often, and a discriminator sees one row at a time.
    .. [7] E. Jang, S. Gu, B. Poole. Categorical Reparameterization with Gumbel-Softmax.
       ICLR 2017.
    .. [8] A. Radford, L. Metz, S. Chintala. Unsupervised Representation Learning with
       Deep Convolutional Generative Adversarial Networks. ICLR 2016. Here the
       discriminator is not batch-normalised, and the condition moves its biases.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import GANSampler
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> gan = GANSampler(max_epochs=60, random_state=0).fit(X, y)
    >>> gan.sample(2, y=1, random_state=0).shape
    (2, 4)
    >>> gan.score(X, y) > 0.8
    True
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Records, Images)
    _task: ClassVar[str] = "sampling"
    _has_loss: ClassVar[bool] = False
    _takes_missing: ClassVar[bool] = True
    _predict_batch_size: ClassVar[int] = 256

    loss: LOSS = param(default="non_saturating")  # type: ignore[valid-type]
    gradient_penalty: float | Literal["auto"] = param(default="auto", at_least=0)
    smoothing: float | Literal["auto"] = param(default="auto", at_least=0)
    spectral_norm: bool = param(default=False)
    discriminator_steps: int = param(default=1, at_least=1)
    ema_decay: float | None = param(default=0.999, at_least=0, below=1)
    noise_size: int | Literal["auto"] = param(default="auto", at_least=1)
    hidden_layer_sizes: int | tuple[int, ...] = param(default=(128, 128), at_least=1)
    numbers: Literal["auto", "standard", "normal", "modes"] = param(default="auto")
    categorical_features: Literal["from_dtype"] | list[Any] | None = param(
        default="from_dtype"
    )
    width: int = param(default=32, at_least=1)
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    spatial_dims: int | None = param(default=None, at_least=1, at_most=3)
    batch_size: int | Literal["auto"] = param(  # type: ignore[assignment]
        default="auto", at_least=1
    )
    lr: float | Literal["auto"] = param(default="auto", above=0)  # type: ignore[assignment]
    lr_schedule: LR_SCHEDULE = param(  # type: ignore[valid-type,assignment]
        default="linear"
    )

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how samples are distributed.

        Parameters
        ----------
        X : array-like or CSR of shape (n_samples, n_features), or images
            Rows, at least two, or arrays of pixels, as the class names them.
        y : array-like of shape (n_samples,) or (n_samples, n_conditions), default=None
            What samples shall be asked for by: labels, or a vector of numbers for each
            (numbers with fractions are vectors of one). None: they are not.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a parameter out of bounds, for columns that are no numbers and not named
            as categories, for a single sample.
        DivergenceError
            When the training loss is no longer finite.

        Warns
        -----
        ModeCollapseWarning
            When a quarter of the clusters of X, or more, are hardly made.
        """
        self._fit(X, y)
        rows = self._encoded(self._check_input(X, reset=False))
        steps = self.n_iter_ * -(-len(rows) // self.batch_size_)
        real = self._features(thinned(rows))
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            made = self._made(len(real), None, generator).numpy()
        self.modes_found_, self.n_modes_ = modes_found(real, self._features(made))
        if steps >= _JUDGED:
            warn_of_collapse(type(self).__name__, self.modes_found_, self.n_modes_)
        return self

    @available_unless("_fits_whole")
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch; as many calls as ``max_epochs`` equal one `fit`.

        Parameters
        ----------
        X, y
            As in `fit`. The first call must have all labels, and of the columns its
            categories, modes and extremes are learned.

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y)

    # -- for the engine --------------------------------------------------------------

    def _choose_kind(self, X: Any) -> Any:
        if self.image_shape is not None:
            return Images
        return super()._choose_kind(X)

    @property
    def _is_table(self) -> bool:
        return self.input_kind_ == "table"

    @property
    def _budget(self) -> Budget:
        return Budget(epochs=20, steps=4000 if self._is_table else 3000)

    def _batch_size(self) -> int:
        auto = 64
        if self._is_table:
            auto = max(64, min(256, int(self.n_samples_seen_) // 16))
        self.batch_size_ = auto if self.batch_size == "auto" else int(self.batch_size)
        return self.batch_size_

    def _learning_rate(self) -> float:
        auto = 2e-3 if self._is_table else 1e-3
        return auto if self.lr == "auto" else float(self.lr)

    def _learn_smoothness(self, n: int) -> None:
        """How smooth the game is, by how little so many samples tell.

        Both fall with the fourth power of what Scott's rule makes kernels wide: where
        rows are dense, even a fine structure can be seen.
        """
        width = n ** (-1 / (self.n_features_in_ + 4)) if self._is_table else 0.0
        penalty = 30 * width**4
        if self.loss == "wasserstein":
            penalty = 10.0  # as in its paper
        for name, auto in (
            ("gradient_penalty", penalty),
            ("smoothing", 0.8 * width**4),
        ):
            given = getattr(self, name)
            setattr(self, f"{name}_", auto if given == "auto" else float(given))

    def _learn_statistics(self, samples: Samples) -> None:
        if self.chunks_.n == 1:
            self._learn_smoothness(len(samples))
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)
        if not self._is_table:
            return
        if self.chunks_.n == 1:
            rows = _raw(samples.x)
            self.columns_ = learn_columns(
                rows, self.reader_.n_categories(), self._style
            )
        for column, *units in zip(self.columns_, self.x_mean_, self.x_scale_):
            if column["kind"] == "standard":
                column["mean"], column["scale"] = map(float, units)

    @property
    def _style(self) -> str:
        if self.numbers != "auto":
            return self.numbers
        return "normal" if self.reader_.is_mixed() else "standard"

    def _build(self) -> nn.Module:
        auto = 16 if self._is_table else 64
        noise = auto if self.noise_size == "auto" else int(self.noise_size)
        k = self._n_conditions
        normed = bool(self.spectral_norm)
        if self._is_table:
            given = self.hidden_layer_sizes
            hidden = list(given) if isinstance(given, tuple | list) else [int(given)]
            n_numbers, choices = sizes_of(self.columns_)
            n = n_numbers + sum(choices)
            smoothing = self.smoothing_
            make: Any = RowGenerator([noise + k, *hidden, n], choices)
            judge: Any = RowDiscriminator([n + k, *hidden, 1], n, normed)
        else:
            shape = self.n_channels_, self.image_size_, self.width
            bounded = self.pixel_unit_ != "raw"
            make = ImageGenerator(noise + k, *shape, bounded)
            judge = ImageDiscriminator(k, *shape, normed)
            n_numbers, smoothing = 0, 0.0
        return Adversaries(
            make,
            judge,
            self.loss,
            self.gradient_penalty_,
            noise,
            smoothing,
            n_numbers,
            self._n_classes,
            k,
        )

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        for samples in sets:
            if samples is not None:
                device, dtype = samples.x.device, samples.x.dtype
                rows = as_tensor(self._encoded(samples.x, np.random.RandomState(0)))
                samples.x = Values(rows).to(device, dtype)

    def _phases(self, net: Net) -> list[Phase]:
        # Momentum beyond a few steps makes the players run after each other.
        module, recipe = net.module_, replace(net._recipe, betas=BETAS)
        judge, make = list(module.judge.parameters()), list(module.make.parameters())
        steps = self.discriminator_steps

        def players() -> list[Player]:
            return [
                Player(
                    "discriminator",
                    judge,
                    recipe,
                    module.discriminator_loss,
                    updates=steps,
                ),
                Player("generator", make, recipe, module.generator_loss),
            ]

        return [Phase("game", self.max_epochs_, players)]

    def _finish(self, net: Any) -> None:
        super()._finish(net)
        for name in ("discriminator", "generator"):
            losses = [row[f"train_{name}"] for row in net.history]
            setattr(self, f"{name}_loss_curve_", losses)

    # -- rows and images, as networks see them -----------------------------------------

    def _encoded(self, x: Any, random: Any = None) -> np.ndarray:
        """Samples of a container as the networks see them."""
        if self._is_table:
            return encode(self.columns_, _raw(x), random)
        pixels = x.batch(slice(None)).float().cpu().numpy()
        pixels = pixels.reshape(*pixels.shape[:2], *self.image_size_)
        if self.pixel_unit_ != "raw":
            return 2 * pixels - 1
        shape = 1, -1, *[1] * (pixels.ndim - 2)
        mean, scale = self.x_mean_.reshape(shape), self.x_scale_.reshape(shape)
        return ((pixels - mean) / scale).astype(np.float32)

    def _decoded(self, made: np.ndarray) -> Any:
        """Samples of the networks as X had them."""
        if self._is_table:
            return self.reader_.write(decode(self.columns_, made))
        layout = Layout(self.spatial_dims_, self.channel_axis_)
        if self.pixel_unit_ != "raw":
            made = (made + 1) / 2
        else:
            shape = 1, -1, *[1] * (made.ndim - 2)
            made = made * self.x_scale_.reshape(shape) + self.x_mean_.reshape(shape)
        grid = made if self.spatial_dims_ > 1 else made[:, :, None]
        samples = layout.samples(as_tensor(grid.astype(np.float32)))
        if self.pixel_unit_ == "byte":
            samples = samples.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        if self.image_shape is not None:
            samples = samples.flatten(1)
        return samples.contiguous().numpy()

    def _features(self, encoded: np.ndarray) -> np.ndarray:
        """What distances between samples are taken of."""
        return encoded if self._is_table else image_features(encoded)

    # -- verbs -----------------------------------------------------------------------

    def _made(self, n: int, condition: Any, generator: torch.Generator) -> torch.Tensor:
        """(n, ...) as the networks see samples."""
        net = self.net_
        if condition is None:
            condition = self._drawn_condition(n, generator)
        like = {"dtype": net.dtype, "device": net._device}
        z = torch.randn(n, net.module_.noise_size, generator=generator).to(**like)
        size, parts = self._predict_batch_size, []
        for at in range(0, n, size):
            y = None
            if condition is not None:
                y = torch.as_tensor(condition[at : at + size]).to(**like)
            parts.append(net.module_.make.draw(z[at : at + size], y, generator))
        return torch.cat(parts).float().cpu()

    _draw = _made

    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Any:
        """Draw new samples.

        Parameters
        ----------
        n_samples : int, default=1
        y : scalar or array-like of shape (n_samples,) or (n_samples, n_conditions), \
default=None
            The label or the vector of each, or of all; None draws them as often as
            they were seen.
        random_state : int, RandomState or None, default=None
            An int gives the same samples at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, ...) or DataFrame
            What X was in `fit`: a frame with the same names, types and categories,
            images of the same layout and unit. No number is beyond those seen.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            When n_samples is below 1, for labels that were not seen, for vectors of
            another width.
        """
        check_is_fitted(self)
        if self.condition_ == "vectors" and np.ndim(y) == 1 and len(self.y_mean_) > 1:
            y = np.tile(np.asarray(y), (int(n_samples), 1))  # one vector for all
        return self._decoded(self._sampled(n_samples, y, random_state))

    def discriminator_score(self, X: Any, y: Any = None) -> np.ndarray:
        """Return how real samples look to the discriminator, the higher the more.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_conditions), default=None
            The label or the vector of each. None: the label that suits a sample best,
            or the mean vector.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In no unit: they only compare.
        """
        check_is_fitted(self)
        net = self.net_
        rows = Values(as_tensor(self._encoded(self._check_input(X, reset=False))))
        if y is None:
            return self._collect(rows, net.module_)
        given = self._encode_condition(np.asarray(y), "discriminator_score")
        if len(given) != len(rows):
            raise ValueError(
                f"{type(self).__name__}.discriminator_score: X has {len(rows)} samples "
                f"and y {len(given)}"
            )
        pairs = Together(rows, Values(as_tensor(given)))
        return self._collect(pairs, lambda pair: net.module_(*pair))

    def score(self, X: Any, y: Any = None) -> float:
        """Return how good new samples are, the higher the better.

        With labels or numbers, after a fit with y: the accuracy (or R²) on X and y of a
        random forest that has learned of new samples alone, of 1,000 or as many as were
        in `fit`. Otherwise minus the Fréchet distance between X and as many new
        samples: of rows in columns standardised by X, of images in the features of
        convolutions of fixed random weights. See `sknets.metrics.frechet_distance`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Real samples, not those of `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_conditions), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        real = self._plain(self._check_input(X, reset=False))
        generator = torch.Generator().manual_seed(0)
        judged = y is not None and self.condition_ != "none"
        n = max(int(self.n_samples_seen_), _LEAST) if judged else len(real)
        with torch.inference_mode():
            condition: Any = self._drawn_condition(n, generator)
            made = self._made(n, condition, generator).numpy()
        made = decode(self.columns_, made) if self._is_table else made
        if not judged:
            return -self._distance(real, made)
        made, real = made.reshape(n, -1), real.reshape(len(real), -1)
        if self.condition_ == "labels":
            labels = self.classes_[condition.argmax(1).numpy()]
            return forest_score(made, labels, real, y)
        vectors = condition.numpy() * self.y_scale_ + self.y_mean_
        return forest_score(made, vectors, real, self._vectors(y, "score"))

    def _plain(self, x: Any) -> np.ndarray:
        """Rows of numbers and codes, or images as the networks see them."""
        return _raw(x) if self._is_table else self._encoded(x)

    def _distance(self, real: np.ndarray, made: np.ndarray) -> float:
        """Fréchet's, in features that do not depend on the parameters."""
        if not self._is_table:
            return frechet_distance(image_features(real), image_features(made))
        plain = learn_columns(real, self.reader_.n_categories(), "standard")
        return frechet_distance(encode(plain, real), encode(plain, made))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.sparse = True
        return tags


def _raw(x: Any) -> np.ndarray:
    """The rows of a table, in double precision."""
    return x.values.cpu().numpy().astype(np.float64, copy=False)


__all__ = ["GANSampler"]
