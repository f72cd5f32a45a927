"""What figures have in common: scaled axes, intervals, series, and tiles on a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from digitlens.evaluation.metrics import Bin, Floats, wilson_interval
from digitlens.visualization.theme import percent, theme

Tile = npt.NDArray[np.uint8]
FRAME = 60  # of 255, from ground to ink: a tile may be as blank as the ground
_FIRST, _STEP = 31, 7  # pixels from the top of a tile's cell to its captions, and between two


class Caption(NamedTuple):
    """A line of text under a tile."""

    text: str
    colour: str
    weight: str = "normal"
    size: float = 10


class TileCell(NamedTuple):
    """A tile on a grid, with the lines under it."""

    tile: Tile
    captions: Sequence[Caption] = ()


def draw_tile_grid(
    axes: Axes,
    cells: Mapping[tuple[int, int], TileCell],
    grid: tuple[int, int],
    size: tuple[int, int],
    *,
    row_names: Sequence[str] = (),
    framed: bool = False,
) -> None:
    """Draws tiles on one mosaic, a pixel a pixel.

    Args:
        axes: Where to.
        cells: By row and column.
        grid: Rows and columns.
        size: Width and height of a cell, in pixels.
        row_names: On the left of the rows.
        framed: Whether tiles have frames, since blank ones may be among them.
    """
    (rows, columns), (width, height) = grid, size
    mosaic = np.zeros((rows * height, columns * width), np.uint8)
    dy, dx = (1, 1) if framed else (2, (width - 28) // 2)
    for (row, column), cell in cells.items():
        top, left = row * height + dy, column * width + dx
        if framed:
            mosaic[top - 1 : top + 29, left - 1 : left + 29] = FRAME
        mosaic[top : top + 28, left : left + 28] = cell.tile
        for place, line in enumerate(cell.captions):
            axes.text(
                *(left + 14, row * height + _FIRST + _STEP * place, line.text),
                ha="center",
                va="top",
                color=line.colour,
                weight=line.weight,
                fontsize=line.size,
            )
    for row, name in enumerate(row_names):
        middle = row * height + dy + 14
        axes.text(-3, middle, name, ha="right", va="center", color=theme().soft, fontsize=11)
    axes.imshow(mosaic, theme().tiles, vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def rounded_share(share: float) -> str:
    """A probability, which rounding must not turn into certainty or into nothing."""
    if share > 0.9995:
        return "> 99.9 %"
    return percent(share) if share >= 0.0005 else "< 0.1 %"


def show_shares(*axes: Axis) -> None:
    """Ticks of shares from 0 to 1 as whole per cent."""
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def show_logarithms(
    *axes: Axis, write: Callable[[float], str], steps: tuple[int, ...] = (1, 2, 5)
) -> None:
    """Few ticks with texts on a logarithmic axis, and none between them."""
    for axis in axes:
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(written(write))


def written(write: Callable[[float], str]) -> FuncFormatter:
    """Ticks as a function writes them."""

    def text(value: float, _: int) -> str:
        return write(value)

    return FuncFormatter(text)


def round_ticks(most: int = 6, *, whole: bool = False) -> MaxNLocator:
    """Ticks at round numbers."""
    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole, min_n_ticks=1 if whole else 2)


def plain(value: float) -> str:
    """A number with as many digits as it needs."""
    return f"{value:g}"


def draw_bins(axes: Axes, bins: Sequence[Bin], ends: tuple[float, float], **look: object) -> None:
    """The share that is right against the confidence, with intervals of 95 %.

    Args:
        axes: Where to.
        bins: None is empty.
        ends: What lies beyond them is drawn on them.
        **look: As for ``Axes.errorbar``.
    """
    intervals = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    share = np.clip([row.accuracy for row in bins], *ends)
    axes.errorbar(
        np.clip([row.confidence for row in bins], *ends),
        share,
        interval_bars(share, np.clip(intervals, *ends)),
        capsize=3,
        **look,  # pyright: ignore[reportArgumentType]
    )


def interval_bars(values: npt.ArrayLike, intervals: npt.ArrayLike) -> Floats:
    """float64[2, N]; how far the ends of intervals are from their values, for ``errorbar``."""
    low, high = np.array(intervals, np.float64).T
    return np.clip([np.asarray(values) - low, high - np.asarray(values)], 0, None)
