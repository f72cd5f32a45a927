"""Draws a reading on its picture: boxes, values and confidences, with non-overlapping labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens import files
from digitlens.imaging.image import Page
from digitlens.results import Digit, Reading, Status

_LINES = 6  # of text in the footer
_REJECTED = 40  # rejected digits drawn, by confidence: more would hide the picture
_LEGEND: dict[Status, str] = {
    "digit": "sure",
    "unsure": "uncertain (dashed, ?)",
    "rejected": "rejected (crossed out)",
}


def draw_reading(page: Page, reading: Reading) -> Page:
    """Draws a reading on its page.

    Sure digits have a solid box, unsure ones a thick dashed box and a filled label with ``?``,
    rejected ones a thin, crossed-out box without a label.

    Returns uint8[H', W', 3]: the page, enlarged if it or its digits are small, with a margin for
    labels and a text footer. Raises ValueError if the reading is of a page of another size.
    """
    if (reading.width, reading.height) != (page.shape[1], page.shape[0]):
        raise ValueError(
            f"expected a page of {reading.width} x {reading.height} pixels, as in the reading, "
            f"found {page.shape[1]} x {page.shape[0]}"
        )
    digits = [digit for line in reading.lines for digit in line]
    rejected = [digit for digit in digits if digit.status == "rejected"]
    rejected.sort(key=lambda digit: -digit.confidence)
    drawn = rejected[:_REJECTED]  # from back to front
    for status in ("digit", "unsure"):
        drawn += [digit for digit in digits if digit.status == status]
    return draw_marks(page, [_mark(digit) for digit in drawn], _footer(reading, digits))


def write_reading(path: Path, page: Page, reading: Reading) -> None:
    """Writes the drawing as a PNG file, atomically."""
    write_picture(path, draw_reading(page, reading))


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


Kind: TypeAlias = Literal["digit", "unsure", "rejected", "candidate"]
Corners: TypeAlias = tuple[float, float, float, float]
_Colour: TypeAlias = tuple[int, int, int]
_Draw: TypeAlias = ImageDraw.ImageDraw

_SMALLEST, _LARGEST = 800, 2000  # longest side of the drawing: smaller pages are enlarged, ...
_READABLE, _MAX_SIDE = 40, 3000  # ... as are pages with digits lower than this, up to this side
_VALUE, _SMALL = 0.4, 0.62  # font size of a value, in digit heights; of the rest, in value sizes
_LOWEST_VALUE, _LOWEST_SMALL = 13, 10  # pixels: smaller type is illegible
_CROWDED = 0.2  # fraction of labels without room above which all are shortened
_LINE = 1 / 36  # line width in digit heights

_TEXT = (20, 22, 26)
_PAPER = (246, 246, 243)
WHITE = (255, 255, 255)
# Line style and label distinguish the kinds as well: see the functions that draw them.
COLOURS: dict[Kind, _Colour] = {
    "digit": (0, 122, 102),
    "unsure": (186, 84, 0),
    "rejected": (176, 42, 64),
    "candidate": (0, 92, 184),
}


@dataclass(frozen=True)
class Mark:
    """A box to draw."""

    box: Corners  # x0, y0, x1, y1 in page pixels
    # ``digit``: a solid line; ``unsure``: thick and dashed, with a filled label; ``rejected``: thin
    # and crossed out; ``candidate``: thin
    kind: Kind
    text: str = ""  # text of the label; empty for no label
    small: str = ""  # smaller text next to it; dropped for a ``digit`` if there is little room


@dataclass(frozen=True)
class _PlacedMark:
    """A mark in pixels of the drawing, with line and font sizes that suit the height of its box."""

    mark: Mark
    frame: Corners
    line: int
    rim: int
    value: int
    small: int

    @property
    def label(self) -> tuple[float, float]:
        """Width and height of the label, in pixels."""
        width = font(self.value).getlength(self.mark.text) + 0.7 * self.value
        if self.mark.small:
            width += font(self.small).getlength(self.mark.small) + 0.3 * self.small
        return width, 1.25 * self.value

    def shortened(self) -> _PlacedMark:
        """The mark with a smaller label; for sure digits without the second text."""
        if self.mark.kind != "digit":
            return replace(self, value=max(_LOWEST_VALUE, round(0.8 * self.value)))
        value = max(_LOWEST_SMALL + 1, round(0.7 * self.value))
        return replace(self, mark=replace(self.mark, small=""), value=value)


def draw_marks(page: Page, marks: Sequence[Mark], footer: Sequence[str]) -> Page:
    """Draws boxes and their labels, later ones on top, and a footer.

    Returns uint8[H', W', 3]: the page, enlarged if it or its digits are small, with margins.
    """
    scale = _choose_scale(page, marks)
    height, width = (max(1, round(side * scale)) for side in page.shape[:2])
    largest = int(np.clip(round(0.03 * max(height, width)), 16, 60))
    margin = 2 * largest
    text_size = min(largest, 36)
    canvas = _make_canvas(page, (width, height), margin, round(1.4 * text_size * len(footer)))
    draw = ImageDraw.Draw(canvas)
    placed = [_place_mark(mark, scale, margin, largest) for mark in marks]
    for one in placed:
        _draw_box(draw, one)
    _draw_labels(draw, placed, (canvas.width, height + 2 * margin))
    for number, line in enumerate(footer):
        top = height + 1.6 * margin + 1.4 * text_size * number
        text = _truncate(line, text_size, canvas.width - 2 * margin)
        draw.text((margin, top), text, _TEXT, font(text_size))
    return np.asarray(canvas)


def write_picture(path: Path, picture: Page) -> None:
    """Writes uint8[H, W] or uint8[H, W, 3] as a PNG file, atomically."""
    with files.atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font shipped with Pillow, at a size in pixels."""
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: install it from PyPI")
    return loaded


