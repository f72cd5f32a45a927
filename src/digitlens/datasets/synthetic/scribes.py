"""Draws the styles that lines are written in, from the writers of MNIST, pens and fonts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.arrays import Ink
from digitlens.datasets.synthetic.hands import FontHand, Glyph, WriterHand
from digitlens.datasets.synthetic.pen_marks import PenMarks
from digitlens.datasets.synthetic.pens import draw_pen
from digitlens.datasets.synthetic.quick_hand import QuickHand, draw_habits
from digitlens.datasets.synthetic.writers import Fonts
from digitlens.datasets.synthetic.writing import Style, draw_style

_FORMS = 3  # tiles of each digit that a writer has, so that a number repeats its forms at times


class _MixedHand:
    """Digits of a writer of MNIST; marks and letters of a pen as broad as theirs."""

    def __init__(self, digits: WriterHand, pen: PenMarks) -> None:
        self.letters = pen.letters
        self._digits, self._pen = digits, pen

    def glyph(self, char: str, rng: np.random.Generator) -> Glyph | None:
        return self._digits.glyph(char, rng) or self._pen.glyph(char, rng)


class Scribe:
    """Draws the styles that lines are written in."""

    def __init__(self, tiles: Split, fonts: Fonts) -> None:
        """Takes what there is to write with.

        Args:
            tiles: Digits of MNIST, each of the ten among them.
            fonts: For everything.
        """
        self._digits = [tiles.tiles[tiles.labels == value] for value in range(10)]
        self.fonts = fonts

    def by_hand(self, rng: np.random.Generator, *, letters: bool = False) -> Style:
        """A style of handwriting: a writer of MNIST, a pen, a quick hand or a font."""
        kind = rng.random()
        if kind < (0.1 if letters else 0.36):
            pen = replace(draw_pen(rng), width=float(rng.uniform(6, 11)))
            return draw_style(_MixedHand(self._writer(rng), PenMarks(pen)), rng, by_hand=True)
        if kind < (0.25 if letters else 0.52):
            return draw_style(PenMarks(draw_pen(rng)), rng, by_hand=True)
        if kind < (0.4 if letters else 0.82):
            return self.quick(rng)
        return draw_style(_one(self.fonts.hand, rng), rng, by_hand=True)

    def quick(self, rng: np.random.Generator) -> Style:
        """A style of everyday handwriting: small forms, joined or close to each other."""
        pen = replace(draw_pen(rng), width=float(np.exp(rng.uniform(np.log(3), np.log(12)))))
        style = draw_style(QuickHand(pen, draw_habits(rng)), rng, by_hand=True)
        return replace(style, slant=float(rng.normal(0.12, 0.2)), gap=min(style.gap, 0.25))

    def printed(self, rng: np.random.Generator) -> Style:
        """A style of print: as the font is in most, else stretched, slanted, heavier."""
        hand = self.print_hand(rng)
        if rng.random() < 0.5:
            return Style(hand, gap=max(-0.02, float(rng.normal(0, 0.02))))
        return draw_style(hand, rng, by_hand=False)

    def tile(self, rng: np.random.Generator) -> tuple[Ink, int]:
        """A digit as it is in MNIST, uint8[28, 28], and its value."""
        value = int(rng.integers(10))
        tiles = self._digits[value]
        return tiles[int(rng.integers(len(tiles)))], value

    def print_hand(self, rng: np.random.Generator) -> FontHand:
        """A print font."""
        return _one(self.fonts.print, rng)

    def _writer(self, rng: np.random.Generator) -> WriterHand:
        return WriterHand([tiles[rng.integers(len(tiles), size=_FORMS)] for tiles in self._digits])


def _one(hands: Sequence[FontHand], rng: np.random.Generator) -> FontHand:
    return hands[int(rng.integers(len(hands)))]
