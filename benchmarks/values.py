"""Are values right, not only digits? On drawn documents whose values are known, and on real ones.

    python benchmarks/values.py [--count N] [--seed N] [--real FOLDER] [--out FOLDER]

Receipts, price tags and statements are drawn from a seed, in fonts, pens and hands that no network
was trained with; each is written as one country writes, which the reader is not told.

- right: share of the numbers whose value is right, with its 95 % Wilson interval; or offered: the
  same, if an unsure number that can be read in two ways may be either.
- sure: numbers stated as sure; wrong: of these, those that do not stand there; by ten: of these,
  those of which a number that was not read is 10, 100, ... times or a part, or has another sign.

The record also has how many numbers are right by confidence. With ``--real`` also the kinds amount,
page and cells of a folder as ``realworld.py`` takes it: what stands there is in notes and in
``texts.toml``; else labels are whole numbers, in tables of two digits and in Sudokus of one.
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
EDGES = (0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.01)  # of confidences
# Of one page: counts, what is wrong, and how sure each number is and whether it is right.
Compared = tuple[Counter[str], list[str], list[tuple[float, bool]]]


def cases(options: Any) -> Iterator[Case]:
    for row in harness.listed(options.real, *KINDS) if options.real else ():
        pixels = load_image(options.real / row["file"])
        yield Case(KINDS[row["kind"]], row["file"], pixels, tuple(real_values(row)))
    for number in range(options.count):
        drawn = draw_valued(harness.held_out_styles(), number, options.seed)
        yield Case(drawn.kind, str(number), drawn.pixels, drawn.values)


def ask(reader: DigitReader, page: Case) -> Iterator[Answer]:
    _, problems, _ = compared = compare(page.text, reader.read(page.page).numbers)
    yield Answer(page.group, compared, [page.name, *problems] if problems else [])


def compare(values: Sequence[Value], numbers: Sequence[Number]) -> Compared:
    """Pairs numbers with the values of a page, those right at once first, then those offered."""

    def offered(number: Number) -> list[Value]:
        """The other meanings of a number that are about as likely as the first."""
        least = 0.9 * number.confidence
        return [each.value for each in number.alternatives if each.probability >= least]

    there, left = len(values), list(values)
    pairs = [(number, _taken([number.value], left)) for number in numbers]
    right = there - len(left)
    doubted = [n for n, here in pairs if n.reason and not here and not _taken(offered(n), left)]
    wrong = [n for n, here in pairs if not n.reason and not here]
    tens = [n for n in wrong if any(by_ten(n.value, value) for value in left)]
    problems = [f"{'TEN ' * (n in tens)}{n.text} = {n.value}" for n in wrong]
    problems += [f"({n.text}: {n.reason})" for n in doubted] + [f"not read {v}" for v in left]
    counts = Counter(numbers=there, right=right, offered=there - len(left))
    counts.update(sure=sum(not n.reason for n in numbers), wrong=len(wrong), ten=len(tens))
    return counts, problems, [(n.confidence, here) for n, here in pairs]


def _taken(values: Sequence[Value], left: list[Value]) -> bool:
    """Whether one of the values is left; it is taken away."""
    value = next((value for value in values if value in left), None)
    if value is None and (None not in values or None not in left):
        return False
    left.remove(value)
    return True


def by_ten(found: Value, there: Value) -> bool:
    """Whether one is ten, a hundred, ... times the other, or its negative."""
    if not isinstance(found, Decimal) or not isinstance(there, Decimal) or not found or not there:
        return False
    digits = [str(abs(each).normalize().as_tuple().digits) for each in (found, there)]
    return digits[0] == digits[1] and found != there


def summary(kind: str, found: Sequence[Compared]) -> harness.Row:
    counts: Counter[str] = Counter()
    stated: list[tuple[float, bool]] = []
    for of_page, _, sure in found:
        counts.update(of_page)
        stated += sure
    numbers, right = counts["numbers"], counts["right"]
    confidences, is_right = np.array(stated, float).reshape(-1, 2).T
    bins, rights = (np.histogram(confidences, EDGES, weights=w)[0] for w in (None, is_right))
    return {
        "kind": kind,
        "n": len(found),
        "interval": wilson_interval(right, numbers),
        "calibration": list(zip(EDGES, EDGES[1:], map(int, rights), map(int, bins), strict=False)),
        **counts,
        "right": right / numbers,
        "offered": counts["offered"] / numbers,
    }


def real_values(row: dict[str, str]) -> Iterator[Value]:
    """What stands on a picture."""
    known = TEXTS["pictures"].get(row["file"], {})
    notation = Notation(order=known.get("order", "DMY"))
    text = known.get("text") or harness.full_text(row["note"])
    size = 1 if "sudoku" in row["note"] else 2 if row["kind"] == "page" else None
    cells = re.findall(rf".{{1,{size}}}" if size else ".+", row["label"])
    for line in re.split(r" / | \| ", text) if text else cells:
        for begin, end in number_spans(line):
            found = meanings(line[begin:end])
            yield next((each for each in found if each.fits(notation)), found[-1]).value


if __name__ == "__main__":
    harness.study(__doc__, COLUMNS, cases, ask, summary, 500)
