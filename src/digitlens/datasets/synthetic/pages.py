"""Draws whole pages from a seed: text on paper under some light, with the box of each digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets import negative_inks as inks
from digitlens.datasets.synthetic import glyph_sources as glyphs
from digitlens.datasets.synthetic import papers
from digitlens.datasets.synthetic.camera import expose, light, soil
from digitlens.datasets.synthetic.canvas import (
    Baseline,
    Canvas,
    Style,
    draw_style,
    text_width,
    write,
)
from digitlens.datasets.synthetic.drawing import (
    Boxes,
    Colour,
    Ink,
    Matrix,
    Pixels,
    Plane,
    Rng,
    Values,
    about_point,
    blend,
    blend_ink,
    blur,
    crop,
    log_uniform,
    mix_colours,
    pick,
    pick_text,
    rotation,
)
from digitlens.datasets.synthetic.objects import draw_material
from digitlens.datasets.synthetic.styles import Maker, Styles
from digitlens.datasets.synthetic.texts import digit

_LENGTHS = ([1, 2, 3, 4, 5, 6, 8, 11], [0.08, 0.17, 0.2, 0.2, 0.15, 0.1, 0.06, 0.04])
_AMOUNT_LENGTHS = ([3, 4, 5, 6, 7], [0.2, 0.3, 0.3, 0.15, 0.05])
SMALLEST_DIGIT = 8.0  # height of a digit, in pixels
_GREEK = "αβλμπψω"  # handwritten Greek letters unlike any digit
_CLEAR_LIKENESS = 0.8  # likeness below which nobody would take a character for a digit
_FOREIGN = "".join(glyphs.CHARACTERS[script] for script in glyphs.FOREIGN)


def _digits(rng: Rng, length: int) -> str:
    if rng.random() < 0.12:  # runs, such as 777
        return digit(rng) * length
    return "".join(digit(rng) for _ in range(length))


def _number(rng: Rng) -> str:
    """A number of one to eleven digits, some with a mark or space before, after or inside."""
    length = int(rng.choice(_LENGTHS[0], p=_LENGTHS[1]))
    text = _digits(rng, length)
    if rng.random() < 0.15:  # amounts often end in zeros
        text = text[: max(1, length - 3)] + "0" * (length - max(1, length - 3))
    return _add_mark(text, rng)


def _amount(rng: Rng) -> str:
    """An amount of three to seven digits, as written in the field of a check."""
    length = int(rng.choice(_AMOUNT_LENGTHS[0], p=_AMOUNT_LENGTHS[1]))
    text = _digits(rng, length)
    if rng.random() < 0.4:
        zeros = min(length - 1, int(rng.integers(2, 5)))
        text = text[: length - zeros] + "0" * zeros
    if length > 3 and rng.random() < 0.5:
        text = text[:-3] + pick(rng, [".", ",", "'", " "]) + text[-3:]
    if rng.random() < 0.35:
        text += pick(rng, ["-", ".", ".-", "=", " -", ",-", "--", "/"])
    if rng.random() < 0.12:
        text = pick(rng, ["$", "-", "=", "#", "*", "/"]) + text
    return text


def _word(source: glyphs.GlyphSource, rng: Rng) -> str:
    """One to eight letters of one script, sometimes followed by a mark."""
    length = int(rng.integers(1, 9))
    foreign = "".join(c for c in source.letters if c not in glyphs.LATIN + glyphs.MARKS)
    if foreign and rng.random() < 0.3:
        return pick_text(rng, foreign, length)
    word = pick_text(rng, glyphs.LATIN[26:], length)
    kind = rng.random()
    word = word.upper() if kind < 0.3 else word.capitalize() if kind < 0.5 else word
    if rng.random() < 0.2:
        word += pick(rng, glyphs.MARKS)
    return word


def _add_mark(text: str, rng: Rng) -> str:
    kind, length = rng.random(), len(text)
    if kind < 0.55 or length < 3:
        return text
    if kind < 0.75:
        cut = length - (3 if length > 3 else 2)
        return text[:cut] + pick(rng, [".", ",", "'", " "]) + text[cut:]
    if kind < 0.85:
        return text[: length // 2] + pick(rng, [" ", "-", "/", ":"]) + text[length // 2 :]
    if kind < 0.93:
        return pick(rng, ["$", "€", "#", "+", "-", "="]) + text
    return text + pick(rng, [".-", "-", ".", "=", "%", "€", ",-"])


Layout = Callable[[Canvas, Styles, Rng], None]


def draw_single(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """One digit, from a fifth to nearly all of the frame's height."""
    style = styles.digit_style(rng)
    char = digit(rng)
    glyph = style.source.glyph(char, rng)
    if glyph is None:
        return
    side = min(canvas.width, canvas.height)
    share = rng.uniform(0.2, 0.97) if rng.random() < 0.5 else rng.uniform(0.6, 0.97)
    width = max(glyph.advance * style.stretch, 0.2)
    height = min(share * canvas.height, 0.95 * canvas.width / width)
    x = (canvas.width - width * height) * _near_middle(rng)
    y = height + (canvas.height - height) * _near_middle(rng)
    write(canvas, char, style, Baseline(x, y, max(height, 0.2 * side)), rng)


