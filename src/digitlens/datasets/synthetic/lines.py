"""Draws labelled lines of text from a seed, for training the line recogniser."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from digitlens.datasets.synthetic import camera, displays, objects, papers, texts
from digitlens.datasets.synthetic.canvas import Canvas, GlyphRun, Style, lay_out
from digitlens.datasets.synthetic.displays import DOTS, FOURTEEN, draw_screen_text
from digitlens.datasets.synthetic.drawing import Extent, Pixels, Plane, Rng, blend, blur, crop, fill
from digitlens.datasets.synthetic.objects import Looks, put_on_paper, readable_colours
from digitlens.datasets.synthetic.styles import Maker, Styles


class Line(NamedTuple):
    """A labelled line crop."""

    pixels: Pixels  # uint8[48, W, 3], RGB; W is a multiple of 8 from 32 to 512
    text: str  # the label; empty if there is no text
    kind: str  # a key of ``KINDS``


class Drawing(NamedTuple):
    """A line before the camera: float32[h, w, 3], its label, a digit's height in pixels."""

    plane: Plane
    text: str
    digit: float


class LineMaker(Maker):
    """Draws lines; the same seed, number and kind produce the same line."""

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """Draws one line of the given kind or a random one; ValueError unless in ``KINDS``."""
        kind, rng = self._pick_kind(number, kind, KINDS, zlib.crc32((kind or "").encode()))
        drawing = _KINDS[kind][1](self._styles, rng)
        pixels = camera.finish(camera.photograph(drawing.plane, drawing.digit, rng), rng)
        return Line(pixels, drawing.text, kind)


def draw_nothing(rng: Rng, photos: Sequence[Pixels] = ()) -> Drawing:
    """Draws a crop without text; half of them are cut from photographs, if there are any."""
    height = camera.HEIGHT if rng.random() < 0.7 else int(rng.integers(12, camera.HEIGHT))
    width_steps = min(40.0, 4.0 + rng.exponential(11))
    width = max(1, round(camera.STEP * width_steps * height / camera.HEIGHT))
    if photos and rng.random() < _PHOTO_FRACTION:
        return Drawing(papers.cut_photo(photos, width, height, rng), "", height * 0.7)
    draw = _BACKGROUNDS[int(rng.choice(len(_BACKGROUNDS), p=_BACKGROUND_SHARES))]
    return Drawing(camera.light(draw(width, height, rng), rng), "", height * 0.7)


def _surface(width: int, height: int, rng: Rng) -> Plane:
    paper, _ = papers.draw_colours(rng)
    return papers.draw_paper(width, height, paper, rng, patterned=rng.random() < 0.3)


def _scene(width: int, height: int, rng: Rng) -> Plane:
    return papers.draw_paper(width, height, np.zeros(3, np.float32), rng, wild=True)


