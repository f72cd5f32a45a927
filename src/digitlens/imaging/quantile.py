"""Quantiles and medians of small arrays, bit by bit those of NumPy.

``np.quantile`` takes 100 µs a call whatever it is given, and the first call imports masked arrays,
which takes longer than to read a small picture; so does ``np.median`` of floats.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Real = TypeVar("Real", np.float32, np.float64)


def quantile(values: npt.NDArray[np.float32], share: float) -> np.float32 | np.float64:
    """The value that a share of all values is not above, between two of them as far as need be.

    This is definition 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The
    American Statistician, 1996: linear between the values in order.

    Args:
        values: float32[...]; at least one, none of them NaN.
        share: 0 to 1. What lies between two values is float32, unless this is an ``np.float64``:
            as ``np.quantile`` makes of it when it is asked for one share, or for several.

    Returns:
        What ``np.quantile`` gives.
    """
    last = values.size - 1
    place = last * share
    low = min(int(place), last)
    high = min(low + 1, last)
    ordered = np.partition(values, (low, high), axis=None)
    below, above = ordered[low], ordered[high]
    part: Any = place - low
    if part >= 0.5:  # from the nearer side, so that equal values stay equal
        return above - (above - below) * (1 - part)
    return below + (above - below) * part


def median(values: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """The value in the middle of each row of float[..., N], or the mean of the two.

    Float[...], of the same dtype: what ``np.median`` gives along the last axis; none may be NaN.
    """
    count = values.shape[-1]
    low, high = (count - 1) // 2, count // 2
    ordered = np.partition(values, (low, high), axis=-1)
    if low == high:
        return ordered[..., low]
    both: Any = ordered[..., low] + ordered[..., high]
    return both / 2
