"""Pictures of what the tokens of a transformer attend to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sknets._inputs.text import tokens_of
from sknets._inputs.waveforms import HOP
from sknets.display import pyplot
from sknets.inspection._displays import draw_image, heat_of
from sknets.inspection._reading import read

END = "[END]"  # of a text


@dataclass(repr=False)
class AttentionDisplay:
    """Who looks at whom: tokens on both axes, or patches over the image.

    Parameters
    ----------
    weights : ndarray of shape (n_tokens, n_tokens) or (n_written, n_tokens)
        Row i is what token i looks at and sums to 1.
    names : list of str
        Of the tokens: columns, words, numbers of steps or patches.
    written : list of str or None
        The tokens of the rows, where they are others than those of the columns: of a
        text that is written while another is read.
    image : ndarray of shape (height, width, n_channels) or None
        If given, the picture shows the image, and over it what [CLS] (or, without it,
        the mean patch) looks at.
    grid : tuple of int or None
        Rows and columns of patches.
    patch : tuple of int or None
        Height and width of a patch.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : matplotlib Axes, or ndarray of two: the image, and the map over it

    Examples
    --------
    >>> from sknets import AttentionDisplay, TransformerClassifier
    >>> X = ["she sings", "he sings", "she hums", "he hums"] * 10
    >>> net = TransformerClassifier(max_epochs=1).fit(X, [0, 0, 1, 1] * 10)
    >>> AttentionDisplay.from_estimator(net, "she hums").names
    ['she', 'hums']
    """

    weights: np.ndarray
    names: list[str]
    image: np.ndarray | None = None
    grid: tuple[int, int] | None = None
    patch: tuple[int, int] | None = None
    written: list[str] | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: Any,
        *,
        layer: int = -1,
        head: int | None = None,
        ax: Any = None,
    ) -> AttentionDisplay:
        """Compute the attention within one sample and draw it.

        Parameters
        ----------
        estimator : fitted TransformerClassifier, TransformerRegressor or translator
        x : one sample
            A row of the table, a sequence, a text or an image.
        layer : int, default=-1
            Which block, counted from 0; -1 is the last.
        head : int or None, default=None
            Which head; None shows the mean of all.
        ax : matplotlib Axes or array of two, default=None
            As in `plot`.

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            For an estimator without ``attention_maps``.
        ValueError
            For a layer or head that there is not.
        """
        if not hasattr(estimator, "attention_maps"):
            raise TypeError(
                "AttentionDisplay: estimator must have attention_maps, as transformers "
                f"have; {type(estimator).__name__} has none"
            )
        X = _as_batch(estimator, x)
        if hasattr(estimator, "target_reader_"):
            return cls._of_writer(estimator, X).plot(ax)
        maps = estimator.attention_maps(X)[0]
        for name, value, n in (
            ("layer", layer, maps.shape[0]),
            ("head", head, maps.shape[1]),
        ):
            if value is not None and not -n <= value < n:
                raise ValueError(
                    f"AttentionDisplay({name}={value}): there are {n}, counted from 0"
                )
        weights = maps[layer].mean(0) if head is None else maps[layer][head]
        module, kind = estimator.net_.module_, estimator.input_kind_
        first = [] if module.cls is None else ["[CLS]"]
        n = len(weights) - len(first)
        if kind == "images":
            image = read("AttentionDisplay", estimator, X, None).grid[0]
            patch = module.tokens.patch
            grid = tuple(-(-s // p) for s, p in zip(image.shape[:2], patch))
            names = [f"{i // grid[1]},{i % grid[1]}" for i in range(n)]
            return cls(weights, first + names, image, grid, patch).plot(ax)
        if kind == "text":
            names = tokens_of(estimator.reader_, X[0]) or ["[EMPTY]"]
        elif kind == "table" and hasattr(estimator, "feature_names_in_"):
            names = [str(name) for name in estimator.feature_names_in_]
        else:
            names = [str(i) for i in range(n)]
        return cls(weights, first + names).plot(ax)

    @classmethod
    def _of_writer(cls, writer: Any, X: Any) -> AttentionDisplay:
        """What each token that is written, or step that is said, is read by."""
        if hasattr(writer, "spectrograms"):
            (weights,) = writer.attention_maps(X)
            starts = np.arange(len(weights)) * writer.frames_per_step * HOP
            return cls(
                weights,
                [*tokens_of(writer.reader_, X[0]), END],
                written=[f"{start:.2f} s" for start in starts],
            )
        (text,) = writer.predict(X)
        (weights,) = writer.attention_maps(X, [text])
        read = [*tokens_of(writer.reader_, X[0]), END]
        return cls(
            weights, read, written=[*tokens_of(writer.target_reader_, text), END]
        )

    def plot(self, ax: Any = None) -> AttentionDisplay:
        """Draw on a figure of its own, or on `ax`.

        Parameters
        ----------
        ax : matplotlib Axes, or array of two for an image, default=None

        Returns
        -------
        AttentionDisplay
            Itself, with `axes_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot()
        if self.image is not None:
            return self._plot_image(plt, ax)
        rows = self.names if self.written is None else self.written
        if ax is None:
            wide, high = (
                min(12.0, 2.2 + 0.32 * len(each)) for each in (self.names, rows)
            )
            _, ax = plt.subplots(figsize=(wide + 0.8, high), layout="constrained")
        heat = heat_of(self.weights, "Blues", "Blues")
        ax.imshow(self.weights, cmap=heat.cmap, norm=heat.norm)
        across, down = (
            # More names than that are not legible.
            range(0, len(each), -(-len(each) // 40))
            for each in (self.names, rows)
        )
        ax.set_xticks(across, [self.names[i] for i in across], rotation=90)
        ax.set_yticks(down, [rows[i] for i in down])
        ax.set_xlabel("looks at")
        ax.set_ylabel("token" if self.written is None else "is written")
        bar = ax.figure.colorbar(heat, ax=ax, aspect=30, pad=0.02)
        bar.set_label("attention")
        bar.outline.set_visible(False)
        self.axes_, self.figure_ = ax, ax.figure
        return self

    def _plot_image(self, plt: Any, ax: Any) -> AttentionDisplay:
        assert self.image is not None and self.grid and self.patch
        if ax is None:
            _, ax = plt.subplots(1, 2, figsize=(6.2, 2.8), layout="constrained")
        axes = np.ravel(np.asarray(ax, object))
        if len(axes) != 2:
            raise ValueError(
                f"plot(ax=...): the picture needs 2 axes, got {len(axes)}: the image, "
                "and the map over it"
            )
        cls = self.names[0] == "[CLS]"
        looks = self.weights[0, 1:] if cls else self.weights.mean(0)
        high, wide = self.image.shape[:2]
        seen = looks.reshape(self.grid)
        seen = np.kron(seen, np.ones(self.patch))[:high, :wide]
        heat = heat_of(seen, "inferno", "inferno")
        draw_image(axes, self.image[None], seen[None], 0, heat, "nearest")
        for axis in axes:
            axis.set_axis_off()
        figure = axes[0].figure
        bar = figure.colorbar(heat, ax=axes.tolist(), aspect=30, pad=0.02)
        bar.set_label("attention of [CLS]" if cls else "mean attention")
        bar.outline.set_visible(False)
        self.axes_, self.figure_ = axes, figure
        return self


def _as_batch(estimator: Any, x: Any) -> Any:
    """X with this one sample."""
    if hasattr(x, "to_frame"):  # a row of a DataFrame
        return x.to_frame().T.infer_objects()
    if hasattr(x, "columns"):
        return x
    if getattr(estimator, "input_kind_", "") in ("text", "sequences"):
        return [x]
    return np.asarray(x)[None]
