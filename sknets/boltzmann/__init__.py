"""Boltzmann machines: generative models whose hidden units are features."""

from sknets.boltzmann._rbm import RBMFeatures

__all__ = ["RBMFeatures"]
