"""Estimates how likely a number was read correctly, and what else it may be.

Knows the characters of a page's numbers, their positions and their alternatives. The numbers of a
page are usually written alike, above all those in one column, so a number in another form, or
without a value, may have a missing or an extra mark. The weights are fitted on generated documents
by ``training.doubts`` and stored in ``doubt.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from heapq import nlargest
from itertools import combinations, pairwise
from math import exp, log, prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import digits_of
from digitlens.imaging.quantile import median
from digitlens.reading.decode import likely_texts, text_odds
from digitlens.reading.notation import CURRENCIES, ONE_MARK, UNKNOWN, Notation, meanings
from digitlens.reading.numbers import Spot, number_spans
from digitlens.results import Box, Digit

# Log odds, against what was read, of changed digits (fused), of dropped digits, and of the whole
# text by the recogniser; numbers of dropped and of inserted characters.
COSTS: tuple[str, ...] = ("digits", "dropped", "recognizer", "drops", "inserts")
CHANGES = (*COSTS, "none", "page", "column", "year")
SIGNS = (
    "characters",
    "missed",
    "rivals",
    "none",
    "column",
    "outlier",
    "date_outlier",
    "year",
    "near",
    "lone",
    "uneven",
    "changed",
    "short",
)
CENTS = ("geometry", "decimals", "page", "page_whole", "column_whole")
SIZES = ("small", "high", "both", "other_small", "other_high", "other_both", "top", "narrow", "all")
BARE = re.compile(r"\D*\d(?: ?\d){2,}\D*")  # a number without a mark
_NO_DECIMAL = re.compile(r"\D*0\d+[.,]\d{3,}\D*")  # not a decimal but a date with a mark missed
_RUN_ON = re.compile(r"\D*[1-9]\d{0,2}([.,])\d{5}\D*")  # the mark after the group was missed
_DECIMALS = {",": ".", ".": ","}  # decimal mark by grouping mark
_AMOUNT = re.compile(r"\D*(?:0|[1-9]\d{0,4})\d\d\D*")  # as many digits as an amount, no mark
_CURRENCY = frozenset(CURRENCIES)
_PRICES = 1.5  # column support from which unmarked amounts have cents: about 3 or 4 of 6 numbers
CENTS_FROM = 0.5  # probability from which the last two digits without a mark are cents
_ODDS = 8  # number of changes of single characters that are tried
_LEAST = 1e-3  # odds above which two of these changes are combined
_UNSEEN = 1e-5  # minimum odds of a text by the recogniser
_NEVER = 1e-6  # minimum probability
_WIDTH = 12  # beam width: maximum texts of the recogniser that are tried
_FORMS = 2  # number of forms of other numbers on the page that are tried
_PRIOR = 0.1  # prior fraction of numbers in one form
_TRUSTS = 2.0, 1.0  # weights of that prior in numbers: on the page, and in a column
_ALIGNED = 1.0  # digit heights: maximum distance between the ends of numbers in a column
_BELOW = 0.6  # digit heights: minimum vertical distance between numbers in a column
_FAR = 2.5  # digit heights: cap on the distance to neighbours
_USUAL = -4.0  # log doubt of clear characters
_LOOSE = 0.2  # digit heights: median gap inside numbers above which they may have been split
_GRID = 0.4  # digit heights: maximum offset between the centres in a column of a grid
_MATES = 3  # characters above and below one that make a grid certain
_EDGE = 0.12  # digit heights: maximum distance of aligned ends from a straight edge
_ENDS = 12  # number of nearest ends of a column that are considered
_STEEP = 0.15  # maximum slope of the edge of a column, sideways over down
_YEARS = range(1900, 2061)  # plausible years of dates
_REASONS = {
    "characters": "not all of its characters are clear",
    "missed": "a character may have been missed",
    "rivals": "another reading is likely too",
    "none": "not the usual form of a number",
    "column": "written differently from others in its column",
    "outlier": "written differently from other numbers here",
    "date_outlier": "written differently from other dates here",
    "near": "characters here are far apart",
    "lone": "may be a digit of a wider number",
    "uneven": "its digits differ in height",
    "short": "others in its column extend further",
}

Floats = npt.NDArray[np.float64]


class Rewriting(NamedTuple):
    """A number with some of its characters changed."""

    # The new text of each character: empty if dropped, with a mark inserted after it.
    chars: tuple[str, ...]
    features: tuple[float, ...]  # named by ``CHANGES``

    @property
    def text(self) -> str:
        """The new text."""
        return "".join(self.chars)

    @property
    def odds(self) -> float:
        """Odds from its characters alone, against what was read; at most 1."""
        return exp(min(sum(self.features[: COSTS.index("drops")]), 0.0))


Weights = Mapping[str, Sequence[float]]


@cache
def shipped() -> Weights:
    """Shipped weights: ``changes``, and with the bias first ``signs``, ``cents``, ``sizes``."""
    path = Path(__file__).with_name("doubt.json")
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(4096)
def form(text: str, known: Notation = UNKNOWN) -> str:
    """The form of a number under a notation: mark and decimals, or the form of a date.

    The same for all numbers that are written alike; ``none`` for a text without value.
    """
    found = [each for each in meanings(text) if each.fits(known)]
    several = any(ONE_MARK.fullmatch(part) for part in re.findall(r"[\d.,]+", text))
    if not found or found[0].value is None or several:
        return "none"
    first = found[0]
    if _NO_DECIMAL.fullmatch(text):
        return "none"
    if first.kind == "date":
        return re.sub(r"\d+", lambda part: str(len(part[0])), text)
    end = re.search(r"[.,](\d+)\D*$", text)
    if first.notation.decimal and end and end[0][0] == first.notation.decimal:
        return "thousands" if len(found) > 1 else f"{end[0][0]}{len(end[1])}"
    return first.kind if first.kind in {"time", "fraction", "code"} else "whole"


class PageNumbers:
    """The numbers of a page and their positions."""

    def __init__(
        self,
        numbers: Sequence[Sequence[Spot]],
        known: Notation = UNKNOWN,
        fitted: Weights | None = None,
    ) -> None:
        """Measures numbers, given as their characters; ``fitted`` defaults to ``shipped``."""
        self.known = known
        self.fitted = shipped() if fitted is None else fitted
        self.numbers = numbers
        self.texts = ["".join(spot.char for spot in number) for number in numbers]
        self.forms = np.array([form(text, known) for text in self.texts])
        self.chances = np.array([read_chance(number) for number in numbers])
        self.boxes = np.array([_around(number) for number in numbers], float).reshape(-1, 4)
        self.heights = np.array([_height(number) for number in numbers])
        self.lengths = np.array([len(number) for number in numbers])
        inside = np.array([gap for number in numbers for gap in _gaps(number)])
        self.loose = min(max(float(median(inside)), 0.0), 1.0) if len(inside) else 0.0
        self._supports: dict[tuple[int, str], tuple[float, float]] = {}
        # For each number the masks of all others and of its column, with the weight of each.
        self._others: dict[int, tuple[tuple[npt.NDArray[np.bool_], float], ...]] = {}
        self.cents = [self._cents(number) for number in range(len(numbers))]

    def _cents(self, number: int) -> float:
        """Probability that the last two digits of a number without a mark are cents."""
        signs = self.cents_signs(number)
        return _logistic(self.fitted["cents"], signs) if signs else 0.0

    def cents_signs(self, number: int) -> tuple[float, ...]:
        """Features for cents without a mark, named by ``CENTS``; empty if there can be none."""
        if not unmarked(self.numbers[number]):
            return ()
        geometry = raised_chance(self.numbers[number], self.fitted)
        decimals = np.max([self.support(number, way) for way in (".2", ",2")], axis=0)
        page, column = (decimals - self.support(number, "whole")).tolist()
        odds = log(max(geometry, 1e-3) / max(1 - geometry, 1e-3))
        return odds, float(page > 0), max(page, 0.0), min(page, 0.0), min(column, 0.0)

    def is_priced(self, number: int) -> bool:
        """Whether a number without a mark is an amount that should have cents, as others do.

        It has a currency or begins with 0 and others have decimals, or most in its column do.
        """
        text = self.texts[number]
        if not _AMOUNT.fullmatch(text):
            return False
        is_money = text[0] == "0" or not _CURRENCY.isdisjoint(text)
        supports = (self.support(number, way) for way in (".2", ",2"))
        return any((page > 0 and is_money) or column > _PRICES for page, column in supports)

    def support(self, number: int, way: str) -> tuple[float, float]:
        """Support of other numbers for a form, on the page and in the number's column.

        Each is the log of the fraction of numbers in this form over its prior.
        """
        if (number, way) not in self._supports:  # rewritings of a number have few forms
            if number not in self._others:
                page, column = np.arange(len(self.forms)) != number, self._column(number)
                sums = (float(self.chances[others].sum()) for others in (page, column))
                self._others[number] = tuple(zip((page, column), sums, strict=True))
            same = self.chances * ((self.forms == way) & (way != "none"))
            page, column = (
                log((float(same[others].sum()) / _PRIOR + trust) / (total + trust))
                for (others, total), trust in zip(self._others[number], _TRUSTS, strict=True)
            )
            self._supports[number, way] = page, column
        return self._supports[number, way]

    def _column(self, number: int) -> npt.NDArray[np.bool_]:
        """bool[N]: numbers above or below another that begin or end where it does."""
        x0, y0, x1, y1 = self.boxes.T
        height = self.heights[number]
        below = np.abs(y0 + y1 - y0[number] - y1[number]) / 2 > _BELOW * height
        ends = np.minimum(np.abs(x0 - x0[number]), np.abs(x1 - x1[number]))
        return np.asarray(below & (ends <= _ALIGNED * height))

    def _outlier(self, number: int, own: str) -> tuple[float, float]:
        """How far other quantities of the page agree on another form than ``own``; other dates."""
        is_date = own[0].isdigit()
        ways = {way for way in self.forms.tolist() if way[0].isdigit() == is_date} - {own, "none"}
        usual = max((self.support(number, way)[0] for way in ways), default=0.0)
        away = max(usual - max(self.support(number, own)[0], 0.0), 0.0)
        return away * (not is_date), away * is_date

    def short(self, number: int) -> float:
        """How far a number with decimals ends before the edge shared by its column, 0 to 1.

        0 for other numbers, if fewer than three or half of those around it share an edge, or if it
        is on one. A character lost at an end, such as a minus after an amount, leaves such a gap.
        """
        if self.forms[number][0] not in ".,":
            return 0.0
        x0, y0, x1, y1 = self.boxes.T
        height, y = self.heights[number], (y0 + y1) / 2 - (y0[number] + y1[number]) / 2
        others = np.flatnonzero(self._column(number))
        others = others[np.abs(y[others]).argsort(kind="stable")[:_ENDS]]
        down = y[others] / height
        sides = ((x1 - x1[number])[others] / height, (x0[number] - x0)[others] / height)
        edges = [_edge(ends, down) for ends in sides]
        most = max(count for count, _ in edges)
        gaps = [gap for count, gap in edges if count == most >= max(3, len(others) / 2)]
        if any(abs(gap) < _EDGE for gap in gaps):
            return 0.0
        return float(np.clip(max(gaps, default=0.0) / _EDGE - 1, 0, 1))

    def in_grid(self, number: int) -> float:
        """How likely a lone character is in a grid, above or below others, 0 to 1."""
        if self.lengths[number] > 1:
            return 0.0
        x0, _, x1, _ = self.boxes.T
        away = np.abs(x0 + x1 - x0[number] - x1[number]) / 2
        mates = self._column(number) & (self.lengths == 1) & (away < _GRID * self.heights[number])
        return min(int(mates.sum()), _MATES) / _MATES

    def near(self, number: int, *, alone: bool = False) -> float:
        """Distance, in digit heights, to the nearest number on the same line; at most ``_FAR``.

        With ``alone``, to the nearest lone character.
        """
        x0, y0, x1, y1 = self.boxes.T
        lower = np.minimum(y1 - y0, y1[number] - y0[number])
        beside = np.minimum(y1, y1[number]) - np.maximum(y0, y0[number]) > 0.3 * lower
        beside[number] = False
        beside &= (self.lengths == 1) | (not alone)
        gaps = np.maximum(x0 - x1[number], x0[number] - x1)[beside]
        nearest = float(gaps.min(initial=np.inf)) / max(float(self.heights[number]), 1.0)
        return min(max(nearest, 0.0), _FAR)

    def with_next(self, number: int) -> str:
        """The joint text of a number and its neighbour, if they may be one; else empty."""
        for left, right in ((number, number + 1), (number - 1, number)):
            if left >= 0 and right < len(self.texts):
                gap = (self.boxes[right][0] - self.boxes[left][2]) / self.heights[number]
                text = self.texts[left] + self.texts[right]
                if self.near(number) < _FAR and abs(gap) < _FAR and form(text) != "none":
                    return text
        return ""

    def signs(self, number: int, chosen: Rewriting, chance: float) -> tuple[float, ...]:
        """Features of whether a number is right, named by ``SIGNS``.

        ``chosen`` is the accepted rewriting and ``chance`` its probability; see ``likelihoods``.
        """
        spots = self.numbers[number]
        heights = [spot.box.height for spot in spots if spot.place >= 0]
        none, _, column, year = chosen.features[len(COSTS) :]
        apart = 1 - self.in_grid(number)
        lone = apart * (self.lengths[number] == 1)
        return (
            _log_doubt(prod(spot.confidence for spot in spots)),
            max(spot.missed[1] for spot in spots),
            _log_doubt(chance),
            none,
            column,
            *self._outlier(number, form(chosen.text, self.known)),
            year,
            apart * max(self.loose - _LOOSE, 0.0) * (_FAR - self.near(number)),
            lone * (_FAR - self.near(number, alone=True)),
            min(float(np.log(heights).std()), 0.5) if len(heights) > 1 else 0.0,
            float(chosen.chars != tuple(spot.char for spot in spots)),
            self.short(number),
        )

    def rewritings(self, number: int, digits: Mapping[int, Digit]) -> list[Rewriting]:
        """All texts considered for a number; the first is the one that was read.

        ``digits`` are indexed by place, see ``Spot``.
        """
        spots = self.numbers[number]
        chars = tuple(spot.char for spot in spots)
        parts = [(k, part) for k, spot in enumerate(spots) if (part := spot.steps) is not None]
        owners = [k for k, part in parts for _ in part]
        steps = np.concatenate([part for _, part in parts]) if owners else None
        read = _seen(spots, steps, owners) if steps is not None else ()
        forms = [self._in_form(number, way) for way in self._usual_forms(number)]
        found: dict[str, Chars] = {}
        for now in (chars, *_changes(spots, digits), *read, *forms):
            text = "".join(now)
            if now == chars or number_spans(text) == [(0, len(text))]:
                found.setdefault(text, now)
        seen: Sequence[float | None] = [None] * len(found)
        if steps is not None:
            odds = text_odds(steps, list(found))
            seen = np.log(np.maximum(odds / max(odds[0], _NEVER), _UNSEEN)).tolist()
        return [
            Rewriting(now, (*_costs(spots, now, digits, likely), *self._features(number, text)))
            for (text, now), likely in zip(found.items(), seen, strict=True)
        ]

    def _usual_forms(self, number: int) -> list[str]:
        """The forms with marks best supported by other numbers, those of its column first."""
        ways = {way for way in self.forms.tolist() if not way[0].isalpha()}
        support = {way: self.support(number, way)[::-1] for way in sorted(ways)}
        likely = [way for way in support if max(support[way]) > 0 and way != self.forms[number]]
        return nlargest(_FORMS, likely, key=support.__getitem__)

    def _in_form(self, number: int, way: str) -> Chars:
        """A number rewritten in a form; unchanged if its length does not fit."""
        spots = self.numbers[number]
        now = [spot.char for spot in spots]
        core = [k for k, spot in enumerate(spots) if spot.place >= 0]
        if way[0] in ".,":  # decimals after a mark
            rest = len(core) - int(way[1:])
            group = _RUN_ON.fullmatch(self.texts[number])
            run_on = group and way == f"{_DECIMALS[group[1]]}2"
            if rest > 0 and (run_on or BARE.fullmatch(self.texts[number])):
                now[core[rest - 1]] += way[0]
            return tuple(now)
        pattern = re.sub(r"\d", lambda digit: "0" * int(digit[0]), way)
        if len(core) == sum(map(str.isdigit, pattern)):
            ends = [k for k, mark in enumerate(pattern) if mark != "0"]
            wanted = {core[end - count - 1]: pattern[end] for count, end in enumerate(ends)}
            for left, right in pairwise(core):
                between, mark = right - left - 1, wanted.get(left, "")
                now[left + 1 : right] = [mark, *[""] * between][:between]
                now[left] += "" if between else mark
        elif len(spots) == len(pattern):
            now = [mark if mark != "0" else char for char, mark in zip(now, pattern, strict=True)]
        return tuple(now)

    def has_usual_mark(self, text: str) -> bool:
        """Whether a number's decimal mark, if any, is on at least half of the marked numbers."""
        marks = [way[0] for way in self.forms.tolist() if way[0] in {".", ","}]
        mark = form(text, self.known)[0]
        return mark not in {".", ","} or 2 * marks.count(mark) >= len(marks)

    def likelihoods(self, rewritings: Sequence[Rewriting]) -> Floats:
        """float64[N]: the probability of each rewriting of a number; they sum to 1."""
        features = np.array([each.features for each in rewritings])
        scores = features @ np.array(self.fitted["changes"])
        odds = np.exp(scores - scores.max())
        return np.asarray(odds / odds.sum())

    def right_chance(self, signs: Sequence[float]) -> float:
        """Probability that a number is right, from its ``signs``."""
        return _logistic(self.fitted["signs"], signs)

    def _features(self, number: int, text: str) -> tuple[float, ...]:
        way, first = form(text, self.known), meanings(text)[0]
        if self.cents[number] >= CENTS_FROM and text == self.texts[number]:
            way = max((".2", ",2"), key=lambda mark: self.support(number, mark))
        odd = first.kind == "date" and getattr(first.value, "year", 2000) not in _YEARS
        return (float(way == "none"), *self.support(number, way), float(odd))


