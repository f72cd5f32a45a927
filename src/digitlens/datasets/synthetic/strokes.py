"""Pen strokes: forms of digits, letters and marks, and a pen that draws them.

Forms are strokes, parted by slashes, of points, parted by commas: x to the right and y down, both
in hundredths of a digit's frame. A stroke is a Catmull-Rom curve through its points; a doubled
point makes a corner. Small letters begin at 40, tails end below 100.
"""

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

# Forms of each digit.
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


def _strokes(form: str) -> tuple[Points, ...]:
    return tuple(
        np.array([point.split() for point in stroke.split(",")], np.float64) / 100
        for stroke in form.split("/")
    )


# For each digit its forms: each a tuple of strokes, float64[n, 2], 0..1.
FORMS = tuple(tuple(_strokes(form) for form in forms) for forms in _DRAWN)


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


# Letters and signs. Letters that many people write like a digit (o, l, i, s, z, g, q, and capitals
# O, I, S, Z) are left out: nobody could say of one alone that it is no digit.
_LETTERS: dict[str, str] = {
    "a": "85 50, 50 40, 10 70, 45 100, 85 70 / 86 40, 86 100",
    "b": "15 0, 15 100 / 15 65, 55 45, 85 72, 50 100, 15 90",
    "c": "85 50, 45 40, 12 70, 50 100, 88 90",
    "d": "85 0, 85 100 / 85 55, 45 42, 12 72, 50 100, 85 85",
    "e": "12 70, 85 66, 50 40, 12 70, 50 100, 88 90",
    "f": "85 5, 55 2, 45 30, 42 100 / 15 42, 75 42",
    "h": "15 0, 15 100 / 15 65, 50 42, 82 62, 82 100",
    "j": "60 40, 60 100, 45 120, 15 115 / 60 20, 62 22",
    "k": "15 0, 15 100 / 80 40, 18 72, 18 72, 85 100",
    "m": "5 42, 7 100 / 7 60, 28 42, 48 60, 48 100 / 48 60, 72 42, 94 60, 95 100",
    "n": "15 42, 15 100 / 15 62, 50 42, 82 60, 83 100",
    "p": "15 42, 15 122 / 15 55, 60 42, 85 70, 50 97, 15 85",
    "r": "25 42, 25 100 / 25 65, 45 45, 80 46",
    "t": "48 5, 48 85, 60 100, 82 95 / 15 36, 82 36",
    "u": "15 42, 15 80, 45 100, 82 78 / 83 42, 84 100",
    "v": "10 42, 48 100, 48 100, 90 42",
    "w": "5 42, 28 100, 28 100, 50 50, 50 50, 74 100, 74 100, 96 42",
    "x": "12 42, 88 100 / 85 42, 12 100",
    "y": "12 42, 50 90 / 88 42, 50 95, 20 122",
    "A": "5 100, 50 0, 50 0, 95 100 / 22 65, 78 65",
    "B": "15 0, 15 100 / 15 0, 15 0, 70 5, 70 40, 15 47, 15 47, 85 60, 75 95, 15 100",
    "C": "88 18, 50 0, 10 50, 50 100, 90 82",
    "D": "15 0, 15 100 / 15 0, 15 0, 75 12, 85 60, 55 97, 15 100",
    "E": "85 0, 15 0, 15 0, 15 100, 15 100, 88 100 / 15 48, 70 48",
    "F": "85 0, 15 0, 15 0, 15 100 / 15 48, 70 48",
    "G": "85 15, 45 0, 10 50, 50 100, 88 80, 88 55, 88 55, 55 55",
    "H": "15 0, 15 100 / 85 0, 85 100 / 15 50, 85 50",
    "J": "70 0, 70 75, 40 100, 10 80",
    "K": "15 0, 15 100 / 82 0, 16 55, 16 55, 88 100",
    "L": "18 0, 18 100, 18 100, 85 100",
    "M": "6 100, 10 0, 10 0, 50 65, 50 65, 90 0, 90 0, 94 100",
    "N": "12 100, 12 0, 12 0, 86 100, 86 100, 86 0",
    "P": "18 0, 18 100 / 18 2, 75 5, 80 40, 18 52",
    "Q": "50 0, 10 30, 15 85, 60 100, 90 50, 50 0 / 55 70, 95 108",
    "R": "18 0, 18 100 / 18 2, 78 8, 70 42, 20 50, 20 50, 88 100",
    "T": "8 0, 92 0 / 50 0, 50 100",
    "U": "14 0, 14 70, 50 100, 86 70, 86 0",
    "V": "8 0, 50 100, 50 100, 92 0",
    "W": "3 0, 27 100, 27 100, 50 25, 50 25, 73 100, 73 100, 97 0",
    "X": "10 0, 90 100 / 88 0, 10 100",
    "Y": "10 0, 50 50 / 90 0, 50 50, 48 100",
    "α": "95 42, 65 85, 35 100, 8 70, 38 42, 68 70, 95 100",  # noqa: RUF001
    "β": "15 122, 20 30, 55 0, 80 22, 45 45, 45 45, 88 65, 60 98, 22 88",
    "γ": "8 45, 30 45, 50 95, 45 122 / 92 42, 50 98",  # noqa: RUF001
    "λ": "20 0, 38 5, 88 100 / 50 42, 10 100",
    "π": "8 50, 20 42, 92 42 / 35 42, 28 100 / 68 42, 72 100",
    "+": "12 60, 88 60 / 50 25, 50 95",
    "=": "12 50, 88 50 / 12 72, 88 72",
    "?": "15 20, 50 0, 85 25, 50 50, 48 72 / 48 95, 50 98",
    "#": "35 0, 25 100 / 75 0, 65 100 / 5 33, 95 33 / 5 67, 95 67",
    "*": "50 5, 50 60 / 20 18, 80 48 / 80 18, 20 48",
}


