"""Draws documents from a seed: tables, receipts, forms, signs and pages without numbers.

Each has labels: the box of every digit and every line of text. Layouts are in ``document_layouts``
and here; this module also colours, scans or photographs the page.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.synthetic import displays, document_layouts, papers, texts
from digitlens.datasets.synthetic.camera import CameraView, compress, light, photograph
from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.document_layouts import Desk, Layout
from digitlens.datasets.synthetic.drawing import (
    Boxes,
    Colour,
    Matrix,
    Pixels,
    Plane,
    Points,
    Rng,
    Values,
    about_point,
    blend,
    blur,
    fill,
    pick,
    project,
    rectangle,
    rotation,
)
from digitlens.datasets.synthetic.objects import readable_colours, soften
from digitlens.datasets.synthetic.styles import Maker
from digitlens.datasets.synthetic.typesetting import Dots, PrintedPage, TextRow, Typesetter

_WEEK = ("Mo Tu We Th Fr Sa Su", "Mo Di Mi Do Fr Sa So", "S M T W T F S", "L M M J V S D")


def draw_price(desk: Desk) -> None:
    """Price tags on a shelf, often with raised cents."""
    rng = desk.rng
    digit, count = desk.size(20, 75), int(rng.integers(1, 4))
    big, small = desk.type(digit), desk.type(max(7.5, digit * rng.uniform(0.14, 0.3)))
    wide, high = digit * rng.uniform(4.2, 5.5), digit * rng.uniform(2.3, 3.2)
    margin = rng.uniform(4, 30)
    canvas = _scene(desk, count * (wide + margin) + margin, high + 2 * margin)
    paper, light = desk.colours["paper"], rng.random() < 0.5
    for index in range(count):
        x, y = margin + index * (wide + margin), margin
        canvas.fill(x, y, x + wide, y + high, paper)
        if light:
            canvas.frame(x, y, x + wide, y + high)
        edge = 0.6 * small.digit
        canvas.put(small.run(texts.words(rng)), x + edge, y + edge + 1.2 * small.digit)
        price = texts.raised_price(rng) if rng.random() < 0.7 else texts.money(rng)
        position = x + wide - edge, y + high / 2 + 0.6 * digit
        if not _put_if_fits(desk, big, price, position, wide):
            _put_if_fits(desk, big, texts.natural(rng, 1, 2), position, wide)
        unit = f"{pick(rng, ['1', '100', '10', '1'])} {pick(rng, ['kg', 'g', 'l', 'St.'])} = "
        low = y + high - edge
        canvas.put(small.run(unit + texts.money(rng)), x + edge, low)
        if rng.random() < 0.5:
            _put_if_fits(desk, small, texts.digits(rng, 6), (x + wide - edge, low), 0.35 * wide)


def _put_if_fits(
    desk: Desk,
    face: Typesetter,
    text: str,
    position: tuple[float, float],
    max_width: float,
    align: float = 1,
) -> bool:
    """Puts a text at a position unless it is wider than ``max_width``; returns whether it did."""
    run = face.run(text)
    return run.width < 0.95 * max_width and desk.canvas.put(run, *position, align=align)


def draw_label(desk: Desk) -> None:
    """A plate or label with serial numbers and ratings, often framed."""
    rng = desk.rng
    face, pitch = desk.type(desk.size(8, 36)), rng.uniform(1.6, 2.6)
    pitch *= face.digit
    names, rows = texts.WORDS["fields"], round(desk.size(2, 10))
    margin, columns = 1.5 * face.digit, int(rng.integers(1, 3))
    wide = face.digit * rng.uniform(11, 16)
    canvas = desk.open(columns * wide + 2 * margin, (rows + 0.6) * pitch + 2 * margin)
    if rng.random() < 0.7:
        edge = 0.5 * face.digit
        thick = pick(rng, [1, 2, 3])
        canvas.frame(edge, edge, canvas.width - edge, canvas.height - edge, thick)
    title_font = desk.type(1.3 * face.digit)
    canvas.put(title_font.run(texts.words(rng).upper()), margin, margin + face.digit)
    for index in range(columns * rows):
        x, y = margin + index % columns * wide, margin + (index // columns + 1.6) * pitch
        value = pick(rng, [texts.serial(rng), texts.serial(rng), texts.measured(rng)])
        value = pick(rng, [value, texts.plain(rng), texts.date(rng), texts.span(rng), value])
        text = pick(rng, names) + pick(rng, [" ", ": ", ":"]) + value
        if face.run(text).width < wide - face.digit:
            canvas.put(face.run(text), x, y)
        if rng.random() < 0.1:
            canvas.rule(x, y + 0.3 * face.digit, x + wide - face.digit, y + 0.3 * face.digit)


def draw_pack(desk: Desk) -> None:
    """A date, lot number or time, printed on a package in dots or type."""
    rng = desk.rng
    digit = desk.size(9, 40)
    face: Typesetter = Dots(digit, rng) if rng.random() < 0.65 else desk.type(digit)
    lines = [face.run(texts.expiry(rng)) for _ in range(int(rng.integers(1, 5)))]
    pitch, wide = digit * rng.uniform(1.4, 2.2), max(run.width for run in lines)
    canvas = _scene(desk, wide + digit * desk.size(2, 12), pitch * len(lines) + desk.size(40, 300))
    for _ in range(int(rng.integers(3))):
        name = desk.type(desk.size(10, 60)).run(texts.words(rng))
        above = canvas.height - pitch * len(lines) - 2 * digit
        canvas.put(name, rng.uniform(0, 0.5) * canvas.width, rng.uniform(0.2, 0.9) * above, "rule")
    x, y = rng.uniform(0.1, 0.9) * (canvas.width - wide), canvas.height - pitch * len(lines)
    left, top = max(0, int(x - digit)), max(0, int(y - 1.5 * digit))
    right = min(canvas.width, int(x + wide + digit)) if rng.random() < 0.5 else canvas.width
    paper = desk.colours["paper"]
    surface = soften(papers.draw_paper(right - left, canvas.height - top, paper, rng), paper, 12)
    canvas.fill(left, top, right, canvas.height, surface)
    if "rule" in canvas.layers:
        canvas.layers["rule"][top:, left:right] = 0
    for row, run in enumerate(lines):
        canvas.put(run, x, y + row * pitch + 0.3 * digit)


def draw_display(desk: Desk) -> None:
    """A device or a scoreboard with lit digits on one or more panels."""
    rng = desk.rng
    digit, columns, rows = desk.size(16, 90), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    if digit > 50:
        columns, rows = 1, min(rows, 2)
    small = desk.type(max(8.0, digit * rng.uniform(0.2, 0.45)))
    cell = digit * rng.uniform(4.5, 6.5), digit * rng.uniform(2.4, 3.2)
    margin = rng.uniform(5, 0.8 * cell[1])
    canvas = _scene(desk, columns * cell[0] + 2 * margin, rows * cell[1] + 2 * margin)
    pad = margin * rng.uniform(0.2, 1)
    housing = desk.colours["paper"]
    canvas.fill(pad, pad, canvas.width - pad, canvas.height - pad, housing)
    style, is_uniform = displays.draw_segments(rng), rng.random() < 0.7
    for index in range(columns * rows):
        x = margin + index % columns * cell[0]
        y = margin + index // columns * cell[1] + 1.6 * small.digit
        room = margin + (index // columns + 1) * cell[1] - y
        size = min(digit, 0.5 * room)
        text = texts.display(rng)
        for _ in range(9):
            if len(text) * style.pitch * size < cell[0] - 1.2 * size:
                break
            text = texts.display(rng)
        else:
            text = texts.digits(rng, 2)
        _paint_panel(desk, text, style if is_uniform else displays.draw_segments(rng), (x, y, size))
        label = texts.word(rng) if rng.random() < 0.7 else texts.phrase(rng)
        _put_if_fits(desk, small, label, (x, y - 3), cell[0], 0.0)


def _paint_panel(
    desk: Desk, text: str, style: displays.Segments, place: tuple[float, float, float]
) -> None:
    """Paints one display with its top left corner at ``place`` (x, y, digit); records its text."""
    rng, (x, y, digit) = desk.rng, place
    panel = displays.seven_segments(text, style, rng)
    low, high = np.array(panel.extent).reshape(2, 2)
    edge = rng.uniform(0.12, 0.5, 2)
    size = np.ceil((high - low + 2 * edge) * digit).astype(int)
    left, top = round(x), round(y)
    width = min(int(size[0]), desk.canvas.width - left)
    height = min(int(size[1]), desk.canvas.height - top)
    if width < size[0] or height < size[1]:
        return
    corner = (edge - low) * digit
    matrix = np.array([[digit, 0, corner[0]], [0, digit, corner[1]], [0, 0, 1]])
    window = low[0] - edge[0], low[1] - edge[1], high[0] + edge[0], high[1] + edge[1]
    plane = displays.show(panel, CameraView(width, height, matrix, window, digit), rng)
    desk.canvas.fill(left, top, left + width, top + height, np.clip(plane, 0, 255))
    chars, start = list[tuple[str, Points]](), 0
    for char in text:
        count = {".": 1, ",": 1, ":": 2}.get(char, 7)
        segments = panel.segments[start : start + count]
        start += count
        lit = [s.outline * digit + corner + (left, top) for s in segments if s.lit]
        chars.append((char, np.rint(np.concatenate(lit)) if lit else np.zeros((0, 2))))
    desk.canvas.record_line(chars)


def draw_sign(desk: Desk) -> None:
    """One large number on a plate or a wall in a scene."""
    rng = desk.rng
    face = desk.type(desk.size(30, 170), handwritten=rng.random() < 0.1)
    run = face.run(texts.plate(rng) if rng.random() < 0.6 else texts.natural(rng, 1, 3))
    margins = rng.uniform(0.2, 2.5, 2) * face.digit
    canvas = _scene(desk, run.width + 2 * margins[0], face.digit + 2 * margins[1])
    room = canvas.width - run.width, canvas.height - face.digit
    x, y = rng.uniform(0.2, 0.8) * room[0], rng.uniform(0.2, 0.8) * room[1] + face.digit
    pad = face.digit * rng.uniform(0.15, 0.5)
    corners = x - pad, y - face.digit - pad, x + run.width + pad, y + pad
    canvas.fill(*corners, desk.colours["paper"])
    if rng.random() < 0.4:
        thick, inset = max(1, round(0.04 * face.digit)), 0.4 * pad
        a, b, c, d = corners
        canvas.frame(a + inset, b + inset, c - inset, d - inset, thick)
    canvas.put(run, x, y)
    small = desk.type(max(8.0, 0.25 * face.digit))
    if rng.random() < 0.3:
        canvas.put(small.run(texts.words(rng)), x, y + pad + 1.5 * small.digit)


def draw_calendar(desk: Desk) -> None:
    """A calendar of one month, a few, or the whole year."""
    rng = desk.rng
    columns, rows = ((1, 1), (1, 1), (2, 1), (3, 1), (4, 3), (3, 4))[int(rng.integers(6))]
    face = desk.type(desk.size(7, 40 / columns) if columns > 1 else desk.size(8, 32))
    cell = face.digit * rng.uniform(2, 3), face.digit * rng.uniform(1.7, 2.8)
    month_width, month_height = cell[0] * 7.6, cell[1] * 8.4
    canvas = desk.open(columns * month_width + cell[0], rows * month_height + cell[1])
    week = pick(rng, _WEEK).split()
    style = bool(rng.random() < 0.4), pick(rng, [0.5, 1.0])
    year, first = str(rng.integers(1950, 2040)), int(rng.integers(12))
    title = desk.type(face.digit * rng.uniform(1, 1.6))
    for index in range(columns * rows):
        x = cell[0] / 2 + index % columns * month_width
        y = cell[1] / 2 + index // columns * month_height
        name = texts.WORDS["calendar_months"][(first + index) % 12]
        canvas.put(title.run(f"{name} {year}" if rng.random() < 0.7 else name), x, y + face.digit)
        _draw_month(desk, face, (x, y + cell[1]), cell, week, style)


def _draw_month(
    desk: Desk,
    face: Typesetter,
    corner: tuple[float, float],
    cell: tuple[float, float],
    week: Sequence[str],
    style: tuple[bool, float],
) -> None:
    """Draws the days of the week and month; ``style`` is (boxed, alignment in the cell)."""
    rng, canvas, (boxed, align) = desk.rng, desk.canvas, style
    start, days = int(rng.integers(7)), pick(rng, [28, 30, 31])
    marked_index = int(rng.integers(7, 40))
    for index, text in [*enumerate(week), *((7 + start + d, str(d + 1)) for d in range(days))]:
        left, top = corner[0] + index % 7 * cell[0], corner[1] + index // 7 * cell[1]
        if boxed:
            canvas.frame(left, top, left + cell[0], top + cell[1])
        if index == marked_index:
            canvas.fill(left, top, left + cell[0], top + cell[1], desk.colours["shade"])
        edge = left + cell[0] * (0.15 + 0.7 * align)
        canvas.put(face.run(text), edge, top + (cell[1] + face.digit) / 2, align=align)


def draw_sudoku(desk: Desk) -> None:
    """A Sudoku grid with some of its digits, sometimes part of them handwritten."""
    rng = desk.rng
    face = desk.type(desk.size(11, 44))
    pen = desk.pen(face.digit)
    cell, margin = face.digit * rng.uniform(1.5, 2.4), rng.uniform(4, 40)
    canvas = desk.open(9 * cell + 2 * margin, 9 * cell + 2 * margin)
    end, thick = margin + 9 * cell, pick(rng, [2, 3, 4])
    for k in range(10):
        position, thickness = margin + k * cell, thick if k % 3 == 0 else 1
        canvas.rule(margin, position, end, position, thickness)
        canvas.rule(position, margin, position, end, thickness)
    printed = rng.uniform(0.25, 0.55)
    by_hand = pick(rng, [0, 0, 0.2, 0.5])
    for index in range(81):
        kind = rng.random()
        if kind < printed + by_hand:
            x = margin + (index % 9 + 0.5) * cell
            y = margin + (index // 9 + 0.5) * cell + face.digit / 2
            writer, layer = (pen, "pen") if kind > printed else (face, "ink")
            canvas.put(writer.run(str(rng.integers(1, 10))), x, y, layer, 0.5)


def draw_clutter(desk: Desk) -> None:
    """Surfaces, scenes and scribbles without text."""
    rng = desk.rng
    canvas = _scene(desk, desk.size(200, 900), desk.size(120, 700))
    if rng.random() < 0.25:
        scribbles = Canvas(canvas.width, canvas.height, np.eye(3))
        papers.draw_scribbles(scribbles, rng)
        canvas.layer("ink")[:] = scribbles.ink


def _outdoor_scene(width: int, height: int, rng: Rng) -> Plane:
    """A gradient with noise at all scales, as in photographs, and often rows of rectangles."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ramp = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle) + 0.5
    first, second = rng.uniform(20, 235, (2, 3)).astype(np.float32)
    plane = first + np.clip(ramp, 0, 1)[:, :, None].astype(np.float32) * (second - first)
    if rng.random() < 0.55:
        _windows(plane, rng)
    if rng.random() < 0.5:
        plane = blur(plane, rng.uniform(0.5, 4))
    level, decay = rng.uniform(5, 40), rng.uniform(0.4, 1)
    for cells in (2, 4, 8, 16, 32, 64, 128):
        tint = rng.uniform(0.6, 1, 3).astype(np.float32) * np.float32(level * (cells / 2) ** -decay)
        plane = plane + papers.noise_field(width, height, cells, rng)[:, :, None] * tint
    return np.asarray(plane, np.float32)


