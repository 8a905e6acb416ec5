"""Made data whose truth is known; readers and writers of annotated pictures.

Where a real data set would have to be downloaded, made ones start at once, the same by
the seed: scenes for segmentation, figures for pose estimation, cluttered digits for
detection, dates for translation, scenes with captions. Boxes in the formats of COCO,
Pascal VOC and YOLO are read from files and written to them.
"""

from sknets.datasets._annotation_writers import write_coco, write_voc, write_yolo
from sknets.datasets._annotations import read_coco, read_voc, read_yolo
from sknets.datasets._captions import make_captioned_scenes
from sknets.datasets._dates import make_dates
from sknets.datasets._digits import make_cluttered_digits
from sknets.datasets._figures import (
    FIGURE_JOINTS,
    FIGURE_PAIRS,
    FIGURE_SKELETON,
    make_figures,
)
from sknets.datasets._scenes import make_scenes

__all__ = [
    "FIGURE_JOINTS",
    "FIGURE_PAIRS",
    "FIGURE_SKELETON",
    "make_captioned_scenes",
    "make_cluttered_digits",
    "make_dates",
    "make_figures",
    "make_scenes",
    "read_coco",
    "read_voc",
    "read_yolo",
    "write_coco",
    "write_voc",
    "write_yolo",
]
