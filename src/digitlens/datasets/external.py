"""Loads data sets of digits other than MNIST from the files that their authors publish.

- digits: the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak,
  1998), included in scikit-learn: 1,797 of 8 x 8 pixels that count the ink of a scan, 0 to 16.
- usps: 16 x 16 gray digits from envelopes, 7,291 to train and 2,007 to test. Y. LeCun et al.,
  "Handwritten digit recognition with a back-propagation network", NIPS 1989.
- semeion: 1,593 black and white digits of 16 x 16 pixels by about 80 people in Italy, stretched to
  fill their squares. Semeion Research Center, Rome, and Tactile Srl, Brescia, 1994.
- emnist: 28 x 28 digits of NIST's Special Database 19, many by writers of MNIST. G. Cohen et al.,
  "EMNIST: extending MNIST to handwritten letters", IJCNN 2017.
- svhn: 32 x 32 colour photographs of digits of house numbers, with parts of the adjacent digits. Y.
  Netzer et al., "Reading digits in natural images with unsupervised feature learning", NIPS
  workshop 2011.
- ardis: part IV, 28 x 28 digits from Swedish church records, 6,600 to train and 1,000 to test.
  H. Kusetogullari et al., Neural Computing and Applications 32 (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.datasets.mnist import Split
from digitlens.datasets.number_files import (
    Values,
    decode_idx,
    find_file,
    read_file,
    read_idx,
    read_member,
    read_svmlight,
    read_table,
)
from digitlens.errors import DataError, needs_extra
from digitlens.files import sha256
from digitlens.imaging.image import resize
from digitlens.imaging.tiles import SIDE, to_tiles

_BUDGET = 300_000_000  # bytes: 280,000 digits of EMNIST take 220 MB, SVHN's training pixels 225 MB
_HDF5 = b"\x89HDF\r\n\x1a\n"
_USPS = ("usps.t.bz2", "zip.test.gz", "usps.bz2", "zip.train.gz")
SVHN = {  # SHA-256 of its files
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
}
_IMAGES, _LABELS = "images-idx3", "labels-idx1"  # by which the names of two paired files differ

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


class Pictures(NamedTuple):
    """Pictures of one digit each."""

    # uint8[N, h, w], ink bright on dark, or uint8[N, h, w, 3], RGB photographs of either polarity.
    images: Images
    labels: Labels  # uint8[N], 0 to 9


@dataclass(frozen=True)
class DataSet:
    """A data set of digits."""

    title: str  # display name
    expects: str  # description of the file it is read from; empty if it needs none
    load: Callable[[Path], Pictures]  # accepts that file or a folder with it


@dataclass(frozen=True, eq=False)
class ExternalDigits:
    """The digits of a data set as tiles, in the order of the data set."""

    name: str  # key in ``DATA_SETS``
    title: str  # display name, with the file name
    framed: Split  # tiles in MNIST framing
    unframed: Split  # the pictures only resized to tiles


def load_external(text: str) -> ExternalDigits:
    """Loads the digits of a data set specified as ``NAME`` or ``NAME=FILE``.

    NAME is a key of ``DATA_SETS``; FILE is the file as published by the authors, or a folder with
    it. Raises DataError if NAME is unknown, FILE is absent but needed or given but unused, or FILE
    is missing, damaged or of another kind; MissingExtraError if scikit-learn or SciPy is needed.
    """
    name, _, file = text.partition("=")
    data_set = DATA_SETS.get(name)
    if data_set is None:
        choices = [f"{key}=FILE" if each.expects else key for key, each in DATA_SETS.items()]
        raise DataError(f"unknown data set {name!r}: expected {', '.join(choices)}")
    if bool(file) != bool(data_set.expects):
        raise DataError(
            f"{text}: {data_set.title} need no file: expected {name}"
            if file
            else f"{name}: expected {name}=FILE, where FILE is {data_set.expects}, or its folder"
        )
    path = Path(file).expanduser()
    pictures = data_set.load(path)
    title = f"{data_set.title} ({path.name})" if file else data_set.title
    tiles = framed(pictures.images), unframed(pictures.images)
    return ExternalDigits(name, title, *(Split(each, pictures.labels) for each in tiles))


def load_scikit() -> Pictures:
    """scikit-learn's ``load_digits``; MissingExtraError if it is not installed."""
    with needs_extra("offline"):
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra)
    digits: Any = load_digits()
    images = _gray_images(np.asarray(digits.data, np.float64), 0, 16, 8, "scikit-learn")
    return Pictures(images, _labels(np.asarray(digits.target, np.float64), 0, "scikit-learn"))


