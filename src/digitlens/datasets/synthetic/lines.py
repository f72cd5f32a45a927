"""Draws labelled lines of text from a seed, to train the line recogniser with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from digitlens.datasets.synthetic import displays, objects, texts
from digitlens.datasets.synthetic.arrays import Pixels, Plane, Rng, fill
from digitlens.datasets.synthetic.camera import (
    HEIGHT,
    STEP,
    Framing,
    choose_view,
    finish,
    light,
    photograph,
)
from digitlens.datasets.synthetic.canvas import Canvas, Style, Written, lay_out
from digitlens.datasets.synthetic.displays import DOTS, FOURTEEN, draw_screen_text
from digitlens.datasets.synthetic.objects import Looks, put_on_paper, readable_colours
from digitlens.datasets.synthetic.papers import draw_colours, draw_paper, draw_scribbles, inked
from digitlens.datasets.synthetic.styles import Maker, Styles


def draw_nothing(rng: Rng) -> tuple[Plane, float]:
    """Draws a crop of something that is no text.

    Returns:
        float32[h, w, 3], and the height in pixels that a digit would have on it.
    """
    height = HEIGHT if rng.random() < 0.7 else int(rng.integers(12, HEIGHT))
    wide = min(40.0, 4.0 + float(rng.exponential(11)))
    width = max(1, round(STEP * wide * height / HEIGHT))
    draw = _DRAWINGS[int(rng.choice(len(_DRAWINGS), p=_SHARES))]
    return light(draw(width, height, rng), rng), height * 0.7


def _surface(width: int, height: int, rng: Rng) -> Plane:
    return draw_paper(width, height, draw_colours(rng)[0], rng, patterned=rng.random() < 0.3)


def _scene(width: int, height: int, rng: Rng) -> Plane:
    return draw_paper(width, height, np.zeros(3, np.float32), rng, wild=True)


def _edges(width: int, height: int, rng: Rng) -> Plane:
    """Two or three surfaces that meet in straight edges, or a gradient."""
    plane = _surface(width, height, rng)
    if rng.random() < 0.3:
        ramp = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
        return np.asarray(plane + ramp * (draw_colours(rng)[1] - plane.mean((0, 1))), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        mask = np.zeros((height, width), np.float32)
        middle = rng.uniform(0, 1, 2) * (width, height)
        angle = float(rng.choice([0, np.pi / 2, np.pi])) + float(rng.normal(0, 0.15))
        along = np.array([np.cos(angle), np.sin(angle)]) * 999
        across = np.array([-along[1], along[0]])
        corners = np.array([middle - along, middle + along, middle + along + across])
        corners = np.vstack([corners, middle - along + across])
        fill(mask, corners, 1.0)
        plane = np.asarray(
            plane + mask[:, :, None] * (_surface(width, height, rng) - plane), np.float32
        )
    return plane


def _rules(width: int, height: int, rng: Rng) -> Plane:
    """Underlines, ruled or squared paper, corners of boxes."""
    paper, ink = draw_colours(rng)
    canvas = Canvas(width, height, np.eye(3))
    thin = int(rng.choice([1, 1, 2, 3]))
    kind = rng.random()
    for _ in range(int(rng.integers(1, 4))):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        if kind < 0.75:
            canvas.line((-9, y), (width + 9.0, y + float(rng.normal(0, 1.5))), thin)
        if kind > 0.35:
            canvas.line((x, -9), (x + float(rng.normal(0, 1.5)), height + 9.0), thin)
    if kind > 0.75:
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        canvas.line((x, y), (x + 999 * (-1) ** int(rng.integers(2)), y), thin)
        canvas.line((x, y), (x, y + 999 * (-1) ** int(rng.integers(2))), thin)
    return inked(draw_paper(width, height, paper, rng), canvas.ink, ink, rng)


def _scribbles(width: int, height: int, rng: Rng) -> Plane:
    """Scribbles larger than the crop, so that none stands there like a character."""
    paper, ink = draw_colours(rng)
    canvas = Canvas(max(width, 150), 150, np.eye(3))
    draw_scribbles(canvas, rng)
    y = int(rng.integers(0, 150 - height + 1))
    drawn = canvas.ink[y : y + height, :width]
    return inked(draw_paper(width, height, paper, rng), drawn, ink, rng)


_DRAWINGS: tuple[Callable[[int, int, Rng], Plane], ...] = (
    _surface,
    _scene,
    _edges,
    _rules,
    _scribbles,
)
_SHARES = (0.2, 0.3, 0.15, 0.2, 0.15)


class Line(NamedTuple):
    """A labelled line crop.

    Attributes:
        pixels: uint8[48, W, 3], RGB; W is a multiple of 8 from 32 to 512.
        text: What a careful reader reads on it; empty where there is no text.
        kind: A name in ``KINDS``.
    """

    pixels: Pixels
    text: str
    kind: str


class _Drawing(NamedTuple):
    """A line before the camera: float32[h, w, 3], its label, a digit's height in pixels."""

    plane: Plane
    text: str
    digit: float


