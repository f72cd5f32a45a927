"""Files that data sets are published in, packed or not, to bytes and arrays of numbers.

Each is read within a budget of bytes. What the numbers mean is not known here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError, needs_extra

HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP, _BZIP2, _ZIP = b"\x1f\x8b", b"BZh", b"PK\x03\x04"
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a packing method of other programs
    RuntimeError,  # encrypted
    ValueError,
    OSError,
)

Values = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]


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
    except DAMAGED as error:
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
    except DAMAGED as error:
        raise DataError(f"{path} cannot be read, it may be cut short: {error}") from error


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError:
        return False


def read_table(content: bytes, columns: int, name: str) -> Values:
    """The numbers of a text file with spaces or commas between them.

    Args:
        content: The bytes of the file.
        columns: How many numbers each row must have.
        name: What to call the file in errors.

    Returns:
        float64[N, columns].

    Raises:
        DataError: It is no text, has no rows, or rows of other or too few or many numbers.
    """
    text = _as_text(content, name).replace(",", " ")
    if not text.strip():
        raise DataError(f"{name}: expected rows of {columns} numbers, it is empty")
    try:
        table = np.loadtxt(io.StringIO(text), np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise DataError(f"{name}: expected rows of {columns} numbers: {error}") from error
    if table.shape[1] != columns:
        raise DataError(f"{name}: expected rows of {columns} numbers, found {table.shape[1]}")
    return table


def read_svmlight(content: bytes, features: int, name: str) -> tuple[Values, Values]:
    """The labels and features of a file in the format of SVMlight and LIBSVM.

    Each row is ``label index:value index:value ...`` with indices from 1; a feature that is left
    out is 0.

    Args:
        content: The bytes of the file.
        features: How many features there are.
        name: What to call the file in errors.

    Returns:
        float64[N] and float64[N, features].

    Raises:
        DataError: It has no rows, or a row is not of this form.
        MissingExtraError: scikit-learn is not installed.
    """
    with needs_extra("offline"):
        from sklearn.datasets import load_svmlight_file  # noqa: PLC0415  (an extra)
    load: Any = load_svmlight_file
    expected = f"label and index:value pairs with indices from 1 to {features}"
    try:
        table = load(io.BytesIO(content), n_features=features, zero_based=False)
    except (ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{name}: expected rows of {expected}: {error}") from error
    values, labels = table
    if not len(labels):
        raise DataError(f"{name}: expected rows of {expected}, it is empty")
    return labels, values.toarray()


def _as_text(content: bytes, name: str) -> str:
    """The text of a file of numbers.

    Raises:
        DataError: It is something else than plain text.
    """
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        start = content[:8].hex(" ")
        raise DataError(f"{name}: expected a text file of numbers, it begins {start}") from error


def _unpacked(content: bytes, budget: int, name: str) -> bytes:
    if content.startswith(_GZIP):
        with gzip.open(io.BytesIO(content)) as stream:
            return _within(stream, budget, name)
    if content.startswith(_BZIP2):
        with bz2.open(io.BytesIO(content)) as stream:
            return _within(stream, budget, name)
    return content


def _within(stream: _Readable, budget: int, name: str) -> bytes:
    content = stream.read(budget + 1)  # no more, whatever the file claims
    if len(content) > budget:
        raise DataError(f"{name} holds more than the {budget:,} bytes expected of this data set")
    return content
