"""Cuts a window around each candidate out of a page: the candidate and what stands next to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.data.images import Page

SIDE = 56  # pixels of a window
CONTEXT = 2.1  # times the longer side of a candidate: what a window shows

_ENOUGH = 2.0  # pixels of the page for each of a window's; more would only be averaged away

Windows = npt.NDArray[np.uint8]


def windows(page: Page, boxes: npt.NDArray[np.floating]) -> Windows:
    """Square windows around boxes, all of one size; beyond its edge the page goes on as it ends.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        boxes: float[N, 4]; x0, y0, x1, y1 in page pixels; may reach over the page's edge.

    Returns:
        uint8[N, 56, 56, 3]; each box in the middle, its longer side 27 pixels.
    """
    cut = np.empty((len(boxes), SIDE, SIDE, 3), np.uint8)
    for window, box in zip(cut, boxes, strict=True):
        x0, y0, x1, y1 = (float(v) for v in box)
        half = CONTEXT * max(x1 - x0, y1 - y0, 1.0) / 2
        shown = _shown(page, (x0 + x1) / 2, (y0 + y1) / 2, half)
        window[:] = shown if shown.ndim == 3 else shown[:, :, None]
    return cut


def _shown(page: Page, x: float, y: float, half: float) -> npt.NDArray[np.uint8]:
    step = max(1, int(2 * half / (_ENOUGH * SIDE)))
    left, right = (int(np.floor(x - half)) - step, int(np.ceil(x + half)) + step)
    top, bottom = (int(np.floor(y - half)) - step, int(np.ceil(y + half)) + step)
    height, width = page.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        part = page[top:bottom:step, left:right:step]
    else:
        rows = np.clip(np.arange(top, bottom, step), 0, height - 1)
        columns = np.clip(np.arange(left, right, step), 0, width - 1)
        part = page[rows[:, None], columns]
    start, above, side = (x - half - left) / step, (y - half - top) / step, 2 * half / step
    box = (start, above, min(start + side, part.shape[1]), min(above + side, part.shape[0]))
    picture = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))
