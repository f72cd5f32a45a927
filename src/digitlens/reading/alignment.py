"""Finds rows and columns of a table without rules, from the alignment of its texts.

Knows boxes only, like ``reading_order``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.ink import runs
from digitlens.imaging.quantile import median
from digitlens.imaging.ruling import Grid
from digitlens.reading.reading_order import Boxes, lines_of

_SHEARS = np.linspace(-0.2, 0.2, 21)  # slants of columns tried, as fractions of their height
_NARROWS = np.linspace(-0.2, 0.2, 17)  # relative changes of width from top to bottom tried
_BIN = 1 / 6  # text heights: resolution along rows
_BINS = 2000  # maximum number of bins along rows
_GAP, _LEAST_GAP = 0.5, 0.2  # text heights: minimum gap between columns; if their number is known
_NARROW_GAP, _ROWS = 0.3, 4  # the same from this many rows on, where word spaces seldom align
_ACROSS = 0.04  # fraction of rows that may cross a gap, such as headings
_MANY = 0.5  # the same if the number of columns is known

Doubles = npt.NDArray[np.float64]


def align(boxes: Boxes, rows: int | None = None, columns: int | None = None) -> Grid | None:
    """Finds the cells of a table from the boxes of its texts.

    Rows are lines of texts, which also give the slope of the page. Columns may lean and converge,
    as on a photo: of some hundred combinations, the one with the largest overlap of texts when
    projected along the columns shows the gaps between them best.

    Args:
        boxes: float[N, 4]; the texts on the page, none of them spanning two columns.
        rows: Number of rows, if known.
        columns: Number of columns, if known.

    Returns:
        The cells; None if there is no table with these rows and columns, or, if both are unknown,
        none with at least two of each.
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
    """float64[2, 2]: rotation from the page to axes along and across its rows."""
    slopes = [
        float((part[:, 1] @ part[:, 0]) / (part[:, 0] @ part[:, 0]))
        for part in (middles[line] - middles[line].mean(axis=0) for line in lines if len(line) > 1)
    ]
    angle = np.arctan(float(median(np.array(slopes)))) if slopes else 0.0
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _straight(u: Doubles, v: Doubles, shear: Doubles | float, narrow: Doubles | float) -> Doubles:
    """Positions along rows with columns made upright; ``v`` in fractions of the table's height."""
    return np.asarray(u / (1 + narrow * v) - shear * v, np.float64)


def _slant(
    u: Doubles, v: Doubles, half: Doubles, units: tuple[float, float]
) -> tuple[float, float]:
    """Shear and narrowing of columns that maximise the sum of squared coverage along rows."""
    step, reach = units
    shear, narrow = (part.reshape(-1, 1) for part in np.meshgrid(_SHEARS * reach, _NARROWS))
    across = _straight(u, v, shear, narrow)
    covered = _covered(across - half, across + half, step)
    score = (covered**2).sum(axis=1)
    bend = np.abs(shear[:, 0]) / reach + np.abs(narrow[:, 0])  # on a tie, the straightest wins
    best = int(np.argmax(score * (1 - 0.01 * bend)))
    return float(shear[best, 0]), float(narrow[best, 0])


def _covered(left: Doubles, right: Doubles, step: float) -> Doubles:
    """float64[K, bins]: number of the N intervals, float64[K, N], that cover each bin, K times."""
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
    """Centres of the gaps between columns."""
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
