"""Confusion matrices, scores per digit, sheets of tiles, and comparisons of models.

Tiles are those that were evaluated, uint8[N, 28, 28], in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from digitlens.evaluation.metrics import Counts
from digitlens.evaluation.report import Report
from digitlens.evaluation.significance import Comparison, Pair
from digitlens.visualization.theme import (
    Caption,
    TileCell,
    canvas,
    contrast,
    draw_tile_grid,
    headline,
    percent,
    plot,
    round_ticks,
    rounded_share,
    share_tick,
    show_logarithms,
    theme,
    tick_formatter,
)

_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw_confusion(report: Report, path: Path) -> None:
    """Draws the confusion matrix with only the errors in colour.

    Correct answers outnumber errors a thousand to one and would hide them on a common scale, so
    only errors are coloured, on a logarithmic scale. Below each count is its fraction of the tiles
    of that digit, which on the diagonal is the recall.
    """
    mistakes = report.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    highest = max(int(mistakes.max()), 2)
    with canvas(path, 8.8, 8.6) as figure:
        axes = figure.add_subplot(facecolor=theme().pale)
        drawn = axes.pcolormesh(
            np.ma.masked_equal(mistakes, 0),
            cmap=theme().heat,
            norm=LogNorm(1, highest),
            edgecolors=theme().ground,
            linewidth=1.5,
        )
        label = "errors, on a logarithmic scale"
        bar = figure.colorbar(drawn, shrink=0.72, pad=0.03, label=label)
        bar.set_ticks([tick for tick in _TICKS if tick <= highest], minor=False)
        bar.minorticks_off()
        bar.ax.yaxis.set_major_formatter(tick_formatter(_short))
        bar.outline.set_visible(False)
        _write_counts(axes, report.confusion, LogNorm(1, highest))
        share, low, high = (percent(each, 2) for each in (report.accuracy, *report.interval))
        note = f"accuracy {share}, 95 % interval from {low} to {high};  small: fraction of the row"
        headline(axes, f"{report.score.errors:,} errors in {report.n:,} tiles", note)
        for ticks in (axes.set_xticks, axes.set_yticks):
            ticks(np.arange(10) + 0.5, list("0123456789"))
        axes.set(aspect="equal", ylim=(10, 0))
        axes.set_xlabel("read as", fontsize=14)
        axes.set_ylabel("truth", fontsize=14)
        axes.tick_params(length=0, labelsize=14)
        axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, confusion: Counts, norm: LogNorm) -> None:
    """Writes each non-zero count, and below it its fraction of the row."""
    colours, rows = theme(), confusion.sum(axis=1)
    for truth, read in np.argwhere(confusion).tolist():
        count = int(confusion[truth, read])
        is_right = truth == read
        cell = colours.pale if is_right else colours.heat(norm(count))
        ink = colours.soft if is_right else max("#000000", "#FFFFFF", key=partial(contrast, cell))
        if is_right:
            square = Rectangle((read, truth), 1, 1, facecolor=cell, edgecolor=colours.ground)
            axes.add_patch(square)
        share = count / rows[truth]
        rate = percent(share, 0 if count == rows[truth] else 1 if share >= 0.01 else 2)
        look = {"ha": "center", "va": "center", "color": ink}
        axes.text(read + 0.5, truth + 0.4, f"{count:,}", look, size=12 if is_right else 14)
        axes.text(read + 0.5, truth + 0.76, rate, look, size=8)


# Possible starts of a score axis: the highest that leaves the lowest bar a quarter of the axis,
# since a bar that almost vanishes looks like a score near zero.
_STARTS = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)


def draw_classes(report: Report, path: Path) -> None:
    """Draws precision, recall and F1 of each digit as bars; a note states where the axis starts."""
    colours = theme()
    names, hues = ("precision", "recall", "F1"), (colours.blue, colours.orange, colours.green)
    scores = np.array([(row.precision, row.recall, row.f1) for row in report.classes])
    start = max((at for at in _STARTS if scores.min() - at >= (1 - at) / 4), default=0.0)
    with plot(path, 10.5, 5.2) as axes:
        for index, (name, colour) in enumerate(zip(names, hues, strict=True)):
            x, heights = np.arange(10) + (index - 1) * 0.26, scores[:, index] - start
            axes.bar(x, heights, 0.24, bottom=start, color=colour, label=name)
        note = f"the axis starts at {percent(start)}, not at 0" if start else ""
        headline(axes, "Precision, recall and F1 of each digit", note)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
        axes.set_xticks(range(10), [f"{row.digit}\n{row.support:,}" for row in report.classes])
        axes.set(xlabel="digit, and its number of tiles", ylabel="score")
        axes.set(xlim=(-0.6, 9.6), ylim=(start, 1))
        axes.yaxis.set_major_locator(round_ticks())
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol=" %"))
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        # Two strokes mark a broken axis, as the bars do not start at 0.
        for height in (0.03, 0.05) if start else ():
            axes.plot(
                [-0.009, 0.009],
                [height - 0.01, height + 0.01],
                color=colours.ink,
                linewidth=1.3,
                transform=axes.transAxes,
                clip_on=False,
            )


Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Cells = dict[tuple[int, int], int]  # row and column to the index of a tile

COLUMNS = 10
QUARTERS = ("highest", "", "median", "", "lowest")
WIDE, HIGH = 34, 46  # pixels of a cell: a tile, its two captions, and a margin


def draw_wrong(report: Report, tiles: Tiles, path: Path, *, most: int = 50) -> None:
    """Draws wrong predictions, the most confident first, since those do most harm."""
    chosen = _by_confidence(report, report.wrong)[:most]
    total = len(report.wrong)
    title = f"{total:,} wrong of {report.n:,}"
    if total > len(chosen):
        title += f", the {len(chosen)} most confident ones"
    note = "truth → read as, and confidence" if total else "nothing to show"
    cells = {divmod(position, COLUMNS): int(index) for position, index in enumerate(chosen)}
    _draw_read_tiles(report, tiles, cells, path, (title, note))


def draw_correct(report: Report, tiles: Tiles, path: Path) -> None:
    """Draws correct predictions, a column per digit, at the quartiles of confidence."""
    right = _by_confidence(report, np.flatnonzero(report.predicted == report.labels))
    cells: Cells = {}
    for digit in range(COLUMNS):
        ranked = right[report.labels[right] == digit]
        indices = np.linspace(0, len(ranked) - 1, min(len(ranked), len(QUARTERS))).round()
        for row, index in enumerate(indices.astype(int)):
            cells[row, digit] = int(ranked[index])
    title = f"{len(right):,} correct of {report.n:,}, by decreasing confidence"
    note = "truth → read as, and confidence; rows are quartiles of each digit"
    _draw_read_tiles(report, tiles, cells, path, (title, note), QUARTERS)


def draw_extremes(report: Report, tiles: Tiles, path: Path, *, most: int = 20) -> None:
    """Draws the most confident errors, and below them the least confident correct answers.

    The former show where confidence is misleading, the latter where it is needlessly low.
    """
    right = np.flatnonzero(report.predicted == report.labels)
    wrong = _by_confidence(report, report.wrong)[:most]
    doubtful = right[np.argsort(report.confidence[right], kind="stable")][:most]
    error_rows = max(1, -(-len(wrong) // COLUMNS))  # rows of errors; one empty row without errors
    hit_rows = max(1, -(-len(doubtful) // COLUMNS))
    cells = {divmod(position, COLUMNS): int(index) for position, index in enumerate(wrong)}
    for position, index in enumerate(doubtful):
        cells[error_rows + position // COLUMNS, position % COLUMNS] = int(index)
    names = ["errors", *[""] * (error_rows - 1), "correct", *[""] * (hit_rows - 1)]
    title = f"The {len(wrong)} most confident errors and {len(doubtful)} least confident hits"
    note = f"of {len(report.wrong):,} and {len(right):,};  truth → read as, and confidence"
    _draw_read_tiles(report, tiles, cells, path, (title, note), names)


def _by_confidence(report: Report, indices: Indices) -> Indices:
    """Indices of tiles by decreasing confidence."""
    return indices[np.argsort(-report.confidence[indices], kind="stable")]


def _draw_read_tiles(
    report: Report,
    tiles: Tiles,
    cells: Cells,
    path: Path,
    headings: tuple[str, str],
    row_names: Sequence[str] = (),
) -> None:
    rows = len(row_names) or 1 + max((row for row, _ in cells), default=0)
    row_height = 1.32 if row_names else 1.42  # names take some width, so tiles are smaller
    mosaic = {position: TileCell(tiles[i], _read_as(report, i)) for position, i in cells.items()}
    title, note = headings
    if set(cells.values()) & set(report.data.label_errors):
        note += ";  * the label is known to be wrong"
    with plot(path, 11, 1.1 + rows * row_height) as axes:
        draw_tile_grid(axes, mosaic, (rows, COLUMNS), (WIDE, HIGH), row_names=row_names)
        headline(axes, title, note)


def _read_as(report: Report, index: int) -> list[Caption]:
    truth, predicted = int(report.labels[index]), int(report.predicted[index])
    star = " *" if index in report.data.label_errors else ""
    colour = theme().ink if truth == predicted else theme().red
    sure = Caption(rounded_share(float(report.confidence[index])), theme().soft, size=9)
    return [Caption(f"{truth} → {predicted}{star}", colour, "bold"), sure]


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # abbreviate models where names would not fit
MAX_TILES = 50  # tiles per sheet
MAX_PAIRS = 30  # pairs per figure: those of the first models


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Draws each accuracy with its interval, and next to them each difference with its interval.

    Dots, not bars: the axes do not start at 0. A difference whose interval excludes 0 is orange.
    """
    pairs = comparison.pairs[:MAX_PAIRS]
    rows = max(len(comparison.names), len(pairs))
    with canvas(path, 12, 2.3 + 0.5 * rows) as figure:
        left, right = figure.subplots(1, 2)
        reports = comparison.reports.values()
        _draw_dots(left, [(report.accuracy, report.interval, theme().blue) for report in reports])
        names = [f"{name}\n{percent(one.accuracy, 2)}" for name, one in comparison.reports.items()]
        left.set_yticks(range(len(names)), names)
        left.xaxis.set_major_formatter(tick_formatter(share_tick))
        _draw_differences(right, pairs)
        note = "dots with 95 % intervals (Wilson)"
        headline(left, f"Accuracy on {comparison.n:,} tiles", note)
        headline(right, "Difference on the same tiles", "95 % intervals (Tango); McNemar's p")
        for axes in (left, right):
            axes.xaxis.set_major_locator(round_ticks(5))
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0)


