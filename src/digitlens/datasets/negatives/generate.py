"""Makes tiles of no digit for training: letters, signs, shapes, scribbles, pieces, spoiled digits.

A network that learns digits alone is sure of a digit whatever it sees; one that learns as well what
is none can say so. Training with outliers: D. Hendrycks, M. Mazeika and T. Dietterich, "Deep
anomaly detection with outlier exposure", ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets.negatives.faces import (
    ALIKE,
    FOREIGN_OF_NO_DIGIT,
    LETTERS_OF_NO_DIGIT,
    PENNED_OF_NO_DIGIT,
    SIGNS_OF_NO_DIGIT,
    Face,
    is_one_stroke,
    likeness,
)
from digitlens.datasets.negatives.shapes import crop, draw_scribble, draw_shape, scaled, spoil, vary
from digitlens.datasets.synthetic.arrays import Ink, Rng
from digitlens.datasets.synthetic.strokes import LETTERS, draw_form, draw_pen
from digitlens.imaging.tiles import SIDE, Tile, to_tile


def draw_surface(rng: Rng) -> Tile:
    """One tile uint8[28, 28] of a kind that is drawn at random."""
    return _SURFACES[int(rng.integers(len(_SURFACES)))](rng)


def _empty(rng: Rng) -> Tile:
    """One grey, often black."""
    level = 0 if rng.random() < 0.4 else int(rng.integers(256))
    return np.full((SIDE, SIDE), level, np.uint8)


def _uniform(rng: Rng) -> Tile:
    """Each pixel any grey up to some level."""
    return rng.integers(0, int(rng.integers(8, 257)), (SIDE, SIDE), dtype=np.uint8)


def _specks(rng: Rng) -> Tile:
    """White pixels on black."""
    return np.where(rng.random((SIDE, SIDE)) < rng.uniform(0.01, 0.5), 255, 0).astype(np.uint8)


def _stripes(rng: Rng) -> Tile:
    """A wave in any direction."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14)
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return np.rint((wave * 0.5 + 0.5) * rng.uniform(60, 255)).astype(np.uint8)


