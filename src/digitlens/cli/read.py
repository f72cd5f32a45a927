"""``read``, ``batch``, ``explain`` and ``table``: read pictures and tables, explain readings."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Unpack

import typer
from typer import Argument, Option

from digitlens.cli import tables
from digitlens.cli.read_paths import STDIN, ReadSettings, format_of, read_paths
from digitlens.cli.tables import INTERRUPTED, AsJson, Model, Pages, checking, print_json, writing
from digitlens.errors import ImageError
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    from digitlens.explain.explanation import Explanation
    from digitlens.imaging.image import Page
    from digitlens.reading.constraints import Expectation
    from digitlens.reading.notation import NotationOptions
    from digitlens.reading.shards import BatchStatus
    from digitlens.tabular import Table

Expect = Annotated[
    list[str] | None,
    Option(
        help="Constraint on the number on each page; repeatable: a count of digits such as 4, a "
        "pattern such as '####-##', 'range 0..500', '>= 7', 'after 1234.5 by 20', "
        "'one of 12, 15, 18', luhn, ean, isbn, iban, 'mod 11-2', 'mod 37-2' or 'mod 97-10'."
    ),
]
TargetError = Annotated[
    str | None,
    Option(
        help="Maximum fraction of the sure digits that may be wrong, such as 0.1% or 0.001; a "
        "lower fraction leaves more digits doubtful."
    ),
]

Decimal = Annotated[
    str | None,
    Option(
        metavar="MARK",
        help="Decimal mark, . or , (default: inferred from the numbers on the page if they agree).",
    ),
]
Grouping = Annotated[
    str | None,
    Option(metavar="MARK", help="Mark between groups of three digits: . or , or ' or a space."),
]
Locale = Annotated[
    str | None,
    Option(help="Locale of the page, which sets its marks and date order, such as de_DE or en_US."),
]


def read(
    paths: Annotated[
        list[str] | None,
        Argument(
            help="Pictures, PDFs, folders or patterns such as 'scans/*.png'; - reads one file from "
            "standard input."
        ),
    ] = None,
    image: Annotated[list[str] | None, Option(hidden=True, help="Same as a path.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print one line of JSON per page.")] = False,
    as_csv: Annotated[
        bool, Option("--csv", help="Print one row per digit, rejected ones included.")
    ] = False,
    annotate: Annotated[
        Path | None,
        Option(metavar="DIR", file_okay=False, help="Folder for copies marked with the reading."),
    ] = None,
    expect: Expect = None,
    target_error: TargetError = None,
    decimal: Decimal = None,
    grouping: Grouping = None,
    locale: Locale = None,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read the digits on pictures, and on every page of PDF and TIFF files.

    Prints a table on a terminal. In a pipe, prints one line per page: path, tab, digits, with a
    space between the lines of the page; a suffix such as #2 gives the page of a multi-page file.
    Files and pages that cannot be read are reported on standard error; the others are still read,
    and the exit code is 1. Pages without a number that fulfils --expect are reported there too.
    """
    pictures = [*(paths or ()), *(image or ())]
    if not pictures:
        raise typer.BadParameter("expected at least one path", param_hint="PATHS")
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    expected, target = _parse_expected(expect, target_error)
    notation = notation_of(decimal=decimal, grouping=grouping, locale=locale)
    options = ReadSettings(model, pages, expected, target, annotate, notation)
    if not read_paths(pictures, format_of(as_json, as_csv), options):
        raise typer.Exit(1)


def _parse_expected(
    expect: list[str] | None, target_error: str | None
) -> tuple[Expectation | None, float | None]:
    """The constraints and the target error; an invalid value is reported for its option."""
    from digitlens.evaluation.risk import parse_target
    from digitlens.reading.constraints import Expectation

    with checking("--expect"):
        expected = Expectation.of(expect or None)
    with checking("--target-error"):
        return expected, None if target_error is None else parse_target(target_error)


def notation_of(**notation: Unpack[NotationOptions]) -> NotationOptions:
    """Checks and returns the notation of numbers; an invalid value is reported for its option."""
    from digitlens.reading.notation import Notation

    try:
        Notation.of(**notation)
    except ValueError as error:
        name = str(error).split(":", maxsplit=1)[0].split(",")[0]
        raise typer.BadParameter(str(error), param_hint=f"--{name}") from error
    return notation


