"""Finds the ruled grid of a table on a page, however it lies there, and straightens it.

Knows rules and paper only: neither what stands in the cells nor how it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from digitlens.imaging.framing import perspective
from digitlens.imaging.image import Page, shrink
from digitlens.imaging.ink import connected_components, runs
from digitlens.imaging.quantile import median

_LOOKED_AT = 1200  # pixels: longest side of the copy in which rules are looked for
_WINDOW = 1 / 20  # of the longest side: surroundings that say what is paper
_DARKER = 0.12  # share by which ink is darker than its surroundings ...
_LEAST = 8  # ... and gray levels
_FAINTER, _SMOOTHED = 0.04, 2  # the same of pale rules; pixels over which grain is evened out
_SAME, _EVEN = 0.02, 1.35  # of a frame: so near are its corners; most of the gaps of even rules
_FEW = 4  # rows and columns: of a table with so few, the thicker rules alone may have been seen
_DARK = 100  # gray level of pages that are darker; rules may be light there
_FRAMES = 4  # largest connected drawings that may be the rules of a table
_SHARE = 0.02  # of the page: smaller ones are no table
_SIDE = 1000  # pixels: longer side of a frame that is straightened to find its rules
_AROUND = 0.03  # of a frame's sides: surroundings that are straightened with it
_RUN, _RUN_PIXELS = 0.06, 20  # of a side, and pixels: shorter strokes belong to no rule
_ROWS, _WHOLE = 1.1, 0.8  # of a row, and of a frame: as long a stroke is an upright rule
_THROUGH = 0.6  # of a frame's side that a rule covers at least
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


@dataclass(frozen=True)
class Grid:
    """The cells of a table on a page."""

    nodes: Doubles  # float64[R + 1, C + 1, 2]; x, y in pixels of the page where rules cross
    is_light: bool = False  # whether rules are lighter than what they are drawn on, as on a screen

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

    The rules of a table are one connected drawing. Its outermost corners give a homography; in the
    straightened drawing, rules are long runs of ink that go through from side to side, which may be
    bent. Where rules cross, they are looked up one by one. Rows and columns, if they are known,
    decide where rules are too pale.
    """
    gray = gray_of(shrink(page, _LOOKED_AT))
    scale = np.array([page.shape[1] / gray.shape[1], page.shape[0] / gray.shape[0]])
    is_dark = float(median(gray.astype(np.float32).ravel())) < _DARK
    for is_light in (False, True) if is_dark else (False,):
        ink = 255 - gray if is_light else gray
        nodes = _nodes_in(ink_mask(ink), shape)
        if nodes is None if shape else nodes is not None and _may_lack_rules(nodes):
            smooth = np.asarray(Image.fromarray(ink).filter(ImageFilter.BoxBlur(_SMOOTHED)))
            faint = _nodes_in(ink_mask(smooth, _FAINTER), shape)
            if nodes is None or (faint is not None and _refines(faint, nodes)):
                nodes = faint
        if nodes is not None:
            return Grid(nodes * scale, is_light)
    return None


def _nodes_in(mask: Mask, shape: Shape | None) -> Doubles | None:
    """Where the rules of the largest table cross; None where there is none."""
    found = (
        _nodes(drawing, corners, shape) for drawing, corners in _frames(_thick(_thick(mask).T).T)
    )
    return next((nodes for nodes in found if nodes is not None), None)


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


def gray_of(page: Page) -> npt.NDArray[np.uint8]:
    """uint8[H, W]: the mean of a page's colours."""
    return page if page.ndim == 2 else page.mean(axis=2).astype(np.uint8)


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


def ink_mask(gray: npt.NDArray[np.uint8], darker: float = _DARKER) -> Mask:
    """bool[H, W]: what of uint8[H, W] is darker than the mean around it, by such a share.

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
    return gray < mean - np.maximum(_LEAST * darker / _DARKER, darker * mean)


def _thick(mask: Mask) -> Mask:
    """A mask grown by a pixel upwards and downwards, which closes small gaps."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    return grown


def _frames(mask: Mask) -> Iterator[tuple[Mask, Doubles]]:
    """The largest connected drawings, and their corners float64[4, 2], clockwise from top left."""
    parts = connected_components(mask)
    sides = parts.boxes[:, 2:] - parts.boxes[:, :2]
    extent = sides.prod(axis=1) * (sides >= _RUN_PIXELS).all(axis=1)
    largest = np.argsort(-extent)[:_FRAMES]
    for number in largest[extent[largest] > _SHARE * mask.size]:
        x0, y0, x1, y1 = parts.boxes[number]
        drawing = parts.labels == number + 1
        y, x = np.nonzero(drawing[y0:y1, x0:x1])
        ends = [np.argmin(x + y), np.argmax(x - y), np.argmax(x + y), np.argmin(x - y)]
        yield drawing, np.stack([x[ends] + x0, y[ends] + y0], axis=1) + 0.5


def _nodes(mask: Mask, frame: Doubles, shape: Shape | None) -> Doubles | None:
    """Where the rules of a frame cross, float64[R + 1, C + 1, 2]; None if it is no table."""
    lengths = np.linalg.norm(np.roll(frame, -1, axis=0) - frame, axis=1)
    sides = np.maximum([lengths[[1, 3]].mean(), lengths[[0, 2]].mean()], 1)
    height, width = np.maximum(2 * _RUN_PIXELS, np.rint(sides * _SIDE / sides.max())).astype(int)
    matrix = perspective(frame, (int(width), int(height)))
    around = int(_AROUND * max(width, height))
    y, x = np.mgrid[-around : height + around, -around : width + around]
    drawing = _looked_up(mask, _mapped(matrix, x + 0.5, y + 0.5))
    levels = _long_runs(drawing, _RUN * drawing.shape[1])
    rows = _rules(levels, around)
    # Digits have upright strokes, but none that is higher than its row.
    room = float(median(np.diff(rows))) if len(rows) > 1 else 0.0
    uprights = _long_runs(drawing.T, max(_RUN * len(drawing), min(_ROWS * room, _WHOLE * height)))
    columns = _rules(uprights, around)
    if shape:
        rows, columns = _fitted(rows, shape[0]), _fitted(columns, shape[1])
    if not (_is_ruled(levels, rows) and _is_ruled(uprights, columns)):
        return None
    if len(rows) == len(columns) == 2 and shape != (1, 1):
        return None
    down, across = _traced(levels, rows, columns), _traced(uprights, columns, rows).T
    return _mapped(matrix, across - around, down - around)


def _mapped(matrix: Doubles, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Doubles:
    """float64[..., 2]: points of a straightened frame where they were."""
    a, b, c, d, e, f, g, h = matrix
    depth = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=-1)


def _looked_up(mask: Mask, points: Doubles) -> Mask:
    x, y = np.floor(points).astype(int).transpose(2, 0, 1)
    there = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return mask[np.where(there, y, 0), np.where(there, x, 0)] & there


def _long_runs(drawing: Mask, least: float) -> Mask:
    """What is part of a horizontal stroke of a least length, slightly sloping ones among them."""
    starts, ends = runs(_thick(drawing))
    long = ends - starts >= max(_RUN_PIXELS, least)
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
