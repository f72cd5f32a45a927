"""Text on displays: seven and fourteen segments, dot matrix, and screens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.synthetic.camera import HEIGHT, STEP, WIDEST, CameraView, light
from digitlens.datasets.synthetic.canvas import as_label, cased
from digitlens.datasets.synthetic.drawing import (
    Colour,
    Extent,
    Ink,
    Plane,
    Points,
    Rng,
    blend_tint,
    blur,
    cast_shadow,
    extent_of,
    fill,
    load_table,
    log_uniform,
    pick,
    rectangle,
    unit_circle,
)
from digitlens.datasets.synthetic.glyph_sources import CHARACTERS, ON_DEMAND, FontGlyphs
from digitlens.datasets.synthetic.objects import draw_ground, readable_colours
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.texts import GAP, RAISE

# Display → character → lit segments or dots.
_LIT: dict[str, dict[str, str]] = {}
for _row in load_table(Path(__file__).with_suffix(".csv")):
    _LIT.setdefault(_row["display"], {})[_row["char"]] = _row["lit"]
# Segments: a is the top bar, b to f follow clockwise, g is the middle bar.
SEVEN = _LIT["seven"]
# Segments: a to f as above; G and g are the left and right half of the middle bar; h, i, j lead
# from the top left, top and top right to the middle; k, l, m to the bottom left, bottom and right.
FOURTEEN = _LIT["fourteen"]
# The five columns of a character, from the left, as bytes; the lowest bit is the top row.
DOTS = {char: bytes.fromhex(lit) for char, lit in _LIT["dots"].items()}


class Segment(NamedTuple):
    """One segment or dot: outline float64[n, 2] in digit heights, baseline at 0; lit or not."""

    outline: Points
    lit: bool


class Panel(NamedTuple):
    """The content of a display."""

    segments: tuple[Segment, ...]  # all segments or dots, also unlit ones
    extent: Extent  # of what is lit, at least a digit's height
    text: str  # the readable text


class Segments(NamedTuple):
    """Geometry of the segments of a display."""

    width: float  # of a digit between the outer edges, in digit heights
    thick: float  # of a segment, in digit heights
    gap: float  # between segments, in digit heights
    ends: str  # ``pointed``, ``mitred``, ``round`` or ``square``
    slant: float  # shift to the right per height
    pitch: float  # from one digit to the next, in digit heights
    # Whether the 6 and the 9 have a tail and the 7 a hook; displays differ.
    tails: tuple[bool, bool, bool]


def draw_segments(rng: Rng) -> Segments:
    """Random geometry of the segments of a display."""
    width = rng.uniform(0.45, 0.66)
    thick = rng.uniform(0.075, 0.2)
    return Segments(
        width=width,
        thick=min(thick, 0.36 * width),
        gap=pick(rng, [0.0, 0.01, 0.02, 0.035]) * rng.uniform(0.7, 1.3),
        ends=str(rng.choice(["pointed", "mitred", "round", "square"], p=[0.4, 0.38, 0.12, 0.1])),
        slant=0.0 if rng.random() < 0.4 else rng.uniform(0.03, 0.21),
        pitch=width + pick(rng, [0.12, 0.2, 0.3, 0.45]) * rng.uniform(0.8, 1.2),
        tails=(rng.random() < 0.85, rng.random() < 0.85, rng.random() < 0.15),
    )


def seven_segments(text: str, style: Segments, rng: Rng) -> Panel:
    """Lays out a text on a seven-segment display; points and colons are between the digits."""
    segments, x = list[Segment](), 0.0
    is_tight = rng.random() < 0.5
    dot = style.thick * rng.uniform(0.9, 1.3)
    round_dots = rng.random() < 0.6
    for index, char in enumerate(text):
        if char in ".,:":
            spacing = style.pitch - style.width
            centre = x - spacing / 2 if is_tight and index else x + dot * 0.8
            for y in (-dot / 2,) if char != ":" else (-0.3, -0.7):
                segments.append(Segment(_dot(centre, y, dot, round_dots), lit=True))
            x += 0.0 if is_tight and index and char != ":" else dot * 1.2 + 0.1
            continue
        lit = _lit_segments(char, style.tails)
        for name, outline in _segment_outlines(style).items():
            segments.append(Segment(outline + np.array([x, 0.0]), name in lit))
        x += style.pitch
    return _panel(text, segments, style.slant)


def fourteen_segments(text: str, style: Segments) -> Panel:
    """Lays out letters and digits on a fourteen-segment display."""
    style = style._replace(thick=min(style.thick, 0.13))
    segments, x = list[Segment](), 0.0
    outlines = _fourteen_outlines(style)
    for char in text:
        lit = FOURTEEN.get(char, "")
        for name, outline in outlines.items():
            segments.append(Segment(outline + np.array([x, 0.0]), name in lit))
        if char in ".,":
            point = _dot(x + style.width / 2, -style.thick / 2, style.thick, True)
            segments.append(Segment(point, lit=True))
        x += style.pitch
    return _panel(text, segments, style.slant)


def dot_matrix(text: str, rng: Rng) -> Panel:
    """Lays out a text on a dot matrix of five by seven dots per character."""
    segments, x = list[Segment](), 0.0
    step = 1 / 7
    column_step = step * rng.uniform(0.8, 1.1)
    size = step * rng.uniform(0.55, 1.05)
    round_dots, show_unlit = rng.random() < 0.7, rng.random() < 0.3
    # Next to letters a plain zero would look like an O.
    slashed = rng.random() < 0.3 or any(char.isalpha() for char in text)
    slant = 0.0 if rng.random() < 0.8 else rng.uniform(0.05, 0.2)
    for char in text:
        columns = DOTS["0/" if char == "0" and slashed else char] if char in DOTS else DOTS[" "]
        narrow = char in ".,:'" and rng.random() < 0.7
        for column, bits in enumerate(columns):
            for row in range(7):
                lit = bool(bits >> row & 1)
                if lit or show_unlit:
                    centre = x + (column + 0.5) * column_step, (row + 0.5) * step - 1
                    segments.append(Segment(_dot(*centre, size, round_dots), lit))
        x += column_step * (4 if narrow else 6)
    return _panel(text, segments, slant)


def _panel(text: str, segments: Sequence[Segment], slant: float) -> Panel:
    lean = np.array([slant, 0.0])
    slanted = tuple(Segment(outline - outline[:, 1:] * lean, lit) for outline, lit in segments)
    extent, lit = (0.0, -1.0, 0.6, 0.0), [segment.outline for segment in slanted if segment.lit]
    if lit:
        x0, y0, x1, y1 = extent_of(np.concatenate(lit))
        extent = x0, min(-1.0, y0), x1, max(0.0, y1)
    return Panel(slanted, extent, " ".join(text.split()))


def show(panel: Panel, view: CameraView, rng: Rng, *, printed: bool = False) -> Plane:
    """Draws a photographed display, or one printed in ink, such as a date in dots on a package.

    Returns float32[h, w, 3].
    """
    lit, unlit = coverage(panel.segments, view)
    kind = rng.random()
    if printed or kind < 0.12:
        plane = _printed(lit, view, rng)
    elif kind < 0.5:
        plane = _liquid_crystal(lit, unlit, view, rng)
    else:
        plane = _diodes(lit, unlit, view, rng)
    if rng.random() < 0.12:
        plane = _bezel(plane, panel.extent, view, rng)
    if rng.random() < 0.14:
        plane = _reflection(plane, rng)
    return light(plane, rng)


def coverage(segments: Sequence[Segment], view: CameraView) -> tuple[Ink, Ink]:
    """Coverage of each pixel by lit segments and by unlit ones; uint8[h, w] each."""
    factor = 1 if view.digit > 40 else 2 if view.digit > 18 else 4
    fine, size = view.finer(factor), (view.width, view.height)
    lit, unlit = fine.mask(), fine.mask()
    for segment in segments:
        fine.fill(lit if segment.lit else unlit, segment.outline, bits=6)
    if factor > 1:
        lit, unlit = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (lit, unlit))
    return np.asarray(lit, np.uint8), np.asarray(unlit, np.uint8)


def _lit_segments(char: str, tails: tuple[bool, bool, bool]) -> str:
    lit = SEVEN.get(char, "")
    if char == "6" and not tails[0]:
        return lit.replace("a", "")
    if char == "9" and not tails[1]:
        return lit.replace("d", "")
    return lit + "f" if char == "7" and tails[2] else lit


def _segment_outlines(style: Segments) -> dict[str, Points]:
    """The seven segments of a digit, with the bottom left corner of the digit at the origin."""
    t, w = style.thick, style.width
    left, right, top, middle, bottom = t / 2, w - t / 2, -1 + t / 2, -0.5, -t / 2
    # Both ends, and the direction to the inside of the digit; None for the middle bar.
    parts = {
        "a": ((left, top), (right, top), (0.0, 1.0)),
        "b": ((right, top), (right, middle), (-1.0, 0.0)),
        "c": ((right, middle), (right, bottom), (-1.0, 0.0)),
        "d": ((left, bottom), (right, bottom), (0.0, -1.0)),
        "e": ((left, middle), (left, bottom), (1.0, 0.0)),
        "f": ((left, top), (left, middle), (1.0, 0.0)),
        "g": ((left, middle), (right, middle), None),
    }
    mitred = style.ends == "mitred"
    return {
        name: _bar(np.array(p), np.array(q), style, np.array(inward) if inward and mitred else None)
        for name, (p, q, inward) in parts.items()
    }


def _bar(p: Points, q: Points, style: Segments, inward: Points | None) -> Points:
    """The outline of a segment between two points of the digit's skeleton."""
    along = (q - p) / np.hypot(*(q - p))
    across = np.array([-along[1], along[0]])
    half, gap = style.thick / 2, style.gap
    if inward is not None:  # a trapezium: long outer edge, short inner edge
        outward = -inward
        upright = abs(along[1]) > 0.5
        first = half - gap if not upright or _is_outer(p) else -gap
        last = half - gap if not upright or _is_outer(q) else -gap
        a, b = p + outward * half - along * first, q + outward * half + along * last
        inner = along * (half + gap)
        return np.array([a, b, q - outward * half - inner, p - outward * half + inner])
    side, inner = across * half, along * (half + gap)
    if style.ends == "round":
        turn = np.linspace(-np.pi / 2, np.pi / 2, 7)
        cap = (np.outer(np.cos(turn), along) + np.outer(np.sin(turn), across)) * half
        return np.concatenate([q - inner + cap, p + inner - cap])
    if style.ends == "square":
        start, end = p + inner, q - inner
        return np.array([start + side, end + side, end - side, start - side])
    a, b = p + along * gap, q - along * gap
    s, e = a + along * half, b - along * half
    return np.array([a, s + side, e + side, b, e - side, s - side])


