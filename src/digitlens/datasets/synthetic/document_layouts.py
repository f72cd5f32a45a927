"""Layouts of documents: tables, receipts, running text, letters, words and forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from digitlens.datasets.synthetic import texts
from digitlens.datasets.synthetic.drawing import Colour, Plane, Rng, log_uniform, mix_colours, pick
from digitlens.datasets.synthetic.objects import readable_colours, soften
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.styles import Styles
from digitlens.datasets.synthetic.typesetting import (
    SCAN,
    Handwriting,
    PrintedPage,
    Run,
    SizedFont,
    Typesetter,
)

_WIDEST, _HIGHEST = 1000, 1400


class Desk:
    """The tools of a document: styles, random generator, look, colours and the page."""

    def __init__(self, styles: Styles, rng: Rng) -> None:
        """Draws look and colours."""
        self.styles, self.rng = styles, rng
        self.look = str(rng.choice(("screen", "scan", "photo"), p=(0.45, 0.3, 0.25)))
        self.colours = _draw_palette(self.look, rng)  # float32[3] each, by name
        self.filled = self.look == "screen"  # the page extends beyond the picture, as scenes do
        self.canvas = PrintedPage(np.zeros((1, 1, 3), np.float32))  # a placeholder until ``open``
        self._mode = "1" if self.look == "screen" and rng.random() < 0.06 else "L"

    def open(self, width: float, height: float, ground: Plane | None = None) -> PrintedPage:
        """Starts a page of about this size in pixels, on paper unless ``ground`` is given."""
        size = min(_WIDEST, max(160, round(width))), min(_HIGHEST, max(100, round(height)))
        if ground is None:
            paper = self.colours["paper"]
            ground = np.full((size[1], size[0], 3), paper, np.float32)
            if self.look != "screen":
                ground = soften(draw_paper(*size, paper, self.rng), paper, 12)
        self.canvas = PrintedPage(ground)
        return self.canvas

    def size(self, low: float, high: float) -> float:
        """A random length from ``low`` to ``high``, uniform in the logarithm."""
        return log_uniform(self.rng, low, high)

    def type(self, digit: float, *, handwritten: bool = False) -> SizedFont:
        """A random font with letters, with digits about ``digit`` pixels high."""
        fonts = self.styles.fonts.handwritten if handwritten else self.styles.fonts.printed
        font = pick(self.rng, fonts)
        for _ in range(9):
            if "a" not in font.letters:
                font = pick(self.rng, fonts)
        fine = 1 if self.look == "screen" else SCAN
        return SizedFont(font, digit, fine, mode=self._mode)

    def pen(self, digit: float, *, letters: bool = False) -> Handwriting:
        """Random handwriting with digits about ``digit`` pixels high."""
        return Handwriting(self.styles.by_hand(self.rng, letters=letters), digit, self.rng)


def _draw_palette(look: str, rng: Rng) -> dict[str, Colour]:
    paper, ink = readable_colours(rng)
    if rng.random() < 0.75:
        level = 255.0 if look == "screen" and rng.random() < 0.7 else rng.uniform(205, 255)
        paper = np.clip(level + rng.normal(0, 4, 3), 0, 255).astype(np.float32)
        ink = np.clip(rng.uniform(0, 70) + rng.normal(0, 10, 3), 0, 255).astype(np.float32)
    rule, pen = mix_colours(paper, ink, rng.uniform(0.15, 1)), ink
    if rng.random() >= 0.3:
        other = rng.uniform(0, 150, 3).astype(np.float32)
        if float(np.abs(other - paper).mean()) > 90:  # enough contrast
            pen = other
    colours = {"paper": paper, "ink": ink, "rule": rule, "pen": pen}
    return {**colours, "light": paper, "shade": mix_colours(paper, ink, 0.12)}


def _column(rng: Rng) -> tuple[texts.Grammar, float]:
    """The grammar of the cells of one column, and their alignment."""
    low, high = sorted(int(v) for v in rng.integers(1, 6, 2))
    decimals, mark = int(rng.integers(1, 4)), pick(rng, "..,")
    sign, suffix = pick(rng, ["", "", "", "-", "$", "€"]), pick(rng, ["", "", "", "%", " €"])
    options: list[texts.Grammar] = [
        lambda r: texts.natural(r, low, high),
        lambda r: sign + texts.natural(r, low, high) + mark + texts.digits(r, decimals) + suffix,
        lambda r: texts.natural(r, 1, 3) + mark + texts.digits(r, 2),
        lambda r: pick(r, ["", "-", "-", "+"]) + texts.natural(r, 1, 3),
        texts.thousands,
        texts.percent,
        texts.date,
        texts.time,
        texts.serial,
        texts.word,
    ]
    shares = np.array([6, 5, 4, 1, 2, 1, 1, 1, 0.7, 1])
    index = int(rng.choice(len(options), p=shares / shares.sum()))
    return options[index], 0.0 if index > 5 else pick(rng, [1.0, 1.0, 0.5, 0.0])


def draw_table(desk: Desk) -> None:
    """A table, with or without a header and rules."""
    rng = desk.rng
    face = desk.type(desk.size(7, 40))
    head = face if rng.random() < 0.5 else desk.type(face.digit * rng.uniform(0.9, 1.3))
    rows, columns = round(desk.size(3, 40)), round(desk.size(1, 12.4))
    pitch, gap = face.digit * rng.uniform(1.45, 3), face.digit * rng.uniform(0.8, 3)
    grids, widths, alignments = list[list[Run]](), list[float](), list[float]()
    for index in range(columns):
        grammar, align = (texts.word, 0.0) if not index and rng.random() < 0.4 else _column(rng)
        empty = pick(rng, [0, 0, 0.1])
        cells = [face.run("-" if rng.random() < empty else grammar(rng)) for _ in range(rows)]
        header = head.run(texts.word(rng))
        width = max(run.width for run in (*cells, header)) + gap
        if sum(widths) + width > _WIDEST * 0.94 and widths:
            break
        grids.append([header, *cells])
        widths.append(width)
        alignments.append(align)
    title = rng.random() < 0.25
    left, top = (float(v) for v in rng.uniform(6, 40, 2))
    top += 2 * head.digit if title else 0
    rows = min(rows + 1, int((_HIGHEST - top - 10) / pitch))
    edges = [left + sum(widths[:index]) for index in range(len(widths) + 1)]
    canvas = desk.open(edges[-1] + rng.uniform(6, 60), top + rows * pitch + rng.uniform(6, 60))
    if title:
        canvas.put(desk.type(head.digit * 1.3).run(texts.phrase(rng)), left, top - 0.6 * head.digit)
    first = 0 if rng.random() < 0.75 else 1  # without a header
    is_inverted = not first and rng.random() < 0.15
    if is_inverted:
        canvas.fill(edges[0], top, edges[-1], top + pitch, desk.colours["ink"])
    elif rng.random() < 0.3:
        canvas.fill(edges[0], top, edges[-1], top + pitch, desk.colours["shade"])
    if rng.random() < 0.2:
        for row in range(2, rows, 2):
            y = top + row * pitch
            canvas.fill(edges[0], y, edges[-1], y + pitch, desk.colours["shade"])
    _table_rules(desk, edges, top, pitch, rows)
    for grid, align, x0, x1 in zip(grids, alignments, edges, edges[1:], strict=False):
        x = x0 + gap / 2 + align * (x1 - x0 - gap)
        for row in range(first, rows):
            y = top + row * pitch + (pitch + face.digit) / 2
            canvas.put(grid[row], x, y, "light" if is_inverted and not row else "ink", align)


def _table_rules(desk: Desk, edges: Sequence[float], top: float, pitch: float, rows: int) -> None:
    canvas, thick, kind = desk.canvas, pick(desk.rng, [1, 1, 2]), desk.rng.random()
    if kind < 0.3:
        return
    for row in range(rows + 1):
        if kind > 0.5 or row in (0, 1, rows):
            canvas.rule(edges[0], top + row * pitch, edges[-1], top + row * pitch, thick)
    for x in edges if kind > 0.65 else ():
        canvas.rule(x, top, x, top + rows * pitch, thick)


def draw_receipt(desk: Desk) -> None:
    """A receipt: items and prices, totals, tax, a date, the last digits of a card."""
    rng = desk.rng
    face = desk.type(desk.size(7, 20))
    wide = face.digit * rng.uniform(20, 34)
    pitch, point = face.digit * rng.uniform(1.45, 2.2), pick(rng, "..,")
    upper, suffix = rng.random() < 0.5, pick(rng, ["", "", " A", " €", "*"])

    def price() -> str:
        return texts.natural(rng, 1, 3) + point + texts.digits(rng, 2) + suffix

    def item() -> tuple[str, str]:
        name = " ".join(texts.word(rng) for _ in range(int(rng.integers(1, 3))))
        count, number = texts.natural(rng, 1, 1), texts.natural(rng, 1, 2)
        start = pick(rng, ["", "", f"{count} x ", f"{number} "])
        if rng.random() < 0.15:
            return f"{texts.natural(rng, 1, 2)} x {price()}", price()
        return start + (name.upper() if upper else name), price()

    def add(share: float, left: str, right: str) -> None:
        """Adds a row to a fraction of the receipts."""
        if rng.random() < share:
            rows.append((left, right))

    header = texts.words(rng), texts.word(rng) + " " + texts.natural(rng, 1, 3)
    rows: list[tuple[str, str]] = [("", text) for text in header]
    add(0.4, "", texts.grouped(rng))
    add(0.5, "", texts.phone(rng))
    add(0.8, texts.date(rng), texts.time(rng))
    rows.append(("-", ""))
    rows += [item() for _ in range(round(desk.size(2, 18)))] + [("-", "")]
    for word in ("Subtotal", "Total", "Summe", "Tax", "MwSt.", "Cash", "Change", "Visa"):
        if rng.random() < 0.45:
            tax = f"{texts.natural(rng, 1, 2)}{pick(rng, ['', point + texts.digit(rng)])}%"
            rows.append((f"{word} {tax}" if word in ("Tax", "MwSt.") else word, texts.money(rng)))
    add(0.3, "*" * 12 + texts.digits(rng, 4), "")
    add(0.7, "", texts.words(rng))
    margin = face.digit * rng.uniform(0.6, 2.5)
    canvas = desk.open(wide + 2 * margin, len(rows) * pitch + 2 * margin)
    wide = canvas.width - 2 * margin
    large_font = desk.type(face.digit * rng.uniform(1.2, 1.7)) if rng.random() < 0.4 else face
    for row, (left, right) in enumerate(rows):
        y = margin + (row + 0.8) * pitch
        if left == "-":
            _separator(desk, face, margin, wide, y)
        elif not left:
            canvas.put(face.run(right), canvas.width / 2, y, align=0.5)
        else:
            font = large_font if left in ("Total", "Summe") else face
            end, start = font.run(right), font.run(left)
            canvas.put(end, margin + wide, y, align=1)
            if start.width + end.width + face.digit < wide:
                canvas.put(start, margin, y)


def _separator(desk: Desk, face: Typesetter, x: float, width: float, y: float) -> None:
    char = pick(desk.rng, "-=*-")
    run = face.run(char)
    if desk.rng.random() < 0.6 and run.width:
        desk.canvas.put(face.run(char * int(width / run.width)), x, y)
    elif desk.rng.random() < 0.7:
        desk.canvas.rule(x, y - face.digit / 2, x + width, y - face.digit / 2)


def _flow_text(
    desk: Desk, face: Typesetter, words: list[str], corner: tuple[float, float, float], pitch: float
) -> float:
    """Sets words in lines at ``corner`` (x, y, width); returns the next line's baseline."""
    x, y, width = corner
    line = ""
    for word in [*words, ""]:
        extended = f"{line} {word}".strip()
        if word and face.run(extended).width < width:
            line = extended
            continue
        if line:
            desk.canvas.put(face.run(line), x, y)
            y += pitch
        line = word
    return y


