"""Places that may hold a digit: detected digits matched with recognised characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import DIGITS
from digitlens.reading.decode import DIGIT_CLASSES, STRIDE, DigitEvidence, digit_evidence
from digitlens.reading.nms import Candidates, Columns, overlaps
from digitlens.reading.recognize import RecognizedLine, on_line

NOTHING, DIGIT, MARK = range(3)  # what the recogniser reads at a place
UNSEEN = 1e-4  # objectness of places that the digit detector did not find
_MIN_LONE_SCORE = 0.15  # score above which a detected digit without a recognised character is kept
_MIN_IOU = 0.2  # minimum IoU, along columns, of a digit and its character
_CONFIDENT = 0.5  # confidence of characters, and score of digits, above which they are trusted
_MIN_MASS = 0.05  # probability of a digit above which a character is a place
_MAX_IOU = 0.45  # IoU above which two boxes are one place
_MAX_CONTAINMENT = 0.7  # fraction of the smaller box inside the larger above which it is part of it
_MIN_ENCLOSED = 3  # a box around this many confident digits is not a digit

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Places(Columns):
    """Places that may hold a digit, with the outputs of detector and recogniser."""

    boxes: Floats  # float32[N, 4]; x0, y0, x1, y1 on the page
    objectness: Floats  # float32[N]; probability of a digit by the digit detector
    detector: Floats  # float32[N, 10]; which digit, by the digit detector
    mass: Floats  # float32[N]; probability of a digit by the line recogniser
    given: Floats  # float32[N]; the same, given that there is a character
    numeric: Floats  # float32[N]; the same, given a character that is not a letter
    recognizer: Floats  # float32[N, 10]; which digit, by the line recogniser
    line: npt.NDArray[np.intp]  # int[N]; index of its line
    symbol: npt.NDArray[np.intp]  # int[N]; index of its character on the line; -1 for none
    # int[N]; what the recogniser reads there: ``NOTHING``, ``DIGIT`` or ``MARK``, which is any
    # other character.
    reads: npt.NDArray[np.intp]
    fluency: Floats  # float32[N]; mean confidence of the recognised characters on its line
    letters: Floats  # float32[N]; fraction of letters in its word
    lone: Floats  # float32[N]; 1 if it is the only character of its line, else 0
    # float32[N]; score of its line by the line detector; 0 for a line formed from digits.
    text: Floats


def gather(digits: Candidates, lines: Sequence[RecognizedLine]) -> Places:
    """All places with a detected or recognised digit; those with both appear once."""
    rows = [row for number, line in enumerate(lines) for row in _line_rows(number, line, digits)]
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    places = Places(
        *(
            np.array(column, dtype).reshape(len(rows), *sides)
            for column, (dtype, *sides) in zip(columns, _COLUMNS, strict=True)
        )
    )
    strength = np.maximum(places.objectness, 1e-3) * places.mass + 0.1 * places.mass
    return places[_without_overlaps(places, strength)]


# Types of the columns of ``Places``, and the second dimension of those that have one.
_FLOAT, _INT = (np.float32,), (np.intp,)
_BOX, _CHANCES = (np.float32, 4), (np.float32, 10)
_COLUMNS: tuple[tuple[Any, ...], ...] = (
    *(_BOX, _FLOAT, _CHANCES, _FLOAT, _FLOAT, _FLOAT, _CHANCES),
    *(_INT, _INT, _INT, _FLOAT, _FLOAT, _FLOAT, _FLOAT),
)


def _line_rows(number: int, read: RecognizedLine, digits: Candidates) -> list[tuple[Any, ...]]:
    """The rows of ``Places`` for one line."""
    symbols = read.symbols
    detected = digits[np.flatnonzero(on_line(digits.boxes, read.line))]
    spans = _spans(read, detected.boxes)
    is_single = _count_characters(read, spans) < 2
    detected, spans = detected[is_single], spans[is_single]
    partner = _partners(spans, detected, read)
    found: list[tuple[Any, ...]] = []  # the columns from ``boxes`` to ``recognizer``
    matched: list[int] = []
    uniform = np.full(len(DIGITS), 0.1, np.float32)
    masked = _mask_symbols(read)
    is_alone = (partner < 0) & (detected.score > _MIN_LONE_SCORE)
    for index in np.flatnonzero((partner >= 0) | is_alone):
        symbol = int(partner[index])
        evidence = (
            _symbol_evidence(symbols.posteriors[symbol])
            if symbol >= 0
            else digit_evidence(masked, *spans[index])
        )
        detection = float(detected.score[index]), detected.probabilities[index]
        doubtful = symbol >= 0 and detected.score[index] < _CONFIDENT
        box = read.boxes[symbol] if doubtful else detected.boxes[index]
        found.append((box, *detection, *evidence))
        matched.append(symbol)
    likely = np.flatnonzero(symbols.posteriors[:, DIGIT_CLASSES].sum(axis=1) > _MIN_MASS).tolist()
    for symbol in sorted(set(likely) - set(partner.tolist())):
        evidence = _symbol_evidence(symbols.posteriors[symbol])
        found.append((read.boxes[symbol], UNSEEN, uniform, *evidence))
        matched.append(symbol)
    letters = _letter_fractions(symbols.text)
    fluency = float(symbols.confidence.mean()) if len(symbols) else 0.0
    shared = max(len(symbols), len(found)) == 1, read.line.score
    return [
        (*row, number, symbol, _symbol_kind(read, symbol), fluency, letters[symbol], *shared)
        for row, symbol in zip(found, matched, strict=True)
    ]


def _count_characters(read: RecognizedLine, spans: Floats) -> npt.NDArray[np.intp]:
    """int[N]: number of confident characters centred well inside each span."""
    centres = read.symbols.centres[read.symbols.confidence > _CONFIDENT]
    margin = 0.15 * (spans[:, 1:] - spans[:, :1])
    inside = (centres > spans[:, :1] + margin) & (centres < spans[:, 1:] - margin)
    return np.count_nonzero(inside, axis=1)


def _spans(read: RecognizedLine, boxes: Floats) -> Floats:
    """float32[N, 2]: first and last column of boxes in a line crop."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2] - boxes[:, 0]) / 2 * read.scale[0]
    column = read.place(middle.astype(np.float32))[:, 0]
    return np.stack([column - half, column + half], axis=1).astype(np.float32)


