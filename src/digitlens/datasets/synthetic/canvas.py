"""Draws ink on a canvas in perspective: characters, lines, and the exact box of every digit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic.drawing import (
    Extent,
    Ink,
    Matrix,
    Points,
    Rng,
    extent_of,
    rectangle,
    rotation,
    unit_circle,
)
from digitlens.datasets.synthetic.glyph_sources import (
    DIGITS,
    LIKE_DIGITS,
    FontGlyphs,
    Glyph,
    GlyphSource,
    icon_glyph,
)
from digitlens.datasets.synthetic.texts import GAP, RAISE

IGNORED = -1  # value of a mark that counts neither as a digit nor as a false positive
VISIBLE = 0.55  # least fraction of a digit's ink on the canvas; a digit with less is ``IGNORED``
MARKED = 0.08  # fraction below which a mark is left out entirely
BOX_LEVEL = 70  # ink up to this level is outside the box


@dataclass
class Canvas:
    """Ink, and the labels of its digits."""

    width: int
    height: int
    view: Matrix  # float64[3, 3]; the homography from the plane of the paper to the canvas
    ink: Ink = field(init=False)  # uint8[height, width]; 255 for ink
    # x0, y0, x1, y1 of the visible ink of each mark, in pixels, half-open.
    boxes: list[tuple[float, float, float, float]] = field(init=False, default_factory=list)
    # 0 to 9 for each mark, or ``IGNORED``.
    values: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.ink = np.zeros((self.height, self.width), np.uint8)
        self._is_identity = bool((self.view == np.eye(3)).all())

    def put(self, ink: Ink, matrix: Matrix, value: int | None) -> None:
        """Puts the ink of one character on the canvas, and records its box if it has a value.

        If a digit is partly off the canvas, the box is that of the visible part: labelled with the
        digit if most of its ink is visible, else ``IGNORED``, and omitted if almost nothing is.
        ``matrix`` float64[2, 3] maps pixels of the ink to the plane of the paper.
        """
        ink, matrix = _prefilter(ink, self._linear_view(ink, matrix))
        x0, y0, x1, y1 = _mapped_extent(ink, matrix)
        left, top = int(np.floor(x0)) - 1, int(np.floor(y0)) - 1
        right, bottom = int(np.ceil(x1)) + 2, int(np.ceil(y1)) + 2
        if right <= 0 or bottom <= 0 or left >= self.width or top >= self.height:
            return
        if max(right - left, bottom - top) > 4 * max(self.width, self.height):
            return
        patch = _warp(ink, matrix, (left, top), (right - left, bottom - top))
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, right), min(self.height, bottom)
        visible = patch[y0 - top : y1 - top, x0 - left : x1 - left]
        if value is not None:
            self._record_box(patch, visible, (x0, y0), value)
        target = self.ink[y0:y1, x0:x1]
        np.maximum(target, visible, out=target)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], width: int, level: int = 255
    ) -> None:
        """Draws a straight rule between two points of the paper's plane."""
        a, b = self.at(start), self.at(end)
        fixed = [(int(np.clip(v, -9999, 9999) * 16)) for v in (*a, *b)]
        cv2.line(self.ink, fixed[:2], fixed[2:], level, width, cv2.LINE_AA, 4)

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Maps a point of the paper's plane to the canvas."""
        x, y, w = self.view @ (point[0], point[1], 1.0)
        return float(x / w), float(y / w)

    def _linear_view(self, ink: Ink, matrix: Matrix) -> Matrix:
        # Within one character the homography is approximated by its derivative at the centre.
        if self._is_identity:
            return matrix
        centre = matrix[:, :2] @ (ink.shape[1] / 2, ink.shape[0] / 2) + matrix[:, 2]
        x, y, w = self.view @ (centre[0], centre[1], 1.0)
        position = np.array([x / w, y / w])
        slope = (self.view[:2, :2] - position[:, None] * self.view[2, :2]) / w
        shift = position + slope @ (matrix[:, 2] - centre)
        return np.column_stack([slope @ matrix[:, :2], shift])

    def _record_box(self, patch: Ink, visible: Ink, corner: tuple[int, int], value: int) -> None:
        total, kept = float(patch.sum(dtype=np.int64)), float(visible.sum(dtype=np.int64))
        if not total or kept < MARKED * total:
            return
        is_ink = visible > min(BOX_LEVEL, int(visible.max()) // 2)
        rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
        if not len(rows):
            return
        x, y = corner
        x0, x1 = float(x + columns[0]), float(x + columns[-1] + 1)
        y0, y1 = float(y + rows[0]), float(y + rows[-1] + 1)
        self.boxes.append((x0, y0, x1, y1))
        self.values.append(value if kept >= VISIBLE * total else IGNORED)


def _mapped_extent(ink: Ink, matrix: Matrix) -> Extent:
    """The bounding box of the mapped ink."""
    return extent_of(rectangle(0, 0, *ink.shape[::-1]) @ matrix[:, :2].T + matrix[:, 2])


def _warp(ink: Ink, matrix: Matrix, corner: tuple[int, int], size: tuple[int, int]) -> Ink:
    """The mapped ink within a frame: uint8[h, w] for a size (w, h)."""
    # The origin of cv2 is the centre of the first pixel, that of the boxes its corner.
    shifted = matrix.copy()
    shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5) - (0.5 + corner[0], 0.5 + corner[1])
    return np.asarray(cv2.warpAffine(ink, shifted, size, flags=cv2.INTER_LINEAR), np.uint8)