def wrap(text: str, size: int, width: float) -> list[str]:
    """Wraps text to a width in pixels at a font size; a number stays with its percent sign."""
    lines = [""]
    for word in text.replace(" %", "\0%").split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(size).getlength(longer.replace("\0", " ")) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line.replace("\0", " ") for line in lines]


def _choose_scale(page: Page, marks: Sequence[Mark]) -> float:
    longest = max(page.shape[:2])
    side = min(max(longest, _SMALLEST), _LARGEST)
    heights = [mark.box[3] - mark.box[1] for mark in marks if mark.kind in ("digit", "unsure")]
    if heights:
        side = max(side, min(longest * _READABLE / float(np.median(heights)), _MAX_SIDE))
    return side / longest


def _make_canvas(page: Page, size: tuple[int, int], margin: int, footer: int) -> Image.Image:
    # Enlarged pixels stay visible: smoothing would suggest detail that the reader did not have.
    is_enlarged = size[0] >= 3 * page.shape[1]
    method = Image.Resampling.NEAREST if is_enlarged else Image.Resampling.LANCZOS
    picture = Image.fromarray(page).convert("RGB").resize(size, method)
    canvas = Image.new("RGB", (size[0] + 2 * margin, size[1] + 2 * margin + footer), _PAPER)
    canvas.paste(picture, (margin, margin))
    return canvas


