"""Detectors as ONNX files, for where there is no Python."""

from __future__ import annotations

import copy
import os
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn


class Exportable(BaseEstimator):
    """Of detectors whose network says everything at once: `export_onnx`."""

    net_: Any
    canvas_size_: tuple[int, ...]
    n_channels_: int

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an ONNX file.

        Its input "images" is float32 of shape (n, n_channels, height, width): images
        of ``canvas_size_``, smaller ones filled up, larger ones made smaller; bytes
        divided by 255. Its outputs are "boxes", (n, k, 4), left, top, right and bottom
        on the canvas, and "scores", (n, k, n_classes), of the labels in ``classes_``.
        Doubles are still among them: `torchvision.ops.batched_nms`, or any other
        non-maximum suppression, leaves what `predict` gives with ``nms="class"``.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        NotFittedError
            Before `fit`.
        ImportError
            If onnx or onnxscript is not installed.
        """
        check_is_fitted(self)
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError:
            raise ImportError(
                f"{type(self).__name__}.export_onnx needs onnx and onnxscript, which "
                'are not installed: pip install "sknets[onnx]"'
            ) from None
        module = _Everything(copy.deepcopy(self.net_.module_)).float().cpu().eval()
        # Two images, as a batch of one would be taken for the only size.
        images = torch.zeros(2, self.n_channels_, *self.canvas_size_)
        torch.onnx.export(
            module,
            (images,),
            os.fspath(path),
            input_names=["images"],
            output_names=["boxes", "scores"],
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


class _Everything(nn.Module):
    """What a detection network says of images, as two tensors."""

    def __init__(self, net: Any):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, sure, classes = self.net.every(self.net.prepare(images))
        return boxes, sure[..., None] * classes


__all__ = ["Exportable"]
