"""How good poses are: while a net is validated, and afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from sknets.metrics import (
    keypoint_average_precision,
    matched_errors,
    mean_joint_error,
    nearest_poses,
    pck,
)
from sknets.pose._decode import Decoder


class KeypointScore:
    """The score of a validation set, whose poses are read batch by batch."""

    def __init__(self, decoder: Decoder, sigmas: Any):
        self.decoder, self.sigmas = decoder, sigmas
        self.true: list[Any] = []
        self.found: list[Any] = []
        self.weight: list[float] = []

    def update(self, output: Tensor, y: Tensor, weight: Tensor | None) -> None:
        self.found += self.decoder(output)
        self.true += [{"keypoints": each} for each in y.double().cpu().numpy()]
        self.weight += [1.0] * len(y) if weight is None else weight.tolist()

    def compute(self) -> float:
        both = self.true, self.found
        if self.decoder.several:
            return keypoint_average_precision(
                *both, sigmas=self.sigmas, sample_weight=self.weight
            )
        return pck(*both, sample_weight=self.weight)


def figures_of(
    true: Any, found: Any, joints: list[str], sigmas: Any, weight: Any
) -> dict[str, Any]:
    """See `sknets.PoseEstimator.evaluate`."""
    errors, _, _ = matched_errors(true, found)
    by_joint = {
        name: dict(zip(("median", "error_90"), _percentiles(errors[:, j : j + 1])))
        for j, name in enumerate(joints)
    }
    median, most = _percentiles(errors)
    figures = {
        "pck": pck(true, found, sample_weight=weight),
        "average_precision": keypoint_average_precision(
            true, found, sigmas=sigmas, sample_weight=weight
        ),
        "median_error": median,
        "error_90": most,
        "by_joint": by_joint,
    }
    if any(each["keypoints"].shape[2] == 4 for each in true):
        pairs = nearest_poses(true, found)
        places = [np.where(p[:, -1:] > 0, p[:, :3], np.nan) for p, _ in pairs]
        if places:
            figures["mean_joint_error"] = mean_joint_error(
                places, [pose[:, :3] for _, pose in pairs]
            )
    return figures


def _percentiles(errors: np.ndarray) -> tuple[float, float]:
    """The median and the 90th percentile, NaN of nothing."""
    known = errors[~np.isnan(errors)]
    if not len(known):
        return float("nan"), float("nan")
    found = np.quantile(known, [0.5, 0.9], method="inverted_cdf")
    return float(found[0]), float(found[1])


__all__ = ["KeypointScore", "figures_of"]