def _prose(desk: Desk, count: int, numbers: float) -> list[str]:
    rng = desk.rng
    words = list[str]()
    for _ in range(count):
        word = texts.print_number(rng) if rng.random() < numbers else texts.word(rng)
        word = word.lower() if word.isupper() and rng.random() < 0.7 else word
        words += (word.replace(texts.GAP, " ") + pick(rng, ["", "", "", "", "", ",", "."])).split()
    return words


def _paragraphs(desk: Desk, numbers: float, *, handwritten: bool = False) -> None:
    rng = desk.rng
    digit = desk.size(7, 40)
    face = desk.type(digit, handwritten=handwritten)
    pitch = face.digit * rng.uniform(1.6, 2.6)
    width, height = face.digit * desk.size(16, 80), pitch * desk.size(3, 44)
    canvas = desk.open(width, height)
    margin = face.digit * rng.uniform(0.6, 3)
    y = margin + pitch
    while y < canvas.height - 0.5 * pitch:
        if rng.random() < 0.25:
            title_font = desk.type(face.digit * rng.uniform(1.1, 1.8))
            title = _prose(desk, int(rng.integers(1, 5)), 2 * numbers)
            room = canvas.width - 2 * margin
            y = _flow_text(desk, title_font, title, (margin, y + face.digit, room), 1.3 * pitch)
        words = _prose(desk, int(rng.integers(8, 60)), numbers)
        y = _flow_text(desk, face, words, (margin, y, canvas.width - 2 * margin), pitch)
        y += pitch * pick(rng, [0, 0.5, 1])


