"""Lines on paper and on objects: rules and boxes, counter wheels, plates, signs and forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic.camera import CameraView, light
from digitlens.datasets.synthetic.canvas import (
    Canvas,
    GlyphRun,
    PlacedGlyph,
    Style,
    lay_out,
    put_glyphs,
)
from digitlens.datasets.synthetic.drawing import (
    FAINT,
    Colour,
    Extent,
    Ink,
    Plane,
    Points,
    Rng,
    as_colour,
    blend,
    blend_ink,
    blend_tint,
    blur,
    cast_shadow,
    fill,
    log_uniform,
    mix_colours,
    pick,
    rectangle,
    stroke,
)
from digitlens.datasets.synthetic.glyph_sources import FontGlyphs
from digitlens.datasets.synthetic.papers import (
    draw_clutter,
    draw_colours,
    draw_paper,
    draw_scribbles,
    noise_field,
    put_ink,
    smooth,
)
from digitlens.datasets.synthetic.texts import digits


@dataclass(frozen=True)
class Looks:
    """The background and surroundings of a line; floats are fractions of the lines."""

    checks: bool = False  # the paper usually has fine lines, like a check
    scene: float = 0.06  # on a surface other than paper
    rules: float = 0.15  # with an underline or rules above and below
    boxed: float = 0.05  # in a box
    neighbours: float = 0.15  # with parts of other lines above or below
    relief: float = 0.0  # embossed or engraved
    stamped: float = 0.05  # with uneven ink
    scanned: float = 0.0  # grey on light paper, as from a scanner


def put_on_paper(run: GlyphRun, view: CameraView, rng: Rng, looks: Looks) -> tuple[Plane, str]:
    """Draws a line on paper; returns float32[h, w, 3] and the readable text."""
    canvas, printed = view.canvas(), view.canvas()
    text = put_glyphs(canvas, run.glyphs)
    _decorate(canvas, printed, run, view, rng, looks)
    return _apply_colours(canvas.ink, printed.ink, view, rng, looks), text


def _decorate(
    canvas: Canvas, printed: Canvas, run: GlyphRun, view: CameraView, rng: Rng, looks: Looks
) -> None:
    """Draws rules, boxes and the edges of other lines."""
    thin = max(1, round(view.digit * rng.uniform(0.02, 0.07)))
    for x0, x1 in run.raised:
        if rng.random() < 0.5:
            y = -0.4 + rng.uniform(0, 0.25)
            canvas.line((x0 + 0.05, y), (x1, y + rng.normal(0, 0.03)), thin)
    if rng.random() < looks.rules:
        _underline(canvas if rng.random() < 0.4 else printed, run, view, rng, thin)
    if rng.random() < looks.boxed:
        x0, y0, x1, y1 = run.extent
        left, right, top, bottom = rng.uniform(0.06, 0.3, 4)
        corners = rectangle(x0 - left, min(y0, -1) - top, x1 + right, max(y1, 0) + bottom)
        _draw_outline(printed, corners, thin)
    if rng.random() < looks.neighbours:
        _neighbours(canvas, run, view, rng)


def _underline(canvas: Canvas, run: GlyphRun, view: CameraView, rng: Rng, thin: int) -> None:
    x0, _, x1, y1 = run.extent
    y = max(y1, 0.0) + rng.uniform(0.02, 0.3) if rng.random() < 0.7 else 0.03
    ends = (x0 - 0.3, x1 + 0.3) if rng.random() < 0.4 else (view.window[0] - 1, view.window[2] + 1)
    for k in range(1 if rng.random() < 0.85 else 2):
        low = y + 0.12 * k
        canvas.line((ends[0], low), (ends[1], low + rng.normal(0, 0.02)), thin)
    if rng.random() < 0.2:
        high = run.extent[1] - rng.uniform(0.05, 0.3)
        canvas.line((ends[0], high), (ends[1], high), thin)


def _neighbours(canvas: Canvas, run: GlyphRun, view: CameraView, rng: Rng) -> None:
    """Draws the bottom of a line above and the top of a line below, about a third at most."""
    digits = [glyph for glyph in run.glyphs if glyph.ink is not None and glyph.char.isalnum()]
    if not digits:
        return
    x0, y0, x1, y1 = run.extent
    sides = rng.random(2) < 0.6
    for above in np.array([True, False])[sides]:
        room = y0 - view.window[1] if above else view.window[3] - y1
        visible = min(room - 0.06, rng.uniform(0.05, 0.36))
        if visible < 0.04:
            continue
        baseline = view.window[1] + visible if above else view.window[3] + 1 - visible
        x = x0 + rng.uniform(-0.5, 0.5)
        while x < x1 + 0.5:
            glyph = pick(rng, digits)
            matrix = glyph.matrix.copy()
            matrix[:, 2] += (x - glyph.extent[0], baseline)
            if glyph.ink is not None:
                canvas.put(glyph.ink, matrix, None)
            x += glyph.extent[2] - glyph.extent[0] + rng.uniform(0.05, 0.3)


def draw_ground(view: CameraView, rng: Rng) -> tuple[Plane, Colour, Colour]:
    """Paper on which text is readable, its colour, and a colour for the ink."""
    paper, ink = readable_colours(rng)
    plane = draw_paper(view.width, view.height, paper, rng)
    return soften(plane, paper, 0.3 * _contrast(paper, ink)), paper, ink


def _apply_colours(writing: Ink, printed: Ink, view: CameraView, rng: Rng, looks: Looks) -> Plane:
    scanned = rng.random() < looks.scanned
    if scanned:  # both are grey
        paper_colour = np.full(3, rng.uniform(150, 245), np.float32)
        ink_colour = np.full(3, rng.uniform(20, 95), np.float32)
    else:
        paper_colour, ink_colour = readable_colours(rng)
    if looks.relief and rng.random() < looks.relief:
        return light(_draw_relief(writing, paper_colour, view.digit, rng), rng)
    height, width = writing.shape
    paper = draw_paper(width, height, paper_colour, rng, patterned=looks.checks)
    if rng.random() < looks.scene:
        # A scene of low contrast around one colour, so that text on it is readable.
        scene = draw_paper(width, height, paper_colour, rng, wild=True)
        texture = (scene - scene.mean((0, 1))) * np.float32(rng.uniform(0.1, 0.35))
        paper = np.asarray(paper_colour + texture)
    contrast = _contrast(paper_colour, ink_colour)
    limit = rng.uniform(0.04, 0.18) if scanned else 0.22 if looks.checks else 0.28
    paper = soften(paper, paper_colour, limit * contrast)
    print_colour = ink_colour
    if rng.random() < 0.6:
        print_colour = mix_colours(paper_colour, ink_colour, rng.uniform(0.2, 1.1))
    if rng.random() < looks.stamped:
        writing = _make_patchy(writing, rng)
    min_strength = min(1.0, max(0.35 if view.digit > 14 else 0.6, 40 / contrast))
    strength = 1.0 if rng.random() < 0.6 else rng.uniform(min_strength, 1)
    paper = put_ink(paper, printed, print_colour, rng)
    return light(put_ink(paper, writing, ink_colour, rng, strength), rng)


def readable_colours(rng: Rng) -> tuple[Colour, Colour]:
    """Colours of paper and ink: a third clearly dark on light, else any pair of enough contrast."""
    if rng.random() > 0.35:
        min_contrast = 30 if rng.random() < 0.15 else 55
        for _ in range(8):
            paper, ink = draw_colours(rng)
            if _contrast(paper, ink) >= min_contrast:
                return paper, ink
    paper = rng.uniform(165, 255) + rng.normal(0, 7, 3)
    ink = rng.uniform(0, 80) + rng.uniform(0, 90, 3) * (rng.random(3) < 0.3)
    return as_colour(paper), as_colour(ink)


def _contrast(paper: Colour, ink: Colour) -> float:
    """Contrast in gray levels, at least 1; the difference of a single channel counts half."""
    difference = ink - paper
    luminance = abs(float(np.array([0.299, 0.587, 0.114], np.float32) @ difference))
    return max(1.0, luminance, 0.5 * float(np.abs(difference).max()))


def soften(paper: Plane, colour: Colour, limit: float) -> Plane:
    """The paper with its texture reduced to a standard deviation of at most ``limit`` levels."""
    texture = paper - colour
    level = float(texture.std())
    return paper if level <= limit else np.asarray(colour + texture * (limit / level), np.float32)


def _make_patchy(ink: Ink, rng: Rng) -> Ink:
    """The ink of a stamp: patchy."""
    height, width = ink.shape
    small = rng.standard_normal((max(2, height // 4), max(2, width // 4)), np.float32)
    field = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    cover = np.clip(rng.uniform(0.6, 1.1) + 0.35 * field, 0.15, 1)
    return (ink * cover).astype(np.uint8)


def _draw_relief(ink: Ink, colour: Colour, digit: float, rng: Rng) -> Plane:
    """Relief in a surface of one colour, embossed or engraved: edges light on one side only."""
    height, width = ink.shape
    colour = np.clip(colour, 50, 205).astype(np.float32)
    surface = soften(draw_paper(width, height, colour, rng), colour, 9)
    soft = blur(ink, max(0.4, 0.03 * digit))
    angle = rng.uniform(0, 2 * np.pi)
    slope = cv2.Sobel(soft, cv2.CV_32F, 1, 0) * np.cos(angle)
    slope = slope + cv2.Sobel(soft, cv2.CV_32F, 0, 1) * np.sin(angle)
    slope = slope / max(1.0, float(np.abs(slope).max())) * rng.uniform(35, 110)
    tone = soft / 255 * pick(rng, [0.0, 0.0, -25.0, 20.0, -45.0])
    return np.asarray(surface + (slope + tone)[:, :, None], np.float32)


def draw_material(ink: Ink, rng: Rng) -> Plane:
    """Draws ink uint8[h, w] on a random material; float32[h, w, 3] before the light.

    Chalk, whiteboard, pencil, lined paper, patterns, embossing, spray paint or a label; a part of
    another stroke may enter from an edge.
    """
    if rng.random() < 0.2:
        ink = _with_other_stroke(ink, rng)
    return pick(rng, _MATERIALS)(ink, rng)


def _with_other_stroke(ink: Ink, rng: Rng) -> Ink:
    """Adds the end of a stroke that enters from an edge, if it stays clear of other ink."""
    height, width = ink.shape
    start = np.array([pick(rng, [-0.05, 1.05]), rng.uniform(0, 1)])
    start = start[:: pick(rng, [1, -1])]
    inward = (0.5 - start) * rng.uniform(0.2, 0.5)
    bend = rng.normal(0, 0.06, (3, 2))
    points = smooth((start + np.outer([0, 0.5, 1], inward) + bend) * (width, height))
    drawn = np.zeros_like(ink)
    stroke(drawn, points, max(1, round(min(height, width) * log_uniform(rng, 0.01, 0.06))))
    surroundings = np.asarray(cv2.dilate(drawn, np.ones((9, 9), np.uint8)), np.uint8)
    return ink if (surroundings & ink).any() else np.maximum(ink, drawn)


def _add_grain(ink: Ink, low: float, rng: Rng) -> Plane:
    """Coverage of ink on a rough ground: float32[h, w], 0..1, at least ``low`` of the ink."""
    height, width = ink.shape
    grain = noise_field(width, height, max(height, width) / rng.uniform(1, 4), rng)
    coverage = np.clip(0.8 + grain * rng.uniform(0.2, 0.6), low, 1)
    return np.asarray(ink.astype(np.float32) / 255 * coverage, np.float32)


def _chalk(ink: Ink, rng: Rng) -> Plane:
    """Chalk on a wiped blackboard."""
    height, width = ink.shape
    board = pick(rng, ((30, 60, 45), (25, 28, 32), (60, 65, 70), (25, 40, 70)))
    plane = np.asarray(board + rng.normal(0, 8, 3) + np.zeros((height, width, 1)), np.float32)
    wiped = noise_field(width, height, rng.uniform(2, 12), rng)
    plane += (np.clip(wiped, 0, None) * rng.uniform(0, 28))[:, :, None]
    chalk = np.array([235, 235, 225]) - (rng.uniform(0, 130, 3) if rng.random() < 0.25 else 0)
    return blend(plane, as_colour(chalk), _add_grain(ink, rng.uniform(0.1, 0.6), rng))


def _whiteboard(ink: Ink, rng: Rng) -> Plane:
    """A marker on a glossy whiteboard with traces of wiped ink, sometimes a lamp's reflection."""
    height, width = ink.shape
    plane = np.asarray(rng.uniform(205, 250) + rng.normal(0, 4, 3) + np.zeros((height, width, 1)))
    pens = ((25, 25, 30), (25, 45, 140), (185, 30, 35), (20, 110, 60))
    ghost = Canvas(width, height, np.eye(3))
    draw_scribbles(ghost, rng)
    wiped = blur(ghost.ink, max(1.0, min(height, width) / 60))
    wiped *= np.float32(rng.uniform(0, 0.15) / 255)
    plane = blend(plane.astype(np.float32), as_colour(pick(rng, pens)), wiped)
    if rng.random() < 0.4:
        spot = np.zeros((height, width), np.float32)
        centre = tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height))
        radius = max(2, round(min(height, width) * rng.uniform(0.05, 0.25)))
        cv2.circle(spot, centre, radius, 1.0, -1)
        plane = plane + (rng.uniform(10, 60) * blur(spot, min(height, width) / 20))[:, :, None]
    colour = as_colour(np.array(pick(rng, pens)) + rng.normal(0, 12, 3))
    return blend(np.asarray(plane, np.float32), colour, _add_grain(ink, 0.7, rng))


