"""What the numbers on a page say: their values, by the marks and the order that the page uses.

Knows characters and where they stand, but no networks. A number that can be read in two ways, such
as ``1.234``, is settled by what is known, then by the other numbers of the page; else it is unsure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from heapq import nlargest
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

from digitlens.reading.notation import (
    CURRENCIES,
    LIKE_DATE,
    ONE_MARK,
    UNKNOWN,
    Meaning,
    Notation,
    meanings,
)
from digitlens.reading.numbers import Spot
from digitlens.results import Alternative, Box, Digit, Number

if TYPE_CHECKING:
    from digitlens.results import Value

_ALTERNATIVES = 5
SURE_MARK = 0.8  # confidence of a mark from which it is taken as read
MISSED = 0.25  # probability of a character beside others, from which it may have been missed
_NARROW = 0.9  # heights: gap between parts that may be one number ...
_WIDE = 1.5  # ... and behind a currency without cents
_COLUMN = 1.0  # heights: how far the ends of numbers in a column are apart at most
_SMALL = 0.8  # share of the height of a price that its raised cents have at most ...
_EVEN = 1.2  # most of the heights of digits of one size, the highest to the lowest
_HIGH = 0.2  # ... and by which they end above its foot, and begin near its top

_HEAD = re.compile(r"(?:.*\D)?[1-9]\d{0,2}(?: \d{3})*")  # groups of digits before a space ...
_TAIL = re.compile(r"\d{3}(?:\D.*)?")  # ... and behind it

_CENTS = re.compile(rf"\d\d(?: ?[{CURRENCIES}])?")


@dataclass(frozen=True)
class _Piece:
    """The characters of one number, and what they may mean.

    Attributes:
        spots: From left to right.
        text: As written.
        raised: Number of its last digits that are small and raised.
        joined: What it would be with its neighbour, if both may be one number.
        doubt: Why it may be something else.
    """

    spots: tuple[Spot, ...]
    text: str
    raised: int = 0
    joined: str = ""
    doubt: str = ""

    @classmethod
    def of(cls, spots: Sequence[Spot]) -> _Piece:
        return cls(tuple(spots), "".join(spot.char for spot in spots), _raised(spots))

    @property
    def has_currency(self) -> bool:
        return any(char in CURRENCIES for char in self.text)

    def meanings(self, text: str = "") -> tuple[Meaning, ...]:
        text = text or self.text
        if not self.raised:
            return meanings(text)
        last = max(k for k, char in enumerate(text) if char.isdecimal()) + 1
        first = last - self.raised
        found = meanings(f"{text[:first].rstrip()}.{text[first:]}")
        prices = tuple(replace(each, notation=Notation()) for each in found)
        # A box may be too high because of ink around it, and hands write digits of any size.
        return prices if _are_of_two_sizes(self.spots) else prices + meanings(text)


def numbers_of(
    rows: Iterable[Sequence[Sequence[Spot]]],
    digits: Mapping[int, Digit],
    notation: Notation = UNKNOWN,
) -> tuple[Number, ...]:
    """What the numbers of a page say.

    Args:
        rows: For each line its numbers, each as its characters.
        digits: By their place, see ``Spot``.
        notation: What is known of how they are written; the rest is taken from numbers that can be
            read in one way only, if these agree.
    """
    parts = [[_Piece.of(number) for number in row] for row in rows]
    known = _settled(notation, [piece for row in parts for piece in row])
    pieces = [piece for row in parts for piece in _joined(row, known)]
    pieces = _unlike_others(list(_in_columns(pieces)), notation)
    return tuple(_number(piece, digits, known) for piece in pieces)


def _settled(notation: Notation, pieces: Sequence[_Piece]) -> Notation:
    """What is known, and what all numbers agree on that have one meaning only."""
    decimals: set[str] = set()
    orders: set[str] = set()
    for piece in pieces:
        found = [each.notation for each in piece.meanings()]
        if len(found) == 1 and _weakest(piece.spots) >= SURE_MARK:
            decimals |= {found[0].decimal} - {""}
            orders |= {found[0].order} - {""}
    decimal = notation.decimal or (decimals.pop() if len(decimals) == 1 else "")
    order = notation.order or (orders.pop() if len(orders) == 1 else "")
    return replace(notation, decimal=decimal, order=order)


def _joined(row: Sequence[_Piece], known: Notation) -> list[_Piece]:
    """The numbers of a line, put together where a narrow gap does not part what belongs together.

    Those that may belong together know what they would be then.
    """
    found: list[_Piece] = []
    for piece in row:
        if not found:
            found.append(piece)
            continue
        left = found[-1]
        gap = _gap(left.spots, piece.spots)
        both = _Piece.of((*left.spots, *piece.spots))
        if piece.spots[0].apart or gap > (_WIDE if left.text[0] in CURRENCIES else _NARROW):
            found.append(piece)
        elif both.raised and _digit_count(piece.spots) == both.raised:
            found[-1] = both
        elif _HEAD.fullmatch(left.text) and _TAIL.fullmatch(piece.text) and not known.grouping:
            found[-1:] = _perhaps(left, piece, f"{left.text} {piece.text}")
        elif _HEAD.fullmatch(left.text) and _TAIL.fullmatch(piece.text) and known.grouping == " ":
            space = Spot(" ", 1.0, left.spots[-1].box)
            found[-1] = _Piece((*left.spots, space, *piece.spots), f"{left.text} {piece.text}")
        elif _contradict(left, piece, known) and _value(both.text) is not None:
            found[-1] = replace(both, doubt="written with a gap")
        elif meanings(both.text)[0].kind in {"date", "time"}:
            found[-1:] = _perhaps(left, piece, both.text)
        elif known.decimal and _CENTS.fullmatch(piece.text) and _is_whole(left.text):
            found[-1:] = _perhaps(left, piece, f"{left.text}{known.decimal}{piece.text}")
        else:
            found.append(piece)
    return found


def _in_columns(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """The same; whole numbers in a column of numbers with decimals may have lost their mark."""
    ends = [end for piece in pieces if (end := _decimals(piece))]
    for piece in pieces:
        last = next(spot.box for spot in reversed(piece.spots) if spot.place >= 0)
        column = [end for x, end in ends if abs(x - last.x1) <= _COLUMN * last.height]
        lengths = Counter(map(len, column)).most_common(1)
        same = bool(lengths) and lengths[0][1] > max(1, len(column) / 2)
        if not same or piece.doubt or piece.raised or not _is_whole(piece.text):
            yield piece
            continue
        cut = max(k for k, char in enumerate(piece.text) if char.isdecimal()) + 2 - lengths[0][0]
        usual = next(end for end in column if len(end) == lengths[0][0])
        text = f"{piece.text[:cut]}{usual[0]}{piece.text[cut:]}" if cut > 0 else ""
        doubt = f"others in its column have decimals, as in {usual}"
        yield replace(piece, joined=text, doubt=doubt)


def _unlike_others(pieces: Sequence[_Piece], known: Notation) -> Iterator[_Piece]:
    """The same; in doubt are marks, prices and years that most of the page writes otherwise."""
    prices = [piece for piece in pieces if piece.has_currency]
    cents = 2 * sum(_decimals(piece) is not None for piece in prices) > len(prices)
    marks = Counter(end[1][0] for piece in pieces if (end := _decimals(piece)))
    dates = [piece.text for piece in pieces if piece.meanings()[0].kind == "date"]
    long = any(re.search(r"\d{4}", text) for text in dates)
    for piece in pieces:
        end, doubt = _decimals(piece), piece.doubt
        if end and end[1][0] != known.decimal and 2 * marks[end[1][0]] < marks.total():
            doubt = doubt or "most numbers here have another decimal mark"
        if cents and piece.has_currency and not (end or piece.raised) and _is_whole(piece.text):
            doubt = doubt or "most prices here have decimals"
        if long and piece.text in dates and not re.search(r"\d{4}", piece.text):
            doubt = doubt or "other years here have four digits"
        yield replace(piece, doubt=doubt)


def _decimals(piece: _Piece) -> tuple[int, str] | None:
    """Where a number ends, and with which mark and decimals; None if it has none."""
    found = piece.meanings()
    if len(found) != 1 or piece.doubt or not found[0].notation.decimal:
        return None
    end = re.search(rf"[{found[0].notation.decimal}]\d+", piece.text)
    places = [spot.box.x1 for spot in piece.spots if spot.place >= 0]
    return (places[-1], end[0]) if end else None


def _perhaps(left: _Piece, right: _Piece, text: str) -> list[_Piece]:
    return [replace(each, joined=text, doubt=f"may be part of {text}") for each in (left, right)]


def _value(text: str) -> Value | None:
    return meanings(text)[0].value


def _is_whole(text: str) -> bool:
    return meanings(text)[0].kind in {"integer", "currency"} and isinstance(_value(text), Decimal)


def _contradict(left: _Piece, right: _Piece, known: Notation) -> bool:
    """Whether one of two has no value, or is not written as is known."""
    parts = (left.meanings(), right.meanings())
    fits = all(any(each.value is not None and each.fits(known) for each in part) for part in parts)
    marks = {part[0].notation.decimal for part in parts} - {""}
    return not fits or len(marks) > 1


def _digit_count(spots: Sequence[Spot]) -> int:
    return sum(spot.place >= 0 for spot in spots)


def _gap(left: Sequence[Spot], right: Sequence[Spot]) -> float:
    """Between two numbers of a line, in heights of the higher one."""
    height = max(spot.box.height for spot in (*left, *right) if spot.place >= 0)
    return (right[0].box.x0 - left[-1].box.x1) / height


def _raised(spots: Sequence[Spot]) -> int:
    """2 if the last two digits are small and raised, as cents are, and there is no mark."""
    places = [spot for spot in spots if spot.place >= 0]
    if len(places) < 3 or any(spot.char in ".,'/:" for spot in spots):
        return 0
    whole, cents = places[:-2], places[-2:]
    height = min(spot.box.height for spot in whole)
    top, foot = max(spot.box.y0 for spot in whole), min(spot.box.y1 for spot in whole)
    small = all(spot.box.height <= _SMALL * height for spot in cents)
    high = all(spot.box.y1 <= foot - _HIGH * height for spot in cents)
    near = all(abs(spot.box.y0 - top) <= _HIGH * height for spot in cents)
    return 2 if small and high and near else 0


def _are_of_two_sizes(spots: Sequence[Spot]) -> bool:
    """Whether the last two digits are narrower than the others too, and all else is as in print."""
    boxes = [spot.box for spot in spots if spot.place >= 0]
    parts = boxes[:-2], boxes[-2:]
    whole, cents = (max(box.width for box in part) for part in parts)
    even = all(
        max(box.height for box in part) <= _EVEN * min(box.height for box in part)
        and max(box.y1 for box in part) - min(box.y1 for box in part) <= _HIGH * part[0].height
        for part in parts
    )
    return even and cents <= _SMALL * whole


def _weakest(spots: Sequence[Spot]) -> float:
    """The confidence of the least sure mark."""
    return min((spot.confidence for spot in spots if spot.place < 0), default=1.0)


def _number(piece: _Piece, digits: Mapping[int, Digit], known: Notation) -> Number:
    spots = piece.spots
    found, doubt = _chosen(piece.text, piece.meanings(), known)
    own = tuple(digits[spot.place] for spot in spots if spot.place >= 0)
    missed, chance = max((spot.missed for spot in spots), key=lambda each: each[1])
    unlike = 0.5 if piece.joined else chance
    read = prod(spot.confidence for spot in spots)
    sure = read * (1 - unlike)
    reason = _doubtful_digit(own) or _doubtful_mark(spots) or doubt or piece.doubt
    if not reason and chance >= MISSED:
        reason = f"may have {missed} beside it"
    share = sure / len(found)
    others = [Alternative(piece.text, each.value, share) for each in found[1:]]
    others += _completed(piece, missed, unlike * read)
    for text, odds in _rewritten(spots, digits):
        also, _ = _chosen(text, piece.meanings(text), known)
        others += [Alternative(text, each.value, sure * odds / len(also)) for each in also]
    best = nlargest(_ALTERNATIVES, others, key=lambda each: each.probability)
    first = found[0]
    status = "unsure" if reason else "number"
    shown = (first.value, first.kind, first.unit, _around(spots), own, share)
    return Number(piece.text, *shown, tuple(best), status, reason)


def _completed(piece: _Piece, missed: str, chance: float) -> list[Alternative]:
    """What a number is with its neighbour, or in the brackets of which one was seen."""
    text = piece.joined or (f"({piece.text})" if missed in {"(", ")"} else "")
    return [Alternative(text, meanings(text)[0].value, chance)] if text else []


def _chosen(
    text: str, found: tuple[Meaning, ...], known: Notation
) -> tuple[tuple[Meaning, ...], str]:
    """The meanings that go with what is known, and what is doubtful about them."""
    fitting = tuple(each for each in found if each.fits(known))
    if not fitting:
        marks = f"{known.decimal} as decimal mark" if known.decimal else known.grouping
        return found, f"not written as expected, with {marks or known.order}"
    if len(fitting) > 1:
        return fitting, " or ".join(_say(each) for each in fitting)
    if re.search(rf"[{CURRENCIES}] ?0\d|^0\d+ ?[{CURRENCIES}]", text):
        return fitting, "money without a mark behind 0"
    if any(ONE_MARK.fullmatch(part) for part in re.findall(r"[\d.,]+", text)):
        return fitting, "the same mark for groups and decimals"
    no_date = found[0].kind == "code" and LIKE_DATE.fullmatch(text)
    return fitting, "no such date" if no_date else ""


def _say(meaning: Meaning) -> str:
    return f"{meaning.value:f}" if isinstance(meaning.value, Decimal) else str(meaning.value)


def _doubtful_digit(digits: Sequence[Digit]) -> str:
    doubts = (f"digit {k}: {each.reason}" for k, each in enumerate(digits, 1) if each.reason)
    return next(doubts, "")


def _doubtful_mark(spots: Sequence[Spot]) -> str:
    marks = [spot for spot in spots if spot.place < 0 and spot.confidence < SURE_MARK]
    return f"{100 * marks[0].confidence:.0f} % sure of {marks[0].char}" if marks else ""


def _rewritten(spots: Sequence[Spot], digits: Mapping[int, Digit]) -> list[tuple[str, float]]:
    """Other texts of a number, one or two characters of which differ, with their odds."""
    odds = [
        (chance / max(spot.confidence, 1e-6), k, char)
        for k, spot in enumerate(spots)
        for char, chance in _others(spot, digits)
        if chance > 0
    ]
    odds = nlargest(_ALTERNATIVES, odds)
    pairs = ((one, other) for one, other in combinations(odds, 2) if one[1] != other[1])
    found: list[tuple[str, float]] = []
    for changes in [(one,) for one in odds] + list(pairs):
        chars = [spot.char for spot in spots]
        for _, k, char in changes:
            chars[k] = char
        found.append(("".join(chars), prod(each[0] for each in changes)))
    return nlargest(_ALTERNATIVES, found, key=lambda each: each[1])


def _others(spot: Spot, digits: Mapping[int, Digit]) -> Iterable[tuple[str, float]]:
    """What else a character may be, with probabilities that leave room for what it is."""
    if spot.place < 0:
        return spot.others
    digit = digits[spot.place]
    top = digit.probabilities[digit.value]
    scale = min(digit.confidence / max(top, 1e-6), (1 - digit.confidence) / max(1 - top, 1e-6))
    return [(str(value), scale * chance) for value, chance in digit.alternatives[:3]]


def _around(spots: Sequence[Spot]) -> Box:
    boxes = [spot.box for spot in spots]
    return Box(
        min(box.x0 for box in boxes),
        min(box.y0 for box in boxes),
        max(box.x1 for box in boxes),
        max(box.y1 for box in boxes),
    )