def _checks(rng: Rng) -> Tile:
    """A checkerboard."""
    size, (dx, dy) = int(rng.integers(2, 8)), rng.integers(0, 8, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    return (((x + dx) // size + (y + dy) // size) % 2 * 255).astype(np.uint8)


def _slope(rng: Rng) -> Tile:
    """Light that falls off to one side."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
    light = 0.5 + (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.3, 1)
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


def _blocks(rng: Rng) -> Tile:
    """Squares of four by four pixels, each any grey."""
    return np.kron(rng.integers(0, 256, (7, 7)), np.ones((4, 4))).astype(np.uint8)


_SURFACES = (_empty, _uniform, _specks, _stripes, _checks, _slope, _blocks)
_TRIES = 20  # until something is no look-alike; then a tile stays without drawing
_COMPARED = 16  # faces whose digits nothing drawn may look like

Tiles = npt.NDArray[np.uint8]


class Source(NamedTuple):
    """What tiles are made of.

    Attributes:
        faces: At least one.
        digits: uint8[N, 28, 28], to be spoiled; with none of them, others are drawn instead.
        alike: float32[M, D]; digits that nothing may look like, see ``faces.likeness``.
    """

    faces: Sequence[Face]
    digits: Tiles
    alike: npt.NDArray[np.float32]


def make_negatives(
    count: int, faces: Sequence[Face], seed: int, digits: Tiles | None = None
) -> Tiles:
    """Draws tiles that a human would not take for a digit, some two milliseconds each.

    Args:
        count: Of tiles.
        faces: Fonts that letters and signs are set in; see ``load_faces``.
        seed: Another one gives other tiles; a longer run begins with the tiles of a shorter one.
        digits: uint8[N, 28, 28], digits to train with, some of which are spoiled.

    Returns:
        uint8[count, 28, 28], framed as MNIST's digits are.

    Raises:
        ValueError: There is no face.
    """
    if not faces:
        raise ValueError("expected one face or more, found none")
    source = source_of(faces, digits)
    tiles = np.empty((count, 28, 28), np.uint8)
    for number in range(count):
        tiles[number] = _tile(source, np.random.default_rng([seed, number]))
    return tiles


def source_of(faces: Sequence[Face], digits: Tiles | None) -> Source:
    """What tiles are made of, see ``make_negatives``."""
    some = faces[:: max(1, len(faces) // _COMPARED)]
    alike = np.concatenate([face.digits for face in some])
    return Source(faces, np.zeros((0, 28, 28), np.uint8) if digits is None else digits, alike)


def _tile(source: Source, rng: Rng) -> Tile:
    if rng.random() < _PLAIN:
        return draw_surface(rng)
    for _ in range(_TRIES):
        _, draw = _KINDS[int(np.searchsorted(_UPTO, rng.random() * _UPTO[-1], "right"))]
        ink = draw(source, rng)
        if ink is None or likeness(crop(ink), source.alike) >= ALIKE:
            continue
        varied = vary(ink, rng)
        if not is_one_stroke(varied):
            return to_tile(varied)
    return draw_surface(rng)


def face_ink(faces: Sequence[Face], characters: str, rng: Rng) -> Ink | None:
    """A character in a face, or None where the face lacks it or makes it look like a digit."""
    face = faces[int(rng.integers(len(faces)))]
    char = characters[int(rng.integers(len(characters)))]
    return None if face.is_like_a_digit(char) else face.ink(char)


def _letter(source: Source, rng: Rng) -> Ink | None:
    return face_ink(source.faces, LETTERS_OF_NO_DIGIT, rng)


def _penned(_: Source, rng: Rng) -> Ink:
    char = PENNED_OF_NO_DIGIT[int(rng.integers(len(PENNED_OF_NO_DIGIT)))]
    return draw_form(LETTERS[char], draw_pen(rng), rng)


def _character(source: Source, rng: Rng) -> Ink | None:
    return (_letter, _penned)[int(rng.integers(2))](source, rng)


def _neighbours(source: Source, rng: Rng) -> Ink | None:
    """The end of one letter and the beginning of the next, or both whole."""
    pair = [_character(source, rng) for _ in range(2)]
    if pair[0] is None or pair[1] is None:
        return None
    left, right = (_as_high(crop(ink)) for ink in pair if ink is not None)
    if rng.random() < 0.6:
        left = left[:, int(left.shape[1] * rng.uniform(0.3, 0.7)) :]
        right = right[:, : max(1, int(right.shape[1] * rng.uniform(0.3, 0.7)))]
    gap = np.zeros((left.shape[0], int(rng.integers(0, 14))), np.uint8)
    return _inked(np.hstack([left, gap, right]))


def _cut(source: Source, rng: Rng) -> Ink | None:
    """A letter of which a side is cut off."""
    ink = _character(source, rng)
    if ink is None:
        return None
    side = int(rng.integers(4))
    ink = np.rot90(crop(ink), side)
    kept = ink[:, : max(1, int(ink.shape[1] * rng.uniform(0.45, 0.75)))]
    return _inked(np.rot90(kept, -side))


def _as_high(ink: Ink) -> Ink:
    return scaled(ink, max(1, round(64 * max(ink.shape) / ink.shape[0])))


def _inked(ink: Ink) -> Ink | None:
    return np.ascontiguousarray(ink) if int(ink.max(initial=0)) > 127 else None


_Draw = Callable[[Source, Rng], Ink | None]
_PLAIN = 0.07  # share of tiles without any drawing
# Shares of the others. Letters are most often next to digits, and hardest to tell from them.
_KINDS: tuple[tuple[float, _Draw], ...] = (
    (0.36, _letter),
    (0.07, lambda source, rng: face_ink(source.faces, FOREIGN_OF_NO_DIGIT, rng)),
    (0.1, lambda source, rng: face_ink(source.faces, SIGNS_OF_NO_DIGIT, rng)),
    (0.13, _penned),
    (0.08, _neighbours),
    (0.03, _cut),
    (0.09, lambda _, rng: draw_shape(rng)),
    (0.08, lambda _, rng: draw_scribble(rng)),
    (0.06, lambda source, rng: spoil(source.digits, rng) if len(source.digits) else None),
)
_UPTO = np.cumsum([share for share, _ in _KINDS])
