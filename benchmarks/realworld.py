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

import csv
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitlens.errors import ImageError
from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.risk import RiskCoverage
from digitlens.imaging.image import load_image
from digitlens.models.line_bundle import load_line_card
from digitlens.progress import work_bar
from digitlens.reading.fusion import Fusion
from harness import interval, parser, percent, provenance, publish
from harness import table as as_table
from readers import (
    FAILED,
    MODES,
    OURS,
    Readers,
    add_options,
    best_mode,
    digits_only,
    numbers,
    origin,
)

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


@dataclass(frozen=True)
class Result:
    """What one reader says of one picture, and what stands there."""

    file: str
    kind: str
    source: str
    label: str
    text: str
    milliseconds: float
    confidences: tuple[float, ...] = field(default=(), kw_only=True)  # of the text's digits
    reader: str = field(default=OURS, kw_only=True)
    full_label: str | None = field(default=None, kw_only=True)  # with marks, if they are known
    full_text: str = field(default="", kw_only=True)

    @property
    def exact(self) -> bool:
        return self.label == self.text

    @property
    def edits(self) -> int:
        return edit_distance(self.label.replace("\n", ""), self.text.replace("\n", ""))

    @property
    def digits(self) -> int:
        return len(self.label.replace("\n", ""))

    @property
    def marks(self) -> bool | None:
        """Whether marks are right too; None if they are not known."""
        if self.full_label is None:
            return None
        there, read = ("".join(numbers(text)) for text in (self.full_label, self.full_text))
        return self.exact and there == read


def main() -> None:
    made = parser(__doc__, environments=True)
    made.add_argument("folder", type=Path, help="folder with labels.csv")
    made.add_argument("--kinds", nargs="+", metavar="KIND", help="only these")
    made.add_argument("--wrong", action="store_true", help="list what digitlens read wrong")
    add_options(made)
    options = made.parse_args()
    about = provenance() | {"threads": options.threads}
    with ExitStack() as stack:
        readers = Readers(stack, options)
        results = list(read_folder(options.folder, readers, options.kinds))
    thresholds = promised_thresholds()
    kept = promises(results, thresholds)
    text = f"{table(results)}\n{stated(results)}\n{kept}\n{origin(about, readers.versions)}"
    publish(options.out, "realworld", about | record(results, readers.versions), text)
    for result in results if options.wrong else ():
        if result.reader == OURS and not result.exact:
            print(f"{result.file}: {result.label!r} read as {result.text!r}")


def read_folder(
    folder: Path, readers: Readers, kinds: Iterable[str] | None = None
) -> Iterator[Result]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if not kinds or row["kind"] in kinds]
    with work_bar() as bar:
        for row in bar.track(rows, description="reading"):
            yield from _read(folder, row, readers)


def _read(folder: Path, row: dict[str, str], readers: Readers) -> Iterator[Result]:
    start = time.perf_counter()
    try:
        page = load_image(folder / row["file"])
    except ImageError:  # wrong for all: RapidOCR opens files with Pillow as well
        page = None
    decoding = 1000 * (time.perf_counter() - start)
    full = full_text(row.get("note") or "")
    failed = dict.fromkeys(readers.names, FAILED)
    for name, said in (failed if page is None else readers.read(page)).items():
        yield Result(
            row["file"],
            row["kind"],
            row["source"],
            digits_only(row["label"]),
            said.digits,
            decoding + said.milliseconds,
            confidences=said.confidences,
            reader=name,
            full_label=full,
            full_text=said.text,
        )


def full_text(note: str) -> str | None:
    """The text of a picture with its marks, if a note has it."""
    found = re.search(r"full text: ([^;]*)", note)
    return found and found[1]


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and replacements that turn one text into the other."""
    return _edits(a, b)[-1][-1]


def _edits(a: str, b: str) -> list[list[int]]:
    """The edit distance of each beginning of one text from each of the other."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        above, row = rows[-1], [i]
        for j, y in enumerate(b, 1):
            row.append(min(row[j - 1] + 1, above[j] + 1, above[j - 1] + (x != y)))
        rows.append(row)
    return rows


def aligned(label: str, text: str) -> list[bool]:
    """Which characters of a text are right, when it is aligned to its label with fewest edits."""
    rows = _edits(label, text)
    right, i, j = [False] * len(text), len(label), len(text)
    while i and j:
        same = label[i - 1] == text[j - 1]
        if rows[i][j] == rows[i - 1][j - 1] + (not same):
            right[j - 1] = same
            i, j = i - 1, j - 1
        elif rows[i][j] == rows[i][j - 1] + 1:
            j -= 1
        else:
            i -= 1
    return right


