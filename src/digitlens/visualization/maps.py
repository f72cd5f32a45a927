"""A digit on its way through a network: what every layer makes of it, on one poster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from digitlens.visualization.diverging import rising
from digitlens.visualization.style import canvas, headline, percent, theme

if TYPE_CHECKING:
    from digitlens.models.layers import Kind, Layer

MOST = 16  # maps of a layer: the strongest
_WIDE = 16.0  # of a row; the side of a map with the gap to the next is 1
_GAP = 0.1
_NAMES = 4.3  # width left of the rows, for names
_TILE = 3.0  # side of the tile
_BARS = 1.5  # height of the highest bar
_OVER, _UNDER = 0.35, 0.5  # above bars for values, below for digits
_STRIP = 64  # values in a line of a dense layer
_INCH = 0.6  # of a unit

_TOLD: dict[Kind, str] = {
    "convolution": "A convolution lays small filters over all maps of the layer above.\n"
    "Where a filter fits, it answers on its own map.",
    "pooling": "Pooling makes maps smaller: of neighbours, what was found is kept,\n"
    "and where exactly is forgotten.",
    "dense": "A dense layer weighs everything at once: a score for each digit.",
}


@dataclass
class _Row:
    """A layer on the poster.

    Attributes:
        layer: What is shown.
        hue: Its colour.
        top: Distance from the top of the poster.
        height: How high it is.
    """

    layer: Layer
    hue: str
    top: float
    height: float


def draw_feature_maps(tile: npt.NDArray[np.uint8], layers: Sequence[Layer], path: Path) -> None:
    """The tile, a row for each layer, the strongest maps first, and the ten probabilities.

    Args:
        tile: uint8[28, 28], ink bright on dark.
        layers: As ``digitlens.models.layers.activations`` gives them, the tile first.
        path: The ``.png`` or ``.svg`` file to write.

    Raises:
        ValueError: The last layer is not the probabilities, or another suffix.
    """
    if not layers or layers[-1].kind != "probabilities":
        raise ValueError("expected layers that end in probabilities, as activations gives them")
    rows = _arrange(layers)
    end = rows[-1].top + rows[-1].height + 0.1
    with canvas(path, (_NAMES + _WIDE + 0.4) * _INCH, end * _INCH + 0.95) as figure:
        axes = figure.add_subplot()
        for row in rows:
            _name(axes, row)
            _draw_row(axes, row, tile)
        _tell(axes, layers)
        axes.set_xlim(-_NAMES, _WIDE)
        axes.set_ylim(end, 0)
        axes.set_aspect("equal", anchor="NW")
        axes.set_axis_off()
        answer = layers[-1].maps
        headline(
            axes,
            f"How a network reads a {answer.argmax()}, layer by layer",
            f"of each layer its strongest maps, at most {MOST}, on one scale: the stronger the "
            "colour, the stronger the answer there",
        )


def _arrange(layers: Sequence[Layer]) -> list[_Row]:
    """Rows from top to bottom; where maps become smaller, the hue changes and a gap is left."""
    colours = theme()
    hues = [colours.blue, colours.green, colours.orange]
    sides: list[int] = []
    rows: list[_Row] = []
    bottom = 0.1
    for layer in layers:
        side = layer.maps.shape[-1] if layer.kind in {"convolution", "pooling"} else 0
        if not rows or side not in sides[-1:]:
            bottom += 0.35 * bool(rows)
            sides.append(side)
        maps = [each for each in sides if each]
        hue = hues[(len(maps) - 1) % len(hues)] if side else colours.ink
        rows.append(_Row(layer, hue, bottom, _height(layer)))
        bottom += rows[-1].height + 0.22
    return rows


def _height(layer: Layer) -> float:
    if layer.kind == "tile":
        return _TILE
    if layer.maps.ndim == 3:
        return 1 - _GAP
    if _is_scores(layer):
        return _OVER + _BARS + _UNDER
    return min(2.0, -(-len(layer.maps) // _STRIP) * 0.3 + 0.2)


def _is_scores(layer: Layer) -> bool:
    """Whether the values are those of the digits, perhaps with one of none."""
    return layer.maps.ndim == 1 and len(layer.maps) in {10, 11}


def _name(axes: Axes, row: _Row) -> None:
    """Name and size of a layer, beside a rule in its hue."""
    middle = row.top + row.height / 2
    axes.plot(
        [-_NAMES + 0.06] * 2,
        [row.top - 0.05, row.top + row.height + 0.05],
        color=row.hue,
        linewidth=3.5,
        solid_capstyle="butt",
    )
    left = -_NAMES + 0.3
    size = row.layer.size
    if _is_scores(row.layer):
        size = (
            "a score for each digit"
            if row.layer.kind == "dense"
            else "the scores, turned into shares"
        )
    axes.text(left, middle - 0.04, row.layer.name, va="bottom", weight="bold", fontsize=10.5)
    axes.text(left, middle + 0.06, size, va="top", color=theme().soft, fontsize=9.5)


def _tell(axes: Axes, layers: Sequence[Layer]) -> None:
    """Beside the tile, what the kinds of layers do."""
    kinds = {layer.kind for layer in layers}
    told = [text for kind, text in _TOLD.items() if kind in kinds]
    axes.text(
        _TILE + 0.6,
        0.1 + _TILE / 2,
        "\n\n".join(told),
        va="center",
        color=theme().soft,
        fontsize=11,
        linespacing=1.3,
    )


def _draw_row(axes: Axes, row: _Row, tile: npt.NDArray[np.uint8]) -> None:
    if row.layer.kind == "tile":
        _draw_tile(axes, row, tile)
    elif row.layer.maps.ndim == 3:
        _draw_maps(axes, row)
    elif _is_scores(row.layer):
        _draw_bars(axes, row)
    else:
        _draw_strip(axes, row)


def _draw_tile(axes: Axes, row: _Row, tile: npt.NDArray[np.uint8]) -> None:
    extent = (0, _TILE, row.top + _TILE, row.top)
    axes.imshow(tile, theme().tiles, vmin=0, vmax=255, extent=extent, interpolation="nearest")
    _edge(axes, 0, row.top, _TILE, _TILE)


def _draw_maps(axes: Axes, row: _Row) -> None:
    """The strongest maps, by what they give in all, on the scale of the layer."""
    maps = np.maximum(row.layer.maps, 0)
    strongest = np.argsort(-maps.sum(axis=(1, 2)), kind="stable")[:MOST]
    highest = float(maps.max()) or 1.0
    for place, number in enumerate(strongest):
        side = 1 - _GAP
        extent = (place, place + side, row.top + side, row.top)
        _heat(axes, maps[number] / highest, row.hue, extent)


def _draw_strip(axes: Axes, row: _Row) -> None:
    """The values of a dense layer in lines, in their order."""
    values = np.maximum(row.layer.maps, 0)
    lines = -(-len(values) // _STRIP)
    width = min(len(values), _STRIP)
    cells = np.zeros(lines * width, np.float32)
    cells[: len(values)] = values / (float(values.max()) or 1.0)
    right = (_WIDE - _GAP) * width / _STRIP
    extent = (0.0, right, row.top + row.height, row.top)
    _heat(axes, cells.reshape(lines, width), row.hue, extent)


def _heat(
    axes: Axes,
    values: npt.NDArray[np.floating[Any]],
    hue: str,
    extent: tuple[float, float, float, float],
) -> None:
    axes.imshow(values, rising(hue), vmin=0, vmax=1, extent=extent, interpolation="nearest")


def _draw_bars(axes: Axes, row: _Row) -> None:
    """A bar for each digit, from 0 up or down; the highest in blue."""
    values = row.layer.maps / (float(np.abs(row.layer.maps).max()) or 1.0)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    unit = _BARS / (high - low)
    floor = row.top + _OVER + unit * high
    step = _WIDE / 11
    axes.plot([0, step * len(values) - _GAP], [floor] * 2, color=theme().soft, linewidth=0.8)
    for digit, value in enumerate(values.tolist()):
        first = digit == int(row.layer.maps.argmax())
        colour = theme().blue if first else theme().soft
        left, width = digit * step, step - 3 * _GAP
        axes.add_patch(Rectangle((left, floor), width, -value * unit, color=colour, linewidth=0))
        _label(axes, row, digit, left + width / 2, first=first)


def _label(axes: Axes, row: _Row, digit: int, x: float, *, first: bool) -> None:
    """The digit under its bar, and above the row the value."""
    value = float(row.layer.maps[digit])
    text = _share(value) if row.layer.kind == "probabilities" else f"{value:+.1f}"
    weight = "bold" if first else "normal"
    colour = theme().blue if first else theme().soft
    axes.text(x, row.top + 0.2, text, ha="center", color=colour, fontsize=8.5, weight=weight)
    name = str(digit) if digit < 10 else "none"
    below = row.top + row.height - _UNDER + 0.1
    ink = theme().blue if first else theme().ink
    axes.text(x, below, name, ha="center", va="top", color=ink, fontsize=12, weight=weight)


def _share(value: float) -> str:
    """A probability, which rounding must not turn into certainty or into nothing."""
    if value > 0.9995:
        return "> 99.9 %"
    return percent(value) if value >= 0.0005 else "< 0.1 %"


def _edge(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=theme().faint))
