import bz2
import gzip
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from digitlens.datasets import number_files
from digitlens.errors import DataError, MissingExtraError


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_file_is_decompressed_regardless_of_its_name(pack, tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_bytes(pack(b"1 2 3"))
    assert number_files.read_file(path, 100) == b"1 2 3"


@pytest.mark.parametrize(
    ("pack", "content", "message"),
    [
        *((pack, bytes(1_000_000), "more than the 20,000 bytes")
          for pack in (bytes, gzip.compress, bz2.compress)),
        *((lambda raw, pack=pack: pack(raw)[:-20], bytes(range(256)) * 40,
           "file cannot be read, it may be truncated") for pack in (gzip.compress, bz2.compress)),
    ],
)  # fmt: skip
def test_bombs_and_truncated_files_are_refused(pack, content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pack(content))
    with pytest.raises(DataError, match=message):
        number_files.read_file(path, 20_000)


def test_first_matching_name_in_a_folder_is_used(tmp_path):
    with pytest.raises(DataError, match=r"expected a or b in this folder, found none"):
        number_files.find_file(tmp_path, ("a", "b"))
    for name in ("b", "c"):
        (tmp_path / name).touch()
    assert number_files.find_file(tmp_path, ("a", "b", "c")) == tmp_path / "b"
    assert number_files.find_file(tmp_path / "c", ("a", "b")) == tmp_path / "c"
    with pytest.raises(DataError, match=r"nowhere is missing: expected a or b"):
        number_files.find_file(tmp_path / "nowhere", ("a", "b"))


def test_zip_member_is_found_in_any_folder_and_decompressed(tmp_path):
    path = tmp_path / "gzip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gzip/one.gz", gzip.compress(b"content"))
        archive.writestr("gzip/large", bytes(1000))
    assert number_files.read_member(path, "one.gz", 100) == b"content"
    with pytest.raises(DataError, match=r"expected two\.gz in it"):
        number_files.read_member(path, "two.gz", 100)
    with pytest.raises(DataError, match="more than the 100 bytes"):
        number_files.read_member(path, "large", 100)
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(DataError, match="cannot be read"):
        number_files.read_member(path, "one.gz", 100)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"1 2 3\n", "found 3"),
        (b"1 2\n3\n", "rows of 2 numbers"),
        (b"1 two\n", "rows of 2 numbers"),
        (b"\x89HDF\r\n\x1a\n\xff", "found bytes 89 48 44 46"),
    ],
)
def test_invalid_tables_are_refused(content, said):
    with pytest.raises(DataError, match=said):
        number_files.read_table(content, 2, "file")


def test_svmlight_fills_in_omitted_zeros():
    labels, values = number_files.read_svmlight(b"10 1:-1 3:0.5\n2 2:1\n\n", 3, "file")
    assert labels.tolist() == [10, 2]
    assert values.tolist() == [[-1, 0, 0.5], [0, 1, 0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((b"1 1:1\n" + row, r"indices from 1 to 3: ")
          for row in (b"1 1:0 4:1", b"1 0:1", b"a 1:1", b"1 1:x", b"1 1", b"1 1.5:1", b"1 1:2:3")),
        (b"\n", "an empty file"),
    ],
)  # fmt: skip
def test_damaged_or_empty_svmlight_is_refused(content, said):
    with pytest.raises(DataError, match=said):
        number_files.read_svmlight(content, 3, "file")


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'digitlens\[offline\]'"):
        number_files.read_svmlight(b"", 1, "file")


arrays = st_numpy.arrays(np.uint8, st_numpy.array_shapes(max_dims=4, max_side=6))


@given(arrays)
def test_idx_encoding_round_trips(array):
    decoded = number_files.decode_idx(number_files.encode_idx(array))
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, array)


def test_idx_has_mnists_header_and_row_major_data():
    content = number_files.encode_idx(np.zeros((3, 28, 28), np.uint8))
    assert content[:16].hex(" ", 4) == "00000803 00000003 0000001c 0000001c"
    assert len(content) == 16 + 3 * 28 * 28
    in_columns = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert number_files.encode_idx(in_columns)[-6:] == bytes(range(6))


@given(arrays, st.data())
def test_truncated_idx_is_refused(array, data):
    content = number_files.encode_idx(array)
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match="expected"):
        number_files.decode_idx(content[:length])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (number_files.encode_idx(np.zeros(3, np.uint8)) + b"!", "found 4"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "00 00 0d"),
        (b"PK\x03\x04 a zip", "50 4b 03"),
    ],
)
def test_other_content_is_refused_as_idx(content, found):
    with pytest.raises(DataError, match=found):
        number_files.decode_idx(content)
