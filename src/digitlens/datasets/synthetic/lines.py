"""Draws labelled lines of text from a seed, to train the line recogniser with."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic import displays, objects, texts
from digitlens.datasets.synthetic.arrays import Pixels, Plane
from digitlens.datasets.synthetic.glyph_tables import DOTS, FOURTEEN
from digitlens.datasets.synthetic.nothing import draw_nothing
from digitlens.datasets.synthetic.on_paper import Looks, put_on_paper, readable_colours
from digitlens.datasets.synthetic.screens import draw_screen_text
from digitlens.datasets.synthetic.scribes import Scribe
from digitlens.datasets.synthetic.views import Framing, choose_view, finish, photograph
from digitlens.datasets.synthetic.writers import Fonts
from digitlens.datasets.synthetic.writing import Style
from digitlens.datasets.synthetic.written import Written, lay_out

Rng = np.random.Generator


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


class LineMaker:
    """Draws lines; the same seed, number and kind give the same line."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int = 0) -> None:
        """Takes what there is to write with.

        Args:
            tiles: MNIST digits, each of the ten among them; never the test set.
            fonts: To write with as well, see ``load_fonts``.
            seed: Decides all lines.
        """
        self.seed = seed
        self._scribe = Scribe(tiles, fonts)

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """Draws one line.

        Args:
            number: Which one.
            kind: A name in ``KINDS``; None draws one.

        Raises:
            ValueError: There is no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, found {kind}")
        asked = zlib.crc32((kind or "").encode())
        rng = np.random.default_rng([self.seed, number, asked])
        chosen = kind or _drawn_kind(rng)
        drawing = _DRAWN_BY[chosen](self._scribe, rng)
        pixels = finish(photograph(drawing.plane, drawing.digit, rng), rng)
        return Line(pixels, drawing.text, chosen)


def _drawn_kind(rng: Rng) -> str:
    shares = np.cumsum(list(KINDS.values()))
    return list(KINDS)[int(np.searchsorted(shares, rng.random() * shares[-1], "right"))]


def _on_paper(written: Written, rng: Rng, framing: Framing, looks: Looks) -> _Drawing:
    view = choose_view(written.extent, rng, framing)
    plane, text = put_on_paper(written, view, rng, looks)
    return _Drawing(plane, text, view.digit)


_SINGLE = Framing(tilt=0.3, tight=0.62, side=0.22, smallest=7.0)
_HAND = Framing(tilt=0.45, small=0.22, smallest=8.0, cut=0.05)
_PRINTED = Framing(tilt=0.3, small=0.45, smallest=7.0, cut=0.06)


def _hand_digit(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.digit(rng), scribe.by_hand(rng), rng)
    return _on_paper(written, rng, _SINGLE, Looks(neighbours=0.08))


def _tile(scribe: Scribe, rng: Rng) -> _Drawing:
    """A digit as it is in MNIST, on its square or with a part of the margin cut off."""
    tile, value = scribe.tile(rng)
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


def _hand_number(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.hand_number(rng), scribe.by_hand(rng), rng)
    return _on_paper(written, rng, _HAND, Looks(scanned=0.25))


def _amount(scribe: Scribe, rng: Rng) -> _Drawing:
    style = scribe.quick(rng) if rng.random() < 0.4 else scribe.by_hand(rng)
    if rng.random() < 0.4:
        style = _tight(style, rng)
    written = lay_out(texts.amount(rng), style, rng)
    return _on_paper(written, rng, _HAND, Looks(checks=True, rules=0.4, boxed=0.1, scanned=0.55))


def _hand_words(scribe: Scribe, rng: Rng) -> _Drawing:
    style = scribe.by_hand(rng, letters=True)
    return _on_paper(lay_out(texts.hand_words(rng), style, rng), rng, _HAND, Looks())


def _print_digit(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.digit(rng), scribe.printed(rng), rng)
    return _on_paper(written, rng, _SINGLE, Looks(neighbours=0.08, boxed=0.12))


def _print_number(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.print_number(rng), scribe.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks())


def _print_words(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.print_words(rng), scribe.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks())


def _only_words(scribe: Scribe, rng: Rng) -> _Drawing:
    by_hand = rng.random() < 0.35
    style = scribe.by_hand(rng, letters=True) if by_hand else scribe.printed(rng)
    written = lay_out(texts.only_words(rng), style, rng)
    return _on_paper(written, rng, _HAND if by_hand else _PRINTED, Looks())


def _screen(scribe: Scribe, rng: Rng) -> _Drawing:
    text = texts.print_number(rng) if rng.random() < 0.6 else texts.print_words(rng)
    return _Drawing(*draw_screen_text(text, scribe.print_hand(rng), rng))


def _seven_segments(scribe: Scribe, rng: Rng) -> _Drawing:
    del scribe
    panel = displays.seven_segments(texts.display(rng), displays.draw_segments(rng), rng)
    return _shown(panel, rng)


def _fourteen_segments(scribe: Scribe, rng: Rng) -> _Drawing:
    del scribe
    text = texts.digits(rng, 4) if rng.random() < 0.4 else texts.serial(rng).upper()
    text = _only(text if rng.random() < 0.7 else texts.word(rng).upper(), FOURTEEN)
    return _shown(displays.fourteen_segments(text[:10], displays.draw_segments(rng)), rng)


def _dot_matrix(scribe: Scribe, rng: Rng) -> _Drawing:
    del scribe
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


def _counter(scribe: Scribe, rng: Rng) -> _Drawing:
    counter = objects.draw_counter(scribe.print_hand(rng), rng)
    view = choose_view(counter.extent, rng, _COUNTER)
    return _Drawing(objects.show_counter(counter, view, rng), counter.text, view.digit)


def _sign(scribe: Scribe, rng: Rng) -> _Drawing:
    written = lay_out(texts.plate(rng), scribe.printed(rng), rng)
    view = choose_view(written.extent, rng, _SIGN)
    plane, text = objects.show_sign(written, view, rng)
    return _Drawing(plane, text, view.digit)


def _relief(scribe: Scribe, rng: Rng) -> _Drawing:
    text = texts.plate(rng) if rng.random() < 0.4 else texts.print_number(rng)
    written = lay_out(text, scribe.printed(rng), rng)
    return _on_paper(written, rng, _SIGN, Looks(relief=1.0, rules=0.0))


def _stamp(scribe: Scribe, rng: Rng) -> _Drawing:
    text = texts.date(rng) if rng.random() < 0.6 else texts.grouped(rng)
    written = lay_out(text, scribe.printed(rng), rng)
    return _on_paper(written, rng, _PRINTED, Looks(stamped=1.0, boxed=0.15, rules=0.3))


def _cell(scribe: Scribe, rng: Rng) -> _Drawing:
    style = scribe.by_hand(rng) if rng.random() < 0.35 else scribe.printed(rng)
    text = texts.digit(rng) if rng.random() < 0.85 else texts.digits(rng, 2)
    written = lay_out(text, style, rng)
    view = choose_view(written.extent, rng, _CELL)
    plane, text = objects.show_cell(written, view, rng)
    return _Drawing(plane, text, view.digit)


def _comb(scribe: Scribe, rng: Rng) -> _Drawing:
    style = scribe.by_hand(rng) if rng.random() < 0.75 else scribe.printed(rng)
    pitch = float(rng.uniform(0.85, 1.5))
    written = lay_out(texts.comb(rng), style, rng, pitch=pitch)
    view = choose_view(written.extent, rng, _HAND)
    plane, text = objects.show_comb(written, view, pitch, rng)
    return _Drawing(plane, text, view.digit)


_COUNTER = Framing(tilt=0.4, small=0.25, tight=0.8, side=0.12, smallest=9.0)
_SIGN = Framing(tilt=0.5, small=0.35, smallest=8.0)
_CELL = Framing(tilt=0.3, small=0.35, tight=0.5, side=0.3, smallest=7.0)


def _nothing(scribe: Scribe, rng: Rng) -> _Drawing:
    del scribe
    plane, digit = draw_nothing(rng)
    return _Drawing(plane, "", digit)


def _tight(style: Style, rng: Rng) -> Style:
    return replace(style, gap=float(rng.uniform(-0.22, 0.0)))


def _only(text: str, known: Mapping[str, object]) -> str:
    kept = "".join(char for char in text if char == " " or char in known).strip()
    return kept or "8"


_Draw = Callable[[Scribe, Rng], _Drawing]

# Share of all lines and how each kind is drawn.
_KINDS: dict[str, tuple[float, _Draw]] = {
    "hand digit": (0.08, _hand_digit),
    "tile": (0.02, _tile),
    "hand number": (0.1, _hand_number),
    "amount": (0.18, _amount),
    "hand words": (0.03, _hand_words),
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
