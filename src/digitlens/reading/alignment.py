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
_TAPERS = np.linspace(-0.2, 0.2, 17)  # relative changes of width from top to bottom tried
_BIN_WIDTH = 1 / 6  # text heights: resolution along rows
_MAX_BINS = 2000  # maximum number of bins along rows
_GAP, _KNOWN_GAP = 0.5, 0.2  # text heights: minimum gap between columns; if their number is known
_TALL_GAP, _TALL = 0.3, 4  # the same from this many rows on, where word spaces seldom align
_CROSSING = 0.04  # fraction of rows that may cross a gap, such as headings
_KNOWN_CROSSING = 0.5  # the same if the number of columns is known

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
    min_count = 1 if columns else 2
    if len(lines) < min_count or (rows and rows != len(lines)):
        return None
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float64)
    rotation = _rotation(centres, lines)
    points = centres @ rotation
    origin = points.mean(axis=0)
    points = points - origin
    half = (boxes[:, 2] - boxes[:, 0]).astype(np.float64) / 2
    unit = float(median((boxes[:, 3] - boxes[:, 1]).astype(np.float64)))
    height = max(float(np.ptp(points[:, 1])), unit)
    y = points[:, 1] / height
    shear, taper = _fit_slant(points[:, 0], y, half, (_BIN_WIDTH * unit, height))
    x = _straighten(points[:, 0], y, shear, taper)
    gaps = _gaps(x - half, x + half, unit, len(lines), columns)
    if len(gaps) + 1 < min_count or (columns and len(gaps) + 1 != columns):
        return None
    edges = np.r_[(x - half).min() - unit / 2, sorted(gaps), (x + half).max() + unit / 2]
    line_y = np.array([points[line, 1].mean() for line in lines])
    outer_y = np.array([line_y[0] - unit, line_y[-1] + unit])
    row_edges = np.r_[outer_y[0], (line_y[1:] + line_y[:-1]) / 2, outer_y[1]]
    u, v = np.meshgrid(edges, row_edges)
    u = (u + shear * v / height) * (1 + taper * v / height)
    return Grid((np.stack([u, v], axis=-1) + origin) @ rotation.T)


def _rotation(centres: Doubles, lines: list[list[int]]) -> Doubles:
    """float64[2, 2]: rotation from the page to axes along and across its rows."""
    slopes = [
        float((p[:, 1] @ p[:, 0]) / (p[:, 0] @ p[:, 0]))
        for p in (centres[line] - centres[line].mean(axis=0) for line in lines if len(line) > 1)
    ]
    angle = np.arctan(float(median(np.array(slopes)))) if slopes else 0.0
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _straighten(u: Doubles, v: Doubles, shear: Doubles | float, taper: Doubles | float) -> Doubles:
    """Positions along rows with columns made upright; ``v`` in fractions of the table's height."""
    return np.asarray(u / (1 + taper * v) - shear * v, np.float64)


def _fit_slant(
    u: Doubles, v: Doubles, half: Doubles, scales: tuple[float, float]
) -> tuple[float, float]:
    """Shear and narrowing of columns that maximise the sum of squared coverage along rows."""
    step, height = scales
    shear, taper = (part.reshape(-1, 1) for part in np.meshgrid(_SHEARS * height, _TAPERS))
    x = _straighten(u, v, shear, taper)
    coverage = _coverage(x - half, x + half, step)
    scores = (coverage**2).sum(axis=1)
    bend = np.abs(shear[:, 0]) / height + np.abs(taper[:, 0])  # on a tie, the straightest wins
    best = int(np.argmax(scores * (1 - 0.01 * bend)))
    return float(shear[best, 0]), float(taper[best, 0])


def _coverage(left: Doubles, right: Doubles, step: float) -> Doubles:
    """float64[K, bins]: number of the N intervals, float64[K, N], that cover each bin, K times."""
    origins = left.min(axis=1, keepdims=True)
    step = max(step, float((right.max(axis=1) - origins[:, 0]).max()) / _MAX_BINS)
    begins, ends = ((edges - origins) / step for edges in (left, right))
    bins = int(ends.max()) + 2
    row_starts = np.arange(len(left))[:, None] * bins
    counts = np.zeros(len(left) * bins)
    np.add.at(counts, (row_starts + begins.astype(int)).ravel(), 1)
    np.add.at(counts, (row_starts + np.ceil(ends).astype(int)).ravel(), -1)
    return np.cumsum(counts.reshape(-1, bins), axis=1)


def _gaps(
    left: Doubles, right: Doubles, unit: float, rows: int, columns: int | None
) -> list[float]:
    """Centres of the gaps between columns."""
    step = _BIN_WIDTH * unit / 2
    counts = _coverage(left[None], right[None], step)[0]
    step = max(step, float(right.max() - left.min()) / _MAX_BINS)
    min_gap = _KNOWN_GAP if columns else _TALL_GAP if rows >= _TALL else _GAP
    gaps: list[tuple[float, float]] = []  # width and middle
    for max_crossing in range(int(rows * (_KNOWN_CROSSING if columns else _CROSSING)) + 1):
        starts, ends = runs((counts <= max_crossing)[None])
        inner = (starts > 0) & (ends < len(counts) - 1) & ((ends - starts) * step >= min_gap * unit)
        gaps = [
            ((b - a) * step, left.min() + (a + b) / 2 * step)
            for a, b in zip(starts[inner].tolist(), ends[inner].tolist(), strict=True)
        ]
        if columns and len(gaps) >= columns - 1:
            break
    widest = sorted(gaps, reverse=True)[: None if columns is None else columns - 1]
    return [float(middle) for _, middle in widest]
