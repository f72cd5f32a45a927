"""One part of what an evaluation gives: its values, its tables, its files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from digitlens.errors import DataError, MissingExtraError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from rich.table import Table


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


def write_part(path: Path, values: Any, draw: Callable[[], Sequence[Path]]) -> list[str]:
    """Writes values as JSON, and pictures where the packages that draw them are installed.

    Args:
        path: The JSON file; its folder is made where it is missing.
        values: JSON-ready.
        draw: Draws into the same folder and gives the files; imports what draws itself.

    Returns:
        The names of the files.

    Raises:
        DataError: The folder cannot be written.
    """
    from digitlens import files

    try:
        files.write_json(path, values)
        return [path.name, *(picture.name for picture in _drawn(draw))]
    except OSError as error:
        raise DataError(f"{path.parent} cannot be written ({error}): name another --out") from error


def _drawn(draw: Callable[[], Sequence[Path]]) -> Sequence[Path]:
    try:
        with needs_extra("plots"):
            return draw()
    except MissingExtraError as error:
        note(f"no pictures: {error}")
        return []
