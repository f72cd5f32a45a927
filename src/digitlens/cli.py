"""The command line: puts the commands together and turns errors into one line and exit code 1."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from digitlens import __version__
from digitlens.commands.compare import compare
from digitlens.commands.data import data
from digitlens.commands.evaluate import evaluate
from digitlens.commands.explain import explain
from digitlens.commands.export import export
from digitlens.commands.figures import figures
from digitlens.commands.read import predict, read
from digitlens.commands.reconstruct import reconstruct
from digitlens.commands.report import report
from digitlens.commands.serve import serve
from digitlens.commands.train import train
from digitlens.commands.tune import tune
from digitlens.errors import DigitlensError

app = typer.Typer(
    name="digitlens",
    help="Reads digits from images with a small convolutional network that you can train yourself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(read)
app.command()(predict)
app.command()(explain)
app.command()(train)
app.command()(tune)
app.command()(evaluate)
app.command()(compare)
app.command()(figures)
app.command()(reconstruct)
app.command()(report)
app.command()(data)
app.command()(export)
app.command()(serve)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitlens {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Reads digits from images with a small convolutional network that you can train yourself."""


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except (DigitlensError, OSError) as error:  # OSError: a folder that cannot be written, say
        sys.exit(f"digitlens: {error}")