def _windows(plane: Plane, rng: Rng) -> None:
    """Draws rows of rectangles, like windows, bricks, fences and shelves."""
    height, width = plane.shape[:2]
    pitch = np.exp(rng.uniform(np.log(8), np.log(120), 2))
    filled = rng.uniform(0.2, 0.95, 2)
    colours = rng.uniform(0, 255, (3, 3))
    bounds = np.sort(rng.uniform(0, 1, (2, 2)), axis=0) * (width, height)
    for row, y in enumerate(np.arange(bounds[0, 1], bounds[1, 1], pitch[1])):
        for x in np.arange(bounds[0, 0] + row % 2 * pitch[0] * 0.5, bounds[1, 0], pitch[0]):
            colour = colours[int(rng.integers(3))] + rng.normal(0, 10, 3)
            end = int(x + filled[0] * pitch[0]), int(y + filled[1] * pitch[1])
            cv2.rectangle(plane, (int(x), int(y)), end, colour.tolist(), -1)


def _scene(desk: Desk, width: float, height: float) -> PrintedPage:
    """Opens a page on a wall, paper or scene that extends beyond the picture."""
    size = min(1000, max(160, round(width))), min(1000, max(100, round(height)))
    colour: Colour = readable_colours(desk.rng)[0]
    kind = desk.rng.random()
    if kind < 0.4:
        ground = _outdoor_scene(*size, desk.rng)
    else:
        ground = papers.draw_paper(*size, colour, desk.rng, wild=kind < 0.75)
    desk.filled = True
    return desk.open(*size, ground=ground)


