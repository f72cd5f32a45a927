"""Extracts the ink of digits from a page, given their boxes, and frames it as tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.imaging.image import Page, shrink
from digitlens.imaging.quantile import median, quantile
from digitlens.imaging.tiles import to_tiles

_MARGIN = 0.12  # of the longer side: rim of paper around the box
_MAX_SIDE = 64  # pixels; longest side of the ink, more than twice the tile's resolution
_RIM_SAMPLES = 512  # pixels of the rim used to estimate the paper
_PAPER_LEVEL = 0.25  # of full ink: less is paper
_MAX_OUTSIDE = 0.5  # fraction of a stroke outside the box above which it belongs to a neighbour

Ink = npt.NDArray[np.uint8]
_Plane = npt.NDArray[np.float32]


def ink_in(page: Page, box: npt.NDArray[np.floating]) -> Ink:
    """Returns the ink in a box, bright on dark.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        box: float[4]; x0, y0, x1, y1 in page pixels; may extend beyond the page.

    Returns:
        uint8[h, w] with at most 64 pixels per side, 0 where there is paper; all 0 if nothing in the
        box differs from its surroundings.
    """
    crop, in_box = _crop_box(page, box)
    planes = np.moveaxis(np.atleast_3d(crop), 2, 0).astype(np.float32, "C")
    strength = _project_on_ink(planes - _fit_paper(planes, in_box), in_box)
    full_ink = _full_ink_level(strength[in_box])
    if full_ink < 4:
        return np.zeros(crop.shape[:2], np.uint8)
    level = np.clip((strength / full_ink - _PAPER_LEVEL) / (0.85 - _PAPER_LEVEL), 0, 1)
    level[_foreign(level > 0.3, in_box)] = 0
    return np.rint(level * 255).astype(np.uint8)


def _crop_box(page: Page, box: npt.NDArray[np.floating]) -> tuple[Page, npt.NDArray[np.bool_]]:
    height, width = page.shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box)
    margin = max(1.0, _MARGIN * max(x1 - x0, y1 - y0))
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    right = min(width, max(left + 1, int(np.ceil(x1 + margin))))
    bottom = min(height, max(top + 1, int(np.ceil(y1 + margin))))
    left, top = min(left, right - 1), min(top, bottom - 1)
    # Two source pixels per output pixel are enough for averaging, and fast to read.
    step = max(1, max(bottom - top, right - left) // (2 * _MAX_SIDE))
    crop = shrink(np.ascontiguousarray(page[top:bottom:step, left:right:step]), _MAX_SIDE)
    scale_x, scale_y = crop.shape[1] / (right - left), crop.shape[0] / (bottom - top)
    x = (np.arange(crop.shape[1]) + 0.5) / scale_x + left
    y = (np.arange(crop.shape[0]) + 0.5) / scale_y + top
    in_box = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None, :]
    return crop, in_box


def _fit_paper(planes: _Plane, in_box: npt.NDArray[np.bool_]) -> _Plane:
    """Fits the paper's colour in the rim around the box as a plane with a slope.

    Pixels far from the rim's median, such as neighbours' strokes, are left out.
    """
    outside = np.flatnonzero(~in_box)
    if len(outside) <= 16:
        outside = np.arange(in_box.size)
    outside = outside[:: max(1, len(outside) // _RIM_SAMPLES)]
    rim = planes.reshape(len(planes), -1)[:, outside]
    rim_colour = median(rim)[:, None]
    deviation = np.abs(rim - rim_colour).max(axis=0)
    is_paper = deviation <= max(6.0, float(quantile(deviation, 0.6)))
    (height, width), count = in_box.shape, len(outside)
    grid = np.ones((3, count))
    grid[1], grid[2] = outside % width / width - 0.5, outside // width / height - 0.5
    grid = grid[:, is_paper]
    normal = grid @ grid.T
    normal.flat[::4] += 1e-6, 0.05 * count, 0.05 * count
    fit = np.linalg.solve(normal, grid @ rim[:, is_paper].T)
    columns = (np.arange(width) / width - 0.5).astype(np.float32)
    rows = (np.arange(height) / height - 0.5).astype(np.float32)[:, None]
    level, slope_x, slope_y = (row[:, None, None] for row in fit.astype(np.float32))
    return level + slope_x * columns + slope_y * rows


def _project_on_ink(contrast: _Plane, in_box: npt.NDArray[np.bool_]) -> _Plane:
    """Projects the planes on the colour direction in which the box differs most from its paper."""
    box_pixels = contrast[:, in_box]
    if not box_pixels.size:
        return np.zeros(in_box.shape, np.float32)
    size = np.abs(box_pixels).max(axis=0)
    strong = box_pixels[:, size >= 0.5 * size.max()]
    direction = strong.mean(axis=1)
    unit = (direction / max(float(np.sqrt(direction @ direction)), 1e-6)).astype(np.float32)
    return np.dot(unit[None], contrast.reshape(len(unit), -1)).reshape(in_box.shape)


def _full_ink_level(strength: _Plane) -> float:
    """Returns the level of full ink for the pixels float32[N] of a box."""
    if not strength.size:
        return 0.0
    # A thin pen covers less than 7 % of a large box, so the 93 % quantile may still be paper.
    usual, strongest = (quantile(strength, np.float64(share)) for share in (0.93, 0.995))
    return float(max(usual, 0.6 * strongest))


def _foreign(mask: npt.NDArray[np.bool_], in_box: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    if not mask[~in_box].any():
        return np.zeros_like(mask)
    components = connected_components(mask)
    labels = components.labels
    count = len(components.areas) + 1
    outside = np.bincount(labels[~in_box], minlength=count)
    total = np.maximum(1, np.bincount(labels.ravel(), minlength=count))
    foreign = outside > _MAX_OUTSIDE * total
    foreign[0] = False
    return foreign[labels]


Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Components:
    """The connected parts of a mask, in the order of their first pixel."""

    labels: npt.NDArray[np.int32]  # int32[H, W]; 0 outside, 1..N in the parts
    boxes: Ints  # int[N, 4]; x0, y0, x1, y1 of each part, half-open
    areas: Ints  # int[N]; pixels of each part


def connected_components(mask: npt.NDArray[np.bool_]) -> Components:
    """Finds the 8-connected parts of a mask bool[H, W] by joining its horizontal runs.

    Runs are joined row by row as in the two-pass algorithm of Rosenfeld and Pfaltz (1966);
    union-find over all runs at once needs only a few dozen array operations per page.
    """
    starts, ends = runs(mask)
    width = mask.shape[1] + 1
    above, below = _touching_runs(starts, ends, width)
    part = join(len(starts), above, below)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(part + 1, ends - starts)
    return Components(labels, *_measure(starts, ends, width, part))


def encloses(mask: npt.NDArray[np.bool_]) -> bool:
    """Returns whether the box of the largest part of a mask bool[H, W] contains another part."""
    parts = connected_components(mask)
    if not len(parts.areas):
        return False
    x0, y0, x1, y1 = parts.boxes.T
    k = int(parts.areas.argmax())
    inside = (x0 > x0[k]) & (y0 > y0[k]) & (x1 < x1[k]) & (y1 < y1[k])
    return bool(inside.any())


def runs(mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Returns the starts and ends of the horizontal runs of a mask bool[H, W], row by row.

    Both are int[R]: the first pixel and the one after the last, counted along rows of W + 1 pixels,
    whose empty last pixel prevents runs from continuing in the next row.
    """
    height, width = mask.shape
    flat = np.zeros(1 + height * (width + 1), np.bool_)
    flat[1:].reshape(height, width + 1)[:, :-1] = mask
    steps = np.flatnonzero(flat[1:] != flat[:-1])  # as the last pixel is empty, each run ends
    return steps[::2], steps[1::2]


