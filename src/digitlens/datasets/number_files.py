"""Files that data sets are published in, packed or not, to bytes and arrays of numbers.

Each is read within a budget of bytes. What the numbers mean is not known here.

MATLAB files are those of level 5, which is versions 5 to 7; format: MathWorks, "MAT-File Format".
Text, structures, cells and objects are passed over, so that nothing in a file can be called. SciPy
reads more and is not used: a single wrong byte can make its ``loadmat`` take the process down (seen
with SciPy 1.17).
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError, needs_extra

HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
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
    with _damage_in(path), path.open("rb") as file:
        return _unpacked(file, budget, path.name)


def read_member(path: Path, name: str, budget: int) -> bytes:
    """A file inside a zip file, in whatever folder there, itself unpacked.

    Raises DataError where it is not there, cannot be read or is larger than the budget.
    """
    with _damage_in(path), zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.namelist() if PurePosixPath(one).name == name]
        if not inside:
            raise DataError(f"{path}: expected {name} in it, found none of that name")
        with archive.open(inside[0]) as stream:
            return _unpacked(stream, budget, name)


@contextmanager
def _damage_in(path: Path) -> Generator[None]:
    try:
        yield
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
    out is 0.

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


def _unpacked(packed: _Readable, budget: int, name: str) -> bytes:
    content = _within(packed, budget, name)
    for start, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open)):
        if content.startswith(start):
            with opened(io.BytesIO(content)) as stream:
                return _within(stream, budget, name)
    return content


def _within(stream: _Readable, budget: int, name: str) -> bytes:
    content = stream.read(budget + 1)  # no more, whatever the file claims
    if len(content) > budget:
        raise DataError(f"{name} holds more than the {budget:,} bytes expected of this data set")
    return content


_HEADER = 128  # bytes before the first element; the last two tell the order of bytes
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC = range(6, 16)  # classes of arrays: double, single and eight kinds of whole numbers
_COMPLEX = 0x0800
# What numbers are stored as, whatever the class of their array.
_STORED = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
_DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8")


class _Element(NamedTuple):
    kind: int
    content: memoryview


def read_matlab(content: bytes, names: Sequence[str], budget: int, name: str) -> Arrays:
    """Some arrays of a MATLAB file by their names, in the type in which it stores them.

    Raises DataError where it is another kind of file, damaged, lacks one of them, or an element
    unpacks to more bytes than the budget.
    """
    if content.startswith(HDF5) or b"MATLAB 7.3" in content[:_HEADER]:
        raise DataError(f"{name}: expected a MATLAB file of version 5 to 7, found version 7.3")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None:
        raise DataError(f"{name}: expected a MATLAB file of version 5 to 7, found another kind")
    try:
        found = _arrays(memoryview(content)[_HEADER:], order, budget)
    except (struct.error, zlib.error, ValueError, StopIteration) as error:
        raise DataError(f"{name} is damaged or cut short ({error})") from error
    missing = [wanted for wanted in names if wanted not in found]
    if missing:
        there = ", ".join(found) or "none"
        raise DataError(f"{name}: expected the arrays {', '.join(names)}, found {there}")
    return {wanted: found[wanted] for wanted in names}


def _arrays(view: memoryview, order: str, budget: int) -> Arrays:
    found: Arrays = {}
    for element in _elements(view, order):
        one = _decompressed(element, order, budget) if element.kind == _COMPRESSED else element
        if one.kind == _MATRIX:
            found |= _matrix(one.content, order)
    return found


def _elements(view: memoryview, order: str) -> Generator[_Element]:
    at = 0
    while at < len(view):
        kind, size = struct.unpack_from(f"{order}II", view, at)
        start, after = at + 8, at + 8 + size
        if kind >> 16:  # up to four bytes lie in the tag itself, whose first word has kind and size
            kind, size = kind & 0xFFFF, kind >> 16
            start, after = at + 4, at + 8
        elif kind != _COMPRESSED:
            after += -size % 8  # everything else begins at a multiple of eight bytes
        if start + size > len(view):
            raise ValueError(f"an element claims {size:,} bytes, {len(view) - start:,} are left")
        yield _Element(kind, view[start : start + size])
        at = after


def _decompressed(element: _Element, order: str, budget: int) -> _Element:
    unpacked = zlib.decompressobj().decompress(element.content, budget + 8)
    if len(unpacked) > budget:
        raise ValueError(f"an element unpacks to more than {budget:,} bytes")
    return next(_elements(memoryview(unpacked), order))


def _matrix(view: memoryview, order: str) -> Arrays:
    """One array by its name; nothing when it is not of real numbers."""
    elements = _elements(view, order)
    flags = struct.unpack_from(f"{order}I", next(elements).content)[0]
    if flags & 0xFF not in _NUMERIC or flags & _COMPLEX:
        return {}
    shape = np.frombuffer(next(elements).content, f"{order}i4").tolist()
    name = bytes(next(elements).content).decode("ascii")
    values = next(elements)
    array = np.frombuffer(values.content, order + _DTYPES[_STORED.index(values.kind)])
    if min(shape) < 0 or math.prod(shape) != array.size:
        raise ValueError(f"{name} claims the shape {shape} and has {array.size:,} numbers")
    return {name: array.reshape(shape, order="F")}
