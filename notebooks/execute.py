"""Runs notebooks' sources from top to bottom, and keeps cells and outputs in the ``.ipynb``.

``python notebooks/execute.py [NAME ...]``; the same source and the same machine give the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from digitlens import files

NAMES = ("digit_recognizer", "photo_to_dataframe")
PATIENCE = 1800  # seconds for one cell, on a machine that does other things as well


def executed(source: Path) -> nbformat.NotebookNode:
    """The notebook of a percent-format source, with the outputs of a fresh kernel.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.v4.upgrade(jupytext.read(source))
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # in place of random ones, which would differ each time
    NotebookClient(
        notebook,
        timeout=PATIENCE,
        record_timing=False,
        coalesce_streams=True,  # what a cell prints is one output, however fast it came
        resources={"metadata": {"path": str(source.parent)}},
    ).execute()
    return notebook


def main() -> None:
    """Writes each notebook beside its source, if every cell has run."""
    for name in sys.argv[1:] or NAMES:
        source = Path(__file__).with_name(f"{name}.py")
        content = nbformat.writes(executed(source)) + "\n"
        files.write_bytes(source.with_suffix(".ipynb"), content.encode())


if __name__ == "__main__":
    main()
