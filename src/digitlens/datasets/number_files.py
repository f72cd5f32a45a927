"""Files that data sets are published in, packed or not, to bytes and arrays of numbers.

Each is read within a budget of bytes. What the numbers mean is not known here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError, needs_extra

DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    NotImplementedError,  # a packing method of other programs
    RuntimeError,  # encrypted
    ValueError,
    OSError,
)

Values = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
_Stream = IO[bytes] | io.BufferedIOBase
_UNSIGNED_BYTE = 0x08  # the only kind of IDX file that is read


def find_file(path: Path, names: Sequence[str]) -> Path:
    """A file itself, or in a folder the first of some names; DataError where there is none."""
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
    Raises DataError where it cannot be read or holds more than the budget, packed or not.
    """
    with damage_in(path), path.open("rb") as file:
        return _unpacked(file, budget, path.name)


def read_member(path: Path, name: str, budget: int) -> bytes:
    """A file inside a zip file, in whatever folder there, itself unpacked.

    Raises DataError where it is not there, cannot be read or is larger than the budget.
    """
    with damage_in(path), zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.namelist() if PurePosixPath(one).name == name]
        if not inside:
            raise DataError(f"{path}: expected {name} in it, found none of that name")
        with archive.open(inside[0]) as stream:
            return _unpacked(stream, budget, name)


@contextmanager
def damage_in(path: Path) -> Generator[None]:
    """Turns what damaged bytes make a decoder raise into a DataError that names the file."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path.name} cannot be read, it may be cut short: {error}") from error


def encode_idx(array: Bytes) -> bytes:
    """The IDX file of an array of uint8, of any shape with 1 to 255 axes; TypeError for others."""
    if array.dtype != np.uint8:
        raise TypeError(f"expected an array of dtype uint8, found {array.dtype}")
    header = struct.pack(f">HBB{array.ndim}I", 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def decode_idx(content: bytes) -> Bytes:
    """The array in an IDX file, copied, because torch does not take read-only memory.

    Raises DataError unless it is an IDX file of unsigned bytes, neither cut short nor too long.
    """
    if len(content) < 4:
        raise DataError(f"expected an IDX file, found {len(content)} bytes")
    zero, kind, axes = struct.unpack_from(">HBB", content)
    if zero != 0 or kind != _UNSIGNED_BYTE:
        raise DataError(f"expected an IDX file (bytes 00 00 08), found {content[:3].hex(' ')}")
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"expected an IDX header of {start} bytes, found {len(content)} bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"expected {math.prod(shape):,} bytes for shape {list(shape)}, "
            f"found {len(content) - start:,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def read_idx(path: Path, budget: int) -> Bytes:
    """The array in an IDX file, packed or not; DataError where there is none."""
    try:
        return decode_idx(read_file(path, budget))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_table(content: bytes, columns: int, name: str) -> Values:
    """The numbers of a text file with spaces or commas between them; float64[N, columns].

    Raises DataError where it is no text, or has no rows or others.
    """
    try:
        text = content.decode("ascii").replace(",", " ")
    except UnicodeDecodeError as error:
        start = content[:8].hex(" ")
        raise DataError(f"{name}: expected a text file of numbers, it begins {start}") from error
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
    """The labels float64[N] and features float64[N, features] of a file of SVMlight or LIBSVM.

    Each row is ``label index:value index:value ...`` with indices from 1; a feature that is left
    out is 0. Raises DataError where there is no row or another, MissingExtraError without
    scikit-learn.
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


def _unpacked(packed: _Stream, budget: int, name: str) -> bytes:
    content = _within(packed, budget, name)
    for start, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open)):
        if content.startswith(start):
            with opened(io.BytesIO(content)) as stream:
                return _within(stream, budget, name)
    return content


def _within(stream: _Stream, budget: int, name: str) -> bytes:
    content = stream.read(budget + 1)  # no more, whatever the file claims
    if len(content) > budget:
        raise DataError(f"{name} holds more than the {budget:,} bytes expected of this data set")
    return content
