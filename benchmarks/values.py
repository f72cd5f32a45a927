"""Are values right, not only digits? On drawn documents whose values are known, and on real ones.

    python benchmarks/values.py [--count N] [--seed N] [--real FOLDER] [--out FOLDER]

Receipts, price tags and statements are drawn from a seed, in fonts, pens and hands that no network
was trained with; each is written as one country writes, which the reader is not told.

- right: share of the numbers whose value is right, with its 95 % Wilson interval; or offered: the
  same, if an unsure number that can be read in two ways may be either.
- sure: numbers stated as sure; wrong: of these, those that do not stand there; by ten: of these,
  those of which a number that was not read is 10, 100, ... times or a part, or has another sign.

The record also has how many numbers are right by the confidence of the whole number.

With ``--real`` also the kinds amount, page and cells of a folder as ``realworld.py`` takes it. What
stands there with its marks is in notes and in ``texts.toml``; else labels are whole numbers, in
tables of two digits and in Sudokus of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import harness
import readers
from digitlens import DigitReader, Number, load_image
from digitlens.datasets.synthetic.valued_documents import Value, draw_valued
from digitlens.evaluation.metrics import wilson_interval
from digitlens.reading.notation import Notation, meanings
from digitlens.reading.numbers import number_spans
from readers import TEXTS, Answer

COLUMNS = (
    "documents | n | numbers | right | 95 % interval | or offered | sure | wrong | by ten",
    "{kind} | {n} | {numbers} | {right:.1%} | {interval:.1f} | {offered:.1%}"
    " | {sure} | {wrong} | {ten}",
)
EDGES = (0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.01)  # of confidences


class Page(NamedTuple):
    """A document, and what the numbers on it say, in any order."""

    kind: str
    name: str
    pixels: npt.NDArray[np.uint8]
    values: tuple[Value, ...]


def cases(options: Any) -> Iterator[Page]:
    yield from real_pages(options.real) if options.real else ()
    for number in range(options.count):
        yield draw(number, options.seed)


def ask(reader: DigitReader, page: Page) -> Iterator[Answer]:
    compared = compare(page, reader.read(page.pixels).numbers)
    yield Answer(page.kind, compared, [page.name, *compared.problems] if compared.problems else [])


class Compared(NamedTuple):
    """One page: how many numbers are there, right, or offered, sure, of these wrong and by ten."""

    numbers: int
    right: int
    offered: int
    sure: int
    wrong: int
    ten: int
    problems: tuple[str, ...]
    confidences: tuple[tuple[float, bool], ...]


def compare(page: Page, numbers: Sequence[Number]) -> Compared:
    """Pairs numbers with the values of a page, those right at once first, then those offered."""
    left = list(page.values)
    right = [_taken([number.value], left) for number in numbers]
    missed = len(left)
    either = [
        here or _taken(_offered(number), left) for here, number in zip(right, numbers, strict=True)
    ]
    sure = [
        (number, here) for number, here in zip(numbers, right, strict=True) if not number.reason
    ]
    wrong = [number for number, here in sure if not here]
    tens = [number for number in wrong if any(by_ten(number.value, value) for value in left)]
    problems = [f"{'TEN ' if n in tens else ''}{n.text} = {n.value}" for n in wrong]
    doubted = (n for n, here in zip(numbers, either, strict=True) if n.reason and not here)
    problems += [f"({n.text}: {n.reason})" for n in doubted] + [f"not read {v}" for v in left]
    n = len(page.values)
    counts = n, n - missed, n - len(left), len(sure), len(wrong), len(tens)
    stated = tuple((each.confidence, here) for each, here in zip(numbers, right, strict=True))
    return Compared(*counts, tuple(problems), stated)


def _taken(values: Sequence[Value], left: list[Value]) -> bool:
    """Whether one of the values is left; it is taken away."""
    value = next((value for value in values if value in left), None)
    if value is None and (None not in values or None not in left):
        return False
    left.remove(value)
    return True


def _offered(number: Number) -> list[Value]:
    """The other meanings of an unsure number that are about as likely as the first."""
    least = 0.9 * number.confidence
    others = number.alternatives if number.reason else ()
    return [each.value for each in others if each.probability >= least]


def by_ten(found: Value, there: Value) -> bool:
    """Whether one is ten, a hundred, ... times the other, or its negative."""
    if not isinstance(found, Decimal) or not isinstance(there, Decimal) or not found or not there:
        return False
    digits = [str(abs(each).normalize().as_tuple().digits) for each in (found, there)]
    return digits[0] == digits[1] and found != there


def summary(kind: str, found: Sequence[Compared]) -> harness.Row:
    names = Compared._fields[:6]
    counts = {name: sum(getattr(each, name) for each in found) for name in names}
    numbers, right = counts["numbers"], counts["right"]
    shares = {"right": right / numbers, "offered": counts["offered"] / numbers}
    interval = wilson_interval(right, numbers)
    stated = [pair for each in found for pair in each.confidences]
    bins: list[tuple[float, float, int, int]] = []
    for low, high in pairwise(EDGES):
        kept = [is_right for confidence, is_right in stated if low <= confidence < high]
        bins.append((low, high, sum(kept), len(kept)))
    about = {"kind": kind, "n": len(found), "interval": interval, "calibration": bins}
    return {**about, **counts, **shares}


def draw(number: int, seed: int = 0) -> Page:
    """The same page for the same numbers: receipts, price tags and statements in turn."""
    drawn = draw_valued(readers.held_out_styles(), number, seed)
    return Page(drawn.kind, str(number), drawn.pixels, drawn.values)


KINDS = {"amount": "dates and lot numbers", "page": "receipts and tables", "cells": "cells"}


def real_pages(folder: Path) -> Iterator[Page]:
    """The pictures of three kinds."""
    for row in harness.listed(folder, *KINDS):
        pixels = load_image(folder / row["file"])
        yield Page(KINDS[row["kind"]], row["file"], pixels, tuple(real_values(row)))


def real_values(row: dict[str, str]) -> Iterator[Value]:
    """What stands on a picture."""
    known = TEXTS["pictures"].get(row["file"], {})
    order = known.get("order", "DMY")
    text = known.get("text") or readers.full_text(row["note"])
    for line in re.split(r" / | \| ", text) if text else _cells(row):
        for begin, end in number_spans(line):
            found = meanings(line[begin:end])
            yield next(
                each for each in found if each.fits(Notation(order=order)) or each == found[-1]
            ).value


def _cells(row: dict[str, str]) -> Iterator[str]:
    for line in row["label"].splitlines():
        size = 1 if "sudoku" in row["note"] else 2 if row["kind"] == "page" else len(line)
        yield from (line[k : k + size] for k in range(0, len(line), size))


if __name__ == "__main__":
    readers.study(__doc__, COLUMNS, cases, ask, summary, 500)
