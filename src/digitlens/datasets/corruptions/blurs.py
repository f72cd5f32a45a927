"""Corruptions of the optics: glass in front of the camera and a camera that moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions.planes import SIDE, Planes, smooth

GLASS_SIGMA, GLASS_ROUNDS = 0.7, 2
MOTION_TAPS, MOTION_SIGMA, MOTION_ANGLE = 21, 3.0, 45.0


def glass_blur(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blurred, neighbours swapped here and there, blurred again.

    The published tiles are blurred along the columns alone; so are these.
    """
    swapped = smooth(planes, GLASS_SIGMA, axes=(1,)).reshape(len(planes), -1).T.copy()
    for _ in range(GLASS_ROUNDS):
        _swap_neighbours(swapped, rng)
    return smooth(swapped.T.reshape(planes.shape), GLASS_SIGMA, axes=(1,))


def _swap_neighbours(pixels: Planes, rng: np.random.Generator) -> None:
    """From the last pixel on, every second one changes places with one above or left of it.

    Args:
        pixels: float32[784, N], changed in place; one pixel of all tiles after another.
        rng: Decides which, for each tile.
    """
    everyone = np.arange(pixels.shape[1])
    for row in range(SIDE - 1, 1, -1):
        for column in range(SIDE - 1, 1, -1):
            here = row * SIDE + column
            swaps, up, left = rng.integers(0, 2, (3, len(everyone)))
            there = here - swaps * (up * SIDE + left)
            kept = pixels[here].copy()
            pixels[here] = pixels[there, everyone]
            pixels[there, everyone] = kept


def motion_blur(planes: Planes, rng: np.random.Generator) -> Planes:
    """Trails of half a Gaussian in one direction, up to 45 degrees off the horizontal."""
    angles = np.radians(rng.uniform(-MOTION_ANGLE, MOTION_ANGLE, (len(planes), 1)))
    weights = np.exp(-0.5 * (np.arange(MOTION_TAPS) / MOTION_SIGMA) ** 2)
    flat = planes.reshape(len(planes), -1)
    total = np.zeros_like(flat)
    for step, weight in enumerate(weights / weights.sum()):
        total += np.float32(weight) * np.take_along_axis(flat, _moved(step, angles), axis=1)
    return total.reshape(planes.shape)


def _moved(step: int, angles: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Which pixel stands this many steps on, for each of 784 and each of N angles; int64[N, 784].

    Beyond the edge it is the one at the edge.
    """
    row, column = (
        np.clip(np.arange(SIDE) + np.rint(step * part).astype(np.int64), 0, SIDE - 1)
        for part in (np.sin(angles), np.cos(angles))
    )
    return (row[:, :, None] * SIDE + column[:, None, :]).reshape(len(angles), -1)
