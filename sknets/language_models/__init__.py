"""Language models: BERT for classes and vectors of texts, GPT-2 and cells to write."""

from sknets.language_models._bert import (
    BERTClassifier,
    BERTRegressor,
    BERTVectorizer,
)
from sknets.language_models._generators import GPT2Generator, RNNGenerator

__all__ = [
    "BERTClassifier",
    "BERTRegressor",
    "BERTVectorizer",
    "GPT2Generator",
    "RNNGenerator",
]
