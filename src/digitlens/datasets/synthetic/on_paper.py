"""Puts lines on paper: colours and grounds, rules and boxes, and parts of other lines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Colour, Ink, Plane
from digitlens.datasets.synthetic.camera import light
from digitlens.datasets.synthetic.inks import draw_colours, inked
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.views import View
from digitlens.datasets.synthetic.written import Written, put_marks


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
        scanned: Share in grey on light paper, as a scanner gives it.
    """

    checks: bool = False
    scene: float = 0.06
    rules: float = 0.15
    boxed: float = 0.05
    neighbours: float = 0.15
    relief: float = 0.0
    stamped: float = 0.05
    scanned: float = 0.0


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
    scanned = rng.random() < looks.scanned
    paper_colour, ink_colour = _scanned_colours(rng) if scanned else readable_colours(rng)
    if looks.relief and rng.random() < looks.relief:
        return light(_relief(writing, paper_colour, view, rng), rng)
    height, width = writing.shape
    paper = draw_paper(width, height, paper_colour, rng, patterned=looks.checks)
    if rng.random() < looks.scene:
        paper = _calmed(draw_paper(width, height, paper_colour, rng, wild=True), paper_colour, rng)
    contrast = _contrast(paper_colour, ink_colour)
    calm = float(rng.uniform(0.04, 0.18)) if scanned else 0.22 if looks.checks else 0.28
    paper = calmer(paper, paper_colour, calm * contrast)
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


def _scanned_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Light paper and dark ink, both grey."""
    paper, ink = rng.uniform(150, 245), rng.uniform(20, 95)
    return np.full(3, paper, np.float32), np.full(3, ink, np.float32)


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
