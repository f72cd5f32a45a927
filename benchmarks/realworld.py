"""How well are real pictures read? Reads every picture that a folder's ``labels.csv`` names.

    python benchmarks/realworld.py FOLDER [--kinds KIND ...] [--peers] [--out FOLDER] [--wrong]

``labels.csv`` has the columns file, kind, label, source and note; a label has one line for each
line of its picture. A note with ``crop=`` says where its picture was cut from; it lies there cut.

- exact: share of pictures on which every line is right, with its 95 % Wilson interval; of the kind
  ``reject`` the share on which no digit is read. Only digits are compared.
- digits: 1 - edit distance / digits of all labels of a kind, line breaks not counted. It falls
  below 0 when more is read than there is.
- marks: share of pictures that are exact and have all signs, points, slashes and the like of their
  numbers right too. Words and spaces do not count. Only labels whose note has the full text.
- ms: median time of decoding and reading a picture, one at a time.

With ``--peers`` RapidOCR reads the same pictures in turn with digitlens, in the three modes of
``worker.py``; the one that is best on a kind stands beside digitlens.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import harness
import readers
from digitlens.errors import ImageError
from digitlens.evaluation.metrics import aligned, wilson_interval
from digitlens.imaging.image import load_image
from digitlens.models.bundle import load_line_card
from digitlens.reading.fusion import Fusion
from harness import Row
from readers import MODES, OURS, Case, Result, digits_only, full_text, numbers

TARGETS = (0.05, 0.02, 0.01, 0.005)  # shares of wrong digits that are promised
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
    "real pictures | n | exact | 95 % interval | digits right | ms a picture",
    "{group} | {n} | {exact:.1%} | {interval:.1f} | {digits:.1%} | {milliseconds:.0f}",
)
BESIDE = (
    "RapidOCR exact | digits right | ms | its mode",
    "{best[exact]:.1%} | {best[digits]:.1%} | {best[milliseconds]:.0f} | {best[mode]}",
)
PROMISES = (
    "target_error | digits stated | wrong | 95 % interval",
    "{target:g} | {n} | {share:.2%} | {interval:.2f}",
)
STATED = "stated with at least 99 % confidence: {n} digits, {right:.2%} of them right ({ends:.1f})"


def exact(result: Result) -> bool:
    return result.case.text == result.said.digits


def pair(result: Result) -> tuple[str, str]:
    """The digits that are there and those that are read, without line breaks."""
    return result.case.text.replace("\n", ""), result.said.digits.replace("\n", "")


def marks(result: Result) -> bool | None:
    """Whether marks are right too; None if they are not known."""
    if result.case.full_text is None:
        return None
    there, read = ("".join(numbers(text)) for text in (result.case.full_text, result.said.text))
    return exact(result) and there == read


def main() -> None:
    made = harness.parser(__doc__, environments=True)
    made.add_argument("folder", type=Path, help="folder with labels.csv")
    made.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="only these")
    made.add_argument("--wrong", action="store_true", help="list what digitlens read wrong")
    readers.add_options(made)
    options = made.parse_args()
    rows = harness.listed(options.folder, *options.kinds)
    cases = (decoded(options.folder, row) for row in rows)
    results, about = readers.read_all(options, cases, len(rows))
    ours = [result for result in results if result.reader == OURS]
    kinds = kind_scores(results)
    n, right = sure(ours)
    stated = {"n": n, "right": right / max(1, n), "ends": wilson_interval(right, n)}
    parts = [table(kinds), f"{harness.show(STATED, stated)}\n", promises(ours, thresholds())]
    text = "\n".join([*parts, readers.origin(about)])
    about |= {"kinds": kinds, "stated_99": {"digits": n, "right": right}}
    about |= {"pictures": readers.pictures(results)}
    harness.publish(options.out, "realworld", about, text)
    for case, _, said in (each for each in ours if options.wrong and not exact(each)):
        print(f"{case.name}: {case.text!r} read as {said.digits!r}")


def decoded(folder: Path, row: dict[str, str]) -> Case:
    start = time.perf_counter()
    try:
        page = load_image(folder / row["file"])
    except ImageError:  # wrong for all: RapidOCR opens files with Pillow as well
        page = None
    decoding = 1000 * (time.perf_counter() - start)
    label, full = digits_only(row["label"]), full_text(row.get("note"))
    return Case(row["kind"], row["file"], page, label, full, decoding)


def sure(results: Sequence[Result], least: float = 0.99) -> tuple[int, int]:
    """Digits stated with at least this confidence: how many there are, and how many are right."""
    stated: list[bool] = []
    for result in results:
        pairs = zip(aligned(*pair(result))[1], result.said.confidences, strict=False)
        stated += [is_right for is_right, confidence in pairs if confidence >= least]
    return len(stated), sum(stated)


def summary(results: Sequence[Result]) -> Row:
    right, n = sum(map(exact, results)), len(results)
    digits = sum(len(pair(result)[0]) for result in results)
    edits = sum(aligned(*pair(result))[0] for result in results)
    marked = [is_right for is_right in map(marks, results) if is_right is not None]
    return {
        "n": n,
        "exact": right / n,
        "interval": wilson_interval(right, n),
        "digits": 1 - edits / digits if digits else None,
        "marks": sum(marked) / len(marked) if marked else None,
        "milliseconds": statistics.median(result.said.milliseconds for result in results),
    }


def kind_scores(results: Sequence[Result]) -> readers.Scores:
    found = readers.summaries(results, summary)
    return {kind: found[kind] for kind in sorted(found, key=[*NAMES, *found].index)}


def table(kinds: readers.Scores) -> str:
    """A row for each kind, and how often marks are right where they are known."""
    named = {NAMES.get(kind, kind): scores for kind, scores in kinds.items()}
    marked = "; ".join(
        f"{OURS if name == OURS else f'RapidOCR, {MODES[name]},'} {row['marks']:.1%}"
        for name, row in kinds.get("amount", {}).items()
        if row["marks"] is not None
    ).replace("%", " %")
    note = f"\n{NAMES['amount']}, exact with their marks: {marked}\n" if marked else ""
    return readers.table(COLUMNS, BESIDE, named, "exact", "digits") + note


def thresholds() -> dict[float, float | None]:
    """For each target error the confidence from which digits are stated; None if none is safe."""
    risk = Fusion.from_dict(load_line_card().fusion).risk
    found: dict[float, float | None] = dict.fromkeys(TARGETS)
    for target in TARGETS if risk else ():
        with suppress(ValueError):
            found[target] = risk.threshold_for(target)
    return found


def promises(results: Sequence[Result], least: Mapping[float, float | None]) -> str:
    """A row for each target error: how many digits are stated, and how many of them are wrong."""
    rows: list[Row] = []
    for target, threshold in least.items():
        n, right = (0, 0) if threshold is None else sure(results, threshold)
        interval = wilson_interval(n - right, n) if n else None
        rows.append({"target": target, "n": n, "interval": interval})
        rows[-1]["share"] = (n - right) / n if n else None
    return harness.table(PROMISES, rows)


if __name__ == "__main__":
    main()
