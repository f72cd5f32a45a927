"""A tiny data set with the names of MNIST's files, in the formats in which MNIST is stored."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitlens.datasets.number_files import encode_idx
from digitlens.datasets.sources import FILES, MnistFile
from digitlens.files import sha256

TRAIN, VALIDATION, TEST = 20, 10, 10


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Limits OpenCV to one thread: for small pages and tiles, threads cost more than they save."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


class TinyMnist:
    """Thirty training tiles and ten test tiles."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.arrays: dict[str, np.ndarray] = {}
        self.contents: dict[MnistFile, bytes] = {}
        for real in FILES:
            shape = (TRAIN + VALIDATION if "train" in real.key else TEST, *real.shape[1:])
            array = random.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8)
            content = encode_idx(array)
            self.arrays[real.key] = array
            self.contents[MnistFile(real.name, real.key, shape, sha256(content))] = content
        self.files = tuple(self.contents)

    def write_idx(self, folder: Path, *, compress: bool = False, dotted: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in self.contents.items():
            name = file.name.replace("-idx", ".idx") if dotted else file.name
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
        return folder

    def write_npz(self, path: Path, dtype: type = np.uint8) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{key: a.astype(dtype) for key, a in self.arrays.items()})
        return path

    def pickle(self) -> bytes:
        images, labels = self.arrays["x_train"], self.arrays["y_train"]
        test = (self.arrays["x_test"], self.arrays["y_test"])
        pairs = [(images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:]), test]
        return gzip.compress(
            old_pickle([(x.reshape(len(x), -1) / np.float32(256), y) for x, y in pairs])
        )

    def write_pickle(self, path: Path) -> Path:
        path.write_bytes(self.pickle())
        return path

    def write_wheel(self, path: Path) -> Path:
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("mnist/__init__.py", "raise SystemExit('code of the package was run')")
            wheel.writestr("mnist/data/mnist.pkl.gz", self.pickle())
        return path

    def write_npm_archive(self, path: Path, *extra: tuple[tarfile.TarInfo, bytes]) -> Path:
        with tarfile.open(path, "w:gz") as archive:
            for member, content in extra:
                archive.addfile(member, io.BytesIO(content))
            for file, content in self.contents.items():
                member = tarfile.TarInfo(f"package/data/{file.name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path


def old_pickle(pairs: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Returns a tuple of pairs of arrays as pickled by Python 2 (protocol 2, byte strings)."""
    body = b"".join(_array(x.astype("<f4")) + _array(y.astype("<i8")) + b"\x86" for x, y in pairs)
    return b"\x80\x02(" + body + b"t."


def _array(array: np.ndarray) -> bytes:
    """Returns the opcodes of an array: _reconstruct, then BUILD with shape, dtype and bytes."""
    code = array.dtype.str[1:].encode()
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R(K\x03U\x01<NNN"
    kind += b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    shape = b"(" + b"".join(b"M" + struct.pack("<H", size) for size in array.shape) + b"t"
    raw = array.tobytes()
    return empty + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"


@pytest.fixture(scope="session")
def tiny_mnist() -> TinyMnist:
    return TinyMnist()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Path of an empty cache for each test, except for tests of the real data."""
    if "mnist" not in request.fixturenames:
        monkeypatch.delenv("DIGITLENS_DATA", raising=False)
        monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"
