"""Where image estimators look, their first filters, trees node by node: pictures."""

from sknets.inspection._displays import FiltersDisplay, SaliencyDisplay
from sknets.inspection._gradcam import first_layer_filters, grad_cam
from sknets.inspection._occlusion import occlusion_map
from sknets.inspection._trees import TreeDisplay

__all__ = [
    "FiltersDisplay",
    "SaliencyDisplay",
    "TreeDisplay",
    "first_layer_filters",
    "grad_cam",
    "occlusion_map",
]