def _is_outer(corner: Points) -> bool:
    return abs(float(corner[1]) + 0.5) > 0.2


def _fourteen_outlines(style: Segments) -> dict[str, Points]:
    seven = _segment_outlines(style)
    t, w = style.thick, style.width
    left, right, top, bottom = t / 2, w - t / 2, -1 + t / 2, -t / 2
    centre = np.array([w / 2, -0.5])
    thin = style._replace(thick=t * 0.8, ends="square" if style.ends == "mitred" else style.ends)

    def inner(x: float, y: float) -> Points:
        """The end of a diagonal, on the way from the centre to a corner."""
        return centre + (np.array([x, y]) - centre) * (0.62 + 0.2)

    ends = {
        "G": (np.array([left, -0.5]), centre),
        "g": (centre, np.array([right, -0.5])),
        "i": (np.array([w / 2, top + t / 2]), centre),
        "l": (centre, np.array([w / 2, bottom - t / 2])),
        "h": (inner(left, top), centre),
        "j": (inner(right, top), centre),
        "k": (centre, inner(left, bottom)),
        "m": (centre, inner(right, bottom)),
    }
    bars = {name: _bar(p, q, thin, None) for name, (p, q) in ends.items()}
    return {name: seven[name] for name in "abcdef"} | bars


