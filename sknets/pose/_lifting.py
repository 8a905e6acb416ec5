"""From poses in the plane to poses in space."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.metrics import r2_score
from torch import Tensor, nn

from sknets._inputs import Table
from sknets._inputs.reader import Learned
from sknets._layers import BatchNorm1d, Dropout, Missing, Standardize
from sknets._params import param
from sknets._tasks import Regressor


class ResidualBlock(nn.Module):
    """``x + f(g(x))``, f and g dense, normalised and rectified."""

    def __init__(self, width: int, normalization: str | None, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            *dense(width, width, normalization, dropout),
            *dense(width, width, normalization, dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def dense(
    n_in: int, n_out: int, normalization: str | None, dropout: float
) -> list[nn.Module]:
    layer = nn.Linear(n_in, n_out)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    norms = {"batch": BatchNorm1d, "layer": nn.LayerNorm}
    norm = [] if normalization is None else [norms[normalization](n_out)]
    return [layer, *norm, nn.ReLU(), *([Dropout(dropout)] if dropout else [])]


class LiftingNet(nn.Module):
    """Dense to the width, residual blocks, dense to the outputs."""

    def __init__(self, prepare: list[nn.Module], *layers: nn.Module, head: nn.Module):
        super().__init__()
        self.prepare, self.layers = nn.Sequential(*prepare), nn.Sequential(*layers)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:  # (B, F) -> (B, K)
        return self.head(self.layers(self.prepare(x)))


class PoseLifter(Regressor):
    """Lifts poses of two dimensions to three: a residual network [1]_.

    X has the x and y of each joint of a pose, columns of any order; y its places in
    space. Put the origin of both at one joint, midway between the hips for example, as
    the paper does: where a person stands says nothing about the pose.

    Parameters
    ----------
    width : int, default=256
        Units of each layer.
    n_blocks : int, default=2
        Residual blocks of two layers each.
    normalization : {"batch", "layer"}, default="layer"
        Before each activation. With "batch", the paper's, a sample of weight 2 is no
        longer the same as two samples.
    dropout : float, default=0.0
        The share of units switched off after each layer, 0.5 in the paper.
    lr_schedule : str, default="one_cycle"
        How the learning rate changes while training.

    Attributes
    ----------
    x_mean_, x_scale_ : ndarray of shape (n_features_in_,)
        What X was centred and scaled by.
    pose_shape_ : tuple of int or None
        The shape of a pose in y, where that had three axes.
    missing_columns_ : ndarray of int
        Columns of X in which there was NaN, joints that are not seen: there it becomes
        the mean, and the network has an input more that says so.

    Notes
    -----
    y may be ``(n_samples, 3 * joints)`` or ``(n_samples, joints, 3)``; predictions have
    its shape. ``loss``, ``quantile`` and all training parameters are as in
    `sknets.FeedforwardRegressor`.

    References
    ----------
    .. [1] J. Martinez, R. Hossain, J. Romero, J. J. Little. A Simple Yet Effective
       Baseline for 3D Human Pose Estimation. ICCV 2017. Here a quarter as wide, for
       thousands of poses instead of millions, with layer normalisation and without
       dropout by default, and without a bound on the norms of weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sknets import PoseLifter
    >>> from sknets.datasets import make_figures
    >>> _, records = make_figures(120, size=32, three_d=True, random_state=0)
    >>> poses = np.stack([record["keypoints"][0, :, :3] for record in records])
    >>> poses -= np.nanmean(poses[:, [7, 8]], axis=1, keepdims=True)
    >>> poses = poses[~np.isnan(poses).any((1, 2))]
    >>> X = poses[:, :, :2].reshape(len(poses), -1)
    >>> net = PoseLifter(max_epochs=5, random_state=0).fit(X[:80], poses[:80])
    >>> net.predict(X[80:]).shape[1:]
    (13, 3)
    """

    _inputs: ClassVar[tuple[Any, ...]] = (Table,)
    # Not one of those that `compare` tries on any table.
    _task: ClassVar[str] = "pose lifting"
    _takes_missing: ClassVar[bool] = True

    missing_columns_ = Learned()

    width: int = param(default=256, at_least=1)
    n_blocks: int = param(default=2, at_least=0)
    normalization: Literal["batch", "layer"] | None = param(default="layer")
    dropout: float = param(default=0.0, at_least=0, below=1)
    lr_schedule: Literal["step", "cosine", "one_cycle", "plateau"] | None = param(
        default="one_cycle"
    )

    def _encode_target(self, y, n_samples, weight, *, reset, classes=None):
        rows = np.asarray(y)
        shape = rows.shape[1:]
        in_space = len(shape) == 2
        if in_space:
            y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if reset:
            self.pose_shape_ = tuple(shape) if in_space else None
        return super()._encode_target(y, n_samples, weight, reset=reset)

    def _unscaled(self, values: np.ndarray) -> np.ndarray:
        values = super()._unscaled(values)
        if self.pose_shape_ is None:
            return values
        return values.reshape(len(values), *self.pose_shape_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², the mean over the outputs, see `sklearn.metrics.r2_score`."""
        if self.__sklearn_is_fitted__() and self.pose_shape_ is not None:
            found = self.predict(X).reshape(len(y), -1)
            return float(
                r2_score(np.reshape(y, found.shape), found, sample_weight=sample_weight)
            )
        return super().score(X, y, sample_weight)

    def _learn_statistics(self, samples):
        self.x_mean_, self.x_scale_ = self._mean_and_scale(samples)

    def _restate(self, module: Any) -> None:
        super()._restate(module)
        if len(self.missing_columns_):
            module.prepare[0].learn(self.x_mean_)

    def _build(self) -> nn.Module:
        columns = self.missing_columns_
        prepare: list[nn.Module] = []
        if len(columns):
            prepare.append(Missing(self.x_mean_, columns))
        told = np.zeros(len(columns))
        mean, scale = np.r_[self.x_mean_, told], np.r_[self.x_scale_, told + 1]
        prepare.append(Standardize(mean, scale))
        n, width = self.n_features_in_ + len(columns), self.width
        options = self.normalization, self.dropout
        layers = [*dense(n, width, *options)]
        layers += [ResidualBlock(width, *options) for _ in range(self.n_blocks)]
        head = nn.Linear(width, self._n_outputs)
        nn.init.normal_(head.weight, std=1e-3)  # the mean of y, nearly, to begin with
        return LiftingNet(prepare, *layers, head=head)


__all__ = ["PoseLifter"]