# Fraction of all documents, and the layout, of each kind.
_SCENES: dict[str, tuple[float, Layout]] = {
    "price": (0.04, draw_price),
    "label": (0.05, draw_label),
    "pack": (0.04, draw_pack),
    "display": (0.06, draw_display),
    "sign": (0.05, draw_sign),
    "calendar": (0.04, draw_calendar),
    "sudoku": (0.03, draw_sudoku),
    "clutter": (0.06, draw_clutter),
}


_LAYOUTS = document_layouts.LAYOUTS | _SCENES
KINDS = {name: share for name, (share, _) in _LAYOUTS.items()}
NO_DIGITS = frozenset({"words", "clutter"})  # kinds without digits
_SHIFTED = 0.05  # fraction of documents that are shifted, so that edges are cut off


class SyntheticDocument(NamedTuple):
    """A generated page of print or a form."""

    pixels: Pixels  # uint8[H, W, 3]
    # float32[N, 4]; x0, y0, x1, y1 of each digit in pixels, half-open, in the order of the lines.
    boxes: Boxes
    # int8[N]; 0 to 9, or -1 for "ignore": cut digits, a lone letter O.
    values: Values
    lines: tuple[TextRow, ...]  # every line of text; each cell of a table is a line
    kind: str  # for example a key of ``KINDS``