def _prefilter(ink: Ink, matrix: Matrix) -> tuple[Ink, Matrix]:
    """Shrinks the ink by area averaging if the map would skip pixels."""
    (a, b), (c, d) = matrix[:, :2].tolist()
    scale = abs(a * d - b * c) ** 0.5
    if scale >= 0.6 or scale == 0:
        return ink, matrix
    height, width = ink.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    matrix = matrix.copy()
    matrix[:, 0] *= width / size[0]
    matrix[:, 1] *= height / size[1]
    return np.asarray(small, np.uint8).reshape(size[1], size[0]), matrix


@dataclass(frozen=True)
class Style:
    """The style of a line."""

    source: GlyphSource
    slant: float = 0.0  # horizontal shift per pixel of height
    stretch: float = 1.0  # factor for widths
    weight: int = 0  # pixels of dilation, at about 70 per character; negative erodes
    # Extra space between characters, in digit heights; if negative, they may touch.
    gap: float = 0.0
    drift: float = 0.0  # standard deviation of the height above the baseline, in digit heights
    wobble: float = 0.0  # standard deviation of sizes, relative
    turn: float = 0.0  # standard deviation of each character's rotation, in radians
    bend: float = 0.0  # standard deviation of an elastic distortion, in 1/70 of the height


def draw_style(source: GlyphSource, rng: Rng, *, by_hand: bool) -> Style:
    """A random style; print varies less than handwriting."""
    weight = int(rng.choice([-2, -1, 0, 1, 2, 4, 6], p=[0.08, 0.12, 0.42, 0.14, 0.1, 0.08, 0.06]))
    tight = float(rng.choice([0.0, -0.12, 0.12, 0.5], p=[0.5, 0.22, 0.2, 0.08]))
    gap = tight + rng.normal(0, 0.05)
    if not by_hand:
        stretch = float(np.exp(rng.normal(0, 0.12)))
        slant = 0.0 if rng.random() < 0.75 else rng.uniform(-0.1, 0.35)
        return Style(source, slant, stretch, weight, max(gap, -0.03))
    return Style(
        source=source,
        slant=rng.normal(0.03, 0.16),
        stretch=float(np.exp(rng.normal(0, 0.18))),
        weight=weight,
        gap=gap,
        drift=rng.exponential(0.05),
        wobble=rng.uniform(0.02, 0.14),
        turn=rng.uniform(0.0, 0.1),
        bend=rng.uniform(0, 2.2) if rng.random() < 0.5 else 0.0,
    )


@dataclass(frozen=True)
class Baseline:
    """Start and course of a line, in the plane of the paper."""

    x: float  # of its left end
    y: float  # of its left end, downwards
    height: float  # of a digit, in pixels
    angle: float = 0.0  # in radians, clockwise
    curve: float = 0.0  # change of the angle per digit height along the line


def write(canvas: Canvas, text: str, style: Style, line: Baseline, rng: Rng) -> float:
    """Writes a text without the characters that the source lacks; returns its length in pixels."""
    position = np.array([line.x, line.y], np.float64)
    angle, length = line.angle, 0.0
    words = text.split(" ")
    for number, word in enumerate(words):
        is_lone = len(word) == 1 and word in LIKE_DIGITS
        for char in word:
            glyph = style.source.glyph(char, rng)
            if glyph is None:
                continue
            ink, matrix, step = _place(glyph, style, position, angle, line.height, rng)
            value = int(char) if char in DIGITS else (IGNORED if is_lone else None)
            canvas.put(ink, matrix, value)
            angle += line.curve * step / line.height
            position = position + step * unit_circle(angle)
            length += step
        if number < len(words) - 1:
            step = line.height * (0.45 + 0.35 * rng.random() + max(0.0, style.gap))
            position = position + step * unit_circle(angle)
            length += step
    return length


