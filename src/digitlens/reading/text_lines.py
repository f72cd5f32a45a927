"""From a text map to text lines: rotated rectangles with a score; knows nothing of characters.

The post-processing of DB (Liao et al., "Real-time scene text detection with differentiable
binarization", 2020). All lines are worked on at once, which takes a few dozen array operations a
page instead of a few dozen a line.
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

TALL = 1.5  # a line higher than so many times its width may be a lone character or turned text
MOST = 3000  # lines of one map, the largest first
LEAST_SIDE = 1.5  # cells; thinner spots are noise
UPRIGHT_SLACK = 1.1  # an upright box is taken if it has at most so many times the smallest area
_ACROSS, _ALONG = 6, 32  # points of a line at which the map is looked up for its score
_THRESHOLD = 0.3  # probability from which a cell belongs to a line's core
_LEAST_SCORE = 0.5  # lines with a lower mean probability are dropped
_UNCLIP = 1.6  # a core's sides move out by so many times its area over its perimeter


@dataclass(frozen=True)
class TextLine:
    """A line of text on a page."""

    # float32[4, 2]; x, y in pixels of the page, top-left, top-right, bottom-right and bottom-left
    # in reading direction. May reach over the edge of the page.
    quad: Floats
    score: float  # mean of the text map in the line's core, 0..1
    # float32[4, 2]; the quad as it was found, if paper was added to it, else None.
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
        """Whether it can be a lone character or text that is turned by a right angle."""
        return self.height > TALL * self.width


@dataclass(frozen=True)
class Rectangles(Columns):
    """Rectangles with their axes, of which the first is at most 45° from horizontal."""

    centre: Doubles  # float64[N, 2]; x, y
    axis: Doubles  # float64[N, 2]; unit vector along the width, pointing right
    size: Doubles  # float64[N, 2]; width and height

    def points(self, along: Doubles, across: Doubles) -> Doubles:
        """Points, float64[N, P, 2], given as shares -0.5..0.5 of each one's width and height."""
        right = self.axis * self.size[:, :1]
        down = np.stack([-self.axis[:, 1], self.axis[:, 0]], axis=1) * self.size[:, 1:]
        steps = right[:, None] * along[:, None] + down[:, None] * across[:, None]
        return self.centre[:, None] + steps


def find_lines(text_map: Floats, scale: float) -> list[TextLine]:
    """Finds the text lines of a page, in the order of their first cell from the top.

    Args:
        text_map: float32[h, w], see ``LineDetector.text_map``; it has the cores of lines.
        scale: Pixels of the page a side of each cell of the map.
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
        for index in np.flatnonzero(scores >= _LEAST_SCORE)
    ]


def core_rectangles(mask: npt.NDArray[np.bool_]) -> Rectangles:
    """The smallest rectangles round the connected parts of bool[h, w], but for those of noise."""
    components = connected_components(mask)
    sides = components.boxes[:, 2:] - components.boxes[:, :2]
    kept = np.flatnonzero(sides.min(axis=1) >= LEAST_SIDE)
    if len(kept) > MOST:
        kept = np.sort(kept[np.argsort(-components.areas[kept], kind="stable")[:MOST]])
    left, right, tops = _outlines(mask, components.labels, components.boxes, kept)
    boxes = components.boxes[kept].astype(np.float64)
    rectangles = upright_where_near(smallest_rectangles(left, right, tops), boxes)
    thick = rectangles.size.min(axis=1) >= LEAST_SIDE
    return rectangles[thick]


def smallest_rectangles(left: Ints, right: Ints, tops: Ints) -> Rectangles:
    """The rectangle of the least area round each part: one of its sides is a side of the hull.

    Args:
        left: int[R]; first cell of each row of each part, part after part.
        right: int[R]; the one after the last.
        tops: int[N + 1, 2]; index in ``left`` where each part starts, and the row it starts at.
            The last one is R and means nothing else.
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
    """Takes the upright box, float64[N, 4], instead of a rectangle that is hardly smaller.

    A short line, such as a lone digit, has no direction that its outline could tell.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    near = sides.prod(axis=1) <= UPRIGHT_SLACK * rectangles.size.prod(axis=1)
    near = near[:, None]
    return Rectangles(
        np.where(near, (boxes[:, :2] + boxes[:, 2:]) / 2, rectangles.centre),
        np.where(near, [1.0, 0.0], rectangles.axis),
        np.where(near, sides, rectangles.size),
    )


def _outlines(
    mask: npt.NDArray[np.bool_], labels: npt.NDArray[np.int32], boxes: Ints, kept: Ints
) -> tuple[Ints, Ints, Ints]:
    """First and last cell of each row of the kept parts, see ``smallest_rectangles``."""
    starts, ends = runs(mask)
    stride = mask.shape[1] + 1
    rows, columns = np.divmod(starts, stride)
    number = np.full(len(boxes) + 1, -1, np.intp)
    number[kept + 1] = np.arange(len(kept))
    part = number[labels[rows, columns]]
    heights = boxes[kept, 3] - boxes[kept, 1]
    offsets = np.concatenate([[0], np.cumsum(heights)])
    wanted = part >= 0
    part, rows = part[wanted], rows[wanted]
    place = offsets[part] + rows - boxes[kept, 1][part]
    left = np.full(offsets[-1], np.iinfo(np.intp).max)
    right = np.zeros(offsets[-1], np.intp)
    np.minimum.at(left, place, columns[wanted])
    np.maximum.at(right, place, (ends - starts + columns)[wanted])
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
    """Indices of the points that stand out to the right, in chains with rising y.

    A point that is not right of the line between its neighbours is no corner of the hull, whatever
    becomes of them, so that all such points can go at once.
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
    """How far the points of a part reach along and across each of its directions.

    Returns:
        float64[P, 2] twice: the least and the largest.
    """
    counts = np.bincount(part, minlength=len(starts))[part]  # points that each edge is held to
    ends = np.cumsum(counts)
    firsts = ends - counts
    other = np.arange(counts.sum()) - np.repeat(firsts - starts[part], counts)
    x, y = points[other].T
    ux, uy = np.repeat(directions, counts, axis=0).T
    along, across = x * ux + y * uy, y * ux - x * uy
    reach = np.stack([along, across], axis=1)
    return np.minimum.reduceat(reach, firsts), np.maximum.reduceat(reach, firsts)


def _rectangles(directions: Doubles, low: Doubles, high: Doubles) -> Rectangles:
    """Turns each rectangle by quarters until its first axis points right."""
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
    """The mean of the map in each rectangle, from points on a grid."""
    along = (np.arange(_ALONG) + 0.5) / _ALONG - 0.5
    across = (np.arange(_ACROSS) + 0.5) / _ACROSS - 0.5
    points = rectangles.points(np.tile(along, _ACROSS), np.repeat(across, _ALONG))
    height, width = text_map.shape
    cells = np.clip(points.astype(np.intp), 0, [width - 1, height - 1])
    return text_map[cells[..., 1], cells[..., 0]].mean(axis=1, dtype=np.float64)
