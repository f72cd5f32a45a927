"""What a stated confidence is worth: reliability, and risk against coverage.

Sources: M. H. DeGroot and S. E. Fienberg, "The comparison and evaluation of forecasters", The
Statistician 32 (1983); R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective
classification", JMLR 11 (2010).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, StrMethodFormatter

from digitlens.evaluation.metrics import (
    COVERAGE,
    Bin,
    Curve,
    coverage_at_zero,
    risk_curve,
)
from digitlens.evaluation.ood import Answers
from digitlens.evaluation.report import Report
from digitlens.evaluation.risk import RiskCoverage
from digitlens.visualization.figures.parts import draw_bins, show_logarithms, show_shares
from digitlens.visualization.theme import (
    add_hints,
    canvas,
    headline,
    percent,
    series_looks,
    share_tick,
    share_ticks,
    theme,
)


def draw_calibration(report: Report, path: Path) -> None:
    """The share that is right against the confidence, and how often each confidence is given.

    Source: M. H. DeGroot and S. E. Fienberg, "The comparison and evaluation of forecasters",
    The Statistician 32 (1983).
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
    colours = theme()
    axes.plot([0, 1], [0, 1], "--", color=colours.soft, linewidth=1.3, label="perfect calibration")
    look = {"fmt": "o", "color": colours.blue, "markersize": 8}
    draw_bins(axes, bins, (0, 1), label="share of the tiles in a bin", **look)
    hints = [
        f"{row.count:,} answers that were {percent(row.confidence)} sure: "
        f"{percent(row.accuracy)} correct"
        for row in bins
    ]
    add_hints(axes, [row.confidence for row in bins], [row.accuracy for row in bins], hints)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share that is right")
    show_shares(axes.yaxis)
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
    show_shares(axes.xaxis)
    axes.grid(axis="y")


def draw_coverage(answers: Mapping[str, Answers], path: Path) -> None:
    """Share of wrong answers against the share of tiles that are not answered, on logarithms.

    Args:
        answers: Of each set of tiles, how sure each answer is, float64[N], and whether it is
            right, bool[N]; the headline tells of the first.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: There is no set.
    """
    if not answers:
        raise ValueError("expected answers to draw by name, found none")
    first = next(iter(answers.values()))
    with canvas(path, 8.6, 5.8) as figure:
        axes = figure.add_subplot()
        for (name, sample), (line, colour) in zip(answers.items(), series_looks(), strict=False):
            _draw_curve(axes, risk_curve(*sample), line=line, colour=colour, name=name)
        _make_logarithmic(axes)
        axes.axvline(1 - COVERAGE, color=theme().soft, linewidth=1, linestyle="--")
        show_logarithms(axes.xaxis, axes.yaxis, write=share_tick)
        risk = risk_curve(*first)
        at_99 = float(risk[int(np.ceil(COVERAGE * len(risk))) - 1])
        headline(
            axes,
            f"{percent(coverage_at_zero(*first))} of the tiles are answered without a mistake",
            f"at 1 % not answered (dashed) {percent(at_99, 3)} are wrong; "
            "lines end where nothing is",
        )
        axes.set_xlabel("share of tiles not answered, the least sure first")
        axes.set_ylabel("share of the answers that is wrong")
        axes.grid()
        axes.legend(loc="lower left")


def _make_logarithmic(axes: Axes) -> None:
    """Takes both axes to logarithms; where the lines span none of one, they lend it no ends."""
    x, y = np.concatenate([line.get_xydata() for line in axes.lines]).T
    if len(set(x)) < 2:
        axes.set_xlim(1e-4, 1)
    if len(set(y)) < 2:
        axes.set_ylim(1e-4, 1)
    axes.set(xscale="log", yscale="log")


def _draw_curve(axes: Axes, risk: Curve, *, line: str, colour: str, name: str) -> None:
    silent = 1 - np.arange(1, len(risk) + 1) / len(risk)
    shown = (risk > 0) & (silent > 0)
    label = f"{name}, {percent(float(risk[-1]), 2)} wrong when all answered"
    axes.plot(silent[shown], risk[shown], line, color=colour, linewidth=2, label=label)


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
    if not curves:
        raise ValueError("expected something to draw by name, found nothing")
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
    hints = [
        f"at least {percent(sure, 2)} sure: {percent(share)} of them, {percent(wrong, 2)} wrong"
        for sure, share, wrong in zip(curve.threshold, curve.coverage, curve.risk, strict=True)
    ]
    add_hints(axes, curve.coverage, from_here, hints)
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
    show_shares(axes.xaxis)
    axes.set_xlabel("share of all digits that is read, and right")
    axes.set_ylabel("share of the stated digits that is wrong")
    axes.grid()
    axes.legend(loc="upper left")
