"""Finds the ruled grid of a table on a page, in any orientation, and straightens it.

Handles rules and paper only, not the contents of cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.framing import perspective
from digitlens.imaging.image import Page, shrink
from digitlens.imaging.ink import Components, connected_components, runs
from digitlens.imaging.quantile import median, quantile
from digitlens.imaging.rule_paths import OFFSETS, RulePaths, follow_rules, ridge_of

_DETECTION_SIDE = 1200  # pixels; longest side of the copy in which rules are detected
_WINDOW = 1 / 20  # of the longest side; window whose mean is taken as paper
_INK_SHARE, _MIN_CONTRAST = 0.12, 8  # by how much ink is darker than around it; gray levels
_GRAIN_WINDOW = 9  # pixels along a rule over which grain is averaged
_CONTRASTS = (6.0, 3.5, 2.5)  # contrast of rules in multiples of the grain: clear, pale ...
_MIN_RIDGE, _SHOW_THROUGH = 2.0, 0.1  # ... minimum in gray levels, and of ink: less shows through
_CLIP_RATIO = 2.0  # multiple of that contrast at which ridges are clipped
_MIN_STROKE = 14  # pixels; minimum length of a stroke that is part of a rule
_GAP = 8  # pixels; maximum gap of a rule where it crosses another one
_LONG_SHARE = 0.4  # of the longest rule; minimum length of a table's outermost rules
_COLUMN_STEP, _ROUNDS = 3, 4  # lines are fitted to every third column of a stroke, in four rounds
_FRAME_SLACK = 0.02  # of a grid's sides; a frame that extends no further lies in the grid
_DARK_PAGE = 100  # median gray level of a page below which its rules may be light
_MAX_DRAWINGS = 2  # number of largest connected drawings that are tried as tables
_MIN_PAGE_SHARE = 0.02  # of the page; minimum size of a table
_MAX_GROWTHS, _GROWTH_CELLS = 12, 1.2  # how often a frame grows; by this much of its largest cell
_NEAR_CROSSING = 0.25  # of a cell; characters keep this far away from rules
_CLEAREST = 5  # number of clearest paths that determine the usual depth and clearness of rules
_PALE_SHARE = 0.15  # of the usual depth; paler paths count less
_CUTOFF_RANGE, _MIN_CLEARNESS = (0.4, 0.9), 0.3  # of the usual: range of the cut-off; minimum
_RULED_CLEARNESS = 1.2  # mean clearness of a table's rules, across and down ...
_ALONE_CLEARNESS = 0.6  # ... or this, if nothing else is a fifth as clear
_REACHED_SHARE = 0.5  # minimum fraction of the crossing rules that reach an outermost one
_FRAME_SIDE = 1000  # pixels; longer side of a frame that is straightened to find its rules
_FRAME_MARGIN = 0.03  # of a frame's sides; surroundings that are straightened with it
_MIN_FRAME_SIDE = 40  # pixels; minimum side of a frame
_DOUBLE_GAP = 0.3  # of the usual distance; closer rules are one rule drawn twice
_PAINT_REACH = 0.2  # of a cell's smallest side; a rule is painted over this far from its position
_EDGE_LEVEL = 0.15  # of a rule's contrast; level that delimits the rule
_MAX_SIDE = 2560  # pixels; longer side of a straightened table
_FOUND_SHARE = 0.4  # minimum fraction of rules seen if the number of cells is known
_SPACING_SLACK = 0.15  # of a cell; maximum deviation from even spacing if some rules are too pale

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Shape = tuple[int, int]
Span = tuple[float, float]
Level = TypeVar("Level", np.bool_, np.int16)


@dataclass(frozen=True)
class Grid:
    """The cells of a table on a page."""

    nodes: Doubles  # float64[R + 1, C + 1, 2]; x, y in pixels of the page where rules cross
    # float64[3]; difference of ink and paper in red, green and blue, at any scale
    ink: Doubles = field(default_factory=lambda: -np.ones(3))

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.nodes.shape[0] - 1, self.nodes.shape[1] - 1

    def quads(self) -> Doubles:
        """Returns the corners of each cell, clockwise from its top left: float64[R, C, 4, 2]."""
        nodes = self.nodes
        corners = [nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]]
        return np.stack(corners, axis=2)

    def turned(self, turn: int) -> Grid:
        """Returns the cells in reading order after ``turn`` counter-clockwise quarter turns."""
        return replace(self, nodes=np.rot90(self.nodes, turn))


def find_grid(page: Page, shape: Shape | None = None) -> Grid | None:
    """Finds the largest ruled table of a page; returns None if there is none.

    Rules are strokes that are darker than the paper on both sides, unlike shadows and edges.
    Crossing strokes form a frame, which may be a part of the table, and define a homography; in the
    straightened page, rules are followed from side to side, and the frame grows as long as they
    continue. ``shape``, rows and columns if known, resolves rules that are too pale.
    """
    gray = gray_of(shrink(page, _DETECTION_SIDE)).astype(np.int16)
    scale = np.array([page.shape[1] / gray.shape[1], page.shape[0] / gray.shape[0]])
    paper = int(median(gray.astype(np.float32).ravel()))
    gray = np.pad(gray, OFFSETS[-1], constant_values=paper)  # rules may lie at the edge
    signs = (-1, 1) if paper < _DARK_PAGE else (-1,)
    scored = next(filter(None, (_grids(gray, ratio, signs, shape) for ratio in _CONTRASTS)), None)
    if not scored:
        return None
    _, grid = max(scored, key=lambda each: each[0])
    return replace(grid, nodes=(grid.nodes - OFFSETS[-1]) * scale)


def _grids(
    gray: npt.NDArray[np.int16], ratio: float, signs: Sequence[int], shape: Shape | None
) -> list[tuple[float, Grid]]:
    """Returns tables with total clearness, for rules darker (sign -1) or lighter than paper."""
    scored: list[tuple[float, Grid]] = []
    for sign in signs:
        darkness = -sign * gray
        for frame in _frames(_strokes(darkness, ratio), _strokes(darkness.T, ratio).T):
            if any(_is_in_grid(frame, grid.nodes) for _, grid in scored):
                continue
            nodes, score = _find_nodes(darkness, frame, shape)
            if nodes is not None:
                scored.append((score, Grid(nodes, sign * np.ones(3))))
    return scored


def _is_in_grid(frame: Doubles, nodes: Doubles) -> bool:
    """Returns whether a frame lies in a grid, or barely outside it."""
    low, high = nodes.min(axis=(0, 1)), nodes.max(axis=(0, 1))
    slack = _FRAME_SLACK * (high - low)
    return bool(((frame > low - slack) & (frame < high + slack)).all())


def _strokes(gray: npt.NDArray[np.int16], ratio: float) -> Mask:
    """Returns strokes along rows, darker than paper by ``ratio`` times the grain: bool[H, W]."""
    ridge = ridge_of(gray)
    sample = _mean_of_columns(ridge, _GRAIN_WINDOW)[::3, ::3].ravel()
    grain, ink = float(median(np.abs(sample))), float(quantile(sample, 0.99))
    threshold = max(_MIN_RIDGE, ratio * grain, _SHOW_THROUGH * ink)
    # Clipped, so that a dark stroke of a digit does not spread to the paper next to it.
    clipped = np.clip(ridge, round(-_CLIP_RATIO * threshold), round(_CLIP_RATIO * threshold))
    return _long_runs(_mean_of_columns(_dilate(clipped), _GRAIN_WINDOW) > threshold, _MIN_STROKE)


def _mean_of_columns(values: npt.NDArray[np.int16], window: int) -> npt.NDArray[np.float32]:
    """Returns the values averaged over ``window`` columns."""
    before, after = window // 2 + 1, window - window // 2 - 1
    sums = np.cumsum(np.pad(values, ((0, 0), (before, after)), "edge"), axis=1, dtype=np.int32)
    return np.asarray((sums[:, window:] - sums[:, :-window]) / window, np.float32)


def gray_of(page: Page) -> npt.NDArray[np.uint8]:
    """Returns the mean of a page's colours: uint8[H, W]."""
    return page if page.ndim == 2 else page.mean(axis=2).astype(np.uint8)


