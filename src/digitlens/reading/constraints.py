"""Constraints on a number, known before it is read, as automata over its characters.

A constraint consumes a number character by character and rejects each prefix that no valid number
begins with; decoding drops these, see ``decode.search``. The alphabet of a constraint is the ten
digits and its own letters and marks; it ignores other characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from math import floor
from typing import Any, NamedTuple, Protocol

from digitlens.alphabet import DIGITS, SPACE
from digitlens.alphabet import MARKS as ALL_MARKS
from digitlens.reading import check_digits
from digitlens.reading.check_digits import LETTERS, MAX_LENGTH
from digitlens.reading.decode import Automaton

ALLOWED = (
    "expected a constraint: range 0..500, >= 7, <= 9.5, after 1234.5, after 1234.5 by 20, "
    "one of 12, 15, 18, luhn, ean, isbn, iban, mod 11-2, mod 37-2, mod 97-10, or a number of "
    "digits or pattern"
)

_INFINITE = Decimal("Infinity")
_MAX_TRIED = 200_000  # maximum steps of the search for a contradiction; none found means none
_CACHE_SIZE = 4096  # size of the cache of bounds
ANY = tuple(range(10))
_PATTERN_HELP = (
    "expected a number of digits from 1 to 99, or a pattern: # is any digit, 7 is that digit, "
    "[0-3] or [159] is one of these, and other signs are printed but not read, "
    "as in ####-##, 20## or [0-2]#:[0-5]#"
)

_MAX_DIGITS = 99  # maximum digits of a pattern
_PIECE = re.compile(r"\[([^\[\]]*)\]|([0-9])|(#)|([^\[\]])")
_SET = re.compile(r"(?:[0-9](?:-[0-9])?)+")
State = Hashable


class Constraint(Automaton, Protocol):
    """An automaton over the characters of a number, with a textual form for users."""

    @property
    def text(self) -> str:
        """The constraint as a user writes it."""
        ...

    @property
    def marks(self) -> str:
        """The letters and marks of its alphabet, which always contains the digits."""
        ...


@dataclass(frozen=True)
class Pattern:
    """The number of digits and the digits allowed at each position."""

    places: tuple[tuple[int, ...], ...]  # for each position the allowed digits, ascending
    text: str = field(default="a pattern", compare=False)  # as the user wrote it

    marks = ""  # this and the following members: see ``Constraint``
    start = 0

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Parses a pattern as users write it.

        ``4`` means any four digits. In anything but a whole number, ``#`` is any digit, a digit is
        itself, ``[0-3]`` and ``[159]`` are one of a set, and other signs are printed but not read:
        ``####-##``, ``20##``, ``# ### ###``, ``[0-2]#:[0-5]#``.

        Raises:
            ValueError: The text is not a pattern; the message lists what is allowed.
        """
        text = text.strip()
        if re.fullmatch("[0-9]+", text):
            if text[0] == "0" or len(text) > 2:
                raise _malformed(text, "it is not a number of digits")
            return cls((ANY,) * int(text), text)
        places = tuple(filter(None, _parse_pieces(text)))
        if not 1 <= len(places) <= _MAX_DIGITS:
            raise _malformed(text, f"it has {len(places)} places for digits")
        return cls(places, text)

    @property
    def described(self) -> str:
        """The number of digits, and the pattern if it is more than that."""
        digits = "1 digit" if len(self.places) == 1 else f"{len(self.places)} digits"
        return digits if self.text.isdecimal() else f"{digits} as in {self.text}"

    def step(self, state: int, char: str) -> int | None:
        """The number of positions filled after one more digit; None if it is not allowed there."""
        fits = state < len(self.places) and int(char) in self.places[state]
        return state + 1 if fits else None

    def accepts(self, state: int) -> bool:
        """Whether all positions are filled."""
        return state == len(self.places)


def _parse_pieces(text: str) -> Iterable[tuple[int, ...]]:
    """Yields the digits allowed at each position, and an empty tuple for each printed sign."""
    position = 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None or not piece[0].isprintable():
            raise _malformed(text, f"{text[position]!r} is not allowed at position {position + 1}")
        position = piece.end()
        if piece[1] is not None:
            yield _parse_set(text, piece[1])
        elif piece[4] is not None:
            yield ()
        else:
            yield ANY if piece[3] else (int(piece[2]),)


def _parse_set(text: str, inside: str) -> tuple[int, ...]:
    ranges = [(int(part[0]), int(part[-1])) for part in re.findall("[0-9](?:-[0-9])?", inside)]
    if not _SET.fullmatch(inside) or any(first > last for first, last in ranges):
        raise _malformed(text, f"[{inside}] is not a set of digits")
    return tuple(sorted({value for first, last in ranges for value in range(first, last + 1)}))


