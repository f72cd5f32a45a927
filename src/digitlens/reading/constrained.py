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

_LEAST = 1e-6  # minimum probability of a character considered at a step
_FAINT = 1e-3  # probability of a character above which a step between characters counts
_BELIEVED = 1e-6  # minimum odds, against the best path, of all numbers that satisfy constraints
_MISTAKEN = 0.02  # prior probability that the constraints do not hold for a picture
_ENDS = ".,"  # marks that may follow a number without belonging to it
_HALF = 0.25  # line heights: half the width of a digit without a box

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Seen:
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
    seen = _steps(view, layout, expected.marks)
    found = search([each.step for each in seen], expected)
    held = sum(each.odds for each in found)
    told = tuple(each.text for each in expected.constraints)
    texts = ("".join(each.char for each in line) for line in layout.characters)
    unconstrained = "\n".join(filter(None, texts))
    if held < _BELIEVED:
        return _doubted(layout, expected.text), Constrained(told, (), unconstrained, False)
    alone, best = _without(seen, layout), found[0]
    same = best.text in alone and digits_of(best.text) == digits_of(alone)
    decided = () if same else tuple(each.text for each in expected.broken(alone)) or told
    mistaken = _MISTAKEN / (held + _MISTAKEN)
    chosen = {
        step: (
            char,
            (1 - mistaken) * _share(found, char, step) / held
            # If the constraints do not hold, the unconstrained reading supports it as well.
            + (mistaken * dict(seen[step].step.chars)[char] if same else 0),
        )
        for char, step in zip(best.text, best.steps, strict=True)
    }
    judged = partial(_judged, thresholds=thresholds, decided="; ".join(decided))
    fitted = _fitted(view, layout, size, seen, chosen, judged)
    digits = fitted.digits
    numbers = _kept(layout.numbers, digits) or _digits_alone(fitted)
    characters: tuple[tuple[Character, ...], ...] = ()
    if expected.spells:
        spots = [
            Spot(*chosen[k], _box(view, size, seen[k]), seen[k].place if char in DIGITS else -1)
            for char, k in zip(best.text, best.steps, strict=True)
        ]
        numbers = [[_spelled(spots, expected.written(best.text))]]
        characters = (characters_of(numbers[0]),)
    layout = replace(fitted, characters=characters, numbers=tuple(map(tuple, numbers)))
    return layout, Constrained(told, decided, unconstrained, True)


def _steps(view: View, layout: Layout, marks: str) -> list[_Seen]:
    """The steps of a page, in reading order."""
    found: list[_Seen] = []
    lines, done = view.scores.places.line, set[int]()
    for row in layout.places:
        parts = [(line, list(part)) for line, part in groupby(row, lambda i: int(lines[i]))]
        apart = len({line for line, _ in parts}) == len(parts)
        for line, places in parts:
            known = [_of_place(view, place, marks) for place in places]
            in_order = known == sorted(known, key=lambda each: each.column)
            if apart and line not in done and in_order:
                known = _with_rest(view.lines[line], known, marks)
            done.add(line)
            found += known
    return [each for each in found if each.step.chars]


def _of_place(view: View, place: int, marks: str) -> _Seen:
    """The step of a place: fused probabilities of digits, the recogniser's of other characters."""
    places = view.scores.places
    line, symbol = int(places.line[place]), int(places.symbol[place])
    read, chances = view.lines[line], view.probabilities[place].astype(float)
    exists = min(1.0, float(view.confidence[place]) / max(float(chances.max()), _LEAST))
    found = list(zip(DIGITS, (exists * chances).tolist(), strict=True))
    if symbol >= 0:
        said = read.symbols.posteriors[symbol]
        column = float(read.symbols.centres[symbol])
        rest = (1 - exists) / max(1 - float(said[DIGIT_CLASSES].sum()), _LEAST)
        found += zip(marks, (rest * _alphabet(said, marks)[10:]).tolist(), strict=True)
    else:
        box = places.boxes[place]
        column = float(read.place((box[None, :2] + box[None, 2:]) / 2)[0, 0])
    return _Seen(_step(found), place, line, column)


def _step(
    chars: Iterable[tuple[str, float]], *, joined: bool = False, in_word: bool = False
) -> Step:
    """A step; skipping the letters and marks of a word outside the number costs nothing.

    Next to digits that holds for points and commas only: they end sentences, other marks do not.
    """
    likely = tuple((char, chance) for char, chance in chars if chance >= _LEAST)
    blank = max(0.0, 1 - sum(chance for _, chance in likely))
    counted = (
        chance for char, chance in likely if char in DIGITS or not (in_word or char in _ENDS)
    )
    return Step(likely, blank, max(0.0, 1 - sum(counted)), joined)


