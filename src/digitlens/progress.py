"""Shows long work on standard error when that is a terminal, and is silent in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def stderr_console() -> Console:
    """A console for everything that is not a result."""
    from rich.console import Console  # noqa: PLC0415  (rich costs 60 ms; most imports never show)

    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Tells the user something that is not a result; never wrapped, brackets stay brackets."""
    stderr_console().print(text, markup=False, soft_wrap=True)


def work_bar(*columns: str) -> Progress:
    """A progress bar with a description, a bar, a count, the time left and further text columns.

    Args:
        *columns: Format strings over ``task``, for example ``"loss {task.fields[loss]}"``.
    """
    from rich import progress  # noqa: PLC0415

    console = stderr_console()
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        *(progress.TextColumn(column) for column in columns),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
