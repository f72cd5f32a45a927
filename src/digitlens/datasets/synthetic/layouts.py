"""Layouts: what is written where on a sheet, from one huge digit to crowded paragraphs and none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from digitlens.datasets.synthetic import page_texts as texts
from digitlens.datasets.synthetic.clutter import draw_scribbles, draw_table
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.writers import Writers
from digitlens.datasets.synthetic.writing import Baseline, Style, text_width, write

SMALLEST = 8.0  # height of a digit, in pixels

Layout = Callable[[Sheet, Writers, np.random.Generator], None]


def draw_single(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One digit, from a fifth of the frame to all of it."""
    style = writers.digit_style(rng)
    char = texts.digit(rng)
    glyph = style.hand.glyph(char, rng)
    if glyph is None:
        return
    side = min(sheet.width, sheet.height)
    share = float(rng.uniform(0.2, 0.97)) if rng.random() < 0.5 else float(rng.uniform(0.6, 0.97))
    width = max(glyph.advance * style.stretch, 0.2)
    height = min(share * sheet.height, 0.95 * sheet.width / width)
    x = (sheet.width - width * height) * _middling(rng)
    y = height + (sheet.height - height) * _middling(rng)
    write(sheet, char, style, Baseline(x, y, max(height, 0.2 * side)), rng)


def draw_tile(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One tile of MNIST as it is, enlarged until it fills the frame."""
    tile, value = writers.tile(rng)
    scale = np.diag((sheet.width / tile.shape[1], sheet.height / tile.shape[0]))
    sheet.put(tile, np.column_stack([scale, np.zeros(2)]), value)


def draw_numbers(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One to five lines of numbers in one style, as large as they fit or smaller."""
    style = writers.digit_style(rng)
    lines = int(rng.choice([1, 2, 3, 4, 5], p=[0.5, 0.2, 0.15, 0.1, 0.05]))
    numbers = [texts.number(rng) for _ in range(lines)]
    widest = max(text_width(text, style, rng) for text in numbers)
    pitch = float(rng.uniform(1.15, 2.2))
    fits = min(sheet.width * 0.97 / widest, sheet.height * 0.95 / (pitch * (lines - 1) + 1.1))
    height = max(SMALLEST, fits * (1 if rng.random() < 0.35 else float(rng.uniform(0.35, 1))))
    angle = float(rng.normal(0, 0.05))
    curve = float(rng.normal(0, 0.03)) if rng.random() < 0.2 else 0.0
    spare = max(0.0, sheet.height - height * (pitch * (lines - 1) + 1.1))
    top = height * 1.05 + spare * _middling(rng)
    left = rng.random() < 0.5
    for row, text in enumerate(numbers):
        width = text_width(text, style, rng) * height
        x = max(0.0, sheet.width - width) * (0.1 if left and lines > 1 else _middling(rng))
        y = top + row * pitch * height - np.sin(angle) * width / 2
        write(sheet, text, style, Baseline(x, y, height, angle, curve), rng)


def draw_amount(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One number that fills its field, tightly written, with dots, dashes and an underline."""
    style = writers.digit_style(rng)
    if rng.random() < 0.5:
        style = replace(style, gap=float(rng.uniform(-0.22, 0.02)))
    text = texts.amount(rng)
    width = max(0.6, text_width(text, style, rng))
    height = min(sheet.width / width, sheet.height / 1.1) * float(rng.uniform(0.7, 1.08))
    angle = float(rng.normal(0, 0.04))
    x = (sheet.width - width * height) * _middling(rng)
    y = height + (sheet.height - height) * _middling(rng) - np.sin(angle) * sheet.width / 2
    curve = float(rng.normal(0, 0.02))
    write(sheet, text, style, Baseline(x, y, max(SMALLEST, height), angle, curve), rng)
    if rng.random() < 0.3:
        low = min(sheet.height - 1.0, y + height * float(rng.uniform(0, 0.3)))
        sheet.line((0, low), (sheet.width, low + float(rng.normal(0, 2))), int(rng.integers(1, 4)))


def draw_grid(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """A table: rules or none, a digit or a short number in many of its cells."""
    hands = [writers.digit_style(rng) for _ in range(2)]
    rows, columns = int(rng.integers(1, 10)), int(rng.integers(1, 10))
    cell = min(sheet.width / columns, sheet.height / rows) * float(rng.uniform(0.75, 1.35))
    cell = max(cell, SMALLEST * 1.4)
    aspect = float(rng.uniform(0.9, 2.4)) if rng.random() < 0.4 else 1.0
    x0, y0 = (float(rng.uniform(-0.3, 0.3)) * cell for _ in range(2))
    if rng.random() < 0.75:
        draw_table(sheet, (x0, y0), (cell * aspect, cell), (columns, rows), rng)
    share, size = float(rng.uniform(0.35, 1)), float(rng.uniform(0.4, 0.85))
    for row in range(rows):
        for column in range(columns):
            if rng.random() > share:
                continue
            style = hands[int(rng.random() < 0.3)]
            place = _Cell(x0 + column * cell * aspect, y0 + (row + 1) * cell, cell, aspect)
            _fill(sheet, place, size, style, rng)


def draw_paragraph(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Lines of words, marks and numbers, small to middling."""
    style = writers.word_style(rng)
    height = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(40))))
    pitch = height * float(rng.uniform(1.4, 2.4))
    angle = float(rng.normal(0, 0.03))
    share = float(rng.choice([0.1, 0.35, 0.7]))
    y = height * float(rng.uniform(0.5, 2.5))
    indent = float(rng.uniform(-2, 2)) * height
    while y < sheet.height + height:
        words = [
            texts.number(rng) if rng.random() < share else texts.word(style.hand, rng)
            for _ in range(int(rng.integers(1, 10)))
        ]
        write(sheet, " ".join(words), style, Baseline(indent, y, height, angle), rng)
        y += pitch


