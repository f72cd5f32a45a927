"""Who writes on a page: draws writers of MNIST, pens and fonts, by how often each is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.arrays import Ink
from digitlens.datasets.synthetic.hands import FontHand, Hand, PenHand, WriterHand
from digitlens.datasets.synthetic.writing import Style, draw_style

_MNIST = 0.4  # share of numbers in the hand of a writer of MNIST
_PEN = 0.26  # share drawn with a pen; the others are set in fonts
_SCRIPT = 0.45  # share of fonts that look handwritten
_PENNED = 0.4  # share of text with letters that is drawn with a pen
_FORMS = 3  # tiles of each digit that a writer has, so that a number repeats its forms at times


@dataclass(frozen=True)
class Fonts:
    """Hands that write in fonts; at least one of each.

    Attributes:
        hand: Those that look handwritten.
        print: The others.
    """

    hand: tuple[FontHand, ...]
    print: tuple[FontHand, ...]


class Writers:
    """Draws the hands of a page."""

    def __init__(self, tiles: Split, fonts: Fonts) -> None:
        """Takes what there is to write with.

        Args:
            tiles: Digits of MNIST, each of the ten among them.
            fonts: For digits and for text with letters.
        """
        self._digits = [tiles.tiles[tiles.labels == value] for value in range(10)]
        self._fonts = fonts

    def digit_style(self, rng: np.random.Generator) -> Style:
        """A style for numbers."""
        kind = rng.random()
        if kind < _MNIST:
            return draw_style(self._writer(rng), rng, by_hand=True)
        if kind < _MNIST + _PEN:
            return draw_style(PenHand(rng), rng, by_hand=True)
        return self.word_style(rng)

    def word_style(self, rng: np.random.Generator) -> Style:
        """A style for text with letters."""
        if rng.random() < _PENNED:
            return draw_style(PenHand(rng), rng, by_hand=True)
        by_hand = rng.random() < _SCRIPT
        hand = _one(self._fonts.hand if by_hand else self._fonts.print, rng)
        return draw_style(hand, rng, by_hand=by_hand)

    def tile(self, rng: np.random.Generator) -> tuple[Ink, int]:
        """A digit as it is in MNIST, uint8[28, 28], and its value."""
        value = int(rng.integers(10))
        tiles = self._digits[value]
        return tiles[int(rng.integers(len(tiles)))], value

    def _writer(self, rng: np.random.Generator) -> WriterHand:
        return WriterHand([tiles[rng.integers(len(tiles), size=_FORMS)] for tiles in self._digits])


def _one(hands: Sequence[FontHand], rng: np.random.Generator) -> Hand:
    return hands[int(rng.integers(len(hands)))]
