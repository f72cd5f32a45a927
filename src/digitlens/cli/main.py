"""The command line: registers the commands and reports errors in one line with exit code 1."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer import Option

from digitlens import __version__
from digitlens.cli.data import adapt, calibrate, data
from digitlens.cli.evaluate import compare, evaluate
from digitlens.cli.read import batch, explain, read, table
from digitlens.cli.serve import export, serve
from digitlens.cli.show import figures, reconstruct, report
from digitlens.cli.train import train, tune
from digitlens.cli.watch import template, watch
from digitlens.errors import NO_MEMORY, DigitlensError, lacks_memory

app = typer.Typer(
    name="digitlens",
    help="Read the numbers on pictures with small networks that you can train yourself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(read)
app.command("predict", help="Alias of read.")(read)
for command in (
    *(batch, template, watch, table, explain, train, tune, calibrate, adapt, evaluate, compare),
    *(figures, reconstruct, report, data, export, serve),
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitlens {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Read the numbers on pictures with small networks that you can train yourself."""


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except (DigitlensError, OSError) as error:  # OSError: for example an unwritable folder
        sys.exit(f"digitlens: {error}")
    except Exception as error:
        if not lacks_memory(error):
            raise
        sys.exit(f"digitlens: {NO_MEMORY}")
