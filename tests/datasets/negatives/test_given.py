import gzip

import numpy as np
import pytest

from digitlens.datasets.mnist_sources import encode_idx
from digitlens.datasets.negatives.given import load_strange
from digitlens.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (26, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_read_plain_or_gzipped(tmp_path, pack):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(pack(encode_idx(IMAGES)))
    (name, tiles), *others = load_strange("fashion", path).items()
    assert (name, others) == ("fashion", [])
    np.testing.assert_array_equal(tiles, IMAGES)


def test_emnist_is_turned_upright_and_letters_like_digits_are_set_apart(tmp_path):
    path = tmp_path / "emnist-letters-test-images-idx3-ubyte"
    path.write_bytes(encode_idx(IMAGES))
    alone = load_strange("letters", path)
    np.testing.assert_array_equal(alone["letters"], IMAGES.transpose(0, 2, 1))
    labels = np.arange(1, 27, dtype=np.uint8)
    beside = tmp_path / "emnist-letters-test-labels-idx1-ubyte"
    beside.write_bytes(encode_idx(labels))
    sets = load_strange("EMNIST", path)
    assert [len(tiles) for tiles in sets.values()] == [18, 8]
    np.testing.assert_array_equal(sets["EMNIST look-alikes"][0], IMAGES[1].T)  # B
    beside.write_bytes(encode_idx(labels[:3]))
    with pytest.raises(DataError, match="labels of 26 images, found"):
        load_strange("EMNIST", path)


def test_long_files_are_thinned_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr("digitlens.datasets.negatives.given.MOST", 2)
    path = tmp_path / "images"
    path.write_bytes(encode_idx(IMAGES))
    np.testing.assert_array_equal(load_strange("some", path)["some"], IMAGES[[0, -1]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an IDX file"),
        (b"not an idx file", "expected an IDX file"),
        (gzip.compress(bytes(100), mtime=0)[:20], "cannot be read"),
        (encode_idx(IMAGES[0]), r"images of \[N, 28, 28\], found \[28, 28\]"),
        (encode_idx(IMAGES[:0]), r"found \[0, 28, 28\]"),
    ],
)
def test_other_files_are_refused_with_their_name(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_strange("some", path)
    assert str(path) in str(caught.value)


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="cannot be read"):
        load_strange("some", tmp_path / "none")
    monkeypatch.setattr("digitlens.datasets.negatives.given.LARGEST", 50)
    (tmp_path / "large").write_bytes(encode_idx(IMAGES))
    with pytest.raises(DataError, match="at most 50 bytes"):
        load_strange("some", tmp_path / "large")
