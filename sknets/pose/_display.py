"""Skeletons drawn over images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknets._pictures import as_rgb, axes_for, channels_last

# Okabe and Ito's palette, as in `sknets.display`: left, right, neither.
_COLORS = {"left": "#0072B2", "right": "#D55E00", "": "#F0E442"}
# Joints less sure than this are not drawn.
_SURE = 0.1


@dataclass(repr=False)
class PoseDisplay:
    """Images with the skeletons of the people that were found in them.

    The left is blue, the right orange and what is neither yellow; the surer a joint,
    the less transparent. Crosses are the true joints, if they are known.

    Parameters
    ----------
    images : list of ndarray of shape (height, width[, channels])
    poses : list of dict
        ``{"keypoints": (people, joints, 3 or 4), "scores": (people,)}``.
    skeleton : ndarray of shape (n_edges, 2)
        Pairs of numbers of joints.
    pairs : ndarray of shape (n_pairs, 2), default=None
        Numbers of left and right joints.
    true : list of dict, default=None
        ``{"keypoints": (people, joints, 3 or 4)}``.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes

    Examples
    --------
    >>> from sknets import PoseDisplay, PoseEstimator
    >>> from sknets.datasets import FIGURE_JOINTS, make_figures
    >>> images, records = make_figures(8, random_state=0)
    >>> net = PoseEstimator(joints=FIGURE_JOINTS, max_epochs=1).fit(images, records)
    >>> display = PoseDisplay.from_estimator(net, images[:4], records[:4])
    >>> display.figure_.savefig("poses.png")  # doctest: +SKIP
    """

    images: Any
    poses: Any
    skeleton: np.ndarray
    pairs: Any = None
    true: Any = None

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None
    ) -> PoseDisplay:
        """Draw what an estimator finds.

        Parameters
        ----------
        estimator : fitted PoseEstimator
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
        y : as of `fit`, default=None
            The truth, to be marked by crosses.
        ax : matplotlib Axes or array of them, default=None
            One an image; None makes a figure.

        Returns
        -------
        display : PoseDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        found = estimator.predict(X)
        true = None if y is None else estimator.target_reader_.read(y)
        return cls.from_predictions(
            channels_last(X, estimator.channel_axis_),
            found,
            y_true=true,
            skeleton=estimator.skeleton_,
            pairs=estimator.pairs_,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        poses: Any,
        *,
        skeleton: Any,
        pairs: Any = None,
        y_true: Any = None,
        ax: Any = None,
    ) -> PoseDisplay:
        """Draw poses that are there already.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or list of arrays
        poses : list of dict, or array-like of shape (n_samples, joints, 3 or 4)
            As `PoseEstimator.predict` gives them.
        skeleton, pairs : array-like of shape (n, 2)
            Pairs of numbers of joints; ``skeleton_`` and ``pairs_`` of an estimator.
        y_true : as poses, default=None
        ax : matplotlib Axes or array of them, default=None

        Returns
        -------
        display : PoseDisplay

        Raises
        ------
        ValueError
            If there are not as many poses, or axes, as images.
        """
        for name, given in (("poses", poses), ("y_true", y_true)):
            if given is not None and len(given) != len(X):
                raise ValueError(
                    f"PoseDisplay: X has {len(X)} images, {name} has {len(given)}"
                )
        true = None if y_true is None else [*map(_record, y_true)]
        edges = np.asarray(skeleton, int).reshape(-1, 2)
        display = cls(list(X), [*map(_record, poses)], edges, pairs, true)
        return display.plot(ax)

    def plot(self, ax: Any = None) -> PoseDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None

        Returns
        -------
        display : PoseDisplay
        """
        self.axes_ = axes_for(len(self.images), ax, type(self).__name__)
        self.figure_ = self.axes_[0].figure
        for i, each in enumerate(self.axes_):
            self._draw(each, i)
        return self

    def _draw(self, ax: Any, i: int) -> None:
        image = as_rgb(self.images[i])
        ax.imshow(image)
        sides = self._sides()
        for person in self.poses[i]["keypoints"]:
            sure = np.nan_to_num(person[:, -1])
            joints = np.flatnonzero(sure >= _SURE)
            ends = [*self.skeleton, *((j, j) for j in joints)]
            for a, b in ends:
                if min(sure[a], sure[b]) < _SURE:
                    continue
                # What joins the left to the right is of neither.
                both = {sides[a], sides[b]} - {""}
                ax.plot(
                    *person[[a, b], :2].T,
                    "o-" if a == b else "-",
                    color=_COLORS[both.pop() if len(both) == 1 else ""],
                    lw=1.5,
                    ms=3.5,
                    mec="white",
                    mew=0.4,
                    alpha=float(0.3 + 0.7 * min(sure[a], sure[b])),
                )
        if self.true is not None:
            for person in self.true[i]["keypoints"]:
                places = person[person[:, -1] > 0, :2]
                ax.plot(*places.T, "x", color="white", ms=4, mew=0.8)
        height, width = image.shape[:2]
        ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))

    def _sides(self) -> dict[int, str]:
        sides: dict[int, str] = defaultdict(str)
        for left, right in [] if self.pairs is None else self.pairs:
            sides[left], sides[right] = "left", "right"
        return sides


def _record(given: Any) -> dict[str, np.ndarray]:
    """Keypoints of one person are those of a list of people, too."""
    array = np.asarray(given["keypoints"] if isinstance(given, dict) else given, float)
    return {"keypoints": array[None] if array.ndim == 2 else array}


__all__ = ["PoseDisplay"]
