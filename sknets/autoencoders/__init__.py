"""Autoencoders: nets that learn without labels, by restoring what they compressed."""

from sknets.autoencoders._convolutional import ConvolutionalAutoencoderTransformer
from sknets.autoencoders._dense import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
)
from sknets.autoencoders._pretrained import PretrainedClassifier
from sknets.autoencoders._vae import VAETransformer

__all__ = [
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "ConvolutionalAutoencoderTransformer",
    "PretrainedClassifier",
    "VAETransformer",
]
