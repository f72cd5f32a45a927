import bz2
import gzip
import zipfile

import pytest

from digitlens.datasets.external.contents import find_file, is_zip, read_file, read_member
from digitlens.errors import DataError


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_file_is_unpacked_whatever_its_name(pack, tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_bytes(pack(b"1 2 3"))
    assert read_file(path, 100) == b"1 2 3"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_no_more_than_the_budget_is_unpacked(pack, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(1_000_000)))
    with pytest.raises(DataError, match="more than the 20,000 bytes"):
        read_file(path, 20_000)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_file_that_is_cut_short_is_said_to_be(pack, tmp_path):
    path = tmp_path / "half"
    path.write_bytes(pack(bytes(range(256)) * 40)[:-20])
    with pytest.raises(DataError, match="half cannot be read, it may be cut short"):
        read_file(path, 20_000)


def test_the_first_name_in_a_folder_is_taken(tmp_path):
    for name in ("b", "c"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, ("a", "b", "c")) == tmp_path / "b"
    assert find_file(tmp_path / "c", ("a", "b")) == tmp_path / "c"


def test_what_is_not_there_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is missing: expected a or b"):
        find_file(tmp_path / "nowhere", ("a", "b"))
    with pytest.raises(DataError, match=r"expected a or b in this folder, found none"):
        find_file(tmp_path, ("a", "b"))


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


def test_a_damaged_zip_file_is_refused(tmp_path):
    path = tmp_path / "gzip.zip"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(DataError, match="cannot be read"):
        read_member(path, "one.gz", 100)
