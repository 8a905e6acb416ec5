"""Where an estimator looks: saliency, first filters, attention, trees; pictures."""

from sknets.inspection._attention import AttentionDisplay
from sknets.inspection._displays import FiltersDisplay, SaliencyDisplay
from sknets.inspection._gradcam import first_layer_filters, grad_cam
from sknets.inspection._occlusion import occlusion_map
from sknets.inspection._trees import TreeDisplay

__all__ = [
    "AttentionDisplay",
    "FiltersDisplay",
    "SaliencyDisplay",
    "TreeDisplay",
    "first_layer_filters",
    "grad_cam",
    "occlusion_map",
]
