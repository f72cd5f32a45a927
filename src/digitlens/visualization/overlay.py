"""Draws a reading on its picture: boxes, values and confidences, doubtful ones seen at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from digitlens.imaging.images import Page
from digitlens.results import Digit, Reading, Status
from digitlens.visualization.marks import Mark, draw_marks, write_picture

_LINES = 6  # of the text below
_REJECTED = 40  # drawn at most, the most digit-like ones: more would hide the picture
_ORDER: tuple[Status, ...] = ("rejected", "digit", "unsure")  # from the back to the front
_LEGEND: dict[Status, str] = {
    "digit": "sure",
    "unsure": "doubtful (dashed, ?)",
    "rejected": "rejected (crossed out)",
}


def draw_reading(page: Page, reading: Reading) -> Page:
    """Draws what was read where.

    Sure digits have a solid box; unsure ones a thick dashed one and a filled label with ``?``;
    rejected ones are thin, crossed out and have no label.

    Args:
        page: uint8[H, W] or uint8[H, W, 3]; the picture that was read.
        reading: What was read on it.

    Returns:
        uint8[H', W', 3]; the picture, enlarged if it or its digits are small, with a margin for
        labels and the text below.

    Raises:
        ValueError: The reading is of a page of another size.
    """
    if (reading.width, reading.height) != (page.shape[1], page.shape[0]):
        raise ValueError(
            f"expected a page of {reading.width} x {reading.height} pixels, as was read, "
            f"found {page.shape[1]} x {page.shape[0]}"
        )
    digits = [digit for line in reading.lines for digit in line]
    drawn = sorted(_drawn(digits), key=lambda digit: _ORDER.index(digit.status))
    return draw_marks(page, [_mark(digit) for digit in drawn], _footer(reading, digits))


def write_reading(path: Path, page: Page, reading: Reading) -> None:
    """Writes the drawing as a PNG file, whole or not at all."""
    write_picture(path, draw_reading(page, reading))


def _drawn(digits: list[Digit]) -> list[Digit]:
    rejected = [digit for digit in digits if digit.status == "rejected"]
    likely = sorted(rejected, key=lambda digit: -digit.confidence)[:_REJECTED]
    return [digit for digit in digits if digit.status != "rejected"] + likely


def _mark(digit: Digit) -> Mark:
    x0, y0, x1, y1 = digit.box.as_list()
    if digit.status == "rejected":
        return Mark((x0, y0, x1, y1), "rejected")
    doubt = "?" if digit.status == "unsure" else ""
    return Mark((x0, y0, x1, y1), digit.status, f"{digit.value}{doubt}", f"{digit.percent}%")


def _footer(reading: Reading, digits: list[Digit]) -> list[str]:
    lines = reading.text.splitlines() or ["no digits"]
    more = [f"and {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    counts = Counter(digit.status for digit in digits)
    legend = [f"{counts[status]} {words}" for status, words in _LEGEND.items() if counts[status]]
    return [*lines[:_LINES], *more, *([", ".join(legend)] if legend else [])]
