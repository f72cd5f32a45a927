"""Finds the ruled grid of a table on a page, however it lies there, and straightens it.

Knows rules and paper only: neither what stands in the cells nor how it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.framing import perspective
from digitlens.imaging.image import Page, shrink
from digitlens.imaging.ink import Components, connected_components, runs
from digitlens.imaging.quantile import median, quantile

_LOOKED_AT = 1200  # pixels: longest side of the copy in which rules are looked for
_WINDOW = 1 / 20  # of the longest side: surroundings that say what is paper
_DARKER, _LEAST = 0.12, 8  # share and gray levels by which ink is darker than its surroundings
_AWAY = (2, 4, 8)  # pixels: so far from a rule there is paper, above and below
_ALONG, _STRAIGHT = 9, 15  # pixels along a rule over which grain is evened out; once it is level
_CLEAR = (6.0, 3.5, 2.5)  # times the grain by which a rule is darker: clear ones, pale ones ...
_FAINTEST, _THROUGH_PAPER = 2.0, 0.1  # ... at least gray levels, and of ink: less shows through
_CLIP = 2.0  # times that, as which the darkest stroke counts
_STROKE = 14  # pixels: shorter strokes are no part of a rule
_GAP = 8  # pixels that a rule may lack where it crosses another one
_LONG = 0.4  # of the longest rule: outermost rules of a table are longer
_EACH, _ROUNDS = 3, 4  # a line is fitted to every third column of a stroke, in so many rounds
_SAME, _EVEN = 0.02, 1.35  # of a frame: so near are its corners; most of the gaps of even rules
_FEW = 4  # rows and columns: of a table with so few, the thicker rules alone may have been seen
_DARK = 100  # gray level of pages that are darker; rules may be light there
_FRAMES = 2  # largest connected drawings that may be the rules of a table
_SHARE = 0.02  # of the page: smaller ones are no table
_SIDE = 1000  # pixels: longer side of a frame that is straightened to find its rules
_AROUND = 0.03  # of a frame's sides: surroundings that are straightened with it
_RUN, _SMALLEST = 0.06, 40  # of a side: shorter strokes belong to no rule; pixels of a side
_ROWS, _WHOLE = 1.1, 0.8  # of a row, and of a frame: as long a stroke is an upright rule
_THROUGH = 0.6  # of a frame's side that a rule covers at least
_FILLED = 0.8  # of a frame that its rules take up at least
_BENT = (0.003, 0.006, 0.012)  # of a side: so far a rule may be from straight
_DOUBLE = 0.3  # of the usual distance: nearer ones are one rule, drawn twice
_MOST = 250  # rows or columns; more are a pattern and no table
_REACH = 0.2  # of the smallest side of a cell: so far from its place a rule is painted over
_EDGE = 0.15  # of the contrast of a rule, to which its edges fall
_LARGEST = 2560  # pixels: longer side of a straightened table
_BETWEEN = 0.15  # of what lies in the middle between rules may be long strokes
_ENOUGH = 0.4  # of the rules of a known number of cells that are seen at least
_SNAP = 0.15  # of a cell: how far from even its rules may be where some are too pale

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Shape = tuple[int, int]
Level = TypeVar("Level", np.bool_, np.int16)


@dataclass(frozen=True)
class Grid:
    """The cells of a table on a page."""

    nodes: Doubles  # float64[R + 1, C + 1, 2]; x, y in pixels of the page where rules cross
    # float64[3]; how ink differs from paper in red, green and blue, at any scale
    ink: Doubles = field(default_factory=lambda: -np.ones(3))

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.nodes.shape[0] - 1, self.nodes.shape[1] - 1

    def quads(self) -> Doubles:
        """float64[R, C, 4, 2]: corners of each cell, clockwise from its top left."""
        nodes = self.nodes
        corners = [nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]]
        return np.stack(corners, axis=2)

    def turned(self, turn: int) -> Grid:
        """The same cells as they are read after quarter turns of the page, counter-clockwise."""
        return replace(self, nodes=np.rot90(self.nodes, turn))


def find_grid(page: Page, shape: Shape | None = None) -> Grid | None:
    """Finds the largest ruled table of a page; None where there is none.

    Rules are strokes that are darker than the paper on both of their sides, which neither shades
    nor edges are. The outermost of those that cross give a homography; in the straightened page,
    rules go through from side to side, and may be bent. Where they cross, they are looked up one by
    one. Pale rules count only where clear ones make up no table, or make one finer. Rows and
    columns, if they are known, decide where rules are too pale.
    """
    gray = gray_of(shrink(page, _LOOKED_AT)).astype(np.int16)
    scale = np.array([page.shape[1] / gray.shape[1], page.shape[0] / gray.shape[0]])
    paper = int(median(gray.astype(np.float32).ravel()))
    gray = np.pad(gray, _AWAY[-1], constant_values=paper)  # rules may lie at the edge
    grid: Grid | None = None
    for clear, sign in product(_CLEAR, (-1, 1) if paper < _DARK else (-1,)):
        if grid and grid.ink[0] != sign:
            continue
        dark = -sign * gray
        frames = _frames(_strokes(dark, clear), _strokes(dark.T, clear).T)
        found = [_nodes(dark, frame, clear, shape) for frame in frames]
        nodes = max((each for each in found if each is not None), key=np.size, default=None)
        if nodes is not None and (grid is None or _refines(nodes, grid.nodes)):
            grid = Grid(nodes, sign * np.ones(3))
        if grid and (shape or not _may_lack_rules(grid.nodes)):
            break
    return replace(grid, nodes=(grid.nodes - _AWAY[-1]) * scale) if grid else None


def _may_lack_rules(nodes: Doubles) -> bool:
    """Whether cells are few or uneven, as where rules are too pale to be seen."""
    gaps = [np.diff(_shares(nodes, axis)) for axis in (0, 1)]
    uneven = any(each.max() > _EVEN * each.min() for each in gaps)
    return uneven or max(map(len, gaps)) <= _FEW


def _refines(fine: Doubles, coarse: Doubles) -> bool:
    """Whether faint rules lie between those of the same frame, and make the cells even."""
    ends = [nodes[[0, 0, -1, -1], [0, -1, -1, 0]] for nodes in (fine, coarse)]
    if np.abs(ends[0] - ends[1]).max() > _SAME * np.ptp(ends[1], axis=0).max():
        return False
    for axis in (0, 1):
        one, other = (_shares(nodes, axis) for nodes in (fine, coarse))
        gaps = np.diff(one)
        away = np.abs(other[:, None] - one).min(axis=1)
        if away.max() > _SNAP * gaps.min():
            return False
        if len(one) != len(other) and gaps.max() > _EVEN * gaps.min():
            return False
    return fine.size > coarse.size


def _shares(nodes: Doubles, axis: int) -> Doubles:
    """float64[N]: how far along a table its rules are, from 0 to 1."""
    gaps = np.linalg.norm(np.diff(nodes, axis=axis), axis=2).mean(axis=1 - axis)
    return np.r_[0, np.cumsum(gaps)] / gaps.sum()


def _strokes(gray: npt.NDArray[np.int16], clear: float, along: int = _ALONG) -> Mask:
    """bool[H, W]: strokes along rows that are darker than what is above and below.

    ``clear`` is by how many times the usual difference, which is grain.
    """
    ridge = np.full(gray.shape, -255, np.int16)
    for away in _AWAY:
        padded = np.pad(gray, ((away, away), (0, 0)), "edge")
        np.maximum(ridge, np.minimum(padded[: -2 * away], padded[2 * away :]) - gray, out=ridge)
    mean = _mean_along(ridge, along)[::3, ::3].ravel()
    grain, ink = float(median(np.abs(mean))), float(quantile(mean, 0.99))
    least = max(_FAINTEST, clear * grain, _THROUGH_PAPER * ink)
    # A stroke of a digit, however dark, does not count for the paper beside it.
    even = np.clip(ridge, round(-_CLIP * least), round(_CLIP * least))
    return _long_runs(_mean_along(_thick(even), along) > least, _STROKE)


def _mean_along(values: npt.NDArray[np.int16], reach: int) -> npt.NDArray[np.float32]:
    """The same, averaged over so many columns."""
    before, after = reach // 2 + 1, reach - reach // 2 - 1
    sums = np.cumsum(np.pad(values, ((0, 0), (before, after)), "edge"), axis=1, dtype=np.int32)
    return np.asarray((sums[:, reach:] - sums[:, :-reach]) / reach, np.float32)


def gray_of(page: Page) -> npt.NDArray[np.uint8]:
    """uint8[H, W]: the mean of a page's colours."""
    return page if page.ndim == 2 else page.mean(axis=2).astype(np.uint8)


