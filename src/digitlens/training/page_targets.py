"""What the digit detector should say of a page: for each cell a centre, a value and a box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.nets.detector_network import STRIDE

NOTHING = -1  # value of a cell without a digit
_CORE = 0.16  # of a box's sides around its middle: these cells name the value and the box
_SPREAD = 0.11  # standard deviation of the hill around a centre, in sides of its box


class Targets(NamedTuple):
    """One page's cells, of 4 x 4 pixels.

    Attributes:
        centre: float16[h, w]; 1 in the cell of a digit's centre, falling off around it.
        weight: uint8[h, w]; 0 where the centre is not asked for.
        value: int8[h, w]; 0 to 9 around centres, else ``NOTHING``.
        reach: float16[4, h, w]; logarithm of the distances to the box's sides, in cells.
    """

    centre: npt.NDArray[np.float16]
    weight: npt.NDArray[np.uint8]
    value: npt.NDArray[np.int8]
    reach: npt.NDArray[np.float16]


def targets_of(page: Page) -> Targets:
    """The targets of a page.

    Args:
        page: Its sides are multiples of four.
    """
    height, width = page.pixels.shape[0] // STRIDE, page.pixels.shape[1] // STRIDE
    centre = np.zeros((height, width), np.float32)
    weight = np.ones((height, width), np.uint8)
    value = np.full((height, width), NOTHING, np.int8)
    reach = np.zeros((4, height, width), np.float32)
    y, x = np.arange(height, dtype=np.float32) + 0.5, np.arange(width, dtype=np.float32) + 0.5
    sizes = (page.boxes[:, 2:] - page.boxes[:, :2]).prod(axis=1)
    for index in np.argsort(-sizes):  # small digits have the last word
        x0, y0, x1, y1 = (float(v) / STRIDE for v in page.boxes[index])
        if page.values[index] < 0:
            rows, columns = slice(int(y0), int(y1) + 1), slice(int(x0), int(x1) + 1)
            weight[rows, columns] = 0
            continue
        mx, my = (x0 + x1) / 2, (y0 + y1) / 2
        sx, sy = max(0.45, _SPREAD * (x1 - x0)), max(0.45, _SPREAD * (y1 - y0))
        px, py = min(int(mx), width - 1), min(int(my), height - 1)
        hill = np.exp(-(((y - py - 0.5) / sy) ** 2) / 2)[:, None] * np.exp(
            -(((x - px - 0.5) / sx) ** 2) / 2
        )
        np.maximum(centre, hill, out=centre)
        cx, cy = max(0.5, _CORE * (x1 - x0)), max(0.5, _CORE * (y1 - y0))
        left, right = max(0, int(mx - cx)), min(width, max(int(np.ceil(mx + cx)), px + 1))
        top, bottom = max(0, int(my - cy)), min(height, max(int(np.ceil(my + cy)), py + 1))
        core = np.s_[top:bottom, left:right]
        value[core] = page.values[index]
        weight[core] = 1
        reach[(0, *core)] = (x[left:right] - x0)[None, :]
        reach[(1, *core)] = (y[top:bottom] - y0)[:, None]
        reach[(2, *core)] = (x1 - x[left:right])[None, :]
        reach[(3, *core)] = (y1 - y[top:bottom])[:, None]
    reach = np.log(np.maximum(reach, 0.1))
    return Targets(centre.astype(np.float16), weight, value, reach.astype(np.float16))
