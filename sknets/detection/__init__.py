"""Object detection: what is where in images."""

from sknets.detection._display import DetectionDisplay
from sknets.detection._localizer import ObjectLocalizer
from sknets.detection._ssd import SSDDetector
from sknets.detection._yolo import YOLODetector

__all__ = ["DetectionDisplay", "ObjectLocalizer", "SSDDetector", "YOLODetector"]
from sknets.detection._faster import FasterRCNNDetector
from sknets.detection._yolo import YOLODetector

__all__ = ["DetectionDisplay", "FasterRCNNDetector", "YOLODetector"]