def draw_paragraph(desk: Desk) -> None:
    """Running text with numbers among the words."""
    _paragraphs(desk, desk.rng.uniform(0.08, 0.5), handwritten=desk.rng.random() < 0.12)


def draw_letter(desk: Desk) -> None:
    """A letter or an invoice: addresses, a date, amounts, an account and a telephone number."""
    rng = desk.rng
    face = desk.type(desk.size(7, 14))
    digit = face.digit
    pitch, wide = digit * rng.uniform(1.6, 2.2), digit * rng.uniform(45, 70)
    canvas = desk.open(wide, wide * rng.uniform(0.8, 1.42))
    margin, end, y = 4 * digit, canvas.width - 4 * digit, 6 * digit
    for text in (
        texts.words(rng),
        f"{texts.word(rng).capitalize()} {texts.natural(rng, 1, 3)}",
        f"{texts.digits(rng, int(rng.integers(4, 6)))} {texts.word(rng).capitalize()}",
    ):
        canvas.put(face.run(text), margin, y)
        right = pick(rng, [f"Tel. {texts.phone(rng)}", texts.labelled(rng), texts.word(rng)])
        canvas.put(face.run(right), end, y, align=1)
        y += pitch
    canvas.put(face.run(texts.date(rng)), end, y + pitch, align=1)
    title = desk.type(digit * rng.uniform(1.1, 1.6))
    subject = pick(rng, ["Invoice No. ", "Rechnung Nr. ", "Order ", "Subject: ", "Facture "])
    canvas.put(title.run(subject + texts.serial(rng)), margin, y + 3 * pitch)
    words = _prose(desk, int(rng.integers(12, 60)), 0.12)
    y = _flow_text(desk, face, words, (margin, y + 5 * pitch, end - margin), pitch) + pitch
    point = pick(rng, "..,")
    for row in range(round(desk.size(1, 10))):
        amount = texts.natural(rng, 1, 4) + point + texts.digits(rng, 2)
        canvas.put(face.run(f"{row + 1}  {texts.words(rng)}"), margin, y)
        canvas.put(face.run(texts.natural(rng, 1, 2)), margin + 0.6 * (end - margin), y)
        canvas.put(face.run(amount), end, y, align=1)
        y += pitch
    canvas.rule(margin, y - 0.8 * digit, end, y - 0.8 * digit)
    canvas.put(face.run("Total"), margin, y + pitch)
    canvas.put(face.run(texts.money(rng)), end, y + pitch, align=1)
    groups = " ".join(texts.digits(rng, 4) for _ in range(4))
    account = f"IBAN {pick(rng, ['DE', 'FR', 'CH', 'GB'])}{texts.digits(rng, 2)} {groups}"
    if y < canvas.height - 5 * pitch:
        canvas.put(face.run(account), margin, canvas.height - 2 * pitch)
        canvas.put(face.run(texts.phone(rng)), end, canvas.height - 2 * pitch, align=1)