def _pencil(ink: Ink, rng: Rng) -> Plane:
    """Pencil on white paper, sometimes faint."""
    height, width = ink.shape
    paper = as_colour(rng.uniform(195, 252) + rng.normal(0, 5, 3))
    plane = soften(draw_paper(width, height, paper, rng), paper, 6)
    lead = as_colour(paper - rng.uniform(40, 130) + rng.normal(0, 4, 3))
    return blend(plane, lead, _add_grain(ink, rng.uniform(0.2, 0.7), rng))


def _lined(ink: Ink, rng: Rng) -> Plane:
    """Exercise paper: ruled or squared, in blue or gray, sometimes with a red margin."""
    height, width = ink.shape
    paper = as_colour(rng.uniform(215, 253) + rng.normal(0, 5, 3))
    rules, margin = Canvas(width, height, np.eye(3)), Canvas(width, height, np.eye(3))
    pitch, slope = max(6.0, min(height, width) * log_uniform(rng, 0.05, 0.6)), rng.normal(0, 0.02)
    thin, squared = max(1, round(pitch / 30)), rng.random() < 0.5
    start = -rng.uniform(0, pitch)
    for k in range(int(2 * max(height, width) / pitch) + 3):
        position = start + k * pitch
        rules.line((-9.0, position), (width + 9.0, position + slope * width), thin)
        if squared:
            rules.line((position, -9.0), (position - slope * height, height + 9.0), thin)
    if rng.random() < 0.3:
        position = width * pick(rng, [rng.uniform(0.02, 0.2), rng.uniform(0.8, 0.98)])
        margin.line((position, -9.0), (position - slope * height, height + 9.0), thin)
    tint = (70, 120, 190) if rng.random() < 0.6 else (130, 130, 140)
    strength = rng.uniform(0.25, 1)
    plane = blend_tint(draw_paper(width, height, paper, rng), as_colour(tint), rules.ink, strength)
    plane = blend_ink(plane, as_colour((200, 60, 70)), margin.ink)
    pen = pick(rng, ((20, 30, 100), (15, 15, 20), (20, 60, 160), (170, 30, 40)))
    return put_ink(plane, ink, as_colour(np.array(pen) + rng.normal(0, 12, 3)), rng)


