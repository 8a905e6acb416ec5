"""Embeddings: vectors of words learned from a corpus, and of documents by them."""

from sknets.embeddings._elmo import ELMoVectorizer
from sknets.embeddings._estimators import FastTextVectorizer, Word2VecVectorizer
from sknets.embeddings._glove import GloVeVectorizer

__all__ = [
    "ELMoVectorizer",
    "FastTextVectorizer",
    "GloVeVectorizer",
    "Word2VecVectorizer",
]
