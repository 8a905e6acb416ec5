"""Restricted Boltzmann machines and what is made of them."""

from sknets.boltzmann._recommender import RBMRecommender

__all__ = ["RBMRecommender"]
