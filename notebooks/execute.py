"""Runs the notebooks' sources from top to bottom and saves cells and outputs as ``.ipynb``.

``python notebooks/execute.py [NAME ...]``; deterministic for the same source and machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from digitlens import files

NAMES = ("digit_recognizer", "photo_to_dataframe")
PATIENCE = 1800  # seconds for one cell, even on a busy machine


def executed(source: Path) -> nbformat.NotebookNode:
    """The notebook of a percent-format source, with the outputs of a fresh kernel.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.v4.upgrade(jupytext.read(source))
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # instead of random ids, which would differ each time
    NotebookClient(
        notebook,
        timeout=PATIENCE,
        record_timing=False,
        coalesce_streams=True,  # one output per cell, regardless of timing
        resources={"metadata": {"path": str(source.parent)}},
    ).execute()
    return notebook


def main() -> None:
    """Writes each notebook next to its source if every cell has run."""
    for name in sys.argv[1:] or NAMES:
        source = Path(__file__).with_name(f"{name}.py")
        content = nbformat.writes(executed(source)) + "\n"
        files.write_bytes(source.with_suffix(".ipynb"), content.encode())


if __name__ == "__main__":
    main()
