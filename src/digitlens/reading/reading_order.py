"""Reading order: groups boxes of digits into lines, and splits a line into its numbers.

Knows boxes only. All lengths are measured in digit heights, so neither the resolution nor the
position on the page matters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.quantile import median

Boxes = npt.NDArray[np.floating]
_Floats = npt.NDArray[np.float64]

# Slant of the page
_MAX_SLANT = 30.0  # degrees: largest slant tried; covers uneven lines on a page turned by 25
_SLANT_STEP = 0.5  # degrees: step of the slants tried
_SPREAD = 0.2  # digit heights: spread of the digits of one line around its slope
_LEVEL_WEIGHT = 0.5  # pairs: weight of a level page, so two or three digits do not tilt it
_MAX_DX = 12.0  # digit heights: pairs further apart are ignored for the slant

# Lines
_FIT_DIGITS = 8  # last digits of a line from which its direction is estimated
_STIFFNESS = 4.0  # digit heights: how strongly a line keeps to the slant of the page
_REACH = 2.0  # digit heights: how far a line continues along its bend before it follows the page
_MIN_OVERLAP = 0.3  # minimum vertical overlap of a digit and its line, as a fraction of the lower
_MIN_HEIGHT_RATIO = 0.25  # minimum ratio of the heights of a digit and its line

# Numbers
_GAP_OFFSET = 0.25  # digit heights: a gap splits if it exceeds the scaled typical gap by this
_GAP_FACTOR = 1.3  # factor that scales the typical gap
_MIN_GAP = 0.1  # digit heights: minimum typical gap, as digits may touch by chance
_MAX_GAP = 2.2  # digit heights: a larger gap always splits, even among equal ones


def lines_of(boxes: Boxes) -> list[list[int]]:
    """Groups digits into lines, on pages slanted by up to 25 degrees.

    Digits at the same height are one line, however wide the gaps: a row of a table is one line
    across all columns. A line may bend and climb, and its digits may differ in height.

    Args:
        boxes: float[N, 4]; x0, y0, x1, y1 of each digit, y downwards.

    Returns:
        Indices of the digits: lines from top to bottom, each from left to right. Every index
        appears once.
    """
    if not len(boxes):
        return []
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    x, y, heights = (x0 + x1) / 2, (y0 + y1) / 2, y1 - y0
    x, y = x - x[0], y - y[0]
    y = y - _slope(x, y, heights) * x
    lines: list[list[int]] = []
    ends = np.empty((len(x), 5))  # the end of each line, see ``_extrapolate``
    for index in np.lexsort((y, x)).tolist():
        overlaps = _line_overlaps(ends[: len(lines)], x[index], y[index], heights[index])
        best = int(np.argmax(overlaps)) if lines else 0
        if not lines or not overlaps[best] > _MIN_OVERLAP:
            best = len(lines)
            lines.append([])
        lines[best].append(index)
        last = lines[best][-_FIT_DIGITS:]
        ends[best] = _extrapolate(x[last], y[last], heights[last])
    return sorted(lines, key=lambda line: float(y[line].mean()))


def numbers_of(boxes: Boxes) -> list[list[int]]:
    """Splits a line into its numbers, at gaps wider than is usual on that line.

    A gap splits if it exceeds 1.3 times the typical gap inside a number by more than a quarter of
    a digit's height: ``876 516`` is two numbers in print and by hand, and ``8   9   1  0`` is one.
    Equal gaps, and the only gap of two digits, split above 2.2 digit heights: evenly spaced
    handwriting goes up to 2.0.

    Gaps are measured between the edges of digits. A handwritten 1 takes no more room than its own
    width, so distances between centres are uneven inside a number. A printed 1 has the room of a 0,
    but the gap of 0.4 that this leaves between two of them is still less than a space.

    Args:
        boxes: float[N, 4]; x0, y0, x1, y1 of the digits of one line, from left to right.

    Returns:
        Indices in ``boxes``, number by number; every index appears once and in order.
    """
    if len(boxes) < 2:
        return [[0]] if len(boxes) else []
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    heights = y1 - y0
    gaps = (x0[1:] - x1[:-1]) / float(median(heights))
    starts = np.flatnonzero(gaps > _max_inside_gap(gaps)) + 1
    return [part.tolist() for part in np.split(np.arange(len(heights)), starts)]


def _slope(x: _Floats, y: _Floats, heights: _Floats) -> float:
    """The slope on which most pairs of nearby digits agree; level if there are few."""
    if len(x) < 2:
        return 0.0
    order = np.argsort(x, kind="stable")
    first, second = np.triu_indices(len(x), 1)
    first, second = order[first], order[second]
    unit = (heights[first] + heights[second]) / 2
    right, down = (x[second] - x[first]) / unit, (y[second] - y[first]) / unit
    near = (right < _MAX_DX) & (np.abs(down) < right * np.tan(np.radians(_MAX_SLANT)) + 2 * _SPREAD)
    right, down = right[near], down[near]
    angles = np.arange(-_MAX_SLANT, _MAX_SLANT + _SLANT_STEP, _SLANT_STEP)
    votes = _votes(right, down, angles) + _LEVEL_WEIGHT / (1 + (angles / 10) ** 2)
    return float(np.tan(np.radians(angles[np.argmax(votes)])))


def _votes(right: _Floats, down: _Floats, angles: _Floats) -> _Floats:
    slopes = np.tan(np.radians(angles))[:, None]
    votes = np.zeros(len(angles))
    for chunk in np.array_split(np.arange(len(right)), 1 + len(right) // 4096):  # limits memory
        missed = (down[chunk] - right[chunk] * slopes) / _SPREAD
        votes += (np.exp(-(missed**2) / 2) / (1 + right[chunk] ** 2)).sum(axis=1)
    return votes


def _line_overlaps(ends: _Floats, x: float, y: float, digit_height: float) -> _Floats:
    """Vertical overlap of a digit with each line, as a fraction of the lower of both heights.

    Lines are given by their ends, see ``_extrapolate``, the digit by its centre and height.
    """
    end, level, slope, reach, height = ends.T
    lower, higher = np.minimum(height, digit_height), np.maximum(height, digit_height)
    offset = np.abs(level + slope * np.minimum(x - end, reach) - y)
    common = np.minimum(lower, (height + digit_height) / 2 - offset)
    # Among lines that contain the whole digit, prefer the one with the nearest middle.
    overlap = common / lower - 0.1 * offset / higher
    return np.where(lower < _MIN_HEIGHT_RATIO * higher, 0.0, overlap)


def _extrapolate(x: _Floats, y: _Floats, heights: _Floats) -> tuple[float, ...]:
    """Extrapolates a line from its last digits, of which tall ones count more.

    Returns:
        x of the last digit, y of the line's middle there, its slope from there, how far to follow
        that slope, and the largest height.
    """
    weights = heights**2 / np.sum(heights**2)
    middle, level = float(weights @ x), float(weights @ y)
    height = float(weights @ heights)
    spread = float(weights @ (x - middle) ** 2) + (_STIFFNESS * height) ** 2 / len(x)
    slope = float(weights @ ((x - middle) * (y - level))) / spread
    end = float(x[-1])
    return end, level + slope * (end - middle), slope, _REACH * height, float(heights.max())


def _max_inside_gap(gaps: _Floats) -> float:
    """The widest gap that is still inside a number, in digit heights.

    Starts with the gap at the lower third as inside, and repeatedly adds all gaps within its limit.
    """
    inside, widest = np.sort(gaps)[len(gaps) // 3 :][:1], -np.inf
    while len(inside) and _gap_limit(inside) > widest:
        widest = _gap_limit(inside)
        inside = gaps[gaps <= widest]
    return min(widest, _MAX_GAP)


def _gap_limit(inside: _Floats) -> float:
    return _GAP_OFFSET + _GAP_FACTOR * max(_MIN_GAP, float(inside.mean()))