def _alphabet(said: Floats, marks: str) -> Floats:
    """float32[..., 10 + marks]: digits, then marks and letters, both cases of a letter added up."""
    columns = [said[..., CLASS_OF[char]] for char in DIGITS + marks]
    for number, char in enumerate(marks, len(DIGITS)):
        if char.lower() != char:
            columns[number] = columns[number] + said[..., CLASS_OF[char.lower()]]
    return np.stack(columns, axis=-1)


def _with_rest(read: RecognizedLine, known: Sequence[_Seen], marks: str) -> list[_Seen]:
    """The steps of places, and those of all other possible characters of their line."""
    line, signs = known[0].line, DIGITS + marks
    said = _alphabet(read.posteriors, marks)
    best = read.posteriors.argmax(axis=1)
    centres = np.array([each.column for each in known], np.float32)
    runs = np.pad(best != BLANK, 1)
    taken = runs[:-2] | runs[1:-1] | runs[2:]
    for column in centres:  # also places for which the recogniser has no character
        middle = int(column / STRIDE)
        taken[max(0, middle - 1) : middle + 2] = True
    found, words = list(known), _in_words(read.symbols.text)
    for symbol, centre in enumerate(read.symbols.centres.tolist()):
        if not (np.abs(centres - centre) < 1e-3).any():
            chances = _alphabet(read.symbols.posteriors[symbol], marks).tolist()
            step = _step(zip(signs, chances, strict=True), in_word=symbol in words)
            found.append(_Seen(step, -1, line, centre))
        char = read.symbols.text[symbol].upper()
        again = _again(read.posteriors, best, int(centre / STRIDE))
        if again > _FAINT and char in signs:
            step = _step([(char, again / (1 + again))])
            found.append(_Seen(step, -1, line, centre + 1e-3))
    faint = np.flatnonzero(~taken & (said.sum(axis=1) > _FAINT))
    for number in faint.tolist():
        step = _step(zip(signs, said[number].tolist(), strict=True), joined=number - 1 in faint)
        found.append(_Seen(step, -1, line, STRIDE * (number + 0.5)))
    return sorted(found, key=lambda each: each.column)


def _in_words(text: str) -> set[int]:
    """Indices of the characters in words without digits."""
    words = (each for each in re.finditer(r"[^ :]+", text) if not re.search(r"\d", each[0]))
    return {place for word in words for place in range(*word.span())}


def _again(posteriors: Floats, best: npt.NDArray[np.intp], middle: int) -> float:
    """Odds that a character stands twice instead of once, from the blanks within its run."""
    middle = min(middle, len(best) - 1)
    value, odds = best[middle], 0.0
    for way in (-1, 1):
        step = middle + way if way > 0 else middle
        while 0 < step < len(best) - 1 and best[step - 1] == best[step] == best[step + 1] == value:
            odds += float(posteriors[step, BLANK] / posteriors[step, value])
            step += way
    return odds


def _without(seen: Sequence[_Seen], layout: Layout) -> str:
    """The unconstrained reading, in the alphabet of the constraints."""
    text, digits = "", layout.digits
    for each in seen:
        if each.place >= 0 and digits[each.place].status != "rejected":
            text += str(digits[each.place].value)
        elif each.place < 0 and not each.step.joined:
            char, chance = max(each.step.chars, key=lambda pair: pair[1])
            text += char if chance > each.step.blank else ""
    return text


def _share(found: Sequence[Hypothesis], char: str, step: int) -> float:
    """The total odds of the hypotheses with a character at a step."""
    return sum(
        each.odds for each in found if (char, step) in zip(each.text, each.steps, strict=True)
    )


def _doubted(layout: Layout, expected: str) -> Layout:
    """Marks all digits as unsure, as no likely number satisfies the constraints."""
    reason = f"no number found that is as expected: {expected}"

    def doubted(digit: Digit) -> Digit:
        was = digit.status == "rejected"
        return digit if was else replace(digit, status="unsure", reason=reason)

    return replace(layout, lines=tuple(tuple(map(doubted, line)) for line in layout.lines))


