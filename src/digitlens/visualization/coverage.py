"""Risk and coverage of a classifier: how many answers are wrong when the least sure are kept back.

Source: R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification",
JMLR 11 (2010).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from digitlens.evaluation.metrics import COVERAGE, Curve, coverage_at_zero, risk_curve
from digitlens.evaluation.ood import Answers
from digitlens.visualization.style import (
    canvas,
    headline,
    percent,
    series_looks,
    share_ticks,
    theme,
)


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
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(share_ticks())
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