def with_dark_ink(page: Page, ink: Doubles) -> npt.NDArray[np.uint8]:
    """uint8[H, W]: a page as it looks where ink of a colour, see ``Grid``, is darkest."""
    share = -ink / max(float(np.abs(ink).sum()), 1e-9)
    if page.ndim == 2:
        share = share.sum(keepdims=True)
    lit = np.atleast_3d(page) @ share + 255 * np.clip(-share, 0, None).sum()
    return np.clip(lit, 0, 255).astype(np.uint8)


def straighten(page: Page, grid: Grid) -> tuple[Page, Grid]:
    """Brings a table to a picture of its own, with each cell an upright rectangle.

    Gives the picture, with some paper around the table, and the cells there.
    """
    nodes = grid.nodes
    across = np.linalg.norm(np.diff(nodes, axis=1), axis=2).mean(axis=0)
    down = np.linalg.norm(np.diff(nodes, axis=0), axis=2).mean(axis=1)
    factor = min(1.0, _LARGEST / max(across.sum(), down.sum()))
    margin = max(8, round(0.02 * factor * max(across.sum(), down.sum())))
    columns, rows = (
        margin + np.rint(np.r_[0, np.cumsum(factor * np.maximum(part, 2))]).astype(int)
        for part in (across, down)
    )
    upright = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float64)
    # Cells at the edge reach a margin further out, along their own sides.
    wide = np.r_[columns[0] - margin, columns[1:-1], columns[-1] + margin]
    high = np.r_[rows[0] - margin, rows[1:-1], rows[-1] + margin]
    outer = _extended(nodes, margin / (factor * across), margin / (factor * down))
    quads = Grid(outer).quads()[:, :, [0, 3, 2, 1]].reshape(*grid.shape, 8)
    mesh = [
        ((int(wide[c]), int(high[r]), int(wide[c + 1]), int(high[r + 1])), quads[r, c].tolist())
        for r in range(grid.shape[0])
        for c in range(grid.shape[1])
    ]
    size = (int(wide[-1]), int(high[-1]))
    image = Image.fromarray(page).transform(
        size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC
    )
    return np.asarray(image), replace(grid, nodes=upright)


