"""Quarter turns of a page, and the boxes of a turned page on the page as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from digitlens.imaging.image import Page
from digitlens.results import Box, Digit

Lines = tuple[tuple[Digit, ...], ...]


def turned_page(page: Page, turn: int) -> Page:
    """A page after quarter turns, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(page, turn))


def turned_back(lines: Lines, turn: int, width: int, height: int) -> Lines:
    """The boxes of a turned page on the page as it was.

    Args:
        lines: Digits on the turned page.
        turn: Its quarter turns, counter-clockwise.
        width: Of the page as it was.
        height: Likewise.
    """
    if not turn:
        return lines
    return tuple(
        tuple(replace(digit, box=box_back(digit.box, turn, width, height)) for digit in line)
        for line in lines
    )


def box_back(box: Box, turn: int, width: int, height: int) -> Box:
    """A box of a turned page on the page as it was; see ``turned_back``."""
    if turn == 1:
        return Box(width - box.y1, box.x0, width - box.y0, box.x1)
    if turn == 2:
        return Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)
    return Box(box.y0, height - box.x1, box.y1, height - box.x0)
