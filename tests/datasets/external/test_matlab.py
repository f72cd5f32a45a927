import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from digitlens.datasets.external.matlab import HEADER, read_matlab
from digitlens.errors import DataError


def saved(compressed=True, **arrays):
    """The file that SciPy writes, which is another implementation of the format."""
    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=compressed)
    return stream.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4", "f8", "i8"])
def test_arrays_are_those_that_scipy_wrote(dtype, compressed):
    wanted = {"X": np.arange(24).reshape(2, 3, 4).astype(dtype), "y": np.array([[1], [2]], dtype)}
    found = read_matlab(saved(compressed, **wanted), ("X", "y"), 10_000, "file")
    for name, array in wanted.items():
        assert found[name].dtype == np.dtype(dtype)
        assert (found[name] == array).all()


def test_what_is_no_array_of_numbers_is_passed_over():
    content = saved(text="words", cells=np.array(["a", 1], object), s={"a": 1}, c=1j, X=np.eye(2))
    assert read_matlab(content, ("X",), 10_000, "file")["X"].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="expected the arrays X, c, found X"):
        read_matlab(content, ("X", "c"), 10_000, "file")


def test_whole_numbers_may_be_stored_shorter_than_their_class():
    """As MATLAB itself does: doubles whose values are bytes are stored as bytes."""
    parts = [
        struct.pack("<IIII", 6, 8, 6, 0),
        struct.pack("<IIii", 5, 8, 1, 3),
        struct.pack("<HH4s", 1, 1, b"y"),
        struct.pack("<HH4s", 2, 3, bytes([1, 2, 10])),
    ]
    matrix = b"".join(parts)
    header = b"MATLAB 5.0".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    content = header + struct.pack("<II", 14, len(matrix)) + matrix
    assert read_matlab(content, ("y",), 1000, "file")["y"].tolist() == [[1, 2, 10]]


def test_other_files_are_refused():
    with pytest.raises(DataError, match=r"found version 7\.3"):
        read_matlab(b"\x89HDF\r\n\x1a\n" + bytes(200), ("X",), 1000, "file")
    with pytest.raises(DataError, match="found another kind"):
        read_matlab(bytes(200), ("X",), 1000, "file")


def test_an_element_is_not_unpacked_beyond_the_budget():
    bomb = zlib.compress(bytes(1_000_000))
    content = saved(X=np.eye(2))[:HEADER] + struct.pack("<II", 15, len(bomb)) + bomb
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read_matlab(content, ("X",), 1000, "file")


@given(cut=st.integers(HEADER + 1, 10_000), compressed=st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_file_cut_short_is_refused(cut, compressed):
    content = saved(compressed, X=np.arange(64).reshape(8, 8), y=np.arange(3))
    with pytest.raises(DataError):
        read_matlab(content[: min(cut, len(content) - 8)], ("X", "y"), 10_000, "file")


@given(place=st.integers(HEADER, 500), value=st.integers(0, 255))
@settings(deadline=None, max_examples=100)
def test_any_byte_may_be_wrong(place, value):
    content = bytearray(saved(False, X=np.arange(16, dtype=np.uint8).reshape(4, 4), y=np.eye(2)))
    content[min(place, len(content) - 1)] = value
    try:
        found = read_matlab(bytes(content), ("X", "y"), 10_000, "file")
    except DataError:
        return
    assert set(found) == {"X", "y"}
