"""Ink of non-digits: characters of fonts, shapes, scribbles and spoiled digits.

Varied in slant, aspect ratio, stroke width and scan quality, as if by different people. Stroke
widths follow those of MNIST, so that a network cannot separate digits from non-digits by the pen.
Characters are drawn on demand: rendering every character of every font takes half a minute, and a
training needs only a few thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import atan2, hypot, sin

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from digitlens.datasets.synthetic import glyph_sources
from digitlens.datasets.synthetic.drawing import (
    FAINT,
    Ink,
    Points,
    Rng,
    blur,
    crop,
    pick,
    rotation,
    stroke,
    unit_circle,
)
from digitlens.datasets.synthetic.papers import smooth
from digitlens.imaging.tiles import SIDE

VARIED_SIDE = 80  # longest side of varied ink, in pixels
_FINE_SCALE = 4  # such pixels per pixel of the tile
# Median and log spread of stroke widths in tile pixels; MNIST: median 2.7, 98 % within 1.5 to 4.8.
_STROKE_WIDTH, _WIDTH_SPREAD = 2.7, 0.28
_SCANNED_FRACTION = 0.5  # fraction scanned coarsely in black and white, as MNIST's forms were


def vary(ink: Ink, rng: Rng) -> Ink:
    """A random variation of the same form; cropped, with the longer side about ``VARIED_SIDE``."""
    warped = crop(_warp(crop(ink), rng))
    width = _STROKE_WIDTH * float(np.exp(_WIDTH_SPREAD * rng.standard_normal()))
    drawn = with_strokes(scaled(warped, VARIED_SIDE), width * _FINE_SCALE)
    if rng.random() < _SCANNED_FRACTION:
        small = scaled(drawn, int(rng.integers(28, 50)))
        drawn = np.where(small > rng.integers(90, 166), 255, 0).astype(np.uint8)
    return crop(drawn)


def scaled(ink: Ink, longest: int) -> Ink:
    """The ink resized so that its longer side has ``longest`` pixels."""
    scale = longest / max(ink.shape)
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, size, interpolation=method), np.uint8).reshape(size[::-1])


def with_strokes(ink: Ink, width: float) -> Ink:
    """The ink with strokes of about the given mean width, in pixels.

    Returned unchanged if holes would fill or strokes would break, which makes another character.
    """
    change = (width - _stroke_width(ink)) / 2
    radius = round(min(abs(change), 0.12 * max(ink.shape)))
    if not radius:
        return ink
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    morph, border = (cv2.dilate, radius + 1) if change > 0 else (cv2.erode, 1)
    changed = np.asarray(morph(_pad(ink, border), kernel), np.uint8)
    return changed if _component_counts(changed) == _component_counts(_pad(ink, 1)) else ink


@dataclass(frozen=True, eq=False)
class TracedGlyphs:
    """A glyph source with the stroke width of one pen."""

    source: glyph_sources.GlyphSource
    width: float  # of the strokes, in pixels of a character as high as a digit of ``EM``

    @property
    def letters(self) -> str:
        """The characters other than digits that it can write."""
        return self.source.letters

    def glyph(self, char: str, rng: Rng) -> glyph_sources.Glyph | None:
        """The glyph of the source with the new stroke width, its box unchanged."""
        glyph = self.source.glyph(char, rng)
        return glyph and replace(glyph, ink=with_strokes(glyph.ink, self.width))


def _component_counts(ink: Ink) -> tuple[int, int]:
    """The numbers of connected components of ink and of paper."""
    mask = (ink > 127).view(np.uint8)
    return cv2.connectedComponents(mask)[0], cv2.connectedComponents(1 - mask)[0]


def _stroke_width(ink: Ink) -> float:
    mask = _pad((ink > 127).view(np.uint8), 1)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    area, inner_area = cv2.countNonZero(mask), cv2.countNonZero(cv2.erode(mask, cross))
    return 2 * area / max(area - inner_area, 1)


def _pad(ink: Ink, pad: int) -> Ink:
    return np.asarray(cv2.copyMakeBorder(ink, pad, pad, pad, pad, cv2.BORDER_CONSTANT), np.uint8)


def _warp(ink: Ink, rng: Rng) -> Ink:
    """Rotated, slanted and stretched slightly about the centre."""
    turn, slant = rng.normal(0, 0.1), rng.normal(0.03, 0.16)
    stretch = float(np.exp(rng.normal(0, 0.15)))
    linear = rotation(turn)[:2, :2] @ np.array([[stretch, -slant], [0, 1]])
    linear *= VARIED_SIDE / max(ink.shape)
    side = 2 * VARIED_SIDE
    shift = side / 2 - linear @ (ink.shape[1] / 2, ink.shape[0] / 2)
    matrix = np.column_stack([linear, shift])
    return np.asarray(cv2.warpAffine(ink, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


DRAWN_SIDE = 128  # of the square canvas, in pixels
_MIDDLE = (DRAWN_SIDE // 2, DRAWN_SIDE // 2)

Draw = Callable[[Ink, int, Rng], None]


def draw_shape(rng: Rng) -> Ink:
    """A random figure: uint8[DRAWN_SIDE, DRAWN_SIDE], 255 for ink."""
    return _canvas_ink(pick(rng, _FIGURES), rng)


def draw_scribble(rng: Rng) -> Ink:
    """A meaningless scribble: uint8[DRAWN_SIDE, DRAWN_SIDE], 255 for ink."""
    return _canvas_ink(pick(rng, _SCRIBBLES), rng)


def _canvas_ink(draw: Draw, rng: Rng) -> Ink:
    ink = np.zeros((DRAWN_SIDE, DRAWN_SIDE), np.uint8)
    draw(ink, int(rng.integers(4, 14)), rng)
    return ink


def _polar(angles: npt.NDArray[np.float64], radius: float | npt.NDArray[np.float64]) -> Points:
    """Points at a radius from the centre, at angles in radians."""
    return DRAWN_SIDE / 2 + unit_circle(angles) * np.reshape(radius, (-1, 1))


def _circle_points(count: int, radius: float, turn: float = 0.0) -> Points:
    return _polar(np.arange(count) * 2 * np.pi / count + turn, radius)


def _box(ink: Ink, width: int, rng: Rng) -> None:
    """A box at least as wide as high: a taller one is a seven-segment 0."""
    half = rng.uniform(28, 46, 2)
    half[0] = max(half)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + DRAWN_SIDE / 2
    stroke(ink, corners + rng.normal(0, 2, (4, 2)), width, closed=True)
    if rng.random() < 0.6:
        stroke(ink, corners[[0, 2]], width)
        stroke(ink, corners[[1, 3]], width)


def _filled_polygon(ink: Ink, _: int, rng: Rng) -> None:
    points = _circle_points(int(rng.integers(3, 9)), 45.0, rng.uniform(0, 6))
    cv2.fillPoly(ink, [np.rint(points + rng.normal(0, 6, points.shape)).astype(np.int32)], 255)


def _polygon(ink: Ink, width: int, rng: Rng) -> None:
    count = int(rng.integers(3, 6))
    points = _circle_points(count, 46.0, rng.uniform(0, 6))
    stroke(ink, points + rng.normal(0, 3, points.shape), width, closed=True)
    if rng.random() < 0.4:
        stroke(ink, _circle_points(count, 18.0), width, closed=True)


def _star(ink: Ink, width: int, rng: Rng) -> None:
    count = int(rng.integers(4, 8))
    angles = np.arange(2 * count) * np.pi / count + rng.uniform(0, 6)
    radii = np.where(np.arange(2 * count) % 2, rng.uniform(12, 26), 48.0)
    stroke(ink, _polar(angles, radii), width, closed=True)


def _rays(ink: Ink, width: int, rng: Rng) -> None:
    """Lines that cross in the centre: a plus, a cross, an asterisk."""
    count = int(rng.integers(2, 6))
    for angle in np.arange(count) * np.pi / count + rng.uniform(0, 3):
        stroke(ink, _polar(np.array([angle, angle + np.pi]), rng.uniform(34, 50, 2)), width)


def _ring(ink: Ink, width: int, rng: Rng) -> None:
    """A circle with a cross, circle, face or triangle inside; an empty one is a 0."""
    cv2.circle(ink, _MIDDLE, 46, 255, width, cv2.LINE_AA)
    kind = int(rng.integers(4))
    if kind == 0:
        start = rng.uniform(0, 3)
        for angle in (start, start + np.pi / 2):
            stroke(ink, _polar(np.array([angle, angle + np.pi]), 46.0), width)
    elif kind == 1:
        cv2.circle(ink, _MIDDLE, int(rng.integers(14, 28)), 255, width, cv2.LINE_AA)
    elif kind == 2:
        for x in (48, 80):
            cv2.circle(ink, (x, 50), width // 2 + 2, 255, -1, cv2.LINE_AA)
        cv2.ellipse(ink, (64, 72), (22, 14), 0, 20, 160, 255, max(2, width // 2), cv2.LINE_AA)
    else:
        stroke(ink, _circle_points(3, 30.0, rng.uniform(0, 6)), width, closed=True)


def _spiral(ink: Ink, width: int, rng: Rng) -> None:
    turns = rng.uniform(2.2, 4) * 2 * np.pi
    angles = np.linspace(0, turns, 90)
    mirror = 1 if rng.random() < 0.5 else -1
    stroke(ink, _polar(mirror * angles + rng.uniform(0, 6), 4 + 46 * angles / turns), min(width, 6))


def _hatching(ink: Ink, width: int, rng: Rng) -> None:
    count, slope = int(rng.integers(3, 7)), rng.uniform(-40, 40)
    xs = np.linspace(16, DRAWN_SIDE - 16, count)
    lines = [np.array([[x, 20 - slope / 4], [x + slope / 2, DRAWN_SIDE - 20]]) for x in xs]
    if rng.random() < 0.5:
        lines = [line[:, ::-1] for line in lines]
    if rng.random() < 0.5:
        lines += [line[:, ::-1] for line in lines]
    for line in lines:
        stroke(ink, line + rng.normal(0, 2, (2, 2)), min(width, 8))


def _arrow(ink: Ink, width: int, rng: Rng) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    ends = _polar(np.array([angle, angle + np.pi]), 48.0)
    stroke(ink, ends, width)
    for side in (-1, 1):
        barb = angle + np.pi + side * rng.uniform(0.5, 0.9)
        tip = ends[0] + 32 * np.array([np.cos(barb), np.sin(barb)])
        stroke(ink, np.stack([ends[0], tip]), width)


def _wave(ink: Ink, width: int, rng: Rng) -> None:
    x = np.linspace(8, DRAWN_SIDE - 8, 80)
    amplitude, waves = rng.uniform(12, 28), rng.uniform(1.5, 4)
    y = DRAWN_SIDE / 2 + amplitude * np.sin(x / DRAWN_SIDE * 2 * np.pi * waves + rng.uniform(0, 6))
    stroke(ink, np.stack([x, y], axis=1), width)


def _heart(ink: Ink, width: int, rng: Rng) -> None:
    t = np.linspace(0, 2 * np.pi, 60)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    heart = DRAWN_SIDE / 2 + np.stack([x, y], axis=1) * rng.uniform(2.2, 2.8)
    stroke(ink, heart, width, closed=True)


def _bracket(ink: Ink, width: int, rng: Rng) -> None:
    """A square bracket or a curly brace."""
    brace = [[84.0, 10], [60, 18], [60, 56], [38, 64], [60, 72], [60, 110], [84, 118]]
    square = [[84.0, 14], [44, 14], [44, 114], [84, 114]]
    points = np.array(brace if rng.random() < 0.5 else square)
    stroke(ink, points if rng.random() < 0.5 else DRAWN_SIDE - points, min(width, 10))


def _dots(ink: Ink, width: int, rng: Rng) -> None:
    for x, y in rng.integers(14, DRAWN_SIDE - 14, (int(rng.integers(3, 12)), 2)):
        cv2.circle(ink, (int(x), int(y)), width // 2 + 2, 255, -1, cv2.LINE_AA)


def _walk(ink: Ink, width: int, rng: Rng) -> None:
    """One curve with too many bends for a digit."""
    points = rng.uniform(14, DRAWN_SIDE - 14, (int(rng.integers(8, 18)), 2))
    stroke(ink, smooth(points) if rng.random() < 0.7 else points, min(width, 8))


def _strokes(ink: Ink, width: int, rng: Rng) -> None:
    """Short, unconnected strokes."""
    for _ in range(int(rng.integers(3, 8))):
        start = rng.uniform(16, DRAWN_SIDE - 16, 2)
        points = start + np.cumsum(rng.normal(0, 14, (int(rng.integers(2, 5)), 2)), axis=0)
        stroke(ink, smooth(points) if len(points) > 2 else points, min(width, 9))


def _zigzag(ink: Ink, width: int, rng: Rng) -> None:
    """A line to and fro, as when text is struck out."""
    count = int(rng.integers(6, 14))
    x = np.linspace(14, DRAWN_SIDE - 14, count) + rng.normal(0, 4, count)
    y = DRAWN_SIDE / 2 + np.where(np.arange(count) % 2, 1, -1) * rng.uniform(20, 46, count)
    points = np.stack([x, y], axis=1)
    stroke(ink, points if rng.random() < 0.5 else points[:, ::-1], min(width, 8))


def _tangle(ink: Ink, width: int, rng: Rng) -> None:
    t = np.linspace(0, 2 * np.pi * rng.uniform(2, 5), 160)
    a, b = rng.permutation([1, 2, 3])[:2] + rng.normal(0, 0.1, 2)  # equal ones would draw a 0
    x, y = np.cos(a * t + rng.uniform(0, 6)), np.sin(b * t + rng.uniform(0, 6))
    stroke(ink, DRAWN_SIDE / 2 + 46 * np.stack([x, y], axis=1), min(width, 7))


def _tick(ink: Ink, width: int, rng: Rng) -> None:
    points = np.array([[20.0, 70], [48, 104], [112, 22]])
    stroke(ink, points + rng.normal(0, 5, (3, 2)), width)


_FIGURES: tuple[Draw, ...] = (
    *(_box, _filled_polygon, _polygon, _star, _rays, _ring, _spiral),
    *(_hatching, _arrow, _tick, _wave, _heart, _bracket, _dots),
)
_SCRIBBLES: tuple[Draw, ...] = (_walk, _strokes, _strokes, _zigzag, _tangle)


Tiles = npt.NDArray[np.uint8]


def spoil(digits: Tiles, rng: Rng) -> Ink:
    """One non-digit made from random tiles of uint8[N, 28, 28] digits, N >= 1; uint8[H, W]."""
    return pick(rng, _SPOILED)(digits, rng)


def _sample(digits: Tiles, count: int, rng: Rng) -> Tiles:
    return digits[rng.integers(len(digits), size=count)]


def _heap(digits: Tiles, rng: Rng) -> Ink:
    """Three digits on top of each other; two may still look like an 8."""
    shifted = [np.roll(tile, rng.integers(-4, 5, 2), (0, 1)) for tile in _sample(digits, 3, rng)]
    return np.maximum.reduce(shifted)


def _pair(digits: Tiles, rng: Rng) -> Ink:
    left, right = _sample(digits, 2, rng)
    overlap = int(rng.integers(4, 10))
    return np.hstack([left[:, : SIDE - overlap], right[:, overlap:]])


def _gap(digits: Tiles, rng: Rng) -> Ink:
    """The gap between two digits: the right half of one and the left half of the other."""
    left, right = _sample(digits, 2, rng)
    cut = int(rng.integers(10, 15))
    return np.hstack([left[:, cut:], right[:, : SIDE - cut]])


def _shuffled(digits: Tiles, rng: Rng) -> Ink:
    """The quarters of a digit, exchanged and some of them mirrored."""
    tile = _sample(digits, 1, rng)[0]
    half = SIDE // 2
    parts = [tile[:half, half:], tile[half:, half:], tile[half:, :half], tile[:half, :half]]
    parts = [part[:, ::-1] if rng.random() < 0.5 else part for part in parts]
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


_SPOILED = (_heap, _pair, _gap, _shuffled)


EM = 72  # font size in pixels; digits are about 50 high
MIN_LIKENESS = 0.86  # least cosine at which a face's letter counts as similar to one of its digits
_COMPARED_SIDE = 24  # of the blurred pictures that are compared, in pixels


class Face:
    """One font in one weight."""

    def __init__(self, fonts: Mapping[glyph_sources.Script, ImageFont.FreeTypeFont]) -> None:
        """Stores the opened font of each script that the face has; draws nothing yet."""
        self._fonts = fonts
        self._inks: dict[str, Ink | None] = {}

    def ink(self, char: str) -> Ink | None:
        """uint8[h, w], cropped, 255 for ink; None if the face lacks the character."""
        if char not in self._inks:
            drawn = (glyph_sources.char_ink(font, char) for font in self._fonts.values())
            self._inks[char] = next((crop(one[0]) for one in drawn if one), None)
        return self._inks[char]

    def is_like_a_digit(self, char: str) -> bool:
        """Whether the character looks like one of the face's digits, or is missing in the face."""
        ink = self.ink(char)
        return ink is None or likeness(ink, self.digits) >= MIN_LIKENESS

    @cached_property
    def digits(self) -> npt.NDArray[np.float32]:
        """float32[10, D]: the ten digits in the form that ``likeness`` compares."""
        inks = [self.ink(digit) for digit in glyph_sources.DIGITS]
        return blurred([np.zeros((8, 8), np.uint8) if ink is None else ink for ink in inks])


