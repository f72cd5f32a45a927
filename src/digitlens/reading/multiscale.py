"""Multi-scale detection of digits and text lines on a page.

Two networks share the work. The digit detector finds digits that are large in the frame, even a
lone stroke, on small copies of the page. The line detector finds text, which may need a large copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.imaging.image import Page
from digitlens.imaging.ink import encloses
from digitlens.imaging.quantile import median
from digitlens.models.networks import CELL, DigitDetector, DigitPredictions, LineDetector
from digitlens.reading.nms import Candidates, fuse_boxes
from digitlens.reading.text_lines import TextLine, find_lines

DIGIT_SCALES = (96, 192)  # pixels: longest side of the copies for the digit detector
LINE_SCALES = (640, 2560)  # pixels: longest side of the first and the largest copy for lines
MIN_LINE_SCORE = 0.15  # minimum score for a digit to get a line of its own
MAX_PAGE_SIDE = 1024  # pixels: longer pages are first reduced by a whole factor to about this
_SURE_SCORE = 0.5  # minimum score for a digit to explain the ink in its box
_FALLBACK_SCORE = 0.4  # the same for the highest-scoring digit if none reaches _SURE_SCORE
_INK_MARGIN = 0.1  # digit heights: how far ink may extend beyond its box
_RING_PART = 6  # a 0 with text within 1/6 of its sides from its centre is a ring
_MIN_CONTRAST = 0.2  # fraction of the strongest contrast above which a pixel is ink
_DIGIT_HEIGHT = 48.0  # pixels: digit height at which the line detector works well
_MIN_LINE_SCALE = 192  # pixels: smaller copies locate the corners of lines too coarsely
_DETAIL_SCALE = 320  # pixels: longest side of the copy searched for fine detail
_MARGIN_X = 0.5  # digit heights: detail this close to the left or right belongs to its line
_MARGIN_Y = 0.25  # digit heights: detail this close above or below belongs to its line
_MAX_SCALE = 2.0  # maximum enlargement: larger copies show no more
_MIN_SIDE = 64  # pixels: a page is enlarged to find lines only if a side is shorter than this
_MIN_HEIGHT = 18.0  # pixels: lines lower than this are searched again on a larger copy
_TARGET_HEIGHT = 26.0  # pixels: line height aimed at there; heights are known to a few pixels
_PART_SIDE = 1024  # pixels: side of the parts into which a large copy is split
_OVERLAP = 96  # pixels shared by neighbouring parts; each is used for half of them
_PAPER_MARGIN = 16  # pixels of paper added around a copy, as text at the edge has none

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScaleView:
    """The digit detector's predictions for one copy of a page."""

    predictions: DigitPredictions  # in pixels of the copy
    page: tuple[int, int]  # width and height of the page

    def candidates(self) -> Candidates:
        """Candidates in page pixels, without those centred beyond the edge of the page."""
        found, (width, height) = self.predictions, self.page
        scale = np.array([width / found.size[1], height / found.size[0]] * 2, np.float32)
        boxes = found.boxes * scale
        heights = found.boxes[:, 3] - found.boxes[:, 1]
        # The detector pads its input by repeating the edge; strokes continued there are no digits.
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        on_page = np.flatnonzero(((middle >= 0) & (middle <= (width, height))).all(axis=1))
        return Candidates(found.score, found.probabilities, boxes, heights)[on_page]


@dataclass(frozen=True)
class Detections:
    """All detections on a page."""

    lines: list[TextLine]  # lines of text
    digits: Candidates  # possible digits
    views: list[ScaleView]  # the copies of the page searched for digits


def detect(page: Page, digits: DigitDetector, lines: LineDetector) -> Detections:
    """Finds text lines and digits of any size.

    Skips the line detector on a page that shows a single digit and nothing else.
    """
    reduced = reduced_page(page)
    found, views, explained = find_digits(page, digits, reduced)
    if explained and np.count_nonzero(found.score > MIN_LINE_SCORE) == 1:
        return Detections([], found, views)
    height, width = page.shape[:2]
    first = first_size(reduced, (width, height), found)
    text = find_text(page, lines, first)
    return Detections(text, _without_rings(found, text), views)


def find_digits(
    page: Page, detector: DigitDetector, reduced: Image.Image | None = None
) -> tuple[Candidates, list[ScaleView], bool]:
    """Finds possible digits on copies of a page in several sizes.

    Skips all copies but the first that would at least double the page, and those after a copy that
    shows nothing but digits.

    Returns:
        Candidates without duplicates, the copies they come from, and whether the last copy, not
        enlarged, shows nothing but digits.
    """
    height, width = page.shape[:2]
    longest = max(height, width)
    reduced, views, explained = reduced or reduced_page(page), list[ScaleView](), False
    for size in DIGIT_SCALES:
        if views and (explained or size >= _MAX_SCALE * longest):
            break
        copy = _resized(reduced, size / longest, (width, height))
        found = detector.predict(copy)
        explained = size <= longest and explains_ink(copy, found)
        views.append(ScaleView(found, (width, height)))
    return fuse_boxes(Candidates.joined(view.candidates() for view in views)), views, explained


