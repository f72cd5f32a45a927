"""A quick hand: digits as in everyday writing, joined to the next by their last stroke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlens.datasets.synthetic.arrays import Ink, Points
from digitlens.datasets.synthetic.hands import DIGITS, Glyph
from digitlens.datasets.synthetic.pen_marks import PenMarks
from digitlens.datasets.synthetic.pens import FORMS, FRAME, SIDE, Pen, draw_form

# Strokes in the frame of ``pens``: points parted by commas, x and y in hundredths, y downwards. A
# form that could be another digit by itself has its own sign of what it is.
_DRAWN = (
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
    (  # 2: a z, a long foot, a loop that ends high, a swan, large loops below
        "12 12, 30 2, 84 6, 84 6, 12 92, 12 92, 98 90",
        "18 22, 56 0, 82 26, 34 84, 6 96, 14 78, 60 98, 128 82",
        "28 16, 62 0, 78 34, 26 100, 10 84, 34 80, 84 96, 104 70",
        "24 30, 30 4, 70 2, 76 40, 10 98, 10 98, 70 94, 112 102",
        "30 36, 44 2, 80 12, 58 62, 18 100, 2 80, 40 82, 92 106",
        "40 30, 30 8, 62 0, 74 26, 40 78, 12 108, -4 92, 30 84, 86 98",
    ),
    (  # 3: angular, of two strokes down, with a tail to the left, with a loop
        "10 6, 82 2, 82 2, 40 42, 40 42, 78 64, 46 100, -2 92",
        "16 16, 60 0, 74 26, 34 46, 34 46, 82 62, 66 112, 2 104",
        "20 10, 66 4, 60 34, 30 44, 78 54, 72 94, 24 102, 10 84",
        "8 20, 50 -4, 80 18, 40 50, 54 40, 84 76, 40 112, -10 92",
    ),
    (  # 4: a stroke of lightning, an h, a y, a u, of an arm and a long stem, rounded
        "44 0, 12 52, 12 52, 76 42, 76 42, 46 104",
        "52 -2, 10 62, 18 66, 98 52 / 78 30, 54 104",
        "12 8, 6 46, 34 58, 84 12, 84 12, 62 112",
        "14 2, 10 44, 44 58, 82 6, 82 6, 76 76, 96 92",
        "30 4, 6 56, 6 56, 88 50 / 84 -4, 58 118",
        "58 0, 22 30, 6 60, 44 62, 92 46 / 66 26, 60 70, 44 104",
        "36 2, 24 46, 24 46, 70 46, 70 46, 62 20, 44 112",
    ),
    (  # 5: a long bar, an s, a root, of a stem and a bar apart, sharp, a hook below a bar
        "120 -4, 30 2, 30 2, 24 42, 24 42, 72 50, 64 96, 4 98",
        "88 6, 40 2, 26 32, 72 58, 60 94, 2 98",
        "-2 70, 20 98, 36 60, 34 6, 34 6, 112 -2",
        "28 12, 22 46, 70 46, 78 84, 10 100 / 46 4, 116 -8",
        "30 0, 18 40, 18 40, 82 60, 20 104 / 30 0, 96 2",
        "6 14, 30 4, 74 0 / 40 4, 46 52, 34 96, 2 84",
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
    ),
    (  # 9: a P, a g, a q, with a straight stem apart
        "28 106, 38 8, 38 8, 78 2, 84 32, 40 50",
        "82 8, 40 0, 14 30, 46 52, 84 14, 84 14, 76 98, 34 110, 14 90",
        "80 4, 32 0, 12 40, 60 50, 84 4, 84 4, 78 80, 104 96",
        "60 4, 20 12, 26 48, 66 34, 60 4 / 74 0, 66 112",
    ),
)
_NECKS = (0, 2, 6, 8, 9)  # digits whose last stroke runs on to the next one
_TAIL = 0.5  # most of a tail's length, in frames


def _points(stroke: str) -> Points:
    return np.array([point.split() for point in stroke.split(",")], np.float64) / 100


# For each digit the forms of a quick hand, each a tuple of strokes, float64[n, 2], 0..1.
QUICK = tuple(
    tuple(tuple(_points(stroke) for stroke in form.split("/")) for form in forms)
    for forms in _DRAWN
)


@dataclass(frozen=True)
class Habits:
    """How a quick hand writes digits.

    Attributes:
        forms: For each digit the strokes of its usual form.
        joined: Share of the digits that have a tail to the next one.
        tail: Height at which tails end, 0 at the top of a digit and 1 at its foot.
    """

    forms: tuple[Sequence[Points], ...]
    joined: float
    tail: float


def draw_habits(rng: np.random.Generator) -> Habits:
    """Chooses habits; each second form is one of ``pens``."""
    forms: list[Sequence[Points]] = []
    for value in range(10):
        chosen = QUICK[value] if rng.random() < 0.6 else FORMS[value]
        forms.append(chosen[int(rng.integers(len(chosen)))])
    joined = float(rng.uniform(0.3, 1)) if rng.random() < 0.35 else 0.0
    return Habits(tuple(forms), joined, float(rng.uniform(0.0, 0.7)))


class QuickHand(PenMarks):
    """Draws digits in the forms of everyday writing, marks and letters as ``PenMarks``."""

    def __init__(self, pen: Pen, habits: Habits) -> None:
        """Takes the pen and what this hand is used to."""
        super().__init__(pen)
        self.habits = habits

    def glyph(self, char: str, rng: np.random.Generator) -> Glyph | None:
        """A character, drawn anew."""
        if char not in DIGITS:
            return super().glyph(char, rng)
        form = self.habits.forms[int(char)]
        if int(char) in _NECKS and rng.random() < self.habits.joined:
            form = _with_tail(form, self.habits.tail, rng)
        return _cut_out(char, draw_form(form, self.pen, rng), rng)


def _with_tail(
    form: Sequence[Points], height: float, rng: np.random.Generator
) -> tuple[Points, ...]:
    """The strokes, the last one going on to the right."""
    last = form[-1]
    start = max(1.0, float(last[-1, 0]))
    end = start + float(rng.uniform(0.15, _TAIL)), height + float(rng.normal(0, 0.06))
    return (*form[:-1], np.vstack([last, end]))


def _cut_out(char: str, drawn: Ink, rng: np.random.Generator) -> Glyph | None:
    """The glyph of a digit: what goes below the frame hangs below the baseline."""
    rows = np.flatnonzero((drawn > 40).any(axis=1))
    columns = np.flatnonzero((drawn > 40).any(axis=0))
    if not len(rows):
        return None
    ink = np.ascontiguousarray(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = float(rng.uniform(0.88, 1.1)) / FRAME
    height, width = (float(side) * scale for side in ink.shape)
    below = max(0.0, float(rows[-1]) + 1 - (SIDE + FRAME) / 2)
    return Glyph(char, ink, height, below * scale, width + 0.1)
