"""Where an estimator looks: saliency maps, first filters, attention, their pictures."""

from sknets.inspection._attention import AttentionDisplay
from sknets.inspection._displays import FiltersDisplay, SaliencyDisplay
from sknets.inspection._gradcam import first_layer_filters, grad_cam
from sknets.inspection._occlusion import occlusion_map

__all__ = [
    "AttentionDisplay",
    "FiltersDisplay",
    "SaliencyDisplay",
    "first_layer_filters",
    "grad_cam",
    "occlusion_map",
]
