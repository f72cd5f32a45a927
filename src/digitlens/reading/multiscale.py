"""At which scales a page is looked at, and what is found there: digits and lines of text.

Two networks share the work. The digit detector finds what is large in the frame, down to a lone
stroke, on small copies of the page. The line detector finds text, which may need a large copy.
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

DIGIT_SCALES = (96, 192)  # longest side of the page in copies for digits, in pixels
LINE_SCALES = (640, 2560)  # the same, for lines: of the first copy, and at most
LIKELY = 0.15  # score of a digit from which a line of its own is read for it
LARGEST = 1024  # pixels: longer pages are first reduced by a whole factor to about this
_SURE = 0.5  # score from which a digit explains the ink in its box
_ONLY = 0.4  # the same, of the likeliest one where none is sure
_AROUND = 0.1  # heights of a digit: its ink may reach so far over its box
_INNER = 6  # parts of a side: so near to the middle of a 0 there is paper
_FAINT = 0.2  # share of the strongest contrast from which a pixel is ink
_HIGH = 48.0  # pixels: on copies with digits as high as this the line detector sees them well
_COARSEST = 192  # pixels: on smaller copies the corners of lines are too far off
_DETAIL = 320  # pixels: longest side of the copy that is searched for anything fine
_BESIDE = 0.5  # heights of a digit: what is as near to its side, its line has ...
_ABOVE = 0.25  # ... and what is as near above and below
_ENLARGED = 2.0  # times its own size: a page shows no more in larger copies
_LEAST = 64  # pixels: shorter side from which a copy need not be enlarged
_SMALL = 18.0  # pixels: lower lines are looked for again on a larger copy ...
_WANTED = 26.0  # ... in which they are so high; their height is known to a few pixels
_TILE = 1024  # pixels: sides of the parts in which a large copy is looked at
_OVERLAP = 96  # pixels that two parts share, half of which each sees better
_MARGIN = 16  # pixels of paper around a copy: text at the edge of a picture has none

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScaleView:
    """What the digit detector found on one copy of a page."""

    predictions: DigitPredictions  # in pixels of the copy
    page: tuple[int, int]  # width and height of the page

    def candidates(self) -> Candidates:
        """What was found, in page pixels; what lies beyond the edge of the page is left out."""
        found, (width, height) = self.predictions, self.page
        scale = np.array([width / found.size[1], height / found.size[0]] * 2, np.float32)
        boxes = found.boxes * scale
        seen = found.boxes[:, 3] - found.boxes[:, 1]
        # The model sees strokes at the edge go on where it makes a picture larger: no digits.
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        there = np.flatnonzero(((middle >= 0) & (middle <= (width, height))).all(axis=1))
        return Candidates(found.score, found.probabilities, boxes, seen)[there]


@dataclass(frozen=True)
class Detections:
    """What was found on a page."""

    lines: list[TextLine]  # lines of text
    digits: Candidates  # places that may hold a digit
    views: list[ScaleView]  # the copies of the page on which the digits were found


def detect(page: Page, digits: DigitDetector, lines: LineDetector) -> Detections:
    """Finds text lines and digits, whatever their size.

    A page that shows one digit and nothing else has no lines that could say more.
    """
    reduced = reduced_page(page)
    found, views, explained = find_digits(page, digits, reduced)
    if explained and np.count_nonzero(found.score > LIKELY) == 1:
        return Detections([], found, views)
    height, width = page.shape[:2]
    first = first_size(reduced, (width, height), found)
    text = find_text(page, lines, first)
    return Detections(text, _without_rings(found, text), views)


def find_digits(
    page: Page, detector: DigitDetector, reduced: Image.Image | None = None
) -> tuple[Candidates, list[ScaleView], bool]:
    """Finds what may be digits on a page, on copies of several sizes.

    Copies that are mostly enlargement are left out, except the first, and so are those after one
    that shows nothing but digits.

    Returns:
        Candidates without doubles, the copies they come from, and whether the last one, reduced,
        shows nothing but digits.
    """
    height, width = page.shape[:2]
    longest = max(height, width)
    reduced, views, explained = reduced or reduced_page(page), list[ScaleView](), False
    for size in DIGIT_SCALES:
        if views and (explained or size >= _ENLARGED * longest):
            break
        copy = _resized(reduced, size / longest, (width, height))
        found = detector.predict(copy)
        explained = size <= longest and explains_ink(copy, found)
        views.append(ScaleView(found, (width, height)))
    return fuse_boxes(Candidates.joined(view.candidates() for view in views)), views, explained


def explains_ink(picture: Pixels, found: DigitPredictions) -> bool:
    """Whether all ink of a picture, uint8[H, W, 3], lies in boxes of sure digits, or of one."""
    # A row of paper: to take one pixel from all, three bytes at a time, takes longer.
    away = _apart(picture, np.tile(paper_colour(picture), (1, picture.shape[1], 1)))
    sure = found.score >= _SURE
    if not sure.any():
        sure[:1] = found.score[:1] >= _ONLY
    zeros = sure & (found.probabilities.argmax(axis=1) == 0)
    is_around = any(_holds_ink(away, box) for box in found.boxes[zeros])
    return not is_around and _lies_in(away, found.boxes[sure], _AROUND, _AROUND)


def _holds_ink(contrast: Pixels, box: Floats) -> bool:
    """Whether a 0 on uint8[H, W] is a ring around something: it encloses other ink."""
    x0, y0, x1, y1 = np.clip(np.rint(box), 0, [*contrast.shape[::-1]] * 2).astype(int).tolist()
    return encloses(_ink(contrast)[y0:y1, x0:x1])


def _without_rings(digits: Candidates, lines: Sequence[TextLine]) -> Candidates:
    """Digits but for each 0 that is a ring, as of a button or clock: text is in its middle."""
    if not lines:
        return digits
    middles = np.array([line.quad.mean(axis=0) for line in lines])
    heights = np.array([line.height for line in lines])
    starts, ends = digits.boxes[:, None, :2], digits.boxes[:, None, 2:]
    away, sides = np.abs(middles - (starts + ends) / 2), ends - starts
    held = (away < sides / _INNER).all(axis=2) & (heights < sides[..., 1])
    return digits[(digits.probabilities.argmax(axis=1) != 0) | ~held.any(axis=1)]


def _lies_in(contrast: Pixels, boxes: Floats, beside: float, above: float) -> bool:
    """Whether there is contrast in uint8[H, W], and all of it in boxes or so many heights away."""
    ink = _ink(contrast)
    for x0, y0, x1, y1 in boxes.tolist():
        aside, over = 1 + beside * (y1 - y0), 1 + above * (y1 - y0)
        top, left = max(0, int(y0 - over)), max(0, int(x0 - aside))
        ink[top : int(y1 + over) + 1, left : int(x1 + aside) + 1] = False
    return int(contrast.max()) >= 24 and not ink.any()


def _ink(contrast: Pixels) -> npt.NDArray[np.bool_]:
    return np.asarray(contrast > max(12.0, _FAINT * int(contrast.max())))


def first_size(reduced: Image.Image, size: tuple[int, int], found: Candidates) -> int:
    """Longest side of the first copy on which to look for lines, in pixels.

    Where nothing is fine but what lies in sure digits or next to them, they say how large it has
    to be: a few large digits on paper, be it in half a shadow, need no more than a small one.

    Args:
        reduced: A copy of the page that shows all that the copy may.
        size: Width and height of the page.
        found: Digits, in pixels of the page.
    """
    longest, usual = max(size), LINE_SCALES[0]
    boxes = found.boxes[found.score >= _SURE]
    lowest = float((boxes[:, 3] - boxes[:, 1]).min(initial=longest))
    wanted = max(_COARSEST, round(_HIGH * longest / max(lowest, 1.0)))
    if not len(boxes) or wanted >= min(usual, _ENLARGED * longest):
        return usual
    scale = min(1.0, _DETAIL / longest)
    steps = _steps(_resized(reduced, scale, size))
    return wanted if _lies_in(steps, boxes * scale, _BESIDE, _ABOVE) else usual


def _steps(picture: Pixels) -> Pixels:
    """How far each pixel of uint8[H, W, 3] is from those to the left of it and above: uint8[H, W].

    The largest difference of all channels.
    """
    steps = np.zeros(picture.shape[:2], np.uint8)
    steps[:, 1:] = _apart(picture[:, 1:], picture[:, :-1])
    steps[1:] = np.maximum(steps[1:], _apart(picture[1:], picture[:-1]))
    return steps


def _apart(one: Pixels, other: Pixels) -> Pixels:
    """uint8[H, W]: the largest difference in any channel of pixels uint8[H, W, 3]."""
    red, green, blue = np.moveaxis(np.maximum(one, other) - np.minimum(one, other), 2, 0)
    return np.maximum(np.maximum(red, green), blue)  # max(axis=2) takes three times as long


def find_text(page: Page, detector: LineDetector, first: int = LINE_SCALES[0]) -> list[TextLine]:
    """Finds text lines on ever larger copies, as long as more than a quarter of them are small.

    The cost of a copy grows with its area. So each is as large as the lines on the one before ask
    for, at most twice the page; where none were found, that is tried once. ``first`` is the longest
    side of the first copy; where that is a smaller one than usual and shows none, it counts for
    nothing.
    """
    longest, shortest = max(page.shape[:2]), min(page.shape[:2])
    size, (usual, most) = first, LINE_SCALES
    largest = min(max(1.0, min(_ENLARGED, _LEAST / shortest)), most / longest)
    while True:
        scale = min(size / longest, largest)
        found = _lines_at(page, scale, detector)
        if size < usual and not found:
            size = usual
            continue
        heights = sorted(min(line.height, line.width) * scale for line in found)
        low = heights[len(heights) // 4] if heights else _WANTED / 2
        if scale == largest or low >= _SMALL or not (found or size == usual):
            return found
        size = round(size * _WANTED / low)


def _lines_at(page: Page, scale: float, detector: LineDetector) -> list[TextLine]:
    copy = framed(scaled(page, scale))
    return [
        TextLine(((line.quad - _MARGIN) / scale).astype(np.float32), line.score)
        for line in find_lines(_text_map(copy, detector), CELL)
    ]


def _text_map(copy: Pixels, detector: LineDetector) -> Floats:
    """The text map of a copy, put together of those of its parts, so that no line is cut."""
    height, width = copy.shape[:2]
    text = np.empty((-(-height // CELL), -(-width // CELL)), np.float32)
    parts = [(down, across) for down in _parts(height) for across in _parts(width)]
    maps = detector.text_maps([copy[slice(*y), slice(*x)] for (y, _), (x, _) in parts])
    for ((y, top), (x, left)), part in zip(parts, maps, strict=True):
        seen, row, column = part[top:, left:], y[0] // CELL + top, x[0] // CELL + left
        text[row : row + seen.shape[0], column : column + seen.shape[1]] = seen
    return text


def _parts(length: int) -> list[tuple[tuple[int, int], int]]:
    """Overlapping parts of one side, all of it if it is short enough.

    Returns:
        Start and end of each, and how many of its first cells the part before it sees better.
    """
    if length <= _TILE * 1.25:
        return [((0, length), 0)]
    count = -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    step = (length - _OVERLAP) / count
    starts = [CELL * round(i * step / CELL) for i in range(count)]
    ends = [start + _OVERLAP for start in starts[1:]] + [length]
    known = [0] + (count - 1) * [_OVERLAP // 2 // CELL]
    return list(zip(zip(starts, ends, strict=True), known, strict=True))


def framed(picture: Pixels, margin: int = _MARGIN) -> Pixels:
    """A picture, uint8[H, W, 3], with a margin of the colour that most of its edge has."""
    height, width = picture.shape[:2]
    out = np.empty((height + 2 * margin, width + 2 * margin, 3), np.uint8)
    colour = paper_colour(picture)
    # The edges alone: to repeat three bytes takes five times as long as to copy a picture.
    out[:margin], out[margin + height :] = colour, colour
    out[:, :margin], out[:, margin + width :] = colour, colour
    out[margin : margin + height, margin : margin + width] = picture
    return out


def paper_colour(picture: Pixels) -> Pixels:
    """uint8[3]: the colour that most of the edge of a picture uint8[H, W, 3] has."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return median(edge.T.astype(np.float32)).astype(np.uint8)


