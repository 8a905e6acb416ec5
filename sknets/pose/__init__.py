"""Pose estimation: where the joints of people and animals are."""

from sknets.pose._display import PoseDisplay
from sknets.pose._estimator import PoseEstimator
from sknets.pose._lifting import PoseLifter

__all__ = ["PoseDisplay", "PoseEstimator", "PoseLifter"]
