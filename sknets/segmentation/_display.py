"""Pictures of masks over their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sknets._inputs.layout import Layout
from sknets._pictures import as_rgb, channels_last, pyplot

# Okabe and Ito's palette, as in `sknets.display`; the background has none.
_COLORS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"]


@dataclass(repr=False)
class SegmentationDisplay:
    """Images, the true masks and the predicted ones over them.

    Parameters
    ----------
    images : list of ndarray of shape (height, width) or (height, width, n_channels)
        Of volumes the middle slices.
    masks : dict of str to list of ndarray of shape (height, width)
        Rows of the picture below the images, by title.
    classes : ndarray of shape (n_classes,)
        The first one, the background, has no colour.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : ndarray of matplotlib Axes of shape (1 + n_masks, n_images)

    Examples
    --------
    >>> from sknets import SegmentationDisplay, UNetSegmenter
    >>> from sknets.datasets import make_scenes
    >>> X, y = make_scenes(8, size=32, random_state=0)
    >>> net = UNetSegmenter(width=4, depth=2, max_epochs=2).fit(X, y)
    >>> display = SegmentationDisplay.from_estimator(net, X[:4], y[:4])
    >>> display.ax_.shape
    (3, 4)
    """

    images: list[np.ndarray]
    masks: dict[str, list[np.ndarray]]
    classes: np.ndarray

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None
    ) -> SegmentationDisplay:
        """Predict the masks of a few images and draw them.

        Parameters
        ----------
        estimator : fitted segmenter
        X : array-like of shape (n_samples, *size[, n_channels]) or list of arrays
            Half a dozen images make a good picture.
        y : array-like of shape (n_samples, *size) or list of arrays, default=None
            The true masks.
        ax : array of matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        SegmentationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        found = estimator.predict(X)
        layout = Layout(estimator.spatial_dims_, estimator.channel_axis_)
        masks = {"true": y} if y is not None else {}
        flat = {
            name: [_middle(np.asarray(mask), layout) for mask in each]
            for name, each in {**masks, "predicted": found}.items()
        }
        images = channels_last(X, layout.channel_axis)
        images = [_middle(image, layout) for image in images]
        return cls(images, flat, estimator.classes_).plot(ax)

    def plot(self, ax: Any = None) -> SegmentationDisplay:
        """Draw on a figure of its own, or on ``ax``.

        Parameters
        ----------
        ax : array of matplotlib Axes of shape (1 + n_masks, n_images), default=None

        Returns
        -------
        SegmentationDisplay
            Itself, with `ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot()
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Patch

        n_rows, n = 1 + len(self.masks), len(self.images)
        if ax is None:
            size = 1.7 * n, 1.7 * n_rows + 0.4
            _, ax = plt.subplots(
                n_rows, n, figsize=size, squeeze=False, layout="constrained"
            )
        self.ax_ = np.asarray(ax).reshape(n_rows, n)
        self.figure_ = self.ax_[0, 0].figure
        codes = self.classes[1:].tolist()
        colors = {v: _COLORS[i % len(_COLORS)] for i, v in enumerate(codes)}
        for axes, image in zip(self.ax_[0], self.images):
            axes.imshow(as_rgb(image))
        for row, masks in zip(self.ax_[1:], self.masks.values()):
            for axes, image, mask in zip(row, self.images, masks):
                shown = as_rgb(image)
                for value, color in colors.items():
                    there = mask == value
                    shown[there] = 0.4 * shown[there] + 0.6 * np.array(to_rgb(color))
                axes.imshow(shown)
        for axes, title in zip(self.ax_[:, 0], ("image", *self.masks)):
            axes.set_ylabel(title)
        for axes in self.ax_.ravel():
            axes.set(xticks=[], yticks=[])
        patches = [Patch(color=color, label=str(v)) for v, color in colors.items()]
        self.figure_.legend(
            handles=patches, loc="outside lower center", ncols=len(patches)
        )
        return self


def _middle(image: np.ndarray, layout: Layout) -> np.ndarray:
    return image[len(image) // 2] if layout.spatial_dims == 3 else image


__all__ = ["SegmentationDisplay"]