def scaled(page: Page, scale: float) -> Pixels:
    """A copy of a page in colour, averaged where it shrinks; at a scale of 1 perhaps itself."""
    if scale != 1:  # gray as gray, which takes a seventh of the memory
        page = _resized(Image.fromarray(page), scale, (page.shape[1], page.shape[0]))
    return np.repeat(page[:, :, None], 3, axis=2) if page.ndim == 2 else page


def reduced_page(page: Page) -> Image.Image:
    """A copy that still has all that the copies for digits show."""
    factor = max(page.shape[:2]) // LARGEST
    if factor > 1:
        # In bands of some 64 rows, whose memory is used again: 20 ms less for 12 megapixels.
        rows = factor * max(1, 64 // factor)
        bands = [page[start : start + rows] for start in range(0, len(page), rows)]
        reduced = [np.asarray(Image.fromarray(band).reduce(factor)) for band in bands]
        page = np.concatenate(reduced)
    return Image.fromarray(page).convert("RGB")


def _resized(picture: Image.Image, scale: float, size: tuple[int, int]) -> Pixels:
    """A picture at a scale of the size that its page has."""
    width, height = (max(1, round(side * scale)) for side in size)
    grows = width > picture.width
    method = Image.Resampling.BICUBIC if grows else Image.Resampling.BOX
    return np.asarray(picture.resize((width, height), method))
