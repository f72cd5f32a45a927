import zipfile

import numpy as np
import pytest

from digitlens.datasets.external.emnist import load_emnist, load_emnist_digits
from digitlens.datasets.mnist_sources import encode_idx
from digitlens.errors import DataError

IMAGES = "emnist-digits-test-images-idx3-ubyte"
LABELS = "emnist-digits-test-labels-idx1-ubyte"


@pytest.fixture
def images(random):
    return random.integers(0, 256, (4, 28, 28), np.uint8)


@pytest.fixture
def contents(images, labels):
    """The two files: in each picture, rows and columns are exchanged."""
    turned = np.ascontiguousarray(images.transpose(0, 2, 1))
    return {IMAGES: encode_idx(turned), LABELS: encode_idx(labels)}


@pytest.mark.parametrize("ending", [".gz", ""])
@pytest.mark.parametrize("inside", ["", IMAGES])
def test_pictures_stand_upright(inside, ending, contents, images, labels, write, tmp_path):
    for name, content in contents.items():
        write(tmp_path / (name + ending), content)
    pictures = load_emnist_digits(tmp_path / (inside and inside + ending))
    assert (pictures.images == images).all()
    assert (pictures.labels == labels).all()


def test_the_zip_file_of_all_subsets_is_read_where_it_lies(
    contents, images, labels, write, tmp_path
):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for name, content in contents.items():
            packed = write(tmp_path / "packed.gz", content).read_bytes()
            archive.writestr(f"gzip/{name}.gz", packed)
    for path in (tmp_path / "gzip.zip", tmp_path):
        pictures = load_emnist_digits(path)
        assert (pictures.images == images).all()
        assert (pictures.labels == labels).all()


def test_letters_keep_their_numbers(images, write, tmp_path):
    write(tmp_path / IMAGES.replace("digits", "letters"), encode_idx(images))
    letters = np.array([1, 26, 3, 4], np.uint8)
    write(tmp_path / LABELS.replace("digits", "letters"), encode_idx(letters))
    subset = load_emnist(tmp_path, "letters")
    assert subset.classes.tolist() == [1, 26, 3, 4]
    assert (subset.images == images.transpose(0, 2, 1)).all()


def test_labels_that_do_not_match_are_refused(contents, write, tmp_path):
    write(tmp_path / IMAGES, contents[IMAGES])
    write(tmp_path / LABELS, encode_idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match=r"found \[4, 28, 28\] and \[3\]"):
        load_emnist_digits(tmp_path)


def test_labels_that_are_no_digits_are_refused(contents, write, tmp_path):
    write(tmp_path / IMAGES, contents[IMAGES])
    write(tmp_path / LABELS, encode_idx(np.array([0, 1, 2, 10], np.uint8)))
    with pytest.raises(DataError, match="expected labels from 0 to 9, found 10 for picture 4"):
        load_emnist_digits(tmp_path)


def test_a_damaged_file_is_named(contents, write, tmp_path):
    write(tmp_path / IMAGES, contents[IMAGES][:-1])
    write(tmp_path / LABELS, contents[LABELS])
    with pytest.raises(DataError, match=f"{IMAGES}: expected 3,136 bytes"):
        load_emnist_digits(tmp_path)


def test_a_file_whose_labels_cannot_be_found_is_refused(contents, write, tmp_path):
    path = write(tmp_path / "digits.gz", contents[IMAGES])
    with pytest.raises(DataError, match="images-idx3 in it, to find its labels by"):
        load_emnist_digits(path)