def without_rules(page: Page, grid: Grid) -> Page:
    """Paints paper over the rules of a straightened page, and ink where a stroke crosses one."""
    clean = page.copy()
    columns, rows = grid.nodes[0, :, 0].astype(int), grid.nodes[:, 0, 1].astype(int)
    reach = max(3, int(_REACH * min(np.diff(rows).min(), np.diff(columns).min())))
    _paint_over(clean, rows, columns, reach)
    turned = clean.swapaxes(0, 1)  # a view: painted in place
    _paint_over(turned, columns, rows, reach)
    return clean


def _paint_over(page: Page, rows: Ints, columns: Ints, reach: int) -> None:
    """Paints over horizontal rules between columns, each stretch as thick as it is there."""
    ends = np.r_[0, columns[1:-1], page.shape[1]]
    for row in rows:
        top, bottom = max(0, row - reach), min(page.shape[0], row + reach + 1)
        for left, right in pairwise(ends):
            part = page[top:bottom, left:right]
            first, last = _thickness(part)
            if last > first:
                share = (np.arange(first, last) - first + 1) / (last - first + 1)
                share = share.reshape(-1, 1, *[1] * (page.ndim - 2))
                near = max(1, (last - first) // 4)  # pixels, averaged against noise
                above = part[max(first - near, 0) : max(first, 1)].mean(axis=0)
                below = part[min(last, len(part) - 1) : last + near].mean(axis=0)
                part[first:last] = above + share * (below - above)


def _thickness(part: Page) -> tuple[int, int]:
    """First row of a rule and the one after its last; a stretch of nothing where there is none."""
    level = median(np.ascontiguousarray(gray_of(part), np.float32))
    paper = median(np.ascontiguousarray(level[[0, 1, -2, -1]]))
    away = np.abs(level - paper)
    peak = int(away.argmax())
    if away[peak] < _LEAST:
        return 0, 0
    inked = np.r_[False, away > _EDGE * away[peak], False]
    first, last = peak, peak + 1
    while inked[first]:  # shifted by one: the row before
        first -= 1
    while inked[last + 1]:
        last += 1
    blur = 1 + (last - first) // 6
    return max(first - blur, 0), min(last + blur, len(level))


def _extended(nodes: Doubles, across: Doubles, down: Doubles) -> Doubles:
    """Nodes of which the outermost are moved out by shares of their cells."""
    outer = nodes.copy()
    outer[:, 0] += across[0] * (nodes[:, 0] - nodes[:, 1])
    outer[:, -1] += across[-1] * (nodes[:, -1] - nodes[:, -2])
    inner = outer.copy()
    outer[0] += down[0] * (inner[0] - inner[1])
    outer[-1] += down[-1] * (inner[-1] - inner[-2])
    return outer


def ink_mask(gray: npt.NDArray[np.uint8]) -> Mask:
    """bool[H, W]: what of uint8[H, W] is darker than the mean around it.

    Bradley and Roth, "Adaptive thresholding using the integral image", 2007.
    """
    reach = max(4, round(_WINDOW * max(gray.shape) / 2))
    sums = np.pad(np.cumsum(np.cumsum(gray, 0, np.int64), 1), ((1, 0), (1, 0)))
    spans = [np.arange(side) for side in gray.shape]
    (top, bottom), (left, right) = (
        (np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(at))) for at in spans
    )
    rows = sums[bottom] - sums[top]
    area = (bottom - top)[:, None] * (right - left)
    mean = (rows[:, right] - rows[:, left]) / area
    return gray < mean - np.maximum(_LEAST, _DARKER * mean)


