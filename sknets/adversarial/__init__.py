"""Generative adversarial networks: new samples, and images made of other images."""

from sknets.adversarial._oversampler import GANOverSampler
from sknets.adversarial._quality import ModeCollapseWarning as ModeCollapseWarning
from sknets.adversarial._sampler import GANSampler
from sknets.adversarial._translator import ImageTranslator

__all__ = ["GANOverSampler", "GANSampler", "ImageTranslator"]