def say_why(signs: Sequence[float], fitted: Weights) -> str:
    """The strongest evidence against a number, in a few words."""
    parts = zip(SIGNS, fitted["signs"][1:], signs, strict=True)
    usual = {"characters": _USUAL, "rivals": _USUAL}
    against = {name: weight * (sign - usual.get(name, 0.0)) for name, weight, sign in parts}
    return _REASONS[min(_REASONS, key=lambda name: against[name])]


def unmarked(spots: Sequence[Spot]) -> list[Box]:
    """The boxes of the digits of a number with three or more and no mark; else empty."""
    text = "".join(spot.char for spot in spots)
    return [spot.box for spot in spots if spot.place >= 0] if BARE.fullmatch(text) else []


def raised_chance(spots: Sequence[Spot], fitted: Weights | None = None) -> float:
    """Probability that the last two digits of a number are cents, from their size and position.

    0 for a number with a mark or with fewer than three digits.
    """
    boxes = unmarked(spots)
    return _logistic((fitted or shipped())["sizes"], sizes(boxes)) if boxes else 0.0


def sizes(boxes: Sequence[Box]) -> tuple[float, ...]:
    """Differences of the last two digits of a number from the others, named by ``SIZES``.

    Each of the two is measured separately, as its box may contain ink of the digit before.
    """
    x0, y0, x1, y1 = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], float).T
    x, count = (x0 + x1) / 2, len(boxes) - 2
    right, down = x[:-2] - x[:-2].mean(), (y0 + y1)[:-2] / 2
    slope = float(right @ down) / max(float(right @ right), 1.0) if count > 1 else 0.0
    slope = min(max(slope, -0.2), 0.2) * (1 - 1 / count)  # two digits are weak evidence
    y0, y1 = y0 - slope * x, y1 - slope * x
    heights, widths = y1 - y0, x1 - x0
    whole = float(median(heights[:-2]))
    small = (-np.log(heights[-2:] / whole)).clip(-0.3, 0.7)
    high = ((median(y1[:-2]) - y1[-2:]) / whole).clip(-0.3, 0.6)
    top = (np.abs(y0[-2:] - median(y0[:-2])) / whole).clip(0, 0.5)
    both = small.clip(0, 1) * high.clip(0, 1)
    one = int((small * high).argmax())
    narrow = log(widths[:-2].mean() / widths[-2:].mean())
    narrow = min(max(narrow, -0.7), 0.7)
    parts = [float(part[k]) for k in (one, 1 - one) for part in (small, high, both)]
    return (*parts, float(top[one]), narrow, max(narrow, 0.0) * max(float(high[one]), 0.0))


