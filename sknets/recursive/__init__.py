"""Recursive networks: trees are composed node by node, from the leaves to the root."""

from sknets.recursive._estimators import RecursiveClassifier, RecursiveRegressor

__all__ = ["RecursiveClassifier", "RecursiveRegressor"]
