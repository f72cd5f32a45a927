"""How tables look on standard output: no rules, numbers to the right, one line a row in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
