"""Draws a sheet of tiles as the classifier saw them, with the ten probabilities of each as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens.imaging.images import Page
from digitlens.visualization.marks import font

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
    """Draws tiles in rows, each with a title above and bars from 0 to 9 beside it.

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
