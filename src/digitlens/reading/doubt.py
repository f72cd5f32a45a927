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
_DECIMAL_OF = {",": ".", ".": ","}  # decimal mark by grouping mark
_BARE_AMOUNT = re.compile(r"\D*(?:0|[1-9]\d{0,4})\d\d\D*")  # as many digits as an amount, no mark
_CURRENCY = frozenset(CURRENCIES)
_PRICED_SUPPORT = 1.5  # column support from which unmarked amounts have cents: 3 or 4 of 6 numbers
CENTS_FROM = 0.5  # probability from which the last two digits without a mark are cents
_MAX_CHANGES = 8  # number of changes of single characters that are tried
_MIN_PAIR_ODDS = 1e-3  # odds above which two of these changes are combined
_MIN_ODDS = 1e-5  # minimum odds of a text by the recogniser
_MIN_CHANCE = 1e-6  # minimum probability
_BEAM_WIDTH = 12  # beam width: maximum texts of the recogniser that are tried
_MAX_FORMS = 2  # number of forms of other numbers on the page that are tried
_PRIOR_FRACTION = 0.1  # prior fraction of numbers in one form
_PRIOR_WEIGHTS = 2.0, 1.0  # weights of that prior in numbers: on the page, and in a column
_MAX_END_OFFSET = 1.0  # digit heights: maximum distance between the ends of numbers in a column
_MIN_ROW_DISTANCE = 0.6  # digit heights: minimum vertical distance between numbers in a column
_FAR = 2.5  # digit heights: cap on the distance to neighbours
_CLEAR_LOG_DOUBT = -4.0  # log doubt of clear characters
_LOOSE_GAP = 0.2  # digit heights: median gap inside numbers above which they may have been split
_GRID_DX = 0.4  # digit heights: maximum offset between the centres in a column of a grid
_GRID_MATES = 3  # characters above and below one that make a grid certain
_EDGE_TOLERANCE = 0.12  # digit heights: maximum distance of aligned ends from a straight edge
_MAX_ENDS = 12  # number of nearest ends of a column that are considered
_MAX_SLOPE = 0.15  # maximum slope of the edge of a column, sideways over down
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
def form_of(text: str, known: Notation = UNKNOWN) -> str:
    """The form of a number under a notation: mark and decimals, or the form of a date.

    The same for all numbers that are written alike; ``none`` for a text without value.
    """
    fitting = [each for each in meanings(text) if each.fits(known)]
    has_misread_mark = any(ONE_MARK.fullmatch(part) for part in re.findall(r"[\d.,]+", text))
    if not fitting or fitting[0].value is None or has_misread_mark:
        return "none"
    first = fitting[0]
    if _NO_DECIMAL.fullmatch(text):
        return "none"
    if first.kind == "date":
        return re.sub(r"\d+", lambda match: str(len(match[0])), text)
    decimals = re.search(r"[.,](\d+)\D*$", text)
    if first.notation.decimal and decimals and decimals[0][0] == first.notation.decimal:
        return "thousands" if len(fitting) > 1 else f"{decimals[0][0]}{len(decimals[1])}"
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
        self.forms = np.array([form_of(text, known) for text in self.texts])
        self.chances = np.array([read_chance(number) for number in numbers])
        self.boxes = np.array([_bounding_box(number) for number in numbers], float).reshape(-1, 4)
        self.heights = np.array([_median_height(number) for number in numbers])
        self.lengths = np.array([len(number) for number in numbers])
        gaps = np.array([gap for number in numbers for gap in _inner_gaps(number)])
        self.median_gap = min(max(float(median(gaps)), 0.0), 1.0) if len(gaps) else 0.0
        self._supports: dict[tuple[int, str], tuple[float, float]] = {}
        # For each number the masks of all others and of its column, with the weight of each.
        self._masks: dict[int, tuple[tuple[npt.NDArray[np.bool_], float], ...]] = {}
        self.cents = [self._cents_chance(number) for number in range(len(numbers))]

    def _cents_chance(self, number: int) -> float:
        """Probability that the last two digits of a number without a mark are cents."""
        signs = self.cents_signs(number)
        return _logistic(self.fitted["cents"], signs) if signs else 0.0

    def cents_signs(self, number: int) -> tuple[float, ...]:
        """Features for cents without a mark, named by ``CENTS``; empty if there can be none."""
        if not unmarked(self.numbers[number]):
            return ()
        geometry = raised_chance(self.numbers[number], self.fitted)
        decimals = np.max([self.support(number, form) for form in (".2", ",2")], axis=0)
        page, column = (decimals - self.support(number, "whole")).tolist()
        odds = log(max(geometry, 1e-3) / max(1 - geometry, 1e-3))
        return odds, float(page > 0), max(page, 0.0), min(page, 0.0), min(column, 0.0)

    def is_priced(self, number: int) -> bool:
        """Whether a number without a mark is an amount that should have cents, as others do.

        It has a currency or begins with 0 and others have decimals, or most in its column do.
        """
        text = self.texts[number]
        if not _BARE_AMOUNT.fullmatch(text):
            return False
        is_money = text[0] == "0" or not _CURRENCY.isdisjoint(text)
        supports = (self.support(number, form) for form in (".2", ",2"))
        return any((page > 0 and is_money) or column > _PRICED_SUPPORT for page, column in supports)

    def support(self, number: int, form: str) -> tuple[float, float]:
        """Support of other numbers for a form, on the page and in the number's column.

        Each is the log of the fraction of numbers in this form over its prior.
        """
        if (number, form) not in self._supports:  # rewritings of a number have few forms
            if number not in self._masks:
                page, column = np.arange(len(self.forms)) != number, self._column(number)
                sums = (float(self.chances[mask].sum()) for mask in (page, column))
                self._masks[number] = tuple(zip((page, column), sums, strict=True))
            agreeing = self.chances * ((self.forms == form) & (form != "none"))
            page, column = (
                log((float(agreeing[mask].sum()) / _PRIOR_FRACTION + weight) / (total + weight))
                for (mask, total), weight in zip(self._masks[number], _PRIOR_WEIGHTS, strict=True)
            )
            self._supports[number, form] = page, column
        return self._supports[number, form]

    def _column(self, number: int) -> npt.NDArray[np.bool_]:
        """bool[N]: numbers above or below another that begin or end where it does."""
        x0, y0, x1, y1 = self.boxes.T
        height = self.heights[number]
        is_in_other_row = np.abs(y0 + y1 - y0[number] - y1[number]) / 2 > _MIN_ROW_DISTANCE * height
        end_offsets = np.minimum(np.abs(x0 - x0[number]), np.abs(x1 - x1[number]))
        return np.asarray(is_in_other_row & (end_offsets <= _MAX_END_OFFSET * height))

    def _outlier_scores(self, number: int, form: str) -> tuple[float, float]:
        """How far other quantities of the page agree on another form than ``form``; other dates."""
        is_date = form[0].isdigit()
        forms = {f for f in self.forms.tolist() if f[0].isdigit() == is_date} - {form, "none"}
        best = max((self.support(number, f)[0] for f in forms), default=0.0)
        lead = max(best - max(self.support(number, form)[0], 0.0), 0.0)
        return lead * (not is_date), lead * is_date

    def short_of_edge(self, number: int) -> float:
        """How far a number with decimals ends before the edge shared by its column, 0 to 1.

        0 for other numbers, if fewer than three or half of those around it share an edge, or if it
        is on one. A character lost at an end, such as a minus after an amount, leaves such a gap.
        """
        if self.forms[number][0] not in ".,":
            return 0.0
        x0, y0, x1, y1 = self.boxes.T
        height, y = self.heights[number], (y0 + y1) / 2 - (y0[number] + y1[number]) / 2
        others = np.flatnonzero(self._column(number))
        others = others[np.abs(y[others]).argsort(kind="stable")[:_MAX_ENDS]]
        dy = y[others] / height
        sides = ((x1 - x1[number])[others] / height, (x0[number] - x0)[others] / height)
        edges = [_fit_edge(ends, dy) for ends in sides]
        max_count = max(count for count, _ in edges)
        gaps = [gap for count, gap in edges if count == max_count >= max(3, len(others) / 2)]
        if any(abs(gap) < _EDGE_TOLERANCE for gap in gaps):
            return 0.0
        return float(np.clip(max(gaps, default=0.0) / _EDGE_TOLERANCE - 1, 0, 1))

    def grid_score(self, number: int) -> float:
        """How likely a lone character is in a grid, above or below others, 0 to 1."""
        if self.lengths[number] > 1:
            return 0.0
        x0, _, x1, _ = self.boxes.T
        dx = np.abs(x0 + x1 - x0[number] - x1[number]) / 2
        mates = self._column(number) & (self.lengths == 1) & (dx < _GRID_DX * self.heights[number])
        return min(int(mates.sum()), _GRID_MATES) / _GRID_MATES

    def side_gap(self, number: int, *, lone_only: bool = False) -> float:
        """Distance, in digit heights, to the nearest number on the same line; at most ``_FAR``.

        With ``lone_only``, to the nearest lone character.
        """
        x0, y0, x1, y1 = self.boxes.T
        min_heights = np.minimum(y1 - y0, y1[number] - y0[number])
        is_beside = np.minimum(y1, y1[number]) - np.maximum(y0, y0[number]) > 0.3 * min_heights
        is_beside[number] = False
        is_beside &= (self.lengths == 1) | (not lone_only)
        gaps = np.maximum(x0 - x1[number], x0[number] - x1)[is_beside]
        nearest = float(gaps.min(initial=np.inf)) / max(float(self.heights[number]), 1.0)
        return min(max(nearest, 0.0), _FAR)

    def joint_text(self, number: int) -> str:
        """The joint text of a number and its neighbour, if they may be one; else empty."""
        for left, right in ((number, number + 1), (number - 1, number)):
            if left >= 0 and right < len(self.texts):
                gap = (self.boxes[right][0] - self.boxes[left][2]) / self.heights[number]
                text = self.texts[left] + self.texts[right]
                if self.side_gap(number) < _FAR and abs(gap) < _FAR and form_of(text) != "none":
                    return text
        return ""

    def signs(self, number: int, chosen: Rewriting, chance: float) -> tuple[float, ...]:
        """Features of whether a number is right, named by ``SIGNS``.

        ``chosen`` is the accepted rewriting and ``chance`` its probability; see ``likelihoods``.
        """
        spots = self.numbers[number]
        heights = [spot.box.height for spot in spots if spot.place >= 0]
        none, _, column, year = chosen.features[len(COSTS) :]
        off_grid = 1 - self.grid_score(number)
        lone = off_grid * (self.lengths[number] == 1)
        return (
            _log_doubt(prod(spot.confidence for spot in spots)),
            max(spot.missed[1] for spot in spots),
            _log_doubt(chance),
            none,
            column,
            *self._outlier_scores(number, form_of(chosen.text, self.known)),
            year,
            off_grid * max(self.median_gap - _LOOSE_GAP, 0.0) * (_FAR - self.side_gap(number)),
            lone * (_FAR - self.side_gap(number, lone_only=True)),
            min(float(np.log(heights).std()), 0.5) if len(heights) > 1 else 0.0,
            float(chosen.chars != tuple(spot.char for spot in spots)),
            self.short_of_edge(number),
        )

    def rewritings(self, number: int, digits: Mapping[int, Digit]) -> list[Rewriting]:
        """All texts considered for a number; the first is the one that was read.

        ``digits`` are indexed by place, see ``Spot``.
        """
        spots = self.numbers[number]
        original = tuple(spot.char for spot in spots)
        step_parts = [(k, part) for k, spot in enumerate(spots) if (part := spot.steps) is not None]
        owners = [k for k, part in step_parts for _ in part]
        steps = np.concatenate([part for _, part in step_parts]) if owners else None
        recognized = _recognized_texts(spots, steps, owners) if steps is not None else ()
        rewritten = [self._rewrite_in_form(number, form) for form in self._usual_forms(number)]
        candidates: dict[str, Chars] = {}
        for chars in (original, *_changed_chars(spots, digits), *recognized, *rewritten):
            text = "".join(chars)
            if chars == original or number_spans(text) == [(0, len(text))]:
                candidates.setdefault(text, chars)
        log_odds: Sequence[float | None] = [None] * len(candidates)
        if steps is not None:
            odds = text_odds(steps, list(candidates))
            log_odds = np.log(np.maximum(odds / max(odds[0], _MIN_CHANCE), _MIN_ODDS)).tolist()
        return [
            Rewriting(chars, (*_costs(spots, chars, digits, each), *self._features(number, text)))
            for (text, chars), each in zip(candidates.items(), log_odds, strict=True)
        ]

    def _usual_forms(self, number: int) -> list[str]:
        """The forms with marks best supported by other numbers, those of its column first."""
        forms = {form for form in self.forms.tolist() if not form[0].isalpha()}
        support = {form: self.support(number, form)[::-1] for form in sorted(forms)}
        likely = [form for form in support if max(support[form]) > 0 and form != self.forms[number]]
        return nlargest(_MAX_FORMS, likely, key=support.__getitem__)

    def _rewrite_in_form(self, number: int, form: str) -> Chars:
        """A number rewritten in a form; unchanged if its length does not fit."""
        spots = self.numbers[number]
        chars = [spot.char for spot in spots]
        digits = [k for k, spot in enumerate(spots) if spot.place >= 0]
        if form[0] in ".,":  # decimals after a mark
            whole_count = len(digits) - int(form[1:])
            group_match = _RUN_ON.fullmatch(self.texts[number])
            is_run_on = group_match and form == f"{_DECIMAL_OF[group_match[1]]}2"
            if whole_count > 0 and (is_run_on or BARE.fullmatch(self.texts[number])):
                chars[digits[whole_count - 1]] += form[0]
            return tuple(chars)
        shape = re.sub(r"\d", lambda digit: "0" * int(digit[0]), form)
        if len(digits) == sum(map(str.isdigit, shape)):
            mark_indices = [k for k, mark in enumerate(shape) if mark != "0"]
            marks = {digits[end - count - 1]: shape[end] for count, end in enumerate(mark_indices)}
            for left, right in pairwise(digits):
                between, mark = right - left - 1, marks.get(left, "")
                chars[left + 1 : right] = [mark, *[""] * between][:between]
                chars[left] += "" if between else mark
        elif len(spots) == len(shape):
            chars = [mark if mark != "0" else char for char, mark in zip(chars, shape, strict=True)]
        return tuple(chars)

    def has_usual_mark(self, text: str) -> bool:
        """Whether a number's decimal mark, if any, is on at least half of the marked numbers."""
        marks = [form[0] for form in self.forms.tolist() if form[0] in {".", ","}]
        mark = form_of(text, self.known)[0]
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
        form, meaning = form_of(text, self.known), meanings(text)[0]
        if self.cents[number] >= CENTS_FROM and text == self.texts[number]:
            form = max((".2", ",2"), key=lambda mark: self.support(number, mark))
        is_unlikely = meaning.kind == "date" and getattr(meaning.value, "year", 2000) not in _YEARS
        return (float(form == "none"), *self.support(number, form), float(is_unlikely))


