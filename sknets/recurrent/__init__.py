"""Recurrent networks for sequences of equal and of unequal lengths, and forecasts."""

from sknets.recurrent._estimators import RNNClassifier, RNNRegressor
from sknets.recurrent._forecaster import RNNForecaster

__all__ = ["RNNClassifier", "RNNForecaster", "RNNRegressor"]