LETTERS: dict[str, tuple[Points, ...]] = {char: _strokes(form) for char, form in _LETTERS.items()}

# Marks of numbers, and letters that look like digits, each in one or more forms.
_MARKS: dict[str, tuple[str, ...]] = {
    ".": ("46 94, 54 99", "50 92, 50 98", "44 97, 58 97"),
    ",": ("54 92, 52 104, 40 120", "50 90, 44 116", "56 88, 36 122"),
    "'": ("52 0, 46 24", "50 2, 50 22"),
    "-": ("15 56, 85 56", "5 60, 95 54", "20 54, 80 58"),
    "/": ("88 -6, 12 108", "70 0, 30 100", "98 -20, 5 112"),
    ":": ("48 45, 52 50 / 48 92, 52 97",),
    "%": ("85 0, 15 100 / 20 0, 5 15, 20 32, 35 16, 20 0 / 80 66, 65 82, 80 100, 96 82, 80 66",),
    "°": ("50 0, 32 14, 50 28, 68 14, 50 0",),
    "(": ("65 -8, 35 25, 32 70, 65 110",),
    ")": ("35 -8, 65 25, 68 70, 35 110",),
    "×": ("20 42, 80 96 / 80 42, 20 96",),  # noqa: RUF001
    "÷": ("12 60, 88 60 / 49 36, 51 40 / 49 82, 51 86",),
    "$": ("80 18, 50 4, 18 24, 50 48, 84 72, 50 96, 14 82 / 50 -8, 50 110",),
    "€": ("92 16, 60 2, 28 50, 60 98, 92 84 / 8 40, 70 40 / 8 60, 66 60",),
    "£": ("84 16, 58 2, 40 25, 44 60, 30 98, 30 98, 90 96 / 20 52, 72 52",),
    "¥": ("10 0, 50 50 / 90 0, 50 50, 50 100 / 18 60, 82 60 / 18 78, 82 78",),
    "§": ("76 10, 50 -4, 26 16, 74 48, 52 66, 28 46 / 76 48, 74 78, 50 104, 24 90",),
    "O": ("50 0, 10 30, 12 72, 50 100, 88 70, 90 30, 50 0",),
    "o": ("50 40, 16 58, 22 92, 50 100, 80 86, 84 54, 50 40",),
    "I": ("50 0, 50 100", "20 0, 80 0 / 50 0, 50 100 / 20 100, 80 100"),
    "i": ("50 42, 50 100 / 49 16, 51 20",),
    "l": ("50 -6, 50 100", "44 -6, 44 86, 62 100, 74 94"),
    "S": ("84 14, 50 0, 18 24, 50 48, 86 74, 50 100, 12 86",),
    "s": ("78 50, 50 40, 24 56, 50 70, 78 86, 50 100, 20 92",),
    "Z": ("10 0, 10 0, 90 0, 90 0, 10 100, 10 100, 92 100",),
    "z": ("16 42, 16 42, 82 42, 82 42, 16 100, 16 100, 86 100",),
    "g": ("84 46, 46 40, 16 64, 46 92, 82 72 / 84 42, 84 112, 54 134, 18 122",),
    "q": ("84 46, 46 40, 16 64, 46 92, 82 72 / 84 42, 84 136",),
    "α": ("92 30, 60 90, 30 100, 12 70, 30 42, 60 50, 94 98",),  # noqa: RUF001
    "β": (
        "20 130, 24 40, 40 0, 74 10, 66 40, 40 48, 82 60, 74 96, 28 92",
        "24 40, 44 0, 78 14, 60 40, 36 44, 84 62, 66 98, 30 86, 20 110, 60 130",
    ),
    "γ": (  # noqa: RUF001
        "6 42, 30 44, 52 96, 44 130, 34 110, 60 70, 92 40",
        "8 4, 40 30, 54 70, 44 104, 32 90, 60 50, 92 0",
    ),
    "δ": ("70 8, 40 10, 70 50, 60 98, 20 90, 24 54, 60 48",),
    "ε": ("80 44, 30 42, 30 66, 60 70, 24 74, 28 100, 84 96",),
    "θ": ("50 0, 20 40, 44 100, 80 60, 50 0 / 24 52, 76 50",),
    "λ": ("20 4, 40 8, 86 100 / 52 40, 10 100",),
    "μ": ("20 130, 26 42, 26 90, 60 96, 78 44, 80 96, 96 92",),
    "π": ("6 46, 94 42 / 30 46, 26 100 / 70 44, 74 98",),
    "σ": ("94 44, 40 46, 16 74, 40 100, 72 74, 50 48",),  # noqa: RUF001
    "φ": ("50 20, 46 130 / 30 44, 12 72, 50 98, 86 70, 60 44, 50 70",),
    "ψ": ("10 44, 20 84, 50 90, 82 80, 90 40 / 54 10, 46 130",),
    "ω": ("20 44, 8 80, 34 100, 50 64, 66 100, 92 80, 78 44",),
    "B": ("15 0, 15 100 / 15 0, 15 0, 70 5, 70 40, 15 47, 15 47, 85 60, 75 95, 15 100",),
}