def _dot(x: float, y: float, size: float, round_dot: bool) -> Points:
    if not round_dot:
        half = size / 2
        return rectangle(x - half, y - half, x + half, y + half)
    return np.array([x, y]) + size / 2 * unit_circle(np.linspace(0, 2 * np.pi, 9)[:-1])


def _flat_plane(colour: object, view: CameraView) -> Plane:
    return np.broadcast_to(np.asarray(colour), (view.height, view.width, 3)).astype(np.float32)


def _printed(lit: Ink, view: CameraView, rng: Rng) -> Plane:
    """One colour on another, as in print or on a screen."""
    plane, paper, ink = draw_ground(view, rng)
    return blend_tint(plane if rng.random() < 0.6 else _flat_plane(paper, view), ink, lit)


def _liquid_crystal(lit: Ink, unlit: Ink, view: CameraView, rng: Rng) -> Plane:
    """Liquid crystal: dark on a gray or green ground, often with a shadow, or bright on dark."""
    kind = rng.random()
    base = rng.uniform(95, 225) if rng.random() < 0.8 else rng.uniform(45, 95)
    tint = np.array([0.0, 0.0, 0.0])
    if kind < 0.45:
        tint = np.array([rng.uniform(-25, 0), rng.uniform(0, 12), rng.uniform(-45, -5)])
    elif kind < 0.6:
        tint = np.array([rng.uniform(-90, -20), rng.uniform(-20, 20), rng.uniform(0, 40)])
    ground = np.clip(base + tint + rng.normal(0, 5, 3), 0, 255).astype(np.float32)
    dark = (ground * rng.uniform(0.08, 0.55) + rng.normal(0, 5, 3)).astype(np.float32)
    if kind > 0.82:  # negative: bright digits
        ground, dark = (ground * rng.uniform(0.05, 0.3)).astype(np.float32), ground
        if rng.random() < 0.5:
            blue = np.array([0, 10, 90], np.float32) * np.float32(rng.uniform(0.3, 1.2))
            ground = (ground + blue).astype(np.float32)
    plane = _flat_plane(ground, view)
    if rng.random() < 0.3:
        plane = draw_paper(view.width, view.height, ground, rng)
    if rng.random() < 0.45:
        plane = blend_tint(plane, dark, unlit, rng.uniform(0.02, 0.13))
    if rng.random() < 0.45:
        shadow = cast_shadow(lit, view.digit * rng.uniform(-0.07, 0.07, 2), 0.02 * view.digit)
        plane = blend_tint(plane, dark, shadow, rng.uniform(0.08, 0.35))
    return blend_tint(plane, dark, lit, rng.uniform(0.6, 1) if rng.random() < 0.4 else 1.0)