def draw_tile(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """One tile of MNIST, enlarged to fill the frame."""
    tile, value = styles.tile(rng)
    scale = np.diag((canvas.width / tile.shape[1], canvas.height / tile.shape[0]))
    canvas.put(tile, np.column_stack([scale, np.zeros(2)]), value)


def draw_numbers(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """One to five lines of numbers in one style, as large as fits or smaller."""
    style = styles.digit_style(rng)
    lines = int(rng.choice([1, 2, 3, 4, 5], p=[0.5, 0.2, 0.15, 0.1, 0.05]))
    numbers = [_number(rng) for _ in range(lines)]
    widest = max(text_width(text, style, rng) for text in numbers)
    pitch = rng.uniform(1.15, 2.2)
    limit = min(canvas.width * 0.97 / widest, canvas.height * 0.95 / (pitch * (lines - 1) + 1.1))
    height = max(SMALLEST_DIGIT, limit * (1 if rng.random() < 0.35 else rng.uniform(0.35, 1)))
    angle = rng.normal(0, 0.05)
    curve = rng.normal(0, 0.03) if rng.random() < 0.2 else 0.0
    room = max(0.0, canvas.height - height * (pitch * (lines - 1) + 1.1))
    top = height * 1.05 + room * _near_middle(rng)
    aligned = rng.random() < 0.5
    for row, text in enumerate(numbers):
        width = text_width(text, style, rng) * height
        x = max(0.0, canvas.width - width) * (0.1 if aligned and lines > 1 else _near_middle(rng))
        y = top + row * pitch * height - np.sin(angle) * width / 2
        write(canvas, text, style, Baseline(x, y, height, angle, curve), rng)


def draw_amount(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """One number that fills its field, often tight, with marks and sometimes an underline."""
    style = styles.digit_style(rng)
    if rng.random() < 0.5:
        style = replace(style, gap=rng.uniform(-0.22, 0.02))
    text = _amount(rng)
    width = max(0.6, text_width(text, style, rng))
    height = min(canvas.width / width, canvas.height / 1.1) * rng.uniform(0.7, 1.08)
    angle = rng.normal(0, 0.04)
    x = (canvas.width - width * height) * _near_middle(rng)
    y = height + (canvas.height - height) * _near_middle(rng) - np.sin(angle) * canvas.width / 2
    curve = rng.normal(0, 0.02)
    write(canvas, text, style, Baseline(x, y, max(SMALLEST_DIGIT, height), angle, curve), rng)
    if rng.random() < 0.3:
        low = min(canvas.height - 1.0, y + height * rng.uniform(0, 0.3))
        end = canvas.width, low + rng.normal(0, 2)
        canvas.line((0, low), end, int(rng.integers(1, 4)))


def draw_grid(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """A table, with or without rules, with a digit or short number in many of its cells."""
    two_styles = [styles.digit_style(rng) for _ in range(2)]
    rows, columns = int(rng.integers(1, 10)), int(rng.integers(1, 10))
    cell = min(canvas.width / columns, canvas.height / rows) * rng.uniform(0.75, 1.35)
    cell = max(cell, SMALLEST_DIGIT * 1.4)
    aspect = rng.uniform(0.9, 2.4) if rng.random() < 0.4 else 1.0
    cell_width = cell * aspect
    x0, y0 = (rng.uniform(-0.3, 0.3) * cell for _ in range(2))
    if rng.random() < 0.75:
        papers.draw_table(canvas, (x0, y0), (cell_width, cell), (columns, rows), rng)
    share, size = rng.uniform(0.35, 1), rng.uniform(0.4, 0.85)
    for row in range(rows):
        for column in range(columns):
            if rng.random() > share:
                continue
            style = two_styles[int(rng.random() < 0.3)]
            text = digit(rng) if aspect < 1.4 else _digits(rng, int(rng.integers(1, 4)))
            height = max(SMALLEST_DIGIT, cell * size)
            width = text_width(text, style, rng) * height
            height *= min(1.0, cell_width / max(width, 1))
            x = x0 + column * cell_width + (cell_width - min(width, cell_width)) / 2
            y = y0 + (row + 1) * cell - (cell - height) / 2
            off_x, off_y = rng.normal(0, 0.05, 2) * cell
            write(canvas, text, style, Baseline(x + float(off_x), y + float(off_y), height), rng)


def draw_paragraph(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """Lines of words, marks and numbers, of small to medium size."""
    style = styles.word_style(rng)
    height = log_uniform(rng, SMALLEST_DIGIT, 40)
    pitch = height * rng.uniform(1.4, 2.4)
    angle = rng.normal(0, 0.03)
    share = pick(rng, [0.1, 0.35, 0.7])
    y = height * rng.uniform(0.5, 2.5)
    indent = rng.uniform(-2, 2) * height
    while y < canvas.height + height:
        count = int(rng.integers(1, 10))
        numbers = (rng.random() < share for _ in range(count))
        words = [_number(rng) if number else _word(style.source, rng) for number in numbers]
        write(canvas, " ".join(words), style, Baseline(indent, y, height, angle), rng)
        y += pitch


def draw_scatter(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """Digits, letters and marks of different styles and sizes, at random free positions."""
    largest = log_uniform(rng, 16, 90)
    share = rng.uniform(0.3, 1)
    for _ in range(int(rng.integers(3, 30))):
        height = max(SMALLEST_DIGIT, largest * rng.uniform(0.4, 1))
        is_digit = rng.random() < share
        style = styles.digit_style(rng) if is_digit else styles.word_style(rng)
        text = _digits(rng, int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1])))
        if not is_digit:
            text = pick_text(rng, style.source.letters or glyphs.LATIN, int(rng.integers(1, 3)))
        width = max(0.3, text_width(text, style, rng)) * height
        x = -0.2 * width + rng.random() * max(0.0, canvas.width - 0.6 * width)
        y = rng.uniform(0.8 * height, canvas.height + 0.2 * height)
        if _is_free(canvas, x, y - height, x + width, y):
            write(canvas, text, style, Baseline(x, y, height, rng.normal(0, 0.12)), rng)


def draw_words(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """Letters, words, foreign letters and marks of any size, without digits."""
    style = styles.word_style(rng)
    lines = int(rng.choice([1, 2, 4], p=[0.6, 0.25, 0.15]))
    words = [_word(style.source, rng) for _ in range(lines)]
    if rng.random() < 0.25:
        words = [pick_text(rng, style.source.letters or glyphs.LATIN, 1)]
    if rng.random() < 0.3:
        words = [" ".join(word) for word in words]
    widest = max(0.5, *(text_width(word, style, rng) for word in words))
    limit = min(canvas.width * 0.95 / widest, canvas.height * 0.8 / (1.6 * lines))
    height = max(SMALLEST_DIGIT, limit * rng.uniform(0.4, 1))
    y = height * rng.uniform(1.1, 1.6)
    y += max(0.0, canvas.height - y - 1.6 * height * (lines - 1)) * rng.uniform(0, 0.8)
    for word in words:
        width = text_width(word, style, rng) * height
        x = max(0.0, canvas.width - width) * rng.random()
        write(canvas, word, style, Baseline(x, y, height, rng.normal(0, 0.05)), rng)
        y += 1.6 * height


def draw_held(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """A lone digit or short number of any size and position, as held in front of a camera."""
    choices = (styles.digit_style, styles.by_hand, styles.quick, styles.printed)
    text = _digits(rng, 1 if rng.random() < 0.6 else int(rng.integers(2, 7)))
    _write_alone(canvas, text, pick(rng, choices)(rng), rng)


def draw_sign(canvas: Canvas, styles: Styles, rng: Rng) -> None:
    """One or a few characters that are not digits: foreign scripts, symbols, letters, drawings."""
    kind = rng.random()
    if kind < 0.25:
        _draw_doodle(canvas, rng)
        return
    count = 1 if rng.random() < 0.65 else int(rng.integers(2, 7))
    if kind < 0.5:
        style = styles.lettered(rng) if rng.random() < 0.7 else styles.quick(rng)
        text = pick_text(rng, inks.PENNED_OF_NO_DIGIT + _GREEK, count)
    else:
        fonts, signs = styles.fonts.foreign, _FOREIGN
        if not fonts or kind < 0.65:
            fonts = styles.fonts.printed + styles.fonts.handwritten
            signs = glyphs.GREEK + glyphs.CYRILLIC + glyphs.MARKS
        source = pick(rng, fonts)
        text = pick_text(rng, _unlike_digits(source, signs) or glyphs.MARKS, count)
        by_hand = rng.random() < 0.5
        style = draw_style(source, rng, by_hand=by_hand)
        if by_hand:
            style = replace(style, source=inks.TracedGlyphs(source, log_uniform(rng, 3, 12)))
    _write_alone(canvas, text, style, rng)


def _draw_doodle(canvas: Canvas, rng: Rng) -> None:
    """Draws a shape, such as a tick or an arrow, or a scribble."""
    ink = crop(inks.draw_shape(rng) if rng.random() < 0.7 else inks.draw_scribble(rng))
    height, left, top = _place_alone(canvas, ink.shape[1] / ink.shape[0], rng)
    scale = height / ink.shape[0]
    canvas.put(ink, np.array([[scale, 0, left], [0, scale, top]]), None)


def _write_alone(canvas: Canvas, text: str, style: Style, rng: Rng) -> None:
    width = max(0.2, text_width(text, style, rng))
    height, x, y = _place_alone(canvas, width, rng)
    write(canvas, text, style, Baseline(x, y + height, height, rng.normal(0, 0.06)), rng)


def _place_alone(canvas: Canvas, width: float, rng: Rng) -> tuple[float, float, float]:
    """Random height, left and top of a lone object of the given width per height."""
    limit = min(canvas.height, canvas.width / width)
    kind = rng.random()
    if kind < 0.25:  # tightly cropped
        height = limit * rng.uniform(0.85, 1.03)
    elif kind < 0.55:  # far away
        height = max(SMALLEST_DIGIT + 4, limit * log_uniform(rng, 0.06, 0.3))
    else:
        height = limit * rng.uniform(0.3, 0.85)
    free_space = canvas.width - width * height, canvas.height - height
    off_centre = rng.random() < 0.4
    x, y = (room * (rng.random() if off_centre else _near_middle(rng)) for room in free_space)
    return height, x, y


@cache
def _unlike_digits(source: glyphs.FontGlyphs, signs: str) -> str:
    """The signs of a font that resemble no digit, neither the font's own nor handwritten ones."""
    digits = (*glyphs.DIGITS, *sorted(glyphs.LIKE_DIGITS))
    font_inks = [source.glyphs[char].ink for char in digits if char in source.glyphs]
    forms = inks.blurred([*font_inks, *inks.written_digits()])
    candidates = ((char, source.glyphs[char].ink) for char in signs if char in source.glyphs)
    return "".join(char for char, ink in candidates if inks.likeness(ink, forms) < _CLEAR_LIKENESS)


def _is_free(canvas: Canvas, x0: float, y0: float, x1: float, y1: float) -> bool:
    ax, ay = canvas.at((x0, y0))
    bx, by = canvas.at((x1, y1))
    left, right = sorted((int(ax), int(bx)))
    top, bottom = sorted((int(ay), int(by)))
    return not canvas.ink[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2].any()


def _near_middle(rng: Rng) -> float:
    return rng.beta(2.5, 2.5)


SIDE = 192  # default side of a page, in pixels
SMALLEST_SIDE = 64
_ENLARGED = 0.22  # fraction of pages that are drawn small and enlarged, of the kinds that may be


class Page(NamedTuple):
    """A generated page."""

    pixels: Pixels  # uint8[H, W, 3]
    boxes: Boxes  # float32[N, 4]; x0, y0, x1, y1 of each digit in pixels, half-open
    # int8[N]; 0 to 9, or -1 for "ignore": cut digits, a lone letter O.
    values: Values


@dataclass(frozen=True)
class PageKind:
    """One kind of page: its text, its frequency and its appearance."""

    share: float  # fraction of all pages when no kind is requested
    layout: Layout | None  # writes the text; None leaves the page empty
    strips: float = 0.0  # fraction that is wider than high, like a strip cut from a form
    # Largest factor by which pages that are drawn small are enlarged; 0 for never.
    enlarged: float = 0.0
    scribbled: float = 0.1  # fraction with scribbles under the text
    ruled: float = 0.0  # fraction with rules, in addition to the fraction of all kinds
    scene: float = 0.05  # fraction on a surface other than paper
    checks: bool = False  # the paper usually has fine lines, like a check
    plain: bool = False  # without camera, light or dirt: one ink on flat paper, as on a screen
    soiled: bool = False  # dust, hairs, stains, and often text of the other side showing through
    # Draws a material instead of paper, from the ink uint8[h, w]; before the light.
    ground: Callable[[Ink, Rng], Plane] | None = None


# Half of the pages show one digit or a few lines of numbers, the most common input. Words,
# scribbles and empty pages are negatives; the others show what surrounds digits. Kinds with a share
# of 0 are drawn only on request.
KINDS: dict[str, PageKind] = {
    "single": PageKind(0.24, draw_single, enlarged=6.0, scribbled=0.04),
    "numbers": PageKind(0.26, draw_numbers, strips=0.3, enlarged=3.0),
    "amount": PageKind(0.14, draw_amount, strips=0.7, checks=True),
    "grid": PageKind(0.06, draw_grid),
    "paragraph": PageKind(0.03, draw_paragraph),
    "scatter": PageKind(0.05, draw_scatter),
    "words": PageKind(0.14, draw_words, strips=0.2, enlarged=3.0),
    "scribbles": PageKind(0.04, lambda canvas, _, rng: papers.draw_scribbles(canvas, rng)),
    "empty": PageKind(0.04, None, ruled=0.3, scene=0.75),
    "plain tile": PageKind(0.0, draw_tile, plain=True),
    "plain single": PageKind(0.0, draw_single, enlarged=8.0, plain=True),
    "plain numbers": PageKind(0.0, draw_numbers, enlarged=4.0, plain=True),
    "plain words": PageKind(0.0, draw_words, enlarged=4.0, plain=True),
    "sign": PageKind(0.0, draw_sign, enlarged=3.0, scribbled=0.04, scene=0.1),
    "held": PageKind(0.0, draw_held, ground=draw_material),
    "held sign": PageKind(0.0, draw_sign, ground=draw_material),
    "held nothing": PageKind(0.0, None, ground=draw_material),
    "clutter": PageKind(0.0, None, ground=papers.draw_clutter),
    "soiled": PageKind(0.0, None, scribbled=0.0, soiled=True),
    "soiled number": PageKind(0.0, draw_held, scribbled=0.0, soiled=True),
}


class PageMaker(Maker):
    """Draws pages; the same seed, number, side and kind produce the same page."""

    def page(self, number: int, *, side: int = SIDE, kind: str | None = None) -> Page:
        """Draws one square page of ``side`` pixels, of the given kind or a random one.

        Raises ValueError if ``side`` is below ``SMALLEST_SIDE`` or ``kind`` is not in ``KINDS``.
        """
        if side < SMALLEST_SIDE:
            raise ValueError(f"expected a side of at least {SMALLEST_SIDE} pixels, found {side}")
        name, rng = self._pick_kind(number, kind, {name: k.share for name, k in KINDS.items()})
        page_kind = KINDS[name]
        height = width = side
        if page_kind.strips and rng.random() < page_kind.strips:
            height = round(side * rng.uniform(0.2, 0.7))
        if page_kind.enlarged and rng.random() < _ENLARGED:
            factor = rng.uniform(1.5, page_kind.enlarged)
            page = self._draw(round(width / factor), round(height / factor), page_kind, rng)
            page = _enlarge(page, width, height, rng)
        else:
            page = self._draw(width, height, page_kind, rng)
        padding = ((0, side - height), (0, 0), (0, 0))
        return page._replace(pixels=np.pad(page.pixels, padding, mode="edge"))

    def _draw(self, width: int, height: int, kind: PageKind, rng: Rng) -> Page:
        view = _draw_view(width, height, rng)
        writing, printed = Canvas(width, height, view), Canvas(width, height, view)
        if kind.layout:
            kind.layout(writing, self._styles, rng)
        boxes = np.array(writing.boxes, np.float32).reshape(-1, 4)
        values = np.array(writing.values, np.int8)
        if kind.plain:
            paper, ink = papers.draw_colours(rng)
            pixels = np.rint(blend_ink(paper, ink, writing.ink)).astype(np.uint8)
            return Page(pixels, boxes, values)
        if kind.ground:
            return Page(expose(light(kind.ground(writing.ink, rng), rng), rng), boxes, values)
        if rng.random() < 0.16 or (kind.ruled and rng.random() < kind.ruled):
            papers.draw_ruling(printed, rng)
        if rng.random() < kind.scribbled:
            papers.draw_scribbles(printed, rng)
        if rng.random() < 0.06:
            draw_words(printed, self._styles, rng)
        pixels = self._coloured(writing.ink, printed.ink, boxes, kind, rng)
        return Page(expose(pixels, rng), boxes, values)

    def _coloured(
        self, writing: Ink, printed: Ink, boxes: Boxes, kind: PageKind, rng: Rng
    ) -> Plane:
        paper_colour, ink_colour = papers.draw_colours(rng)
        height, width = writing.shape
        scene = rng.random() < kind.scene
        paper = papers.draw_paper(
            width, height, paper_colour, rng, wild=scene, patterned=kind.checks
        )
        if scene:
            paper = papers.with_plate(paper, paper_colour, boxes, rng)
        if rng.random() < (0.3 if kind.soiled else 0.05):
            paper = self._show_through(paper, ink_colour, rng)
        print_colour = ink_colour
        if rng.random() < 0.6:
            print_colour = mix_colours(paper_colour, ink_colour, rng.uniform(0.15, 1.2))
        paper = papers.put_ink(paper, printed, print_colour, rng)
        contrast = float(np.abs(ink_colour - paper_colour).max())
        min_strength = min(1.0, max(0.35, 26 / contrast))
        strength = 1.0 if rng.random() < 0.6 else rng.uniform(min_strength, 1)
        page = papers.put_ink(paper, writing, ink_colour, rng, strength)
        return light(soil(page, rng) if kind.soiled else page, rng)

    def _show_through(self, paper: Plane, ink: Colour, rng: Rng) -> Plane:
        """The paper with text of its other side showing through."""
        reverse = Canvas(paper.shape[1], paper.shape[0], np.eye(3))
        draw_paragraph(reverse, self._styles, rng)
        ghost = blur(reverse.ink[:, ::-1].astype(np.float32) / 255, 1.5)
        return blend(paper, ink, rng.uniform(0.03, 0.12) * ghost)


def _draw_view(width: int, height: int, rng: Rng) -> Matrix:
    """A homography: identity, a rotation, or a moderate perspective."""
    if rng.random() < 0.55:
        return np.eye(3)
    angle = float(np.clip(rng.normal(0, 0.12), -0.45, 0.45))
    matrix = rotation(angle * min(1.0, 1.5 * height / width))
    if rng.random() < 0.5:
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-0.35, 0.35, 2) / width
        matrix = tilt @ matrix
    return about_point(matrix, width / 2, height / 2)


def _enlarge(page: Page, width: int, height: int, rng: Rng) -> Page:
    methods = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]
    method = int(rng.choice(methods, p=[0.15, 0.35, 0.5]))
    pixels = cv2.resize(page.pixels, (width, height), interpolation=method)
    x, y = width / page.pixels.shape[1], height / page.pixels.shape[0]
    boxes = page.boxes * np.array([x, y, x, y], np.float32)
    return Page(np.asarray(pixels, np.uint8), boxes, page.values)
