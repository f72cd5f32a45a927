"""``digitlens data``: what of MNIST is on this machine, fetching it, and pictures of samples."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.tables import AsJson, print_json
from digitlens.errors import DataError, needs_extra
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from PIL import Image

    from digitlens.datasets.mnist import FileState

PAGES = 48  # on the picture of pages
COLOURS = {"verified": "green", "damaged": "red", "missing": "yellow"}


def data(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="DIGITLENS_DATA",
            help="Folder with MNIST as IDX, IDX.gz or mnist.npz; asked before the cache.",
        ),
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch what is missing.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Draw samples of each digit, fetching if needed.")
    ] = False,
    show_pages: Annotated[
        bool, typer.Option("--show-pages", help="Draw generated pages and where their digits are.")
    ] = False,
    kind: Annotated[
        str | None, typer.Option(help="Kind of the pages, for example single or grid.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The picture.", show_default="samples.png or pages.png")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which files of MNIST are here and verified; fetch them, draw samples or pages."""
    from digitlens.datasets.mnist import inventory

    if show and show_pages:
        raise typer.BadParameter("--show and --show-pages draw one picture each: ask for one")
    if kind and not show_pages:
        raise typer.BadParameter("--kind is for --show-pages")
    pictures: dict[str, str] = {}
    if show:
        pictures["samples"] = _save(_samples(data_dir, seed), out or Path("samples.png"))
    elif show_pages:
        pictures["pages"] = _save(_pages(data_dir, seed, kind), out or Path("pages.png"))
    elif fetch:
        _load(data_dir)
    if as_json:
        print_json({**_as_dict(inventory(data_dir)), **pictures})
    elif pictures:
        typer.echo("\n".join(pictures.values()))
    else:
        _print_states(inventory(data_dir))


def _load(data_dir: Path | None) -> Any:
    from digitlens.datasets.mnist import load_mnist

    return load_mnist(data_dir)


def _samples(data_dir: Path | None, seed: int) -> Image.Image:
    from digitlens.visualization.sheets import draw_samples

    return draw_samples(_load(data_dir).train, seed=seed)


def _pages(data_dir: Path | None, seed: int, kind: str | None) -> Image.Image:
    with needs_extra("train"):
        from digitlens.datasets.synthetic.pages import KINDS, PageMaker
        from digitlens.datasets.synthetic.styles import load_fonts
    from digitlens.visualization.sheets import draw_pages

    if kind and kind not in KINDS:
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}; found {kind}")
    maker = PageMaker(_load(data_dir).train, load_fonts("training"), seed)
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


def _as_dict(states: list[FileState]) -> dict[str, Any]:
    from digitlens.datasets.mnist import mnist_folder

    return {
        "cache": str(mnist_folder()),
        "complete": all(state.status == "verified" for state in states),
        "files": [asdict(state) for state in states],
    }


def _print_states(states: list[FileState]) -> None:
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(_table(states))
    else:
        for state in states:
            typer.echo("\t".join([state.status, state.name, f"{state.bytes}", state.where]))
    if any(state.status != "verified" for state in states):
        typer.echo("to fetch what is missing: digitlens data --fetch", err=True)


def _table(states: list[FileState]) -> Any:
    from rich.table import Table

    table = Table("file", "status", box=None, pad_edge=False, header_style="dim")
    table.add_column("bytes", justify="right")
    table.add_column("where", overflow="fold")
    for state in states:
        status = f"[{COLOURS[state.status]}]{state.status}[/]"
        table.add_row(state.name, status, f"{state.bytes:,}", state.where)
    return table
