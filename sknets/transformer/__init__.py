"""Transformers for tables, sequences, text and images: everything is tokens."""

from sknets.transformer._estimators import TransformerClassifier, TransformerRegressor

__all__ = ["TransformerClassifier", "TransformerRegressor"]
