"""Sheets drawn with Pillow: tiles with probabilities, samples, generated pages, small snapshots.

Snapshots of a network that is still learning are drawn many times in a run, in milliseconds; the
figures of a finished one are plots. Knows no data set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.mnist import Split
from digitlens.imaging.image import Page
from digitlens.visualization.overlay import font

if TYPE_CHECKING:
    from digitlens.datasets.synthetic.pages import Page as GeneratedPage

MOST = 200  # tiles on a sheet: the ones given first
_COLUMNS = 5
_TILE = 84  # pixels: three times its size
_BAR, _BARS = 12, 66  # pixels: width of a bar with the gap to the next, height of a full one
_PAD, _TITLE = 14, 22
_WIDTH = 2 * _PAD + _TILE + 10 + 10 * _BAR
_HEIGHT = _PAD + _TITLE + _TILE
_PAPER, _TEXT, _FAINT = (250, 250, 247), (20, 22, 26), (206, 206, 202)
_FIRST, _OTHER = (0, 92, 184), (120, 124, 132)


def draw_tiles(
    tiles: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32], titles: Sequence[str]
) -> Page:
    """Draws tiles in rows, each with a title above and bars from 0 to 9 next to it.

    Args:
        tiles: uint8[N, 28, 28]; ink bright on dark.
        probabilities: float32[N, 10]; the bar of the most probable digit is darker and blue.
        titles: N short texts.

    Returns:
        uint8[H, W, 3]; a line below says how many tiles are not shown if there are too many.

    Raises:
        ValueError: There are not as many of each.
    """
    if not len(tiles) == len(probabilities) == len(titles):
        found = f"{len(tiles)} tiles, {len(probabilities)} probabilities, {len(titles)} titles"
        raise ValueError(f"expected as many of each, found {found}")
    shown = min(len(tiles), MOST)
    columns, rows = max(1, min(shown, _COLUMNS)), -(-shown // _COLUMNS)
    note = _note(len(tiles))
    bottom = _PAD + (_TITLE if note else 0)
    sheet = Image.new("RGB", (columns * _WIDTH, rows * _HEIGHT + bottom), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number in range(shown):
        left = number % _COLUMNS * _WIDTH + _PAD
        top = number // _COLUMNS * _HEIGHT + _PAD
        draw.text((left, top), titles[number], _TEXT, font(14))
        tile = Image.fromarray(tiles[number]).resize((_TILE, _TILE), Image.Resampling.NEAREST)
        sheet.paste(tile, (left, top + _TITLE))
        _draw_bars(draw, left + _TILE + 10, top + _TITLE, probabilities[number])
    draw.text((_PAD, rows * _HEIGHT + _PAD / 2), note, _TEXT, font(14))
    return np.asarray(sheet)


def _draw_bars(
    draw: ImageDraw.ImageDraw, left: int, top: int, probabilities: npt.NDArray[np.float32]
) -> None:
    floor = top + _BARS
    draw.line((left, floor, left + 10 * _BAR, floor), _FAINT)
    draw.line((left, top, left + 10 * _BAR, top), _FAINT)
    first = int(probabilities.argmax())
    for value, share in enumerate(probabilities.tolist()):
        x, colour = left + value * _BAR, _FIRST if value == first else _OTHER
        height = round(share * _BARS)
        if height:
            draw.rectangle((x + 2, floor - height, x + _BAR - 2, floor - 1), colour)
        draw.text((x + _BAR / 2, floor + 3), str(value), colour, font(12), anchor="ma")


def _note(count: int) -> str:
    if not count:
        return "no candidates"
    return f"and {count - MOST} more" if count > MOST else ""


SCALE = 2
CELL = 28 * SCALE
SAMPLE_GAP = 6
MARGIN = 24
LABEL_WIDTH = 44
COUNT_WIDTH = 64
SAMPLE_PAPER = (252, 251, 248)
INK = (28, 32, 48)
FAINT = (150, 150, 158)
DIGIT = (0, 220, 90)  # frame of a digit on a page
MAYBE = (255, 70, 70)  # frame of what may be read or not


def draw_samples(split: Split, *, per_digit: int = 12, seed: int = 0) -> Image.Image:
    """A picture with one row for each digit: the digit, some of its tiles, and how many there are.

    Tiles are shown as ink on paper, twice their size.

    Args:
        split: The tiles to choose from; a digit with fewer leaves places empty.
        per_digit: Tiles in a row.
        seed: For the choice.
    """
    width = 2 * MARGIN + LABEL_WIDTH + per_digit * (CELL + SAMPLE_GAP) - SAMPLE_GAP + COUNT_WIDTH
    height = 2 * MARGIN + 10 * (CELL + SAMPLE_GAP) - SAMPLE_GAP
    sheet = Image.new("RGB", (width, height), SAMPLE_PAPER)
    random = np.random.default_rng(seed)
    for value in range(10):
        rows = np.flatnonzero(split.labels == value)
        chosen = random.permutation(rows)[:per_digit]
        _draw_row(sheet, value, split.tiles[chosen], len(rows))
    return sheet


def draw_pages(
    pages: Sequence[GeneratedPage], *, columns: int = 8, marked: bool = True
) -> Image.Image:
    """A picture with generated pages of one size side by side.

    Args:
        pages: At least one; row by row.
        columns: Pages in a row.
        marked: Frame each digit and tell its value; frame in red, without one, what may be read or
            not.
    """
    height, width = pages[0].pixels.shape[:2]
    rows = -(-len(pages) // columns)
    size = columns * (width + SAMPLE_GAP) + SAMPLE_GAP, rows * (height + SAMPLE_GAP) + SAMPLE_GAP
    sheet = Image.new("RGB", size, SAMPLE_PAPER)
    for number, page in enumerate(pages):
        place = (
            SAMPLE_GAP + number % columns * (width + SAMPLE_GAP),
            SAMPLE_GAP + number // columns * (height + SAMPLE_GAP),
        )
        sheet.paste(_with_marks(page) if marked else Image.fromarray(page.pixels), place)
    return sheet


def _with_marks(page: GeneratedPage) -> Image.Image:
    picture = Image.fromarray(page.pixels)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(9)
    for (x0, y0, x1, y1), value in zip(page.boxes.tolist(), page.values.tolist(), strict=True):
        left, top = max(x0 - 1, 0), max(y0 - 1, 0)  # around the ink, not on it
        frame = left, top, min(x1, picture.width - 1), min(y1, picture.height - 1)
        draw.rectangle(frame, outline=DIGIT if value >= 0 else MAYBE)
        if value >= 0:
            above = left + 1, max(top - 2, 9)
            draw.text(above, str(value), DIGIT, font, anchor="ls", stroke_width=1, stroke_fill=INK)
    return picture


def _draw_row(sheet: Image.Image, value: int, tiles: npt.NDArray[np.uint8], count: int) -> None:
    top = MARGIN + value * (CELL + SAMPLE_GAP)
    middle = top + CELL / 2
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, middle), str(value), INK, ImageFont.load_default(28), anchor="lm")
    for column, tile in enumerate(tiles):
        sheet.paste(_on_paper(tile), (MARGIN + LABEL_WIDTH + column * (CELL + SAMPLE_GAP), top))
    right = sheet.width - MARGIN
    draw.text((right, middle), f"{count:,}", FAINT, ImageFont.load_default(14), anchor="rm")


def _on_paper(tile: npt.NDArray[np.uint8]) -> Image.Image:
    mask = Image.fromarray(tile).resize((CELL, CELL), Image.Resampling.BICUBIC)
    return Image.composite(
        Image.new("RGB", mask.size, INK), Image.new("RGB", mask.size, SAMPLE_PAPER), mask
    )


_CELL, _EDGE = 40, 52  # pixels: a cell, and the room for titles and digits
_QUIET = (150, 154, 160)
_HIT = (222, 231, 241)
_ERROR = np.array([213, 94, 0])  # of the Okabe-Ito palette: told from blue by all eyes
_LEAST = 0.18  # how strong a single error is shown
_NEGATIVE, _ZERO, _POSITIVE = np.array([[178, 88, 24], [247, 247, 245], [5, 92, 160]])
_PIXEL, _FILTER_GAP = 12, 6  # pixels: a weight of a filter, and between two filters


def draw_counts(confusion: npt.NDArray[np.int64]) -> Page:
    """Draws a confusion matrix with its counts; hits are quiet, errors the darker the more.

    Args:
        confusion: int64[10, 10]; the row is the truth, the column the answer.

    Returns:
        uint8[H, W, 3].
    """
    size = len(confusion)
    side = _EDGE + size * _CELL
    picture = Image.new("RGB", (side + 8, side + 8), _PAPER)
    draw = ImageDraw.Draw(picture)
    errors = confusion * (1 - np.eye(size, dtype=np.int64))
    most = max(1, int(errors.max()))
    for place in range(size):
        middle = _EDGE + place * _CELL + _CELL / 2
        draw.text((_EDGE - 14, middle), str(place), _TEXT, font(16), anchor="mm")
        draw.text((middle, _EDGE - 14), str(place), _TEXT, font(16), anchor="mm")
        for other in range(size):
            _draw_cell(draw, (place, other), int(confusion[place, other]), most)
    draw.text((side - 4, 4), "answer", _QUIET, font(14), anchor="ra")
    title = Image.new("RGB", (60, 20), _PAPER)
    ImageDraw.Draw(title).text((60, 2), "truth", _QUIET, font(14), anchor="ra")
    picture.paste(title.rotate(90, expand=True), (4, _EDGE))
    return np.asarray(picture)


def draw_kernels(kernels: npt.NDArray[np.float32]) -> Page:
    """Draws the kernels of a first convolution: blue where ink speaks for, orange against.

    Args:
        kernels: float32[C, k, k]; each is scaled by its largest weight.

    Returns:
        uint8[H, W, 3].
    """
    columns = math.ceil(math.sqrt(2 * len(kernels)))
    rows = -(-len(kernels) // columns)
    side = kernels.shape[1] * _PIXEL
    sheet = np.full(
        (
            rows * (side + _FILTER_GAP) + _FILTER_GAP,
            columns * (side + _FILTER_GAP) + _FILTER_GAP,
            3,
        ),
        250,
        np.uint8,
    )
    for number, kernel in enumerate(kernels):
        row, column = divmod(number, columns)
        top, left = (_FILTER_GAP + place * (side + _FILTER_GAP) for place in (row, column))
        drawn = _coloured(kernel).repeat(_PIXEL, axis=0).repeat(_PIXEL, axis=1)
        sheet[top : top + side, left : left + side] = drawn
    return sheet


def _draw_cell(draw: ImageDraw.ImageDraw, cell: tuple[int, int], count: int, most: int) -> None:
    row, column = cell
    left, top = _EDGE + column * _CELL, _EDGE + row * _CELL
    colour, text = _PAPER, _QUIET
    if row == column:
        colour, text = _HIT, _TEXT
    elif count:
        share = _LEAST + (1 - _LEAST) * math.sqrt(count / most)
        mixed = (1 - share) * np.array(_PAPER) + share * _ERROR
        colour, text = (
            tuple(int(value) for value in mixed),
            (_TEXT if share < 0.7 else _PAPER),
        )
    draw.rectangle((left, top, left + _CELL - 2, top + _CELL - 2), colour, (230, 230, 226))
    if count:
        middle = (left + _CELL / 2 - 1, top + _CELL / 2 - 1)
        draw.text(middle, str(count), text, font(14), anchor="mm")


def _coloured(kernel: npt.NDArray[np.float32]) -> Page:
    """uint8[k, k, 3]."""
    strength = (kernel / max(float(np.abs(kernel).max()), 1e-9))[..., None]
    end = np.where(strength < 0, _NEGATIVE, _POSITIVE)
    return np.rint(_ZERO + np.abs(strength) * (end - _ZERO)).astype(np.uint8)


MOST_REDRAWN = 60  # tiles on a sheet: the ones given first
_REDRAWN_COLUMNS = 4
_REDRAWN_TILE = 112  # pixels: four times its size
_REDRAWN_GAP, _REDRAWN_PAD = 6, 18
_REDRAWN_TITLE, _NOTE = 24, 22
_REDRAWN_WIDTH = 2 * _REDRAWN_TILE + _REDRAWN_GAP + 2 * _REDRAWN_PAD
_REDRAWN_HEIGHT = _REDRAWN_TITLE + _REDRAWN_TILE + _NOTE + _REDRAWN_PAD
_REDRAWN_SOFT = (100, 104, 112)
_BLUE = (86, 180, 233)

Tiles = npt.NDArray[np.uint8]


def draw_redrawn(tiles: Tiles, again: Tiles, titles: Sequence[str], notes: Sequence[str]) -> Page:
    """Draws each tile with its reconstruction, in blue, to the right of it.

    Args:
        tiles: uint8[N, 28, 28]; ink bright on dark.
        again: uint8[N, 28, 28]; the reconstructions.
        titles: N short texts, above.
        notes: N short texts, below.

    Returns:
        uint8[H, W, 3]; a line below says how many are not shown if there are too many.

    Raises:
        ValueError: There are not as many of each.
    """
    counts = [len(tiles), len(again), len(titles), len(notes)]
    if len(set(counts)) > 1:
        raise ValueError(f"expected as many of each, found {counts}")
    shown = min(len(tiles), MOST_REDRAWN)
    columns, rows = max(1, min(shown, _REDRAWN_COLUMNS)), -(-shown // _REDRAWN_COLUMNS)
    bottom = _REDRAWN_PAD if 0 < len(tiles) <= MOST_REDRAWN else _REDRAWN_PAD + _REDRAWN_TITLE
    sheet = Image.new(
        "RGB",
        (columns * _REDRAWN_WIDTH, _REDRAWN_PAD + rows * _REDRAWN_HEIGHT + bottom - _REDRAWN_PAD),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for number in range(shown):
        left = number % _REDRAWN_COLUMNS * _REDRAWN_WIDTH + _REDRAWN_PAD
        top = number // _REDRAWN_COLUMNS * _REDRAWN_HEIGHT + _REDRAWN_PAD
        draw.text((left, top), titles[number], _TEXT, font(16))
        sheet.paste(_enlarged(tiles[number], (255, 255, 255)), (left, top + _REDRAWN_TITLE))
        right = left + _REDRAWN_TILE + _REDRAWN_GAP
        sheet.paste(_enlarged(again[number], _BLUE), (right, top + _REDRAWN_TITLE))
        draw.text(
            (left, top + _REDRAWN_TITLE + _REDRAWN_TILE + 4), notes[number], _REDRAWN_SOFT, font(13)
        )
    draw.text(
        (_REDRAWN_PAD, rows * _REDRAWN_HEIGHT + _REDRAWN_PAD),
        _rest(len(tiles)),
        _TEXT,
        font(14),
    )
    return np.asarray(sheet)


def _enlarged(tile: npt.NDArray[np.uint8], ink: tuple[int, int, int]) -> Image.Image:
    """The tile on black, its ink in a colour."""
    painted = tile[..., None] / 255 * np.array(ink)
    picture = Image.fromarray(np.rint(painted).astype(np.uint8))
    return picture.resize((_REDRAWN_TILE, _REDRAWN_TILE), Image.Resampling.NEAREST)


def _rest(count: int) -> str:
    if not count:
        return "no digits"
    return f"and {count - MOST_REDRAWN} more" if count > MOST_REDRAWN else ""
