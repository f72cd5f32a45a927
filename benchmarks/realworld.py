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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import harness
import readers
from digitlens.errors import ImageError
from digitlens.evaluation.metrics import aligned, wilson_interval
from digitlens.imaging.image import load_image
from digitlens.models.bundle import load_line_card
from digitlens.progress import work_bar
from digitlens.reading.fusion import Fusion
from harness import Row
from readers import FAILED, MODES, OURS, Readers, Said, digits_only, full_text, numbers

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


@dataclass(frozen=True)
class Result:
    """What one reader says of one picture, and the digits that stand there."""

    file: str
    kind: str
    reader: str
    label: str
    full_label: str | None  # with marks; None if they are not known
    said: Said

    @property
    def exact(self) -> bool:
        return self.label == self.said.digits

    @property
    def pair(self) -> tuple[str, str]:
        """The digits that are there and those that are read, without line breaks."""
        return self.label.replace("\n", ""), self.said.digits.replace("\n", "")

    @property
    def marks(self) -> bool | None:
        """Whether marks are right too; None if they are not known."""
        if self.full_label is None:
            return None
        there, read = ("".join(numbers(text)) for text in (self.full_label, self.said.text))
        return self.exact and there == read


def main() -> None:
    made = harness.parser(__doc__, environments=True)
    made.add_argument("folder", type=Path, help="folder with labels.csv")
    made.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="only these")
    made.add_argument("--wrong", action="store_true", help="list what digitlens read wrong")
    readers.add_options(made)
    options = made.parse_args()
    about = harness.provenance() | {"threads": options.threads}
    with ExitStack() as stack:
        asked = Readers(stack, options)
        results = list(read_folder(options.folder, asked, options.kinds))
    ours = [result for result in results if result.reader == OURS]
    kinds = kind_scores(results)
    n, right = sure(ours)
    stated = {"n": n, "right": right / max(1, n), "ends": wilson_interval(right, n)}
    parts = [table(kinds), f"{harness.show(STATED, stated)}\n", promises(ours, thresholds())]
    record = about | {
        "readers": asked.versions,
        "kinds": kinds,
        "stated_99": {"digits": n, "right": right},
        "pictures": pictures(results),
    }
    text = "\n".join([*parts, readers.origin(about, asked.versions)])
    harness.publish(options.out, "realworld", record, text)
    for result in ours if options.wrong else ():
        if not result.exact:
            print(f"{result.file}: {result.label!r} read as {result.said.digits!r}")


def read_folder(folder: Path, asked: Readers, kinds: Sequence[str] = ()) -> Iterator[Result]:
    with work_bar() as bar:
        for row in bar.track(harness.listed(folder, *kinds), description="reading"):
            start = time.perf_counter()
            try:
                page = load_image(folder / row["file"])
            except ImageError:  # wrong for all: RapidOCR opens files with Pillow as well
                page = None
            decoding = 1000 * (time.perf_counter() - start)
            answers = dict.fromkeys(asked.names, FAILED) if page is None else asked.read(page)
            label, full = digits_only(row["label"]), full_text(row.get("note"))
            for name, said in answers.items():
                timed = replace(said, milliseconds=decoding + said.milliseconds)
                yield Result(row["file"], row["kind"], name, label, full, timed)


def sure(results: Sequence[Result], least: float = 0.99) -> tuple[int, int]:
    """Digits stated with at least this confidence: how many there are, and how many are right."""
    stated: list[bool] = []
    for result in results:
        pairs = zip(aligned(*result.pair)[1], result.said.confidences, strict=False)
        stated += [is_right for is_right, confidence in pairs if confidence >= least]
    return len(stated), sum(stated)


def summary(results: Sequence[Result]) -> Row:
    exact, n = sum(result.exact for result in results), len(results)
    digits = sum(len(result.pair[0]) for result in results)
    edits = sum(aligned(*result.pair)[0] for result in results)
    marks = [result.marks for result in results if result.marks is not None]
    return {
        "n": n,
        "exact": exact / n,
        "interval": wilson_interval(exact, n),
        "digits": 1 - edits / digits if digits else None,
        "marks": sum(marks) / len(marks) if marks else None,
        "milliseconds": statistics.median(result.said.milliseconds for result in results),
    }


def kind_scores(results: Sequence[Result]) -> readers.Scores:
    found = readers.summaries([(each.kind, each.reader, each) for each in results], summary)
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


def pictures(results: Sequence[Result]) -> list[Row]:
    """What each reader says of each picture, JSON-ready."""
    by_file: dict[str, Row] = {}
    for each in results:
        row = {"file": each.file, "kind": each.kind, "label": each.label, "read": {}}
        read = by_file.setdefault(each.file, row)["read"]
        milliseconds = round(each.said.milliseconds, 1)
        read[each.reader] = {"text": each.said.digits, "milliseconds": milliseconds}
    return list(by_file.values())


if __name__ == "__main__":
    main()
