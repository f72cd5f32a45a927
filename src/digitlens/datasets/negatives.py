"""Negatives: tiles without a digit, for training and for measuring.

A network trained on digits only is confident whatever it sees; with negatives in training it can
reject them. Source: D. Hendrycks, M. Mazeika and T. Dietterich, "Deep anomaly detection with
outlier exposure", ICLR 2019.

The sets for measuring share nothing with training: their letters come from fonts held out of
training, and so do their kinds of noise and texture. Files of Fashion-MNIST, Kuzushiji-MNIST and
EMNIST are read if the user has them. Fashion-MNIST: H. Xiao, K. Rasul and R. Vollgraf,
arXiv:1708.07747 (2017). Kuzushiji-MNIST: T. Clanuwat et al., arXiv:1812.01718 (2018). EMNIST: G.
Cohen et al., IJCNN 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets import negative_inks as inks
from digitlens.datasets.number_files import read_idx
from digitlens.datasets.synthetic.drawing import Ink, Rng, crop, pick, pick_by_share, stroke
from digitlens.datasets.synthetic.glyph_sources import LETTERS, draw_form, draw_pen
from digitlens.errors import DataError
from digitlens.imaging.tiles import SIDE, Tile, to_tile, to_tiles

_SHAPE = (SIDE, SIDE)


def draw_surface(rng: Rng) -> Tile:
    """One tile uint8[28, 28] with a random surface."""
    return pick(rng, list(_SURFACES.values()))(rng)


def _stripes(rng: Rng) -> Tile:
    """A sine wave in any direction."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14)
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return np.rint((wave * 0.5 + 0.5) * rng.uniform(60, 255)).astype(np.uint8)


