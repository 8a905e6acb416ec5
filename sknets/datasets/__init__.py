"""Made pictures whose truth is known: masks, keypoints and boxes, by the seed.

Where a real data set would have to be downloaded, these start at once: scenes for
segmentation, figures for pose estimation, cluttered digits for detection.
"""

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
    "make_cluttered_digits",
    "make_figures",
    "make_scenes",
]
