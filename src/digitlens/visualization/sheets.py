"""Sheets drawn with Pillow: tiles, samples, generated pages, and the stages of reading a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.imaging.image import Page, resize, shrink
from digitlens.results import Digit, plain_fields
from digitlens.visualization.overlay import (
    WHITE,
    Mark,
    draw_marks,
    draw_reading,
    font,
    wrap,
    write_picture,
)

if TYPE_CHECKING:
    from digitlens.datasets.synthetic.pages import Page as GeneratedPage
    from digitlens.reading.multiscale import ScaleView
    from digitlens.reading.reader import ReadResult
    from digitlens.reading.recognize import RecognizedLine

Tiles = npt.NDArray[np.uint8]

_PAPER, _TEXT, _FAINT, _SOFT = (250, 250, 247), (20, 22, 26), (206, 206, 202), (100, 104, 112)
_NOTE_HEIGHT = 24  # pixels: height of a line of text


@dataclass(frozen=True)
class _Grid:
    """A grid of cells, limited to the first ``most``."""

    most: int
    columns: int
    width: int
    height: int
    pad: int
    nothing: str

    def draw(self, count: int, draw_cell: Callable[[Image.Image, int, int, int], None]) -> Page:
        """Draws the cells, given the index and upper left corner of each.

        A line below states how many cells are left out, if any.
        """
        shown = min(count, self.most)
        columns, rows = max(1, min(shown, self.columns)), -(-shown // self.columns)
        note = f"and {count - self.most} more" if count > self.most else ""
        note = note if count else self.nothing
        footer = self.pad + (_NOTE_HEIGHT if note else 0)
        sheet = Image.new("RGB", (columns * self.width, rows * self.height + footer), _PAPER)
        for number in range(shown):
            row, column = divmod(number, self.columns)
            left, top = column * self.width + self.pad, row * self.height + self.pad
            draw_cell(sheet, number, left, top)
        position = (self.pad, rows * self.height + self.pad / 2)
        ImageDraw.Draw(sheet).text(position, note, _TEXT, font(14))
        return np.asarray(sheet)


MAX_TILES = 200  # tiles per sheet, the first ones
_TILE = 84  # pixels: three times its size
_BAR_PITCH, _BAR_HEIGHT = 12, 66  # pixels: pitch of the bars, height of a full one
_TOP_COLOUR, _OTHER_COLOUR = (0, 92, 184), (120, 124, 132)
_TILES = _Grid(MAX_TILES, 5, 38 + _TILE + 10 * _BAR_PITCH, 36 + _TILE, 14, "no candidates")


def draw_tiles(tiles: Tiles, probabilities: npt.NDArray[np.float32], titles: Sequence[str]) -> Page:
    """Draws up to ``MAX_TILES`` tiles in rows, each with a title above and ten bars next to it.

    Bars show probabilities, float32[N, 10], the highest in blue.
    """

    def draw_cell(sheet: Image.Image, number: int, left: int, top: int) -> None:
        draw = ImageDraw.Draw(sheet)
        draw.text((left, top), titles[number], _TEXT, font(14))
        sheet.paste(_enlarge(tiles[number], _TILE), (left, top + 22))
        _draw_bars(draw, left + _TILE + 10, top + 22, probabilities[number])

    return _TILES.draw(len(tiles), draw_cell)


def _draw_bars(
    draw: ImageDraw.ImageDraw, left: int, top: int, probabilities: npt.NDArray[np.float32]
) -> None:
    floor = top + _BAR_HEIGHT
    draw.line((left, floor, left + 10 * _BAR_PITCH, floor), _FAINT)
    draw.line((left, top, left + 10 * _BAR_PITCH, top), _FAINT)
    first = int(probabilities.argmax())
    for value, share in enumerate(probabilities.tolist()):
        x, colour = left + value * _BAR_PITCH, _TOP_COLOUR if value == first else _OTHER_COLOUR
        height = round(share * _BAR_HEIGHT)
        if height:
            draw.rectangle((x + 2, floor - height, x + _BAR_PITCH - 2, floor - 1), colour)
        draw.text((x + _BAR_PITCH / 2, floor + 3), str(value), colour, font(12), anchor="ma")


def _enlarge(tile: Tiles, side: int, ink: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """The tile enlarged on black, with its ink in a colour."""
    painted = np.rint(tile[..., None] / 255 * np.array(ink)).astype(np.uint8)
    return Image.fromarray(painted).resize((side, side), Image.Resampling.NEAREST)


MAX_REDRAWN = 60  # tiles per sheet, the first ones
_LARGE = 112  # pixels: four times its size
_BLUE = (86, 180, 233)
_REDRAWN = _Grid(MAX_REDRAWN, 4, 2 * _LARGE + 42, _LARGE + 64, 18, "no digits")


def draw_redrawn(tiles: Tiles, redrawn: Tiles, titles: Sequence[str], notes: Sequence[str]) -> Page:
    """Draws up to ``MAX_REDRAWN`` tiles, each with its reconstruction in blue to the right.

    Titles stand above, notes below.
    """

    def draw_cell(sheet: Image.Image, number: int, left: int, top: int) -> None:
        draw = ImageDraw.Draw(sheet)
        draw.text((left, top), titles[number], _TEXT, font(16))
        sheet.paste(_enlarge(tiles[number], _LARGE), (left, top + 24))
        sheet.paste(_enlarge(redrawn[number], _LARGE, _BLUE), (left + _LARGE + 6, top + 24))
        draw.text((left, top + _LARGE + 28), notes[number], _SOFT, font(13))

    return _REDRAWN.draw(len(tiles), draw_cell)


SCALE = 2
CELL = 28 * SCALE
COLUMNS = 8  # generated pages per row
SAMPLE_GAP = 6
MARGIN = 24
LABEL_WIDTH = 44
COUNT_WIDTH = 64
SAMPLE_PAPER = (252, 251, 248)
INK = (28, 32, 48)
FAINT = (150, 150, 158)
DIGIT = (0, 220, 90)  # frame of a digit on a page
AMBIGUOUS = (255, 70, 70)  # frame of an ambiguous object, which may be read or not


def draw_samples(split: Split, *, per_digit: int = 12, seed: int = 0) -> Image.Image:
    """Draws a row per digit: the digit, some of its tiles on paper, and their total count."""
    width = 2 * MARGIN + LABEL_WIDTH + per_digit * (CELL + SAMPLE_GAP) - SAMPLE_GAP + COUNT_WIDTH
    height = 2 * MARGIN + 10 * (CELL + SAMPLE_GAP) - SAMPLE_GAP
    sheet = Image.new("RGB", (width, height), SAMPLE_PAPER)
    random = np.random.default_rng(seed)
    draw = ImageDraw.Draw(sheet)
    for value in range(10):
        rows = np.flatnonzero(split.labels == value)
        top = MARGIN + value * (CELL + SAMPLE_GAP)
        middle, right = top + CELL / 2, sheet.width - MARGIN
        draw.text((MARGIN, middle), str(value), INK, font(28), anchor="lm")
        for column, tile in enumerate(split.tiles[random.permutation(rows)[:per_digit]]):
            mask = Image.fromarray(tile).resize((CELL, CELL), Image.Resampling.BICUBIC)
            sheet.paste(INK, (MARGIN + LABEL_WIDTH + column * (CELL + SAMPLE_GAP), top), mask)
        draw.text((right, middle), f"{len(rows):,}", FAINT, font(14), anchor="rm")
    return sheet


def draw_pages(pages: Sequence[GeneratedPage]) -> Image.Image:
    """Draws at least one generated page, all of one size, on a sheet.

    Each digit is framed and labelled; ambiguous objects are framed in red.
    """
    step = [side + SAMPLE_GAP for side in pages[0].pixels.shape[1::-1]]
    rows = -(-len(pages) // COLUMNS)
    size = COLUMNS * step[0] + SAMPLE_GAP, rows * step[1] + SAMPLE_GAP
    sheet = Image.new("RGB", size, SAMPLE_PAPER)
    for number, page in enumerate(pages):
        row, column = divmod(number, COLUMNS)
        position = SAMPLE_GAP + column * step[0], SAMPLE_GAP + row * step[1]
        sheet.paste(_with_marks(page), position)
    return sheet


def _with_marks(page: GeneratedPage) -> Image.Image:
    picture = Image.fromarray(page.pixels)
    draw, small = ImageDraw.Draw(picture), font(9)
    for (x0, y0, x1, y1), value in zip(page.boxes.tolist(), page.values.tolist(), strict=True):
        left, top = max(x0 - 1, 0), max(y0 - 1, 0)  # around the ink, not on it
        frame = left, top, min(x1, picture.width - 1), min(y1, picture.height - 1)
        draw.rectangle(frame, outline=DIGIT if value >= 0 else AMBIGUOUS)
        if value >= 0:
            above = left + 1, max(top - 2, 9)
            draw.text(above, str(value), DIGIT, small, anchor="ls", stroke_width=1, stroke_fill=INK)
    return picture


_LARGEST = 2000  # longest side of the page's copy
_LABELLED = 100  # labelled places, the first ones: more would hide the picture


def write_stages(folder: Path, result: ReadResult, thresholds: Mapping[str, float]) -> list[Page]:
    """Writes the stages of reading a page; each file atomically.

    ``1-page.png`` is the page, ``2-heat-<size>.png`` the digit detector's heat map of each copy,
    ``3-lines.png`` the lines with their text, ``4-places.png`` all places before any is rejected,
    ``5-tiles.png`` the tile of each place, ``6-answer.png`` the reading, and ``explain.json`` the
    same in numbers. If the page was turned, 2 to 5 show the turned page. Heat maps left in the
    folder by another page are removed, but nothing else. Returns the heat maps, smallest first.
    """
    turned = result.turned
    write_picture(folder / "1-page.png", shrink(result.page, _LARGEST))
    heat = _write_heat(folder, turned, result.view.detections.views)
    write_picture(folder / "3-lines.png", _draw_lines(turned, result))
    write_picture(folder / "4-places.png", _draw_places(turned, result))
    write_picture(folder / "5-tiles.png", _draw_found_tiles(result))
    write_picture(folder / "6-answer.png", draw_reading(result.page, result.reading))
    files.write_json(folder / "explain.json", _as_dict(result, list(heat), thresholds))
    return sorted(heat.values(), key=lambda picture: picture.size)


def _write_heat(folder: Path, turned: Page, views: list[ScaleView]) -> dict[str, Page]:
    """Writes the heat map of each copy of the page; returns them by file name."""
    written: dict[str, Page] = {}
    counts: Counter[int] = Counter()
    for view in views:
        height, width = view.predictions.size
        side = max(width, height)
        counts[side] += 1
        name = f"2-heat-{side}{f'-{counts[side]}' if counts[side] > 1 else ''}.png"
        title = f"Copy {len(written) + 1}, {width} x {height} pixels"
        written[name] = draw_heat(turned, (width, height), view.predictions.heat, title)
        write_picture(folder / name, written[name])
    for old in folder.glob("2-heat-*.png"):
        if old.name not in written:
            old.unlink()
    return written


def _draw_lines(turned: Page, result: ReadResult) -> Page:
    marks: list[Mark] = []
    for k, line in enumerate(result.view.lines, 1):
        quad = line.line.quad
        (x0, y0), (x1, y1) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
        marks.append(Mark((x0, y0, x1, y1), "candidate", line.symbols.text or "-", f"#{k}"))
    return draw_marks(
        turned, marks[::-1], [f"lines found: {len(marks)}, with the text read on each"]
    )


def _draw_places(turned: Page, result: ReadResult) -> Page:
    scores, marks = result.view.scores, list[Mark]()
    for (x0, y0, x1, y1), score in zip(scores.boxes.tolist(), scores.strength, strict=True):
        number = len(marks) + 1
        label = (f"{score:.2f}", f"#{number}") if number <= _LABELLED else ("", "")
        marks.append(Mark((x0, y0, x1, y1), "candidate", *label))
    more = f"; the first {_LABELLED} have labels" if len(marks) > _LABELLED else ""
    words = f"candidates before rejection: {len(marks)}, with the score of a digit{more}"
    return draw_marks(turned, marks[::-1], [words])


def _draw_found_tiles(result: ReadResult) -> Page:
    view, digits = result.view, answers(result)
    titles = [
        f"#{k}  {in_words(digit)}, score {score:.2f}"
        for k, (digit, score) in enumerate(zip(digits, view.scores.strength, strict=True), 1)
    ]
    return draw_tiles(view.tiles, view.probabilities, titles)


def in_words(digit: Digit) -> str:
    """The value and confidence of a digit, in words."""
    if digit.status == "rejected":
        return f"not a {digit.value}"
    return f"{digit.value}{'?' if digit.status == 'unsure' else ''}  {digit.percent} % sure"


def answers(result: ReadResult) -> list[Digit]:
    """The digit of each place: every place is a digit of the reading, possibly a rejected one."""
    numbers = [place for line in result.places for place in line]
    digits = [digit for line in result.reading.lines for digit in line]
    by_place = dict(zip(numbers, digits, strict=True))
    return [by_place[place] for place in range(len(result.view.scores))]


def _as_dict(
    result: ReadResult, heat: list[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    reading, view = result.reading, result.view
    views = [
        {
            "file": name,
            "region": [0, 0, *one.page],
            "width": one.predictions.size[1],
            "height": one.predictions.size[0],
            "found": len(one.predictions.score),
        }
        for one, name in zip(view.detections.views, heat, strict=True)
    ]
    return {
        **plain_fields(reading, "width", "height"),
        "turn": result.turn,
        **plain_fields(reading, "model", "model_sha256"),
        "thresholds": dict(thresholds),
        "views": views,
        "looks": views,  # the name of version 0.1
        "lines": [_line_dict(line) for line in view.lines],
        "places": _place_dicts(result),
        **plain_fields(reading, "text", "digits_only", "numbers", "numbers_digits"),
    }


def _line_dict(line: RecognizedLine) -> dict[str, Any]:
    """A line as a dict: corners on the page as read; score 0 for a line made up of digits."""
    return {
        "corners": _rounded(line.line.quad),
        "score": _rounded(line.line.score),
        "text": line.symbols.text,
        "confidence": _rounded(line.symbols.confidence),
    }


def _place_dicts(result: ReadResult) -> list[dict[str, Any]]:
    view, places = result.view, result.view.scores.places
    names = ("detector", "recognizer", "classifier", "together")
    exists = (places.objectness, places.mass, view.scores.is_digit)
    values = (places.detector, places.recognizer, view.scores.classifier, view.probabilities)
    return [
        {
            "number": k + 1,
            "box": digit.box.as_list(),
            "line": int(places.line[k]) + 1,
            "exists": {n: _rounded(rows[k]) for n, rows in zip(names, exists, strict=False)},
            "digits": {n: _rounded(rows[k]) for n, rows in zip(names, values, strict=True)},
            "confidence": _rounded(view.confidence[k]),
            "answer": plain_fields(
                digit, "value", "confidence", "status", "reason", "starts_number"
            ),
        }
        for k, digit in enumerate(answers(result))
    ]


def _rounded(values: Any) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()


HEAT_CELL = 4  # pixels of a copy per side of a cell, which has one score
_SMALLEST = 700  # longest side of the drawing: smaller copies are enlarged
_MIN_WIDTH = 240  # pixels: least width, for the scale
_DIM = 0.45  # brightness of the picture below the map
_CLEAR_SCORE = 0.25  # score up to which the picture shows through
_LEGEND_BAR, _LEGEND_LINE = 16, 18  # pixels: heights of the scale and of a line of text
_DARK = (20, 20, 26)
# From 0 to 1, evenly spaced, with increasing brightness, so that the order shows without colour.
_SCALE = np.array(
    [(30, 16, 70), (110, 28, 129), (181, 54, 122), (240, 96, 93), (254, 175, 119), (252, 253, 191)],
    np.float32,
)

Heat = npt.NDArray[np.float32]


def draw_heat(part: Page, size: tuple[int, int], heat: Heat, title: str) -> Page:
    """Draws the digit detector's heat map over one copy of a page, with a legend below.

    ``size`` is the width and height of the copy; ``heat``, float32[h, w], the score of each cell of
    4 x 4 of its pixels, 0 to 1; the last cells may extend beyond the edge.
    """
    width, height = size
    factor = max(1, round(_SMALLEST / max(size)))
    smoothed = resize(heat, heat.shape[1] * HEAT_CELL, heat.shape[0] * HEAT_CELL)[:height, :width]
    page = Image.fromarray(part).convert("L")
    method = Image.Resampling.BICUBIC if width > page.width else Image.Resampling.BOX
    gray = np.array(page.resize(size, method), np.float32)[:, :, None] / np.float32(255)
    picture = _blend_heat(gray, smoothed)
    picture = np.repeat(np.repeat(picture, factor, 0), factor, 1)
    min_width = max(_MIN_WIDTH, picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, min_width - picture.shape[1]), (0, 0)))
    return np.concatenate([picture, _legend(min_width, title)])


def _blend_heat(gray: Heat, heat: Heat) -> Page:
    """Blends the colours of a heat map over a dimmed picture; uint8[h, w, 3]."""
    heat = np.clip(heat, 0, 1)
    share = np.clip(heat / _CLEAR_SCORE, 0, 0.85)[:, :, None]
    knots = np.linspace(0, 1, len(_SCALE))
    colours = np.stack([np.interp(heat, knots, channel) for channel in _SCALE.T], axis=-1)
    picture = (1 - share) * 255 * _DIM * gray + share * colours.astype(np.float32)
    return np.rint(picture).astype(np.uint8)


def _legend(width: int, title: str) -> Page:
    """The colour scale, blended like the map, with an explanation wrapped to the width."""
    words = f"{title}. Colour: score of a digit's centre at this point, 0 to 1"
    lines = wrap(words, 13, width - 24)
    legend = Image.new("RGB", (width, _LEGEND_BAR + _LEGEND_LINE * (len(lines) + 1) + 12), _DARK)
    ramp = np.repeat(np.linspace(0, 1, width - 24, dtype=np.float32)[None], _LEGEND_BAR, 0)
    gray = np.full((*ramp.shape, 1), 0.8, np.float32)
    legend.paste(Image.fromarray(_blend_heat(gray, ramp)), (12, 6))
    draw = ImageDraw.Draw(legend)
    for quarter, anchor in enumerate(("la", "ma", "ma", "ma", "ra")):
        x = 12 + quarter / 4 * (width - 24)
        draw.text((x, _LEGEND_BAR + 8), f"{quarter / 4:g}", WHITE, font(12), anchor=anchor)
    for number, line in enumerate(lines, 1):
        draw.text((12, _LEGEND_BAR + 8 + number * _LEGEND_LINE), line, WHITE, font(13))
    return np.asarray(legend)
