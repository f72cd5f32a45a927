"""How much boxes overlap: whether two of them are of the same digit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def overlaps(box: Floats, boxes: Floats) -> tuple[Floats, Floats]:
    """Of one box with each of several: intersection over union, and over the smaller of both.

    Args:
        box: float32[4].
        boxes: float32[N, 4].

    Returns:
        float32[N] and float32[N].
    """
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    area = float((box[2:] - box[:2]).prod())
    union = np.maximum(areas + area - common, 1e-6)  # boxes may be empty
    return common / union, common / np.maximum(np.minimum(areas, area), 1e-6)
