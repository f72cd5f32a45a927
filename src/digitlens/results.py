"""Results as plain frozen values without behaviour.

A reading consists of boxes, digits, lines and numbers; ``Outputs`` holds a classifier's outputs.
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
    """One object found on a page: the digit it was read as and its probabilities.

    Attributes:
        value: The most probable digit, 0 to 9.
        confidence: Its calibrated probability, 0 to 1.
        probabilities: Ten probabilities that sum to 1, index = digit.
        box: Its position on the page.
        status: ``digit`` if sure, ``unsure`` if doubtful, ``rejected`` if it does not look like a
            digit.
        reason: Why it is unsure or rejected, in a few words; for a sure digit empty, or what it
            would have been read as without the given constraints.
        starts_number: Whether it starts a new number in its line, after a gap. The first digit of a
            line starts a number in any case.
        tile: uint8[28, 28]; the classifier's input, None if the classifier did not run. Ignored in
            comparisons and not part of ``as_dict``.
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
        """The confidence in whole percent, rounded down and at most 99: no reading is certain."""
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
    """One character of a number as written: a digit, a mark, or a space between numbers.

    Attributes:
        char: The character.
        confidence: Its probability, 0 to 1; calibrated for digits.
        box: Its position on the page.
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
    """Another possible reading of a number.

    Attributes:
        text: The alternative text.
        value: The value of that text; None if it has none.
        probability: Probability of this text with this value, 0 to 1.
    """

    text: str
    value: Value | None
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """The alternative as JSON-ready values."""
        return plain_fields(self, "text", "value", "probability")


@dataclass(frozen=True)
class Number:
    """A number as written, and its value.

    Attributes:
        text: As written, with signs and units.
        value: ``Decimal``, ``date`` or ``time``; None if the text has no value, as for most codes.
            ``7.5%`` has the value 7.5; digits without marks always have a whole number.
        kind: ``integer``, ``decimal``, ``percent``, ``currency``, ``date``, ``time``, ``fraction``
            or ``code``: anything else, digits after a leading zero, and ten digits or more.
        unit: ``$``, ``€``, ``%``, ``°C`` etc.; empty if there is none.
        box: Bounding box of its characters on the page.
        digits: Its digits, from left to right, in the order of the text.
        confidence: Probability that text and value are right, 0 to 1.
        alternatives: Other possible readings, most probable first; their probabilities and
            ``confidence`` add up to at most 1.
        status: ``unsure`` if the confidence is below 0.9 or a digit or the meaning is doubtful.
        reason: Why it is unsure, in a few words; empty if sure.
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
        """The number as JSON-ready values; the value is text such as ``-12.50`` or ``2021-04-27``.

        ``digits`` is a string of the digit values; the lines of the reading have the details.
        """
        return {
            **plain_fields(self, "text", "value", "kind", "unit"),
            "digits": "".join(str(digit.value) for digit in self.digits),
            **plain_fields(self, "confidence", "status", "reason", "box", "alternatives"),
        }


@dataclass(frozen=True)
class Constrained:
    """The effect of the constraints given for a number.

    Attributes:
        expected: The constraints as given.
        decided_by: The constraints that the unconstrained reading violates; empty if they changed
            nothing.
        unconstrained: The best reading without constraints, see ``Reading.text``.
        fulfilled: Whether the reading satisfies them; if not, it is the unconstrained one, unsure.
    """

    expected: tuple[str, ...]
    decided_by: tuple[str, ...]
    unconstrained: str
    fulfilled: bool

    def as_dict(self) -> dict[str, Any]:
        """The effect as JSON-ready values."""
        return plain_fields(self, "expected", "decided_by", "unconstrained", "fulfilled")


@dataclass(frozen=True)
class Reading:
    """The result for one page; a page without digits gives an empty reading, not an error.

    Attributes:
        lines: Digits in reading order, line by line; includes rejected ones, marked by status.
        width: Page width in pixels.
        height: Page height in pixels.
        model: Name of the classifier.
        model_sha256: Hash of its graph.
        characters: The characters of each line's numbers as written, digits and marks, with a space
            between two numbers; empty if only digits are known.
        numbers: The numbers with their values, from top to bottom and left to right.
        constrained: The effect of the given constraints; None without constraints.
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
        """All digits in reading order, without rejected ones."""
        return tuple(digit for line in self.lines for digit in line if digit.status != "rejected")

    @cached_property
    def text(self) -> str:
        """The numbers as written, one text line per line of the page; words are left out."""
        if self.characters:
            lines = ("".join(each.char for each in line) for line in self.characters)
        else:
            lines = (" ".join(_numbers(line)) for line in self.lines)
        return "\n".join(line for line in lines if line)

    @cached_property
    def digits_only(self) -> str:
        """Only the digits, one text line per line of the page, without rejected ones."""
        kept = ([d.value for d in line if d.status != "rejected"] for line in self.lines)
        lines = ("".join(map(str, values)) for values in kept)
        return "\n".join(line for line in lines if line)

    @cached_property
    def numbers_digits(self) -> tuple[str, ...]:
        """The digits of each number in reading order, without rejected ones."""
        return tuple(number for line in self.lines for number in _numbers(line))

    def as_dict(self) -> dict[str, Any]:
        """The reading as JSON-ready values; ``constrained`` only if constraints were given."""
        names = ["text", "digits_only", "numbers", "numbers_digits", "lines", "characters"]
        names += ["width", "height", "model", "model_sha256"]
        return plain_fields(self, *names, *(["constrained"] if self.constrained else []))


@dataclass(frozen=True, eq=False)
class Outputs:
    """A classifier's outputs for N tiles; an output that its graph lacks is None.

    Attributes:
        probabilities: float32[N, 10]; rows sum to 1.
        energy: float32[N]; minus the log-sum-exp of the ten logits, lower for tiles that look like
            digits. W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020.
        features: float32[N, D]; the input of the last dense layer.
        digit: float32[N]; probability that the tile shows a digit, from networks trained with
            negatives.
    """

    probabilities: Floats
    energy: Floats | None = None
    features: Floats | None = None
    digit: Floats | None = None


OutputsOf = Callable[[npt.NDArray[np.uint8]], Outputs]
"""A function from tiles uint8[N, 28, 28] to a classifier's outputs."""


def plain_fields(thing: object, *names: str) -> dict[str, Any]:
    """The named attributes of a result as JSON-ready values."""
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
    return value.as_dict() if hasattr(value, "as_dict") else value_text(value)


def value_text(value: Value | None) -> str | None:
    """A value as machine-readable text: ``-12.50``, ``2021-04-27``, ``23:59:00``."""
    from decimal import Decimal  # noqa: PLC0415  (most users of this module do not need it)

    return f"{value:f}" if isinstance(value, Decimal) else value and value.isoformat()


def _numbers(line: tuple[Digit, ...]) -> list[str]:
    numbers = [""]
    for digit in line:
        if digit.starts_number:  # even if rejected: the gap still separates numbers
            numbers.append("")
        if digit.status != "rejected":
            numbers[-1] += str(digit.value)
    return [number for number in numbers if number]
