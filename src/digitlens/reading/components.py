"""Connected components of a mask, in NumPy alone; knows pixels, not digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Components:
    """The connected parts of a mask, in the order of their first pixel.

    Attributes:
        labels: int32[H, W]; 0 outside, 1..N in the parts.
        boxes: int[N, 4]; x0, y0, x1, y1 of each part, half-open.
        areas: int[N]; pixels of each part.
    """

    labels: npt.NDArray[np.int32]
    boxes: Ints
    areas: Ints


def connected_components(mask: npt.NDArray[np.bool_]) -> Components:
    """Finds the 8-connected parts of a mask by joining its horizontal runs.

    Runs are joined row by row as in the two-pass algorithm of Rosenfeld and Pfaltz (1966); the
    union-find works on all runs at once, which makes it a few dozen array operations a page.

    Args:
        mask: bool[H, W].
    """
    starts, ends = runs(mask)
    width = mask.shape[1] + 1
    above, below = _touching_runs(starts, ends, width)
    part = join(len(starts), above, below)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(part + 1, ends - starts)
    return Components(labels, *_measure(starts, ends, width, part))


def runs(mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Where the horizontal runs of a mask start and end, row by row.

    Args:
        mask: bool[H, W].

    Returns:
        Two int[R]: first pixel and the one after the last, counted along rows of W + 1 pixels, of
        which the last one is empty and keeps runs from going round the edge.
    """
    height, width = mask.shape
    flat = np.zeros(1 + height * (width + 1), np.bool_)
    flat[1:].reshape(height, width + 1)[:, :-1] = mask
    steps = np.flatnonzero(flat[1:] != flat[:-1])  # the last pixel is empty: each run has an end
    return steps[::2], steps[1::2]


def join(count: int, first: Ints, second: Ints) -> Ints:
    """Groups things of which pairs are known to belong together: union-find on all pairs at once.

    Args:
        count: Number of things.
        first: int[P]; one of each pair, 0..count-1.
        second: int[P]; the other one.

    Returns:
        int[count]; the group of each, numbered from 0 in the order of their first members.
    """
    parent = np.arange(count)
    while True:
        roots_first, roots_second = parent[first], parent[second]
        if (roots_first == roots_second).all():
            break
        lower = np.minimum(roots_first, roots_second)
        np.minimum.at(parent, roots_first, lower)
        np.minimum.at(parent, roots_second, lower)
        while not (parent == (shorter := parent[parent])).all():
            parent = shorter
    roots = parent == np.arange(count)  # each the first of its group
    return (np.cumsum(roots) - 1)[parent].astype(np.intp, copy=False)


def _touching_runs(starts: Ints, ends: Ints, width: int) -> tuple[Ints, Ints]:
    first = np.searchsorted(ends, starts + width, side="left")
    last = np.searchsorted(starts, ends + width, side="right")
    counts = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(starts)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return above, first[above] + offset


def _measure(starts: Ints, ends: Ints, width: int, part: Ints) -> tuple[Ints, Ints]:
    count = int(part.max()) + 1 if len(part) else 0
    boxes = np.zeros((count, 4), np.intp)
    boxes[:, :2] = np.iinfo(np.intp).max
    rows = starts // width
    np.minimum.at(boxes[:, 0], part, starts - rows * width)
    np.minimum.at(boxes[:, 1], part, rows)
    np.maximum.at(boxes[:, 2], part, ends - rows * width)
    np.maximum.at(boxes[:, 3], part, rows + 1)
    return boxes, np.bincount(part, ends - starts, minlength=count).astype(np.intp)
