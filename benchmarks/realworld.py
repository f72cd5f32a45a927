"""How well are real pictures read? Reads every picture listed in a folder's ``labels.csv``.

    python benchmarks/realworld.py FOLDER [--kinds KIND ...] [--peers] [--out FOLDER] [--wrong]

``labels.csv`` has the columns file, kind, label, source and note; a label has one line for each
line of its picture. A note with ``crop=`` records the region that the picture was cropped from.

- exact: fraction of pictures with every line right, with its 95 % Wilson interval; for the kind
  ``reject``, the fraction on which no digit is read. Only digits are compared.
- digits: 1 - edit distance / number of digits over all labels of a kind, ignoring line breaks.
  Negative if far more digits are read than exist.
- marks: fraction of pictures that are exact and have all marks of their numbers right too, ignoring
  words and spaces. Only for labels whose note has the full text.
- ms: median time to decode and read a picture, one at a time.

With ``--peers`` RapidOCR reads the same pictures in turn, in the three modes of ``worker.py``; the
best mode for each kind is shown next to digitlens.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import harness
from digitlens.errors import ImageError
from digitlens.evaluation.metrics import count_edits, wilson_interval
from digitlens.imaging.image import load_image
from digitlens.models.bundle import load_line_card
from digitlens.reading.fusion import Fusion
from harness import OURS, Case, Result, Row, digits_only, full_text, numbers

TARGETS = (0.05, 0.02, 0.01, 0.005)  # guaranteed fractions of wrong digits
NAMES = {
    "single": "one digit",
    "multi": "several digits",
    "check": "amounts on bank checks",
    "segment": "seven-segment displays",
    "meter": "counter wheels",
    "cells": "cells of tables and Sudokus",
    "amount": "dates and lot numbers",
    "page": "receipts and tables",
    "reject": "no digit at all",
}
COLUMNS = (
    "real pictures | n | exact | 95 % interval | digits right | ms per picture",
    "{group} | {n} | {exact:.1%} | {interval:.1f} | {digits:.1%} | {milliseconds:.0f}",
)
PEERS = (
    "RapidOCR exact | digits right | ms | mode",
    "{best[exact]:.1%} | {best[digits]:.1%} | {best[milliseconds]:.0f} | {best[mode]}",
)
GUARANTEE_COLUMNS = (
    "digits stated | n | wrong | 95 % interval",
    "{stated} | {n} | {share:.2%} | {interval:.2f}",
)


def is_exact(result: Result) -> bool:
    return result.case.text == result.output.digits


def digit_pair(result: Result) -> tuple[str, str]:
    """The digits of the label and those read, without line breaks."""
    return result.case.text.replace("\n", ""), result.output.digits.replace("\n", "")


def marks_are_right(result: Result) -> bool | None:
    """Whether the marks are right too; None if they are not labelled."""
    if result.case.full_text is None:
        return None
    label, read = ("".join(numbers(text)) for text in (result.case.full_text, result.output.text))
    return is_exact(result) and label == read


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("folder", type=Path, help="folder with labels.csv")
    cli.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="only these kinds")
    cli.add_argument("--wrong", action="store_true", help="list digitlens's errors")
    harness.add_options(cli)
    options = cli.parse_args()
    rows = harness.labelled_rows(options.folder, *options.kinds)
    rows.sort(key=lambda row: [*NAMES, row["kind"]].index(row["kind"]))
    cases = (decode(options.folder, row) for row in rows)
    results, kinds, facts = harness.read_all(options, cases, len(rows), summary)
    ours = [result for readers in results.values() for result in readers[OURS]]
    n, right = count_sure(ours)
    facts |= {"kinds": kinds, "stated_99": {"digits": n, "right": right}}
    text = "\n".join([table(kinds), guarantee_table(ours, thresholds()), harness.origin(facts)])
    harness.publish(options.out, "realworld", facts, text)
    for case, output in (each for each in ours if options.wrong and not is_exact(each)):
        print(f"{case.name}: {case.text!r} read as {output.digits!r}")


def decode(folder: Path, row: dict[str, str]) -> Case:
    start = time.perf_counter()
    try:
        page = load_image(folder / row["file"])
    except ImageError:  # counts as wrong for all readers: RapidOCR uses Pillow too
        page = None
    decoding = 1000 * (time.perf_counter() - start)
    label, full = digits_only(row["label"]), full_text(row.get("note"))
    return Case(row["kind"], row["file"], page, label, full, decoding)


def count_sure(results: Sequence[Result], threshold: float = 0.99) -> tuple[int, int]:
    """Counts the digits read with at least this confidence, and the right ones among them."""
    stated: list[bool] = []
    for result in results:
        pairs = zip(count_edits(*digit_pair(result))[1], result.output.confidences, strict=False)
        stated += [is_right for is_right, confidence in pairs if confidence >= threshold]
    return len(stated), sum(stated)


def summary(results: Sequence[Result]) -> Row:
    right, n = sum(map(is_exact, results)), len(results)
    digits = sum(len(digit_pair(result)[0]) for result in results)
    edits = sum(count_edits(*digit_pair(result))[0] for result in results)
    marked = [is_right for is_right in map(marks_are_right, results) if is_right is not None]
    return {
        "n": n,
        "exact": right / n,
        "interval": wilson_interval(right, n),
        "digits": 1 - edits / digits if digits else None,
        "marks": sum(marked) / len(marked) if marked else None,
        "milliseconds": statistics.median(result.output.milliseconds for result in results),
    }


def table(kinds: harness.Scores) -> str:
    """A row for each kind, and a line on marks where they are labelled."""
    named = {NAMES.get(kind, kind): scores for kind, scores in kinds.items()}
    marked = [
        harness.show(f"{name} {{marks:.1%}}", row)
        for name, row in kinds.get("amount", {}).items()
        if row["marks"] is not None
    ]
    note = f"\n{NAMES['amount']}, exact with their marks: {'; '.join(marked)}\n" if marked else ""
    return harness.compared(COLUMNS, PEERS, named, "exact", "digits") + note


def thresholds() -> dict[str, float | None]:
    """The confidence thresholds by guarantee; None if no threshold achieves it."""
    risk = Fusion.from_dict(load_line_card().fusion).risk
    found: dict[str, float | None] = {"at least 99 % confidence": 0.99}
    for target in TARGETS:
        found[name := f"at most {100 * target:g} % wrong"] = None
        with suppress(ValueError):
            found[name] = risk and risk.threshold_for(target)
    return found


def guarantee_table(results: Sequence[Result], limits: Mapping[str, float | None]) -> str:
    """A row for each guarantee: the number of digits above its threshold, and their errors."""
    rows: list[Row] = []
    for stated, threshold in limits.items():
        n, right = (0, 0) if threshold is None else count_sure(results, threshold)
        wrong = {"share": (n - right) / n, "interval": wilson_interval(n - right, n)} if n else {}
        rows.append({"stated": stated, "n": n, "share": None, "interval": None} | wrong)
    return harness.table(GUARANTEE_COLUMNS, rows)


if __name__ == "__main__":
    main()