def _thick(values: npt.NDArray[Level]) -> npt.NDArray[Level]:
    """Each value, or one next to it above or below that is higher: strokes grow by a pixel."""
    grown = values.copy()
    np.maximum(grown[1:], values[:-1], out=grown[1:])
    np.maximum(grown[:-1], values[1:], out=grown[:-1])
    return grown


def _frames(levels: Mask, uprights: Mask) -> Iterator[Doubles]:
    """What may be the corners of the largest tables, float64[4, 2], clockwise from top left.

    Each rule of a table crosses two others, which edges of the page or patterns on it seldom do.
    Corners are where the outermost rules meet, even if that is hidden, or outermost crossings.
    """
    level = connected_components(_longer(levels))
    upright = connected_components(_longer(uprights.T))
    y, x = np.nonzero((level.labels > 0) & (upright.labels.T > 0))
    pairs = np.unique(np.stack([level.labels[y, x], upright.labels[x, y]]), axis=1)
    before = -1
    while pairs.shape[1] != before:
        before = pairs.shape[1]
        for family in (0, 1):
            pairs = pairs[:, np.bincount(pairs[family])[pairs[family]] > 1]
    drawing = np.isin(level.labels, pairs[0]) | np.isin(upright.labels, pairs[1]).T
    parts = connected_components(drawing)
    part_of = np.zeros(len(level.boxes) + 1, int)
    part_of[level.labels[drawing]] = parts.labels[drawing]
    rows, columns = _fit_lines(level, pairs[0]), _fit_lines(upright, pairs[1])
    extent = (parts.boxes[:, 2:] - parts.boxes[:, :2]).prod(axis=1)
    largest = np.argsort(-extent)[:_FRAMES]
    for number in largest[extent[largest] > _SHARE * levels.size]:
        own = pairs[:, part_of[pairs[0]] == number + 1]
        if own.size:
            middle = parts.boxes[number].reshape(2, 2).mean(axis=0)
            above, below = _outermost(rows[own[0]], middle[0])
            left, right = _outermost(columns[own[1]], middle[1])
            sides = ((above, left), (above, right), (below, right), (below, left))
            yield np.array([_meeting(*pair) for pair in sides])
            here = (parts.labels[y, x] == number + 1) & np.isin(level.labels[y, x], own[0])
            u, v = x[here], y[here]
            ends = [np.argmin(u + v), np.argmax(u - v), np.argmax(u + v), np.argmin(u - v)]
            yield np.stack([u[ends], v[ends]], axis=1).astype(np.float64) + 0.5


