"""``digitlens data``, ``calibrate`` and ``adapt``: MNIST, and models fitted to own pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from digitlens.cli import tables
from digitlens.cli.tables import INTERRUPTED, AsJson, DataDir, Model, print_json
from digitlens.errors import DataError, needs_extra
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    from PIL import Image

    from digitlens.datasets.mnist import FileState
    from digitlens.training.adapt import Adapted, NetworkResult
    from digitlens.training.thresholds import Promise

PAGES = 48  # drawn by --show-pages
COLOURS = {"verified": "green", "damaged": "red", "missing": "yellow"}


def data(
    data_dir: Annotated[
        Path | None,
        Option(
            envvar="DIGITLENS_DATA",
            help="Folder with MNIST as IDX, IDX.gz or mnist.npz; searched before the cache.",
        ),
    ] = None,
    fetch: Annotated[bool, Option("--fetch", help="Download missing files.")] = False,
    show: Annotated[
        bool, Option("--show", help="Draw samples of each digit; downloads missing files.")
    ] = False,
    show_pages: Annotated[
        bool, Option("--show-pages", help="Draw generated pages with the boxes of their digits.")
    ] = False,
    kind: Annotated[
        str | None, Option(help="Kind of generated pages, for example single or grid.")
    ] = None,
    seed: Annotated[int, Option(min=0, help="Seed of the samples or pages.")] = 0,
    out: Annotated[
        Path | None, Option(help="Picture to write.", show_default="samples.png or pages.png")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which MNIST files are present and verified; download them, draw samples or pages."""
    from digitlens.datasets.mnist import inventory, load_mnist, mnist_folder

    if show and show_pages:
        raise typer.BadParameter("--show and --show-pages draw one picture each: choose one")
    if kind and not show_pages:
        raise typer.BadParameter("--kind requires --show-pages")
    pictures: dict[str, str] = {}
    if show:
        from digitlens.visualization.sheets import draw_samples

        sheet = draw_samples(load_mnist(data_dir).train, seed=seed)
        pictures["samples"] = _save(sheet, out or Path("samples.png"))
    elif show_pages:
        pictures["pages"] = _save(_draw_pages(data_dir, seed, kind), out or Path("pages.png"))
    elif fetch:
        load_mnist(data_dir)
    states = inventory(data_dir)
    if as_json:
        complete = all(state.status == "verified" for state in states)
        summary = {"complete": complete, "files": [asdict(state) for state in states]}
        print_json({"cache": str(mnist_folder()), **summary, **pictures})
    elif pictures:
        typer.echo("\n".join(pictures.values()))
    else:
        _print_states(states)


def _draw_pages(data_dir: Path | None, seed: int, kind: str | None) -> Image.Image:
    with needs_extra("train"):
        from digitlens.datasets.synthetic.pages import KINDS, PageMaker
        from digitlens.datasets.synthetic.styles import load_fonts
    from digitlens.datasets.mnist import load_mnist
    from digitlens.visualization.sheets import draw_pages

    if kind and kind not in KINDS:
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}; found {kind}")
    maker = PageMaker(load_mnist(data_dir).train, load_fonts("training"), seed)
    with work_bar() as bar:
        numbers = bar.track(range(PAGES), description="pages")
        return draw_pages([maker.page(number, kind=kind) for number in numbers])


def _save(sheet: Image.Image, out: Path) -> str:
    from digitlens import files

    try:
        with files.atomic_path(out) as temporary:
            sheet.save(temporary)
    except (OSError, ValueError) as error:  # Pillow: ValueError for a suffix it does not know
        raise DataError(f"cannot write the picture {out}: {error}") from error
    return str(out)


def _print_states(states: list[FileState]) -> None:
    from rich.text import Text

    console = tables.wide_console()
    if console.is_terminal:
        rows = [
            (each.name, Text(each.status, COLOURS[each.status]), f"{each.bytes:,}", each.where)
            for each in states
        ]
        table = tables.table_of(("file", "status", "bytes", "where"), rows, left=2)
        table.columns[-1].justify = "left"
        console.print(table)
    else:
        for state in states:
            typer.echo("\t".join([state.status, state.name, f"{state.bytes}", state.where]))
    if any(state.status != "verified" for state in states):
        typer.echo("to download missing files: digitlens data --fetch", err=True)


Pictures = Annotated[
    Path,
    Argument(
        metavar="FOLDER|ZIP",
        help="Pictures with `labels.csv`: the header `file,label`, then one row per picture with "
        "its text, or `none` if it has no digits. Corrections downloaded from the page of "
        "`digitlens serve` have this format.",
    ),
]


