"""Small pictures of a network that is still learning: its confusion matrix and its first filters.

Drawn many times in a run, in milliseconds, with Pillow; the figures of a finished one are plots.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens.imaging.images import Page
from digitlens.visualization.marks import font

_CELL, _EDGE = 40, 52  # pixels: a cell, and the room for titles and digits
_PAPER, _TEXT, _FAINT = (250, 250, 247), (20, 22, 26), (150, 154, 160)
_HIT = (222, 231, 241)
_ERROR = np.array([213, 94, 0])  # of the Okabe-Ito palette: told from blue by all eyes
_LEAST = 0.18  # how strong a single error is shown
_NEGATIVE, _ZERO, _POSITIVE = np.array([[178, 88, 24], [247, 247, 245], [5, 92, 160]])
_PIXEL, _GAP = 12, 6  # pixels: a weight of a filter, and between two filters


def draw_counts(confusion: npt.NDArray[np.int64]) -> Page:
    """Draws a confusion matrix with its counts; hits are quiet, errors the darker the more.

    Args:
        confusion: int64[10, 10]; the row is the truth, the column the answer.

    Returns:
        uint8[H, W, 3].
    """
    size = len(confusion)
    side = _EDGE + size * _CELL
    picture = Image.new("RGB", (side + 8, side + 8), _PAPER)
    draw = ImageDraw.Draw(picture)
    errors = confusion * (1 - np.eye(size, dtype=np.int64))
    most = max(1, int(errors.max()))
    for place in range(size):
        middle = _EDGE + place * _CELL + _CELL / 2
        draw.text((_EDGE - 14, middle), str(place), _TEXT, font(16), anchor="mm")
        draw.text((middle, _EDGE - 14), str(place), _TEXT, font(16), anchor="mm")
        for other in range(size):
            _draw_cell(draw, (place, other), int(confusion[place, other]), most)
    draw.text((side - 4, 4), "answer", _FAINT, font(14), anchor="ra")
    title = Image.new("RGB", (60, 20), _PAPER)
    ImageDraw.Draw(title).text((60, 2), "truth", _FAINT, font(14), anchor="ra")
    picture.paste(title.rotate(90, expand=True), (4, _EDGE))
    return np.asarray(picture)


def draw_filters(kernels: npt.NDArray[np.float32]) -> Page:
    """Draws the kernels of a first convolution: blue where ink speaks for, orange against.

    Args:
        kernels: float32[C, k, k]; each is scaled by its largest weight.

    Returns:
        uint8[H, W, 3].
    """
    columns = math.ceil(math.sqrt(2 * len(kernels)))
    rows = -(-len(kernels) // columns)
    side = kernels.shape[1] * _PIXEL
    sheet = np.full((rows * (side + _GAP) + _GAP, columns * (side + _GAP) + _GAP, 3), 250, np.uint8)
    for number, kernel in enumerate(kernels):
        row, column = divmod(number, columns)
        top, left = (_GAP + place * (side + _GAP) for place in (row, column))
        drawn = _coloured(kernel).repeat(_PIXEL, axis=0).repeat(_PIXEL, axis=1)
        sheet[top : top + side, left : left + side] = drawn
    return sheet


def _draw_cell(draw: ImageDraw.ImageDraw, cell: tuple[int, int], count: int, most: int) -> None:
    row, column = cell
    left, top = _EDGE + column * _CELL, _EDGE + row * _CELL
    colour, text = _PAPER, _FAINT
    if row == column:
        colour, text = _HIT, _TEXT
    elif count:
        share = _LEAST + (1 - _LEAST) * math.sqrt(count / most)
        mixed = (1 - share) * np.array(_PAPER) + share * _ERROR
        colour, text = tuple(int(value) for value in mixed), (_TEXT if share < 0.7 else _PAPER)
    draw.rectangle((left, top, left + _CELL - 2, top + _CELL - 2), colour, (230, 230, 226))
    if count:
        middle = (left + _CELL / 2 - 1, top + _CELL / 2 - 1)
        draw.text(middle, str(count), text, font(14), anchor="mm")


def _coloured(kernel: npt.NDArray[np.float32]) -> Page:
    """uint8[k, k, 3]."""
    strength = (kernel / max(float(np.abs(kernel).max()), 1e-9))[..., None]
    end = np.where(strength < 0, _NEGATIVE, _POSITIVE)
    return np.rint(_ZERO + np.abs(strength) * (end - _ZERO)).astype(np.uint8)
