"""Decodes a number again under the constraints that are known of it.

The places of digits, with their fused probabilities, and the posteriors of their lines form one
sequence of steps per page; constrained CTC decoding finds the most probable number in it, see
``decode.search``. Lone digits without a line are treated the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CLASS_OF, DIGITS, digits_of
from digitlens.reading.constraints import Expectation
from digitlens.reading.decode import DIGIT_CLASSES, STRIDE, Hypothesis, Step, search
from digitlens.reading.layout import Layout, View, page_box
from digitlens.reading.numbers import Spot, characters_of
from digitlens.reading.recognize import RecognizedLine
from digitlens.results import Box, Character, Constrained, Digit

_MIN_CHANCE = 1e-6  # minimum probability of a character considered at a step
_FAINT = 1e-3  # probability of a character above which a step between characters counts
_MIN_ODDS = 1e-6  # minimum odds, against the best path, of all numbers that satisfy constraints
_PRIOR_MISTAKEN = 0.02  # prior probability that the constraints do not hold for a picture
_END_MARKS = ".,"  # marks that may follow a number without belonging to it
_HALF_WIDTH = 0.25  # line heights: half the width of a digit without a box

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _PageStep:
    """A step of the search and its position on the page."""

    step: Step
    place: int  # index of its place; -1 for none
    line: int  # index of its line
    column: float  # in the line's crop


def constrain(
    view: View,
    layout: Layout,
    size: tuple[int, int],
    thresholds: dict[str, float],
    expected: Expectation,
) -> tuple[Layout, Constrained]:
    """Chooses the most probable number that satisfies the constraints.

    Args:
        view: The view of the page.
        layout: The reading without constraints.
        size: Width and height of the page.
        thresholds: See ``judge``.
        expected: The constraints.

    Returns:
        The layout with the digits of this number and all others rejected, and the decision. If
        no likely number satisfies the constraints, the layout is unchanged, but unsure. A digit
        with posteriors only has an index past the last place.
    """
    chain = _page_steps(view, layout, expected.marks)
    hypotheses = search([each.step for each in chain], expected)
    total = sum(each.odds for each in hypotheses)
    texts = tuple(each.text for each in expected.constraints)
    lines = ("".join(each.char for each in line) for line in layout.characters)
    unconstrained = "\n".join(filter(None, lines))
    if total < _MIN_ODDS:
        return _mark_unsure(layout, expected.text), Constrained(texts, (), unconstrained, False)
    free_text, best = _unconstrained_text(chain, layout), hypotheses[0]
    same = best.text in free_text and digits_of(best.text) == digits_of(free_text)
    decided_by = () if same else tuple(each.text for each in expected.broken(free_text)) or texts
    mistaken = _PRIOR_MISTAKEN / (total + _PRIOR_MISTAKEN)
    chosen = {
        step: (
            char,
            (1 - mistaken) * _odds_with(hypotheses, char, step) / total
            # If the constraints do not hold, the unconstrained reading supports it as well.
            + (mistaken * dict(chain[step].step.chars)[char] if same else 0),
        )
        for char, step in zip(best.text, best.steps, strict=True)
    }
    judge = partial(_judge_digit, thresholds=thresholds, decided_by="; ".join(decided_by))
    fitted = _fit_layout(view, layout, size, chain, chosen, judge)
    digits = fitted.digits
    numbers = _updated_numbers(layout.numbers, digits) or _numbers_without_marks(fitted)
    characters: tuple[tuple[Character, ...], ...] = ()
    if expected.spells:
        spots = [
            Spot(*chosen[k], _box(view, size, chain[k]), chain[k].place if char in DIGITS else -1)
            for char, k in zip(best.text, best.steps, strict=True)
        ]
        numbers = [[_spell(spots, expected.written(best.text))]]
        characters = (characters_of(numbers[0]),)
    layout = replace(fitted, characters=characters, numbers=tuple(map(tuple, numbers)))
    return layout, Constrained(texts, decided_by, unconstrained, True)


def _page_steps(view: View, layout: Layout, marks: str) -> list[_PageStep]:
    """The steps of a page, in reading order."""
    steps: list[_PageStep] = []
    lines, done = view.scores.places.line, set[int]()
    for row in layout.places:
        parts = [(line, list(part)) for line, part in groupby(row, lambda i: int(lines[i]))]
        has_whole_lines = len({line for line, _ in parts}) == len(parts)
        for line, places in parts:
            row_steps = [_place_step(view, place, marks) for place in places]
            is_in_order = row_steps == sorted(row_steps, key=lambda each: each.column)
            if has_whole_lines and line not in done and is_in_order:
                row_steps = _add_other_steps(view.lines[line], row_steps, marks)
            done.add(line)
            steps += row_steps
    return [each for each in steps if each.step.chars]


def _place_step(view: View, place: int, marks: str) -> _PageStep:
    """The step of a place: fused probabilities of digits, the recogniser's of other characters."""
    places = view.scores.places
    line, symbol = int(places.line[place]), int(places.symbol[place])
    recognized, chances = view.lines[line], view.probabilities[place].astype(float)
    objectness = min(1.0, float(view.confidence[place]) / max(float(chances.max()), _MIN_CHANCE))
    chars = list(zip(DIGITS, (objectness * chances).tolist(), strict=True))
    if symbol >= 0:
        posterior = recognized.symbols.posteriors[symbol]
        column = float(recognized.symbols.centres[symbol])
        scale = (1 - objectness) / max(1 - float(posterior[DIGIT_CLASSES].sum()), _MIN_CHANCE)
        chars += zip(marks, (scale * _char_chances(posterior, marks)[10:]).tolist(), strict=True)
    else:
        box = places.boxes[place]
        column = float(recognized.place((box[None, :2] + box[None, 2:]) / 2)[0, 0])
    return _PageStep(_make_step(chars), place, line, column)


