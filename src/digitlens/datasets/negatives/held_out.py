"""Noise, textures, empty tiles and random strokes to measure with, of kinds not trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from digitlens.datasets.negatives.shapes import SIDE as DRAWN
from digitlens.datasets.negatives.shapes import stroke
from digitlens.imaging.tiles import SIDE, Tile, to_tile

Plane = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator], Tile]


def random_strokes(rng: np.random.Generator) -> Tile:
    """Two to five strokes of one pen, each a random walk without jerks, framed as a digit."""
    ink = np.zeros((DRAWN, DRAWN), np.uint8)
    width = int(rng.integers(6, 16))
    for _ in range(int(rng.integers(2, 6))):
        turns = np.cumsum(rng.normal(0, 0.25, 30)) + rng.uniform(0, 2 * np.pi)
        steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(1, 3.5)
        stroke(ink, rng.uniform(24, DRAWN - 24, 2) + np.cumsum(steps, axis=0), width)
    return to_tile(ink)


def _normal_noise(rng: np.random.Generator) -> Tile:
    return _bytes(rng.normal(rng.uniform(60, 190), rng.uniform(20, 90), (SIDE, SIDE)))


def _pink_noise(rng: np.random.Generator) -> Tile:
    """Noise whose amplitude falls with the frequency."""
    return _bytes(255 * _clouds(rng, 1.0))


def _speckle(rng: np.random.Generator) -> Tile:
    """Exponentially distributed, as light of a laser."""
    return _bytes(rng.exponential(rng.uniform(15, 80), (SIDE, SIDE)))


def _torn_rows(rng: np.random.Generator) -> Tile:
    """Rows each of one grey, as of a broken sensor."""
    return _bytes(np.repeat(rng.uniform(0, 255, (SIDE, 1)), SIDE, axis=1))


def _clouds_cut(rng: np.random.Generator) -> Tile:
    """Patches with soft outlines, black and white: the coat of a cow."""
    return _bytes(np.where(_clouds(rng, rng.uniform(1.6, 2.6)) > 0.5, 255, 0))


def _cells(rng: np.random.Generator) -> Tile:
    """The borders between the places nearest to each of some points (Voronoi)."""
    points = rng.uniform(0, SIDE, (int(rng.integers(6, 20)), 2, 1, 1))
    far = np.sort(np.hypot(*np.moveaxis(np.mgrid[:SIDE, :SIDE] - points, 1, 0)), axis=0)
    return _bytes(255 - 140 * (far[1] - far[0]))


def _bricks(rng: np.random.Generator) -> Tile:
    high, wide = int(rng.integers(4, 8)), int(rng.integers(7, 13))
    y, x = np.mgrid[:SIDE, :SIDE] + rng.integers(0, 12, (2, 1, 1))
    joint = (y % high == 0) | ((x + (y // high % 2) * (wide // 2)) % wide == 0)
    return _bytes(np.where(joint, 0, 255) if rng.random() < 0.5 else np.where(joint, 255, 0))


def _weave(rng: np.random.Generator) -> Tile:
    """Two waves across each other."""
    y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(0, 20, (2, 1, 1))
    across, down = rng.uniform(3, 9, 2)
    both = np.sin(2 * np.pi * x / across) * np.sin(2 * np.pi * y / down)
    return _bytes(127 + rng.uniform(60, 127) * both)


def _ripples(rng: np.random.Generator) -> Tile:
    """Rings around a point, as the grain of wood."""
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(-10, 38, (2, 1, 1))
    return _bytes(127 + 127 * np.sin(np.hypot(x, y) * 2 * np.pi / rng.uniform(3, 8)))


def _black(rng: np.random.Generator) -> Tile:
    del rng
    return np.zeros((SIDE, SIDE), np.uint8)


def _grey(rng: np.random.Generator) -> Tile:
    return np.full((SIDE, SIDE), rng.integers(1, 256), np.uint8)


def _paper(rng: np.random.Generator) -> Tile:
    """One grey with the faint noise of a camera."""
    return _bytes(rng.uniform(0, 255) + rng.normal(0, rng.uniform(0.5, 5), (SIDE, SIDE)))


def _spot(rng: np.random.Generator) -> Tile:
    """Light that falls off from a point."""
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(0, SIDE, (2, 1, 1))
    return _bytes(rng.uniform(60, 255) * np.exp(-(x**2 + y**2) / rng.uniform(200, 1500)))


def _clouds(rng: np.random.Generator, fall: float) -> Plane:
    """Noise in the range 0 to 1 whose amplitude is the frequency to the power of -``fall``."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    far = np.maximum(np.hypot(x, y), 1 / SIDE)
    plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) / far**fall).real
    return (plane - plane.min()) / (plane.max() - plane.min())


def _bytes(plane: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Tile:
    return np.rint(np.clip(plane, 0, 255)).astype(np.uint8)


HELD_OUT: Mapping[str, tuple[Draw, ...]] = {
    "strokes": (random_strokes,),
    "noise": (_normal_noise, _pink_noise, _speckle, _torn_rows),
    "textures": (_clouds_cut, _cells, _bricks, _weave, _ripples),
    "blank": (_black, _grey, _paper, _spot),
}
