"""A map of tiles, on which those that are alike to a network lie together."""

from __future__ import annotations

from colorsys import hls_to_rgb
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
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
        picture = _picture(places[shown], labels[shown], tiles[shown])
        axes.imshow(picture, extent=(0, 1, 0, 1), interpolation="bilinear")
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


def _picture(places: Points, labels: Labels, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """All thumbnails as one picture uint8[P, P, 3], which is drawn at once; the first on top."""
    side = round(tiles.shape[1] / _SIDE)
    picture = np.empty((side, side, 3))
    picture[:] = to_rgb(theme().ground)
    for place, digit, tile in list(zip(places, labels, tiles, strict=True))[::-1]:
        left, top = np.round([place[0] * side - 14, (1 - place[1]) * side - 14]).astype(int)
        below = picture[top : top + 28, left : left + 28]
        below += (np.array(_colour(int(digit))) - below) * (tile / 255)[..., None]
    return (255 * picture).round().astype(np.uint8)


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
    return _as_bright(_HUES[digit], 0.16 if luminance(theme().ground) > 0.5 else 0.42)


@lru_cache
def _as_bright(place: int, target: float) -> tuple[float, float, float]:
    """The hue at a place, as light as it takes for a luminance: yellow is bright at once."""
    hue = 0.07 + 0.84 * place / 9  # from orange to magenta: red is for mistakes
    levels = np.linspace(0.05, 0.95, 91).tolist()
    level = min(levels, key=lambda each: abs(luminance(hls_to_rgb(hue, each, 0.75)) - target))
    return hls_to_rgb(hue, level, 0.75)
