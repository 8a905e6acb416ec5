"""Where an image estimator looks: saliency maps, its first filters, their pictures."""

from sknets.inspection._displays import FiltersDisplay, SaliencyDisplay
from sknets.inspection._gradcam import first_layer_filters, grad_cam
from sknets.inspection._occlusion import occlusion_map

__all__ = [
    "FiltersDisplay",
    "SaliencyDisplay",
    "first_layer_filters",
    "grad_cam",
    "occlusion_map",
]
