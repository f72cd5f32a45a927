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
from digitlens.imaging.rule_paths import AWAY, RulePaths, follow_rules, ridge_of

_LOOKED_AT = 1200  # pixels; longest side of the copy in which rules are detected
_WINDOW = 1 / 20  # of the longest side; window whose mean is taken as paper
_DARKER, _LEAST = 0.12, 8  # fraction and gray levels by which ink is darker than its surroundings
_ALONG = 9  # pixels along a rule over which grain is averaged
_CLEAR = (6.0, 3.5, 2.5)  # contrast of rules as a multiple of the grain: clear ones, pale ones ...
_FAINTEST, _THROUGH_PAPER = 2.0, 0.1  # ... minimum in gray levels, and of ink: less shows through
_CLIP = 2.0  # multiple of that contrast at which ridges are clipped
_STROKE = 14  # pixels; minimum length of a stroke that is part of a rule
_GAP = 8  # pixels; maximum gap of a rule where it crosses another one
_LONG = 0.4  # of the longest rule; minimum length of a table's outermost rules
_EACH, _ROUNDS = 3, 4  # lines are fitted to every third column of a stroke, in four rounds
_SAME = 0.02  # of a grid's sides; a frame that extends no further lies in the grid
_DARK = 100  # median gray level of a page below which its rules may be light
_FRAMES = 2  # number of largest connected drawings that are tried as tables
_SHARE = 0.02  # of the page; minimum size of a table
_GROWS, _BEYOND = 12, 1.2  # maximum number of times a frame grows; by this much of its largest cell
_QUARTER = 0.25  # of a cell; characters keep this far away from rules
_CLEAREST = 5  # number of clearest paths that determine the usual depth and clearness of rules
_PALE = 0.15  # of the usual depth; paler paths count less
_UNCLEAR, _LEAST_CLEAR = (0.4, 0.9), 0.3  # of the usual clearness: range of the cut-off; minimum
_RULED = 1.2  # mean clearness of a table's rules, across and down ...
_HARDLY = 0.6  # ... or this, if nothing else is a fifth as clear
_REACHED = 0.5  # minimum fraction of the crossing rules that reach an outermost one
_SIDE = 1000  # pixels; longer side of a frame that is straightened to find its rules
_AROUND = 0.03  # of a frame's sides; surroundings that are straightened with it
_SMALLEST = 40  # pixels; minimum side of a frame
_DOUBLE = 0.3  # of the usual distance; closer rules are one rule drawn twice
_REACH = 0.2  # of the smallest side of a cell; distance from its position to paint over a rule
_EDGE = 0.15  # of a rule's contrast; level that delimits the rule
_LARGEST = 2560  # pixels; longer side of a straightened table
_ENOUGH = 0.4  # minimum fraction of rules seen if the number of cells is known
_SNAP = 0.15  # of a cell; maximum deviation from even spacing if some rules are too pale

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
    gray = gray_of(shrink(page, _LOOKED_AT)).astype(np.int16)
    scale = np.array([page.shape[1] / gray.shape[1], page.shape[0] / gray.shape[0]])
    paper = int(median(gray.astype(np.float32).ravel()))
    gray = np.pad(gray, AWAY[-1], constant_values=paper)  # rules may lie at the edge
    signs = (-1, 1) if paper < _DARK else (-1,)
    found = next(filter(None, (_grids(gray, clear, signs, shape) for clear in _CLEAR)), None)
    if not found:
        return None
    _, grid = max(found, key=lambda each: each[0])
    return replace(grid, nodes=(grid.nodes - AWAY[-1]) * scale)


def _grids(
    gray: npt.NDArray[np.int16], clear: float, signs: Sequence[int], shape: Shape | None
) -> list[tuple[float, Grid]]:
    """Returns tables with total clearness, for rules darker (sign -1) or lighter than paper."""
    found: list[tuple[float, Grid]] = []
    for sign in signs:
        dark = -sign * gray
        for frame in _frames(_strokes(dark, clear), _strokes(dark.T, clear).T):
            if any(_is_in(frame, grid.nodes) for _, grid in found):
                continue
            nodes, score = _nodes(dark, frame, shape)
            if nodes is not None:
                found.append((score, Grid(nodes, sign * np.ones(3))))
    return found


def _is_in(frame: Doubles, nodes: Doubles) -> bool:
    """Returns whether a frame lies in a grid, or barely outside it."""
    low, high = nodes.min(axis=(0, 1)), nodes.max(axis=(0, 1))
    room = _SAME * (high - low)
    return bool(((frame > low - room) & (frame < high + room)).all())