def text_width(text: str, style: Style, rng: Rng) -> float:
    """Approximate width of a text, in digit heights."""
    width = 0.0
    for char in text:
        glyph = None if char == " " else style.source.glyph(char, rng)
        width += 0.6 if glyph is None else glyph.advance * style.stretch + style.gap
    return width


def _place(
    glyph: Glyph, style: Style, start: Points, angle: float, height: float, rng: Rng
) -> tuple[Ink, Matrix, float]:
    """The ink of a character, its matrix to the paper's plane, and the step to the next one.

    The character begins at ``start`` on the baseline, whose angle there is ``angle``; ``height`` is
    that of a digit.
    """
    ink = _distort(_change_weight(glyph.ink, style.weight), style.bend, rng)
    ink_height = height * glyph.height * (1 + style.wobble * rng.standard_normal())
    scale = max(ink_height, 0.3 * height * glyph.height) / ink.shape[0]
    turn = angle + style.turn * rng.standard_normal()
    lift = height * style.drift * rng.standard_normal()
    advance = height * (glyph.advance * style.stretch + style.gap)
    shape = np.array([[scale * style.stretch, -style.slant * scale], [0, scale]])
    matrix = np.empty((2, 3))
    matrix[:, :2] = rotation(turn)[:2, :2] @ shape
    # The middle of the glyph's bottom edge is centred in its advance.
    foot = matrix[:, :2] @ (ink.shape[1] / 2, ink.shape[0])
    along, down = advance / 2, lift + height * glyph.bottom
    cos, sin = np.cos(angle), np.sin(angle)
    offset = np.array([along * cos - down * sin, along * sin + down * cos])
    matrix[:, 2] = start + offset - foot
    return ink, matrix, max(advance, 0.08 * height)


def _change_weight(ink: Ink, weight: int) -> Ink:
    if not weight or min(ink.shape) < 12:
        return ink
    size = 2 * abs(weight) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if weight > 0:
        return np.asarray(cv2.dilate(np.pad(ink, weight), kernel), np.uint8)
    eroded = np.asarray(cv2.erode(ink, kernel), np.uint8)
    # Hairlines would vanish: leave them unchanged.
    is_intact = int(np.count_nonzero(eroded > 128)) > 0.25 * int(np.count_nonzero(ink > 128))
    return eroded if is_intact else ink


def _distort(ink: Ink, bend: float, rng: Rng) -> Ink:
    height, width = ink.shape
    if not bend or min(ink.shape) < 12:
        return ink
    field = rng.standard_normal((2, 4, 3), np.float32) * np.float32(bend * height / 70)
    dx, dy = (cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) for noise in field)
    x = (np.arange(width, dtype=np.float32)[None, :] + dx).astype(np.float32)
    y = (np.arange(height, dtype=np.float32)[:, None] + dy).astype(np.float32)
    return np.asarray(cv2.remap(ink, x, y, cv2.INTER_LINEAR), np.uint8)


MAX_LENGTH = 19.0  # length of a line in digit heights; no character starts beyond it
_ASCII_MARKS = str.maketrans({"–": "-", "’": "'", GAP: " "})  # noqa: RUF001
_LEADER = re.compile(r"(?:\. ?){4,}")
_EMPTY_EXTENT: Extent = (0.0, -1.0, 0.6, 0.0)


class PlacedGlyph(NamedTuple):
    """One character of a line."""

    char: str
    ink: Ink | None  # uint8[h, w]; None for a space
    matrix: Matrix  # float64[2, 3]; from pixels of the ink to digit heights in the paper's plane
    extent: Extent  # of its ink, in digit heights


@dataclass(frozen=True)
class GlyphRun:
    """A laid-out line of glyphs, not yet drawn."""

    glyphs: tuple[PlacedGlyph, ...]  # in reading order
    extent: Extent  # of all their ink
    # First and last x of each part that is small and raised.
    raised: tuple[tuple[float, float], ...] = ()


def cased(text: str, source: GlyphSource) -> str:
    """The text, in capitals if the font draws lower-case letters as capitals."""
    return text.upper() if isinstance(source, FontGlyphs) and source.capitals_only else text


def lay_out(text: str, style: Style, rng: Rng, *, pitch: float = 0.0) -> GlyphRun:
    """Lays out the characters of a text on one line, without those that the source lacks.

    ``pitch`` is the fixed width of each character in digit heights, as in the boxes of a form; 0
    uses their own widths.
    """
    line = _Line(style, rng, pitch)
    for char in cased(text, style.source):
        line.add(char)
    return line.written()


