"""Pen strokes: forms of digits, letters and marks, and a pen that draws them.

The forms stand in ``strokes.csv``: strokes, parted by slashes, of points, parted by semicolons: x
to the right and y down, both in hundredths of a digit's frame. A stroke is a Catmull-Rom curve
through its points; a doubled point makes a corner. Small letters begin at 40, tails end below 100.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from digitlens.datasets.synthetic.drawing import Ink, Points, Rng, log_uniform, pick

SIDE = 128  # of the square that a digit is drawn in, in pixels
_MARGIN = 24
FRAME = SIDE - 2 * _MARGIN  # height of a digit in it
_SHIFT = 4  # fractional bits of cv2's coordinates
Form = tuple[Points, ...]  # strokes, each float64[n, 2], 0..1


def _load_forms() -> dict[str, dict[str, tuple[Form, ...]]]:
    """By set and character all forms."""
    forms: dict[str, dict[str, tuple[Form, ...]]] = {}
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            known = forms.setdefault(row["set"], {})
            known[row["char"]] = (*known.get(row["char"], ()), _form(row["form"]))
    return forms


def _form(text: str) -> Form:
    return tuple(
        np.array([point.split() for point in stroke.split(";")], np.float64) / 100
        for stroke in text.split("/")
    )


_FORMS = _load_forms()
FORMS = tuple(_FORMS["digit"].values())
# Digits as in everyday writing, joined to the next by their last stroke. A form that could be
# another digit by itself has its own sign of what it is.
QUICK_FORMS = tuple(_FORMS["quick"].values())
# Letters and signs. Letters that many people write like a digit (o, l, i, s, z, g, q, and capitals
# O, I, S, Z) are left out: nobody could say of one alone that it is no digit.
LETTERS = {char: forms[0] for char, forms in _FORMS["letter"].items()}
# Marks of numbers, and letters that look like digits.
MARK_FORMS = _FORMS["mark"]


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


def draw_pen(rng: Rng) -> Pen:
    """Chooses a pen, from a hairline to a broad marker."""
    return Pen(
        forms=tuple(int(rng.integers(len(forms))) for forms in FORMS),
        width=log_uniform(rng, 1.5, 20),
        jitter=rng.uniform(0.5, 4.0),
        aspect=rng.uniform(0.45, 0.95),
        straight=bool(rng.random() < 0.1),
        gaps=rng.uniform(0.02, 0.08) if rng.random() < 0.08 else 0.0,
    )


def draw_digit(value: int, pen: Pen, rng: Rng) -> Ink:
    """Draws one digit, now and then in a form that is not the pen's usual one.

    Args:
        value: 0 to 9.
        pen: Who draws.
        rng: Decides form, jitter and pressure.

    Returns:
        uint8[SIDE, SIDE], 255 where there is ink, with a margin around it.
    """
    forms = FORMS[value]
    form = forms[pen.forms[value]] if rng.random() < 0.8 else pick(rng, forms)
    return draw_form(form, pen, rng)


def draw_form(form: Sequence[Points], pen: Pen, rng: Rng) -> Ink:
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
            width = max(1, round(pen.width * rng.uniform(0.92, 1.08)))
            cv2.polylines(ink, [fixed], False, 255, width, cv2.LINE_AA, _SHIFT)
    return ink


def _jittered(points: Points, jitter: float, rng: Rng) -> Points:
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


def _parts(path: Points, gaps: float, rng: Rng) -> list[Points]:
    if not gaps or len(path) < 12:
        return [path]
    cut = int(rng.integers(4, len(path) - 4))
    width = max(1, round(gaps * len(path)))
    return [part for part in (path[:cut], path[cut + width :]) if len(part) > 1]
