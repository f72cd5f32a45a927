"""Corruptions of the hand: digits slanted, smaller, turned and out of the middle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions.planes import Planes, signs, warp

SLANT = 0.4  # radians
SHRINK = 0.7
TURN = 0.4  # radians
SHIFT = 3.0  # pixels


def shear(planes: Planes, rng: np.random.Generator) -> Planes:
    """Slanted to either side; slanting lines keep their length, so that the digit grows taller."""
    slant = SLANT * signs(rng, len(planes))
    one, none = np.ones_like(slant), np.zeros_like(slant)
    return warp(planes, _matrices(np.cos(slant), none, -np.sin(slant), one))


def scale(planes: Planes, _: np.random.Generator) -> Planes:
    """Smaller, with the same middle."""
    return scaled(planes, SHRINK)


def rotate(planes: Planes, rng: np.random.Generator) -> Planes:
    """Turned to either side."""
    return turned(planes, TURN * signs(rng, len(planes)))


def translate(planes: Planes, rng: np.random.Generator) -> Planes:
    """Moved along one of the diagonals."""
    return moved(planes, SHIFT * signs(rng, len(planes), 2))


def scaled(planes: Planes, factor: float) -> Planes:
    """Enlarged by a factor around the middle of the tile.

    Args:
        planes: float32[N, 28, 28].
        factor: Above 1 enlarges; what leaves the tile is lost.
    """
    smaller = np.eye(2, dtype=np.float32) / np.float32(factor)
    return warp(planes, np.tile(smaller, (len(planes), 1, 1)))


def turned(planes: Planes, angles: npt.NDArray[np.float32]) -> Planes:
    """Turned around the middle of the tile.

    Args:
        planes: float32[N, 28, 28].
        angles: float32[N], in radians; positive is anticlockwise.
    """
    sine, cosine = np.sin(angles), np.cos(angles)
    return warp(planes, _matrices(cosine, sine, -sine, cosine))


def moved(planes: Planes, shifts: npt.NDArray[np.float32]) -> Planes:
    """Moved; what leaves the tile is lost.

    Args:
        planes: float32[N, 28, 28].
        shifts: float32[N, 2], pixels to the bottom and to the right.
    """
    return warp(planes, np.tile(np.eye(2, dtype=np.float32), (len(planes), 1, 1)), -shifts)


def _matrices(*parts: npt.NDArray[np.float32]) -> Planes:
    """Four times float32[N], row by row, to float32[N, 2, 2]."""
    return np.stack(parts, axis=-1).reshape(-1, 2, 2).astype(np.float32)