def _edges(width: int, height: int, rng: Rng) -> Plane:
    """Two or three surfaces that meet in straight edges, or a gradient."""
    plane = _surface(width, height, rng)
    if rng.random() < 0.3:
        ramp = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
        other = papers.draw_colours(rng)[1]
        return np.asarray(plane + ramp * (other - plane.mean((0, 1))), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        mask = np.zeros((height, width), np.float32)
        middle = rng.uniform(0, 1, 2) * (width, height)
        angle = float(rng.choice([0, np.pi / 2, np.pi])) + rng.normal(0, 0.15)
        along = np.array([np.cos(angle), np.sin(angle)]) * 999
        across = np.array([-along[1], along[0]])
        corners = np.array([middle - along, middle + along, middle + along + across])
        corners = np.vstack([corners, middle - along + across])
        fill(mask, corners, 1.0)
        plane = blend(plane, _surface(width, height, rng), mask)
    return plane


def _rules(width: int, height: int, rng: Rng) -> Plane:
    """Underlines, ruled or squared paper, corners of boxes."""
    paper, ink = papers.draw_colours(rng)
    canvas = Canvas(width, height, np.eye(3))
    thin = int(rng.choice([1, 1, 2, 3]))
    kind = rng.random()
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if kind < 0.75:
            canvas.line((-9, y), (width + 9.0, y + rng.normal(0, 1.5)), thin)
        if kind > 0.35:
            canvas.line((x, -9), (x + rng.normal(0, 1.5), height + 9.0), thin)
    if kind > 0.75:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        canvas.line((x, y), (x + 999 * (-1) ** int(rng.integers(2)), y), thin)
        canvas.line((x, y), (x, y + 999 * (-1) ** int(rng.integers(2))), thin)
    return papers.put_ink(papers.draw_paper(width, height, paper, rng), canvas.ink, ink, rng)


def _scribbles(width: int, height: int, rng: Rng) -> Plane:
    """Scribbles larger than the crop, so that none resembles a character."""
    paper, ink = papers.draw_colours(rng)
    canvas = Canvas(max(width, 150), 150, np.eye(3))
    papers.draw_scribbles(canvas, rng)
    y = int(rng.integers(0, 150 - height + 1))
    drawn = canvas.ink[y : y + height, :width]
    return papers.put_ink(papers.draw_paper(width, height, paper, rng), drawn, ink, rng)


def _specks(width: int, height: int, rng: Rng) -> Plane:
    """Blots and dirt, solid and broader than a stroke, so that none resembles a character."""
    paper, colour = papers.draw_colours(rng)
    ink = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.15, 0.45) * height
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = size * rng.uniform(0.7, 1.3, 9)
        directions = np.stack([np.cos(angles) * rng.uniform(0.8, 2.0), np.sin(angles)], axis=1)
        middle = rng.uniform(0.1, 0.9, 2) * (width, height)
        fill(ink, papers.smooth(middle + directions * radii[:, None]), 255)
    plane = papers.draw_paper(width, height, paper, rng)
    soft = np.asarray(blur(ink, rng.uniform(0.3, 4.0)), np.uint8)
    return papers.put_ink(plane, soft, colour, rng, rng.uniform(0.3, 1.0))


_BACKGROUNDS = (_surface, _scene, _edges, _rules, _scribbles, _specks)
_BACKGROUND_SHARES = (0.17, 0.27, 0.13, 0.17, 0.13, 0.13)
_PHOTO_FRACTION = 0.5  # fraction of photographs


_Draw = Callable[[Styles, Rng], Drawing]
_SINGLE = camera.Framing(tilt=0.3, tight=0.62, side=0.22, smallest=7.0)
_HAND = camera.Framing(tilt=0.45, small=0.22, smallest=8.0, cut=0.05)
_PRINTED = camera.Framing(tilt=0.3, small=0.45, smallest=7.0, cut=0.06)
_DISPLAY = camera.Framing(tilt=0.4, small=0.25, smallest=9.0)
_COUNTER = camera.Framing(tilt=0.4, small=0.25, tight=0.8, side=0.12, smallest=9.0)
_SIGN = camera.Framing(tilt=0.5, small=0.35, smallest=8.0)
_CELL = camera.Framing(tilt=0.3, small=0.35, tight=0.5, side=0.3, smallest=7.0)


def _text_kind(
    share: float,
    grammar: texts.Grammar,
    style: Callable[[Styles, Rng], Style],
    framing: camera.Framing,
    ground: Looks | Callable[[GlyphRun, camera.CameraView, Rng], tuple[Plane, str]],
    *,
    style_first: bool = False,
) -> tuple[float, _Draw]:
    """A kind of line with text in a style, on paper (``Looks``) or on another ground."""
    show = partial(put_on_paper, looks=ground) if isinstance(ground, Looks) else ground

    def draw(styles: Styles, rng: Rng) -> Drawing:
        # The order of the two draws determines the lines of a seed.
        first_style = style(styles, rng) if style_first else None
        text = grammar(rng)
        run = lay_out(text, first_style or style(styles, rng), rng)
        return _draw_in_view(run.extent, framing, rng, lambda view: show(run, view, rng))

    return share, draw


