"""The first filters of a network, the patterns of light and dark that it looks for in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from digitlens.visualization.diverging import diverging
from digitlens.visualization.style import canvas, headline, theme

COLUMNS = 8
_GAP = 0.16  # of a filter's side


def draw_filters(filters: npt.NDArray[np.float32], path: Path) -> None:
    """All filters on one scale that is the same above and below 0.

    Args:
        filters: float32[C, k, k]; the kernels of the first convolution.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: They have another shape, or another suffix.
    """
    if filters.ndim != 3 or not len(filters):
        raise ValueError(f"expected filters of shape [C, k, k], found {list(filters.shape)}")
    columns = min(COLUMNS, len(filters))
    rows = -(-len(filters) // columns)
    count, side = len(filters), filters.shape[-1]
    with canvas(path, 9.2, 1.55 + rows * 1.08) as figure:
        axes = figure.add_subplot()
        limit = float(np.abs(filters).max()) or 1.0
        for place, kernel in enumerate(filters):
            row, column = divmod(place, columns)
            _draw_filter(axes, kernel / limit, column * (1 + _GAP), row * (1 + _GAP))
        _frame(axes, columns, rows)
        _draw_scale(figure, axes)
        headline(
            axes,
            f"{count} filters of {side} x {side}, the first to see the pixels",
            "laid over every place of a tile: ink under blue raises a filter's answer, under red "
            "lowers it",
        )


def _draw_filter(axes: Axes, kernel: npt.NDArray[np.float32], x: float, y: float) -> None:
    """A kernel, -1 to 1, as a square of side 1 with its upper left corner at x, y."""
    extent = (x, x + 1, y + 1, y)
    axes.imshow(kernel, diverging(), vmin=-1, vmax=1, extent=extent, interpolation="nearest")
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=theme().faint, linewidth=1))


def _frame(axes: Axes, columns: int, rows: int) -> None:
    edge = 0.02
    axes.set_xlim(-edge, max(columns, COLUMNS) * (1 + _GAP) - _GAP + edge)
    axes.set_ylim(rows * (1 + _GAP) - _GAP + edge, -edge)
    axes.set_aspect("equal", anchor="NW")
    axes.set_axis_off()


def _draw_scale(figure: Figure, axes: Axes) -> None:
    ramp = axes.imshow([[0.0]], diverging(), vmin=-1, vmax=1, extent=(0, 0, 0, 0))
    bar = figure.colorbar(
        ramp, ax=axes, orientation="horizontal", shrink=0.42, aspect=28, pad=0.04, anchor=(0, 1)
    )
    bar.set_ticks([-1, 0, 1], labels=["lowers", "0", "raises"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=theme().soft)
    first, _, last = bar.ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
