"""Pictures of trees with what a recursive network says of each node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from sknets._inputs.trees import read_trees
from sknets.display import LINES, pyplot

# Longer names of classes do not fit into a node: the legend alone tells them.
_FITS = 2
_ABOVE = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}


@dataclass(repr=False)
class TreeDisplay:
    """A tree, words below and root above, each node in the colour of its prediction.

    A ring is around nodes whose label in the tree is another.

    Parameters
    ----------
    words : list of str or None
        The word at each node that is a leaf, nodes as they are written.
    parents : ndarray of shape (n_nodes,)
        The parent of each node, -1 of the root, which is the first.
    predictions : ndarray of shape (n_nodes,)
    classes : ndarray or None
        All that could be predicted; None for numbers.
    wrong : ndarray of shape (n_nodes,)
        Whose prediction is not its label; False where there is no label.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from sknets import RecursiveClassifier, TreeDisplay
    >>> X = ["(0 (0 not) (1 good))", "(1 (0 not) (0 bad))"] * 20
    >>> net = RecursiveClassifier(hidden_size=8, max_epochs=2).fit(X)
    >>> display = TreeDisplay.from_estimator(net, (("not", "good"), "at", "all"))
    >>> display.figure_.savefig("tree.png")  # doctest: +SKIP
    """

    words: list[str | None]
    parents: np.ndarray
    predictions: np.ndarray
    classes: np.ndarray | None = None
    wrong: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @classmethod
    def from_estimator(
        cls, estimator: Any, tree: Any, *, ax: Any = None
    ) -> TreeDisplay:
        """Predict every node of a tree and draw it.

        Parameters
        ----------
        estimator : fitted RecursiveClassifier or RecursiveRegressor
            Or a search that has fitted one.
        tree : nested tuples, a bracketed string or ``nltk.Tree``
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        TreeDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            For an estimator that does not predict nodes.
        ValueError
            For a malformed tree, or predictions that are several numbers a node.
        """
        estimator = getattr(estimator, "best_estimator_", estimator)
        if not hasattr(estimator, "predict_nodes"):
            raise TypeError(
                "TreeDisplay.from_estimator: the estimator must have predict_nodes, as "
                f"RecursiveClassifier has, got {type(estimator).__name__}"
            )
        (predictions,) = estimator.predict_nodes([tree])
        if predictions.ndim > 1:
            raise ValueError(
                "TreeDisplay.from_estimator: the predictions must be one label or "
                f"number a node, got {predictions.shape[1]}"
            )
        forest = read_trees("TreeDisplay", [tree], False, False)
        words = [None if i < 0 else forest.texts[i] for i in forest.words.tolist()]
        classes = estimator.classes_ if is_classifier(estimator) else None
        wrong = [
            classes is not None and label is not None and label != str(found)
            for label, found in zip(forest.labels, predictions)
        ]
        shown = cls(
            words, forest.parents.numpy(), predictions, classes, np.array(wrong)
        )
        return shown.plot(ax)

    def plot(self, ax: Any = None) -> TreeDisplay:
        """Draw on `ax`, or on a figure of its own, as large as the tree needs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        TreeDisplay
            Itself, with `ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot()
        x, y = self._places()
        n_leaves = int(x.max()) + 1
        if ax is None:
            size = (max(4.0, 0.42 * n_leaves + 1), max(2.5, 0.36 * y.max() + 1.6))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        below = self.parents >= 0
        above = self.parents[below]
        ax.plot([x[below], x[above]], [y[below], y[above]], color="0.75", zorder=1)
        colors, names = self._colors(plt)
        wrong = self.wrong if len(self.wrong) else np.zeros(len(x), bool)
        edges, widths = np.where(wrong, "black", "0.6"), np.where(wrong, 1.8, 0.6)
        ax.scatter(x, y, 190, colors, zorder=2, edgecolors=edges, linewidths=widths)
        for i, name in enumerate(names):
            dark = np.dot(colors[i][:3], (0.3, 0.59, 0.11)) < 0.55
            style = {"ha": "center", "va": "center", "color": "w" if dark else "k"}
            ax.text(x[i], y[i], name, fontsize=8, zorder=3, **style)
        for i, word in enumerate(self.words):
            if word is not None:
                at = {"xytext": (4, -11), "textcoords": "offset points"}
                turned = {"rotation": 50, "rotation_mode": "anchor", "ha": "right"}
                ax.annotate(word, (x[i], y[i]), **at, **turned, va="center")
        ax.set_axis_off()
        ax.margins(0.04, 0.08)
        return self

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Words side by side; other nodes above the middle of their children."""
        n = len(self.words)
        x, y, counts = np.zeros(n), np.zeros(n, int), np.zeros(n, int)
        leaf = np.array([word is not None for word in self.words])
        x[leaf] = np.arange(leaf.sum())
        for i in range(n - 1, -1, -1):  # children come after their parents
            if counts[i]:
                x[i] /= counts[i]
            above = self.parents[i]
            if above >= 0:
                x[above] += x[i]
                counts[above] += 1
                y[above] = max(y[above], y[i] + 1)
        return x, y

    def _colors(self, plt: Any) -> tuple[np.ndarray, list[str]]:
        """The colour of each node, and what is written in it."""
        from matplotlib.colors import to_rgba

        found = self.predictions
        if self.classes is None:
            top = float(np.abs(found).max()) or 1.0
            return plt.get_cmap("RdBu")(found / (2 * top) + 0.5), [
                f"{value:.1f}" for value in found
            ]
        number = {name: i for i, name in enumerate(self.classes.tolist())}
        codes = np.array([number[name] for name in found.tolist()])
        if self.classes.dtype.kind in "iuf":  # an order, from red to blue
            shades = plt.get_cmap("RdBu")(np.linspace(0.12, 0.88, len(number)))
        else:
            shades = np.array([to_rgba(LINES[i % 7]) for i in range(len(number))])
        names = [str(name) for name in found]
        if max(len(str(name)) for name in number) > _FITS:
            for name, i in number.items():
                self.ax_.scatter([], [], 60, [shades[i]], label=str(name))
            self.ax_.legend(frameon=False, ncols=4, **_ABOVE)
            names = [""] * len(codes)
        return shades[codes], names


__all__ = ["TreeDisplay"]
