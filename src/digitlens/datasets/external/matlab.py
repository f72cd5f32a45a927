"""Arrays of numbers in a MATLAB file of level 5, which is versions 5 to 7; nothing else in it.

Format: MathWorks, "MAT-File Format", chapter "Level 5 MAT-file format". Text, structures, cells and
objects are passed over, so that nothing in a file can be called. SciPy reads more and is not used:
a single wrong byte can make its ``loadmat`` take the process down (seen with SciPy 1.17).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np

from digitlens.datasets.external.parsing import HDF5, Arrays
from digitlens.errors import DataError

HEADER = 128  # bytes before the first element; the last two tell the order of bytes
MATRIX, COMPRESSED = 14, 15
NUMERIC = range(6, 16)  # classes of arrays: double, single and eight kinds of whole numbers
COMPLEX = 0x0800
# What numbers are stored as, whatever the class of their array.
STORED = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8")


class _Element(NamedTuple):
    kind: int
    content: memoryview


def read_matlab(content: bytes, names: Sequence[str], budget: int, name: str) -> Arrays:
    """Some arrays of a MATLAB file, in the type in which it stores them.

    Args:
        content: The bytes of the file.
        names: The arrays that are wanted.
        budget: The most bytes to unpack of one element.
        name: What to call the file in errors.

    Raises:
        DataError: It is another kind of file, damaged, lacks one of them, or is too large.
    """
    if content.startswith(HDF5) or b"MATLAB 7.3" in content[:HEADER]:
        raise DataError(f"{name}: expected a MATLAB file of version 5 to 7, found version 7.3")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None:
        raise DataError(f"{name}: expected a MATLAB file of version 5 to 7, found another kind")
    try:
        found = _arrays(memoryview(content)[HEADER:], order, budget)
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
        one = _decompressed(element, order, budget) if element.kind == COMPRESSED else element
        if one.kind == MATRIX:
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
        elif kind != COMPRESSED:
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
    if flags & 0xFF not in NUMERIC or flags & COMPLEX:
        return {}
    shape = np.frombuffer(next(elements).content, f"{order}i4").tolist()
    name = bytes(next(elements).content).decode("ascii")
    values = next(elements)
    array = np.frombuffer(values.content, order + DTYPES[STORED.index(values.kind)])
    if min(shape) < 0 or math.prod(shape) != array.size:
        raise ValueError(f"{name} claims the shape {shape} and has {array.size:,} numbers")
    return {name: array.reshape(shape, order="F")}