def with_dark_ink(page: Page, ink: Doubles) -> npt.NDArray[np.uint8]:
    """Converts a page to gray so that ink of a colour, see ``Grid``, is darkest: uint8[H, W]."""
    weights = -ink / max(float(np.abs(ink).sum()), 1e-9)
    if page.ndim == 2:
        weights = weights.sum(keepdims=True)
    gray = np.atleast_3d(page) @ weights + 255 * np.clip(-weights, 0, None).sum()
    return np.clip(gray, 0, 255).astype(np.uint8)


def straighten(page: Page, grid: Grid) -> tuple[Page, Grid]:
    """Straightens a table to a separate picture, with each cell an upright rectangle.

    Returns the picture, with a margin of paper around the table, and the grid in it.
    """
    nodes = grid.nodes
    widths = np.linalg.norm(np.diff(nodes, axis=1), axis=2).mean(axis=0)
    heights = np.linalg.norm(np.diff(nodes, axis=0), axis=2).mean(axis=1)
    factor = min(1.0, _MAX_SIDE / max(widths.sum(), heights.sum()))
    margin = max(8, round(0.02 * factor * max(widths.sum(), heights.sum())))
    columns, rows = (
        margin + np.rint(np.r_[0, np.cumsum(factor * np.maximum(sizes, 2))]).astype(int)
        for sizes in (widths, heights)
    )
    upright = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float64)
    # Outer cells are extended by the margin, along their own sides.
    xs = np.r_[columns[0] - margin, columns[1:-1], columns[-1] + margin]
    ys = np.r_[rows[0] - margin, rows[1:-1], rows[-1] + margin]
    outer = _extend_cells(nodes, margin / (factor * widths), margin / (factor * heights))
    quads = Grid(outer).quads()[:, :, [0, 3, 2, 1]].reshape(*grid.shape, 8)
    mesh = [
        ((int(xs[c]), int(ys[r]), int(xs[c + 1]), int(ys[r + 1])), quads[r, c].tolist())
        for r, c in np.ndindex(*grid.shape)
    ]
    method, cubic = Image.Transform.MESH, Image.Resampling.BICUBIC
    image = Image.fromarray(page).transform((int(xs[-1]), int(ys[-1])), method, mesh, cubic)
    return np.asarray(image), replace(grid, nodes=upright)