def _fit_lines(strokes: Components, chosen: Ints) -> Doubles:
    """float64[N + 1, 3]: height at column 0, slope and length of strokes along rows.

    Least squares, reweighted so that what touches a rule hardly counts.
    """
    y, x = np.nonzero(np.isin(strokes.labels[:, ::_EACH], chosen))
    x *= _EACH
    label, n = strokes.labels[y, x], len(strokes.boxes) + 1
    weight, offset, slope = np.ones(len(x)), np.zeros(n), np.zeros(n)
    for _ in range(_ROUNDS):
        count, sx, sy, sxx, sxy = (
            np.bincount(label, weight * part, n) for part in (np.ones(len(x)), x, y, x * x, x * y)
        )
        count, spread = np.maximum(count, 1e-9), count * sxx - sx * sx
        slope = (count * sxy - sx * sy) / np.maximum(spread, 1e-9)
        offset = (sy - slope * sx) / count
        weight = 1 / (1 + (y - offset[label] - slope[label] * x) ** 2)
    length = np.r_[0, strokes.boxes[:, 2] - strokes.boxes[:, 0]]
    return np.stack([offset, slope, length], axis=1)


def _outermost(lines: Doubles, at: float) -> Doubles:
    """The first and the last of the long ones of some lines, by where they are at one place."""
    long = lines[lines[:, 2] >= _LONG * lines[:, 2].max()]
    place = long[:, 0] + long[:, 1] * at
    return long[[place.argmin(), place.argmax()]]


def _meeting(row: Doubles, column: Doubles) -> tuple[float, float]:
    """Where y = a + b x and x = c + d y meet."""
    (a, b, _), (c, d, _) = row.tolist(), column.tolist()
    x = (c + d * a) / (1 - b * d) if abs(b * d) < 1 else c
    return x + 0.5, a + b * x + 0.5


def _longer(strokes: Mask) -> Mask:
    """Strokes along rows, with short gaps closed and a little longer at both ends."""
    sums = np.cumsum(np.pad(_thick(strokes), ((0, 0), (_GAP + 1, _GAP))), axis=1, dtype=np.int32)
    return sums[:, 2 * _GAP + 1 :] > sums[:, : -2 * _GAP - 1]


def _nodes(
    gray: npt.NDArray[np.int16], frame: Doubles, clear: float, shape: Shape | None
) -> Doubles | None:
    """Where the rules of a frame cross, float64[R + 1, C + 1, 2]; None if it is no table."""
    sides = np.roll(frame, -1, axis=0) - frame
    lengths = np.linalg.norm(sides, axis=1)
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if lengths.min() < _SMALLEST or turns.min() <= 0:
        return None
    size = np.array([lengths[[1, 3]].mean(), lengths[[0, 2]].mean()])
    height, width = np.rint(size * min(1, _SIDE / size.max())).astype(int)
    matrix = perspective(frame, (int(width), int(height)))
    around = int(_AROUND * max(width, height))
    y, x = np.mgrid[-around : height + around, -around : width + around]
    upright = _looked_up(gray, _mapped(matrix, x + 0.5, y + 0.5))
    levels = _long_runs(_strokes(upright, clear, _STRAIGHT), _RUN * upright.shape[1])
    rows = _rules(levels, around)
    # Digits have upright strokes, but none that is higher than its row.
    room = float(median(np.diff(rows))) if len(rows) > 1 else 0.0
    longest = max(_RUN * len(upright), min(_ROWS * room, _WHOLE * height))
    uprights = _long_runs(_strokes(upright.T, clear, _STRAIGHT), longest)
    columns = _rules(uprights, around)
    if len(columns) > 2:  # and no line of digits is longer than its cell
        room = min(_ROWS * float(median(np.diff(columns))), _WHOLE * width)
        levels = _long_runs(levels, room)
        rows = _rules(levels, around)
    if shape:
        rows, columns = _fitted(rows, shape[0]), _fitted(columns, shape[1])
    if not (_is_ruled(levels, rows) and _is_ruled(uprights, columns)):
        return None
    if len(rows) == len(columns) == 2 and shape != (1, 1):
        return None
    if np.ptp(rows) < _FILLED * height or np.ptp(columns) < _FILLED * width:
        return None
    down, across = _traced(levels, rows, columns), _traced(uprights, columns, rows).T
    return _mapped(matrix, across - around, down - around)


def _mapped(matrix: Doubles, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Doubles:
    """float64[..., 2]: points of a straightened frame where they were."""
    a, b, c, d, e, f, g, h = matrix
    depth = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=-1)