def explains_ink(picture: Pixels, found: DigitPredictions) -> bool:
    """Whether all ink of a picture, uint8[H, W, 3], lies in the boxes of confident digits."""
    # Subtracting a whole row of paper is faster than broadcasting one pixel of three bytes.
    contrast = _max_difference(picture, np.tile(paper_colour(picture), (1, picture.shape[1], 1)))
    sure = _confident(found.score)
    zeros = sure & (found.probabilities.argmax(axis=1) == 0)
    has_ring = any(_is_ring(contrast, box) for box in found.boxes[zeros])
    return not has_ring and _boxes_cover_ink(contrast, found.boxes[sure], _INK_MARGIN, _INK_MARGIN)


def _confident(scores: Floats) -> npt.NDArray[np.bool_]:
    """bool[N]: which digits, by scores float32[N] in descending order, explain ink."""
    confident = scores >= _SURE_SCORE
    if not confident.any():
        confident[:1] = scores[:1] >= _FALLBACK_SCORE
    return confident


def _is_ring(contrast: Pixels, box: Floats) -> bool:
    """Whether a 0 on uint8[H, W] is a ring that encloses other ink."""
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, [*contrast.shape[::-1]] * 2).astype(int).tolist()
    return encloses(_ink_mask(contrast)[y0:y1, x0:x1])


def _without_rings(digits: Candidates, lines: Sequence[TextLine]) -> Candidates:
    """Drops each 0 with text in its middle: a ring, such as that of a button or clock."""
    if not lines:
        return digits
    middles = np.array([line.quad.mean(axis=0) for line in lines])
    heights = np.array([line.height for line in lines])
    starts, ends = digits.boxes[:, None, :2], digits.boxes[:, None, 2:]
    distances, sides = np.abs(middles - (starts + ends) / 2), ends - starts
    has_text = (distances < sides / _RING_PART).all(axis=2) & (heights < sides[..., 1])
    return digits[(digits.probabilities.argmax(axis=1) != 0) | ~has_text.any(axis=1)]


def _boxes_cover_ink(contrast: Pixels, boxes: Floats, beside: float, above: float) -> bool:
    """Whether uint8[H, W] has contrast, all of it in boxes or within given heights of them."""
    ink = _ink_mask(contrast)
    for x0, y0, x1, y1 in boxes.tolist():
        margin_x, margin_y = 1 + beside * (y1 - y0), 1 + above * (y1 - y0)
        top, left = max(0, int(y0 - margin_y)), max(0, int(x0 - margin_x))
        ink[top : int(y1 + margin_y) + 1, left : int(x1 + margin_x) + 1] = False
    return int(contrast.max()) >= 24 and not ink.any()


def _ink_mask(contrast: Pixels) -> npt.NDArray[np.bool_]:
    return np.asarray(contrast > max(12.0, _MIN_CONTRAST * int(contrast.max())))


def first_size(reduced: Image.Image, size: tuple[int, int], found: Candidates) -> int:
    """Longest side of the first copy to search for lines, in pixels.

    If all fine detail lies in or next to confident digits, their height decides the size: a few
    large digits on paper, even half in shadow, need only a small copy.

    Args:
        reduced: The page with at least the detail of the copy to be made, see ``reduced_page``.
        size: Width and height of the page.
        found: Digits, in pixels of the page.
    """
    longest, usual = max(size), LINE_SCALES[0]
    boxes = found.boxes[_confident(found.score)]
    lowest = float((boxes[:, 3] - boxes[:, 1]).min(initial=longest))
    wanted = max(_MIN_LINE_SCALE, round(_DIGIT_HEIGHT * longest / max(lowest, 1.0)))
    if not len(boxes) or wanted >= min(usual, _MAX_SCALE * longest):
        return usual
    scale = min(1.0, _DETAIL_SCALE / longest)
    gradients = _gradients(_resized(reduced, scale, size))
    return wanted if _boxes_cover_ink(gradients, boxes * scale, _MARGIN_X, _MARGIN_Y) else usual


def _gradients(picture: Pixels) -> Pixels:
    """uint8[H, W]: largest difference of each pixel of uint8[H, W, 3] from those left and above.

    The maximum over all channels.
    """
    gradients = np.zeros(picture.shape[:2], np.uint8)
    gradients[:, 1:] = _max_difference(picture[:, 1:], picture[:, :-1])
    gradients[1:] = np.maximum(gradients[1:], _max_difference(picture[1:], picture[:-1]))
    return gradients


def _max_difference(one: Pixels, other: Pixels) -> Pixels:
    """uint8[H, W]: the largest difference in any channel of pixels uint8[H, W, 3]."""
    red, green, blue = np.moveaxis(np.maximum(one, other) - np.minimum(one, other), 2, 0)
    return np.maximum(np.maximum(red, green), blue)  # max(axis=2) takes three times as long