def _malformed(text: str, reason: str) -> ValueError:
    return ValueError(f"{_PATTERN_HELP}; found {text!r}: {reason}")


@dataclass(frozen=True)
class Expectation:
    """All constraints on a number, which hold together.

    Attributes:
        constraints: At least one.

    Raises:
        ValueError: No number can satisfy all of them.
    """

    constraints: tuple[Constraint, ...]

    def __post_init__(self) -> None:
        """Checks that some number satisfies all constraints."""
        if not self.constraints:
            raise ValueError(f"{ALLOWED}; found nothing")
        try:
            possible = _is_possible(self)
        except ValueError:  # the ranges do not overlap
            possible = False
        if not possible:
            raise ValueError(
                f"no number can satisfy {self.text}: expected constraints that do not contradict "
                "each other; leave one out"
            )

    @classmethod
    def of(cls, expect: Expect) -> Expectation | None:
        """Parses the option ``expect``: one constraint or several; None for none.

        Raises:
            ValueError: A text is not a constraint, or constraints contradict each other.
        """
        if expect is None or isinstance(expect, Expectation):
            return expect
        options = (
            [expect] if isinstance(expect, str) or not isinstance(expect, Sequence) else expect
        )
        parts = (parse_all(each) if isinstance(each, str) else (each,) for each in options)
        return cls(tuple(constraint for part in parts for constraint in part))

    @property
    def text(self) -> str:
        """The constraints as a user writes them."""
        return "; ".join(each.text for each in self.constraints)

    @cached_property
    def marks(self) -> str:
        """Letters and marks in the alphabet of any constraint."""
        return "".join(sorted({mark for each in self.constraints for mark in each.marks}))

    @property
    def spells(self) -> bool:
        """Whether it determines how the number is written, not only its digits."""
        return any(each.marks or isinstance(each, _OneOf) for each in self.constraints)

    @cached_property
    def _automata(self) -> tuple[Constraint, ...]:
        """The constraints, with all ranges merged, so that 1,234 has one value in all of them.

        Raises ValueError if the ranges do not overlap.
        """
        ranges = [each for each in self.constraints if isinstance(each, _Range)]
        if len(ranges) < 2:
            return self.constraints
        low = max((each.low for each in ranges if each.low is not None), default=None)
        high = min((each.high for each in ranges if each.high is not None), default=None)
        marks = "".join(mark for mark in ".," if all(mark in each.decimal for each in ranges))
        others = (each for each in self.constraints if not isinstance(each, _Range))
        return (*others, _Range(low, high, self.text, marks))

    @cached_property
    def start(self) -> tuple[State, ...]:
        """The state before the first character."""
        return tuple(each.start for each in self._automata)

    def step(self, state: tuple[State, ...], char: str) -> tuple[State, ...] | None:
        """The state after one more character; None if no valid number continues with it."""
        states: list[State] = []
        for each, part in zip(self._automata, state, strict=True):
            longer = each.step(part, char) if char in DIGITS or char in each.marks else part
            if longer is None:
                return None
            states.append(longer)
        return tuple(states)

    def accepts(self, state: tuple[State, ...]) -> bool:
        """Whether a number may end here."""
        return all(each.accepts(part) for each, part in zip(self._automata, state, strict=True))

    def written_with(self, mark: str) -> Expectation:
        """The same constraints for a known decimal mark; unchanged if ``mark`` is empty.

        Raises:
            ValueError: No number written with this mark can satisfy all of them.
        """
        known = tuple(
            replace(each, decimal=mark) if mark and isinstance(each, _Range) else each
            for each in self.constraints
        )
        # Called for each picture: avoid the slow search for contradictions.
        return self if known == self.constraints else Expectation(known)

    def broken(self, text: str) -> tuple[Constraint, ...]:
        """The constraints that a number does not satisfy."""
        return tuple(each for each in self.constraints if not satisfies(each, text))

    def written(self, text: str) -> str:
        """A number as written in a list of allowed values, or unchanged without one."""
        lists = (each for each in self.constraints if isinstance(each, _OneOf))
        return next((each.written(text) for each in lists), text)


Expect = str | Constraint | Expectation | Sequence[str | Constraint] | None


def satisfies(constraint: Constraint, text: str) -> bool:
    """Whether a number, as written, satisfies a constraint."""
    state: State | None = constraint.start
    for char in text:
        if char in DIGITS or char in constraint.marks:
            state = constraint.step(state, char)
            if state is None:
                return False
    return constraint.accepts(state)


def _is_possible(automaton: Expectation) -> bool:
    """Whether any number is accepted; True if a limited search does not decide."""
    stack: list[tuple[State, ...]] = [automaton.start]
    seen = set(stack)
    alphabet = (automaton.marks + DIGITS)[::-1]
    steps_left = _MAX_TRIED
    while stack and steps_left > 0:
        steps_left -= len(alphabet) * len(automaton.constraints)
        state = stack.pop()
        if automaton.accepts(state):
            return True
        for char in alphabet:
            longer = automaton.step(state, char)
            if longer is not None and longer not in seen:
                seen.add(longer)
                stack.append(longer)
    return bool(stack)