def _make_step(
    chars: Iterable[tuple[str, float]], *, joined: bool = False, in_word: bool = False
) -> Step:
    """A step; skipping the letters and marks of a word outside the number costs nothing.

    Next to digits that holds for points and commas only: they end sentences, other marks do not.
    """
    likely = tuple((char, chance) for char, chance in chars if chance >= _MIN_CHANCE)
    blank = max(0.0, 1 - sum(chance for _, chance in likely))
    counted = (
        chance for char, chance in likely if char in DIGITS or not (in_word or char in _END_MARKS)
    )
    return Step(likely, blank, max(0.0, 1 - sum(counted)), joined)


def _char_chances(posteriors: Floats, marks: str) -> Floats:
    """float32[..., 10 + marks]: digits, then marks and letters, both cases of a letter added up."""
    columns = [posteriors[..., CLASS_OF[char]] for char in DIGITS + marks]
    for k, char in enumerate(marks, len(DIGITS)):
        if char.lower() != char:
            columns[k] = columns[k] + posteriors[..., CLASS_OF[char.lower()]]
    return np.stack(columns, axis=-1)


def _add_other_steps(
    recognized: RecognizedLine, place_steps: Sequence[_PageStep], marks: str
) -> list[_PageStep]:
    """The steps of places, and those of all other possible characters of their line."""
    line, alphabet = place_steps[0].line, DIGITS + marks
    chances = _char_chances(recognized.posteriors, marks)
    best = recognized.posteriors.argmax(axis=1)
    centres = np.array([each.column for each in place_steps], np.float32)
    is_char = np.pad(best != BLANK, 1)
    is_taken = is_char[:-2] | is_char[1:-1] | is_char[2:]
    for column in centres:  # also places for which the recogniser has no character
        middle = int(column / STRIDE)
        is_taken[max(0, middle - 1) : middle + 2] = True
    steps, words = list(place_steps), _indices_in_words(recognized.symbols.text)
    for symbol, centre in enumerate(recognized.symbols.centres.tolist()):
        if not (np.abs(centres - centre) < 1e-3).any():
            likely = _char_chances(recognized.symbols.posteriors[symbol], marks).tolist()
            step = _make_step(zip(alphabet, likely, strict=True), in_word=symbol in words)
            steps.append(_PageStep(step, -1, line, centre))
        char = recognized.symbols.text[symbol].upper()
        odds = _repeat_odds(recognized.posteriors, best, int(centre / STRIDE))
        if odds > _FAINT and char in alphabet:
            step = _make_step([(char, odds / (1 + odds))])
            steps.append(_PageStep(step, -1, line, centre + 1e-3))
    faint = np.flatnonzero(~is_taken & (chances.sum(axis=1) > _FAINT))
    for k in faint.tolist():
        step = _make_step(zip(alphabet, chances[k].tolist(), strict=True), joined=k - 1 in faint)
        steps.append(_PageStep(step, -1, line, STRIDE * (k + 0.5)))
    return sorted(steps, key=lambda each: each.column)


