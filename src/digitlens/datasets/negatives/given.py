"""Reads sets of tiles of no digit that the user has: Fashion-MNIST, Kuzushiji-MNIST, EMNIST.

Fashion-MNIST: H. Xiao, K. Rasul and R. Vollgraf, arXiv:1708.07747 (2017). Kuzushiji-MNIST:
T. Clanuwat et al., arXiv:1812.01718 (2018). EMNIST: G. Cohen et al., IJCNN 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitlens.datasets.external.parsing import read_file
from digitlens.datasets.mnist_sources import decode_idx
from digitlens.datasets.negatives.lookalikes import AMBIGUOUS
from digitlens.errors import DataError
from digitlens.imaging.tiles import SIDE

MOST = 10_000  # tiles that are taken of one file, evenly spread
LARGEST = 1 << 28  # bytes of an unpacked file

Tiles = npt.NDArray[np.uint8]


def load_strange(name: str, path: Path) -> dict[str, Tiles]:
    """The tiles of an IDX file, plain or gzipped.

    EMNIST's files, known by a name of set or file with ``emnist`` in it, are stored with rows and
    columns exchanged and are turned upright. Letters whose labels lie beside them (``labels-idx1``
    for ``images-idx3``) are given in two sets, since O I L S Z B G Q look like digits.

    Args:
        name: What the set is called.
        path: The file with the images, of shape [N, 28, 28].

    Returns:
        By name uint8[N, 28, 28], at most 10,000 of them.

    Raises:
        DataError: The file cannot be read or holds something else.
    """
    tiles = _read(path)
    if tiles.ndim != 3 or tiles.shape[1:] != (SIDE, SIDE) or not len(tiles):
        raise DataError(f"{path}: expected images of [N, 28, 28], found {list(tiles.shape)}")
    some = np.linspace(0, len(tiles) - 1, min(len(tiles), MOST)).astype(np.int64)
    if "emnist" not in f"{name} {path.name}".lower():
        return {name: tiles[some]}
    letters = _labels(path, len(tiles))
    upright = np.ascontiguousarray(tiles[some].transpose(0, 2, 1))
    if letters is None:
        return {name: upright}
    alike = np.isin(letters[some], [ord(char) - ord("A") + 1 for char in AMBIGUOUS[:8]])
    return {name: upright[~alike], f"{name} look-alikes": upright[alike]}


def _labels(path: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """Of EMNIST-letters, 1 to 26 for A to Z; None where they are not beside the images."""
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if "letters" not in path.name or beside == path or not beside.is_file():
        return None
    labels = _read(beside)
    if labels.shape != (count,):
        raise DataError(f"{beside}: expected labels of {count:,} images, found {labels.shape}")
    return labels


def _read(path: Path) -> npt.NDArray[np.uint8]:
    try:
        return decode_idx(read_file(path, LARGEST))
    except DataError as error:
        raise DataError(f"{path}: expected an IDX file of images: {error}") from error
