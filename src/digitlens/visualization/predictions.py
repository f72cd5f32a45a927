"""Grids of tiles with the truth, what they were read as, and the confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.report import Report
from digitlens.visualization.style import canvas, headline, percent, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Tiles = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Cells = dict[tuple[int, int], int]  # row and column to the index of a tile

COLUMNS = 10
QUARTERS = ("surest", "", "middle", "", "least sure")
WIDE, HIGH = 34, 46  # pixels of a cell: a tile, its two lines of text, and room around


class _Sheet(NamedTuple):
    cells: Cells
    title: str
    note: str
    row_names: Sequence[str] = ()


def draw_wrong(report: Report, tiles: Tiles, path: Path, *, most: int = 50) -> None:
    """Wrong predictions, the surest first, since those hurt most.

    Args:
        report: What was found.
        tiles: uint8[N, 28, 28]; the tiles that were evaluated, in their order.
        path: The ``.png`` or ``.svg`` file to write.
        most: At most this many tiles.
    """
    order = np.argsort(-report.confidence[report.wrong], kind="stable")
    chosen = report.wrong[order][:most]
    total = len(report.wrong)
    title = f"{total:,} wrong of {report.n:,}"
    if total > len(chosen):
        title += f", the {len(chosen)} surest of them"
    note = "truth → read as, and the confidence" if total else "nothing to show"
    if set(chosen.tolist()) & set(report.data.label_errors):
        note += ";  * the label is known to be wrong"
    cells = {divmod(place, COLUMNS): int(index) for place, index in enumerate(chosen)}
    _draw(_Sheet(cells, title, note), report, tiles, path)


def draw_correct(report: Report, tiles: Tiles, path: Path) -> None:
    """Right predictions, one column a digit, from the surest through the quartiles to the least.

    Args:
        report: What was found.
        tiles: uint8[N, 28, 28]; the tiles that were evaluated, in their order.
        path: The ``.png`` or ``.svg`` file to write.
    """
    right = np.flatnonzero(report.predicted == report.labels)
    cells: Cells = {}
    for digit in range(COLUMNS):
        ranked = right[report.labels[right] == digit]
        ranked = ranked[np.argsort(-report.confidence[ranked], kind="stable")]
        for row, index in enumerate(_spread(ranked, len(QUARTERS))):
            cells[row, digit] = int(index)
    title = f"{len(right):,} right of {report.n:,}, from the surest to the least sure"
    note = "truth → read as, and the confidence; rows are quartiles of each digit"
    _draw(_Sheet(cells, title, note, QUARTERS), report, tiles, path)


def draw_extremes(report: Report, tiles: Tiles, path: Path, *, most: int = 20) -> None:
    """The surest mistakes above, and below them the right answers that are the least sure.

    The former tell where confidence deceives, the latter what it cannot tell.

    Args:
        report: What was found.
        tiles: uint8[N, 28, 28]; the tiles that were evaluated, in their order.
        path: The ``.png`` or ``.svg`` file to write.
        most: At most this many tiles of each kind.
    """
    sure = report.confidence
    right = np.flatnonzero(report.predicted == report.labels)
    wrong = report.wrong[np.argsort(-sure[report.wrong], kind="stable")][:most]
    doubtful = right[np.argsort(sure[right], kind="stable")][:most]
    first = max(1, -(-len(wrong) // COLUMNS))  # rows of mistakes, empty where there is none
    last = max(1, -(-len(doubtful) // COLUMNS))
    cells = {divmod(place, COLUMNS): int(index) for place, index in enumerate(wrong)}
    for place, index in enumerate(doubtful):
        cells[first + place // COLUMNS, place % COLUMNS] = int(index)
    names = ["surest\nmistakes", *[""] * (first - 1), "least sure\nhits", *[""] * (last - 1)]
    title = f"The {len(wrong)} surest mistakes and the {len(doubtful)} least sure hits"
    note = f"of {len(report.wrong):,} and {len(right):,};  truth → read as, and the confidence"
    if set(wrong.tolist()) & set(report.data.label_errors):
        note += ";  * the label is known to be wrong"
    _draw(_Sheet(cells, title, note, names), report, tiles, path)


def _spread(ranked: Indices, number: int) -> Indices:
    if len(ranked) <= number:
        return ranked
    return ranked[np.linspace(0, len(ranked) - 1, number).round().astype(np.int64)]


def _draw(sheet: _Sheet, report: Report, tiles: Tiles, path: Path) -> None:
    rows = len(sheet.row_names) or 1 + max((row for row, _ in sheet.cells), default=0)
    row_height = 1.32 if sheet.row_names else 1.42  # names take some width, so tiles are smaller
    with canvas(path, 11, 1.1 + rows * row_height) as figure:
        axes = figure.add_subplot()
        axes.imshow(_mosaic(tiles, sheet.cells, rows), cmap=theme().tiles, interpolation="nearest")
        for (row, column), index in sheet.cells.items():
            _caption(axes, report, index, column * WIDE + WIDE / 2, row * HIGH + 30)
        for row, name in enumerate(sheet.row_names[:rows]):
            axes.text(
                -2, row * HIGH + 16, name, ha="right", va="center", color=theme().soft, fontsize=11
            )
        headline(axes, sheet.title, sheet.note)
        axes.set_axis_off()


def _mosaic(tiles: Tiles, cells: Cells, rows: int) -> Tiles:
    mosaic = np.zeros((rows * HIGH, COLUMNS * WIDE), np.uint8)
    left = (WIDE - 28) // 2
    for (row, column), index in cells.items():
        top, start = row * HIGH + 2, column * WIDE + left
        mosaic[top : top + 28, start : start + 28] = tiles[index]
    return mosaic


def _caption(axes: Axes, report: Report, index: int, x: float, y: float) -> None:
    truth, predicted = int(report.labels[index]), int(report.predicted[index])
    star = " *" if index in report.data.label_errors else ""
    colour = theme().ink if truth == predicted else theme().red
    axes.text(
        x, y + 1, f"{truth} → {predicted}{star}", color=colour, ha="center", va="top", weight="bold"
    )
    confidence = float(report.confidence[index])
    # Rounding must not turn nearly sure into certain.
    sure = percent(confidence) if confidence < 0.9995 else "> 99.9 %"
    axes.text(x, y + 8, sure, color=theme().soft, ha="center", va="top", fontsize=9)