def _indices_in_words(text: str) -> set[int]:
    """Indices of the characters in words without digits."""
    words = (each for each in re.finditer(r"[^ :]+", text) if not re.search(r"\d", each[0]))
    return {index for word in words for index in range(*word.span())}


def _repeat_odds(posteriors: Floats, best: npt.NDArray[np.intp], middle: int) -> float:
    """Odds that a character stands twice instead of once, from the blanks within its run."""
    middle = min(middle, len(best) - 1)
    label, odds = best[middle], 0.0
    for direction in (-1, 1):
        step = middle + direction if direction > 0 else middle
        while 0 < step < len(best) - 1 and best[step - 1] == best[step] == best[step + 1] == label:
            odds += float(posteriors[step, BLANK] / posteriors[step, label])
            step += direction
    return odds


def _unconstrained_text(steps: Sequence[_PageStep], layout: Layout) -> str:
    """The unconstrained reading, in the alphabet of the constraints."""
    text, digits = "", layout.digits
    for each in steps:
        if each.place >= 0 and digits[each.place].status != "rejected":
            text += str(digits[each.place].value)
        elif each.place < 0 and not each.step.joined:
            char, chance = max(each.step.chars, key=lambda pair: pair[1])
            text += char if chance > each.step.blank else ""
    return text


def _odds_with(hypotheses: Sequence[Hypothesis], char: str, step: int) -> float:
    """The total odds of the hypotheses with a character at a step."""
    return sum(
        each.odds for each in hypotheses if (char, step) in zip(each.text, each.steps, strict=True)
    )


def _mark_unsure(layout: Layout, expected: str) -> Layout:
    """Marks all digits as unsure, as no likely number satisfies the constraints."""
    reason = f"no number found that is as expected: {expected}"

    def mark_unsure(digit: Digit) -> Digit:
        is_rejected = digit.status == "rejected"
        return digit if is_rejected else replace(digit, status="unsure", reason=reason)

    return replace(layout, lines=tuple(tuple(map(mark_unsure, line)) for line in layout.lines))


def _fit_layout(
    view: View,
    layout: Layout,
    size: tuple[int, int],
    steps: list[_PageStep],
    chosen: dict[int, tuple[str, float]],
    judge: Callable[[Digit, str, float], Digit],
) -> Layout:
    """The chosen digits in their lines; those without a place get a new one."""
    known = {steps[step].place: answer for step, answer in chosen.items() if steps[step].place >= 0}
    places = [list(row) for row in layout.places]
    lines = [
        [judge(digit, *known.get(i, ("", 0.0))) for i, digit in zip(*row, strict=True)]
        for row in zip(places, layout.lines, strict=True)
    ]
    added = (step for step in sorted(chosen) if steps[step].place < 0 and chosen[step][0] in DIGITS)
    for new_place, step in enumerate(added, len(view.scores)):
        row, index = _position(places, steps, step)
        lines[row].insert(index, judge(_new_digit(view, size, steps[step]), *chosen[step]))
        places[row].insert(index, new_place)
        steps[step] = replace(steps[step], place=new_place)
    return replace(layout, lines=tuple(map(tuple, lines)), places=tuple(map(tuple, places)))


def _position(places: list[list[int]], steps: Sequence[_PageStep], step: int) -> tuple[int, int]:
    """Row and position of a digit without a place: next to a place on the same line."""
    line = steps[step].line
    for other in (*range(step - 1, -1, -1), *range(step + 1, len(steps))):
        if steps[other].line == line and steps[other].place >= 0:
            row = next(i for i, row in enumerate(places) if steps[other].place in row)
            return row, places[row].index(steps[other].place) + (other < step)
    raise AssertionError("a line without places is not read")


