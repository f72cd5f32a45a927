import pytest

from digitlens.datasets.manifest import FILES, data_hashes
from digitlens.errors import DataError


def test_the_files_have_the_sizes_of_mnist() -> None:
    assert [file.size for file in FILES] == [47_040_016, 60_008, 7_840_016, 10_008]


def test_hashes_are_given_by_file_name() -> None:
    hashes = data_hashes()

    assert list(hashes) == [file.name for file in FILES]
    assert hashes["t10k-labels-idx1-ubyte"].startswith("ff7bcfd416de")
    assert all(len(bytes.fromhex(value)) == 32 for value in hashes.values())


def test_the_right_bytes_are_verified(tiny_mnist) -> None:
    for file, content in tiny_mnist.contents.items():
        file.verify(content)


def test_one_wrong_bit_is_found(tiny_mnist) -> None:
    file, content = next(iter(tiny_mnist.contents.items()))
    wrong = content[:-1] + bytes([content[-1] ^ 1])

    with pytest.raises(DataError, match=f"expected SHA-256 {file.sha256[:12]}…, found"):
        file.verify(wrong)


def test_a_wrong_length_is_told_in_bytes(tiny_mnist) -> None:
    file = tiny_mnist.files[1]

    with pytest.raises(DataError, match="expected 38 bytes, found 37"):
        file.verify(tiny_mnist.contents[file][:-1])
