"""What a network sees: first filters, a tile through every layer, why, and its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

from digitlens.visualization.theme import (
    canvas,
    diverging,
    headline,
    luminance,
    rising,
    rounded_share,
    theme,
)

if TYPE_CHECKING:
    from digitlens.models.layers import Kind, Layer

COLUMNS = 8
_GAP = 0.16  # of a filter's side


def draw_filters(filters: npt.NDArray[np.float32], path: Path) -> None:
    """All filters on one scale that is the same above and below 0.

    Args:
        filters: float32[C, k, k]; the kernels of the first convolution.
        path: The ``.png`` or ``.svg`` file to write.
    """
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


MOST = 16  # maps of a layer: the strongest
_WIDE = 16.0  # of a row; the side of a map with the gap to the next is 1
_TILE_GAP = 0.1
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
    """A layer on the poster, by the distance of its top edge and its height."""

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
    """
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
        return 1 - _TILE_GAP
    if _is_scores(layer):
        return _OVER + _BARS + _UNDER
    return min(2.0, -(-len(layer.maps) // _STRIP) * 0.3 + 0.2)


def _is_scores(layer: Layer) -> bool:
    """Whether the values are those of the digits, perhaps with one of none."""
    return layer.maps.ndim == 1 and len(layer.maps) in {10, 11}


def _name(axes: Axes, row: _Row) -> None:
    """Name and size of a layer, next to a rule in its hue."""
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
        shares = row.layer.kind == "probabilities"
        size = "the scores, turned into shares" if shares else "a score for each digit"
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
        side = 1 - _TILE_GAP
        extent = (place, place + side, row.top + side, row.top)
        _heat(axes, maps[number] / highest, row.hue, extent)


def _draw_strip(axes: Axes, row: _Row) -> None:
    """The values of a dense layer in lines, in their order."""
    values = np.maximum(row.layer.maps, 0)
    lines = -(-len(values) // _STRIP)
    width = min(len(values), _STRIP)
    cells = np.zeros(lines * width, np.float32)
    cells[: len(values)] = values / (float(values.max()) or 1.0)
    right = (_WIDE - _TILE_GAP) * width / _STRIP
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
    axes.plot([0, step * len(values) - _TILE_GAP], [floor] * 2, color=theme().soft, linewidth=0.8)
    for digit, value in enumerate(values.tolist()):
        first = digit == int(row.layer.maps.argmax())
        colour = theme().blue if first else theme().soft
        left, width = digit * step, step - 3 * _TILE_GAP
        axes.add_patch(Rectangle((left, floor), width, -value * unit, color=colour, linewidth=0))
        _label(axes, row, digit, left + width / 2, first=first)


def _label(axes: Axes, row: _Row, digit: int, x: float, *, first: bool) -> None:
    """The digit under its bar, and above the row the value."""
    value = float(row.layer.maps[digit])
    text = rounded_share(value) if row.layer.kind == "probabilities" else f"{value:+.1f}"
    weight = "bold" if first else "normal"
    colour = theme().blue if first else theme().soft
    axes.text(x, row.top + 0.2, text, ha="center", color=colour, fontsize=8.5, weight=weight)
    name = str(digit) if digit < 10 else "none"
    below = row.top + row.height - _UNDER + 0.1
    ink = theme().blue if first else theme().ink
    axes.text(x, below, name, ha="center", va="top", color=ink, fontsize=12, weight=weight)


def _edge(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=theme().faint))


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
        truth: The tile's label, if it is known.
        path: The ``.png`` or ``.svg`` file to write.

    """
    question = f"Why a {value}?"
    if truth not in {None, value}:
        question = f"Why a {value}, and not the {truth} that it is?"
    with canvas(path, _SIDE * (len(maps) + 2), _SIDE + 1.3) as figure:
        first, *others, last = figure.subplots(1, len(maps) + 2)
        first.imshow(tile, theme().tiles, vmin=0, vmax=255, interpolation="nearest")
        _frame_map(first, "the tile")
        for axes, (name, found) in zip(others, maps.items(), strict=True):
            _draw_map(axes, tile, found, name)
        _draw_probabilities(last, value, probabilities)
        title = f"{question}  {rounded_share(float(probabilities[value]))} sure"
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, weight="bold")
        if maps:
            note = "blue speaks for it, red against it; the line is the edge of the ink; "
            note += "a scale for each map"
            figure.supxlabel(note, x=0.012, ha="left", fontsize=11, color=theme().soft)


def _draw_map(axes: Axes, tile: Tile, found: npt.NDArray[np.float32], name: str) -> None:
    limit = float(np.abs(found).max()) or 1.0
    axes.imshow(found / limit, diverging(), vmin=-1, vmax=1, interpolation="nearest")
    if tile.min() < _OUTLINE < tile.max():
        axes.contour(tile, [_OUTLINE], colors=[theme().ink], linewidths=1.1)
    _frame_map(axes, name)


def _frame_map(axes: Axes, name: str) -> None:
    """A name, no ticks, and a quiet edge, since the ground may be the picture's own."""
    axes.set_title(name, fontsize=11, weight="normal", pad=8)
    axes.set_axis_off()
    _edge(axes, -0.5, -0.5, 28, 28)


def _draw_probabilities(axes: Axes, value: int, probabilities: npt.NDArray[np.float32]) -> None:
    """Bars, the most probable on top."""
    order = np.argsort(-probabilities, kind="stable")
    colours = [theme().blue if digit == value else theme().soft for digit in order]
    axes.barh(range(10), probabilities[order], 0.72, color=colours)
    for place, digit in enumerate(order):
        share = float(probabilities[digit])
        look = {"va": "center", "fontsize": 9, "color": theme().soft}
        axes.text(share + 0.03, place, rounded_share(share), look)
    axes.set_yticks(range(10), [str(digit) for digit in order])
    axes.set_ylim(9.6, -0.6)
    axes.set_xlim(0, 1.4)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_box_aspect(1)
    axes.set_title("probability", fontsize=11, weight="normal", pad=8)


Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
_THUMBNAIL = 0.024  # of a thumbnail, in sides of the map
_ROOM = 0.8  # of a thumbnail's side, between two: digits do not fill their tiles
_EDGE = 0.03
_INCHES = 10.5
# Places on the scale of hues, of each digit: those that look alike are far apart, 4 and 9 and 7 and
# 1, 3 and 5 and 8, 0 and 6.
_HUES = (8, 0, 2, 4, 3, 1, 5, 9, 7, 6)


def draw_embedding(
    points: Points,
    labels: Labels,
    predicted: Labels,
    tiles: npt.NDArray[np.uint8],
    path: Path,
    *,
    method: str = "PCA",
) -> None:
    """Thumbnails of the tiles where their features lie, in the colour of their digit.

    Ten hues cannot be told apart by all: what is read is the thumbnails and the digits' names. Of
    tiles that would lie over each other one is drawn, a mistake before any other.

    Args:
        points: float[N, 2].
        labels: int[N]; the truth.
        predicted: int[N]; what each was read as.
        tiles: uint8[N, 28, 28], ink bright on dark.
        method: What brought the features to two dimensions.
        path: The ``.png`` or ``.svg`` file to write.
    """
    places = _fitted(points)
    wrong = np.flatnonzero(labels != predicted)
    shown = _apart(places, np.concatenate([wrong, np.flatnonzero(labels == predicted)]))
    with canvas(path, _INCHES, _INCHES + 0.75) as figure:
        axes = figure.add_subplot()
        picture = _picture(places[shown], labels[shown], tiles[shown])
        axes.imshow(picture, extent=(0, 1, 0, 1), interpolation="bilinear")
        for index in set(shown) & set(wrong.tolist()):
            _ring(axes, places[index])
        for digit in np.unique(labels):
            _draw_name(axes, int(digit), places[labels == digit])
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_axis_off()
        note = f"features in two dimensions by {method}"
        if len(shown) < len(points):
            count = f"{len(shown):,} of {len(points):,} tiles"
            note += f"; {count}, so that none lies over another"
        if len(wrong):
            note += "; ringed: read wrong"
        headline(axes, "What looks alike to the network lies together", note)


def _fitted(points: Points) -> Points:
    """Points in the unit square, their shape kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    return 0.5 + (points - (low + high) / 2) / span * (1 - 2 * _EDGE)


def _apart(places: Points, order: npt.NDArray[np.int64]) -> list[int]:
    """Indices of points none of which is too near to another, the first of the order first."""
    kept: list[int] = []
    for index in order.tolist():
        far = np.abs(places[kept] - places[index]).max(axis=1)
        if (far > _ROOM * _THUMBNAIL).all():
            kept.append(index)
    return kept


def _picture(places: Points, labels: Labels, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """All thumbnails as one picture uint8[P, P, 3], which is drawn at once; the first on top."""
    side = round(tiles.shape[1] / _THUMBNAIL)
    picture = np.empty((side, side, 3))
    picture[:] = to_rgb(theme().ground)
    for place, digit, tile in list(zip(places, labels, tiles, strict=True))[::-1]:
        left, top = np.round([place[0] * side - 14, (1 - place[1]) * side - 14]).astype(int)
        below = picture[top : top + 28, left : left + 28]
        below += (np.array(_colour(int(digit))) - below) * (tile / 255)[..., None]
    return (255 * picture).round().astype(np.uint8)


def _ring(axes: Axes, place: npt.NDArray[np.float32]) -> None:
    x, y = place.tolist()
    ring = Circle((x, y), 0.72 * _THUMBNAIL, fill=False, edgecolor=theme().red, linewidth=2)
    ring.set_zorder(5)  # over the digits' names
    axes.add_patch(ring)


def _draw_name(axes: Axes, digit: int, places: Points) -> None:
    """A digit's name in the middle of its tiles: the median, which strays do not move."""
    x, y = np.median(places, axis=0).tolist()
    halo = withStroke(linewidth=6, foreground=theme().ground)
    text = axes.text(x, y, str(digit), ha="center", va="center", fontsize=34, weight="bold")
    text.set(color=_colour(digit), path_effects=[halo])


def _colour(digit: int) -> tuple[float, float, float]:
    """A hue for each digit, dark on a bright ground and bright on a dark one."""
    return _as_bright(_HUES[digit], 0.16 if luminance(theme().ground) > 0.5 else 0.42)


@lru_cache
def _as_bright(place: int, target: float) -> tuple[float, float, float]:
    """The hue at a place, as light as it takes for a luminance: yellow is bright at once."""
    hue = 0.07 + 0.84 * place / 9  # from orange to magenta: red is for mistakes
    levels = np.linspace(0.05, 0.95, 91).tolist()
    level = min(levels, key=lambda each: abs(luminance(hls_to_rgb(hue, each, 0.75)) - target))
    return hls_to_rgb(hue, level, 0.75)
