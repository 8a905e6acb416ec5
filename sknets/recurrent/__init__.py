"""Recurrent networks for sequences of equal and of unequal lengths."""

from sknets.recurrent._estimators import RNNClassifier, RNNRegressor

__all__ = ["RNNClassifier", "RNNRegressor"]
