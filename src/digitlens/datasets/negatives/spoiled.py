"""Digits spoiled until nobody could name them: several on one place, neighbours, shuffled parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from digitlens.datasets.synthetic.arrays import Ink
from digitlens.imaging.tiles import SIDE

Tiles = npt.NDArray[np.uint8]


def spoil(digits: Tiles, rng: np.random.Generator) -> Ink:
    """Spoils digits that are chosen at random.

    Args:
        digits: uint8[N, 28, 28], N at least 1.
        rng: Decides.

    Returns:
        uint8[H, W], with ink.
    """
    return _KINDS[int(rng.integers(len(_KINDS)))](digits, rng)


def _some(digits: Tiles, count: int, rng: np.random.Generator) -> Tiles:
    return digits[rng.integers(len(digits), size=count)]


def _heap(digits: Tiles, rng: np.random.Generator) -> Ink:
    """Three digits on top of each other: two may still read as an 8."""
    moved = [np.roll(tile, rng.integers(-4, 5, 2), (0, 1)) for tile in _some(digits, 3, rng)]
    return np.maximum.reduce(moved)


def _pair(digits: Tiles, rng: np.random.Generator) -> Ink:
    """Two whole digits side by side."""
    left, right = _some(digits, 2, rng)
    near = int(rng.integers(4, 10))
    return np.hstack([left[:, : SIDE - near], right[:, near:]])


def _gap(digits: Tiles, rng: np.random.Generator) -> Ink:
    """The place between two digits: the right half of one, the left half of the other."""
    left, right = _some(digits, 2, rng)
    cut = int(rng.integers(10, 15))
    return np.hstack([left[:, cut:], right[:, : SIDE - cut]])


def _shuffled(digits: Tiles, rng: np.random.Generator) -> Ink:
    """The quarters of a digit, each in another's place and some of them mirrored."""
    tile = _some(digits, 1, rng)[0]
    half = SIDE // 2
    parts = [tile[:half, half:], tile[half:, half:], tile[half:, :half], tile[:half, :half]]
    parts = [part[:, ::-1] if rng.random() < 0.5 else part for part in parts]
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


_KINDS: tuple[Callable[[Tiles, np.random.Generator], Ink], ...] = (_heap, _pair, _gap, _shuffled)
