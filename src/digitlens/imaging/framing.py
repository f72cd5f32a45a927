"""Crops lines of text from a page, straightened and of equal height; does not detect them.

Coordinates are continuous: pixel i spans i to i + 1.
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
STEP = 8  # columns; crop widths are multiples of it, as the recogniser halves them three times
MIN_WIDTH, MAX_WIDTH = 16, 1280  # columns of a crop
GRAY = 127  # gray level that pads crops
_SUPPORT = 2  # pixels; support of bicubic interpolation on each side of a point
_MIN_REDUCED_HEIGHT = 4 / 3  # crop heights; minimum height of a line after it is reduced
_UPRIGHT_TOLERANCE = 0.01  # pixels; maximum deviation of the corners of an upright quad
_BATCH_CROPS = 16  # maximum number of crops in a batch
_BATCH_COLUMNS = 4096  # maximum columns of a batch, unless a single crop has more


def crop_line(page: Pixels, quad: Floats, *, height: int = HEIGHT, stretch: float = 1.0) -> Pixels:
    """Crops one line of text, straightened.

    The line keeps its proportions, unless it would be wider than 1280 columns: then it is squeezed
    to 1280. It is padded with gray on the right to a multiple of 8 columns, at least 16. Beyond the
    page, edge pixels are repeated.

    Args:
        page: uint8[H, W] or uint8[H, W, 3]; only the surroundings of the line are used.
        quad: float32[4, 2]; x, y in pixels, top-left, top-right, bottom-right, bottom-left.
        height: Rows of the crop.
        stretch: Factor by which the line is widened, relative to its proportions.

    Returns:
        uint8[height, W, 3]; W is a multiple of 8 from 16 to 1280.
    """
    corners = np.asarray(quad, np.float64)
    quad_width, quad_height = _mean_sides(corners)
    columns = max(1, min(MAX_WIDTH, round(stretch * height * quad_width / quad_height)))
    surroundings, corners = _crop_surroundings(page, corners)
    image = Image.fromarray(surroundings)
    line = _straighten(image, corners, (columns, height))
    crop = np.full((height, max(MIN_WIDTH, -(-columns // STEP) * STEP), 3), GRAY, np.uint8)
    crop[:, :columns] = line if line.ndim == 3 else line[..., None]
    return crop


def batch_lines(crops: Sequence[Pixels]) -> list[tuple[list[int], Pixels]]:
    """Batches crops uint8[H, W, 3] of one height by similar width, the widest first.

    Returns:
        For each batch, the indices of its crops and uint8[N, H, W, 3], padded with gray on the
        right; no crop is padded by more than a fifth of the width plus 16 columns.
    """
    widths = [crop.shape[1] for crop in crops]
    groups: list[list[int]] = []
    for index in sorted(range(len(crops)), key=lambda index: -widths[index]):
        if groups and _fits_batch(groups[-1], widths, index):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [(group, _stack_padded([crops[index] for index in group])) for group in groups]


def _fits_batch(group: list[int], widths: list[int], index: int) -> bool:
    widest, count = widths[group[0]], len(group) + 1
    is_similar = widths[index] >= 0.8 * widest - 2 * STEP
    return is_similar and count <= _BATCH_CROPS and count * widest <= _BATCH_COLUMNS


def _stack_padded(crops: list[Pixels]) -> Pixels:
    batch = np.full((len(crops), *crops[0].shape), GRAY, np.uint8)
    for index, crop in enumerate(crops):
        batch[index, :, : crop.shape[1]] = crop
    return batch


def _mean_sides(corners: Doubles) -> tuple[float, float]:
    """Returns the mean lengths of top and bottom, and of left and right side, at least 1."""
    sides = (corners[[1, 2, 3, 0]] - corners).tolist()
    lengths = [sqrt(x * x + y * y) for x, y in sides]
    return max(1.0, (lengths[0] + lengths[2]) / 2), max(1.0, (lengths[1] + lengths[3]) / 2)


def _crop_surroundings(page: Pixels, corners: Doubles) -> tuple[Pixels, Doubles]:
    """Returns the part of a page around a quad, and the quad in it; repeats edge pixels."""
    page_size = np.array(page.shape[1::-1])
    # Contains at least one pixel of the page, however far outside the quad is.
    low = np.minimum(np.floor(corners.min(axis=0)).astype(int) - _SUPPORT, page_size - 1)
    high = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + _SUPPORT, 1)
    first, last = np.maximum(low, 0), np.minimum(high, page_size)
    surroundings = page[first[1] : last[1], first[0] : last[0]]
    pad_before, pad_after = first - low, high - last
    if pad_before.any() or pad_after.any():
        pads = [(int(pad_before[1]), int(pad_after[1])), (int(pad_before[0]), int(pad_after[0]))]
        surroundings = np.pad(surroundings, [*pads, (0, 0)][: page.ndim], mode="edge")
    return np.ascontiguousarray(surroundings), corners - low


def _straighten(image: Image.Image, corners: Doubles, size: tuple[int, int]) -> Pixels:
    """Maps a quad to a rectangle with ``size`` columns and rows.

    A quad much larger than the crop is first reduced by an integer factor, to at least 4/3 of the
    crop's height. For an upright quad, cubic interpolation widens with the scale and thus averages;
    a tilted one is first straightened at its own size. For lines of 50 to 200 pixels, this reduces
    the error against averages of 64 points per pixel from 7..10 gray levels to 2..5.
    """
    quad_width, quad_height = _mean_sides(corners)
    factor = max(1, int(quad_height / (_MIN_REDUCED_HEIGHT * size[1])))
    if factor > 1:
        image, corners = image.reduce(factor), corners / factor
    (left, top), (right, bottom) = corners[0], corners[2]
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if right > left and bottom > top and np.abs(corners - upright).max() < _UPRIGHT_TOLERANCE:
        box = (float(left), float(top), float(right), float(bottom))
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box))
    full = max(1, round(quad_width / factor)), max(1, round(quad_height / factor))
    full = size if quad_height <= size[1] else full
    straight = image.transform(full, *_transform(corners, full), Image.Resampling.BICUBIC)
    return np.asarray(straight.resize(size, Image.Resampling.BICUBIC))


def _transform(corners: Doubles, size: tuple[int, int]) -> tuple[Image.Transform, list[float]]:
    """Returns Pillow's transform from points of a rectangle to points of the quad."""
    columns, rows = size
    column_step, row_step = (corners[1] - corners[0]) / columns, (corners[3] - corners[0]) / rows
    if np.abs(corners[0] + corners[2] - corners[1] - corners[3]).max() < 2 * _UPRIGHT_TOLERANCE:
        (x, y), (a, d), (b, e) = corners[0], column_step, row_step
        return Image.Transform.AFFINE, [float(value) for value in (a, b, x, d, e, y)]
    return Image.Transform.PERSPECTIVE, perspective(corners, size).tolist()


def perspective(corners: Doubles, size: tuple[int, int]) -> Doubles:
    """Returns the homography from points of a rectangle to points of a quad, in Pillow's form.

    Corners float64[4, 2] are x, y of the quad, clockwise from the top left; size is columns and
    rows of the rectangle. Returns float64[8]: a to h of x = (a u + b v + c) / (g u + h v + 1) and
    y = (d u + e v + f) / (g u + h v + 1).
    """
    columns, rows = size
    # Eight equations: x (g u + h v + 1) = a u + b v + c, and likewise for y.
    target = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64)
    matrix = np.zeros((8, 8))
    matrix[::2, :2] = matrix[1::2, 3:5] = target
    matrix[::2, 2] = matrix[1::2, 5] = 1
    matrix[::2, 6:] = -target * corners[:, :1]
    matrix[1::2, 6:] = -target * corners[:, 1:]
    return np.asarray(np.linalg.solve(matrix, corners.ravel()), np.float64)
