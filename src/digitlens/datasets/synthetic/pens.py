"""Draws digits as pen strokes: European 1 and 7, closed and open 4, slashed 0, any pen width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Ink, Points

SIDE = 128  # of the square that a digit is drawn in, in pixels
_MARGIN = 24
FRAME = SIDE - 2 * _MARGIN  # height of a digit in it
_SHIFT = 4  # fractional bits of cv2's coordinates

# Forms of each digit. A form is strokes, parted by slashes, of points, parted by commas: x to the
# right and y down, both in hundredths of the digit's frame. A stroke is a Catmull-Rom curve through
# its points; a doubled point makes a corner.
_DRAWN = (
    (  # 0: round, open, slashed, ending in a small loop
        "50 0, 12 25, 10 70, 50 100, 88 72, 90 28, 50 0",
        "55 2, 10 40, 25 95, 80 80, 85 20, 45 5",
        "50 0, 12 25, 10 70, 50 100, 88 72, 90 28, 50 0 / 80 12, 20 90",
        "60 2, 15 25, 12 75, 50 100, 88 70, 85 20, 45 2, 52 16, 82 4",
    ),
    (  # 1: a stroke, with a nick, a flag, a long flag, a foot, an upstroke as long as itself
        "50 0, 50 100",
        "20 30, 55 0, 55 0, 55 100",
        "5 55, 30 35, 60 0, 60 0, 60 100",
        "0 75, 35 40, 65 0, 65 0, 60 50, 60 100",
        "20 25, 50 0, 50 0, 50 100 / 15 100, 85 100",
        "0 95, 40 45, 72 0, 72 0, 62 100",
    ),
    (  # 2: with a corner, a sharp turn, a loop below, above, both
        "12 25, 45 0, 85 25, 50 62, 10 100, 10 100, 92 100",
        "15 20, 50 0, 80 30, 10 98, 30 85, 60 100, 92 92",
        "15 20, 55 0, 80 30, 30 95, 5 90, 20 75, 60 95, 95 90",
        "38 26, 20 34, 14 16, 50 0, 85 24, 50 62, 10 100, 10 100, 92 98",
        "40 24, 22 32, 16 14, 52 0, 82 28, 30 94, 6 92, 20 78, 58 96, 96 84",
    ),
    (  # 3: round, with a flat top, a loop in the middle
        "15 15, 50 0, 82 22, 40 47, 40 47, 88 70, 50 100, 10 85",
        "10 0, 10 0, 85 0, 85 0, 40 42, 40 42, 88 65, 55 100, 8 88",
        "15 14, 50 0, 80 20, 48 46, 32 42, 44 52, 86 70, 50 100, 10 84",
    ),
    (  # 4: open, closed, open with a round corner, closed by a second stroke,
        # in one stroke, as a y
        "30 0, 8 60, 8 60, 95 60 / 70 25, 68 100",
        "65 100, 65 0, 65 0, 5 68, 5 68, 95 68",
        "15 0, 12 50, 15 55, 85 50 / 85 0, 80 100",
        "55 0, 5 65, 5 65, 90 65 / 55 40, 50 100",
        "60 2, 10 62, 40 66, 92 56, 80 22, 80 22, 62 100",
        "16 4, 12 44, 42 58, 82 40 / 88 0, 66 100",
    ),
    (  # 5: in one stroke, with the top added, without corners
        "85 0, 85 0, 20 0, 20 0, 15 42, 15 42, 60 36, 88 68, 50 100, 8 90",
        "22 2, 15 42, 15 42, 60 36, 88 68, 50 100, 8 90 / 22 2, 90 0",
        "90 0, 30 5, 20 40, 80 60, 60 95, 5 95",
    ),
    (  # 6: leaning, upright, of one long curve
        "75 2, 30 30, 10 70, 45 100, 85 78, 60 50, 15 68",
        "45 0, 12 60, 45 100, 80 80, 55 60, 15 75",
        "88 4, 50 12, 18 50, 20 88, 52 100, 78 78, 55 58, 24 74",
    ),
    (  # 7: plain, crossed, with a serif, curved, with a wave and crossed
        "8 2, 8 2, 90 0, 90 0, 40 100",
        "8 2, 90 0, 90 0, 50 50, 40 100 / 25 50, 85 48",
        "8 18, 10 2, 10 2, 90 4, 90 4, 35 100",
        "10 15, 30 2, 90 5, 60 45, 45 100",
        "6 22, 12 4, 45 14, 94 2, 94 2, 46 100 / 28 56, 86 50",
    ),
    (  # 8: in one stroke, of two rings, open above
        "80 15, 50 0, 18 20, 50 48, 85 75, 50 100, 12 75, 50 48, 80 15",
        "50 0, 20 22, 50 46, 80 22, 50 0 / 50 46, 10 75, 50 100, 90 75, 50 46",
        "84 10, 46 0, 20 22, 80 70, 50 100, 14 78, 74 30, 94 2",
    ),
    (  # 9: with a straight leg, a hooked one, a corner, open above
        "85 20, 50 0, 15 28, 45 52, 82 25, 82 25, 80 60, 70 100",
        "82 12, 40 2, 15 30, 50 50, 83 20, 85 70, 55 100, 15 92",
        "80 25, 45 0, 15 25, 50 50, 80 25, 80 25, 80 100",
        "66 6, 24 10, 20 42, 58 46, 86 6, 86 6, 72 100",
    ),
)


def _points(stroke: str) -> Points:
    return np.array([point.split() for point in stroke.split(",")], np.float64) / 100


# For each digit its forms: each a tuple of strokes, float64[n, 2], 0..1.
FORMS = tuple(
    tuple(tuple(_points(stroke) for stroke in form.split("/")) for form in forms)
    for forms in _DRAWN
)


@dataclass(frozen=True)
class Pen:
    """How one person draws.

    Attributes:
        forms: Number of the usual form of each digit, among ``FORMS``.
        width: Of the stroke, in pixels of the square that digits are drawn in.
        jitter: Standard deviation of the control points, likewise.
        aspect: Width over height of a digit's frame.
        straight: Strokes are straight lines between the points.
        gaps: Share of each stroke that is left out.
    """

    forms: tuple[int, ...]
    width: float
    jitter: float
    aspect: float
    straight: bool
    gaps: float


def draw_pen(rng: np.random.Generator) -> Pen:
    """Chooses a pen, from a hairline to a broad marker."""
    return Pen(
        forms=tuple(int(rng.integers(len(forms))) for forms in FORMS),
        width=float(np.exp(rng.uniform(np.log(1.5), np.log(20)))),
        jitter=float(rng.uniform(0.5, 4.0)),
        aspect=float(rng.uniform(0.45, 0.95)),
        straight=bool(rng.random() < 0.1),
        gaps=float(rng.uniform(0.02, 0.08)) if rng.random() < 0.08 else 0.0,
    )


def draw_digit(value: int, pen: Pen, rng: np.random.Generator) -> Ink:
    """Draws one digit, now and then in a form that is not the pen's usual one.

    Args:
        value: 0 to 9.
        pen: Who draws.
        rng: Decides form, jitter and pressure.

    Returns:
        uint8[SIDE, SIDE], 255 where there is ink, with a margin around it.
    """
    forms = FORMS[value]
    form = forms[pen.forms[value]] if rng.random() < 0.8 else forms[int(rng.integers(len(forms)))]
    return draw_form(form, pen, rng)


def draw_form(form: Sequence[Points], pen: Pen, rng: np.random.Generator) -> Ink:
    """Draws the strokes of one form; see ``draw_digit``."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    frame = FRAME
    for stroke in form:
        points = stroke * (frame * pen.aspect, frame)
        points = points + (SIDE - frame * pen.aspect) / 2 * np.array([1, 0]) + (0, _MARGIN)
        points = _jittered(points, pen.jitter, rng)
        path = points if pen.straight else _curve(points)
        for part in _parts(path, pen.gaps, rng):
            fixed = np.rint(part * (1 << _SHIFT)).astype(np.int32)
            width = max(1, round(pen.width * float(rng.uniform(0.92, 1.08))))
            cv2.polylines(ink, [fixed], False, 255, width, cv2.LINE_AA, _SHIFT)
    return ink