def draw_scatter(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Digits, letters and marks of different hands and sizes, where there is room."""
    largest = float(np.exp(rng.uniform(np.log(16), np.log(90))))
    share = float(rng.uniform(0.3, 1))
    for _ in range(int(rng.integers(3, 30))):
        height = max(SMALLEST, largest * float(rng.uniform(0.4, 1)))
        is_digit = rng.random() < share
        style = writers.digit_style(rng) if is_digit else writers.word_style(rng)
        text = texts.digits(rng, int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1])))
        if not is_digit:
            text = texts.letters(style.hand, int(rng.integers(1, 3)), rng)
        width = max(0.3, text_width(text, style, rng)) * height
        x = -0.2 * width + float(rng.random()) * max(0.0, sheet.width - 0.6 * width)
        y = float(rng.uniform(0.8 * height, sheet.height + 0.2 * height))
        if _is_free(sheet, x, y - height, x + width, y):
            write(sheet, text, style, Baseline(x, y, height, float(rng.normal(0, 0.12))), rng)


def draw_words(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Letters, words, foreign letters and marks, large or small; no digit."""
    style = writers.word_style(rng)
    lines = int(rng.choice([1, 2, 4], p=[0.6, 0.25, 0.15]))
    words = [texts.word(style.hand, rng) for _ in range(lines)]
    if rng.random() < 0.25:
        words = [texts.letters(style.hand, 1, rng)]
    if rng.random() < 0.3:
        words = [" ".join(word) for word in words]
    widest = max(0.5, *(text_width(word, style, rng) for word in words))
    fits = min(sheet.width * 0.95 / widest, sheet.height * 0.8 / (1.6 * lines))
    height = max(SMALLEST, fits * float(rng.uniform(0.4, 1)))
    y = height * float(rng.uniform(1.1, 1.6))
    y += max(0.0, sheet.height - y - 1.6 * height * (lines - 1)) * float(rng.uniform(0, 0.8))
    for word in words:
        width = text_width(word, style, rng) * height
        x = max(0.0, sheet.width - width) * float(rng.random())
        write(sheet, word, style, Baseline(x, y, height, float(rng.normal(0, 0.05))), rng)
        y += 1.6 * height


def draw_drawing(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Scribbles alone; nothing is written."""
    del writers
    draw_scribbles(sheet, rng)


class _Cell(NamedTuple):
    """A cell of a table, in the plane of the paper."""

    left: float
    bottom: float
    height: float
    aspect: float  # width over height


def _fill(sheet: Sheet, cell: _Cell, size: float, style: Style, rng: np.random.Generator) -> None:
    """Writes into a cell: a digit, in a wide cell up to three."""
    wide = cell.height * cell.aspect
    is_narrow = cell.aspect < 1.4
    text = texts.digit(rng) if is_narrow else texts.digits(rng, int(rng.integers(1, 4)))
    height = max(SMALLEST, cell.height * size)
    width = text_width(text, style, rng) * height
    height *= min(1.0, wide / max(width, 1))
    x = cell.left + (wide - min(width, wide)) / 2
    y = cell.bottom - (cell.height - height) / 2
    jitter = rng.normal(0, 0.05, 2) * cell.height
    place = Baseline(x + float(jitter[0]), y + float(jitter[1]), height)
    write(sheet, text, style, place, rng)


def _is_free(sheet: Sheet, x0: float, y0: float, x1: float, y1: float) -> bool:
    ax, ay = sheet.at((x0, y0))
    bx, by = sheet.at((x1, y1))
    left, right = sorted((int(ax), int(bx)))
    top, bottom = sorted((int(ay), int(by)))
    return not sheet.ink[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2].any()


def _middling(rng: np.random.Generator) -> float:
    return float(rng.beta(2.5, 2.5))
