"""Are the values right, not only the digits? On drawn documents with known values, and real ones.

    python benchmarks/values.py [--count N] [--seed N] [--real FOLDER] [--out FOLDER]

Receipts, price tags and statements are drawn from a seed, in fonts, pens and handwriting held out
from training; each follows the notation of one country, which the reader does not know.

- right: fraction of the numbers whose value is right, with its 95 % Wilson interval; or offered:
  the same, also accepting a likely alternative of a number that can be read in several ways.
- sure: numbers stated as sure; wrong: sure numbers that are not on the page; by ten: wrong numbers
  that are a power of ten times a number that was not read, or its negative.

The record also has the number of right numbers by confidence. With ``--real`` it includes the kinds
amount, page and cells of a folder in the format of ``realworld.py``: their texts are in notes and
in ``texts.toml``; otherwise labels are integers, of two digits in tables and one in Sudokus.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

import harness
from digitlens import DigitReader, Number, load_image
from digitlens.datasets.synthetic.valued_documents import Value, draw_valued
from digitlens.evaluation.metrics import wilson_interval
from digitlens.reading.notation import Notation, meanings
from digitlens.reading.numbers import number_spans
from harness import TEXTS, Answer, Case

COLUMNS = (
    "documents | n | numbers | right | 95 % interval | or offered | sure | wrong | by ten",
    "{kind} | {n} | {numbers} | {right:.1%} | {interval:.1f} | {offered:.1%}"
    " | {sure} | {wrong} | {ten}",
)
KINDS = {"amount": "dates and lot numbers", "page": "receipts and tables", "cells": "cells"}
EDGES = (0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.01)  # of confidence bins
# For one page: counts, problems, and the confidence and correctness of each number.
Compared = tuple[Counter[str], list[str], list[tuple[float, bool]]]


def cases(options: Any) -> Iterator[Case]:
    for row in harness.labelled_rows(options.real, *KINDS) if options.real else ():
        pixels = load_image(options.real / row["file"])
        yield Case(KINDS[row["kind"]], row["file"], pixels, tuple(real_values(row)))
    for number in range(options.count):
        drawn = draw_valued(harness.held_out_styles(), number, options.seed)
        yield Case(drawn.kind, str(number), drawn.pixels, drawn.values)


def ask(reader: DigitReader, page: Case) -> Iterator[Answer]:
    _, problems, _ = compared = compare(page.text, reader.read(page.page).numbers)
    yield Answer(page.group, compared, [page.name, *problems] if problems else [])


def compare(values: Sequence[Value], numbers: Sequence[Number]) -> Compared:
    """Matches numbers with the values of a page, by value first, then by alternatives."""

    def offered(number: Number) -> list[Value]:
        """The alternatives of a number that are about as likely as its value."""
        least = 0.9 * number.confidence
        return [each.value for each in number.alternatives if each.probability >= least]

    total, unread = len(values), list(values)
    pairs = [(number, _taken([number.value], unread)) for number in numbers]
    right = total - len(unread)
    doubted = [n for n, hit in pairs if n.reason and not hit and not _taken(offered(n), unread)]
    wrong = [n for n, hit in pairs if not n.reason and not hit]
    tens = [n for n in wrong if any(by_ten(n.value, value) for value in unread)]
    problems = [f"{'TEN ' * (n in tens)}{n.text} = {n.value}" for n in wrong]
    problems += [f"({n.text}: {n.reason})" for n in doubted] + [f"not read {v}" for v in unread]
    counts = Counter(numbers=total, right=right, offered=total - len(unread))
    counts.update(sure=sum(not n.reason for n in numbers), wrong=len(wrong), ten=len(tens))
    return counts, problems, [(n.confidence, hit) for n, hit in pairs]


def _taken(values: Sequence[Value], unread: list[Value]) -> bool:
    """Removes one of the values from ``unread``; returns whether there was one."""
    value = next((value for value in values if value in unread), None)
    if value is None and (None not in values or None not in unread):
        return False
    unread.remove(value)
    return True


def by_ten(value: Value, truth: Value) -> bool:
    """Whether two values differ only by a power of ten or the sign."""
    if not isinstance(value, Decimal) or not isinstance(truth, Decimal) or not value or not truth:
        return False
    digits = [str(abs(each).normalize().as_tuple().digits) for each in (value, truth)]
    return digits[0] == digits[1] and value != truth


def summary(kind: str, pages: Sequence[Compared]) -> harness.Row:
    counts: Counter[str] = Counter()
    stated: list[tuple[float, bool]] = []
    for of_page, _, sure in pages:
        counts.update(of_page)
        stated += sure
    numbers, right = counts["numbers"], counts["right"]
    confidences, is_right = np.array(stated, float).reshape(-1, 2).T
    bins, rights = (np.histogram(confidences, EDGES, weights=w)[0] for w in (None, is_right))
    return {
        "kind": kind,
        "n": len(pages),
        "interval": wilson_interval(right, numbers),
        "calibration": list(zip(EDGES, EDGES[1:], map(int, rights), map(int, bins), strict=False)),
        **counts,
        "right": right / numbers,
        "offered": counts["offered"] / numbers,
    }


def real_values(row: dict[str, str]) -> Iterator[Value]:
    """The values on a real picture."""
    entry = TEXTS["pictures"].get(row["file"], {})
    notation = Notation(order=entry.get("order", "DMY"))
    text = entry.get("text") or harness.full_text(row["note"])
    size = 1 if "sudoku" in row["note"] else 2 if row["kind"] == "page" else None
    cells = re.findall(rf".{{1,{size}}}" if size else ".+", row["label"])
    for line in re.split(r" / | \| ", text) if text else cells:
        for begin, end in number_spans(line):
            candidates = meanings(line[begin:end])
            yield next((each for each in candidates if each.fits(notation)), candidates[-1]).value


if __name__ == "__main__":
    harness.study(__doc__, COLUMNS, cases, ask, summary, 500)