def load_faces(role: glyph_sources.Role) -> tuple[Face, ...]:
    """The faces of one role, without seven-segment fonts; fetches fonts that the cache lacks.

    Raises DataError if they cannot be fetched.
    """
    return tuple(
        Face({script: ImageFont.truetype(str(path), EM) for script, path in files.items()})
        for family, files in glyph_sources.role_fonts(role)
        if family.family not in glyph_sources.SEGMENT_FONTS
    )


def likeness(ink: Ink, digits: npt.NDArray[np.float32]) -> float:
    """Cosine similarity, 0 to 1, of cropped ink to the most similar of ``Face.digits``."""
    return float((digits @ _blurred(ink)).max())


def blurred(inks: Sequence[Ink]) -> npt.NDArray[np.float32]:
    """float32[N, D]: cropped inks in the form that ``likeness`` compares."""
    return np.stack([_blurred(ink) for ink in inks])


def written_digits() -> list[Ink]:
    """Every handwritten form of the digits, narrow and wide."""
    rng = np.random.default_rng(0)
    pens = [glyph_sources.Pen((0,) * 10, 9, 0, aspect, False, 0) for aspect in (0.5, 0.75)]
    sets = glyph_sources.FORMS + glyph_sources.QUICK_FORMS
    forms = [form for forms in sets for form in forms]
    return [crop(glyph_sources.draw_form(form, pen, rng)) for form in forms for pen in pens]