def say_why(signs: Sequence[float], fitted: Weights) -> str:
    """The strongest evidence against a number, in a few words."""
    parts = zip(SIGNS, fitted["signs"][1:], signs, strict=True)
    baseline = {"characters": _CLEAR_LOG_DOUBT, "rivals": _CLEAR_LOG_DOUBT}
    evidence = {name: weight * (sign - baseline.get(name, 0.0)) for name, weight, sign in parts}
    return _REASONS[min(_REASONS, key=lambda name: evidence[name])]


def unmarked(spots: Sequence[Spot]) -> list[Box]:
    """The boxes of the digits of a number with three or more and no mark; else empty."""
    text = "".join(spot.char for spot in spots)
    return [spot.box for spot in spots if spot.place >= 0] if BARE.fullmatch(text) else []


def raised_chance(spots: Sequence[Spot], fitted: Weights | None = None) -> float:
    """Probability that the last two digits of a number are cents, from their size and position.

    0 for a number with a mark or with fewer than three digits.
    """
    boxes = unmarked(spots)
    return _logistic((fitted or shipped())["sizes"], size_features(boxes)) if boxes else 0.0


def size_features(boxes: Sequence[Box]) -> tuple[float, ...]:
    """Differences of the last two digits of a number from the others, named by ``SIZES``.

    Each of the two is measured separately, as its box may contain ink of the digit before.
    """
    x0, y0, x1, y1 = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], float).T
    x, count = (x0 + x1) / 2, len(boxes) - 2
    dx, y = x[:-2] - x[:-2].mean(), (y0 + y1)[:-2] / 2
    slope = float(dx @ y) / max(float(dx @ dx), 1.0) if count > 1 else 0.0
    slope = min(max(slope, -0.2), 0.2) * (1 - 1 / count)  # two digits are weak evidence
    y0, y1 = y0 - slope * x, y1 - slope * x
    heights, widths = y1 - y0, x1 - x0
    height = float(median(heights[:-2]))
    small = (-np.log(heights[-2:] / height)).clip(-0.3, 0.7)
    high = ((median(y1[:-2]) - y1[-2:]) / height).clip(-0.3, 0.6)
    top = (np.abs(y0[-2:] - median(y0[:-2])) / height).clip(0, 0.5)
    both = small.clip(0, 1) * high.clip(0, 1)
    raised = int((small * high).argmax())
    narrow = log(widths[:-2].mean() / widths[-2:].mean())
    narrow = min(max(narrow, -0.7), 0.7)
    parts = [float(part[k]) for k in (raised, 1 - raised) for part in (small, high, both)]
    return (*parts, float(top[raised]), narrow, max(narrow, 0.0) * max(float(high[raised]), 0.0))


