"""Draws what was found on a picture beside what an autoencoder makes of it; needs no matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens.imaging.images import Page
from digitlens.visualization.marks import font

MOST = 60  # tiles on a sheet: the ones given first
_COLUMNS = 4
_TILE = 112  # pixels: four times its size
_GAP, _PAD = 6, 18
_TITLE, _NOTE = 24, 22
_WIDTH = 2 * _TILE + _GAP + 2 * _PAD
_HEIGHT = _TITLE + _TILE + _NOTE + _PAD
_PAPER, _TEXT, _SOFT = (250, 250, 247), (20, 22, 26), (100, 104, 112)
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
    shown = min(len(tiles), MOST)
    columns, rows = max(1, min(shown, _COLUMNS)), -(-shown // _COLUMNS)
    bottom = _PAD if 0 < len(tiles) <= MOST else _PAD + _TITLE
    sheet = Image.new("RGB", (columns * _WIDTH, _PAD + rows * _HEIGHT + bottom - _PAD), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number in range(shown):
        left = number % _COLUMNS * _WIDTH + _PAD
        top = number // _COLUMNS * _HEIGHT + _PAD
        draw.text((left, top), titles[number], _TEXT, font(16))
        sheet.paste(_enlarged(tiles[number], (255, 255, 255)), (left, top + _TITLE))
        right = left + _TILE + _GAP
        sheet.paste(_enlarged(again[number], _BLUE), (right, top + _TITLE))
        draw.text((left, top + _TITLE + _TILE + 4), notes[number], _SOFT, font(13))
    draw.text((_PAD, rows * _HEIGHT + _PAD), _rest(len(tiles)), _TEXT, font(14))
    return np.asarray(sheet)


def _enlarged(tile: npt.NDArray[np.uint8], ink: tuple[int, int, int]) -> Image.Image:
    """The tile on black, its ink in a colour."""
    painted = tile[..., None] / 255 * np.array(ink)
    picture = Image.fromarray(np.rint(painted).astype(np.uint8))
    return picture.resize((_TILE, _TILE), Image.Resampling.NEAREST)


def _rest(count: int) -> str:
    if not count:
        return "no digits"
    return f"and {count - MOST} more" if count > MOST else ""
