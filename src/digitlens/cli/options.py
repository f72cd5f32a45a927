"""Options that several commands have in common."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SplitName(StrEnum):
    """The tiles that a model is scored on."""

    TEST = "test"
    VALIDATION = "validation"


class ThemeName(StrEnum):
    """The colours of figures."""

    LIGHT = "light"
    DARK = "dark"


DataDir = Annotated[Path | None, typer.Option(help="Folder with the MNIST files.")]
SplitOf = Annotated[
    SplitName, typer.Option(help="validation: the tiles that the model's recipe kept back.")
]
Themed = Annotated[
    ThemeName, typer.Option("--theme", help="Colours: dark ink on white, or light on dark.")
]
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def use_patient_threads() -> None:
    """To be called before torch loads, which reads it once.

    Threads that spin while they wait for each other are fastest on an idle machine and hopeless on
    a busy one: next to one other process an epoch took 43 s with the usual 300,000 turns and 6.5 s
    with 1,000; on an idle machine 2.3 s and 2.6 s.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
