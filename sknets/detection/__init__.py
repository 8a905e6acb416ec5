"""Object detection: what is where in images."""

from sknets.detection._display import DetectionDisplay
from sknets.detection._fast import FastRCNNDetector
from sknets.detection._faster import FasterRCNNDetector
from sknets.detection._localizer import ObjectLocalizer
from sknets.detection._rcnn import RCNNDetector
from sknets.detection._ssd import SSDDetector
from sknets.detection._yolo import YOLODetector

__all__ = [
    "DetectionDisplay",
    "FastRCNNDetector",
    "FasterRCNNDetector",
    "ObjectLocalizer",
    "RCNNDetector",
    "SSDDetector",
    "YOLODetector",
]
