"""Shows on a terminal how many pages were read, and says above it what is wrong with others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress


class PageBar:
    """A progress bar on standard error, begun when more than one page is expected.

    One picture is read before a bar could be seen, and in half the time without it.
    """

    def __init__(self, *, wanted: bool) -> None:
        """Shows nothing yet.

        Args:
            wanted: Whether there may be a bar, if standard error is a terminal.
        """
        self._wanted = wanted and sys.stderr.isatty()
        self._total = 0
        self._progress: Progress | None = None

    def __enter__(self) -> PageBar:
        """Nothing happens before pages are expected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the bar away."""
        if self._progress:
            self._progress.stop()

    def expect(self, pages: int) -> None:
        """So many pages more are to be read."""
        self._total += pages
        if self._wanted and self._total > 1 and not self._progress:
            self._progress = work_bar()
            self._progress.add_task("reading", total=None)
            self._progress.start()
        if self._progress:
            self._progress.update(self._progress.task_ids[0], total=self._total)

    def advance(self) -> None:
        """A page was read, or could not be."""
        if self._progress:
            self._progress.advance(self._progress.task_ids[0])

    def say(self, words: str) -> None:
        """Writes a line to standard error, above the bar."""
        if self._progress:
            self._progress.console.print(words, markup=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{words}\n")
            sys.stderr.flush()
