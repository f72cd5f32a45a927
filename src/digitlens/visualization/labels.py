"""Finds room for labels beside boxes; knows rectangles only, neither texts nor pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_STEP = 0.03  # cost of each place less liked, in shares of the label that covers a box
_ON_BOX = 2.0  # cost of covering a box altogether
_ON_LABEL = 5.0

Floats = npt.NDArray[np.float64]


def place_labels(
    boxes: Floats, sizes: Floats, gap: Floats, area: tuple[float, float]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Places labels one after the other where they cover neither boxes nor other labels.

    Above its box is liked most, then below and beside it, then further above or below. Where there
    is no room, a place is taken that covers little.

    Args:
        boxes: float64[N, 4]; x0, y0, x1, y1 of what each label belongs to.
        sizes: float64[N, 2]; width and height of each label.
        gap: float64[N]; space between label and box.
        area: Width and height of the drawing; labels stay inside of it.

    Returns:
        float64[N, 4]; x0, y0, x1, y1 of each label; and bool[N], whether it is beside its box and
        covers nothing.
    """
    placed = np.zeros((len(boxes), 4))
    free = np.zeros(len(boxes), np.bool_)
    for index, (box, size, space) in enumerate(zip(boxes, sizes, gap, strict=True)):
        near = _near(box, size, space)
        places = _inside(np.concatenate([near, _far(box, size, space)]), area)
        cost = _ON_BOX * _covered(places, boxes) + _ON_LABEL * _covered(places, placed[:index])
        best = int((cost + _STEP * np.arange(len(places))).argmin())
        placed[index], free[index] = places[best], best < len(near) and cost[best] == 0
    return placed, free


def _near(box: Floats, size: Floats, gap: float) -> Floats:
    """float64[8, 4]; places that touch the box but for the gap."""
    x0, y0, x1, y1 = box
    width, height = size
    columns = [(x0 + x1 - width) / 2, x0, x1 - width]
    above, below, beside = y0 - height - gap, y1 + gap, (y0 + y1 - height) / 2
    corners = [(column, row) for row in (above, below) for column in columns]
    corners += [(x1 + gap, beside), (x0 - gap - width, beside)]
    return _rectangles(corners, size)


def _far(box: Floats, size: Floats, gap: float) -> Floats:
    """float64[7, 4]; places behind another label, and at last one on the box's own edge."""
    x0, y0, x1, y1 = box
    width, height = size
    columns = [(x0 + x1 - width) / 2, x0 - width / 2, x1 - width / 2]
    rows = y0 - 2 * (height + gap), y1 + height + 2 * gap
    corners = [(column, row) for row in rows for column in columns]
    return _rectangles([*corners, (columns[0], y0 - 0.6 * height)], size)


def _rectangles(corners: list[tuple[float, float]], size: Floats) -> Floats:
    left_top = np.array(corners)
    return np.concatenate([left_top, left_top + size], axis=1)


def _inside(places: Floats, area: tuple[float, float]) -> Floats:
    """The same rectangles, moved so that they do not reach over the edge."""
    sizes = places[:, 2:] - places[:, :2]
    left_top = np.clip(places[:, :2], 0, np.maximum(0, np.array(area) - sizes))
    return np.concatenate([left_top, left_top + sizes], axis=1)


def _covered(places: Floats, others: Floats) -> Floats:
    """float64[P]; how much of itself each place covers others with, summed over them."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)
    return common / (places[:, 2:] - places[:, :2]).prod(axis=1)