def _blurred(ink: Ink) -> npt.NDArray[np.float32]:
    """The ink centred in a small square, blurred, as a unit vector."""
    scale = (_COMPARED_SIDE - 4) / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    square = np.zeros((_COMPARED_SIDE, _COMPARED_SIDE), np.float32)
    top, left = (_COMPARED_SIDE - height) // 2, (_COMPARED_SIDE - width) // 2
    small = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    square[top : top + height, left : left + width] = small
    soft = blur(square, 1.0).ravel()
    return soft / max(float(np.linalg.norm(soft)), 1e-6)


# Letters left out of the measured sets, in both cases, as is usual for letters against digits.
# ``Face.is_like_a_digit`` finds those that look like a digit in one font only.
AMBIGUOUS = "OILSZBGQoilszbgq"
# Left out of training as well: by hand, D looks like a 0, Y and y like an open 4.
_LATIN = frozenset("OISZBGQDYoilszbgqy") - frozenset("L")
_GREEK = frozenset("σθΘβδξφΦ")
_CYRILLIC = frozenset("бБзЗэЭчЧвюфФд")
# Signs are enlarged to fill the tile: a comma becomes a 1 with a flag, a degree sign a 0.
_MARKS = frozenset("|/!'\",()$°§;.")

LETTERS_OF_NO_DIGIT = "".join(c for c in glyph_sources.LATIN if c not in _LATIN)
FOREIGN_OF_NO_DIGIT = "".join(
    c for c in glyph_sources.GREEK + glyph_sources.CYRILLIC if c not in _GREEK | _CYRILLIC
)
SIGNS_OF_NO_DIGIT = "".join(c for c in glyph_sources.MARKS + "€£¥×÷¶©®±≠√∞" if c not in _MARKS)  # noqa: RUF001
PENNED_OF_NO_DIGIT = "".join(c for c in glyph_sources.LETTERS if c not in _LATIN | frozenset("βJγ"))  # noqa: RUF001
MEASURED_LETTERS = "".join(c for c in glyph_sources.LATIN if c not in AMBIGUOUS)

_THIN_RATIO = 0.22  # largest ratio of width to length of a stroke, as standard deviations
_FLAT_SINE = 0.35  # sine of the angle below which a stroke is too flat for a 1


def is_one_stroke(ink: Ink) -> bool:
    """Whether ink is a single upright or slanted stroke, which is indistinguishable from a 1."""
    moments = cv2.moments((ink > FAINT).view(np.uint8), binaryImage=True)
    xx, xy, yy = (moments[name] for name in ("mu20", "mu11", "mu02"))
    elongation = hypot(xx - yy, 2 * xy)
    is_thin = xx + yy - elongation < _THIN_RATIO**2 * (xx + yy + elongation)
    return is_thin and abs(sin(atan2(2 * xy, xx - yy) / 2)) > _FLAT_SINE
