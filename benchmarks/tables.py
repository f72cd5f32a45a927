"""How well are tables read, cell by cell? Tables are drawn from a seed; Sudokus may be photos.

    python benchmarks/tables.py [--seed N] [--count N] [--real FOLDER] [--out FOLDER] [--wrong]

Drawn tables have perspective, shade and noise: printed ones in fonts held out from training,
handwritten ones with pens and digits of MNIST's validation writers. For photographed Sudokus (the
pictures of ``labels.csv`` in FOLDER whose note says so) the digits of each row are labelled, but
not their columns. They are also read with the Sudoku rules.

- right: fraction of the cells that are read correctly, including empty ones.
- sure but wrong: cells that are wrong but not marked as doubtful.
- error-free: tables without a wrong cell.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, count, product, repeat
from time import perf_counter
from typing import Any

import numpy as np

import harness
from digitlens.datasets.synthetic.document_layouts import Desk
from digitlens.datasets.synthetic.documents import SyntheticDocument, render_page
from digitlens.errors import DigitlensError
from digitlens.evaluation.metrics import count_edits
from digitlens.imaging.image import load_image
from digitlens.reading.reader import DigitReader
from harness import Answer, Case

KINDS = ("ruled", "plain", "handwritten", "sudoku")
COLUMNS = (
    "tables | number | cells | right | sure but wrong | error-free | ms",
    "{kind} | {tables} | {cells} | {right:.2%} | {sure} | {whole} | {ms:.0f}",
)
Score = tuple[int, int, int, float]  # cells, right ones, sure but wrong ones; seconds
Pair = tuple[str, Any]  # the label of a cell, and the cell read there, if any


def cases(options: Any) -> Iterator[Case]:
    for (number, kind), seed in product(enumerate(KINDS), range(options.count)):
        rng = np.random.default_rng([options.seed + seed, number])
        cells = _puzzle(rng) if kind == "sudoku" else _texts(kind, rng)
        tries = (_draw(kind, cells, [options.seed + seed, number, attempt]) for attempt in count())
        digits = len(harness.digits_only("".join(chain(*cells))))  # all in the camera's view
        page = next(page for page in tries if int((page.values >= 0).sum()) == digits)
        yield Case(kind, str(seed), page.pixels, cells)
    for row in harness.labelled_rows(options.real) if options.real else ():
        if "sudoku" in (row["note"] or ""):
            digits = [list(line) for line in row["label"].split("\n")]
            yield Case("photo", row["file"], load_image(options.real / row["file"]), digits)


def ask(reader: DigitReader, table: Case) -> Iterator[Answer]:
    """Reads a table; a Sudoku also with its rules."""
    is_photo = table.group == "photo"  # a Sudoku whose columns are not labelled
    for expect in (None, "sudoku") if is_photo or table.group == "sudoku" else (None,):
        kind = f"{table.group}, rules" if expect else table.group
        start, problems = perf_counter(), list[str]()
        try:
            grid = (9, 9) if is_photo else None
            read = reader.read_table(table.page, grid=grid, expect=expect).rows
        except DigitlensError as error:
            read, problems = (), [str(error)]
        seconds = perf_counter() - start
        rows = zip(table.text, chain(read, repeat(())), strict=False)
        pairs = [each for row in rows for each in pair(*row, in_columns=not is_photo)]
        wrong = [(expected, cell) for expected, cell in pairs if expected != (cell and cell.text)]
        confident = sum(cell is not None and cell.status != "unsure" for _, cell in wrong)
        size = 81 if is_photo else len(pairs)
        problems += [f"{expected!r} read as {cell and cell.text!r}" for expected, cell in wrong]
        yield Answer(kind, (size, size - len(wrong), confident, seconds), problems)


def pair(expected: list[str], read: Sequence[Any], *, in_columns: bool) -> Iterator[Pair]:
    """Pairs the cells of a row; without known columns, yields only the wrong ones, in order."""
    if in_columns:
        yield from zip(expected, chain(read, repeat(None)), strict=False)
        return
    cells = [cell for cell in read if cell.text]
    edits, right = count_edits("".join(expected), "".join(cell.text for cell in cells))
    wrong = (cell for cell, is_right in zip(cells, right, strict=False) if not is_right)
    yield from zip("?" * edits, chain(wrong, repeat(None)), strict=False)


def summary(kind: str, scores: Sequence[Score]) -> harness.Row:
    cells, right, sure, seconds = (sum(part) for part in zip(*scores, strict=True))
    return {
        "kind": kind,
        "tables": len(scores),
        "cells": cells,
        "right": right / cells,
        "sure": sure,
        "whole": sum(total == right for total, right, *_ in scores),
        "ms": 1000 * seconds / len(scores),
    }


def _puzzle(rng: np.random.Generator) -> list[list[str]]:
    """Some of the digits of a valid Sudoku grid."""
    bands, stacks = (
        [3 * int(b) + int(i) for b in rng.permutation(3) for i in rng.permutation(3)] for _ in "rc"
    )
    values = rng.permutation(9) + 1
    return [
        [str(values[(3 * r + r // 3 + c) % 9]) if rng.random() < 0.45 else "" for c in stacks]
        for r in bands
    ]


def _texts(kind: str, rng: np.random.Generator) -> list[list[str]]:
    def text() -> str:
        if kind != "plain" and rng.random() < 0.15:
            return ""
        if kind == "handwritten":
            return str(rng.integers(10 ** rng.integers(1, 4)))
        return str(rng.choice([f"{rng.integers(1, 999)}", f"{rng.uniform(1, 999):.2f}"]))

    rows, columns = rng.integers(4, 13), rng.integers(3, 7)
    return [[text() for _ in range(columns)] for _ in range(rows)]


def _draw(kind: str, cells: list[list[str]], seed: list[int]) -> SyntheticDocument:
    """A photo of a table in held-out styles; numbers are right-aligned, Sudokus' digits centred."""
    desk = Desk(harness.held_out_styles(), np.random.default_rng(seed))
    desk.look = "photo"
    rng, digit = desk.rng, desk.size(16, 30)
    desk.colours["rule"] = (desk.colours["paper"] + desk.colours["ink"]) / 2
    face = desk.pen(digit) if kind == "handwritten" else desk.type(digit)
    runs = [[face.run(text) if text else None for text in row] for row in cells]
    sudoku, height = kind == "sudoku", digit * float(rng.uniform(1.8, 2.4))
    widths = [
        height if sudoku else max((run.width for run in column if run), default=0.0)
        for column in zip(*runs, strict=True)
    ]
    gap = 0.0 if sudoku else digit * float(rng.uniform(0.9, 2))
    margin = digit * float(rng.uniform(1, 3))
    xs = margin + np.cumsum([0.0, *(width + gap for width in widths)])
    ys = margin + height * np.arange(len(cells) + 1)
    canvas = desk.open(xs[-1] + margin, ys[-1] + margin)
    for r, row in enumerate(runs):
        for c, run in enumerate(row):
            x = (xs[c] + xs[c + 1]) / 2 if sudoku else xs[c + 1] - gap / 2
            if run:
                canvas.put(run, x, ys[r] + (height + digit) / 2, align=0.5 if sudoku else 1.0)
    for k, y in enumerate(() if kind == "plain" else ys):
        canvas.rule(xs[0], y, xs[-1], y, 3 if sudoku and k % 3 == 0 else 1)
    for k, x in enumerate(() if kind == "plain" else xs):
        canvas.rule(x, ys[0], x, ys[-1], 3 if sudoku and k % 3 == 0 else 1)
    return render_page(desk, "")


if __name__ == "__main__":
    harness.study(__doc__, COLUMNS, cases, ask, summary, 12)
