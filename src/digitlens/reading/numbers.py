"""Decides which characters of a line belong to its numbers: digits and the marks next to them.

Drops words. Letters inside a number split it, except the exponent of ``6.022e23``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import MARKS, OTHER_SIGN
from digitlens.reading.notation import CURRENCIES, ONE_MARK, SIGNS
from digitlens.results import Box, Character

# A sign, bracket or currency before the first digit, unless attached to a word as in ``No-12``.
_SIGN = r"(?:[+(]|-(?!-))*"  # several hyphens are no sign: they guard an amount on a check
_LEAD = rf"(?:(?<![^\s(]){_SIGN}(?:[{SIGNS}] ?)?{_SIGN}|(?<![^\s])\.)?"
# Digits, with marks between them; words such as ``e23`` only as the exponent of a number.
_BODY = r"\d+(?:[.,'/:°%=+×÷*()-]{1,2}\d+| ?[+×÷=] ?\d+|(?<=\d)[eE][+-]?\d+(?![\dA-Za-z]))*"  # noqa: RUF001
_BEHIND = r"-(?![\w-])| ?%| ?°(?:[CF](?![A-Za-z]))?|\)"
# Of two adjacent prices, each has its own currency, on the same side as the first.
_PRICED = rf"(?:(?<![^\s(]){_SIGN}|(?<=\d))[{CURRENCIES}] ?{_SIGN}{_BODY}(?:{_BEHIND})*"
_TRAIL = rf"(?:{_BEHIND}|[{CURRENCIES}]| [{CURRENCIES}](?!\d))*"
_NUMBER = re.compile(f"{_PRICED}|{_LEAD}{_BODY}{_TRAIL}")
# Two amounts with decimals and no space between them, as on a tag with an old and a new price.
_RUN_TOGETHER = re.compile(r"(\D*\d+([.,])\d\d)\d+\2\d\d\D*")
# The first of two times or dates joined by a hyphen, as in opening hours.
_RANGE = re.compile(
    r"\d{1,2}:\d\d(?=-\d{1,2}:\d\d$)"
    r"|\d{1,2}([./])\d{1,2}\1(?:\d{4}|\d\d)(?=-\d{1,2}\1\d{1,2}\1(?:\d{4}|\d\d)$)"
)
# Units with a digit as exponent, which is not a number.
_POWER = re.compile(r"(?<![A-Za-z])[cdkm]?m[23](?![\dA-Za-z])")
_TRAILING_MARK = re.compile(r"[.,/:-] *(?=\d|$)")
# A minus and a space before or behind a number, at the start or end of the line.
_SIGN_BEFORE = re.compile(r" *(-) +$")
_SIGN_BEHIND = re.compile(r" +(-) *$")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spot:
    """A character of a line, in reading order."""

    char: str  # one character; ``OTHER_SIGN`` if outside the alphabet, or a rejected digit
    confidence: float  # its probability, 0..1
    box: Box  # on the page
    place: int = -1  # index of its place if it is a digit; -1 for any other character
    # A character next to it that may have been missed, or a bracket's partner; its probability.
    missed: tuple[str, float] = ("", 0.0)
    in_text: bool = False  # on a number's first: whether its line has anything else
    # On a number's first: whether more than spaces and .,'- separate it from the number before.
    is_separate: bool = False
    # A mark behind it, followed by nothing but spaces up to the next number or the line's end.
    trail: Spot | None = field(default=None, compare=False)
    # float32[T, C]; posteriors of its part of the line, if it has one.
    steps: Floats | None = field(default=None, compare=False, repr=False)


def number_spans(text: str) -> list[tuple[int, int]]:
    """Half-open spans of the numbers of a line, without unmatched brackets and guards."""
    spans: list[tuple[int, int]] = []
    for match in _NUMBER.finditer(text):
        begin, end = _without_guards(text, *_without_brackets(text, *match.span()))
        run_together = _RUN_TOGETHER.fullmatch(text, begin, end)
        if run_together and not ONE_MARK.fullmatch(text, begin, end):
            spans.append((begin, run_together.end(1)))
            begin = run_together.end(1)
        elif first_of_range := _RANGE.match(text, begin, end):
            spans.append((begin, first_of_range.end()))
            begin = first_of_range.end() + 1
        spans.append((begin, end))
    return spans


def exponents_in(text: str) -> list[int]:
    """Indices of the exponents of units in a text."""
    return [match.end() - 1 for match in _POWER.finditer(text)]


def numbers_on(spots: Sequence[Spot]) -> list[list[Spot]]:
    """The characters of each number on a line; only characters with a place are digits."""
    text = "".join(
        OTHER_SIGN if spot.char.isdigit() and spot.place < 0 else spot.char for spot in spots
    )
    return [_with_context(spots, text, *span) for span in number_spans(text)]


def _with_context(spots: Sequence[Spot], text: str, begin: int, end: int) -> list[Spot]:
    """The characters of a number; the first and last record what is next to them."""
    number = list(spots[begin:end])
    number[0] = _with_adjacent_steps(number[0], spots[max(0, begin - 1) : begin], before=True)
    number[-1] = _with_adjacent_steps(number[-1], spots[end : end + 1], before=False)
    separator = re.fullmatch(r".*\d(\D*)", text[:begin])
    number[0] = replace(
        number[0],
        is_separate=bool(separator and re.search(r"[^\s.,'-]", separator[1])),
        in_text=bool((text[:begin] + text[end:]).strip()),
    )
    before, behind = _SIGN_BEFORE.match(text[:begin]), _SIGN_BEHIND.match(text, end)
    if text[:begin].endswith("(") and ")" not in text[end:]:
        number[0] = replace(number[0], missed=(")", spots[begin - 1].confidence))
    elif text[end:].startswith(")") and "(" not in text[:begin]:
        number[-1] = replace(number[-1], missed=("(", spots[end].confidence))
    elif (sign := before or behind) and not (before and behind):
        number[0] = replace(number[0], missed=("-", spots[sign.start(1)].confidence))
    if _TRAILING_MARK.match(text, end):
        number[-1] = replace(number[-1], trail=spots[end])
    return number


def _with_adjacent_steps(spot: Spot, neighbours: Sequence[Spot], *, before: bool) -> Spot:
    """The first or last character of a number, with the steps of a letter or space next to it."""
    adjacent = [each.steps for each in neighbours if not (each.place >= 0 or each.char in MARKS)]
    if not adjacent or adjacent[0] is None or spot.steps is None:
        return spot
    return replace(spot, steps=np.concatenate([adjacent[0], spot.steps][:: 1 if before else -1]))


def characters_of(numbers: Sequence[Sequence[Spot]]) -> tuple[Character, ...]:
    """The characters of a line of numbers, with spaces between numbers."""
    characters: list[Character] = []
    for number in numbers:
        if characters:
            characters.append(Character(" ", 1.0, _box_between(characters[-1].box, number[0].box)))
        characters += [Character(spot.char, spot.confidence, spot.box) for spot in number]
    return tuple(characters)


def _box_between(left: Box, right: Box) -> Box:
    x0, x1 = sorted((left.x1, right.x0))
    y0, y1 = min(left.y0, right.y0), max(left.y1, right.y1)
    return Box(x0, y0, max(x0 + 1, x1), y1)


def _without_brackets(text: str, begin: int, end: int) -> tuple[int, int]:
    """Drops unmatched brackets at the ends of a number."""
    number = text[begin:end]
    while number.startswith("(") and number.count("(") > number.count(")"):
        begin, number = begin + 1, number[1:]
    while number.endswith(")") and number.count(")") > number.count("("):
        end, number = end - 1, number[:-1]
    return begin, end


def _without_guards(text: str, begin: int, end: int) -> tuple[int, int]:
    """Drops the hyphens of a number with one on either side, as around the number of a page."""
    before, behind = text[begin] == "-", text[end - 1] == "-"
    if (before or _SIGN_BEFORE.match(text[:begin])) and (behind or _SIGN_BEHIND.match(text, end)):
        return begin + before, end - behind
    return begin, end
