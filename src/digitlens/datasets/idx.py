"""The IDX format: a magic number, the shape as big-endian integers, then the bytes row by row.

Format: http://yann.lecun.com/exdb/mnist/ (section "the IDX file format"). Only unsigned bytes are
read and written, which is all that MNIST has.
"""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError

UNSIGNED_BYTE = 0x08

Bytes = npt.NDArray[np.uint8]


def encode_idx(array: Bytes) -> bytes:
    """The IDX file of an array.

    Args:
        array: uint8, any shape with 1 to 255 axes.

    Raises:
        TypeError: The array is not uint8.
    """
    if array.dtype != np.uint8:
        raise TypeError(f"expected an array of dtype uint8, found {array.dtype}")
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()


def decode_idx(content: bytes) -> Bytes:
    """The array in an IDX file, copied, because torch does not take read-only memory.

    Raises:
        DataError: It is not an IDX file of unsigned bytes, or it is cut short or too long.
    """
    if len(content) < 4:
        raise DataError(f"expected an IDX file, found {len(content)} bytes")
    zero, kind, axes = struct.unpack_from(">HBB", content)
    if zero != 0 or kind != UNSIGNED_BYTE:
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
