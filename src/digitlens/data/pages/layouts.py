"""Layouts: what is written where on a sheet, from one huge digit to crowded paragraphs and none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digitlens.data.pages.hands import DIGITS, LATIN, MARKS, Hand
from digitlens.data.pages.sheet import Sheet
from digitlens.data.pages.writing import Baseline, Style, draw_style, text_width, write

SMALLEST = 8.0  # height of a digit, in pixels


@dataclass(frozen=True)
class Writers:
    """Draws the hands of a page.

    Attributes:
        digits: Chooses who writes digits: returns the hand, and whether it is handwriting.
        words: Likewise for text with letters.
    """

    digits: Callable[[np.random.Generator], tuple[Hand, bool]]
    words: Callable[[np.random.Generator], tuple[Hand, bool]]

    def digit_style(self, rng: np.random.Generator) -> Style:
        """A style for numbers."""
        hand, by_hand = self.digits(rng)
        return draw_style(hand, rng, by_hand=by_hand)

    def word_style(self, rng: np.random.Generator) -> Style:
        """A style for text with letters."""
        hand, by_hand = self.words(rng)
        return draw_style(hand, rng, by_hand=by_hand)


def draw_single(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One digit, from a fifth of the frame to all of it."""
    style = writers.digit_style(rng)
    char = _digit(rng)
    glyph = style.hand.glyph(char, rng)
    if glyph is None:
        return
    side = min(sheet.width, sheet.height)
    share = float(rng.uniform(0.2, 0.97)) if rng.random() < 0.5 else float(rng.uniform(0.6, 0.97))
    width = max(glyph.advance * style.stretch, 0.2)
    height = min(share * sheet.height, 0.95 * sheet.width / width)
    x = (sheet.width - width * height) * float(_middling(rng))
    y = height + (sheet.height - height) * float(_middling(rng))
    write(sheet, char, style, Baseline(x, y, max(height, 0.2 * side)), rng)