class DocumentMaker(Maker):
    """Draws documents; the same seed, number and kind produce the same document."""

    def document(self, number: int, *, kind: str | None = None) -> SyntheticDocument:
        """Draws one document of the given kind or a random one; ValueError unless in ``KINDS``."""
        kind, rng = self._pick_kind(number, kind, KINDS, zlib.crc32((kind or "").encode()))
        desk = Desk(self._styles, rng)
        _LAYOUTS[kind][1](desk)
        return render_page(desk, kind)


def render_page(desk: Desk, kind: str) -> SyntheticDocument:
    """Renders the laid-out page as a screenshot, scan or photograph, with its labels."""
    canvas, rng = desk.canvas, desk.rng
    plane, height, width = _apply_colours(desk), canvas.height, canvas.width
    matrix = _draw_view(desk)
    if not np.array_equal(matrix, np.eye(3)):
        plane = _warp_page(plane, matrix, desk)
    if desk.look == "photo":
        plane = light(plane, rng)
    if desk.look == "screen":
        pixels = np.rint(np.clip(plane, 0, 255)).astype(np.uint8)
        pixels = compress(pixels, int(rng.integers(55, 96))) if rng.random() < 0.3 else pixels
    else:
        pixels = photograph(plane, canvas.smallest, rng)
    return SyntheticDocument(pixels, *canvas.labels(matrix, width, height), kind)