# The other loaders accept a file or a folder with it, and raise DataError if it is missing, damaged
# or of another kind.


def load_usps(path: Path) -> Pictures:
    """USPS from LIBSVM's ``usps.t.bz2`` or from ``zip.test.gz``, compressed or decompressed."""
    file = find_file(path, _USPS)
    content = read_file(file, _BUDGET)
    if content.startswith(_HDF5):
        raise DataError(
            f"{file} is an HDF5 file, which is not supported: "
            f"expected USPS as published, {' or '.join(_USPS[:2])}"
        )
    if b":" in content[:1000]:  # LIBSVM's format, with labels 1 to 10 for the digits 0 to 9
        labels, values = read_svmlight(content, 16**2, file.name)
        first = 1
    else:
        table = read_table(content, 1 + 16**2, file.name)
        labels, values, first = table[:, 0], table[:, 1:], 0
    images = _gray_images(values, -1, 1, 16, file.name)
    return Pictures(images, _labels(labels, first, file.name))


def load_semeion(path: Path) -> Pictures:
    """Semeion from ``semeion.data``: rows of 256 pixels, 0 or 1, then the digit one-hot."""
    file = find_file(path, ("semeion.data",))
    table = read_table(read_file(file, _BUDGET), 16**2 + 10, file.name)
    images = _gray_images(table[:, : 16**2], 0, 1, 16, file.name)
    return Pictures(images, _labels_from_one_hot(table[:, 16**2 :], file.name))


def load_emnist(path: Path) -> Pictures:
    """The 40,000 test digits of EMNIST; another part if ``path`` is its file of pictures.

    Reads ``emnist-digits-test-images-idx3-ubyte.gz`` with its labels next to it, the folder of
    both, or ``gzip.zip`` with both.
    """
    name = f"emnist-digits-test-{_IMAGES}-ubyte"
    file = find_file(path, (f"{name}.gz", name, "gzip.zip"))
    if file.suffix == ".zip" or is_zipfile(file):
        names = name, name.replace(_IMAGES, _LABELS)
        images, labels = (decode_idx(read_member(file, f"{n}.gz", _BUDGET)) for n in names)
    else:
        if _IMAGES not in file.name:
            raise DataError(f"{file}: expected {_IMAGES} in the file name, to find the labels")
        paired = _paired_file(file, _IMAGES, _LABELS)
        images, labels = (read_idx(each, _BUDGET) for each in (file, paired))
    if images.shape != (len(labels), 28, 28) or not len(labels):
        raise DataError(
            f"{file}: expected tiles of 28 x 28 pixels and one label each, "
            f"found {list(images.shape)} and {list(labels.shape)}"
        )
    # These files are column-major, as in MATLAB.
    upright = np.ascontiguousarray(images.swapaxes(1, 2))
    return Pictures(upright, _labels(labels.astype(np.float64), 0, str(path)))


def _paired_file(file: Path, part: str, other: str) -> Path:
    paired = file.with_name(file.name.replace(part, other))
    return find_file(paired, (paired.name,))


def load_svhn(path: Path) -> Pictures:
    """SVHN from ``test_32x32.mat``, its cropped format, in which the digit 0 has the label 10.

    Only the published files are accepted: a single wrong byte can make SciPy crash the process.
    """
    file = find_file(path, tuple(SVHN))
    content = read_file(file, _BUDGET)
    if sha256(content) not in SVHN.values():
        raise DataError(
            f"{file}: expected {' or '.join(SVHN)} of SVHN as published, "
            "found a file with another SHA-256: download it again"
        )
    with needs_extra("offline"):
        from scipy.io import loadmat  # noqa: PLC0415  (an extra)
    arrays: Any = loadmat(BytesIO(content))
    photos = np.ascontiguousarray(np.moveaxis(arrays["X"], 3, 0))
    return Pictures(photos, (arrays["y"].ravel() % 10).astype(np.uint8))


