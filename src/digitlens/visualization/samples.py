"""Draws sheets of samples, of tiles by digit and of generated pages; knows no data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.mnist import Split

if TYPE_CHECKING:  # pages need OpenCV, tiles do not
    from digitlens.datasets.synthetic.pages import Page

SCALE = 2
CELL = 28 * SCALE
GAP = 6
MARGIN = 24
LABEL_WIDTH = 44
COUNT_WIDTH = 64
PAPER = (252, 251, 248)
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
    width = 2 * MARGIN + LABEL_WIDTH + per_digit * (CELL + GAP) - GAP + COUNT_WIDTH
    height = 2 * MARGIN + 10 * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    random = np.random.default_rng(seed)
    for value in range(10):
        rows = np.flatnonzero(split.labels == value)
        chosen = random.permutation(rows)[:per_digit]
        _draw_row(sheet, value, split.tiles[chosen], len(rows))
    return sheet


def draw_pages(pages: Sequence[Page], *, columns: int = 8, marked: bool = True) -> Image.Image:
    """A picture with generated pages of one size side by side.

    Args:
        pages: At least one; row by row.
        columns: Pages in a row.
        marked: Frame each digit and tell its value; frame in red, without one, what may be read or
            not.
    """
    height, width = pages[0].pixels.shape[:2]
    rows = -(-len(pages) // columns)
    size = columns * (width + GAP) + GAP, rows * (height + GAP) + GAP
    sheet = Image.new("RGB", size, PAPER)
    for number, page in enumerate(pages):
        place = GAP + number % columns * (width + GAP), GAP + number // columns * (height + GAP)
        sheet.paste(_with_marks(page) if marked else Image.fromarray(page.pixels), place)
    return sheet


def _with_marks(page: Page) -> Image.Image:
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
    top = MARGIN + value * (CELL + GAP)
    middle = top + CELL / 2
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, middle), str(value), INK, ImageFont.load_default(28), anchor="lm")
    for column, tile in enumerate(tiles):
        sheet.paste(_on_paper(tile), (MARGIN + LABEL_WIDTH + column * (CELL + GAP), top))
    right = sheet.width - MARGIN
    draw.text((right, middle), f"{count:,}", FAINT, ImageFont.load_default(14), anchor="rm")


def _on_paper(tile: npt.NDArray[np.uint8]) -> Image.Image:
    mask = Image.fromarray(tile).resize((CELL, CELL), Image.Resampling.BICUBIC)
    return Image.composite(
        Image.new("RGB", mask.size, INK), Image.new("RGB", mask.size, PAPER), mask
    )
