"""Semantic segmentation: fully convolutional networks and U-Net."""

from sknets.segmentation._display import SegmentationDisplay
from sknets.segmentation._fcn import FCNSegmenter
from sknets.segmentation._unet import UNetSegmenter

__all__ = ["FCNSegmenter", "SegmentationDisplay", "UNetSegmenter"]