def _patterned(ink: Ink, rng: Rng) -> Plane:
    """Cloth or wrapping paper: stripes, dots or checks of low contrast, so that ink is readable."""
    height, width = ink.shape
    paper, pen = readable_colours(rng)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    period, angle = max(4.0, max(height, width) * log_uniform(rng, 0.02, 0.3)), rng.uniform(0, 3)
    along = (x * np.cos(angle) + y * np.sin(angle)) * np.float32(2 * np.pi / period)
    across = (y * np.cos(angle) - x * np.sin(angle)) * np.float32(2 * np.pi / period)
    waves = np.sin(along), np.sin(along) + np.sin(across), np.sin(along) * np.sin(across)
    pattern = np.tanh(rng.uniform(1, 6) * pick(rng, waves))
    plane = np.asarray(paper + pattern[:, :, None] * rng.uniform(-40, 40, 3), np.float32)
    return put_ink(soften(plane, paper, 0.25 * _contrast(paper, pen)), ink, pen, rng)


def _embossed(ink: Ink, rng: Rng) -> Plane:
    colour = as_colour(rng.uniform(60, 200) + rng.normal(0, 15, 3))
    return _draw_relief(ink, colour, float(_ink_box(ink)[1]), rng)


def _sprayed(ink: Ink, rng: Rng) -> Plane:
    """Paint on a rough wall, with soft edges."""
    height, width = ink.shape
    paper, pen = readable_colours(rng)
    rough = rng.uniform(2, 12)
    wall = paper + rough * noise_field(width, height, max(height, width) / 2, rng)[:, :, None]
    soft = blur(ink, max(0.3, _ink_box(ink)[1] * rng.uniform(0.005, 0.04))) / 255
    return blend(np.asarray(wall, np.float32), pen, np.minimum(1, soft * rng.uniform(0.9, 1.2)))


