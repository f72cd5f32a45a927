"""Data sets of digits other than MNIST, by name, from the files that their authors publish.

- digits: the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak,
  1998), which comes with scikit-learn: 1,797 of 8 x 8 pixels that count the ink of a scan, 0 to 16.
- usps: 16 x 16 gray digits from envelopes, 7,291 to train and 2,007 to test. Y. LeCun et al.,
  "Handwritten digit recognition with a back-propagation network", NIPS 1989.
- semeion: 1,593 black and white digits of 16 x 16 pixels by about 80 people in Italy, stretched to
  fill their squares. Semeion Research Center, Rome, and Tactile Srl, Brescia, 1994.
- emnist: 28 x 28 digits of NIST's Special Database 19, many by writers of MNIST. G. Cohen et al.,
  "EMNIST: extending MNIST to handwritten letters", IJCNN 2017.
- svhn: 32 x 32 photographs of house numbers in colour, with parts of their neighbours. Y. Netzer et
  al., "Reading digits in natural images with unsupervised feature learning", NIPS workshop 2011.
- ardis: part IV, 28 x 28 digits from Swedish church records, 6,600 to train and 1,000 to test.
  H. Kusetogullari et al., Neural Computing and Applications 32 (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.external.matlab import read_matlab
from digitlens.datasets.external.normalize import framed, unframed
from digitlens.datasets.external.parsing import (
    HDF5,
    Values,
    find_file,
    is_zip,
    read_file,
    read_member,
    read_svmlight,
    read_table,
)
from digitlens.datasets.mnist import Split
from digitlens.datasets.mnist_sources import decode_idx
from digitlens.errors import DataError, needs_extra

_BUDGET = 300_000_000  # bytes: 280,000 digits of EMNIST take 220 MB, SVHN's training pixels 225 MB
_USPS = ("usps.t.bz2", "zip.test.gz", "usps.bz2", "zip.train.gz")
_IMAGES, _LABELS = "images-idx3", "labels-idx1"  # in the names of files that belong together

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one digit each.

    Attributes:
        images: uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], photographs in RGB whose
            digit may be the darker or the brighter part.
        labels: uint8[N], 0 to 9.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        """Refuses other types, shapes and labels with TypeError or ValueError."""
        if self.images.dtype != np.uint8 or self.labels.dtype != np.uint8:
            raise TypeError(f"expected uint8, found {self.images.dtype} and {self.labels.dtype}")
        photos = self.images.ndim == 4 and self.images.shape[3] == 3
        if self.images.ndim != 3 and not photos:
            raise ValueError(f"expected [N, h, w] or [N, h, w, 3], found {self.images.shape}")
        if self.labels.shape != (len(self.images),):
            raise ValueError(f"{len(self.images)} pictures and labels {self.labels.shape}")
        if len(self.labels) and self.labels.max() > 9:
            raise ValueError(f"expected labels from 0 to 9, found {self.labels.max()}")

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.images)


@dataclass(frozen=True)
class DataSet:
    """A data set of digits.

    Attributes:
        title: What to call it.
        expects: The file it is read from, in words; empty when it needs none.
        load: Reads that file or a folder with it.
    """

    title: str
    expects: str
    load: Callable[[Path], Pictures]


@dataclass(frozen=True, eq=False)
class ExternalDigits:
    """The digits of a data set as tiles, in its order.

    Attributes:
        name: Name of the data set in ``DATA_SETS``.
        title: What to call it, with the name of the file.
        framed: The tiles framed by the rule of MNIST.
        unframed: The pictures resized to tiles and nothing else.
    """

    name: str
    title: str
    framed: Split
    unframed: Split


def load_external(text: str) -> ExternalDigits:
    """The digits of another data set.

    Args:
        text: ``NAME`` or ``NAME=FILE``: a name in ``DATA_SETS``, and the file, as its authors
            publish it, or a folder with it.

    Raises:
        DataError: There is no such data set, it needs a file or has none, or the file is missing,
            damaged or something else.
        MissingExtraError: scikit-learn's digits, and scikit-learn is not installed.
    """
    name, _, file = text.partition("=")
    data_set = DATA_SETS.get(name)
    if data_set is None:
        raise DataError(f"no data set is called {name!r}: expected {_known()}")
    if bool(file) != bool(data_set.expects):
        raise DataError(
            f"{text}: {data_set.title} come without a file: expected {name}"
            if file
            else f"{name}: expected {name}=FILE, with {data_set.expects}, or the folder of it"
        )
    path = Path(file).expanduser()
    pictures = data_set.load(path)
    title = f"{data_set.title} ({path.name})" if file else data_set.title
    return ExternalDigits(
        name,
        title,
        Split(framed(pictures.images), pictures.labels),
        Split(unframed(pictures.images), pictures.labels),
    )


def load_scikit() -> Pictures:
    """The digits of ``sklearn.datasets.load_digits``.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    with needs_extra("offline"):
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra)
    digits: Any = load_digits()
    values = np.asarray(digits.data, np.float64)
    labels = np.asarray(digits.target, np.float64)
    images = images_from(values, 0, 16, 8, "scikit-learn")
    return Pictures(images, labels_from(labels, 0, "scikit-learn"))


