import bz2
import gzip
import io
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from digitlens.datasets.number_files import (
    find_file,
    is_zip,
    read_file,
    read_matlab,
    read_member,
    read_svmlight,
    read_table,
)
from digitlens.errors import DataError, MissingExtraError


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_file_is_unpacked_whatever_its_name(pack, tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_bytes(pack(b"1 2 3"))
    assert read_file(path, 100) == b"1 2 3"


@pytest.mark.parametrize(
    ("pack", "content", "message"),
    [
        *((pack, bytes(1_000_000), "more than the 20,000 bytes")
          for pack in (bytes, gzip.compress, bz2.compress)),
        *((lambda raw, pack=pack: pack(raw)[:-20], bytes(range(256)) * 40,
           "file cannot be read, it may be cut short") for pack in (gzip.compress, bz2.compress)),
    ],
)  # fmt: skip
def test_bombs_and_files_that_are_cut_short_are_refused(pack, content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pack(content))
    with pytest.raises(DataError, match=message):
        read_file(path, 20_000)


def test_the_first_name_in_a_folder_is_taken_and_none_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"expected a or b in this folder, found none"):
        find_file(tmp_path, ("a", "b"))
    for name in ("b", "c"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, ("a", "b", "c")) == tmp_path / "b"
    assert find_file(tmp_path / "c", ("a", "b")) == tmp_path / "c"
    with pytest.raises(DataError, match=r"nowhere is missing: expected a or b"):
        find_file(tmp_path / "nowhere", ("a", "b"))


def test_a_member_of_a_zip_file_is_found_in_any_folder_and_unpacked(tmp_path):
    path = tmp_path / "gzip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/one.gz", gzip.compress(b"content"))
        archive.writestr("gzip/large", bytes(1000))
    assert is_zip(path)
    assert read_member(path, "one.gz", 100) == b"content"
    with pytest.raises(DataError, match=r"expected two\.gz in it"):
        read_member(path, "two.gz", 100)
    with pytest.raises(DataError, match="more than the 100 bytes"):
        read_member(path, "large", 100)
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(DataError, match="cannot be read"):
        read_member(path, "one.gz", 100)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"1 2 3\n", "found 3"),
        (b"1 2\n3\n", "rows of 2 numbers"),
        (b"1 two\n", "rows of 2 numbers"),
        (b"\x89HDF\r\n\x1a\n\xff", "it begins 89 48 44 46"),
    ],
)
def test_other_tables_are_refused(content, said):
    with pytest.raises(DataError, match=said):
        read_table(content, 2, "file")


def test_svmlight_leaves_zeros_out():
    labels, values = read_svmlight(b"10 1:-1 3:0.5\n2 2:1\n\n", 3, "file")
    assert labels.tolist() == [10, 2]
    assert values.tolist() == [[-1, 0, 0.5], [0, 1, 0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((b"1 1:1\n" + row, r"indices from 1 to 3: ")
          for row in (b"1 1:0 4:1", b"1 0:1", b"a 1:1", b"1 1:x", b"1 1", b"1 1.5:1", b"1 1:2:3")),
        (b"\n", "it is empty"),
    ],
)  # fmt: skip
def test_damaged_and_empty_svmlight_is_refused(content, said):
    with pytest.raises(DataError, match=said):
        read_svmlight(content, 3, "file")


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'digitlens\[offline\]'"):
        read_svmlight(b"", 1, "file")


HEADER = 128  # bytes before the first element of a MATLAB file


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