def _fitted(
    view: View,
    layout: Layout,
    size: tuple[int, int],
    seen: list[_Seen],
    chosen: dict[int, tuple[str, float]],
    judged: Callable[[Digit, str, float], Digit],
) -> Layout:
    """The chosen digits in their lines; those without a place get a new one."""
    known = {seen[step].place: answer for step, answer in chosen.items() if seen[step].place >= 0}
    places = [list(row) for row in layout.places]
    lines = [
        [judged(digit, *known.get(i, ("", 0.0))) for i, digit in zip(*row, strict=True)]
        for row in zip(places, layout.lines, strict=True)
    ]
    fresh = (step for step in sorted(chosen) if seen[step].place < 0 and chosen[step][0] in DIGITS)
    for number, step in enumerate(fresh, len(view.scores)):
        row, index = _position(places, seen, step)
        lines[row].insert(index, judged(_new_digit(view, size, seen[step]), *chosen[step]))
        places[row].insert(index, number)
        seen[step] = replace(seen[step], place=number)
    return replace(layout, lines=tuple(map(tuple, lines)), places=tuple(map(tuple, places)))


def _position(places: list[list[int]], seen: Sequence[_Seen], step: int) -> tuple[int, int]:
    """Row and position of a digit without a place: next to a place on the same line."""
    line = seen[step].line
    for near in (*range(step - 1, -1, -1), *range(step + 1, len(seen))):
        if seen[near].line == line and seen[near].place >= 0:
            row = next(i for i, row in enumerate(places) if seen[near].place in row)
            return row, places[row].index(seen[near].place) + (near < step)
    raise AssertionError("a line without places is not read")


def _judged(
    digit: Digit, char: str, sure: float, *, thresholds: dict[str, float], decided: str
) -> Digit:
    """A digit under the constraints; rejected if it is not part of the number."""
    was_rejected = digit.status == "rejected"
    if not char or char not in DIGITS:
        reason = digit.reason if was_rejected else "more than the digits that were expected"
        return replace(digit, status="rejected", reason=reason)
    value = int(char)
    if sure < thresholds["digit"]:
        reason = f"{100 * sure:.0f} % sure, also from what was expected"
        return replace(digit, value=value, confidence=sure, status="unsure", reason=reason)
    before = "no digit" if was_rejected else f"read as {digit.value}"
    same = value == digit.value and not was_rejected
    reason = "" if same else f"{before} without expecting {decided}"
    return replace(digit, value=value, confidence=sure, status="digit", reason=reason)


def _new_digit(view: View, size: tuple[int, int], seen: _Seen) -> Digit:
    chances = dict(seen.step.chars)
    shares = np.array([chances.get(char, _LEAST) for char in DIGITS])
    shares /= shares.sum()
    box = _box(view, size, seen)
    return Digit(int(shares.argmax()), 0.0, tuple(shares.tolist()), box, "rejected")


def _box(view: View, size: tuple[int, int], seen: _Seen) -> Box:
    """The box of a step on the page: that of its place, else one around its column."""
    if 0 <= seen.place < len(view.scores):
        return page_box(view.scores.boxes[seen.place], *size)
    read = view.lines[seen.line]
    across = (read.line.quad[1] - read.line.quad[0]) / max(read.line.width, 1e-3)
    middle = read.line.quad[[0, 3]] + across * (seen.column / read.scale[0])
    reach = across * _HALF * read.line.height
    corners = np.concatenate([middle - reach, middle + reach])
    return page_box(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), *size)


def _kept(
    numbers: Sequence[Sequence[Sequence[Spot]]], digits: Mapping[int, Digit]
) -> list[list[list[Spot]]]:
    """Numbers with their marks and updated digits; empty if some digit is in none of them."""

    def now(spot: Spot) -> Spot | None:
        if spot.place < 0:
            return spot
        digit = digits[spot.place]
        char = str(digit.value)
        is_left = digit.status != "rejected"
        return replace(spot, char=char, confidence=digit.confidence) if is_left else None

    found = [[list(filter(None, map(now, number))) for number in row] for row in numbers]
    rows = [[number for number in row if any(s.place >= 0 for s in number)] for row in found]
    written = {spot.place for row in rows for number in row for spot in number}
    left = {place for place, digit in digits.items() if digit.status != "rejected"}
    return rows if left <= written else []


def _digits_alone(layout: Layout) -> list[list[list[Spot]]]:
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


def _spelled(spots: Sequence[Spot], written: str) -> list[Spot]:
    """The characters of a number, with marks of the listed value that were not read added."""
    left, found = list(spots), list[Spot]()
    for char in written:
        if left and left[0].char == char:
            found.append(left.pop(0))
        else:
            near = left[0] if left else found[-1]
            found.append(Spot(char, near.confidence, near.box))
    return found
