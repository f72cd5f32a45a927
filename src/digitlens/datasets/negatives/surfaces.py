"""Tiles without any drawing, to train with: simple noise, patterns and empty tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from digitlens.imaging.tiles import SIDE, Tile


def draw_surface(rng: np.random.Generator) -> Tile:
    """One tile uint8[28, 28] of a kind that is drawn at random."""
    return _KINDS[int(rng.integers(len(_KINDS)))](rng)


def _empty(rng: np.random.Generator) -> Tile:
    """One grey, often black."""
    level = 0 if rng.random() < 0.4 else int(rng.integers(256))
    return np.full((SIDE, SIDE), level, np.uint8)


def _uniform(rng: np.random.Generator) -> Tile:
    """Each pixel any grey up to some level."""
    return rng.integers(0, int(rng.integers(8, 257)), (SIDE, SIDE), dtype=np.uint8)


def _specks(rng: np.random.Generator) -> Tile:
    """White pixels on black."""
    return np.where(rng.random((SIDE, SIDE)) < rng.uniform(0.01, 0.5), 255, 0).astype(np.uint8)


def _stripes(rng: np.random.Generator) -> Tile:
    """A wave in any direction."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14)
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return np.rint((wave * 0.5 + 0.5) * rng.uniform(60, 255)).astype(np.uint8)


def _checks(rng: np.random.Generator) -> Tile:
    """A checkerboard."""
    size, (dx, dy) = int(rng.integers(2, 8)), rng.integers(0, 8, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    return (((x + dx) // size + (y + dy) // size) % 2 * 255).astype(np.uint8)


def _slope(rng: np.random.Generator) -> Tile:
    """Light that falls off to one side."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
    light = 0.5 + (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.3, 1)
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


def _blocks(rng: np.random.Generator) -> Tile:
    """Squares of four by four pixels, each any grey."""
    return np.kron(rng.integers(0, 256, (7, 7)), np.ones((4, 4))).astype(np.uint8)


_KINDS: tuple[Callable[[np.random.Generator], Tile], ...] = (
    _empty,
    _uniform,
    _specks,
    _stripes,
    _checks,
    _slope,
    _blocks,
)
