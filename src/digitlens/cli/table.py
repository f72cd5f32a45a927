"""``digitlens table``: the cells of a table on a picture, for a spreadsheet or a program."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from digitlens.cli.read import Decimal, Grouping, Locale, notation_of
from digitlens.cli.tables import AsJson, Model, Pages
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.tabular import Table


def table(
    picture: Annotated[str, typer.Argument(help="A picture or PDF; - reads standard input.")],
    grid: Annotated[
        str | None,
        typer.Option(metavar="ROWSxCOLUMNS", help="How many rows and columns there are: 9x9."),
    ] = None,
    columns: Annotated[
        int | None, typer.Option(min=1, max=250, help="How many columns there are.")
    ] = None,
    rules: Annotated[
        Literal["sudoku", "total"] | None,
        typer.Option(
            help="sudoku: the cells keep its rules. total: in columns of numbers the last row is "
            "the sum of those above."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File to write: .csv, .json, .parquet or .xlsx."),
    ] = None,
    page: Annotated[int, typer.Option(min=1, help="Which page of a document.")] = 1,
    decimal: Decimal = None,
    grouping: Grouping = None,
    locale: Locale = None,
    model: Model = "default",
    pages: Pages = "pages",
    as_json: AsJson = False,
) -> None:
    """Read the table on a picture, cell by cell; of several, the largest.

    Its cells are found by rules, also on a photo taken from aside, or by how numbers are aligned.
    Prints a table on a terminal, where doubtful cells are yellow, and CSV in a pipe. Doubtful cells
    are counted on standard error. The exit code is 1 where there is no such table, and where its
    cells do not keep the rules: then they are given as they were read.
    """
    from digitlens.errors import ImageError
    from digitlens.imaging.document import open_document
    from digitlens.reading.reader import DigitReader
    from digitlens.reading.table import TableOptions
    from digitlens.tabular import check_form, write_table

    if out:
        check_form(out)
    notation = notation_of(decimal=decimal, grouping=grouping, locale=locale)
    given = {"--grid": grid, "--columns": columns, "--rules": rules}
    shape = _shape(grid)
    try:
        TableOptions(shape, columns, rules)
    except ValueError as error:
        named = [name for name, value in given.items() if value is not None]
        raise typer.BadParameter(str(error), param_hint=", ".join(named)) from error
    with open_document(sys.stdin.buffer if picture == "-" else picture) as document:
        if page > document.count:
            raise ImageError(f"{picture}: expected a page from 1 to {document.count}, found {page}")
        image = document.page(page)
    reader = DigitReader(model, pages=pages)
    try:
        found = reader.read_table(image, grid=shape, columns=columns, expect=rules, **notation)
    except ImageError as error:
        raise ImageError(f"{picture}: {error}") from error
    if out:
        write_table(out, found)
    _print(found, as_json, quiet=out is not None)
    _warn(found, picture)
    if not found.kept:
        raise typer.Exit(1)


def _shape(grid: str | None) -> tuple[int, int] | None:
    if grid is None:
        return None
    found = re.fullmatch(r"(\d{1,4}) ?[x×,] ?(\d{1,4})", grid.strip().lower())  # noqa: RUF001
    if not found:
        expected = f"expected rows x columns, as in 9x9, found {grid!r}"
        raise typer.BadParameter(expected, param_hint="--grid")
    return int(found[1]), int(found[2])


def _print(found: Table, as_json: bool, *, quiet: bool) -> None:
    if as_json:
        from digitlens.cli.tables import print_json

        print_json(found.as_dict())
    elif quiet:
        rows, columns = found.shape
        note(f"{rows} rows and {columns} columns written")
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        sys.stdout.write(found.to_csv())


def _print_table(found: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    drawing = Drawing(box=box.SQUARE, show_header=False, show_lines=True)
    for _ in range(found.shape[1]):
        drawing.add_column(justify="right", overflow="fold")
    for row in found.rows:
        styles = ("bold yellow" if cell.status == "unsure" else "" for cell in row)
        drawing.add_row(*(Text(cell.text, style) for cell, style in zip(row, styles, strict=True)))
    Console(highlight=False).print(drawing)


def _warn(found: Table, picture: str) -> None:
    if not found.kept:
        what = (
            "found no Sudoku in what was seen: the cells are as read without its rules"
            if found.rule == "sudoku"
            else "a column does not add up to its last row: no total, or misread"
        )
        note(f"digitlens: {picture}: {what}")
    if found.unsure:
        r, c = found.unsure[0]
        reason = found.rows[r][c].reason
        count = len(found.unsure)
        noted = f"{count} doubtful {'cell' if count == 1 else 'cells'}"
        note(f"{noted}, the first in row {r + 1}, column {c + 1}: {reason}")
