"""How well are tables read, cell by cell? Tables are drawn from a seed; Sudokus may be photos.

    python benchmarks/tables.py [--seed N] [--count N] [--photos FOLDER] [--out FOLDER] [--wrong]

Drawn tables stand in perspective, in the shade, with noise: printed ones in fonts that no page to
train with is set in, handwritten ones with tiles of MNIST's validation writers; some Sudokus are
pale copies, others on crumpled paper. Of photographed
Sudokus, the pictures of ``labels.csv`` in FOLDER whose note names one, the digits of each row are
known, but not their columns. With the rules, each has to come out as a grid that keeps them.

- cells: share of the cells that are read as they are, the empty ones among them.
- sure, wrong: cells that are wrong and were not given as doubtful.
- whole: tables without a wrong cell.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from digitlens.datasets.mnist import Split, load_mnist, split_validation
from digitlens.errors import DigitlensError
from digitlens.imaging.framing import perspective
from digitlens.reading.reader import DigitReader
from digitlens.training.tasks.line import edit_distance
from drawn import FONTS, font
from harness import document, parser, place, provenance, publish
from harness import table as as_table

KINDS = ("ruled", "plain", "handwritten", "sudoku", "pale sudoku", "crumpled sudoku")


Score = tuple[int, int, int, float]  # cells, right ones, sure ones that are wrong; seconds
COLUMNS = (
    "tables | number | cells | right | sure, wrong | whole | ms",
    "{kind} | {tables} | {cells} | {right:.2%} | {sure} | {whole} | {ms:.0f}",
)


@dataclass(frozen=True)
class Drawn:
    """A table, uint8[H, W, 3], and what stands in its cells."""

    kind: str
    page: np.ndarray
    cells: list[list[str]]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--count", type=int, default=12, help="tables of each kind")
    made.add_argument("--photos", type=Path, help="folder with labels.csv")
    made.add_argument("--wrong", action="store_true", help="list the cells that are wrong")
    options = made.parse_args()
    reader, rows = DigitReader(), defaultdict(list)
    for kind in KINDS:
        for number in range(options.count):
            drawn = draw(kind, options.seed + number)
            rows[kind].append(score(reader, drawn, None, options.wrong))
            if "sudoku" in kind:
                rows[f"{kind}, rules"].append(score(reader, drawn, "sudoku", options.wrong))
    for expect in (None, "sudoku") if options.photos else ():
        for path, digits in sudokus(options.photos):
            name = "photos" if expect is None else "photos, rules"
            rows[name].append(photo(reader, path, digits, expect, options.wrong))
    about = provenance()
    text = document(place(about), as_table(COLUMNS, map(summary, rows, rows.values())))
    publish(options.out, "tables", about | {"rows": rows}, text)


def summary(kind: str, found: Sequence[Score]) -> dict[str, object]:
    cells, right, sure, seconds = (sum(part) for part in zip(*found, strict=True))
    whole = sum(one[0] == one[1] for one in found)
    return {
        "kind": kind,
        "tables": len(found),
        "cells": cells,
        "right": right / cells,
        "sure": sure,
        "whole": whole,
        "ms": 1000 * seconds / len(found),
    }


def score(reader: DigitReader, drawn: Drawn, expect: str | None, wrong: bool) -> Score:
    """Cells, right ones, and sure ones that are wrong; seconds."""
    start = perf_counter()
    try:
        # Creases look like rules: how many there are is said, as of photographs.
        grid = (9, 9) if drawn.kind == "crumpled sudoku" else None
        table = reader.read_table(drawn.page, grid=grid, expect=expect)
    except DigitlensError as error:
        if wrong:
            print(drawn.kind, error)
        return sum(map(len, drawn.cells)), 0, 0, perf_counter() - start
    seconds = perf_counter() - start
    if wrong and table.shape != (len(drawn.cells), len(drawn.cells[0])):
        print(drawn.kind, "has", table.shape)
    right = sure = 0
    for r, row in enumerate(drawn.cells):
        for c, text in enumerate(row):
            cell = table.rows[r][c] if r < table.shape[0] and c < table.shape[1] else None
            right += bool(cell) and cell.text == text
            sure += bool(cell) and cell.text != text and cell.status != "unsure"
            if wrong and cell and cell.text != text:
                print(f"{drawn.kind} {r},{c}: {text!r} read as {cell.text!r}, {cell.status}")
    return sum(map(len, drawn.cells)), right, sure, seconds


def photo(
    reader: DigitReader, path: Path, digits: list[str], expect: str | None, wrong: bool
) -> Score:
    """The same of a photographed Sudoku: the digits of each row, one by one and in order."""
    start = perf_counter()
    try:
        table = reader.read_table(path, grid=(9, 9), expect=expect)
        found = [[cell for cell in row if cell.text] for row in table.rows]
    except DigitlensError as error:
        print(path.name, error)
        found = [[] for _ in digits]
    seconds = perf_counter() - start
    right = sure = 0
    for number, (row, cells) in enumerate(zip(digits, found, strict=True)):
        text = "".join(cell.text for cell in cells)
        wrong_here = edit_distance(row, text)
        right += max(0, 9 - wrong_here)
        sure += wrong_here and max(0, wrong_here - sum(cell.status == "unsure" for cell in cells))
        if wrong and wrong_here:
            print(path.name, number, row, "read as", [cell.text for cell in cells])
    return 81, right, sure, seconds


def sudokus(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if "sudoku" in (row["note"] or ""):
                yield folder / row["file"], row["label"].split("\n")


@cache
def _tiles() -> Split:
    return split_validation(load_mnist().train)[1]


def draw(kind: str, seed: int) -> Drawn:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    look, _, kind = kind.rpartition(" ")
    rows, columns = (9, 9) if kind == "sudoku" else (rng.integers(4, 13), rng.integers(3, 7))
    digit = int(rng.integers(16, 30))
    face = font(str(rng.choice(FONTS)), height=digit)
    room = 2 * digit if kind == "sudoku" else face.getlength("000.00") + 0.5 * digit
    room = 6 * digit if kind == "handwritten" else room
    width = [round(room + (kind != "sudoku") * digit * rng.uniform(0.3, 2)) for _ in range(columns)]
    height = round(digit * rng.uniform(1.8, 2.4)) if kind != "sudoku" else width[0]
    margin = int(rng.integers(digit, 3 * digit))
    size = sum(width) + 2 * margin, rows * height + 2 * margin
    sheet = Image.new("L", size)
    pen = ImageDraw.Draw(sheet)
    cells = _texts(kind, rows, columns, rng)
    edges = margin + np.r_[0, np.cumsum(width)]
    for r, row in enumerate(cells):
        for c, text in enumerate(row):
            if kind == "handwritten":
                _write(sheet, text, (edges[c], margin + r * height), (width[c], height), rng)
            elif kind == "sudoku":
                at = (edges[c] + width[c] / 2, margin + (r + 0.5) * height + digit / 2)
                pen.text(at, text, 255, face, anchor="ms")
            else:
                at = edges[c + 1] - digit // 2, margin + (r + 0.5) * height + digit / 2
                pen.text(at, text, 255, face, anchor="rs")
    if kind != "plain":
        _rule(pen, edges, margin + height * np.arange(rows + 1), kind == "sudoku", rng)
    return Drawn(f"{look} {kind}".strip(), _photograph(np.asarray(sheet), rng, look), cells)


def _texts(kind: str, rows: int, columns: int, rng: np.random.Generator) -> list[list[str]]:
    def text() -> str:
        if kind == "sudoku":
            return str(rng.integers(1, 10)) if rng.random() < 0.45 else ""
        if kind != "plain" and rng.random() < 0.15:
            return ""
        if kind == "handwritten":
            return str(rng.integers(10 ** rng.integers(1, 4)))
        return str(rng.choice([f"{rng.integers(1, 999)}", f"{rng.uniform(1, 999):.2f}"]))

    if kind == "sudoku":
        return _puzzle(rng)
    return [[text() for _ in range(columns)] for _ in range(rows)]


def _puzzle(rng: np.random.Generator) -> list[list[str]]:
    """Some of the digits of a grid that keeps the rules."""
    bands = [3 * int(b) + int(i) for b in rng.permutation(3) for i in rng.permutation(3)]
    stacks = [3 * int(b) + int(i) for b in rng.permutation(3) for i in rng.permutation(3)]
    values = rng.permutation(9) + 1
    return [
        [str(values[(3 * r + r // 3 + c) % 9]) if rng.random() < 0.45 else "" for c in stacks]
        for r in bands
    ]


def _write(
    sheet: Image.Image,
    text: str,
    place: tuple[float, float],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    tiles, begin = _tiles(), size[0] * rng.uniform(0.08, 0.25)
    side = round(size[1] * rng.uniform(0.95, 1.1))
    # A hand keeps within its cell, or no reader can tell where its digits belong.
    x = place[0] + min(begin, max(0.0, size[0] - (0.72 * (len(text) - 1) + 0.9) * side))
    for char in text:
        tile = Image.fromarray(tiles.tiles[rng.choice(np.flatnonzero(tiles.labels == int(char)))])
        tile = tile.resize((side, side), Image.Resampling.BICUBIC)
        y = place[1] + (size[1] - side) / 2 + rng.normal(0, 0.04 * side)
        sheet.paste(255, (round(x), round(y)), tile)
        x += side * rng.uniform(0.6, 0.72)


def _rule(
    pen: ImageDraw.ImageDraw,
    across: np.ndarray,
    down: np.ndarray,
    thick: bool,
    rng: np.random.Generator,
) -> None:
    shade, wide = int(rng.integers(120, 256)), int(rng.integers(1, 3))
    for ends, others, upright in ((down, across, False), (across, down, True)):
        for k, at in enumerate(ends.tolist()):
            line = (others[0], at, others[-1], at)
            line = (at, others[0], at, others[-1]) if upright else line
            pen.line(line, shade, 2 * wide + 1 if thick and k % 3 == 0 else wide)


def _photograph(ink: np.ndarray, rng: np.random.Generator, look: str = "") -> np.ndarray:
    """Ink on paper on a table, from aside, in the shade of something, with noise.

    A pale one is a poor copy, enlarged, of few gray levels; a crumpled one has dark creases.
    """
    height, width = ink.shape
    bent = rng.uniform(0, 0.06, (4, 2)) * (width, height) + [width * 0.02, height * 0.02]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) + bent * [
        [1, 1], [-1, 1], [-1, -1], [1, -1]
    ]  # fmt: skip
    scale = rng.uniform(2, 4) if look == "pale" else rng.uniform(1, 1.5) * (1 + (look != ""))
    seen = round(width * scale), round(height * scale)
    # From the page in the picture back to the sheet: the inverse of sheet on quad.
    a, b, c, d, e, f, g, h = perspective(corners, (width, height))
    back = np.linalg.inv([[a, b, c], [d, e, f], [g, h, 1]]) @ np.diag([1 / scale, 1 / scale, 1])
    data = (back / back[2, 2]).ravel()[:8].tolist()
    move = (seen, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)
    strength = rng.uniform(0.25, 0.4) if look == "pale" else 0.85
    page = Image.fromarray((255 - ink * strength).astype(np.uint8)).transform(*move, fillcolor=70)
    page = page.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9) * (scale if look else 1)))
    y, x = np.mgrid[: 1 : seen[1] * 1j, : 1 : seen[0] * 1j]
    slope = rng.normal(0, 0.2, 2)
    light = 0.8 + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
    light -= 0.25 / (1 + np.exp(40 * (x * rng.uniform(0.5, 2) + y - rng.uniform(0.5, 1.5))))
    noisy = np.asarray(page) * light + rng.normal(0, 8 if look == "pale" else 3, light.shape)
    if look == "pale":
        step = rng.uniform(15, 35)
        noisy = np.round(noisy / step) * step
    elif look == "crumpled":
        noisy -= rng.uniform(8, 25) * _creases(light.shape, rng)
    tint = np.array([1, rng.uniform(0.95, 1), rng.uniform(0.85, 1)])
    return np.clip(noisy[..., None] * tint, 0, 255).astype(np.uint8)


def _creases(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Dark streaks in one direction and bright ones, as raking light makes them of paper."""
    fine = Image.fromarray(rng.normal(128, 60, shape).clip(0, 255).astype(np.uint8))
    wide, high = rng.uniform(3, 8), rng.uniform(1, 2)
    small = fine.resize(
        (max(1, int(shape[1] / wide)), max(1, int(shape[0] / high))), Image.Resampling.BOX
    )
    streaks = np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC), float)
    return np.clip((streaks - streaks.mean()) / streaks.std(), -1, 3)


if __name__ == "__main__":
    main()
