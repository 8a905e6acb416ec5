"""Pose estimation: where the joints of people and animals are."""

from sknets.pose._estimator import PoseEstimator

__all__ = ["PoseEstimator"]
