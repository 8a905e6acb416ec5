"""Pictures and printed forms of results, as scikit-learn-style displays."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sknets.backpropagation import GradientNorms

# Okabe and Ito's palette, told apart with any colour vision.
COLORS = {"deep": "#0072B2", "classical": "#D55E00", "baseline": "#808080"}
# The same palette for one line after another, with shapes for print in grey.
LINES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = "osD^vPX"
# How each verdict is drawn (marker, and fill where it is not the family's color) and
# written; and what it means.
VERDICTS = {
    "best": ("D", "", "◆", ""),
    "tied": ("D", "", "◆", "tied with the best"),
    "worse": ("D", "white", "◇", "worse (p ≤ 0.05)"),
    "untested": ("D", "0.8", "◈", "not tested"),
    "unfinished": (">", "white", "▷", "folds missing"),
}
# A gap with a p-value above this is taken for the noise of the splits.
SIGNIFICANT = 0.05


def pyplot() -> Any:
    """Return matplotlib.pyplot, or say how to install it.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plotting needs matplotlib, which is not installed: pip install "
            '"sknets[plot]"'
        ) from None
    return plt


@dataclass(repr=False)
class LeaderboardDisplay:
    """Horizontal leaderboard of a comparison.

    A dot is a fold's score, a marker with its bar the mean ± standard deviation. A
    filled marker is a model whose gap to the best may be noise of the splits, a hollow
    one is worse, a grey one was not tested; a triangle is a model with folds missing.
    Scores far worse than the others are arrows at the edge.

    Parameters
    ----------
    table : DataFrame
        `Comparison.table`; rows without a score are listed below the picture.
    folds : dict
        Model name to its scores, fold by fold.
    title : str
        Text above.
    lower_is_better : bool
        Whether the scores are errors.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sknets import compare
    >>> X, y = load_wine(return_X_y=True)
    >>> result = compare(X, y, models=["GaussianNB", "SVC"], verbose=0)
    >>> display = result.plot()
    >>> display.figure_.savefig("leaderboard.png")  # doctest: +SKIP
    """

    table: pd.DataFrame
    folds: dict[str, np.ndarray]
    title: str = ""
    lower_is_better: bool = False

    @classmethod
    def from_comparison(cls, comparison: Any) -> LeaderboardDisplay:
        """Make the display of what `sknets.compare` returned."""
        main = comparison.main_score
        by_model = comparison.scores[main].groupby(level="model", sort=False)
        folds = {str(name): scores.to_numpy() for name, scores in by_model}
        size = comparison.summary.partition(" (")[0].partition(";")[0]
        title = f"{comparison.task.capitalize()}, {size}"
        return cls(comparison.table, folds, title, comparison.lower_is_better)

    def plot(self, ax: Any = None) -> LeaderboardDisplay:
        """Draw on `ax`, or on a figure of its own.

        Parameters
        ----------
        ax : matplotlib Axes, default=None

        Returns
        -------
        LeaderboardDisplay
            Itself, with `ax_` and `figure_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If no model has a score.
        """
        main = str(self.table.columns[0])
        shown = self.table[self.table[main].notna()]
        if shown.empty:
            raise ValueError("there is nothing to plot: no model has a score")
        if ax is None:
            height = 1.3 + 0.42 * len(shown)
            _, ax = pyplot().subplots(figsize=(9, height), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        low, high = self._limits(shown, main)
        ax.set_xlim(low, high)
        self._write_beside(-0.85, "mean ± std", "fit", color="0.4")
        for row, name in enumerate(shown.index):
            self._draw_row(ax, row, str(name), shown.loc[name], main, (low, high))
        ax.set_yticks(range(len(shown)), [str(name) for name in shown.index])
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.set_ylim(len(shown) - 0.4, -0.6)
        better = "lower" if self.lower_is_better else "higher"
        ax.set_xlabel(f"{main} ({better} is better)")
        ax.set_title(self.title, loc="left", fontsize=11, pad=18)
        ax.grid(axis="x", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        self._legend(ax, shown)
        return self

    def _limits(self, shown: pd.DataFrame, main: str) -> tuple[float, float]:
        """Return the ends of the axis: far worse models do not squeeze the others."""
        means = shown[main]
        sign = -1 if self.lower_is_better else 1
        contenders = means[shown["family"] != "baseline"]
        usual = float(np.median(contenders if len(contenders) else means))
        spread = float(np.nan_to_num(shown[f"{main}_std"].iloc[0]))
        near = 4 * max(sign * (float(means.iloc[0]) - usual), spread)
        close = (sign * (usual - means) <= near) | (near == 0) | (len(shown) < 3)
        every = np.concatenate([self.folds[str(name)] for name in means.index[close]])
        margin = 0.05 * float(np.ptp(every)) or 0.01
        return every.min() - margin, every.max() + margin

    def _draw_row(
        self,
        ax: Any,
        row: int,
        name: str,
        figures: pd.Series,
        main: str,
        limits: tuple[float, float],
    ) -> None:
        color = COLORS[figures["family"]]
        mean, std = float(figures[main]), float(figures[f"{main}_std"])
        marker, fill, _, _ = VERDICTS[figures["verdict"]]
        beside = ax.get_yaxis_transform()
        if row == 0:
            ax.axhspan(-0.45, 0.45, color=color, alpha=0.08, linewidth=0)
            ax.axvline(mean, color=color, alpha=0.35, linewidth=1, linestyle=":")
        if not limits[0] <= mean <= limits[1]:
            at, text = (0.01, f"◂ {mean:.3g}"), "left"
            if mean > limits[1]:
                at, text = (0.99, f"{mean:.3g} ▸"), "right"
            ax.text(
                at[0], row, at[1], transform=beside, color=color, va="center", ha=text
            )
        else:
            folds = self.folds[name]
            # Below the bar, which would hide them.
            ax.plot(folds, [row + 0.24] * len(folds), "o", ms=4, color=color, alpha=0.4)
            ax.errorbar(
                mean,
                row,
                xerr=0.0 if math.isnan(std) else std,
                fmt=marker,
                ms=7,
                color=color,
                markerfacecolor=fill or color,
                capsize=3,
                linewidth=1.6,
            )
        spread = "" if math.isnan(std) else f" ± {std:.3f}"
        self._write_beside(
            row,
            f"{mean:.3f}{spread}",
            seconds(figures["fit_seconds"]),
            weight="bold" if row == 0 else "normal",
        )

    def _write_beside(
        self,
        row: float,
        score: str,
        time: str,
        color: str = "k",
        weight: str = "normal",
    ) -> None:
        # Right of the axes, by points: shares of its width would move with the layout.
        for text, points, align in ((score, 8, "left"), (time, 140, "right")):
            self.ax_.annotate(
                text,
                (1, row),
                (points, 0),
                xycoords=self.ax_.get_yaxis_transform(),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=9,
                color=color,
                weight=weight,
                annotation_clip=False,
            )

    def _legend(self, ax: Any, shown: pd.DataFrame) -> None:
        from matplotlib.lines import Line2D

        def marker(label: str, color: str, fill: str, form: str = "D") -> Line2D:
            dot = Line2D([], [], label=label, marker=form, linestyle="", color=color)
            dot.set(markersize=7, markerfacecolor=fill)
            return dot

        families = [f for f in COLORS if (shown["family"] == f).any()]
        handles = [marker(f, COLORS[f], COLORS[f]) for f in families]
        fold = Line2D([], [], label="one fold", marker="o", linestyle="", color="0.3")
        fold.set(markersize=4, alpha=0.5)
        handles.append(fold)
        for verdict, (form, fill, _, meaning) in VERDICTS.items():
            if meaning and (shown["verdict"] == verdict).any():
                handles.append(marker(meaning, "0.3", fill or "0.3", form))
        ax.figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=6,
            frameon=False,
            fontsize=9,
        )


@dataclass(repr=False)
class GradientNormsDisplay:
    """Norm of the loss gradient, layer by layer, on a logarithmic scale.

    A line that falls towards the first layers is a vanishing gradient, one that rises
    towards them an exploding one. Several estimators are drawn on one axes by ``ax``.

    Parameters
    ----------
    table : DataFrame
        `GradientNorms.table`, a row for each layer from the first to the last.
    name : str
        The estimator's, for the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    line_ : matplotlib Line2D
        Set by `plot`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknets import FeedforwardClassifier
    >>> from sknets.display import GradientNormsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = None
    >>> for activation in ("sigmoid", "relu"):
    ...     net = FeedforwardClassifier(
    ...         hidden_layer_sizes=(20,) * 10, activation=activation, random_state=0
    ...     )
    ...     display = GradientNormsDisplay.from_estimator(
    ...         net, X, y, ax=ax, name=activation
    ...     )
    ...     ax = display.ax_
    >>> ax.get_yscale(), len(ax.lines)
    ('log', 2)
    """

    table: pd.DataFrame
    name: str = ""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        ax: Any = None,
        name: str | None = None,
        **line: Any,
    ) -> GradientNormsDisplay:
        """Measure the norms by `sknets.gradient_norms` and draw them.

        Parameters
        ----------
        estimator, X, y, sample_weight
            As for `sknets.gradient_norms`.
        ax, name, **line
            As for `plot`.

        Returns
        -------
        GradientNormsDisplay
        """
        # The leaderboard needs no torch, which this loads.
        from sknets.backpropagation import gradient_norms

        norms = gradient_norms(estimator, X, y, sample_weight=sample_weight)
        return cls.from_norms(norms, ax=ax, name=name, **line)

    @classmethod
    def from_norms(
        cls,
        norms: GradientNorms,
        *,
        ax: Any = None,
        name: str | None = None,
        **line: Any,
    ) -> GradientNormsDisplay:
        """Draw what `sknets.gradient_norms` returned; ``ax`` and more as for `plot`."""
        return cls(norms.table, norms.name).plot(ax, name=name, **line)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        column: str = "gradient_norm",
        **line: Any,
    ) -> GradientNormsDisplay:
        """Draw on `ax`, beside what is there, or on a figure of its own.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
            In the legend; None is that of the estimator's class.
        column : str, default="gradient_norm"
            What is drawn: also "ratio" (gradient norm by weight norm), "gradient_rms"
            or "weight_norm".
        **line
            Further options of matplotlib's ``plot``, such as ``color``.

        Returns
        -------
        GradientNormsDisplay
            Itself, with `ax_`, `figure_` and `line_` set. A norm of zero, which a
            logarithm cannot show, is a hollow mark on the lower edge.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            _, ax = pyplot().subplots(figsize=(8, 4.8), layout="constrained")
        others = len(ax.lines)
        values = self.table[column].to_numpy()
        positions = np.arange(1, len(values) + 1)
        style = {"color": LINES[others % 7], "marker": MARKERS[others % 7], "ms": 5.5}
        label = self.name if name is None else name
        shown = np.where(values > 0, values, np.nan)
        (self.line_,) = ax.plot(positions, shown, label=label, **{**style, **line})
        ax.scatter(
            positions[values == 0],
            [0] * int((values == 0).sum()),
            transform=ax.get_xaxis_transform(),
            marker=self.line_.get_marker(),
            facecolor="none",
            edgecolor=self.line_.get_color(),
            clip_on=False,
        )
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_yscale("log")
        ax.set_ylabel(column.replace("_", " "))
        self._name_layers(ax, positions, others)
        ax.grid(axis="y", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        if label:
            ax.legend(frameon=False)
        return self

    def _name_layers(self, ax: Any, positions: np.ndarray, others: int) -> None:
        """Name the layers where all lines have the same and there is room."""
        names = [str(name).replace("->", "→") for name in self.table.index]
        before = [text.get_text() for text in ax.get_xticklabels()]
        if len(names) <= 24 and (not others or before == names):
            ax.set_xticks(positions, names, rotation=40, ha="right", fontsize=8)
            ax.set_xlabel("")
        else:
            from matplotlib.ticker import MaxNLocator

            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.xaxis.set_major_formatter("{x:.0f}")
            ax.tick_params(axis="x", rotation=0)
            ax.set_xlabel("layer, from the first to the last")


def seconds(value: float) -> str:
    """Return a time as people say it: "3 ms", "1.2 s", "4 min"."""
    if math.isnan(value):
        return ""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min"


def _number(value: Any, digits: int) -> str:
    if pd.isna(value):
        return ""
    return f"{value:,.{digits}f}"


def _metrics(table: pd.DataFrame) -> list[str]:
    return [str(c) for c in table.columns if f"{c}_std" in table.columns]


def _cells(
    table: pd.DataFrame, metrics: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the texts of the printed leaderboard."""
    heads = ["", *metrics, "p", "fit", "predict", "parameters", "MB"]
    rows = []
    for name, row in table.iterrows():
        scores = [_number(row[m], 3) for m in metrics]
        if scores[0] and pd.notna(row[f"{metrics[0]}_std"]):
            scores[0] += f" ± {row[f'{metrics[0]}_std']:.3f}"
        p = "" if pd.isna(row["p_value"]) else f"{row['p_value']:.3f}"
        times = [seconds(row["fit_seconds"]), seconds(row["predict_seconds"])]
        sizes = [_number(row["parameters"], 0), _number(row["memory_mb"], 1)]
        rows.append([str(name), *scores, p, *times, *sizes])
    return heads, rows


