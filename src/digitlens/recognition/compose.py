"""Composes a reading: judges candidates and puts them into lines, numbers and expected patterns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from digitlens.recognition.candidates import Candidates
from digitlens.recognition.expect import Pattern, fit
from digitlens.recognition.judge import judge, page_box
from digitlens.recognition.layout import lines_of, numbers_of
from digitlens.results import Digit

_FILLS = 0.5  # of the page's height
_SUBJECT = 0.5  # of the usual confidence is enough for what fills an otherwise empty page

Floats = npt.NDArray[np.float32]
Lines = tuple[tuple[Digit, ...], ...]


def compose(
    found: Candidates,
    probabilities: Floats,
    confidence: Floats,
    size: tuple[int, int],
    thresholds: dict[str, float],
    tiles: Sequence[npt.NDArray[np.uint8] | None] = (),
) -> Lines:
    """Lines from top to bottom, each from left to right; what is rejected stands in them, marked.

    Args:
        found: Candidates.
        probabilities: float32[N, 10]; of each, final.
        confidence: float32[N]; of each, calibrated.
        size: Width and height of the page.
        thresholds: See ``judge``.
        tiles: uint8[28, 28] of each or None, as the classifier was shown it; none are known if
            left out.
    """
    parts = (found.score, probabilities, confidence, found.boxes, tiles or [None] * len(found))
    digits = [
        replace(
            judge(float(score), chances, float(sure), page_box(box, *size), thresholds), tile=tile
        )
        for score, chances, sure, box, tile in zip(*parts, strict=True)
    ]
    kept = [i for i, digit in enumerate(digits) if digit.status != "rejected"]
    if not kept:
        kept = _subject(digits, size, _SUBJECT * thresholds["reject"])
        digits = [_doubted(digit) if i in kept else digit for i, digit in enumerate(digits)]
    rejected = [i for i in range(len(digits)) if i not in kept]
    lines = [
        _line([digits[kept[i]] for i in line], found.boxes[[kept[i] for i in line]])
        for line in lines_of(found.boxes[kept])
    ]
    # What is no digit says nothing about the lines of digits: it joins the one that it is on.
    for index in rejected:
        _insert(lines, digits[index])
    return tuple(tuple(line) for line in lines)


def fitted(lines: Lines, pattern: Pattern, thresholds: dict[str, float]) -> Lines:
    """Chooses among candidates and their alternatives those that a known pattern asks for.

    Args:
        lines: A reading's, rejected digits among them.
        pattern: What the number looks like.
        thresholds: See ``judge``.

    Returns:
        The same digits; those that do not fit are rejected, and a digit that had another value or
        was rejected says so.
    """
    digits = [digit for line in lines for digit in line]
    if not digits:
        return lines
    probabilities = np.array([digit.probabilities for digit in digits], np.float32)
    # Confidence is that there is a digit and that it has this value.
    existence = np.array([d.confidence / max(*d.probabilities, 1e-06) for d in digits])
    choice = fit(pattern, probabilities, np.clip(existence, 0, 1), list(range(len(digits))))
    chosen = dict(
        zip(choice.kept, zip(choice.values, choice.confidences, strict=True), strict=True)
    )
    answers = iter(
        _expected(digit, chosen.get(i), float(min(1, existence[i])), thresholds)
        for i, digit in enumerate(digits)
    )
    return tuple(tuple(next(answers) for _ in line) for line in lines)


def _expected(
    digit: Digit, chosen: tuple[int, float] | None, existence: float, thresholds: dict[str, float]
) -> Digit:
    if chosen is None:
        if digit.status == "rejected":
            return digit
        return replace(digit, status="rejected", reason="more than the digits that were expected")
    value, chance = chosen
    confidence = existence * chance
    if confidence >= thresholds["digit"]:
        return replace(digit, value=value, confidence=confidence, status="digit", reason="")
    reason = f"{100 * confidence:.0f} % sure, also from what was expected"
    return replace(digit, value=value, confidence=confidence, status="unsure", reason=reason)


def _line(digits: list[Digit], boxes: Floats) -> list[Digit]:
    starts = {number[0] for number in numbers_of(boxes)[1:]}
    return [replace(digit, starts_number=i in starts) for i, digit in enumerate(digits)]


def _subject(digits: list[Digit], size: tuple[int, int], least: float) -> list[int]:
    """The one thing that fills its picture: it is what the picture was taken for."""
    large = [i for i, digit in enumerate(digits) if digit.box.height >= _FILLS * size[1]]
    best = max(large, key=lambda i: digits[i].confidence, default=None)
    return [] if best is None or digits[best].confidence < least else [best]


def _doubted(digit: Digit) -> Digit:
    reason = f"{digit.percent} % sure, read because it fills the picture"
    return replace(digit, status="unsure", reason=reason)


def _insert(lines: list[list[Digit]], digit: Digit) -> None:
    middle = (digit.box.y0 + digit.box.y1) / 2
    for line in lines:
        near = min(line, key=lambda other: abs(other.box.x0 - digit.box.x0))
        if near.box.y0 <= middle <= near.box.y1:
            after = sum(other.box.x0 <= digit.box.x0 for other in line)
            line.insert(after, digit)
            return
    above = sum(min(other.box.y0 for other in line) <= digit.box.y0 for line in lines)
    lines.insert(above, [digit])
