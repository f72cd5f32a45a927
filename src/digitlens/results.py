"""What is read, as plain frozen values without behaviour.

A reading consists of boxes, digits, lines and numbers; ``Outputs`` is all that a classifier says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from datetime import date, time
    from decimal import Decimal

    Value: TypeAlias = Decimal | date | time

Floats = npt.NDArray[np.floating[Any]]
Status = Literal["digit", "unsure", "rejected"]
Kind = Literal["integer", "decimal", "percent", "currency", "date", "time", "fraction", "code"]


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open rectangle in page pixels: columns x0..x1-1, rows y0..y1-1."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise ValueError(f"expected x0 < x1 and y0 < y1, found {self.as_list()}")

    @property
    def width(self) -> int:
        """Columns covered, in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows covered, in pixels."""
        return self.y1 - self.y0

    def as_list(self) -> list[int]:
        """The four numbers x0, y0, x1, y1."""
        return [self.x0, self.y0, self.x1, self.y1]


@dataclass(frozen=True)
class Digit:
    """One thing found on a page, with the answer and the raw scores it came from.

    Attributes:
        value: The most probable digit, 0 to 9.
        confidence: Its calibrated probability, 0 to 1.
        probabilities: Ten probabilities that sum to 1, index = digit.
        box: Where it stands on the page.
        status: ``digit`` when sure, ``unsure`` when the answer is doubtful, ``rejected`` when it
            does not look like a digit at all.
        reason: Why it is unsure or rejected, in a few words; for a digit empty, or what it was
            read as without what was expected.
        starts_number: Whether a new number begins with it in its line, after a gap. The first of a
            line begins one in any case.
        tile: uint8[28, 28]; what the classifier was shown, None where it was not asked. Neither
            compared nor part of ``as_dict``.
    """

    value: int
    confidence: float
    probabilities: tuple[float, ...]
    box: Box
    status: Status = "digit"
    reason: str = ""
    starts_number: bool = False
    tile: npt.NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.probabilities) != 10:
            raise ValueError(f"expected 10 probabilities, found {len(self.probabilities)}")
        if not 0 <= self.value <= 9:
            raise ValueError(f"expected a digit from 0 to 9, found {self.value}")

    @property
    def percent(self) -> int:
        """The confidence in whole percent, rounded down and never 100: nothing here is certain."""
        return min(99, int(100 * self.confidence))

    @property
    def alternatives(self) -> tuple[tuple[int, float], ...]:
        """The other digits with their probabilities, most probable first."""
        ranked = sorted(enumerate(self.probabilities), key=lambda pair: -pair[1])
        return tuple(pair for pair in ranked if pair[0] != self.value)

    def as_dict(self) -> dict[str, Any]:
        """The digit as JSON-ready values."""
        names = "value", "confidence", "status", "reason", "starts_number", "box", "probabilities"
        return plain_fields(self, *names)


@dataclass(frozen=True)
class Character:
    """One character of a number as it is written: a digit, a mark, or a space between numbers.

    Attributes:
        char: The character.
        confidence: Its probability, 0 to 1; that of a digit is calibrated.
        box: Where it stands on the page.
    """

    char: str
    confidence: float
    box: Box

    def __post_init__(self) -> None:
        if len(self.char) != 1:
            raise ValueError(f"expected one character, found {self.char!r}")

    def as_dict(self) -> dict[str, Any]:
        """The character as JSON-ready values."""
        return plain_fields(self, "char", "confidence", "box")


@dataclass(frozen=True)
class Alternative:
    """What else a number may be.

    Attributes:
        text: As it would be written.
        value: What it would say; None where that is no value.
        probability: Of this text with this value, 0 to 1.
    """

    text: str
    value: Value | None
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """The alternative as JSON-ready values."""
        return plain_fields(self, "text", "value", "probability")


@dataclass(frozen=True)
class Number:
    """A number as it is written, and what it says.

    Attributes:
        text: As written, with its signs and units.
        value: ``Decimal``, ``date`` or ``time``; None where the text has no value, as that of
            most codes. That of ``7.5%`` is 7.5, that of digits alone always a whole number.
        kind: ``integer``, ``decimal``, ``percent``, ``currency``, ``date``, ``time``, ``fraction``
            or ``code``: anything else, digits after a leading zero, and ten digits or more.
        unit: ``$``, ``€``, ``%``, ``°C`` and the like; empty if there is none.
        box: On the page, around its characters.
        digits: Its digits, from left to right, as the text has them.
        confidence: Probability that text and value are right, 0 to 1.
        alternatives: What else it may be, most probable first; their probabilities and
            ``confidence`` add up to at most 1.
        status: ``number`` when sure, ``unsure`` when the confidence is below 0.9, or a digit or the
            meaning is doubtful.
        reason: Why it is unsure, in a few words; empty for a number.
    """

    text: str
    value: Value | None
    kind: Kind
    unit: str
    box: Box
    digits: tuple[Digit, ...]
    confidence: float
    alternatives: tuple[Alternative, ...] = ()
    status: Literal["number", "unsure"] = "number"
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The number as JSON-ready values; a value is a text such as ``-12.50`` or ``2021-04-27``.

        Of the digits it has the values alone: all else is told with the lines of the reading.
        """
        return {
            **plain_fields(self, "text", "value", "kind", "unit"),
            "digits": "".join(str(digit.value) for digit in self.digits),
            **plain_fields(self, "confidence", "status", "reason", "box", "alternatives"),
        }


