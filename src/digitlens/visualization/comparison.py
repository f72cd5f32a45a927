"""A comparison as pictures: accuracies and differences with intervals; tiles read differently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from digitlens.evaluation.significance import Comparison, Pair
from digitlens.visualization.style import canvas, headline, percent, share_ticks, theme

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # stand for the models where their names would not fit
COLUMNS = 10
MOST = 50  # tiles on a sheet
PAIRS = 30  # pairs in a picture: those of the first models
_WIDE = 34  # pixels of a cell
_TOP, _LINE = 33, 7  # pixels above the first line of text under a tile, and between two


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Each accuracy with its interval, and beside them each difference with its own.

    Dots, not bars: the axes do not start at 0. A difference whose interval leaves 0 out is orange.

    Args:
        comparison: What was found.
        path: The ``.png`` or ``.svg`` file to write.
    """
    pairs = comparison.pairs[:PAIRS]
    rows = max(len(comparison.names), len(pairs))
    with canvas(path, 12, 2.3 + 0.5 * rows) as figure:
        left, right = figure.subplots(1, 2)
        _draw_accuracies(left, comparison)
        _draw_differences(right, pairs)
        note = "dots with intervals of 95 % (Wilson)"
        headline(left, f"Accuracy on {comparison.n:,} tiles", note)
        headline(right, "Difference on the same tiles", "intervals of 95 % (Tango); McNemar's p")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0)


def draw_disagreements(comparison: Comparison, tiles: npt.NDArray[np.uint8], path: Path) -> None:
    """Tiles that the models read differently, those on which all are sure first.

    Args:
        comparison: What was found.
        tiles: uint8[N, 28, 28]; the tiles compared on, in their order.
        path: The ``.png`` or ``.svg`` file to write.
    """
    every = comparison.disagreements()
    chosen = every[:MOST]
    high = _TOP + _LINE * (1 + len(comparison.names)) + 4
    rows = max(1, -(-len(chosen) // COLUMNS))
    with canvas(path, 11, 1.5 + rows * high * 10.4 / (COLUMNS * _WIDE)) as figure:
        axes = figure.add_subplot()
        axes.imshow(_mosaic(tiles, chosen, rows, high), cmap=theme().tiles, interpolation="nearest")
        for place, index in enumerate(chosen):
            row, column = divmod(place, COLUMNS)
            _caption(axes, comparison, int(index), column * _WIDE + _WIDE / 2, row * high + _TOP)
        title = f"{len(every):,} of {comparison.n:,} tiles are read differently"
        if len(every) > len(chosen):
            title += f"; the {len(chosen)} on which all are surest"
        key = zip(LETTERS, comparison.names, strict=False)
        note = ",  ".join(f"{letter} = {name}" for letter, name in key)
        headline(axes, title, f"the label, and what each reads:  {note}")
        axes.set_axis_off()


def _draw_accuracies(axes: Axes, comparison: Comparison) -> None:
    reports = list(comparison.reports.values())
    ends = [report.interval for report in reports]
    values = [report.accuracy for report in reports]
    _dots(axes, values, ends, [theme().blue] * len(values))
    names = [
        f"{name}\n{percent(report.accuracy, 2)}" for name, report in comparison.reports.items()
    ]
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_formatter(share_ticks())


def _draw_differences(axes: Axes, pairs: Sequence[Pair]) -> None:
    blue, orange = theme().blue, theme().orange
    colours = [blue if pair.interval[0] <= 0 <= pair.interval[1] else orange for pair in pairs]
    values = [pair.difference for pair in pairs]
    _dots(axes, values, [pair.interval for pair in pairs], colours)
    axes.axvline(0, color=theme().soft, linestyle="--", linewidth=1.3, zorder=0)
    names = [f"{pair.first} less {pair.second}\np = {pair.p_holm:.2g}" for pair in pairs]
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_formatter(FuncFormatter(_points))
    axes.set_xlabel("percentage points")


def _dots(
    axes: Axes,
    values: Sequence[float],
    ends: Sequence[tuple[float, float]],
    colours: Sequence[str],
) -> None:
    for place, (value, (low, high), colour) in enumerate(zip(values, ends, colours, strict=True)):
        axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=8)
    axes.set_ylim(len(values) - 0.5, -0.5)


def _mosaic(
    tiles: npt.NDArray[np.uint8], chosen: npt.NDArray[np.int64], rows: int, high: int
) -> npt.NDArray[np.uint8]:
    mosaic = np.zeros((rows * high, COLUMNS * _WIDE), np.uint8)
    for place, index in enumerate(chosen):
        row, column = divmod(place, COLUMNS)
        top, left = row * high + 2, column * _WIDE + (_WIDE - 28) // 2
        mosaic[top : top + 28, left : left + 28] = tiles[index]
    return mosaic


def _caption(axes: Axes, comparison: Comparison, index: int, x: float, y: float) -> None:
    truth = int(comparison.labels[index])
    text: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 10}
    axes.text(x, y, f"label {truth}", color=theme().soft, **text)
    reports = comparison.reports.values()
    for place, (letter, report) in enumerate(zip(LETTERS, reports, strict=False), 1):
        read, sure = int(report.predicted[index]), float(report.confidence[index])
        colour = theme().ink if read == truth else theme().red
        line = f"{letter} {read}  {percent(min(sure, 0.9994), 0 if sure < 0.995 else 1)}"
        weight = "normal" if read == truth else "bold"
        axes.text(x, y + place * _LINE, line, color=colour, weight=weight, **text)


def _points(value: float, _: int) -> str:
    return f"{100 * value:+.3g}" if abs(value) > 1e-9 else "0"
