"""EMNIST: digits and letters of NIST's Special Database 19 as 28 x 28 tiles, in IDX files.

G. Cohen et al., "EMNIST: extending MNIST to handwritten letters", IJCNN 2017. Rows and columns are
exchanged in its files, for the sake of MATLAB. Its digits are of writers of whom many are MNIST's.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets.external.contents import find_file, is_zip, read_file, read_member
from digitlens.datasets.external.pictures import Pictures, labels_from
from digitlens.datasets.mnist_sources import decode_idx
from digitlens.errors import DataError

BUDGET = 300_000_000  # bytes: the 280,000 digits take 220 MB
IMAGES, LABELS = "images-idx3", "labels-idx1"  # in the names of files that belong together


class Subset(NamedTuple):
    """Pictures and the numbers of their classes, 0 to 9 of digits and 1 to 26 of letters.

    Attributes:
        images: uint8[N, 28, 28], upright, ink bright on dark.
        classes: uint8[N].
    """

    images: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]


def load_emnist_digits(path: Path) -> Pictures:
    """The 40,000 test digits of EMNIST, or of another part the file of pictures of which is named.

    Args:
        path: ``emnist-digits-test-images-idx3-ubyte.gz``, its labels beside it; their folder; or
            ``gzip.zip`` with both.

    Raises:
        DataError: One of them is missing, damaged, or something else, or they do not match.
    """
    subset = load_emnist(path, "digits")
    return Pictures(subset.images, labels_from(subset.classes.astype(np.float64), 0, str(path)))


def load_emnist(path: Path, subset: str, part: str = "test") -> Subset:
    """One subset of EMNIST, such as ``digits`` or ``letters``.

    Args:
        path: Its file of pictures, ``.gz`` or unpacked, beside which lie its labels; the folder
            of both; or the ``gzip.zip`` of all subsets.
        subset: Its name in the names of files.
        part: ``test`` or ``train``; not asked for when ``path`` is a file of pictures.

    Raises:
        DataError: One of them is missing, damaged, or something else, or they do not match.
    """
    name = f"emnist-{subset}-{part}-{IMAGES}-ubyte"
    file = find_file(path, (f"{name}.gz", name, "gzip.zip"))
    images, classes = _from_zip(file, name) if is_zip(file) else _from_files(file)
    if images.shape != (len(classes), 28, 28) or not len(classes):
        raise DataError(
            f"{file}: expected tiles of 28 x 28 pixels and as many labels, "
            f"found {list(images.shape)} and {list(classes.shape)}"
        )
    return Subset(np.ascontiguousarray(images.swapaxes(1, 2)), classes)


def _from_zip(file: Path, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    images = decode_idx(read_member(file, f"{name}.gz", BUDGET))
    return images, decode_idx(read_member(file, f"{name.replace(IMAGES, LABELS)}.gz", BUDGET))


def _from_files(file: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    if IMAGES not in file.name:
        raise DataError(f"{file}: expected a name with {IMAGES} in it, to find its labels by")
    beside = file.with_name(file.name.replace(IMAGES, LABELS))
    beside = find_file(beside, (beside.name,))
    return _decoded(file), _decoded(beside)


def _decoded(file: Path) -> npt.NDArray[np.uint8]:
    try:
        return decode_idx(read_file(file, BUDGET))
    except DataError as error:
        raise DataError(f"{file.name}: {error}") from error
