"""Random styles to write lines in, from fonts, pens and the writers of MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.canvas import Style, draw_style
from digitlens.datasets.synthetic.drawing import Ink, Pixels, Rng, log_uniform, pick
from digitlens.datasets.synthetic.glyph_sources import (
    SEGMENT_FONTS,
    FontGlyphs,
    MixedGlyphs,
    MnistGlyphs,
    PenGlyphs,
    QuickGlyphs,
    Role,
    draw_pen,
    role_fonts,
)
from digitlens.datasets.synthetic.papers import load_photos

_MNIST_SHARE = 0.4  # fraction of a page's numbers by a writer of MNIST
_PEN_SHARE = 0.26  # fraction drawn with a pen; the others are set in fonts
_SCRIPT_SHARE = 0.45  # fraction of fonts that look handwritten
_PEN_TEXT_SHARE = 0.4  # fraction of text with letters that is drawn with a pen
_TILES = 3  # tiles per digit and writer: few, so that numbers sometimes repeat a form


@dataclass(frozen=True)
class Fonts:
    """Fonts to write in, at least one of each look, and photographs as negatives."""

    handwritten: tuple[FontGlyphs, ...]  # fonts that look handwritten
    printed: tuple[FontGlyphs, ...]  # the others
    photos: tuple[Pixels, ...] = ()  # uint8[H, W, 3] each, without digits; optional
    foreign: tuple[FontGlyphs, ...] = ()  # symbols, and scripts outside the alphabet; optional


class Styles:
    """Draws styles from MNIST tiles and fonts, with the requirements of ``Maker``."""

    def __init__(self, tiles: Split, fonts: Fonts) -> None:
        self._digits = [tiles.tiles[tiles.labels == value] for value in range(10)]
        self.fonts = fonts

    def digit_style(self, rng: Rng) -> Style:
        """A style for numbers."""
        kind = rng.random()
        if kind < _MNIST_SHARE:
            return draw_style(self._writer(rng), rng, by_hand=True)
        if kind < _MNIST_SHARE + _PEN_SHARE:
            return draw_style(PenGlyphs(draw_pen(rng)), rng, by_hand=True)
        return self.word_style(rng)

    def word_style(self, rng: Rng) -> Style:
        """A style for text with letters."""
        if rng.random() < _PEN_TEXT_SHARE:
            return draw_style(PenGlyphs(draw_pen(rng)), rng, by_hand=True)
        by_hand = rng.random() < _SCRIPT_SHARE
        source = pick(rng, self.fonts.handwritten if by_hand else self.fonts.printed)
        return draw_style(source, rng, by_hand=by_hand)

    def by_hand(self, rng: Rng, *, letters: bool = False) -> Style:
        """A style of handwritten lines: a writer of MNIST, a pen, quick handwriting or a font."""
        kind = rng.random()
        if kind < (0.1 if letters else 0.36):
            pen = replace(draw_pen(rng), width=rng.uniform(6, 11))
            mixed = MixedGlyphs(self._writer(rng), PenGlyphs(pen, marks=True))
            return draw_style(mixed, rng, by_hand=True)
        if kind < (0.25 if letters else 0.52):
            return draw_style(PenGlyphs(draw_pen(rng), marks=True), rng, by_hand=True)
        if kind < (0.4 if letters else 0.82):
            return self.quick(rng)
        return draw_style(pick(rng, self.fonts.handwritten), rng, by_hand=True)

    def quick(self, rng: Rng) -> Style:
        """A style of everyday handwriting: quick forms, joined or close together."""
        pen = replace(draw_pen(rng), width=log_uniform(rng, 3, 12))
        style = draw_style(QuickGlyphs(pen, rng), rng, by_hand=True)
        return replace(style, slant=rng.normal(0.12, 0.2), gap=min(style.gap, 0.25))

    def lettered(self, rng: Rng) -> Style:
        """A pen style with Latin and Greek letters and with marks."""
        pen = replace(draw_pen(rng), width=log_uniform(rng, 2, 14))
        return draw_style(PenGlyphs(pen, marks=True), rng, by_hand=True)

    def printed(self, rng: Rng) -> Style:
        """A style of print: half of them plain, the others varied in proportions and slant."""
        source = self.print_font(rng)
        if rng.random() < 0.5:
            return Style(source, gap=max(-0.02, rng.normal(0, 0.02)))
        return draw_style(source, rng, by_hand=False)

    def tile(self, rng: Rng) -> tuple[Ink, int]:
        """A random digit of MNIST, uint8[28, 28], and its value."""
        value = int(rng.integers(10))
        tiles = self._digits[value]
        return tiles[int(rng.integers(len(tiles)))], value

    def print_font(self, rng: Rng) -> FontGlyphs:
        """A random print font."""
        return pick(rng, self.fonts.printed)

    def _writer(self, rng: Rng) -> MnistGlyphs:
        return MnistGlyphs([tiles[rng.integers(len(tiles), size=_TILES)] for tiles in self._digits])


class Maker:
    """Base of the generators: the same seed, number and kind produce the same item."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int = 0) -> None:
        """Stores MNIST digits (all ten, and never those of the test set), fonts and the seed."""
        self.seed = seed
        self._styles = Styles(tiles, fonts)

    def _pick_kind(
        self, number: int, kind: str | None, shares: Mapping[str, float], *key: int
    ) -> tuple[str, Rng]:
        """The given kind (a key of ``shares``) or a random one, and the generator of the item."""
        if kind is not None and kind not in shares:
            raise ValueError(f"expected one of {', '.join(shares)}, found {kind}")
        rng = np.random.default_rng([self.seed, number, *key])
        if kind is None:
            weights = np.array(list(shares.values()))
            kind = str(rng.choice(list(shares), p=weights / weights.sum()))
        return kind, rng


def load_fonts(role: Role, *, photos: bool = False, some: slice = slice(None)) -> Fonts:
    """The fonts of a role, and optionally photographs without digits; fetches missing ones.

    ``some`` selects a part of the families and of the photographs. Raises DataError if they cannot
    be fetched.
    """
    sources: dict[str, list[FontGlyphs]] = {"hand": [], "print": []}
    for family, files in role_fonts(role, some):
        sources[family.kind].append(FontGlyphs(files, digits_only=family.family in SEGMENT_FONTS))
    pictures = load_photos(role)[some] if photos else ()
    return Fonts(tuple(sources["hand"]), tuple(sources["print"]), pictures)
