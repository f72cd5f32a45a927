import numpy as np
import pytest
from scipy.io import savemat

from digitlens.datasets.external.svhn import load_svhn
from digitlens.errors import DataError


def test_ten_is_zero_and_pictures_come_first(random, tmp_path):
    photos = random.integers(0, 256, (3, 32, 32, 3), np.uint8)
    path = tmp_path / "test_32x32.mat"
    y = np.array([[10], [1], [9]], np.uint8)
    savemat(path, {"X": np.moveaxis(photos, 0, 3), "y": y}, do_compression=True)
    pictures = load_svhn(tmp_path)
    assert pictures.labels.tolist() == [0, 1, 9]
    assert (pictures.images == photos).all()


def test_other_shapes_are_refused(tmp_path):
    path = tmp_path / "test_32x32.mat"
    savemat(path, {"X": np.zeros((3, 32, 32, 3), np.uint8), "y": np.ones((3, 1), np.uint8)})
    with pytest.raises(DataError, match=r"found X of uint8 \[3, 32, 32, 3\] and 3 labels"):
        load_svhn(path)


def test_no_photographs_are_refused(tmp_path):
    path = tmp_path / "test_32x32.mat"
    savemat(path, {"X": np.zeros((32, 32, 3, 0), np.uint8), "y": np.zeros((0, 1), np.uint8)})
    with pytest.raises(DataError, match="0 labels"):
        load_svhn(path)
