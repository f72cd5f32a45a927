"""Reads the file formats of published data sets, compressed or not, into bytes and arrays.

Every read has a byte budget. The meaning of the numbers is left to the caller.
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
    NotImplementedError,  # unsupported compression method
    RuntimeError,  # encrypted
    ValueError,
    OSError,
)

Values = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
_Stream = IO[bytes] | io.BufferedIOBase
_UNSIGNED_BYTE = 0x08  # the only supported type of IDX file


def find_file(path: Path, names: Sequence[str]) -> Path:
    """The file at ``path``, or the first of ``names`` in a folder; DataError if there is none."""
    try:
        if path.is_file():
            return path
        if path.is_dir():
            matches = [path / name for name in names if (path / name).is_file()]
            if matches:
                return matches[0]
            raise DataError(f"{path}: expected {' or '.join(names)} in this folder, found none")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    raise DataError(f"{path} is missing: expected {' or '.join(names)}, or a folder with it")


def read_file(path: Path, budget: int) -> bytes:
    """The bytes of a file, decompressed if it is gzip or bzip2.

    Compression is detected from the first bytes, because browsers decompress files and keep their
    names. Raises DataError if the file is unreadable or exceeds the budget, packed or unpacked.
    """
    with damage_in(path), path.open("rb") as file:
        return _decompress(file, budget, path.name)


def read_member(path: Path, name: str, budget: int) -> bytes:
    """The decompressed bytes of the file called ``name`` in any folder of a zip file.

    Raises DataError if it is missing, unreadable or larger than the budget.
    """
    with damage_in(path), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.namelist() if PurePosixPath(member).name == name]
        if not members:
            raise DataError(f"{path}: expected {name} in it, found no file of that name")
        with archive.open(members[0]) as stream:
            return _decompress(stream, budget, name)


@contextmanager
def damage_in(path: Path) -> Generator[None]:
    """Turns the errors of decoders on damaged bytes into a DataError that names the file."""
    try:
        yield
    except DAMAGED as error:
        raise DataError(f"{path.name} cannot be read, it may be truncated: {error}") from error


def encode_idx(array: Bytes) -> bytes:
    """Encodes a uint8 array with 1 to 255 axes as an IDX file; TypeError for other dtypes."""
    if array.dtype != np.uint8:
        raise TypeError(f"expected an array of dtype uint8, found {array.dtype}")
    header = struct.pack(f">HBB{array.ndim}I", 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def decode_idx(content: bytes) -> Bytes:
    """The array in an IDX file, copied because torch does not accept read-only memory.

    Raises DataError unless it is an IDX file of unsigned bytes of exactly the right length.
    """
    if len(content) < 4:
        raise DataError(f"expected an IDX file, found {len(content)} bytes")
    zero, type_code, axes = struct.unpack_from(">HBB", content)
    if zero != 0 or type_code != _UNSIGNED_BYTE:
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
    """The array in an IDX file, compressed or not; DataError if it cannot be read."""
    try:
        return decode_idx(read_file(path, budget))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_table(content: bytes, columns: int, name: str) -> Values:
    """Parses a text file of numbers separated by spaces or commas; float64[N, columns].

    Raises DataError if it is not ASCII, is empty, or has rows of another form.
    """
    try:
        text = content.decode("ascii").replace(",", " ")
    except UnicodeDecodeError as error:
        head = content[:8].hex(" ")
        raise DataError(f"{name}: expected a text file of numbers, found bytes {head}") from error
    if not text.strip():
        raise DataError(f"{name}: expected rows of {columns} numbers, found an empty file")
    try:
        table = np.loadtxt(io.StringIO(text), np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise DataError(f"{name}: expected rows of {columns} numbers: {error}") from error
    if table.shape[1] != columns:
        raise DataError(f"{name}: expected rows of {columns} numbers, found {table.shape[1]}")
    return table


def read_svmlight(content: bytes, features: int, name: str) -> tuple[Values, Values]:
    """The labels float64[N] and features float64[N, features] of an SVMlight or LIBSVM file.

    Each row is ``label index:value index:value ...`` with indices from 1; omitted features are 0.
    Raises DataError if the file is empty or has rows of another form, MissingExtraError without
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
        raise DataError(f"{name}: expected rows of {expected}, found an empty file")
    return labels, values.toarray()


def _decompress(packed: _Stream, budget: int, name: str) -> bytes:
    content = _read_limited(packed, budget, name)
    for magic, open_stream in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open)):
        if content.startswith(magic):
            with open_stream(io.BytesIO(content)) as stream:
                return _read_limited(stream, budget, name)
    return content


def _read_limited(stream: _Stream, budget: int, name: str) -> bytes:
    content = stream.read(budget + 1)  # a size stated in the file cannot be trusted
    if len(content) > budget:
        raise DataError(f"{name} holds more than the {budget:,} bytes expected for this data set")
    return content