def draw_numbers(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One to five lines of numbers in one style, as large as they fit or smaller."""
    style = writers.digit_style(rng)
    lines = int(rng.choice([1, 2, 3, 4, 5], p=[0.5, 0.2, 0.15, 0.1, 0.05]))
    texts = [_number(rng) for _ in range(lines)]
    widest = max(text_width(text, style, rng) for text in texts)
    pitch = float(rng.uniform(1.15, 2.2))
    fits = min(sheet.width * 0.97 / widest, sheet.height * 0.95 / (pitch * (lines - 1) + 1.1))
    height = max(SMALLEST, fits * (1 if rng.random() < 0.35 else float(rng.uniform(0.35, 1))))
    angle = float(rng.normal(0, 0.05))
    curve = float(rng.normal(0, 0.03)) if rng.random() < 0.2 else 0.0
    spare = max(0.0, sheet.height - height * (pitch * (lines - 1) + 1.1))
    top = height * 1.05 + spare * float(_middling(rng))
    left = rng.random() < 0.5
    for row, text in enumerate(texts):
        width = text_width(text, style, rng) * height
        x = max(0.0, sheet.width - width) * (0.1 if left and lines > 1 else float(_middling(rng)))
        y = top + row * pitch * height - np.sin(angle) * width / 2
        write(sheet, text, style, Baseline(x, y, height, angle, curve), rng)


def draw_amount(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """One number that fills its field, tightly written, with dots, dashes and an underline."""
    style = writers.digit_style(rng)
    if rng.random() < 0.5:
        style = replace(style, gap=float(rng.uniform(-0.22, 0.02)))
    text = _amount(rng)
    width = max(0.6, text_width(text, style, rng))
    height = min(sheet.width / width, sheet.height / 1.1) * float(rng.uniform(0.7, 1.08))
    angle = float(rng.normal(0, 0.04))
    x = (sheet.width - width * height) * float(_middling(rng))
    y = height + (sheet.height - height) * float(_middling(rng)) - np.sin(angle) * sheet.width / 2
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
        _rules(sheet, (x0, y0), (cell * aspect, cell), (columns, rows), rng)
    share, size = float(rng.uniform(0.35, 1)), float(rng.uniform(0.4, 0.85))
    for row in range(rows):
        for column in range(columns):
            if rng.random() > share:
                continue
            style = hands[int(rng.random() < 0.3)]
            text = _digit(rng) if aspect < 1.4 else _plain(rng, int(rng.integers(1, 4)))
            height = max(SMALLEST, cell * size)
            width = text_width(text, style, rng) * height
            height *= min(1.0, cell * aspect / max(width, 1))
            width = min(width, cell * aspect)
            x = x0 + column * cell * aspect + (cell * aspect - width) / 2
            y = y0 + (row + 1) * cell - (cell - height) / 2
            jitter = rng.normal(0, 0.05, 2) * cell
            place = Baseline(x + float(jitter[0]), y + float(jitter[1]), height)
            write(sheet, text, style, place, rng)


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
            _number(rng) if rng.random() < share else _word(style.hand, rng)
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
        text = _plain(rng, int(rng.choice([1, 2, 3], p=[0.8, 0.1, 0.1])))
        if not is_digit:
            text = _letters(style.hand, int(rng.integers(1, 3)), rng)
        width = max(0.3, text_width(text, style, rng)) * height
        x = -0.2 * width + float(rng.random()) * max(0.0, sheet.width - 0.6 * width)
        y = float(rng.uniform(0.8 * height, sheet.height + 0.2 * height))
        if _is_free(sheet, x, y - height, x + width, y):
            write(sheet, text, style, Baseline(x, y, height, float(rng.normal(0, 0.12))), rng)


def draw_words(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Letters, words, foreign letters and marks, large or small; no digit."""
    style = writers.word_style(rng)
    lines = int(rng.choice([1, 2, 4], p=[0.6, 0.25, 0.15]))
    texts = [_word(style.hand, rng) for _ in range(lines)]
    if rng.random() < 0.25:
        texts = [_letters(style.hand, 1, rng)]
    if rng.random() < 0.3:
        texts = [" ".join(text) for text in texts]
    widest = max(0.5, *(text_width(text, style, rng) for text in texts), 0.5)
    fits = min(sheet.width * 0.95 / widest, sheet.height * 0.8 / (1.6 * lines))
    height = max(SMALLEST, fits * float(rng.uniform(0.4, 1)))
    y = height * float(rng.uniform(1.1, 1.6))
    y += max(0.0, sheet.height - y - 1.6 * height * (lines - 1)) * float(rng.uniform(0, 0.8))
    for text in texts:
        width = text_width(text, style, rng) * height
        x = max(0.0, sheet.width - width) * float(rng.random())
        write(sheet, text, style, Baseline(x, y, height, float(rng.normal(0, 0.05))), rng)
        y += 1.6 * height


def draw_scribbles(sheet: Sheet, writers: Writers, rng: np.random.Generator) -> None:
    """Curves, shapes, arrows, plots and hatching, drawn with any pen."""
    del writers
    for _ in range(int(rng.choice([1, 2, 5, 10]))):
        size = float(np.exp(rng.uniform(np.log(10), np.log(0.9 * sheet.width))))
        centre = rng.uniform(0, 1, 2) * (sheet.width, sheet.height)
        thick = max(1, round(size * float(np.exp(rng.uniform(np.log(0.01), np.log(0.15))))))
        kind = rng.random()
        if kind < 0.5:
            count = int(rng.integers(2, 9))
            steps = rng.normal(0, 0.45, (count, 2)) * size
            points = centre + (np.cumsum(steps, axis=0) if kind < 0.25 else steps)
            fixed = np.rint(_smooth(points) if kind < 0.4 else points).astype(np.int32)
            cv2.polylines(sheet.ink, [fixed], bool(rng.random() < 0.2), 255, thick, cv2.LINE_AA)
        elif kind < 0.75:
            axes = tuple(max(1, int(v)) for v in rng.uniform(0.1, 0.5, 2) * size)
            sweep = sorted(float(v) for v in rng.uniform(0, 360, 2))
            place = (int(centre[0]), int(centre[1]))
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(sheet.ink, place, axes, angle, *sweep, 255, thick, cv2.LINE_AA)
        else:
            a = (centre - size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
            b = (centre + size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
            cv2.rectangle(sheet.ink, a, b, 255, -1 if rng.random() < 0.2 else thick)


def draw_ruling(sheet: Sheet, rng: np.random.Generator) -> None:
    """Ruled or squared paper, an underline, or a frame."""
    kind = rng.random()
    if kind < 0.35:
        y = sheet.height * float(rng.uniform(0.55, 1))
        x = sorted(float(v) for v in rng.uniform(-0.1, 1.1, 2) * sheet.width)
        sheet.line((x[0], y), (x[1], y + float(rng.normal(0, 2))), int(rng.integers(1, 4)))
        return
    pitch = float(np.exp(rng.uniform(np.log(7), np.log(70))))
    across = kind > 0.65
    start = -float(rng.uniform(0, pitch))
    for k in range(int(max(sheet.width, sheet.height) / pitch) + 2):
        at = start + k * pitch
        sheet.line((-sheet.width, at), (2.0 * sheet.width, at), 1)
        if across:
            sheet.line((at, -sheet.height), (at, 2.0 * sheet.height), 1)


def _rules(
    sheet: Sheet,
    start: tuple[float, float],
    cell: tuple[float, float],
    count: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    thick, level = int(rng.choice([1, 1, 2, 3])), int(rng.choice([255, 160, 90]))
    end = start[0] + cell[0] * count[0], start[1] + cell[1] * count[1]
    for k in range(count[1] + 1):
        y = start[1] + k * cell[1]
        sheet.line((start[0], y), (end[0], y), thick + 2 * (k % 3 == 0 and thick > 1), level)
    for k in range(count[0] + 1):
        x = start[0] + k * cell[0]
        sheet.line((x, start[1]), (x, end[1]), thick + 2 * (k % 3 == 0 and thick > 1), level)


def _is_free(sheet: Sheet, x0: float, y0: float, x1: float, y1: float) -> bool:
    ax, ay = sheet.at((x0, y0))
    bx, by = sheet.at((x1, y1))
    left, right = sorted((int(ax), int(bx)))
    top, bottom = sorted((int(ay), int(by)))
    return not sheet.ink[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2].any()


def _middling(rng: np.random.Generator) -> float:
    return float(rng.beta(2.5, 2.5))


def _digit(rng: np.random.Generator) -> str:
    return DIGITS[int(rng.integers(10))]


def _plain(rng: np.random.Generator, length: int) -> str:
    if rng.random() < 0.12:  # runs as in 1000 or 777
        return (_digit(rng) * length)[:length]
    return "".join(_digit(rng) for _ in range(length))


def _number(rng: np.random.Generator) -> str:
    length = int(
        rng.choice([1, 2, 3, 4, 5, 6, 8, 11], p=[0.08, 0.17, 0.2, 0.2, 0.15, 0.1, 0.06, 0.04])
    )
    text = _plain(rng, length)
    if rng.random() < 0.15:  # amounts often end in zeros
        text = text[: max(1, length - 3)] + "0" * (length - max(1, length - 3))
    kind = rng.random()
    if kind < 0.55 or length < 3:
        marked = text
    elif kind < 0.75:
        cut = length - (3 if length > 3 else 2)
        marked = text[:cut] + str(rng.choice([".", ",", "'", " "])) + text[cut:]
    elif kind < 0.85:
        marked = text[: length // 2] + str(rng.choice([" ", "-", "/", ":"])) + text[length // 2 :]
    elif kind < 0.93:
        marked = str(rng.choice(["$", "€", "#", "+", "-", "="])) + text
    else:
        marked = text + str(rng.choice([".-", "-", ".", "=", "%", "€", ",-"]))
    return marked


def _amount(rng: np.random.Generator) -> str:
    length = int(rng.choice([3, 4, 5, 6, 7], p=[0.2, 0.3, 0.3, 0.15, 0.05]))
    text = _plain(rng, length)
    if rng.random() < 0.4:
        zeros = min(length - 1, int(rng.integers(2, 5)))
        text = text[: length - zeros] + "0" * zeros
    if length > 3 and rng.random() < 0.5:
        text = text[:-3] + str(rng.choice([".", ",", "'", " "])) + text[-3:]
    if rng.random() < 0.35:
        text += str(rng.choice(["-", ".", ".-", "=", " -", ",-", "--", "/"]))
    if rng.random() < 0.12:
        text = str(rng.choice(["$", "-", "=", "#", "*", "/"])) + text
    return text


def _letters(hand: Hand, length: int, rng: np.random.Generator) -> str:
    known = hand.letters or LATIN
    return "".join(known[int(rng.integers(len(known)))] for _ in range(length))


def _word(hand: Hand, rng: np.random.Generator) -> str:
    length = int(rng.integers(1, 9))
    foreign = [c for c in hand.letters if c not in LATIN + MARKS]
    if foreign and rng.random() < 0.3:
        return "".join(foreign[int(rng.integers(len(foreign)))] for _ in range(length))
    word = "".join(LATIN[26 + int(rng.integers(26))] for _ in range(length))
    kind = rng.random()
    word = word.upper() if kind < 0.3 else word.capitalize() if kind < 0.5 else word
    if rng.random() < 0.2:
        word += MARKS[int(rng.integers(len(MARKS)))]
    return word


def _smooth(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    for _ in range(3):  # Chaikin's corner cutting (1974)
        cut = np.empty((2 * len(points) - 2, 2))
        cut[0::2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[1::2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = cut
    return points