def without_rules(page: Page, grid: Grid) -> Page:
    """Paints paper over the rules of a straightened page, keeping strokes that cross them."""
    clean = page.copy()
    columns, rows = grid.nodes[0, :, 0].astype(int), grid.nodes[:, 0, 1].astype(int)
    reach = max(3, int(_PAINT_REACH * min(np.diff(rows).min(), np.diff(columns).min())))
    _paint_over_rules(clean, rows, columns, reach)
    turned = clean.swapaxes(0, 1)  # a view: painted in place
    _paint_over_rules(turned, columns, rows, reach)
    return clean


def _paint_over_rules(page: Page, rows: Ints, columns: Ints, reach: int) -> None:
    """Paints over horizontal rules, between each pair of columns with the thickness found there."""
    ends = np.r_[0, columns[1:-1], page.shape[1]]
    for row in rows:
        top, bottom = max(0, row - reach), min(page.shape[0], row + reach + 1)
        for left, right in pairwise(ends):
            patch = page[top:bottom, left:right]
            first, last = _rule_rows(patch)
            if last > first:
                share = (np.arange(first, last) - first + 1) / (last - first + 1)
                share = share.reshape(-1, 1, *[1] * (page.ndim - 2))
                averaged = max(1, (last - first) // 4)  # pixels averaged to reduce noise
                above = patch[max(first - averaged, 0) : max(first, 1)].mean(axis=0)
                below = patch[min(last, len(patch) - 1) : last + averaged].mean(axis=0)
                patch[first:last] = above + share * (below - above)


def _rule_rows(patch: Page) -> tuple[int, int]:
    """Returns the first row of a rule and the one after its last; (0, 0) if there is none."""
    level = median(np.ascontiguousarray(gray_of(patch), np.float32))
    paper = median(np.ascontiguousarray(level[[0, 1, -2, -1]]))
    contrast = np.abs(level - paper)
    peak = int(contrast.argmax())
    if contrast[peak] < _MIN_CONTRAST:
        return 0, 0
    inked = np.r_[False, contrast > _EDGE_LEVEL * contrast[peak], False]
    first, last = peak, peak + 1
    while inked[first]:  # shifted by one: the row before
        first -= 1
    while inked[last + 1]:
        last += 1
    blur = 1 + (last - first) // 6
    return max(first - blur, 0), min(last + blur, len(level))


def _extend_cells(nodes: Doubles, widths: Doubles, heights: Doubles) -> Doubles:
    """Moves the outermost nodes out by fractions of their cells."""
    outer = nodes.copy()
    outer[:, 0] += widths[0] * (nodes[:, 0] - nodes[:, 1])
    outer[:, -1] += widths[-1] * (nodes[:, -1] - nodes[:, -2])
    inner = outer.copy()
    outer[0] += heights[0] * (inner[0] - inner[1])
    outer[-1] += heights[-1] * (inner[-1] - inner[-2])
    return outer


def ink_mask(gray: npt.NDArray[np.uint8]) -> Mask:
    """Returns a mask bool[H, W] of pixels uint8[H, W] darker than the mean around them.

    Bradley and Roth, "Adaptive thresholding using the integral image", 2007.
    """
    reach = max(4, round(_WINDOW * max(gray.shape) / 2))
    sums = np.pad(np.cumsum(np.cumsum(gray, 0, np.int64), 1), ((1, 0), (1, 0)))
    spans = [np.arange(side) for side in gray.shape]
    (top, bottom), (left, right) = (
        (np.maximum(i - reach, 0), np.minimum(i + reach + 1, len(i))) for i in spans
    )
    rows = sums[bottom] - sums[top]
    area = (bottom - top)[:, None] * (right - left)
    mean = (rows[:, right] - rows[:, left]) / area
    return gray < mean - np.maximum(_MIN_CONTRAST, _INK_SHARE * mean)


def _dilate(values: npt.NDArray[Level]) -> npt.NDArray[Level]:
    """Dilates by one pixel up and down."""
    grown = values.copy()
    np.maximum(grown[1:], values[:-1], out=grown[1:])
    np.maximum(grown[:-1], values[1:], out=grown[:-1])
    return grown


def _frames(levels: Mask, uprights: Mask) -> Iterator[Doubles]:
    """Yields candidate corners of the largest tables, float64[4, 2], clockwise from top left.

    Each rule of a table crosses two others, which edges of a page and patterns on it rarely do.
    Corners are intersections of the outermost rules, which may be hidden, or outermost crossings.
    """
    level = connected_components(_close_gaps(levels))
    upright = connected_components(_close_gaps(uprights.T))
    y, x = np.nonzero((level.labels > 0) & (upright.labels.T > 0))
    pairs = np.unique(np.stack([level.labels[y, x], upright.labels[x, y]]), axis=1)
    previous_count = -1
    while pairs.shape[1] != previous_count:
        previous_count = pairs.shape[1]
        for family in (0, 1):
            pairs = pairs[:, np.bincount(pairs[family])[pairs[family]] > 1]
    drawing = np.isin(level.labels, pairs[0]) | np.isin(upright.labels, pairs[1]).T
    parts = connected_components(drawing)
    part_of = np.zeros(len(level.boxes) + 1, int)
    part_of[level.labels[drawing]] = parts.labels[drawing]
    rows, columns = _fit_lines(level, pairs[0]), _fit_lines(upright, pairs[1])
    extent = (parts.boxes[:, 2:] - parts.boxes[:, :2]).prod(axis=1)
    largest = np.argsort(-extent)[:_MAX_DRAWINGS]
    for number in largest[extent[largest] > _MIN_PAGE_SHARE * levels.size]:
        crossings = pairs[:, part_of[pairs[0]] == number + 1]
        if crossings.size:
            middle = parts.boxes[number].reshape(2, 2).mean(axis=0)
            above, below = _outermost_lines(rows[crossings[0]], middle[0])
            left, right = _outermost_lines(columns[crossings[1]], middle[1])
            sides = ((above, left), (above, right), (below, right), (below, left))
            yield np.array([_intersection(*pair) for pair in sides])
            inside = (parts.labels[y, x] == number + 1) & np.isin(level.labels[y, x], crossings[0])
            u, v = x[inside], y[inside]
            corners = [np.argmin(u + v), np.argmax(u - v), np.argmax(u + v), np.argmin(u - v)]
            yield np.stack([u[corners], v[corners]], axis=1).astype(np.float64) + 0.5


def _fit_lines(strokes: Components, chosen: Ints) -> Doubles:
    """Fits lines to strokes along rows; returns y at column 0, slope, length: float64[N + 1, 3].

    Iteratively reweighted least squares: pixels of whatever touches a rule get little weight.
    """
    y, x = np.nonzero(np.isin(strokes.labels[:, ::_COLUMN_STEP], chosen))
    x *= _COLUMN_STEP
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


def _outermost_lines(lines: Doubles, position: float) -> Doubles:
    """Returns the first and the last of the long lines, by their offsets at ``position``."""
    long = lines[lines[:, 2] >= _LONG_SHARE * lines[:, 2].max()]
    offset = long[:, 0] + long[:, 1] * position
    return long[[offset.argmin(), offset.argmax()]]


def _intersection(row: Doubles, column: Doubles) -> tuple[float, float]:
    """Returns the intersection of y = a + b x and x = c + d y."""
    (a, b, _), (c, d, _) = row.tolist(), column.tolist()
    x = (c + d * a) / (1 - b * d) if abs(b * d) < 1 else c
    return x + 0.5, a + b * x + 0.5


def _close_gaps(strokes: Mask) -> Mask:
    """Closes short gaps of strokes along rows, and extends the strokes slightly at both ends."""
    sums = np.cumsum(np.pad(_dilate(strokes), ((0, 0), (_GAP + 1, _GAP))), axis=1, dtype=np.int32)
    return sums[:, 2 * _GAP + 1 :] > sums[:, : -2 * _GAP - 1]


def _find_nodes(
    gray: npt.NDArray[np.int16], frame: Doubles, shape: Shape | None
) -> tuple[Doubles | None, float]:
    """Returns the crossings of a frame's rules, float64[R + 1, C + 1, 2], and their clearness.

    The frame grows as long as its rules continue beyond it.
    """
    margin, size, nodes, score = (_FRAME_MARGIN, _FRAME_MARGIN), (0, 0), None, 0.0
    for _ in range(_MAX_GROWTHS):
        straight = _straighten_frame(gray, frame, margin)
        if straight is None:
            break
        upright, matrix, margins, spans = straight
        rows = follow_rules(upright, spans[0])
        columns = follow_rules(np.ascontiguousarray(upright.T), spans[1])
        rows, columns, clearness = _select_rules(rows, columns, spans, shape)
        counts = len(rows.heights), len(columns.heights)
        if not clearness or min(counts) < 2 or (max(counts) == 2 and shape != (1, 1)):
            break
        crossings = _to_page(matrix, *(_crossings(rows, columns) - margins).transpose(2, 0, 1))
        if clearness >= score:
            score, nodes = clearness, crossings
        if counts[0] <= size[0] and counts[1] <= size[1]:
            break
        size = counts
        frame = crossings[[0, 0, -1, -1], [0, -1, -1, 0]]
        widest, highest = (float(np.diff(_fractions(crossings, axis)).max()) for axis in (1, 0))
        margin = _GROWTH_CELLS * widest, _GROWTH_CELLS * highest
    return nodes, score


def _straighten_frame(
    gray: npt.NDArray[np.int16], frame: Doubles, margin: Span
) -> tuple[npt.NDArray[np.int16], Doubles, Doubles, tuple[Span, Span]] | None:
    """Straightens a frame with a margin relative to its sides; None if it is small or not convex.

    Returns picture, homography to the page, margins, and the spans of the frame in the picture.
    """
    sides = np.roll(frame, -1, axis=0) - frame
    lengths = np.linalg.norm(sides, axis=1)
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if lengths.min() < _MIN_FRAME_SIDE or turns.min() <= 0:
        return None
    size = np.array([lengths[[0, 2]].mean(), lengths[[1, 3]].mean()])
    width, height = np.rint(size * min(1, _FRAME_SIDE / size.max())).astype(int).tolist()
    matrix = perspective(frame, (width, height))
    pad_x, pad_y = int(margin[0] * width) + OFFSETS[-1], int(margin[1] * height) + OFFSETS[-1]
    y, x = np.mgrid[-pad_y : height + pad_y, -pad_x : width + pad_x]
    x, y = np.floor(_to_page(matrix, x + 0.5, y + 0.5)).astype(int).transpose(2, 0, 1)
    upright = gray[np.clip(y, 0, len(gray) - 1), np.clip(x, 0, gray.shape[1] - 1)]
    spans = (float(pad_x), float(pad_x + width)), (float(pad_y), float(pad_y + height))
    return upright, matrix, np.array([pad_x, pad_y]), spans


def _select_rules(
    rows: RulePaths, columns: RulePaths, spans: Sequence[Span], shape: Shape | None
) -> tuple[RulePaths, RulePaths, float]:
    """Selects the rules among the paths across and down a table; returns them in order.

    Also returns their total clearness, 0 if they are not clear enough, as with lines of text.
    """
    n_rows, n_columns = shape or (None, None)
    levels = rows.take(_clear_paths(rows, _clearness(rows, spans[0])))
    uprights = columns.take(_clear_paths(columns, _clearness(columns, spans[1], levels)))
    clearness = _clearness(rows, spans[0], uprights)
    levels = rows.take(_clear_paths(rows, clearness))
    clearness = _clearness(columns, spans[1], levels)
    uprights = columns.take(_clear_paths(columns, clearness))
    size = 0, 0
    while size != (size := (len(levels.heights), len(uprights.heights))) and min(size) > 1:
        levels = _drop_unreached(levels, uprights)
        uprights = _drop_unreached(uprights, levels)
    clearness = [
        _clearness(one, span, other)
        for one, span, other in ((levels, spans[0], uprights), (uprights, spans[1], levels))
    ]
    others = _clearness(rows, spans[0], uprights), _clearness(columns, spans[1], levels)
    for kept, tried in zip(clearness, others, strict=True):
        usual = float(kept.mean()) if len(kept) else 0.0
        runner_up = float(np.sort(tried)[-len(kept) - 1]) if len(tried) > len(kept) else 0.0
        if usual < _RULED_CLEARNESS and (usual < _ALONE_CLEARNESS or runner_up > usual / 5):
            return levels, uprights, 0.0
    total = float(sum(each.sum() for each in clearness))
    return _match_cells(levels, rows, n_rows), _match_cells(uprights, columns, n_columns), total


def _clearness(rules: RulePaths, span: Span, others: RulePaths | None = None) -> Doubles:
    """Returns the clearness of paths float64[N], over all strips and those near crossing rules.

    Characters keep away from crossings. Paths much paler than the clearest show through the paper.
    """
    in_span = (rules.xs > span[0]) & (rules.xs < span[1])
    clearness = rules.gains[:, in_span].mean(axis=1)
    if others is not None and len(others.heights) > 1:
        positions = others.heights.mean(axis=1)
        distance = np.abs(rules.xs[:, None] - positions).min(axis=1)
        near_crossing = in_span & (distance < _NEAR_CROSSING * float(median(np.diff(positions))))
        if near_crossing.any():
            clearness = (clearness + rules.gains[:, near_crossing].mean(axis=1)) / 2
    if not len(clearness):
        return clearness
    depth = float(median(rules.depths[np.argsort(-clearness)[:_CLEAREST]]))
    return clearness * np.clip(rules.depths / max(_PALE_SHARE * depth, 1e-9), 0, 1)


def _clear_paths(rules: RulePaths, clearness: Doubles) -> Ints:
    """Returns the indices of clear paths, in order: the clearest, up to the largest drop."""
    order = np.argsort(-clearness, kind="stable")
    ordered = np.append(clearness[order], 0.0)
    usual = ordered[ordered >= ordered[:_CLEAREST].mean() / 2]
    level = float(median(usual)) if len(usual) else 0.0
    low, high = (max(share * level, _MIN_CLEARNESS) for share in _CUTOFF_RANGE)
    drops = np.log(np.maximum(ordered[:-1], 1e-9) / np.maximum(ordered[1:], low / 2))
    drops[(ordered[:-1] < low) | (ordered[1:] > high)] = -1
    if not len(drops) or drops.max() < 0:
        return order[:0]
    clear = order[: int(drops.argmax()) + 1]
    positions = rules.heights.mean(axis=1)
    clear = clear[np.argsort(positions[clear])]
    gaps = np.diff(positions[clear])
    if len(gaps) > 1:  # close paths are one rule drawn twice
        groups = np.split(clear, np.flatnonzero(gaps > _DOUBLE_GAP * float(median(gaps))) + 1)
        clear = np.array([group[clearness[group].argmax()] for group in groups])
    return _add_even_paths(clear, positions, clearness)


def _add_even_paths(clear: Ints, positions: Doubles, clearness: Doubles) -> Ints:
    """Adds faint paths in the gaps between clear paths if those are evenly spaced."""
    gaps = np.diff(positions[clear])
    if len(gaps) <= 2:
        return clear
    cells = gaps / float(median(gaps))
    count = np.rint(cells).astype(int)
    if np.abs(cells - count).max() > _SPACING_SLACK:
        return clear
    faint, indices = np.flatnonzero(clearness > 0), clear.tolist()
    for first, last, parts in zip(positions[clear[:-1]], positions[clear[1:]], count, strict=True):
        for position in np.linspace(first, last, parts + 1)[1:-1]:
            distance = np.abs(positions[faint] - position)
            if distance.min() < _SPACING_SLACK * float(median(gaps)):
                indices.append(int(faint[distance.argmin()]))
    return np.array(sorted(indices, key=lambda each: float(positions[each])))


def _match_cells(rules: RulePaths, paths: RulePaths, cells: int | None) -> RulePaths:
    """Returns evenly spaced rules if their number does not match the known number of cells.

    Returns no rules if too few of the even ones are close to paths that were found.
    """
    if cells is None or len(rules.heights) in {0, 1, cells + 1}:
        return rules
    positions, path_positions = rules.heights.mean(axis=1), paths.heights.mean(axis=1)
    even = np.linspace(positions[0], positions[-1], cells + 1)
    slack = _SPACING_SLACK * (even[1] - even[0])
    distance = np.abs(even[:, None] - path_positions)
    is_found, nearest = distance.min(axis=1) <= slack, distance.argmin(axis=1)
    has_more = len(positions) > cells + 1
    fits = is_found if has_more else np.abs(positions[:, None] - even).min(axis=1) <= slack
    if not fits.all() or is_found.mean() < _FOUND_SHARE:
        return rules.take(np.arange(0))
    share = np.linspace(0, 1, cells + 1)[:, None]
    heights = rules.heights[0] + share * (rules.heights[-1] - rules.heights[0])
    heights[is_found] = paths.heights[nearest[is_found]]
    return replace(paths.take(nearest), heights=heights)


def _drop_unreached(rules: RulePaths, others: RulePaths) -> RulePaths:
    """Removes outermost rules that most of the crossing rules do not reach."""
    positions, kept = rules.heights.mean(axis=1), [*range(len(rules.heights))]
    for end, inwards in ((0, 1), (-1, -1)):
        while len(kept) > 1:
            low, high = sorted((positions[kept[end]], positions[kept[end + inwards]]))
            between = (others.xs > low) & (others.xs < high)
            if not between.any() or others.seen[:, between].mean() >= _REACHED_SHARE:
                break
            kept.pop(end)
    return rules.take(np.array(kept))


def _crossings(rows: RulePaths, columns: RulePaths) -> Doubles:
    """Returns the crossings of paths: float64[R, C, 2]."""
    y = np.repeat(rows.heights.mean(axis=1)[:, None], len(columns.heights), axis=1)
    x = np.repeat(columns.heights.mean(axis=1)[None], len(rows.heights), axis=0)
    for _ in range(_ROUNDS):
        x = _interpolate(columns, y.T).T
        y = _interpolate(rows, x)
    return np.stack([x, y], axis=-1)


def _interpolate(paths: RulePaths, positions: Doubles) -> Doubles:
    """Interpolates each of N paths at M positions of its own: float64[N, M]."""
    pairs = zip(positions, paths.heights, strict=True)
    return np.stack([np.interp(xs, paths.xs, path) for xs, path in pairs])


def _fractions(nodes: Doubles, axis: int) -> Doubles:
    """Returns the positions of a table's rules along it, from 0 to 1: float64[N]."""
    gaps = np.linalg.norm(np.diff(nodes, axis=axis), axis=2).mean(axis=1 - axis)
    return np.r_[0, np.cumsum(gaps)] / gaps.sum()


def _to_page(matrix: Doubles, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Doubles:
    """Maps points of a straightened frame back to the page: float64[..., 2]."""
    a, b, c, d, e, f, g, h = matrix
    depth = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=-1)


def _long_runs(drawing: Mask, least: float) -> Mask:
    """Returns the horizontal strokes with a minimum length, including slightly sloping ones."""
    starts, ends = runs(_dilate(drawing))
    long = ends - starts >= least
    steps = np.zeros(drawing.shape[0] * (drawing.shape[1] + 1) + 1, np.int8)
    steps[starts[long]], steps[ends[long]] = 1, -1
    filled = np.cumsum(steps[:-1], dtype=np.int8).reshape(len(drawing), -1)[:, :-1]
    return filled.astype(bool)
