"""Generative adversarial networks: new samples, and images made of other images."""

from sknets.adversarial._quality import ModeCollapseWarning
from sknets.adversarial._sampler import GANSampler

__all__ = ["GANSampler", "ModeCollapseWarning"]