def find_text(page: Page, detector: LineDetector, first: int = LINE_SCALES[0]) -> list[TextLine]:
    """Finds text lines on ever larger copies, as long as more than a quarter of them are small.

    The cost of a copy grows with its area, so its size follows from the height of the lines on the
    copy before, up to twice the page; if the usual first copy shows no lines, one larger copy is
    tried. ``first`` is the longest side of the first copy; if it is below the usual size and shows
    no lines, the search starts again at the usual size.
    """
    longest, shortest = max(page.shape[:2]), min(page.shape[:2])
    size, (usual, most) = first, LINE_SCALES
    largest = min(max(1.0, min(_MAX_SCALE, _MIN_SIDE / shortest)), most / longest)
    while True:
        scale = min(size / longest, largest)
        found = _lines_at(page, scale, detector)
        if size < usual and not found:
            size = usual
            continue
        heights = sorted(min(line.height, line.width) * scale for line in found)
        low = heights[len(heights) // 4] if heights else _TARGET_HEIGHT / 2
        if scale == largest or low >= _MIN_HEIGHT or not (found or size == usual):
            return found
        size = round(size * _TARGET_HEIGHT / low)


def _lines_at(page: Page, scale: float, detector: LineDetector) -> list[TextLine]:
    copy = framed(scaled(page, scale))
    return [
        TextLine(((line.quad - _PAPER_MARGIN) / scale).astype(np.float32), line.score)
        for line in find_lines(_text_map(copy, detector), CELL)
    ]


def _text_map(copy: Pixels, detector: LineDetector) -> Floats:
    """The text map of a copy, assembled from overlapping parts so that no line is cut."""
    height, width = copy.shape[:2]
    text = np.empty((-(-height // CELL), -(-width // CELL)), np.float32)
    parts = [(down, across) for down in _split_side(height) for across in _split_side(width)]
    maps = detector.text_maps([copy[slice(*y), slice(*x)] for (y, _), (x, _) in parts])
    for ((y, top), (x, left)), part in zip(parts, maps, strict=True):
        cells, row, column = part[top:, left:], y[0] // CELL + top, x[0] // CELL + left
        text[row : row + cells.shape[0], column : column + cells.shape[1]] = cells
    return text


def _split_side(length: int) -> list[tuple[tuple[int, int], int]]:
    """Splits one side into overlapping parts, or returns all of it if it is short enough.

    Returns:
        Start and end of each part, and how many of its first cells the part before it provides.
    """
    if length <= _PART_SIDE * 1.25:
        return [((0, length), 0)]
    count = -(-(length - _OVERLAP) // (_PART_SIDE - _OVERLAP))
    step = (length - _OVERLAP) / count
    starts = [CELL * round(i * step / CELL) for i in range(count)]
    ends = [start + _OVERLAP for start in starts[1:]] + [length]
    known = [0] + (count - 1) * [_OVERLAP // 2 // CELL]
    return list(zip(zip(starts, ends, strict=True), known, strict=True))


def framed(picture: Pixels, margin: int = _PAPER_MARGIN) -> Pixels:
    """A picture, uint8[H, W, 3], with a margin in the median colour of its edge."""
    height, width = picture.shape[:2]
    out = np.empty((height + 2 * margin, width + 2 * margin, 3), np.uint8)
    colour = paper_colour(picture)
    # Only the margins: filling with a colour of three bytes takes five times as long as a copy.
    out[:margin], out[margin + height :] = colour, colour
    out[:, :margin], out[:, margin + width :] = colour, colour
    out[margin : margin + height, margin : margin + width] = picture
    return out


def paper_colour(picture: Pixels) -> Pixels:
    """uint8[3]: the median colour of the edge of a picture uint8[H, W, 3]."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return median(edge.T.astype(np.float32)).astype(np.uint8)


def scaled(page: Page, scale: float) -> Pixels:
    """A colour copy of a page, averaged if it shrinks; at scale 1 possibly the page itself."""
    if scale != 1:  # a gray page is resized as gray, in a seventh of the memory
        page = _resized(Image.fromarray(page), scale, (page.shape[1], page.shape[0]))
    return np.repeat(page[:, :, None], 3, axis=2) if page.ndim == 2 else page


def reduced_page(page: Page) -> Image.Image:
    """A smaller copy of a page that keeps all the detail of the copies for digits."""
    factor = max(page.shape[:2]) // MAX_PAGE_SIDE
    if factor > 1:
        # In bands of about 64 rows, which reuse their memory: saves 20 ms for 12 megapixels.
        rows = factor * max(1, 64 // factor)
        bands = [page[start : start + rows] for start in range(0, len(page), rows)]
        reduced = [np.asarray(Image.fromarray(band).reduce(factor)) for band in bands]
        page = np.concatenate(reduced)
    return Image.fromarray(page).convert("RGB")


def _resized(picture: Image.Image, scale: float, size: tuple[int, int]) -> Pixels:
    """Resizes a picture to its page's width and height times a scale."""
    width, height = (max(1, round(side * scale)) for side in size)
    grows = width > picture.width
    method = Image.Resampling.BICUBIC if grows else Image.Resampling.BOX
    return np.asarray(picture.resize((width, height), method))
