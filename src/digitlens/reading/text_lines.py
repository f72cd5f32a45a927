"""From a text map to text lines: rotated rectangles with a score; knows nothing of characters.

The post-processing of DB (Liao et al., "Real-time scene text detection with differentiable
binarization", 2020), for all lines at once: a few dozen array operations per page instead of per
line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.imaging.ink import connected_components, runs
from digitlens.reading.nms import Columns

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

TALL_ASPECT = 1.5  # height over width above which a line may be a lone character or turned text
MAX_LINES = 3000  # maximum lines of one map; the largest are kept
MIN_SIDE = 1.5  # cells: thinner components are noise
UPRIGHT_SLACK = 1.1  # an upright box is used if its area is at most this times the smallest
_SAMPLE_ROWS, _SAMPLE_COLUMNS = 6, 32  # sample points across and along a line for its score
_THRESHOLD = 0.3  # probability above which a cell belongs to a line's core
_MIN_SCORE = 0.5  # lines with a lower mean probability are dropped
_UNCLIP = 1.6  # a core's sides move out by this times its area over its perimeter


@dataclass(frozen=True)
class TextLine:
    """A line of text on a page."""

    # float32[4, 2]; x, y in pixels of the page, top-left, top-right, bottom-right and bottom-left
    # in reading direction. May extend beyond the page.
    quad: Floats
    score: float  # mean of the text map in the line's core, 0..1
    # float32[4, 2]; the quad before paper was added around it; None if none was.
    found: Floats | None = None

    @property
    def width(self) -> float:
        """Pixels along the reading direction."""
        return float(np.hypot(*(self.quad[1] - self.quad[0])))

    @property
    def height(self) -> float:
        """Pixels across the reading direction."""
        return float(np.hypot(*(self.quad[3] - self.quad[0])))

    @property
    def is_tall(self) -> bool:
        """Whether it may be a lone character or text turned by a right angle."""
        return self.height > TALL_ASPECT * self.width


@dataclass(frozen=True)
class Rectangles(Columns):
    """Rotated rectangles whose first axis is at most 45° from horizontal."""

    centre: Doubles  # float64[N, 2]; x, y
    axis: Doubles  # float64[N, 2]; unit vector along the width, pointing right
    size: Doubles  # float64[N, 2]; width and height

    def points(self, along: Doubles, across: Doubles) -> Doubles:
        """Points, float64[N, P, 2], at fractions -0.5..0.5 of each rectangle's width and height."""
        right = self.axis * self.size[:, :1]
        down = np.stack([-self.axis[:, 1], self.axis[:, 0]], axis=1) * self.size[:, 1:]
        steps = right[:, None] * along[:, None] + down[:, None] * across[:, None]
        return self.centre[:, None] + steps


def find_lines(text_map: Floats, scale: float) -> list[TextLine]:
    """Finds the text lines of a page, ordered by their topmost cell.

    Args:
        text_map: float32[h, w], probability of a line's core, see ``LineDetector.text_maps``.
        scale: Side of a cell of the map, in page pixels.
    """
    rectangles = core_rectangles(text_map > _THRESHOLD)
    scores = _scores(text_map, rectangles)
    area = rectangles.size.prod(axis=1)
    distance = area * _UNCLIP / np.maximum(2 * rectangles.size.sum(axis=1), 1e-9)
    grown = Rectangles(rectangles.centre, rectangles.axis, rectangles.size + 2 * distance[:, None])
    quads = grown.points(np.array([-0.5, 0.5, 0.5, -0.5]), np.array([-0.5, -0.5, 0.5, 0.5]))
    quads = (quads * scale).astype(np.float32)
    return [
        TextLine(quads[index], float(scores[index]))
        for index in np.flatnonzero(scores >= _MIN_SCORE)
    ]


