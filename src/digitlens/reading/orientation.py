"""Page orientation, from the quarter turn after which its lines read best; turning boxes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from digitlens.imaging.image import Page
from digitlens.models.networks import LineRecognizer
from digitlens.reading.recognize import RecognizedLine, recognize
from digitlens.reading.text_lines import TextLine
from digitlens.results import Box, Character, Digit, Number

_UPRIGHT_FLUENCY = 0.97  # mean confidence of characters above which a page is upright
_EVIDENCE_RATIO = 1.3  # evidence after a quarter turn must exceed this multiple of that before
_MIN_FLUENCY = 0.98  # minimum mean confidence of text read upside down
_FLUENCY_GAIN = 0.03  # minimum gain in mean confidence from turning a page upside down
_MIN_TEXT = 4  # characters to turn a page upside down, as turned digits resemble digits (1609)
# Characters that also read upside down, alone or as another: alone they turn no page.
_AMBIGUOUS = set("01689.,':-+%()/$ ")
_MIN_COHERENCE = 0.5  # coherence above which lines are text
_MIN_EVIDENCE = 1.5  # minimum evidence, about two characters: one alone turns no page
_MAX_LINES = 6  # how many of the largest lines are read in other orientations
_STACK_ASPECT = 1.5  # height over width above which stacked lines may be one line on its side
_TEXT_ASPECT = 2.0  # ratio of sides above which a line is text, not a lone character


def best_turn(
    read: Sequence[RecognizedLine],
    digits: npt.NDArray[np.float32],
    page: Page,
    recognizer: LineRecognizer,
) -> int:
    """Number of counter-clockwise quarter turns after which a page reads clearly better.

    Args:
        read: The lines of the page as it was read.
        digits: float32[N]; fused confidence of each possible digit on these lines.
        page: uint8[H, W] or uint8[H, W, 3].
        recognizer: Reads the lines in other orientations, unless the page is clearly upright.

    Returns:
        1 to 3, or 0 if no turn is clearly better than the page as it was read.
    """
    found = [each for each in read if each.line.score] or list(read)
    some = sorted(found, key=lambda each: -_area(_unpadded(each.line)))[:_MAX_LINES]
    if not some or _fluency(some) > _UPRIGHT_FLUENCY or _is_one_digit(some, digits):
        return 0
    lines = [_unpadded(each.line) for each in some]
    tall = sum(_area(line) for line in lines if line.height > _TEXT_ASPECT * line.width)
    turns = (1, 3) if 2 * tall > sum(map(_area, lines)) else (2,)
    whole = _bounding_line(lines)
    if turns == (2,) and len(lines) > 1 and whole.height > _STACK_ASPECT * whole.width:
        # Text on its side may have been found as single characters, one above the other.
        lines, turns = [whole], (1, 3)
    is_narrow = lines[0].width < _TEXT_ASPECT * lines[0].height
    if turns == (2,) and is_narrow and len(some) == 1 and len(some[0].symbols) == 1:
        return 0  # a lone character
    turned = {
        turn: recognize(page, [_turned(line, turn) for line in lines], recognizer) for turn in turns
    }
    best = max(turned, key=lambda turn: evidence(turned[turn]))
    better = _is_upside_down if best == 2 else _is_clearer
    return best if better(turned[best], some) else 0


def clearest_turn(views: Sequence[Sequence[RecognizedLine]]) -> int:
    """The turn, 1 to 3, after which parts of a page read clearly better; 0 if none does.

    ``views`` has the lines of these parts after 0 to 3 quarter turns, detected separately each
    time, as text on its side falls apart into lone characters.
    """
    best = max(range(1, len(views)), key=lambda turn: evidence(views[turn]))
    is_read = coherence(views[best]) > _MIN_COHERENCE
    return best if is_read and _is_clearer(views[best], views[0]) else 0


def coherence(read: Sequence[RecognizedLine]) -> float:
    """Mean evidence per character, 0 to 1; a line without characters counts as one."""
    return evidence(read) / max(sum(max(len(each.symbols), 1) for each in read), 1)


def _is_clearer(turned: Sequence[RecognizedLine], upright: Sequence[RecognizedLine]) -> bool:
    return evidence(turned) > max(_MIN_EVIDENCE, _EVIDENCE_RATIO * evidence(upright))


def _is_upside_down(turned: Sequence[RecognizedLine], upright: Sequence[RecognizedLine]) -> bool:
    """Whether numbers or words read confidently upside down, and clearly better than upright."""
    fluency, text = _fluency(turned), "".join(each.symbols.text for each in turned)
    letters = sum(char.isalpha() for char in text)
    natural = letters >= _MIN_TEXT or (not letters and not _AMBIGUOUS.issuperset(text))
    surer = fluency > _MIN_FLUENCY and fluency > _fluency(upright) + _FLUENCY_GAIN
    return (
        surer and natural and len(text) >= _MIN_TEXT and evidence(turned) > 0.85 * evidence(upright)
    )


def evidence(read: Sequence[RecognizedLine]) -> float:
    """How well lines read: the sum of squares of confidences above 0.5.

    Lines of one character do not count: a lone character reads as something in most orientations.
    """
    confidences = [each.symbols.confidence for each in read if len(each.symbols) > 1]
    return float(sum((values[values > 0.5] ** 2).sum() for values in confidences))


def _fluency(read: Sequence[RecognizedLine]) -> float:
    """Mean confidence of all characters; a line that is not read counts as one character of 0."""
    zero = np.zeros(1, np.float32)
    confidences = [each.symbols.confidence if _is_read(each) else zero for each in read]
    return float(np.concatenate(confidences).mean())


def _is_read(read: RecognizedLine) -> bool:
    """Whether a line, not a tall one, has characters: more than one if it is wide."""
    line = _unpadded(read.line)
    is_wide = line.width > _TEXT_ASPECT * line.height
    return len(read.symbols) > int(is_wide) and not line.is_tall


def _is_one_digit(read: Sequence[RecognizedLine], digits: npt.NDArray[np.float32]) -> bool:
    """Whether there is one confident digit and nothing else: a 1 is not a line on its side."""
    characters = sum(len(each.symbols) for each in read)
    return characters <= 1 and len(digits) == 1 and bool(digits[0] > _UPRIGHT_FLUENCY)


def _area(line: TextLine) -> float:
    return line.width * line.height


def _bounding_line(lines: Sequence[TextLine]) -> TextLine:
    """The upright box around all lines, as one line."""
    points = np.concatenate([line.quad for line in lines])
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return TextLine(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32), 0.0)


def _unpadded(line: TextLine) -> TextLine:
    """A line without the paper added around a narrow one."""
    return line if line.found is None else TextLine(line.found, line.score)


def _turned(line: TextLine, turn: int) -> TextLine:
    """The same part of the page, with the reading direction of the page after quarter turns."""
    return replace(line, quad=np.roll(line.quad, -turn, axis=0))


Points = npt.NDArray[np.float64 | np.intp]
Boxed = TypeVar("Boxed", Digit, Character, Number)


def turned_page(page: Page, turn: int) -> Page:
    """A page after counter-clockwise quarter turns."""
    return np.ascontiguousarray(np.rot90(page, turn))


def turned_back(
    lines: tuple[tuple[Boxed, ...], ...], turn: int, width: int, height: int
) -> tuple[tuple[Boxed, ...], ...]:
    """Maps boxes on a turned page to the original page.

    Args:
        lines: Digits, characters or numbers on the turned page; the digits of numbers stay.
        turn: Counter-clockwise quarter turns of the page.
        width: Width of the original page in pixels.
        height: Height of the original page in pixels.
    """
    if not turn:
        return lines
    return tuple(
        tuple(replace(each, box=_turn_box_back(each.box, turn, width, height)) for each in line)
        for line in lines
    )


def _turn_box_back(box: Box, turn: int, width: int, height: int) -> Box:
    corners = np.array([[box.x0, box.y0], [box.x1, box.y1]])
    mapped = points_back(corners, turn, width, height)
    return Box(*mapped.min(axis=0).tolist(), *mapped.max(axis=0).tolist())


def points_back(points: Points, turn: int, width: int, height: int) -> Points:
    """Maps points, float64 or int[..., 2], to the original page; see ``turned_back``."""
    x, y = points[..., 0], points[..., 1]
    mapped = [(x, y), (width - y, x), (width - x, height - y), (y, height - x)][turn]
    return np.stack(mapped, axis=-1)
