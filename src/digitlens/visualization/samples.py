"""Draws a sheet of sample tiles, one row for each digit; knows labelled tiles and no data set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from digitlens.data.mnist import Split

SCALE = 2
CELL = 28 * SCALE
GAP = 6
MARGIN = 24
LABEL_WIDTH = 44
COUNT_WIDTH = 64
PAPER = (252, 251, 248)
INK = (28, 32, 48)
FAINT = (150, 150, 158)


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
