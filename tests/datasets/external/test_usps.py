import numpy as np
import pytest

from digitlens.datasets.external.usps import load_usps
from digitlens.errors import DataError


@pytest.fixture
def images(random):
    return random.integers(0, 256, (4, 16, 16), np.uint8)


def values(images):
    return images.reshape(len(images), -1) / 127.5 - 1


def libsvm(images, labels):
    """Labels from 1 to 10, pairs of index and value."""
    rows = []
    for label, row in zip(labels.tolist(), values(images).tolist(), strict=True):
        pairs = " ".join(f"{at}:{value:.4f}" for at, value in enumerate(row, 1))
        rows.append(f"{label + 1} {pairs} \n")
    return "".join(rows).encode()


@pytest.mark.parametrize("name", ["usps.t.bz2", "usps.t"])
def test_libsvm_counts_labels_from_one(name, images, labels, write, tmp_path):
    pictures = load_usps(write(tmp_path / name, libsvm(images, labels)))
    assert (pictures.images == images).all()
    assert (pictures.labels == labels).all()


@pytest.mark.parametrize("name", ["zip.test.gz", "zip.test"])
def test_the_other_form_has_labels_as_they_are(name, images, labels, table, write, tmp_path):
    content = table(labels[:, None], values(images))
    pictures = load_usps(write(tmp_path / name, content))
    assert (pictures.images == images).all()
    assert (pictures.labels == labels).all()


def test_the_test_part_in_a_folder_comes_first(images, labels, write, tmp_path):
    write(tmp_path / "usps.bz2", libsvm(images[:1], labels[:1]))
    write(tmp_path / "usps.t.bz2", libsvm(images, labels))
    assert len(load_usps(tmp_path)) == 4


def test_hdf5_is_refused_with_what_is_expected(write, tmp_path):
    path = write(tmp_path / "usps.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(DataError, match=r"HDF5 file, .*usps\.t\.bz2 or zip\.test\.gz"):
        load_usps(path)


def test_another_scale_is_refused(images, labels, table, write, tmp_path):
    path = write(tmp_path / "zip.test.gz", table(labels[:, None], values(images) + 1))
    with pytest.raises(DataError, match="expected pixels from -1 to 1"):
        load_usps(path)
