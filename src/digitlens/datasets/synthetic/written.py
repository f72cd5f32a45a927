"""Lays out the characters of a line: each mark's ink and place before anything is drawn.

A mark's place is known until it is drawn, so a character that the crop cuts away by half or more
is left out of the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Ink, Matrix
from digitlens.datasets.synthetic.hands import FontHand, Hand
from digitlens.datasets.synthetic.sheet import IGNORED, Sheet
from digitlens.datasets.synthetic.texts import GAP, RAISE
from digitlens.datasets.synthetic.views import Extent
from digitlens.datasets.synthetic.writing import Baseline, Style, write

LONGEST = 19.0  # of a line, in digit heights; what is beyond is not written
_PLAIN = str.maketrans({"–": "-", "’": "'", GAP: " "})  # noqa: RUF001
_EMPTY: Extent = (0.0, -1.0, 0.6, 0.0)


class Mark(NamedTuple):
    """One character of a line.

    Attributes:
        char: The character; a space has no ink.
        ink: uint8[h, w].
        matrix: float64[2, 3]; from pixels of the ink to digit heights in the paper's plane.
        extent: Of its ink, in digit heights.
    """

    char: str
    ink: Ink | None
    matrix: Matrix
    extent: Extent


@dataclass(frozen=True)
class Written:
    """A line of marks before it is put on paper.

    Attributes:
        marks: In reading order.
        extent: Of all their ink.
        raised: First and last x of each part that stands small and high.
    """

    marks: tuple[Mark, ...]
    extent: Extent
    raised: tuple[tuple[float, float], ...] = ()


def cased(text: str, hand: Hand) -> str:
    """The text in capitals where a font draws small letters as capitals."""
    return text.upper() if isinstance(hand, FontHand) and hand.capitals_only else text


def lay_out(text: str, style: Style, rng: np.random.Generator, *, pitch: float = 0.0) -> Written:
    """Places the characters of a text on one line.

    Args:
        text: What is written; characters that the hand does not write are left out.
        style: How.
        rng: Decides the rest.
        pitch: Width that every character takes, in digit heights, as in the boxes of a form; 0 for
            their own.
    """
    line = _Line(style, rng, pitch)
    for char in cased(text, style.hand):
        line.add(char)
    return line.written()


def put_marks(sheet: Sheet, marks: Sequence[Mark]) -> str:
    """Draws marks and returns the text of those that are seen by more than half."""
    chars: list[str] = []
    for mark in marks:
        if mark.ink is None:
            chars.append(mark.char)
            continue
        known = len(sheet.values)
        sheet.put(mark.ink, mark.matrix, 0)
        if len(sheet.values) > known and sheet.values[-1] != IGNORED:
            chars.append(mark.char)
    return as_label("".join(chars))


def as_label(text: str) -> str:
    """What a careful reader writes for a text: single spaces, none at the ends, plain dashes."""
    plain = text.replace(RAISE, "").translate(_PLAIN)
    return " ".join(plain.split())


class _Recorder(Sheet):
    """Keeps what is put on it instead of drawing it."""

    last: tuple[Ink, Matrix] | None = None

    def put(self, ink: Ink, matrix: Matrix, value: int | None) -> None:
        del value
        self.last = ink, matrix

    def taken(self) -> tuple[Ink, Matrix] | None:
        """What was put since the last time."""
        taken, self.last = self.last, None
        return taken


class _Line:
    """A line on its way; places are in digit heights, the first baseline at 0."""

    def __init__(self, style: Style, rng: np.random.Generator, pitch: float) -> None:
        self._style, self._rng, self._pitch = style, rng, pitch
        self._marks, self._raised = list[Mark](), list[tuple[float, float]]()
        self._pen = _Recorder(1, 1, np.eye(3))
        self._x, self._y, self._angle, self._size, self._start = 0.0, 0.0, 0.0, 1.0, 0.0
        self._curve = float(rng.normal(0, 0.012)) if style.drift else 0.0
        self._small = float(rng.uniform(0.48, 0.7))
        by_hand = not isinstance(style.hand, FontHand)
        self._space = float(rng.uniform(0.33, 0.95 if by_hand else 0.6)) + max(0.0, style.gap)
        self._gap = float(rng.uniform(1.3, 4.0))
        self._crossed = "0" * (by_hand and rng.random() < 0.06)
        self._crossed += "7" * (by_hand and rng.random() < 0.15)

    def add(self, char: str) -> None:
        """Adds a character, a space, or the start or the end of what is raised."""
        if char == RAISE:
            self._raise()
        elif char in (" ", GAP):
            self._marks.append(Mark(char, None, np.zeros((2, 3)), (self._x, 0, self._x, 0)))
            wide = self._gap if char == GAP else self._space
            self._x += wide * float(self._rng.uniform(0.85, 1.15))
        elif self._x < LONGEST:
            self._write(char)

    def written(self) -> Written:
        """The whole line."""
        sides = np.array([mark.extent for mark in self._marks if mark.ink is not None])
        if not len(sides):
            return Written((), _EMPTY)
        low, high = sides[:, :2].min(axis=0), sides[:, 2:].max(axis=0)
        extent = float(low[0]), float(low[1]), float(high[0]), float(high[1])
        return Written(tuple(self._marks), extent, tuple(self._raised))

    def _raise(self) -> None:
        if self._size < 1:
            self._raised.append((self._start, self._x))
        changed = self._small if self._size == 1 else 1.0
        self._start, self._y = self._x, self._y - self._size + changed
        self._size = changed

    def _write(self, char: str) -> None:
        place = Baseline(self._x, self._y, self._size, self._angle)
        step = write(self._pen, char, self._style, place, self._rng)
        taken = self._pen.taken()
        if taken is None:
            return
        ink, matrix = taken
        if self._pitch:
            middle = self._pitch * (len(self._marks) + 0.5)
            matrix, step = _shifted(matrix, middle - self._x - step / 2), self._pitch
        ink = _crossed(char, ink) if char in self._crossed else ink
        self._marks.append(_marked(char, ink, matrix))
        self._angle += self._curve * step
        self._x, self._y = self._x + step, self._y + step * float(np.sin(self._angle))


def _crossed(char: str, ink: Ink) -> Ink:
    """A zero or a seven with a stroke through it."""
    if min(ink.shape) < 12:
        return ink
    height, width = ink.shape
    ink = ink.copy()
    thick = max(2, round(0.09 * height))
    ends = ((0.12, 0.9), (0.88, 0.1)) if char == "0" else ((0.25, 0.55), (0.95, 0.5))
    a, b = ((round(x * width), round(y * height)) for x, y in ends)
    cv2.line(ink, a, b, 255, thick, cv2.LINE_AA)
    return ink


def _shifted(matrix: Matrix, by: float) -> Matrix:
    moved = matrix.copy()
    moved[0, 2] += by
    return moved


def _marked(char: str, ink: Ink, matrix: Matrix) -> Mark:
    height, width = ink.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    x, y = matrix[:, :2] @ corners.T + matrix[:, 2:]
    return Mark(char, ink, matrix, (float(x.min()), float(y.min()), float(x.max()), float(y.max())))
