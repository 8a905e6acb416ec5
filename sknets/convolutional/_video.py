"""Networks that read videos: convolutions within frames and over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from torch import Tensor, nn

from sknets._augment import Augment, augmentations, check_augment
from sknets._backbones import (
    Backbone,
    check_backbone,
    check_images,
    imagenet_statistics,
    load_weights,
)
from sknets._engine.collect import steps
from sknets._engine.containers import Ragged
from sknets._engine.data import Samples
from sknets._engine.device import as_tensor
from sknets._engine.optim import Budget
from sknets._estimator import Estimator
from sknets._inputs import Videos
from sknets._inputs.reader import Learned
from sknets._inputs.videos import Clips
from sknets._layers import ACTIVATIONS, Dropout, standardize_channels
from sknets._params import param
from sknets._tasks import Classifier, Regressor
from sknets.convolutional._images import ConvNet, as_tuple

CELLS: dict[str, Any] = {"cnn_lstm": nn.LSTM, "cnn_gru": nn.GRU}


class ClipConvolution(nn.Module):
    """A 3-D convolution of clips whose frames lie in a row, in place of a 2-D one.

    The ends of each clip are padded with zeros, whatever the length of the others.
    """

    def __init__(self, flat: nn.Conv2d):
        super().__init__()
        side, padding = flat.kernel_size[0], flat.padding[0]
        self.convolution = nn.Conv3d(
            flat.in_channels,
            flat.out_channels,
            side,
            padding=padding,  # type: ignore[arg-type]
            bias=flat.bias is not None,
        ).to(memory_format=torch.channels_last_3d)

    def forward(self, x: Tensor, clips: Ragged) -> Tensor:
        # Channels last, so that neither way copies where lengths are equal.
        table = clips.padded(x.permute(0, 2, 3, 1)).permute(0, 4, 1, 2, 3)
        output = self.convolution(table)
        # A kernel of even side gives one step too many.
        output = output[:, :, : table.shape[2]].permute(0, 2, 3, 4, 1)
        return clips.real(output).permute(0, 3, 1, 2)


class ClipAugment(Augment):
    """`Augment` that changes all frames of a clip in the same way."""

    lengths: Tensor

    def forward(self, x: Ragged, y: Any) -> Any:  # type: ignore[override]
        self.lengths = x.counts
        frames, y = super().forward(x.join(), y)
        return x.like(frames), y

    def _uniform(self, x: Tensor, *shape: int) -> Tensor:
        drawn = super()._uniform(self.lengths, *shape)
        return drawn.repeat_interleave(self.lengths, 0)

    def _each(self, function: Any, x: Tensor) -> Tensor:
        clips = x.split(self.lengths.tolist())
        return torch.cat(
            [super(ClipAugment, self)._each(function, c[None])[0] for c in clips]
        )


class VideoNet(nn.Module):
    """A network of frames, or of their neighbourhoods, then memory, then the output.

    Parameters
    ----------
    frames : ConvNet or Backbone
        Its last layer is left out.
    cell : class or None
        What reads the features of the frames one after the other. None: they are
        averaged over time, and the convolutions become 3-D ones.
    """

    def __init__(
        self,
        frames: Any,
        cell: Any,
        hidden_size: int,
        n_outputs: int,
        dropout: float,
    ):
        super().__init__()
        frames.head = nn.Identity()
        self.n_features = frames.n_features if cell is None else hidden_size
        self.frames = frames
        self.memory = None if cell is None else cell(frames.n_features, hidden_size)
        if cell is None:
            for i, layer in enumerate(frames.convolutions):
                if isinstance(layer, nn.Conv2d):
                    frames.convolutions[i] = ClipConvolution(layer)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(self.n_features, n_outputs)

    def of_frames(self, x: Ragged) -> Tensor:
        """The features of each frame: (N, C, H, W) -> (N, F)."""
        values = x.join()
        if values.ndim == 2:  # of a frozen backbone they come instead of the frames
            return values
        if self.memory is not None:
            return self.frames.features(values)
        values = values.contiguous(memory_format=torch.channels_last)
        values = self.frames.prepare(values)
        for layer in self.frames.convolutions:
            over_time = isinstance(layer, ClipConvolution)
            values = layer(values, x) if over_time else layer(values)
        return self.frames.dense(values)

    def features(self, x: Ragged) -> Tensor:  # clips -> (B, n_features)
        table = x.padded(self.of_frames(x))
        if self.memory is None:
            return x.mean(table)
        return x.last(self.memory(table.transpose(0, 1))[0].transpose(0, 1))

    def forward(self, x: Ragged) -> Tensor:  # clips -> (B, K)
        return self.head(self.dropout(self.features(x)))


class _Video(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """The networks of clips, whatever the task."""

    _inputs: ClassVar[tuple[Any, ...]] = (Videos,)
    image_size_ = Learned()
    n_channels_ = Learned()
    channel_axis_ = Learned()
    pixel_unit_ = Learned()
    # Larger batches of frames leave the cache.
    _predict_batch_size: ClassVar[int] = 16

    architecture: Literal["cnn_lstm", "cnn_gru", "conv3d"] = param(default="cnn_lstm")
    channels: int | tuple[int, ...] = param(default=(16, 32, 64), at_least=1)
    kernel_size: int = param(default=3, at_least=1)
    pooling: Literal["max", "average"] | None = param(default="max")
    batch_norm: bool = param(default=True)
    activation: Literal[*ACTIVATIONS] = param(default="relu")  # type: ignore[valid-type]
    hidden_layer_sizes: int | tuple[int, ...] = param(default=(128,), at_least=1)
    hidden_size: int = param(default=64, at_least=1)
    dropout: float = param(default=0.0, at_least=0, below=1)
    backbone: str | None = param(default=None)
    weights: str | Path | None = param(default=None)
    freeze_backbone: bool = param(default=False)
    augment: str | Callable | list | None = param(default=None)
    resize: int | tuple[int, ...] | None = param(default=None, at_least=1)
    channel_order: Literal["auto", "first", "last"] = param(default="auto")
    _budget = Budget(epochs=20, steps=100)
    lr: float = param(default=1e-2, above=0)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )
    gradient_clip: float | None = param(default=1.0, above=0)

    def _check_params(self) -> None:
        super()._check_params()
        check_augment(self)
        check_backbone(self)
        if self.backbone is not None and self.architecture == "conv3d":
            raise ValueError(
                self._refusal(
                    "backbone",
                    "named networks see one frame at a time: take "
                    "architecture='cnn_lstm' or 'cnn_gru'",
                )
            )

    def _check_input(self, X: Any, *, reset: bool, seen: Any = None) -> Any:
        clips = super()._check_input(X, reset=reset, seen=seen)
        if reset and self.backbone is not None:
            check_images(self, self.n_channels_, self.image_size_)
        return clips

    def _learn_statistics(self, samples: Samples) -> None:
        if self.weights is not None and self.pixel_unit_ != "raw":
            self.x_mean_, self.x_scale_ = imagenet_statistics(self.n_channels_)
            return
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _build(self) -> nn.Module:
        prepare: list[nn.Module] = [
            standardize_channels(self.x_mean_, self.x_scale_, self.image_size_)
        ]
        frames: nn.Module
        if self.backbone is not None:
            frames = Backbone(
                self.backbone, self.n_channels_, 1, prepare, self.freeze_backbone
            )
        else:
            frames = ConvNet(
                self.n_channels_,
                self.image_size_,
                1,
                as_tuple(self.channels),
                self.kernel_size,
                self.pooling,
                self.batch_norm,
                self.activation,
                as_tuple(self.hidden_layer_sizes),
                self.dropout,
                prepare,
            )
        return VideoNet(
            frames,
            CELLS.get(self.architecture),
            self.hidden_size,
            self._n_outputs,
            self.dropout,
        )

    def _augmentation(self) -> Any:
        kinds = augmentations(self.augment)
        return ClipAugment(kinds) if kinds else None

    def _load_pretrained(self, module: Any) -> None:
        if self.weights is not None:
            load_weights(self, module.frames)

    def _prepare(self, net: Any, *sets: Samples | None) -> None:
        """Let a frozen backbone see each frame once, not once an epoch."""
        clips = sets[0].x if sets[0] is not None else None
        if clips is None or not self.freeze_backbone or augmentations(self.augment):
            return
        run = net.module_.frames.features
        found = steps(
            net.batches(clips, lambda x: x.like(run(x.join()))), len(clips), listed=True
        )
        seen = Clips([as_tensor(each) for each in found], clips.layout)
        for samples in sets:
            if samples is not None:
                samples.x = seen.to(clips.device, clips.dtype)

    def transform(self, X: Any) -> np.ndarray:
        """Return the penultimate features: what the last layer decides by.

        Parameters
        ----------
        X : array-like of shape (n_samples, frames, height, width[, channels]) or list

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            The state after the last frame; of "conv3d" the mean over the frames.
        """
        return self._outputs(X, features=True)

    @property
    def _n_features_out(self) -> int:
        return self.net_.module_.n_features

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class VideoClassifier(_Video, Classifier):
    """Network that tells classes of videos, clips of equal or of unequal length.

    Parameters
    ----------
    architecture : {"cnn_lstm", "cnn_gru", "conv3d"}, default="cnn_lstm"
        "cnn_lstm": a convolutional network of each frame, and long short-term memory
        that reads its features frame by frame [1]_; "cnn_gru": gated recurrent units
        instead. "conv3d": convolutions over space and time at once [2]_, whose features
        are averaged over the frames: for what is to be seen within a few frames.
    channels : int or tuple of int, default=(16, 32, 64)
        Filters of each convolution. One after the other: convolution, pooling of each
        frame, normalisation, activation.
    kernel_size : int, default=3
        Side of the filters, of "conv3d" also over time; borders, and the ends of each
        clip, are padded with zeros.
    pooling : {"max", "average"} or None, default="max"
        How each frame is halved after a convolution; sides below 4 are left as they
        are. Never over time.
    batch_norm : bool, default=True
        Batch normalisation, over the frames of all clips of a batch.
    activation : str, default="relu"
        "relu", "tanh", "sigmoid", "identity", "leaky_relu", "elu", "gelu" or "silu".
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of the dense layers of each frame, after the convolutions.
    hidden_size : int, default=64
        Numbers in the state that reads the frames; not of "conv3d".
    dropout : float, default=0.0
        The share of units switched off in training before each dense layer of a frame,
        and before the output.
    backbone : str, default=None
        A convolutional classifier of torchvision by name, such as "resnet18", for each
        frame, instead of the stack above; not of "conv3d". Frames need 32 pixels a side
        or more (see ``resize``).
    weights : str, path or None, default=None
        Pretrained weights of the backbone: "DEFAULT" downloads torchvision's best; a
        path names a file of them (``torch.save`` of a state dict, or safetensors).
        None: random ones.
    freeze_backbone : bool, default=False
        Train what follows the backbone only. Without ``augment`` the backbone then sees
        each frame once, not once an epoch.
    augment : str, callable, list or None, default=None
        Random changes of the clips in training but for its last quarter, the same for
        all frames of a clip: "flip" (left to right), "shift" (by up to a tenth of a
        side), "crop" (a window of four fifths of each side or more, stretched), a
        function of one clip's tensor (frames, channels, height, width) such as
        torchvision's v2 transforms, or a list of these.
    resize : int or tuple of int, default=None
        Bring the frames of all clips to this size. None: as they are.
    channel_order : {"auto", "first", "last"}, default="auto"
        Which axis of a frame holds the channels. "auto": the last if it is at most 4
        long, else the first if that is.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class; "balanced" makes all classes weigh the same in sum.
    max_epochs : int or "auto", default="auto"
        How often training goes through the data. "auto" are 20 epochs, or as many as
        make 100 steps.
    lr : float, default=0.01
        The highest learning rate of the schedule.
    lr_schedule : {"step", "cosine", "one_cycle", "plateau"}, default="one_cycle"
        See `sknets._estimator.Estimator`.
    gradient_clip : float, default=1.0
        Largest norm of a step's gradient; through many frames it may explode.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,) or list of them
        The labels; for multilabel y the numbers of its columns; for columns of classes
        a list of those of each.
    multilabel_ : bool
        Whether y was an indicator matrix of several labels.
    image_size_ : tuple of int
        Height and width of the frames that the network sees.
    n_channels_ : int
    channel_axis_ : int or None
        0 or -1 of a frame's axes, None for grey frames without such an axis.
    pixel_unit_ : {"byte", "unit", "raw"}
        What X was: uint8 (divided by 255), floats within [0, 1], or other numbers.
    x_mean_, x_scale_ : ndarray of shape (n_channels_,)
        What each channel is centred and scaled by: its own (weighted) mean and standard
        deviation over all frames, or those of ImageNet for pretrained weights.

    Notes
    -----
    X is one of: an array ``(n_samples, frames, height, width, channels)`` or
    ``(n_samples, frames, channels, height, width)``; grey clips ``(n_samples, frames,
    height, width)``; a list of clips ``(frames, height, width[, channels])`` of unequal
    length, with frames of one size. So a sample of three axes is always a grey clip;
    one whose last axis is at most 4 long is refused as an image with channels. uint8 or
    float, computed in float32; uint8 stays uint8 until a batch is made of it.

    Clips of unequal length are trained in batches of like lengths. Within a frame
    nothing is computed of padding, and over time padding, the order of samples and the
    size of batches never change a prediction. Clips to predict may have any length.

    Training is the same for all estimators: for ``optimizer``, ``early_stopping``,
    ``warm_start``, ``precision``, ``device``, ``random_state``, ``verbose``,
    ``callbacks`` and the rest, and for ``net_``, ``loss_curve_`` and the other
    attributes of training, see `sknets._estimator.Estimator`.

    References
    ----------
    .. [1] J. Donahue et al. Long-term Recurrent Convolutional Networks for Visual
       Recognition and Description. CVPR 2015. Here the output is that of the last
       frame, not an average over all.
    .. [2] D. Tran et al. Learning Spatiotemporal Features with 3D Convolutional
       Networks. ICCV 2015. Here pooled within frames only and averaged over time, so
       that clips may have any length.

    Examples
    --------
    A square goes left or right; of a single frame nobody can tell.

    >>> import numpy as np
    >>> from sknets import VideoClassifier
    >>> random = np.random.default_rng(0)
    >>> step = random.choice([-1, 1], 200)  # pixels a frame
    >>> X = np.zeros((200, 6, 12, 12), dtype="uint8")  # 200 clips of 6 frames
    >>> for clip, move, row, column in zip(X, step, *random.integers(9, size=(2, 200))):
    ...     for t, frame in enumerate(clip):
    ...         frame[row : row + 3, (column + t * move + np.arange(3)) % 12] = 255
    >>> y = np.where(step > 0, "right", "left")
    >>> net = VideoClassifier(max_epochs=4, random_state=0).fit(X[:150], y[:150])
    >>> bool(net.score(X[150:], y[150:]) > 0.9)
    True

    Clips of unequal length are a list:

    >>> net.predict([X[0], X[1][:4]]).shape
    (2,)
    >>> net.transform(X).shape
    (200, 64)
    """


class VideoRegressor(_Video, Regressor):
    """Network that predicts numbers from videos, clips of equal or of unequal length.

    ``loss`` and ``quantile`` are as in `sknets.FeedforwardRegressor`.

    X, the network, its training and all parameters and attributes but those below are
    as in `sknets.VideoClassifier`; without classes there is no ``class_weight``.

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        What y was centred and scaled by in training; undone in `predict`.
    y_ndim_ : int
        1 or 2, the dimensions of y and so of what `predict` returns.

    Examples
    --------
    How fast is the square? Of a single frame nobody can tell.

    >>> import numpy as np
    >>> from sknets import VideoRegressor
    >>> random = np.random.default_rng(0)
    >>> speed = random.uniform(-2, 2, 200)  # pixels a frame, to the left or right
    >>> X = np.zeros((200, 6, 12, 12), dtype="uint8")  # 200 clips of 6 frames
    >>> for clip, v, row, column in zip(X, speed, *random.integers(9, size=(2, 200))):
    ...     for t, frame in enumerate(clip):
    ...         left = column + round(t * v)
    ...         frame[row : row + 3, (left + np.arange(3)) % 12] = 255
    >>> net = VideoRegressor(max_epochs=10, random_state=0).fit(X[:150], speed[:150])
    >>> bool(net.score(X[150:], speed[150:]) > 0.9)
    True
    """