class LineMaker(Maker):
    """Draws lines; the same seed, number and kind give the same line."""

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """Draws one line.

        Args:
            number: Which one.
            kind: A name in ``KINDS``; None draws one.

        Raises:
            ValueError: There is no such kind.
        """
        kind, rng = self._begin(number, kind, KINDS, zlib.crc32((kind or "").encode()))
        drawing = _DRAWN_BY[kind](self._styles, rng)
        pixels = finish(photograph(drawing.plane, drawing.digit, rng), rng)
        return Line(pixels, drawing.text, kind)


def _on_paper(written: Written, rng: Rng, framing: Framing, looks: Looks) -> _Drawing:
    view = choose_view(written.extent, rng, framing)
    plane, text = put_on_paper(written, view, rng, looks)
    return _Drawing(plane, text, view.digit)


_SINGLE = Framing(tilt=0.3, tight=0.62, side=0.22, smallest=7.0)
_HAND = Framing(tilt=0.45, small=0.22, smallest=8.0, cut=0.05)
_PRINTED = Framing(tilt=0.3, small=0.45, smallest=7.0, cut=0.06)


def _hand_digit(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.digit(rng), styles.by_hand(rng), rng)
    return _on_paper(written, rng, _SINGLE, Looks(neighbours=0.08))


def _tile(styles: Styles, rng: Rng) -> _Drawing:
    """A digit as it is in MNIST, on its square or with a part of the margin cut off."""
    tile, value = styles.tile(rng)
    cut, pad = int(rng.integers(0, 4)), int(rng.integers(0, 4)) * int(rng.random() < 0.3)
    ink = np.pad(tile[cut : 28 - cut, cut : 28 - cut], pad)
    if rng.random() < 0.4:
        paper, colour = np.zeros(3, np.float32), np.full(3, 255, np.float32)
    else:
        paper, colour = readable_colours(rng)
    if rng.random() < 0.2:
        paper, colour = colour, paper
    cover = ink[:, :, None].astype(np.float32) / np.float32(255)
    plane = np.asarray(paper + cover * (colour - paper), np.float32)
    return _Drawing(plane, str(value), 20.0)


def _hand_number(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.hand_number(rng), styles.by_hand(rng), rng)
    return _on_paper(written, rng, _HAND, Looks(scanned=0.25))


def _amount(styles: Styles, rng: Rng) -> _Drawing:
    style = styles.quick(rng) if rng.random() < 0.4 else styles.by_hand(rng)
    if rng.random() < 0.4:
        style = _tight(style, rng)
    written = lay_out(texts.amount(rng), style, rng)
    return _on_paper(written, rng, _HAND, Looks(checks=True, rules=0.4, boxed=0.1, scanned=0.55))


def _hand_words(styles: Styles, rng: Rng) -> _Drawing:
    style = styles.by_hand(rng, letters=True)
    return _on_paper(lay_out(texts.hand_words(rng), style, rng), rng, _HAND, Looks())


def _letter(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.lone_letters(rng), styles.lettered(rng), rng)
    return _on_paper(written, rng, _SINGLE, Looks(scanned=0.15))


def _print_digit(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.digit(rng), styles.printed(rng), rng)
    return _on_paper(written, rng, _SINGLE, Looks(neighbours=0.08, boxed=0.12))


def _print_number(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.print_number(rng), styles.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks())


def _print_words(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.print_words(rng), styles.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks())


def _only_words(styles: Styles, rng: Rng) -> _Drawing:
    by_hand = rng.random() < 0.35
    style = styles.by_hand(rng, letters=True) if by_hand else styles.printed(rng)
    written = lay_out(texts.only_words(rng), style, rng)
    return _on_paper(written, rng, _HAND if by_hand else _PRINTED, Looks())


def _screen(styles: Styles, rng: Rng) -> _Drawing:
    text = texts.print_number(rng) if rng.random() < 0.6 else texts.print_words(rng)
    return _Drawing(*draw_screen_text(text, styles.print_font(rng), rng))


def _seven_segments(styles: Styles, rng: Rng) -> _Drawing:
    del styles
    panel = displays.seven_segments(texts.display(rng), displays.draw_segments(rng), rng)
    return _shown(panel, rng)


def _fourteen_segments(styles: Styles, rng: Rng) -> _Drawing:
    del styles
    text = texts.digits(rng, 4) if rng.random() < 0.4 else texts.serial(rng).upper()
    text = _only(text if rng.random() < 0.7 else texts.word(rng).upper(), FOURTEEN)
    return _shown(displays.fourteen_segments(text[:10], displays.draw_segments(rng)), rng)


