"""Boltzmann machines: generative models whose hidden units are features."""

from sknets.boltzmann._dbn import DBNClassifier, DBNFeatures
from sknets.boltzmann._rbm import RBMFeatures

__all__ = ["DBNClassifier", "DBNFeatures", "RBMFeatures"]
