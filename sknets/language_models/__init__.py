"""Language models: BERT for classes, numbers and vectors of texts."""

from sknets.language_models._bert import (
    BERTClassifier,
    BERTRegressor,
    BERTVectorizer,
)

__all__ = ["BERTClassifier", "BERTRegressor", "BERTVectorizer"]
