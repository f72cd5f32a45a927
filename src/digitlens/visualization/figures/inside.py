"""The inside of a network: first filters, feature maps of every layer, saliency, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke

from digitlens.visualization.theme import (
    canvas,
    diverging,
    headline,
    luminance,
    plot,
    rising,
    rounded_share,
    theme,
)

if TYPE_CHECKING:
    from digitlens.models.layers import Kind, Layer

COLUMNS = 8
_GAP = 0.16  # of a filter's side


def draw_filters(filters: npt.NDArray[np.float32], path: Path) -> None:
    """Draws the first kernels, float32[C, k, k], on one scale, symmetric around 0."""
    columns = min(COLUMNS, len(filters))
    rows = -(-len(filters) // columns)
    count, side = len(filters), filters.shape[-1]
    with canvas(path, 9.2, 1.55 + rows * 1.08) as figure:
        axes = figure.add_subplot()
        limit = float(np.abs(filters).max()) or 1.0
        for index, kernel in enumerate(filters):
            y, x = (1 + _GAP) * np.array(divmod(index, columns))
            axes.imshow(
                kernel / limit,
                diverging(),
                vmin=-1,
                vmax=1,
                extent=(x, x + 1, y + 1, y),
                interpolation="nearest",
            )
            _draw_edge(axes, x, y, 1, 1)
        edge = 0.02
        axes.set_xlim(-edge, max(columns, COLUMNS) * (1 + _GAP) - _GAP + edge)
        axes.set_ylim(rows * (1 + _GAP) - _GAP + edge, -edge)
        axes.set_aspect("equal", anchor="NW")
        axes.set_axis_off()
        ramp = axes.imshow([[0.0]], diverging(), vmin=-1, vmax=1, extent=(0, 0, 0, 0))
        bar = figure.colorbar(
            ramp,
            ax=axes,
            orientation="horizontal",
            shrink=0.42,
            aspect=28,
            pad=0.04,
            anchor=(0, 1),
        )
        bar.set_ticks([-1, 0, 1], labels=["lowers", "0", "raises"])
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelcolor=theme().soft)
        first, _, last = bar.ax.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        note = "applied at every position of a tile: ink under blue raises a filter's output, "
        title = f"{count} filters of {side} x {side} in the first layer"
        headline(axes, title, f"{note}under red lowers it")


MAX_MAPS = 16  # maps per layer: the strongest
_NAME_WIDTH = 4.3  # width left of the rows, for names, in units of a map with its gap
_MAP_SIDE = 0.9  # side of a map
_TILE_SIDE = 3.0  # side of the tile
_BAR_PITCH = MAX_MAPS / 11  # pitch of the bars
_STRIP_LENGTH = 64  # values per line of a dense layer
_ROW_GAP = 0.3  # between two rows
_UNIT_INCHES = 0.6  # inches per unit

_NOTES: dict[Kind, str] = {
    "convolution": "A convolution slides small filters over all maps of the previous layer.\n"
    "Where a filter matches, its own map is bright.",
    "pooling": "Pooling shrinks maps: it keeps what was found among neighbours\n"
    "and drops the exact position.",
    "dense": "A dense layer weighs all its inputs at once: a score for each digit.",
}


def draw_feature_maps(tile: npt.NDArray[np.uint8], layers: Sequence[Layer], path: Path) -> None:
    """Draws the tile, uint8[28, 28], a row per layer, strongest maps first, and probabilities.

    Layers are as ``digitlens.models.layers.activations`` returns them, the tile first.
    """
    heights = [_height(layer) for layer in layers]
    width = (_NAME_WIDTH + MAX_MAPS) * _UNIT_INCHES + 0.3
    height = (sum(heights) + _ROW_GAP * (len(layers) - 1)) * _UNIT_INCHES + 0.85
    with canvas(path, width, height) as figure:
        figure.set_layout_engine("none")  # keeps all rows on one scale, regardless of their text
        grid = {
            "left": 0.15 / width,
            "right": 1 - 0.15 / width,
            "bottom": 0.1 / height,
            "top": 1 - 0.75 / height,
            "hspace": _ROW_GAP / fmean(heights),
            "height_ratios": heights,
        }
        rows = figure.subplots(len(layers), 1, gridspec_kw=grid, squeeze=False)[:, 0]
        for axes, layer, hue in zip(rows, layers, _hues(layers), strict=True):
            _draw_layer(axes, layer, hue, tile)
            _label_layer(axes, layer, hue)
        notes = [text for kind, text in _NOTES.items() if kind in {one.kind for one in layers}]
        rows[0].text(
            _TILE_SIDE + 0.6,
            _TILE_SIDE / 2,
            "\n\n".join(notes),
            va="center",
            color=theme().soft,
            fontsize=11,
            linespacing=1.3,
        )
        title = f"How a network reads a {layers[-1].maps.argmax()}, layer by layer"
        note = f"the strongest maps of each layer, at most {MAX_MAPS}, on one scale: "
        headline(rows[0], title, f"{note}the stronger the colour, the stronger the activation")


def _hues(layers: Sequence[Layer]) -> list[str]:
    """A colour for each layer; it changes where maps become smaller."""
    colours = theme()
    hues = (colours.blue, colours.green, colours.orange)
    sides = list(dict.fromkeys(layer.maps.shape[-1] for layer in layers if _has_maps(layer)))
    return [
        hues[sides.index(layer.maps.shape[-1]) % len(hues)] if _has_maps(layer) else colours.ink
        for layer in layers
    ]


def _has_maps(layer: Layer) -> bool:
    return layer.kind in {"convolution", "pooling"}


def _is_scores(layer: Layer) -> bool:
    """Whether the values are scores of the ten digits, possibly with one for "no digit"."""
    return layer.maps.ndim == 1 and len(layer.maps) in {10, 11}


def _height(layer: Layer) -> float:
    if layer.kind == "tile":
        return _TILE_SIDE
    if _has_maps(layer):
        return _MAP_SIDE
    return 2.35 if _is_scores(layer) else min(2.0, -(-len(layer.maps) // _STRIP_LENGTH) * 0.3 + 0.2)


def _label_layer(axes: Axes, layer: Layer, hue: str) -> None:
    """Writes name and size of a layer, next to a rule in its hue."""
    look: dict[str, Any] = {"transform": axes.get_xaxis_transform()}
    rule = [-_NAME_WIDTH + 0.06] * 2
    axes.plot(rule, [0, 1], color=hue, linewidth=3.5, solid_capstyle="butt", **look)
    size = layer.size
    if _is_scores(layer):
        shares = layer.kind == "probabilities"
        size = "softmax of the scores" if shares else "a score for each digit"
    left, soft = -_NAME_WIDTH + 0.3, theme().soft
    axes.text(left, 0.52, layer.name, va="bottom", weight="bold", fontsize=10.5, **look)
    axes.text(left, 0.46, size, va="top", color=soft, fontsize=9.5, **look)


def _draw_layer(axes: Axes, layer: Layer, hue: str, tile: npt.NDArray[np.uint8]) -> None:
    axes.set_axis_off()
    scale: dict[str, Any] = {"vmin": 0, "vmax": 1, "interpolation": "nearest"}
    if layer.kind == "tile":
        extent = (0, _TILE_SIDE, 0, _TILE_SIDE)
        axes.imshow(tile, theme().tiles, vmin=0, vmax=255, extent=extent, interpolation="nearest")
        _draw_edge(axes, 0, 0, _TILE_SIDE, _TILE_SIDE)
        axes.set_ylim(0, _TILE_SIDE)
    elif _has_maps(layer):
        maps = np.maximum(layer.maps, 0)
        strongest = maps[np.argsort(-maps.sum(axis=(1, 2)), kind="stable")[:MAX_MAPS]]
        for x, feature_map in enumerate(strongest / (float(maps.max()) or 1.0)):
            axes.imshow(feature_map, rising(hue), extent=(x, x + _MAP_SIDE, 0, _MAP_SIDE), **scale)
        axes.set_ylim(0, _MAP_SIDE)
    elif _is_scores(layer):
        _draw_bars(axes, layer)
    else:
        values = np.maximum(layer.maps, 0)
        lines, width = -(-len(values) // _STRIP_LENGTH), min(len(values), _STRIP_LENGTH)
        cells = np.zeros(lines * width, np.float32)
        cells[: len(values)] = values / (float(values.max()) or 1.0)
        extent = (0, MAX_MAPS * width / _STRIP_LENGTH, 0, _height(layer))
        axes.imshow(cells.reshape(lines, width), rising(hue), extent=extent, **scale)
        axes.set_ylim(0, _height(layer))
    axes.set_xlim(-_NAME_WIDTH, MAX_MAPS)


def _draw_bars(axes: Axes, layer: Layer) -> None:
    """Draws a bar per digit, from 0 up or down, with its value above; the highest in blue."""
    values = layer.maps / (float(np.abs(layer.maps).max()) or 1.0)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    span, first = high - low, int(values.argmax())
    middles = (np.arange(len(values)) + 0.4) * _BAR_PITCH
    colours = [theme().blue if digit == first else theme().soft for digit in range(len(values))]
    axes.bar(middles, values, 0.8 * _BAR_PITCH, color=colours)
    axes.plot([0, middles[-1] + 0.4 * _BAR_PITCH], [0, 0], color=theme().soft, linewidth=0.8)
    for digit, (x, value) in enumerate(zip(middles, layer.maps.tolist(), strict=True)):
        text = rounded_share(value) if layer.kind == "probabilities" else f"{value:+.1f}"
        look: dict[str, Any] = {"ha": "center", "weight": "bold" if digit == first else "normal"}
        axes.text(x, high + 0.1 * span, text, color=colours[digit], fontsize=8.5, **look)
        ink = theme().blue if digit == first else theme().ink
        name = str(digit) if digit < 10 else "none"
        axes.text(x, low - 0.08 * span, name, va="top", color=ink, fontsize=12, **look)
    axes.set_ylim(low - 0.33 * span, high + 0.25 * span)


def _draw_edge(axes: Axes, x: float, y: float, width: float, height: float) -> None:
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
    """Draws the tile, each map with the outline of the ink over it, and the ten probabilities.

    Maps are by name, float32[28, 28]: above 0 is evidence for the value, below 0 against it. Each
    has its own scale, since they are measured in different ways.
    """
    question = f"Why a {value}?"
    if truth not in {None, value}:
        question = f"Why a {value} instead of the true {truth}?"
    with canvas(path, _SIDE * (len(maps) + 2), _SIDE + 1.3) as figure:
        first, *others, last = figure.subplots(1, len(maps) + 2)
        first.imshow(tile, theme().tiles, vmin=0, vmax=255, interpolation="nearest")
        _frame_map(first, "the tile")
        for axes, (name, saliency) in zip(others, maps.items(), strict=True):
            limit = float(np.abs(saliency).max()) or 1.0
            axes.imshow(saliency / limit, diverging(), vmin=-1, vmax=1, interpolation="nearest")
            if tile.min() < _OUTLINE < tile.max():
                axes.contour(tile, [_OUTLINE], colors=[theme().ink], linewidths=1.1)
            _frame_map(axes, name)
        _draw_probabilities(last, value, probabilities)
        title = f"{question}  {rounded_share(float(probabilities[value]))} sure"
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, weight="bold")
        if maps:
            note = "blue: evidence for it, red: against it; line: outline of the ink"
            note += "; each map has its own scale"
            figure.supxlabel(note, x=0.012, ha="left", fontsize=11, color=theme().soft)


def _frame_map(axes: Axes, name: str) -> None:
    """Adds a name and a faint edge, as the map may have the colour of the background."""
    axes.set_title(name, fontsize=11, weight="normal", pad=8)
    axes.set_axis_off()
    _draw_edge(axes, -0.5, -0.5, 28, 28)


def _draw_probabilities(axes: Axes, value: int, probabilities: npt.NDArray[np.float32]) -> None:
    """Draws horizontal bars, the most probable on top."""
    order = np.argsort(-probabilities, kind="stable")
    colours = [theme().blue if digit == value else theme().soft for digit in order]
    axes.barh(range(10), probabilities[order], 0.72, color=colours)
    for row, digit in enumerate(order):
        share = float(probabilities[digit])
        text = rounded_share(share)
        axes.text(share + 0.03, row, text, va="center", fontsize=9, color=theme().soft)
    axes.set_yticks(range(10), [str(digit) for digit in order])
    axes.set(ylim=(9.6, -0.6), xlim=(0, 1.4), xticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_box_aspect(1)
    axes.set_title("probability", fontsize=11, weight="normal", pad=8)


Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
_THUMBNAIL = 0.024  # side of a thumbnail, in sides of the map
_MIN_SPACING = 0.8  # least distance of thumbnails, in their sides: digits do not fill their tiles
_EDGE = 0.03
_FIGURE_INCHES = 10.5
# Rank of each digit on the scale of hues. Digits that look alike are far apart: 4, 9, 7 and 1; 3, 5
# and 8; 0 and 6.
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
    """Draws thumbnails of the tiles at the positions of their features, coloured by digit.

    Not everyone can distinguish ten hues, so thumbnails and names of the digits carry the
    information. Of tiles, uint8[N, 28, 28], that would overlap, one is drawn, errors first.
    ``points`` is float[N, 2]; ``method`` names the projection in the note.
    """
    positions = _fit_to_square(points)
    wrong = np.flatnonzero(labels != predicted)
    shown = _choose_spaced(positions, np.concatenate([wrong, np.flatnonzero(labels == predicted)]))
    with plot(path, _FIGURE_INCHES, _FIGURE_INCHES + 0.75) as axes:
        picture = _picture(positions[shown], labels[shown], tiles[shown])
        axes.imshow(picture, extent=(0, 1, 0, 1), interpolation="bilinear")
        ringed = np.intersect1d(shown, wrong)
        for x, y in positions[ringed].tolist():
            ring = Circle((x, y), 0.72 * _THUMBNAIL, fill=False, edgecolor=theme().red, linewidth=2)
            ring.set_zorder(5)  # above the digits' names
            axes.add_patch(ring)
        halo = withStroke(linewidth=6, foreground=theme().ground)
        for digit in np.unique(labels).tolist():
            # At the median of its tiles, which is robust to outliers.
            x, y = np.median(positions[labels == digit], axis=0).tolist()
            text = axes.text(x, y, str(digit), ha="center", va="center", fontsize=34, weight="bold")
            text.set(color=_colour(digit), path_effects=[halo])
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_axis_off()
        note = f"features in two dimensions by {method}"
        if len(shown) < len(points):
            count = f"{len(shown):,} of {len(points):,} tiles"
            note += f"; {count}, without overlaps"
        if len(wrong):
            note += "; ringed: errors"
        headline(axes, "Tiles that are similar to the network lie close together", note)


def _fit_to_square(points: Points) -> Points:
    """Points scaled into the unit square, with their aspect ratio kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    return 0.5 + (points - (low + high) / 2) / span * (1 - 2 * _EDGE)