def load_usps(path: Path) -> Pictures:
    """USPS from LIBSVM's ``usps.t.bz2``, or from ``zip.test.gz``; either unpacked as well.

    In LIBSVM's form the digits 0 to 9 have the labels 1 to 10, in the other their own.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, _USPS)
    content = read_file(file, _BUDGET)
    if content.startswith(HDF5):
        raise DataError(
            f"{file} is an HDF5 file, which is not read: "
            f"expected USPS as it is published, {' or '.join(_USPS[:2])}"
        )
    if b":" in content[:1000]:
        labels, values = read_svmlight(content, 16**2, file.name)
        return _usps(labels, values, 1, file.name)
    table = read_table(content, 1 + 16**2, file.name)
    return _usps(table[:, 0], table[:, 1:], 0, file.name)


def _usps(labels: Values, values: Values, first: int, name: str) -> Pictures:
    images = images_from(values, -1, 1, 16, name)
    return Pictures(images, labels_from(labels, first, name))


def load_semeion(path: Path) -> Pictures:
    """Semeion from ``semeion.data``: 256 pixels, 0 or 1, then ten numbers that name the digit.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, ("semeion.data",))
    table = read_table(read_file(file, _BUDGET), 16**2 + 10, file.name)
    images = images_from(table[:, : 16**2], 0, 1, 16, file.name)
    return Pictures(images, labels_from_one_hot(table[:, 16**2 :], file.name))


def load_emnist(path: Path) -> Pictures:
    """The 40,000 test digits of EMNIST, or of another part the file of pictures of which is named.

    Args:
        path: ``emnist-digits-test-images-idx3-ubyte.gz``, its labels next to it; their folder; or
            ``gzip.zip`` with both.

    Raises:
        DataError: One of them is missing, damaged, or something else, or they do not match.
    """
    name = f"emnist-digits-test-{_IMAGES}-ubyte"
    file = find_file(path, (f"{name}.gz", name, "gzip.zip"))
    images, labels = _from_zip(file, name) if is_zip(file) else _from_files(file)
    if images.shape != (len(labels), 28, 28) or not len(labels):
        raise DataError(
            f"{file}: expected tiles of 28 x 28 pixels and as many labels, "
            f"found {list(images.shape)} and {list(labels.shape)}"
        )
    # Rows and columns are exchanged in these files, for the sake of MATLAB.
    upright = np.ascontiguousarray(images.swapaxes(1, 2))
    return Pictures(upright, labels_from(labels.astype(np.float64), 0, str(path)))


def _from_zip(file: Path, name: str) -> tuple[Images, Labels]:
    images = decode_idx(read_member(file, f"{name}.gz", _BUDGET))
    return images, decode_idx(read_member(file, f"{name.replace(_IMAGES, _LABELS)}.gz", _BUDGET))


def _from_files(file: Path) -> tuple[Images, Labels]:
    if _IMAGES not in file.name:
        raise DataError(f"{file}: expected a name with {_IMAGES} in it, to find its labels by")
    beside = file.with_name(file.name.replace(_IMAGES, _LABELS))
    beside = find_file(beside, (beside.name,))
    return _decoded(file), _decoded(beside)


def _decoded(file: Path) -> Images:
    try:
        return decode_idx(read_file(file, _BUDGET))
    except DataError as error:
        raise DataError(f"{file.name}: {error}") from error


def load_svhn(path: Path) -> Pictures:
    """SVHN from ``test_32x32.mat``, its second form, in which the digit 0 has the label 10.

    Args:
        path: The file, or a folder with it.

    Raises:
        DataError: It is missing, damaged, or something else.
    """
    file = find_file(path, ("test_32x32.mat", "train_32x32.mat"))
    arrays = read_matlab(read_file(file, _BUDGET), ("X", "y"), _BUDGET, file.name)
    pixels, labels = arrays["X"], arrays["y"].ravel().astype(np.float64)
    if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(labels)) or not len(labels):
        raise DataError(
            f"{file.name}: expected X of 32 x 32 x 3 x N bytes and y of N labels, "
            f"found X of {pixels.dtype} {list(pixels.shape)} and {len(labels):,} labels"
        )
    digits = labels_from(labels, 1, file.name)  # 1 to 10 → 0 to 9
    return Pictures(np.ascontiguousarray(np.moveaxis(pixels, 3, 0)), (digits + np.uint8(1)) % 10)


