import numpy as np
import pytest

from digitlens.datasets.external.pictures import (
    Pictures,
    images_from,
    labels_from,
    labels_from_one_hot,
)
from digitlens.errors import DataError


def test_the_scale_is_known_and_not_taken_from_the_values():
    images = images_from(np.array([[-1, 0, 0.5, 0.9]]), -1, 1, 2, "file")
    assert images.tolist() == [[[0, 128], [191, 242]]]
    assert images.dtype == np.uint8


@pytest.mark.parametrize("value", [-1.1, 2, np.nan, np.inf])
def test_pixels_outside_of_the_scale_are_refused(value):
    with pytest.raises(DataError, match="file: expected pixels from -1 to 1, found"):
        images_from(np.array([[0, 0, 0, value]]), -1, 1, 2, "file")


def test_labels_begin_where_the_data_set_begins():
    assert labels_from(np.array([1, 10]), 1, "file").tolist() == [0, 9]
    assert labels_from(np.array([0, 9]), 0, "file").tolist() == [0, 9]


@pytest.mark.parametrize("label", [0, 11, 1.5, np.nan])
def test_other_labels_are_refused_with_their_place(label):
    with pytest.raises(DataError, match=r"expected labels from 1 to 10, found .* for picture 2"):
        labels_from(np.array([1, label]), 1, "file")


def test_one_hot_rows_name_the_digit_of_their_column():
    assert labels_from_one_hot(np.eye(10)[[3, 0, 9]], "file").tolist() == [3, 0, 9]


@pytest.mark.parametrize("row", [[0] * 10, [1, 1] + [0] * 8, [0.5, 0.5] + [0] * 8])
def test_rows_that_name_no_digit_or_two_are_refused(row):
    rows = np.stack([np.eye(10)[0], row])
    with pytest.raises(DataError, match=r"which one is 1 .* in row 2"):
        labels_from_one_hot(rows, "file")


@pytest.mark.parametrize(
    ("images", "labels", "error"),
    [
        (np.zeros((2, 8, 8)), np.zeros(2, np.uint8), TypeError),
        (np.zeros((2, 8, 8, 4), np.uint8), np.zeros(2, np.uint8), ValueError),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(3, np.uint8), ValueError),
        (np.zeros((2, 8, 8), np.uint8), np.array([0, 10], np.uint8), ValueError),
    ],
)
def test_pictures_check_themselves(images, labels, error):
    with pytest.raises(error):
        Pictures(images, labels)
