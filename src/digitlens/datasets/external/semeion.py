"""Semeion: 1,593 black and white digits of 16 x 16 pixels, by about 80 people in Italy.

Semeion Research Center of Sciences of Communication, Rome, and Tactile Srl, Brescia, 1994; from
the UCI Machine Learning Repository. Each digit was stretched to fill its square.
"""

from __future__ import annotations

from pathlib import Path

from digitlens.datasets.external.contents import find_file, read_file
from digitlens.datasets.external.pictures import Pictures, images_from, labels_from_one_hot
from digitlens.datasets.external.tables import read_table

FILES = ("semeion.data",)
BUDGET = 10_000_000  # bytes: the file has 3 MB
SIDE = 16


def load_semeion(path: Path) -> Pictures:
    """Semeion from ``semeion.data``: 256 pixels, 0 or 1, then ten numbers that name the digit.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, FILES)
    table = read_table(read_file(file, BUDGET), SIDE**2 + 10, file.name)
    images = images_from(table[:, : SIDE**2], 0, 1, SIDE, file.name)
    return Pictures(images, labels_from_one_hot(table[:, SIDE**2 :], file.name))