@dataclass(frozen=True)
class _Range:
    """A number with a value between two bounds, with or without decimals.

    Either of ``.`` and ``,`` may be the decimal mark and the other one group digits by three; an
    ambiguous number satisfies the range if one of its two values does.
    """

    low: Decimal | None  # the minimum; None if unbounded
    high: Decimal | None  # the maximum; None if unbounded
    text: str
    decimal: str = ".,"  # possible decimal marks

    def __post_init__(self) -> None:
        """Checks the order of the bounds."""
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{self.text!r}: expected bounds in ascending order")

    marks = ".,-"

    @property
    def start(self) -> State:
        return tuple(_Amount(mark) for mark in self.decimal)

    def step(self, state: tuple[_Amount, ...], char: str) -> State | None:
        longer = (amount.step(char) for amount in state)
        return tuple(each for each in longer if each and self._can_reach(each)) or None

    def accepts(self, state: tuple[_Amount, ...]) -> bool:
        return any(each.is_whole and self._contains(each) for each in state)

    def _contains(self, amount: _Amount) -> bool:
        low, high = _bounds(self.low, self.high, amount.negative)
        return low <= Decimal(amount.digits).scaleb(-max(0, amount.decimals)) <= high

    def _can_reach(self, amount: _Amount) -> bool:
        """Whether the number can be continued to a value in the range."""
        low, high = _bounds(self.low, self.high, amount.negative, max(0, amount.decimals))
        first, end = amount.digits, amount.digits + 1  # half-open range with more digits appended
        digits_left = 0 if amount.decimals >= 0 else MAX_LENGTH - amount.length
        while end <= low and digits_left:
            first, end, digits_left = 10 * first, 10 * end, digits_left - 1
        return first <= high and end > low


@lru_cache(_CACHE_SIZE)
def _bounds(
    low: Decimal | None, high: Decimal | None, negative: bool, decimals: int | None = None
) -> tuple[Any, Any]:
    """Bounds of a number's absolute value; if ``decimals`` is given, in units of that decimal."""
    ends = (-_INFINITE if low is None else low, _INFINITE if high is None else high)
    ends = (-ends[1], -ends[0]) if negative else ends
    if decimals is None:
        return ends
    lower, upper = (floor(end.scaleb(decimals)) if end.is_finite() else float(end) for end in ends)
    return lower, upper


class _Amount(NamedTuple):
    """The beginning of a number, for one of the possible decimal marks."""

    mark: str  # the decimal mark
    digits: int = 0  # all digits as one whole number
    length: int = 0  # number of digits
    negative: bool = False
    decimals: int = -1  # digits after the decimal mark; -1 before it
    group: int = -1  # digits after the last grouping mark; -1 before the first

    @property
    def is_whole(self) -> bool:
        """Whether a number may end here."""
        return self.length > 0 and self.decimals != 0 and self.group in {-1, 3}

    def step(self, char: str) -> _Amount | None:
        """The number with one more character; None if that is not a number."""
        if char in DIGITS:
            if self.decimals >= 0:
                longer = self._replace(decimals=self.decimals + 1)
            else:
                longer = self._replace(group=self.group + (self.group >= 0))
            digits, length = 10 * self.digits + int(char), self.length + 1
            is_valid = longer.group <= 3 and length < MAX_LENGTH
            return longer._replace(digits=digits, length=length) if is_valid else None
        if self.decimals >= 0:
            return None
        if char == "-":
            is_first = not self.length and not self.negative
            return self._replace(negative=True) if is_first else None
        if char == self.mark:
            return self._replace(decimals=0) if self.group in {-1, 3} else None
        may_group = self.group == 3 or (self.group < 0 and 0 < self.length <= 3)
        return self._replace(group=0) if may_group else None


