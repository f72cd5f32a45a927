"""The confusion matrix of an evaluation: counts and rates, mistakes in colour, the rest quiet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from digitlens.evaluation.metrics import Counts
from digitlens.evaluation.report import Report
from digitlens.visualization.style import canvas, headline, percent, readable_on, theme

_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw_confusion(report: Report, path: Path) -> None:
    """The confusion matrix with the mistakes in colour and what is right kept quiet.

    Right answers are a thousand times as many as mistakes and would drown them on one scale, so
    only mistakes are coloured, on a logarithmic one. Below each count stands its share of the
    tiles of that digit, on the diagonal therefore the recall.

    Args:
        report: What was found.
        path: The ``.png`` or ``.svg`` file to write.
    """
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    highest = max(int(mistakes.max()), 2)
    with canvas(path, 8.8, 8.6) as figure:
        axes = figure.add_subplot(facecolor=theme().pale)
        _colour(axes, mistakes, highest)
        _write_counts(axes, report.confusion, LogNorm(1, highest))
        _number_colorbar(figure.axes[-1], highest)
        headline(
            axes,
            f"{report.score.errors:,} mistakes in {report.n:,} tiles",
            f"accuracy {percent(report.accuracy, 2)}, with 95 % confidence from "
            f"{percent(report.interval[0], 2)} to {percent(report.interval[1], 2)};  "
            "small: share of the row",
        )
        axes.set_xlabel("read as", fontsize=14)
        axes.set_ylabel("truth", fontsize=14)
        axes.tick_params(length=0, labelsize=14, rotation=0)


def _colour(axes: Axes, mistakes: Counts, highest: int) -> None:
    """A coloured square for each kind of mistake that was made, and a pale one for the rest."""
    sns.heatmap(
        mistakes,
        mask=mistakes == 0,
        cmap=theme().heat,
        norm=LogNorm(1, highest),
        vmin=1,  # read by seaborn even when there is no mistake to take it from
        vmax=highest,
        square=True,
        linewidths=1.5,
        linecolor=theme().ground,
        cbar_kws={"label": "mistakes, on a logarithmic scale", "shrink": 0.72, "pad": 0.03},
        ax=axes,
    )


def _write_counts(axes: Axes, confusion: Counts, norm: LogNorm) -> None:
    """Each count that is not zero, and under it its share of the row."""
    colours, rows = theme(), confusion.sum(axis=1)
    for truth, read in np.argwhere(confusion).tolist():
        count = int(confusion[truth, read])
        right = truth == read
        cell = colours.pale if right else colours.heat(norm(count))
        ink = colours.soft if right else readable_on(cell)
        if right:
            square = Rectangle((read, truth), 1, 1, facecolor=cell, edgecolor=colours.ground)
            axes.add_patch(square)
        share = count / rows[truth]
        rate = percent(share, 0 if count == rows[truth] else 1 if share >= 0.01 else 2)
        size = 12 if right else 14
        middle = read + 0.5
        axes.text(middle, truth + 0.4, f"{count:,}", ha="center", va="center", color=ink, size=size)
        axes.text(middle, truth + 0.76, rate, ha="center", va="center", color=ink, size=8)


def _number_colorbar(axes: Axes, highest: int) -> None:
    ticks = [tick for tick in _TICKS if tick <= highest]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