def _draw_in_view(
    extent: Extent,
    framing: camera.Framing,
    rng: Rng,
    show: Callable[[camera.CameraView], tuple[Plane, str]],
) -> Drawing:
    view = camera.choose_view(extent, rng, framing)
    return Drawing(*show(view), view.digit)


def _mix(share: float, first: texts.Grammar, second: texts.Grammar) -> texts.Grammar:
    return lambda rng: first(rng) if rng.random() < share else second(rng)


def _by_hand_or_printed(share: float) -> Callable[[Styles, Rng], Style]:
    return lambda styles, rng: styles.by_hand(rng) if rng.random() < share else styles.printed(rng)


def _amount_style(styles: Styles, rng: Rng) -> Style:
    style = styles.quick(rng) if rng.random() < 0.4 else styles.by_hand(rng)
    return replace(style, gap=rng.uniform(-0.22, 0.0)) if rng.random() < 0.4 else style


def _tile(styles: Styles, rng: Rng) -> Drawing:
    """A digit of MNIST: its whole tile, a part of it, or cropped close to the ink."""
    tile, value = styles.tile(rng)
    if rng.random() < 0.5:
        cut, pad = int(rng.integers(0, 4)), int(rng.integers(0, 4)) * int(rng.random() < 0.3)
        ink = np.pad(tile[cut : 28 - cut, cut : 28 - cut], pad)
    else:
        ink = np.pad(crop(tile, 0), rng.integers(0, 6, (2, 2)))
    if rng.random() < 0.4:
        paper, colour = np.zeros(3, np.float32), np.full(3, 255, np.float32)
    else:
        paper, colour = readable_colours(rng)
    if rng.random() < 0.2:
        paper, colour = colour, paper
    return Drawing(blend(paper, colour, ink.astype(np.float32) / np.float32(255)), str(value), 20.0)


def _only_words(styles: Styles, rng: Rng) -> Drawing:
    by_hand = rng.random() < 0.35
    style = styles.by_hand(rng, letters=True) if by_hand else styles.printed(rng)
    run = lay_out(texts.only_words(rng), style, rng)
    show = partial(put_on_paper, run, rng=rng, looks=Looks())
    return _draw_in_view(run.extent, _HAND if by_hand else _PRINTED, rng, show)


def _screen(styles: Styles, rng: Rng) -> Drawing:
    text = texts.print_number(rng) if rng.random() < 0.6 else texts.print_words(rng)
    return Drawing(*draw_screen_text(text, styles.print_font(rng), rng))


def _seven_segments(_: Styles, rng: Rng) -> Drawing:
    panel = displays.seven_segments(texts.display(rng), displays.draw_segments(rng), rng)
    return _panel(panel, rng)


def _fourteen_segments(_: Styles, rng: Rng) -> Drawing:
    text = texts.digits(rng, 4) if rng.random() < 0.4 else texts.serial(rng).upper()
    text = _keep(text if rng.random() < 0.7 else texts.word(rng).upper(), FOURTEEN)
    return _panel(displays.fourteen_segments(text[:10], displays.draw_segments(rng)), rng)


def _dot_matrix(_: Styles, rng: Rng) -> Drawing:
    kind = rng.random()
    if kind < 0.35:
        return _panel(displays.dot_matrix(_keep(texts.expiry(rng), DOTS), rng), rng, printed=True)
    text = texts.display(rng).strip() if kind < 0.7 else texts.print_number(rng)
    text = _keep(text if kind < 0.9 else texts.labelled(rng).upper(), DOTS)
    return _panel(displays.dot_matrix(text[:20], rng), rng)


def _keep(text: str, known: Mapping[str, object]) -> str:
    kept = "".join(char for char in text if char == " " or char in known).strip()
    return kept or "8"