def join(count: int, first: Ints, second: Ints) -> Ints:
    """Groups items given pairs that belong together: union-find over all pairs at once.

    Pairs are int[P] and int[P], 0..count-1. Returns int[count]: the group of each item, numbered
    from 0 in the order of their first members.
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
    roots = parent == np.arange(count)  # the first item of each group
    return (np.cumsum(roots) - 1)[parent].astype(np.intp, copy=False)


def _touching_runs(starts: Ints, ends: Ints, width: int) -> tuple[Ints, Ints]:
    first = np.searchsorted(ends, starts + width, side="left")
    last = np.searchsorted(starts, ends + width, side="right")
    counts = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(starts)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return above, first[above] + offset


def _measure(starts: Ints, ends: Ints, width: int, part: Ints) -> tuple[Ints, Ints]:
    part_count = int(part.max()) + 1 if len(part) else 0
    boxes = np.zeros((part_count, 4), np.intp)
    boxes[:, :2] = np.iinfo(np.intp).max
    rows = starts // width
    np.minimum.at(boxes[:, 0], part, starts - rows * width)
    np.minimum.at(boxes[:, 1], part, rows)
    np.maximum.at(boxes[:, 2], part, ends - rows * width)
    np.maximum.at(boxes[:, 3], part, rows + 1)
    return boxes, np.bincount(part, ends - starts, minlength=part_count).astype(np.intp)


Tiles = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def tiles_of(page: Page, boxes: Floats) -> Tiles:
    """Frames the contents of boxes float32[N, 4] for the classifier; returns uint8[N, 28, 28]."""
    return to_tiles([ink_in(page, box) for box in boxes])
