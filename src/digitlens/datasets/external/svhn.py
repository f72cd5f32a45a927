"""SVHN: 32 x 32 photographs of digits of house numbers in colour, with parts of their neighbours.

Y. Netzer et al., "Reading digits in natural images with unsupervised feature learning", NIPS
workshop 2011; 73,257 to train and 26,032 to test.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from digitlens.datasets.external.contents import find_file, read_file
from digitlens.datasets.external.matlab import read_arrays
from digitlens.datasets.external.pictures import Pictures, labels_from
from digitlens.errors import DataError

FILES = ("test_32x32.mat", "train_32x32.mat")
BUDGET = 300_000_000  # bytes: the pixels to train with take 225 MB
SHAPE = (32, 32, 3)


def load_svhn(path: Path) -> Pictures:
    """SVHN from ``test_32x32.mat``, its second form, in which the digit 0 has the label 10.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, FILES)
    arrays = read_arrays(read_file(file, BUDGET), ("X", "y"), BUDGET, file.name)
    pixels, labels = arrays["X"], arrays["y"].ravel().astype(np.float64)
    if pixels.dtype != np.uint8 or pixels.shape != (*SHAPE, len(labels)) or not len(labels):
        raise DataError(
            f"{file.name}: expected X of 32 x 32 x 3 x N bytes and y of N labels, "
            f"found X of {pixels.dtype} {list(pixels.shape)} and {len(labels):,} labels"
        )
    digits = labels_from(labels, 1, file.name)  # 1 to 10 → 0 to 9
    return Pictures(np.ascontiguousarray(np.moveaxis(pixels, 3, 0)), (digits + np.uint8(1)) % 10)
