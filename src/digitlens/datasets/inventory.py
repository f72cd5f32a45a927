"""Which files of MNIST are on this machine, where, and whether they are whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from digitlens.datasets.cache import store
from digitlens.datasets.manifest import FILES, MnistFile
from digitlens.datasets.mnist import local_sources
from digitlens.datasets.sources import Gathered, gather


@dataclass(frozen=True)
class FileState:
    """One file of MNIST as found on this machine.

    Attributes:
        name: Its name.
        status: ``verified`` when its hash is right, ``damaged`` when a file of that name is there
            but wrong, else ``missing``.
        where: The file or archive that it is in; empty when missing.
        bytes: Size of the uncompressed file.
        sha256: The hash that it must have.
    """

    name: str
    status: Literal["verified", "damaged", "missing"]
    where: str
    bytes: int
    sha256: str


def inventory(data_dir: Path | str | None = None) -> list[FileState]:
    """The state of the four files, found as ``load_mnist`` would find them, but fetching nothing.

    Args:
        data_dir: Folder with MNIST; without it, ``DIGITLENS_DATA`` may name one.
    """
    # Nothing is stored: all these sources are on disk.
    gathered = gather(local_sources(data_dir), keep=store)
    return [_state(file, gathered) for file in FILES]


def _state(file: MnistFile, gathered: Gathered) -> FileState:
    bad = [each.source.name for each in gathered.problems if each.source.provides == (file,)]
    if file in gathered.origins:
        return FileState(file.name, "verified", gathered.origins[file], file.size, file.sha256)
    if bad:
        return FileState(file.name, "damaged", bad[0], file.size, file.sha256)
    return FileState(file.name, "missing", "", file.size, file.sha256)
