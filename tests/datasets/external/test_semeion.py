import numpy as np
import pytest

from digitlens.datasets.external.semeion import load_semeion
from digitlens.errors import DataError


def test_pixels_are_black_or_white_and_a_column_names_the_digit(
    random, labels, table, write, tmp_path
):
    ink = random.integers(0, 2, (4, 16, 16))
    content = table(ink.reshape(4, -1), np.eye(10)[labels])
    pictures = load_semeion(write(tmp_path / "semeion.data", content))
    assert (pictures.images == ink * 255).all()
    assert (pictures.labels == labels).all()


def test_rows_without_labels_are_refused(random, table, write, tmp_path):
    path = write(tmp_path / "semeion.data", table(random.integers(0, 2, (4, 256))))
    with pytest.raises(DataError, match=r"semeion\.data: expected rows of 266 numbers, found 256"):
        load_semeion(path)
