"""Writes lines of text on a sheet in a style: slant, weight, spacing, drift and unsteadiness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Ink, Matrix, Points
from digitlens.datasets.synthetic.hands import DIGITS, LIKE_DIGITS, Glyph, Hand
from digitlens.datasets.synthetic.sheet import IGNORED, Sheet


@dataclass(frozen=True)
class Style:
    """How a line is written.

    Attributes:
        hand: Who writes.
        slant: Horizontal shift per pixel of height.
        stretch: Factor for widths.
        weight: Pixels that strokes grow, in a character of some 70 pixels; negative shrinks.
        gap: Space between characters beyond the usual, in digit heights; negative lets them touch.
        drift: Standard deviation of the height above the baseline, in digit heights.
        wobble: Standard deviation of sizes, relative.
        turn: Standard deviation of each character's rotation, in radians.
        bend: Standard deviation of an elastic displacement, in pixels of 70 a character.
    """

    hand: Hand
    slant: float = 0.0
    stretch: float = 1.0
    weight: int = 0
    gap: float = 0.0
    drift: float = 0.0
    wobble: float = 0.0
    turn: float = 0.0
    bend: float = 0.0


def draw_style(hand: Hand, rng: np.random.Generator, *, by_hand: bool) -> Style:
    """Chooses a style; print is steadier than handwriting."""
    weight = int(rng.choice([-2, -1, 0, 1, 2, 4, 6], p=[0.08, 0.12, 0.42, 0.14, 0.1, 0.08, 0.06]))
    tight = float(rng.choice([0.0, -0.12, 0.12, 0.5], p=[0.5, 0.22, 0.2, 0.08]))
    gap = tight + float(rng.normal(0, 0.05))
    if not by_hand:
        stretch = float(np.exp(rng.normal(0, 0.12)))
        slant = 0.0 if rng.random() < 0.75 else float(rng.uniform(-0.1, 0.35))
        return Style(hand, slant, stretch, weight, max(gap, -0.03))
    return Style(
        hand=hand,
        slant=float(rng.normal(0.03, 0.16)),
        stretch=float(np.exp(rng.normal(0, 0.18))),
        weight=weight,
        gap=gap,
        drift=float(rng.exponential(0.05)),
        wobble=float(rng.uniform(0.02, 0.14)),
        turn=float(rng.uniform(0.0, 0.1)),
        bend=float(rng.uniform(0, 2.2)) if rng.random() < 0.5 else 0.0,
    )


@dataclass(frozen=True)
class Baseline:
    """Where a line starts and how it runs, in the plane of the paper.

    Attributes:
        x: Of its left end.
        y: Likewise, downwards.
        height: Of a digit, in pixels.
        angle: In radians, clockwise.
        curve: Change of the angle per digit height along the line.
    """

    x: float
    y: float
    height: float
    angle: float = 0.0
    curve: float = 0.0


def write(sheet: Sheet, text: str, style: Style, line: Baseline, rng: np.random.Generator) -> float:
    """Writes a text.

    Args:
        sheet: What is written on.
        text: Spaces separate words; characters that the hand does not write are left out.
        style: How.
        line: Where.
        rng: Decides the rest.

    Returns:
        Where the text ends, in pixels along the line.
    """
    place = np.array([line.x, line.y], np.float64)
    angle, along = line.angle, 0.0
    words = text.split(" ")
    for number, word in enumerate(words):
        lone = len(word) == 1 and word in LIKE_DIGITS
        for char in word:
            glyph = style.hand.glyph(char, rng)
            if glyph is None:
                continue
            step = _put(sheet, glyph, style, _Spot(place, angle, line.height, lone), rng)
            angle += line.curve * step / line.height
            place = place + step * _ahead(angle)
            along += step
        if number < len(words) - 1:
            step = line.height * (0.45 + 0.35 * float(rng.random()) + max(0.0, style.gap))
            place = place + step * _ahead(angle)
            along += step
    return along


def text_width(text: str, style: Style, rng: np.random.Generator) -> float:
    """Width of a text in digit heights, about."""
    width = 0.0
    for char in text:
        glyph = None if char == " " else style.hand.glyph(char, rng)
        width += 0.6 if glyph is None else glyph.advance * style.stretch + style.gap
    return width


class _Spot(NamedTuple):
    """Where a character goes: the start of its advance on the baseline, in the paper's plane."""

    place: Points
    angle: float
    height: float  # of a digit
    lone: bool  # it is all of its word, and looks like a digit