def core_rectangles(mask: npt.NDArray[np.bool_]) -> Rectangles:
    """The smallest rectangles around the connected components of bool[h, w], without noise."""
    components = connected_components(mask)
    sides = components.boxes[:, 2:] - components.boxes[:, :2]
    kept = np.flatnonzero(sides.min(axis=1) >= MIN_SIDE)
    if len(kept) > MAX_LINES:
        kept = np.sort(kept[np.argsort(-components.areas[kept], kind="stable")[:MAX_LINES]])
    left, right, tops = _outlines(mask, components.labels, components.boxes, kept)
    boxes = components.boxes[kept].astype(np.float64)
    rectangles = upright_where_near(smallest_rectangles(left, right, tops), boxes)
    thick = rectangles.size.min(axis=1) >= MIN_SIDE
    return rectangles[thick]


def smallest_rectangles(left: Ints, right: Ints, tops: Ints) -> Rectangles:
    """The rectangle of least area around each part; it shares a side with the convex hull.

    Args:
        left: int[R]; first cell of each row of each part, part after part.
        right: int[R]; the cell after the last one of each row.
        tops: int[N + 1, 2]; index in ``left`` where each part starts, and its first row of the
            map. The last index is R; the last row is unused.
    """
    points, part = _hulls(left, right, tops)
    count = len(tops) - 1
    starts = np.searchsorted(part, np.arange(count))
    following = np.arange(1, len(part) + 1)
    following[np.append(starts[1:], len(part))[:count] - 1] = starts
    edges = points[following] - points
    directions = edges / np.maximum(np.hypot(edges[:, 0], edges[:, 1]), 1e-12)[:, None]
    low, high = _extents(points, directions, part, starts)
    areas = (high - low).prod(axis=1)
    order = np.lexsort((areas, part))
    best = order[starts]
    return _rectangles(directions[best], low[best], high[best])


