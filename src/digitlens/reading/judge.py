"""Judges candidates: stated, doubtful or rejected, with the reason in a few words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitlens.results import Box, Digit

Floats = npt.NDArray[np.float32]


def judge(
    existence: float,
    probabilities: Floats,
    confidence: float,
    box: Box,
    thresholds: dict[str, float],
) -> Digit:
    """Makes an answer of one candidate.

    Args:
        existence: That a digit is there, 0..1.
        probabilities: float32[10]; which one.
        confidence: Calibrated probability that there is this digit.
        box: Where it stands.
        thresholds: ``digit``: least confidence to be sure; ``reject``: below it, not a digit.
    """
    second, first = (int(index) for index in np.argsort(probabilities)[-2:])
    chances = tuple(float(p) for p in probabilities)
    if confidence >= thresholds["digit"]:
        return Digit(first, confidence, chances, box)
    if confidence >= thresholds["reject"]:
        reason = _doubt(existence, chances, second, confidence)
        return Digit(first, confidence, chances, box, "unsure", reason)
    reason = f"hardly a digit, closest to {first} ({100 * confidence:.0f} %)"
    return Digit(first, confidence, chances, box, "rejected", reason)


def page_box(box: Floats, width: int, height: int) -> Box:
    """A box in whole pixels that lies on the page.

    Args:
        box: float32[4]; x0, y0, x1, y1.
        width: Of the page.
        height: Of the page.
    """
    left, top, right, bottom = (round(side) for side in box.tolist())
    x0, y0 = _within(left, 0, width - 1), _within(top, 0, height - 1)
    return Box(x0, y0, _within(right, x0 + 1, width), _within(bottom, y0 + 1, height))


def _within(place: int, least: int, most: int) -> int:
    return min(max(place, least), most)


def _doubt(existence: float, chances: tuple[float, ...], second: int, confidence: float) -> str:
    sure = f"{100 * confidence:.0f} % sure"
    if 1 - existence > chances[second]:
        return f"{sure}, may be no digit"
    return f"{sure}, could be {second} ({100 * chances[second]:.0f} %)"
