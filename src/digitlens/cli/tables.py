"""How results look on standard output and in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from digitlens.errors import DataError, MissingExtraError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 1000  # columns where nobody looks at a screen: a row stays a line, however long its names


def plain_table(*headings: str, left: int = 1) -> Table:
    """An empty table.

    Args:
        headings: Of its columns; without any it has no head, and columns are added by the caller.
        left: So many of the first columns are set to the left, the others to the right.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(headings))
    for place, heading in enumerate(headings):
        side = "left" if place < left else "right"
        table.add_column(heading, justify=side, header_style="dim")
    return table


def wide_console() -> Console:
    """Standard output, as wide as a row needs where it is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, width=WIDE)


class Part(NamedTuple):
    """What was found of one kind.

    Attributes:
        values: JSON-ready, by name.
        shown: Tables and lines for the terminal.
        write: Writes its files into a folder and gives their names.
    """

    values: dict[str, Any]
    shown: Sequence[Table | str]
    write: Callable[[Path], list[str]]


def safe_name(name: str) -> str:
    """A model's name as part of the name of a file or folder."""
    return re.sub(r"[^\w.-]+", "-", name)


def write_part(
    name: str, values: Any, draw: Callable[[Path], Sequence[Path]], folder: Path
) -> list[str]:
    """Writes values as JSON, and pictures where the packages that draw them are installed.

    Args:
        name: Of the JSON file.
        values: JSON-ready.
        draw: Draws into a folder and gives the files; imports what draws itself.
        folder: Made where it is missing.

    Returns:
        The names of the files.

    Raises:
        DataError: The folder cannot be written.
    """
    from digitlens import files

    try:
        files.write_json(folder / name, values)
        return [name, *(picture.name for picture in _drawn(draw, folder))]
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(path: Path, error: OSError) -> DataError:
    """What is said where a file or folder that was asked for cannot be written."""
    return DataError(f"{path} cannot be written ({error}): name another --out")


def _drawn(draw: Callable[[Path], Sequence[Path]], folder: Path) -> Sequence[Path]:
    try:
        with needs_extra("plots"):
            return draw(folder)
    except MissingExtraError as error:
        note(f"no pictures: {error}")
        return []