def read_chance(spots: Sequence[Spot]) -> float:
    """Probability that all characters are right and none was missed, if independent."""
    chance = max((spot.missed[1] for spot in spots), default=0.0)
    return prod(spot.confidence for spot in spots) * (1 - chance)


Chars = tuple[str, ...]  # the new text of each character of a number, see ``Rewriting``


def _changes(spots: Sequence[Spot], digits: Mapping[int, Digit]) -> Iterator[Chars]:
    """A number with one or two digits changed or characters dropped."""
    likely: list[tuple[float, int, str]] = []
    for k, spot in enumerate(spots):
        likely.append(((1 - spot.confidence) / max(spot.confidence, _NEVER), k, ""))
        if spot.place >= 0:
            digit = digits[spot.place]
            values = (value for value, _ in digit.alternatives[:3])
            likely += [(_digit_odds(digit, value), k, str(value)) for value in values]
    odds = nlargest(_ODDS, (each for each in likely if each[0] > 0))
    pairs = combinations([each for each in odds if each[0] > _LEAST], 2)
    for changed in [(each,) for each in odds] + [(a, b) for a, b in pairs if a[1] != b[1]]:
        now = [spot.char for spot in spots]
        for _, k, char in changed:
            now[k] = char
        yield tuple(now)


def _seen(
    spots: Sequence[Spot], steps: npt.NDArray[np.float32], owners: Sequence[int]
) -> Iterator[Chars]:
    """Likely texts by the recogniser, each also with fused digits where it agrees with the best.

    ``steps``, float32[T, C], are the posteriors; ``owners`` has the character of each step.
    """
    first: Chars = ()
    for text in likely_texts(steps, _WIDTH):
        now = [""] * len(spots)
        for char, step in zip(text.text, text.steps, strict=True):
            now[owners[step]] += char
        first = first or tuple(now)
        yield tuple(
            spot.char if char == best or spot.steps is None else char
            for spot, char, best in zip(spots, now, first, strict=True)
        )
        yield tuple(now)


