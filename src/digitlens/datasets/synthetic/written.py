"""Lines that are written or printed: characters placed one by one, then put on paper.

A mark's place is known until it is drawn, so a character that the crop cuts away by half or more
is left out of the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.data.mnist import Split
from digitlens.data.pages.arrays import Colour, Ink, Matrix, Plane
from digitlens.data.pages.camera import light
from digitlens.data.pages.hands import FontHand, Glyph, Hand, WriterHand
from digitlens.data.pages.inks import draw_colours, inked
from digitlens.data.pages.papers import draw_paper
from digitlens.data.pages.pens import draw_pen
from digitlens.data.pages.sheet import IGNORED, Sheet
from digitlens.data.pages.writers import Fonts
from digitlens.data.pages.writing import Baseline, Style, draw_style, write
from digitlens.datasets.synthetic.pen_marks import PenMarks
from digitlens.datasets.synthetic.texts import GAP, RAISE
from digitlens.datasets.synthetic.views import Extent, View

LONGEST = 19.0  # of a line, in digit heights; what is beyond is not written
_FORMS = 3  # tiles of each digit that a writer has, so that a number repeats its forms at times
_PLAIN = str.maketrans({"–": "-", "’": "'", GAP: " "})  # noqa: RUF001
_SYMBOL_FAMILIES = 3


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


@dataclass(frozen=True)
class Looks:
    """What a line is written on and what stands about it.

    Attributes:
        checks: The paper has fine lines most often.
        scene: Share on anything but paper.
        rules: Share with an underline or with rules above and below.
        boxed: Share in a box, with separators between the characters in some.
        neighbours: Share with a part of other lines above or below.
        relief: Share embossed or engraved.
        stamped: Share whose ink is uneven.
    """

    checks: bool = False
    scene: float = 0.06
    rules: float = 0.15
    boxed: float = 0.05
    neighbours: float = 0.15
    relief: float = 0.0
    stamped: float = 0.05


class _MixedHand:
    """Digits of a writer of MNIST; marks and letters of a pen as broad as theirs."""

    def __init__(self, digits: WriterHand, pen: PenMarks) -> None:
        self.letters = pen.letters
        self._digits, self._pen = digits, pen

    def glyph(self, char: str, rng: np.random.Generator) -> Glyph | None:
        return self._digits.glyph(char, rng) or self._pen.glyph(char, rng)


class Scribe:
    """Draws the styles that lines are written in."""

    def __init__(self, tiles: Split, fonts: Fonts) -> None:
        """Takes what there is to write with.

        Args:
            tiles: Digits of MNIST, each of the ten among them.
            fonts: For everything.
        """
        self._digits = [tiles.tiles[tiles.labels == value] for value in range(10)]
        self.fonts = fonts

    def by_hand(self, rng: np.random.Generator, *, letters: bool = False) -> Style:
        """A style of handwriting: a writer of MNIST, a pen or a font."""
        kind = rng.random()
        if kind < (0.1 if letters else 0.5):
            pen = replace(draw_pen(rng), width=float(rng.uniform(6, 11)))
            return draw_style(_MixedHand(self._writer(rng), PenMarks(pen)), rng, by_hand=True)
        if kind < (0.35 if letters else 0.76):
            return draw_style(PenMarks(draw_pen(rng)), rng, by_hand=True)
        return draw_style(_one(self.fonts.hand, rng), rng, by_hand=True)

    def printed(self, rng: np.random.Generator) -> Style:
        """A style of print: as the font is in most, else stretched, slanted, heavier."""
        hand = self.print_hand(rng)
        if rng.random() < 0.5:
            return Style(hand, gap=max(-0.02, float(rng.normal(0, 0.02))))
        return draw_style(hand, rng, by_hand=False)

    def print_hand(self, rng: np.random.Generator) -> FontHand:
        """A print font."""
        return _one(self.fonts.print, rng)

    def _writer(self, rng: np.random.Generator) -> WriterHand:
        return WriterHand([tiles[rng.integers(len(tiles), size=_FORMS)] for tiles in self._digits])


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
    pen, marks, raised = _Recorder(1, 1, np.eye(3)), list[Mark](), list[tuple[float, float]]()
    x, y, size, start = 0.0, 0.0, 1.0, 0.0
    angle, curve = 0.0, float(rng.normal(0, 0.012)) if style.drift else 0.0
    space, gap, cross = _spaces(style, rng)
    small = float(rng.uniform(0.48, 0.7))
    for char in cased(text, style.hand):
        if char == RAISE:
            if size < 1:
                raised.append((start, x))
            start, changed = x, small if size == 1 else 1.0
            y, size = y - size + changed, changed
        elif char in " \t":
            marks.append(Mark(char, None, np.zeros((2, 3)), (x, y, x, y)))
            x += (gap if char == GAP else space) * float(rng.uniform(0.85, 1.15))
        else:
            step = write(pen, char, style, Baseline(x, y, size, angle), rng)
            taken = pen.taken()
            if taken is None:
                continue
            ink, matrix = taken
            if pitch:
                matrix = _shifted(matrix, pitch * (len(marks) + 0.5) - x - step / 2)
                step = pitch
            mark = _marked(char, _crossed(char, ink, cross), matrix)
            if mark.extent[2] > LONGEST:
                break
            marks.append(mark)
            angle += curve * step
            x, y = x + step, y + step * np.sin(angle)
    inked_marks = [mark.extent for mark in marks if mark.ink is not None]
    if not inked_marks:
        return Written((), (0.0, -1.0, 0.6, 0.0))
    sides = np.array(inked_marks)
    low, high = sides[:, :2].min(axis=0), sides[:, 2:].max(axis=0)
    extent = float(low[0]), float(low[1]), float(high[0]), float(high[1])
    return Written(tuple(marks), extent, tuple(raised))


def put_on_paper(
    written: Written, view: View, rng: np.random.Generator, looks: Looks
) -> tuple[Plane, str]:
    """Draws a line on paper.

    Returns:
        float32[h, w, 3], and the text that can be read on it.
    """
    sheet = Sheet(view.width, view.height, view.matrix)
    text = put_marks(sheet, written.marks)
    printed = Sheet(view.width, view.height, view.matrix)
    _decorate(sheet, printed, written, view, rng, looks)
    return _coloured(sheet.ink, printed.ink, view, rng, looks), text


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


def _one(hands: Sequence[FontHand], rng: np.random.Generator) -> FontHand:
    return hands[int(rng.integers(len(hands)))]


def _spaces(style: Style, rng: np.random.Generator) -> tuple[float, float, tuple[bool, bool]]:
    """Widths of a space and of a wide gap, and whether this hand crosses 0 and 7."""
    space = float(rng.uniform(0.33, 0.6)) + max(0.0, style.gap)
    by_hand = not isinstance(style.hand, FontHand)
    if by_hand:
        space += float(rng.uniform(0, 0.35))
    cross = (by_hand and rng.random() < 0.06, by_hand and rng.random() < 0.15)
    return space, float(rng.uniform(1.3, 4.0)), cross


def _crossed(char: str, ink: Ink, cross: tuple[bool, bool]) -> Ink:
    """A zero or a seven with a stroke through it."""
    if not ((char == "0" and cross[0]) or (char == "7" and cross[1])) or min(ink.shape) < 12:
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


def _decorate(
    sheet: Sheet,
    printed: Sheet,
    written: Written,
    view: View,
    rng: np.random.Generator,
    looks: Looks,
) -> None:
    """Rules, boxes, separators and the edges of other lines."""
    thin = max(1, round(view.digit * float(rng.uniform(0.02, 0.07))))
    for x0, x1 in written.raised:
        if rng.random() < 0.5:
            y = -0.4 + float(rng.uniform(0, 0.25))
            sheet.line((x0 + 0.05, y), (x1, y + float(rng.normal(0, 0.03))), thin)
    if rng.random() < looks.rules:
        _underline(sheet if rng.random() < 0.4 else printed, written, view, rng, thin)
    if rng.random() < looks.boxed:
        _box(printed, written, rng, thin)
    if rng.random() < looks.neighbours:
        _neighbours(sheet, written, view, rng)


def _underline(
    sheet: Sheet, written: Written, view: View, rng: np.random.Generator, thin: int
) -> None:
    x0, _, x1, y1 = written.extent
    y = max(y1, 0.0) + float(rng.uniform(0.02, 0.3)) if rng.random() < 0.7 else 0.03
    ends = (x0 - 0.3, x1 + 0.3) if rng.random() < 0.4 else (view.window[0] - 1, view.window[2] + 1)
    for k in range(1 if rng.random() < 0.85 else 2):
        low = y + 0.12 * k
        sheet.line((ends[0], low), (ends[1], low + float(rng.normal(0, 0.02))), thin)
    if rng.random() < 0.2:
        high = written.extent[1] - float(rng.uniform(0.05, 0.3))
        sheet.line((ends[0], high), (ends[1], high), thin)


def _box(sheet: Sheet, written: Written, rng: np.random.Generator, thin: int) -> None:
    x0, y0, x1, y1 = written.extent
    left, right, top, bottom = rng.uniform(0.06, 0.3, 4)
    x0, y0, x1, y1 = x0 - left, min(y0, -1) - top, x1 + right, max(y1, 0) + bottom
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    for a, b in pairwise(corners):
        sheet.line(a, b, thin)


def _neighbours(sheet: Sheet, written: Written, view: View, rng: np.random.Generator) -> None:
    """Feet of the line above and heads of the line below: at most a third of their height."""
    digits = [mark for mark in written.marks if mark.ink is not None and mark.char.isalnum()]
    if not digits:
        return
    x0, y0, x1, y1 = written.extent
    sides = [
        s for s, chosen in (("above", rng.random() < 0.6), ("below", rng.random() < 0.6)) if chosen
    ]
    for side in sides:
        free = y0 - view.window[1] if side == "above" else view.window[3] - y1
        seen = min(free - 0.06, float(rng.uniform(0.05, 0.36)))
        if seen < 0.04:
            continue
        base = view.window[1] + seen if side == "above" else view.window[3] + 1 - seen
        x = x0 + float(rng.uniform(-0.5, 0.5))
        while x < x1 + 0.5:
            mark = digits[int(rng.integers(len(digits)))]
            matrix = mark.matrix.copy()
            matrix[:, 2] += (x - mark.extent[0], base)
            if mark.ink is not None:
                sheet.put(mark.ink, matrix, None)
            x += mark.extent[2] - mark.extent[0] + float(rng.uniform(0.05, 0.3))


def draw_ground(view: View, rng: np.random.Generator) -> tuple[Plane, Colour, Colour]:
    """Paper that hides no writing, with its colour and one for the ink."""
    paper, ink = readable_colours(rng)
    plane = draw_paper(view.width, view.height, paper, rng)
    return calmer(plane, paper, 0.3 * _contrast(paper, ink)), paper, ink


def _coloured(
    writing: Ink, printed: Ink, view: View, rng: np.random.Generator, looks: Looks
) -> Plane:
    paper_colour, ink_colour = readable_colours(rng)
    if looks.relief and rng.random() < looks.relief:
        return light(_relief(writing, paper_colour, view, rng), rng)
    height, width = writing.shape
    paper = draw_paper(width, height, paper_colour, rng, patterned=looks.checks)
    if rng.random() < looks.scene:
        paper = _calmed(draw_paper(width, height, paper_colour, rng, wild=True), paper_colour, rng)
    contrast = _contrast(paper_colour, ink_colour)
    paper = calmer(paper, paper_colour, 0.3 * contrast)
    second = ink_colour
    if rng.random() < 0.6:
        part = np.float32(rng.uniform(0.2, 1.1))
        second = np.asarray(paper_colour + part * (ink_colour - paper_colour), np.float32)
    if rng.random() < looks.stamped:
        writing = _uneven(writing, rng)
    faintest = min(1.0, max(0.35 if view.digit > 14 else 0.6, 40 / contrast))
    strength = 1.0 if rng.random() < 0.6 else float(rng.uniform(faintest, 1))
    paper = inked(paper, printed, second, rng)
    return light(inked(paper, writing, ink_colour, rng, strength), rng)


def readable_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Paper and ink: in every third case clearly dark on light, else any pair far enough apart."""
    if rng.random() > 0.35:
        least = 30 if rng.random() < 0.15 else 55
        for _ in range(8):
            paper, ink = draw_colours(rng)
            if _contrast(paper, ink) >= least:
                return paper, ink
    paper = rng.uniform(165, 255) + rng.normal(0, 7, 3)
    ink = rng.uniform(0, 80) + rng.uniform(0, 90, 3) * (rng.random(3) < 0.3)
    return np.clip(paper, 0, 255).astype(np.float32), np.clip(ink, 0, 255).astype(np.float32)