_LIGHT_COLOURS = [
    *map(bytes.fromhex, ("ff1e14", "ff281e", "28ff3c", "3c82ff")),
    *map(bytes.fromhex, ("ffa01e", "f0f5ff", "3cffdc", "fff05a")),
]


def _unlit_colour(ground: Points, colour: Points, rng: Rng) -> Colour:
    """The colour of unlit segments: grey, a dim shade of the lit colour, or white plastic."""
    kind = rng.random()
    if kind < 0.4:
        unlit = ground + rng.uniform(8, 60)
    elif kind < 0.75:
        unlit = ground + colour * rng.uniform(0.12, 0.5)
    else:
        unlit = np.full(3, rng.uniform(110, 230)) + rng.normal(0, 6, 3)
    return np.asarray(unlit, np.float32)


def _diodes(lit: Ink, unlit: Ink, view: CameraView, rng: Rng) -> Plane:
    """Light-emitting diodes: bright on dark, often with a glow; some overexposed to white."""
    colour = np.array([*pick(rng, _LIGHT_COLOURS)]) * rng.uniform(0.8, 1.0, 3)
    ground = rng.uniform(0, 55) + rng.normal(0, 5, 3)
    if rng.random() < 0.3:
        ground = ground + colour * rng.uniform(0.03, 0.2)
    background = _flat_plane(np.clip(ground, 0, 255), view)
    if rng.random() < 0.5:
        unlit_colour = _unlit_colour(ground, colour, rng)
        background = blend_tint(background, unlit_colour, unlit, rng.uniform(0.15, 1.0))
    gain = rng.uniform(0.55, 1.0) if rng.random() < 0.7 else rng.uniform(1.0, 2.2)
    bright = (colour * gain + max(0.0, gain - 1) * 160).astype(np.float32)
    plane = blend_tint(background, np.minimum(bright, 400).astype(np.float32), lit)
    if rng.random() < 0.6:
        glow = blur(lit, max(0.4, rng.uniform(0.04, 0.3) * view.digit))
        strength = rng.uniform(0.1, 0.65) / 255
        shine = (glow * strength)[:, :, None] * colour.astype(np.float32)
        plane = np.asarray(plane + shine, np.float32)
    return plane


def _bezel(plane: Plane, extent: Extent, view: CameraView, rng: Rng) -> Plane:
    """Adds a frame around the display, visible at the edges of the crop."""
    x0, y0, x1, y1 = np.array(extent) + rng.uniform(0.08, 0.5, 4) * (-1, -1, 1, 1)
    mask = view.mask()
    view.fill(mask, rectangle(x0, y0, x1, y1), bits=6)
    frame = rng.uniform(0, 230) + rng.normal(0, 12, 3)
    return blend_tint(plane, frame.astype(np.float32), np.asarray(255 - mask, np.uint8))


def _reflection(plane: Plane, rng: Rng) -> Plane:
    """Adds a bright band on the glass."""
    height, width = plane.shape[:2]
    mask = np.zeros((height, width), np.float32)
    x, lean = rng.uniform(-0.1, 1.0) * width, rng.normal(0, 1.0) * height
    band = rng.uniform(0.1, 1.2) * height
    points = np.array([[x, 0], [x + band, 0], [x + band + lean, height], [x + lean, height]])
    fill(mask, points, 1.0)
    soft = blur(mask, rng.uniform(0.5, 6))
    return np.asarray(plane + (soft * rng.uniform(8, 60))[:, :, None], np.float32)


