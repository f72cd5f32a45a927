"""Corruptions of tiles, for measuring the robustness of a classifier; never trained on.

The fifteen corruptions of MNIST-C by name, at the severities of the published tiles, and sweeps of
one quantity from its usual value to far beyond. They work on batches of values from 0 to 1. Source:
N. Mu and J. Gilmer, "MNIST-C: A robustness benchmark for computer vision", ICML 2019 Workshop on
Uncertainty and Robustness in Deep Learning, arXiv:1906.02337. Reimplemented from the paper and its
parameters: the random numbers differ from those of the published tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, cos, pi, sin
from typing import Literal

import numpy as np
import numpy.typing as npt

SIDE = 28
CENTRE = (SIDE - 1) / 2  # of a tile, in pixel centres
CHUNK = 1000  # tiles per chunk

Planes = npt.NDArray[np.float32]
Tiles = npt.NDArray[np.uint8]
Corruption = Callable[[Planes, np.random.Generator], Planes]
"""float32[N, 28, 28] from 0 to 1 → float32[N, 28, 28], which may exceed 0 to 1."""


def to_planes(tiles: Tiles) -> Planes:
    """uint8[N, 28, 28] → float32[N, 28, 28] from 0 to 1."""
    return tiles.astype(np.float32) / np.float32(255)


def to_tiles(planes: Planes) -> Tiles:
    """float32[N, 28, 28] → uint8[N, 28, 28], clipped to 0 to 1."""
    return np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8)


def change_in_chunks(tiles: Tiles, change: Callable[[Planes], Planes]) -> Tiles:
    """Applies ``change`` to a thousand tiles at once, to stay in the CPU cache and save memory."""
    chunks = (tiles[start : start + CHUNK] for start in range(0, len(tiles), CHUNK))
    parts = [to_tiles(change(to_planes(chunk))) for chunk in chunks]
    return np.concatenate(parts) if parts else tiles.copy()


def random_signs(rng: np.random.Generator, *shape: int) -> Planes:
    """-1 or 1 with equal probability; float32 of the given shape."""
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.float32)


def warp(planes: Planes, matrices: Planes, shifts: Planes | None = None) -> Planes:
    """Affine warp of each tile with bilinear interpolation; outside a tile is dark.

    ``matrices`` float32[N, 2, 2] map output (row, column), relative to the centre, to source
    coordinates; ``shifts`` float32[N, 2], in pixels, are added.
    """
    offsets = np.zeros((len(planes), 2), np.float32) if shifts is None else shifts
    maps = np.concatenate([matrices.reshape(-1, 4), offsets], axis=1)
    # Many tiles share the same map; warping them together takes a tenth of the time.
    unique_maps, map_indices = np.unique(maps, axis=0, return_inverse=True)
    warped = np.empty_like(planes)
    for index, unique_map in enumerate(unique_maps):
        selected = map_indices.reshape(-1) == index
        warped[selected] = _resample(planes[selected], unique_map[:4].reshape(2, 2), unique_map[4:])
    return warped


def _resample(planes: Planes, matrix: Planes, shift: Planes) -> Planes:
    grid = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(np.float32) - np.float32(CENTRE)
    # Coordinates in a dark frame one pixel wide; positions beyond it are clipped to the frame.
    coordinates = np.clip(matrix @ grid + shift[:, None] + (CENTRE + 1), 0, SIDE + 1)
    corner = np.minimum(coordinates.astype(np.int64), SIDE)
    down, right = (coordinates - corner).astype(np.float32)
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1))).reshape(len(planes), -1)
    width = SIDE + 2
    index = corner[0] * width + corner[1]
    upper = padded[:, index] * (1 - right) + padded[:, index + 1] * right
    lower = padded[:, index + width] * (1 - right) + padded[:, index + width + 1] * right
    return (upper * (1 - down) + lower * down).reshape(planes.shape)


def smooth(
    planes: Planes,
    sigma: float,
    axes: tuple[int, ...] = (1, 2),
    edge: Literal["edge", "constant"] = "edge",
) -> Planes:
    """Gaussian blur of float32[N, H, W], sigma in pixels, kernel truncated at four sigmas.

    Axis 1 blurs along columns, 2 along rows. Outside pixels repeat the edge, or are 0 (constant).
    """
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in axes:
        pads = [(radius, radius) if dimension == axis else (0, 0) for dimension in range(3)]
        padded, length = np.pad(planes, pads, edge), planes.shape[axis]
        total = np.zeros_like(planes)
        for step, weight in enumerate(weights):
            total += weight * np.take(padded, range(step, step + length), axis)
        planes = total
    return planes


PHOTONS = 3  # received on average by a pixel of full brightness
IMPULSES = 0.17  # fraction of pixels that fail


def shot_noise(planes: Planes, rng: np.random.Generator) -> Planes:
    """Poisson noise of few photons: bright pixels flicker, dark ones stay dark."""
    return (rng.poisson(planes * PHOTONS) / PHOTONS).astype(np.float32)


def impulse_noise(planes: Planes, rng: np.random.Generator) -> Planes:
    """Salt-and-pepper noise: pixels fail at random, half of them bright and half dark."""
    draws = rng.random(planes.shape, np.float32)
    noisy = np.where(draws < IMPULSES, (draws < IMPULSES / 2).astype(np.float32), planes)
    return noisy.astype(np.float32)


GLASS_SIGMA, GLASS_ROUNDS = 0.7, 2
MOTION_TAPS, MOTION_SIGMA, MOTION_ANGLE = 21, 3.0, 45.0


def glass_blur(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blurred, some adjacent pixels swapped, blurred again.

    Blurs along the columns only, as in the published tiles.
    """
    swapped = smooth(planes, GLASS_SIGMA, axes=(1,)).reshape(len(planes), -1).T.copy()
    for _ in range(GLASS_ROUNDS):
        _swap_neighbours(swapped, rng)
    return smooth(swapped.T.reshape(planes.shape), GLASS_SIGMA, axes=(1,))


