"""Why a tile was read as it was: maps of what speaks for an answer and against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from digitlens.visualization.diverging import diverging
from digitlens.visualization.style import canvas, percent, theme

Tile = npt.NDArray[np.uint8]
_SIDE = 2.75  # inches of a map
_OUTLINE = 100  # brightness at which the ink's outline is drawn


def draw_saliency(
    tile: Tile,
    value: int,
    probabilities: npt.NDArray[np.float32],
    maps: Mapping[str, npt.NDArray[np.float32]],
    path: Path,
    *,
    truth: int | None = None,
) -> None:
    """The tile, each map with the outline of the ink laid over it, and the ten probabilities.

    Args:
        tile: uint8[28, 28], ink bright on dark.
        value: The digit that the maps speak of.
        probabilities: float32[10].
        maps: By name, float32[28, 28]: above 0 what speaks for the value, below 0 against it. Each
            has a scale of its own, since they are measured in different ways.
        path: The ``.png`` or ``.svg`` file to write.
        truth: The tile's label, if it is known.

    Raises:
        ValueError: Another suffix.
    """
    with canvas(path, _SIDE * (len(maps) + 2), _SIDE + 1.3) as figure:
        first, *others, last = figure.subplots(1, len(maps) + 2)
        _draw_tile(first, tile)
        for axes, (name, found) in zip(others, maps.items(), strict=True):
            _draw_map(axes, tile, found, name)
        _draw_probabilities(last, value, probabilities)
        title = _title(value, _sure(float(probabilities[value])), truth)
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, weight="bold")
        if maps:
            _tell(figure)


def _title(value: int, sure: str, truth: int | None) -> str:
    if truth is None or truth == value:
        return f"Why a {value}?  {sure} sure"
    return f"Why a {value}, and not the {truth} that it is?  {sure} sure"


def _tell(figure: Figure) -> None:
    note = (
        "blue speaks for it, red against it; the line is the edge of the ink; a scale for each map"
    )
    figure.supxlabel(note, x=0.012, ha="left", fontsize=11, color=theme().soft)


def _draw_tile(axes: Axes, tile: Tile) -> None:
    axes.imshow(tile, theme().tiles, vmin=0, vmax=255, interpolation="nearest")
    _frame(axes, "the tile")


def _draw_map(axes: Axes, tile: Tile, found: npt.NDArray[np.float32], name: str) -> None:
    limit = float(np.abs(found).max()) or 1.0
    axes.imshow(found / limit, diverging(), vmin=-1, vmax=1, interpolation="nearest")
    if tile.min() < _OUTLINE < tile.max():
        axes.contour(tile, [_OUTLINE], colors=[theme().ink], linewidths=1.1)
    _frame(axes, name)


def _frame(axes: Axes, name: str) -> None:
    """A name, no ticks, and a quiet edge, since the ground may be the picture's own."""
    _entitle(axes, name)
    axes.set_axis_off()
    axes.add_patch(
        Rectangle((-0.5, -0.5), 28, 28, fill=False, edgecolor=theme().faint, linewidth=1.2)
    )


def _draw_probabilities(axes: Axes, value: int, probabilities: npt.NDArray[np.float32]) -> None:
    """Bars, the most probable on top."""
    order = np.argsort(-probabilities, kind="stable")
    colours = [theme().blue if digit == value else theme().soft for digit in order]
    axes.barh(range(10), probabilities[order], 0.72, color=colours)
    for place, digit in enumerate(order):
        share = float(probabilities[digit])
        axes.text(share + 0.03, place, _sure(share), va="center", fontsize=9, color=theme().soft)
    axes.set_yticks(range(10), [str(digit) for digit in order])
    axes.set_ylim(9.6, -0.6)
    axes.set_xlim(0, 1.4)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_box_aspect(1)
    _entitle(axes, "probability")


def _entitle(axes: Axes, name: str) -> None:
    axes.set_title(name, fontsize=11, weight="normal", pad=8)


def _sure(share: float) -> str:
    """A probability, which rounding must not turn into certainty or into nothing."""
    if share > 0.9995:
        return "> 99.9 %"
    return percent(share) if share >= 0.0005 else "< 0.1 %"
