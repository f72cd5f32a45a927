"""Reads arrays of plain numbers from a pickle without running anything that the pickle names.

A pickle is a program: it may call whatever it can import. This unpickler hands it three inert
stand-ins for the three names that a pickled array needs, and refuses every other name and every
instruction that a pickled array does without (some of them can be made to take all memory).
NumPy's own ``__setstate__`` is never reached, so a forged state cannot reach NumPy's C code either.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError

INSTRUCTIONS = {
    *("PROTO", "GLOBAL", "BINPUT", "BINGET", "REDUCE", "BUILD", "STOP"),
    *("MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE"),
    *("BININT", "BININT1", "BININT2", "SHORT_BINSTRING", "BINSTRING"),
}
CODES = {b"f4": np.dtype("<f4"), b"i8": np.dtype("<i8")}


class _Kind:
    """Stands in for ``numpy.dtype``: one of ``CODES``, little-endian."""

    def __init__(self, code: bytes, *_flags: object) -> None:
        self.dtype = CODES[code]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] != b"<":
            raise pickle.UnpicklingError(f"byte order {state[1]!r} is not expected here")


class _Array:
    """Stands in for a ``numpy.ndarray`` that is filled by its pickled state."""

    values: npt.NDArray[Any]

    def __init__(self, *_placeholder: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, kind, column_order, raw = state
        if column_order:
            raise pickle.UnpicklingError("arrays in column order are not expected here")
        self.values = np.frombuffer(raw, kind.dtype).reshape(shape)


class _Inert:
    """Stands in for the class ``numpy.ndarray``, which is only passed around by name."""


class _ArrayUnpickler(pickle.Unpickler):
    _names = {  # noqa: RUF012  (never changed)
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Inert,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


def load_pairs(content: bytes) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """The pairs of arrays in a pickle that holds nothing else.

    Args:
        content: A pickle of protocol 2 as Python 2 wrote it: a tuple of pairs of arrays, each
            float32 or int64 and little-endian.

    Raises:
        DataError: It is damaged, holds something else, or names anything but NumPy arrays.
    """
    try:
        _check_instructions(content)
        pairs = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        return [(images.values, labels.values) for images, labels in pairs]
    except Exception as error:  # a broken pickle may raise any exception, says its documentation
        raise DataError(f"not a pickle of plain arrays: {error or type(error).__name__}") from error


def _check_instructions(content: bytes) -> None:
    for instruction, _, position in pickletools.genops(content):
        if instruction.name not in INSTRUCTIONS:
            raise pickle.UnpicklingError(f"{instruction.name} at byte {position} is refused")
