"""USPS: 16 x 16 gray digits from envelopes, 7,291 to train and 2,007 to test.

Y. LeCun et al., "Handwritten digit recognition with a back-propagation network", NIPS 1989. The
two forms in which it is published agree in their pixels, from -1 for paper to 1 for ink.
"""

from __future__ import annotations

from pathlib import Path

from digitlens.datasets.external.contents import HDF5, find_file, read_file
from digitlens.datasets.external.pictures import Pictures, Values, images_from, labels_from
from digitlens.datasets.external.tables import read_libsvm, read_table
from digitlens.errors import DataError

FILES = ("usps.t.bz2", "zip.test.gz", "usps.bz2", "zip.train.gz")
BUDGET = 60_000_000  # bytes: 7,291 rows of 256 numbers are 28 MB in the longer form
SIDE = 16


def load_usps(path: Path) -> Pictures:
    """USPS from LIBSVM's ``usps.t.bz2``, or from ``zip.test.gz``; either unpacked as well.

    In LIBSVM's form the digits 0 to 9 have the labels 1 to 10, in the other their own.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, FILES)
    content = read_file(file, BUDGET)
    if content.startswith(HDF5):
        raise DataError(
            f"{file} is an HDF5 file, which is not read: "
            f"expected USPS as it is published, {' or '.join(FILES[:2])}"
        )
    if b":" in content[:1000]:
        labels, values = read_libsvm(content, SIDE**2, file.name)
        return _pictures(labels, values, 1, file.name)
    table = read_table(content, 1 + SIDE**2, file.name)
    return _pictures(table[:, 0], table[:, 1:], 0, file.name)


def _pictures(labels: Values, values: Values, first: int, name: str) -> Pictures:
    images = images_from(values, -1, 1, SIDE, name)
    return Pictures(images, labels_from(labels, first, name))
