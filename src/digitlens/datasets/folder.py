"""Finds MNIST in a folder, under the names and in the formats that people have it in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from digitlens.datasets.formats import Contents, read_idx, read_npz, read_pickle
from digitlens.datasets.manifest import MnistFile
from digitlens.datasets.sources import Source
from digitlens.errors import DataError
from digitlens.files import is_file

SUBFOLDERS = ("", "raw", "MNIST/raw")  # torchvision's root, its MNIST folder, or the files' own
ARCHIVES = {"mnist.npz": read_npz, "mnist.pkl.gz": read_pickle}


def folder_sources(folder: Path, files: Sequence[MnistFile]) -> list[Source]:
    """One source for each file or archive of MNIST in a folder, so that a bad one spoils no other.

    Args:
        folder: May also be an archive itself, ``mnist.npz`` or ``mnist.pkl.gz``.
        files: The files to look for.
    """
    if is_file(folder):
        return [_archive(folder, read_npz if folder.suffix == ".npz" else read_pickle, files)]
    single = [_single(path, file) for file in files for path in _spellings(folder, file)]
    archives = [_archive(folder / name, read, files) for name, read in ARCHIVES.items()]
    return [source for source in single + archives if is_file(Path(source.name))]


def named_folder_sources(folder: Path, files: Sequence[MnistFile]) -> list[Source]:
    """The same for a folder that the user named, who is told if it lacks something."""

    def complain(wanted: Sequence[MnistFile]) -> Iterable[tuple[MnistFile, bytes]]:
        names = ", ".join(file.name for file in wanted)
        raise DataError(f"expected here, also as .gz or in {' or '.join(ARCHIVES)}: {names}")

    return [*folder_sources(folder, files), Source(str(folder), tuple(files), complain, True)]


def _spellings(folder: Path, file: MnistFile) -> Iterator[Path]:
    for subfolder in SUBFOLDERS:
        for name in (file.name, file.name.replace("-idx", ".idx")):
            yield folder / subfolder / name
            yield folder / subfolder / f"{name}.gz"


def _single(path: Path, file: MnistFile) -> Source:
    def fetch(wanted: Sequence[MnistFile]) -> Iterator[tuple[MnistFile, bytes]]:
        yield from ((each, read_idx(path, each)) for each in wanted)

    return Source(str(path), (file,), fetch, on_disk=True)


def _archive(
    path: Path,
    read: Callable[[Path, Sequence[MnistFile]], Contents],
    files: Sequence[MnistFile],
) -> Source:
    def fetch(_wanted: Sequence[MnistFile]) -> Iterable[tuple[MnistFile, bytes]]:
        return read(path, files).items()

    return Source(str(path), tuple(files), fetch, on_disk=True)
