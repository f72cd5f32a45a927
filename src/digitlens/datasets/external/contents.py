"""The bytes of a file that a user names, unpacked from gzip, bzip2 or zip, within a budget."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from digitlens.errors import DataError

GZIP, BZIP2, ZIP, HDF5 = b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a packing method of other programs
    RuntimeError,  # encrypted
    ValueError,
    OSError,
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def find_file(path: Path, names: Sequence[str]) -> Path:
    """A file itself, or the first of some names that is in a folder.

    Args:
        path: A file or a folder.
        names: What to look for in a folder, the most wanted first.

    Raises:
        DataError: There is no such file or folder, or nothing of these names in the folder.
    """
    try:
        if path.is_file():
            return path
        if path.is_dir():
            found = [path / name for name in names if (path / name).is_file()]
            if found:
                return found[0]
            raise DataError(f"{path}: expected {' or '.join(names)} in this folder, found none")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    raise DataError(f"{path} is missing: expected {' or '.join(names)}, or a folder with it")


def read_file(path: Path, budget: int) -> bytes:
    """The bytes of a file; of a gzip or bzip2 file, what is packed in it.

    How it is packed is told by its first bytes, since browsers unpack files and keep their names.

    Args:
        path: The file.
        budget: The most bytes to accept, packed or not.

    Raises:
        DataError: It cannot be read, is damaged, or holds more.
    """
    try:
        with path.open("rb") as file:
            content = _within(file, budget, path.name)
        return _unpacked(content, budget, path.name)
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be read, it may be cut short: {error}") from error


def read_member(path: Path, name: str, budget: int) -> bytes:
    """A file inside a zip file, in whatever folder there, itself unpacked.

    Args:
        path: The zip file.
        name: Name of the file, without folders.
        budget: The most bytes to accept of it.

    Raises:
        DataError: It is no zip file, damaged, has no such file, or the file is larger.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.namelist() if PurePosixPath(one).name == name]
            if not inside:
                raise DataError(f"{path}: expected {name} in it, found none of that name")
            with archive.open(inside[0]) as stream:
                return _unpacked(_within(stream, budget, name), budget, name)
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be read, it may be cut short: {error}") from error


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip file."""
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return False


def _unpacked(content: bytes, budget: int, name: str) -> bytes:
    if content.startswith(GZIP):
        with gzip.open(io.BytesIO(content)) as stream:
            return _within(stream, budget, name)
    if content.startswith(BZIP2):
        with bz2.open(io.BytesIO(content)) as stream:
            return _within(stream, budget, name)
    return content


def _within(stream: _Readable, budget: int, name: str) -> bytes:
    content = stream.read(budget + 1)  # no more, whatever the file claims
    if len(content) > budget:
        raise DataError(f"{name} holds more than the {budget:,} bytes expected of this data set")
    return content
