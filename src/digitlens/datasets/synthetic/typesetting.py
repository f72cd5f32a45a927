"""Typesetting on a page character by character, so that the ink of every digit is known.

Text is set at its final size: by Pillow at whole pixels as on screens, at thirds of a pixel as in
scans, in dots, or by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from digitlens.datasets.synthetic.canvas import (
    BOX_LEVEL,
    IGNORED,
    MARKED,
    VISIBLE,
    Canvas,
    Style,
    as_label,
    cased,
    lay_out,
)
from digitlens.datasets.synthetic.displays import DOTS
from digitlens.datasets.synthetic.drawing import (
    Boxes,
    Colour,
    Ink,
    Matrix,
    Plane,
    Points,
    Rng,
    Values,
    extent_of,
    project,
    rectangle,
)
from digitlens.datasets.synthetic.glyph_sources import DIGITS, EM, LIKE_DIGITS, FontGlyphs, font_ink
from digitlens.datasets.synthetic.texts import RAISE

SCAN = 3  # start positions of a character per pixel in scans
_LEAST = 5  # least height of a readable digit, in pixels
_RAISED_SIZE = 0.58  # relative size of raised text


class Stamp(NamedTuple):
    """One character of a run."""

    char: str
    mask: Ink | None  # uint8[h, w] of its ink; None for a space
    x: int  # of the mask's left edge, in pixels from the start of the run
    y: int  # of its top edge, in pixels below the baseline
    # float64[n, 2]; points around the ink of a digit, or the corners of the box of another
    # character, in pixels of the mask.
    outline: Points


def make_stamp(char: str, mask: Ink | None, x: int, y: int) -> Stamp:
    """A stamp with the outline of its mask."""
    return Stamp(char, mask, x, y, np.zeros((0, 2)) if mask is None else _outline(char, mask))


class Run(NamedTuple):
    """A text on one line."""

    stamps: tuple[Stamp, ...]
    width: float  # in pixels
    digit: float  # height of a digit, in pixels

    def moved(self, x: float, y: float = 0.0) -> Run:
        """The text shifted by pixels to the right and down, and its width grown by ``x``."""
        by_x, by_y = round(x), round(y)
        stamps = tuple(s._replace(x=s.x + by_x, y=s.y + by_y) for s in self.stamps)
        return Run(stamps, self.width + by_x, self.digit)


class Typesetter(Protocol):
    """Sets text at one size."""

    digit: float  # height of a digit, in pixels

    def run(self, text: str, pitch: float = 0.0) -> Run:
        """Sets a text; ``pitch`` is a fixed width per character in pixels, 0 for their own."""
        ...


class SizedFont:
    """A font at one size."""

    def __init__(self, source: FontGlyphs, digit: float, fine: int = 1, *, mode: str = "L") -> None:
        """Opens the font with digits about ``digit`` pixels high.

        A character can start at ``fine`` positions per pixel, 1 or ``SCAN``. Mode ``L`` is
        antialiased, ``1`` is not.
        """
        self._source, self._fine, self._mode = source, fine, mode
        glyph = source.glyphs["0"]
        self._size = max(5, round(digit * EM * glyph.height / glyph.ink.shape[0] * fine))
        self._font = source.font(self._size)
        self.digit = self._size / fine / EM * glyph.ink.shape[0] / glyph.height
        self._glyphs: dict[str, tuple[Ink, int, int]] = {}
        self._reduced: dict[tuple[str, int], Stamp] = {}

    def run(self, text: str, pitch: float = 0.0) -> Run:
        """Sets a text without the characters that the font lacks."""
        stamps, x, is_raised = list[Stamp](), 0.0, False
        for char in cased(text, self._source):
            if char == RAISE:
                is_raised = not is_raised
            elif is_raised:
                raised = self._raised.run(char)
                rise = raised.digit - self.digit
                stamps += raised.moved(x, rise).stamps
                x += raised.width
            elif char == " ":
                stamps.append(make_stamp(" ", None, round(x), 0))
                x += max(self._font.getlength(" ") / self._fine, 0.28 * self.digit)
            elif self._source.glyph(char, _UNUSED_RNG):
                step = self._font.getlength(char) / self._fine
                position = round((x + (pitch - step) / 2 if pitch else x) * self._fine)
                placed = self._stamp(char, position % self._fine)
                stamps.append(placed._replace(x=placed.x + position // self._fine))
                x += pitch or step
        return Run(tuple(stamps), x, self.digit)

    @cached_property
    def _raised(self) -> SizedFont:
        return SizedFont(self._source, self.digit * _RAISED_SIZE, self._fine, mode=self._mode)

    def _stamp(self, char: str, phase: int) -> Stamp:
        key = char, phase
        if key not in self._reduced:
            if char not in self._glyphs:
                self._glyphs[char] = font_ink(self._font, char, self._mode)
            ink, left, top = self._glyphs[char]
            left, fine = left + phase, self._fine
            before = left % fine, top % fine
            after = (-(ink.shape[1] + before[0])) % fine, (-(ink.shape[0] + before[1])) % fine
            padded = np.pad(ink, ((before[1], after[1]), (before[0], after[0])))
            size = padded.shape[1] // fine, padded.shape[0] // fine
            small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA) if fine > 1 else padded
            mask = np.asarray(small, np.uint8)
            self._reduced[key] = make_stamp(char, mask, left // fine, top // fine)
        return self._reduced[key]


_UNUSED_RNG = np.random.default_rng(0)  # fonts do not use it


class Dots:
    """Characters of five by seven dots, as printed on packages."""

    def __init__(self, digit: float, rng: Rng) -> None:
        self.digit, self._dot = digit, rng.uniform(0.32, 0.55)
        self._aspect, self._stray = rng.uniform(0.75, 1.1), rng.uniform(0, 0.06)
        self._rng = rng

    def run(self, text: str, pitch: float = 0.0) -> Run:
        """Sets a text in capitals; zeros are slashed if the text has letters."""
        step = self.digit / 7 * self._aspect
        slashed = any(char.isalpha() for char in text)
        stamps = list[Stamp]()
        advance = pitch or 6 * step
        for index, char in enumerate(c for c in text.upper() if c == " " or c in DOTS):
            mask = None if char == " " else self._draw("0/" if slashed and char == "0" else char)
            stamps.append(make_stamp(char, mask, round(index * advance), -round(self.digit) - 1))
        return Run(tuple(stamps), len(stamps) * advance, self.digit)

    def _draw(self, char: str) -> Ink:
        step, fine = self.digit / 7, 4
        size = int(np.ceil(5 * step * self._aspect)) + 2, int(np.ceil(self.digit)) + 2
        ink = np.zeros((size[1] * fine, size[0] * fine), np.uint8)
        for column, bits in enumerate(DOTS[char]):
            for row in (row for row in range(7) if bits >> row & 1):
                offset = self._rng.normal(0, self._stray, 2)
                x = (1 + step * self._aspect * (column + 0.5 + offset[0])) * fine
                y = (1 + step * (row + 0.5 + offset[1])) * fine
                centre = round(float(x) * 16), round(float(y) * 16)
                radius = round(step * self._dot * fine * 16)
                cv2.circle(ink, centre, radius, 255, -1, cv2.LINE_AA, 4)
        return np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8)


class Handwriting:
    """Handwriting in one style."""

    def __init__(self, style: Style, digit: float, rng: Rng) -> None:
        self.digit, self._style, self._rng = digit, style, rng

    def run(self, text: str, pitch: float = 0.0) -> Run:
        """Writes a text of up to about twenty characters."""
        written = lay_out(text, self._style, self._rng, pitch=pitch / self.digit)
        stamps = list[Stamp]()
        for glyph in written.glyphs:
            left, top = int(glyph.extent[0] * self.digit) - 2, int(glyph.extent[1] * self.digit) - 2
            if glyph.ink is None:
                stamps.append(make_stamp(" ", None, left, 0))
                continue
            right, bottom = (int(v * self.digit) + 3 for v in glyph.extent[2:])
            matrix = glyph.matrix * self.digit
            matrix[:, 2] -= (left, top)
            canvas = Canvas(right - left, bottom - top, np.eye(3))
            canvas.put(glyph.ink, matrix, None)
            stamps.append(make_stamp(glyph.char, canvas.ink, left, top))
        return Run(tuple(stamps), written.extent[2] * self.digit, self.digit)


class TextRow(NamedTuple):
    """A line of text."""

    text: str  # the readable text
    # float32[4, 2]; corners in pixels, clockwise from the top left of the text. They may lie
    # outside the page if the text is cut.
    quad: Boxes


class Labels(NamedTuple):
    """The labels of a page, as in ``SyntheticDocument``."""

    boxes: Boxes
    values: Values
    lines: tuple[TextRow, ...]


class _Char(NamedTuple):
    char: str
    outline: Points  # float64[n, 2], on the page
    value: int | None  # of a digit, or IGNORED


class PrintedPage:
    """A page under construction."""

    def __init__(self, ground: Plane) -> None:
        """Stores the background, float32[h, w, 3], which may be painted on in place."""
        self.ground = ground
        self.height, self.width = ground.shape[:2]
        self.layers: dict[str, Ink] = {}  # uint8[h, w] each, by the name of its colour
        self.smallest = 60.0  # height of the smallest text's digits, in pixels
        self._rows: list[list[_Char | None]] = []  # None is a space

    def layer(self, name: str) -> Ink:
        """The ink of one colour."""
        if name not in self.layers:
            self.layers[name] = np.zeros((self.height, self.width), np.uint8)
        return self.layers[name]

    def put(self, run: Run, x: float, y: float, layer: str = "ink", align: float = 0.0) -> bool:
        """Puts a text on the page if all of it fits; returns whether it did.

        ``align`` is the fraction of the text left of ``x``: 0, 0.5 or 1; ``y`` is the baseline.
        """
        left, base = round(x - align * run.width), round(y)
        placements = [(s.mask, left + s.x, base + s.y) for s in run.stamps if s.mask is not None]
        if not placements or not all(self._contains(*placement) for placement in placements):
            return False
        target = self.layer(layer)
        for mask, i, j in placements:
            region = target[j : j + mask.shape[0], i : i + mask.shape[1]]
            np.maximum(region, mask, out=region)
        self.smallest = min(self.smallest, run.digit)
        self._rows.append(_page_chars(run, (left, base)))
        return True

    def record_line(self, chars: Sequence[tuple[str, Points]]) -> None:
        """Records a line painted on the background: (character, outline of its ink) pairs.

        An outline is float64[n, 2] in pixels of the page, without points for a space.
        """
        row = [_Char(c, p, int(c) if c in DIGITS else None) if len(p) else None for c, p in chars]
        sides = np.concatenate([p for _, p in chars])
        self.smallest = min(self.smallest, float(np.ptp(sides[:, 1])))
        self._rows.append(row)

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: int = 1) -> None:
        """Draws a straight rule between two points, in pixels."""
        cv2.line(self.layer("rule"), (round(x0), round(y0)), (round(x1), round(y1)), 255, thick)

    def frame(self, x0: float, y0: float, x1: float, y1: float, thick: int = 1) -> None:
        """Draws the outline of a rectangle."""
        a, b = (round(x0), round(y0)), (round(x1), round(y1))
        cv2.rectangle(self.layer("rule"), a, b, 255, thick)

    def fill(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | Plane) -> None:
        """Paints a rectangle on the background."""
        a, b = (max(0, round(v)) for v in (x0, y0))
        self.ground[b : max(0, round(y1)), a : max(0, round(x1))] = colour

    def labels(self, matrix: Matrix, width: int, height: int) -> Labels:
        """The labels of the page in a picture of the given size, through a homography."""
        boxes, values, lines = list[Points](), list[int](), list[TextRow]()
        frame = np.array([width, height, width, height], float)
        for row in self._rows:
            text, outlines = "", list[Points]()
            for char in row:
                if char is None:
                    text += " "
                    continue
                full = np.array(extent_of(project(matrix, char.outline)))
                box = np.clip(full, 0, frame)
                visible = _area(box) / max(1e-9, _area(full))
                readable = visible > VISIBLE and (char.value is None or box[3] - box[1] >= _LEAST)
                if char.value is not None and visible > MARKED:
                    boxes.append(box)
                    values.append(char.value if readable else IGNORED)
                if readable:
                    text += char.char
                    outlines.append(char.outline)
            if outlines:
                quad = project(matrix, rectangle(*extent_of(np.concatenate(outlines))))
                lines.append(TextRow(as_label(text), quad.astype(np.float32)))
        all_boxes = np.array(boxes, np.float32).reshape(-1, 4)
        return Labels(all_boxes, np.array(values, np.int8), tuple(lines))

    def _contains(self, mask: Ink, x: int, y: int) -> bool:
        height, width = mask.shape
        return min(x, y) >= 0 and y + height <= self.height and x + width <= self.width


def _page_chars(run: Run, origin: tuple[int, int]) -> list[_Char | None]:
    """The characters of a run that starts at ``origin`` on the page."""
    words = "".join(" " if s.mask is None else s.char for s in run.stamps).split(" ")
    lone = [len(word) == 1 for word in words for _ in f"{word} "]
    chars = list[_Char | None]()
    for s, is_lone in zip(run.stamps, lone, strict=False):
        value = int(s.char) if s.char in DIGITS else IGNORED
        labelled = s.char in DIGITS or (is_lone and s.char in LIKE_DIGITS)
        outline = s.outline + np.array([origin[0] + s.x, origin[1] + s.y])
        chars.append(
            None if s.mask is None else _Char(s.char, outline, value if labelled else None)
        )
    return chars


def _outline(char: str, mask: Ink) -> Points:
    is_ink = mask > min(BOX_LEVEL, int(mask.max()) // 2)
    rows = np.flatnonzero(is_ink.any(axis=1))
    if not len(rows):  # a glyph without ink
        return np.array([[0.0, 0.0], [mask.shape[1], mask.shape[0]]])
    left, right = is_ink[rows].argmax(axis=1), mask.shape[1] - is_ink[rows, ::-1].argmax(axis=1)
    if char not in DIGITS:
        rows, left, right = rows[[0, -1]], left.min(keepdims=True), right.max(keepdims=True)
        left, right = np.repeat(left, 2), np.repeat(right, 2)
    x = np.concatenate([left, right, left, right])
    return np.stack([x, np.concatenate([rows, rows, rows + 1, rows + 1])], axis=1).astype(float)


def _area(box: Points) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))
