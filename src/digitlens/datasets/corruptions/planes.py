"""What corruptions work on: many tiles at once as numbers from 0 to 1, looked up between pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

SIDE = 28
CENTRE = (SIDE - 1) / 2  # of a tile, in pixel centres

Planes = npt.NDArray[np.float32]
Tiles = npt.NDArray[np.uint8]
Corruption = Callable[[Planes, np.random.Generator], Planes]
"""float32[N, 28, 28] of 0 to 1 in; as many, which may leave 0 to 1, out."""


def to_planes(tiles: Tiles) -> Planes:
    """uint8[N, 28, 28] to float32[N, 28, 28] of 0 to 1."""
    return tiles.astype(np.float32) / np.float32(255)


def to_tiles(planes: Planes) -> Tiles:
    """float32[N, 28, 28] to uint8[N, 28, 28]; what is below 0 or above 1 is cut off."""
    return np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8)


def signs(rng: np.random.Generator, *shape: int) -> Planes:
    """-1 or 1, each as likely; float32 of the shape."""
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.float32)


def warp(planes: Planes, matrices: Planes, shifts: Planes | None = None) -> Planes:
    """Fetches each pixel from another place, linearly between pixels; outside a tile is dark.

    Args:
        planes: float32[N, 28, 28].
        matrices: float32[N, 2, 2]; rows and columns, counted from the middle, to those fetched.
        shifts: float32[N, 2]; rows and columns that are added to them, in pixels.
    """
    moves = np.zeros((len(planes), 2), np.float32) if shifts is None else shifts
    maps = np.concatenate([matrices.reshape(-1, 4), moves], axis=1)
    # Most tiles share their map with many others, and one map for many costs a tenth.
    kinds, which = np.unique(maps, axis=0, return_inverse=True)
    warped = np.empty_like(planes)
    for place, kind in enumerate(kinds):
        mine = which.reshape(-1) == place
        warped[mine] = _fetched(planes[mine], kind[:4].reshape(2, 2), kind[4:])
    return warped


def _fetched(planes: Planes, matrix: Planes, shift: Planes) -> Planes:
    grid = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(np.float32) - np.float32(CENTRE)
    # In a dark frame of one pixel; what lies beyond is as dark as the frame.
    places = np.clip(matrix @ grid + shift[:, None] + (CENTRE + 1), 0, SIDE + 1)
    first = np.minimum(places.astype(np.int64), SIDE)
    down, right = (places - first).astype(np.float32)
    framed = np.pad(planes, ((0, 0), (1, 1), (1, 1))).reshape(len(planes), -1)
    width = SIDE + 2
    start = first[0] * width + first[1]
    upper = framed[:, start] * (1 - right) + framed[:, start + 1] * right
    lower = framed[:, start + width] * (1 - right) + framed[:, start + width + 1] * right
    return (upper * (1 - down) + lower * down).reshape(planes.shape)


def smooth(
    planes: Planes, sigma: float, axes: tuple[int, ...] = (1, 2), edge: str = "edge"
) -> Planes:
    """Gaussian blur.

    Args:
        planes: float32[N, H, W].
        sigma: Standard deviation, in pixels; the kernel ends at four of them.
        axes: Along which to blur: 1 for columns, 2 for rows.
        edge: What lies outside: edge (the nearest pixel) or constant (0).
    """
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in axes:
        planes = _convolve(planes, weights, axis, edge)
    return planes


def _convolve(planes: Planes, weights: Planes, axis: int, edge: str) -> Planes:
    reach, length = len(weights) // 2, planes.shape[axis]
    pads = [(reach, reach) if side == axis else (0, 0) for side in range(3)]
    padded = np.pad(planes, pads, "constant" if edge == "constant" else "edge")
    total = np.zeros_like(planes)
    for step, weight in enumerate(weights):
        part = padded[:, step : step + length] if axis == 1 else padded[..., step : step + length]
        total += weight * part
    return total
