"""Lays the scores of one look over what it saw, as a heat map with its scale of colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens.imaging.images import Page, resize
from digitlens.visualization.marks import WHITE, font

CELL = 4  # pixels of a look, a side, that share one score
_LEAST = 700  # longest side of the drawing: smaller looks are enlarged
_NARROWEST = 240  # pixels: so that the scale has room
_DIM = 0.45  # brightness of the picture below the map
_CLEAR = 0.25  # score up to which the picture shows through
_BAR, _LINE = 16, 18  # pixels: height of the scale, of a line of text
_PAPER = (20, 20, 26)
# From 0 to 1, evenly spaced; ever brighter, so that the order is seen without colours too.
_SCALE = np.array(
    [(30, 16, 70), (110, 28, 129), (181, 54, 122), (240, 96, 93), (254, 175, 119), (252, 253, 191)],
    np.float32,
)

Heat = npt.NDArray[np.float32]


def draw_heat(part: Page, size: tuple[int, int], heat: Heat, title: str) -> Page:
    """Draws what one look saw and where it took something for a digit.

    Args:
        part: uint8[H, W] or uint8[H, W, 3]; the part of the page that the look showed.
        size: Width and height that it was shown at, in pixels.
        heat: float32[h, w]; score of each cell of 4 x 4 of these pixels, 0 to 1; the last cells
            may reach over the edge.
        title: Stands below, with what the colours mean.

    Returns:
        uint8[H', W', 3]; the look at the size that it had, or enlarged, and the scale below.
    """
    width, height = size
    grown = max(1, round(_LEAST / max(size)))
    smooth = resize(heat, heat.shape[1] * CELL, heat.shape[0] * CELL)[:height, :width]
    picture = _blended(_seen(part, size), smooth)
    picture = np.repeat(np.repeat(picture, grown, 0), grown, 1)
    wide = max(_NARROWEST, picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, wide - picture.shape[1]), (0, 0)))
    return np.concatenate([picture, _legend(wide, title)])


def _seen(part: Page, size: tuple[int, int]) -> Heat:
    """float32[h, w, 1]; its gray, 0 to 1."""
    picture = Image.fromarray(part).convert("L")
    method = Image.Resampling.BICUBIC if size[0] > picture.width else Image.Resampling.BOX
    return np.array(picture.resize(size, method), np.float32)[:, :, None] / np.float32(255)


def _blended(gray: Heat, heat: Heat) -> Page:
    """uint8[h, w, 3]; the colours of a map over a dim picture."""
    heat = np.clip(heat, 0, 1)[:, :, None]
    share = np.clip(heat / _CLEAR, 0, 0.85)
    picture = (1 - share) * 255 * _DIM * gray + share * _colours(heat[:, :, 0])
    return np.rint(picture).astype(np.uint8)


def _colours(heat: Heat) -> npt.NDArray[np.float32]:
    """float32[h, w, 3]; of scores from 0 to 1."""
    knots = np.linspace(0, 1, len(_SCALE))
    channels = [np.interp(heat, knots, _SCALE[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _legend(width: int, title: str) -> Page:
    """The scale, blended as the map is, with what it means in as many lines as that takes."""
    lines = _wrapped(f"{title}. Colour: score that the middle of a digit is here, 0 to 1", width)
    legend = Image.new("RGB", (width, _BAR + _LINE * (len(lines) + 1) + 12), _PAPER)
    steps = np.repeat(np.linspace(0, 1, width - 24, dtype=np.float32)[None], _BAR, 0)
    gray = np.full((*steps.shape, 1), 0.8, np.float32)
    legend.paste(Image.fromarray(_blended(gray, steps)), (12, 6))
    draw = ImageDraw.Draw(legend)
    for quarter, anchor in enumerate(("la", "ma", "ma", "ma", "ra")):
        at = 12 + quarter / 4 * (width - 24)
        draw.text((at, _BAR + 8), f"{quarter / 4:g}", WHITE, font(12), anchor=anchor)
    for number, line in enumerate(lines, 1):
        draw.text((12, _BAR + 8 + number * _LINE), line, WHITE, font(13))
    return np.asarray(legend)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(13).getlength(longer) > width - 24:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