def _strokes(gray: npt.NDArray[np.int16], clear: float) -> Mask:
    """Returns strokes along rows, darker than paper by ``clear`` times the grain: bool[H, W]."""
    ridge = ridge_of(gray)
    mean = _mean_along(ridge, _ALONG)[::3, ::3].ravel()
    grain, ink = float(median(np.abs(mean))), float(quantile(mean, 0.99))
    least = max(_FAINTEST, clear * grain, _THROUGH_PAPER * ink)
    # Clipped, so that a dark stroke of a digit does not spread to the paper next to it.
    even = np.clip(ridge, round(-_CLIP * least), round(_CLIP * least))
    return _long_runs(_mean_along(_thick(even), _ALONG) > least, _STROKE)


def _mean_along(values: npt.NDArray[np.int16], reach: int) -> npt.NDArray[np.float32]:
    """Returns the values averaged over ``reach`` columns."""
    before, after = reach // 2 + 1, reach - reach // 2 - 1
    sums = np.cumsum(np.pad(values, ((0, 0), (before, after)), "edge"), axis=1, dtype=np.int32)
    return np.asarray((sums[:, reach:] - sums[:, :-reach]) / reach, np.float32)


def gray_of(page: Page) -> npt.NDArray[np.uint8]:
    """Returns the mean of a page's colours: uint8[H, W]."""
    return page if page.ndim == 2 else page.mean(axis=2).astype(np.uint8)


def with_dark_ink(page: Page, ink: Doubles) -> npt.NDArray[np.uint8]:
    """Converts a page to gray so that ink of a colour, see ``Grid``, is darkest: uint8[H, W]."""
    share = -ink / max(float(np.abs(ink).sum()), 1e-9)
    if page.ndim == 2:
        share = share.sum(keepdims=True)
    lit = np.atleast_3d(page) @ share + 255 * np.clip(-share, 0, None).sum()
    return np.clip(lit, 0, 255).astype(np.uint8)


