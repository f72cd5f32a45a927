"""Layout: decides which places are digits, orders them in lines, and forms each line's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CLASS_OF, DIGITS, OTHER_SIGN, SPACE
from digitlens.imaging.ink import encloses
from digitlens.imaging.quantile import median
from digitlens.reading.decode import STRIDE
from digitlens.reading.fusion import Scores
from digitlens.reading.multiscale import Detections
from digitlens.reading.numbers import Spot, characters_of, exponents_in, numbers_on
from digitlens.reading.places import DIGIT, UNSEEN
from digitlens.reading.reading_order import lines_of, numbers_of
from digitlens.reading.recognize import RecognizedLine
from digitlens.results import Box, Character, Digit


@dataclass(frozen=True)
class View:
    """Everything detected and read on a page, before places are judged."""

    detections: Detections  # text lines and digits
    lines: list[RecognizedLine]  # the lines that were read
    scores: Scores  # of the N places that may hold a digit
    tiles: npt.NDArray[np.uint8]  # uint8[N, 28, 28]; the classifier's input for each place
    probabilities: npt.NDArray[np.float32]  # float32[N, 10]; which digit, fused
    confidence: npt.NDArray[np.float32]  # float32[N]; probability of that digit, calibrated
    existence: npt.NDArray[np.float32]  # float32[N]; probability of any digit

    @cached_property
    def isolated(self) -> npt.NDArray[np.bool_]:
        """bool[N]: lone characters that the digit detector missed, without text of their size."""
        places = self.scores.places
        isolated = (places.lone > 0) & (places.objectness <= UNSEEN)
        if isolated.any():
            word_heights = np.array([read.line.height for read in self.lines if _is_word(read)])
            heights = np.array([read.line.height for read in self.lines])[places.line]
            ratios = word_heights / np.maximum(heights, 1e-3)[:, None]
            isolated &= ~((ratios > 1 / _MAX_SIZE_RATIO) & (ratios < _MAX_SIZE_RATIO)).any(axis=1)
        return isolated

    @cached_property
    def rings(self) -> npt.NDArray[np.bool_]:
        """bool[N]: lone zeros that may be rings, as they enclose other ink, such as a face."""
        rings = (self.scores.places.lone > 0) & (self.probabilities.argmax(axis=1) == 0)
        for place in np.flatnonzero(rings):
            rings[place] = encloses(self.tiles[place] >= _INK_LEVEL)
        return rings


_INK_LEVEL = 64  # level of a tile from which a pixel is ink
_MAX_SIZE_RATIO = 2  # maximum ratio of line heights at which text has the size of a lone character
_MIN_CHARACTERS = 2  # minimum characters of text
_MIN_LEGIBILITY = 0.5  # mean confidence above which characters are text
_MAX_GAP = 1.2  # digit heights: maximum gap inside a number found as two lines, as in comb fields
_MIN_OVERLAP = 0.4  # minimum vertical overlap of the digits next to it, as a fraction of the lower
_MAX_CELL_STEP = 1.5  # cells across: less than two cells, which an empty one separates
_MIN_EMPTY = 0.25  # fraction of neighbours in a grid with an empty cell between them
_MIN_READ_EXISTENCE = 0.3  # minimum existence of a digit read on a line with clear ones
_MIN_CLEAR = 2  # minimum number of clear digits on that line
_MISSABLE = f"{DIGITS}.,'-()/:"  # characters that may have been missed
_MISSABLE_CLASSES = [CLASS_OF[char] for char in _MISSABLE]
_NOT_MISSED = ("", 0.0)
_UNREACHABLE = {"digit": 2.0, "reject": 2.0}  # thresholds above every confidence


@dataclass(frozen=True)
class Layout:
    """Digits and characters in reading order, line by line."""

    lines: tuple[tuple[Digit, ...], ...]  # digits, including rejected ones
    # The numbers of the same lines as written; see ``Reading``.
    characters: tuple[tuple[Character, ...], ...]
    places: tuple[tuple[int, ...], ...]  # for each digit of ``lines`` the index of its place
    # The numbers of the same lines, each as its characters.
    numbers: tuple[tuple[list[Spot], ...], ...] = ()

    @property
    def digits(self) -> dict[int, Digit]:
        """All digits by the index of their place."""
        pairs = (zip(*each, strict=True) for each in zip(self.places, self.lines, strict=True))
        return {place: digit for line in pairs for place, digit in line}


def arrange(view: View, size: tuple[int, int], thresholds: dict[str, float]) -> Layout:
    """Judges and orders places; ``size``: width and height; ``thresholds``: see ``judge``."""
    scores = view.scores
    digits = _judge_places(view, size, thresholds)
    kept = [i for i, digit in enumerate(digits) if digit.status != "rejected"]
    rows = _rows_of([[kept[i] for i in line] for line in lines_of(scores.boxes[kept])], scores)
    spots = {
        index: _spots_of(index, view, digits, size)
        for index in {int(scores.places.line[i]) for i in kept}
    }
    numbers = [number for line in spots.values() for number in numbers_on(line)]
    starts = _starts_of(rows, numbers, scores)
    written = [_numbers_in(row, numbers, starts) for row in rows]
    for place in starts:
        digits[place] = replace(digits[place], starts_number=True)
    for index in (i for i in range(len(digits)) if i not in kept):
        _insert_rejected(rows, written, index, digits)
    return Layout(
        tuple(tuple(digits[i] for i in row) for row in rows),
        tuple(characters_of(line) for line in written),
        tuple(tuple(row) for row in rows),
        tuple(tuple(line) for line in written),
    )


def read_spots(
    view: View, size: tuple[int, int], thresholds: dict[str, float]
) -> tuple[list[Digit], list[list[Spot]]]:
    """All digits of a view as judged by ``arrange``, and all characters of each line."""
    digits = _judge_places(view, size, thresholds)
    return digits, [_spots_of(index, view, digits, size) for index in range(len(view.lines))]


def _judge_places(view: View, size: tuple[int, int], thresholds: dict[str, float]) -> list[Digit]:
    """Judges all places: rejected if there hardly is a digit, else sure or unsure by confidence.

    A digit with an unclear value is kept, as dropping it would make a number ten times smaller.
    On a line with other digits a lower existence is enough, and a still lower one among several
    digits without letters. An isolated character may be dust, so it is at most unsure; the same
    holds for a ring. The exponent of a unit, as in m³, is rejected.
    """
    places, reject = view.scores.places, thresholds["reject"]
    clear_digits = np.bincount(places.line[view.confidence >= reject], minlength=len(view.lines))
    clear_digits = clear_digits[places.line]
    is_read = (places.reads == DIGIT) & (places.letters == 0) & (clear_digits >= _MIN_CLEAR)
    min_existence = np.where((clear_digits > 0) & ~view.isolated, reject, thresholds["digit"])
    is_digit = view.existence >= np.where(is_read, _MIN_READ_EXISTENCE, min_existence)
    usual = {"digit": thresholds["digit"], "reject": 0.0}
    unsure = {**usual, "digit": _UNREACHABLE["digit"]}
    criteria = [unsure if doubtful else usual for doubtful in (view.isolated | view.rings).tolist()]
    digits = [
        judge(
            float(view.existence[place]),
            view.probabilities[place],
            float(view.confidence[place]),
            page_box(view.scores.boxes[place], *size),
            criteria[place] if is_digit[place] else _UNREACHABLE,
            view.tiles[place],
        )
        for place in range(len(places))
    ]
    exponents = [set(exponents_in(read.symbols.text)) for read in view.lines]
    for place, (line, symbol) in enumerate(zip(places.line, places.symbol, strict=True)):
        if int(symbol) in exponents[line]:
            digits[place] = replace(digits[place], status="rejected", reason="exponent of a unit")
    return digits


def _rows_of(rows: list[list[int]], scores: Scores) -> list[list[int]]:
    """Rows of digits from left to right; rows that share a text line are merged."""
    merged: list[list[int]] = []
    for row in rows:
        lines = set(scores.places.line[row].tolist())
        matching = [other for other in merged if lines & set(scores.places.line[other].tolist())]
        if matching:
            matching[0] += row
            for other in matching[1:]:
                matching[0] += other
                merged.remove(other)
        else:
            merged.append(list(row))
    middles = scores.boxes[:, 0] + scores.boxes[:, 2]
    return [sorted(row, key=lambda place: float(middles[place])) for row in merged]


def _spots_of(index: int, view: View, digits: Sequence[Digit], size: tuple[int, int]) -> list[Spot]:
    """The characters of line ``index``: digits as judged, others as read."""
    read, places = view.lines[index], view.scores.places
    line_places = np.flatnonzero(places.line == index)
    place_of = {int(places.symbol[i]): int(i) for i in line_places if places.symbol[i] >= 0}
    positioned: list[tuple[float, Spot]] = []
    missed, centres = _missed_characters(read), read.symbols.centres
    symbol_steps = np.split(
        read.posteriors, ((centres[1:] + centres[:-1]) / 2 / STRIDE).round().astype(int)
    )
    for symbol, char in enumerate(read.symbols.text):
        place = place_of.get(symbol, -1)
        if place >= 0 and digits[place].status != "rejected":
            digit = digits[place]
            label, chance, box = str(digit.value), digit.confidence, digit.box
        else:
            place, label = -1, OTHER_SIGN if char.isdigit() else char
            chance = float(read.symbols.posteriors[symbol].max())
            box = page_box(read.boxes[symbol], *size)
        spot = Spot(label, chance, box, place, missed=missed[symbol], steps=symbol_steps[symbol])
        positioned.append((float(centres[symbol]), spot))
    for place in (int(i) for i in line_places if places.symbol[i] < 0):
        if digits[place].status != "rejected":
            box = places.boxes[place]
            middle = np.array([[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]], np.float32)
            positioned.append((float(read.place(middle)[0, 0]), _digit_spot(place, digits[place])))
    return [spot for _, spot in sorted(positioned, key=lambda pair: pair[0])]


def _missed_characters(read: RecognizedLine) -> list[tuple[str, float]]:
    """The strongest digit or mark next to each symbol, at steps read as blank or space."""
    best = read.posteriors.argmax(axis=1)
    is_empty = (best == BLANK) | (best == CLASS_OF[SPACE])
    empty_posteriors = read.posteriors[:, _MISSABLE_CLASSES] * is_empty[:, None]
    steps = (read.symbols.centres / STRIDE).astype(int)
    begins, ends = np.r_[0, steps[:-1]], np.r_[steps[1:], len(best)] + 1
    missed, text = list[tuple[str, float]](), read.symbols.text
    for k, char in enumerate(text):
        chances = empty_posteriors[begins[k] : ends[k]].max(axis=0, initial=0)
        for neighbour in text[max(0, k - 1) : k + 2]:
            if (index := _MISSABLE.find(neighbour)) >= 0:
                chances[index] = 0
        best = int(chances.argmax())
        missed.append((_MISSABLE[best], float(chances[best])) if char != SPACE else _NOT_MISSED)
    return missed


def _is_word(read: RecognizedLine) -> bool:
    characters = len(read.symbols.text.replace(SPACE, ""))
    return characters >= _MIN_CHARACTERS and bool(read.symbols.confidence.mean() > _MIN_LEGIBILITY)


def _digit_spot(place: int, digit: Digit) -> Spot:
    return Spot(str(digit.value), digit.confidence, digit.box, place)


def _numbers_in(
    row: Sequence[int], numbers: Sequence[list[Spot]], starts: set[int]
) -> list[list[Spot]]:
    """The numbers whose first digit is in a row, from left to right.

    Joins the parts of a number that was found as several lines, as in comb fields.
    """
    starting_at = {_first_place(number): number for number in numbers}
    joined: list[list[Spot]] = []
    for place in row:
        if place in starting_at and joined and place not in starts:
            joined[-1] = joined[-1] + starting_at[place]
        elif place in starting_at:
            joined.append(starting_at[place])
    return joined


def _starts_of(
    rows: Sequence[Sequence[int]], numbers: Sequence[list[Spot]], scores: Scores
) -> set[int]:
    """Indices of places that begin a number; the first of each row always does."""
    starts = {_first_place(number) for number in numbers}
    in_cells = _are_in_cells(rows, scores)
    for row in rows:
        gap_starts = {row[part[0]] for part in numbers_of(scores.boxes[list(row)])}
        lines, boxes = scores.places.line[list(row)], scores.boxes[list(row)]
        heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
        gaps = (boxes[1:, 0] - boxes[:-1, 2]) / np.minimum(heights[1:], heights[:-1])
        # Digits of the line above or below are in between if two lines converge.
        overlaps = np.minimum(boxes[1:, 3], boxes[:-1, 3]) - np.maximum(boxes[1:, 1], boxes[:-1, 1])
        overlaps /= np.minimum(heights[1:], heights[:-1])
        may_be_joined = lines[1:] != lines[:-1]
        if in_cells:
            lone = scores.places.lone[list(row)] > 0
            may_be_joined &= ~(lone[1:] & lone[:-1])
        continued = np.flatnonzero(may_be_joined & (gaps < _MAX_GAP) & (overlaps > _MIN_OVERLAP))
        starts -= {row[k + 1] for k in continued.tolist()} - gap_starts | {row[0]}
    return starts


def _are_in_cells(rows: Sequence[Sequence[int]], scores: Scores) -> bool:
    """Whether lone characters stand in a grid of about square cells, some of them empty.

    The fields of a comb are all filled, and those of another one are further below.
    """
    middles = (scores.boxes[:, :2] + scores.boxes[:, 2:]) / 2
    lone_middles = [middles[[place for place in row if scores.places.lone[place]]] for row in rows]
    spacings = np.concatenate([np.zeros(0), *(np.diff(row[:, 0]) for row in lone_middles)])
    if not len(spacings):
        return False
    middles = np.concatenate(lone_middles)
    max_distance, nearest = middles.max(), list[tuple[float, float]]()
    for middle in middles:
        dx, dy = np.abs(middles - middle).T
        beside, below = dx > dy, dy > dx
        nearest.append((dx[beside].min(initial=max_distance), dy[below].min(initial=max_distance)))
    column_pitch, row_pitch = median(np.array(nearest).T)
    empty_count = np.count_nonzero(spacings > _MAX_CELL_STEP * column_pitch)
    is_square = row_pitch < _MAX_CELL_STEP * column_pitch
    return bool(is_square and empty_count >= _MIN_EMPTY * len(spacings))


def _first_place(number: Sequence[Spot]) -> int:
    return next(spot.place for spot in number if spot.place >= 0)


def _insert_rejected(
    rows: list[list[int]], written: list[list[list[Spot]]], place: int, digits: Sequence[Digit]
) -> None:
    """Inserts a rejected digit into its row, or into a new one."""
    box = digits[place].box
    middle = (box.y0 + box.y1) / 2
    for row in rows:
        nearest = min((digits[i].box for i in row), key=lambda other: abs(other.x0 - box.x0))
        if nearest.y0 <= middle <= nearest.y1:
            row.insert(sum(digits[i].box.x0 <= box.x0 for i in row), place)
            return
    row_index = sum(min(digits[i].box.y0 for i in row) <= box.y0 for row in rows)
    rows.insert(row_index, [place])
    written.insert(row_index, [])


Floats = npt.NDArray[np.float32]


def judge(
    existence: float,
    probabilities: Floats,
    confidence: float,
    box: Box,
    thresholds: dict[str, float],
    tile: npt.NDArray[np.uint8] | None = None,
) -> Digit:
    """Makes a ``Digit`` from the fused scores of one place.

    Args:
        existence: Probability of any digit, 0..1.
        probabilities: float32[10]; which digit.
        confidence: Calibrated probability of the most probable digit.
        box: Its position on the page.
        thresholds: Confidence below which it is unsure (``digit``) or rejected (``reject``).
        tile: uint8[28, 28]; the classifier's input.
    """
    runner_up, best = np.argsort(probabilities)[-2:].tolist()
    chances = tuple(probabilities.tolist())
    status, reason = "digit", ""
    if confidence < thresholds["reject"]:
        status = "rejected"
        reason = f"hardly a digit, closest to {best} ({100 * confidence:.0f} %)"
    elif confidence < thresholds["digit"]:
        status, reason = "unsure", _doubt(existence, chances, runner_up, confidence)
    return Digit(best, confidence, chances, box, status, reason, tile=tile)


def page_box(box: Floats, width: int, height: int) -> Box:
    """Rounds a box, float32[4], to whole pixels and clips it to a page."""
    left, top, right, bottom = (round(side) for side in box.tolist())
    x0, y0 = _clip(left, 0, width - 1), _clip(top, 0, height - 1)
    return Box(x0, y0, _clip(right, x0 + 1, width), _clip(bottom, y0 + 1, height))


def _clip(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _doubt(existence: float, chances: tuple[float, ...], runner_up: int, confidence: float) -> str:
    certainty = f"{100 * confidence:.0f} % sure"
    if 1 - existence > chances[runner_up]:
        return f"{certainty}, may be no digit"
    return f"{certainty}, could be {runner_up} ({100 * chances[runner_up]:.0f} %)"
