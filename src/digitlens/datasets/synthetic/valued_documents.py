"""Draws documents with known values, not only digits: receipts, price tags and statements.

Each uses the conventions of one country: separators, currency and date format. ``OTHERS`` adds what
such documents lack: lone numbers, lists of all kinds, and widely spaced digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from digitlens.datasets.synthetic.document_layouts import Desk
from digitlens.datasets.synthetic.documents import SyntheticDocument, render_page
from digitlens.datasets.synthetic.drawing import Pixels, Rng, pick
from digitlens.datasets.synthetic.styles import Styles
from digitlens.datasets.synthetic.texts import RAISE, WORDS, digits, natural
from digitlens.datasets.synthetic.typesetting import Labels, TextRow, Typesetter

Value = Any  # Decimal, date or time
BY_HAND = 0.25  # fraction of handwritten documents
MAX_OVERLAP = 0.25  # largest overlap of digits on different lines, as a fraction of the smaller


class Locale(NamedTuple):
    """The notation of one country."""

    decimal: str  # decimal separator
    group: str  # thousands separator
    sign: str  # currency
    before: bool  # whether the currency precedes the number
    day: str  # strftime format of dates


LOCALES = (
    Locale(".", ",", "$", True, "%m/%d/%Y"),
    Locale(".", ",", "£", True, "%d/%m/%Y"),
    Locale(",", ".", " €", False, "%d.%m.%Y"),
    Locale(",", ".", "€", True, "%d-%m-%Y"),
    Locale(".", "'", "", True, "%d.%m.%Y"),
    Locale(".", ",", "", True, "%Y-%m-%d"),
)


class ValuedDocument(NamedTuple):
    """A document with its labels."""

    kind: str  # a key of ``DRAWN`` or other kinds, with ", by hand" if handwritten
    pixels: Pixels  # uint8[H, W, 3]
    values: tuple[Value, ...]  # of its numbers, in any order
    lines: tuple[TextRow, ...]  # each line of text


# Draws a document, by hand or not, and yields the values of its numbers while drawing.
DrawValued = Callable[[Desk, Locale, bool], Iterator[Value]]


def draw_valued(
    styles: Styles,
    number: int,
    seed: int = 0,
    by_hand: float = BY_HAND,
    kinds: Mapping[str, DrawValued] | None = None,
) -> ValuedDocument:
    """Draws document ``number`` of a seed, reproducibly; the kinds take turns.

    ``by_hand`` is the fraction of handwritten documents; ``kinds`` replaces receipts, price tags
    and statements, for example by ``OTHERS``.
    """
    kinds = kinds or DRAWN
    kind = list(kinds)[number % len(kinds)]
    for attempt in count():
        desk = Desk(styles, np.random.default_rng([seed, number, attempt]))
        locale = pick(desk.rng, LOCALES)
        is_by_hand = desk.rng.random() < by_hand
        values = tuple(kinds[kind](desk, locale, is_by_hand))  # this draws the page
        page = render_page(desk, kind)
        if _is_readable(desk, page):
            name = f"{kind}, by hand" if is_by_hand else kind
            return ValuedDocument(name, page.pixels, values, page.lines)
    raise AssertionError


def _is_readable(desk: Desk, page: SyntheticDocument) -> bool:
    """Whether the picture shows all digits of its page, and no line was written over another."""
    canvas = desk.canvas
    expected = canvas.labels(np.eye(3), canvas.width, canvas.height)
    is_whole = int((page.values >= 0).sum()) == int((expected.values >= 0).sum())
    return is_whole and not _is_overwritten(expected)


def _is_overwritten(labels: Labels) -> bool:
    """Whether digits of two lines overlap so much that they are illegible."""
    counts = [sum(map(str.isdecimal, line.text)) for line in labels.lines]
    line = np.repeat(np.arange(len(counts)), counts)
    x0, y0, x1, y1 = labels.boxes.T
    widths = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    heights = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    areas = (x1 - x0) * (y1 - y0)
    shared = widths.clip(0) * heights.clip(0) > MAX_OVERLAP * np.minimum.outer(areas, areas)
    return bool((shared & (line[:, None] != line)).any())


def _money(rng: Rng, locale: Locale, low: float, high: float) -> tuple[str, Decimal]:
    """An amount with two decimals, as text and as value."""
    cents = round(100 * float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    units = f"{cents // 100:,}".replace(",", locale.group)
    return f"{units}{locale.decimal}{cents % 100:02}", Decimal(cents) / 100


def _priced(text: str, locale: Locale) -> str:
    return locale.sign + text if locale.before else text + locale.sign


def _draw_face(
    desk: Desk, by_hand: bool, pen: tuple[float, float], font: tuple[float, float]
) -> tuple[float, Typesetter]:
    """A random digit height within the range of the pen or font, and a typesetter of that size."""
    digit = desk.size(*(pen if by_hand else font))
    return digit, desk.pen(digit) if by_hand else desk.type(digit)


def draw_receipt(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """Items with prices, a total and a date."""
    rng = desk.rng
    digit, face = _draw_face(desk, by_hand, (16, 40), (10, 22))
    wide, pitch = digit * rng.uniform(16, 24), digit * rng.uniform(1.7, 2.6)
    rows: list[tuple[str, str, Value]] = []
    for _ in range(int(rng.integers(2, 9))):
        text, value = _money(rng, locale, 0.3, 3000)
        rows.append(("" if by_hand else pick(rng, WORDS["labels"]), text, value))
    text, value = _money(rng, locale, 20, 20000)
    rows.append(("" if by_hand else pick(rng, ("Total", "Summe")), _priced(text, locale), value))
    day = _day(rng)
    rows.append(("", day.strftime(locale.day), day))
    canvas = desk.open(wide + 3 * digit, (len(rows) + 1) * pitch)
    for number, (left, right, value) in enumerate(rows):
        y = (number + 1) * pitch
        run = face.run(left) if left else None
        if canvas.put(face.run(right), canvas.width - 1.5 * digit, y, align=1):
            yield value
        if run and run.width < 0.4 * wide:
            canvas.put(run, 1.5 * digit, y)


def draw_tag(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """A price, sometimes with raised cents, and a price per kilogram."""
    rng = desk.rng
    digit, big = _draw_face(desk, by_hand, (30, 90), (30, 90))
    small = desk.type(max(10, 0.22 * digit))
    text, value = _money(rng, locale, 0.3, 900)
    if rng.random() < 0.5 and "," not in text[:-3]:
        point = pick(rng, ("", locale.decimal))
        text = f"{text[:-3]}{point}{RAISE}{text[-2:]}{RAISE}"
    canvas = desk.open(6.5 * digit, 3 * digit)
    margin = 0.4 * digit
    canvas.put(small.run(pick(rng, WORDS["labels"])), margin, margin + small.digit)
    if canvas.put(big.run(_priced(text, locale)), canvas.width - margin, 2 * digit, align=1):
        yield value
    text, value = _money(rng, locale, 0.3, 900)
    if canvas.put(small.run(f"kg = {text}"), margin, canvas.height - margin):
        yield value


def draw_statement(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """Dates and amounts in columns; debits have a leading or trailing minus, or brackets."""
    rng = desk.rng
    digit, face = _draw_face(desk, by_hand, (16, 36), (10, 22))
    pitch, rows = digit * rng.uniform(1.8, 3), int(rng.integers(3, 12))
    debit = pick(rng, ("-{}", "-{}", "{}-", "({})"))
    canvas = desk.open(26 * digit, (rows + 1.5) * pitch)
    for row in range(rows):
        y, day = (row + 1.2) * pitch, _day(rng)
        if canvas.put(face.run(day.strftime(locale.day)), digit, y):
            yield day
        text, value = _money(rng, locale, 0.3, 90000)
        if rng.random() < 0.5:
            text, value = debit.format(text), -value
        if canvas.put(face.run(text), canvas.width - digit, y, align=1):
            yield value


def _day(rng: Rng) -> date:
    return date(int(rng.integers(1990, 2035)), int(rng.integers(1, 13)), int(rng.integers(1, 29)))


def draw_lone(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """One number, see ``_any_number``."""
    rng = desk.rng
    digit, face = _draw_face(desk, by_hand, (18, 60), (12, 60))
    text, value = _any_number(rng, locale)
    run, margins = face.run(text), rng.uniform(0.4, 3, 2) * digit
    canvas = desk.open(run.width + 2 * margins[0], digit + 2 * margins[1])
    x, y = (canvas.width - run.width) / 2, (canvas.height + digit) / 2
    if canvas.put(run, x, y):
        yield value


def draw_list(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """A list of numbers of any kind, as in notes; one in three follows a word."""
    rng = desk.rng
    digit, face = _draw_face(desk, by_hand, (18, 44), (11, 40))
    rows = [_any_number(rng, locale) for _ in range(int(rng.integers(2, 9)))]
    words = [f"{pick(rng, WORDS['words'])} " if rng.random() < 0.33 else "" for _ in rows]
    runs = [face.run(word + text) for word, (text, _) in zip(words, rows, strict=True)]
    pitch, align = digit * (1.6 + rng.exponential(0.6)), pick(rng, [0, 0, 1])
    widest = max(run.width for run in runs)
    canvas = desk.open(widest + 4 * digit, (len(rows) + 1) * pitch)
    for row, (run, (_, value)) in enumerate(zip(runs, rows, strict=True)):
        if canvas.put(run, 2 * digit + align * widest, (row + 1) * pitch, align=align):
            yield value


def _any_number(rng: Rng, locale: Locale) -> tuple[str, Value]:
    """A number as text and value: integers (half), prices, decimals, percentages, dates, times."""
    kind, text = rng.random(), natural(rng, 1, 7)
    if kind < 0.15:
        text, value = _money(rng, locale, 0.3, 9000)
        return _priced(text, locale) if rng.random() < 0.5 else text, value
    if kind < 0.25:
        text += locale.decimal + digits(rng, int(rng.integers(1, 4)))
        return text, Decimal(text.replace(",", "."))
    if kind < 0.35:
        text = natural(rng, 1, 2)
        return f"{text}%", Decimal(text)
    if kind < 0.43:
        day = _day(rng)
        return day.strftime(locale.day), day
    if kind < 0.5:
        hour = time(int(rng.integers(24)), int(rng.integers(60)))
        return hour.strftime("%H:%M"), hour
    return text, Decimal(text)


def draw_wide(desk: Desk, locale: Locale, by_hand: bool) -> Iterator[Value]:
    """Digits 0.5 to 2 heights apart: one number per line, in a comb or not, or many numbers.

    Many numbers on a line have one digit or several close digits each, and are that far apart.
    """
    rng = desk.rng
    digit, face = _draw_face(desk, by_hand, (16, 36), (11, 32))
    gap, rows, count = rng.uniform(0.5, 2), int(rng.integers(1, 6)), int(rng.integers(2, 9))
    kind, longest = pick(rng, ("spaced", "spaced", "comb", "many")), int(rng.integers(1, 4))
    cell, pitch = digit * (0.6 + gap), digit * (1.8 + rng.exponential(0.6))
    canvas = desk.open((count + 1) * cell + 2 * digit, (rows + 1) * pitch)
    for row in range(rows):
        x, y = digit, (row + 1) * pitch
        if kind == "many":
            while x < canvas.width - 2 * digit:
                run = face.run(text := natural(rng, 1, longest))
                if canvas.put(run, x, y):
                    yield Decimal(text)
                x += run.width + gap * digit if longest > 1 else cell
            continue
        text, value = _money(rng, locale, 0.3, 9000)
        if kind == "comb" or rng.random() < 0.7:
            text = digits(rng, count)
            value = Decimal(text)
        if canvas.put(face.run(text, cell), x, y):
            yield value
        for k in range(count + 1) if kind == "comb" else ():
            canvas.rule(x + k * cell, y - 1.3 * digit, x + k * cell, y + 0.3 * digit)


DRAWN = {"receipts": draw_receipt, "price tags": draw_tag, "statements": draw_statement}
OTHERS = {"lone numbers": draw_lone, "lists": draw_list, "wide numbers": draw_wide}
