"""At which scales a page is looked at, and what is found there: text lines and lone digits.

Two networks share the work. The digit detector sees what is large in the frame, down to a lone
stroke, on small copies of the page. The line detector sees text, which may need a large copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.images import Page
from digitlens.imaging.quantile import median
from digitlens.models.detector import LineDetector
from digitlens.models.page_model import PageModel
from digitlens.reading.candidates import Candidates
from digitlens.reading.looks import Glance, look_around
from digitlens.reading.text_lines import TextLine, find_lines

DIGIT_SCALES = (96, 192)  # longest side of the page in looks for digits, in pixels
LINE_SCALES = (640, 1280, 2560)  # the same, for lines
_ENLARGED = 2.0  # times its own size: a line detector sees no more in larger copies
_LEAST = 64  # pixels: shorter side from which a copy need not be enlarged
_SMALL = 14.0  # pixels: lower lines are looked at again on a larger copy
_TILE = 1024  # pixels: sides of the parts in which a large copy is looked at
_OVERLAP = 96  # pixels: a line at the border of two parts is whole in one of them
_MARGIN = 16  # pixels of paper around a copy: text at the edge of a picture has none

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detections:
    """What was found on a page.

    Attributes:
        lines: Lines of text.
        digits: Places that may hold a digit.
        glances: The looks that found the digits.
    """

    lines: list[TextLine]
    digits: Candidates
    glances: list[Glance]


def detect(page: Page, digits: PageModel, lines: LineDetector) -> Detections:
    """Finds text lines and digits, whatever their size.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        digits: Finds digits.
        lines: Finds lines.
    """
    found, glances = look_around(page, digits, DIGIT_SCALES)
    return Detections(find_text(page, lines), found, glances)


def find_text(page: Page, detector: LineDetector) -> list[TextLine]:
    """Finds text lines on ever larger copies, as long as those found are small.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        detector: Finds lines on one copy.
    """
    longest, shortest = max(page.shape[:2]), min(page.shape[:2])
    largest = max(1.0, min(_ENLARGED, _LEAST / shortest))
    found: list[TextLine] = []
    for size in LINE_SCALES:
        scale = min(size / longest, largest)
        found = _seen_at(page, scale, detector)
        low = [line for line in found if min(line.height, line.width) * scale < _SMALL]
        if scale == largest or (found and len(low) <= len(found) / 4):
            break
        if not found and size > LINE_SCALES[0]:
            break
    return found


def _seen_at(page: Page, scale: float, detector: LineDetector) -> list[TextLine]:
    copy, margin = framed(scaled(page, scale)), _MARGIN
    height, width = copy.shape[:2]
    lines: list[TextLine] = []
    for y0, y1 in _parts(height):
        for x0, x1 in _parts(width):
            part = copy[y0:y1, x0:x1]
            text = detector.text_map(part)
            cell = part.shape[0] / text.shape[0]
            for line in find_lines(text, cell):
                quad = (line.quad + np.array([x0 - margin, y0 - margin], np.float32)) / scale
                lines.append(TextLine(quad.astype(np.float32), line.score))
    return lines


def _parts(length: int) -> list[tuple[int, int]]:
    """Overlapping parts of one side, all of it if it is short enough."""
    if length <= _TILE * 1.25:
        return [(0, length)]
    count = -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    step = (length - _OVERLAP) / count
    return [(round(i * step), round((i + 1) * step) + _OVERLAP) for i in range(count)]


def framed(picture: Pixels, margin: int = _MARGIN) -> Pixels:
    """A picture with a margin of the colour that most of its edge has.

    Args:
        picture: uint8[H, W, 3].
        margin: In pixels.
    """
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    height, width = picture.shape[:2]
    out = np.empty((height + 2 * margin, width + 2 * margin, 3), np.uint8)
    out[:] = median(edge.T.astype(np.float32)).astype(np.uint8)
    out[margin : margin + height, margin : margin + width] = picture
    return out


def scaled(page: Page, scale: float) -> Pixels:
    """A copy of a page in colour, averaged where it shrinks.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        scale: Of both sides; 1 may give the page itself.
    """
    if page.ndim == 2:
        page = np.repeat(page[:, :, None], 3, axis=2)
    if scale == 1:
        return page
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    method = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(page).resize(size, method))