def _checks(rng: Rng) -> Tile:
    size, (dx, dy) = int(rng.integers(2, 8)), rng.integers(0, 8, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    return (((x + dx) // size + (y + dy) // size) % 2 * 255).astype(np.uint8)


def _slope(rng: Rng) -> Tile:
    """A linear gradient of brightness."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
    light = 0.5 + (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.3, 1)
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


_SURFACES: dict[str, Callable[[Rng], Tile]] = {
    "one grey": lambda rng: np.full(
        _SHAPE, 0 if rng.random() < 0.4 else int(rng.integers(256)), np.uint8
    ),
    "noise": lambda rng: rng.integers(0, int(rng.integers(8, 257)), _SHAPE, dtype=np.uint8),
    "specks": lambda rng: np.where(rng.random(_SHAPE) < rng.uniform(0.01, 0.5), 255, 0).astype(
        np.uint8
    ),
    "stripes": _stripes,
    "checks": _checks,
    "slope": _slope,
    "blocks": lambda rng: np.kron(rng.integers(0, 256, (7, 7)), np.ones((4, 4))).astype(np.uint8),
}
_MAX_TRIES = 20  # attempts to draw something unlike a digit, before a surface is used instead
_COMPARED_FACES = 16  # about the number of faces whose digits a drawing is compared with

Tiles = npt.NDArray[np.uint8]


class NegativeSource(NamedTuple):
    """The material that negatives are made of."""

    faces: Sequence[inks.Face]  # at least one
    digits: Tiles  # uint8[N, 28, 28], to be spoiled; if N is 0, other kinds are drawn instead
    # float32[M, D]; digits that no drawing may resemble, see ``negative_inks.likeness``.
    alike: npt.NDArray[np.float32]


def make_negatives(
    count: int, faces: Sequence[inks.Face], seed: int, digits: Tiles | None = None
) -> Tiles:
    """Draws tiles that a human would not mistake for a digit, in about two milliseconds each.

    Letters and signs are set in ``faces`` (at least one); spoiled digits are made from ``digits``,
    training digits uint8[N, 28, 28]. Each tile depends on the seed and its index only, so a longer
    run begins with the tiles of a shorter one. Returns uint8[count, 28, 28] in MNIST framing.
    """
    if not faces:
        raise ValueError("expected one face or more, found none")
    source = make_source(faces, digits)
    tiles = np.empty((count, 28, 28), np.uint8)
    for number in range(count):
        tiles[number] = _draw_negative(source, np.random.default_rng([seed, number]))
    return tiles


def make_source(faces: Sequence[inks.Face], digits: Tiles | None) -> NegativeSource:
    """The source of negatives for the arguments of ``make_negatives``."""
    compared = faces[:: max(1, len(faces) // _COMPARED_FACES)]
    digit_tiles = np.zeros((0, 28, 28), np.uint8) if digits is None else digits
    return NegativeSource(faces, digit_tiles, np.concatenate([face.digits for face in compared]))


def _draw_negative(source: NegativeSource, rng: Rng) -> Tile:
    if rng.random() < _SURFACE_FRACTION:
        return draw_surface(rng)
    for _ in range(_MAX_TRIES):
        ink = pick_by_share(rng, _KINDS)(source, rng)
        if ink is None or inks.likeness(crop(ink), source.alike) >= inks.MIN_LIKENESS:
            continue
        varied = inks.vary(ink, rng)
        if not inks.is_one_stroke(varied):
            return to_tile(varied)
    return draw_surface(rng)


def face_ink(faces: Sequence[inks.Face], characters: str, rng: Rng) -> Ink | None:
    """A random character in a random face; None if it is missing there or looks like a digit."""
    face, char = pick(rng, faces), pick(rng, characters)
    return None if face.is_like_a_digit(char) else face.ink(char)


def _letter(source: NegativeSource, rng: Rng) -> Ink | None:
    return face_ink(source.faces, inks.LETTERS_OF_NO_DIGIT, rng)


def _pen_letter(_: NegativeSource, rng: Rng) -> Ink:
    return draw_form(LETTERS[pick(rng, inks.PENNED_OF_NO_DIGIT)], draw_pen(rng), rng)


def _any_letter(source: NegativeSource, rng: Rng) -> Ink | None:
    return pick(rng, (_letter, _pen_letter))(source, rng)


def _neighbours(source: NegativeSource, rng: Rng) -> Ink | None:
    """The end of one letter and the beginning of the next, or both letters whole."""
    pair = [_any_letter(source, rng) for _ in range(2)]
    if pair[0] is None or pair[1] is None:
        return None
    cropped = [crop(ink) for ink in pair if ink is not None]
    longest = [max(1, round(64 * max(ink.shape) / ink.shape[0])) for ink in cropped]
    left, right = map(inks.scaled, cropped, longest)
    if rng.random() < 0.6:
        left = left[:, int(left.shape[1] * rng.uniform(0.3, 0.7)) :]
        right = right[:, : max(1, int(right.shape[1] * rng.uniform(0.3, 0.7)))]
    gap = np.zeros((left.shape[0], int(rng.integers(0, 14))), np.uint8)
    return _ink_or_none(np.hstack([left, gap, right]))


def _cut_letter(source: NegativeSource, rng: Rng) -> Ink | None:
    """A letter with one side cut off."""
    ink = _any_letter(source, rng)
    if ink is None:
        return None
    side = int(rng.integers(4))
    ink = np.rot90(crop(ink), side)
    remainder = ink[:, : max(1, int(ink.shape[1] * rng.uniform(0.45, 0.75)))]
    return _ink_or_none(np.rot90(remainder, -side))


def _ink_or_none(ink: Ink) -> Ink | None:
    return np.ascontiguousarray(ink) if int(ink.max(initial=0)) > 127 else None


_DrawInk = Callable[[NegativeSource, Rng], Ink | None]
_SURFACE_FRACTION = 0.07  # fraction of tiles with a surface only
# Weights of the others. Letters are the most common next to digits, and the hardest to reject.
_KINDS: tuple[tuple[float, _DrawInk], ...] = (
    (0.36, _letter),
    (0.07, lambda source, rng: face_ink(source.faces, inks.FOREIGN_OF_NO_DIGIT, rng)),
    (0.1, lambda source, rng: face_ink(source.faces, inks.SIGNS_OF_NO_DIGIT, rng)),
    (0.13, _pen_letter),
    (0.08, _neighbours),
    (0.03, _cut_letter),
    (0.09, lambda _, rng: inks.draw_shape(rng)),
    (0.08, lambda _, rng: inks.draw_scribble(rng)),
    (0.06, lambda source, rng: inks.spoil(source.digits, rng) if len(source.digits) else None),
)


Plane = npt.NDArray[np.float64]
DrawPlane = Callable[[Rng], npt.NDArray[Any]]  # [28, 28], any numbers


def random_strokes(rng: Rng) -> Tile:
    """Two to five strokes of one pen, each a smooth random walk, in MNIST framing."""
    ink = np.zeros((inks.DRAWN_SIDE, inks.DRAWN_SIDE), np.uint8)
    width = int(rng.integers(6, 16))
    for _ in range(int(rng.integers(2, 6))):
        turns = np.cumsum(rng.normal(0, 0.25, 30)) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(1, 3.5)
        stroke(ink, rng.uniform(24, inks.DRAWN_SIDE - 24, 2) + np.cumsum(steps, axis=0), width)
    return to_tile(ink)


def _cells(rng: Rng) -> npt.NDArray[Any]:
    """The borders of the Voronoi cells of random points."""
    points = rng.uniform(0, SIDE, (int(rng.integers(6, 20)), 2, 1, 1))
    distances = np.sort(np.hypot(*np.moveaxis(np.mgrid[:SIDE, :SIDE] - points, 1, 0)), axis=0)
    return 255 - 140 * (distances[1] - distances[0])


def _bricks(rng: Rng) -> npt.NDArray[Any]:
    high, wide = int(rng.integers(4, 8)), int(rng.integers(7, 13))
    y, x = np.mgrid[:SIDE, :SIDE] + rng.integers(0, 12, (2, 1, 1))
    joint = (y % high == 0) | ((x + (y // high % 2) * (wide // 2)) % wide == 0)
    return np.where(joint, 0, 255) if rng.random() < 0.5 else np.where(joint, 255, 0)


def _weave(rng: Rng) -> npt.NDArray[Any]:
    y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(0, 20, (2, 1, 1))
    across, down = rng.uniform(3, 9, 2)
    pattern = np.sin(2 * np.pi * x / across) * np.sin(2 * np.pi * y / down)
    return 127 + rng.uniform(60, 127) * pattern


def _ripples(rng: Rng) -> npt.NDArray[Any]:
    """Concentric rings, like the grain of wood."""
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(-10, 38, (2, 1, 1))
    return 127 + 127 * np.sin(np.hypot(x, y) * 2 * np.pi / rng.uniform(3, 8))


def _spot(rng: Rng) -> npt.NDArray[Any]:
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(0, SIDE, (2, 1, 1))
    return rng.uniform(60, 255) * np.exp(-(x**2 + y**2) / rng.uniform(200, 1500))


def _clouds(rng: Rng, exponent: float) -> Plane:
    """Noise from 0 to 1 whose amplitude is the frequency to the power of -``exponent``."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    frequency = np.maximum(np.hypot(x, y), 1 / SIDE)
    plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) / frequency**exponent).real
    return (plane - plane.min()) / (plane.max() - plane.min())


# Set → name → generator. The generators of a set take turns.
HELD_OUT: Mapping[str, Mapping[str, DrawPlane]] = {
    "strokes": {"random strokes": random_strokes},
    "noise": {
        "Gaussian": lambda rng: rng.normal(rng.uniform(60, 190), rng.uniform(20, 90), _SHAPE),
        "pink": lambda rng: 255 * _clouds(rng, 1.0),
        "laser speckle": lambda rng: rng.exponential(rng.uniform(15, 80), _SHAPE),
        "broken sensor": lambda rng: np.repeat(rng.uniform(0, 255, (SIDE, 1)), SIDE, axis=1),
    },
    "textures": {
        "cow's coat": lambda rng: np.where(_clouds(rng, rng.uniform(1.6, 2.6)) > 0.5, 255, 0),
        "cells": _cells,
        "bricks": _bricks,
        "weave": _weave,
        "ripples": _ripples,
    },
    "blank": {
        "black": lambda _: np.zeros(_SHAPE, np.uint8),
        "grey": lambda rng: np.full(_SHAPE, rng.integers(1, 256), np.uint8),
        "grey with camera noise": lambda rng: (
            rng.uniform(0, 255) + rng.normal(0, rng.uniform(0.5, 5), _SHAPE)
        ),
        "spot": _spot,
    },
}


_LETTERS, _LOOK_ALIKES = "letters", "look-alikes"
COUNT = 1000  # tiles of each randomly drawn set


def negative_sets(faces: Sequence[inks.Face], seed: int, count: int = COUNT) -> dict[str, Tiles]:
    """Letters, look-alikes, random strokes, noise, textures and blank tiles, by name.

    Uses every letter of ``faces`` (to be held out of training) as the font draws it, and ``count``
    tiles of each other set, drawn from the seed. ``look-alikes`` are the letters O I L S Z B G Q in
    both cases, which cannot be distinguished from digits reliably and are reported separately.
    """
    rng = np.random.default_rng(seed)
    drawn = dict[str, Tiles]()
    for name, draws in HELD_OUT.items():
        in_turn = islice(cycle(draws.values()), count)
        planes = [np.clip(draw(rng), 0, 255) for draw in in_turn]
        drawn[name] = np.rint(np.stack(planes)).astype(np.uint8)
    letters = {_LETTERS: inks.MEASURED_LETTERS, _LOOK_ALIKES: inks.AMBIGUOUS}
    sets = dict[str, Tiles]()
    for name, characters in letters.items():
        letter_inks = (face.ink(char) for face in faces for char in characters)
        sets[name] = to_tiles([ink for ink in letter_inks if ink is not None])
    return sets | drawn


MAX_TILES = 10_000  # tiles read from one file, evenly spaced
MAX_BYTES = 1 << 28  # bytes of a decompressed file


def load_negatives(name: str, path: Path) -> dict[str, Tiles]:
    """At most 10,000 tiles of an IDX file, plain or gzipped, by name of the set.

    Files of EMNIST, recognised by ``emnist`` in ``name`` or the file name, are stored column-major
    and are transposed. EMNIST's letters with their labels next to them (``labels-idx1`` for
    ``images-idx3``) become two sets, since O I L S Z B G Q look like digits. Raises DataError if
    the file cannot be read or does not hold images [N, 28, 28].
    """
    tiles = read_idx(path, MAX_BYTES)
    if tiles.ndim != 3 or tiles.shape[1:] != (SIDE, SIDE) or not len(tiles):
        raise DataError(f"{path}: expected images of [N, 28, 28], found {list(tiles.shape)}")
    rows = np.linspace(0, len(tiles) - 1, min(len(tiles), MAX_TILES)).astype(np.int64)
    if "emnist" not in f"{name} {path.name}".lower():
        return {name: tiles[rows]}
    letters = _letter_labels(path, len(tiles))
    upright = np.ascontiguousarray(tiles[rows].transpose(0, 2, 1))
    if letters is None:
        return {name: upright}
    alike = np.isin(letters[rows], [ord(char) - ord("A") + 1 for char in inks.AMBIGUOUS[:8]])
    return {name: upright[~alike], f"{name} look-alikes": upright[alike]}


def _letter_labels(path: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """Labels of EMNIST's letters, 1 to 26 for A to Z; None if they are not next to the images."""
    labels_path = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if "letters" not in path.name or labels_path == path or not labels_path.is_file():
        return None
    labels = read_idx(labels_path, MAX_BYTES)
    if labels.shape != (count,):
        raise DataError(f"{labels_path}: expected labels of {count:,} images, found {labels.shape}")
    return labels