def sure(results: Sequence[Result], least: float = 0.99) -> tuple[int, int]:
    """Digits stated with at least this confidence: how many there are, and how many are right."""
    stated = [
        is_right
        for result in results
        if result.confidences
        for is_right, confidence in zip(
            aligned(result.label.replace("\n", ""), result.text.replace("\n", "")),
            result.confidences,
            strict=True,
        )
        if confidence >= least
    ]
    return len(stated), sum(stated)


def summary(results: Sequence[Result]) -> dict[str, Any]:
    exact, n = sum(result.exact for result in results), len(results)
    digits = sum(result.digits for result in results)
    marks = [result.marks for result in results if result.marks is not None]
    return {
        "n": n,
        "exact": exact / n,
        "interval": wilson_interval(exact, n),
        "digits": 1 - sum(result.edits for result in results) / digits if digits else None,
        "marks": sum(marks) / len(marks) if marks else None,
        "milliseconds": statistics.median(result.milliseconds for result in results),
    }


def groups(results: Sequence[Result], by: str) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        found[getattr(result, by)].append(result)
    return dict(found)


def summaries(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    of_kinds = groups(results, "kind")
    return {
        kind: {name: summary(rows) for name, rows in groups(of_kinds[kind], "reader").items()}
        for kind in sorted(of_kinds, key=[*NAMES, *of_kinds].index)
    }


def table(results: Sequence[Result]) -> str:
    """A row for each kind: digitlens, and RapidOCR in the mode that is best on it."""
    kinds = summaries(results)
    columns = ["real pictures", "n", "exact", "95 % interval", "digits right", "ms a picture"]
    if any(len(scores) > 1 for scores in kinds.values()):
        columns += ["RapidOCR exact", "digits right", "ms", "its mode"]
    rows = [[NAMES.get(kind, kind), *_cells(scores)] for kind, scores in kinds.items()]
    marked = "; ".join(
        f"{OURS if name == OURS else f'RapidOCR, {MODES[name]},'} {percent(row['marks'])}"
        for name, row in kinds.get("amount", {}).items()
    )
    note = f"\n{NAMES['amount']}, exact with their marks: {marked}\n" if marked else ""
    return as_table(columns, rows) + note


def _cells(scores: dict[str, Any]) -> list[str]:
    ours, best = scores[OURS], best_mode(scores, "exact", "digits")
    exact, *others = _shown(ours)
    cells = [str(ours["n"]), exact, interval(ours["interval"], 1), *others]
    return [*cells, *_shown(scores[best]), MODES[best]] if best else cells


def _shown(row: dict[str, Any]) -> list[str]:
    return [percent(row["exact"]), percent(row["digits"]), f"{row['milliseconds']:.0f}"]


def stated(results: Sequence[Result]) -> str:
    number, right = sure(results)
    ends = interval(wilson_interval(right, number), 1)
    share = f"{percent(right / max(1, number), 2)} of them right ({ends})"
    return f"stated with at least 99 % confidence: {number} digits, {share}\n"


def promised_thresholds() -> dict[float, float | None]:
    """For each target error the confidence from which digits are stated; None if none is safe."""
    risk = Fusion.from_dict(load_line_card().fusion).risk
    return {target: _threshold(risk, target) for target in TARGETS}


def _threshold(risk: RiskCoverage | None, target: float) -> float | None:
    try:
        return risk.threshold_for(target) if risk else None
    except ValueError:
        return None


def promises(results: Sequence[Result], thresholds: Mapping[float, float | None]) -> str:
    """A row for each target error: how many digits are stated, and how many of them are wrong."""
    lines: list[list[str]] = []
    for target, threshold in thresholds.items():
        cells = ["0", "", ""]
        if threshold is not None:
            number, right = sure(results, threshold)
            ends = interval(wilson_interval(number - right, number))
            cells = [str(number), percent((number - right) / max(1, number), 2), ends]
        lines.append([f"{target:g}", *cells])
    return as_table(("target_error", "digits stated", "wrong", "95 % interval"), lines)


def record(results: Sequence[Result], versions: dict[str, str]) -> dict[str, Any]:
    return {
        "readers": versions,
        "kinds": summaries(results),
        "stated_99": dict(zip(("digits", "right"), sure(results), strict=True)),
        "pictures": [_picture(rows) for rows in groups(results, "file").values()],
    }


def _picture(results: Sequence[Result]) -> dict[str, Any]:
    first = results[0]
    said = {
        result.reader: {"text": result.text, "milliseconds": round(result.milliseconds, 1)}
        for result in results
    }
    return {"file": first.file, "kind": first.kind, "label": first.label, "read": said}


if __name__ == "__main__":
    main()