def read_chance(spots: Sequence[Spot]) -> float:
    """Probability that all characters are right and none was missed, if independent."""
    chance = max((spot.missed[1] for spot in spots), default=0.0)
    return prod(spot.confidence for spot in spots) * (1 - chance)


Chars = tuple[str, ...]  # the new text of each character of a number, see ``Rewriting``


def _changed_chars(spots: Sequence[Spot], digits: Mapping[int, Digit]) -> Iterator[Chars]:
    """A number with one or two digits changed or characters dropped."""
    candidates: list[tuple[float, int, str]] = []
    for k, spot in enumerate(spots):
        candidates.append(((1 - spot.confidence) / max(spot.confidence, _MIN_CHANCE), k, ""))
        if spot.place >= 0:
            digit = digits[spot.place]
            values = (value for value, _ in digit.alternatives[:3])
            candidates += [(_value_odds(digit, value), k, str(value)) for value in values]
    best = nlargest(_MAX_CHANGES, (each for each in candidates if each[0] > 0))
    pairs = combinations([each for each in best if each[0] > _MIN_PAIR_ODDS], 2)
    for changes in [(each,) for each in best] + [(a, b) for a, b in pairs if a[1] != b[1]]:
        chars = [spot.char for spot in spots]
        for _, k, char in changes:
            chars[k] = char
        yield tuple(chars)


