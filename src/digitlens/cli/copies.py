"""Where drawings of what was read go: a file or folder for each page, none of them twice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from digitlens.cli.answers import Answer
from digitlens.cli.pictures import STDIN

if TYPE_CHECKING:
    from digitlens.reading.reader import ReadResult


class Copies:
    """Writes annotated copies and explanations, and replaces no file that is to be read."""

    def __init__(self, annotate: Path | None, explain: Path | None, files: Sequence[str]) -> None:
        """Remembers the folders.

        Args:
            annotate: For annotated copies; None writes none.
            explain: For folders that explain; None writes none.
            files: What is read.
        """
        self._annotate = annotate
        self._explain = explain
        self._taken = {_key(Path(path)) for path in files} if annotate or explain else set[str]()

    def write(
        self, answer: Answer, examination: ReadResult, thresholds: Mapping[str, float]
    ) -> None:
        """Writes what was asked for of one page."""
        if self._annotate:
            from digitlens.visualization.overlay import write_reading

            target = self._free(self._annotate, answer, ".png")
            write_reading(target, examination.page, answer.reading)
        if self._explain:
            from digitlens.visualization.stages import write_stages

            target = self._free(self._explain, answer, "")
            write_stages(target, examination, thresholds)

    def _free(self, folder: Path, answer: Answer, suffix: str) -> Path:
        stem = "stdin" if answer.path == STDIN else Path(answer.path).stem
        stem = stem if answer.count == 1 else f"{stem}-page-{answer.page}"
        names = (f"{stem}{suffix}" if n == 1 else f"{stem}-{n}{suffix}" for n in count(1))
        targets = (folder / name for name in names)
        target = next(target for target in targets if _key(target) not in self._taken)
        self._taken.add(_key(target))
        return target


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()  # some file systems hold A.png and a.png for the same
