"""Risk against coverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from digitlens.evaluation.risk import RiskCoverage
from digitlens.visualization.style import (
    canvas,
    headline,
    percent,
    series_looks,
    share_ticks,
    theme,
)

MARKED = 0.99  # the confidence that is marked on every curve of risk


def draw_risk_coverage(curves: Mapping[str, RiskCoverage], path: Path) -> None:
    """The share of wrong digits against the share of digits read, for every threshold.

    The line is what was measured, the shade reaches up to the upper bound of 95 %. Where nothing
    was wrong there is no line, since a logarithmic axis has no zero, and only the shade.

    Args:
        curves: By the name that stands in the legend.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: No curve.
    """
    _check_some(curves)
    lowest = _lowest(curves.values())
    with canvas(path, 8.6, 6.2) as figure:
        axes = figure.add_subplot()
        for (name, curve), (line, colour) in zip(curves.items(), series_looks(), strict=False):
            _draw_risk(axes, curve, lowest, line=line, colour=colour, name=name)
        axes.plot(
            [], [], "o", color=theme().soft, markersize=8, label=f"confidence {percent(MARKED, 0)}"
        )
        headline(
            axes,
            "Wrong digits against digits read",
            "each point states what is at least as sure; shaded up to the bound of 95 %",
        )
        _finish_risk(axes, lowest)


def _check_some(named: Mapping[str, object]) -> None:
    if not named:
        raise ValueError("expected something to draw by name, found nothing")


def _lowest(curves: Iterable[RiskCoverage]) -> float:
    """Where the axis of risk starts: the power of ten below every risk and bound."""
    shares = np.concatenate([np.r_[curve.risk, curve.upper] for curve in curves])
    return float(10.0 ** np.floor(np.log10(shares[shares > 0].min())))


def _draw_risk(
    axes: Axes, curve: RiskCoverage, lowest: float, *, line: str, colour: str, name: str
) -> None:
    measured = np.where(curve.risk > 0, curve.risk, np.nan)
    from_here = np.where(curve.risk > 0, curve.risk, lowest)
    axes.plot(curve.coverage, measured, line, color=colour, linewidth=2, label=name)
    axes.fill_between(curve.coverage, from_here, curve.upper, color=colour, alpha=0.15, linewidth=0)
    marked = np.flatnonzero(np.array(curve.threshold) >= MARKED)
    if len(marked):
        last = marked[-1]
        axes.plot(
            curve.coverage[last], from_here[last], "o", color=colour, markersize=8, clip_on=False
        )


def _finish_risk(axes: Axes, lowest: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(lowest, 1)
    axes.set_xlim(0, 1.01)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(share_ticks())
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of all digits that is read, and right")
    axes.set_ylabel("share of the stated digits that is wrong")
    axes.grid()
    axes.legend(loc="upper left")