def _apply_colours(desk: Desk) -> Plane:
    plane, rng = desk.canvas.ground, desk.rng
    fringes = desk.look == "screen" and rng.random() < 0.12
    for name, ink in desk.canvas.layers.items():
        colour = desk.colours[name]
        if desk.look != "screen":
            plane = papers.put_ink(plane, ink, colour, rng)
            continue
        alpha = ink[:, :, None].astype(np.float32) / 255
        if fringes and name == "ink":  # subpixels: red and blue are shifted by a third of a pixel
            alpha = np.repeat(alpha, 3, axis=2)
            for channel, shift in ((0, 1), (2, -1)):
                shifted = np.roll(alpha[:, :, channel], shift, axis=1)
                alpha[:, :, channel] = (2 * alpha[:, :, channel] + shifted) / 3
        plane = np.asarray(plane + alpha * (colour - plane), np.float32)
    return plane


def _draw_view(desk: Desk) -> Matrix:
    """The homography from page to picture: identity, a slight rotation, perspective, or a shift."""
    rng, width, height = desk.rng, desk.canvas.width, desk.canvas.height
    view = np.eye(3)
    if desk.look == "scan" and rng.random() < 0.5:
        view = rotation(rng.normal(0, 0.012))
    elif desk.look == "photo":
        scale = rng.uniform(0.86, 1.0)
        tilt = np.diag([scale, scale, 1.0])
        tilt[2, :2] = rng.uniform(-0.22, 0.22, 2) / (width, height)
        view = tilt @ rotation(float(np.clip(rng.normal(0, 0.05), -0.15, 0.15)))
    if rng.random() < _SHIFTED:
        view = view.copy()
        view[:2, 2] += rng.uniform(-0.1, 0.1, 2) * (width, height)
    if np.array_equal(view, np.eye(3)):
        return view
    return about_point(view, width / 2, height / 2)


def _warp_page(plane: Plane, matrix: Matrix, desk: Desk) -> Plane:
    """The page through a homography, on a table or the background of a scanner."""
    height, width = plane.shape[:2]
    half_pixel = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # cv2's origin is a pixel's centre
    centred = np.linalg.inv(half_pixel) @ matrix @ half_pixel
    size, border = (width, height), cv2.BORDER_REPLICATE
    warped = cv2.warpPerspective(plane, centred, size, flags=cv2.INTER_LINEAR, borderMode=border)
    warped = np.asarray(warped, np.float32)
    if desk.filled:
        return warped
    mask = np.zeros((height, width), np.float32)
    fill(mask, project(matrix, rectangle(0, 0, width, height)) - 0.5, 1.0, bits=4)
    wild = desk.look == "photo" and desk.rng.random() < 0.4
    table = papers.draw_paper(width, height, papers.draw_colours(desk.rng)[0], desk.rng, wild=wild)
    if desk.look == "scan":
        table = np.full(3, pick(desk.rng, [0, 255, 230]), np.float32)
    return blend(table, warped, mask)
