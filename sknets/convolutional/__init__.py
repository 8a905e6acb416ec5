"""Convolutional networks for images, signals, volumes and videos."""

from sknets.convolutional._images import CNNClassifier, CNNRegressor
from sknets.convolutional._video import VideoClassifier, VideoRegressor

__all__ = ["CNNClassifier", "CNNRegressor", "VideoClassifier", "VideoRegressor"]
