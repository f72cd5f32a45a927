"""What the numbers on a page say: their values, by the marks and the order that the page uses.

Knows characters and where they stand, but no networks. A number that can be read in two ways, such
as ``1.234``, is settled by what is known, then by the other numbers of the page; else it is unsure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from heapq import nlargest
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, TypedDict

from digitlens.reading.numbers import Spot
from digitlens.results import Alternative, Box, Digit, Kind, Number

if TYPE_CHECKING:
    from digitlens.results import Value

CURRENCIES = "$€£¥"
LONG = 10  # digits: a plain run of so many is a code, as in a phone number or a bar code
_PIVOT = 69  # two digits of a year: below, 20xx, as POSIX has it
_ALTERNATIVES = 5
SURE_MARK = 0.8  # confidence of a mark from which it is taken as read
MISSED = 0.25  # probability of a character beside others, from which it may have been missed
_NARROW = 0.9  # heights: gap between parts that may be one number ...
_COLUMN = 1.0  # heights: how far the ends of numbers in a column are apart at most
_WIDE = 1.5  # ... and behind a currency without cents
_SMALL = 0.8  # share of the height of a price that its raised cents have at most ...
_EVEN = 1.2  # most of the heights of digits of one size, the highest to the lowest
_HIGH = 0.2  # ... and by which they end above its foot, and begin near its top

# Countries by decimal mark, grouping mark and the order of dates (Unicode CLDR).
_COUNTRIES = {
    ".,MDY": "en_US en_PH",
    ".,DMY": "en_GB en_AU en_IE en_IN en_NZ en_SG es_MX he_IL hi_IN ms_MY th_TH",
    ".,YMD": "ja_JP en_CA ko_KR zh_CN zh_TW",
    ".'DMY": "de_CH de_LI en_CH fr_CH it_CH",
    ",.DMY": "de_DE de_AT da_DK el_GR es_AR es_ES hr_HR id_ID it_IT nl_BE nl_NL pt_BR ro_RO "
    "sl_SI sr_RS tr_TR vi_VN",
    ", DMY": "fr_FR bg_BG cs_CZ fi_FI fr_BE nb_NO pl_PL pt_PT ru_RU sk_SK uk_UA",
    ", YMD": "sv_SE fr_CA hu_HU lt_LT",
}
LOCALES = {name: habits for habits, names in _COUNTRIES.items() for name in names.split()}


class NotationOptions(TypedDict, total=False):
    """How numbers are written, as options of a reader; see ``Notation.of``."""

    decimal: str | None
    grouping: str | None
    locale: str | None


@dataclass(frozen=True)
class Notation:
    """How numbers are written, as far as it is known.

    Attributes:
        decimal: The decimal mark, point or comma; empty if it is not known.
        grouping: The mark between groups of three digits: one of ``.,'`` or a space; empty if it
            is not known.
        order: Of dates: ``DMY``, ``MDY`` or ``YMD``; empty if it is not known.
    """

    decimal: str = ""
    grouping: str = ""
    order: str = ""

    @classmethod
    def of(
        cls, decimal: str | None = None, grouping: str | None = None, locale: str | None = None
    ) -> Notation:
        """Checks what is known.

        Args:
            decimal: ``"."`` or ``","``; goes before what the locale says.
            grouping: One of ``". , '"`` or a space; goes before what the locale says.
            locale: Such as ``"de_DE"`` or ``"en"``, see ``LOCALES``.

        Raises:
            ValueError: A mark is none of these, both are the same, or the locale is not known.
        """
        habits = _habits(locale) if locale else ("", "", "")
        grouping = _plain(grouping)
        if decimal not in {None, ".", ","}:
            raise ValueError(f"decimal: expected . or , found {decimal!r}")
        if grouping not in {None, ".", ",", "'", " "}:
            raise ValueError(f"grouping: expected . or , or ' or a space, found {grouping!r}")
        if decimal and decimal == grouping:
            raise ValueError(f"decimal, grouping: expected two marks, found {decimal!r} for both")
        other = {".": ",", ",": "."}
        # A mark that is given displaces the same one in the other part of the locale.
        point = decimal or (other[grouping] if grouping in other else habits[0])
        group = grouping or (other[point] if point and habits[1] == point else habits[1])
        return cls(point, group, habits[2])


def _plain(mark: str | None) -> str | None:
    return re.sub("[\u2019`]", "'", re.sub("[\u00a0\u2009\u202f]", " ", mark)) if mark else None


def _habits(locale: str) -> tuple[str, str, str]:
    """Decimal mark, grouping mark and order of dates; a language alone says what all its share."""
    name = locale.split(".", maxsplit=1)[0].replace("-", "_")
    language, _, country = name.partition("_")
    name = f"{language.lower()}_{country.upper()}" if country else language.lower()
    habits = LOCALES.get(name) or LOCALES.get(f"{name}_{name.upper()}")
    same = [LOCALES[each] for each in LOCALES if each.split("_")[0] == name]
    if not habits and not same:
        known = ", ".join(sorted(LOCALES))
        raise ValueError(f"locale: expected a language or one of {known}; found {locale!r}")
    if name == "en":  # dates are written in three orders
        return ".", ",", ""
    decimal, grouping, *order = habits or same[0]
    return decimal, grouping, "".join(order)


@dataclass(frozen=True)
class Meaning:
    """One way to read a text.

    Attributes:
        value: What it says.
        kind: See ``Number``.
        unit: See ``Number``.
        notation: What has to be so for this to be meant.
    """

    value: Value | None
    kind: Kind
    unit: str = ""
    notation: Notation = Notation()

    def fits(self, known: Notation) -> bool:
        """Whether it goes with what is known."""
        ours, theirs = self.notation, known
        pairs = (
            (ours.decimal, theirs.decimal),
            (ours.order, theirs.order),
            (ours.grouping, theirs.grouping if ours.grouping in {".", ","} else ""),
        )
        return all(not one or not other or one == other for one, other in pairs)


_SIGNS = re.escape(f"{CURRENCIES}§#")
_PARTS = re.compile(
    rf"(?P<lead>[-+({_SIGNS} ]*)(?P<core>[.]?\d.*?)(?P<trail>(?: ?[%{CURRENCIES}]| ?°[CF]?|[-)])*)"
)
_DATE = re.compile(r"(\d{4}|\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{1,2})")
_LIKE_DATE = re.compile(r"(?:\d{4}|\d{1,2})([-/.])\d{1,2}\1\d{2,4}")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_FRACTION = re.compile(r"(0|[1-9]\d{0,2})/([1-9]\d{0,2})")
_SCIENTIFIC = re.compile(r"(\d+(?:[.,]\d+)?)[eE]([+-]?\d{1,3})")
_ONE_MARK = re.compile(r"\d{1,3}([.,])(?:\d{3}\1)+\d{1,2}")  # 1.234.56: one was misread
_ORDERS = {"/": ("DMY", "MDY", "YMD"), "-": ("DMY", "MDY", "YMD"), ".": ("DMY", "YMD")}


def meanings(text: str) -> tuple[Meaning, ...]:
    """All that a text may say, the likeliest first; a code without value if it says nothing.

    Args:
        text: A number as it is written, as ``number_spans`` finds it.
    """
    parts = _PARTS.fullmatch(text)
    sign = _sign(parts["lead"], parts["trail"]) if parts else None
    if parts is None or sign is None:
        return (Meaning(None, "code"),)
    core, around = parts["core"], parts["lead"] + parts["trail"]
    bare = not around.strip()
    if _DATE.fullmatch(core) and bare and (dates := tuple(_dates(core))):
        return dates
    if (clock := _TIME.fullmatch(core)) and bare:
        return (_time(clock),)
    found = list(_quantities(core))
    if not found:
        return (Meaning(None, "code"),)
    unit = "".join(char for char in around if char not in "+-() ")
    return tuple(_signed(each, sign, unit) for each in _ranked(found, unit))


def _sign(lead: str, trail: str) -> int | None:
    """1 or -1; None if there are too many signs or units around a number."""
    around = lead + trail
    brackets = (lead.count("("), trail.count(")"))
    signs = [char for char in around if char in "+-"]
    units = re.findall(rf"[%{_SIGNS}]|°[CF]?", around)
    if brackets not in {(0, 0), (1, 1)} or len(signs) + brackets[0] > 1 or len(units) > 1:
        return None
    return -1 if "-" in signs or brackets[0] else 1


def _ranked(found: list[Meaning], unit: str) -> list[Meaning]:
    """Money seldom has three decimals."""
    money = unit in CURRENCIES and bool(unit)
    return sorted(found, key=lambda each: each.kind == "decimal") if money else found


def _signed(meaning: Meaning, sign: int, unit: str) -> Meaning:
    kind: Kind = meaning.kind
    if unit == "%":
        kind = "percent"
    elif unit and unit in CURRENCIES:
        kind = "currency"
    value = meaning.value
    if isinstance(value, Decimal) and sign < 0:
        value = value.copy_negate()
    return replace(meaning, value=value, kind=kind, unit=unit)


def _quantities(core: str) -> Iterator[Meaning]:
    """What a text of digits and marks may amount to."""
    if core.isdecimal():
        is_code = len(core) >= LONG or (len(core) > 1 and core[0] == "0")
        yield Meaning(Decimal(core), "code" if is_code else "integer")
    elif found := _FRACTION.fullmatch(core):
        yield Meaning(Decimal(found[1]) / Decimal(found[2]), "fraction")
    elif found := _SCIENTIFIC.fullmatch(core):
        yield Meaning(Decimal(f"{found[1].replace(',', '.')}E{found[2]}"), "decimal")
    elif _ONE_MARK.fullmatch(core):
        yield Meaning(Decimal(re.sub(r"[.,](?=.*[.,])", "", core).replace(",", ".")), "decimal")
    else:
        for decimal in ".,":
            yield from _marked(core, decimal)


def _marked(core: str, decimal: str) -> Iterator[Meaning]:
    """What digits with points, commas and apostrophes amount to, by the decimal mark."""
    whole, mark, rest = core.partition(decimal)
    other = "," if decimal == "." else "."
    group = next((char for char in f"{other}' " if char in whole), "")
    if (
        group
        and not re.fullmatch(rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+", whole)
        and not (
            # Indian groups, as in 12,34,567
            group == "," and re.fullmatch(r"[1-9]\d?(?:,\d\d)+,\d{3}", whole)
        )
    ):
        return
    if (mark and not rest.isdecimal()) or (whole and not group and not whole.isdecimal()):
        return
    if not mark and group in {"'", " "}:  # whatever the decimal mark is
        if decimal == ".":
            yield Meaning(Decimal(re.sub(r"\D", "", whole)), "integer", "", Notation("", group))
        return
    value = Decimal(re.sub(r"\D", "", whole) + (f".{rest}" if mark else ""))
    kind: Kind = "decimal" if mark else "integer"
    yield Meaning(value, kind, "", Notation(decimal, group))


def _time(found: re.Match[str]) -> Meaning:
    try:
        hour, minute, second = (int(part or 0) for part in found.groups())
        return Meaning(time(hour, minute, second), "time")
    except ValueError:
        return Meaning(None, "code")


def _dates(core: str) -> Iterator[Meaning]:
    """Each date that a text may be, once."""
    found = _DATE.fullmatch(core)
    assert found
    parts = found[1], found[3], found[4]
    seen: dict[date, str] = {}
    for order in _ORDERS[found[2]]:
        written = dict(zip(order, parts, strict=True))
        long = [len(part) == 4 for part in parts]
        if any(long) and len(written["Y"]) != 4:
            continue
        if not any(long) and (len(written["Y"]) != 2 or (order == "YMD" and found[2] != "-")):
            continue
        try:
            day = date(_year(written["Y"]), int(written["M"]), int(written["D"]))
        except ValueError:
            continue
        seen[day] = "" if day in seen else order
    yield from (Meaning(day, "date", "", Notation(order=order)) for day, order in seen.items())


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < _PIVOT else 1900)


_HEAD = re.compile(r"(?:.*\D)?[1-9]\d{0,2}(?: \d{3})*")  # groups of digits before a space ...
_TAIL = re.compile(r"\d{3}(?:\D.*)?")  # ... and behind it


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
    notation: Notation = Notation(),
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
    return tuple(_number(piece, digits, known) for piece in _in_columns(pieces))


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
        elif known.decimal and re.fullmatch(r"\d\d", piece.text) and _is_whole(left.text):
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
        same = len(set(map(len, column))) == 1 and len(column) > 1
        if not same or piece.doubt or piece.raised or not _is_whole(piece.text):
            yield piece
            continue
        cut = max(k for k, char in enumerate(piece.text) if char.isdecimal()) + 2 - len(column[0])
        text = f"{piece.text[:cut]}{column[0][0]}{piece.text[cut:]}" if cut > 0 else ""
        doubt = f"others in its column have decimals, as in {column[0]}"
        yield replace(piece, joined=text, doubt=doubt)


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
    if any(_ONE_MARK.fullmatch(part) for part in re.findall(r"[\d.,]+", text)):
        return fitting, "the same mark for groups and decimals"
    no_date = found[0].kind == "code" and _LIKE_DATE.fullmatch(text)
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