def draw_disagreements(comparison: Comparison, tiles: npt.NDArray[np.uint8], path: Path) -> None:
    """Draws tiles that the models read differently, those with the most confident answers first."""
    disagreeing = comparison.disagreements()
    chosen = disagreeing[:MAX_TILES].tolist()
    cell_height = HIGH + 7 * (len(comparison.names) - 1)
    rows = max(1, -(-len(chosen) // COLUMNS))
    tile_cells = [TileCell(tiles[index], _read_by_each(comparison, index)) for index in chosen]
    cells = {divmod(position, COLUMNS): cell for position, cell in enumerate(tile_cells)}
    with plot(path, 11, 1.5 + rows * cell_height * 10.4 / (COLUMNS * WIDE)) as axes:
        draw_tile_grid(axes, cells, (rows, COLUMNS), (WIDE, cell_height))
        title = f"{len(disagreeing):,} of {comparison.n:,} tiles are read differently"
        if len(disagreeing) > len(chosen):
            title += f"; the {len(chosen)} most confident ones"
        key = zip(LETTERS, comparison.names, strict=False)
        note = ",  ".join(f"{letter} = {name}" for letter, name in key)
        headline(axes, title, f"the label, and the answer of each model:  {note}")


def _read_by_each(comparison: Comparison, index: int) -> list[Caption]:
    """Captions with the label and the answer of each model."""
    truth = int(comparison.labels[index])
    lines = [Caption(f"label {truth}", theme().soft)]
    for letter, report in zip(LETTERS, comparison.reports.values(), strict=False):
        read, sure = int(report.predicted[index]), float(report.confidence[index])
        look = (theme().ink, "normal") if read == truth else (theme().red, "bold")
        share = percent(min(sure, 0.9994), 0 if sure < 0.995 else 1)
        lines.append(Caption(f"{letter} {read}  {share}", *look))
    return lines


def _draw_differences(axes: Axes, pairs: Sequence[Pair]) -> None:
    blue, orange = theme().blue, theme().orange
    colours = [blue if pair.interval[0] <= 0 <= pair.interval[1] else orange for pair in pairs]
    rows = zip(pairs, colours, strict=True)
    _draw_dots(axes, [(pair.difference, pair.interval, colour) for pair, colour in rows])
    axes.axvline(0, color=theme().soft, linestyle="--", linewidth=1.3, zorder=0)
    names = [f"{pair.first} minus {pair.second}\np = {pair.p_holm:.2g}" for pair in pairs]
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_formatter(
        tick_formatter(lambda x: f"{100 * x:+.3g}" if abs(x) > 1e-9 else "0")
    )
    axes.set_xlabel("percentage points")


def _draw_dots(axes: Axes, rows: Sequence[tuple[float, tuple[float, float], str]]) -> None:
    """Draws rows of (value, interval, colour)."""
    for row, (value, interval, colour) in enumerate(rows):
        axes.plot(interval, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(value, row, "o", color=colour, markersize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)


_MIN_NAME_GAP = 0.115  # between the centres of two names, in heights of the axes
_NAME_REACH = 0.5  # distance below which the names of two dots could touch, in widths of the axes


@dataclass(frozen=True)
class ModelPoint:
    """One model of the comparison."""

    name: str
    parameters: int  # number of learned parameters
    bytes: int  # size of its graph's file
    accuracy: float  # fraction of tiles read correctly, 0 to 1
    interval: tuple[float, float]  # confidence interval of the accuracy
    microseconds: float  # time per tile


def draw_models(points: Sequence[ModelPoint], path: Path, *, note: str = "") -> None:
    """Draws error rates with intervals against parameters, and next to it against time per tile.

    ``note`` states how the time was measured.
    """
    with canvas(path, 12.4, 5.8) as figure:
        left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
        sizes = [(one.parameters, f"{one.bytes / 1000:,.0f} kB") for one in points]
        times = [(one.microseconds, f"{one.microseconds:,.3g} µs") for one in points]
        _draw_points(left, points, sizes)
        _draw_points(right, points, times)
        left.set(xlabel="parameters", ylabel="error rate")
        right.set_xlabel("microseconds per tile")
        headline(left, "Errors and size", "dots with 95 % intervals; both axes logarithmic")
        headline(right, "Errors and time", note)


def _draw_points(
    axes: Axes, points: Sequence[ModelPoint], labels: Sequence[tuple[float, str]]
) -> None:
    """Draws one panel; sets the limits before the names, whose positions depend on them."""
    xs = [x for x, _ in labels]
    axes.set(xscale="log", xlim=(min(xs) / 2, max(xs) * 2))
    _scale_errors(axes, points)
    for point, x in zip(points, xs, strict=True):
        high, low = (1 - end for end in point.interval)
        axes.plot([x] * 2, [low, high], color=theme().blue, linewidth=2, alpha=0.45)
        axes.plot(x, 1 - point.accuracy, "o", color=theme().blue, markersize=9)
    _label(axes, points, labels)
    show_logarithms(axes.xaxis, write=_short)
    axes.grid()


def _scale_errors(axes: Axes, points: Sequence[ModelPoint]) -> None:
    """Sets a logarithmic error axis, or a linear one if a model has no errors."""
    lows = [1 - point.interval[1] for point in points]
    highs = [1 - point.interval[0] for point in points]
    if min(lows) > 0 and all(point.accuracy < 1 for point in points):
        axes.set(yscale="log", ylim=(min(lows) / 1.2, max(highs) * 1.2))
        show_logarithms(axes.yaxis, write=share_tick, steps=(1, 2, 3, 5, 7))
    else:
        axes.set_ylim(-0.04 * max(highs), max(highs) * 1.1)
        axes.yaxis.set_major_formatter(tick_formatter(share_tick))


def _label(axes: Axes, points: Sequence[ModelPoint], labels: Sequence[tuple[float, str]]) -> None:
    """Writes names next to the dots, on the side with room, moved up where they would touch."""
    dots = [(place, 1 - one.accuracy) for (place, _), one in zip(labels, points, strict=True)]
    data = axes.transData.transform(dots)
    positions = axes.transAxes.inverted().transform(data)
    for index, height in _spread_points(positions):
        point, x = points[index], float(positions[index, 0])
        to_right = x < 0.6
        anchor = (x + (0.025 if to_right else -0.025), height)
        style: dict[str, Any] = {"transform": axes.transAxes, "ha": "left" if to_right else "right"}
        axes.text(*anchor, point.name, va="bottom", fontsize=11, weight="bold", **style)
        numbers = f"{percent(1 - point.accuracy, 2)} wrong · {labels[index][1]}"
        axes.text(*anchor, numbers, va="top", fontsize=10, color=theme().soft, **style)


def _spread_points(positions: npt.NDArray[np.float64]) -> list[tuple[int, float]]:
    """Heights of the names, from the lowest up: that of the dot, or above a nearby name."""
    heights: list[tuple[int, float]] = []
    for index in np.argsort(positions[:, 1], kind="stable").tolist():
        x, height = positions[index].tolist()
        for other, taken in heights:
            if abs(positions[other, 0] - x) < _NAME_REACH and height - taken < _MIN_NAME_GAP:
                height = taken + _MIN_NAME_GAP
        heights.append((index, height))
    return heights


def _short(value: float) -> str:
    """A number on an axis, with k for thousands and M for millions."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
