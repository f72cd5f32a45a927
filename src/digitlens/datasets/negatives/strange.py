"""Sets of tiles of no digit to measure with; knows nothing of what a network was trained with.

Letters come from fonts that are held out of training, noise and textures are of kinds that are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitlens.datasets.negatives.faces import Face
from digitlens.datasets.negatives.held_out import HELD_OUT
from digitlens.datasets.negatives.lookalikes import AMBIGUOUS, MEASURED_LETTERS
from digitlens.datasets.synthetic.glyph_sources import DIGITS
from digitlens.imaging.tiles import to_tiles

LETTERS, LOOK_ALIKES = "letters", "look-alikes"
COUNT = 1000  # tiles of each set that is drawn at random

Tiles = npt.NDArray[np.uint8]


def strange_sets(faces: Sequence[Face], seed: int, count: int = COUNT) -> dict[str, Tiles]:
    """Letters, look-alikes, random strokes, noise, textures and blank tiles.

    Args:
        faces: Held out of training; all their letters are taken, as the font draws them.
        seed: Another one draws other strokes, noise, textures and blanks.
        count: Tiles of each of these.

    Returns:
        By name uint8[N, 28, 28]. ``look-alikes`` are the letters O I L S Z B G Q, capital and
        small, which nobody could tell from digits for sure: they are quoted apart.
    """
    rng = np.random.default_rng(seed)
    drawn = {
        name: np.stack([draws[i % len(draws)](rng) for i in range(count)])
        for name, draws in HELD_OUT.items()
    }
    letters = {LETTERS: MEASURED_LETTERS, LOOK_ALIKES: AMBIGUOUS}
    return {name: set_in(faces, chars) for name, chars in letters.items()} | drawn


def printed_digits(faces: Sequence[Face]) -> tuple[Tiles, npt.NDArray[np.uint8]]:
    """The ten digits in each face: tiles uint8[N, 28, 28] and labels uint8[N].

    A network that takes them for no digit has learnt how MNIST was scanned and not what a digit is.
    """
    inks = [(face.ink(char), int(char)) for face in faces for char in DIGITS]
    some = [(ink, value) for ink, value in inks if ink is not None]
    return to_tiles([ink for ink, _ in some]), np.array([value for _, value in some], np.uint8)


def set_in(faces: Sequence[Face], characters: str) -> Tiles:
    """Tiles uint8[N, 28, 28] of the characters in each face that has them."""
    inks = (face.ink(char) for face in faces for char in characters)
    return to_tiles([ink for ink in inks if ink is not None])
