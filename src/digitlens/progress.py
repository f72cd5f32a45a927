"""Progress bars and notes on standard error; bars are shown on a terminal only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def stderr_console() -> Console:
    """A console on standard error, for everything that is not a result."""
    from rich.console import Console  # noqa: PLC0415  (rich takes 60 ms; often nothing is shown)

    return Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Prints a message to standard error; long lines are not wrapped, brackets are not markup."""
    stderr_console().print(text, markup=False, soft_wrap=True)


def work_bar(*columns: str) -> Progress:
    """A progress bar: description, bar, count, time left and further text columns.

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