def _costs(
    spots: Sequence[Spot], now: Chars, digits: Mapping[int, Digit], seen: float | None
) -> tuple[float, ...]:
    """Costs of a rewriting, named by ``COSTS``; ``seen``: log odds by the recogniser, if any."""
    other = dropped = unseen = 0.0
    drops = inserts = 0
    for spot, char in zip(spots, now, strict=True):
        drops += not char
        inserts += max(len(char) - 1, 0)
        value = own_digit(spot, char)
        doubt = min(max(1 - spot.confidence, _NEVER), 1 - _NEVER)
        if spot.place >= 0 and not value:
            dropped += log(doubt / (1 - doubt))
        elif spot.place >= 0 and value != spot.char:
            other += log(max(_digit_odds(digits[spot.place], int(value)), _NEVER))
        elif char != spot.char:
            unseen += log(doubt / (1 - doubt)) if not char else log(_UNSEEN)
    likely = other + dropped + unseen if seen is None else seen
    return other, dropped, likely, float(drops), float(inserts)


def own_digit(spot: Spot, chars: str) -> str:
    """The digit that a place has in its new text; empty if there is none."""
    return spot.char if spot.char in chars else digits_of(chars)[:1]


def _digit_odds(digit: Digit, value: int) -> float:
    """Odds of another value against the one read, scaled to fit the digit's confidence."""
    top, sure = digit.probabilities[digit.value], max(digit.confidence, _NEVER)
    scale = min(sure / max(top, _NEVER), (1 - sure) / max(1 - top, _NEVER))
    return scale * digit.probabilities[value] / sure