def straighten(page: Page, grid: Grid) -> tuple[Page, Grid]:
    """Straightens a table to a separate picture, with each cell an upright rectangle.

    Returns the picture, with a margin of paper around the table, and the grid in it.
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
    # Outer cells are extended by the margin, along their own sides.
    wide = np.r_[columns[0] - margin, columns[1:-1], columns[-1] + margin]
    high = np.r_[rows[0] - margin, rows[1:-1], rows[-1] + margin]
    outer = _extended(nodes, margin / (factor * across), margin / (factor * down))
    quads = Grid(outer).quads()[:, :, [0, 3, 2, 1]].reshape(*grid.shape, 8)
    mesh = [
        ((int(wide[c]), int(high[r]), int(wide[c + 1]), int(high[r + 1])), quads[r, c].tolist())
        for r, c in np.ndindex(*grid.shape)
    ]
    how, cubic = Image.Transform.MESH, Image.Resampling.BICUBIC
    image = Image.fromarray(page).transform((int(wide[-1]), int(high[-1])), how, mesh, cubic)
    return np.asarray(image), replace(grid, nodes=upright)


def without_rules(page: Page, grid: Grid) -> Page:
    """Paints paper over the rules of a straightened page, keeping strokes that cross them."""
    clean = page.copy()
    columns, rows = grid.nodes[0, :, 0].astype(int), grid.nodes[:, 0, 1].astype(int)
    reach = max(3, int(_REACH * min(np.diff(rows).min(), np.diff(columns).min())))
    _paint_over(clean, rows, columns, reach)
    turned = clean.swapaxes(0, 1)  # a view: painted in place
    _paint_over(turned, columns, rows, reach)
    return clean


def _paint_over(page: Page, rows: Ints, columns: Ints, reach: int) -> None:
    """Paints over horizontal rules, between each pair of columns with the thickness found there."""
    ends = np.r_[0, columns[1:-1], page.shape[1]]
    for row in rows:
        top, bottom = max(0, row - reach), min(page.shape[0], row + reach + 1)
        for left, right in pairwise(ends):
            part = page[top:bottom, left:right]
            first, last = _thickness(part)
            if last > first:
                share = (np.arange(first, last) - first + 1) / (last - first + 1)
                share = share.reshape(-1, 1, *[1] * (page.ndim - 2))
                near = max(1, (last - first) // 4)  # pixels averaged to reduce noise
                above = part[max(first - near, 0) : max(first, 1)].mean(axis=0)
                below = part[min(last, len(part) - 1) : last + near].mean(axis=0)
                part[first:last] = above + share * (below - above)


def _thickness(part: Page) -> tuple[int, int]:
    """Returns the first row of a rule and the one after its last; (0, 0) if there is none."""
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
    """Moves the outermost nodes out by fractions of their cells."""
    outer = nodes.copy()
    outer[:, 0] += across[0] * (nodes[:, 0] - nodes[:, 1])
    outer[:, -1] += across[-1] * (nodes[:, -1] - nodes[:, -2])
    inner = outer.copy()
    outer[0] += down[0] * (inner[0] - inner[1])
    outer[-1] += down[-1] * (inner[-1] - inner[-2])
    return outer


def ink_mask(gray: npt.NDArray[np.uint8]) -> Mask:
    """Returns a mask bool[H, W] of pixels uint8[H, W] darker than the mean around them.

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
    """Fits lines to strokes along rows; returns y at column 0, slope, length: float64[N + 1, 3].

    Iteratively reweighted least squares: pixels of whatever touches a rule get little weight.
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
    """Returns the first and the last of the long lines, by their offsets at ``at``."""
    long = lines[lines[:, 2] >= _LONG * lines[:, 2].max()]
    place = long[:, 0] + long[:, 1] * at
    return long[[place.argmin(), place.argmax()]]


def _meeting(row: Doubles, column: Doubles) -> tuple[float, float]:
    """Returns the intersection of y = a + b x and x = c + d y."""
    (a, b, _), (c, d, _) = row.tolist(), column.tolist()
    x = (c + d * a) / (1 - b * d) if abs(b * d) < 1 else c
    return x + 0.5, a + b * x + 0.5


def _longer(strokes: Mask) -> Mask:
    """Closes short gaps of strokes along rows, and extends the strokes slightly at both ends."""
    sums = np.cumsum(np.pad(_thick(strokes), ((0, 0), (_GAP + 1, _GAP))), axis=1, dtype=np.int32)
    return sums[:, 2 * _GAP + 1 :] > sums[:, : -2 * _GAP - 1]


def _nodes(
    gray: npt.NDArray[np.int16], frame: Doubles, shape: Shape | None
) -> tuple[Doubles | None, float]:
    """Returns the crossings of a frame's rules, float64[R + 1, C + 1, 2], and their clearness.

    The frame grows as long as its rules continue beyond it.
    """
    reach, size, nodes, score = (_AROUND, _AROUND), (0, 0), None, 0.0
    for _ in range(_GROWS):
        straight = _straight(gray, frame, reach)
        if straight is None:
            break
        upright, matrix, around, spans = straight
        rows = follow_rules(upright, spans[0])
        columns = follow_rules(np.ascontiguousarray(upright.T), spans[1])
        rows, columns, clearness = _crossing(rows, columns, spans, shape)
        found = len(rows.heights), len(columns.heights)
        if not clearness or min(found) < 2 or (max(found) == 2 and shape != (1, 1)):
            break
        own = _mapped(matrix, *(_places(rows, columns) - around).transpose(2, 0, 1))
        if clearness >= score:
            score, nodes = clearness, own
        if found[0] <= size[0] and found[1] <= size[1]:
            break
        size = found
        frame = own[[0, 0, -1, -1], [0, -1, -1, 0]]
        wide, high = (float(np.diff(_shares(own, axis)).max()) for axis in (1, 0))
        reach = _BEYOND * wide, _BEYOND * high
    return nodes, score


def _straight(
    gray: npt.NDArray[np.int16], frame: Doubles, reach: Span
) -> tuple[npt.NDArray[np.int16], Doubles, Doubles, tuple[Span, Span]] | None:
    """Straightens a frame with a margin relative to its sides; None if it is small or not convex.

    Returns picture, homography to the page, margins, and the spans of the frame in the picture.
    """
    sides = np.roll(frame, -1, axis=0) - frame
    lengths = np.linalg.norm(sides, axis=1)
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if lengths.min() < _SMALLEST or turns.min() <= 0:
        return None
    size = np.array([lengths[[0, 2]].mean(), lengths[[1, 3]].mean()])
    width, height = np.rint(size * min(1, _SIDE / size.max())).astype(int).tolist()
    matrix = perspective(frame, (width, height))
    wide, high = int(reach[0] * width) + AWAY[-1], int(reach[1] * height) + AWAY[-1]
    y, x = np.mgrid[-high : height + high, -wide : width + wide]
    x, y = np.floor(_mapped(matrix, x + 0.5, y + 0.5)).astype(int).transpose(2, 0, 1)
    upright = gray[np.clip(y, 0, len(gray) - 1), np.clip(x, 0, gray.shape[1] - 1)]
    spans = (float(wide), float(wide + width)), (float(high), float(high + height))
    return upright, matrix, np.array([wide, high]), spans


def _crossing(
    rows: RulePaths, columns: RulePaths, spans: Sequence[Span], shape: Shape | None
) -> tuple[RulePaths, RulePaths, float]:
    """Selects the rules among the paths across and down a table; returns them in order.

    Also returns their total clearness, 0 if they are not clear enough, as with lines of text.
    """
    high, wide = shape or (None, None)
    levels = rows.take(_clear(rows, _clearness(rows, spans[0])))
    uprights = columns.take(_clear(columns, _clearness(columns, spans[1], levels)))
    clear = _clearness(rows, spans[0], uprights)
    levels = rows.take(_clear(rows, clear))
    clear = _clearness(columns, spans[1], levels)
    uprights = columns.take(_clear(columns, clear))
    size = 0, 0
    while size != (size := (len(levels.heights), len(uprights.heights))) and min(size) > 1:
        levels = _reached(levels, uprights)
        uprights = _reached(uprights, levels)
    clear = [
        _clearness(one, span, other)
        for one, span, other in ((levels, spans[0], uprights), (uprights, spans[1], levels))
    ]
    others = _clearness(rows, spans[0], uprights), _clearness(columns, spans[1], levels)
    for own, every in zip(clear, others, strict=True):
        usual = float(own.mean()) if len(own) else 0.0
        next_ = float(np.sort(every)[-len(own) - 1]) if len(every) > len(own) else 0.0
        if usual < _RULED and (usual < _HARDLY or next_ > usual / 5):
            return levels, uprights, 0.0
    total = float(sum(each.sum() for each in clear))
    return _numbered(levels, rows, high), _numbered(uprights, columns, wide), total


def _clearness(rules: RulePaths, span: Span, others: RulePaths | None = None) -> Doubles:
    """Returns the clearness of paths float64[N], over all strips and those near crossing rules.

    Characters keep away from crossings. Paths much paler than the clearest show through the paper.
    """
    inner = (rules.places > span[0]) & (rules.places < span[1])
    clearness = rules.gains[:, inner].mean(axis=1)
    if others is not None and len(others.heights) > 1:
        at = others.heights.mean(axis=1)
        away = np.abs(rules.places[:, None] - at).min(axis=1)
        near = inner & (away < _QUARTER * float(median(np.diff(at))))
        if near.any():
            clearness = (clearness + rules.gains[:, near].mean(axis=1)) / 2
    if not len(clearness):
        return clearness
    depth = float(median(rules.depths[np.argsort(-clearness)[:_CLEAREST]]))
    return clearness * np.clip(rules.depths / max(_PALE * depth, 1e-9), 0, 1)


def _clear(rules: RulePaths, clearness: Doubles) -> Ints:
    """Returns the indices of clear paths, in order: the clearest, up to the largest drop."""
    order = np.argsort(-clearness, kind="stable")
    ordered = np.append(clearness[order], 0.0)
    usual = ordered[ordered >= ordered[:_CLEAREST].mean() / 2]
    level = float(median(usual)) if len(usual) else 0.0
    low, high = (max(share * level, _LEAST_CLEAR) for share in _UNCLEAR)
    drops = np.log(np.maximum(ordered[:-1], 1e-9) / np.maximum(ordered[1:], low / 2))
    drops[(ordered[:-1] < low) | (ordered[1:] > high)] = -1
    if not len(drops) or drops.max() < 0:
        return order[:0]
    clear = order[: int(drops.argmax()) + 1]
    at = rules.heights.mean(axis=1)
    clear = clear[np.argsort(at[clear])]
    gaps = np.diff(at[clear])
    if len(gaps) > 1:  # close paths are one rule drawn twice
        groups = np.split(clear, np.flatnonzero(gaps > _DOUBLE * float(median(gaps))) + 1)
        clear = np.array([group[clearness[group].argmax()] for group in groups])
    return _with_even_ones(clear, at, clearness)


def _with_even_ones(clear: Ints, at: Doubles, clearness: Doubles) -> Ints:
    """Adds faint paths in the gaps between clear paths if those are evenly spaced."""
    gaps = np.diff(at[clear])
    if len(gaps) <= 2:
        return clear
    cells = gaps / float(median(gaps))
    count = np.rint(cells).astype(int)
    if np.abs(cells - count).max() > _SNAP:
        return clear
    faint, found = np.flatnonzero(clearness > 0), clear.tolist()
    for first, last, parts in zip(at[clear[:-1]], at[clear[1:]], count, strict=True):
        for place in np.linspace(first, last, parts + 1)[1:-1]:
            away = np.abs(at[faint] - place)
            if away.min() < _SNAP * float(median(gaps)):
                found.append(int(faint[away.argmin()]))
    return np.array(sorted(found, key=lambda each: float(at[each])))


def _numbered(rules: RulePaths, all_: RulePaths, cells: int | None) -> RulePaths:
    """Returns evenly spaced rules if their number does not match the known number of cells.

    Returns no rules if too few of the even ones are close to paths that were found.
    """
    if cells is None or len(rules.heights) in {0, 1, cells + 1}:
        return rules
    at, found = rules.heights.mean(axis=1), all_.heights.mean(axis=1)
    even = np.linspace(at[0], at[-1], cells + 1)
    room = _SNAP * (even[1] - even[0])
    away = np.abs(even[:, None] - found)
    is_found, near = away.min(axis=1) <= room, away.argmin(axis=1)
    has_more = len(at) > cells + 1
    fits = is_found if has_more else np.abs(at[:, None] - even).min(axis=1) <= room
    if not fits.all() or is_found.mean() < _ENOUGH:
        return rules.take(np.arange(0))
    share = np.linspace(0, 1, cells + 1)[:, None]
    heights = rules.heights[0] + share * (rules.heights[-1] - rules.heights[0])
    heights[is_found] = all_.heights[near[is_found]]
    return replace(all_.take(near), heights=heights)


def _reached(rules: RulePaths, others: RulePaths) -> RulePaths:
    """Removes outermost rules that most of the crossing rules do not reach."""
    at, kept = rules.heights.mean(axis=1), [*range(len(rules.heights))]
    for end, inwards in ((0, 1), (-1, -1)):
        while len(kept) > 1:
            low, high = sorted((at[kept[end]], at[kept[end + inwards]]))
            between = (others.places > low) & (others.places < high)
            if not between.any() or others.seen[:, between].mean() >= _REACHED:
                break
            kept.pop(end)
    return rules.take(np.array(kept))


def _places(rows: RulePaths, columns: RulePaths) -> Doubles:
    """Returns the crossings of paths: float64[R, C, 2]."""
    y = np.repeat(rows.heights.mean(axis=1)[:, None], len(columns.heights), axis=1)
    x = np.repeat(columns.heights.mean(axis=1)[None], len(rows.heights), axis=0)
    for _ in range(_ROUNDS):
        x = _along(columns, y.T).T
        y = _along(rows, x)
    return np.stack([x, y], axis=-1)


def _along(paths: RulePaths, at: Doubles) -> Doubles:
    """Interpolates each of N paths at M positions of its own: float64[N, M]."""
    pairs = zip(at, paths.heights, strict=True)
    return np.stack([np.interp(places, paths.places, path) for places, path in pairs])


def _shares(nodes: Doubles, axis: int) -> Doubles:
    """Returns the positions of a table's rules along it, from 0 to 1: float64[N]."""
    gaps = np.linalg.norm(np.diff(nodes, axis=axis), axis=2).mean(axis=1 - axis)
    return np.r_[0, np.cumsum(gaps)] / gaps.sum()


def _mapped(matrix: Doubles, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Doubles:
    """Maps points of a straightened frame back to the page: float64[..., 2]."""
    a, b, c, d, e, f, g, h = matrix
    depth = g * x + h * y + 1
    return np.stack([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], axis=-1)


def _long_runs(drawing: Mask, least: float) -> Mask:
    """Returns the horizontal strokes with a minimum length, including slightly sloping ones."""
    starts, ends = runs(_thick(drawing))
    long = ends - starts >= least
    steps = np.zeros(drawing.shape[0] * (drawing.shape[1] + 1) + 1, np.int8)
    steps[starts[long]], steps[ends[long]] = 1, -1
    filled = np.cumsum(steps[:-1], dtype=np.int8).reshape(len(drawing), -1)[:, :-1]
    return filled.astype(bool)
