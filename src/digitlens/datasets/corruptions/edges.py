"""The corruption that keeps the outline of the strokes alone: Canny's edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions.planes import SIDE, Planes, smooth

SIGMA = 1.0
LOW, HIGH = 0.1, 0.2  # of the gradient: an edge goes on above the one and starts above the other


def canny_edges(planes: Planes, _: np.random.Generator) -> Planes:
    """White lines, a pixel wide, where brightness changes most.

    Source: J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 8 (1986), 679-698.
    """
    weight = smooth(np.ones((1, SIDE, SIDE), np.float32), SIGMA, edge="constant")
    smoothed = smooth(planes, SIGMA, edge="constant") / weight
    down, right = _sobel(smoothed), _sobel(smoothed.transpose(0, 2, 1)).transpose(0, 2, 1)
    strength = np.hypot(down, right)
    thin = _ridge(strength, down, right) & (strength >= LOW)
    return _connected(thin, thin & (strength >= HIGH)).astype(np.float32)


def _sobel(planes: Planes) -> Planes:
    """Change from above to below, weighed 1 2 1 over three columns."""
    framed = np.pad(planes, ((0, 0), (1, 1), (1, 1)), "edge")
    across = framed[:, :, :-2] + 2 * framed[:, :, 1:-1] + framed[:, :, 2:]
    return np.subtract(across[:, 2:], across[:, :-2], dtype=np.float32)


def _ridge(strength: Planes, down: Planes, right: Planes) -> npt.NDArray[np.bool_]:
    """Where the gradient is at least as strong as a step along it, ahead and behind.

    A step ends between a straight neighbour and a diagonal one. The outermost pixels, which have
    neighbours on one side alone, are no edges.
    """
    steep = np.abs(down) >= np.abs(right)
    rows, columns = np.sign(down).astype(np.int64), np.sign(right).astype(np.int64)
    straight = np.where(steep, rows * SIDE, columns).reshape(len(strength), -1)
    diagonal = (rows * SIDE + columns).reshape(len(strength), -1)
    large = np.maximum(np.abs(down), np.abs(right))
    small = np.minimum(np.abs(down), np.abs(right))
    slant = np.divide(small, large, out=np.zeros_like(large), where=large > 0)
    flat, slant = strength.reshape(len(strength), -1), slant.reshape(len(strength), -1)
    here, last = np.arange(SIDE * SIDE), SIDE * SIDE - 1
    inner = np.zeros((SIDE, SIDE), np.bool_)
    inner[1:-1, 1:-1] = True
    top = np.tile(inner.reshape(-1), (len(strength), 1))
    for sign in (1, -1):
        near, far = (
            np.take_along_axis(flat, np.clip(here + sign * step, 0, last), axis=1)
            for step in (straight, diagonal)
        )
        top &= near * (1 - slant) + far * slant <= flat
    return top.reshape(strength.shape)


def _connected(weak: npt.NDArray[np.bool_], strong: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The weak pixels that touch a strong one, if only through others."""
    while True:
        framed = np.pad(strong, ((0, 0), (1, 1), (1, 1)))
        wide = framed[:, :, :-2] | framed[:, :, 1:-1] | framed[:, :, 2:]
        grown = (wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]) & weak
        if np.array_equal(grown, strong):
            return strong
        strong = grown