def _dot_matrix(styles: Styles, rng: Rng) -> _Drawing:
    del styles
    kind = rng.random()
    if kind < 0.35:
        return _shown(displays.dot_matrix(_only(texts.expiry(rng), DOTS), rng), rng, printed=True)
    text = texts.display(rng).strip() if kind < 0.7 else texts.print_number(rng)
    text = _only(text if kind < 0.9 else texts.labelled(rng).upper(), DOTS)
    return _shown(displays.dot_matrix(text[:20], rng), rng)


def _shown(panel: displays.Panel, rng: Rng, *, printed: bool = False) -> _Drawing:
    view = choose_view(panel.extent, rng, _DISPLAY)
    return _Drawing(displays.show(panel, view, rng, printed=printed), panel.text, view.digit)


_DISPLAY = Framing(tilt=0.4, small=0.25, smallest=9.0)


def _counter(styles: Styles, rng: Rng) -> _Drawing:
    counter = objects.draw_counter(styles.print_font(rng), rng)
    view = choose_view(counter.extent, rng, _COUNTER)
    return _Drawing(objects.show_counter(counter, view, rng), counter.text, view.digit)


def _sign(styles: Styles, rng: Rng) -> _Drawing:
    written = lay_out(texts.plate(rng), styles.printed(rng), rng)
    view = choose_view(written.extent, rng, _SIGN)
    plane, text = objects.show_sign(written, view, rng)
    return _Drawing(plane, text, view.digit)


def _relief(styles: Styles, rng: Rng) -> _Drawing:
    text = texts.plate(rng) if rng.random() < 0.4 else texts.print_number(rng)
    written = lay_out(text, styles.printed(rng), rng)
    return _on_paper(written, rng, _SIGN, Looks(relief=1.0, rules=0.0))


def _stamp(styles: Styles, rng: Rng) -> _Drawing:
    text = texts.date(rng) if rng.random() < 0.6 else texts.grouped(rng)
    written = lay_out(text, styles.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks(stamped=1.0, boxed=0.15, rules=0.3))


def _cell(styles: Styles, rng: Rng) -> _Drawing:
    style = styles.by_hand(rng) if rng.random() < 0.35 else styles.printed(rng)
    text = texts.digit(rng) if rng.random() < 0.85 else texts.digits(rng, 2)
    written = lay_out(text, style, rng)
    view = choose_view(written.extent, rng, _CELL)
    plane, text = objects.show_cell(written, view, rng)
    return _Drawing(plane, text, view.digit)


def _comb(styles: Styles, rng: Rng) -> _Drawing:
    style = styles.by_hand(rng) if rng.random() < 0.75 else styles.printed(rng)
    pitch = float(rng.uniform(0.85, 1.5))
    written = lay_out(texts.comb(rng), style, rng, pitch=pitch)
    view = choose_view(written.extent, rng, _HAND)
    plane, text = objects.show_comb(written, view, pitch, rng)
    return _Drawing(plane, text, view.digit)


_COUNTER = Framing(tilt=0.4, small=0.25, tight=0.8, side=0.12, smallest=9.0)
_SIGN = Framing(tilt=0.5, small=0.35, smallest=8.0)
_CELL = Framing(tilt=0.3, small=0.35, tight=0.5, side=0.3, smallest=7.0)


def _nothing(styles: Styles, rng: Rng) -> _Drawing:
    del styles
    plane, digit = draw_nothing(rng)
    return _Drawing(plane, "", digit)


def _tight(style: Style, rng: Rng) -> Style:
    return replace(style, gap=float(rng.uniform(-0.22, 0.0)))


def _only(text: str, known: Mapping[str, object]) -> str:
    kept = "".join(char for char in text if char == " " or char in known).strip()
    return kept or "8"


_Draw = Callable[[Styles, Rng], _Drawing]

# Share of all lines and how each kind is drawn.
_KINDS: dict[str, tuple[float, _Draw]] = {
    "hand digit": (0.08, _hand_digit),
    "tile": (0.01, _tile),
    "hand number": (0.1, _hand_number),
    "amount": (0.16, _amount),
    "hand words": (0.03, _hand_words),
    "letter": (0.03, _letter),
    "print digit": (0.05, _print_digit),
    "print number": (0.08, _print_number),
    "print words": (0.06, _print_words),
    "words": (0.04, _only_words),
    "screen": (0.05, _screen),
    "seven segments": (0.06, _seven_segments),
    "fourteen segments": (0.01, _fourteen_segments),
    "dot matrix": (0.025, _dot_matrix),
    "counter": (0.03, _counter),
    "sign": (0.025, _sign),
    "relief": (0.01, _relief),
    "stamp": (0.01, _stamp),
    "cell": (0.03, _cell),
    "comb": (0.02, _comb),
    "nothing": (0.09, _nothing),
}
KINDS = {name: share for name, (share, _) in _KINDS.items()}
_DRAWN_BY = {name: draw for name, (_, draw) in _KINDS.items()}