def _recognized_texts(
    spots: Sequence[Spot], steps: npt.NDArray[np.float32], owners: Sequence[int]
) -> Iterator[Chars]:
    """Likely texts by the recogniser, each also with fused digits where it agrees with the best.

    ``steps``, float32[T, C], are the posteriors; ``owners`` has the character of each step.
    """
    best_chars: Chars = ()
    for text in likely_texts(steps, _BEAM_WIDTH):
        chars = [""] * len(spots)
        for char, step in zip(text.text, text.steps, strict=True):
            chars[owners[step]] += char
        best_chars = best_chars or tuple(chars)
        yield tuple(
            spot.char if char == best_char or spot.steps is None else char
            for spot, char, best_char in zip(spots, chars, best_chars, strict=True)
        )
        yield tuple(chars)


def _costs(
    spots: Sequence[Spot], chars: Chars, digits: Mapping[int, Digit], log_odds: float | None
) -> tuple[float, ...]:
    """Costs of a rewriting, named by ``COSTS``; ``log_odds`` by the recogniser, if any."""
    changed = dropped = marks = 0.0
    drops = inserts = 0
    for spot, char in zip(spots, chars, strict=True):
        drops += not char
        inserts += max(len(char) - 1, 0)
        value = rewritten_digit(spot, char)
        doubt = min(max(1 - spot.confidence, _MIN_CHANCE), 1 - _MIN_CHANCE)
        if spot.place >= 0 and not value:
            dropped += log(doubt / (1 - doubt))
        elif spot.place >= 0 and value != spot.char:
            changed += log(max(_value_odds(digits[spot.place], int(value)), _MIN_CHANCE))
        elif char != spot.char:
            marks += log(doubt / (1 - doubt)) if not char else log(_MIN_ODDS)
    recognized = changed + dropped + marks if log_odds is None else log_odds
    return changed, dropped, recognized, float(drops), float(inserts)


