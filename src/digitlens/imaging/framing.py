"""Cuts lines of text out of a page, straight and of one height; finds none.

Coordinates are continuous: pixel i reaches from i to i + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

HEIGHT = 48  # pixels; of a line crop
STEP = 8  # columns; widths of crops are multiples of it, as the recogniser halves three times
NARROWEST, WIDEST = 16, 1280  # columns of a crop
GRAY = 127  # what a crop is padded with
_REACH = 2  # pixels that bicubic interpolation looks at beyond a point
_SPARE = 4 / 3  # heights of a crop that are left of a line that is reduced
_LEVEL = 0.01  # pixels by which the corners of an upright quad differ at most
_MOST = 16  # crops of one batch
_COLUMNS = 4096  # of one batch, unless a single crop has more


def crop_line(page: Pixels, quad: Floats, *, height: int = HEIGHT, stretch: float = 1.0) -> Pixels:
    """Cuts out one line of text, straightened.

    The line keeps its proportions, unless it would be wider than 1280 columns, to which it is
    squeezed then. The columns that are missing to a multiple of 8, or to 16, are gray, at the
    right. Beyond the edges of the page, its outermost pixels go on.

    Args:
        page: uint8[H, W] or uint8[H, W, 3]; only what is near the line is looked at.
        quad: float32[4, 2]; x, y in pixels, top-left, top-right, bottom-right, bottom-left.
        height: Rows of the crop.
        stretch: How many times as wide the line is shown as by its proportions.

    Returns:
        uint8[height, W, 3]; W is a multiple of 8 from 16 to 1280.
    """
    corners = np.asarray(quad, np.float64)
    across, down = _sides(corners)
    columns = max(1, min(WIDEST, round(stretch * height * across / down)))
    piece, corners = _surroundings(page, corners)
    image = Image.fromarray(piece)
    line = _straightened(image, corners, (columns, height))
    crop = np.full((height, max(NARROWEST, -(-columns // STEP) * STEP), 3), GRAY, np.uint8)
    crop[:, :columns] = line if line.ndim == 3 else line[..., None]
    return crop


def batch_lines(crops: Sequence[Pixels]) -> list[tuple[list[int], Pixels]]:
    """Puts crops of like widths, uint8[H, W, 3] of one height, together, the widest first.

    Returns:
        For each batch the indices of its crops and uint8[N, H, W, 3], padded with gray at the
        right; no crop is padded by more than a fifth of the width and 16 columns.
    """
    widths = [crop.shape[1] for crop in crops]
    groups: list[list[int]] = []
    for index in sorted(range(len(crops)), key=lambda index: -widths[index]):
        if groups and _fits(groups[-1], widths, index):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [(group, _stacked([crops[index] for index in group])) for group in groups]


def _fits(group: list[int], widths: list[int], index: int) -> bool:
    widest, count = widths[group[0]], len(group) + 1
    near = widths[index] >= 0.8 * widest - 2 * STEP
    return near and count <= _MOST and count * widest <= _COLUMNS


def _stacked(crops: list[Pixels]) -> Pixels:
    batch = np.full((len(crops), *crops[0].shape), GRAY, np.uint8)
    for index, crop in enumerate(crops):
        batch[index, :, : crop.shape[1]] = crop
    return batch


def _sides(corners: Doubles) -> tuple[float, float]:
    """Mean lengths of the upper and lower, and of the left and right side, at least a pixel."""
    sides = (corners[[1, 2, 3, 0]] - corners).tolist()
    lengths = [sqrt(x * x + y * y) for x, y in sides]
    return max(1.0, (lengths[0] + lengths[2]) / 2), max(1.0, (lengths[1] + lengths[3]) / 2)


def _surroundings(page: Pixels, corners: Doubles) -> tuple[Pixels, Doubles]:
    """The part of a page round a quad, and the quad on it; edge pixels go on beyond the page."""
    limits = np.array(page.shape[1::-1])
    # At least one pixel of the page is among them, however far off the quad is.
    low = np.minimum(np.floor(corners.min(axis=0)).astype(int) - _REACH, limits - 1)
    high = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + _REACH, 1)
    first, last = np.maximum(low, 0), np.minimum(high, limits)
    piece = page[first[1] : last[1], first[0] : last[0]]
    before, after = first - low, high - last
    if before.any() or after.any():
        pads = [(int(before[1]), int(after[1])), (int(before[0]), int(after[0]))]
        piece = np.pad(piece, [*pads, (0, 0)][: page.ndim], mode="edge")
    return np.ascontiguousarray(piece), corners - low


def _straightened(image: Image.Image, corners: Doubles, size: tuple[int, int]) -> Pixels:
    """Maps a quad to a rectangle of a size: columns, rows.

    A quad that is much larger than the crop is first reduced by a whole number, to one that is
    still a third larger. Cubic interpolation of an upright one widens with the scale, thus
    averages; a tilted one is straightened at its own size first. For lines of 50 to 200 pixels,
    that brings the error against averages of 64 points a pixel from 7..10 gray levels to 2..5.
    """
    across, down = _sides(corners)
    shrink = max(1, int(down / (_SPARE * size[1])))
    if shrink > 1:
        image, corners = image.reduce(shrink), corners / shrink
    (left, top), (right, bottom) = corners[0], corners[2]
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if right > left and bottom > top and np.abs(corners - upright).max() < _LEVEL:
        box = (float(left), float(top), float(right), float(bottom))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box))
    large = max(1, round(across / shrink)), max(1, round(down / shrink))
    large = size if down <= size[1] else large
    straight = image.transform(large, *_mapping(corners, large), Image.Resampling.BICUBIC)
    return np.asarray(straight.resize(size, Image.Resampling.BICUBIC))


def _mapping(corners: Doubles, size: tuple[int, int]) -> tuple[Image.Transform, list[float]]:
    """What Pillow needs to find each point of a rectangle on the quad."""
    columns, rows = size
    right, down = (corners[1] - corners[0]) / columns, (corners[3] - corners[0]) / rows
    if np.abs(corners[0] + corners[2] - corners[1] - corners[3]).max() < 2 * _LEVEL:
        (x, y), (a, d), (b, e) = corners[0], right, down
        return Image.Transform.AFFINE, [float(value) for value in (a, b, x, d, e, y)]
    return Image.Transform.PERSPECTIVE, perspective(corners, size).tolist()


def perspective(corners: Doubles, size: tuple[int, int]) -> Doubles:
    """The homography that finds each point of a rectangle on a quad, as Pillow takes it.

    Corners float64[4, 2] are x, y of the quad, clockwise from its top left; size is columns and
    rows of the rectangle. Gives float64[8]: a to h of x = (a u + b v + c) / (g u + h v + 1) and
    y = (d u + e v + f) / (same).
    """
    columns, rows = size
    # Eight equations: x (g u + h v + 1) = a u + b v + c, and y alike.
    target = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64)
    matrix = np.zeros((8, 8))
    matrix[::2, :2] = matrix[1::2, 3:5] = target
    matrix[::2, 2] = matrix[1::2, 5] = 1
    matrix[::2, 6:] = -target * corners[:, :1]
    matrix[1::2, 6:] = -target * corners[:, 1:]
    return np.asarray(np.linalg.solve(matrix, corners.ravel()), np.float64)