def calibrate(
    pictures: Pictures,
    model: Model = "default",
    target_error: Annotated[
        list[str] | None,
        Option(
            metavar="SHARE",
            help="Maximum fraction of the sure digits that may be wrong, such as 0.5% or 0.005; "
            "repeatable. The model uses the first that can be guaranteed.",
            show_default="1%",
        ),
    ] = None,
    out: Annotated[
        Path, Option(help="Folder for the calibrated model; may be the folder of --model.")
    ] = Path("calibrated"),
    as_json: AsJson = False,
) -> None:
    """Fit the confidence threshold of sure digits to your own pictures, with a proven bound.

    On pictures like these, at most the target fraction of the sure digits is wrong; the guarantee
    holds for 95 of 100 such folders. Choose the pictures without checking how they are read.
    """
    from digitlens.datasets.labelled import load_pictures
    from digitlens.evaluation.risk import parse_target
    from digitlens.models.bundle import check_free, open_roles
    from digitlens.training.thresholds import calibrate_own

    with tables.checking("--target-error"):
        targets = [parse_target(text) for text in target_error or ["1%"]]
    check_free(out, open_roles(model)[0].folder)
    answers, promises = calibrate_own(model, load_pictures(pictures), targets, out)
    is_written = any(each.threshold is not None for each in promises)
    if as_json:
        values = {"pictures": answers.pictures, "digits": answers.total, "read": len(answers.right)}
        values |= {"wrong": answers.wrong, "targets": [each.as_dict() for each in promises]}
        print_json(values | {"model": str(out) if is_written else None})
    else:
        console = tables.wide_console()
        summary = (
            f"{answers.pictures:,} pictures, {answers.total:,} digits: {len(answers.right):,} read"
        )
        console.print(f"{summary}, {answers.wrong:,} of them wrong")
        headings = "target error", "sure from", "sure digits", "wrong", "of all digits", "required"
        console.print(tables.table_of(headings, map(_promise_row, promises)))
    if not is_written:
        raise DataError("these pictures guarantee no target: nothing was written; add pictures")
    note(f"written to {out}: use it with  digitlens read --model {out}")


def _promise_row(one: Promise) -> list[str]:
    needed = f"{one.digits_needed:,} sure digits without an error"
    target = f"{100 * one.target:.4g} %"
    if one.threshold is None:
        needed += f", about {one.pictures_needed:,} pictures"
        return [target, "no guarantee", "", "", "", needed]
    sure = f"{100 * one.coverage:.1f} %"
    return [target, f"{one.threshold:.6f}", f"{one.sure:,}", f"{one.wrong:,}", sure, needed]


def adapt(
    pictures: Pictures,
    model: Model = "default",
    out: Annotated[Path, Option(help="Folder for the new model.")] = Path("adapted"),
    resume: Annotated[bool, Option("--resume", help="Continue a stopped adaptation.")] = False,
    steps: Annotated[
        int | None,
        Option(min=1, help="Training steps of the recogniser.", show_default="120"),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune the networks to your handwriting on a few dozen labelled pictures, in minutes.

    Every fifth picture is held out. The new networks are kept only if they read the held-out
    pictures better and lose at most 0.1 % on a guard set of earlier data; otherwise the model is
    unchanged. Evaluate and calibrate on other pictures than these.
    """
    from dataclasses import replace

    from digitlens.datasets.labelled import load_pictures

    tables.use_patient_threads()
    with needs_extra("train"):
        from digitlens.training.adapt import LINES, Replay
        from digitlens.training.adapt import adapt as adapt_model
    from digitlens.datasets.mnist import load_mnist

    labelled = load_pictures(pictures)
    recipe = replace(LINES, steps=steps) if steps else LINES

    def replay() -> Replay:
        return Replay.of(load_mnist(data_dir).train)

    try:
        adapted = adapt_model(model, labelled, replay, out, recipe=recipe, resume=resume)
    except KeyboardInterrupt:
        note(f"stopped; resume with the same command and  --out {out} --resume")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(adapted.as_dict())
    else:
        for line in _adaptation_lines(adapted):
            typer.echo(line)
    if adapted.folder:
        note(f"use it with  digitlens read --model {out}")


def _adaptation_lines(adapted: Adapted) -> Iterator[str]:
    """The result of an adaptation, line by line."""
    yield f"pictures     {adapted.pictures} to train on, {adapted.held_out} held out"
    for network in adapted.parts:
        yield f"{network.name:<12} {_network_line(network)}"
    if not adapted.parts:
        yield "all pictures are already read correctly: the model is unchanged"
        return
    yield f"held out     {adapted.digits} digits: {adapted.wrong_before} wrong before"
    if adapted.folder:
        outcome = f"{adapted.wrong_after} wrong now: written to {adapted.folder}"
    else:
        has_new = any(network.kept for network in adapted.parts)
        prefix = f"{adapted.wrong_after} wrong with new networks: " if has_new else ""
        outcome = f"{prefix}the model is unchanged"
    yield f"             {outcome}"


def _network_line(network: NetworkResult) -> str:
    if not network.held_out:
        return f"unchanged: {network.reason}"
    unit = "characters" if network.name == "recognizer" else "digits"
    outcome = "adapted" if network.kept else f"unchanged: {network.reason}"
    wrong = f"{network.wrong_before} wrong before, {network.wrong_after} after"
    guard = f"{100 * network.guard_before:.2f} % before, {100 * network.guard_after:.2f} % after"
    return f"{outcome}; of {network.held_out} {unit} held out {wrong}; guard set {guard}"
