"""``digitlens explain``: why the digits of one picture were read as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.options import AsJson, Model, Pages
from digitlens.cli.pictures import STDIN
from digitlens.cli.tables import cannot_write, table_of, wide_console
from digitlens.errors import ImageError
from digitlens.progress import note

if TYPE_CHECKING:
    from rich.console import Console

    from digitlens.explain.explanation import DigitExplanation, Explanation
    from digitlens.imaging.image import Page
    from digitlens.reading.reader import ReadResult

REPORT, PAGE, OVERVIEW, STAGES = (
    *("explanation.json", "explanation.html", "overview.png"),
    "stages",
)


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
    from digitlens.models.roles import roles
    from digitlens.reading.reader import DigitReader

    name, pixels = _load(picture, page)
    classifier, detector = roles(model, pages)
    reader = DigitReader(classifier, pages=detector)
    seen = reader.examine(pixels)
    try:
        explanation = explain(name, reader, seen, ExplainOptions(classifier, digit, data_dir))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--digit") from error
    folder = out or Path(f"explanation-{_stem(picture, name)}")
    try:
        _write(folder, explanation, seen, reader.thresholds)
        note(f"written to {folder}: open {folder / PAGE}")
    finally:
        if as_json:
            typer.echo(json.dumps(explanation.as_dict()))
        else:
            _print_explanation(explanation)


def _load(picture: str, number: int) -> tuple[str, Page]:
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


def _write(
    folder: Path, explanation: Explanation, seen: ReadResult, thresholds: dict[str, float]
) -> None:
    from digitlens import files
    from digitlens.visualization.explanation_page import write_digit_explanation, write_page
    from digitlens.visualization.overlay import write_reading
    from digitlens.visualization.stages import write_stages

    try:
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
    except OSError as error:
        raise cannot_write(folder, error) from error


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
