"""Values of the numbers on a page, from the marks and the order of dates that the page uses.

Knows characters and their positions, but no networks. An ambiguous number, such as ``1.234``, is
decided by the known notation, then by the other numbers of the page; otherwise it is unsure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from digitlens.alphabet import digits_of
from digitlens.reading.doubt import (
    BARE,
    CENTS_FROM,
    PageNumbers,
    Rewriting,
    Weights,
    raised_chance,
    read_chance,
    rewritten_digit,
    say_why,
)
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
from digitlens.results import Alternative, Box, Digit, Number, value_text

if TYPE_CHECKING:
    from digitlens.results import Value

_MAX_ALTERNATIVES = 5  # maximum alternatives of a number
_EVEN = (0.1,) * 10  # probabilities of a digit without a place
SURE_MARK = 0.8  # confidence from which a mark is trusted
SURE = 0.9  # confidence from which a number may be sure
_GAP = 0.9  # digit heights: maximum gap between parts that may be one number
_MARK_GAP = 1.5  # digit heights: the same after a currency sign, or with a mark between the parts
_CENTS_HEIGHT = 0.85  # maximum height of cents after a mark, relative to the whole part
_SAME_SIZE = 0.01  # probability of cents, by size, below which all digits are of one size
_DOUBTFUL_CENTS = 0.05  # cents without a mark are doubtful between this probability and 1 minus it

_OTHER_MARK = "most numbers here have another decimal mark"
_HEAD = re.compile(r"(?:.*\D)?[1-9]\d{0,2}(?: \d{3})*")  # groups of digits before a space
_TAIL = re.compile(r"\d{3}(?:\D.*)?")  # a group of digits after a space

_LESS_THAN_ONE = re.compile(r"\D*0\d\d\D*")
_PADDED = re.compile(r"\D*0\d{3,}\D*")  # zeros before a whole number: a code, never a price
_CENTS = re.compile(rf"\d\d(?: ?[{CURRENCIES}])?")


@dataclass(frozen=True)
class Piece:
    """The characters of one number and its possible meanings."""

    spots: tuple[Spot, ...]  # from left to right
    text: str  # as written
    raised: float = 0.0  # probability that its last two digits are cents, by size and position
    cents: float = 0.0  # the same, also by how the page writes numbers
    priced: bool = False  # whether other numbers suggest a missed mark before its cents
    joined: str = ""  # its text joined with its neighbour's, if both may be one number
    doubt: str = ""  # why it may be something else

    @classmethod
    def of(cls, spots: Sequence[Spot], fitted: Weights | None = None) -> Piece:
        """Makes the number of some characters; for ``fitted`` see ``numbers_of``."""
        text, raised = "".join(spot.char for spot in spots), raised_chance(spots, fitted)
        return cls(tuple(spots), text, raised, raised)

    def meanings(self, text: str = "") -> tuple[Meaning, ...]:
        """The meanings of its text, or of another text in its place; the likeliest first."""
        text = text or self.text
        if self.cents < _DOUBTFUL_CENTS or not BARE.fullmatch(text) or _PADDED.fullmatch(text):
            return meanings(text)
        digit_indices = [k for k, char in enumerate(text) if char.isdecimal()]
        found = meanings(f"{text[: digit_indices[-2]].rstrip()}.{text[digit_indices[-2] :]}")
        prices = tuple(replace(each, notation=Notation()) for each in found)
        if self.raised >= CENTS_FROM and self.cents > 1 - _DOUBTFUL_CENTS:
            return prices
        # A code among prices has no decimals: digits of one size are first taken as they are,
        # except 0 followed by two digits, and amounts that others show to have decimals.
        may_differ = self.raised >= _SAME_SIZE or _LESS_THAN_ONE.fullmatch(text)
        are_cents = self.priced or (may_differ and self.cents >= CENTS_FROM)
        return prices + meanings(text) if are_cents else meanings(text) + prices


def numbers_of(
    rows: Iterable[Sequence[Sequence[Spot]]],
    digits: Mapping[int, Digit],
    notation: Notation = UNKNOWN,
    *,
    as_read: bool = False,
    fitted: Weights | None = None,
) -> tuple[Number, ...]:
    """The numbers of a page with their values.

    Args:
        rows: For each line its numbers, each as its characters.
        digits: Digits by place, see ``Spot``.
        notation: The known notation; the rest is inferred from unambiguous numbers if they agree.
        as_read: Whether the characters are final, for example decided by constraints.
        fitted: Weights of doubt; None uses the shipped ones.
    """
    known, pieces = pieces_of(rows, notation, fitted)
    page = PageNumbers([piece.spots for piece in pieces], notation, fitted)
    pieces = [
        replace(piece, cents=page.cents[k], priced=page.is_priced(k))
        for k, piece in enumerate(pieces)
    ]
    return tuple(_number(page, k, piece, digits, known, as_read) for k, piece in enumerate(pieces))


def pieces_of(
    rows: Iterable[Sequence[Sequence[Spot]]],
    notation: Notation = UNKNOWN,
    fitted: Weights | None = None,
) -> tuple[Notation, list[Piece]]:
    """The notation of a page, as far as it is clear, and its numbers; see ``numbers_of``."""
    line_pieces = [[Piece.of(number, fitted) for number in row] for row in rows]
    known = _settle_notation(notation, [piece for row in line_pieces for piece in row])
    return known, [piece for row in line_pieces for piece in _join_parts(row, known, fitted)]


def _settle_notation(notation: Notation, pieces: Sequence[Piece]) -> Notation:
    """The known notation, completed by what all numbers with a single meaning agree on."""
    decimals: set[str] = set()
    orders: set[str] = set()
    for piece in pieces:
        notations = [each.notation for each in piece.meanings()]
        if len(notations) == 1 and _min_mark_confidence(piece.spots) >= SURE_MARK:
            decimals |= {notations[0].decimal} - {""}
            orders |= {notations[0].order} - {""}
    decimal = notation.decimal or (decimals.pop() if len(decimals) == 1 else "")
    order = notation.order or (orders.pop() if len(orders) == 1 else "")
    has_dollars = any("$" in piece.text for piece in pieces)
    return replace(notation, decimal=decimal, order=order, likely="MDY" if has_dollars else "")


def _join_parts(row: Sequence[Piece], known: Notation, fitted: Weights | None) -> list[Piece]:
    """The numbers of a line, with parts joined that belong together despite a narrow gap.

    Parts that only may belong together keep their joint text as ``joined``.
    """
    joined: list[Piece] = []
    for piece in row:
        if not joined:
            joined.append(piece)
            continue
        left = joined[-1]
        gap = _gap(left.spots, piece.spots)
        mark = left.spots[-1].trail or Spot(known.decimal, SURE_MARK, left.spots[-1].box)
        if gap <= _MARK_GAP and (marked := _join_at_mark(left, mark, piece, fitted)):
            joined[-1] = marked
            continue
        if piece.spots[0].is_separate or gap > (_MARK_GAP if left.text[0] in CURRENCIES else _GAP):
            joined.append(piece)
            continue
        both = Piece.of((*left.spots, *piece.spots), fitted)
        if both.raised >= CENTS_FROM and sum(spot.place >= 0 for spot in piece.spots) == 2:
            joined[-1] = both
        elif _HEAD.fullmatch(left.text) and _TAIL.fullmatch(piece.text) and not known.grouping:
            joined[-1:] = _as_joinable(left, piece, f"{left.text} {piece.text}")
        elif _HEAD.fullmatch(left.text) and _TAIL.fullmatch(piece.text) and known.grouping == " ":
            space = Spot(" ", 1.0, left.spots[-1].box)
            joined[-1] = Piece((*left.spots, space, *piece.spots), f"{left.text} {piece.text}")
        elif _are_incompatible(left, piece, known) and _value(both.text) is not None:
            joined[-1] = replace(both, doubt="written with a gap")
        elif meanings(both.text)[0].kind in {"date", "time"}:
            joined[-1:] = _as_joinable(left, piece, both.text)
        elif known.decimal and _CENTS.fullmatch(piece.text) and _is_whole(left.text):
            joined[-1:] = _as_joinable(left, piece, f"{left.text}{known.decimal}{piece.text}")
        else:
            joined.append(piece)
    return joined


def _join_at_mark(left: Piece, mark: Spot, right: Piece, fitted: Weights | None) -> Piece | None:
    """Joins two parts with a mark between them to a date, a time or a price with small cents."""
    if not mark.char:
        return None
    both = Piece.of((*left.spots, mark, *right.spots), fitted)
    kind = meanings(both.text)[0].kind
    is_small = _height(right.spots) < _CENTS_HEIGHT * _height(left.spots)
    is_price = mark.char in ".," and _is_whole(left.text) and _CENTS.fullmatch(right.text)
    is_one = kind in {"date", "time"} or (is_price and is_small)
    return replace(both, doubt="written with a gap") if is_one else None


def _as_joinable(left: Piece, right: Piece, text: str) -> list[Piece]:
    return [replace(each, joined=text, doubt=f"may be part of {text}") for each in (left, right)]


def _value(text: str) -> Value | None:
    return meanings(text)[0].value


def _is_whole(text: str) -> bool:
    return meanings(text)[0].kind in {"integer", "currency"} and isinstance(_value(text), Decimal)


def _are_incompatible(left: Piece, right: Piece, known: Notation) -> bool:
    """Whether one of two parts has no value or contradicts the notation, or their marks differ."""
    parts = (left.meanings(), right.meanings())
    fits = all(any(each.value is not None and each.fits(known) for each in part) for part in parts)
    marks = {part[0].notation.decimal for part in parts} - {""}
    return not fits or len(marks) > 1


def _gap(left: Sequence[Spot], right: Sequence[Spot]) -> float:
    """The gap between two numbers of a line, in heights of the higher one."""
    return (right[0].box.x0 - left[-1].box.x1) / max(_height(left), _height(right))


def _height(spots: Sequence[Spot]) -> int:
    """The height of the highest digit, in pixels."""
    return max(spot.box.height for spot in spots if spot.place >= 0)


def _min_mark_confidence(spots: Sequence[Spot]) -> float:
    """The lowest confidence of a mark; 1 if there is none."""
    return min((spot.confidence for spot in spots if spot.place < 0), default=1.0)


def _number(
    page: PageNumbers,
    index: int,
    piece: Piece,
    digits: Mapping[int, Digit],
    known: Notation,
    as_read: bool,
) -> Number:
    """The most likely text and value of a number, with its alternatives."""
    rewritings = page.rewritings(index, digits)
    joined, doubt, sign_reason = piece.joined, piece.doubt, ""
    if as_read:
        best, p_right = rewritings[0], read_chance(piece.spots)
        rewritten = [(each.text, p_right * each.odds) for each in rewritings[1:]]
    else:
        chances = page.likelihoods(rewritings)
        top = int(chances.argmax())
        best, chance = rewritings[top], float(chances[top])
        signs = page.signs(index, best, chance)
        p_right, sign_reason = page.right_chance(signs), say_why(signs, page.fitted)
        scale = min((1 - p_right) / max(1 - chance, 1e-6), 1.0)
        pairs = zip(rewritings, chances.tolist(), strict=True)
        rewritten = [(each.text, scale * odds) for each, odds in pairs if each is not best]
        if p_right < SURE and not joined:
            joined = page.joint_text(index)
        if not page.has_usual_mark(best.text) and not page.known.decimal:
            doubt = doubt or _OTHER_MARK
    found, ambiguity = _choose_meanings(best.text, piece.meanings(best.text), known)
    if piece.spots[0].in_text and not ambiguity:
        found, ambiguity = _without_minus(best.text, found)
    own_digits = tuple(digits[spot.place] for spot in piece.spots if spot.place >= 0)
    reason = _doubtful_digit(own_digits) or ambiguity or doubt
    if best.text != piece.text:
        reason = f"read as {piece.text}"
    elif not reason and p_right < SURE and sign_reason:
        reason = _doubtful_mark(piece.spots) or sign_reason
    # If two numbers may be one, each alone is as likely as both together.
    probability = p_right * (0.5 if joined and doubt else 1.0) / len(found)
    others = [Alternative(best.text, each.value, probability) for each in found[1:]]
    if joined:
        others.append(Alternative(joined, _value(joined), (p_right if doubt else 1 - p_right) / 2))
    for text, odds in (*rewritten, *_bracketed_texts(piece)):
        candidates, _ = _choose_meanings(text, piece.meanings(text), known)
        others += [Alternative(text, each.value, odds / len(candidates)) for each in candidates]
    return Number(
        best.text,
        found[0].value,
        found[0].kind,
        found[0].unit,
        Box(*map(int, page.boxes[index])),
        _number_digits(piece, best, digits),
        probability,
        _likeliest(others, 1 - probability),
        "unsure" if reason else "number",
        reason,
    )


def _likeliest(others: Sequence[Alternative], max_sum: float) -> tuple[Alternative, ...]:
    """The most probable alternatives, each once, scaled so that all fit in ``max_sum``."""
    unique: dict[tuple[str, Value | None], Alternative] = {}
    for each in sorted(others, key=lambda each: -each.probability):
        unique.setdefault((each.text, each.value), each)
    scale = min(1.0, max_sum / max(sum(each.probability for each in unique.values()), 1e-9))
    likeliest = list(unique.values())[:_MAX_ALTERNATIVES]
    return tuple(replace(each, probability=scale * each.probability) for each in likeliest)


def _bracketed_texts(piece: Piece) -> list[tuple[str, float]]:
    """The number in brackets, if only one bracket was read."""
    missed, chance = max((spot.missed for spot in piece.spots), key=lambda each: each[1])
    return [(f"({piece.text})", chance)] if missed in {"(", ")"} else []


def _number_digits(piece: Piece, best: Rewriting, digits: Mapping[int, Digit]) -> tuple[Digit, ...]:
    """The digits of the most likely text; those without a place are unsure."""
    all_digits: list[Digit] = []
    for spot, chars in zip(piece.spots, best.chars, strict=True):
        own_char = rewritten_digit(spot, chars) if spot.place >= 0 else ""
        before, own_char, after = chars.partition(own_char) if own_char else (chars, "", "")
        added = [
            [Digit(int(char), 0.0, _EVEN, spot.box, "unsure", "not read at first") for char in part]
            for part in map(digits_of, (before, after))
        ]
        own_digits = [digits[spot.place]] if own_char else []
        if own_char and int(own_char) != own_digits[0].value:
            own_digits = [replace(own_digits[0], value=int(own_char))]
        all_digits += [*added[0], *own_digits, *added[1]]
    return tuple(all_digits)


def _choose_meanings(
    text: str, candidates: tuple[Meaning, ...], known: Notation
) -> tuple[tuple[Meaning, ...], str]:
    """The meanings compatible with the known notation, and what is doubtful about them."""
    fitting = tuple(each for each in candidates if each.fits(known))
    if known.likely:
        fitting = tuple(sorted(fitting, key=lambda each: each.notation.order != known.likely))
    if not fitting:
        marks = f"{known.decimal} as decimal mark" if known.decimal else known.grouping
        return candidates, f"not written as expected, with {marks or known.order}"
    if len(fitting) > 1:
        return fitting, " or ".join(str(value_text(each.value)) for each in fitting)
    if re.search(rf"[{CURRENCIES}] ?0\d|^0\d+ ?[{CURRENCIES}]", text):
        return fitting, "money without a mark behind 0"
    if any(ONE_MARK.fullmatch(part) for part in re.findall(r"[\d.,]+", text)):
        return fitting, "the same mark for groups and decimals"
    no_date = candidates[0].kind == "code" and LIKE_DATE.fullmatch(text)
    return fitting, "no such date" if no_date else ""


def _without_minus(text: str, found: tuple[Meaning, ...]) -> tuple[tuple[Meaning, ...], str]:
    """Adds the positive value of a number in brackets amid text: ``4.5 (872)``, ``(212) 555``."""
    value = found[0].value
    if not (text.startswith("(") and isinstance(value, Decimal)) or found[0].unit:
        return found, ""
    if found[0].kind not in {"integer", "code"}:
        return found, ""
    positive = replace(found[0], value=value.copy_abs())
    return (*found, positive), f"{value_text(value)} or {value_text(positive.value)}"


def _doubtful_digit(digits: Sequence[Digit]) -> str:
    reasons = (f"digit {k}: {each.reason}" for k, each in enumerate(digits, 1) if each.reason)
    return next(reasons, "")


def _doubtful_mark(spots: Sequence[Spot]) -> str:
    marks = [spot for spot in spots if spot.place < 0 and spot.confidence < SURE_MARK]
    return f"{100 * marks[0].confidence:.0f} % sure of {marks[0].char}" if marks else ""
