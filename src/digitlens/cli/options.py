"""Options that several commands have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

SplitName: TypeAlias = Literal["test", "validation"]
ThemeName: TypeAlias = Literal["light", "dark"]
PixelScale: TypeAlias = Literal["unit", "byte", "mnist"]
OutputKind: TypeAlias = Literal["probabilities", "logits"]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder with the MNIST files.")]
SplitOf = Annotated[
    SplitName, typer.Option(help="validation: the tiles that the model's recipe kept back.")
]
Labelled = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER|ZIP",
        help="Labelled tiles instead of MNIST, such as corrections downloaded from the page of "
        "`digitlens serve`.",
    ),
]
Themed = Annotated[
    ThemeName, typer.Option("--theme", help="Colours: dark ink on white, or light on dark.")
]
Pixels = Annotated[
    PixelScale | None,
    typer.Option(
        help="For an .onnx file, what it expects: 0 to 1, 0 to 255, or 0 to 1 less the mean "
        "and divided by the deviation of MNIST.",
        show_default="byte if it takes uint8, else unit",
    ),
]
Outputs = Annotated[
    OutputKind | None,
    typer.Option(help="For an .onnx file, what it gives.", show_default="probabilities"),
]
Model = Annotated[
    str,
    typer.Option(help="What classifies digits: a shipped model's name, or a run or model folder."),
]
Pages = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="What finds digits on pages; can be given as --model, too.",
    ),
]
RecipeName = Annotated[str, typer.Option(help="Name of a recipe, or path of a .toml file.")]
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def use_patient_threads() -> None:
    """To be called before torch loads, which reads it once.

    Threads that spin while they wait for each other are fastest on an idle machine and hopeless on
    a busy one: next to one other process an epoch took 43 s with the usual 300,000 turns and 6.5 s
    with 1,000; on an idle machine 2.3 s and 2.6 s.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