def load_ardis(path: Path) -> Pictures:
    """ARDIS from ``ARDIS_test_2828.csv``, pixels from 0 to 255, and the labels next to it."""
    file = find_file(path, ("ARDIS_test_2828.csv", "ARDIS_train_2828.csv"))
    paired = _paired_file(file, "2828", "labels")
    table = read_table(read_file(file, _BUDGET), 28**2, file.name)
    images = _gray_images(table, 0, 255, 28, file.name)
    rows = read_table(read_file(paired, _BUDGET), 10, paired.name)
    labels = _labels_from_one_hot(rows, paired.name)
    if len(labels) != len(images):
        raise DataError(
            f"{file} has {len(images):,} rows and {paired.name} {len(labels):,}: "
            "expected two files of the same part"
        )
    return Pictures(images, labels)


DATA_SETS = {
    "digits": DataSet("scikit-learn's digits", "", lambda _: load_scikit()),
    "usps": DataSet("USPS", "usps.t.bz2 or zip.test.gz", load_usps),
    "semeion": DataSet("Semeion", "semeion.data", load_semeion),
    "emnist": DataSet(
        "EMNIST digits",
        "emnist-digits-test-images-idx3-ubyte.gz with its labels next to it, or gzip.zip",
        load_emnist,
    ),
    "svhn": DataSet("SVHN", "test_32x32.mat", load_svhn),
    "ardis": DataSet(
        "ARDIS", "ARDIS_test_2828.csv with ARDIS_test_labels.csv next to it", load_ardis
    ),
}


def _gray_images(values: Values, low: float, high: float, side: int, name: str) -> Images:
    """Square gray pictures from float64[N, side * side], ``low`` for paper, ``high`` for ink."""
    if not values.size:
        raise DataError(f"{name}: expected pictures, found none")
    found_low, found_high = float(values.min()), float(values.max())
    if not low <= found_low <= found_high <= high:  # also true of NaN
        raise DataError(
            f"{name}: expected pixels from {low:g} to {high:g}, "
            f"found {found_low:g} to {found_high:g}"
        )
    scaled = np.rint((values - low) * (255 / (high - low)))
    return scaled.astype(np.uint8).reshape(-1, side, side)


def _labels(values: Values, first: int, name: str) -> Labels:
    """Labels from a data set's numbers for the digits, where ``first`` stands for 0."""
    digits = values - first
    wrong = np.flatnonzero(~((digits >= 0) & (digits <= 9) & (digits == np.round(digits))))
    if len(wrong):
        raise DataError(
            f"{name}: expected labels from {first} to {first + 9}, "
            f"found {values[wrong[0]]:g} for picture {wrong[0] + 1}"
        )
    return digits.astype(np.uint8)


def _labels_from_one_hot(values: Values, name: str) -> Labels:
    """Labels from ten one-hot columns."""
    is_one_hot = ((values == 0) | (values == 1)).all(axis=1) & (values.sum(axis=1) == 1)
    if not is_one_hot.all():
        row = int(np.flatnonzero(~is_one_hot)[0])
        raise DataError(
            f"{name}: expected ten numbers, one of them 1 and the others 0, "
            f"found {' '.join(f'{value:g}' for value in values[row])} in row {row + 1}"
        )
    return values.argmax(axis=1).astype(np.uint8)


# Chosen on the first 898 of scikit-learn's digits, of which the default model reads 96.9 % without
# enlargement, 97.6 % with bilinear enlargement and 98.0 % with these values; with a paper threshold
# of 0.2 or 0.3, 97.2 and 95.7 %. The other 899, reported separately: 96.6 %.
_FINE_SIDE = 64  # least pixels on the longer side when ink is separated from paper
_PAPER = 0.1  # fraction of full ink below which a pixel is paper or ringing of the enlargement

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
# Fractions of a digit's contrast mapped to no and full ink, as when a reader crops from a page.
_NO_INK, _FULL_INK = 0.25, 0.85
_FULL_QUANTILE = 0.9  # quantile of the contrast in the middle that counts as full contrast
_CHUNK_SIZE = 500  # photographs per chunk, to bound memory: 26,032 at once took 800 MB
_STROKE_LEVEL = 0.3  # fraction of full ink below which a pixel does not connect strokes

Photos = npt.NDArray[np.uint8]
Tiles = npt.NDArray[np.uint8]
_Planes = npt.NDArray[np.float32]
_Masks = npt.NDArray[np.bool_]


def unframed(images: Images) -> Tiles:
    """Pictures resized to uint8[N, 28, 28] without framing; 28 x 28 pixels stay unchanged.

    Photographs uint8[N, h, w, 3] become gray with a bright digit.
    """
    gray = photos_in_gray(images) if images.ndim == 4 else images
    if gray.shape[1:] == (SIDE, SIDE):
        return gray
    planes = (resize(image.astype(np.float32), SIDE, SIDE) for image in gray)
    return np.stack([np.rint(plane).astype(np.uint8) for plane in planes])


