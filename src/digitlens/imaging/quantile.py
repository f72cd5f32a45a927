"""Quantiles and medians of small arrays, equal to NumPy's bit by bit.

``np.quantile`` takes at least 100 µs per call, and the first call imports masked arrays, which
takes longer than reading a small picture; so does ``np.median`` of floats.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Real = TypeVar("Real", np.float32, np.float64)


def quantile(values: npt.NDArray[np.float32], share: float) -> np.float32 | np.float64:
    """Returns a quantile, with linear interpolation between the sorted values.

    This is definition 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The
    American Statistician, 1996.

    Args:
        values: float32[...]; at least one, none of them NaN.
        share: 0 to 1. The interpolation is in float32, unless this is an ``np.float64``: like
            ``np.quantile`` for a single quantile, or for several.

    Returns:
        The result of ``np.quantile``.
    """
    last = values.size - 1
    position = last * share
    low = min(int(position), last)
    high = min(low + 1, last)
    ordered = np.partition(values, (low, high), axis=None)
    below, above = ordered[low], ordered[high]
    weight: Any = position - low
    if weight >= 0.5:  # from the nearer side, so that equal values stay equal
        return above - (above - below) * (1 - weight)
    return below + (above - below) * weight


def median(values: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Returns the median of each row of float[..., N], as float[...] of the same dtype.

    The result is that of ``np.median`` along the last axis; no value may be NaN.
    """
    count = values.shape[-1]
    low, high = (count - 1) // 2, count // 2
    ordered = np.partition(values, (low, high), axis=-1)
    if low == high:
        return ordered[..., low]
    total: Any = ordered[..., low] + ordered[..., high]
    return total / 2
