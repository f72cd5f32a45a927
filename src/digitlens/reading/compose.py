"""Fits the digits of a reading into a pattern that is known of its number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from digitlens.reading.expect import Pattern, fit
from digitlens.results import Digit

Lines = tuple[tuple[Digit, ...], ...]


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