def _choose_spaced(positions: Points, order: npt.NDArray[np.int64]) -> list[int]:
    """Indices of points that are far enough apart, chosen greedily in the given order."""
    chosen: list[int] = []
    for index in order.tolist():
        distances = np.abs(positions[chosen] - positions[index]).max(axis=1)
        if (distances > _MIN_SPACING * _THUMBNAIL).all():
            chosen.append(index)
    return chosen


def _picture(places: Points, labels: Labels, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """All thumbnails as one picture, uint8[P, P, 3]; the first on top."""
    side = round(tiles.shape[1] / _THUMBNAIL)
    picture = np.empty((side, side, 3))
    picture[:] = to_rgb(theme().ground)
    for position, digit, tile in list(zip(places, labels, tiles, strict=True))[::-1]:
        left, top = np.round([position[0] * side - 14, (1 - position[1]) * side - 14]).astype(int)
        region = picture[top : top + 28, left : left + 28]
        region += (np.array(_colour(int(digit))) - region) * (tile / 255)[..., None]
    return (255 * picture).round().astype(np.uint8)


def _colour(digit: int) -> tuple[float, float, float]:
    """The colour of a digit, dark on a bright background and bright on a dark one."""
    return _hue_at_luminance(_HUES[digit], 0.16 if luminance(theme().ground) > 0.5 else 0.42)


@lru_cache
def _hue_at_luminance(rank: int, target: float) -> tuple[float, float, float]:
    """The hue of a rank at the lightness that gives the target luminance."""
    hue = 0.07 + 0.84 * rank / 9  # from orange to magenta: red is for mistakes
    levels = np.linspace(0.05, 0.95, 91).tolist()
    level = min(levels, key=lambda each: abs(luminance(hls_to_rgb(hue, each, 0.75)) - target))
    return hls_to_rgb(hue, level, 0.75)
