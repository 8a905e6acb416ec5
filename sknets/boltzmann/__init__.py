"""Boltzmann machines: generative models whose hidden units are features."""

from sknets.boltzmann._dbn import DBNClassifier, DBNFeatures
from sknets.boltzmann._rbm import RBMFeatures
from sknets.boltzmann._recommender import RBMRecommender

__all__ = ["DBNClassifier", "DBNFeatures", "RBMFeatures", "RBMRecommender"]