def _place_mark(mark: Mark, scale: float, margin: int, largest: int) -> _PlacedMark:
    x0, y0, x1, y1 = (side * scale + margin for side in mark.box)
    height = y1 - y0
    line = int(np.clip(round(_LINE * height), 1, largest // 6))
    line = {"digit": line, "unsure": line + 1 + line // 2}.get(mark.kind, max(1, line // 2))
    rim = 1 if line < 4 or mark.kind == "rejected" else 2
    value = int(np.clip(round(_VALUE * height), _LOWEST_VALUE, largest))
    outset = line / 2 + rim  # keeps line and rim off the ink
    frame = (x0 - outset, y0 - outset, x1 + outset, y1 + outset)
    return _PlacedMark(mark, frame, line, rim, value, max(_LOWEST_SMALL, round(_SMALL * value)))


def _draw_box(draw: _Draw, placed: _PlacedMark) -> None:
    (x0, y0, x1, y1), line = placed.frame, placed.line
    kind, colour = placed.mark.kind, COLOURS[placed.mark.kind]
    strokes = [(x0, y0, x1, y1), (x0, y1, x1, y0)] if kind == "rejected" else []
    for stroke in strokes:
        draw.line(stroke, WHITE, line + 2 * placed.rim)
    # A white rim sets the line off from any background.
    _draw_frame(draw, placed.frame, WHITE, line + 2 * placed.rim)
    for stroke in strokes:
        draw.line(stroke, colour, line)
    if kind == "unsure":
        for side in ((x0, y0, x1, y0), (x1, y0, x1, y1), (x1, y1, x0, y1), (x0, y1, x0, y0)):
            _draw_dashes(draw, side, colour, line)
    else:
        _draw_frame(draw, placed.frame, colour, line)


def _draw_frame(draw: _Draw, corners: Corners, colour: _Colour, width: int) -> None:
    """Draws a frame whose line is centred on a rectangle."""
    x0, y0, x1, y1 = (round(side) for side in corners)
    half = width // 2
    outer = (x0 - half, y0 - half, x1 - half + width - 1, y1 - half + width - 1)
    draw.rounded_rectangle(outer, 1.5 * width, outline=colour, width=width)


def _draw_dashes(draw: _Draw, ends: Corners, colour: _Colour, width: int) -> None:
    start, end = np.array(ends[:2]), np.array(ends[2:])
    length = float(np.abs(end - start).max())
    pieces = max(1, round(length / (5 * width))) * 2 + 1  # odd: a dash at either end
    points = np.linspace(start, end, pieces + 1)
    for k in range(0, pieces, 2):
        draw.line([*points[k].tolist(), *points[k + 1].tolist()], colour, width)


def _draw_labels(draw: _Draw, placed: Sequence[_PlacedMark], area: tuple[int, int]) -> None:
    labelled = [one for one in placed if one.mark.text]
    labelled.sort(key=lambda one: one.mark.kind != "unsure")  # unsure ones are placed first
    boxes = np.array([one.frame for one in labelled], np.float64).reshape(-1, 4)
    gap = np.array([one.line + 1 for one in labelled], np.float64)

    def place_all() -> tuple[Floats, npt.NDArray[np.bool_]]:
        sizes = np.array([one.label for one in labelled], np.float64).reshape(-1, 2)
        return place_labels(boxes, sizes, gap, area)

    positions, free = place_all()
    if int((~free).sum()) > _CROWDED * len(free):
        labelled = [one.shortened() for one in labelled]
        positions, _ = place_all()
    corners: list[Corners] = [(x0, y0, x1, y1) for x0, y0, x1, y1 in positions.tolist()]
    for draw_part in (_draw_leader, _draw_label):  # no line crosses a label
        for one, frame in zip(labelled, corners, strict=True):
            draw_part(draw, one, frame)


def _draw_leader(draw: _Draw, placed: _PlacedMark, label: Corners) -> None:
    """Draws a line from a box to its label if they are apart."""
    x0, y0, x1, y1 = placed.frame
    x = min(max((label[0] + label[2]) / 2, x0), x1)
    label_y, box_y = (label[3], y0) if label[3] < y0 else (label[1], y1)
    is_beside = label[1] < y1 and label[3] > y0
    if is_beside or abs(label_y - box_y) <= 3 * placed.line + 2:
        return
    ends = ((label[0] + label[2]) / 2, label_y, x, box_y)
    draw.line(ends, WHITE, 4)
    draw.line(ends, COLOURS[placed.mark.kind], 2)


def _draw_label(draw: _Draw, placed: _PlacedMark, frame: Corners) -> None:
    left, top, right, bottom = frame
    colour, is_filled = COLOURS[placed.mark.kind], placed.mark.kind == "unsure"
    fill, text = (colour, WHITE) if is_filled else (WHITE, colour)
    draw.rounded_rectangle(frame, (bottom - top) / 4, fill=fill, outline=colour)
    pad, middle = 0.35 * placed.value, (top + bottom) / 2
    draw.text((left + pad, middle), placed.mark.text, text, font(placed.value), anchor="lm")
    draw.text((right - pad, middle), placed.mark.small, text, font(placed.small), anchor="rm")


def _truncate(text: str, size: int, width: float) -> str:
    """A line truncated to a width, with an ellipsis."""
    shortened, kept = text, text
    while shortened and font(size).getlength(shortened) > width:
        kept = kept[:-1]
        shortened = kept + "…"
    return shortened


_RANK_COST = 0.03  # cost per rank of a position
_ON_BOX = 2.0  # cost of a label that lies entirely on a box
_ON_LABEL = 5.0
_NEAR_COUNT = 8  # positions next to a box

Floats = npt.NDArray[np.float64]


def place_labels(
    boxes: Floats, sizes: Floats, gap: Floats, area: tuple[float, float]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Places labels greedily so that they cover neither boxes nor other labels.

    Preferred is a position above the box, then below, at its sides, and further above or below; if
    there is no room, the position that covers least. Boxes are float64[N, 4], x0, y0, x1, y1;
    label sizes float64[N, 2], gaps to the boxes float64[N]. Labels stay inside the area.

    Returns float64[N, 4], x0, y0, x1, y1 of each label, and bool[N], whether it is next to its box
    and covers nothing.
    """
    placed = np.zeros((len(boxes), 4))
    is_free = np.zeros(len(boxes), np.bool_)
    for index, (box, size, space) in enumerate(zip(boxes, sizes, gap, strict=True)):
        places = _label_positions(box, size, space, area)
        cost = _ON_BOX * _overlap(places, boxes) + _ON_LABEL * _overlap(places, placed[:index])
        best = int((cost + _RANK_COST * np.arange(len(places))).argmin())
        placed[index], is_free[index] = places[best], best < _NEAR_COUNT and cost[best] == 0
    return placed, is_free


def _label_positions(box: Floats, size: Floats, gap: float, area: tuple[float, float]) -> Floats:
    """Candidate positions, float64[15, 4]; the first ``_NEAR_COUNT`` are next to the box.

    Then positions beyond another label, and last one on the edge of the box; all moved inside.
    """
    (x0, y0, x1, y1), (width, height) = box, size
    middle_x, middle_y = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
    rows, columns = (y0 - height - gap, y1 + gap), (middle_x, x0, x1 - width)
    far_rows = y0 - 2 * (height + gap), y1 + height + 2 * gap
    corners = [(column, row) for row in rows for column in columns]
    corners += [(x1 + gap, middle_y), (x0 - gap - width, middle_y)]
    corners += [(x, row) for row in far_rows for x in (middle_x, x0 - width / 2, x1 - width / 2)]
    left_top = np.array([*corners, (middle_x, y0 - 0.6 * height)])
    left_top = np.clip(left_top, 0, np.maximum(0, np.array(area) - size))
    return np.concatenate([left_top, left_top + size], axis=1)


def _overlap(places: Floats, others: Floats) -> Floats:
    """float64[P]; the fraction of each position that overlaps others, summed over them."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)
    return overlap / (places[:, 2:] - places[:, :2]).prod(axis=1)