def batch(
    source: Annotated[
        str, Argument(metavar="SOURCE", help="Folder or s3://, gs:// or az:// URL of pictures.")
    ],
    out: Annotated[
        str,
        Option(metavar="DEST", help="Folder or URL for the Parquet files."),
    ],
    workers: Annotated[
        int | None, Option(min=1, help="Single-threaded processes (default: one per core).")
    ] = None,
    shard: Annotated[
        int,
        Option(min=1, metavar="PICTURES", help="Pictures per file, the most that a crash loses."),
    ] = 1000,
    patience: Annotated[
        float,
        Option(
            min=1,
            metavar="SECONDS",
            help="Time without a heartbeat until others take over; the same on all machines.",
        ),
    ] = 60.0,
    expect: Expect = None,
    target_error: TargetError = None,
    decimal: Decimal = None,
    grouping: Grouping = None,
    locale: Locale = None,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read any number of pictures into Parquet files, on any number of machines.

    Run the same command on each machine: the machines share the work through DEST, and each picture
    is read exactly once. Run it again to resume after an interruption. A picture that cannot be
    read becomes a row with its error. Pictures added after the first machine listed SOURCE are
    ignored.
    """
    import signal

    from digitlens.models.session import cores
    from digitlens.reading.shards import BatchJob, RowOptions, run_batch

    _, target = _parse_expected(expect, target_error)
    notation = notation_of(decimal=decimal, grouping=grouping, locale=locale)
    options = RowOptions(model, pages, tuple(expect or ()), target, notation)
    job = BatchJob(source, out, options, shard, patience)
    # Clouds stop machines by SIGTERM: handle it like Ctrl-C, so that leases are released.
    previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with work_bar("{task.fields[told]}") as bar:
            task = bar.add_task("shards", total=None, told="")

            def show_progress(status: BatchStatus) -> None:
                bar.update(task, completed=status.done, total=status.total, told=_summary(status))

            status = run_batch(job, workers or cores(), show_progress)
    except KeyboardInterrupt:
        note("digitlens: interrupted: run the same command again to resume")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, previous_handler)
    note(f"{_summary(status)}; {status.done:,} of {status.total or 0:,} shards are in {out}")
    if status.done != status.total:
        raise typer.Exit(1)


def _summary(status: BatchStatus) -> str:
    errors = f", {status.errors:,} of them with errors" if status.errors else ""
    return f"{status.pictures:,} pictures read here{errors}"


def explain(
    picture: Annotated[
        str, Argument(help="A picture, PDF or TIFF; - reads one from standard input.")
    ],
    digit: Annotated[
        int | None,
        Option(min=1, help="Explain only this digit, counted from 1 (default: the first 12)."),
    ] = None,
    page: Annotated[int, Option(min=1, help="Page of a PDF or TIFF.")] = 1,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", file_okay=False, help="Output folder (default: explanation-NAME)."),
    ] = None,
    as_json: AsJson = False,
    model: Model = "default",
    pages: Pages = "pages",
    data_dir: Annotated[
        Path | None, Option(help="Folder with the MNIST files, for similar training digits.")
    ] = None,
) -> None:
    """Explain one picture: what was found, why it was read so, and what would change the result.

    Writes a folder with a page to open in a browser, the picture marked with its reading, and the
    stages of reading.
    """
    from digitlens import files
    from digitlens.explain.explanation import explain
    from digitlens.models.bundle import open_roles
    from digitlens.reading.reader import DigitReader
    from digitlens.visualization import explanation_page
    from digitlens.visualization.overlay import write_reading
    from digitlens.visualization.sheets import write_stages

    name, pixels = _load_page(picture, page)
    classifier, detector = open_roles(model, pages)
    reader = DigitReader(classifier, pages=detector)
    seen = reader.examine(pixels)
    with checking("--digit"):
        explanation = explain(name, reader, seen, classifier.folder, digit=digit, data_dir=data_dir)
    folder = out or Path(f"explanation-{_folder_stem(picture, name)}")
    try:
        with writing(folder):
            files.write_json(folder / "explanation.json", explanation.as_dict())
            write_reading(folder / "overview.png", explanation.page, explanation.reading)
            heat = write_stages(folder / "stages", seen, reader.thresholds)
            html = explanation_page.page(explanation, heat)
            files.write_bytes(folder / "explanation.html", html.encode())
        note(f"written to {folder}: open {folder / 'explanation.html'}")
    finally:
        if as_json:
            typer.echo(json.dumps(explanation.as_dict()))
        else:
            _print_explanation(explanation)


def _load_page(picture: str, number: int) -> tuple[str, Page]:
    """The name of a page, and its pixels."""
    from digitlens.imaging.document import open_document, page_name

    with open_document(sys.stdin.buffer if picture == STDIN else picture) as document:
        if number > document.count:
            pages = "one page" if document.count == 1 else f"{document.count} pages"
            raise ImageError(f"{picture} has {pages}, found --page {number}: name an existing page")
        name = "standard input" if picture == STDIN else Path(picture).name
        return page_name(name, number, document.count), document.page(number)


def _folder_stem(picture: str, name: str) -> str:
    """The name of the output folder without its prefix: the picture's stem, and its page."""
    page = f"-page-{name.rpartition('#')[2]}" if name != Path(picture).name else ""
    return "stdin" if picture == STDIN else f"{Path(picture).stem}{page}"


def _print_explanation(explanation: Explanation) -> None:
    from digitlens.visualization import phrases

    console = tables.wide_console()
    console.print(f"{explanation.name}: {phrases.headline(explanation)}", style="bold")
    for line in phrases.how(explanation):
        console.print(line)
    for each in (*explanation.digits, *explanation.rejected):
        kind = "rejected" if each.digit.status == "rejected" else "digit"
        text_style = "bold yellow" if each.digit.status == "unsure" else "bold"
        console.print(f"\n{kind} {each.number}: {phrases.found(each)}", style=text_style)
        opinions = [
            (f"  {name}", source, output) for name, source, output in phrases.opinions(each)
        ]
        console.print(tables.table_of(("  network", "input", "output"), opinions, left=3))
        for line in (*phrases.why(each), *phrases.similar_digits(each)):
            console.print(f"  {line}")
        if changes := each.attributions and each.attributions.counterfactuals:
            rows = [(f"  {phrases.counterfactual(one)}", phrases.outcome(one)) for one in changes]
            console.print(tables.table_of(("  smallest changes", "new answer"), rows, left=2))
        for line in phrases.counterfactuals(each):
            console.print(f"  {line}")


def table(
    picture: Annotated[str, Argument(help="A picture or PDF; - reads standard input.")],
    grid: Annotated[
        str | None,
        Option(metavar="ROWSxCOLUMNS", help="Number of rows and columns, such as 9x9."),
    ] = None,
    columns: Annotated[int | None, Option(min=1, max=250, help="Number of columns.")] = None,
    rules: Annotated[
        Literal["sudoku", "total"] | None,
        Option(
            help="sudoku: the cells form a Sudoku. total: in columns of numbers, the last row is "
            "the sum of the rows above."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Option(dir_okay=False, help="File to write: .csv, .json, .parquet or .xlsx."),
    ] = None,
    page: Annotated[int, Option(min=1, help="Page of a document.")] = 1,
    decimal: Decimal = None,
    grouping: Grouping = None,
    locale: Locale = None,
    model: Model = "default",
    pages: Pages = "pages",
    as_json: AsJson = False,
) -> None:
    """Read the table on a picture, cell by cell; if there are several, the largest.

    Finds cells by their ruled lines, also on a photo taken at an angle, or by the alignment of the
    numbers. Prints a table on a terminal, with doubtful cells in yellow, and CSV in a pipe. Reports
    the number of doubtful cells on standard error. The exit code is 1 if no such table is found, or
    if the cells violate --rules; they are then printed as read.
    """
    from digitlens.reading.reader import DigitReader
    from digitlens.reading.table import TableOptions
    from digitlens.tabular import check_form, write_table

    if out:
        check_form(out)
    notation = notation_of(decimal=decimal, grouping=grouping, locale=locale)
    options = {"--grid": grid, "--columns": columns, "--rules": rules}
    shape = _grid_shape(grid)
    with checking(", ".join(name for name, value in options.items() if value is not None)):
        TableOptions(shape, columns, rules)
    _, image = _load_page(picture, page)
    reader = DigitReader(model, pages=pages)
    try:
        result = reader.read_table(image, grid=shape, columns=columns, expect=rules, **notation)
    except ImageError as error:
        raise ImageError(f"{picture}: {error}") from error
    if out:
        write_table(out, result)
    if as_json:
        print_json(result.as_dict())
    elif out:
        note(f"{result.shape[0]} rows and {result.shape[1]} columns written")
    elif sys.stdout.isatty():
        _print_cells(result)
    else:
        sys.stdout.write(result.to_csv())
    _note_doubts(result, picture)
    if not result.kept:
        raise typer.Exit(1)


def _grid_shape(grid: str | None) -> tuple[int, int] | None:
    if grid is None:
        return None
    match = re.fullmatch(r"(\d{1,4}) ?[x×,] ?(\d{1,4})", grid.strip().lower())  # noqa: RUF001
    if not match:
        expected = f"expected ROWSxCOLUMNS, such as 9x9, found {grid!r}"
        raise typer.BadParameter(expected, param_hint="--grid")
    return int(match[1]), int(match[2])


def _print_cells(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=box.SQUARE, show_header=False, show_lines=True)
    for _ in range(table.shape[1]):
        grid.add_column(justify="right", overflow="fold")
    for row in table.rows:
        styles = ("bold yellow" if cell.status == "unsure" else "" for cell in row)
        grid.add_row(*(Text(cell.text, style) for cell, style in zip(row, styles, strict=True)))
    Console(highlight=False).print(grid)


def _note_doubts(table: Table, picture: str) -> None:
    if not table.kept:
        problem = "a column does not add up to its last row: it was misread, or has no total"
        if table.rule == "sudoku":
            problem = "the cells form no valid Sudoku: they are shown as read, without its rules"
        note(f"digitlens: {picture}: {problem}")
    if table.unsure:
        (r, c), count = table.unsure[0], len(table.unsure)
        summary = f"{count} doubtful {'cell' if count == 1 else 'cells'}, the first in row {r + 1}"
        note(f"{summary}, column {c + 1}: {table.rows[r][c].reason}")
