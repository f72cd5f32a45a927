"""Recognises text lines: those of the line detector, and lines formed from lone digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CLASS_OF, DIGITS, SPACE, digits_of
from digitlens.imaging.framing import HEIGHT, MAX_WIDTH, STEP, batch_lines, crop_line
from digitlens.imaging.image import Page
from digitlens.imaging.quantile import median, quantile
from digitlens.models.networks import DigitSpotter, LineRecognizer
from digitlens.reading.decode import SPACED, STRIDE, Symbols, decode, space_chances, with_numerals
from digitlens.reading.multiscale import MIN_LINE_SCORE, Detections
from digitlens.reading.nms import Candidates
from digitlens.reading.reading_order import lines_of
from digitlens.reading.text_lines import TextLine

_MARGIN = 0.12  # line heights: paper added around a line formed from digits
_MAX_GAP = 2.0  # digit heights: a wider gap between digits begins a new line
_MIN_HEIGHT, _MAX_HEIGHT = 0.4, 1.4  # line heights: range of heights of the digits on a line
_DEFAULT_ROWS = 0.1 * HEIGHT, 0.9 * HEIGHT  # rows: extent of a character whose ink is not found
_LINE_ROWS = slice(6, 42)  # rows with a line's own ink, without that of lines above and below
_MIN_ASPECT = 0.7  # line heights: narrower lines get paper around them, up to this width
_GROWTH = 1.25  # growth factor of the sides of a narrow line
_MAX_COVERED = 0.3  # a digit with more of its box than this on lines gets no line of its own
_MAX_STROKES = 3  # maximum number of lines in one digit that may be its strokes
_MAX_COLUMNS = 8192  # columns of all lines above which only parts with digits are read
_WHOLE_LINES = 3  # how many of the largest lines are read whole even then
DIGIT_THRESHOLD = 0.1  # probability of a digit above which its part of a line is read
_SPACE_THRESHOLD = 0.3  # probability of a space above which a part may end there
_CONTEXT = 4  # steps: minimum distance between a digit and such a space
# CTC separates equal characters by a blank, so it loses one if a step is as wide as both. A crowded
# line is read again, stretched, and that reading is used only if it has more digits.
_MIN_PITCH = 2.5  # steps per character below which a line is crowded
_STRETCH = 1.5  # factor by which it is stretched
_CONFIDENT = 0.9  # a line is stretched only if the confidence of some digit is below this
_MIN_INK_HEIGHT = 0.3  # line heights: if the ink found for a digit is lower, some of it was missed
_EDGE_ROWS = 3  # rows at the top and at the bottom edge of a crop
_COLOUR_TOLERANCE = 16  # levels of each channel: colours that differ by less are the same
_MIN_CONTRAST = 0.35  # fraction of the strongest contrast in a line above which a pixel is ink

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RecognizedLine:
    """A line and the recogniser's output for it."""

    line: TextLine  # its position on the page
    crop: Pixels  # uint8[48, W, 3]; the network's input
    posteriors: Floats  # float32[W / 8, C]
    symbols: Symbols  # its characters
    columns: float | None = None  # columns of the crop that show it; None for ``columns_of``

    @cached_property
    def spans(self) -> Floats:
        """float32[K, 2]: first and last column of each character's ink; spaces have one column."""
        inked: npt.NDArray[np.bool_] = self.ink[_LINE_ROWS].max(axis=0)
        inked[int(np.ceil(self.shown)) :] = False
        centres = self.symbols.centres
        spans = np.stack([centres, centres + 1], axis=1)
        shown = np.array([char != SPACE for char in self.symbols.text], bool)
        spans[shown] = _symbol_spans(inked, centres[shown])
        return spans

    @cached_property
    def rows(self) -> npt.NDArray[np.float64]:
        """float64[K, 2]: first and last row of the ink of each character in the crop."""
        first, last = self.spans.astype(int).T
        first, last = np.minimum([first, np.maximum(first + 1, last)], self.crop.shape[1])
        sums = np.pad(np.cumsum(self.ink, axis=1), ((0, 0), (1, 0)))
        rows = _row_spans(sums[:, last] > sums[:, first])
        partial = rows[:, 1] - rows[:, 0] < _MIN_INK_HEIGHT * HEIGHT
        rows[partial & np.isin(list(self.symbols.text), list(DIGITS))] = _DEFAULT_ROWS
        return rows

    @cached_property
    def boxes(self) -> Floats:
        """float32[K, 4]: the box around each character's ink on the page."""
        across, down = _axes(self.line)
        x, y = self.spans[:, [0, 0, 1, 1], None], self.rows[:, [0, 1, 0, 1], None]
        x_scale, y_scale = self.scale
        corners = self.line.quad[0] + x * across / x_scale + y * down / y_scale
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1, dtype=np.float32)

    @cached_property
    def ink(self) -> npt.NDArray[np.bool_]:
        """bool[48, W]: pixels of the crop that differ from its paper."""
        red, green, blue = np.abs(self.crop - self.paper).transpose(2, 0, 1)
        delta = np.maximum(np.maximum(red, green), blue)  # max(axis=2) takes three times as long
        strongest = float(quantile(delta, 0.98))
        return np.asarray(delta > max(12.0, _MIN_CONTRAST * strongest))

    @cached_property
    def paper(self) -> Floats:
        """float32[3]: the median colour of the crop, or of its edges if more pixels have that.

        Bold, blurred ink and its halo may cover more of a crop than paper does.
        """
        pixels = np.ascontiguousarray(self.crop.reshape(-1, 3).T, np.float32)
        ends = _EDGE_ROWS * self.crop.shape[1]
        colours = median(pixels), median(np.concatenate([pixels[:, :ends], pixels[:, -ends:]], 1))
        if np.abs(colours[1] - colours[0]).max() < _COLOUR_TOLERANCE:
            return np.asarray(colours[0])
        differences = [np.abs(pixels - colour[:, None]).max(axis=0) for colour in colours]
        usual, edges = (int(np.count_nonzero(each < _COLOUR_TOLERANCE)) for each in differences)
        return np.asarray(colours[int(edges > usual)])

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Columns and rows of the crop per pixel of the page; long lines are squeezed."""
        return self.shown / max(self.line.width, 1e-3), HEIGHT / max(self.line.height, 1e-3)

    @property
    def shown(self) -> float:
        """Columns of the crop that show the line; the rest is gray."""
        return columns_of(self.line) if self.columns is None else self.columns

    def place(self, points: Floats) -> Floats:
        """Maps points x, y of the page to columns and rows of the crop; float32[N, 2] both."""
        places = np.stack(_along(self.line, points), axis=1).astype(np.float32)
        return places * np.array(self.scale, np.float32)


def recognize(
    page: Page,
    lines: Sequence[TextLine],
    recognizer: LineRecognizer,
    spotter: DigitSpotter | None = None,
) -> list[RecognizedLine]:
    """Reads lines; of much text, only the parts in which the spotter finds digits."""
    line_crops = [LineCrop(line, crop_line(page, line.quad), columns_of(line)) for line in lines]
    if spotter and sum(each.crop.shape[1] for each in line_crops) > _MAX_COLUMNS:
        spots = _network_rows([each.crop for each in line_crops], spotter.spots)
        line_crops = parts_with_digits(line_crops, spots)
    posteriors = _network_rows([each.crop for each in line_crops], recognizer.posteriors)
    recognized = list(map(_decode_line, line_crops, posteriors))
    crowded = [index for index, read in enumerate(recognized) if _is_crowded(read)]
    stretched = [_stretch(page, recognized[index]) for index in crowded]
    posteriors = _network_rows([each.crop for each in stretched], recognizer.posteriors)
    for index, read in zip(crowded, map(_decode_line, stretched, posteriors), strict=True):
        if len(digits_of(read.symbols.text)) > len(digits_of(recognized[index].symbols.text)):
            recognized[index] = read
    return respace(recognized)


def _is_crowded(read: RecognizedLine) -> bool:
    """Whether a line with a doubtful digit has too few steps per character to separate digits."""
    text, confidences = read.symbols.text, read.symbols.confidence
    is_dense = read.shown < _MIN_PITCH * STRIDE * len(text) and _STRETCH * read.shown < MAX_WIDTH
    pairs = zip(text, confidences.tolist(), strict=True)
    return is_dense and any(char in DIGITS and chance < _CONFIDENT for char, chance in pairs)


def _stretch(page: Page, read: RecognizedLine) -> LineCrop:
    crop = crop_line(page, read.line.quad, stretch=_STRETCH)
    return LineCrop(read.line, crop, columns_of(read.line, _STRETCH))


class LineCrop(NamedTuple):
    """A line, or a part of one, as input of the recogniser."""

    line: TextLine
    crop: Pixels  # uint8[48, W, 3]
    columns: float  # number of columns that show the line; the rest is gray


def _decode_line(line_crop: LineCrop, posteriors: Floats) -> RecognizedLine:
    symbols = decode(posteriors)
    rows = with_numerals(posteriors, symbols)
    symbols = symbols if rows is posteriors else decode(rows)
    return RecognizedLine(line_crop.line, line_crop.crop, rows, symbols, line_crop.columns)


def columns_of(line: TextLine, stretch: float = 1.0) -> float:
    """Number of columns of its crop that show a line."""
    return min(MAX_WIDTH, stretch * line.width * HEIGHT / max(line.height, 1e-3))


def respace(lines: Iterable[RecognizedLine]) -> list[RecognizedLine]:
    """Adds and removes spaces in and between the numbers of a page, based on its print."""
    respaced = list(lines)
    pairs = [(index, pair) for index, line in enumerate(respaced) for pair in _find_pairs(line)]
    if not pairs:
        return respaced
    gaps, sides, read_spaces = (np.array([pair[k] for _, pair in pairs]) for k in range(3))
    chances = space_chances(gaps, sides.T, read_spaces).tolist()
    for (index, pair), chance in zip(pairs, chances, strict=True):
        if (chance > 0.5) != pair.is_parted:
            rows = _with_space(respaced[index].posteriors, pair.between, chance)
            respaced[index] = replace(respaced[index], posteriors=rows, symbols=decode(rows))
    return respaced


class _Pair(NamedTuple):
    """Two characters of a line with at most a space between them, at least one of them a digit."""

    gap: float  # between their ink, in digit heights of the line
    sides: tuple[int, int]  # their indices in ``SPACED``
    space: float  # probability of a space by the recogniser
    is_parted: bool  # whether a space was read
    between: tuple[int, int]  # half-open range of steps between their centres


def _find_pairs(read: RecognizedLine) -> Iterator[_Pair]:
    text = read.symbols.text
    digits = [char in DIGITS for char in text]
    places = [k for k, char in enumerate(text) if char in SPACED]
    pairs = [(i, j) for i, j in pairwise(places) if not text[i + 1 : j].strip()]
    pairs = [(i, j) for i, j in pairs if digits[i] or digits[j]]
    if not pairs:
        return
    height = float(median(np.diff(read.rows[digits]).ravel()))
    steps = (read.symbols.centres / STRIDE).astype(int).tolist()
    x_scale, y_scale = read.scale
    for i, j in pairs:
        between = steps[i] + 1, steps[j]
        space = read.posteriors[slice(*between), CLASS_OF[SPACE]].max(initial=0)
        gap = float(read.spans[j, 0] - read.spans[i, 1]) * y_scale / x_scale / height
        sides = SPACED.index(text[i]), SPACED.index(text[j])
        yield _Pair(gap, sides, float(space), j - i > 1, between)


def _with_space(posteriors: Floats, between: tuple[int, int], chance: float) -> Floats:
    """Posteriors, float32[T, C], with a new probability of a space in a range of steps."""
    changed = posteriors.copy()
    part, space = changed[slice(*between)], CLASS_OF[SPACE]
    if chance < 0.5:
        part[:, BLANK] += (1 - chance) * part[:, space]
        part[:, space] *= chance
    elif len(part):
        row = part[part[:, space].argmax()]
        row *= (1 - chance) / max(1 - float(row[space]), 1e-6)
        row[space] = chance
    return changed


def _network_rows(
    crops: Sequence[Pixels], network: Callable[[Sequence[Pixels]], list[Floats]]
) -> list[Floats]:
    """The output of a network for the steps of each crop, float32[W / 8, C] each."""
    rows: dict[int, Floats] = {}
    batches = batch_lines(crops)
    outputs = network([batch for _, batch in batches])
    for (indices, _), batch in zip(batches, outputs, strict=True):
        for index, steps in zip(indices, batch, strict=True):
            rows[index] = steps[: crops[index].shape[1] // STEP]
    return [rows[index] for index in range(len(crops))]


def parts_with_digits(lines: Sequence[LineCrop], spots: Sequence[Floats]) -> list[LineCrop]:
    """Cuts lines down to words with digits and the words next to them.

    The largest lines stay whole, as they decide the orientation of the page. ``spots`` has the
    output of ``DigitSpotter.spots`` for each line.
    """
    areas = [line.width * line.height for line, *_ in lines]
    largest = sorted(range(len(lines)), key=lambda index: -areas[index])[:_WHOLE_LINES]
    parts: list[LineCrop] = []
    for index, line_crop in enumerate(lines):
        ranges = near_digits(spots[index])
        parts += [line_crop] if index in largest else [_part(line_crop, *steps) for steps in ranges]
    return parts


def _part(line_crop: LineCrop, first: int, last: int) -> LineCrop:
    """The part of a line from one step up to, but not including, another."""
    line, crop, columns = line_crop
    ends = np.minimum([STEP * first, STEP * last], columns)
    left, right = line.quad[[0, 3]], line.quad[[1, 2]]
    (top_left, bottom_left), (top_right, bottom_right) = (
        left + end * (right - left) for end in (ends / columns)[:, None]
    )
    quad = np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
    part = crop[:, STEP * first : STEP * last]
    return LineCrop(TextLine(quad, line.score), part, float(ends[1] - ends[0]))


def near_digits(spots: Floats) -> list[tuple[int, int]]:
    """Parts of a line with digits, from a space before them to one after them.

    Returns half-open ranges of steps, given a line's spots, float32[T, 2]; see
    ``DigitSpotter.spots``.
    """
    digits = np.flatnonzero(spots[:, 0] > DIGIT_THRESHOLD)
    spaces = np.flatnonzero(spots[:, 1] > _SPACE_THRESHOLD)
    before = np.searchsorted(spaces, digits - _CONTEXT, "right")
    after = np.searchsorted(spaces, digits + _CONTEXT, "left")
    starts, ends = np.r_[0, spaces][before], np.r_[spaces + 1, len(spots)][after]
    new = np.flatnonzero(starts[1:] >= ends[:-1]) + 1
    if not len(digits):
        return []
    return list(zip(starts[np.r_[0, new]].tolist(), ends[np.r_[new - 1, -1]].tolist(), strict=True))


def line_proposals(found: Detections) -> list[TextLine]:
    """The lines to read: detected ones, and one for each group of digits outside of them."""
    digits = found.digits[found.digits.score > MIN_LINE_SCORE]
    digits = digits[_line_counts(digits.boxes, found.lines) <= _MAX_STROKES]
    lines = [line for line in found.lines if not _is_part_of_digit(line, digits)]
    lone = digits[~_are_on_lines(digits.boxes, lines) & (_line_counts(digits.boxes, lines) < 2)]
    lines += [_line_around(lone.boxes[group]) for group in _group_digits(lone.boxes)]
    return [with_paper(line) for line in lines]


def with_paper(line: TextLine) -> TextLine:
    """Adds paper around a line as narrow as a stroke, which else would be an edge of its crop."""
    if line.width > _MIN_ASPECT * line.height:
        return line
    across, down = _axes(line)
    middle = line.quad.astype(np.float64).mean(axis=0)
    half = _GROWTH * line.height / 2
    right, below = max(_MIN_ASPECT * half, _GROWTH * line.width / 2) * across, half * down
    quad = [middle - right - below, middle + right - below, middle + right + below]
    grown = np.array([*quad, middle - right + below], np.float32)
    return TextLine(grown, line.score, line.quad)


def _line_counts(boxes: Floats, lines: Sequence[TextLine]) -> npt.NDArray[np.intp]:
    """int[N]: number of lines whose centre is in each box; several mean paper between lines."""
    middles = np.array([line.quad.mean(axis=0) for line in lines]).reshape(-1, 2)
    inside = (middles > boxes[:, None, :2]) & (middles < boxes[:, None, 2:])
    return np.asarray(np.count_nonzero(inside[:, :, 0] & inside[:, :, 1], axis=1), np.intp)


def on_line(boxes: Floats, line: TextLine) -> npt.NDArray[np.bool_]:
    """bool[N]: which boxes, float32[N, 4], are centred on a line and have a fitting height."""
    x, y = _along(line, (boxes[:, :2] + boxes[:, 2:]) / 2)
    heights = boxes[:, 3] - boxes[:, 1]
    inside = (x > 0) & (x < line.width) & (y > 0) & (y < line.height)
    return inside & (heights > _MIN_HEIGHT * line.height) & (heights < _MAX_HEIGHT * line.height)


def _are_on_lines(boxes: Floats, lines: Sequence[TextLine]) -> npt.NDArray[np.bool_]:
    """bool[N]: which boxes lie partly on lines, where their content is read."""
    covered = np.zeros(len(boxes))
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    for line in lines:
        across, down = _axes(line)
        offset = middle - line.quad[0]
        share = np.ones(len(boxes))
        for axis, length in ((across, line.width), (down, line.height)):
            position, extent = offset @ axis, np.maximum(half @ np.abs(axis), 1e-3)
            inside = np.minimum(position + extent, length) - np.maximum(position - extent, 0)
            share *= np.clip(inside / (2 * extent), 0, 1)
        covered += share
    return np.asarray(covered > _MAX_COVERED)


def _is_part_of_digit(line: TextLine, digits: Candidates) -> bool:
    """Whether a line is only a stroke of a larger digit."""
    x0, y0 = line.quad.min(axis=0)
    x1, y1 = line.quad.max(axis=0)
    area = max(1e-3, (x1 - x0) * (y1 - y0))
    confident = digits.boxes[digits.score > 0.5]
    width = np.minimum(confident[:, 2], x1) - np.maximum(confident[:, 0], x0)
    height = np.minimum(confident[:, 3], y1) - np.maximum(confident[:, 1], y0)
    inside = np.clip(width, 0, None) * np.clip(height, 0, None) / area
    larger = (confident[:, 3] - confident[:, 1]) > _MAX_HEIGHT * (y1 - y0)
    return bool(((inside > 0.6) & larger).any())


def _group_digits(boxes: Floats) -> Iterator[npt.NDArray[np.intp]]:
    """Splits digits into groups that stand together on a line."""
    for line in lines_of(boxes):
        x0, y0, x1, y1 = boxes[line].T
        pairs = np.stack([(y1 - y0)[1:], (y1 - y0)[:-1]])
        lower, higher = pairs.min(axis=0), pairs.max(axis=0)
        is_gap = (x0[1:] - x1[:-1] > _MAX_GAP * higher) | (lower < 0.5 * higher)
        yield from np.split(np.array(line), np.flatnonzero(is_gap) + 1)


def _line_around(boxes: Floats) -> TextLine:
    """A line around boxes ordered from left to right, in the direction from first to last."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    across = np.array([1.0, 0.0])
    if len(boxes) > 1:
        direction = middle[-1] - middle[0]
        if abs(direction[1]) < abs(direction[0]):
            across = direction / np.hypot(*direction)
    down = np.array([-across[1], across[0]])
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    if abs(across[1]) > 0.02:  # the corners of upright boxes extend beyond a slanted line
        halves = (boxes[:, 2:] - boxes[:, :2]) / 2
        steps = [-across * halves[:, :1], across * halves[:, :1]]
        steps += [-down * halves[:, 1:], down * halves[:, 1:]]
        corners = np.concatenate([middle + step for step in steps])
    x, y = corners @ across, corners @ down
    margin = _MARGIN * (y.max() - y.min())
    left, right = x.min() - margin, x.max() + margin
    top, bottom = y.min() - margin, y.max() + margin
    quad = [
        a * across + b * down
        for a, b in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    return TextLine(np.array(quad, np.float32), 0.0)


def _axes(line: TextLine) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Unit vectors along a line and across it."""
    right = (line.quad[1] - line.quad[0]).astype(np.float64)
    down = (line.quad[3] - line.quad[0]).astype(np.float64)
    return right / max(float(np.hypot(*right)), 1e-6), down / max(float(np.hypot(*down)), 1e-6)


def _along(line: TextLine, points: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], ...]:
    """Distances of points, float32[N, 2], from a line's top left, along it and across it."""
    offsets = points - line.quad[0]
    return tuple(offsets @ axis for axis in _axes(line))


def _symbol_spans(inked: npt.NDArray[np.bool_], centres: Floats) -> Floats:
    """float32[K, 2]: first and last column of each character, from the columns with ink, bool[W].

    A run is a range of adjacent columns with ink; each character owns the run nearest its centre.
    A run with several owners is cut midway between their centres, but first gives one of them to
    each free run nearby. A lone character owns all nearby runs, such as both sides of a ring.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, inked, False].astype(np.int8)))
    begins, ends = edges[::2].astype(float), edges[1::2].astype(float)
    reach = 0.3 * HEIGHT
    spans = np.stack([np.maximum(centres - reach, 0), centres + reach], axis=1)
    if not len(begins) or not len(centres):
        return spans.astype(np.float32)
    # The index of each character's run: the one that it lies in, else the nearest.
    distances = np.maximum(np.maximum(begins - centres[:, None], centres[:, None] - ends), 0)
    owner = distances.argmin(axis=1)
    is_near = distances.min(axis=0) <= reach
    is_near[owner] = False
    free = np.flatnonzero(is_near)
    for run in free.tolist():
        nearest = int(distances[:, run].argmin())
        if np.count_nonzero(owner == owner[nearest]) > 1:
            owner[nearest] = run
    first, last = begins[owner], ends[owner]
    if len(centres) == 1 and len(free):
        first, last = begins[[min(owner[0], free[0])]], ends[[max(owner[0], free[-1])]]
    shared = np.flatnonzero(owner[1:] == owner[:-1])
    cuts = (centres[shared] + centres[shared + 1]) / 2
    first[shared + 1] = np.maximum(first[shared + 1], cuts)
    last[shared] = np.minimum(last[shared], cuts)
    is_within = distances[np.arange(len(owner)), owner] <= reach
    spans[is_within] = np.stack([first, np.maximum(last, first + 1)], axis=1)[is_within]
    return spans.astype(np.float32)


def _row_spans(inked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """float64[K, 2]: first and last row of each character's ink, from bool[48, K]: rows with ink.

    Ignores the ink of lines above and below.
    """
    framed = np.pad(inked.T, ((0, 0), (1, 1)))
    steps = np.flatnonzero(framed[:, 1:] != framed[:, :-1])
    owner, begins, ends = steps[::2] // (HEIGHT + 1), steps[::2], steps[1::2]
    begins, ends = begins % (HEIGHT + 1), ends % (HEIGHT + 1)
    inner = ((begins > 0) & (ends < HEIGHT)) | (np.bincount(owner)[owner] == 1)
    rows = np.tile(_DEFAULT_ROWS, (len(framed), 1))
    rows[owner[inner][::-1], 0] = begins[inner][::-1]  # of several, the first one stays
    rows[owner[inner], 1] = ends[inner]
    return rows
