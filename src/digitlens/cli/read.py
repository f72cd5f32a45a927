"""``digitlens read``: the digits on pictures and on every page of documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from digitlens.cli.options import Model, Pages
from digitlens.cli.reading import ReadOptions, form_of, read_paths
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.reading.constraints import Expectation
    from digitlens.reading.notation import NotationOptions

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        help="Pictures, PDFs, folders of them or patterns such as 'scans/*.png'; - reads one from "
        "standard input."
    ),
]
Images = Annotated[
    list[str] | None, typer.Option("--image", hidden=True, help="The same as a path.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object a page, in a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a row a digit, also of rejected ones.")]
Annotate = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", file_okay=False, help="Folder for copies that show what was read where."
    ),
]
Explain = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, hidden=True, help="See ``digitlens explain``."),
]
Expect = Annotated[
    list[str] | None,
    typer.Option(
        help="What is known of the number on each page, once or several times: how many digits, as "
        "in 4, what it looks like, as in '####-##', 'range 0..500', '>= 7', 'after 1234.5 by 20', "
        "'one of 12, 15, 18', luhn, ean, isbn, iban, 'mod 11-2', 'mod 37-2' or 'mod 97-10'."
    ),
]
TargetError = Annotated[
    str | None,
    typer.Option(
        help="Share of the digits given as sure that may be wrong, as in 0.1% or 0.001; the less, "
        "the more are doubtful."
    ),
]

Decimal = Annotated[
    str | None,
    typer.Option(
        metavar="MARK",
        help="The decimal mark, point or comma; otherwise taken from the page, where its numbers "
        "agree.",
    ),
]
Grouping = Annotated[
    str | None,
    typer.Option(metavar="MARK", help="What groups digits by three: . or , or ' or a space."),
]
Locale = Annotated[
    str | None,
    typer.Option(help="Whose marks and dates are on the page, as in de_DE or en_US."),
]


def read(
    paths: Paths = None,
    image: Images = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    annotate: Annotate = None,
    explain: Explain = None,
    expect: Expect = None,
    target_error: TargetError = None,
    decimal: Decimal = None,
    grouping: Grouping = None,
    locale: Locale = None,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read the digits on pictures, and on every page of PDF and TIFF files.

    Prints a table on a terminal, and in a pipe a line a page: path, tab, digits, with a space
    between the lines of a page; where a file has several pages, #2 after the path is the second.
    A file or page that cannot be read is named on standard error, the others are still read, and
    the exit code is 1. A page on which no number is as expected is named there too.
    """
    pictures = [*(paths or ()), *(image or ())]
    if not pictures:
        raise typer.BadParameter("expected one path or more", param_hint="PATHS")
    if explain:
        note("read --explain will be removed: use digitlens explain, which also says why")
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    options = ReadOptions(
        model,
        pages,
        _expected(expect),
        _share(target_error),
        annotate,
        explain,
        _notation(decimal=decimal, grouping=grouping, locale=locale),
    )
    if not read_paths(pictures, form_of(as_json, as_csv), options):
        raise typer.Exit(1)


def _expected(texts: list[str] | None) -> Expectation | None:
    from digitlens.reading.constraints import Expectation

    try:
        return Expectation.of(texts or None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expect") from error


def _notation(**notation: Unpack[NotationOptions]) -> NotationOptions:
    from digitlens.reading.notation import Notation

    try:
        Notation.of(**notation)
    except ValueError as error:
        name = str(error).split(":", maxsplit=1)[0].split(",")[0]
        raise typer.BadParameter(str(error), param_hint=f"--{name}") from error
    return notation


def _share(text: str | None) -> float | None:
    from digitlens.evaluation.risk import parse_target

    try:
        return None if text is None else parse_target(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--target-error") from error
