"""Pictures of saliency maps and of filters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.base import is_classifier

from sknets.display import COLORS, pyplot
from sknets.inspection._gradcam import first_layer_filters, grad_cam
from sknets.inspection._occlusion import occlusion_map
from sknets.inspection._reading import explained, read, scores_of

# Channels of signals; Okabe and Ito's palette, as in `sknets.display`.
_LINES = ["black", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
# Lines are seen before their map.
_LIGHT = 0.6
# Frames of a clip that are shown, from the first to the last.
_FRAMES = 8


@dataclass(repr=False)
class SaliencyDisplay:
    """Images, and below each where the estimator looks.

    A volume is shown by the slice that matters most, a signal as a line over its map, a
    clip as a strip of up to eight frames, from the first to the last, by their numbers.
    What was predicted wrongly is written in another colour.

    Parameters
    ----------
    images : ndarray of shape (n_samples, \\*size, n_channels)
        Of clips a list of arrays of shape (frames, height, width, n_channels).
    maps : ndarray of shape (n_samples, \\*size)
        As `grad_cam` or `occlusion_map` give them.
    titles : list of str
        Text above each image.
    wrong : ndarray of shape (n_samples,)
        Whose prediction is not the true label; False where that is not known.
    label : str
        Text beside the colour bar.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        (2, n_samples): images above maps; (1, n_samples) for signals; of clips
        (2, n_samples, n_frames), frames above their maps.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import CNNClassifier, SaliencyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> cnn = CNNClassifier(image_shape=(8, 8), max_epochs=1).fit(X / 16, y)
    >>> display = SaliencyDisplay.from_estimator(cnn, X[:6] / 16, y[:6])
    >>> display.figure_.savefig("saliency.png")  # doctest: +SKIP
    """

    images: Any
    maps: np.ndarray
    titles: list[str]
    wrong: np.ndarray
    label: str = ""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        method: Literal["grad_cam", "occlusion"] = "grad_cam",
        target: Any = None,
        layer: str | None = None,
        window: int | tuple[int, ...] | None = None,
        stride: int | tuple[int, ...] | None = None,
        frames: int | None = None,
        fill: Any = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> SaliencyDisplay:
        """Compute the maps of a few images and draw them.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n_samples, ...)
            A dozen samples make a good picture, of clips a few.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            True labels or values, written beside the predicted ones.
        method : {"grad_cam", "occlusion"}, default="grad_cam"
            `grad_cam` or `occlusion_map`.
        target, layer, window, stride, frames, fill, image_shape
            As in these functions.
        ax : matplotlib Axes or array of them, default=None
            As in `plot`.

        Returns
        -------
        SaliencyDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError, TypeError
            As these functions; for another method.
        """
        if method not in ("grad_cam", "occlusion"):
            raise ValueError(
                f"SaliencyDisplay(method={method!r}): method must be 'grad_cam' or "
                "'occlusion'"
            )
        classes = is_classifier(estimator)
        if method == "grad_cam":
            maps = grad_cam(estimator, X, target, layer=layer)
            label = "importance"
        else:
            maps = occlusion_map(
                estimator,
                X,
                target,
                window=window,
                stride=stride,
                frames=frames,
                fill=fill,
                image_shape=image_shape,
            )
            unit = "prediction"
            if classes:
                unit = "score"
                if hasattr(estimator, "predict_proba"):
                    unit = "probability"
            label = f"fall of the {unit}"
        images = read("SaliencyDisplay", estimator, X, image_shape)
        given = images.as_given(images.grid)
        titles, wrong = _titles(estimator, given, y, target)
        return cls(images.grid, maps, titles, wrong, label).plot(ax)

    def plot(self, ax: Any = None) -> SaliencyDisplay:
        """Draw on a figure of its own, or in the place of `ax`.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One is divided among the images; an array must have as many as ``axes_``.

        Returns
        -------
        SaliencyDisplay
            Itself, with `axes_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        pyplot()
        clips = isinstance(self.images, list)
        n, signals = len(self.maps), not clips and self.maps.ndim == 2
        # Dark where nothing matters on images, which shine through; else white.
        shades = ("YlOrRd", "RdBu_r") if signals else ("inferno", _blue_black_orange())
        values = np.concatenate([np.ravel(each) for each in self.maps])
        heat = heat_of(values, *shades)
        columns = min(n, 4 if signals else 6)
        pairs = -(-n // columns)
        if clips:
            columns, pairs = min(_FRAMES, max(map(len, self.maps))), n
        if signals:
            self.figure_, grid = _grid(ax, pairs, columns, (3, 1.7), bar=True)
            self.axes_ = grid.reshape(1, -1)[:, :n]
        else:
            height, width = self.maps[0].shape[-2:]
            cell = (1.5, 1.5 * min(3, height / width) + 0.2)
            self.figure_, grid = _grid(ax, 2 * pairs, columns, cell, bar=True)
            # Rows of images alternate with rows of maps.
            grid = grid.reshape(pairs, 2, columns).swapaxes(0, 1)
            self.axes_ = grid if clips else grid.reshape(2, -1)[:, :n]
        # As small as the longest label needs, which would run into its neighbour.
        longest = max(len(line) for title in self.titles for line in title.split("\n"))
        size = 9 if signals or clips else min(9, 9 * 20 / longest)
        for i in range(n):
            color = COLORS["classical"] if self.wrong[i] else "0.15"
            if clips:
                title = self.titles[i].replace("\n", ", ")
                axis = self.axes_[0, i, 0]
                axis.set_title(" ", fontsize=size)  # room above; the text is wider
                place = {"va": "bottom", "transform": axis.transAxes}
                text = axis.text(0, 1.03, title, fontsize=size, color=color, **place)
                text.set_in_layout(False)
                _draw_clip(self.axes_[:, i], self.images[i], self.maps[i], heat)
                continue
            self.axes_[0, i].set_title(self.titles[i], fontsize=size, color=color)
            if signals:
                _draw_signal(self.axes_[0, i], self.images[i], self.maps[i], heat)
            else:
                draw_image(self.axes_[:, i], self.images, self.maps, i, heat)
        bar = _colour_bar(
            self.figure_, heat, self.axes_, self.label, _LIGHT if signals else 1.0
        )
        bar.ax.set_ylim(min(0.0, float(values.min())), heat.norm.vmax)
        return self


@dataclass(repr=False)
class FiltersDisplay:
    """The filters of the first convolution as small pictures.

    RGB filters are scaled one by one, grey is a weight of zero; in the others it is
    white, and more channels are shown by their mean. Of a volume the middle slice is
    shown; of signals the weights are lines, one a channel.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, \\*kernel, n_channels)
        As `first_layer_filters` gives them.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes, of shape (n_filters,)

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknets import CNNClassifier, FiltersDisplay
    >>> digits = load_digits()
    >>> cnn = CNNClassifier(max_epochs=1).fit(digits.images / 16, digits.target)
    >>> FiltersDisplay.from_estimator(cnn).axes_.shape
    (24,)
    """

    filters: np.ndarray

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> FiltersDisplay:
        """Draw the filters of a fitted network.

        Parameters
        ----------
        estimator : fitted estimator of this library that takes images
        ax : matplotlib Axes or array of them, default=None
            As in `plot`.

        Returns
        -------
        FiltersDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            For an estimator without convolutions.
        """
        return cls(first_layer_filters(estimator)).plot(ax)

    def plot(self, ax: Any = None) -> FiltersDisplay:
        """Draw on a figure of its own, or in the place of `ax`.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One is divided among the filters; an array must have as many as they are.

        Returns
        -------
        FiltersDisplay
            Itself, with `axes_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        filters, n = self.filters, len(self.filters)
        if filters.ndim == 5:
            filters = filters[:, filters.shape[1] // 2]
        signals, colour = filters.ndim == 3, filters.shape[-1] == 3
        columns = math.ceil(math.sqrt(1.5 * n))
        rows = -(-n // columns)
        bar = not (signals or colour)
        self.figure_, grid = _grid(ax, rows, columns, (0.85, 0.85), bar=bar)
        self.axes_ = grid.ravel()[:n]
        weights = heat_of(-np.abs(filters), "RdBu_r", "RdBu_r")
        for axis, one in zip(self.axes_, filters):
            if signals:
                axis.set_prop_cycle(color=_LINES)
                axis.axhline(0, color="0.8", linewidth=0.8)
                axis.plot(one, linewidth=1.4)
                axis.set_ylim(1.1 * weights.norm.vmin, 1.1 * weights.norm.vmax)
            elif colour:
                axis.imshow(0.5 + one / (2 * np.abs(one).max() or 1))
            else:
                axis.imshow(one.mean(-1), cmap=weights.cmap, norm=weights.norm)
        if bar:
            of = "weight" if filters.shape[-1] == 1 else "weight, mean of the channels"
            _colour_bar(self.figure_, weights, self.axes_, of)
        return self


def _grid(
    ax: Any, rows: int, columns: int, cell: tuple[float, float], *, bar: bool
) -> tuple[Any, np.ndarray]:
    """A figure and its (rows, columns) bare axes, in the place of ``ax`` if given."""
    plt = pyplot()
    if ax is None:
        size = (cell[0] * columns + bar, cell[1] * rows)
        figure = plt.figure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
        grid = figure.subplots(rows, columns, squeeze=False)
    elif np.ndim(ax):
        grid = np.asarray(ax, object)
        if grid.size != rows * columns:
            raise ValueError(
                f"plot(ax=...): the picture needs {rows} x {columns} axes, got shape "
                f"{grid.shape}"
            )
        grid = grid.reshape(rows, columns)
        figure = grid[0, 0].figure
    else:
        figure, place = ax.figure, ax.get_subplotspec()
        ax.set_axis_off()
        grid = place.subgridspec(rows, columns).subplots(squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid


def heat_of(values: np.ndarray, positive: Any, signed: Any) -> Any:
    """What turns values into colours, symmetric about zero if some are negative."""
    from matplotlib.cm import ScalarMappable

    top = float(np.abs(values).max()) or 1.0
    both = float(values.min()) < 0
    limits = pyplot().Normalize(-top if both else 0.0, top)
    return ScalarMappable(limits, signed if both else positive)


def _blue_black_orange() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    colors = ["#a6e0ff", "#0072b2", "black", "#d55e00", "#ffd98c"]
    return LinearSegmentedColormap.from_list("blue_black_orange", colors)


def _colour_bar(
    figure: Any, heat: Any, axes: np.ndarray, label: str, alpha: float = 1.0
) -> Any:
    place = {"ax": axes.ravel().tolist(), "aspect": 30, "pad": 0.02}
    bar = figure.colorbar(heat, alpha=alpha, **place)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return bar


def draw_image(
    axes: Any,
    images: np.ndarray,
    maps: np.ndarray,
    i: int,
    heat: Any,
    interpolation: str = "bilinear",
) -> None:
    """The image above, its map over a dimmed grey copy below."""
    image, saliency = images[i], maps[i]
    if saliency.ndim == 3:
        slice_ = np.abs(saliency).sum((1, 2)).argmax()
        image, saliency = image[slice_], saliency[slice_]
    image = _shown(image, images)
    axes[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    grey = image @ [0.299, 0.587, 0.114] if image.ndim == 3 else image
    axes[1].imshow(0.1 + 0.5 * grey, cmap="gray", vmin=0, vmax=1)
    axes[1].imshow(
        saliency,
        cmap=heat.cmap,
        norm=heat.norm,
        alpha=0.9 * (np.abs(saliency) / heat.norm.vmax) ** 0.7,
        interpolation=interpolation,
    )


def _draw_clip(axes: np.ndarray, clip: np.ndarray, maps: np.ndarray, heat: Any) -> None:
    """A strip of frames above, their maps below, and the number of each."""
    shown = np.linspace(0, len(clip) - 1, min(len(clip), axes.shape[1])).round()
    for pair, i in zip(axes.T, shown.astype(int)):
        draw_image(pair, clip, maps, i, heat)
        place = {"ha": "center", "va": "top", "transform": pair[1].transAxes}
        pair[1].text(0.5, -0.03, str(i), fontsize=8, color="0.4", **place)


def _shown(image: np.ndarray, all_images: np.ndarray) -> np.ndarray:
    """(height, width, channels) as grey or RGB within [0, 1]."""
    low, high = float(all_images.min()), float(all_images.max())
    if all_images.dtype == np.uint8:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    image = (image.astype(np.float64) - low) / ((high - low) or 1.0)
    return image[..., :3] if image.shape[-1] in (3, 4) else image.mean(-1)


def _draw_signal(
    axis: Any, signal: np.ndarray, saliency: np.ndarray, heat: Any
) -> None:
    low, high = float(signal.min()), float(signal.max())
    margin = 0.08 * (high - low) or 1.0
    box = (-0.5, len(signal) - 0.5, low - margin, high + margin)
    colors = {"cmap": heat.cmap, "norm": heat.norm, "alpha": _LIGHT}
    axis.imshow(saliency[None], extent=box, aspect="auto", **colors)
    axis.set_prop_cycle(color=_LINES)
    axis.plot(signal, linewidth=1)


def _titles(
    estimator: Any, X: Any, y: Any, target: Any
) -> tuple[list[str], np.ndarray]:
    """What was predicted, how surely, and what is true."""
    scores = scores_of(estimator, X)
    rows = np.arange(len(scores))
    columns = explained("SaliencyDisplay", estimator, target, scores)
    predicted = np.asarray(estimator.predict(X))
    sure = is_classifier(estimator) and hasattr(estimator, "predict_proba")
    truth = None if y is None else np.asarray(y)
    several = predicted.ndim == 2
    if several:
        predicted = predicted[rows, columns]
        truth = None if truth is None else truth[rows, columns]
    wrong = np.zeros(len(rows), bool)
    if truth is not None and is_classifier(estimator):
        wrong = predicted != truth
    asked = np.broadcast_to("" if target is None else np.asarray(target), len(rows))
    titles = []
    for i in rows:
        name = f"{'label' if sure else 'output'} {columns[i]}: " if several else ""
        share = scores[i, columns[i]] if several else scores[i].max()
        lines = [f"{name or 'predicted '}{_text(predicted[i])}"]
        lines[0] += f" ({share:.2f})" if sure else ""
        lines += [] if truth is None else [f"true {_text(truth[i])}"]
        lines += [] if target is None or several else [f"map of {asked[i]}"]
        titles.append("\n".join(lines))
    return titles, wrong


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