def rewritten_digit(spot: Spot, chars: str) -> str:
    """The digit that a place has in its new text; empty if there is none."""
    return spot.char if spot.char in chars else digits_of(chars)[:1]


def _value_odds(digit: Digit, value: int) -> float:
    """Odds of another value against the one read, scaled to fit the digit's confidence."""
    top, certainty = digit.probabilities[digit.value], max(digit.confidence, _MIN_CHANCE)
    scale = min(certainty / max(top, _MIN_CHANCE), (1 - certainty) / max(1 - top, _MIN_CHANCE))
    return scale * digit.probabilities[value] / certainty


def _log_doubt(chance: float) -> float:
    return log(min(max(1 - chance, 3e-4), 1.0))


def _logistic(weights: Sequence[float], features: Sequence[float]) -> float:
    bias, *slopes = weights
    logit = bias + sum(a * b for a, b in zip(slopes, features, strict=True))
    return 1 / (1 + exp(-min(max(logit, -40.0), 40.0)))


def _inner_gaps(spots: Sequence[Spot]) -> list[float]:
    """Gaps between the characters of a number, in digit heights."""
    height = max(_median_height(spots), 1.0)
    return [(right.box.x0 - left.box.x1) / height for left, right in pairwise(spots)]


def _fit_edge(ends: Floats, dy: Floats) -> tuple[int, float]:
    """The straight line through most ends of a column: how many, and its position at 0.

    Horizontal and vertical offsets of the ends, float64[N], are from a number, in digit heights.
    """
    first, second = np.triu_indices(len(ends), 1)
    is_upright = np.abs(ends[second] - ends[first]) < _MAX_SLOPE * np.abs(dy[second] - dy[first])
    j, k = first[is_upright], second[is_upright]
    slopes = (ends[k] - ends[j]) / (dy[k] - dy[j])
    positions = ends[j] - slopes * dy[j]
    is_near = np.abs(ends - positions[:, None] - slopes[:, None] * dy) < _EDGE_TOLERANCE
    counts = is_near.sum(axis=1)
    best = int(counts.argmax()) if len(counts) else -1
    return (int(counts[best]), float(positions[best])) if len(counts) else (0, 0.0)


def _median_height(spots: Sequence[Spot]) -> float:
    return float(median(np.array([spot.box.height for spot in spots if spot.place >= 0], float)))


def _bounding_box(spots: Sequence[Spot]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = zip(*((s.box.x0, s.box.y0, s.box.x1, s.box.y1) for s in spots), strict=True)
    return min(x0), min(y0), max(x1), max(y1)