def _labelled(ink: Ink, rng: Rng) -> Plane:
    """A label, card or sign on clutter."""
    paper, pen = readable_colours(rng)
    (x, y), height, width = _ink_box(ink)
    pad = height * rng.uniform(0.15, 0.8, 4)
    mask = np.zeros_like(ink)
    corners = rectangle(x - pad[0], y - pad[1], x + width + pad[2], y + height + pad[3])
    fill(mask, corners + rng.normal(0, 0.03 * height, (4, 2)), 255)
    plane = blend_ink(draw_clutter(np.zeros_like(ink), rng), paper, mask)
    return put_ink(plane, ink, pen, rng)


def _ink_box(ink: Ink) -> tuple[tuple[int, int], int, int]:
    """The box of the ink: (left, top), height, width; the middle of the picture if none."""
    height, width = ink.shape
    x, y, wide, tall = cv2.boundingRect((ink > FAINT).view(np.uint8))
    return ((x, y), tall, wide) if wide else ((width // 4, height // 4), height // 2, width // 2)


_MATERIALS = (_chalk, _whiteboard, _pencil, _lined, _patterned, _embossed, _sprayed, _labelled)


class Wheel(NamedTuple):
    """One wheel of a counter."""

    value: int  # the digit that is mostly visible
    glyphs: list[PlacedGlyph]  # that digit, and those above and below it
    roll: float  # its distance from the middle of the window, in digit heights


class Counter(NamedTuple):
    """A row of wheels behind windows."""

    wheels: tuple[Wheel, ...]  # from left to right
    pitch: float  # from one wheel to the next, in digit heights
    turn: float  # from one digit of a wheel to the next, in digit heights
    window: tuple[float, float]  # width and height of a window, in digit heights
    joined: bool  # whether all wheels share one window
    reds: int  # number of wheels in another colour, at the right
    extent: Extent  # of all windows

    @property
    def text(self) -> str:
        """The digits shown."""
        return "".join(str(wheel.value) for wheel in self.wheels)


def draw_counter(source: FontGlyphs, rng: Rng) -> Counter:
    """A random counter of one or three to eight wheels, the last two often between digits."""
    count = 1 if rng.random() < 0.35 else int(rng.integers(3, 9))
    text = digits(rng, count)
    if count > 3 and rng.random() < 0.5:
        zeros = int(rng.integers(1, count - 1))
        text = "0" * zeros + text[zeros:]
    stretch, weight = rng.uniform(0.85, 1.15), pick(rng, [-1, 0, 0, 1])
    style, pitch = Style(source, stretch=stretch, weight=weight), rng.uniform(0.85, 1.5)
    window = rng.uniform(0.72, 0.94) * pitch, rng.uniform(1.08, 1.7)
    turn, rolling = rng.uniform(1.15, 1.6), rng.random() < 0.55
    wheels: list[Wheel] = []
    for index, char in enumerate(text):
        is_last = index >= count - 2
        is_rolled = rolling and (is_last or rng.random() < 0.1)
        roll = rng.uniform(-0.48, 0.48) if is_rolled else rng.normal(0, 0.02)
        wheels.append(draw_wheel(int(char), roll * turn, turn, style, rng))
    joined, reds = rng.random() < 0.3, pick(rng, [0, 0, 1, 1, 2, 3])
    extent = 0.0, -0.5 - window[1] / 2, pitch * count, -0.5 + window[1] / 2
    return Counter(tuple(wheels), pitch, turn, window, joined, min(reds, count - 1), extent)


def show_counter(counter: Counter, view: CameraView, rng: Rng) -> Plane:
    """Draws a counter: housing, wheels, digits and the edges of the windows."""
    housing = rng.uniform(10, 235) + rng.normal(0, 9, 3)
    plane = draw_paper(view.width, view.height, as_colour(housing), rng)
    dark = as_colour(rng.uniform(5, 55) + rng.normal(0, 4, 3))
    bright = as_colour(rng.uniform(150, 250) + rng.normal(0, 6, 3))
    face, ink = (dark, bright) if rng.random() < 0.65 else (bright, dark)
    red = as_colour([200 + rng.normal(0, 20), 35 + rng.normal(0, 15), 35 + rng.normal(0, 15)])
    windows, high = view.mask(), counter.window[1] / 2
    half = counter.pitch / 2 + 0.01 if counter.joined else counter.window[0] / 2
    for index, wheel in enumerate(counter.wheels):
        middle = (index + 0.5) * counter.pitch
        corners = rectangle(middle - half, -0.5 - high, middle + half, -0.5 + high)
        mask = _polygon_mask(corners, view)
        windows = np.maximum(windows, mask)
        wheel_colour, digit_colour = face, ink
        if index >= len(counter.wheels) - counter.reds:
            wheel_colour, digit_colour = (face, red) if face.mean() > 110 else (red, ink)
        plane = blend_ink(plane, wheel_colour * _cylinder_shade(counter, view, rng), mask)
        canvas = view.canvas()
        put_glyphs(canvas, _shift_glyphs(wheel.glyphs, middle, 0.0))
        plane = blend_ink(plane, digit_colour, np.minimum(canvas.ink, mask))
    return light(_add_rim(plane, windows, view, rng), rng)


def show_sign(run: GlyphRun, view: CameraView, rng: Rng) -> tuple[Plane, str]:
    """Draws a plate on a wall, sometimes with a rim or raised characters."""
    canvas = view.canvas()
    text = put_glyphs(canvas, run.glyphs)
    plate, ink = _sign_colours(rng)
    colour = as_colour(rng.uniform(0, 255, 3))
    wall = draw_paper(view.width, view.height, colour, rng, wild=rng.random() < 0.4)
    x0, y0, x1, y1 = run.extent
    left, top, right, bottom = rng.uniform(0.12, 0.6, 4)
    corners = rectangle(x0 - left, min(y0, -1) - top, x1 + right, max(y1, 0) + bottom)
    mask = _polygon_mask(corners, view)
    surface = soften(draw_paper(view.width, view.height, plate, rng), plate, 14)
    plane = blend_ink(wall, surface, mask)
    if rng.random() < 0.4:
        rim, middle = view.canvas(), corners.mean(axis=0)
        inner = (corners - middle) * (1 - 0.1 / np.ptp(corners, axis=0)) + middle
        _draw_outline(rim, inner, max(1, round(view.digit * rng.uniform(0.02, 0.07))))
        plane = put_ink(plane, rim.ink, ink, rng)
    if rng.random() < 0.3:
        plane = _add_shadow(plane, canvas.ink, view, rng)
    return light(put_ink(plane, canvas.ink, ink, rng), rng), text


def show_cell(run: GlyphRun, view: CameraView, rng: Rng) -> tuple[Plane, str]:
    """Draws a text in a cell of a grid, with rules at some of the edges."""
    canvas, rules = view.canvas(), view.canvas()
    text = put_glyphs(canvas, run.glyphs)
    x0, y0, x1, y1 = run.extent
    middle, half = (x0 + x1) / 2, max(x1 - x0, 0.9) / 2 + rng.uniform(0.08, 0.5)
    top = min(y0, -1) - rng.uniform(0.06, 0.4)
    bottom = max(y1, 0) + rng.uniform(0.06, 0.4)
    upright = [((x, -50.0), (x, 50.0)) for x in (middle - half, middle + half)]
    level = [((-50.0, y), (50.0, y)) for y in (top, bottom)]
    for start, end in upright + level:
        thin = max(1, round(view.digit * rng.uniform(0.02, 0.11)))
        if rng.random() < 0.75:
            rules.line(start, end, thin)
    ground, paper, ink = draw_ground(view, rng)
    second = ink if rng.random() < 0.5 else as_colour(paper + rng.uniform(0.3, 1) * (ink - paper))
    plane = put_ink(ground, rules.ink, second, rng)
    return light(put_ink(plane, canvas.ink, ink, rng), rng), text


def show_comb(run: GlyphRun, view: CameraView, pitch: float, rng: Rng) -> tuple[Plane, str]:
    """Draws characters in the boxes of a form, or on a comb with ticks between them."""
    canvas, rules = view.canvas(), view.canvas()
    text = put_glyphs(canvas, run.glyphs)
    count = len(run.glyphs)
    top, bottom = -1 - rng.uniform(0.1, 0.35), rng.uniform(0.1, 0.3)
    thin = max(1, round(view.digit * rng.uniform(0.015, 0.06)))
    inset = pitch * rng.uniform(0.03, 0.1)
    kind = rng.random()
    for index in range(count + 1):
        x = index * pitch
        if kind < 0.4:
            rules.line((x, top), (x, bottom), thin)
        elif kind < 0.7:
            rules.line((x, bottom - rng.uniform(0.2, 0.25)), (x, bottom), thin)
        elif index < count:
            _draw_outline(rules, rectangle(x + inset, top, x + pitch - inset, bottom), thin)
    if kind < 0.7:
        rules.line((0, bottom), (count * pitch, bottom), thin)
    if kind < 0.4:
        rules.line((0, top), (count * pitch, top), thin)
    ground, paper, ink = draw_ground(view, rng)
    second = as_colour(paper + rng.uniform(0.25, 1) * (ink - paper))
    if rng.random() < 0.3:
        second = as_colour(rng.uniform(0, 255, 3))
    plane = put_ink(ground, rules.ink, second, rng)
    return light(put_ink(plane, canvas.ink, ink, rng), rng), text


def draw_wheel(value: int, roll: float, turn: float, style: Style, rng: Rng) -> Wheel:
    """A wheel with ``value`` at ``roll`` digit heights from the middle, and the adjacent digits."""
    glyphs: list[PlacedGlyph] = []
    for step in (0, 1, -1):
        run = lay_out(str((value + step) % 10), style, rng)
        middle = (run.extent[0] + run.extent[2]) / 2
        glyphs += _shift_glyphs(run.glyphs, -middle, roll + step * turn)
    return Wheel(value, glyphs, roll)


def _shift_glyphs(glyphs: Iterable[PlacedGlyph], x: float, y: float) -> list[PlacedGlyph]:
    offset = np.array([[0, 0, x], [0, 0, y]])
    return [glyph._replace(matrix=glyph.matrix + offset) for glyph in glyphs]


def _draw_outline(canvas: Canvas, corners: Points, thin: int) -> None:
    ends = [(float(x), float(y)) for x, y in corners]
    for a, b in zip(ends, [*ends[1:], ends[0]], strict=True):
        canvas.line(a, b, thin)


def _polygon_mask(corners: Points, view: CameraView) -> Ink:
    mask = view.mask()
    view.fill(mask, corners, bits=4)
    return mask


def _sign_colours(rng: Rng) -> tuple[Colour, Colour]:
    kind = rng.random()
    white = as_colour(rng.uniform(200, 255) + rng.normal(0, 5, 3))
    dark = as_colour(rng.uniform(0, 50) + rng.normal(0, 5, 3))
    if kind < 0.3:
        return white, dark
    if kind < 0.55:  # enamel: white on blue, green or red
        strong = np.array([[20, 50, 140], [15, 90, 50], [170, 25, 30], [30, 30, 35]])
        return as_colour(strong[int(rng.integers(4))] + rng.normal(0, 15, 3)), white
    if kind < 0.65:  # yellow plates
        return as_colour(np.array([245, 200, 40]) + rng.normal(0, 10, 3)), dark
    return readable_colours(rng)


def _cylinder_shade(counter: Counter, view: CameraView, rng: Rng) -> Plane:
    """The shading of a cylinder, darker at the top and bottom; float32[h, w, 1]."""
    middle = (counter.extent[2] / 2, -0.5, 1)
    axis_y = float(view.matrix[1] @ middle) / float(view.matrix[2] @ middle)
    half = np.float32(view.digit * counter.window[1] / 2)
    y = (np.arange(view.height, dtype=np.float32) - axis_y) / half
    shade = 1 - rng.uniform(0, 0.6) * np.clip(np.abs(y), 0, 1.2) ** 2
    return np.broadcast_to(shade[:, None, None], (view.height, view.width, 1)).astype(np.float32)


def _add_rim(plane: Plane, windows: Ink, view: CameraView, rng: Rng) -> Plane:
    """Adds a dark or bright rim along the edges of the windows."""
    if rng.random() < 0.35:
        return plane
    size = max(1, round(view.digit * rng.uniform(0.03, 0.1)))
    kernel = np.ones((2 * size + 1, 2 * size + 1), np.uint8)
    edge = cv2.subtract(cv2.dilate(windows, kernel), windows)
    colour = as_colour(np.full(3, rng.uniform(0, 255)))
    return blend_ink(plane, colour, np.asarray(edge, np.uint8))


def _add_shadow(plane: Plane, ink: Ink, view: CameraView, rng: Rng) -> Plane:
    shift = view.digit * rng.uniform(-0.09, 0.09, 2)
    shadow = cast_shadow(ink, shift, 0.03 * view.digit)
    cover = shadow[:, :, None] * (rng.uniform(0.2, 0.6) / 255)
    return np.asarray(plane * (1 - cover), np.float32)
