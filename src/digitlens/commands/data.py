"""``digitlens data``: what of MNIST is on this machine, fetching it, and a picture of samples."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from digitlens.data.inventory import FileState

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
    out: Annotated[Path, typer.Option(help="The picture that --show writes.")] = Path(
        "samples.png"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which files of MNIST are here and verified; fetch them, draw samples."""
    from digitlens.data.inventory import inventory

    if show:
        _write_samples(data_dir, out)
    elif fetch:
        _load(data_dir)
    if show and not as_json:
        typer.echo(out)
        return
    states = inventory(data_dir)
    if as_json:
        typer.echo(json.dumps(_as_dict(states, out if show else None), indent=2))
    else:
        _print_states(states)


def _load(data_dir: Path | None) -> Any:
    from digitlens.data.mnist import load_mnist

    return load_mnist(data_dir)


def _write_samples(data_dir: Path | None, out: Path) -> None:
    from digitlens import files
    from digitlens.errors import DataError
    from digitlens.visualization.samples import draw_samples

    sheet = draw_samples(_load(data_dir).train)
    try:
        with files.atomic_path(out) as temporary:
            sheet.save(temporary)
    except (OSError, ValueError) as error:  # Pillow: ValueError for a suffix it does not know
        raise DataError(f"cannot write the picture {out}: {error}") from error


def _as_dict(states: list[FileState], samples: Path | None) -> dict[str, Any]:
    from digitlens.data.cache import cache_folder

    return {
        "cache": str(cache_folder()),
        "complete": all(state.status == "verified" for state in states),
        "files": [asdict(state) for state in states],
        **({"samples": str(samples)} if samples else {}),
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
