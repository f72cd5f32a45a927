"""Corruptions of the paper: a dotted line and a zigzag drawn over the digit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions.planes import SIDE, Planes

REACH = 2.3  # vertical distance from the line at which its ink would be endlessly dark
DASH = 2  # columns
START, END = 2, 25  # columns of the zigzag
STEP = 2.0  # half a tooth of the zigzag, and its height
_Numbers = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.float64 | np.int64]


def dotted_line(planes: Planes, rng: np.random.Generator) -> Planes:
    """A line from the left edge to the right one, of which every other dash is drawn."""
    first, last = rng.integers(0, SIDE - 1, (2, len(planes)))
    line = _segment(np.zeros(len(planes)), first, np.full(len(planes), SIDE - 1), last)
    dashes = np.arange(SIDE) // DASH % 2
    return (planes + line * dashes).astype(np.float32)


def zigzag(planes: Planes, rng: np.random.Generator) -> Planes:
    """A zigzag of teeth of four pixels along a line that rises or falls by at most five."""
    first = rng.integers(0, SIDE - 1, len(planes)).astype(np.float64)
    angle = np.arctan(rng.integers(-5, 5, len(planes)) / (END - START))
    sine, cosine = np.sin(angle), np.cos(angle)
    drawn = planes
    for start, end in pairwise(_corners((END - START) / cosine)):
        ends = [
            (START + along * cosine - beside * sine, first + along * sine + beside * cosine)
            for along, beside in (start, end)
        ]
        drawn = np.minimum(drawn + _segment(*ends[0], *ends[1]), 1)
    return drawn


def _corners(length: _Numbers) -> list[tuple[_Numbers, _Numbers]]:
    """Places along and beside lines of these lengths, each float64[N]: the corners of a zigzag."""
    along = [np.zeros_like(length)]
    beside = [np.zeros_like(length)]
    teeth = int((length.min(initial=END - START) - STEP) // (2 * STEP)) + 1
    for tooth in range(teeth):
        along.append(np.full_like(length, (2 * tooth + 1) * STEP))
        beside.append(np.full_like(length, (-1) ** tooth * STEP))
    rest = length - along[-1]  # of a tooth that is not finished
    return [*zip(along, beside, strict=True), (length, beside[-1] * (1 - rest / STEP))]


def _segment(x0: _Numbers, y0: _Rows, x1: _Numbers, y1: _Rows) -> Planes:
    """Ink of one line for each tile, brightest on it and fading over two pixels up and down.

    Args:
        x0: float64[N], column where it starts; it is drawn in whole columns.
        y0: Row where it starts.
        x1: Column where it ends.
        y1: Row where it ends.
    """
    columns = np.arange(SIDE, dtype=np.float64)
    rows = y0[:, None] + ((y1 - y0) / (x1 - x0))[:, None] * (columns - x0[:, None])
    distance = np.abs(columns[:, None] - rows[:, None, :])  # as many rows as columns
    ink = np.log(np.maximum(1 - distance / REACH, 1e-9)) + 1
    drawn = (columns >= np.floor(x0)[:, None]) & (columns < np.ceil(x1)[:, None])
    return (np.clip(ink, 0, 1) * drawn[:, None, :]).astype(np.float32)
