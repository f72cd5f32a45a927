"""Takes printed lines out of a mask: rules, grids and the edges of form boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.recognition.components import connected_components, runs

Mask = npt.NDArray[np.bool_]
Lengths = npt.NDArray[np.int32]

_RUN = 1 / 12  # of the page's width: unbroken pieces of a rule; a tilted one comes in steps
_SPAN = 0.6  # of the page's width that a rule runs along
_FLAT = 1 / 20  # thickness of a rule, of its length
_SMALL = 36  # pixels: in a picture hardly larger than a tile a line across is part of the digit


def find_rules(mask: Mask) -> Mask:
    """Marks lines that run along the page, but not where a stroke crosses them.

    Args:
        mask: bool[H, W]; all ink.

    Returns:
        bool[H, W]; the pixels of ``mask`` that belong to straight lines alone.
    """
    if max(mask.shape) < _SMALL:
        return np.zeros_like(mask)
    across, down = _run_lengths(mask), _run_lengths(mask.T).T
    return _along(across, down) | _along(down.T, across.T).T


def _along(lengths: Lengths, crossing: Lengths) -> Mask:
    """Rules along the rows, from the runs that lie along them and those that cross them."""
    width = lengths.shape[1]
    long = lengths >= _RUN * width
    pieces = connected_components(long)
    left, right = pieces.boxes[:, 0], pieces.boxes[:, 2]
    spans = right - left
    thickness = pieces.areas / np.maximum(spans, 1)
    rules = (spans >= _SPAN * width) & ((left <= 1) | (right >= width - 1))
    rules &= thickness <= _FLAT * spans
    # Where a stroke crosses it, the column of ink is longer than the rule is thick.
    limits = np.concatenate([[0.0], np.where(rules, 2 * thickness + 2, 0.0)])
    return long & (limits[pieces.labels] >= crossing)


def _run_lengths(mask: Mask) -> Lengths:
    """For each pixel the length of the unbroken horizontal run that it lies in; 0 outside."""
    starts, ends = runs(mask)
    lengths = np.zeros(mask.shape, np.int32)
    lengths[mask] = np.repeat(ends - starts, ends - starts)
    return lengths