def _partners(spans: Floats, detected: Candidates, read: RecognizedLine) -> npt.NDArray[np.intp]:
    """int[N]: the character matched to each digit, highest score first; -1 for none.

    A digit is matched to the free character with the highest sum of overlap in columns and
    agreement on its value. Spans, float32[N, 2], are the first and last column of each digit.
    """
    partner = np.full(len(spans), -1, np.intp)
    free = np.ones(len(read.symbols), bool)
    if not len(free) or not len(detected):
        return partner
    first, last = read.spans.T
    values = read.symbols.posteriors[:, DIGIT_CLASSES]
    for index in np.argsort(-detected.score, kind="stable"):
        low, high = spans[index]
        common = np.minimum(last, high) - np.maximum(first, low)
        union = np.maximum(last, high) - np.minimum(first, low)
        fit = np.clip(common / np.maximum(union, 1e-3), 0, 1)
        fit = np.where(free & (fit > _MIN_IOU), fit + values @ detected.probabilities[index], 0)
        best = int(fit.argmax())
        if fit[best] > 0:
            partner[index] = best
            free[best] = False
    return partner


def _mask_symbols(read: RecognizedLine) -> Floats:
    """The posteriors of a line, set to 0 around its characters."""
    masked = read.posteriors.copy()
    steps = np.rint(read.symbols.centres / STRIDE - 0.5).astype(int)
    for step in (steps - 1, steps, steps + 1):
        masked[np.clip(step, 0, len(masked) - 1)] = 0
    return masked


def _symbol_evidence(posterior: Floats) -> DigitEvidence:
    return digit_evidence(posterior[None], 0, STRIDE)


def _symbol_kind(read: RecognizedLine, symbol: int) -> int:
    if symbol < 0:
        return NOTHING
    return DIGIT if read.symbols.text[symbol].isdigit() else MARK


def _letter_fractions(text: str) -> list[float]:
    """Fraction of letters in the word of each character; the last entry is for no character."""
    fractions: list[float] = []
    for word in text.split(" "):
        fractions += [sum(map(str.isalpha, word)) / max(1, len(word))] * len(word) + [0.0]
    return fractions


def _without_overlaps(places: Places, strength: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Indices of the places left after dropping those that overlap a stronger one.

    Two characters of one line are kept however much their boxes overlap. A place with several
    confident digits inside is dropped itself.
    """
    keep = np.ones(len(places), bool)
    # A box around digits hides them from the detector, so digits read on detected text count too.
    is_reliable = (places.objectness > _CONFIDENT) | ((places.text > 0) & (places.lone == 0))
    is_sure = is_reliable & (places.mass > _CONFIDENT)
    areas = (places.boxes[:, 2:] - places.boxes[:, :2]).prod(axis=1)
    for index in np.argsort(-strength, kind="stable"):
        if keep[index]:
            union, containment = overlaps(places.boxes[index], places.boxes)
            both_read = (places.line == places.line[index]) & (places.symbol >= 0)
            both_read &= bool(places.symbol[index] >= 0)
            is_covered = ~both_read & ((union > _MAX_IOU) | (containment > _MAX_CONTAINMENT))
            inside = places.boxes[keep & is_sure & is_covered & (areas < areas[index])]
            is_one = len({*map(tuple, inside.tolist())}) < _MIN_ENCLOSED  # one may be on two lines
            keep &= ~is_covered | (not is_one)
            keep[index] = is_one
    return np.flatnonzero(keep)
