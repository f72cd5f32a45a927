import pytest

from digitlens.datasets.external.tables import read_libsvm, read_table
from digitlens.errors import DataError


@pytest.mark.parametrize("content", [b"1 2\n3 4 \n", b"1,2\r\n3,4\r\n", b" 1.0 2e0\n\n3 4"])
def test_numbers_stand_between_spaces_or_commas(content):
    assert read_table(content, 2, "file").tolist() == [[1, 2], [3, 4]]


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


def test_libsvm_leaves_zeros_out():
    labels, values = read_libsvm(b"10 1:-1 3:0.5\n2 2:1\n\n", 3, "file")
    assert labels.tolist() == [10, 2]
    assert values.tolist() == [[-1, 0, 0.5], [0, 1, 0]]


@pytest.mark.parametrize(
    "row", [b"1 1:0 4:1", b"1 0:1", b"one 1:1", b"1 1:x", b"1 1", b"1 1.5:1", b"1 1:2:3"]
)
def test_damaged_libsvm_is_refused_with_its_row(row):
    with pytest.raises(DataError, match=r"indices from 1 to 3, found .* in row 2"):
        read_libsvm(b"1 1:1\n" + row, 3, "file")


def test_empty_libsvm_is_refused():
    with pytest.raises(DataError, match="it is empty"):
        read_libsvm(b"\n", 3, "file")
