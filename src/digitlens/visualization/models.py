"""Models side by side: how often each is wrong, against how large and how slow it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from digitlens.visualization.style import canvas, headline, percent, share_ticks, theme

_LEAST_GAP = 0.115  # between the middles of two names, in heights of the axes
_NEAR = 0.5  # names of dots that are nearer could touch, in widths of the axes


@dataclass(frozen=True)
class ModelPoint:
    """One model.

    Attributes:
        name: Its name.
        parameters: Numbers learned.
        bytes: Size of its graph's file.
        accuracy: Share of the tiles read right, 0 to 1.
        interval: An interval of it.
        microseconds: Time for a tile.
    """

    name: str
    parameters: int
    bytes: int
    accuracy: float
    interval: tuple[float, float]
    microseconds: float


def draw_models(points: Sequence[ModelPoint], path: Path, *, note: str = "") -> None:
    """Error rates with intervals against parameters and, beside it, against time for a tile.

    Args:
        points: The models.
        path: The ``.png`` or ``.svg`` file to write.
        note: How the time was measured.

    Raises:
        ValueError: There is no model, or another suffix.
    """
    if not points:
        raise ValueError("expected at least one model, found none")
    with canvas(path, 12.4, 5.8) as figure:
        left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.06})
        _draw(left, points, [point.parameters for point in points], _size)
        _draw(right, points, [point.microseconds for point in points], _time)
        left.set_ylabel("tiles read wrong")
        left.set_xlabel("parameters")
        right.set_xlabel("microseconds for a tile")
        headline(left, "Mistakes and size", "dots with intervals of 95 %; both axes logarithmic")
        headline(right, "Mistakes and time", note)


def _draw(
    axes: Axes,
    points: Sequence[ModelPoint],
    along: Sequence[float],
    words: Callable[[ModelPoint], str],
) -> None:
    """One panel; the axes' limits are set before the names, which are placed by them."""
    axes.set_xscale("log")
    axes.set_xlim(min(along) / 2, max(along) * 2)
    _scale_errors(axes, points)
    for point, place in zip(points, along, strict=True):
        high, low = (1 - end for end in point.interval)
        axes.plot([place] * 2, [low, high], color=theme().blue, linewidth=2, alpha=0.45)
        axes.plot(place, 1 - point.accuracy, "o", color=theme().blue, markersize=9)
    _name(axes, points, along, words)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.grid()


def _scale_errors(axes: Axes, points: Sequence[ModelPoint]) -> None:
    """Logarithmic, except for a model without mistakes, of which there is no logarithm."""
    lows = [1 - point.interval[1] for point in points]
    highs = [1 - point.interval[0] for point in points]
    if min(lows) > 0 and all(point.accuracy < 1 for point in points):
        axes.set_yscale("log")
        axes.set_ylim(min(lows) / 1.2, max(highs) * 1.2)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(-0.04 * max(highs), max(highs) * 1.1)
    axes.yaxis.set_major_formatter(share_ticks())


def _name(
    axes: Axes,
    points: Sequence[ModelPoint],
    along: Sequence[float],
    words: Callable[[ModelPoint], str],
) -> None:
    """Names beside the dots, on the side with room, moved up where they would touch."""
    errors = [1 - point.accuracy for point in points]
    data = axes.transData.transform(np.column_stack([along, errors]))
    places = axes.transAxes.inverted().transform(data)
    for index, height in _spread(places):
        point, x = points[index], float(places[index, 0])
        right = x < 0.6
        where = (x + (0.025 if right else -0.025), height)
        looks: dict[str, Any] = {"transform": axes.transAxes, "ha": "left" if right else "right"}
        axes.text(*where, point.name, va="bottom", fontsize=11, weight="bold", **looks)
        axes.text(*where, words(point), va="top", fontsize=10, color=theme().soft, **looks)


def _spread(places: npt.NDArray[np.float64]) -> list[tuple[int, float]]:
    """Heights for names, from the lowest up: that of the dot, or above a name that is near it."""
    heights: list[tuple[int, float]] = []
    for index in np.argsort(places[:, 1], kind="stable").tolist():
        x, height = places[index].tolist()
        for other, taken in heights:
            if abs(places[other, 0] - x) < _NEAR and height - taken < _LEAST_GAP:
                height = taken + _LEAST_GAP
        heights.append((index, height))
    return heights


def _size(point: ModelPoint) -> str:
    return f"{percent(1 - point.accuracy, 2)} wrong · {point.bytes / 1000:,.0f} kB"


def _time(point: ModelPoint) -> str:
    return f"{percent(1 - point.accuracy, 2)} wrong · {point.microseconds:,.3g} µs"


def _short(value: float, _: int) -> str:
    """A number of an axis: thousands and millions by their letters."""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