def _swap_neighbours(pixels: Planes, rng: np.random.Generator) -> None:
    """Swaps each pixel, from the last on, with probability 1/2 with one above and/or to the left.

    Changes float32[784, N] in place, one pixel of all tiles after another.
    """
    tile_indices = np.arange(pixels.shape[1])
    for row in range(SIDE - 1, 1, -1):
        for column in range(SIDE - 1, 1, -1):
            index = row * SIDE + column
            swaps, up, left = rng.integers(0, 2, (3, len(tile_indices)))
            partner = index - swaps * (up * SIDE + left)
            saved = pixels[index].copy()
            pixels[index] = pixels[partner, tile_indices]
            pixels[partner, tile_indices] = saved


def motion_blur(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blurred by half a Gaussian in one direction, up to 45 degrees off the horizontal."""
    angles = np.radians(rng.uniform(-MOTION_ANGLE, MOTION_ANGLE, (len(planes), 1)))
    weights = np.exp(-0.5 * (np.arange(MOTION_TAPS) / MOTION_SIGMA) ** 2)
    flat = planes.reshape(len(planes), -1)
    total = np.zeros_like(flat)
    for step, weight in enumerate(weights / weights.sum()):
        total += np.float32(weight) * np.take_along_axis(flat, _ray_indices(step, angles), axis=1)
    return total.reshape(planes.shape)


def _ray_indices(step: int, angles: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Index of the pixel ``step`` pixels away at each angle, clipped to the tile; int64[N, 784]."""
    row, column = (
        np.clip(np.arange(SIDE) + np.rint(step * component).astype(np.int64), 0, SIDE - 1)
        for component in (np.sin(angles), np.cos(angles))
    )
    return (row[:, :, None] * SIDE + column[:, None, :]).reshape(len(angles), -1)


SLANT = 0.4  # radians
SHRINK = 0.7
TURN = 0.4  # radians
SHIFT = 3.0  # pixels


def shear(planes: Planes, rng: np.random.Generator) -> Planes:
    """Sheared to the left or right; the digit also grows taller, by 1 / cos(SLANT)."""
    slant = SLANT * random_signs(rng, len(planes))
    ones, zeros = np.ones_like(slant), np.zeros_like(slant)
    return warp(planes, _matrices(np.cos(slant), zeros, -np.sin(slant), ones))


def scale(planes: Planes, _: np.random.Generator) -> Planes:
    """Shrunk about the centre."""
    return scaled(planes, SHRINK)


def rotate(planes: Planes, rng: np.random.Generator) -> Planes:
    """Rotated clockwise or anticlockwise."""
    return rotated(planes, TURN * random_signs(rng, len(planes)))


def translate(planes: Planes, rng: np.random.Generator) -> Planes:
    """Shifted along one of the diagonals."""
    return translated(planes, SHIFT * random_signs(rng, len(planes), 2))


def scaled(planes: Planes, factor: float) -> Planes:
    """Scaled about the centre; a factor below 1 shrinks."""
    smaller = np.eye(2, dtype=np.float32) / np.float32(factor)
    return warp(planes, np.tile(smaller, (len(planes), 1, 1)))


def rotated(planes: Planes, angles: npt.NDArray[np.float32]) -> Planes:
    """Rotated about the centre by float32[N] radians; positive is anticlockwise."""
    sine, cosine = np.sin(angles), np.cos(angles)
    return warp(planes, _matrices(cosine, sine, -sine, cosine))


def translated(planes: Planes, shifts: npt.NDArray[np.float32]) -> Planes:
    """Shifted by float32[N, 2] pixels (down, right); ink that leaves the tile is lost."""
    return warp(planes, np.tile(np.eye(2, dtype=np.float32), (len(planes), 1, 1)), -shifts)


def _matrices(*parts: npt.NDArray[np.float32]) -> Planes:
    return np.stack(parts, axis=-1).reshape(-1, 2, 2).astype(np.float32)


BRIGHTER = 0.5
STRIPE = 7  # inverted columns on either side
FOG, FOG_DECAY = 3.0, 1.4**2
COARSE_LEVELS, FINE_LEVELS = 6, 2  # doublings of the fractal: to 64 points a side, then to 256
MARGIN = 4  # coarse points around the corner kept, because refinement is wrong at the margin
LIQUID_MEAN, LIQUID_SPREAD, LIQUID_SIGMA, LIQUID_LEVEL = 0.65, 0.3, 1.0, 0.65
MUD_SIGMA, MUD_LEVEL, MUD = 1.5, 0.8, 63 / 255


def brightness(planes: Planes, _: np.random.Generator) -> Planes:
    """Brightness plus 0.5: paper becomes grey, and the soft edges of strokes saturate."""
    return planes + np.float32(BRIGHTER)


def stripe(planes: Planes, _: np.random.Generator) -> Planes:
    """The left and right quarters inverted, which leaves a stripe in the middle."""
    striped = 1 - planes
    striped[:, :, STRIPE:-STRIPE] = planes[:, :, STRIPE:-STRIPE]
    return striped


def fog(planes: Planes, rng: np.random.Generator) -> Planes:
    """Clouds three times as bright as the ink, rescaled to the tile's own maximum."""
    brightest = planes.max(axis=(1, 2), keepdims=True)
    return (planes + FOG * plasma(len(planes), rng)) * brightest / (brightest + FOG)


def plasma(n: int, rng: np.random.Generator) -> Planes:
    """A corner of each of n plasma fractals of 256 x 256, scaled to 0 to 1; float32[n, 28, 28].

    The fractal is periodic. Only the corner is refined to the last level. The range is measured on
    every fourth point, which makes it narrower by a thousandth and the function ten times faster.

    Source: A. Fournier, D. Fussell and L. Carpenter, "Computer rendering of stochastic models",
    Communications of the ACM 25 (1982), 371-384.
    """
    heights, spread = np.zeros((n, 1, 1), np.float32), 1.0
    for _ in range(COARSE_LEVELS):
        heights, spread = _double_resolution(heights, spread, rng), spread / FOG_DECAY
    low, high = (extreme(heights, axis=(1, 2), keepdims=True) for extreme in (np.min, np.max))
    indices = np.arange(-MARGIN, SIDE // 2**FINE_LEVELS + MARGIN)
    corner = heights[:, indices[:, None], indices]
    for _ in range(FINE_LEVELS):
        corner, spread = _double_resolution(corner, spread, rng), spread / FOG_DECAY
    inner = slice(MARGIN * 2**FINE_LEVELS, MARGIN * 2**FINE_LEVELS + SIDE)
    return np.clip((corner[:, inner, inner] - low) / (high - low), 0, 1)


def _double_resolution(heights: Planes, spread: float, rng: np.random.Generator) -> Planes:
    """Doubles the resolution: centres of four old points, then the points between, all jittered."""

    def jittered(total: Planes) -> Planes:
        jitter = 2 * rng.random(total.shape, np.float32) - 1
        return np.add(total / 4, spread * jitter, dtype=np.float32)

    below, right = np.roll(heights, -1, 1), np.roll(heights, -1, 2)
    centres = jittered(heights + below + right + np.roll(below, -1, 2))
    fine = np.empty((len(heights), 2 * heights.shape[1], 2 * heights.shape[2]), np.float32)
    fine[:, ::2, ::2], fine[:, 1::2, 1::2] = heights, centres
    fine[:, ::2, 1::2] = jittered(heights + right + centres + np.roll(centres, 1, 1))
    fine[:, 1::2, ::2] = jittered(heights + below + centres + np.roll(centres, 1, 2))
    return fine


def spatter(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blobs of dark mud on ink and paper."""
    liquid = rng.normal(LIQUID_MEAN, LIQUID_SPREAD, planes.shape).astype(np.float32)
    wet = smooth(liquid, LIQUID_SIGMA) > LIQUID_LEVEL
    mud = smooth(wet.astype(np.float32), MUD_SIGMA)
    mud[mud < MUD_LEVEL] = 0
    return np.add(planes, (MUD - planes) * mud, dtype=np.float32)


LINE_REACH = 2.3  # vertical distance from the line at which the logarithm of its ink diverges
DASH_LENGTH = 2  # columns
ZIGZAG_START, ZIGZAG_END = 2, 25  # columns of the zigzag
TOOTH = 2.0  # half the width of a tooth of the zigzag, and its height
_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.float64 | np.int64]


def dotted_line(planes: Planes, rng: np.random.Generator) -> Planes:
    """A dashed line from the left edge to the right."""
    first_row, last_row = rng.integers(0, SIDE - 1, (2, len(planes)))
    line = _segment(np.zeros(len(planes)), first_row, np.full(len(planes), SIDE - 1), last_row)
    dashes = np.arange(SIDE) // DASH_LENGTH % 2
    return (planes + line * dashes).astype(np.float32)


def zigzag(planes: Planes, rng: np.random.Generator) -> Planes:
    """A zigzag with teeth four pixels wide along a line that rises or falls by at most five."""
    row = rng.integers(0, SIDE - 1, len(planes)).astype(np.float64)
    angle = np.arctan(rng.integers(-5, 5, len(planes)) / (ZIGZAG_END - ZIGZAG_START))
    sine, cosine = np.sin(angle), np.cos(angle)
    drawn = planes
    for start, end in pairwise(_corners((ZIGZAG_END - ZIGZAG_START) / cosine)):
        ends = [
            (ZIGZAG_START + along * cosine - across * sine, row + along * sine + across * cosine)
            for along, across in (start, end)
        ]
        drawn = np.minimum(drawn + _segment(*ends[0], *ends[1]), 1)
    return drawn


def _corners(length: _Floats) -> list[tuple[_Floats, _Floats]]:
    """Corners of zigzags along lines of the given lengths: (along, across), each float64[N]."""
    along, across = [np.zeros_like(length)], [np.zeros_like(length)]
    teeth = int((length.min(initial=ZIGZAG_END - ZIGZAG_START) - TOOTH) // (2 * TOOTH)) + 1
    for tooth in range(teeth):
        along.append(np.full_like(length, (2 * tooth + 1) * TOOTH))
        across.append(np.full_like(length, (-1) ** tooth * TOOTH))
    remainder = length - along[-1]  # of an incomplete tooth
    return [*zip(along, across, strict=True), (length, across[-1] * (1 - remainder / TOOTH))]


def _segment(x0: _Floats, y0: _Rows, x1: _Floats, y1: _Rows) -> Planes:
    """Ink of one line per tile, brightest on the line and fading within two pixels up and down.

    It covers whole columns between the points (x0, y0) and (x1, y1), each [N].
    """
    columns = np.arange(SIDE, dtype=np.float64)
    rows = y0[:, None] + ((y1 - y0) / (x1 - x0))[:, None] * (columns - x0[:, None])
    distance = np.abs(columns[:, None] - rows[:, None, :])  # a tile is square
    ink = np.log(np.maximum(1 - distance / LINE_REACH, 1e-9)) + 1
    drawn = (columns >= np.floor(x0)[:, None]) & (columns < np.ceil(x1)[:, None])
    return (np.clip(ink, 0, 1) * drawn[:, None, :]).astype(np.float32)


CANNY_SIGMA = 1.0
WEAK_EDGE, STRONG_EDGE = 0.1, 0.2  # gradients at which an edge may continue, and start


def canny_edges(planes: Planes, _: np.random.Generator) -> Planes:
    """White lines one pixel wide along the strongest changes of brightness.

    Source: J. Canny, "A computational approach to edge detection", IEEE Transactions on Pattern
    Analysis and Machine Intelligence 8 (1986), 679-698.
    """
    weight = smooth(np.ones((1, SIDE, SIDE), np.float32), CANNY_SIGMA, edge="constant")
    smoothed = smooth(planes, CANNY_SIGMA, edge="constant") / weight
    down, right = _sobel(smoothed), _sobel(smoothed.transpose(0, 2, 1)).transpose(0, 2, 1)
    magnitude = np.hypot(down, right)
    ridges = _suppress_nonmaxima(magnitude, down, right) & (magnitude >= WEAK_EDGE)
    return _connected(ridges, ridges & (magnitude >= STRONG_EDGE)).astype(np.float32)


def _sobel(planes: Planes) -> Planes:
    """Difference between the row below and the row above, weighted 1 2 1 over three columns."""
    framed = np.pad(planes, ((0, 0), (1, 1), (1, 1)), "edge")
    across = framed[:, :, :-2] + 2 * framed[:, :, 1:-1] + framed[:, :, 2:]
    return np.subtract(across[:, 2:], across[:, :-2], dtype=np.float32)


def _suppress_nonmaxima(magnitude: Planes, down: Planes, right: Planes) -> npt.NDArray[np.bool_]:
    """Non-maximum suppression: where the gradient is at least as strong as ahead and behind.

    Values ahead and behind are interpolated between a straight and a diagonal neighbour. The
    outermost pixels, which have neighbours on one side only, are not edges.
    """
    steep = np.abs(down) >= np.abs(right)
    rows, columns = np.sign(down).astype(np.int64), np.sign(right).astype(np.int64)
    straight = np.where(steep, rows * SIDE, columns).reshape(len(magnitude), -1)
    diagonal = (rows * SIDE + columns).reshape(len(magnitude), -1)
    large = np.maximum(np.abs(down), np.abs(right))
    small = np.minimum(np.abs(down), np.abs(right))
    slant = np.divide(small, large, out=np.zeros_like(large), where=large > 0)
    flat, slant = magnitude.reshape(len(magnitude), -1), slant.reshape(len(magnitude), -1)
    indices, last_index = np.arange(SIDE * SIDE), SIDE * SIDE - 1
    inner = np.zeros((SIDE, SIDE), np.bool_)
    inner[1:-1, 1:-1] = True
    is_peak = np.tile(inner.reshape(-1), (len(magnitude), 1))
    for sign in (1, -1):
        straight_value, diagonal_value = (
            np.take_along_axis(flat, np.clip(indices + sign * step, 0, last_index), axis=1)
            for step in (straight, diagonal)
        )
        is_peak &= straight_value * (1 - slant) + diagonal_value * slant <= flat
    return is_peak.reshape(magnitude.shape)


def _connected(weak: npt.NDArray[np.bool_], strong: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The weak pixels connected to a strong one, directly or through other weak pixels."""
    while True:
        framed = np.pad(strong, ((0, 0), (1, 1), (1, 1)))
        row_union = framed[:, :, :-2] | framed[:, :, 1:-1] | framed[:, :, 2:]
        grown = (row_union[:, :-2] | row_union[:, 1:-1] | row_union[:, 2:]) & weak
        if np.array_equal(grown, strong):
            return strong
        strong = grown


# In the order of the paper.
_FUNCTIONS: tuple[Corruption, ...] = (
    *(shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness),
    *(translate, stripe, fog, spatter, dotted_line, zigzag, canny_edges),
)
CORRUPTIONS: Mapping[str, Corruption] = {change.__name__: change for change in _FUNCTIONS}


def corrupt(tiles: Tiles, name: str, seed: int = 0) -> Tiles:
    """Applies one corruption, drawn separately for each tile, to uint8[N, 28, 28].

    The result is reproducible from the seed, with an independent random sequence for each
    corruption. Raises ValueError unless ``name`` is one of ``CORRUPTIONS``.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"expected one of {', '.join(CORRUPTIONS)}, found {name!r}")
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    return change_in_chunks(tiles, lambda planes: CORRUPTIONS[name](planes, rng))


# In doubt a corruption counts as seen: a random filter may produce outlines like Canny's, and a
# brighter background is both brightness and fog. None of the fifteen bends or thickens strokes.
OVERLAPS: Mapping[str, tuple[str, ...]] = {
    "shift": ("translate",),
    "rotate": ("rotate",),
    "scale": ("scale",),
    "shear": ("shear",),
    "noise": ("shot_noise", "impulse_noise"),
    "blur": ("glass_blur", "motion_blur"),
    "contrast": ("brightness", "fog"),
    "erase": ("spatter",),
    "filters": ("canny_edges",),
    "lines": ("dotted_line", "zigzag"),
}
"""Recipe field → corruptions of the same kind."""


def overlapping(recipe: Mapping[str, object]) -> tuple[str, ...]:
    """The corruptions similar to the augmentations of a recipe, in the paper's order.

    Missing fields count as 0.
    """
    values = {field: recipe.get(field) for field in OVERLAPS}
    used = {field for field, v in values.items() if isinstance(v, int | float) and v > 0}
    seen = {name for field in used for name in OVERLAPS[field]}
    return tuple(name for name in CORRUPTIONS if name in seen)


DIRECTIONS = 12  # number of directions in which strokes are thickened


@dataclass(frozen=True, slots=True)
class Sweep:
    """One quantity and the values to measure it at."""

    axis: str  # quantity and unit, as the label of an axis
    usual: float  # the value that leaves a tile unchanged
    values: tuple[float, ...]  # in ascending order
    # (float32[N, 28, 28] from 0 to 1, value, random generator) → changed tiles
    change: Callable[[Planes, float, np.random.Generator], Planes]


def sweep(tiles: Tiles, name: str, value: float, seed: int = 0) -> Tiles:
    """uint8[N, 28, 28] with one quantity changed, reproducible from the seed.

    Raises ValueError unless ``name`` is one of ``SWEEPS``.
    """
    if name not in SWEEPS:
        raise ValueError(f"expected one of {', '.join(SWEEPS)}, found {name!r}")
    rng = np.random.default_rng(seed)
    return change_in_chunks(tiles, lambda planes: SWEEPS[name].change(planes, value, rng))


def shift(planes: Planes, pixels: float, rng: np.random.Generator) -> Planes:
    """Shifted up, down, left or right, at random."""
    axes = rng.integers(0, 2, len(planes))
    shifts = np.zeros((len(planes), 2), np.float32)
    shifts[np.arange(len(planes)), axes] = pixels * random_signs(rng, len(planes))
    return translated(planes, shifts)


def thickness(planes: Planes, pixels: float, _: np.random.Generator) -> Planes:
    """Strokes wider by ``pixels``, or thinner if negative."""
    if pixels < 0:
        return 1 - _dilate(1 - planes, -pixels / 2)
    return _dilate(planes, pixels / 2)


def _dilate(planes: Planes, radius: float) -> Planes:
    """Grayscale dilation by a disc, in steps of at most one pixel so that no holes are left."""
    steps = ceil(radius)
    for _ in range(steps):
        grown = planes
        for direction in range(DIRECTIONS):
            angle, length = 2 * pi * direction / DIRECTIONS, radius / steps
            shifted = _shift_bilinear(planes, length * sin(angle), length * cos(angle))
            grown = np.maximum(grown, shifted)
        planes = grown
    return planes


def _shift_bilinear(planes: Planes, down: float, right: float) -> Planes:
    """Shifts tiles by at most one pixel with linear interpolation; edges are repeated."""
    for axis, fraction in ((1, down), (2, right)):
        neighbours = np.clip(np.arange(planes.shape[axis]) + (1 if fraction > 0 else -1), 0, 27)
        planes = planes + np.float32(abs(fraction)) * (np.take(planes, neighbours, axis) - planes)
    return planes


def _grid(start: float, end: float, step: float) -> tuple[float, ...]:
    count = round((end - start) / step)
    return tuple(round(start + step * index, 3) for index in range(count + 1))


_FRACTIONS = (0.05, 0.1, 0.15, *_grid(0.2, 1, 0.1))
_WIDTHS = (*_grid(-2, 3, 0.5), 4, 5)
SWEEPS: Mapping[str, Sweep] = {
    "shift": Sweep("shift, pixels", 0, _grid(0, 8, 1), shift),
    "rotation": Sweep(
        "rotation, degrees anticlockwise",
        0,
        _grid(-60, 60, 10),
        lambda planes, by, _: rotated(planes, np.full(len(planes), np.radians(by), np.float32)),
    ),
    "scale": Sweep(
        "size, times the usual", 1, _grid(0.4, 1.4, 0.1), lambda planes, by, _: scaled(planes, by)
    ),
    "thickness": Sweep("change of stroke width, pixels", 0, _WIDTHS, thickness),
    "contrast": Sweep(
        "ink brightness, fraction", 1, _FRACTIONS, lambda planes, by, _: planes * np.float32(by)
    ),
    "polarity": Sweep(  # at 0.5 the tile is uniformly grey
        "inversion, fraction",
        0,
        _grid(0, 1, 0.1),
        lambda planes, by, _: np.add(planes * (1 - by), (1 - planes) * by, dtype=np.float32),
    ),
}
