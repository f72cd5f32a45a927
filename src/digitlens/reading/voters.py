"""Frames what stands in boxes on a page for the classifier of tiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.imaging.image import Page
from digitlens.imaging.tiles import to_tiles
from digitlens.reading.crops import ink_in

Tiles = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def tiles_of(page: Page, boxes: Floats) -> Tiles:
    """uint8[N, 28, 28]: what stands in boxes, framed for the classifier.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        boxes: float32[N, 4].
    """
    return to_tiles([ink_in(page, box) for box in boxes])