def _put(sheet: Sheet, glyph: Glyph, style: Style, spot: _Spot, rng: np.random.Generator) -> float:
    """Puts one character on the sheet; returns how far the next is along the line."""
    height = spot.height
    ink = _bent(_weighted(glyph.ink, style.weight), style.bend, rng)
    tall = height * glyph.height * (1 + style.wobble * float(rng.standard_normal()))
    tall = max(tall, 0.3 * height * glyph.height)
    turn = spot.angle + style.turn * float(rng.standard_normal())
    lift = height * style.drift * float(rng.standard_normal())
    advance = height * (glyph.advance * style.stretch + style.gap)
    linear = _linear(tall / ink.shape[0], style, turn)
    # The middle of the glyph's bottom edge stands at the middle of its advance.
    foot = linear @ (ink.shape[1] / 2, ink.shape[0])
    matrix = np.empty((2, 3))
    matrix[:, :2] = linear
    matrix[:, 2] = _offset(spot, advance / 2, lift + height * glyph.bottom) - foot
    value = int(glyph.char) if glyph.char in DIGITS else (IGNORED if spot.lone else None)
    sheet.put(ink, matrix, value)
    return max(advance, 0.08 * height)


def _linear(scale: float, style: Style, turn: float) -> Matrix:
    """Scales, slants and turns, in this order: float64[2, 2]."""
    cos, sin = np.cos(turn), np.sin(turn)
    shape = np.array([[scale * style.stretch, -style.slant * scale], [0, scale]])
    return np.array([[cos, -sin], [sin, cos]]) @ shape


def _offset(spot: _Spot, along: float, down: float) -> Points:
    """The point so far along the line and below it."""
    cos, sin = np.cos(spot.angle), np.sin(spot.angle)
    return spot.place + np.array([along * cos - down * sin, along * sin + down * cos])


def _ahead(angle: float) -> Points:
    return np.array([np.cos(angle), np.sin(angle)])


def _weighted(ink: Ink, weight: int) -> Ink:
    if not weight or min(ink.shape) < 12:
        return ink
    size = 2 * abs(weight) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if weight > 0:
        return np.asarray(cv2.dilate(_framed(ink, weight), kernel), np.uint8)
    thin = np.asarray(cv2.erode(ink, kernel), np.uint8)
    # Hairlines would vanish: then the stroke stays as it was.
    kept = int(np.count_nonzero(thin > 128)) > 0.25 * int(np.count_nonzero(ink > 128))
    return thin if kept else ink


def _framed(ink: Ink, by: int) -> Ink:
    framed = np.zeros((ink.shape[0] + 2 * by, ink.shape[1] + 2 * by), np.uint8)
    framed[by:-by, by:-by] = ink
    return framed


def _bent(ink: Ink, bend: float, rng: np.random.Generator) -> Ink:
    height, width = ink.shape
    if not bend or min(ink.shape) < 12:
        return ink
    field = rng.standard_normal((2, 4, 3), np.float32) * np.float32(bend * height / 70)
    dx = cv2.resize(field[0], (width, height), interpolation=cv2.INTER_CUBIC)
    dy = cv2.resize(field[1], (width, height), interpolation=cv2.INTER_CUBIC)
    x = np.arange(width, dtype=np.float32)[None, :] + dx
    y = np.arange(height, dtype=np.float32)[:, None] + dy
    bent = cv2.remap(ink, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(bent, np.uint8)