def draw_words(desk: Desk) -> None:
    """Text without digits: prose, letters that look like digits, handwritten words."""
    rng, kind = desk.rng, desk.rng.random()
    if kind < 0.45:
        _paragraphs(desk, 0.0, handwritten=rng.random() < 0.3)
        return
    by_hand = kind > 0.7
    digit = desk.size(9, 60)
    face = desk.pen(max(digit, 14), letters=True) if by_hand else desk.type(digit)
    grammar = texts.shapes if not by_hand and rng.random() < 0.5 else texts.only_words
    lines = [face.run(grammar(rng)) for _ in range(round(desk.size(1, 12)))]
    pitch = face.digit * rng.uniform(1.7, 2.6)
    margin = face.digit * rng.uniform(0.6, 2)
    canvas = desk.open(max(run.width for run in lines) + 3 * margin, pitch * (len(lines) + 1))
    for row, run in enumerate(lines):
        x = margin + rng.uniform(0, 1) * max(0.0, canvas.width - 2 * margin - run.width)
        canvas.put(run, x, (row + 1) * pitch, "pen" if by_hand else "ink")


def draw_form(desk: Desk) -> None:
    """A form of labelled fields, boxes and combs, filled in by hand or print, a few empty."""
    rng = desk.rng
    small = desk.type(desk.size(7, 13))
    digit = max(small.digit * rng.uniform(1.1, 2.2), 12.0)
    by_hand = rng.random() < 0.7
    face: Typesetter = desk.pen(digit) if by_hand else desk.type(digit)
    layer = "pen" if by_hand else "ink"
    columns, rows = int(rng.integers(1, 3)), round(desk.size(2, 14))
    pitch, is_above = digit * rng.uniform(2.8, 4), rng.random() < 0.5
    field_width = digit * rng.uniform(14, 20) + (0 if is_above else small.digit * 9)
    columns = max(1, min(columns, int(_WIDEST / (field_width + digit))))
    margin = rng.uniform(10, 40)
    canvas = desk.open(columns * field_width + 2 * margin, (rows + 1) * pitch + 2 * margin)
    canvas.put(desk.type(digit).run(texts.words(rng)), margin, margin + digit)
    kind = int(rng.integers(4))
    for index in range(columns * rows):
        x = margin + index % columns * field_width
        y = margin + (index // columns + 2) * pitch
        label = small.run(texts.word(rng).capitalize() + pick(rng, ["", ":", ":"]))
        if is_above:
            canvas.put(label, x, y - 1.45 * digit)
        elif canvas.put(label, x, y):
            x += max(small.digit * 9, label.width + digit)
        end = margin + (index % columns + 1) * field_width - digit
        style = kind if rng.random() < 0.7 else int(rng.integers(4))
        _draw_field(desk, face, (x, y, end), style, layer)


_NUMBERS = (texts.hand_number, texts.date, texts.comb, texts.amount)
_FIELDS: tuple[texts.Grammar, ...] = (*_NUMBERS, texts.phone, texts.plain, texts.serial)


def _draw_field(
    desk: Desk, face: Typesetter, extent: tuple[float, float, float], style: int, layer: str
) -> None:
    """Draws one field: its text in a comb, in a box, on a line, or bare."""
    rng, canvas, (x, y, end) = desk.rng, desk.canvas, extent
    digit, filled = face.digit, rng.random() < 0.88
    if end - x < 3 * digit:
        return
    low, high = y + 0.3 * digit, y - 1.3 * digit
    if style == 0:
        cell = digit * rng.uniform(0.95, 1.5)
        count = min(12, int((end - x) / cell))
        closed = rng.random() < 0.6
        for k in range(count + 1):
            canvas.rule(x + k * cell, high if closed else low - 0.3 * digit, x + k * cell, low)
        canvas.rule(x, low, x + count * cell, low)
        if closed:
            canvas.rule(x, high, x + count * cell, high)
        text = texts.comb(rng)[:count]
        if filled:
            run = face.run(text, cell)
            canvas.put(run, x + int(rng.integers(count - len(text) + 1)) * cell, y, layer)
        return
    if style == 1:
        canvas.frame(x, high, end, low, pick(rng, [1, 1, 2]))
    elif style == 2:
        canvas.rule(x, low, end, low)
    run = face.run(pick(rng, _FIELDS)(rng))
    if filled and run.width < end - x:
        canvas.put(run, x + 0.3 * digit, y, layer)


Layout = Callable[[Desk], None]

# Fraction of all documents, and the layout, of each kind.
LAYOUTS: dict[str, tuple[float, Layout]] = {
    "table": (0.16, draw_table),
    "receipt": (0.12, draw_receipt),
    "paragraph": (0.1, draw_paragraph),
    "form": (0.12, draw_form),
    "letter": (0.08, draw_letter),
    "words": (0.08, draw_words),
}
