"""Prints a benchmark's table and, if asked to, writes it and its record."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digitlens import files


def publish(folder: Path | None, name: str, record: Mapping[str, Any], text: str) -> None:
    """Prints the text, and writes ``NAME.json`` and ``NAME.md`` if there is a folder for them."""
    print(text, end="")
    if folder:
        files.write_json(folder / f"{name}.json", dict(record))
        files.write_bytes(folder / f"{name}.md", text.encode())
