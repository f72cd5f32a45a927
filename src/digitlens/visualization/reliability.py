"""The reliability diagram of an evaluation: is a classifier right as often as it says?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter, StrMethodFormatter

from digitlens.evaluation.metrics import Bin, wilson_interval
from digitlens.evaluation.report import Report
from digitlens.visualization.style import canvas, headline, percent, theme


def draw_calibration(report: Report, path: Path) -> None:
    """The share that is right against the confidence, and how often each confidence is given.

    Source: M. H. DeGroot and S. E. Fienberg, "The comparison and evaluation of forecasters",
    The Statistician 32 (1983).

    Args:
        report: What was found.
        path: The ``.png`` or ``.svg`` file to write.
    """
    filled = [row for row in report.calibration.bins if row.count]
    with canvas(path, 7.4, 7.6) as figure:
        above, below = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.04}
        )
        _draw_reliability(above, filled)
        headline(
            above,
            f"Expected calibration error {percent(report.ece, 2)}",
            f"{len(report.calibration.bins)} bins of equal width; bars of 95 % confidence",
        )
        _draw_counts(below, filled, report.calibration.bins[0].high)


def _draw_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    confidence = np.array([row.confidence for row in bins])
    accuracy = np.array([row.accuracy for row in bins])
    ends = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    low, high = np.array(ends).T
    colours = theme()
    axes.plot([0, 1], [0, 1], "--", color=colours.soft, linewidth=1.3, label="perfect calibration")
    axes.errorbar(
        confidence,
        accuracy,
        np.clip([accuracy - low, high - accuracy], 0, None),
        fmt="o",
        color=colours.blue,
        markersize=8,
        capsize=3,
        label="share of the tiles in a bin",
    )
    axes.set_xlim(0, 1.01)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share that is right")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid()
    axes.legend(loc="lower right")


def _draw_counts(axes: Axes, bins: Sequence[Bin], width: float) -> None:
    colours = theme()
    axes.bar(
        [row.low for row in bins],
        [row.count for row in bins],
        width,
        align="edge",
        color=colours.blue,
        edgecolor=colours.ground,
    )
    axes.set_yscale("log")
    axes.set_ylim(0.7, None)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("tiles")
    axes.set_xlabel("confidence of the model")
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y")
