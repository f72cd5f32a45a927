"""``digitlens explain``: why the digits of one picture were read as they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.pictures import STDIN
from digitlens.errors import DataError, ImageError
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.explain.explanation import Explanation
    from digitlens.imaging.images import Page
    from digitlens.reading.reader import Examination

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
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    model: Annotated[
        str, typer.Option(help="What classifies digits: a shipped name, a run or model folder.")
    ] = "default",
    pages: Annotated[
        str, typer.Option(metavar="MODEL", help="What finds digits on pages, likewise.")
    ] = "pages",
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
    classifier, finder = roles(model, pages)
    reader = DigitReader(classifier, pages=finder)
    seen = reader.examine(pixels)
    try:
        story = explain(name, reader, seen, ExplainOptions(classifier, digit, data_dir))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--digit") from error
    folder = out or Path(f"explanation-{_stem(picture, name)}")
    try:
        _write(folder, story, seen, reader.thresholds)
        note(f"written to {folder}: open {folder / PAGE}")
    finally:
        _print(story, as_json)


def _print(story: Explanation, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(story.as_dict()))
        return
    from digitlens.cli.explained_table import print_story

    print_story(story)


def _load(picture: str, number: int) -> tuple[str, Page]:
    """What the page is called, and its pixels."""
    from digitlens.imaging.documents import open_document, page_name

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
    folder: Path, story: Explanation, seen: Examination, thresholds: dict[str, float]
) -> None:
    from digitlens import files
    from digitlens.visualization.explain import write_explanation
    from digitlens.visualization.explanation_page import write_page
    from digitlens.visualization.overlay import write_reading
    from digitlens.visualization.why import write_why

    try:
        files.write_json(folder / REPORT, story.as_dict())
        write_reading(folder / OVERVIEW, story.page, story.reading)
        drawn = {f"digit-{one.number}.png": one for one in story.digits}
        drawn |= {f"rejected-{one.number}.png": one for one in story.rejected}
        for name, account in drawn.items():
            write_why(folder / name, account)
        _tidy(folder, set(drawn))
        write_explanation(folder / STAGES, seen, thresholds)
        write_page(folder / PAGE, story, _looks(folder / STAGES, len(seen.view.detections.glances)))
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error}): name another --out") from error


def _tidy(folder: Path, written: set[str]) -> None:
    """Removes the pictures of digits of an earlier explanation in the same folder."""
    for pattern in ("digit-[0-9]*.png", "rejected-[0-9]*.png"):
        for old in folder.glob(pattern):
            if old.name not in written:
                old.unlink()


def _looks(stages: Path, count: int) -> list[Page]:
    """The pictures of the looks, from the smallest size to the largest."""
    from digitlens.imaging.images import load_image

    heat = sorted(stages.glob("2-heat-*.png"), key=lambda path: (len(path.name), path.name))
    return [load_image(path) for path in heat[:count]]