_SMALLEST, _LARGEST = 10, 40  # font size, in pixels


def draw_screen_text(text: str, source: FontGlyphs, rng: Rng) -> tuple[Plane, str, float]:
    """Draws a text at its final size on flat colour.

    Returns float32[h, w, 3], the label, and the height of a digit in pixels.
    """
    size = round(log_uniform(rng, _SMALLEST, _LARGEST))
    font = source.font(size)
    text = _renderable(text, source)
    while font.getlength(text) > WIDEST / HEIGHT * 1.3 * size and len(text) > 1:
        text = text[:-1]  # too long for the widest crop
    lit = _set_text(text, font, rng)
    digit = max(5, font.getbbox("0")[3] - font.getbbox("0")[1])
    paper, ink = readable_colours(rng)
    if rng.random() < 0.5:  # most screens show black on white or white on black
        paper = np.full(3, 255 if rng.random() < 0.75 else 20, np.float32)
        ink = np.full(3, 15 if paper[0] > 99 else 240, np.float32)
    return np.asarray(paper + lit * (ink - paper), np.float32), as_label(text), float(digit)


def _renderable(text: str, source: FontGlyphs) -> str:
    """The characters of a text that the Latin font has, in capitals if it has no lower case."""
    rng = np.random.default_rng(0)  # fonts do not use it
    plain = cased(text.replace(RAISE, "").replace(GAP, "    "), source)
    known = set(CHARACTERS["latin"] + ON_DEMAND)
    return "".join(c for c in plain if c == " " or (c in known and source.glyph(c, rng))).strip()


def _set_text(text: str, font: ImageFont.FreeTypeFont, rng: Rng) -> Plane:
    """The text with margins; float32[h, w, 3], 0..1, gray or with colour fringes."""
    kind = rng.random()
    # Some programs set each letter at a whole pixel, some add a pixel after each letter.
    count = len(text) + 1
    steps = rng.choice([0, 1], count) if rng.random() < 0.5 else np.full(count, 1)
    spread = steps if rng.random() < 0.2 else None
    ink = _render(text, font, "1" if kind < 0.12 else "L", spread)
    margins = (rng.exponential(0.13 * ink.shape[0] + 0.5, 4) + 0.4).astype(int)
    above, below, left, right = margins.tolist()
    height = ink.shape[0] + above + below
    right += max(0, -(-4 * STEP * height // HEIGHT) - ink.shape[1] - left - right)
    plane = np.pad(ink, ((above, below), (left, right))).astype(np.float32) / np.float32(255)
    if kind < 0.8:
        return np.repeat(plane[:, :, None], 3, axis=2)
    # Subpixel rendering: red and blue see the text shifted by a third of a pixel.
    channels = [(np.roll(plane, shift, axis=1) + 2 * plane) / 3 for shift in (-1, 0, 1)]
    return np.stack(channels, axis=2).astype(np.float32)


def _render(
    text: str, font: ImageFont.FreeTypeFont, mode: str, spread: npt.NDArray[np.int_] | None
) -> Ink:
    """The ink of a text, cropped to its width and to the rows of the text and a zero; uint8[h, w].

    With ``spread``, int[n], each of up to n characters starts at a whole pixel and is followed by
    that many extra pixels.
    """
    pad = 4
    x0, y0, x1, y1 = (int(v) for v in font.getbbox(text + "0"))
    x1 += 2 * (len(text) + 1) if spread is not None else 0

    def draw_chars(chars: str) -> Ink:
        picture = Image.new(mode, (x1 - x0 + 2 * pad, y1 - y0 + 2 * pad))
        lit, x = 255 if mode == "L" else 1, pad - x0
        pen = ImageDraw.Draw(picture)
        if spread is None:
            pen.text((x, pad - y0), chars, lit, font=font)
        else:
            for char, extra in zip(chars, spread.tolist(), strict=False):
                pen.text((x, pad - y0), char, lit, font=font)
                x += round(font.getlength(char)) + extra
        return np.asarray(picture.convert("L"), np.uint8)

    rows = np.flatnonzero((draw_chars(text + "0") > 60).any(axis=1))
    ink = draw_chars(text)
    columns = np.flatnonzero((ink > 60).any(axis=0))
    if not len(rows) or not len(columns):
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
