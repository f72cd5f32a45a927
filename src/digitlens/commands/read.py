"""``digitlens read``: the digits on pictures, as a table, text, JSON lines or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from digitlens.errors import ImageError
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.text import Text

    from digitlens.results import Digit, Reading

STDIN = "-"
COLUMNS = ("path", "line", "index", "value", "confidence", "status", "x0", "y0", "x1", "y1")
DOUBTS = 3  # a picture, in the table
COLOURS = {"digit": "", "unsure": "yellow", "rejected": "red strike"}

Paths = Annotated[list[str], typer.Argument(help="Pictures; - reads one from standard input.")]
Images = Annotated[list[str], typer.Option("--image", help="A picture; may be given repeatedly.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a picture, in a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a row a digit, also of rejected ones.")]
Annotate = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", file_okay=False, help="Folder for copies that show what was read where."
    ),
]
Model = Annotated[str, typer.Option(help="A shipped model's name, or a run or model folder.")]


def read(
    paths: Paths,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    model: Model = "default",
) -> None:
    """Read the digits on pictures.

    Prints a table on a terminal, and in a pipe a line a picture: path, tab, digits, with a space
    between the lines of a page. A file that cannot be read is named on standard error, the others
    are still read, and the exit code is 1.
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    out = sys.stdout  # the progress bar puts its own in its place
    as_table = out.isatty() and not (as_json or as_csv)
    failed: list[str] = []
    readings = _read_all(paths, model, annotate, failed, bar=as_table or not out.isatty())
    if as_table:
        _print_table(list(readings))
    elif as_csv:
        _print_csv(readings, out)
    else:
        _print_lines(readings, out, _json_line if as_json else _text_line)
    if failed:
        raise typer.Exit(1)


def predict(
    image: Images,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    model: Model = "default",
) -> None:
    """Read the digits on pictures: the same as read, with --image before each."""
    read(image, as_json, as_csv, annotate, model)


def _read_all(
    paths: list[str], model: str, annotate: Path | None, failed: list[str], *, bar: bool
) -> Iterator[tuple[str, Reading]]:
    from digitlens.data.images import load_image
    from digitlens.recognition.reader import DigitReader

    reader = DigitReader(model)
    targets = _targets(paths, annotate)
    progress = work_bar()
    progress.disable = progress.disable or not bar
    with progress:
        for path, target in progress.track(
            list(zip(paths, targets, strict=True)), description="reading"
        ):
            try:
                page = load_image(sys.stdin.buffer if path == STDIN else path)
            except ImageError as error:
                failed.append(path)
                progress.console.print(f"digitlens: {error}", markup=False, soft_wrap=True)
                continue
            reading = reader.read(page)
            if target:
                from digitlens.visualization.overlay import write_reading

                write_reading(target, page, reading)
            yield path, reading


def _targets(paths: list[str], folder: Path | None) -> list[Path | None]:
    """A file in the folder for each picture; none twice, and none that is a picture to be read."""
    if folder is None:
        return [None] * len(paths)
    taken = {_key(Path(path)) for path in paths}
    targets: list[Path | None] = []
    for path in paths:
        stem = "stdin" if path == STDIN else Path(path).stem
        names = (f"{stem}.png" if n == 1 else f"{stem}-{n}.png" for n in count(1))
        target = next(folder / name for name in names if _key(folder / name) not in taken)
        taken.add(_key(target))
        targets.append(target)
    return targets


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # some file systems hold A.png and a.png for the same


def _printable(text: str, out: TextIO) -> str:
    encoding = out.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _print_lines(
    readings: Iterable[tuple[str, Reading]], out: TextIO, line: Callable[[str, Reading], str]
) -> None:
    for path, reading in readings:
        print(_printable(line(path, reading), out), file=out, flush=True)


def _text_line(path: str, reading: Reading) -> str:
    return f"{path}\t{reading.text.replace(chr(10), ' ')}"


def _json_line(path: str, reading: Reading) -> str:
    return json.dumps({"path": path, **reading.as_dict()})


def _print_csv(readings: Iterable[tuple[str, Reading]], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for path, reading in readings:
        for number, line in enumerate(reading.lines):
            for index, digit in enumerate(line):
                answer = (digit.value, f"{digit.confidence:.6f}", digit.status)
                writer.writerow(
                    (_printable(path, out), number, index, *answer, *digit.box.as_list())
                )


def _print_table(readings: list[tuple[str, Reading]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("picture", "digits", "least sure", "doubts"):
        table.add_column(heading, overflow="fold")
    for path, reading in readings:
        least = min((digit.percent for digit in reading.digits), default=None)
        sure = "" if least is None else f"{least} %"
        table.add_row(
            Text(_printable(path, sys.stdout)), _digits(reading), sure, Text(_doubts(reading))
        )
    Console(highlight=False).print(table)


def _digits(reading: Reading) -> Text:
    from rich.text import Text

    lines = [
        Text.assemble(*((str(digit.value), COLOURS[digit.status]) for digit in line))
        for line in reading.lines
    ]
    return Text("\n").join(lines) if lines else Text("no digits", "dim")


def _doubts(reading: Reading) -> str:
    digits = [digit for line in reading.lines for digit in line]
    doubts = [_doubt(k, digit) for k, digit in enumerate(digits, 1) if digit.reason]
    more = [f"and {len(doubts) - DOUBTS} more"] if len(doubts) > DOUBTS else []
    return "\n".join(doubts[:DOUBTS] + more)


def _doubt(place: int, digit: Digit) -> str:
    return f"{digit.value}, no. {place}: {digit.reason}"
