"""Finds rows and columns of a table without rules, by how its texts are aligned.

Knows boxes only, as ``reading_order`` does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.ink import runs
from digitlens.imaging.quantile import median
from digitlens.imaging.ruling import Grid
from digitlens.reading.reading_order import Boxes, lines_of

_SHEARS = np.linspace(-0.2, 0.2, 21)  # how far columns lean, by their height
_NARROWS = np.linspace(-0.2, 0.2, 17)  # how much narrower the page is at its foot than at its head
_BIN = 1 / 6  # heights of the texts: precision at which columns are told apart
_BINS = 2000  # at most
_GAP, _LEAST_GAP = 0.5, 0.2  # heights between two columns; the same if their number is known ...
_NARROW_GAP, _ROWS = 0.3, 4  # ... and with so many rows: spaces between words are seldom in line
_ACROSS = 0.04  # of the rows may reach over a gap, as headings do
_MANY = 0.5  # the same if the number of columns is known

Doubles = npt.NDArray[np.float64]


def align(boxes: Boxes, rows: int | None = None, columns: int | None = None) -> Grid | None:
    """Finds the cells of a table by the texts in them.

    Rows are lines of texts; the slope of the page is taken from them. Then columns may lean, and
    meet somewhere, as on a photo: of some hundred ways, the one in which texts cover each other
    most, seen from above, shows the gaps between columns best.

    Args:
        boxes: float[N, 4]; the texts on the page, none of them in two columns.
        rows: How many rows there are, if that is known.
        columns: How many columns there are, if that is known.

    Returns:
        The cells; None if there is no such table, or, where nothing is known, less than two rows
        and two columns.
    """
    lines = lines_of(boxes)
    least = 1 if columns else 2
    if len(lines) < least or (rows and rows != len(lines)):
        return None
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float64)
    turn = _turn(middles, lines)
    along = middles @ turn
    start = along.mean(axis=0)
    along = along - start
    half = (boxes[:, 2] - boxes[:, 0]).astype(np.float64) / 2
    unit = float(median((boxes[:, 3] - boxes[:, 1]).astype(np.float64)))
    reach = max(float(np.ptp(along[:, 1])), unit)
    down = along[:, 1] / reach
    shear, narrow = _slant(along[:, 0], down, half, (_BIN * unit, reach))
    across = _straight(along[:, 0], down, shear, narrow)
    gaps = _gaps(across - half, across + half, unit, len(lines), columns)
    if len(gaps) + 1 < least or (columns and len(gaps) + 1 != columns):
        return None
    edges = np.r_[(across - half).min() - unit / 2, sorted(gaps), (across + half).max() + unit / 2]
    levels = np.array([along[line, 1].mean() for line in lines])
    ends = np.array([levels[0] - unit, levels[-1] + unit])
    heights = np.r_[ends[0], (levels[1:] + levels[:-1]) / 2, ends[1]]
    u, v = np.meshgrid(edges, heights)
    u = (u + shear * v / reach) * (1 + narrow * v / reach)
    return Grid((np.stack([u, v], axis=-1) + start) @ turn.T)


def _turn(middles: Doubles, lines: list[list[int]]) -> Doubles:
    """float64[2, 2]: from the page to axes along its rows and across them."""
    slopes = [
        float((part[:, 1] @ part[:, 0]) / (part[:, 0] @ part[:, 0]))
        for part in (middles[line] - middles[line].mean(axis=0) for line in lines if len(line) > 1)
    ]
    angle = np.arctan(float(median(np.array(slopes)))) if slopes else 0.0
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _straight(u: Doubles, v: Doubles, shear: Doubles | float, narrow: Doubles | float) -> Doubles:
    """Places along rows as they are where columns are upright; ``v`` in heights of all rows."""
    return np.asarray(u / (1 + narrow * v) - shear * v, np.float64)


def _slant(
    u: Doubles, v: Doubles, half: Doubles, units: tuple[float, float]
) -> tuple[float, float]:
    """How columns lean and meet: so that the squares of what covers each place are largest."""
    step, reach = units
    shear, narrow = (part.reshape(-1, 1) for part in np.meshgrid(_SHEARS * reach, _NARROWS))
    across = _straight(u, v, shear, narrow)
    covered = _covered(across - half, across + half, step)
    score = (covered**2).sum(axis=1)
    bend = np.abs(shear[:, 0]) / reach + np.abs(narrow[:, 0])  # of equal ones, the straightest
    best = int(np.argmax(score * (1 - 0.01 * bend)))
    return float(shear[best, 0]), float(narrow[best, 0])


def _covered(left: Doubles, right: Doubles, step: float) -> Doubles:
    """float64[K, bins]: how many of float64[K, N] stretches cover each step of each of K ways."""
    first = left.min(axis=1, keepdims=True)
    step = max(step, float((right.max(axis=1) - first[:, 0]).max()) / _BINS)
    begin, end = ((ends - first) / step for ends in (left, right))
    bins = int(end.max()) + 2
    way = np.arange(len(left))[:, None] * bins
    counts = np.zeros(len(left) * bins)
    np.add.at(counts, (way + begin.astype(int)).ravel(), 1)
    np.add.at(counts, (way + np.ceil(end).astype(int)).ravel(), -1)
    return np.cumsum(counts.reshape(-1, bins), axis=1)


def _gaps(
    left: Doubles, right: Doubles, unit: float, rows: int, columns: int | None
) -> list[float]:
    """Middles of the gaps between columns."""
    step = _BIN * unit / 2
    covered = _covered(left[None], right[None], step)[0]
    step = max(step, float(right.max() - left.min()) / _BINS)
    least = _LEAST_GAP if columns else _NARROW_GAP if rows >= _ROWS else _GAP
    found: list[tuple[float, float]] = []  # width and middle
    for crossing in range(int(rows * (_MANY if columns else _ACROSS)) + 1):
        starts, ends = runs((covered <= crossing)[None])
        inner = (starts > 0) & (ends < len(covered) - 1) & ((ends - starts) * step >= least * unit)
        found = [
            ((b - a) * step, left.min() + (a + b) / 2 * step)
            for a, b in zip(starts[inner].tolist(), ends[inner].tolist(), strict=True)
        ]
        if columns and len(found) >= columns - 1:
            break
    widest = sorted(found, reverse=True)[: None if columns is None else columns - 1]
    return [float(middle) for _, middle in widest]