def put_glyphs(canvas: Canvas, glyphs: Sequence[PlacedGlyph]) -> str:
    """Draws glyphs; returns the text of those mostly on the canvas (see ``VISIBLE``)."""
    chars: list[str] = []
    for glyph in glyphs:
        if glyph.ink is None:
            chars.append(glyph.char)
            continue
        recorded = len(canvas.values)
        canvas.put(glyph.ink, glyph.matrix, 0)
        if len(canvas.values) > recorded and canvas.values[-1] != IGNORED:
            chars.append(glyph.char)
    return as_label("".join(chars))


def as_label(text: str) -> str:
    """The text as a label: single spaces, none at the ends, ASCII dashes and apostrophes.

    A row of four or more dots, as leads to a number, is a space: there is no step for each dot.
    """
    plain = _LEADER.sub(" ", text.replace(RAISE, "").translate(_ASCII_MARKS))
    return " ".join(plain.split())


class _Line:
    """A line under construction; positions are in digit heights, the first baseline at y = 0."""

    def __init__(self, style: Style, rng: Rng, pitch: float) -> None:
        self._style, self._rng, self._pitch = style, rng, pitch
        self._glyphs, self._raised = list[PlacedGlyph](), list[tuple[float, float]]()
        self._x, self._y, self._angle, self._size, self._raised_start = 0.0, 0.0, 0.0, 1.0, 0.0
        self._curve = rng.normal(0, 0.012) if style.drift else 0.0
        self._raised_size = rng.uniform(0.48, 0.7)
        by_hand = not isinstance(style.source, FontGlyphs)
        if isinstance(style.source, FontGlyphs):  # spaces in numbers follow the width of the font
            space = style.source.space * style.stretch * rng.uniform(0.9, 1.4)
        else:
            space = rng.uniform(0.33, 0.95)
        self._space = space + max(0.0, style.gap)
        self._gap = rng.uniform(1.3, 4.0)
        self._crossed = "0" if by_hand and rng.random() < 0.06 else ""
        self._crossed += "7" if by_hand and rng.random() < 0.15 else ""

    def add(self, char: str) -> None:
        """Adds a character or a space, or starts or ends a raised part."""
        if char == RAISE:
            self._raise()
        elif char in (" ", GAP):
            self._glyphs.append(PlacedGlyph(char, None, np.zeros((2, 3)), (self._x, 0, self._x, 0)))
            width = self._gap if char == GAP else self._space
            self._x += width * self._rng.uniform(0.85, 1.15)
        elif self._x < MAX_LENGTH:
            self._write(char)

    def written(self) -> GlyphRun:
        """The whole line."""
        extents = np.array([glyph.extent for glyph in self._glyphs if glyph.ink is not None])
        if not len(extents):
            return GlyphRun((), _EMPTY_EXTENT)
        low, high = extents[:, :2].min(axis=0), extents[:, 2:].max(axis=0)
        extent = float(low[0]), float(low[1]), float(high[0]), float(high[1])
        return GlyphRun(tuple(self._glyphs), extent, tuple(self._raised))

    def _raise(self) -> None:
        if self._size < 1:
            self._raised.append((self._raised_start, self._x))
        size = self._raised_size if self._size == 1 else 1.0
        self._raised_start, self._y = self._x, self._y - self._size + size
        self._size = size

    def _write(self, char: str) -> None:
        glyph = icon_glyph(char) or self._style.source.glyph(char, self._rng)
        if glyph is None:
            return
        start = np.array([self._x, self._y])
        ink, matrix, step = _place(glyph, self._style, start, self._angle, self._size, self._rng)
        if self._pitch:  # centre the character in its box
            matrix[0, 2] += self._pitch * (len(self._glyphs) + 0.5) - self._x - step / 2
            step = self._pitch
        ink = _crossed(char, ink) if char in self._crossed else ink
        self._glyphs.append(PlacedGlyph(char, ink, matrix, _mapped_extent(ink, matrix)))
        self._angle += self._curve * step
        self._x, self._y = self._x + step, self._y + step * float(np.sin(self._angle))


def _crossed(char: str, ink: Ink) -> Ink:
    """The ink of a zero or seven with a stroke through it."""
    if min(ink.shape) < 12:
        return ink
    height, width = ink.shape
    ink = ink.copy()
    thick = max(2, round(0.09 * height))
    ends = ((0.12, 0.9), (0.88, 0.1)) if char == "0" else ((0.25, 0.55), (0.95, 0.5))
    a, b = ((round(x * width), round(y * height)) for x, y in ends)
    cv2.line(ink, a, b, 255, thick, cv2.LINE_AA)
    return ink