def framed(images: Images) -> Tiles:
    """Pictures as tiles in MNIST framing, see ``digitlens.imaging.tiles.to_tile``.

    Small pictures are first enlarged smoothly, so that the gray values locate the box of the ink
    with sub-pixel accuracy. Accepts the same pictures as ``unframed``.
    """
    inks = ink_of_photos(images) if images.ndim == 4 else images
    return to_tiles([_enlarged_ink(ink) for ink in inks])


def photos_in_gray(photos: Photos) -> Images:
    """Converts RGB photographs to gray, inverted where the digit is darker than its background.

    uint8[N, h, w, 3] → uint8[N, h, w].
    """
    gray = _gray(photos)
    dark = _polarity(gray - _background(gray)) < 0
    return np.rint(np.where(dark[:, None, None], 255 - gray, gray)).astype(np.uint8)


def ink_of_photos(photos: Photos) -> Images:
    """The ink of the digit in each RGB photograph: pixels unlike the background, near the middle.

    The background is the median of the picture's rim. The polarity is that of the strongest
    contrast in the middle half; strokes not connected to it belong to adjacent digits.

    uint8[N, h, w, 3], N >= 1 → uint8[N, h, w], 255 for full ink.
    """
    chunks = (photos[start : start + _CHUNK_SIZE] for start in range(0, len(photos), _CHUNK_SIZE))
    return np.concatenate([_ink_of_chunk(chunk) for chunk in chunks])


def _enlarged_ink(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    full_level = float(image.max()) or 1.0
    plane = np.pad(image.astype(np.float32) / full_level, 1)  # so that ink ends at the edge
    scale = _FINE_SIDE / max(plane.shape)
    if scale > 1:
        size = [max(1, round(side * scale)) for side in plane.shape[::-1]]
        bicubic = Image.Resampling.BICUBIC
        plane = np.asarray(Image.fromarray(plane).resize((size[0], size[1]), bicubic))
    level = np.clip((plane - _PAPER) / (1 - _PAPER), 0, 1)
    return np.rint(level * 255).astype(np.uint8)


def _ink_of_chunk(photos: Photos) -> npt.NDArray[np.uint8]:
    gray = _gray(photos)
    contrast = gray - _background(gray)
    contrast *= _polarity(contrast)[:, None, None]
    full = np.quantile(contrast[:, :, _middle(contrast.shape[2])], _FULL_QUANTILE, axis=(1, 2))
    strength = contrast / np.maximum(full, 1)[:, None, None]
    level = np.clip((strength - _NO_INK) / (_FULL_INK - _NO_INK), 0, 1)
    level[~_touching_middle(level > _STROKE_LEVEL)] = 0
    return np.rint(level * 255).astype(np.uint8)


def _gray(photos: Photos) -> _Planes:
    return photos.astype(np.float32) @ np.array(LUMINANCE, np.float32)


def _background(gray: _Planes) -> _Planes:
    """float32[N, 1, 1]: the median of the outermost pixels."""
    rim = gray[:, 0], gray[:, -1], gray[:, 1:-1, 0], gray[:, 1:-1, -1]
    return np.median(np.concatenate(rim, axis=1), axis=1)[:, None, None].astype(np.float32)


def _middle(width: int) -> slice:
    """The middle half of the columns, all rows: adjacent digits are at the sides only."""
    return slice(width // 4, width - width // 4)


def _polarity(contrast: _Planes) -> _Planes:
    """float32[N]: 1 if the middle stands out bright, -1 if dark."""
    middle = _middle(contrast.shape[2])
    # Cubed, so that a few pixels far from the background outweigh many near it.
    return np.where((contrast[:, :, middle] ** 3).sum(axis=(1, 2)) < 0, -1, 1).astype(np.float32)


def _touching_middle(masks: _Masks) -> _Masks:
    """The parts of each mask that are 8-connected to its pixels in the middle."""
    with needs_extra("offline"):
        from scipy.ndimage import binary_propagation  # noqa: PLC0415  (an extra)
    propagate: Any = binary_propagation
    middle = np.zeros_like(masks)
    middle[:, :, _middle(masks.shape[2])] = True
    neighbours = np.zeros((3, 3, 3), bool)
    neighbours[1] = True
    return propagate(masks & middle, neighbours, masks)