def upright_where_near(rectangles: Rectangles, boxes: Doubles) -> Rectangles:
    """Replaces rectangles that are hardly smaller than their upright box, float64[N, 4], by it.

    The outline of a short line, such as a lone digit, does not determine a direction.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    is_near = sides.prod(axis=1) <= UPRIGHT_SLACK * rectangles.size.prod(axis=1)
    is_near = is_near[:, None]
    return Rectangles(
        np.where(is_near, (boxes[:, :2] + boxes[:, 2:]) / 2, rectangles.centre),
        np.where(is_near, [1.0, 0.0], rectangles.axis),
        np.where(is_near, sides, rectangles.size),
    )


def _outlines(
    mask: npt.NDArray[np.bool_], labels: npt.NDArray[np.int32], boxes: Ints, kept: Ints
) -> tuple[Ints, Ints, Ints]:
    """First and last cell of each row of the kept parts, see ``smallest_rectangles``."""
    starts, ends = runs(mask)
    stride = mask.shape[1] + 1
    rows, columns = np.divmod(starts, stride)
    index_of = np.full(len(boxes) + 1, -1, np.intp)
    index_of[kept + 1] = np.arange(len(kept))
    part = index_of[labels[rows, columns]]
    heights = boxes[kept, 3] - boxes[kept, 1]
    offsets = np.concatenate([[0], np.cumsum(heights)])
    is_kept = part >= 0
    part, rows = part[is_kept], rows[is_kept]
    slots = offsets[part] + rows - boxes[kept, 1][part]
    left = np.full(offsets[-1], np.iinfo(np.intp).max)
    right = np.zeros(offsets[-1], np.intp)
    np.minimum.at(left, slots, columns[is_kept])
    np.maximum.at(right, slots, (ends - starts + columns)[is_kept])
    return left, right, np.stack([offsets, np.append(boxes[kept, 1], 0)], axis=1)


def _hulls(left: Ints, right: Ints, tops: Ints) -> tuple[Doubles, Ints]:
    """Corners of the convex hulls of parts made of square cells, clockwise on the screen.

    Returns:
        float64[P, 2], x, y, part after part; int[P], the part of each.
    """
    heights = np.diff(tops[:, 0])
    part = np.repeat(np.arange(len(heights)), heights + 1)
    row = np.arange(len(part)) - np.repeat(np.cumsum(heights + 1) - heights - 1, heights + 1)
    y = row + tops[:-1, 1][part]
    inner = np.repeat(tops[:-1, 0], heights + 1) + row  # the row of cells below each line
    above = np.maximum(inner - 1, np.repeat(tops[:-1, 0], heights + 1))
    below = np.minimum(inner, np.repeat(tops[1:, 0], heights + 1) - 1)
    right_x = np.maximum(right[above], right[below])
    left_x = np.minimum(left[above], left[below])
    keep_right = _convex(right_x, y, part)
    keep_left = _convex(-left_x, y, part)
    x = np.concatenate([right_x[keep_right], left_x[keep_left][::-1]])
    ys = np.concatenate([y[keep_right], y[keep_left][::-1]])
    parts = np.concatenate([part[keep_right], part[keep_left][::-1]])
    order = np.argsort(parts, kind="stable")
    return np.stack([x[order], ys[order]], axis=1).astype(np.float64), parts[order]


def _convex(x: Ints, y: Ints, part: Ints) -> Ints:
    """Indices of the points on the right side of the hull, of chains with increasing y.

    A point that is not to the right of the line between its neighbours is not on the hull, even if
    they are dropped too, so all such points are dropped at once.
    """
    kept = np.arange(len(x))
    while len(kept) > 2:
        px, py, chain = x[kept], y[kept], part[kept]
        dx, dy = np.diff(px), np.diff(py)
        flat = dx[:-1] * dy[1:] <= dx[1:] * dy[:-1]
        flat &= (chain[:-2] == chain[1:-1]) & (chain[1:-1] == chain[2:])
        if not flat.any():
            break
        kept = np.delete(kept, np.flatnonzero(flat) + 1)
    return kept


def _extents(
    points: Doubles, directions: Doubles, part: Ints, starts: Ints
) -> tuple[Doubles, Doubles]:
    """Extents of the points of a part along and across each of its directions.

    Returns:
        The minima and the maxima, float64[P, 2] each.
    """
    counts = np.bincount(part, minlength=len(starts))[part]  # points projected on each edge
    ends = np.cumsum(counts)
    firsts = ends - counts
    other = np.arange(counts.sum()) - np.repeat(firsts - starts[part], counts)
    x, y = points[other].T
    ux, uy = np.repeat(directions, counts, axis=0).T
    along, across = x * ux + y * uy, y * ux - x * uy
    reach = np.stack([along, across], axis=1)
    return np.minimum.reduceat(reach, firsts), np.maximum.reduceat(reach, firsts)


def _rectangles(directions: Doubles, low: Doubles, high: Doubles) -> Rectangles:
    """Turns each rectangle by right angles until its first axis points right."""
    ux, uy = directions.T
    middle, size = (low + high) / 2, high - low
    centre = np.stack(
        [middle[:, 0] * ux - middle[:, 1] * uy, middle[:, 0] * uy + middle[:, 1] * ux], axis=1
    )
    steep = np.abs(uy) > np.abs(ux)
    axis = np.where(steep[:, None], np.stack([-uy, ux], axis=1), directions)
    size = np.where(steep[:, None], size[:, ::-1], size)
    return Rectangles(centre, axis * np.where(axis[:, :1] < 0, -1, 1), size)


def _scores(text_map: Floats, rectangles: Rectangles) -> Doubles:
    """The mean of the map in each rectangle, sampled on a grid."""
    along = (np.arange(_SAMPLE_COLUMNS) + 0.5) / _SAMPLE_COLUMNS - 0.5
    across = (np.arange(_SAMPLE_ROWS) + 0.5) / _SAMPLE_ROWS - 0.5
    points = rectangles.points(np.tile(along, _SAMPLE_ROWS), np.repeat(across, _SAMPLE_COLUMNS))
    height, width = text_map.shape
    cells = np.clip(points.astype(np.intp), 0, [width - 1, height - 1])
    return text_map[cells[..., 1], cells[..., 0]].mean(axis=1, dtype=np.float64)