def _jittered(points: Points, jitter: float, rng: np.random.Generator) -> Points:
    moved = points + rng.normal(0, jitter, points.shape)
    same = (points[1:] == points[:-1]).all(axis=1)  # a corner stays one
    moved[1:][same] = moved[:-1][same]
    if (points[0] == points[-1]).all():
        moved[-1] = moved[0] + rng.normal(0, jitter, 2)
    return moved


def _curve(points: Points) -> Points:
    """A Catmull-Rom curve through the points (Catmull and Rom, 1974)."""
    framed = np.vstack([points[:1], points, points[-1:]])
    return np.vstack(
        [
            _piece(*four)
            for four in zip(framed, framed[1:], framed[2:], framed[3:], strict=False)
            if (four[1] != four[2]).any()
        ]
    )


def _piece(a: Points, b: Points, c: Points, d: Points) -> Points:
    """The curve from b to c; the others decide how it leaves and arrives."""
    t = np.linspace(0, 1, 9)[:, None]
    squared = 2 * a - 5 * b + 4 * c - d
    cubed = 3 * b - a - 3 * c + d
    return 0.5 * (2 * b + (c - a) * t + squared * t**2 + cubed * t**3)


def _parts(path: Points, gaps: float, rng: np.random.Generator) -> list[Points]:
    if not gaps or len(path) < 12:
        return [path]
    cut = int(rng.integers(4, len(path) - 4))
    width = max(1, round(gaps * len(path)))
    return [part for part in (path[:cut], path[cut + width :]) if len(part) > 1]