def _log_doubt(chance: float) -> float:
    return log(min(max(1 - chance, 3e-4), 1.0))


def _logistic(fitted: Sequence[float], features: Sequence[float]) -> float:
    constant, *slopes = fitted
    logit = constant + sum(a * b for a, b in zip(slopes, features, strict=True))
    return 1 / (1 + exp(-min(max(logit, -40.0), 40.0)))


def _gaps(spots: Sequence[Spot]) -> list[float]:
    """Gaps between the characters of a number, in digit heights."""
    height = max(_height(spots), 1.0)
    return [(right.box.x0 - left.box.x1) / height for left, right in pairwise(spots)]


def _edge(ends: Floats, down: Floats) -> tuple[int, float]:
    """The straight line through most ends of a column: how many, and its position at 0.

    Horizontal and vertical offsets of the ends, float64[N], are from a number, in digit heights.
    """
    first, second = np.triu_indices(len(ends), 1)
    steady = np.abs(ends[second] - ends[first]) < _STEEP * np.abs(down[second] - down[first])
    j, k = first[steady], second[steady]
    slopes = (ends[k] - ends[j]) / (down[k] - down[j])
    starts = ends[j] - slopes * down[j]
    near = np.abs(ends - starts[:, None] - slopes[:, None] * down) < _EDGE
    counts = near.sum(axis=1)
    best = int(counts.argmax()) if len(counts) else -1
    return (int(counts[best]), float(starts[best])) if len(counts) else (0, 0.0)


def _height(spots: Sequence[Spot]) -> float:
    return float(median(np.array([spot.box.height for spot in spots if spot.place >= 0], float)))


def _around(spots: Sequence[Spot]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = zip(*((s.box.x0, s.box.y0, s.box.x1, s.box.y1) for s in spots), strict=True)
    return min(x0), min(y0), max(x1), max(y1)
