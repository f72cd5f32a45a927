"""ARDIS, part IV: 28 x 28 digits from Swedish church records, 6,600 to train and 1,000 to test.

H. Kusetogullari et al., "ARDIS: a Swedish historical handwritten digit dataset", Neural Computing
and Applications 32 (2020).
"""

from __future__ import annotations

from pathlib import Path

from digitlens.datasets.external.contents import find_file, read_file
from digitlens.datasets.external.pictures import Pictures, images_from, labels_from_one_hot
from digitlens.datasets.external.tables import read_table
from digitlens.errors import DataError

FILES = ("ARDIS_test_2828.csv", "ARDIS_train_2828.csv")
PIXELS, LABELS = "2828", "labels"  # in the names of the two files that belong together
BUDGET = 200_000_000  # bytes: 6,600 rows of 784 numbers, 25 characters each if they are precise
SIDE = 28


def load_ardis(path: Path) -> Pictures:
    """ARDIS from ``ARDIS_test_2828.csv``, pixels from 0 to 255, and its labels beside it.

    Args:
        path: The file of pixels, beside which lies ``ARDIS_test_labels.csv``, or their folder.

    Raises:
        DataError: One of them is missing, damaged, or something else, or they do not match.
    """
    file = find_file(path, FILES)
    beside = find_file(
        file.with_name(file.name.replace(PIXELS, LABELS)), ("ARDIS_test_labels.csv",)
    )
    table = read_table(read_file(file, BUDGET), SIDE**2, file.name)
    images = images_from(table, 0, 255, SIDE, file.name)
    labels = labels_from_one_hot(
        read_table(read_file(beside, BUDGET), 10, beside.name), beside.name
    )
    if len(labels) != len(images):
        raise DataError(
            f"{file} has {len(images):,} rows and {beside.name} {len(labels):,}: "
            "expected two files of the same part"
        )
    return Pictures(images, labels)