def _looked_up(gray: npt.NDArray[np.int16], points: Doubles) -> npt.NDArray[np.int16]:
    x, y = np.floor(points).astype(int).transpose(2, 0, 1)
    return gray[np.clip(y, 0, len(gray) - 1), np.clip(x, 0, gray.shape[1] - 1)]


def _long_runs(drawing: Mask, least: float) -> Mask:
    """What is part of a horizontal stroke of a least length, slightly sloping ones among them."""
    starts, ends = runs(_thick(drawing))
    long = ends - starts >= least
    steps = np.zeros(drawing.shape[0] * (drawing.shape[1] + 1) + 1, np.int8)
    steps[starts[long]], steps[ends[long]] = 1, -1
    filled = np.cumsum(steps[:-1], dtype=np.int8).reshape(len(drawing), -1)[:, :-1]
    return filled.astype(bool)


def _rules(strokes: Mask, around: int) -> Doubles:
    """float64[N]: heights of the rules that go through, from top to bottom."""
    inner = strokes[:, around : strokes.shape[1] - around]
    found = [_through(inner, max(1, round(share * len(inner)))) for share in _BENT]
    rules = max(found, key=len)  # the straightest of those with the most
    if len(rules) > 2:
        gaps = np.diff(rules)
        usual = float(median(gaps))
        groups = np.split(rules, np.flatnonzero(gaps > _DOUBLE * usual) + 1)
        rules = np.array([group.mean() for group in groups])
    return rules


def _is_ruled(strokes: Mask, rules: Doubles) -> bool:
    """Whether there are rules, with hardly any long strokes between them, as in shades."""
    between = ((rules[:-1] + rules[1:]) / 2).astype(int)
    return 2 <= len(rules) <= _MOST and float(strokes[between].mean()) < _BETWEEN


def _through(strokes: Mask, bent: int) -> Doubles:
    """Heights at which strokes that are no further away cover most columns."""
    sums = np.pad(np.cumsum(strokes, axis=0, dtype=np.int32), ((1, 0), (0, 0)))
    at = np.arange(len(strokes))
    below, above = np.minimum(at + bent + 1, len(at)), np.maximum(at - bent, 0)
    covered = (sums[below] > sums[above]).mean(axis=1) >= _THROUGH
    starts, ends = runs(covered[None])
    weights = strokes.sum(axis=1) + 1e-6
    return np.array(
        [np.average(at[a:b], weights=weights[a:b]) for a, b in zip(starts, ends, strict=True)]
    )


def _fitted(rules: Doubles, cells: int) -> Doubles:
    """Rules of so many cells: those found, and where some are too pale, even ones between them.

    Of too many, as where a shade looks like a rule, those at even distances. None at all if too few
    are found, or others than these.
    """
    if len(rules) == cells + 1:
        return rules
    if len(rules) < _ENOUGH * (cells + 1):
        return rules[:0]
    even = np.linspace(rules[0], rules[-1], cells + 1)
    away = np.abs(even[:, None] - rules) / (even[1] - even[0])
    if len(rules) > cells:
        return rules[away.argmin(axis=1)] if (away.min(axis=1) <= _SNAP).all() else rules[:0]
    nearest = away.argmin(axis=0)
    if (away.min(axis=0) > _SNAP).any():
        return rules[:0]
    even[nearest] = rules
    return even


def _traced(strokes: Mask, rules: Doubles, crossings: Doubles) -> Doubles:
    """float64[len(rules), len(crossings)]: height of each rule near each crossing."""
    heights = np.repeat(rules[:, None], len(crossings), axis=1)
    reach = np.minimum(0.4 * np.diff(rules).min(), 0.025 * len(strokes))
    side = max(3, int(0.4 * np.diff(crossings).min()))
    for row, rule in enumerate(rules):
        top, bottom = max(0, int(rule - reach)), int(rule + reach) + 2
        away = np.full(len(crossings), np.nan)
        for column, at in enumerate(crossings.astype(int)):
            y, x = np.nonzero(strokes[top:bottom, max(0, at - side) : at + side + 1])
            if len(np.unique(x)) > 0.6 * side:
                away[column] = median(y.astype(np.float64)) + top + 0.5 - rule
        known = np.flatnonzero(~np.isnan(away))
        if len(known):
            heights[row] += np.interp(np.arange(len(crossings)), known, away[known])
    return heights
