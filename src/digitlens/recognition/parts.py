"""Sorts out the connected parts of a page: which are no digits, which belong together, which line.

Knows boxes and stroke widths; has never seen a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from digitlens.recognition.components import join
from digitlens.results import Box

_MANY = 400  # parts looked at: more is texture, and the largest are the digits if there are any
_SMALLEST = 1 / 80  # height of a digit, of the page's longest side ...
_SPECK = 4  # ... and in pixels
_LOW = 0.3  # height of a digit, of the tallest one's
_LONG = 2.5  # height of a digit, of its stroke's width: less is a blot
_DASH = 8  # width of a dash or of a piece of a rule, of its height

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Connected ink.

    Attributes:
        labels: Labels of the components that it consists of.
        box: Where it is, in pixels of the working copy.
        stroke: Width of its strokes in pixels.
    """

    labels: tuple[int, ...]
    box: Box
    stroke: float


def digit_parts(parts: Sequence[Part], width: int, height: int) -> list[list[Part]]:
    """The parts that may be digits, in lines from top to bottom and from left to right.

    Args:
        parts: All connected parts of a page, largest first.
        width: Width of the page in pixels.
        height: Height of the page in pixels.
    """
    least = max(_SPECK, _SMALLEST * max(width, height))
    parts = [part for part in parts[:_MANY] if max(part.box.width, part.box.height) >= least / 3]
    parts = _without_frames(_without_lines(parts, width, height))
    tallest = max((part.box.height for part in parts), default=0)
    if tallest < least:
        return []
    whole = _joined(parts, tallest)
    least = max(least, _LOW * tallest)
    return _lines([p for p in whole if p.box.height >= max(least, _LONG * p.stroke)])


def _without_lines(parts: list[Part], width: int, height: int) -> list[Part]:
    """Drops long dashes and what lies along the border, if anything else is left."""
    kept = [
        part
        for part in parts
        if part.box.width <= _DASH * part.box.height and _sides(part.box, width, height) < 2
    ]
    return kept or [part for part in parts if not _is_border(part, width, height)]


def _is_border(part: Part, width: int, height: int) -> bool:
    thin = part.box.width < 0.2 * width or part.box.height < 0.2 * height
    fine = part.stroke < max(width, height) / 60
    return _sides(part.box, width, height) >= 3 and (thin or fine)


def _sides(box: Box, width: int, height: int) -> int:
    """How many sides of the page a box touches."""
    return (box.x0 == 0) + (box.y0 == 0) + (box.x1 == width) + (box.y1 == height)


def _without_frames(parts: list[Part]) -> list[Part]:
    return [part for part in parts if not any(_frames(part.box, other.box) for other in parts)]


def _frames(outer: Box, inner: Box) -> bool:
    within = outer.x0 < inner.x0 and outer.y0 < inner.y0
    within = within and inner.x1 < outer.x1 and inner.y1 < outer.y1
    return within and inner.height >= 0.3 * outer.height


def _joined(parts: list[Part], tallest: int) -> list[Part]:
    """Puts the parts of broken digits together: bars above, and strokes that end close by."""
    if not parts:
        return []
    first, second = np.nonzero(np.triu(_belong(parts, tallest), 1))
    groups = join(len(parts), first, second)
    order = np.argsort(groups, kind="stable")
    return [
        _union([parts[index] for index in members])
        for _, members in groupby(order, key=lambda index: int(groups[index]))
    ]


def _belong(parts: list[Part], tallest: int) -> npt.NDArray[np.bool_]:
    """Which pairs are of one digit; bool[N, N], symmetric."""
    x0, y0, x1, y1 = np.array([part.box.as_list() for part in parts], np.float64).T
    stroke = float(np.median([p.stroke for p in parts if p.box.height >= _LOW * tallest]))
    wide, tall = x1 - x0, y1 - y0
    across, down = _gap(x0, x1), _gap(y0, y1)
    stacked = -across >= 0.5 * np.minimum.outer(wide, wide)
    fits = _span(y0, y1) <= 1.5 * tallest  # else they are digits of two lines
    lid = np.less.outer(y0 + y1, y0 + y1) == np.less.outer(tall, tall)  # the shorter one is above
    bar = stacked & fits & lid & (down <= 0.2 * tallest)
    close = (across <= 1.5 * stroke) & (down <= 1.5 * stroke)
    dot, dash = np.maximum(wide, tall) < 2 * stroke, tall < 4 * stroke
    pieces = stacked & (fits | np.logical_or.outer(dash, dash))
    shorter = np.minimum.outer(tall, tall) < 0.6 * np.maximum.outer(tall, tall)
    return bar | (close & (pieces | (shorter & ~np.logical_or.outer(dot, dot))))


def _span(start: Numbers, end: Numbers) -> Numbers:
    return np.maximum.outer(end, end) - np.minimum.outer(start, start)


def _gap(start: Numbers, end: Numbers) -> Numbers:
    return np.maximum.outer(start, start) - np.minimum.outer(end, end)


def _union(parts: Sequence[Part]) -> Part:
    boxes = np.array([part.box.as_list() for part in parts])
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    labels = tuple(label for part in parts for label in part.labels)
    return Part(labels, Box(int(x0), int(y0), int(x1), int(y1)), parts[0].stroke)


def _lines(parts: Sequence[Part]) -> list[list[Part]]:
    lines: list[list[Part]] = []
    for part in sorted(parts, key=lambda part: part.box.x0):
        line = max(lines, key=lambda line: _beside(line[-1].box, part.box), default=[])
        if line and _beside(line[-1].box, part.box) > 0.4:
            line.append(part)
        else:
            lines.append([part])
    return sorted(lines, key=lambda line: sum(p.box.y0 + p.box.y1 for p in line) / len(line))


def _beside(a: Box, b: Box) -> float:
    """Share of the lower one's height that both have in common."""
    return (min(a.y1, b.y1) - max(a.y0, b.y0)) / min(a.height, b.height)
