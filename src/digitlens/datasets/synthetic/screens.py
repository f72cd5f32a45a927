"""Text as screens show it: set by Pillow at its final size, hinted and smoothed or with steps."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens.data.pages.arrays import Ink, Plane
from digitlens.data.pages.hands import CHARACTERS, MORE, FontHand
from digitlens.data.pages.inks import draw_colours
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
    font = hand.fonts["latin"].font_variant(size=size)
    text = _fitting(_known(text, hand), font, size)
    lit = _set(text, font, rng)
    digit = max(5, font.getbbox("0")[3] - font.getbbox("0")[1])
    paper, ink = draw_colours(rng)
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
    x0, y0, x1, y1 = (int(v) for v in font.getbbox(text + "0"))
    x1 = int(font.getbbox(text)[2])
    above, below, left, right = (int(v) for v in rng.exponential(0.13 * (y1 - y0) + 0.5, 4))
    height, width = y1 - y0 + above + below, max(1, x1 - x0) + left + right
    width = max(width, -(-4 * STEP * height // HEIGHT))
    kind = rng.random()
    if kind < 0.12 and y1 - y0 > 9:
        return _drawn(text, font, (left - x0, above - y0), (width, height), "1")
    plain = _drawn(text, font, (left - x0, above - y0), (width, height), "L")
    if kind < 0.8:
        return plain
    # Colours beside each other on the screen: each sees the text shifted by a third of a pixel.
    shifted = [np.roll(plain[:, :, 0], by, axis=1) for by in (-1, 0, 1)]
    return np.stack([(plane + 2 * plain[:, :, 0]) / 3 for plane in shifted], axis=2)


def _drawn(
    text: str,
    font: ImageFont.FreeTypeFont,
    place: tuple[int, int],
    size: tuple[int, int],
    mode: str,
) -> Plane:
    picture = Image.new(mode, size)
    ImageDraw.Draw(picture).text(place, text, 255 if mode == "L" else 1, font=font)
    ink: Ink = np.asarray(picture.convert("L"), np.uint8)
    return np.repeat(ink[:, :, None].astype(np.float32) / 255, 3, axis=2)
