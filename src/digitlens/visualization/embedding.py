"""A map of tiles, on which those that are alike to a network lie together."""

from __future__ import annotations

from colorsys import hls_to_rgb
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from digitlens.visualization.style import canvas, headline, luminance, theme

Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
_SIDE = 0.024  # of a thumbnail, in sides of the map
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
        path: The ``.png`` or ``.svg`` file to write.
        method: What brought the features to two dimensions.

    Raises:
        ValueError: There is no point, or another suffix.
    """
    if not len(points):
        raise ValueError("expected points to draw, found none")
    places = _fitted(points)
    wrong = np.flatnonzero(labels != predicted)
    shown = _apart(places, np.concatenate([wrong, np.flatnonzero(labels == predicted)]))
    with canvas(path, _INCHES, _INCHES + 0.75) as figure:
        axes = figure.add_subplot()
        for index in shown[::-1]:  # mistakes last, on top
            _draw_tile(axes, tiles[index], places[index], int(labels[index]))
        for index in set(shown) & set(wrong.tolist()):
            _ring(axes, places[index])
        for digit in np.unique(labels):
            _draw_name(axes, int(digit), places[labels == digit])
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_axis_off()
        headline(axes, *_words(len(points), len(shown), len(wrong), method))


def _words(count: int, shown: int, wrong: int, method: str) -> tuple[str, str]:
    note = f"features in two dimensions by {method}"
    if shown < count:
        note += f"; {shown:,} of {count:,} tiles, so that none lies over another"
    if wrong:
        note += "; ringed: read wrong"
    return "What looks alike to the network lies together", note


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
        if (far > _ROOM * _SIDE).all():
            kept.append(index)
    return kept


def _draw_tile(
    axes: Axes, tile: npt.NDArray[np.uint8], place: npt.NDArray[np.float32], digit: int
) -> None:
    x, y = place.tolist()
    half = _SIDE / 2
    colour = _colour(digit)
    clear = (*colour, 0.0)
    ink = LinearSegmentedColormap.from_list("ink", [clear, (*colour, 1.0)])
    extent = (x - half, x + half, y - half, y + half)
    axes.imshow(tile, ink, vmin=0, vmax=255, extent=extent, interpolation="antialiased")


def _ring(axes: Axes, place: npt.NDArray[np.float32]) -> None:
    x, y = place.tolist()
    ring = Circle((x, y), 0.72 * _SIDE, fill=False, edgecolor=theme().red, linewidth=2)
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
    target = 0.16 if luminance(theme().ground) > 0.5 else 0.42
    hue = 0.07 + 0.84 * _HUES[digit] / 9  # from orange to magenta: red is for mistakes
    # The lightness at which a hue has this luminance: yellow is bright at once, blue never.
    levels = np.linspace(0.05, 0.95, 91)
    found = [abs(luminance(hls_to_rgb(hue, level, 0.75)) - target) for level in levels]
    return hls_to_rgb(hue, float(levels[int(np.argmin(found))]), 0.75)