def _panel(panel: displays.Panel, rng: Rng, *, printed: bool = False) -> Drawing:
    show = partial(displays.show, panel, rng=rng, printed=printed)
    return _draw_in_view(panel.extent, _DISPLAY, rng, lambda view: (show(view), panel.text))


def _counter(styles: Styles, rng: Rng) -> Drawing:
    counter = objects.draw_counter(styles.print_font(rng), rng)
    show = partial(objects.show_counter, counter, rng=rng)
    return _draw_in_view(counter.extent, _COUNTER, rng, lambda view: (show(view), counter.text))


def _comb(styles: Styles, rng: Rng) -> Drawing:
    style = _by_hand_or_printed(0.75)(styles, rng)
    pitch = rng.uniform(0.85, 1.5)
    run = lay_out(texts.comb(rng), style, rng, pitch=pitch)
    show = partial(objects.show_comb, run, pitch=pitch, rng=rng)
    return _draw_in_view(run.extent, _HAND, rng, show)


_AMOUNT = Looks(checks=True, rules=0.4, boxed=0.1, scanned=0.55)
_STAMP = Looks(stamped=1.0, boxed=0.15, rules=0.3)
_RELIEF = Looks(relief=1.0, rules=0.0)
_ALONE = Looks(neighbours=0.08, boxed=0.12)
_STAMP_TEXT = _mix(0.6, texts.date, texts.grouped)
_RELIEF_TEXT = _mix(0.4, texts.plate, texts.print_number)
_CELL_TEXT = _mix(0.85, texts.digit, lambda rng: texts.digits(rng, 2))
_CELL_STYLE = _by_hand_or_printed(0.35)
_LETTERED = partial(Styles.by_hand, letters=True)

# Fraction of all lines, and the generator, of each kind. The names are part of the seed.
_KINDS: dict[str, tuple[float, _Draw]] = {
    "hand digit": _text_kind(0.065, texts.digit, Styles.by_hand, _SINGLE, Looks(neighbours=0.08)),
    "tile": (0.06, _tile),
    "hand number": _text_kind(0.13, texts.hand_number, Styles.by_hand, _HAND, Looks(scanned=0.25)),
    "amount": _text_kind(0.13, texts.amount, _amount_style, _HAND, _AMOUNT, style_first=True),
    "hand words": _text_kind(0.025, texts.hand_words, _LETTERED, _HAND, Looks(), style_first=True),
    "letter": _text_kind(0.03, texts.lone_letters, Styles.lettered, _SINGLE, Looks(scanned=0.15)),
    "print digit": _text_kind(0.03, texts.digit, Styles.printed, _SINGLE, _ALONE),
    "print number": _text_kind(0.1, texts.print_number, Styles.printed, _PRINTED, Looks()),
    "print words": _text_kind(0.07, texts.print_words, Styles.printed, _PRINTED, Looks()),
    "words": (0.02, _only_words),
    "screen": (0.13, _screen),
    "seven segments": (0.04, _seven_segments),
    "fourteen segments": (0.01, _fourteen_segments),
    "dot matrix": (0.015, _dot_matrix),
    "counter": (0.025, _counter),
    "sign": _text_kind(0.015, texts.plate, Styles.printed, _SIGN, objects.show_sign),
    "relief": _text_kind(0.005, _RELIEF_TEXT, Styles.printed, _SIGN, _RELIEF),
    "stamp": _text_kind(0.01, _STAMP_TEXT, Styles.printed, _PRINTED, _STAMP),
    "cell": _text_kind(0.015, _CELL_TEXT, _CELL_STYLE, _CELL, objects.show_cell, style_first=True),
    "comb": (0.01, _comb),
    "nothing": (0.065, lambda styles, rng: draw_nothing(rng, styles.fonts.photos)),
}
KINDS = {name: share for name, (share, _) in _KINDS.items()}
TYPESET = frozenset({"print digit", "print number", "print words", "words", "screen"})