def _judge_digit(
    digit: Digit, char: str, chance: float, *, thresholds: dict[str, float], decided_by: str
) -> Digit:
    """A digit under the constraints; rejected if it is not part of the number."""
    was_rejected = digit.status == "rejected"
    if not char or char not in DIGITS:
        reason = digit.reason if was_rejected else "more than the digits that were expected"
        return replace(digit, status="rejected", reason=reason)
    value = int(char)
    if chance < thresholds["digit"]:
        reason = f"{100 * chance:.0f} % sure, also from what was expected"
        return replace(digit, value=value, confidence=chance, status="unsure", reason=reason)
    original = "no digit" if was_rejected else f"read as {digit.value}"
    same = value == digit.value and not was_rejected
    reason = "" if same else f"{original} without expecting {decided_by}"
    return replace(digit, value=value, confidence=chance, status="digit", reason=reason)


def _new_digit(view: View, size: tuple[int, int], page_step: _PageStep) -> Digit:
    chances = dict(page_step.step.chars)
    probabilities = np.array([chances.get(char, _MIN_CHANCE) for char in DIGITS])
    probabilities /= probabilities.sum()
    box = _box(view, size, page_step)
    return Digit(int(probabilities.argmax()), 0.0, tuple(probabilities.tolist()), box, "rejected")


def _box(view: View, size: tuple[int, int], page_step: _PageStep) -> Box:
    """The box of a step on the page: that of its place, else one around its column."""
    if 0 <= page_step.place < len(view.scores):
        return page_box(view.scores.boxes[page_step.place], *size)
    recognized = view.lines[page_step.line]
    across = (recognized.line.quad[1] - recognized.line.quad[0]) / max(recognized.line.width, 1e-3)
    middle = recognized.line.quad[[0, 3]] + across * (page_step.column / recognized.scale[0])
    half_extent = across * _HALF_WIDTH * recognized.line.height
    corners = np.concatenate([middle - half_extent, middle + half_extent])
    return page_box(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), *size)


def _updated_numbers(
    numbers: Sequence[Sequence[Sequence[Spot]]], digits: Mapping[int, Digit]
) -> list[list[list[Spot]]]:
    """Numbers with their marks and updated digits; empty if some digit is in none of them."""

    def update(spot: Spot) -> Spot | None:
        if spot.place < 0:
            return spot
        digit = digits[spot.place]
        char = str(digit.value)
        is_left = digit.status != "rejected"
        return replace(spot, char=char, confidence=digit.confidence) if is_left else None

    updated = [[list(filter(None, map(update, number))) for number in row] for row in numbers]
    rows = [[number for number in row if any(s.place >= 0 for s in number)] for row in updated]
    written = {spot.place for row in rows for number in row for spot in number}
    remaining = {place for place, digit in digits.items() if digit.status != "rejected"}
    return rows if remaining <= written else []


def _numbers_without_marks(layout: Layout) -> list[list[list[Spot]]]:
    """The digits of each line as numbers without marks."""
    rows: list[list[list[Spot]]] = []
    for line, places in zip(layout.lines, layout.places, strict=True):
        numbers: list[list[Spot]] = [[]]
        for digit, place in zip(line, places, strict=True):
            if digit.starts_number:
                numbers.append([])
            if digit.status != "rejected":
                numbers[-1].append(Spot(str(digit.value), digit.confidence, digit.box, place))
        rows.append([number for number in numbers if number])
    return rows


def _spell(spots: Sequence[Spot], written: str) -> list[Spot]:
    """The characters of a number, with marks of the listed value that were not read added."""
    remaining, spelled = list(spots), list[Spot]()
    for char in written:
        if remaining and remaining[0].char == char:
            spelled.append(remaining.pop(0))
        else:
            neighbour = remaining[0] if remaining else spelled[-1]
            spelled.append(Spot(char, neighbour.confidence, neighbour.box))
    return spelled
