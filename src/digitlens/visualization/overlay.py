"""Draws a reading on its picture: boxes, values and confidences, doubtful ones marked as such."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens import files
from digitlens.data.images import Page
from digitlens.results import Box, Digit, Reading

_SMALLEST, _LARGEST = 800, 2000  # longest side of the drawing: smaller pages are enlarged
_TEXT = (20, 22, 26)
_PAPER = (246, 246, 243)
_WHITE = (255, 255, 255)
# Told apart by line and mark as well as by colour.
_COLOURS = {"digit": (0, 122, 102), "unsure": (201, 107, 0), "rejected": (176, 42, 64)}
_MARKS = {"digit": "", "unsure": "?", "rejected": "\N{MULTIPLICATION SIGN}"}
_LEVELS = 3  # rows of labels above a line of digits, when they are too narrow for one


_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Colour: TypeAlias = tuple[int, int, int]
_Corners: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels of the drawing."""

    scale: float
    margin: int
    line: int
    label: int
    value: _Font
    small: _Font


def draw_reading(page: Page, reading: Reading) -> Page:
    """Draws what was read where: sure digits solid, unsure ones dashed with "?", rejected with "×".

    Args:
        page: uint8[H, W] or uint8[H, W, 3]; the picture that was read.
        reading: What was read on it.

    Returns:
        uint8[H', W', 3]; the picture, enlarged if it is small, with a margin for labels and the
        text below.

    Raises:
        ValueError: The reading is of a page of another size.
    """
    if (reading.width, reading.height) != (page.shape[1], page.shape[0]):
        raise ValueError(
            f"expected a page of {reading.width} x {reading.height} pixels, as was read, "
            f"found {page.shape[1]} x {page.shape[0]}"
        )
    style = _style(page)
    canvas = _canvas(page, reading, style)
    draw = ImageDraw.Draw(canvas)
    for line in reading.lines:
        for digit in line:
            _draw_box(draw, _placed(digit.box, style), digit, style)
    for line in reading.lines:
        _draw_labels(draw, line, style)
    _draw_footer(draw, canvas.size, reading, style)
    return np.asarray(canvas)


def write_reading(path: Path, page: Page, reading: Reading) -> None:
    """Writes the drawing as a PNG file, whole or not at all."""
    picture = Image.fromarray(draw_reading(page, reading))
    with files.atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")


def _style(page: Page) -> _Style:
    longest = max(page.shape[:2])
    scale = min(max(longest, _SMALLEST), _LARGEST) / longest
    size = max(16, round(0.028 * longest * scale))
    return _Style(
        scale,
        margin=2 * size,
        line=max(2, size // 8),
        label=size * 5 // 4,
        value=ImageFont.load_default(size),
        small=ImageFont.load_default(max(12, size * 3 // 5)),
    )


def _canvas(page: Page, reading: Reading, style: _Style) -> Image.Image:
    width, height = (max(1, round(side * style.scale)) for side in (page.shape[1], page.shape[0]))
    # Enlarged pixels stay visible as such: smoothing would show what was not there to be read.
    method = Image.Resampling.NEAREST if style.scale >= 3 else Image.Resampling.LANCZOS
    picture = Image.fromarray(page).convert("RGB").resize((width, height), method)
    footer = _footer_height(reading, style)
    canvas = Image.new(
        "RGB", (width + 2 * style.margin, height + 2 * style.margin + footer), _PAPER
    )
    canvas.paste(picture, (style.margin, style.margin))
    return canvas


def _placed(box: Box, style: _Style) -> _Corners:
    """The box on the drawing, a little outside of the ink."""
    x0, y0, x1, y1 = (round(side * style.scale) + style.margin for side in box.as_list())
    return x0 - style.line, y0 - style.line, x1 + style.line, y1 + style.line


def _draw_box(draw: ImageDraw.ImageDraw, at: _Corners, digit: Digit, style: _Style) -> None:
    colour = _COLOURS[digit.status]
    if digit.status == "digit":
        draw.rounded_rectangle(at, 2 * style.line, outline=colour, width=style.line)
        return
    x0, y0, x1, y1 = at
    for corners in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)):
        _draw_dashes(draw, corners, colour, style.line)


def _draw_dashes(draw: ImageDraw.ImageDraw, at: _Corners, colour: _Colour, width: int) -> None:
    start, end = np.array(at[:2]), np.array(at[2:])
    length = int(np.abs(end - start).max())
    pieces = max(1, length // (6 * width)) * 2 + 1  # odd: a dash at either end
    points = np.linspace(start, end, pieces + 1)
    for k in range(0, pieces, 2):
        draw.line([*points[k].tolist(), *points[k + 1].tolist()], colour, width)


def _draw_labels(draw: ImageDraw.ImageDraw, line: tuple[Digit, ...], style: _Style) -> None:
    ends = [-1.0] * _LEVELS  # where the last label of each level ends
    for digit in line:
        x0, y0, x1, _ = _placed(digit.box, style)
        wide = _label_width(draw, digit, style)
        left = max(0.0, (x0 + x1 - wide) / 2)
        level = next((k for k in range(_LEVELS) if ends[k] < left), 0)
        ends[level] = left + wide
        top = max(0, y0 - (level + 1) * (style.label + style.line))
        _draw_label(draw, (left, top, left + wide, top + style.label), digit, style)


def _label_width(draw: ImageDraw.ImageDraw, digit: Digit, style: _Style) -> float:
    value, share = _label(digit)
    return draw.textlength(value, style.value) + draw.textlength(share, style.small) + style.label


def _draw_label(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float, float, float],
    digit: Digit,
    style: _Style,
) -> None:
    (left, top, right, bottom), pad = at, style.label / 3
    value, share = _label(digit)
    draw.rounded_rectangle(at, style.label / 4, fill=_COLOURS[digit.status])
    draw.text((left + pad, (top + bottom) / 2), value, _WHITE, style.value, anchor="lm")
    draw.text((right - pad, (top + bottom) / 2), share, _WHITE, style.small, anchor="rm")


def _label(digit: Digit) -> tuple[str, str]:
    return f"{digit.value}{_MARKS[digit.status]}", f"{digit.percent}%"


def _draw_footer(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], reading: Reading, style: _Style
) -> None:
    top = size[1] - _footer_height(reading, style) - style.margin // 2
    draw.multiline_text((style.margin, top), _footer(reading), _TEXT, style.value)


def _footer_height(reading: Reading, style: _Style) -> int:
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    return round(probe.multiline_textbbox((0, 0), _footer(reading), style.value)[3])


def _footer(reading: Reading) -> str:
    doubtful = sum(digit.status != "digit" for line in reading.lines for digit in line)
    text = reading.text or "no digits"
    return f"{text}\n{doubtful} doubtful" if doubtful else text
