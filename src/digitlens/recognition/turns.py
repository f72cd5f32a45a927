"""Quarter turns: finds out that a page lies on its side or stands on its head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page, shrink
from digitlens.model.page_model import PageModel
from digitlens.results import Box, Digit

_LOOK = 448  # longest side of the page in the looks that compare turns
_FINE = 0.85  # confidence: where digits are read so surely on average, the page is upright
_BETTER = 2.0  # times the evidence of the page as it is
_COUNTS = 0.5  # score from which a digit is evidence
# Words that stand on their head look like numbers (bath: 4709), and few photos do.
_COUNTS_ON_ITS_HEAD = 0.65
_LEAST = 1.2  # evidence of two digits: one alone turns no page

Lines = tuple[tuple[Digit, ...], ...]


def best_turn(page: Page, model: PageModel, confidence: npt.NDArray[np.float32]) -> int:
    """How many quarter turns, counter-clockwise, make digits of what is on the page.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        model: Looks.
        confidence: float32[N]; of what was found on the page as it is.

    Returns:
        0 to 3; 0 where the page reads well as it is, or no turn is clearly better.
    """
    found = confidence[confidence > 0.3]
    if not len(confidence) or (len(found) and float(found.mean()) > _FINE):
        return 0
    small = shrink(page, _LOOK)
    small = np.repeat(small[:, :, None], 3, 2) if small.ndim == 2 else small
    least = (_COUNTS, _COUNTS, _COUNTS_ON_ITS_HEAD, _COUNTS)
    evidence = [_evidence(turned_page(small, turn), model, least[turn]) for turn in range(4)]
    best = int(np.argmax(evidence))
    return best if evidence[best] > max(_LEAST, _BETTER * evidence[0]) else 0


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


def turned_on(lines: Lines, turn: int, width: int, height: int) -> Lines:
    """The boxes of a page on the page after it was turned: the inverse of ``turned_back``.

    Args: see ``turned_back``.
    """
    turned = (height, width) if turn % 2 else (width, height)
    # From there, the page as it was is the turned one, and its turn is what is left of four.
    return turned_back(lines, -turn % 4, *turned)


def _evidence(picture: npt.NDArray[np.uint8], model: PageModel, least: float) -> float:
    look = model.look(picture)
    sure = look.score * look.probabilities.max(axis=1, initial=0)
    return float((sure[sure > least] ** 2).sum())


def box_back(box: Box, turn: int, width: int, height: int) -> Box:
    """A box of a turned page on the page as it was; see ``turned_back``."""
    if turn == 1:
        return Box(width - box.y1, box.x0, width - box.y0, box.x1)
    if turn == 2:
        return Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)
    return Box(box.y0, height - box.x1, box.y1, height - box.x0)