MARK_FORMS: dict[str, tuple[tuple[Points, ...], ...]] = {
    char: tuple(_strokes(form) for form in forms) for char, forms in _MARKS.items()
}

# A quick hand: digits as in everyday writing, joined to the next by their last stroke. A form that
# could be another digit by itself has its own sign of what it is.
_QUICK = (
    (  # 0: begun or ended at the left or right, with a loop, a narrow one, a
        # hook, an a
        "72 12, 30 0, 8 45, 30 98, 70 92, 90 45, 66 6, 40 12",
        "20 18, 60 2, 92 40, 70 96, 28 96, 8 50, 34 6, 78 10, 104 22",
        "50 0, 30 45, 46 100, 70 55, 52 4, 44 20, 88 14",
        "36 26, 20 6, 52 2, 88 40, 74 96, 30 98, 12 60, 34 18, 80 4",
        "66 4, 30 8, 8 52, 34 98, 76 70, 80 8, 80 8, 84 70, 108 84",
    ),
    (  # 1: a slash, a long one, with a short flag, an upstroke, a hook, a wave, an l
        "88 0, 12 100",
        "104 -14, -4 122",
        "34 26, 82 0, 82 0, 24 106",
        "0 112, 56 0, 56 0, 70 100",
        "8 40, 44 6, 62 0, 56 60, 40 100, 62 104",
        "-8 104, 40 30, 64 -4, 64 -4, 34 118",
        "8 72, 52 30, 62 0, 42 -2, 42 60, 50 100, 76 94",
    ),
    (  # 2: a z, a long foot, a loop that ends high, a swan, large loops below, closed ones above
        "12 12, 30 2, 84 6, 84 6, 12 92, 12 92, 98 90",
        "18 22, 56 0, 82 26, 34 84, 6 96, 14 78, 60 98, 128 82",
        "28 16, 62 0, 78 34, 26 100, 10 84, 34 80, 84 96, 104 70",
        "24 30, 30 4, 70 2, 76 40, 10 98, 10 98, 70 94, 112 102",
        "30 36, 44 2, 80 12, 58 62, 18 100, 2 80, 40 82, 92 106",
        "40 30, 30 8, 62 0, 74 26, 40 78, 12 108, -4 92, 30 84, 86 98",
        "66 44, 24 46, 22 10, 60 -2, 78 26, 50 74, 8 102, 8 102, 50 92, 104 100",
        "44 50, 14 34, 36 2, 74 4, 72 44, 34 88, 2 100, 20 84, 60 92, 100 90",
        "54 30, 34 36, 30 12, 56 4, 68 26, 48 66, 22 92, 22 92, 96 84",
    ),
    (  # 3: angular, of two strokes down, with a tail to the left, with a loop
        "10 6, 82 2, 82 2, 40 42, 40 42, 78 64, 46 100, -2 92",
        "16 16, 60 0, 74 26, 34 46, 34 46, 82 62, 66 112, 2 104",
        "20 10, 66 4, 60 34, 30 44, 78 54, 72 94, 24 102, 10 84",
        "8 20, 50 -4, 80 18, 40 50, 54 40, 84 76, 40 112, -10 92",
    ),
    (  # 4: a stroke of lightning, an h, a y, a u, of an arm and a long stem, rounded,
        # a cup and a stem, almost closed
        "44 0, 12 52, 12 52, 76 42, 76 42, 46 104",
        "52 -2, 10 62, 18 66, 98 52 / 78 30, 54 104",
        "12 8, 6 46, 34 58, 84 12, 84 12, 62 112",
        "14 2, 10 44, 44 58, 82 6, 82 6, 76 76, 96 92",
        "30 4, 6 56, 6 56, 88 50 / 84 -4, 58 118",
        "58 0, 22 30, 6 60, 44 62, 92 46 / 66 26, 60 70, 44 104",
        "36 2, 24 46, 24 46, 70 46, 70 46, 62 20, 44 112",
        "40 2, 14 30, 14 56, 46 58, 78 36 / 80 2, 62 60, 50 112",
        "24 6, 10 40, 28 58, 62 46, 76 4, 76 4, 72 52, 60 108",
        "62 6, 22 46, 22 60, 92 54 / 70 6, 64 60, 60 106",
    ),
    (  # 5: a long bar, an s, a root, of a stem and a bar apart, sharp, a hook below a bar
        "120 -4, 30 2, 30 2, 24 42, 24 42, 72 50, 64 96, 4 98",
        "88 6, 40 2, 26 32, 72 58, 60 94, 2 98",
        "-2 70, 20 98, 36 60, 34 6, 34 6, 112 -2",
        "28 12, 22 46, 70 46, 78 84, 10 100 / 46 4, 116 -8",
        "30 0, 18 40, 18 40, 82 60, 20 104 / 30 0, 96 2",
        "6 14, 30 4, 74 0 / 40 4, 46 52, 34 96, 2 84",
        "-4 18, 26 8, 92 -6 / 40 6, 34 40, 58 60, 48 96, 10 102",
        "24 6, 22 44, 22 44, 62 54, 56 92, 8 100 / 20 6, 104 2",
    ),
    (  # 6: a long neck, a b, a spiral, a G
        "96 -8, 30 40, 12 82, 46 104, 66 78, 36 62, 18 82",
        "24 0, 14 60, 28 100, 74 88, 66 56, 18 72",
        "70 0, 20 36, 10 84, 56 100, 78 66, 40 52, 30 80, 60 82",
        "78 12, 46 0, 12 50, 34 100, 80 84, 76 60, 40 62",
    ),
    (  # 7: a cross with a short head, a t with a nick, crossed low, of a wave, long and crossed
        "22 14, 46 4, 58 0, 58 0, 40 104 / 2 50, 96 42",
        "30 8, 62 2, 62 2, 50 60, 46 104 / 6 46, 98 40",
        "2 22, 14 6, 50 10, 84 0, 84 0, 34 112 / 18 62, 84 54",
        "4 16, 24 2, 62 10, 96 -2, 96 -2, 44 50, 36 100",
        "14 8, 82 2, 82 2, 20 122 / 24 58, 80 44",
        "0 4, 86 0, 86 0, 60 40, 56 96 / 30 46, 98 34",
    ),
    (  # 8: a B, an e above an o, open above, a knot, of a b
        # closed above, of two rings apart
        "64 8, 22 6, 26 50, 18 98, 80 92, 70 54, 28 48, 76 30, 60 4, 20 10",
        "24 56, 72 34, 58 2, 22 18, 70 60, 62 98, 14 88, 30 58, 86 40",
        "92 -4, 40 2, 20 28, 78 66, 56 102, 16 82, 60 44, 98 10",
        "70 14, 40 0, 26 24, 74 74, 46 104, 22 76, 74 26, 60 4",
        "72 22, 52 0, 30 28, 14 80, 40 102, 80 82, 66 56, 34 50, 68 34, 76 10, 52 0",
        "22 60, 16 96, 66 98, 72 62, 20 56, 40 30, 66 26, 72 4, 44 0, 28 30, 20 60",
        "52 2, 26 20, 48 42, 74 22, 54 2 / 46 46, 12 70, 44 102, 84 74, 50 46",
        "84 14, 48 0, 26 22, 60 42, 60 42, 20 60, 24 96, 70 98, 78 62, 48 46",
        "72 4, 20 20, 18 84, 52 104, 84 78, 60 54, 26 52, 66 44, 76 10, 46 -2",
    ),
    (  # 9: an e with a tail, a g, a q, with a straight stem apart
        "30 42, 76 36, 66 4, 30 2, 22 34, 50 52, 76 60, 60 98, 28 100",
        "20 46, 74 40, 70 8, 36 -2, 20 24, 34 52, 80 30, 76 80, 50 104",
        "82 8, 40 0, 14 30, 46 52, 84 14, 84 14, 76 98, 34 110, 14 90",
        "80 4, 32 0, 12 40, 60 50, 84 4, 84 4, 78 80, 104 96",
        "60 4, 20 12, 26 48, 66 34, 60 4 / 74 0, 66 112",
    ),
)
# For each digit its forms in a quick hand.
QUICK_FORMS = tuple(tuple(_strokes(form) for form in forms) for forms in _QUICK)
