"""The autoencoder of images, signals and volumes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._inputs import Images, ReadsImages
from sknets._inputs.layout import Layout
from sknets._layers import (
    ACTIVATIONS,
    BatchNorm2d,
    BatchNorm3d,
    Standardize,
    standardize_channels,
)
from sknets._params import param
from sknets._unsupervised import Encoder
from sknets.autoencoders._dense import _ACTIVATION, Codes
from sknets.autoencoders._nets import Corrupt


class ConvolutionalAutoencoder(nn.Module):
    """Convolutions that halve the sides, a dense code, and the same back."""

    def __init__(
        self,
        n_channels: int,
        size: tuple[int, ...],
        n_components: int,
        channels: tuple[int, ...],
        kernel_size: int,
        batch_norm: bool,
        activation: str,
        standardize: Standardize,
        corrupt: Corrupt | None,
    ):
        super().__init__()
        flat, volume = len(size) == 1, len(size) == 3
        size = (1, *size) if flat else size  # a signal is an image of height 1
        Convolution: Any = nn.Conv3d if volume else nn.Conv2d
        Norm: Any = BatchNorm3d if volume else BatchNorm2d
        kernel = [1 if flat and i == 0 else kernel_size for i in range(len(size))]
        padding = [k // 2 for k in kernel]

        def convolution(n_in: int, n_out: int, stride: Any = 1) -> nn.Module:
            return Convolution(n_in, n_out, kernel, stride=stride, padding=padding)

        def finish(width: int) -> list[nn.Module]:
            norm = [Norm(width)] if batch_norm else []
            return [*norm, ACTIVATIONS[activation]()]

        encoder: list[nn.Module] = []
        sizes, width = [size], n_channels
        for n in channels:
            # A side below 4 is left as it is, so that any size of image goes through.
            stride = [2 if side >= 4 else 1 for side in sizes[-1]]
            encoder += [convolution(width, n, stride), *finish(n)]
            sizes.append(
                tuple(
                    (side + 2 * p - k) // step + 1
                    for side, p, k, step in zip(sizes[-1], padding, kernel, stride)
                )
            )
            width = n
        n_dense = width * math.prod(sizes[-1])
        encoder += [nn.Flatten(), nn.Linear(n_dense, n_components)]
        decoder: list[nn.Module] = [
            nn.Linear(n_components, n_dense),
            nn.Unflatten(1, (width, *sizes[-1])),
            ACTIVATIONS[activation](),
        ]
        for n, shape in zip((*channels[-2::-1], n_channels), sizes[-2::-1]):
            # Enlarged, then convolved: a transposed convolution leaves checkerboards.
            last = n == n_channels and shape == sizes[0]
            decoder += [nn.Upsample(shape), convolution(width, n)]
            decoder += [] if last else finish(n)
            width = n
        self.standardize = standardize
        self.prepare = nn.Sequential(standardize, *([corrupt] if corrupt else []))
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        self.memory_format = torch.channels_last_3d if volume else torch.channels_last
        self.to(memory_format=self.memory_format)

    def features(self, x: Tensor) -> Tensor:  # (B, C, *size) -> (B, n_components)
        x = x.contiguous(memory_format=self.memory_format)
        return self.encoder(self.prepare(x))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, *size), the last standardised
        return self.decoder(self.features(x))

    def loss(self, x: Tensor, y: Any = None) -> Tensor:  # -> (B,)
        error = self(x) - self.standardize(x)
        return error.square().flatten(1).mean(1)

    def decode(self, code: Tensor) -> Tensor:  # (B, n_components) -> (B, C, *size)
        return self.standardize.inverse(self.decoder(code))


class ConvolutionalAutoencoderTransformer(ReadsImages, Codes, Encoder):
    """Autoencoder of images, signals or volumes, by convolutions [1]_.

    Parameters
    ----------
    n_components : int, default=None
        Numbers in the code. None: 16, or half of the numbers in a sample if these are
        fewer than 32.
    channels : int or tuple of int, default=(32, 64)
        Filters of each convolution of the encoder, which halves the sides (those below
        4 are left as they are); the decoder mirrors them.
    kernel_size : int, default=3
        Side of the filters, an odd number; borders are padded with zeros.
    batch_norm : bool or "auto", default="auto"
        Batch normalisation. "auto": for all but plain rows.
    activation : str, default="relu"
        "relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu" or "silu".
    noise : {"gaussian", "masking"}, default=None
        Noise on the input in training, while the clean input is to be restored [2]_.
    noise_level : float, default=0.3
        Standard deviation of the noise, in units of the channels' own; or the share of
        pixels that are masked.
    image_shape : tuple of int, default=None
        What X of flat rows holds: (height, width), or with channels; None: rows are
        signals of one channel.
    resize : int or tuple of int, default=None
        Bring all samples to this size. None: as they are; a list of unequal images is
        brought to its median size.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of a sample holds the channels; see `CNNClassifier`.
    spatial_dims : int, default=None
        1 for signals, 2 for images, 3 for volumes. None tells by the axes of X.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 20 epochs, or as many as
        make 250 steps.
    lr : float, default=0.005
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        A few epochs are enough with "one_cycle"; see `sknets._estimator.Estimator`.

    Attributes
    ----------
    n_components_ : int
        Numbers in the code.
    sample_shape_ : tuple or None
        Shape of a sample as given; None where samples may differ in size.
    image_size_ : tuple of int
        Extent of what the network sees, without channels.
    n_channels_ : int
    spatial_dims_ : int
        1, 2 or 3.
    channel_axis_ : int or None
        0 or -1 of a sample's axes, None if it has none for channels.
    pixel_unit_ : {"byte", "unit", "raw"}
        uint8, floats within [0, 1], or any other numbers.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What channels are centred and scaled by.
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
    The further parameters (``batch_size``, ``optimizer``, ``early_stopping``,
    ``device``, ``random_state``, ``checkpoint``, ...) are those of all estimators, see
    `sknets._estimator.Estimator`.

    Departures from the paper: strides in place of pooling, one dense code, and all
    layers trained at once.

    References
    ----------
    .. [1] J. Masci, U. Meier, D. Ciresan, J. Schmidhuber. Stacked Convolutional
       Auto-Encoders for Hierarchical Feature Extraction. ICANN 2011.
    .. [2] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol. Extracting and
       Composing Robust Features with Denoising Autoencoders. ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import ConvolutionalAutoencoderTransformer
    >>> images = load_digits().images.astype("uint8")
    >>> coder = ConvolutionalAutoencoderTransformer(max_epochs=2, random_state=0)
    >>> coder.fit_transform(images).shape
    (1797, 16)
    >>> coder.reconstruct(images[:5]).shape
    (5, 8, 8)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Images,)
    # Larger batches leave the cache: half as fast.
    _predict_batch_size: ClassVar[int] = 128

    channels: int | tuple[int, ...] = param(default=(32, 64), at_least=1)
    kernel_size: int = param(default=3, at_least=1)
    batch_norm: bool | Literal["auto"] = param(default="auto")
    activation: _ACTIVATION = param(default="relu")  # type: ignore[valid-type]
    noise: Literal["gaussian", "masking"] | None = param(default=None)
    noise_level: float = param(default=0.3, at_least=0)
    image_shape: tuple[int, ...] | None = param(default=None, at_least=1)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    spatial_dims: int | None = param(default=None, at_least=1, at_most=3)
    _budget = Budget(epochs=20, steps=250)
    lr: float = param(default=5e-3, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )

    def _check_params(self) -> None:
        super()._check_params()
        if self.kernel_size % 2 == 0:
            raise ValueError(
                self._refusal("kernel_size", "kernel_size must be an odd number")
            )
        if self.noise == "masking" and self.noise_level >= 1:
            sentence = 'noise_level is a share below 1 with noise="masking"'
            raise ValueError(self._refusal("noise_level", sentence))

    def _is_regularized(self) -> bool:
        return self.noise is not None

    def _learn_statistics(self, samples: Samples) -> None:
        self._choose_components(self.n_channels_ * math.prod(self.image_size_))
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _standardizer(self) -> Standardize:
        return standardize_channels(self.x_mean_, self.x_scale_, self.image_size_)

    def _build(self) -> nn.Module:
        norm = self.batch_norm
        if norm == "auto":
            norm = self.spatial_dims_ > 1 or self.channel_axis_ is not None
        channels = self.channels
        return ConvolutionalAutoencoder(
            self.n_channels_,
            self.image_size_,
            self.n_components_,
            tuple(channels) if isinstance(channels, tuple | list) else (int(channels),),
            self.kernel_size,
            bool(norm),
            self.activation,
            self._standardizer(),
            Corrupt(self.noise, self.noise_level) if self.noise else None,
        )

    def _samples(self, grid: np.ndarray) -> np.ndarray:
        """What the network restored, laid out and in the units of X."""
        layout = Layout(self.spatial_dims_, self.channel_axis_)
        samples = layout.samples(as_tensor(grid))
        if self.pixel_unit_ == "byte":
            samples = samples.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        if self.image_shape is not None:
            samples = samples.flatten(1)
        return samples.contiguous().numpy()

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...) or list of arrays

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
        X : ndarray of shape (n_samples, ...)
            Laid out as the X that was learned and in its units, uint8 if it was uint8;
            samples that were resized in `fit` have the size of the network.
        """
        codes = self._read_codes(Z, "inverse_transform")
        return self._samples(self._collect(codes, self.net_.module_.decode))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return what is left of samples after compression.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...) or list of arrays

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            As from `inverse_transform`.
        """
        check_is_fitted(self)
        module = self.net_.module_
        grid = self._outputs(X, module.decode, features=True)
        return self._samples(grid)

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean squared error of the reconstruction, a number a pixel.

        In the units of X, bytes taken as numbers from 0 to 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...) or list of arrays
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        module = self.net_.module_

        def error(x: Tensor) -> Tensor:
            restored = module.decode(module.features(x))
            return (restored - x).square().flatten(1).mean(1)

        pixels = self._check_input(X, reset=False)
        return -float(self._collect(pixels, error).mean(dtype=np.float64))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
