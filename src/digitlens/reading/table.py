"""Reads a table cell by cell: finds its cells by rules or by alignment, and reads each of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.alphabet import OTHER_SIGN
from digitlens.errors import ImageError
from digitlens.imaging.image import Page, Source, load_image
from digitlens.imaging.ink import connected_components
from digitlens.imaging.quantile import median
from digitlens.imaging.ruling import (
    Grid,
    Shape,
    find_grid,
    ink_mask,
    straighten,
    with_dark_ink,
    without_rules,
)
from digitlens.models.networks import LineRecognizer
from digitlens.reading.alignment import align
from digitlens.reading.decode import DIGIT_CLASSES, LETTER_CLASSES, decode
from digitlens.reading.joint import apply_sudoku, apply_total
from digitlens.reading.layout import View, read_spots
from digitlens.reading.notation import Notation
from digitlens.reading.numbers import Spot, numbers_on
from digitlens.reading.orientation import clearest_turn, coherence, points_back, turned_page
from digitlens.reading.recognize import RecognizedLine, recognize, with_paper
from digitlens.reading.text_lines import TextLine
from digitlens.reading.values import numbers_of
from digitlens.results import Digit, Number
from digitlens.tabular import Cell, Table

if TYPE_CHECKING:
    from digitlens.reading.reader import DigitReader

MAX_SIDE = 250  # maximum rows or columns
_MIN_SIZE = 0.25  # cell heights: minimum height or width of a component in a cell with content
_SHARE, _TINY = 0.5, 0.1  # for small print: relative to its components; at least, in cell heights
_SPECK = 0.002  # squared cell heights: components with a smaller area are dust
_CELL_PIXELS = 48  # pixels: height of cells down to which a picture is reduced to find ink
_AT_EDGE = 0.12  # fraction of a cell: components wholly this close to an edge are rule remains
_FLAT, _LONG = 0.15, 0.6  # fractions of a cell: flatter and longer components are rule remains
_INSIDE = 0.6  # a component with this fraction in one cell belongs wholly to it
_MIN_PART = 0.2  # minimum fraction of a component that counts as part of a cell
_PAPER = 0.15  # line heights: paper added around a line
_MIN_LINE = 1.2  # minimum height of a line, relative to the minimum size of its components
_SCORE = 0.9  # score given to a line, as the line detector gives clear ones
_LEVEL = 0.3  # minimum vertical overlap of a component with its line, as a fraction of its height
_SMALL = 0.5  # components lower than this fraction of a cell's highest get no line of their own
_ONE_CHAR = 1.2  # components up to this multiple of the table's median height are one character
_TEXT_GAP = 0.6  # text heights: gap that, like a space, separates texts of a table without rules
_DECISIVE_CELLS = 12  # number of cells with most ink that decide the orientation of a table
_CLEAR = 0.85  # coherence above which text is upright
_EMPTY = 0.999  # confidence that a cell without ink is empty
_MOSTLY = 0.5  # fraction of numbers above which a column is numeric
_NUMERIC = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*")  # a text with digits and without letters
_FAINT = 1e-3  # probability of digits from which a letter in a numeric column may be one
_SURE = 0.8  # confidence of each character from which words are not doubtful

_UNKNOWN = Notation()

Doubles = npt.NDArray[np.float64]
Place = tuple[int, int]  # row and column
Contents = dict[Place, list[list[Spot]]]  # the lines of each cell with ink
_NOTHING_READ = "there is ink, but nothing could be read"
_PILED = "the characters stand one above the other: turn the picture if it lies on its side"


@dataclass(frozen=True)
class TableOptions:
    """The known properties of a table; see ``DigitReader.read_table``."""

    grid: Shape | None = None
    columns: int | None = None
    expect: str | None = None
    notation: Notation = _UNKNOWN

    def __post_init__(self) -> None:
        sides = [*(self.grid or ()), *([] if self.columns is None else [self.columns])]
        if any(not 1 <= side <= MAX_SIDE for side in sides):
            found = " by ".join(map(str, sides))
            raise ValueError(f"expected from 1 to {MAX_SIDE} rows and columns, found {found}")
        if self.grid and self.columns not in {None, self.grid[1]}:
            raise ValueError(f"a grid of {self.grid[1]} columns cannot have {self.columns}")
        if self.expect not in {None, "sudoku", "total"}:
            raise ValueError(f"expected the rules 'sudoku' or 'total', found {self.expect!r}")
        if self.expect == "sudoku" and (self.grid not in {None, (9, 9)} or self.columns):
            raise ValueError("a Sudoku has 9 rows and 9 columns: omit grid and columns")

    @property
    def shape(self) -> Shape | None:
        """Numbers of rows and columns, if both are known."""
        return (9, 9) if self.expect == "sudoku" else self.grid


@dataclass(frozen=True)
class _RawTable:
    """The cells of a table and their characters, before values are decided."""

    quads: Doubles  # float64[R, C, 4, 2]; the cells on the page, clockwise from the top left
    contents: Contents  # the characters of the cells with ink, line by line
    digits: list[Digit]  # all digits of the view, judged
    places: dict[Place, list[int]]  # indices of each cell's digits, including rejected ones
    view: View  # the view of the straightened picture
    letters: dict[Place, str]  # the original text of cells whose letters were read as digits

    @property
    def shape(self) -> Shape:
        return self.quads.shape[0], self.quads.shape[1]


def read_table(reader: DigitReader, image: Source, options: TableOptions) -> Table:
    """Reads the table of a picture; see ``DigitReader.read_table``."""
    page = load_image(image, copy=False)
    grid = find_grid(page, options.shape)
    ruled = grid is not None and options.columns in {None, grid.shape[1]}
    if grid is None or not ruled:
        grid = _align_texts(reader, page, options)
    raw = _read_raw(reader, page, grid, ruled=ruled)
    cells = _cells(raw, options.notation)
    height, width = page.shape[:2]
    model = reader.classifier.name, reader.classifier.sha256
    rows = tuple(tuple(cells[r, c] for c in range(raw.shape[1])) for r in range(raw.shape[0]))
    if not ruled and options.shape is None:  # a row without content was found by mistake
        rows = tuple(row for row in rows if any(cell.status != "empty" for cell in row))
    if not rows:
        raise ImageError(_no_table(page, options))
    table = Table(rows, width, height, *model)
    if options.expect == "sudoku":
        return apply_sudoku(table, _chances(raw), reader.thresholds["digit"])
    if options.expect == "total":
        return apply_total(table, reader.thresholds["digit"])
    return table


def _read_raw(reader: DigitReader, page: Page, grid: Grid, *, ruled: bool) -> _RawTable:
    """Straightens a table, turns it as it reads best, and reads each line of ink in each cell."""
    picture, upright = straighten(page, grid)
    if ruled:
        picture = without_rules(picture, upright)
    turn = _turn_of(picture, upright, reader.recognizer)
    picture, upright = _turned(picture, upright, turn)
    text_lines, cells = lines_in_cells(picture, upright)
    view = reader.analyze(picture, text_lines)
    lines, letters = _without_letters(view.lines, cells)
    if letters:
        view = reader.judge(picture, view.detections, lines)
    digits, spots = read_spots(view, (picture.shape[1], picture.shape[0]), reader.thresholds)
    contents, places = Contents(), dict[Place, list[int]]()
    for cell, line in zip(cells, spots, strict=True):
        contents.setdefault(cell, []).append(line)
    for index, line in enumerate(view.scores.places.line.tolist()):
        places.setdefault(cells[line], []).append(index)
    return _RawTable(grid.turned(turn).quads(), contents, digits, places, view, letters)


def _without_letters(
    lines: Sequence[RecognizedLine], cells: Sequence[Place]
) -> tuple[list[RecognizedLine], dict[Place, str]]:
    """Reads letters in numeric columns as digits where possible; returns the old texts as well."""
    full, numeric = Counter[int](), Counter[int]()
    for line, (row, column) in zip(lines, cells, strict=True):
        is_number = bool(_NUMERIC.fullmatch(line.symbols.text))
        full[column] += is_number or row > 0
        numeric[column] += is_number
    replaced, letters = list(lines), dict[Place, str]()
    for k, place in enumerate(cells):
        text, column = lines[k].symbols.text, place[1]
        if place[0] and re.search("[A-Za-z]", text) and numeric[column] > _MOSTLY * full[column]:
            digits = _digits_in(lines[k])
            if digits:
                replaced[k], letters[place] = digits, text
    return replaced, letters


def _digits_in(line: RecognizedLine) -> RecognizedLine | None:
    """A line decoded without letters; None if some of them can hardly be digits."""
    mass = line.symbols.posteriors[:, DIGIT_CLASSES].sum(axis=1)
    is_letter = line.symbols.posteriors.argmax(axis=1) >= LETTER_CLASSES.start
    masked = line.posteriors.copy()
    masked[:, LETTER_CLASSES] = 0
    masked /= np.maximum(masked.sum(axis=1, keepdims=True), _FAINT * _FAINT)
    symbols = decode(masked)
    if len(symbols) != len(line.symbols) or mass[is_letter].min() < _FAINT:
        return None
    return replace(line, posteriors=masked, symbols=symbols)


def _turn_of(picture: Page, grid: Grid, recognizer: LineRecognizer) -> int:
    """Number of counter-clockwise quarter turns after which the cells with most ink read best."""
    views: list[list[RecognizedLine]] = []
    chosen: set[int] = set()
    for turn in range(4):
        turned, cells = _turned(picture, grid, turn)
        numbers = np.rot90(np.arange(prod(grid.shape)).reshape(grid.shape), turn)
        numbered = [
            (int(numbers[place]), line)
            for line, place in zip(*lines_in_cells(turned, cells), strict=True)
        ]
        if not turn:
            ink = Counter[int]()
            for number, line in numbered:
                ink[number] += int(line.width * line.height)
            chosen = {number for number, _ in ink.most_common(_DECISIVE_CELLS)}
        lines = [line for number, line in numbered if number in chosen]
        views.append(recognize(turned, lines, recognizer))
        is_lone = [bool(re.fullmatch(r"\d", each.symbols.text)) for each in views[0]]
        has_lone_digits = len(lines) == len(chosen) and all(is_lone)
        if not turn and (has_lone_digits or coherence(views[0]) > _CLEAR):
            return 0
    return clearest_turn(views)


def _turned(picture: Page, grid: Grid, turn: int) -> tuple[Page, Grid]:
    """A straightened table after counter-clockwise quarter turns."""
    turned = turned_page(picture, turn)
    nodes = points_back(grid.nodes, -turn % 4, turned.shape[1], turned.shape[0])
    return turned, replace(grid, nodes=nodes).turned(turn)


def lines_in_cells(page: Page, grid: Grid) -> tuple[list[TextLine], list[Place]]:
    """The lines of ink in upright cells of a page without rules, with the cell of each line."""
    columns, rows = grid.nodes[0, :, 0], grid.nodes[:, 0, 1]
    size = min(float(median(np.diff(edges))) for edges in (rows, columns))  # text may lie sideways
    # Reducing the picture keeps grainy strokes connected.
    factor = max(1, int(size / _CELL_PIXELS))
    gray = np.asarray(Image.fromarray(with_dark_ink(page, grid.ink)).reduce(factor))
    components = connected_components(ink_mask(gray))
    large = components.areas * factor**2 >= _SPECK * size**2
    by_cell: dict[Place, list[list[float]]] = {}
    for box in (components.boxes[large] * float(factor)).tolist():
        for r, top, bottom in _cell_spans(box[1], box[3], rows):
            for c, left, right in _cell_spans(box[0], box[2], columns):
                cell = (columns[c], rows[r], columns[c + 1], rows[r + 1])
                if not _is_left_over((left, top, right, bottom), cell):
                    by_cell.setdefault((r, c), []).append([left, top, right, bottom])
    lines: list[TextLine] = []
    places: list[Place] = []
    low = _min_size(by_cell.values(), size)
    heights = [max(box[3] - box[1] for box in boxes) for boxes in by_cell.values()]
    high = _ONE_CHAR * float(median(np.array(heights))) if heights else 0.0
    for place, boxes in sorted(by_cell.items()):
        for line in _group_lines(np.array(boxes), low, high):
            lines.append(with_paper(line))
            places.append(place)
    return lines, places


def _min_size(cells: Iterable[list[list[float]]], size: float) -> float:
    """Minimum height or width, in pixels, of a component in a cell that is not empty."""
    sizes = [max(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes) for boxes in cells]
    print_size = float(np.percentile(sizes, 90)) if sizes else 0.0
    return min(_MIN_SIZE * size, max(_TINY * size, _SHARE * print_size))


def _is_left_over(box: Sequence[float], cell: Sequence[float]) -> bool:
    """Whether a component is the remains of a rule: long and thin, or wholly at an edge."""
    wide, high = box[2] - box[0], box[3] - box[1]
    width, height = cell[2] - cell[0], cell[3] - cell[1]
    edge = _AT_EDGE * min(width, height)
    flat = high < _FLAT * height and wide > _LONG * width
    thin = wide < _FLAT * min(width, height) and high > 0.9 * height
    inner = (cell[0] + edge, cell[1] + edge, cell[2] - edge, cell[3] - edge)
    at_edge = box[2] < inner[0] or box[3] < inner[1] or box[0] > inner[2] or box[1] > inner[3]
    return flat or thin or at_edge


def _cell_spans(first: float, last: float, edges: Doubles) -> Iterator[tuple[int, float, float]]:
    """The cells that a component extends over along one side: index, begin and end in each."""
    spans = [
        (k, max(first, float(edges[k])), min(last, float(edges[k + 1])))
        for k in range(len(edges) - 1)
        if first < edges[k + 1] and last > edges[k]
    ]
    length = last - first
    for k, begin, end in spans:
        if end - begin >= _INSIDE * length:
            yield k, first, last
            return
    yield from (span for span in spans if span[2] - span[1] >= _MIN_PART * length)


def _group_lines(boxes: Doubles, low: float, high: float) -> Iterator[TextLine]:
    """Groups the components of one cell, float64[N, 4], into lines from top to bottom.

    A cell without a component of at least ``low`` pixels in height or width has only dust. Up to a
    height of ``high``, components above each other are parts of one broken character.
    """
    heights, widths = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    if max(heights.max(), widths.max()) < low:
        return
    lines: list[Doubles] = []
    for k in np.argsort(-heights):
        x0, y0, x1, y1 = boxes[k]
        overlaps = [min(y1, line[3]) - max(y0, line[1]) for line in lines]
        best = int(np.argmax(overlaps)) if overlaps else -1
        joint = max(y1, lines[best][3]) - min(y0, lines[best][1]) if lines else 0
        is_apart = joint > high and overlaps[best] < _LEVEL * heights[k]
        if best < 0 or (is_apart and heights[k] > _SMALL * heights.max()):
            lines.append(boxes[k].copy())
        else:
            line = lines[best]
            line[:2], line[2:] = np.minimum(line[:2], (x0, y0)), np.maximum(line[2:], (x1, y1))
    for x0, y0, x1, y1 in sorted(lines, key=lambda line: float(line[1])):
        more = max(0.0, _MIN_LINE * low - (y1 - y0)) / 2
        paper = _PAPER * (y1 - y0 + 2 * more)
        left, top, right, bottom = x0 - paper, y0 - more - paper, x1 + paper, y1 + more + paper
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        yield TextLine(np.array(corners, np.float32), _SCORE)


def _align_texts(reader: DigitReader, page: Page, options: TableOptions) -> Grid:
    """The cells of a table without rules, from texts aligned in rows and columns."""
    view, turn = _upright(reader, page)
    boxes = [box for line in view.lines for box in _texts(line)]
    rows, columns = options.shape or (None, options.columns)
    grid = align(np.array(boxes).reshape(-1, 4), rows, columns) if boxes else None
    if grid is None:
        raise ImageError(_no_table(page, options))
    nodes = points_back(grid.nodes, turn, page.shape[1], page.shape[0])
    ink = sum((line.crop[line.ink] - line.paper).sum(axis=0) for line in view.lines)
    return replace(grid, nodes=nodes, ink=np.asarray(ink, np.float64))


def _upright(reader: DigitReader, page: Page) -> tuple[View, int]:
    """The view of a page after the quarter turns with which it reads best, and their number.

    Small print on its side may be found as single characters, which read as something in any turn.
    """
    view, turn = reader.upright(page)
    if turn or 2 * sum(len(line.symbols) == 1 for line in view.lines) <= len(view.lines):
        return view, turn
    views = [view, *(reader.analyze(turned_page(page, quarter)) for quarter in (1, 2, 3))]
    turn = clearest_turn([each.lines for each in views])
    return views[turn], turn


def _no_table(page: Page, options: TableOptions) -> str:
    """The error message if no table is found: what was expected, what was found, what to do."""
    wanted = f" of {options.columns} columns" if options.columns else ""
    if options.shape:
        wanted = " of {} rows and {} columns".format(*options.shape)
    grid = find_grid(page) if wanted else None
    found = "one of {} rows and {} columns".format(*grid.shape) if grid else "none"
    return (
        f"expected a table{wanted}, found {found}: its rules must be visible from edge to edge, or "
        "its numbers aligned in rows and columns; show only the table, or give its size"
    )


def _texts(line: RecognizedLine) -> Iterator[Doubles]:
    """Yields the box, float64[4], of each text of a line, split at spaces and wide gaps."""
    boxes = line.boxes.astype(np.float64)
    text: Doubles | None = None
    for char, box in zip(line.symbols.text, boxes, strict=True):
        if text is not None:
            height = max(text[3] - text[1], box[3] - box[1])
            if char == " " or box[0] - text[2] > _TEXT_GAP * height:
                yield text
                text = None
        if char != " " and text is not None:
            text = np.r_[np.minimum(text[:2], box[:2]), np.maximum(text[2:], box[2:])]
        elif char != " ":
            text = box
    if text is not None:
        yield text


def _cells(raw: _RawTable, notation: Notation) -> dict[Place, Cell]:
    """The value of each cell, in the notation of the table."""
    rows = [(place, numbers_on(line)) for place, lines in raw.contents.items() for line in lines]
    owners = {
        raw.digits[spot.place].box: place
        for place, numbers in rows
        for number in numbers
        for spot in number
        if spot.place >= 0
    }
    numbers: dict[Place, list[Number]] = {}
    found = numbers_of([row for _, row in rows], dict(enumerate(raw.digits)), notation)
    for number in found:
        place = next(owners[digit.box] for digit in number.digits if digit.box in owners)
        numbers.setdefault(place, []).append(number)
    places = ((r, c) for r, c in np.ndindex(*raw.shape))
    cells = {place: _cell(raw, place, numbers.get(place, ())) for place in places}
    return _flag_words(cells, raw.shape)


def _cell(raw: _RawTable, place: Place, numbers: Sequence[Number]) -> Cell:
    top_left, top_right, bottom_right, bottom_left = ((x, y) for x, y in raw.quads[place].tolist())
    empty = Cell("", None, None, (top_left, top_right, bottom_right, bottom_left), _EMPTY, "empty")
    if place not in raw.contents:
        return empty
    lines = raw.contents[place]
    spots = [spot for line in lines for spot in line if spot.char != " "]
    text = " ".join("".join(spot.char for spot in line).strip() for line in lines).strip()
    unread = OTHER_SIGN in text
    if numbers and not any(spot.char.isalpha() for spot in spots):
        first = numbers[0]
        doubts = [number.reason for number in numbers if number.status == "unsure"]
        reason = doubts[0] if doubts else "a character could not be read" if unread else ""
        if place in raw.letters:
            reason = f"read as {raw.letters[place]}, in a column of numbers"
        if not reason and len(lines) > 2 and len(spots) == len(lines):
            reason = _PILED
        cell = replace(
            empty,
            text=" ".join(number.text for number in numbers),
            confidence=prod(number.confidence for number in numbers),
            status="unsure" if reason else "number",
            reason=reason,
        )
        if len(numbers) > 1:
            return cell
        return replace(cell, value=first.value, kind=first.kind, alternatives=first.alternatives)
    text = text.replace(OTHER_SIGN, "").strip()
    if not text:
        return replace(empty, confidence=0.5, status="unsure", reason=_NOTHING_READ)
    sure = prod(spot.confidence for spot in spots)
    doubtful = unread or min(spot.confidence for spot in spots) < _SURE
    reason = "these words are doubtful" if doubtful else ""
    status = "unsure" if doubtful else "words"
    return replace(empty, text=text, confidence=sure, status=status, reason=reason)


def _flag_words(cells: dict[Place, Cell], shape: tuple[int, ...]) -> dict[Place, Cell]:
    """Marks words below the first row of a numeric column as unsure: an O may be a 0."""
    for c in range(shape[1]):
        has_heading = cells[0, c].kind is None  # the first cell is a heading or empty
        filled = [(r, c) for r in range(has_heading, shape[0]) if cells[r, c].text]
        numeric = sum(cells[place].kind is not None for place in filled)
        if numeric <= _MOSTLY * len(filled):
            continue
        for place in filled:
            if place[0] and cells[place].status == "words":
                reason = "words in a column of numbers"
                cells[place] = replace(cells[place], status="unsure", reason=reason)
    return cells


def _chances(raw: _RawTable) -> Doubles:
    """float64[R, C, 10]: for each cell the probability that it is empty, then of 1 to 9."""
    chances = np.full((*raw.shape, 10), (1 - _EMPTY) / 9)
    chances[..., 0] = _EMPTY
    for place in raw.contents:
        chances[place] = [0.5] + [0.5 / 9] * 9
    view, best = raw.view, np.zeros(raw.shape)
    for place, numbers in raw.places.items():
        for k in numbers:
            objectness = float(view.existence[k])
            if objectness > best[place]:
                best[place] = objectness
                chances[place] = [1 - objectness, *(objectness * view.probabilities[k, 1:])]
    return chances