@dataclass(frozen=True)
class Constrained:
    """What became of what was known of a number.

    Attributes:
        expected: The constraints as they were given.
        decided_by: Those that the reading without them does not keep; empty where they changed
            nothing.
        unconstrained: The best reading without them, see ``Reading.text``.
        fulfilled: Whether the reading keeps them; if not, it is the one without them, and unsure.
    """

    expected: tuple[str, ...]
    decided_by: tuple[str, ...]
    unconstrained: str
    fulfilled: bool

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        return plain_fields(self, "expected", "decided_by", "unconstrained", "fulfilled")


@dataclass(frozen=True)
class Reading:
    """The answer for one page; without digits it is empty, which is an answer and not an error.

    Attributes:
        lines: Digits in reading order, line by line; rejected ones are kept here and marked.
        width: Page width in pixels.
        height: Page height in pixels.
        model: Name of the model that read.
        model_sha256: Hash of its graph.
        characters: The numbers of each line as they are written, digits and marks, with a space
            between two numbers; empty where only digits are known.
        numbers: What these say, from top to bottom and left to right.
        constrained: What became of what was known of the number; None if nothing was.
    """

    lines: tuple[tuple[Digit, ...], ...]
    width: int
    height: int
    model: str
    model_sha256: str
    characters: tuple[tuple[Character, ...], ...] = ()
    numbers: tuple[Number, ...] = ()
    constrained: Constrained | None = None

    @cached_property
    def digits(self) -> tuple[Digit, ...]:
        """All digits in reading order, rejected ones left out."""
        return tuple(digit for line in self.lines for digit in line if digit.status != "rejected")

    @cached_property
    def text(self) -> str:
        """The numbers as they are written, one line of the page a line; words are left out."""
        if self.characters:
            lines = ("".join(each.char for each in line) for line in self.characters)
        else:
            lines = (" ".join(_numbers(line)) for line in self.lines)
        return "\n".join(line for line in lines if line)

    @cached_property
    def digits_only(self) -> str:
        """The digits alone, one line of the page a line; rejected ones are left out."""
        kept = ([d.value for d in line if d.status != "rejected"] for line in self.lines)
        lines = ("".join(map(str, values)) for values in kept)
        return "\n".join(line for line in lines if line)

    @cached_property
    def numbers_digits(self) -> tuple[str, ...]:
        """The digits of each number in reading order; rejected ones are left out."""
        return tuple(number for line in self.lines for number in _numbers(line))

    def as_dict(self) -> dict[str, Any]:
        """The reading as JSON-ready values; ``constrained`` is there if anything was expected."""
        names = ["text", "digits_only", "numbers", "numbers_digits", "lines", "characters"]
        names += ["width", "height", "model", "model_sha256"]
        return plain_fields(self, *names, *(["constrained"] if self.constrained else []))


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a classifier says of N tiles; None where its graph does not say it.

    Attributes:
        probabilities: float32[N, 10]; rows sum to 1.
        energy: float32[N]; minus the log-sum-exp of the ten logits, lower for what looks like a
            digit. W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
        features: float32[N, D]; what the last dense layer is given.
        digit: float32[N]; probability that the tile is a digit at all, of networks that were
            trained with tiles of no digit.
    """

    probabilities: Floats
    energy: Floats | None = None
    features: Floats | None = None
    digit: Floats | None = None


OutputsOf = Callable[[npt.NDArray[np.uint8]], Outputs]
"""Tiles uint8[N, 28, 28] to what a classifier says of them."""


def plain_fields(thing: object, *names: str) -> dict[str, Any]:
    """Some attributes of a result as JSON-ready values."""
    return {name: _plain(getattr(thing, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Box):
        return value.as_list()
    if value is None or isinstance(value, str | int):
        return value
    return value.as_dict() if hasattr(value, "as_dict") else told(value)


def told(value: Value | None) -> str | None:
    """A value as text that programs read: ``-12.50``, ``2021-04-27``, ``23:59:00``."""
    from decimal import Decimal  # noqa: PLC0415  (results are imported by what needs none)

    return f"{value:f}" if isinstance(value, Decimal) else value and value.isoformat()


def _numbers(line: tuple[Digit, ...]) -> list[str]:
    numbers = [""]
    for digit in line:
        if digit.starts_number:  # also of a rejected one: the gap is there nevertheless
            numbers.append("")
        if digit.status != "rejected":
            numbers[-1] += str(digit.value)
    return [number for number in numbers if number]
