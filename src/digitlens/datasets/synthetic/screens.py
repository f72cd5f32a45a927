"""Text as screens show it: set by Pillow at its final size, hinted and smoothed or with steps."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.synthetic.arrays import Ink, Plane
from digitlens.datasets.synthetic.hands import CHARACTERS, MORE, FontHand
from digitlens.datasets.synthetic.on_paper import readable_colours
from digitlens.datasets.synthetic.texts import GAP, RAISE
from digitlens.datasets.synthetic.views import HEIGHT, STEP, WIDEST
from digitlens.datasets.synthetic.written import as_label, cased

_SMALLEST, _LARGEST = 10, 40  # size of the type, in pixels


def draw_screen_text(
    text: str, hand: FontHand, rng: np.random.Generator
) -> tuple[Plane, str, float]:
    """Draws a text at its final size on flat colour.

    Returns:
        float32[h, w, 3], what can be read, and the height of a digit in pixels.
    """
    size = round(float(np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))))
    font = hand.font(size)
    text = _fitting(_known(text, hand), font, size)
    lit = _set(text, font, rng)
    digit = max(5, font.getbbox("0")[3] - font.getbbox("0")[1])
    paper, ink = readable_colours(rng)
    if rng.random() < 0.5:  # most screens show black on white or white on black
        paper = np.full(3, 255 if rng.random() < 0.75 else 20, np.float32)
        ink = np.full(3, 15 if paper[0] > 99 else 240, np.float32)
    return np.asarray(paper + lit * (ink - paper), np.float32), as_label(text), float(digit)


def _known(text: str, hand: FontHand) -> str:
    """What of a text the Latin font has, in capitals if it has no others."""
    rng = np.random.default_rng(0)  # a font draws a character always the same
    plain = cased(text.replace(RAISE, "").replace(GAP, "    "), hand)
    drawn = set(CHARACTERS["latin"] + MORE)
    return "".join(c for c in plain if c == " " or (c in drawn and hand.glyph(c, rng))).strip()


def _fitting(text: str, font: ImageFont.FreeTypeFont, size: int) -> str:
    """As much of a text as the widest crop holds."""
    while font.getlength(text) > WIDEST / HEIGHT * 1.3 * size and len(text) > 1:
        text = text[:-1]
    return text


def _set(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> Plane:
    """The text with margins; float32[h, w, 3], 0..1, the same for all colours or shifted."""
    kind = rng.random()
    ink = _drawn(text, font, "1" if kind < 0.12 else "L")
    above, below, left, right = (
        int(v + 0.4) for v in rng.exponential(0.13 * ink.shape[0] + 0.5, 4)
    )
    height = ink.shape[0] + above + below
    right += max(0, -(-4 * STEP * height // HEIGHT) - ink.shape[1] - left - right)
    plane = np.pad(ink, ((above, below), (left, right))).astype(np.float32) / np.float32(255)
    if kind < 0.8:
        return np.repeat(plane[:, :, None], 3, axis=2)
    # Colours beside each other on the screen: each sees the text shifted by a third of a pixel.
    shifted = [np.roll(plane, by, axis=1) for by in (-1, 0, 1)]
    mixed = [(moved + 2 * plane) / 3 for moved in shifted]
    return np.stack(mixed, axis=2).astype(np.float32)


def _drawn(text: str, font: ImageFont.FreeTypeFont, mode: str) -> Ink:
    """The ink of a text, as high as it and a zero are; uint8[h, w]."""
    pad = 4
    x0, y0, x1, y1 = (int(v) for v in font.getbbox(text + "0"))
    picture = Image.new(mode, (x1 - x0 + 2 * pad, y1 - y0 + 2 * pad))
    draw = ImageDraw.Draw(picture)
    draw.text((pad - x0, pad - y0), text + "0", 255 if mode == "L" else 1, font=font)
    rows = np.flatnonzero((np.asarray(picture.convert("L"), np.uint8) > 60).any(axis=1))
    draw.rectangle((0, 0, *picture.size), fill=0)
    draw.text((pad - x0, pad - y0), text, 255 if mode == "L" else 1, font=font)
    ink = np.asarray(picture.convert("L"), np.uint8)
    columns = np.flatnonzero((ink > 60).any(axis=0))
    if not len(rows) or not len(columns):
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