@dataclass(frozen=True)
class _OneOf:
    """One of several values, as written in the list.

    Their marks need not be read, unless two values have the same digits and letters.
    """

    values: tuple[str, ...]  # without surrounding spaces
    text: str

    def __post_init__(self) -> None:
        """Checks that there are values and that the recogniser's alphabet covers them."""
        alphabet = DIGITS + LETTERS + ALL_MARKS
        unknown = {sign for value in self.values for sign in value if sign not in alphabet}
        if unknown or not self.values or not all(any(map(str.isalnum, v)) for v in self.values):
            raise ValueError(
                f"{self.text!r}: expected values of digits, letters A to Z and marks {ALL_MARKS}"
            )

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Maps the characters that must be read to the value."""
        by_key = {"".join(filter(str.isalnum, value)): value for value in self.values}
        return by_key if len(by_key) == len(self.values) else {each: each for each in self.values}

    @cached_property
    def _prefixes(self) -> frozenset[str]:
        return frozenset(key[:end] for key in self._keys for end in range(len(key) + 1))

    @property
    def marks(self) -> str:
        return self._marks

    @cached_property
    def _marks(self) -> str:
        others = {char for key in self._keys for char in key if char not in DIGITS}
        marks = set() if all(map(str.isalnum, self._keys)) else {".", ","}
        return "".join(sorted(others | marks))

    start = ""

    def step(self, state: str, char: str) -> State | None:
        return state + char if state + char in self._prefixes else None

    def accepts(self, state: str) -> bool:
        return state in self._keys

    def written(self, text: str) -> str:
        """The value as written in the list."""
        key = "".join(char for char in text if char in DIGITS or char in self.marks)
        return self._keys.get(key, text)


@dataclass(frozen=True)
class _AnyOf:
    """A number that satisfies at least one of several constraints."""

    text: str
    options: tuple[Constraint, ...]

    @property
    def marks(self) -> str:
        return "".join(each.marks for each in self.options)

    @property
    def start(self) -> State:
        return tuple(each.start for each in self.options)

    def step(self, state: tuple[State | None, ...], char: str) -> State | None:
        longer = tuple(
            None if part is None or char not in DIGITS + each.marks else each.step(part, char)
            for each, part in zip(self.options, state, strict=True)
        )
        return None if all(each is None for each in longer) else longer

    def accepts(self, state: tuple[State | None, ...]) -> bool:
        pairs = zip(self.options, state, strict=True)
        return any(part is not None and each.accepts(part) for each, part in pairs)


_NAMED: dict[str, Constraint] = {
    **check_digits.SCHEMES,
    "isbn": _AnyOf("isbn", (check_digits.SCHEMES["isbn-10"], check_digits.SCHEMES["isbn-13"])),
}
_VALUE = r"([+-]?\d+(?:\.\d+)?)"


def _range(text: str, low: str | None, high: str | None, increase: str | None = None) -> Constraint:
    least, most = (Decimal(each) if each else None for each in (low, high))
    return _Range(least, most if least is None or not increase else least + Decimal(increase), text)


def _one_of(text: str, values: str) -> Constraint:
    parts = (part.strip() for part in values.split("|" if "|" in values else ","))
    return _OneOf(tuple(dict.fromkeys(part for part in parts if part)), text)


_FORMS: tuple[tuple[str, Callable[..., Constraint]], ...] = (
    (rf"range +{_VALUE}? *\.\. *{_VALUE}?", _range),
    (rf">= *{_VALUE}()", _range),
    (rf"<= *(){_VALUE}", _range),
    (rf"after +{_VALUE}()(?: +by +{_VALUE})?", _range),
    (r"one of +(.+)", _one_of),
)
_KEYWORDS = re.compile(r"(?:range|after|one of|mod|iso ?7064|luhn|ean|isbn|iban|>=|<=)(?![a-z])")


def parse(text: str) -> Constraint:
    """Parses a constraint as users write it.

    ``4`` and ``####-##`` are patterns, see ``Pattern.parse``; ``range 0..500``, ``range ..500``,
    ``>= 7`` and ``<= 9.5`` bound the value; ``after 1234.5`` and ``after 1234.5 by 20`` give the
    previous value of a meter and its largest possible increase; ``one of 12, 15, 18`` lists values
    (separated by ``|`` if they contain commas); ``luhn``, ``ean``, ``ean-8``, ``ean-13``, ``isbn``,
    ``isbn-10``, ``isbn-13``, ``iban``, ``mod 11-2``, ``mod 37-2`` and ``mod 97-10`` (ISO/IEC 7064)
    are check digits.

    Raises:
        ValueError: The text is not a constraint; the message lists what is allowed.
    """
    text = " ".join(text.split(SPACE)).strip()
    name = text.lower().replace("iso 7064", "").replace("iso7064", "").strip()
    if name in _NAMED:
        return _NAMED[name]
    if not _KEYWORDS.match(text.lower()):
        return Pattern.parse(text)
    for form, make in _FORMS:
        if found := re.fullmatch(form, text, re.IGNORECASE):
            return make(text, *found.groups())
    raise ValueError(f"{ALLOWED}; found {text!r}")


def parse_all(text: str) -> tuple[Constraint, ...]:
    """Parses one constraint or several separated by ``;``, which a lone pattern may contain.

    Raises:
        ValueError: See ``parse``.
    """
    parts = [part for part in text.split(";") if part.strip()]
    if len(parts) > 1 and any(_KEYWORDS.match(part.strip().lower()) for part in parts):
        return tuple(map(parse, parts))
    return (parse(text),)
