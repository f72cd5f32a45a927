"""Options that several commands have in common."""

from __future__ import annotations

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