def leaderboard_text(table: pd.DataFrame, summary: str, notes: list[str]) -> str:
    """Return the leaderboard as lines of text, one model a line, remarks below.

    The last metrics are left out where the terminal is too narrow for all.
    """
    metrics, room = _metrics(table), shutil.get_terminal_size((120, 24)).columns
    while True:
        heads, rows = _cells(table, metrics)
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        if len(metrics) == 1 or sum(widths) + 2 * len(widths) - 2 <= room:
            break
        metrics.pop()
    lines = [summary, *notes, ""]
    for cells in [heads, *rows]:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    noted = table["note"][table["note"] != ""]
    remarks = [
        f"{', '.join(map(str, names))}: {note}"
        for note, names in noted.groupby(noted, sort=False).groups.items()
    ]
    lines += ["", *remarks] if remarks else []
    if table["p_value"].notna().any():
        lines += ["", P_VALUE_HELP]
    return "\n".join(lines)


P_VALUE_HELP = (
    f"p: corrected resampled t-test against the best; above {SIGNIFICANT} the gap may "
    "be noise of the splits."
)


def leaderboard_html(table: pd.DataFrame, summary: str, notes: list[str]) -> str:
    """Return the leaderboard as an HTML table for notebooks."""
    heads, rows = _cells(table, _metrics(table))
    pad = "padding:2px 10px;white-space:nowrap;"
    head = "".join(f'<th style="{pad}text-align:right">{escape(h)}</th>' for h in heads)
    body = []
    for number, (cells, (_, row)) in enumerate(
        zip(rows, table.iterrows(), strict=True)
    ):
        color = COLORS[row["family"]]
        sign = VERDICTS[row["verdict"]][2] if row["verdict"] in VERDICTS else "◌"
        weight = "font-weight:bold;" if number == 0 else ""
        mark = f'<span style="color:{color}">{sign}</span> '
        first = (
            f'<th style="{pad}{weight}text-align:left">{mark}{escape(cells[0])}</th>'
        )
        rest = "".join(
            f'<td style="{pad}{weight}text-align:right">{escape(cell)}</td>'
            for cell in cells[1:]
        )
        note = f'<td style="{pad}text-align:left;color:#777">{escape(row["note"])}</td>'
        body.append(f"<tr>{first}{rest}{note}</tr>")
    remarks = "".join(f"<div>{escape(text)}</div>" for text in notes)
    return (
        f"<div><strong>{escape(summary)}</strong>{remarks}"
        '<table style="border-collapse:collapse">'
        f"<thead><tr>{head}<th></th></tr></thead><tbody>{''.join(body)}</tbody></table>"
        f'<div style="color:#777">{escape(P_VALUE_HELP)} '
        f'<span style="color:{COLORS["deep"]}">◆ deep</span> '
        f'<span style="color:{COLORS["classical"]}">◆ classical</span></div></div>'
    )
