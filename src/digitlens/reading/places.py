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
_ALONE = 0.15  # score above which a detected digit without a recognised character is kept
_SHARED = 0.2  # minimum IoU, along columns, of a digit and its character
_SURE = 0.5  # confidence of characters, and score of digits, above which they are trusted
_MAY_BE = 0.05  # probability of a digit above which a character is a place
_DOUBLE = 0.45  # IoU above which two boxes are one place
_WITHIN = 0.7  # fraction of the smaller box inside the larger above which it is part of it
_SEVERAL = 3  # a box around this many confident digits is not a digit

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
    rows = [row for number, line in enumerate(lines) for row in _on_one(number, line, digits)]
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    places = Places(
        *(
            np.array(column, dtype).reshape(len(rows), *sides)
            for column, (dtype, *sides) in zip(columns, _COLUMNS, strict=True)
        )
    )
    strength = np.maximum(places.objectness, 1e-3) * places.mass + 0.1 * places.mass
    return places[_apart(places, strength)]


# Types of the columns of ``Places``, and the second dimension of those that have one.
_FLOAT, _INT = (np.float32,), (np.intp,)
_BOX, _CHANCES = (np.float32, 4), (np.float32, 10)
_COLUMNS: tuple[tuple[Any, ...], ...] = (
    *(_BOX, _FLOAT, _CHANCES, _FLOAT, _FLOAT, _FLOAT, _CHANCES),
    *(_INT, _INT, _INT, _FLOAT, _FLOAT, _FLOAT, _FLOAT),
)


def _on_one(number: int, read: RecognizedLine, digits: Candidates) -> list[tuple[Any, ...]]:
    """The rows of ``Places`` for one line."""
    symbols = read.symbols
    here = digits[np.flatnonzero(on_line(digits.boxes, read.line))]
    spans = _spans(read, here.boxes)
    single = _characters_in(read, spans) < 2
    here, spans = here[single], spans[single]
    partner = _partners(spans, here, read)
    found: list[tuple[Any, ...]] = []  # the columns from ``boxes`` to ``recognizer``
    where: list[int] = []
    even = np.full(len(DIGITS), 0.1, np.float32)
    rest = _without_symbols(read)
    alone = (partner < 0) & (here.score > _ALONE)
    for index in np.flatnonzero((partner >= 0) | alone):
        symbol = int(partner[index])
        evidence = (
            _of_symbol(symbols.posteriors[symbol])
            if symbol >= 0
            else digit_evidence(rest, *spans[index])
        )
        seen = float(here.score[index]), here.probabilities[index]
        doubtful = symbol >= 0 and here.score[index] < _SURE
        box = read.boxes[symbol] if doubtful else here.boxes[index]
        found.append((box, *seen, *evidence))
        where.append(symbol)
    maybe = np.flatnonzero(symbols.posteriors[:, DIGIT_CLASSES].sum(axis=1) > _MAY_BE).tolist()
    for symbol in sorted(set(maybe) - set(partner.tolist())):
        evidence = _of_symbol(symbols.posteriors[symbol])
        found.append((read.boxes[symbol], UNSEEN, even, *evidence))
        where.append(symbol)
    letters = _letters_around(symbols.text)
    fluency = float(symbols.confidence.mean()) if len(symbols) else 0.0
    all_alike = max(len(symbols), len(found)) == 1, read.line.score
    return [
        (*row, number, symbol, _reads(read, symbol), fluency, letters[symbol], *all_alike)
        for row, symbol in zip(found, where, strict=True)
    ]


def _characters_in(read: RecognizedLine, spans: Floats) -> npt.NDArray[np.intp]:
    """int[N]: number of confident characters centred well inside each span."""
    centres = read.symbols.centres[read.symbols.confidence > _SURE]
    margin = 0.15 * (spans[:, 1:] - spans[:, :1])
    inside = (centres > spans[:, :1] + margin) & (centres < spans[:, 1:] - margin)
    return np.count_nonzero(inside, axis=1)


def _spans(read: RecognizedLine, boxes: Floats) -> Floats:
    """float32[N, 2]: first and last column of boxes in a line crop."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2] - boxes[:, 0]) / 2 * read.scale[0]
    column = read.place(middle.astype(np.float32))[:, 0]
    return np.stack([column - half, column + half], axis=1).astype(np.float32)


def _partners(spans: Floats, here: Candidates, read: RecognizedLine) -> npt.NDArray[np.intp]:
    """int[N]: the character matched to each digit, highest score first; -1 for none.

    A digit is matched to the free character with the highest sum of overlap in columns and
    agreement on its value. Spans, float32[N, 2], are the first and last column of each digit.
    """
    partner = np.full(len(spans), -1, np.intp)
    free = np.ones(len(read.symbols), bool)
    if not len(free) or not len(here):
        return partner
    first, last = read.spans.T
    values = read.symbols.posteriors[:, DIGIT_CLASSES]
    for index in np.argsort(-here.score, kind="stable"):
        low, high = spans[index]
        common = np.minimum(last, high) - np.maximum(first, low)
        union = np.maximum(last, high) - np.minimum(first, low)
        fit = np.clip(common / np.maximum(union, 1e-3), 0, 1)
        fit = np.where(free & (fit > _SHARED), fit + values @ here.probabilities[index], 0)
        best = int(fit.argmax())
        if fit[best] > 0:
            partner[index] = best
            free[best] = False
    return partner


def _without_symbols(read: RecognizedLine) -> Floats:
    """The posteriors of a line, set to 0 around its characters."""
    rest = read.posteriors.copy()
    steps = np.rint(read.symbols.centres / STRIDE - 0.5).astype(int)
    for step in (steps - 1, steps, steps + 1):
        rest[np.clip(step, 0, len(rest) - 1)] = 0
    return rest


def _of_symbol(posterior: Floats) -> DigitEvidence:
    return digit_evidence(posterior[None], 0, STRIDE)


def _reads(read: RecognizedLine, symbol: int) -> int:
    if symbol < 0:
        return NOTHING
    return DIGIT if read.symbols.text[symbol].isdigit() else MARK


def _letters_around(text: str) -> list[float]:
    """Fraction of letters in the word of each character; the last entry is for no character."""
    shares: list[float] = []
    for word in text.split(" "):
        shares += [sum(map(str.isalpha, word)) / max(1, len(word))] * len(word) + [0.0]
    return shares


def _apart(places: Places, strength: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Indices of the places left after dropping those that overlap a stronger one.

    Two characters of one line are kept however much their boxes overlap. A place with several
    confident digits inside is dropped itself.
    """
    left = np.ones(len(places), bool)
    # A box around digits hides them from the detector, so digits read on detected text count too.
    seen = (places.objectness > _SURE) | ((places.text > 0) & (places.lone == 0))
    sure = seen & (places.mass > _SURE)
    areas = (places.boxes[:, 2:] - places.boxes[:, :2]).prod(axis=1)
    for index in np.argsort(-strength, kind="stable"):
        if left[index]:
            union, part = overlaps(places.boxes[index], places.boxes)
            both = (places.line == places.line[index]) & (places.symbol >= 0)
            both &= bool(places.symbol[index] >= 0)
            under = ~both & ((union > _DOUBLE) | (part > _WITHIN))
            inside = places.boxes[left & sure & under & (areas < areas[index])]
            is_one = len({*map(tuple, inside.tolist())}) < _SEVERAL  # a digit may be on two lines
            left &= ~under | (not is_one)
            left[index] = is_one
    return np.flatnonzero(left)
