"""``digitlens read`` and ``digitlens explain``: the digits on pictures, and why these."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from digitlens.cli.reading import STDIN, ReadSettings, form_of, read_paths
from digitlens.cli.tables import AsJson, Model, Pages, meaning, table_of, wide_console, writing
from digitlens.errors import ImageError
from digitlens.progress import note

if TYPE_CHECKING:
    from rich.console import Console

    from digitlens.explain.explanation import DigitExplanation, Explanation
    from digitlens.imaging.image import Page
    from digitlens.reading.notation import NotationOptions
    from digitlens.reading.reader import ReadResult

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
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print a JSON object a page, in a line.")]
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
    as_json: AsJsonLines = False,
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
    from digitlens.evaluation.risk import parse_target
    from digitlens.reading.constraints import Expectation

    with meaning("--expect"):
        expected = Expectation.of(expect or None)
    with meaning("--target-error"):
        share = None if target_error is None else parse_target(target_error)
    options = ReadSettings(
        model,
        pages,
        expected,
        share,
        annotate,
        explain,
        notation_of(decimal=decimal, grouping=grouping, locale=locale),
    )
    if not read_paths(pictures, form_of(as_json, as_csv), options):
        raise typer.Exit(1)


def notation_of(**notation: Unpack[NotationOptions]) -> NotationOptions:
    """How numbers are written, checked; what cannot be names its option."""
    from digitlens.reading.notation import Notation

    try:
        Notation.of(**notation)
    except ValueError as error:
        name = str(error).split(":", maxsplit=1)[0].split(",")[0]
        raise typer.BadParameter(str(error), param_hint=f"--{name}") from error
    return notation


REPORT, PAGE = "explanation.json", "explanation.html"
OVERVIEW, STAGES = "overview.png", "stages"


def explain(
    picture: Annotated[
        str, typer.Argument(help="A picture, PDF or TIFF; - reads one from standard input.")
    ],
    digit: Annotated[
        int | None,
        typer.Option(min=1, help="Only this digit, from 1 in reading order; else the first 12."),
    ] = None,
    page: Annotated[int, typer.Option(min=1, help="Which page of a PDF or TIFF.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help="Folder to write to; explanation-NAME if not said."
        ),
    ] = None,
    as_json: AsJson = False,
    model: Model = "default",
    pages: Pages = "pages",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the MNIST files, for digits that look alike.")
    ] = None,
) -> None:
    """Explain one picture: what was found, why these digits, and what would change the answer.

    Writes a folder with a page to open in a browser, a picture of each digit, and the stages of
    reading.
    """
    from digitlens.explain.explanation import ExplainOptions, explain
    from digitlens.models.bundle import roles
    from digitlens.reading.reader import DigitReader

    name, pixels = _load_page(picture, page)
    classifier, detector = roles(model, pages)
    reader = DigitReader(classifier, pages=detector)
    seen = reader.examine(pixels)
    with meaning("--digit"):
        explanation = explain(name, reader, seen, ExplainOptions(classifier, digit, data_dir))
    folder = out or Path(f"explanation-{_stem(picture, name)}")
    try:
        _write_explanation(folder, explanation, seen, reader.thresholds)
        note(f"written to {folder}: open {folder / PAGE}")
    finally:
        if as_json:
            typer.echo(json.dumps(explanation.as_dict()))
        else:
            _print_explanation(explanation)


def _load_page(picture: str, number: int) -> tuple[str, Page]:
    """What the page is called, and its pixels."""
    from digitlens.imaging.document import open_document, page_name

    with open_document(sys.stdin.buffer if picture == STDIN else picture) as document:
        if number > document.count:
            there = "one page" if document.count == 1 else f"{document.count} pages"
            raise ImageError(f"{picture}: has {there}, expected --page up to that, found {number}")
        name = "standard input" if picture == STDIN else Path(picture).name
        return page_name(name, number, document.count), document.page(number)


def _stem(picture: str, name: str) -> str:
    """What the folder is called after the picture."""
    if picture == STDIN:
        return "stdin"
    page = f"-page-{name.rpartition('#')[2]}" if name != Path(picture).name else ""
    return f"{Path(picture).stem}{page}"


def _write_explanation(
    folder: Path, explanation: Explanation, seen: ReadResult, thresholds: dict[str, float]
) -> None:
    from digitlens import files
    from digitlens.visualization.explanation_page import write_digit_explanation, write_page
    from digitlens.visualization.overlay import write_reading
    from digitlens.visualization.sheets import write_stages

    with writing(folder):
        files.write_json(folder / REPORT, explanation.as_dict())
        write_reading(folder / OVERVIEW, explanation.page, explanation.reading)
        drawn = {f"digit-{one.number}.png": one for one in explanation.digits}
        drawn |= {f"rejected-{one.number}.png": one for one in explanation.rejected}
        for name, explained in drawn.items():
            write_digit_explanation(folder / name, explained)
        _tidy(folder, set(drawn))
        write_stages(folder / STAGES, seen, thresholds)
        heat = _load_heat(folder / STAGES, len(seen.view.detections.views))
        write_page(folder / PAGE, explanation, heat)


def _tidy(folder: Path, written: set[str]) -> None:
    """Removes the pictures of digits of an earlier explanation in the same folder."""
    for pattern in ("digit-[0-9]*.png", "rejected-[0-9]*.png"):
        for old in folder.glob(pattern):
            if old.name not in written:
                old.unlink()


def _load_heat(stages: Path, count: int) -> list[Page]:
    """The heat maps of the views, from the smallest size to the largest."""
    from digitlens.imaging.image import load_image

    heat = sorted(stages.glob("2-heat-*.png"), key=lambda path: (len(path.name), path.name))
    return [load_image(path) for path in heat[:count]]


def _print_explanation(explanation: Explanation) -> None:
    """Prints how a page was read, and why each of its digits was."""
    from digitlens.visualization import phrases

    console = wide_console()
    console.print(f"{explanation.name}: {phrases.headline(explanation)}", style="bold")
    for line in phrases.how(explanation):
        console.print(line)
    for explained in (*explanation.digits, *explanation.rejected):
        console.print()
        _print_digit(console, explained)


def _print_digit(console: Console, explained: DigitExplanation) -> None:
    from digitlens.visualization import phrases

    rejected = explained.digit.status == "rejected"
    console.print(
        f"{'rejected' if rejected else 'digit'} {explained.number}: {phrases.found(explained)}",
        style="bold yellow" if explained.digit.status == "unsure" else "bold",
    )
    opinions = [(f"  {name}", sees, said) for name, sees, said in phrases.opinions(explained)]
    console.print(table_of(("  network", "looks at", "says"), opinions, left=3))
    for line in (*phrases.why(explained), *phrases.similar_digits(explained)):
        console.print(f"  {line}")
    if explained.attributions and explained.attributions.counterfactuals:
        changes = [
            (f"  {phrases.counterfactual(one)}", phrases.outcome(one))
            for one in explained.attributions.counterfactuals
        ]
        console.print(table_of(("  what would change the answer", "into"), changes, left=2))
    for line in phrases.counterfactuals(explained):
        console.print(f"  {line}")
