"""Brings gray of more than 8 bits to bytes: finds out how many of its bits a picture uses.

Cameras and scanners store 10, 12 or 14 bits in samples of 16, and most files do not say so. This is
the one place where a scale is taken from the values: divided by 65535, such pictures are black.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_WHOLE = 16  # bits
_USUAL = (8, 10, 12, 14, _WHOLE)  # depths that devices have
_BITS, _LARGEST = 258, (281, 341)  # TIFF tags: BitsPerSample, and (S)MaxSampleValue
_FIRST = 8  # byte of a PNG at which its chunks begin

Gray = npt.NDArray[np.uint8]


def said_bits(image: Any) -> int | None:
    """How many bits of a sample its file says that it uses; None where it does not say.

    That is said by ``sBIT`` of a PNG and by ``BitsPerSample`` or ``MaxSampleValue`` of a TIFF. Of a
    PPM, Pillow has scaled the samples to 16 bits already.

    Args:
        image: An open Pillow image whose pixels were not loaded yet: afterwards its file is closed.
    """
    if image.format == "PPM":
        return _WHOLE
    if image.format == "PNG":
        return _significant_bits(image.fp)
    if image.format == "TIFF":
        return _tagged_bits(image.tag_v2)
    return None


def to_bytes(samples: npt.NDArray[np.integer[Any]], said: int | None) -> Gray:
    """Scales gray so that the largest value of its depth becomes 255.

    The depth is the one that the file says, unless there are larger values: a PNG of 12 bits may
    have been scaled to 16, as it should. Where nothing is said, it is the least usual one that
    holds all values. A dark picture of 16 bits that uses no more than 14 of them becomes brighter,
    which does no harm: what counts is the contrast.

    Args:
        samples: int[H, W]; 0..65535, not empty.
        said: See ``said_bits``.

    Returns:
        uint8[H, W].

    Raises:
        ValueError: There are other values.
    """
    least, most = int(samples.min(initial=0)), int(samples.max(initial=0))
    if least < 0 or most >= 1 << _WHOLE:
        raise ValueError("32-bit whole numbers have no known scale; save it with 8 or 16 bits")
    bits = _bits_of(most) if said is None else said
    full = (1 << (bits if most < 1 << bits else _WHOLE)) - 1
    return ((samples.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)


def _bits_of(most: int) -> int:
    return next(bits for bits in _USUAL if most < 1 << bits)


def _significant_bits(file: Any) -> int | None:
    """What the chunk sBIT says, which Pillow passes over; the file stands where it stood."""
    if file is None:
        return None
    stood = file.tell()
    try:
        return _first_of_chunk(file, b"sBIT")
    finally:
        file.seek(stood)


def _first_of_chunk(file: Any, wanted: bytes) -> int | None:
    """The first byte of a chunk before the pixels, if it is 1 to 16."""
    place = _FIRST
    while True:
        file.seek(place)
        head = file.read(9)
        name = head[4:8]
        if len(head) < 9 or name == b"IDAT":
            return None
        if name == wanted:
            return head[8] if 1 <= head[8] <= _WHOLE else None
        place += 12 + int.from_bytes(head[:4], "big")


def _tagged_bits(tags: Any) -> int | None:
    bits = max(_numbers(tags.get(_BITS)), default=_WHOLE)
    if 1 <= bits < _WHOLE:
        return bits
    most = max((number for tag in _LARGEST for number in _numbers(tags.get(tag))), default=0)
    return _bits_of(most) if 0 < most < 1 << _WHOLE else None


def _numbers(value: Any) -> list[int]:
    """The whole numbers of a tag, which may be one, several, or anything at all."""
    return [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int)]
