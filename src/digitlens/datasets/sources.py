"""Takes the files of MNIST from the first source that has them right; does not know any source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from digitlens.datasets.manifest import MnistFile
from digitlens.errors import DataError

log = logging.getLogger(__name__)

Fetch = Callable[[Sequence[MnistFile]], Iterable[tuple[MnistFile, bytes]]]


@dataclass(frozen=True)
class Source:
    """One place that MNIST may come from.

    Attributes:
        name: What to call it in messages: a path, an address, a command.
        provides: The files that it may have.
        fetch: Given the files still missing, yields files with their IDX bytes, unverified. It
            raises DataError when it fails; what it yielded before counts. A source that yields
            nothing simply does not have them.
        on_disk: It lies on this machine already, so that no copy of it is kept.
    """

    name: str
    provides: tuple[MnistFile, ...]
    fetch: Fetch
    on_disk: bool = False


@dataclass(frozen=True)
class Problem:
    """Why a source did not give what was still missing."""

    source: Source
    reason: str


@dataclass
class Gathered:
    """What the sources gave, verified, and what was wrong with those that did not.

    Attributes:
        contents: The IDX bytes of each file found.
        origins: Name of the source that each came from.
        problems: One for each source that failed or lacked something, in the order tried.
    """

    contents: dict[MnistFile, bytes] = field(default_factory=dict)
    origins: dict[MnistFile, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def missing(self, files: Iterable[MnistFile]) -> list[MnistFile]:
        """Those of the files that no source has given yet."""
        return [file for file in files if file not in self.contents]


def gather(sources: Iterable[Source], keep: Callable[[MnistFile, bytes], None]) -> Gathered:
    """Asks the sources in turn for what is still missing, and verifies all that they give.

    A source that fails or gives wrong bytes is noted, and the next one is asked.

    Args:
        sources: In order of preference; those after the last file was found are left alone.
        keep: Called with each verified file that is not on disk yet, as soon as it arrives, so
            that an interrupted run does not fetch it again.
    """
    gathered = Gathered()
    for source in sources:
        wanted = gathered.missing(source.provides)
        try:
            if wanted:
                _take(source, wanted, gathered, keep)
        except DataError as error:
            log.warning("%s: %s", source.name, error)
            gathered.problems.append(Problem(source, str(error)))
    return gathered


def _take(
    source: Source,
    wanted: Sequence[MnistFile],
    gathered: Gathered,
    keep: Callable[[MnistFile, bytes], None],
) -> None:
    for file, content in source.fetch(wanted):
        file.verify(content)
        gathered.contents[file] = content
        gathered.origins[file] = source.name
        if not source.on_disk:
            keep(file, content)
    lacking = gathered.missing(wanted)
    if lacking:
        names = ", ".join(file.name for file in lacking)
        gathered.problems.append(
            Problem(source, "has none of them" if lacking == wanted else f"has no {names}")
        )
