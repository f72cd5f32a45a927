"""How well are real pictures read? Reads every picture that a folder's ``labels.csv`` names.

    python benchmarks/realworld.py FOLDER [--model M] [--pages P] [--out FOLDER] [--wrong]

``labels.csv`` has the columns file, kind, label, source and note; a label has one line for each
line of its picture. Only digits are compared: signs, decimal marks and spaces count neither in
labels nor in readings, and what the reader rejects is not part of a reading.

- exact: share of pictures on which every line is right, with its 95 % Wilson interval; of the kind
  ``reject`` the share on which no digit is read.
- digits: 1 - edit distance / digits of all labels of a kind, line breaks not counted. It falls
  below 0 when more is read than there is.
- ms: median time of decoding and reading a picture, one at a time.
"""

import argparse
import csv
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digitlens import __version__, files
from digitlens.evaluation.metrics import wilson_interval
from digitlens.recognition.reader import DigitReader


@dataclass(frozen=True)
class Result:
    file: str
    kind: str
    source: str
    label: str
    text: str
    milliseconds: float
    confidences: tuple[float, ...] = field(default=(), kw_only=True)  # of the text's digits

    @property
    def exact(self) -> bool:
        return self.label == self.text

    @property
    def edits(self) -> int:
        return edit_distance(self.label.replace("\n", ""), self.text.replace("\n", ""))

    @property
    def digits(self) -> int:
        return len(self.label.replace("\n", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with labels.csv")
    parser.add_argument("--model", default="default", help="shipped name, run or model folder")
    parser.add_argument("--pages", default="pages", help="page reader, likewise")
    parser.add_argument("--out", type=Path, help="folder for realworld.json and realworld.md")
    parser.add_argument("--wrong", action="store_true", help="list what was read wrong")
    options = parser.parse_args()
    reader = DigitReader(options.model, pages=options.pages)
    results = read_folder(options.folder, reader)
    print_summary(results)
    if options.wrong:
        print_wrong(results)
    if options.out:
        files.write_json(options.out / "realworld.json", record(results, reader))
        files.write_bytes(options.out / "realworld.md", table(results).encode())


def read_folder(folder: Path, reader: DigitReader) -> list[Result]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return [_read(folder, row, reader) for row in csv.DictReader(stream)]


def _read(folder: Path, row: dict[str, str], reader: DigitReader) -> Result:
    start = time.perf_counter()
    reading = reader.read(folder / row["file"])
    milliseconds = 1000 * (time.perf_counter() - start)
    label = digits_only(row["label"])
    sure = tuple(digit.confidence for digit in reading.digits)
    return Result(
        row["file"],
        row["kind"],
        row["source"],
        label,
        reading.text,
        milliseconds,
        confidences=sure,
    )


def digits_only(label: str) -> str:
    """The digits of a label, line by line; lines without digits are left out."""
    lines = ("".join(c for c in line if c in "0123456789") for line in label.splitlines())
    return "\n".join(line for line in lines if line)


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
    return {
        "n": n,
        "exact": exact / n,
        "interval": wilson_interval(exact, n),
        "digits": 1 - sum(result.edits for result in results) / digits if digits else None,
        "milliseconds": statistics.median(result.milliseconds for result in results),
    }


def groups(results: Sequence[Result], by: str) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        found[getattr(result, by)].append(result)
    return dict(found)


def print_summary(results: list[Result]) -> None:
    print(f"{'':44}{'n':>4}  {'exact':>7}  {'95 % interval':>15}  {'digits':>7}  {'ms':>5}")
    for kind, of_kind in groups(results, "kind").items():
        print_row(kind, of_kind)
        sources = groups(of_kind, "source")
        for source, of_source in sources.items() if len(sources) > 1 else ():
            print_row("  " + source[:40], of_source)
    stated, right = sure(results)
    low, high = wilson_interval(right, stated) if stated else (0.0, 1.0)
    print(
        f"stated with at least 99 % confidence: {stated} digits, "
        f"{100 * right / max(1, stated):.2f} % of them right ({100 * low:.1f} to {100 * high:.1f})"
    )


def print_row(name: str, results: Sequence[Result]) -> None:
    row = summary(results)
    low, high = (f"{100 * end:.1f}" for end in row["interval"])
    digits = "" if row["digits"] is None else f"{100 * row['digits']:.1f} %"
    shares = f"{100 * row['exact']:5.1f} %  {low + ' to ' + high:>15}  {digits:>7}"
    print(f"{name:44}{row['n']:>4}  {shares}  {row['milliseconds']:5.0f}")


NAMES = {
    "single": "one digit",
    "multi": "several digits",
    "check": "amounts on bank checks",
    "reject": "no digit at all",
}


def table(results: list[Result]) -> str:
    lines = [
        "| real pictures | n | exact | 95 % interval | digits right | ms a picture |",
        "|---|---|---|---|---|---|",
    ]
    for kind, of_kind in groups(results, "kind").items():
        row = summary(of_kind)
        low, high = (f"{100 * end:.1f}" for end in row["interval"])
        digits = "" if row["digits"] is None else f"{100 * row['digits']:.1f} %"
        lines.append(
            f"| {NAMES.get(kind, kind)} | {row['n']} | {100 * row['exact']:.1f} % "
            f"| {low} to {high} | {digits} | {row['milliseconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def print_wrong(results: list[Result]) -> None:
    for result in results:
        if not result.exact:
            print(f"{result.file}: {result.label!r} read as {result.text!r}")


def record(results: list[Result], reader: DigitReader) -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "digitlens": __version__,
        "machine": f"{platform.system()} {platform.machine()}, {platform.processor()}",
        "model": {"name": reader.classifier.name, "sha256": reader.classifier.sha256},
        "pages": {"name": reader.finder.card.name, "sha256": reader.finder.card.sha256},
        "kinds": {kind: summary(rows) for kind, rows in groups(results, "kind").items()},
        "stated_99": dict(zip(("digits", "right"), sure(results), strict=True)),
        "pictures": [asdict(result) for result in results],
    }


if __name__ == "__main__":
    main()
