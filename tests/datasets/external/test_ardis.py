import numpy as np
import pytest

from digitlens.datasets.external.ardis import load_ardis
from digitlens.errors import DataError


@pytest.fixture
def images(random):
    return random.integers(0, 256, (4, 28, 28), np.uint8)


@pytest.fixture
def folder(images, labels, table, write, tmp_path):
    write(tmp_path / "ARDIS_test_2828.csv", table(images.reshape(4, -1)))
    write(tmp_path / "ARDIS_test_labels.csv", table(np.eye(10)[labels]))
    return tmp_path


@pytest.mark.parametrize("inside", ["", "ARDIS_test_2828.csv"])
def test_pixels_and_labels_come_from_two_files(inside, folder, images, labels):
    pictures = load_ardis(folder / inside)
    assert (pictures.images == images).all()
    assert (pictures.labels == labels).all()


def test_labels_that_are_missing_are_named(folder):
    (folder / "ARDIS_test_labels.csv").unlink()
    with pytest.raises(DataError, match=r"ARDIS_test_labels\.csv is missing"):
        load_ardis(folder)


def test_files_of_two_parts_are_refused(folder, table, write):
    write(folder / "ARDIS_test_labels.csv", table(np.eye(10)))
    with pytest.raises(DataError, match=r"4 rows and ARDIS_test_labels\.csv 10"):
        load_ardis(folder)
