"""Precision, recall and F1 of each digit as bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from digitlens.evaluation.report import Report
from digitlens.visualization.style import canvas, headline, percent, theme

# Where an axis of scores may start: the highest that leaves the lowest bar a quarter of the axis,
# since a bar that almost vanishes looks like a score of almost nothing.
_STARTS = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)


def draw_classes(report: Report, path: Path) -> None:
    """Precision, recall and F1 of each digit as bars, on an axis that says where it starts.

    Args:
        report: What was found.
        path: The ``.png`` or ``.svg`` file to write.
    """
    colours = theme()
    series = {
        "precision": (colours.blue, [row.precision for row in report.classes]),
        "recall": (colours.orange, [row.recall for row in report.classes]),
        "F1": (colours.green, [row.f1 for row in report.classes]),
    }
    lowest = min(min(values) for _, values in series.values())
    start = max((at for at in _STARTS if lowest - at >= (1 - at) / 4), default=0.0)
    with canvas(path, 10.5, 5.2) as figure:
        axes = figure.add_subplot()
        for place, (name, (colour, values)) in enumerate(series.items()):
            where = np.arange(10) + (place - 1) * 0.26
            axes.bar(where, np.array(values) - start, 0.24, bottom=start, color=colour, label=name)
        note = f"the axis starts at {percent(start)}, not at 0" if start else ""
        headline(axes, "Precision, recall and F1 of each digit", note)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
        axes.set_xticks(range(10), [f"{row.digit}\n{row.support:,}" for row in report.classes])
        axes.set_xlabel("digit, and its number of tiles")
        axes.set_ylim(start, 1)
        axes.set_xlim(-0.6, 9.6)
        axes.set_ylabel("score")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=" %"))
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        if start:
            _mark_cut_axis(axes)


def _mark_cut_axis(axes: Axes) -> None:
    # The two strokes of a broken axis: bars that do not start at 0 must not look as if they did.
    for height in (0.03, 0.05):
        axes.plot(
            [-0.009, 0.009],
            [height - 0.01, height + 0.01],
            color=theme().ink,
            linewidth=1.3,
            transform=axes.transAxes,
            clip_on=False,
        )
