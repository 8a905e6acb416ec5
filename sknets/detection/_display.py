"""Boxes drawn over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknets._pictures import as_rgb, axes_for, channels_last

# Okabe and Ito's palette, one after the other, by class.
_COLORS = "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"


@dataclass(repr=False)
class DetectionDisplay:
    """Images with the boxes that were found in them, their labels and scores.

    Each class has a colour; dashed white boxes are the truth, if it is known.

    Parameters
    ----------
    images : list of ndarray of shape (height, width[, channels])
    found : list of dict
        ``{"boxes": (k, 4), "labels": (k,), "scores": (k,)}``, the scores if there are
        some.
    true : list of dict, default=None
        The same without scores.
    threshold : float, default=0.5
        Boxes less sure than this are not drawn.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes

    Examples
    --------
    >>> from sknets import DetectionDisplay, YOLODetector
    >>> from sknets.datasets import make_cluttered_digits
    >>> X, y = make_cluttered_digits(8, random_state=0)
    >>> net = YOLODetector(max_epochs=1, random_state=0).fit(X, y)
    >>> display = DetectionDisplay.from_estimator(net, X[:4], y[:4])
    >>> display.figure_.savefig("boxes.png")  # doctest: +SKIP
    """

    images: Any
    found: Any
    true: Any = None
    threshold: float = 0.5

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        threshold: float = 0.5,
        ax: Any = None,
    ) -> DetectionDisplay:
        """Draw what an estimator finds.

        Parameters
        ----------
        estimator : fitted detector
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
        y : list of dict, default=None
            The truth.
        threshold : float, default=0.5
        ax : matplotlib Axes or array of them, default=None
            One an image; None makes a figure.

        Returns
        -------
        display : DetectionDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        images = channels_last(X, estimator.channel_axis_)
        found = estimator.predict(X)
        return cls.from_predictions(images, found, y, threshold=threshold, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        found: Any,
        y_true: Any = None,
        *,
        threshold: float = 0.5,
        ax: Any = None,
    ) -> DetectionDisplay:
        """Draw boxes that are there already.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
        found : list of dict, or array-like of shape (n_samples, 4)
            The latter is one box an image.
        y_true : list of dict or array-like of shape (n_samples, 4), default=None
        threshold : float, default=0.5
        ax : matplotlib Axes or array of them, default=None

        Returns
        -------
        display : DetectionDisplay

        Raises
        ------
        ValueError
            If there are not as many records, or axes, as images.
        """
        for name, given in (("found", found), ("y_true", y_true)):
            if given is not None and len(given) != len(X):
                raise ValueError(
                    f"DetectionDisplay: X has {len(X)} images, {name} has {len(given)}"
                )
        true = None if y_true is None else [*map(_record, y_true)]
        return cls(list(X), [*map(_record, found)], true, threshold).plot(ax)

    def plot(self, ax: Any = None) -> DetectionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None

        Returns
        -------
        display : DetectionDisplay
        """
        from matplotlib.patheffects import withStroke

        # White within black, which is seen on light pictures and on dark ones.
        rim = withStroke(linewidth=2.0, foreground="black")
        dashed = {"linestyle": "--", "linewidth": 0.8, "path_effects": [rim]}
        self.axes_ = axes_for(len(self.images), ax, type(self).__name__)
        self.figure_ = self.axes_[0].figure
        both = [*self.found, *(self.true or [])]
        labels = sorted({str(label) for each in both for label in each["labels"]})
        colors = {name: _COLORS[k % len(_COLORS)] for k, name in enumerate(labels)}
        if self.true is not None:
            self.axes_[0].set_title("Dashed: the truth", fontsize=8, loc="left")
        for i, axes in enumerate(self.axes_):
            axes.imshow(as_rgb(self.images[i]))
            if self.true is not None:
                for box in np.asarray(self.true[i]["boxes"], float).reshape(-1, 4):
                    _frame(axes, box, "white", **dashed)
            found = self.found[i]
            scores = found.get("scores", np.ones(len(found["labels"])))
            for box, label, score in zip(found["boxes"], found["labels"], scores):
                if score < self.threshold:
                    continue
                color = colors[str(label)]
                _frame(axes, box, color, linewidth=1.4)
                text = f"{label} {score:.2f}" if "scores" in found else str(label)
                # Above the box, as pixels begin half a pixel before their middle.
                axes.text(
                    box[0] - 0.5,
                    box[1] - 0.5,
                    text,
                    fontsize=7,
                    color="black",
                    va="bottom",
                    clip_on=True,
                    bbox={"facecolor": color, "edgecolor": "none", "pad": 0.6},
                )
        return self


def _record(given: Any) -> dict[str, Any]:
    """Of boxes alone, as of an `ObjectLocalizer`, a record without a name."""
    return given if isinstance(given, dict) else {"boxes": [given], "labels": [""]}


def _frame(axes: Any, box: Any, color: str, **style: Any) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = (float(side) - 0.5 for side in box)
    size = right - left, bottom - top
    axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=color, **style))


__all__ = ["DetectionDisplay"]
