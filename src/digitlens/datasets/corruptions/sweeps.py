"""Changes of one quantity, from what is usual to far beyond, to see where a classifier lets go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, cos, pi, sin

import numpy as np

from digitlens.datasets.corruptions.mnist_c import (
    Planes,
    Tiles,
    change_in_chunks,
    moved,
    scaled,
    signs,
    turned,
)

DIRECTIONS = 12  # in which a stroke is thickened


@dataclass(frozen=True, slots=True)
class Sweep:
    """One quantity and the values it takes.

    Attributes:
        axis: What it is and its unit, for the axis of a plot.
        usual: The value at which a tile stays as it is.
        values: In ascending order.
        change: float32[N, 28, 28] of 0 to 1, a value and a source of randomness to changed ones.
    """

    axis: str
    usual: float
    values: tuple[float, ...]
    change: Callable[[Planes, float, np.random.Generator], Planes]


def sweep(tiles: Tiles, name: str, value: float, seed: int = 0) -> Tiles:
    """Tiles with one quantity changed; the same for the same seed.

    Args:
        tiles: uint8[N, 28, 28], ink bright on dark.
        name: One of ``SWEEPS``.
        value: Of the quantity.
        seed: Decides what is random.

    Returns:
        uint8[N, 28, 28].

    Raises:
        ValueError: No sweep has this name.
    """
    if name not in SWEEPS:
        raise ValueError(f"expected one of {', '.join(SWEEPS)}, found {name!r}")
    rng = np.random.default_rng(seed)
    return change_in_chunks(tiles, lambda planes: SWEEPS[name].change(planes, value, rng))


def shift(planes: Planes, pixels: float, rng: np.random.Generator) -> Planes:
    """Moved up, down, left or right."""
    along = rng.integers(0, 2, len(planes))
    shifts = np.zeros((len(planes), 2), np.float32)
    shifts[np.arange(len(planes)), along] = pixels * signs(rng, len(planes))
    return moved(planes, shifts)


def rotation(planes: Planes, degrees: float, _: np.random.Generator) -> Planes:
    """Turned around the middle of the tile, anticlockwise."""
    return turned(planes, np.full(len(planes), np.radians(degrees), np.float32))


def size(planes: Planes, factor: float, _: np.random.Generator) -> Planes:
    """Enlarged or shrunk around the middle of the tile."""
    return scaled(planes, factor)


def thickness(planes: Planes, pixels: float, _: np.random.Generator) -> Planes:
    """Strokes wider by so many pixels, or thinner where that is below 0."""
    if pixels < 0:
        return 1 - _widened(1 - planes, -pixels / 2)
    return _widened(planes, pixels / 2)


def contrast(planes: Planes, share: float, _: np.random.Generator) -> Planes:
    """Ink of a share of its brightness."""
    return planes * np.float32(share)


def polarity(planes: Planes, share: float, _: np.random.Generator) -> Planes:
    """A blend of the tile and its inverse; nothing is left in the middle."""
    return np.add(planes * (1 - share), (1 - planes) * share, dtype=np.float32)


def _widened(planes: Planes, radius: float) -> Planes:
    """The brightest of what lies around; in steps of a pixel at most, so that no hole is left."""
    steps = ceil(radius)
    for _ in range(steps):
        grown = planes
        for turn in range(DIRECTIONS):
            angle, length = 2 * pi * turn / DIRECTIONS, radius / steps
            aside = _between(planes, length * sin(angle), length * cos(angle))
            grown = np.maximum(grown, aside)
        planes = grown
    return planes


def _between(planes: Planes, down: float, right: float) -> Planes:
    """Each pixel as seen at most one pixel further on; beyond the edge is what is at the edge."""
    for axis, part in ((1, down), (2, right)):
        first = np.clip(np.arange(planes.shape[axis]) + (1 if part > 0 else -1), 0, 27)
        planes = planes + np.float32(abs(part)) * (np.take(planes, first, axis) - planes)
    return planes


def _steps(start: float, end: float, step: float) -> tuple[float, ...]:
    number = round((end - start) / step)
    return tuple(round(start + step * place, 3) for place in range(number + 1))


_SHARES = (0.05, 0.1, 0.15, *_steps(0.2, 1, 0.1))
_WIDTHS = (*_steps(-2, 3, 0.5), 4, 5)
SWEEPS: Mapping[str, Sweep] = {
    "shift": Sweep("shift, pixels", 0, _steps(0, 8, 1), shift),
    "rotation": Sweep("rotation, degrees anticlockwise", 0, _steps(-60, 60, 10), rotation),
    "scale": Sweep("size, times the usual", 1, _steps(0.4, 1.4, 0.1), size),
    "thickness": Sweep("change of stroke width, pixels", 0, _WIDTHS, thickness),
    "contrast": Sweep("brightness of the ink, share", 1, _SHARES, contrast),
    "polarity": Sweep("inversion, share", 0, _steps(0, 1, 0.1), polarity),
}
