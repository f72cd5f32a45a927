"""A pen that writes marks and all letters, also those that look like digits."""

from __future__ import annotations

import numpy as np

from digitlens.datasets.synthetic.arrays import Points
from digitlens.datasets.synthetic.hands import Glyph, PenHand
from digitlens.datasets.synthetic.letters import LETTERS
from digitlens.datasets.synthetic.pens import FRAME, SIDE, Pen, draw_form

# Strokes in the frame of a digit, as in ``letters``: x,y in hundredths, y downwards.
_DRAWN: dict[str, tuple[str, ...]] = {
    ".": ("46,94 54,99", "50,92 50,98", "44,97 58,97"),
    ",": ("54,92 52,104 40,120", "50,90 44,116", "56,88 36,122"),
    "'": ("52,0 46,24", "50,2 50,22"),
    "-": ("15,56 85,56", "5,60 95,54", "20,54 80,58"),
    "/": ("88,-6 12,108", "70,0 30,100", "98,-20 5,112"),
    ":": ("48,45 52,50 / 48,92 52,97",),
    "%": ("85,0 15,100 / 20,0 5,15 20,32 35,16 20,0 / 80,66 65,82 80,100 96,82 80,66",),
    "°": ("50,0 32,14 50,28 68,14 50,0",),
    "(": ("65,-8 35,25 32,70 65,110",),
    ")": ("35,-8 65,25 68,70 35,110",),
    "×": ("20,42 80,96 / 80,42 20,96",),  # noqa: RUF001
    "÷": ("12,60 88,60 / 49,36 51,40 / 49,82 51,86",),
    "$": ("80,18 50,4 18,24 50,48 84,72 50,96 14,82 / 50,-8 50,110",),
    "€": ("92,16 60,2 28,50 60,98 92,84 / 8,40 70,40 / 8,60 66,60",),
    "£": ("84,16 58,2 40,25 44,60 30,98 30,98 90,96 / 20,52 72,52",),
    "¥": ("10,0 50,50 / 90,0 50,50 50,100 / 18,60 82,60 / 18,78 82,78",),
    "§": ("76,10 50,-4 26,16 74,48 52,66 28,46 / 76,48 74,78 50,104 24,90",),
    "O": ("50,0 10,30 12,72 50,100 88,70 90,30 50,0",),
    "o": ("50,40 16,58 22,92 50,100 80,86 84,54 50,40",),
    "I": ("50,0 50,100", "20,0 80,0 / 50,0 50,100 / 20,100 80,100"),
    "i": ("50,42 50,100 / 49,16 51,20",),
    "l": ("50,-6 50,100", "44,-6 44,86 62,100 74,94"),
    "S": ("84,14 50,0 18,24 50,48 86,74 50,100 12,86",),
    "s": ("78,50 50,40 24,56 50,70 78,86 50,100 20,92",),
    "Z": ("10,0 10,0 90,0 90,0 10,100 10,100 92,100",),
    "z": ("16,42 16,42 82,42 82,42 16,100 16,100 86,100",),
    "g": ("84,46 46,40 16,64 46,92 82,72 / 84,42 84,112 54,134 18,122",),
    "q": ("84,46 46,40 16,64 46,92 82,72 / 84,42 84,136",),
    "B": ("15,0 15,100 / 15,0 15,0 70,5 70,40 15,47 15,47 85,60 75,95 15,100",),
}


def _strokes(form: str) -> tuple[Points, ...]:
    return tuple(
        np.array([point.split(",") for point in stroke.split()], np.float64) / 100
        for stroke in form.split("/")
    )


FORMS: dict[str, tuple[tuple[Points, ...], ...]] = {
    char: tuple(_strokes(form) for form in forms) for char, forms in _DRAWN.items()
}


class PenMarks(PenHand):
    """Draws digits, all Latin letters and the marks of numbers, stroke by stroke."""

    letters = "".join(dict.fromkeys([*LETTERS, *FORMS]))

    def __init__(self, pen: Pen) -> None:
        """Takes the pen; the form of each mark stays the same."""
        self.pen = pen

    def glyph(self, char: str, rng: np.random.Generator) -> Glyph | None:
        """A character, drawn anew."""
        if char not in FORMS:
            return super().glyph(char, rng)
        forms = FORMS[char]
        ink = draw_form(forms[self.pen.forms[0] % len(forms)], self.pen, rng)
        rows = np.flatnonzero((ink > 40).any(axis=1))
        columns = np.flatnonzero((ink > 40).any(axis=0))
        if not len(rows):
            return None
        ink = np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        height, width = (float(side) / FRAME for side in ink.shape)
        bottom = (float(rows[-1]) + 1 - (SIDE + FRAME) / 2) / FRAME
        return Glyph(char, ink, height, bottom, width + 0.12)