def load_ardis(path: Path) -> Pictures:
    """ARDIS from ``ARDIS_test_2828.csv``, pixels from 0 to 255, and its labels next to it.

    Args:
        path: The file of pixels, next to which lies ``ARDIS_test_labels.csv``, or their folder.

    Raises:
        DataError: One of them is missing, damaged, or something else, or they do not match.
    """
    file = find_file(path, ("ARDIS_test_2828.csv", "ARDIS_train_2828.csv"))
    beside = find_file(
        file.with_name(file.name.replace("2828", "labels")), ("ARDIS_test_labels.csv",)
    )
    table = read_table(read_file(file, _BUDGET), 28**2, file.name)
    images = images_from(table, 0, 255, 28, file.name)
    labels = labels_from_one_hot(
        read_table(read_file(beside, _BUDGET), 10, beside.name), beside.name
    )
    if len(labels) != len(images):
        raise DataError(
            f"{file} has {len(images):,} rows and {beside.name} {len(labels):,}: "
            "expected two files of the same part"
        )
    return Pictures(images, labels)


DATA_SETS = {
    "digits": DataSet("scikit-learn's digits", "", lambda _: load_scikit()),
    "usps": DataSet("USPS", "usps.t.bz2 or zip.test.gz", load_usps),
    "semeion": DataSet("Semeion", "semeion.data", load_semeion),
    "emnist": DataSet(
        "EMNIST digits",
        "emnist-digits-test-images-idx3-ubyte.gz with its labels beside it, or gzip.zip",
        load_emnist,
    ),
    "svhn": DataSet("SVHN", "test_32x32.mat", load_svhn),
    "ardis": DataSet(
        "ARDIS", "ARDIS_test_2828.csv with ARDIS_test_labels.csv beside it", load_ardis
    ),
}


def images_from(values: Values, low: float, high: float, side: int, name: str) -> Images:
    """Square gray pictures from rows of numbers whose scale is known.

    Args:
        values: float64[N, side * side].
        low: What stands for paper, 0.
        high: What stands for full ink, 255.
        side: Of a picture, in pixels.
        name: What to call the file in errors.

    Raises:
        DataError: There are none, or some are outside of low to high.
    """
    if not values.size:
        raise DataError(f"{name}: expected pictures, found none")
    found_low, found_high = float(values.min()), float(values.max())
    if not low <= found_low <= found_high <= high:  # also what is not a number
        raise DataError(
            f"{name}: expected pixels from {low:g} to {high:g}, "
            f"found {found_low:g} to {found_high:g}"
        )
    scaled = np.rint((values - low) * (255 / (high - low)))
    return scaled.astype(np.uint8).reshape(-1, side, side)


def labels_from(values: Values, first: int, name: str) -> Labels:
    """Labels from the numbers that a data set gives the digits 0 to 9 in their order.

    Args:
        values: float64[N].
        first: The number of the digit 0; the digit 9 has ``first + 9``.
        name: What to call the file in errors.

    Raises:
        DataError: One is no whole number from ``first`` to ``first + 9``.
    """
    digits = values - first
    wrong = np.flatnonzero(~((digits >= 0) & (digits <= 9) & (digits == np.round(digits))))
    if len(wrong):
        raise DataError(
            f"{name}: expected labels from {first} to {first + 9}, "
            f"found {values[wrong[0]]:g} for picture {wrong[0] + 1}"
        )
    return digits.astype(np.uint8)


def labels_from_one_hot(values: Values, name: str) -> Labels:
    """Labels from ten columns, of which the one of the digit is 1 and the others 0.

    Args:
        values: float64[N, 10].
        name: What to call the file in errors.

    Raises:
        DataError: A row is something else.
    """
    right = ((values == 0) | (values == 1)).all(axis=1) & (values.sum(axis=1) == 1)
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        raise DataError(
            f"{name}: expected ten numbers of which one is 1 and the others are 0, "
            f"found {' '.join(f'{value:g}' for value in values[row])} in row {row + 1}"
        )
    return values.argmax(axis=1).astype(np.uint8)


def _known() -> str:
    return ", ".join(f"{name}=FILE" if one.expects else name for name, one in DATA_SETS.items())
