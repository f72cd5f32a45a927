"""Puts digits into reading order: boxes into lines, and a line into the numbers written on it.

Knows boxes only. All lengths are measured in digit heights, so neither the resolution nor the place
on the page matters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.quantile import median

Boxes = npt.NDArray[np.floating]
_Floats = npt.NDArray[np.float64]

# Slant of the page
_STEEPEST = 30.0  # degrees; a page turned by 25 still fits with the unevenness of its lines
_STEP = 0.5  # degrees
_SPREAD = 0.2  # digit heights: how far the digits of one line miss its slope
_LEVEL = 0.5  # trust in a level page, in pairs of neighbours: two or three digits do not tilt it
_FAR = 12.0  # digit heights: pairs further apart say too little about the slant

# Lines
_MEMORY = 8  # digits at the end of a line that tell where it goes on
_STIFF = 4.0  # digit heights: how strongly a line keeps to the slant of the page
_REACH = 2.0  # digit heights: so far a line is continued along its bend, then along the page
_OVERLAP = 0.3  # share of the lower height that a digit has in common with its line
_SMALLER = 0.25  # height of the smaller of two neighbours, of the larger

# Numbers
_SPACE = 0.25  # digit heights: a gap that splits is larger than the typical one by this ...
_LOOSE = 1.3  # ... and by this factor
_TIGHT = 0.1  # digit heights: digits that touch by chance do not make other gaps wide
_WIDEST = 2.2  # digit heights: a larger gap splits even where all gaps are alike


def lines_of(boxes: Boxes) -> list[list[int]]:
    """Puts digits into lines, whatever the slant of the page, up to 25 degrees.

    Digits on the same height are one line, however wide the gaps: the rows of a table are lines
    across all of its columns. A line may bend and climb, and its digits may differ in height.

    Args:
        boxes: float[N, 4]; x0, y0, x1, y1 of each digit, y downwards.

    Returns:
        Indices of the digits: lines from top to bottom, each from left to right. Every index is
        there once.
    """
    if not len(boxes):
        return []
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    x, y, heights = (x0 + x1) / 2, (y0 + y1) / 2, y1 - y0
    x, y = x - x[0], y - y[0]
    y = y - _slope(x, y, heights) * x
    lines: list[list[int]] = []
    ends = np.empty((len(x), 5))  # of each line, see ``_end``
    for index in np.lexsort((y, x)).tolist():
        shares = _shares(ends[: len(lines)], x[index], y[index], heights[index])
        best = int(np.argmax(shares)) if lines else 0
        if not lines or not shares[best] > _OVERLAP:
            best = len(lines)
            lines.append([])
        lines[best].append(index)
        last = lines[best][-_MEMORY:]
        ends[best] = _end(x[last], y[last], heights[last])
    return sorted(lines, key=lambda line: float(y[line].mean()))


def numbers_of(boxes: Boxes) -> list[list[int]]:
    """Splits a line into the numbers on it, where a gap is wider than is usual on that line.

    A gap splits when it exceeds 1.3 times the typical gap inside a number by more than a quarter of
    a digit's height: ``876 516`` is two numbers in print and by hand, and ``8   9   1  0`` is one.
    Even gaps, and the one gap of two digits, split above 2.2 digit heights only: evenly spaced
    handwriting goes up to 2.0.

    Gaps are counted between the edges of the digits. By hand a 1 takes as little room as it is
    wide, so that distances between centres are uneven inside a number. In print a 1 has the room of
    a 0, but the gap of 0.4 that this leaves between two of them is still less than a space.

    Args:
        boxes: float[N, 4]; x0, y0, x1, y1 of the digits of one line, from left to right.

    Returns:
        Positions in ``boxes``, number by number; every one is there once and in order.
    """
    if len(boxes) < 2:
        return [[0]] if len(boxes) else []
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    heights = y1 - y0
    gaps = (x0[1:] - x1[:-1]) / float(median(heights))
    starts = np.flatnonzero(gaps > _widest_inside(gaps)) + 1
    return [part.tolist() for part in np.split(np.arange(len(heights)), starts)]


def _slope(x: _Floats, y: _Floats, heights: _Floats) -> float:
    """The slope that most pairs of near digits agree on, level if they are few."""
    if len(x) < 2:
        return 0.0
    order = np.argsort(x, kind="stable")
    first, second = np.triu_indices(len(x), 1)
    first, second = order[first], order[second]
    unit = (heights[first] + heights[second]) / 2
    right, down = (x[second] - x[first]) / unit, (y[second] - y[first]) / unit
    near = (right < _FAR) & (np.abs(down) < right * np.tan(np.radians(_STEEPEST)) + 2 * _SPREAD)
    right, down = right[near], down[near]
    angles = np.arange(-_STEEPEST, _STEEPEST + _STEP, _STEP)
    votes = _votes(right, down, angles) + _LEVEL / (1 + (angles / 10) ** 2)
    return float(np.tan(np.radians(angles[np.argmax(votes)])))


def _votes(right: _Floats, down: _Floats, angles: _Floats) -> _Floats:
    slopes = np.tan(np.radians(angles))[:, None]
    votes = np.zeros(len(angles))
    for some in np.array_split(np.arange(len(right)), 1 + len(right) // 4096):  # small in memory
        missed = (down[some] - right[some] * slopes) / _SPREAD
        votes += (np.exp(-(missed**2) / 2) / (1 + right[some] ** 2)).sum(axis=1)
    return votes


def _shares(ends: _Floats, x: float, y: float, own: float) -> _Floats:
    """How much of a digit's height lies on each line; the smaller of both is the whole.

    Lines are given by their ends, see ``_end``; the digit by its middle and height.
    """
    end, level, slope, reach, height = ends.T
    lower, higher = np.minimum(height, own), np.maximum(height, own)
    away = np.abs(level + slope * np.minimum(x - end, reach) - y)
    common = np.minimum(lower, (height + own) / 2 - away)
    # Among lines that hold the digit completely, the one with its middle there is the right one.
    share = common / lower - 0.1 * away / higher
    return np.where(lower < _SMALLER * higher, 0.0, share)


def _end(x: _Floats, y: _Floats, heights: _Floats) -> tuple[float, ...]:
    """Where a line goes on behind its last digits, of which tall ones count more.

    Returns:
        x of the last digit, y of the line's middle there, its slope from there on, how far it goes
        on like that, and the largest height.
    """
    weights = heights**2 / np.sum(heights**2)
    middle, level = float(weights @ x), float(weights @ y)
    height = float(weights @ heights)
    spread = float(weights @ (x - middle) ** 2) + (_STIFF * height) ** 2 / len(x)
    slope = float(weights @ ((x - middle) * (y - level))) / spread
    end = float(x[-1])
    return end, level + slope * (end - middle), slope, _REACH * height, float(heights.max())


def _widest_inside(gaps: _Floats) -> float:
    """The widest gap that is still inside a number, in digit heights.

    The gap that a third of all are narrower than is taken to be inside; what fits to it joins it.
    """
    inside, widest = np.sort(gaps)[len(gaps) // 3 :][:1], -np.inf
    while len(inside) and _limit(inside) > widest:
        widest = _limit(inside)
        inside = gaps[gaps <= widest]
    return min(widest, _WIDEST)


def _limit(inside: _Floats) -> float:
    return _SPACE + _LOOSE * max(_TIGHT, float(inside.mean()))
