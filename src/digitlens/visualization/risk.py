"""Plots of what a stated confidence is worth: risk against coverage, and reliability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from digitlens.evaluation.calibration import Flags, expected_calibration_error, reliability_bins
from digitlens.evaluation.metrics import Floats, wilson_interval
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

# Shares that have a tick on an axis of logits.
_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
_ENDS = (0.01, 0.9999)  # of an axis of logits; beyond are too few answers to tell
_BINS = 14  # on that axis, each 1 wide


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


def draw_calibration(samples: Mapping[str, tuple[Floats, Flags]], path: Path) -> None:
    """Share that is right against confidence, both on axes of logits that open up the ends.

    Most confidences of a reader are above 99 %, which on plain axes is one point in the corner.

    Args:
        samples: By the name that stands in the legend: float[N], each 0 to 1, and bool[N].
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: No sample, or one that is something else.
    """
    _check_some(samples)
    with canvas(path, 7.4, 7.2) as figure:
        axes = figure.add_subplot()
        axes.plot(
            _ENDS, _ENDS, "--", color=theme().soft, linewidth=1.3, label="perfect calibration"
        )
        for (name, sample), (_, colour) in zip(samples.items(), series_looks(), strict=False):
            _draw_reliability(axes, *sample, colour=colour, name=name)
        headline(
            axes,
            "Confidence against what is right",
            "bars of 95 % confidence; a point on an edge is beyond it",
        )
        axes.set(xscale="logit", yscale="logit", xlim=_ENDS, ylim=_ENDS)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator(_TICKS))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(share_ticks())
        axes.set_xlabel("confidence, axis of logits")
        axes.set_ylabel("share that is right, axis of logits")
        axes.grid()
        axes.legend(loc="upper left")


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


def _draw_reliability(
    axes: Axes, confidence: Floats, right: Flags, *, colour: str, name: str
) -> None:
    start, end = (np.log(share / (1 - share)) for share in _ENDS)
    edges = 1 / (1 + np.exp(-np.linspace(start, end, _BINS + 1)))
    bins = [row for row in reliability_bins(confidence, right, edges) if row.count]
    ends = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    low, high = _inside(ends).T
    share = _inside([row.accuracy for row in bins])
    error = expected_calibration_error(confidence, right)
    axes.errorbar(
        _inside([row.confidence for row in bins]),
        share,
        np.clip([share - low, high - share], 0, None),
        fmt="o-",
        color=colour,
        linewidth=1.3,
        markersize=7,
        capsize=3,
        clip_on=False,
        label=f"{name}, expected calibration error {percent(error, 2)}",
    )


def _inside(shares: Sequence[object]) -> npt.NDArray[np.float64]:
    return np.clip(np.array(shares, np.float64), *_ENDS)