def _contrast(paper: Colour, ink: Colour) -> float:
    """How far two colours are apart, in gray levels; colour counts for half of brightness."""
    off = ink - paper
    bright = abs(float(np.array([0.299, 0.587, 0.114], np.float32) @ off))
    return max(1.0, bright, 0.5 * float(np.abs(off).max()))


def calmer(paper: Plane, colour: Colour, most: float) -> Plane:
    """A paper whose texture varies by so many gray levels at most (standard deviation)."""
    texture = paper - colour
    level = float(texture.std())
    return paper if level <= most else np.asarray(colour + texture * (most / level), np.float32)


def _calmed(scene: Plane, colour: Colour, rng: np.random.Generator) -> Plane:
    """A scene with little contrast about one colour, so that writing on it can be read."""
    return np.asarray(colour + (scene - scene.mean((0, 1))) * np.float32(rng.uniform(0.1, 0.35)))


def _uneven(ink: Ink, rng: np.random.Generator) -> Ink:
    """Ink of a stamp: missing in spots."""
    height, width = ink.shape
    small = rng.standard_normal((max(2, height // 4), max(2, width // 4)), np.float32)
    field = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(float(rng.uniform(0.6, 1.1)) + 0.35 * np.asarray(field, np.float32), 0.15, 1)
    return (ink * cover).astype(np.uint8)


def _relief(ink: Ink, colour: Colour, view: View, rng: np.random.Generator) -> Plane:
    """Embossed or engraved in a surface of one colour: lit edges on one side, dark on the other."""
    height, width = ink.shape
    colour = np.clip(colour, 50, 205).astype(np.float32)
    surface = calmer(draw_paper(width, height, colour, rng), colour, 9)
    soft = np.asarray(cv2.GaussianBlur(ink, (0, 0), max(0.4, 0.03 * view.digit)), np.float32)
    angle = float(rng.uniform(0, 2 * np.pi))
    slope = cv2.Sobel(soft, cv2.CV_32F, 1, 0) * np.cos(angle)
    slope = slope + cv2.Sobel(soft, cv2.CV_32F, 0, 1) * np.sin(angle)
    slope = slope / max(1.0, float(np.abs(slope).max())) * float(rng.uniform(35, 110))
    tone = soft / 255 * float(rng.choice([0.0, 0.0, -25.0, 20.0, -45.0]))
    return np.asarray(surface + (slope + tone)[:, :, None], np.float32)
